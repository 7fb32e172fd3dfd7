"""Quotes and comparisons as HTML, for notebooks; see `wanbridge.model.html`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wanbridge.model.html import table, text

if TYPE_CHECKING:
    from wanbridge.money.comparison import Total, Workload
    from wanbridge.money.quotes import Quote

_QUOTES = ("account", "model", "price", "compared", "read", "confidence", "source", "notes")
_TOTALS = ("account", "requests", "pictures", "price", "compared", "read", "source", "notes")


def of_quotes(quotes: Iterable[Quote]) -> str:
    """A table with a row for each quote, in their order."""
    return table(_QUOTES, map(_quote_row, quotes))


def _quote_row(quote: Quote) -> tuple[object, ...]:
    if quote.refused is not None:
        return (quote.provider, quote.model, "refused", *(None,) * 4, quote.refused)
    price = "unknown" if quote.money is None else str(quote.money)
    if quote.credits is not None and not price.endswith("-CREDITS"):
        price += f" ({quote.credits} credits)"
    return (
        quote.provider,
        quote.model,
        price,
        quote.in_currency,
        quote.read,
        quote.confidence,
        quote.source,
        "; ".join(quote.assumes),
    )


def of_workload(workload: Workload) -> str:
    """What was asked, a table with a row for each account, and the cheapest mix."""
    asked = f"{workload.requests} requests, {workload.images} pictures"
    cheapest = "unknown" if workload.cheapest is None else str(workload.cheapest)
    ends = [asked, f"each at its cheapest: {cheapest}"]
    if workload.nobody:
        ends.append(f"{workload.nobody} that no account can take")
    head = " · ".join(text(end) for end in ends)
    return f"<div><p>{head}</p>{table(_TOTALS, map(_total_row, workload.totals))}</div>"


def _total_row(total: Total) -> tuple[object, ...]:
    notes = [
        *(f"{count} unknown" for count in (total.unknown,) if count),
        *(f"{count} without a rate" for count in (total.unconverted,) if count),
        *(f"{count} refused" for count in (total.refused,) if count),
        *(f"{count}: {reason}" for reason, count in total.reasons),
        *total.assumes,
    ]
    return (
        total.provider,
        total.requests,
        total.images,
        ", ".join(map(str, total.amounts)) or ("unknown" if total.requests else "refused"),
        total.in_currency,
        total.read,
        total.source,
        "; ".join(notes),
    )
