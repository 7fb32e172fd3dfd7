"""Sends the sandbox's callbacks over HTTP while it is served from a socket.

Customers give https addresses, which no test can serve: ``deliver_to`` says where a request to
such an address goes instead. Without it only loopback addresses are called; to all others a
callback gets no answer, so that a sandbox never calls a real service.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from wanbridge.sandbox.callbacks import Callback
from wanbridge.sandbox.sandbox import Sandbox
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest

# Seconds between two looks at what is due.
_TICK = 0.02


class CallbackDelivery:
    """Delivers what is due; lives in one event loop.

    Callbacks that are due together go out in their order, one after the other. If the sandbox has
    an ``on_callback``, that is called in a thread instead of HTTP, and what it raises is a 500.

    Args:
        deliver_to: ``{"https://app.example.com": "http://127.0.0.1:5000"}``: the beginning of an
            address, and what stands in its place.
    """

    def __init__(self, sandbox: Sandbox, deliver_to: Mapping[str, str] | None = None) -> None:
        self._sandbox = sandbox
        self._deliver_to = dict(deliver_to or {})
        self._client: httpx.AsyncClient | None = None
        self._batches: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver for ever; cancel it to stop, which breaks off what is under way."""
        try:
            while True:
                await asyncio.sleep(_TICK)
                if due := self._sandbox.take_callbacks():
                    self._start(due)
        finally:
            for batch in self._batches:
                batch.cancel()
            if self._client is not None:
                await self._client.aclose()

    async def before_reply(self) -> None:
        """Deliver what goes out before the reply to a submit."""
        await asyncio.wait([self._start(self._sandbox.take_callbacks(early=True))])

    def _start(self, callbacks: list[Callback]) -> asyncio.Task[None]:
        batch = asyncio.create_task(self._send(callbacks))
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)
        return batch

    async def _send(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            self._sandbox.callback_answered(callback, await self._answer(callback.request))

    async def _answer(self, request: HttpRequest) -> int | None:
        if (receive := self._sandbox.on_callback) is not None:
            try:
                return await asyncio.to_thread(receive, request)
            except Exception:
                # As a web framework would have it.
                return 500
        url = self._address(request.url)
        return None if url is None else await self._post(url, request)

    def _address(self, url: str) -> str | None:
        for beginning, instead in self._deliver_to.items():
            rest = url.removeprefix(beginning.rstrip("/"))
            if rest != url and rest[:1] in ("", "/", "?"):
                return instead.rstrip("/") + rest
        return url if _is_loopback(url) else None

    async def _post(self, url: str, request: HttpRequest) -> int | None:
        if self._client is None:
            # A proxy of the environment is not meant for loopback.
            self._client = httpx.AsyncClient(trust_env=False)
        try:
            response = await asyncio.wait_for(
                self._client.post(
                    url, content=request.body, headers=dict(request.headers), timeout=None
                ),
                request.read_timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None
        return response.status_code


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
