"""What is known of a call while it goes on."""

from __future__ import annotations

import time

from attrs import define, field

from wanbridge.engine.events import Accepted, Asking, Event, Polled, Retrying, Submitting
from wanbridge.model.jobs import Job, Receipt
from wanbridge.storage.filenames import short


@define
class Tracker:
    """Told every event of one call; keeps what an interruption must not lose.

    Attributes:
        name: Of the account.
        what: Tells calls to one account apart.
        receipt: Of a submit whose outcome is open; None before it and once it is known.
        job: What was accepted.
        polls: So far.
        progress: 0.0 to 1.0, None if the provider does not say.
    """

    name: str = ""
    what: str = ""
    state: str = "sending"
    receipt: Receipt | None = None
    job: Job | None = None
    polls: int = 0
    progress: float | None = None
    began: float = field(factory=time.monotonic)
    ended: float | None = None

    def __call__(self, event: Event) -> None:
        """Take note of *event*."""
        match event:
            case Asking(account):
                self.name, self.state = account, "asking"
                self.receipt = self.job = None
            case Submitting(receipt):
                self.name, self.state = receipt.account, "sending"
                self.receipt, self.job = receipt, None
            case Accepted(job):
                self.accepted(job)
            case Polled():
                self.job, self.polls, self.progress = event.job, event.polls, event.progress
                self.state = f"polling in trouble: {event.trouble}" if event.trouble else "waiting"
            case Retrying():
                # Whether that submit is open, the interruption says itself by then.
                self.receipt = None
                self.state = f"again in {event.seconds:.0f} s: {event.reason}"

    def accepted(self, job: Job) -> None:
        """The outcome of the submit is known: this job."""
        self.name, self.state, self.job, self.receipt = job.account, "waiting", job, None

    def finish(self, state: str) -> None:
        """The call has ended so."""
        self.state, self.ended = state, time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the call began, until it ended."""
        return (self.ended or time.monotonic()) - self.began

    def __str__(self) -> str:
        facts = [
            f"{self.name} {self.what}".strip(),
            self.job and f"job {short(self.job.id)}",
            self.state,
            f"{self.seconds:.0f} s",
            self.polls and ("1 poll" if self.polls == 1 else f"{self.polls} polls"),
            self.progress is not None and f"{self.progress:.0%}",
        ]
        return " · ".join(str(fact) for fact in facts if fact)
