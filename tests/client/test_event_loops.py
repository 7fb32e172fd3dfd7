"""One `AsyncClient` in many event loops: one after the other, at the same time, and dead ones."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from wanbridge import AsyncClient, Budget, Money, Route, SqliteLedger, handle
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import Registry
from wanbridge.engine.context import Timeouts
from wanbridge.engine.events import Accepted, Event
from wanbridge.errors import BudgetExceeded, CallFailed, ConfigurationError
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.sandbox import Sandbox, running
from wanbridge.transport.library import httpx

QUICK = Timeouts(
    connect_timeout=2.0,
    read_timeout=5.0,
    poll_interval=PollInterval(first=0.02, factor=1.5, most=0.1),
)
KITE = ImageRequest("a red kite over dunes", size="1K")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on a loopback socket, whose tasks are done at once."""
    with running(Sandbox(latency=0)) as served:
        yield served


def client(sandbox: Sandbox, **options: Any) -> AsyncClient:
    """With the one account that has no documented rates."""
    adapter = Registry().build(
        "reapi", api_key=sandbox.api_key("reapi"), base_url=sandbox.base_url("reapi")
    )
    return AsyncClient([adapter], **{"timeouts": QUICK, **options})


async def buy(bridge: AsyncClient) -> str | None:
    return (await bridge.generate(KITE)).job_id


def unwatched(bridge: AsyncClient) -> None:
    """One call in a loop that is closed by hand, which ends no asynchronous generator."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(buy(bridge))
    finally:
        loop.close()


def sockets(sandbox: Sandbox) -> int:
    """How many of this process's sockets lead to the sandbox."""
    port, found = urlsplit(sandbox.base_url("reapi")).port, 0
    for one in gc.get_objects():
        if isinstance(one, socket.socket) and one.family == socket.AF_INET and one.fileno() >= 0:
            with suppress(OSError):  # one that listens leads nowhere
                found += one.getpeername()[1] == port
    return found


def test_a_program_runs_one_loop_after_the_other(sandbox: Sandbox) -> None:
    """``asyncio.run`` twice, or a hundred times: no connection outlives its loop."""
    bridge = client(sandbox)

    bought = {asyncio.run(buy(bridge)) for _ in range(20)}

    assert 20 == len(bought)
    assert 0 == sockets(sandbox)
    asyncio.run(bridge.close())


def test_a_loop_that_was_closed_by_hand_is_forgotten(sandbox: Sandbox) -> None:
    """Its sockets are closed by the next loop, without a warning; warnings are errors here."""
    bridge = client(sandbox)
    for _ in range(3):
        unwatched(bridge)
    assert 2 == sockets(sandbox)  # one for what buys, one for the polls, of the last loop

    asyncio.run(buy(bridge))
    assert 0 == sockets(sandbox)

    unwatched(bridge)
    asyncio.run(bridge.close())
    assert 0 == sockets(sandbox)


def test_connections_are_kept_while_their_loop_lives(sandbox: Sandbox) -> None:
    """A connection for each message would cost a handshake each."""
    opened = list[object]()

    async def run(bridge: AsyncClient) -> None:
        connect = asyncio.get_running_loop().sock_connect

        async def watched(sock: socket.socket, address: Any) -> None:
            opened.append(address)
            await connect(sock, address)

        asyncio.get_running_loop().sock_connect = watched  # type: ignore[method-assign]
        for _ in range(3):
            await buy(bridge)
        await bridge.close()

    asyncio.run(run(client(sandbox)))

    assert 2 == len(opened)  # one for what buys, one for the polls


def test_each_test_of_a_suite_has_a_loop(sandbox: Sandbox) -> None:
    """As test frameworks do it, with a client made once for all of them."""
    bridge = client(sandbox)

    class Suite(unittest.IsolatedAsyncioTestCase):
        async def test_one(self) -> None:
            await buy(bridge)

        async def test_another(self) -> None:
            await buy(bridge)

    outcome = unittest.defaultTestLoader.loadTestsFromTestCase(Suite).run(unittest.TestResult())

    assert (2, []) == (outcome.testsRun, [*outcome.errors, *outcome.failures])
    asyncio.run(bridge.close())


def test_a_notebook_goes_on_in_its_loop(sandbox: Sandbox) -> None:
    """A loop that runs from cell to cell, and another one in between."""
    bridge, notebook = client(sandbox), asyncio.new_event_loop()

    bought = {notebook.run_until_complete(buy(bridge)) for _ in range(2)}
    bought.add(asyncio.run(buy(bridge)))
    bought.add(notebook.run_until_complete(buy(bridge)))

    assert 4 == len(bought)
    notebook.run_until_complete(bridge.close())
    notebook.close()


def in_threads(*works: Callable[[], object]) -> list[object]:
    """What each of *works* returns or raises, each in a thread of its own."""
    outcomes: list[object] = [None] * len(works)

    def work(number: int) -> None:
        try:
            outcomes[number] = works[number]()
        except BaseException as exc:
            outcomes[number] = exc

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_loops_of_several_threads_share_a_client_at_the_same_time(sandbox: Sandbox) -> None:
    """Each waits for the others inside of its loop, so that all are in flight at once."""
    bridge, meeting = client(sandbox), threading.Barrier(3)

    async def run() -> set[str | None]:
        await buy(bridge)
        await asyncio.to_thread(meeting.wait)
        return set(await asyncio.gather(*(buy(bridge) for _ in range(5))))

    outcomes = in_threads(*[lambda: asyncio.run(run())] * 3)

    assert [5, 5, 5] == [len(o) if isinstance(o, set) else o for o in outcomes]
    assert 15 == len(set.union(*(o for o in outcomes if isinstance(o, set))))
    asyncio.run(bridge.close())


def test_a_budget_counts_what_every_loop_spends(sandbox: Sandbox, tmp_path: Path) -> None:
    """Money belongs to the client, or to its ledger: not to a loop."""
    route = Route(["reapi"], budget=Budget(Money("0.05", "USD"), "day"), name="small")
    with closing(SqliteLedger(tmp_path / "spend.sqlite3")) as ledger:
        for kept in (None, ledger):
            bridge = client(sandbox, routes={"default": route}, ledger=kept)

            outcomes = in_threads(*[partial(lambda it: asyncio.run(buy(it)), bridge)] * 3)

            assert 1 == len([o for o in outcomes if isinstance(o, BudgetExceeded)]), outcomes
            with pytest.raises(BudgetExceeded):
                asyncio.run(buy(bridge))
            asyncio.run(bridge.close())


def test_closing_reaches_loops_of_other_threads(sandbox: Sandbox) -> None:
    """They close their connections themselves; whoever goes on is told."""
    bridge = client(sandbox)
    used, closed = threading.Event(), threading.Event()

    async def run() -> tuple[int, str]:
        await buy(bridge)
        used.set()
        await asyncio.to_thread(closed.wait)
        here = asyncio.get_running_loop()
        for _ in range(100):
            if here not in bridge._runner.transport._by_loop._by_loop:
                break
            await asyncio.sleep(0.01)
        with pytest.raises(ConfigurationError) as caught:
            await buy(bridge)
        return len(bridge._runner.transport._by_loop._by_loop), str(caught.value)

    async def close() -> None:
        await asyncio.to_thread(used.wait)
        await bridge.close()
        closed.set()

    outcomes = in_threads(lambda: asyncio.run(run()), lambda: asyncio.run(close()))

    assert [(0, "this client is closed"), None] == outcomes


def test_closing_leaves_a_loop_that_never_runs_again(sandbox: Sandbox) -> None:
    """It cannot be waited for, and is no reason to fail."""
    bridge, idle = client(sandbox), asyncio.new_event_loop()
    idle.run_until_complete(buy(bridge))

    asyncio.run(bridge.close())

    idle.run_until_complete(asyncio.sleep(0))
    idle.run_until_complete(idle.shutdown_asyncgens())
    idle.close()


def test_a_callers_own_connections_stay_in_their_loop(sandbox: Sandbox) -> None:
    """They cannot be opened anew, and a submit over another loop's would be lost."""

    async def run(bridge: AsyncClient) -> None:
        await buy(bridge)
        await http.aclose()

    http = httpx.AsyncClient()
    bridge = client(sandbox, http=http)
    asyncio.run(run(bridge))
    before = len(sandbox.ledger()["posts"])

    with pytest.raises(ConfigurationError, match="http= has connections of another event loop"):
        asyncio.run(buy(bridge))

    assert before == len(sandbox.ledger()["posts"])


def test_a_sandbox_in_process_works_in_every_loop() -> None:
    """It has no connections at all."""
    bridge = AsyncClient.sandbox(Sandbox(latency=0), timeouts=QUICK)

    assert 2 == len({asyncio.run(bridge.generate(KITE, provider="reapi")).job_id for _ in "ab"})


# -- what an interruption of a loop carries ----------------------------------------------


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """A sandbox whose tasks take a minute."""
    with running(Sandbox(latency=60)) as served:
        yield served


def test_a_timeout_of_asyncio_carries_the_job(slow: Sandbox) -> None:
    """``asyncio.timeout`` cancels the call, and raises its own error from that."""
    accepted = list[float]()

    async def run() -> None:
        async with client(slow) as bridge, asyncio.timeout(None) as limit:

            def tell(event: Event) -> None:
                if isinstance(event, Accepted):
                    limit.reschedule(asyncio.get_running_loop().time())
                    accepted.append(limit.when() or 0)

            await bridge.generate(KITE, on_progress=tell)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(run())

    assert not isinstance(caught.value, CallFailed)
    assert isinstance(handle(caught.value), Job)
    assert 1 == len(accepted)


def test_ctrl_c_in_a_loop_carries_the_job(slow: Sandbox) -> None:
    """``asyncio.run`` cancels its task, and raises ``KeyboardInterrupt`` because of that."""

    def tell(event: Event) -> None:
        if isinstance(event, Accepted):
            os.kill(os.getpid(), signal.SIGINT)

    async def run() -> None:
        async with client(slow) as bridge:
            await bridge.generate(KITE, on_progress=tell)

    with pytest.raises(KeyboardInterrupt) as caught:
        asyncio.run(run())

    assert isinstance(handle(caught.value), Job)


def test_a_task_group_that_ends_carries_the_job(slow: Sandbox) -> None:
    """A sibling fails; the group cancels the call, whose task still has it."""
    tasks = list[asyncio.Task[Any]]()

    async def run() -> None:
        accepted = asyncio.Event()

        def tell(event: Event) -> None:
            if isinstance(event, Accepted):
                accepted.set()

        async def fail() -> None:
            await accepted.wait()
            raise ValueError("a bug beside it")

        async with client(slow) as bridge, asyncio.TaskGroup() as group:
            tasks.append(group.create_task(bridge.generate(KITE, on_progress=tell)))
            group.create_task(fail())

    with pytest.raises(ExceptionGroup, match="unhandled errors") as caught:
        asyncio.run(run())

    # The group leaves cancelled tasks out; awaited, the task gives its cancellation.
    assert handle(caught.value) is None
    with pytest.raises(asyncio.CancelledError) as cancelled:
        tasks[0].result()
    assert isinstance(handle(cancelled.value), Job)
