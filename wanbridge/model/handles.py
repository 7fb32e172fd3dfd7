"""What a call can be continued from: a receipt, a job or a result."""

from __future__ import annotations

from contextlib import suppress

from attrs import define

from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import ImageResult


@define
class Handles:
    """How to go on from an interruption, kept up to date while a flow runs.

    Attributes:
        receipt: Set from just before a submit until its outcome is known.
        job: Set once the provider has accepted.
        result: Set once the pictures are named.
    """

    receipt: Receipt | None = None
    job: Job | None = None
    result: ImageResult | None = None

    def mark(self, interruption: BaseException) -> None:
        """Attach ``.job``, ``.receipt`` or ``.result`` to an exception from outside the flow."""
        for name in ("receipt", "job", "result"):
            if (handle := getattr(self, name)) is not None:
                with suppress(AttributeError, TypeError):  # not every exception takes more
                    setattr(interruption, name, handle)
