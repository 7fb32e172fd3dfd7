"""The spend guard: the cost of a purchase is held before its submit and settled after it.

A purchase whose outcome is unknown stays held, and counts as spent until it is looked up. The
ledger does the sums, so that several threads and processes share one budget. A ledger that the
caller has configured also lists what was delivered, until the pictures are saved.
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
from wanbridge.ledger.holds import Hold, Share, Shortage, Spent
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
    """What the guard needs of a route.

    Attributes:
        scope: Prefix of the names that the route's budgets have in the ledger.
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

    Without a hold (no budget, no configured ledger) everything here does nothing.
    """

    _guard: Guard
    _adapter: Adapter
    _hold: str | None = None
    _shares: tuple[Share, ...] = ()

    def __bool__(self) -> bool:
        """Whether a ledger holds it."""
        return self._hold is not None

    def note(self, handle: Receipt | Job) -> None:
        """Store a handle; the receipt before the first byte.

        Raises:
            Exception: the ledger cannot take note, which stops the submit.
        """
        if self._hold is not None:
            self._guard.ledger.note(self._hold, handle)

    def keep(self, job: Job) -> None:
        """Store an accepted *job*; a ledger that fails is logged, as the job must not be lost."""
        if self._hold is not None:
            self._guard.keep(self._hold, job)

    def paid(self, cost: Money | None) -> None:
        """Settle at *cost*; at the quote where that is unknown or cannot be converted."""
        self._settle(self._guard.spent(self._adapter, self._shares, cost))

    def delivered(self, result: ImageResult) -> None:
        """Settle at the cost of *result*, whose pictures stay listed until they are saved."""
        spent = self._guard.spent(self._adapter, self._shares, result.cost)
        self._settle(spent, images=result.images, at=result.finished_at)

    def free(self) -> None:
        """Settle at nothing."""
        self._settle({})

    def interrupted(self, handles: Handles) -> None:
        """Settle after an interruption: at nothing if nothing was sent, else it stays held."""
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
        record_all: Whether every purchase is recorded, also without a budget, and pictures are
            listed until they are saved: for a configured ledger, which a later process can read.
    """

    ledger: Ledger
    convert: Convert
    record_all: bool = False

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
        if not shares and not self.record_all:
            return Held(self, adapter)
        held = self.ledger.reserve(key=key, account=adapter.account, at=now, shares=shares)
        if isinstance(held, Shortage):
            share, currency = held.share, _currency_of(held.share.budget)
            raise BudgetExceeded(Money(share.amount, currency), Money(held.left, currency))
        return Held(self, adapter, held, shares)

    def _shares(
        self, route: Spending, quote: Quote | None, adapter: Adapter, now: datetime
    ) -> tuple[Share, ...]:
        return tuple(
            Share(
                budget=_budget_name(route, budget),
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
            if (
                money is not None
                and (converted := self.convert(adapter, money, currency)) is not None
            ):
                return converted
        if price is None:
            reason = "its price is unknown"
        else:
            reason = f"{price} cannot be converted to {currency} without a rate"
        raise Unpriced(
            f"{adapter.account}: {reason}, and the route has a budget;"
            " assume_cost sets what to count"
        )

    def spent(
        self, adapter: Adapter, shares: Sequence[Share], cost: Money | None
    ) -> dict[str, Decimal]:
        """What a purchase took of each budget: *cost*, else what was held for it."""
        spent = {}
        for share in shares:
            money = cost and self.convert(adapter, cost, _currency_of(share.budget))
            spent[share.budget] = money.amount if money else share.amount
        return spent

    def keep(self, hold: str, job: Job) -> None:
        """Store *job* with its hold; a ledger that fails is logged, as the job must not be lost."""
        try:
            self.ledger.note(hold, job)
        except Exception:
            log.exception("wanbridge: the ledger could not keep a job; it goes on")

    def settle(
        self, hold: str, spent: Spent, *, images: Sequence[Image] = (), at: datetime | None = None
    ) -> None:
        """Settle; a ledger that fails is logged: the pictures are delivered, more stays held.

        Args:
            images: What was delivered; listed with *record_all* only, as without it they would
                pile up in a ledger that is never read.
            at: When they were delivered, aware; None is when it was reserved.
        """
        listed = images if self.record_all else ()
        try:
            self.ledger.settle(hold, spent, images=listed, at=at)
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
        for hold in self._holds_of(handle):
            spent = self.spent(adapter, hold.shares, cost) if bought else {}
            self.settle(hold.id, spent, images=images, at=at)

    def renewed(self, job: Job, images: Sequence[Image], at: datetime) -> None:
        """List new links, as of *at*, of the pictures of *job*; only delivered holds change."""
        for hold in self._holds_of(job):
            if hold.state == "delivered":
                self.settle(hold.id, {}, images=images, at=at)

    def saved(self, image: Image) -> None:
        """Take *image*, which is on a disk now, off the list; a ledger that fails is logged."""
        if image.url is None or not self.record_all:
            return
        try:
            self.ledger.saved(image.url)
        except Exception:
            log.exception("wanbridge: the ledger could not note a saved picture; it stays listed")

    def attach_job(self, receipt: Receipt, job: Job) -> None:
        """Store *job*, which a submit of unknown outcome turned out to be, with its hold."""
        for hold in self._holds_of(receipt):
            self.keep(hold.id, job)

    def _holds_of(self, handle: Job | Receipt) -> list[Hold]:
        """What is held for *handle*, and not for another call that was given the same key."""
        try:
            holds = self.ledger.find(key=handle.key, account=handle.account)
        except Exception:
            log.exception("wanbridge: the ledger could not be read; the purchase stays held")
            return []
        # A job that could not be noted stays held: guessing could free another call's purchase.
        return [hold for hold in holds if _belongs_to(hold, handle)]


def _belongs_to(hold: Hold, handle: Job | Receipt) -> bool:
    """Whether *hold* is of the purchase that *handle* is of."""
    if isinstance(handle, Job):
        return hold.job is not None and hold.job.id == handle.id
    if hold.job is not None or hold.receipt is None:
        return False
    stored = (hold.receipt.first_sent_at, hold.receipt.digest)
    return stored == (handle.first_sent_at, handle.digest)


def _budget_name(route: Spending, budget: Budget) -> str:
    """The name of a budget in the ledger; it holds the currency, which shares do not have."""
    return f"{route.scope}/{budget.limit.currency}/{budget.period or 'ever'}"


def _currency_of(name: str) -> str:
    return name.rsplit("/", 2)[1]
