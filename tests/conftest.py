"""Options of this suite, and Ctrl-C wherever pytest runs.

``--table`` prints the fault matrix after its tests, ``--shuffle SEED`` changes their order.
"""

from __future__ import annotations

import gc
import os
import random
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from s3_server import S3Server, credentials, s3_server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="print the fault matrix after its tests")
    parser.addoption("--shuffle", metavar="SEED", help="run the files and their tests in any order")


# What a user's environment may say to this suite, and to no other code than ours: proxies, keys,
# object stores, how a terminal looks. Tests that are about one of these set it.
_FOREIGN = re.compile(
    r"(?i).*_proxy|.*_API_KEY|.*_BASE_URL|WANBRIDGE_.*|NO_COLOR|FORCE_COLOR|COLUMNS"
    r"|(AWS|AZURE|GOOGLE)_.*"
)


_BYTECODE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the environment the same for all: ``nohup`` and a shell's ``&`` ignore signals, say."""
    for name in filter(_FOREIGN.fullmatch, list(os.environ)):
        del os.environ[name]
    if not hasattr(config, "workerinput"):  # workers inherit it
        # Tests start 400 Python processes. Without a place for bytecode (an unwritable checkout,
        # PYTHONDONTWRITEBYTECODE) each compiles all that it imports, which doubles its start.
        config.stash[_BYTECODE] = folder = tempfile.TemporaryDirectory(prefix="bytecode-")
        os.environ["PYTHONPYCACHEPREFIX"] = folder.name
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    usual: dict[str, Any] = {
        "SIGINT": signal.default_int_handler,
        "SIGHUP": signal.SIG_DFL,
        "SIGQUIT": signal.SIG_DFL,
    }
    for name, handler in usual.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the bytecode of the run."""
    if (folder := config.stash.get(_BYTECODE, None)) is not None:
        folder.cleanup()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from the tests themselves.

    Ten thousand tests and their parameters live to the end; every full collection would visit
    them again.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto``: one worker more than cores.

    A quarter of the suite's time is spent waiting for sockets and for other processes.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


_PLACE = pytest.StashKey[int]()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Each worker imports the modules from another one on.

    Where there is no bytecode yet, pytest rewrites the asserts of every module. In the same order
    all workers rewrite the same module at the same time; so each finds what the others have done.
    """
    report = yield
    if isinstance(collector, pytest.Directory):
        for place, node in enumerate(report.result):
            node.stash[_PLACE] = place
        given = getattr(collector.config, "workerinput", {"workerid": "gw0", "workercount": 1})
        worker = int(given["workerid"].removeprefix("gw"))
        first = len(report.result) * worker // given["workercount"]
        report.result = report.result[first:] + report.result[:first]
    return report


def _places(item: pytest.Item) -> list[int]:
    """Where the item's module and the folders around it stand, each in its own folder."""
    return [node.stash[_PLACE] for node in item.listchain() if _PLACE in node.stash]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The same order in every worker of pytest-xdist; with ``--shuffle`` any.

    A file is one worker's. Those with long campaigns come first and those with many quick tests
    last, so that no worker is left alone with a file at the end.
    """
    tests = Counter(item.path for item in items)
    campaigns = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in campaigns, tests[item.path], _places(item)))
    if (seed := config.getoption("--shuffle")) is not None:
        random.Random(seed).shuffle(items)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Rows are faults, columns providers; what the clients disagree about has both cells."""
    if not config.getoption("--table"):
        return
    cells: dict[str, dict[str, list[str]]] = {}
    # Not from variables of the tests: under pytest-xdist they ran in other processes.
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for fault, provider, cell in (v for n, v in report.user_properties if n == "fault matrix"):
            seen = cells.setdefault(fault, {}).setdefault(provider, [])
            if cell not in seen:
                seen.append(cell)
    if not cells:
        terminalreporter.write_line("--table: no test of the fault matrix was run")
        return
    providers = sorted({provider for row in cells.values() for provider in row})
    rows = [["fault", *providers]]
    rows += [
        [fault, *(" | ".join(row.get(p, ["-"])) for p in providers)]
        for fault, row in sorted(cells.items())
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("fault matrix: outcome, charge, POSTs")
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line(line.rstrip())


@pytest.fixture(scope="session")
def served_s3() -> Iterator[S3Server]:
    """An S3 server over HTTP, for all tests of this process: it takes a second to start."""
    with s3_server() as s3:
        yield s3


@pytest.fixture
def s3(served_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """That server, empty, with credentials for it in the environment."""
    credentials(monkeypatch)
    served_s3.clear()
    return served_s3


@pytest.fixture
def any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documented rates are not kept to: EmpirioLabs's is one call in four seconds."""
    monkeypatch.setattr(
        "wanbridge.engine.rate_limits.RateLimiter.reserve", lambda *_args, **_named: 0.0
    )
