"""The price book: quotes before a call and costs after it.

Prices are data, one file a provider, read at the first quote of that provider; a caller's own
prices override them. Amounts are exact decimals from the file to the quote, whatever decimal
context the caller has set. A price that is not known is None, never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.price_files import load, packaged
from wanbridge.money.price_overrides import Override, parse_override
from wanbridge.money.price_table import PriceTable, charge_for
from wanbridge.money.quotes import Quote

# Converts an amount to the common currency, None without a rate; with what that assumes.
ToCommon = Callable[[Money], tuple[Money | None, tuple[str, ...]]]


def price_basis(request: ImageRequest) -> tuple[str, int, bool]:
    """What of a request its price depends on: requests with the same basis have the same quote."""
    return request.model, request.n, request.sequential


class PriceBook:
    """What the providers charge; safe to share between threads.

    Args:
        read: The price file of a provider as JSON text, None if there is none.
    """

    def __init__(self, read: Callable[[str], str | bytes | None]) -> None:
        self._read = read
        self._overrides: Mapping[str, Override] = {}
        # By provider, and by account where that has prices of its own.
        self._tables: dict[tuple[str, str | None], PriceTable] = {}

    @staticmethod
    @cache
    def builtin() -> PriceBook:
        """The prices that come with wanbridge; one book for the whole process."""
        return PriceBook(packaged)

    def overridden(self, prices: Mapping[str, Mapping[str, Any]]) -> PriceBook:
        """This book with a caller's own prices over it.

        Args:
            prices: By account, or by provider for all its accounts; of both, the account's counts.
                ``{"file": path}`` stands in the place of the provider's price file.
                ``{"rows": [...]}`` replaces single prices: each row has ``model``, ``amount`` and
                ``currency``, and may have what else a row of a price file has. Without
                ``region`` it holds in all; ``charging``, and ``credits`` with dollars, are
                then the provider's, else ``per_image_delivered`` and none; without ``source``
                that is ``configuration``, without ``confidence`` it is ``reported``.

        Raises:
            ConfigurationError: a row is broken; the message has its path. Files are read when
                they are first needed; see `check`.
        """
        book = PriceBook(self._read)
        book._overrides = {
            **self._overrides,
            **{name: parse_override(name, given) for name, given in prices.items()},
        }
        return book

    def check(self, provider: str, account: str) -> None:
        """Read the prices of an account now, so that a broken file shows before the first quote.

        Raises:
            ConfigurationError: a price file cannot be read or is broken.
        """
        self._table(provider, account)

    def credit_rates(self, provider: str, account: str | None = None) -> Mapping[str, Decimal]:
        """Dollars that one of the provider's credits is reported to be worth, by their code.

        Empty where no price file says so.

        Raises:
            ConfigurationError: the price file is broken.
        """
        return self._table(provider, account).credit

    def quote(
        self,
        provider: str,
        account: str,
        request: ImageRequest,
        *,
        region: str | None = None,
        usd_per_credit: Decimal | None = None,
        assumes: tuple[str, ...] = (),
        common: ToCommon | None = None,
    ) -> Quote:
        """What *request* would cost; without an amount if no price is known.

        A set is quoted at its upper bound.

        Args:
            provider: Adapter name.
            account: Name of the account, for its own prices and for the quote.
            region: Where the account is; None is the provider's default, and then assumed.
            usd_per_credit: What the account pays for one credit, if that is what is charged;
                None leaves such amounts in credits.
            assumes: What the caller assumed already.
            common: Converts the amount for ``in_currency``.

        Raises:
            ConfigurationError: the price file is broken.
        """
        if (row := self._table(provider, account).row(request.model, region)) is None:
            return Quote(provider=account, model=request.model, assumes=assumes)
        if region is None and row.region is not None:
            assumes += (f"region {row.region}",)
        if request.sequential and request.n > 1:
            assumes += ("a set may deliver fewer",)
        money, whole_credits = charge_for(row, request.n, usd_per_credit)
        in_currency, conversion = (None, ()) if common is None else common(money)
        return Quote(
            provider=account,
            model=request.model,
            amount=money.amount,
            currency=money.currency,
            credits=whole_credits,
            in_currency=in_currency,
            source=row.source,
            read=row.read,
            confidence=row.confidence,
            assumes=assumes + row.assumes + conversion,
        )

    def cost(
        self,
        provider: str,
        request: ImageRequest,
        *,
        account: str | None = None,
        delivered: int,
        billed: int | None = None,
        region: str | None = None,
        usd_per_credit: Decimal | None = None,
    ) -> Money | None:
        """What *request* has cost, by the provider's charging rule; None if that is unknown.

        Args:
            provider: Adapter name.
            account: Name of the account; None leaves prices of its own out.
            delivered: Pictures that came.
            billed: Pictures that the reply says are billed; it counts before *delivered*.
            region, usd_per_credit: As for `quote`.

        Raises:
            ConfigurationError: the price file is broken.
        """
        row = self._table(provider, account).row(request.model, region)
        count = delivered if billed is None else billed
        # Whether a call without a picture cost money is for the adapter to say, not for a price.
        if row is None or count < 1:
            return None
        if row.charging == "per_request_n":
            if count < request.n:
                return None
            count = request.n
        return charge_for(row, count, usd_per_credit)[0]

    def _table(self, provider: str, account: str | None) -> PriceTable:
        key = (provider, account if account in self._overrides else None)
        table = self._tables.get(key)
        if table is None:
            # Two threads may both read the file; they get the same table.
            table = self._tables.setdefault(key, self._build_table(*key))
        return table

    def _build_table(self, provider: str, account: str | None) -> PriceTable:
        """The last file that counts, the provider's or a caller's, with later rows over it."""
        names = dict.fromkeys((provider, account))
        overrides = [
            self._overrides[name] for name in names if name is not None and name in self._overrides
        ]
        file = next((each for each in reversed(overrides) if each.file is not None), None)
        if file is None:
            table = load(provider, self._read(provider), f"prices of {provider}")
        else:
            table = file.read(provider)
            overrides = overrides[overrides.index(file) + 1 :]
        for each in overrides:
            table = each.applied_to(table)
        return table
