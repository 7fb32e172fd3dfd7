"""What is peculiar to EmpirioLabs: JSON in strings, two counts, two envelopes, a paid cancel.

Replies are written from https://docs.empiriolabs.ai (models/wan2-7-image, the API reference,
billing-credits, account-usage-api), read 2026-11-20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.steps import (
    Cancelled,
    Delivery,
    Done,
    Missing,
    Op,
    Pending,
    Resend,
    StillUnknown,
    TooLate,
)
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    CreditExhausted,
    GenerationFailed,
    InvalidRequest,
    JobCancelled,
    MalformedResponse,
    MissingCredentials,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import Box, InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size import Size
from wanbridge.money.price_book import PriceBook
from wanbridge.providers.empiriolabs import EmpirioLabs
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
BASE = "https://api.empiriolabs.ai/v1"
PRO = "wan2.7-image-pro"
LINK = "https://cdn.empiriolabs.ai/out/{}.png?sig=abc"

LABS = EmpirioLabs(api_key="sk-empiriolabs-secret")
BEARER = {"Authorization": "Bearer sk-empiriolabs-secret"}
HERON = ImageRequest("a heron of folded tin")
CUP = InputImage("https://pictures.example.com/cup.png", width=1600, height=900)
TRAY = InputImage("https://pictures.example.com/tray.png")
PALETTE = (
    PaletteColor("#2A6F97", "50"),
    PaletteColor("#F4A259", "26.49"),
    PaletteColor("#101418", "23.51"),
)
JOB = Job(
    provider="empiriolabs",
    account="empiriolabs",
    base_url=BASE,
    id="job_7f3a9c21",
    request=HERON,
    submitted_at=NOW,
    key="k",
    collect_by=NOW + timedelta(hours=1),
)
RECEIPT = Receipt(
    provider="empiriolabs",
    account="empiriolabs",
    base_url=BASE,
    key="k",
    request=HERON,
    digest="0" * 64,
    first_sent_at=NOW,
    last_sent_at=NOW,
)


def sent(request: ImageRequest, adapter: EmpirioLabs = LABS, **options: Any) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key="k")


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def job(status: Any, **more: Any) -> dict[str, Any]:
    times = {"created_at": "2026-11-20T09:30:00Z", "completed_at": None}
    known = {"job_id": JOB.id, "status": status, "progress": 0.4, **times}
    return {**known, "result": None, "error": None, **more}


def result(count: int = 1, **more: Any) -> dict[str, Any]:
    return {"created": 1795000831, "data": [{"url": LINK.format(i)} for i in range(count)], **more}


def refusal(code: Any = "invalid_request", **more: Any) -> dict[str, Any]:
    return {"error": {"message": "made up", "type": code, "code": code}, **more}


def failed(response: HttpResponse, op: Op = Op.POLL, of: Job | None = JOB) -> ProviderError:
    error = LABS.failure(response, op=op, job=of)
    assert error is not None
    return error


def played(exchange: Any, *answers: HttpResponse) -> tuple[list[HttpRequest], Any]:
    """What a conversation asked, and what came of it."""
    asked = [next(exchange)]
    try:
        for answer in answers:
            asked += [exchange.send(answer)]
    except StopIteration as stop:
        return asked, stop.value
    raise AssertionError(f"{asked[-1]} is not answered")


# -- the request -------------------------------------------------------------------------


def test_a_submit_is_one_flat_object() -> None:
    """No key of ours on the wire: nothing makes a second send harmless."""
    message = sent(HERON)

    assert message == HttpRequest(
        method="POST",
        url=f"{BASE}/images/generations",
        headers={**BEARER, "Content-Type": "application/json"},
        body=message.body,
    )
    assert Resend.NEVER is LABS.resend


def test_the_key_is_in_no_repr() -> None:
    """Reprs end up in logs."""
    assert "secret" not in repr([LABS, sent(HERON), LABS.poll(JOB), next(LABS.cancel(JOB))])


def test_without_a_key_the_setting_is_named() -> None:
    """Tables and quotes need no key, a call does."""
    with pytest.raises(MissingCredentials, match="EMPIRIOLABS_API_KEY"):
        sent(HERON, EmpirioLabs())


MINIMAL = {
    "model": "wan2-7-image",
    "prompt": "a heron of folded tin",
    "model_variant": "wan2.7-image",
    "aspect_ratio": "1:1",
    "resolution": "2K",
    "num_images": 1,
    "watermark": False,
    "response_format": "url",
    "sync": False,
}
ORDER = [
    *("model", "prompt", "model_variant", "aspect_ratio", "resolution", "use_custom_size"),
    *("custom_width", "custom_height", "enable_sequential", "num_images", "num_images_set"),
    *("thinking_mode", "image", "color_palette", "bbox_list", "seed", "watermark"),
    *("response_format", "sync"),
]
COLORS = (
    '[{"hex":"#2A6F97","ratio":"50.00%"},{"hex":"#F4A259","ratio":"26.49%"},'
    '{"hex":"#101418","ratio":"23.51%"}]'
)


def without(*keys: str) -> dict[str, Any]:
    return {k: v for k, v in MINIMAL.items() if k not in keys}


EDIT = {**without("aspect_ratio"), "image": [CUP.url, TRAY.url]}
SET = {**without("num_images"), "enable_sequential": True}
WORDS = ("aspect_ratio", "resolution")


def custom(width: int, height: int) -> dict[str, Any]:
    return {"use_custom_size": True, "custom_width": width, "custom_height": height}


# Every row of the page's table of parameters, and its three modes.
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, MINIMAL, id="minimal"),
        pytest.param(
            {"model": PRO},
            {**MINIMAL, "model_variant": PRO, "thinking_mode": True},
            id="model_variant",
        ),
        pytest.param({"size": "3:4"}, {**MINIMAL, "aspect_ratio": "3:4"}, id="aspect_ratio"),
        pytest.param({"size": "1K"}, {**MINIMAL, "resolution": "1K"}, id="resolution"),
        pytest.param(
            {"model": PRO, "size": "16:9@4K", "thinking": False},
            {
                **MINIMAL,
                "model_variant": PRO,
                "aspect_ratio": "16:9",
                "resolution": "4K",
                "thinking_mode": False,
            },
            id="4K",
        ),
        pytest.param({"size": "900x1700"}, {**without(*WORDS), **custom(900, 1700)}, id="custom"),
        pytest.param(
            {"model": PRO, "size": "4096x768"},
            {
                **without(*WORDS),
                "model_variant": PRO,
                "thinking_mode": True,
                **custom(4096, 768),
            },
            id="custom-to-4096",
        ),
        pytest.param({"n": 4}, {**MINIMAL, "num_images": 4}, id="num_images"),
        pytest.param({"sequential": True, "n": 12}, {**SET, "num_images_set": 12}, id="set"),
        pytest.param(
            {"sequential": True, "n": 3, "size": "4:5@1K", "model": PRO},
            {
                **SET,
                "model_variant": PRO,
                "num_images_set": 3,
                "aspect_ratio": "4:5",
                "resolution": "1K",
            },
            id="set-of-a-shape",
        ),
        pytest.param(
            {"sequential": True, "n": 2, "images": (CUP, TRAY)},
            {
                **EDIT,
                "num_images": None,
                "num_images_set": 2,
                "enable_sequential": True,
            },
            id="set-with-images",
        ),
        pytest.param({"images": (CUP, TRAY)}, EDIT, id="image"),
        pytest.param(
            {"images": (CUP, TRAY), "size": "1K"}, {**EDIT, "resolution": "1K"}, id="edit-tier"
        ),
        pytest.param(
            {"images": (CUP, TRAY), "model": PRO}, {**EDIT, "model_variant": PRO}, id="edit-pro"
        ),
        pytest.param({"seed": 0}, {**MINIMAL, "seed": 0}, id="seed-0"),
        pytest.param({"seed": 2147483647}, {**MINIMAL, "seed": 2147483647}, id="seed"),
        pytest.param({"watermark": True}, {**MINIMAL, "watermark": True}, id="watermark"),
        pytest.param(
            {"color_palette": PALETTE}, {**MINIMAL, "color_palette": COLORS}, id="color_palette"
        ),
    ],
)
def test_a_request_in_empiriolabs_words_and_order(fields: dict[str, Any], expected: Any) -> None:
    """Variant, shape and delivery are always said: their defaults are pro, 16:9 and unsure."""
    body = sent(evolve(HERON, **fields)).json()

    assert {k: v for k, v in expected.items() if v is not None} == body
    assert [key for key in ORDER if key in body] == list(body)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ((evolve(CUP, regions=[(120, 80, 480, 360)]),), "[[120,80,480,360]]"),
        (
            (evolve(CUP, regions=[Box(0, 0, 9, 9), Box(20, 0, 30, 9)]),),
            "[[[0,0,9,9],[20,0,30,9]]]",
        ),
        ((CUP, evolve(TRAY, regions=[(1, 2, 3, 4)])), "[[],[[1,2,3,4]]]"),
        ((evolve(CUP, regions=[(1, 2, 3, 4)]), TRAY), "[[[1,2,3,4]],[]]"),
    ],
)
def test_bbox_list_is_a_string_flat_for_one_box_of_one_image(
    images: tuple[InputImage, ...], text: str
) -> None:
    """The page shows depth 2 for one image and one box; all else is upstream's depth 3."""
    assert text == sent(evolve(HERON, images=images)).json()["bbox_list"]


def test_color_palette_is_a_string() -> None:
    """An array is refused; two places and a percent sign as on the page."""
    text = sent(evolve(HERON, color_palette=PALETTE)).json()["color_palette"]

    assert COLORS == text
    assert ["50.00%", "26.49%", "23.51%"] == [color["ratio"] for color in json.loads(text)]


@pytest.mark.parametrize(
    ("size", "images", "expected"),
    [
        *((r, (), (r, "2K", None)) for r in ("16:9", "1:1", "9:16", "3:2", "2:3")),
        *((r, (), (r, "2K", None)) for r in ("4:3", "3:4", "5:4", "4:5")),
        ("21:9", (), (None, None, (2016, 864))),
        ("1:1@1K", (CUP,), (None, None, (1024, 1024))),
        ("16:9", (CUP,), (None, None, (2048, 1152))),
        ("1000x800", (CUP,), (None, None, (1000, 800))),
        ("1K", (CUP,), (None, "1K", None)),
    ],
)
def test_a_size_is_words_or_custom_pixels_and_never_both(
    size: str, images: tuple[InputImage, ...], expected: Any
) -> None:
    """``size`` of the page's example is never sent; with images a ratio goes as pixels."""
    asked = evolve(HERON, size=size, images=images)
    body = sent(asked).json()
    pixels = (body["custom_width"], body["custom_height"]) if "use_custom_size" in body else None

    assert expected == (body.get("aspect_ratio"), body.get("resolution"), pixels)
    assert (pixels is None) == (LABS.pixels(asked, LABS.offer(HERON.model)) is None)
    assert "size" not in body


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"negative_prompt": "blurry"}, "negative_prompt"),
        ({"callback_url": "https://app.example.com/hook"}, "callback_url"),
        ({"output_format": "png"}, "output_format"),
        ({"size": "4K"}, "size"),
        ({"model": PRO, "size": "4K", "images": (CUP,)}, "size"),
        ({"model": PRO, "size": "4K", "sequential": True}, "size"),
        ({"size": "2049x2048"}, "size"),
        ({"model": PRO, "size": "2049x1024", "images": (CUP,)}, "size"),
        ({"model": PRO, "size": "4097x1024"}, "size"),
        ({"size": "767x900"}, "size"),
        ({"size": "8:1"}, "size"),
        ({"size": "9:1"}, "size"),
        ({"prompt": "", "images": (CUP,)}, "prompt"),
        ({"images": ("data:image/png;base64,iVBORw0KGgo=",)}, "images"),
        ({"images": ("oss://dashscope-instant/a/b.png",)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", (), 239, 400),)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", (), 8001, 4000),)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", (), 300, 2401),)}, "images"),
        ({"sequential": True, "color_palette": PALETTE}, "color_palette"),
        ({"sequential": True, "images": (evolve(CUP, regions=[(0, 0, 9, 9)]),)}, "regions"),
    ],
)
def test_what_empiriolabs_cannot_say_is_refused_unsent(fields: dict[str, Any], field: str) -> None:
    """Some of it EmpirioLabs would ignore in silence."""
    with pytest.raises(UnsupportedFeature) as caught:
        fit(LABS, evolve(HERON, **fields)).settle()

    assert ("empiriolabs", field) == (caught.value.provider, caught.value.field)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"thinking": True}, "ignored"),
        ({"thinking": False}, "ignored"),
        ({"thinking": True, "images": (CUP,)}, "ignored"),
        ({"model": PRO, "thinking": True, "images": (CUP,)}, "ignored"),
        ({"model": PRO, "thinking": False, "sequential": True}, "ignored"),
        ({"inline": True}, "adapted"),
    ],
)
def test_what_has_no_effect_has_a_note(fields: dict[str, Any], kind: str) -> None:
    """Thinking is for pro and text alone, and ignored elsewhere without a word."""
    fitted = fit(LABS, evolve(HERON, **fields))

    assert [kind] == [note.kind for note in fitted.notes]
    assert "thinking_mode" not in sent(evolve(HERON, **fields)).json()


def test_extras_join_the_root() -> None:
    """Those of no other provider."""
    extra: dict[str, Any] = {"empiriolabs": {"template": "poster"}, "kie": {"nsfw_checker": True}}

    assert {**MINIMAL, "template": "poster"} == sent(evolve(HERON, extra=extra)).json()


@pytest.mark.parametrize(
    "taken", [*ORDER, "size", "n", "disable_formatting", "raw", "passthrough", "raw_response"]
)
def test_an_extra_of_our_own_is_refused(taken: str) -> None:
    """Nor one that counts anew or changes the shape of the reply."""
    with pytest.raises(InvalidRequest, match=taken):
        sent(evolve(HERON, extra={"empiriolabs": {taken: 1}}))


# -- submitted ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    "body",
    [
        {"job_id": JOB.id, "status": "processing", "poll_url": "/v1/jobs/job_7f3a9c21"},
        {"job_id": JOB.id, "status": "queued", "poll_url": "https://evil.example/jobs/x"},
        {"job_id": JOB.id},
        {"job_id": JOB.id, "status": "failed", **refusal()},
        {"job_id": JOB.id, "data": []},
        {"job_id": JOB.id, "result": result(), "status": "processing"},
    ],
)
def test_a_job_is_polled_by_its_id_wherever_poll_url_points(
    status: int, body: dict[str, Any]
) -> None:
    """Any 2xx with a ``job_id``; it is kept for an hour, and no other host gets the key."""
    accepted = reply(body, status)

    assert LABS.failure(accepted, op=Op.SUBMIT) is None
    step = LABS.read_submission(accepted, HERON, key="k")

    assert Pending(JOB) == step
    assert f"{BASE}/jobs/job_7f3a9c21" == LABS.poll(step.job).url


@pytest.mark.parametrize("body", [result(2), job("completed", result=result(2))])
def test_a_submit_may_be_answered_with_the_result(body: dict[str, Any]) -> None:
    """The older pages have it so: what it is, is decided by content."""
    finished = reply(body, headers={"X-Request-Id": "req_9"})

    assert LABS.failure(finished, op=Op.SUBMIT) is None
    step = LABS.read_submission(finished, HERON, key="k")

    until = NOW + timedelta(days=7)
    assert isinstance(step, Done)
    assert step.delivery == Delivery(
        images=tuple(Image(url=LINK.format(i), expires_at=until) for i in range(2)),
        request_id="req_9",
        raw=body,
    )


def test_a_result_may_hold_bytes() -> None:
    """``b64_json``, where it comes unasked."""
    step = LABS.read_submission(reply({"data": [{"b64_json": "iVBORw0K"}]}), HERON, key="k")

    assert isinstance(step, Done)
    assert (Image(data=b"\x89PNG\r\n"),) == step.delivery.images


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": "processing"}, r"neither \$\.data"),
        ({"id": JOB.id}, r"neither \$\.data"),
        ({"job_id": ""}, r"sound \$\.job_id"),
        ({"job_id": "../models"}, r"sound \$\.job_id"),
        ({"job_id": "j" * 257}, r"sound \$\.job_id"),
        ({"job_id": 7}, r"\$\.job_id: expected str"),
        ({"data": {"url": "https://x"}}, r"\$\.data: expected list"),
        ({"data": [{"url": 7}]}, r"\$\.data\[0\]\.url"),
        ([], "expected object"),
        (b"<html>busy</html>", "not JSON"),
    ],
)
def test_a_submit_without_a_job_or_a_picture_is_malformed(body: Any, said: str) -> None:
    """It may be bought; the message says where to look."""
    assert LABS.failure(reply(body), op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse, match=said) as caught:
        LABS.read_submission(reply(body), HERON, key="k")

    assert Charge.MAYBE == caught.value.charge


@pytest.mark.parametrize(
    ("body", "cls", "message"),
    [
        (refusal("upstream_error"), ProviderUnavailable, "made up"),
        (refusal("insufficient_credits"), CreditExhausted, "made up"),
        ({"error": "odd"}, ProviderUnavailable, "odd"),
        ({"data": []}, GenerationFailed, "completed without an image"),
        ({"data": [{"b64_json": "!"}]}, GenerationFailed, "completed without an image"),
    ],
)
def test_a_200_without_job_or_picture_may_be_charged(
    body: Any, cls: type[ProviderError], message: str
) -> None:
    """Not documented, so nobody knows what it cost."""
    error = failed(reply(body), Op.SUBMIT, None)

    assert (cls, Charge.MAYBE, message) == (type(error), error.charge, error.message)


def test_a_poll_that_fails_in_a_200_says_nothing_of_the_job() -> None:
    """There is no state beside the error."""
    error = failed(reply(refusal("rate_limit_exceeded")))

    assert (RateLimited, Charge.MAYBE, False) == (type(error), error.charge, error.final)


# -- polled ------------------------------------------------------------------------------


def test_a_job_is_polled_where_it_was_made() -> None:
    """The id is only data."""
    elsewhere = evolve(JOB, base_url="http://localhost:8080/v1", id="a/b?c")

    assert LABS.poll(elsewhere) == HttpRequest(
        method="GET", url="http://localhost:8080/v1/jobs/a%2Fb%3Fc", headers=BEARER
    )


@pytest.mark.parametrize("status", ["queued", "processing", "running", "dreaming"])
@pytest.mark.parametrize(
    ("progress", "expected"), [(0.4, 0.4), (0, 0.0), (40, 1.0), (-1, 0.0), ("40%", None)]
)
def test_any_other_status_is_work_in_progress(status: str, progress: Any, expected: Any) -> None:
    """The list of states is not closed; the deadline ends what no page knows."""
    running = reply(job(status, progress=progress), headers={"Retry-After": "4"})

    assert LABS.failure(running, op=Op.POLL, job=JOB) is None
    assert Pending(JOB, retry_after=4.0, progress=expected) == LABS.read_poll(running, JOB)


@pytest.mark.parametrize("status", ["completed", "succeeded", "failed", "cancelled", None])
@pytest.mark.parametrize(
    "inner", [result(1), {"data": None, "url": LINK.format(0)}, {"url": LINK.format(0)}]
)
def test_an_ended_job_has_its_pictures_under_result(status: Any, inner: dict[str, Any]) -> None:
    """A picture is worth more than a state; links work for seven days."""
    ended = reply(job(status, result=inner))

    assert LABS.failure(ended, op=Op.POLL, job=JOB) is None
    step = LABS.read_poll(ended, JOB)

    assert isinstance(step, Done)
    expected = Image(url=LINK.format(0), expires_at=NOW + timedelta(days=7))
    assert (expected,) == step.delivery.images


@pytest.mark.parametrize(
    ("body", "billed", "cost"),
    [
        (job("completed", result=result(3)), None, None),
        (
            job(
                "completed", result=result(3, usage={"billable_units": 3, "billing_unit": "image"})
            ),
            3,
            None,
        ),
        (
            job(
                "completed", result=result(3, usage={"billable_units": 9, "billing_unit": "token"})
            ),
            None,
            None,
        ),
        (
            {**job("completed", result=result(3)), "cost": {"amount": 0.225, "currency": "USD"}},
            None,
            Money("0.225", "USD"),
        ),
        (
            {**job("completed", result=result(3)), "cost": {"amount": 0, "currency": "USD"}},
            None,
            None,
        ),
        ({**result(3), "usage": {"billable_units": 2, "billing_unit": "image"}}, 2, None),
    ],
)
def test_what_was_billed_is_read_where_it_is_told(body: Any, billed: Any, cost: Any) -> None:
    """A set delivers fewer and bills those; 0 beside a picture says nothing."""
    step = LABS.read_poll(reply(body), JOB)

    assert isinstance(step, Done)
    assert (3, billed, cost) == (
        len(step.delivery.images),
        step.delivery.billed,
        step.delivery.cost,
    )


def test_a_spoiled_fact_costs_no_picture() -> None:
    """It becomes a note."""
    step = LABS.read_poll(reply(job("completed", progress="all", result=result())), JOB)

    assert isinstance(step, Done)
    assert ["$.progress"] == [note.field for note in step.delivery.notes]


@pytest.mark.parametrize("status", ["completed", "succeeded"])
@pytest.mark.parametrize("inner", [None, {}, {"data": []}, {"data": [{"url": ""}]}, {"url": None}])
def test_completed_without_a_picture_is_the_end_and_perhaps_charged(
    status: str, inner: Any
) -> None:
    """No page promises a refund."""
    error = failed(reply(job(status, result=inner)))

    assert isinstance(error, GenerationFailed)
    assert (Charge.MAYBE, True, JOB) == (error.charge, error.final, error.job)


@pytest.mark.parametrize(
    ("said", "cls", "code", "message"),
    [
        (refusal("upstream_error")["error"], GenerationFailed, "upstream_error", "made up"),
        (refusal("insufficient_credits")["error"], CreditExhausted, "insufficient_credits", None),
        (refusal("model_not_found")["error"], RequestRejected, "model_not_found", None),
        ({"message": "m", "type": "odd", "code": 7}, GenerationFailed, "7", "m"),
        ({"message": "m", "type": "odd"}, GenerationFailed, "odd", "m"),
        ({"code": "odd"}, GenerationFailed, "odd", "no explanation"),
        ("the prompt met a policy", GenerationFailed, None, "the prompt met a policy"),
        (None, GenerationFailed, None, "no explanation"),
        ([], GenerationFailed, None, "no explanation"),
    ],
)
def test_a_failed_job_is_classed_by_its_code(
    said: Any, cls: type[ProviderError], code: Any, message: Any
) -> None:
    """Inside an HTTP 200; whether it is charged is not stated."""
    error = failed(reply(job("failed", error=said), headers={"x-request-id": "req_3"}))

    assert (cls, code, Charge.MAYBE, True, JOB, None, "req_3") == (
        type(error),
        error.code,
        error.charge,
        error.final,
        error.job,
        error.status,
        error.request_id,
    )
    assert (message or "made up") == error.message


@pytest.mark.parametrize(
    "more",
    [
        {"cost": {"amount": 0.03, "currency": "USD"}},
        {"usage": {"billable_units": 1, "billing_unit": "image"}},
        {"result": {"usage": {"billable_units": 1, "billing_unit": "image"}}},
    ],
)
def test_a_failed_job_with_a_cost_was_charged(more: dict[str, Any]) -> None:
    """What is billed is not free."""
    assert Charge.YES == failed(reply(job("failed", **more))).charge


@pytest.mark.parametrize("status", ["cancelled", "canceled"])
def test_a_cancelled_job_is_paid_for(status: str) -> None:
    """An accepted request settles in full."""
    ended = reply(job(status))

    assert LABS.failure(ended, op=Op.POLL, job=JOB) is None
    with pytest.raises(JobCancelled) as caught:
        LABS.read_poll(ended, JOB)

    assert (Charge.YES, JOB) == (caught.value.charge, caught.value.job)


def test_a_404_is_missing() -> None:
    """Never known, or ended more than an hour ago."""
    gone = reply(refusal("job_not_found"), 404)

    assert LABS.failure(gone, op=Op.POLL, job=JOB) is None
    assert isinstance(LABS.read_poll(gone, JOB), Missing)


@pytest.mark.parametrize("body", [b"<html>not here</html>", b"", {"ok": False}, []])
def test_a_404_from_an_edge_says_nothing_of_the_job(body: Any) -> None:
    """An outage must not turn a paid job into a lost one."""
    assert not failed(reply(body, 404)).final


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"job_id": JOB.id}, r"\$\.status: missing"),
        ({"status": 5}, r"\$\.status"),
        ({"status": "completed", "result": []}, r"\$\.result"),
        ({"status": "completed", "result": {"data": [None]}}, r"\$\.result\.data\[0\]"),
        (b"{", "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_place(body: Any, said: str) -> None:
    """Polling goes on; no code of ours has to guess."""
    assert LABS.failure(reply(body), op=Op.POLL, job=JOB) is None
    with pytest.raises(MalformedResponse, match=said):
        LABS.read_poll(reply(body), JOB)


# -- refused -----------------------------------------------------------------------------

REFUSALS: list[tuple[int, Any, type[ProviderError]]] = [
    (401, "missing_api_key", AuthenticationFailed),
    (401, "invalid_api_key", AuthenticationFailed),
    (402, "insufficient_credits", CreditExhausted),
    (404, "model_not_found", RequestRejected),
    (429, "rate_limit_exceeded", RateLimited),
    (429, "insufficient_credits", CreditExhausted),
    (400, "invalid_request", RequestRejected),
    (404, "template_not_found", RequestRejected),
    (400, "template_model_unsupported", RequestRejected),
]
TROUBLES: list[tuple[int, Any, type[ProviderError]]] = [
    (502, "upstream_error", ProviderUnavailable),
    (503, "model_unavailable", ProviderUnavailable),
    (503, "odd", ProviderUnavailable),
    (500, 500, ProviderUnavailable),
    (504, None, ProviderUnavailable),
    (403, "odd", AuthenticationFailed),
    (408, "odd", ProviderUnavailable),
    (409, "odd", RequestRejected),
]


@pytest.mark.parametrize(("status", "code", "cls"), REFUSALS)
def test_a_documented_refusal_of_a_submit_costs_nothing(
    status: int, code: Any, cls: type[ProviderError]
) -> None:
    """A wrong request, no money, a full minute: nothing was taken on."""
    error = failed(reply(refusal(code), status, {"x-request-id": "req_1"}), Op.SUBMIT, None)

    assert (cls, Charge.NO, status, code, "req_1") == (
        type(error),
        error.charge,
        error.status,
        error.code,
        error.request_id,
    )


@pytest.mark.parametrize(("status", "code", "cls"), TROUBLES)
def test_a_submit_that_the_service_stumbled_over_may_be_charged(
    status: int, code: Any, cls: type[ProviderError]
) -> None:
    """The advice to repeat once is no promise of the vendor's."""
    error = failed(reply(refusal(code), status), Op.SUBMIT, None)

    assert (cls, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limit_exceeded"), (503, "model_unavailable")]
)
def test_a_refusal_that_names_a_job_may_have_made_one(status: int, code: str) -> None:
    """It must not be sent again."""
    error = failed(reply(refusal(code, job_id=JOB.id), status), Op.SUBMIT, None)

    assert Charge.MAYBE == error.charge


@pytest.mark.parametrize(("status", "code", "cls"), [r for r in REFUSALS if r[0] != 404] + TROUBLES)
def test_a_refused_poll_says_nothing_of_the_job(
    status: int, code: Any, cls: type[ProviderError]
) -> None:
    """The job goes on."""
    error = failed(reply(refusal(code), status))

    assert (cls, Charge.MAYBE, False, JOB) == (type(error), error.charge, error.final, error.job)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "bad size"}, "bad size"),
        ({"detail": "bad size"}, "bad size"),
        ({"message": "bad size"}, "bad size"),
        ({"error": {"message": "bad size"}}, "bad size"),
        ({"detail": [{"loc": ["body"]}]}, '{"detail": [{"loc": ["body"]}]}'),
    ],
)
def test_an_error_may_be_told_in_several_ways(body: Any, message: str) -> None:
    """The envelope is documented for OpenAI-shaped endpoints only."""
    assert message == failed(reply(body, 400), Op.SUBMIT, None).message


def test_a_rate_limit_says_how_long() -> None:
    """If it does; no header is documented."""
    response = reply(refusal("rate_limit_exceeded"), 429, {"Retry-After": "20"})

    assert 20.0 == failed(response, Op.SUBMIT, None).retry_after


# -- cancel, find, balance, models ---------------------------------------------------------


def test_a_cancelled_job_costs_what_it_would_have() -> None:
    """Once accepted, a request settles in full."""
    asked, found = played(LABS.cancel(JOB), reply(job("cancelled")))

    assert [("POST", f"{BASE}/jobs/{JOB.id}/cancel", BEARER)] == [
        (m.method, m.url, m.headers) for m in asked
    ]
    assert Cancelled(Charge.YES) == found


@pytest.mark.parametrize("status", ["completed", "processing"])
def test_a_job_that_does_not_say_cancelled_goes_on(status: str) -> None:
    """A completed job comes back unchanged."""
    _, found = played(LABS.cancel(JOB), reply(job(status, result=result())))

    assert isinstance(found, TooLate)
    assert status in found.detail


@pytest.mark.parametrize("status", [404, 405])
def test_the_path_of_cancel_is_not_documented_so_both_usual_ones_are_tried(status: int) -> None:
    """The operation is; if neither is there, it is unsupported."""
    unknown = reply(refusal("not_found"), status)
    asked, found = played(LABS.cancel(JOB), unknown, reply(job("canceled")))

    assert ("DELETE", f"{BASE}/jobs/{JOB.id}") == (asked[1].method, asked[1].url)
    assert Cancelled(Charge.YES) == found
    with pytest.raises(UnsupportedFeature, match="cancel"):
        played(LABS.cancel(JOB), unknown, unknown)


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply(refusal("invalid_api_key"), 401), AuthenticationFailed),
        (reply(refusal("upstream_error"), 502), ProviderUnavailable),
        (reply([]), MalformedResponse),
    ],
)
def test_a_cancel_that_is_refused_is_an_error(
    answer: HttpResponse, cls: type[ProviderError]
) -> None:
    """Neither cancelled nor too late."""
    with pytest.raises(cls):
        played(LABS.cancel(JOB), answer)


def test_find_names_the_jobs_of_that_minute() -> None:
    """A job shows neither prompt nor key, so it settles nothing."""
    listed = [
        {"job_id": "job_later", "created_at": "2026-11-20T09:31:01Z"},
        {"job_id": "job_then", "created_at": "2026-11-20T09:30:02Z"},
        {"job_id": "job_undated", "created_at": "today"},
        {"job_id": "job_before", "created_at": "2026-11-20T09:28:59Z"},
    ]
    for body in ({"data": listed}, {"jobs": listed}):
        asked, found = played(LABS.find(RECEIPT), reply(body))

        assert f"{BASE}/jobs?limit=100" == asked[0].url
        assert isinstance(found, StillUnknown)
        assert ("job_then", "job_undated") == found.candidates
        assert "2 jobs from 2026-11-20 09:29:00 to 09:31:00 UTC" in found.detail
    assert () == played(LABS.find(RECEIPT), reply({}))[1].candidates


def test_the_balance_is_in_dollars() -> None:
    """Prepaid; exact whatever JSON makes of it."""
    body = {"object": "list", "balance": {"amount": 12.34, "currency": "USD"}, "data": []}
    asked, found = played(LABS.balance(), reply(body))

    assert f"{BASE}/account/usage?limit=1" == asked[0].url
    assert Money("12.34", "USD") == found


def test_the_catalogue_has_parameters_by_name() -> None:
    """The page calls them the canonical schema of a model."""
    parameter = {"name": "bbox_list", "type": "string"}
    listed = [{"id": "wan2-7-image", "supported_parameters": [parameter]}, {"id": "other"}]
    asked, found = played(LABS.models(), reply({"object": "list", "data": listed}))

    assert f"{BASE}/models" == asked[0].url
    assert [("wan2-7-image", {"bbox_list": parameter}), ("other", None)] == [
        (model.id, model.schema) for model in found
    ]
    assert listed == [model.raw for model in found]


@pytest.mark.parametrize("name", ["balance", "models", "find"])
@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply(refusal("invalid_api_key"), 401), AuthenticationFailed),
        (reply(refusal("rate_limit_exceeded"), 429), RateLimited),
        (reply([]), MalformedResponse),
    ],
)
def test_a_free_question_that_is_refused_is_an_error(
    name: str, answer: HttpResponse, cls: type[ProviderError]
) -> None:
    """Never a guess."""
    arguments = (RECEIPT,) if name == "find" else ()
    with pytest.raises(cls):
        played(getattr(LABS, name)(*arguments), answer)


def test_nothing_is_estimated() -> None:
    """No such page."""
    with pytest.raises(UnsupportedFeature, match="estimate"):
        next(LABS.estimate(HERON, LABS.offer(HERON.model)))


# -- what it sells -----------------------------------------------------------------------


def test_both_variants_are_sold_and_only_pro_thinks() -> None:
    """Whether a failure is charged is not stated; formats are not documented."""
    standard, pro = LABS.offers

    assert {"thinking"} == pro.fields - standard.fields
    for offer in LABS.offers:
        assert (offer.model, None, Charge.MAYBE, True) == (
            offer.alias,
            offer.output,
            offer.failure_charge,
            offer.verified,
        )
    assert ("1K", "2K", "4K") == pro.limits.text.tiers
    assert {("1K", "2K")} == {
        standard.limits.text.tiers,
        pro.limits.edit.tiers,
        pro.limits.set.tiers,
    }


def test_creates_and_polls_share_fifty_requests_a_minute() -> None:
    """All keys of an account together."""
    rates = LABS.offers[0].limits.rates

    assert rates.creates is not None
    assert rates.polls is not None
    assert 50 == pytest.approx(60 * (rates.creates + rates.polls))
    assert (3.0, 10.0) == (LABS.poll_interval.first, LABS.poll_interval.most)


@pytest.mark.parametrize(("model", "amount"), [("wan2.7-image", "0.06"), (PRO, "0.15")])
def test_each_delivered_image_is_billed(model: str, amount: str) -> None:
    """A set bills only what was produced."""
    series = evolve(HERON, model=model, sequential=True, n=5, size=Size(resolution="1K"))

    cost = PriceBook.builtin().cost("empiriolabs", series, delivered=2)

    assert Money(Decimal(amount), "USD") == cost
