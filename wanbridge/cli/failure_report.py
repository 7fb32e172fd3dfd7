"""Whatever ends a command: one line about it, at most one more about what to do next.

What was accepted, may have been accepted, or is delivered and not saved is written to a file
first, so that nothing that costs money is lost with the process.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from attrs import frozen
from cyclopts import CycloptsError

from wanbridge.adapters.fitting import DROPPABLE
from wanbridge.cli.codes import Exit, code_of
from wanbridge.cli.deliver import NotSaved
from wanbridge.cli.files import Stored
from wanbridge.cli.screen import tell, unheard
from wanbridge.cli.session import Session
from wanbridge.cli.trace import keep_others, show_trace, tell_others
from wanbridge.cli.usage import UsageError
from wanbridge.errors import (
    AllProvidersFailed,
    CallFailed,
    Charge,
    ConfigurationError,
    DeadlineExceeded,
    ProviderError,
    SubmissionUncertain,
    UnsupportedFeature,
    WanbridgeError,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Attempt, ImageResult

_CHARGED = {
    Charge.NO: "nothing was charged",
    Charge.MAYBE: "it may have been charged",
    Charge.YES: "it was charged",
}
_NEXT = {Job: "fetch", Receipt: "reconcile", ImageResult: "fetch"}


@frozen
class _Kept:
    """Something paid for, or perhaps so, and the file it is in; None if nowhere."""

    value: Stored
    file: Path | None


def report(exc: BaseException, session: Session) -> Exit:
    """Leave behind what must not be lost, tell, and give the exit code."""
    attempts = _attempts(exc)
    kept = _keep(exc, session)
    others = keep_others(session, attempts, kept=kept and kept.value)
    session.handles.settle(*([kept.value] if kept else []))
    message, code = _message(exc, kept, session)
    # Here nothing is left to be told that the words themselves cannot be.
    with suppress(OSError), unheard():
        tell(session, f"wanbridge: {message}")
        if session.trace or len(attempts) > 1:
            show_trace(session, attempts)
        tell_others(session, others)
        if advice := _continue(kept, exc, session) or _advice(exc, session):
            tell(session, advice, lead="  ")
        if kept is not None and kept.file is None:
            print(kept.value.to_json(), file=sys.stderr)
        if os.environ.get("WANBRIDGE_DEBUG") == "1":
            print(session.hide("".join(traceback.format_exception(exc))), file=sys.stderr)
    return code


# -- what must not be lost ---------------------------------------------------------------


def _keep(exc: BaseException, session: Session) -> _Kept | None:
    value = _loose(exc, session)
    return None if value is None else _Kept(value, session.handles.keep(value))


def _loose(exc: BaseException, session: Session) -> Stored | None:
    """A result that is not all saved, an accepted job, or the receipt of an open submit."""
    if session.result is not None:
        return session.result
    if isinstance(exc, SubmissionUncertain):
        return exc.receipt
    if isinstance(exc, CallFailed):
        return exc.job
    if isinstance(exc, WanbridgeError | UsageError | NotSaved | CycloptsError):
        return None
    # An interruption carries what the flow knows; what falls between, the events have told.
    for name in ("result", "job", "receipt"):
        if (value := getattr(exc, name, None)) is not None:
            known: Stored = value
            return known
    # What strikes while the command ends by another knows nothing itself.
    if isinstance(exc.__context__, KeyboardInterrupt):
        return _loose(exc.__context__, session)
    return session.tracker.job or session.tracker.receipt


def _attempts(exc: BaseException) -> tuple[Attempt, ...]:
    """Those of *exc*, or of what had ended the command when it struck."""
    end: BaseException | None = exc
    while end is not None:
        found: tuple[Attempt, ...] = getattr(end, "attempts", ())
        if found or isinstance(end, WanbridgeError):
            return found
        end = end.__context__
    return ()


# -- what is said ------------------------------------------------------------------------


def _message(exc: BaseException, kept: _Kept | None, session: Session) -> tuple[str, Exit]:
    match exc:
        case CallFailed():
            return f"{_failed(exc)}; {_CHARGED[exc.charge]}; {_elsewhere(exc)}", code_of(exc)
        case AllProvidersFailed():
            # Of several, the trace that follows has each one's reason.
            reasons = f": {exc.exceptions[0]}" if len(exc.exceptions) == 1 else ""
            return f"{exc.message}{reasons}", code_of(exc)
        case WanbridgeError():
            return str(exc), code_of(exc)
        case NotSaved():
            return str(exc), Exit.UNAVAILABLE
        case UsageError() | CycloptsError():
            return str(exc), Exit.USAGE
        case OSError():
            where = f"{exc.filename}: " if exc.filename else ""
            if session.tracker.state == "saved":
                said = f"{where}{exc.strerror or exc}; the pictures are saved"
                return said, Exit.UNAVAILABLE
            return f"{where}{exc.strerror or exc}", _code_beside(kept)
        case KeyboardInterrupt():
            if session.tracker.state == "saved":
                return "interrupted; the pictures are saved", Exit.INTERRUPTED
            return _interrupted(kept)
    return f"internal error, please report it: {type(exc).__name__}: {exc}", Exit.INTERNAL


def _code_beside(kept: _Kept | None) -> Exit:
    """That of a failure of this machine, by what it has not lost."""
    if kept is None:
        return Exit.USAGE
    return Exit.UNCERTAIN if isinstance(kept.value, Receipt) else Exit.UNAVAILABLE


def _failed(exc: CallFailed) -> str:
    if isinstance(exc, DeadlineExceeded) and exc.job is not None:
        return f"{exc.provider}: job {exc.job.id} was still pending at the deadline"
    at_risk = exc.receipt.at_risk if isinstance(exc, SubmissionUncertain) and exc.receipt else None
    return f"{exc}; {at_risk} at risk" if at_risk else str(exc)


def _elsewhere(exc: CallFailed) -> str:
    if exc.elsewhere:
        return "another provider may help"
    if isinstance(exc, ProviderError):
        return "another provider would not help"
    return "another provider would charge again"


def _interrupted(kept: _Kept | None) -> tuple[str, Exit]:
    match kept and kept.value:
        case ImageResult():
            return "interrupted while saving; the pictures are paid for", Exit.INTERRUPTED
        case Job(id=id):
            return f"interrupted; job {id} goes on and is charged", Exit.INTERRUPTED
        case Receipt(account=account):
            unknown = "interrupted during the submit; nobody knows whether it was accepted"
            return f"{account}: {unknown}", Exit.UNCERTAIN
    return "interrupted; nothing was bought", Exit.INTERRUPTED


def _continue(kept: _Kept | None, exc: BaseException, session: Session) -> str:
    """How to go on with what was kept."""
    if kept is None:
        return ""
    kind = type(kept.value)
    if kept.file is None:
        return f"it could not be written to any file; store this line for wanbridge {_NEXT[kind]}:"
    if session.sandbox:
        return f"the sandbox has ended with this command; what it knew is in {kept.file}"
    # A job that has ended so will say the same again, but what it says is kept there.
    how = "ask again with" if getattr(exc, "final", False) else "go on with"
    return f"{how}: {session.command(_NEXT[kind], kept.file)}"


def _advice(exc: BaseException, session: Session) -> str:
    match exc:
        case UsageError():
            return exc.advice
        case CycloptsError():
            return f"see: {shlex.join(['wanbridge', *_command(exc), '--help'])}"
        case UnsupportedFeature(field=field) if field in DROPPABLE:
            return f"--may-drop {field} leaves it out; wanbridge explain shows who can take it"
        case UnsupportedFeature():
            return "wanbridge explain shows who can take it"
        case ConfigurationError() if session.config is not None:
            return f"see: {shlex.join(['wanbridge', 'validate', str(session.config)])} --as config"
        case ConfigurationError():
            return "see: wanbridge providers; wanbridge demo needs no key"
        case CallFailed() if exc.elsewhere and exc.charge is Charge.NO and session.accounts:
            return f"try: --provider {' or '.join(session.accounts)}"
    return ""


def _command(exc: CycloptsError) -> list[str]:
    return [] if exc.command_chain is None else list(exc.command_chain)
