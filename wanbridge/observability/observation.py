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

    *play* gets a *context* that also emits its events to the observers; whatever they raise is
    logged. Without *telemetry*, and with the log above INFO, only a failure is logged.
    """
    if telemetry is None and not log.isEnabledFor(logging.INFO):
        try:
            return (yield from play(context))
        except BaseException as exc:
            with _harmless():
                LOG.ended(operation, context.handles, exc)
            raise
    observers: list[CallObserver] = []
    for each in (LOG, telemetry):
        if each is not None:
            with _harmless():
                observers.append(each.begin(operation, model=model, route=route, provider=provider))

    def emit_to_observers(event: Event) -> None:
        for observer in observers:
            with _harmless():
                observer.on_event(event)

    def emit(event: Event) -> None:
        try:
            context.emit(event)
        except Exception:
            # A ledger or file that cannot store a receipt stops the submit; any other event
            # has happened all the same.
            if not isinstance(event, Submitting):
                emit_to_observers(event)
            raise
        emit_to_observers(event)

    def end(result: T | None, error: BaseException | None) -> None:
        for observer in observers:
            with _harmless():
                observer.end(result, error)

    try:
        result = yield from play(evolve(context, emit=emit))
    except BaseException as exc:
        end(None, exc)
        raise
    end(result, None)
    return result


class _harmless:  # noqa: N801 - a context manager, read like a word
    """Logs an exception of an observer, which must not fail the call."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> bool:
        if not isinstance(exc, Exception):
            return False
        log.error("wanbridge: telemetry failed; the job goes on", exc_info=exc)
        return True
