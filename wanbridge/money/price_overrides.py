"""A caller's own prices, which override those of a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wanbridge.errors import ConfigurationError
from wanbridge.money.price_files import checked_rows, configured_row, is_text, load
from wanbridge.money.price_table import PriceRow, PriceTable


class Override(NamedTuple):
    """A caller's prices for one account or provider.

    Attributes:
        name: Of the account or provider.
        file: Path of a price file; None with *rows*.
        rows: Single prices, each with the keys that were given; empty with *file*.
    """

    name: str
    file: str | None
    rows: tuple[tuple[PriceRow, frozenset[str]], ...]

    def read(self, provider: str) -> PriceTable:
        """The prices in the file."""
        assert self.file is not None
        where = f"prices.{self.name}.file: {self.file}"
        try:
            with open(self.file, "rb") as file:
                return load(provider, file.read(), where)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigurationError(f"{where}: {reason}") from None

    def applied_to(self, table: PriceTable) -> PriceTable:
        """*table* with the rows in the place of its own."""
        models = {row.model for row, _ in self.rows if row.region is None}
        others = {place: row for place, row in table.rows.items() if place[0] not in models}
        own = (self._completed(row, given, table) for row, given in self.rows)
        return table._replace(rows=others | {(row.model, row.region): row for row in own})

    @staticmethod
    def _completed(row: PriceRow, given: frozenset[str], table: PriceTable) -> PriceRow:
        """*row* with the provider's rules for the keys that were not *given*."""
        like = table.row(row.model, row.region)
        if like is None:
            return row
        if "charging" not in given:
            row = row._replace(charging=like.charging)
        # How dollars become credits is the provider's rule, whatever the price.
        if "credits" not in given and row.currency == "USD":
            row = row._replace(per_usd=like.per_usd)
        return row


def parse_override(name: str, given: Any) -> Override:
    """The override that a caller has *given* for *name*; a file is not read yet.

    Raises:
        ConfigurationError: it is broken; the message has the path.
    """
    where = f"prices.{name}"
    if not isinstance(given, Mapping) or len(given) != 1 or not given.keys() <= {"file", "rows"}:
        raise ConfigurationError(f"{where}: either file = path or rows = [...]")
    if "file" in given:
        if not is_text(given["file"]):
            raise ConfigurationError(f"{where}.file: {given['file']!r}; a path")
        return Override(name, given["file"], ())
    try:
        # A row that names no rule gets it from the provider's later on.
        rows = checked_rows(given["rows"], configured_row)
    except ValueError as exc:
        raise ConfigurationError(f"{where}.{exc}") from None
    given_keys = (frozenset(row) for row in given["rows"])
    return Override(name, None, tuple(zip(rows.values(), given_keys, strict=True)))
