"""KIE's server: errors inside HTTP 200, JSON inside strings, four images unless told."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Reply, Sandbox
from wanbridge.sandbox.dialects.kie.callbacks import signature
from wanbridge.wire import HttpRequest

ONE: dict[str, Any] = {"prompt": "a red kite", "n": 1}
SHELF = "https://img.example.org/shelf.jpg"
EDIT = {**ONE, "input_urls": [SHELF]}
SET = {**ONE, "enable_sequential": True}
PALETTE = [
    {"hex": "#264653", "ratio": "50.00%"},
    {"hex": "#2A9D8F", "ratio": "30.00%"},
    {"hex": "#e9c46a", "ratio": "20.00%"},
]
HOOK = "https://app.example.com/hooks/kie"


@pytest.fixture
def kie(clock: Clock) -> Caller:
    return Caller(Sandbox(["kie"], clock=clock, latency=10), "kie", clock)


def ask(kie: Caller, given: Any = ONE, model: str = "wan/2-7-image", **top: Any) -> Any:
    """The answer to a create, which is HTTP 200 whatever it says."""
    body = {"model": model, "input": given, **top}
    status, answer = kie.send("POST", "/jobs/createTask", body)
    assert 200 == status
    return answer


def create(kie: Caller, given: Any = ONE, model: str = "wan/2-7-image", **top: Any) -> str:
    answer = ask(kie, given, model, **top)
    assert 200 == answer["code"], answer
    return str(answer["data"]["taskId"])


def record(kie: Caller, task_id: str) -> Any:
    _, answer = kie.send("GET", f"/jobs/recordInfo?taskId={task_id}")
    assert 200 == answer["code"], answer
    return answer["data"]


def finish(kie: Caller, given: Any = ONE, model: str = "wan/2-7-image", **top: Any) -> Any:
    task_id = create(kie, given, model, **top)
    kie.clock.now += 10
    return record(kie, task_id)


def urls(done: Any) -> list[str]:
    found: list[str] = json.loads(done["resultJson"])["resultUrls"]
    return found


def at_root(kie: Caller, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
    """A call below ``{origin}/kie``, where uploads live, with the key."""
    key = {"Authorization": f"Bearer {kie.sandbox.api_key('kie')}"}
    url = f"{kie.sandbox.origin}/kie{path}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return kie.sandbox.handle(HttpRequest(method=method, url=url, headers=key | named, body=body))


def upload(kie: Caller, path: str, value: Any) -> Any:
    return at_root(kie, "POST", path, json.dumps(value).encode()).response.json()


def test_a_create_answers_with_a_task_id_of_32_digits(kie: Caller) -> None:
    """And with nothing else: only creation is confirmed."""
    answer = ask(kie)

    assert (200, "success", ["taskId"]) == (answer["code"], answer["msg"], [*answer["data"]])
    assert 32 == len(answer["data"]["taskId"])


@pytest.mark.parametrize(("given", "images"), [({}, 4), ({"enable_sequential": True}, 12)])
def test_who_names_no_count_pays_for_four_or_twelve(kie: Caller, given: Any, images: Any) -> None:
    """The default is the most there can be."""
    done = finish(kie, {"prompt": "a red kite", **given})

    assert images == len(urls(done))
    assert str(8 * images) == kie.charged()


def test_param_and_result_are_json_inside_strings(kie: Caller) -> None:
    """``param`` is the body as it was sent."""
    done = finish(kie, callBackUrl=HOOK)

    assert {"model": "wan/2-7-image", "input": ONE, "callBackUrl": HOOK} == json.loads(
        done["param"]
    )
    assert 200 == kie.fetch(urls(done)[0]).response.status


def test_a_task_waits_queues_generates_and_succeeds(kie: Caller) -> None:
    """Until the end the result is an empty string and the times are null."""
    task_id = create(kie)
    states = []
    for seconds in (0, 1, 2, 7):
        kie.clock.now += seconds
        data = record(kie, task_id)
        states.append((data["state"], bool(data["resultJson"]), data["costTime"]))

    assert [
        ("waiting", False, None),
        ("queuing", False, None),
        ("generating", False, None),
        ("success", True, 10_000),
    ] == states


def test_times_are_milliseconds(kie: Caller) -> None:
    """Since 1970, and for the work itself."""
    done = finish(kie)

    assert (1_795_000_000_000, 1_795_000_010_000, 1_795_000_010_000, 10_000) == (
        done["createTime"],
        done["updateTime"],
        done["completeTime"],
        done["costTime"],
    )


@pytest.mark.parametrize(
    ("model", "given", "credits_due"),
    [
        ("wan/2-7-image", {**ONE, "n": 3}, 24),
        ("wan/2-7-image-pro", {**ONE, "n": 2}, 24),
        ("wan/2-7-image-pro", {**ONE, "resolution": "4K"}, 12),
        ("wan/2-7-image-pro", {**SET, "n": 12}, 144),
    ],
)
def test_credits_are_held_at_once_and_consumed_at_the_end(
    kie: Caller, model: Any, given: Any, credits_due: Any
) -> None:
    """Per image; the balance is a number."""
    task_id = create(kie, given, model)
    held = kie.send("GET", "/chat/credit")[1]["data"]
    before = kie.charged()
    kie.clock.now += 10

    assert (5000 - credits_due, "0") == (held, before)
    assert credits_due == record(kie, task_id)["creditsConsumed"]
    assert str(credits_due) == kie.charged()


def test_a_balance_may_have_a_fraction(kie: Caller) -> None:
    """Declared as an integer, seen otherwise."""
    kie.sandbox.set_balance("kie", "812.5")

    assert {"code": 200, "msg": "success", "data": 812.5} == kie.send("GET", "/chat/credit")[1]


def test_images_that_do_not_come_are_not_billed(kie: Caller) -> None:
    """What was held for them is given back."""
    kie.sandbox.fault("fewer_images")
    done = finish(kie, {**ONE, "n": 3})

    assert (2, 16) == (len(urls(done)), done["creditsConsumed"])
    assert Decimal(4984) == kie.sandbox.balance("kie")


def test_a_success_without_any_url_consumes_nothing(kie: Caller) -> None:
    """An error to report, not to retry."""
    kie.sandbox.fault("empty_success")
    done = finish(kie)

    assert ("success", [], 0) == (done["state"], urls(done), done["creditsConsumed"])


@pytest.mark.parametrize(("kind", "code"), [("fail_generation", "501"), ("refuse_content", "400")])
def test_a_failure_is_a_good_answer_about_a_bad_task(kie: Caller, kind: Any, code: Any) -> None:
    """Outer code 200, ``failCode`` is text, nothing is consumed."""
    kie.sandbox.fault(kind)
    done = finish(kie)

    assert ("fail", code, "", 0) == (
        done["state"],
        done["failCode"],
        done["resultJson"],
        done["creditsConsumed"],
    )
    assert done["failMsg"]
    assert Decimal(5000) == kie.sandbox.balance("kie")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"prompt": ""},
        {"prompt": "x" * 5001},
        {"prompt": None},
        {**ONE, "negative_prompt": "rain"},
        {**ONE, "image_urls": [SHELF]},
        {**ONE, "size": "1024*1024"},
        {**ONE, "n": 0},
        {**ONE, "n": 5},
        {**ONE, "n": "1"},
        {**ONE, "n": True},
        {**SET, "n": 13},
        {**ONE, "enable_sequential": "true"},
        {**ONE, "aspect_ratio": "2:1"},
        {**ONE, "aspect_ratio": 1},
        {**ONE, "resolution": "2k"},
        {**ONE, "resolution": "8K"},
        {**ONE, "seed": -1},
        {**ONE, "seed": 2**31},
        {**ONE, "watermark": 0},
        {**ONE, "nsfw_checker": None},
        {**ONE, "input_urls": []},
        {**ONE, "input_urls": SHELF},
        {**ONE, "input_urls": [SHELF] * 10},
        {**ONE, "input_urls": ["data:image/png;base64,AAAA"]},
        {**ONE, "input_urls": ["https://10.0.0.1/a.png"]},
        {**ONE, "color_palette": PALETTE[:2]},
        {**ONE, "color_palette": PALETTE * 4},
        {**ONE, "color_palette": json.dumps(PALETTE)},
        {**ONE, "color_palette": [*PALETTE, {"hex": "#000000"}]},
        {**ONE, "color_palette": [*PALETTE[:2], {"hex": "#000", "ratio": "20.00%"}]},
        {**ONE, "color_palette": [*PALETTE[:2], {"hex": "#000000", "ratio": "20%"}]},
        {**ONE, "color_palette": [*PALETTE[:2], {"hex": "#000000", "ratio": "20.0%"}]},
        {**EDIT, "bbox_list": []},
        {**EDIT, "bbox_list": [[], []]},
        {**EDIT, "bbox_list": [[[0, 0, 9, 9]] * 3]},
        {**EDIT, "bbox_list": [[0, 0, 9, 9]]},
        {**EDIT, "bbox_list": "[[[0,0,9,9]]]"},
        # Modes: images, sets, and what goes with neither.
        {**EDIT, "aspect_ratio": "1:1"},
        {**EDIT, "resolution": "4K"},
        {**SET, "resolution": "4K"},
        {**EDIT, "thinking_mode": True},
        {**SET, "thinking_mode": True},
        {**SET, "color_palette": PALETTE},
        {**ONE, "bbox_list": []},
    ],
)
def test_a_create_that_breaks_a_rule_is_422_inside_200(kie: Caller, given: Any) -> None:
    """Without a task, so without a price."""
    answer = ask(kie, given)

    assert (422, None) == (answer["code"], answer["data"])
    assert answer["msg"]
    assert [] == kie.sandbox.tasks()


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        [],
        {"input": ONE},
        {"model": "wan/2-7-image"},
        {"model": "wan/2-7-image", "input": json.dumps(ONE)},
        {"model": "wan/2.7-image", "input": ONE},
        {"model": "wan2.7-image", "input": ONE},
        {"model": "wan/2-7-image", "input": ONE, "callback_url": HOOK},
        {"model": "wan/2-7-image", "input": ONE, "callBackUrl": "app.example.com"},
        {"model": "wan/2-7-image", "input": ONE, "callBackUrl": "https://[x"},
        {"model": "wan/2-7-image", "input": ONE, "callBackUrl": 1},
    ],
)
def test_the_envelope_is_as_strict(kie: Caller, body: Any) -> None:
    """A dotted model id and another provider's spellings are refused."""
    assert 422 == kie.send("POST", "/jobs/createTask", body)[1]["code"]


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("wan/2-7-image-pro", {**ONE, "resolution": "4K", "aspect_ratio": "21:9"}),
        ("wan/2-7-image", {**ONE, "aspect_ratio": " 1:8 ", "thinking_mode": True}),
        ("wan/2-7-image", {**EDIT, "thinking_mode": False, "bbox_list": [[[0, 0, 9, 9]]]}),
        ("wan/2-7-image", {**ONE, "input_urls": [SHELF, SHELF], "bbox_list": [[], []]}),
        ("wan/2-7-image", {**ONE, "color_palette": PALETTE, "seed": 0, "watermark": True}),
    ],
)
def test_what_the_page_allows_succeeds(kie: Caller, model: Any, given: Any) -> None:
    """Also the ratio that the published list writes with blanks."""
    assert "success" == finish(kie, given, model)["state"]


@pytest.mark.parametrize(
    "given",
    [
        {**ONE, "resolution": "4K"},
        {**ONE, "color_palette": [*PALETTE, {"hex": "#000000", "ratio": "01.00%"}]},
        {**EDIT, "bbox_list": [[[9, 0, 0, 9]]]},
    ],
)
def test_what_only_the_model_minds_fails_later_and_costs_nothing(kie: Caller, given: Any) -> None:
    """The list of resolutions has 4K for the standard model, too."""
    done = finish(kie, given)

    assert ("fail", 0) == (done["state"], done["creditsConsumed"])


def test_a_bad_parameter_may_be_500(kie: Caller) -> None:
    """As was seen live."""
    kie.sandbox.switch("kie", "bad_input", 500)

    assert 500 == ask(kie, {**ONE, "n": 9})["code"]


@pytest.mark.parametrize(
    "given",
    [
        {**EDIT, "aspect_ratio": "16:9"},
        {**EDIT, "resolution": "4K"},
        {**SET, "thinking_mode": True, "color_palette": PALETTE},
        {**ONE, "bbox_list": [[[0, 0, 9, 9]]]},
    ],
)
def test_conflicts_of_mode_may_be_ignored(kie: Caller, given: Any) -> None:
    """Not documented; then the field has no effect."""
    kie.sandbox.switch("kie", "mode_conflicts", "ignore")

    done = finish(kie, given)

    with Image.open(BytesIO(kie.fetch(urls(done)[0]).response.body)) as image:
        assert (2048, 2048) == image.size


def test_the_same_seed_paints_the_same_picture_and_no_seed_is_zero(kie: Caller) -> None:
    """The manual's default is 0, not random."""
    bodies = [
        kie.fetch(urls(finish(kie, given))[0]).response.body
        for given in (ONE, {**ONE, "seed": 0}, {**ONE, "seed": 1})
    ]

    assert bodies[0] == bodies[1]
    assert bodies[1] != bodies[2]


def test_a_ratio_shapes_the_picture(kie: Caller) -> None:
    """At about the pixels of its tier."""
    done = finish(kie, {**ONE, "resolution": "1K", "aspect_ratio": "16:9"})

    with Image.open(BytesIO(kie.fetch(urls(done)[0]).response.body)) as image:
        assert (1360, 768) == image.size


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"x-api-key": "k"}])
def test_a_key_goes_into_a_bearer_header(kie: Caller, header: Any) -> None:
    """Otherwise 401, inside HTTP 200."""
    url = f"{kie.sandbox.base_url('kie')}/chat/credit"
    reply = kie.sandbox.handle(HttpRequest(method="GET", url=url, headers=header))

    assert (200, 401) == (reply.response.status, reply.response.json()["code"])


@pytest.mark.parametrize(("style", "status"), [("body", 200), ("http", 402)])
def test_an_account_that_cannot_pay_gets_402(kie: Caller, style: Any, status: Any) -> None:
    """In the body; in the HTTP status only by switch."""
    kie.sandbox.switch("kie", "error_style", style)
    kie.sandbox.set_balance("kie", 7)
    reply = kie.reply("POST", "/jobs/createTask", {"model": "wan/2-7-image", "input": ONE})

    assert (status, 402) == (reply.response.status, reply.response.json()["code"])


def test_the_message_may_be_spelled_out(kie: Caller) -> None:
    """``msg`` on most pages, ``message`` on some."""
    kie.sandbox.switch("kie", "message_key", "message")

    assert {"code", "message", "data"} == ask(kie).keys()


@pytest.mark.parametrize(
    ("state", "create_code", "poll_code"),
    [("key_limit", 433, 200), ("disabled", 505, 200), ("maintenance", 455, 455)],
)
def test_an_account_may_be_limited_and_a_service_down(
    kie: Caller, state: Any, create_code: Any, poll_code: Any
) -> None:
    """Limits stop creates, maintenance stops everything."""
    task_id = create(kie)
    kie.sandbox.switch("kie", "state", state)

    assert create_code == ask(kie)["code"]
    assert poll_code == kie.send("GET", f"/jobs/recordInfo?taskId={task_id}")[1]["code"]


def test_more_than_twenty_creates_in_ten_seconds_are_a_real_429(kie: Caller) -> None:
    """Refused and not queued; the window slides."""
    for _ in range(20):
        create(kie)
        kie.clock.now += 0.25
    status, answer = kie.send("POST", "/jobs/createTask", {"model": "wan/2-7-image", "input": ONE})

    assert (429, 429, None) == (status, answer["code"], answer["data"])
    assert 20 == len(kie.sandbox.tasks())
    kie.clock.now += 5
    create(kie)


def test_rates_can_be_switched_off(kie: Caller) -> None:
    """For tests of throughput."""
    kie.sandbox.switch("kie", "rates", False)

    assert 30 == len({create(kie) for _ in range(30)})


def test_a_new_task_may_be_unknown_for_a_while(kie: Caller) -> None:
    """``recordInfo is null`` is no loss."""
    kie.sandbox.switch("kie", "null_seconds", 5)
    task_id = create(kie)
    path = f"/jobs/recordInfo?taskId={task_id}"

    early = kie.send("GET", path)[1]
    kie.clock.now += 5

    assert {"code": 422, "msg": "recordInfo is null", "data": None} == early
    assert 200 == kie.send("GET", path)[1]["code"]


@pytest.mark.parametrize(
    ("query", "code"), [("", 400), ("?task_id=x", 400), ("?taskId=", 400), ("?taskId=x", 422)]
)
def test_a_poll_needs_a_task_id_that_exists(kie: Caller, query: Any, code: Any) -> None:
    """In camel case."""
    assert code == kie.send("GET", f"/jobs/recordInfo{query}")[1]["code"]


def test_records_live_two_months_and_then_are_unknown(kie: Caller) -> None:
    """With whatever code unknown tasks have."""
    kie.sandbox.switch("kie", "unknown_task", 404)
    task_id = create(kie)
    kie.clock.now += 61 * 86400

    assert 404 == kie.send("GET", f"/jobs/recordInfo?taskId={task_id}")[1]["code"]


@pytest.mark.parametrize("shape", ["object", "response"])
def test_results_may_come_as_objects(kie: Caller, shape: Any) -> None:
    """As clients have met them."""
    kie.sandbox.switch("kie", "result_shape", shape)
    done = finish(kie)

    found = done["resultJson"] if shape == "object" else done["response"]
    assert 1 == len(found["resultUrls"])


@pytest.mark.parametrize(("fault", "word"), [(None, "completed"), ("fail_generation", "failed")])
def test_states_may_have_older_words(kie: Caller, fault: Any, word: Any) -> None:
    """With a failure code in words and without credits."""
    kie.sandbox.switch("kie", "state_words", "older")
    kie.sandbox.switch("kie", "fail_code", "INTERNAL_ERROR")
    kie.sandbox.switch("kie", "credits_consumed", False)
    if fault:
        kie.sandbox.fault(fault)
    done = finish(kie)

    assert word == done["state"]
    assert ("INTERNAL_ERROR" if fault else "") == done["failCode"]
    assert "creditsConsumed" not in done


@pytest.mark.parametrize(("checker", "state"), [(True, "fail"), (False, "success")])
def test_the_filter_works_only_when_turned_on(kie: Caller, checker: Any, state: Any) -> None:
    """``nsfw_checker`` is off by default."""
    kie.sandbox.switch("kie", "nsfw", True)

    assert state == finish(kie, {**ONE, "nsfw_checker": checker})["state"]


def test_a_4k_surcharge_can_be_set(kie: Caller) -> None:
    """A client's catalogue has 18 credits."""
    kie.sandbox.switch("kie", "credits_4k", 18)
    done = finish(kie, {**ONE, "resolution": "4K"}, "wan/2-7-image-pro")

    assert 18 == done["creditsConsumed"]


def test_links_die_after_a_day_and_a_fresh_one_lives_twenty_minutes(kie: Caller) -> None:
    """The picture is the same."""
    (url,) = urls(finish(kie))
    alive = kie.fetch(url).response.body
    kie.clock.now += 86400
    fresh = kie.send("POST", "/common/download-url", {"url": url})[1]["data"]

    assert 403 == kie.fetch(url).response.status
    assert alive == kie.fetch(fresh).response.body
    kie.clock.now += 1200
    assert 403 == kie.fetch(fresh).response.status


@pytest.mark.parametrize(
    "body", [{"url": SHELF}, {"url": "http://127.0.0.1:9/kie/files/x.png"}, {"url": 1}, [], b"x"]
)
def test_only_generated_pictures_have_fresh_links(kie: Caller, body: Any) -> None:
    """All else is 422."""
    assert 422 == kie.send("POST", "/common/download-url", body)[1]["code"]


def test_media_is_gone_after_fourteen_days(kie: Caller) -> None:
    """Then no fresh link helps."""
    (url,) = urls(finish(kie))
    kie.clock.now += 14 * 86400

    assert 422 == kie.send("POST", "/common/download-url", {"url": url})[1]["code"]


def png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (300, 300)).save(buffer, "PNG")
    return buffer.getvalue()


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body of dispositions and contents, and its header."""
    body = b"".join(
        f"--b\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    return body + b"--b--\r\n", {"Content_Type": "multipart/form-data; boundary=b"}


def test_a_file_streamed_in_is_served_and_edited(kie: Caller) -> None:
    """Its URL counts as public; the same name overwrites."""
    body, headers = form(('name="uploadPath"', b"images"), ('name="file"; filename="a.png"', png()))
    answer = at_root(kie, "POST", "/api/file-stream-upload", body, **headers).response.json()
    data = answer["data"]

    assert (True, 200) == (answer["success"], answer["code"])
    assert ("a.png", "images/a.png", "image/png", len(png())) == (
        data["fileName"],
        data["filePath"],
        data["mimeType"],
        data["fileSize"],
    )
    assert "2026-11-18T11:06:40+00:00" == data["uploadedAt"]
    served = kie.fetch(data["downloadUrl"]).response
    assert (200, "image/png", png()) == (served.status, served.header("content-type"), served.body)
    assert "success" == finish(kie, {**ONE, "input_urls": [data["downloadUrl"]]})["state"]


@pytest.mark.parametrize(
    ("text", "mime", "ending"),
    [
        (base64.b64encode(png()).decode(), "image/png", ".png"),
        ("data:image/webp;base64,AAAA", "image/webp", ".webp"),
        (base64.b64encode(b"RIFF0000WEBP").decode(), "image/webp", ".webp"),
        ("AAAA", "application/octet-stream", ".bin"),
    ],
)
def test_base64_comes_bare_or_in_a_data_url(kie: Caller, text: Any, mime: Any, ending: Any) -> None:
    """A file without a name gets one."""
    answer = upload(kie, "/api/file-base64-upload", {"base64Data": text, "uploadPath": "x/y"})

    assert mime == answer["data"]["mimeType"]
    assert answer["data"]["fileName"].endswith(ending)


def test_a_url_upload_copies_an_upload_and_pretends_for_the_rest(kie: Caller) -> None:
    """The sandbox fetches nothing from the world."""
    first = upload(
        kie,
        "/api/file-base64-upload",
        {"base64Data": "AAAA", "uploadPath": "a b", "fileName": "1.bin"},
    )
    path = "/api/file-url-upload"
    copy = upload(kie, path, {"fileUrl": first["data"]["downloadUrl"], "uploadPath": "c"})
    outside = upload(kie, path, {"fileUrl": SHELF, "uploadPath": "c", "fileName": "s.jpg"})

    assert 3 == copy["data"]["fileSize"]
    assert "image/png" == outside["data"]["mimeType"]
    with Image.open(BytesIO(kie.fetch(outside["data"]["downloadUrl"]).response.body)) as image:
        assert (1, 1) == image.size


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/api/file-base64-upload", {"uploadPath": "x"}),
        ("/api/file-base64-upload", {"uploadPath": "x", "base64Data": "?"}),
        ("/api/file-base64-upload", {"base64Data": "AAAA"}),
        ("/api/file-base64-upload", {"base64Data": "AAAA", "uploadPath": "x", "fileName": 1}),
        ("/api/file-base64-upload", []),
        ("/api/file-url-upload", {"uploadPath": "x"}),
        ("/api/file-url-upload", {"uploadPath": "x", "fileUrl": "file:///etc/passwd"}),
        (
            "/api/file-url-upload",
            {"uploadPath": "x", "fileUrl": "http://127.0.0.1:9/kie/uploads/none.png"},
        ),
        ("/api/file-stream-upload", {}),
    ],
)
def test_an_upload_that_cannot_be_read_is_422(kie: Caller, path: Any, value: Any) -> None:
    """In the common envelope."""
    assert 422 == upload(kie, path, value)["code"]


def test_a_form_without_a_file_is_422(kie: Caller) -> None:
    """Fields alone are no upload; parts without a name are nothing."""
    body, headers = form(('name="uploadPath"', b"images"), ("filename=x", b"y"))
    reply = at_root(kie, "POST", "/api/file-stream-upload", body, **headers)

    assert 422 == reply.response.json()["code"]


def test_uploads_are_deleted_after_three_days(kie: Caller) -> None:
    """And a task that wants one then fails."""
    url = upload(kie, "/api/file-base64-upload", {"base64Data": "AAAA", "uploadPath": "x"})["data"][
        "downloadUrl"
    ]
    kie.clock.now += 3 * 86400

    assert 404 == kie.fetch(url).response.status
    assert "fail" == finish(kie, {**ONE, "input_urls": [url]})["state"]


def test_the_price_table_needs_no_key(kie: Caller) -> None:
    """Prices are text; pages are counted from 1."""
    url = f"{kie.sandbox.origin}/kie/client/v1/model-pricing/page"
    body = json.dumps({"pageNum": 2, "pageSize": 1}).encode()
    answer = kie.sandbox.handle(HttpRequest(method="POST", url=url, body=body)).response.json()

    assert 2 == answer["data"]["pages"]
    assert [("8", "0.04")] == [(r["creditPrice"], r["usdPrice"]) for r in answer["data"]["records"]]


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"pageNum": 0}', b'{"pageSize": "9"}'])
def test_a_page_that_cannot_be_is_422(kie: Caller, body: Any) -> None:
    """Like any other bad input."""
    reply = at_root(kie, "POST", "/client/v1/model-pricing/page", body)

    assert 422 == reply.response.json()["code"]


@pytest.mark.parametrize(
    ("kind", "options", "op", "status", "code"),
    [
        ("rate_limit", {}, "submit", 429, 429),
        ("rate_limit", {"retry_after": 10}, "poll", 429, 429),
        ("server_error", {}, "submit", 200, 500),
        ("server_error", {"status": 503}, "submit", 503, 503),
        ("error_in_200", {}, "poll", 200, 500),
        ("no_credit", {}, "submit", 200, 402),
        ("unauthorized", {}, "poll", 200, 401),
        ("lost_task", {}, "poll", 200, 422),
    ],
)
def test_faults_are_told_in_kies_words(
    kie: Caller, kind: Any, options: Any, op: Any, status: Any, code: Any
) -> None:
    """Code, message, and null for data."""
    task_id = create(kie)
    kie.sandbox.fault(kind, op=op, **options)
    if op == "submit":
        reply = kie.reply("POST", "/jobs/createTask", {"model": "wan/2-7-image", "input": ONE})
    else:
        reply = kie.reply("GET", f"/jobs/recordInfo?taskId={task_id}")

    body = reply.response.json()
    assert (status, code, None) == (reply.response.status, body["code"], body["data"])
    assert {"code", "msg", "data"} == body.keys()
    assert ("10" if options.get("retry_after") else None) == reply.response.header("Retry-After")


def test_a_lost_task_is_null_for_good(kie: Caller) -> None:
    """Charged all the same."""
    kie.sandbox.fault("lost_task")
    task_id = create(kie)
    kie.clock.now += 10

    assert 422 == kie.send("GET", f"/jobs/recordInfo?taskId={task_id}")[1]["code"]
    assert "8" == kie.charged()


def test_an_unknown_path_is_404(kie: Caller) -> None:
    """There is no cancel, no list of tasks, no list of models."""
    for method, path in (("GET", "/jobs"), ("POST", "/jobs/cancel"), ("GET", "/models")):
        assert 404 == kie.send(method, path)[1]["code"]


def told(kie: Caller, **options: Any) -> tuple[HttpRequest, str]:
    """The callback about a task that is over, and the task's id."""
    task_id = create(kie, callBackUrl=HOOK, **options)
    kie.clock.now += 10
    (callback,) = kie.sandbox.callbacks()
    return callback.request, task_id


def test_the_signature_covers_the_id_and_the_time_and_not_the_body() -> None:
    """The wire page's own test vector."""
    assert {
        "X-Webhook-Timestamp": "1795000000",
        "X-Webhook-Signature": "S+vvBFWW8tylzakaZ1tJeZBWJNXkvno/5KM7ZUxv9DI=",
    } == signature("5f1c0a9e7b3d4c2f8a6e1d0b9c8f7a6e", 1_795_000_000, "sim-webhook-key-0001")


def test_a_callback_repeats_the_record_with_credits_and_seconds(kie: Caller) -> None:
    """``costTime`` is milliseconds in recordInfo and seconds here."""
    request, task_id = told(kie)
    body = request.json()
    data = body["data"]
    same = record(kie, task_id)

    assert (200, "success", 10, 8, 4992) == (
        body["code"],
        data["state"],
        data["costTime"],
        data["consumeCredits"],
        data["remainedCredits"],
    )
    assert same["resultJson"] == data["resultJson"]
    assert not {"failCode", "failMsg", "creditsConsumed"} & data.keys()


@pytest.mark.parametrize(
    ("kind", "code", "fail_code"), [("fail_generation", 501, "500"), ("refuse_content", 400, "400")]
)
def test_a_callback_tells_failures_in_its_own_codes(
    kie: Caller, kind: Any, code: Any, fail_code: Any
) -> None:
    """501 outside and 500 inside, where recordInfo has 501."""
    kie.sandbox.fault(kind)
    body = told(kie)[0].json()

    assert (code, "fail", fail_code, 0) == (
        body["code"],
        body["data"]["state"],
        body["data"]["failCode"],
        body["data"]["consumeCredits"],
    )


def test_the_guides_frame_has_the_id_twice(kie: Caller) -> None:
    """In both spellings, and hardly anything else."""
    kie.sandbox.switch("kie", "callback_frame", "guide")
    request, task_id = told(kie)

    assert {
        "taskId": task_id,
        "code": 200,
        "msg": "task finished",
        "data": {"task_id": task_id, "callbackType": "task_completed"},
    } == request.json()


def test_without_a_webhook_key_nothing_is_signed(kie: Caller) -> None:
    """It has to be generated in the account's settings first."""
    kie.sandbox.switch("kie", "signed", False)

    assert {"Content-Type"} == told(kie)[0].headers.keys()


def test_without_an_address_nobody_is_called(kie: Caller) -> None:
    """A callback is asked for with each task."""
    finish(kie)

    assert [] == kie.sandbox.callbacks()
