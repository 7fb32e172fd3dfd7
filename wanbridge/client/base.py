"""What both clients share: accounts, call contexts, and everything that needs no socket."""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import attrs
from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Cancelled, Delivery, Found, ModelInfo, Step, TooLate
from wanbridge.client.accounts import Accounts
from wanbridge.client.options import (
    CALL,
    COMPARING,
    Call,
    Comparing,
    Progress,
    Rating,
    checked_key,
    new_key,
    request_of,
    sorted_out,
)
from wanbridge.engine import download as fetch
from wanbridge.engine import exchanges
from wanbridge.engine.context import CallContext, Timeouts
from wanbridge.engine.driver import Driver
from wanbridge.engine.effects import Flow
from wanbridge.engine.events import OperationName
from wanbridge.engine.rate_limits import RateLimiter
from wanbridge.errors import ConfigurationError
from wanbridge.ledger.protocol import Ledger, MemoryLedger
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.money.account_quotes import convert_charge
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook, Quote
from wanbridge.money.spend_guard import Guard
from wanbridge.observability.telemetry import Telemetry, watched
from wanbridge.routing.health import Health
from wanbridge.routing.purchase import (
    Generate,
    Operation,
    Shared,
    Submit,
    buy_from_account,
    cancel_job,
    poll_job,
    reconcile_receipt,
    refresh_job,
    wait_for_job,
)
from wanbridge.transport import redaction
from wanbridge.transport.base import utc_now

if TYPE_CHECKING:
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.client.router import Router
    from wanbridge.config import Settings
    from wanbridge.explain.explanation import Explanation
    from wanbridge.money.comparison import Workload
    from wanbridge.routing.route import Route
    from wanbridge.sandbox import Sandbox
    from wanbridge.storage.files import PictureFile

B = TypeVar("B", ImageResult, Job)


class BaseClient:
    """Base of both clients: configured accounts, and the flows over them."""

    def __init__(
        self,
        adapters: Sequence[Adapter],
        *,
        default: str | None = None,
        timeouts: Timeouts | None = None,
        routes: Mapping[str, Route] | None = None,
        rates: Rates | Mapping[str, Any] | None = None,
        prices: PriceBook | None = None,
        ledger: Ledger | None = None,
        telemetry: Telemetry | None = None,
        registry: Registry | None = None,
        on_progress: Progress | None = None,
        callbacks: CallbackReceiver | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
        new_key: Callable[[], str] = new_key,
    ) -> None:
        registry = registry or Registry()
        self._accounts = Accounts(adapters, default=default, registry=registry)
        self._rates, self._telemetry = Rates.of(rates), telemetry
        self._timeouts = timeouts or Timeouts()
        self._prices = prices or PriceBook.builtin()
        self._progress, self._callbacks = on_progress, callbacks
        self._clock, self._now, self._chance, self._new_key = clock, now, chance, new_key
        self._ledger = ledger
        self._own_ledger: Ledger | None = None
        self._rate_limiter = RateLimiter()
        guard = Guard(ledger or MemoryLedger(), self._in_currency, keeps_all=ledger is not None)
        self._shared = Shared(Health(), guard)
        self._routes = routes or {}
        if routes:
            _ = self._router  # which refuses a route to an account that is not configured
        redaction.protect(self, [secret for a in adapters for secret in _secrets(a)])
        self._origins = frozenset(fetch.origin(a.base_url) for a in adapters)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._accounts.named)})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A client with an account for every provider whose key is in the environment.

        Args:
            environ: Instead of ``os.environ``.
            options: As the constructor takes them.

        Raises:
            ConfigurationError: a base URL is wrong.
        """
        from wanbridge import config

        return cls.of(config.from_env(environ), **options)

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any], **options: Any) -> Self:
        """A client from a TOML or JSON file, or the same as a mapping.

        Raises:
            ConfigurationError: the file cannot be read or breaks ``schemas/config.schema.json``;
                the message names every path.
        """
        from wanbridge import config

        return cls.of(config.load(source), **options)

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """A client from settings that `wanbridge.config` has read."""
        given = {
            "timeouts": settings.timeouts,
            "routes": settings.routes,
            "rates": settings.rates,
            "prices": settings.prices,
        }
        if settings.ledger is None or "ledger" in options:
            return cls(settings.adapters, **{**given, **options})
        from wanbridge.ledger.sqlite import SqliteLedger

        ledger = SqliteLedger(settings.ledger)
        client = cls(settings.adapters, **{**given, "ledger": ledger, **options})
        client._own_ledger = ledger
        return client

    @property
    def accounts(self) -> Mapping[str, Adapter]:
        """The configured accounts by name."""
        return dict(self._accounts.named)

    @property
    def ledger(self) -> Ledger | None:
        """The caller's ledger, or that of the configuration; None: this client keeps its own."""
        return self._ledger

    def explain(
        self,
        request: ImageRequest | str,
        *,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
        **fields: Any,
    ) -> dict[str, Explanation]:
        """What every account would be sent, field by field; no call, no key needed.

        Raises:
            InvalidRequest: the request breaks the canonical schema.
        """
        from wanbridge.explain.explanation import explain_all

        return explain_all(
            tuple(self._accounts.named.values()),
            self._request(request, fields),
            prices=self._prices,
            may_drop=may_drop,
            check_limits=check_limits,
        )

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """The job of an uncertain submit, by the caller's word that *task_id* is its task."""
        adapter = self._where(receipt)
        job = adapter.adopt(receipt, task_id)
        self._shared.guard.found(receipt, job)
        return job

    # -- inner ------------------------------------------------------------------------------

    def _close(self) -> None:
        """Give back what is this client's own."""
        if self._own_ledger is not None:
            self._own_ledger.close()

    def _where(self, handle: Job | Receipt) -> Adapter:
        """The adapter that made *handle*, with the base URL where it was made."""
        return self._accounts.accepted_at(handle.account, handle.provider, handle.base_url)

    @cached_property
    def _router(self) -> Router:
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

    def _request(self, request: ImageRequest | str, fields: dict[str, Any]) -> ImageRequest:
        made = request_of(request, fields)
        if made.extra:
            self._accounts.check_extra(made.extra)
        return made

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

    def _context(
        self,
        *,
        on_progress: Progress | None = None,
        deadline: float | None = None,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
    ) -> CallContext:
        timeouts = self._timeouts
        if deadline is not None:
            if not deadline > 0:
                raise ConfigurationError(f"deadline={deadline!r}: seconds, more than 0")
            timeouts = evolve(timeouts, deadline=float(deadline))
        tell = on_progress or self._progress
        if inspect.iscoroutinefunction(tell):
            raise ConfigurationError("on_progress is a coroutine function; nobody would await it")
        return CallContext(
            clock=self._clock,
            now=self._now,
            chance=self._chance,
            timeouts=timeouts,
            tell=tell or (lambda event: None),
            rate_limiter=self._rate_limiter,
            price=self._price,
            origins=self._origins,
            callbacks=self._callbacks,
            may_drop=may_drop,
            check_limits=check_limits,
        )

    def _generate(self, request: ImageRequest | str, how: Call) -> Driver[ImageResult]:
        return self._bought(Generate(), request, how)

    def _submit(self, request: ImageRequest | str, how: Call) -> Driver[Job]:
        return self._bought(Submit(), request, how)

    def _bought(
        self,
        operation: Operation[B],
        request: ImageRequest | str,
        how: Call,
    ) -> Driver[B]:
        """One purchase, of the account that is named or by a route."""
        fields, options = sorted_out(how, CALL)
        made = self._request(request, fields)
        target = self._target(options.pop("provider", None), options.pop("route", None))
        key = options.pop("key", None)
        key = self._new_key() if key is None else checked_key(key)
        if isinstance(target, Adapter):
            target.bearer()
            return self._watched(
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
        ranked = self._router.rank(target, made, context, wants_job=operation.wants_job)
        return self._watched(
            lambda context: failover(
                operation, target, ranked, made, key=key, context=context, shared=self._shared
            ),
            context,
            operation.name,
            made,
            route=target.title,
        )

    def _watched(
        self,
        play: Callable[[CallContext], Flow[B]],
        context: CallContext,
        operation: OperationName,
        request: ImageRequest,
        **named: str,
    ) -> Driver[B]:
        """A conversation that the log and the caller's telemetry watch."""
        model = request.model
        flow = watched(play, context, self._telemetry, operation=operation, model=model, **named)
        return Driver(flow, context)

    def _target(self, provider: str | None, route: str | Route | None) -> Adapter | Route:
        """The account or route that a call names, else the configured default."""
        if provider is not None and route is not None:
            raise TypeError("provider= or route=, not both")
        if route is not None:
            return self._router.find(route)
        if provider is None and self._routes and self._router.default is not None:
            return self._router.default
        return self._accounts.choose(provider)

    def _routed_context(self, route: Route, options: dict[str, Any]) -> CallContext:
        """The context of a call by *route*, which may have a deadline and drop fields itself."""
        deadline = options.pop("deadline", None)
        may_drop = options.pop("may_drop", ())
        if not isinstance(may_drop, str):  # which the plan refuses
            may_drop = (*route.may_drop, *may_drop)
        return self._context(
            deadline=route.deadline if deadline is None else deadline, may_drop=may_drop, **options
        )

    def _in_currency(self, adapter: Adapter, money: Money, currency: str) -> Money | None:
        found, _ = convert_charge(
            adapter, money, prices=self._prices, rates=self._rates, currency=currency
        )
        return found

    def _compare(self, request: ImageRequest | str, how: Comparing) -> Driver[list[Quote]]:
        from wanbridge.money.comparison import compare
        from wanbridge.routing.estimates import estimate_quotes

        fields, options = sorted_out(how, COMPARING)
        made = self._request(request, fields)
        live = options.pop("live", False)
        rating = self._rating(**options)
        context = self._context(may_drop=rating["may_drop"], check_limits=rating["check_limits"])
        quotes = compare(self._accounts.named.values(), made, **rating)

        def common(adapter: Adapter, money: Money) -> tuple[Money | None, tuple[str, ...]]:
            rates, currency = rating["rates"], rating["currency"]
            return convert_charge(
                adapter, money, prices=self._prices, rates=rates, currency=currency
            )

        adapters = self._accounts.named if live else {}
        return Driver(
            estimate_quotes(quotes, adapters, made, common=common, context=context), context
        )

    def _workload(self, requests: Iterable[ImageRequest], how: Rating) -> Workload:
        from wanbridge.money.comparison import workload

        return workload(self._accounts.named.values(), requests, **self._rating(**how))

    def _rating(
        self,
        rates: Rates | Mapping[str, Any] | None = None,
        currency: str | None = None,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
    ) -> dict[str, Any]:
        """What comparing takes besides accounts and requests."""
        return {
            "prices": self._prices,
            "rates": self._rates if rates is None else Rates.of(rates),
            "currency": currency,
            "may_drop": may_drop,
            "check_limits": check_limits,
            "today": self._now().date(),
        }

    def _wait(
        self, job: Job, deadline: float | None, on_progress: Progress | None
    ) -> Driver[ImageResult]:
        adapter = self._where(job)
        context = self._context(deadline=deadline, on_progress=on_progress)
        return self._watched(
            lambda context: wait_for_job(adapter, job, context=context, shared=self._shared),
            context,
            "wait",
            job.request,
            provider=job.account,
        )

    def _look(self, job: Job) -> Driver[Step]:
        adapter, context = self._where(job), self._context()
        return Driver(poll_job(adapter, job, context=context, shared=self._shared), context)

    def _reconcile(self, receipt: Receipt) -> Driver[Found]:
        adapter = self._where(receipt)
        context = self._context()
        return Driver(
            reconcile_receipt(adapter, receipt, context=context, shared=self._shared), context
        )

    def _cancel(self, job: Job) -> Driver[Cancelled | TooLate]:
        adapter, context = self._where(job), self._context()
        return Driver(cancel_job(adapter, job, context=context, shared=self._shared), context)

    def _balance(self, provider: str | None) -> Driver[Money]:
        adapter, context = self._accounts.choose(provider), self._context()
        return Driver(exchanges.converse(adapter, adapter.balance(), context=context), context)

    def _models(self, provider: str | None) -> Driver[tuple[ModelInfo, ...]]:
        adapter, context = self._accounts.choose(provider), self._context()
        return Driver(exchanges.converse(adapter, adapter.models(), context=context), context)

    def _estimate(
        self, request: ImageRequest | str, provider: str | None, fields: dict[str, Any]
    ) -> Driver[Money]:
        made, adapter, context = (
            self._request(request, fields),
            self._accounts.choose(provider),
            self._context(),
        )
        fitted = fit(adapter, made).settle()
        exchange = adapter.estimate(fitted.request, fitted.offer)
        return Driver(exchanges.converse(adapter, exchange, context=context), context)

    def _refresh(self, job: Job) -> Driver[tuple[Image, ...]]:
        adapter, context = self._where(job), self._context()
        return Driver(refresh_job(adapter, job, context=context, shared=self._shared), context)

    def _measure(self, request: ImageRequest) -> Driver[ImageRequest]:
        context = self._context()
        return Driver(fetch.measure(request, context=context), context)

    def _download(self, image: Image) -> Driver[Image]:
        context = self._context()
        return Driver(fetch.download_image("download", image, context=context), context)

    def _saved(self, image: Image, path: Path) -> Path:
        """*path*, where *image* is now, which a ledger of the caller's own is told."""
        self._shared.guard.saved(image)
        return path

    def _save(self, image: Image, file: PictureFile) -> Driver[None]:
        context = self._context()
        return Driver(fetch.download("download", image, file, context=context), context)


def is_here(image: Image) -> bool:
    """Whether the bytes of a picture need not be fetched."""
    return image.data is not None or image.url is None or image.url.startswith("data:")


def _secrets(adapter: Adapter) -> Iterator[str | None]:
    """The key, and the options that are as secret: those that no ``repr`` shows."""
    yield adapter.api_key
    for option in attrs.fields(type(adapter.options)):
        if not option.repr:
            yield getattr(adapter.options, option.name)


def sandboxed(
    sandbox: Sandbox | None,
    registry: Registry,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Sandbox, list[Adapter]]:
    """A sandbox and an account for each provider it speaks; *options* by the provider's name."""
    from wanbridge.sandbox import Sandbox

    sandbox = sandbox or Sandbox()
    adapters = [
        registry.build(
            name,
            api_key=sandbox.api_key(name),
            base_url=sandbox.base_url(name),
            options=(options or {}).get(name),
        )
        for name in sandbox.providers
    ]
    return sandbox, adapters
