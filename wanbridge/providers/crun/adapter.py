"""Crun: one task API for many models, whose input for Wan no page shows.

``POST /client/job/CreateTask`` answers ``{code, message, data}`` with a task id, ``TaskInfo`` with
the task. Errors stand in the HTTP status, in ``code`` or in both; success needs both good. The
model's page leaves ``input`` out, so its names are a guess, `INPUT`: most of them are sent only
with the option ``allow_unverified``, and ``Models/{model}`` tells the truth (`check_schema`).
Money is in credits, reserved while a task runs and actual once it has ended. Inputs are URLs: what
comes as ``data:`` is uploaded first, to another host. Callbacks are unsigned, there is no cancel,
no list of tasks, and a create is never repeated. In mainland China the host is api.crunai.com.

Longer than a plain task API: the mapping, uploads, two ways to estimate, callbacks.

Pages, all read 2026-11-20, in comments by the word before the colon:

- model: https://docs.crun.ai/models/wan/wan-2-7-image-pro
- task: https://docs.crun.ai/models/common/get-task-info
- credits: https://docs.crun.ai/common-api/get-account-credits
- openapi: Crun's own files, as kept in https://github.com/genfeedai/genfeed.ai,
  apps/server/api/src/services/integrations/crun/contracts/fixtures
- skills: https://github.com/CrunTeam/crun-agent-skills, the vendor's command-line client
- clients: third parties
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from attrs import evolve, field, frozen, validators

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, Offer, PollInterval, RateLimits
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import (
    CallbackEvent,
    Delivery,
    Done,
    Exchange,
    Missing,
    ModelInfo,
    Op,
    Pending,
    Step,
)
from wanbridge.errors import (
    CallbackRefused,
    Charge,
    GenerationFailed,
    MalformedResponse,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RequestRejected,
)
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.pictures import Facts, from_data_uri
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels, SizeLimits
from wanbridge.model.structuring import ShapeError, lenient, structure
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

T = TypeVar("T")


@frozen
class WireName:
    """What one part of a request is called in ``input``.

    Attributes:
        verified: True if it is sent without ``allow_unverified``.
    """

    name: str
    verified: bool


# Canonical field to Crun's; "resolution", "aspect_ratio" and "pixels" are parts of size. Verified
# are the words of Crun's other image models (openapi), and "n", which has one name at the maker and
# must be said, for its default there is 4. "img_urls" is such a word too, but were it ignored, an
# edit would be bought as a picture without its images. No name for exact pixels is known.
INPUT: Mapping[str, WireName] = {
    "prompt": WireName("prompt", verified=True),
    "images": WireName("img_urls", verified=False),
    "resolution": WireName("resolution", verified=True),
    "aspect_ratio": WireName("aspect_ratio", verified=True),
    "n": WireName("n", verified=True),
    "sequential": WireName("enable_sequential", verified=False),
    "thinking": WireName("thinking_mode", verified=False),
    "color_palette": WireName("color_palette", verified=False),
    "regions": WireName("bbox_list", verified=False),
    "seed": WireName("seed", verified=False),
    "watermark": WireName("watermark", verified=False),
}
# Not fields of an offer: the prompt is always sent, the others are parts of size.
_PARTS = {"prompt", "resolution", "aspect_ratio", "pixels"}
# Other names that the count may have, which decides on the price.
_COUNTS = frozenset({"num_outputs", "num_images"})

# The page says 4K is sold, the bounds and the words for ratios are the maker's.
_SOURCE = "https://docs.crun.ai/models/wan/wan-2-7-image-pro and Wan's maker, read 2026-11-20"
_TO_2048 = SizeLimits(tiers=("1K", "2K"), min_side=768, max_side=2048, source=_SOURCE)
_TO_4096 = evolve(_TO_2048, tiers=("1K", "2K", "4K"), max_side=4096)
_RATIOS = frozenset(
    {"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "8:1", "1:8"},
)
_ALIASES = (
    ("wan2.7-image", "wan/2-7-image", _TO_2048),
    ("wan2.7-image-pro", "wan/2-7-image-pro", _TO_4096),
)
# Opaque: declared with 36 characters, shown with other lengths (task).
_ID = re.compile(r"[!-~]{1,256}")
# Whatever decimal context the caller has set.
_EXACT = Context(prec=60, traps=[])
_CREDITS_MOST = 10**9


@frozen
class _Result:
    media_urls: list[str] | None = None
    code: int | None = lenient()
    message: str | None = lenient()


@frozen
class _Task:
    task_id: str | None = None
    status: str | None = None
    credits: Decimal | None = lenient()
    result: _Result | None = None

    @property
    def links(self) -> list[str]:
        return [url for url in (self.result and self.result.media_urls) or () if url]

    @property
    def spent(self) -> Decimal | None:
        """Credits, actual ones once the task has ended (task); None if nobody knows."""
        known = self.credits is not None and 0 <= self.credits <= _CREDITS_MOST
        return self.credits if known else None


@frozen
class _Said:
    code: int | None = lenient()
    message: str | None = lenient()
    errors: list[str] = lenient(())
    data: Any = None


@frozen
class _Balance:
    balance: Decimal


@frozen
class _Estimate:
    credits: Decimal | None = None
    estimated_credits: Decimal | None = None


@frozen
class _Place:
    presigned_url: str
    file_url: str


@frozen
class _Model:
    input_schema: dict[str, Any] | None = lenient()


def _exact(value: str | Decimal | None) -> Decimal | None:
    """An amount; floats are refused."""
    return None if value is None else Money(value, "USD").amount


@frozen(kw_only=True)
class Options:
    """What can be chosen for Crun.

    Attributes:
        allow_unverified: Also send fields whose names are a guess; a wrong one is refused by Crun
            with 422, free of charge.
        usd_per_credit: Dollars of one credit, as text; None leaves costs in credits. Crun
            publishes no rate, and third parties differ (0.005 and 0.025).
    """

    allow_unverified: bool = field(default=False, validator=validators.instance_of(bool))
    usd_per_credit: Decimal | None = field(
        default=None, converter=_exact, validator=validators.optional(validators.gt(Decimal(0)))
    )


@frozen(kw_only=True)
class Crun(Adapter):
    """Crun's task API.

    Attributes:
        mapping: What ``input`` is made with; replace it once `check_schema` has told the truth.
            With an entry ``pixels``, exact sizes go there as ``W*H``.
    """

    name = "crun"
    default_url = "https://api.crun.ai/api/v1"
    Options: ClassVar[type[Any]] = Options
    # Every 5 s in the vendor's client (skills), every 10 to 20 s in others.
    poll_interval = PollInterval(first=5.0, most=15.0)
    # Codes of which creating is what did not happen (model; 403: task). Not 429 and 455: that
    # they create nothing is an inference, and the vendor's rule is no second create (skills).
    not_accepted = frozenset({401, 402, 403, 404, 422, 505})
    error_codes: ClassVar = {
        "455": ProviderUnavailable,  # maintenance
        "501": GenerationFailed,
        "505": RequestRejected,  # the feature is switched off: not to be sent again
    }
    mapping: Mapping[str, WireName] = field(factory=lambda: INPUT)

    @property
    def reserved(self) -> frozenset[str]:  # type: ignore[override]
        """Every name of the mapping, sent or not, and other names for the count."""
        return _COUNTS.union(wire.name for wire in self.mapping.values())

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Both models, with the fields that may be said by mapping and options."""
        said = [name for name in self.mapping if self._says(name)]
        reason = "Crun's name for it is a guess ({!r}); allow_unverified = true sends it"
        withheld = {
            name: reason.format(wire.name)
            for name, wire in self.mapping.items()
            if name not in said
        }
        return tuple(
            Offer(
                model=model,
                alias=alias,
                # The callback is documented and not part of ``input`` (model).
                fields=frozenset({*said, "size", "callback_url"} - _PARTS),
                refused=withheld,
                limits=Limits(
                    text=text,
                    edit=_TO_2048,
                    set=_TO_2048,
                    source=_SOURCE,
                    prompt_required=True,
                    image_schemes=frozenset({"https", "http", "data"}),
                    # Unpublished; what another client allows itself (clients).
                    rates=RateLimits(creates=1.0),
                ),
                failure_charge=Charge.MAYBE,  # by the credits of the ended task (task)
                verified=all(wire.verified for wire in self.mapping.values()),
            )
            for model, alias, text in _ALIASES
        )

    def _says(self, name: str) -> bool:
        wire = self.mapping.get(name)
        return wire is not None and (wire.verified or self.options.allow_unverified)

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None where words can say it; pixels are refused as long as no name is known for them."""
        size = request.size
        word = size.aspect_ratio is None or (size.aspect_ratio in _RATIOS and not request.images)
        if word and not size.pixels:
            return None
        if self._says("pixels"):
            return self.in_pixels(request, offer)
        if size.pixels:
            raise self.unsupported("size", f"{size}; no name for exact pixels is known here")
        if size.aspect_ratio in _RATIOS:
            raise self.unsupported("size", f"{size.aspect_ratio}; with images the last one decides")
        raise self.unsupported("size", f"{size.aspect_ratio}; {', '.join(sorted(_RATIOS))}")

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """There is nothing that makes a second send harmless (skills)."""
        return self._post("CreateTask", self._body(request, offer))

    def _body(self, request: ImageRequest, offer: Offer) -> dict[str, Any]:
        pixels = self.pixels(request, offer)
        words = None if pixels else request.size
        # No default but that of "n" is known, so all values are said.
        values = {
            "prompt": request.prompt,
            "images": self.links(request),
            "resolution": words and words.tier,
            "aspect_ratio": None
            if request.images or not words
            else request.size.aspect_ratio or "1:1",
            "pixels": f"{pixels.width}*{pixels.height}" if pixels else None,
            "n": request.n,
            "sequential": request.sequential or None,
            "thinking": self.thinks(request),
            "color_palette": self.palette(request),
            "regions": self.boxes(request),
            "seed": request.seed,
            "watermark": request.watermark,
        }
        said = {self.mapping[k].name: v for k, v in values.items() if self._says(k)}
        body = {
            "model": offer.alias,
            "input": {**compact(said), **self.extras(request)},
            "callback_url": request.callback_url,
        }
        return {k: v for k, v in body.items() if v is not None}

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """The task; a status beside the id is left to the poll."""
        task = self._data(response, _Task)
        if not _ID.fullmatch(task.task_id or ""):
            message = "$.data.task_id: missing, or not 1 to 256 printable characters"
            raise self.malformed(response, message, raw=response.json())
        return Pending(self.job(response, request, task.task_id or "", key=key))

    def poll(self, job: Job) -> HttpRequest:
        """``TaskInfo``."""
        url = f"{job.base_url}/client/job/TaskInfo?{urlencode({'task_id': job.id})}"
        return json_request("GET", url, headers=self.x_api_key())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """The task's own ``status`` decides, never the code of its result (clients)."""
        if _code(response) == 404:
            return Missing()
        spoiled: list[Problem] = []
        task = self._data(response, _Task, spoiled)
        match task.status:
            case "success" | "failed" if task.links:
                delivery = Delivery(
                    images=tuple(Image(url=url) for url in task.links),
                    cost=self._money(task.spent) if task.spent else None,
                    notes=self.spoiled_notes(spoiled),
                    raw=response.json(),
                )
                return Done(delivery)
            case "pending" | "running":
                return Pending(job, retry_after=response.retry_after)
            case status:
                message = f"$.data.status: task {job.id} has status {status!r}"
                raise self.malformed(response, message, raw=response.json())

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """By status and code together; a task that has ended without a picture is a good reply."""
        try:
            body = response.json()
            detail = self.error_detail(body)
        except ValueError:
            body, detail = None, None
        code = _code(response)
        if code < 300:
            return self._ended(response, job) if op is Op.POLL else None
        if detail is None:
            return self.refusal(response, op=op, job=job)
        if op is Op.POLL and code == 404:
            return None
        # Any other 5xx says that something broke, whatever stands in it.
        trusted = response.status < 500 or response.status == code
        surely_not = trusted and code in self.not_accepted and not detail.task_id
        return self.error(
            self.classify(code, str(code)),
            detail,
            response,
            charge=self._submit_charge(op, surely_not),
            raw=body,
            job=job,
        )

    def _ended(self, response: HttpResponse, job: Job | None) -> ProviderError | None:
        """A task that ended without a picture; what it cost stands beside it."""
        try:
            body, task = response.json(), self._data(response, _Task)
        except (ValueError, MalformedResponse):
            return None  # whoever reads it says what is wrong with it
        if task.links or task.status not in ("success", "failed"):
            return None
        result = task.result or _Result()
        said = result.message or "no explanation"
        charge = Charge.YES if task.spent else Charge.MAYBE
        if task.status == "success":
            said = "completed without an image"
        elif task.spent == 0:
            charge = Charge.NO
        code = None if result.code is None else str(result.code)
        detail = ErrorDetail(code=code, message=said)
        return self.error(
            GenerationFailed, detail, response, charge=charge, raw=body, job=job, final=True
        )

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{code, message, data}``, with 422 a list of ``errors`` that name the field."""
        try:
            said = structure(body, _Said)
        except ShapeError:
            return None
        if said.code is None and said.message is None:
            return None
        return ErrorDetail(
            code=None if said.code is None else str(said.code),
            message=": ".join(filter(None, [said.message, "; ".join(said.errors)]))
            or "no explanation",
            task_id=said.data.get("task_id") if isinstance(said.data, dict) else None,
        )

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """The bare task, or in the envelope of ``TaskInfo``; nothing is signed (model)."""
        try:
            body = request.json()
            wrapped = isinstance(body, dict) and "task_id" not in body
            task = structure(body.get("data") if wrapped else body, _Task)
        except ValueError as exc:
            raise CallbackRefused(f"crun: not a task: {exc}") from None
        if not _ID.fullmatch(task.task_id or ""):
            raise CallbackRefused("crun: $.task_id: missing, or not 1 to 256 printable characters")
        ended = {"success": True, "failed": True, "pending": False, "running": False}
        event = CallbackEvent(
            task_id=task.task_id or "", ended=ended.get(task.status or ""), raw=body
        )
        return [event]

    # -- free questions -------------------------------------------------------------------

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """``data:`` images to where Crun can read them, each once."""
        places: dict[str, str] = {}
        for uri in [image.url for image in request.images if image.scheme == "data"]:
            if uri is not None and uri not in places:
                places[uri] = yield from self._upload(uri)

        moved = [evolve(i, url=places.get(i.url or "", i.url)) for i in request.images]
        return evolve(request, images=tuple(moved))

    def _upload(self, uri: str) -> Exchange[str]:
        """A presigned place, then the bytes: to another host, which must not see the key."""
        try:
            data, mime = from_data_uri(uri)
        except ValueError as exc:
            raise self.unsupported("images", str(exc)) from None
        query = urlencode({"content_type": mime, "ext": Facts(mime, None, None).extension})
        url = f"{self.base_url}/client/files/upload-url?{query}"
        response = yield from self._answered(self._get(url), Op.PREPARE)
        place = self._data(response, _Place)
        for name, value in (("presigned_url", place.presigned_url), ("file_url", place.file_url)):
            if not self._reachable(value):
                message = f"$.data.{name}: neither https nor on the host of base_url"
                raise self.malformed(response, message, raw=response.json())
        put = HttpRequest(
            method="PUT", url=place.presigned_url, headers={"Content-Type": mime}, body=data
        )
        response = yield put
        if response.status >= 300:
            said = ErrorDetail(code=None, message=f"the upload was refused: {response.text()}")
            raise self.error(ProviderUnavailable, said, response, charge=Charge.NO)
        return place.file_url

    def _reachable(self, url: str) -> bool:
        try:
            parts, home = urlsplit(url), urlsplit(self.base_url)
        except ValueError:
            return False
        return bool(parts.hostname) and (parts.scheme == "https" or parts[:2] == home[:2])

    def estimate(self, request: ImageRequest, offer: Offer) -> Exchange[Money]:
        """What Crun says the very message would cost; an older path where the newer is unknown."""
        prepared = yield from self.prepare(request, offer)
        body = self._body(prepared, offer)
        response = yield self._post("estimate-credits", body)
        if _code(response) in (404, 405):
            response = yield self._post("EstimateTask", body)
        if (error := self.failure(response, op=Op.ESTIMATE)) is not None:
            raise error
        told = self._data(response, _Estimate)
        price = told.estimated_credits if told.credits is None else told.credits
        if price is None:
            raise self.malformed(response, "$.data.credits: missing", raw=response.json())
        return self._money(price)

    def balance(self) -> Exchange[Money]:
        """Credits that are left, a fraction too (credits)."""
        url = f"{self.base_url}/client/account/balance"
        response = yield from self._answered(self._get(url), Op.BALANCE)
        return self._money(self._data(response, _Balance).balance)

    def models(self) -> Exchange[tuple[ModelInfo, ...]]:
        """Those of our models that are there, with the schema of their ``input`` (openapi)."""
        found = []
        for offer in self.offers:
            # The slash of the id stays one.
            url = f"{self.base_url}/client/job/Models/{quote(offer.alias)}"
            response = yield self._get(url)
            if _code(response) == 404:
                continue
            if (error := self.failure(response, op=Op.MODELS)) is not None:
                raise error
            schema = self._data(response, _Model).input_schema
            found.append(ModelInfo(id=offer.alias, schema=schema, raw=response.json()))
        return tuple(found)

    def _answered(self, message: HttpRequest, op: Op) -> Exchange[HttpResponse]:
        response = yield message
        if (error := self.failure(response, op=op)) is not None:
            raise error
        return response

    def _data(
        self, response: HttpResponse, shape: type[T], spoiled: list[Problem] | None = None
    ) -> T:
        """What the envelope holds, as *shape*."""
        body, found = self.parse(response), list[Problem]()
        try:
            made = structure(
                body.get("data") if isinstance(body, dict) else body, shape, spoiled=found
            )
        except ShapeError as exc:
            message = "; ".join(str(p.under("$.data")) for p in exc.problems)
            raise self.malformed(response, message, raw=body) from None
        if spoiled is not None:
            spoiled += [p.under("$.data") for p in found]
        return made

    def _get(self, url: str) -> HttpRequest:
        return json_request("GET", url, headers=self.x_api_key())

    def _post(self, path: str, body: Mapping[str, Any]) -> HttpRequest:
        url = f"{self.base_url}/client/job/{path}"
        return json_request("POST", url, headers=self.x_api_key(), body=body)

    def _money(self, credits: Decimal) -> Money:
        """In dollars if a rate is configured; Crun publishes none."""
        rate = self.options.usd_per_credit
        if rate is None:
            return Money(credits, "CRUN-CREDITS")
        return Money(_EXACT.multiply(credits, rate), "USD")


@frozen(kw_only=True)
class SchemaCheck:
    """How a model's own ``input_schema`` and a mapping differ.

    Attributes:
        absent: Names that the mapping would send and the schema lacks; Crun answers 422 to them.
        unmapped: Properties of the schema that the mapping does not use.
    """

    absent: tuple[str, ...]
    unmapped: tuple[str, ...]


def check_schema(
    schema: Mapping[str, Any] | None, mapping: Mapping[str, WireName] = INPUT
) -> SchemaCheck:
    """Compare the schema of a `ModelInfo` with *mapping*; no schema has no properties."""
    properties = (schema or {}).get("properties")
    there = set(properties) if isinstance(properties, dict) else set[str]()
    ours = [wire.name for wire in mapping.values()]
    return SchemaCheck(
        absent=tuple(name for name in ours if name not in there),
        unmapped=tuple(sorted(there.difference(ours))),
    )


def _code(response: HttpResponse) -> int:
    """The code of the body if it is an integer other than 200, else the HTTP status.

    Both places occur, and only 2xx with 200 is success (skills); so another 2xx is none.
    """
    try:
        code = structure(response.json(), _Said).code
    except ValueError:
        return response.status
    if code is not None and code >= 300:
        return code
    return 500 if code not in (None, 200) and response.status < 300 else response.status
