"""reAPI's server: what it accepts, what it charges, what it tells."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox_calls import Caller

KITE: dict[str, Any] = {"model": "wan2.7-image", "prompt": "a red kite"}
PRO = {**KITE, "model": "wan2.7-image-pro"}
SHELF = "https://img.example.org/shelf.jpg"
EDIT = {**KITE, "image_urls": [SHELF]}
PALETTE = [
    {"hex": "#264653", "ratio": "50.00%"},
    {"hex": "#2A9D8F", "ratio": "30%"},
    {"hex": "#e9c46a", "ratio": "20.00%"},
]


def submit(reapi: Caller, body: Any = KITE, **headers: str) -> dict[str, Any]:
    status, task = reapi.send("POST", "/images/generations", body, **headers)
    assert 200 == status, task
    assert isinstance(task, dict)
    return task


def finish(reapi: Caller, body: Any = KITE) -> dict[str, Any]:
    task = submit(reapi, body)
    reapi.clock.now += 10
    status, done = reapi.send("GET", f"/tasks/{task['id']}")
    assert 200 == status
    assert isinstance(done, dict)
    return done


def test_a_submit_answers_with_the_id_at_the_top(reapi: Caller) -> None:
    """The prose says task_id; no JSON of the page does."""
    task = submit(reapi)

    assert {"id", "model", "status", "created_at"} == task.keys()
    assert "processing" == task["status"]
    assert 1_795_000_000 == task["created_at"]
    assert task["id"].startswith("task_")
    assert 37 == len(task["id"])


def test_a_task_is_processing_until_its_time_has_passed(reapi: Caller) -> None:
    """There are three states and no progress."""
    task = submit(reapi)
    reapi.clock.now += 9.9

    _, body = reapi.send("GET", f"/tasks/{task['id']}")

    assert {**task, "output": None, "error": None} == body


def test_a_completed_task_has_one_url_per_image(reapi: Caller) -> None:
    """File names count from 0 and keep the order."""
    done = finish(reapi, {**KITE, "n": 3})

    urls = done["output"]["image_urls"]
    assert "completed" == done["status"]
    assert ["0.png", "1.png", "2.png"] == [url.rpartition("/")[2] for url in urls]
    assert all(200 == reapi.fetch(url).response.status for url in urls)


@pytest.mark.parametrize(
    ("body", "charged"),
    [
        (KITE, "24"),
        ({**KITE, "n": 4}, "96"),
        ({**KITE, "n": 6, "enable_sequential": True}, "143"),
        ({**KITE, "n": 12, "enable_sequential": True}, "286"),
        (PRO, "60"),
        ({**PRO, "n": 8, "enable_sequential": True}, "479"),
        ({**PRO, "n": 12, "enable_sequential": True}, "719"),
    ],
)
def test_credits_are_rounded_up_once_after_the_multiplication(
    reapi: Caller, body: Any, charged: Any
) -> None:
    """Rounding each image would give 144 for six of the standard model."""
    submit(reapi, body)

    assert charged == reapi.charged()
    assert {"balance": 100_000 - int(charged)} == reapi.send("GET", "/balance")[1]


def test_the_same_post_twice_is_two_tasks_and_two_charges(reapi: Caller) -> None:
    """An Idempotency-Key is accepted and has no effect."""
    first = submit(reapi, Idempotency_Key="k-1")
    second = submit(reapi, Idempotency_Key="k-1")

    assert first["id"] != second["id"]
    assert "48" == reapi.charged()
    assert ["k-1", "k-1"] == [post["key"] for post in reapi.sandbox.ledger()["posts"]]


@pytest.mark.parametrize(
    ("header", "code"), [(None, 10001), ("Basic x", 10002), ("Bearer", 10002), ("Bearer x", 10003)]
)
def test_the_key_is_looked_at_before_the_body(reapi: Caller, header: Any, code: Any) -> None:
    """Each way of getting it wrong has its own number."""
    headers = {} if header is None else {"Authorization": header}
    request = {"Authorization": "", **headers}
    if header is None:
        reply = reapi.fetch(reapi.sandbox.base_url("reapi") + "/balance")
        status, body = reply.response.status, reply.response.json()
    else:
        status, body = reapi.send("POST", "/images/generations", b"not json", **request)

    assert 401 == status
    assert code == body["error"]["code"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not json", 20001),
        ([KITE], 20001),
        ({"prompt": "kite"}, 20002),
        ({"model": "wan2.7-image"}, 20002),
        ({**KITE, "model": "wan2.6-image"}, 20001),
        ({**KITE, "model": None}, 20001),
        ({**KITE, "prompt": ""}, 20001),
        ({**KITE, "prompt": "x" * 5001}, 20001),
        ({**KITE, "n": 0}, 20001),
        ({**KITE, "n": 5}, 20001),
        ({**KITE, "n": True}, 20001),
        ({**KITE, "n": 13, "enable_sequential": True}, 20001),
        ({**KITE, "seed": -1}, 20001),
        ({**KITE, "seed": 2**31}, 20001),
        ({**KITE, "seed": "7"}, 20001),
        ({**KITE, "watermark": 0}, 20001),
        ({**KITE, "size": "1024*1024"}, 20001),
        ({**KITE, "size": "21:9"}, 20001),
        ({**KITE, "size": "1024 x 1024 pixels in all"}, 20001),
        ({**KITE, "size": "1K", "resolution": "2K"}, 20001),
        ({**KITE, "resolution": "8K"}, 20001),
        ({**KITE, "resolution": "4K"}, 20001),
        ({**PRO, "size": "4K", "enable_sequential": True}, 20001),
        ({**PRO, "resolution": "4k", "image_urls": [SHELF]}, 20001),
        ({**KITE, "image_urls": []}, 20001),
        ({**KITE, "image_urls": [SHELF] * 10}, 20001),
        ({**KITE, "image_urls": SHELF}, 20001),
        ({**KITE, "image_urls": ["http://img.example.org/a.png"]}, 20001),
        ({**KITE, "image_urls": ["data:image/png;base64,AAAA"]}, 20001),
        ({**KITE, "image_urls": ["https://localhost/a.png"]}, 20001),
        ({**KITE, "image_urls": ["http://127.0.0.1:9000/in/a.png"]}, 20001),
        ({**KITE, "image_urls": ["http://127.0.0.1:9000/in/a.png?key=sig"]}, 20001),
        ({**KITE, "image_urls": ["https://10.0.0.1/a.png"]}, 20001),
        ({**KITE, "image_urls": ["https://10.0.0.1/a.png?X-Amz-Signature=1"]}, 20001),
        ({**KITE, "image_urls": ["https://[1/a.png"]}, 20001),
        ({**KITE, "bbox_list": [[]]}, 20001),
        ({**EDIT, "bbox_list": [[], []]}, 20001),
        ({**EDIT, "bbox_list": [[[0, 0, 9, 9]] * 3]}, 20001),
        ({**EDIT, "bbox_list": [[[0, 0, 9]]]}, 20001),
        ({**EDIT, "bbox_list": [[[0, 0, 9, 9.5]]]}, 20001),
        ({**KITE, "color_palette": PALETTE[:2]}, 20001),
        ({**KITE, "color_palette": PALETTE * 4}, 20001),
        ({**KITE, "color_palette": [*PALETTE, {"hex": "#000000"}]}, 20001),
        ({**KITE, "color_palette": [*PALETTE, {"hex": "#000000", "ratio": 10}]}, 20001),
        ({**KITE, "output_format": "png"}, 20001),
    ],
)
def test_what_the_validator_refuses_costs_nothing(reapi: Caller, body: Any, code: Any) -> None:
    """A refusal comes before a task exists."""
    status, answer = reapi.send("POST", "/images/generations", body)

    assert 400 == status
    assert code == answer["error"]["code"]
    assert "0" == reapi.charged()
    assert [False] == [post["accepted"] for post in reapi.sandbox.ledger()["posts"]]


@pytest.mark.parametrize(
    "body",
    [
        {**EDIT, "bbox_list": [[[9, 0, 0, 9]]]},
        {**KITE, "size": "512x512"},
        {**KITE, "size": "4096x4096"},
        {**KITE, "size": "3200x320"},
        {**KITE, "color_palette": [*PALETTE, {"hex": "#000000", "ratio": "1.00%"}]},
        {**KITE, "color_palette": [*PALETTE[:2], {"hex": "#000", "ratio": "20.00%"}]},
        {**KITE, "color_palette": [*PALETTE, {"hex": "#000000", "ratio": "none"}]},
    ],
)
def test_what_only_the_model_minds_is_paid_failed_and_refunded(reapi: Caller, body: Any) -> None:
    """reAPI's own validator does not see it, so the task is accepted first."""
    done = finish(reapi, body)

    assert "failed" == done["status"]
    assert done["output"] is None
    assert 8 == done["error"]["code"] // 10_000
    assert "0" == reapi.charged()
    assert {"balance": 100_000} == reapi.send("GET", "/balance")[1]


@pytest.mark.parametrize(
    "body",
    [
        {**PRO, "resolution": "4k", "size": "16:9"},
        {**KITE, "size": "1k"},
        {**KITE, "size": "2K", "resolution": "2k"},
        {**KITE, "color_palette": PALETTE, "thinking_mode": True, "negative_prompt": ""},
        {**KITE, "color_palette": [{"hex": "x", "ratio": "y"}] * 3, "enable_sequential": True},
        {"model": "wan2.7-image", "image_urls": [SHELF, SHELF], "bbox_list": [[[0, 0, 9, 9]], []]},
        {**EDIT, "size": "16:9"},
    ],
)
def test_what_the_page_allows_is_completed(reapi: Caller, body: Any) -> None:
    """A palette in a group and a ratio in an edit are ignored, not refused."""
    assert "completed" == finish(reapi, body)["status"]


@pytest.mark.parametrize(
    "query",
    ["X-Amz-Expires=60&X-Amz-Signature=0a", "X-Goog-Signature=0a", "sv=2026&sig=0a%3D"],
)
def test_a_store_beside_it_stands_for_one_on_the_internet(reapi: Caller, query: str) -> None:
    """As the sandbox stands for reAPI: a test has both on its machine, without https."""
    body = {**KITE, "image_urls": [f"http://127.0.0.1:9000/in/a.png?{query}"]}

    assert 200 == reapi.send("POST", "/images/generations", body)[0]


def test_a_content_refusal_is_a_failed_task_and_refunded_once(reapi: Caller) -> None:
    """80006 inside HTTP 200; polling on does not pay back again."""
    reapi.sandbox.fault("refuse_content")
    done = finish(reapi)
    reapi.send("GET", f"/tasks/{done['id']}")

    assert 80006 == done["error"]["code"]
    assert "100000" == str(reapi.sandbox.balance("reapi"))
    assert [True] == [c["refunded"] for c in reapi.sandbox.ledger()["charges"]]


def test_an_account_that_cannot_pay_gets_402(reapi: Caller) -> None:
    """And 400 comes before it."""
    reapi.sandbox.set_balance("reapi", 23)

    assert 402 == reapi.send("POST", "/images/generations", KITE)[0]
    assert 400 == reapi.send("POST", "/images/generations", {})[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tasks/task_0"), ("POST", "/tasks/x"), ("GET", "/models"), ("POST", "/balance")],
)
def test_unknown_tasks_and_paths_are_404(reapi: Caller, method: Any, path: Any) -> None:
    """In the provider's error shape."""
    status, body = reapi.send(method, path)

    assert 404 == status
    assert {"code", "message", "request_id"} == body["error"].keys()


def test_optional_members_can_be_left_out(reapi: Caller) -> None:
    """One example of the page has neither created_at nor error."""
    reapi.sandbox.switch("reapi", "omit_optional", True)

    assert {"id", "model", "status"} == submit(reapi).keys()
    assert {"id", "model", "status", "output"} == finish(reapi).keys()
    assert {"code", "message"} == reapi.send("GET", "/tasks/x")[1]["error"].keys()


def test_ids_can_have_the_other_shape(reapi: Caller) -> None:
    """task_ and 26 lower-case letters and digits; both were seen."""
    reapi.sandbox.switch("reapi", "id_shape", "base32")

    task = submit(reapi)

    assert 31 == len(task["id"])
    assert 200 == reapi.send("GET", f"/tasks/{task['id']}")[0]


def test_http_images_and_unknown_fields_can_be_let_through(reapi: Caller) -> None:
    """The playground's validator is more lenient than the page."""
    reapi.sandbox.switch("reapi", "http_images", True)
    reapi.sandbox.switch("reapi", "unknown_fields", "ignore")

    submit(reapi, {**KITE, "image_urls": ["http://1.1.1.1/a.png"], "mood": "calm"})


def test_a_result_of_the_sandbox_may_be_edited_further(reapi: Caller) -> None:
    """Its own loopback URLs stand for public ones."""
    url = finish(reapi)["output"]["image_urls"][0]

    submit(reapi, {**KITE, "image_urls": [url]})


def test_a_limit_of_rate_asks_for_two_seconds(reapi: Caller) -> None:
    """429, code 50001, Retry-After in seconds."""
    reapi.sandbox.fault("rate_limit", op="poll")

    reply = reapi.reply("GET", "/tasks/x")

    assert 429 == reply.response.status
    assert "2" == reply.response.header("Retry-After")
    assert 50001 == reply.response.json()["error"]["code"]
