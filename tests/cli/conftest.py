"""The command run for real, against fake providers on a real socket."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.cli import main
from wanbridge.sandbox import Sandbox, running


@frozen
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str = field(repr=lambda s: f"\n{s}")
    err: str = field(repr=lambda s: f"\n{s}")

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Of standard error."""
        return self.err.splitlines()


Run = Callable[..., Ran]
Configure = Callable[..., Path]


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and nothing configured."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL")) or name.startswith("WANBRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    for name in BUILTIN:
        quick = PollInterval(first=0.05, factor=1.2, most=0.2)
        monkeypatch.setattr(Registry().adapter(name), "poll_interval", quick)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``wanbridge`` with these words."""

    def _run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ran(int(code), out, err)

    return _run


@pytest.fixture
def world() -> Iterator[Sandbox]:
    """All fake providers; a generation takes a moment."""
    with running(Sandbox(latency=0.05)) as sandbox:
        yield sandbox


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """All fake providers; a generation takes longer than any test waits."""
    with running(Sandbox(latency=3600)) as sandbox:
        yield sandbox


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """A configuration file for these providers of a sandbox."""

    def _configure(
        sandbox: Sandbox,
        *providers: str,
        options: str = "",
        key: str | None = None,
        **client: float,
    ) -> Path:
        lines = []
        for name in providers or sandbox.providers:
            lines += [f"[providers.{name}]", f'api_key = "{key or sandbox.api_key(name)}"']
            lines += [f'base_url = "{sandbox.base_url(name)}"', options]
        lines += ["[client]", *(f"{name} = {value}" for name, value in client.items())]
        path = tmp_path / "wanbridge.toml"
        path.write_text("\n".join(lines))
        path.chmod(0o600)
        return path

    return _configure


@pytest.fixture
def when() -> Iterator[Callable[..., None]]:
    """Do something once a condition holds, from another thread, while the test runs a command."""
    threads = []

    def _when(condition: Callable[[], object], act: Callable[[], object]) -> None:
        def watch() -> None:
            if until(condition):
                act()

        threads.append(threading.Thread(target=watch))
        threads[-1].start()

    yield _when
    for thread in threads:
        thread.join()


def until(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Whether *condition* came to hold in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def wait_until() -> Callable[..., bool]:
    """`until`, for tests."""
    return until


@pytest.fixture
def ctrl_c() -> Callable[[], None]:
    """Send this process what Ctrl-C sends."""
    return lambda: os.kill(os.getpid(), signal.SIGINT)


def only(pattern: str) -> Path:
    """The one file here that is called so."""
    found = sorted(Path().glob(pattern))
    assert 1 == len(found), f"{pattern}: {sorted(Path().iterdir())}"
    return found[0]


@pytest.fixture
def the() -> Callable[[str], Path]:
    """`only`, for tests."""
    return only
