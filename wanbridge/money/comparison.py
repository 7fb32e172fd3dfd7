"""What a request, or a whole workload, costs at each account; no call is made.

Amounts are compared in one currency, as far as the caller's rates reach. Unknown prices sort
after known ones, and never count as zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import Verdict, judge, refuse_digests
from wanbridge.adapters.staging import Staging
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.account_quotes import quote_account
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.price_table import EXACT
from wanbridge.money.quotes import Confidence, Quote, Quotes

# From this age on a quote says that its price may have changed. By choice, as no provider says
# how long a price holds: a quarter marks what was not checked for several releases, and
# not the fresh prices of each.
OLD = timedelta(days=90)

_ZERO = Decimal(0)


@frozen(kw_only=True)
class Total:
    """What one account would charge for a whole workload.

    Attributes:
        provider: Account name.
        requests: How many of the workload's requests it can take.
        images: Pictures of those together, sets at their upper bound.
        refused: Requests it cannot take.
        unknown: Of those it can take, how many have no known price.
        unconverted: Of those it can take, how many have a price but no rate for it.
        amounts: Sum of the known prices, one for each currency that is charged.
        in_currency: Sum in the common currency; None if a request that it can take is missing
            from it, or if it can take none.
        reasons: Why requests are refused, and how many; the most frequent first.
        source: Pages that the prices were taken from, joined by ``, ``; None without a price.
        read: The longest ago of the days on which they were read; None if no day is known.
        confidence: ``reported`` if any of the prices is; None without a price.
        assumes: What the amounts rest on besides the prices, one sentence each.
    """

    provider: str
    requests: int
    images: int
    refused: int
    unknown: int
    unconverted: int
    amounts: tuple[Money, ...]
    in_currency: Money | None
    reasons: tuple[tuple[str, int], ...] = ()
    source: str | None = None
    read: date | None = None
    confidence: Confidence | None = None
    assumes: tuple[str, ...] = ()


@frozen(kw_only=True)
class Workload:
    """What many requests would cost together.

    Attributes:
        requests: How many there are.
        images: Pictures together, sets at their upper bound.
        currency: The common currency.
        totals: One for each account: first those that can take everything, the cheapest first;
            then those that can take a part, the most first; then those with an unknown price;
            last those that can take nothing.
        cheapest: In the common currency, if each request goes to its cheapest account;
            None if no account has a comparable price for some request.
        nobody: Requests that no account can take.
    """

    requests: int
    images: int
    currency: str
    rates: Rates
    totals: tuple[Total, ...]
    cheapest: Money | None
    nobody: int

    def _repr_html_(self) -> str:
        """A table of the totals, for notebooks."""
        from wanbridge.money.html import of_workload

        return of_workload(self)


def compare(
    adapters: Iterable[Adapter],
    request: ImageRequest,
    *,
    prices: PriceBook,
    rates: Rates,
    currency: str | None = None,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
    today: date,
) -> list[Quote]:
    """One quote an account: comparable ones, cheapest first; then those without a rate, those
    without a known price, and those that refuse, each in the order given.

    Args:
        currency: To compare in; None is the base of *rates*.
        may_drop, check_limits, staging: As for `wanbridge.adapters.fitting.fit`.
        today: The day that a price's age is counted to.

    Raises:
        InvalidRequest: no provider could be sent this.
        ConfigurationError: a price file is broken.
    """
    refuse_digests(request)
    quotes = []
    for adapter in adapters:
        verdict = judge(
            adapter, request, may_drop=may_drop, check_limits=check_limits, staging=staging
        )
        quote = _dated_quote(adapter, request, prices, rates, currency, today)
        quotes.append(evolve(quote, refused=verdict.refused))
    return Quotes(sorted(quotes, key=sort_key))


def workload(
    adapters: Iterable[Adapter],
    requests: Iterable[ImageRequest],
    *,
    prices: PriceBook,
    rates: Rates,
    currency: str | None = None,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
    today: date,
) -> Workload:
    """What all *requests* would cost at each account; they are read one at a time, and not stored.

    Args:
        currency, may_drop, check_limits, staging, today: As for `compare`.

    Raises:
        InvalidRequest: no provider could be sent one of the requests.
        ConfigurationError: a price file is broken.
    """
    sums = [_RunningTotal(adapter) for adapter in adapters]
    currency = currency or rates.base
    count = images = nobody = 0
    cheapest: Decimal | None = _ZERO
    for request in requests:
        refuse_digests(request)
        count, images = count + 1, images + request.n
        able, common = 0, []
        for one in sums:
            verdict = judge(
                one.adapter, request, may_drop=may_drop, check_limits=check_limits, staging=staging
            )
            if verdict.problems:
                one.refuse(verdict)
                continue
            quote = _dated_quote(one.adapter, request, prices, rates, currency, today)
            one.take(quote, request.n)
            able += 1
            if quote.in_currency is not None:
                common.append(quote.in_currency.amount)
        nobody += not able
        if cheapest is not None:
            cheapest = EXACT.add(cheapest, min(common)) if common else None
    totals = [one.total(currency) for one in sums]
    return Workload(
        requests=count,
        images=images,
        currency=currency,
        rates=rates,
        totals=tuple(sorted(totals, key=_total_sort_key)),
        cheapest=None if cheapest is None else Money(cheapest, currency),
        nobody=nobody,
    )


def sort_key(quote: Quote) -> tuple[int, Decimal]:
    """The key that quotes are sorted by in `compare`."""
    if quote.refused is not None:
        return 3, _ZERO
    if quote.in_currency is not None:
        return 0, quote.in_currency.amount
    return (2 if quote.amount is None else 1), _ZERO


def _total_sort_key(total: Total) -> tuple[Any, ...]:
    common = total.in_currency
    price = (common is None, _ZERO if common is None else common.amount)
    group = 2 if total.refused and not total.requests else 1 if total.unknown else 0
    # An account that can take every request takes the most.
    return group, -total.requests, *price


def _dated_quote(
    adapter: Adapter,
    request: ImageRequest,
    prices: PriceBook,
    rates: Rates,
    currency: str | None,
    today: date,
) -> Quote:
    """The quote of an account, with an assumption more if its price is old."""
    quote = quote_account(adapter, request, prices=prices, rates=rates, currency=currency)
    age = quote.age(today)
    if age is None or age <= OLD:
        return quote
    assumption = f"price read {quote.read}, {age.days} days ago; it may have changed"
    return evolve(quote, assumes=(*quote.assumes, assumption))


@define
class _RunningTotal:
    """The sum of an account's quotes so far.

    Equal reasons, sources and assumptions are stored once, and no request is.
    """

    adapter: Adapter
    requests: int = 0
    images: int = 0
    refused: int = 0
    unknown: int = 0
    unconverted: int = 0
    amounts: dict[str, Decimal] = field(factory=dict)
    common: Decimal = _ZERO
    reasons: Counter[str] = field(factory=Counter)
    prices: dict[tuple[str | None, date | None, Confidence | None], None] = field(factory=dict)
    assumes: dict[str, None] = field(factory=dict)

    def refuse(self, verdict: Verdict) -> None:
        self.refused += 1
        self.reasons.update(dict.fromkeys(verdict.reasons, 1))

    def take(self, quote: Quote, images: int) -> None:
        self.requests += 1
        self.images += images
        self.assumes |= dict.fromkeys(quote.assumes)
        if quote.amount is None or quote.currency is None:
            self.unknown += 1
            return
        self.prices[quote.source, quote.read, quote.confidence] = None
        so_far = self.amounts.get(quote.currency, _ZERO)
        self.amounts[quote.currency] = EXACT.add(so_far, quote.amount)
        if quote.in_currency is None:
            self.unconverted += 1
        else:
            self.common = EXACT.add(self.common, quote.in_currency.amount)

    def total(self, currency: str) -> Total:
        whole = not (self.unknown or self.unconverted or (self.refused and not self.requests))
        days = [read for _, read, _ in self.prices if read is not None]
        sources = dict.fromkeys(source for source, _, _ in self.prices if source is not None)
        trusted = all(confidence == "published" for _, _, confidence in self.prices)
        return Total(
            provider=self.adapter.account,
            requests=self.requests,
            images=self.images,
            refused=self.refused,
            unknown=self.unknown,
            unconverted=self.unconverted,
            amounts=tuple(Money(amount, code) for code, amount in self.amounts.items()),
            in_currency=Money(self.common, currency) if whole else None,
            reasons=tuple(self.reasons.most_common()),
            source=", ".join(sources) or None,
            read=min(days, default=None),
            confidence=("published" if trusted else "reported") if self.prices else None,
            assumes=tuple(self.assumes),
        )
