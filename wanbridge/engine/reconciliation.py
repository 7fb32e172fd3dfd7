"""Looking an uncertain submit up, without sending it again."""

from __future__ import annotations

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import (
    Found,
    NotAccepted,
    StillUnknown,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, Sleep
from wanbridge.engine.exchanges import converse
from wanbridge.errors import (
    CallFailed,
)
from wanbridge.model.jobs import Receipt

LOOK_AGAIN = 2.0
LOOK_LEAST = 10.0


def reconcile(
    adapter: Adapter, receipt: Receipt, *, context: CallContext, until: float | None = None
) -> Flow[Found]:
    """Look an uncertain submit up. Nothing is sent again.

    Args:
        until: When, on the clock, to give up; None: at the deadline of *context*, and not before
            both looks had their time.

    Returns:
        The job if it was accepted; `NotAccepted` if it surely was not, on two reads;
        `StillUnknown` otherwise, also when the look-up itself fails.
    """
    found: Found = StillUnknown(detail="not looked up yet")
    if until is None:
        until = max(context.until, context.clock() + LOOK_LEAST)
    for turn in range(2):
        if turn and context.late(LOOK_AGAIN, until):
            return StillUnknown(detail="there was no time for a second look")
        if turn:
            yield Sleep(LOOK_AGAIN)
        try:
            found = yield from converse(
                adapter, adapter.find(receipt), context=context, until=until
            )
        except CallFailed as exc:
            return StillUnknown(detail=f"the look-up failed: {exc}")
        if not isinstance(found, NotAccepted):
            break
    return found
