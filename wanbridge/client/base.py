"""What both clients share: configuration, and everything that needs no provider to answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, cast

import attrs

from wanbridge.adapters.registry import Registry
from wanbridge.client.accounts import Accounts
from wanbridge.client.arguments import each_request, expect, expect_or_none
from wanbridge.client.options import COMPARING, new_key, split_options
from wanbridge.errors import Charge, DownloadFailed, StorageFailed
from wanbridge.model.brief import brief_url
from wanbridge.model.result import Image
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook

if TYPE_CHECKING:
    from wanbridge.adapters.base import Adapter
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.client.options import Comparing, Progress, Rating
    from wanbridge.config import Settings
    from wanbridge.engine.context import Timeouts
    from wanbridge.engine.driver import Driver
    from wanbridge.explain.explanation import Explanation
    from wanbridge.ledger.protocol import Ledger
    from wanbridge.model.jobs import Job, Receipt
    from wanbridge.model.request import ImageRequest
    from wanbridge.model.source import Metadata
    from wanbridge.money.comparison import Workload
    from wanbridge.money.quotes import Quote
    from wanbridge.observability.telemetry import Telemetry
    from wanbridge.routing.route import Route
    from wanbridge.sandbox import Sandbox
    from wanbridge.storage.addresses import Address
    from wanbridge.storage.files import PictureFile
    from wanbridge.storage.object_store import ObjectStore


P = TypeVar("P", Path, str)


class Upload(TypedDict):
    """The arguments of `wanbridge.storage.object_store.ObjectStore.put`."""

    key: str
    data: bytes
    mime: str
    within: float
    force: bool


# The keyword arguments of a call.
H = TypeVar("H", bound=Mapping[str, object])


def utc_now() -> datetime:
    """Wall time, aware."""
    return datetime.now(UTC)


class BaseClient:
    """Base of both clients: accounts and configuration, and what needs no provider to answer."""

    def __init__(
        self,
        adapters: Sequence[Adapter],
        *,
        default: str | None = None,
        timeouts: Timeouts | None = None,
        routes: Mapping[str, Route] | None = None,
        rates: Rates | Mapping[str, Any] | None = None,
        prices: PriceBook | None = None,
        ledger: Ledger | None = None,
        telemetry: Telemetry | None = None,
        registry: Registry | None = None,
        on_progress: Progress | None = None,
        callbacks: CallbackReceiver | None = None,
        fit: bool = False,
        storage: str | Mapping[str, Any] | ObjectStore | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
        new_key: Callable[[], str] = new_key,
    ) -> None:
        # Loaded by the first client: a program may well import wanbridge and not make one.
        from wanbridge.client.calls import Calls
        from wanbridge.transport import redaction

        registry = Registry() if registry is None else registry
        self._accounts = Accounts(adapters, default=default, registry=registry)
        self._rates = Rates.of(rates)
        self._prices = PriceBook.builtin() if prices is None else prices
        self._ledger, self._now, self._callbacks = ledger, now, callbacks
        expect("fit", fit, bool)
        self._fits = fit
        self._own_ledger: Ledger | None = None
        self._storage = None if storage is None else _object_store(storage)
        # By scheme and bucket, for their connections.
        self._stores = dict[tuple[str, str], "ObjectStore"]()
        self._calls = Calls(
            self._accounts,
            timeouts=timeouts,
            routes=routes,
            rates=self._rates,
            prices=self._prices,
            ledger=ledger,
            telemetry=telemetry,
            on_progress=on_progress,
            callbacks=callbacks,
            staging=None if self._storage is None else self._storage.staging,
            clock=clock,
            now=now,
            chance=chance,
            new_key=new_key,
        )
        redaction.protect(self, [secret for a in adapters for secret in _secrets(a)])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._accounts.named)})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A client with an account for every provider whose key is in the environment.

        Args:
            environ: Instead of ``os.environ``.
            options: As the constructor takes them.

        Raises:
            ConfigurationError: a base URL is wrong.
        """
        from wanbridge import config

        return cls.of(config.from_env(environ), **options)

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any], **options: Any) -> Self:
        """A client from a TOML or JSON file, or the same as a mapping.

        Raises:
            ConfigurationError: the file cannot be read or breaks ``schemas/config.schema.json``;
                the message names every path.
        """
        from wanbridge import config

        return cls.of(config.load(source), **options)

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """A client from settings that `wanbridge.config` has read."""
        given = {
            "timeouts": settings.timeouts,
            "routes": settings.routes,
            "rates": settings.rates,
            "prices": settings.prices,
            "fit": settings.fit,
            "storage": settings.storage,
        }
        if settings.ledger is None or "ledger" in options:
            return cls(settings.adapters, **{**given, **options})
        from wanbridge.ledger.sqlite import SqliteLedger

        ledger = SqliteLedger(settings.ledger)
        client = cls(settings.adapters, **{**given, "ledger": ledger, **options})
        client._own_ledger = ledger
        return client

    @property
    def accounts(self) -> Mapping[str, Adapter]:
        """The configured accounts by name."""
        return dict(self._accounts.named)

    @property
    def timeouts(self) -> Timeouts:
        """How long it waits for what."""
        return self._calls.timeouts

    @property
    def ledger(self) -> Ledger | None:
        """The caller's ledger, or that of the configuration; None: this client keeps its own."""
        return self._ledger

    @property
    def storage(self) -> ObjectStore | None:
        """The object store; None if there is none."""
        return self._storage

    def store_at(self, url: str) -> ObjectStore:
        """The object store that *url* is in, with the settings of `storage` that are for its kind.

        Raises:
            ConfigurationError: it is the URL of no store, or ``obstore`` is not installed.
        """
        from wanbridge.storage.object_store import ObjectStore

        made = ObjectStore.of(url) if self._storage is None else self._storage.at(url)
        place = (made.address.scheme, made.address.bucket)
        return self._stores.setdefault(place, made)

    def explain(
        self,
        request: ImageRequest | str,
        *,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
        **fields: Any,
    ) -> dict[str, Explanation]:
        """What every account would be sent, field by field; no call, no key needed.

        A client that fits pictures does so here too, in the caller's thread.

        Raises:
            InvalidRequest: the request breaks the canonical schema.
        """
        from wanbridge.explain.explanation import explain_all

        return explain_all(
            tuple(self._accounts.named.values()),
            self._made(request, fields),
            prices=self._prices,
            may_drop=may_drop,
            check_limits=check_limits,
            staging=self._calls.staging,
        )

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """The job of an uncertain submit, where the caller knows that *task_id* is its task.

        Args:
            receipt: Of the submit.
            task_id: The provider's id of the task, as its dashboard or support gives it.

        Raises:
            ConfigurationError: no account is configured for where it was sent, or the id is none.
        """
        return self._calls.adopt(receipt, task_id)

    # -- inner ------------------------------------------------------------------------------

    def _made(self, request: ImageRequest | str, fields: Mapping[str, Any]) -> ImageRequest:
        """The request with *fields* changed, its pictures fitted if this client does so."""
        made = self._accounts.request(request, fields)
        return made.fitted() if self._fits else made

    def _prepared(
        self, request: ImageRequest | str, how: H, options: Collection[str]
    ) -> tuple[ImageRequest | str, H]:
        """A call's request with its pictures fitted, and what is left of its arguments.

        Where this client does not fit, both as they are.
        """
        if not self._fits:
            return request, how
        fields, rest = split_options(how, options)
        return self._made(request, fields), cast("H", rest)

    def _all_fitted(self, requests: Iterable[ImageRequest]) -> Iterable[ImageRequest]:
        return [request.fitted() for request in requests] if self._fits else requests

    def _close(self) -> None:
        """Close what this client has opened itself."""
        if self._own_ledger is not None:
            self._own_ledger.close()

    def _compare(
        self, request: ImageRequest | str, how: Comparing
    ) -> tuple[list[Quote], Driver[list[Quote]] | None]:
        """The quotes by the price files, and a conversation that asks for live ones if wanted."""
        from wanbridge.money.comparison import compare

        fields, options = split_options(how, COMPARING)
        made = self._accounts.request(request, fields)
        live = options.pop("live", False)
        rating = self._rating(**options)
        quotes = compare(self._accounts.named.values(), made, **rating)
        if not live:
            return quotes, None
        del rating["prices"], rating["staging"], rating["today"]
        return quotes, self._calls.estimate_quotes(quotes, made, **rating)

    def _workload(self, requests: Iterable[ImageRequest], how: Rating) -> Workload:
        from wanbridge.money.comparison import workload

        return workload(
            self._accounts.named.values(), each_request(requests), **self._rating(**how)
        )

    def _rating(
        self,
        rates: Rates | Mapping[str, Any] | None = None,
        currency: str | None = None,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
    ) -> dict[str, Any]:
        """What comparing takes besides accounts and requests."""
        expect_or_none("currency", currency, str, "a currency code")
        return {
            "prices": self._prices,
            "rates": self._rates if rates is None else Rates.of(rates),
            "currency": currency,
            "may_drop": may_drop,
            "check_limits": check_limits,
            "staging": self._calls.staging,
            "today": self._now().date(),
        }

    @contextmanager
    def _file(
        self, image: Image, path: Path, *, force: bool, metadata: Metadata
    ) -> Iterator[PictureFile]:
        """The file that *image* is fetched into; bytes that are no picture are `DownloadFailed`."""
        from wanbridge.storage.files import PictureFile

        facts = image.facts(metadata)
        with _telling(image), PictureFile(path, force=force, facts=facts) as file:
            yield file

    def _saved(self, image: Image, place: P) -> P:
        """*place*, where *image* is now; noted in a ledger of the caller's."""
        self._calls.saved(image)
        return place

    def _upload(self, image: Image, address: Address, *, force: bool, metadata: Metadata) -> Upload:
        """A picture whose bytes are here, on its way to *address*."""
        from wanbridge.storage.filenames import object_key
        from wanbridge.storage.files import annotated

        assert image.data is not None
        assert image.mime is not None
        with _telling(image):
            data = annotated(image.data, image.facts(metadata))
        return {
            "key": object_key(address, image.mime),
            "data": data,
            "mime": image.mime,
            "within": self._calls.timeouts.upload(len(data)),
            "force": force,
        }


@contextmanager
def _telling(image: Image) -> Iterator[None]:
    """Bytes that are no picture are `DownloadFailed`, which names the link of *image*."""
    from wanbridge.storage.files import NotAPicture

    try:
        yield
    except NotAPicture as exc:
        message = f"{brief_url(image.url)}: {exc}"
        raise DownloadFailed("download", message, Charge.YES, image=image) from None


@contextmanager
def bought() -> Iterator[None]:
    """The picture that the block stores is paid for: a failure says so."""
    try:
        yield
    except StorageFailed as exc:
        exc.charge = Charge.YES
        raise


def _object_store(given: str | Mapping[str, Any] | ObjectStore) -> ObjectStore:
    from wanbridge.storage.object_store import ObjectStore

    return ObjectStore.of(given)


def all_saved(outcomes: Sequence[P | Exception]) -> list[P]:
    """Where all pictures are; else the first error is raised, with a note on all of them."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        if len(outcomes) > 1:
            failures[0].add_note(_what_was_saved(outcomes))
        raise failures[0]
    return [outcome for outcome in outcomes if not isinstance(outcome, Exception)]


def _what_was_saved(outcomes: Sequence[Path | str | Exception]) -> str:
    lines = [
        f"images[{index}] is not saved: {outcome}"
        if isinstance(outcome, Exception)
        else f"images[{index}] is saved: {outcome}"
        for index, outcome in enumerate(outcomes)
    ]
    return "\n".join(lines)


def is_here(image: Image) -> bool:
    """Whether the bytes of a picture need not be fetched."""
    expect("image", image, Image)
    return image.data is not None or image.url is None or image.url.startswith("data:")


def _secrets(adapter: Adapter) -> Iterator[str | None]:
    """The key, and the options that are as secret: those that no ``repr`` shows."""
    yield adapter.api_key
    for option in attrs.fields(type(adapter.options)):
        if not option.repr:
            yield getattr(adapter.options, option.name)


def sandboxed(
    sandbox: Sandbox | None,
    registry: Registry,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Sandbox, list[Adapter]]:
    """A sandbox and an account for each provider it speaks; *options* by the provider's name."""
    from wanbridge.sandbox import Sandbox

    expect_or_none("sandbox", sandbox, Sandbox)
    sandbox = sandbox or Sandbox()
    adapters = [
        registry.build(
            name,
            api_key=sandbox.api_key(name),
            base_url=sandbox.base_url(name),
            options=(options or {}).get(name),
        )
        for name in sandbox.providers
    ]
    return sandbox, adapters
