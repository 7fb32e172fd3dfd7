"""The sandbox on a real socket: real drops, real silence, real half bodies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any, cast

from wanbridge.sandbox.callback_delivery import CallbackDelivery
from wanbridge.sandbox.extra import missing_extra
from wanbridge.sandbox.reply import Reply
from wanbridge.sandbox.sandbox import Sandbox
from wanbridge.wire import HttpRequest

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as error:
    raise missing_extra(error) from error

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

# A slow body comes in this many pieces.
_PIECES = 8
# Connections that may wait to be accepted: a thousand clients starting at once.
_BACKLOG = 2048
# Longer than HTTP clients keep idle connections, so that none is dropped without a fault.
_KEEP_ALIVE_SECONDS = 75


class _Protocol(H11Protocol):
    """Hands each request its TCP connection, in ``scope["state"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class _App:
    """The sandbox as an ASGI application."""

    def __init__(self, sandbox: Sandbox, delivery: CallbackDelivery) -> None:
        self._sandbox = sandbox
        self._callback_delivery = delivery
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End every wait; connections that still wait are closed."""
        self._stopping.set()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        reply = self._sandbox.begin(await self._request(scope, receive))
        transport = cast("asyncio.Transport", scope["state"]["transport"])
        if reply.early:
            await self._callback_delivery.before_reply()
        if reply.render is not None:
            reply = await asyncio.to_thread(reply.rendered)
        if reply.hang:
            await self._silence(receive)
        elif not reply.drop and await self._waited(reply.delay) and await self._sent(reply, send):
            return
        if reply.cut:
            # What was written is sent first.
            transport.close()
        else:
            transport.abort()
        await _gone(receive)

    async def _request(self, scope: _Scope, receive: _Receive) -> HttpRequest:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        return HttpRequest(
            method=scope["method"],
            url=f"{self._sandbox.origin}{path}{'?' if query else ''}{query}",
            headers={k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]},
            body=body,
        )

    async def _silence(self, receive: _Receive) -> None:
        """Wait until the client has gone or the server stops."""
        waits = [asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(self._stopped())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _stopped(self) -> None:
        await self._stopping.wait()

    async def _waited(self, seconds: float) -> bool:
        """Whether *seconds* passed before the server stopped."""
        if seconds <= 0:
            return True
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _sent(self, reply: Reply, send: _Send) -> bool:
        """Whether the whole reply went out."""
        body = reply.response.body
        headers = {**reply.response.headers, "Content-Length": str(len(body))}
        raw = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        start = {"type": "http.response.start", "status": reply.response.status, "headers": raw}
        await send(start)
        if reply.cut:
            await _piece(send, body[: len(body) // 2], more=True)
            return False
        if reply.drip:
            step = max(len(body) // _PIECES, 1)
            for at in range(0, len(body), step):
                await _piece(send, body[at : at + step], more=True)
                if not await self._waited(reply.drip / _PIECES):
                    return False
            body = b""
        await _piece(send, body, more=False)
        return True


async def _piece(send: _Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Server(uvicorn.Server):
    """Sends callbacks too, and stops without uvicorn's waits.

    uvicorn looks every 0.1 s whether it is to stop, and then waits as long again (0.54, read
    2026-11-28). Programs that start a sandbox for each of their tests would wait for minutes.
    """

    def __init__(self, config: uvicorn.Config, app: _App, delivery: CallbackDelivery) -> None:
        super().__init__(config)
        self._app = app
        self._callback_delivery = delivery
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Stop at once; from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stopped.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        rounds = asyncio.create_task(self._callback_delivery.run())
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)
        rounds.cancel()
        await asyncio.wait([rounds])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop()
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for closing in (*self.servers, *(sockets or ())):
            closing.close()


def _listen(
    sandbox: Sandbox, host: str, port: int, deliver_to: Mapping[str, str] | None
) -> tuple[_Server, socket.socket]:
    """A server and its socket, already listening; the sandbox knows its origin."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    shown = f"[{host}]" if ":" in host else host
    sandbox.origin = f"http://{shown}:{listener.getsockname()[1]}"
    delivery = CallbackDelivery(sandbox, deliver_to)
    app = _App(sandbox, delivery)
    config = uvicorn.Config(
        cast("Any", app),
        http=_Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    return _Server(config, app, delivery), listener


def serve(
    sandbox: Sandbox,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    ready: Callable[[Sandbox], None] | None = None,
    deliver_to: Mapping[str, str] | None = None,
) -> None:
    """Serve until interrupted.

    Args:
        port: 0 takes any that is free; ``sandbox.origin`` tells which.
        ready: Called once, when clients may connect.
        deliver_to: Where callbacks go, as for ``running``.

    Raises:
        OSError: the address is taken.
    """
    server, listener = _listen(sandbox, host, port, deliver_to)
    if ready is not None:
        ready(sandbox)
    server.run(sockets=[listener])


@contextlib.contextmanager
def running(
    sandbox: Sandbox | None = None,
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    deliver_to: Mapping[str, str] | None = None,
) -> Iterator[Sandbox]:
    """A sandbox that is served from a thread of its own for as long as the block lasts.

    Args:
        sandbox: None makes one with every provider.
        port: 0 takes any that is free.
        deliver_to: ``{"https://app.example.com": "http://127.0.0.1:5000"}``: where callbacks go
            whose address begins so. Of other addresses only those on loopback are called.
    """
    sandbox = sandbox or Sandbox()
    before = sandbox.origin
    server, listener = _listen(sandbox, host, port, deliver_to)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="wanbridge-sandbox", daemon=True
    )
    thread.start()
    try:
        yield sandbox
    finally:
        server.stop()
        thread.join()
        sandbox.origin = before
