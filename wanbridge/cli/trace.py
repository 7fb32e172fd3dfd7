"""The trace of a call: each attempt, its outcome and its cost; and jobs that attempts left open."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from wanbridge.cli.screen import err_console, print_stderr, table
from wanbridge.cli.session import Session
from wanbridge.errors import Charge
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Attempt

_CHARGED = {Charge.NO: "nothing", Charge.MAYBE: "perhaps", Charge.YES: "yes"}
_STYLES = {"delivered": "green", "skipped": "dim"}


def show_trace(session: Session, attempts: Sequence[Attempt]) -> None:
    """One row for each attempt and skip, in order, on standard error."""
    from rich.text import Text

    rows = table("", "provider", "outcome", "charged", "cost", "seconds", "why", right=("seconds",))
    for number, attempt in enumerate(attempts, 1):
        sent = attempt.outcome != "skipped"
        rows.add_row(
            str(number),
            Text(session.line(attempt.provider)),
            Text(attempt.outcome, _STYLES.get(attempt.outcome, "yellow")),
            _CHARGED[attempt.charge] if sent else "",
            str(attempt.cost or ""),
            f"{attempt.seconds:.1f}" if sent else "",
            Text(session.line(attempt.detail)),
        )
    err_console().print(rows)


@frozen
class OpenAttempt:
    """A job or receipt of an attempt that may be charged.

    Attributes:
        file: That holds it; None if it could not be written.
    """

    provider: str
    handle: Job | Receipt
    file: Path | None


def keep_open_attempts(
    session: Session, attempts: Iterable[Attempt], *, kept: object | None = None
) -> list[OpenAttempt]:
    """Write to files the jobs and receipts of attempts that may be charged, except *kept*."""
    found = []
    for attempt in attempts:
        handle = attempt.job or attempt.receipt
        if handle is not None and attempt.charge is not Charge.NO and handle != kept:
            found.append(OpenAttempt(attempt.provider, handle, session.handles.keep_always(handle)))
    return found


def print_open_attempts(session: Session, open_attempts: Iterable[OpenAttempt]) -> None:
    """Print the command that goes on from each, or its JSON where it is in no file."""
    for attempt in open_attempts:
        if attempt.file is None:
            print(attempt.handle.to_json(), file=sys.stderr)
            continue
        name = "fetch" if isinstance(attempt.handle, Job) else "reconcile"
        command = session.command(name, attempt.file)
        print_stderr(session, f"{attempt.provider} may charge too; go on with: {command}")
