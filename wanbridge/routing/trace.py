"""The attempts and skips along a route, in order, and the error when no account could do it."""

from __future__ import annotations

from typing import NoReturn

from attrs import evolve

from wanbridge.errors import (
    WORDS_MOST,
    AllProvidersFailed,
    BudgetExceeded,
    CallFailed,
    Charge,
    one_line,
)
from wanbridge.model.handles import Handles
from wanbridge.model.result import Attempt
from wanbridge.routing.route import Candidate, Route


class RouteTrace:
    """What one request by a route has come to so far.

    Attributes:
        tried: Accounts that were asked.
    """

    def __init__(self) -> None:
        self.tried = 0
        self._steps: list[tuple[Attempt, Exception | None]] = []
        # Failures whose detail still lacks which account was asked next.
        self._unfinished: list[int] = []
        self._only_budget = True

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Attempts and skips until now."""
        return tuple(attempt for attempt, _ in self._steps)

    def skipped(self, candidate: Candidate, error: Exception) -> None:
        """Add an account that is not asked, with why."""
        if candidate.skipped is None and not isinstance(error, BudgetExceeded):
            self._only_budget = False
        attempt = Attempt(
            provider=candidate.account,
            outcome="skipped",
            charge=Charge.NO,
            detail=candidate.reason if candidate.skipped else _message(error),
        )
        self._steps.append((attempt, error))

    def failed(
        self, candidate: Candidate, error: Exception, seconds: float, *, why: str, goes_on: bool
    ) -> None:
        """Add an attempt that failed.

        Args:
            why: Why the route goes on or ends, as a clause.
            goes_on: Whether the next account may be asked; `followed_by` says which it was.
        """
        job, receipt, charge = None, None, Charge.NO
        if isinstance(error, CallFailed):
            charge, job = error.charge, error.job
            receipt = error.receipt if charge is Charge.MAYBE and job is None else None
        if goes_on:
            self._unfinished.append(len(self._steps))
        attempt = Attempt(
            provider=candidate.account,
            outcome=type(error).__name__,
            charge=charge,
            seconds=seconds,
            detail=f"{_message(error)}; {why}",
            job=job,
            receipt=receipt,
        )
        self._steps.append((attempt, error))

    def abandoned(self, candidate: Candidate, handles: Handles, seconds: float, why: str) -> None:
        """Add an attempt that was given up while it ran, with the way to go on from it."""
        sent = handles.job is not None or handles.receipt is not None
        attempt = Attempt(
            provider=candidate.account,
            outcome="left",
            charge=Charge.MAYBE if sent else Charge.NO,
            seconds=seconds,
            detail=why,
            job=handles.job,
            receipt=None if handles.job else handles.receipt,
        )
        self._steps.append((attempt, None))

    def followed_by(self, candidate: Candidate | None) -> None:
        """Complete the failures until now with the account asked next; None: no one is left."""
        what = f"so {candidate.account} was asked" if candidate else "and nobody was left to ask"
        for place in self._unfinished:
            attempt, error = self._steps[place]
            self._steps[place] = evolve(attempt, detail=f"{attempt.detail}, {what}"), error
        self._unfinished.clear()

    def raise_all_failed(self, route: Route) -> NoReturn:
        """Raise what a route without a result is to the caller.

        Raises:
            BudgetExceeded: the budget alone stood in the way; the one that lacks least.
            AllProvidersFailed: with every attempt and skip.
        """
        errors = []
        for attempt, error in self._steps:
            assert error is not None
            error.attempts = (attempt,)  # type: ignore[attr-defined]
            errors.append(error)
        budget = [error for error in errors if isinstance(error, BudgetExceeded)]
        if budget and self._only_budget and not self.tried:
            raise min(budget, key=lambda e: e.needed.amount)
        skipped = len(errors) - self.tried
        raise AllProvidersFailed(
            f"route {route.title}: {self.tried} tried, {skipped} not asked", errors
        )


def _message(error: Exception) -> str:
    return one_line(error.message, WORDS_MOST) if isinstance(error, CallFailed) else str(error)
