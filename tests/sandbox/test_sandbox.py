"""The sandbox itself: routes, books, controls."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Sandbox
from wanbridge.wire import HttpRequest

KITE = {"model": "wan2.7-image", "prompt": "a red kite"}


def control(sandbox: Sandbox, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{sandbox.origin}/_sandbox/{path}"
    reply = sandbox.handle(HttpRequest(method=method, url=url, body=raw))
    return reply.response.status, reply.response.json()


def submit(caller: Caller) -> dict[str, Any]:
    status, task = caller.send("POST", "/images/generations", KITE)
    assert 200 == status
    assert isinstance(task, dict)
    return task


def test_each_provider_has_its_base_url_and_key(sandbox: Sandbox) -> None:
    """All that another client needs to be pointed at it."""
    assert (
        200,
        {
            "providers": {
                "reapi": {
                    "base_url": "http://127.0.0.1:9/reapi/api/v1",
                    "api_key": "sandbox-reapi-key",
                },
                "runware": {
                    "base_url": "http://127.0.0.1:9/runware/v1",
                    "api_key": "sandbox-runware-key",
                },
            }
        },
    ) == control(sandbox, "GET", "")


def test_without_names_every_provider_is_there() -> None:
    """All seven."""
    names = ("crun", "dashscope", "empiriolabs", "gccai", "kie", "reapi", "runware")

    assert names == Sandbox().providers


def test_an_unknown_provider_is_named_with_those_there_are(sandbox: Sandbox) -> None:
    """At construction, in Python, and over HTTP."""
    reply = sandbox.handle(HttpRequest(method="GET", url="http://x/nobody/v1"))

    assert 404 == reply.response.status
    assert "no provider 'nobody'; there are reapi, runware" in reply.response.json()["error"]
    with pytest.raises(ValueError, match="no provider 'nobody'"):
        Sandbox(["nobody"])
    with pytest.raises(ValueError, match="no provider 'dashscope'"):
        sandbox.base_url("dashscope")


def test_the_origin_can_be_moved_and_result_urls_follow(reapi: Caller) -> None:
    """Also those of tasks that were there before."""
    task = submit(reapi)
    reapi.sandbox.origin = "http://localhost:8000/"
    reapi.clock.now += 10

    _, done = reapi.send("GET", f"/tasks/{task['id']}")

    assert done["output"]["image_urls"][0].startswith("http://localhost:8000/reapi/files/")


def test_ids_come_from_the_seed() -> None:
    """The same traffic gives the same ids, whatever other providers see."""

    def task_id(providers: list[str], seed: int) -> str:
        sandbox = Sandbox(providers, seed=seed)
        return str(submit(Caller(sandbox, "reapi", Clock()))["id"])

    assert task_id(["reapi"], 1) == task_id(["reapi", "runware"], 1)
    assert task_id(["reapi"], 1) != task_id(["reapi"], 2)


def test_a_post_is_recorded_with_the_digest_of_its_body(reapi: Caller) -> None:
    """SHA-256 tells whether a second post was the same."""
    task = submit(reapi)

    assert [
        {
            "provider": "reapi",
            "key": None,
            "tasks": [task["id"]],
            "digest": hashlib.sha256(json.dumps(KITE).encode()).hexdigest(),
            "accepted": True,
            "status": 200,
            "at": 1_795_000_000.0,
        }
    ] == reapi.sandbox.ledger()["posts"]


def test_charges_and_totals_are_decimal_strings(reapi: Caller) -> None:
    """Money never becomes a float."""
    task = submit(reapi)
    ledger = reapi.sandbox.ledger()

    assert [
        {
            "provider": "reapi",
            "task": task["id"],
            "amount": "24",
            "currency": "credits",
            "images": 1,
            "refunded": False,
            "at": 1_795_000_000.0,
        }
    ] == ledger["charges"]
    assert {
        "posts": 1,
        "accepted": 1,
        "charged": "24",
        "currency": "credits",
    } == ledger["totals"]["reapi"]
    assert Decimal(99_976) == reapi.sandbox.balance("reapi")


def test_a_refund_is_given_once(clock: Clock) -> None:
    """However often a dialect asks for it; without a charge there is nothing to give back."""
    account = Sandbox(["reapi"], clock=clock)._dialects["reapi"].account
    task = account.accept(task_id="t-1", model="m", pictures=[])
    account.refund(task)
    account.charge(task, Decimal(5), images=1)
    account.refund(task)
    account.refund(task)

    assert Decimal(100_000) == account.balance


def test_a_task_is_running_and_then_ends(reapi: Caller) -> None:
    """By the sandbox's clock; nothing sleeps."""
    submit(reapi)
    states = [reapi.sandbox.tasks()[0]["state"]]
    reapi.clock.now += 10
    states.append(reapi.sandbox.tasks()[0]["state"])

    assert ["running", "succeeded"] == states


def test_a_reset_is_a_new_beginning(reapi: Caller) -> None:
    """Tasks, ledger, faults, switches and balances."""
    fresh = reapi.sandbox.ledger()
    submit(reapi)
    reapi.sandbox.fault("drop")
    reapi.sandbox.switch("reapi", "http_images", True)

    assert 200 == control(reapi.sandbox, "POST", "reset")[0]
    assert fresh == reapi.sandbox.ledger()
    assert [] == reapi.sandbox.tasks()
    assert [] == reapi.sandbox.faults()
    assert reapi.sandbox.switches()["reapi"]["http_images"] is False


def test_ledger_and_tasks_are_served(reapi: Caller) -> None:
    """The same as the Python calls."""
    submit(reapi)

    assert (200, reapi.sandbox.ledger()) == control(reapi.sandbox, "GET", "ledger")
    assert (200, reapi.sandbox.tasks()) == control(reapi.sandbox, "GET", "tasks")


def test_faults_are_replaced_over_http(sandbox: Sandbox) -> None:
    """The answer is the list that is now set."""
    status, faults = control(sandbox, "PUT", "faults", [{"kind": "drop", "provider": "reapi"}])

    assert (200, "drop", 1) == (status, faults[0]["kind"], faults[0]["times"])
    assert (200, faults) == control(sandbox, "GET", "faults")
    assert (200, []) == control(sandbox, "PUT", "faults", [])


def test_switches_are_set_over_http(sandbox: Sandbox) -> None:
    """What is not named stays."""
    status, switches = control(sandbox, "PUT", "switches", {"runware": {"sync_timeout": 7.5}})

    assert (200, 7.5) == (status, switches["runware"]["sync_timeout"])
    assert (200, switches) == control(sandbox, "GET", "switches")


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("faults", b"{", "the body is not JSON"),
        ("faults", {}, "the body must be a list"),
        ("faults", [1], "a fault is an object, not 1"),
        ("faults", [{}], "a fault needs a kind"),
        ("faults", [{"kind": "drop", "when": 1}], "unknown fault field 'when'"),
        ("faults", [{"kind": "drop"}, {"kind": "x"}], "unknown fault kind 'x'"),
        ("faults", [{"kind": ["drop"]}], "unknown fault kind"),
        ("faults", [{"kind": "drop", "provider": "x"}], "no provider 'x'"),
        ("switches", [], "the body must be an object"),
        ("switches", {"reapi": 1}, "switches of reapi must be an object"),
        ("switches", {"x": {"y": 1}}, "no provider 'x'"),
        ("switches", {"reapi": {"mood": 1}}, "reapi has no switch 'mood'; it has id_shape"),
        ("switches", {"reapi": {"http_images": 1}}, "switch http_images cannot be 1"),
        ("switches", {"runware": {"sync_timeout": True}}, "a number from 0 up"),
    ],
)
def test_a_wrong_control_is_one_clear_400_and_changes_nothing(
    sandbox: Sandbox, path: Any, body: Any, message: Any
) -> None:
    """Wrong means any part of it."""
    before = sandbox.switches(), sandbox.faults()

    status, answer = control(sandbox, "PUT", path, body)

    assert 400 == status
    assert message in answer["error"]
    assert before == (sandbox.switches(), sandbox.faults())


@pytest.mark.parametrize(("method", "path"), [("GET", "reset"), ("PUT", ""), ("GET", "x")])
def test_an_unknown_control_is_404(sandbox: Sandbox, method: Any, path: Any) -> None:
    """With the method and the path."""
    status, answer = control(sandbox, method, path)

    assert 404 == status
    assert f"{method} /_sandbox/{path}" in answer["error"]


@pytest.mark.parametrize("name", ["x.png", "media/tasks/x/0.png", ""])
def test_a_file_that_never_was_is_404(reapi: Caller, name: Any) -> None:
    """In the storage host's words."""
    assert 404 == reapi.fetch(f"http://127.0.0.1:9/reapi/files/{name}").response.status


def test_a_file_has_one_ending_and_is_only_read(reapi: Caller) -> None:
    """Another ending names nothing, another method does nothing."""
    task = submit(reapi)
    reapi.clock.now += 10
    url = reapi.send("GET", f"/tasks/{task['id']}")[1]["output"]["image_urls"][0]

    assert 404 == reapi.fetch(url.replace(".png", ".jpg")).response.status
    assert 404 == reapi.sandbox.handle(HttpRequest(method="PUT", url=url)).response.status


def test_many_threads_get_as_many_tasks(reapi: Caller) -> None:
    """One lock; ids stay unique."""
    with ThreadPoolExecutor(16) as pool:
        ids = {task["id"] for task in pool.map(lambda _: submit(reapi), range(200))}

    assert 200 == len(ids)
    assert str(200 * 24) == reapi.charged()


def test_work_without_latency_is_done_at_once(clock: Clock) -> None:
    """For tests that do not want to wait even by the clock."""
    reapi = Caller(Sandbox(["reapi"], clock=clock, latency=0), "reapi", clock)
    task = submit(reapi)

    assert "completed" == reapi.send("GET", f"/tasks/{task['id']}")[1]["status"]
