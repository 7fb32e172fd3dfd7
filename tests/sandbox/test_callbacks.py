"""Callbacks: when they are due, what spoils them, how they travel."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from attrs import define, evolve, field

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Sandbox, running
from wanbridge.sandbox.callbacks import Callback, Callbacks, Retries
from wanbridge.sandbox.dialects.kie.server import Kie
from wanbridge.wire import HttpRequest

HOOK = "https://app.example.com/hooks/kie?t=1"
KITE: dict[str, Any] = {
    "model": "wan/2-7-image",
    "callBackUrl": HOOK,
    "input": {"prompt": "a red kite", "n": 1},
}
RUNWARE: dict[str, Any] = {
    "taskType": "imageInference",
    "taskUUID": "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44",
    "model": "alibaba:wan@2.7-image",
    "positivePrompt": "a red kite",
    "width": 768,
    "height": 768,
    "webhookURL": HOOK,
}


@define
class Inbox:
    """A receiver that keeps what comes and answers with ``status``."""

    status: int | None = 200
    requests: list[HttpRequest] = field(factory=list)

    def __call__(self, request: HttpRequest) -> int | None:
        self.requests.append(request)
        return self.status

    def bodies(self) -> list[Any]:
        return [request.json() for request in self.requests]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def sandbox(clock: Clock, inbox: Inbox) -> Sandbox:
    return Sandbox(["kie", "runware"], clock=clock, latency=10, on_callback=inbox)


@pytest.fixture
def kie(sandbox: Sandbox, clock: Clock) -> Caller:
    return Caller(sandbox, "kie", clock)


def create(kie: Caller, body: Any = KITE) -> str:
    _, answer = kie.send("POST", "/jobs/createTask", body)
    assert 200 == answer["code"], answer
    return str(answer["data"]["taskId"])


def signed(request: HttpRequest, task_id: str, key: str) -> bool:
    """Whether a customer who knows *key* believes the callback."""
    at = request.header("X-Webhook-Timestamp")
    digest = hmac.digest(key.encode(), f"{task_id}.{at}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode() == request.header("X-Webhook-Signature")


def test_a_callback_is_due_when_the_task_is_over(kie: Caller, inbox: Inbox) -> None:
    """Not before, and nothing is sent by itself."""
    task_id = create(kie)
    before = kie.sandbox.callbacks()
    kie.clock.now += 10
    (waiting,) = kie.sandbox.callbacks()

    assert [] == before
    assert ("kie", task_id, HOOK, 1) == (
        waiting.provider,
        waiting.task_id,
        waiting.url,
        waiting.attempt,
    )
    assert kie.clock.now == waiting.due_at
    assert [] == inbox.requests


def test_what_is_due_is_delivered_once(kie: Caller, inbox: Inbox) -> None:
    """A 200 ends it."""
    create(kie)
    kie.clock.now += 10

    assert [1, 0] == [kie.sandbox.deliver() for _ in range(2)]
    assert [("POST", HOOK, 15)] == [(r.method, r.url, r.read_timeout) for r in inbox.requests]
    assert [200] == [delivery.status for delivery in kie.sandbox.deliveries()]


def test_a_receiver_may_ask_the_provider_before_it_answers(sandbox: Sandbox, clock: Clock) -> None:
    """To confirm by a status call is what the manual's readers are told to do."""
    kie = Caller(sandbox, "kie", clock)
    states = []

    def confirm(request: HttpRequest) -> int:
        path = f"/jobs/recordInfo?taskId={request.json()['data']['taskId']}"
        states.append(kie.send("GET", path)[1]["data"]["state"])
        return 200

    sandbox.on_callback = confirm
    create(kie)
    clock.now += 10
    sandbox.deliver()

    assert ["success"] == states


def test_without_a_receiver_callbacks_wait(kie: Caller) -> None:
    """Whoever sends them takes them and says what was answered."""
    kie.sandbox.on_callback = None
    create(kie)
    kie.clock.now += 10

    assert 0 == kie.sandbox.deliver()
    (taken,) = kie.sandbox.take_callbacks()
    assert [] == kie.sandbox.callbacks()
    kie.sandbox.callback_answered(taken, 500)
    assert [2] == [callback.attempt for callback in kie.sandbox.callbacks()]


def test_kie_gives_up_after_three_failed_retries(kie: Caller, inbox: Inbox) -> None:
    """Anything but 200 is a failure, also 204 and silence; each time it is the same request."""
    create(kie)
    kie.clock.now += 10
    waits = []
    for inbox.status in (500, 204, None, 404):
        (waiting,) = kie.sandbox.callbacks()
        waits.append(waiting.due_at - kie.clock.now)
        kie.clock.now = waiting.due_at
        kie.sandbox.deliver()

    assert [] == kie.sandbox.callbacks()
    assert [0, 1, 2, 4] == waits
    assert [500, 204, None, 404] == [d.status for d in kie.sandbox.deliveries()]
    assert [inbox.requests[0]] * 4 == inbox.requests


def test_runware_doubles_from_a_quarter_second_to_eight(sandbox: Sandbox, clock: Clock) -> None:
    """Any 2xx ends it; how often it tries is our choice."""
    sandbox.on_callback = lambda _: 500
    Caller(sandbox, "runware", clock).send("POST", "", [RUNWARE])
    clock.now += 10
    sandbox.deliver()
    waits = []
    while waiting := sandbox.callbacks():
        waits.append(waiting[0].due_at - clock.now)
        clock.now = waiting[0].due_at
        sandbox.deliver()

    assert [0.25, 0.5, 1, 2, 4, 8, 8] == waits
    assert list(range(1, 9)) == [d.callback.attempt for d in sandbox.deliveries()]


def test_a_retry_waits_for_its_time(kie: Caller, inbox: Inbox) -> None:
    """By the clock of the sandbox."""
    inbox.status = 500
    create(kie)
    kie.clock.now += 10
    kie.sandbox.deliver()
    kie.clock.now += 0.9

    assert 0 == kie.sandbox.deliver()
    kie.clock.now += 0.1
    assert 1 == kie.sandbox.deliver()


@pytest.mark.parametrize(
    ("faults", "believed"),
    [
        (["lost_callback"], []),
        (["duplicate_callback"], [True, True]),
        (["forged_callback"], [False, True]),
        (["forged_callback", "lost_callback"], [False]),
        (["stale_callback"], [True, True]),
        ([], [True]),
    ],
)
def test_callbacks_can_be_lost_doubled_and_forged(
    kie: Caller, inbox: Inbox, faults: Any, believed: Any
) -> None:
    """What is added comes before the true one."""
    for kind in faults:
        kie.sandbox.fault(kind)
    task_id = create(kie)
    kie.clock.now += 10
    kie.sandbox.deliver()

    key = kie.sandbox.webhook_key("kie")
    assert believed == [signed(request, task_id, key) for request in inbox.requests]


def test_a_forged_callback_has_its_pictures_elsewhere(kie: Caller, inbox: Inbox) -> None:
    """Only a customer who checks nothing would fetch them."""
    kie.sandbox.fault("forged_callback")
    create(kie)
    kie.clock.now += 10
    kie.sandbox.deliver()

    urls = [json.loads(b["data"]["resultJson"])["resultUrls"][0] for b in inbox.bodies()]
    assert urls[0].startswith("https://forged.invalid/kie/files/")
    assert 200 == kie.fetch(urls[1]).response.status


def test_a_stale_callback_was_signed_an_hour_ago(kie: Caller, inbox: Inbox) -> None:
    """Rightly signed: only its age tells."""
    kie.sandbox.fault("stale_callback")
    create(kie)
    kie.clock.now += 10
    kie.sandbox.deliver()

    ages = [kie.clock.now - int(r.headers["X-Webhook-Timestamp"]) for r in inbox.requests]
    assert [3600, 0] == ages


def test_who_forges_does_not_insist(kie: Caller, inbox: Inbox) -> None:
    """A refused forgery is not sent again, the true callback is."""
    inbox.status = 401
    kie.sandbox.fault("forged_callback")
    create(kie)
    kie.clock.now += 10
    kie.sandbox.deliver()

    assert [2] == [callback.attempt for callback in kie.sandbox.callbacks()]


def test_an_early_callback_comes_before_the_reply_to_the_submit(kie: Caller, inbox: Inbox) -> None:
    """It names a task that nobody has heard of, and it is true."""
    kie.sandbox.fault("early_callback")

    _, answer = kie.send("POST", "/jobs/createTask", KITE)

    assert [answer["data"]["taskId"]] == [body["data"]["taskId"] for body in inbox.bodies()]
    path = f"/jobs/recordInfo?taskId={answer['data']['taskId']}"
    assert "success" == kie.send("GET", path)[1]["data"]["state"]
    assert 0 == kie.sandbox.deliver()


def test_an_early_callback_may_be_all_that_a_client_ever_hears(kie: Caller, inbox: Inbox) -> None:
    """The submit's reply is lost; the callback tells the task's id."""
    kie.sandbox.fault("early_callback")
    kie.sandbox.fault("accept_then_drop")

    reply = kie.reply("POST", "/jobs/createTask", KITE)

    assert reply.drop
    assert [kie.sandbox.tasks()[0]["id"]] == [b["data"]["taskId"] for b in inbox.bodies()]


def test_only_the_early_one_hurries(kie: Caller, inbox: Inbox) -> None:
    """Others that are due wait for their delivery."""
    first = create(kie)
    kie.clock.now += 10
    kie.sandbox.fault("early_callback")
    second = create(kie)

    assert [second] == [b["data"]["taskId"] for b in inbox.bodies()]
    assert [first] == [callback.task_id for callback in kie.sandbox.callbacks()]


def test_a_fault_counts_callbacks_and_not_submits(kie: Caller, inbox: Inbox) -> None:
    """After the first, one is lost, whatever was created in between."""
    kie.sandbox.fault("lost_callback", after=1)
    for _ in range(3):
        create(kie)
    create(kie, {name: value for name, value in KITE.items() if name != "callBackUrl"})
    kie.clock.now += 10
    kie.sandbox.deliver()

    assert 2 == len(inbox.requests)


def test_callbacks_are_shown_by_the_controls(kie: Caller) -> None:
    """What waits, and what was sent with the receiver's answer."""
    task_id = create(kie)
    kie.clock.now += 10
    url = f"{kie.sandbox.origin}/_sandbox/callbacks"
    shown = {
        "provider": "kie",
        "task": task_id,
        "url": HOOK,
        "attempt": 1,
        "due_at": kie.clock.now,
    }

    assert {"waiting": [shown], "sent": []} == kie.fetch(url).response.json()
    kie.sandbox.deliver()
    sent = {**shown, "status": 200, "at": kie.clock.now}
    assert {"waiting": [], "sent": [sent]} == kie.fetch(url).response.json()


def test_a_reset_forgets_callbacks_also_those_under_way(kie: Caller) -> None:
    """An answer to one of them starts no retry."""
    create(kie)
    kie.clock.now += 10
    (taken,) = kie.sandbox.take_callbacks()
    kie.sandbox.reset()
    kie.sandbox.callback_answered(taken, 500)

    assert [] == kie.sandbox.callbacks()
    assert [] == kie.sandbox.deliveries()


def test_those_due_first_go_first() -> None:
    """And of two due together, the first added."""
    request = HttpRequest(method="POST", url=HOOK)
    callbacks = Callbacks()
    for task_id, due_at in (("a", 2.0), ("b", 1.0), ("c", 2.0), ("d", 9.0)):
        callbacks.add(Callback(provider="kie", task_id=task_id, request=request, due_at=due_at))

    assert ["b", "a", "c"] == [callback.task_id for callback in callbacks.take(2.0)]
    assert ["d"] == [callback.task_id for callback in callbacks.waiting()]


def test_without_a_policy_a_callback_comes_once() -> None:
    """As where no retries are documented."""
    assert 1 == Retries().attempts
    callback = Callback(
        provider="crun", task_id="t", request=HttpRequest(method="POST", url=HOOK), due_at=0
    )
    assert callback.after(500, 0) is None


@pytest.mark.parametrize(("form", "key"), [("bare", None), ("wrapped", "data")])
def test_runware_calls_once_per_image(
    sandbox: Sandbox, clock: Clock, inbox: Inbox, form: Any, key: Any
) -> None:
    """One item in each call, at the top level or inside ``data``; nothing is signed."""
    sandbox.switch("runware", "webhook_form", form)
    Caller(sandbox, "runware", clock).send("POST", "", [{**RUNWARE, "numberResults": 3}])
    clock.now += 10
    sandbox.deliver()

    items = [body if key is None else body[key][0] for body in inbox.bodies()]
    assert {"success"} == {item["status"] for item in items}
    assert 3 == len({item["imageUUID"] for item in items})
    assert {("Content-Type",)} == {tuple(request.headers) for request in inbox.requests}


@pytest.mark.parametrize(("form", "key"), [("bare", None), ("wrapped", "errors")])
def test_runware_tells_failures_too(
    sandbox: Sandbox, clock: Clock, inbox: Inbox, form: Any, key: Any
) -> None:
    """A flat object with a code, or inside ``errors``."""
    sandbox.switch("runware", "webhook_form", form)
    sandbox.fault("fail_generation")
    Caller(sandbox, "runware", clock).send("POST", "", [RUNWARE])
    clock.now += 10
    sandbox.deliver()

    (body,) = inbox.bodies()
    error = body if key is None else body[key][0]
    assert ("error", "inferenceError") == (error["status"], error["code"])


def test_runware_sends_pictures_inside_where_they_were_asked_for(
    sandbox: Sandbox, clock: Clock, inbox: Inbox
) -> None:
    """The same output as in a poll."""
    task = {**RUNWARE, "outputType": "dataURI", "width": 768, "height": 768}
    Caller(sandbox, "runware", clock).send("POST", "", [task])
    clock.now += 10
    sandbox.deliver()

    assert inbox.bodies()[0]["imageDataURI"].startswith("data:image/jpeg;base64,")


class _Receiver(BaseHTTPRequestHandler):
    """Answers with the server's status, after its delay, and keeps path and body."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, json.loads(body)))
        self.send_response(server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def receiver() -> Iterator[Any]:
    """A real HTTP server on loopback; ``.url``, ``.got`` and ``.status``."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.got, server.status = [], 200
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def until(condition: Callable[[], Any]) -> None:
    """Wait for another thread; a minute, after which something is broken."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def post(sandbox: Sandbox, body: Any = KITE) -> Any:
    headers = {"Authorization": f"Bearer {sandbox.api_key('kie')}"}
    url = f"{sandbox.base_url('kie')}/jobs/createTask"
    return httpx.post(url, json=body, headers=headers).raise_for_status().json()


def test_a_served_sandbox_delivers_over_http() -> None:
    """An https address stands for one on loopback."""
    with receiver() as app:
        override = {"https://app.example.com": app.url}
        with running(Sandbox(["kie"], latency=0), deliver_to=override) as sandbox:
            task_id = post(sandbox)["data"]["taskId"]
            until(sandbox.deliveries)

            assert [200] == [delivery.status for delivery in sandbox.deliveries()]
    assert ["/hooks/kie?t=1"] == [path for path, _ in app.got]
    assert [task_id] == [body["data"]["taskId"] for _, body in app.got]


def test_loopback_needs_no_override_and_other_addresses_are_never_called() -> None:
    """A sandbox does not ring at a real door; it notes that nobody answered."""
    override = {"https://app.example.com": "http://127.0.0.1:1"}
    with receiver() as app, running(Sandbox(["kie"], latency=0), deliver_to=override) as sandbox:
        for url in (
            app.url,
            app.url.replace("127.0.0.1", "localhost"),
            "https://app.example.com.evil.example/x",
            HOOK,
        ):
            post(sandbox, {**KITE, "callBackUrl": url})
        until(lambda: len({d.callback.url for d in sandbox.deliveries()}) == 4)

        statuses = {d.callback.url.split(":")[1]: d.status for d in sandbox.deliveries()}
    assert {"//127.0.0.1": 200, "//localhost": 200} == {k: v for k, v in statuses.items() if v}
    assert 4 == len(statuses)


def test_an_early_callback_precedes_the_reply_over_a_socket_too() -> None:
    """The receiver has it before the client has its answer."""
    with receiver() as app:
        override = {"https://app.example.com/": app.url}
        with running(Sandbox(["kie"], latency=60), deliver_to=override) as sandbox:
            sandbox.fault("early_callback")
            task_id = post(sandbox)["data"]["taskId"]

            assert [task_id] == [body["data"]["taskId"] for _, body in app.got]


def test_a_receiver_in_python_is_called_by_the_server_too() -> None:
    """What it raises is a 500, as behind a web framework."""
    calls = []

    def receive(request: HttpRequest) -> int:
        calls.append(request.url)
        if len(calls) == 1:
            raise RuntimeError("a bug in the receiver")
        return 200

    sandbox = Sandbox(["runware"], latency=0, on_callback=receive)
    with running(sandbox):
        httpx.post(
            sandbox.base_url("runware"),
            json=[RUNWARE],
            headers={"Authorization": f"Bearer {sandbox.api_key('runware')}"},
        )
        until(lambda: len(sandbox.deliveries()) == 2)

    assert [500, 200] == [delivery.status for delivery in sandbox.deliveries()]


def test_a_receiver_that_is_too_slow_has_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider hangs up and tries again."""
    monkeypatch.setattr(Kie, "retries", evolve(Kie.retries, timeout=0.05, first=0.0))
    with receiver() as app:
        gate = threading.Event()
        hang = {"do_POST": lambda self: gate.wait()}
        app.RequestHandlerClass = type("Hanging", (_Receiver,), hang)
        override = {"https://app.example.com": app.url}
        with running(Sandbox(["kie"], latency=0), deliver_to=override) as sandbox:
            post(sandbox)
            until(lambda: len(sandbox.deliveries()) == 4)
        gate.set()

    assert [None] * 4 == [delivery.status for delivery in sandbox.deliveries()]


def test_stopping_breaks_off_a_delivery_that_hangs() -> None:
    """The server does not wait for a receiver that never answers."""
    with receiver() as app:
        gate, asked, answered = threading.Event(), threading.Event(), threading.Event()

        def hang(self: object) -> None:
            asked.set()
            gate.wait()
            answered.set()

        app.RequestHandlerClass = type("Hanging", (_Receiver,), {"do_POST": hang})
        override = {"https://app.example.com": app.url}
        with running(Sandbox(["kie"], latency=0), deliver_to=override) as sandbox:
            post(sandbox)
            until(asked.is_set)
        assert not answered.is_set()
        gate.set()
