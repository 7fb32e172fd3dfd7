"""The base class of adapters: pure methods in pairs, one that writes and one that reads.

An adapter turns a canonical request into an HTTP message and an HTTP reply into a `Step` or
an error. It never sends, waits, reads the clock or makes ids; `wanbridge.engine` does, through
the clients. What a provider supports is data in its `Offer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import Factory, field, frozen

from wanbridge.adapters.credits import money_of
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.replies import ReplyReader
from wanbridge.adapters.steps import (
    CallbackEvent,
    Cancelled,
    Exchange,
    Found,
    ModelInfo,
    Resend,
    Step,
    StillUnknown,
    TooLate,
)
from wanbridge.adapters.urls import checked_url
from wanbridge.adapters.writing import RequestWriter
from wanbridge.errors import (
    CallbackRefused,
    Charge,
    ConfigurationError,
    UnsupportedFeature,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels
from wanbridge.wire import HttpRequest, HttpResponse


def _check_header_value(adapter: Adapter, _: object, key: str | None) -> None:
    """Refuse an API key that a header cannot carry; the message does not show it."""
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(
            f"{adapter.name}: the API key holds a blank, a line break or a non-ASCII character"
        )


@frozen
class NoOptions:
    """This adapter has no options of its own."""


@frozen(kw_only=True)
class Adapter(RequestWriter, ReplyReader, ABC):
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
    poll_interval: ClassVar[PollInterval]
    cancel_charge: ClassVar[Charge] = Charge.MAYBE
    Options: ClassVar[type[Any]] = NoOptions

    # Keys of the node that `extra` is merged into which the adapter writes itself.
    reserved: ClassVar[frozenset[str]] = frozenset()
    api_key: str | None = field(default=None, repr=False, validator=_check_header_value)
    base_url: str = field(
        default=Factory(lambda self: self.default_url, takes_self=True), converter=checked_url
    )
    account: str = field(default=Factory(lambda self: self.name, takes_self=True))
    options: Any = field(default=Factory(lambda self: self.Options(), takes_self=True))

    # -- the dialect ------------------------------------------------------------------

    if TYPE_CHECKING:
        # A class attribute in nearly all adapters, which pyright does not take for a property.
        offers: ClassVar[tuple[Offer, ...]]
    else:

        @property
        @abstractmethod
        def offers(self) -> tuple[Offer, ...]:
            """The models sold at this provider; a property where they depend on the options."""

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
        """What was assumed to choose `price_region`, for the quote; empty if nothing was."""
        return ()

    @property
    def usd_per_credit(self) -> Decimal | None:
        """Dollars of one credit by the option of that name; None without one."""
        rate: Decimal | None = getattr(self.options, "usd_per_credit", None)
        return rate

    def credits(self, amount: Decimal | int) -> Money:
        """*amount* of the provider's credits, in dollars where `usd_per_credit` is known."""
        return money_of(amount, f"{self.name.upper()}-CREDITS", self.usd_per_credit)

    def poll(self, job: Job) -> HttpRequest:
        """The free request for a job's state."""
        raise NotImplementedError  # pragma: no cover - only where read_submission says Pending

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """What a reply to `poll` means, once `failure` has found none in it."""
        raise NotImplementedError  # pragma: no cover

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """The size as pixels; None where it goes as words."""
        return self.in_pixels(request, offer)

    def remarks(self, request: ImageRequest, offer: Offer) -> Iterator[Note | UnsupportedFeature]:
        """Notes and refusals that only this provider needs, beyond those from the offer."""
        yield from ()

    # -- what only some providers have: generators over messages -------------------------

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """Upload input pictures where the provider needs that; nothing billable is sent."""
        yield from ()
        return request

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """Look for the task of an uncertain submit; never sends it again."""
        yield from ()
        return StillUnknown(detail=f"{self.account} offers no way to look a submit up")

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """The job of *receipt*, if *task_id* is its task."""
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
        """The balance of the account."""
        raise UnsupportedFeature(self.account, "balance", "this provider has no balance request")
        yield  # pragma: no cover

    def models(self) -> Exchange[tuple[ModelInfo, ...]]:
        """The models that the provider lists."""
        raise UnsupportedFeature(self.account, "models", "this provider lists no models")
        yield  # pragma: no cover

    def estimate(self, request: ImageRequest, offer: Offer) -> Exchange[Money]:
        """The provider's own estimate of what a request costs; buys nothing."""
        raise UnsupportedFeature(self.account, "estimate", "this provider estimates nothing")
        yield  # pragma: no cover

    def refresh(self, job: Job) -> Exchange[tuple[Image, ...]]:
        """New links to a finished job's pictures."""
        raise UnsupportedFeature(self.account, "refresh", "links cannot be renewed here")
        yield  # pragma: no cover

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """The events in a callback, verified where the provider signs.

        Args:
            secrets: Keys that a signature may be made with; several while one is replaced.
            now: To judge the age of a signature.

        Raises:
            CallbackRefused: it is forged, stale or unreadable; ``.status`` is the reply's.
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
        """The job that a reply to a submit starts.

        Raises:
            ValueError: *response* has no ``received_at``.
        """
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
