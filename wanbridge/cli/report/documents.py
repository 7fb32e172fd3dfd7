"""A comparison for programs: JSON and CSV, with exact amounts as text.

For one request::

    {"request": {...}, "currency": "USD", "rates": {"base": "USD", "date": "2026-11-20",
     "CNY": "0.1406"}, "date": "2026-11-21", "quotes": [{"provider", "model", "amount", "currency",
     "credits", "in_currency": {"amount", "currency"}, "source", "read", "age_days", "confidence",
     "assumes": [...], "refused"}, ...]}

and for a workload ``"workload": {"file", "requests", "images", "nobody", "cheapest": {"amount",
"currency"}}`` in place of the request, and ``"totals": [{"provider", "requests", "images",
"refused", "unknown", "unconverted", "amounts": [{"amount", "currency"}], "in_currency", "reasons":
[{"reason", "requests"}], "source", "read", "age_days", "confidence", "assumes"}, ...]`` in place
of the quotes. What is not known is null, in CSV an empty cell. The order is that of the table.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from typing import Any

from wanbridge.cli.report.comparison import Basis, Comparison, age
from wanbridge.model import codec
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.comparison import Total, Workload
from wanbridge.money.quotes import Quote

Document = dict[str, Any]


def document(comparison: Comparison) -> Document:
    """The comparison as JSON values."""
    found, basis = comparison.found, comparison.basis
    if isinstance(found, Workload):
        return {
            "workload": {
                "file": comparison.asked,
                "requests": found.requests,
                "images": found.images,
                "nobody": found.nobody,
                "cheapest": _money(found.cheapest),
            },
            **_basis(basis),
            "totals": [_total(total, basis.day) for total in found.totals],
        }
    assert isinstance(comparison.asked, ImageRequest)  # only a workload is asked by its name
    return {
        "request": codec.to_document(comparison.asked.stored()),
        **_basis(basis),
        "quotes": [_quote(quote, basis.day) for quote in found],
    }


def table(comparison: Comparison) -> str:
    """The comparison as CSV (RFC 4180), a row for each account; there is at least one."""
    shown = document(comparison)
    members = shown["totals" if isinstance(comparison.found, Workload) else "quotes"]
    rows = [
        {"rank": line.rank, **_cells(each)}
        for line, each in zip(comparison.lines, members, strict=True)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _basis(basis: Basis) -> Document:
    rates = basis.rates
    return {
        "currency": basis.currency,
        "rates": {
            "base": rates.base,
            "date": _day(rates.date),
            **{code: f"{worth:f}" for code, worth in rates.per.items()},
        },
        "date": basis.day.isoformat(),
    }


def _quote(quote: Quote, day: date) -> Document:
    return {
        "provider": quote.provider,
        "model": quote.model,
        "amount": None if quote.amount is None else f"{quote.amount:f}",
        "currency": quote.currency,
        "credits": quote.credits,
        "in_currency": _money(quote.in_currency),
        **_origin(quote, day),
        "refused": quote.refused,
    }


def _total(total: Total, day: date) -> Document:
    return {
        "provider": total.provider,
        "requests": total.requests,
        "images": total.images,
        "refused": total.refused,
        "unknown": total.unknown,
        "unconverted": total.unconverted,
        "amounts": [_money(money) for money in total.amounts],
        "in_currency": _money(total.in_currency),
        **_origin(total, day),
        "reasons": [{"reason": why, "requests": count} for why, count in total.reasons],
    }


def _origin(priced: Quote | Total, day: date) -> Document:
    return {
        "source": priced.source,
        "read": _day(priced.read),
        "age_days": age(priced.read, day),
        "confidence": priced.confidence,
        "assumes": list(priced.assumes),
    }


def _money(money: Money | None) -> Document | None:
    if money is None:
        return None
    return {"amount": f"{money.amount:f}", "currency": money.currency}


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _cells(members: Mapping[str, Any]) -> Document:
    """One quote or total as cells: an amount takes two, a list is joined in one."""
    cells: Document = {}
    for name, value in members.items():
        match name:
            case "in_currency":
                cells["common_amount"] = value and value["amount"]
                cells["common_currency"] = value and value["currency"]
            case "amounts":
                cells["amount"] = " | ".join(one["amount"] for one in value)
                cells["currency"] = " | ".join(one["currency"] for one in value)
            case "reasons":
                words = " | ".join(f"{one['requests']}: {one['reason']}" for one in value)
                cells[name] = _words(words)
            case "assumes":
                cells[name] = _words(" | ".join(value))
            case _:
                cells[name] = _words(value) if isinstance(value, str) else value
    return cells


def _words(text: str) -> str:
    """Text that no spreadsheet takes for a formula and no terminal for a command."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain
