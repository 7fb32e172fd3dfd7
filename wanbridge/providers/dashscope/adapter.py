"""Alibaba Cloud Model Studio (DashScope): the maker of Wan sells it itself.

One body, two paths. ``mode="async"`` posts to ``image-generation`` with a header that makes it
a task, polled at ``GET /tasks/{id}``; ``mode="sync"`` posts to ``multimodal-generation`` and is
answered with the pictures, usually within two minutes. A task, its result and its links live
for 24 hours. A failed task is an HTTP 200; its code stands inside ``output`` or beside it. There
is no idempotency key: every create that arrives is bought. Nothing that fails is billed.

Pages, all read 2026-11-20, in the comments of this package by the word before the colon:

- api: https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference
- tasks: https://help.aliyun.com/zh/model-studio/manage-asynchronous-tasks
- error-code: https://help.aliyun.com/zh/model-studio/error-code
- rate-limit: https://help.aliyun.com/zh/model-studio/rate-limit
- base-url: https://help.aliyun.com/zh/model-studio/base-url
- upload: https://help.aliyun.com/zh/model-studio/get-temporary-file-url
- sdk: https://github.com/dashscope/dashscope-sdk-python, version 2.0.2
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from attrs import evolve, field, frozen, validators

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.replies import ABOUT_THE_CALL, ErrorDetail, is_task_id
from wanbridge.adapters.steps import (
    Cancelled,
    Delivery,
    Done,
    Exchange,
    Found,
    Missing,
    Op,
    Pending,
    Step,
    StillUnknown,
    TooLate,
)
from wanbridge.errors import (
    Charge,
    GenerationFailed,
    JobCancelled,
    Problem,
    ProviderError,
    UnsupportedFeature,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels
from wanbridge.model.structuring import ShapeError, structure
from wanbridge.providers.dashscope.codes import class_of_code, plain
from wanbridge.providers.dashscope.lookup import list_candidates
from wanbridge.providers.dashscope.offers import OFFERS
from wanbridge.providers.dashscope.replies import Reply
from wanbridge.providers.dashscope.uploads import too_long, upload_long
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

# Of a task, its result and its links (api, tasks).
_TASK_LIFE = timedelta(hours=24)


@frozen(kw_only=True)
class Options:
    """What can be chosen for DashScope.

    Attributes:
        mode: ``async`` makes a task that survives a broken line; ``sync`` answers with the
            pictures, and a call that times out is lost though probably billed.
        region: Whose price list holds; None is that of the host, else Singapore's.
        workspace: Id of a sub-workspace on a shared host. A workspace's own host goes into
            ``base_url`` instead.
    """

    mode: Literal["async", "sync"] = field(
        default="async", validator=validators.in_(("async", "sync"))
    )
    region: Literal["singapore", "beijing"] | None = field(
        default=None, validator=validators.in_((None, "singapore", "beijing"))
    )
    workspace: str | None = None


@frozen(kw_only=True)
class DashScope(Adapter):
    """Alibaba's own service, as tasks or at once."""

    name = "dashscope"
    default_url = "https://dashscope-intl.aliyuncs.com/api/v1"
    Options: ClassVar[type[Any]] = Options
    offers = OFFERS
    # Every 5 to 10 s is advised (api), the SDK grows from 1 s to 5 s.
    poll_interval = PollInterval(first=2.0, most=5.0)
    # Said of failures in general (error-code), of cancelled tasks by inference only.
    cancel_charge = Charge.NO
    # The parameters below, and those that would change count or delivery.
    reserved = frozenset(
        {
            *("size", "n", "enable_sequential", "thinking_mode", "bbox_list", "color_palette"),
            *("watermark", "seed", "max_images", "enable_interleave", "stream", "is_async"),
        }
    )
    # "Nothing that fails is billed or taken from the free quota" (error-code). Not the 5xx: the
    # reply may be from in front of a service that works on.
    polls_404 = True
    not_accepted = frozenset({400, 401, 403, 404, 409, 413, 429})
    # The gateway itself refuses bodies over 16 or 64 MiB with 413 (rate-limit).
    edge = frozenset({403, 413})

    @property
    def at_once(self) -> bool:
        """True in sync mode."""
        return bool(self.options.mode == "sync")

    @property
    def price_region(self) -> str:
        """As configured, else that of the host, else Singapore."""
        return self.options.region or self._host_region or "singapore"

    @property
    def price_assumes(self) -> tuple[str, ...]:
        """That it is Singapore, where nothing says so."""
        if self.options.region or self._host_region:
            return ()
        return ("Singapore's prices, since neither the region option nor the host names one",)

    @property
    def _host_region(self) -> str | None:
        host = urlsplit(self.base_url).hostname or ""
        if host == "dashscope.aliyuncs.com" or ".cn-beijing." in host:
            return "beijing"
        intl = host == "dashscope-intl.aliyuncs.com" or ".ap-southeast-1." in host
        return "singapore" if intl else None

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None for a tier alone: its word means what ours does, with images too (api)."""
        tier_alone = request.size.pixels is None and request.size.aspect_ratio is None
        return None if tier_alone else self.in_pixels(request, offer)

    def remarks(self, request: ImageRequest, offer: Offer) -> Iterator[Note | UnsupportedFeature]:
        """Which pictures are uploaded."""
        for index, size in too_long(request.images).items():
            said = f"images[{index}]: {size:,} bytes are uploaded to DashScope first, for 48 hours"
            yield Note("images", "info", said)

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """Upload what is too long to go inline, and name it by ``oss://`` (upload).

        Raises:
            UnsupportedFeature: nothing can be uploaded with this account or in its region.
        """
        return upload_long(self, request, offer)

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """The same body for both modes; there is no ratio word and no idempotency key."""
        pixels = self.pixels(request, offer)
        content: list[dict[str, str]] = [
            {"image": _encoded(url)} for url in self.links(request) or ()
        ]
        # Exactly one text. One page calls it required, so an empty one is sent as well (api).
        content.append({"text": request.prompt})
        parameters = {
            "size": f"{pixels.width}*{pixels.height}" if pixels else request.size.tier,
            # Its default is 1 on some pages, 4 on others and 12 in sets: always said.
            "n": request.n,
            "enable_sequential": request.sequential or None,
            # Has effect only here; its default is true.
            "thinking_mode": self.thinks(request),
            "bbox_list": self.boxes(request),
            # Text with two places and a percent sign (api); the Java SDK's number is not.
            "color_palette": self.palette(request),
            "watermark": request.watermark,
            "seed": request.seed,
        }
        body = {
            "model": offer.alias,
            "input": {"messages": [{"role": "user", "content": content}]},
            "parameters": {**compact(parameters), **self.extras(request)},
        }
        path = "multimodal-generation" if self.at_once else "image-generation"
        return json_request(
            "POST",
            f"{self.base_url}/services/aigc/{path}/generation",
            headers={**self.bearer(), **self._mode_headers(request)},
            body=body,
            # The server gives up after 300 s (error-code) or 600 s (base-url).
            read_timeout=310.0 if self.at_once else None,
        )

    def _mode_headers(self, request: ImageRequest) -> dict[str, str]:
        """The headers that change what a submit does."""
        headers = {}
        # 403 AccessDenied without it on the async path, and with it on the sync one (error-code).
        if not self.at_once:
            headers["X-DashScope-Async"] = "enable"
        # Required with oss:// (upload); with ordinary links it is said to cause timeouts.
        if any(image.scheme == "oss" for image in request.images):
            headers["X-DashScope-OssResourceResolve"] = "enable"
        # A workspace's own host takes keys of that workspace only and needs no name (base-url).
        host = urlsplit(self.base_url).hostname or ""
        if self.options.workspace and not host.endswith(".maas.aliyuncs.com"):
            headers["X-DashScope-WorkSpace"] = self.options.workspace
        return headers

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """A task or the pictures, whichever it is; a status beside the id is left to the poll."""
        spoiled: list[Problem] = []
        reply = self.structure(response, Reply, spoiled=spoiled)
        if reply.out.links:
            return Done(self._delivery(response, reply, spoiled))
        task = reply.out.task_id or ""
        if not is_task_id(task):
            message = "$.output: neither a task_id nor an image"
            raise self.malformed(response, message, raw=response.json())
        job = self.job(response, request, task, key=key)
        return Pending(evolve(job, collect_by=job.submitted_at + _TASK_LIFE))

    def poll(self, job: Job) -> HttpRequest:
        """Free, and at the host that made the task (tasks)."""
        return json_request("GET", _task_url(job), headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """The task's state; an id that is not known is UNKNOWN, and perhaps 404."""
        if response.status == 404:
            return Missing()
        spoiled: list[Problem] = []
        reply = self.structure(response, Reply, spoiled=spoiled)
        match reply.out.task_status:
            case "PENDING" | "RUNNING" | "SUSPENDED":  # the last in the SDK only (sdk)
                return Pending(job, retry_after=response.retry_after)
            case "SUCCEEDED" | "FAILED" if reply.out.links:
                return Done(self._delivery(response, reply, spoiled))
            case "CANCELED":
                message = f"job {job.id} was cancelled while it was queued"
                raise JobCancelled(self.account, message, self.cancel_charge, job)
            case "UNKNOWN":
                return Missing("UNKNOWN: no such task, or one older than 24 hours")
            case status:
                message = f"$.output.task_status: job {job.id} has status {status!r}"
                raise self.malformed(response, message, raw=response.json())

    def _delivery(self, response: HttpResponse, reply: Reply, spoiled: list[Problem]) -> Delivery:
        received = response.received_at
        expires = received + _TASK_LIFE if received else None
        return Delivery(
            images=tuple(Image(url=link, expires_at=expires) for link in reply.out.links),
            # Delivered images are billed images (api); 0 beside a picture says nothing.
            billed=(reply.usage.image_count if reply.usage else None) or None,
            request_id=reply.request_id,
            notes=self.spoiled_notes(spoiled),
            raw=response.json(),
        )

    def error_in_200(self, response: HttpResponse, op: Op, job: Job | None) -> ProviderError | None:
        """A task that ended without a picture, or a code without a task."""
        try:
            reply = structure(response.json(), Reply)
        except ValueError:
            return None  # the method that reads it raises MalformedResponse
        # A picture outranks a code, and how an accepted task ends is read from a poll.
        if reply.out.links or (op is Op.SUBMIT and reply.out.task_id):
            return None
        code, status = reply.out.code or reply.code, reply.out.task_status
        cls = self.class_of(code) if code else None
        said = reply.out.message or reply.message or "no explanation"
        charge, final = Charge.NO, True
        if status == "SUCCEEDED" or (status is None and reply.out.choices is not None):
            cls, said, charge = GenerationFailed, "completed without an image", Charge.MAYBE
        elif status is None and code:
            # To a poll this too is a failed task (api), unless the code may be about the poll
            # itself: then the job goes on, for it is paid. To a submit it is not documented.
            final = op is Op.POLL and cls not in ABOUT_THE_CALL
            charge = Charge.NO if final else Charge.MAYBE
        elif status != "FAILED":
            return None
        return self.error(
            cls or GenerationFailed,
            ErrorDetail(code=code, message=said, request_id=reply.request_id),
            response,
            charge=charge,
            raw=response.json(),
            job=job,
            final=final,
        )

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{request_id, code, message}``, the same everywhere (error-code)."""
        try:
            reply = structure(body, Reply)
        except ShapeError:
            return None
        if not reply.code:
            return None
        return ErrorDetail(
            code=reply.code,
            message=reply.message or "no explanation",
            request_id=reply.request_id,
            task_id=reply.out.task_id,
        )

    def class_of(self, code: str) -> type[ProviderError] | None:
        """By the table of `codes`."""
        return class_of_code(code)

    def cancel(self, job: Job) -> Exchange[Cancelled | TooLate]:
        """Only a PENDING task can be cancelled (tasks)."""
        response = yield json_request("POST", f"{_task_url(job)}/cancel", headers=self.bearer())
        error = self.failure(response, op=Op.CANCEL, job=job)
        if error is None:
            self.structure(response, Reply)
            return Cancelled(self.cancel_charge)
        if error.status == 400 and plain(error.code or "") == "unsupportedoperation":
            return TooLate(error.message)
        raise error

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """Candidates only: the list of tasks shows neither prompt nor key (tasks)."""
        if self.at_once:
            return StillUnknown(detail="a sync call makes no task that could be looked up")
        return (yield from list_candidates(self, receipt))


def _task_url(job: Job) -> str:
    return f"{job.base_url}/tasks/{quote(job.id, safe='')}"


def _encoded(url: str) -> str:
    """The URL, percent-encoded where it is not ASCII; a signature stays byte for byte."""
    return url if url.isascii() else quote(url, safe=string.punctuation)
