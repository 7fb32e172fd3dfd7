"""The HTTP clients of each event loop that uses one transport.

A connection works in the event loop that opened it and in no other, so each loop has pools of
its own, and they have to be closed before it is. What ends a loop in an orderly way
(``asyncio.run``, a runner, a web server) closes its asynchronous generators last: each loop has
one here, and that closes the loop's connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from attrs import Factory, define, frozen

from wanbridge.transport.deadlines import abandon
from wanbridge.transport.pools import ByOrigin

if TYPE_CHECKING:
    from wanbridge.transport.library import httpx


@frozen(eq=False)
class _LoopPools:
    """Pools of one event loop, and the generator whose end closes their clients."""

    pools: ByOrigin[httpx.AsyncClient]
    end: AsyncGenerator[None, None]


@define(eq=False)
class PoolsByLoop:
    """Pools of every event loop; safe to share between loops in several threads."""

    _by_loop: dict[asyncio.AbstractEventLoop, _LoopPools] = Factory(dict)
    _closing: set[asyncio.Task[None]] = Factory(set)
    _lock: Lock = Factory(Lock)

    def here(self) -> ByOrigin[httpx.AsyncClient]:
        """Those of the running loop."""
        loop = asyncio.get_running_loop()
        if (found := self._by_loop.get(loop)) is None:
            self._forget_closed()
            pools: ByOrigin[httpx.AsyncClient] = {}
            end = self._until_it_ends(loop, pools)
            with suppress(StopIteration):  # it yields at once; from now on the loop knows it
                end.asend(None).send(None)
            found = self._by_loop[loop] = _LoopPools(pools, end)
        return found.pools

    async def close(self) -> None:
        """Close the clients of the running loop; other loops close theirs as soon as they run."""
        self._forget_closed()
        here = asyncio.get_running_loop()
        for loop, its in list(self._by_loop.items()):
            if loop is here:
                await its.end.aclose()
            else:
                with suppress(RuntimeError):  # it was closed meanwhile
                    loop.call_soon_threadsafe(self._close_soon, loop, its)

    def _close_soon(self, loop: asyncio.AbstractEventLoop, its: _LoopPools) -> None:
        task = loop.create_task(self._close(its))
        self._closing.add(task)  # a loop has only weak references to its tasks
        task.add_done_callback(self._closing.discard)

    async def _close(self, its: _LoopPools) -> None:
        await its.end.aclose()

    async def _until_it_ends(
        self, loop: asyncio.AbstractEventLoop, pools: ByOrigin[httpx.AsyncClient]
    ) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._by_loop.pop(loop, None)
            for of_origin in pools.values():
                while of_origin.pools:
                    await of_origin.pools.pop().client.aclose()

    def _forget_closed(self) -> None:
        """Drop the connections of loops that were closed without ending their generators."""
        with self._lock:
            dead = [loop for loop in list(self._by_loop) if loop.is_closed()]
            dropped = [self._by_loop.pop(loop) for loop in dead]
        for its in dropped:
            for of_origin in its.pools.values():
                for pool in of_origin.pools:
                    abandon(pool.client)
