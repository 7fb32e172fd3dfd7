"""Two flows over one client, played by hand: who goes on when, and who is closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from flow_runner import ManualTime
from wanbridge.engine.effects import Effect, Flow, JobKey, Send, Sleep, Wake
from wanbridge.errors import TransportFailed
from wanbridge.routing.hedge import HedgedFlow, hedge
from wanbridge.wire import HttpRequest


@frozen
class End:
    """How a scripted flow ended."""

    name: str
    won: bool = True


def send(name: str) -> Send:
    return Send(account=name, request=HttpRequest(method="GET", url=f"https://{name}.example/"))


def wake(name: str, seen: int = 0) -> Wake:
    return Wake(JobKey(account=name, call="c", task="t"), seen)


class Script:
    """A flow that does as it is told, and keeps what happens to it.

    Attributes:
        seen: Replies, thrown exceptions and ``closed``, in order.
    """

    def __init__(self, name: str, *steps: float | Effect, won: bool = True) -> None:
        self.name, self.steps, self.won = name, steps, won
        self.seen: list[object] = []
        self.begun = False
        self.flow = self._play()

    def _play(self) -> Flow[End]:
        self.begun = True
        for step in self.steps:
            effect = step if isinstance(step, Send | Sleep) else Sleep(float(step))  # type: ignore[arg-type]
            try:
                self.seen.append((yield effect))
            except GeneratorExit:
                self.seen.append("closed")
                raise
            except BaseException as exc:
                self.seen.append(exc)
                raise
        return End(self.name, self.won)


class Field:
    """A race from 1000 on the clock, and what it asks for."""

    def __init__(self, first: Script, second: Script | None = None, *, at: float = 10.0) -> None:
        self.time = ManualTime()
        self.flows: list[HedgedFlow[End]] = []
        self.asked_at: list[float] = []
        self.effects: list[Effect] = []
        self._second = second
        self.play = hedge(self.flows, first.flow, self._give, at=1000.0 + at, clock=self.time.clock)

    def _give(self) -> Flow[End] | None:
        self.asked_at.append(self.time.seconds - 1000.0)
        return self._second.flow if self._second else None

    def run(
        self, replies: Callable[[Effect], object] = lambda effect: None, *, late: float = 0.0
    ) -> list[End]:
        """Carry all out; a reply that is an exception is thrown.

        Args:
            late: Seconds that a sleep takes more, below 0 less, than it should.
        """
        step: Callable[[], Effect] = partial(next, self.play)
        try:
            while True:
                effect = step()
                self.effects.append(effect)
                reply = replies(effect)
                if isinstance(effect, Sleep) and not isinstance(reply, BaseException):
                    self.time.advance(max(0.0, effect.seconds + late))
                if isinstance(reply, BaseException):
                    step = partial(self.play.throw, reply)
                else:
                    step = partial(self.play.send, reply)
        except StopIteration as stop:
            ends: list[End] = stop.value
            return ends

    @property
    def order(self) -> list[str | float]:
        """Accounts that were sent to and seconds that were slept."""
        return [e.account if isinstance(e, Send) else round(e.seconds, 6) for e in self.effects]  # type: ignore[union-attr]

    @property
    def seconds(self) -> float:
        return self.time.seconds - 1000.0


def test_who_ends_before_the_time_runs_alone() -> None:
    """The second is not even asked for: most calls never cost twice."""
    first, second = Script("first", send("first"), 4, send("first"), 5), Script("second")
    field = Field(first, second)

    assert [End("first")] == field.run()

    assert ["first", 4.0, "first", 5.0] == field.order
    assert [] == field.asked_at
    assert not second.begun
    assert [End("first")] == [flow.ended for flow in field.flows]


def test_who_fails_before_the_time_ends_the_race() -> None:
    """What follows a failure is the route's to say, not the race's."""
    first, second = Script("first", 4, won=False), Script("second")
    field = Field(first, second)

    assert [End("first", won=False)] == field.run()

    assert [] == field.asked_at


def test_the_second_begins_when_the_time_has_come() -> None:
    """In the middle of the first one's sleep, which then goes on as long as it had left."""
    first, second = Script("first", 8, 30), Script("second", send("second"), 100)
    field = Field(first, second)

    assert [End("first")] == field.run()

    assert [8.0, 2.0, "second", 28.0] == field.order
    assert [10.0] == field.asked_at
    assert 38.0 == field.seconds
    assert [None, "closed"] == second.seen
    assert [End("first"), None] == [flow.ended for flow in field.flows]


def test_the_second_may_win_and_the_first_is_closed() -> None:
    """Closed, so that it can say what it leaves."""
    first, second = Script("first", 60), Script("second", send("second"), 5)
    field = Field(first, second)

    assert [End("second")] == field.run()

    assert ["closed"] == first.seen
    assert 15.0 == field.seconds
    assert [None, End("second")] == [flow.ended for flow in field.flows]


def test_a_failure_leaves_the_other_running() -> None:
    """The first ends badly, the second well; both count."""
    first, second = Script("first", 12, won=False), Script("second", 5)
    field = Field(first, second)

    assert [End("first", won=False), End("second")] == field.run()

    assert 15.0 == field.seconds


def test_the_second_may_fail_and_the_first_goes_on() -> None:
    """The other way round."""
    first, second = Script("first", 60), Script("second", 5, won=False)
    field = Field(first, second)

    assert [End("first"), End("second", won=False)] == field.run()

    assert 60.0 == field.seconds


def test_both_may_fail() -> None:
    """The route is told of both, the first one first."""
    first, second = Script("first", 60, won=False), Script("second", 5, won=False)

    assert [End("first", won=False), End("second", won=False)] == Field(first, second).run()


def test_who_fails_at_once_after_the_time_leaves_the_other_alone() -> None:
    """A second that never sleeps is no reason to wake the first."""
    first, second = Script("first", 60), Script("second", won=False)
    field = Field(first, second)

    assert [End("first"), End("second", won=False)] == field.run()

    assert [10.0, 50.0] == field.order


def test_without_a_second_the_first_goes_on_alone() -> None:
    """Asked for once; nobody may be free."""
    first = Script("first", 8, 8, 8)
    field = Field(first, None)

    assert [End("first")] == field.run()

    assert [10.0] == field.asked_at
    assert [8.0, 2.0, 6.0, 8.0] == field.order
    assert 1 == len(field.flows)


def test_a_first_that_was_on_the_line_over_the_time_is_joined_afterwards() -> None:
    """A reply that takes longer than the time: the second begins before the next sleep."""
    first, second = Script("first", send("first"), 30), Script("second", send("second"), 100)
    field = Field(first, second)

    def slow(effect: Effect) -> None:
        if isinstance(effect, Send) and effect.account == "first":
            field.time.advance(25)

    assert [End("first")] == field.run(slow)

    assert [25.0] == field.asked_at
    assert ["first", "second", 30.0] == field.order


def test_a_first_that_ended_on_the_line_over_the_time_has_won() -> None:
    """The pictures are here; nobody is asked for more."""
    first, second = Script("first", send("first")), Script("second")
    field = Field(first, second)

    assert [End("first")] == field.run(lambda effect: field.time.advance(25))

    assert [] == field.asked_at


def test_replies_go_to_who_asked() -> None:
    """Two conversations over one line must not hear each other's answers."""
    steps = 4
    first = Script("first", *[s for _ in range(steps) for s in (send("first"), 7)], won=False)
    second = Script("second", *[s for _ in range(steps) for s in (send("second"), 5)], won=False)
    field = Field(first, second)

    field.run(lambda effect: effect.account if isinstance(effect, Send) else None)

    assert ["first", None] * steps == first.seen
    assert ["second", None] * steps == second.seen


SLEEPS = st.lists(st.one_of(st.floats(0, 30), st.just(None)), max_size=8)


@given(SLEEPS, SLEEPS, st.floats(0.001, 60), st.booleans(), st.booleans(), st.floats(0, 3))
def test_each_flow_sleeps_as_long_as_it_asked(
    one: list[float | None],
    other: list[float | None],
    at: float,
    first_wins: bool,
    second_wins: bool,
    late: float,
) -> None:
    """Never shorter, whatever the other does: a pause may be what the provider asked for."""
    field: Field
    woken: dict[str, list[tuple[float, float]]] = {"first": [], "second": []}

    def scripted(name: str, sleeps: Sequence[float | None], won: bool) -> Script:
        script = Script(name, won=won)

        def play() -> Flow[End]:
            script.begun = True
            for seconds in sleeps:
                if seconds is None:
                    assert name == (yield send(name))
                    continue
                since = field.time.seconds
                yield Sleep(seconds)
                woken[name].append((seconds, field.time.seconds - since))
            return End(name, won)

        script.flow = play()
        return script

    first, second = scripted("first", one, first_wins), scripted("second", other, second_wins)
    field = Field(first, second, at=at)

    ends = field.run(lambda e: e.account if isinstance(e, Send) else None, late=late)

    assert all(slept >= asked - 1e-6 for name in woken for asked, slept in woken[name])
    assert 1 <= len(ends) <= 2
    assert all(second_at >= at - 1e-6 for second_at in field.asked_at)
    assert len(field.asked_at) <= 1
    if not first_wins and field.asked_at:
        assert End("first", won=False) in ends or End("second") in ends
    assert all(getgeneratorstate(flow.flow) == GEN_CLOSED for flow in field.flows)


# Interruptions


class Interruption(BaseException):
    """As Ctrl-C, or a task that is cancelled."""


def test_an_interrupted_sleep_reaches_who_slept_and_closes_the_other() -> None:
    """Both have something to leave: a job, a receipt."""
    first, second = Script("first", 60), Script("second", 5)
    field = Field(first, second)
    interruption = Interruption()

    with pytest.raises(Interruption) as caught:
        field.run(lambda effect: interruption if effect == Sleep(5.0) else None)

    assert caught.value is interruption
    assert [interruption] == second.seen
    assert ["closed"] == first.seen
    assert [None, None] == [flow.ended for flow in field.flows]


@pytest.mark.parametrize("seconds", [3.0, 10.0, 11.0])
def test_an_interruption_while_the_first_is_alone_reaches_it(seconds: float) -> None:
    """Also in the sleep that was cut for the second's sake, who is not asked any more."""
    first, second = Script("first", 60), Script("second", 5)
    field = Field(first, second)
    interruption = Interruption()

    def late(effect: Effect) -> BaseException:
        field.time.advance(seconds)
        return interruption

    with pytest.raises(Interruption):
        field.run(late)

    assert [interruption] == first.seen
    assert [Sleep(10.0)] == field.effects
    assert [] == field.asked_at


def test_a_line_that_breaks_is_told_to_who_sent() -> None:
    """And to nobody else; what it makes of it is its own affair."""
    lost = TransportFailed("second", "the line broke")

    def mending() -> Flow[End]:
        try:
            yield send("second")
        except TransportFailed:
            yield Sleep(3.0)
        return End("second")

    first, second = Script("first", 60), Script("second")
    second.flow = mending()
    field = Field(first, second)

    assert [End("second")] == field.run(lambda e: lost if isinstance(e, Send) else None)

    assert [10.0, "second", 3.0] == field.order
    assert ["closed"] == first.seen


def test_an_error_that_a_flow_lets_through_ends_the_race() -> None:
    """Thrown into a send, while the other one sleeps."""
    lost = TransportFailed("first", "the line broke")
    first, second = Script("first", 12, send("first")), Script("second", 60)
    field = Field(first, second)

    with pytest.raises(TransportFailed) as caught:
        field.run(lambda effect: lost if isinstance(effect, Send) else None)

    assert caught.value is lost
    assert [None, lost] == first.seen
    assert ["closed"] == second.seen


@pytest.mark.parametrize("effects", [1, 2, 3])
def test_a_race_that_is_closed_closes_both(effects: int) -> None:
    """The caller has dropped the conversation, whatever it waited for."""
    first, second = Script("first", 60), Script("second", send("second"), 5)
    field = Field(first, second)

    next(field.play)
    for _ in range(effects - 1):
        field.time.advance(10)
        field.play.send(None)
    field.play.close()

    assert ["closed"] == first.seen
    assert [[], [], ["closed"], [None, "closed"]][effects] == second.seen


def test_a_second_that_cannot_be_made_closes_the_first() -> None:
    """The error travels; nothing is left hanging."""
    first = Script("first", 60)
    time = ManualTime()

    def second() -> Flow[End] | None:
        raise OSError("the ledger's disk is full")

    play = hedge([], first.flow, second, at=1010.0, clock=time.clock)
    next(play)
    time.advance(10)

    with pytest.raises(OSError, match="disk is full"):
        play.send(None)

    assert ["closed"] == first.seen


# News


def test_a_sleep_that_waits_for_news_still_does() -> None:
    """Its wake goes along, in every part of it."""
    first = Script("first", Sleep(30.0, wake("first")))
    second = Script("second", Sleep(50.0, wake("second")), won=False)
    field = Field(first, second)

    field.run()

    assert [Sleep(10.0, wake("first")), Sleep(20.0, wake("first"))] == field.effects[:2]


@pytest.mark.parametrize("seconds", [3.0, 10.0, 11.0])
def test_news_go_to_the_flow_at_once(seconds: float) -> None:
    """Before the second is asked for, which may then not be needed, also at the last moment."""
    first = Script("first", Sleep(30.0, wake("first")))
    field = Field(first, Script("second"))

    def early(effect: Effect) -> int:
        field.time.advance(seconds - 10.0)
        return 7

    assert [End("first")] == field.run(early)

    assert [7] == first.seen
    assert seconds == field.seconds
    assert [] == field.asked_at


def test_news_after_the_second_has_begun_go_to_who_waited_for_them() -> None:
    """By number, so that nothing is missed between two waits."""
    first = Script("first", Sleep(30.0, wake("first")))
    second = Script("second", Sleep(100.0, wake("second")))
    field = Field(first, second)

    def news(effect: Effect) -> int | None:
        return 9 if effect == Sleep(20.0, wake("first")) else None

    assert [End("first")] == field.run(news)

    assert [9] == first.seen
    assert ["closed"] == second.seen


def test_a_time_that_comes_without_news_is_no_news() -> None:
    """Clients answer a sleep with the number that was seen already: the sleep just goes on."""
    first = Script("first", Sleep(30.0, wake("first", seen=4)))
    second = Script("second", Sleep(100.0, wake("second")))
    field = Field(first, second)

    assert [End("first")] == field.run(
        lambda e: e.wake.seen if isinstance(e, Sleep) and e.wake is not None else None
    )

    assert [10.0] == field.asked_at
    assert [10.0, 20.0] == field.order
    assert 30.0 == field.seconds


def test_a_sleep_that_ends_a_little_early_is_not_over() -> None:
    """Event loops round: an early end must not shorten what the provider asked for."""
    first, second = Script("first", 30), Script("second", 60)
    field = Field(first, second)

    early = [0.001]

    def cut(effect: Effect) -> None:
        field.time.advance(-early.pop() if early else 0.0)

    assert [End("first")] == field.run(cut)

    assert 30.0 == pytest.approx(field.seconds)
    assert field.asked_at == pytest.approx([10.0])


def test_a_time_that_is_over_already_starts_both() -> None:
    """An hour of waiting for a turn must not make the second wait as long again."""
    first, second = Script("first", send("first"), 20), Script("second", send("second"), 15)
    field = Field(first, second, at=-5.0)

    assert [End("second")] == field.run()

    assert [0.0] == field.asked_at
    assert ["first", "second", 15.0] == field.order


def test_a_flow_of_the_race_cannot_be_forgotten() -> None:
    """The lanes tell, also afterwards, who was left: the route asks what they cost."""
    first, second = Script("first", 60), Script("second", 1)
    field = Field(first, second)

    field.run()

    assert [first.flow, second.flow] == [flow.flow for flow in field.flows]


def test_what_a_flow_does_while_it_is_closed_is_done_before_the_race_ends() -> None:
    """It settles or keeps what it holds; the winner's result comes after that."""
    order: list[str] = []

    def leaving() -> Flow[End]:
        try:
            yield Sleep(60.0)
        finally:
            order.append("left")
        return End("first")

    first: Any = Script("first")
    first.flow = leaving()
    field = Field(first, Script("second", 1))

    field.run()
    order.append("ended")

    assert ["left", "ended"] == order
