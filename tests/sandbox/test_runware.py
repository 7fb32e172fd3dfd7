"""Runware's server: tasks in an array, ``data`` and ``errors`` out."""

from __future__ import annotations

import base64
from collections import Counter
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sandbox_calls import Caller
from wanbridge.sandbox import Sandbox
from wanbridge.wire import HttpRequest

UUID = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
OTHER = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e45"
KITE: dict[str, Any] = {
    "taskType": "imageInference",
    "taskUUID": UUID,
    "model": "alibaba:wan@2.7-image",
    "positivePrompt": "a red kite",
    "width": 1024,
    "height": 768,
}
ASYNC = {**KITE, "deliveryMethod": "async"}
PRO = {**KITE, "model": "alibaba:wan@2.7-image-pro"}
SHELF = "https://img.example.org/shelf.jpg"
PALETTE = [
    {"hex": "#264653", "ratio": "34%"},
    {"hex": "#2A9D8F", "ratio": "33.00%"},
    {"hex": "#E9C46A", "ratio": "33%"},
]
POLL = {"taskType": "getResponse", "taskUUID": UUID}


def ask(runware: Caller, *tasks: Any, **headers: str) -> tuple[int, Any]:
    return runware.send("POST", "", list(tasks), **headers)


def finish(runware: Caller, task: dict[str, Any] = ASYNC) -> dict[str, Any]:
    status, _ = ask(runware, task)
    assert 200 == status
    runware.clock.now += 10
    status, body = ask(runware, POLL)
    assert 200 == status
    assert isinstance(body, dict)
    return body


def test_an_async_task_is_acknowledged_once_whatever_it_makes(runware: Caller) -> None:
    """One element with type and UUID, at once."""
    reply = runware.reply("POST", "", [{**ASYNC, "numberResults": 4}])

    assert {"data": [{"taskType": "imageInference", "taskUUID": UUID}]} == reply.response.json()
    assert 0 == reply.delay


def test_a_webhook_makes_a_task_async(runware: Caller) -> None:
    """The reply does not wait for what the webhook will bring."""
    _, body = ask(runware, {**KITE, "webhookURL": "https://me.example.org/hook?t=1"})

    assert "imageURL" not in body["data"][0]


def test_results_come_one_by_one_and_polls_are_cumulative(runware: Caller) -> None:
    """Each answer is the whole present state of the task."""
    ask(runware, {**ASYNC, "numberResults": 2})
    states = []
    for _ in range(3):
        _, body = ask(runware, POLL)
        states.append(Counter(element["status"] for element in body["data"]))
        runware.clock.now += 5

    assert [
        Counter(processing=2),
        Counter(processing=1, success=1),
        Counter(success=2),
    ] == states


def test_a_sync_task_holds_the_connection_for_its_whole_time(runware: Caller) -> None:
    """All results in one reply, without a status."""
    reply = runware.reply("POST", "", [{**KITE, "numberResults": 3}])

    elements = reply.response.json()["data"]
    assert 10 == reply.delay
    assert 3 == len({element["imageUUID"] for element in elements})
    assert 3 == len({element["seed"] for element in elements})
    assert {"taskType", "taskUUID", "imageUUID", "imageURL", "seed"} == elements[0].keys()


def test_a_sync_task_that_takes_too_long_is_504_and_goes_on(runware: Caller) -> None:
    """It is billed, and the image appears under getResponse later."""
    runware.sandbox.switch("runware", "sync_timeout", 3)

    reply = runware.reply("POST", "", [KITE])
    runware.clock.now += 10

    assert (504, 3) == (reply.response.status, reply.delay)
    assert "failedTaskTimeout" == reply.response.json()["errors"][0]["code"]
    assert "success" == ask(runware, POLL)[1]["data"][0]["status"]
    assert "0.03" == runware.charged()


def test_cost_is_told_only_when_asked_for(runware: Caller) -> None:
    """Per image, in US dollars."""
    with_cost = finish(runware, {**PRO, "deliveryMethod": "async", "includeCost": True})
    without = ask(runware, {**KITE, "taskUUID": OTHER})[1]

    assert 0.075 == with_cost["data"][0]["cost"]
    assert "cost" not in without["data"][0]
    assert "0.105" == runware.charged()


def test_the_first_result_uses_the_seed_and_others_are_wider_than_requests_allow(
    runware: Caller,
) -> None:
    """Response seeds are 32 bits wide; a request takes 31."""
    _, body = ask(runware, {**KITE, "seed": 7, "numberResults": 20})

    seeds = [element["seed"] for element in body["data"]]
    assert 7 in seeds
    assert max(seeds) > 2**31 - 1
    assert 0 != seeds.index(7), "results come in no order"


def test_a_known_uuid_is_a_conflict_and_costs_nothing(runware: Caller) -> None:
    """The only protection against paying twice; also inside one request."""
    ask(runware, ASYNC)
    status, body = ask(runware, ASYNC)

    assert 400 == status
    assert [] == body.get("data")
    assert "conflictTaskUUID" == body["errors"][0]["code"]
    assert UUID == body["errors"][0]["taskUUID"]
    assert "0.03" == runware.charged()


def test_one_good_task_makes_the_request_a_200(runware: Caller) -> None:
    """Both arrays stand side by side; each error names its task."""
    status, body = ask(runware, ASYNC, {**ASYNC, "taskUUID": OTHER, "width": 1000})

    assert 200 == status
    assert [UUID] == [element["taskUUID"] for element in body["data"]]
    assert [OTHER] == [error["taskUUID"] for error in body["errors"]]


def test_a_size_error_says_what_would_be_right(runware: Caller) -> None:
    """type, min, max, multiplier and a link, as observed."""
    _, body = ask(runware, {**KITE, "width": 1000})

    assert {
        "code": "invalidWidth",
        "message": "width must be an integer, 768 to 4096, a multiple of 16",
        "parameter": "width",
        "type": "integer",
        "min": 768,
        "max": 4096,
        "multiplier": 16,
        "documentation": "https://runware.ai/docs/models/alibaba-wan2-7-image#request-width",
        "taskType": "imageInference",
        "taskUUID": UUID,
    } == body["errors"][0]


@pytest.mark.parametrize(
    ("change", "code", "parameter"),
    [
        ({"taskType": "imageinference"}, "invalidTaskType", "taskType"),
        ({"taskUUID": "0190a9a7-2f61-7c1e-9d0b-6d7f3a1c2e44"}, "invalidTaskUUID", "taskUUID"),
        ({"model": "alibaba:wan@2.6"}, "invalidModel", "model"),
        ({"positivePrompt": ""}, "invalidPositivePrompt", "positivePrompt"),
        ({"positivePrompt": "x" * 3001}, "invalidPositivePrompt", "positivePrompt"),
        ({"width": 752}, "invalidWidth", "width"),
        ({"height": 4112}, "invalidHeight", "height"),
        ({"height": 1024.0}, "invalidHeight", "height"),
        ({"seed": 2**31}, "invalidSeed", "seed"),
        ({"seed": True}, "invalidSeed", "seed"),
        ({"numberResults": 21}, "invalidNumberResults", "numberResults"),
        ({"outputType": "url"}, "invalidOutputType", "outputType"),
        ({"outputFormat": "JPEG"}, "invalidOutputFormat", "outputFormat"),
        ({"outputQuality": 100}, "invalidOutputQuality", "outputQuality"),
        ({"deliveryMethod": "webhook"}, "invalidDeliveryMethod", "deliveryMethod"),
        ({"webhookURL": "me"}, "invalidWebhookURL", "webhookURL"),
        ({"webhookURL": 1}, "invalidWebhookURL", "webhookURL"),
        ({"uploadEndpoint": "https://[1"}, "invalidUploadEndpoint", "uploadEndpoint"),
        ({"ttl": 59}, "invalidTtl", "ttl"),
        ({"includeCost": 1}, "invalidIncludeCost", "includeCost"),
        ({"negativePrompt": "x"}, "unsupportedParameter", "negativePrompt"),
        ({"routing": {}}, "unsupportedParameter", "routing"),
        ({"safety": True}, "invalidSafety", "safety"),
        ({"safety": {"mode": "full"}}, "invalidMode", "safety.mode"),
        ({"inputs": {"images": []}}, "unsupportedParameter", "inputs.images"),
        ({"inputs": {"referenceImages": []}}, "invalidReferenceImages", "inputs.referenceImages"),
        (
            {"inputs": {"referenceImages": [OTHER]}},
            "invalidReferenceImages",
            "inputs.referenceImages",
        ),
        (
            {"inputs": {"referenceImages": ["?"]}},
            "invalidReferenceImages",
            "inputs.referenceImages",
        ),
        ({"settings": {"watermark": True}}, "unsupportedParameter", "settings.watermark"),
        ({"settings": {"thinking": None}}, "invalidThinking", "settings.thinking"),
        ({"settings": {"colorPalette": PALETTE[:2]}}, "invalidColorPalette", None),
        ({"settings": {"colorPalette": [*PALETTE, PALETTE[0]]}}, "invalidColorPalette", None),
        ({"settings": {"colorPalette": [*PALETTE, {"hex": "#fff"}]}}, "invalidColorPalette", None),
        (
            {"settings": {"colorPalette": [*PALETTE, {"hex": "#fff", "ratio": "1%"}]}},
            "invalidColorPalette",
            None,
        ),
        ({"settings": {"editRegions": [[[9, 0, 0, 9]]]}}, "invalidEditRegions", None),
    ],
)
def test_what_the_page_does_not_allow_is_refused_by_name(
    runware: Caller, change: Any, code: Any, parameter: Any
) -> None:
    """400, the code, the dotted path; nothing is charged."""
    status, body = ask(runware, {**KITE, **change})

    assert 400 == status
    assert code == body["errors"][0]["code"]
    assert parameter in (None, body["errors"][0]["parameter"])
    assert [] == body["data"]
    assert "0" == runware.charged()


@pytest.mark.parametrize("name", ["taskUUID", "model", "positivePrompt", "width", "height"])
def test_what_is_required_is_missed_by_name(runware: Caller, name: Any) -> None:
    """Sides too, also when editing."""
    _, body = ask(runware, {k: v for k, v in KITE.items() if k != name})

    assert f"missing{name[0].upper()}{name[1:]}" == body["errors"][0]["code"]


@pytest.mark.parametrize(
    ("task", "parameter"),
    [
        ({**KITE, "width": 2064}, ["width", "height", "model"]),
        (
            {**PRO, "width": 2064, "inputs": {"referenceImages": [SHELF]}},
            ["width", "height", "inputs.referenceImages"],
        ),
        (
            {**PRO, "height": 2064, "settings": {"sequential": True}},
            ["width", "height", "settings.sequential"],
        ),
        (
            {**KITE, "settings": {"editRegions": [[]]}},
            ["settings.editRegions", "inputs.referenceImages"],
        ),
    ],
)
def test_rules_between_fields_name_them_all(runware: Caller, task: Any, parameter: Any) -> None:
    """``parameter`` is an array then."""
    assert parameter == ask(runware, task)[1]["errors"][0]["parameter"]


@pytest.mark.parametrize(
    "task",
    [
        {**PRO, "width": 4096, "height": 4096},
        {**KITE, "settings": {"colorPalette": PALETTE, "thinking": True}},
        {**KITE, "settings": {"colorPalette": PALETTE, "sequential": True}},
        {
            **KITE,
            "inputs": {"referenceImages": [SHELF, "data:image/png;base64,AAAA", "AAAA"]},
            "settings": {"editRegions": [[[0, 0, 9, 9], [5, 5, 99, 99]], [], []]},
        },
    ],
)
def test_what_the_page_shows_is_accepted(runware: Caller, task: Any) -> None:
    """Palettes with references and thinking are in its own examples."""
    assert 200 == ask(runware, task)[0]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalidJSON"),
        ({}, "invalidPayload"),
        ([], "invalidPayload"),
        ([1], "invalidPayload"),
    ],
)
def test_a_body_that_is_no_array_of_tasks_is_refused(runware: Caller, body: Any, code: Any) -> None:
    """One error, and no task to name."""
    status, answer = runware.send("POST", "", body)

    assert 400 == status
    assert [code] == [error["code"] for error in answer["errors"]]
    assert "taskUUID" not in answer["errors"][0]


def bare(sandbox: Sandbox, body: bytes, **headers: str) -> tuple[int, Any]:
    url = sandbox.base_url("runware")
    reply = sandbox.handle(HttpRequest(method="POST", url=url, headers=headers, body=body))
    return reply.response.status, reply.response.json()


def test_the_key_may_come_in_the_header_or_as_the_first_task(sandbox: Sandbox) -> None:
    """A session id answers the second way."""
    key = b'{"taskType":"authentication","apiKey":"sandbox-runware-key"}'

    assert 400 == bare(sandbox, b"[]", Authorization="Bearer sandbox-runware-key")[0]
    assert 200 == bare(sandbox, b"[" + key + b"]")[0]


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b"[]", "missingApiKey"),
        ({}, b"not json", "missingApiKey"),
        ({"Authorization": "Bearer x"}, b"not json", "invalidApiKey"),
        ({"Authorization": "Basic x"}, b"[]", "invalidApiKey"),
        ({}, b'[{"taskType":"authentication","apiKey":"x"}]', "invalidApiKey"),
    ],
)
def test_without_a_good_key_nothing_else_is_looked_at(
    sandbox: Sandbox, headers: Any, body: Any, code: Any
) -> None:
    """401 on the request as a whole."""
    status, answer = bare(sandbox, body, **headers)

    assert 401 == status
    assert (code, "authentication", "apiKey") == tuple(
        answer["errors"][0][name] for name in ("code", "taskType", "parameter")
    )


def test_only_post_and_only_one_path_are_served(runware: Caller) -> None:
    """Everything is one URL."""
    assert 405 == runware.send("GET")[0]
    assert 404 == runware.send("POST", "/tasks", [KITE])[0]


def test_money_is_asked_for_before_the_work(runware: Caller) -> None:
    """402, and the task's name stays free."""
    runware.sandbox.set_balance("runware", "0.05")

    status, body = ask(runware, {**ASYNC, "numberResults": 2})

    assert 402 == status
    assert "insufficientCredits" == body["errors"][0]["code"]
    assert 200 == ask(runware, ASYNC)[0]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("refuse_content", 400, "contentPolicyViolation"), ("fail_generation", 500, "inferenceError")],
)
def test_a_failed_task_is_an_error_in_both_modes_and_free(
    runware: Caller, fault: Any, status: Any, code: Any
) -> None:
    """Sync has a status for it, polls are 200."""
    runware.sandbox.fault(fault, times=2)

    held = ask(runware, {**KITE, "taskUUID": OTHER})
    polled = finish(runware)

    assert (status, code) == (held[0], held[1]["errors"][0]["code"])
    assert ("error", code) == (polled["errors"][0]["status"], polled["errors"][0]["code"])
    assert "0" == runware.charged()


def test_a_failure_can_stand_in_data(runware: Caller) -> None:
    """The client types have it there, nested."""
    runware.sandbox.fault("fail_generation")
    runware.sandbox.switch("runware", "failed_image", "data")

    body = finish(runware)

    assert "errors" not in body
    assert "error" == body["data"][0]["status"]
    assert "inferenceError" == body["data"][0]["error"]["code"]


@pytest.mark.parametrize(("shape", "errors"), [("error", 1), ("absent", 0)])
def test_a_missing_image_is_told_or_just_absent(runware: Caller, shape: Any, errors: Any) -> None:
    """And only what came is charged."""
    runware.sandbox.fault("fewer_images")
    runware.sandbox.switch("runware", "missing_image", shape)

    status, body = ask(runware, {**KITE, "numberResults": 3})

    assert 200 == status
    assert (2, errors) == (len(body["data"]), len(body.get("errors", [])))
    assert "0.06" == runware.charged()


def test_an_empty_success_has_no_data_and_no_errors(runware: Caller) -> None:
    """Done, nothing there, nothing charged."""
    runware.sandbox.fault("empty_success")

    assert {"data": []} == finish(runware)
    assert "0" == runware.charged()


def test_an_unknown_task_is_empty_or_not_found(runware: Caller) -> None:
    """Both were reported, both with HTTP 200."""
    assert (200, {"data": []}) == ask(runware, POLL)

    runware.sandbox.switch("runware", "unknown_task", "error")
    status, body = ask(runware, POLL)

    assert 200 == status
    assert ("taskNotFound", UUID) == (
        body["errors"][0]["code"],
        body["errors"][0]["taskUUID"],
    )


def test_words_for_running_and_acknowledging_vary(runware: Caller) -> None:
    """Older editions of the page and clients know other ones."""
    for name, value in (("ack", "empty"), ("running_word", "pending"), ("progress", True)):
        runware.sandbox.switch("runware", name, value)

    _, ack = ask(runware, ASYNC)
    runware.clock.now += 5
    _, poll = ask(runware, POLL)

    assert {"data": []} == ack
    assert ("pending", 50) == (poll["data"][0]["status"], poll["data"][0]["progress"])


@pytest.mark.parametrize(
    ("safety", "flag"),
    [
        ({}, None),
        ({"checkContent": True}, True),
        ({"mode": "fast"}, True),
        ({"checkContent": True, "mode": "none"}, None),
    ],
)
def test_the_nsfw_flag_comes_only_with_a_check(runware: Caller, safety: Any, flag: Any) -> None:
    """``mode`` wins over ``checkContent``; the image is delivered all the same."""
    runware.sandbox.switch("runware", "nsfw", True)

    _, body = ask(runware, {**KITE, "safety": safety})

    assert flag is body["data"][0].get("NSFWContent")


@pytest.mark.parametrize(
    ("name", "format", "ending"),
    [("JPG", "JPEG", ".jpg"), ("PNG", "PNG", ".png"), ("WEBP", "WEBP", ".webp")],
)
def test_urls_give_the_format_and_size_asked_for(
    runware: Caller, name: Any, format: Any, ending: Any
) -> None:
    """The file is named for the image's UUID."""
    element = finish(runware, {**ASYNC, "outputFormat": name, "outputQuality": 80})["data"][0]

    reply = runware.fetch(element["imageURL"])

    assert element["imageURL"].endswith(element["imageUUID"] + ending)
    with Image.open(BytesIO(reply.response.body)) as image:
        assert (format, (1024, 768)) == (image.format, image.size)


def test_pictures_can_come_inside_the_reply(runware: Caller) -> None:
    """As base64, bare or as a data URI."""
    _, bare = ask(runware, {**KITE, "outputType": "base64Data"})
    _, uri = ask(runware, {**KITE, "taskUUID": OTHER, "outputType": "dataURI"})

    assert base64.b64decode(bare["data"][0]["imageBase64Data"]).startswith(b"\xff\xd8")
    assert uri["data"][0]["imageDataURI"].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(("ttl", "life"), [({}, 7 * 86400), ({"ttl": 60}, 60)])
def test_urls_live_for_ttl_or_a_week(runware: Caller, ttl: Any, life: Any) -> None:
    """And are refused afterwards."""
    url = finish(runware, {**ASYNC, **ttl})["data"][0]["imageURL"]

    runware.clock.now += life - 1
    assert 200 == runware.fetch(url).response.status
    runware.clock.now += 1
    assert 403 == runware.fetch(url).response.status


def test_a_dry_run_is_refused_unless_switched_on(runware: Caller) -> None:
    """Its answer is not documented, and nobody should pay for one by mistake."""
    dry = {"X_Runware_Dry_Run": "1"}
    assert 400 == ask(runware, ASYNC, **dry)[0]

    runware.sandbox.switch("runware", "dry_run", True)

    assert 0.03 == ask(runware, ASYNC, **dry)[1]["data"][0]["cost"]
    assert "0" == runware.charged()


def test_details_keep_the_request_and_the_response(runware: Caller) -> None:
    """The response is empty while the work goes on."""
    details = {"taskType": "getTaskDetails", "taskUUID": UUID}
    assert 404 == ask(runware, details)[0]
    ask(runware, ASYNC)

    running = ask(runware, details)[1]["data"][0]
    runware.clock.now += 10
    done = ask(runware, details)[1]["data"][0]

    assert {} == running["response"]
    assert [ASYNC] == done["request"]
    assert 1 == len(done["response"]["data"])


def test_uploads_and_results_are_references_by_uuid(runware: Caller) -> None:
    """A deleted one is unknown again."""
    up = {"taskType": "imageUpload", "taskUUID": OTHER, "image": "data:image/png;base64,AAAA"}
    media = {"taskType": "mediaStorage", "taskUUID": OTHER}
    first = ask(runware, up)[1]["data"][0]["imageUUID"]
    second = ask(runware, {**media, "operation": "upload", "media": SHELF})[1]["data"][0]
    third = finish(runware)["data"][0]["imageUUID"]
    edit = {**KITE, "inputs": {"referenceImages": [first, second["mediaUUID"], third]}}

    assert 200 == ask(runware, {**edit, "taskUUID": OTHER})[0]

    gone = {**media, "operation": "delete", "media": first}
    assert 200 == ask(runware, gone)[0]
    assert 404 == ask(runware, gone)[0]
    assert 400 == ask(runware, {**edit, "taskUUID": UUID[:-1] + "9"})[0]


@pytest.mark.parametrize(
    "task",
    [
        {"taskType": "imageUpload", "taskUUID": UUID},
        {"taskType": "imageUpload", "taskUUID": UUID, "image": 7},
        {"taskType": "mediaStorage", "taskUUID": UUID, "operation": "move", "media": SHELF},
        {"taskType": "mediaStorage", "taskUUID": UUID, "operation": "upload", "media": "?"},
        {"taskType": "mediaStorage", "operation": "delete", "media": UUID},
        {"taskType": "getResponse"},
        {"taskType": "getResponse", "taskUUID": UUID, "page": 1},
        {"taskType": "getTaskDetails", "taskUUID": "x"},
        {"taskType": ["x"], "taskUUID": UUID},
    ],
)
def test_the_other_tasks_are_checked_as_well(runware: Caller, task: Any) -> None:
    """400 with errors that say which parameter."""
    status, body = ask(runware, task)

    assert 400 == status
    assert body["errors"][0]["parameter"]


def test_only_what_could_buy_something_is_a_post_in_the_ledger(runware: Caller) -> None:
    """Polls, uploads and look-ups are not; what nobody can read might be."""
    ask(runware, ASYNC)
    ask(runware, POLL)
    ask(runware, {"taskType": "getTaskDetails", "taskUUID": UUID})
    runware.send("POST", "", b"{")

    assert [UUID, None] == [post["key"] for post in runware.sandbox.ledger()["posts"]]


def test_errors_in_a_200_name_the_tasks_of_the_request(runware: Caller) -> None:
    """So do those of an empty account."""
    runware.sandbox.fault("error_in_200")
    runware.sandbox.fault("no_credit")
    runware.sandbox.fault("error_in_200")

    first, second = ask(runware, ASYNC), ask(runware, ASYNC)

    assert (200, UUID) == (first[0], first[1]["errors"][0]["taskUUID"])
    assert (402, UUID) == (second[0], second[1]["errors"][0]["taskUUID"])
    assert 1 == len(runware.send("POST", "", b"{")[1]["errors"])
