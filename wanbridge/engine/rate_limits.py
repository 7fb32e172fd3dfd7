"""The rates of an account, held by all calls of a client together.

Values, not waiting: a gate says how long, the flow sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from itertools import count
from threading import Lock
from typing import Self

from attrs import Factory, define

from wanbridge.adapters.base import Offer

# How often a waiting call looks whether its turn has come; further back, less often.
LOOK = 0.1
LOOK_MOST = 2.0


@define(eq=False)
class _Line:
    """Who runs and who waits, for one model on one account."""

    running: set[Place] = Factory(set)
    waiting: deque[Place] = Factory(deque)
    numbers: Iterator[int] = Factory(count)


@define(eq=False)
class Place:
    """One call's place in the line of its account and model; given back on leaving.

    Attributes:
        limit: Generations that may run at once; None is any number.
    """

    limit: int | None
    _line: _Line
    _lock: Lock
    _number: int = 0

    def __enter__(self) -> Self:
        if self.limit is not None:
            with self._lock:
                self._number = next(self._line.numbers)
                self._line.waiting.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.limit is not None:
            with self._lock:
                self._line.running.discard(self)
                if self in self._line.waiting:
                    self._line.waiting.remove(self)

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


_NOBODY = _Line()


@define(eq=False)
class Gates:
    """Creates and polls a second, and generations at once, by account."""

    _lock: Lock = Factory(Lock)
    _free_at: dict[Hashable, float] = Factory(dict)
    _lines: dict[Hashable, _Line] = Factory(dict)

    def reserve(self, what: Hashable, rate: float, now: float, latest: float) -> float | None:
        """Take the next place among *rate* calls a second; seconds to wait for it.

        None, and no place is taken, if it would come at *latest* or after.
        """
        with self._lock:
            at = max(now, self._free_at.get(what, now))
            if at >= latest:
                return None
            self._free_at[what] = at + 1 / rate
            return at - now

    def place(self, account: str, offer: Offer) -> Place:
        """A place in the line for *offer*, to be entered with ``with``."""
        limit = offer.limits.rates.running
        if limit is None:
            return Place(None, _NOBODY, self._lock)
        with self._lock:
            line = self._lines.setdefault((account, offer.model), _Line())
        return Place(limit, line, self._lock)
