"""Halide Cloud, an imaginary provider: its adapter, and replies as it would give them.

For tests of everything that is not about one real provider.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, ClassVar

from attrs import field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, Offer, PollInterval, RateLimits
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import (
    Delivery,
    Done,
    Exchange,
    Found,
    Missing,
    NotAccepted,
    Pending,
    Resend,
    Step,
    StillUnknown,
)
from wanbridge.errors import (
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    ProviderError,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import SizeLimits
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

SOURCE = "halide.example/docs, read 2026-08-22"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SQUARE = SizeLimits(
    tiers=("1K", "2K"), min_area=768**2, max_area=2048**2, max_ratio=Fraction(8), source=SOURCE
)
FIELDS = frozenset({"images", "regions", "n", "sequential", "size", "thinking", "seed", "inline"})


@frozen
class _Options:
    resend: Resend = Resend.NEVER
    rates: RateLimits = RateLimits()
    at_once: bool = False


@frozen(kw_only=True)
class Halide(Adapter):
    """POST /tasks, then GET /tasks/{id}."""

    name: ClassVar[str] = "halide"
    default_url: ClassVar[str] = "https://api.halide.example/v1"
    poll_interval: ClassVar[PollInterval] = PollInterval(first=2.0, factor=1.5, most=5.0)
    Options: ClassVar[type[Any]] = _Options
    error_codes: ClassVar[Mapping[str, type[ProviderError]]] = {
        "NoCredit": CreditExhausted,
        "Moderated": ContentRefused,
    }
    not_accepted: ClassVar[frozenset[int]] = frozenset({400, 401, 402, 403, 429})
    reserved: ClassVar[frozenset[str]] = frozenset({"model", "prompt", "n", "seed"})
    options: _Options = field(factory=_Options)

    @property
    def resend(self) -> Resend:  # type: ignore[override]
        return self.options.resend

    @property
    def at_once(self) -> bool:
        return self.options.at_once

    @property
    def offers(self) -> tuple[Offer, ...]:  # type: ignore[override]
        limits = Limits(
            text=SQUARE,
            edit=SQUARE,
            set=SQUARE,
            source=SOURCE,
            prompt=100,
            rates=self.options.rates,
        )
        return (
            Offer(
                model="wan2.7-image",
                alias="halide-wan",
                fields=FIELDS,
                limits=limits,
                output="png",
                failure_charge=Charge.NO,
            ),
        )

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        pixels = self.in_pixels(request, offer)
        body = compact(
            {
                "model": offer.alias,
                "prompt": request.prompt,
                "n": request.n,
                "size": f"{pixels.width}*{pixels.height}",
                "seed": request.seed,
                "thinking": request.thinking,
                "sequential": request.sequential,
                "inline": request.inline,
                "images": [
                    [image.url, [box.corners for box in image.regions]] for image in request.images
                ],
            }
        )
        return json_request(
            "POST",
            f"{self.base_url}/tasks",
            headers={**self.bearer(), "Idempotency-Key": key},
            body={**body, **self.extras(request)},
        )

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        return self._step(response, self.parse(response), request, key=key)

    def poll(self, job: Job) -> HttpRequest:
        return json_request("GET", f"{self.base_url}/tasks/{job.id}", headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        body = self.parse(response)
        if body.get("status") == "unknown":
            return Missing("no such task at Halide")
        return self._step(response, body, job.request, key=job.key, job=job)

    def failure(self, response: HttpResponse, *, op: Any, job: Job | None = None) -> Any:
        if (error := Adapter.failure(self, response, op=op, job=job)) is not None:
            return error
        try:
            body = response.json()
        except ValueError:
            return None
        if isinstance(body, dict) and body.get("status") == "failed":
            detail = ErrorDetail(code=body.get("code"), message="it did not work out")
            cls = self.error_codes.get(detail.code or "", GenerationFailed)
            return self.error(cls, detail, response, charge=Charge.NO, job=job, final=True)
        return None

    def error_detail(self, body: Any) -> ErrorDetail | None:
        if not isinstance(body, dict) or "code" not in body:
            return None
        return ErrorDetail(code=body["code"], message=body.get("message", "no reason given"))

    def find(self, receipt: Receipt) -> Exchange[Found]:
        reply = yield json_request(
            "GET", f"{self.base_url}/keys/{receipt.key}", headers=self.bearer()
        )
        body = self.parse(reply)
        match body.get("status"):
            case "found":
                return self.adopt(receipt, body["task_id"])
            case "absent":
                return NotAccepted(detail="Halide has no such key")
            case _:
                return StillUnknown(detail="Halide cannot say")

    def _step(
        self,
        response: HttpResponse,
        body: Any,
        request: ImageRequest,
        *,
        key: str,
        job: Job | None = None,
    ) -> Step:
        if body.get("status") == "done":
            images = tuple(Image(url=url) for url in body["urls"])
            return Done(Delivery(images=images, raw=body, request_id=body.get("request_id")))
        if "task_id" not in body:
            raise self.malformed(response, "no task_id")
        pending = job or self.job(response, request, body["task_id"], key=key)
        return Pending(pending, progress=body.get("progress"))


def reply(body: object, status: int = 200, at: datetime = NOON, **headers: str) -> HttpResponse:
    """A reply with *body* as JSON; bytes go as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(
        status=status,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
        body=raw,
        received_at=at,
    )


ACCEPTED = {"task_id": "t-1", "status": "queued"}
RUNNING = {"task_id": "t-1", "status": "running", "progress": 0.5}
DONE = {"task_id": "t-1", "status": "done", "urls": ["https://cdn.halide.example/1.png"]}


# What a submit at Halide leaves: the receipt before it, the job after.
RECEIPT = Receipt(
    provider=Halide.name,
    account="halide",
    base_url=Halide.default_url,
    key="k-1",
    request=ImageRequest("a red kite", seed=7),
    digest="9f" * 32,
    first_sent_at=NOON,
    last_sent_at=NOON,
    at_risk=Money("0.03", "USD"),
)
JOB = Job(
    provider=Halide.name,
    account="halide",
    base_url=Halide.default_url,
    id="t-1",
    request=ImageRequest("a red kite", seed=7),
    submitted_at=NOON,
    key="k-1",
    state={"pages": [1, 2]},
)
