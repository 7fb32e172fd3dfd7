"""``demo``, ``sandbox`` and what moves while one waits."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wanbridge.cli.call_state import CallState
from wanbridge.cli.progress import live_progress
from wanbridge.cli.session import Session
from wanbridge.engine.events import Accepted, Polled, Retrying, Submitting
from wanbridge.model.jobs import Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.pictures.headers import inspect
from wanbridge.sandbox import Sandbox

PROVIDERS = ("crun", "dashscope", "empiriolabs", "gccai", "kie", "reapi", "runware")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch, any_rate: None) -> None:
    """Its generations take a moment instead of seconds."""
    monkeypatch.setattr("wanbridge.cli.commands.demo.LATENCY_SECONDS", 0.05)


def test_the_demo_draws_at_every_provider(run: Any) -> None:
    """No key, no internet."""
    ran = run("demo")

    assert 0 == ran.code, ran.err
    pictures = sorted(Path("wanbridge-demo").glob("*.png"))
    assert [
        f"{provider}-{what}.png" for provider in PROVIDERS for what in ("1-edit", "2-text")
    ] == [picture.name for picture in pictures]
    assert "" == ran.err
    for picture in pictures:
        facts = inspect(picture.read_bytes())
        assert facts is not None
        assert (facts.width or 0) >= 768
        assert picture.name in ran.out
    assert f"14 of 14 pictures are in {Path('wanbridge-demo').resolve()}" in ran.out


def test_a_request_that_a_provider_cannot_say_is_shown_as_refused(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crun takes only what is verified by default; the demo is no failure for it."""
    monkeypatch.setattr("wanbridge.cli.commands.demo._OPTIONS", {})

    ran = run("demo")

    assert 0 == ran.code, ran.err
    assert "allow_unverified" in ran.out
    assert "12 of 12 pictures are in" in ran.out


def test_the_demo_replaces_only_its_own(run: Any) -> None:
    """Again in the same directory, but never in somebody else's."""
    Path("mine").mkdir()
    Path("mine/reapi-1-edit.png").write_text("precious")

    again = [run("demo", "-o", "its").code for _ in range(2)]
    refused = run("demo", "-o", "mine")

    assert [0, 0] == again
    assert 2 == refused.code
    assert "mine/reapi-1-edit.png exists and is not of an earlier demo" in refused.lines[0]
    assert "precious" == Path("mine/reapi-1-edit.png").read_text()


def test_the_demo_fails_if_one_picture_is_missing(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says which; the others are there."""
    reset = Sandbox.reset

    def faulty(sandbox: Sandbox) -> None:
        reset(sandbox)
        sandbox.fault("no_credit", provider="reapi")
        sandbox.fault("dead_link", provider="runware", op="download")

    monkeypatch.setattr(Sandbox, "reset", faulty)

    ran = run("demo")

    assert 3 == ran.code
    assert "12 of 14 pictures are in" in ran.out
    assert 2 == len(ran.lines)
    assert "reapi: " in ran.lines[0]
    assert "HTTP 403" in ran.lines[1]


def test_the_demo_fails_if_its_directory_is_taken(run: Any) -> None:
    """By a file, say."""
    Path("wanbridge-demo").write_text("precious")

    ran = run("demo")

    assert 2 == ran.code
    assert "wanbridge-demo: there is no such directory" in ran.lines[0]


def test_a_disk_that_fills_up_is_a_failure_too(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an error of ours."""

    async def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wanbridge.client.asynchronous.AsyncClient.save", full)

    ran = run("demo")

    assert 4 == ran.code
    assert "No space left on device" in ran.lines[0]


def test_the_sandbox_serves_any_client_until_it_is_told_to_stop(wait_until: Any) -> None:
    """Its lines are ready for a shell."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wanbridge", "sandbox", "--port", "0", "--latency", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("wanbridge generate"):
            break
    exports = [line.split(maxsplit=1)[1].strip() for line in lines if "export" in line]
    exported = dict(export.split("=", 1) for export in exports)
    origin = exported["REAPI_BASE_URL"].removesuffix("/reapi/api/v1")
    with urllib.request.urlopen(f"{origin}/_sandbox/") as reply:
        known = json.load(reply)["providers"]
    words = [sys.executable, "-m", "wanbridge", "generate", "kite", "--provider", "runware"]
    bought = subprocess.run(
        [*words, "--size", "1K", "-o", "kite.png"],
        env={**os.environ, **exported},
        capture_output=True,
        check=False,
    )
    process.terminate()
    _, err = process.communicate(timeout=60)

    assert exported["RUNWARE_API_KEY"] == known["runware"]["api_key"]
    assert 0 == bought.returncode, bought.stderr
    assert Path("kite.png").exists()
    assert (0, "") == (process.returncode, err)


def test_the_sandbox_ends_well_in_this_process_too(run: Any, when: Any, ctrl_c: Any) -> None:
    """Ctrl-C is how it is meant to end."""

    def served() -> bool:
        return getattr(signal.getsignal(signal.SIGINT), "__name__", "") == "handle_exit"

    when(served, ctrl_c)

    assert 0 == run("sandbox", "--port", 0).code


def test_the_sandbox_greets_with_keys_and_addresses(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are good for nothing else, so they may be printed."""

    def serve(sandbox: Sandbox, *, port: int, ready: Any) -> None:
        ready(sandbox)

    monkeypatch.setattr("wanbridge.sandbox.server.serve", serve)

    ran = run("sandbox")

    assert 0 == ran.code
    assert "export REAPI_API_KEY=sandbox-reapi-key" in ran.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "99999"], "--port 99999: 0 to 65535"),
        (["--latency=-1"], "--latency -1: seconds, 0 or more"),
        (["--latency", "nan"], "--latency nan: seconds, 0 or more"),
    ],
)
def test_the_sandbox_refuses_what_it_cannot_do(run: Any, flags: list[str], said: str) -> None:
    """Before it listens."""
    ran = run("sandbox", *flags)

    assert 2 == ran.code
    assert said in ran.lines[0]


def test_a_port_that_is_taken_is_said(run: Any, world: Sandbox) -> None:
    """With the way out."""
    port = world.origin.rpartition(":")[2]

    ran = run("sandbox", "--port", port)

    assert 2 == ran.code
    assert f"port {port}: " in ran.lines[0]
    assert "  --port 0 takes any that is free" == ran.lines[1]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_waiting_is_shown_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each call, with what is known of it."""
    seen = _Terminal()
    monkeypatch.setattr(
        "wanbridge.cli.screen.err_console",
        lambda: Console(file=seen, force_terminal=True, width=100, markup=False),
    )
    waiting, done = (
        CallState(name="runware", polls=3, progress=0.4),
        CallState(name="reapi", label="edit"),
    )
    done.finish("done")

    with live_progress(Session(), [waiting, done]):
        pass

    assert "runware · sending · 0 s · 3 polls · 40%" in seen.getvalue()
    assert "reapi edit · done" in seen.getvalue()


def test_a_call_state_keeps_what_an_interruption_must_not_lose(
    run: Any, world: Sandbox, configure: Any
) -> None:
    """A receipt while the outcome is open, then the job."""
    from wanbridge import Client
    from wanbridge.model.jobs import Job

    events: list[Any] = []
    with Client.from_config(configure(world, "runware")) as client:
        client.generate(ImageRequest("a kite", size="1K"), on_progress=events.append)
    submitting = next(e for e in events if isinstance(e, Submitting))
    accepted = next(e for e in events if isinstance(e, Accepted))
    call_state = CallState()

    call_state.on_event(submitting)
    assert isinstance(call_state.receipt, Receipt)
    call_state.on_event(Retrying(account="runware", reason="busy", seconds=2.0))
    assert call_state.receipt is None
    assert "again in 2 s: busy" == call_state.status
    call_state.on_event(submitting)
    call_state.on_event(accepted)
    assert call_state.receipt is None
    assert isinstance(call_state.job, Job)
    call_state.on_event(
        Polled(job=accepted.job, polls=2, progress=None, seconds=1.0, trouble="HTTP 502")
    )
    assert "polling in trouble: HTTP 502" == call_state.status
    assert 2 == call_state.polls
