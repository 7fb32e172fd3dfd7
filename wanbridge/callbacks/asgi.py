"""A callback receiver as an ASGI application, without a framework."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wanbridge.callbacks.receiver import CallbackReceiver

# Timeout of a body; the quickest provider waits about 5 s for its answer (runware).
BODY_SECONDS = 4.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class CallbackApp:
    """A receiver as an ASGI application."""

    def __init__(self, receiver: CallbackReceiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Bodies that are too long or at a wrong address are not read."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        method, path, headers = scope["method"], scope["path"], _headers(scope)
        refused = self._receiver.admit(method, path, headers, _length(headers))
        if refused is not None:
            return await _answer(send, refused.status)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(receive)
        except TimeoutError:
            return await _answer(send, 408)
        if body is None:
            return None  # the sender has gone
        if self._receiver.on_event is None:
            received = self._receiver.handle(method, path, headers, body)
        else:
            received = await asyncio.to_thread(self._receiver.handle, method, path, headers, body)
        return await _answer(send, received.status)

    async def _body(self, receive: Receive) -> bytes | None:
        """The body, up to where it is known to be too long; None if the sender has gone."""
        body, more = bytearray(), True
        while more and len(body) <= self._receiver.most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _headers(scope: Scope) -> dict[str, str]:
    return {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
