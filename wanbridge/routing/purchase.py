"""One purchase, reported to what all calls of a client share: health and ledger.

As in `wanbridge.engine.conversation`, these are generators: they decide, the clients carry out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import FittedRequest
from wanbridge.adapters.steps import Cancelled, Done, Found, NotAccepted, Step, TooLate
from wanbridge.engine import conversation as flow
from wanbridge.engine import exchanges, reconciliation, results
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow
from wanbridge.engine.events import Accepted, Event, OperationName, Submitting
from wanbridge.errors import CallFailed, Charge, TransportFailed
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult, with_source
from wanbridge.model.source import Source
from wanbridge.money.spend_guard import Guard, Held
from wanbridge.routing.health import Health

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
log = logging.getLogger("wanbridge")


class Operation(Protocol[T_co]):
    """What a call wants of a provider: pictures, or the job of a purchase.

    Attributes:
        name: As telemetry reports it.
        wants_job: Whether it is the job.
    """

    name: OperationName
    wants_job: bool

    def begin(
        self,
        adapter: Adapter,
        request: ImageRequest,
        *,
        key: str,
        context: CallContext,
        fitted: FittedRequest | None = None,
    ) -> Flow[T_co]:
        """Buy it; arguments as of `wanbridge.engine.conversation.generate`."""
        ...

    def resume(self, adapter: Adapter, job: Job, *, context: CallContext) -> Flow[T_co]:
        """Go on with a purchase whose look-up found a job."""
        ...


class Generate:
    """A call that wants pictures."""

    name: OperationName = "generate"
    wants_job = False
    begin = staticmethod(flow.generate)
    resume = staticmethod(flow.wait)


class Submit:
    """A call that wants the job."""

    name: OperationName = "submit"
    wants_job = True
    begin = staticmethod(flow.submit)

    @staticmethod
    def resume(adapter: Adapter, job: Job, *, context: CallContext) -> Flow[Job]:
        """Return *job*, which is what the call wants."""
        yield from ()
        return job


@frozen
class SharedState:
    """What all calls of a client have in common.

    Attributes:
        health: Cool-downs and latencies.
        guard: Budgets and the ledger.
    """

    health: Health
    guard: Guard


def buy_from_account(
    operation: Operation[T],
    adapter: Adapter,
    request: ImageRequest,
    *,
    key: str,
    context: CallContext,
    shared: SharedState,
) -> Flow[T]:
    """Buy at the one account that the caller has named, cooling down or not."""
    held = shared.guard.hold(None, None, adapter, key=key, now=context.now())

    def start(context: CallContext) -> Flow[T]:
        return operation.begin(adapter, request, key=key, context=context)

    return (yield from record_purchase(start, adapter, request.model, context, shared, held))


def record_purchase(
    start: Callable[[CallContext], Flow[T]],
    adapter: Adapter,
    model: str,
    context: CallContext,
    shared: SharedState,
    held: Held,
) -> Flow[T]:
    """Run one purchase, and report its outcome to health and ledger."""
    health, account, began = shared.health, adapter.account, context.clock()
    try:
        if held or health.cooling(account, began) is not None:
            result = yield from start(_recording(context, held, lambda: health.up(account, began)))
        else:
            result = yield from start(context)
    except CallFailed as exc:
        if _was_withdrawn(exc, context):
            health.withdrawn(account, began)
        elif (cooling := health.failed(account, exc, context.clock(), began)) is not None:
            # Without the provider's words, which may quote the prompt.
            what, seconds = type(exc).__name__, cooling.seconds
            log.warning("wanbridge: %s: not asked for %.0f s after %s", account, seconds, what)
        if exc.charge is Charge.NO:
            held.free()
        elif exc.charge is Charge.YES:
            held.paid(None)
        raise
    except BaseException:
        health.withdrawn(account, began)
        held.interrupted(context.handles)
        raise
    if isinstance(result, ImageResult):
        now = context.clock()
        health.delivered(account, model, now, now - began)
        held.delivered(result)
    else:
        health.up(account, began)
    return result


def _was_withdrawn(error: CallFailed, context: CallContext) -> bool:
    """Whether the first attempt of a hedged call was only not under way in time."""
    if context.start_by is None or context.clock() < context.start_by:
        return False
    return isinstance(error, TransportFailed) and error.charge is Charge.NO


def _recording(context: CallContext, held: Held, up: Callable[[], None]) -> CallContext:
    """A context whose events go to the ledger first: what it cannot record is not sent.

    Args:
        up: Called when the submit is accepted.
    """

    def emit(event: Event) -> None:
        if isinstance(event, Submitting):
            held.note(event.receipt)
        elif isinstance(event, Accepted):
            up()
            held.keep(event.job)
        context.emit(event)

    return evolve(context, emit=emit)


def wait_for_job(
    adapter: Adapter, job: Job, *, context: CallContext, shared: SharedState
) -> Flow[ImageResult]:
    """Wait for an accepted job; its hold is settled, and its pictures listed."""
    with _settles_failure(adapter, job, shared):
        result = yield from flow.wait(adapter, job, context=context)
    images, at = result.images, result.finished_at
    shared.guard.settle_all(adapter, job, result.cost, bought=True, images=images, at=at)
    return result


def poll_job(
    adapter: Adapter, job: Job, *, context: CallContext, shared: SharedState
) -> Flow[Step]:
    """Poll an accepted job once; if it has ended, its hold is settled."""
    with _settles_failure(adapter, job, shared):
        step = yield from flow.look(adapter, job, context=context)
    if isinstance(step, Done) and step.delivery.images:
        cost, _ = results.cost_of(adapter, job.request, step.delivery, context)
        at = context.now()
        images = with_source(step.delivery.images, Source.of(job, at))
        shared.guard.settle_all(adapter, job, cost, bought=True, images=images, at=at)
        return Done(evolve(step.delivery, images=images))
    return step


@contextmanager
def _settles_failure(adapter: Adapter, job: Job, shared: SharedState) -> Iterator[None]:
    """Settles the hold of *job* where the block finds that it has failed."""
    try:
        yield
    except CallFailed as exc:
        _settle_ended(adapter, job, exc.charge, shared)
        raise


def _settle_ended(adapter: Adapter, job: Job, charge: Charge, shared: SharedState) -> None:
    """Settle a job that ended without a picture; a charge that is unknown stays held."""
    if charge is not Charge.MAYBE:
        shared.guard.settle_all(adapter, job, None, bought=charge is Charge.YES)


def reconcile_receipt(
    adapter: Adapter, receipt: Receipt, *, context: CallContext, shared: SharedState
) -> Flow[Found]:
    """Look an uncertain submit up; its hold is released if it was not accepted."""
    found = yield from reconciliation.reconcile(adapter, receipt, context=context)
    if isinstance(found, NotAccepted):
        shared.guard.settle_all(adapter, receipt, None, bought=False)
    elif isinstance(found, Job):
        shared.guard.attach_job(receipt, found)
    return found


def cancel_job(
    adapter: Adapter, job: Job, *, context: CallContext, shared: SharedState
) -> Flow[Cancelled | TooLate]:
    """Cancel a job; its hold is released if that costs nothing."""
    found = yield from exchanges.converse(adapter, adapter.cancel(job), context=context)
    if isinstance(found, Cancelled):
        _settle_ended(adapter, job, found.charge, shared)
    return found


def refresh_job(
    adapter: Adapter, job: Job, *, context: CallContext, shared: SharedState
) -> Flow[tuple[Image, ...]]:
    """Get new links to a finished job's pictures, which are listed instead of the old ones."""
    renewed = yield from exchanges.converse(adapter, adapter.refresh(job), context=context)
    at = context.now()
    images = with_source(renewed, Source.of(job, at))
    shared.guard.renewed(job, images, at)
    return images
