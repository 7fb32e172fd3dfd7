"""A sandbox's clock, and short ways to call one of its providers by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import failover
from attrs import define

from wanbridge.sandbox import Reply, Sandbox
from wanbridge.wire import HttpRequest


class SharedClock(failover.Clock):
    """Wall and monotonic time of a sandbox and its client; sleeping moves it."""

    async def sleep_async(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@define
class Clock:
    """Stands still unless told."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@define
class Caller:
    """A client of one provider that knows its key."""

    sandbox: Sandbox
    provider: str
    clock: Clock

    def send(
        self, method: str, path: str = "", value: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON body of the answer."""
        reply = self.reply(method, path, value, **headers)
        return reply.response.status, reply.response.json()

    def reply(self, method: str, path: str = "", value: Any = None, **headers: str) -> Reply:
        """The whole answer; ``X_Y`` in *headers* stands for X-Y."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        key = {"Authorization": f"Bearer {self.sandbox.api_key(self.provider)}"}
        return self.sandbox.handle(
            HttpRequest(
                method=method,
                url=self.sandbox.base_url(self.provider) + path,
                headers=key | {name.replace("_", "-"): v for name, v in headers.items()},
                body=b"" if value is None else body,
            )
        )

    def fetch(self, url: str) -> Reply:
        """A download, without the key."""
        return self.sandbox.handle(HttpRequest(method="GET", url=url))

    def charged(self) -> str:
        """What is taken and not given back."""
        total: str = self.sandbox.ledger()["totals"][self.provider]["charged"]
        return total
