"""Routes played by hand: who is asked after what, what is held, and what the trace says."""

from __future__ import annotations

import asyncio
import logging
import pickle
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from attrs import evolve

from example_provider import NOON, Halide, reply
from routed_calls import (
    ASH,
    ELM,
    KEY,
    KITE,
    OAK,
    ExplicitHalide,
    PlayedCall,
    RoutedCalls,
    accepted,
    account,
    broken,
    done,
    failed,
    refused,
)
from wanbridge.adapters.offers import Offer, RateLimits
from wanbridge.adapters.steps import Cancelled, Exchange, Resend, TooLate
from wanbridge.engine.context import Timeouts
from wanbridge.engine.driver import Driver
from wanbridge.engine.effects import Effect, Send, Sleep
from wanbridge.engine.events import Asking, Submitting
from wanbridge.errors import (
    AllProvidersFailed,
    AuthenticationFailed,
    BudgetExceeded,
    CallFailed,
    Charge,
    ConfigurationError,
    ContentRefused,
    CreditExhausted,
    DeadlineExceeded,
    GenerationFailed,
    JobCancelled,
    MissingCredentials,
    ProviderUnavailable,
    RequestRejected,
    SubmissionUncertain,
    TaskLost,
    UnsupportedFeature,
    WanbridgeError,
)
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.money.budgets import Budget
from wanbridge.money.spend_guard import Unpriced
from wanbridge.routing.failover import decide, failover
from wanbridge.routing.purchase import (
    Generate,
    Submit,
    buy_from_account,
    cancel_job,
    reconcile_receipt,
    wait_for_job,
)
from wanbridge.routing.route import Candidate, Route
from wanbridge.wire import HttpRequest, json_request

FOUND = reply({"status": "found", "task_id": "t-found"})
ABSENT = reply({"status": "absent"})
WHO_KNOWS = reply({"status": "who knows"})
NO_CREDIT = refused("NoCredit", 402)
EDGE = reply(b"<html>blocked</html>", 403)
DOLLARS = Money("1.00", "USD")
PAY_AGAIN = Route(on_uncertain="pay_again")
# So many polls that do not know a task are no delay any more.
LOST = 8


def running(task: str) -> object:
    return reply({"task_id": task, "status": "running"})


def delivered(task: str) -> list[object]:
    return [accepted(task), done(task)]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """Cool-downs are warned of in the log; these tests make many."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# -- who is asked after what ---------------------------------------------------------------


def test_the_first_account_that_delivers_is_the_only_one_asked() -> None:
    """The ordinary case costs nothing more than without a route."""
    routed = RoutedCalls({"ash": "0.02"})

    played = routed.ask(ASH, ELM, replies=[accepted("t-1"), done("t-1")])

    assert ["ash"] == played.posts
    assert [("ash", "delivered")] == played.outcomes
    (attempt,) = played.attempts
    assert (Charge.YES, Money("0.02", "USD"), 2.0, "1 of 2, as given") == (
        attempt.charge,
        attempt.cost,
        attempt.seconds,
        attempt.detail,
    )
    assert ["Asking", "Submitting", "Accepted", "Polled"] == [
        type(event).__name__ for event in routed.runner.events
    ]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(NO_CREDIT, "CreditExhausted", id="no credit"),
        pytest.param(refused("Busy", 429, retry_after="60"), "RateLimited", id="full"),
        pytest.param(failed(), "GenerationFailed", id="failed in the submit's reply"),
    ],
)
def test_a_failure_that_cost_nothing_goes_on_to_the_next(answer: object, outcome: str) -> None:
    """Surely free, and another provider can help."""
    played = RoutedCalls().ask(ASH, ELM, replies=[answer, accepted("t-2"), done("t-2")])

    assert ["ash", "elm"] == played.posts
    assert [("ash", outcome), ("elm", "delivered")] == played.outcomes
    first = played.attempts[0]
    assert (Charge.NO, None, None) == (first.charge, first.job, first.receipt)
    assert first.detail.endswith("; nothing was charged, so elm was asked")


def test_a_job_that_failed_free_of_charge_goes_on_to_the_next() -> None:
    """Accepted and failed is as good as refused, where the provider charges nothing for it."""
    played = RoutedCalls().ask(
        ASH, ELM, replies=[accepted("t-1"), failed(), accepted("t-2"), done("t-2")]
    )

    assert [("ash", "GenerationFailed"), ("elm", "delivered")] == played.outcomes
    assert "t-1" == getattr(played.attempts[0].job, "id", None)
    assert 2.0 == played.attempts[0].seconds


def test_an_edge_that_blocks_is_tried_again_and_then_left() -> None:
    """For as long as a submit may wait while another account could be asked."""
    played = RoutedCalls().ask(ASH, ELM, replies=[EDGE, EDGE, accepted("t-2"), done("t-2")])

    assert ["ash", "ash", "elm"] == played.posts
    assert [1.0, 2.0] == played.sleeps
    assert [("ash", "ProviderUnavailable"), ("elm", "delivered")] == played.outcomes


def test_a_line_that_never_stood_is_left_at_once() -> None:
    """With somebody else at hand; the only one is tried again."""
    no = broken("ash", Charge.NO)

    played = RoutedCalls().ask(ASH, ELM, replies=[no, *delivered("t-2")])
    only = RoutedCalls().ask(ASH, replies=[no, *delivered("t-1")])

    assert (["ash", "elm"], [2.0]) == (played.posts, played.sleeps)
    assert [("ash", "TransportFailed"), ("elm", "delivered")] == played.outcomes
    assert (["ash", "ash"], [1.0, 2.0]) == (only.posts, only.sleeps)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused("Moderated"), ContentRefused),
        (refused("NoKey", 401), AuthenticationFailed),
        (refused("BadSize"), RequestRejected),
        (failed("Moderated"), ContentRefused),
    ],
)
def test_what_no_other_provider_can_help_with_stops(
    answer: object, error: type[CallFailed]
) -> None:
    """Refused content is not carried from door to door; the error is the provider's own."""
    played = RoutedCalls().ask(ASH, ELM, replies=[answer])

    assert ["ash"] == played.posts
    assert error is type(played.error)
    assert [("ash", error.__name__)] == played.outcomes
    assert played.attempts[0].detail.endswith("; another provider would not help")


def test_content_refused_after_acceptance_stops_too() -> None:
    """Free of charge, but still refused."""
    played = RoutedCalls().ask(ASH, ELM, replies=[accepted("t-1"), failed("Moderated")])

    assert isinstance(played.error, ContentRefused)
    assert ["ash"] == played.posts


class Revocable(Halide):
    """Halide, whose tasks can be cancelled by somebody else."""

    error_codes = {**Halide.error_codes, "Cancelled": JobCancelled}  # type: ignore[dict-item]  # noqa: RUF012

    def error(self, cls: Any, *args: Any, **named: Any) -> Any:
        made = Halide.error(self, GenerationFailed, *args, **named)
        if cls is not JobCancelled:
            return made
        return JobCancelled(made.provider, made.message, made.charge, named.get("job"))


def test_a_cancelled_job_stops() -> None:
    """Whoever cancelled it does not want it from somebody else."""
    ash = account("ash", Revocable)

    played = RoutedCalls().ask(ash, ELM, replies=[accepted("t-1"), failed("Cancelled")])

    assert isinstance(played.error, JobCancelled)
    assert [("ash", "JobCancelled")] == played.outcomes
    assert played.attempts[0].detail.endswith("; it was cancelled")


def test_a_stop_later_on_carries_every_attempt() -> None:
    """The error itself is raised, with the whole trace and not only its own end."""
    played = RoutedCalls().ask(ASH, ELM, OAK, replies=[NO_CREDIT, refused("Moderated")])

    assert isinstance(played.error, ContentRefused)
    assert [("ash", "CreditExhausted"), ("elm", "ContentRefused")] == played.outcomes


def test_when_all_have_failed_each_one_says_why() -> None:
    """One exception for each attempt, in order, each with its own attempt."""
    played = RoutedCalls().ask(ASH, ELM, replies=[NO_CREDIT, accepted("t-2"), failed()])

    error = played.error
    assert isinstance(error, AllProvidersFailed)
    assert [CreditExhausted, GenerationFailed] == [type(e) for e in error.exceptions]
    assert [("ash", "CreditExhausted"), ("elm", "GenerationFailed")] == played.outcomes
    assert "route any (given): 2 tried, 0 not asked" in str(error)
    assert played.attempts[0].detail.endswith("; nothing was charged, so elm was asked")
    assert played.attempts[1].detail.endswith("; nothing was charged, and nobody was left to ask")
    assert [1, 1] == [len(getattr(e, "attempts", ())) for e in error.exceptions]


def test_the_reason_of_each_turn_is_told() -> None:
    """A progress line says who is asked now, and why."""
    routed = RoutedCalls()

    routed.ask(ASH, ELM, replies=[NO_CREDIT, accepted("t-2"), done("t-2")])

    asked = [e for e in routed.runner.events if isinstance(e, Asking)]
    assert [Asking("ash", "1 of 2, as given"), Asking("elm", "2 of 2, as given")] == asked


class Picky(Halide):
    """Halide, which sees only while writing that it cannot say a request."""

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        raise UnsupportedFeature(self.account, "seed", "odd ones only")


def test_what_only_the_adapter_can_see_skips_the_account() -> None:
    """Nothing was sent there; the next one is asked."""
    routed = RoutedCalls(ledger=MemoryLedger())

    played = routed.ask(account("ash", Picky), ELM, replies=[accepted("t-2"), done("t-2")])

    assert ["elm"] == played.posts
    assert [("ash", "UnsupportedFeature"), ("elm", "delivered")] == played.outcomes
    assert "ash: seed: odd ones only; nothing was sent, so elm was asked" == (
        played.attempts[0].detail
    )
    assert [("elm", "delivered")] == routed.listed()


def test_accounts_that_cannot_be_asked_are_in_the_trace_first() -> None:
    """Nothing dropped in silence: neither a picture nor an account."""
    routed = RoutedCalls()
    no_key = Candidate(
        adapter=ASH, reason="no key", skipped=MissingCredentials("ash: no key is configured")
    )

    played = routed.ask(
        candidates=[no_key, *routed.candidates([ELM])], replies=[accepted("t-2"), done("t-2")]
    )

    assert [("ash", "skipped"), ("elm", "delivered")] == played.outcomes
    assert ("no key", Charge.NO, 0.0) == (
        played.attempts[0].detail,
        played.attempts[0].charge,
        played.attempts[0].seconds,
    )


def test_nobody_to_ask_is_no_empty_error() -> None:
    """All were skipped: the group holds each one's reason."""
    skipped = [
        Candidate(adapter=a, reason="no key", skipped=MissingCredentials(f"{a.account}: no key"))
        for a in (ASH, ELM)
    ]

    played = RoutedCalls().ask(candidates=skipped, replies=[])

    assert isinstance(played.error, AllProvidersFailed)
    assert "0 tried, 2 not asked" in str(played.error)
    assert [("ash", "skipped"), ("elm", "skipped")] == played.outcomes


def test_a_submit_gives_the_job_of_whoever_accepts() -> None:
    """As `generate`, up to the job."""
    routed = RoutedCalls(ledger=MemoryLedger())

    played: PlayedCall[Job] = routed.play(
        routed.flow(ASH, ELM, operation=Submit()), NO_CREDIT, accepted("t-2")
    )

    assert played.result is not None
    assert ("elm", "t-2", KEY) == (played.result.account, played.result.id, played.result.key)
    (hold,) = routed.ledger.open()
    assert ("elm", played.result) == (hold.account, hold.job)


# -- what may have been bought -------------------------------------------------------------


def test_an_unknown_outcome_stops_with_the_receipt() -> None:
    """Paid once: nobody else is asked while this may be bought."""
    routed = RoutedCalls({"ash": "0.02"}, ledger=MemoryLedger())

    played = routed.ask(ASH, ELM, replies=[broken("ash"), WHO_KNOWS])

    assert ["ash"] == played.posts
    error = played.error
    assert isinstance(error, SubmissionUncertain)
    assert error.receipt is not None
    (attempt,) = played.attempts
    assert (Charge.MAYBE, error.receipt, None) == (attempt.charge, attempt.receipt, attempt.job)
    assert "looked up: Halide cannot say" in attempt.detail
    assert attempt.detail.endswith("; it may have been charged, and the route does not pay again")
    (hold,) = routed.ledger.open()
    assert ("ash", error.receipt) == (hold.account, hold.receipt)


@pytest.mark.parametrize(
    ("polls", "deadline", "error"),
    [
        pytest.param([reply({"status": "unknown"})] * LOST, 600.0, TaskLost, id="lost"),
        pytest.param([running("t-1")] * 3, 8.0, DeadlineExceeded, id="late"),
        pytest.param([refused("NoKey", 401)], 600.0, AuthenticationFailed, id="key"),
    ],
)
def test_an_accepted_job_stops_with_the_job(
    polls: list[object], deadline: float, error: type[CallFailed]
) -> None:
    """It may still come: the error and the attempt carry what goes on with it."""
    routed = RoutedCalls(ledger=MemoryLedger(), timeouts=Timeouts(deadline=deadline))

    played = routed.ask(ASH, ELM, replies=[accepted("t-1"), *polls])

    assert ["ash"] == played.posts
    assert error is type(played.error)
    (attempt,) = played.attempts
    assert ("t-1", None, Charge.MAYBE) == (
        getattr(attempt.job, "id", None),
        attempt.receipt,
        attempt.charge,
    )
    assert attempt.job == getattr(played.error, "job", None)
    assert ["t-1"] == [getattr(hold.job, "id", None) for hold in routed.ledger.open()]


def test_pictures_promised_at_once_and_not_there_leave_a_receipt() -> None:
    """It may be charged, and there is no job: then the receipt is what is left of it."""
    played = RoutedCalls().ask(ASH, ELM, replies=[reply({"status": "done", "urls": []})])

    assert isinstance(played.error, GenerationFailed)
    assert Charge.MAYBE == played.error.charge
    assert played.error.receipt is not None
    assert played.error.receipt == played.attempts[0].receipt


def test_a_job_that_a_look_up_finds_is_waited_for() -> None:
    """One submit in all, and its picture is delivered."""
    routed = RoutedCalls({"ash": "0.02"}, ledger=MemoryLedger())

    played = routed.ask(
        ASH, ELM, replies=[broken("ash"), FOUND, running("t-found"), done("t-found")]
    )

    assert ["ash"] == played.posts
    assert played.result is not None
    assert "t-found" == played.result.job_id
    assert [("ash", "delivered")] == played.outcomes
    assert 2.0 == played.attempts[0].seconds
    assert [("ash", "delivered")] == routed.listed()


def test_a_job_that_a_look_up_finds_is_held_with_its_job() -> None:
    """Should the process die while it waits, the next one knows what for."""
    routed = RoutedCalls(ledger=MemoryLedger())
    seen: list[object] = []

    def poll(effect: Effect) -> object:
        seen.extend(getattr(hold.job, "id", None) for hold in routed.ledger.open())
        return done("t-found")

    routed.ask(ASH, replies=[broken("ash"), FOUND, poll])

    assert ["t-found"] == seen


def test_a_job_that_is_found_and_failed_free_of_charge_goes_on() -> None:
    """The look-up settled it: now it is an ordinary failure."""
    played = RoutedCalls().ask(
        ASH, ELM, replies=[broken("ash"), FOUND, failed(), accepted("t-2"), done("t-2")]
    )

    assert [("ash", "GenerationFailed"), ("elm", "delivered")] == played.outcomes


def test_a_submit_that_surely_was_not_accepted_goes_on() -> None:
    """Two reads say that there is no such task; the money is free for the next one."""
    route = Route(budget=Money("0.02", "USD"))
    routed = RoutedCalls({"ash": "0.02", "elm": "0.02"}, ledger=MemoryLedger())

    played = routed.ask(
        ASH,
        ELM,
        route=route,
        replies=[broken("ash"), ABSENT, ABSENT, accepted("t-2"), done("t-2")],
    )

    assert ["ash", "elm"] == played.posts
    assert [("ash", "SubmissionUncertain"), ("elm", "delivered")] == played.outcomes
    first = played.attempts[0]
    assert (Charge.NO, None) == (first.charge, first.receipt)
    assert "looked up: not accepted (Halide has no such key); nothing was charged" in first.detail
    assert Decimal("0.02") == routed.spent(route)


def test_one_read_that_knows_nothing_is_not_enough() -> None:
    """The provider may still be writing it down."""
    played = RoutedCalls().ask(ASH, ELM, replies=[broken("ash"), ABSENT, WHO_KNOWS])

    assert isinstance(played.error, SubmissionUncertain)
    assert ["ash"] == played.posts


def test_a_look_up_that_fails_settles_nothing() -> None:
    """Then the receipt is all there is."""
    played = RoutedCalls().ask(ASH, ELM, replies=[broken("ash"), refused("NoKey", 401)])

    assert isinstance(played.error, SubmissionUncertain)
    assert "looked up: " in str(played.error)
    assert ["ash"] == played.posts


def later(seconds: float) -> object:
    return reply({"status": "later", "seconds": seconds})


def test_a_look_up_that_can_say_more_later_is_waited_for() -> None:
    """Half a minute settles what would else be left to the caller."""
    ash = account("ash", ExplicitHalide)
    routed = RoutedCalls()

    played = routed.ask(
        ash, ELM, replies=[broken("ash"), later(30), ABSENT, ABSENT, accepted("t-2"), done("t-2")]
    )

    assert [30.0, 2.0, 2.0] == played.sleeps
    assert [("ash", "SubmissionUncertain"), ("elm", "delivered")] == played.outcomes


def test_a_look_up_is_not_waited_for_beyond_the_deadline() -> None:
    """Nor more often than once."""
    ash = account("ash", ExplicitHalide)
    beyond = RoutedCalls(timeouts=Timeouts(deadline=20.0))
    once = RoutedCalls()

    late = beyond.ask(ash, ELM, replies=[broken("ash"), later(30)])
    again = once.ask(ash, ELM, replies=[broken("ash"), later(30), later(90)])

    assert ([], ["ash"]) == (late.sleeps, late.posts)
    assert ([30.0], ["ash"]) == (again.sleeps, again.posts)
    assert isinstance(late.error, SubmissionUncertain)
    assert isinstance(again.error, SubmissionUncertain)
    assert late.attempts[0].receipt is not None


def test_who_pays_again_does_not_wait_for_a_look_up() -> None:
    """It is asked once, as that is free; the next provider is quicker than half a minute."""
    ash = account("ash", ExplicitHalide)

    played = RoutedCalls().ask(
        ash, ELM, route=PAY_AGAIN, replies=[broken("ash"), later(30), accepted("t-2"), done("t-2")]
    )

    assert [2.0] == played.sleeps
    assert ["ash", "elm"] == played.posts


def test_a_ledger_that_fails_when_a_job_is_found_loses_nothing() -> None:
    """Accounting after acceptance never costs the pictures."""

    class Full(MemoryLedger):
        def note(self, hold: str, handle: Receipt | Job) -> None:
            if isinstance(handle, Job):
                raise ConfigurationError("ledger: the disk is full")
            super().note(hold, handle)

    routed = RoutedCalls(ledger=Full())

    played = routed.ask(ASH, ELM, replies=[broken("ash"), FOUND, done("t-found")])

    assert played.result is not None
    assert "t-found" == played.result.job_id


# -- paying again --------------------------------------------------------------------------


def test_who_pays_again_is_told_so() -> None:
    """The next one is asked; note and attempt say what may be charged twice, and by whom."""
    routed = RoutedCalls({"ash": "0.02", "elm": "0.03"}, ledger=MemoryLedger())

    played = routed.ask(
        ASH, ELM, route=PAY_AGAIN, replies=[broken("ash"), WHO_KNOWS, accepted("t-2"), done("t-2")]
    )

    assert played.result is not None
    (note,) = [note for note in played.result.notes if note.field == "route"]
    assert note.detail.startswith(
        "paid again: ash may charge 0.02 USD too (nobody knows whether this was accepted"
    )
    first, second = played.attempts
    assert first.receipt is not None
    assert (Charge.MAYBE, Charge.YES) == (first.charge, second.charge)
    assert "it may have been charged, and the route pays again, so elm was asked" in first.detail
    assert [("ash", "submitting"), ("elm", "delivered")] == routed.listed()
    assert first.receipt == routed.ledger.open()[0].receipt


def test_who_pays_again_goes_on_after_a_failure_that_was_charged() -> None:
    """A failed generation that the provider charges for is money gone, not a picture."""
    ash = account("ash", ExplicitHalide)
    route = Route(on_uncertain="pay_again", budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.02", "elm": "0.03"})

    played = routed.ask(
        ash,
        ELM,
        route=route,
        replies=[accepted("t-1"), failed("Charged"), accepted("t-2"), done("t-2")],
    )

    assert [("ash", "GenerationFailed"), ("elm", "delivered")] == played.outcomes
    assert Charge.YES == played.attempts[0].charge
    assert "; it was charged, and the route pays again, so elm was asked" in (
        played.attempts[0].detail
    )
    assert played.result is not None
    assert ["route"] == [note.field for note in played.result.notes]
    assert Decimal("0.05") == routed.spent(route)


def test_a_failure_that_was_charged_stops_and_is_spent() -> None:
    """At the quote, as the reply gives no cost."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.02"}, ledger=MemoryLedger())

    played = routed.ask(
        account("ash", ExplicitHalide),
        ELM,
        route=route,
        replies=[accepted("t-1"), failed("Charged")],
    )

    assert isinstance(played.error, GenerationFailed)
    assert Charge.YES == played.attempts[0].charge
    assert played.attempts[0].detail.endswith("; it was charged, and the route does not pay again")
    assert Decimal("0.02") == routed.spent(route)
    assert () == routed.ledger.open()


def test_who_pays_again_still_stops_where_nobody_can_help() -> None:
    """A wrong key while the job runs is no reason to buy it elsewhere."""
    played = RoutedCalls().ask(
        ASH, ELM, route=PAY_AGAIN, replies=[accepted("t-1"), refused("NoKey", 401)]
    )

    assert isinstance(played.error, AuthenticationFailed)
    assert ["ash"] == played.posts
    late = RoutedCalls(timeouts=Timeouts(deadline=1.0)).ask(
        ASH, ELM, route=PAY_AGAIN, replies=[accepted("t-1"), running("t-1")]
    )
    assert isinstance(late.error, DeadlineExceeded)


def test_an_unknown_outcome_is_not_bought_elsewhere_if_nobody_can_help() -> None:
    """An unreadable 400: perhaps accepted, but if not, then for a fault of the request."""
    played = RoutedCalls().ask(
        ASH, ELM, route=PAY_AGAIN, replies=[reply(b"<html>no</html>", 400), WHO_KNOWS]
    )

    assert isinstance(played.error, SubmissionUncertain)
    assert isinstance(played.error.__cause__, RequestRejected)
    assert ["ash"] == played.posts
    assert played.attempts[0].detail.endswith("; another provider would not help")


@pytest.mark.parametrize("charge", Charge)
@pytest.mark.parametrize("pays", [False, True])
def test_what_follows_is_the_same_for_every_error(charge: Charge, pays: bool) -> None:
    """The whole table, for a failure that another provider could help with and for one not."""
    elsewhere = decide(ProviderUnavailable("ash", "down", charge), pays_again=pays)
    nowhere = decide(ContentRefused("ash", "no", charge), pays_again=pays)

    assert (charge is Charge.NO or pays) is elsewhere.goes_on
    assert not nowhere.goes_on


def test_a_submit_alone_never_pays_again() -> None:
    """A job has no place for the receipt of what else may have been bought."""
    routed = RoutedCalls(ledger=MemoryLedger())

    played: PlayedCall[Job] = routed.play(
        routed.flow(ASH, ELM, operation=Submit(), route=PAY_AGAIN), broken("ash"), WHO_KNOWS
    )

    assert isinstance(played.error, SubmissionUncertain)
    assert played.error.receipt is not None
    assert ["ash"] == played.posts


# -- cool-downs ----------------------------------------------------------------------------


def test_an_empty_account_is_parked() -> None:
    """The second call does not knock again."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[NO_CREDIT, *delivered("t-2")])

    played = routed.ask(ASH, ELM, replies=delivered("t-3"))

    assert ["elm"] == played.posts
    assert [("ash", "skipped"), ("elm", "delivered")] == played.outcomes
    assert "not asked: parked for 598 s, after: no reason given" == played.attempts[0].detail


def test_a_parked_account_is_tried_again_one_call_at_a_time() -> None:
    """Half open: after the cool-down one call finds out, the others go elsewhere."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[NO_CREDIT, *delivered("t-2")])
    routed.runner.time.advance(600)
    trial = routed.flow(ASH, ELM)
    effect = next(trial)
    assert isinstance(effect, Send)

    other = routed.ask(ASH, ELM, replies=delivered("t-3"))

    assert "ash" == effect.account
    assert ["elm"] == other.posts
    assert "not asked: parked and another call is trying it" in other.attempts[0].detail
    assert isinstance(trial.send(accepted("t-4")), Sleep)
    assert isinstance(trial.send(None), Send)
    with pytest.raises(StopIteration):
        trial.send(done("t-4"))
    assert ["ash"] == routed.ask(ASH, ELM, replies=delivered("t-5")).posts


def test_a_trial_that_is_interrupted_gives_its_place_back() -> None:
    """An account is not shut for good by a Ctrl-C."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[NO_CREDIT, *delivered("t-2")])
    routed.runner.time.advance(600)
    trial = routed.flow(ASH, ELM)
    next(trial)
    trial.close()

    assert ["ash"] == routed.ask(ASH, ELM, replies=delivered("t-3")).posts


def test_an_account_that_was_down_recovers_by_delivering() -> None:
    """Twice as long each further time, and forgotten with the first picture."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[EDGE, EDGE, *delivered("t")])

    assert ["elm"] == routed.ask(ASH, ELM, replies=delivered("t")).posts
    routed.runner.time.advance(31)
    assert ["ash"] == routed.ask(ASH, ELM, replies=delivered("t")).posts
    assert routed.health.cooling("ash", routed.runner.time.clock()) is None


@pytest.mark.parametrize(
    "replies",
    [pytest.param([NO_CREDIT], id="parked"), pytest.param([broken("ash"), WHO_KNOWS], id="down")],
)
def test_our_own_queue_says_nothing_of_a_provider(replies: list[object]) -> None:
    """Whoever still stood in line when the account failed does not open it again."""
    ash = account("ash", rates=RateLimits(running=1))
    routed = RoutedCalls(timeouts=Timeouts(deadline=10.0))
    runs, fails = routed.flow(ash, key="k-1"), routed.flow(ash, key="k-2")
    waits = routed.flow(ash, key="k-3")
    assert isinstance(next(fails), Send)
    assert isinstance(next(runs), Sleep)
    assert isinstance(next(waits), Sleep)
    for answer in replies[:-1]:
        fails.send(answer)
    with pytest.raises(WanbridgeError):
        fails.send(replies[-1])
    assert isinstance(runs.send(None), Send)
    routed.runner.time.advance(12)

    with pytest.raises(AllProvidersFailed, match="1 tried"):
        waits.send(None)

    assert routed.health.cooling("ash", routed.runner.time.clock()) is not None
    runs.close()


def test_where_all_cool_down_the_first_to_recover_is_asked() -> None:
    """Rather that one than nobody; and only that one."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, OAK, replies=[NO_CREDIT, EDGE, EDGE, NO_CREDIT])

    played = routed.ask(ASH, ELM, OAK, replies=delivered("t"))

    assert ["elm"] == played.posts
    assert [
        ("ash", "skipped"),
        ("elm", "skipped"),
        ("oak", "skipped"),
        ("elm", "delivered"),
    ] == played.outcomes


def test_the_last_resort_is_one_account_only() -> None:
    """Its failure ends the call; the others are left alone."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[NO_CREDIT, NO_CREDIT])
    routed.runner.time.advance(10)

    played = routed.ask(ASH, ELM, replies=[NO_CREDIT])

    assert ["ash"] == played.posts
    assert isinstance(played.error, AllProvidersFailed)
    assert "1 tried, 2 not asked" in str(played.error)
    kinds = [CreditExhausted, CreditExhausted, CreditExhausted]
    assert kinds == [type(e) for e in played.error.exceptions]


def test_who_cools_down_is_no_last_resort_after_a_failure() -> None:
    """Somebody else was asked, so nobody who is down is besieged."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[NO_CREDIT, *delivered("t")])

    played = routed.ask(ASH, ELM, replies=[NO_CREDIT])

    assert ["elm"] == played.posts
    assert [("ash", "skipped"), ("elm", "CreditExhausted")] == played.outcomes


def test_what_is_delivered_is_measured() -> None:
    """From the turn to the pictures; a failure is no measure."""
    routed = RoutedCalls()

    routed.ask(ASH, ELM, replies=[NO_CREDIT, accepted("t"), running("t"), done("t")])

    assert {"elm": 5.0} == routed.health.medians(KITE.model, routed.runner.time.clock())


def test_an_account_named_by_the_caller_is_asked_cooling_or_not() -> None:
    """Who names one account means it."""
    routed = RoutedCalls()
    routed.ask(ASH, ELM, replies=[NO_CREDIT, *delivered("t")])

    flow = buy_from_account(
        Generate(),
        ASH,
        KITE,
        key=KEY,
        context=evolve(routed.runner.context, handles=Handles()),
        shared=routed.shared,
    )

    assert ["ash"] == routed.play(flow, *delivered("t")).posts


# -- how long ------------------------------------------------------------------------------


def test_the_deadline_is_for_all_attempts_together() -> None:
    """Who gave 20 seconds gets an answer in 20 seconds, however many accounts there are."""
    routed = RoutedCalls(timeouts=Timeouts(deadline=20.0))

    def slowly(effect: Effect) -> object:
        routed.runner.time.advance(15)
        return NO_CREDIT

    played = routed.ask(ASH, ELM, replies=[slowly, accepted("t-2"), *[running("t-2")] * 2])

    assert isinstance(played.error, DeadlineExceeded)
    assert 5.0 == sum(played.sleeps)
    assert [("ash", "CreditExhausted"), ("elm", "DeadlineExceeded")] == played.outcomes
    assert "t-2" == getattr(played.attempts[1].job, "id", None)


def test_nobody_is_asked_after_the_deadline() -> None:
    """And it is said so."""
    routed = RoutedCalls(timeouts=Timeouts(deadline=20.0))

    def slowly(effect: Effect) -> object:
        routed.runner.time.advance(25)
        return NO_CREDIT

    played = routed.ask(ASH, ELM, replies=[slowly])

    assert isinstance(played.error, AllProvidersFailed)
    assert [("ash", "CreditExhausted"), ("elm", "skipped")] == played.outcomes
    assert "not asked: the deadline has passed" == played.attempts[1].detail


@pytest.mark.parametrize(
    ("asked", "posts", "sleeps"),
    [("5", ["ash", "elm"], [2.0]), ("1", ["ash", "ash"], [1.0, 2.0])],
)
def test_a_full_provider_is_waited_for_a_moment_only(
    asked: str, posts: list[str], sleeps: list[float]
) -> None:
    """With another one at hand: up to two seconds."""
    busy = refused("Busy", 429, retry_after=asked)

    played = RoutedCalls().ask(ASH, ELM, replies=[busy, *delivered("t")])

    assert (posts, sleeps) == (played.posts, played.sleeps)


def test_the_only_provider_is_waited_for() -> None:
    """With nobody else at hand, or with all others cooling down."""
    busy = refused("Busy", 429, retry_after="5")
    alone_there = RoutedCalls().ask(ASH, replies=[busy, *delivered("t")])
    routed = RoutedCalls()
    routed.ask(ELM, replies=[NO_CREDIT])
    others_down = routed.ask(ASH, ELM, replies=[busy, *delivered("t")])

    assert [5.0, 2.0] == alone_there.sleeps
    assert [5.0, 2.0] == others_down.sleeps
    assert ["ash", "ash"] == others_down.posts


@pytest.mark.parametrize("rates", [RateLimits(running=1), RateLimits(creates=0.2)])
def test_a_queue_at_one_account_is_left_for_the_next(rates: RateLimits) -> None:
    """Two seconds in line, then the next door; the account is not to blame."""
    ash = account("ash", rates=rates)
    routed = RoutedCalls()
    first = routed.flow(ash, ELM)
    next(first)

    played = routed.ask(ash, ELM, replies=delivered("t"))

    assert ["elm"] == played.posts
    assert [("ash", "RateLimited"), ("elm", "delivered")] == played.outcomes
    assert "; nothing was sent; nothing was charged, so elm was asked" in played.attempts[0].detail
    assert sum(played.sleeps[:-1]) == pytest.approx(2.0 if rates.running else 0.0)
    assert routed.health.cooling("ash", routed.runner.time.clock()) is None
    first.close()


def test_a_queue_at_the_only_account_is_waited_for() -> None:
    """There is no other door."""
    ash = account("ash", rates=RateLimits(creates=0.2))
    routed = RoutedCalls()
    routed.ask(ash, replies=delivered("t"))

    played = routed.ask(ash, replies=delivered("t"))

    assert [3.0, 2.0] == played.sleeps


# -- hedging -------------------------------------------------------------------------------

HEDGED = Route(hedge_after=3.0)
RACE = Route(hedge_after=3.0, on_uncertain="pay_again")
# A race that has begun: a submit, a poll after 2 s, another submit after 3 s. Polls come at 5 s,
# first of the first.
STARTED = (accepted("t-1"), running("t-1"), accepted("t-2"))


def sends(played: PlayedCall[Any]) -> list[Send]:
    return [e for e in played.effects if isinstance(e, Send) and e.billable]


def test_a_hedged_submit_has_so_long_to_begin() -> None:
    """The connection must stand by then; the reply may take its time, as it was sent."""
    played = RoutedCalls().ask(ASH, ELM, route=HEDGED, replies=delivered("t"))

    (send,) = sends(played)
    assert (3.0, None) == (send.connect, send.read)


def test_only_who_has_somebody_behind_is_hedged() -> None:
    """The last one may take all the time there is."""
    played = RoutedCalls().ask(ASH, ELM, route=HEDGED, replies=[NO_CREDIT, *delivered("t")])

    assert [3.0, None] == [send.connect for send in sends(played)]


def test_who_could_not_begin_in_time_is_withdrawn() -> None:
    """Nothing was sent, so the next one is asked and nothing is paid twice."""
    routed = RoutedCalls()
    no = broken("ash", Charge.NO)

    def slowly(effect: Effect) -> object:
        routed.runner.time.advance(2.5)
        return no

    played = routed.ask(ASH, ELM, route=HEDGED, replies=[slowly, *delivered("t")])

    assert ["ash", "elm"] == played.posts
    assert [("ash", "TransportFailed"), ("elm", "delivered")] == played.outcomes
    assert 2.5 == played.attempts[0].seconds


@pytest.mark.parametrize(
    ("after", "posts"), [(1.5, ["ash", "elm"]), (3.0, ["ash", "ash"])], ids=["short", "long"]
)
def test_a_wait_that_is_longer_than_the_hedge_is_not_made(after: float, posts: list[str]) -> None:
    """A full provider that asks for 1.6 seconds, under a hedge of less and of more."""
    busy = refused("Busy", 429, retry_after="1.6")

    played = RoutedCalls().ask(
        ASH, ELM, route=Route(hedge_after=after), replies=[busy, *delivered("t")]
    )

    assert posts == played.posts


def test_a_queue_that_is_longer_than_the_hedge_is_left() -> None:
    """Sooner than after the usual two seconds."""
    ash = account("ash", rates=RateLimits(running=1))
    routed = RoutedCalls()
    first = routed.flow(ash, ELM)
    next(first)

    played = routed.ask(ash, ELM, route=Route(hedge_after=0.5), replies=delivered("t"))

    assert ["elm"] == played.posts
    assert 0.5 == pytest.approx(played.attempts[0].seconds)
    first.close()


def test_what_was_sent_is_not_hedged_by_who_pays_once() -> None:
    """A slow reply or a slow job: nobody else is asked."""
    routed = RoutedCalls()

    def slowly(effect: Effect) -> object:
        routed.runner.time.advance(20)
        return accepted("t")

    played = routed.ask(
        ASH, ELM, route=HEDGED, replies=[slowly, running("t"), running("t"), done("t")]
    )

    assert ["ash"] == played.posts
    assert [("ash", "delivered")] == played.outcomes


def test_a_broken_line_is_not_hedged_by_who_pays_once() -> None:
    """It may have been bought, hedge or not."""
    played = RoutedCalls().ask(ASH, ELM, route=HEDGED, replies=[broken("ash"), WHO_KNOWS])

    assert isinstance(played.error, SubmissionUncertain)
    assert ["ash"] == played.posts


class Uploading(Halide):
    """Halide, which takes a file before the submit."""

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        yield json_request("POST", f"{self.base_url}/files", headers=self.bearer(), body={})
        return request


def test_a_slow_upload_is_hedged_without_blame() -> None:
    """Uploads are ours: nothing was sent to buy, and the account is not cooled down for it."""
    routed = RoutedCalls()

    def slowly(effect: Effect) -> object:
        routed.runner.time.advance(9)
        return reply({})

    played = routed.ask(
        account("ash", Uploading), ELM, route=HEDGED, replies=[slowly, *delivered("t")]
    )

    assert ["elm"] == played.posts
    assert "its time to begin has passed; nothing was sent; nothing was charged" in (
        played.attempts[0].detail
    )
    assert routed.health.cooling("ash", routed.runner.time.clock()) is None


def test_a_race_is_won_by_the_faster() -> None:
    """Both are asked and both are paid; the one that was left is in the trace with its job."""
    route = Route(hedge_after=2.5, on_uncertain="pay_again", budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.02", "elm": "0.03"}, ledger=MemoryLedger())

    played = routed.ask(
        ASH,
        ELM,
        route=route,
        replies=[*STARTED, done("t-2")],
    )

    assert ["ash", "elm"] == played.posts
    assert [2.0, 0.5, 2.0] == played.sleeps
    assert 4.5 == played.attempts[0].seconds
    assert played.result is not None
    assert ("elm", "t-2") == (played.result.provider, played.result.job_id)
    assert [("ash", "left"), ("elm", "delivered")] == played.outcomes
    left = played.attempts[0]
    assert (Charge.MAYBE, "another provider was faster") == (left.charge, left.detail)
    assert "t-1" == getattr(left.job, "id", None)
    (note,) = [note for note in played.result.notes if note.field == "route"]
    assert "paid again: ash may charge 0.02 USD too (another provider was faster)" == note.detail
    assert [("ash", "accepted"), ("elm", "delivered")] == routed.listed()
    assert ["t-1", "t-2"] == [getattr(hold.job, "id", None) for hold in routed.ledger.open()]
    assert Decimal("0.05") == routed.spent(route)


def test_a_race_may_be_won_by_the_first() -> None:
    """Then the second is the one that was left."""
    routed = RoutedCalls()

    played = routed.ask(
        ASH,
        ELM,
        route=RACE,
        replies=[*STARTED, done("t-1")],
    )

    assert played.result is not None
    assert "ash" == played.result.provider
    assert [("elm", "left"), ("ash", "delivered")] == played.outcomes
    assert "t-2" == getattr(played.attempts[0].job, "id", None)


def test_a_picture_in_time_starts_no_race() -> None:
    """Hedging costs only where it is used."""
    played = RoutedCalls().ask(ASH, ELM, route=RACE, replies=delivered("t-1"))

    assert ["ash"] == played.posts
    (send,) = sends(played)
    assert (3.0, 3.0) == (send.connect, send.read)


def test_a_submit_that_is_not_answered_in_time_is_raced() -> None:
    """Its outcome is unknown then, which is what paying again is for."""
    routed = RoutedCalls()

    def late(effect: Effect) -> object:
        routed.runner.time.advance(3)
        return broken("ash")

    played = routed.ask(ASH, ELM, route=RACE, replies=[late, WHO_KNOWS, *delivered("t-2")])

    assert ["ash", "elm"] == played.posts
    assert [("ash", "SubmissionUncertain"), ("elm", "delivered")] == played.outcomes
    assert played.attempts[0].receipt is not None


def test_a_failure_in_a_race_leaves_the_other_to_run() -> None:
    """One of two is enough."""
    played = RoutedCalls().ask(
        ASH,
        ELM,
        route=RACE,
        replies=[*STARTED, failed(), done("t-2")],
    )

    assert [("ash", "GenerationFailed"), ("elm", "delivered")] == played.outcomes


def test_a_refusal_in_a_race_does_not_lose_the_other() -> None:
    """What another provider would not help with, it may all the same have done already."""
    played = RoutedCalls().ask(
        ASH,
        ELM,
        OAK,
        route=RACE,
        replies=[
            accepted("t-1"),
            running("t-1"),
            accepted("t-2"),
            failed("Moderated"),
            done("t-2"),
        ],
    )

    assert [("ash", "ContentRefused"), ("elm", "delivered")] == played.outcomes


def test_a_lane_that_stopped_may_be_paid_too() -> None:
    """What ended the first for good did not end the second; both may be charged, and it says so."""
    played = RoutedCalls({"ash": "0.02"}).ask(
        ASH, ELM, route=RACE, replies=[*STARTED, refused("NoKey", 401), done("t-2")]
    )

    assert [("ash", "AuthenticationFailed"), ("elm", "delivered")] == played.outcomes
    assert "t-1" == getattr(played.attempts[0].job, "id", None)
    assert played.result is not None
    (note,) = [note for note in played.result.notes if note.field == "route"]
    assert note.detail.startswith("paid again: ash may charge 0.02 USD too (no reason given; ")


def test_when_both_of_a_race_fail_the_third_is_asked() -> None:
    """The race is an attempt like any other."""
    played = RoutedCalls().ask(
        ASH,
        ELM,
        OAK,
        route=RACE,
        replies=[*STARTED, failed(), failed(), *delivered("t-3")],
    )

    assert ["ash", "elm", "oak"] == played.posts
    assert [a.detail for a in played.attempts[:2]] == [
        "it did not work out; nothing was charged, so oak was asked"
    ] * 2


def test_a_race_is_not_begun_beyond_the_budget() -> None:
    """Both have to fit; else the first goes on alone."""
    route = Route(hedge_after=3.0, on_uncertain="pay_again", budget=Money("0.04", "USD"))
    routed = RoutedCalls({"ash": "0.02", "elm": "0.03"})

    played = routed.ask(
        ASH, ELM, route=route, replies=[accepted("t-1"), running("t-1"), done("t-1")]
    )

    assert ["ash"] == played.posts
    assert [("elm", "skipped"), ("ash", "delivered")] == played.outcomes
    assert Decimal("0.02") == routed.spent(route)


def test_a_ledger_that_fails_at_the_hedge_does_not_lose_the_first() -> None:
    """There is no second one then; the job that runs is paid for."""

    class Locked(MemoryLedger):
        def reserve(self, **named: Any) -> Any:
            if self.open():
                raise ConfigurationError("ledger: locked")
            return super().reserve(**named)

    routed = RoutedCalls(ledger=Locked())

    played = routed.ask(
        ASH, ELM, route=RACE, replies=[accepted("t-1"), running("t-1"), done("t-1")]
    )

    assert played.result is not None
    assert "t-1" == played.result.job_id


def test_an_interrupted_race_says_nothing_untrue() -> None:
    """Nobody was faster; both jobs are in the trace."""
    routed = RoutedCalls(ledger=MemoryLedger())
    ended: PlayedCall[ImageResult] = routed.play(
        routed.flow(ASH, ELM, route=RACE),
        accepted("t-1"),
        running("t-1"),
        accepted("t-2"),
        KeyboardInterrupt(),
    )

    assert isinstance(ended.error, KeyboardInterrupt)
    assert {"t-1", "t-2"} == {getattr(a.job, "id", None) for a in ended.attempts}
    assert not [a for a in ended.attempts if "faster" in a.detail]
    assert 2 == len(routed.ledger.open())


def test_an_interrupted_race_keeps_the_lane_that_had_ended() -> None:
    """What one of two came to is in the trace, too."""
    played = RoutedCalls().ask(
        ASH, ELM, route=RACE, replies=[*STARTED, failed(), KeyboardInterrupt()]
    )

    assert isinstance(played.error, KeyboardInterrupt)
    assert [("ash", "GenerationFailed"), ("elm", "left")] == played.outcomes


# -- money ---------------------------------------------------------------------------------


def test_a_purchase_is_settled_at_its_cost() -> None:
    """Held at the quote while it runs, and what it cost afterwards."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.05"})
    held: list[Decimal] = []

    def submit(effect: Effect) -> object:
        held.append(routed.spent(route))
        routed.prices["ash"] = "0.03"  # what the call turns out to cost
        return accepted("t")

    played = routed.ask(ASH, route=route, replies=[submit, done("t")])

    assert [Decimal("0.05")] == held
    assert Decimal("0.03") == routed.spent(route)
    assert played.attempts[0].cost == Money("0.03", "USD")


def test_an_unknown_cost_is_settled_at_the_quote() -> None:
    """Unknown is not zero."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.05"}, price=lambda *_: None)

    routed.ask(ASH, route=route, replies=delivered("t"))

    assert Decimal("0.05") == routed.spent(route)


def test_a_foreign_price_counts_by_the_rate() -> None:
    """Budgets and prices need not be of one currency."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": Money("0.20", "CNY")})

    routed.ask(ASH, route=route, replies=delivered("t"))

    assert Decimal("0.028") == routed.spent(route)


def test_a_failure_gives_its_money_back() -> None:
    """Before the next one is asked, so that both need not fit."""
    route = Route(budget=Money("0.05", "USD"))
    routed = RoutedCalls({"ash": "0.05", "elm": "0.05"})

    played = routed.ask(ASH, ELM, route=route, replies=[NO_CREDIT, *delivered("t")])

    assert [("ash", "CreditExhausted"), ("elm", "delivered")] == played.outcomes
    assert Decimal("0.05") == routed.spent(route)


def test_an_unknown_outcome_counts_as_spent() -> None:
    """Until it is looked up."""
    route = Route(budget=Money("0.06", "USD"))
    routed = RoutedCalls({"ash": "0.05"}, ledger=MemoryLedger())
    first = routed.ask(ASH, route=route, replies=[broken("ash"), WHO_KNOWS], key="k-1")
    routed.runner.time.advance(100)

    second = routed.ask(ASH, route=route, replies=[], key="k-2")

    assert isinstance(second.error, BudgetExceeded)
    assert isinstance(first.error, SubmissionUncertain)
    assert first.error.receipt is not None
    found = reconcile_receipt(
        ASH, first.error.receipt, context=routed.runner.context, shared=routed.shared
    )
    routed.runner.play(found, ABSENT, ABSENT)
    assert Decimal(0) == routed.spent(route)
    assert () == routed.ledger.open()


def test_a_budget_that_alone_is_in_the_way_is_said_so() -> None:
    """What the cheapest would need, and what is left."""
    route = Route(budget=Money("0.03", "USD"))
    routed = RoutedCalls({"ash": "0.11", "elm": "0.05"})

    played = routed.ask(ASH, ELM, route=route, replies=[])

    error = played.error
    assert isinstance(error, BudgetExceeded)
    assert (Money("0.05", "USD"), Money("0.03", "USD")) == (error.needed, error.left)
    assert [("ash", "skipped"), ("elm", "skipped")] == played.outcomes
    assert "budget: this call may cost 0.11 USD, 0.03 USD is left" == played.attempts[0].detail


def test_a_budget_that_stops_all_who_could_do_it_is_said_so() -> None:
    """Who could not do it anyway does not hide that it is the money."""
    route = Route(budget=Money("0.03", "USD"))
    routed = RoutedCalls({"elm": "0.05"})
    unable = Candidate(
        adapter=ASH, reason="seed: no", skipped=UnsupportedFeature("ash", "seed", "no")
    )

    played = routed.ask(route=route, candidates=[unable, *routed.candidates([ELM])], replies=[])

    assert isinstance(played.error, BudgetExceeded)
    assert [("ash", "skipped"), ("elm", "skipped")] == played.outcomes


@pytest.mark.parametrize("why", ["failed", "cooling", "unpriced"])
def test_a_budget_among_other_reasons_is_one_of_them(why: str) -> None:
    """Then it is not the budget alone."""
    route = Route(budget=Money("0.03", "USD"))
    routed = RoutedCalls({"ash": None if why == "unpriced" else "0.01", "elm": "0.05"})
    if why == "cooling":
        routed.ask(ASH, replies=[NO_CREDIT])
        routed.prices["ash"] = "0.05"

    played = routed.ask(ASH, ELM, route=route, replies=[NO_CREDIT] if why == "failed" else [])

    assert isinstance(played.error, AllProvidersFailed)
    kinds = [type(e) for e in played.error.exceptions]
    assert kinds.count(BudgetExceeded) in (1, 2)
    assert len(set(kinds)) > 1
    assert kinds[0] is (Unpriced if why == "unpriced" else CreditExhausted)


def test_an_unknown_price_is_not_spent_under_a_budget() -> None:
    """Unless the route says what to count."""
    budget = Money("0.10", "USD")
    routed = RoutedCalls({"elm": "0.05"}, ledger=MemoryLedger())
    plain, assuming = (
        Route(budget=budget, name="a"),
        Route(budget=budget, assume_cost=Money("0.07", "USD"), name="b"),
    )

    skipped = routed.ask(ASH, ELM, route=plain, replies=delivered("t"))
    asked = routed.ask(ASH, ELM, route=assuming, replies=delivered("t"))

    assert [("ash", "skipped"), ("elm", "delivered")] == skipped.outcomes
    assert (
        "ash: its price is unknown, and the route has a budget; assume_cost sets what to count"
        == skipped.attempts[0].detail
    )
    assert ["ash"] == asked.posts
    assert Decimal("0.07") == routed.spent(assuming)


def test_a_price_without_a_rate_is_not_spent_under_a_budget() -> None:
    """Known, but not in the budget's money."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": Money("9", "HALIDE-CREDITS"), "elm": "0.05"})

    played = routed.ask(ASH, ELM, route=route, replies=delivered("t"))

    assert "9 HALIDE-CREDITS cannot be converted to USD without a rate" in (
        played.attempts[0].detail
    )
    assert ["elm"] == played.posts


def test_every_budget_of_a_route_has_to_fit() -> None:
    """The hour's is used up, the day's is not; an hour later it goes on."""
    hour, day = Budget(Money("0.05", "USD"), "hour"), Budget(Money("0.12", "USD"), "day")
    route = Route(budget=[hour, day])
    routed = RoutedCalls({"ash": "0.05"})
    outcomes = []
    for replies in (delivered("t"), [], delivered("t"), [], [], []):
        played = routed.ask(ASH, route=route, replies=replies)
        outcomes.append(type(played.error or played.result).__name__)
        routed.runner.time.advance(1800)

    # Noon, half past, one, half past, and then the day's 0.12 has only 0.02 left.
    assert ["ImageResult", "BudgetExceeded"] * 2 + ["BudgetExceeded"] * 2 == outcomes


def test_the_submit_is_in_the_ledger_before_the_first_byte() -> None:
    """A process that dies in the middle leaves the receipt behind."""
    routed = RoutedCalls(ledger=MemoryLedger())
    flow = routed.flow(ASH, ELM)

    effect = next(flow)

    assert isinstance(effect, Send)
    (hold,) = routed.ledger.open()
    assert hold.receipt is not None
    assert (KEY, "ash", NOON) == (hold.receipt.key, hold.account, hold.at)
    flow.close()


def test_a_ledger_that_cannot_take_note_stops_before_the_first_byte() -> None:
    """No purchase that nobody recorded; and no other account either."""

    class Full(MemoryLedger):
        def note(self, hold: str, handle: Receipt | Job) -> None:
            raise ConfigurationError("ledger: the disk is full")

    routed = RoutedCalls(ledger=Full())

    played = routed.ask(ASH, ELM, replies=[])

    assert isinstance(played.error, ConfigurationError)
    assert "the disk is full" in str(played.error)
    assert [] == played.posts
    assert () == routed.ledger.open()


def test_a_ledger_that_cannot_hold_stops_before_the_first_byte() -> None:
    """As above, and the trace is on the error."""

    class Locked(MemoryLedger):
        def reserve(self, *, account: str, **named: Any) -> Any:
            if account == "elm":
                raise ConfigurationError("ledger: locked")
            return super().reserve(account=account, **named)

    played = RoutedCalls(ledger=Locked()).ask(ASH, ELM, replies=[NO_CREDIT])

    assert isinstance(played.error, ConfigurationError)
    assert ["ash"] == played.posts
    assert [("ash", "CreditExhausted")] == played.outcomes


def test_a_ledger_that_cannot_settle_does_not_cost_the_pictures() -> None:
    """More stays held than need be, which is the safe side."""

    class Full(MemoryLedger):
        def settle(self, hold: str, spent: Any, **delivery: Any) -> None:
            raise ConfigurationError("ledger: the disk is full")

    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.05"}, ledger=Full())

    played = routed.ask(ASH, route=route, replies=delivered("t"))

    assert played.result is not None
    assert Decimal("0.05") == routed.spent(route)


def test_a_retry_is_noted_anew() -> None:
    """Look-ups count from when it was last sent, also after the provider was full."""
    routed = RoutedCalls(ledger=MemoryLedger())
    seen: list[object] = []

    def second(effect: Effect) -> object:
        seen.extend(hold.receipt and hold.receipt.last_sent_at for hold in routed.ledger.open())
        return accepted("t")

    busy = refused("Busy", 429, retry_after="7")
    routed.ask(ASH, replies=[busy, second, done("t")])

    assert [NOON + timedelta(seconds=7)] == seen


# -- afterwards ----------------------------------------------------------------------------


def _submitted(routed: RoutedCalls, route: Route) -> Job:
    played: PlayedCall[Job] = routed.play(
        routed.flow(ASH, route=route, operation=Submit()), accepted("t-1")
    )
    assert played.result is not None
    return played.result


def test_waiting_for_a_submitted_job_settles_it() -> None:
    """Held from the submit to the picture, whoever waits for it."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.05"})
    job = _submitted(routed, route)
    assert Decimal("0.05") == routed.spent(route)
    routed.prices["ash"] = "0.04"

    routed.runner.play(
        wait_for_job(ASH, job, context=routed.runner.context, shared=routed.shared), done("t-1")
    )

    assert Decimal("0.04") == routed.spent(route)
    assert () == routed.ledger.open()


def test_two_calls_with_one_key_are_settled_one_by_one() -> None:
    """The caller's key is the caller's business; each purchase has its own hold."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.05"})
    jobs = []
    for task in ("t-1", "t-2"):
        played: PlayedCall[Job] = routed.play(
            routed.flow(ASH, route=route, operation=Submit()), accepted(task)
        )
        assert played.result is not None
        jobs.append(played.result)

    with pytest.raises(GenerationFailed):
        routed.runner.play(
            wait_for_job(ASH, jobs[0], context=routed.runner.context, shared=routed.shared),
            failed(),
        )

    assert Decimal("0.05") == routed.spent(route)
    assert ["t-2"] == [getattr(hold.job, "id", None) for hold in routed.ledger.open()]


def test_waiting_for_a_job_that_fails_gives_the_money_back() -> None:
    """If that is free; else it is spent, and what nobody knows stays held."""
    route = Route(budget=DOLLARS)
    for ended, left in [
        (failed(), "0"),
        (failed("Charged"), "0.05"),
        (reply({"status": "done", "urls": []}), "0.05"),
    ]:
        routed = RoutedCalls({"ash": "0.05"})
        ash = account("ash", ExplicitHalide)
        job = _submitted(routed, route)
        context = evolve(routed.runner.context, handles=Handles())
        with pytest.raises(GenerationFailed):
            routed.runner.play(wait_for_job(ash, job, context=context, shared=routed.shared), ended)

        assert Decimal(left) == routed.spent(route)


class Cancellable(Halide):
    """Halide, where a queued task can be taken back."""

    def cancel(self, job: Job) -> Any:
        url = f"{self.base_url}/tasks/{job.id}"
        answer = yield json_request("DELETE", url, headers=self.bearer())
        charge = answer.json()["charge"]
        return TooLate("it runs") if charge == "late" else Cancelled(Charge(charge))


@pytest.mark.parametrize(
    ("said", "left", "open_holds"),
    [("no", "0", 0), ("yes", "0.05", 0), ("maybe", "0.05", 1), ("late", "0.05", 1)],
)
def test_cancelling_settles_what_it_costs(said: str, left: str, open_holds: int) -> None:
    """Free: given back. Charged: spent. Unknown, or too late: held."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.05"})
    job = _submitted(routed, route)
    ash = account("ash", Cancellable)

    routed.runner.play(
        cancel_job(ash, job, context=routed.runner.context, shared=routed.shared),
        reply({"charge": said}),
    )

    assert Decimal(left) == routed.spent(route)
    assert open_holds == len(routed.ledger.open())


def test_errors_travel_with_their_attempts() -> None:
    """Through a process pool, with job or receipt."""
    routed = RoutedCalls({"ash": "0.05", "elm": "0.05"})
    budget = Route(budget=Money("0.01", "USD"))
    errors = [
        RoutedCalls().ask(ASH, ELM, replies=[NO_CREDIT, NO_CREDIT]).error,
        RoutedCalls().ask(ASH, ELM, replies=[NO_CREDIT, broken("elm"), WHO_KNOWS]).error,
        RoutedCalls().ask(ASH, ELM, replies=[NO_CREDIT, refused("Moderated")]).error,
        RoutedCalls().ask(ASH, ELM, route=budget, replies=[]).error,
        routed.ask(ASH, ELM, route=budget, replies=[]).error,
    ]

    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert error is not None
        assert (type(error), str(error)) == (type(again), str(again))
        assert error.attempts == again.attempts  # type: ignore[attr-defined]
        assert 2 == len(again.attempts)


# -- interruptions -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize("where", ["submit", "poll"])
def test_an_interruption_carries_what_was_tried_before(
    kind: type[BaseException], where: str
) -> None:
    """And what it interrupted; what was sent stays held."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.02", "elm": "0.03"}, ledger=MemoryLedger())
    replies = [NO_CREDIT, *([accepted("t-2")] if where == "poll" else []), kind()]

    played = routed.ask(ASH, ELM, route=route, replies=replies)

    error = cast("Any", played.error)
    assert [kind] == [type(error)]
    assert [("ash", "CreditExhausted")] == played.outcomes
    (hold,) = routed.ledger.open()
    assert "elm" == hold.account
    assert Decimal("0.03") == routed.spent(route)
    if where == "poll":
        assert ("t-2", "t-2") == (error.job.id, getattr(hold.job, "id", None))
    else:
        assert hold.receipt == error.receipt


def test_a_flow_that_is_closed_keeps_what_it_sent_held() -> None:
    """A client that is garbage is no reason to forget a purchase."""
    routed = RoutedCalls(ledger=MemoryLedger())
    flow = routed.flow(ASH, ELM)
    next(flow)
    flow.send(NO_CREDIT)
    flow.close()

    assert ["elm"] == [hold.account for hold in routed.ledger.open()]


def test_an_interruption_before_the_first_byte_is_free() -> None:
    """In the queue for a slot: nothing was sent, nothing stays held."""
    route = Route(budget=DOLLARS)
    ash = account("ash", rates=RateLimits(running=1))
    routed = RoutedCalls({"ash": "0.02"}, ledger=MemoryLedger())
    first = routed.flow(ash, route=route)
    next(first)
    second = routed.flow(ash, route=route, key="k-2")
    assert isinstance(next(second), Sleep)

    with pytest.raises(KeyboardInterrupt):
        second.throw(KeyboardInterrupt())

    assert [KEY] == [hold.key for hold in routed.ledger.open()]
    first.close()


def test_an_interruption_held_back_over_a_refusal_asks_nobody_else() -> None:
    """Nothing was sent to the second: nothing of it is held, and nothing is to be looked up."""
    routed = RoutedCalls(ledger=MemoryLedger())
    context = routed.runner.context
    driver = Driver(routed.flow(ASH, ELM, handles=context.handles), context)
    driver.reply(NO_CREDIT)
    driver.advance()  # the effect is the submit to elm, which nobody carries out
    driver.interrupt(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt) as caught:
        driver.result()

    assert [("ash", "CreditExhausted")] == [(a.provider, a.outcome) for a in caught.value.attempts]  # type: ignore[attr-defined]
    assert not hasattr(caught.value, "receipt")
    assert () == routed.ledger.open()


def test_an_interruption_between_two_effects_carries_the_job() -> None:
    """Not only what a conversation raises itself: Ctrl-C strikes anywhere."""
    routed = RoutedCalls(ledger=MemoryLedger())
    context = routed.runner.context
    driver = Driver(routed.flow(ASH, handles=context.handles), context)
    driver.reply(accepted("t-1"))
    driver.advance()

    with pytest.raises(KeyboardInterrupt) as caught, driver:
        raise KeyboardInterrupt

    assert isinstance(getattr(caught.value, "job", None), Job)
    assert 1 == len(routed.ledger.open())


def test_pictures_that_are_there_are_spent_also_if_interrupted() -> None:
    """The interruption carries the result, so it was bought."""
    route = Route(budget=DOLLARS)
    routed = RoutedCalls({"ash": "0.02"}, ledger=MemoryLedger())
    inline = evolve(KITE, inline=True)
    handles = Handles()
    flow = failover(
        Generate(),
        route,
        routed.candidates([ASH, ELM]),
        inline,
        key=KEY,
        context=evolve(routed.runner.context, handles=handles),
        shared=routed.shared,
    )

    played: PlayedCall[ImageResult] = routed.play(flow, *delivered("t"), KeyboardInterrupt())

    assert isinstance(played.error, KeyboardInterrupt)
    assert handles.result is not None
    assert Decimal("0.02") == routed.spent(route)
    assert [("ash", "delivered")] == routed.listed()
    assert handles.result.images == routed.ledger.open()[0].images


def test_the_same_key_may_be_sent_again_to_its_own_account() -> None:
    """Where the provider makes it one purchase; and nobody else is asked meanwhile."""
    ash = account("ash", resend=Resend.SAME_KEY_IS_SAFE)
    routed = RoutedCalls(ledger=MemoryLedger())

    played = routed.ask(ash, ELM, replies=[broken("ash"), broken("ash"), *delivered("t")])

    assert ["ash"] * 3 == played.posts
    assert 1 == len({send.request.body for send in sends(played)})
    assert [("ash", "delivered")] == played.outcomes
    told = [e.receipt for e in routed.runner.events if isinstance(e, Submitting)]
    assert 3 == len(told)
    assert 1 == len({receipt.first_sent_at for receipt in told})


def test_a_resend_under_a_hedge_is_not_withdrawn() -> None:
    """It was sent before, so it may be bought: the hedge is no way out any more."""
    ash = account("ash", resend=Resend.SAME_KEY_IS_SAFE)
    routed = RoutedCalls()

    def slowly(effect: Effect) -> object:
        routed.runner.time.advance(10)
        return broken("ash")

    played = routed.ask(ash, ELM, route=HEDGED, replies=[slowly, *delivered("t")])

    assert ["ash", "ash"] == played.posts
    assert [3.0, None] == [send.connect for send in sends(played)]


def test_an_interruption_held_back_to_the_end_keeps_what_the_route_left() -> None:
    """The last account refused meanwhile; what the first may charge is still to be found."""
    routed = RoutedCalls()
    again = Route(on_uncertain="pay_again")
    context = routed.runner.context
    driver = Driver(routed.flow(ASH, ELM, route=again, handles=context.handles), context)
    driver.fail(broken())
    driver.advance()  # the look-up
    driver.reply(reply({"status": "unknown"}))
    driver.advance()  # the submit to elm
    driver.reply(NO_CREDIT)
    driver.advance()
    driver.interrupt(KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt) as caught:
        driver.result()

    ash, elm = caught.value.attempts  # type: ignore[attr-defined]
    assert ("ash", KEY) == (ash.provider, ash.receipt.key)
    assert ("elm", "CreditExhausted") == (elm.provider, elm.outcome)
    assert isinstance(caught.value.__cause__, AllProvidersFailed)


def test_a_look_up_ends_with_the_deadline() -> None:
    """It is free, but the caller waits: no read beyond the deadline, and no further one."""
    routed = RoutedCalls(timeouts=Timeouts(deadline=10.0))
    flow = routed.flow(ASH, ELM)
    next(flow)
    look = flow.throw(broken())
    assert isinstance(look, Send)
    assert 10.0 == look.within
    routed.runner.time.advance(10.0)

    with pytest.raises(SubmissionUncertain):
        flow.throw(broken())


def test_one_look_is_not_enough_to_go_on() -> None:
    """That nothing was accepted is believed on two reads; with no time for the second it stops."""
    routed = RoutedCalls(timeouts=Timeouts(deadline=10.0))
    flow = routed.flow(ASH, ELM)
    next(flow)
    flow.throw(broken())
    routed.runner.time.advance(9.0)

    with pytest.raises(SubmissionUncertain, match="no time for a second look"):
        flow.send(ABSENT)


def test_nobody_waits_for_a_key_that_is_safe_beside_another_provider() -> None:
    """By a hedge that pays again: once its time has come, the second is asked instead."""
    safe = account("ash", resend=Resend.SAME_KEY_IS_SAFE)
    routed = RoutedCalls()
    flow = routed.flow(safe, ELM, route=Route(on_uncertain="pay_again", hedge_after=0.5))
    first = next(flow)
    assert isinstance(first, Send)
    assert 0.5 == first.read

    following = flow.throw(broken("ash"))

    assert isinstance(following, Send)
    assert not following.billable
    flow.close()
