"""What is peculiar to reAPI: words and pixels in one field, numbers for codes, credits at once.

Replies are written from https://reapi.ai/docs/wan-2-7-image and https://reapi.ai/docs/api, read
2026-11-20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.steps import Done, Missing, Op, Pending, Resend, StillUnknown
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ContentRefused,
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
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.providers.reapi import ReApi
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TASK = "task_5d0f3b7c9e1a42688b06d4c2f1e7a935"
LINKS = tuple(f"https://cdn.reapi.ai/media/tasks/5d0f/{i}.png" for i in range(3))
PRO = "wan2.7-image-pro"

REAPI = ReApi(api_key="rk_live_secret")
OWL = ImageRequest("an owl made of folded maps")
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
    provider="reapi",
    account="reapi",
    base_url="https://reapi.ai/api/v1",
    id=TASK,
    request=OWL,
    submitted_at=NOW,
    key="k",
)


def sent(request: ImageRequest, adapter: ReApi = REAPI, **options: Any) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key="k")


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def task(status: Any, **more: Any) -> HttpResponse:
    known = {"id": TASK, "model": "wan2.7-image", "status": status, "created_at": 1795000100}
    return reply({**known, "output": None, "error": None, **more})


def refusal(code: int = 20002) -> dict[str, Any]:
    return {"error": {"code": code, "message": "made up", "request_id": "req_1"}}


def failed(response: HttpResponse, op: Op = Op.POLL, job: Job | None = JOB) -> ProviderError:
    error = REAPI.failure(response, op=op, job=job)
    assert error is not None
    return error


# -- the request -------------------------------------------------------------------------


def test_a_submit_is_one_flat_object() -> None:
    """No key of ours on the wire: Idempotency-Key is taken and not acted on."""
    message = sent(OWL)

    assert message == HttpRequest(
        method="POST",
        url="https://reapi.ai/api/v1/images/generations",
        headers={"Authorization": "Bearer rk_live_secret", "Content-Type": "application/json"},
        body=message.body,
    )
    assert Resend.NEVER is REAPI.resend


def test_the_key_is_in_no_repr() -> None:
    """Reprs end up in logs."""
    assert "secret" not in repr([REAPI, sent(OWL), REAPI.poll(JOB)])


def test_without_a_key_the_setting_is_named() -> None:
    """Tables and quotes need no key, a call does."""
    with pytest.raises(MissingCredentials, match="REAPI_API_KEY"):
        sent(OWL, ReApi())


MINIMAL = {
    "model": "wan2.7-image",
    "prompt": "an owl made of folded maps",
    "n": 1,
    "size": "1:1",
    "resolution": "2K",
    "watermark": False,
    "thinking_mode": True,
}


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
                "model": "wan2.7-image",
                "prompt": "an owl made of folded maps",
                "n": 1,
                "size": "1536x1024",
                "watermark": False,
                "seed": 2147483647,
                "thinking_mode": True,
                "color_palette": COLORS,
            },
            id="wide-palette",
        ),
        pytest.param(
            {"model": PRO, "sequential": True, "n": 12, "size": "3:2@2K"},
            {
                "model": PRO,
                "prompt": "an owl made of folded maps",
                "n": 12,
                "size": "3:2",
                "resolution": "2K",
                "watermark": False,
                "enable_sequential": True,
            },
            id="sequential",
        ),
    ],
)
def test_a_request_without_images(fields: dict[str, Any], expected: Any) -> None:
    """reAPI's words in its page's order; what is not said is not there."""
    body = sent(evolve(OWL, **fields)).json()

    assert expected == body
    assert [key for key in ORDER if key in body] == list(body)


ORDER = [
    *("model", "prompt", "image_urls", "n", "size", "resolution", "negative_prompt", "watermark"),
    *("seed", "thinking_mode", "enable_sequential", "bbox_list", "color_palette"),
]
EDIT = {
    "model": "wan2.7-image",
    "prompt": "an owl made of folded maps",
    "image_urls": [
        "https://pictures.example.com/cup.png",
        "https://pictures.example.com/tray.png",
    ],
    "n": 1,
    "resolution": "2K",
    "watermark": False,
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"images": DUO}, EDIT, id="two-references"),
        pytest.param(
            {"images": DUO, "seed": 5, "color_palette": PALETTE},
            {**EDIT, "seed": 5, "color_palette": COLORS},
            id="palette",
        ),
        pytest.param(
            {"images": (DUO[0], evolve(DUO[1], regions=[(9, 5, 90, 80)]))},
            {**EDIT, "bbox_list": [[], [[9, 5, 90, 80]]]},
            id="second-image-boxed",
        ),
        pytest.param(
            {"images": (evolve(DUO[0], regions=[(0, 0, 9, 9), (20, 0, 30, 9)]), DUO[1])},
            {**EDIT, "bbox_list": [[[0, 0, 9, 9], [20, 0, 30, 9]], []]},
            id="two-regions",
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
    body = sent(evolve(OWL, **fields)).json()

    assert expected == body
    assert [key for key in ORDER if key in body] == list(body)


def test_nine_references_stay_in_order() -> None:
    """The prompt numbers them, and the last one decides on the shape."""
    images = [f"https://pictures.example.com/{i}.jpg" for i in range(9)]

    assert images == sent(evolve(OWL, images=images)).json()["image_urls"]


@pytest.mark.parametrize(
    ("size", "images", "sequential", "expected"),
    [
        ("1K", (), False, ("1:1", "1K")),
        *((ratio, (), False, (ratio, "2K")) for ratio in ("1:1", "16:9", "9:16", "4:3")),
        *((ratio, (), False, (ratio, "2K")) for ratio in ("3:4", "3:2", "2:3")),
        ("16:9@1K", (), True, ("16:9", "1K")),
        ("21:9", (), False, ("3104x1328", None)),
        ("5:4", (), True, ("2240x1792", None)),
        ("1024*768", (), False, ("1024x768", None)),
        ("1K", DUO, False, (None, "1K")),
        ("1K", DUO, True, (None, "1K")),
        ("16:9", DUO, False, ("2704x1520", None)),
        ("1:1@1K", DUO, True, ("1024x1024", None)),
        ("1024x768", DUO, False, ("1024x768", None)),
    ],
)
def test_a_size_is_a_word_where_it_counts_and_pixels_elsewhere(
    size: str, images: tuple[InputImage, ...], sequential: bool, expected: Any
) -> None:
    """A ratio word has no effect with images; two words for one size are never sent."""
    asked = evolve(OWL, size=size, images=images, sequential=sequential)
    body = sent(asked).json()
    pixels = REAPI.pixels(asked, REAPI.offer(OWL.model))

    assert expected == (body.get("size"), body.get("resolution"))
    assert ("x" in (expected[0] or "")) == (pixels is not None)


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
        ({"images": ("http://pictures.example.com/a.png",)}, "images"),
        ({"images": ("data:image/png;base64,iVBORw0KGgo=",)}, "images"),
        ({"images": ("oss://dashscope-instant/a/b.png",)}, "images"),
        ({"sequential": True, "color_palette": PALETTE}, "color_palette"),
        ({"sequential": True, "images": (evolve(DUO[0], regions=[(0, 0, 9, 9)]),)}, "regions"),
    ],
)
def test_what_reapi_cannot_say_is_refused_unsent(fields: dict[str, Any], field: str) -> None:
    """Some of it reAPI would accept, charge and fail."""
    with pytest.raises(UnsupportedFeature) as caught:
        fit(REAPI, evolve(OWL, **fields)).settle()

    assert ("reapi", field) == (caught.value.provider, caught.value.field)


def test_a_ref_cannot_be_said_even_unchecked() -> None:
    """An image that is left out silently would be another picture."""
    with pytest.raises(UnsupportedFeature, match="give a URL"):
        sent(evolve(OWL, images=(InputImage(ref={"runware": "abc"}),)), check_limits=False)


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"inline": True}, "adapted"),
        ({"thinking": True, "images": DUO}, "ignored"),
        ({"thinking": False, "sequential": True}, "ignored"),
    ],
)
def test_what_is_met_otherwise_has_a_note(fields: dict[str, Any], note: str) -> None:
    """Nothing vanishes in silence."""
    assert [note] == [n.kind for n in fit(REAPI, evolve(OWL, **fields)).notes]


def test_extras_join_the_root() -> None:
    """Also values that we would leave out ourselves, and those of no other provider."""
    extra: dict[str, Any] = {"reapi": {"style": None, "quality": 3}, "kie": {"nsfw_checker": True}}

    expected = {**MINIMAL, "style": None, "quality": 3}
    assert expected == sent(evolve(OWL, extra=extra)).json()


@pytest.mark.parametrize("taken", ORDER)
def test_an_extra_of_our_own_is_refused(taken: str) -> None:
    """Two places for one fact."""
    with pytest.raises(InvalidRequest, match=taken):
        sent(evolve(OWL, extra={"reapi": {taken: 1}}))


# -- submitted ---------------------------------------------------------------------------


@pytest.mark.parametrize("id", [TASK, "task_01k2m3n4p5q6r7s8t9v0w1x2y3", "12345678", "a.b-c_d.e"])
@pytest.mark.parametrize("more", [{}, {"status": "failed"}, {"error": {"code": 60099}}])
def test_an_accepted_task_is_a_job_whatever_else_the_reply_says(
    id: str, more: dict[str, Any]
) -> None:
    """The id is at the top; what became of the task is for the poll to tell."""
    accepted = reply({"id": id, "model": OWL.model, "status": "processing", **more})

    assert REAPI.failure(accepted, op=Op.SUBMIT) is None
    assert Pending(evolve(JOB, id=id)) == REAPI.read_submission(accepted, OWL, key="k")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"status": "processing"}, r"\$\.id: missing"),
        ({"task_id": TASK}, r"\$\.id: missing"),
        ({"data": {"id": TASK}}, r"\$\.id: missing"),
        ({"id": None}, r"\$\.id"),
        ({"id": 12345678}, r"\$\.id"),
        ({"id": ""}, "is not a task id"),
        ({"id": "short"}, "is not a task id"),
        ({"id": "../../balance"}, "is not a task id"),
        ({"id": "x" * 129}, "is not a task id"),
        ([], "expected object"),
        (b"", "not JSON"),
        (b"<html>busy</html>", "not JSON"),
    ],
)
def test_a_submit_without_a_sound_id_is_malformed(body: Any, path: str) -> None:
    """Credits may be gone; the message says where to look."""
    assert REAPI.failure(reply(body), op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse, match=path) as caught:
        REAPI.read_submission(reply(body), OWL, key="k")

    assert Charge.MAYBE == caught.value.charge


def test_a_200_with_an_error_and_no_id_is_a_failure() -> None:
    """Not documented, so nobody knows what it cost."""
    error = failed(reply(refusal()), Op.SUBMIT, None)

    assert (RequestRejected, Charge.MAYBE, False, None, "20002", "req_1") == (
        type(error),
        error.charge,
        error.final,
        error.status,
        error.code,
        error.request_id,
    )


# -- polled ------------------------------------------------------------------------------


def test_a_task_is_polled_where_it_was_made() -> None:
    """The id is only data."""
    job = evolve(JOB, base_url="http://localhost:8080/api/v1", id="a/b?c")

    assert REAPI.poll(job) == HttpRequest(
        method="GET",
        url="http://localhost:8080/api/v1/tasks/a%2Fb%3Fc",
        headers={"Authorization": "Bearer rk_live_secret"},
    )


@pytest.mark.parametrize(
    "status", ["processing", "queued", "pending", "running", "in_progress", "dreaming"]
)
def test_any_other_status_is_work_in_progress(status: Any) -> None:
    """Three are documented; the deadline ends what no page knows."""
    for response in (task(status), reply({"id": TASK, "status": status})):
        assert REAPI.failure(response, op=Op.POLL, job=JOB) is None
        assert Pending(JOB) == REAPI.read_poll(response, JOB)


def test_a_wish_to_wait_is_passed_on() -> None:
    """Whatever the status of the reply."""
    running = evolve(task("processing"), headers={"Retry-After": "4"})

    assert Pending(JOB, retry_after=4.0) == REAPI.read_poll(running, JOB)


@pytest.mark.parametrize("more", [{}, {"error": None, "created_at": None}, {"created_at": "x"}])
@pytest.mark.parametrize("count", [1, 3])
def test_a_completed_task_has_a_list_of_links(more: dict[str, Any], count: int) -> None:
    """In the model's order; no cost, count, seed or expiry. Fewer than asked is no failure."""
    body = {"id": TASK, "status": "completed", "output": {"image_urls": LINKS[:count]}, **more}

    assert REAPI.failure(reply(body), op=Op.POLL, job=JOB) is None
    step = REAPI.read_poll(reply(body), JOB)

    assert isinstance(step, Done)
    assert tuple(Image(url=url) for url in LINKS[:count]) == step.delivery.images
    assert (None, None, None) == (
        step.delivery.cost,
        step.delivery.billed,
        step.delivery.request_id,
    )
    assert json.loads(json.dumps(body)) == step.delivery.raw


@pytest.mark.parametrize(
    "output", [None, {}, {"image_urls": None}, {"image_urls": []}, {"image_urls": [""]}]
)
def test_completed_without_a_link_is_the_end_and_perhaps_charged(output: Any) -> None:
    """Only failed tasks are documented to be refunded."""
    error = failed(task("completed", output=output))

    assert isinstance(error, GenerationFailed)
    assert (Charge.MAYBE, True, JOB) == (error.charge, error.final, error.job)


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (80006, ContentRefused),
        (80001, GenerationFailed),
        (10003, AuthenticationFailed),
        (20002, RequestRejected),
        (30001, CreditExhausted),
        (40001, GenerationFailed),
        (50001, RateLimited),
        (60099, ProviderUnavailable),
        (99999, GenerationFailed),
        ("80006", ContentRefused),
        ("odd", GenerationFailed),
        (None, GenerationFailed),
    ],
)
def test_a_failed_task_is_classed_by_its_number_and_refunded(
    code: Any, cls: type[ProviderError]
) -> None:
    """HTTP 200; the credits are back before any poll can show it."""
    error = failed(task("failed", error={"code": code, "message": "m", "request_id": "req_2"}))

    assert cls is type(error)
    assert (code and str(code), "m", "req_2", None, Charge.NO, True, JOB) == (
        error.code,
        error.message,
        error.request_id,
        error.status,
        error.charge,
        error.final,
        error.job,
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": 80006, "message": "m"}, "m"),
        ({"code": 80006, "detail": "d"}, "d"),
        ({"code": 80006}, "no explanation"),
        ({"code": 80006, "message": None, "request_id": 5}, "no explanation"),
        ("blocked", "blocked"),
        ("", "no explanation"),
        (None, "no explanation"),
        ({}, "no explanation"),
        ([], "no explanation"),
        (5, "no explanation"),
    ],
)
def test_a_failed_task_may_explain_itself_in_any_way(error: Any, message: str) -> None:
    """One client allows for a bare text and for "detail"."""
    found = failed(task("failed", error=error))

    assert (message, None, True) == (found.message, found.request_id, found.final)


def test_a_picture_is_worth_more_than_the_word_failed() -> None:
    """At least one picture came, so it is no failure."""
    odd = task("failed", output={"image_urls": LINKS[:1]}, error={"code": 80006})

    assert REAPI.failure(odd, op=Op.POLL, job=JOB) is None
    assert isinstance(REAPI.read_poll(odd, JOB), Done)


def test_a_cancelled_task_stops_and_may_have_cost() -> None:
    """Not documented, and neither is a refund."""
    assert REAPI.failure(task("cancelled"), op=Op.POLL, job=JOB) is None
    with pytest.raises(JobCancelled) as caught:
        REAPI.read_poll(task("cancelled"), JOB)

    assert (Charge.MAYBE, JOB) == (caught.value.charge, caught.value.job)


def test_a_404_is_missing() -> None:
    """Unknown, or of another user; its code is not known, so only the shape counts."""
    for body in (refusal(40001), {"error": "not found"}, {"detail": "Not found"}):
        response = reply(body, 404)

        assert REAPI.failure(response, op=Op.POLL, job=JOB) is None
        assert isinstance(REAPI.read_poll(response, JOB), Missing)


@pytest.mark.parametrize("body", [b"<html>not here</html>", b"", {"ok": False}])
def test_a_404_from_an_edge_says_nothing_of_the_task(body: Any) -> None:
    """API and website share a host; an outage must not turn a paid task into a lost one."""
    assert not failed(reply(body, 404)).final


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"id": TASK}, r"\$\.status: missing"),
        ({"id": TASK, "status": None}, r"\$\.status: missing"),
        ({"id": TASK, "status": 1}, r"\$\.status"),
        ({"status": "completed", "output": []}, r"\$\.output"),
        ({"status": "completed", "output": {"image_urls": LINKS[0]}}, r"\$\.output\.image_urls"),
        ({"status": "completed", "output": {"image_urls": [None]}}, r"image_urls\[0\]"),
        ([], "expected object"),
        (b"{", "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_place(body: Any, path: str) -> None:
    """Polling goes on; no code of ours has to guess."""
    assert REAPI.failure(reply(body), op=Op.POLL, job=JOB) is None
    with pytest.raises(MalformedResponse, match=path):
        REAPI.read_poll(reply(body), JOB)


# -- refused -----------------------------------------------------------------------------

REFUSALS: list[tuple[int, int, type[ProviderError]]] = [
    *((401, code, AuthenticationFailed) for code in range(10001, 10006)),
    (403, 10009, AuthenticationFailed),
    (400, 20001, RequestRejected),
    (400, 20002, RequestRejected),
    (400, 80006, ContentRefused),
    (402, 30001, CreditExhausted),
    (404, 40001, RequestRejected),
    (429, 50001, RateLimited),
]
TROUBLES: list[tuple[int, int, type[ProviderError]]] = [
    (500, 60099, ProviderUnavailable),
    (502, 60001, ProviderUnavailable),
    (503, 60001, ProviderUnavailable),
    (504, 60001, ProviderUnavailable),
    (408, 60001, ProviderUnavailable),
    (409, 20003, RequestRejected),
]


@pytest.mark.parametrize(("status", "code", "cls"), REFUSALS)
def test_a_documented_refusal_of_a_submit_costs_nothing(
    status: Any, code: Any, cls: type[ProviderError]
) -> None:
    """Rejected before a task exists; the status decides, numbers are mostly unknown."""
    error = failed(reply(refusal(code), status), Op.SUBMIT, None)

    assert cls is type(error)
    assert (Charge.NO, status, str(code), "req_1", "made up", False) == (
        error.charge,
        error.status,
        error.code,
        error.request_id,
        error.message,
        error.final,
    )


@pytest.mark.parametrize(("status", "code", "cls"), TROUBLES)
def test_a_submit_that_the_service_stumbled_over_may_be_charged(
    status: Any, code: Any, cls: type[ProviderError]
) -> None:
    """A POST is not to be repeated on 60099."""
    error = failed(reply(refusal(code), status), Op.SUBMIT, None)

    assert (cls, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(("status", "code", "cls"), [r for r in REFUSALS if r[0] != 404] + TROUBLES)
def test_a_refused_poll_says_nothing_of_the_task(
    status: Any, code: Any, cls: type[ProviderError]
) -> None:
    """On a 429 the task is still running."""
    error = failed(reply(refusal(code), status))

    assert (cls, Charge.MAYBE, False, JOB) == (
        type(error),
        error.charge,
        error.final,
        error.job,
    )


def test_a_rate_limit_says_how_long() -> None:
    """Seconds, documented."""
    response = reply(refusal(50001), 429, {"Retry-After": "2"})

    assert 2.0 == failed(response, Op.SUBMIT, None).retry_after


def test_a_429_that_names_a_task_may_have_made_one() -> None:
    """It must not be sent again."""
    error = failed(reply({**refusal(50001), "id": TASK}, 429), Op.SUBMIT, None)

    assert (RateLimited, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(
    ("status", "body", "cls", "charge"),
    [
        (400, {"error": "bad size"}, RequestRejected, Charge.NO),
        (402, {"detail": "no credits"}, CreditExhausted, Charge.NO),
        (403, b"<html>Just a moment...</html>", ProviderUnavailable, Charge.NO),
        (429, b"slow down", RateLimited, Charge.MAYBE),
        (400, b"", RequestRejected, Charge.MAYBE),
        (400, {"error": None}, RequestRejected, Charge.MAYBE),
        (400, {"error": {}}, RequestRejected, Charge.MAYBE),
        (400, ["x"], RequestRejected, Charge.MAYBE),
        (502, b"<html>bad gateway</html>", ProviderUnavailable, Charge.MAYBE),
        (302, b"", ProviderUnavailable, Charge.MAYBE),
    ],
)
def test_what_cannot_be_read_is_free_only_from_the_edge(
    status: Any, body: Any, cls: type[ProviderError], charge: Charge
) -> None:
    """A 403 page is a block in front of the service, not a wrong key."""
    error = failed(reply(body, status), Op.SUBMIT, None)

    assert (cls, charge) == (type(error), error.charge)


# -- balance, find, cancel ---------------------------------------------------------------


def asked(exchange: Any, answer: HttpResponse) -> Any:
    """What comes of one GET /balance."""
    assert next(exchange) == HttpRequest(
        method="GET",
        url="https://reapi.ai/api/v1/balance",
        headers={"Authorization": "Bearer rk_live_secret"},
    )
    with pytest.raises(StopIteration) as stop:
        exchange.send(answer)
    return stop.value.value


def test_the_balance_is_whole_credits() -> None:
    """One is 0.001 USD; conversion is a matter of prices."""
    assert Money("8421", "REAPI-CREDITS") == asked(REAPI.balance(), reply({"balance": 8421}))


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply(refusal(10003), 401), AuthenticationFailed),
        (reply(refusal(50001), 429), RateLimited),
        (reply(refusal(60099), 500), ProviderUnavailable),
        (reply(refusal(60099)), ProviderUnavailable),
        (reply({"balance": 84.5}), MalformedResponse),
        (reply({"balance": "8421"}), MalformedResponse),
        (reply({}), MalformedResponse),
    ],
)
def test_a_balance_that_cannot_be_had_is_an_error(
    answer: HttpResponse, cls: type[ProviderError]
) -> None:
    """Never a float, never a guess."""
    for exchange in (REAPI.balance(), REAPI.find(RECEIPT)):
        with pytest.raises(cls):
            asked(exchange, answer)


RECEIPT = Receipt(
    provider="reapi",
    account="reapi",
    base_url=JOB.base_url,
    key="k",
    request=OWL,
    digest="0" * 64,
    first_sent_at=NOW,
    last_sent_at=NOW,
)


@pytest.mark.parametrize(
    ("at_risk", "hint"), [(None, "this request missing"), (Money("0.024", "USD"), "(0.024 USD)")]
)
def test_find_has_only_the_balance_to_go_by(at_risk: Money | None, hint: str) -> None:
    """Tasks are not listed, so it settles nothing."""
    found = asked(REAPI.find(evolve(RECEIPT, at_risk=at_risk)), reply({"balance": 976}))

    assert isinstance(found, StillUnknown)
    assert () == found.candidates
    assert "the balance is now 976 REAPI-CREDITS" in found.detail
    assert hint in found.detail


def test_nothing_can_be_cancelled() -> None:
    """No such request is documented."""
    with pytest.raises(UnsupportedFeature, match="cancel"):
        next(REAPI.cancel(JOB))


# -- what it sells -----------------------------------------------------------------------


def test_both_models_are_sold_with_refunded_failures() -> None:
    """What format comes is not documented, nor how many a second."""
    expected = [
        (model, model, None, Charge.NO, True) for model in ("wan2.7-image", "wan2.7-image-pro")
    ]
    assert expected == [
        (o.model, o.alias, o.output, o.failure_charge, o.verified) for o in REAPI.offers
    ]
    assert (2.0, 5.0) == (REAPI.poll_interval.first, REAPI.poll_interval.most)
