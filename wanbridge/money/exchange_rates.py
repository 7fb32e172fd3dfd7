"""Exchange rates as the caller gives them, with their day; nothing is fetched or guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from attrs import field, frozen

from wanbridge.errors import ConfigurationError, InvalidRequest
from wanbridge.model.brief import brief
from wanbridge.model.money import Money

_ONE = Decimal(1)

# Decimal places of a quotient: far below what any provider charges for one picture.
PLACES = Decimal("1e-9")

# Wide enough for exact products of real amounts; the caller's own context may round. Rounded up,
# so that cutting a quotient twice is the same as cutting it once.
_UP = Context(prec=100, rounding=ROUND_CEILING)


# Bounds of a rate: beyond any real one, and within what can be computed exactly.
LEAST, MOST = Decimal("0.000000000001"), Decimal("1000000000000")


def _copied(per: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    return dict(per)


@frozen
class Rates:
    """What currencies are worth in one of them, the base.

    Attributes:
        base: Currency code.
        date: Day of the rates; None only where there are none.
        per: How many of the base one unit buys, by currency code: with the base USD,
            ``{"CNY": Decimal("0.1406")}`` says that a yuan is 14.06 cents. Credits may stand
            there like currencies: ``{"KIE-CREDITS": Decimal("0.005")}``.
    """

    base: str
    date: date | None
    per: Mapping[str, Decimal] = field(converter=_copied)

    def __attrs_post_init__(self) -> None:
        _checked("base", 1, self.base)
        if self.base in self.per:
            raise ConfigurationError(f"rates: {self.base}: is the base, and worth 1 of itself")
        for code, rate in self.per.items():
            if _checked(code, rate, code) is not rate:
                raise ConfigurationError(f"rates: {code}: {rate!r}; a Decimal, or use Rates.of")
        if self.per and self.date is None:
            raise ConfigurationError("rates: date: missing; rates without a day mean nothing")

    @classmethod
    def of(cls, given: Rates | Mapping[str, object] | None) -> Rates:
        """Rates from a mapping like the ``[rates]`` of a configuration.

        Args:
            given: ``{"base": "USD", "date": "2026-11-20", "CNY": "0.1406"}``: the base is USD
                by default, the date ISO text or a `date`, a rate text, a Decimal or an integer.
                None is no rates at all.

        Raises:
            ConfigurationError: a rate is a binary fraction or not above zero, the date is
                missing, a code is none; the message names which.
        """
        if isinstance(given, Rates):
            return given
        if given is None:
            return cls("USD", None, {})
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"rates: {brief(given)}; a mapping like {{'CNY': '0.1406'}}")
        base: Any = given.get("base", "USD")
        rates = {k: _checked(k, v, k) for k, v in given.items() if k not in ("base", "date")}
        return cls(base, _day(given.get("date")), rates)

    def convert(self, money: Money, currency: str) -> Money | None:
        """*money* in *currency*; None without a rate.

        Into the base it is the exact product. Into another currency the quotient is rounded up
        to nine places: never cheaper than it is.

        Raises:
            ConfigurationError: *currency* is no currency code.
        """
        if money.currency == currency:
            return money
        here, there = self._worth(money.currency), self._worth(currency)
        if here is None or there is None:
            _checked("currency", 1, currency)
            return None
        amount = _UP.multiply(money.amount, here)
        if currency != self.base:
            amount = _UP.quantize(_UP.divide(amount, there), PLACES)
        return Money(amount, currency)

    def _worth(self, currency: str) -> Decimal | None:
        return _ONE if currency == self.base else self.per.get(currency)


def _checked(key: object, rate: Any, code: Any) -> Decimal:
    """A rate above zero, for a code that is one."""
    try:
        amount = Money(rate, code).amount
    except InvalidRequest as exc:
        reason = "; ".join(problem.message for problem in exc.problems)
        raise ConfigurationError(f"rates: {key}: {reason}") from None
    if not amount > 0:
        raise ConfigurationError(f"rates: {key}: {brief(rate)}; a rate is above zero")
    if not LEAST <= amount <= MOST:
        raise ConfigurationError(f"rates: {key}: {brief(rate)}; from {LEAST:f} to {MOST:f}")
    return amount


def _day(given: object) -> date | None:
    if given is None or (isinstance(given, date) and not isinstance(given, datetime)):
        return given
    try:
        if not isinstance(given, str):
            raise ValueError
        return date.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(f"rates: date: {brief(given)}; a day like '2026-11-20'") from None
