"""Waits that keep a call within the rate limits of its account."""

from __future__ import annotations

from wanbridge.adapters.base import Adapter
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, Sleep
from wanbridge.engine.rate_limits import Slot
from wanbridge.errors import (
    Charge,
    RateLimited,
)


def wait_for_rate(
    adapter: Adapter, what: str, rate: float | None, context: CallContext, until: float
) -> Flow[None]:
    """Wait until this call is within the account's rate limit."""
    if rate is None:
        return
    pause = context.rate_limiter.reserve((adapter.account, what), rate, context.clock(), until)
    if pause is None:
        raise _too_busy(adapter, f"the account's {what} ({rate:g}/s) are taken for too long")
    if pause > 0:
        yield Sleep(pause)


def wait_for_slot(slot: Slot, adapter: Adapter, context: CallContext, until: float) -> Flow[None]:
    """Wait until one more generation may run on this account."""
    until = context.latest(until)
    while (pause := slot.enter()) is not None:
        if (left := until - context.clock()) <= 0:
            raise _too_busy(adapter, f"{slot.limit} generations run already")
        yield Sleep(min(pause, left))


def _too_busy(adapter: Adapter, message: str) -> RateLimited:
    return RateLimited(adapter.account, f"{message}; nothing was sent", Charge.NO)
