"""Notifications of jobs, which wake the calls that wait for them, from any thread.

Not a queue: the notifications of a job have numbers that only grow; a waiter passes the last one
that it has seen, and returns at a later one. So nothing is missed between two waits, nothing has
to be consumed, and several may wait for the same job. They are kept for ten minutes, since a
callback can arrive before the reply to its submit.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

from wanbridge.engine.effects import JobKey, Wake

KEPT_SECONDS = 600.0
# Jobs with notifications at the same time; the oldest are dropped first.
KEPT_MOST = 65_536


class JobNotifications:
    """Wakes calls that wait for jobs; safe to share between threads and event loops.

    Args:
        clock: Monotonic seconds, for the age of notifications.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = count(1)
        # Oldest first.
        self._recent: dict[JobKey, tuple[int, float]] = {}
        self._wakers: dict[JobKey, list[Callable[[], None]]] = {}

    def notify(self, job: JobKey) -> None:
        """Wake all calls that wait for *job* now, or will within ten minutes."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            self._recent.pop(job, None)
            self._recent[job] = (next(self._numbers), now)
            wakers = list(self._wakers.get(job, ()))
        for wake_up in wakers:
            wake_up()

    def latest(self, wake: Wake) -> int:
        """The number of the latest notification of a job; the one seen if there is none since."""
        with self._lock:
            number, at = self._recent.get(wake.job, (0, 0.0))
            return max(wake.seen, number if self._clock() - at < KEPT_SECONDS else 0)

    def wait(self, wake: Wake, seconds: float) -> int:
        """Block until a notification or for *seconds*; returns `latest`."""
        notified = threading.Event()
        with self._listening(wake, notified.set):
            notified.wait(seconds)
        return self.latest(wake)

    async def wait_async(self, wake: Wake, seconds: float) -> int:
        """`wait` for asyncio; the notification may come from another thread."""
        loop, notified = asyncio.get_running_loop(), asyncio.Event()

        def wake_up() -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(notified.set)

        with self._listening(wake, wake_up), suppress(TimeoutError):
            await asyncio.wait_for(notified.wait(), seconds)
        return self.latest(wake)

    @contextmanager
    def _listening(self, wake: Wake, wake_up: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._wakers.setdefault(wake.job, []).append(wake_up)
        try:
            # After it was added: a notification in between wakes it, too.
            if self.latest(wake) > wake.seen:
                wake_up()
            yield
        finally:
            with self._lock:
                wakers = self._wakers[wake.job]
                wakers.remove(wake_up)
                if not wakers:
                    del self._wakers[wake.job]

    def _forget(self, now: float) -> None:
        """Drop notifications that are too old or too many."""
        while self._recent:
            job, (_, at) = next(iter(self._recent.items()))
            if now - at < KEPT_SECONDS and len(self._recent) < KEPT_MOST:
                return
            del self._recent[job]
