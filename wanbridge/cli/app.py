"""The application: parsing, running a command, and its exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from cyclopts import App, Parameter

from wanbridge.cli import signals
from wanbridge.cli.codes import Exit, epilogue
from wanbridge.cli.session import Session
from wanbridge.version import __version__

_HELP = "One request for Wan 2.7 images, any provider, paid once."

# In the order of the help page. Each is imported when it is called, or shown there: all together
# take three times as long as any one.
_COMMANDS = (
    *("demo", "generate", "submit", "fetch", "reconcile"),
    *("explain", "compare", "providers", "validate", "inspect", "callbacks", "sandbox"),
)


def build() -> App:
    """The application, whose help comes from the commands' docstrings."""
    app = App(
        name="wanbridge",
        version=f"wanbridge {__version__}",
        help=_HELP,
        help_epilogue=epilogue(),
        help_format="markdown",
        default_parameter=Parameter(negative_iterable=()),
    )
    for order, name in enumerate(_COMMANDS):
        app.command(f"wanbridge.cli.commands.{name}:{name}", name=name, sort_key=order)
    return app


def run(words: list[str]) -> Exit:
    """Parse *words*, run the command, and return its exit code, also after an exception."""
    session = Session()
    _silence_logging()
    try:
        with signals.interruptible():
            try:
                command, given = _parse(words, session)
                return Exit(command(*given.args, **given.kwargs) or Exit.OK)
            except BrokenPipeError:
                return _stdout_closed()
            except (Exception, KeyboardInterrupt) as exc:
                return _report_failure(exc, session)
    except KeyboardInterrupt as exc:
        return _report_failure(exc, session)  # a second one, before signals were ignored


def _report_failure(exc: BaseException, session: Session) -> Exit:
    from wanbridge.cli.failure_report import report

    with signals.ignoring_signals():
        return report(exc, session)


def _parse(words: list[str], session: Session) -> tuple[Callable[..., Any], Any]:
    command, bound, injected = build().parse_args(words, exit_on_error=False, print_error=False)
    if "session" in injected:
        bound.arguments["session"] = session
    return command, bound


def _silence_logging() -> None:
    """Hide the library's log, which repeats the messages; WANBRIDGE_DEBUG=1 shows it."""
    if os.environ.get("WANBRIDGE_DEBUG") != "1":
        logging.getLogger("wanbridge").addHandler(logging.NullHandler())


def _stdout_closed() -> Exit:
    """Standard output was closed (``| head``): avoid a second error at interpreter exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.INTERNAL
