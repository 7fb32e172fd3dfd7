"""What a call can be continued from: a receipt, a job or a result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeAlias

from attrs import define

from wanbridge.errors import CallFailed, Charge, WanbridgeError
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Attempt, ImageResult

Handle: TypeAlias = Job | Receipt | ImageResult


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


def handle(exc: BaseException) -> Handle | None:
    """How to go on from an exception: the job, receipt or result of what may have been bought.

    It is looked for on *exc* itself, in its group, among its attempts, and on what caused it: the
    ``TimeoutError`` of ``asyncio.timeout`` has it from the ``CancelledError`` below, the
    ``KeyboardInterrupt`` of ``asyncio.run`` from the cancelled call.

    Returns:
        A `Job` to wait for, a `Receipt` to reconcile, or an `ImageResult` to save; of several the
        first. None if nothing may have been bought.
    """
    waiting, seen = [exc], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:  # causes may run in a circle
            continue
        seen.add(id(one))
        for found in _carried(one):
            return found
        waiting += reversed([*_behind(one)])
    return None


def _carried(exc: BaseException) -> Iterator[Handle]:
    """What an exception carries itself, the furthest first, and then what its attempts do."""
    # A job that has failed free of charge is nothing to go on with.
    if not (isinstance(exc, CallFailed) and exc.charge is Charge.NO):
        for name in ("result", "job", "receipt"):
            # Exceptions of other libraries have attributes of these names, too.
            if isinstance(value := getattr(exc, name, None), Handle):
                yield value
    attempts = getattr(exc, "attempts", ())
    for attempt in attempts if isinstance(attempts, tuple) else ():
        if isinstance(attempt, Attempt) and attempt.charge is not Charge.NO:
            yield from filter(None, (attempt.job, attempt.receipt))


def _behind(exc: BaseException) -> Iterator[BaseException]:
    """The members of a group, and what an exception was raised from."""
    if isinstance(exc, CallFailed):
        return  # which says itself what may have been bought
    if isinstance(exc, BaseExceptionGroup):
        yield from exc.exceptions
    if exc.__cause__ is not None:
        yield exc.__cause__
    # What one of ours was raised in the handling of is another call's.
    elif not (exc.__suppress_context__ or isinstance(exc, WanbridgeError)):
        yield from filter(None, [exc.__context__])
