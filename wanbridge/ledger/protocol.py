"""What is spent and what may still be: budgets that hold between threads and processes.

A purchase takes its share of every budget before it is sent, and the final amounts replace it
afterwards. What stands between the two is a hold; it counts in full, as nobody knows yet
whether it was bought. Amounts of one budget are of one currency, and which one is not known
here. Sums are exact whatever decimal context the caller has set.

Money and pictures end apart: a purchase whose pictures came is settled at once, and stays listed
until they are saved, so that a process that dies in between leaves their links. A ledger has no
clock: what nobody ever saves is dropped by the first purchase after its links have expired.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal
from hashlib import sha256
from threading import Lock
from typing import Any, Literal, Protocol, Self
from uuid import uuid4

from attrs import Attribute, define, evolve, field, frozen

from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, ImageResult

ZERO = Decimal(0)

# A picture whose link has no known end counts as expired so long after its delivery: the longest
# that any provider says of its own (EmpirioLabs' week; the others' day, read 2026-11-20).
KEEP_UNDATED = timedelta(days=7)

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
    """A purchase that somebody has to look after: its outcome is open, or its pictures are.

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


def link_of(url: str) -> str:
    """What a ledger knows a picture by: its link, and of a ``data:`` URI only the SHA-256."""
    return f"sha256:{sha256(url.encode()).hexdigest()}" if url.startswith("data:") else url


@frozen(kw_only=True)
class Picture:
    """A delivered picture that is not saved yet, as a store keeps it.

    Attributes:
        link: See `link_of`.
        image: As it is listed: without bytes.
        drop_at: When it counts as expired, aware.
    """

    link: str
    image: Image
    drop_at: datetime

    @classmethod
    def of(cls, image: Image, url: str, at: datetime) -> Self:
        """*image* at *url*, delivered at *at*."""
        link, ends = link_of(url), image.expires_at
        if ends is not None and ends.tzinfo is None:
            ends = None  # of no use, and it could not be compared with any other time
        listed = evolve(image, url=url if link == url else None, expires_at=ends)
        return cls(link=link, image=listed, drop_at=at + KEEP_UNDATED if ends is None else ends)


def pictures(images: Iterable[Image], at: datetime) -> dict[int, Picture | None]:
    """What was delivered at *at*, by its place; None for what the caller has the bytes of."""
    found: dict[int, Picture | None] = {}
    for place, image in enumerate(images):
        if image.data is not None:
            found[place] = None
        elif image.url is not None:
            found[place] = Picture.of(image, image.url, at)
    return found


@frozen(kw_only=True)
class Possession:
    """What a caller says it has, as the stores look for it; see `Ledger.done`.

    Attributes:
        hold: Its id; None if something else was named.
        task: The account and the provider's task id; None likewise.
        links: Of single pictures, see `link_of`.
    """

    hold: str | None = None
    task: tuple[str, str] | None = None
    links: tuple[str, ...] = ()

    @classmethod
    def of(cls, what: Hold | str | Job | ImageResult) -> Self:
        """What *what* stands for."""
        match what:
            case Hold():
                return cls(hold=what.id)
            case Job():
                return cls(task=(what.account, what.id))
            case ImageResult():
                # Both: a ledger that failed for a moment may not know the job.
                task = None if what.job_id is None else (what.provider, what.job_id)
                links = tuple(link_of(image.url) for image in what.images if image.url)
                return cls(task=task, links=links)
        return cls(hold=what)

    def is_whole(self, hold: Hold) -> bool:
        """Whether every picture of *hold* is meant."""
        if self.hold is not None:
            return hold.id == self.hold
        return hold.job is not None and (hold.account, hold.job.id) == self.task


class Ledger(Protocol):
    """Where budgets are kept; safe to share between threads."""

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """Take every share or, if one does not fit, none.

        A share fits if its amount and all that is held or settled under its budget, in its
        bucket and in later ones, are within its limit. Later ones count as the clock may have
        been set back.

        This is also when delivered holds are dropped whose pictures nobody has saved: once all
        their links have expired before *at*, where `KEEP_UNDATED` after the delivery stands for
        an end that is unknown. No other hold is ever dropped.

        Returns:
            The hold's id, or the first shortage in the order of *shares*.

        Raises:
            ValueError: *at* is naive, or a budget stands in *shares* twice.
        """
        ...

    def note(self, hold: str, handle: Receipt | Job) -> None:
        """Keep what a submit left with its hold; a later one replaces one of its kind.

        Nothing if there is no such hold, or its money is settled.
        """
        ...

    def settle(
        self,
        hold: str,
        spent: Mapping[str, Decimal],
        *,
        images: Sequence[Image] = (),
        at: datetime | None = None,
    ) -> None:
        """Replace what *hold* takes by what was spent; the first time counts.

        More than was reserved is taken too, and then a budget may be beyond its limit.

        With *images* the hold stays listed, with its receipt and job, until each of them is
        `saved` or all are `done`; pictures that bring their bytes are the caller's already.
        Without any it ends here. For a hold that is delivered already, only the links of *images*
        replace those at the same place that are not saved yet, and no picture comes back. Nothing
        happens if there is no such hold.

        Args:
            hold: Its id.
            spent: Final amounts by budget; a share that is absent is given back whole. Budgets
                that the hold has no share of are none of its business.
            images: What was delivered, all of it, in the provider's order.
            at: When, aware; None is when the hold was reserved.

        Raises:
            ValueError: an amount is no Decimal, not finite or below 0, or *at* is naive; the
                hold stays as it is.
        """
        ...

    def saved(self, url: str) -> None:
        """The picture at *url* is on a disk: no hold lists it any more.

        With its last picture a hold leaves the list. Nothing if no hold lists that very link.
        """
        ...

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """The caller has the pictures, in whatever way: the hold leaves the list.

        Only delivered holds do. One whose money is not settled stays: nobody can free money by
        this. Nothing if there is no such hold.

        Args:
            what: The hold, its id, its job, or the result; a result without a job id stands
                for the pictures at its links.
        """
        ...

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """Listed holds of one logical call at one account, in the order they were reserved."""
        ...

    def open(self) -> tuple[Hold, ...]:
        """Every listed hold in the order they were reserved: what a restart has to look after.

        That is what is not settled, and what is delivered and not saved; `Hold.state` tells.
        """
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
