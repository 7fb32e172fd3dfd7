"""Submitting, waiting and giving up, played by hand: no sockets, no clock."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, frozen

from example_provider import ACCEPTED, DONE, NOON, RUNNING, Halide, _Options, reply
from flow_runner import FlowRunner
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer, PollInterval, RateLimits
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Exchange, NotAccepted, Op, Pending, Resend, StillUnknown
from wanbridge.engine import conversation as flow
from wanbridge.engine import exchanges, reconciliation
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import REPLY_MOST, Effect, Fetch, Send, Sleep
from wanbridge.engine.events import Accepted, Polled, Retrying, Submitting
from wanbridge.errors import (
    AuthenticationFailed,
    CallFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    MalformedResponse,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    SubmissionUncertain,
    TaskLost,
    TransportFailed,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.wire import HttpRequest, json_request

HALIDE = Halide(api_key="sk-test-1")
SAFE = Halide(api_key="sk-test-1", options=_Options(resend=Resend.SAME_KEY_IS_SAFE))
KITE = ImageRequest("a red kite", seed=7)
# A header, and as many bytes as a picture of that size has at least.
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x08\0\0\0\x04\0\x08\x02\0\0\0" + bytes(2**13)


class Unwell(Halide):
    """Halide with a failure of the server's own among those of a task."""

    error_codes = {**Halide.error_codes, "Down": ProviderUnavailable}  # noqa: RUF012


def lost(charge: Charge = Charge.MAYBE) -> TransportFailed:
    return TransportFailed("halide", "the line broke", charge)


def posts(effects: list[Effect]) -> list[Send]:
    return [e for e in effects if isinstance(e, Send) and e.billable]


def sleeps(effects: list[Effect]) -> list[float]:
    return [round(e.seconds, 3) for e in effects if isinstance(e, Sleep)]


def generate(
    runner: FlowRunner, *replies: object, adapter: Halide = HALIDE
) -> tuple[ImageResult, Any]:
    return runner.play(flow.generate(adapter, KITE, key="k-1", context=runner.context), *replies)


def test_a_generation_is_submitted_once_and_polled_to_its_end() -> None:
    """The ordinary case: one billable message, then polls at the provider's cadence."""
    runner = FlowRunner()

    result, effects = generate(runner, reply(ACCEPTED), reply(RUNNING), reply(DONE))

    assert 1 == len(posts(effects))
    assert [2.0, 3.0] == sleeps(effects)
    assert "https://cdn.halide.example/1.png" == result.images[0].url
    assert ("halide", "t-1", 1, 0) == (
        result.provider,
        result.job_id,
        result.requested,
        result.shortfall,
    )
    assert ["delivered"] == [a.outcome for a in result.attempts]
    assert Charge.YES == result.attempts[0].charge


def test_everything_that_happens_is_told_in_order() -> None:
    """A ledger or a progress line needs the receipt first, then the job, then each poll."""
    runner = FlowRunner()

    generate(runner, reply(ACCEPTED), reply(RUNNING), reply(DONE))

    assert [Submitting, Accepted, Polled, Polled] == [type(e) for e in runner.events]
    running = runner.events[2]
    assert isinstance(running, Polled)
    assert (1, 0.5, 2.0) == (running.polls, running.progress, running.seconds)


def test_the_receipt_is_told_before_the_first_byte() -> None:
    """Whatever happens then, there is something to look it up with."""
    runner = FlowRunner()
    play = flow.generate(HALIDE, KITE, key="k-1", context=runner.context)

    effect = next(play)

    assert isinstance(effect, Send)
    told = runner.events[0]
    assert isinstance(told, Submitting)
    assert ("halide", "k-1", NOON) == (
        told.receipt.account,
        told.receipt.key,
        told.receipt.first_sent_at,
    )
    play.close()


def test_who_cannot_take_note_of_a_receipt_stops_the_submit() -> None:
    """A ledger that is full must not lead to purchases that nobody recorded."""

    def full(event: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        next(flow.generate(HALIDE, KITE, key="k", context=FlowRunner(emit=full).context))


def test_a_listener_that_fails_after_acceptance_loses_nothing() -> None:
    """The generation is paid for; a broken progress bar must not give it up."""

    def fragile(event: object) -> None:
        if not isinstance(event, Submitting):
            raise ValueError("broken progress bar")

    result, _ = generate(FlowRunner(emit=fragile), reply(ACCEPTED), reply(DONE))

    assert 1 == len(result.images)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lost(), id="line broken"),
        pytest.param(reply({"code": "Boom"}, 500), id="500"),
        pytest.param(reply({"code": "Slow"}, 504), id="504"),
        pytest.param(reply({"code": "Late"}, 408), id="408"),
        pytest.param(reply(b"<html>Bad gateway</html>", 502), id="HTML 502"),
        pytest.param(reply(b"", 302, location="https://elsewhere.example"), id="redirect"),
        pytest.param(reply(b"<html>Hello</html>"), id="HTML 200"),
        pytest.param(reply(b'{"task_id": "t-'), id="cut body"),
        pytest.param(reply({"ok": True}), id="no id"),
        pytest.param(reply([]), id="a list"),
        pytest.param(reply({"status": "done"}), id="done without urls"),
        pytest.param(reply(b"<html>no</html>", 400), id="HTML 400"),
    ],
)
def test_a_submit_of_unknown_outcome_is_sent_once_and_said_so(answer: object) -> None:
    """Paid once: nobody knows whether this was bought, so it is not bought again."""
    runner = FlowRunner()
    sent: list[Effect] = []

    def answered(effect: Effect) -> object:
        sent.append(effect)
        return answer

    with pytest.raises(SubmissionUncertain) as caught:
        generate(runner, answered)

    assert 1 == len(sent)
    assert Charge.MAYBE == caught.value.charge
    assert caught.value.receipt is not None
    assert "k-1" == caught.value.receipt.key
    assert caught.value.job is None
    assert not caught.value.elsewhere
    assert isinstance(caught.value.__cause__, CallFailed)
    assert ["SubmissionUncertain"] == [a.outcome for a in caught.value.attempts]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply({"code": "BadSize"}, 400), RequestRejected),
        (reply({"code": "NoKey"}, 401), AuthenticationFailed),
        (reply({"code": "NoCredit"}, 402), CreditExhausted),
        (reply({"code": "NoCredit"}, 429), CreditExhausted),
        (reply({"code": "Moderated"}, 400), ContentRefused),
        (reply(b"<html>blocked</html>", 403), ProviderUnavailable),
    ],
)
def test_a_refused_submit_costs_nothing_and_is_not_repeated(
    answer: object, error: type[CallFailed]
) -> None:
    """A documented refusal is sure: no task exists."""
    runner = FlowRunner(timeouts=Timeouts(deadline=0.5))

    with pytest.raises(error) as caught:
        generate(runner, answer)

    assert Charge.NO == caught.value.charge
    assert caught.value.receipt is not None
    assert caught.value.job is None


def test_a_full_provider_is_asked_again_after_the_time_it_named() -> None:
    """A listed 429 created no task, so sending again cannot pay twice."""
    runner = FlowRunner()

    result, effects = generate(
        runner, reply({"code": "Busy"}, 429, retry_after="7"), reply(ACCEPTED), reply(DONE)
    )

    assert [7.0, 2.0] == sleeps(effects)
    assert 2 == len(posts(effects))
    assert posts(effects)[0].request == posts(effects)[1].request
    assert 1 == len(result.images)
    assert [Retrying] == [type(e) for e in runner.events if isinstance(e, Retrying)]


def test_a_connection_that_never_stood_is_tried_again() -> None:
    """Nothing was sent, so nothing can have been bought."""
    _, effects = generate(FlowRunner(), lost(Charge.NO), reply(ACCEPTED), reply(DONE))

    assert 2 == len(posts(effects))


def test_submit_retries_end_after_three() -> None:
    """A provider that is full all day is reported, not besieged."""
    answers = [reply({"code": "Busy"}, 429) for _ in range(4)]

    with pytest.raises(RateLimited) as caught:
        generate(FlowRunner(), *answers)

    assert Charge.NO == caught.value.charge


def test_no_submit_retry_goes_beyond_the_deadline() -> None:
    """Who gave ten seconds does not want a picture in a minute."""
    runner = FlowRunner(timeouts=Timeouts(deadline=10.0))

    with pytest.raises(RateLimited) as caught:
        generate(runner, reply({"code": "Busy"}, 429, retry_after="60"))

    assert 60.0 == caught.value.retry_after


def test_the_same_key_is_sent_again_where_that_is_safe() -> None:
    """A provider that knows its keys cannot charge twice for the same one."""
    runner = FlowRunner()

    _, effects = generate(runner, lost(), reply(ACCEPTED), reply(DONE), adapter=SAFE)

    first, second = posts(effects)
    assert first.request == second.request
    assert 1.0 == sleeps(effects)[0]
    told = [e.receipt for e in runner.events if isinstance(e, Submitting)]
    assert told[0].first_sent_at == told[1].first_sent_at
    assert told[0].last_sent_at < told[1].last_sent_at


def test_after_an_unknown_outcome_even_a_refusal_stays_uncertain() -> None:
    """The first message may have been accepted, whatever is said of the second."""
    with pytest.raises(SubmissionUncertain) as caught:
        generate(
            FlowRunner(), lost(), reply({"code": "NoCredit"}, 402), *[lost()] * 2, adapter=SAFE
        )

    assert Charge.MAYBE == caught.value.charge


def test_a_refused_first_send_is_no_reason_to_send_again() -> None:
    """Only trouble of the line or the provider is; a rejection would just be repeated."""
    with pytest.raises(RequestRejected):
        generate(FlowRunner(), reply({"code": "BadSize"}, 400), adapter=SAFE)


def test_the_same_key_is_not_sent_again_after_two_minutes() -> None:
    """How long a provider keeps a key is not documented."""
    runner = FlowRunner()

    def slow(effect: Effect) -> object:
        runner.time.advance(130.0)
        return lost()

    with pytest.raises(SubmissionUncertain):
        generate(runner, slow, adapter=SAFE)


@pytest.mark.parametrize(
    "trouble",
    [
        lost(),
        lost(Charge.NO),
        reply({"code": "Boom"}, 500),
        reply({"code": "Busy"}, 429),
        reply({"code": "NoCredit"}, 402),
        reply(b"<html>", 502),
        reply(b"{"),
        reply([]),
    ],
)
def test_a_bad_moment_while_polling_keeps_the_job(trouble: object) -> None:
    """The generation is paid for; one lost poll must not give it up."""
    runner = FlowRunner()

    result, effects = generate(runner, reply(ACCEPTED), trouble, reply(DONE))

    assert 1 == len(result.images)
    assert 1 == len(posts(effects))
    assert [e.trouble is not None for e in runner.events if isinstance(e, Polled)] == [True, False]


def test_a_poll_waits_as_long_as_it_is_told_to() -> None:
    """A 429 on a poll names its time."""
    _, effects = generate(
        FlowRunner(), reply(ACCEPTED), reply({"code": "Busy"}, 429, retry_after="9"), reply(DONE)
    )

    assert [2.0, 9.0] == sleeps(effects)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_while_polling_is_raised_with_the_job(status: int) -> None:
    """Waiting longer will not mend a key; the job waits for a better one."""
    with pytest.raises(AuthenticationFailed) as caught:
        generate(FlowRunner(), reply(ACCEPTED), reply({"code": "NoKey"}, status))

    assert caught.value.job is not None
    assert "t-1" == caught.value.job.id


def test_a_failed_generation_says_what_it_cost() -> None:
    """Halide refunds, as documented; the job is named all the same."""
    with pytest.raises(GenerationFailed) as caught:
        generate(FlowRunner(), reply(ACCEPTED), reply({"status": "failed", "code": "Ouch"}))

    assert (Charge.NO, True, True) == (
        caught.value.charge,
        caught.value.final,
        caught.value.elsewhere,
    )
    assert caught.value.job is not None


def test_completed_without_a_picture_is_an_error() -> None:
    """An empty success would be a bill without a picture."""
    with pytest.raises(GenerationFailed) as caught:
        generate(FlowRunner(), reply(ACCEPTED), reply({**DONE, "urls": []}))

    assert Charge.MAYBE == caught.value.charge
    assert caught.value.job is not None


def test_fewer_pictures_than_asked_are_counted() -> None:
    """A shortfall is never hidden."""
    runner = FlowRunner()
    play = flow.generate(HALIDE, evolve(KITE, n=3), key="k", context=runner.context)

    result, _ = runner.play(play, reply(ACCEPTED), reply(DONE))

    assert (3, 2) == (result.requested, result.shortfall)
    assert ["n info: 1 of 3 delivered"] == [str(n) for n in result.notes]


def test_the_deadline_leaves_a_job_to_go_on_with() -> None:
    """What was accepted is never lost."""
    runner = FlowRunner(timeouts=Timeouts(deadline=5.0))

    with pytest.raises(DeadlineExceeded) as caught:
        generate(runner, reply(ACCEPTED), *[reply(RUNNING)] * 2)

    assert caught.value.job is not None
    assert isinstance(caught.value, TimeoutError)
    assert 1005.0 == runner.time.seconds
    result, _ = runner.play(
        flow.wait(HALIDE, caught.value.job, context=runner.context), reply(DONE)
    )
    assert 1 == len(result.images)


def test_a_deadline_after_unreadable_polls_names_the_last_trouble() -> None:
    """Not "still pending" but why nobody could say."""
    runner = FlowRunner(timeouts=Timeouts(deadline=3.0))

    with pytest.raises(DeadlineExceeded) as caught:
        generate(runner, reply(ACCEPTED), *[reply(b"<html>", 502)] * 2)

    assert isinstance(caught.value.__cause__, ProviderUnavailable)


def test_an_unknown_task_is_lost_only_after_its_grace() -> None:
    """Providers answer so for a moment after a submit."""
    unknown = reply({"status": "unknown"})

    result, _ = generate(FlowRunner(), reply(ACCEPTED), unknown, unknown, reply(DONE))

    assert 1 == len(result.images)


def test_a_task_unknown_for_good_is_reported_with_its_job() -> None:
    """It may have been paid, and another provider may help: both are said."""
    runner = FlowRunner()
    unknown = reply({"status": "unknown"})

    with pytest.raises(TaskLost) as caught:
        generate(runner, reply(ACCEPTED), *[unknown] * 9)

    assert (Charge.MAYBE, True) == (caught.value.charge, caught.value.elsewhere)
    assert caught.value.job is not None
    assert runner.time.seconds - 1000.0 > 30.0


def test_one_unknown_after_the_grace_is_not_yet_lost() -> None:
    """Two reads, since one may come from a server that is behind."""
    runner = FlowRunner()
    job, _ = runner.play(
        flow.submit(HALIDE, KITE, key="k", context=runner.context), reply(ACCEPTED)
    )
    runner.time.advance(3600)

    result, _ = runner.play(
        flow.wait(HALIDE, job, context=runner.context), reply({"status": "unknown"}), reply(DONE)
    )

    assert 1 == len(result.images)


def test_submit_comes_back_with_a_job_that_survives_json() -> None:
    """Another process, another day."""
    runner = FlowRunner()

    job, effects = runner.play(
        flow.submit(HALIDE, KITE, key="k-1", context=runner.context), reply(ACCEPTED)
    )

    assert ("halide", "t-1", "k-1", "https://api.halide.example/v1") == (
        job.account,
        job.id,
        job.key,
        job.base_url,
    )
    assert job == Job.from_json(job.to_json())
    assert 1 == len(effects)


def test_an_answer_at_once_is_kept_in_the_job() -> None:
    """Where a submit is answered with the pictures, the job needs no further call."""
    runner = FlowRunner()
    job, _ = runner.play(flow.submit(HALIDE, KITE, key="k", context=runner.context), reply(DONE))
    again = Job.from_json(job.to_json())

    result, effects = runner.play(flow.wait(HALIDE, again, context=runner.context))

    assert "https://cdn.halide.example/1.png" == result.images[0].url
    assert [] == effects
    assert [job] == [event.job for event in runner.events if isinstance(event, Accepted)]


def test_a_mode_without_jobs_refuses_submit_before_anything_is_sent() -> None:
    """There would be nothing to come back with."""
    adapter = Halide(api_key="k", options=_Options(at_once=True))

    with pytest.raises(UnsupportedFeature, match="use generate"):
        next(flow.submit(adapter, KITE, key="k", context=FlowRunner().context))


def test_notes_are_the_same_for_who_waits_elsewhere() -> None:
    """Nothing vanishes because another process collects the picture."""
    request = ImageRequest("a kite", watermark=True, thinking=True, images=("https://x.example/a",))
    runner = FlowRunner(may_drop=("watermark",))
    request = evolve(request, size="1024x1024")
    here, _ = runner.play(
        flow.generate(HALIDE, request, key="k", context=runner.context),
        reply(ACCEPTED),
        reply(DONE),
    )
    job, _ = runner.play(
        flow.submit(HALIDE, request, key="k", context=runner.context), reply(ACCEPTED)
    )

    there, _ = runner.play(
        flow.wait(HALIDE, Job.from_json(job.to_json()), context=runner.context), reply(DONE)
    )

    assert {("thinking", "ignored"), ("watermark", "dropped")} == {
        (n.field, n.kind) for n in here.notes
    }
    assert here.notes == there.notes


def test_a_request_kept_by_digest_cannot_be_bought_again() -> None:
    """The picture is not there any more; a provider would get the text of its digest."""
    image = InputImage("data:image/png;base64,AAAA", width=64, height=64)
    stored = ImageRequest("a kite", images=(image,)).stored()

    with pytest.raises(InvalidRequest, match=r"images\[0\].*give the picture again"):
        next(flow.generate(HALIDE, stored, key="k", context=FlowRunner().context))


@pytest.mark.parametrize(
    ("interruption", "at"), [(KeyboardInterrupt(), 0), (KeyboardInterrupt(), 1)]
)
def test_an_interruption_carries_the_way_to_go_on(interruption: BaseException, at: int) -> None:
    """During the submit a receipt, afterwards the job."""
    replies: list[object] = [reply(ACCEPTED), reply(RUNNING)]

    with pytest.raises(KeyboardInterrupt) as caught:
        generate(FlowRunner(), *replies[:at], interruption)

    assert isinstance(getattr(caught.value, "receipt", None), Receipt) is (at == 0)
    assert isinstance(getattr(caught.value, "job", None), Job) is (at == 1)


def test_inline_bytes_are_fetched_and_described() -> None:
    """``inline`` means bytes, also where the reply has only links."""
    runner = FlowRunner(origins=frozenset({"https://cdn.halide.example:443"}))
    request = evolve(KITE, inline=True)

    def serve(effect: Effect) -> object:
        assert isinstance(effect, Fetch)
        return reply(PICTURE)

    result, _ = runner.play(
        flow.generate(HALIDE, request, key="k", context=runner.context),
        reply(ACCEPTED),
        reply(DONE),
        serve,
    )

    image = result.images[0]
    assert (PICTURE, "image/png", 2048, 1024) == (image.data, image.mime, image.width, image.height)


def test_a_picture_that_cannot_be_fetched_keeps_its_url() -> None:
    """The picture is paid for: a failed download is a note, never an error."""
    runner = FlowRunner(origins=frozenset({"https://cdn.halide.example:443"}))

    result, _ = runner.play(
        flow.generate(HALIDE, evolve(KITE, inline=True), key="k", context=runner.context),
        reply(ACCEPTED),
        reply(DONE),
        reply(b"", 404),
    )

    assert "https://cdn.halide.example/1.png" == result.images[0].url
    assert result.images[0].data is None
    assert ["inline"] == [n.field for n in result.notes]


def test_a_rule_prices_what_the_reply_does_not() -> None:
    """The cost says where it comes from, and differs from the quote only with a note."""

    def price(adapter: object, request: object, delivery: object) -> Money:
        return Money("0.03" if delivery else "0.06", "USD")

    result, _ = generate(FlowRunner(price=price), reply(ACCEPTED), reply(DONE))

    assert (Money(Decimal("0.03"), "USD"), "rule") == (result.cost, result.cost_source)
    assert ["cost info: 0.03 USD instead of the quoted 0.06 USD"] == [str(n) for n in result.notes]


@pytest.mark.parametrize(
    ("status", "expected"), [("found", Job), ("absent", NotAccepted), ("dunno", StillUnknown)]
)
def test_reconcile_asks_the_provider_and_sends_nothing_again(status: str, expected: type) -> None:
    """A receipt is looked up; "absent" must be read twice before it counts."""
    runner = FlowRunner()
    with pytest.raises(SubmissionUncertain) as caught:
        generate(runner, lost())
    receipt = caught.value.receipt
    assert receipt is not None
    body = {"status": status, "task_id": "t-9"}
    reads = [reply(body)] * (2 if status == "absent" else 1)

    found, effects = runner.play(
        reconciliation.reconcile(HALIDE, receipt, context=runner.context), *reads
    )

    assert isinstance(found, expected)
    assert [] == posts(effects)


def test_a_look_up_that_fails_leaves_it_unknown() -> None:
    """Not finding out is not the same as not accepted."""
    runner = FlowRunner()
    with pytest.raises(SubmissionUncertain) as caught:
        generate(runner, lost())
    assert caught.value.receipt is not None

    found, _ = runner.play(
        reconciliation.reconcile(HALIDE, caught.value.receipt, context=runner.context),
        *[lost()] * 4,
    )

    assert isinstance(found, StillUnknown)
    assert "the line broke" in found.detail


def test_creates_keep_to_the_accounts_rate() -> None:
    """Five a second means the sixth waits, whoever sends it."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(creates=5)))
    runner = FlowRunner()
    waits = []
    for _ in range(3):
        play = flow.submit(adapter, KITE, key="k", context=runner.context)
        effect = next(play)
        if isinstance(effect, Sleep):
            waits.append(round(effect.seconds, 3))
        play.close()

    assert [0.2, 0.4] == waits


def test_more_generations_than_may_run_wait_their_turn() -> None:
    """First come, first served, and a place is given back on every way out."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(running=1)))
    runner = FlowRunner()
    first = flow.generate(adapter, KITE, key="1", context=runner.context)
    second = flow.generate(adapter, KITE, key="2", context=runner.context)
    third = flow.generate(adapter, KITE, key="3", context=runner.context)

    assert isinstance(next(first), Send)
    assert isinstance(next(second), Sleep)
    assert isinstance(next(third), Sleep)
    first.close()
    assert isinstance(third.send(None), Sleep)
    assert isinstance(second.send(None), Send)
    second.close()
    assert isinstance(third.send(None), Send)
    third.close()


def test_a_queue_longer_than_the_deadline_costs_nothing() -> None:
    """Nothing was sent, and that is said."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(running=1)))
    runner = FlowRunner(timeouts=Timeouts(deadline=3.0))
    holder = flow.generate(adapter, KITE, key="1", context=runner.context)
    next(holder)

    with pytest.raises(RateLimited, match="nothing was sent") as caught:
        runner.play(flow.generate(adapter, KITE, key="2", context=runner.context))

    assert Charge.NO == caught.value.charge
    holder.close()


def test_a_cadence_of_ones_own_replaces_the_manuals() -> None:
    """Tests and sandboxes need not wait for a real provider's pace."""
    runner = FlowRunner(
        timeouts=Timeouts(poll_interval=PollInterval(first=0.1, factor=2.0, most=0.3))
    )

    _, effects = generate(runner, reply(ACCEPTED), *[reply(RUNNING)] * 3, reply(DONE))

    assert [0.1, 0.2, 0.3, 0.3] == sleeps(effects)


def test_look_is_one_poll() -> None:
    """``look`` asks once and waits for nothing."""
    runner = FlowRunner()
    job, _ = runner.play(
        flow.submit(HALIDE, KITE, key="k", context=runner.context), reply(ACCEPTED)
    )

    step, effects = runner.play(flow.look(HALIDE, job, context=runner.context), reply(RUNNING))

    assert isinstance(step, Pending)
    assert 1 == len(effects)


def test_an_adapters_own_mistake_is_a_malformed_reply() -> None:
    """An outside adapter that stumbles over a reply must not lose what was accepted."""
    with pytest.raises(SubmissionUncertain) as caught:
        generate(FlowRunner(), reply({"status": "done"}))

    assert isinstance(caught.value.__cause__, MalformedResponse)
    assert "KeyError" in str(caught.value.__cause__)


# -- uploads before the submit ----------------------------------------------------------------


@frozen(kw_only=True)
class Storing(Halide):
    """Halide with a storage of its own: one message before every submit."""

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        response = yield json_request("PUT", f"{self.base_url}/files", headers=self.bearer())
        if (error := Adapter.failure(self, response, op=Op.PREPARE)) is not None:
            raise error
        return request


STORING = Storing(api_key="sk-test-1")


def test_an_upload_is_free_and_sent_again() -> None:
    """After a broken line, a full queue and a fault of the server; as long as the server asks."""
    runner = FlowRunner()

    _, effects = generate(
        runner,
        lost(),
        reply({"code": "Busy"}, 429, retry_after="7"),
        reply(b"<html>", 503),
        reply({}),
        reply(ACCEPTED),
        reply(DONE),
        adapter=STORING,
    )

    assert [1.0, 7.0, 4.0, 2.0] == sleeps(effects)
    assert 1 == len(posts(effects))
    assert 3 == sum(isinstance(e, Retrying) for e in runner.events)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([reply(b"<html>", 503)] * 4, ProviderUnavailable),
        ([lost()] * 4, TransportFailed),
        ([reply({"code": "Wrong"}, 400)], RequestRejected),
    ],
)
def test_a_failed_upload_has_bought_nothing(answers: list[object], error: type[CallFailed]) -> None:
    """Whatever it was: the submit was not sent, and another provider may be asked."""
    runner = FlowRunner()

    with pytest.raises(error) as caught:
        generate(runner, *answers, adapter=STORING)

    assert Charge.NO is caught.value.charge
    assert not any(isinstance(e, Submitting) for e in runner.events)


def test_other_free_messages_are_not_sent_again_for_their_status() -> None:
    """A look-up says itself what a refusal means to it."""
    runner = FlowRunner()
    receipt = Receipt(
        provider="halide",
        account="halide",
        base_url=HALIDE.base_url,
        key="k-1",
        request=KITE,
        digest="0" * 64,
        first_sent_at=NOON,
        last_sent_at=NOON,
    )

    found, effects = runner.play(
        reconciliation.reconcile(HALIDE, receipt, context=runner.context),
        reply({"status": "?"}, 503),
    )

    assert isinstance(found, StillUnknown)
    assert [] == sleeps(effects)


def test_a_lost_task_needs_two_reads_and_no_more() -> None:
    """After its grace: the second unknown in a row settles it."""
    runner = FlowRunner()
    job, _ = runner.play(
        flow.submit(HALIDE, KITE, key="k", context=runner.context), reply(ACCEPTED)
    )
    runner.time.advance(3600)
    unknown = reply({"status": "unknown"})

    with pytest.raises(TaskLost) as caught:
        runner.play(flow.wait(HALIDE, job, context=runner.context), unknown, unknown)

    assert job == caught.value.job


def test_a_task_at_its_grace_is_not_yet_lost() -> None:
    """The bound itself still belongs to the grace."""
    runner = FlowRunner(
        timeouts=Timeouts(poll_interval=PollInterval(first=15.0, factor=1.0, most=15.0))
    )
    unknown = reply({"status": "unknown"})

    result, _ = generate(runner, reply(ACCEPTED), unknown, unknown, reply(DONE))

    assert 1 == len(result.images)


def test_an_answer_between_two_unknowns_starts_the_count_anew() -> None:
    """A server that is behind may come and go."""
    runner = FlowRunner()
    job, _ = runner.play(
        flow.submit(HALIDE, KITE, key="k", context=runner.context), reply(ACCEPTED)
    )
    runner.time.advance(3600)
    unknown = reply({"status": "unknown"})

    result, _ = runner.play(
        flow.wait(HALIDE, job, context=runner.context),
        unknown,
        reply(RUNNING),
        unknown,
        reply(DONE),
    )

    assert 1 == len(result.images)


def test_waits_between_submits_double() -> None:
    """A full provider is not besieged."""
    runner = FlowRunner()

    _, effects = generate(runner, *[reply({"code": "Busy"}, 429)] * 3, reply(ACCEPTED), reply(DONE))

    assert [1.0, 2.0, 4.0, 2.0] == sleeps(effects)


def test_a_second_submit_after_a_refusal_is_a_first_send() -> None:
    """The refused one bought nothing, so a look-up counts from the one that may have."""
    runner = FlowRunner()

    generate(runner, reply({"code": "Busy"}, 429, retry_after="7"), reply(ACCEPTED), reply(DONE))

    first, second = (e.receipt for e in runner.events if isinstance(e, Submitting))
    assert 7.0 == (second.first_sent_at - first.first_sent_at).total_seconds()
    assert second.first_sent_at == second.last_sent_at


def test_an_interruption_while_a_refusal_is_waited_out_carries_nothing() -> None:
    """A receipt would send its reader looking for what was never bought."""
    runner = FlowRunner()
    play = flow.generate(HALIDE, KITE, key="k", context=runner.context)
    next(play)
    assert isinstance(play.send(reply({"code": "Busy"}, 429)), Sleep)

    with pytest.raises(KeyboardInterrupt) as caught:
        play.throw(KeyboardInterrupt())

    assert not hasattr(caught.value, "receipt")


def test_an_interruption_between_two_sends_of_a_key_carries_the_receipt() -> None:
    """The first may have been accepted."""
    runner = FlowRunner()
    play = flow.generate(SAFE, KITE, key="k", context=runner.context)
    next(play)
    assert isinstance(play.throw(lost()), Sleep)

    with pytest.raises(KeyboardInterrupt) as caught:
        play.throw(KeyboardInterrupt())

    assert isinstance(getattr(caught.value, "receipt", None), Receipt)


def test_an_interruption_while_bytes_are_fetched_carries_the_result() -> None:
    """The pictures are named by then; only their bytes are missing."""
    runner = FlowRunner(origins=frozenset({"https://cdn.halide.example:443"}))
    play = flow.generate(HALIDE, evolve(KITE, inline=True), key="k", context=runner.context)

    with pytest.raises(KeyboardInterrupt) as caught:
        runner.play(play, reply(ACCEPTED), reply(DONE), KeyboardInterrupt())

    assert isinstance(getattr(caught.value, "result", None), ImageResult)


def test_after_a_sure_refusal_there_is_nothing_to_look_up() -> None:
    """An interruption that was held back during the submit carries no receipt either."""
    runner = FlowRunner()

    with pytest.raises(RequestRejected):
        generate(runner, reply({"code": "BadSize"}, 400))

    assert (None, None) == (runner.context.handles.receipt, runner.context.handles.job)


def test_the_same_key_waits_a_second_whatever_is_asked() -> None:
    """A provider that asks for less is not believed: the first send may still be on its way."""
    runner = FlowRunner()
    busy = reply({"code": "Boom"}, 503, retry_after="0")

    def slow(effect: Effect) -> object:
        runner.time.advance(0.25)
        return busy

    _, effects = generate(runner, slow, reply(ACCEPTED), reply(DONE), adapter=SAFE)

    assert 1.0 == sleeps(effects)[0]


def test_the_same_key_is_not_sent_beyond_the_deadline() -> None:
    """Nor is a purchase made that nobody waits for any more."""
    runner = FlowRunner(timeouts=Timeouts(deadline=1.0))

    with pytest.raises(SubmissionUncertain):
        generate(runner, lost(), adapter=SAFE)


def test_a_deadline_says_that_it_may_have_cost() -> None:
    """It goes on at the provider."""
    with pytest.raises(DeadlineExceeded) as caught:
        generate(FlowRunner(timeouts=Timeouts(deadline=1.0)), reply(ACCEPTED), reply(RUNNING))

    assert Charge.MAYBE == caught.value.charge


def test_attempts_say_how_long_they_took() -> None:
    """The money trace is one of time, too."""
    result, _ = generate(FlowRunner(), reply(ACCEPTED), reply(RUNNING), reply(DONE))
    with pytest.raises(GenerationFailed) as caught:
        generate(FlowRunner(), reply(ACCEPTED), reply({"status": "failed"}))

    assert 5.0 == result.attempts[0].seconds
    assert (2.0, "it did not work out") == (
        caught.value.attempts[0].seconds,
        caught.value.attempts[0].detail,
    )


def test_a_rate_that_is_taken_until_the_deadline_costs_nothing() -> None:
    """The wait is known beforehand, so it is not waited for in vain."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(creates=1)))
    runner = FlowRunner(timeouts=Timeouts(deadline=1.5))
    for _ in range(2):
        play = flow.submit(adapter, KITE, key="k", context=runner.context)
        next(play)
        play.close()

    with pytest.raises(RateLimited, match=r"creates \(1/s\) are taken for too long"):
        next(flow.submit(adapter, KITE, key="k", context=runner.context))


def test_polls_keep_to_the_accounts_rate() -> None:
    """All jobs of an account share it."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(polls=2)))
    runner = FlowRunner()
    job, _ = runner.play(
        flow.submit(adapter, KITE, key="k", context=runner.context), reply(ACCEPTED)
    )

    _, first = runner.play(flow.look(adapter, job, context=runner.context), reply(RUNNING))
    _, second = runner.play(flow.look(adapter, job, context=runner.context), reply(RUNNING))

    assert [] == sleeps(first)
    assert [0.5] == sleeps(second)


def test_free_messages_are_tried_four_times_with_growing_waits() -> None:
    """A look-up buys nothing, so a broken line is no reason to give up at once."""
    runner = FlowRunner()
    with pytest.raises(SubmissionUncertain) as caught:
        generate(runner, lost())
    receipt = caught.value.receipt
    assert receipt is not None

    _, effects = runner.play(
        reconciliation.reconcile(HALIDE, receipt, context=runner.context),
        *[lost()] * 3,
        reply({"status": "found", "task_id": "t-1"}),
    )

    assert [1.0, 2.0, 4.0] == sleeps(effects)
    assert 3 == sum(isinstance(e, Retrying) for e in runner.events)


def test_who_gives_up_waiting_holds_nobody_back() -> None:
    """A cancelled call leaves the line, wherever it stood."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(running=1)))
    runner = FlowRunner()
    first, second, third = (
        flow.generate(adapter, KITE, key=key, context=runner.context) for key in "123"
    )
    assert isinstance(next(first), Send)
    assert isinstance(next(second), Sleep)
    assert isinstance(next(third), Sleep)

    second.close()
    first.close()

    assert isinstance(third.send(None), Send)
    third.close()


def test_who_stands_further_back_looks_less_often() -> None:
    """A thousand waiting calls must not wake up ten times a second."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(running=2)))
    runner = FlowRunner()
    plays = [flow.generate(adapter, KITE, key=str(n), context=runner.context) for n in range(60)]

    waits = [e.seconds for e in map(next, plays) if isinstance(e, Sleep)]

    assert 58 == len(waits)
    assert [0.1, 0.15, 0.2] == [round(w, 3) for w in waits[:3]]
    assert 2.0 == waits[-1]
    for play in plays:
        play.close()


def test_a_job_outlives_what_its_account_may_say_today() -> None:
    """The picture is paid for; a field that is reserved by now must not cost it."""
    runner = FlowRunner()
    request = evolve(KITE, extra={"halide": {"fast": 1}})
    job, _ = runner.play(
        flow.submit(HALIDE, request, key="k", context=runner.context), reply(ACCEPTED)
    )
    job = evolve(job, request=evolve(request, extra={"halide": {"seed": 1}}))

    result, _ = runner.play(flow.wait(HALIDE, job, context=runner.context), reply(DONE))

    assert 1 == len(result.images)
    assert ["request"] == [note.field for note in result.notes]


def test_a_provider_that_names_no_wait_is_polled_at_its_cadence() -> None:
    """``Retry-After: 0`` is no invitation to a tight loop."""
    _, effects = generate(
        FlowRunner(), reply(ACCEPTED), reply({"code": "Busy"}, 429, retry_after="0"), reply(DONE)
    )

    assert [2.0, 3.0] == sleeps(effects)


def test_a_receipt_counts_from_the_outcome_not_from_the_queue() -> None:
    """A submit may wait for a connection; "not accepted" must not be read before it was sent."""
    runner = FlowRunner()

    def queued(effect: Effect) -> object:
        runner.time.advance(40.0)
        return lost()

    with pytest.raises(SubmissionUncertain) as caught:
        generate(runner, queued)

    assert caught.value.receipt is not None
    assert runner.time.now() == caught.value.receipt.last_sent_at


@pytest.mark.parametrize("at", [0, 1])
def test_whatever_ends_a_call_from_outside_carries_the_way_to_go_on(at: int) -> None:
    """A time limit of a task queue, a client that is closed: not only Ctrl-C."""

    class OutOfTime(Exception):
        pass

    with pytest.raises(OutOfTime) as caught:
        generate(FlowRunner(), *[reply(ACCEPTED)][:at], OutOfTime())

    assert hasattr(caught.value, "receipt") is (at == 0)
    assert hasattr(caught.value, "job") is (at == 1)


def test_an_account_that_cannot_be_kept_loses_no_picture() -> None:
    """The price is looked up after delivery; a broken price file costs only the number."""

    def price(adapter: object, request: object, delivery: object) -> Money | None:
        if delivery is not None:
            raise ValueError("broken price file")
        return None

    result, _ = generate(FlowRunner(price=price), reply(ACCEPTED), reply(DONE))

    assert (1, None) == (len(result.images), result.cost)


def test_an_adapter_that_cannot_ask_keeps_the_job() -> None:
    """Its own mistake in `poll` or in reading is trouble of that poll, not the end."""

    class Clumsy(Halide):
        def poll(self, job: Job) -> HttpRequest:
            raise KeyError("state")

    runner = FlowRunner(timeouts=Timeouts(deadline=1.0))

    with pytest.raises(DeadlineExceeded) as caught:
        generate(runner, reply(ACCEPTED), adapter=Clumsy(api_key="k"))

    assert caught.value.job is not None


def test_a_refused_place_in_the_rate_is_not_taken() -> None:
    """Sixty calls that give up at once must not push the sixty-first back."""
    adapter = Halide(api_key="k", options=_Options(rates=RateLimits(creates=1)))
    runner = FlowRunner(timeouts=Timeouts(deadline=0.5))
    next(flow.submit(adapter, KITE, key="k", context=runner.context))
    for _ in range(60):
        with pytest.raises(RateLimited):
            next(flow.submit(adapter, KITE, key="k", context=runner.context))
    runner.time.advance(1.0)

    assert isinstance(next(flow.submit(adapter, KITE, key="k", context=runner.context)), Send)


@pytest.mark.parametrize("adapter", [HALIDE, SAFE])
def test_a_generation_that_failed_in_the_submits_own_reply_is_not_bought_again(
    adapter: Halide,
) -> None:
    """It was accepted and has ended, whatever its class: trying again is the caller's choice."""
    down = Unwell(api_key="k", options=adapter.options)
    runner = FlowRunner()

    with pytest.raises(ProviderUnavailable) as caught:
        generate(runner, reply({"status": "failed", "code": "Down"}), adapter=down)

    assert (Charge.NO, True) == (caught.value.charge, caught.value.final)
    assert 1000.0 == runner.time.seconds


@pytest.mark.parametrize(
    ("provider", "inline", "pictures"),
    [("runware", True, 2), ("runware", False, 0), ("kie", True, 0)],
)
def test_a_reply_may_hold_the_pictures_that_were_asked_for_in_it(
    provider: str, inline: bool, pictures: int
) -> None:
    """They are paid for; of any other reply so many bytes would only fill the memory."""
    adapter = Registry().build(provider, api_key="sk-test-1")
    request = ImageRequest("a kite", n=2, inline=inline)

    key = "8f31c2aa-1111-4222-8333-444455556666"  # Runware's is a UUID

    send = next(flow.generate(adapter, request, key=key, context=FlowRunner().context))

    assert isinstance(send, Send)
    assert REPLY_MOST + pictures * exchanges.PICTURE_IN_REPLY == send.most
