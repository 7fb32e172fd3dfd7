"""EmpirioLabs' server: what it accepts, what it answers, what it charges."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Sandbox
from wanbridge.wire import HttpRequest

KITE: dict[str, Any] = {"model": "wan2-7-image", "prompt": "a red kite"}
CHEAP = {**KITE, "model_variant": "wan2.7-image"}
SHELF = "https://img.example.org/shelf.jpg"
EDIT = {**KITE, "image": [SHELF]}
SET = {**KITE, "enable_sequential": True}
EXACT = {**KITE, "use_custom_size": True, "custom_width": 1024, "custom_height": 768}
COLOURS = [
    {"hex": "#2A6F97", "ratio": "50.00%"},
    {"hex": "#F4A259", "ratio": "30.00%"},
    {"hex": "#101418", "ratio": "20.00%"},
]
PALETTE = json.dumps(COLOURS)
BOX = "[[120,80,480,360]]"


@pytest.fixture
def caller(clock: Clock) -> Caller:
    return Caller(Sandbox(["empiriolabs"], clock=clock, latency=10), "empiriolabs", clock)


def switch(caller: Caller, name: str, value: Any) -> None:
    caller.sandbox.switch("empiriolabs", name, value)


def submit(caller: Caller, body: Any = KITE) -> dict[str, Any]:
    status, job = caller.send("POST", "/images/generations", body)
    assert 200 == status, job
    assert isinstance(job, dict)
    return job


def poll(caller: Caller, job_id: str) -> dict[str, Any]:
    status, job = caller.send("GET", f"/jobs/{job_id}")
    assert 200 == status, job
    assert isinstance(job, dict)
    return job


def finish(caller: Caller, body: Any = KITE) -> dict[str, Any]:
    job = submit(caller, body)
    caller.clock.now += 10
    return poll(caller, job["job_id"])


def size_of(caller: Caller, body: Any) -> tuple[int, int]:
    """Pixels of the first picture that a body gets."""
    url = finish(caller, body)["result"]["data"][0]["url"]
    with Image.open(BytesIO(caller.fetch(url).response.body)) as image:
        return image.size


def refused(caller: Caller, body: Any) -> dict[str, Any]:
    status, answer = caller.send("POST", "/images/generations", body)
    assert 400 == status, answer
    error: dict[str, Any] = answer["error"]
    return error


def test_a_plain_submit_answers_with_a_job(caller: Caller) -> None:
    """Images come only to those who ask for them with ``sync``."""
    job = submit(caller)

    assert {"job_id", "status", "poll_url"} == job.keys()
    assert "processing" == job["status"]
    assert f"/empiriolabs/v1/jobs/{job['job_id']}" == job["poll_url"]


def test_a_job_tells_progress_times_and_then_its_result(caller: Caller) -> None:
    """The shapes of the retrieve-job page; unknown is null."""
    job_id = submit(caller, {**KITE, "num_images": 2})["job_id"]
    caller.clock.now += 4
    running = poll(caller, job_id)
    caller.clock.now += 6
    done = poll(caller, job_id)

    assert {
        "job_id": job_id,
        "status": "processing",
        "progress": 0.4,
        "created_at": "2026-11-18T11:06:40Z",
        "completed_at": None,
        "result": None,
        "error": None,
    } == running
    assert ("completed", 1, None) == (done["status"], done["progress"], done["error"])
    assert "2026-11-18T11:06:50Z" == done["completed_at"]
    assert 1_795_000_010 == done["result"]["created"]
    assert {"billable_units": 2, "billing_unit": "image"} == done["result"]["usage"]
    assert [{"url"}, {"url"}] == [item.keys() for item in done["result"]["data"]]


def test_sync_holds_the_call_and_answers_with_the_images(caller: Caller) -> None:
    """The reply takes as long as the work; it was never a job, so none is listed."""
    reply = caller.reply("POST", "/images/generations", {**KITE, "sync": True})

    assert 10 == reply.delay
    assert {"created", "data", "usage"} == reply.response.json().keys()
    assert "0.075" == caller.charged()
    assert [] == caller.send("GET", "/jobs")[1]["data"]
    assert [404] == [caller.send("GET", f"/jobs/{t['id']}")[0] for t in caller.sandbox.tasks()]


def test_a_sync_call_may_still_answer_with_a_job(caller: Caller) -> None:
    """When the wait runs out, the job goes on and can be polled."""
    switch(caller, "sync_seconds", 3)

    reply = caller.reply("POST", "/images/generations", {**KITE, "sync": True})
    caller.clock.now += 10

    assert 3 == reply.delay
    assert "completed" == poll(caller, reply.response.json()["job_id"])["status"]


def test_the_gateway_may_cut_a_sync_call_that_is_paid_for(clock: Clock) -> None:
    """After 15 minutes; what was accepted is settled in full."""
    caller = Caller(Sandbox(["empiriolabs"], clock=clock, latency=1000), "empiriolabs", clock)
    switch(caller, "sync_late", "cut")
    switch(caller, "sync_seconds", 2000)

    reply = caller.reply("POST", "/images/generations", {**KITE, "sync": True})

    assert (504, 900) == (reply.response.status, reply.delay)
    assert "0.075" == caller.charged()


def test_without_sync_the_older_page_promises_images_at_once(caller: Caller) -> None:
    """The newer one a job; an explicit ``sync`` always decides."""
    switch(caller, "default_mode", "result")

    assert "data" in submit(caller)
    assert "job_id" in submit(caller, {**KITE, "sync": False})


@pytest.mark.parametrize("fault", ["refuse_content", "fail_generation"])
def test_a_failed_sync_call_is_a_502_without_a_charge(caller: Caller, fault: Any) -> None:
    """The code is published, the status is inferred."""
    caller.sandbox.fault(fault)

    status, body = caller.send("POST", "/images/generations", {**KITE, "sync": True})

    assert (502, "upstream_error") == (status, body["error"]["code"])
    assert "0" == caller.charged()


def test_pictures_come_inside_the_reply_if_asked_for(caller: Caller) -> None:
    """In a sync reply and in a job; the latter is doubtful, so a switch turns it off."""
    body = {**EXACT, "response_format": "b64_json"}
    inline = submit(caller, {**body, "sync": True})["data"][0]
    job = submit(caller, body)["job_id"]
    caller.clock.now += 10
    polled = poll(caller, job)["result"]["data"][0]
    switch(caller, "b64_in_jobs", False)

    with Image.open(BytesIO(base64.b64decode(inline["b64_json"]))) as image:
        assert (1024, 768) == image.size
    assert {"b64_json"} == polled.keys()
    assert {"url"} == poll(caller, job)["result"]["data"][0].keys()


def test_a_finished_job_is_forgotten_after_an_hour(caller: Caller) -> None:
    """A 404 like that of a job that never was; its URLs live for 7 days."""
    url = finish(caller)["result"]["data"][0]["url"]
    job_id = caller.sandbox.tasks()[0]["id"]
    caller.clock.now += 3599
    poll(caller, job_id)
    caller.clock.now += 1
    gone = caller.send("GET", f"/jobs/{job_id}")

    assert 404 == gone[0]
    assert caller.send("GET", "/jobs/job_0") == gone
    assert [] == caller.send("GET", "/jobs")[1]["data"]
    assert 200 == caller.fetch(url).response.status
    assert "exp=1795604810" == url.rpartition("&")[2]
    caller.clock.now += 7 * 86_400
    assert 403 == caller.fetch(url).response.status


@pytest.mark.parametrize(
    ("body", "charged"),
    [
        (KITE, "0.075"),
        (CHEAP, "0.030"),
        ({**CHEAP, "resolution": "1K", "num_images": 4}, "0.120"),
        ({**KITE, "resolution": "4K"}, "0.075"),
        ({**EDIT, "n": 2}, "0.150"),
        ({**EDIT, "n": 2, "num_images": 3}, "0.225"),
        (SET, "0.075"),
        ({**SET, "num_images": 4}, "0.075"),
        ({**SET, "num_images_set": 12}, "0.900"),
        ({**KITE, "num_images_set": 12}, "0.075"),
    ],
)
def test_delivered_images_cost_and_pro_is_the_default(
    caller: Caller, body: Any, charged: Any
) -> None:
    """Each mode has a count of its own and ignores the other's."""
    submit(caller, body)

    assert charged == caller.charged()


def test_a_set_may_be_smaller_than_it_was_allowed_to_be(caller: Caller) -> None:
    """The model decides; only what it made is billed."""
    switch(caller, "set_images", 5)

    done = finish(caller, {**SET, "num_images_set": 8})

    assert 5 == len(done["result"]["data"])
    assert "0.375" == caller.charged()
    assert [(8, 5)] == [(t["asked"], t["delivered"]) for t in caller.sandbox.tasks()]


@pytest.mark.parametrize(("failed_charge", "charged"), [(False, "0"), (True, "0.150")])
def test_whether_a_failure_costs_is_a_switch(
    caller: Caller, failed_charge: Any, charged: Any
) -> None:
    """No page says it; a refused prompt is a failed job that speaks of policy."""
    switch(caller, "failed_charge", failed_charge)
    caller.sandbox.fault("refuse_content")

    done = finish(caller, {**KITE, "num_images": 2})

    assert ("failed", None) == (done["status"], done["result"])
    assert "policy" in done["error"]["message"]
    assert {"message", "type", "code"} == done["error"].keys()
    assert charged == caller.charged()


def test_a_cancelled_job_is_paid_in_full(caller: Caller) -> None:
    """Once accepted, a request settles even if nobody waits for it."""
    job_id = submit(caller, {**KITE, "num_images": 2})["job_id"]
    caller.clock.now += 2

    status, cancelled = caller.send("POST", f"/jobs/{job_id}/cancel")
    caller.clock.now += 20

    assert (200, "cancelled") == (status, cancelled["status"])
    assert None is cancelled["result"] is cancelled["error"]
    assert cancelled == poll(caller, job_id)
    assert "0.150" == caller.charged()


def test_a_job_that_ended_comes_back_unchanged_from_a_cancel(caller: Caller) -> None:
    """Cancelling is for queued and processing jobs."""
    done = finish(caller)

    assert (200, done) == caller.send("POST", f"/jobs/{done['job_id']}/cancel")


@pytest.mark.parametrize(
    ("route", "post", "delete"), [("post", 200, 405), ("delete", 404, 200), ("none", 404, 405)]
)
def test_the_way_to_cancel_is_unknown(caller: Caller, route: Any, post: Any, delete: Any) -> None:
    """A client tries the one, then the other."""
    switch(caller, "cancel_route", route)
    switch(caller, "cancel_word", "canceled")
    first, second = submit(caller)["job_id"], submit(caller)["job_id"]

    assert post == caller.send("POST", f"/jobs/{first}/cancel")[0]
    assert delete == caller.send("DELETE", f"/jobs/{second}")[0]
    words = {poll(caller, name)["status"] for name in (first, second)}
    assert ("canceled" in words) == (200 in (post, delete))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([KITE], None),
        (b"not json", None),
        (b"[" * 100_000, None),
        ({"model": "wan2-7-image"}, "prompt"),
        ({"prompt": "kite"}, "model"),
        ({**KITE, "model": 7}, "model"),
        ({**KITE, "prompt": ""}, "prompt"),
        ({**KITE, "prompt": "x" * 5001}, "prompt"),
        ({**KITE, "webhook_url": "https://a.example/hook"}, "webhook_url"),
        ({**KITE, "callback_url": "https://a.example/hook"}, "callback_url"),
        ({**KITE, "negative_prompt": "rain"}, "negative_prompt"),
        ({**KITE, "model_variant": "wan2.7"}, "model_variant"),
        ({**KITE, "aspect_ratio": "21:9"}, "aspect_ratio"),
        ({**KITE, "resolution": "2k"}, "resolution"),
        ({**CHEAP, "resolution": "4K"}, "resolution"),
        ({**EDIT, "resolution": "4K"}, "resolution"),
        ({**SET, "resolution": "4K"}, "resolution"),
        ({**KITE, "use_custom_size": True, "custom_height": 768}, "custom_width"),
        ({**KITE, "use_custom_size": True, "custom_width": 768}, "custom_height"),
        ({**EXACT, "custom_width": 767}, "custom_width"),
        ({**EXACT, "custom_height": 4097}, "custom_height"),
        ({**EXACT, "custom_width": 1024.5}, "custom_width"),
        ({**EXACT, **CHEAP, "custom_width": 2049}, "custom_width"),
        ({**EXACT, "image": [SHELF], "custom_height": 2049}, "custom_height"),
        ({**EXACT, "size": "1x1", "custom_width": None}, "custom_width"),
        ({**KITE, "size": "512x512"}, "size"),
        ({**CHEAP, "size": "4096x4096"}, "size"),
        ({**KITE, "size": "1024*1024"}, "size"),
        ({**KITE, "num_images": 0}, "num_images"),
        ({**KITE, "num_images": 5}, "num_images"),
        ({**KITE, "num_images": True}, "num_images"),
        ({**KITE, "num_images": 2.0}, "num_images"),
        ({**SET, "num_images_set": 13}, "num_images_set"),
        ({**KITE, "n": "2"}, "n"),
        ({**KITE, "seed": -1}, "seed"),
        ({**KITE, "seed": 2**31}, "seed"),
        ({**KITE, "seed": None}, "seed"),
        ({**KITE, "watermark": 0}, "watermark"),
        ({**KITE, "sync": "true"}, "sync"),
        ({**KITE, "response_format": "b64"}, "response_format"),
        ({**KITE, "image": SHELF}, "image"),
        ({**KITE, "image": [SHELF] * 10}, "image"),
        ({**KITE, "image": ["data:image/png;base64,AAAA"]}, "image"),
        ({**KITE, "image": ["https://10.0.0.1/a.png"]}, "image"),
        ({**KITE, "color_palette": COLOURS}, "color_palette"),
        ({**KITE, "color_palette": "[#2A6F97]"}, "color_palette"),
        ({**KITE, "color_palette": json.dumps({"colors": COLOURS})}, "color_palette"),
        ({**KITE, "color_palette": json.dumps(COLOURS[:2])}, "color_palette"),
        ({**KITE, "color_palette": json.dumps(COLOURS * 4)}, "color_palette"),
        ({**KITE, "color_palette": json.dumps(COLOURS[:2] * 2)}, "color_palette"),
        ({**KITE, "color_palette": PALETTE.replace("30.00%", "30%")}, "color_palette"),
        ({**KITE, "color_palette": PALETTE.replace('"30.00%"', "30.0")}, "color_palette"),
        ({**KITE, "color_palette": PALETTE.replace("#2A6F97", "navy")}, "color_palette"),
        ({**KITE, "color_palette": PALETTE.replace("ratio", "share")}, "color_palette"),
        ({**EDIT, "color_palette": json.dumps(["#2A6F97"] * 3)}, "color_palette"),
        ({**EDIT, "bbox_list": [[1, 2, 3, 4]]}, "bbox_list"),
        ({**EDIT, "bbox_list": "[" * 100_000}, "bbox_list"),
        ({**EDIT, "bbox_list": "{}"}, "bbox_list"),
        ({**EDIT, "bbox_list": "[1,2,3,4]"}, "bbox_list"),
        ({**EDIT, "bbox_list": "[[480,80,120,360]]"}, "bbox_list"),
        ({**EDIT, "bbox_list": "[[1,2,3,4],[1,2,3,4],[1,2,3,4]]"}, "bbox_list"),
        ({**EDIT, "bbox_list": "[[[1,2,3,4]],[]]"}, "bbox_list"),
        ({**EDIT, "bbox_list": "[[[1,2,3,4]],7]"}, "bbox_list"),
        ({**EDIT, "image": [SHELF, SHELF], "bbox_list": BOX}, "bbox_list"),
        ({**EDIT, "image": [SHELF], "bbox_list": '[[[1,2,3,4],"x"]]'}, "bbox_list"),
        ({**EDIT, "image": [SHELF, SHELF], "bbox_list": "[[[1,2,3,4]],7]"}, "bbox_list"),
        ({**KITE, "bbox_list": BOX}, "bbox_list"),
    ],
)
def test_a_wrong_parameter_is_named_and_costs_nothing(
    caller: Caller, body: Any, param: Any
) -> None:
    """One error at a time; nothing was accepted."""
    error = refused(caller, body)

    assert "invalid_request" == error["code"] == error["type"]
    assert param == error.get("param")
    assert [] == caller.sandbox.tasks()


@pytest.mark.parametrize(
    "body",
    [
        {**KITE, "prompt": "x" * 5000, "image": [], "watermark": True, "thinking_mode": False},
        {**EDIT, "thinking_mode": True, "color_palette": PALETTE, "bbox_list": BOX},
        {**SET, "thinking_mode": True, "color_palette": "ignored in sets"},
        {**EDIT, "bbox_list": "[]"},
        {**EDIT, "bbox_list": "[[]]"},
        {**EDIT, "bbox_list": "[[1,2,3,4],[5,6,7,8]]"},
        {**EDIT, "image": [SHELF] * 2, "bbox_list": "[[],[[1,2,3,4],[5,6,7,8]]]"},
        {**KITE, "color_palette": PALETTE, "seed": 0},
        {**KITE, "custom_width": 800},
        {**KITE, "size": "4096x4096"},
        {**EDIT, "size": "1x1"},
        {**SET, "image": [SHELF] * 9, "num_images_set": 2},
    ],
)
def test_what_the_page_allows_or_ignores_is_completed(caller: Caller, body: Any) -> None:
    """Thinking with images, a palette in a set and fields of other modes are ignored."""
    assert "completed" == finish(caller, body)["status"]


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({"resolution": "1K"}, (1360, 768)),
        ({"resolution": "1K", "aspect_ratio": "1:1"}, (1024, 1024)),
        ({"size": "1024x800", "aspect_ratio": "1:1"}, (1024, 800)),
        ({**EXACT, "size": "800x800", "aspect_ratio": "1:1"}, (1024, 768)),
        ({"resolution": "1K", "image": [SHELF]}, (1024, 1024)),
        ({"resolution": "1K", "image": [SHELF], "aspect_ratio": "9:16"}, (768, 1360)),
        ({"resolution": "1K", "enable_sequential": True}, (1360, 768)),
    ],
)
def test_custom_size_wins_over_size_and_size_over_the_ratio(
    caller: Caller, body: Any, size: Any
) -> None:
    """Without any the default is 16:9."""
    assert size == size_of(caller, {**KITE, **body})


def test_an_edit_has_the_shape_of_its_last_image(caller: Caller) -> None:
    """The sandbox knows the sizes of its own pictures; others count as square."""
    url = finish(caller, {**KITE, "size": "1536x768"})["result"]["data"][0]["url"]
    edit = {**KITE, "resolution": "1K", "image": [SHELF, url]}

    assert (1440, 720) == size_of(caller, edit)
    assert (768, 1360) == size_of(caller, {**edit, "aspect_ratio": "9:16"})
    switch(caller, "edit_aspect", "ignored")
    assert (1440, 720) == size_of(caller, {**edit, "aspect_ratio": "9:16"})


def test_the_published_depth_of_boxes_can_be_the_only_one(caller: Caller) -> None:
    """Upstream's depth, one list per image, is otherwise taken as well."""
    deep = {**EDIT, "bbox_list": "[[[1,2,3,4]]]"}
    submit(caller, deep)

    switch(caller, "boxes", "flat")

    assert "bbox_list" == refused(caller, deep)["param"]
    submit(caller, {**EDIT, "bbox_list": BOX})


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_api_key"),
        ({"Authorization": "Bearer "}, 401, "missing_api_key"),
        ({"Authorization": "Bearer sk-x"}, 401, "invalid_api_key"),
        ({"Authorization": "sandbox-empiriolabs-key"}, 401, "invalid_api_key"),
        ({"X-API-Key": "sk-x"}, 401, "invalid_api_key"),
        ({"X-API-Key": "sandbox-empiriolabs-key"}, 200, None),
    ],
)
def test_either_header_carries_the_key(
    caller: Caller, headers: Any, status: Any, code: Any
) -> None:
    """A missing key and a wrong one have codes of their own."""
    url = caller.sandbox.base_url("empiriolabs") + "/account/usage"

    response = caller.sandbox.handle(HttpRequest(method="GET", url=url, headers=headers)).response

    assert status == response.status
    assert code == response.json().get("error", {}).get("code")


def test_the_catalogue_needs_no_key(caller: Caller) -> None:
    """The model's own page does; its parameters are those that bodies are judged by."""
    base = caller.sandbox.base_url("empiriolabs")

    (model,) = caller.fetch(f"{base}/models").response.json()["data"]

    assert 401 == caller.fetch(f"{base}/models/wan2-7-image").response.status
    assert (200, model) == caller.send("GET", "/models/wan2-7-image")
    assert [0.075, 0.03] == [row["price"] for row in model["pricing_rows"]]
    names = [parameter["name"] for parameter in model["supported_parameters"]]
    assert names[:3] == ["model", "prompt", "model_variant"]
    assert "sync" not in names
    assert 200 == caller.fetch(f"{base.removesuffix('/v1')}/health").response.status


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/models/wan-2-7-image", "model_not_found"),
        ("GET", "/images/generations", "not_found"),
        ("POST", "/files/upload", "not_found"),
        ("GET", "/jobs/job_0", "job_not_found"),
        ("POST", "/jobs/job_0/cancel", "job_not_found"),
    ],
)
def test_what_is_not_there_is_404(caller: Caller, method: Any, path: Any, code: Any) -> None:
    """In the provider's envelope, with a code."""
    status, body = caller.send(method, path)

    assert (404, code) == (status, body["error"]["code"])


def test_a_wrong_model_is_404_at_a_submit(caller: Caller) -> None:
    """One vendor text writes the id with another hyphen."""
    status, body = caller.send("POST", "/images/generations", {**KITE, "model": "wan-2-7-image"})

    assert (404, "model_not_found") == (status, body["error"]["code"])


def test_templates_are_none_of_ours(caller: Caller) -> None:
    """Both documented refusals can be had."""
    body = {**KITE, "template": "product-shot"}
    unknown = caller.send("POST", "/images/generations", body)
    switch(caller, "template_code", "template_model_unsupported")
    unsupported = caller.send("POST", "/images/generations", body)

    assert (404, "template_not_found") == (unknown[0], unknown[1]["error"]["code"])
    assert (400, "template_model_unsupported") == (
        unsupported[0],
        unsupported[1]["error"]["code"],
    )
    assert [] == caller.send("GET", "/templates")[1]["data"]


def test_an_account_that_cannot_pay_gets_402(caller: Caller) -> None:
    """Judged by all images asked for; a wrong body is told first."""
    caller.sandbox.set_balance("empiriolabs", "0.14")

    status, body = caller.send("POST", "/images/generations", {**KITE, "num_images": 2})

    assert (402, "insufficient_credits") == (status, body["error"]["code"])
    assert 400 == caller.send("POST", "/images/generations", {})[0]
    submit(caller)


def test_usage_events_tell_what_each_job_cost(caller: Caller) -> None:
    """The only place of the API with a price paid; newest first, once the job has ended."""
    done = finish(caller)
    caller.sandbox.fault("fail_generation")
    finish(caller, CHEAP)
    submit(caller)

    _, usage = caller.send("GET", "/account/usage")

    assert {"amount": 99.85, "currency": "USD"} == usage["balance"]
    failed, paid = usage["data"]
    assert {
        "id": f"ue_{done['job_id'].removeprefix('job_')}",
        "object": "usage_event",
        "created_at": "2026-11-18T11:06:50Z",
        "source": "api",
        "model": "wan2-7-image",
        "endpoint": "/v1/images/generations",
        "tokens": {"input": 0, "output": 0, "cached": 0, "total": 0},
        "cost": {"amount": 0.075, "currency": "USD"},
        "status": "success",
        "status_code": 200,
        "error": None,
        "output_urls": [done["result"]["data"][0]["url"]],
        "metadata": {},
    } == paid
    assert ("error", 502, 0) == (failed["status"], failed["status_code"], failed["cost"]["amount"])
    assert "upstream_error" == failed["error"]["code"]


def test_usage_is_read_in_pages_and_by_time(caller: Caller) -> None:
    """The cursor of a page goes into ``before``; times are RFC 3339."""
    for _ in range(3):
        finish(caller)
    path = "/account/usage?"

    _, first = caller.send("GET", f"{path}limit=2")
    _, rest = caller.send("GET", f"{path}limit=2&before={first['next_cursor']}")
    _, late = caller.send("GET", f"{path}from=2026-11-18T12:07:00+01:00&to=2026-11-18T11:07:05Z")
    _, none = caller.send("GET", f"{path}status=error&source=api&model=wan2-7-image")

    assert [2, 1, 1, 0] == [len(page["data"]) for page in (first, rest, late, none)]
    assert None is rest["next_cursor"]
    assert "2026-11-18T11:07:00Z" == late["data"][0]["created_at"]


@pytest.mark.parametrize(
    "query",
    [
        "usage?limit=0",
        "usage?limit=201",
        "usage?limit=x",
        "usage?limit=" + "9" * 5000,
        "usage?from=2026-11-20",
        "usage?to=soon",
        "usage?before=ue_0",
    ],
)
def test_a_wrong_question_about_usage_is_400(caller: Caller, query: Any) -> None:
    """The parameter is named."""
    status, body = caller.send("GET", f"/account/{query}")

    assert 400 == status
    assert query.partition("?")[2].partition("=")[0] == body["error"]["param"]


def test_jobs_are_listed_newest_first_by_state(caller: Caller) -> None:
    """``processing`` is whatever has not ended; a cancelled job is in no class."""
    caller.sandbox.fault("fail_generation", after=1)
    ids = [submit(caller)["job_id"] for _ in range(3)]
    caller.send("POST", f"/jobs/{ids[2]}/cancel")
    caller.clock.now += 10
    ids.append(submit(caller)["job_id"])

    def listed(query: str) -> list[str]:
        return [job["job_id"] for job in caller.send("GET", f"/jobs{query}")[1]["data"]]

    assert ids[::-1] == listed("")
    assert ids[:1:-1] == listed("?limit=2")
    assert [[ids[3]], [ids[0]], [ids[1]]] == [
        listed(f"?status={word}") for word in ("processing", "completed", "failed")
    ]
    assert [400, 400] == [caller.send("GET", f"/jobs?{q}")[0] for q in ("status=x", "limit=101")]


def test_the_envelope_varies_by_switch(caller: Caller) -> None:
    """Status, spelling of states, and where the poll is; one of them is a trap."""
    switch(caller, "accept_status", 202)
    switch(caller, "queue_seconds", 5)
    status, job = caller.send("POST", "/images/generations", KITE)
    urls = []
    for value in ("absolute", "foreign", "absent"):
        switch(caller, "poll_url", value)
        urls.append(caller.send("POST", "/images/generations", KITE)[1].get("poll_url"))

    assert (202, "queued") == (status, job["status"])
    assert 0 == poll(caller, job["job_id"])["progress"]
    assert urls[0].startswith(caller.sandbox.base_url("empiriolabs") + "/jobs/job_")
    assert urls[1].startswith("https://jobs.example.net/")
    assert None is urls[2]


def test_words_of_a_job_vary_by_switch(caller: Caller) -> None:
    """Clients met two for each."""
    switch(caller, "running_word", "running")
    switch(caller, "done_word", "succeeded")
    switch(caller, "job_error_code", "number")
    job_id = submit(caller)["job_id"]
    before = poll(caller, job_id)["status"]
    caller.clock.now += 10
    caller.sandbox.fault("fail_generation")

    assert ["running", "succeeded"] == [before, poll(caller, job_id)["status"]]
    assert 502 == finish(caller)["error"]["code"]


def test_a_result_may_be_elsewhere_or_say_more(caller: Caller) -> None:
    """``images`` or a bare ``url``; type and size beside each; no usage."""
    switch(caller, "result_usage", False)
    switch(caller, "item_details", True)
    done = finish(caller, EXACT)
    item = done["result"]["data"][0]
    switch(caller, "result_shape", "images")
    images = poll(caller, done["job_id"])["result"]
    switch(caller, "result_shape", "url")
    bare = poll(caller, done["job_id"])["result"]

    assert {"created", "data"} == done["result"].keys()
    assert ("image/png", 1024, 768) == (item["content_type"], item["width"], item["height"])
    assert [item] == images["images"]
    assert {"created": images["created"], "url": item["url"]} == bare


@pytest.mark.parametrize("name", ["disable_formatting", "raw", "passthrough", "raw_response"])
def test_asking_for_the_raw_payload_gets_alibabas(caller: Caller, name: Any) -> None:
    """None of the documented shapes; a client must never send it."""
    result = finish(caller, {**KITE, name: True})["result"]

    assert {"request_id", "output", "usage"} == result.keys()
    assert {"image_count": 1} == result["usage"]


def test_unknown_fields_can_be_let_through(caller: Caller) -> None:
    """How the real service takes them is not known."""
    switch(caller, "unknown_fields", "ignore")

    submit(caller, {**KITE, "webhook_url": "https://a.example/hook"})


def test_fifty_requests_a_minute_are_for_the_whole_account(caller: Caller) -> None:
    """Polls count as well; the limit is off unless asked for."""
    switch(caller, "requests_per_minute", 2)
    job_id = submit(caller)["job_id"]
    poll(caller, job_id)

    status, body = caller.send("GET", f"/jobs/{job_id}")

    assert (429, "rate_limit_exceeded") == (status, body["error"]["code"])
    caller.clock.now += 60
    poll(caller, job_id)


@pytest.mark.parametrize(
    ("kind", "options", "status", "code"),
    [
        ("rate_limit", {}, 429, "rate_limit_exceeded"),
        ("server_error", {}, 503, "model_unavailable"),
        ("server_error", {"status": 502, "accept": True}, 502, "upstream_error"),
        ("server_error", {"status": 500}, 500, "internal_error"),
        ("error_in_200", {}, 200, "upstream_error"),
        ("no_credit", {}, 402, "insufficient_credits"),
        ("unauthorized", {}, 401, "invalid_api_key"),
    ],
)
def test_faults_speak_the_providers_words(
    caller: Caller, kind: Any, options: Any, status: Any, code: Any
) -> None:
    """The documented code of each; no Retry-After unless asked for."""
    caller.sandbox.fault(kind, **options)

    reply = caller.reply("POST", "/images/generations", KITE)

    assert (status, code) == (reply.response.status, reply.response.json()["error"]["code"])
    assert None is reply.response.header("Retry-After")


def test_a_limit_of_rate_can_say_how_long(caller: Caller) -> None:
    """Undocumented, to be honoured if it comes."""
    caller.sandbox.fault("rate_limit", retry_after=7)

    reply = caller.reply("POST", "/images/generations", KITE)

    assert "7" == reply.response.header("Retry-After")


def test_a_lost_job_is_404(caller: Caller) -> None:
    """For one poll or for good."""
    job_id = submit(caller)["job_id"]
    caller.sandbox.fault("lost_task", op="poll")
    caller.sandbox.fault("lost_task")
    lost = submit(caller)["job_id"]

    assert [404, 200] == [caller.send("GET", f"/jobs/{job_id}")[0] for _ in range(2)]
    assert [404, 404] == [caller.send("GET", f"/jobs/{lost}")[0] for _ in range(2)]


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("object", ("error", "message")),
        ("string", ("error",)),
        ("detail", ("detail",)),
        ("message", ("message",)),
    ],
)
def test_an_error_may_have_another_shape(caller: Caller, shape: Any, path: Any) -> None:
    """The documented envelope, or what clients were told to expect besides."""
    switch(caller, "error_shape", shape)

    _, body = caller.send("GET", "/jobs/job_0")
    for name in path:
        body = body[name]

    assert "there is no such job" == body


def test_an_empty_success_is_completed_and_free(caller: Caller) -> None:
    """Delivered images cost; there is none."""
    caller.sandbox.fault("empty_success")

    done = finish(caller)

    assert ("completed", []) == (done["status"], done["result"]["data"])
    assert "0" == caller.charged()


def test_palette_and_boxes_reach_the_picture(caller: Caller) -> None:
    """What the strings hold is read, not only checked."""
    plain = caller.fetch(finish(caller, {**EXACT, "seed": 7})["result"]["data"][0]["url"])
    body = {**EXACT, "seed": 7, "image": [SHELF], "bbox_list": BOX, "color_palette": PALETTE}
    marked = caller.fetch(finish(caller, body)["result"]["data"][0]["url"])

    with Image.open(BytesIO(marked.response.body)) as image:
        assert (0x2A, 0x6F, 0x97) == image.getpixel((2, 766))
    assert plain.response.body != marked.response.body
