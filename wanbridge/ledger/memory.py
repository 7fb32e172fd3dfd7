"""The ledger in memory, of one process."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock
from uuid import uuid4

from attrs import define, evolve, field

from wanbridge.ledger.deliveries import Picture, Possession, link_of, pictures
from wanbridge.ledger.holds import ZERO, Hold, Share, Shortage, added, check_aware
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, ImageResult


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

    Of a purchase that has left the list only the sums are kept, one for each budget and bucket.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holds: dict[str, Hold] = {}
        self._unsaved: dict[str, dict[int, Picture]] = {}
        self._budgets: dict[str, _Spent] = {}

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """See `Ledger.reserve`."""
        hold = Hold(id=str(uuid4()), key=key, account=account, at=at, shares=tuple(shares))
        with self._lock:
            self._drop(at)
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
            known = self._holds.get(hold)
            if known is None or known.delivered_at is not None:
                return
            match handle:
                case Receipt():
                    self._holds[hold] = evolve(known, receipt=handle)
                case Job():
                    self._holds[hold] = evolve(known, job=handle)

    def settle(
        self,
        hold: str,
        spent: Mapping[str, Decimal],
        *,
        images: Sequence[Image] = (),
        at: datetime | None = None,
    ) -> None:
        """See `Ledger.settle`."""
        if at is not None:
            check_aware(at)
        with self._lock:
            if (known := self._holds.get(hold)) is None:
                return
            came = pictures(images, at or known.at)
            if known.delivered_at is None:
                final = self._pay(known, spent)
                known = evolve(known, shares=final, delivered_at=at or known.at)
                self._keep(known, {place: new for place, new in came.items() if new is not None})
                return
            unsaved = dict(self._unsaved[hold])
            for place in unsaved.keys() & came.keys():
                if (new := came[place]) is None:
                    del unsaved[place]
                else:
                    latest = max(new.drop_at, unsaved[place].drop_at)
                    unsaved[place] = evolve(new, drop_at=latest)
            self._keep(known, unsaved)

    def saved(self, url: str) -> None:
        """See `Ledger.saved`."""
        link = link_of(url)
        with self._lock:
            self._save(link)

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """See `Ledger.done`."""
        possession = Possession.of(what)
        with self._lock:
            for hold in [self._holds[name] for name in self._unsaved]:
                if possession.is_whole(hold):
                    self._keep(hold, {})
            for link in possession.links:
                self._save(link)

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

    def _pay(self, hold: Hold, spent: Mapping[str, Decimal]) -> tuple[Share, ...]:
        """The shares of *hold* with their final amounts, which the budgets have now."""
        final = tuple(share.settled(spent) for share in hold.shares)
        for before, after in zip(hold.shares, final, strict=True):
            change = (before.amount.copy_negate(), after.amount)
            self._budgets[before.budget].add(before.bucket, *change)
        return final

    def _keep(self, hold: Hold, unsaved: dict[int, Picture]) -> None:
        """List a delivered hold with these pictures; without any it ends."""
        if unsaved:
            images = tuple(unsaved[place].image for place in sorted(unsaved))
            self._holds[hold.id] = evolve(hold, images=images)
            self._unsaved[hold.id] = unsaved
        else:
            del self._holds[hold.id]
            self._unsaved.pop(hold.id, None)

    def _save(self, link: str) -> None:
        for name, unsaved in list(self._unsaved.items()):
            left = {place: picture for place, picture in unsaved.items() if picture.link != link}
            if len(left) < len(unsaved):
                self._keep(self._holds[name], left)

    def _drop(self, at: datetime) -> None:
        for name, unsaved in list(self._unsaved.items()):
            if all(picture.drop_at < at for picture in unsaved.values()):
                self._keep(self._holds[name], {})
