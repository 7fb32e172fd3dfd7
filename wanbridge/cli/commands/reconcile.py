"""``wanbridge reconcile``: look up a submit whose outcome is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wanbridge.adapters.steps import NotAccepted, StillUnknown
from wanbridge.cli.accounts import open_client
from wanbridge.cli.codes import Exit
from wanbridge.cli.files import DocumentTarget, read
from wanbridge.cli.options import ConfigFile
from wanbridge.cli.screen import ignoring_closed_output
from wanbridge.cli.session import Session
from wanbridge.model.jobs import Job, Receipt


def reconcile(
    file: Annotated[Path, Parameter(help="The receipt of the submit.")],
    /,
    *,
    adopt: Annotated[
        str | None,
        Parameter(metavar="TASK_ID", help="Take this task for it, by your own word. No call."),
    ] = None,
    output: Annotated[
        str | None,
        Parameter(name=("--output", "-o"), metavar="FILE", help="File for the job, if accepted."),
    ] = None,
    force: Annotated[
        bool, Parameter(negative="", show_default=False, help="Replace a file that exists.")
    ] = False,
    config: ConfigFile = None,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Look up a submit whose outcome is unknown. Nothing is sent again.

    Exits with 0 once it is settled (accepted, and the job is in a file; or surely not
    accepted), with 5 while it is not.
    """
    receipt = read(file, Receipt.from_json, "receipt")
    target = DocumentTarget.of(output, force=force)
    session.handles.folder = target.folder
    session.handles.register(receipt, file)
    with open_client(config, session) as client:
        found = client.adopt(receipt, adopt) if adopt else client.reconcile(receipt)
    left = None
    if isinstance(found, Job):
        session.call_state.accepted(found)
        left = target.write(found)
    with ignoring_closed_output():
        print(session.line(f"{receipt.account}: {_outcome_text(found)}"))
        if isinstance(found, StillUnknown):
            _print_candidates(found, receipt, file, session)
        if left is not None:
            print(f"collect it: {session.command('fetch', left)}")
    return Exit.UNCERTAIN if isinstance(found, StillUnknown) else Exit.OK


def _outcome_text(found: Job | NotAccepted | StillUnknown) -> str:
    match found:
        case Job(id=id):
            return f"accepted as job {id}"
        case NotAccepted(detail=detail):
            return f"not accepted, nothing was bought; it may be sent again ({detail})"
        case StillUnknown(detail=detail):
            return f"still unknown: {detail}"


def _print_candidates(found: StillUnknown, receipt: Receipt, file: Path, session: Session) -> None:
    print(session.line(f"sent at {receipt.last_sent_at:%Y-%m-%d %H:%M:%S %Z}"))
    for candidate in found.candidates:
        print(session.line(f"it could be task {candidate}"))
    if found.candidates:
        again = session.command("reconcile", file)
        print(session.line(f"take one for it: {again} --adopt {found.candidates[0]}"))
