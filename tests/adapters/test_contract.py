"""What every adapter promises, asked of each that is built in.

Two readings of a provider's manual check each other here: what the adapter writes, the strict
sandbox has to take; what the sandbox answers, the adapter has to read, also when it is broken.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, note, settings

from contract_bench import Bench, Variant, held, named, readings, sold, variants, variants_in_modes
from random_requests import requests
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.steps import Delivery, Done, Op, Pending
from wanbridge.errors import (
    Charge,
    InvalidRequest,
    UnsupportedFeature,
    WanbridgeError,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.model.size_rules import AREAS, ratio_of
from wanbridge.sandbox.account import Task
from wanbridge.sandbox.drawing import draw
from wanbridge.sandbox.picture import Picture
from wanbridge.testing.replies import (
    NOON,
    assert_read_in_order,
    broken,
    mangled,
    nested,
    result_of,
    with_body,
)
from wanbridge.testing.requests import KEY, PLAIN, SIZES, modes, plain
from wanbridge.testing.writing import WRITING, a_submit_is_pure
from wanbridge.wire import HttpRequest, HttpResponse

each_offer = pytest.mark.parametrize(("variant", "offer"), sold(), ids=map(named, sold()))
each_variant_in_modes = pytest.mark.parametrize(
    ("variant", "mode"), variants_in_modes(), ids=map(named, variants_in_modes())
)
each_variant = pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.id)


def sent(adapter: Adapter, request: ImageRequest, **how: Any) -> HttpRequest:
    """The message for *request*, or `UnsupportedFeature`."""
    fitted = fit(adapter, request, **how).settle()
    return adapter.submit(fitted.request, fitted.offer, key=KEY)


# -- writing -------------------------------------------------------------------------------


@each_offer
@pytest.mark.parametrize("check", WRITING, ids=lambda check: check.__name__)
def test_what_is_written_keeps_the_contract(
    variant: Variant, offer: Offer, check: Callable[[Adapter, Offer], None]
) -> None:
    """Fields, notes, refusals, the key, extras, sizes: what every adapter promises."""
    check(variant.adapter(), offer)


@each_offer
def test_a_submit_is_pure(variant: Variant, offer: Offer) -> None:
    """The same arguments give the same bytes, from another instance too."""
    a_submit_is_pure(variant.adapter, offer)


@each_offer
def test_every_size_is_sent_or_refused(variant: Variant, offer: Offer) -> None:
    """Tier × ratio × mode: a message that the sandbox takes, or `UnsupportedFeature`."""
    bench = Bench(variant, latency=0)
    outcomes = set()

    for mode in modes(bench.adapter, offer.model):
        for number, size in enumerate(SIZES):
            request = evolve(plain(mode, offer.model), size=size)
            try:
                message = bench.message(request, key=f"{mode} {number}")
            except UnsupportedFeature as exc:
                outcomes.add(f"{exc.field} refused")
            else:
                _assert_taken(bench, message, request)
                outcomes.add("sent")

    assert {"size refused", "sent"} == outcomes


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
        fitted = fit(bench.adapter, request).settle()
        message = bench.prepared(fitted)
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


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn: what comes inline is a picture, but not of the size that was asked for."""
    facts: dict[str, Any] = {"model": "wan-2.7", "prompt": "a sundial", "seed": 1}
    drawn = draw(Picture(provider="runware", width=64, height=64, **facts))
    monkeypatch.setattr("wanbridge.sandbox.drawing.draw", lambda _picture: drawn)


@pytest.mark.slow
@pytest.mark.usefixtures("small_pictures")
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


# -- reading -------------------------------------------------------------------------------


def _assert_survives(value: Job | Receipt | ImageResult) -> None:
    assert value == type(value).from_json(value.to_json())
    assert value == pickle.loads(pickle.dumps(value))


@each_variant_in_modes
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
    _assert_survives(result_of(bench.adapter, request, Bench(variant).done(request).delivery))


@each_variant
def test_a_broken_reply_lets_only_our_errors_out(variant: Variant) -> None:
    """Any node of any reply deleted, doubled or of another type: a step in order, or our error."""
    for reading in readings(variant):
        for body in broken(reading.response.json()):
            assert_read_in_order(reading, with_body(reading.response, body))


@each_variant
def test_no_json_lets_only_our_errors_out(variant: Variant) -> None:
    """Cut bodies, HTML, NaN, numbers and nesting without end."""
    for reading in readings(variant):
        for body in mangled(reading.response.body):
            assert_read_in_order(reading, with_body(reading.response, body))


@each_variant
def test_nesting_without_end_lets_only_our_errors_out(variant: Variant) -> None:
    """Deeper than Python can follow: no JSON, so a `MalformedResponse`."""
    for reading in readings(variant):
        for body in nested(reading.response.body, 100_000):
            assert_read_in_order(reading, with_body(reading.response, body))


@each_variant
@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 404, 408, 429, 500, 504])
def test_another_status_lets_only_our_errors_out(variant: Variant, status: int) -> None:
    """A good body under a bad status, and a bad one under a good status."""
    for reading in readings(variant):
        assert_read_in_order(reading, evolve(reading.response, status=status))


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
