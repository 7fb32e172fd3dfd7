"""Routes at random: whatever accounts, lines and clocks do, nothing is paid twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import Factory, define, field
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from example_provider import Halide, reply
from routed_calls import ExplicitHalide, RoutedCalls, account, broken, done, failed, refused
from wanbridge.adapters.offers import RateLimits
from wanbridge.adapters.steps import Resend
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import Effect, Flow, Send, Sleep
from wanbridge.engine.events import Asking, Event
from wanbridge.errors import CallFailed, Charge, WanbridgeError
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.money.budgets import Budget
from wanbridge.routing.purchase import Generate, Submit
from wanbridge.routing.route import Route

NAMES = ("ash", "elm", "oak", "fir", "yew")
# More than any call here takes; a call that goes on for ever has no end at all.
MOST_EFFECTS = 600
HTML = reply(b"<html>Bad gateway</html>", 502)

# What a submit is answered with, and what has come of it: free, bought or unknown.
FREE, BOUGHT, UNKNOWN = "free", "bought", "unknown"
SUBMITS: dict[str, tuple[object, str]] = {
    "accepted": (None, BOUGHT),
    "done": (done("t"), BOUGHT),
    "done without a picture": (reply({"status": "done", "urls": []}), UNKNOWN),
    "failed": (failed(), FREE),
    "failed, charged": (failed("Charged"), UNKNOWN),
    "bad request": (refused("BadSize", 400), FREE),
    "wrong key": (refused("NoKey", 401), FREE),
    "no credit": (refused("NoCredit", 402), FREE),
    "content": (refused("Moderated", 400), FREE),
    "edge": (reply(b"<html>blocked</html>", 403), FREE),
    "full": (refused("Busy", 429), FREE),
    "full for 1 s": (refused("Busy", 429, retry_after="1"), FREE),
    "full for 5 s": (refused("Busy", 429, retry_after="5"), FREE),
    "full for an hour": (refused("Busy", 429, retry_after="3600"), FREE),
    "500": (refused("Boom", 500), UNKNOWN),
    "503": (refused("Down", 503, retry_after="3"), UNKNOWN),
    "html": (HTML, UNKNOWN),
    "redirect": (reply(b"", 302, location="https://elsewhere.example"), UNKNOWN),
    "cut": (reply(b'{"task_id": "t-'), UNKNOWN),
    "no id": (reply({"ok": True}), UNKNOWN),
    "broken": (broken(), UNKNOWN),
    "no connection": (broken(charge=Charge.NO), FREE),
    "interrupted": (KeyboardInterrupt(), UNKNOWN),
}
POLLS: dict[str, tuple[object, str | None]] = {
    "running": (None, None),
    "done": (done("t"), None),
    "done without a picture": (reply({"task_id": "t", "status": "done", "urls": []}), None),
    "failed": (failed(), FREE),
    "refused": (failed("Moderated"), FREE),
    "failed, charged": (failed("Charged"), BOUGHT),
    "lost": (reply({"status": "unknown"}), None),
    "500": (refused("Boom", 500), None),
    "full": (refused("Busy", 429, retry_after="4"), None),
    "wrong key": (refused("NoKey", 401), None),
    "html": (HTML, None),
    "broken": (broken(), None),
    "interrupted": (KeyboardInterrupt(), None),
}
FINDS: dict[str, object] = {
    "found": reply({"status": "found", "task_id": "t"}),
    "absent": reply({"status": "absent"}),
    "unknown": reply({"status": "who knows"}),
    "later": reply({"status": "later", "seconds": 30}),
    "much later": reply({"status": "later", "seconds": 1000}),
    "500": refused("Boom", 500),
    "broken": broken(),
    "interrupted": KeyboardInterrupt(),
}


@define
class World:
    """What has really come of the submits of one call, by account.

    Attributes:
        absent: How many reads in a row said that there is no such task.
    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    routed: RoutedCalls
    pays_again: bool
    safe: frozenset[str]
    state: dict[str, str] = Factory(dict)
    absent: dict[str, int] = Factory(dict)
    sends: list[str] = field(factory=list)
    story: list[str] = field(factory=list)

    def answer(self, effect: Effect) -> object:
        """What *effect* brings."""
        assert isinstance(effect, Send)
        who, path = effect.account, effect.request.url.rsplit("/v1/", 1)[1]
        if effect.billable:
            self._may_be_sent(who)
            said = self.draw(st.sampled_from(list(SUBMITS)))
            answer, came = SUBMITS[said]
            if said == "accepted":
                answer = reply({"task_id": f"t-{who}", "status": "queued"})
            # What arrived once cannot be undone by a later refusal of the same key.
            if self.state.get(who, FREE) == FREE or came == BOUGHT:
                self.state[who] = came
            self.sends.append(who)
        elif path.startswith("keys/"):
            said = self.draw(st.sampled_from(list(FINDS)))
            answer = FINDS[said]
            if said != "broken":  # which is no read
                self.absent[who] = self.absent.get(who, 0) + 1 if said == "absent" else 0
            if self.absent.get(who) == 2:
                self.state[who] = FREE
            elif said == "found":
                self.state[who] = BOUGHT
        else:
            said = self.draw(st.sampled_from([*POLLS, "running", "done"]))
            answer, changed = POLLS[said]
            if said == "running":
                answer = reply({"task_id": f"t-{who}", "status": "running"})
            self.state[who] = changed or self.state[who]
        self.story.append(f"{who} {path.partition('/')[0]}: {said}")
        return answer

    def _may_be_sent(self, who: str) -> None:
        """Promise 1: nothing is sent while something may be bought already."""
        pending = {name for name, state in self.state.items() if state != FREE}
        if who in self.safe:
            pending.discard(who)  # the provider makes the same key one purchase
        assert who not in pending, f"{who} was sent a second purchase: {self.story}"
        assert self.pays_again or not pending, f"{who} after {pending}: {self.story}"


@st.composite
def routes(
    draw: Callable[[st.SearchStrategy[Any]], Any],
) -> tuple[list[Halide], RoutedCalls, Route]:
    """Accounts, what a client knows of them, and a route over them."""
    names = NAMES[: draw(st.integers(1, 5))]
    adapters = []
    for name in names:
        safe = draw(st.sampled_from([Resend.NEVER, Resend.NEVER, Resend.SAME_KEY_IS_SAFE]))
        rates = RateLimits(running=draw(st.sampled_from([None, None, 1])))
        adapters.append(account(name, ExplicitHalide, resend=safe, rates=rates))
    prices = {n: draw(st.sampled_from(["0.02", "0.05", "0.11", None])) for n in names}
    chances = draw(st.sampled_from([0.0, 0.99]))
    deadline = draw(st.sampled_from([4.0, 20.0, 90.0]))
    limit = draw(st.sampled_from([None, None, "0.04", "0.12", "0.30"]))
    assumed = draw(st.sampled_from([None, Money("0.06", "USD")]))
    route = Route(
        names,
        on_uncertain=draw(st.sampled_from(["stop", "stop", "pay_again"])),
        hedge_after=draw(st.sampled_from([None, 0.5, 3.0, 12.0])),
        budget=None if limit is None else Budget(Money(limit, "USD"), "day"),
        assume_cost=assumed,
        name="random",
    )
    timeouts = Timeouts(deadline=deadline)
    ledger = MemoryLedger()
    return (
        adapters,
        RoutedCalls(prices, ledger=ledger, timeouts=timeouts, chance=lambda: chances),
        route,
    )


@define
class Call:
    """One call under way.

    Attributes:
        due: When a sleep is over, on the clock.
    """

    key: str
    flow: Flow[Any]
    world: World
    asked: list[str] = field(factory=list)
    effect: Effect | None = None
    due: float = 0.0
    steps: int = 0
    result: ImageResult | Job | None = None
    error: BaseException | None = None

    def step(self, answer: object) -> None:
        """Go on with *answer* to the next effect, or to the end."""
        self.steps += 1
        assert self.steps < MOST_EFFECTS, f"it does not end: {self.world.story[-20:]}"
        self.effect = None
        try:
            if isinstance(answer, BaseException):
                # A new one each time: attempts and causes are hung on it.
                effect = self.flow.throw(_again(answer))
            else:
                effect = self.flow.send(answer)
        except StopIteration as stop:
            self.result = stop.value
        except AssertionError:
            raise
        except BaseException as exc:
            self.error = exc
        else:
            self.effect = effect
            if isinstance(effect, Sleep):
                assert effect.seconds >= 0
                self.due = self.world.routed.runner.time.clock() + effect.seconds


def _again(error: BaseException) -> BaseException:
    made = type(error)(*error.args)
    if isinstance(error, CallFailed) and isinstance(made, CallFailed):
        made.charge = error.charge
    return made


def play_together(calls: list[Call], watch: Callable[[], None]) -> None:
    """Play *calls* in whatever order; time goes by as it likes, and *watch* sees every step."""
    jumps = st.sampled_from([0.0, 0.0, 0.0, 0.01, 1.0, 7.0, 45.0])
    for call in calls:
        call.step(None)
    while running := [call for call in calls if call.effect is not None]:
        watch()
        call = running[0] if len(running) == 1 else running[0].world.draw(st.sampled_from(running))
        time, answer = call.world.routed.runner.time, None
        if isinstance(call.effect, Sleep):
            time.advance(max(0.0, call.due - time.clock()))
        elif call.effect is not None:
            answer = call.world.answer(call.effect)
        time.advance(call.world.draw(jumps))
        call.step(answer)
    watch()


def check_calls(
    data: st.DataObject, adapters: list[Halide], routed: RoutedCalls, route: Route, keys: list[str]
) -> None:
    """Calls at the same time, each held against what has really come of it."""
    safe = frozenset(a.account for a in adapters if a.resend is Resend.SAME_KEY_IS_SAFE)
    limit = route.budgets[0].limit.amount if route.budgets else None
    calls = []
    for key in keys:
        operation: Any = data.draw(st.sampled_from([Generate(), Generate(), Generate(), Submit()]))
        pays_again = route.on_uncertain == "pay_again" and not operation.wants_job
        asked: list[str] = []
        flow = routed.flow(
            *adapters, route=route, operation=operation, key=key, emit=partial(_asked, asked)
        )
        calls.append(Call(key, flow, World(data.draw, routed, pays_again, safe), asked))

    def within_budget() -> None:
        assert limit is None or routed.spent(route) <= limit

    play_together(calls, within_budget)
    for call in calls:
        check_call(call, routed)


def _asked(asked: list[str], happened: Event) -> None:
    if isinstance(happened, Asking):
        asked.append(happened.account)


def check_call(call: Call, routed: RoutedCalls) -> None:
    """What it returned or raised, against what has really come of it."""
    world, asked, result, error = call.world, call.asked, call.result, call.error
    assert len(asked) == len(set(asked)), f"asked twice: {asked}"
    assert set(world.sends) <= set(asked)
    if isinstance(error, KeyboardInterrupt):
        event("interrupted")
        _assert_still_held(routed, world, call.key)
        return
    assert error is None or isinstance(error, WanbridgeError), repr(error)
    if isinstance(result, Job):
        return
    attempts: tuple[Attempt, ...] = (result or error).attempts  # type: ignore[union-attr]
    event(type(error).__name__ if error else "delivered")
    tried = [a for a in attempts if a.outcome != "skipped"]
    assert sorted(asked) == sorted(a.provider for a in tried), world.story
    for attempt in tried:
        came = world.state.get(attempt.provider, FREE)
        said = f"{attempt.outcome}: {attempt.detail}; {world.story}"
        assert attempt.charge is not Charge.NO or came == FREE, said
        assert attempt.charge is not Charge.YES or came != FREE, said
        has = (attempt.job is not None) + (attempt.receipt is not None)
        assert attempt.charge is not Charge.MAYBE or has == 1, said
    sure = [a for a in tried if a.charge is Charge.YES]
    assert world.pays_again or len(sure) <= 1
    if isinstance(error, CallFailed) and error.charge is Charge.MAYBE:
        assert error.job is not None or error.receipt is not None
    if result is not None:
        assert 1 == len(result.images)
        assert "delivered" == attempts[-1].outcome
        others = [a for a in tried[:-1] if a.charge is not Charge.NO]
        assert len(others) == sum(note.field == "route" for note in result.notes)
    unsure = sorted(a.provider for a in tried if a.charge is Charge.MAYBE)
    mine = [h for h in routed.ledger.open() if h.key == call.key]
    held = sorted(h.account for h in mine if h.state != "delivered")
    assert unsure == held, world.story
    here = [(h.account, h.images) for h in mine if h.state == "delivered"]
    assert here == ([(result.provider, result.images)] if result is not None else []), world.story


def _assert_still_held(routed: RoutedCalls, world: World, key: str) -> None:
    """What may have been bought by an interrupted call is held, with the way to find it."""
    held = {h.account: h for h in routed.ledger.open() if h.key == key}
    assert held.keys() <= {who for who, came in world.state.items() if came != FREE}, world.story
    for who, came in world.state.items():
        if came == UNKNOWN:
            assert held[who].receipt is not None, world.story


def campaign(*, long: bool) -> None:
    """Calls of one client, one after the other and at once; many clients with ``-m slow``."""

    @settings(
        max_examples=20_000 if long else 200,
        derandomize=not long,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(data=st.data(), made=routes())
    def run(data: st.DataObject, made: tuple[list[Halide], RoutedCalls, Route]) -> None:
        adapters, routed, route = made
        for number in range(data.draw(st.integers(1, 2))):
            keys = [f"k-{number}-{at}" for at in range(data.draw(st.sampled_from([1, 1, 2, 3])))]
            check_calls(data, adapters, routed, route, keys)
            routed.runner.time.advance(data.draw(st.sampled_from([0.0, 20.0, 700.0])))

    logging.disable(logging.CRITICAL)  # it warns of every cool-down
    try:
        run()
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_no_route_pays_twice_whatever_happens(pytestconfig: pytest.Config) -> None:
    """One purchase until it is surely free; every send in the trace; budgets hold; it ends."""
    campaign(long=pytestconfig.option.markexpr == "slow")
