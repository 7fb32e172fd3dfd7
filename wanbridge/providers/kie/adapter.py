"""KIE: a reseller with one task endpoint for its whole market, paid in credits.

``POST /jobs/createTask`` answers with ``data.taskId``; ``GET /jobs/recordInfo`` says ``waiting``,
``queuing``, ``generating``, ``success`` with links in a *text* that holds JSON, or ``fail``. HTTP
200 proves nothing: the body's ``code`` decides. Sizes are words, never pixels. Pictures are given
as links, so a ``data:`` URI is uploaded first, to a host of KIE's own and with the same key. There
is no idempotency key, cancel or list. A callback is signed, but only over task id and time, so it
is a hint.

Pages, all read 2026-11-20, in the comments of this package by the word before the colon. "Clients"
are third parties' code; what rests on them alone says so.

- model: https://docs.kie.ai/market/wan/2-7-image and /2-7-image-pro
- detail: https://docs.kie.ai/market/common/get-task-detail
- guide: https://docs.kie.ai/market/quickstart
- upload: https://docs.kie.ai/file-upload-api/quickstart and /upload-file-stream
- webhook: https://docs.kie.ai/common-api/webhook-verification
- callbacks: https://docs.kie.ai/4o-image-api/generate-4-o-image-callbacks, of sibling APIs
- credit: https://docs.kie.ai/common-api/get-account-credits
- link: https://docs.kie.ai/common-api/download-url
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

from attrs import evolve, field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.credits import POSITIVE, credit_rate
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail, is_task_id
from wanbridge.adapters.steps import (
    CallbackEvent,
    Delivery,
    Done,
    Exchange,
    Missing,
    Op,
    Pending,
    Step,
)
from wanbridge.adapters.urls import checked_url
from wanbridge.errors import (
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels
from wanbridge.model.structuring import ShapeError
from wanbridge.providers.kie.callbacks import read_event
from wanbridge.providers.kie.offers import OFFERS, RATIOS
from wanbridge.providers.kie.replies import (
    FAIL,
    SUCCESS,
    Accepted,
    Credit,
    Link,
    Record,
    code_of,
    read_record,
    record_or_none,
)
from wanbridge.providers.kie.uploads import upload_inline
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

# "failCode" of a failed task; 400 is the content policy (callbacks).
_FAIL_CODES = {"400": ContentRefused, "422": RequestRejected}
# Of links: "typically 24 hours" (detail), and 14 days elsewhere (guide).
_LIFE = timedelta(hours=24)
_RENEWED_LIFE = timedelta(minutes=20)  # link


def _checked_upload_url(url: str | None) -> str | None:
    return None if url is None else checked_url(url, "upload_url")


@frozen(kw_only=True)
class Options:
    """What can be chosen for KIE.

    Attributes:
        webhook_key: Signs callbacks, as generated in the account's settings.
        upload_url: Where ``data:`` images are uploaded to, with the account's key. None is the
            host that KIE's pages name; with another ``base_url`` than KIE's own, that host.
        usd_per_credit: Price of a credit, decimal text. None leaves costs in KIE-CREDITS.
    """

    webhook_key: str | None = field(default=None, repr=False)
    upload_url: str | None = field(default=None, converter=_checked_upload_url)
    usd_per_credit: Decimal | None = field(default=None, converter=credit_rate, validator=POSITIVE)


@frozen(kw_only=True)
class Kie(Adapter):
    """KIE's market API."""

    name = "kie"
    default_url = "https://api.kie.ai/api/v1"
    Options: ClassVar[type[Any]] = Options
    offers = OFFERS
    # Start with 2-3 s and grow (detail).
    poll_interval = PollInterval(first=2.0, most=10.0)
    # All of "input" but nsfw_checker, and the names beside it, which have no effect inside.
    reserved = frozenset(
        {
            *("prompt", "input_urls", "aspect_ratio", "enable_sequential", "n", "resolution"),
            *("thinking_mode", "color_palette", "bbox_list", "watermark", "seed"),
            *("model", "callBackUrl", "input"),
        }
    )
    # Codes that mean it was never taken on: no access, too few credits, not found, invalid
    # parameters, over the limit and "not queued", key's cap, feature disabled (model, guide). Not
    # 455, 500 and 501, of which no page says so, nor 408, where there is a task.
    not_accepted = frozenset({401, 402, 404, 422, 429, 433, 505})
    # What is not like the HTTP status of that number: a key's own cap, maintenance, a task that has
    # failed, and a feature that is switched off, which is not to be asked for again (model).
    error_codes: ClassVar = {
        "433": CreditExhausted,
        "455": ProviderUnavailable,
        "501": GenerationFailed,
        "505": RequestRejected,
    }

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None: sizes are words here, and what has no word is refused."""
        size = request.size
        if size.pixels:
            reason = f"{size} cannot be said, only 1K, 2K, 4K and the ratios {', '.join(RATIOS)}"
            raise self.unsupported("size", reason)
        if size.aspect_ratio and request.images:
            reason = f"{size.aspect_ratio} cannot be said with images; give a tier alone"
            raise self.unsupported("size", reason)
        if size.aspect_ratio not in (None, *RATIOS):
            raise self.unsupported("size", f"{size.aspect_ratio}; here {', '.join(RATIOS)}")
        return None

    def remarks(self, request: ImageRequest, offer: Offer) -> Iterator[Note | UnsupportedFeature]:
        """The default seed is a fixed one, and pictures have to be links."""
        if request.seed is None:
            said = "seed chosen: derived from the call's key, since KIE's own default is always 0"
            yield Note("seed", "info", said)
        if any(image.scheme == "data" for image in request.images):
            said = "a data: image is uploaded to KIE and named by its link, for three days"
            yield Note("images", "adapted", said)

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """Upload what is given inline; free, deleted after three days (upload)."""
        return upload_inline(self, request)

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """The same input for both models; nothing makes a second send harmless."""
        self.pixels(request, offer)
        body = {
            "prompt": request.prompt,
            "input_urls": self.links(request),
            # Its default is not stated.
            "aspect_ratio": None if request.images else request.size.aspect_ratio or "1:1",
            "enable_sequential": request.sequential,
            # Its default is 4, in sets 12.
            "n": request.n,
            "resolution": request.size.tier,
            # Its default is false, and elsewhere than in text-to-image it may not be true.
            "thinking_mode": bool(self.thinks(request)),
            "color_palette": self.palette(request),
            "bbox_list": self.boxes(request),
            "watermark": request.watermark,
            # Its default is the fixed seed 0.
            "seed": _seed(request, key),
        }
        return json_request(
            "POST",
            f"{self.base_url}/jobs/createTask",
            headers=self.bearer(),
            body={
                "model": offer.alias,
                **compact({"callBackUrl": request.callback_url}),
                "input": {**compact(body), **self.extras(request)},
            },
        )

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """A task exists with an id, whatever it will come to (model)."""
        task = self.structure(response, Accepted).data.task
        if not is_task_id(task):
            raise self.malformed(response, "$.data.taskId: not an id", raw=response.json())
        job = self.job(response, request, task, key=key)
        return Pending(evolve(job, collect_by=job.submitted_at + _LIFE))

    def poll(self, job: Job) -> HttpRequest:
        """Free. Every call has a content type (guide)."""
        url = f"{job.base_url}/jobs/recordInfo?taskId={quote(job.id, safe='')}"
        return json_request("GET", url, headers=self._headers())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """Only links and lost tasks end it; an unknown state is work in progress."""
        if code_of(self.parse(response), response.status) in (404, 422):
            return Missing("KIE has no record of this task")
        spoiled: list[Problem] = []
        record = self._record(response, spoiled)
        if record.links:
            return Done(self._delivery(response, record, job, spoiled))
        return Pending(job, retry_after=response.retry_after)

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """By the code of the body, whatever the status; and a task that ended without a link."""
        try:
            body = response.json()
        except ValueError:
            body = None
        record = record_or_none(body) if op is Op.POLL else None
        if record and record.links:
            return None  # a picture is worth more than a code
        if record and record.state in (*SUCCESS, *FAIL):
            return self._generation_error(response, record, job)
        detail, code = self.error_detail(body), code_of(body, response.status)
        if detail is None and code >= 300:  # not KIE's own words
            return self.refusal(response, op=op, job=job)
        # recordInfo knows 422 only as "recordInfo is null", right after create too (detail).
        if detail is None or 200 <= code < 300 or (op is Op.POLL and code in (404, 422)):
            return None
        error = self.error(
            self.classify(code, str(code)),
            detail,
            response,
            # The only success is code 200 with an id; an id with another code is a riddle.
            charge=self._submit_charge(op, code in self.not_accepted and detail.task_id is None),
            raw=body,
            job=job,
            final=op is Op.POLL and code == 501,
        )
        if code == 429 and error.retry_after is None:
            error.retry_after = 10.0  # the window of the limit (guide); no header is documented
        return error

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{code, msg, data}``; some pages spell it ``message``."""
        if not isinstance(body, dict) or body.get("code") is None:
            return None
        data = body.get("data")
        task = data.get("taskId") if isinstance(data, dict) else None
        return ErrorDetail(
            code=str(body["code"]),
            message=str(body.get("msg") or body.get("message") or "no explanation"),
            task_id=task if isinstance(task, str) and task else None,
        )

    def balance(self) -> Exchange[Money]:
        """Credits, with fractions; in dollars where their price is configured (credit)."""
        url = f"{self.base_url}/chat/credit"
        response = yield json_request("GET", url, headers=self._headers())
        return self.credits(self.read(response, Op.BALANCE, Credit).data)

    def refresh(self, job: Job) -> Exchange[tuple[Image, ...]]:
        """Links that hold for 20 minutes (link)."""
        response = yield self.poll(job)
        if (error := self.failure(response, op=Op.POLL, job=job)) is not None:
            raise error
        if not isinstance(step := self.read_poll(response, job), Done):
            raise self.unsupported("refresh", f"job {job.id} has no pictures yet, or no more")
        images = []
        for image in step.delivery.images:
            url = f"{job.base_url}/common/download-url"
            response = yield json_request(
                "POST", url, headers=self.bearer(), body={"url": image.url}
            )
            link, at = self.read(response, Op.REFRESH, Link).data, response.received_at
            images.append(evolve(image, url=link, expires_at=at and at + _RENEWED_LIFE))
        return tuple(images)

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """One event. Without any key nothing is signed, and nothing verified (webhook)."""
        keys = [key for key in (*secrets, self.options.webhook_key) if key]
        return [read_event(request, keys, account=self.account, now=now)]

    def _headers(self) -> dict[str, str]:
        return {**self.bearer(), "Content-Type": "application/json"}

    def _record(self, response: HttpResponse, spoiled: list[Problem]) -> Record:
        body = self.parse(response)
        try:
            return read_record(body, spoiled)
        except ShapeError as exc:
            raise self.malformed(response, str(exc), raw=body) from None

    def _generation_error(
        self, response: HttpResponse, record: Record, job: Job | None
    ) -> ProviderError:
        """Without a picture; what the credits say is what it cost."""
        code = None if record.fail_code in (None, "") else str(record.fail_code)
        charge, message = record.charge, record.fail_message or "no explanation"
        if record.state in SUCCESS:
            message = "success without a picture"
            charge = Charge.YES if charge is Charge.YES else Charge.MAYBE
        return self.error(
            _FAIL_CODES.get(code or "", GenerationFailed),
            ErrorDetail(code=code, message=message),
            response,
            charge=charge,
            raw=response.json(),
            job=job,
            final=True,
        )

    def _delivery(
        self, response: HttpResponse, record: Record, job: Job, spoiled: list[Problem]
    ) -> Delivery:
        ended = record.ended or response.received_at
        expires, seed = ended and ended + _LIFE, _seed(job.request, job.key)
        return Delivery(
            images=tuple(Image(url=url, seed=seed, expires_at=expires) for url in record.links),
            cost=self.credits(record.credits) if record.credits else None,
            notes=self.spoiled_notes(spoiled),
            raw=response.json(),
        )


def _seed(request: ImageRequest, key: str) -> int:
    """The one asked for, else one of the call's own: the same key gives the same bytes."""
    if request.seed is not None:
        return request.seed
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) >> 1
