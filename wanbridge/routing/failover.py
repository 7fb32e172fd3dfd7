"""Asking the accounts of a route one after the other, and paying once.

The next account is asked only after a failure that surely cost nothing and that another
provider can help with. A submit whose outcome is unknown is looked up first; if that settles
nothing, the route stops with the receipt, unless it says ``pay_again``.

As in `wanbridge.engine.conversation`, these are generators: they decide, the clients carry out.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar, cast

from attrs import define, evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Found, NotAccepted, StillUnknown
from wanbridge.engine import reconciliation
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, Sleep
from wanbridge.engine.events import Asking
from wanbridge.errors import (
    AllProvidersFailed,
    BudgetExceeded,
    CallFailed,
    Charge,
    ConfigurationError,
    CreditExhausted,
    JobCancelled,
    ProviderUnavailable,
    SubmissionUncertain,
    UnsupportedFeature,
)
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Receipt
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.money.spend_guard import Held, Unpriced
from wanbridge.routing.health import Cooling
from wanbridge.routing.hedge import HedgedFlow, hedge
from wanbridge.routing.purchase import Operation, SharedState, record_purchase
from wanbridge.routing.route import Candidate, Route
from wanbridge.routing.trace import RouteTrace

T = TypeVar("T")
log = logging.getLogger("wanbridge")

# Seconds that a submit waits for a rate limit or a broken connection while another provider could
# be asked instead.
QUEUE_TIMEOUT = 2.0


class Decision(NamedTuple):
    """What follows a failure.

    Attributes:
        goes_on: Whether the next provider is asked.
        why: The reason, as a clause.
    """

    goes_on: bool
    why: str


def decide(error: Exception, *, pays_again: bool) -> Decision:
    """What follows *error* in a route. Pure."""
    if not isinstance(error, CallFailed):
        return Decision(True, "nothing was sent")
    if isinstance(error, JobCancelled):
        return Decision(False, "it was cancelled")
    if not _elsewhere(error):
        return Decision(False, "another provider would not help")
    if error.charge is Charge.NO:
        return Decision(True, "nothing was charged")
    said = "it was charged" if error.charge is Charge.YES else "it may have been charged"
    if pays_again:
        return Decision(True, f"{said}, and the route pays again")
    return Decision(False, f"{said}, and the route does not pay again")


def _elsewhere(error: CallFailed) -> bool:
    """Whether another provider could help; for an uncertain submit, by what made it so."""
    if isinstance(error, SubmissionUncertain):
        return not isinstance(error.__cause__, CallFailed) or error.__cause__.elsewhere
    return error.elsewhere


def failover(
    operation: Operation[T],
    route: Route,
    candidates: Sequence[Candidate],
    request: ImageRequest,
    *,
    key: str,
    context: CallContext,
    shared: SharedState,
) -> Flow[T]:
    """Ask *candidates*, as ranked, until one has done it.

    Raises:
        CallFailed: a failure that ends the route, with every attempt on it.
        AllProvidersFailed: no account could do it; each one's reason, in order.
        BudgetExceeded: the budget alone stood in the way of all that could.
    """
    failing_over = _Failover(operation, route, request, key, context, shared)
    try:
        return (yield from failing_over.run(candidates))
    except BaseException as exc:
        if not isinstance(exc, AllProvidersFailed | GeneratorExit):
            with suppress(AttributeError, TypeError):  # not every exception takes more
                exc.attempts = failing_over.trace.attempts  # type: ignore[attr-defined]
        raise


@define
class _AttemptEnd(Generic[T]):
    """How one attempt ended: with a result, or with an error."""

    candidate: Candidate
    seconds: float
    result: T | None = None
    error: Exception | None = None

    @property
    def won(self) -> bool:
        """Whether it has a result."""
        return self.result is not None


class _Failover(Generic[T]):
    """One request by a route, from its first account to the result.

    Attributes:
        trace: Attempts and skips so far.
        queue: Candidates that were not asked yet, the next one first.
        cooling: Those that are cooling down, with the seconds that are left.
    """

    def __init__(
        self,
        operation: Operation[T],
        route: Route,
        request: ImageRequest,
        key: str,
        context: CallContext,
        shared: SharedState,
    ) -> None:
        self.operation, self.route, self.request, self.key = operation, route, request, key
        self.context, self.shared, self.until = context, shared, context.until
        self.adapters: dict[str, Adapter] = {}
        self.queue: deque[Candidate] = deque()
        self.cooling: list[tuple[float, Candidate]] = []
        self.trace = RouteTrace()

    def run(self, candidates: Sequence[Candidate]) -> Flow[T]:
        for candidate in candidates:
            if candidate.skipped is not None:
                self.trace.skipped(candidate, candidate.skipped)
        self.queue.extend(c for c in candidates if c.skipped is None)
        self.adapters = {c.account: c.adapter for c in candidates}
        following = self._next()
        while following is not None:
            ended = yield from self._ask(*following)
            stops = [error for one in ended if (error := self._failed(one)) is not None]
            if (winner := next((one for one in ended if one.won), None)) is not None:
                return self._finished(winner)
            if stops:
                raise stops[0]
            following = self._next()
            self.trace.followed_by(following[0] if following else None)
        self.trace.raise_all_failed(self.route)

    # -- the next account

    def _next(self) -> tuple[Candidate, Held] | None:
        """The next candidate that may be asked now, with its cost held; None if none may."""
        while self.queue:
            candidate = self.queue.popleft()
            if (held := self._admitted(candidate)) is not None:
                return candidate, held
        if self.cooling and not self.trace.tried:
            # All that could do it are cooling down: the one that recovers first is asked at once.
            _, candidate = min(self.cooling, key=lambda pair: pair[0])
            self.cooling.clear()
            if (held := self._admitted(candidate, forced=True)) is not None:
                return candidate, held
        return None

    def _admitted(self, candidate: Candidate, *, forced: bool = False) -> Held | None:
        """The hold on its cost; None if it is skipped."""
        account, now, health = candidate.account, self.context.clock(), self.shared.health
        if now >= self.until:
            late = "not asked: the deadline has passed"
            self.trace.skipped(candidate, ProviderUnavailable(account, late, Charge.NO))
            return None
        cooling = None if forced else health.cooling(account, now)
        if cooling is None:
            try:
                held = self.shared.guard.hold(
                    self.route,
                    candidate.quote,
                    candidate.adapter,
                    key=self.key,
                    now=self.context.now(),
                )
            except (BudgetExceeded, Unpriced) as exc:
                self.trace.skipped(candidate, exc)
                return None
            if forced or (cooling := health.admit(account, now)) is None:
                return held
            held.free()
        self.cooling.append((cooling.seconds, candidate))
        self.trace.skipped(candidate, _cooled(account, cooling))
        return None

    def _others(self) -> bool:
        """Whether another account could be asked instead of waiting."""
        now, health = self.context.clock(), self.shared.health
        return any(health.cooling(c.account, now) is None for c in self.queue)

    # -- asking

    def _ask(self, candidate: Candidate, held: Held) -> Flow[list[_AttemptEnd[T]]]:
        """One attempt, or two at once; how each that has ended did so."""
        self.trace.tried += 1
        after, handles = self.route.hedge_after, self.context.handles
        if after is None or not self._others():
            return [(yield from self._try(candidate, held, handles))]
        at = self.context.clock() + after
        first = self._try(candidate, held, handles, hedge_at=at)
        if not self._pays_again:
            return [(yield from first)]
        return (yield from self._both(candidate, first, at))

    def _both(
        self, candidate: Candidate, first: Flow[_AttemptEnd[T]], at: float
    ) -> Flow[list[_AttemptEnd[T]]]:
        """A second attempt from *at* on; the faster one counts, and both may be charged."""
        clock, began = self.context.clock, self.context.clock()
        asked = [(candidate, self.context.handles, began)]

        def second() -> Flow[_AttemptEnd[T]] | None:
            try:
                following = self._next()
            except ConfigurationError:
                log.exception("wanbridge: nobody else is asked; the first goes on")
                return None
            if following is None:
                return None
            self.trace.tried += 1
            asked.append((following[0], Handles(), clock()))
            return self._try(*following, asked[-1][1])

        flows: list[HedgedFlow[_AttemptEnd[T]]] = []
        why = "it was interrupted"
        try:
            ended = yield from hedge(flows, first, second, at=at, clock=clock)
            why = "another provider was faster"
            return ended
        except BaseException:
            for flow in flows:
                if flow.ended is not None:
                    self._failed(flow.ended)
            raise
        finally:
            for flow, (candidate, handles, since) in zip(flows, asked, strict=True):
                if flow.ended is None:
                    self.trace.abandoned(candidate, handles, clock() - since, why)

    def _try(
        self, candidate: Candidate, held: Held, handles: Handles, *, hedge_at: float | None = None
    ) -> Flow[_AttemptEnd[T]]:
        """One attempt. Errors of the provider are returned, not raised."""
        adapter, began = candidate.adapter, self.context.clock()
        handles.receipt = handles.job = None
        context = evolve(
            self.context,
            ends_at=self.until,
            queue_timeout=QUEUE_TIMEOUT if self._others() else None,
            start_by=hedge_at,
            answer_by=hedge_at if self._pays_again else None,
            handles=handles,
        )

        def begin(context: CallContext) -> Flow[T]:
            context.report(Asking(candidate.account, candidate.reason))
            return self.operation.begin(
                adapter, self.request, key=self.key, context=context, fitted=candidate.fitted
            )

        result: T | None = None
        error: Exception | None = None
        try:
            result = yield from self._record(begin, adapter, context, held)
        except SubmissionUncertain as exc:
            try:
                result = yield from self._settled(exc, adapter, context, held)
            except CallFailed as settled:
                error = settled
        except (CallFailed, UnsupportedFeature) as exc:
            error = exc
        return _AttemptEnd(candidate, self.context.clock() - began, result, error)

    def _record(
        self,
        start: Callable[[CallContext], Flow[T]],
        adapter: Adapter,
        context: CallContext,
        held: Held,
    ) -> Flow[T]:
        return record_purchase(start, adapter, self.request.model, context, self.shared, held)

    def _settled(
        self, error: SubmissionUncertain, adapter: Adapter, context: CallContext, held: Held
    ) -> Flow[T]:
        """Look an uncertain submit up, and go on with it if it was accepted.

        Raises:
            SubmissionUncertain: *error*; free of charge if it surely was not accepted.
            CallFailed: it was accepted and failed.
        """
        assert error.receipt is not None
        found = yield from self._look_up(error.receipt, adapter, context)
        if isinstance(found, NotAccepted):
            held.free()
            error.charge = Charge.NO
            context.handles.receipt = None
            error.message += f"; looked up: not accepted ({found.detail})"
        elif isinstance(found, StillUnknown):
            error.message += f"; looked up: {found.detail}"
        else:
            context.handles.job = job = found
            context.handles.receipt = None

            def resume(context: CallContext) -> Flow[T]:
                return self.operation.resume(adapter, job, context=context)

            held.keep(job)
            return (yield from self._record(resume, adapter, context, held))
        raise error

    def _look_up(self, receipt: Receipt, adapter: Adapter, context: CallContext) -> Flow[Found]:
        """Look a submit up; a second time where waiting can settle it and is wanted."""
        found = yield from reconciliation.reconcile(
            adapter, receipt, context=context, until=self.until
        )
        if isinstance(found, StillUnknown) and found.again_at is not None and not self._pays_again:
            pause = max(0.0, (found.again_at - self.context.now()).total_seconds())
            if self.context.clock() + pause < self.until:
                yield Sleep(pause)
                found = yield from reconciliation.reconcile(
                    adapter, receipt, context=context, until=self.until
                )
        return found

    # -- what came of it

    @property
    def _pays_again(self) -> bool:
        # A result has notes for what else may have been bought; a job has none.
        return self.route.on_uncertain == "pay_again" and not self.operation.wants_job

    def _finished(self, tried: _AttemptEnd[T]) -> T:
        result = tried.result
        assert result is not None
        if not isinstance(result, ImageResult):
            return result
        attempt = evolve(result.attempts[-1], seconds=tried.seconds, detail=tried.candidate.reason)
        result = evolve(
            result,
            attempts=(*self.trace.attempts, attempt),
            notes=(*result.notes, *map(self._paid_again, filter(_may_cost, self.trace.attempts))),
        )
        self.context.handles.result, self.context.handles.receipt = result, None
        return cast("T", result)

    def _paid_again(self, attempt: Attempt) -> Note:
        """The note on what a failed attempt may cost beside the one that delivered."""
        at_risk = self.context.price(self.adapters[attempt.provider], self.request, None)
        amount = f" {at_risk}" if at_risk is not None else ""
        detail = f"paid again: {attempt.provider} may charge{amount} too ({attempt.detail})"
        return Note("route", "info", detail)

    def _failed(self, tried: _AttemptEnd[T]) -> Exception | None:
        """Add a failure to the trace; the error if it ends the route."""
        if (error := tried.error) is None:
            return None
        said = decide(error, pays_again=self._pays_again)
        self.trace.failed(tried.candidate, error, tried.seconds, why=said.why, goes_on=said.goes_on)
        return None if said.goes_on else error


def _may_cost(attempt: Attempt) -> bool:
    return attempt.charge is not Charge.NO


def _cooled(account: str, cooling: Cooling) -> CallFailed:
    """The error of an account that is skipped while it cools down."""
    kind = CreditExhausted if cooling.parked else ProviderUnavailable
    return kind(account, str(cooling), Charge.NO)
