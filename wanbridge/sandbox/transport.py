"""An HTTP client's transport that ends in a sandbox instead of a socket."""

from __future__ import annotations

from wanbridge.sandbox.reply import Reply
from wanbridge.sandbox.sandbox import Sandbox
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest


class SandboxTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """For ``httpx.Client`` and ``httpx.AsyncClient`` alike.

    Nothing is slept: a slow reply comes at once, and one that is slower than the client's read
    timeout, or never comes, is a ``ReadTimeout`` at once.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The sandbox's reply to *request*, whatever host it names."""
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same, for an asynchronous client."""
        await request.aread()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        reply = self._sandbox.handle(
            HttpRequest(
                method=request.method,
                url=str(request.url),
                headers=dict(request.headers),
                body=request.content,
            )
        )
        if reply.drop:
            raise httpx.RemoteProtocolError(
                "Server disconnected without sending a response.", request=request
            )
        if reply.hang or _too_slow(reply, request):
            raise httpx.ReadTimeout("The sandbox gave no answer in time.", request=request)
        if reply.cut:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body", request=request
            )
        return httpx.Response(
            reply.response.status,
            headers=dict(reply.response.headers),
            content=reply.response.body,
            request=request,
        )


def _too_slow(reply: Reply, request: httpx.Request) -> bool:
    timeouts = request.extensions.get("timeout", {}).get("read")
    return timeouts is not None and reply.delay > timeouts
