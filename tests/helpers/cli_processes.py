"""The command as a process of its own, which signals can end."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
# A test runner in the background ignores Ctrl-C, and so would what it starts.
MAIN = """
import signal, sys
from wanbridge.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


def start(*words: object, program: str = MAIN, **how: Any) -> subprocess.Popen[str]:
    """``wanbridge`` with these words; *how* is of `subprocess.Popen`."""
    return subprocess.Popen([sys.executable, "-c", program, *map(str, words)], **{**PIPES, **how})
