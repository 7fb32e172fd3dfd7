"""What a request costs: price rows with their source, quotes before the call, cost after it.

Prices are data, one file a provider, read when that provider is first asked about. Amounts are
exact decimals from the file to the quote, whatever decimal context the caller has set. A price
that is not known is None, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from decimal import ROUND_CEILING, Context, Decimal
from functools import cache
from typing import Any, Literal, NamedTuple

from attrs import frozen

from wanbridge.errors import ConfigurationError
from wanbridge.model import MODELS, ImageRequest, Money

Confidence = Literal["published", "reported"]

_UNITS = ("image",)
_CHARGING = ("per_image_delivered", "per_request_n")
_CONFIDENCE = ("published", "reported")
_ROUNDING = ("ceil_total",)
# Powers of ten only: any number of credits is then an exact amount of dollars.
_PER_USD = (1, 10, 100, 1000, 10000)
_NAME = r"[a-z0-9_-]+"
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"

# Wide enough for every amount that _AMOUNT lets in; the caller's own context may round.
_EXACT = Context(prec=60)


@frozen(kw_only=True)
class Quote:
    """What one request would cost at one account.

    Attributes:
        provider: Account name.
        model: Canonical model.
        amount: For the whole request, all ``n`` pictures. None if no price is known; unknown is
            not zero.
        currency: Of *amount*; None with it.
        credits: The same in the provider's credits; None if it charges none.
        in_currency: The same in the currency that the caller compares in; None without a rate.
        source: Page the price was taken from; None if no price is known.
        read: Day on which *source* had this price. Prices age; show it.
        confidence: ``published`` by the provider, or ``reported`` by third parties only.
        assumes: What the amount rests on besides the price, one sentence each.
        refused: Why this account cannot take the request; None if it can.
    """

    provider: str
    model: str
    amount: Decimal | None = None
    currency: str | None = None
    credits: int | None = None
    in_currency: Money | None = None
    source: str | None = None
    read: date | None = None
    confidence: Confidence | None = None
    assumes: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def money(self) -> Money | None:
        """Amount and currency together; None if no price is known."""
        if self.amount is None or self.currency is None:
            return None
        return Money(self.amount, self.currency)


class PriceBook:
    """What the providers charge; safe to share between threads.

    Args:
        read: The price file of a provider as JSON text, None if there is none.
    """

    def __init__(self, read: Callable[[str], str | bytes | None]) -> None:
        self._read = read
        self._tables: dict[str, _Table] = {}

    @staticmethod
    @cache
    def builtin() -> PriceBook:
        """The prices that come with wanbridge; one book for the whole process."""
        return PriceBook(_packaged)

    def quote(
        self,
        provider: str,
        account: str,
        request: ImageRequest,
        *,
        region: str | None = None,
        assumes: tuple[str, ...] = (),
    ) -> Quote:
        """What *request* would cost; without an amount if no price is known.

        A set is quoted at its upper bound.

        Args:
            provider: Adapter name.
            account: Whose quote it is.
            region: Where the account is; None is the provider's default, and then assumed.
            assumes: What the caller assumed already.

        Raises:
            ConfigurationError: the price file is broken.
        """
        if (row := self._row(provider, request.model, region)) is None:
            return Quote(provider=account, model=request.model, assumes=assumes)
        if region is None and row.region is not None:
            assumes += (f"region {row.region}",)
        if request.sequential and request.n > 1:
            assumes += ("a set may deliver fewer",)
        amount, charged = row.total(request.n)
        return Quote(
            provider=account,
            model=request.model,
            amount=amount,
            currency=row.currency,
            credits=charged,
            source=row.source,
            read=row.read,
            confidence=row.confidence,
            assumes=assumes + row.assumes,
        )

    def cost(
        self,
        provider: str,
        request: ImageRequest,
        *,
        delivered: int,
        billed: int | None = None,
        region: str | None = None,
    ) -> Money | None:
        """What *request* has cost, by the provider's charging rule; None if that is unknown.

        Args:
            provider: Adapter name.
            delivered: Pictures that came.
            billed: Pictures that the reply says are billed; it counts before *delivered*.
            region: As for `quote`.

        Raises:
            ConfigurationError: the price file is broken.
        """
        row = self._row(provider, request.model, region)
        count = delivered if billed is None else billed
        # Whether a call without a picture cost money is for the adapter to say, not for a price.
        if row is None or count < 1:
            return None
        if row.charging == "per_request_n":
            if count < request.n:
                return None
            count = request.n
        amount, _ = row.total(count)
        return Money(amount, row.currency)

    def _row(self, provider: str, model: str, region: str | None) -> _Row | None:
        table = self._tables.get(provider)
        if table is None:
            # Two threads may both read the file; they get the same table.
            table = self._tables.setdefault(provider, _load(provider, self._read(provider)))
        return table.row(model, region)


class _Row(NamedTuple):
    """One price, checked."""

    model: str
    amount: Decimal
    currency: str
    region: str | None
    charging: str
    per_usd: int | None
    assumes: tuple[str, ...]
    source: str
    read: date
    confidence: Confidence

    def total(self, count: int) -> tuple[Decimal, int | None]:
        """What *count* pictures cost together, and the same in credits."""
        if self.per_usd is None:
            return _EXACT.multiply(self.amount, count), None
        # One rounding, after the multiplication: six pictures at 23.76 credits are 143, not 144.
        exact = _EXACT.multiply(self.amount, count * self.per_usd)
        charged = int(exact.to_integral_value(ROUND_CEILING))
        return _EXACT.divide(Decimal(charged), self.per_usd), charged


class _Table(NamedTuple):
    """One provider's prices by model and region; a row without region holds everywhere else."""

    rows: dict[tuple[str, str | None], _Row]
    default_region: str | None

    def row(self, model: str, region: str | None) -> _Row | None:
        here = self.rows.get((model, region or self.default_region))
        return here or self.rows.get((model, None))


def _packaged(provider: str) -> bytes | None:
    from importlib import resources

    if not re.fullmatch(_NAME, provider):
        return None
    file = resources.files("wanbridge") / "prices" / f"{provider}.json"
    return file.read_bytes() if file.is_file() else None


def _load(provider: str, text: str | bytes | None) -> _Table:
    if text is None:
        return _Table({}, None)
    import json

    try:
        # As keywords, so that a key which is missing or unknown is an error here too.
        return _checked_table(provider, **json.loads(text))
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"prices of {provider}: {exc}") from None


def _checked_table(
    name: str, /, *, provider: Any, read: Any, rows: Any, default_region: Any = None
) -> _Table:
    _need(provider == name, "provider", provider, f"{name!r}")
    _day(read)
    _need(isinstance(rows, list), "rows", rows, "a list")
    _need(default_region is None or _is_text(default_region), "default_region", default_region)
    made: dict[tuple[str, str | None], _Row] = {}
    for index, fields in enumerate(rows):
        try:
            row = _checked_row(**fields)
            place = (row.model, row.region)
            _need(place not in made, "model", row.model, "stands once per region")
        except (TypeError, ValueError) as exc:
            raise ValueError(f"rows[{index}]: {exc}") from None
        made[place] = row
    return _Table(made, default_region)


def _checked_row(
    *,
    model: Any,
    unit: Any,
    amount: Any,
    currency: Any,
    charging: Any,
    source: Any,
    read: Any,
    confidence: Any,
    region: Any = None,
    credits: Any = None,
    assumes: Any = (),
) -> _Row:
    _one_of("model", model, MODELS)
    _one_of("unit", unit, _UNITS)
    _one_of("charging", charging, _CHARGING)
    _one_of("confidence", confidence, _CONFIDENCE)
    _need(_is_text(amount) and re.fullmatch(_AMOUNT, amount), "amount", amount, "text like '0.03'")
    price = Money(amount, currency)
    _need(price.amount > 0, "amount", amount, "above zero; leave an unknown price out")
    _need(region is None or _is_text(region), "region", region)
    _need(_is_text(source) and re.fullmatch(r"https://\S+", source), "source", source, "https")
    _need(isinstance(assumes, list | tuple) and all(map(_is_text, assumes)), "assumes", assumes)
    _need(credits is None or currency == "USD", "currency", currency, "USD where credits are")
    return _Row(
        model=model,
        amount=price.amount,
        currency=price.currency,
        region=region,
        charging=charging,
        per_usd=None if credits is None else _checked_credits(**credits),
        assumes=tuple(assumes),
        source=source,
        read=_day(read),
        confidence=confidence,
    )


def _checked_credits(*, per_usd: Any, rounding: Any) -> int:
    _one_of("rounding", rounding, _ROUNDING)
    _one_of("per_usd", per_usd, _PER_USD)
    _need(type(per_usd) is int, "per_usd", per_usd, "an integer")
    return int(per_usd)


def _day(text: Any) -> date:
    day = date.fromisoformat(text)
    _need(day.isoformat() == text, "read", text, "a day like '2026-11-20'")
    return day


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _one_of(key: str, value: object, known: Iterable[object]) -> None:
    _need(value in known, key, value, f"one of {', '.join(map(str, known))}")


def _need(fine: object, key: str, value: object, right: str = "text") -> None:
    if not fine:
        raise ValueError(f"{key}: {value!r}; {right}")
