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

# The conventions advise these; ours are for calls that may take minutes.
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
        self._telemetry, self._operation, self._model = telemetry, operation, model
        # The wall clock is read once, so that setting it meanwhile distorts no span.
        self._began, self._ticks = telemetry._now(), telemetry._clock()
        self._record = CallRecord()
        self._attributes = _without_none(
            {
                "wanbridge.operation": operation,
                "gen_ai.request.model": model,
                "wanbridge.route": route,
            }
        )
        self._span = telemetry._tracer.start_span(
            f"wanbridge.{operation}",
            attributes=_without_none({**self._attributes, "wanbridge.provider": provider}),
            start_time=self._began,
        )

    def on_event(self, event: Event) -> None:
        at = self._time()
        self._record.add(event, at)
        match event:
            case Asking(account):
                self._add_event("asking", at, {"wanbridge.provider": account})
            case Submitting(receipt):
                self._add_event("submitting", at, {"wanbridge.provider": receipt.account})
            case Accepted(job):
                self._add_event(
                    "accepted",
                    at,
                    {"wanbridge.provider": job.account, "wanbridge.job.id": job.id},
                )
            case Retrying():
                self._add_event(
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
            self._add_attempts(attempts, result, error, end)
            outcome = self._set_outcome(attempts, result, error)
            attributes = {**self._attributes, "wanbridge.outcome": outcome}
            self._telemetry._calls.add(1, attributes)
            self._telemetry._call_seconds.record((end - self._began) / 1e9, attributes)
        finally:
            self._span.end(end)

    def _time(self) -> int:
        return self._began + self._telemetry._clock() - self._ticks

    def _add_event(self, name: str, at: int, attributes: Mapping[str, Any]) -> None:
        self._span.add_event(f"wanbridge.{name}", attributes, at)

    def _set_outcome(
        self,
        attempts: tuple[Attempt, ...],
        result: ImageResult | Job | None,
        error: BaseException | None,
    ) -> str:
        attributes: dict[str, Any] = {"wanbridge.polls": self._record.polls or None}
        match result:
            case ImageResult():
                outcome = "delivered"
                attributes |= {
                    **_result_attributes(result),
                    **_cost_attributes(result.cost),
                    "wanbridge.provider": result.provider,
                    "wanbridge.cost.source": result.cost_source,
                }
            case Job():
                outcome = "accepted"
                attributes |= {"wanbridge.provider": result.account, "wanbridge.job.id": result.id}
            case None:
                outcome = outcome_of(error)
        attributes["wanbridge.outcome"] = outcome
        if attempts:
            attributes["wanbridge.charge"] = max(
                (a.charge for a in attempts), key=_CHARGES.index
            ).value
        self._span.set_attributes(_without_none(attributes))
        self._set_error(self._span, outcome)
        return outcome

    def _add_attempts(
        self,
        attempts: tuple[Attempt, ...],
        result: ImageResult | Job | None,
        error: BaseException | None,
        end: int,
    ) -> None:
        context = self._telemetry._api.set_span_in_context(self._span)
        after = self._began
        for attempt in attempts:
            self._count(attempt, result)
            if attempt.outcome == "skipped":
                self._add_event("skipped", after, {"wanbridge.provider": attempt.provider})
                continue
            record = self._record.accounts.get(attempt.provider)
            # One begins where the one before has ended, or earlier where two were under way.
            began = min(after, end if record is None else record.began)
            after = end
            if attempt is not attempts[-1]:
                after = min(began + round(attempt.seconds * 1e9), end)
            span = self._telemetry._tracer.start_span(
                f"generate_content {self._model}",
                context,
                self._telemetry._api.SpanKind.CLIENT,
                self._attempt_attributes(attempt, record, result, error),
                start_time=began,
            )
            self._set_error(span, attempt.outcome)
            span.end(after)

    def _set_error(self, span: Span, outcome: str) -> None:
        """Set a failure's class; its message may quote the prompt."""
        if outcome not in _NO_ERRORS:
            span.set_attribute("error.type", outcome)
            span.set_status(self._telemetry._api.StatusCode.ERROR, outcome)

    def _attempt_attributes(
        self,
        attempt: Attempt,
        record: AccountRecord | None,
        result: ImageResult | Job | None,
        error: BaseException | None,
    ) -> dict[str, Any]:
        attributes = {
            **self._generation_attributes(attempt, record),
            **_cost_attributes(attempt.cost),
            "gen_ai.output.type": "image",
            "wanbridge.provider": attempt.provider,
            "wanbridge.outcome": attempt.outcome,
            "wanbridge.charge": attempt.charge.value,
            "wanbridge.job.id": attempt.job and attempt.job.id,
            "wanbridge.receipt.key": _receipt_key(attempt),
            "wanbridge.request_id": getattr(error_of(attempt, error), "request_id", None),
        }
        if record is not None and record.request.n != 1:
            attributes["gen_ai.request.choice.count"] = record.request.n
        if isinstance(result, ImageResult) and attempt.outcome == "delivered":
            attributes |= _result_attributes(result)
        return _without_none(attributes)

    def _generation_attributes(
        self, attempt: Attempt, record: AccountRecord | None
    ) -> dict[str, Any]:
        attributes = {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": attempt.provider if record is None else record.provider,
            "gen_ai.request.model": self._model,
        }
        return (
            attributes if record is None else {**attributes, **_server_attributes(record.base_url)}
        )

    def _count(self, attempt: Attempt, result: ImageResult | Job | None) -> None:
        telemetry, outcome = self._telemetry, attempt.outcome
        attributes = {"wanbridge.provider": attempt.provider, "gen_ai.request.model": self._model}
        telemetry._attempts.add(
            1,
            {**attributes, "wanbridge.outcome": outcome, "wanbridge.charge": attempt.charge.value},
        )
        if isinstance(result, ImageResult) and outcome == "delivered":
            telemetry._images.add(len(result.images), attributes)
        if attempt.cost is not None:
            currency = attempt.cost.currency
            # OpenTelemetry counts in floats: the one place that converts money to one.
            amount = float(attempt.cost.amount)
            telemetry._cost.add(amount, {**attributes, "wanbridge.cost.currency": currency})
        if self._operation == "generate" and outcome != "skipped":
            generation = self._generation_attributes(
                attempt, self._record.accounts.get(attempt.provider)
            )
            if outcome not in _NO_ERRORS:
                generation["error.type"] = outcome
            telemetry._generation_seconds.record(attempt.seconds, generation)


def _receipt_key(attempt: Attempt) -> str | None:
    """The key to reconcile an attempt of unknown outcome by; None of any other attempt."""
    if attempt.receipt is None or attempt.job is not None or attempt.charge is not Charge.MAYBE:
        return None
    return attempt.receipt.key


def _without_none(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without those that are None, which OpenTelemetry does not accept."""
    return {name: value for name, value in attributes.items() if value is not None}


def _cost_attributes(cost: Money | None) -> dict[str, Any]:
    if cost is None:
        return {}
    return {
        "wanbridge.cost.amount": f"{cost.amount:f}",
        "wanbridge.cost.currency": cost.currency,
    }


def _result_attributes(result: ImageResult) -> dict[str, Any]:
    return {
        "wanbridge.images": len(result.images),
        "wanbridge.shortfall": result.shortfall,
        "wanbridge.job.id": result.job_id,
        "wanbridge.request_id": result.request_id,
    }


def _server_attributes(base_url: str) -> dict[str, Any]:
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return _without_none({"server.address": parts.hostname, "server.port": port})
