"""Signals that end a process, kill -9 among them: whatever is bought is left in a file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from cli_processes import start
from wanbridge.adapters.registry import BUILTIN
from wanbridge.cli import files, signals
from wanbridge.cli.signals import interruptible, terminating_signals
from wanbridge.client.blocking import Client
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import ImageResult
from wanbridge.sandbox import Sandbox

_CAUGHT = [getattr(signal, f"SIG{n}") for n in ("HUP", "INT", "QUIT", "TERM", "USR1", "XCPU")]


@pytest.mark.parametrize("number", _CAUGHT)
def test_an_interruption_while_waiting_leaves_the_job(
    slow: Sandbox, configure: Any, the: Any, wait_until: Any, number: signal.Signals
) -> None:
    """It goes on at the provider and is charged; the file collects it."""
    file = configure(slow, "runware")
    process = start("generate", "a kite", "--config", file)
    assert wait_until(slow.tasks)

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert 130 == process.returncode
    left = the("runware-*.job.json")
    job = Job.from_json(left.read_text())
    said = f"wanbridge: interrupted; job {job.id} goes on and is charged"
    assert [
        said,
        f"  go on with: wanbridge fetch {left} --config {quote(str(file))}",
    ] == err.splitlines()
    assert 0o600 == left.stat().st_mode & 0o777
    assert "" == out


@pytest.mark.parametrize("provider", BUILTIN)
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_an_interruption_leaves_the_job_of_every_provider(
    run: Any,
    slow: Sandbox,
    configure: Any,
    the: Any,
    when: Any,
    number: signal.Signals,
    provider: str,
) -> None:
    """Whatever their jobs look like."""
    when(lambda: list(Path().glob("*.job.json")), lambda: os.kill(os.getpid(), number))

    ran = run("generate", "a kite", "--size", "1K", "--config", configure(slow, provider))

    assert 130 == ran.code
    left = the(f"{provider}-*.job.json")
    assert slow.tasks()[0]["id"] == Job.from_json(left.read_text()).id
    assert [left] == list(Path().glob("*.json"))


@pytest.mark.parametrize("number", _CAUGHT)
def test_an_interruption_of_a_hanging_submit_leaves_a_receipt(
    run: Any, slow: Sandbox, configure: Any, the: Any, when: Any, number: signal.Signals
) -> None:
    """Held back until the line has timed out; then nobody knows, and the exit code says so."""
    slow.fault("hang")
    file = configure(slow, "reapi", read_timeout=1.0)
    when(slow.tasks, lambda: os.kill(os.getpid(), number))

    ran = run("generate", "a kite", "--config", file)

    assert 5 == ran.code
    left = the("reapi-*.receipt.json")
    assert Receipt.from_json(left.read_text())
    assert "reapi: interrupted during the submit; nobody knows" in ran.err
    assert f"  go on with: wanbridge reconcile {left} --config {quote(str(file))}" == ran.lines[1]
    assert 1 == len(slow.ledger()["posts"])


def test_an_interruption_here_leaves_the_job(
    run: Any, slow: Sandbox, configure: Any, the: Any, when: Any, ctrl_c: Callable[[], None]
) -> None:
    """The same in this process; the handlers are as before afterwards."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    when(slow.tasks, ctrl_c)

    ran = run("generate", "a kite", "--config", configure(slow, "dashscope"))

    assert 130 == ran.code
    assert Job.from_json(the("dashscope-*.job.json").read_text())
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_a_termination_here_leaves_a_receipt(
    run: Any, slow: Sandbox, configure: Any, the: Any, when: Any
) -> None:
    """SIGTERM is held back like Ctrl-C."""
    slow.fault("hang")
    when(slow.tasks, lambda: os.kill(os.getpid(), signal.SIGTERM))

    ran = run("submit", "a kite", "--config", configure(slow, "reapi", read_timeout=1.0))

    assert 5 == ran.code
    assert the("reapi-*.receipt.json")


def test_an_interruption_of_submit_leaves_the_job_where_it_was_wanted(
    run: Any, world: Sandbox, configure: Any, when: Any, ctrl_c: Callable[[], None]
) -> None:
    """The reply comes after the Ctrl-C, and is not lost."""
    world.fault("slow_body", seconds=1.5)
    when(world.tasks, ctrl_c)

    ran = run("submit", "a kite", "--config", configure(world, "reapi"), "-o", "my.json")

    assert 130 == ran.code
    assert Job.from_json(Path("my.json").read_text())
    assert "wanbridge fetch my.json" in ran.err


def test_an_interruption_that_meets_the_pictures_saves_them(
    run: Any, world: Sandbox, configure: Any, when: Any, ctrl_c: Callable[[], None]
) -> None:
    """The submit was answered with them: there is nothing left to interrupt."""
    world.fault("slow_body", seconds=1.5)
    file = configure(world, "dashscope", options='mode = "sync"')
    when(world.tasks, ctrl_c)

    ran = run("generate", "a kite", "--size", "1K", "--config", file, "-o", "kite.png")

    assert 0 == ran.code, ran.err
    assert Path("kite.png").exists()


def test_an_interruption_while_saving_leaves_the_result(
    run: Any, world: Sandbox, configure: Any, the: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pictures are paid for."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wanbridge.client.blocking.Client.save", interrupted)
    file = configure(world, "runware")

    ran = run("generate", "a kite", "--size", "1K", "--config", file)

    assert 130 == ran.code
    left = the("runware-*.result.json")
    assert ImageResult.from_json(left.read_text())
    assert "wanbridge: interrupted while saving; the pictures are paid for" == ran.lines[0]
    assert f"  go on with: wanbridge fetch {left} --config {quote(str(file))}" == ran.lines[1]


def test_an_interruption_after_saving_says_so(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to go on from, and something was bought."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wanbridge.cli.deliver._report", interrupted)
    file = configure(world, "runware")

    ran = run("generate", "a kite", "--size", "1K", "--config", file, "-o", "kite")

    assert 130 == ran.code
    assert ["wanbridge: interrupted; the pictures are saved"] == ran.lines
    assert Path("kite.png").exists()


def test_an_interruption_before_the_submit_has_bought_nothing(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wanbridge.client.blocking.Client.generate", interrupted)

    ran = run("generate", "a kite", "--sandbox")

    assert 130 == ran.code
    assert ["wanbridge: interrupted; nothing was bought"] == ran.lines
    assert [] == list(Path().iterdir())


def test_a_job_that_fits_nowhere_is_printed(
    run: Any,
    slow: Sandbox,
    configure: Any,
    the: Any,
    when: Any,
    ctrl_c: Callable[[], None],
    monkeypatch: Any,
) -> None:
    """The disk is full since, and the user has interrupted; it is still not lost."""
    whole = files.write

    def refuse(path: Path, text: str, **how: Any) -> Path:
        if ".job." in path.name:
            raise OSError(28, "No space left on device")
        return whole(path, text, **how)

    monkeypatch.setattr(files, "write", refuse)
    when(slow.tasks, ctrl_c)

    ran = run("generate", "a kite", "--config", configure(slow, "runware"))

    assert 130 == ran.code
    assert Job.from_json(ran.lines[2])
    assert Receipt.from_json(the("runware-*.receipt.json").read_text())


def test_where_ctrl_c_was_ignored_it_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's background job; SIGTERM still interrupts it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.SIG_IGN is signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["HUP", "TERM", "USR1"])
def test_what_was_ignored_stays_ignored(name: str) -> None:
    """``nohup``, or ``trap '' TERM`` in a script around the command."""
    number = getattr(signal, f"SIG{name}")
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.SIG_IGN is signal.getsignal(number)
    finally:
        signal.signal(number, before)


def test_in_another_thread_signals_are_left_alone(when: Any, wait_until: Any) -> None:
    """Python allows handlers in the main thread only."""
    seen: list[object] = []

    def inside() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    when(lambda: True, inside)

    assert wait_until(lambda: seen)
    assert [signal.getsignal(signal.SIGTERM)] == seen


def test_every_signal_that_ends_a_process_is_caught() -> None:
    """Whatever it is called, with a handler of ours and back to what it was."""
    names = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "XCPU", "ALRM", "PWR", "RTMIN")
    numbers = {getattr(signal, f"SIG{n}") for n in names if hasattr(signal, f"SIG{n}")}
    before = {number: signal.getsignal(number) for number in numbers}

    assert numbers <= terminating_signals()
    for name in ("KILL", "STOP", "CHLD", "WINCH", "TSTP", "SEGV"):
        assert getattr(signal, f"SIG{name}") not in terminating_signals()
    with interruptible():
        taken = [n for n in numbers if before[n] is signal.SIG_DFL]
        for number in taken:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    assert before == {number: signal.getsignal(number) for number in numbers}


def test_a_terminal_that_closes_says_so_twice() -> None:
    """The second HUP is no impatience: a submit goes on being held."""
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_handler_that_is_there_is_kept() -> None:
    """A profiler's, or that of a program that runs this command."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with interruptible():
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert [signal.SIGUSR1] == heard


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever interrupts a call is followed by a second interruption while the client closes."""
    close = Client.close

    def closing(self: Client) -> None:
        close(self)
        if sys.exc_info()[0] is KeyboardInterrupt:
            raise KeyboardInterrupt

    monkeypatch.setattr(Client, "close", closing)


@pytest.mark.usefixtures("again")
def test_a_second_interruption_does_not_lose_an_open_submit(
    run: Any, slow: Sandbox, configure: Any, the: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows nothing of the submit whose key was to be sent again; the first one does."""

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    slow.fault("accept_then_drop", times=None)
    monkeypatch.setattr("time.sleep", interrupted)

    ran = run("generate", "a kite", "--config", configure(slow, "runware"))

    assert 5 == ran.code
    assert Receipt.from_json(the("runware-*.receipt.json").read_text())
    assert "runware: interrupted during the submit; nobody knows" in ran.lines[0]


@pytest.mark.usefixtures("again")
def test_a_second_interruption_does_not_lose_who_may_charge_too(
    run: Any, slow: Sandbox, configure: Any, the: Any, when: Any, ctrl_c: Callable[[], None]
) -> None:
    """A route that pays again has a receipt of the first account and a job of the second."""
    slow.fault("accept_then_drop", provider="reapi")
    file = configure(slow, "reapi", "dashscope")
    route = 'providers = ["reapi", "dashscope"]\non_uncertain = "pay_again"'
    file.write_text(f"{file.read_text()}\n[routes.default]\n{route}\n")
    when(lambda: list(Path().glob("dashscope-*.job.json")), ctrl_c)

    ran = run("generate", "a kite", "--config", file)

    assert 130 == ran.code
    assert Job.from_json(the("dashscope-*.job.json").read_text())
    receipt = the("reapi-*.receipt.json")
    assert f"reapi may charge too; go on with: wanbridge reconcile {receipt}" in ran.err


def test_an_interruption_while_an_error_ends_the_command_leaves_its_receipt(
    run: Any, slow: Sandbox, configure: Any, the: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the error knows, the interruption does not."""
    close = Client.close

    def closing(self: Client) -> None:
        close(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "close", closing)
    slow.fault("accept_then_drop")

    ran = run("generate", "a kite", "--config", configure(slow, "reapi"))

    assert 5 == ran.code
    assert Receipt.from_json(the("reapi-*.receipt.json").read_text())


def test_an_interruption_before_the_command_is_deaf_is_told_too(
    run: Any, slow: Sandbox, configure: Any, the: Any, when: Any, ctrl_c: Any, monkeypatch: Any
) -> None:
    """The second one strikes just before nobody listens any more."""
    whole, times = signals.ignoring_signals, iter(range(9))

    def ignoring_signals() -> Any:
        if next(times) == 0:
            raise KeyboardInterrupt
        return whole()

    monkeypatch.setattr(signals, "ignoring_signals", ignoring_signals)
    when(lambda: list(Path().glob("*.job.json")), ctrl_c)

    ran = run("generate", "a kite", "--config", configure(slow, "runware"))

    assert 130 == ran.code
    job = Job.from_json(the("runware-*.job.json").read_text())
    assert f"wanbridge: interrupted; job {job.id} goes on and is charged" == ran.lines[0]
