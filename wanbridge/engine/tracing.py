"""What every error and interruption of a call carries: its attempt, job or receipt."""

from __future__ import annotations

from wanbridge.adapters.base import Adapter
from wanbridge.engine.context import CallContext
from wanbridge.errors import (
    CallFailed,
    Charge,
)
from wanbridge.model.jobs import Job
from wanbridge.model.result import Attempt


class traced:  # noqa: N801 - a context manager, read like a word
    """A context manager: errors that leave it carry their attempt, interruptions job or receipt."""

    __slots__ = ("adapter", "began", "context")

    def __init__(self, adapter: Adapter, context: CallContext, job: Job | None = None) -> None:
        self.adapter, self.context = adapter, context
        self.began = context.clock()
        context.handles.job = job

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None or isinstance(exc, GeneratorExit):
            return
        if not isinstance(exc, CallFailed):
            self.context.handles.mark(exc)
            return
        handles = self.context.handles
        exc.job = exc.job or handles.job
        if exc.job is None and exc.receipt is None and exc.charge is not Charge.NO:
            exc.receipt = handles.receipt
        exc.attempts = (
            Attempt(
                provider=self.adapter.account,
                outcome=type(exc).__name__,
                charge=exc.charge,
                seconds=self.context.clock() - self.began,
                detail=exc.message,
            ),
        )
