"""Playing a flow by hand: a clock that only sleeping moves, and replies from a list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from example_provider import NOON
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Effect, Flow, Sleep
from wanbridge.engine.events import Event
from wanbridge.wire import HttpResponse

T = TypeVar("T")


class ManualTime:
    """Monotonic and wall time that move together, and only when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000.0)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class FlowRunner:
    """Terms for a test, with what was told kept in `events`."""

    def __init__(self, **context: Any) -> None:
        self.time = ManualTime()
        self.events: list[Event] = []
        self.context = CallContext(
            **{
                "clock": self.time.clock,
                "now": self.time.now,
                "emit": self.events.append,
                **context,
            }
        )

    def play(self, flow: Flow[T], *replies: object) -> tuple[T, list[Effect]]:
        """Carry *flow* out.

        Each effect but Sleep takes the next of *replies*: a value is sent in, an exception is
        thrown in, a callable is called with the effect.

        Returns:
            The flow's result and the effects it asked for.
        """
        effects: list[Effect] = []
        waiting = list(replies)
        try:
            effect = next(flow)
            while True:
                effects.append(effect)
                if isinstance(effect, Sleep):
                    self.time.advance(effect.seconds)
                    effect = flow.send(None)
                    continue
                assert waiting, f"nothing is left to answer {effect!r} with"
                answer: Any = waiting.pop(0)
                if isinstance(answer, Callable):  # type: ignore[arg-type]
                    answer = answer(effect)
                if isinstance(answer, HttpResponse) and answer.received_at is not None:
                    answer = HttpResponse(
                        status=answer.status,
                        headers=answer.headers,
                        body=answer.body,
                        received_at=self.time.now(),
                    )
                if isinstance(answer, BaseException):
                    effect = flow.throw(answer)
                else:
                    effect = flow.send(answer)
        except StopIteration as stop:
            assert not waiting, f"{len(waiting)} replies were not asked for"
            result: T = stop.value
            return result, effects
