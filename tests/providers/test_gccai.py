"""What is peculiar to GCCAI: two envelopes, ids in a list, nested links, a bill by what came.

Replies are written from GCCAI's Wan page and, for what that does not show, from the pages and the
client of APIMart, its twin; read 2026-11-20.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.steps import Done, Missing, ModelInfo, Op, Pending, Resend
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
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.money.price_book import PriceBook
from wanbridge.pictures.headers import data_bytes
from wanbridge.providers.gccai import Gccai
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
DAY = timedelta(hours=24)
TASK = "task_01KX0000000000000000000001"
LINKS = tuple(f"https://upload.example.org/f/image/task_01KX_{i}.png" for i in range(3))
PRO = "wan2.7-image-pro"

GCCAI = Gccai(api_key="sk-live_secret")
FOX = ImageRequest("a fox crossing a river")
DUO = tuple(InputImage(f"https://pictures.example.com/{name}") for name in ("cup.png", "tray.png"))
PALETTE = (
    PaletteColor("#102030", "50"),
    PaletteColor("#A0B0C0", "33.4"),
    PaletteColor("#ffeedd", "16.60"),
)
COLORS = [
    {"hex": "#102030", "ratio": "50.00%"},
    {"hex": "#A0B0C0", "ratio": "33.40%"},
    {"hex": "#FFEEDD", "ratio": "16.60%"},
]
JOB = Job(
    provider="gccai",
    account="gccai",
    base_url="https://gccai.heqingsong.uk/v1",
    id=TASK,
    request=FOX,
    submitted_at=NOW,
    key="k",
    collect_by=NOW + DAY,
)


def sent(request: ImageRequest, adapter: Gccai = GCCAI, *, key: str = "k", **options: Any) -> Any:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key=key)


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def task(status: Any, **more: Any) -> HttpResponse:
    known = {"id": TASK, "status": status, "progress": 45, "created": 1795000000}
    return reply({"code": 200, "data": {**known, "estimated_time": 60, **more}})


def pictures(*urls: Any, **more: Any) -> dict[str, Any]:
    return {"images": [{"url": url, **more} for url in urls]}


def failed(response: HttpResponse, op: Op = Op.POLL, job: Job | None = JOB) -> ProviderError:
    error = GCCAI.failure(response, op=op, job=job)
    assert error is not None
    return error


# -- the request -------------------------------------------------------------------------


def test_a_submit_is_one_flat_object() -> None:
    """The key goes along, since the twin honours it; nothing relies on that."""
    message = sent(FOX)

    assert message == HttpRequest(
        method="POST",
        url="https://gccai.heqingsong.uk/v1/images/generations",
        headers={
            "Authorization": "Bearer sk-live_secret",
            "Idempotency-Key": "k",
            "Content-Type": "application/json",
        },
        body=message.body,
    )
    assert Resend.NEVER is GCCAI.resend


@pytest.mark.parametrize("key", ["", "two words", "k" * 192, "schlüssel", "a\nb"])
def test_a_key_that_the_header_cannot_carry_goes_as_its_digest(key: str) -> None:
    """1-191 visible ASCII characters."""
    digest = hashlib.sha256(key.encode()).hexdigest()

    assert digest == sent(FOX, key=key).header("idempotency-key")


def test_the_key_is_in_no_repr() -> None:
    """Reprs end up in logs."""
    assert "secret" not in repr([GCCAI, sent(FOX), GCCAI.poll(JOB), next(GCCAI.balance())])


def test_without_a_key_the_setting_is_named() -> None:
    """Tables and quotes need no key, a call does."""
    with pytest.raises(MissingCredentials, match="GCCAI_API_KEY"):
        sent(FOX, Gccai())


MINIMAL = {
    "model": "wan2.7-image",
    "prompt": "a fox crossing a river",
    "n": 1,
    "size": "1:1",
    "resolution": "2K",
    "watermark": False,
    "thinking_mode": True,
    "enable_sequential": False,
}
SET = {k: v for k, v in MINIMAL.items() if k != "thinking_mode"} | {"enable_sequential": True}
ORDER = [
    *("model", "prompt", "image_urls", "n", "size", "resolution", "negative_prompt", "watermark"),
    *("seed", "thinking_mode", "enable_sequential", "bbox_list", "color_palette"),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, MINIMAL, id="minimal"),
        pytest.param(
            {"thinking": False, "size": "4:3@1K", "n": 3, "seed": 0},
            {
                **MINIMAL,
                "n": 3,
                "size": "4:3",
                "resolution": "1K",
                "seed": 0,
                "thinking_mode": False,
            },
            id="fast-draft",
        ),
        pytest.param(
            {"negative_prompt": "blurry", "watermark": True, "size": "9:16"},
            {**MINIMAL, "size": "9:16", "negative_prompt": "blurry", "watermark": True},
            id="negative-watermark",
        ),
        pytest.param(
            {"model": PRO, "size": "16:9@4K", "n": 2, "thinking": True},
            {**MINIMAL, "model": PRO, "n": 2, "size": "16:9", "resolution": "4K"},
            id="print-4k",
        ),
        pytest.param(
            {"size": "1536x1024", "seed": 2147483647, "color_palette": PALETTE},
            {
                **{k: v for k, v in MINIMAL.items() if k != "resolution"},
                "size": "1536x1024",
                "seed": 2147483647,
                "color_palette": COLORS,
            },
            id="pixels-palette",
        ),
        pytest.param(
            {"model": PRO, "sequential": True, "n": 12, "size": "3:2@2K"},
            {**SET, "model": PRO, "n": 12, "size": "3:2"},
            id="sequential",
        ),
    ],
)
def test_a_request_without_images(fields: dict[str, Any], expected: Any) -> None:
    """GCCAI's words in its page's order; defaults that it does not state are sent."""
    body = sent(evolve(FOX, **fields)).json()

    assert expected == body
    assert [key for key in ORDER if key in body] == list(body)


EDIT = {
    "model": "wan2.7-image",
    "prompt": "a fox crossing a river",
    "image_urls": [
        "https://pictures.example.com/cup.png",
        "https://pictures.example.com/tray.png",
    ],
    "n": 1,
    "size": "2K",
    "watermark": False,
    "enable_sequential": False,
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"images": DUO}, EDIT, id="two-references"),
        pytest.param(
            {"images": DUO, "seed": 5, "color_palette": PALETTE, "negative_prompt": "blur"},
            {**EDIT, "negative_prompt": "blur", "seed": 5, "color_palette": COLORS},
            id="palette",
        ),
        pytest.param(
            {"images": (DUO[0], evolve(DUO[1], regions=[(9, 5, 90, 80), (0, 0, 9, 9)]))},
            {**EDIT, "bbox_list": [[], [[9, 5, 90, 80], [0, 0, 9, 9]]]},
            id="second-image-boxed",
        ),
        pytest.param(
            {"images": DUO, "sequential": True, "n": 5},
            {**EDIT, "n": 5, "enable_sequential": True},
            id="set-with-references",
        ),
        pytest.param(
            {"images": DUO, "prompt": ""},
            {key: value for key, value in EDIT.items() if key != "prompt"},
            id="no-prompt",
        ),
    ],
)
def test_a_request_with_images(fields: dict[str, Any], expected: Any) -> None:
    """Their presence is the mode; thinking has no effect and is not sent."""
    body = sent(evolve(FOX, **fields)).json()

    assert expected == body
    assert [key for key in ORDER if key in body] == list(body)


@pytest.mark.parametrize(
    ("size", "images", "sequential", "expected"),
    [
        ("1K", (), False, ("1:1", "1K")),
        *((ratio, (), False, (ratio, "2K")) for ratio in ("1:1", "16:9", "9:16", "4:3")),
        *((ratio, (), False, (ratio, "2K")) for ratio in ("3:4", "3:2", "2:3")),
        ("16:9@1K", (), True, ("16:9", "1K")),
        ("21:9", (), False, ("3104x1328", None)),
        ("1024*768", (), False, ("1024x768", None)),
        ("1K", DUO, False, ("1K", None)),
        ("1K", DUO, True, ("1K", None)),
        ("16:9", DUO, False, ("2704x1520", None)),
        ("1024x768", DUO, False, ("1024x768", None)),
    ],
)
def test_a_size_has_one_tier_at_most(
    size: str, images: tuple[InputImage, ...], sequential: bool, expected: Any
) -> None:
    """What two of them would mean is not stated; a ratio word has no effect with images."""
    body = sent(evolve(FOX, size=size, images=images, sequential=sequential)).json()

    assert expected == (body.get("size"), body.get("resolution"))


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00\x00\x02\x00" * 2


def data_uri(count: int) -> str:
    """A picture of so many bytes, a multiple of three."""
    return f"data:image/png;base64,{b64encode(PNG).decode()}{'A' * ((count - len(PNG)) // 3 * 4)}"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"callback_url": "https://app.example.com/hook"}, "callback_url"),
        ({"output_format": "png"}, "output_format"),
        ({"size": "4K"}, "size"),
        ({"model": PRO, "size": "4K", "images": DUO}, "size"),
        ({"model": PRO, "size": "16:9@4K", "sequential": True}, "size"),
        ({"size": "2049x2048"}, "size"),
        ({"size": "767x768"}, "size"),
        ({"size": "9:1"}, "size"),
        ({"images": ("oss://dashscope-instant/a/b.png",)}, "images"),
        ({"images": (data_uri(20_000_004),)}, "images"),
        ({"images": ("data:image/gif;base64,R0lGODlhAAIAAgAAAAAAAAAAAAAAAAAA",)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", width=239, height=400),)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", width=8001, height=4000),)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", width=2161, height=270),)}, "images"),
        ({"images": (data_uri(10_000_002),) * 2}, "images"),
        ({"sequential": True, "color_palette": PALETTE}, "color_palette"),
        ({"sequential": True, "images": (evolve(DUO[0], regions=[(0, 0, 9, 9)]),)}, "regions"),
    ],
)
def test_what_gccai_cannot_say_is_refused_unsent(fields: dict[str, Any], field: str) -> None:
    """It calls nobody back, and says nothing of formats."""
    with pytest.raises(UnsupportedFeature) as caught:
        fit(GCCAI, evolve(FOX, **fields)).settle()

    assert ("gccai", field) == (caught.value.provider, caught.value.field)


def test_inline_images_are_taken_up_to_a_body_that_can_be_sent() -> None:
    """Unlike reAPI; the cap is a limit, so it can be waived."""
    small, large = data_uri(9_999_999), data_uri(10_000_002)

    assert (10_000_002, 512) == (data_bytes(large), InputImage.from_bytes(PNG).width)

    assert [small, small] == sent(evolve(FOX, images=(small,) * 2)).json()["image_urls"]
    assert sent(evolve(FOX, images=(large,) * 2), check_limits=False).body
    assert sent(evolve(FOX, images=("http://pictures.example.com/a.png",))).body


def test_a_ref_cannot_be_said_even_unchecked() -> None:
    """An image that is left out silently would be another picture."""
    images = (InputImage(ref={"runware": "abc"}),)

    with pytest.raises(UnsupportedFeature, match="give a URL"):
        sent(evolve(FOX, images=images), check_limits=False)
    with pytest.raises(UnsupportedFeature, match="give a URL"):
        GCCAI.submit(evolve(FOX, images=images), GCCAI.offers[0], key="k")


def test_extras_join_the_root() -> None:
    """Also values that we would leave out ourselves, and those of no other provider."""
    extra: dict[str, Any] = {"gccai": {"style": None, "quality": 3}, "reapi": {"x": True}}

    expected = {**MINIMAL, "style": None, "quality": 3}
    assert expected == sent(evolve(FOX, extra=extra)).json()


@pytest.mark.parametrize("taken", ORDER)
def test_an_extra_of_our_own_is_refused(taken: str) -> None:
    """Two places for one fact."""
    with pytest.raises(InvalidRequest, match=taken):
        sent(evolve(FOX, extra={"gccai": {taken: 1}}))


# -- submitted ---------------------------------------------------------------------------

SHAPE_A = {
    "code": "success",
    "message": "",
    "data": [{"task_id": TASK, "status": "processing"}],
}
SHAPE_B = {"code": 200, "data": [{"status": "submitted", "task_id": TASK}]}
SHAPE_C = {
    "request_id": "req-abc",
    "data": {"object": "generation.task", "id": TASK, "status": "pending"},
}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(SHAPE_A, id="A"),
        pytest.param(SHAPE_B, id="B"),
        pytest.param(SHAPE_C, id="C"),
        {**SHAPE_B, "code": "200"},
        {**SHAPE_B, "data": SHAPE_B["data"][0]},  # type: ignore[index]
        {"code": 200, "data": [{"id": TASK, "status": "failed"}]},
        {**SHAPE_B, "error": {"code": 500, "message": "but accepted"}},
    ],
)
def test_submit_shapes_a_b_and_c_are_all_accepted(body: Any) -> None:
    """``data`` is a list or an object, the id ``task_id`` or ``id``, good "success" or 200."""
    assert GCCAI.failure(reply(body), op=Op.SUBMIT) is None
    assert Pending(JOB) == GCCAI.read_submission(reply(body), FOX, key="k")


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "data": []},
        {"code": 200, "data": None},
        {"code": 200, "data": [{}]},
        {"code": 200, "data": [{"task_id": ""}]},
        {"code": 200, "data": [{"task_id": 5}]},
        {"code": 200, "data": [{"task_id": "täsk"}]},
        {"code": 200},
        {"task_id": TASK},
        [],
        b"",
        b"<html>busy</html>",
    ],
)
def test_a_submit_without_an_id_is_malformed_and_perhaps_charged(body: Any) -> None:
    """Its outcome is unknown, not failed."""
    assert GCCAI.failure(reply(body), op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse) as caught:
        GCCAI.read_submission(reply(body), FOX, key="k")

    assert Charge.MAYBE == caught.value.charge


@pytest.mark.parametrize(
    ("body", "cls", "code", "charge"),
    [
        ({"code": 402, "message": "m"}, CreditExhausted, "402", Charge.NO),
        ({"code": "402", "message": "m"}, CreditExhausted, "402", Charge.NO),
        ({"error": {"code": 401, "message": "m"}}, AuthenticationFailed, "401", Charge.NO),
        ({"error": {"code": "429", "message": "m"}}, RateLimited, "429", Charge.NO),
        (
            {"error": {"type": "bad_gateway", "message": "m"}},
            ProviderUnavailable,
            "bad_gateway",
            Charge.MAYBE,
        ),
        ({"code": 500, "message": "m"}, ProviderUnavailable, "500", Charge.MAYBE),
        ({"code": "fail", "message": "m", "data": None}, ProviderUnavailable, "fail", Charge.MAYBE),
        ({"error": "m"}, ProviderUnavailable, None, Charge.MAYBE),
        ({"success": False, "message": "m"}, ProviderUnavailable, None, Charge.MAYBE),
        ({"success": False, "code": 200, "message": "m"}, ProviderUnavailable, None, Charge.MAYBE),
    ],
)
def test_a_failure_inside_a_200_is_a_failure(body: Any, cls: Any, code: Any, charge: Any) -> None:
    """A root error, a code that is neither 200 nor "success", or success false, in this order."""
    error = failed(reply(body), Op.SUBMIT, None)

    assert (cls, code, "m", None, charge, False) == (
        type(error),
        error.code,
        error.message,
        error.status,
        error.charge,
        error.final,
    )


# -- polled ------------------------------------------------------------------------------


def test_a_task_is_polled_in_english_where_it_was_made() -> None:
    """So that messages are stable; the id is only data."""
    job = evolve(JOB, base_url="http://localhost:8080/v1", id="a/b?c")

    assert GCCAI.poll(job) == HttpRequest(
        method="GET",
        url="http://localhost:8080/v1/tasks/a%2Fb%3Fc?language=en",
        headers={"Authorization": "Bearer sk-live_secret"},
    )


@pytest.mark.parametrize(
    ("progress", "expected"), [(0, 0.0), (45, 0.45), (100.0, 1.0), (150, 1.0), (-1, 0.0)]
)
@pytest.mark.parametrize("status", ["pending", "processing", "submitted", "in_progress", "dream"])
def test_any_other_status_is_work_in_progress(status: str, progress: Any, expected: float) -> None:
    """The deadline ends what no page knows."""
    running = evolve(task(status, progress=progress), headers={"Retry-After": "4"})

    assert GCCAI.failure(running, op=Op.POLL, job=JOB) is None
    assert Pending(JOB, 4.0, expected) == GCCAI.read_poll(running, JOB)


def test_an_unreadable_progress_costs_no_picture() -> None:
    """Nor does any other field beside status and links."""
    assert Pending(JOB) == GCCAI.read_poll(task("processing", progress="half"), JOB)

    odd = task("completed", result=pictures(LINKS[0], expires_at="x"), completed="y", progress=[])
    step = GCCAI.read_poll(odd, JOB)

    assert isinstance(step, Done)
    assert (Image(url=LINKS[0], expires_at=NOW + DAY),) == step.delivery.images
    assert {"$.data.completed", "$.data.progress", "$.data.result.images[0].expires_at"} == {
        note.field for note in step.delivery.notes
    }


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(pictures(*([url] for url in LINKS)), id="n-objects"),
        pytest.param(pictures(list(LINKS)), id="one-object"),
        pytest.param(pictures(*LINKS), id="strings"),
        pytest.param(pictures([LINKS[0]], None, LINKS[1], [], ["", LINKS[2]], ""), id="gaps"),
    ],
)
def test_links_are_flattened_in_their_order(result: Any) -> None:
    """``url`` is a list now and was a string; how n pictures are spread is not stated."""
    done = task("completed", result=result, completed=1795000041, cost=0.055, credits_cost=5.5)

    assert GCCAI.failure(done, op=Op.POLL, job=JOB) is None
    step = GCCAI.read_poll(done, JOB)

    assert isinstance(step, Done)
    assert LINKS == tuple(image.url for image in step.delivery.images)
    assert {datetime.fromtimestamp(1795000041, UTC) + DAY} == {
        image.expires_at for image in step.delivery.images
    }
    assert done.json() == step.delivery.raw


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (1795086441, datetime.fromtimestamp(1795086441, UTC)),
        (None, NOW + DAY),
        (0, NOW + DAY),
        (1795086441000, NOW + DAY),
        (-5, NOW + DAY),
    ],
)
def test_a_links_end_is_what_is_said_else_a_day(told: Any, expected: datetime) -> None:
    """72 h in the twin's newest text; milliseconds would be in another age."""
    step = GCCAI.read_poll(task("completed", result=pictures(LINKS[0], expires_at=told)), JOB)

    assert isinstance(step, Done)
    assert expected == step.delivery.images[0].expires_at


@pytest.mark.parametrize(("model", "price"), [("wan2.7-image", "0.4"), (PRO, "1.0")])
def test_the_cost_is_by_what_came_and_never_the_cost_field(model: str, price: str) -> None:
    """Held for n, billed for what was made, in yuan; the field's currency is nowhere stated."""
    done = task("completed", result=pictures(*LINKS[:2]), cost=0.055, credits_cost=5.5)
    asked = evolve(FOX, model=model, n=4)
    step = GCCAI.read_poll(done, evolve(JOB, request=asked))

    assert isinstance(step, Done)
    assert (None, None) == (step.delivery.cost, step.delivery.billed)
    assert Money(price, "CNY") == PriceBook.builtin().cost("gccai", asked, delivered=2)


@pytest.mark.parametrize(
    "result", [None, {}, {"images": None}, {"images": []}, pictures([]), pictures(None, "")]
)
def test_completed_without_a_link_is_the_end_and_perhaps_charged(result: Any) -> None:
    """Zero pictures are a failure."""
    error = failed(task("completed", result=result))

    assert (GenerationFailed, Charge.MAYBE, True, JOB) == (
        type(error),
        error.charge,
        error.final,
        error.job,
    )


@pytest.mark.parametrize("status", ["failed", "error"])
@pytest.mark.parametrize(
    ("more", "cls", "code", "message"),
    [
        (
            {"error": {"code": 400, "message": "the prompt was refused", "type": "upstream_error"}},
            RequestRejected,
            "400",
            "the prompt was refused",
        ),
        ({"error": {"code": 500, "message": "m"}}, GenerationFailed, "500", "m"),
        ({"error": {"message": "m", "type": "t"}}, GenerationFailed, "t", "m"),
        (
            {"error": {"code": "400", "message": "m", "param": "seed"}},
            RequestRejected,
            "400",
            "seed: m",
        ),
        ({"error": "m"}, GenerationFailed, None, "m"),
        ({"message": "m"}, GenerationFailed, None, "m"),
        ({"error": {}, "message": "m", "result": ""}, GenerationFailed, None, "m"),
        ({}, GenerationFailed, None, "no explanation"),
    ],
)
def test_a_failed_task_is_free_and_may_explain_itself_in_any_way(
    status: str, more: Any, cls: Any, code: Any, message: str
) -> None:
    """ "Failed requests are not charged"; HTTP 200, code 200, and the error in ``data``."""
    error = failed(task(status, **more))

    assert (cls, code, message, None, Charge.NO, True, JOB) == (
        type(error),
        error.code,
        error.message,
        error.status,
        error.charge,
        error.final,
        error.job,
    )


@pytest.mark.parametrize("status", ["cancelled", "canceled"])
def test_a_cancelled_task_stops_and_may_have_cost(status: str) -> None:
    """The twin has such a state; nobody says what it costs."""
    assert GCCAI.failure(task(status), op=Op.POLL, job=JOB) is None
    with pytest.raises(JobCancelled) as caught:
        GCCAI.read_poll(task(status), JOB)

    assert (Charge.MAYBE, JOB) == (caught.value.charge, caught.value.job)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_picture_is_worth_more_than_a_word(status: str) -> None:
    """At least one picture came, so it is no failure."""
    odd = task(status, result=pictures(LINKS[:1]), error={"code": 400})

    assert GCCAI.failure(odd, op=Op.POLL, job=JOB) is None
    assert isinstance(GCCAI.read_poll(odd, JOB), Done)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 404, "message": "task not found"}}, 404),
        ({"code": 404, "message": "task not found"}, 404),
        ({"code": 404, "message": "task not found"}, 200),
        ({"code": "404", "message": "task not found", "data": None}, 200),
        ({"error": {"code": 404, "message": "task not found"}}, 200),
    ],
)
def test_an_unknown_task_is_missing_at_404_and_inside_a_200(body: Any, status: int) -> None:
    """Unknown or past its retention; which of the two shapes is not documented."""
    response = reply(body, status)

    assert GCCAI.failure(response, op=Op.POLL, job=JOB) is None
    assert isinstance(GCCAI.read_poll(response, JOB), Missing)


@pytest.mark.parametrize(
    "body", [b"<html>not here</html>", b"", {"ok": False}, [], {"message": "no route matched"}]
)
def test_a_404_from_an_edge_says_nothing_of_the_task(body: Any) -> None:
    """API and website share a host; an outage must not turn a paid task into a lost one."""
    assert not failed(reply(body, 404)).final


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"code": 200, "data": {"id": TASK}}, r"\$\.data\.status: missing"),
        ({"code": 200, "data": {"id": TASK, "status": 1}}, r"\$\.data\.status"),
        ({"code": 200, "data": {"status": "completed", "result": []}}, r"\$\.data\.result"),
        (
            {"code": 200, "data": {"status": "completed", "result": pictures(5)}},
            r"images\[0\]\.url",
        ),
        ({"code": 200, "data": []}, r"\$\.data"),
        ({"code": 200}, r"\$\.data: missing"),
        ([], "expected object"),
        (b"{", "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_place(body: Any, path: str) -> None:
    """Polling goes on; no code of ours has to guess."""
    assert GCCAI.failure(reply(body), op=Op.POLL, job=JOB) is None
    with pytest.raises(MalformedResponse, match=path):
        GCCAI.read_poll(reply(body), JOB)


# -- refused -----------------------------------------------------------------------------

REFUSALS: list[tuple[int, str, type[ProviderError]]] = [
    (400, "invalid_request_error", RequestRejected),
    (401, "authentication_error", AuthenticationFailed),
    (402, "payment_required", CreditExhausted),
    (403, "permission_error", AuthenticationFailed),
    (404, "not_found", RequestRejected),
    (413, "too_large", RequestRejected),
    (429, "rate_limit_error", RateLimited),
]
TROUBLES: list[tuple[int, str, type[ProviderError]]] = [
    (408, "timeout", ProviderUnavailable),
    (500, "server_error", ProviderUnavailable),
    (502, "bad_gateway", ProviderUnavailable),
    (503, "unavailable", ProviderUnavailable),
    (504, "timeout", ProviderUnavailable),
]


def refusal(code: int, kind: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "made up", "type": kind}, "request_id": "req-1"}


@pytest.mark.parametrize(("status", "kind", "cls"), REFUSALS)
def test_a_refused_submit_costs_nothing(status: int, kind: str, cls: Any) -> None:
    """ "Failed requests are not charged", as far as the service itself has judged."""
    error = failed(reply(refusal(status, kind), status, {"Retry-After": "7"}), Op.SUBMIT, None)

    assert (cls, Charge.NO, status, str(status), "req-1", 7.0, False) == (
        type(error),
        error.charge,
        error.status,
        error.code,
        error.request_id,
        error.retry_after,
        error.final,
    )


@pytest.mark.parametrize(("status", "kind", "cls"), TROUBLES)
def test_a_submit_that_the_service_stumbled_over_may_be_charged(
    status: int, kind: str, cls: Any
) -> None:
    """The reply may be from in front of a service that works on."""
    error = failed(reply(refusal(status, kind), status), Op.SUBMIT, None)

    assert (cls, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(("status", "kind", "cls"), [r for r in REFUSALS if r[0] != 404] + TROUBLES)
def test_a_refused_poll_says_nothing_of_the_task(status: int, kind: str, cls: Any) -> None:
    """On a 429 the task is still running; inside a 200 it is the same."""
    for response in (reply(refusal(status, kind), status), reply(refusal(status, kind))):
        error = failed(response)

        assert (cls, Charge.MAYBE, False, JOB) == (
            type(error),
            error.charge,
            error.final,
            error.job,
        )


@pytest.mark.parametrize(
    ("status", "body", "cls", "charge"),
    [
        (429, {**refusal(429, "x"), "data": [{"task_id": TASK}]}, RateLimited, Charge.MAYBE),
        (400, {"error": "bad size"}, RequestRejected, Charge.NO),
        (401, {"success": False, "message": "no key"}, AuthenticationFailed, Charge.NO),
        (402, {"message": "balance too low"}, CreditExhausted, Charge.NO),
        (403, b"<html>Just a moment...</html>", ProviderUnavailable, Charge.NO),
        (429, b"slow down", RateLimited, Charge.MAYBE),
        (400, {"error": None}, RequestRejected, Charge.MAYBE),
        (302, b"", ProviderUnavailable, Charge.MAYBE),
        (502, b"<html>bad gateway</html>", ProviderUnavailable, Charge.MAYBE),
    ],
)
def test_what_names_a_task_or_cannot_be_read_may_be_charged(
    status: int, body: Any, cls: Any, charge: Charge
) -> None:
    """A 403 page is a block in front of the service, not a wrong key."""
    error = failed(reply(body, status), Op.SUBMIT, None)

    assert (cls, charge) == (type(error), error.charge)


# -- balance and models ------------------------------------------------------------------


def asked(exchange: Any, **answers: Any) -> Any:
    """What comes of a conversation; *answers* are by the last part of the path."""
    message = next(exchange)
    while True:
        assert {"Authorization": "Bearer sk-live_secret"} == dict(message.headers)
        path = message.url.removeprefix("https://gccai.heqingsong.uk/v1/").replace("/", "_")
        answer = answers.pop(path)
        try:
            message = exchange.send(answer if isinstance(answer, HttpResponse) else reply(answer))
        except StopIteration as stop:
            assert {} == answers
            return stop.value


KEY = {"success": True, "remain_balance": 41.37, "used_balance": 8.63, "unlimited_quota": False}
UNLIMITED = {"success": True, "remain_balance": -1, "unlimited_quota": True}


def test_the_balance_is_exact_and_in_a_unit_that_nobody_states() -> None:
    """Dollars, yuan or tokens, as the operator likes."""
    assert Money("41.37", "GCCAI-CREDITS") == asked(GCCAI.balance(), balance=KEY)
    renamed = {"success": True, "message": "ok", "remain_credits": 7}
    assert Money("7", "GCCAI-CREDITS") == asked(GCCAI.balance(), balance=renamed)


@pytest.mark.parametrize(
    "unlimited", [UNLIMITED, {"remain_balance": -1}, {"unlimited_quota": True}]
)
def test_a_key_without_a_limit_has_the_accounts(unlimited: Any) -> None:
    """-1 is no balance."""
    left = asked(GCCAI.balance(), balance=unlimited, user_balance=KEY)

    assert Money("41.37", "GCCAI-CREDITS") == left
    with pytest.raises(UnsupportedFeature, match="limited"):
        asked(GCCAI.balance(), balance=unlimited, user_balance=UNLIMITED)


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply({"success": False, "message": "no authorization header"}), ProviderUnavailable),
        (
            reply({"success": False, "message": "no authorization header"}, 401),
            AuthenticationFailed,
        ),
        (reply(refusal(500, "server_error"), 500), ProviderUnavailable),
        (reply({"success": True}), MalformedResponse),
        (reply({"remain_balance": [41]}), MalformedResponse),
        (reply(b"41.37"), MalformedResponse),
    ],
)
def test_a_balance_that_cannot_be_had_is_an_error(answer: Any, cls: Any) -> None:
    """Never a float, never a guess."""
    with pytest.raises(cls):
        asked(GCCAI.balance(), balance=answer)


def test_models_are_listed_by_id() -> None:
    """As the twin lists them."""
    listed = {"object": "list", "data": [{"id": "wan2.7-image"}, {"id": PRO, "owned_by": "x"}]}
    expected = (
        ModelInfo(id="wan2.7-image", raw={"id": "wan2.7-image"}),
        ModelInfo(id=PRO, raw={"id": PRO, "owned_by": "x"}),
    )

    assert expected == asked(GCCAI.models(), models=listed)
    broken: Any
    for broken in ({"data": None}, {"data": [{}]}, []):
        with pytest.raises(MalformedResponse):
            asked(GCCAI.models(), models=broken)


# -- what it sells -----------------------------------------------------------------------


def test_both_models_are_sold_with_free_failures() -> None:
    """What format comes is not documented, nor how many a second."""
    expected = [
        (model, model, None, Charge.NO, True) for model in ("wan2.7-image", "wan2.7-image-pro")
    ]
    assert expected == [
        (o.model, o.alias, o.output, o.failure_charge, o.verified) for o in GCCAI.offers
    ]
    for conversation in (GCCAI.cancel(JOB), GCCAI.refresh(JOB)):
        with pytest.raises(UnsupportedFeature):
            next(conversation)
