"""Carrying messages over HTTP: pools, timeouts, and what a broken line means for money.

A pool of either library walks all its connections at each request, and httpx 0.28 falls to a
tenth of its throughput with 256 in flight. So a pool holds 8 connections (with 16, a thousand
in flight took a fifth longer), and more pools are opened as more is in flight. All share one
TLS context, which takes 15 ms to make.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from threading import Lock
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from attrs import Factory, define

from wanbridge.adapter import LOOPBACK
from wanbridge.effects import Fetch, NoPicture, Resolve, Send
from wanbridge.errors import Charge, ConfigurationError, TransportFailed, WanbridgeError
from wanbridge.httplib import httpx
from wanbridge.terms import Patience
from wanbridge.version import __version__
from wanbridge.wire import HttpResponse

USER_AGENT = f"wanbridge/{__version__}"
# What the library can always decode; brotli and zstandard are extras of its own.
_ENCODINGS = "gzip, deflate"
CONNECTIONS = 8
POOLS = 128
# Seconds that an unused connection is kept. A server that closes one just as a request arrives
# leaves a submit uncertain, so what buys uses only fresh or busy ones: common servers close
# after 5 s and more.
IDLE, IDLE_BILLABLE = 5.0, 1.0
# Twelve 4K pictures as base64 are some 500 MiB; a reply beyond that is not one.
REPLY_MOST = 768 * 2**20
# A reply that trickles: so many read timeouts in all.
TRICKLE = 10

C = TypeVar("C")

# Failures before the first byte of a request can have left. All others may come after it.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (httpx.HTTPError, httpx.StreamError)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _failed(account: str, exc: Exception, timeouts: Mapping[str, float]) -> TransportFailed:
    """What a broken line means for money: only the allow-list was surely not sent.

    Args:
        timeouts: Seconds of each phase, as of `_Settings._timeout`.
    """
    if isinstance(exc, _TooMuch):
        return TransportFailed(account, str(exc), Charge.MAYBE)
    unsent = isinstance(exc, _UNSENT)
    what = {
        "ConnectTimeout": "no connection in time",
        "ConnectError": "no connection",
        "PoolTimeout": "no free connection in time",
        "ReadTimeout": "no reply in time",
        "WriteTimeout": "could not send in time",
        "RemoteProtocolError": "the connection was closed in the middle of the exchange",
        "ReadError": "the connection broke while the reply was read",
        "WriteError": "the connection broke while the request was sent",
    }.get(type(exc).__name__, type(exc).__name__)
    # str(exc) is the library's own text; a URL with a query may stand in it, so it stays out
    # of the message and is reachable as __cause__.
    phase, timed_out, _ = type(exc).__name__.lower().partition("timeout")
    waited = f" ({timeouts[phase]:.3g} s)" if timed_out and phase in timeouts else ""
    return TransportFailed(account, what + waited, Charge.NO if unsent else Charge.MAYBE)


class _TooMuch(Exception):
    """More bytes or more time than a reply may take."""


@define(eq=False)
class _Pool(Generic[C]):
    client: C
    in_flight: int = 0


@define(eq=False)
class _Pools(Generic[C]):
    """Clients of one origin, as many as the calls in flight need."""

    make: Callable[[], C]
    pools: list[_Pool[C]] = Factory(list)
    lock: Lock = Factory(Lock)

    def take(self) -> _Pool[C]:
        """A client with a free connection; beyond all of them, the least busy."""
        with self.lock:
            pool = next((p for p in self.pools if p.in_flight < CONNECTIONS), None)
            if pool is None and len(self.pools) < POOLS:
                self.pools.append(pool := _Pool(self.make()))
            if pool is None:
                pool = min(self.pools, key=lambda p: p.in_flight)
            pool.in_flight += 1
            return pool

    def give(self, pool: _Pool[C]) -> None:
        """Give a client back."""
        with self.lock:
            pool.in_flight -= 1


class _Lease(Generic[C]):
    """A client for one exchange."""

    __slots__ = ("_http", "_pool", "_pools")

    def __init__(self, http: C | None, pools: _Pools[C] | None) -> None:
        self._http, self._pools = http, pools
        self._pool: _Pool[C] | None = None

    def __enter__(self) -> C:
        if self._pools is None:
            assert self._http is not None
            return self._http
        try:
            self._pool = self._pools.take()
        except Exception as exc:
            # A bad certificate file, a proxy that cannot be spoken to: nothing was sent.
            message = f"no HTTP client can be made ({type(exc).__name__}); check proxies and TLS"
            raise ConfigurationError(message) from None
        return self._pool.client

    def __exit__(self, *exc: object) -> None:
        if self._pools is not None and self._pool is not None:
            self._pools.give(self._pool)


class _Settings(Generic[C]):
    """What both lines share: how clients are made, and what a message looks like."""

    def __init__(
        self, patience: Patience, *, http: C | None, now: Callable[[], datetime], kind: type[C]
    ) -> None:
        self._patience, self._http, self._now, self._kind = patience, http, now, kind
        self._pools: dict[tuple[str, str, bool], _Pools[C]] = {}
        self._closed = False
        if http is not None and not isinstance(http, kind):
            raise ConfigurationError(
                f"http= is a {type(http).__module__}.{type(http).__qualname__};"
                f" it must be a {httpx.__name__}.{kind.__name__}"
            )

    def _make(self, url: str, *, proxies: bool, idle: float = IDLE) -> C:
        return self._kind(  # type: ignore[call-arg]
            verify=_tls() if url.startswith("https:") else False,
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=idle,
            ),
            follow_redirects=False,
            # A proxy would connect to an address of its own choosing.
            trust_env=proxies and urlsplit(url).hostname not in LOOPBACK,
        )

    def _lease(self, url: str, *, billable: bool = False) -> _Lease[C]:
        if self._closed:
            raise ConfigurationError("this client is closed")
        if self._http is not None:
            return _Lease(self._http, None)
        scheme, _, host = url.split("/", 3)[:3]
        at = (scheme, host, billable)
        if (pools := self._pools.get(at)) is None:
            idle = IDLE_BILLABLE if billable else IDLE
            pools = _Pools(lambda: self._make(url, proxies=True, idle=idle))
            pools = self._pools.setdefault(at, pools)
        return _Lease(None, pools)

    def _timeout(self, read: float | None, connect: float | None = None) -> dict[str, float]:
        read = read or self._patience.read_timeout
        pool = self._patience.deadline if connect is None else connect
        connect = min(connect or self._patience.connect_timeout, self._patience.connect_timeout)
        return {"connect": connect, "read": read, "write": read, "pool": pool}

    def _patience_of(self, send: Send) -> float:
        read = send.request.read_timeout or self._patience.read_timeout
        return read if send.read is None else min(read, send.read)

    def _timeouts_of(self, send: Send) -> dict[str, float]:
        return self._timeout(self._patience_of(send), send.connect)

    def _message(self, http: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
        """The request as the adapter wrote it: no cookies, no credentials of the client.

        Made without ``build_request``, which costs as much as all the rest of a call here.
        """
        request = send.request
        own = {"Accept": "*/*", "Accept-Encoding": _ENCODINGS, "User-Agent": USER_AGENT}
        headers: Any = {**own, **request.headers}
        try:
            if self._http is not None:
                headers = httpx.Headers(http.headers)
                headers.update({"User-Agent": USER_AGENT, **request.headers})
            return httpx.Request(
                request.method,
                request.url,
                headers=headers,
                content=request.body,
                extensions={"timeout": self._timeouts_of(send)},
            )
        except (ValueError, TypeError, httpx.InvalidURL):
            # The library's own text could show the header, and so the key.
            raise ConfigurationError(
                f"{send.account}: the URL or a header holds what HTTP cannot carry"
            ) from None

    def _response(self, status: int, headers: httpx.Headers, body: bytes) -> HttpResponse:
        return HttpResponse(
            status=status,
            headers={k.decode("latin-1"): v.decode("latin-1") for k, v in headers.raw},
            body=body,
            received_at=self._now(),
        )

    def _fetch_request(self, fetch: Fetch) -> httpx.Request:
        """A GET without credentials, to the address that was checked."""
        url, headers = httpx.URL(fetch.url), {"User-Agent": USER_AGENT}
        extensions: dict[str, Any] = {}
        if fetch.address is not None:
            headers["Host"] = url.netloc.decode("ascii")
            extensions["sni_hostname"] = url.host
            url = url.copy_with(host=fetch.address)
        if fetch.beginning:
            headers["Range"] = f"bytes=0-{fetch.limit - 1}"
        extensions["timeout"] = self._timeout(None)
        return httpx.Request("GET", url, headers=headers, extensions=extensions)


class _Meter:
    """Counts what a reply takes."""

    def __init__(self, most: int, seconds: float) -> None:
        self.left, self.until = most, time.monotonic() + seconds

    def take(self, chunk: bytes) -> bytes:
        """The chunk, cut to what is left of the allowance; less than given means it is over."""
        taken = chunk[: self.left]
        self.left -= len(taken)
        if time.monotonic() > self.until:
            raise _TooMuch("it trickled in for too long")
        return taken


class Line(_Settings["httpx.Client"]):
    """Carries effects out over blocking sockets; safe to share between threads.

    Args:
        http: A client of one's own for all calls; it must not retry or follow redirects.
    """

    def __init__(
        self, patience: Patience, *, http: httpx.Client | None, now: Callable[[], datetime]
    ) -> None:
        super().__init__(patience, http=http, now=now, kind=httpx.Client)

    def send(self, send: Send) -> HttpResponse:
        """The reply, read to its end, or `TransportFailed` with what the line's end means."""
        try:
            with self._lease(send.request.url, billable=send.billable) as http:
                message = self._message(http, send)
                response = http.send(message, stream=True, auth=None, follow_redirects=False)
                try:
                    body = self._read(response, send)
                finally:
                    response.close()
                return self._response(response.status_code, response.headers, body)
        except WanbridgeError:
            raise
        except Exception as exc:
            raise _failed(send.account, exc, self._timeouts_of(send)) from exc

    def _read(self, response: httpx.Response, send: Send) -> bytes:
        meter = _Meter(REPLY_MOST, self._patience_of(send) * TRICKLE)
        body = bytearray()
        for chunk in response.iter_bytes():
            if len(taken := meter.take(chunk)) < len(chunk):
                raise _TooMuch("the reply is too long")
            body += taken
        return bytes(body)

    def resolve(self, resolve: Resolve) -> tuple[str, ...]:
        """The addresses of a host."""
        with contextlib.suppress(ValueError):
            return (str(ip_address(resolve.host)),)
        try:
            found = socket.getaddrinfo(resolve.host, resolve.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise TransportFailed(resolve.host, f"{resolve.host} is not known", Charge.NO) from exc
        return tuple(dict.fromkeys(str(info[4][0]) for info in found))

    def fetch(self, fetch: Fetch) -> HttpResponse:
        """The picture into its sink."""
        try:
            with self._fetching(fetch) as http:
                response = http.send(
                    self._fetch_request(fetch), stream=True, auth=None, follow_redirects=False
                )
                try:
                    if response.is_success:
                        self._pour(response, fetch)
                finally:
                    response.close()
                return self._response(response.status_code, response.headers, b"")
        except _TooMuch as exc:
            raise NoPicture(fetch.account, str(exc), Charge.MAYBE) from None
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise NoPicture(fetch.account, "not a URL that HTTP can carry", Charge.NO) from exc
        except _BROKEN as exc:
            raise _failed(fetch.account, exc, self._timeout(None)) from exc

    def _pour(self, response: httpx.Response, fetch: Fetch) -> None:
        meter = _Meter(fetch.limit, self._patience.deadline)
        for chunk in response.iter_bytes():
            taken = meter.take(chunk)
            fetch.sink.write(taken)
            if len(taken) < len(chunk):
                if fetch.beginning:
                    return
                raise _TooMuch(f"longer than {fetch.limit:,} bytes")

    @contextmanager
    def _fetching(self, fetch: Fetch) -> Iterator[httpx.Client]:
        if fetch.address is None:
            with self._lease(fetch.url) as http:
                yield http
        else:
            # One client a picture: a pooled connection would be kept for the address, and
            # handed to another host that is served there.
            with self._make(fetch.url, proxies=False) as http:
                yield http

    def close(self) -> None:
        """Close all connections; an injected client is its owner's."""
        self._closed = True
        for pools in self._pools.values():
            for pool in pools.pools:
                pool.client.close()


class AsyncLine(_Settings["httpx.AsyncClient"]):
    """`Line` for asyncio; safe to share between tasks of one loop."""

    def __init__(
        self, patience: Patience, *, http: httpx.AsyncClient | None, now: Callable[[], datetime]
    ) -> None:
        super().__init__(patience, http=http, now=now, kind=httpx.AsyncClient)
        self._loop: object = None

    def _same_loop(self) -> None:
        """Connections belong to the event loop that made them; another may not use them."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ConfigurationError("an AsyncClient belongs to one event loop; make one for each")

    async def send(self, send: Send) -> HttpResponse:
        """As `Line.send`."""
        self._same_loop()
        try:
            with self._lease(send.request.url, billable=send.billable) as http:
                message = self._message(http, send)
                response = await http.send(message, stream=True, auth=None, follow_redirects=False)
                try:
                    body = await self._read(response, send)
                finally:
                    await response.aclose()
                return self._response(response.status_code, response.headers, body)
        except WanbridgeError:
            raise
        except Exception as exc:
            raise _failed(send.account, exc, self._timeouts_of(send)) from exc

    async def _read(self, response: httpx.Response, send: Send) -> bytes:
        meter = _Meter(REPLY_MOST, self._patience_of(send) * TRICKLE)
        body = bytearray()
        async for chunk in response.aiter_bytes():
            if len(taken := meter.take(chunk)) < len(chunk):
                raise _TooMuch("the reply is too long")
            body += taken
        return bytes(body)

    async def resolve(self, resolve: Resolve) -> tuple[str, ...]:
        """As `Line.resolve`."""
        with contextlib.suppress(ValueError):
            return (str(ip_address(resolve.host)),)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                resolve.host, resolve.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as exc:
            raise TransportFailed(resolve.host, f"{resolve.host} is not known", Charge.NO) from exc
        return tuple(dict.fromkeys(str(info[4][0]) for info in found))

    async def fetch(self, fetch: Fetch) -> HttpResponse:
        """As `Line.fetch`."""
        self._same_loop()
        try:
            async with self._fetching(fetch) as http:
                response = await http.send(
                    self._fetch_request(fetch), stream=True, auth=None, follow_redirects=False
                )
                try:
                    if response.is_success:
                        await self._pour(response, fetch)
                finally:
                    await response.aclose()
                return self._response(response.status_code, response.headers, b"")
        except _TooMuch as exc:
            raise NoPicture(fetch.account, str(exc), Charge.MAYBE) from None
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise NoPicture(fetch.account, "not a URL that HTTP can carry", Charge.NO) from exc
        except _BROKEN as exc:
            raise _failed(fetch.account, exc, self._timeout(None)) from exc

    async def _pour(self, response: httpx.Response, fetch: Fetch) -> None:
        meter = _Meter(fetch.limit, self._patience.deadline)
        async for chunk in response.aiter_bytes():
            taken = meter.take(chunk)
            fetch.sink.write(taken)
            if len(taken) < len(chunk):
                if fetch.beginning:
                    return
                raise _TooMuch(f"longer than {fetch.limit:,} bytes")

    @asynccontextmanager
    async def _fetching(self, fetch: Fetch) -> AsyncIterator[httpx.AsyncClient]:
        if fetch.address is None:
            with self._lease(fetch.url) as http:
                yield http
        else:
            async with self._make(fetch.url, proxies=False) as http:
                yield http

    async def close(self) -> None:
        """As `Line.close`."""
        self._closed = True
        for pools in self._pools.values():
            for pool in pools.pools:
                await pool.client.aclose()


def utc_now() -> datetime:
    """Wall time, aware."""
    return datetime.now(UTC)
