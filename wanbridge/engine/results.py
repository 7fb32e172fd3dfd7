"""The result of a delivery: cost, notes, attempts, and bytes where they were asked for."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Literal

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import (
    Delivery,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.download import fetch_inline
from wanbridge.engine.effects import Flow
from wanbridge.errors import (
    Charge,
)
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult, with_source
from wanbridge.model.source import Source

log = logging.getLogger("wanbridge")

# -- results and traces --------------------------------------------------------------------


def make_result(
    adapter: Adapter,
    request: ImageRequest,
    delivery: Delivery,
    job: Job | None,
    context: CallContext,
    notes: tuple[Note, ...],
    submitted_at: datetime,
    began: float,
    quoted: Money | None,
    key: str,
) -> ImageResult:
    """The result of *delivery*, whose pictures know the purchase that they come from."""
    made_at = context.now()
    bought = Source(
        provider=adapter.account,
        model=request.model,
        job_id=job.id if job else None,
        key=key,
        made_at=made_at,
        prompt=request.prompt or None,
    )
    cost, source = cost_of(adapter, request, delivery, context)
    return ImageResult(
        provider=adapter.account,
        model=request.model,
        job_id=job.id if job else None,
        images=with_source(delivery.images, bought),
        requested=request.n,
        failures=delivery.failures,
        cost=cost,
        cost_source=source,
        notes=(
            *notes,
            *delivery.notes,
            *_short_notes(len(delivery.images), request.n),
            *_cost_notes(cost, quoted),
        ),
        request_id=delivery.request_id,
        submitted_at=submitted_at,
        finished_at=made_at,
        attempts=(
            Attempt(
                provider=adapter.account,
                outcome="delivered",
                charge=Charge.YES,
                cost=cost,
                seconds=context.clock() - began,
            ),
        ),
        raw=delivery.raw,
    )


def with_bytes(
    result: ImageResult, request: ImageRequest, context: CallContext, until: float
) -> Flow[ImageResult]:
    """The result, with the bytes of its pictures if they were asked for."""
    context.handles.result = result
    context.handles.receipt = None
    if not request.inline:
        return result
    # A result that comes at the last moment has its pictures all the same.
    until = max(until, context.clock() + context.timeouts.read_timeout)
    images, missing = yield from fetch_inline(result.provider, result.images, context, until)
    return evolve(result, images=images, notes=(*result.notes, *missing))


def cost_of(
    adapter: Adapter, request: ImageRequest, delivery: Delivery, context: CallContext
) -> tuple[Money | None, Literal["reply", "rule"] | None]:
    """What a delivery cost, and the source of that: the reply or a price rule; None if unknown."""
    if delivery.cost is not None:
        return delivery.cost, "reply"
    try:
        cost = context.price(adapter, request, delivery)
    except Exception:
        log.exception("wanbridge: no price could be made; the pictures are delivered")
        cost = None
    return cost, "rule" if cost else None


def _short_notes(delivered: int, asked: int) -> tuple[Note, ...]:
    return (Note("n", "info", f"{delivered} of {asked} delivered"),) if delivered < asked else ()


def _cost_notes(cost: Money | None, quoted: Money | None) -> tuple[Note, ...]:
    if cost is None or quoted is None or cost.currency != quoted.currency or cost == quoted:
        return ()
    return (Note("cost", "info", f"{cost} instead of the quoted {quoted}"),)
