"""Flat JSON tasks: one flat object makes a task, which is polled until its links are there.

A ``POST`` takes the request as one JSON object and answers with a task's id, a ``GET`` of the
task says its status and, once it has ended, one link per picture. An error is an object with a
code, and a 200 can hold one. The names in the object are the same at every provider of the
family; the envelopes of the replies are not, so each provider reads its own.

Providers: reAPI and GCCAI, whose pages on the model name the same fields (read 2026-11-20).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import Delivery, Done, Missing, Op, Pending, Step
from wanbridge.errors import Charge, GenerationFailed, JobCancelled, Problem, ProviderError
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels
from wanbridge.model.structuring import ShapeError
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

# The canonical fields that `FlatTasks.body` can say; an offer lists those its provider takes.
FIELDS = frozenset(
    {
        *("images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed"),
        *("negative_prompt", "watermark"),
    }
)


@frozen(kw_only=True)
class Task:
    """A task in a reply, without its envelope.

    Attributes:
        id: As it stands there; None if the reply names no task.
        status: The provider's word; None if the reply has none.
        images: One a link; empty as long as there are none.
        progress: 0.0 to 1.0; None if unknown.
        error: Why the task has failed; None if the reply does not say.
    """

    id: Any = None
    status: str | None = None
    images: tuple[Image, ...] = ()
    progress: float | None = None
    error: ErrorDetail | None = None


@frozen(kw_only=True)
class FlatTasks(Adapter):
    """A provider of flat JSON tasks, which states the class data and reads its own envelopes.

    Attributes:
        submit_path: Of the billable ``POST``, below ``base_url``.
        task_path: Of the ``GET``, with ``{id}`` for the task's.
        ratios: What ``size`` takes as words, which have no effect with images.
        lone_tier: Where the tier goes with images, when no ratio stands beside it.
        status_path: Where a task's status stands in a reply.
        link_life: How long links hold after the task's end; None if it is not documented.
        failed, cancelled: Words for these ends, beside ``completed``.
        deliver: In which statuses links are all that will come; None in any.
        end_codes: What a failed task's code means, exactly or by its first digit.
    """

    polls_404 = True
    submit_path: ClassVar[str]
    task_path: ClassVar[str]
    ratios: ClassVar[frozenset[str]]
    lone_tier: ClassVar[Literal["size", "resolution"]]
    status_path: ClassVar[str]
    link_life: ClassVar[timedelta | None] = None
    failed: ClassVar[frozenset[str]] = frozenset({"failed"})
    cancelled: ClassVar[frozenset[str]] = frozenset({"cancelled"})
    deliver: ClassVar[frozenset[str] | None] = None
    end_codes: ClassVar[Mapping[str, type[ProviderError]]] = {}
    reserved = frozenset(
        {
            *("model", "prompt", "image_urls", "n", "size", "resolution", "negative_prompt"),
            *("watermark", "seed", "thinking_mode", "enable_sequential", "bbox_list"),
            "color_palette",
        }
    )

    # -- the envelopes --------------------------------------------------------------------

    @abstractmethod
    def task_id(self, response: HttpResponse) -> str:
        """The id in a reply to a submit.

        Raises:
            MalformedResponse: there is none that can be put into a URL.
        """

    @abstractmethod
    def read_task(
        self, body: Any, at: datetime | None, spoiled: list[Problem] | None = None
    ) -> Task:
        """The task that a reply's *body* speaks of.

        Args:
            at: When the reply came.
            spoiled: Collects the problems of lenient fields.

        Raises:
            ShapeError: there is none, or it has not the documented shape.
        """

    @abstractmethod
    def lost(self, response: HttpResponse) -> str | None:
        """Why a reply to a poll says that there is no such task; None if it does not."""

    @abstractmethod
    def failure_of_task(
        self, response: HttpResponse, task: Task | None, *, op: Op, job: Job | None
    ) -> ProviderError | None:
        """The error in a reply of a good status without a picture or a newly accepted task.

        Args:
            task: None if the reply, which is JSON, has not the shape of one.
        """

    # -- the messages ---------------------------------------------------------------------

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None for a tier alone, and without images for the ratios that have a word."""
        return None if self.in_words(request, self.ratios) else self.in_pixels(request, offer)

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """One flat object."""
        return json_request(
            "POST",
            f"{self.base_url}{self.submit_path}",
            headers=self.submit_headers(key),
            body={**compact(self.body(request, offer)), **self.extras(request)},
        )

    def submit_headers(self, key: str) -> dict[str, str]:
        """Those of a submit; *key* is sent only where the provider takes one."""
        return self.bearer()

    def body(self, request: ImageRequest, offer: Offer) -> dict[str, Any]:
        """The request in the family's names; None for what is left out."""
        return {
            "model": offer.alias,
            "prompt": request.prompt or None,  # where it stands it has at least one character
            "image_urls": self.links(request),
            "n": request.n,  # a number; quoted it is an error
            **self._size(request, offer),
            "negative_prompt": request.negative_prompt,
            "watermark": request.watermark,
            "seed": request.seed,
            # Has effect without images only; its default is true or not stated.
            "thinking_mode": self.thinks(request),
            "enable_sequential": request.sequential or None,
            "bbox_list": self.boxes(request),
            "color_palette": self.palette(request),
        }

    def _size(self, request: ImageRequest, offer: Offer) -> dict[str, str]:
        """Pixels, or a tier, which without images has a ratio beside it."""
        if pixels := self.pixels(request, offer):
            return {"size": f"{pixels.width}x{pixels.height}"}
        if request.images:  # the last of them decides on the shape
            return {self.lone_tier: request.size.tier}
        return {"size": request.size.aspect_ratio or "1:1", "resolution": request.size.tier}

    def poll(self, job: Job) -> HttpRequest:
        """Free."""
        url = f"{job.base_url}{self.task_path.format(id=quote(job.id, safe=''))}"
        return json_request("GET", url, headers=self.bearer())

    # -- the replies ----------------------------------------------------------------------

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """The task; a status beside the id is left to the poll."""
        job = self.job(response, request, self.task_id(response), key=key)
        life = self.link_life
        return Pending(evolve(job, collect_by=job.submitted_at + life) if life else job)

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """Only links, a cancel and lost tasks end it; an unknown status is work in progress."""
        if (reason := self.lost(response)) is not None:
            return Missing(reason)
        spoiled: list[Problem] = []
        task = self.task(response, spoiled)
        if task.images and (self.deliver is None or task.status in self.deliver):
            notes = self.spoiled_notes(spoiled)
            return Done(Delivery(images=task.images, notes=notes, raw=response.json()))
        if task.status is None:
            raise self.malformed(response, f"{self.status_path}: missing", raw=response.json())
        if task.status in self.cancelled:
            # What a cancelled task costs is documented nowhere, nor how one comes to be cancelled.
            message = f"job {job.id} was cancelled"
            raise JobCancelled(self.account, message, self.cancel_charge, job)
        return Pending(job, response.retry_after, task.progress)

    def error_in_200(self, response: HttpResponse, op: Op, job: Job | None) -> ProviderError | None:
        """An error, or a task that has ended without a picture."""
        try:
            response.json()
        except ValueError:
            return None  # the method that reads it raises MalformedResponse
        task = None
        with suppress(ShapeError):
            task, _ = self._read_once(response)
        # A picture outranks a code, and how an accepted task ends is read from a poll.
        if task and (task.images or (op is Op.SUBMIT and task.id is not None)):
            return None
        return self.failure_of_task(response, task, op=op, job=job)

    def ended(self, response: HttpResponse, task: Task, job: Job | None) -> ProviderError | None:
        """The error of a task that ended without a picture; None while it goes on."""
        if task.status == "completed":
            charge = Charge.MAYBE
            detail = ErrorDetail(code=None, message="completed without an image")
        elif task.status in self.failed:
            # Failed tasks are not charged, as every provider of the family says.
            charge = Charge.NO
            detail = task.error or ErrorDetail(code=None, message="no explanation")
        else:
            return None
        cls, body = self.class_of_end(detail.code), response.json()
        return self.error(cls, detail, response, charge=charge, raw=body, job=job, final=True)

    def class_of_end(self, code: str | None) -> type[ProviderError]:
        """The class of a failed task by its own code."""
        code = code or ""
        known = self.class_of(code) or self.end_codes.get(code) or self.end_codes.get(code[:1])
        return known or GenerationFailed

    def _read_once(self, response: HttpResponse) -> tuple[Task, list[Problem]]:
        """The task of a reply that is JSON, with the problems of its lenient fields."""
        read: tuple[Task, list[Problem]] | None = response.readings.get(type(self))
        if read is None:
            spoiled: list[Problem] = []
            read = self.read_task(response.json(), response.received_at, spoiled), spoiled
            response.readings[type(self)] = read
        return read

    def task(self, response: HttpResponse, spoiled: list[Problem] | None = None) -> Task:
        """The task that a reply is about; raises MalformedResponse where `read_task` fails."""
        body = self.parse(response)
        try:
            task, problems = self._read_once(response)
        except ShapeError as exc:
            raise self.malformed(response, str(exc), raw=body) from None
        if spoiled is not None:
            spoiled.extend(problems)
        return task

    def get(self, path: str) -> HttpRequest:
        """A free request below ``base_url``."""
        return json_request("GET", f"{self.base_url}{path}", headers=self.bearer())
