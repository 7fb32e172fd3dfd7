"""HTTP over blocking sockets."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

from wanbridge.engine.effects import Fetch, Resolve, Send
from wanbridge.errors import Charge, TransportFailed, WanbridgeError
from wanbridge.transport.base import BaseTransport
from wanbridge.transport.bodies import BodyReader, Spool, raw_chunks
from wanbridge.transport.deadlines import Bound
from wanbridge.transport.failures import ReplyTooLong, foreign_failures, transport_failure
from wanbridge.wire import HttpResponse

if TYPE_CHECKING:
    from wanbridge.transport.library import httpx


class HttpTransport(BaseTransport["httpx.Client"]):
    """Carries effects out over blocking sockets; safe to share between threads.

    Args:
        http: The caller's client for all calls; it must not retry or follow redirects.
    """

    _kind = "Client"

    def send(self, send: Send) -> HttpResponse:
        """Send a message and read the whole reply.

        Raises:
            TransportFailed: no complete reply; its charge says whether it may have been bought.
            ConfigurationError: the message cannot be sent at all; nothing was.
        """
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
            raise transport_failure(send.account, exc, self._timeouts_of(send), bound) from exc

    def _read(self, response: httpx.Response, most: int, bound: Bound) -> bytes:
        body = io.BytesIO()
        reader = BodyReader(response, body.write, most, bound)
        if not (all(map(reader.take, raw_chunks(response))) and reader.end()):
            raise ReplyTooLong(f"the reply has more than {most:,} bytes")
        return body.getvalue()

    def resolve(self, resolve: Resolve) -> tuple[str, ...]:
        """The IP addresses of a host, as text."""
        with contextlib.suppress(ValueError):
            return (str(ip_address(resolve.host)),)
        try:
            found = socket.getaddrinfo(resolve.host, resolve.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise TransportFailed(resolve.host, f"{resolve.host} is not known", Charge.NO) from exc
        return tuple(dict.fromkeys(str(info[4][0]) for info in found))

    def fetch(self, fetch: Fetch) -> HttpResponse:
        """Fetch a picture into the sink of *fetch*, or into the reply where there is none.

        Raises:
            NoPicture: the URL cannot be fetched, or its body is too long or damaged.
            TransportFailed: no complete reply.
        """
        self._check_open()
        bound = self._bound_of_fetch(fetch)
        with self._fetch_failures(fetch, bound), self._fetching(fetch) as http, bound:
            with foreign_failures():
                response = http.send(
                    self._fetch_request(fetch), stream=True, auth=None, follow_redirects=False
                )
            try:
                body = self._pour(response, fetch, bound) if response.is_success else b""
            finally:
                response.close()
            return self._response(response.status_code, response.headers, body)

    def _pour(self, response: httpx.Response, fetch: Fetch, bound: Bound) -> bytes:
        with Spool() as spool:
            sink = spool if fetch.sink is None else fetch.sink
            reader = BodyReader(response, sink.write, fetch.limit, bound)
            whole = all(map(reader.take, raw_chunks(response)))
            if not fetch.beginning and not (whole and reader.end()):
                raise ReplyTooLong(f"longer than {fetch.limit:,} bytes")
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
