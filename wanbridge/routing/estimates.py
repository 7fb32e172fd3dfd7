"""Quotes with the live estimates of the providers that give one before buying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.engine import exchanges
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow
from wanbridge.errors import CallFailed, UnsupportedFeature
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.comparison import sort_key
from wanbridge.money.quotes import Quote, Quotes

# What an account charges, in the common currency, and what that rests on.
Common = Callable[[Adapter, Money], tuple[Money | None, tuple[str, ...]]]


def estimate_quotes(
    quotes: Sequence[Quote],
    adapters: Mapping[str, Adapter],
    request: ImageRequest,
    *,
    common: Common,
    context: CallContext,
) -> Flow[list[Quote]]:
    """*quotes*, with the live estimates of the accounts that give one; buys nothing.

    An account that refuses the request is not asked. One that cannot be asked, or does not
    answer, keeps the quote from the price file, which says so.

    Args:
        adapters: Those that may be asked, by account.
        common: What an account charges in the common currency, and what that rests on.
    """
    found = []
    for quote in quotes:
        adapter = adapters.get(quote.provider)
        if adapter is not None and quote.refused is None:
            found.append((yield from _estimated(quote, adapter, request, common, context)))
        else:
            found.append(quote)
    return Quotes(sorted(found, key=sort_key))


def _estimated(
    quote: Quote, adapter: Adapter, request: ImageRequest, common: Common, context: CallContext
) -> Flow[Quote]:
    if type(adapter).estimate is Adapter.estimate:
        return quote
    if not adapter.api_key:
        said = "it estimates only with a key"
        return evolve(quote, assumes=(*quote.assumes, said))
    fitted = fit(adapter, request, may_drop=context.may_drop, check_limits=context.check_limits)
    try:
        exchange = adapter.estimate(fitted.request, fitted.offer)
        money = yield from exchanges.converse(adapter, exchange, context=context)
    except (CallFailed, UnsupportedFeature) as exc:
        return evolve(quote, assumes=(*quote.assumes, f"its live estimate failed: {exc}"))
    in_currency, assumes = common(adapter, money)
    return Quote(
        provider=quote.provider,
        model=quote.model,
        amount=money.amount,
        currency=money.currency,
        in_currency=in_currency,
        source=adapter.base_url,
        read=context.now().date(),
        confidence="published",
        assumes=("its live estimate for exactly this request", *assumes),
    )
