"""``wanbridge callbacks serve``: what is needed for it, and one real run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wanbridge import CallbackReceiver
from wanbridge.cli import main
from wanbridge.transport.library import httpx

BASE = "https://app.example.com/hooks"
SECRET = "sixteen bytes and more"
KEY = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
SETTINGS = {
    "providers": {"runware": {"api_key": "rw-key-1"}},
    "callbacks": {"base_url": BASE, "secret": SECRET},
}


def written(folder: Path, settings: object) -> str:
    file = folder / "wanbridge.json"
    file.write_text(json.dumps(settings))
    file.chmod(0o600)
    return str(file)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "not configured where callbacks arrive"),
        ({"callbacks": {"base_url": BASE}}, "without a secret"),
        (SETTINGS, "--port 70000: 0 to 65535"),
    ],
)
def test_what_is_missing_is_said(
    settings: object, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line."""
    port = "70000" if settings is SETTINGS else "0"
    words = ["callbacks", "serve", "--port", port, "--config", written(tmp_path, settings)]

    assert 2 == main(words)
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the way out."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["callbacks", "serve", "--port", port, "--config", written(tmp_path, SETTINGS)]
        assert 2 == main(words)

    assert "--port 0" in capsys.readouterr().err


def test_events_are_lines_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """Over a real socket; neither token, key nor secret is printed, also for forgeries."""
    words = [sys.executable, "-m", "wanbridge", "callbacks", "serve", "--port", "0"]
    receiver = CallbackReceiver.from_config(SETTINGS)
    url = receiver.url_for("runware", KEY)
    running = subprocess.Popen(
        [*words, "--config", written(tmp_path, SETTINGS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
        text=True,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    try:
        greeting = running.stderr.readline()
        at = greeting.split("received at ")[1].split(";")[0] + url.removeprefix(
            "https://app.example.com"
        )
        body = {"taskUUID": KEY, "imageUUID": "i-1", "imageURL": "https://x.example/1.png"}
        with httpx.Client(trust_env=False, timeout=20.0) as http:
            statuses = [
                http.post(at[:-9] + "AAAAAAAAA", json=body).status_code,
                http.post(at, json=body).status_code,
                http.post(at, json=body).status_code,
                http.post(at, content=b"\xff").status_code,
            ]
        line = json.loads(running.stdout.readline())
    finally:
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)

    assert [403, 200, 200, 400] == statuses
    assert {
        "account": "runware",
        "task": KEY,
        "item": "i-1",
        "ended": None,
        "verified": False,
    } == line
    assert (0, "", "") == (running.returncode, out, err)
    assert SECRET not in greeting
