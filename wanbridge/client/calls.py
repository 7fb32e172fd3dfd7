"""The conversations of a client, ready to be carried out: no socket, no thread, no event loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.adapters.staging import Staging
from wanbridge.adapters.steps import Cancelled, Delivery, Found, ModelInfo, Step, TooLate
from wanbridge.client.accounts import Accounts
from wanbridge.client.arguments import (
    checked_key,
    checked_seconds,
    expect,
    expect_function,
    expect_methods,
    expect_or_none,
)
from wanbridge.client.options import (
    CALL,
    Call,
    Progress,
    split_options,
)
from wanbridge.engine import download as fetch
from wanbridge.engine import exchanges
from wanbridge.engine.context import CallContext, Timeouts
from wanbridge.engine.driver import Driver
from wanbridge.engine.effects import Flow
from wanbridge.engine.events import OperationName
from wanbridge.engine.rate_limits import RateLimiter
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.protocol import Ledger
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.money.account_quotes import convert_charge
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.quotes import Quote
from wanbridge.money.spend_guard import Guard
from wanbridge.observability.observation import observe
from wanbridge.observability.telemetry import Telemetry
from wanbridge.routing.health import Health
from wanbridge.routing.purchase import (
    Generate,
    Operation,
    SharedState,
    Submit,
    buy_from_account,
    cancel_job,
    poll_job,
    reconcile_receipt,
    refresh_job,
    wait_for_job,
)

if TYPE_CHECKING:
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.client.router import Router
    from wanbridge.routing.route import Route
    from wanbridge.storage.files import PictureFile

B = TypeVar("B", ImageResult, Job)


class Calls:
    """Makes a `Driver` of each call: at which account or by which route, in which context.

    Args:
        accounts: Of the client.
        routes: By name.
        staging: What the client's object store can do for input pictures; None without one.
        ledger: The caller's; None: budgets hold within this client.

    All others as `wanbridge.client.blocking.Client` takes them.

    Raises:
        TypeError: an argument is of the wrong kind.
        UnknownProvider: a route names an account that is not configured.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        timeouts: Timeouts | None,
        routes: Mapping[str, Route] | None,
        rates: Rates,
        prices: PriceBook,
        ledger: Ledger | None,
        telemetry: Telemetry | None,
        on_progress: Progress | None,
        callbacks: CallbackReceiver | None,
        staging: Staging | None,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        chance: Callable[[], float],
        new_key: Callable[[], str],
    ) -> None:
        expect_or_none("timeouts", timeouts, Timeouts)
        expect_or_none("routes", routes, Mapping, "a mapping of Route by name")
        expect("prices", prices, PriceBook)
        expect_methods("ledger", ledger, "reserve", "note", "settle", "saved", "done", "find")
        expect_methods("telemetry", telemetry, "begin")
        expect_methods("callbacks", callbacks, "address", "expects")
        functions = {"clock": clock, "now": now, "chance": chance, "new_key": new_key}
        for name, function in (functions | {"on_progress": on_progress}).items():
            expect_function(name, function)
        self._accounts, self._rates, self._prices = accounts, rates, prices
        self.timeouts = timeouts or Timeouts()
        self._telemetry, self._progress, self._callbacks = telemetry, on_progress, callbacks
        self.staging = staging
        self._clock, self._now, self._chance, self._new_key = clock, now, chance, new_key
        self._rate_limiter = RateLimiter()
        guard = Guard(ledger or MemoryLedger(), self._in_currency, record_all=ledger is not None)
        self._shared = SharedState(Health(), guard)
        self._routes = routes or {}
        if routes:
            _ = self.router  # which refuses a route to an account that is not configured
        self._origins = frozenset(fetch.origin(a.base_url) for a in accounts.named.values())

    @cached_property
    def router(self) -> Router:
        # Loaded only for clients with routes, and for calls by one.
        from wanbridge.client.router import Router

        return Router(
            self._routes,
            self._accounts.named,
            prices=self._prices,
            rates=self._rates,
            health=self._shared.health,
            chance=self._chance,
        )

    def generate(self, request: ImageRequest | str, how: Call) -> Driver[ImageResult]:
        """Buy pictures."""
        return self._buy(Generate(), request, how)

    def submit(self, request: ImageRequest | str, how: Call) -> Driver[Job]:
        """Buy pictures; the result is the job."""
        return self._buy(Submit(), request, how)

    def wait(
        self, job: Job, deadline: float | None, on_progress: Progress | None
    ) -> Driver[ImageResult]:
        """Wait for an accepted job."""
        expect("job", job, Job)
        adapter = self._accounts.where(job)
        context = self._context(deadline=deadline, on_progress=on_progress)
        return self._observed(
            lambda context: wait_for_job(adapter, job, context=context, shared=self._shared),
            context,
            "wait",
            job.request,
            provider=job.account,
        )

    def look(self, job: Job) -> Driver[Step]:
        """Poll an accepted job once."""
        expect("job", job, Job)
        adapter, context = self._accounts.where(job), self._context()
        return Driver(poll_job(adapter, job, context=context, shared=self._shared), context)

    def reconcile(self, receipt: Receipt) -> Driver[Found]:
        """Look an uncertain submit up."""
        expect("receipt", receipt, Receipt)
        adapter = self._accounts.where(receipt)
        context = self._context()
        return Driver(
            reconcile_receipt(adapter, receipt, context=context, shared=self._shared), context
        )

    def cancel(self, job: Job) -> Driver[Cancelled | TooLate]:
        """Cancel a job."""
        expect("job", job, Job)
        adapter, context = self._accounts.where(job), self._context()
        return Driver(cancel_job(adapter, job, context=context, shared=self._shared), context)

    def refresh(self, job: Job) -> Driver[tuple[Image, ...]]:
        """Get new links to a job's pictures."""
        expect("job", job, Job)
        adapter, context = self._accounts.where(job), self._context()
        return Driver(refresh_job(adapter, job, context=context, shared=self._shared), context)

    def balance(self, provider: str | None) -> Driver[Money]:
        """Ask for what is left on an account."""
        adapter, context = self._accounts.choose(provider), self._context()
        return Driver(exchanges.converse(adapter, adapter.balance(), context=context), context)

    def models(self, provider: str | None) -> Driver[tuple[ModelInfo, ...]]:
        """Ask for a provider's models."""
        adapter, context = self._accounts.choose(provider), self._context()
        return Driver(exchanges.converse(adapter, adapter.models(), context=context), context)

    def estimate(
        self, request: ImageRequest | str, provider: str | None, fields: dict[str, Any]
    ) -> Driver[Money]:
        """Ask for the provider's own price of a request."""
        made, adapter, context = (
            self._accounts.request(request, fields),
            self._accounts.choose(provider),
            self._context(),
        )
        fitted = fit(adapter, made).settle()
        exchange = adapter.estimate(fitted.request, fitted.offer)
        return Driver(exchanges.converse(adapter, exchange, context=context), context)

    def measure(self, request: ImageRequest) -> Driver[ImageRequest]:
        """Fetch the sizes of a request's input images."""
        expect("request", request, ImageRequest)
        context = self._context()
        return Driver(fetch.measure(request, context=context), context)

    def download(self, image: Image) -> Driver[Image]:
        """Fetch a picture into memory."""
        expect("image", image, Image)
        context = self._context()
        return Driver(fetch.download_image("download", image, context=context), context)

    def save(self, image: Image, file: PictureFile) -> Driver[None]:
        """Fetch a picture into a file."""
        context = self._context()
        return Driver(fetch.download("download", image, file, context=context), context)

    def estimate_quotes(
        self,
        quotes: list[Quote],
        request: ImageRequest,
        *,
        rates: Rates,
        currency: str | None,
        may_drop: Collection[str],
        check_limits: bool,
    ) -> Driver[list[Quote]]:
        """Replace quotes by the providers' own estimates where they give one; buys nothing."""
        from wanbridge.routing.estimates import estimate_quotes

        def common(adapter: Adapter, money: Money) -> tuple[Money | None, tuple[str, ...]]:
            return convert_charge(
                adapter, money, prices=self._prices, rates=rates, currency=currency
            )

        context = self._context(may_drop=may_drop, check_limits=check_limits)
        adapters = self._accounts.named
        flow = estimate_quotes(quotes, adapters, request, common=common, context=context)
        return Driver(flow, context)

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """Make the job of an uncertain submit that the caller has found; the ledger keeps it."""
        expect("receipt", receipt, Receipt)
        job = self._accounts.where(receipt).adopt(receipt, task_id)
        self._shared.guard.attach_job(receipt, job)
        return job

    def saved(self, image: Image) -> None:
        """Note in the caller's ledger that *image* is saved."""
        self._shared.guard.saved(image)

    # -- inner ------------------------------------------------------------------------------

    def _buy(
        self,
        operation: Operation[B],
        request: ImageRequest | str,
        how: Call,
    ) -> Driver[B]:
        """Buy from the account that is named, or by a route."""
        fields, options = split_options(how, CALL)
        made = self._accounts.request(request, fields)
        target = self._target(options.pop("provider", None), options.pop("route", None))
        key = options.pop("key", None)
        key = self._new_key() if key is None else checked_key(key)
        if isinstance(target, Adapter):
            target.bearer()
            return self._observed(
                lambda context: buy_from_account(
                    operation, target, made, key=key, context=context, shared=self._shared
                ),
                self._context(**options),
                operation.name,
                made,
                provider=target.account,
            )
        # Loaded by the first call by a route.
        from wanbridge.routing.failover import failover

        context = self._routed_context(target, options)
        ranked = self.router.rank(target, made, context, wants_job=operation.wants_job)
        return self._observed(
            lambda context: failover(
                operation, target, ranked, made, key=key, context=context, shared=self._shared
            ),
            context,
            operation.name,
            made,
            route=target.title,
        )

    def _target(self, provider: str | None, route: str | Route | None) -> Adapter | Route:
        """The account or route that a call names, else the configured default."""
        if provider is not None and route is not None:
            raise TypeError("provider= or route=, not both")
        if route is not None:
            return self.router.find(route)
        if provider is None and self._routes and self.router.default is not None:
            return self.router.default
        return self._accounts.choose(provider)

    def _observed(
        self,
        start: Callable[[CallContext], Flow[B]],
        context: CallContext,
        operation: OperationName,
        request: ImageRequest,
        **named: str,
    ) -> Driver[B]:
        """A conversation that the log and the caller's telemetry observe."""
        model = request.model
        flow = observe(start, context, self._telemetry, operation=operation, model=model, **named)
        return Driver(flow, context)

    def _routed_context(self, route: Route, options: dict[str, Any]) -> CallContext:
        """The context of a call by *route*, which may have a deadline and drop fields itself."""
        deadline = options.pop("deadline", None)
        may_drop = options.pop("may_drop", ())
        if not isinstance(may_drop, str):  # which the plan refuses
            may_drop = (*route.may_drop, *may_drop)
        return self._context(
            deadline=route.deadline if deadline is None else deadline, may_drop=may_drop, **options
        )

    def _context(
        self,
        *,
        on_progress: Progress | None = None,
        deadline: float | None = None,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
    ) -> CallContext:
        timeouts = self.timeouts
        if deadline is not None:
            timeouts = evolve(timeouts, deadline=checked_seconds("deadline", deadline))
        emit = on_progress or self._progress
        expect_function("on_progress", emit)
        return CallContext(
            clock=self._clock,
            now=self._now,
            chance=self._chance,
            timeouts=timeouts,
            emit=emit or (lambda event: None),
            rate_limiter=self._rate_limiter,
            price=self._price,
            origins=self._origins,
            callbacks=self._callbacks,
            may_drop=may_drop,
            check_limits=check_limits,
            staging=self.staging,
        )

    def _price(
        self, adapter: Adapter, request: ImageRequest, delivery: Delivery | None
    ) -> Money | None:
        # Before a delivery it is the cost of all that was asked for.
        return self._prices.cost(
            adapter.name,
            request,
            account=adapter.account,
            delivered=request.n if delivery is None else len(delivery.images),
            billed=None if delivery is None else delivery.billed,
            region=adapter.price_region,
            usd_per_credit=adapter.usd_per_credit,
        )

    def _in_currency(self, adapter: Adapter, money: Money, currency: str) -> Money | None:
        found, _ = convert_charge(
            adapter, money, prices=self._prices, rates=self._rates, currency=currency
        )
        return found
