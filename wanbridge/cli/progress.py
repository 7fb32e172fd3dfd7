"""Live progress lines on standard error; none where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from wanbridge.cli.call_state import CallState
from wanbridge.cli.session import Session

_MARKS = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}


@contextmanager
def live_progress(session: Session, states: Sequence[CallState]) -> Iterator[None]:
    """Show one line for each call for as long as the block lasts."""
    from wanbridge.cli.screen import err_console

    err = err_console()
    # FORCE_COLOR makes a log file a terminal to rich; live lines are not for a log.
    if not err.file.isatty() or not err.is_terminal or err.is_dumb_terminal:
        yield
        return

    from rich.live import Live
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    spinner = Spinner("dots", style="cyan")

    def draw() -> Table:
        lines = Table.grid(padding=(0, 1, 0, 0))
        lines.add_column(width=1)
        lines.add_column(no_wrap=True, overflow="ellipsis")
        for call in states:
            mark = spinner if call.ended is None else Text.from_markup(_MARKS[call.status])
            lines.add_row(mark, Text(session.line(str(call))))
        return lines

    live = Live(
        get_renderable=draw,
        console=err,
        refresh_per_second=8,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    # Writing to a terminal that was closed meanwhile fails; that must not end the command.
    with suppress(OSError):
        live.start()
    try:
        yield
    finally:
        with suppress(OSError):
            live.stop()
