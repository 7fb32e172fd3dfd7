"""Halide Cloud, an imaginary provider: every generation is a task, polled until it ends.

``POST /v1/tasks`` answers with a task id, ``GET /v1/tasks/{id}`` with its state and, once done,
one URL per picture. Errors carry a stable ``code``; 402 and 403 both occur for an empty account,
so the code decides, not the status. Callbacks are signed with the account's webhook key.

Source: https://docs.halide.example/api/tasks, read 2026-08-22.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, ClassVar

from attrs import field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import CallbackEvent, Delivery, Done, Missing, Op, Pending, Step
from wanbridge.errors import (
    CallbackRefused,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    ProviderError,
)
from wanbridge.model.jobs import Job
from wanbridge.model.request import SEED_MAX, ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import SizeLimits
from wanbridge.model.structuring import lenient
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

_SOURCE = "https://docs.halide.example/api/tasks, read 2026-08-22"
_SIZES = SizeLimits(
    tiers=("1K", "2K"), min_area=768**2, max_area=2048**2, max_ratio=Fraction(8), source=_SOURCE
)


@frozen
class _Picture:
    url: str
    seed: int | None = lenient()


@frozen
class _Task:
    task_id: str
    status: str
    pictures: list[_Picture] = field(factory=list)


@frozen
class _Failed:
    status: str | None = lenient()
    code: str | None = lenient()
    reason: str | None = lenient()


@frozen(kw_only=True)
class Halide(Adapter):
    """Halide Cloud's task API."""

    name = "halide"
    default_url = "https://api.halide.example/v1"
    poll_interval = PollInterval(first=2.0, most=5.0)
    # "No task is made for a request that is answered with one of these" (errors).
    not_accepted = frozenset({400, 401, 402, 403, 429})
    error_codes: ClassVar = {"NoCredit": CreditExhausted, "Moderated": ContentRefused}
    reserved = frozenset({"model", "prompt", "images", "size", "n", "seed", "notify"})
    offers = (
        Offer(
            model="wan2.7-image",
            alias="halide-wan",
            fields=frozenset({"images", "n", "size", "seed", "callback_url"}),
            limits=Limits(
                text=_SIZES, edit=_SIZES, set=_SIZES, source=_SOURCE, prompt_required=True
            ),
            output="png",
            failure_charge=Charge.NO,
        ),
    )

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """The task."""
        pixels = self.in_pixels(request, offer)
        body = {
            "model": offer.alias,
            "prompt": request.prompt,
            "images": [image.url for image in request.images] or None,
            "size": f"{pixels.width}*{pixels.height}",
            "n": request.n,
            "seed": request.seed,
            "notify": request.callback_url,
        }
        return json_request(
            "POST",
            f"{self.base_url}/tasks",
            headers=self.bearer(),
            body={**compact(body), **self.extras(request)},
        )

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """A task with an id, whatever it will come to."""
        task = self._task(response)
        return Pending(self.job(response, request, task.task_id, key=key))

    def poll(self, job: Job) -> HttpRequest:
        """The task's state."""
        return json_request("GET", f"{job.base_url}/tasks/{job.id}", headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """Every status has a branch, an unknown one is an error."""
        if self.is_unknown_task(response):
            return Missing("Halide knows no such task")
        task = self._task(response)
        match task.status:
            case "queued" | "running":
                return Pending(job, retry_after=response.retry_after)
            case "done" if images := _images(task):
                return Done(Delivery(images=images, raw=response.json()))
            case status:
                raise self.malformed(response, f"task {job.id} has status {status!r}")

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """A task that has failed is a good reply to a poll."""
        if op is Op.POLL and self.is_unknown_task(response):
            return None
        if (error := super().failure(response, op=op, job=job)) is not None:
            return error
        body = self.parse(response)
        if op is not Op.POLL or not isinstance(body, dict) or body.get("status") != "failed":
            return None
        failed = self.structure(response, _Failed)
        detail = ErrorDetail(code=failed.code, message=failed.reason or "no reason given")
        cls = self.class_of(failed.code or "") or GenerationFailed
        return self.error(cls, detail, response, charge=Charge.NO, raw=body, job=job, final=True)

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{code, message}``."""
        code = body.get("code") if isinstance(body, dict) else None
        if not isinstance(code, str):
            return None
        return ErrorDetail(code=code, message=str(body.get("message") or "no explanation"))

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """``{task_id, status}``, signed with ``HMAC-SHA256(key, body)``."""
        if secrets:
            given = (request.header("halide-signature") or "").encode(errors="replace")
            ours = [hmac.digest(key.encode(), request.body, "sha256").hex() for key in secrets]
            if not any(hmac.compare_digest(each.encode(), given) for each in ours):
                raise CallbackRefused(f"{self.account}: a callback with a wrong signature", 401)
        try:
            body = request.json()
        except ValueError:
            raise CallbackRefused(f"{self.account}: a callback that is not JSON") from None
        task = body.get("task_id") if isinstance(body, dict) else None
        if not isinstance(task, str) or not task:
            raise CallbackRefused(f"{self.account}: a callback that names no task")
        ended = body.get("status") in ("done", "failed")
        return [CallbackEvent(task_id=task, verified=bool(secrets), ended=ended, raw=body)]

    def _task(self, response: HttpResponse) -> _Task:
        task = self.structure(response, _Task)
        if not (task.task_id.isascii() and task.task_id.replace("-", "").isalnum()):
            raise self.malformed(response, f"$.task_id: {task.task_id[:40]!r} is not an id")
        return task


def _images(task: _Task) -> tuple[Image, ...]:
    """Those with a link; a seed that is none of ours is not worth a picture."""
    return tuple(
        Image(url=p.url, seed=p.seed if p.seed is None or 0 <= p.seed <= SEED_MAX else None)
        for p in task.pictures
        if p.url
    )
