"""HTTP over asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import Fetch, Resolve, Send
from wanbridge.errors import Charge, ConfigurationError, TransportFailed, WanbridgeError
from wanbridge.transport.base import BaseTransport
from wanbridge.transport.bodies import BodyReader, Spool
from wanbridge.transport.deadlines import Bound
from wanbridge.transport.event_loops import PoolsByLoop
from wanbridge.transport.failures import ReplyTooLong, foreign_failures, transport_failure
from wanbridge.transport.pools import ByOrigin
from wanbridge.wire import HttpResponse

if TYPE_CHECKING:
    from wanbridge.transport.library import httpx


async def read_body(response: httpx.Response, reader: BodyReader) -> bool:
    """Feed the body to *reader*, as `raw_chunks` does; False if there was no room for all of it."""
    if response.is_stream_consumed:
        return reader.take(response.content)
    chunks = response.aiter_raw()
    while True:
        with foreign_failures():
            chunk = await anext(chunks, None)
        if chunk is None:
            return True
        if not reader.take(chunk):
            return False


class AsyncHttpTransport(BaseTransport["httpx.AsyncClient"]):
    """`HttpTransport` for asyncio; safe to share between tasks, also of several event loops."""

    _kind = "AsyncClient"

    def __init__(
        self, timeouts: Timeouts, *, http: httpx.AsyncClient | None, now: Callable[[], datetime]
    ) -> None:
        super().__init__(timeouts, http=http, now=now)
        self._by_loop = PoolsByLoop()
        self._loop: object = None

    def _pools_here(self) -> ByOrigin[httpx.AsyncClient]:
        return self._by_loop.here()

    def _check_loop(self) -> None:
        """Connections of a caller's client belong to one event loop; another may not use them."""
        if self._http is None or not self._bounded:
            return  # a transport that is not the library's own may well have no connections
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ConfigurationError(
                "http= has connections of another event loop; without it, each loop has its own"
            )

    async def send(self, send: Send) -> HttpResponse:
        """As `HttpTransport.send`."""
        self._check_loop()
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
            raise transport_failure(send.account, exc, self._timeouts_of(send), bound) from exc

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
        reader = BodyReader(response, body.write, most, bound)
        if not (await read_body(response, reader) and reader.end()):
            raise ReplyTooLong(f"the reply has more than {most:,} bytes")
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
        self._check_open()
        self._check_loop()
        bound = self._bound_of_fetch(fetch)
        with self._fetch_failures(fetch, bound):
            async with self._fetching(fetch) as http, asyncio.timeout(self._at_most(bound)):
                with bound:
                    message = self._fetch_request(fetch)
                    with foreign_failures():
                        response = await http.send(
                            message, stream=True, auth=None, follow_redirects=False
                        )
                    try:
                        body = b""
                        if response.is_success:
                            body = await self._pour(response, fetch, bound)
                    finally:
                        await response.aclose()
                return self._response(response.status_code, response.headers, body)

    async def _pour(self, response: httpx.Response, fetch: Fetch, bound: Bound) -> bytes:
        with Spool() as spool:
            sink = spool if fetch.sink is None else fetch.sink
            reader = BodyReader(response, sink.write, fetch.limit, bound)
            whole = await read_body(response, reader)
            if not fetch.beginning and not (whole and reader.end()):
                raise ReplyTooLong(f"longer than {fetch.limit:,} bytes")
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
        await self._by_loop.close()
