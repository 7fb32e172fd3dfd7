"""The money trace: who was asked, what became of it, and what it cost."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from wanbridge.cli.files import leave
from wanbridge.cli.screen import err_console, table, tell
from wanbridge.cli.session import Session
from wanbridge.errors import Charge
from wanbridge.model import Attempt, Job

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


def leave_others(
    session: Session, attempts: Iterable[Attempt], *, kept: object | None = None
) -> None:
    """Keep in files what attempts left behind and may be paid for, besides what is *kept*."""
    for attempt in attempts:
        handle = attempt.job or attempt.receipt
        if handle is None or attempt.charge is Charge.NO or handle == kept:
            continue
        file = leave(handle, session.folder)
        if file is None:
            print(handle.to_json(), file=sys.stderr)
            continue
        command = session.command("fetch" if isinstance(handle, Job) else "reconcile", file)
        tell(session, f"{attempt.provider} may charge too; go on with: {command}")
