"""The commands by name, and what surrounds each of them."""

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

# Each is imported when it is asked for.
_COMMANDS = {
    "generate": "Buy pictures, wait for them and save them.",
    "submit": "Buy pictures and keep the job in a file; fetch collects them.",
    "fetch": "Wait for a job and save its pictures, or cancel it.",
    "reconcile": "Look up a submit whose outcome is unknown.",
    "explain": "Show what each provider would be sent, and what it costs. No call.",
    "providers": "List providers: models, keys, addresses, fields.",
    "validate": "Check a request, job, receipt, result or configuration file.",
    "callbacks": "Receive providers' callbacks.",
    "sandbox": "Serve fake providers on this machine until Ctrl-C.",
    "demo": "Draw pictures at every fake provider. No key, no internet.",
}


def build() -> App:
    """The application; nothing is imported for commands that are not run."""
    app = App(
        name="wanbridge",
        version=f"wanbridge {__version__}",
        help=_HELP,
        help_epilogue=epilogue(),
        help_format="markdown",
        default_parameter=Parameter(negative_iterable=()),
    )
    for name, help in _COMMANDS.items():
        app.command(f"wanbridge.cli.commands.{name}:{name}", name=name, help=help)
    return app


def run(words: list[str]) -> Exit:
    """Parse *words*, run the command, and turn whatever ends it into an exit code."""
    session = Session()
    _quiet()
    try:
        with signals.interruptible():
            try:
                command, given = _parse(words, session)
                return Exit(command(*given.args, **given.kwargs) or Exit.OK)
            except BrokenPipeError:
                return _nobody_reads()
            except (Exception, KeyboardInterrupt) as exc:
                from wanbridge.cli.trouble import report

                with signals.deafen():
                    return report(exc, session, words)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _parse(words: list[str], session: Session) -> tuple[Callable[..., Any], Any]:
    command, bound, injected = build().parse_args(words, exit_on_error=False, print_error=False)
    if "session" in injected:
        bound.arguments["session"] = session
    return command, bound


def _quiet() -> None:
    """What the library logs is told in other words; with WANBRIDGE_DEBUG=1 it is seen too."""
    if os.environ.get("WANBRIDGE_DEBUG") != "1":
        logging.getLogger("wanbridge").addHandler(logging.NullHandler())


def _nobody_reads() -> Exit:
    """Standard output was closed (``| head``): be silent, also at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.INTERNAL
