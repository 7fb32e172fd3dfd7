"""The client for asyncio: effects are carried out by awaiting them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Cancelled, Found, ModelInfo, Step, TooLate
from wanbridge.client.base import BaseClient, is_here, sandboxed
from wanbridge.client.options import Call, Comparing, Progress, Rating
from wanbridge.engine.driver import Driver
from wanbridge.engine.effects import Effect, Fetch, Resolve, Send, Sleep, Wake
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.money.price_book import Quote
from wanbridge.transport.asynchronous import AsyncHttpTransport

if TYPE_CHECKING:
    from wanbridge.money.comparison import Workload
    from wanbridge.sandbox import Sandbox
    from wanbridge.transport.library import httpx

T = TypeVar("T")


class AsyncClient(BaseClient):
    """`Client` for asyncio: the same methods, awaited.

    Args:
        http: An ``httpx.AsyncClient`` of one's own, which must not retry or follow redirects.
            Over a transport that is not the library's own, an exchange that buys is ended by a
            timer, which also has to allow for the wait for a connection: the call's deadline.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter] = (),
        *,
        http: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(adapters, **options)
        self._sleep = sleep
        self._transport = AsyncHttpTransport(self._timeouts, http=http, now=self._now)

    @classmethod
    def sandbox(cls, sandbox: Sandbox | None = None, **options: Any) -> AsyncClient:
        """As `Client.sandbox`."""
        from wanbridge.sandbox.transport import SandboxTransport
        from wanbridge.transport.library import httpx

        registry = Registry()
        sandbox, adapters = sandboxed(sandbox, registry)
        http = httpx.AsyncClient(transport=SandboxTransport(sandbox))
        return cls(adapters, **{"http": http, "registry": registry, **options})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()
        self._close()

    async def generate(
        self, request: ImageRequest | str = "", /, **how: Unpack[Call]
    ) -> ImageResult:
        """As `Client.generate`.

        A cancellation during the submit is held back until its outcome is known; the
        ``CancelledError`` then carries ``.job``, ``.receipt`` or ``.result``.
        """
        return await self._run(self._generate(request, how))

    async def submit(self, request: ImageRequest | str = "", /, **how: Unpack[Call]) -> Job:
        """As `Client.submit`."""
        return await self._run(self._submit(request, how))

    async def look(self, job: Job) -> Step:
        """As `Client.look`."""
        return await self._run(self._look(job))

    async def wait(
        self,
        job: Job,
        *,
        deadline: float | None = None,
        on_progress: Progress | None = None,
    ) -> ImageResult:
        """As `Client.wait`."""
        return await self._run(self._wait(job, deadline, on_progress))

    async def cancel(self, job: Job) -> Cancelled | TooLate:
        """As `Client.cancel`."""
        return await self._run(self._cancel(job))

    async def balance(self, provider: str | None = None) -> Money:
        """As `Client.balance`."""
        return await self._run(self._balance(provider))

    async def models(self, provider: str | None = None) -> tuple[ModelInfo, ...]:
        """As `Client.models`."""
        return await self._run(self._models(provider))

    async def estimate(
        self, request: ImageRequest | str = "", /, *, provider: str | None = None, **fields: Any
    ) -> Money:
        """As `Client.estimate`."""
        return await self._run(self._estimate(request, provider, fields))

    async def compare(
        self, request: ImageRequest | str = "", /, **how: Unpack[Comparing]
    ) -> list[Quote]:
        """As `Client.compare`."""
        return await self._run(self._compare(request, how))

    async def compare_all(
        self, requests: Iterable[ImageRequest], /, **how: Unpack[Rating]
    ) -> Workload:
        """As `Client.compare_all`."""
        return self._workload(requests, how)

    async def refresh(self, job: Job) -> tuple[Image, ...]:
        """As `Client.refresh`."""
        return await self._run(self._refresh(job))

    async def reconcile(self, receipt: Receipt) -> Found:
        """As `Client.reconcile`."""
        return await self._run(self._reconcile(receipt))

    async def measure(self, request: ImageRequest) -> ImageRequest:
        """As `Client.measure`."""
        return await self._run(self._measure(request))

    async def download(self, image: Image) -> Image:
        """As `Client.download`."""
        return await self._run(self._download(image))

    async def save(self, image: Image, path: str | Path, *, force: bool = False) -> Path:
        """As `Client.save`."""
        if is_here(image):
            return self._saved(image, (await self.download(image)).save(path, force=force))
        from wanbridge.storage.files import PictureFile

        with PictureFile(Path(path), force=force) as file:
            await self._run(self._save(image, file))
            complete = file.commit()
        return self._saved(image, complete)

    async def save_all(
        self, result: ImageResult, folder: str | Path, *, force: bool = False
    ) -> list[Path]:
        """As `Client.save_all`."""
        from wanbridge.storage.filenames import free_paths

        names = free_paths(result, Path(folder), force=force)
        found, failures = list[Path](), list[Exception]()
        for image in result.images:
            try:
                found.append(await self._save_next(image, names, force=force))
            except Exception as exc:
                failures.append(exc)
        if failures:
            raise failures[0]
        return found

    async def _save_next(self, image: Image, names: Iterator[Path], *, force: bool) -> Path:
        for path in names:
            with suppress(FileExistsError):
                return await self.save(image, path, force=force)
        raise AssertionError("names never end")  # pragma: no cover

    # -- inner ------------------------------------------------------------------------------

    async def _run(self, driver: Driver[T]) -> T:
        try:
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
        except BaseException as exc:
            driver.mark(exc)
            raise
        finally:
            driver.close()

    async def _perform(self, effect: Effect, held: list[BaseException]) -> object:
        match effect:
            case Sleep(seconds, wake):
                return await self._rest(seconds, wake)
            case Send(billable=True):
                return await self._send_held(effect, held)
            case Send():
                return await self._transport.send(effect)
            case Resolve():
                return await self._transport.resolve(effect)
            case Fetch():
                return await self._transport.fetch(effect)

    async def _rest(self, seconds: float, wake: Wake | None) -> int | None:
        if wake is None or self._callbacks is None:
            await (self._sleep or asyncio.sleep)(seconds)
            return None
        notifications = self._callbacks.notifications
        if self._sleep is None:
            return await notifications.wait_async(wake, seconds)
        if notifications.latest(wake) == wake.seen:
            await self._sleep(seconds)
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
                outcome.append((await self._transport.send(send), None))
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
