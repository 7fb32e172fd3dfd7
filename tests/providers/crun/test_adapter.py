"""What is peculiar to Crun: guessed names, two places for a code, credits, uploads elsewhere.

Replies are written from https://docs.crun.ai (models/wan/wan-2-7-image-pro,
models/common/get-task-info, common-api/get-account-credits) and Crun's OpenAPI files, read
2026-11-20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Delivery, Done, Missing, Op, Pending, Resend
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ConfigurationError,
    CreditExhausted,
    GenerationFailed,
    InvalidRequest,
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
from wanbridge.money.price_book import PriceBook
from wanbridge.providers.crun import INPUT, Crun, Options, SchemaCheck, WireName, check_schema
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
BASE = "https://api.crun.ai/api/v1"
JOBS = f"{BASE}/client/job"
TASK = "4c7d2a10-9b1e-4f65-8a0f-2d6b7e9c1a35"
PRO = "wan2.7-image-pro"
LINKS = ["https://files.crun.ai/r/1.png", "https://files.crun.ai/r/2.png"]

CRUN = Crun(api_key="ak_secret")
BOLD = Crun(api_key="ak_secret", options=Options(allow_unverified=True))
RATED = Crun(api_key="ak_secret", options=Options(usd_per_credit="0.005"))
KEY = {"x-api-key": "ak_secret"}
OTTER = ImageRequest("an otter cut from felt")
CUP = InputImage("https://pictures.example.com/cup.png", width=1600, height=900)
TRAY = InputImage("https://pictures.example.com/tray.png")
INLINE = InputImage("data:image/png;base64,iVBORw0KGgo=", width=8, height=8)
PALETTE = (
    PaletteColor("#102030", "50"),
    PaletteColor("#A0B0C0", "33.4"),
    PaletteColor("#ffeedd", "16.60"),
)
JOB = Job(
    provider="crun",
    account="crun",
    base_url=BASE,
    id=TASK,
    request=OTTER,
    submitted_at=NOW,
    key="k",
)


def sent(request: ImageRequest, adapter: Crun = CRUN, **options: Any) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key="k")


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def good(data: Any) -> HttpResponse:
    return reply({"code": 200, "message": "success", "data": data})


def bad(code: Any, status: int = 200, **more: Any) -> HttpResponse:
    return reply({"code": code, "message": "made up", "data": None, **more}, status)


def task(status: Any, **more: Any) -> dict[str, Any]:
    """What TaskInfo puts into ``data``."""
    return {
        "task_id": TASK,
        "provider": "Alibaba",
        "model_version": "wan2.7-image-pro",
        "status": status,
        "param": {"model": "wan/2-7-image", "callback_url": None, "input": {}},
        "create_at": 1795000000,
        "credits": 12,
        "result": None,
        "duration_s": None,
        "complete_at": None,
        "source": "api",
        **more,
    }


def result(*links: Any, code: Any = 200, message: Any = "success") -> dict[str, Any]:
    return {"code": code, "message": message, "media_urls": list(links), "media_info": {}}


def failed(response: HttpResponse, op: Op = Op.POLL, job: Job | None = JOB) -> ProviderError:
    error = CRUN.failure(response, op=op, job=job)
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


def test_a_submit_carries_the_key_in_a_header_of_its_own() -> None:
    """Bearer is for the language models; there is no idempotency key."""
    message = sent(evolve(OTTER, callback_url="https://app.example.com/hook"))

    assert message == HttpRequest(
        method="POST",
        url=f"{JOBS}/CreateTask",
        headers={**KEY, "Content-Type": "application/json"},
        body=message.body,
    )
    assert {
        "model": "wan/2-7-image",
        "input": {
            "prompt": "an otter cut from felt",
            "resolution": "2K",
            "aspect_ratio": "1:1",
            "n": 1,
        },
        "callback_url": "https://app.example.com/hook",
    } == message.json()
    assert Resend.NEVER is CRUN.resend


def test_the_key_is_in_no_repr() -> None:
    """Reprs end up in logs."""
    messages = [sent(OTTER), CRUN.poll(JOB), next(CRUN.balance())]

    assert "secret" not in repr([CRUN, BOLD, messages])


def test_without_a_key_the_setting_is_named() -> None:
    """Tables and quotes need no key, a call does."""
    with pytest.raises(MissingCredentials, match="CRUN_API_KEY"):
        sent(OTTER, Crun())


def test_only_four_fields_of_input_are_sent_unless_more_is_allowed() -> None:
    """The schema of ``input`` is on no page; callbacks are documented beside it."""
    mine = {"prompt", "n", "resolution", "aspect_ratio"}

    assert mine == {name for name, wire in INPUT.items() if wire.verified}
    for offer in CRUN.offers:
        assert {"n", "size", "callback_url"} == offer.fields
        assert not offer.verified
    for offer in BOLD.offers:
        assert offer.fields == {
            *("images", "regions", "n", "sequential", "size", "thinking", "color_palette"),
            *("seed", "watermark", "callback_url"),
        }
        assert not offer.verified


# Every row of the mapping that is a guess.
@pytest.mark.parametrize(
    ("fields", "field", "name"),
    [
        ({"images": (CUP,)}, "images", "img_urls"),
        ({"sequential": True}, "sequential", "enable_sequential"),
        ({"thinking": False}, "thinking", "thinking_mode"),
        ({"color_palette": PALETTE}, "color_palette", "color_palette"),
        ({"seed": 7}, "seed", "seed"),
        ({"watermark": True}, "watermark", "watermark"),
    ],
)
def test_a_guessed_name_is_refused_naming_the_option(
    fields: dict[str, Any], field: str, name: str
) -> None:
    """And with the option it is sent."""
    asked = evolve(OTTER, **fields)
    with pytest.raises(UnsupportedFeature, match="allow_unverified = true") as caught:
        fit(CRUN, asked).settle()

    assert ("crun", field) == (caught.value.provider, caught.value.field)
    assert repr(name) in caught.value.reason
    assert name in sent(asked, BOLD).json()["input"]


def test_a_guessed_name_can_be_dropped() -> None:
    """Where the caller allows it, with a note."""
    fitted = fit(CRUN, evolve(OTTER, seed=7), may_drop=("seed",))

    assert [("seed", "dropped")] == [(note.field, note.kind) for note in fitted.notes]
    assert sent(OTTER).body == CRUN.submit(fitted.request, fitted.offer, key="k").body


MINIMAL = {
    "prompt": "an otter cut from felt",
    "resolution": "2K",
    "aspect_ratio": "1:1",
    "n": 1,
    "thinking_mode": True,
    "watermark": False,
}
EDIT = {
    "prompt": "an otter cut from felt",
    "img_urls": [CUP.url, TRAY.url],
    "resolution": "2K",
    "n": 1,
    "watermark": False,
}
SET = {k: v for k, v in MINIMAL.items() if k != "thinking_mode"} | {"enable_sequential": True}
COLORS = [
    {"hex": "#102030", "ratio": "50.00%"},
    {"hex": "#A0B0C0", "ratio": "33.40%"},
    {"hex": "#FFEEDD", "ratio": "16.60%"},
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, MINIMAL, id="minimal"),
        pytest.param(
            {"n": 4, "seed": 0, "thinking": False, "watermark": True},
            {**MINIMAL, "n": 4, "seed": 0, "thinking_mode": False, "watermark": True},
            id="fast",
        ),
        pytest.param(
            {"color_palette": PALETTE}, {**MINIMAL, "color_palette": COLORS}, id="palette"
        ),
        pytest.param(
            {"model": PRO, "size": "21:9@4K"},
            {**MINIMAL, "resolution": "4K", "aspect_ratio": "21:9"},
            id="4K",
        ),
        pytest.param({"images": (CUP, TRAY)}, EDIT, id="edit"),
        pytest.param(
            {"images": (CUP, evolve(TRAY, regions=[(9, 5, 90, 80)])), "size": "1K"},
            {**EDIT, "resolution": "1K", "bbox_list": [[], [[9, 5, 90, 80]]]},
            id="boxes",
        ),
        pytest.param({"sequential": True, "n": 12}, {**SET, "n": 12}, id="set"),
        pytest.param(
            {"sequential": True, "n": 2, "images": (CUP, TRAY)},
            {**EDIT, "n": 2, "enable_sequential": True},
            id="set-with-images",
        ),
    ],
)
def test_all_names_are_sent_in_the_order_of_the_mapping(
    fields: dict[str, Any], expected: Any
) -> None:
    """No default is documented, so every value is said; with images the last decides the shape."""
    body = sent(evolve(OTTER, **fields), BOLD).json()

    assert expected == body["input"]
    order = [wire.name for wire in INPUT.values()]
    assert [name for name in order if name in body["input"]] == list(body["input"])
    assert ["model", "input"] == list(body)


@pytest.mark.parametrize("model", ["wan2.7-image", PRO])
def test_ids_have_a_slash_and_a_dash(model: str) -> None:
    """``wan/2-7-image-pro``, from the page."""
    expected = model.replace("wan2.7", "wan/2-7")

    assert expected == sent(evolve(OTTER, model=model)).json()["model"]


@pytest.mark.parametrize(
    "ratio", ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "8:1", "1:8"]
)
def test_a_ratio_is_a_word(ratio: str) -> None:
    """There is no other way to say a shape."""
    assert ratio == sent(evolve(OTTER, size=ratio)).json()["input"]["aspect_ratio"]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"size": "1024x1024"}, "size", "no name for exact pixels"),
        ({"size": "5:4"}, "size", "5:4; 16:9, 1:1,"),
        ({"size": "16:9", "images": (CUP,)}, "size", "with images the last one decides"),
        ({"size": "4K"}, "size", "no 4K"),
        ({"model": PRO, "size": "4K", "images": (CUP,)}, "size", "no 4K with images"),
        ({"model": PRO, "size": "4K", "sequential": True}, "size", "no 4K in sets"),
        ({"size": "2049x1024"}, "size", "sides are 768 to 2048"),
        ({"prompt": "", "images": (CUP,)}, "prompt", "required here"),
        ({"negative_prompt": "blurry"}, "negative_prompt", "no such parameter"),
        ({"output_format": "png"}, "output_format", "cannot be asked for"),
        ({"images": (InputImage("oss://dashscope/a.png"),)}, "images", "oss: image"),
        ({"images": (InputImage(ref={"runware": "x"}),)}, "images", "a ref is not known"),
        ({"sequential": True, "color_palette": PALETTE}, "color_palette", "sets"),
    ],
)
def test_what_crun_cannot_say_is_refused_unsent(
    fields: dict[str, Any], field: str, said: str
) -> None:
    """Explicit pixels never become words."""
    with pytest.raises(UnsupportedFeature, match=said) as caught:
        fit(BOLD, evolve(OTTER, **fields)).settle()

    assert field == caught.value.field


def test_a_mapping_with_pixels_takes_exact_sizes() -> None:
    """Once somebody has seen their name in the schema, so do ratios with images."""
    mapping = {**INPUT, "pixels": WireName("size", verified=True)}
    knowing = evolve(BOLD, mapping=mapping)

    _exact = sent(evolve(OTTER, size="1000x800"), knowing).json()["input"]
    shaped = sent(evolve(OTTER, size="16:9@1K", images=(TRAY,)), knowing).json()["input"]

    assert "1000*800" == _exact["size"]
    assert not {"resolution", "aspect_ratio"} & (_exact.keys() | shaped.keys())
    assert "1360*768" == shaped["size"]
    assert "size" in knowing.reserved
    with pytest.raises(InvalidRequest, match="size"):
        sent(evolve(OTTER, extra={"crun": {"size": "1K"}}), knowing)


def test_a_mapping_that_was_checked_needs_no_option_and_is_no_guess() -> None:
    """Whoever has compared it may say so."""
    mapping = {name: WireName(wire.name, verified=True) for name, wire in INPUT.items()}
    knowing = evolve(CRUN, mapping=mapping)

    assert all(offer.verified and not offer.refused for offer in knowing.offers)
    assert 7 == sent(evolve(OTTER, seed=7), knowing).json()["input"]["seed"]


def test_extras_join_input() -> None:
    """Also values that we would leave out ourselves, and those of no other provider."""
    extra: dict[str, Any] = {"crun": {"output_format": None}, "kie": {"nsfw_checker": True}}
    body = sent(evolve(OTTER, extra=extra)).json()

    assert {**sent(OTTER).json()["input"], "output_format": None} == body["input"]


@pytest.mark.parametrize(
    "taken", [*(wire.name for wire in INPUT.values()), "num_outputs", "num_images"]
)
def test_an_extra_of_our_own_is_refused(taken: str) -> None:
    """A guessed name too: the option is the way to send it."""
    with pytest.raises(InvalidRequest, match=taken):
        sent(evolve(OTTER, extra={"crun": {taken: 1}}))


# -- submitted ---------------------------------------------------------------------------


@pytest.mark.parametrize("id", [TASK, "task-1", "x" * 256])
@pytest.mark.parametrize("envelope", [{"code": 200, "message": "success"}, {}, {"code": "200"}])
def test_an_accepted_task_is_a_job(id: str, envelope: dict[str, Any]) -> None:
    """Its id is opaque, whatever length is declared."""
    accepted = reply({**envelope, "data": {"task_id": id}})

    assert CRUN.failure(accepted, op=Op.SUBMIT) is None
    assert Pending(evolve(JOB, id=id)) == CRUN.read_submission(accepted, OTTER, key="k")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"code": 200, "data": {}}, r"\$\.data\.task_id: missing"),
        ({"code": 200, "data": {"taskId": TASK}}, r"\$\.data\.task_id: missing"),
        ({"code": 200, "data": {"task_id": ""}}, r"\$\.data\.task_id"),
        ({"code": 200, "data": {"task_id": "a b"}}, r"\$\.data\.task_id"),
        ({"code": 200, "data": {"task_id": "x" * 257}}, r"\$\.data\.task_id"),
        ({"code": 200, "data": {"task_id": 7}}, r"\$\.data\.task_id: expected str"),
        ({"code": 200, "data": None}, r"\$\.data: expected object"),
        ({"task_id": TASK}, r"\$\.data: expected object"),
        ([], "expected object"),
        (b"<html>busy</html>", "not JSON"),
    ],
)
def test_a_submit_without_a_sound_id_is_malformed(body: Any, said: str) -> None:
    """The outcome is unknown: there is no list of tasks to look it up in."""
    assert CRUN.failure(reply(body), op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse, match=said) as caught:
        CRUN.read_submission(reply(body), OTTER, key="k")

    assert Charge.MAYBE == caught.value.charge


# Every row of the page's table of codes: class, and whether it is known to have cost nothing.
CODES: list[tuple[int, type[ProviderError], Charge]] = [
    (401, AuthenticationFailed, Charge.NO),
    (402, CreditExhausted, Charge.NO),
    (403, AuthenticationFailed, Charge.NO),
    (404, RequestRejected, Charge.NO),
    (422, RequestRejected, Charge.NO),
    (429, RateLimited, Charge.MAYBE),
    (455, ProviderUnavailable, Charge.MAYBE),
    (500, ProviderUnavailable, Charge.MAYBE),
    (501, GenerationFailed, Charge.MAYBE),
    (505, RequestRejected, Charge.NO),
]


@pytest.mark.parametrize("style", ["body", "http", "plain-200-inside"])
@pytest.mark.parametrize(("code", "cls", "charge"), CODES)
def test_a_refusal_is_the_same_by_status_or_by_code(
    code: int, cls: type[ProviderError], charge: Charge, style: str
) -> None:
    """Both occur. A second create after 429 or 455 is what the vendor's client never does."""
    response = {
        "body": bad(code),
        "http": bad(code, code),
        "plain-200-inside": bad(200, code),
    }[style]
    error = failed(response, Op.SUBMIT, None)

    assert (cls, charge, None if style == "body" else code, "made up", False) == (
        type(error),
        error.charge,
        error.status,
        error.message,
        error.final,
    )


def test_a_server_error_is_not_made_harmless_by_its_code() -> None:
    """Nobody knows what a broken service has done."""
    error = failed(bad(422, 502), Op.SUBMIT, None)

    assert (RequestRejected, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [(200, 201, ProviderUnavailable), (200, 0, ProviderUnavailable), (404, 0, RequestRejected)],
)
def test_success_needs_200_in_the_body_too(
    status: int, code: int, cls: type[ProviderError]
) -> None:
    """The vendor's own rule: 2xx and a code of 200."""
    assert cls is type(failed(bad(code, status), Op.SUBMIT, None))


def test_a_refusal_that_names_a_task_may_have_made_one() -> None:
    """It is not free, and must not be sent again."""
    error = failed(bad(402, 402, data={"task_id": TASK}), Op.SUBMIT, None)

    assert (CreditExhausted, Charge.MAYBE) == (type(error), error.charge)


def test_a_validation_error_names_the_field() -> None:
    """Only 422 has ``errors``."""
    said = "wan/2-7-image: resolution: must be one of 1K, 2K, 4K"

    assert f"made up: {said}; too" == failed(bad(422, errors=[said, "too"])).message
    assert said == failed(bad(422, errors=[said], message=None)).message
    assert "no explanation" == failed(bad(422, message=None)).message


@pytest.mark.parametrize(
    ("status", "body", "cls", "charge"),
    [
        (403, b"error code: 1010", ProviderUnavailable, Charge.NO),
        (429, b"slow down", RateLimited, Charge.MAYBE),
        (401, {"data": None}, AuthenticationFailed, Charge.MAYBE),
        (401, {"message": "no key"}, AuthenticationFailed, Charge.NO),
        (422, ["x"], RequestRejected, Charge.MAYBE),
        (502, b"<html>bad gateway</html>", ProviderUnavailable, Charge.MAYBE),
        (302, b"", ProviderUnavailable, Charge.MAYBE),
    ],
)
def test_what_cannot_be_read_is_free_only_from_the_edge(
    status: int, body: Any, cls: type[ProviderError], charge: Charge
) -> None:
    """1010 is the edge's own: it blocks the names of some HTTP libraries."""
    error = failed(reply(body, status), Op.SUBMIT, None)

    assert (cls, charge) == (type(error), error.charge)


# -- polled ------------------------------------------------------------------------------


def test_a_task_is_polled_where_it_was_made() -> None:
    """The id is only data."""
    job = evolve(JOB, base_url="https://api.crunai.com/api/v1", id="a&b=c/d")

    assert CRUN.poll(job) == HttpRequest(
        method="GET",
        url="https://api.crunai.com/api/v1/client/job/TaskInfo?task_id=a%26b%3Dc%2Fd",
        headers=KEY,
    )


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_task_goes_on_and_its_credits_are_only_reserved(status: str) -> None:
    """There is no progress."""
    running = evolve(good(task(status, credits=12)), headers={"Retry-After": "4"})

    assert CRUN.failure(running, op=Op.POLL, job=JOB) is None
    assert Pending(JOB, retry_after=4.0) == CRUN.read_poll(running, JOB)


@pytest.mark.parametrize(
    ("credits", "adapter", "cost"),
    [
        (12, CRUN, Money("12", "CRUN-CREDITS")),
        (1.5, CRUN, Money("1.5", "CRUN-CREDITS")),
        ("1.5", CRUN, Money("1.5", "CRUN-CREDITS")),
        (12, RATED, Money("0.060", "USD")),
        (0, CRUN, None),
        (-1, CRUN, None),
        (10**30, CRUN, None),
        (None, CRUN, None),
    ],
)
def test_the_credits_of_an_ended_task_are_its_cost(
    credits: Any, adapter: Crun, cost: Money | None
) -> None:
    """Actual, not reserved; in dollars only by a rate that was configured."""
    body = task("success", credits=credits, result=result(*LINKS), complete_at=1795000027)

    assert adapter.failure(good(body), op=Op.POLL, job=JOB) is None
    step = adapter.read_poll(good(body), JOB)

    assert isinstance(step, Done)
    assert step.delivery == Delivery(
        images=tuple(Image(url=url) for url in LINKS), cost=cost, raw=good(body).json()
    )


def test_costs_do_not_depend_on_the_callers_decimal_context() -> None:
    """An application that rounds to two digits must not be told another price."""
    with localcontext() as context:
        context.prec = 2
        step = RATED.read_poll(good(task("success", credits=12345, result=result(LINKS[0]))), JOB)

    assert isinstance(step, Done)
    assert Money("61.725", "USD") == step.delivery.cost


def test_an_absent_cost_is_unknown_and_a_spoiled_one_is_noted() -> None:
    """A paid picture is not lost to it."""
    body = task("success", result=result(LINKS[0], "", code="odd"))
    absent = {k: v for k, v in body.items() if k != "credits"}

    for given, fields in ((absent, []), ({**body, "credits": []}, ["$.data.credits"])):
        step = CRUN.read_poll(good(given), JOB)
        assert isinstance(step, Done)
        assert step.delivery.cost is None
        assert (Image(url=LINKS[0]),) == step.delivery.images
        assert [*fields, "$.data.result.code"] == [note.field for note in step.delivery.notes]


def test_the_status_of_the_task_decides_not_the_code_of_its_result() -> None:
    """And a picture is worth more than the word failed."""
    for body in (
        task("success", result=result(*LINKS, code=501)),
        task("failed", result=result(*LINKS, code=501)),
    ):
        assert CRUN.failure(good(body), op=Op.POLL, job=JOB) is None
        assert isinstance(CRUN.read_poll(good(body), JOB), Done)


@pytest.mark.parametrize(
    ("credits", "charge"),
    [
        (0, Charge.NO),
        ("0", Charge.NO),
        (12, Charge.YES),
        (0.5, Charge.YES),
        (None, Charge.MAYBE),
        ("many", Charge.MAYBE),
        (-3, Charge.MAYBE),
    ],
)
def test_a_failed_task_costs_what_its_credits_say(credits: Any, charge: Charge) -> None:
    """HTTP 200 and a code of 200 around it; the pages promise no refund."""
    ended = task("failed", credits=credits, result=result(code=501, message="upstream refused"))
    error = failed(good(ended))

    assert (GenerationFailed, charge, "501", "upstream refused", None, True, JOB) == (
        type(error),
        error.charge,
        error.code,
        error.message,
        error.status,
        error.final,
        error.job,
    )


@pytest.mark.parametrize("said", [None, {}, {"message": None}, {"code": "x"}, {"media_urls": None}])
def test_a_failed_task_may_explain_nothing(said: Any) -> None:
    """It has ended all the same."""
    error = failed(good(task("failed", result=said)))

    assert ("no explanation", None, True) == (error.message, error.code, error.final)


@pytest.mark.parametrize(("credits", "charge"), [(12, Charge.YES), (0, Charge.MAYBE)])
@pytest.mark.parametrize("said", [None, {"media_urls": []}, {"media_urls": [""]}])
def test_success_without_a_picture_is_at_least_perhaps_charged(
    said: Any, credits: int, charge: Charge
) -> None:
    """Nothing was delivered; that nothing was taken would be hope."""
    error = failed(good(task("success", credits=credits, result=said)))

    assert (GenerationFailed, charge, "completed without an image", True) == (
        type(error),
        error.charge,
        error.message,
        error.final,
    )


@pytest.mark.parametrize("response", [bad(404, 404), bad(404), bad(200, 404)])
def test_a_404_is_missing_in_either_style(response: HttpResponse) -> None:
    """So it is for a moment after the create."""
    assert CRUN.failure(response, op=Op.POLL, job=JOB) is None
    assert isinstance(CRUN.read_poll(response, JOB), Missing)


@pytest.mark.parametrize("body", [b"<html>not here</html>", b"", {"ok": False}])
def test_a_404_from_an_edge_says_nothing_of_the_task(body: Any) -> None:
    """An outage must not turn a paid task into a lost one."""
    assert not failed(reply(body, 404)).final


@pytest.mark.parametrize(("code", "cls", "_"), [row for row in CODES if row[0] != 404])
@pytest.mark.parametrize("by_status", [True, False])
def test_a_refused_poll_says_nothing_of_the_task(
    code: int, cls: type[ProviderError], _: Charge, by_status: bool
) -> None:
    """The task goes on."""
    error = failed(bad(code, code if by_status else 200))

    assert (cls, Charge.MAYBE, False, JOB) == (type(error), error.charge, error.final, error.job)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"code": 200, "data": {"task_id": TASK}}, r"\$\.data\.status: .* has status None"),
        ({"code": 200, "data": task("dreaming")}, "'dreaming'"),
        ({"code": 200, "data": task(7)}, r"\$\.data\.status: expected str"),
        ({"code": 200, "data": task("success", result=[])}, r"\$\.data\.result: expected object"),
        (
            {"code": 200, "data": task("success", result={"media_urls": [None]})},
            r"\$\.data\.result\.media_urls\[0\]",
        ),
        (task("running"), r"\$\.data: expected object"),
        (b"{", "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_place(body: Any, said: str) -> None:
    """Polling goes on; no code of ours has to guess."""
    assert CRUN.failure(reply(body), op=Op.POLL, job=JOB) is None
    with pytest.raises(MalformedResponse, match=said):
        CRUN.read_poll(reply(body), JOB)


# -- estimate, balance, models ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("credits", "adapter", "expected"),
    [
        (1.5, CRUN, Money("1.5", "CRUN-CREDITS")),
        ("8", CRUN, Money("8", "CRUN-CREDITS")),
        (1.5, RATED, Money("0.0075", "USD")),
        (0, CRUN, Money("0", "CRUN-CREDITS")),
    ],
)
def test_an_estimate_is_of_the_very_message(credits: Any, adapter: Crun, expected: Money) -> None:
    """The same body; it creates nothing."""
    answer = good({"credits": credits, "estimated": False})
    asked, found = played(adapter.estimate(OTTER, adapter.offer(OTTER.model)), answer)

    assert [evolve(sent(OTTER), url=f"{JOBS}/estimate-credits")] == asked
    assert expected == found


@pytest.mark.parametrize("unknown", [bad(404, 404), bad(404), bad(405, 405), reply(b"", 404)])
def test_an_estimate_has_an_older_path(unknown: HttpResponse) -> None:
    """Where the newer one is not there."""
    older = good({"estimated_credits": 2, "balance": 50, "affordable": True})
    asked, found = played(CRUN.estimate(OTTER, CRUN.offer(OTTER.model)), unknown, older)

    assert [f"{JOBS}/estimate-credits", f"{JOBS}/EstimateTask"] == [m.url for m in asked]
    assert asked[0].body == asked[1].body
    assert Money("2", "CRUN-CREDITS") == found


def test_an_estimate_uploads_first() -> None:
    """A price may depend on the images, and those are URLs only."""
    answer = good({"credits": 8, "estimated": True})
    stored = "https://files.crun.ai/a.png"
    asked, _ = played(
        BOLD.estimate(evolve(OTTER, images=(INLINE,)), BOLD.offer(OTTER.model)),
        good({"presigned_url": "https://r2.example.net/put", "file_url": stored}),
        reply(b""),
        answer,
    )

    assert [stored] == asked[2].json()["input"]["img_urls"]


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (bad(401, 401), AuthenticationFailed),
        (bad(422), RequestRejected),
        (good({}), MalformedResponse),
        (good({"credits": "many"}), MalformedResponse),
        (reply([]), MalformedResponse),
    ],
)
def test_an_estimate_that_cannot_be_had_is_an_error(
    answer: HttpResponse, cls: type[ProviderError]
) -> None:
    """Never zero."""
    with pytest.raises(cls):
        played(CRUN.estimate(OTTER, CRUN.offer(OTTER.model)), answer)


@pytest.mark.parametrize(
    ("left", "adapter", "expected"),
    [
        (1000, CRUN, Money("1000", "CRUN-CREDITS")),
        (0.25, CRUN, Money("0.25", "CRUN-CREDITS")),
        (1000, RATED, Money("5.000", "USD")),
    ],
)
def test_the_balance_is_in_credits(left: Any, adapter: Crun, expected: Money) -> None:
    """A fraction too; dollars by the configured rate."""
    asked, found = played(adapter.balance(), good({"balance": left}))

    assert HttpRequest(method="GET", url=f"{BASE}/client/account/balance", headers=KEY) == asked[0]
    assert expected == found


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (bad(401), AuthenticationFailed),
        (bad(429, 429), RateLimited),
        (good({"balance": None}), MalformedResponse),
        (good({}), MalformedResponse),
    ],
)
def test_a_balance_that_cannot_be_had_is_an_error(
    answer: HttpResponse, cls: type[ProviderError]
) -> None:
    """In either style."""
    with pytest.raises(cls):
        played(CRUN.balance(), answer)


SCHEMA = {"type": "object", "properties": {"prompt": {}, "n": {}, "input_urls": {}, "size": {}}}


def test_models_brings_the_schema_of_input() -> None:
    """The only place where the truth can be had; the slash of the id stays one."""
    asked, found = played(
        CRUN.models(),
        bad(404, 404),
        good({"input_schema": SCHEMA, "required_input_fields": ["prompt"]}),
    )

    urls = [f"{JOBS}/Models/wan/2-7-image", f"{JOBS}/Models/wan/2-7-image-pro"]
    assert urls == [message.url for message in asked]
    assert [("wan/2-7-image-pro", SCHEMA)] == [(model.id, model.schema) for model in found]
    with pytest.raises(AuthenticationFailed):
        played(CRUN.models(), bad(401))


def test_a_discovered_schema_is_compared_with_the_mapping() -> None:
    """What would be refused, and what could be said."""
    absent = (
        *("img_urls", "resolution", "aspect_ratio", "enable_sequential", "thinking_mode"),
        *("color_palette", "bbox_list", "seed", "watermark"),
    )
    assert SchemaCheck(absent=absent, unmapped=("input_urls", "size")) == check_schema(SCHEMA)

    fitting = {"prompt": WireName("prompt", verified=True), "n": WireName("n", verified=True)}
    properties: dict[str, Any] = {"properties": {"prompt": {}, "n": {}}}
    assert SchemaCheck(absent=(), unmapped=()) == check_schema(properties, fitting)


@pytest.mark.parametrize("schema", [None, {}, {"properties": None}, {"properties": ["prompt"]}])
def test_a_schema_that_says_nothing_has_no_properties(schema: Any) -> None:
    """Everything is absent then."""
    found = check_schema(schema)

    assert tuple(wire.name for wire in INPUT.values()) == found.absent
    assert () == found.unmapped


# -- options, and what is not there -----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"usd_per_credit": "cheap"}, "not a decimal number"),
        ({"usd_per_credit": 0.005}, "not exact"),
        ({"usd_per_credit": "0"}, "usd_per_credit"),
        ({"usd_per_credit": "-1"}, "usd_per_credit"),
        ({"allow_unverified": "yes"}, "allow_unverified"),
        ({"allow_unverifed": True}, "did you mean 'allow_unverified'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], said: str) -> None:
    """Floats are no prices."""
    with pytest.raises(ConfigurationError, match=said):
        Registry().build("crun", options=options)


def test_a_rate_is_exact() -> None:
    """Decimal text."""
    adapter = Registry().build("crun", options={"usd_per_credit": "0.005"})

    assert Decimal("0.005") == adapter.options.usd_per_credit


def test_no_price_is_known() -> None:
    """Which is not zero: Crun's estimate is the way to learn it."""
    assert PriceBook.builtin().quote("crun", "crun", OTTER).amount is None


def test_nothing_can_be_cancelled_or_looked_up() -> None:
    """No such request is documented."""
    receipt = Receipt(
        provider="crun",
        account="crun",
        base_url=BASE,
        key="k",
        request=OTTER,
        digest="0" * 64,
        first_sent_at=NOW,
        last_sent_at=NOW,
    )
    with pytest.raises(UnsupportedFeature, match="cancel"):
        next(CRUN.cancel(JOB))
    with pytest.raises(StopIteration) as stop:
        next(CRUN.find(receipt))

    assert () == stop.value.value.candidates
