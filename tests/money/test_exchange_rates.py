"""Exchange rates: exact into the base, never cheaper elsewhere, and clear about what is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wanbridge.errors import ConfigurationError
from wanbridge.model.money import Money
from wanbridge.money.exchange_rates import Rates

DAY = date(2026, 11, 20)
RATES = Rates.of({"base": "USD", "date": DAY, "CNY": "0.1406", "KIE-CREDITS": "0.005"})

# What providers charge and what currencies are worth, both in the range that occurs.
amounts = st.decimals("0", "1e9", places=9)
worths = st.decimals("0.000001", "100000", places=6)


def test_a_mapping_is_read_as_in_a_configuration() -> None:
    """Text, integers and decimals are exact; the day may be TOML's own or ISO text."""
    given = {"date": "2026-11-20", "CNY": Decimal("0.1406"), "KWD": 3}

    rates = Rates.of(given)

    assert Rates("USD", DAY, {"CNY": Decimal("0.1406"), "KWD": Decimal(3)}) == rates
    assert rates is Rates.of(rates)


def test_no_rates_are_a_base_and_nothing_else() -> None:
    """Dollars can still be compared with dollars."""
    none = Rates.of(None)

    assert Rates("USD", None, {}) == none
    assert Money("0.03", "USD") == none.convert(Money("0.03", "USD"), "USD")
    assert None is none.convert(Money("0.20", "CNY"), "USD")


@pytest.mark.parametrize(
    ("money", "currency", "expected"),
    [
        (("0.30", "CNY"), "CNY", "0.30"),
        (("7", "EUR"), "EUR", "7"),
        (("0.20", "CNY"), "USD", "0.028120"),
        (("12", "KIE-CREDITS"), "USD", "0.060"),
        # 0.03 / 0.1406 = 150/703 = 0.213371266 002..., rounded up.
        (("0.03", "USD"), "CNY", "0.213371267"),
        # 12 x 0.005 / 0.1406 = 300/703 = 0.426742532 005...
        (("12", "KIE-CREDITS"), "CNY", "0.426742533"),
        (("0.1406", "USD"), "CNY", "1.000000000"),
        (("0", "USD"), "CNY", "0E-9"),
        (("0.20", "CNY"), "EUR", None),
        (("0.20", "EUR"), "USD", None),
    ],
)
def test_money_is_converted_by_hand_worked_examples(
    money: tuple[str, str], currency: str, expected: str | None
) -> None:
    """Products are exact, quotients go up at the ninth place, and no rate is no amount."""
    found = RATES.convert(Money(*money), currency)

    assert (None if expected is None else Money(expected, currency)) == found


def test_the_callers_decimal_context_rounds_nothing() -> None:
    """An application that counts in two digits must not compare by them."""
    with localcontext() as context:
        context.prec = 2
        coarse = RATES.convert(Money("1.23456", "CNY"), "USD")
        over = RATES.convert(Money("0.03", "USD"), "CNY")

    assert Money("0.173579136", "USD") == coarse
    assert Money("0.213371267", "CNY") == over


@given(amount=amounts, here=worths, there=worths)
def test_a_conversion_is_exact_or_just_above(
    amount: Decimal, here: Decimal, there: Decimal
) -> None:
    """Held against fractions, which do not round."""
    rates = Rates("USD", DAY, {"CNY": here, "EUR": there})
    money = Money(amount, "CNY")

    base, other = rates.convert(money, "USD"), rates.convert(money, "EUR")

    assert base is not None
    assert other is not None
    exact = Fraction(amount) * Fraction(here)
    assert exact == Fraction(base.amount)
    assert 0 <= Fraction(other.amount) - exact / Fraction(there) < Fraction(1, 10**9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"date": DAY, "CNY": 0.1406}, "rates: CNY: 0.1406 is not exact"),
        ({"date": DAY, "CNY": True}, "rates: CNY: True is not exact"),
        ({"date": DAY, "CNY": None}, "rates: CNY: None is not exact"),
        ({"date": DAY, "CNY": "cheap"}, "rates: CNY: 'cheap' is not a decimal number"),
        ({"date": DAY, "CNY": "NaN"}, "rates: CNY: 'NaN' is not a finite number"),
        ({"date": DAY, "CNY": "Infinity"}, "rates: CNY: 'Infinity' is not a finite number"),
        ({"date": DAY, "CNY": "0"}, "rates: CNY: '0'; a rate is above zero"),
        ({"date": DAY, "CNY": "-0.1"}, "rates: CNY: '-0.1'; a rate is above zero"),
        ({"date": DAY, "cny": "0.1"}, "rates: cny: 'cny' is not a currency code"),
        ({"date": DAY, "yuan": "0.1"}, "rates: yuan: 'yuan' is not a currency code"),
        ({"date": DAY, 7: "0.1"}, "rates: 7: 7 is not a currency code"),
        ({"date": DAY, "base": "dollars"}, "rates: base: 'dollars' is not a currency code"),
        ({"date": DAY, "base": None}, "rates: base: None is not a currency code"),
        ({"date": DAY, "USD": "7.1"}, "rates: USD: is the base, and worth 1 of itself"),
        ({"date": DAY, "base": "CNY", "CNY": "1"}, "rates: CNY: is the base"),
        ({"CNY": "0.1406"}, "rates: date: missing"),
        ({"date": "20 November", "CNY": "0.1"}, "rates: date: '20 November'; a day like"),
        ({"date": 20261120, "CNY": "0.1"}, "rates: date: 20261120; a day like"),
        ({"date": datetime(2026, 11, 20, tzinfo=UTC)}, "rates: date: datetime"),
        ([("CNY", "0.1406")], "a mapping like"),
        ("CNY=0.1406", "a mapping like"),
    ],
)
def test_broken_rates_say_what_is_wrong(given: Any, message: str) -> None:
    """A rate that is read wrongly makes the dearest provider the cheapest."""
    with pytest.raises(ConfigurationError) as caught:
        Rates.of(given)

    assert str(caught.value).startswith("rates: ")
    assert message in str(caught.value)


def test_rates_made_by_hand_are_checked_too() -> None:
    """The class is public; what it holds is always fit to compute with."""
    with pytest.raises(ConfigurationError, match=r"rates: CNY: '0\.1406'; a Decimal"):
        Rates("USD", DAY, {"CNY": "0.1406"})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="rates: date: missing"):
        Rates("USD", None, {"CNY": Decimal("0.1406")})


def test_rates_do_not_change_with_the_mapping_they_were_made_from() -> None:
    """A comparison and its totals are of one day."""
    given = {"CNY": Decimal("0.1406")}
    rates = Rates("USD", DAY, given)

    given["CNY"] = Decimal(1)

    assert Money("0.1406", "USD") == rates.convert(Money(1, "CNY"), "USD")


def test_a_currency_that_is_none_is_told() -> None:
    """Else everything would look as if there were no rate for it."""
    with pytest.raises(ConfigurationError, match="currency"):
        Rates.of(None).convert(Money("1", "USD"), "usd")


@pytest.mark.parametrize("rate", ["0." + "0" * 12 + "1", "1" + "0" * 13])
def test_a_rate_beyond_all_money_is_refused(rate: str) -> None:
    """A slip of the hand, and more than can be computed exactly."""
    with pytest.raises(ConfigurationError, match="EUR"):
        Rates.of({"base": "USD", "date": "2026-11-20", "EUR": rate})
