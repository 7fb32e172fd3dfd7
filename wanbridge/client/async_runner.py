"""Carries the effects of a conversation out on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from wanbridge.engine.driver import Driver
from wanbridge.engine.effects import Effect, Fetch, Resolve, Send, Sleep, Stage, Wake
from wanbridge.transport.asynchronous import AsyncHttpTransport

if TYPE_CHECKING:
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.storage.object_store import ObjectStore

T = TypeVar("T")


@frozen(eq=False)
class AsyncRunner:
    """Runs conversations in the tasks of any event loop; attributes as of `Runner`."""

    transport: AsyncHttpTransport
    sleep: Callable[[float], Awaitable[None]] | None = None
    callbacks: CallbackReceiver | None = None
    storage: ObjectStore | None = None

    async def close(self) -> None:
        """Close all connections."""
        await self.transport.close()

    async def run(self, driver: Driver[T]) -> T:
        """What the conversation returns, or raises; marked with how to go on."""
        with driver:
            while (effect := driver.effect) is not None:
                held: list[BaseException] = []
                try:
                    driver.reply(await self._perform(effect, held))
                except BaseException as exc:
                    driver.fail(exc)
                driver.advance()
                if held:
                    driver.interrupt(held[0])
            return driver.result()

    async def _perform(self, effect: Effect, held: list[BaseException]) -> object:
        match effect:
            case Sleep(seconds, wake):
                return await self._rest(seconds, wake)
            case Send(billable=True):
                return await self._send_held(effect, held)
            case Send():
                return await self.transport.send(effect)
            case Resolve():
                return await self.transport.resolve(effect)
            case Fetch():
                return await self.transport.fetch(effect)
            case Stage():
                assert self.storage is not None
                return await self.storage.stage_async(effect)

    async def _rest(self, seconds: float, wake: Wake | None) -> int | None:
        if wake is None or self.callbacks is None:
            await (self.sleep or asyncio.sleep)(seconds)
            return None
        notifications = self.callbacks.notifications
        if self.sleep is None:
            return await notifications.wait_async(wake, seconds)
        if notifications.latest(wake) == wake.seen:
            await self.sleep(seconds)
        return notifications.latest(wake)

    async def _send_held(self, send: Send, held: list[BaseException]) -> object:
        """Send in a task of its own, so that a first cancellation can wait for the reply.

        A cancellation ends whatever future is waited for, so each wait has one of its own,
        which the task itself wakes: `asyncio.shield` would need the loop once more.
        """
        loop = asyncio.get_running_loop()
        outcome: list[tuple[object, BaseException | None]] = []

        async def carry() -> None:
            try:
                outcome.append((await self.transport.send(send), None))
            except BaseException as exc:
                outcome.append((None, exc))
            if not waiter.done():
                waiter.set_result(None)

        waiter = loop.create_future()
        task = loop.create_task(carry())
        while not outcome:
            try:
                await waiter
            except asyncio.CancelledError as exc:
                if held:
                    task.cancel()
                    raise
                held.append(exc)
                waiter = loop.create_future()
        reply, error = outcome[0]
        if error is not None:
            raise error
        return reply
