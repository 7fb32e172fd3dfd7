"""Credits, in which some providers charge, as money."""

from __future__ import annotations

from decimal import Context, Decimal

from attrs import validators

from wanbridge.model.money import Money

# Whatever decimal context the caller has set; what is not finite `Money` refuses.
_EXACT = Context(prec=60, traps=[])


# Validates the option ``usd_per_credit`` after `credit_rate` has converted it.
POSITIVE = validators.optional(validators.gt(Decimal(0)))


def credit_rate(value: str | Decimal | None) -> Decimal | None:
    """Converts the option ``usd_per_credit``, decimal text; floats are refused."""
    return None if value is None else Money(value, "USD").amount


def money_of(credits: Decimal | int, unit: str, rate: Decimal | None) -> Money:
    """Dollars at *rate*; in *unit*, like ``KIE-CREDITS``, where that is None."""
    amount = Decimal(credits)
    return Money(amount, unit) if rate is None else Money(_EXACT.multiply(amount, rate), "USD")
