"""Runware: a task with an id of our own making, acknowledged at once, polled until it ends.

Everything is a ``POST`` of an array of task objects to one URL. ``imageInference`` with
``deliveryMethod`` ``async`` is acknowledged with its ``taskUUID``; ``getResponse`` with the same
UUID then gives the whole present state each time: per picture one element of ``data`` or one
entry of ``errors``, at HTTP 200 too. The UUID is also what makes a second send harmless:
it is answered with ``conflictTaskUUID``. The same answer to a *first* send means that the
task is somebody else's, so it is never polled.

Long for an adapter: a failed picture has two documented shapes and several tolerated ones,
completion is counted, and what a poll was refused for is not what its pictures failed of.

Sources: https://runware.ai/docs/models/alibaba-wan2-7-image ("model page" below),
https://runware.ai/docs/platform/errors and /task-polling, the source of runware-sdk 1.8.0
("sdk"); all read 2026-11-20.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, Offer, PictureLimits, PollInterval
from wanbridge.adapters.replies import ErrorDetail
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
    AuthenticationFailed,
    CallbackRefused,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    MalformedResponse,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Failure, Image
from wanbridge.model.size_rules import SizeLimits
from wanbridge.model.structuring import ShapeError, lenient, named, structure
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request

_PAGE = "https://runware.ai/docs/models/alibaba-wan2-7-image"
_FIELDS = frozenset({
    "images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed",
    "output_format", "inline", "callback_url",
})  # fmt: skip
# Model page: each side 768 to 2048 in steps of 16, in every mode. No rule on area or ratio.
_TO_2048 = SizeLimits(
    tiers=("1K", "2K"),
    min_side=768,
    max_side=2048,
    exact_step=16,
    source=f"{_PAGE}, read 2026-11-20",
)
# The pro page could be read in part: that it has the same parameters and modes is its own word,
# its sizes are what three public integrations agree they read there. Upstream ends sets at 2K.
_PRO_2048 = evolve(_TO_2048, source=f"{_PAGE}-pro, recorded by third parties, read 2026-11-20")
_PRO_4096 = evolve(_PRO_2048, tiers=("1K", "2K", "4K"), max_side=4096)
# The formats of inline pictures stand in an older reference. The rest is upstream's, as the maker's
# page has it (read 2026-11-20): a generation that fails on it may cost money here.
_PICTURES = PictureLimits(
    formats=frozenset({"image/png", "image/jpeg", "image/webp"}),
    min_side=240,
    max_side=8000,
    max_ratio=8,
    source="https://runware.ai/docs and https://help.aliyun.com/zh/model-studio/"
    "wan-image-generation-and-editing-api-reference, read 2026-11-20",
)
_LIMITS = Limits(
    text=_TO_2048,
    edit=_TO_2048,
    set=_TO_2048,
    source=_TO_2048.source,
    prompt=3000,
    prompt_required=True,
    image_schemes=frozenset({"https", "http", "data", "ref"}),
    data_bytes=20_000_000,  # upstream's; Runware publishes none of its own
    pictures=_PICTURES,
    missing_grace=30.0,  # users' advice, none is documented
    # No rates: 2 to 4 at a time is advice (docs/platform/rate-limits, read 2026-11-20).
)
_OFFERS = (
    Offer(
        model="wan2.7-image",
        alias="alibaba:wan@2.7-image",
        fields=_FIELDS,
        limits=_LIMITS,
        failure_charge=Charge.MAYBE,  # "not charged" is third parties' word only
    ),
    Offer(
        model="wan2.7-image-pro",
        alias="alibaba:wan@2.7-image-pro",
        fields=_FIELDS,
        limits=evolve(
            _LIMITS, text=_PRO_4096, edit=_PRO_2048, set=_PRO_2048, source=_PRO_2048.source
        ),
        failure_charge=Charge.MAYBE,
    ),
)
_FORMATS = {None: "PNG", "png": "PNG", "jpeg": "JPG", "webp": "WEBP"}

# The catalogue is long and unstable, so the official client goes by pattern (sdk). Order matters:
# "providerInsufficientCredits" is about money, "invalidProviderContent" about content. In any
# letter case: the published "timeoutProvider" escapes the client's own "Timeout".
_CODES: tuple[tuple[str, type[ProviderError]], ...] = (
    ("content(policyviolation|moderation)|(sensitive|unsafe|nsfw)content", ContentRefused),
    ("(prompt|image)blocked|moderationfailed|invalidprovidercontent", ContentRefused),
    ("apikey|^unauthorized$|^authenticationfailed$|^token(expired|invalid)$", AuthenticationFailed),
    ("^(accountsuspended|organizationdisabled|forbidden)$|permission", AuthenticationFailed),
    ("credits|quota|balance|paymentrequired", CreditExhausted),
    ("ratelimit", RateLimited),
    ("timeout|^task(cancelled|failed)$", GenerationFailed),
    ("(notfound|expired)$", RequestRejected),
    ("^(internalservererror|(service|server)unavailable)$", ProviderUnavailable),
    ("^(unknownerror|standarderror|unrecognizedresponse)$", ProviderUnavailable),
    ("^provider|^inferenceerror$|^(processing|download|upload)failed$", GenerationFailed),
    ("^noavailableserver$|^model(unavailable|notready|disabled)$", GenerationFailed),
    ("^(invalid|missing|unsupported|conflict|duplicate|value|array|max)", RequestRejected),
    ("^(unknownparameter|incompatibleparameters|validationfailed)$", RequestRejected),
)
# Of a task that goes on; the polling page in two editions, and the legacy client.
_UNDER_WAY = frozenset({"processing", "pending", "queued", "scheduled", "waiting"})
_CONFLICT = "conflictTaskUUID"
_UNKNOWN_TASK = re.compile("task.*(notfound|expired)$", re.IGNORECASE)

# What a poll itself can be refused for, rather than the picture it asks about.
_NO_ANSWER = (AuthenticationFailed, CreditExhausted, RateLimited, ProviderUnavailable)

# When `find` may say that nothing was accepted: once getResponse must know an accepted task, and
# while it surely has not forgotten one. Neither is documented; both are wide.
_FIND_FROM, _FIND_UNTIL = timedelta(seconds=30), timedelta(minutes=10)


@frozen
class _Fault:
    code: str | None = lenient()
    message: str | None = lenient()
    task: str | None = lenient(key="taskUUID")
    status: str | None = lenient()
    parameter: Any = None  # text, or a list of it for rules across fields
    cost: Decimal | None = lenient()

    @property
    def detail(self) -> ErrorDetail:
        """Code and message, which names the parameter to blame."""
        names = self.parameter if isinstance(self.parameter, list) else [self.parameter]
        where = ", ".join(name for name in names if isinstance(name, str))
        said = self.message or "no explanation"
        return ErrorDetail(code=self.code, message=said if where in said else f"{where}: {said}")


@frozen
class _Element:
    task: str = named("taskUUID")
    # An older edition of the polling page says pending; the legacy client knows the last three.
    status: (
        Literal["processing", "success", "error", "pending", "queued", "scheduled", "waiting"]
        | None
    ) = None
    uuid: str | None = lenient(key="imageUUID")
    url: str | None = named("imageURL", None)
    base64: str | None = named("imageBase64Data", None)
    data_uri: str | None = named("imageDataURI", None)
    error: _Fault | None = lenient()
    seed: int | None = lenient()  # unsigned 32 bits and more, unlike that of a request
    cost: Decimal | None = lenient()
    progress: float | None = lenient()
    nsfw: bool | None = lenient(key="NSFWContent")

    @property
    def phase(self) -> str:
        """``success``, ``error`` or ``processing``; so is a bare acknowledgement."""
        if self.status is None:
            output = self.url or self.base64 or self.data_uri
            return "success" if output else "error" if self.error else "processing"
        return self.status if self.status in ("success", "error") else "processing"

    def image(self) -> Image | None:
        """The picture, whichever way it came; None if it did not."""
        packed = self.base64 or (self.data_uri or "").partition(",")[2]
        try:
            data = b64decode(packed, validate=True)
        except ValueError:
            data = b""
        if not (self.url or data):
            return None
        seed = self.seed if self.seed is not None and 0 <= self.seed < 2**64 else None
        return Image(url=self.url or None, data=data or None, seed=seed)


@frozen
class _Envelope:
    data: list[_Element] | None
    errors: list[_Fault]


@frozen
class _Called:
    """One item of a callback: a result object, a fault, or word that it goes on."""

    task: str = named("taskUUID")
    picture: str | None = lenient(key="imageUUID")
    status: str | None = lenient()
    code: str | None = lenient()
    message: str | None = lenient()
    error: dict[str, Any] | None = lenient()
    url: str | None = lenient(key="imageURL")
    base64: str | None = lenient(key="imageBase64Data")
    data_uri: str | None = lenient(key="imageDataURI")

    @property
    def goes_on(self) -> bool:
        """Whether nothing has ended: such a status, or a bare acknowledgement."""
        if self.status is not None:
            return self.status in _UNDER_WAY
        told = (self.url, self.base64, self.data_uri, self.code, self.message, self.error)
        return not any(told)


@frozen(kw_only=True)
class _State:
    """What one reply says of one task.

    Attributes:
        acknowledged: The task is in ``data``, or ``data`` is an empty array.
        running: Elements that go on; a bare acknowledgement is one.
        pictures: Finished ones, each once.
        faults: Everything that went wrong, with the call too.
        failures: Those of them that are pictures which will not come.
    """

    body: Any
    acknowledged: bool
    running: list[_Element]
    pictures: list[tuple[_Element, Image]]
    faults: list[_Fault]
    failures: list[_Fault]

    @property
    def known(self) -> bool:
        return bool(self.running or self.pictures or self.failures)

    @property
    def settled(self) -> dict[str, int]:
        """What has ended, once nothing goes on; else empty."""
        if self.running or not self.known:
            return {}
        return {"pictures": len(self.pictures), "failures": len(self.failures)}

    def complete(self, asked: int, before: Mapping[str, Any]) -> bool:
        """As many as asked (sdk); or fewer, nothing goes on and two polls say the same."""
        ended = len(self.pictures) + len(self.failures)
        return ended >= asked or (self.settled != {} and self.settled == dict(before))

    @property
    def progress(self) -> float | None:
        told = [element.progress for element in self.running if element.progress is not None]
        return min(max(min(told) / 100, 0.0), 1.0) if told else None


@frozen(kw_only=True)
class Runware(Adapter):
    """Runware's task API over HTTP."""

    name = "runware"
    default_url = "https://api.runware.ai/v1"
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

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Both models, whatever the options."""
        return _OFFERS

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
        state = self._state(response, task, spoiled)
        if state.pictures and state.complete(request.n, {}):
            return self._done(state, spoiled)
        # `failure` lets a conflict pass where it stands for an acknowledgement that was lost.
        if not (state.acknowledged or any(fault.code == _CONFLICT for fault in state.faults)):
            raise self.malformed(response, f"task {task} is not acknowledged", raw=state.body)
        job = self.job(response, request, task, key=key)
        return Pending(job, response.retry_after, state.progress)

    def poll(self, job: Job) -> HttpRequest:
        """``getResponse`` with the task's own UUID."""
        return self._post(job.base_url, {"taskType": "getResponse", "taskUUID": job.id})

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """The present state, cumulative; good pictures are kept beside failed ones."""
        spoiled = list[Problem]()
        state = self._state(response, job.id, spoiled)
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
            state = self._state(response, job.id if job else None)
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
        unknown = any(_UNKNOWN_TASK.match(fault.code or "") for fault in state.faults)
        if state.known or (unknown and _is_answer(response)):
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
        try:
            items = _calls(request.json())
            called = structure(items, list[_Called])
        except ShapeError as exc:
            raise CallbackRefused(f"runware: {exc}") from None
        except ValueError:
            raise CallbackRefused("runware: a callback is JSON") from None
        if not called:
            raise CallbackRefused("runware: a callback about nothing")
        if not all(call.task for call in called):
            raise CallbackRefused("runware: a callback that names no task")
        return [
            CallbackEvent(
                task_id=call.task,
                item=call.picture,
                ended=False if call.goes_on else None,
                raw=item,
            )
            for call, item in zip(called, items, strict=True)
        ]

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
        """By the first pattern that fits."""
        return next((c for p, c in _CODES if re.search(p, code, re.IGNORECASE)), None)

    def classify(self, status: int | None, code: str | None) -> type[ProviderError]:
        """The class of a refused call: no generation has failed in it."""
        cls = super().classify(status, code)
        return ProviderUnavailable if cls is GenerationFailed else cls

    def _refused(self, response: HttpResponse, state: _State, op: Op) -> ProviderError | None:
        conflict = next((fault for fault in state.faults if fault.code == _CONFLICT), None)
        if conflict and op is Op.RESEND:
            return None
        if state.running and not conflict and response.status < 300:
            return None  # acknowledged and complained of: polling tells how it ends
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

    def _ended(self, response: HttpResponse, state: _State, job: Job) -> ProviderError:
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

    def _state(
        self, response: HttpResponse, task: str | None, spoiled: list[Problem] | None = None
    ) -> _State:
        """What *response* says of *task*; None is the only one that was sent."""
        body = self.parse(response)
        try:
            envelope = structure(_envelope(body), _Envelope, spoiled=spoiled)
        except ShapeError as exc:
            raise self.malformed(response, str(exc), raw=body) from None
        data = envelope.data or []
        task = task or next((element.task for element in data), None)
        mine = [element for element in data if element.task == task]
        pictures: dict[str, tuple[_Element, Image]] = {}
        faults: list[_Fault] = []
        for element in mine:
            image = element.image() if element.phase == "success" else None
            if image is not None:
                pictures[element.uuid or str(len(pictures))] = (element, image)
            elif element.phase != "processing":
                fault = element.error or _Fault(message="ended without a picture")
                faults.append(evolve(fault, status="error", cost=element.cost))
        # Either place may tell of a failure; one that is told in both is still one.
        told = {(fault.code, fault.message) for fault in faults}
        faults += [
            fault
            for fault in envelope.errors
            if (task is None or fault.task in (None, task))
            and (fault.code, fault.message) not in told
        ]
        return _State(
            body=body,
            acknowledged=bool(mine) or envelope.data == [],
            running=[element for element in mine if element.phase == "processing"],
            pictures=list(pictures.values()),
            faults=faults,
            failures=[fault for fault in faults if self._of_picture(fault, response)],
        )

    def _of_picture(self, fault: _Fault, response: HttpResponse) -> bool:
        """Whether an error ends a picture, rather than being about the call."""
        code = fault.code or ""
        if _UNKNOWN_TASK.match(code) or not _is_answer(response):
            return False
        if fault.status == "error":  # as the polling page has it
            return True
        upstream = code.startswith("provider") or self.class_of(code) not in _NO_ANSWER
        return response.status < 300 and bool(code) and upstream

    def _done(self, state: _State, spoiled: list[Problem]) -> Done:
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


def _calls(body: Any) -> list[Any]:
    """The items of a callback: guides show one flat object, the legacy client's README arrays."""
    if not isinstance(body, dict) or not {"data", "errors"} & set(body):
        return [body]
    items: list[Any] = []
    for name in ("data", "errors"):
        found = body.get(name) or []
        items += found if isinstance(found, list) else [found]
    return items


def _is_answer(response: HttpResponse) -> bool:
    """Whether a poll was answered; 401, 402, 429 and 5xx say nothing of the task."""
    return response.status < 300 or response.status in (400, 404)


def _envelope(body: Any) -> Any:
    """A body in the documented shape; official clients tolerate others, hence so do we.

    These are a bare array of errors, and a single ``error``, object or text, with the task's
    UUID beside it.
    """
    if isinstance(body, list):
        body = {"errors": body}
    if not isinstance(body, dict):
        return body
    errors = body.get("errors") or body.get("error") or []
    return {
        "data": body.get("data"),
        "errors": [
            {"taskUUID": body.get("taskUUID"), **error}
            if isinstance(error, dict)
            else {"message": error}
            for error in (errors if isinstance(errors, list) else [errors])
        ],
    }
