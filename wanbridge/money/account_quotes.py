"""What a request would cost at one account, also in the currency the caller compares in."""

from __future__ import annotations

from wanbridge.adapters.base import Adapter
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.price_table import EXACT
from wanbridge.money.quotes import Quote


def quote_account(
    adapter: Adapter,
    request: ImageRequest,
    *,
    prices: PriceBook,
    rates: Rates | None = None,
    currency: str | None = None,
) -> Quote:
    """The quote of an account, with ``in_currency`` where it can be converted.

    Args:
        rates: None converts nothing, apart from credits whose worth is reported.
        currency: To compare in; None is the base of *rates*, USD without any.

    Raises:
        ConfigurationError: the price file is broken.
    """
    return prices.quote(
        adapter.name,
        adapter.account,
        request,
        region=adapter.price_region,
        usd_per_credit=adapter.usd_per_credit,
        assumes=adapter.price_assumes,
        common=lambda money: convert_charge(
            adapter, money, prices=prices, rates=rates, currency=currency
        ),
    )


def convert_charge(
    adapter: Adapter,
    money: Money,
    *,
    prices: PriceBook,
    rates: Rates | None = None,
    currency: str | None = None,
) -> tuple[Money | None, tuple[str, ...]]:
    """What an account charges in another currency, and what that rests on.

    Credits without a rate of the caller's are worth what the provider's price file reports.

    Args:
        rates, currency: As for `quote_account`.

    Returns:
        None without a rate.
    """
    rates = rates or Rates.of(None)
    currency = currency or rates.base
    if (common := rates.convert(money, currency)) is not None:
        return common, ()
    worth = prices.credit_rates(adapter.name, adapter.account).get(money.currency)
    if worth is None:
        return None, ()
    dollars = Money(EXACT.multiply(money.amount, worth), "USD")
    if (common := rates.convert(dollars, currency)) is None:
        return None, ()
    assumption = f"1 {money.currency} = {worth} USD, as reported; set usd_per_credit or a rate"
    return common, (assumption,)
