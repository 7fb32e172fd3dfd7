"""Carrying messages over HTTP: pools, timeouts, and what a broken line means for money.

A pool of either library walks all its connections at each request, and httpx 0.28 falls to a
tenth of its throughput with 256 in flight. So a pool holds 8 connections (with 16, a thousand
in flight took a fifth longer), and more pools are opened as more is in flight. All share one
TLS context, which takes 15 ms to make.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from threading import Lock
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

from attrs import Factory, define

from wanbridge.adapters.urls import LOOPBACK
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import Fetch, NoPicture, Resolve, Send
from wanbridge.errors import Charge, ConfigurationError, TransportFailed, WanbridgeError
from wanbridge.transport import deadlines as bounds
from wanbridge.transport.deadlines import Bound, OutOfTime
from wanbridge.transport.decoding import PIECE, Damaged, Undecodable, decoder
from wanbridge.transport.library import httpx
from wanbridge.version import __version__
from wanbridge.wire import HttpResponse

USER_AGENT = f"wanbridge/{__version__}"
# Pictures are compressed as such, and what is not compressed cannot swell.
_AS_IT_IS = {"Accept-Encoding": "identity"}
CONNECTIONS = 8
POOLS = 128
# Seconds that an unused connection is kept. A server that closes one just as a request arrives
# leaves a submit uncertain, so what buys uses only fresh or busy ones: common servers close
# after 5 s and more.
IDLE, IDLE_BILLABLE = 5.0, 1.0
# What a billable exchange may take beside its read timeout, in seconds: for connections on which
# packets are lost. Its bodies take time too, both ways; whatever is faster than this many bytes
# per second, half of what a slow mobile connection has, is not given up.
GRACE = 5.0
SLOWEST = 64 * 2**10
# A picture longer than this goes through a temporary file on its way into memory.
SPOOLED = 8 * 2**20

C = TypeVar("C")

# Failures before the first byte of a request can have left. All others may come after it.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (httpx.HTTPError, httpx.StreamError, OutOfTime, Damaged, TimeoutError)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _failed(
    account: str, exc: Exception, timeouts: Mapping[str, float], bound: Bound
) -> TransportFailed:
    """What a broken line means for money: only the allow-list was surely not sent.

    Args:
        timeouts: Seconds of each phase, as of `_Settings._timeout`.
        bound: Of the exchange.
    """
    unsent = isinstance(exc, _UNSENT)
    if isinstance(exc, _TooMuch | Undecodable | Damaged):
        return TransportFailed(account, str(exc), Charge.MAYBE)
    if isinstance(exc, OutOfTime | TimeoutError) or (bound.over and not unsent):
        return TransportFailed(account, str(OutOfTime(bound.seconds)), Charge.MAYBE)
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
    """More bytes than a reply may have."""


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
        self, timeouts: Timeouts, *, http: C | None, now: Callable[[], datetime], kind: type[C]
    ) -> None:
        self._timeouts, self._http, self._now, self._kind = timeouts, http, now, kind
        self._pools: dict[tuple[str, str, bool], _Pools[C]] = {}
        self._closed = False
        if http is not None and not isinstance(http, kind):
            raise ConfigurationError(
                f"http= is a {type(http).__module__}.{type(http).__qualname__};"
                f" it must be a {httpx.__name__}.{kind.__name__}"
            )
        # Whether the bounds hold on every connection; those of _make are the library's own.
        self._bounded = http is None or bounds.hold(http)

    def _make(self, url: str, *, proxies: bool, idle: float = IDLE) -> C:
        client = self._kind(  # type: ignore[call-arg]
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
        if not bounds.hold(client):
            raise ConfigurationError(f"this version of {httpx.__name__} cannot be used; see bounds")
        return client

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

    def _timeout(
        self, read: float | None, connect: float | None = None, most: float | None = None
    ) -> dict[str, float]:
        read = read or self._timeouts.read_timeout
        pool = self._timeouts.deadline if connect is None else connect
        connect = min(connect or self._timeouts.connect_timeout, self._timeouts.connect_timeout)
        if most is not None:
            read, connect, pool = min(read, most), min(connect, most), min(pool, most)
        return {"connect": connect, "read": read, "write": read, "pool": pool}

    def _read_timeout_of(self, send: Send) -> float:
        read = send.request.read_timeout or self._timeouts.read_timeout
        return read if send.read is None else min(read, send.read)

    def _timeouts_of(self, send: Send) -> dict[str, float]:
        most = None if send.billable else send.within
        return self._timeout(self._read_timeout_of(send), send.connect, most)

    def _bound_of(self, send: Send) -> Bound:
        """What the exchange may take in all."""
        within = self._timeouts.deadline if send.within is None else send.within
        if not send.billable:
            return Bound(within)
        # Not from now: a submit that waits for a connection is not under way.
        return Bound(
            self._read_timeout_of(send) + GRACE + len(send.request.body) / SLOWEST,
            from_write=True,
            per_byte=1 / SLOWEST,
            most=within,
        )

    def _bound_of_fetch(self, fetch: Fetch) -> Bound:
        return Bound(self._timeouts.deadline if fetch.within is None else fetch.within)

    def _message(self, http: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
        """The request as the adapter wrote it: no cookies, no credentials of the client.

        Made without ``build_request``, which costs as much as all the rest of a call here.
        """
        request = send.request
        own = {"User-Agent": USER_AGENT, **_AS_IT_IS, **request.headers}
        headers: Any = {"Accept": "*/*", **own}
        try:
            if self._http is not None:
                headers = httpx.Headers(http.headers)
                headers.update(own)
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
        url, headers = httpx.URL(fetch.url), {"User-Agent": USER_AGENT, **_AS_IT_IS}
        extensions: dict[str, Any] = {}
        if fetch.address is not None:
            headers["Host"] = url.netloc.decode("ascii")
            extensions["sni_hostname"] = url.host
            url = url.copy_with(host=fetch.address)
        if fetch.beginning:
            headers["Range"] = f"bytes=0-{fetch.limit - 1}"
        extensions["timeout"] = self._timeout(None, most=fetch.within)
        return httpx.Request("GET", url, headers=headers, extensions=extensions)


class _Intake:
    """Takes the body of a reply: decoded, counted, and given up at the end of its bound.

    Args:
        write: Told every piece of what comes out, at most *most* bytes in all.
    """

    def __init__(
        self, response: httpx.Response, write: Callable[[bytes], object], most: int, bound: Bound
    ) -> None:
        self._write, self._bound = write, bound
        self._left = most
        # What is compressed takes hardly more than what it holds, or holds nothing.
        self._left_raw = most + PIECE
        # A transport within this process may have read and decoded the body itself.
        encoding = response.headers.get("content-encoding")
        self._decoder = decoder(encoding) if not response.is_stream_consumed else None

    def take(self, chunk: bytes) -> bool:
        """The next bytes on the line; False if there is no room for all that they hold.

        Raises:
            Damaged, OutOfTime: the reply is given up.
        """
        self._bound.received(len(chunk))
        if self._decoder is None:
            return self._put(chunk)
        self._left_raw -= len(chunk)
        return self._left_raw >= 0 and all(map(self._put, self._decoder.decode(chunk)))

    def end(self) -> bool:
        """The reply has ended; as `take`."""
        return self._decoder is None or self._put(self._decoder.end())

    def _put(self, piece: bytes) -> bool:
        taken = piece if len(piece) <= self._left else piece[: self._left]
        self._left -= len(taken)
        self._write(taken)
        return len(taken) == len(piece)


class _Spool:
    """The bytes of a picture, in memory; of a long one in a file until all of it is here.

    To grow a buffer takes the old one beside the new, which for a long picture is twice its size.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
        except OSError as exc:
            raise _TooMuch(f"there is no room for it ({exc.strerror})") from None

    def body(self) -> bytes:
        size = self._file.tell()
        self._file.seek(0)
        return self._file.read(size)


def _raw(response: httpx.Response) -> Iterator[bytes]:
    """The body as it is on the line; decoded already where there is no line."""
    return iter((response.content,)) if response.is_stream_consumed else response.iter_raw()


async def _taken(response: httpx.Response, intake: _Intake) -> bool:
    """Give *intake* the body, as of `_raw`; whether there was room for all of it."""
    if response.is_stream_consumed:
        return intake.take(response.content)
    async for chunk in response.aiter_raw():
        if not intake.take(chunk):
            return False
    return True


class HttpTransport(_Settings["httpx.Client"]):
    """Carries effects out over blocking sockets; safe to share between threads.

    Args:
        http: A client of one's own for all calls; it must not retry or follow redirects.
    """

    def __init__(
        self, timeouts: Timeouts, *, http: httpx.Client | None, now: Callable[[], datetime]
    ) -> None:
        super().__init__(timeouts, http=http, now=now, kind=httpx.Client)

    def send(self, send: Send) -> HttpResponse:
        """The reply, read to its end, or `TransportFailed` with what the line's end means."""
        bound = self._bound_of(send)
        try:
            with self._lease(send.request.url, billable=send.billable) as http, bound:
                message = self._message(http, send)
                response = http.send(message, stream=True, auth=None, follow_redirects=False)
                try:
                    body = self._read(response, send.most, bound)
                finally:
                    response.close()
                return self._response(response.status_code, response.headers, body)
        except WanbridgeError:
            raise
        except Exception as exc:
            raise _failed(send.account, exc, self._timeouts_of(send), bound) from exc

    def _read(self, response: httpx.Response, most: int, bound: Bound) -> bytes:
        body = io.BytesIO()
        intake = _Intake(response, body.write, most, bound)
        if not (all(map(intake.take, _raw(response))) and intake.end()):
            raise _TooMuch(f"the reply has more than {most:,} bytes")
        return body.getvalue()

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
        bound = self._bound_of_fetch(fetch)
        try:
            with self._fetching(fetch) as http, bound:
                response = http.send(
                    self._fetch_request(fetch), stream=True, auth=None, follow_redirects=False
                )
                try:
                    body = self._pour(response, fetch, bound) if response.is_success else b""
                finally:
                    response.close()
                return self._response(response.status_code, response.headers, body)
        except (_TooMuch, Undecodable) as exc:
            raise NoPicture(fetch.account, str(exc), Charge.MAYBE) from None
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise NoPicture(fetch.account, "not a URL that HTTP can carry", Charge.NO) from exc
        except _BROKEN as exc:
            raise _failed(fetch.account, exc, self._timeout(None), bound) from exc

    def _pour(self, response: httpx.Response, fetch: Fetch, bound: Bound) -> bytes:
        with _Spool() as spool:
            sink = spool if fetch.sink is None else fetch.sink
            intake = _Intake(response, sink.write, fetch.limit, bound)
            whole = all(map(intake.take, _raw(response)))
            if not fetch.beginning and not (whole and intake.end()):
                raise _TooMuch(f"longer than {fetch.limit:,} bytes")
            return spool.body()

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


class AsyncHttpTransport(_Settings["httpx.AsyncClient"]):
    """`HttpTransport` for asyncio; safe to share between tasks of one loop."""

    def __init__(
        self, timeouts: Timeouts, *, http: httpx.AsyncClient | None, now: Callable[[], datetime]
    ) -> None:
        super().__init__(timeouts, http=http, now=now, kind=httpx.AsyncClient)
        self._loop: object = None

    def _same_loop(self) -> None:
        """Connections belong to the event loop that made them; another may not use them."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ConfigurationError("an AsyncClient belongs to one event loop; make one for each")

    async def send(self, send: Send) -> HttpResponse:
        """As `HttpTransport.send`."""
        self._same_loop()
        bound = self._bound_of(send)
        try:
            with self._lease(send.request.url, billable=send.billable) as http, bound:
                exchange = self._exchange(http, self._message(http, send), send.most, bound)
                if self._bounded:
                    return await exchange
                async with asyncio.timeout(self._at_most(bound)):
                    return await exchange
        except WanbridgeError:
            raise
        except Exception as exc:
            raise _failed(send.account, exc, self._timeouts_of(send), bound) from exc

    async def _exchange(
        self, http: httpx.AsyncClient, message: httpx.Request, most: int, bound: Bound
    ) -> HttpResponse:
        response = await http.send(message, stream=True, auth=None, follow_redirects=False)
        try:
            body = await self._read(response, most, bound)
        finally:
            await response.aclose()
        return self._response(response.status_code, response.headers, body)

    def _at_most(self, bound: Bound) -> float | None:
        """Seconds for an exchange over a transport of the caller's, which no bound reaches.

        Whether that has written already cannot be seen, so its wait for a connection is added.
        """
        return None if self._bounded else bound.most + self._timeouts.deadline

    async def _read(self, response: httpx.Response, most: int, bound: Bound) -> bytes:
        body = io.BytesIO()
        intake = _Intake(response, body.write, most, bound)
        if not (await _taken(response, intake) and intake.end()):
            raise _TooMuch(f"the reply has more than {most:,} bytes")
        return body.getvalue()

    async def resolve(self, resolve: Resolve) -> tuple[str, ...]:
        """As `HttpTransport.resolve`."""
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
        """As `HttpTransport.fetch`."""
        self._same_loop()
        bound = self._bound_of_fetch(fetch)
        try:
            async with self._fetching(fetch) as http, asyncio.timeout(self._at_most(bound)):
                with bound:
                    response = await http.send(
                        self._fetch_request(fetch), stream=True, auth=None, follow_redirects=False
                    )
                    try:
                        body = b""
                        if response.is_success:
                            body = await self._pour(response, fetch, bound)
                    finally:
                        await response.aclose()
                return self._response(response.status_code, response.headers, body)
        except (_TooMuch, Undecodable) as exc:
            raise NoPicture(fetch.account, str(exc), Charge.MAYBE) from None
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise NoPicture(fetch.account, "not a URL that HTTP can carry", Charge.NO) from exc
        except _BROKEN as exc:
            raise _failed(fetch.account, exc, self._timeout(None), bound) from exc

    async def _pour(self, response: httpx.Response, fetch: Fetch, bound: Bound) -> bytes:
        with _Spool() as spool:
            sink = spool if fetch.sink is None else fetch.sink
            intake = _Intake(response, sink.write, fetch.limit, bound)
            whole = await _taken(response, intake)
            if not fetch.beginning and not (whole and intake.end()):
                raise _TooMuch(f"longer than {fetch.limit:,} bytes")
            return spool.body()

    @asynccontextmanager
    async def _fetching(self, fetch: Fetch) -> AsyncIterator[httpx.AsyncClient]:
        if fetch.address is None:
            with self._lease(fetch.url) as http:
                yield http
        else:
            async with self._make(fetch.url, proxies=False) as http:
                yield http

    async def close(self) -> None:
        """As `HttpTransport.close`."""
        self._closed = True
        for pools in self._pools.values():
            for pool in pools.pools:
                await pool.client.aclose()


def utc_now() -> datetime:
    """Wall time, aware."""
    return datetime.now(UTC)
