"""The money trace: who was asked, what became of it, and what it cost."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from wanbridge.cli.screen import err_console, table, tell
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
class Other:
    """What an attempt has left behind and may be paid for, and the file it is in."""

    provider: str
    handle: Job | Receipt
    file: Path | None


def keep_others(
    session: Session, attempts: Iterable[Attempt], *, kept: object | None = None
) -> list[Other]:
    """Keep in files what attempts left behind and may be paid for, besides what is *kept*."""
    found = []
    for attempt in attempts:
        handle = attempt.job or attempt.receipt
        if handle is not None and attempt.charge is not Charge.NO and handle != kept:
            found.append(Other(attempt.provider, handle, session.handles.want(handle)))
    return found


def tell_others(session: Session, others: Iterable[Other]) -> None:
    """How to go on from each of *others*."""
    for other in others:
        if other.file is None:
            print(other.handle.to_json(), file=sys.stderr)
            continue
        name = "fetch" if isinstance(other.handle, Job) else "reconcile"
        command = session.command(name, other.file)
        tell(session, f"{other.provider} may charge too; go on with: {command}")
