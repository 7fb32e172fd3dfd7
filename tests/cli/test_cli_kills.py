"""``kill -9`` and closed terminals meet real processes: there is always a file to go on from."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from cli_process import MAIN, start
from wanbridge.model import Job, Receipt
from wanbridge.providers import BUILTIN
from wanbridge.sandbox import Sandbox, running


@define
class Later:
    """Fake providers whose generations take an hour, until `seconds` says that it has passed."""

    sandbox: Sandbox
    seconds: float = 0.0


@pytest.fixture
def later() -> Iterator[Later]:
    """See `Later`."""
    made: list[Later] = []
    sandbox = Sandbox(latency=3600, clock=lambda: time.time() + (made[0].seconds if made else 0.0))
    made.append(Later(sandbox))
    with running(sandbox):
        yield made[0]


@pytest.mark.parametrize("provider", BUILTIN)
def test_a_kill_while_waiting_leaves_the_job(
    later: Later, configure: Any, the: Any, wait_until: Any, run: Any, provider: str
) -> None:
    """Nothing can catch it; and the job leads to the picture."""
    file = configure(later.sandbox, provider)
    process = start("generate", "a kite", "--size", "1K", "--config", file)
    # The receipt goes once the job is there.
    kept = f"{provider}-*.job.json", "*.receipt.json"
    assert wait_until(lambda: [1, 0] == [len(list(Path().glob(name))) for name in kept])
    process.kill()
    process.communicate(timeout=60)

    left = the(f"{provider}-*.job.json")
    assert later.sandbox.tasks()[0]["id"] == Job.from_json(left.read_text()).id
    assert [] == list(Path().glob("*.receipt.json"))
    later.seconds = 3600.0
    ran = run("fetch", left, "--config", file, "-o", "kite")
    assert 0 == ran.code, ran.err
    assert Path("kite.png").exists() or Path("kite.jpg").exists()


@pytest.mark.parametrize("provider", ["runware", "reapi", "dashscope"])
def test_a_kill_during_the_submit_leaves_the_receipt(
    slow: Sandbox, configure: Any, the: Any, wait_until: Any, run: Any, provider: str
) -> None:
    """Written before the first byte; it can be looked up."""
    slow.fault("hang", times=None)
    file = configure(slow, provider)
    process = start("generate", "a kite", "--config", file)
    assert wait_until(lambda: slow.ledger()["posts"])
    process.kill()
    process.communicate(timeout=60)

    left = the(f"{provider}-*.receipt.json")
    receipt = Receipt.from_json(left.read_text())
    assert 0o600 == left.stat().st_mode & 0o777
    assert receipt.digest in {post["digest"] for post in slow.ledger()["posts"]}
    assert run("reconcile", left, "--config", file).code in (0, 5)
    assert left.exists()


def test_a_closed_terminal_leaves_the_job(
    slow: Sandbox, configure: Any, the: Any, wait_until: Any
) -> None:
    """The kernel says HUP, and whatever is written to the terminal fails from then on."""
    file = configure(slow, "runware")
    ours, theirs = pty.openpty()

    def lead() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    streams: Any = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    process = start(
        *("generate", "a kite", "--config", file),
        **{**streams, "start_new_session": True, "preexec_fn": lead},
    )
    os.close(theirs)
    assert wait_until(lambda: list(Path().glob("*.job.json")))
    os.close(ours)

    assert 130 == process.wait(20)
    assert slow.tasks()[0]["id"] == Job.from_json(the("runware-*.job.json").read_text()).id


def test_a_terminal_that_may_close_does_not_end_the_command(
    later: Later, configure: Any, wait_until: Any
) -> None:
    """``nohup``: HUP was ignored from the start."""
    file = configure(later.sandbox, "runware")
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    deaf = MAIN.replace("sys.exit", f"{ignore}sys.exit")
    process = start("generate", "a kite", "--config", file, "-o", "kite", program=deaf)
    assert wait_until(lambda: list(Path().glob("*.job.json")))
    process.send_signal(signal.SIGHUP)
    later.seconds = 3600.0
    process.communicate(timeout=60)

    assert 0 == process.returncode
    assert Path("kite.png").exists()
