"""The `Ledger` protocol: budgets and purchases, shared between threads and processes.

A purchase takes its share of every budget before it is sent, and the final amounts replace it
afterwards. What stands between the two is a hold; it counts in full, as it is not known
yet whether it was bought. Amounts of one budget are of one currency, and which one is not known
here. Sums are exact whatever decimal context the caller has set.

Money and pictures end apart: a purchase whose pictures came is settled at once, and stays listed
until they are saved, so that a process that dies in between leaves their links. A ledger has no
clock: what is never saved is dropped by the first purchase after its links have expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from wanbridge.ledger.holds import Hold, Share, Shortage, Spent
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, ImageResult


class Ledger(Protocol):
    """Where budgets are kept; safe to share between threads."""

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """Take every share or, if one does not fit, none.

        A share fits if its amount and all that is held or settled under its budget, in its
        bucket and in later ones, are within its limit. Later ones count as the clock may have
        been set back.

        It also drops delivered holds with unsaved pictures once all their links have expired
        before *at*, where `KEEP_UNDATED` after the delivery stands for an end that is unknown.
        No other hold is ever dropped.

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
        self, hold: str, spent: Spent, *, images: Sequence[Image] = (), at: datetime | None = None
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
                that the hold has no share of are ignored.
            images: What was delivered, all of it, in the provider's order.
            at: When, aware; None is when the hold was reserved.

        Raises:
            ValueError: an amount is no Decimal, not finite or below 0, or *at* is naive; the
                hold stays as it is.
        """
        ...

    def saved(self, url: str) -> None:
        """Take the picture at *url*, which is on a disk now, off the list.

        With its last picture a hold leaves the list. Nothing if no hold lists that very link.
        """
        ...

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """Take a hold off the list, as the caller has its pictures in whatever way.

        Only delivered holds leave it. One whose money is not settled stays: this never frees money.
        Nothing if there is no such hold.

        Args:
            what: The hold, its id, its job, or the result; a result without a job id stands
                for the pictures at its links.
        """
        ...

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """Listed holds of one logical call at one account, in the order they were reserved."""
        ...

    def open(self) -> tuple[Hold, ...]:
        """Every listed hold in the order they were reserved: what a restart has to go on with.

        That is what is not settled, and what is delivered and not saved; see `Hold.state`.
        """
        ...

    def spent(self, budget: str, bucket: str) -> Decimal:
        """What is held or settled under *budget*, in *bucket* and later ones."""
        ...

    def close(self) -> None:
        """Close files; holds stay as they are."""
        ...
