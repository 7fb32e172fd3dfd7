"""OpenTelemetry's traces and metrics of a client's calls; the extra ``otel``.

Names are its own where its conventions for generative AI have one (``gen_ai.*``, still "in
development"; github.com/open-telemetry/semantic-conventions-genai, read 2026-11-21), and
``wanbridge.*`` for the rest. No prompt, no picture, no key, and no message of a failure, which
may quote them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wanbridge.engine.events import (
    Accepted,
    Asking,
    Event,
    OperationName,
    Polled,
    Retrying,
    Submitting,
)
from wanbridge.errors import Charge, ConfigurationError
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.observability.call_record import AccountRecord, CallRecord, error_of, outcome_of
from wanbridge.observability.telemetry import CallObserver
from wanbridge.version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

# Its conventions ask for these; ours are for calls that may take minutes.
_GEN_AI_SECONDS = tuple(0.01 * 2**power for power in range(14))  # up to 81.92
_CALL_SECONDS = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)
# Outcomes that are no errors.
_NO_ERRORS = ("delivered", "accepted", "skipped", "left", "abandoned")
_CHARGES = (Charge.NO, Charge.MAYBE, Charge.YES)


class OpenTelemetry:
    """Traces and metrics of a client's calls: ``Client(..., telemetry=OpenTelemetry())``.

    A span ``wanbridge.generate`` (``submit``, ``wait``) for each call, within the caller's own,
    and in it one for each attempt; skipped providers and the steps of a submit are its events.
    Amounts of money are decimal text on spans, but numbers in the counter ``wanbridge.cost``,
    as OpenTelemetry has no other: add money up from results, not from metrics. A job that is
    waited for twice is counted twice.

    Args:
        tracer_provider, meter_provider: Instead of the process's own.
        clock, now: Monotonic and wall time in nanoseconds, for tests.

    Raises:
        ConfigurationError: ``opentelemetry-api`` is not installed.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            message = "OpenTelemetry is not installed: pip install wanbridge[otel]"
            raise ConfigurationError(message) from None
        self._clock, self._now, self._api = clock, now, trace
        self._tracer = trace.get_tracer("wanbridge", __version__, tracer_provider)
        meter = metrics.get_meter("wanbridge", __version__, meter_provider)
        self._calls = meter.create_counter("wanbridge.calls", "{call}", "Calls that ended.")
        self._attempts = meter.create_counter(
            "wanbridge.attempts", "{attempt}", "Attempts at a provider, skipped ones too."
        )
        self._images = meter.create_counter("wanbridge.images", "{image}", "Pictures delivered.")
        self._cost = meter.create_counter(
            "wanbridge.cost", "{currency}", "Known cost, by currency; what is unknown is missing."
        )
        self._call_seconds = meter.create_histogram(
            "wanbridge.call.duration",
            "s",
            "How long calls took.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._generation_seconds = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_GEN_AI_SECONDS,
        )

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> CallObserver:
        return _TracedCall(self, operation, model=model, route=route, provider=provider)


class _TracedCall:
    """One call as a span, with one inside for each attempt once they are known."""

    def __init__(
        self,
        telemetry: OpenTelemetry,
        operation: OperationName,
        *,
        model: str,
        route: str | None,
        provider: str | None,
    ) -> None:
        self._to, self._operation, self._model = telemetry, operation, model
        # The wall is read once, so that a clock that is set meanwhile bends no span.
        self._began, self._ticks = telemetry._now(), telemetry._clock()
        self._record = CallRecord()
        self._about = _present(
            {
                "wanbridge.operation": operation,
                "gen_ai.request.model": model,
                "wanbridge.route": route,
            }
        )
        self._span = telemetry._tracer.start_span(
            f"wanbridge.{operation}",
            attributes=_present({**self._about, "wanbridge.provider": provider}),
            start_time=self._began,
        )

    def tell(self, event: Event) -> None:
        at = self._time()
        self._record.tell(event, at)
        match event:
            case Asking(account):
                self._happened("asking", at, {"wanbridge.provider": account})
            case Submitting(receipt):
                self._happened("submitting", at, {"wanbridge.provider": receipt.account})
            case Accepted(job):
                self._happened(
                    "accepted",
                    at,
                    {"wanbridge.provider": job.account, "wanbridge.job.id": job.id},
                )
            case Retrying():
                self._happened(
                    "retrying",
                    at,
                    {"wanbridge.provider": event.account, "wanbridge.seconds": event.seconds},
                )
            case Polled():
                pass  # hundreds of them, counted in the end

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        end = self._time()
        try:
            attempts = self._record.attempts(result, error)
            self._tell_attempts(attempts, result, error, end)
            outcome = self._tell_call(attempts, result, error)
            about = {**self._about, "wanbridge.outcome": outcome}
            self._to._calls.add(1, about)
            self._to._call_seconds.record((end - self._began) / 1e9, about)
        finally:
            self._span.end(end)

    def _time(self) -> int:
        return self._began + self._to._clock() - self._ticks

    def _happened(self, what: str, at: int, about: Mapping[str, Any]) -> None:
        self._span.add_event(f"wanbridge.{what}", about, at)

    def _tell_call(
        self,
        attempts: tuple[Attempt, ...],
        result: ImageResult | Job | None,
        error: BaseException | None,
    ) -> str:
        about: dict[str, Any] = {"wanbridge.polls": self._record.polls or None}
        match result:
            case ImageResult():
                outcome = "delivered"
                about |= {
                    **_delivered(result),
                    **_priced(result.cost),
                    "wanbridge.provider": result.provider,
                    "wanbridge.cost.source": result.cost_source,
                }
            case Job():
                outcome = "accepted"
                about |= {"wanbridge.provider": result.account, "wanbridge.job.id": result.id}
            case None:
                outcome = outcome_of(error)
        about["wanbridge.outcome"] = outcome
        if attempts:
            about["wanbridge.charge"] = max((a.charge for a in attempts), key=_CHARGES.index).value
        self._span.set_attributes(_present(about))
        self._fail(self._span, outcome)
        return outcome

    def _tell_attempts(
        self,
        attempts: tuple[Attempt, ...],
        result: ImageResult | Job | None,
        error: BaseException | None,
        end: int,
    ) -> None:
        inside = self._to._api.set_span_in_context(self._span)
        after = self._began
        for attempt in attempts:
            self._count(attempt, result)
            if attempt.outcome == "skipped":
                self._happened("skipped", after, {"wanbridge.provider": attempt.provider})
                continue
            visit = self._record.visits.get(attempt.provider)
            # One begins where the one before has ended, or earlier where two were under way.
            began = min(after, end if visit is None else visit.at)
            after = end
            if attempt is not attempts[-1]:
                after = min(began + round(attempt.seconds * 1e9), end)
            span = self._to._tracer.start_span(
                f"generate_content {self._model}",
                inside,
                self._to._api.SpanKind.CLIENT,
                self._of_attempt(attempt, visit, result, error),
                start_time=began,
            )
            self._fail(span, attempt.outcome)
            span.end(after)

    def _fail(self, span: Span, outcome: str) -> None:
        """Set a failure's class; its message may quote the prompt."""
        if outcome not in _NO_ERRORS:
            span.set_attribute("error.type", outcome)
            span.set_status(self._to._api.StatusCode.ERROR, outcome)

    def _of_attempt(
        self,
        attempt: Attempt,
        visit: AccountRecord | None,
        result: ImageResult | Job | None,
        error: BaseException | None,
    ) -> dict[str, Any]:
        about = {
            **self._generation(attempt, visit),
            **_priced(attempt.cost),
            "gen_ai.output.type": "image",
            "wanbridge.provider": attempt.provider,
            "wanbridge.outcome": attempt.outcome,
            "wanbridge.charge": attempt.charge.value,
            "wanbridge.job.id": attempt.job and attempt.job.id,
            "wanbridge.receipt.key": _uncertain(attempt),
            "wanbridge.request_id": getattr(error_of(attempt, error), "request_id", None),
        }
        if visit is not None and visit.request.n != 1:
            about["gen_ai.request.choice.count"] = visit.request.n
        if isinstance(result, ImageResult) and attempt.outcome == "delivered":
            about |= _delivered(result)
        return _present(about)

    def _generation(self, attempt: Attempt, visit: AccountRecord | None) -> dict[str, Any]:
        about = {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": attempt.provider if visit is None else visit.provider,
            "gen_ai.request.model": self._model,
        }
        return about if visit is None else {**about, **_server(visit.base_url)}

    def _count(self, attempt: Attempt, result: ImageResult | Job | None) -> None:
        to, outcome = self._to, attempt.outcome
        about = {"wanbridge.provider": attempt.provider, "gen_ai.request.model": self._model}
        to._attempts.add(
            1, {**about, "wanbridge.outcome": outcome, "wanbridge.charge": attempt.charge.value}
        )
        if isinstance(result, ImageResult) and outcome == "delivered":
            to._images.add(len(result.images), about)
        if attempt.cost is not None:
            currency = attempt.cost.currency
            # OpenTelemetry counts in floats: this is the one place that makes one of money.
            amount = float(attempt.cost.amount)
            to._cost.add(amount, {**about, "wanbridge.cost.currency": currency})
        if self._operation == "generate" and outcome != "skipped":
            generation = self._generation(attempt, self._record.visits.get(attempt.provider))
            if outcome not in _NO_ERRORS:
                generation["error.type"] = outcome
            to._generation_seconds.record(attempt.seconds, generation)


def _uncertain(attempt: Attempt) -> str | None:
    """The key to reconcile an attempt by of which nobody knows whether it was bought."""
    if attempt.receipt is None or attempt.job is not None or attempt.charge is not Charge.MAYBE:
        return None
    return attempt.receipt.key


def _present(about: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without the absent ones, which OpenTelemetry does not know."""
    return {name: value for name, value in about.items() if value is not None}


def _priced(cost: Money | None) -> dict[str, Any]:
    if cost is None:
        return {}
    return {
        "wanbridge.cost.amount": f"{cost.amount:f}",
        "wanbridge.cost.currency": cost.currency,
    }


def _delivered(result: ImageResult) -> dict[str, Any]:
    return {
        "wanbridge.images": len(result.images),
        "wanbridge.shortfall": result.shortfall,
        "wanbridge.job.id": result.job_id,
        "wanbridge.request_id": result.request_id,
    }


def _server(base_url: str) -> dict[str, Any]:
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return _present({"server.address": parts.hostname, "server.port": port})
