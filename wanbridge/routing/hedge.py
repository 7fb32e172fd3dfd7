"""Two flows over one client, in turn: the first that ends well decides.

One effect is carried out at a time; while one flow sleeps, the other goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from attrs import define

from wanbridge.engine.effects import Flow, Sleep


class Ended(Protocol):
    """How a flow ended."""

    @property
    def won(self) -> bool:
        """Whether that decides the hedged call."""
        ...


T = TypeVar("T", bound=Ended)


@define(eq=False)
class HedgedFlow(Generic[T]):
    """One flow of a hedged call.

    Attributes:
        sleep: What it waits for; None before it has begun.
        due: When that is over, on the clock.
        ended: What it returned; None while it runs, and if it was abandoned.
    """

    flow: Flow[T]
    sleep: Sleep | None = None
    due: float = float("-inf")
    ended: T | None = None


def hedge(
    flows: list[HedgedFlow[T]],
    first: Flow[T],
    second: Callable[[], Flow[T] | None],
    *,
    at: float,
    clock: Callable[[], float],
) -> Flow[list[T]]:
    """Run *first*; if it has not ended at *at*, run what *second* returns beside it.

    Args:
        flows: Empty; each flow is added, so that the caller sees which one was abandoned.
        second: Begins the second attempt; None: there is no one to ask.
        at: When to begin it, on *clock*.

    Returns:
        What the flows that have ended returned; others were closed.
    """
    flows.append(HedgedFlow(first))
    not_hedged = True
    try:
        while running := [flow for flow in flows if flow.ended is None]:
            flow = min(running, key=lambda flow: flow.due)
            over = flow.due
            if not_hedged and max(over, clock()) >= at:
                over = at
            news, error, woken = None, None, False
            if flow.sleep is not None and (left := over - clock()) > 0:
                try:
                    news = yield Sleep(left, flow.sleep.wake)
                    woken = _woken(flow.sleep, news)
                except GeneratorExit:
                    raise
                except BaseException as exc:
                    error = exc
            if error is None and not woken and not_hedged and clock() >= at:
                not_hedged = False
                if (later := second()) is not None:
                    flows.append(HedgedFlow(later))
                continue
            if error is None and not woken and over < flow.due:
                continue  # cut short to begin the second one, and ended a little early
            yield from _advance(flow, news, error, clock)
            if flow.ended is not None and flow.ended.won:
                break
        return [flow.ended for flow in flows if flow.ended is not None]
    finally:
        for flow in flows:
            flow.flow.close()


def _woken(sleep: Sleep, reply: object) -> bool:
    """Whether *reply* is news; without any it is the number seen already."""
    return sleep.wake is not None and isinstance(reply, int) and reply > sleep.wake.seen


def _advance(
    flow: HedgedFlow[T], reply: object, error: BaseException | None, clock: Callable[[], float]
) -> Flow[None]:
    """Run one flow until it sleeps or ends."""
    while True:
        try:
            effect = flow.flow.send(reply) if error is None else flow.flow.throw(error)
        except StopIteration as stop:
            flow.ended = stop.value
            return
        if isinstance(effect, Sleep):
            flow.sleep, flow.due = effect, clock() + effect.seconds
            return
        reply, error = None, None
        try:
            reply = yield effect
        except GeneratorExit:
            raise
        except BaseException as exc:
            error = exc
