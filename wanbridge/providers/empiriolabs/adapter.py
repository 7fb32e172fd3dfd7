"""EmpirioLabs: a gateway whose images are jobs, and whose lists are JSON written into strings.

``POST /images/generations`` takes one flat object and answers with a job, or with the pictures:
what it is, is decided by content. ``GET /jobs/{id}`` then has the same body under ``result``. One
``model`` stands for both tiers, which ``model_variant`` distinguishes, with pro as the default;
counts have two names; exact pixels have a switch. An ended job is known for one hour, its links for
seven days. There is no callback, no idempotency key and no refund for a caller who stops waiting.

Pages, all read 2026-11-20, in the comments of this package by the word before the colon:

- model: https://docs.empiriolabs.ai/models/wan2-7-image
- overview: https://docs.empiriolabs.ai/api-reference-overview (in part, and as summaries)
- job: https://docs.empiriolabs.ai/api-reference/api-reference/jobs/retrieve-job
- limits: https://docs.empiriolabs.ai/rate-limits-api-keys
- billing: https://docs.empiriolabs.ai/billing-credits
- usage: https://docs.empiriolabs.ai/account-usage-api
- tools: https://github.com/EmpirioLabs-AI/mcp, the vendor's own manifest, version 1.2.0
- litellm: https://github.com/BerriAI/litellm-docs, pull request 343, written by the vendor
- clients: Langflow and LobeChat, third parties
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import (
    Cancelled,
    Delivery,
    Done,
    Exchange,
    Found,
    Missing,
    ModelInfo,
    Op,
    Pending,
    Step,
    StillUnknown,
    TooLate,
)
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    CreditExhausted,
    GenerationFailed,
    JobCancelled,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.size_rules import Pixels
from wanbridge.model.structuring import structure
from wanbridge.providers.empiriolabs.offers import OFFERS, RATIOS
from wanbridge.providers.empiriolabs.replies import (
    CANCELLED,
    COMPLETED,
    Account,
    Catalogue,
    Listing,
    Reply,
)
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

# An ended job is kept for one hour, its links work for seven days (overview).
_JOB_LIFE, _LINK_LIFE = timedelta(hours=1), timedelta(days=7)
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,255}")


@frozen(kw_only=True)
class EmpirioLabs(Adapter):
    """EmpirioLabs' image endpoint, as jobs."""

    name = "empiriolabs"
    default_url = "https://api.empiriolabs.ai/v1"
    offers = OFFERS
    # No page says how often; clients poll every 5 to 10 s.
    poll_interval = PollInterval(first=3.0, factor=1.5, most=10.0)
    # What is accepted is settled in full, also if the caller stops waiting (billing).
    cancel_charge = Charge.YES
    # The parameters below; other words for size and count; what changes the shape of the reply.
    reserved = frozenset(
        {
            *("model", "prompt", "model_variant", "aspect_ratio", "resolution", "use_custom_size"),
            *("custom_width", "custom_height", "enable_sequential", "num_images", "num_images_set"),
            *("thinking_mode", "image", "color_palette", "bbox_list", "seed", "watermark"),
            *("response_format", "sync", "size", "n"),
            *("disable_formatting", "raw", "passthrough", "raw_response"),
        }
    )
    # No key, no money, unknown model or template, wrong parameter, too many: the request is to be
    # changed or, with 429, to be sent again (overview).
    polls_404 = True
    not_accepted = frozenset({400, 401, 402, 404, 429})
    error_codes: ClassVar = {
        "missing_api_key": AuthenticationFailed,
        "invalid_api_key": AuthenticationFailed,
        "insufficient_credits": CreditExhausted,
        "model_not_found": RequestRejected,
        "rate_limit_exceeded": RateLimited,
        "model_unavailable": ProviderUnavailable,
        "upstream_error": ProviderUnavailable,
        "template_not_found": RequestRejected,
        "template_model_unsupported": RequestRejected,
    }

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None for a tier alone, and without images for the ratios that have a word."""
        return None if self.in_words(request, RATIOS) else self.in_pixels(request, offer)

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """One flat object; there is nothing that makes a second send harmless."""
        pixels = self.pixels(request, offer)
        in_words = None if pixels else request.size
        # With images the last of them decides on the shape (model).
        ratio = None if request.images else request.size.aspect_ratio or "1:1"
        body = {
            "model": "wan2-7-image",
            "prompt": request.prompt,
            # The default is pro, at two and a half times the price, and 16:9 (model).
            "model_variant": offer.alias,
            "aspect_ratio": ratio if in_words else None,
            "resolution": in_words and in_words.tier,
            "use_custom_size": True if pixels else None,
            "custom_width": pixels and pixels.width,
            "custom_height": pixels and pixels.height,
            "enable_sequential": request.sequential or None,
            "num_images": None if request.sequential else request.n,
            "num_images_set": request.n if request.sequential else None,
            # Its default is true.
            "thinking_mode": self.thinks(request) if "thinking" in offer.fields else None,
            "image": self.links(request),
            "color_palette": _json_text(self.palette(request)),
            "bbox_list": _json_text(_boxes(self.boxes(request))),
            "seed": request.seed,
            "watermark": request.watermark,
            # Whether base64 works in a job is not documented.
            "response_format": "url",
            # The older overview has pictures at once, the newer a job: always said.
            "sync": False,
        }
        return json_request(
            "POST",
            f"{self.base_url}/images/generations",
            headers=self.bearer(),
            body={**compact(body), **self.extras(request)},
        )

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """The pictures or a job, whichever it is; how a job fares is left to the poll."""
        spoiled: list[Problem] = []
        reply = self.structure(response, Reply, spoiled=spoiled)
        if reply.images():
            return Done(self._delivery(response, reply, spoiled, response.received_at))
        if not _ID.fullmatch(reply.job_id or ""):
            message = "neither $.data with an image nor a sound $.job_id"
            raise self.malformed(response, message, raw=response.json())
        job = self.job(response, request, reply.job_id or "", key=key)
        # It is counted from the job's end, which is not known yet.
        job = evolve(job, collect_by=job.submitted_at + _JOB_LIFE)
        return Pending(job, response.retry_after, _fraction(reply.progress))

    def poll(self, job: Job) -> HttpRequest:
        """By its id: a ``poll_url`` in a reply says the same, or where no key should go."""
        return json_request("GET", _job_url(job), headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """Only pictures, failures and lost jobs end it; an unknown status is work in progress."""
        if response.status == 404:
            return Missing("no such job, or one that ended more than an hour ago")
        spoiled: list[Problem] = []
        reply = self.structure(response, Reply, spoiled=spoiled)
        if reply.images():
            return Done(self._delivery(response, reply, spoiled, job.submitted_at))
        if reply.status in CANCELLED:
            message = f"job {job.id} was cancelled, which is paid for all the same"
            raise JobCancelled(self.account, message, self.cancel_charge, job)
        if reply.status is None:
            raise self.malformed(response, "$.status: missing", raw=response.json())
        return Pending(job, response.retry_after, _fraction(reply.progress))

    def _delivery(
        self,
        response: HttpResponse,
        reply: Reply,
        spoiled: list[Problem],
        since: datetime | None,
    ) -> Delivery:
        return Delivery(
            images=reply.images(since + _LINK_LIFE if since else None),
            cost=reply.price,
            billed=reply.billed,
            request_id=response.header("x-request-id"),
            notes=self.spoiled_notes(spoiled),
            raw=response.json(),
        )

    def error_in_200(self, response: HttpResponse, op: Op, job: Job | None) -> ProviderError | None:
        """A job that ended without a picture, or an error with no job."""
        try:
            body = response.json()
            reply = structure(body, Reply)
        except ValueError:
            return None  # the method that reads it raises MalformedResponse
        # A picture outranks a code, and how an accepted job ends is read from a poll.
        if reply.images() or (op is Op.SUBMIT and reply.job_id is not None):
            return None
        detail = self.error_detail(body)
        empty = reply.status in COMPLETED or (reply.status is None and reply.data is not None)
        ended = empty or reply.status == "failed"
        if not ended and (reply.status is not None or detail is None):
            return None
        if empty or detail is None:
            said = "completed without an image" if empty else "no explanation"
            detail = ErrorDetail(code=None, message=said)
        cls = self.class_of(detail.code or "") or ProviderUnavailable
        return self.error(
            GenerationFailed if ended and cls is ProviderUnavailable else cls,
            evolve(detail, request_id=response.header("x-request-id")),
            response,
            charge=Charge.YES if reply.price or reply.billed else Charge.MAYBE,
            raw=body,
            job=job,
            final=ended,
        )

    def refusal(self, response: HttpResponse, *, op: Op, job: Job | None = None) -> ProviderError:
        """By code and status.

        A model whose worker is offline is to be asked again soon (overview); that no job was
        made by then is not said, so it may not be.
        """
        error = super().refusal(response, op=op, job=job)
        error.request_id = response.header("x-request-id")
        return error

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{"error": {message, type, code}}``; texts and a bare ``message`` may stand for it."""
        if not isinstance(body, dict):
            return None
        said = body.get("error") or body.get("detail") or body.get("message")
        error = {"message": said} if isinstance(said, str) else said
        if not error or not isinstance(error, dict):
            return None
        code = error.get("code") or error.get("type")  # text or a number (clients)
        return ErrorDetail(
            code=None if code is None else str(code),
            message=str(error.get("message") or "no explanation"),
            task_id=_job_id_in(body),
        )

    def cancel(self, job: Job) -> Exchange[Cancelled | TooLate]:
        """A job that is queued or processing; an ended one comes back as it is (tools).

        That there is such an operation is documented, its path is not: the two usual ones.
        """
        for method, path in (("POST", "/cancel"), ("DELETE", "")):
            response = yield json_request(method, _job_url(job) + path, headers=self.bearer())
            if response.status in (404, 405):
                continue
            if response.status >= 300:
                raise self.refusal(response, op=Op.CANCEL, job=job)
            status = self.structure(response, Reply).status
            if status in CANCELLED:
                return Cancelled(self.cancel_charge)
            return TooLate(f"job {job.id} has status {status!r} after it was told to stop")
        reason = f"job {job.id} is unknown by now, or EmpirioLabs cancels at another path"
        raise self.unsupported("cancel", reason)

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """Candidates only: a job shows neither its prompt nor a key (job)."""
        url = f"{receipt.base_url}/jobs?limit=100"  # newest first, 100 at most (tools)
        response = yield from self._get(url, Op.FIND)
        listing = self.structure(response, Listing)
        minute = timedelta(minutes=1)
        since, until = receipt.first_sent_at - minute, receipt.last_sent_at + minute
        found = tuple(
            job.job_id
            for job in listing.data or listing.jobs or ()
            if job.created_at is None or since <= job.created_at <= until
        )
        detail = (
            f"{len(found)} jobs from {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S %Z} among the"
            " newest 100; the list shows neither prompt nor key, so only the caller can adopt one"
        )
        return StillUnknown(candidates=found, detail=detail)

    def balance(self) -> Exchange[Money]:
        """Prepaid dollars (billing); where it stands in the reply is an inference (usage)."""
        response = yield from self._get(f"{self.base_url}/account/usage?limit=1", Op.BALANCE)
        left = self.structure(response, Account).balance
        return Money(left.amount, left.currency)

    def models(self) -> Exchange[tuple[ModelInfo, ...]]:
        """The whole catalogue; as schema the parameters of each by their name (model)."""
        response = yield from self._get(f"{self.base_url}/models", Op.MODELS)
        return tuple(
            ModelInfo(
                id=model.id,
                schema={str(p.get("name")): p for p in model.supported_parameters or ()} or None,
                raw=raw,
            )
            for model, raw in zip(
                self.structure(response, Catalogue).data, response.json()["data"], strict=True
            )
        )

    def _get(self, url: str, op: Op) -> Exchange[HttpResponse]:
        response = yield json_request("GET", url, headers=self.bearer())
        if response.status >= 300:
            raise self.refusal(response, op=op)
        return response


def _boxes(boxes: list[list[list[int]]] | None) -> Any:
    """A flat list for one picture with one box (model), else one list a picture (upstream)."""
    return boxes[0] if boxes and len(boxes) == 1 and len(boxes[0]) == 1 else boxes


def _json_text(value: Any) -> str | None:
    """JSON inside of a string, as "color_palette" and "bbox_list" are (model)."""
    return None if value is None else json.dumps(value, separators=(",", ":"))


def _fraction(progress: float | None) -> float | None:
    return None if progress is None else min(max(progress, 0.0), 1.0)


def _job_id_in(body: Any) -> Any:
    """The id of the job that an error reply names; None if it names none."""
    return body.get("job_id") if isinstance(body, dict) else None


def _job_url(job: Job) -> str:
    return f"{job.base_url}/jobs/{quote(job.id, safe='')}"
