"""Carries the effects of a conversation out in the caller's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from wanbridge.engine.driver import Driver
from wanbridge.engine.effects import Effect, Fetch, Resolve, Send, Sleep, Stage, Wake
from wanbridge.transport.blocking import HttpTransport
from wanbridge.transport.interrupts import Interrupts

if TYPE_CHECKING:
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.storage.object_store import ObjectStore

T = TypeVar("T")


@frozen(eq=False)
class Runner:
    """Runs conversations over blocking sockets; safe to share between threads.

    Attributes:
        transport: Sends, fetches and resolves; this closes it.
        sleep: For tests; None is `time.sleep`.
        callbacks: Wakes a sleep at the news of a job; None: nothing does.
        storage: Stages pictures; None: no conversation asks for that.
    """

    transport: HttpTransport
    sleep: Callable[[float], None] | None = None
    callbacks: CallbackReceiver | None = None
    storage: ObjectStore | None = None

    def close(self) -> None:
        """Close all connections."""
        self.transport.close()

    def run(self, driver: Driver[T]) -> T:
        """What the conversation returns, or raises; marked with how to go on."""
        with driver:
            while (effect := driver.effect) is not None:
                if isinstance(effect, Send) and effect.billable:
                    with Interrupts() as interrupts:
                        self._carry_out(effect, driver)
                    driver.interrupt(interrupts.caught)
                else:
                    self._carry_out(effect, driver)
            return driver.result()

    def _carry_out(self, effect: Effect, driver: Driver[Any]) -> None:
        try:
            driver.reply(self._perform(effect))
        except BaseException as exc:
            driver.fail(exc)
        driver.advance()

    def _perform(self, effect: Effect) -> object:
        match effect:
            case Send():
                return self.transport.send(effect)
            case Sleep(seconds, wake):
                return self._rest(seconds, wake)
            case Resolve():
                return self.transport.resolve(effect)
            case Fetch():
                return self.transport.fetch(effect)
            case Stage():
                assert self.storage is not None
                return self.storage.stage(effect)

    def _rest(self, seconds: float, wake: Wake | None) -> int | None:
        if wake is None or self.callbacks is None:
            (self.sleep or time.sleep)(seconds)
            return None
        notifications = self.callbacks.notifications
        if self.sleep is None:
            return notifications.wait(wake, seconds)
        if notifications.latest(wake) == wake.seen:
            self.sleep(seconds)
        return notifications.latest(wake)
