"""What the events of one call say of it: its attempts, with the job or receipt of each."""

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
        at: When its turn or its first event came, in the watch's own time.
        receipt: Of the last submit, until it was accepted.
    """

    provider: str
    base_url: str
    at: int
    request: ImageRequest
    receipt: Receipt | None = None
    job: Job | None = None


@define
class CallRecord:
    """What the events of one call have told so far, by account."""

    visits: dict[str, AccountRecord] = field(factory=dict)
    asked: dict[str, int] = field(factory=dict)
    polls: int = 0

    def tell(self, event: Event, at: int = 0) -> None:
        """Remember *event*, which came at *at*."""
        match event:
            case Asking(account):
                self.asked.setdefault(account, at)
            case Submitting(receipt):
                self._visit(receipt, at).receipt = receipt
            case Accepted(job) | Polled(job=job):
                visit = self._visit(job, at)
                visit.job, visit.receipt = job, None
                self.polls += isinstance(event, Polled)
            case _:
                pass

    def _visit(self, of: Receipt | Job, at: int) -> AccountRecord:
        if (visit := self.visits.get(of.account)) is None:
            at = self.asked.get(of.account, at)
            visit = self.visits[of.account] = AccountRecord(
                of.provider, of.base_url, at, of.request
            )
        return visit

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
            left = Attempt(
                provider=result.account, outcome="accepted", charge=Charge.MAYBE, job=result
            )
            return (left,)
        known = tuple(_with_handles(a, error) for a in getattr(error, "attempts", ()))
        if isinstance(error, WanbridgeError):
            if known or not isinstance(error, CallFailed):
                return known
            only = Attempt(provider=error.provider, outcome=outcome_of(error), charge=error.charge)
            return (_with_handles(only, error),)
        told = {attempt.provider for attempt in known}
        return known + tuple(
            Attempt(
                provider=account,
                outcome=outcome_of(error),
                charge=Charge.MAYBE,
                job=visit.job,
                receipt=visit.receipt,
            )
            for account, visit in self.visits.items()
            if account not in told
        )


def outcome_of(error: BaseException | None) -> str:
    """The class of a failure; ``abandoned`` where the caller walked off or was interrupted."""
    return type(error).__name__ if isinstance(error, Exception) else "abandoned"


def error_of(attempt: Attempt, error: BaseException | None) -> CallFailed | None:
    """The failure that *attempt* ended with; of a route it is one of several."""
    each = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    for one in each:
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
