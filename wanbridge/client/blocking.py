"""The blocking client: effects are carried out over blocking sockets, in the caller's thread.

It may be shared by threads. Clock, sleep, chance, keys and the HTTP client are arguments, so that
tests neither wait nor patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from wanbridge.adapters.registry import Registry
from wanbridge.client.arguments import check_path, expect, expect_function
from wanbridge.client.base import BaseClient, all_saved, bought, is_here, sandboxed
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


class Client(BaseClient):
    """Wan 2.7 images from any provider, over blocking sockets.

    Args:
        adapters: The accounts; see also `from_env`, `from_config` and `sandbox`.
        default: The account for calls that name none.
        timeouts: How long to wait for what; by default as in `Timeouts`.
        routes: Routes by name; ``default`` is used where a call names neither account nor route.
        rates: Exchange rates, to compare prices and to count under budgets.
        prices: Instead of those that come with wanbridge.
        ledger: Keeps what is spent, what is open, and what is delivered and not saved yet, also
            for later processes; by default budgets hold within this client. It stays the
            caller's to close.
        telemetry: Watches every call; see `wanbridge.observability.opentelemetry.OpenTelemetry`.
        on_progress: Called with every event of every call; see `wanbridge.engine.events.Event`.
        fit: Make each picture of a request whose bytes are here acceptable everywhere, as
            `InputImage.fitted <wanbridge.model.inputs.InputImage.fitted>` does; results have a
            note for each change. Links are left alone. Needs the extra ``images``.
        callbacks: Receives providers' callbacks in this process: jobs are given an address
            where the provider has callbacks, and a call ends the wait for the next poll.
        storage: Object store for pictures: a URL like ``s3://bucket/prefix``, a mapping as in
            ``[storage]`` of a configuration, or an `ObjectStore`. An input picture given by its
            bytes is put there for providers that take only links; see also `save`.
        http: The caller's own ``httpx.Client``, which must not retry or follow redirects. The
            connections that it makes from now on keep to the bounds of exchanges; a transport
            that is not the library's own has to end them itself.
        clock, now, sleep, chance, new_key: For tests.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter] = (),
        *,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] | None = None,
        **options: Any,
    ) -> None:
        # As in the base: loaded by the first client.
        from wanbridge.client.runner import Runner
        from wanbridge.transport.blocking import HttpTransport

        expect_function("sleep", sleep)
        super().__init__(adapters, **options)
        transport = HttpTransport(self._calls.timeouts, http=http, now=self._now)
        self._runner = Runner(
            transport, sleep=sleep, callbacks=self._callbacks, storage=self._storage
        )

    @classmethod
    def sandbox(cls, sandbox: Sandbox | None = None, **options: Any) -> Client:
        """A client wired to a sandbox in this process: nothing leaves it, nothing costs.

        Args:
            sandbox: To look into its ledger or to give it faults; a new one by default.
        """
        from wanbridge.sandbox.transport import SandboxTransport
        from wanbridge.transport.library import httpx

        registry = Registry()
        sandbox, adapters = sandboxed(sandbox, registry)
        http = httpx.Client(transport=SandboxTransport(sandbox))
        return cls(adapters, **{"http": http, "registry": registry, **options})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._runner.close()
        self._close()

    def generate(self, request: ImageRequest | str = "", /, **how: Unpack[Call]) -> ImageResult:
        """Buy pictures and wait for them: one request, one billable submit.

        Args:
            request: A prompt, or a request that the fields given by name change.
            provider: Account name.
            route: Name of a configured route, an order (``cheapest``, ``fastest``, ``spread``,
                ``given``: any account, in that order) or a `Route`; instead of *provider*. With
                neither it is the route called ``default``, else the client's default or only
                account.
            may_drop: Canonical fields that may be left out, with a note, where they cannot
                be said.
            check_limits: False sends what breaks a documented limit anyway.
            deadline: Seconds for the whole call.
            key: Of this logical call, the same for all it sends; a random one by default.
            on_progress: Called with every event of this call, instead of the client's.
            model, n, size, ...: Fields of `ImageRequest`.

        Raises:
            InvalidRequest, UnsupportedFeature, ConfigurationError: nothing was sent.
            AllProvidersFailed: no account of the route could do it; see ``.attempts``.
            BudgetExceeded: nothing was sent.
            SubmissionUncertain: it is unknown whether it was bought; see ``.receipt``.
            DeadlineExceeded: it was bought and goes on; see ``.job``.
            CallFailed: see `wanbridge.errors`.
        """
        return self._runner.run(self._calls.generate(*self._prepared(request, how, CALL)))

    def submit(self, request: ImageRequest | str = "", /, **how: Unpack[Call]) -> Job:
        """Buy pictures and return the job without waiting; arguments and errors as `generate`.

        Raises:
            UnsupportedFeature: also where this mode answers with the pictures at once.
        """
        return self._runner.run(self._calls.submit(*self._prepared(request, how, CALL)))

    def look(self, job: Job) -> Step:
        """Poll a job once: `Done`, `Pending` or `Missing`.

        Raises:
            CallFailed: the job has ended without a picture, or the key is refused.
            ConfigurationError: no account is configured for where the job was accepted.
        """
        return self._runner.run(self._calls.look(job))

    def wait(
        self,
        job: Job,
        *,
        deadline: float | None = None,
        on_progress: Progress | None = None,
    ) -> ImageResult:
        """Wait for a job, also one of another process, until it has ended.

        Args:
            deadline: Seconds for this wait; None is the client's.
            on_progress: Called with every event of this call, instead of the client's.

        Raises:
            DeadlineExceeded: the job goes on; see ``.job``.
            CallFailed: the job has ended without a picture, or the key is refused.
            ConfigurationError: no account is configured for where the job was accepted.
        """
        return self._runner.run(self._calls.wait(job, deadline, on_progress))

    def cancel(self, job: Job) -> Cancelled | TooLate:
        """Cancel a job at the provider.

        Returns:
            `Cancelled` with what that costs, or `TooLate` if the job has ended or runs already.

        Raises:
            UnsupportedFeature: this provider cannot cancel.
            CallFailed: it could not be reached, or refused.
        """
        return self._runner.run(self._calls.cancel(job))

    def balance(self, provider: str | None = None) -> Money:
        """What is left on an account: an amount in a currency or in the provider's credits.

        Args:
            provider: Account name; None is the default or only account.

        Raises:
            UnsupportedFeature: this provider has no such call.
            CallFailed: it could not be reached, or refused.
        """
        return self._runner.run(self._calls.balance(provider))

    def models(self, provider: str | None = None) -> tuple[ModelInfo, ...]:
        """The Wan 2.7 image models that a provider lists; arguments and errors as `balance`."""
        return self._runner.run(self._calls.models(provider))

    def compare(self, request: ImageRequest | str = "", /, **how: Unpack[Comparing]) -> list[Quote]:
        """What a request would cost at every account; needs no key and sends nothing.

        Comparable prices come first, the cheapest first; then those without a rate, those that
        are unknown, and the accounts that cannot take the request, with the reason.

        Args:
            rates: Instead of the client's: ``{"base": "USD", "date": "2026-11-20",
                "CNY": "0.1406"}``.
            currency: To compare in; by default the base of the rates, USD without any.
            may_drop, check_limits: As for `generate`.
            live: Ask the providers that estimate, which buys nothing.
            model, n, size, ...: Fields of `ImageRequest`.

        Raises:
            InvalidRequest: the request breaks the canonical schema.
            ConfigurationError: rates or prices are broken.
        """
        quotes, estimates = self._compare(*self._prepared(request, how, COMPARING))
        return quotes if estimates is None else self._runner.run(estimates)

    def compare_all(self, requests: Iterable[ImageRequest], /, **how: Unpack[Rating]) -> Workload:
        """What many requests would cost together at every account; arguments as `compare`."""
        return self._workload(self._all_fitted(requests), how)

    def estimate(
        self, request: ImageRequest | str = "", /, *, provider: str | None = None, **fields: Any
    ) -> Money:
        """What the provider itself says a request would cost; buys nothing. Errors as `balance`.

        Args:
            provider: Account name; None is the default or only account.
            fields: Fields of `ImageRequest`.
        """
        made, rest = self._prepared(request, fields, ())
        return self._runner.run(self._calls.estimate(made, provider, rest))

    def refresh(self, job: Job) -> tuple[Image, ...]:
        """New links to a finished job's pictures.

        A ledger lists them instead of the old ones, so `save` these.

        Raises:
            UnsupportedFeature: this provider does not renew links.
            CallFailed: it could not be reached, or refused.
        """
        return self._runner.run(self._calls.refresh(job))

    def reconcile(self, receipt: Receipt) -> Found:
        """Look an uncertain submit up; nothing is sent again.

        Returns:
            The `Job` if it was accepted; `NotAccepted` if it surely was not, and cost nothing;
            `StillUnknown` with candidates and when to look again, where that is known.

        Raises:
            CallFailed: the provider could not be reached, or refused.
            ConfigurationError: no account is configured for where it was sent.
        """
        return self._runner.run(self._calls.reconcile(receipt))

    def measure(self, request: ImageRequest) -> ImageRequest:
        """*request* with the sizes of its input images, of which the first bytes are fetched.

        An image whose size cannot be read stays as it is.
        """
        return self._runner.run(self._calls.measure(request))

    def download(self, image: Image) -> Image:
        """The picture with its bytes, type and size.

        A ledger lists it until it is saved by `save` or you say that you have it, see
        `wanbridge.ledger.protocol.Ledger.done`.

        Raises:
            DownloadFailed: the link has ended, is refused, or brought no picture.
        """
        return self._runner.run(self._calls.download(image))

    @overload
    def save(
        self, image: Image, path: Path, *, force: bool = False, metadata: Metadata = True
    ) -> Path: ...
    @overload
    def save(
        self, image: Image, path: str, *, force: bool = False, metadata: Metadata = True
    ) -> Path | str: ...

    def save(
        self, image: Image, path: str | Path, *, force: bool = False, metadata: Metadata = True
    ) -> Path | str:
        """Fetch a picture into a file, or an object, which appears once it is complete.

        It leaves the list of the client's ledger then. Bytes that are here are not fetched again.
        The file says where the picture comes from; see `wanbridge.pictures.metadata`.

        Args:
            path: A file, or the URL of an object: ``s3://bucket/kite``, also ``gs://``, ``az://``
                and ``file://``. An object needs no `storage`, whose settings count where it has
                some.
            force: Replace what is there.
            metadata: False leaves the bytes as they are delivered; ``"prompt"`` writes the
                prompt, too, where it is known: a stored result does not have it.

        Returns:
            Where it is: the extension follows the content. Of an object its address as text, which
            is no link; `ObjectStore.link` signs one.

        Raises:
            DownloadFailed: as `download`.
            StorageFailed: the store did not take it; the picture's own link may still be good.
            FileExistsError: something is there already and *force* is False.
            TypeError: *metadata* is none of its values.
            OSError: it cannot be written there.
            ConfigurationError: the URL is of no store.
        """
        check_path("path", path)
        if is_address(path):
            address = Address.of(str(path))
            return self._save_object(image, address, force=force, metadata=metadata)
        return self._save_file(image, Path(path), force=force, metadata=metadata)

    def _save_file(self, image: Image, path: Path, *, force: bool, metadata: Metadata) -> Path:
        if is_here(image):
            here = self.download(image)
            return self._saved(image, here.save(path, force=force, metadata=metadata))
        with self._file(image, path, force=force, metadata=metadata) as file:
            self._runner.run(self._calls.save(image, file))
            complete = file.commit()
        return self._saved(image, complete)

    def _save_object(
        self, image: Image, address: Address, *, force: bool, metadata: Metadata
    ) -> str:
        if address.scheme == "file":
            path = made_folder(address)
            return (self._save_file(image, path, force=force, metadata=metadata)).as_uri()
        picture = self.download(image)
        upload = self._upload(picture, address, force=force, metadata=metadata)
        with bought():
            stored = self.store_at(str(address)).put(**upload)
        return self._saved(image, str(stored))

    @overload
    def save_all(
        self, result: ImageResult, folder: Path, *, force: bool = False, metadata: Metadata = True
    ) -> list[Path]: ...
    @overload
    def save_all(
        self, result: ImageResult, folder: str, *, force: bool = False, metadata: Metadata = True
    ) -> list[Path] | list[str]: ...

    def save_all(
        self,
        result: ImageResult,
        folder: str | Path,
        *,
        force: bool = False,
        metadata: Metadata = True,
    ) -> list[Path] | list[str]:
        """Fetch every picture of a result into a folder that exists, as `save` does.

        They are called ``<provider>-<job id short>-<n>``; a number that is taken is passed over,
        or replaced with *force*. So a picture that was saved before gets a new number.

        Args:
            folder: A folder, or the URL of one, whose objects are then called so. It need not
                exist.

        Returns:
            Where they are, in the order of ``result.images``.

        Raises:
            DownloadFailed, StorageFailed, OSError: of the first picture that could not be saved.
                All the others are in the folder; a note on the error names their files and what
                is missing.
        """
        from wanbridge.storage.filenames import free_addresses, free_paths

        expect("result", result, ImageResult)
        check_path("folder", folder)
        if not is_address(folder):
            paths = free_paths(result, Path(folder), force=force)

            def save_file(image: Image) -> Path:
                return _first_free(
                    paths,
                    lambda path: self._save_file(image, path, force=force, metadata=metadata),
                )

            return all_saved(_outcomes(result.images, save_file))
        objects = free_addresses(result, Address.of(str(folder)), force=force)

        def save_object(image: Image) -> str:
            picture = self.download(image)  # once, however many names are taken
            return _first_free(
                objects,
                lambda name: self._save_object(picture, name, force=force, metadata=metadata),
            )

        return all_saved(_outcomes(result.images, save_object))


def _outcomes(images: Iterable[Image], save: Callable[[Image], P]) -> list[P | Exception]:
    """Where each picture is saved, or why it is not."""
    outcomes = list[P | Exception]()
    for image in images:
        try:
            outcomes.append(save(image))
        except Exception as exc:
            outcomes.append(exc)
    return outcomes


def _first_free(names: Iterator[N], save: Callable[[N], P]) -> P:
    """Save under the next name that nothing has."""
    for name in names:
        with suppress(FileExistsError):  # It came into being since; the next is free.
            return save(name)
    raise AssertionError("names never end")  # pragma: no cover
