"""Misbehaviour on command, for every provider alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import KINDS, Fault, Reply, Sandbox

WALK = {
    "reapi": {"model": "wan2.7-image", "prompt": "kite", "n": 2},
    "runware": {
        "taskType": "imageInference",
        "taskUUID": "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44",
        "model": "alibaba:wan@2.7-image",
        "positivePrompt": "kite",
        "width": 768,
        "height": 768,
        "numberResults": 2,
        "deliveryMethod": "async",
    },
}


class Walk:
    """One generation at one provider, from submit to download."""

    def __init__(self, provider: str, sandbox: Sandbox, clock: Clock) -> None:
        self.caller = Caller(sandbox, provider, clock)
        self.sandbox = sandbox
        self.provider = provider
        self.id = ""

    def submit(self) -> Reply:
        if self.provider == "runware":
            return self.caller.reply("POST", "", [WALK["runware"]])
        reply = self.caller.reply("POST", "/images/generations", WALK["reapi"])
        if reply.answered and b'"id"' in reply.response.body:
            self.id = reply.response.json()["id"]
        return reply

    def poll(self) -> Reply:
        if self.provider == "runware":
            uuid = WALK["runware"]["taskUUID"]
            return self.caller.reply("POST", "", [{"taskType": "getResponse", "taskUUID": uuid}])
        return self.caller.reply("GET", f"/tasks/{self.id}")

    def urls(self) -> list[str]:
        self.caller.clock.now += 10
        body: dict[str, Any] = self.poll().response.json()
        if self.provider == "runware":
            return [element["imageURL"] for element in body["data"]]
        urls: list[str] = body["output"]["image_urls"]
        return urls

    def accepted(self) -> int:
        count: int = self.sandbox.ledger()["totals"][self.provider]["accepted"]
        return count


@pytest.fixture(params=["reapi", "runware"])
def walk(request: pytest.FixtureRequest, sandbox: Sandbox, clock: Clock) -> Walk:
    return Walk(request.param, sandbox, clock)


@pytest.mark.parametrize(
    ("kind", "options", "accepted"),
    [
        ("drop", {}, 0),
        ("accept_then_drop", {}, 1),
        ("hang", {}, 1),
        ("hang", {"accept": False}, 0),
        ("rate_limit", {}, 0),
        ("server_error", {}, 0),
        ("server_error", {"accept": True}, 1),
        ("html_error", {}, 0),
        ("html_error", {"accept": True}, 1),
        ("cut_body", {}, 1),
        ("slow_body", {}, 1),
        ("error_in_200", {}, 0),
        ("no_credit", {}, 0),
        ("unauthorized", {}, 0),
    ],
)
def test_the_ledger_knows_what_the_client_cannot(
    walk: Walk, kind: Any, options: Any, accepted: Any
) -> None:
    """Whether a spoiled submit was accepted is exactly what a client must not guess."""
    walk.sandbox.fault(kind, **options)

    walk.submit()

    assert accepted == walk.accepted()
    assert accepted == len(walk.sandbox.tasks())


@pytest.mark.parametrize(
    ("kind", "options", "status"),
    [
        ("rate_limit", {}, 429),
        ("server_error", {"status": 503}, 503),
        ("server_error", {}, 500),
        ("html_error", {}, 502),
        ("html_error", {"status": 504}, 504),
        ("error_in_200", {}, 200),
        ("no_credit", {}, 402),
        ("unauthorized", {}, 401),
    ],
)
def test_errors_come_with_their_status(walk: Walk, kind: Any, options: Any, status: Any) -> None:
    """In the provider's own words; the ledger notes the same status."""
    walk.sandbox.fault(kind, **options)

    reply = walk.submit()

    assert status == reply.response.status
    assert status == walk.sandbox.ledger()["posts"][0]["status"]
    assert (kind == "html_error") == (b"<html>" in reply.response.body)
    if kind != "html_error":
        body = reply.response.json()
        assert "error" in body or body["errors"]


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("drop", "drop"), ("accept_then_drop", "drop"), ("hang", "hang"), ("cut_body", "cut")],
)
@pytest.mark.parametrize("op", ["submit", "poll", "download"])
def test_transport_faults_strike_every_kind_of_call(
    walk: Walk, kind: Any, flag: Any, op: Any
) -> None:
    """What a network does, it does anywhere."""
    walk.submit()
    url = walk.urls()[0]
    walk.sandbox.fault(kind, op=op)
    calls: dict[str, Callable[[], Reply]] = {
        "submit": walk.submit,
        "poll": walk.poll,
        "download": lambda: walk.caller.fetch(url),
    }
    if op == "submit" and walk.provider == "runware":
        walk.sandbox.reset()
        walk.sandbox.fault(kind, op=op)

    assert getattr(calls[op](), flag)
    assert not getattr(walk.poll(), flag)


def test_a_fault_without_answer_is_a_post_without_status(walk: Walk) -> None:
    """None: nobody was told anything."""
    walk.sandbox.fault("hang")

    walk.submit()

    assert [None] == [post["status"] for post in walk.sandbox.ledger()["posts"]]


def test_a_refused_submit_does_not_use_up_a_fault_that_accepts(walk: Walk) -> None:
    """accept_then_drop waits for a submit that is accepted."""
    walk.sandbox.fault("accept_then_drop")
    path = "" if walk.provider == "runware" else "/images/generations"

    refused = walk.caller.reply("POST", path, {})

    assert 400 == refused.response.status
    assert walk.submit().drop


def test_after_counts_matching_calls_and_times_limits_the_strikes(walk: Walk) -> None:
    """The second and third poll, no other."""
    walk.submit()
    walk.sandbox.fault("rate_limit", op="poll", after=1, times=2)

    assert [200, 429, 429, 200] == [walk.poll().response.status for _ in range(4)]


def test_times_none_is_for_ever(walk: Walk) -> None:
    """Until the faults are replaced."""
    walk.sandbox.fault("server_error", times=None, op="any")
    assert [500] * 5 == [walk.submit().response.status for _ in range(5)]

    walk.sandbox.set_faults([])

    assert 200 == walk.submit().response.status


def test_faults_strike_in_the_order_they_were_set(walk: Walk) -> None:
    """One per call."""
    walk.sandbox.set_faults([Fault("rate_limit"), Fault("html_error")])

    assert [429, 502, 200] == [walk.submit().response.status for _ in range(3)]


def test_a_fault_for_one_provider_leaves_the_others_alone(sandbox: Sandbox, clock: Clock) -> None:
    """``*`` is everybody."""
    sandbox.fault("drop", provider="reapi")

    assert not Walk("runware", sandbox, clock).submit().drop
    assert Walk("reapi", sandbox, clock).submit().drop


def test_retry_after_can_be_chosen(walk: Walk) -> None:
    """In seconds, fractions included."""
    walk.sandbox.fault("rate_limit", retry_after=0.5)

    assert "0.5" == walk.submit().response.header("Retry-After")


def test_a_task_fault_can_wait_as_well(walk: Walk) -> None:
    """The first task is kept, the second is lost."""
    walk.sandbox.fault("lost_task", after=1)
    walk.submit()
    if walk.provider == "runware":
        again = {**WALK["runware"], "taskUUID": "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e45"}
        walk.caller.reply("POST", "", [again])
    else:
        walk.submit()

    assert [False, True] == [task["lost"] for task in walk.sandbox.tasks()]


def test_fewer_images_is_one_fewer(walk: Walk) -> None:
    """Of two asked for, one comes."""
    walk.sandbox.fault("fewer_images")
    walk.sandbox.switch("runware", "missing_image", "absent")
    walk.submit()

    assert 1 == len(walk.urls())


def test_an_empty_success_has_no_image(walk: Walk) -> None:
    """Terminal and not an error."""
    walk.sandbox.fault("empty_success")
    walk.submit()

    assert [] == walk.urls()
    assert ["empty"] == [task["state"] for task in walk.sandbox.tasks()]


@pytest.mark.parametrize("kind", ["refuse_content", "fail_generation"])
def test_a_failed_task_costs_nothing_in_the_end(walk: Walk, kind: Any) -> None:
    """Refunded or never charged."""
    walk.sandbox.fault(kind)
    walk.submit()
    walk.caller.clock.now += 10

    assert 200 == walk.poll().response.status
    assert "0" == walk.caller.charged()


def test_a_lost_task_is_unknown_for_good(walk: Walk) -> None:
    """Marked when it is submitted; the charge stays."""
    walk.sandbox.fault("lost_task")
    walk.submit()
    unknown = walk.poll()

    assert unknown.response.status == walk.poll().response.status
    assert unknown.response.status in (404, 200)
    assert [True] == [task["lost"] for task in walk.sandbox.tasks()]
    assert "0" != walk.caller.charged()


def test_a_task_can_be_lost_to_one_poll_only(walk: Walk) -> None:
    """Eventual consistency: the next poll knows it."""
    walk.submit()
    walk.sandbox.fault("lost_task", op="poll")

    assert walk.poll().response.body != walk.poll().response.body


def test_dead_links_belong_to_the_task_or_to_one_download(walk: Walk) -> None:
    """Marked at submit they stay dead."""
    walk.submit()
    alive = walk.urls()[0]
    walk.sandbox.fault("dead_link", op="download")

    assert [403, 200] == [walk.caller.fetch(alive).response.status for _ in range(2)]

    walk.sandbox.reset()
    walk.sandbox.fault("dead_link")
    walk.submit()
    dead = walk.urls()[0]

    assert [403, 403] == [walk.caller.fetch(dead).response.status for _ in range(2)]


def test_the_file_server_has_errors_of_its_own(walk: Walk) -> None:
    """A storage host does not know the provider's shapes."""
    walk.submit()
    url = walk.urls()[0]
    walk.sandbox.fault("rate_limit", op="download")
    walk.sandbox.fault("server_error", op="download")
    walk.sandbox.fault("rate_limit", op="download", retry_after=7)

    replies = [walk.caller.fetch(url).response for _ in range(4)]

    assert [429, 503, 429, 200] == [reply.status for reply in replies]
    assert ["1", None, "7", None] == [reply.header("Retry-After") for reply in replies]


def test_slow_bodies_say_how_slow(walk: Walk) -> None:
    """One second unless told."""
    walk.submit()
    url = walk.urls()[0]
    walk.sandbox.fault("slow_body", op="download")
    walk.sandbox.fault("slow_body", op="download", seconds=0.25)

    assert [1.0, 0.25, 0] == [walk.caller.fetch(url).drip for _ in range(3)]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("explode", {}, "unknown fault kind 'explode'"),
        ("drop", {"op": "cancel"}, "has no op 'cancel'"),
        ("no_credit", {"op": "download"}, "has no op 'download'"),
        ("drop", {"status": 500}, "has no option 'status'"),
        ("drop", {"provider": "nobody"}, "no provider 'nobody'"),
        ("drop", {"times": "2"}, "times: '2' is not int"),
        ("drop", {"after": True}, "after: True is not int"),
        ("hang", {"accept": 1}, "accept: 1 is no boolean"),
        ("drop", {"after": None}, "after: None is not int"),
        ("drop", {"times": -1}, "times: -1 is not int from 0"),
        ("drop", {"provider": ["x"]}, r"provider: \['x'\] is no string"),
        ("drop", {"op": ["x"]}, "has no op"),
        ("html_error", {"status": 99}, "status: 99 is not int from 200 to 599"),
        ("rate_limit", {"retry_after": "1"}, "retry_after: '1' is not int or float"),
    ],
)
def test_an_impossible_fault_is_refused_when_it_is_set(
    sandbox: Sandbox, kind: Any, options: Any, message: Any
) -> None:
    """Not when it would have struck."""
    with pytest.raises(ValueError, match=message):
        sandbox.fault(kind, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_survives_json(kind: Any) -> None:
    """What the control gives out it takes back."""
    fault = Fault(kind, provider="runware", times=None, after=2)

    assert fault == Fault.from_json(fault.to_json())
