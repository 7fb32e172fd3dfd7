"""The state of a call in progress, kept from its events."""

from __future__ import annotations

import time

from attrs import define, field

from wanbridge.engine.events import Accepted, Asking, Event, Polled, Retrying, Submitting
from wanbridge.model.jobs import Job, Receipt
from wanbridge.storage.filenames import short


@define
class CallState:
    """The state of one call, updated by its events; holds what an interruption must not lose.

    Attributes:
        name: Account that the call is made to.
        label: Distinguishes calls to one account.
        status: For the progress line, like ``waiting``.
        receipt: Of a submit whose outcome is open; None before it and once it is known.
        job: The accepted job; None until then.
        polls: Number of polls so far.
        progress: 0.0 to 1.0; None if the provider does not report it.
        began, ended: Monotonic seconds; *ended* is None while the call is in progress.
    """

    name: str = ""
    label: str = ""
    status: str = "sending"
    receipt: Receipt | None = None
    job: Job | None = None
    polls: int = 0
    progress: float | None = None
    began: float = field(factory=time.monotonic)
    ended: float | None = None

    def on_event(self, event: Event) -> None:
        """Update the state by *event*."""
        match event:
            case Asking(account):
                self.name, self.status = account, "asking"
                self.receipt = self.job = None
            case Submitting(receipt):
                self.name, self.status = receipt.account, "sending"
                self.receipt, self.job = receipt, None
            case Accepted(job):
                self.accepted(job)
            case Polled():
                self.job, self.polls, self.progress = event.job, event.polls, event.progress
                self.status = f"polling in trouble: {event.trouble}" if event.trouble else "waiting"
            case Retrying():
                # From here on the interruption itself carries the receipt of an open submit.
                self.receipt = None
                self.status = f"again in {event.seconds:.0f} s: {event.reason}"

    def accepted(self, job: Job) -> None:
        """Record that the submit was accepted as *job*."""
        self.name, self.status, self.job, self.receipt = job.account, "waiting", job, None

    def finish(self, status: str) -> None:
        """Record the end of the call, with its final status."""
        self.status, self.ended = status, time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the call began, or that it took once it has ended."""
        return (self.ended or time.monotonic()) - self.began

    def __str__(self) -> str:
        facts = [
            f"{self.name} {self.label}".strip(),
            self.job and f"job {short(self.job.id)}",
            self.status,
            f"{self.seconds:.0f} s",
            self.polls and ("1 poll" if self.polls == 1 else f"{self.polls} polls"),
            self.progress is not None and f"{self.progress:.0%}",
        ]
        return " · ".join(str(fact) for fact in facts if fact)
