"""Servers that mean ill, over real sockets: they drip, swell, and never come to an end.

A server drips for as long as the other side listens, up to a bound that no test reaches unless
the code waits for ever; `Hostile.left` counts those who went away before. So a test asserts
that the client gave up, and looks at no clock.
"""

from __future__ import annotations

import gzip
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import repeat
from pathlib import Path

from attrs import Factory, define, frozen

FIXTURES = Path(__file__).parents[1] / "fixtures"
# Seconds between two drips, and how many there are: a minute.
PACE, DRIPS = 0.01, 6000


@frozen
class Heard:
    """One request, read to its end."""

    method: str
    path: str
    head: bytes
    body: bytes


Script = Callable[[Heard], Iterable[bytes]]


@define
class Hostile:
    """What a server has seen.

    Attributes:
        port: On the loopback.
        heard: Every request.
        left: How many connections the other side gave up while something was still to come.
        outlasted: How many listened to the end.
    """

    port: int
    heard: list[Heard] = Factory(list)
    left: int = 0
    outlasted: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


# -- what they say ------------------------------------------------------------------------------


def dripping_headers(heard: Heard) -> Iterator[bytes]:
    """A header that never ends, byte by byte."""
    yield b"HTTP/1.1 200 OK\r\nX-Wait: "
    yield from repeat(b"x", DRIPS)


def endless_hints(heard: Heard) -> Iterator[bytes]:
    """One informational reply after the other."""
    yield from repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n", DRIPS)


def flooding_hints(heard: Heard) -> Iterator[bytes]:
    """The same, as many as the line carries."""
    yield from repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, DRIPS)


def dripping_body(heard: Heard) -> Iterator[bytes]:
    """A body of a megabyte, byte by byte."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    yield from repeat(b" ", DRIPS)


ENDLESS: tuple[Script, ...] = (dripping_headers, endless_hints, flooding_hints, dripping_body)


def whole(body: bytes, *headers: str, status: int = 200) -> bytes:
    """A reply with its length."""
    lines = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@cache
def swelling(rounds: int = 1) -> bytes:
    """A gibibyte of zeros, gzipped so many times: a megabyte, then 5,000 bytes, then 300."""
    if rounds == 1:
        return gzip.compress(bytes(2**26), 9, mtime=0) * 16
    return gzip.compress(swelling(rounds - 1), 9, mtime=0)


def flood(block: bytes, *headers: str) -> Script:
    """A body without end and without length."""

    def say(heard: Heard) -> Iterator[bytes]:
        yield "\r\n".join(["HTTP/1.1 200 OK", *headers]).encode() + b"\r\n\r\n"
        yield from repeat(block, 8 * 2**30 // len(block))

    return say


# -- how they say it -----------------------------------------------------------------------------


@contextmanager
def serving(script: Script, *, pace: float = PACE, tls: bool = False) -> Iterator[Hostile]:
    """A server that answers every request with *script*, and then closes the connection.

    Args:
        pace: Seconds between two pieces; 0 sends as fast as the line takes them.
        tls: With the certificate of ``fixtures/localhost.pem``.
    """
    with _listening(tls) as (listener, served):
        seen = Hostile(listener.getsockname()[1])
        served(lambda line: _answer(line, script, seen, pace))
        yield seen


@contextmanager
def proxying(*, tls: bool = False) -> Iterator[str]:
    """A forward proxy on the loopback that carries ``CONNECT``; its URL."""
    with _listening(tls) as (listener, served):
        served(_forward)
        scheme = "https" if tls else "http"
        yield f"{scheme}://localhost:{listener.getsockname()[1]}"


@contextmanager
def hardly_reading() -> Iterator[Hostile]:
    """A server that reads a kilobyte now and then, so that no single write takes too long."""
    over = threading.Event()

    def sip(line: socket.socket) -> None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        for _ in range(DRIPS):
            if over.wait(PACE) or not line.recv(1024):
                return
        seen.outlasted += 1

    with _listening(False) as (listener, served):
        seen = Hostile(listener.getsockname()[1])
        served(sip)
        try:
            yield seen
        finally:
            over.set()


def trusting() -> ssl.SSLContext:
    """A client's context that takes the certificate of these servers, on any day."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def _listening(
    tls: bool,
) -> Iterator[tuple[socket.socket, Callable[[Callable[[socket.socket], None]], None]]]:
    threads: list[threading.Thread] = []
    lines: list[socket.socket] = []
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def served(handle: Callable[[socket.socket], None]) -> None:
        def one(line: socket.socket) -> None:
            with suppress(OSError, ssl.SSLError), line:
                if tls:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(FIXTURES / "localhost.pem", FIXTURES / "localhost.key")
                    line = context.wrap_socket(line, server_side=True)
                with line:
                    handle(line)

        def accept() -> None:
            while not stopped.is_set():
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                lines.append(line)
                threads.append(threading.Thread(target=one, args=(line,), daemon=True))
                threads[-1].start()

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()

    try:
        yield listener, served
    finally:
        stopped.set()
        # Who has given up is seen by its thread a moment later.
        for thread in threads[1:]:
            thread.join(10)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


def _answer(line: socket.socket, script: Script, seen: Hostile, pace: float) -> None:
    heard = _read(line)
    if heard is None:
        return
    seen.heard.append(heard)
    try:
        for piece in script(heard):
            line.sendall(piece)
            if pace and _gone(line, pace):
                seen.left += 1
                return
    except OSError:
        seen.left += 1
        return
    seen.outlasted += 1


def _gone(line: socket.socket, pace: float) -> bool:
    """Whether the other side hangs up within *pace* seconds."""
    readable, _, _ = select.select([line], [], [], pace)
    return bool(readable) and not line.recv(1)


def _read(line: socket.socket) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := line.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for said in head.split(b"\r\n")[1:]:
        name, _, value = said.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length and (more := line.recv(65536)):
        body += more
    method, path, _ = head.decode("latin-1").split(" ", 2)
    return Heard(method, path, head, body)


def _forward(line: socket.socket) -> None:
    heard = _read(line)
    assert heard is not None
    host, _, port = heard.path.rpartition(":")
    with socket.create_connection((host, int(port))) as there:
        line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pending = isinstance(line, ssl.SSLSocket)
        while True:
            readable, _, _ = select.select([line, there], [], [])
            for one, other in ((line, there), (there, line)):
                if one not in readable:
                    continue
                data = one.recv(65536)
                while pending and isinstance(one, ssl.SSLSocket) and one.pending():
                    data += one.recv(65536)
                if not data:
                    return
                other.sendall(data)
