"""What is peculiar to DashScope: two paths for one body, codes that mislead, links of a day.

Replies are written from https://help.aliyun.com/zh/model-studio/
wan-image-generation-and-editing-api-reference and its sibling pages, read 2026-11-20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.steps import Cancelled, Done, Missing, Op, Pending, TooLate
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
from wanbridge.model.jobs import Job
from wanbridge.model.notes import Note
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size import Size
from wanbridge.providers.dashscope import DashScope
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
TASK = "3f0c7a52-6d1e-4b57-9a53-0c6f2b8a1d44"
LINK = "https://results.example.com/1d/20261120/mill-1.png?Expires=1795300000&Signature=Zm9v"
PRO = "wan2.7-image-pro"
MB = 1_000_000

TASKS = DashScope(api_key="sk-secret")
SYNC = DashScope(api_key="sk-secret", options=DashScope.Options(mode="sync"))
MILL = ImageRequest("a water mill in fog")
DUO = tuple(InputImage(f"https://pictures.example.com/{name}") for name in ("cup.png", "tray.png"))
PALETTE = (
    PaletteColor("#102030", "50"),
    PaletteColor("#A0B0C0", "33.4"),
    PaletteColor("#ffeedd", "16.60"),
)
JOB = Job(
    provider="dashscope",
    account="dashscope",
    base_url="https://dashscope-intl.aliyuncs.com/api/v1",
    id=TASK,
    request=MILL,
    submitted_at=NOW,
    key="k",
)


def sent(request: ImageRequest, adapter: DashScope = TASKS, **options: Any) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key="k")


def parameters(request: ImageRequest, **options: Any) -> Any:
    return sent(request, **options).json()["parameters"]


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def choice(*links: str) -> dict[str, Any]:
    content = [{"type": "image", "image": link} for link in links]
    return {"finish_reason": "stop", "message": {"role": "assistant", "content": content}}


def task(status: str, **more: Any) -> HttpResponse:
    return reply({"request_id": "r-1", "output": {"task_id": TASK, "task_status": status, **more}})


def failed(response: HttpResponse, op: Op = Op.POLL, job: Job | None = JOB) -> ProviderError:
    error = TASKS.failure(response, op=op, job=job)
    assert error is not None
    return error


def done(response: HttpResponse) -> Done:
    """The end of a poll in which there is no failure."""
    assert TASKS.failure(response, op=Op.POLL, job=JOB) is None
    step = TASKS.read_poll(response, JOB)
    assert isinstance(step, Done)
    return step


# -- the request -------------------------------------------------------------------------


def test_a_task_is_asked_for_by_path_and_header() -> None:
    """The async path without its header is 403 AccessDenied."""
    message = sent(MILL)

    assert message == HttpRequest(
        method="POST",
        url="https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/image-generation/generation",
        headers={
            "Authorization": "Bearer sk-secret",
            "X-DashScope-Async": "enable",
            "Content-Type": "application/json",
        },
        body=message.body,
        read_timeout=None,
    )


def test_the_sync_path_has_no_async_header_and_a_long_timeout() -> None:
    """The server may take 300 s; the header would be 403 AccessDenied there."""
    message = sent(MILL, SYNC)

    path = "/services/aigc/multimodal-generation/generation"
    assert f"https://dashscope-intl.aliyuncs.com/api/v1{path}" == message.url
    assert message.header("X-DashScope-Async") is None
    assert 310.0 == message.read_timeout
    assert sent(MILL).body == message.body


def test_only_sync_mode_answers_at_once() -> None:
    """A sync call makes no task, so there is no job to keep."""
    assert SYNC.at_once
    assert not TASKS.at_once


def test_the_key_is_in_no_repr() -> None:
    """Reprs end up in logs."""
    assert "sk-secret" not in repr([TASKS, sent(MILL), TASKS.poll(JOB)])


def test_without_a_key_the_setting_is_named() -> None:
    """Tables and quotes need no key, a call does."""
    with pytest.raises(MissingCredentials, match="DASHSCOPE_API_KEY"):
        sent(MILL, DashScope())


@pytest.mark.parametrize("option", [{"mode": "batch"}, {"region": "frankfurt"}])
def test_an_unknown_option_is_refused(option: dict[str, Any]) -> None:
    """A misspelled mode must not fall back to another way to pay."""
    with pytest.raises(ValueError, match="must be in"):
        DashScope.Options(**option)


WORKSPACE = DashScope.Options(workspace="ws-7f3")
OWN_HOST = "https://ws-7f3.cn-beijing.maas.aliyuncs.com/api/v1"


@pytest.mark.parametrize(
    ("adapter", "header"),
    [
        (TASKS, None),
        (DashScope(api_key="x", options=WORKSPACE), "ws-7f3"),
        (DashScope(api_key="x", options=WORKSPACE, base_url=OWN_HOST), None),
    ],
)
def test_a_workspace_is_named_on_shared_hosts(adapter: DashScope, header: str | None) -> None:
    """A workspace's own host takes keys of that workspace only."""
    message = sent(MILL, adapter)

    assert header == message.header("X-DashScope-WorkSpace")
    assert message.url.startswith(adapter.base_url + "/services/aigc/")


@pytest.mark.parametrize(
    ("images", "header"),
    [((), None), (DUO, None), ((*DUO, InputImage("oss://dashscope-instant/a/b.png")), "enable")],
)
def test_only_oss_links_are_resolved(images: tuple[InputImage, ...], header: str | None) -> None:
    """The header is required with oss:// and said to cause timeouts with ordinary links."""
    message = sent(evolve(MILL, images=images))

    assert header == message.header("X-DashScope-OssResourceResolve")


TEXT_BODY = {"size": "2K", "n": 1, "thinking_mode": True, "watermark": False}
EDIT_BODY = {"size": "2K", "n": 1, "watermark": False}


@pytest.mark.parametrize(
    ("request_", "model", "expected"),
    [
        pytest.param(MILL, "wan2.7-image", TEXT_BODY, id="minimal"),
        pytest.param(
            evolve(MILL, thinking=False, size="4:3@1K", n=3, seed=0),
            "wan2.7-image",
            {
                "size": "1168*880",
                "n": 3,
                "thinking_mode": False,
                "watermark": False,
                "seed": 0,
            },
            id="fast-draft",
        ),
        pytest.param(
            evolve(MILL, output_format="png", inline=True, size="768x768"),
            "wan2.7-image",
            {**TEXT_BODY, "size": "768*768"},
            id="inline-png",
        ),
        pytest.param(
            evolve(MILL, watermark=True, size="9:16"),
            "wan2.7-image",
            {"size": "1520*2704", "n": 1, "thinking_mode": True, "watermark": True},
            id="watermark",
        ),
        pytest.param(
            evolve(MILL, model=PRO, size="16:9@4K", n=2, thinking=True),
            PRO,
            {"size": "5376*3024", "n": 2, "thinking_mode": True, "watermark": False},
            id="print-4k",
        ),
        pytest.param(
            evolve(MILL, model=PRO, size="4K"), PRO, {**TEXT_BODY, "size": "4K"}, id="4k-square"
        ),
        pytest.param(
            evolve(MILL, model=PRO, sequential=True, n=12, size="3:2@2K"),
            PRO,
            {"size": "2496*1664", "n": 12, "enable_sequential": True, "watermark": False},
            id="sequential",
        ),
        pytest.param(
            evolve(MILL, size="1536x1024", seed=2147483647, color_palette=PALETTE),
            "wan2.7-image",
            {
                "size": "1536*1024",
                "n": 1,
                "thinking_mode": True,
                "color_palette": [
                    {"hex": "#102030", "ratio": "50.00%"},
                    {"hex": "#A0B0C0", "ratio": "33.40%"},
                    {"hex": "#FFEEDD", "ratio": "16.60%"},
                ],
                "watermark": False,
                "seed": 2147483647,
            },
            id="wide-palette",
        ),
    ],
)
def test_a_request_without_images_is_one_text(
    request_: ImageRequest, model: str, expected: Any
) -> None:
    """Parameters in DashScope's words; what is not said is not there."""
    body = sent(request_).json()

    message = {"role": "user", "content": [{"text": "a water mill in fog"}]}
    assert {"model": model, "input": {"messages": [message]}, "parameters": expected} == body
    assert list(expected) == list(body["parameters"])


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(evolve(MILL, images=DUO), EDIT_BODY, id="two-references"),
        pytest.param(evolve(MILL, images=DUO, size="1K"), {**EDIT_BODY, "size": "1K"}, id="tier"),
        pytest.param(
            evolve(MILL, images=DUO, size="16:9"), {**EDIT_BODY, "size": "2704*1520"}, id="ratio"
        ),
        pytest.param(
            evolve(MILL, images=DUO, size="1024x1024", seed=5, color_palette=PALETTE),
            {
                "size": "1024*1024",
                "n": 1,
                "color_palette": [
                    {"hex": "#102030", "ratio": "50.00%"},
                    {"hex": "#A0B0C0", "ratio": "33.40%"},
                    {"hex": "#FFEEDD", "ratio": "16.60%"},
                ],
                "watermark": False,
                "seed": 5,
            },
            id="pixels-palette",
        ),
        pytest.param(
            evolve(MILL, images=(DUO[0], evolve(DUO[1], regions=[(9, 5, 90, 80)]))),
            {"size": "2K", "n": 1, "bbox_list": [[], [[9, 5, 90, 80]]], "watermark": False},
            id="second-image-boxed",
        ),
        pytest.param(
            evolve(MILL, images=(evolve(DUO[0], regions=[(0, 0, 9, 9), (20, 0, 30, 9)]), DUO[1])),
            {
                "size": "2K",
                "n": 1,
                "bbox_list": [[[0, 0, 9, 9], [20, 0, 30, 9]], []],
                "watermark": False,
            },
            id="two-regions",
        ),
        pytest.param(
            evolve(MILL, images=DUO, sequential=True, n=2),
            {"size": "2K", "n": 2, "enable_sequential": True, "watermark": False},
            id="set-with-references",
        ),
    ],
)
def test_images_come_in_order_before_the_one_text(request_: ImageRequest, expected: Any) -> None:
    """ "image 1" in the prompt is the first image part."""
    body = sent(request_).json()

    content = [
        {"image": "https://pictures.example.com/cup.png"},
        {"image": "https://pictures.example.com/tray.png"},
        {"text": "a water mill in fog"},
    ]
    assert [{"role": "user", "content": content}] == body["input"]["messages"]
    assert expected == body["parameters"]


def test_six_references_stay_in_order() -> None:
    """The prompt numbers them."""
    images = [f"https://pictures.example.com/{i}.jpg" for i in range(6)]

    content = sent(evolve(MILL, images=images)).json()["input"]["messages"][0]["content"]

    assert [*({"image": url} for url in images), {"text": MILL.prompt}] == content


def test_an_empty_prompt_is_an_empty_text() -> None:
    """One page requires the text part, so it is there even when it says nothing."""
    content = sent(ImageRequest(images=DUO[:1])).json()["input"]["messages"][0]["content"]

    assert [{"image": "https://pictures.example.com/cup.png"}, {"text": ""}] == content


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="),
        ("http://pictures.example.com/a.bmp", "http://pictures.example.com/a.bmp"),
        ("oss://dashscope-instant/a/b.png", "oss://dashscope-instant/a/b.png"),
        ("https://x.example/a%2Fb.png?s=Zm9v%3D+1", "https://x.example/a%2Fb.png?s=Zm9v%3D+1"),
        ("https://x.example/mühle.png?s=a%3D", "https://x.example/m%C3%BChle.png?s=a%3D"),
    ],
)
def test_a_link_stays_as_it_is_but_for_what_is_not_ascii(url: str, wire: str) -> None:
    """A signature must stay byte for byte; DashScope wants the rest percent-encoded."""
    content = sent(evolve(MILL, images=(url,))).json()["input"]["messages"][0]["content"]

    assert {"image": wire} == content[0]


def png(size: int = 0, *, width: int = 1200, height: int = 900, colour: int = 2) -> InputImage:
    """A PNG by its first bytes, padded to *size* bytes; the padding differs with the width."""
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides + bytes([8, colour]) + b"\0\0\0"
    return InputImage.from_bytes(head.ljust(size, b"\0"))


def test_a_picture_of_twenty_megabytes_is_the_largest() -> None:
    """Up to 7 MB it goes inline as the error page advises; above it is uploaded, with a note."""
    small, fits, much = (evolve(MILL, images=(png(n),)) for n in (7 * MB, 20 * MB, 20 * MB + 1))

    assert ((), ()) == (fit(TASKS, small).problems, fit(TASKS, small).notes)
    assert () == fit(TASKS, fits).problems
    said = "images[0]: 20,000,000 bytes are uploaded to DashScope first, for 48 hours"
    assert (Note("images", "info", said),) == fit(TASKS, fits).notes
    with pytest.raises(UnsupportedFeature, match="20,000,001 bytes inline; at most 20,000,000"):
        fit(TASKS, much).settle()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (png(width=239), "239x900; each side at least 240 px here"),
        (png(width=900, height=8001), "900x8001; each side at most 8,000 px here"),
        (png(width=300, height=2401), "300x2401; from 1:8 to 8:1 here"),
        (InputImage(DUO[0].url, width=100, height=100), "100x100; each side at least 240"),
        (InputImage.from_bytes(b"GIF89a" + bytes(20)), "image/gif; taken here: image/bmp"),
        (InputImage("data:image/png;base64," + "A" * 32), "no picture of a known format"),
        (InputImage("data:image/png;base64,?"), "not base64"),
    ],
)
def test_a_picture_that_breaks_a_rule_is_refused_first(image: InputImage, reason: str) -> None:
    """With its index, what it is and what would be right; nothing was sent."""
    request = evolve(MILL, images=(DUO[1], image))

    with pytest.raises(UnsupportedFeature) as caught:
        fit(TASKS, request).settle()

    assert "images" == caught.value.field
    assert caught.value.reason.startswith("images[1]: ")
    assert reason in caught.value.reason
    assert () == fit(TASKS, request, check_limits=False).problems


def test_pictures_at_the_edge_of_the_rules_are_taken() -> None:
    """240 and 8000 pixels, 1:8 and 8:1 are good."""
    sides = ((240, 1920), (8000, 1000), (8000, 8000), (240, 240))
    images = tuple(png(width=w, height=h) for w, h in sides)

    assert () == fit(TASKS, evolve(MILL, images=images)).problems


def test_an_alpha_channel_of_a_png_is_refused() -> None:
    """It is "not supported"; the limit can be waived like any other, as many are opaque anyway."""
    request = evolve(MILL, images=(png(colour=2), png(colour=6)))

    [problem] = fit(TASKS, request).problems

    said = "images[1]: a PNG with alpha, which is not supported here; fit=True (--fit"
    assert problem.reason.startswith(said)
    assert () == fit(TASKS, request).notes
    assert () == fit(TASKS, request, check_limits=False).problems


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (evolve(MILL, negative_prompt="blur"), "negative_prompt"),
        (evolve(MILL, callback_url="https://app.example.com/hook"), "callback_url"),
        (evolve(MILL, output_format="webp"), "output_format"),
        (evolve(MILL, size="4K"), "size"),
        (evolve(MILL, model=PRO, size="4K", images=DUO), "size"),
        (evolve(MILL, model=PRO, size="4K", sequential=True), "size"),
        (evolve(MILL, size="2049x2048"), "size"),
        (evolve(MILL, model=PRO, size="2049x2048", images=DUO), "size"),
        (evolve(MILL, size="767x768"), "size"),
        (evolve(MILL, size="4100x500"), "size"),
        (evolve(MILL, size="9:1"), "size"),
        (evolve(MILL, images=(InputImage(ref={"runware": "abc"}),)), "images"),
        (evolve(MILL, sequential=True, color_palette=PALETTE), "color_palette"),
        (
            evolve(MILL, sequential=True, images=(evolve(DUO[0], regions=[(0, 0, 9, 9)]),)),
            "regions",
        ),
    ],
)
def test_what_dashscope_cannot_say_is_refused_unsent(request_: ImageRequest, field: str) -> None:
    """Some of it DashScope would ignore, and bill."""
    with pytest.raises(UnsupportedFeature) as caught:
        fit(TASKS, request_).settle()

    assert ("dashscope", field) == (caught.value.provider, caught.value.field)


@pytest.mark.parametrize("size", ["768x768", "2048x2048", "4096x1024", "1K", "8:1@1K", "1:8"])
def test_sizes_are_limited_by_area_and_ratio_alone(size: str) -> None:
    """No limit on a side is documented."""
    assert () == fit(TASKS, evolve(MILL, size=size)).problems


def test_a_wrong_tier_can_be_sent_on_demand() -> None:
    """Documented limits age."""
    assert "4K" == parameters(evolve(MILL, size="4K"), check_limits=False)["size"]


def test_a_ref_cannot_be_said_even_unchecked() -> None:
    """An image that is left out silently would be another picture."""
    with pytest.raises(UnsupportedFeature, match="give a URL"):
        sent(evolve(MILL, images=(InputImage(ref={"runware": "abc"}),)), check_limits=False)


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"inline": True}, "adapted"),
        ({"output_format": "png"}, "info"),
        ({"thinking": True, "images": DUO}, "ignored"),
        ({"thinking": False, "sequential": True}, "ignored"),
    ],
)
def test_what_is_met_otherwise_has_a_note(fields: dict[str, Any], note: str) -> None:
    """Nothing vanishes in silence."""
    assert [note] == [n.kind for n in fit(TASKS, evolve(MILL, **fields)).notes]


def test_dropped_fields_leave_no_trace_on_the_wire() -> None:
    """The caller allowed it."""
    asked = evolve(MILL, negative_prompt="blur", callback_url="https://app.example.com/hook")

    assert TEXT_BODY == parameters(asked, may_drop=("negative_prompt", "callback_url"))


def test_extras_join_the_parameters() -> None:
    """Also values that we would leave out ourselves, and those of no other provider."""
    extra: dict[str, Any] = {
        "dashscope": {"prompt_extend": None, "style": 3},
        "kie": {"nsfw_checker": True},
    }

    expected = {**TEXT_BODY, "prompt_extend": None, "style": 3}
    assert expected == parameters(evolve(MILL, extra=extra))


@pytest.mark.parametrize(
    "taken", [*EDIT_BODY, "bbox_list", "thinking_mode", "max_images", "stream"]
)
def test_an_extra_of_our_own_is_refused(taken: str) -> None:
    """Two places for one fact, or a count that nobody has reckoned with."""
    with pytest.raises(InvalidRequest, match=taken):
        sent(evolve(MILL, extra={"dashscope": {taken: 1}}))


def test_pixels_are_none_where_the_tier_goes_as_a_word() -> None:
    """Explain shows what is sent."""
    offer = TASKS.offer("wan2.7-image")

    assert TASKS.pixels(evolve(MILL, images=DUO), offer) is None
    assert TASKS.pixels(evolve(MILL, size="1000x900"), offer) == (
        TASKS.in_pixels(evolve(MILL, size=Size(1000, 900)), offer)
    )


@pytest.mark.parametrize(
    ("host", "option", "region", "assumed"),
    [
        ("dashscope-intl.aliyuncs.com", None, "singapore", False),
        ("dashscope.aliyuncs.com", None, "beijing", False),
        ("llm-1.cn-beijing.maas.aliyuncs.com", None, "beijing", False),
        ("llm-1.ap-southeast-1.maas.aliyuncs.com", None, "singapore", False),
        ("llm-1.ap-northeast-1.maas.aliyuncs.com", None, "singapore", True),
        ("dashscope-intl.aliyuncs.com", "beijing", "beijing", False),
    ],
)
def test_prices_follow_the_option_then_the_host(
    host: str, option: str | None, region: str, assumed: bool
) -> None:
    """Beijing bills in CNY, Singapore in USD; a guess is said to be one."""
    options = DashScope.Options(region=option)
    adapter = DashScope(base_url=f"https://{host}/api/v1", options=options)

    assert region == adapter.price_region
    assert assumed == bool(adapter.price_assumes)


# -- submitted ---------------------------------------------------------------------------


def test_a_created_task_can_be_collected_for_a_day() -> None:
    """Task, result and links are gone after 24 hours."""
    created = reply({"request_id": "r", "output": {"task_status": "PENDING", "task_id": TASK}})

    assert TASKS.failure(created, op=Op.SUBMIT) is None
    step = TASKS.read_submission(created, MILL, key="k")

    assert Pending(evolve(JOB, collect_by=NOW + timedelta(hours=24))) == step


def test_an_accepted_task_is_a_job_whatever_else_the_reply_says() -> None:
    """It is polled for what became of it; a code beside an id must not lose it."""
    odd = reply(
        {
            "code": "InternalError",
            "message": "m",
            "output": {"task_id": TASK, "task_status": "FAILED"},
        }
    )

    assert TASKS.failure(odd, op=Op.SUBMIT) is None
    assert isinstance(TASKS.read_submission(odd, MILL, key="k"), Pending)


def test_a_sync_call_brings_the_pictures() -> None:
    """No job; links live for 24 hours."""
    body = {
        "request_id": "r-2",
        "output": {"choices": [choice(LINK)], "finished": True},
        "usage": {"image_count": 1, "size": "2048*2048", "input_tokens": 812},
    }
    step = SYNC.read_submission(reply(body), MILL, key="k")

    assert SYNC.failure(reply(body), op=Op.SUBMIT) is None
    assert isinstance(step, Done)
    assert (Image(url=LINK, expires_at=NOW + timedelta(hours=24)),) == step.delivery.images
    assert (1, "r-2", (), body) == (
        step.delivery.billed,
        step.delivery.request_id,
        step.delivery.notes,
        step.delivery.raw,
    )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, r"\$\.output"),
        ({"request_id": "r", "output": {"task_status": "PENDING"}}, r"\$\.output"),
        ({"output": {"task_id": ""}}, r"\$\.output"),
        ({"output": {"task_id": 17}}, r"\$\.output\.task_id"),
        (
            {"output": {"choices": [{"message": {"content": [{"image": 5}]}}]}},
            r"content\[0\]\.image",
        ),
        ({"output": {"choices": [{"message": {"content": "text"}}]}}, r"message\.content"),
        ([], "expected object"),
        (b"<html>busy</html>", "not JSON"),
    ],
)
def test_a_submit_without_id_or_image_is_malformed(body: Any, path: str) -> None:
    """Nobody knows whether it was bought; the message says where to look."""
    assert TASKS.failure(reply(body), op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse, match=path) as caught:
        TASKS.read_submission(reply(body), MILL, key="k")

    assert Charge.MAYBE == caught.value.charge


@pytest.mark.parametrize("choices", [[], [choice()]])
def test_a_sync_reply_without_a_picture_may_have_been_billed(choices: Any) -> None:
    """It says completed; only failures are documented to be free."""
    error = failed(reply({"request_id": "r", "output": {"choices": choices}}), Op.SUBMIT, None)

    assert (GenerationFailed, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize("mode", [TASKS, SYNC])
def test_a_200_with_a_code_and_no_output_is_a_failure(mode: DashScope) -> None:
    """Seen by the SDK; whether it was bought is not documented."""
    body = {"request_id": "r-3", "code": "DataInspectionFailed", "message": "no"}
    error = mode.failure(reply(body), op=Op.SUBMIT)

    assert isinstance(error, ContentRefused)
    assert (Charge.MAYBE, "r-3", None, False, body) == (
        error.charge,
        error.request_id,
        error.status,
        error.final,
        error.raw,
    )


# -- polled ------------------------------------------------------------------------------


def test_a_task_is_polled_where_it_was_made() -> None:
    """The key alone; the id is only data."""
    job = evolve(JOB, base_url=OWN_HOST, id="a/b?c")

    assert TASKS.poll(job) == HttpRequest(
        method="GET",
        url=f"{OWN_HOST}/tasks/a%2Fb%3Fc",
        headers={"Authorization": "Bearer sk-secret"},
    )


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "SUSPENDED"])
def test_a_running_task_is_pending(status: Any) -> None:
    """SUSPENDED is in the SDK only; times may be missing, a code or empty choices mean nothing."""
    for more in ({}, {"submit_time": "2026-11-20 10:00:00.123"}, {"code": "x", "choices": []}):
        assert TASKS.failure(task(status, **more), op=Op.POLL, job=JOB) is None
        assert Pending(JOB) == TASKS.read_poll(task(status, **more), JOB)


def test_a_wish_to_wait_is_passed_on() -> None:
    """Not documented, and seen."""
    running = evolve(task("RUNNING"), headers={"Retry-After": "7"})

    assert Pending(JOB, retry_after=7.0) == TASKS.read_poll(running, JOB)


def test_an_unknown_task_is_missing() -> None:
    """A fresh id may read UNKNOWN for some seconds, an old one has ended."""
    assert TASKS.failure(task("UNKNOWN"), op=Op.POLL, job=JOB) is None
    assert isinstance(TASKS.read_poll(task("UNKNOWN"), JOB), Missing)


def test_a_404_of_a_poll_is_missing_too() -> None:
    """The service's own 404; UNKNOWN is what the page says."""
    response = reply({"request_id": "r", "code": "NotFound", "message": "m"}, 404)

    assert TASKS.failure(response, op=Op.POLL, job=JOB) is None
    assert Missing() == TASKS.read_poll(response, JOB)


@pytest.mark.parametrize("body", [b"<html>not here</html>", b"", [1]])
def test_a_404_from_an_edge_says_nothing_of_the_task(body: Any) -> None:
    """An outage must not turn a paid task into a lost one."""
    assert not failed(reply(body, 404)).final


def test_a_cancelled_task_stops_and_is_free() -> None:
    """Only queued tasks can be cancelled."""
    assert TASKS.failure(task("CANCELED"), op=Op.POLL, job=JOB) is None
    with pytest.raises(JobCancelled) as caught:
        TASKS.read_poll(task("CANCELED"), JOB)

    assert (Charge.NO, JOB) == (caught.value.charge, caught.value.job)


@pytest.mark.parametrize(
    ("choices", "links"),
    [
        ([choice("https://x.example/1?s=a%2Fb", "https://x.example/2")], 2),
        ([choice("https://x.example/1?s=a%2Fb"), choice("https://x.example/2")], 2),
        (
            [
                {
                    "message": {
                        "content": [
                            {"type": "text", "text": "here"},
                            {"image": "https://x.example/1?s=a%2Fb"},
                        ]
                    }
                }
            ],
            1,
        ),
        ([choice(), choice("https://x.example/1?s=a%2Fb")], 1),
    ],
)
def test_pictures_are_gathered_from_every_choice_and_part(choices: Any, links: int) -> None:
    """One choice of n parts and n choices of one part are both seen; text is not a picture."""
    delivery = done(task("SUCCEEDED", choices=choices)).delivery

    expected = ["https://x.example/1?s=a%2Fb", "https://x.example/2"][:links]
    assert expected == [image.url for image in delivery.images]


def test_a_delivery_says_what_is_billed_and_until_when() -> None:
    """Three of four: fewer is no failure, and the count delivered is the count billed."""
    body = {
        "request_id": "r-9",
        "output": {
            "task_id": TASK,
            "task_status": "SUCCEEDED",
            "end_time": "2026-11-20 10:00:41.789",
            "finished": True,
            "choices": [choice(LINK, LINK + "2", LINK + "3")],
        },
        "usage": {"image_count": 3, "size": "2048*2048", "total_tokens": 663},
    }
    delivery = done(reply(body)).delivery

    assert (3, 3, "r-9", None) == (
        len(delivery.images),
        delivery.billed,
        delivery.request_id,
        delivery.cost,
    )
    assert {NOW + timedelta(hours=24)} == {image.expires_at for image in delivery.images}


def test_a_reply_without_a_time_has_links_of_unknown_life() -> None:
    """Values made by hand have none."""
    response = evolve(task("SUCCEEDED", choices=[choice(LINK)]), received_at=None)

    assert (Image(url=LINK),) == done(response).delivery.images


@pytest.mark.parametrize(
    ("usage", "billed", "notes"),
    [
        (None, None, 0),
        ({}, None, 0),
        ({"image_count": 0}, None, 0),
        ({"image_count": 2}, 2, 0),
        ({"image_count": "2"}, None, 1),
        ([], None, 1),
    ],
)
def test_a_strange_usage_does_not_cost_the_picture(
    usage: Any, billed: int | None, notes: int
) -> None:
    """It is paid for; what could not be read is told."""
    body = {
        "output": {"task_status": "SUCCEEDED", "choices": [choice(LINK)]},
        "usage": usage,
        "request_id": "r",
    }
    delivery = done(reply(body)).delivery

    assert (billed, notes) == (delivery.billed, len(delivery.notes))
    assert {"$.usage.image_count", "$.usage"} >= {note.field for note in delivery.notes}


def test_a_picture_is_worth_more_than_the_word_failed() -> None:
    """At least one picture came, so it is no failure."""
    odd = task("FAILED", code="InternalError", choices=[choice(LINK)])

    assert 1 == len(done(odd).delivery.images)


@pytest.mark.parametrize("more", [{}, {"choices": None}, {"choices": []}, {"choices": [choice()]}])
def test_succeeded_without_a_picture_is_the_end_and_perhaps_billed(more: dict[str, Any]) -> None:
    """Nothing more will come; only failures are documented to be free."""
    error = failed(task("SUCCEEDED", **more))

    assert isinstance(error, GenerationFailed)
    assert (Charge.MAYBE, True, JOB, "r-1") == (
        error.charge,
        error.final,
        error.job,
        error.request_id,
    )


NESTED = (
    '{"request_id": "r-5", "output": {"task_status": "FAILED", "code": "CODE", "message": "m"}}',
    '{"request_id": "r-5", "output": {"task_status": "FAILED"}, "code": "CODE", "message": "m"}',
    '{"request_id": "r-5", "code": "Other", "message": "other",'
    ' "output": {"task_status": "FAILED", "code": "CODE", "message": "m"}}',
)
BARE = (
    '{"request_id": "r-5", "code": "CODE", "message": "m"}',
    '{"request_id": "r-5", "code": "CODE", "message": "m", "output": null}',
)
CODES: list[tuple[str, type[ProviderError]]] = [
    ("InvalidParameter", RequestRejected),
    ("DataInspectionFailed", ContentRefused),
    ("data_inspection_failed", ContentRefused),
    ("SomethingNew", GenerationFailed),
]
OF_THE_CALL: list[tuple[str, type[ProviderError]]] = [
    ("Throttling.RateQuota", RateLimited),
    ("InvalidApiKey", AuthenticationFailed),
    ("Arrearage", CreditExhausted),
    ("InternalError", ProviderUnavailable),
    ("InternalError.Timeout", ProviderUnavailable),
]


@pytest.mark.parametrize(
    ("shape", "code", "cls"),
    [
        *((shape, *known) for shape in NESTED for known in CODES + OF_THE_CALL),
        *((shape, *known) for shape in BARE for known in CODES),
    ],
)
def test_both_shapes_of_a_failed_task_end_it_unbilled(
    shape: str, code: str, cls: type[ProviderError]
) -> None:
    """The pages show two; nothing that fails is billed."""
    error = failed(reply(shape.replace("CODE", code).encode()))

    assert cls is type(error)
    assert (code, "m", "r-5", None, Charge.NO, True, JOB) == (
        error.code,
        error.message,
        error.request_id,
        error.status,
        error.charge,
        error.final,
        error.job,
    )


@pytest.mark.parametrize("shape", BARE)
@pytest.mark.parametrize(("code", "cls"), OF_THE_CALL)
def test_a_bare_code_that_may_be_about_the_poll_is_not_the_end(
    shape: str, code: str, cls: type[ProviderError]
) -> None:
    """A task that was paid for is not given up, and not bought again, on a guess."""
    error = failed(reply(shape.replace("CODE", code).encode()))

    assert (cls, Charge.MAYBE, False) == (type(error), error.charge, error.final)


def test_a_failure_without_a_word_is_still_one() -> None:
    """Code and message may be missing or of a wrong type."""
    for more in ({}, {"code": 5, "message": None}):
        error = failed(task("FAILED", **more))

        assert (GenerationFailed, None, "no explanation") == (
            type(error),
            error.code,
            error.message,
        )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"output": {"task_status": "PARTIAL"}}, "has status 'PARTIAL'"),
        ({"output": {"task_status": None}}, "has status None"),
        ({"output": {"task_status": 3}}, r"\$\.output\.task_status"),
        ({"output": {"task_status": "SUCCEEDED", "choices": {}}}, r"\$\.output\.choices"),
        ({"output": {"task_status": "SUCCEEDED", "choices": [{}]}}, r"choices\[0\]\.message"),
        ({}, "has status None"),
        (b"{", "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_place(body: Any, path: str) -> None:
    """Polling goes on; no code of ours has to guess."""
    assert TASKS.failure(reply(body), op=Op.POLL, job=JOB) is None
    with pytest.raises(MalformedResponse, match=path):
        TASKS.read_poll(reply(body), JOB)


# -- refused -----------------------------------------------------------------------------

REFUSALS: list[tuple[int, str, type[ProviderError]]] = [
    (400, "InvalidParameter", RequestRejected),
    (400, "InvalidParameter.DataInspection", RequestRejected),
    (400, "BadRequest.EmptyInput", RequestRejected),
    (400, "BadRequest.InputDownloadFailed", RequestRejected),
    (400, "BadRequest.TooLarge", RequestRejected),
    (400, "InvalidURL", RequestRejected),
    (400, "InvalidURL.Timeout", RequestRejected),
    (400, "InvalidImage.Format", RequestRejected),
    (400, "InvalidFile.Size", RequestRejected),
    (400, "DataInspectionFailed", ContentRefused),
    (400, "data_inspection_failed", ContentRefused),
    (400, "IPInfringementSuspect", ContentRefused),
    (400, "CustomRoleBlocked", ContentRefused),
    (400, "FaqRuleBlocked", ContentRefused),
    (400, "Arrearage", CreditExhausted),
    (400, "UnsupportedOperation", RequestRejected),
    (400, "Throttling.Concurrency", RateLimited),
    (400, "SomethingNew", RequestRejected),
    (401, "InvalidApiKey", AuthenticationFailed),
    (401, "NOT AUTHORIZED", AuthenticationFailed),
    (401, "SomethingNew", AuthenticationFailed),
    (403, "AccessDenied", AuthenticationFailed),
    (403, "AccessDenied.Unpurchased", AuthenticationFailed),
    (403, "Model.AccessDenied", AuthenticationFailed),
    (403, "Workspace.AccessDenied", AuthenticationFailed),
    (403, "Endpoint.AccessDenied", AuthenticationFailed),
    (403, "App.AccessDenied", AuthenticationFailed),
    (403, "AllocationQuota.FreeTierOnly", CreditExhausted),
    (404, "ModelNotFound", RequestRejected),
    (404, "model_not_found", RequestRejected),
    (404, "Model.NotExist", RequestRejected),
    (404, "model_not_supported", RequestRejected),
    (404, "WorkSpaceNotFound", RequestRejected),
    (404, "NotFound", RequestRejected),
    (409, "Conflict", RequestRejected),
    (413, "BadRequest.TooLarge", RequestRejected),
    (429, "Throttling", RateLimited),
    (429, "Throttling.RateQuota", RateLimited),
    (429, "LimitRequests", RateLimited),
    (429, "Throttling.BurstRate", RateLimited),
    (429, "Throttling.AllocationQuota", RateLimited),
    (429, "insufficient_quota", RateLimited),
    (429, "CommodityNotPurchased", CreditExhausted),
    (429, "PrepaidBillOverdue", CreditExhausted),
    (429, "PostpaidBillOverdue", CreditExhausted),
]

TROUBLES: list[tuple[int, str, type[ProviderError]]] = [
    (408, "RequestTimeOut", ProviderUnavailable),
    (500, "InternalError", ProviderUnavailable),
    (500, "InternalError.Algo", ProviderUnavailable),
    (500, "InternalError.FileUpload", ProviderUnavailable),
    (500, "InternalError.Timeout", ProviderUnavailable),
    (500, "SystemError", ProviderUnavailable),
    (500, "ModelServiceFailed", ProviderUnavailable),
    (500, "RewriteFailed", ProviderUnavailable),
    (500, "RequestTimeOut", ProviderUnavailable),
    (500, "ModelServingError", ProviderUnavailable),
    (500, "DataInspectionFailed", ContentRefused),
    (503, "ModelServingError", ProviderUnavailable),
    (503, "ModelUnavailable", ProviderUnavailable),
    (503, "ServiceUnavailable", ProviderUnavailable),
    (503, "Throttling", RateLimited),
    (504, "GatewayTimeout", ProviderUnavailable),
    (500, "SomethingNew", ProviderUnavailable),
]


def refusal(code: str) -> dict[str, str]:
    return {"request_id": "r-7", "code": code, "message": "made up"}


@pytest.mark.parametrize(("status", "code", "cls"), REFUSALS)
@pytest.mark.parametrize("mode", [TASKS, SYNC])
def test_a_documented_refusal_of_a_submit_costs_nothing(
    mode: DashScope, status: Any, code: Any, cls: type[ProviderError]
) -> None:
    """ "Nothing that fails is billed": the code tells what it is, where it is known."""
    error = mode.failure(reply(refusal(code), status), op=Op.SUBMIT)

    assert cls is type(error)
    assert (Charge.NO, status, code, "r-7", "made up", False) == (
        error.charge,
        error.status,
        error.code,
        error.request_id,
        error.message,
        error.final,
    )


@pytest.mark.parametrize(("status", "code", "cls"), TROUBLES)
def test_a_submit_that_the_service_stumbled_over_may_be_bought(
    status: Any, code: Any, cls: type[ProviderError]
) -> None:
    """The reply may be from in front of a service that works on."""
    error = failed(reply(refusal(code), status), Op.SUBMIT, None)

    assert (cls, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(("status", "code", "cls"), [r for r in REFUSALS if r[0] != 404] + TROUBLES)
def test_a_refused_poll_says_nothing_of_the_task(
    status: Any, code: Any, cls: type[ProviderError]
) -> None:
    """The class is the same; the task goes on."""
    error = failed(reply(refusal(code), status))

    assert (cls, Charge.MAYBE, False, JOB) == (
        type(error),
        error.charge,
        error.final,
        error.job,
    )


def test_a_429_that_names_a_task_may_have_made_one() -> None:
    """It must not be sent again."""
    body = {**refusal("Throttling.RateQuota"), "output": {"task_id": TASK}}
    error = failed(reply(body, 429), Op.SUBMIT, None)

    assert (RateLimited, Charge.MAYBE) == (type(error), error.charge)


def test_a_wish_to_wait_comes_with_the_refusal() -> None:
    """Seen by a third party; the flow honours it."""
    response = reply(refusal("Throttling"), 429, {"retry-after": "12"})

    assert 12.0 == failed(response, Op.SUBMIT, None).retry_after


@pytest.mark.parametrize(
    ("status", "body", "cls", "charge"),
    [
        (413, b"<html>413 Request Entity Too Large</html>", RequestRejected, Charge.NO),
        (403, b"<html>blocked</html>", ProviderUnavailable, Charge.NO),
        (429, b"slow down", RateLimited, Charge.MAYBE),
        (400, b"", RequestRejected, Charge.MAYBE),
        (400, {"code": "", "message": "m"}, RequestRejected, Charge.MAYBE),
        (400, {"code": 7, "message": "m"}, RequestRejected, Charge.MAYBE),
        (400, {"error": {"code": "x"}}, RequestRejected, Charge.MAYBE),
        (400, ["x"], RequestRejected, Charge.MAYBE),
        (502, b"<html>bad gateway</html>", ProviderUnavailable, Charge.MAYBE),
        (302, b"", ProviderUnavailable, Charge.MAYBE),
    ],
)
def test_what_an_edge_answers_is_free_only_where_documented(
    status: Any, body: Any, cls: type[ProviderError], charge: Charge
) -> None:
    """The gateway itself refuses large bodies; anything else unreadable is uncertain."""
    error = failed(reply(body, status), Op.SUBMIT, None)

    assert (cls, charge) == (type(error), error.charge)


def test_a_refusal_without_a_message_says_so() -> None:
    """An empty error helps nobody."""
    error = failed(reply({"code": "Arrearage"}, 400), Op.SUBMIT, None)

    assert "dashscope: no explanation (code Arrearage, HTTP 400)" == str(error)


# -- cancel and find ---------------------------------------------------------------------


def cancel(answer: HttpResponse) -> Any:
    exchange = TASKS.cancel(JOB)
    assert next(exchange) == HttpRequest(
        method="POST",
        url=f"https://dashscope-intl.aliyuncs.com/api/v1/tasks/{TASK}/cancel",
        headers={"Authorization": "Bearer sk-secret"},
    )
    with pytest.raises(StopIteration) as stop:
        exchange.send(answer)
    return stop.value.value


def test_a_queued_task_is_cancelled_for_nothing() -> None:
    """Cancelled tasks are not billed."""
    assert Cancelled(Charge.NO) == cancel(reply({"request_id": "r"}))


@pytest.mark.parametrize("code", ["UnsupportedOperation", "unsupported_operation"])
def test_a_running_task_cannot_be_cancelled(code: Any) -> None:
    """It goes on, and is billed when it succeeds."""
    assert TooLate("made up") == cancel(reply(refusal(code), 400))


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply(refusal("InvalidApiKey"), 401), AuthenticationFailed),
        (reply(refusal("InvalidParameter"), 400), RequestRejected),
        (reply(b"oops", 400), RequestRejected),
        (reply(refusal("SystemError")), ProviderUnavailable),
        (reply(b"<html>"), MalformedResponse),
    ],
)
def test_a_cancel_that_fails_says_how(answer: HttpResponse, cls: type[ProviderError]) -> None:
    """Neither cancelled nor too late."""
    with pytest.raises(cls):
        cancel(answer)


# -- what it sells -----------------------------------------------------------------------


def test_both_models_are_sold_with_free_failures_and_png() -> None:
    """Documented, so verified."""
    expected = [
        (model, model, "png", Charge.NO, True) for model in ("wan2.7-image", "wan2.7-image-pro")
    ]
    assert expected == [
        (o.model, o.alias, o.output, o.failure_charge, o.verified) for o in TASKS.offers
    ]


def test_the_rates_of_the_account_are_facts_of_the_offer() -> None:
    """5 creates a second, 5 running, 20 polls a second; a fresh id may be unknown for a while."""
    limits = TASKS.offer(PRO).limits

    assert (5.0, 5, 20.0) == (limits.rates.creates, limits.rates.running, limits.rates.polls)
    assert 10 <= limits.missing_grace
    assert TASKS.poll_interval.first >= 2.0


def test_a_fact_that_cannot_be_read_is_named_by_its_path() -> None:
    """It does not cost the picture."""
    body = {"output": {"task_status": "SUCCEEDED", "choices": [choice(LINK)]}, "request_id": 5}
    delivery = done(reply(body)).delivery

    assert (Note("$.request_id", "info", "unreadable in the reply: expected str, got int"),) == (
        delivery.notes
    )
