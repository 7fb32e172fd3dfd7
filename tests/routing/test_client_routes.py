"""Routes through both clients and the sandbox, whose own ledger counts; restarts, threads, tasks.

Time is the sandbox's own: sleeping moves it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from example_provider import reply
from routed_calls import ASH, ELM, account
from sandbox_calls import SharedClock
from wanbridge import AsyncClient, Budget, Client, ImageRequest, Route
from wanbridge.adapters.steps import Done, NotAccepted
from wanbridge.engine.events import Asking, Event, OperationName
from wanbridge.errors import (
    AllProvidersFailed,
    BudgetExceeded,
    CallFailed,
    ConfigurationError,
    CreditExhausted,
    GenerationFailed,
    InvalidRequest,
    SubmissionUncertain,
    UnknownProvider,
    WanbridgeError,
)
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.sqlite import SqliteLedger
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.result import ImageResult
from wanbridge.sandbox import Sandbox
from wanbridge.transport.library import httpx

HERON = ImageRequest("a heron at dusk", size="1K")
TWO = ("reapi", "runware")
DOLLAR = Money("1.00", "USD")

_OPENED: list[SqliteLedger] = []


def opened(path: Path, **how: Any) -> SqliteLedger:
    """A ledger, which is closed at the end of its test."""
    _OPENED.append(SqliteLedger(path, **how))
    return _OPENED[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


class World:
    """A sandbox, and clients of one kind; those for asyncio are played by a loop of their own."""

    def __init__(self, kind: type[Client] | type[AsyncClient]) -> None:
        self.clock = SharedClock()
        self.sandbox = Sandbox(clock=self.clock)
        self.kind = kind
        self._runner = asyncio.Runner()
        self._clients: list[Any] = []

    def client(self, **options: Any) -> Any:
        """A client of the sandbox, with blocking methods."""
        clock = self.clock
        blocking = self.kind is Client
        given: dict[str, Any] = {
            "clock": clock,
            "now": clock.now,
            "chance": lambda: 0.5,
            "sleep": clock.sleep if blocking else clock.sleep_async,
            **options,
        }
        made: Any = self.kind.sandbox(self.sandbox, **given)
        self._clients.append(made)
        return made if blocking else _Blocking(made, self._runner)

    def close(self) -> None:
        for made in self._clients:
            closing = made.close()
            if closing is not None:
                self._runner.run(closing)
        self._runner.close()

    def posts(self) -> list[str]:
        """Who was sent a submit, in order."""
        return [post["provider"] for post in self.sandbox.ledger()["posts"]]

    def charged(self) -> dict[str, int]:
        """Pictures charged for, without what was refunded."""
        charges = self.sandbox.ledger()["charges"]
        return dict(
            Counter(c["provider"] for c in charges if not c["refunded"] for _ in range(c["images"]))
        )


class _Blocking:
    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **named: Any) -> Any:
            made = method(*args, **named)
            return self._runner.run(made) if asyncio.iscoroutine(made) else made

        return call


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of cool-downs."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "awaiting"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(request.param)
    with quiet():
        yield made
    made.close()


# -- which route ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param({"route": "careful"}, "dashscope", id="by name"),
        pytest.param({"route": Route(("kie", "reapi"))}, "kie", id="by value"),
        pytest.param({"route": "cheapest"}, "reapi", id="by order"),
        pytest.param({"route": "given"}, "crun", id="as given"),
        pytest.param({"provider": "gccai"}, "gccai", id="one account"),
        pytest.param({}, "empiriolabs", id="the default"),
    ],
)
def test_a_call_says_whom_it_may_ask(world: World, how: Mapping[str, Any], expected: str) -> None:
    """By account, by a configured route, by an order, by a value, or not at all."""
    client = world.client(
        routes={"careful": Route(("dashscope",)), "default": Route(("empiriolabs", "reapi"))}
    )

    result = client.generate(HERON, **how)

    assert expected == result.provider
    assert [expected] == world.posts()


def test_an_order_asks_every_account_that_can(world: World) -> None:
    """``fastest`` and ``spread`` are routes to all of them."""
    client = world.client()

    for order in ("fastest", "spread"):
        assert client.generate(HERON, route=order).images

    assert 2 == len(world.posts())


def test_a_route_of_ones_own_may_be_called_like_an_order(world: World) -> None:
    """What is configured comes first."""
    client = world.client(routes={"cheapest": Route(("runware",))})

    assert "runware" == client.generate(HERON, route="cheapest").provider


def test_a_provider_and_a_route_are_one_too_many(world: World) -> None:
    """As with a function that has no such argument: a TypeError."""
    client = world.client()

    with pytest.raises(TypeError, match="provider= or route=, not both"):
        client.generate(HERON, provider="reapi", route="cheapest")
    assert [] == world.posts()


def test_an_unknown_route_names_the_nearest(world: World) -> None:
    """And all there are."""
    client = world.client(routes={"careful": Route(("dashscope",))})

    with pytest.raises(ConfigurationError) as caught:
        client.generate(HERON, route="carefull")

    assert (
        "no route is called 'carefull'; did you mean 'careful'?"
        " there are: careful, given, cheapest, fastest, spread" == str(caught.value)
    )


def test_a_route_to_an_unknown_account_is_refused_when_it_is_made(world: World) -> None:
    """A client with it is not made; a value that is passed is refused before anything is sent."""
    with pytest.raises(UnknownProvider, match="route careful: no account is called reapy"):
        world.client(routes={"careful": Route(("reapy",))})
    with pytest.raises(UnknownProvider, match="no account is called reapy"):
        world.client().generate(HERON, route=Route(("reapy", "reapi")))
    assert [] == world.posts()


def test_what_nobody_could_be_sent_is_one_error(world: World) -> None:
    """Not seven refusals."""
    with pytest.raises(InvalidRequest):
        world.client().generate("a heron", n=0, route="cheapest")


def test_an_account_that_cannot_take_a_request_is_skipped(world: World) -> None:
    """With the reason in the trace, field by field."""
    request = ImageRequest("a heron", size="1K", negative_prompt="rain")
    client = world.client()
    able = [name for name, said in client.explain(request).items() if said.ok]
    unable = [name for name, said in client.explain(request).items() if not said.ok]
    assert able
    assert unable

    result = client.generate(request, route=Route((*unable, *able)))

    assert able[0] == result.provider
    skipped = result.attempts[: len(unable)]
    assert [(name, "skipped") for name in unable] == [(a.provider, a.outcome) for a in skipped]
    assert all("negative_prompt: " in attempt.detail for attempt in skipped)


def test_a_route_may_drop_what_cannot_be_said(world: World) -> None:
    """Its own fields and the call's together."""
    request = ImageRequest("a heron", size="1K", negative_prompt="rain")
    (first, *_) = [n for n, said in world.client().explain(request).items() if not said.ok]
    client = world.client(routes={"loose": Route((first,), may_drop=("negative_prompt",))})

    result = client.generate(request, route="loose")

    assert ["negative_prompt"] == [n.field for n in result.notes if n.kind == "dropped"]


def test_a_route_has_a_deadline_and_the_call_a_nearer_one(world: World) -> None:
    """The call's counts where both say."""
    world.sandbox = Sandbox(clock=world.clock, latency=1000.0)
    client = world.client(routes={"quick": Route(("reapi",), deadline=20.0)})

    took = []
    for how in ({"route": "quick"}, {"route": "quick", "deadline": 7.0}):
        began = world.clock()
        with pytest.raises(CallFailed) as caught:
            client.generate(HERON, **how)
        assert caught.value.job is not None
        took.append(world.clock() - began)

    assert [20.0, 7.0] == [pytest.approx(seconds, abs=0.01) for seconds in took]


def test_progress_says_who_is_asked(world: World) -> None:
    """Through the client's listener, too."""
    events: list[Event] = []
    world.sandbox.fault("no_credit", provider="reapi")
    client = world.client(on_progress=events.append)

    client.generate(HERON, route=Route(TWO))

    assert list(TWO) == [e.account for e in events if isinstance(e, Asking)]


# -- failing over --------------------------------------------------------------------------


def test_an_empty_account_is_passed_by_and_parked(world: World) -> None:
    """The first call finds out, the second one knows; both are delivered."""
    world.sandbox.fault("no_credit", provider="reapi", times=None)
    client = world.client()

    first, second = (client.generate(HERON, route=Route(TWO)) for _ in range(2))

    assert ["reapi", "runware", "runware"] == world.posts()
    assert {"runware": 2} == world.charged()
    assert ["CreditExhausted", "delivered"] == [a.outcome for a in first.attempts]
    assert ["skipped", "delivered"] == [a.outcome for a in second.attempts]


def test_the_line_that_broke_stops_the_route(world: World) -> None:
    """One submit in all; the receipt leads to the task."""
    world.sandbox.fault("accept_then_drop", provider="reapi")
    client = world.client()

    with pytest.raises(SubmissionUncertain) as caught:
        client.generate(HERON, route=Route(TWO))

    assert ["reapi"] == world.posts()
    (task,) = world.sandbox.tasks()
    receipt = caught.value.receipt
    assert receipt is not None
    result = client.wait(client.adopt(receipt, task["id"]))
    assert 1 == len(result.images)
    assert {"reapi": 1} == world.charged()


def test_a_submit_that_was_never_accepted_goes_on_after_a_look_up(world: World) -> None:
    """Runware knows its keys: it is looked up when it can say, and then the next is asked."""
    world.sandbox.fault("drop", provider="runware", times=None)
    client = world.client()

    result = client.generate(HERON, route=Route(("runware", "reapi")))

    assert "reapi" == result.provider
    assert {"reapi": 1} == world.charged()
    assert "looked up: not accepted" in result.attempts[0].detail


def test_nobody_left_is_said_with_every_reason(world: World) -> None:
    """An ExceptionGroup, that ``except*`` takes apart."""
    world.sandbox.fault("no_credit", provider="reapi")
    world.sandbox.fault("fail_generation", provider="dashscope")
    client = world.client()

    with pytest.raises(AllProvidersFailed) as caught:
        client.generate(HERON, route=Route(("reapi", "dashscope"), name="two"))

    assert "route two: 2 tried, 0 not asked" in str(caught.value)
    assert CreditExhausted is type(caught.value.exceptions[0])
    assert ["reapi", "dashscope"] == [a.provider for a in caught.value.attempts]


def test_paying_again_is_in_the_result(world: World) -> None:
    """Note, attempt, and a receipt to look the first one up."""
    world.sandbox.fault("accept_then_drop", provider="reapi")
    client = world.client()

    result = client.generate(HERON, route=Route(TWO, on_uncertain="pay_again"))

    assert "runware" == result.provider
    assert 1 == sum(note.field == "route" for note in result.notes)
    assert result.attempts[0].receipt is not None
    assert result == ImageResult.from_json(result.to_json())


# -- money ---------------------------------------------------------------------------------


def test_a_thousand_threads_stay_within_the_budget() -> None:
    """What the sandbox has charged is the budget to the cent; all others are refused."""
    sandbox = Sandbox(latency=0)
    route = Route(("runware",), budget=Money("3.00", "USD"), name="capped")
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()
    with Client.sandbox(sandbox, sleep=lambda seconds: None) as client:

        def one(_: int) -> None:
            try:
                said = type(client.generate(HERON, route=route)).__name__
            except WanbridgeError as exc:
                said = type(exc).__name__
            with lock:
                outcomes[said] += 1

        with ThreadPoolExecutor(64) as pool:
            list(pool.map(one, range(1000)))

    assert {"ImageResult": 100, "BudgetExceeded": 900} == outcomes
    assert Decimal("3.00") == Decimal(sandbox.ledger()["totals"]["runware"]["charged"])
    assert 100 == len(sandbox.ledger()["posts"])


def test_a_thousand_tasks_stay_within_the_budget() -> None:
    """The same for asyncio, with two accounts and some that fail."""
    sandbox = Sandbox(latency=0)
    sandbox.fault("fail_generation", provider="reapi", times=20)
    route = Route(TWO, budget=Money("3.00", "USD"), name="capped")

    async def rest(seconds: float) -> None:
        await asyncio.sleep(0)

    async def run() -> Counter[str]:
        async with AsyncClient.sandbox(sandbox, sleep=rest) as client:
            calls = (client.generate(HERON, route=route) for _ in range(1000))
            found = await asyncio.gather(*calls, return_exceptions=True)
        return Counter(type(one).__name__ for one in found)

    with quiet():
        outcomes = asyncio.run(run())

    charged = sandbox.ledger()["totals"]
    dollars = Decimal(charged["reapi"]["charged"]) / 1000 + Decimal(charged["runware"]["charged"])
    assert dollars <= Decimal("3.00")
    # Nothing is left that would have bought another picture of the cheaper one.
    assert Decimal("3.00") - dollars < Decimal("0.024")
    assert set(outcomes) <= {"ImageResult", "BudgetExceeded", "AllProvidersFailed"}
    assert 1000 == outcomes.total()
    pictures = sum(c["images"] for c in sandbox.ledger()["charges"] if not c["refunded"])
    assert outcomes["ImageResult"] == pictures


def test_a_budget_survives_a_restart(world: World, tmp_path: Path) -> None:
    """Another client, or process, over the same file knows what is spent."""
    path = tmp_path / "spent.db"
    route = Route(("reapi",), budget=Budget(Money("0.05", "USD"), "day"), name="small")
    first = world.client(ledger=opened(path))
    first.generate(HERON, route=route)
    first.generate(HERON, route=route)

    second = world.client(ledger=opened(path))
    with pytest.raises(BudgetExceeded) as caught:
        second.generate(HERON, route=route)

    assert (Money("0.024", "USD"), Money("0.002", "USD")) == (
        caught.value.needed,
        caught.value.left,
    )
    world.clock.sleep(86_400)
    assert second.generate(HERON, route=route).images


def test_a_ledger_in_memory_counts_for_one_client(world: World) -> None:
    """Without a ledger of the caller's a budget is for as long as the client lives."""
    route = Route(("reapi",), budget=Money("0.03", "USD"), name="small")
    client = world.client()
    client.generate(HERON, route=route)

    with pytest.raises(BudgetExceeded):
        client.generate(HERON, route=route)
    assert world.client().generate(HERON, route=route).images


def test_routes_without_a_name_share_a_budget_if_they_are_equal(world: World) -> None:
    """A route made anew for each call is no way around."""
    client = world.client()
    client.generate(HERON, route=Route(("reapi",), budget=Money("0.03", "USD")))

    with pytest.raises(BudgetExceeded):
        client.generate(HERON, route=Route(("reapi",), budget=Money("0.03", "USD")))
    assert client.generate(HERON, route=Route(("reapi",), budget=Money("0.04", "USD"))).images


def test_a_job_is_settled_by_whoever_waits_for_it(world: World, tmp_path: Path) -> None:
    """Held while it is under way, spent when another client has its pictures."""
    path = tmp_path / "spent.db"
    budget = Budget(Money("0.05", "USD"))
    route = Route(("reapi",), budget=budget, name="small")
    first, ledger = world.client(ledger=opened(path)), opened(path)
    job = first.submit(HERON, route=route)
    (hold,) = ledger.open()
    assert ("reapi", job) == (hold.account, hold.job)

    result = world.client(ledger=opened(path)).wait(Job.from_json(job.to_json()))

    assert Money("0.024", "USD") == result.cost
    (hold,) = ledger.open()
    assert ("delivered", job, result.images) == (hold.state, hold.job, hold.images)
    assert Decimal("0.024") == ledger.spent("small/USD/ever", "")


def test_a_job_that_fails_gives_its_money_back(world: World, tmp_path: Path) -> None:
    """Where the provider refunds."""
    ledger = opened(tmp_path / "spent.db")
    client = world.client(ledger=ledger)
    world.sandbox.fault("fail_generation", provider="reapi")
    job = client.submit(HERON, route=Route(("reapi",), budget=Money("1", "USD"), name="small"))

    with pytest.raises(GenerationFailed):
        client.wait(job)

    assert () == ledger.open()
    assert Decimal(0) == ledger.spent("small/USD/ever", "")


def test_a_look_up_that_finds_nothing_gives_the_money_back(world: World, tmp_path: Path) -> None:
    """Also of a call to one account, which a ledger of one's own takes note of."""
    ledger = opened(tmp_path / "spent.db")
    client = world.client(ledger=ledger)
    world.sandbox.fault("drop", provider="runware", times=None)
    with pytest.raises(SubmissionUncertain) as caught:
        client.generate(HERON, provider="runware")
    (hold,) = ledger.open()
    assert caught.value.receipt == hold.receipt
    world.clock.sleep(60)

    found = client.reconcile(caught.value.receipt)

    assert isinstance(found, NotAccepted)
    assert () == ledger.open()


@pytest.mark.parametrize(
    ("how", "spent"),
    [
        pytest.param(
            {"route": Route(("reapi",), budget=DOLLAR, name="small")}, "0.024", id="route"
        ),
        pytest.param({"provider": "reapi"}, "0", id="adopted"),
        pytest.param({"provider": "runware", "deadline": 0.5}, "0", id="found"),
    ],
)
def test_a_job_that_was_found_later_is_settled(
    world: World, tmp_path: Path, how: Mapping[str, Any], spent: str
) -> None:
    """A receipt, then its task, then the pictures: then it is spent, and only they are open."""
    ledger = opened(tmp_path / "spent.db")
    client = world.client(ledger=ledger)
    world.sandbox.fault("accept_then_drop")
    with pytest.raises(SubmissionUncertain) as caught:
        client.generate(HERON, **how)
    receipt = caught.value.receipt
    assert receipt is not None
    assert [None] == [hold.job for hold in ledger.open()]
    found = client.reconcile(receipt)
    (task,) = world.sandbox.tasks()
    job = found if isinstance(found, Job) else client.adopt(receipt, task["id"])

    result = client.wait(job)

    assert ["delivered"] == [hold.state for hold in ledger.open()]
    ledger.done(result)
    assert () == ledger.open()
    assert Decimal(spent) == ledger.spent("small/USD/ever", "")


_KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from wanbridge import Budget, Client, Money, Route
from wanbridge.transport.library import httpx
from wanbridge.sandbox import Sandbox
from wanbridge.ledger.sqlite import SqliteLedger

class Deadly(httpx.BaseTransport):
    def handle_request(self, request):
        os.kill(os.getpid(), signal.SIGKILL)

at = datetime.fromtimestamp(float(sys.argv[2]), UTC)
route = Route(("runware",), budget=Budget(Money("0.05", "USD")), name="small")
http = httpx.Client(transport=Deadly())
client = Client.sandbox(Sandbox(), http=http, ledger=SqliteLedger(sys.argv[1]), now=lambda: at)
client.generate("a heron at dusk", size="1K", key="k-killed", route=route)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_a_process_that_is_killed_leaves_its_receipt(world: World, tmp_path: Path) -> None:
    """In the middle of a submit, with no chance to say a word: the ledger has said it before."""
    path = tmp_path / "spent.db"
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(path), str(world.clock())],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert -signal.SIGKILL == ran.returncode, ran.stderr.decode()
    ledger = opened(path)
    (hold,) = ledger.open()
    assert hold.receipt is not None
    assert ("k-killed", "runware", None) == (hold.receipt.key, hold.account, hold.job)
    assert Decimal("0.03") == ledger.spent("small/USD/ever", "")
    client = world.client(ledger=ledger)
    route = Route(("runware",), budget=Budget(Money("0.05", "USD")), name="small")
    with pytest.raises(BudgetExceeded):
        client.generate(HERON, route=route)
    world.clock.sleep(60)

    assert isinstance(client.reconcile(hold.receipt), NotAccepted)

    assert () == ledger.open()
    assert client.generate(HERON, route=route).images


def test_a_route_asks_nobody_without_its_ledger(world: World, tmp_path: Path) -> None:
    """A file that somebody else has locked stops the call before the first byte."""
    path = tmp_path / "spent.db"
    client = world.client(ledger=opened(path, wait=0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(ConfigurationError, match="ledger"):
            client.generate(HERON, route=Route(TWO))
    finally:
        other.close()

    assert [] == world.posts()
    assert client.generate(HERON, route=Route(TWO)).images


# -- shared by all calls -------------------------------------------------------------------


def test_a_cool_down_is_shared_by_all_threads() -> None:
    """One call finds out that the account is empty; fifty at once leave it alone."""
    sandbox = Sandbox(latency=0)
    sandbox.fault("no_credit", provider="reapi", times=None)
    with quiet(), Client.sandbox(sandbox, sleep=lambda seconds: None) as client:
        client.generate(HERON, route=Route(TWO))
        with ThreadPoolExecutor(16) as pool:
            calls = [pool.submit(client.generate, HERON, route=Route(TWO)) for _ in range(50)]
            results = [call.result() for call in calls]

    posts = Counter(post["provider"] for post in sandbox.ledger()["posts"])
    assert {"reapi": 1, "runware": 51} == posts
    assert {"skipped"} == {result.attempts[0].outcome for result in results}


def test_another_client_has_its_own_cool_downs(world: World) -> None:
    """They may be other accounts."""
    world.sandbox.fault("no_credit", provider="reapi", times=2)

    for _ in range(2):
        world.client().generate(HERON, route=Route(TWO))

    assert ["reapi", "runware", "reapi", "runware"] == world.posts()


@define
class Recorder:
    """Telemetry that keeps what it is told."""

    calls: list[dict[str, Any]] = field(factory=list)

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> Recording:
        self.calls.append(
            {"operation": operation, "model": model, "route": route, "provider": provider}
        )
        return Recording(self.calls[-1])


@define
class Recording:
    call: dict[str, Any]

    def on_event(self, event: Event) -> None:
        self.call.setdefault("events", []).append(type(event).__name__)

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        self.call["ended"] = type(result or error).__name__


def test_telemetry_watches_every_call(world: World) -> None:
    """Which route or account, every event, and the end."""
    recorder = Recorder()
    world.sandbox.fault("no_credit", provider="reapi", times=None)
    client = world.client(telemetry=recorder, routes={"two": Route(TWO)})

    client.generate(HERON, route="two")
    job = client.submit(HERON, provider="runware")
    client.wait(job)
    with pytest.raises(AllProvidersFailed):
        client.generate(HERON, route=Route(("reapi",), name="one"))

    said = [(c["operation"], c["route"], c["provider"], c["ended"]) for c in recorder.calls]
    assert [
        ("generate", "two", None, "ImageResult"),
        ("submit", None, "runware", "Job"),
        ("wait", None, "runware", "ImageResult"),
        ("generate", "one", None, "AllProvidersFailed"),
    ] == said
    assert ["Asking", "Submitting", "Asking", "Submitting", "Accepted"] == (
        recorder.calls[0]["events"][:5]
    )


def test_no_key_is_in_the_log_of_a_route(caplog: pytest.LogCaptureFixture) -> None:
    """Also where a provider says it back."""

    def echo(request: httpx.Request) -> httpx.Response:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        said = reply({"code": "NoCredit", "message": f"the key {key} has no credit"}, 402)
        return httpx.Response(402, content=said.body, request=request)

    caplog.set_level(logging.DEBUG, "wanbridge")
    http = httpx.Client(transport=httpx.MockTransport(echo))
    with Client([ASH, ELM], http=http) as client, pytest.raises(AllProvidersFailed):
        client.generate("a heron", route="given")

    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "CreditExhausted" in told
    assert "sk-ash-1" not in told
    assert "sk-elm-1" not in told


def test_two_accounts_with_one_provider_are_two_candidates() -> None:
    """Each with its own name, key and cool-down."""
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Authorization"])
        said = reply({"code": "NoCredit"}, 402)
        return httpx.Response(402, content=said.body, request=request)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    bridge = Client([account("work"), account("home")], http=http)
    with quiet(), bridge, pytest.raises(AllProvidersFailed) as caught:
        bridge.generate("a heron", route="given")

    assert ["Bearer sk-work-1", "Bearer sk-home-1"] == keys
    assert ["work", "home"] == [a.provider for a in caught.value.attempts]


# -- comparing -----------------------------------------------------------------------------

RATES = {"base": "USD", "date": "2026-11-20", "CNY": "0.14", "CRUN-CREDITS": "0.005"}


def test_comparing_buys_nothing(world: World) -> None:
    """Comparable prices first, the cheapest first; then the rest."""
    client = world.client(rates=RATES)

    quotes = client.compare(HERON)

    common = [q.in_currency.amount for q in quotes if q.in_currency is not None]
    assert sorted(common) == common
    assert 6 == len(common)
    assert ("crun", None) == (quotes[-1].provider, quotes[-1].money)
    assert [] == world.posts()


def test_each_route_compares_in_the_currency_of_its_own_budget(world: World) -> None:
    """Quotes are kept between calls, but not one currency's for another's."""
    client = world.client(rates=RATES)

    said = [
        client.generate(
            HERON, route=Route(["gccai"], order="cheapest", budget=Money("50", currency))
        ).attempts[-1]
        for currency in ("USD", "CNY", "USD")
    ]

    assert ["costs 0.0280 USD", "costs 0.20 CNY", "costs 0.0280 USD"] == [a.detail for a in said]


def test_comparing_live_asks_who_estimates(world: World) -> None:
    """Crun has an endpoint for it; the others keep the price from their pages."""
    client = world.client(rates=RATES)
    before = {q.provider: q for q in client.compare(HERON)}

    after = {q.provider: q for q in client.compare(HERON, live=True)}

    assert before.keys() == after.keys()
    assert Money("6", "CRUN-CREDITS") == after["crun"].money
    assert Money("0.030", "USD") == after["crun"].in_currency
    assert ("its live estimate for exactly this request",) == after["crun"].assumes
    assert {n: q for n, q in before.items() if n != "crun"} == {
        n: q for n, q in after.items() if n != "crun"
    }
    assert [] == world.posts()


def test_comparing_many_adds_them_up(world: World) -> None:
    """A generator will do; per account, and whoever is cheapest for each."""
    client = world.client(rates=RATES)
    batch = (ImageRequest(f"heron {number}", size="1K", n=2) for number in range(50))

    total = client.compare_all(batch)

    assert (50, 100, "USD") == (total.requests, total.images, total.currency)
    assert Money("2.40", "USD") == total.cheapest
    first = total.totals[0]
    assert ("reapi", 50, 0) == (first.provider, first.requests, first.refused)
    assert Money("2.40", "USD") == first.in_currency


def test_a_cheapest_route_asks_in_the_order_of_the_quotes(world: World) -> None:
    """What `compare` shows is what is done."""
    client = world.client(rates=RATES)
    quotes = [q.provider for q in client.compare(HERON) if q.in_currency is not None]
    for name in quotes[:3]:
        world.sandbox.fault("no_credit", provider=name)

    result = client.generate(HERON, route="cheapest")

    assert quotes[:4] == [attempt.provider for attempt in result.attempts]
    assert f"costs {result.cost}" == result.attempts[-1].detail


def test_a_client_that_cannot_send_holds_nothing(world: World) -> None:
    """Closed, or of another event loop: nothing has left, so nothing is at risk."""
    ledger = MemoryLedger()
    client = world.client(ledger=ledger)
    client.close()

    with pytest.raises(ConfigurationError, match="closed") as caught:
        client.generate(HERON, route=Route(TWO, budget=DOLLAR))

    assert () == ledger.open()
    assert not hasattr(caught.value, "receipt")


@pytest.mark.parametrize("key", [5, b"k", "", "  ", "a\nb", "\ud800"])
def test_a_key_of_ones_own_is_text(world: World, key: Any) -> None:
    """It is sent, stored and looked up by; nothing is bought with one that cannot be."""
    with pytest.raises(ConfigurationError, match="printable text"):
        world.client().generate(HERON, provider="reapi", key=key)

    assert [] == world.sandbox.ledger()["posts"]


def test_a_job_that_was_seen_to_end_is_settled(world: World) -> None:
    """Whoever polls by hand settles as well as whoever waits."""
    ledger = MemoryLedger()
    client = world.client(ledger=ledger)
    job = client.submit(HERON, route=Route(("reapi",), budget=DOLLAR, name="small"))
    assert 1 == len(ledger.open())

    while not isinstance(step := client.look(job), Done):
        world.clock.sleep(5.0)

    assert [step.delivery.images] == [hold.images for hold in ledger.open()]
    assert [world.clock.now()] == [hold.delivered_at for hold in ledger.open()]
    assert Decimal("0.024") == ledger.spent("small/USD/ever", "")


def test_a_job_that_was_seen_to_fail_gives_its_money_back(world: World) -> None:
    """As above; there is no picture, so nothing stays listed."""
    ledger = MemoryLedger()
    client = world.client(ledger=ledger)
    world.sandbox.fault("fail_generation", provider="reapi")
    job = client.submit(HERON, route=Route(("reapi",), budget=DOLLAR, name="small"))
    world.clock.sleep(60)

    with pytest.raises(GenerationFailed):
        client.look(job)

    assert () == ledger.open()
    assert Decimal(0) == ledger.spent("small/USD/ever", "")
