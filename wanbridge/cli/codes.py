"""Exit codes, which scripts may rely on."""

from __future__ import annotations

from enum import IntEnum

from wanbridge.errors import (
    AllProvidersFailed,
    AuthenticationFailed,
    CallFailed,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    JobCancelled,
    RequestRejected,
    SubmissionUncertain,
    WanbridgeError,
)


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    REFUSED = 3
    UNAVAILABLE = 4
    UNCERTAIN = 5
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done",
    Exit.INTERNAL: "a fault in wanbridge itself; please report it",
    Exit.USAGE: "wrong usage, request, configuration or file; nothing was sent",
    Exit.REFUSED: "the provider refused, or the generation failed",
    Exit.UNAVAILABLE: "unavailable, timed out, or a paid picture not saved; "
    "what was accepted is kept in a file for `wanbridge fetch`",
    Exit.UNCERTAIN: "nobody knows whether it was accepted; "
    "the receipt is kept in a file for `wanbridge reconcile`",
    Exit.INTERRUPTED: "stopped by Ctrl-C, SIGTERM, a closed terminal or another signal; "
    "what was accepted is kept in a file for `wanbridge fetch`",
}

_REFUSALS = (
    AuthenticationFailed,
    RequestRejected,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    JobCancelled,
)


def code_of(error: WanbridgeError) -> Exit:
    """The exit code of an error that wanbridge raises on purpose."""
    if isinstance(error, AllProvidersFailed):
        return _code_of_all(error)
    if isinstance(error, SubmissionUncertain):
        return Exit.UNCERTAIN
    if isinstance(error, _REFUSALS):
        return Exit.REFUSED
    return Exit.UNAVAILABLE if isinstance(error, CallFailed) else Exit.USAGE


def _code_of_all(error: AllProvidersFailed) -> Exit:
    """The exit code of the most urgent failure; a skipped account is the least urgent."""
    order = (Exit.UNCERTAIN, Exit.UNAVAILABLE, Exit.REFUSED, Exit.USAGE)
    codes = {code_of(e) for e in error.exceptions if isinstance(e, WanbridgeError)}
    return next((code for code in order if code in codes), Exit.UNAVAILABLE)


def epilogue() -> str:
    """The codes for the end of the help page, as Markdown."""
    rows = "\n".join(f"- **{code.value}** {meaning}" for code, meaning in MEANING.items())
    return f"Exit codes:\n\n{rows}"
