"""What a request costs: price rows with their source, quotes before the call, cost after it.

Prices are data, one file a provider, read when that provider is first asked about; a caller's
own prices lie over them. Amounts are exact decimals from the file to the quote, whatever decimal
context the caller has set. A price that is not known is None, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_CEILING, Context, Decimal
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from attrs import frozen

from wanbridge.errors import ConfigurationError, InvalidRequest
from wanbridge.model.money import Money
from wanbridge.model.request import MODELS, ImageRequest

Confidence = Literal["published", "reported"]
# An amount in another currency, None without a rate, and what that rests on.
Common = Callable[[Money], tuple[Money | None, tuple[str, ...]]]

_UNITS = ("image",)
_CHARGING = ("per_image_delivered", "per_request_n")
_CONFIDENCE = ("published", "reported")
_ROUNDING = ("ceil_total",)
# Powers of ten only: any number of credits is then an exact amount of dollars.
_PER_USD = (1, 10, 100, 1000, 10000)
_NAME = r"[a-z0-9_-]+"
_CREDITS = "-CREDITS"
_FILE_KEYS = frozenset({"provider", "read", "default_region", "credit", "rows"})
_ROW_KEYS = frozenset(
    {
        *("model", "unit", "amount", "currency", "region", "charging", "credits", "assumes"),
        *("source", "read", "confidence"),
    }
)
_AMOUNT = r"[0-9]{1,9}(\.[0-9]{1,9})?"

# The source of a price that a caller has set without naming one.
CONFIGURATION = "configuration"

# Wide enough for every amount that _AMOUNT lets in, times a rate, and for sums of millions of
# them; the caller's own context may round.
EXACT = Context(prec=60)


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
        read: Day on which *source* had this price; None if nobody said. Prices age; show it.
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

    def age(self, today: date) -> timedelta | None:
        """How long ago the price was read; None if nobody said when."""
        return None if self.read is None else today - self.read


class PriceBook:
    """What the providers charge; safe to share between threads.

    Args:
        read: The price file of a provider as JSON text, None if there is none.
    """

    def __init__(self, read: Callable[[str], str | bytes | None]) -> None:
        self._read = read
        self._own: Mapping[str, _Own] = {}
        # By provider, and by account where that has prices of its own.
        self._tables: dict[tuple[str, str | None], _Table] = {}

    @staticmethod
    @cache
    def builtin() -> PriceBook:
        """The prices that come with wanbridge; one book for the whole process."""
        return PriceBook(_packaged)

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
        book._own = {**self._own, **{name: _own(name, given) for name, given in prices.items()}}
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
        common: Common | None = None,
    ) -> Quote:
        """What *request* would cost; without an amount if no price is known.

        A set is quoted at its upper bound.

        Args:
            provider: Adapter name.
            account: Whose quote it is.
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
        money, charged = _charged(row, request.n, usd_per_credit)
        in_currency, said = (None, ()) if common is None else common(money)
        return Quote(
            provider=account,
            model=request.model,
            amount=money.amount,
            currency=money.currency,
            credits=charged,
            in_currency=in_currency,
            source=row.source,
            read=row.read,
            confidence=row.confidence,
            assumes=assumes + row.assumes + said,
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
            account: Whose cost it is; None has no prices of its own.
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
        return _charged(row, count, usd_per_credit)[0]

    def _table(self, provider: str, account: str | None) -> _Table:
        key = (provider, account if account in self._own else None)
        table = self._tables.get(key)
        if table is None:
            # Two threads may both read the file; they get the same table.
            table = self._tables.setdefault(key, self._made(*key))
        return table

    def _made(self, provider: str, account: str | None) -> _Table:
        names = dict.fromkeys((provider, account))
        laid = [own for name in names if name is not None and (own := self._own.get(name))]
        file = next((own for own in reversed(laid) if own.file is not None), None)
        if file is None:
            table = _load(provider, self._read(provider), f"prices of {provider}")
        else:
            table = file.read(provider)
            laid = laid[laid.index(file) + 1 :]
        for own in laid:
            table = own.over(table)
        return table


class _Row(NamedTuple):
    """One price, checked."""

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
        charged = int(amount) if amount == amount.to_integral_value() else None
        if usd_per_credit is None:
            return amount, self.currency, charged
        return EXACT.multiply(amount, usd_per_credit), "USD", charged


@lru_cache(maxsize=512)
def _charged(row: _Row, count: int, usd_per_credit: Decimal | None) -> tuple[Money, int | None]:
    """What *count* pictures cost together, and the same in credits."""
    amount, currency, charged = row.total(count, usd_per_credit)
    return Money(amount, currency), charged


class _Table(NamedTuple):
    """One provider's prices by model and region; a row without region holds everywhere else.

    *credit* is what its credits are reported to be worth in dollars, by their code.
    """

    rows: Mapping[tuple[str, str | None], _Row]
    default_region: str | None
    credit: Mapping[str, Decimal]

    def row(self, model: str, region: str | None) -> _Row | None:
        here = self.rows.get((model, region or self.default_region))
        return here or self.rows.get((model, None))


class _Own(NamedTuple):
    """What a caller has set for one name: a file, or rows with the keys that each one has."""

    name: str
    file: str | None
    rows: tuple[tuple[_Row, frozenset[str]], ...]

    def read(self, provider: str) -> _Table:
        """The prices in the file."""
        assert self.file is not None
        where = f"prices.{self.name}.file: {self.file}"
        try:
            with open(self.file, "rb") as file:
                return _load(provider, file.read(), where)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigurationError(f"{where}: {reason}") from None

    def over(self, table: _Table) -> _Table:
        """*table* with the rows in the place of its own."""
        models = {row.model for row, _ in self.rows if row.region is None}
        kept = {place: row for place, row in table.rows.items() if place[0] not in models}
        own = (self._filled(row, given, table) for row, given in self.rows)
        return table._replace(rows=kept | {(row.model, row.region): row for row in own})

    @staticmethod
    def _filled(row: _Row, given: frozenset[str], table: _Table) -> _Row:
        like = table.row(row.model, row.region)
        if like is None:
            return row
        if "charging" not in given:
            row = row._replace(charging=like.charging)
        # How dollars become credits is the provider's rule, whatever the price.
        if "credits" not in given and row.currency == "USD":
            row = row._replace(per_usd=like.per_usd)
        return row


def _own(name: str, given: Any) -> _Own:
    """Prices that a caller has set for *name*, checked apart from a file's content."""
    where = f"prices.{name}"
    if not isinstance(given, Mapping) or len(given) != 1 or not given.keys() <= {"file", "rows"}:
        raise ConfigurationError(f"{where}: either file = path or rows = [...]")
    if "file" in given:
        if not _is_text(given["file"]):
            raise ConfigurationError(f"{where}.file: {given['file']!r}; a path")
        return _Own(name, given["file"], ())
    try:
        # A row that names no rule gets it from the provider's later on.
        rows = _checked_rows(given["rows"], _configured_row)
    except ValueError as exc:
        raise ConfigurationError(f"{where}.{exc}") from None
    given_keys = (frozenset(row) for row in given["rows"])
    return _Own(name, None, tuple(zip(rows.values(), given_keys, strict=True)))


def _packaged(provider: str) -> bytes | None:
    from importlib import resources

    if not re.fullmatch(_NAME, provider):
        return None
    file = resources.files("wanbridge").joinpath("prices", f"{provider}.json")
    return file.read_bytes() if file.is_file() else None


def _load(provider: str, text: str | bytes | None, where: str) -> _Table:
    """The table in a price file; one without rows where there is no file."""
    if text is None:
        return _Table({}, None, {})
    import json

    try:
        return _checked_table(provider, json.loads(text))
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else exc
        raise ConfigurationError(f"{where}: {reason}") from None


def _checked_table(name: str, document: Any) -> _Table:
    _keys(document, _FILE_KEYS, optional={"default_region", "credit"})
    provider, default_region = document["provider"], document.get("default_region")
    _need(provider == name, "provider", provider, f"{name!r}")
    _day(document["read"])
    absent = "default_region" not in document
    _need(absent or _is_text(default_region), "default_region", default_region)
    return _Table(
        rows=_checked_rows(document["rows"], _checked_row),
        default_region=default_region,
        credit=_checked_worth(document["credit"]) if "credit" in document else {},
    )


def _checked_rows(rows: Any, check: Callable[[Any], _Row]) -> dict[tuple[str, str | None], _Row]:
    _need(isinstance(rows, list | tuple), "rows", rows, "a list")
    made: dict[tuple[str, str | None], _Row] = {}
    for index, fields in enumerate(rows):
        try:
            row = check(fields)
            place = (row.model, row.region)
            _need(place not in made, "model", row.model, "stands once per region")
        except ValueError as exc:
            raise ValueError(f"rows[{index}]: {exc}") from None
        made[place] = row
    return made


def _configured_row(fields: Any) -> _Row:
    """A row as a caller writes it: most of it may be left out."""
    _keys(fields, _ROW_KEYS, optional=_ROW_KEYS - {"model", "amount", "currency"})
    full = {
        "unit": "image",
        "charging": "per_image_delivered",
        "source": None,
        "read": None,
        "confidence": "reported",
        **fields,
    }
    # TOML has days of its own, and Python decimals.
    if isinstance(amount := full["amount"], Decimal) or type(amount) is int:
        full["amount"] = f"{amount:f}"
    if isinstance(full["read"], date):
        full["read"] = full["read"].isoformat()
    return _checked_row(full, configured=True)


def _checked_row(fields: Any, *, configured: bool = False) -> _Row:
    _keys(fields, _ROW_KEYS, optional={"region", "credits", "assumes"})
    model, amount, currency = fields["model"], fields["amount"], fields["currency"]
    source, read, assumes = fields["source"], fields["read"], fields.get("assumes", ())
    _one_of("model", model, MODELS)
    _one_of("unit", fields["unit"], _UNITS)
    _one_of("charging", fields["charging"], _CHARGING)
    _one_of("confidence", fields["confidence"], _CONFIDENCE)
    price = _price("amount", amount, currency)
    _need("region" not in fields or _is_text(fields["region"]), "region", fields.get("region"))
    if not (configured and source is None):
        _source(source)
    _need(isinstance(assumes, list | tuple) and all(map(_is_text, assumes)), "assumes", assumes)
    _need("credits" not in fields or currency == "USD", "currency", currency, "USD with credits")
    return _Row(
        model=model,
        amount=price.amount,
        currency=price.currency,
        region=fields.get("region"),
        charging=fields["charging"],
        per_usd=_checked_credits(fields["credits"]) if "credits" in fields else None,
        assumes=tuple(assumes),
        source=CONFIGURATION if source is None else source,
        read=None if configured and read is None else _day(read),
        confidence=fields["confidence"],
        in_credits=price.currency.endswith(_CREDITS),
    )


def _checked_credits(fields: Any) -> int:
    _keys(fields, {"per_usd", "rounding"}, under="credits")
    _one_of("rounding", fields["rounding"], _ROUNDING)
    per_usd = fields["per_usd"]
    _one_of("per_usd", per_usd, _PER_USD)
    _need(type(per_usd) is int, "per_usd", per_usd, "an integer")
    return int(per_usd)


def _checked_worth(fields: Any) -> dict[str, Decimal]:
    """What a credit is reported to be worth, by its code."""
    _keys(fields, {"currency", "usd", "source", "read", "confidence"}, under="credit")
    worth = _price("credit.usd", fields["usd"], fields["currency"])
    code = worth.currency
    _need(code.endswith(_CREDITS), "credit.currency", code, "like 'HALIDE-CREDITS'")
    _source(fields["source"], "credit.source")
    _day(fields["read"], "credit.read")
    _need(fields["confidence"] == "reported", "credit.confidence", fields["confidence"], "reported")
    return {code: worth.amount}


def _price(key: str, amount: Any, currency: Any) -> Money:
    right = "text like '0.03'"
    _need(_is_text(amount) and re.fullmatch(_AMOUNT, amount), key, amount, right)
    try:
        price = Money(amount, currency)
    except InvalidRequest as exc:
        raise ValueError("; ".join(f"currency: {p.message}" for p in exc.problems)) from None
    _need(price.amount > 0, key, amount, "above zero; leave an unknown price out")
    return price


def _source(text: Any, key: str = "source") -> None:
    _need(_is_text(text) and re.fullmatch(r"https://\S+", text), key, text, "https")


def _keys(
    given: Any, known: Collection[str], *, optional: Collection[str] = (), under: str | None = None
) -> None:
    """An object with all that has to be there, and nothing else."""
    within = f"{under}." if under else ""
    if not isinstance(given, Mapping):
        raise ValueError(f"{under + ': ' if under else ''}{given!r}; an object")
    for key in sorted(map(str, given.keys() - known)):
        raise ValueError(f"{within}{key}: unknown; one of {', '.join(sorted(known))}")
    for key in sorted(set(known) - set(optional) - given.keys()):
        raise ValueError(f"{within}{key}: missing")


def _day(text: Any, key: str = "read") -> date:
    try:
        day = date.fromisoformat(text)
    except (TypeError, ValueError):
        day = None
    _need(day is not None and day.isoformat() == text, key, text, "a day like '2026-11-20'")
    assert day is not None
    return day


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _one_of(key: str, value: object, known: Iterable[object]) -> None:
    _need(value in known, key, value, f"one of {', '.join(map(str, known))}")


def _need(fine: object, key: str, value: object, right: str = "text") -> None:
    if not fine:
        raise ValueError(f"{key}: {value!r}; {right}")
