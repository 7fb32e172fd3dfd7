"""The moving lines while one waits; nothing where standard error is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from wanbridge.cli.call_state import Tracker
from wanbridge.cli.session import Session

_MARKS = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}


@contextmanager
def watching(session: Session, trackers: Sequence[Tracker]) -> Iterator[None]:
    """One line for each call that goes on, for as long as the block lasts."""
    from wanbridge.cli.screen import err_console

    err = err_console()
    # FORCE_COLOR makes a log file a terminal to rich; nobody wants moving lines there.
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
        for tracker in trackers:
            mark = spinner if tracker.ended is None else Text.from_markup(_MARKS[tracker.state])
            lines.add_row(mark, Text(session.line(str(tracker))))
        return lines

    live = Live(
        get_renderable=draw,
        console=err,
        refresh_per_second=8,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    # A terminal that is closed meanwhile takes nothing any more; that must not end the command.
    with suppress(OSError):
        live.start()
    try:
        yield
    finally:
        with suppress(OSError):
            live.stop()
