"""Routes: which accounts may do a request, in which order, and why the others are not asked.

Values and a pure function; asking them one after the other is `wanbridge.routing.failover`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from attrs import field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import DROPPABLE, FittedRequest, fit
from wanbridge.adapters.staging import Staging
from wanbridge.errors import (
    ConfigurationError,
    MissingCredentials,
    UnknownProvider,
    UnsupportedFeature,
)
from wanbridge.model.money import Money
from wanbridge.model.nearest import did_you_mean
from wanbridge.model.request import ImageRequest
from wanbridge.money.budgets import Budget
from wanbridge.money.quotes import Quote

Order: TypeAlias = Literal["given", "cheapest", "fastest", "spread"]
Uncertain: TypeAlias = Literal["stop", "pay_again"]
ORDERS: tuple[str, ...] = get_args(Order)


def _names(providers: Any) -> Any:
    if providers == "any":
        return providers
    if isinstance(providers, str | bytes | Mapping) or not isinstance(providers, Iterable):
        raise ConfigurationError(f"route: providers: {providers!r}; a list of accounts, or 'any'")
    return tuple(providers)


def _fields(may_drop: Any) -> tuple[str, ...]:
    several = isinstance(may_drop, list | tuple | set | frozenset)
    if not several or not all(isinstance(name, str) for name in may_drop):
        raise ConfigurationError(f"route: may_drop: {may_drop!r}; a list of fields")
    return tuple(may_drop)


def _alike(amount: Decimal) -> str:
    """Equal amounts as equal text, whatever the decimal context: 5.00 is 5."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@frozen
class Route:
    """Which accounts a request may go to, and what is done when one of them fails.

    Attributes:
        providers: Account names; ``any`` is every configured account.
        order: ``given``; ``cheapest`` first; ``fastest`` first, by the running median of what
            this client has measured; ``spread`` at random, by *weights*.
        on_uncertain: What follows a failure that may have cost money: ``stop`` raises it,
            with the receipt or job; ``pay_again`` asks the next provider all the same, and
            the result says so. ``submit`` has no result and always stops.
        may_drop: Canonical fields that may be left out, with a note, where they cannot be said.
        budget: What the route may spend at most, all its calls together: `Money` for ever, or
            `Budget`, or several of them. None is any amount.
        assume_cost: Counts under a budget where a price is unknown or cannot be converted;
            None skips such a provider.
        deadline: Seconds for all attempts together; None is the client's.
        hedge_after: Seconds after which the next provider is asked if nothing was sent to the
            first, which is withdrawn then. With ``pay_again`` also if it was sent and has not
            ended: both are paid, and the faster one counts. None waits.
        weights: Shares of ``spread``, whole numbers; 1 for an account that is not named.
        name: What budgets and traces call it; routes without one share a budget if they are
            equal.
    """

    providers: tuple[str, ...] | Literal["any"] = field(default="any", converter=_names)
    order: Order = "given"
    on_uncertain: Uncertain = "stop"
    may_drop: tuple[str, ...] = field(default=(), converter=_fields)
    budget: Money | Budget | Sequence[Money | Budget] | None = None
    assume_cost: Money | None = None
    deadline: float | None = None
    hedge_after: float | None = None
    weights: Mapping[str, int] = field(factory=dict)
    name: str | None = None

    def __attrs_post_init__(self) -> None:
        for problem in self._problems():
            raise ConfigurationError(f"route: {problem}")

    def _problems(self) -> Iterable[str]:
        names = self.providers
        if not names or not all(isinstance(name, str) and name for name in names):
            yield f"providers: {names!r}; at least one account, or 'any'"
        if names != "any" and len(set(names)) < len(names):
            yield f"providers: {', '.join(names)}; each account once"
        if self.order not in ORDERS:
            yield f"order: {self.order!r}; one of {', '.join(ORDERS)}"
        if self.on_uncertain not in get_args(Uncertain):
            yield f"on_uncertain: {self.on_uncertain!r}; stop or pay_again"
        if wrong := sorted(set(self.may_drop) - DROPPABLE):
            known = ", ".join(sorted(DROPPABLE))
            yield f"may_drop: {', '.join(wrong)} cannot be dropped; {known} can"
        several: Any = self.budget if isinstance(self.budget, list | tuple) else [self.budget]
        if wrong := [b for b in several if b is not None and not isinstance(b, Money | Budget)]:
            yield f"budget: {wrong[0]!r}; Money('5.00', 'USD') or a Budget"
            return  # as the next would stumble over it
        if self.assume_cost is not None and not isinstance(self.assume_cost, Money):
            yield f"assume_cost: {self.assume_cost!r}; Money('0.05', 'USD')"
        elif self.assume_cost is not None and self.assume_cost.amount < 0:
            yield f"assume_cost: {self.assume_cost}; not below 0"
        periods = [(budget.limit.currency, budget.period) for budget in self.budgets]
        if len(set(periods)) < len(periods):
            yield "budget: two for one currency and period; the lower one holds, give that"
        for name in ("deadline", "hedge_after"):
            seconds = getattr(self, name)
            fine = isinstance(seconds, int | float) and seconds > 0
            if seconds is not None and not fine:
                yield f"{name}: {seconds!r}; seconds, more than 0"
        if not isinstance(self.weights, Mapping):
            yield f"weights: {self.weights!r}; whole numbers by account"
            return
        if self.weights and self.order != "spread":
            yield f"weights: only for order 'spread', not {self.order!r}"
        for name, weight in self.weights.items():
            if type(weight) is not int or weight < 1:
                yield f"weights: {name}: {weight!r}; a whole number from 1"
            if names != "any" and name not in names:
                yield f"weights: {name!r} is not among its providers"

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """All of them."""
        given = self.budget
        several = [given] if isinstance(given, Money | Budget) else given or ()
        return tuple(b if isinstance(b, Budget) else Budget(b) for b in several)

    @property
    def title(self) -> str:
        """Its name, else its providers."""
        named = self.providers if isinstance(self.providers, str) else ", ".join(self.providers)
        return self.name or f"{named} ({self.order})"

    @property
    def scope(self) -> str:
        """What its budgets are known by in a ledger."""
        if self.name is not None:
            return self.name
        limits = [(_alike(b.limit.amount), b.limit.currency, b.period) for b in self.budgets]
        said = repr((self.providers, self.order, self.on_uncertain, limits))
        return f"unnamed-{hashlib.sha256(said.encode()).hexdigest()[:16]}"

    def accounts(self, known: Mapping[str, Adapter]) -> list[Adapter]:
        """Its accounts, in its order, among those that are *known*.

        Raises:
            UnknownProvider: it names one that is not.
            ConfigurationError: there is none at all.
        """
        if self.providers == "any":
            if not known:
                raise ConfigurationError("no provider is configured")
            return list(known.values())
        if wrong := [name for name in self.providers if name not in known]:
            there = ", ".join(known) or "none is configured"
            hint = did_you_mean(wrong[0], known)
            named = f"no account is called {', '.join(wrong)}"
            raise UnknownProvider(f"route {self.title}: {named}; {hint}there are: {there}")
        return [known[name] for name in self.providers]


@frozen(kw_only=True)
class Candidate:
    """One account, as a route sees it for one request.

    Attributes:
        adapter: The account.
        fitted: The request as it would be sent; None if it cannot be.
        quote: What it would cost there; None where neither order nor budget asks.
        reason: Why it stands at its place, or why it is not asked.
        skipped: Why it cannot be asked; None if it can.
    """

    adapter: Adapter
    fitted: FittedRequest | None = None
    quote: Quote | None = None
    reason: str = ""
    skipped: Exception | None = None

    @property
    def account(self) -> str:
        """Its name."""
        return self.adapter.account


def rank(
    route: Route,
    adapters: Sequence[Adapter],
    request: ImageRequest,
    *,
    quote: Callable[[Adapter], Quote],
    medians: Mapping[str, float] | None = None,
    draws: Sequence[float] = (),
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
    with_job: bool = False,
) -> list[Candidate]:
    """The accounts in the order in which they are asked; then those that are not, and why. Pure.

    Args:
        adapters: The route's accounts, in the order given.
        quote: The price at an account, in a common currency where it can be converted.
        medians: Seconds that *request*'s model took, by account; for ``fastest``.
        draws: A number in [0, 1) for each adapter; for ``spread``.
        may_drop, check_limits, staging: As in `wanbridge.adapters.fitting.fit`.
        with_job: A job is wanted, which modes that answer at once do not give.

    Raises:
        InvalidRequest: no provider could be sent this.
    """
    priced = route.order == "cheapest" or route.budget is not None
    able, others = list[_Able](), list[Candidate]()
    for adapter in adapters:
        try:
            _check_account(adapter, with_job)
            fitted = fit(
                adapter, request, may_drop=may_drop, check_limits=check_limits, staging=staging
            ).settle()
        except (MissingCredentials, UnsupportedFeature) as exc:
            why = exc.with_traceback(None)
            others.append(Candidate(adapter=adapter, reason=_said(why), skipped=why))
        else:
            able.append(_Able(adapter, fitted, quote(adapter) if priced else None))
    match route.order:
        case "given":
            ordered = [_because(a, f"{n} of {len(able)}, as given") for n, a in enumerate(able, 1)]
        case "cheapest":
            ordered = _cheapest(able)
        case "fastest":
            ordered = _fastest(able, medians or {})
        case "spread":
            ordered = _spread(able, route.weights, draws)
    return ordered + others


class _Able(NamedTuple):
    """An account that can take the request, before it has its place."""

    adapter: Adapter
    fitted: FittedRequest
    quote: Quote | None


def _check_account(adapter: Adapter, with_job: bool) -> None:
    """Raise why an account can be sent no request at all."""
    if not adapter.api_key:
        raise MissingCredentials(f"{adapter.account}: no key is configured")
    if with_job and adapter.at_once:
        raise adapter.unsupported("submit", "this mode answers with the pictures at once")


def _said(problem: Exception) -> str:
    if not isinstance(problem, UnsupportedFeature):
        return str(problem)
    return "; ".join(f"{p.field}: {p.reason}" for p in (problem, *problem.also))


def _because(able: _Able, reason: str) -> Candidate:
    return Candidate(adapter=able.adapter, fitted=able.fitted, quote=able.quote, reason=reason)


def _cheapest(able: list[_Able]) -> list[Candidate]:
    """By price in the common currency; then what cannot be compared, then the unknown."""

    def place(one: _Able) -> tuple[int, Any]:
        assert one.quote is not None
        if one.quote.in_currency is not None:
            return 0, one.quote.in_currency.amount
        return (2 if one.quote.amount is None else 1), 0

    def reason(quote: Quote | None) -> str:
        assert quote is not None
        if quote.in_currency is not None:
            return f"costs {quote.in_currency}"
        return "its price is unknown" if quote.money is None else f"{quote.money}: no rate for it"

    return [_because(a, reason(a.quote)) for a in sorted(able, key=place)]


def _fastest(able: list[_Able], medians: Mapping[str, float]) -> list[Candidate]:
    """By median; an account that was not measured lately comes first, and so is measured."""
    ordered = sorted(able, key=lambda a: medians.get(a.adapter.account, 0.0))
    return [
        _because(a, f"median {medians[name]:.1f} s" if name in medians else "not measured lately")
        for a in ordered
        for name in (a.adapter.account,)
    ]


def _spread(
    able: list[_Able], weights: Mapping[str, int], draws: Sequence[float]
) -> list[Candidate]:
    """At random without replacement, each in proportion to its weight.

    Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006: the largest
    ``u ** (1 / w)`` first.
    """
    enough = (*draws, *[0.0] * len(able))
    shares = [weights.get(a.adapter.account, 1) for a in able]
    keyed = [(draw ** (1 / w), w, a) for a, w, draw in zip(able, shares, enough, strict=False)]
    keyed.sort(key=lambda each: each[0], reverse=True)
    return [_because(a, f"drawn by weight {w}") for _, w, a in keyed]
