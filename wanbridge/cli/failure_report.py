"""Reports the exception that ends a command: one line, and at most one more on what to do next.

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
from wanbridge.cli.screen import ignoring_closed_output, print_stderr
from wanbridge.cli.session import Session
from wanbridge.cli.trace import keep_open_attempts, print_open_attempts, show_trace
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
from wanbridge.model.handles import handle
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
    """A job, receipt or result that may be charged, and its file; None if it is in none."""

    value: Stored
    file: Path | None


def report(exc: BaseException, session: Session) -> Exit:
    """Write what must not be lost to files, print the message, and return the exit code."""
    attempts = _attempts(exc)
    kept = _keep_unsaved(exc, session)
    open_attempts = keep_open_attempts(session, attempts, kept=kept and kept.value)
    session.handles.remove_except(*([kept.value] if kept else []))
    message, code = _message(exc, kept, session)
    # A failure of the output itself cannot be reported.
    with suppress(OSError), ignoring_closed_output():
        print_stderr(session, f"wanbridge: {message}")
        if session.trace or len(attempts) > 1:
            show_trace(session, attempts)
        print_open_attempts(session, open_attempts)
        if advice := _resume_hint(kept, exc, session) or _advice(exc, session):
            print_stderr(session, advice, lead="  ")
        if kept is not None and kept.file is None:
            print(kept.value.to_json(), file=sys.stderr)
        if os.environ.get("WANBRIDGE_DEBUG") == "1":
            print(session.hide("".join(traceback.format_exception(exc))), file=sys.stderr)
    return code


# -- what must not be lost ---------------------------------------------------------------


def _keep_unsaved(exc: BaseException, session: Session) -> _Kept | None:
    value = _unsaved(exc, session)
    return None if value is None else _Kept(value, session.handles.keep(value))


def _unsaved(exc: BaseException, session: Session) -> Stored | None:
    """A result that is not all saved, an accepted job, or the receipt of an open submit."""
    if session.result is not None:
        return session.result
    if isinstance(exc, SubmissionUncertain):
        return exc.receipt
    if isinstance(exc, CallFailed):
        return exc.job
    if isinstance(exc, WanbridgeError | UsageError | NotSaved | CycloptsError):
        return None
    # An interruption carries what the flow knows; the events cover what falls between.
    return handle(exc) or session.call_state.job or session.call_state.receipt


def _attempts(exc: BaseException) -> tuple[Attempt, ...]:
    """The attempts of *exc*, or of the exception that was being handled when it was raised."""
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
            said = f"{_failure_text(exc)}; {_CHARGED[exc.charge]}; {_failover_hint(exc)}"
            return said, code_of(exc)
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
            if session.call_state.status == "saved":
                said = f"{where}{exc.strerror or exc}; the pictures are saved"
                return said, Exit.UNAVAILABLE
            return f"{where}{exc.strerror or exc}", _os_error_code(kept)
        case KeyboardInterrupt():
            if session.call_state.status == "saved":
                return "interrupted; the pictures are saved", Exit.INTERRUPTED
            return _interruption(kept)
    return f"internal error, please report it: {type(exc).__name__}: {exc}", Exit.INTERNAL


def _os_error_code(kept: _Kept | None) -> Exit:
    """The exit code of an `OSError`, by what was kept."""
    if kept is None:
        return Exit.USAGE
    return Exit.UNCERTAIN if isinstance(kept.value, Receipt) else Exit.UNAVAILABLE


def _failure_text(exc: CallFailed) -> str:
    if isinstance(exc, DeadlineExceeded) and exc.job is not None:
        return f"{exc.provider}: job {exc.job.id} was still pending at the deadline"
    at_risk = exc.receipt.at_risk if isinstance(exc, SubmissionUncertain) and exc.receipt else None
    return f"{exc}; {at_risk} at risk" if at_risk else str(exc)


def _failover_hint(exc: CallFailed) -> str:
    if exc.elsewhere:
        return "another provider may help"
    if isinstance(exc, ProviderError):
        return "another provider would not help"
    return "another provider would charge again"


def _interruption(kept: _Kept | None) -> tuple[str, Exit]:
    match kept and kept.value:
        case ImageResult():
            return "interrupted while saving; the pictures are paid for", Exit.INTERRUPTED
        case Job(id=id):
            return f"interrupted; job {id} goes on and is charged", Exit.INTERRUPTED
        case Receipt(account=account):
            unknown = "interrupted during the submit; nobody knows whether it was accepted"
            return f"{account}: {unknown}", Exit.UNCERTAIN
    return "interrupted; nothing was bought", Exit.INTERRUPTED


def _resume_hint(kept: _Kept | None, exc: BaseException, session: Session) -> str:
    """The command that goes on with what was kept; empty if nothing was."""
    if kept is None:
        return ""
    kind = type(kept.value)
    if kept.file is None:
        return f"it could not be written to any file; store this line for wanbridge {_NEXT[kind]}:"
    if session.sandbox:
        return f"the sandbox has ended with this command; what it knew is in {kept.file}"
    # A job that has failed fails again, but the provider keeps its reason.
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
