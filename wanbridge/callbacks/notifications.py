"""Waking whoever waits for a job, from any thread and for either client.

A notice board, not a queue: news of a job carry a number that only grows, a waiter says which
it has seen, and is let go by a later one. So nothing is missed between two waits, nothing has
to be taken away, and several may wait for the same job. News are kept for ten minutes, since a
callback can overtake the reply to the submit that it is about.
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
# Jobs with news at the same time; the oldest news go first.
KEPT_MOST = 65_536


class JobNotifications:
    """News of jobs, and who waits for them; safe to share between threads and event loops.

    Args:
        clock: Monotonic seconds, for what is kept.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = count(1)
        # Oldest first.
        self._news: dict[JobKey, tuple[int, float]] = {}
        self._bells: dict[JobKey, list[Callable[[], None]]] = {}

    def notify(self, job: JobKey) -> None:
        """Something happened to *job*: wake all who wait for it, or will within ten minutes."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            self._news.pop(job, None)
            self._news[job] = (next(self._numbers), now)
            bells = list(self._bells.get(job, ()))
        for bell in bells:
            bell()

    def latest(self, wake: Wake) -> int:
        """The number of the latest news of a job; what was seen if there are none since."""
        with self._lock:
            number, at = self._news.get(wake.job, (0, 0.0))
            return max(wake.seen, number if self._clock() - at < KEPT_SECONDS else 0)

    def wait(self, wake: Wake, seconds: float) -> int:
        """Block until there are news or *seconds* have passed; `latest` then."""
        rung = threading.Event()
        with self._listening(wake, rung.set):
            rung.wait(seconds)
        return self.latest(wake)

    async def wait_async(self, wake: Wake, seconds: float) -> int:
        """`wait` for asyncio; the news may come from another thread."""
        loop, rung = asyncio.get_running_loop(), asyncio.Event()

        def bell() -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(rung.set)

        with self._listening(wake, bell), suppress(TimeoutError):
            await asyncio.wait_for(rung.wait(), seconds)
        return self.latest(wake)

    @contextmanager
    def _listening(self, wake: Wake, bell: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._bells.setdefault(wake.job, []).append(bell)
        try:
            # After the bell hangs: what comes in between rings it, too.
            if self.latest(wake) > wake.seen:
                bell()
            yield
        finally:
            with self._lock:
                bells = self._bells[wake.job]
                bells.remove(bell)
                if not bells:
                    del self._bells[wake.job]

    def _forget(self, now: float) -> None:
        """Drop what is too old or too much."""
        while self._news:
            job, (_, at) = next(iter(self._news.items()))
            if now - at < KEPT_SECONDS and len(self._news) < KEPT_MOST:
                return
            del self._news[job]
