"""The command ``wanbridge``. Its libraries are imported when it is run, not before.

Results go to standard output; progress, warnings and errors to standard error. An error is one
line, with at most one more that says what to do next. The exit codes stand in `codes`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``wanbridge``; those of the process by default.

    Returns:
        The exit code.
    """
    try:
        from wanbridge.cli.app import run
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in ("cyclopts", "rich"):
            raise
        message = f"the command line needs {exc.name}: pip install 'wanbridge[cli]'"
        print(f"wanbridge: {message}", file=sys.stderr)
        return 2
    return run(sys.argv[1:] if argv is None else list(argv))
