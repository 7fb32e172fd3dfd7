"""What a conversation needs from its caller: timeouts, clock, prices, rate limits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from attrs import define, field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.staging import Staging
from wanbridge.adapters.steps import Delivery
from wanbridge.engine.events import Event
from wanbridge.engine.rate_limits import RateLimiter
from wanbridge.errors import StorageFailed
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest

log = logging.getLogger("wanbridge")

# An upload to an object store that is faster than this many bytes per second, half of what a slow
# mobile connection has, is not given up.
SLOWEST = 64 * 2**10


@frozen(kw_only=True)
class Timeouts:
    """How long to wait for what, in seconds.

    Attributes:
        connect_timeout: For a connection to stand.
        read_timeout: For a reply to begin, and between its parts. An exchange that buys may take
            5 s more in all, and the time that its bodies need at 64 KiB/s.
        deadline: For a whole generation; also for each other call, and each exchange within one
            that buys nothing.
        poll_interval: How often to poll; None is each adapter's own, from its manual.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    deadline: float = 600.0
    poll_interval: PollInterval | None = None

    def upload(self, size: int) -> float:
        """Seconds that storing so many bytes may take in all."""
        return min(self.deadline, self.read_timeout + size / SLOWEST)


class Callbacks(Protocol):
    """A receiver of providers' callbacks, as a conversation uses it."""

    def address(self, account: str, key: str) -> str | None:
        """The callback URL of the logical call *key* for the provider of *account*; None: none."""
        ...

    def expects(self, job: Job) -> bool:
        """Whether the provider was given that address for *job*."""
        ...


def _no_price(adapter: Adapter, request: ImageRequest, delivery: Delivery | None) -> Money | None:
    return None


@define
class StagedPictures:
    """What one call has put in the object store, for all its attempts and accounts.

    Attributes:
        links: By the ``data:`` URI of the picture. Signed once: a submit that is sent again has
            the same bytes.
        failure: Why the store is not asked again; None while nothing has failed.
    """

    links: dict[str, str] = field(factory=dict, repr=lambda links: f"<{len(links)} links>")
    failure: StorageFailed | None = None


@frozen(kw_only=True)
class CallContext:
    """What a conversation takes as arguments, so that it uses no clock, socket or randomness.

    Attributes:
        clock: Monotonic seconds, for waiting.
        now: Wall time, aware, for what is stored.
        chance: Numbers in [0, 1), for jitter.
        timeouts: How long to wait for what.
        emit: Called with every `Event`; an error of it before a submit stops the submit.
        rate_limiter: The account's rates.
        price: The cost of a request, before (no delivery) or after; None if unknown.
        origins: Origins of the configured base URLs, from which pictures may be fetched even
            on this machine.
        callbacks: Receives the callback at a job's end; None: jobs are only polled.
        may_drop, check_limits, staging: As in `wanbridge.adapters.fitting.fit`.
        staged: The pictures of this one call that are in the object store.
        ends_at: When, on `clock`, the whole call ends, whose part this is; None: by *timeouts*.
        queue_timeout: Seconds that a submit may wait for its rate limit, or to be sent again to a
            busy provider; None: until the deadline. Set where another provider could be asked.
        start_by: When, on `clock`, the first byte of a submit has to be under way; None: at
            any time before the deadline. Of a hedged call.
        answer_by: When, on `clock`, a submit has to be answered; None: within its read
            timeout. Of a hedged call that may pay again.
        handles: Of this one call.
    """

    clock: Callable[[], float]
    now: Callable[[], datetime]
    chance: Callable[[], float] = lambda: 0.0
    timeouts: Timeouts = Timeouts()
    emit: Callable[[Event], None] = lambda event: None
    rate_limiter: RateLimiter = field(factory=RateLimiter)
    price: Callable[[Adapter, ImageRequest, Delivery | None], Money | None] = _no_price
    origins: frozenset[str] = frozenset()
    callbacks: Callbacks | None = None
    may_drop: Collection[str] = ()
    check_limits: bool = True
    staging: Staging | None = None
    staged: StagedPictures = field(factory=StagedPictures)
    ends_at: float | None = None
    queue_timeout: float | None = None
    start_by: float | None = None
    answer_by: float | None = None
    handles: Handles = field(factory=Handles)

    @property
    def until(self) -> float:
        """The deadline of a generation that begins now, on `clock`."""
        return self.clock() + self.timeouts.deadline if self.ends_at is None else self.ends_at

    def latest(self, until: float) -> float:
        """Until when, on `clock`, a submit may wait before its first byte; *until* at most."""
        bounds = [until]
        if self.queue_timeout is not None:
            bounds.append(self.clock() + self.queue_timeout)
        if self.start_by is not None:
            bounds.append(self.start_by)
        return min(bounds)

    def late(self, pause: float, until: float) -> bool:
        """Whether *until*, on `clock`, has passed after a *pause*."""
        return self.clock() + pause >= until

    def jittered(self, seconds: float) -> float:
        """*seconds* and up to a quarter more, so that many callers do not return at once."""
        return seconds * (1 + 0.25 * self.chance())

    def report(self, event: Event) -> None:
        """Emit *event*; an error of the listener is logged, since it must not cost the job."""
        try:
            self.emit(event)
        except Exception:
            log.exception("wanbridge: on_progress failed; the job goes on")
