"""Callbacks: who may call, what it wakes, and what a forger gets for his trouble."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
import uvicorn
from attrs import evolve, field, frozen

from example_provider import ACCEPTED, DONE, FIELDS, NOON, RUNNING, Halide, _Options, reply
from flow_runner import FlowRunner
from wanbridge import AsyncClient, CallbackReceiver, Client, config
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.steps import CallbackEvent
from wanbridge.callbacks import asgi, seen_events
from wanbridge.callbacks.receiver import Received
from wanbridge.engine import conversation as flow
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import JobKey, Send, Sleep, Wake, call_of
from wanbridge.engine.events import Polled
from wanbridge.errors import CallbackRefused, ConfigurationError, UnknownProvider
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.providers.runware import Runware
from wanbridge.sandbox import Sandbox, running
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest, json_request

BASE = "https://app.example.com/hooks"
KEY = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
SECRET = "sixteen bytes and more"
WEBHOOK_KEY = "whsec-halide-1"
KITE = ImageRequest("a red kite", seed=7)
# Never waited for: whoever is not woken fails by the count of polls or by the test's own timeout.
SLOW = Timeouts(poll_interval=PollInterval(first=30.0, factor=1.0, most=30.0), deadline=3600.0)
MOST_WAIT = 20.0


@frozen
class _Keys(_Options):
    webhook_key: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Ringing(Halide):
    """Halide with callbacks: ``{task_id, item, ended}``, signed like KIE's where a key is set."""

    Options: ClassVar[type[Any]] = _Keys
    options: _Keys = field(factory=_Keys)

    @property
    def offers(self) -> tuple[Offer, ...]:  # type: ignore[override]
        return tuple(evolve(o, fields=FIELDS | {"callback_url"}) for o in super().offers)

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        message = super().submit(request, offer, key=key)
        body = {**message.json(), "callback_url": request.callback_url}
        return json_request(message.method, message.url, headers=message.headers, body=body)

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        try:
            body = request.json()
        except ValueError:
            raise CallbackRefused("not JSON") from None
        if body == "break":
            raise KeyError("the adapter's own mistake, with the body in it: s3cr3t")
        if not isinstance(body, dict) or not isinstance(body.get("task_id"), str):
            raise CallbackRefused("no task_id")
        keys = [key for key in (*secrets, self.options.webhook_key) if key]
        if keys:
            self._verify(request, body["task_id"], keys, now)
        return [
            CallbackEvent(
                task_id=body["task_id"],
                item=body.get("item"),
                ended=body.get("ended"),
                verified=bool(keys),
            )
        ]

    def _verify(
        self, request: HttpRequest, task: str, secrets: Sequence[str], now: datetime
    ) -> None:
        at = request.header("x-timestamp") or "0"
        if abs(now.timestamp() - int(at)) > 300:
            raise CallbackRefused("stale", 401)
        given = request.header("x-signature") or ""
        if not any(hmac.compare_digest(given, sign(task, at, key)) for key in secrets):
            raise CallbackRefused("forged", 401)


def sign(task: str, at: str, key: str) -> str:
    return hmac.new(key.encode(), f"{task}.{at}".encode(), hashlib.sha256).hexdigest()


def signed(task: str, at: datetime = NOON, key: str = WEBHOOK_KEY) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    return {"X-Timestamp": stamp, "X-Signature": sign(task, stamp, key)}


HALIDE = Ringing(api_key="sk-test-1")
SIGNING = Ringing(api_key="sk-test-1", options=_Keys(webhook_key=WEBHOOK_KEY))


def receiver(*adapters: Halide, **options: Any) -> CallbackReceiver:
    given = {"secret": SECRET, "now": lambda: NOON, **options}
    return CallbackReceiver(adapters or (HALIDE,), BASE, **given)


def path_of(to: CallbackReceiver, account: str = "halide", key: str = KEY) -> str:
    return urlsplit(to.url_for(account, key)).path


def told(task: str = "t-1", **more: Any) -> bytes:
    return json.dumps({"task_id": task, **more}).encode()


def call(to: CallbackReceiver, body: bytes | None = None, **how: Any) -> Received:
    given = {"method": "POST", "path": path_of(to), "headers": {}, **how}
    return to.handle(given["method"], given["path"], given["headers"], body or told())


# -- addresses -----------------------------------------------------------------------------


def test_an_address_is_unguessable_and_shows_neither_key_nor_secret() -> None:
    """It travels through proxies and logs of others."""
    url = receiver().url_for("halide", KEY)

    assert url.startswith(f"{BASE}/halide/")
    token = url.rpartition("/")[2]
    assert len(token) >= 64
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert KEY not in url
    assert ImageRequest("x", callback_url=url)


def test_the_same_secret_makes_the_same_addresses_and_a_random_one_does_not() -> None:
    """Several processes behind one address share a secret; without one it is one process."""
    assert receiver().url_for("halide", KEY) == receiver().url_for("halide", KEY)
    assert receiver(secret=None).url_for("halide", KEY) != receiver(secret=None).url_for(
        "halide", KEY
    )
    assert receiver(secret=b"x" * 16).url_for("halide", KEY)


def test_every_account_and_call_has_an_address_of_its_own() -> None:
    """So that a leaked token opens nothing else."""
    two = receiver(HALIDE, evolve(HALIDE, account="halide-eu"))

    urls = {two.url_for(a, k) for a in ("halide", "halide-eu") for k in ("k-1", "k-2")}

    assert 4 == len(urls)
    assert two.address("nobody", KEY) is None
    with pytest.raises(UnknownProvider, match="'nobody'; there are: halide, halide-eu"):
        two.url_for("nobody", KEY)


@pytest.mark.parametrize(
    "base", ["http://app.example.com", "app.example.com", "https://a.example/?x=1", "https://"]
)
def test_a_base_url_has_to_be_https(base: str) -> None:
    """Providers call nothing else, and the token is worth a lock."""
    with pytest.raises(ConfigurationError, match="base_url"):
        CallbackReceiver([HALIDE], base)


def test_a_short_secret_is_refused_and_not_shown() -> None:
    """A guessable secret is none."""
    with pytest.raises(ConfigurationError) as caught:
        receiver(secret="hunter2")

    assert "hunter2" not in str(caught.value)


def test_keys_of_an_account_that_is_not_here_are_refused() -> None:
    """A typing error would leave an account unsigned."""
    with pytest.raises(ConfigurationError, match="halid0"):
        receiver(signing_keys={"halid0": ("k",)})


def test_a_repr_holds_no_secret() -> None:
    """It ends in logs."""
    shown = repr(receiver(SIGNING))

    assert "halide" in shown
    assert SECRET not in shown
    assert WEBHOOK_KEY not in shown


# -- judging one call ----------------------------------------------------------------------


def test_a_call_is_taken_and_its_events_come_out() -> None:
    """Status, account and what it says; unsigned, so not verified."""
    received = call(receiver(), told(item="p-1", ended=True))

    assert (200, "halide") == (received.status, received.account)
    assert [CallbackEvent(task_id="t-1", item="p-1", ended=True)] == list(received.events)


def test_a_duplicate_is_answered_and_is_no_news() -> None:
    """Providers send again what they think was lost; the same picture counts once."""
    to = receiver()

    first, again = call(to, told(item="p-1")), call(to, told(item="p-1"))
    other = call(to, told(item="p-2"))

    assert [200, 200, 200] == [first.status, again.status, other.status]
    assert [1, 0, 1] == [len(r.events) for r in (first, again, other)]


def test_many_duplicates_at_once_are_one_event() -> None:
    """Threads of a web server, and a provider that insists."""
    to = receiver()
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda _: call(to, told(item="p-1")), range(200)))

    assert {200} == {r.status for r in taken}
    assert 1 == sum(len(r.events) for r in taken)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "PUT"}, 405),
        ({"path": "/"}, 404),
        ({"path": "halide"}, 404),
        ({"path": "/hooks/cyano/abc"}, 404),
        ({"path": "/hooks/halide/abc"}, 403),
        ({"path": "/hooks/halide/"}, 403),
        ({"path": "/hooks/halide/" + "A" * 90}, 403),
        ({"path": "/hooks/halide/\N{SNOWMAN}"}, 403),
        ({"path": "/hooks/halide/" + base64.urlsafe_b64encode(b"\xff" * 60).decode()}, 403),
    ],
)
def test_what_does_not_come_by_the_right_way_is_refused(how: dict[str, Any], status: int) -> None:
    """Each with the status that fits, and nothing is woken."""
    to = receiver()

    received = call(to, **how)

    assert (status, ()) == (received.status, received.events)
    assert 200 == call(to).status


def test_any_change_of_a_token_closes_it() -> None:
    """Also one that names another account or was signed for another adapter."""
    to = receiver()
    path = path_of(to)
    stem, token = path[: path.rindex("/") + 1], path[path.rindex("/") + 1 :]

    changed = [token[:i] + ("B" if token[i] == "A" else "A") + token[i + 1 :] for i in range(60)]
    raw = base64.urlsafe_b64decode(token + "==")
    changed.append(base64.urlsafe_b64encode(raw[:48] + b"halide-eu").decode().rstrip("="))

    two = receiver(HALIDE, evolve(HALIDE, account="halide-eu"))
    assert {403} == {call(two, path=stem + wrong).status for wrong in changed}
    assert 200 == call(two, path=path).status
    assert 403 == call(receiver(secret="another secret, as long"), path=path).status


def test_a_token_of_one_adapter_does_not_open_another() -> None:
    """The account decides who reads the body, not the caller."""

    @frozen(kw_only=True)
    class Cyano(Ringing):
        name: ClassVar[str] = "cyano"

    both = receiver(HALIDE, Cyano(api_key="k"))

    assert 403 == call(both, path=path_of(both).replace("/halide/", "/cyano/")).status


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe\0",
        b"{",
        b"[]",
        b"null",
        b'{"task_id": 7}',
        b"[" * 200_000,
        told("x" * 201),
        told(""),
        told("a\nb"),
        told(item="\x1b[2J"),
    ],
)
def test_garbage_is_refused(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """No trace, no echo: 400 and on we go."""
    caplog.set_level(logging.DEBUG, "wanbridge")
    to = receiver()

    assert 400 == call(to, body).status
    assert 200 == call(to).status
    assert not [r for r in caplog.records if r.exc_info]


def test_an_adapter_that_breaks_is_a_refusal_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its message may quote the body, and bodies are not logged."""
    received = call(receiver(), b'"break"')

    assert 400 == received.status
    assert "KeyError" in caplog.text
    assert "s3cr3t" not in caplog.text + repr(received)


def test_a_long_body_is_refused() -> None:
    """10 MB are no callback."""
    assert 413 == call(receiver(), b" " * 10_000_000).status
    assert 413 == call(receiver(most=8), b" " * 9).status
    assert 200 == call(receiver(most=64), told()).status


def test_a_signature_is_checked_with_the_account_s_key() -> None:
    """Taken from its options; forged, stale and missing ones are refused and lose nothing."""
    to = receiver(SIGNING)

    assert 401 == call(to).status
    assert 401 == call(to, headers=signed("t-1", key="not the key")).status
    assert 401 == call(to, headers=signed("t-1", NOON - timedelta(hours=1))).status
    assert 401 == call(to, headers=signed("t-2")).status
    good = call(to, headers=signed("t-1"))
    assert (200, [True]) == (good.status, [e.verified for e in good.events])


def test_several_keys_are_good_while_one_is_replaced() -> None:
    """Given keys stand beside the option."""
    to = receiver(SIGNING, signing_keys={"halide": ("new", "newer")})

    assert 401 == call(to, headers=signed("t-1", key="newest")).status
    assert 200 == call(to, headers=signed("t-1", key="newer")).status
    assert 200 == call(to, headers=signed("t-1")).status


def test_a_leaked_token_cannot_fill_the_memory() -> None:
    """A call brings at most a few dozen events; the rest is refused."""
    to = receiver()

    statuses = [call(to, told(f"t-{i}")).status for i in range(100)]

    assert [200] * 64 + [429] * 36 == statuses
    assert 200 == call(to, path=path_of(to, key="another")).status


def test_the_longest_unheard_call_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is bounded over all calls, too."""
    monkeypatch.setattr(seen_events, "_CALLS_MOST", 2)
    to = receiver()
    paths = [path_of(to, key=f"k-{i}") for i in range(3)]

    for path in paths:
        assert 1 == len(call(to, path=path).events)

    assert [1, 0, 0] == [len(call(to, path=p).events) for p in (paths[0], paths[2], paths[0])]


def test_who_is_told_hears_of_news_only() -> None:
    """With the account's name, for an event alone does not say whose it is."""
    heard: list[tuple[str, CallbackEvent]] = []
    to = receiver(on_event=lambda account, event: heard.append((account, event)))

    call(to)
    call(to)

    assert [("halide", CallbackEvent(task_id="t-1"))] == heard


def test_a_failure_of_who_is_told_makes_the_provider_call_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """500 brings a repetition, which is news then; waiting clients were woken already."""
    heard: list[str] = []

    def once_bitten(account: str, event: CallbackEvent) -> None:
        heard.append(event.task_id)
        if len(heard) == 1:
            raise RuntimeError("the queue is full of s3cr3t")

    to = receiver(on_event=once_bitten)

    assert [500, 200, 200] == [call(to).status for _ in range(3)]
    assert ["t-1", "t-1"] == heard
    assert "s3cr3t" not in caplog.text
    assert to.notifications.latest(Wake(job())) > 0


# -- waking --------------------------------------------------------------------------------


def job(task: str = "t-1", key: str = KEY, account: str = "halide") -> JobKey:
    return JobKey(account=account, call=call_of(key), task=task)


def rung(to: CallbackReceiver, of: JobKey) -> bool:
    return to.notifications.latest(Wake(of)) > 0


def test_a_call_wakes_its_own_job_and_no_other() -> None:
    """A leaked token wakes the job it was made for; other ids mean nothing to anybody."""
    to = receiver(HALIDE, evolve(HALIDE, account="halide-eu"))

    call(to)

    assert rung(to, job())
    assert not rung(to, job(task="t-2"))
    assert not rung(to, job(key="another"))
    assert not rung(to, job(account="halide-eu"))


def test_word_that_it_goes_on_wakes_nobody() -> None:
    """A poll would say the same; it is an event all the same, and the end is a further one."""
    to = receiver()

    going = call(to, told(ended=False))

    assert 1 == len(going.events)
    assert not rung(to, job())
    assert 1 == len(call(to, told(ended=True)).events)
    assert rung(to, job())


def test_a_job_with_our_address_is_polled_slowly() -> None:
    """The provider calls; polling only makes up for a call that is lost."""
    assert [8.0, 12.0, 18.0, 20.0, 20.0] == pauses(receiver())


def test_a_job_that_calls_elsewhere_is_polled_as_ever() -> None:
    """A call that we never see cannot wake us."""
    elsewhere = evolve(KITE, callback_url="https://other.example/hook")

    assert [2.0, 3.0, 4.5, 5.0, 5.0] == pauses(receiver(), elsewhere)


def test_who_says_how_often_to_poll_is_obeyed() -> None:
    """The caller's word stands before ours."""
    timeouts = Timeouts(poll_interval=PollInterval(first=1.0, factor=2.0, most=4.0))

    assert [1.0, 2.0, 4.0, 4.0, 4.0] == pauses(receiver(), timeouts=timeouts)


def test_slow_is_never_slower_than_half_a_minute() -> None:
    """And never quicker than the provider's own slowest."""
    lazy = {"poll_interval": PollInterval(first=20.0, factor=2.0, most=40.0)}

    assert [40.0] * 5 == pauses(receiver(), adapter=_paced(lazy))
    assert [30.0] * 5 == pauses(
        receiver(), adapter=_paced({"poll_interval": PollInterval(first=9.0, most=9.0)})
    )


def _paced(members: Mapping[str, Any]) -> Ringing:
    kind = type("Paced", (Ringing,), dict(members))
    return frozen(kw_only=True)(kind)(api_key="k")  # type: ignore[no-any-return]


def pauses(
    to: CallbackReceiver,
    request: ImageRequest = KITE,
    *,
    adapter: Ringing = HALIDE,
    collect_by: timedelta | None = None,
    **context: Any,
) -> list[float]:
    """The waits before five polls that find it running, in seconds."""
    runner = FlowRunner(callbacks=to, **context)
    made = flow._called_back(adapter, request, KEY, runner.context)
    going = Job(
        provider="halide",
        account="halide",
        base_url=adapter.base_url,
        id="t-1",
        request=made,
        submitted_at=NOON,
        key=KEY,
        collect_by=NOON + collect_by if collect_by else None,
    )
    replies = [reply(RUNNING)] * 5 + [reply(DONE)]
    _, effects = runner.play(flow.wait(adapter, going, context=runner.context), *replies)
    return [e.seconds for e in effects if isinstance(e, Sleep)]


def test_polls_come_before_the_provider_forgets() -> None:
    """Half of the time that is left, but no hurry, and none once it is over."""
    waits = pauses(receiver(), collect_by=timedelta(seconds=20))

    assert [8.0, 6.0, 3.0, 2.0] == waits[:4]
    assert [8.0, 12.0] == pauses(receiver(), collect_by=timedelta(seconds=-1))[:2]


def test_after_news_polls_are_quick_again() -> None:
    """One picture of several has come, or the news are ahead of what a poll sees."""
    to = receiver()
    runner = FlowRunner(callbacks=to)
    play = flow.generate(HALIDE, KITE, key=KEY, context=runner.context)
    next(play)
    play.send(reply(ACCEPTED))
    waits = []

    def woken(news: int | None) -> Sleep:
        assert isinstance(play.send(news), Send)
        effect = play.send(reply(RUNNING))
        assert isinstance(effect, Sleep)
        waits.append(effect.seconds)
        return effect

    woken(None)
    effect = woken(3)
    woken(3)

    assert [12.0, 2.0, 3.0] == waits
    assert Wake(job(), 3) == effect.wake


def test_without_a_receiver_nothing_is_different() -> None:
    """No address, no listening."""
    runner = FlowRunner()
    _, effects = runner.play(
        flow.generate(HALIDE, KITE, key=KEY, context=runner.context), reply(ACCEPTED), reply(DONE)
    )

    sent = next(e for e in effects if isinstance(e, Send))
    assert sent.request.json()["callback_url"] is None
    assert [Sleep(2.0, None)] == [e for e in effects if isinstance(e, Sleep)]


def test_an_address_is_given_where_the_provider_calls_back() -> None:
    """Also on `submit`; never to one that knows no callbacks, has no job, or has one already."""
    to = receiver(HALIDE)
    context = FlowRunner(callbacks=to).context
    own = evolve(KITE, callback_url="https://mine.example/x")
    plain = Halide(api_key="k")
    at_once = evolve(HALIDE, options=_Keys(at_once=True))

    assert to.url_for("halide", KEY) == flow._called_back(HALIDE, KITE, KEY, context).callback_url
    assert own == flow._called_back(HALIDE, own, KEY, context)
    assert KITE == flow._called_back(plain, KITE, KEY, context)
    assert KITE == flow._called_back(at_once, KITE, KEY, context)
    elsewhere = evolve(HALIDE, account="halide-eu")
    assert KITE == flow._called_back(elsewhere, KITE, KEY, context)


# -- over real HTTP ------------------------------------------------------------------------


@contextlib.contextmanager
def served(to: CallbackReceiver, app: Any = None) -> Iterator[str]:
    """The receiver's application on a loopback port; its origin."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(app or to.app, ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(MOST_WAIT)


def post(url: str, body: bytes = b"", **how: Any) -> int:
    with httpx.Client(trust_env=False, timeout=MOST_WAIT) as http:
        return http.post(url, content=body, **how).status_code


def test_the_application_answers_over_a_socket() -> None:
    """Good, repeated, forged, garbage, wrong way: the status of each, and the server lives on."""
    heard: list[str] = []
    to = receiver(SIGNING, on_event=lambda account, event: heard.append(event.task_id))
    with served(to) as at:
        url = at + path_of(to)
        assert 200 == post(url, told(), headers=signed("t-1"))
        assert 200 == post(url, told(), headers=signed("t-1"))
        assert 401 == post(url, told(), headers=signed("t-1", key="not the key"))
        assert 400 == post(url, b"\xff", headers=signed("t-1"))
        assert 403 == post(url[:-8] + "AAAAAAAA", told())
        assert 404 == post(at + "/favicon.ico")
        with httpx.Client(trust_env=False) as http:
            got = http.get(url)
        assert (405, "POST") == (got.status_code, got.headers["allow"])

    assert ["t-1"] == heard


def test_ten_megabytes_are_refused_before_they_are_sent() -> None:
    """By the announced length; the answer comes while the body still has not."""
    to = receiver()
    with served(to) as at:
        assert 413 == post(at + path_of(to), b" " * 10_000_000)
        with socket.create_connection(("127.0.0.1", int(at.rpartition(":")[2]))) as line:
            head = f"POST {path_of(to)} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
            line.settimeout(MOST_WAIT)
            line.sendall(head.encode() + b"x" * 1000)
            assert line.recv(64).startswith(b"HTTP/1.1 413")
        assert 200 == post(at + path_of(to), told())


def test_a_body_that_hides_its_length_is_cut_off() -> None:
    """Chunks are counted as they come."""
    to = receiver()
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 2**16
            yield b" " * 2**16

    with served(to) as at, httpx.Client(trust_env=False, timeout=MOST_WAIT) as http:
        assert 413 == http.post(at + path_of(to), content=chunks()).status_code
        assert 200 == post(at + path_of(to), told())


def test_it_can_be_mounted_anywhere() -> None:
    """The last two steps of the path are ours, whatever stands before them."""
    to = receiver()

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": "/hooks"}
        await to.app(scope, receive, send)

    with served(to, mounted) as at:
        assert 200 == post(at + path_of(to), told())
        assert 200 == post(at + path_of(to).removeprefix("/hooks"), told())


def exchange(to: CallbackReceiver, scope: dict[str, Any], *messages: Any) -> list[dict[str, Any]]:
    """What the application sends for one scope; after *messages* nothing more comes."""
    sent: list[Any] = []
    waiting = list(messages)

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(to.app(scope, receive, send))
    return sent


def http_scope(to: CallbackReceiver, **headers: str) -> dict[str, Any]:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"type": "http", "method": "POST", "path": path_of(to), "headers": raw}


def test_a_sender_that_goes_away_is_not_answered() -> None:
    """And one that trickles is, before the provider would give up anyway."""
    to = receiver()

    assert [] == exchange(to, http_scope(to), {"type": "http.disconnect"})


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is not held for ever."""
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.05)
    to = receiver()
    half = {"type": "http.request", "body": b"{", "more_body": True}

    sent = exchange(to, http_scope(to, content_length="9" * 25), half)

    assert 408 == sent[0]["status"]


def test_life_and_other_protocols_are_answered() -> None:
    """Servers ask whether it has started; nobody opens a web socket here."""
    to = receiver()
    life = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    sent = exchange(to, {"type": "lifespan"}, *life)
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [s["type"] for s in sent]
    assert [{"type": "websocket.close"}] == exchange(to, {"type": "websocket"})


class Provider:
    """Halide over a fake line: it accepts, and is done once it has called and was answered.

    Args:
        early: It calls before it answers the submit.
        calls: How often it calls.
    """

    def __init__(self, origin: str, *, early: bool = False, calls: int = 1) -> None:
        self.origin, self.early, self.calls = origin, early, calls
        self.polls = 0
        self.statuses: list[int] = []
        self.waiting = threading.Event()
        self.done = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            path = urlsplit(json.loads(request.content)["callback_url"]).path
            self.caller = threading.Thread(target=self._call, args=(path,), daemon=True)
            self.caller.start()
            if self.early:
                self.caller.join(MOST_WAIT)
            return httpx.Response(200, json=ACCEPTED)
        self.polls += 1
        return httpx.Response(200, json=DONE if self.done.is_set() else RUNNING)

    def _call(self, path: str) -> None:
        if not self.early:
            # Until the client sleeps: nothing is to be found out by a poll before that.
            assert self.waiting.wait(MOST_WAIT)
        self.done.set()
        for _ in range(self.calls):
            self.statuses.append(post(self.origin + path, told(ended=True)))


def seen_waiting(to: CallbackReceiver, provider: Provider) -> None:
    """Let *provider* know when somebody listens."""
    listening = to.notifications._listening

    def watched(wake: Wake, wake_up: Callable[[], None]) -> Any:
        provider.waiting.set()
        return listening(wake, wake_up)

    to.notifications._listening = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("calls", [1, 3])
def test_a_waiting_client_wakes_up_at_once(early: bool, calls: int) -> None:
    """With half a minute between polls one poll is enough, also if the call came too early."""
    to = receiver()
    with served(to) as at:
        provider = Provider(at, early=early, calls=calls)
        seen_waiting(to, provider)
        http = httpx.Client(transport=httpx.MockTransport(provider))
        with http, Client([HALIDE], callbacks=to, http=http, timeouts=SLOW) as client:
            result = in_time(lambda: client.generate(KITE))
        provider.caller.join(MOST_WAIT)

    assert 1 == len(result.images)
    assert 1 == provider.polls
    assert {200} == set(provider.statuses)


@pytest.mark.parametrize("early", [False, True])
def test_a_waiting_async_client_wakes_up_at_once(early: bool) -> None:
    """The call comes in by another thread and another event loop."""
    to = receiver()

    async def run(provider: Provider) -> Any:
        async def answer(request: httpx.Request) -> httpx.Response:
            return await asyncio.to_thread(provider, request)

        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        async with (
            http,
            AsyncClient([HALIDE], callbacks=to, http=http, timeouts=SLOW) as client,
            asyncio.timeout(MOST_WAIT),
        ):
            return await client.generate(KITE)

    with served(to) as at:
        provider = Provider(at, early=early)
        seen_waiting(to, provider)
        result = asyncio.run(run(provider))
        provider.caller.join(MOST_WAIT)

    assert 1 == len(result.images)
    assert 1 == provider.polls


def in_time(work: Callable[[], Any]) -> Any:
    """What *work* returns, in a thread that is given up after a while."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(work).result(MOST_WAIT)
    finally:
        pool.shutdown(wait=False)


class Clock:
    """Time that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.naps: list[float] = []

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    @property
    def options(self) -> dict[str, Any]:
        return {"clock": self.clock, "now": self.now, "chance": lambda: 0.0}


def answers(polls: int) -> Callable[[httpx.Request], httpx.Response]:
    """A provider without callbacks of its own that is done at a poll."""
    left = [ACCEPTED, *[RUNNING] * (polls - 1), DONE]
    return lambda request: httpx.Response(200, json=left.pop(0))


def test_a_lost_call_costs_time_and_nothing_else() -> None:
    """Polling goes on underneath, slowly; a sleep of one's own still is the sleep."""
    time = Clock()
    http = httpx.Client(transport=httpx.MockTransport(answers(3)))
    with (
        http,
        Client(
            [HALIDE], callbacks=receiver(), http=http, sleep=time.sleep, **time.options
        ) as client,
    ):
        assert 1 == len(client.generate(KITE).images)

    assert [8.0, 12.0, 18.0] == time.naps


def test_news_that_are_there_already_are_not_slept_over() -> None:
    """Also where sleeping is the caller's own, blocking and awaited."""
    to = receiver()
    call(to)
    time = Clock()
    http = httpx.Client(transport=httpx.MockTransport(answers(1)))
    with (
        http,
        Client([HALIDE], callbacks=to, http=http, sleep=time.sleep, **time.options) as client,
    ):
        assert 1 == len(client.generate(KITE, key=KEY).images)

    async def run() -> None:
        line = httpx.AsyncClient(transport=httpx.MockTransport(answers(2)))
        async with (
            line,
            AsyncClient(
                [HALIDE], callbacks=to, http=line, sleep=time.sleep_async, **time.options
            ) as client,
        ):
            assert 1 == len((await client.generate(KITE, key=KEY)).images)

    assert [] == time.naps
    asyncio.run(run())
    assert [2.0] == time.naps


def test_a_job_of_another_process_finds_its_news() -> None:
    """The address is the same there; who only polls learns it, too."""
    to, other = receiver(), receiver()
    made = flow._called_back(HALIDE, KITE, KEY, FlowRunner(callbacks=other).context)
    stored = Job(
        provider="halide",
        account="halide",
        base_url=HALIDE.base_url,
        id="t-1",
        request=made,
        submitted_at=datetime.now(UTC),
        key=KEY,
    )

    assert to.expects(Job.from_json(stored.to_json()))
    assert not receiver(secret=None).expects(stored)
    assert not to.expects(evolve(stored, request=KITE))
    assert not to.expects(evolve(stored, account="halide-eu"))
    assert JobKey.of(stored) == job()


@pytest.mark.parametrize("fault", [None, "duplicate_callback", "forged_callback", "early_callback"])
def test_a_provider_of_the_sandbox_calls_a_client_awake(fault: str | None) -> None:
    """Runware as its manual has it, over two sockets; the pictures are those of the poll."""
    sandbox = Sandbox(["runware"], latency=0.05)
    if fault is not None:
        sandbox.fault(fault)
    to = CallbackReceiver([Runware()], BASE)
    with served(to) as at, running(sandbox, deliver_to={"https://app.example.com": at}):
        account = Runware(api_key=sandbox.api_key("runware"), base_url=sandbox.base_url("runware"))
        with Client([account], callbacks=to, timeouts=SLOW) as client:
            events: list[Any] = []
            request = ImageRequest("a red kite", size="1K")
            result = in_time(lambda: client.generate(request, on_progress=events.append))

    assert 1 == len(result.images)
    assert "forged.invalid" not in str(result)
    assert 1 <= sum(isinstance(event, Polled) for event in events) <= 2
    assert 1 == len(sandbox.ledger()["charges"])


# -- configuration -------------------------------------------------------------------------

ACCOUNT = {"runware": {"api_key": "rw-key"}}


def test_a_receiver_comes_from_the_configuration(tmp_path: Any) -> None:
    """The same file that makes the client makes the receiver of its callbacks."""
    settings = {"providers": ACCOUNT, "callbacks": {"base_url": BASE, "secret": SECRET}}

    made = CallbackReceiver.from_config(settings)

    assert f"{BASE}/runware/" in made.url_for("runware", KEY)
    again = CallbackReceiver.from_config(settings)
    assert again.url_for("runware", KEY) == made.url_for("runware", KEY)
    with pytest.raises(ConfigurationError, match=r"no \[callbacks\]"):
        CallbackReceiver.from_config({"providers": ACCOUNT})


def test_the_secret_may_stand_in_the_environment() -> None:
    """And has to, if it is said to: a random one would be of no use to others."""
    given = {"callbacks": {"base_url": BASE, "secret_env": "HOOK"}}

    found = config.load(given, environ={"HOOK": SECRET}).callbacks
    assert found is not None
    assert SECRET == found.secret
    assert SECRET not in repr(found)
    with pytest.raises(ConfigurationError, match="HOOK is not set"):
        config.load(given, environ={})
    both = {"callbacks": {"base_url": BASE, "secret": SECRET, "secret_env": "HOOK"}}
    with pytest.raises(ConfigurationError, match="not both"):
        config.load(both, environ={})
    with pytest.raises(ConfigurationError, match="base_url"):
        config.load({"callbacks": {"base_url": "http://app.example.com"}}, environ={})


def test_the_environment_alone_is_enough() -> None:
    """As for keys."""
    given = {"WANBRIDGE_CALLBACK_URL": BASE, "WANBRIDGE_CALLBACK_SECRET": SECRET}

    assert config.CallbackSettings(base_url=BASE, secret=SECRET) == config.from_env(given).callbacks
    assert config.from_env({}).callbacks is None


def test_a_secret_in_a_file_that_others_read_is_warned_of(tmp_path: Any) -> None:
    """It is a key like the others."""
    file = tmp_path / "wanbridge.json"
    file.write_text(json.dumps({"callbacks": {"base_url": BASE, "secret": SECRET}}))
    file.chmod(0o644)

    with pytest.warns(UserWarning, match="can be read by others"):
        config.load(file, environ={})
