"""Ctrl-C and SIGTERM: the same interruption, which the clients hold back during a submit."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM becomes the `KeyboardInterrupt` of Ctrl-C for as long as the block lasts.

    It travels as SIGINT, since that is what the clients hold back during a submit. Where SIGINT
    was ignored from the start (``nohup``, a shell's ``&``), Ctrl-C stays ignored.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    terminated = False

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        signal.raise_signal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if terminated or not ignored:
            raise KeyboardInterrupt

    with _handling({signal.SIGTERM: terminate, signal.SIGINT: interrupt}):
        yield


def deafen() -> contextlib.AbstractContextManager[None]:
    """No interruption while what was paid for is written down; that takes no time."""
    return _handling({signal.SIGTERM: signal.SIG_IGN, signal.SIGINT: signal.SIG_IGN})


@contextlib.contextmanager
def _handling(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread set handlers.
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
