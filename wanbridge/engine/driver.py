"""Steps through one flow, effect by effect, and applies interruptions that were held back."""

from __future__ import annotations

from contextlib import suppress
from typing import Generic, Self, TypeVar, cast

from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Effect, Flow, NotBegun, Send
from wanbridge.errors import CallFailed

T = TypeVar("T")


class Driver(Generic[T]):
    """Steps through one flow, one effect at a time; the same for both clients.

    Attributes:
        effect: To be carried out next; None once the flow has ended.
    """

    def __init__(self, flow: Flow[T], context: CallContext) -> None:
        self._flow, self._handles = flow, context.handles
        self._reply: object = None
        self._error: BaseException | None = None
        self._end: BaseException | None = None
        self.effect: Effect | None = None
        self.advance()

    def reply(self, reply: object) -> None:
        """Set what the effect returned; `advance` sends it in."""
        self._reply, self._error = reply, None

    def fail(self, error: BaseException) -> None:
        """Set what the effect raised; `advance` throws it in."""
        self._reply, self._error = None, error

    def advance(self) -> None:
        """Go on to the next effect, or to the end."""
        try:
            if self._error is not None:
                self.effect = self._flow.throw(self._error)
            else:
                self.effect = self._flow.send(self._reply)
        except BaseException as end:
            self.effect, self._end = None, end

    def interrupt(self, held: BaseException | None) -> None:
        """End with an interruption that was held back, now that the outcome is known."""
        if held is None:
            return
        if self.effect is None:
            if not isinstance(self._end, StopIteration):
                held.__cause__ = self._end
                if attempts := getattr(self._end, "attempts", ()):
                    with suppress(AttributeError, TypeError):  # not every exception takes more
                        held.attempts = attempts  # type: ignore[attr-defined]
            self._end = held
            return
        unsent = isinstance(self.effect, Send) and self.effect.billable
        self.fail(NotBegun(held) if unsent else held)
        self.advance()

    def result(self) -> T:
        """What the flow returned, or what it raised."""
        if isinstance(self._end, StopIteration):
            return cast("T", self._end.value)
        assert self._end is not None
        self.mark(self._end)
        raise self._end

    def mark(self, exc: BaseException) -> None:
        """Attach receipt, job or result to an exception that is not an answer of the flow."""
        if not isinstance(exc, CallFailed):
            self._handles.mark(exc)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        """Mark whatever ends the run, and release what the flow holds."""
        if exc is not None:
            self.mark(exc)
        self.close()

    def close(self) -> None:
        """Release what the flow holds."""
        try:
            self._flow.close()
        except BaseException as exc:
            self.mark(exc)
            raise
