"""reAPI: a reseller with one task endpoint for all media, paid in credits at the submit.

``POST /images/generations`` answers at once with a task whose id is the top-level ``id``;
``GET /tasks/{id}`` says ``processing``, ``completed`` with a list of links, or ``failed`` with
the error inside an HTTP 200 and the credits already back. There is no queue state, progress,
cost, expiry, cancel, list or webhook. ``Idempotency-Key`` is taken and not acted on: every POST
that arrives is a new charge. Error codes are five-digit numbers whose first digit is a category.

Pages, all read 2026-11-20, in comments by the word before the colon:

- model: https://reapi.ai/docs/wan-2-7-image
- tasks: https://reapi.ai/docs/api/tasks
- balance: https://reapi.ai/docs/api/balance
- errors: https://reapi.ai/docs/api/errors (only its first part could be read)
- validator: https://github.com/WashedYirgacheffe/new-api, docs/catalog, reAPI's own checks as a
  third party wrote them down
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import quote

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, Offer, PictureLimits, PollInterval
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import (
    Delivery,
    Done,
    Exchange,
    Found,
    Missing,
    Op,
    Pending,
    Step,
    StillUnknown,
)
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    JobCancelled,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels, SizeLimits
from wanbridge.model.structuring import structure
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

_SOURCE = "https://reapi.ai/docs/wan-2-7-image, read 2026-11-20"
# 4K is for pro, text-to-image, outside sets (model). The range of pixels is not on the page: it
# is the maker's, who decides in the end.
_UP_TO_2K = SizeLimits(tiers=("1K", "2K"), min_area=768 * 768, max_area=2048 * 2048, source=_SOURCE)
_UP_TO_4K = SizeLimits(
    tiers=("1K", "2K", "4K"), min_area=768 * 768, max_area=4096 * 4096, source=_SOURCE
)
# What "size" takes as words; they have no effect with images (model).
_RATIOS = frozenset({"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"})
# None on the page either, and the maker's as well.
_PICTURES = PictureLimits(
    min_side=240,
    max_side=8000,
    max_ratio=8,
    source="https://help.aliyun.com/zh/model-studio/"
    "wan-image-generation-and-editing-api-reference, read 2026-11-20",
)
_FIELDS = frozenset(
    {
        *("images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed"),
        *("negative_prompt", "watermark"),
    }
)
# The first digit of a code (errors); 3 and 8 by inference.
_BY_DIGIT: dict[str, type[ProviderError]] = {
    "1": AuthenticationFailed,
    "2": RequestRejected,
    "3": CreditExhausted,
    "5": RateLimited,
    "6": ProviderUnavailable,
    "8": GenerationFailed,
}
_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")


def _offer(model: str, text: SizeLimits) -> Offer:
    return Offer(
        model=model,
        alias=model,
        fields=_FIELDS,
        limits=Limits(text=text, edit=_UP_TO_2K, set=_UP_TO_2K, source=_SOURCE, pictures=_PICTURES),
        failure_charge=Charge.NO,  # refunded before any poll can show "failed" (tasks)
    )


_OFFERS = (_offer("wan2.7-image", _UP_TO_2K), _offer("wan2.7-image-pro", _UP_TO_4K))


@frozen
class _Accepted:
    id: str


@frozen
class _Output:
    image_urls: list[str] | None = None


@frozen
class _Task:
    status: str | None = None
    output: _Output | None = None
    id: Any = None

    @property
    def links(self) -> list[str]:
        return [url for url in (self.output and self.output.image_urls) or () if url]


@frozen
class _Balance:
    balance: int


@frozen(kw_only=True)
class ReApi(Adapter):
    """reAPI's task API."""

    name = "reapi"
    default_url = "https://reapi.ai/api/v1"
    offers = _OFFERS
    # Every 1-2 s (quickstart), every 2-3 s (the vendor's own client).
    poll_interval = PollInterval(first=2.0, most=5.0)
    reserved = frozenset(
        {
            *("model", "prompt", "image_urls", "n", "size", "resolution", "negative_prompt"),
            *("watermark", "seed", "thinking_mode", "enable_sequential", "bbox_list"),
            "color_palette",
        }
    )
    # Rejected requests cost nothing (model); 429 is there to be repeated (errors).
    not_accepted = frozenset({400, 401, 402, 403, 404, 429})
    error_codes: ClassVar = {"80006": ContentRefused}

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None for a tier alone, and without images for the ratios that have a word."""
        ratio = request.size.aspect_ratio
        in_words = ratio is None or (ratio in _RATIOS and not request.images)
        return None if in_words and not request.size.pixels else self.in_pixels(request, offer)

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """One flat object; there is nothing that makes a second send harmless."""
        pixels = self.pixels(request, offer)
        # The defaults of "size" and "resolution" are not documented, so both are sent; with
        # images the last of them decides on the shape, whatever ratio "size" says (model).
        ratio = None if request.images else request.size.aspect_ratio or "1:1"
        body = {
            "model": offer.alias,
            "prompt": request.prompt or None,  # at least one character if it is there (validator)
            "image_urls": self.links(request),
            "n": request.n,
            "size": f"{pixels.width}x{pixels.height}" if pixels else ratio,
            "resolution": None if pixels else request.size.tier,
            "negative_prompt": request.negative_prompt,
            "watermark": request.watermark,
            "seed": request.seed,
            # Has effect only here; its default is true.
            "thinking_mode": self.thinks(request),
            "enable_sequential": request.sequential or None,
            "bbox_list": self.boxes(request),
            "color_palette": self.palette(request),
        }
        return json_request(
            "POST",
            f"{self.base_url}/images/generations",
            headers=self.bearer(),
            body={**compact(body), **self.extras(request)},
        )

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """The task; a status beside the id is left to the poll."""
        task = self.structure(response, _Accepted)
        if not _ID.fullmatch(task.id):
            message = f"$.id: {task.id[:40]!r} is not a task id"
            raise self.malformed(response, message, raw=response.json())
        return Pending(self.job(response, request, task.id, key=key))

    def poll(self, job: Job) -> HttpRequest:
        """Free (model)."""
        url = f"{job.base_url}/tasks/{quote(job.id, safe='')}"
        return json_request("GET", url, headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """Only links and lost tasks end it; an unknown status is work in progress."""
        if response.status == 404:
            return Missing("no such task of this user")
        task = self.structure(response, _Task)
        match task.status:
            case "completed" | "failed" if task.links:
                images = tuple(Image(url=url) for url in task.links)
                return Done(Delivery(images=images, raw=response.json()))
            case "cancelled":
                # Not documented, and only of "failed" is it said that the credits are back.
                message = f"job {job.id} was cancelled"
                raise JobCancelled(self.account, message, self.cancel_charge, job)
            case None:
                raise self.malformed(response, "$.status: missing", raw=response.json())
        return Pending(job, retry_after=response.retry_after)

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """By status, and in a 200 a task that ended without a picture or an error with none."""
        if response.status >= 300:
            unknown = op is Op.POLL and self.is_unknown_task(response)
            return None if unknown else self.refusal(response, op=op, job=job)
        try:
            body = response.json()
            task = structure(body, _Task)
        except ValueError:
            return None  # whoever reads it says what is wrong with it
        # A picture is worth more than a code, and an accepted task tells its end when polled.
        if task.links or (op is Op.SUBMIT and task.id is not None):
            return None
        detail = self.error_detail(body)
        if task.status == "completed":
            detail = ErrorDetail(code=None, message="completed without an image")
        elif task.status == "failed":
            detail = detail or ErrorDetail(code=None, message="no explanation")
        elif task.status or detail is None:
            return None
        return self.error(
            self.classify(None, detail.code),
            detail,
            response,
            charge=Charge.NO if task.status == "failed" else Charge.MAYBE,
            raw=body,
            job=job,
            final=task.status is not None,
        )

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{"error": {code, message, request_id}}``; one client also knows bare texts."""
        said = (body.get("error") or body.get("detail")) if isinstance(body, dict) else None
        error = {"message": said} if isinstance(said, str) else said
        if not error or not isinstance(error, dict):
            return None
        code, request_id = error.get("code"), error.get("request_id")
        return ErrorDetail(
            code=None if code is None else str(code),
            message=str(error.get("message") or error.get("detail") or "no explanation"),
            request_id=request_id if isinstance(request_id, str) else None,
            task_id=body.get("id"),
        )

    def classify(self, status: int | None, code: str | None) -> type[ProviderError]:
        """By exact code, else by status; a failed task has none, so by the first digit."""
        if status is None and code not in self.error_codes:
            return _BY_DIGIT.get((code or "")[:1], GenerationFailed)
        return super().classify(status, code)

    def balance(self) -> Exchange[Money]:
        """Whole credits of 0.001 USD each (balance)."""
        response = yield json_request("GET", f"{self.base_url}/balance", headers=self.bearer())
        if (error := self.failure(response, op=Op.BALANCE)) is not None:
            raise error
        return Money(self.structure(response, _Balance).balance, "REAPI-CREDITS")

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """The balance, as a hint: tasks are not listed, so no look-up can settle it."""
        left = yield from self.balance()
        price = f" ({receipt.at_risk})" if receipt.at_risk else ""
        detail = (
            f"reAPI lists no tasks; the balance is now {left}. Compare it with that of before: the"
            f" price of this request{price} missing, and nothing else bought, means it was accepted"
        )
        return StillUnknown(detail=detail)
