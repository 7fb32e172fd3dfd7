"""The client for asyncio: effects are carried out by awaiting them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from wanbridge.adapters.registry import Registry
from wanbridge.client.arguments import check_path, expect, expect_or_none
from wanbridge.client.base import BaseClient, H, all_saved, bought, is_here, sandboxed
from wanbridge.client.options import CALL, COMPARING
from wanbridge.model.result import Image, ImageResult
from wanbridge.storage.addresses import Address, is_address, made_folder

if TYPE_CHECKING:
    from wanbridge.adapters.base import Adapter
    from wanbridge.adapters.steps import Cancelled, Found, ModelInfo, Step, TooLate
    from wanbridge.client.options import Call, Comparing, Progress, Rating
    from wanbridge.model.jobs import Job, Receipt
    from wanbridge.model.money import Money
    from wanbridge.model.request import ImageRequest
    from wanbridge.model.source import Metadata
    from wanbridge.money.comparison import Workload
    from wanbridge.money.quotes import Quote
    from wanbridge.sandbox import Sandbox
    from wanbridge.transport.library import httpx

N = TypeVar("N", Path, Address)
P = TypeVar("P", Path, str)


class AsyncClient(BaseClient):
    """`Client` for asyncio: the same methods, awaited.

    It works in whichever event loop awaits it, one after the other or several at the same time in
    several threads. Each loop has connections of its own, which end with it; accounts, budgets,
    health and ledger are the client's.

    Args:
        fit: As for `Client`; pictures are fitted in a thread, except by `explain`.
        http: The caller's own ``httpx.AsyncClient``, which must not retry or follow redirects. It
            belongs to the event loop that uses it first.
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
        # As in the base: loaded by the first client.
        from wanbridge.client.async_runner import AsyncRunner
        from wanbridge.transport.asynchronous import AsyncHttpTransport

        expect_or_none("sleep", sleep, Callable, "a coroutine function")  # type: ignore[arg-type]
        super().__init__(adapters, **options)
        transport = AsyncHttpTransport(self._calls.timeouts, http=http, now=self._now)
        self._runner = AsyncRunner(
            transport, sleep=sleep, callbacks=self._callbacks, storage=self._storage
        )

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
        """Close the connections of this event loop; other loops close theirs as they go on."""
        await self._runner.close()
        self._close()

    async def generate(
        self, request: ImageRequest | str = "", /, **how: Unpack[Call]
    ) -> ImageResult:
        """As `Client.generate`.

        A cancellation during the submit is held back until its outcome is known; the
        ``CancelledError`` then carries ``.job``, ``.receipt`` or ``.result``.
        """
        made, rest = await self._prepared_aside(request, how, CALL)
        return await self._runner.run(self._calls.generate(made, rest))

    async def submit(self, request: ImageRequest | str = "", /, **how: Unpack[Call]) -> Job:
        """As `Client.submit`."""
        made, rest = await self._prepared_aside(request, how, CALL)
        return await self._runner.run(self._calls.submit(made, rest))

    async def look(self, job: Job) -> Step:
        """As `Client.look`."""
        return await self._runner.run(self._calls.look(job))

    async def wait(
        self,
        job: Job,
        *,
        deadline: float | None = None,
        on_progress: Progress | None = None,
    ) -> ImageResult:
        """As `Client.wait`."""
        return await self._runner.run(self._calls.wait(job, deadline, on_progress))

    async def cancel(self, job: Job) -> Cancelled | TooLate:
        """As `Client.cancel`."""
        return await self._runner.run(self._calls.cancel(job))

    async def balance(self, provider: str | None = None) -> Money:
        """As `Client.balance`."""
        return await self._runner.run(self._calls.balance(provider))

    async def models(self, provider: str | None = None) -> tuple[ModelInfo, ...]:
        """As `Client.models`."""
        return await self._runner.run(self._calls.models(provider))

    async def estimate(
        self, request: ImageRequest | str = "", /, *, provider: str | None = None, **fields: Any
    ) -> Money:
        """As `Client.estimate`."""
        made, rest = await self._prepared_aside(request, fields, ())
        return await self._runner.run(self._calls.estimate(made, provider, rest))

    async def compare(
        self, request: ImageRequest | str = "", /, **how: Unpack[Comparing]
    ) -> list[Quote]:
        """As `Client.compare`."""
        made, rest = await self._prepared_aside(request, how, COMPARING)
        quotes, estimates = self._compare(made, rest)
        return quotes if estimates is None else await self._runner.run(estimates)

    async def compare_all(
        self, requests: Iterable[ImageRequest], /, **how: Unpack[Rating]
    ) -> Workload:
        """As `Client.compare_all`."""
        if self._fits:
            requests = await asyncio.to_thread(self._all_fitted, requests)
        return self._workload(requests, how)

    async def refresh(self, job: Job) -> tuple[Image, ...]:
        """As `Client.refresh`."""
        return await self._runner.run(self._calls.refresh(job))

    async def reconcile(self, receipt: Receipt) -> Found:
        """As `Client.reconcile`."""
        return await self._runner.run(self._calls.reconcile(receipt))

    async def measure(self, request: ImageRequest) -> ImageRequest:
        """As `Client.measure`."""
        return await self._runner.run(self._calls.measure(request))

    async def download(self, image: Image) -> Image:
        """As `Client.download`."""
        return await self._runner.run(self._calls.download(image))

    @overload
    async def save(
        self, image: Image, path: Path, *, force: bool = False, metadata: Metadata = True
    ) -> Path: ...
    @overload
    async def save(
        self, image: Image, path: str, *, force: bool = False, metadata: Metadata = True
    ) -> Path | str: ...

    async def save(
        self, image: Image, path: str | Path, *, force: bool = False, metadata: Metadata = True
    ) -> Path | str:
        """As `Client.save`."""
        check_path("path", path)
        if is_address(path):
            address = Address.of(str(path))
            return await self._save_object(image, address, force=force, metadata=metadata)
        return await self._save_file(image, Path(path), force=force, metadata=metadata)

    async def _save_file(
        self, image: Image, path: Path, *, force: bool, metadata: Metadata
    ) -> Path:
        if is_here(image):
            here = await self.download(image)
            return self._saved(image, here.save(path, force=force, metadata=metadata))
        with self._file(image, path, force=force, metadata=metadata) as file:
            await self._runner.run(self._calls.save(image, file))
            complete = file.commit()
        return self._saved(image, complete)

    async def _save_object(
        self, image: Image, address: Address, *, force: bool, metadata: Metadata
    ) -> str:
        if address.scheme == "file":
            path = made_folder(address)
            return (await self._save_file(image, path, force=force, metadata=metadata)).as_uri()
        picture = await self.download(image)
        upload = self._upload(picture, address, force=force, metadata=metadata)
        with bought():
            stored = await self.store_at(str(address)).put_async(**upload)
        return self._saved(image, str(stored))

    @overload
    async def save_all(
        self, result: ImageResult, folder: Path, *, force: bool = False, metadata: Metadata = True
    ) -> list[Path]: ...
    @overload
    async def save_all(
        self, result: ImageResult, folder: str, *, force: bool = False, metadata: Metadata = True
    ) -> list[Path] | list[str]: ...

    async def save_all(
        self,
        result: ImageResult,
        folder: str | Path,
        *,
        force: bool = False,
        metadata: Metadata = True,
    ) -> list[Path] | list[str]:
        """As `Client.save_all`."""
        from wanbridge.storage.filenames import free_addresses, free_paths

        expect("result", result, ImageResult)
        check_path("folder", folder)
        if not is_address(folder):
            paths = free_paths(result, Path(folder), force=force)

            async def save_file(image: Image) -> Path:
                return await _first_free(
                    paths,
                    lambda path: self._save_file(image, path, force=force, metadata=metadata),
                )

            return all_saved(await _outcomes(result.images, save_file))
        objects = free_addresses(result, Address.of(str(folder)), force=force)

        async def save_object(image: Image) -> str:
            picture = await self.download(image)  # once, however many names are taken
            return await _first_free(
                objects,
                lambda name: self._save_object(picture, name, force=force, metadata=metadata),
            )

        return all_saved(await _outcomes(result.images, save_object))

    async def _prepared_aside(
        self, request: ImageRequest | str, how: H, options: Collection[str]
    ) -> tuple[ImageRequest | str, H]:
        """As `_prepared`, in a thread where there is something to do: it takes a second or so."""
        if not self._fits:
            return request, how
        return await asyncio.to_thread(self._prepared, request, how, options)


async def _outcomes(
    images: Iterable[Image], save: Callable[[Image], Awaitable[P]]
) -> list[P | Exception]:
    """Where each picture is saved, or why it is not."""
    outcomes = list[P | Exception]()
    for image in images:
        try:
            outcomes.append(await save(image))
        except Exception as exc:
            outcomes.append(exc)
    return outcomes


async def _first_free(names: Iterator[N], save: Callable[[N], Awaitable[P]]) -> P:
    """Save under the next name that nothing has."""
    for name in names:
        with suppress(FileExistsError):  # It came into being since; the next is free.
            return await save(name)
    raise AssertionError("names never end")  # pragma: no cover
