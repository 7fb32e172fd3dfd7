"""Runware: a task with an id of our own making, acknowledged at once, polled until it ends.

Everything is a ``POST`` of an array of task objects to one URL. ``imageInference`` with
``deliveryMethod`` ``async`` is acknowledged with its ``taskUUID``; ``getResponse`` with the same
UUID then gives the whole present state each time: per picture one element of ``data`` or one
entry of ``errors``, at HTTP 200 too. The UUID is also what makes a second send harmless:
it is answered with ``conflictTaskUUID``. The same answer to a *first* send means that the
task belongs to another account or call, so it is never polled.

A failed picture has two documented shapes and several tolerated ones, completion is counted, and
what a poll was refused for is not what its pictures failed of.

Sources: https://runware.ai/docs/models/alibaba-wan2-7-image ("model page" below),
https://runware.ai/docs/platform/errors and /task-polling, the source of runware-sdk 1.8.0
("sdk"); all read 2026-11-20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.steps import (
    CallbackEvent,
    Delivery,
    Done,
    Exchange,
    Found,
    Missing,
    NotAccepted,
    Op,
    Pending,
    Resend,
    Step,
    StillUnknown,
)
from wanbridge.errors import (
    Charge,
    GenerationFailed,
    MalformedResponse,
    Problem,
    ProviderError,
    ProviderUnavailable,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Failure
from wanbridge.providers.runware.callbacks import read_events
from wanbridge.providers.runware.codes import CONFLICT, UNKNOWN_TASK, class_of_code
from wanbridge.providers.runware.offers import OFFERS
from wanbridge.providers.runware.replies import State, is_about_task, read_state
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

_FORMATS = {None: "PNG", "png": "PNG", "jpeg": "JPG", "webp": "WEBP"}

# When `find` may say that nothing was accepted: once getResponse must know an accepted task, and
# while it surely has not forgotten one. Neither is documented; both are wide.
_FIND_FROM, _FIND_UNTIL = timedelta(seconds=30), timedelta(minutes=10)


@frozen(kw_only=True)
class Runware(Adapter):
    """Runware's task API over HTTP."""

    name = "runware"
    default_url = "https://api.runware.ai/v1"
    offers = OFFERS
    resend = Resend.SAME_KEY_IS_SAFE  # a second send only brings conflictTaskUUID (sdk)
    poll_interval = PollInterval(
        first=1.0, factor=1.5, most=10.0
    )  # advice of the polling page; sdk
    reserved = frozenset({
        "taskType", "taskUUID", "model", "positivePrompt", "width", "height", "seed",
        "numberResults", "outputType", "outputFormat", "deliveryMethod", "webhookURL",
        "uploadEndpoint", "includeCost", "inputs", "settings",
    })  # fmt: skip
    # docs/platform/errors: bad request, no valid key, balance too low, no permission, not found,
    # queue full. Not 503 and 504, where the page does not say that nothing was taken on.
    not_accepted = frozenset({400, 401, 402, 403, 404, 429})

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """One asynchronous task whose UUID comes from *key*."""
        size = self.in_pixels(request, offer)
        references = [self._reference(image) for image in request.images]
        settings = {
            "thinking": self.thinks(request),
            "sequential": request.sequential or None,
            "colorPalette": self.palette(request),
            "editRegions": self.boxes(request),
        }
        task = {
            "taskType": "imageInference",
            "taskUUID": _task_uuid(key),
            "model": offer.alias,
            "positivePrompt": request.prompt,
            "width": size.width,
            "height": size.height,
            "seed": request.seed,
            "numberResults": request.n,
            "outputType": "base64Data" if request.inline else "URL",
            "outputFormat": _FORMATS[request.output_format],
            "deliveryMethod": "async",
            "webhookURL": request.callback_url,
            "includeCost": True,
            "inputs": {"referenceImages": references} if references else None,
            "settings": compact(settings) or None,
        }
        return self._post(self.base_url, {**compact(task), **self.extras(request)})

    def remarks(self, request: ImageRequest, offer: Offer) -> Iterator[Note | UnsupportedFeature]:
        """Runware shrinks what it stores, and boxes are absolute."""
        if any(image.ref and image.regions for image in request.images):
            # docs/utilities/image-upload, read 2026-11-20.
            said = "boxes on a ref are in pixels of the stored copy, at most 2048 a side"
            yield Note("regions", "info", said)

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """Acknowledged; pictures that are there already count as in a poll."""
        task, spoiled = _task_uuid(key), list[Problem]()
        state = read_state(self, response, task, spoiled)
        if state.pictures and state.complete(request.n, {}):
            return self._done(state, spoiled)
        # `failure` lets a conflict pass where it stands for an acknowledgement that was lost.
        if not (state.acknowledged or any(fault.code == CONFLICT for fault in state.faults)):
            raise self.malformed(response, f"task {task} is not acknowledged", raw=state.body)
        job = self.job(response, request, task, key=key)
        return Pending(job, response.retry_after, state.progress)

    def poll(self, job: Job) -> HttpRequest:
        """``getResponse`` with the task's own UUID."""
        return self._post(job.base_url, {"taskType": "getResponse", "taskUUID": job.id})

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """The present state, cumulative; good pictures are kept beside failed ones."""
        spoiled = list[Problem]()
        state = read_state(self, response, job.id, spoiled)
        if state.pictures and state.complete(job.request.n, job.state):
            return self._done(state, spoiled)
        if state.known:
            return Pending(evolve(job, state=state.settled), response.retry_after, state.progress)
        if not (state.acknowledged or state.faults):
            raise self.malformed(response, f"nothing about task {job.id}", raw=state.body)
        return Missing(f"task {job.id} is unknown")

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """A refused call, or a task that ended without any picture; at any HTTP status."""
        try:
            state = read_state(self, response, job.id if job else None)
        except MalformedResponse:
            state = None
        if state is not None and state.pictures:
            return None
        if state is None or not state.faults:
            return None if response.status < 300 else self._unreadable(response, op=op, job=job)
        if op in (Op.SUBMIT, Op.RESEND):
            return self._refused(response, state, op)
        if job and state.failures and state.complete(job.request.n, job.state):
            return self._ended(response, state, job)
        unknown = any(UNKNOWN_TASK.match(fault.code or "") for fault in state.faults)
        if state.known or (unknown and is_about_task(response)):
            return None
        first = state.faults[0]
        cls = self.classify(response.status, first.code)
        return self.error(cls, first.detail, response, raw=state.body, job=job, charge=Charge.MAYBE)

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """One call per picture, flat or wrapped in an array, never signed (/webhooks).

        No call says that the task has ended, for it may have more pictures; a poll does.
        """
        return read_events(request)

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """Ask for the task by the UUID that the submit carried."""
        job = self.adopt(receipt, _task_uuid(receipt.key))
        response = yield self.poll(job)
        error = self.failure(response, op=Op.FIND, job=job)
        if error is not None and not error.final:
            raise error
        if error is not None or not isinstance(self.read_poll(response, job), Missing):
            return job
        sent, read = receipt.last_sent_at, response.received_at
        if read is not None and _FIND_FROM <= read - sent <= _FIND_UNTIL:
            return NotAccepted(detail=f"task {job.id}, sent {sent}, is unknown at {read}")
        # getTaskDetails settles no more: after a refused duplicate it shows that refusal.
        detail = f"task {job.id} is unknown, which says something only 30 s to 10 min after {sent}"
        early = read is not None and read - sent < _FIND_FROM
        return StillUnknown(detail=detail, again_at=sent + _FIND_FROM if early else None)

    def class_of(self, code: str) -> type[ProviderError] | None:
        """By the patterns of `codes`."""
        return class_of_code(code)

    def classify(self, status: int | None, code: str | None) -> type[ProviderError]:
        """The class of a refused call: no generation has failed in it."""
        cls = super().classify(status, code)
        return ProviderUnavailable if cls is GenerationFailed else cls

    def _refused(self, response: HttpResponse, state: State, op: Op) -> ProviderError | None:
        conflict = next((fault for fault in state.faults if fault.code == CONFLICT), None)
        if conflict and op is Op.RESEND:
            return None
        if state.running and not conflict and response.status < 300:
            return None  # acknowledged, with an error: a poll says how it ends
        fault = conflict or state.faults[0]
        cls = self.classify(response.status, fault.code)
        # By the client's source errors in a 200 come before there is a task; no page says so,
        # hence MAYBE. A conflict on the first send may be with a task of our own.
        surely_not = (
            response.status in self.not_accepted
            and cls is not ProviderUnavailable
            and not (conflict or state.running)
        )
        charge = self._submit_charge(op, surely_not)
        return self.error(cls, fault.detail, response, raw=state.body, charge=charge)

    def _ended(self, response: HttpResponse, state: State, job: Job) -> ProviderError:
        """No picture at all; the first failure gives the class."""
        first = state.failures[0]
        cls = self.class_of(first.code or "")
        paid = any((fault.cost or 0) > 0 for fault in state.failures)
        return self.error(
            GenerationFailed if cls in (None, ProviderUnavailable) else cls,
            first.detail,
            response,
            raw=state.body,
            job=job,
            charge=Charge.YES if paid else Charge.MAYBE,
            final=True,
        )

    def _done(self, state: State, spoiled: list[Problem]) -> Done:
        costs = [element.cost or Decimal(0) for element, _ in state.pictures]
        flagged = (
            Note(f"images[{i}]", "info", "flagged by the safety check that was asked for")
            for i, (element, _) in enumerate(state.pictures)
            if element.nsfw
        )
        return Done(
            Delivery(
                images=tuple(image for _, image in state.pictures),
                failures=tuple(
                    Failure(code=f.code, message=f.detail.message) for f in state.failures
                ),
                # Per element, in dollars; 0 and none at all mean unknown.
                cost=Money(sum(costs, Decimal(0)), "USD") if min(costs) > 0 else None,
                notes=(*flagged, *self.spoiled_notes(spoiled)),
                raw=state.body,
            )
        )

    def _post(self, url: str, task: Mapping[str, Any]) -> HttpRequest:
        return json_request("POST", url, headers=self.bearer(), body=[task])

    def _reference(self, image: InputImage) -> str:
        name = image.url or (image.ref or {}).get(self.name)
        if name is None:
            raise self.unsupported("images", f"a ref of {self.name} is needed, got {image.ref}")
        return name


def _task_uuid(key: str) -> str:
    """*key* if it is a UUID v4; else one of that shape from its SHA-256."""
    try:
        given = UUID(key)
    except ValueError:
        given = None
    if given is None or given.version != 4:
        given = UUID(bytes=hashlib.sha256(key.encode()).digest()[:16], version=4)
    return str(given)
