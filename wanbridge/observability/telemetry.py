"""What observes calls: the log ``wanbridge``, which every client has, and a `Telemetry`.

No observer ever gets a prompt, a picture or a key, and none can fail a call: what it raises is
logged, and the call goes on. See `wanbridge.observability.opentelemetry` for OpenTelemetry.
"""

from __future__ import annotations

from typing import Protocol

from wanbridge.engine.events import Event, OperationName
from wanbridge.model.jobs import Job
from wanbridge.model.result import ImageResult


class CallObserver(Protocol):
    """Observes one call."""

    def on_event(self, event: Event) -> None:
        """Called with each event of the call, as it happens."""

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        """Called once, when the call has ended: with its result or with its error."""


class Telemetry(Protocol):
    """Makes an observer for each call of a client; called from any thread."""

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> CallObserver:
        """An observer for a call that begins.

        Args:
            model: Canonical model.
            route: Name of the route; None without one.
            provider: Account name, if the caller chose one.
        """
        ...
