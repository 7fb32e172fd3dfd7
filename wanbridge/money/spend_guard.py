"""The spend guard: what a route may spend is held before a submit and settled after it.

What nobody knows stays held: a purchase whose outcome is unknown counts as spent until it is
looked up. The ledger does the sums, so that several threads and processes share one budget. One
of the caller's own lists what was delivered, too, until the pictures are saved.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from attrs import define, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.errors import BudgetExceeded, ConfigurationError
from wanbridge.ledger.holds import Hold, Share, Shortage
from wanbridge.ledger.protocol import Ledger
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.result import Image, ImageResult
from wanbridge.money.budgets import Budget
from wanbridge.money.quotes import Quote

log = logging.getLogger("wanbridge")

# What an account charges, in another currency; None without a rate.
Convert = Callable[[Adapter, Money, str], Money | None]


class Spending(Protocol):
    """What the guard asks of a route.

    Attributes:
        scope: What the ledger knows the route's budgets by.
        budgets: All of them hold for every purchase.
        assume_cost: What to count where a price is unknown; None: nothing is assumed.
    """

    @property
    def scope(self) -> str: ...
    @property
    def budgets(self) -> tuple[Budget, ...]: ...
    @property
    def assume_cost(self) -> Money | None: ...


class Unpriced(ConfigurationError):
    """Under a budget a price must be known, or assumed by the route."""


@define(eq=False)
class Held:
    """One purchase in the ledger, from before its submit until its cost is known.

    Without a hold (no budget, no ledger of the caller's own) everything here does nothing.
    """

    _guard: Guard
    _adapter: Adapter
    _hold: str | None = None
    _shares: tuple[Share, ...] = ()

    def __bool__(self) -> bool:
        """Whether a ledger holds it."""
        return self._hold is not None

    def note(self, handle: Receipt | Job) -> None:
        """Keep the receipt before the first byte.

        Raises:
            Exception: the ledger cannot take note, which stops the submit.
        """
        if self._hold is not None:
            self._guard.ledger.note(self._hold, handle)

    def keep(self, job: Job) -> None:
        """As `note`, of what is accepted: a ledger that fails now must not lose it."""
        if self._hold is not None:
            self._guard.keep(self._hold, job)

    def paid(self, cost: Money | None) -> None:
        """It was bought for *cost*; where that is unknown or foreign, at the quote."""
        self._settle(self._guard.spent(self._adapter, self._shares, cost))

    def delivered(self, result: ImageResult) -> None:
        """As `paid`, of pictures that came: they stay listed until they are saved."""
        spent = self._guard.spent(self._adapter, self._shares, result.cost)
        self._settle(spent, images=result.images, at=result.finished_at)

    def free(self) -> None:
        """It cost nothing."""
        self._settle({})

    def interrupted(self, handles: Handles) -> None:
        """It ended from outside: free if nothing had been sent, else held until looked up."""
        if handles.result is not None:
            self.delivered(handles.result)
        elif handles.job is None and handles.receipt is None:
            self.free()

    def _settle(
        self,
        spent: dict[str, Decimal],
        *,
        images: Sequence[Image] = (),
        at: datetime | None = None,
    ) -> None:
        if self._hold is not None:
            self._guard.settle(self._hold, spent, images=images, at=at)


@frozen
class Guard:
    """Budgets over one ledger.

    Args:
        ledger: Where purchases are held.
        convert: What an account charges, in another currency.
        keeps_all: The ledger is the caller's own and takes note of every purchase, also of
            those without a budget, and of pictures until they are saved, so that a later process
            finds them.
    """

    ledger: Ledger
    convert: Convert
    keeps_all: bool = False

    def hold(
        self,
        route: Spending | None,
        quote: Quote | None,
        adapter: Adapter,
        *,
        key: str,
        now: datetime,
    ) -> Held:
        """Hold what a purchase may cost, in all budgets of *route* or in none.

        Raises:
            BudgetExceeded: not so much is left.
            Unpriced: the price is unknown or cannot be converted, and the route assumes none.
            ConfigurationError: the ledger cannot be used.
        """
        shares = () if route is None else self._shares(route, quote, adapter, now)
        if not shares and not self.keeps_all:
            return Held(self, adapter)
        held = self.ledger.reserve(key=key, account=adapter.account, at=now, shares=shares)
        if isinstance(held, Shortage):
            share, currency = held.share, _currency(held.share.budget)
            raise BudgetExceeded(Money(share.amount, currency), Money(held.left, currency))
        return Held(self, adapter, held, shares)

    def _shares(
        self, route: Spending, quote: Quote | None, adapter: Adapter, now: datetime
    ) -> tuple[Share, ...]:
        return tuple(
            Share(
                budget=_name(route, budget),
                bucket=budget.bucket(now),
                limit=budget.limit.amount,
                amount=self._needed(route, quote, adapter, budget.limit.currency).amount,
            )
            for budget in route.budgets
        )

    def _needed(
        self, route: Spending, quote: Quote | None, adapter: Adapter, currency: str
    ) -> Money:
        price = quote.money if quote is not None else None
        for money in (price, route.assume_cost):
            if money is not None and (found := self.convert(adapter, money, currency)) is not None:
                return found
        if price is None:
            said = "its price is unknown"
        else:
            said = f"{price} cannot be converted to {currency} without a rate"
        raise Unpriced(
            f"{adapter.account}: {said}, and the route has a budget; assume_cost sets what to count"
        )

    def spent(
        self, adapter: Adapter, shares: Sequence[Share], cost: Money | None
    ) -> dict[str, Decimal]:
        """What a purchase took of each budget: *cost*, else what was held for it."""
        found = {}
        for share in shares:
            money = cost and self.convert(adapter, cost, _currency(share.budget))
            found[share.budget] = money.amount if money else share.amount
        return found

    def keep(self, hold: str, job: Job) -> None:
        """Keep *job* with what is held; a ledger that fails now must not lose it."""
        try:
            self.ledger.note(hold, job)
        except Exception:
            log.exception("wanbridge: the ledger could not keep a job; it goes on")

    def settle(
        self,
        hold: str,
        spent: dict[str, Decimal],
        *,
        images: Sequence[Image] = (),
        at: datetime | None = None,
    ) -> None:
        """Settle; a ledger that fails now must not cost the pictures, and more stays held.

        Args:
            images: What came, to be listed where the ledger is the caller's own: in one that
                nobody can ask they would only pile up.
            at: When they came, aware; None is when it was reserved.
        """
        kept = images if self.keeps_all else ()
        try:
            self.ledger.settle(hold, spent, images=kept, at=at)
        except Exception:
            log.exception("wanbridge: the ledger could not settle; the purchase stays held")

    def settle_all(
        self,
        adapter: Adapter,
        handle: Job | Receipt,
        cost: Money | None,
        *,
        bought: bool,
        images: Sequence[Image] = (),
        at: datetime | None = None,
    ) -> None:
        """Settle what an earlier call or process left held for *handle*; *images* as `settle`."""
        for hold in self._of(handle):
            spent = self.spent(adapter, hold.shares, cost) if bought else {}
            self.settle(hold.id, spent, images=images, at=at)

    def renewed(self, job: Job, images: Sequence[Image], at: datetime) -> None:
        """The pictures of *job* have new links since *at*; what is not delivered stays as it is."""
        for hold in self._of(job):
            if hold.state == "delivered":
                self.settle(hold.id, {}, images=images, at=at)

    def saved(self, image: Image) -> None:
        """*image* is on a disk; a ledger that fails now lists it for longer, and no more."""
        if image.url is None or not self.keeps_all:
            return
        try:
            self.ledger.saved(image.url)
        except Exception:
            log.exception("wanbridge: the ledger could not note a saved picture; it stays listed")

    def found(self, receipt: Receipt, job: Job) -> None:
        """A submit of unknown outcome turned out to be *job*: keep it with what is held."""
        for hold in self._of(receipt):
            self.keep(hold.id, job)

    def _of(self, handle: Job | Receipt) -> list[Hold]:
        """What is held for *handle*, and not for another call that was given the same key."""
        try:
            holds = self.ledger.find(key=handle.key, account=handle.account)
        except Exception:
            log.exception("wanbridge: the ledger could not be read; the purchase stays held")
            return []
        # A job that could not be noted stays held: guessing could free another call's purchase.
        return [hold for hold in holds if _left(hold, handle)]


def _left(hold: Hold, handle: Job | Receipt) -> bool:
    """Whether *handle* is what the purchase of *hold* has left."""
    if isinstance(handle, Job):
        return hold.job is not None and hold.job.id == handle.id
    if hold.job is not None or hold.receipt is None:
        return False
    known = (hold.receipt.first_sent_at, hold.receipt.digest)
    return known == (handle.first_sent_at, handle.digest)


def _name(route: Spending, budget: Budget) -> str:
    """What the ledger knows a budget by; a ledger's amounts have no currency of their own."""
    return f"{route.scope}/{budget.limit.currency}/{budget.period or 'ever'}"


def _currency(name: str) -> str:
    return name.rsplit("/", 2)[1]
