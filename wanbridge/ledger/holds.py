"""The records of a ledger: a purchase's hold, its shares of the budgets, a shortage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, Literal, TypeAlias

from attrs import Attribute, evolve, field, frozen

from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, with_source
from wanbridge.model.source import Source

# What a purchase took, by the name of the budget.
Spent: TypeAlias = Mapping[str, Decimal]

ZERO = Decimal(0)

# How far a purchase has come; see `Hold.state`.
State = Literal["reserved", "submitting", "accepted", "delivered"]

# Wide enough for every price there is; of anything longer a budget sees rather more than less.
_EXACT = Context(prec=100, rounding=ROUND_CEILING)


def added(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum; 0 of nothing."""
    total = ZERO
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def _amount(share: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
        raise ValueError(f"{attribute.name}: {value!r} is not a decimal amount of 0 or more")


@frozen(kw_only=True)
class Share:
    """What one purchase takes of one budget.

    Attributes:
        budget: Its name; budgets of different periods have different names.
        bucket: The period as text that sorts by time: ``2026-11-21T13``, ``2026-11-21``,
            ``2026-11``; empty for ever.
        limit: What may be spent in one period.
        amount: What is taken.

    Raises:
        ValueError: an amount is no Decimal, not finite or below 0.
    """

    budget: str
    bucket: str
    limit: Decimal = field(validator=_amount)
    amount: Decimal = field(validator=_amount)

    def shortage(self, spent: Decimal) -> Shortage | None:
        """What is missing if *spent* of the limit is gone; None if the amount still fits."""
        if added((spent, self.amount)) <= self.limit:
            return None
        return Shortage(share=self, left=max(ZERO, added((self.limit, spent.copy_negate()))))

    def settled(self, spent: Mapping[str, Decimal]) -> Share:
        """The share with its final amount; see `Ledger.settle`."""
        return evolve(self, amount=spent.get(self.budget, ZERO))


@frozen(kw_only=True)
class Shortage:
    """A budget that has not enough left; nothing was reserved.

    Attributes:
        share: The first one that does not fit.
        left: What its budget has left; 0 also where more was spent than the limit.
    """

    share: Share
    left: Decimal


@frozen(kw_only=True)
class Hold:
    """A purchase that is not finished: its outcome is open, or its pictures are not all saved.

    Attributes:
        id: Made by the store.
        key: The key of the logical call.
        account: Where it is bought.
        at: When it was reserved, aware.
        shares: What it takes of budgets: as reserved, once it is delivered the final amounts.
        receipt: Of the submit, None if none was noted: then nothing was sent.
        job: What was accepted; None while that is unknown, and where a provider answered with
            the pictures at once.
        images: Delivered and not saved yet, in the provider's order, with their links. A picture
            that came as a ``data:`` URI has no *url* here; *job* brings it again.
        delivered_at: When pictures first came, aware; its money is settled then. None before.
        unreadable: Why a receipt, job or image that is there cannot be read, as when a newer
            wanbridge wrote it; None otherwise.

    Raises:
        ValueError: *at* is naive, or a budget stands in *shares* twice.
    """

    id: str
    key: str
    account: str
    at: datetime
    shares: tuple[Share, ...]
    receipt: Receipt | None = None
    job: Job | None = None
    images: tuple[Image, ...] = ()
    delivered_at: datetime | None = None
    unreadable: str | None = None

    def __attrs_post_init__(self) -> None:
        check_aware(self.at)
        if (bought := self.job or self.receipt) is not None:
            source = Source.of(bought, self.delivered_at)
            object.__setattr__(self, "images", with_source(self.images, source))
        names = [share.budget for share in self.shares]
        if len(set(names)) < len(names):
            raise ValueError(f"shares: a budget stands twice among {', '.join(names)}")

    @property
    def state(self) -> State:
        """How far it has come, which says how to go on.

        ``reserved``: nothing was sent. ``submitting``: its outcome is unknown, look *receipt* up.
        ``accepted``: wait for *job*. ``delivered``: save *images*. What is *unreadable* is never
        ``reserved``.
        """
        if self.delivered_at is not None:
            return "delivered"
        if self.job is not None:
            return "accepted"
        return "submitting" if self.receipt is not None or self.unreadable else "reserved"

    @property
    def expires_at(self) -> datetime | None:
        """Until when to go on: the first of the links to end, else when the job is forgotten.

        None if neither is known.
        """
        ends = [image.expires_at for image in self.images if image.expires_at is not None]
        if ends:
            return min(ends)
        return self.job.collect_by if self.job is not None else None


def check_aware(at: datetime) -> None:
    """Raise `ValueError` for a time without a zone: the next process may run in another one."""
    if at.tzinfo is None:
        raise ValueError(f"at: {at} has no time zone")
