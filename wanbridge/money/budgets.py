"""Budgets: how much may be spent, in which period."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from attrs import frozen

from wanbridge.errors import (
    ConfigurationError,
)
from wanbridge.model.money import Money

Period: TypeAlias = Literal["hour", "day", "month"]
# Texts that sort like the times they stand for.
_BUCKETS: Mapping[str, str] = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}


@frozen
class Budget:
    """How much a route may spend.

    Attributes:
        limit: At most so much.
        period: In each ``hour``, ``day`` or ``month`` of the calendar in UTC; None is for ever,
            that is for as long as the ledger remembers.
    """

    limit: Money
    period: Period | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.limit, Money) or self.limit.amount < 0:
            raise ConfigurationError(f"budget: {self.limit!r}; Money('5.00', 'USD'), not below 0")
        if self.period is not None and self.period not in (*_BUCKETS,):
            known = ", ".join(_BUCKETS)
            raise ConfigurationError(f"budget: period: {self.period!r}; one of {known}")

    def bucket(self, now: datetime) -> str:
        """The period that *now* (aware) falls into, as text that sorts by time."""
        return now.astimezone(UTC).strftime(_BUCKETS[self.period]) if self.period else ""
