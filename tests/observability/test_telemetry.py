"""What a call tells of itself: the log without secrets, OpenTelemetry's spans and metrics."""

from __future__ import annotations

import base64
import gc
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from attrs import evolve
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from example_provider import ACCEPTED, DONE, NOON, RUNNING, Halide, reply
from flow_runner import FlowRunner
from wanbridge.engine import conversation as flow
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, Send
from wanbridge.engine.events import Asking, Event, OperationName, Polled, Retrying, Submitting
from wanbridge.errors import (
    AllProvidersFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    RateLimited,
    SubmissionUncertain,
    TransportFailed,
)
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.observability.call_log import log_attempt, log_event
from wanbridge.observability.observation import observe
from wanbridge.observability.opentelemetry import OpenTelemetry
from wanbridge.observability.telemetry import CallObserver
from wanbridge.transport.redaction import RedactingFilter, protect

KEY = "sk-0riole/flute+99=="
PROMPT = "an oriole on a flute, in copper light"
HALIDE = Halide(api_key=KEY)
REQUEST = ImageRequest(PROMPT, negative_prompt=None, n=2)
NOON_NS = round(NOON.timestamp()) * 10**9
SECOND = 10**9


# -- redaction -----------------------------------------------------------------------------


class Sink(logging.Handler):
    """Keeps what a handler is given, and what its formatter makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.texts.append(self.format(record))

    @property
    def everything(self) -> str:
        return "\n".join([*self.texts, *(repr(vars(record)) for record in self.records)])


class Owner:
    """Whoever has keys: a client."""


@pytest.fixture
def logger() -> logging.Logger:
    """A logger of its own, with the filter that a client's logger has."""
    made = logging.Logger("of-a-test", logging.DEBUG)
    made.addFilter(RedactingFilter([KEY]))
    return made


@pytest.fixture
def sink(logger: logging.Logger) -> Sink:
    made = Sink()
    logger.addHandler(made)
    return made


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"u:{KEY}".encode()).decode(),
        base64.b64encode(f"me:{KEY}:x".encode()).decode(),
        base64.urlsafe_b64encode(f"you:{KEY}".encode()).decode(),
        json.dumps({"k": KEY}),
    ],
)
def test_a_configured_key_is_taken_out_in_every_form(
    logger: logging.Logger, sink: Sink, form: str
) -> None:
    """In a URL, a Basic header or JSON it is the same key."""
    logger.error("said %s", form)
    logger.error("said " + form)

    parts = [form[i : i + 12] for i in range(3, len(form) - 15)] if "{" not in form else [KEY]
    assert not [part for part in parts if part in sink.everything]
    assert all("***" in text for text in sink.texts)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc123def456", "abc123def456"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("headers [(b'X-API-Key', b'plain-text-key')]", "plain-text-key"),
        ('{"x-api-key":"plain-text-key"}', "plain-text-key"),
        ("Set-Cookie: a=1; session=feather", "feather"),
        ("sent with bearer abc123def456 by hand", "abc123def456"),
        ("https://b.oss.example/1.png?Expires=9&OSSAccessKeyId=LTAI5t&Signature=q%2Fz", "LTAI5t"),
        ("https://b.oss.example/1.png?Expires=9&OSSAccessKeyId=LTAI5t&Signature=q%2Fz", "q%2Fz"),
        ("https://s3.example/1.png?X-Amz-Credential=AKIA&X-Amz-Signature=ab12", "ab12"),
        ("https://s3.example/1.png?X-Amz-Credential=AKIA&X-Amz-Signature=ab12", "AKIA"),
        ("https://blob.example/1.png?se=2026&sig=zz%3D", "zz%3D"),
        ("https://cdn.example/1.png?token=t0k3n#top", "t0k3n"),
        ("https://me:pa55@proxy.example/x", "pa55"),
    ],
)
def test_an_unknown_credential_is_taken_out_by_where_it_stands(
    logger: logging.Logger, sink: Sink, text: str, secret: str
) -> None:
    """Keys of others: a proxy's, a storage's, a signature that anybody could use."""
    logger.warning("got %s", text)

    assert secret not in sink.everything
    assert "***" in sink.texts[0]


@pytest.mark.parametrize(
    "text",
    [
        "halide: delivered 2 of 2 from wan2.7-image for 0.06 USD in 12.5 s",
        "https://cdn.halide.example/1.png?width=1024&format=png",
        "no key is configured; set HALIDE_API_KEY or api_key under [providers.halide]",
        "3e1f" * 16,
    ],
)
def test_what_is_no_secret_stays(logger: logging.Logger, sink: Sink, text: str) -> None:
    """A log that is all asterisks helps nobody; and a record's template and arguments stay."""
    logger.info("told: %s", text)

    assert [f"told: {text}"] == sink.texts
    assert ("told: %s", (text,)) == (sink.records[0].msg, sink.records[0].args)


def test_an_argument_that_is_more_than_it_says_does_not_travel(
    logger: logging.Logger, sink: Sink
) -> None:
    """Handlers that send arguments along would send what the message does not show."""

    class Quiet:
        def __str__(self) -> str:
            return "quiet"

        def __repr__(self) -> str:
            return f"Quiet({KEY})"

    logger.info("it is %s, and begins with %.3s", Quiet(), KEY)

    assert KEY not in sink.everything
    assert ["it is quiet, and begins with sk-"] == sink.texts


def test_a_picture_is_not_logged(logger: logging.Logger, sink: Sink) -> None:
    """Neither as a data URI nor as base64 alone; how long it was is told."""
    picture = base64.b64encode(bytes(range(256)) * 8).decode()

    logger.info("from data:image/png;base64,%s to %s", picture, {"b64_json": picture})

    assert picture[8:40] not in sink.everything
    assert "data:image/png;base64,… (27" in sink.texts[0]
    assert f"<{len(picture)} characters>" in sink.texts[0]
    assert len(sink.texts[0]) < 200


def test_a_traceback_is_told_without_the_key(logger: logging.Logger, sink: Sink) -> None:
    """The message, its causes and the stack; handlers get no traceback to look into."""
    try:
        try:
            raise ValueError(f"first {KEY}")
        except ValueError as exc:
            raise RuntimeError(f"then Bearer {KEY}") from exc
    except RuntimeError:
        logger.exception("it failed", stack_info=True)

    text = sink.texts[0]
    assert KEY not in sink.everything
    assert "ValueError: first ***" in text
    assert "RuntimeError: then Bearer ***" in text
    assert "Stack (most recent call last)" in text
    assert sink.records[0].exc_info is None


def test_a_formatter_cannot_undo_it(logger: logging.Logger) -> None:
    """The record itself is changed: whoever formats it again has nothing to find."""

    class Undoing(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            record.exc_text = None
            again = [super().format(record), repr(record.args), repr(record.msg)]
            if record.exc_info:
                again.append(self.formatException(record.exc_info))
            return " ".join(again)

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Undoing("%(message)s"))
    logger.addHandler(handler)
    try:
        raise ValueError(KEY)
    except ValueError as exc:
        logger.exception("%s and %r", exc, {"deep": [KEY]}, extra={"about": {"key": KEY}})
        logger.error("%(a)s", {"a": KEY})
        logger.error(exc)

    assert KEY not in stream.getvalue()
    assert 3 == len(stream.getvalue().splitlines())
    assert stream.getvalue().count("***") >= 4


def test_a_stack_is_redacted(logger: logging.Logger, sink: Sink) -> None:
    """It quotes lines of code, which may hold a key that was written there."""
    made = {"msg": "here", "levelno": logging.INFO, "stack_info": f"Stack:\n  Halide({KEY!r})"}

    logger.handle(logging.makeLogRecord(made))

    assert ["here\nStack:\n  Halide('***')"] == sink.texts


def test_an_extra_field_is_redacted_too(logger: logging.Logger, sink: Sink) -> None:
    """JSON formatters write every attribute of a record."""
    logger.info("told", extra={"key": KEY, "nested": {"k": [KEY]}, "number": 7})

    assert KEY not in sink.everything
    assert 7 == vars(sink.records[0])["number"]


def test_a_record_that_cannot_be_read_does_not_end_the_call(
    logger: logging.Logger, sink: Sink
) -> None:
    """Logging must not raise into whoever logs, nor let through what it could not look at."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError(KEY)

        __repr__ = __str__

    logger.error("%d", "no number")
    logger.error("it is %s", Rude(), extra={"about": KEY})

    assert 2 == len(sink.texts)
    assert all("could not be redacted" in text for text in sink.texts)
    assert KEY not in sink.everything


def test_short_words_are_no_keys() -> None:
    """A key of three letters would blot out ordinary words; four is enough."""
    redacting = RedactingFilter(["abc", "wxyz", None, ""])

    assert "abc ***" == redacting.redact("abc wxyz")


def test_the_longer_of_two_keys_goes_whole() -> None:
    """Where one is the beginning of the other no rest may stay."""
    redacting = RedactingFilter(["sk-one", "sk-one-and-more"])

    assert "*** ***" == redacting.redact("sk-one-and-more sk-one")


def test_all_keys_of_a_process_are_known_while_their_clients_live() -> None:
    """Several clients share the log; a key leaves with the last client that has it."""
    redacting = RedactingFilter()
    one, two, three = Owner(), Owner(), Owner()
    assert "first-key" == redacting.redact("first-key")
    redacting.protect(one, ["first-key"])
    redacting.protect(two, ["second-key", "shared-key"])
    redacting.protect(three, ["shared-key"])
    assert "*** *** ***" == redacting.redact("first-key second-key shared-key")

    del two
    gc.collect()

    assert "*** second-key ***" == redacting.redact("first-key second-key shared-key")
    assert one is not three


def test_the_logger_has_one_filter_for_all() -> None:
    """However many clients are made, a record is searched once."""
    logger = logging.getLogger("wanbridge")
    owners = [Owner() for _ in range(3)]
    for number, owner in enumerate(owners):
        protect(owner, [f"key-of-client-{number}"])
    sink = Sink()
    logger.addHandler(sink)
    try:
        logger.error("said key-of-client-0 and key-of-client-2")
    finally:
        logger.removeHandler(sink)

    assert ["said *** and ***"] == sink.texts
    assert 1 == sum(isinstance(f, RedactingFilter) for f in logger.filters)


def test_keys_come_and_go_from_many_threads() -> None:
    """Clients are made in worker threads while others log; no record may miss a live key."""
    redacting = RedactingFilter()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            owner = Owner()
            redacting.protect(owner, [f"passing-{id(owner)}"])

    def check(number: int) -> None:
        for turn in range(150):
            owner = Owner()
            key = f"own-key-{number}-{turn}"
            redacting.protect(owner, [key])
            assert "***" == redacting.redact(key)

    passing = threading.Thread(target=churn)
    passing.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(check, range(4)))
    finally:
        stop.set()
        passing.join()


# -- the log -------------------------------------------------------------------------------


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "wanbridge")
    return caplog


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        r.getMessage().removeprefix("wanbridge: ") for r in caplog.records if r.levelno == level
    ]


def generate(
    runner: FlowRunner,
    *replies: object,
    telemetry: Any = None,
    request: ImageRequest = REQUEST,
    adapter: Halide = HALIDE,
) -> ImageResult:
    play = observe(
        lambda context: flow.generate(adapter, request, key="k-1", context=context),
        runner.context,
        telemetry,
        operation="generate",
        model=request.model,
        provider=adapter.account,
    )
    return runner.play(play, *replies)[0]


def priced() -> FlowRunner:
    return FlowRunner(price=lambda adapter, request, delivery: Money("0.06", "USD"))


def test_a_delivery_is_one_line_and_its_steps_are_for_debugging(
    told: pytest.LogCaptureFixture,
) -> None:
    """INFO says who delivered what for how much; nobody needs every poll."""
    generate(priced(), reply(ACCEPTED), reply(RUNNING), reply(DONE))

    assert ["halide: delivered 1 of 2 from wan2.7-image for 0.06 USD in 5.0 s"] == lines(
        told, logging.INFO
    )
    assert [
        "halide: submitting to wan2.7-image, key k-1",
        "halide: accepted as job t-1",
        "halide: job t-1, poll 1 after 2.0 s: 50%",
        "halide: job t-1, poll 2 after 5.0 s: pending",
    ] == lines(told, logging.DEBUG)
    assert [] == lines(told, logging.WARNING)


def test_an_unknown_cost_is_said_to_be_unknown(told: pytest.LogCaptureFixture) -> None:
    """Unknown is not zero, in the log neither."""
    generate(FlowRunner(), reply(ACCEPTED), reply(DONE))

    assert "for an unknown cost in" in lines(told, logging.INFO)[0]


def test_sending_again_is_told(told: pytest.LogCaptureFixture) -> None:
    """Why a call takes longer: at INFO, with the reason."""
    busy = TransportFailed("halide", "no connection", Charge.NO)

    generate(FlowRunner(), busy, reply(ACCEPTED), reply(DONE))

    assert "halide: again in 1.0 s, after: halide: no connection" == lines(told, logging.INFO)[0]


def test_an_uncertain_submit_is_a_warning_with_its_key(told: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log can look the purchase up, and sees what is at stake."""
    with pytest.raises(SubmissionUncertain):
        generate(priced(), reply(b"<html>", status=502))

    assert [
        "halide: SubmissionUncertain; nobody knows whether it was bought, at risk is 0.06 USD;"
        " reconcile the receipt of key k-1"
    ] == lines(told, logging.WARNING)


def test_a_free_failure_is_no_warning(told: pytest.LogCaptureFixture) -> None:
    """A warning means money; a refusal costs none."""
    with pytest.raises(ContentRefused):
        generate(priced(), reply({"code": "Moderated", "message": PROMPT}, status=400))

    assert [] == lines(told, logging.WARNING)
    assert ["halide: ContentRefused; nothing was charged"] == lines(told, logging.INFO)


@pytest.mark.parametrize(
    ("attempt", "level", "line"),
    [
        (
            Attempt(
                provider="a",
                outcome="GenerationFailed",
                charge=Charge.YES,
                cost=Money("0.03", "USD"),
            ),
            logging.WARNING,
            "a: GenerationFailed; no picture, charged: 0.03 USD, no job known",
        ),
        (
            Attempt(provider="a", outcome="left", charge=Charge.MAYBE),
            logging.WARNING,
            "a: left; no picture, charged: maybe, no job known",
        ),
        (
            Attempt(provider="a", outcome="skipped", charge=Charge.NO, detail=PROMPT),
            logging.DEBUG,
            "a: skipped",
        ),
    ],
)
def test_an_attempt_is_a_warning_if_it_may_have_cost_money_for_nothing(
    told: pytest.LogCaptureFixture, attempt: Attempt, level: int, line: str
) -> None:
    """Also of a call that then delivered elsewhere."""
    log_attempt(attempt)

    assert [line] == lines(told, level)


def test_a_call_that_is_walked_off_from_tells_what_it_leaves(
    told: pytest.LogCaptureFixture,
) -> None:
    """The generator is closed, nobody sees an error: the job is in the log at least."""
    runner = FlowRunner()
    play = observe(
        lambda context: flow.generate(HALIDE, REQUEST, key="k-1", context=context),
        runner.context,
        None,
        operation="generate",
        model=REQUEST.model,
    )
    assert isinstance(next(play), Send)
    play.send(reply(ACCEPTED))

    play.close()

    assert ["halide: abandoned; no picture, charged: maybe, job t-1"] == lines(
        told, logging.WARNING
    )


def test_going_on_to_another_provider_is_told(told: pytest.LogCaptureFixture) -> None:
    """A route's second choice costs another price, perhaps."""
    cyano = Halide(api_key="sk-cyano-1", account="cyano")

    def both(context: CallContext) -> Flow[ImageResult]:
        context.report(Asking("halide", "first of those given"))
        with suppress(CreditExhausted):
            yield from flow.generate(HALIDE, REQUEST, key="k-1", context=context)
        context.report(Asking("cyano", "next of those given"))
        return (yield from flow.generate(cyano, REQUEST, key="k-1", context=context))

    runner = FlowRunner()
    play = observe(both, runner.context, None, operation="generate", model=REQUEST.model)
    runner.play(play, reply({"code": "NoCredit"}, status=402), reply(ACCEPTED), reply(DONE))

    assert "halide: going on to cyano" == lines(told, logging.INFO)[0]
    assert "cyano: asked: next of those given" in lines(told, logging.DEBUG)


@pytest.mark.parametrize(
    "said",
    [
        f"refused: {PROMPT!r} is not allowed",
        "refused: 'an oriole on a fl...' is not allowed",
        "in copper light is not allowed",
    ],
)
def test_a_prompt_that_a_provider_quotes_is_not_logged(
    told: pytest.LogCaptureFixture, said: str
) -> None:
    """Prompts are the caller's; what a provider says of one may quote it, whole or cut."""
    job = HALIDE.job(reply(ACCEPTED), REQUEST, "t-1", key="k-1")
    log_event(Retrying(account="halide", reason=said, seconds=1.0), [REQUEST])
    log_event(Polled(job=job, polls=1, progress=None, seconds=2.0, trouble=said), [REQUEST])

    assert "… is not allowed" in told.text or "…' is not" in told.text or "...' is not" in told.text
    assert not [PROMPT[i : i + 8] for i in range(len(PROMPT) - 7) if PROMPT[i : i + 8] in told.text]


def test_nothing_is_made_for_a_log_that_is_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the level above, a call pays for no text."""
    caplog.set_level(logging.ERROR, "wanbridge")
    monkeypatch.setattr(logging.Logger, "makeRecord", _never)
    monkeypatch.setattr("wanbridge.observability.call_log._without_prompts", _never)
    monkeypatch.setattr("wanbridge.observability.call_log.log_attempt", _never)
    runner = FlowRunner()
    lost = TransportFailed("halide", "no connection", Charge.NO)

    generate(runner, lost, reply(ACCEPTED), reply(RUNNING), reply(DONE))

    assert 6 == len(runner.events)


def _never(*args: object, **kwargs: object) -> Any:
    raise AssertionError("the log is off")


# -- watching ------------------------------------------------------------------------------


class Failing:
    """A telemetry that fails wherever it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where

    def _at(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError(f"telemetry at {where}")

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> CallObserver:
        self._at("begin")
        return self

    def on_event(self, event: Event) -> None:
        self._at("on_event")

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        self._at("end")


@pytest.mark.parametrize("where", ["begin", "on_event", "end"])
def test_telemetry_that_fails_does_not_lose_the_job(
    told: pytest.LogCaptureFixture, where: str
) -> None:
    """The pictures are paid for; the failure is logged, and the caller still told."""
    runner = FlowRunner()

    result = generate(runner, reply(ACCEPTED), reply(DONE), telemetry=Failing(where))

    assert 1 == len(result.images)
    assert 3 == len(runner.events)
    assert "telemetry failed; the job goes on" in lines(told, logging.ERROR)[0]


def test_telemetry_that_fails_does_not_hide_an_error() -> None:
    """The receipt is on the flow's own error."""
    with pytest.raises(SubmissionUncertain) as caught:
        generate(FlowRunner(), reply(b"", status=500), telemetry=Failing("end"))

    assert caught.value.receipt is not None


def test_who_cannot_take_note_still_stops_a_submit(told: pytest.LogCaptureFixture) -> None:
    """A ledger that fails before the first byte; then nothing was sent, and no alarm is due."""

    def refuse(event: Event) -> None:
        raise OSError("the disk is full")

    runner = FlowRunner(emit=refuse)

    with pytest.raises(OSError, match="disk"):
        generate(runner)

    assert [] == lines(told, logging.WARNING)
    assert ["generate: OSError; nothing was sent"] == lines(told, logging.INFO)


def test_a_listener_that_fails_does_not_blind_the_watch(told: pytest.LogCaptureFixture) -> None:
    """What the provider has accepted is in the log, whoever else cannot listen."""

    def partly(event: Event) -> None:
        if not isinstance(event, Submitting):
            raise RuntimeError("deaf")

    generate(FlowRunner(emit=partly), reply(ACCEPTED), reply(DONE))

    assert "halide: accepted as job t-1" in lines(told, logging.DEBUG)


# -- OpenTelemetry -------------------------------------------------------------------------


class Otel:
    """OpenTelemetry's own SDK, in memory, in a stage's time."""

    def __init__(self, runner: FlowRunner) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.telemetry = OpenTelemetry(
            self.tracers,
            self.meters,
            clock=lambda: round(runner.time.seconds * SECOND),
            now=lambda: NOON_NS,
        )

    def call(self) -> ReadableSpan:
        (found,) = [s for s in self.exporter.get_finished_spans() if s.name[:9] == "wanbridge"]
        return found

    def attempts(self) -> list[ReadableSpan]:
        return [s for s in self.exporter.get_finished_spans() if s.name[:9] != "wanbridge"]

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: [
                (dict(point.attributes or {}), getattr(point, "value", None) or point)
                for point in metric.data.data_points
            ]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def everything(self) -> str:
        spans = "".join(span.to_json() for span in self.exporter.get_finished_spans())
        return f"{spans}{self.metrics()}"


@pytest.fixture
def runner() -> FlowRunner:
    return priced()


@pytest.fixture
def otel(runner: FlowRunner) -> Iterator[Otel]:
    made = Otel(runner)
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def seconds(span: ReadableSpan) -> tuple[int, int]:
    """When it began and ended, since noon."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.start_time - NOON_NS) // SECOND, (span.end_time - NOON_NS) // SECOND


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_delivery_is_a_span_with_one_for_its_attempt(runner: FlowRunner, otel: Otel) -> None:
    """Within the caller's span: the call, and in it the generation at its provider."""
    with otel.tracers.get_tracer("caller").start_as_current_span("outer") as outer:
        generate(runner, reply(ACCEPTED), reply(RUNNING), reply(DONE), telemetry=otel.telemetry)
        inside = outer.get_span_context()

    call, (attempt,) = otel.call(), [s for s in otel.attempts() if s.name != "outer"]
    assert "wanbridge.generate" == call.name
    assert call.parent is not None
    assert inside.span_id == call.parent.span_id
    assert attempt.parent is not None
    assert call.context is not None
    assert call.context.span_id == attempt.parent.span_id
    assert {
        "wanbridge.operation": "generate",
        "wanbridge.provider": "halide",
        "wanbridge.outcome": "delivered",
        "wanbridge.charge": "yes",
        "wanbridge.images": 1,
        "wanbridge.shortfall": 1,
        "wanbridge.job.id": "t-1",
        "wanbridge.cost.amount": "0.06",
        "wanbridge.cost.currency": "USD",
        "wanbridge.cost.source": "rule",
        "wanbridge.polls": 2,
        "gen_ai.request.model": "wan2.7-image",
    } == about(call)
    assert ["wanbridge.submitting", "wanbridge.accepted"] == [e.name for e in call.events]
    assert ("generate_content wan2.7-image", trace.SpanKind.CLIENT) == (attempt.name, attempt.kind)
    assert {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "halide",
        "gen_ai.request.model": "wan2.7-image",
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "image",
        "server.address": "api.halide.example",
        "server.port": 443,
        "wanbridge.provider": "halide",
        "wanbridge.outcome": "delivered",
        "wanbridge.charge": "yes",
        "wanbridge.cost.amount": "0.06",
        "wanbridge.cost.currency": "USD",
        "wanbridge.images": 1,
        "wanbridge.shortfall": 1,
        "wanbridge.job.id": "t-1",
    } == about(attempt)
    assert trace.StatusCode.UNSET is call.status.status_code
    assert (0, 5) == seconds(call)
    assert (0, 5) == seconds(attempt)


def test_a_delivery_is_counted(runner: FlowRunner, otel: Otel) -> None:
    """Calls, attempts, pictures, money by currency, and how long it took."""
    generate(runner, reply(ACCEPTED), reply(RUNNING), reply(DONE), telemetry=otel.telemetry)

    found = otel.metrics()
    where = {"wanbridge.provider": "halide", "gen_ai.request.model": "wan2.7-image"}
    call = {
        "wanbridge.operation": "generate",
        "gen_ai.request.model": "wan2.7-image",
        "wanbridge.outcome": "delivered",
    }
    assert [(call, 1)] == found["wanbridge.calls"]
    assert [({**where, "wanbridge.outcome": "delivered", "wanbridge.charge": "yes"}, 1)] == found[
        "wanbridge.attempts"
    ]
    assert [(where, 1)] == found["wanbridge.images"]
    assert [({**where, "wanbridge.cost.currency": "USD"}, 0.06)] == found["wanbridge.cost"]
    ((labels, took),) = found["wanbridge.call.duration"]
    assert (call, 5.0, 600) == (labels, took.sum, took.explicit_bounds[-1])
    ((labels, took),) = found["gen_ai.client.operation.duration"]
    assert {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "halide",
        "gen_ai.request.model": "wan2.7-image",
        "server.address": "api.halide.example",
        "server.port": 443,
    } == labels
    assert (5.0, 0.01, 81.92) == (took.sum, took.explicit_bounds[0], took.explicit_bounds[-1])


def test_a_failure_is_told_by_its_class_only(runner: FlowRunner, otel: Otel) -> None:
    """A provider's message may quote the prompt; request id and class lead to it."""
    with pytest.raises(ContentRefused):
        generate(
            runner,
            reply({"code": "Moderated", "message": f"no {PROMPT} {KEY}"}, status=400),
            telemetry=otel.telemetry,
        )

    (attempt,) = otel.attempts()
    for span in (otel.call(), attempt):
        assert trace.StatusCode.ERROR is span.status.status_code
        assert "ContentRefused" == span.status.description
        assert ("ContentRefused", "no") == (
            about(span)["error.type"],
            about(span)["wanbridge.charge"],
        )
    assert "wanbridge.receipt.key" not in about(attempt)
    assert "oriole" not in otel.everything
    assert KEY not in otel.everything
    ((labels, _),) = otel.metrics()["gen_ai.client.operation.duration"]
    assert "ContentRefused" == labels["error.type"]
    assert "wanbridge.images" not in otel.metrics()


def test_an_uncertain_submit_is_told_with_its_key(runner: FlowRunner, otel: Otel) -> None:
    """Charge: maybe. The key is what the receipt is found by."""
    with pytest.raises(SubmissionUncertain):
        generate(runner, reply(b"<html>", status=502), telemetry=otel.telemetry)

    (attempt,) = otel.attempts()
    assert ("maybe", "k-1") == (
        about(attempt)["wanbridge.charge"],
        about(attempt)["wanbridge.receipt.key"],
    )
    assert "SubmissionUncertain" == about(otel.call())["wanbridge.outcome"]
    ((labels, number),) = otel.metrics()["wanbridge.attempts"]
    assert ("SubmissionUncertain", "maybe", 1) == (
        labels["wanbridge.outcome"],
        labels["wanbridge.charge"],
        number,
    )
    assert "wanbridge.cost" not in otel.metrics()


def test_a_retry_is_an_event_without_its_reason(runner: FlowRunner, otel: Otel) -> None:
    """One attempt with two submits; what the provider said stays out."""
    busy = RateLimited("halide", f"too much of {PROMPT}", Charge.NO)

    generate(runner, busy, reply(ACCEPTED), reply(DONE), telemetry=otel.telemetry)

    events = otel.call().events
    assert ["submitting", "retrying", "submitting", "accepted"] == [e.name[10:] for e in events]
    assert {"wanbridge.provider": "halide", "wanbridge.seconds": 1.0} == dict(
        events[1].attributes or {}
    )
    assert 1 == len(otel.attempts())
    assert "oriole" not in otel.everything


def test_an_error_without_attempts_is_one_attempt(runner: FlowRunner, otel: Otel) -> None:
    """Whatever ends a call, its charge is told."""
    observer = otel.telemetry.begin("wait", model="wan2.7-image", route=None, provider="halide")

    observer.end(None, GenerationFailed("halide", "broken", Charge.YES))

    (attempt,) = otel.attempts()
    assert ("GenerationFailed", "yes") == (
        about(attempt)["wanbridge.outcome"],
        about(attempt)["wanbridge.charge"],
    )


@pytest.mark.parametrize("how", [GeneratorExit, KeyboardInterrupt])
def test_an_abandoned_call_is_no_error_and_keeps_its_job(
    runner: FlowRunner, otel: Otel, how: type[BaseException]
) -> None:
    """The caller walked off; the span ends, and says what goes on without it."""
    play = observe(
        lambda context: flow.generate(HALIDE, REQUEST, key="k-1", context=context),
        runner.context,
        otel.telemetry,
        operation="generate",
        model=REQUEST.model,
    )
    next(play)
    play.send(reply(ACCEPTED))
    runner.time.advance(3.0)

    with pytest.raises(how):
        play.throw(how)

    (attempt,) = otel.attempts()
    for span in (otel.call(), attempt):
        assert trace.StatusCode.UNSET is span.status.status_code
        assert ("abandoned", "maybe") == (
            about(span)["wanbridge.outcome"],
            about(span)["wanbridge.charge"],
        )
    assert "t-1" == about(attempt)["wanbridge.job.id"]
    assert (0, 3) == seconds(attempt)


def test_a_submit_and_its_wait_are_two_calls_and_one_delivery(
    runner: FlowRunner, otel: Otel
) -> None:
    """Pictures and money are counted where they are known: once, by the wait."""
    options: Any = {"model": REQUEST.model, "provider": "halide"}
    job, _ = runner.play(
        observe(
            lambda context: flow.submit(HALIDE, REQUEST, key="k-1", context=context),
            runner.context,
            otel.telemetry,
            operation="submit",
            **options,
        ),
        reply(ACCEPTED),
    )
    runner.play(
        observe(
            lambda context: flow.wait(HALIDE, job, context=context),
            runner.context,
            otel.telemetry,
            operation="wait",
            **options,
        ),
        reply(DONE),
    )

    found = otel.metrics()
    assert {"submit": "accepted", "wait": "delivered"} == {
        labels["wanbridge.operation"]: labels["wanbridge.outcome"]
        for labels, _ in found["wanbridge.calls"]
    }
    assert [1] == [number for _, number in found["wanbridge.images"]]
    assert [0.06] == [number for _, number in found["wanbridge.cost"]]
    assert {"accepted": "maybe", "delivered": "yes"} == {
        about(span)["wanbridge.outcome"]: about(span)["wanbridge.charge"]
        for span in otel.attempts()
    }
    # Neither of them is the whole generation.
    assert "gen_ai.client.operation.duration" not in found


def attempt_of(provider: str, outcome: str, seconds: float, **fields: Any) -> Attempt:
    charge = fields.pop("charge", Charge.NO)
    return Attempt(provider=provider, outcome=outcome, charge=charge, seconds=seconds, **fields)


def test_attempts_of_a_route_stand_after_each_other(runner: FlowRunner, otel: Otel) -> None:
    """As they were: one begins where the one before ended; a skipped provider is an event."""
    observer = otel.telemetry.begin(
        "generate", model="wan2.7-image", route="cheapest", provider=None
    )
    runner.time.advance(10.0)
    refused = CreditExhausted("cyano", "empty", Charge.NO, code="e", request_id="req-7")
    refused.attempts = (attempt_of("cyano", "CreditExhausted", 4.0),)
    failed = GenerationFailed("halide", "broken", Charge.YES)
    failed.attempts = (attempt_of("halide", "GenerationFailed", 6.0, charge=Charge.YES),)
    skipped = RateLimited("third", "cooling down", Charge.NO)
    skipped.attempts = (attempt_of("third", "skipped", 0.0, detail=PROMPT),)

    observer.end(None, AllProvidersFailed("nobody", [refused, failed, skipped]))

    one, two = otel.attempts()
    assert [(0, 4), (4, 10)] == [seconds(one), seconds(two)]
    assert ("cyano", "req-7") == (
        about(one)["wanbridge.provider"],
        about(one)["wanbridge.request_id"],
    )
    call = about(otel.call())
    assert ("AllProvidersFailed", "yes", "cheapest") == (
        call["error.type"],
        call["wanbridge.charge"],
        call["wanbridge.route"],
    )
    assert ["wanbridge.skipped"] == [event.name for event in otel.call().events]
    assert {"CreditExhausted", "GenerationFailed", "skipped"} == {
        labels["wanbridge.outcome"] for labels, _ in otel.metrics()["wanbridge.attempts"]
    }
    assert "oriole" not in otel.everything


def test_a_hedged_attempt_begins_while_the_first_is_under_way(
    runner: FlowRunner, otel: Otel
) -> None:
    """Two at once are drawn as two at once: the second from its own turn on."""
    observer = otel.telemetry.begin("generate", model="wan2.7-image", route=None, provider=None)
    result = generate(runner, reply(ACCEPTED), reply(RUNNING), reply(DONE))
    receipts = [e.receipt for e in runner.events if isinstance(e, Submitting)]
    observer.on_event(Asking("second", "the first is slow"))
    runner.time.advance(1.0)
    observer.on_event(Submitting(evolve(receipts[0], account="second")))
    runner.time.advance(1.0)
    both = (
        attempt_of("first", "left", 7.0, charge=Charge.MAYBE),
        attempt_of("second", "delivered", 2.0, charge=Charge.YES),
    )

    observer.end(evolve(result, provider="second", attempts=both), None)

    assert [(0, 7), (5, 7)] == [seconds(span) for span in otel.attempts()]


def test_calls_of_many_threads_are_all_counted(runner: FlowRunner, otel: Otel) -> None:
    """A client is shared by threads; each call has a watch of its own."""

    def one(number: int) -> None:
        generate(priced(), reply(ACCEPTED), reply(DONE), telemetry=otel.telemetry)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(80)))

    found = otel.metrics()
    assert [80] == [number for _, number in found["wanbridge.calls"]]
    assert [Decimal("4.8")] == [round(Decimal(n), 6) for _, n in found["wanbridge.cost"]]
    spans = otel.exporter.get_finished_spans()
    calls = {s.context.span_id for s in spans if s.context and s.name == "wanbridge.generate"}
    parents = {s.parent.span_id for s in spans if s.parent is not None}
    assert (80, calls) == (len(calls), parents)


_WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import wanbridge
import wanbridge.client.blocking, wanbridge.observability.opentelemetry
from wanbridge import Client, ConfigurationError

Client().close()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
try:
    wanbridge.observability.opentelemetry.OpenTelemetry()
except ConfigurationError as exc:
    print(exc)
"""


def test_opentelemetry_is_an_extra() -> None:
    """Nothing needs it before it is asked for, and then the message says how to get it."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", _WITHOUT], capture_output=True, text=True, check=True
    )

    assert "OpenTelemetry is not installed: pip install wanbridge[otel]\n" == run.stdout


def test_a_client_without_it_does_not_load_it() -> None:
    """It is slow to import; here it is installed."""
    script = "import sys, wanbridge.observability.opentelemetry;"
    script += "from wanbridge import Client; Client().close();"
    script += "print([name for name in sys.modules if name.startswith('opentelemetry')])"

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )

    assert "[]\n" == run.stdout
