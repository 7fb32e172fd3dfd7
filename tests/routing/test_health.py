"""Accounts that fail are left alone for a while, tried once, and never forgotten shut."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wanbridge.errors import (
    AuthenticationFailed,
    CallFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    DeadlineExceeded,
    DownloadFailed,
    GenerationFailed,
    JobCancelled,
    MalformedResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    SubmissionUncertain,
    TaskLost,
    TransportFailed,
)
from wanbridge.routing.health import (
    COOL,
    COOL_BUSY,
    COOL_MOST,
    MEASURED_FOR,
    MEASURED_MOST,
    PARKED,
    STRIKES,
    TRIAL,
    Cooling,
    Health,
)

WAN = "wan2.7-image"
# Any moment; the clock begins anywhere.
T = 5000.0


def answer(kind: type[ProviderError], status: int | None = None, **more: Any) -> ProviderError:
    return kind("halide", "as it says", Charge.NO, status=status, **more)


def call(kind: type[CallFailed]) -> CallFailed:
    return kind("halide", "the line broke", Charge.NO)


def uncertain(cause: BaseException | None) -> SubmissionUncertain:
    """As the flow raises it: from what made it so."""
    error = SubmissionUncertain("halide", "nobody knows", Charge.MAYBE)
    error.__cause__ = cause
    return error


def unavailable(**more: Any) -> ProviderError:
    return answer(ProviderUnavailable, 503, **more)


def generation_failed() -> ProviderError:
    return answer(GenerationFailed, 200, code="Broken", final=True)


def own_gate() -> RateLimited:
    """What our own rates raise before anything is sent."""
    return RateLimited("halide", "too many at once; nothing was sent", Charge.NO)


def cooled(*errors: CallFailed, now: float = T) -> tuple[Health, list[float]]:
    """Each fails its trial, at once after the cool-down before; and how long each was."""
    health, seconds = Health(), []
    for error in errors:
        assert health.admit("halide", now) is None
        cooling = health.failed("halide", error, now)
        seconds.append(cooling.seconds if cooling else 0.0)
        now += seconds[-1]
    return health, seconds


def shut_for(health: Health, now: float) -> float | None:
    """Seconds that it is not asked from *now* on; None if it is."""
    cooling = health.cooling("halide", now)
    return cooling.seconds if cooling else None


# Cooling down


@pytest.mark.parametrize(
    "error",
    [
        call(TransportFailed),
        unavailable(),
        uncertain(None),
        uncertain(call(TransportFailed)),
        uncertain(unavailable()),
    ],
    ids=str,
)
def test_a_provider_that_is_not_there_cools_down(error: CallFailed) -> None:
    """Each further call would only wait for the same failure."""
    health = Health()

    assert Cooling(COOL, error.message) == health.failed("halide", error, T)

    assert Cooling(COOL, error.message) == health.cooling("halide", T)
    assert Cooling(COOL - 29.0, error.message) == health.admit("halide", T + 29.0)
    assert health.cooling("halide", T + COOL) is None


def test_accounts_cool_down_one_by_one() -> None:
    """Also two accounts of one provider."""
    health = Health()

    health.failed("east", unavailable(), T)

    assert health.cooling("west", T) is None
    assert health.admit("west", T) is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (answer(RateLimited, 429, retry_after=17.5), 17.5),
        (answer(RateLimited, 429, retry_after=1.0), COOL_BUSY),
        (answer(RateLimited, 429), COOL_BUSY),
        (answer(RateLimited, None, code="Throttled"), COOL_BUSY),
        (unavailable(retry_after=90.0), 90.0),
        (unavailable(retry_after=3.0), COOL),
        (unavailable(retry_after=86400.0), COOL_MOST),
        (answer(RateLimited, 429, retry_after=86400.0), COOL_MOST),
        (uncertain(unavailable(retry_after=90.0)), 90.0),
    ],
)
def test_a_provider_is_left_alone_as_long_as_it_asks(error: CallFailed, seconds: float) -> None:
    """Never longer than ten minutes: somebody's slip must not shut an account for a day."""
    _, found = cooled(error)

    assert [seconds] == found


def test_each_further_cool_down_is_twice_as_long() -> None:
    """Up to ten minutes."""
    _, seconds = cooled(*[unavailable()] * 7)

    assert [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0] == seconds


def test_an_answer_begins_the_count_anew() -> None:
    """What was over an hour ago is no reason to wait for ten minutes."""
    health, _ = cooled(*[unavailable()] * 4)

    health.up("halide")

    assert health.cooling("halide", T) is None
    assert Cooling(COOL, "as it says") == health.failed("halide", unavailable(), T)


def test_an_empty_account_is_parked() -> None:
    """Topping up takes a person; asking sooner only costs time."""
    health = Health()

    parked = health.failed("halide", answer(CreditExhausted, 402), T)

    assert Cooling(PARKED, "as it says", parked=True) == parked == health.cooling("halide", T)
    assert "not asked: parked for 600 s, after: as it says" == str(parked)
    assert health.admit("halide", T + PARKED) is None


def test_a_cool_down_says_how_long_and_why() -> None:
    """It stands in the trace of a route."""
    health, _ = cooled(unavailable())

    assert "not asked: cooling down for 12 s, after: as it says" == str(
        health.cooling("halide", T + 18.0)
    )
    health.admit("halide", T + COOL)
    assert "not asked: cooling down and another call is trying it, after: as it says" == str(
        health.cooling("halide", T + COOL)
    )


def test_our_own_rates_cool_nobody_down() -> None:
    """Nothing was sent, so nothing is known of the provider."""
    health = Health()

    assert health.failed("halide", own_gate(), T) is None

    assert health.admit("halide", T) is None
    assert health.admit("halide", T) is None


@pytest.mark.parametrize(
    "error",
    [
        answer(ContentRefused, 400),
        answer(ContentRefused, 200, final=True),
        answer(AuthenticationFailed, 401),
        answer(RequestRejected, 400),
        call(DeadlineExceeded),
        call(JobCancelled),
        DownloadFailed("halide", "the link has ended", Charge.YES),
        uncertain(answer(RequestRejected, 400)),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_another_provider_could_not_help_with_cools_nobody_down(error: CallFailed) -> None:
    """The prompt, the key or the caller's deadline ended it, however often."""
    health = Health()

    for _ in range(10):
        assert health.failed("halide", error, T) is None

    assert health.cooling("halide", T) is None


# Strikes


@pytest.mark.parametrize(
    "error",
    [
        generation_failed(),
        answer(TaskLost, 404, final=True),
        answer(MalformedResponse, 200),
        answer(ProviderUnavailable, 200, code="Down", final=True),
    ],
    ids=lambda e: type(e).__name__,
)
def test_three_failed_generations_in_a_row_are_no_accident(error: CallFailed) -> None:
    """One may be the prompt's doing, and two."""
    health = Health()

    assert [None, None] == [health.failed("halide", error, T) for _ in range(STRIKES - 1)]
    assert health.admit("halide", T) is None

    assert Cooling(COOL, "as it says") == health.failed("halide", error, T)


def test_strikes_of_several_kinds_count_together() -> None:
    """Whatever the failure is called, no picture came."""
    _, seconds = cooled(
        generation_failed(), answer(MalformedResponse, 200), answer(TaskLost, 404, final=True)
    )

    assert [0.0, 0.0, COOL] == seconds


def test_a_delivery_in_between_forgets_the_strikes() -> None:
    """In a row is in a row."""
    health = Health()

    for _ in range(5):
        for _ in range(STRIKES - 1):
            assert health.failed("halide", generation_failed(), T) is None
        health.delivered("halide", WAN, T, 9.0)

    assert health.cooling("halide", T) is None


# The trial


def _at_once(work: Callable[[], Any]) -> list[Any]:
    """What 32 threads get that begin together."""
    barrier = Barrier(32)

    def one(_: int) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(one, range(32)))


def test_exactly_one_call_is_let_through_after_a_cool_down() -> None:
    """The others need not pay for finding out; 20 rounds of 32 threads."""
    for _ in range(20):
        health, _ = cooled(unavailable())

        admitted = _at_once(lambda health=health: health.admit("halide", T + COOL))  # type: ignore[misc]

        assert 1 == admitted.count(None)
        assert 31 == admitted.count(Cooling(0.0, "as it says"))


def test_looking_does_not_take_the_trial() -> None:
    """A decision that is only shown must not shut the account."""
    health, _ = cooled(unavailable())

    for _ in range(3):
        assert health.cooling("halide", T + COOL) is None

    assert health.admit("halide", T + COOL) is None
    assert Cooling(0.0, "as it says") == health.cooling("halide", T + COOL)


def test_a_good_trial_opens_the_account_for_all() -> None:
    """Delivered or only accepted."""
    for report in (Health.up, lambda h, a: h.delivered(a, WAN, T + COOL + 9, 9.0)):
        health, _ = cooled(unavailable())
        health.admit("halide", T + COOL)

        report(health, "halide")

        assert [None] * 32 == _at_once(lambda health=health: health.admit("halide", T + COOL + 9))  # type: ignore[misc]


@pytest.mark.parametrize("error", [answer(ContentRefused, 400), answer(RequestRejected, 400)])
def test_a_provider_that_refuses_a_trial_is_there(error: CallFailed) -> None:
    """Whatever it said, it answered."""
    health, _ = cooled(unavailable())
    health.admit("halide", T + COOL)

    health.failed("halide", error, T + COOL)

    assert [None, None] == [health.admit("halide", T + COOL) for _ in range(2)]


@pytest.mark.parametrize(
    "ended",
    [
        lambda health: health.withdrawn("halide"),
        lambda health: health.failed("halide", call(DeadlineExceeded), T + COOL),
        lambda health: health.failed("halide", own_gate(), T + COOL),
    ],
    ids=["withdrawn", "deadline", "own gate"],
)
def test_a_trial_that_says_nothing_leaves_its_place_to_one_other(
    ended: Callable[[Health], object],
) -> None:
    """It is still not known whether the provider is there again."""
    health, _ = cooled(unavailable())
    health.admit("halide", T + COOL)

    ended(health)

    assert [None, Cooling(0.0, "as it says")] == [
        health.admit("halide", T + COOL) for _ in range(2)
    ]
    assert Cooling(2 * COOL, "as it says") == health.failed("halide", unavailable(), T + COOL)


def test_a_trial_that_is_never_heard_of_leaves_its_place() -> None:
    """A process may lose a call; the account must not be lost with it."""
    health, _ = cooled(unavailable())
    health.admit("halide", T + COOL)

    assert Cooling(0.0, "as it says") == health.admit("halide", T + COOL + TRIAL - 1)
    assert health.admit("halide", T + COOL + TRIAL) is None
    assert Cooling(0.0, "as it says") == health.admit("halide", T + COOL + TRIAL)


def test_a_trial_whose_generation_fails_doubles_the_cool_down_of_strikes() -> None:
    """The fourth in a row: no reason to pay for two more before it cools down again."""
    _, seconds = cooled(*[generation_failed()] * 5)

    assert [0.0, 0.0, COOL, 2 * COOL, 4 * COOL] == seconds


# Calls that were under way


@pytest.mark.parametrize(
    "error", [unavailable(), call(TransportFailed), uncertain(None)], ids=lambda e: type(e).__name__
)
def test_failures_of_the_same_moment_are_one(error: CallFailed) -> None:
    """A thousand calls that were under way tell no more than the first."""
    health = Health()

    reported = [health.failed("halide", error, T + n / 1000) for n in range(1000)]

    assert [Cooling(COOL, error.message)] + [None] * 999 == reported
    assert COOL == shut_for(health, T)
    assert health.admit("halide", T + COOL) is None
    assert Cooling(2 * COOL, error.message) == health.failed("halide", error, T + COOL)


def test_failures_of_32_threads_are_one() -> None:
    """Whoever comes first begins the cool-down."""
    health = Health()

    reported = _at_once(lambda: health.failed("halide", unavailable(), T))

    assert 31 == reported.count(None)
    assert COOL == shut_for(health, T)


def test_a_burst_of_failed_generations_is_one_cool_down() -> None:
    """Strikes of calls that were under way do not begin another."""
    health = Health()

    reported = [health.failed("halide", generation_failed(), T) for _ in range(32)]

    assert [None, None, Cooling(COOL, "as it says")] + [None] * 29 == reported
    assert COOL == shut_for(health, T)


def test_the_longest_time_that_was_asked_for_counts() -> None:
    """Also if the second of two calls is the one that was told."""
    health = Health()
    health.failed("halide", unavailable(), T)

    health.failed("halide", unavailable(retry_after=100.0), T + 1)
    health.failed("halide", unavailable(retry_after=2.0), T + 2)

    assert 99.0 == shut_for(health, T + 2)


@pytest.mark.parametrize(
    "error",
    [answer(RateLimited, 429, retry_after=60.0), answer(CreditExhausted, 402)],
    ids=lambda e: type(e).__name__,
)
def test_a_picture_that_was_bought_before_does_not_lift_a_cool_down(error: CallFailed) -> None:
    """It began 20 seconds ago; that new calls are not wanted, or not paid for, is news since."""
    health = Health()
    begun = health.failed("halide", error, T)
    assert begun is not None

    health.delivered("halide", WAN, T + 1, 20.0)

    assert begun.seconds - 1 == shut_for(health, T + 1)


@pytest.mark.parametrize(
    "ended",
    [
        lambda health: health.withdrawn("halide", T - 100),
        lambda health: health.failed("halide", call(DeadlineExceeded), T + COOL + 1, T - 100),
        lambda health: health.up("halide", T - 100),
    ],
    ids=["withdrawn", "deadline", "accepted"],
)
def test_a_call_from_before_does_not_end_the_trial(ended: Callable[[Health], object]) -> None:
    """Two calls are under way; the older one ends: there is still one trial, and no second."""
    health = Health()
    assert health.admit("halide", T - 100) is None  # the older one
    health.failed("halide", unavailable(), T)
    assert health.admit("halide", T + COOL) is None  # the trial

    ended(health)

    assert Cooling(0.0, "as it says") == health.admit("halide", T + COOL + 1)


# Whatever happens

ERRORS = [
    call(TransportFailed),
    unavailable(),
    unavailable(retry_after=86400.0),
    uncertain(None),
    uncertain(answer(RequestRejected, 400)),
    answer(RateLimited, 429),
    answer(RateLimited, 429, retry_after=300.0),
    own_gate(),
    answer(CreditExhausted, 402),
    answer(ContentRefused, 400),
    answer(AuthenticationFailed, 401),
    generation_failed(),
    answer(TaskLost, 404, final=True),
    answer(MalformedResponse, 200),
    call(DeadlineExceeded),
    DownloadFailed("halide", "the link has ended", Charge.YES),
]
SECONDS = st.one_of(
    st.sampled_from([0.0, 0.001, COOL_BUSY, COOL, 2 * COOL, TRIAL, COOL_MOST, PARKED, 3600.0]),
    st.floats(0, 5000),
)


class Calls(RuleBasedStateMachine):
    """Calls of many threads, in any order, on a clock that jumps.

    Attributes:
        trial: Until when the one trial is alone; None while there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.health, self.now = Health(), 10_000.0
        self.trial: float | None = None
        self.tried = 0.0

    @rule()
    def begins(self) -> None:
        if self.health.admit("halide", self.now) is not None:
            return
        if self.health.cooling("halide", self.now) is None:
            self.trial = None  # it is open for all
            return
        assert self.trial is None or self.now >= self.trial, "two trials at once"
        self.trial, self.tried = self.now + TRIAL, self.now

    @rule()
    def is_withdrawn(self) -> None:
        self.health.withdrawn("halide")
        self.trial = None

    @rule(error=st.sampled_from(ERRORS))
    def fails(self, error: CallFailed) -> None:
        self.health.failed("halide", error, self.now)
        self.trial = None

    @rule(seconds=st.floats(0, 600))
    def delivers(self, seconds: float) -> None:
        self.health.delivered("halide", WAN, self.now, seconds)
        if self.now - seconds >= self.tried:
            self.trial = None  # else it began before the trial, and says nothing of it

    @rule()
    def is_accepted(self) -> None:
        self.health.up("halide")
        self.trial = None

    @rule(seconds=SECONDS)
    def passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.trial is None)
    @rule(seconds=SECONDS)
    def is_set_back(self, seconds: float) -> None:
        self.now -= seconds

    @invariant()
    def opens_in_time(self) -> None:
        cooling = self.health.cooling("halide", self.now)

        assert cooling is None or cooling.seconds <= max(COOL_MOST, PARKED)
        assert cooling is None or cooling.seconds > 0 or self.trial is not None
        # Without any further report: a trial that is never heard of leaves its place, too.
        last = self.now + max(COOL_MOST, PARKED, TRIAL)
        assert self.health.cooling("halide", last) is None

    @invariant()
    def measures_what_there_was(self) -> None:
        for seconds in self.health.medians(WAN, self.now).values():
            assert 0 <= seconds <= 600


Calls.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
test_no_account_stays_shut_and_no_two_are_tried_at_once = Calls.TestCase


def test_a_clock_that_is_set_back_does_not_lengthen_a_cool_down() -> None:
    """A cool-down of 30 seconds takes at most 30 from any moment on."""
    health, _ = cooled(unavailable())

    assert COOL == shut_for(health, T - 4000)
    assert health.admit("halide", T - 4000 + COOL) is None
    assert shut_for(health, T - 8000) in (None, COOL)
    assert health.admit("halide", T - 8000 + COOL) is None


# How long they take


def test_the_median_is_of_what_was_measured() -> None:
    """By account and model; who was not measured is not there."""
    health = Health()
    for seconds in (30.0, 8.0, 9.0):
        health.delivered("east", WAN, T, seconds)
    health.delivered("west", WAN, T, 4.0)
    health.delivered("west", WAN, T, 6.0)
    health.delivered("north", "wan2.7-image-pro", T, 1.0)

    assert {"east": 9.0, "west": 5.0} == health.medians(WAN, T)
    assert {"north": 1.0} == health.medians("wan2.7-image-pro", T)
    assert {} == health.medians("another", T)


def test_the_median_is_a_running_one() -> None:
    """A provider that has become slow is slow, however long it was fast."""
    health = Health()
    for _ in range(1000):
        health.delivered("halide", WAN, T, 2.0)
    for _ in range(MEASURED_MOST // 2 + 1):
        health.delivered("halide", WAN, T, 60.0)

    assert {"halide": 60.0} == health.medians(WAN, T)


def test_latencies_are_forgotten_after_an_hour() -> None:
    """Whoever was slow once gets another chance."""
    health = Health()
    health.delivered("halide", WAN, T, 60.0)
    health.delivered("halide", WAN, T + 1800, 4.0)

    assert {"halide": 32.0} == health.medians(WAN, T + MEASURED_FOR)
    assert {"halide": 4.0} == health.medians(WAN, T + MEASURED_FOR + 1)
    assert {} == health.medians(WAN, T + 1800 + MEASURED_FOR + 1)


def test_failures_are_not_measured() -> None:
    """A refusal is fast; that makes nobody the fastest."""
    health = Health()

    health.failed("halide", generation_failed(), T)
    health.failed("halide", answer(ContentRefused, 400), T)
    health.up("halide")

    assert {} == health.medians(WAN, T)
