"""The routes of a client: which one a call means, and in which order it asks its accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import refuse_digests
from wanbridge.client.arguments import expect
from wanbridge.engine.context import CallContext
from wanbridge.errors import ConfigurationError
from wanbridge.model.brief import brief
from wanbridge.model.nearest import did_you_mean
from wanbridge.model.request import ImageRequest
from wanbridge.money.account_quotes import quote_account
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook, price_basis
from wanbridge.money.quotes import Quote
from wanbridge.routing.health import Health
from wanbridge.routing.route import ORDERS, Candidate, Order, Route, rank


class Router:
    """Routes by name, over the accounts of a client.

    Args:
        routes: By name; a route without a name of its own gets that one.
        accounts: Adapters by account.
        prices, rates: For ``cheapest``, and for budgets.
        health: Measured latencies, for ``fastest``.
        chance: Uniform in [0, 1), for ``spread``.

    Raises:
        UnknownProvider: a route names an account that is not configured.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        accounts: Mapping[str, Adapter],
        *,
        prices: PriceBook,
        rates: Rates,
        health: Health,
        chance: Callable[[], float],
    ) -> None:
        expect("routes", routes, Mapping, "a mapping of Route by name")
        for name, route in routes.items():
            expect(f"routes[{brief(name)}]", route, Route)
        self._routes = {n: evolve(r, name=r.name or n) for n, r in routes.items()}
        self._accounts, self._prices, self._rates = accounts, prices, rates
        self._health, self._chance = health, chance
        # A few for each account: prices, rates and accounts do not change, and requests have few
        # bases. Working the quotes out anew takes as long as the rest of ranking by price.
        self._quotes: dict[tuple[str, Any, str | None], Quote] = {}
        for route in self._routes.values():
            if route.providers != "any":
                route.accounts(accounts)

    @property
    def default(self) -> Route | None:
        """The route of calls that name neither account nor route; None without one."""
        return self._routes.get("default")

    def find(self, route: str | Route) -> Route:
        """The route of that name, or one over every account in the order of that name.

        Raises:
            TypeError: it is no name.
            ConfigurationError: it is neither.
        """
        if isinstance(route, Route):
            return route
        expect("route", route, str, "a Route, the name of one, or an order")
        if route in self._routes:
            return self._routes[route]
        if route in ORDERS:
            return Route("any", order=cast("Order", route), name=route)
        known = [*self._routes, *ORDERS]
        raise ConfigurationError(
            f"no route is called {route!r}; {did_you_mean(route, known)}"
            f"there are: {', '.join(known)}"
        )

    def rank(
        self, route: Route, request: ImageRequest, context: CallContext, *, wants_job: bool = False
    ) -> list[Candidate]:
        """The accounts of *route*, as it would ask them for *request* now.

        Args:
            wants_job: A job is wanted, not pictures.

        Raises:
            InvalidRequest: no account could be sent this.
        """
        adapters = route.accounts(self._accounts)
        currency = route.budgets[0].limit.currency if route.budget else None
        refuse_digests(request)
        return rank(
            route,
            adapters,
            request,
            quote=lambda adapter: self._quote(adapter, request, currency),
            medians=self._health.medians(request.model, context.clock())
            if route.order == "fastest"
            else None,
            draws=[self._chance() for _ in adapters] if route.order == "spread" else (),
            may_drop=context.may_drop,
            check_limits=context.check_limits,
            staging=context.staging,
            with_job=wants_job,
        )

    def _quote(self, adapter: Adapter, request: ImageRequest, currency: str | None) -> Quote:
        key = (adapter.account, price_basis(request), currency)
        if (quote := self._quotes.get(key)) is None:
            quote = self._quotes[key] = quote_account(
                adapter, request, prices=self._prices, rates=self._rates, currency=currency
            )
        return quote
