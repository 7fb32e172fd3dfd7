"""Crun's server: what it accepts, what it answers, what it charges and whom it calls back."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Reply, Sandbox
from wanbridge.wire import HttpRequest

KEY = "sandbox-crun-key"
PRO = "wan/2-7-image-pro"
CHEAP = "wan/2-7-image"
KITE: dict[str, Any] = {"prompt": "a red kite", "n": 1}
SHELF = "https://img.example.org/shelf.jpg"
EDIT = {**KITE, "img_urls": [SHELF]}
SET = {**KITE, "enable_sequential": True}
HOOK = "https://app.example.com/hooks/crun/6b1e"
PALETTE = [
    {"hex": "#2A6F97", "ratio": "50.00%"},
    {"hex": "#F4A259", "ratio": "30.00%"},
    {"hex": "#101418", "ratio": "20.00%"},
]
CREATE = "/client/job/CreateTask"


@pytest.fixture
def caller(clock: Clock) -> Caller:
    return Caller(Sandbox(["crun"], clock=clock, latency=10), "crun", clock)


def switch(caller: Caller, name: str, value: Any) -> None:
    caller.sandbox.switch("crun", name, value)


def reply(caller: Caller, method: str, path: str, value: Any = None, **headers: str) -> Reply:
    return caller.reply(method, path, value, **{"x_api_key": KEY, **headers})


def send(caller: Caller, method: str, path: str, value: Any = None) -> tuple[int, Any]:
    response = reply(caller, method, path, value).response
    return response.status, response.json()


def data(caller: Caller, method: str, path: str, value: Any = None) -> Any:
    """The ``data`` of a success."""
    status, body = send(caller, method, path, value)
    assert (200, 200, "success") == (status, body["code"], body["message"])
    return body["data"]


def create(
    caller: Caller, given: Any = KITE, model: str = PRO, callback_url: str | None = None
) -> str:
    body = {"model": model, "input": given}
    if callback_url is not None:
        body["callback_url"] = callback_url
    task_id: str = data(caller, "POST", CREATE, body)["task_id"]
    return task_id


def poll(caller: Caller, task_id: str) -> Any:
    return data(caller, "GET", f"/client/job/TaskInfo?task_id={task_id}")


def finish(caller: Caller, given: Any = KITE, model: str = PRO) -> Any:
    task_id = create(caller, given, model)
    caller.clock.now += 10
    return poll(caller, task_id)


def errors(caller: Caller, given: Any, model: str = PRO) -> list[str]:
    status, body = send(caller, "POST", CREATE, {"model": model, "input": given})
    assert (422, 422, "parameter problem") == (status, body["code"], body["message"])
    assert "data" not in body
    found: list[str] = body["errors"]
    return found


def test_a_create_answers_with_the_id_in_data(caller: Caller) -> None:
    """``message``, not ``msg``; snake_case; 36 characters."""
    status, body = send(caller, "POST", CREATE, {"model": PRO, "input": KITE})

    assert 200 == status
    assert {"code", "message", "data"} == body.keys()
    assert {"task_id"} == body["data"].keys()
    assert 36 == len(body["data"]["task_id"])


def test_a_task_is_pending_then_running_then_done(caller: Caller) -> None:
    """Times in Unix seconds; credits are the reserved ones, then the actual."""
    task_id = create(caller)
    pending = poll(caller, task_id)
    caller.clock.now += 5
    running = poll(caller, task_id)
    caller.clock.now += 5
    done = poll(caller, task_id)

    assert {
        "task_id": task_id,
        "provider": "Alibaba",
        "model_version": "wan2.7-image-pro",
        "status": "pending",
        "param": {"model": PRO, "callback_url": None, "input": KITE},
        "create_at": 1_795_000_000,
        "credits": 12,
        "result": None,
        "duration_s": None,
        "complete_at": None,
        "source": "api",
    } == pending
    assert {**pending, "status": "running"} == running
    urls = done["result"]["media_urls"]
    assert {
        **pending,
        "status": "success",
        "result": {
            "code": 200,
            "message": "success",
            "media_urls": urls,
            "media_info": {},
            "usage": {},
        },
        "duration_s": 10,
        "complete_at": 1_795_000_010,
    } == done
    assert [200] == [caller.fetch(url).response.status for url in urls]


def test_without_n_upstream_makes_four(caller: Caller) -> None:
    """Or twelve in a set: leaving it out is dear."""
    assert 4 == len(finish(caller, {"prompt": "kite"})["result"]["media_urls"])
    assert "48" == caller.charged()
    assert 12 == len(
        finish(caller, {"prompt": "kite", "enable_sequential": True})["result"]["media_urls"]
    )


def test_credits_are_reserved_and_settled_by_what_came(caller: Caller) -> None:
    """A set that is smaller than allowed gives back the rest."""
    switch(caller, "set_images", 3)
    task_id = create(caller, {**SET, "n": 8})
    reserved = data(caller, "GET", "/client/account/balance")
    caller.clock.now += 10

    assert {"balance": 9904} == reserved
    assert {"balance": 9964} == data(caller, "GET", "/client/account/balance")
    assert 36 == poll(caller, task_id)["credits"]
    assert "36" == caller.charged()


@pytest.mark.parametrize(("keeps", "left"), [(False, 10_000), (True, 9976)])
@pytest.mark.parametrize("fault", ["fail_generation", "refuse_content"])
def test_a_failed_task_tells_its_actual_credits(
    caller: Caller, fault: Any, keeps: Any, left: Any
) -> None:
    """Normally none; no page promises it. The query itself succeeds."""
    switch(caller, "failed_charge", keeps)
    caller.sandbox.fault(fault)

    done = finish(caller, {**KITE, "n": 2})

    assert ("failed", 501, []) == (
        done["status"],
        done["result"]["code"],
        done["result"]["media_urls"],
    )
    assert 10_000 - left == done["credits"]
    assert left == caller.sandbox.balance("crun")


def test_the_same_create_twice_is_two_tasks(caller: Caller) -> None:
    """There is no idempotency key."""
    assert create(caller) != create(caller)
    caller.clock.now += 10

    assert "24" == caller.charged()
    assert [None, None] == [post["key"] for post in caller.sandbox.ledger()["posts"]]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "input: None is not of type 'object'"),
        ({}, "input: 'prompt' is a required property"),
        ({**KITE, "prompt": ""}, "prompt: '' should be non-empty"),
        ({**KITE, "negative_prompt": "rain"}, "input: Additional properties are not allowed"),
        ({**KITE, "img_urls": []}, "img_urls: [] should be non-empty"),
        ({**KITE, "img_urls": [SHELF] * 10}, "img_urls: "),
        ({**KITE, "img_urls": [7]}, "img_urls.0: 7 is not of type 'string'"),
        ({**KITE, "img_urls": ["data:image/png;base64,AAAA"]}, "img_urls: 'data:image"),
        ({**KITE, "img_urls": ["https://10.0.0.1/a.png"]}, "img_urls: 'https://10.0.0.1/a.png'"),
        ({**KITE, "resolution": "8K"}, "resolution: '8K' is not one of ['1K', '2K', '4K']"),
        ({**EDIT, "resolution": "4K"}, "resolution: 4K is for text-to-image"),
        ({**SET, "resolution": "4K"}, "resolution: 4K is for text-to-image"),
        ({**KITE, "aspect_ratio": "5:4"}, "aspect_ratio: "),
        ({**EDIT, "aspect_ratio": "1:1"}, "aspect_ratio: cannot be given with images"),
        ({**KITE, "size": "1024*1024"}, "input: Additional properties"),
        ({**KITE, "n": 0}, "n: 0 is less than the minimum of 1"),
        ({**KITE, "n": 5}, "n: must be at most 4"),
        ({**SET, "n": 13}, "n: 13 is greater than the maximum of 12"),
        ({**KITE, "n": True}, "n: True is not of type 'integer'"),
        ({**KITE, "seed": 2**31}, "seed: "),
        ({**KITE, "watermark": "no"}, "watermark: "),
        ({**KITE, "thinking_mode": None}, "thinking_mode: "),
        ({**KITE, "color_palette": PALETTE[:2]}, "color_palette: "),
        ({**KITE, "color_palette": json.dumps(PALETTE)}, "color_palette: "),
        ({**SET, "color_palette": PALETTE}, "color_palette: cannot be given"),
        ({**KITE, "color_palette": [*PALETTE, PALETTE[0]]}, "color_palette: ratios"),
        ({**KITE, "color_palette": [*PALETTE, {"hex": "#12345g", "ratio": "0%"}]}, "color_pal"),
        ({**KITE, "color_palette": [*PALETTE, {"hex": "#123456", "ratio": "x"}]}, "color_pal"),
        ({**KITE, "color_palette": [*PALETTE, {"hex": "#12"}]}, "color_palette.3"),
        ({**KITE, "bbox_list": [[]]}, "bbox_list: must have one list for each of 0 images"),
        ({**EDIT, "bbox_list": [[[1, 2, 3, 4]] * 3]}, "bbox_list.0: "),
        ({**EDIT, "bbox_list": [[1, 2, 3, 4]]}, "bbox_list.0."),
        ({**EDIT, "bbox_list": [[[3, 2, 1, 4]]]}, "bbox_list: a box is"),
    ],
)
def test_every_wrong_field_is_named_with_the_model(caller: Caller, given: Any, reason: Any) -> None:
    """422 with ``errors``; nothing was created."""
    found = errors(caller, given)

    assert any(error.startswith(f"{PRO}: {reason}") for error in found), found
    assert [] == caller.sandbox.tasks()


def test_all_problems_are_told_at_once(caller: Caller) -> None:
    """Those around ``input`` with those in it; a long value is not repeated in full."""
    body = {"model": CHEAP, "input": {"prompt": "x" * 6000, "n": "1"}, "callBackUrl": HOOK}

    _, answer = send(caller, "POST", CREATE, body)

    assert [f"{CHEAP}: callBackUrl", f"{CHEAP}: n", f"{CHEAP}: prompt"] == sorted(
        ":".join(error.split(":")[:2]) for error in answer["errors"]
    )
    assert all(len(error) < 300 for error in answer["errors"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"not json", "body: not JSON"),
        (b"[" * 100_000, "body: not JSON"),
        ([KITE], "body: must be an object"),
        ({"input": KITE}, "None: model: unknown model"),
        ({"model": "wan2.7-image-pro", "input": KITE}, "wan2.7-image-pro: model: unknown model"),
        ({"model": PRO}, f"{PRO}: input: field required"),
        ({"model": PRO, "input": KITE, "n": 1}, f"{PRO}: n: extra fields not permitted"),
        (
            {"model": PRO, "input": KITE, "callback_url": "app.example.com"},
            f"{PRO}: callback_url: must be a URL",
        ),
    ],
)
def test_the_top_level_is_strict(caller: Caller, body: Any, error: Any) -> None:
    """``model``, ``input``, ``callback_url`` and nothing else."""
    status, answer = send(caller, "POST", CREATE, body)

    assert (422, [error]) == (status, answer["errors"])


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ({**KITE, "resolution": "4K", "aspect_ratio": "21:9", "thinking_mode": True}, PRO),
        ({**KITE, "color_palette": PALETTE, "watermark": False, "seed": 0}, CHEAP),
        ({**EDIT, "thinking_mode": True, "resolution": "1K", "color_palette": PALETTE}, PRO),
        ({**SET, "n": 12, "aspect_ratio": "8:1"}, CHEAP),
        ({**KITE, "img_urls": [SHELF] * 2, "bbox_list": [[], [[1, 2, 3, 4]] * 2]}, PRO),
    ],
)
def test_what_the_guess_allows_succeeds(caller: Caller, given: Any, model: Any) -> None:
    """The mapping is unverified; the sandbox at least holds to one."""
    assert "success" == finish(caller, given, model)["status"]


def test_four_k_is_no_word_of_the_standard_model(caller: Caller) -> None:
    """Its schema does not have it."""
    (error,) = errors(caller, {**KITE, "resolution": "4K"}, CHEAP)

    assert error.startswith(f"{CHEAP}: resolution: '4K' is not one of ['1K', '2K']")


def test_a_model_publishes_the_schema_that_judges(caller: Caller) -> None:
    """The only way to learn the real names; the slash in the id stays."""
    model = data(caller, "GET", f"/client/job/Models/{PRO}")

    assert ["prompt"] == model["required_input_fields"] == model["input_schema"]["required"]
    assert "img_urls" in model["input_schema"]["properties"]
    assert model["input_schema"]["additionalProperties"] is False
    assert ["text-to-image", "image-edit"] == model["operations"]
    assert 404 == send(caller, "GET", "/client/job/Models/wan%2F2-7-image-pro")[0]
    assert 404 == send(caller, "GET", "/client/job/Models/wan/2-6-image")[0]


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ("", [PRO, CHEAP]),
        ("?modality=image&operation=image-edit", [PRO, CHEAP]),
        ("?modality=video", []),
        ("?operation=text-to-video", []),
    ],
)
def test_models_are_listed_by_what_they_do(caller: Caller, query: Any, models: Any) -> None:
    """By modality and operation."""
    found = data(caller, "GET", f"/client/job/Models{query}")

    assert models == [entry["model"] for entry in found]


@pytest.mark.parametrize("images", ["input_urls", "images"])
@pytest.mark.parametrize("count", ["num_outputs", "num_images"])
def test_uncertain_names_can_be_others(caller: Caller, images: Any, count: Any) -> None:
    """A client that trusts its guess is refused; one that reads the schema is not."""
    switch(caller, "images_field", images)
    switch(caller, "count_field", count)
    properties = data(caller, "GET", f"/client/job/Models/{PRO}")["input_schema"]["properties"]

    assert {images, count} <= properties.keys()
    assert errors(caller, EDIT)
    done = finish(caller, {"prompt": "kite", images: [SHELF], count: 2})
    assert 2 == len(done["result"]["media_urls"])


def test_the_house_style_is_all_that_is_documented(caller: Caller) -> None:
    """Five fields of Crun's other image models; no count."""
    switch(caller, "fields", "house")
    given = {"prompt": "kite", "resolution": "1K", "output_format": "webp"}

    assert errors(caller, KITE)
    urls = finish(caller, given)["result"]["media_urls"]

    assert [".webp"] * 4 == [url[-5:] for url in urls]


@pytest.mark.parametrize(
    ("fields", "given", "size"),
    [
        ("resolution", {}, (2048, 2048)),
        ("resolution", {"resolution": "1K", "aspect_ratio": "16:9"}, (1360, 768)),
        ("resolution", {"resolution": "1K", "img_urls": [SHELF]}, (1024, 1024)),
        ("resolution_and_pixels", {"size": "1000*800", "resolution": "1K"}, (1000, 800)),
        ("size", {"size": "1K"}, (1024, 1024)),
        ("size", {"size": "768*4096"}, (768, 4096)),
    ],
)
def test_sizes_have_three_possible_forms(
    caller: Caller, fields: Any, given: Any, size: Any
) -> None:
    """Tier and ratio, exact pixels beside them, or one field for both."""
    switch(caller, "size_fields", fields)

    assert size == pixels(caller, finish(caller, {**KITE, **given}))


def pixels(caller: Caller, done: Any) -> tuple[int, int]:
    with Image.open(BytesIO(caller.fetch(done["result"]["media_urls"][0]).response.body)) as image:
        return image.size


@pytest.mark.parametrize(
    ("fields", "given", "model"),
    [
        ("resolution_and_pixels", {"size": "1K"}, PRO),
        ("resolution_and_pixels", {"size": "767*1024"}, PRO),
        ("resolution_and_pixels", {"size": "4097*1024"}, PRO),
        ("resolution_and_pixels", {"size": "2049*1024"}, CHEAP),
        ("resolution_and_pixels", {"size": "2049*1024", "img_urls": [SHELF]}, PRO),
        ("resolution_and_pixels", {"size": "1024*1024\n"}, PRO),
        ("size", {"size": "1024x1024"}, PRO),
        ("size", {"size": "4K", "enable_sequential": True}, PRO),
        ("size", {"resolution": "1K"}, PRO),
    ],
)
def test_sizes_are_bounded(caller: Caller, fields: Any, given: Any, model: Any) -> None:
    """768 to 2048, to 4096 for text-to-image with the pro model."""
    switch(caller, "size_fields", fields)

    (error,) = errors(caller, {**KITE, **given}, model)

    assert "size" in error or "resolution" in error


def test_an_edit_has_the_shape_of_its_last_image(caller: Caller) -> None:
    """The sandbox knows the sizes of its own pictures."""
    wide = finish(caller, {**KITE, "resolution": "1K", "aspect_ratio": "16:9"})
    url = wide["result"]["media_urls"][0]

    edited = finish(caller, {**KITE, "resolution": "1K", "img_urls": [SHELF, url]})

    assert (1360, 768) == pixels(caller, edited)


def test_an_estimate_creates_nothing(caller: Caller) -> None:
    """Same body; of a set the actual charge is known only later."""
    body = {"model": CHEAP, "input": {**KITE, "n": 3}, "callback_url": HOOK}
    path = "/client/job/estimate-credits"

    assert {"credits": 18, "estimated": False} == data(caller, "POST", path, body)
    body["input"] = {**SET, "n": 2}
    assert {"credits": 12, "estimated": True} == data(caller, "POST", path, body)
    assert 422 == send(caller, "POST", path, {"model": CHEAP, "input": {}})[0]
    assert [] == caller.sandbox.tasks()


def test_the_older_estimate_says_whether_one_can_pay(caller: Caller) -> None:
    """Prices are ours and may be fractional."""
    switch(caller, "price_pro", 1.5)
    caller.sandbox.set_balance("crun", 4)
    body = {"model": PRO, "input": {**KITE, "n": 3}}

    assert {
        "estimated_credits": 4.5,
        "balance": 4,
        "affordable": False,
    } == data(caller, "POST", "/client/job/EstimateTask", body)


@pytest.mark.parametrize(
    ("served", "new", "old"), [("both", 200, 200), ("new", 200, 404), ("old", 404, 200)]
)
def test_one_of_the_estimates_may_be_gone(caller: Caller, served: Any, new: Any, old: Any) -> None:
    """A client asks the newer, then the older."""
    switch(caller, "estimates", served)
    body = {"model": PRO, "input": KITE}

    assert [new, old] == [
        send(caller, "POST", f"/client/job/{name}", body)[0]
        for name in ("estimate-credits", "EstimateTask")
    ]


def test_an_account_that_cannot_pay_gets_402(caller: Caller) -> None:
    """What is reserved for running tasks is not there either."""
    caller.sandbox.set_balance("crun", 20)
    create(caller)

    status, body = send(caller, "POST", CREATE, {"model": PRO, "input": KITE})

    assert (402, {"code": 402, "message": "not enough credits", "data": None}) == (status, body)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "ak_0"}, {"Authorization": f"Bearer {KEY}"}])
def test_only_the_header_of_the_job_api_counts(caller: Caller, headers: Any) -> None:
    """Bearer is for another product."""
    url = caller.sandbox.base_url("crun") + "/client/account/balance"

    response = caller.sandbox.handle(HttpRequest(method="GET", url=url, headers=headers)).response

    assert (401, 401) == (response.status, response.json()["code"])


def test_a_disabled_key_is_403(caller: Caller) -> None:
    """Known from the page of task-info only."""
    switch(caller, "key_state", "disabled")

    assert 403 == send(caller, "GET", "/client/account/balance")[0]


@pytest.mark.parametrize(
    ("state", "create_code", "poll_code"), [("maintenance", 455, 455), ("disabled", 505, 200)]
)
def test_the_service_may_be_closed(
    caller: Caller, state: Any, create_code: Any, poll_code: Any
) -> None:
    """455 for all that is asked, 505 for creates; nothing is created."""
    task_id = create(caller)
    switch(caller, "service", state)

    assert create_code == send(caller, "POST", CREATE, {"model": PRO, "input": KITE})[0]
    assert poll_code == send(caller, "GET", f"/client/job/TaskInfo?task_id={task_id}")[0]
    assert 1 == len(caller.sandbox.tasks())


@pytest.mark.parametrize(("style", "status"), [("http", 404), ("body", 200)])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/client/job/TaskInfo?task_id=4c7d2a10-9b1e-4f65-8a0f-2d6b7e9c1a35"),
        ("GET", "/client/job/taskinfo"),
        ("POST", "/client/job/CancelTask"),
        ("DELETE", "/client/job/TaskInfo"),
    ],
)
def test_what_is_unknown_is_404_in_either_style(
    caller: Caller, style: Any, status: Any, method: Any, path: Any
) -> None:
    """With the code as HTTP status, or inside a 200; nothing can be cancelled."""
    switch(caller, "error_style", style)

    assert (status, {"code": 404, "message": "not found", "data": None}) == send(
        caller, method, path
    )


def test_the_body_style_holds_for_every_code(caller: Caller) -> None:
    """Also for validation, so the body's code decides."""
    switch(caller, "error_style", "body")

    status, body = send(caller, "POST", CREATE, {"model": PRO, "input": {}})

    assert (200, 422) == (status, body["code"])


def test_another_providers_spelling_of_the_id_is_refused(caller: Caller) -> None:
    """``taskId`` is a mix-up."""
    status, body = send(caller, "GET", f"/client/job/TaskInfo?taskId={create(caller)}")

    assert (422, ["task_id: field required"]) == (status, body["errors"])


def test_a_task_may_be_unknown_right_after_its_create(caller: Caller) -> None:
    """A 404 that must not end a job."""
    switch(caller, "visible_after", 2)
    switch(caller, "pending_seconds", 3)
    path = f"/client/job/TaskInfo?task_id={create(caller)}"

    assert 404 == send(caller, "GET", path)[0]
    caller.clock.now += 2
    assert "pending" == data(caller, "GET", path)["status"]
    caller.clock.now += 10.5
    assert "running" == data(caller, "GET", path)["status"]


def test_a_lost_task_stays_unknown(caller: Caller) -> None:
    """For good if marked at the create, else for one poll."""
    caller.sandbox.fault("lost_task")
    lost, found = create(caller), create(caller)
    caller.sandbox.fault("lost_task", op="poll")
    paths = [f"/client/job/TaskInfo?task_id={name}" for name in (found, found, lost, lost)]

    assert [404, 200, 404, 404] == [send(caller, "GET", path)[0] for path in paths]


def test_ids_and_acknowledgements_vary(caller: Caller) -> None:
    """Other text as id; a create that does not tell it."""
    switch(caller, "id_shape", "text")
    assert 14 == len(create(caller))
    switch(caller, "ack", "empty")

    assert {} == data(caller, "POST", CREATE, {"model": PRO, "input": KITE})
    assert 2 == len(caller.sandbox.tasks())


def test_optional_members_of_a_task_vary(caller: Caller) -> None:
    """Null ones left out; credits as text, or not there at all."""
    switch(caller, "omit_optional", True)
    switch(caller, "credits_type", "string")
    switch(caller, "price_pro", 0.5)
    task_id = create(caller, {**KITE, "n": 3})
    running = poll(caller, task_id)
    switch(caller, "credits_type", "absent")

    assert "1.5" == running["credits"]
    assert set() == {"result", "duration_s", "complete_at"} & running.keys()
    assert "credits" not in poll(caller, task_id)
    switch(caller, "omit_optional", False)
    assert "credits" not in poll(caller, task_id)


def test_the_edge_turns_libraries_away(caller: Caller) -> None:
    """A page that is no JSON, before any key is looked at."""
    switch(caller, "edge", True)
    path = "/client/account/balance"

    assert b"error code: 1010" == reply(caller, "GET", path).response.body
    assert 403 == reply(caller, "GET", path, User_Agent="python-httpx/0.28").response.status
    assert 200 == reply(caller, "GET", path, User_Agent="wanbridge/1.0").response.status


@pytest.mark.parametrize(
    ("kind", "options", "status", "code"),
    [
        ("rate_limit", {}, 429, 429),
        ("server_error", {}, 500, 500),
        ("server_error", {"status": 502, "accept": True}, 502, 502),
        ("error_in_200", {}, 200, 500),
        ("no_credit", {}, 402, 402),
        ("unauthorized", {}, 401, 401),
    ],
)
def test_faults_speak_the_providers_words(
    caller: Caller, kind: Any, options: Any, status: Any, code: Any
) -> None:
    """The number in the body; no Retry-After unless asked for."""
    caller.sandbox.fault(kind, **options)

    response = reply(caller, "POST", CREATE, {"model": PRO, "input": KITE}).response

    assert (status, code) == (response.status, response.json()["code"])
    assert None is response.header("Retry-After")


def test_a_limit_of_rate_can_say_how_long(caller: Caller) -> None:
    """It may be there, says the page."""
    caller.sandbox.fault("rate_limit", op="poll", retry_after=30)

    assert "30" == reply(caller, "GET", "/client/job/TaskInfo").response.header("Retry-After")


def test_a_lost_acknowledgement_leaves_a_task_that_is_paid(caller: Caller) -> None:
    """No list of tasks tells of it: the outcome is unknown to the client."""
    caller.sandbox.fault("accept_then_drop")

    assert reply(caller, "POST", CREATE, {"model": PRO, "input": KITE}).drop
    caller.clock.now += 10
    assert "12" == caller.charged()


def upload(caller: Caller) -> dict[str, str]:
    slot: dict[str, str] = data(
        caller, "GET", "/client/files/upload-url?content_type=image/png&ext=.png"
    )
    return slot


def put(caller: Caller, url: str, body: bytes, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest(method="PUT", url=url, headers=named, body=body)
    return caller.sandbox.handle(request).response.status


def test_an_upload_is_put_and_then_used_by_its_url(caller: Caller) -> None:
    """The storage host asks for no key, but for type and length."""
    slot = upload(caller)
    assert 404 == caller.fetch(slot["file_url"]).response.status

    assert 200 == put(
        caller, slot["presigned_url"], b"png!", Content_Type="image/png", Content_Length="4"
    )

    fetched = caller.fetch(slot["file_url"]).response
    assert (b"png!", "image/png") == (fetched.body, fetched.header("Content-Type"))
    assert "success" == finish(caller, {**KITE, "img_urls": [slot["file_url"]]})["status"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "image/jpeg", "Content_Length": "4"}, 403),
        ({"Content_Length": "4"}, 403),
        ({"Content_Type": "image/png"}, 411),
    ],
)
def test_a_put_that_was_not_signed_like_this_is_refused(
    caller: Caller, headers: Any, status: Any
) -> None:
    """As S3 does it; a create with a file that never came fails later."""
    slot = upload(caller)

    assert status == put(caller, slot["presigned_url"], b"png!", **headers)
    done = finish(caller, {**KITE, "img_urls": [slot["file_url"]]})
    assert "failed" == done["status"]
    assert f"could not fetch {slot['file_url']}" == done["result"]["message"]


@pytest.mark.parametrize(
    "query", ["", "content_type=image/png&ext=png", "content_type=text/plain&ext=.txt"]
)
def test_a_wrong_question_for_an_upload_is_422(caller: Caller, query: Any) -> None:
    """The ending has its dot."""
    assert 422 == send(caller, "GET", f"/client/files/upload-url?{query}")[0]


def test_data_uris_can_be_let_through(caller: Caller) -> None:
    """The vendor rules them out, one client sends them."""
    switch(caller, "data_uris", True)

    create(caller, {**KITE, "img_urls": ["data:image/png;base64,AAAA"]})


class Ear:
    """A receiver of callbacks that answers with one status."""

    def __init__(self, caller: Caller, status: int = 200) -> None:
        self.heard: list[HttpRequest] = []
        self._status = status
        caller.sandbox.on_callback = self

    def __call__(self, request: HttpRequest) -> int:
        self.heard.append(request)
        return self._status


@pytest.mark.parametrize("fault", [None, "fail_generation"])
def test_a_callback_is_the_bare_task_when_it_has_ended(caller: Caller, fault: Any) -> None:
    """What a poll has in ``data``, failed or not; unsigned JSON."""
    ear = Ear(caller)
    if fault is not None:
        caller.sandbox.fault(fault)
    task_id = create(caller, callback_url=HOOK)
    assert 0 == caller.sandbox.deliver()
    caller.clock.now += 10
    caller.sandbox.deliver()

    (request,) = ear.heard
    assert ("POST", HOOK) == (request.method, request.url)
    assert {"Content-Type": "application/json"} == request.headers
    assert poll(caller, task_id) == request.json()
    assert HOOK == request.json()["param"]["callback_url"]


def test_a_callback_may_be_wrapped(caller: Caller) -> None:
    """Clients in the wild handle both."""
    ear = Ear(caller)
    switch(caller, "callback_body", "wrapped")
    task_id = create(caller, callback_url=HOOK)
    caller.clock.now += 10
    caller.sandbox.deliver()

    body = {"code": 200, "message": "success", "data": poll(caller, task_id)}
    assert [body] == [request.json() for request in ear.heard]


def test_without_an_address_nobody_is_called(caller: Caller) -> None:
    """Nor with null, which a create may say."""
    create(caller)
    data(caller, "POST", CREATE, {"model": PRO, "input": KITE, "callback_url": None})
    caller.clock.now += 10

    assert [] == caller.sandbox.callbacks()


def test_a_callback_that_was_not_taken_does_not_come_again(caller: Caller) -> None:
    """Retries are not documented, so none is made; loopback addresses are accepted."""
    ear = Ear(caller, status=500)
    create(caller, callback_url="http://127.0.0.1:5000/hook")
    caller.clock.now += 10
    caller.sandbox.deliver()
    caller.clock.now += 86_400

    assert 0 == caller.sandbox.deliver()
    assert 1 == len(ear.heard)


@pytest.mark.parametrize(
    ("kind", "count"), [("lost_callback", 0), ("duplicate_callback", 2), ("forged_callback", 2)]
)
def test_callbacks_can_be_lost_doubled_or_forged(caller: Caller, kind: Any, count: Any) -> None:
    """Unsigned: only a poll tells a forged one from a true one."""
    ear = Ear(caller)
    caller.sandbox.fault(kind)
    task_id = create(caller, callback_url=HOOK)
    caller.clock.now += 10
    caller.sandbox.deliver()

    assert [task_id] * count == [request.json()["task_id"] for request in ear.heard]
    forged = [b"https://forged.invalid" in request.body for request in ear.heard]
    assert (kind == "forged_callback") == any(forged)


def test_a_callback_may_come_before_the_create_is_answered(caller: Caller) -> None:
    """The task is then done, and its id not yet known to the client."""
    ear = Ear(caller)
    caller.sandbox.fault("early_callback")

    task_id = create(caller, callback_url=HOOK)

    assert [task_id] == [request.json()["task_id"] for request in ear.heard]
    assert "success" == poll(caller, task_id)["status"]
    assert "12" == caller.charged()
