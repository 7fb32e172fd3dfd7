"""``kill -9`` and closed terminals meet real processes: there is always a file to go on from."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from cli_processes import MAIN, forked, start
from wanbridge.adapters.registry import BUILTIN
from wanbridge.model.jobs import Job, Receipt
from wanbridge.sandbox import Sandbox, running

DEAF = MAIN.replace("sys.exit", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nsys.exit")


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
    process = forked("generate", "a kite", "--size", "1K", "--config", file)
    # The receipt goes once the job is there.
    kept = f"{provider}-*.job.json", "*.receipt.json"
    assert wait_until(lambda: [1, 0] == [len(list(Path().glob(name))) for name in kept])
    process.kill()
    process.join(60)

    assert -signal.SIGKILL == process.exitcode
    left = the(f"{provider}-*.job.json")
    assert later.sandbox.tasks()[0]["id"] == Job.from_json(left.read_text()).id
    assert [] == list(Path().glob("*.receipt.json"))
    later.seconds = 3600.0
    ran = run("fetch", left, "--config", file, "-o", "kite")
    assert 0 == ran.code, ran.err
    assert Path("kite.png").exists() or Path("kite.jpg").exists()


@pytest.mark.parametrize("provider", BUILTIN)
def test_a_kill_during_the_submit_leaves_the_receipt(
    slow: Sandbox, configure: Any, the: Any, wait_until: Any, run: Any, provider: str
) -> None:
    """Written before the first byte; it can be looked up."""
    slow.fault("hang", times=None)
    file = configure(slow, provider)
    process = forked("generate", "a kite", "--config", file)
    assert wait_until(lambda: slow.ledger()["posts"])
    process.kill()
    process.join(60)

    assert -signal.SIGKILL == process.exitcode
    left = the(f"{provider}-*.receipt.json")
    receipt = Receipt.from_json(left.read_text())
    assert 0o600 == left.stat().st_mode & 0o777
    assert receipt.digest in {post["digest"] for post in slow.ledger()["posts"]}
    assert run("reconcile", left, "--config", file).code in (0, 5)
    assert left.exists()


def on_a_terminal(*words: object, **how: Any) -> tuple[subprocess.Popen[str], int]:
    """The command as the leader of a session, and our end of its terminal."""
    ours, theirs = pty.openpty()

    def lead() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    streams: Any = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    process = start(*words, **{**streams, "start_new_session": True, "preexec_fn": lead, **how})
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize("heard", [False, True])
def test_a_closed_terminal_leaves_the_job(
    slow: Sandbox, configure: Any, the: Any, wait_until: Any, heard: bool
) -> None:
    """The kernel says HUP, and whatever is written to the terminal fails from then on."""
    file = configure(slow, "runware")
    errors: dict[str, Any] = {"stderr": subprocess.PIPE} if heard else {}
    process, ours = on_a_terminal("generate", "a kite", "--config", file, **errors)
    assert wait_until(lambda: list(Path().glob("*.job.json")))
    os.close(ours)

    _, err = process.communicate(timeout=60)

    assert 130 == process.returncode
    job = Job.from_json(the("runware-*.job.json").read_text())
    assert slow.tasks()[0]["id"] == job.id
    said = f"wanbridge: interrupted; job {job.id} goes on and is charged"
    assert ([said, 2] if heard else [None, 0]) == [
        err and err.splitlines()[0],
        len((err or "").splitlines()),
    ]


def test_a_terminal_that_is_gone_does_not_cost_the_picture(
    later: Later, configure: Any, the: Any, wait_until: Any
) -> None:
    """HUP was ignored from the start, and every word about the picture fails."""
    file = configure(later.sandbox, "runware")
    process, ours = on_a_terminal(
        *("generate", "a kite", "--size", "1K", "--config", file, "-o", "kite"), program=DEAF
    )
    assert wait_until(lambda: list(Path().glob("*.job.json")))
    os.close(ours)
    later.seconds = 3600.0

    assert 0 == process.wait(60)
    assert the("kite.png")
    assert [] == list(Path().glob("*.json"))


def test_a_terminal_that_may_close_does_not_end_the_command(
    later: Later, configure: Any, wait_until: Any
) -> None:
    """``nohup``: HUP was ignored from the start."""
    file = configure(later.sandbox, "runware")
    process = start("generate", "a kite", "--config", file, "-o", "kite", program=DEAF)
    assert wait_until(lambda: list(Path().glob("*.job.json")))
    process.send_signal(signal.SIGHUP)
    later.seconds = 3600.0
    process.communicate(timeout=60)

    assert 0 == process.returncode
    assert Path("kite.png").exists()


@pytest.fixture(params=[True, False], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for most users, and as in containers: what is left in a buffer fails at the very end."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if not request.param:
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("streams", [("stderr",), ("stdout", "stderr")])
def test_an_interruption_that_nobody_hears_of_has_its_code(
    slow: Sandbox, configure: Any, the: Any, wait_until: Any, streams: tuple[str, ...]
) -> None:
    """``ssh host wanbridge ...`` has no terminal: a lost connection closes pipes."""
    ours, theirs = os.pipe()
    file = configure(slow, "runware")
    lost: Any = dict.fromkeys(streams, theirs)
    process = start("generate", "a kite", "--config", file, **lost)
    os.close(theirs)
    assert wait_until(lambda: list(Path().glob("*.job.json")))
    os.close(ours)
    process.send_signal(signal.SIGTERM)

    out, err = process.communicate(timeout=60)

    assert 130 == process.returncode
    assert [None if "stdout" in streams else "", None] == [out, err]
    assert slow.tasks()[0]["id"] == Job.from_json(the("runware-*.job.json").read_text()).id


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_lost_picture_is_told_where_the_result_cannot_be(
    world: Sandbox, configure: Any, the: Any, words: tuple[str, ...]
) -> None:
    """Standard output was closed; the result is kept in a file, and the exit code is the same."""
    world.fault("dead_link", op="download", times=None)
    ours, theirs = os.pipe()
    os.close(ours)
    file = configure(world, "runware")
    process = start("generate", "a kite", "--size", "1K", "--config", file, *words, stdout=theirs)
    os.close(theirs)

    _, err = process.communicate(timeout=60)

    assert 4 == process.returncode
    left = the("runware-*.result.json")
    assert [] == list(Path().glob("*.job.json"))
    assert f"  go on with: wanbridge fetch {left}" in err


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("words", [("generate", "-o", "kite"), ("submit", "-o", "kite.job.json")])
def test_what_is_bought_and_kept_is_a_success_also_unheard(
    world: Sandbox, configure: Any, words: tuple[str, ...]
) -> None:
    """``| head``: the picture, or the job, is where it was wanted."""
    ours, theirs = os.pipe()
    os.close(ours)
    command, *where = words
    file = configure(world, "runware")
    process = start(command, "a kite", "--size", "1K", *where, "--config", file, stdout=theirs)
    os.close(theirs)

    _, err = process.communicate(timeout=60)

    assert (0, "") == (process.returncode, err)
    assert Path("kite.png").exists() or Path("kite.job.json").exists()


@pytest.mark.usefixtures("buffering")
def test_a_submit_that_is_found_is_kept_also_unheard(
    world: Sandbox, configure: Any, the: Any, wait_until: Any
) -> None:
    """The file comes before the words."""
    world.fault("hang")
    file = configure(world, "runware")
    process = start("generate", "a kite", "--config", file)
    assert wait_until(world.tasks)
    process.kill()
    process.communicate(timeout=60)
    ours, theirs = os.pipe()
    os.close(ours)

    process = start("reconcile", the("*.receipt.json"), "--config", file, stdout=theirs)
    os.close(theirs)
    _, err = process.communicate(timeout=60)

    assert (0, "") == (process.returncode, err)
    assert world.tasks()[0]["id"] == Job.from_json(the("*.job.json").read_text()).id


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("as_json", [False, True])
def test_words_that_do_not_fit_are_no_success(
    world: Sandbox, configure: Any, as_json: bool
) -> None:
    """Somebody wanted them, as in a file; the pictures are there, and it is said."""
    file = configure(world, "runware")
    words = ["generate", "a kite", "--size", "1K", "--config", file, "-o", "kite"]
    with open("/dev/full", "w") as full:
        process = start(*words, *(["--json"] if as_json else []), stdout=full)
        _, err = process.communicate(timeout=60)

    assert 4 == process.returncode
    assert "wanbridge: No space left on device; the pictures are saved" == err.splitlines()[0]
    assert "Traceback" not in err
    assert Path("kite.png").exists()
