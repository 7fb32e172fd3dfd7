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
    """Watches one call."""

    def tell(self, event: Event) -> None:
        """What happens, as it happens."""

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        """How it ended, once: with a result or with an error."""


class Telemetry(Protocol):
    """Watches the calls of a client, from any thread."""

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> CallObserver:
        """A call begins.

        Args:
            model: Canonical model.
            route: Name of the route; None without one.
            provider: Account name, if the caller chose one.
        """
        ...
