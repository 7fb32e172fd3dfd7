"""What is peculiar to KIE: dear defaults, JSON inside text, codes inside a 200, signed callbacks.

Replies are written from https://docs.kie.ai and, where that is silent, from what third parties'
clients have met; read 2026-11-20.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.steps import Done, Missing, Op, Pending, Resend
from wanbridge.config import load
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ConfigurationError,
    ContentRefused,
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
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.providers.kie import Kie, Options
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
DAY = timedelta(hours=24)
TASK = "5f1c0a9e7b3d4c2f8a6e1d0b9c8f7a6e"
LINKS = tuple(f"https://tempfile.example/o{i}.png" for i in range(3))
PRO = "wan2.7-image-pro"

KIE = Kie(api_key="kie_live_secret")
CRATES = ImageRequest("repaint the crates in yellow")
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
# The first 31 bits of the SHA-256 of "k".
SEED = int(hashlib.sha256(b"k").hexdigest()[:8], 16) // 2
JOB = Job(
    provider="kie",
    account="kie",
    base_url="https://api.kie.ai/api/v1",
    id=TASK,
    request=CRATES,
    submitted_at=NOW,
    key="k",
    collect_by=NOW + DAY,
)


def sent(
    request: ImageRequest, adapter: Kie = KIE, *, key: str = "k", **options: Any
) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key=key)


def given(request: ImageRequest, **how: Any) -> Any:
    """The ``input`` of a submit."""
    return sent(request, **how).json()["input"]


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def ok(data: Any) -> HttpResponse:
    return reply({"code": 200, "msg": "success", "data": data})


def record(state: Any, **more: Any) -> HttpResponse:
    about = {"taskId": TASK, "model": "wan/2-7-image", "state": state, "param": '{"input":{}}'}
    end = {"resultJson": "", "failCode": "", "failMsg": "", "costTime": None, "completeTime": None}
    times = {"createTime": 1795000000000, "updateTime": 1795000004000}
    return ok({**about, **end, **times, **more})


def result(*links: Any) -> str:
    return json.dumps({"resultUrls": list(links)})


def failed(response: HttpResponse, op: Op = Op.POLL, job: Job | None = JOB) -> ProviderError:
    error = KIE.failure(response, op=op, job=job)
    assert error is not None
    return error


def conversed(exchange: Any, *answers: HttpResponse) -> tuple[Any, list[HttpRequest]]:
    """What comes of a conversation, and what was asked."""
    messages, left = [], [None, *answers]
    try:
        while left:
            messages.append(exchange.send(left.pop(0)))
    except StopIteration as stop:
        assert [] == left
        return stop.value, messages
    raise AssertionError("it wants more answers")


# -- the request -------------------------------------------------------------------------


def test_a_submit_names_model_callback_and_input() -> None:
    """The callback's name has a capital B, and no key of ours goes along."""
    message = sent(evolve(CRATES, callback_url="https://app.example/hooks/kie"))

    assert message == HttpRequest(
        method="POST",
        url="https://api.kie.ai/api/v1/jobs/createTask",
        headers={"Authorization": "Bearer kie_live_secret", "Content-Type": "application/json"},
        body=message.body,
    )
    assert {
        "model": "wan/2-7-image",
        "callBackUrl": "https://app.example/hooks/kie",
        "input": MINIMAL,
    } == message.json()
    assert ["model", "callBackUrl", "input"] == list(message.json())
    assert "callBackUrl" not in sent(CRATES).json()
    assert Resend.NEVER is KIE.resend


def test_no_secret_is_in_a_repr() -> None:
    """Reprs end up in logs; the webhook's key is one as well."""
    signed = evolve(KIE, options=Options(webhook_key="hook_secret"))

    assert "secret" not in repr([signed, sent(CRATES), KIE.poll(JOB), next(KIE.balance())])


def test_without_a_key_the_setting_is_named() -> None:
    """Tables and quotes need no key, a call does."""
    with pytest.raises(MissingCredentials, match="KIE_API_KEY"):
        sent(CRATES, Kie())


MINIMAL = {
    "prompt": "repaint the crates in yellow",
    "aspect_ratio": "1:1",
    "enable_sequential": False,
    "n": 1,
    "resolution": "2K",
    "thinking_mode": True,
    "watermark": False,
    "seed": SEED,
}
EDIT = {
    "prompt": "repaint the crates in yellow",
    "input_urls": [
        "https://pictures.example.com/cup.png",
        "https://pictures.example.com/tray.png",
    ],
    "enable_sequential": False,
    "n": 1,
    "resolution": "2K",
    "thinking_mode": False,
    "watermark": False,
    "seed": SEED,
}
ORDER = [
    *("prompt", "input_urls", "aspect_ratio", "enable_sequential", "n", "resolution"),
    *("thinking_mode", "color_palette", "bbox_list", "watermark", "seed"),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, MINIMAL, id="minimal"),
        pytest.param(
            {"thinking": False, "size": "4:3@1K", "n": 3, "watermark": True},
            {
                **MINIMAL,
                "aspect_ratio": "4:3",
                "n": 3,
                "resolution": "1K",
                "thinking_mode": False,
                "watermark": True,
            },
            id="fast-draft",
        ),
        pytest.param(
            {"model": PRO, "size": "16:9@4K", "n": 4, "seed": 2147483647},
            {**MINIMAL, "aspect_ratio": "16:9", "n": 4, "resolution": "4K", "seed": 2147483647},
            id="print-4k",
        ),
        pytest.param(
            {"color_palette": PALETTE}, {**MINIMAL, "color_palette": COLORS}, id="palette"
        ),
        pytest.param(
            {"sequential": True, "n": 12, "size": "21:9"},
            {
                **MINIMAL,
                "aspect_ratio": "21:9",
                "enable_sequential": True,
                "n": 12,
                "thinking_mode": False,
            },
            id="sequential",
        ),
        pytest.param({"images": DUO}, EDIT, id="two-references"),
        pytest.param(
            {"images": (DUO[0], evolve(DUO[1], regions=[(9, 5, 90, 80), (0, 0, 9, 9)]))},
            {**EDIT, "bbox_list": [[], [[9, 5, 90, 80], [0, 0, 9, 9]]]},
            id="second-image-boxed",
        ),
        pytest.param(
            {"images": DUO, "sequential": True, "n": 5, "size": "1K"},
            {**EDIT, "enable_sequential": True, "n": 5, "resolution": "1K"},
            id="set-with-references",
        ),
    ],
)
def test_an_input_is_in_kies_words_and_order(fields: dict[str, Any], expected: Any) -> None:
    """Native lists and objects, unlike some; what is not said is not there."""
    body = given(evolve(CRATES, **fields))

    assert expected == body
    assert [key for key in ORDER if key in body] == list(body)


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("images", [(), DUO])
def test_n_and_thinking_mode_are_always_sent(sequential: bool, images: Any) -> None:
    """KIE's defaults are 4 pictures, 12 in sets, and no thinking."""
    body = given(evolve(CRATES, sequential=sequential, images=images))

    assert (1, not (sequential or images)) == (body["n"], body["thinking_mode"])


def test_a_random_seed_is_the_calls_own_since_kies_default_is_always_0() -> None:
    """From the key, so that the same call gives the same bytes; 0 asked for is sent as 0."""
    fitted = fit(KIE, CRATES)

    assert [("seed", "info")] == [(note.field, note.kind) for note in fitted.notes]
    assert "derived from the call's key" in fitted.notes[0].detail
    assert SEED == given(CRATES)["seed"] == given(CRATES)["seed"]
    assert SEED != given(CRATES, key="another")["seed"]
    assert all(0 <= given(CRATES, key=f"{i}")["seed"] < 2**31 for i in range(99))
    assert 0 == given(evolve(CRATES, seed=0))["seed"]
    assert () == fit(KIE, evolve(CRATES, seed=0)).notes


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "4:3", "21:9", "3:4", "9:16", "8:1", "1:8"])
def test_a_ratio_goes_as_its_word(ratio: str) -> None:
    """The published list has blanks around 1:8, which are not sent."""
    assert ratio == given(evolve(CRATES, size=ratio))["aspect_ratio"]


@pytest.mark.parametrize("check_limits", [True, False])
@pytest.mark.parametrize(
    ("size", "images", "why"),
    [
        ("1024x1024", (), "1024x1024 cannot be said, only 1K, 2K, 4K"),
        ("2048x2048", DUO, "2048x2048 cannot be said"),
        ("16:9", DUO, "with images; give a tier alone"),
        ("1:1@1K", DUO, "with images"),
        ("3:2", (), "here 1:1, 16:9"),
        ("5:4", (), "here 1:1, 16:9"),
    ],
)
def test_sizes_are_words_only_and_never_pixels(
    size: str, images: Any, why: str, check_limits: bool
) -> None:
    """What has no word cannot be sent, whatever the limits."""
    asked = evolve(CRATES, size=size, images=images)

    with pytest.raises(UnsupportedFeature, match=why) as caught:
        fit(KIE, asked, check_limits=check_limits).settle()
    with pytest.raises(UnsupportedFeature, match=why):
        KIE.submit(asked, KIE.offers[0], key="k")

    assert "size" == caught.value.field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"negative_prompt": "blurry"}, "negative_prompt"),
        ({"output_format": "png"}, "output_format"),
        ({"size": "4K"}, "size"),
        ({"model": PRO, "size": "4K", "images": DUO}, "size"),
        ({"model": PRO, "size": "4K", "sequential": True}, "size"),
        ({"prompt": "", "images": DUO}, "prompt"),
        ({"images": ("oss://dashscope-instant/a/b.png",)}, "images"),
        ({"images": (InputImage(ref={"runware": "abc"}),)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", width=239, height=400),)}, "images"),
        ({"images": (InputImage("https://x.example/a.png", width=8001, height=4000),)}, "images"),
        ({"images": ("data:image/png;base64," + "A" * 26_666_680,)}, "images"),
        ({"sequential": True, "color_palette": PALETTE}, "color_palette"),
        ({"sequential": True, "images": (evolve(DUO[0], regions=[(0, 0, 9, 9)]),)}, "regions"),
    ],
)
def test_what_kie_cannot_say_is_refused_unsent(fields: dict[str, Any], field: str) -> None:
    """4K is listed for the standard model too, but its maker ends it at 2K."""
    with pytest.raises(UnsupportedFeature) as caught:
        fit(KIE, evolve(CRATES, seed=1, **fields)).settle()

    assert ("kie", field) == (caught.value.provider, caught.value.field)


def test_a_ref_cannot_be_said() -> None:
    """An image that is left out silently would be another picture."""
    with pytest.raises(UnsupportedFeature, match="give a URL"):
        KIE.submit(evolve(CRATES, images=(InputImage(ref={"x": "y"}),)), KIE.offers[0], key="k")


def test_extras_join_the_input() -> None:
    """KIE's own filter is off by default; whoever wants it says so."""
    extra: dict[str, Any] = {"kie": {"nsfw_checker": True}, "reapi": {"x": 1}}

    assert {**MINIMAL, "nsfw_checker": True} == given(evolve(CRATES, extra=extra))


@pytest.mark.parametrize("taken", [*ORDER, "model", "callBackUrl", "input"])
def test_an_extra_of_our_own_is_refused(taken: str) -> None:
    """Two places for one fact."""
    with pytest.raises(InvalidRequest, match=taken):
        sent(evolve(CRATES, extra={"kie": {taken: 1}}))


# -- submitted ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{}, {"msg": None}, {"message": "success"}, {"code": "200"}, {"code": None}]
)
def test_code_200_with_an_id_is_a_job(more: dict[str, Any]) -> None:
    """Only the creation is confirmed; links end after a day."""
    accepted = reply({"code": 200, "msg": "success", "data": {"taskId": TASK}, **more})

    assert KIE.failure(accepted, op=Op.SUBMIT) is None
    assert Pending(JOB) == KIE.read_submission(accepted, CRATES, key="k")


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "msg": "success", "data": None},
        {"code": 200, "data": {}},
        {"code": 200, "data": {"taskId": ""}},
        {"code": 200, "data": {"taskId": 5}},
        {"code": 200, "data": {"taskId": "a\nb"}},
        {"code": 200, "data": {"task_id": TASK}},
        {},
        [],
        b"",
        b"<html>busy</html>",
    ],
)
def test_a_submit_without_a_sound_id_is_malformed(body: Any) -> None:
    """A client says that there is no task then; that is no proof."""
    assert KIE.failure(reply(body), op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse) as caught:
        KIE.read_submission(reply(body), CRATES, key="k")

    assert Charge.MAYBE == caught.value.charge


REFUSALS: list[tuple[int, type[ProviderError]]] = [
    (401, AuthenticationFailed),
    (402, CreditExhausted),
    (404, RequestRejected),
    (422, RequestRejected),
    (429, RateLimited),
    (433, CreditExhausted),
    (505, RequestRejected),
]
TROUBLES: list[tuple[int, type[ProviderError]]] = [
    (400, RequestRejected),
    (408, ProviderUnavailable),
    (455, ProviderUnavailable),
    (500, ProviderUnavailable),
    (501, GenerationFailed),
    (502, ProviderUnavailable),
    (999, ProviderUnavailable),
    (0, ProviderUnavailable),
]


def refusal(code: Any, **more: Any) -> dict[str, Any]:
    return {"code": code, "msg": "made up", "data": None, **more}


@pytest.mark.parametrize(
    "style", ["http-200-with-an-error-code", "http-status-is-the-code", "text"]
)
@pytest.mark.parametrize(
    ("code", "cls", "charge"),
    [(*r, Charge.NO) for r in REFUSALS] + [(*t, Charge.MAYBE) for t in TROUBLES],
)
def test_http_200_with_an_error_code_is_a_refusal(
    code: int, cls: Any, charge: Charge, style: str
) -> None:
    """Both styles occur. Free is what no task can come of by its documented meaning."""
    body = refusal(str(code) if style == "text" else code)
    status = code if style == "http-status-is-the-code" else 200
    error = failed(reply(body, status), Op.SUBMIT, None)

    assert (cls, charge, str(code), "made up", False) == (
        type(error),
        error.charge,
        error.code,
        error.message,
        error.final,
    )


def test_the_message_may_be_spelled_out() -> None:
    """Some pages have ``message`` for ``msg``, and some replies neither."""
    assert "m" == failed(reply({"code": 402, "message": "m"}), Op.SUBMIT, None).message
    assert "no explanation" == failed(reply({"code": 402}), Op.SUBMIT, None).message


@pytest.mark.parametrize(("headers", "seconds"), [({}, 10.0), ({"Retry-After": "3"}, 3.0)])
def test_a_rate_limit_is_over_after_its_window(headers: Any, seconds: float) -> None:
    """20 creates in 10 s, and no header that says how long."""
    error = failed(reply(refusal(429), headers=headers), Op.SUBMIT, None)

    assert seconds == error.retry_after
    assert None is failed(reply(refusal(402)), Op.SUBMIT, None).retry_after


@pytest.mark.parametrize(
    ("status", "body", "cls", "charge"),
    [
        (200, refusal(429, data={"taskId": TASK}), RateLimited, Charge.MAYBE),
        (500, {"code": 200, "msg": "success", "data": None}, ProviderUnavailable, Charge.MAYBE),
        (403, b"<html>Just a moment...</html>", ProviderUnavailable, Charge.NO),
        (429, b"slow down", RateLimited, Charge.MAYBE),
        (402, {"error": "x"}, CreditExhausted, Charge.MAYBE),
        (302, b"", ProviderUnavailable, Charge.MAYBE),
        (502, b"<html>bad gateway</html>", ProviderUnavailable, Charge.MAYBE),
    ],
)
def test_what_names_a_task_or_cannot_be_read_may_be_charged(
    status: int, body: Any, cls: Any, charge: Charge
) -> None:
    """The only success is code 200 with an id; an id with another code is a riddle."""
    error = failed(reply(body, status), Op.SUBMIT, None)

    assert (cls, charge) == (type(error), error.charge)


# -- polled ------------------------------------------------------------------------------


def test_a_task_is_polled_where_it_was_made() -> None:
    """The id is only data; every call has a content type."""
    job = evolve(JOB, base_url="http://localhost:8080/api/v1", id="a/b&c")

    assert KIE.poll(job) == HttpRequest(
        method="GET",
        url="http://localhost:8080/api/v1/jobs/recordInfo?taskId=a%2Fb%26c",
        headers={"Authorization": "Bearer kie_live_secret", "Content-Type": "application/json"},
    )


@pytest.mark.parametrize("state", ["waiting", "queuing", "generating", "dreaming"])
@pytest.mark.parametrize("text", ["", None, "not json", "null", 5])
def test_any_other_state_is_work_in_progress(state: str, text: Any) -> None:
    """Three are documented; before the end nobody looks at ``resultJson``."""
    running = evolve(record(state, resultJson=text), headers={"Retry-After": "4"})

    assert KIE.failure(running, op=Op.POLL, job=JOB) is None
    assert Pending(JOB, retry_after=4.0) == KIE.read_poll(running, JOB)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"resultJson": result(*LINKS)}, id="text-that-holds-JSON"),
        pytest.param({"resultJson": {"resultUrls": list(LINKS)}}, id="object"),
        pytest.param({"resultJson": result("", *LINKS)}, id="an-empty-link"),
        pytest.param({"response": {"resultUrls": list(LINKS)}}, id="response"),
        pytest.param({"resultJson": result(), "response": {"resultUrls": list(LINKS)}}, id="both"),
        pytest.param({"resultJson": result(*LINKS), "response": "odd"}, id="odd-response"),
        pytest.param({"resultJson": result(*LINKS), "param": "{not json"}, id="param-broken"),
        pytest.param({"resultJson": result(*LINKS), "param": {"input": {}}}, id="param-object"),
        pytest.param({"resultJson": result(*LINKS), "param": None}, id="param-null"),
    ],
)
@pytest.mark.parametrize("state", ["success", "completed"])
def test_resultjson_and_param_are_texts_that_hold_json(state: str, more: dict[str, Any]) -> None:
    """``param`` only repeats the request, so nothing rests on it."""
    done = record(state, completeTime=1795000021000, **more)

    assert KIE.failure(done, op=Op.POLL, job=JOB) is None
    step = KIE.read_poll(done, JOB)

    assert isinstance(step, Done)
    end = datetime(2026, 11, 18, 11, 7, 1, tzinfo=UTC) + DAY
    assert tuple(Image(url=url, seed=SEED, expires_at=end) for url in LINKS) == step.delivery.images
    assert done.json() == step.delivery.raw


@pytest.mark.parametrize(("asked", "shown"), [(None, SEED), (0, 0), (42, 42)])
def test_the_seed_that_was_sent_is_on_the_pictures(asked: int | None, shown: int) -> None:
    """The only place where a caller learns a chosen one."""
    job = evolve(JOB, request=evolve(CRATES, seed=asked))
    step = KIE.read_poll(record("success", resultJson=result(LINKS[0])), job)

    assert isinstance(step, Done)
    assert shown == step.delivery.images[0].seed == given(job.request)["seed"]


@pytest.mark.parametrize("time", [None, 0, "x", 1795000021, 10**18, -1])
def test_without_a_sane_end_links_hold_a_day_from_now(time: Any) -> None:
    """24 hours on one page, 14 days on another."""
    step = KIE.read_poll(record("success", resultJson=result(LINKS[0]), completeTime=time), JOB)

    assert isinstance(step, Done)
    assert NOW + DAY == step.delivery.images[0].expires_at


CREDITS: list[tuple[dict[str, Any], Decimal | None, Charge]] = [
    ({"creditsConsumed": 12}, Decimal(12), Charge.YES),
    ({"creditsConsumed": 4.5}, Decimal("4.5"), Charge.YES),
    ({"consumeCredits": 12}, Decimal(12), Charge.YES),
    ({"creditsConsumed": "12"}, Decimal(12), Charge.YES),
    ({"creditsConsumed": 0}, None, Charge.NO),
    ({"creditsConsumed": 0, "consumeCredits": 9}, None, Charge.NO),
    ({"creditsConsumed": None}, None, Charge.MAYBE),
    ({"creditsConsumed": -1}, None, Charge.MAYBE),
    ({"creditsConsumed": "1e999999"}, None, Charge.MAYBE),
    ({"creditsConsumed": [12]}, None, Charge.MAYBE),
    ({}, None, Charge.MAYBE),
]


@pytest.mark.parametrize(("more", "credits", "charge"), CREDITS)
def test_the_credits_of_the_last_reply_are_the_cost(
    more: Any, credits: Decimal | None, charge: Charge
) -> None:
    """In credits, or in dollars at the configured price, to the last digit."""
    done = record("success", resultJson=result(LINKS[0]), **more)
    priced = evolve(KIE, options=Options(usd_per_credit="0.005123456"))
    with localcontext() as context:
        context.prec = 2
        steps = [adapter.read_poll(done, JOB) for adapter in (KIE, priced)]

    costs = [step.delivery.cost for step in steps if isinstance(step, Done)]
    assert [
        credits and Money(credits, "KIE-CREDITS"),
        credits and Money(credits * Decimal("0.005123456"), "USD"),
    ] == costs


@pytest.mark.parametrize("state", ["fail", "failed"])
@pytest.mark.parametrize(("more", "credits", "charge"), CREDITS)
def test_a_failed_task_costs_what_its_credits_say(
    state: str, more: Any, credits: Any, charge: Charge
) -> None:
    """0 is free, more is charged, and without a word nobody knows."""
    error = failed(record(state, failCode="501", failMsg="upstream refused the input", **more))

    assert (GenerationFailed, charge, "501", "upstream refused the input", None, True, JOB) == (
        type(error),
        error.charge,
        error.code,
        error.message,
        error.status,
        error.final,
        error.job,
    )


@pytest.mark.parametrize(
    ("code", "cls", "told"),
    [
        ("400", ContentRefused, "400"),
        (400, ContentRefused, "400"),
        ("422", RequestRejected, "422"),
        ("500", GenerationFailed, "500"),
        ("internal_error", GenerationFailed, "internal_error"),
        ("", GenerationFailed, None),
        (None, GenerationFailed, None),
        ([], GenerationFailed, None),
    ],
)
def test_a_failed_task_has_a_code_of_its_own(code: Any, cls: Any, told: Any) -> None:
    """A number as text, or a word; 400 is the content policy."""
    error = failed(record("fail", failCode=code, failMsg=None, resultJson="odd"))

    assert (cls, told, "no explanation") == (type(error), error.code, error.message)


@pytest.mark.parametrize(
    ("more", "charge"),
    [
        ({"creditsConsumed": 12}, Charge.YES),
        ({"creditsConsumed": 0}, Charge.MAYBE),
        ({}, Charge.MAYBE),
    ],
)
@pytest.mark.parametrize("text", ["", None, "{}", result(), result(""), '{"resultUrls": null}'])
def test_a_success_without_a_link_is_the_end_and_at_least_perhaps_charged(
    text: Any, more: Any, charge: Charge
) -> None:
    """An error to report, not to retry."""
    error = failed(record("success", resultJson=text, **more))

    assert (GenerationFailed, charge, True, JOB) == (
        type(error),
        error.charge,
        error.final,
        error.job,
    )


def test_a_picture_is_worth_more_than_a_state_or_a_code() -> None:
    """At least one picture came, so it is no failure."""
    for odd in (
        record("fail", resultJson=result(LINKS[0])),
        reply({**record("success", resultJson=result(LINKS[0])).json(), "code": 501}),
    ):
        assert KIE.failure(odd, op=Op.POLL, job=JOB) is None
        assert isinstance(KIE.read_poll(odd, JOB), Done)


@pytest.mark.parametrize("status", [None, 200])
@pytest.mark.parametrize(
    ("code", "said"), [(422, "recordInfo is null"), (404, "Task not found"), ("422", "null")]
)
def test_422_recordinfo_is_null_is_missing_not_the_end(code: Any, said: str, status: Any) -> None:
    """So it reads right after a create, for up to a minute."""
    response = reply({"code": code, "msg": said, "data": None}, status or int(code))

    assert KIE.failure(response, op=Op.POLL, job=JOB) is None
    assert isinstance(KIE.read_poll(response, JOB), Missing)
    assert 60.0 == KIE.offers[0].limits.missing_grace


@pytest.mark.parametrize("status", [404, 422])
@pytest.mark.parametrize("body", [b"<html>not here</html>", b"", {"message": "no route"}, []])
def test_a_404_from_an_edge_says_nothing_of_the_task(body: Any, status: int) -> None:
    """An outage must not turn a paid task into a lost one."""
    assert not failed(reply(body, status)).final


@pytest.mark.parametrize(
    ("code", "cls"), [r for r in REFUSALS if r[0] not in (404, 422)] + TROUBLES
)
def test_a_refused_poll_says_nothing_of_the_task_unless_it_failed(code: int, cls: Any) -> None:
    """On a 429 or in maintenance the task goes on; 501 is the task's own end."""
    for status in (200, code):
        error = failed(reply(refusal(code), status))

        assert (cls, Charge.MAYBE, code == 501, JOB) == (
            type(error),
            error.charge,
            error.final,
            error.job,
        )


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (record(None), r"\$\.data\.state"),
        (record(5), r"\$\.data\.state"),
        (ok({"taskId": TASK}), r"\$\.data\.state: missing"),
        (ok(None), r"\$\.data: expected object"),
        (record("success", resultJson="{not json"), r"\$\.data\.resultJson"),
        (record("success", resultJson="[" * 99_999), r"\$\.data\.resultJson"),
        (record("success", resultJson="[]"), r"\$\.data\.resultJson"),
        (record("success", resultJson=result(5)), r"\$\.data\.resultJson\.resultUrls\[0\]"),
        (record("success", resultJson='{"resultUrls": "x"}'), r"resultJson\.resultUrls"),
        (reply([]), "expected object"),
        (reply(b"{"), "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_place(response: HttpResponse, path: str) -> None:
    """Also inside the text; polling goes on, no code of ours has to guess."""
    assert KIE.failure(response, op=Op.POLL, job=JOB) is None
    with pytest.raises(MalformedResponse, match=path):
        KIE.read_poll(response, JOB)


# -- balance and new links ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "left"), [(None, Money("812.5", "KIE-CREDITS")), ("0.005", Money("4.0625", "USD"))]
)
def test_the_balance_is_credits_with_fractions(rate: str | None, left: Money) -> None:
    """Declared an integer, met with a fraction."""
    adapter = evolve(KIE, options=Options(usd_per_credit=rate))

    found, (message,) = conversed(adapter.balance(), ok(812.5))

    assert left == found
    assert ("GET", "https://api.kie.ai/api/v1/chat/credit") == (message.method, message.url)


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply(refusal(401)), AuthenticationFailed),
        (reply(refusal(404)), RequestRejected),
        (ok(None), MalformedResponse),
        (ok(True), MalformedResponse),
        (reply(b"812"), MalformedResponse),
    ],
)
def test_a_balance_that_cannot_be_had_is_an_error(answer: HttpResponse, cls: Any) -> None:
    """Never a float, never a guess."""
    with pytest.raises(cls):
        conversed(KIE.balance(), answer)


def test_links_can_be_renewed_for_twenty_minutes() -> None:
    """One call a picture, after a look at what there is; only KIE's own links are taken."""
    done = record("success", resultJson=result(*LINKS[:2]))

    images, messages = conversed(KIE.refresh(JOB), done, ok("https://t/1"), ok("https://t/2"))

    end = NOW + timedelta(minutes=20)
    assert images == (
        Image(url="https://t/1", seed=SEED, expires_at=end),
        Image(url="https://t/2", seed=SEED, expires_at=end),
    )
    assert KIE.poll(JOB) == messages[0]
    assert [
        ("https://api.kie.ai/api/v1/common/download-url", {"url": link}) for link in LINKS[:2]
    ] == [(message.url, message.json()) for message in messages[1:]]


@pytest.mark.parametrize(
    ("answers", "cls"),
    [
        ([record("generating")], UnsupportedFeature),
        ([reply(refusal(422))], UnsupportedFeature),
        ([record("fail")], GenerationFailed),
        ([record("success", resultJson=result(*LINKS)), reply(refusal(422))], RequestRejected),
        ([record("success", resultJson=result(*LINKS)), ok(None)], MalformedResponse),
    ],
)
def test_links_that_cannot_be_renewed_are_an_error(answers: Any, cls: Any) -> None:
    """Nothing to renew, or not KIE's."""
    with pytest.raises(cls):
        conversed(KIE.refresh(JOB), *answers)


def test_what_kie_has_not_is_said() -> None:
    """No cancel and no list of models are documented."""
    with pytest.raises(UnsupportedFeature):
        next(KIE.cancel(JOB))
    with pytest.raises(UnsupportedFeature):
        next(KIE.models())


# -- what it sells, and settings ---------------------------------------------------------


def test_both_models_are_sold_under_names_with_dashes() -> None:
    """A dotted one is refused with 422; what a failure costs is said afterwards."""
    assert [
        ("wan2.7-image", "wan/2-7-image", None, Charge.MAYBE),
        (PRO, "wan/2-7-image-pro", None, Charge.MAYBE),
    ] == [(o.model, o.alias, o.output, o.failure_charge) for o in KIE.offers]
    assert (2.0, 100) == (KIE.offers[0].limits.rates.creates, KIE.offers[0].limits.rates.running)


def test_options_come_from_the_configuration() -> None:
    """Decimals as text, URLs checked."""
    settings = {
        "api_key": "x",
        "webhook_key": "w",
        "upload_url": "https://api.kie.ai/",
        "usd_per_credit": "0.005",
    }

    (adapter,) = load({"providers": {"kie": settings}}).adapters

    assert adapter.options == Options(
        webhook_key="w", upload_url="https://api.kie.ai", usd_per_credit=Decimal("0.005")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"usd_per_credit": 0.005},
        {"usd_per_credit": "0"},
        {"usd_per_credit": "0.000"},
        {"usd_per_credit": "cheap"},
        {"upload_url": "http://up.example"},
        {"webhook_key": ""},
        {"webhook_keys": "w"},
    ],
)
def test_a_wrong_option_is_named(wrong: dict[str, Any]) -> None:
    """By the schema, with its path."""
    with pytest.raises(ConfigurationError, match=rf"\$\.providers\.kie\.{next(iter(wrong))}"):
        load({"providers": {"kie": {"api_key": "x", **wrong}}})


@pytest.mark.parametrize("wrong", [0.005, "0", "-1", "x"])
def test_a_wrong_price_of_a_credit_cannot_be_built(wrong: Any) -> None:
    """Money is never a float."""
    with pytest.raises(ValueError):
        Options(usd_per_credit=wrong)


def test_a_wrong_upload_url_names_its_setting() -> None:
    """Not base_url, which is another."""
    with pytest.raises(ConfigurationError, match="upload_url"):
        Options(upload_url="ftp://x")
