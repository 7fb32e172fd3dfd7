"""Two image providers on one port, which misbehave as the path tells them to, and count.

``POST /<case>/<provider>/<fault>/v1/images/generations`` is an order. A good one is answered
with ``{"created": ..., "data": [{"url": ...}]}``: OpenAI's reply, and also EmpirioLabs' one where
it answers with the pictures at once. So peers of either dialect are sent the same bytes.
``GET .../v1/jobs`` is EmpirioLabs' list of jobs: empty, for pictures at once make no job.
``GET /<case>/counts`` tells ``{"one": {"posts": 3, "taken": 1}, "two": ...}``.

An order that is *taken* would be charged. Of a lost reply, a silence and a 500 the client cannot
tell whether its order was taken: here it was, and for the 500 both are to be had.

    python server.py            # prints its port, serves until it is killed
"""

from __future__ import annotations

import asyncio
import json
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What becomes of an order.

    Attributes:
        taken: Whether it would be charged.
        status: Of the reply; None is no reply.
        error: ``type`` and ``code`` of the error body; they are in both dialects.
        images: How many a success brings.
    """

    taken: bool
    status: int | None = 200
    error: str = ""
    images: int = 1


FAULTS = {
    "ok": Fault(taken=True),
    "drop": Fault(taken=True, status=None),
    "hang": Fault(taken=True, status=None),
    "500-taken": Fault(taken=True, status=500, error="server_error"),
    "500": Fault(taken=False, status=500, error="server_error"),
    "429": Fault(taken=False, status=429, error="rate_limit_exceeded"),
    "402": Fault(taken=False, status=402, error="insufficient_credits"),
    "400": Fault(taken=False, status=400, error="invalid_request_error"),
    "empty": Fault(taken=True, images=0),
}
# The shortest pause that the header can ask for.
RETRY_AFTER_SECONDS = 1


class Providers:
    """Both providers of every case; a case is whatever the first part of the path says."""

    def __init__(self) -> None:
        self.posts: Counter[tuple[str, str]] = Counter()
        self.taken: Counter[tuple[str, str]] = Counter()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection, kept alive until the client or a fault ends it."""
        try:
            while (message := await _message(reader)) is not None:
                if (reply := await self.answer(*message, reader)) is None:
                    break
                writer.write(reply)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str, reader: StreamReader) -> bytes | None:
        """The reply; None closes the connection without one."""
        match method, path.partition("?")[0].strip("/").split("/"):
            case "POST", [case, provider, fault, "v1", "images", "generations"] if fault in FAULTS:
                return await self.order(case, provider, fault, reader)
            case "GET", [_, _, _, "v1", "jobs"]:
                return _reply(200, {"data": []})
            case "GET", [case, "counts"]:
                return _reply(200, self.counts(case))
        return _reply(404, {"error": {"message": f"nothing at {path}", "type": "not_found"}})

    async def order(
        self, case: str, provider: str, name: str, reader: StreamReader
    ) -> bytes | None:
        """One order, counted before anything goes wrong with it."""
        fault = FAULTS[name]
        self.posts[case, provider] += 1
        self.taken[case, provider] += fault.taken
        if fault.status is None:
            if name == "hang":
                await reader.read()  # ends when the client has gone
            return None
        if fault.error:
            error = {"message": "on command", "type": fault.error, "code": fault.error}
            return _reply(fault.status, {"error": error})
        urls = [f"http://127.0.0.1/{provider}/{i}.png" for i in range(fault.images)]
        return _reply(200, {"created": int(time.time()), "data": [{"url": url} for url in urls]})

    def counts(self, case: str) -> dict[str, dict[str, int]]:
        """What one case's providers have seen."""
        return {
            name: {"posts": self.posts[case, name], "taken": self.taken[case, name]}
            for name in ("one", "two")
        }


async def _message(reader: StreamReader) -> tuple[str, str] | None:
    """Method and path of the next request, whose body is read too; None at the end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(fields.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head[0].split(" ")
    return method, path


def _reply(status: int, body: Any) -> bytes:
    raw = json.dumps(body).encode()
    pause = (
        f"Retry-After: {RETRY_AFTER_SECONDS}\r\n" if status == HTTPStatus.TOO_MANY_REQUESTS else ""
    )
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(raw)}\r\n{pause}\r\n"
    )
    return head.encode() + raw


async def main() -> None:
    """Serve on any free port of the loopback address, and print it."""
    server = await asyncio.start_server(Providers().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
