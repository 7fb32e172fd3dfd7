"""How long one HTTP exchange may take in all, headers included.

The timeouts of an HTTP library count between two bytes: a server that sends a header byte by
byte, or one ``1xx`` reply after the other, never exceeds any of them. So each exchange has a
`Bound`, and the network streams below the library take no longer than what is left of it.

The streams are reached through ``_pool._network_backend`` of the library's own transports,
the same in httpx 0.28 with httpcore 1.0 and in httpx2 2.16 with httpcore2 (read 2026-11-27);
httpcore takes a backend as an argument, httpx passes none on. So they also are what can be
closed of a client whose event loop is closed.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

if TYPE_CHECKING:
    import ssl

# What is written at once: a server that reads slowly gets no more time for a long body than
# for its parts.
_PIECE = 64 * 2**10
# Given to a system call at the end of a bound, since 0 would mean not to wait at all.
_LEAST = 0.001


class OutOfTime(Exception):
    """An exchange has exceeded its bound.

    Attributes:
        seconds: How much that was.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no complete reply within {seconds:.3g} s")
        self.seconds = seconds


class Bound:
    """What one exchange may take; a context manager around it.

    Args:
        seconds: In all.
        from_write: Count from the first byte that is written, not from now. Until then the
            connect and pool timeouts hold.
        per_byte: Seconds that each byte of a reply's body adds (see `received`).
        most: Seconds that those may lead to.
    """

    __slots__ = ("_per_byte", "_started", "_token", "most", "seconds")

    def __init__(
        self,
        seconds: float,
        *,
        from_write: bool = False,
        per_byte: float = 0.0,
        most: float | None = None,
    ) -> None:
        self.seconds, self._per_byte = seconds, per_byte
        self.most = seconds if most is None else max(seconds, most)
        self._started = None if from_write else time.monotonic()
        self._token: Token[Bound | None] | None = None

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._token is not None
        _CURRENT.reset(self._token)

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return self._started is not None and time.monotonic() - self._started >= self.seconds

    def received(self, size: int) -> None:
        """So many bytes of the reply's body have come.

        Raises:
            OutOfTime: the bound has passed.
        """
        self.seconds = min(self.seconds + size * self._per_byte, self.most)
        if self.over:
            raise OutOfTime(self.seconds)

    def connecting(self, timeout: float | None) -> float | None:
        """*timeout*, or what is left if that is less; does not start the count."""
        return timeout if self._started is None else self.left(timeout)

    def left(self, timeout: float | None) -> float:
        """*timeout*, or what is left if that is less; starts the count.

        Raises:
            OutOfTime: nothing is left.
        """
        now = time.monotonic()
        if self._started is None:
            self._started = now
        left = self._started + self.seconds - now
        if left <= 0:
            raise OutOfTime(self.seconds)
        return max(_LEAST, left if timeout is None else min(timeout, left))


_CURRENT: ContextVar[Bound | None] = ContextVar("wanbridge_bound", default=None)


def hold(client: Any) -> bool:
    """Make the bounds of exchanges hold on the connections that *client* opens from now on.

    Args:
        client: A client of the HTTP library; outside of a `Bound` it works as before.

    Returns:
        Whether that is all of them; False with a transport that is not the library's own.
    """
    whole = True
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if backend is None:
            whole = whole and transport is None  # None: a mount that uses the client's own
        elif not isinstance(backend, _Backend | _AsyncBackend):
            awaited = hasattr(transport, "handle_async_request")
            pool._network_backend = (_AsyncBackend if awaited else _Backend)(backend)  # type: ignore[union-attr]
    return whole


def abandon(client: Any) -> None:
    """Close the sockets of an asynchronous client that `hold` was given and whose loop is closed.

    ``aclose`` needs the loop, and a garbage collector closes with a warning, some time.
    """
    for transport in (client._transport, *client._mounts.values()):
        backend = getattr(getattr(transport, "_pool", None), "_network_backend", None)
        if isinstance(backend, _AsyncBackend):
            backend.abandon()


class _Backend:
    """Makes streams whose operations take no longer than the current bound."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, *args: Any, timeout: float | None = None, **more: Any) -> _Stream:
        timeout = _connecting(timeout)
        return _Stream(self._backend.connect_tcp(*args, timeout=timeout, **more))

    def connect_unix_socket(self, *args: Any, timeout: float | None = None, **more: Any) -> _Stream:
        timeout = _connecting(timeout)
        return _Stream(self._backend.connect_unix_socket(*args, timeout=timeout, **more))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _Stream:
    """A blocking network stream.

    Args:
        outer: The TLS socket that TLS is spoken inside of, through a proxy: there one operation
            waits for several reads, so a timer shuts the socket down when the bound is over.
    """

    __slots__ = ("_outer", "_stream")

    def __init__(self, stream: Any, outer: ssl.SSLSocket | None = None) -> None:
        self._stream, self._outer = stream, outer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _left(timeout)
        if self._outer is not None:
            with _timer(left, self._outer):
                return self._stream.read(max_bytes, left)  # type: ignore[no-any-return]
        return self._stream.read(max_bytes, left)  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        if self._outer is None and len(buffer) <= _PIECE:
            self._stream.write(buffer, _left(timeout))
            return
        view = memoryview(buffer)
        for at in range(0, len(view), _PIECE):
            left = _left(timeout)
            with _timer(left, self._outer):
                self._stream.write(view[at : at + _PIECE], left)

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _Stream:
        from ssl import SSLSocket  # the HTTP library has loaded it by now

        left = _connecting(timeout)
        inside = self._stream.get_extra_info("socket")
        outer = inside if isinstance(inside, SSLSocket) else None
        with _timer(left, outer):
            stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _Stream(stream, outer)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncBackend:
    """`_Backend` for asyncio."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        # Not ours, which TLS replaces: what is below of all.
        self._sockets = WeakSet[Any]()

    async def connect_tcp(
        self, *args: Any, timeout: float | None = None, **more: Any
    ) -> _AsyncStream:
        timeout = _connecting(timeout)
        return self._kept(await self._backend.connect_tcp(*args, timeout=timeout, **more))

    async def connect_unix_socket(
        self, *args: Any, timeout: float | None = None, **more: Any
    ) -> _AsyncStream:
        timeout = _connecting(timeout)
        return self._kept(await self._backend.connect_unix_socket(*args, timeout=timeout, **more))

    def _kept(self, stream: Any) -> _AsyncStream:
        self._sockets.add(getattr(stream, "_stream", stream))
        return _AsyncStream(stream)

    def abandon(self) -> None:
        """Close every socket without the event loop."""
        # anyio's streams and asyncio's transports, as of anyio 4.16 and CPython 3.11 to 3.14
        # (read 2026-11-28): what the loop would call last. Where they are otherwise, the garbage
        # collector is left to close the sockets.
        for stream in list(self._sockets):
            transport: Any = getattr(stream, "_transport", None)
            if getattr(transport, "_sock", None) is not None:
                with suppress(Exception):
                    transport._call_connection_lost(None)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _AsyncStream:
    """An asynchronous network stream; each of its operations has one timeout in all."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    # These hand the awaitable on, which is what a coroutine of their own would wait for.

    def read(self, max_bytes: int, timeout: float | None = None) -> Awaitable[bytes]:
        return self._stream.read(max_bytes, _left(timeout))  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> Awaitable[None]:
        return self._stream.write(buffer, _left(timeout))  # type: ignore[no-any-return]

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _AsyncStream:
        left = _connecting(timeout)
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))

    def aclose(self) -> Awaitable[None]:
        return self._stream.aclose()  # type: ignore[no-any-return]

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None) -> float | None:
    bound = _CURRENT.get()
    return timeout if bound is None else bound.left(timeout)


def _connecting(timeout: float | None) -> float | None:
    bound = _CURRENT.get()
    return timeout if bound is None else bound.connecting(timeout)


@contextmanager
def _timer(seconds: float | None, outer: ssl.SSLSocket | None) -> Iterator[None]:
    """Shut *outer* down after *seconds*, unless the block is left before; nothing without one."""
    if seconds is None or outer is None:
        yield
        return
    timer = threading.Timer(seconds, _shut_down, (outer,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(outer: ssl.SSLSocket) -> None:
    with suppress(OSError):
        # Not the method of SSLSocket, which would go on in plain text.
        socket.socket.shutdown(outer, socket.SHUT_RDWR)
