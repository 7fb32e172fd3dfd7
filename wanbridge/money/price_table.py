"""The prices of one provider as a table, and what a number of pictures costs by a row of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

from wanbridge.model.money import Money
from wanbridge.money.quotes import Confidence

# Wide enough for every amount that a price file may have, times a rate, and for sums of millions of
# them; the caller's own context may round.
EXACT = Context(prec=60)


class PriceRow(NamedTuple):
    """One price.

    Attributes:
        amount: For one picture.
        region: None holds in every region that has no row of its own.
        charging: ``per_image_delivered``, or ``per_request_n`` for all that were requested.
        per_usd: Credits that a dollar buys, if it is charged in whole credits; else None.
        read: Day on which *source* had this price; None if no day is known.
        in_credits: Whether *currency* is the provider's credits.
    """

    model: str
    amount: Decimal
    currency: str
    region: str | None
    charging: str
    per_usd: int | None
    assumes: tuple[str, ...]
    source: str
    read: date | None
    confidence: Confidence
    in_credits: bool

    def total(self, count: int, usd_per_credit: Decimal | None) -> tuple[Decimal, str, int | None]:
        """What *count* pictures cost together, its currency, and the same in credits."""
        if self.per_usd is not None:
            # One rounding, after the multiplication: six at 23.76 credits are 143, not 144.
            exact = EXACT.multiply(self.amount, count * self.per_usd)
            up = int(exact.to_integral_value(ROUND_CEILING))
            return EXACT.divide(Decimal(up), self.per_usd), self.currency, up
        amount = EXACT.multiply(self.amount, count)
        if not self.in_credits:
            return amount, self.currency, None
        whole_credits = int(amount) if amount == amount.to_integral_value() else None
        if usd_per_credit is None:
            return amount, self.currency, whole_credits
        return EXACT.multiply(amount, usd_per_credit), "USD", whole_credits


@lru_cache(maxsize=512)
def charge_for(
    row: PriceRow, count: int, usd_per_credit: Decimal | None
) -> tuple[Money, int | None]:
    """What *count* pictures cost together, and the same in credits."""
    amount, currency, whole_credits = row.total(count, usd_per_credit)
    return Money(amount, currency), whole_credits


class PriceTable(NamedTuple):
    """One provider's prices.

    Attributes:
        rows: By model and region.
        default_region: Region of an account that names none; None if there is none.
        credit: Dollars that one of its credits is reported to be worth, by their code.
    """

    rows: Mapping[tuple[str, str | None], PriceRow]
    default_region: str | None
    credit: Mapping[str, Decimal]

    def row(self, model: str, region: str | None) -> PriceRow | None:
        """The price of *model* in *region*; None if it is unknown."""
        here = self.rows.get((model, region or self.default_region))
        return here or self.rows.get((model, None))
