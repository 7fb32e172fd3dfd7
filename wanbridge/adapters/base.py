"""What a provider's adapter is: pure methods in pairs, one that writes and one that reads.

An adapter turns a canonical request into an HTTP message and an HTTP reply into a `Step` or
an error. It never sends, waits, reads the clock or makes ids; ``flow.py`` does, through the
clients. What a provider supports is data in its `Offer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from attrs import Factory, evolve, field, frozen

from wanbridge.errors import (
    AuthenticationFailed,
    CallbackRefused,
    Charge,
    ConfigurationError,
    CreditExhausted,
    InvalidRequest,
    MalformedResponse,
    MissingCredentials,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.request import (
    RESOLUTIONS,
    Failure,
    Image,
    ImageRequest,
    Job,
    Mode,
    Money,
    Note,
    Receipt,
)
from wanbridge.model.sizes import Pixels, SizeLimits, SizeUnsupported, resolve
from wanbridge.model.structuring import ShapeError, structure
from wanbridge.wire import HttpRequest, HttpResponse, not_json

T = TypeVar("T")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Resend(Enum):
    """Whether one submit may be sent twice with the same key."""

    SAME_KEY_IS_SAFE = "same key is safe"
    NEVER = "never"


class Op(StrEnum):
    """What a message is for: the same reply can mean different things."""

    SUBMIT = "submit"
    RESEND = "resend"  # the same submit with the same key, after an unknown outcome
    POLL = "poll"
    CANCEL = "cancel"
    FIND = "find"
    PREPARE = "prepare"
    BALANCE = "balance"
    MODELS = "models"
    ESTIMATE = "estimate"
    REFRESH = "refresh"


@frozen(kw_only=True)
class Cadence:
    """How often to poll, in seconds: *first*, then times *factor* up to *most*."""

    first: float
    factor: float = 1.5
    most: float


@frozen(kw_only=True)
class Rates:
    """What an account may do at once; None is not limited or not documented.

    Attributes:
        creates: Submits a second.
        running: Generations at the same time, for one model.
        polls: Status requests a second.
    """

    creates: float | None = None
    running: int | None = None
    polls: float | None = None


@frozen(kw_only=True)
class PictureLimits:
    """Documented rules for an input picture; None is not limited, or not documented.

    Attributes:
        formats: Media types of pictures that come as bytes.
        min_side, max_side: Pixels, both for width and for height.
        max_ratio: Longer side to shorter side at most.
        source: Page and date.
    """

    formats: frozenset[str] | None = None
    min_side: int | None = None
    max_side: int | None = None
    max_ratio: int | None = None
    source: str

    def problem(self, width: int, height: int) -> str | None:
        """What is wrong with a picture of that size, and what would be right; None if nothing."""
        low, high, ratio = self.min_side, self.max_side, self.max_ratio
        if low is not None and min(width, height) < low:
            return f"{width}x{height}; each side at least {low} px here"
        if high is not None and max(width, height) > high:
            return f"{width}x{height}; each side at most {high:,} px here"
        if ratio is not None and max(width, height) > ratio * min(width, height):
            return f"{width}x{height}; from 1:{ratio} to {ratio}:1 here"
        return None


@frozen(kw_only=True)
class Limits:
    """Documented bounds of one model at one provider.

    Attributes:
        text, edit, set: Sizes by mode.
        source: Page and date.
        prompt: Code points at most.
        prompt_required: A prompt is needed even with images.
        n, n_set: Pictures a call; the second with ``sequential``.
        image_schemes: How an input image may be named; ``ref`` is a picture held there.
        data_bytes: Bytes of one ``data:`` URI at most; None is not limited here.
        data_total: Bytes of all ``data:`` URIs of a call together at most; None as above.
        pictures: Rules for input pictures; None where no page has any.
        missing_grace: Seconds after a submit in which an unknown task is not yet lost.
    """

    text: SizeLimits
    edit: SizeLimits
    set: SizeLimits
    source: str
    prompt: int = 5000
    prompt_required: bool = False
    n: int = 4
    n_set: int = 12
    image_schemes: frozenset[str] = frozenset({"https"})
    data_bytes: int | None = None
    data_total: int | None = None
    pictures: PictureLimits | None = None
    missing_grace: float = 30.0
    rates: Rates = Rates()

    def sizes(self, mode: Mode) -> SizeLimits:
        """The size bounds that hold in *mode*."""
        return {"text": self.text, "edit": self.edit, "set": self.set}[mode]


@frozen(kw_only=True)
class Offer:
    """One canonical model, as one provider sells it.

    Attributes:
        model: Canonical id.
        alias: The provider's own name for it.
        fields: Canonical fields it can express; ``regions`` stands for those of the images.
        limits: Documented bounds.
        ignored: Fields beside those that have no effect here, each with why: not sent but noted.
        refused: Why a field is not among those, where there is more to it than that there is no
            such parameter.
        output: What it always delivers (``"png"``), as documented; None if it can be chosen
            or is unknown.
        failure_charge: Whether a generation that ends without a picture costs money.
        verified: False if this rests on guesses or third parties only.
    """

    model: str
    alias: str
    fields: frozenset[str]
    limits: Limits
    ignored: Mapping[str, str] = field(factory=dict)
    refused: Mapping[str, str] = field(factory=dict)
    output: str | None = None
    failure_charge: Charge
    verified: bool = True


@frozen(kw_only=True)
class Delivery:
    """What a reply says was delivered, before our own times and attempts are added.

    Attributes:
        images: At least one.
        failures: Images of the same call that did not come.
        cost: As the reply says; None if it does not.
        billed: Images the reply says are billed; None if it does not.
    """

    images: tuple[Image, ...]
    failures: tuple[Failure, ...] = ()
    cost: Money | None = None
    billed: int | None = None
    request_id: str | None = None
    notes: tuple[Note, ...] = ()
    raw: Any = field(default=None, repr=False)


@frozen
class Done:
    """The generation has ended with at least one picture."""

    delivery: Delivery


@frozen
class Pending:
    """The generation goes on.

    Attributes:
        job: To poll; its state may differ from that of the job asked about.
        retry_after: Seconds the provider asks to wait; None if it does not say.
        progress: 0.0 to 1.0, None if unknown.
    """

    job: Job
    retry_after: float | None = None
    progress: float | None = None


@frozen
class Missing:
    """The provider knows no such task, yet or any more."""

    message: str = "no such task"


Step = Done | Pending | Missing


@frozen(kw_only=True)
class NotAccepted:
    """A look-up shows that a submit never became a task: nothing was bought."""

    detail: str


@frozen(kw_only=True)
class StillUnknown:
    """A look-up could not settle whether a submit was accepted.

    Attributes:
        candidates: Ids of tasks that could be it; ``client.adopt`` takes one, by the caller's
            decision.
        detail: What was looked at and what remains.
        again_at: From when on another look-up may settle it, aware; None if none will.
    """

    candidates: tuple[str, ...] = ()
    detail: str
    again_at: datetime | None = None


Found = Job | NotAccepted | StillUnknown


@frozen
class Cancelled:
    """The provider has cancelled the job."""

    charge: Charge


@frozen
class TooLate:
    """The job could not be cancelled any more; it goes on."""

    detail: str


@frozen(kw_only=True)
class CallbackEvent:
    """A provider says that something happened to a task: a hint, confirmed by a poll.

    Attributes:
        task_id: The provider's id of the task.
        item: Id of the one picture it is about; None if it is about the whole task. With the
            task's id it tells a repeated call from a further one.
        verified: Whether the sender was proven; False where the provider signs nothing.
        ended: Whether it says that the task has ended; None if it does not say.
        raw: What it said, as parsed JSON.
    """

    task_id: str
    item: str | None = None
    verified: bool = False
    ended: bool | None = None
    raw: Any = field(default=None, repr=False)


@frozen(kw_only=True)
class ModelInfo:
    """One model as a provider lists it.

    Attributes:
        id: The provider's name for it.
        schema: Its input schema, where the provider publishes one.
    """

    id: str
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    raw: Any = field(default=None, repr=False)


@frozen(kw_only=True)
class ErrorDetail:
    """What an error reply says, in the provider's own words.

    Attributes:
        task_id: A task that the reply names all the same: it may have been accepted.
    """

    code: str | None
    message: str
    request_id: str | None = None
    task_id: str | None = None


# Conversations of several messages: yield a request, be sent the reply.
Exchange = Generator[HttpRequest, HttpResponse, T]

_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    402: CreditExhausted,
    403: AuthenticationFailed,
    408: ProviderUnavailable,
    429: RateLimited,
}


def checked_url(url: str, setting: str = "base_url") -> str:
    """The URL of a setting without its last slash; https, or http on this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"{setting} is not an https URL like https://host/v1") from None
    # Neither is shown: a key may stand there by mistake.
    if parts.username or parts.password:
        raise ConfigurationError(f"{setting} holds a user name or password; keys go into api_key")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{setting} holds a query or fragment; keys go into api_key")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigurationError(f"{setting} {url!r} is not an https URL like https://host/v1")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(f"{setting} {url!r}: plain http is for this machine only")
    return url.rstrip("/")


def _sendable(adapter: Adapter, _: object, key: str | None) -> None:
    """A key that a header can carry; the message does not show it."""
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(
            f"{adapter.name}: the API key holds a blank, a line break or a non-ASCII character"
        )


@frozen
class NoOptions:
    """This adapter has no options of its own."""


@frozen(kw_only=True)
class Adapter(ABC):
    """One provider's dialect, bound to one account.

    Subclasses are frozen attrs classes. See CONTRIBUTING.md, "How to add a provider".

    Attributes:
        api_key: None is allowed until the first call; never in ``repr``.
        base_url: Includes the version prefix.
        account: Name in the configuration; the adapter's own name by default.
        options: The adapter's `Options`.
    """

    name: ClassVar[str]
    default_url: ClassVar[str]
    resend: ClassVar[Resend] = Resend.NEVER
    cadence: ClassVar[Cadence]
    cancel_charge: ClassVar[Charge] = Charge.MAYBE
    Options: ClassVar[type[Any]] = NoOptions

    # Keys of the node that `extra` is merged into which the adapter writes itself.
    reserved: ClassVar[frozenset[str]] = frozenset()
    # The provider's codes, as `_plain` writes them.
    error_codes: ClassVar[Mapping[str, type[ProviderError]]] = {}
    # Statuses that, with a readable error body, surely created no task. Each with its source.
    not_accepted: ClassVar[frozenset[int]] = frozenset()
    # Statuses which say so even without one: an edge in front of the service answered.
    edge: ClassVar[frozenset[int]] = frozenset({403})

    api_key: str | None = field(default=None, repr=False, validator=_sendable)
    base_url: str = field(
        default=Factory(lambda self: self.default_url, takes_self=True), converter=checked_url
    )
    account: str = field(default=Factory(lambda self: self.name, takes_self=True))
    options: Any = field(default=Factory(lambda self: self.Options(), takes_self=True))

    # -- the dialect ------------------------------------------------------------------

    @property
    @abstractmethod
    def offers(self) -> tuple[Offer, ...]:
        """What is sold here, computed from the options."""

    @abstractmethod
    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """The billable message. *request* has passed `wanbridge.adapters.fitting`."""

    @abstractmethod
    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """What a reply to `submit` means, once `failure` has found none in it."""

    @property
    def at_once(self) -> bool:
        """Whether a submit is answered with the pictures: there is no job to keep."""
        return False

    @property
    def price_region(self) -> str | None:
        """Which of the provider's price lists holds; None where there is one."""
        return None

    @property
    def price_assumes(self) -> tuple[str, ...]:
        """What had to be assumed to choose it, for the quote."""
        return ()

    @property
    def usd_per_credit(self) -> Decimal | None:
        """Dollars of one credit by the option of that name; None without one."""
        rate: Decimal | None = getattr(self.options, "usd_per_credit", None)
        return rate

    def poll(self, job: Job) -> HttpRequest:
        """The free message that asks for a job's state."""
        raise NotImplementedError  # pragma: no cover - only where read_submission says Pending

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """What a reply to `poll` means, once `failure` has found none in it."""
        raise NotImplementedError  # pragma: no cover

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """The size as pixels; None where it goes as words."""
        return self.in_pixels(request, offer)

    def remarks(self, request: ImageRequest, offer: Offer) -> Iterator[Note | UnsupportedFeature]:
        """What else, that only this provider knows, is adapted, ignored or refused."""
        yield from ()

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """Code and message of a parsed error body; None if it is none of the known shapes."""
        raise NotImplementedError  # pragma: no cover - unless failure is overridden

    def class_of(self, code: str) -> type[ProviderError] | None:
        """The class of a provider's code, None if unknown. By table; overridden for patterns."""
        return self.error_codes.get(code)

    # -- what only some providers have: generators over messages -------------------------

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """Upload what has to be uploaded; nothing billable."""
        yield from ()
        return request

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """Look for the task of an uncertain submit; never sends it again."""
        yield from ()
        return StillUnknown(detail=f"{self.account} offers no way to look a submit up")

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """The job of *receipt*, were *task_id* its task."""
        return Job(
            provider=self.name,
            account=self.account,
            base_url=self.base_url,
            id=task_id,
            request=receipt.request,
            submitted_at=receipt.last_sent_at,
            key=receipt.key,
        )

    def cancel(self, job: Job) -> Exchange[Cancelled | TooLate]:
        """Cancel a job at the provider."""
        raise UnsupportedFeature(self.account, "cancel", "this provider cannot cancel a job")
        yield  # pragma: no cover - makes it a generator

    def balance(self) -> Exchange[Money]:
        """What is left on the account."""
        raise UnsupportedFeature(self.account, "balance", "this provider has no balance request")
        yield  # pragma: no cover

    def models(self) -> Exchange[tuple[ModelInfo, ...]]:
        """What the provider lists."""
        raise UnsupportedFeature(self.account, "models", "this provider lists no models")
        yield  # pragma: no cover

    def estimate(self, request: ImageRequest, offer: Offer) -> Exchange[Money]:
        """What the provider itself says a request would cost; buys nothing."""
        raise UnsupportedFeature(self.account, "estimate", "this provider estimates nothing")
        yield  # pragma: no cover

    def refresh(self, job: Job) -> Exchange[tuple[Image, ...]]:
        """New links to a finished job's pictures."""
        raise UnsupportedFeature(self.account, "refresh", "links cannot be renewed here")
        yield  # pragma: no cover

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """What a call to ``callback_url`` says, verified where the provider signs.

        Args:
            secrets: Keys that a signature may be made with; several while one is replaced.
            now: To judge the age of a signature.

        Raises:
            CallbackRefused: it is forged, stale or unreadable; ``.status`` is to be answered.
        """
        raise CallbackRefused(f"{self.name} calls nobody back", 404)

    # -- what all adapters share ------------------------------------------------------

    @cached_property
    def _offers(self) -> Mapping[str, Offer]:
        return {offer.model: offer for offer in self.offers}

    def offer(self, model: str) -> Offer:
        """The offer for a canonical model, or `UnsupportedFeature`."""
        try:
            return self._offers[model]
        except KeyError:
            sold = ", ".join(self._offers) or "none"
            raise self.unsupported("model", f"{model} is not sold here; {sold}") from None

    def unsupported(self, field: str, reason: str) -> UnsupportedFeature:
        """The refusal of one canonical field."""
        return UnsupportedFeature(self.account, field, reason)

    def bearer(self) -> dict[str, str]:
        """The usual ``Authorization`` header.

        Raises:
            MissingCredentials: no key is configured.
        """
        return {"Authorization": f"Bearer {self._key()}"}

    def x_api_key(self) -> dict[str, str]:
        """The other usual header; raises as `bearer`."""
        return {"x-api-key": self._key()}

    def _key(self) -> str:
        if not self.api_key:
            raise MissingCredentials(
                f"{self.account}: no API key; set {self.name.upper()}_API_KEY"
                f" or api_key under [providers.{self.account}]"
            )
        return self.api_key

    def in_pixels(self, request: ImageRequest, offer: Offer) -> Pixels:
        """The size of *request* as pixels by the rule of `wanbridge.model.sizes`.

        A tier that is not sold is refused by `wanbridge.adapters.fitting`, where limits are checked.
        """
        limits = offer.limits.sizes(request.mode)
        if request.size.tier not in limits.tiers:
            limits = evolve(limits, tiers=RESOLUTIONS)
        try:
            return resolve(request.size, request.images, limits)
        except SizeUnsupported as exc:
            raise self.unsupported("size", exc.reason) from None

    # How nearly all providers write these, each under a name of its own.

    def links(self, request: ImageRequest) -> list[str] | None:
        """The pictures' URLs in order; None if there are none.

        Raises:
            UnsupportedFeature: one is named by a ``ref``; left out it would be another picture.
        """
        urls = [image.url for image in request.images if image.url is not None]
        if len(urls) < len(request.images):
            raise self.unsupported("images", "a ref is not known here; give a URL")
        return urls or None

    @staticmethod
    def boxes(request: ImageRequest) -> list[list[list[int]]] | None:
        """One list a picture, empty where it has no box; None if there are none at all."""
        if not request.has_regions:
            return None
        return [[list(box.corners) for box in image.regions] for image in request.images]

    @staticmethod
    def palette(request: ImageRequest) -> list[dict[str, str]] | None:
        """Colours, their ratio as text like ``"34.00%"``; None if there are none."""
        return [{"hex": c.hex, "ratio": f"{c.ratio:.2f}%"} for c in request.color_palette] or None

    @staticmethod
    def thinks(request: ImageRequest) -> bool | None:
        """Whether to think, where it has effect; None elsewhere."""
        return request.thinking is not False if request.mode == "text" else None

    def extras(self, request: ImageRequest) -> Mapping[str, Any]:
        """The caller's extra fields for this adapter, none of which it writes itself."""
        extra = request.extra.get(self.name, {})
        if taken := sorted(set(extra) & self.reserved):
            message = f"wanbridge writes this itself for {self.name}; use the canonical field"
            raise InvalidRequest(tuple(Problem(f"$.extra.{self.name}.{k}", message) for k in taken))
        if extra and (reason := not_json(extra)):
            raise InvalidRequest((Problem(f"$.extra.{self.name}", f"is not JSON: {reason}"),))
        return extra

    def parse(self, response: HttpResponse) -> Any:
        """The reply's JSON, or `MalformedResponse`."""
        try:
            return response.json()
        except ValueError:
            said = response.text(80) or "nothing"
            message = f"the reply is not JSON but begins with {said!r}"
            raise self.malformed(response, message) from None

    def structure(
        self, response: HttpResponse, shape: type[T], *, spoiled: list[Problem] | None = None
    ) -> T:
        """The reply as *shape*, strictly.

        Args:
            spoiled: Collects the paths of lenient fields that had a wrong type.

        Raises:
            MalformedResponse: naming the paths that are missing or of a wrong type.
        """
        body = self.parse(response)
        try:
            return structure(body, shape, spoiled=spoiled)
        except ShapeError as exc:
            message = "; ".join(map(str, exc.problems))
            raise self.malformed(response, message, raw=body) from None

    def malformed(
        self, response: HttpResponse, message: str, *, raw: Any = None
    ) -> MalformedResponse:
        """A reply without the documented shape."""
        return MalformedResponse(
            self.account,
            self.without_key(message),
            status=response.status,
            raw=self.without_key(response.text() if raw is None else raw),
        )

    def without_key(self, said: Any) -> Any:
        """What a provider said, text or JSON, without the key that some of them echo."""
        if not self.api_key or said is None:
            return said
        if isinstance(said, str):
            return said.replace(self.api_key, "***")
        if isinstance(said, dict):
            return {k: self.without_key(v) for k, v in said.items()}
        return [self.without_key(v) for v in said] if isinstance(said, list) else said

    def spoiled_notes(self, spoiled: list[Problem]) -> tuple[Note, ...]:
        """One note each for facts of a reply that could not be read."""
        return tuple(Note(p.path, "info", f"unreadable in the reply: {p.message}") for p in spoiled)

    def job(
        self,
        response: HttpResponse,
        request: ImageRequest,
        id: str,
        *,
        key: str,
        state: Mapping[str, Any] | None = None,
        collect_by: datetime | None = None,
    ) -> Job:
        """The job that a reply to a submit has opened."""
        if response.received_at is None:
            raise ValueError("a reply to a submit needs received_at")
        return Job(
            provider=self.name,
            account=self.account,
            base_url=self.base_url,
            id=id,
            request=request.stored(),
            submitted_at=response.received_at,
            key=key,
            state=state or {},
            collect_by=collect_by,
        )

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """The error a reply holds, asked before anything is read from it; None if none.

        The default judges by HTTP status. Dialects that put failures into a 200 extend it.
        ``.final`` on the error says that the job itself has ended.
        """
        if response.status < 300:
            return None
        return self.refusal(response, op=op, job=job)

    def is_unknown_task(self, response: HttpResponse) -> bool:
        """Whether a reply to a poll is the provider's own 404, not that of an edge before it."""
        try:
            return response.status == 404 and self.error_detail(response.json()) is not None
        except ValueError:
            return False

    def refusal(self, response: HttpResponse, *, op: Op, job: Job | None = None) -> ProviderError:
        """The error of a reply whose HTTP status says that it is one."""
        try:
            body = response.json()
            detail = self.error_detail(body)
        except ValueError:
            body, detail = None, None
        if detail is None:
            return self._unreadable(response, op=op, job=job)
        return self.error(
            self.classify(response.status, detail.code),
            detail,
            response,
            raw=body,
            job=job,
            charge=self._submit_charge(
                op, response.status in self.not_accepted and detail.task_id is None
            ),
        )

    def _unreadable(self, response: HttpResponse, *, op: Op, job: Job | None) -> ProviderError:
        at_edge = response.status in self.edge
        said = response.text(120)
        if 300 <= response.status < 400:
            said = "it redirects, which is not followed; check base_url"
        return self.error(
            ProviderUnavailable if response.status == 403 else self.classify(response.status, None),
            ErrorDetail(code=None, message=said or "no explanation"),
            response,
            raw=response.text(),
            job=job,
            charge=self._submit_charge(op, at_edge),
        )

    @staticmethod
    def _submit_charge(op: Op, surely_not: bool) -> Charge:
        # Other messages are free, but say nothing of the job they are about.
        return Charge.NO if op is Op.SUBMIT and surely_not else Charge.MAYBE

    def classify(self, status: int | None, code: str | None) -> type[ProviderError]:
        """The class of a failure: by code, else by status."""
        if code is not None and (known := self.class_of(code)) is not None:
            return known
        if status is None:
            return ProviderUnavailable
        fallback = ProviderUnavailable if status >= 500 or status < 400 else RequestRejected
        return _BY_STATUS.get(status, fallback)

    def error(
        self,
        cls: type[ProviderError],
        detail: ErrorDetail,
        response: HttpResponse,
        *,
        charge: Charge,
        raw: Any = None,
        job: Job | None = None,
        final: bool = False,
    ) -> ProviderError:
        """One error of this provider, with everything the reply says."""
        return cls(
            self.account,
            self.without_key(detail.message),
            charge=charge,
            job=job,
            status=response.status if response.status >= 300 else None,
            code=detail.code,
            request_id=detail.request_id,
            retry_after=response.retry_after,
            raw=self.without_key(raw),
            final=final,
        )
