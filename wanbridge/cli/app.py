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
from wanbridge.cli.commands.callbacks import callbacks
from wanbridge.cli.commands.compare import compare
from wanbridge.cli.commands.demo import demo
from wanbridge.cli.commands.explain import explain
from wanbridge.cli.commands.fetch import fetch
from wanbridge.cli.commands.generate import generate
from wanbridge.cli.commands.providers import providers
from wanbridge.cli.commands.reconcile import reconcile
from wanbridge.cli.commands.sandbox import sandbox
from wanbridge.cli.commands.submit import submit
from wanbridge.cli.commands.validate import validate
from wanbridge.cli.session import Session
from wanbridge.version import __version__

_HELP = "One request for Wan 2.7 images, any provider, paid once."

# In the order of the help page.
_COMMANDS: tuple[Callable[..., Exit] | App, ...] = (
    *(demo, generate, submit, fetch, reconcile),
    *(explain, compare, providers, validate, callbacks, sandbox),
)


def build() -> App:
    """The application; its help is what the commands' docstrings say."""
    app = App(
        name="wanbridge",
        version=f"wanbridge {__version__}",
        help=_HELP,
        help_epilogue=epilogue(),
        help_format="markdown",
        default_parameter=Parameter(negative_iterable=()),
    )
    for order, command in enumerate(_COMMANDS):
        if isinstance(command, App):
            command.sort_key = order
            app.command(command)
        else:
            app.command(command, sort_key=order)
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
                return _ended(exc, session)
    except KeyboardInterrupt as exc:
        return _ended(exc, session)  # a second one, before nobody listened any more


def _ended(exc: BaseException, session: Session) -> Exit:
    from wanbridge.cli.failure_report import report

    with signals.deafen():
        return report(exc, session)


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
