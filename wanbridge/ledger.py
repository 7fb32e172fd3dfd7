"""What is spent and what may still be: budgets that hold between threads and processes.

A purchase takes its share of every budget before it is sent, and the final amounts replace it
afterwards. What stands between the two is a hold; it counts in full, as nobody knows yet
whether it was bought. Amounts of one budget are of one currency, and which one is not known
here. Sums are exact whatever decimal context the caller has set.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Context, Decimal
from threading import Lock
from typing import Any, Protocol
from uuid import uuid4

from attrs import Attribute, define, evolve, field, frozen

from wanbridge.model import Job, Receipt

ZERO = Decimal(0)

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
    """A purchase whose final amounts are not known yet.

    Attributes:
        id: Made by the store.
        key: The key of the logical call.
        account: Where it is bought.
        at: When it was reserved, aware.
        receipt: Of the submit, None if none was noted: then nothing was sent.
        job: What was accepted; None while that is unknown.
        unreadable: Why a receipt or job that is there cannot be read, as when a newer wanbridge
            wrote it; None otherwise.

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
    unreadable: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"at: {self.at} has no time zone")
        names = [share.budget for share in self.shares]
        if len(set(names)) < len(names):
            raise ValueError(f"shares: a budget stands twice among {', '.join(names)}")


class Ledger(Protocol):
    """Where budgets are kept; safe to share between threads."""

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """Take every share or, if one does not fit, none.

        A share fits if its amount and all that is held or settled under its budget, in its
        bucket and in later ones, are within its limit. Later ones count as the clock may have
        been set back.

        Returns:
            The hold's id, or the first shortage in the order of *shares*.

        Raises:
            ValueError: *at* is naive, or a budget stands in *shares* twice.
        """
        ...

    def note(self, hold: str, handle: Receipt | Job) -> None:
        """Keep what a submit left with its hold; a later one replaces one of its kind.

        Nothing if there is no such open hold.
        """
        ...

    def settle(self, hold: str, spent: Mapping[str, Decimal]) -> None:
        """Replace what *hold* takes by what was spent, and end it; the first time counts.

        More than was reserved is taken too, and then a budget may be beyond its limit. Nothing
        if there is no such open hold.

        Args:
            hold: Its id.
            spent: Final amounts by budget; a share that is absent is given back whole. Budgets
                that the hold has no share of are none of its business.

        Raises:
            ValueError: an amount is no Decimal, not finite or below 0; the hold stays open.
        """
        ...

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """Open holds of one logical call at one account, in the order they were reserved."""
        ...

    def open(self) -> tuple[Hold, ...]:
        """Every open hold in the order they were reserved: what a restart has to look after."""
        ...

    def spent(self, budget: str, bucket: str) -> Decimal:
        """What is held or settled under *budget*, in *bucket* and later ones."""
        ...

    def close(self) -> None:
        """Give back files; holds stay as they are."""
        ...


@define
class _Spent:
    """One budget: what is held or settled in each bucket."""

    buckets: list[str] = field(factory=list)
    amounts: dict[str, Decimal] = field(factory=dict)

    def since(self, bucket: str) -> Decimal:
        later = self.buckets[bisect_left(self.buckets, bucket) :]
        return added(self.amounts[b] for b in later)

    def add(self, bucket: str, *amounts: Decimal) -> None:
        if bucket not in self.amounts:
            insort(self.buckets, bucket)
        self.amounts[bucket] = added((self.amounts.get(bucket, ZERO), *amounts))


class MemoryLedger:
    """A `Ledger` of this process only, gone with it.

    Of a settled purchase only the sums are kept, one for each budget and bucket.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holds: dict[str, Hold] = {}
        self._budgets: dict[str, _Spent] = {}

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """See `Ledger.reserve`."""
        hold = Hold(id=str(uuid4()), key=key, account=account, at=at, shares=tuple(shares))
        with self._lock:
            for share in hold.shares:
                if shortage := share.shortage(self._since(share.budget, share.bucket)):
                    return shortage
            for share in hold.shares:
                self._budgets.setdefault(share.budget, _Spent()).add(share.bucket, share.amount)
            self._holds[hold.id] = hold
        return hold.id

    def note(self, hold: str, handle: Receipt | Job) -> None:
        """See `Ledger.note`."""
        with self._lock:
            if (known := self._holds.get(hold)) is None:
                return
            match handle:
                case Receipt():
                    self._holds[hold] = evolve(known, receipt=handle)
                case Job():
                    self._holds[hold] = evolve(known, job=handle)

    def settle(self, hold: str, spent: Mapping[str, Decimal]) -> None:
        """See `Ledger.settle`."""
        with self._lock:
            if (known := self._holds.get(hold)) is None:
                return
            final = [share.settled(spent) for share in known.shares]
            for before, after in zip(known.shares, final, strict=True):
                change = (before.amount.copy_negate(), after.amount)
                self._budgets[before.budget].add(before.bucket, *change)
            del self._holds[hold]

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """See `Ledger.find`."""
        return tuple(h for h in self.open() if (h.key, h.account) == (key, account))

    def open(self) -> tuple[Hold, ...]:
        """See `Ledger.open`."""
        with self._lock:
            return tuple(self._holds.values())

    def spent(self, budget: str, bucket: str) -> Decimal:
        """See `Ledger.spent`."""
        with self._lock:
            return self._since(budget, bucket)

    def close(self) -> None:
        """Nothing to give back."""

    def _since(self, budget: str, bucket: str) -> Decimal:
        known = self._budgets.get(budget)
        return known.since(bucket) if known else ZERO
