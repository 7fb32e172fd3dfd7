"""The rates of an account, held by all calls of a client together.

Values, not waiting: a gate says how long, the flow sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Lock

from attrs import Factory, define, field

from wanbridge.adapter import Offer

# How often a waiting call looks whether its turn has come; further back, less often.
LOOK = 0.1
LOOK_MOST = 2.0


@define(eq=False)
class _Line:
    """Who runs and who waits, for one model on one account."""

    running: set[Place] = Factory(set)
    waiting: deque[Place] = Factory(deque)


@define(eq=False)
class Place:
    """One call's place in the line of its account and model.

    Attributes:
        limit: Generations that may run at once; None is any number.
    """

    limit: int | None
    _line: _Line
    _lock: Lock
    _number: int = 0

    def enter(self) -> float | None:
        """None once this call may run, else seconds after which to ask again. First come first."""
        if self.limit is None:
            return None
        with self._lock:
            line = self._line
            if self in line.running:
                return None
            if line.waiting[0] is self and len(line.running) < self.limit:
                line.waiting.popleft()
                line.running.add(self)
                return None
            ahead = self._number - line.waiting[0]._number
            return min(LOOK_MOST, LOOK * (1 + ahead / self.limit))


@define(eq=False)
class Gates:
    """Creates and polls a second, and generations at once, by account."""

    _lock: Lock = Factory(Lock)
    _free_at: dict[Hashable, float] = Factory(dict)
    _lines: dict[Hashable, _Line] = Factory(dict)
    _numbers: int = field(default=0, init=False)

    def reserve(self, what: Hashable, rate: float, now: float) -> float:
        """Take the next place among *rate* calls a second; seconds to wait for it."""
        with self._lock:
            at = max(now, self._free_at.get(what, now))
            self._free_at[what] = at + 1 / rate
            return at - now

    @contextmanager
    def place(self, account: str, offer: Offer) -> Iterator[Place]:
        """A place in the line for *offer*; given back on leaving."""
        limit = offer.limits.rates.running
        with self._lock:
            line = self._lines.setdefault((account, offer.model), _Line())
            self._numbers += 1
            place = Place(limit, line, self._lock, self._numbers)
            if limit is not None:
                line.waiting.append(place)
        try:
            yield place
        finally:
            if limit is not None:
                with self._lock:
                    line.running.discard(place)
                    if place in line.waiting:
                        line.waiting.remove(place)
