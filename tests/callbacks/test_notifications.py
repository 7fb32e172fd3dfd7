"""News of jobs, and who waits for them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from wanbridge.callbacks import notifications as notifications
from wanbridge.callbacks.notifications import JobNotifications
from wanbridge.engine.effects import JobKey, Wake

JOB = JobKey(account="halide", call="0" * 32, task="t-1")
OTHER = JobKey(account="halide", call="0" * 32, task="t-2")
MOST_WAIT = 20.0


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_news_that_came_first_are_not_waited_for() -> None:
    """A callback can overtake the reply to the submit."""
    board = JobNotifications()
    board.notify(JOB)

    assert 1 == board.wait(Wake(JOB), MOST_WAIT)
    assert 1 == asyncio.run(board.wait_async(Wake(JOB), MOST_WAIT))


def test_news_that_were_seen_do_not_wake_again() -> None:
    """Else one callback would end every sleep that follows."""
    board = JobNotifications()
    board.notify(JOB)

    assert 1 == board.wait(Wake(JOB, 1), 0.0)
    assert 1 == asyncio.run(board.wait_async(Wake(JOB, 1), 0.01))
    board.notify(JOB)
    assert 2 == board.wait(Wake(JOB, 1), MOST_WAIT)


def test_numbers_grow_over_all_jobs() -> None:
    """What is forgotten and heard of again is later than what was seen."""
    clock = Clock()
    board = JobNotifications(clock=clock)
    board.notify(OTHER)
    board.notify(JOB)
    clock.seconds = 700.0
    board.notify(JOB)

    assert 3 == board.latest(Wake(JOB, 2))


def test_news_are_kept_ten_minutes() -> None:
    """Nobody may ever ask for them."""
    clock = Clock()
    board = JobNotifications(clock=clock)
    board.notify(JOB)
    clock.seconds = 599.0
    assert 1 == board.latest(Wake(JOB))
    clock.seconds = 600.0

    assert 0 == board.latest(Wake(JOB))
    board.notify(OTHER)
    assert [OTHER] == list(board._recent)


def test_news_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first."""
    monkeypatch.setattr(notifications, "KEPT_MOST", 2)
    board = JobNotifications()
    for i in range(4):
        board.notify(JobKey(account="halide", call="0", task=f"t-{i}"))

    assert ["t-2", "t-3"] == [job.task for job in board._recent]


def test_all_who_wait_are_woken_whichever_way_they_wait() -> None:
    """Threads, tasks of a loop, several of each; the bell is rung from yet another thread."""
    board = JobNotifications()
    woken: list[int] = []

    async def run() -> None:
        numbers = [board.wait_async(Wake(JOB), MOST_WAIT) for _ in range(3)]
        woken.extend(await asyncio.gather(*numbers))

    threads = [
        *(
            threading.Thread(target=lambda: woken.append(board.wait(Wake(JOB), MOST_WAIT)))
            for _ in range(3)
        ),
        threading.Thread(target=lambda: asyncio.run(run())),
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + MOST_WAIT
    while len(board._wakers.get(JOB, ())) < 6:
        assert time.monotonic() < until
    board.notify(OTHER)
    assert [] == woken
    board.notify(JOB)
    for thread in threads:
        thread.join(MOST_WAIT)

    assert [2] * 6 == woken
    assert {} == board._wakers


def test_a_wait_ends_by_itself() -> None:
    """A lost callback costs the time to the next poll."""
    board = JobNotifications()

    assert 0 == board.wait(Wake(JOB), 0.01)
    assert 0 == asyncio.run(board.wait_async(Wake(JOB), 0.01))
    assert {} == board._wakers


def test_a_cancelled_wait_takes_its_bell_along() -> None:
    """And rings for a loop that is closed meanwhile harm nobody."""
    board = JobNotifications()

    async def run() -> None:
        waiting = asyncio.create_task(board.wait_async(Wake(JOB), MOST_WAIT))
        await asyncio.sleep(0)
        stale.extend(board._wakers[JOB])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    stale: list[object] = []
    asyncio.run(run())

    assert {} == board._wakers
    (bell,) = stale
    assert callable(bell)
    bell()
