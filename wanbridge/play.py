"""Playing one flow, and holding interruptions back while money is on the line."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self, cast

from wanbridge import flow
from wanbridge.effects import Effect, Flow
from wanbridge.errors import WanbridgeError
from wanbridge.model import Job


class Conversation:
    """Plays one flow, one effect at a time; the same for both clients.

    An interruption that came during a submit is held back here until the outcome is known,
    then thrown into the flow, which hangs the job or the receipt on it.
    """

    def __init__(self, play: Flow[Any]) -> None:
        self._play = play
        self._held: BaseException | None = None
        self._reply: object = None
        self._error: BaseException | None = None

    def reply(self, reply: object) -> None:
        """What the last effect brought."""
        self._reply, self._error = reply, None

    def fail(self, error: BaseException) -> None:
        """What the last effect raised."""
        self._reply, self._error = None, error

    def hold(self, interruption: BaseException) -> None:
        """An interruption, for when the outcome of this submit is known."""
        self._held = interruption

    def step(self) -> Effect:
        """The next effect. Raises StopIteration at the end, with the result."""
        try:
            if self._error is not None:
                effect = self._play.throw(self._error)
            else:
                effect = self._play.send(self._reply)
        except StopIteration as stop:
            if self._held is not None:
                brought = {"job" if isinstance(stop.value, Job) else "result": stop.value}
                flow.attach(self._held, **brought)
                raise self._held from None
            raise
        except WanbridgeError as exc:
            if self._held is not None:
                job, receipt = getattr(exc, "job", None), getattr(exc, "receipt", None)
                flow.attach(self._held, job=job, receipt=receipt)
                raise self._held from exc
            raise
        if self._held is None:
            return effect
        held, self._held = self._held, None
        return self._play.throw(held)

    def close(self) -> None:
        """Give back what the flow holds."""
        self._play.close()


class Interrupts:
    """Holds Ctrl-C back while a submit is on the line; a second one goes through.

    Python raises KeyboardInterrupt wherever it is, also between sending and reading, where
    nobody could tell any more what was bought. Other signals and threads are left alone.
    """

    def __init__(self) -> None:
        self.caught: BaseException | None = None
        self._signal: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> Self:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._first)
        return self

    def _first(self, number: int, frame: FrameType | None) -> None:
        self._signal = (number, frame)
        signal.signal(signal.SIGINT, cast("Any", self._before))

    def __exit__(self, *exc: object) -> None:
        if self._before is None:
            return
        signal.signal(signal.SIGINT, self._before)
        if self._signal is not None:
            try:
                self._before(*self._signal)
            except BaseException as interruption:
                self.caught = interruption
