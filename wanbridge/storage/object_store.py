"""Object stores: S3 and what works alike, Google Cloud Storage, Azure Blob Storage, a folder.

Over ``obstore`` (the extra ``storage``), which is imported with the first object. It takes
credentials as the stores' own tools do: from ``AWS_ACCESS_KEY_ID`` and its like, from the machine's
role, from a service account's file. No message shows a credential, a link or the store's own words.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from importlib.util import find_spec
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from wanbridge.adapters.staging import Staging
from wanbridge.adapters.urls import LOOPBACK, checked_url
from wanbridge.engine.effects import Stage
from wanbridge.errors import Charge, ConfigurationError, StorageFailed
from wanbridge.model.brief import brief
from wanbridge.model.nearest import did_you_mean
from wanbridge.pictures.headers import Facts
from wanbridge.storage.addresses import Address

if TYPE_CHECKING:
    from obstore import Attributes, PutMode
    from obstore.store import AzureStore, GCSStore, S3Store

T = TypeVar("T")

# Repeated by obstore where the store is busy or the line breaks; all within one bound.
RETRIES = 2
# The longest that S3 and Google sign a link for (their version 4 of signatures).
LINK_MOST = 7 * 24 * 3600.0
_SETTINGS = ("url", "endpoint", "region")
_STATUS = re.compile(r"status code: (\d{3})")
# The store's own name of an error; its message beside it may quote what was sent.
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
# Where the machine's role is asked for, as nothing in the environment says who we are: at Amazon,
# Google and Azure (read in the library's messages, obstore 0.12.1).
_NO_CREDENTIALS = re.compile(
    r"/latest/(api/token|meta-data/)|/computeMetadata/|/metadata/identity/|TokenRequest"
)


def _checked_endpoint(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    keys = "credentials come from the environment"
    return checked_url(endpoint, "storage: endpoint", keys=keys)


@frozen
class ObjectStore:
    """A place for pictures, by its URL; safe to share between threads and event loops.

    ::

        store = ObjectStore("s3://bucket/prefix")
        client = wanbridge.Client.from_env(storage=store)
        address = client.save(result.images[0], "s3://bucket/prefix/kite")
        store.link(address, 3600)

    Attributes:
        url: ``s3://bucket/prefix``, ``gs://``, ``az://container/prefix`` or ``file:///folder``.
        endpoint: Of a store that works like S3; None: the store's own, or as its environment says.
        region: Of the bucket; None: as the store's environment says.

    Raises:
        ConfigurationError: the URL or the endpoint is none, or ``obstore`` is not installed.
    """

    url: str
    endpoint: str | None = field(default=None, kw_only=True, converter=_checked_endpoint)
    region: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        scheme = self.address.scheme
        if scheme != "s3" and (self.endpoint is not None or self.region is not None):
            raise ConfigurationError(f"storage: endpoint and region are for s3://, not {scheme}://")
        if scheme != "file" and find_spec("obstore") is None:
            raise ConfigurationError(
                f"storage at {scheme}:// needs obstore: pip install 'wanbridge[storage]'"
            )

    @classmethod
    def of(cls, given: str | Mapping[str, Any] | ObjectStore) -> ObjectStore:
        """The store of a URL, of a mapping like ``[storage]`` in a configuration, or itself.

        Raises:
            TypeError: it is none of these.
            ConfigurationError: a setting is missing, unknown or wrong.
        """
        if isinstance(given, ObjectStore):
            return given
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, Mapping):
            right = "a URL like s3://bucket/prefix, a mapping with it, or an ObjectStore"
            raise TypeError(f"storage is {brief(given)}; it must be {right}")
        if "url" not in given:
            raise ConfigurationError("storage: url is missing; right would be s3://bucket/prefix")
        for name in given:
            if name not in _SETTINGS:
                hint = did_you_mean(str(name), _SETTINGS)
                known = ", ".join(_SETTINGS)
                raise ConfigurationError(f"storage: unknown {name!r}; {hint}there are: {known}")
        return cls(**given)

    @cached_property
    def address(self) -> Address:
        """`url`, read."""
        return Address.of(self.url)

    @property
    def staging(self) -> Staging:
        """What its links are to a provider that takes pictures only as links."""
        place = str(self.address)
        if self.address.scheme == "file":
            return Staging(place=place, scheme=None)
        # Of an endpoint that the environment names nothing is known here; it is taken for one on
        # the internet.
        parts = urlsplit(self.endpoint or "https://")
        return Staging(place=place, scheme=parts.scheme, here=parts.hostname in LOOPBACK)

    def at(self, url: str) -> Self:
        """The store of *url*, with these settings where they are for its kind."""
        if Address.of(url).scheme == self.address.scheme:
            return evolve(self, url=url)
        return evolve(self, url=url, endpoint=None, region=None)

    # -- what the clients do with it -----------------------------------------------------------

    def put(
        self, key: str, data: bytes, mime: str, *, within: float, force: bool = False
    ) -> Address:
        """Store *data* as the object *key* of the bucket; it is seen whole or not at all.

        Args:
            within: Seconds for all of it.
            force: Replace an object of that name.

        Raises:
            FileExistsError: there is an object of that name, and *force* is not set.
            StorageFailed: it is not stored, or nobody knows.
        """
        return _in_loop(lambda: self.put_async(key, data, mime, within=within, force=force))

    async def put_async(
        self, key: str, data: bytes, mime: str, *, within: float, force: bool = False
    ) -> Address:
        """As `put`."""
        address = evolve(self.address, key=key)
        mode: PutMode = "overwrite" if force else "create"
        await self._bounded(within, address, lambda: self._put(key, data, mime, mode))
        return address

    async def _put(self, key: str, data: bytes, mime: str, mode: PutMode) -> None:
        import obstore

        attributes: Attributes = {"Content-Type": mime}
        # In one request: a store that is given parts has no conditions for them.
        await obstore.put_async(
            self._bucket, key, data, attributes=attributes, mode=mode, use_multipart=False
        )

    def link(self, address: str, seconds: float, *, within: float = 30.0) -> str:
        """A signed link that GETs the object at *address*, good for so many seconds.

        Args:
            address: As `wanbridge.client.blocking.Client.save` returns it, in this store's bucket.
            seconds: At most seven days; it ends earlier with credentials that do.
            within: Seconds for signing, which asks the store where the key is the machine's role.

        Raises:
            ConfigurationError: it is not in this bucket, or the store has no links.
            StorageFailed: there are no credentials to sign with.
        """
        return _in_loop(lambda: self.link_async(address, seconds, within=within))

    async def link_async(self, address: str, seconds: float, *, within: float = 30.0) -> str:
        """As `link`."""
        wanted, own = Address.of(address), self.address
        if own.scheme == "file":
            raise ConfigurationError(f"storage: {own} has no links; s3, gs and az have")
        if (wanted.scheme, wanted.bucket) != (own.scheme, own.bucket):
            raise ConfigurationError(f"storage: {wanted} is not in {own.scheme}://{own.bucket}")
        if not 0 < seconds <= LINK_MOST:
            raise ConfigurationError(
                f"storage: a link for {seconds:g} seconds; more than 0, at most seven days"
            )
        return await self._bounded(within, wanted, lambda: self._sign(wanted.key, seconds))

    async def _sign(self, key: str, seconds: float) -> str:
        import obstore

        return await obstore.sign_async(self._bucket, "GET", key, timedelta(seconds=seconds))

    def exists(self, key: str, *, within: float) -> bool:
        """Whether the bucket has an object of that name, as far as the key may ask.

        Raises:
            StorageFailed: the store cannot be reached, or failed.
        """
        return _in_loop(lambda: self._exists(key, within))

    async def _exists(self, key: str, within: float) -> bool:
        import obstore
        from obstore.exceptions import PermissionDeniedError

        async def head() -> bool:
            with suppress(FileNotFoundError, PermissionDeniedError):
                await obstore.head_async(self._bucket, key)
                return True
            return False

        return await self._bounded(within, self.address, head)

    def check(self, *, within: float) -> None:
        """Ask for the first objects of the bucket: that it is there, and takes the key.

        Raises:
            StorageFailed: it is not, or does not. A key that may not list passes.
        """
        _in_loop(lambda: self._check(within))

    async def _check(self, within: float) -> None:
        import obstore

        async def first() -> None:
            async for _ in obstore.list(self._bucket, self.address.key or None, chunk_size=1):
                return

        try:
            await self._bounded(within, self.address, first)
        except StorageFailed as exc:
            if "AccessDenied" not in exc.message:  # which says nothing of storing
                raise

    def stage(self, stage: Stage) -> str:
        """Carry the effect out.

        Raises:
            StorageFailed: nothing is stored, or there is no link to it.
        """
        return _in_loop(lambda: self.stage_async(stage))

    async def stage_async(self, stage: Stage) -> str:
        """As `stage`."""
        name = hashlib.sha256(stage.data).hexdigest() + Facts(stage.mime, None, None).extension
        address = self.address.under(name)

        async def put_and_sign() -> str:
            # Replaced by the same bytes, which makes it young again: a rule of the bucket that
            # clears old objects does not take a picture that is in use.
            await self._put(address.key, stage.data, stage.mime, "overwrite")
            return await self._sign(address.key, min(stage.lifetime, LINK_MOST))

        return await self._bounded(stage.within, address, put_and_sign)

    # -- inner ---------------------------------------------------------------------------------

    @cached_property
    def _bucket(self) -> S3Store | GCSStore | AzureStore:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, GCSStore, S3Store

        address = self.address
        # Not as `client_options`, beside which those of the environment (AWS_ALLOW_HTTP,
        # AWS_PROXY_URL and so on) count for nothing (obstore 0.12.1).
        config: Any = {
            # An exchange is ended by our own bound, whatever it is about.
            "timeout": "1day",
            **({"allow_http": "true"} if self.endpoint else {}),
        }
        given = {"endpoint": self.endpoint, "region": self.region}
        config |= {name: value for name, value in given.items() if value is not None}
        options: dict[str, Any] = {
            "config": config,
            "retry_config": {"max_retries": RETRIES, "retry_timeout": timedelta(days=1)},
        }
        try:
            if address.scheme == "gs":
                return GCSStore(address.bucket, **options)
            if address.scheme == "az":
                return AzureStore(address.bucket, **options)
            return S3Store(address.bucket, **options)
        except (BaseError, ValueError) as exc:
            place = f"{address.scheme}://{address.bucket}"
            missing = "Account must be specified" in str(exc)
            why = "AZURE_STORAGE_ACCOUNT_NAME is not set" if missing else "its settings are wrong"
            raise ConfigurationError(f"storage: {place}: {why}") from None

    async def _bounded(
        self, within: float, address: Address, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """What *work* returns; its errors as ours."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            async with asyncio.timeout(within):
                return await work()
        except TimeoutError:
            reason = f"no answer within {within:.3g} s"
        except AlreadyExistsError:
            taken = "Exists, and is not replaced without force"
            raise FileExistsError(errno.EEXIST, taken, str(address)) from None
        except (BaseError, OSError, ValueError) as exc:
            reason = _reason(exc)
        raise StorageFailed(str(self.address), reason, Charge.NO)


def _reason(error: Exception) -> str:
    """What happened, in our words: the store's may quote a link or a key."""
    said = str(error)
    status, code = _STATUS.search(said), _CODE.search(said)
    facts = [f"HTTP {status[1]}"] if status else []
    facts += [code[1]] if code else []
    told = f" ({', '.join(facts)})" if facts else ""
    if _NO_CREDENTIALS.search(said):
        return "there are no credentials for the store in the environment, or it refuses them"
    match status[1] if status else "":
        case "401" | "403":
            return f"the store refuses the key, or does not allow it this{told}"
        case "404":
            return f"there is no such bucket{told}"
    if "kind: Connect" in said:
        return "the store cannot be reached"
    if status:
        return f"the store could not do it{told}"
    if "builder error" in said:
        return "its endpoint is plain HTTP; endpoint in [storage] or AWS_ALLOW_HTTP=true allows it"
    if "region" in said:
        return "the bucket is in another region; region says which"
    return "the line to the store broke"


def _in_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What *work* returns, run in an event loop of its own, in a thread of its own.

    The calling thread may run a loop already, and waits so that Ctrl-C ends the wait at once: a
    call into native code would hold it back. Then the work is cancelled, and nothing goes on.
    """
    outcome: Future[T] = Future()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []
    given_up = Event()

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        if given_up.is_set():
            raise asyncio.CancelledError
        return await work()

    def run() -> None:
        try:
            outcome.set_result(asyncio.run(main()))
        except BaseException as exc:
            outcome.set_exception(exc)

    thread = Thread(target=run, name="wanbridge-storage", daemon=True)
    thread.start()
    try:
        return outcome.result()
    finally:
        given_up.set()
        if not outcome.done() and running:
            loop, task = running[0]
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(task.cancel)
        thread.join()
