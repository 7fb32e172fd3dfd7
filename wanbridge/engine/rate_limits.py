"""Rate limits of accounts, shared by all calls of a client.

Values, not waiting: the limiter says how long, the flow sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from itertools import count
from threading import Lock
from typing import Self

from attrs import Factory, define

from wanbridge.adapters.offers import Offer

# How often a waiting call looks whether its turn has come; further back, less often.
LOOK = 0.1
LOOK_MOST = 2.0


@define(eq=False)
class _Queue:
    """The calls that run and that wait, for one model on one account."""

    running: set[Slot] = Factory(set)
    waiting: deque[Slot] = Factory(deque)
    numbers: Iterator[int] = Factory(count)


@define(eq=False)
class Slot:
    """One call's place in the queue of its account and model; a context manager, freed at its end.

    Attributes:
        limit: Generations that may run at once; None is any number.
    """

    limit: int | None
    _queue: _Queue
    _lock: Lock
    _number: int = 0

    def __enter__(self) -> Self:
        if self.limit is not None:
            with self._lock:
                self._number = next(self._queue.numbers)
                self._queue.waiting.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.limit is not None:
            with self._lock:
                self._queue.running.discard(self)
                if self in self._queue.waiting:
                    self._queue.waiting.remove(self)

    def enter(self) -> float | None:
        """None once this call may run, else seconds until to try again; in order of arrival."""
        if self.limit is None:
            return None
        with self._lock:
            queue = self._queue
            if self in queue.running:
                return None
            if queue.waiting[0] is self and len(queue.running) < self.limit:
                queue.waiting.popleft()
                queue.running.add(self)
                return None
            ahead = self._number - queue.waiting[0]._number
            return min(LOOK_MOST, LOOK * (1 + ahead / self.limit))


_NOBODY = _Queue()


@define(eq=False)
class RateLimiter:
    """Limits creates and polls a second, and concurrent generations, by account."""

    _lock: Lock = Factory(Lock)
    _free_at: dict[Hashable, float] = Factory(dict)
    _queues: dict[Hashable, _Queue] = Factory(dict)

    def reserve(self, what: Hashable, rate: float, now: float, latest: float) -> float | None:
        """Reserve the next place at *rate* calls a second; returns the seconds to wait for it.

        None, and no place is taken, if it would come at *latest* or after.
        """
        with self._lock:
            at = max(now, self._free_at.get(what, now))
            if at >= latest:
                return None
            self._free_at[what] = at + 1 / rate
            return at - now

    def slot(self, account: str, offer: Offer) -> Slot:
        """A place in the queue for *offer*, to be entered with ``with``."""
        limit = offer.limits.rates.running
        if limit is None:
            return Slot(None, _NOBODY, self._lock)
        with self._lock:
            queue = self._queues.setdefault((account, offer.model), _Queue())
        return Slot(limit, queue, self._lock)
