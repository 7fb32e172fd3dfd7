"""The ledger in memory, of one process."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock
from uuid import uuid4

from attrs import define, evolve, field

from wanbridge.ledger.deliveries import Selection, UnsavedPicture, delivered_pictures, link_of
from wanbridge.ledger.holds import ZERO, Hold, Share, Shortage, Spent, added, check_aware
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, ImageResult


@define
class _BudgetTotals:
    """What is held or settled under one budget, by bucket."""

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

    Of a purchase that has left the list only the sums are kept, one for each budget and bucket.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holds: dict[str, Hold] = {}
        self._unsaved: dict[str, dict[int, UnsavedPicture]] = {}
        self._budgets: dict[str, _BudgetTotals] = {}

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """See `Ledger.reserve`."""
        hold = Hold(id=str(uuid4()), key=key, account=account, at=at, shares=tuple(shares))
        with self._lock:
            self._drop_expired(at)
            for share in hold.shares:
                if shortage := share.shortage(self._spent_since(share.budget, share.bucket)):
                    return shortage
            for share in hold.shares:
                self._budgets.setdefault(share.budget, _BudgetTotals()).add(
                    share.bucket, share.amount
                )
            self._holds[hold.id] = hold
        return hold.id

    def note(self, hold: str, handle: Receipt | Job) -> None:
        """See `Ledger.note`."""
        with self._lock:
            known = self._holds.get(hold)
            if known is None or known.delivered_at is not None:
                return
            match handle:
                case Receipt():
                    self._holds[hold] = evolve(known, receipt=handle)
                case Job():
                    self._holds[hold] = evolve(known, job=handle)

    def settle(
        self, hold: str, spent: Spent, *, images: Sequence[Image] = (), at: datetime | None = None
    ) -> None:
        """See `Ledger.settle`."""
        if at is not None:
            check_aware(at)
        with self._lock:
            if (known := self._holds.get(hold)) is None:
                return
            delivered = delivered_pictures(images, at or known.at)
            if known.delivered_at is None:
                final = self._settle_shares(known, spent)
                known = evolve(known, shares=final, delivered_at=at or known.at)
                self._list(
                    known, {place: new for place, new in delivered.items() if new is not None}
                )
                return
            unsaved = dict(self._unsaved[hold])
            for place in unsaved.keys() & delivered.keys():
                if (new := delivered[place]) is None:
                    del unsaved[place]
                else:
                    latest = max(new.drop_at, unsaved[place].drop_at)
                    unsaved[place] = evolve(new, drop_at=latest)
            self._list(known, unsaved)

    def saved(self, url: str) -> None:
        """See `Ledger.saved`."""
        link = link_of(url)
        with self._lock:
            self._remove_saved(link)

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """See `Ledger.done`."""
        selection = Selection.of(what)
        with self._lock:
            for hold in [self._holds[name] for name in self._unsaved]:
                if selection.covers(hold):
                    self._list(hold, {})
            for link in selection.links:
                self._remove_saved(link)

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
            return self._spent_since(budget, bucket)

    def close(self) -> None:
        """Does nothing: there is no file."""

    def _spent_since(self, budget: str, bucket: str) -> Decimal:
        known = self._budgets.get(budget)
        return known.since(bucket) if known else ZERO

    def _settle_shares(self, hold: Hold, spent: Mapping[str, Decimal]) -> tuple[Share, ...]:
        """The shares of *hold* with their final amounts, which the budgets now count."""
        final = tuple(share.settled(spent) for share in hold.shares)
        for before, after in zip(hold.shares, final, strict=True):
            change = (before.amount.copy_negate(), after.amount)
            self._budgets[before.budget].add(before.bucket, *change)
        return final

    def _list(self, hold: Hold, unsaved: dict[int, UnsavedPicture]) -> None:
        """List a delivered hold with these pictures; without any it leaves the list."""
        if unsaved:
            images = tuple(unsaved[place].image for place in sorted(unsaved))
            self._holds[hold.id] = evolve(hold, images=images)
            self._unsaved[hold.id] = unsaved
        else:
            del self._holds[hold.id]
            self._unsaved.pop(hold.id, None)

    def _remove_saved(self, link: str) -> None:
        """Remove the pictures at *link* and unlist holds that have none left."""
        for name, unsaved in list(self._unsaved.items()):
            left = {place: picture for place, picture in unsaved.items() if picture.link != link}
            if len(left) < len(unsaved):
                self._list(self._holds[name], left)

    def _drop_expired(self, at: datetime) -> None:
        """Unlist delivered holds whose pictures have all expired before *at*."""
        for name, unsaved in list(self._unsaved.items()):
            if all(picture.drop_at < at for picture in unsaved.values()):
                self._list(self._holds[name], {})
