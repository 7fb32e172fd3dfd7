"""What every adapter promises, asked of each that is built in.

Two readings of a provider's manual check each other here: what the adapter writes, the strict
sandbox has to take; what the sandbox answers, the adapter has to read, also when it is broken.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, note, settings

from contract import (
    KEY,
    PLAIN,
    Bench,
    Reading,
    Variant,
    broken,
    held,
    mangled,
    nested,
    others,
    readings,
    sold,
    sold_ids,
    variants,
    with_body,
)
from requests_at_random import requests
from wanbridge.adapter import Adapter, Delivery, Done, Missing, Offer, Op, Pending
from wanbridge.errors import (
    CallFailed,
    Charge,
    InvalidRequest,
    ProviderError,
    UnsupportedFeature,
    WanbridgeError,
)
from wanbridge.model import (
    Image,
    ImageRequest,
    ImageResult,
    InputImage,
    Job,
    Money,
    Note,
    Receipt,
    Size,
)
from wanbridge.plan import DROPPABLE, fields_set, plan
from wanbridge.sandbox.account import Task
from wanbridge.sandbox.picture import Picture
from wanbridge.sizes import AREAS, ratio_of
from wanbridge.wire import HttpRequest, HttpResponse

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "5:4", "4:5", "8:1", "1:8")
ODD_SIZES = tuple(
    Size(*pair) for pair in ((1, 1), (99999, 99999), (1000, 700), (1001, 803), (768, 6144))
)
SIZES = (
    *(Size(resolution=tier) for tier in (None, "1K", "2K", "4K")),
    *(Size(resolution=t, aspect_ratio=r) for t in ("1K", "2K", "4K") for r in (*RATIOS, "9999:1")),
    *(Size(*pair) for pair in ((1024, 1024), (2048, 2048), (4096, 4096), (1536, 1024))),
    *ODD_SIZES,
)

each_offer = pytest.mark.parametrize(("variant", "offer"), sold(), ids=sold_ids())
each_variant = pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.id)


def sent(adapter: Adapter, request: ImageRequest, **how: Any) -> HttpRequest:
    """The message for *request*, or `UnsupportedFeature`."""
    fitted = plan(adapter, request, **how).settle()
    return adapter.submit(fitted.request, fitted.offer, key=KEY)


def plain(mode: str, offer: Offer) -> ImageRequest:
    return evolve(PLAIN[mode], model=offer.model)


# -- writing -------------------------------------------------------------------------------


@each_offer
def test_a_declared_field_reaches_the_wire(variant: Variant, offer: Offer) -> None:
    """Claiming support and dropping the value is the worst of both."""
    adapter = variant.adapter()
    reached = set()

    for mode in PLAIN:
        base = plain(mode, offer)
        before = sent(adapter, base)
        for name, other in others(base):
            fitted = plan(adapter, other)
            if not fitted.problems:
                after = adapter.submit(fitted.request, fitted.offer, key=KEY)
                reached |= {name} if before != after else set()

    assert offer.fields <= reached, offer.fields - reached


@each_offer
def test_nothing_vanishes(variant: Variant, offer: Offer) -> None:
    """Each value of each field is in the message, in a note or in a refusal."""
    adapter = variant.adapter()
    silent = []

    for mode in PLAIN:
        base = plain(mode, offer)
        for name, other in others(base):
            fitted = plan(adapter, other)
            told = {n.field for n in fitted.notes} | {p.field for p in fitted.problems}
            if name in told or (name == "size" and other.size == Size()):
                continue
            if not fitted.problems and sent(adapter, base) != sent(adapter, other):
                continue
            # A size that means the one there was: 2K is the default, 1:1 is without images.
            if name == "size" and other.size.tier == "2K" and other.size.aspect_ratio is None:
                continue
            # What absent means anyway: thinking is on where it has effect, files are lossless.
            if (name, other.thinking, mode) == ("thinking", True, "text"):
                continue
            if (name, other.output_format) == ("output_format", "png"):
                continue
            silent.append((mode, name, getattr(other, name, None)))

    assert [] == silent


@each_offer
@pytest.mark.parametrize("mode", PLAIN)
def test_what_cannot_be_said_can_be_dropped_with_a_note(
    variant: Variant, offer: Offer, mode: str
) -> None:
    """``may_drop`` gives the message that there would be without the field, and says so."""
    adapter = variant.adapter()
    base = plain(mode, offer)
    undeclared = [
        (name, other)
        for name, other in others(base)
        if name not in offer.fields and name in DROPPABLE and name in fields_set(other)
    ]
    assert undeclared

    for name, other in undeclared:
        kept, dropped = plan(adapter, other), plan(adapter, other, may_drop=(name,))
        if kept.problems:
            assert [name] == [problem.field for problem in kept.problems]
            assert [(name, "dropped")] == [(n.field, n.kind) for n in dropped.notes]
        assert sent(adapter, base) == sent(adapter, other, may_drop=(name,))


@each_offer
def test_a_submit_is_pure(variant: Variant, offer: Offer) -> None:
    """The same arguments give the same bytes, from another instance too."""
    for mode in PLAIN:
        for _, request in others(plain(mode, offer)):
            assert 1 == len({_outcome(variant, request) for _ in range(3)})


def _outcome(variant: Variant, request: ImageRequest) -> str:
    try:
        message = sent(variant.adapter(), request)
    except UnsupportedFeature as exc:
        return str(exc)
    return f"{message.url} {sorted(message.headers.items())} {message.body!r}"


@each_offer
@pytest.mark.parametrize("mode", PLAIN)
def test_the_key_is_in_its_header_only(variant: Variant, offer: Offer, mode: str) -> None:
    """The credential is in one header, in no body, URL or repr."""
    adapter = variant.adapter(api_key="sk-live-0123456789")
    message = sent(adapter, plain(mode, offer))

    holding = [name for name, value in message.headers.items() if "sk-live" in value]

    assert ["Authorization"] == holding
    assert b"sk-live" not in message.body
    assert "sk-live" not in f"{message.url} {message!r} {adapter!r} {offer!r}"


@each_offer
def test_a_body_holds_no_null_but_the_callers(variant: Variant, offer: Offer) -> None:
    """Absent values are absent; only an extra may say null."""
    adapter = variant.adapter()
    for mode in PLAIN:
        for _, request in others(plain(mode, offer)):
            if not plan(adapter, request).problems:
                assert [] == list(_nulls(sent(adapter, request).json()))

    extra = {variant.name: {"zz_given": None}}
    body = sent(adapter, evolve(plain("text", offer), extra=extra)).json()

    assert ["zz_given"] == list(_nulls(body))


def _nulls(value: Any, name: str = "$") -> Iterator[str]:
    if value is None:
        yield name
    items = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else items:
        yield from _nulls(item, str(key))


@each_offer
def test_extras_are_ours_only_and_merged_last(variant: Variant, offer: Offer) -> None:
    """An extra field stands at the end of one node; another adapter's is not there."""
    adapter = variant.adapter()
    extra: dict[str, Any] = {
        variant.name: {"zz_ours": {"deep": [1]}},
        "elsewhere": {"zz_theirs": 1},
    }
    request = evolve(plain("text", offer), extra=extra)

    body = sent(adapter, request).json()
    (node,) = _holding(body, "zz_ours")

    assert "zz_ours" == list(node)[-1]
    assert {"deep": [1]} == node["zz_ours"]
    assert "zz_theirs" not in json.dumps(body)
    del node["zz_ours"]
    assert sent(adapter, plain("text", offer)).json() == body


@each_offer
def test_what_the_adapter_writes_beside_extras_is_reserved(variant: Variant, offer: Offer) -> None:
    """An extra cannot replace a count, an id or a delivery that the adapter has decided on."""
    adapter = variant.adapter()
    written: set[str] = set()
    for mode in PLAIN:
        for _, request in others(plain(mode, offer)):
            if not plan(adapter, request).problems:
                extra = evolve(request, extra={variant.name: {"zz_ours": 1}})
                (node,) = _holding(sent(adapter, extra).json(), "zz_ours")
                written |= node.keys() - {"zz_ours"}

    assert written <= adapter.reserved, written - adapter.reserved
    for name in adapter.reserved:
        with pytest.raises(InvalidRequest, match=f"extra.{variant.name}.{name}"):
            plan(adapter, evolve(plain("text", offer), extra={variant.name: {name: 1}}))


def _holding(value: Any, name: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and name in value:
        yield value
    items = value.values() if isinstance(value, dict) else ()
    for item in value if isinstance(value, list) else items:
        yield from _holding(item, name)


@each_variant
@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), Ellipsis, b"bytes", {1, 2}, "half \ud800", {"deep": [Ellipsis]}],
    ids=repr,
)
def test_an_extra_that_is_no_json_is_refused(variant: Variant, value: object) -> None:
    """Extras are the one place for the caller's own values; they are not for `json` to judge."""
    with pytest.raises(InvalidRequest):
        sent(variant.adapter(), evolve(PLAIN["text"], extra={variant.name: {"zz_given": value}}))


@each_offer
def test_every_size_is_sent_or_refused(variant: Variant, offer: Offer) -> None:
    """Tier × ratio × mode: a message that the sandbox takes, or `UnsupportedFeature`."""
    bench = Bench(variant, latency=0)
    outcomes = set()

    for mode in PLAIN:
        for number, size in enumerate(SIZES):
            request = evolve(plain(mode, offer), size=size)
            try:
                message = bench.message(request, key=f"{mode} {number}")
            except UnsupportedFeature as exc:
                outcomes.add(f"{exc.field} refused")
            else:
                _assert_taken(bench, message, request)
                outcomes.add("sent")

    assert {"size refused", "sent"} == outcomes


@each_offer
@pytest.mark.parametrize("mode", PLAIN)
def test_without_limits_a_size_is_still_sent_or_refused(
    variant: Variant, offer: Offer, mode: str
) -> None:
    """``check_limits=False`` sends what limits forbid; nothing else comes out."""
    adapter = variant.adapter()
    for size in SIZES:
        request = evolve(plain(mode, offer), size=size)
        with suppress(UnsupportedFeature):
            assert sent(adapter, request, check_limits=False).json()
    for size in ODD_SIZES:
        assert sent(adapter, evolve(plain(mode, offer), size=size), check_limits=False).body


# -- adapter against sandbox ---------------------------------------------------------------


def _assert_taken(bench: Bench, message: HttpRequest, request: ImageRequest) -> None:
    """The sandbox accepted *message* and will make what *request* says."""
    response = bench.send(message)
    error = bench.adapter.failure(response, op=Op.SUBMIT)
    assert error is None, f"{error} for {message.body!r}"
    assert 200 == response.status
    task, pictures = _understood(bench)
    assert request.n == task.asked == len(pictures)
    for picture in pictures:
        _assert_asked_for(bench, picture, request)
    if request.seed is not None:
        assert request.seed == pictures[0].seed


def _understood(bench: Bench) -> tuple[Task, list[Picture]]:
    """What the sandbox has made of the last submit; there is no public way to ask."""
    account = bench.sandbox._dialects[bench.adapter.name].account
    task = account.tasks[account.accepted[-1]]
    return task, [file.picture for file in task.files]


def _assert_asked_for(bench: Bench, picture: Picture, request: ImageRequest) -> None:
    offer = bench.adapter.offer(request.model)
    assert request.prompt == picture.prompt
    assert (request.output_format or offer.output or "png") == picture.format
    pixels = bench.adapter.pixels(request, offer)
    if pixels is not None:
        assert (pixels.width, pixels.height) == (picture.width, picture.height)
    elif request.mode == "text":
        ratio = ratio_of(request.size.aspect_ratio or "1:1")
        assert 0.95 <= picture.width * picture.height / AREAS[request.size.tier] <= 1.03
        assert 0.95 <= Fraction(picture.width, picture.height) / ratio <= 1.05
    asked = [(color.hex, color.ratio) for color in request.color_palette]
    assert asked == [(code.upper(), Decimal(share)) for code, share in picture.palette]
    boxes = {
        number: tuple(box.corners for box in image.regions)
        for number, image in enumerate(request.images, 1)
        if image.regions
    }
    assert boxes == {region.image: region.boxes for region in picture.regions}


def _check_against_the_sandbox(variant: Variant, request: ImageRequest) -> None:
    bench = Bench(variant, latency=0)
    request = held(bench, request)
    try:
        fitted = plan(bench.adapter, request).settle()
        message = bench.adapter.submit(fitted.request, fitted.offer, key=KEY)
    except (UnsupportedFeature, InvalidRequest) as exc:
        note(f"refused: {exc}")
        return
    note(f"sent: {message.body!r}")
    _assert_taken(bench, message, fitted.request)
    assert request.n == len(_collected(bench, request).images)


def _collected(bench: Bench, request: ImageRequest) -> Delivery:
    """The delivery of the task that the sandbox took on last, by polling it."""
    task, _ = _understood(bench)
    if bench.adapter.at_once:
        return bench.done(request).delivery
    job = Job(
        provider=bench.adapter.name,
        account=bench.adapter.account,
        base_url=bench.adapter.base_url,
        id=task.id,
        request=request,
        submitted_at=NOON,
        key=KEY,
    )
    response = bench.send(bench.adapter.poll(job))
    assert bench.adapter.failure(response, op=Op.POLL, job=job) is None, response.text()
    step = bench.adapter.read_poll(response, job)
    assert isinstance(step, Done)
    return step.delivery


def campaign(
    config: pytest.Config, variant: Variant, check: Callable[[Variant, ImageRequest], None]
) -> None:
    """*check* for requests at random: the same few each time, or many new ones with -m slow."""
    long = config.option.markexpr == "slow"

    @settings(
        max_examples=2000 if long else 60,
        derandomize=not long,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(requests(variant.adapter()))
    def run(request: ImageRequest) -> None:
        check(variant, request)

    run()


@pytest.mark.slow
@each_variant
def test_the_sandbox_takes_whatever_the_adapter_sends(
    variant: Variant, pytestconfig: pytest.Config
) -> None:
    """Two independent readings of the manual agree: sent is accepted, and means the same."""
    campaign(pytestconfig, variant, _check_against_the_sandbox)


@pytest.mark.slow
@each_variant
def test_without_limits_nothing_but_our_errors_comes_out(
    variant: Variant, pytestconfig: pytest.Config
) -> None:
    """``check_limits=False``: sent, to be judged by the provider, or a refusal of ours."""
    campaign(pytestconfig, variant, _check_without_limits)


def _check_without_limits(variant: Variant, request: ImageRequest) -> None:
    bench = Bench(variant, latency=0)
    try:
        message = bench.message(held(bench, request), check_limits=False)
    except (UnsupportedFeature, InvalidRequest):
        return

    error = bench.adapter.failure(bench.send(message), op=Op.SUBMIT)

    assert error is None or error.charge is Charge.NO


@each_variant
@pytest.mark.parametrize("check_limits", [True, False])
def test_a_picture_held_elsewhere_is_refused(variant: Variant, check_limits: bool) -> None:
    """Another provider's id means nothing here: that is no limit that could have aged."""
    images = (InputImage(ref={"elsewhere": "an id"}),)
    request = evolve(PLAIN["edit"], images=images, size="1:1")

    with pytest.raises(UnsupportedFeature) as caught:
        sent(variant.adapter(), request, check_limits=check_limits)

    assert "images" == caught.value.field


# -- reading -------------------------------------------------------------------------------


def _assert_survives(value: Job | Receipt | ImageResult) -> None:
    assert value == type(value).from_json(value.to_json())
    assert value == pickle.loads(pickle.dumps(value))


@each_variant
@pytest.mark.parametrize("mode", PLAIN)
def test_job_receipt_and_result_survive_json(variant: Variant, mode: str) -> None:
    """Whatever a provider answers can be stored and read back, equal."""
    bench = Bench(variant)
    request = PLAIN[mode]
    step = bench.accepted(request)
    if isinstance(step, Pending):
        _assert_survives(step.job)
        bench.at += 10
        running = bench.adapter.read_poll(bench.send(bench.adapter.poll(step.job)), step.job)
        if isinstance(running, Pending):
            _assert_survives(running.job)
    message = bench.message(request)
    receipt = Receipt(
        provider=bench.adapter.name,
        account=bench.adapter.account,
        base_url=bench.adapter.base_url,
        key=KEY,
        request=request.stored(),
        digest=str(hash(message.body)).rjust(64, "0")[-64:].replace("-", "0"),
        first_sent_at=NOON,
        last_sent_at=NOON,
        at_risk=Money("0.03", "USD"),
    )
    _assert_survives(receipt)
    _assert_survives(bench.adapter.adopt(receipt, "task_0123456789"))
    _assert_survives(_result(bench.adapter, request, Bench(variant).done(request).delivery))


def _result(adapter: Adapter, request: ImageRequest, delivery: Delivery) -> ImageResult:
    return ImageResult(
        provider=adapter.account,
        model=request.model,
        job_id="t-1",
        images=delivery.images,
        requested=request.n,
        failures=delivery.failures,
        cost=delivery.cost,
        notes=delivery.notes,
        request_id=delivery.request_id,
        submitted_at=NOON,
        finished_at=NOON,
        raw=delivery.raw,
    )


@each_variant
def test_a_broken_reply_lets_only_our_errors_out(variant: Variant) -> None:
    """Any node of any reply deleted, doubled or of another type: a step in order, or our error."""
    for reading in readings(variant):
        for body in broken(reading.response.json()):
            _assert_read_in_order(reading, with_body(reading.response, body))


@each_variant
def test_no_json_lets_only_our_errors_out(variant: Variant) -> None:
    """Cut bodies, HTML, NaN, numbers and nesting without end."""
    for reading in readings(variant):
        for body in mangled(reading.response.body):
            _assert_read_in_order(reading, with_body(reading.response, body))


@each_variant
def test_nesting_without_end_lets_only_our_errors_out(variant: Variant) -> None:
    """Deeper than Python can follow: no JSON, so a `MalformedResponse`."""
    for reading in readings(variant):
        for body in nested(reading.response.body, 100_000):
            _assert_read_in_order(reading, with_body(reading.response, body))


@each_variant
@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 404, 408, 429, 500, 504])
def test_another_status_lets_only_our_errors_out(variant: Variant, status: int) -> None:
    """A good body under a bad status, and a bad one under a good status."""
    for reading in readings(variant):
        _assert_read_in_order(reading, evolve(reading.response, status=status))


def _assert_read_in_order(reading: Reading, response: HttpResponse) -> None:
    said = f"{reading.name}, HTTP {response.status}: {response.body[:300]!r}"
    try:
        step = reading.read(response)
    except WanbridgeError:
        return
    except Exception as exc:
        raise AssertionError(f"{type(exc).__name__}: {exc} from {said:.400}") from exc
    match step:
        case ProviderError():
            _assert_error_in_order(reading, step, said)
        case Done(delivery):
            _assert_delivery_in_order(reading, delivery, said)
        case Pending(job):
            assert isinstance(job.id, str), said
            assert job.id, said
            assert reading.adapter.poll(job).url.startswith(job.base_url), said
            assert job == Job.from_json(job.to_json()), said
            for number in (step.retry_after, step.progress):
                assert number is None or (isinstance(number, float) and number >= 0), said
        case _:
            assert isinstance(step, Missing), said
            assert reading.op is Op.POLL, said


def _assert_error_in_order(reading: Reading, error: ProviderError, said: str) -> None:
    assert isinstance(error.message, str), said
    assert error.message, said
    for text in (error.code, error.request_id):
        assert text is None or isinstance(text, str), said
    assert error.retry_after is None or error.retry_after >= 0, said
    assert isinstance(error.charge, Charge), said
    assert isinstance(pickle.loads(pickle.dumps(error)), CallFailed), said
    assert f"{error!s} {error!r}", said
    # The reply to a submit is never the end of a job that it has just opened.
    assert reading.job is not None or error.job is None, said


def _assert_delivery_in_order(reading: Reading, delivery: Delivery, said: str) -> None:
    assert delivery.images, said
    for image in delivery.images:
        assert isinstance(image, Image), said
        assert image.url or image.data, said
        assert image.url is None or isinstance(image.url, str), said
        assert image.data is None or isinstance(image.data, bytes), said
        assert image.seed is None or type(image.seed) is int, said
        assert image.expires_at is None or image.expires_at.tzinfo, said
    assert delivery.cost is None or delivery.cost.amount > 0, said
    assert delivery.billed is None or type(delivery.billed) is int, said
    assert all(isinstance(note, Note) for note in delivery.notes), said
    assert all(isinstance(failure.message, str) for failure in delivery.failures), said
    result = _result(reading.adapter, reading.request, delivery)
    read = ImageResult.from_json(result.to_json())
    assert len(result.images) == len(read.images), said


@each_variant
@pytest.mark.parametrize("name", ["find", "balance", "cancel"])
def test_a_broken_reply_to_a_free_question_lets_only_our_errors_out(
    variant: Variant, name: str
) -> None:
    """Looking up, cancelling and asking for the balance, as strict and as calm."""
    adapter = Bench(variant).adapter
    if adapter.at_once or getattr(type(adapter), name) is getattr(Adapter, name):
        return
    message, response = _asked(variant, name)
    assert response.status < 300, response.text()

    for body in [*broken(response.json()), *mangled(response.body)]:
        conversation = _question(variant, name)
        assert message.url == next(conversation).url
        try:
            after = conversation.send(with_body(response, body))
        except (WanbridgeError, StopIteration):
            continue
        except Exception as exc:
            raise AssertionError(f"{type(exc).__name__}: {exc} from {body!r:.300}") from exc
        assert isinstance(after, HttpRequest)


def _question(variant: Variant, name: str, bench: Bench | None = None) -> Any:
    bench = bench or Bench(variant)
    step = bench.accepted(PLAIN["text"])
    assert isinstance(step, Pending)
    job = step.job
    receipt = Receipt(
        provider=job.provider,
        account=job.account,
        base_url=job.base_url,
        key=job.key,
        request=job.request,
        digest="0" * 64,
        first_sent_at=job.submitted_at,
        last_sent_at=job.submitted_at,
    )
    arguments = {"find": (receipt,), "cancel": (job,), "balance": ()}[name]
    return getattr(bench.adapter, name)(*arguments)


def _asked(variant: Variant, name: str) -> tuple[HttpRequest, HttpResponse]:
    switches = {"queue_seconds": 5} if name == "cancel" else {}
    bench = Bench(variant, **switches)
    message = next(_question(variant, name, bench))
    return message, bench.send(message)
