"""What one request would cost at one account, with the source and age of its price."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from attrs import frozen

from wanbridge.model.money import Money

Confidence = Literal["published", "reported"]


@frozen(kw_only=True)
class Quote:
    """What one request would cost at one account.

    Attributes:
        provider: Account name.
        model: Canonical model.
        amount: For the whole request, all ``n`` pictures. None if no price is known; unknown is
            not zero.
        currency: Of *amount*; None with it.
        credits: The same in the provider's credits; None if it charges none, or not whole ones.
        in_currency: The same in the currency that the caller compares in; None without a rate.
        source: Page the price was taken from, or ``configuration``; None if no price is known.
        read: Day on which *source* had this price; None if no day is known. Prices age; show it.
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

    def _repr_html_(self) -> str:
        """A table with one row, for notebooks."""
        from wanbridge.money.html import of_quotes

        return of_quotes([self])

    def age(self, today: date) -> timedelta | None:
        """How long ago the price was read; None if no day is known."""
        return None if self.read is None else today - self.read


class Quotes(list[Quote]):
    """Quotes in their order; a list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from wanbridge.money.html import of_quotes

        return of_quotes(self)
