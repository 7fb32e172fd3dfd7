"""What a user of the sandbox's DashScope relies on: its strictness, its books and its moods.

Expected values are those of the provider's pages, read 2026-11-20; numbers of checks are those
of the simulator guide on our wire page.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from attrs import define, field
from PIL import Image

from wanbridge.sandbox import Reply, Sandbox
from wanbridge.wire import HttpRequest, HttpResponse

SYNC = "/services/aigc/multimodal-generation/generation"
ASYNC = "/services/aigc/image-generation/generation"
ASK_ASYNC = {"X-DashScope-Async": "enable"}
RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}
HTTPS = {"image": "https://files.example.com/a.png"}
# 2026-11-20 10:00:00.123 in China.
MORNING = 1795140000.123
DAY = 24 * 3600


@define
class Bench:
    """A sandbox with only DashScope, and a clock that the test moves."""

    now: float = MORNING
    latency: float = 40.0
    sandbox: Sandbox = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sandbox = Sandbox(["dashscope"], clock=lambda: self.now, latency=self.latency)

    def reply(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: str | None = "",
    ) -> Reply:
        key = self.sandbox.api_key("dashscope") if key == "" else key
        auth = {} if key is None else {"Authorization": f"Bearer {key}"}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.sandbox.handle(
            HttpRequest(
                method=method,
                url=f"{self.sandbox.base_url('dashscope')}{path}",
                headers={**auth, **(headers or {})},
                body=b"" if body is None else raw,
            )
        )

    def call(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.reply(*args, **kwargs).response

    def sync(self, body: Any = None, headers: Mapping[str, str] | None = None) -> HttpResponse:
        return self.call("POST", SYNC, body or ask(), headers)

    def create(self, body: Any = None, headers: Mapping[str, str] | None = None) -> HttpResponse:
        return self.call("POST", ASYNC, body or ask(), {**ASK_ASYNC, **(headers or {})})

    def task(self, body: Any = None) -> str:
        response = self.create(body)
        assert 200 == response.status, response.text()
        return str(response.json()["output"]["task_id"])

    def query(self, task_id: str) -> Any:
        response = self.call("GET", f"/tasks/{task_id}")
        assert 200 == response.status, response.text()
        return response.json()

    def state(self, task_id: str) -> str:
        return str(self.query(task_id)["output"]["task_status"])

    def listed(self, query: str = "") -> Any:
        return self.call("GET", f"/tasks/?{query}").json()

    def switch(self, **values: Any) -> Bench:
        self.sandbox.set_switches({"dashscope": values})
        return self

    def charged(self) -> tuple[str, str]:
        total = self.sandbox.ledger()["totals"]["dashscope"]
        return total["charged"], total["currency"]

    def get(self, url: str) -> HttpResponse:
        return self.sandbox.handle(HttpRequest(method="GET", url=url)).response


def ask(*parts: Mapping[str, Any], model: str = "wan2.7-image", **parameters: Any) -> Any:
    content = [*parts, {"text": "a paper boat on a pond"}]
    return {
        "model": model,
        "input": {"messages": [{"role": "user", "content": content}]},
        "parameters": {"n": 1, **parameters},
    }


def pro(*parts: Mapping[str, Any], **parameters: Any) -> Any:
    return ask(*parts, model="wan2.7-image-pro", **parameters)


def said(*content: Any, role: str = "user", count: int = 1) -> Any:
    messages = [{"role": role, "content": list(content)}] * count
    return {"model": "wan2.7-image", "input": {"messages": messages}}


def picture(
    width: int = 300, height: int = 300, *, mode: str = "RGB", format: str = "PNG"
) -> bytes:
    buffer = BytesIO()
    Image.new(mode, (width, height)).save(buffer, format)
    return buffer.getvalue()


def inline(data: bytes, mime: str = "image/png") -> dict[str, str]:
    return {"image": f"data:{mime};base64,{base64.b64encode(data).decode()}"}


def links(output: Mapping[str, Any]) -> list[list[str]]:
    contents = [choice["message"]["content"] for choice in output["choices"]]
    return [[item["image"] for item in content if "image" in item] for content in contents]


def verdict(response: HttpResponse) -> tuple[int, str]:
    return response.status, response.json().get("code", "")


INVALID = (400, "InvalidParameter")
THROTTLED = (429, "Throttling.RateQuota")


def test_a_sync_call_answers_with_the_documented_shape() -> None:
    """The fields of the API reference's sample, and no others."""
    body = Bench().sync(ask(size="1024*768")).json()

    assert {"request_id", "output", "usage"} == set(body)
    assert {"choices", "finished"} == set(body["output"])
    (choice,) = body["output"]["choices"]
    assert "stop" == choice["finish_reason"]
    assert "assistant" == choice["message"]["role"]
    assert ["image"] == [item["type"] for item in choice["message"]["content"]]
    assert (1, "1024*768") == (body["usage"]["image_count"], body["usage"]["size"])
    assert body["usage"]["total_tokens"] == (
        body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    )


def test_a_sync_call_takes_the_time_of_the_work() -> None:
    """The images come only when they are made, so the reply is late."""
    assert 40 == pytest.approx(Bench().reply("POST", SYNC, ask()).delay)


def test_a_sync_call_is_no_task_that_can_be_queried_or_listed() -> None:
    """Nobody was told its id, and the list is for async tasks."""
    bench = Bench()
    bench.sync()

    assert 0 == bench.listed()["total"]
    assert "UNKNOWN" == bench.state(bench.sandbox.tasks()[0]["id"])


def test_a_sync_call_longer_than_the_ceiling_times_out_unbilled() -> None:
    """The error page's RequestTimeOut after 300 s; nothing that fails is billed."""
    bench = Bench(latency=301)
    reply = bench.reply("POST", SYNC, ask())

    assert (500, "RequestTimeOut") == verdict(reply.response)
    assert 300 == pytest.approx(reply.delay)
    assert ("0", "USD") == bench.charged()


def test_an_async_task_goes_from_pending_to_its_images() -> None:
    """Create says PENDING, queries say RUNNING, then SUCCEEDED with choices and usage."""
    bench = Bench()
    created = bench.create().json()
    task_id = created["output"]["task_id"]
    assert {"task_status": "PENDING", "task_id": task_id} == created["output"]
    assert "RUNNING" == bench.state(task_id)

    bench.now += 40
    body = bench.query(task_id)

    assert "SUCCEEDED" == body["output"]["task_status"]
    assert body["output"]["finished"]
    assert [1] == [len(content) for content in links(body["output"])]
    assert 1 == body["usage"]["image_count"]


def test_times_are_china_time_without_a_zone() -> None:
    """``YYYY-MM-DD HH:mm:ss.SSS``; UTC+8 is assumed by our wire page."""
    bench = Bench().switch(queue_seconds=2)
    task_id = bench.task()
    bench.now += 42
    output = bench.query(task_id)["output"]

    assert "2026-11-20 10:00:00.123" == output["submit_time"]
    assert "2026-11-20 10:00:02.123" == output["scheduled_time"]
    assert "2026-11-20 10:00:42.123" == output["end_time"]


def test_times_that_lie_ahead_are_absent() -> None:
    """A running task has no end; a pending one was not scheduled."""
    bench = Bench().switch(queue_seconds=2)
    task_id = bench.task()
    pending = bench.query(task_id)["output"]
    bench.now += 3
    running = bench.query(task_id)["output"]

    assert {"task_id", "task_status", "submit_time"} == set(pending)
    assert {"task_id", "task_status", "submit_time", "scheduled_time"} == set(running)


@pytest.mark.parametrize("path", ["/tasks/{}", "/tasks/{}/"])
def test_a_task_is_found_with_and_without_a_slash(path: str) -> None:
    """The SDK's synchronous half writes none, its asynchronous half one."""
    bench = Bench()

    assert (
        "RUNNING" == (bench.call("GET", path.format(bench.task())).json()["output"]["task_status"])
    )


def test_a_workspace_header_is_tolerated() -> None:
    """It picks a sub-workspace on shared hosts and changes nothing else."""
    assert 200 == Bench().sync(headers={"X-DashScope-WorkSpace": "llm-abc123"}).status


@pytest.mark.parametrize("authorization", [None, "", "Basic c2s=", "Bearer ", "sk-abc"])
def test_no_usable_authorization_is_401_first(authorization: str | None) -> None:
    """Check 1 comes before anything in the body is looked at."""
    headers = {} if authorization is None else {"Authorization": authorization}

    response = Bench().call("POST", SYNC, b"not json", headers, key=None)

    assert (401, "InvalidApiKey") == verdict(response)
    assert "No API-key" in response.json()["message"]


def test_an_unknown_key_is_401() -> None:
    """Check 2; the words differ from those for no key at all."""
    response = Bench().call("GET", "/tasks/", key="sk-other")

    assert (401, "InvalidApiKey") == verdict(response)
    assert "Invalid API-key" in response.json()["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":"' + b"x" * 2**24 + b'"}', 413),
        (b'{"a":"data:image/png;base64,' + b"A" * (20 * 2**20 + 1) + b'"}', 413),
        (b" " * (64 * 2**20 + 1), 413),
        (b'{"a":"data:image/png;base64,' + b"A" * (17 * 2**20) + b'"}', 400),
    ],
)
def test_the_gateway_limits_bodies_and_base64_items(body: Any, status: int) -> None:
    """Check 3: 16 MiB without base64, 20 MiB an item, 64 MiB in all; the page is not JSON."""
    assert status == Bench().call("POST", SYNC, body).status


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b"\xff",
        [],
        {"model": "wan2.7-image"},
        {"model": "wan2.7-image", "input": "a kite"},
        {"model": "wan2.7-image", "input": {"prompt": "a kite"}},
        {**ask(), "parameters": [1]},
    ],
)
def test_a_malformed_envelope_is_invalid(body: Any) -> None:
    """Check 4."""
    assert INVALID == verdict(Bench().call("POST", SYNC, body))


def test_the_async_path_demands_its_header() -> None:
    """Check 5, before the model is looked at."""
    response = Bench().call("POST", ASYNC, ask(model="wan9"))

    assert (403, "AccessDenied") == verdict(response)
    assert "does not support synchronous calls" in response.json()["message"]


def test_the_sync_path_refuses_the_async_header() -> None:
    """Check 6; ``disable`` is as good as none."""
    response = Bench().sync(headers=ASK_ASYNC)

    assert (403, "AccessDenied") == verdict(response)
    assert "does not support asynchronous calls" in response.json()["message"]
    assert 200 == Bench().sync(headers={"X-DashScope-Async": "disable"}).status


@pytest.mark.parametrize(("status", "code"), [(404, "ModelNotFound"), (400, "InvalidParameter")])
def test_an_unknown_model_has_two_faces(status: int, code: str) -> None:
    """Check 7: the error page knows both; a client must survive either."""
    bench = Bench().switch(unknown_model=status)

    assert (status, code) == verdict(bench.sync(ask(model="wan2.6-image")))


def test_a_missing_model_has_its_own_code() -> None:
    """The catalog lists BadRequest.EmptyModel."""
    body = {k: v for k, v in ask().items() if k != "model"}

    assert (400, "BadRequest.EmptyModel") == verdict(Bench().sync(body))


@pytest.mark.parametrize(
    "body",
    [
        said({"text": "a"}, count=2),
        said({"text": "a"}, role="system"),
        {**ask(), "input": {"messages": ["hi"]}},
        {**ask(), "input": {"messages": [{"role": "user", "content": "a kite"}]}},
        said(),
        said(HTTPS),
        said({"text": "a"}, {"text": "b"}),
        said(*[HTTPS] * 10, {"text": "a"}),
        said({}, {"text": "a"}),
        said({"text": "a", "image": HTTPS["image"]}),
        said({"type": "text", "text": "a"}),
        said({"text": 5}),
        said("a kite"),
    ],
)
def test_a_message_that_is_not_one_user_turn_is_invalid(body: Any) -> None:
    """Check 8: one message, role user, one text, up to nine images, one key per part."""
    assert INVALID == verdict(Bench().sync(body))


def test_nine_images_in_any_order_are_fine() -> None:
    """The pages show text before images and after them."""
    assert 200 == Bench().sync(said(HTTPS, {"text": "a"}, *[HTTPS] * 8)).status


@pytest.mark.parametrize(
    "url", ["file:///a.png", "ftp://x/a.png", "iVBORw0KGgo=", "", "files.example.com/a.png"]
)
def test_an_image_of_another_scheme_is_invalid(url: str) -> None:
    """Check 10; ``file://`` is an affair of the SDK."""
    assert INVALID == verdict(Bench().sync(ask({"image": url})))


@pytest.mark.parametrize(
    ("format", "mime"),
    [("PNG", "png"), ("JPEG", "jpeg"), ("BMP", "bmp"), ("WEBP", "webp")],
)
def test_data_uris_of_the_four_formats_are_taken(format: str, mime: str) -> None:
    """JPEG, PNG, BMP and WEBP, sides 240 to 8000."""
    image = inline(picture(240, 1920, format=format), f"image/{mime}")

    assert 200 == Bench().sync(ask(image)).status


@pytest.mark.parametrize(
    "image",
    [
        inline(picture(), "image/gif"),
        inline(picture(), "image/jpg"),
        inline(picture(), "image/jpeg"),
        inline(picture(format="GIF"), "image/png"),
        inline(picture(239, 300)),
        inline(picture(300, 8001)),
        inline(picture(240, 1921)),
        inline(picture(mode="RGBA")),
        inline(picture(mode="LA")),
        inline(picture()[:-40]),
        inline(b"not a picture"),
        inline(b"\x89PNG\r\n\x1a\n" + b"\0" * 64),
        {"image": "data:image/png;base64,%%%%"},
        {"image": "data:image/png,abc"},
        {"image": "data:image/png;base64"},
    ],
)
def test_a_data_uri_is_decoded_and_judged(image: dict[str, str]) -> None:
    """Check 11: MIME type, base64, sides, ratio, alpha in PNG, a file that was cut."""
    assert INVALID == verdict(Bench().sync(ask(image)))


def test_a_decompression_bomb_is_refused_unread() -> None:
    """A header that promises a gigapixel must not cost a gigabyte."""
    bomb = picture(300, 300, format="BMP")
    huge = (40_000).to_bytes(4, "little")

    assert INVALID == verdict(
        Bench().sync(ask(inline(bomb[:18] + huge * 2 + bomb[26:], "image/bmp")))
    )


def test_without_pillow_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow belongs to an extra; only inline images need it."""
    bench = Bench()
    assert 200 == bench.sync(ask(HTTPS)).status
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(ImportError, match=r"wanbridge\[sandbox\]"):
        bench.sync(ask(inline(b"x")))


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (pro(size="4K"), "4096*4096"),
        (pro(size="4096*4096"), "4096*4096"),
        (pro(size="5376*3024"), "5376*3024"),
        (ask(), "2048*2048"),
        (ask(size="1K"), "1024*1024"),
        (ask(size="768*768"), "768*768"),
        (ask(size="272*2176"), "272*2176"),
        (pro(HTTPS, size="2048*2048"), "2048*2048"),
        (pro(HTTPS), "2048*2048"),
        (ask(inline(picture(480, 270))), "2736*1536"),
        (ask(inline(picture(480, 270)), inline(picture(270, 480)), size="1K"), "768*1360"),
    ],
)
def test_a_size_that_is_sold_is_made(body: Any, size: str) -> None:
    """4K only on pro from text alone; a tier follows the last image, else it is square."""
    assert size == Bench().sync(body).json()["usage"]["size"]


@pytest.mark.parametrize(
    "body",
    [
        ask(size="4K"),
        pro(HTTPS, size="4K"),
        pro(size="4K", enable_sequential=True),
        ask(size="2049*2048"),
        pro(size="4097*4096"),
        pro(HTTPS, size="2049*2048"),
        ask(size="767*768"),
        ask(size="250*2400"),
        ask(size="1024x1024"),
        ask(size="2k"),
        ask(size="3K"),
        ask(size="1024"),
        ask(size=" 1024*1024"),
        ask(size=2048),
        ask(size=["2K"]),
    ],
)
def test_a_size_that_is_not_sold_is_invalid(body: Any) -> None:
    """Check 12: tiers and pixels by model and mode, in their exact spelling."""
    assert INVALID == verdict(Bench().sync(body))


@pytest.mark.parametrize("n", [0, 5, -1, 1.0, "1", True, [1]])
def test_n_is_an_integer_up_to_four(n: Any) -> None:
    """Check 13."""
    response = Bench().sync(ask(n=n))

    assert INVALID == verdict(response)
    assert "Range of n should be [1, 4]" == response.json()["message"]


def test_n_in_a_set_goes_up_to_twelve() -> None:
    """Check 13 in sequential mode."""
    assert 200 == Bench().sync(ask(n=12, enable_sequential=True)).status
    assert INVALID == verdict(Bench().sync(ask(n=13, enable_sequential=True)))


@pytest.mark.parametrize(("default", "delivered"), [(None, 4), (4, 4), (1, 1)])
def test_n_left_out_may_cost_four_images(default: int | None, delivered: int) -> None:
    """The pages disagree; the dear reading is the default, so that omission is noticed."""
    bench = Bench() if default is None else Bench().switch(default_n=default)

    assert delivered == bench.sync(ask(n=None)).json()["usage"]["image_count"]


def test_n_left_out_in_a_set_is_twelve() -> None:
    """Documented: sets default to their maximum."""
    body = Bench().sync(ask(n=None, enable_sequential=True)).json()

    assert 12 == body["usage"]["image_count"]


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[]],
        [[], [], []],
        "all",
        [[], "x"],
        [[], [[0, 0, 10, 10]] * 3],
        [[], [[0, 0, 10]]],
        [[], [[0, 0, 10, 10.0]]],
        [[], [[0, 0, 10, True]]],
        [[], ["box"]],
        [[], [[10, 0, 10, 10]]],
        [[], [[0, 10, 10, 9]]],
    ],
)
def test_a_bbox_list_that_does_not_fit_is_invalid(boxes: Any) -> None:
    """Check 14: one list per image, at most two boxes of four integers, none empty."""
    assert INVALID == verdict(Bench().sync(ask(HTTPS, HTTPS, bbox_list=boxes)))


def test_a_bbox_list_needs_images() -> None:
    """Check 14; an empty list is no exception."""
    assert INVALID == verdict(Bench().sync(ask(bbox_list=[])))


PALETTE = [("#112233", "50.00%"), ("#aabbcc", "29.99%"), ("#445566", "20.01%")]


def colours(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"hex": colour, "ratio": ratio} for colour, ratio in pairs]


def test_the_picture_has_the_size_that_was_asked_for() -> None:
    """PNG, and its real pixels are those of ``usage.size``."""
    bench = Bench()
    ((url,),) = links(bench.sync(ask(size="1024*768")).json()["output"])

    with Image.open(BytesIO(bench.get(url).body)) as image:
        assert ("PNG", (1024, 768)) == (image.format, image.size)


@pytest.mark.parametrize(
    "other",
    [
        {"bbox_list": [[[20, 20, 200, 200]]]},
        {"color_palette": colours(*PALETTE)},
        {"seed": 8},
    ],
)
def test_what_was_asked_for_shows_in_the_picture(other: dict[str, Any]) -> None:
    """Boxes, palette and seed each change it; the same request draws the same again."""
    bench = Bench()
    plain: dict[str, Any] = {"size": "768*768", "seed": 7}
    bodies = [ask(HTTPS, **plain), ask(HTTPS, **plain), ask(HTTPS, **{**plain, **other})]
    urls = [links(bench.sync(body).json()["output"])[0][0] for body in bodies]
    first, again, changed = (bench.get(url).body for url in urls)

    assert first == again
    assert first != changed


@pytest.mark.parametrize("images", [(), (HTTPS,)])
def test_a_palette_of_three_is_taken(images: tuple[dict[str, str], ...]) -> None:
    """Strings with two places and a percent sign, summing to 100.00 exactly."""
    assert 200 == Bench().sync(ask(*images, color_palette=colours(*PALETTE))).status


@pytest.mark.parametrize(
    "palette",
    [
        colours(*PALETTE[:2]),
        colours(*[("#112233", "9.09%")] * 10, ("#112233", "9.10%")),
        colours(*PALETTE[:2], ("#445566", "20.00%")),
        colours(*PALETTE[:2], ("#445566", "20.02%")),
        colours(*PALETTE[:2], ("#445566", "20.01")),
        colours(*PALETTE[:2], ("#445566", "20.010%")),
        colours(*PALETTE[:2], ("#445566", 20.01)),
        colours(*PALETTE[:2], ("#45566", "20.01%")),
        colours(*PALETTE[:2], ("445566", "20.01%")),
        colours(*PALETTE[:2], (None, "20.01%")),
        [*colours(*PALETTE[:2]), "#445566"],
        [],
        "warm",
    ],
)
def test_a_wrong_palette_is_invalid(palette: Any) -> None:
    """Check 15: 3 to 10 entries, #RRGGBB, ratio a string like 25.00%, sum exactly 100.00."""
    assert INVALID == verdict(Bench().sync(ask(color_palette=palette)))


def test_a_palette_in_a_set_is_invalid() -> None:
    """Check 15: sets have no palette."""
    body = ask(color_palette=colours(*PALETTE), enable_sequential=True)

    assert INVALID == verdict(Bench().sync(body))


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**31},
        {"seed": "7"},
        {"seed": 7.0},
        {"seed": True},
        {"watermark": "false"},
        {"watermark": 0},
        {"enable_sequential": "true"},
        {"thinking_mode": 1},
    ],
)
def test_seed_and_booleans_have_their_types(wrong: dict[str, Any]) -> None:
    """Check 16."""
    assert INVALID == verdict(Bench().sync(ask(**wrong)))


@pytest.mark.parametrize(
    "harmless",
    [
        {"seed": 0},
        {"seed": 2**31 - 1},
        {"enable_sequential": True, "thinking_mode": True},
        {"is_async": True},
        {"negative_prompt": "rain", "prompt_extend": True},
        {"seed": None, "bbox_list": None, "color_palette": None, "size": None, "watermark": None},
    ],
)
def test_what_the_service_ignores_is_ignored(harmless: dict[str, Any]) -> None:
    """Checks 17 and 18: the SDK sends nulls and ``is_async``; unknown names are no error."""
    assert 200 == Bench().sync(ask(**harmless)).status


def test_parameters_may_be_absent() -> None:
    """The whole object is optional."""
    assert 200 == Bench().sync(said({"text": "a kite"})).status


def test_a_long_text_is_cut_in_silence() -> None:
    """Check 19: only 5,000 characters are read, and nobody is told."""
    usage = Bench().sync(said({"text": "x" * 6000})).json()["usage"]

    assert 5000 == usage["input_tokens"]


def test_the_first_check_that_fails_speaks() -> None:
    """The order is fixed, so that a refusal is predictable: palette before seed."""
    message = Bench().sync(ask(color_palette=[], seed=-1)).json()["message"]

    assert "color_palette" in message


def test_refusals_cost_nothing_and_make_no_task() -> None:
    """Nothing that fails is billed."""
    bench = Bench()
    bench.create(ask(n=9))

    assert [] == bench.sandbox.tasks()
    assert ("0", "USD") == bench.charged()


def test_the_sixth_create_in_a_second_is_throttled() -> None:
    """Check 20: five a second for each model; the next second is free again."""
    bench = Bench(latency=0)
    statuses = [bench.create().status for _ in range(6)]

    assert [200] * 5 + [429] == statuses
    assert THROTTLED == verdict(bench.create())
    assert 200 == bench.create(pro()).status
    bench.now += 1
    assert 200 == bench.create().status


def test_rates_can_be_switched_off() -> None:
    """A load test of the caller's own code may not care."""
    bench = Bench().switch(rates=False)
    ids = [bench.task() for _ in range(30)]

    assert ["RUNNING"] * 30 == [bench.state(task_id) for task_id in ids]


def test_a_sixth_task_waits_in_pending() -> None:
    """Check 21: five run, the sixth begins when the first has ended."""
    bench = Bench()
    ids = [bench.task() for _ in range(5)]
    bench.now += 2
    sixth = bench.task()

    assert (["RUNNING"] * 5, "PENDING") == ([bench.state(i) for i in ids], bench.state(sixth))
    bench.now = MORNING + 41
    assert "RUNNING" == bench.state(sixth)
    bench.now = MORNING + 81
    assert "SUCCEEDED" == bench.state(sixth)


def test_a_sync_call_beside_five_tasks_is_throttled() -> None:
    """Check 21: a sync call cannot wait in PENDING."""
    bench = Bench()
    for _ in range(5):
        bench.task()
    bench.now += 2

    assert THROTTLED == verdict(bench.sync())
    assert 200 == bench.sync(pro()).status


def test_a_cancelled_task_gives_its_place_to_the_next() -> None:
    """Places are counted from tasks that still want one."""
    bench = Bench()
    for _ in range(5):
        bench.task()
    bench.now += 2
    waiting = bench.task()
    bench.call("POST", f"/tasks/{waiting}/cancel")
    later = bench.task()

    bench.now = MORNING + 41
    assert "RUNNING" == bench.state(later)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tasks/none"), ("GET", "/tasks/"), ("POST", "/tasks/none/cancel")],
)
def test_query_list_and_cancel_have_twenty_a_second_each(method: str, path: str) -> None:
    """Check 22; the three do not share."""
    bench = Bench()
    for _ in range(20):
        assert 429 != bench.call(method, path).status

    assert THROTTLED == verdict(bench.call(method, path))
    others = [("GET", "/tasks/other"), ("GET", "/tasks"), ("POST", "/tasks/other/cancel/")]
    free = [call for call in others if bench.call(*call).status != 429]
    assert 2 == len(free)


@pytest.mark.parametrize(
    ("region", "model", "amount"),
    [
        ("singapore", "wan2.7-image", ("0.09", "USD")),
        ("singapore", "wan2.7-image-pro", ("0.225", "USD")),
        ("beijing", "wan2.7-image", ("0.60", "CNY")),
        ("beijing", "wan2.7-image-pro", ("1.50", "CNY")),
    ],
)
@pytest.mark.parametrize("path", [SYNC, ASYNC])
def test_the_bill_is_price_times_delivered_images(
    region: str, model: str, amount: tuple[str, str], path: str
) -> None:
    """Flat, by image, in the region's currency."""
    bench = Bench().switch(region=region)
    bench.call("POST", path, ask(model=model, n=3), ASK_ASYNC if path == ASYNC else None)
    bench.now += 40

    assert amount == bench.charged()


def test_a_task_is_billed_when_it_has_ended() -> None:
    """Nothing is due while it runs."""
    bench = Bench()
    bench.task()
    running = bench.charged()
    bench.now += 40

    assert (("0", "USD"), ("0.03", "USD")) == (running, bench.charged())


def test_images_that_did_not_come_are_not_billed() -> None:
    """Three of four delivered cost three."""
    bench = Bench()
    bench.sandbox.fault("fewer_images")
    usage = bench.sync(ask(n=4)).json()["usage"]

    assert (3, ("0.09", "USD")) == (usage["image_count"], bench.charged())


def test_a_set_may_be_smaller_than_asked_for() -> None:
    """In a set n is an upper bound, and the bill is the real count."""
    bench = Bench().switch(set_images=3)
    output = bench.sync(ask(n=8, enable_sequential=True)).json()["output"]

    assert [3] == [len(content) for content in links(output)]
    assert ("0.09", "USD") == bench.charged()
    assert (8, 3) == tuple(bench.sandbox.tasks()[0][k] for k in ("asked", "delivered"))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("Arrearage", 400),
        ("AllocationQuota.FreeTierOnly", 403),
        ("CommodityNotPurchased", 429),
        ("PrepaidBillOverdue", 429),
        ("PostpaidBillOverdue", 429),
    ],
)
def test_an_account_that_cannot_pay_is_told_so_in_five_ways(code: str, status: int) -> None:
    """Three of them are 429, and must not be retried."""
    bench = Bench().switch(billing_code=code)
    bench.sandbox.set_balance("dashscope", "0.05")

    assert 200 == bench.sync(ask(n=1)).status
    assert (status, code) == verdict(bench.sync(ask(n=2)))


def test_a_pending_task_is_cancelled_free_of_charge() -> None:
    """The reply has a request id and nothing else; the task says CANCELED from then on."""
    bench = Bench().switch(queue_seconds=10)
    task_id = bench.task()
    bench.now += 5
    response = bench.call("POST", f"/tasks/{task_id}/cancel")

    assert (200, {"request_id"}) == (response.status, set(response.json()))
    bench.now += 100
    output = bench.query(task_id)["output"]
    assert {"task_id", "task_status", "submit_time", "end_time"} == set(output)
    assert ("CANCELED", "2026-11-20 10:00:05.123") == (output["task_status"], output["end_time"])
    assert ("0", "USD") == bench.charged()


@pytest.mark.parametrize("later", [1, 100])
def test_a_task_that_has_begun_cannot_be_cancelled(later: int) -> None:
    """UnsupportedOperation; it runs on and is billed. The SDK's odd body and slash are fine."""
    bench = Bench()
    task_id = bench.task()
    bench.now += later
    odd = {"model": "", "parameters": {}, "input": ""}

    assert (400, "UnsupportedOperation") == verdict(
        bench.call("POST", f"/tasks/{task_id}/cancel/", odd)
    )
    bench.now += 100
    assert ("SUCCEEDED", ("0.03", "USD")) == (bench.state(task_id), bench.charged())


@pytest.mark.parametrize(("status", "body"), [(200, "UNKNOWN"), (404, "NotFound")])
def test_an_unknown_task_has_two_faces(status: int, body: Any) -> None:
    """The docs say HTTP 200 UNKNOWN; a 404 should be survived."""
    response = Bench().switch(unknown_task=status).call("GET", "/tasks/ffff")

    found = response.json()
    assert (status, body) == (response.status, found.get("code") or found["output"]["task_status"])


def test_a_task_is_forgotten_after_a_day() -> None:
    """Ids live 24 hours, then they are UNKNOWN and not listed."""
    bench = Bench()
    task_id = bench.task()
    bench.now += DAY - 1
    assert "SUCCEEDED" == bench.state(task_id)
    bench.now += 1

    assert ("UNKNOWN", 0) == (bench.state(task_id), bench.listed()["total"])


def test_a_new_task_may_be_unknown_for_a_while() -> None:
    """Feared rather than documented: reads that lag behind the create."""
    bench = Bench().switch(visible_after=10)
    task_id = bench.task()

    assert "UNKNOWN" == bench.state(task_id)
    bench.now += 10
    assert "RUNNING" == bench.state(task_id)


def test_a_task_without_result_fails_after_three_hours() -> None:
    """InternalError.Timeout, unbilled."""
    bench = Bench(latency=4 * 3600)
    task_id = bench.task()
    bench.now += 3 * 3600
    output = bench.query(task_id)["output"]

    assert ("FAILED", "InternalError.Timeout") == (output["task_status"], output["code"])
    assert ("0", "USD") == bench.charged()


def test_result_links_die_after_a_day_with_xml() -> None:
    """Object storage answers for them: no key needed, XML, 403 once expired."""
    bench = Bench(latency=0)
    ((url,),) = links(bench.sync().json()["output"])
    assert "%" in url.partition("Signature=")[2], "a signature that re-encoding would break"
    bench.now += DAY
    response = bench.get(url)

    assert (403, "application/xml") == (response.status, response.header("content-type"))
    assert b"<Code>AccessDenied</Code>" in response.body


def test_a_link_that_never_was_is_xml_too() -> None:
    """404 in object storage's shape."""
    bench = Bench()
    response = bench.get(f"{bench.sandbox.origin}/dashscope/files/none.png")

    assert 404 == response.status
    assert b"<Code>NoSuchKey</Code>" in response.body


@pytest.mark.parametrize(
    ("parameters", "layout", "shape"),
    [
        ({"n": 3}, "Nx1", [1, 1, 1]),
        ({"n": 3}, "1xN", [3]),
        ({"n": 3, "enable_sequential": True}, "Nx1", [3]),
        ({"n": 3, "enable_sequential": True}, "1xN", [3]),
    ],
)
def test_several_images_come_in_two_layouts(
    parameters: dict[str, Any], layout: str, shape: Any
) -> None:
    """Outside sets no page shows which; in a set it is one choice."""
    output = Bench().switch(choices=layout).sync(ask(**parameters)).json()["output"]

    assert shape == [len(content) for content in links(output)]


def test_polling_gives_the_same_links_again() -> None:
    """Signed once: two reads of one task are the same images."""
    bench = Bench(latency=0)
    task_id = bench.task(ask(n=2))

    assert links(bench.query(task_id)["output"]) == links(bench.query(task_id)["output"])


def test_a_text_item_may_stand_before_the_images() -> None:
    """The query page's items are text or image."""
    choices = Bench().switch(text_item=True).sync().json()["output"]["choices"]

    assert ["text", "image"] == [item["type"] for item in choices[0]["message"]["content"]]


def test_times_and_usage_may_be_missing() -> None:
    """The pages say that they can be."""
    bench = Bench(latency=0).switch(times=False, usage=False)
    body = bench.query(bench.task())

    assert {"request_id", "output"} == set(body)
    assert {"task_id", "task_status", "choices", "finished"} == set(body["output"])
    assert "usage" not in bench.sync().json()


@pytest.mark.parametrize("shape", ["nested", "top"])
def test_a_failed_task_has_two_official_shapes(shape: Any) -> None:
    """HTTP 200 both times; only one says FAILED."""
    bench = Bench().switch(failed_shape=shape)
    bench.sandbox.fault("fail_generation")
    task_id = bench.task()
    assert "RUNNING" == bench.state(task_id)
    bench.now += 40
    body = bench.query(task_id)

    if shape == "nested":
        assert ("FAILED", "InternalError.Algo") == (
            body["output"]["task_status"],
            body["output"]["code"],
        )
        assert {"image_count": 0} == body["usage"]
    else:
        assert {"request_id", "code", "message"} == set(body)
    assert ("0", "USD") == bench.charged()


def test_wrong_parameters_may_fail_the_task_instead_of_the_create() -> None:
    """Some checks happen late: accepted, RUNNING, then FAILED with InvalidParameter."""
    bench = Bench().switch(late_checks=True)
    task_id = bench.task(ask(n=9))
    assert "RUNNING" == bench.state(task_id)
    bench.now += 40

    assert "InvalidParameter" == bench.query(task_id)["output"]["code"]
    assert INVALID == verdict(bench.sync(ask(n=9)))
    assert ("0", "USD") == bench.charged()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("refuse_content", (400, "DataInspectionFailed")),
        ("fail_generation", (500, "InternalError.Algo")),
    ],
)
def test_a_sync_call_that_fails_is_not_200_and_not_billed(
    kind: str, expected: tuple[int, str]
) -> None:
    """Sync says by status what async says inside HTTP 200."""
    bench = Bench()
    bench.sandbox.fault(kind)

    assert expected == verdict(bench.sync())
    assert ("0", "USD") == bench.charged()


def test_refused_content_fails_the_task() -> None:
    """Content review strikes inside the task; the code is switchable, spelling varies."""
    bench = Bench(latency=0).switch(content_code="data_inspection_failed")
    bench.sandbox.fault("refuse_content")

    assert "data_inspection_failed" == bench.query(bench.task())["output"]["code"]


@pytest.mark.parametrize("layout", ["Nx1", "1xN"])
def test_an_empty_success_has_no_image_in_either_layout(layout: str) -> None:
    """SUCCEEDED with nothing in it is free, and a client must not call it a success."""
    bench = Bench().switch(choices=layout)
    bench.sandbox.fault("empty_success")
    body = bench.sync().json()

    assert (0, 0) == (sum(map(len, links(body["output"]))), body["usage"]["image_count"])
    assert ("0", "USD") == bench.charged()


def test_refusals_may_come_with_http_200() -> None:
    """Gateways in front of the service are known to; faults keep the status they were given."""
    bench = Bench().switch(errors_in_200=True)

    assert (200, "InvalidParameter") == verdict(bench.sync(ask(n=9)))
    assert (200, "InvalidApiKey") == verdict(bench.call("GET", "/tasks/x", key="sk-other"))
    bench.sandbox.fault("server_error", status=503, op="poll")
    assert 503 == bench.call("GET", "/tasks/x").status


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("rate_limit", {}, THROTTLED),
        ("no_credit", {}, (400, "Arrearage")),
        ("unauthorized", {}, (401, "InvalidApiKey")),
        ("server_error", {}, (500, "InternalError")),
        ("server_error", {"status": 503}, (503, "ModelUnavailable")),
        ("server_error", {"status": 504}, (504, "GatewayTimeout")),
        ("server_error", {"status": 502}, (502, "InternalError")),
        ("error_in_200", {}, (200, "InternalError")),
    ],
)
def test_faults_speak_the_providers_words(
    kind: str, options: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Status and code are those of the error page, in its one shape."""
    bench = Bench()
    bench.sandbox.fault(kind, **options)
    response = bench.create()

    assert expected == verdict(response)
    assert {"request_id", "code", "message"} == set(response.json())
    assert [] == bench.sandbox.tasks()


def test_retry_after_is_sent_only_on_command() -> None:
    """No page documents it; one was seen."""
    bench = Bench().switch(throttling_code="Throttling.BurstRate")
    bench.sandbox.fault("rate_limit")
    bench.sandbox.fault("rate_limit", retry_after=7)

    assert [None, "7"] == [bench.create().header("retry-after") for _ in range(2)]


def test_a_create_whose_line_breaks_is_a_task_all_the_same() -> None:
    """No key, no deduplication: the list is the only trace, and sending again buys twice."""
    bench = Bench()
    bench.sandbox.fault("accept_then_drop")
    bench.reply("POST", ASYNC, ask(), ASK_ASYNC)
    bench.task()
    bench.now += 40

    assert (2, ("0.06", "USD")) == (bench.listed()["total"], bench.charged())


@pytest.mark.parametrize("op", ["submit", "poll"])
def test_a_lost_task_is_unknown(op: str) -> None:
    """Marked at its create for good, or for one poll."""
    bench = Bench()
    bench.sandbox.fault("lost_task", op=op)
    task_id = bench.task()

    body = bench.query(task_id)
    assert {"task_id": task_id, "task_status": "UNKNOWN"} == body["output"]
    assert ("UNKNOWN" if op == "submit" else "RUNNING") == bench.state(task_id)


def test_a_fault_of_the_poll_strikes_task_queries_only() -> None:
    """Polls are GETs of one task; the list is something else."""
    bench = Bench()
    bench.sandbox.fault("rate_limit", op="poll")
    assert "data" in bench.listed()

    assert THROTTLED == verdict(bench.call("GET", "/tasks/x"))


def test_the_ledger_has_creates_on_both_paths_without_a_key() -> None:
    """DashScope has no idempotency key, so posts have none."""
    bench = Bench()
    bench.sync()
    bench.create(ask(n=9))
    posts = bench.sandbox.ledger()["posts"]

    assert [(None, True, 200), (None, False, 400)] == [
        (p["key"], p["accepted"], p["status"]) for p in posts
    ]


def test_the_list_shows_tasks_newest_first_by_page() -> None:
    """Ten a page unless asked otherwise; with the slash of the docs or without, as the SDK."""
    bench = Bench().switch(rates=False)
    ids = [bench.task() for _ in range(12)]
    first = bench.call("GET", "/tasks?page_no=1&page_size=5").json()
    last = bench.call("GET", "/tasks/?page_no=3&page_size=5").json()

    assert (12, 3, 1, 5) == tuple(first[k] for k in ("total", "total_page", "page_no", "page_size"))
    assert ids[:6:-1] == [row["task_id"] for row in first["data"]]
    assert ids[1::-1] == [row["task_id"] for row in last["data"]]
    assert 10 == len(bench.listed()["data"])


def test_a_row_of_the_list_has_milliseconds_and_no_images() -> None:
    """Times there are numbers, unlike in the query."""
    bench = Bench().switch(region="beijing", queue_seconds=1)
    task_id = bench.task()
    bench.now += 41
    (row,) = bench.listed()["data"]

    assert (task_id, "SUCCEEDED", "wan2.7-image", "cn-beijing") == tuple(
        row[k] for k in ("task_id", "status", "model_name", "region")
    )
    assert (1795140000123, 1795140001123, 1795140041123) == tuple(
        row[k] for k in ("gmt_create", "start_time", "end_time")
    )
    assert not {"output", "code", "choices"} & set(row)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=RUNNING", 1),
        ("status=SUCCEEDED", 1),
        ("status=FAILED", 0),
        ("model_name=wan2.7-image", 1),
        ("model_name=wan2.7-image-pro&status=RUNNING", 1),
        ("start_time=20261120100000&end_time=20261120100001", 1),
        ("start_time=20261120100001", 1),
        ("end_time=20261120095959", 0),
        ("status=&model_name=&start_time=", 2),
    ],
)
def test_the_list_filters(query: str, found: int) -> None:
    """By state, model and time of creation; an empty filter is none."""
    bench = Bench()
    bench.task()
    bench.now += 40
    bench.task(pro())

    assert found == bench.listed(query)["total"]


def test_the_list_finds_one_task_by_its_id() -> None:
    """Other filters are then unneeded."""
    bench = Bench()
    ids = [bench.task() for _ in range(3)]

    assert [ids[1]] == [r["task_id"] for r in bench.listed(f"task_id={ids[1]}")["data"]]


@pytest.mark.parametrize(
    "query",
    [
        "status=DONE",
        "start_time=2026-11-20",
        "page_no=0",
        "page_size=ten",
        "start_time=20261118100000&end_time=20261120100000",
        "start_time=20261120100000&end_time=20261120090000",
    ],
)
def test_the_list_refuses_what_it_cannot_read(query: str) -> None:
    """Spans of more than 24 hours too."""
    assert INVALID == verdict(Bench().call("GET", f"/tasks/?{query}"))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/services/aigc/text2image/image-synthesis", (404, "model_not_supported")),
        ("POST", "/services/aigc/video-generation/generation", (404, "NotFound")),
        ("GET", SYNC, (404, "NotFound")),
        ("POST", f"{SYNC}/", (404, "NotFound")),
        ("POST", "/../tasks", (404, "NotFound")),
        ("DELETE", "/tasks/x", (404, "NotFound")),
    ],
)
def test_other_paths_are_not_served(method: str, path: str, expected: tuple[int, str]) -> None:
    """The old models' protocol, which some SDK classes still speak, has its own code."""
    assert expected == verdict(Bench().call(method, path, ask()))


def test_paths_outside_the_prefix_are_not_served() -> None:
    """A base URL without ``/api/v1`` is a mistake."""
    bench = Bench()
    url = f"{bench.sandbox.origin}/dashscope/tasks/x"
    headers = {"Authorization": f"Bearer {bench.sandbox.api_key('dashscope')}"}

    response = bench.sandbox.handle(HttpRequest(method="GET", url=url, headers=headers)).response

    assert (404, "NotFound") == verdict(response)


POLICY = "/uploads?action=getPolicy&model=wan2.7-image"


def form(policy: Mapping[str, Any], data: bytes, /, **changes: Any) -> list[tuple[str, Any]]:
    fields = {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": f"{policy['upload_dir']}/a.png",
        "x-oss-object-acl": policy["x_oss_object_acl"],
        "x-oss-forbid-overwrite": policy["x_oss_forbid_overwrite"],
        "success_action_status": "200",
        "file": data,
    }
    return [(k, v) for k, v in {**fields, **changes}.items() if v is not None]


def upload(bench: Bench, fields: list[tuple[str, Any]], *, type: str | None = None) -> HttpResponse:
    """POST the form to the sandbox's own upload host, without any API key."""
    lines = b""
    for name, value in fields:
        file = '; filename="a.png"\r\nContent-Type: image/png' if name == "file" else ""
        raw = value if isinstance(value, bytes) else value.encode()
        lines += f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        lines += raw + b"\r\n"
    return bench.sandbox.handle(
        HttpRequest(
            method="POST",
            url=f"{bench.sandbox.origin}/dashscope/oss-upload",
            headers={"Content-Type": type or "multipart/form-data; boundary=edge"},
            body=lines + b"--edge--\r\n",
        )
    ).response


def uploaded(bench: Bench, data: bytes) -> dict[str, str]:
    policy = bench.call("GET", POLICY).json()["data"]
    assert f"{bench.sandbox.origin}/dashscope/oss-upload" == policy["upload_host"]
    assert 200 == upload(bench, form(policy, data)).status
    return {"image": f"oss://{policy['upload_dir']}/a.png"}


def test_an_upload_becomes_an_input_image() -> None:
    """Policy, form, ``oss://`` with the resolve header; the image is seen, so a tier follows it."""
    bench = Bench()
    image = uploaded(bench, picture(480, 270))

    response = bench.sync(ask(image), RESOLVE)

    assert "2736*1536" == response.json()["usage"]["size"]


def test_an_uploaded_file_keeps_its_bytes() -> None:
    """Line ends inside the file are not the form's."""
    bench = Bench()
    image = uploaded(bench, picture(format="BMP") + b"\r\n\r\n--ed\r\n\r")

    assert 200 == bench.sync(ask(image), RESOLVE).status


def test_oss_without_the_resolve_header_is_refused() -> None:
    """Check 9, before the scheme of the others."""
    bench = Bench()
    image = uploaded(bench, picture())

    assert (400, "InvalidParameter.DataInspection") == verdict(
        bench.sync(ask({"image": "ftp://x"}, image))
    )


@pytest.mark.parametrize("case", ["unknown", "another model", "two days later"])
def test_an_oss_file_is_for_one_model_and_two_days(case: str) -> None:
    """What cannot be fetched is a failed inspection."""
    bench = Bench()
    image = uploaded(bench, picture())
    body = {
        "unknown": ask({"image": "oss://dashscope-instant/none.png"}),
        "another model": pro(image),
        "two days later": ask(image),
    }[case]
    bench.now += 2 * DAY if case == "two days later" else 0

    assert (400, "InvalidParameter.DataInspection") == verdict(bench.sync(body, RESOLVE))


@pytest.mark.parametrize("data", [picture(200, 200), b"text", b"\0" * (20 * 2**20 + 1)])
def test_an_uploaded_image_is_judged_like_any_other(data: bytes) -> None:
    """Check 11 holds for what lies in storage; 20 MB is the most."""
    bench = Bench()

    assert INVALID == verdict(bench.sync(ask(uploaded(bench, data)), RESOLVE))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", INVALID),
        ("?action=get&model=wan2.7-image", INVALID),
        ("?action=getPolicy", (404, "ModelNotFound")),
        ("?action=getPolicy&model=wan9", (404, "ModelNotFound")),
    ],
)
def test_a_policy_needs_action_and_model(query: str, expected: tuple[int, str]) -> None:
    """Both are part of the documented query."""
    assert expected == verdict(Bench().call("GET", f"/uploads{query}"))


def test_temporary_uploads_may_not_exist_in_the_region() -> None:
    """The pages contradict each other outside Beijing; a client must fall back."""
    assert (403, "AccessDenied") == verdict(Bench().switch(uploads=False).call("GET", POLICY))


def test_a_policy_expires() -> None:
    """403 AccessDenied from the storage host, in XML."""
    bench = Bench().switch(policy_seconds=60)
    policy = bench.call("GET", POLICY).json()["data"]
    assert 60 == policy["expire_in_seconds"]
    bench.now += 60
    response = upload(bench, form(policy, picture()))

    assert (403, "application/xml") == (response.status, response.header("content-type"))
    assert b"<Code>AccessDenied</Code>" in response.body


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"policy": "e30="}, 403, "AccessDenied"),
        ({"policy": None}, 403, "AccessDenied"),
        ({"OSSAccessKeyId": "LTAI"}, 403, "InvalidAccessKeyId"),
        ({"Signature": "Zm9v"}, 403, "SignatureDoesNotMatch"),
        ({"key": "elsewhere/a.png"}, 403, "AccessDenied"),
        ({"key": None}, 403, "AccessDenied"),
        ({"file": None}, 400, "InvalidArgument"),
        ({"file": b"\0" * (2**20 + 1)}, 400, "EntityTooLarge"),
    ],
)
def test_the_storage_host_holds_the_form_to_its_policy(
    changes: dict[str, Any], status: int, code: str
) -> None:
    """Every field of the form matters there."""
    bench = Bench().switch(upload_megabytes=1)
    policy = bench.call("GET", POLICY).json()["data"]
    response = upload(bench, form(policy, picture(), **changes))

    assert status == response.status
    assert f"<Code>{code}</Code>".encode() in response.body


def test_the_file_comes_last_in_the_form() -> None:
    """What follows the file is not read, so the policy is missing."""
    bench = Bench()
    fields = form(bench.call("GET", POLICY).json()["data"], picture())

    assert 403 == upload(bench, fields[::-1]).status


def test_a_key_is_written_once() -> None:
    """``x-oss-forbid-overwrite`` is true in every policy; without it, the newer file wins."""
    bench = Bench()
    policy = bench.call("GET", POLICY).json()["data"]
    careless = form(policy, picture(), **{"x-oss-forbid-overwrite": None})

    assert [200, 409, 200] == [
        upload(bench, fields).status
        for fields in (form(policy, picture()), form(policy, picture()), careless)
    ]


def test_the_storage_host_answers_204_unless_told_200() -> None:
    """``success_action_status`` is what makes it 200."""
    bench = Bench()
    policy = bench.call("GET", POLICY).json()["data"]

    assert 204 == upload(bench, form(policy, picture(), success_action_status=None)).status


@pytest.mark.parametrize("type", ["application/json", "multipart/form-data"])
def test_the_storage_host_wants_a_multipart_form(type: str) -> None:
    """Anything else is malformed."""
    bench = Bench()
    fields = form(bench.call("GET", POLICY).json()["data"], picture())

    assert 400 == upload(bench, fields, type=type).status


def test_reset_forgets_tasks_uploads_and_rates() -> None:
    """Tests that share a sandbox must not share its memory."""
    bench = Bench()
    image = uploaded(bench, picture())
    for _ in range(5):
        bench.task()
    bench.sandbox.reset()

    assert 200 == bench.create().status
    assert 400 == bench.sync(ask(image), RESOLVE).status
