"""Price files, and the rows that a caller configures: read, checked, made into tables.

A file is that of ``schemas/prices.schema.json``. Problems are `ValueError` with the path inside
the document until `load` or the caller adds where the document is from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from wanbridge.errors import ConfigurationError, InvalidRequest
from wanbridge.model.money import Money
from wanbridge.model.request import MODELS
from wanbridge.money.price_table import PriceRow, PriceTable

_UNITS = ("image",)
_CHARGING = ("per_image_delivered", "per_request_n")
_CONFIDENCE = ("published", "reported")
_ROUNDING = ("ceil_total",)
# Powers of ten only: any number of credits is then an exact amount of dollars.
_PER_USD = (1, 10, 100, 1000, 10000)
_NAME = r"[a-z0-9_-]+"
_CREDITS = "-CREDITS"
_FILE_KEYS = frozenset({"provider", "read", "default_region", "credit", "rows"})
_ROW_KEYS = frozenset(
    {
        *("model", "unit", "amount", "currency", "region", "charging", "credits", "assumes"),
        *("source", "read", "confidence"),
    }
)
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"

# The source of a price that a caller has set without naming one.
_CONFIGURATION = "configuration"


def packaged(provider: str) -> bytes | None:
    """The provider's price file that comes with wanbridge; None if there is none."""
    from importlib import resources

    if not re.fullmatch(_NAME, provider):
        return None
    file = resources.files("wanbridge").joinpath("prices", f"{provider}.json")
    return file.read_bytes() if file.is_file() else None


def load(provider: str, text: str | bytes | None, where: str) -> PriceTable:
    """The table of a price file; an empty one if *text* is None.

    Raises:
        ConfigurationError: it is broken; the message begins with *where*.
    """
    if text is None:
        return PriceTable({}, None, {})
    import json

    try:
        return _checked_table(provider, json.loads(text))
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else exc
        raise ConfigurationError(f"{where}: {reason}") from None


def _checked_table(name: str, document: Any) -> PriceTable:
    _keys(document, _FILE_KEYS, optional={"default_region", "credit"})
    provider, default_region = document["provider"], document.get("default_region")
    _need(provider == name, "provider", provider, f"{name!r}")
    _day(document["read"])
    absent = "default_region" not in document
    _need(absent or is_text(default_region), "default_region", default_region)
    return PriceTable(
        rows=checked_rows(document["rows"], _checked_row),
        default_region=default_region,
        credit=_checked_credit(document["credit"]) if "credit" in document else {},
    )


def checked_rows(
    rows: Any, check: Callable[[Any], PriceRow]
) -> dict[tuple[str, str | None], PriceRow]:
    """Each row as *check* makes it, by model and region. Raises ValueError with the row's index."""
    _need(isinstance(rows, list | tuple), "rows", rows, "a list")
    checked: dict[tuple[str, str | None], PriceRow] = {}
    for index, fields in enumerate(rows):
        try:
            row = check(fields)
            place = (row.model, row.region)
            _need(place not in checked, "model", row.model, "stands once per region")
        except ValueError as exc:
            raise ValueError(f"rows[{index}]: {exc}") from None
        checked[place] = row
    return checked


def configured_row(fields: Any) -> PriceRow:
    """A row as a caller writes it: most of it may be left out."""
    _keys(fields, _ROW_KEYS, optional=_ROW_KEYS - {"model", "amount", "currency"})
    full = {
        "unit": "image",
        "charging": "per_image_delivered",
        "source": None,
        "read": None,
        "confidence": "reported",
        **fields,
    }
    # TOML has days of its own, and Python decimals.
    if isinstance(amount := full["amount"], Decimal) or type(amount) is int:
        full["amount"] = f"{amount:f}"
    if isinstance(full["read"], date):
        full["read"] = full["read"].isoformat()
    return _checked_row(full, configured=True)


def _checked_row(fields: Any, *, configured: bool = False) -> PriceRow:
    _keys(fields, _ROW_KEYS, optional={"region", "credits", "assumes"})
    model, amount, currency = fields["model"], fields["amount"], fields["currency"]
    source, read, assumes = fields["source"], fields["read"], fields.get("assumes", ())
    _one_of("model", model, MODELS)
    _one_of("unit", fields["unit"], _UNITS)
    _one_of("charging", fields["charging"], _CHARGING)
    _one_of("confidence", fields["confidence"], _CONFIDENCE)
    price = _price("amount", amount, currency)
    _need("region" not in fields or is_text(fields["region"]), "region", fields.get("region"))
    if not (configured and source is None):
        _source(source)
    _need(isinstance(assumes, list | tuple) and all(map(is_text, assumes)), "assumes", assumes)
    _need("credits" not in fields or currency == "USD", "currency", currency, "USD with credits")
    return PriceRow(
        model=model,
        amount=price.amount,
        currency=price.currency,
        region=fields.get("region"),
        charging=fields["charging"],
        per_usd=_checked_credits(fields["credits"]) if "credits" in fields else None,
        assumes=tuple(assumes),
        source=_CONFIGURATION if source is None else source,
        read=None if configured and read is None else _day(read),
        confidence=fields["confidence"],
        in_credits=price.currency.endswith(_CREDITS),
    )


def _checked_credits(fields: Any) -> int:
    _keys(fields, {"per_usd", "rounding"}, under="credits")
    _one_of("rounding", fields["rounding"], _ROUNDING)
    per_usd = fields["per_usd"]
    _one_of("per_usd", per_usd, _PER_USD)
    _need(type(per_usd) is int, "per_usd", per_usd, "an integer")
    return int(per_usd)


def _checked_credit(fields: Any) -> dict[str, Decimal]:
    """The dollars that a credit is reported to be worth, by its code."""
    _keys(fields, {"currency", "usd", "source", "read", "confidence"}, under="credit")
    rate = _price("credit.usd", fields["usd"], fields["currency"])
    code = rate.currency
    _need(code.endswith(_CREDITS), "credit.currency", code, "like 'HALIDE-CREDITS'")
    _source(fields["source"], "credit.source")
    _day(fields["read"], "credit.read")
    _need(fields["confidence"] == "reported", "credit.confidence", fields["confidence"], "reported")
    return {code: rate.amount}


def _price(key: str, amount: Any, currency: Any) -> Money:
    right = "text like '0.03'"
    _need(is_text(amount) and re.fullmatch(_AMOUNT, amount), key, amount, right)
    try:
        price = Money(amount, currency)
    except InvalidRequest as exc:
        raise ValueError("; ".join(f"currency: {p.message}" for p in exc.problems)) from None
    _need(price.amount > 0, key, amount, "above zero; leave an unknown price out")
    return price


def _source(text: Any, key: str = "source") -> None:
    _need(is_text(text) and re.fullmatch(r"https://\S+", text), key, text, "https")


def _keys(
    given: Any, known: Collection[str], *, optional: Collection[str] = (), under: str | None = None
) -> None:
    """Check that *given* is an object with all required keys and no unknown ones."""
    within = f"{under}." if under else ""
    if not isinstance(given, Mapping):
        raise ValueError(f"{under + ': ' if under else ''}{given!r}; an object")
    for key in sorted(map(str, given.keys() - known)):
        raise ValueError(f"{within}{key}: unknown; one of {', '.join(sorted(known))}")
    for key in sorted(set(known) - set(optional) - given.keys()):
        raise ValueError(f"{within}{key}: missing")


def _day(text: Any, key: str = "read") -> date:
    try:
        day = date.fromisoformat(text)
    except (TypeError, ValueError):
        day = None
    _need(day is not None and day.isoformat() == text, key, text, "a day like '2026-11-20'")
    assert day is not None
    return day


def is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _one_of(key: str, value: object, known: Iterable[object]) -> None:
    _need(value in known, key, value, f"one of {', '.join(map(str, known))}")


def _need(fine: object, key: str, value: object, right: str = "text") -> None:
    if not fine:
        raise ValueError(f"{key}: {value!r}; {right}")
