"""Lines: what a broken one means for money, what is sent, and how many connections."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from example_provider import ACCEPTED, NOON, Halide
from wanbridge.adapters.fitting import fit
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import Fetch, Send
from wanbridge.errors import Charge, ConfigurationError, TransportFailed
from wanbridge.model.request import ImageRequest
from wanbridge.transport import base
from wanbridge.transport import pools as client_pools
from wanbridge.transport.asynchronous import AsyncHttpTransport
from wanbridge.transport.blocking import HttpTransport
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest, HttpResponse, json_request

HALIDE = Halide(api_key="sk-test-1")
FITTED = fit(HALIDE, ImageRequest("a kite"))
SEND = Send(account="halide", request=HALIDE.submit(FITTED.request, FITTED.offer, key="k"))
Handler = Callable[[httpx.Request], httpx.Response]


def blocking(handler: Handler, send: Send = SEND, **client: Any) -> HttpResponse:
    with httpx.Client(transport=httpx.MockTransport(handler), **client) as injected:
        return HttpTransport(Timeouts(), http=injected, now=lambda: NOON).send(send)


def awaiting(handler: Handler, send: Send = SEND, **client: Any) -> HttpResponse:
    async def run() -> HttpResponse:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler), **client) as injected:
            return await AsyncHttpTransport(Timeouts(), http=injected, now=lambda: NOON).send(send)

    return asyncio.run(run())


both = pytest.mark.parametrize("carry", [blocking, awaiting])


@both
@pytest.mark.parametrize(
    ("broken", "charge"),
    [
        (httpx.ConnectError, Charge.NO),
        (httpx.ConnectTimeout, Charge.NO),
        (httpx.PoolTimeout, Charge.NO),
        (httpx.ReadTimeout, Charge.MAYBE),
        (httpx.WriteTimeout, Charge.MAYBE),
        (httpx.ReadError, Charge.MAYBE),
        (httpx.WriteError, Charge.MAYBE),
        (httpx.RemoteProtocolError, Charge.MAYBE),
        (httpx.LocalProtocolError, Charge.MAYBE),
        (httpx.ProxyError, Charge.MAYBE),
        (httpx.DecodingError, Charge.MAYBE),
        (RuntimeError, Charge.MAYBE),
    ],
)
def test_only_what_was_surely_not_sent_is_free(
    carry: Callable[..., HttpResponse], broken: type[Exception], charge: Charge
) -> None:
    """An allow-list: whatever else breaks may have been bought."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise broken("sk-test-1 in the library's own words")

    with pytest.raises(TransportFailed) as caught:
        carry(handler)

    assert charge == caught.value.charge
    assert "sk-test-1" not in str(caught.value)


@both
def test_a_request_says_who_asks_and_nothing_of_the_client(
    carry: Callable[..., HttpResponse],
) -> None:
    """The adapter's headers, our User-Agent; no cookies, no redirects followed."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(
            307, headers={"location": "https://elsewhere.example/", "set-cookie": "a=b"}
        )

    reply = carry(handler)

    assert 307 == reply.status
    assert 1 == len(seen)
    assert seen[0].headers["user-agent"].startswith("wanbridge/")
    assert "Bearer sk-test-1" == seen[0].headers["authorization"]
    assert "application/json" == seen[0].headers["content-type"]
    assert "cookie" not in seen[0].headers
    assert SEND.request.body == seen[0].content


@both
def test_a_reply_is_read_decoded_and_dated(carry: Callable[..., HttpResponse]) -> None:
    """Compressed replies too."""
    body = gzip.compress(json.dumps(ACCEPTED).encode())

    reply = carry(
        lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, content=body)
    )

    assert (ACCEPTED, NOON) == (reply.json(), reply.received_at)


@both
def test_a_reply_that_is_too_long_is_given_up(carry: Callable[..., HttpResponse]) -> None:
    """A provider may not fill the memory; what it was is unknown."""
    with pytest.raises(TransportFailed, match="more than 10 bytes") as caught:
        carry(lambda request: httpx.Response(200, content=b"x" * 11), evolve(SEND, most=10))

    assert Charge.MAYBE == caught.value.charge


@both
def test_messages_are_asked_for_as_they_are(carry: Callable[..., HttpResponse]) -> None:
    """What is not compressed cannot swell; an injected client's own wish does not count."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["accept-encoding"])
        return httpx.Response(200)

    carry(answer)

    assert ["identity"] == seen


@both
def test_a_header_that_cannot_be_sent_is_a_setting(carry: Callable[..., HttpResponse]) -> None:
    """Nothing was sent, and the header is not shown."""
    request = json_request("POST", "https://x.example", headers={"X": "sk-…"}, body={})

    with pytest.raises(ConfigurationError, match="what HTTP cannot carry") as caught:
        carry(lambda r: httpx.Response(200), Send(account="halide", request=request))

    assert caught.value.__cause__ is None
    assert "sk-" not in str(caught.value)


def test_an_injected_clients_headers_are_kept() -> None:
    """A gateway of one's own may want its own."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["x-gateway"])
        return httpx.Response(200)

    blocking(handler, headers={"x-gateway": "yes"})

    assert ["yes"] == seen


def test_a_closed_client_says_so() -> None:
    """Before anything is sent, so it is no uncertain submit."""
    line = HttpTransport(Timeouts(), http=None, now=lambda: NOON)
    line.close()

    with pytest.raises(ConfigurationError, match="closed"):
        line.send(SEND)


def test_pools_grow_with_what_is_in_flight() -> None:
    """A few connections a pool; beyond all pools the least busy one is shared."""
    pools: client_pools.Pools[object] = client_pools.Pools(object)

    taken = [pools.take() for _ in range(client_pools.CONNECTIONS + 1)]
    assert 2 == len(pools.pools)
    for pool in taken:
        pools.give(pool)
    assert [0, 0] == [p.in_flight for p in pools.pools]

    many = [pools.take() for _ in range(client_pools.CONNECTIONS * client_pools.POOLS + 1)]
    assert client_pools.POOLS == len(pools.pools)
    assert client_pools.CONNECTIONS + 1 == max(p.in_flight for p in pools.pools)
    assert len(many) == sum(p.in_flight for p in pools.pools)


def test_a_fetch_carries_no_credentials_and_goes_where_it_was_checked() -> None:
    """The name in Host and TLS, the address on the line."""
    line = HttpTransport(Timeouts(), http=None, now=lambda: NOON)

    request = line._fetch_request(
        Fetch(
            account="x",
            url="https://cdn.example.com:8443/a.png?sig=1",
            address="2606:4700::1111",
            limit=100,
            beginning=True,
        )
    )

    assert "https://[2606:4700::1111]:8443/a.png?sig=1" == str(request.url)
    assert "cdn.example.com:8443" == request.headers["host"]
    assert "cdn.example.com" == request.extensions["sni_hostname"]
    assert "bytes=0-99" == request.headers["range"]
    assert "authorization" not in request.headers


def test_messages_hide_what_is_secret() -> None:
    """``repr`` ends up in logs and tracebacks."""
    shown = repr(SEND) + repr(
        HttpResponse(status=200, headers={"Set-Cookie": "sk-test-1"}, body=b"sk-test-1")
    )

    assert "sk-test-1" not in shown
    assert "***" in shown
    assert "sig" not in repr(HttpRequest(method="GET", url="https://x.example/a?sig=1"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, expected: float | None) -> None:
    """A number of seconds or a date; nonsense is no wait at all."""
    headers = {} if value is None else {"retry-after": value}

    assert expected == HttpResponse(status=429, headers=headers, received_at=NOON).retry_after


def test_a_date_needs_a_time_to_count_from() -> None:
    """Values made by hand have none."""
    headers = {"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT"}

    assert HttpResponse(status=429, headers=headers).retry_after is None


def test_one_wrong_byte_does_not_hide_a_reply() -> None:
    """The task id beside it was paid for."""
    body = b'{"id": "t-1", "said": "caf\xe9"}'

    assert "t-1" == HttpResponse(status=200, body=body).json()["id"]


def test_a_client_of_another_kind_is_refused_at_once() -> None:
    """It would fail at each call, where nobody could tell what was bought."""
    with pytest.raises(ConfigurationError, match="must be a"):
        HttpTransport(Timeouts(), http=httpx.AsyncClient(), now=lambda: NOON)  # type: ignore[arg-type]


def test_a_client_that_cannot_be_made_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or certificate setting is the user's to mend, and no uncertain submit."""
    monkeypatch.setenv("HTTPS_PROXY", "socks9://nowhere")
    line = HttpTransport(Timeouts(), http=None, now=lambda: NOON)

    with pytest.raises(ConfigurationError, match="no HTTP client can be made"):
        line.send(SEND)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectTimeout, "no connection in time (0.4 s)"),
        (httpx.PoolTimeout, "no free connection in time (0.4 s)"),
        (httpx.ReadTimeout, "no reply in time (30 s)"),
        (httpx.ConnectError, "no connection"),
    ],
)
def test_a_timeout_says_how_long_that_phase_was_waited_for(
    error: type[Exception], said: str
) -> None:
    """Thirty seconds of patience with a reply are not those with a connection."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error("late")

    http = httpx.Client(transport=httpx.MockTransport(answer))
    line = HttpTransport(Timeouts(), http=http, now=lambda: NOON)

    with pytest.raises(TransportFailed) as caught:
        line.send(evolve(SEND, connect=0.4))

    assert said == caught.value.message


def test_what_buys_goes_over_connections_of_its_own() -> None:
    """Short-lived ones: a stale connection would leave a submit uncertain."""
    line = HttpTransport(Timeouts(), http=None, now=lambda: NOON)

    line._lease("https://x.example/a", billable=True)
    line._lease("https://x.example/b")

    expected = {("https:", "x.example", True), ("https:", "x.example", False)}
    assert expected == set(line._pools)
    assert base.IDLE_BILLABLE < base.IDLE
