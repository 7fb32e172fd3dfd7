"""One purchase, with what all calls of a client share: health is told how it goes, and the ledger.

As in `wanbridge.engine.conversation`, these are generators: they decide, the clients carry out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter, Cancelled, Done, Found, NotAccepted, Step, TooLate
from wanbridge.adapters.fitting import Plan
from wanbridge.engine import conversation as flow
from wanbridge.engine.context import Accepted, Event, Submitting, Terms
from wanbridge.engine.effects import Flow
from wanbridge.errors import CallFailed, Charge, TransportFailed
from wanbridge.model.request import Image, ImageRequest, ImageResult, Job, Receipt
from wanbridge.money.spend_guard import Guard, Held
from wanbridge.routing.health import Health

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
log = logging.getLogger("wanbridge")


class Errand(Protocol[T_co]):
    """What is asked of a provider: pictures, or the job of a purchase.

    Attributes:
        wants_job: Whether it is the job.
    """

    wants_job: bool

    def begin(
        self,
        adapter: Adapter,
        request: ImageRequest,
        *,
        key: str,
        terms: Terms,
        fitted: Plan | None = None,
    ) -> Flow[T_co]:
        """Buy it."""

    def resume(self, adapter: Adapter, job: Job, *, terms: Terms) -> Flow[T_co]:
        """Go on with a purchase that turned out to be accepted."""


class Generate:
    """Pictures."""

    wants_job = False
    begin = staticmethod(flow.generate)
    resume = staticmethod(flow.wait)


class Submit:
    """The job."""

    wants_job = True
    begin = staticmethod(flow.submit)

    @staticmethod
    def resume(adapter: Adapter, job: Job, *, terms: Terms) -> Flow[Job]:
        """It is the job that was wanted."""
        yield from ()
        return job


@frozen
class Shared:
    """What all calls of a client have in common.

    Attributes:
        health: Cool-downs and latencies.
        guard: Budgets and the ledger.
    """

    health: Health
    guard: Guard


def alone(
    errand: Errand[T],
    adapter: Adapter,
    request: ImageRequest,
    *,
    key: str,
    terms: Terms,
    shared: Shared,
) -> Flow[T]:
    """At one account, which the caller has named: nobody else is asked, cooling down or not."""
    held = shared.guard.hold(None, None, adapter, key=key, now=terms.now())

    def play(terms: Terms) -> Flow[T]:
        return errand.begin(adapter, request, key=key, terms=terms)

    return (yield from kept(play, adapter, request.model, terms, shared, held))


def kept(
    play: Callable[[Terms], Flow[T]],
    adapter: Adapter,
    model: str,
    terms: Terms,
    shared: Shared,
    held: Held,
) -> Flow[T]:
    """One purchase, with health and ledger told how it goes."""
    health, account, began = shared.health, adapter.account, terms.clock()
    try:
        if held or health.cooling(account, began) is not None:
            result = yield from play(_telling(terms, held, lambda: health.up(account, began)))
        else:
            result = yield from play(terms)
    except CallFailed as exc:
        if _withdrawn(exc, terms):
            health.withdrawn(account, began)
        elif (cooling := health.failed(account, exc, terms.clock(), began)) is not None:
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
        held.interrupted(terms.trail)
        raise
    if isinstance(result, ImageResult):
        now = terms.clock()
        health.delivered(account, model, now, now - began)
        held.delivered(result)
    else:
        health.up(account, began)
    return result


def _withdrawn(error: CallFailed, terms: Terms) -> bool:
    """Whether it only was not under way in time for a hedged call."""
    if terms.start_by is None or terms.clock() < terms.start_by:
        return False
    return isinstance(error, TransportFailed) and error.charge is Charge.NO


def _telling(terms: Terms, held: Held, up: Callable[[], None]) -> Terms:
    """Terms that tell the ledger first: what it cannot take note of is not sent.

    Args:
        up: Called when the submit is accepted.
    """

    def tell(event: Event) -> None:
        if isinstance(event, Submitting):
            held.note(event.receipt)
        elif isinstance(event, Accepted):
            up()
            held.keep(event.job)
        terms.tell(event)

    return evolve(terms, tell=tell)


def resumed(adapter: Adapter, job: Job, *, terms: Terms, shared: Shared) -> Flow[ImageResult]:
    """An accepted job to its end; what was held for it is settled, and its pictures listed."""
    try:
        result = yield from flow.wait(adapter, job, terms=terms)
    except CallFailed as exc:
        _ended(adapter, job, exc.charge, shared)
        raise
    images, at = result.images, result.finished_at
    shared.guard.settle_all(adapter, job, result.cost, bought=True, images=images, at=at)
    return result


def looked_at(adapter: Adapter, job: Job, *, terms: Terms, shared: Shared) -> Flow[Step]:
    """One poll of an accepted job; if it has ended, what was held for it is settled."""
    try:
        step = yield from flow.look(adapter, job, terms=terms)
    except CallFailed as exc:
        _ended(adapter, job, exc.charge, shared)
        raise
    if isinstance(step, Done) and step.delivery.images:
        cost, _ = flow.cost_of(adapter, job.request, step.delivery, terms)
        images, at = step.delivery.images, terms.now()
        shared.guard.settle_all(adapter, job, cost, bought=True, images=images, at=at)
    return step


def _ended(adapter: Adapter, job: Job, charge: Charge, shared: Shared) -> None:
    """Without a picture; what nobody knows stays held."""
    if charge is not Charge.MAYBE:
        shared.guard.settle_all(adapter, job, None, bought=charge is Charge.YES)


def looked_up(adapter: Adapter, receipt: Receipt, *, terms: Terms, shared: Shared) -> Flow[Found]:
    """An uncertain submit, looked up; what was held for it is given back if nothing came of it."""
    found = yield from flow.reconcile(adapter, receipt, terms=terms)
    if isinstance(found, NotAccepted):
        shared.guard.settle_all(adapter, receipt, None, bought=False)
    elif isinstance(found, Job):
        shared.guard.found(receipt, found)
    return found


def cancelled(
    adapter: Adapter, job: Job, *, terms: Terms, shared: Shared
) -> Flow[Cancelled | TooLate]:
    """A job, cancelled; what was held for it is given back if that costs nothing."""
    found = yield from flow.converse(adapter, adapter.cancel(job), terms=terms)
    if isinstance(found, Cancelled):
        _ended(adapter, job, found.charge, shared)
    return found


def renewed(adapter: Adapter, job: Job, *, terms: Terms, shared: Shared) -> Flow[tuple[Image, ...]]:
    """New links to a finished job's pictures, which are listed instead of the old ones."""
    images = yield from flow.converse(adapter, adapter.refresh(job), terms=terms)
    shared.guard.renewed(job, images, terms.now())
    return images
