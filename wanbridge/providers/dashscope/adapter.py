"""Alibaba Cloud Model Studio (DashScope): the maker of Wan sells it itself.

One body, two paths. ``mode="async"`` posts to ``image-generation`` with a header that makes it
a task, polled at ``GET /tasks/{id}``; ``mode="sync"`` posts to ``multimodal-generation`` and is
answered with the pictures, usually within two minutes. A task, its result and its links live
for 24 hours. A failed task is an HTTP 200; its code stands inside ``output`` or beside it. There
is no idempotency key: every create that arrives is bought. Nothing that fails is billed.

Long for an adapter: two modes, four error shapes, regional hosts, uploads, a look-up and a
cancel.

Pages, all read 2026-11-20, in comments by the word before the colon:

- api: https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference
- tasks: https://help.aliyun.com/zh/model-studio/manage-asynchronous-tasks
- error-code: https://help.aliyun.com/zh/model-studio/error-code
- rate-limit: https://help.aliyun.com/zh/model-studio/rate-limit
- base-url: https://help.aliyun.com/zh/model-studio/base-url
- upload: https://help.aliyun.com/zh/model-studio/get-temporary-file-url
- sdk: https://github.com/dashscope/dashscope-sdk-python, version 2.0.2
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode, urlsplit

from attrs import evolve, field, frozen, validators

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.multipart import FormFile, form
from wanbridge.adapters.offers import Limits, Offer, PictureLimits, PollInterval, RateLimits
from wanbridge.adapters.replies import ErrorDetail
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
    AuthenticationFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    JobCancelled,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.notes import Note
from wanbridge.model.pictures import data_beginning, data_bytes, from_data_uri, has_alpha
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels, SizeLimits
from wanbridge.model.structuring import ShapeError, lenient, structure
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

_SOURCE = (
    "https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference, "
    "read 2026-11-20"
)
# "size": total pixels and a ratio from 1:8 to 8:1; no limit on a side (api).
_UP_TO_2K = SizeLimits(tiers=("1K", "2K"), min_area=768 * 768, max_area=2048 * 2048, source=_SOURCE)
_UP_TO_4K = SizeLimits(
    tiers=("1K", "2K", "4K"), min_area=768 * 768, max_area=4096 * 4096, source=_SOURCE
)
# "image" (api). An alpha channel is "not supported"; what becomes of one is not said.
_PICTURES = PictureLimits(
    formats=frozenset({"image/png", "image/jpeg", "image/bmp", "image/webp"}),
    min_side=240,
    max_side=8000,
    max_ratio=8,
    source=_SOURCE,
)
# Originals under about 7 MB where they come as base64 (error-code); a body with base64 has 64 MiB
# at most (rate-limit), so all together stay under 60 MB as base64.
_INLINE = 7_000_000
_INLINE_ALL = 45_000_000
# negative_prompt is listed by one page and called unsupported for 2.7 by the guide: not sold.
_FIELDS = frozenset(
    {
        *("images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed"),
        "watermark",
    }
)


def _offer(model: str, text: SizeLimits) -> Offer:
    limits = Limits(
        text=text,
        edit=_UP_TO_2K,
        set=_UP_TO_2K,
        source=_SOURCE,
        image_schemes=frozenset({"https", "http", "data", "oss"}),
        # However they come: above `_INLINE` they are uploaded (api).
        data_bytes=20_000_000,
        pictures=_PICTURES,
        # Not documented; a fresh id may read UNKNOWN for some seconds.
        missing_grace=30.0,
        # Creates and running tasks for one model; polls for the whole account (rate-limit, tasks).
        rates=RateLimits(creates=5.0, running=5, polls=20.0),
    )
    return Offer(
        model=model,
        alias=model,
        fields=_FIELDS,
        limits=limits,
        output="png",  # api, "image": a link to a PNG
        failure_charge=Charge.NO,  # "nothing that fails is billed" (error-code)
    )


_OFFERS = (_offer("wan2.7-image", _UP_TO_2K), _offer("wan2.7-image-pro", _UP_TO_4K))

# How often a policy is asked for when storage calls the last one ended; they live 300 s (upload).
_POLICIES = 2
_UPLOAD_SECONDS = 120.0
# Of a task, its result and its links (api, tasks).
_LIFE = timedelta(hours=24)
# The zone of the service's times is not documented; Beijing and Singapore share this one.
_ZONE = timezone(timedelta(hours=8))
# Of the list of tasks: its default page size (tasks), and how many pages are looked at.
_PAGE_SIZE, _PAGES = 10, 5

# Codes as `_plain` has them, for their spelling varies; each also stands for all that follow it
# with a dot (error-code). "throttling" does so with any status (third parties).
_CODES: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = tuple(
    (re.compile(rf"({codes})(\..*)?"), cls)
    for codes, cls in (
        ("throttling.*|limitrequests|insufficientquota", RateLimited),
        # Their statuses mislead: 400, 403 and three times 429.
        (r"arrearage|allocationquota\.freetieronly", CreditExhausted),
        ("commoditynotpurchased|(pre|post)paidbilloverdue", CreditExhausted),
        ("datainspectionfailed|ipinfringementsuspect", ContentRefused),
        ("(customrole|faqrule)blocked", ContentRefused),
        ("invalidapikey|not authorized", AuthenticationFailed),
        (r"((model|workspace|endpoint|app)\.)?accessdenied", AuthenticationFailed),
        ("invalid(parameter|url|image|file)|badrequest", RequestRejected),
        ("unsupportedoperation|conflict|modelnotsupported", RequestRejected),
        (r"(model|workspace)?notfound|model\.notexist", RequestRejected),
        ("internalerror|systemerror|modelservicefailed|rewritefailed", ProviderUnavailable),
        ("requesttimeout|gatewaytimeout|modelservingerror", ProviderUnavailable),
        ("(model|service)unavailable", ProviderUnavailable),
    )
)
# What a poll itself, rather than the generation, can be refused for.
_OF_THE_CALL = (AuthenticationFailed, CreditExhausted, RateLimited, ProviderUnavailable)


@frozen
class _Part:
    image: str | None = None


@frozen
class _Message:
    content: list[_Part]


@frozen
class _Choice:
    message: _Message


@frozen
class _Output:
    task_id: str | None = None
    task_status: str | None = None
    choices: list[_Choice] | None = None
    code: str | None = lenient()
    message: str | None = lenient()

    @property
    def links(self) -> list[str]:
        # n > 1 comes as n choices or as one choice of n parts; text parts have no "image" (api).
        parts = [part for choice in self.choices or () for part in choice.message.content]
        return [part.image for part in parts if part.image]


@frozen
class _Usage:
    image_count: int | None = lenient()


@frozen
class _Reply:
    output: _Output | None = None
    usage: _Usage | None = lenient()
    request_id: str | None = lenient()
    code: str | None = lenient()
    message: str | None = lenient()

    @property
    def out(self) -> _Output:
        return self.output or _Output()


@frozen
class _Listed:
    task_id: str


@frozen
class _Listing:
    data: list[_Listed]
    total: int | None = lenient()


@frozen
class _Policy:
    """Where a file may be put, for some minutes, and the proof of it (upload)."""

    policy: str
    signature: str
    upload_dir: str
    upload_host: str
    oss_access_key_id: str
    x_oss_object_acl: str
    x_oss_forbid_overwrite: str
    max_file_size_mb: float | None = lenient()


@frozen
class _Granted:
    data: _Policy


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
    offers = _OFFERS
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
        """Which pictures are uploaded, and which have an alpha channel."""
        for index, size in _too_long(request.images).items():
            said = f"images[{index}]: {size:,} bytes are uploaded to DashScope first, for 48 hours"
            yield Note("images", "info", said)
        for index, image in enumerate(request.images):
            if image.scheme == "data" and has_alpha(_beginning(image)):
                said = "a PNG with an alpha channel, which is not supported; flatten it"
                yield Note("images", "info", f"images[{index}]: {said}")

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """Upload what is too long to go inline, and name it by ``oss://`` (upload).

        Raises:
            UnsupportedFeature: nothing can be uploaded with this account or in its region.
        """
        images, stored = list(request.images), dict[str, str]()
        for index in _too_long(request.images):
            image = images[index]
            assert image.url is not None
            if image.url not in stored:
                stored[image.url] = yield from self._upload(image.url, f"images[{index}]", offer)
            images[index] = evolve(image, url=stored[image.url])
        return evolve(request, images=tuple(images)) if stored else request

    def _upload(self, uri: str, name: str, offer: Offer) -> Exchange[str]:
        """The ``oss://`` address of a picture; a policy that has ended meanwhile is renewed."""
        try:
            data, mime = from_data_uri(uri)
        except ValueError as exc:
            raise self.unsupported("images", f"{name}: {exc}") from None
        refusal: ProviderError | None = None
        for _ in range(_POLICIES):
            policy = yield from self._policy(len(data), name, offer)
            # By content, so that a second send of the same form finds the file of the first.
            file = f"{hashlib.sha256(data).hexdigest()}.{mime.partition('/')[2]}"
            key = f"{policy.upload_dir}/{file}"
            part = FormFile(name="file", filename=file, mime=mime, data=data)
            response = yield _form(policy, key, part)
            if response.status < 300 or b"<Code>FileAlreadyExists<" in response.body:
                return f"oss://{key}"
            detail = ErrorDetail(code=None, message=f"{name} was not stored: {response.text(160)}")
            cls = self.classify(response.status, None)
            # Storage judges the policy, not our key.
            cls = RequestRejected if cls is AuthenticationFailed else cls
            refusal = self.error(cls, detail, response, charge=Charge.NO, raw=response.text())
            if response.status != 403:
                break
        assert refusal is not None
        raise refusal

    def _policy(self, size: int, name: str, offer: Offer) -> Exchange[_Policy]:
        query = urlencode({"action": "getPolicy", "model": offer.alias})
        url = f"{self.base_url}/uploads?{query}"
        response = yield json_request("GET", url, headers=self.bearer())
        if (error := self.failure(response, op=Op.PREPARE)) is not None:
            error.charge = Charge.NO
            # One page knows uploads in Beijing only (upload); 401 is about the key.
            of_the_account = isinstance(error, RateLimited | CreditExhausted)
            if response.status in (400, 403, 404, 405) and not of_the_account:
                raise self._no_upload(size, name, f"the account or region has none ({error})")
            raise error
        policy = self.structure(response, _Granted).data
        if not self._may_store(policy.upload_host):
            raise self.malformed(response, "$.data.upload_host: not an https URL")
        if policy.max_file_size_mb is not None and size > policy.max_file_size_mb * 2**20:
            raise self._no_upload(size, name, f"at most {policy.max_file_size_mb:g} MB are taken")
        return policy

    def _may_store(self, url: str) -> bool:
        """Whether pictures may be sent there: over https, or to where the key goes as well."""
        parts, own = urlsplit(url), urlsplit(self.base_url)
        return bool(parts.hostname) and (parts.scheme == "https" or parts[:2] == own[:2])

    def _no_upload(self, size: int, name: str, why: str) -> UnsupportedFeature:
        said = f"{name}: {size:,} bytes, too long to go inline, cannot be uploaded: {why}"
        return self.unsupported(
            "images", f"{said}; give an https URL, or {_INLINE:,} bytes at most"
        )

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """The same body for both modes; there is no ratio word and no idempotency key."""
        pixels = self.pixels(request, offer)
        content: list[dict[str, str]] = [{"image": _link(url)} for url in self.links(request) or ()]
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
            headers={**self.bearer(), **self._switches(request)},
            body=body,
            # The server gives up after 300 s (error-code) or 600 s (base-url).
            read_timeout=310.0 if self.at_once else None,
        )

    def _switches(self, request: ImageRequest) -> dict[str, str]:
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
        reply = self.structure(response, _Reply, spoiled=spoiled)
        if reply.out.links:
            return Done(self._delivery(response, reply, spoiled))
        task = reply.out.task_id or ""
        if not (task and task.isascii() and task.isprintable()):
            message = "$.output: neither a task_id nor an image"
            raise self.malformed(response, message, raw=response.json())
        job = self.job(response, request, task, key=key)
        return Pending(evolve(job, collect_by=job.submitted_at + _LIFE))

    def poll(self, job: Job) -> HttpRequest:
        """Free, and at the host that made the task (tasks)."""
        return json_request("GET", _task(job), headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """The task's state; an id that is not known is UNKNOWN, and perhaps 404."""
        if response.status == 404:
            return Missing()
        spoiled: list[Problem] = []
        reply = self.structure(response, _Reply, spoiled=spoiled)
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

    def _delivery(self, response: HttpResponse, reply: _Reply, spoiled: list[Problem]) -> Delivery:
        received = response.received_at
        expires = received + _LIFE if received else None
        return Delivery(
            images=tuple(Image(url=link, expires_at=expires) for link in reply.out.links),
            # Delivered images are billed images (api); 0 beside a picture says nothing.
            billed=(reply.usage.image_count if reply.usage else None) or None,
            request_id=reply.request_id,
            notes=self.spoiled_notes(spoiled),
            raw=response.json(),
        )

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """By status, and in a 200 a task that ended without a picture or a code without a task."""
        if response.status >= 300:
            unknown = op is Op.POLL and self.is_unknown_task(response)
            return None if unknown else self.refusal(response, op=op, job=job)
        try:
            reply = structure(response.json(), _Reply)
        except ValueError:
            return None  # whoever reads it says what is wrong with it
        # A picture is worth more than a code, and an accepted task tells its end when polled.
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
            final = op is Op.POLL and cls not in _OF_THE_CALL
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
            reply = structure(body, _Reply)
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
        """By `_CODES`."""
        return next((cls for codes, cls in _CODES if codes.fullmatch(_plain(code))), None)

    def cancel(self, job: Job) -> Exchange[Cancelled | TooLate]:
        """Only a PENDING task can be cancelled (tasks)."""
        response = yield json_request("POST", f"{_task(job)}/cancel", headers=self.bearer())
        error = self.failure(response, op=Op.CANCEL, job=job)
        if error is None:
            self.structure(response, _Reply)
            return Cancelled(self.cancel_charge)
        if error.status == 400 and _plain(error.code or "") == "unsupportedoperation":
            return TooLate(error.message)
        raise error

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """Candidates only: the list of tasks shows neither prompt nor key (tasks)."""
        if self.at_once:
            return StillUnknown(detail="a sync call makes no task that could be looked up")
        minute = timedelta(minutes=1)
        since = (receipt.first_sent_at - minute).astimezone(_ZONE)
        until = (receipt.last_sent_at + minute).astimezone(_ZONE)
        alias = self.offer(receipt.request.model).alias
        found: list[str] = []
        for page in range(1, _PAGES + 1):
            query = {
                "start_time": f"{since:%Y%m%d%H%M%S}",
                "end_time": f"{until:%Y%m%d%H%M%S}",
                "model_name": alias,
                "page_no": page,
                "page_size": _PAGE_SIZE,
            }
            url = f"{receipt.base_url}/tasks/?{urlencode(query)}"
            response = yield json_request("GET", url, headers=self.bearer())
            if (error := self.failure(response, op=Op.FIND)) is not None:
                raise error
            listing = self.structure(response, _Listing)
            found += [task.task_id for task in listing.data]
            if len(listing.data) < _PAGE_SIZE or len(found) == listing.total:
                break
        detail = (
            f"{max(len(found), listing.total or 0)} tasks of {alias} from"
            f" {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S} (UTC+8), {len(found)} named here;"
            " the list shows neither prompt nor key, so only the caller can adopt one"
        )
        return StillUnknown(candidates=tuple(found), detail=detail)


def _beginning(image: InputImage) -> bytes:
    """The first bytes of a ``data:`` picture; none if it is not base64, which the plan tells."""
    try:
        return data_beginning(image.url or "")
    except ValueError:
        return b""


def _too_long(images: tuple[InputImage, ...]) -> dict[int, int]:
    """Index and bytes of the ``data:`` pictures that cannot go inline, alone or with the others."""
    found: dict[int, int] = {}
    inline = 0
    for index, image in enumerate(images):
        if image.scheme == "data" and image.url is not None:
            size = data_bytes(image.url)
            if size > _INLINE or inline + size > _INLINE_ALL:
                found[index] = size
            else:
                inline += size
    return found


def _form(policy: _Policy, key: str, file: FormFile) -> HttpRequest:
    """The upload, in the page's order; the storage host gets no API key (upload)."""
    kind, body = form(
        [
            ("OSSAccessKeyId", policy.oss_access_key_id),
            ("Signature", policy.signature),
            ("policy", policy.policy),
            ("key", key),
            ("x-oss-object-acl", policy.x_oss_object_acl),
            ("x-oss-forbid-overwrite", policy.x_oss_forbid_overwrite),
            ("success_action_status", "200"),
        ],
        file,
    )
    return HttpRequest(
        method="POST",
        url=policy.upload_host,
        headers={"Content-Type": kind},
        body=body,
        read_timeout=_UPLOAD_SECONDS,
    )


def _plain(code: str) -> str:
    """``data_inspection_failed`` and ``DataInspectionFailed`` are the same code."""
    return code.replace("_", "").lower()


def _task(job: Job) -> str:
    return f"{job.base_url}/tasks/{quote(job.id, safe='')}"


def _link(url: str) -> str:
    """The URL, percent-encoded where it is not ASCII; a signature stays byte for byte."""
    return url if url.isascii() else quote(url, safe=string.punctuation)
