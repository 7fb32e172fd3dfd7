"""Terminating signals as one `KeyboardInterrupt`, which the clients hold back during a submit."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None

# These do not terminate by default (signal(7); Darwin's signal(3) for INFO).
_NOT_TERMINATING = ("CHLD", "CONT", "URG", "WINCH", "INFO", "TSTP", "TTIN", "TTOU")
# These cannot be caught.
_UNCATCHABLE = ("KILL", "STOP")
# After a fault the faulty instruction is run again: a handler in Python would never be reached.
_FAULTS = ("SEGV", "BUS", "FPE", "ILL")


def terminating_signals() -> frozenset[int]:
    """Every signal that terminates a process by default and can be caught.

    On Windows that is Ctrl-Break, too, as which the C runtime shows the closing of the console,
    logging off and shutting down (its signal.cpp, read 2026-11-27; not tried).
    """
    others = {getattr(signal, f"SIG{n}", 0) for n in (*_NOT_TERMINATING, *_UNCATCHABLE, *_FAULTS)}
    return frozenset(signal.valid_signals() - others)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` in this block for every terminating signal.

    It travels as SIGINT, since that is what the clients hold back during a submit. A signal that
    was ignored from the start (``nohup``, a shell's ``&``) stays ignored, and one that has a
    handler keeps it.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    seen: set[int] = set()

    def terminate(number: int, frame: FrameType | None) -> None:
        # A closed terminal sends it twice, by the kernel and by the shell.
        if number in seen and number == getattr(signal, "SIGHUP", 0):
            return
        seen.add(number)
        signal.raise_signal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if seen or not ignored:
            raise KeyboardInterrupt

    free = (n for n in terminating_signals() if signal.getsignal(n) is signal.SIG_DFL)
    with _handling({**dict.fromkeys(free, terminate), signal.SIGINT: interrupt}):
        yield


def ignoring_signals() -> contextlib.AbstractContextManager[None]:
    """Ignore terminating signals in this block, while what was paid for is written to files."""
    return _handling(dict.fromkeys(terminating_signals(), signal.SIG_IGN))


@contextlib.contextmanager
def _handling(handlers: Mapping[int, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread set handlers.
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
