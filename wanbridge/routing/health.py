"""Circuit breakers of the accounts of a client: cool-downs, parked accounts, and latencies.

Shared by all calls of a client. Nothing waits here; the clock is an argument.
"""

from __future__ import annotations

from collections import deque
from threading import Lock

from attrs import Factory, define, frozen

from wanbridge.errors import (
    CallFailed,
    CreditExhausted,
    GenerationFailed,
    MalformedResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SubmissionUncertain,
    TaskLost,
    TransportFailed,
)

# Seconds without calls after a provider was not there; twice as long each further time.
COOL, COOL_MOST = 30.0, 600.0
# After a rate limit that names no time.
COOL_BUSY = 5.0
# An empty account is asked again after this: it may have been topped up.
PARKED = 600.0
# Failed generations in a row after which an account cools down.
STRIKES = 3
_STRIKING = (GenerationFailed, TaskLost, MalformedResponse)
# A trial call that never reports frees its place after this.
TRIAL = 120.0
# Latencies are forgotten after an hour, so that a slow account gets another chance.
MEASURED_FOR, MEASURED_MOST = 3600.0, 32


@frozen
class Cooling:
    """Why an account is not asked at the moment.

    Attributes:
        seconds: Until it may be tried again; 0 while another call is trying.
        reason: Why it cools down.
        parked: Whether it has no credit left.
    """

    seconds: float
    reason: str
    parked: bool = False

    def __str__(self) -> str:
        how = "parked" if self.parked else "cooling down"
        left = f"for {self.seconds:.0f} s" if self.seconds else "and another call is trying it"
        return f"not asked: {how} {left}, after: {self.reason}"


@define
class _State:
    """The circuit breaker of one account.

    Attributes:
        since, until: Begin and end of the cool-down on the clock; *until* is None without one.
        length: Of the cool-down, in seconds.
        times: Cool-downs in a row.
        strikes: Failed generations in a row.
        tried: When the one trial call was let through.
        trial: Until when its place is taken; None if it is free.
    """

    since: float = 0.0
    until: float | None = None
    length: float = 0.0
    reason: str = ""
    parked: bool = False
    times: int = 0
    strikes: int = 0
    tried: float = 0.0
    trial: float | None = None

    def concerns(self, began: float | None) -> bool:
        """Whether the outcome of a call that *began* then says how the account is now."""
        if began is None or self.until is None:
            return True
        return began >= (self.since if self.trial is None else self.tried)

    def cool(self, now: float, seconds: float) -> None:
        """Begin a cool-down of *seconds* at *now*."""
        self.until, self.length = now + seconds, seconds


@define(eq=False)
class Health:
    """Circuit breakers and latencies of the accounts of a client.

    Reports say when their call *began* (None: just now): a call from before a cool-down, or from
    before the trial that follows it, neither ends nor prolongs it.
    """

    _lock: Lock = Factory(Lock)
    _states: dict[str, _State] = Factory(dict)
    _took: dict[tuple[str, str], deque[tuple[float, float]]] = Factory(dict)

    def cooling(self, account: str, now: float) -> Cooling | None:
        """Why *account* would not be asked at *now*; None if it would."""
        with self._lock:
            return self._cooling(account, now)

    def admit(self, account: str, now: float) -> Cooling | None:
        """As `cooling`; after a cool-down only one call is let through, until it reports."""
        with self._lock:
            if (cooling := self._cooling(account, now)) is not None:
                return cooling
            state = self._states.get(account)
            if state is not None and state.until is not None:
                state.tried, state.trial = now, now + TRIAL
            return None

    def _cooling(self, account: str, now: float) -> Cooling | None:
        state = self._states.get(account)
        if state is None or state.until is None:
            return None
        if state.until - now > state.length:
            state.cool(now, state.length)  # the clock was set back, which is no reason for more
        if (left := state.until - now) > 0:
            return Cooling(min(left, state.length), state.reason, state.parked)
        if state.trial is not None and 0 < state.trial - now <= TRIAL:
            return Cooling(0.0, state.reason, state.parked)
        return None

    def up(self, account: str, began: float | None = None) -> None:
        """Report that it accepted a call."""
        with self._lock:
            state = self._states.get(account)
            if state is not None and state.concerns(began):
                state.until, state.trial, state.times, state.parked = None, None, 0, False

    def delivered(self, account: str, model: str, now: float, seconds: float) -> None:
        """Report that it delivered *model*, in so many seconds."""
        with self._lock:
            state = self._states.get(account)
            if state is not None and state.concerns(now - seconds):
                del self._states[account]
            elif state is not None:
                state.strikes = 0
            took = self._took.setdefault((account, model), deque(maxlen=MEASURED_MOST))
            took.append((now, seconds))

    def failed(
        self, account: str, error: CallFailed, now: float, began: float | None = None
    ) -> Cooling | None:
        """Report that it failed; returns the cool-down that begins with it, None if none does."""
        with self._lock:
            state = self._states.setdefault(account, _State())
            concerns = state.concerns(began)
            on_trial = state.trial is not None
            if concerns:
                state.trial = None
            seconds = self._pause(state, error)
            if seconds is None:
                if concerns and _answered(error) and not state.parked:
                    state.until, state.times = None, 0
                return None
            empty = isinstance(error, CreditExhausted)
            cooling = state.until is not None and state.until > now
            if not concerns or (cooling and not on_trial):
                # It was under way when the cool-down began; only a longer one is news.
                longer = seconds if empty and not state.parked else _requested(error)
                if cooling and state.until is not None and now + longer > state.until:
                    state.cool(now, longer)
                    state.parked = state.parked or empty
                return None
            state.cool(now, seconds)
            # The next failure in a row, which may be the trial's, is one too many again.
            state.since, state.times = now, state.times + 1
            state.strikes = min(state.strikes, STRIKES - 1)
            state.parked, state.reason = empty, error.message
            return Cooling(seconds, state.reason, state.parked)

    def withdrawn(self, account: str, began: float | None = None) -> None:
        """Report that a call ended without saying anything of the account."""
        with self._lock:
            state = self._states.get(account)
            if state is not None and state.concerns(began):
                state.trial = None

    def medians(self, model: str, now: float) -> dict[str, float]:
        """Median seconds that *model* took lately, by account; only those that were measured."""
        from statistics import median  # which loads 10 modules

        found = {}
        with self._lock:
            for (account, of), took in self._took.items():
                while took and took[0][0] < now - MEASURED_FOR:
                    took.popleft()
                if of == model and took:
                    found[account] = median(seconds for _, seconds in took)
        return found

    @staticmethod
    def _pause(state: _State, error: CallFailed) -> float | None:
        """Length of the cool-down in seconds; None if this begins none."""
        longer: float = 2 ** min(state.times, 10)
        match error:
            case CreditExhausted():
                return PARKED
            case RateLimited(status=None, code=None):
                return None  # our own rate limit: nothing was sent
            case RateLimited():
                return max(COOL_BUSY, _requested(error))
            case SubmissionUncertain(__cause__=CallFailed(elsewhere=False)):
                return None
            case ProviderError(final=False, elsewhere=True) if isinstance(error, _STRIKING):
                pass
            case ProviderError(final=True, elsewhere=True):
                pass
            case ProviderUnavailable() | TransportFailed() | SubmissionUncertain():
                return max(min(COOL * longer, COOL_MOST), _requested(error))
            case _:
                return None  # the request, the key or the caller's deadline ended it
        state.strikes += 1
        return min(COOL * longer, COOL_MOST) if state.strikes >= STRIKES else None


def _requested(error: CallFailed) -> float:
    """Seconds that the provider's own ``Retry-After`` asks for."""
    said = error.__cause__ if isinstance(error, SubmissionUncertain) else error
    asked = said.retry_after if isinstance(said, ProviderError) else None
    return min(asked or 0.0, COOL_MOST)


def _answered(error: CallFailed) -> bool:
    """Whether the provider is there, whatever it said; our own rate limits have no status."""
    return isinstance(error, ProviderError) and (error.status or error.code) is not None
