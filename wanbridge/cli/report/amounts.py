"""Amounts as text: aligned at the decimal point, and never rounded down."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

from attrs import frozen

from wanbridge.model.money import Money

# Enough for the price of one picture; more digits come from a division by a rate.
_PLACES_MOST = 6
_PLACES_LEAST = 2
_CREDITS = "-CREDITS"


@frozen
class Column:
    """How the amounts of one column are written, so that they can be read against each other.

    Attributes:
        places: Of all amounts of a currency, by that currency.
        rounded: Whether an amount has more digits than are shown.
    """

    places: dict[str, int]
    rounded: bool

    @classmethod
    def of(cls, amounts: Iterable[Money]) -> Column:
        """The column that holds these."""
        places: dict[str, int] = {}
        for money in amounts:
            least = 0 if money.currency.endswith(_CREDITS) else _PLACES_LEAST
            needed = max(least, _digits(money.amount))
            places[money.currency] = max(places.get(money.currency, 0), needed)
        rounded = any(count > _PLACES_MOST for count in places.values())
        return cls({code: min(n, _PLACES_MOST) for code, n in places.items()}, rounded)

    def number(self, money: Money) -> str:
        """The amount alone; what has too many digits is rounded up."""
        step = Decimal(1).scaleb(-self.places[money.currency])
        return f"{money.amount.quantize(step, ROUND_CEILING):,f}"

    def text(self, money: Money) -> str:
        """Amount and currency."""
        return f"{self.number(money)} {money.currency}"

    def filling(self, places: int) -> str:
        """What stands after an amount of so many places to bring its point under the others'.

        Spaces as wide as a digit and as wide as a point, where a font has such.
        """
        most = max(self.places.values(), default=0)
        return ("" if places or not most else "\u2008") + "\u2007" * (most - places)


def unit(currency: str) -> str:
    """The code as it stands in a line of an account; whose credits they are is said there."""
    return "credits" if currency.endswith(_CREDITS) else currency


def _digits(amount: Decimal) -> int:
    """Decimal places that the amount needs."""
    exponent = amount.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # a Money is finite
    return max(0, -exponent)
