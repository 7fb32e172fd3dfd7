"""Every exchange has an end: headers, bodies and handshakes that drip, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import hostile_servers
from example_provider import NOON
from hostile_servers import ENDLESS, Heard, Script, dripping_headers, proxying, serving
from wanbridge import AsyncClient, Client
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.adapters.steps import StillUnknown
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import Send
from wanbridge.errors import (
    CallFailed,
    Charge,
    DeadlineExceeded,
    DownloadFailed,
    SubmissionUncertain,
    TransportFailed,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.sandbox import Sandbox, running
from wanbridge.transport import base
from wanbridge.transport import deadlines as bounds
from wanbridge.transport.asynchronous import AsyncHttpTransport
from wanbridge.transport.blocking import HttpTransport
from wanbridge.transport.deadlines import Bound, OutOfTime
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest, HttpResponse

# A read timeout that no drip exceeds, however busy the machine is; the bound is what ends it.
SHORT = Timeouts(connect_timeout=5.0, read_timeout=5.0, deadline=0.4)
QUICK = PollInterval(first=0.01, factor=1.0, most=0.01)

each_script = pytest.mark.parametrize("script", ENDLESS, ids=lambda script: script.__name__)
each_provider = pytest.mark.parametrize("provider", [*BUILTIN, "dashscope-sync"])


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "GRACE", 0.15 - SHORT.read_timeout)
    monkeypatch.setattr("wanbridge.engine.polling.LAST_POLL", 0.1)
    monkeypatch.setattr("wanbridge.engine.reconciliation.LOOK_LEAST", 0.2)


def account(provider: str, base_url: str) -> Adapter:
    name, _, mode = provider.partition("-")
    options = {"mode": mode} if mode else None
    return Registry().build(name, api_key="sk-test-1", base_url=base_url, options=options)


def blocking(send: Send, http: httpx.Client | None = None) -> HttpResponse:
    line = HttpTransport(SHORT, http=http, now=lambda: NOON)
    try:
        return line.send(send)
    finally:
        line.close()


def awaiting(send: Send, http: httpx.AsyncClient | None = None) -> HttpResponse:
    async def run() -> HttpResponse:
        line = AsyncHttpTransport(SHORT, http=http, now=lambda: NOON)
        try:
            return await line.send(send)
        finally:
            await line.close()

    return asyncio.run(run())


both = pytest.mark.parametrize("carry", [blocking, awaiting])


def get(url: str, **how: Any) -> Send:
    return Send(account="halide", request=HttpRequest(method="GET", url=f"{url}/a"), **how)


def post(url: str, body: bytes = b"{}") -> Send:
    request = HttpRequest(method="POST", url=f"{url}/a", body=body)
    return Send(account="halide", request=request, billable=True)


# -- one exchange --------------------------------------------------------------------------------


@both
@each_script
@pytest.mark.parametrize("billable", [True, False], ids=["submit", "free"])
def test_an_endless_reply_is_given_up(
    script: Script, carry: Callable[[Send], HttpResponse], billable: bool
) -> None:
    """Each byte resets a read timeout; the bound of the exchange does not move."""
    with serving(script) as server:
        send = post(server.url) if billable else get(server.url, within=0.3)
        with pytest.raises(TransportFailed, match=r"no complete reply within 0\.\d+ s") as caught:
            carry(send)

    assert Charge.MAYBE == caught.value.charge
    assert (1, 0) == (server.left, server.outlasted)


@both
def test_a_server_that_reads_too_slowly_is_given_up(carry: Callable[[Send], HttpResponse]) -> None:
    """Each byte that it takes resets a write timeout."""
    with hostile_servers.hardly_reading() as server:
        with pytest.raises(TransportFailed, match="no complete reply within") as caught:
            carry(evolve(post(server.url, b"x" * 2**24), billable=False, within=0.4))
        assert 0 == server.outlasted

    assert Charge.MAYBE == caught.value.charge


def proxied(kind: type[Any], proxy: str) -> Any:
    trusting = hostile_servers.trusting()
    secure = trusting if proxy.startswith("https") else None
    return kind(proxy=httpx.Proxy(proxy, ssl_context=secure), verify=trusting, trust_env=False)


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http-proxy", "https-proxy"])
@pytest.mark.parametrize("script", [dripping_headers, hostile_servers.dripping_body])
@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_the_bound_holds_through_a_proxy(script: Script, kind: type[Any], proxy_tls: bool) -> None:
    """With TLS to the server, and to the proxy too: TLS within TLS."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(script, tls=True))
        proxy = stack.enter_context(proxying(tls=proxy_tls))
        url = f"https://127.0.0.1:{server.port}"
        carry = blocking if kind is httpx.Client else awaiting
        with pytest.raises(TransportFailed) as caught:
            carry(post(url), proxied(kind, proxy))

    assert Charge.MAYBE == caught.value.charge
    assert "no complete reply within" in caught.value.message
    assert [b"POST"] == [heard.head.split(b" ")[0] for heard in server.heard]
    assert 0 == server.outlasted


@both
def test_a_proxy_that_never_answers_is_given_up(carry: Callable[..., HttpResponse]) -> None:
    """``CONNECT`` is an exchange, too; what comes of it is as unknown as any other."""
    kind = httpx.Client if carry is blocking else httpx.AsyncClient
    with serving(dripping_headers) as proxy:
        with pytest.raises(TransportFailed) as caught:
            carry(post("https://127.0.0.1:9"), proxied(kind, proxy.url))
        assert Charge.MAYBE == caught.value.charge

    assert (["CONNECT"], 1) == ([heard.method for heard in proxy.heard], proxy.left)


def test_a_transport_of_the_callers_own_is_bounded_by_a_timer() -> None:
    """An asynchronous one, whose connections cannot be reached."""

    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

    http = httpx.AsyncClient(transport=Silent())

    with pytest.raises(TransportFailed, match="no complete reply") as caught:
        awaiting(post("http://127.0.0.1:9"), http)

    assert Charge.MAYBE == caught.value.charge


def test_a_client_whose_connections_cannot_be_reached_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later version of the library may look otherwise inside; without an end nothing is sent."""
    monkeypatch.setattr(bounds, "hold", lambda client: False)

    with pytest.raises(Exception, match="no HTTP client can be made"):
        blocking(get("http://127.0.0.1:9"))


# -- calls -----------------------------------------------------------------------------------------


@each_provider
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_submit_without_an_answer_ends_with_its_receipt(provider: str, kind: type[Any]) -> None:
    """Long before the server has done; one message that buys, or the same key again."""
    with serving(dripping_headers) as server:
        adapter = account(provider, server.url)
        if adapter.name == "dashscope":
            # The answer in one go has its own read timeout, of minutes.
            adapter = shortened(adapter)
        with pytest.raises(SubmissionUncertain) as caught:
            generated(kind, adapter)

    receipt = caught.value.receipt
    assert receipt is not None
    assert provider.partition("-")[0] == receipt.provider
    bodies = {heard.body for heard in server.heard if heard.method == "POST"}
    if adapter.name != "runware":
        assert [1] == [sum(heard.method == "POST" for heard in server.heard)]
    assert 1 == len(bodies)
    assert (len(server.heard), 0) == (server.left, server.outlasted)


def generated(kind: type[Any], adapter: Adapter, **how: Any) -> Any:
    if kind is Client:
        with Client([adapter], timeouts=SHORT) as client:
            return client.generate("a kite", **how)

    async def run() -> Any:
        async with AsyncClient([adapter], timeouts=SHORT) as client:
            return await client.generate("a kite", **how)

    return asyncio.run(run())


def shortened(adapter: Adapter) -> Adapter:
    """The adapter without the read timeout that its submits ask for."""

    class Short(type(adapter)):  # type: ignore[misc]
        def submit(self, request: ImageRequest, offer: Any, *, key: str) -> HttpRequest:
            message: HttpRequest = super().submit(request, offer, key=key)
            return evolve(message, read_timeout=None)

    fields = {a.name: getattr(adapter, a.name) for a in type(adapter).__attrs_attrs__ if a.init}
    return Short(**fields)


@each_script
def test_a_timeout_around_an_async_call_fires_at_the_bound(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancellation is held back for so long, and then has the receipt."""
    # Time for the server to hear it first, on a busy machine.
    monkeypatch.setattr(base, "GRACE", 1.0 - SHORT.read_timeout)

    async def expire(scope: asyncio.Timeout, server: hostile_servers.Hostile) -> None:
        while not server.heard:
            await asyncio.sleep(0.001)
        scope.reschedule(asyncio.get_running_loop().time())

    async def run(server: hostile_servers.Hostile) -> None:
        async with (
            AsyncClient([account("reapi", server.url)], timeouts=SHORT) as client,
            asyncio.timeout(None) as scope,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(expire(scope, server))
            try:
                await client.generate("a kite")
            except asyncio.CancelledError as exc:
                receipts.append(exc.receipt)  # type: ignore[attr-defined]
                raise

    receipts: list[Receipt] = []
    with serving(script) as server, pytest.raises(TimeoutError):
        asyncio.run(run(server))

    assert ["reapi"] == [receipt.provider for receipt in receipts]
    assert 1 == server.left


@pytest.fixture
def world() -> Iterator[Sandbox]:
    with running(Sandbox(latency=0.0)) as sandbox:
        yield sandbox


def behind(sandbox: Sandbox, script: Script, strikes: Callable[[Heard], bool]) -> Script:
    """A sandbox whose answers to some requests do not end."""

    def say(heard: Heard) -> Iterator[bytes]:
        if strikes(heard):
            yield from script(heard)
            return
        fields = [line.partition(b": ") for line in heard.head.split(b"\r\n")[1:]]
        headers = {k.decode(): v.decode() for k, _, v in fields}
        reply = sandbox.handle(
            HttpRequest(
                method=heard.method,
                url=sandbox.base_url("reapi").split("/reapi")[0] + heard.path,
                headers=headers,
                body=heard.body,
            )
        ).response
        yield hostile_servers.whole(
            reply.body, "Content-Type: application/json", status=reply.status
        )

    return say


@pytest.mark.parametrize("provider", BUILTIN)
def test_a_poll_without_an_answer_ends_at_the_deadline(
    provider: str, world: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the job, which is paid for and goes on."""
    # The submit is answered, when the machine comes to it.
    monkeypatch.setattr(base, "GRACE", 5.0)
    submits = iter([True])

    def strikes(heard: Heard) -> bool:
        return not next(submits, False)

    with serving(behind(world, dripping_headers, strikes)) as server:
        path = world.base_url(provider).partition("//")[2].partition("/")[2]
        adapter = account(provider, f"{server.url}/{path}")
        adapter = evolve(adapter, api_key=world.api_key(provider))
        timeouts = evolve(SHORT, poll_interval=QUICK)
        with Client([adapter], timeouts=timeouts) as client:
            with pytest.raises(DeadlineExceeded) as caught:
                client.generate("a kite")
            assert caught.value.job is not None

    assert 1 == len(world.ledger()["posts"])
    # The answer to the submit was whole; no other was.
    assert (len(server.heard) - 1, 1) == (server.left, server.outlasted)


@each_script
@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_download_without_an_end_is_given_up(script: Script, kind: str, tmp_path: Path) -> None:
    """At the deadline of the call, and no file is left."""
    with serving(script) as server:
        image = Image(url=f"{server.url}/a.png")
        adapter = account("reapi", server.url)

        async def run() -> None:
            async with AsyncClient([adapter], timeouts=SHORT) as client:
                await client.save(image, tmp_path / "a")

        def save() -> None:
            with Client([adapter], timeouts=SHORT) as client:
                client.save(image, tmp_path / "a")

        with pytest.raises((DownloadFailed, ValueError)):
            asyncio.run(run()) if kind == "async" else save()

    assert [] == list(tmp_path.iterdir())
    assert (len(server.heard), 0) == (server.left, server.outlasted)


@pytest.mark.parametrize("provider", ["kie", "dashscope", "crun"])
def test_an_upload_without_an_answer_has_bought_nothing(provider: str) -> None:
    """It ends at the call's deadline, before anything billable."""
    data = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x08\0\0\0\x04\0\x08\x02\0\0\0" + bytes(8 * 2**20)
    images = (InputImage.from_bytes(data),)
    with serving(dripping_headers) as server:
        adapter = account(provider, server.url)
        own: dict[str, Any] = {"kie": {"upload_url": server.url}}
        own["crun"] = {"allow_unverified": True}
        adapter = evolve(adapter, options=evolve(adapter.options, **own.get(provider, {})))
        with pytest.raises(CallFailed) as caught:
            generated(Client, adapter, images=images)

    assert Charge.NO == caught.value.charge
    assert caught.value.receipt is None
    assert (len(server.heard), 0) == (server.left, server.outlasted)


def test_a_look_up_without_an_answer_is_still_unknown() -> None:
    """Nothing is known, and the caller has an answer."""
    with serving(dripping_headers) as server:
        adapter = account("runware", server.url)
        with Client([adapter], timeouts=SHORT) as client:
            with pytest.raises(SubmissionUncertain) as caught:
                client.generate("a kite")
            assert caught.value.receipt is not None
            found = client.reconcile(caught.value.receipt)

    assert isinstance(found, StillUnknown)
    assert (len(server.heard), 0) == (server.left, server.outlasted)


# -- the bound itself ---------------------------------------------------------------------------


def test_a_body_that_comes_fast_enough_moves_the_bound() -> None:
    """A large reply that was paid for over a slow line; up to the call's deadline."""
    bound = Bound(10.0, per_byte=0.001, most=15.0)

    bound.received(1000)
    assert 11.0 == bound.seconds
    bound.received(100_000)
    assert 15.0 == bound.seconds


def test_a_bound_from_the_first_byte_does_not_count_the_wait_for_a_connection() -> None:
    """A submit that queues for one has not been sent."""
    bound = Bound(0.0, from_write=True)

    assert 5.0 == bound.connecting(5.0)
    assert not bound.over
    with pytest.raises(OutOfTime, match="no complete reply within 0 s"):
        bound.left(5.0)
    assert bound.over


def test_outside_of_an_exchange_a_client_is_as_it_was() -> None:
    """An injected one may be used by its owner, too."""
    with (
        serving(lambda heard: [hostile_servers.whole(b"ok")]) as server,
        httpx.Client() as http,
        Client([account("reapi", server.url)], http=http),
    ):
        assert "ok" == http.get(server.url).text
