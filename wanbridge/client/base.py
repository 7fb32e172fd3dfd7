"""What both clients share: accounts, call contexts, and everything that needs no socket."""

from __future__ import annotations

import difflib
import inspect
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urlsplit

import attrs
from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit, refuse_digests
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Cancelled, Delivery, Found, ModelInfo, Step, TooLate
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
from wanbridge.errors import ConfigurationError, InvalidRequest, Problem, UnknownProvider
from wanbridge.explain.explanation import Explanation, explain_all
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.protocol import Ledger
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.money.account_quotes import convert_charge, quote_account
from wanbridge.money.comparison import Workload, compare, workload
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.quotes import Quote
from wanbridge.money.spend_guard import Guard
from wanbridge.observability.observation import observe
from wanbridge.observability.telemetry import Telemetry
from wanbridge.routing.estimates import estimate_quotes
from wanbridge.routing.failover import failover
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
from wanbridge.routing.route import ORDERS, Candidate, Order, Route, rank
from wanbridge.storage.files import PictureFile
from wanbridge.transport import redaction
from wanbridge.transport.http import utc_now

if TYPE_CHECKING:
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.config import Settings
    from wanbridge.sandbox import Sandbox

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
        self._accounts: dict[str, Adapter] = {}
        for adapter in adapters:
            if self._accounts.setdefault(adapter.account, adapter) is not adapter:
                raise ConfigurationError(f"two accounts are called {adapter.account!r}")
        if default is not None and default not in self._accounts:
            raise UnknownProvider(self._no_such(default))
        self._default = default
        self._routes = {n: evolve(r, name=r.name or n) for n, r in (routes or {}).items()}
        for route in self._routes.values():
            if route.providers != "any":
                route.accounts(self._accounts)
        self._rates, self._telemetry = Rates.of(rates), telemetry
        self._timeouts = timeouts or Timeouts()
        self._prices = prices or PriceBook.builtin()
        self._registry = registry or Registry()
        self._progress, self._callbacks = on_progress, callbacks
        self._clock, self._now, self._chance, self._new_key = clock, now, chance, new_key
        self._ledger = ledger
        self._own_ledger: Ledger | None = None
        self._rate_limiter = RateLimiter()
        self._health = Health()
        guard = Guard(ledger or MemoryLedger(), self._in_currency, record_all=ledger is not None)
        self._shared = Shared(self._health, guard)
        redaction.protect(self, [secret for a in adapters for secret in _secrets(a)])
        self._origins = frozenset(fetch.origin(a.base_url) for a in adapters)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._accounts)})"

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
        return dict(self._accounts)

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
        return explain_all(
            tuple(self._accounts.values()),
            self._request(request, fields),
            prices=self._prices,
            may_drop=may_drop,
            check_limits=check_limits,
        )

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """The job of an uncertain submit, by the caller's word that *task_id* is its task."""
        adapter = self._at(receipt.account, receipt.provider, receipt.base_url)
        job = adapter.adopt(receipt, task_id)
        self._shared.guard.attach_job(receipt, job)
        return job

    # -- inner ------------------------------------------------------------------------------

    def _close(self) -> None:
        """Give back what is this client's own."""
        if self._own_ledger is not None:
            self._own_ledger.close()

    def _no_such(self, name: str) -> str:
        known = ", ".join(self._accounts) or "none is configured"
        near = difflib.get_close_matches(name, self._accounts, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"no account is called {name!r}; {hint}there are: {known}"

    def _choose(self, provider: str | None) -> Adapter:
        name = provider or self._default
        if name is not None:
            if name not in self._accounts:
                raise UnknownProvider(self._no_such(name))
            return self._accounts[name]
        if len(self._accounts) == 1:
            return next(iter(self._accounts.values()))
        if not self._accounts:
            raise ConfigurationError(
                "no provider is configured; set one of"
                f" {', '.join(f'{n.upper()}_API_KEY' for n in self._registry.names())},"
                " or give a configuration file"
            )
        raise ConfigurationError(f"which provider? provider=... one of {', '.join(self._accounts)}")

    def _at(self, account: str, provider: str, base_url: str) -> Adapter:
        """The adapter that made a job or receipt, bound to where it was made."""
        host = urlsplit(base_url).netloc
        candidates = [a for a in self._accounts.values() if a.name == provider]
        candidates.sort(key=lambda a: a.account != account)
        for adapter in candidates:
            if urlsplit(adapter.base_url).netloc == host:
                return evolve(adapter, base_url=base_url)
        raise ConfigurationError(
            f"no {provider} account is configured for {host}, where this was accepted"
        )

    def _request(self, request: ImageRequest | str, fields: dict[str, Any]) -> ImageRequest:
        made = request_of(request, fields)
        if made.extra:
            self._check_extra(made.extra)
        return made

    def _check_extra(self, extra: Mapping[str, Any]) -> None:
        known = {*self._registry.names(), *(a.name for a in self._accounts.values())}
        if unknown := sorted(set(extra) - known):
            message = f"no adapter of that name; {', '.join(sorted(known))}"
            raise InvalidRequest(tuple(Problem(f"$.extra.{n}", message) for n in unknown))

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
        who = self._whom(options.pop("provider", None), options.pop("route", None))
        key = options.pop("key", None)
        key = self._new_key() if key is None else checked_key(key)
        if not isinstance(who, Route):
            who.bearer()
            return self._watched(
                lambda context: buy_from_account(
                    operation, who, made, key=key, context=context, shared=self._shared
                ),
                self._context(**options),
                operation.name,
                made,
                provider=who.account,
            )
        context = self._routed_context(who, options)
        ranked = self._ranked(who, made, context, wants_job=operation.wants_job)
        return self._watched(
            lambda context: failover(
                operation, who, ranked, made, key=key, context=context, shared=self._shared
            ),
            context,
            operation.name,
            made,
            route=who.title,
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
        flow = observe(play, context, self._telemetry, operation=operation, model=model, **named)
        return Driver(flow, context)

    def _whom(self, provider: str | None, route: str | Route | None) -> Adapter | Route:
        """Who is asked: the account or the route that is named, else the configured ones."""
        if provider is not None and route is not None:
            raise TypeError("provider= or route=, not both")
        if isinstance(route, Route):
            return route
        if route is not None:
            return self._route(route)
        if provider is None and (usual := self._routes.get("default")) is not None:
            return usual
        return self._choose(provider)

    def _route(self, name: str) -> Route:
        """The configured route of that name; an order alone is a route to every account."""
        if name in self._routes:
            return self._routes[name]
        if name in ORDERS:
            return Route("any", order=cast("Order", name), name=name)
        known = [*self._routes, *ORDERS]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigurationError(
            f"no route is called {name!r}; {hint}there are: {', '.join(known)}"
        )

    def _routed_context(self, route: Route, options: dict[str, Any]) -> CallContext:
        """The context of a call by *route*, which may have a deadline and drop fields itself."""
        deadline = options.pop("deadline", None)
        may_drop = options.pop("may_drop", ())
        if not isinstance(may_drop, str):  # which the plan refuses
            may_drop = (*route.may_drop, *may_drop)
        return self._context(
            deadline=route.deadline if deadline is None else deadline, may_drop=may_drop, **options
        )

    def _ranked(
        self, route: Route, request: ImageRequest, context: CallContext, *, wants_job: bool = False
    ) -> list[Candidate]:
        """The accounts of *route*, as it would ask them for *request* now."""
        adapters = route.accounts(self._accounts)
        currency = route.budgets[0].limit.currency if route.budget else None
        refuse_digests(request)
        return rank(
            route,
            adapters,
            request,
            quote=lambda a: quote_account(
                a, request, prices=self._prices, rates=self._rates, currency=currency
            ),
            medians=self._health.medians(request.model, self._clock())
            if route.order == "fastest"
            else None,
            draws=[self._chance() for _ in adapters] if route.order == "spread" else (),
            may_drop=context.may_drop,
            check_limits=context.check_limits,
            with_job=wants_job,
        )

    def _in_currency(self, adapter: Adapter, money: Money, currency: str) -> Money | None:
        found, _ = convert_charge(
            adapter, money, prices=self._prices, rates=self._rates, currency=currency
        )
        return found

    def _compare(self, request: ImageRequest | str, how: Comparing) -> Driver[list[Quote]]:
        fields, options = sorted_out(how, COMPARING)
        made = self._request(request, fields)
        live = options.pop("live", False)
        rating = self._rating(**options)
        context = self._context(may_drop=rating["may_drop"], check_limits=rating["check_limits"])
        quotes = compare(self._accounts.values(), made, **rating)

        def common(adapter: Adapter, money: Money) -> tuple[Money | None, tuple[str, ...]]:
            rates, currency = rating["rates"], rating["currency"]
            return convert_charge(
                adapter, money, prices=self._prices, rates=rates, currency=currency
            )

        adapters = self._accounts if live else {}
        return Driver(
            estimate_quotes(quotes, adapters, made, common=common, context=context), context
        )

    def _workload(self, requests: Iterable[ImageRequest], how: Rating) -> Workload:
        return workload(self._accounts.values(), requests, **self._rating(**how))

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
        adapter = self._at(job.account, job.provider, job.base_url)
        context = self._context(deadline=deadline, on_progress=on_progress)
        return self._watched(
            lambda context: wait_for_job(adapter, job, context=context, shared=self._shared),
            context,
            "wait",
            job.request,
            provider=job.account,
        )

    def _look(self, job: Job) -> Driver[Step]:
        adapter, context = self._at(job.account, job.provider, job.base_url), self._context()
        return Driver(poll_job(adapter, job, context=context, shared=self._shared), context)

    def _reconcile(self, receipt: Receipt) -> Driver[Found]:
        adapter = self._at(receipt.account, receipt.provider, receipt.base_url)
        context = self._context()
        return Driver(
            reconcile_receipt(adapter, receipt, context=context, shared=self._shared), context
        )

    def _cancel(self, job: Job) -> Driver[Cancelled | TooLate]:
        adapter, context = self._at(job.account, job.provider, job.base_url), self._context()
        return Driver(cancel_job(adapter, job, context=context, shared=self._shared), context)

    def _balance(self, provider: str | None) -> Driver[Money]:
        adapter, context = self._choose(provider), self._context()
        return Driver(exchanges.converse(adapter, adapter.balance(), context=context), context)

    def _models(self, provider: str | None) -> Driver[tuple[ModelInfo, ...]]:
        adapter, context = self._choose(provider), self._context()
        return Driver(exchanges.converse(adapter, adapter.models(), context=context), context)

    def _estimate(
        self, request: ImageRequest | str, provider: str | None, fields: dict[str, Any]
    ) -> Driver[Money]:
        made, adapter, context = (
            self._request(request, fields),
            self._choose(provider),
            self._context(),
        )
        fitted = fit(adapter, made).settle()
        exchange = adapter.estimate(fitted.request, fitted.offer)
        return Driver(exchanges.converse(adapter, exchange, context=context), context)

    def _refresh(self, job: Job) -> Driver[tuple[Image, ...]]:
        adapter, context = self._at(job.account, job.provider, job.base_url), self._context()
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
