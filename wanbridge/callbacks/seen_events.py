"""Which events of callbacks were seen before, within bounds of memory."""

from __future__ import annotations

import threading

from wanbridge.adapters.steps import CallbackEvent
from wanbridge.engine.effects import JobKey
from wanbridge.errors import CallbackRefused

# A call brings at most 12 pictures, each reported when it begins and when it ends; a token that
# has leaked must not fill the memory.
_EVENTS_MOST = 64
_CALLS_MOST = 16_384


class SeenEvents:
    """The events of each call so far: the same item of the same task is new once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By account and call, the least recently called first.
        self._calls: dict[tuple[str, str], set[tuple[str, str | None, bool | None]]] = {}

    def add(self, job: JobKey, event: CallbackEvent) -> bool:
        """Whether *event* is new. Raises CallbackRefused if its call has had too many."""
        call, what = (job.account, job.call), (job.task, event.item, event.ended)
        with self._lock:
            seen = self._calls[call] = self._calls.pop(call, set())
            if what in seen:
                return False
            if len(seen) >= _EVENTS_MOST:
                raise CallbackRefused(f"more than {_EVENTS_MOST} events of one call", 429)
            seen.add(what)
            while len(self._calls) > _CALLS_MOST:
                del self._calls[next(iter(self._calls))]
        return True

    def remove(self, job: JobKey, event: CallbackEvent) -> None:
        """Let *event* be new once more."""
        with self._lock:
            seen = self._calls.get((job.account, job.call), set())
            seen.discard((job.task, event.item, event.ended))
