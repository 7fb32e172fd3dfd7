"""GCCAI's server: two envelopes, an array on submit, an object on status."""

from __future__ import annotations

import base64
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Sandbox
from wanbridge.wire import HttpRequest

KITE: dict[str, Any] = {"model": "wan2.7-image", "prompt": "a red kite"}
PRO = {**KITE, "model": "wan2.7-image-pro"}
SHELF = "https://img.example.org/shelf.jpg"
EDIT = {**KITE, "image_urls": [SHELF]}
GROUP = {**KITE, "enable_sequential": True}
PALETTE = [
    {"hex": "#264653", "ratio": "50.00%"},
    {"hex": "#2A9D8F", "ratio": "30%"},
    {"hex": "#e9c46a", "ratio": "20.00%"},
]


@pytest.fixture
def gccai(clock: Clock) -> Caller:
    return Caller(Sandbox(["gccai"], clock=clock, latency=10), "gccai", clock)


def submit(gccai: Caller, body: Any = KITE, **headers: str) -> str:
    status, answer = gccai.send("POST", "/images/generations", body, **headers)
    assert 200 == status, answer
    return str(answer["data"][0]["task_id"])


def look(gccai: Caller, task_id: str) -> Any:
    status, answer = gccai.send("GET", f"/tasks/{task_id}?language=en")
    assert (200, 200) == (status, answer["code"]), answer
    return answer["data"]


def finish(gccai: Caller, body: Any = KITE) -> Any:
    task_id = submit(gccai, body)
    gccai.clock.now += 10
    return look(gccai, task_id)


def size_of(gccai: Caller, body: Any) -> tuple[int, int]:
    """Pixels of the first picture that *body* gives."""
    url = finish(gccai, body)["result"]["images"][0]["url"][0]
    with Image.open(BytesIO(gccai.fetch(url).response.body)) as image:
        return image.size


def picture(width: int, height: int, format: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height)).save(buffer, format)
    return buffer.getvalue()


def data_uri(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("shape", "code", "word"), [("A", "success", "processing"), ("B", 200, "submitted")]
)
def test_a_submit_answers_with_an_array_of_one(
    gccai: Caller, shape: Any, code: Any, word: Any
) -> None:
    """The code is a word on the Wan page and a number on its siblings."""
    gccai.sandbox.switch("gccai", "submit_shape", shape)
    _, answer = gccai.send("POST", "/images/generations", KITE)

    assert (code, word) == (answer["code"], answer["data"][0]["status"])
    assert 1 == len(answer["data"])


def test_the_twins_newest_shape_has_no_code_and_no_array(gccai: Caller) -> None:
    """The id is ``data.id``."""
    gccai.sandbox.switch("gccai", "submit_shape", "C")
    _, answer = gccai.send("POST", "/images/generations", KITE)

    assert {"request_id", "data"} == answer.keys()
    assert "pending" == look(gccai, answer["data"]["id"])["status"]


@pytest.mark.parametrize(("shape", "length"), [("ulid", 31), ("unified", 32)])
def test_ids_have_two_forms(gccai: Caller, shape: Any, length: Any) -> None:
    """26 upper-case characters, or the older one with its seconds."""
    gccai.sandbox.switch("gccai", "id_shape", shape)
    task_id = submit(gccai)

    assert length == len(task_id)
    assert task_id.startswith("task_" if shape == "ulid" else "task-unified-1795000000-")
    assert task_id == look(gccai, task_id)["id"]


def test_a_task_is_pending_then_processing_then_completed(gccai: Caller) -> None:
    """Progress is 0, then 10 to 90, then 100."""
    task_id = submit(gccai)
    states = []
    for seconds in (0, 0.5, 4, 5.4, 0.1):
        gccai.clock.now += seconds
        data = look(gccai, task_id)
        states.append((data["status"], data["progress"]))

    assert [
        ("pending", 0),
        ("pending", 0),
        ("processing", 45),
        ("processing", 90),
        ("completed", 100),
    ] == states


def test_a_completed_task_has_urls_in_arrays_and_times_in_seconds(gccai: Caller) -> None:
    """One object per image; links expire a day after the work."""
    done = finish(gccai, {**KITE, "n": 2})
    images = done["result"]["images"]

    assert [1, 1] == [len(image["url"]) for image in images]
    assert {1_795_086_410} == {image["expires_at"] for image in images}
    assert (1_795_000_000, 1_795_000_010, 10, 60) == (
        done["created"],
        done["completed"],
        done["actual_time"],
        done["estimated_time"],
    )
    assert (0.055, 5.5) == (done["cost"], done["credits_cost"])


@pytest.mark.parametrize(
    ("switches", "urls"),
    [
        ({"url_shape": "string"}, [str, str]),
        ({"images_shape": "one"}, [list]),
        ({"images_shape": "one", "url_shape": "string"}, [list]),
        ({"expires_at": False, "cost": False}, [list, list]),
    ],
)
def test_images_come_in_several_shapes(gccai: Caller, switches: Any, urls: Any) -> None:
    """An older page has strings; how n images are spread is not stated."""
    gccai.sandbox.set_switches({"gccai": switches})
    done = finish(gccai, {**KITE, "n": 2})
    images = done["result"]["images"]

    assert urls == [type(image["url"]) for image in images]
    assert switches.get("cost", True) == ("cost" in done)
    assert switches.get("expires_at", True) == ("expires_at" in images[0])


@pytest.mark.parametrize("code", ["200", "success"])
def test_the_code_of_a_status_may_be_text(gccai: Caller, code: Any) -> None:
    """And the word for running another."""
    gccai.sandbox.set_switches({"gccai": {"status_code": code, "running_word": "in_progress"}})
    task_id = submit(gccai)
    gccai.clock.now += 5
    _, answer = gccai.send("GET", f"/tasks/{task_id}")

    assert (code, "in_progress") == (answer["code"], answer["data"]["status"])


@pytest.mark.parametrize(
    ("body", "held"),
    [(KITE, "0.20"), ({**KITE, "n": 4}, "0.80"), (PRO, "0.50"), ({**GROUP, "n": 12}, "2.40")],
)
def test_n_is_held_at_submit_and_what_came_is_charged(gccai: Caller, body: Any, held: Any) -> None:
    """Nothing counts as charged before the end."""
    submit(gccai, body)

    assert Decimal(1000) - Decimal(held) == gccai.sandbox.balance("gccai")
    assert "0" == gccai.charged()
    gccai.clock.now += 10
    assert held == gccai.charged()
    assert Decimal(1000) - Decimal(held) == gccai.sandbox.balance("gccai")


def test_images_that_do_not_come_are_given_back(gccai: Caller) -> None:
    """Two of three are billed."""
    gccai.sandbox.fault("fewer_images")
    done = finish(gccai, {**KITE, "n": 3})

    assert 2 == len(done["result"]["images"])
    assert "0.40" == gccai.charged()
    assert Decimal("999.60") == gccai.sandbox.balance("gccai")


@pytest.mark.parametrize("images", ["objects", "one"])
def test_a_completed_task_may_have_no_image(gccai: Caller, images: Any) -> None:
    """It is free, and a failure for whoever asked."""
    gccai.sandbox.switch("gccai", "images_shape", images)
    gccai.sandbox.fault("empty_success")
    done = finish(gccai)

    assert ("completed", [], 0) == (done["status"], done["result"]["images"], done["cost"])
    assert "0" == gccai.charged()


@pytest.mark.parametrize(("kind", "code"), [("fail_generation", 500), ("refuse_content", 400)])
def test_a_failed_task_is_http_200_and_free(gccai: Caller, kind: Any, code: Any) -> None:
    """The error is inside ``data``."""
    gccai.sandbox.fault(kind)
    done = finish(gccai)

    assert ("failed", 100) == (done["status"], done["progress"])
    assert (code, "upstream_error") == (done["error"]["code"], done["error"]["type"])
    assert "result" not in done
    assert Decimal(1000) == gccai.sandbox.balance("gccai")


@pytest.mark.parametrize(
    ("shape", "name"), [("object", "error"), ("string", "error"), ("message", "message")]
)
def test_a_failure_has_three_shapes_and_may_be_a_cancellation(
    gccai: Caller, shape: Any, name: Any
) -> None:
    """GCCAI's own is not documented; its language follows the query."""
    gccai.sandbox.set_switches({"gccai": {"failed_shape": shape, "failed_word": "cancelled"}})
    gccai.sandbox.fault("fail_generation")
    done = finish(gccai)
    _, chinese = gccai.send("GET", f"/tasks/{done['id']}?language=zh")

    message = done[name]["message"] if shape == "object" else done[name]
    other = chinese["data"][name]["message"] if shape == "object" else chinese["data"][name]
    assert "cancelled" == done["status"]
    assert f"(zh) {message}" == other


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        [KITE],
        {"prompt": "a red kite"},
        {"model": "wan2.7-image"},
        {"model": "wan2.7-image", "prompt": ""},
        {"model": "wan2.7-image", "image_urls": []},
        {**KITE, "model": "wan2.6-image"},
        {**KITE, "model": ["wan2.7-image"]},
        {**KITE, "prompt": "x" * 5001},
        {**KITE, "prompt": None},
        {**KITE, "n": 0},
        {**KITE, "n": 5},
        {**KITE, "n": "1"},
        {**KITE, "n": 1.5},
        {**GROUP, "n": 13},
        {**KITE, "seed": -1},
        {**KITE, "seed": 2**31},
        {**KITE, "seed": True},
        {**KITE, "watermark": "false"},
        {**KITE, "thinking_mode": 1},
        {**KITE, "negative_prompt": 1},
        {**KITE, "size": 1024},
        {**KITE, "size": "1024"},
        {**KITE, "size": "1024,1024"},
        {**KITE, "size": "1024X1024"},
        {**KITE, "size": "21:9"},
        {**KITE, "size": "2k"},
        {**KITE, "size": "4K"},
        {**KITE, "size": "1K", "resolution": "1K"},
        {**KITE, "resolution": "8K"},
        {**KITE, "size": "16:9", "resolution": "4K"},
        {**PRO, "size": "4K", "enable_sequential": True},
        {**PRO, "size": "4K", "image_urls": [SHELF]},
        {**KITE, "size": "767x768"},
        {**KITE, "size": "2049x2048"},
        {**PRO, "size": "4096*4097"},
        {**PRO, "size": "3000x3000", "image_urls": [SHELF]},
        {**PRO, "size": "6400*720"},
        {**KITE, "image_urls": SHELF},
        {**KITE, "image_urls": [SHELF] * 10},
        {**KITE, "image_urls": ["ftp://img.example.org/a.png"]},
        {**KITE, "image_urls": ["https://192.168.0.1/a.png"]},
        {**KITE, "image_urls": ["data:image/png;base64,?"]},
        {**KITE, "image_urls": ["data:text/plain;base64,AAAA"]},
        {**KITE, "image_urls": [data_uri(b"GIF89a")]},
        {**KITE, "image_urls": [data_uri(picture(300, 300)[:40])]},
        {**KITE, "image_urls": [data_uri(picture(239, 300))]},
        {**KITE, "image_urls": [data_uri(picture(8001, 300))]},
        {**KITE, "image_urls": [data_uri(picture(2161, 270))]},
        {**KITE, "bbox_list": [[]]},
        {**EDIT, "bbox_list": [[], []]},
        {**EDIT, "bbox_list": [[[0, 0, 9, 9]] * 3]},
        {**EDIT, "bbox_list": [[[0, 0, 9]]]},
        {**EDIT, "bbox_list": [[[0, 0, 9, "9"]]]},
        {**KITE, "color_palette": {}},
        {**KITE, "color_palette": PALETTE[:2]},
        {**KITE, "color_palette": PALETTE * 4},
        {**KITE, "color_palette": [*PALETTE, {"hex": "#000000", "ratio": "0.01%"}]},
        {**KITE, "color_palette": [*PALETTE[:2], {"hex": "#000", "ratio": "20.00%"}]},
        {**KITE, "color_palette": [*PALETTE[:2], {"hex": "#000000", "ratio": 20}]},
        {**KITE, "color_palette": [*PALETTE[:2], "#000000"]},
    ],
)
def test_what_breaks_a_rule_is_400_and_free(gccai: Caller, body: Any) -> None:
    """Nothing is held, either."""
    status, answer = gccai.send("POST", "/images/generations", body)

    assert (400, 400) == (status, answer["error"]["code"])
    assert "invalid_request_error" == answer["error"]["type"]
    assert Decimal(1000) == gccai.sandbox.balance("gccai")


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (KITE, (2048, 2048)),
        ({**KITE, "size": "1K"}, (1024, 1024)),
        ({**KITE, "resolution": "1K"}, (1024, 1024)),
        ({**KITE, "size": "16:9"}, (2736, 1536)),
        ({**KITE, "size": "3:2", "resolution": "1K"}, (1248, 832)),
        ({**KITE, "size": "1280x720"}, (1280, 720)),
        ({**KITE, "size": "720*1280"}, (720, 1280)),
        ({**PRO, "size": "4K"}, (4096, 4096)),
        ({**EDIT, "size": "16:9"}, (2048, 2048)),
        ({**EDIT, "size": "1K", "image_urls": [data_uri(picture(800, 400))]}, (1440, 720)),
        ({**EDIT, "image_urls": [data_uri(picture(300, 600, "BMP"), "image/bmp")]}, (1440, 2896)),
    ],
)
def test_sizes_are_gears_ratios_or_pixels(gccai: Caller, body: Any, size: Any) -> None:
    """A ratio has no effect on an edit: the last image gives the shape."""
    assert size == size_of(gccai, body)


@pytest.mark.parametrize(
    "body",
    [
        {**KITE, "mood": "calm"},
        {**EDIT, "thinking_mode": True},
        {**GROUP, "thinking_mode": True, "color_palette": [1], "n": 12},
        {**KITE, "color_palette": PALETTE, "negative_prompt": "", "seed": 0},
        {"model": "wan2.7-image", "image_urls": ["http://img.example.org/a.png"]},
        {**EDIT, "bbox_list": [[[0, 0, 9, 9], [9, 9, 20, 20]]]},
        {**KITE, "image_urls": [SHELF, SHELF], "bbox_list": [[], [[0, 0, 9, 9]]]},
    ],
)
def test_what_has_no_effect_is_ignored(gccai: Caller, body: Any) -> None:
    """Unknown fields, thinking with images, a palette in a group."""
    assert "completed" == finish(gccai, body)["status"]


def test_a_box_out_of_order_fails_the_task(gccai: Caller) -> None:
    """Only the model sees it."""
    done = finish(gccai, {**EDIT, "bbox_list": [[[9, 0, 0, 9]]]})

    assert "a box of bbox_list is not in order" == done["error"]["message"]
    assert "0" == gccai.charged()


def test_data_uris_may_be_refused(gccai: Caller) -> None:
    """The twin's newest pages tell clients to upload."""
    gccai.sandbox.switch("gccai", "data_images", False)
    body = {**KITE, "image_urls": [data_uri(picture(300, 300))]}

    assert 400 == gccai.send("POST", "/images/generations", body)[0]


def test_the_check_before_submission_is_400(gccai: Caller) -> None:
    """A refused prompt without a task."""
    gccai.sandbox.switch("gccai", "prompt_check", True)
    status, answer = gccai.send("POST", "/images/generations", KITE)

    assert (400, "the prompt was refused") == (status, answer["error"]["message"])
    assert [] == gccai.sandbox.tasks()


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "x"}])
def test_a_wrong_key_is_401_before_the_body_is_read(gccai: Caller, header: Any) -> None:
    """With the type that the family has for it."""
    url = f"{gccai.sandbox.base_url('gccai')}/images/generations"
    reply = gccai.sandbox.handle(HttpRequest(method="POST", url=url, headers=header, body=b"{"))

    assert 401 == reply.response.status
    assert "authentication_error" == reply.response.json()["error"]["type"]


def test_an_account_that_cannot_pay_for_all_gets_402(gccai: Caller) -> None:
    """The hold counts, not what will come."""
    gccai.sandbox.set_balance("gccai", "0.79")
    status, answer = gccai.send("POST", "/images/generations", {**KITE, "n": 4})

    assert (402, "payment_required") == (status, answer["error"]["type"])


@pytest.mark.parametrize("path", ["/balance", "/user/balance"])
def test_both_balances_count_holds_out_and_charges_in(gccai: Caller, path: Any) -> None:
    """In the operator's unit, here CNY."""
    finish(gccai)
    submit(gccai)

    assert {
        "success": True,
        "remain_balance": 999.6,
        "used_balance": 0.2,
        "unlimited_quota": False,
    } == gccai.send("GET", path)[1]


def test_an_unlimited_key_says_minus_one_and_is_never_short(gccai: Caller) -> None:
    """With the twin's two fields more, if switched on."""
    gccai.sandbox.set_switches({"gccai": {"unlimited": True, "balance_credits": True}})
    gccai.sandbox.set_balance("gccai", 0)
    submit(gccai)
    _, balance = gccai.send("GET", "/balance")

    assert (True, -1, -100) == (
        balance["unlimited_quota"],
        balance["remain_balance"],
        balance["remain_credits"],
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [({}, "no authorization header"), ({"Authorization": "Bearer x"}, "the key is unknown")],
)
@pytest.mark.parametrize("status", [200, 401])
def test_balances_refuse_in_a_shape_of_their_own(
    gccai: Caller, header: Any, message: Any, status: Any
) -> None:
    """The HTTP status is not documented."""
    gccai.sandbox.switch("gccai", "balance_status", status)
    url = f"{gccai.sandbox.base_url('gccai')}/balance"
    reply = gccai.sandbox.handle(HttpRequest(method="GET", url=url, headers=header))

    assert status == reply.response.status
    assert {"success": False, "message": message} == reply.response.json()


@pytest.mark.parametrize(
    ("shape", "names"),
    [("error", {"error"}), ("code", {"code", "message"}), ("success", {"success", "message"})],
)
def test_every_error_may_come_with_http_200(gccai: Caller, shape: Any, names: Any) -> None:
    """In three shapes that clients have to know."""
    gccai.sandbox.set_switches({"gccai": {"errors_in_200": True, "error_shape": shape}})
    status, answer = gccai.send("POST", "/images/generations", {})

    assert (200, names) == (status, answer.keys())
    assert 400 == {"error": {"code": 400}, **answer}["error"]["code"]


@pytest.mark.parametrize(("status", "name"), [(404, "error"), (200, "code")])
def test_an_unknown_task_is_404_by_status_or_by_code(gccai: Caller, status: Any, name: Any) -> None:
    """Neither is documented."""
    gccai.sandbox.switch("gccai", "unknown_task", status)
    found, answer = gccai.send("GET", "/tasks/task_0")

    assert status == found
    assert 404 == (answer["error"]["code"] if name == "error" else answer["code"])


def test_tasks_and_links_end(gccai: Caller) -> None:
    """Links after a day, tasks after some days that the operator sets."""
    done = finish(gccai)
    url = done["result"]["images"][0]["url"][0]
    alive = gccai.fetch(url).response.status
    gccai.clock.now += 86400

    assert (200, 403) == (alive, gccai.fetch(url).response.status)
    gccai.clock.now += 6 * 86400
    assert 404 == gccai.send("GET", f"/tasks/{done['id']}")[0]


def test_several_tasks_are_asked_for_at_once(gccai: Caller) -> None:
    """The shape is a guess; unknown ones are left out."""
    ids = [submit(gccai), submit(gccai)]
    _, answer = gccai.send("POST", "/tasks/batch", {"task_ids": [*ids, "task_0"]})

    assert ids == [task["id"] for task in answer["data"]]
    assert 400 == gccai.send("POST", "/tasks/batch", {"task_ids": "x"})[0]
    assert 400 == gccai.send("POST", "/tasks/batch", [])[0]


def test_the_same_post_twice_is_two_tasks(gccai: Caller) -> None:
    """An Idempotency-Key has no effect that is documented."""
    first, second = (submit(gccai, Idempotency_Key="k-1") for _ in range(2))

    assert first != second
    assert ["k-1", "k-1"] == [post["key"] for post in gccai.sandbox.ledger()["posts"]]


def test_a_key_may_replay_the_first_task(gccai: Caller) -> None:
    """As at the twin: same key and body, or 409."""
    gccai.sandbox.switch("gccai", "idempotency", True)
    first = submit(gccai, Idempotency_Key="k-1")
    again = gccai.reply("POST", "/images/generations", KITE, Idempotency_Key="k-1").response

    assert first == again.json()["data"][0]["task_id"]
    assert "true" == again.header("Idempotency-Replayed")
    assert 409 == gccai.send("POST", "/images/generations", PRO, Idempotency_Key="k-1")[0]
    assert 400 == gccai.send("POST", "/images/generations", KITE, Idempotency_Key="k 1")[0]
    assert first != submit(gccai)
    assert 2 == len(gccai.sandbox.tasks())


def test_models_are_listed_with_parameters_on_demand(gccai: Caller) -> None:
    """Ids in ``data``."""
    plain = gccai.send("GET", "/models")[1]["data"]
    more = gccai.send("GET", "/models?expand=parameters")[1]["data"]

    assert ["wan2.7-image-pro", "wan2.7-image"] == [model["id"] for model in plain]
    assert "prompt" in more[0]["parameters"]["properties"]


def upload(gccai: Caller, data: bytes, head: str = 'name="file"; filename="ref.png"') -> Any:
    body = (
        f"--b\r\nContent-Disposition: form-data; {head}\r\nContent-Type: image/png\r\n\r\n"
    ).encode()
    return gccai.send(
        "POST",
        "/uploads/images",
        body + data + b"\r\n--b--\r\n",
        Content_Type='multipart/form-data; boundary="b"',
    )


def test_an_upload_answers_bare_and_lives_three_days(gccai: Caller) -> None:
    """What it is, its bytes tell."""
    data = picture(300, 300, "JPEG")
    status, answer = upload(gccai, data)

    assert (200, "image/jpeg", "ref.png", len(data), 1_795_000_000) == (
        status,
        answer["content_type"],
        answer["filename"],
        answer["bytes"],
        answer["created_at"],
    )
    assert data == gccai.fetch(answer["url"]).response.body
    assert "completed" == finish(gccai, {**KITE, "image_urls": [answer["url"]]})["status"]
    gccai.clock.now += 72 * 3600
    assert 404 == gccai.fetch(answer["url"]).response.status
    assert "failed" == finish(gccai, {**KITE, "image_urls": [answer["url"]]})["status"]


def test_an_upload_may_be_too_large_or_none(gccai: Caller) -> None:
    """413, or 400."""
    gccai.sandbox.switch("gccai", "upload_megabytes", 0.001)

    assert 413 == upload(gccai, picture(300, 300, "BMP"))[0]
    assert 400 == upload(gccai, b"BM")[0]
    assert 400 == upload(gccai, b"", 'name="picture"')[0]
    assert 400 == gccai.send("POST", "/uploads/images", {})[0]


@pytest.mark.parametrize(
    ("kind", "options", "op", "status", "type"),
    [
        ("rate_limit", {}, "submit", 429, "rate_limit_error"),
        ("server_error", {}, "submit", 500, "server_error"),
        ("server_error", {"status": 502}, "poll", 502, "bad_gateway"),
        ("error_in_200", {}, "poll", 200, "server_error"),
        ("no_credit", {}, "submit", 402, "payment_required"),
        ("unauthorized", {}, "poll", 401, "authentication_error"),
        ("lost_task", {}, "poll", 404, "not_found_error"),
    ],
)
def test_faults_are_told_in_gccais_words(
    gccai: Caller, kind: Any, options: Any, op: Any, status: Any, type: Any
) -> None:
    """An error object with code, message and type."""
    task_id = submit(gccai)
    gccai.sandbox.fault(kind, op=op, **options)
    if op == "submit":
        found, answer = gccai.send("POST", "/images/generations", KITE)
    else:
        found, answer = gccai.send("GET", f"/tasks/{task_id}")

    assert (status, type) == (found, answer["error"]["type"])
    assert {"code", "message", "type"} == answer["error"].keys()


@pytest.mark.parametrize(
    ("form", "seconds", "value"),
    [
        ("seconds", None, "1"),
        ("seconds", 7, "7"),
        ("date", 7, "Wed, 18 Nov 2026 11:06:47 GMT"),
    ],
)
def test_retry_after_has_both_forms(gccai: Caller, form: Any, seconds: Any, value: Any) -> None:
    """Seconds, or a date."""
    gccai.sandbox.switch("gccai", "retry_after", form)
    gccai.sandbox.fault("rate_limit", retry_after=seconds)

    reply = gccai.reply("POST", "/images/generations", KITE)

    assert value == reply.response.header("Retry-After")


def test_a_lost_task_is_gone_for_good_and_charged(gccai: Caller) -> None:
    """The worst of both."""
    gccai.sandbox.fault("lost_task")
    task_id = submit(gccai)
    gccai.clock.now += 10

    assert 404 == gccai.send("GET", f"/tasks/{task_id}")[0]
    assert "0.20" == gccai.charged()


def test_an_unknown_path_is_404(gccai: Caller) -> None:
    """There is no cancel."""
    for method, path in (("POST", "/tasks/x/cancel"), ("GET", "/images"), ("DELETE", "/tasks/x")):
        assert 404 == gccai.send(method, path)[0]
    assert 404 == gccai.fetch("http://127.0.0.1:9/gccai/uploads/x.png").response.status


def test_the_cost_is_in_another_unit_than_the_price(gccai: Caller) -> None:
    """The page's sample has 0.055 for two images of CNY 0.20."""
    done = finish(gccai, PRO)

    assert (0.06875, 6.875) == (done["cost"], done["credits_cost"])
    assert "0.50" == gccai.charged()
