"""A comparison for display: ranks, differences to the cheapest, ages of prices, gaps.

Screen, page, JSON and CSV are made from these values. Amounts are
exact here; `amounts` rounds them for the eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from attrs import evolve, frozen

from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.comparison import OLD, Total, Workload
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.quotes import Quote

Standing = Literal["ranked", "partial", "unconverted", "unknown", "refused"]
_TENTH = Decimal("0.1")


@frozen(kw_only=True)
class Basis:
    """What amounts are compared in.

    Attributes:
        currency: The common one.
        day: On which the ages of prices are counted.
        assumed_day: Whether the rates are dated *day* because no date was given.
    """

    currency: str
    rates: Rates
    day: date
    assumed_day: bool = False


@frozen(kw_only=True)
class Line:
    """One account.

    Attributes:
        standing: ``ranked`` can do all and has a common amount; ``partial`` has one for what it
            can do of a workload; ``unconverted`` has prices, and not all in the common currency;
            ``unknown`` has no price; ``refused`` can do nothing.
        rank: From 1; equal amounts share one. None unless ranked.
        over: Percent above the cheapest; None unless ranked.
        own: As the account charges, one amount for each currency; empty if unknown.
        common: In the common currency; None if it is not known whole.
        sources: Pages that the prices were read from.
        read: Day on which they were; of several the longest ago.
        age: Days since then.
        missing: What of a workload is not in the amounts, a phrase each.
        reasons: Why it cannot take the request, or requests.
    """

    provider: str
    standing: Standing
    rank: int | None = None
    over: Decimal | None = None
    own: tuple[Money, ...] = ()
    common: Money | None = None
    credits: int | None = None
    confidence: str | None = None
    sources: tuple[str, ...] = ()
    read: date | None = None
    age: int | None = None
    assumes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def old(self) -> bool:
        """Whether the price was read so long ago that it may have changed."""
        return self.age is not None and self.age > OLD.days


@frozen(kw_only=True)
class Comparison:
    """What one request, or a workload, costs at each account.

    Attributes:
        asked: The request; of a workload its file.
        found: One quote for each account, or the totals of a workload.
        lines: In the order of *found*.
    """

    asked: ImageRequest | str
    found: Sequence[Quote] | Workload
    basis: Basis
    lines: tuple[Line, ...]

    @property
    def capable(self) -> tuple[Line, ...]:
        """Those that can take something."""
        return tuple(line for line in self.lines if line.standing != "refused")

    @property
    def lacking(self) -> tuple[Line, ...]:
        """Those that cannot take it, or not all of it, or whose amount is not of all."""
        return tuple(line for line in self.lines if line.missing or line.reasons)

    @property
    def ranked(self) -> tuple[Line, ...]:
        """Those whose amounts can be compared, cheapest first."""
        return tuple(line for line in self.lines if line.standing == "ranked")

    @property
    def assumptions(self) -> dict[str, int]:
        """Every assumption that an amount rests on, and the number of its footnote."""
        texts = dict.fromkeys(text for line in self.capable for text in line.assumes)
        return {text: number for number, text in enumerate(texts, 1)}

    def footnotes(self, line: Line) -> list[int]:
        """The numbers of the assumptions that *line* rests on."""
        return sorted({self.assumptions[text] for text in line.assumes})

    @property
    def sources(self) -> dict[tuple[str, str], list[str]]:
        """Pages that prices were read from, and on which day; with the accounts they are of."""
        pages: dict[tuple[str, str], list[str]] = {}
        for line in self.capable:
            later = " or later" if len(line.sources) > 1 else ""
            day = f"read {line.read}{later}" if line.read else ""
            for source in line.sources:
                pages.setdefault((source, day), []).append(line.provider)
        return pages

    @property
    def missing_rates(self) -> tuple[str, ...]:
        """Currencies whose rate would let more be compared, sorted."""
        rates, common = self.basis.rates, self.basis.currency
        given = {m.currency for e in self.capable if e.standing == "unconverted" for m in e.own}
        apart = {code for code in given if rates.convert(Money(1, code), common) is None}
        asked = {common, *apart} if apart else set()
        return tuple(sorted(asked - {rates.base, *rates.per}))


def of_quotes(request: ImageRequest, quotes: Sequence[Quote], basis: Basis) -> Comparison:
    """What one request costs at each account."""
    lines = _ranked(_of_quote(quote, basis.day) for quote in quotes)
    return Comparison(asked=request, found=quotes, basis=basis, lines=lines)


def of_workload(name: str, load: Workload, basis: Basis) -> Comparison:
    """What all requests of the file *name* cost together at each account."""
    lines = _ranked(_of_total(total, load, basis.day) for total in load.totals)
    return Comparison(asked=name, found=load, basis=basis, lines=lines)


def _of_quote(quote: Quote, day: date) -> Line:
    return Line(
        provider=quote.provider,
        standing=_standing_of(quote),
        own=() if quote.money is None else (quote.money,),
        common=quote.in_currency,
        credits=quote.credits,
        confidence=quote.confidence,
        sources=() if quote.source is None else (quote.source,),
        read=quote.read,
        age=age(quote.read, day),
        assumes=quote.assumes,
        reasons=() if quote.refused is None else (quote.refused,),
    )


def _standing_of(quote: Quote) -> Standing:
    if quote.refused is not None:
        return "refused"
    if quote.money is None:
        return "unknown"
    return "unconverted" if quote.in_currency is None else "ranked"


def _of_total(total: Total, load: Workload, day: date) -> Line:
    gaps = {
        f"takes {total.requests} of {counted(load.requests, 'request')}": total.refused,
        f"no price for {total.unknown}": total.unknown,
        f"no rate for {total.unconverted}": total.unconverted,
    }
    return Line(
        provider=total.provider,
        standing=_standing_over(total),
        own=total.amounts,
        common=total.in_currency,
        confidence=total.confidence,
        sources=() if total.source is None else tuple(total.source.split(", ")),
        read=total.read,
        age=age(total.read, day),
        assumes=total.assumes,
        missing=tuple(phrase for phrase, count in gaps.items() if count),
        reasons=tuple(f"{counted(n, 'request')}: {why}" for why, n in total.reasons),
    )


def _standing_over(total: Total) -> Standing:
    if not total.requests:
        return "refused"
    if not total.amounts:
        return "unknown"
    if total.in_currency is None:
        return "unconverted"
    return "partial" if total.refused else "ranked"


def _ranked(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines with rank and difference, where amounts can be compared."""
    lines = tuple(lines)
    amounts = [e.common.amount for e in lines if e.standing == "ranked" and e.common]
    return tuple(
        evolve(
            line,
            rank=1 + sum(amount < line.common.amount for amount in amounts),
            over=_over(line.common.amount, min(amounts)),
        )
        if line.standing == "ranked" and line.common
        else line
        for line in lines
    )


def _over(amount: Decimal, least: Decimal) -> Decimal | None:
    return (amount - least) * 100 / least if least else None


def age(read: date | None, day: date) -> int | None:
    """Days from one to the other; None where no price was read."""
    return None if read is None else (day - read).days


def counted(count: int, noun: str) -> str:
    """``1 request``, ``2 requests``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def percent(over: Decimal | None) -> str:
    """A difference as people read it: ``cheapest``, ``+25%``, ``+0.4%``; empty if there is none."""
    if over is None:
        return ""
    if not over:
        return "cheapest"
    tenths = over.quantize(_TENTH, ROUND_HALF_UP)
    if not tenths:
        return "+<0.1%"
    whole = tenths == tenths.to_integral_value() or tenths >= 10
    return f"+{over.quantize(Decimal(1), ROUND_HALF_UP) if whole else tenths:f}%"


def rate_sentences(comparison: Comparison) -> Iterator[str]:
    """A sentence on the rates that were used, and one on those that are missing."""
    rates, basis = comparison.basis.rates, comparison.basis
    if rates.per:
        given = ", ".join(f"1 {code} = {worth:f} {rates.base}" for code, worth in rates.per.items())
        dated = f"{rates.date}{', today, as no day was given' if basis.assumed_day else ''}"
        yield f"rates of {dated}: {given}"
    elif not comparison.missing_rates:
        yield "no exchange rate was needed"
    if missing_rates := comparison.missing_rates:
        hint = " ".join(f"--rate {code}=..." for code in missing_rates)
        yield (
            f"without a rate for {', '.join(missing_rates)} not everything can be compared:"
            f" {hint} says what one is worth in {rates.base}"
        )


def lacking_title(comparison: Comparison) -> str:
    """What is wrong with those that are lacking."""
    return "incomplete" if isinstance(comparison.found, Workload) else "cannot take it"
