"""What a call reports while it runs, to ``on_progress``, the log and telemetry."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from wanbridge.model.jobs import Job, Receipt


@frozen
class Submitting:
    """Emitted before the first byte of a submit, and again before the same key is sent again."""

    receipt: Receipt


@frozen
class Accepted:
    """Emitted once the provider has accepted."""

    job: Job


@frozen(kw_only=True)
class Polled:
    """Emitted after each poll.

    Attributes:
        polls: How many so far.
        progress: 0.0 to 1.0, None if the provider does not say.
        seconds: Since the wait began.
        trouble: Why this poll said nothing of the job; None if it was answered.
    """

    job: Job
    polls: int
    progress: float | None
    seconds: float
    trouble: str | None = None


@frozen(kw_only=True)
class Retrying:
    """Emitted before a wait to send again.

    Attributes:
        seconds: How long the wait is.
        reason: The failure that caused it.
    """

    account: str
    reason: str
    seconds: float


@frozen
class Asking:
    """Emitted before each attempt of a route.

    Attributes:
        account: Whose turn it is.
        reason: Why it is.
    """

    account: str
    reason: str


Event = Submitting | Accepted | Polled | Retrying | Asking

# What a client was asked to do.
OperationName = Literal["generate", "submit", "wait"]
