"""Exact amounts of money; never from a float."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import field, frozen

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.brief import brief
from wanbridge.model.validation import Problems, converted

_CURRENCY = re.compile(r"[A-Z]{3}|[A-Z]+-CREDITS")


def exact(value: object) -> Decimal:
    """A decimal from text, an integer or a Decimal; never from a float."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, str) or type(value) is int:
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise InvalidRequest((Problem("$", f"{value!r} is not a decimal number"),)) from None
    else:
        raise InvalidRequest(
            (Problem("$", f"{value!r} is not exact; write decimals as text, like '0.03'"),)
        )
    if not number.is_finite():
        raise InvalidRequest((Problem("$", f"{value!r} is not a finite number"),))
    return number


def _amount(value: object) -> Any:
    return converted("$.amount", exact, value)


@frozen
class Money:
    """An exact amount in one currency.

    Attributes:
        amount: Decimal; text and integers are taken, floats are refused.
        currency: ISO 4217 code, or ``<PROVIDER>-CREDITS`` for credits without a known rate.
    """

    amount: Decimal = field(converter=_amount)
    currency: str = field()

    def __attrs_post_init__(self) -> None:
        known = isinstance(self.currency, str) and _CURRENCY.fullmatch(self.currency)
        if known and isinstance(self.amount, Decimal):
            return
        wrong = Problems()
        if not known:
            wrong.add("$.currency", f"{brief(self.currency)} is not a currency code like 'USD'")
        wrong.settle(self.amount)

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"
