"""Ctrl-C, held back while a billable request is in flight."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any, Self

# The functions of `signal` look each handler up among its enums, which takes 20 times as long as
# setting it (8 us, CPython 3.11) and is done three times a submit. Those of `_signal`, which they
# call, are the same in CPython and PyPy.
handlers: Any = sys.modules.get("_signal", signal)
_SIGINT = int(signal.SIGINT)


class Interrupts:
    """A context manager that holds Ctrl-C back during a submit; a second one goes through.

    Python raises KeyboardInterrupt anywhere, also between sending and reading, where it could not
    be known any more what was bought. Other signals and threads are not affected.

    Attributes:
        caught: What the handler raised for the signal that was held back; None without one.
    """

    def __init__(self) -> None:
        self.caught: BaseException | None = None
        self._signal: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> Self:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            before = handlers.getsignal(_SIGINT)
            if callable(before):
                self._before = before
                handlers.signal(_SIGINT, self._first)
        return self

    def _first(self, number: int, frame: FrameType | None) -> None:
        self._signal = (number, frame)
        handlers.signal(_SIGINT, self._before)

    def __exit__(self, *exc: object) -> None:
        if self._before is None:
            return
        handlers.signal(_SIGINT, self._before)
        if self._signal is not None:
            try:
                self._before(*self._signal)
            except BaseException as interruption:
                self.caught = interruption
