"""The state of one call as its events give it: accounts, jobs, receipts, and the attempts."""

from __future__ import annotations

from attrs import define, evolve, field

from wanbridge.engine.events import Accepted, Asking, Event, Polled, Submitting
from wanbridge.errors import CallFailed, Charge, WanbridgeError
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult


@define
class AccountRecord:
    """An account that a call has submitted to or polled.

    Attributes:
        provider: Adapter name.
        began: When its turn or its first event came, in the observer's own time.
        receipt: Of the last submit; None before one, and once it was accepted.
        job: None until a submit was accepted.
    """

    provider: str
    base_url: str
    began: int
    request: ImageRequest
    receipt: Receipt | None = None
    job: Job | None = None


@define
class CallRecord:
    """The events of one call so far.

    Attributes:
        accounts: Those submitted to or polled, by name, in that order.
        turns: When each account's turn came, by name, in the observer's own time.
        polls: How many there were.
    """

    accounts: dict[str, AccountRecord] = field(factory=dict)
    turns: dict[str, int] = field(factory=dict)
    polls: int = 0

    def add(self, event: Event, at: int = 0) -> None:
        """Add *event*, which came at *at*."""
        match event:
            case Asking(account):
                self.turns.setdefault(account, at)
            case Submitting(receipt):
                self._account(receipt, at).receipt = receipt
            case Accepted(job) | Polled(job=job):
                record = self._account(job, at)
                record.job, record.receipt = job, None
                self.polls += isinstance(event, Polled)
            case _:
                pass

    def _account(self, handle: Receipt | Job, at: int) -> AccountRecord:
        if (record := self.accounts.get(handle.account)) is None:
            began = self.turns.get(handle.account, at)
            record = AccountRecord(handle.provider, handle.base_url, began, handle.request)
            self.accounts[handle.account] = record
        return record

    def attempts(
        self, result: ImageResult | Job | None, error: BaseException | None
    ) -> tuple[Attempt, ...]:
        """Every attempt of the ended call, with the job or receipt that it leaves.

        Of a call that was interrupted nothing but its events is known: each account that had
        been submitted to may have been paid.
        """
        if isinstance(result, ImageResult):
            return result.attempts
        if result is not None:
            accepted = Attempt(
                provider=result.account, outcome="accepted", charge=Charge.MAYBE, job=result
            )
            return (accepted,)
        known = tuple(_with_handles(a, error) for a in getattr(error, "attempts", ()))
        if isinstance(error, WanbridgeError):
            if known or not isinstance(error, CallFailed):
                return known
            only = Attempt(provider=error.provider, outcome=outcome_of(error), charge=error.charge)
            return (_with_handles(only, error),)
        reported = {attempt.provider for attempt in known}
        return known + tuple(
            Attempt(
                provider=account,
                outcome=outcome_of(error),
                charge=Charge.MAYBE,
                job=record.job,
                receipt=record.receipt,
            )
            for account, record in self.accounts.items()
            if account not in reported
        )


def outcome_of(error: BaseException | None) -> str:
    """The class of a failure; ``abandoned`` where the caller gave up or was interrupted."""
    return type(error).__name__ if isinstance(error, Exception) else "abandoned"


def error_of(attempt: Attempt, error: BaseException | None) -> CallFailed | None:
    """The failure that *attempt* ended with; of a route it is one of several."""
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    for one in errors:
        if isinstance(one, CallFailed) and (one.provider, type(one).__name__) == (
            attempt.provider,
            attempt.outcome,
        ):
            return one
    return None


def _with_handles(attempt: Attempt, error: BaseException | None) -> Attempt:
    failed = error_of(attempt, error)
    if failed is None or attempt.job is not None or attempt.receipt is not None:
        return attempt
    return evolve(attempt, job=failed.job, receipt=failed.receipt)
