"""The command as a process of its own, which signals can end."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from multiprocessing.process import BaseProcess
from typing import Any

from wanbridge.cli import main

PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
# A test runner in the background ignores Ctrl-C, and so would what it starts. Polls come as often
# as they do in the tests' own process.
MAIN = """
import signal, sys
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import Registry
from wanbridge.cli import main
find = Registry.adapter
def quick(registry, name):
    found = find(registry, name)
    found.poll_interval = PollInterval(first=0.05, factor=1.2, most=0.2)
    return found
Registry.adapter = quick
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


def start(*words: object, program: str = MAIN, **how: Any) -> subprocess.Popen[str]:
    """``wanbridge`` with these words; *how* is of `subprocess.Popen`."""
    return subprocess.Popen([sys.executable, "-c", program, *map(str, words)], **{**PIPES, **how})


_PREPARED = multiprocessing.get_context("forkserver")
_PREPARED.set_forkserver_preload(
    [
        "wanbridge.cli.app",
        "wanbridge.cli.commands.generate",
        "wanbridge.client.runner",
        "wanbridge.transport.library",
    ]
)


def _run(words: tuple[str, ...]) -> None:
    sys.exit(main(words))


def forked(*words: object) -> BaseProcess:
    """``wanbridge`` with these words, for tests that only kill it and do not read its streams.

    It is forked from a process that has imported the command, which saves most of its start.
    """
    process = _PREPARED.Process(target=_run, args=(tuple(map(str, words)),))
    process.start()
    return process
