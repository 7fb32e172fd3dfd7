"""Playing a call so that the log and a caller's telemetry observe it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from attrs import evolve

from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow
from wanbridge.engine.events import Event, OperationName, Submitting
from wanbridge.model.jobs import Job
from wanbridge.model.result import ImageResult
from wanbridge.observability.call_log import LOG
from wanbridge.observability.telemetry import CallObserver, Telemetry

log = logging.getLogger("wanbridge")

T = TypeVar("T", bound=ImageResult | Job)


def observe(
    play: Callable[[CallContext], Flow[T]],
    context: CallContext,
    telemetry: Telemetry | None,
    *,
    operation: OperationName,
    model: str,
    route: str | None = None,
    provider: str | None = None,
) -> Flow[T]:
    """The flow that *play* makes, observed by the log and by *telemetry*.

    It gets a *context* that also reports to the watches; whatever they raise is logged. Where
    nobody would hear of a call that goes well, it is played as it is.
    """
    if telemetry is None and not log.isEnabledFor(logging.INFO):
        try:
            return (yield from play(context))
        except BaseException as exc:
            with _harmless():
                LOG.ended(operation, context.handles, exc)
            raise
    watches: list[CallObserver] = []
    for each in (LOG, telemetry):
        if each is not None:
            with _harmless():
                watches.append(each.begin(operation, model=model, route=route, provider=provider))

    def report(event: Event) -> None:
        for watch in watches:
            with _harmless():
                watch.tell(event)

    def tell(event: Event) -> None:
        try:
            context.tell(event)
        except Exception:
            # Who cannot take note of a submit stops it; everything else has happened.
            if not isinstance(event, Submitting):
                report(event)
            raise
        report(event)

    def end(result: T | None, error: BaseException | None) -> None:
        for watch in watches:
            with _harmless():
                watch.end(result, error)

    try:
        result = yield from play(evolve(context, tell=tell))
    except BaseException as exc:
        end(None, exc)
        raise
    end(result, None)
    return result


class _harmless:  # noqa: N801 - a context manager, read like a word
    """Whoever fails to watch must not cost the job."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> bool:
        if not isinstance(exc, Exception):
            return False
        log.error("wanbridge: telemetry failed; the job goes on", exc_info=exc)
        return True
