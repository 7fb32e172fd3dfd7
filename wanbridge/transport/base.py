"""What the blocking and the async transport share: clients, timeouts, bounds and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast
from urllib.parse import urlsplit

from wanbridge.adapters.urls import LOOPBACK
from wanbridge.engine.context import Timeouts
from wanbridge.engine.effects import Fetch, NoPicture, Send
from wanbridge.errors import Charge, ConfigurationError
from wanbridge.transport import deadlines as bounds
from wanbridge.transport import library
from wanbridge.transport.deadlines import Bound
from wanbridge.transport.decoding import Undecodable
from wanbridge.transport.failures import ReplyTooLong, broken, transport_failure
from wanbridge.transport.pools import CONNECTIONS, ByOrigin, C, Lease, Pools, tls_context
from wanbridge.version import __version__
from wanbridge.wire import HttpResponse

if TYPE_CHECKING:
    from wanbridge.transport.library import httpx

USER_AGENT = f"wanbridge/{__version__}"
# Pictures are compressed as such, and what is not compressed cannot swell.
UNCOMPRESSED = {"Accept-Encoding": "identity"}
# Seconds that an unused connection is kept. A server that closes one just as a request arrives
# leaves a submit uncertain, so what buys uses only fresh or busy ones: common servers close
# after 5 s and more.
IDLE, IDLE_BILLABLE = 5.0, 1.0
# What a billable exchange may take beside its read timeout, in seconds: for connections on which
# packets are lost. Its bodies take time too, both ways; whatever is faster than this many bytes
# per second, half of what a slow mobile connection has, is not given up.
GRACE = 5.0
SLOWEST = 64 * 2**10


@lru_cache(maxsize=128)
def parsed_url(url: str) -> httpx.URL:
    """*url* for the HTTP library, which takes as long to parse it as for the rest of a request.

    Submits of an account have one URL, and polls of a job too.
    """
    return library.httpx.URL(url)


class BaseTransport(Generic[C]):
    """Base of both transports: makes HTTP clients, messages, timeouts and bounds.

    Args:
        timeouts: Of every exchange.
        http: The caller's client for all calls; None: pools of clients of this transport's own.
        now: Wall time, for `wanbridge.wire.HttpResponse.received_at`.
    """

    # Name of the HTTP library's class; not the class, which would load the library.
    _kind: ClassVar[str]

    def __init__(self, timeouts: Timeouts, *, http: C | None, now: Callable[[], datetime]) -> None:
        self._timeouts, self._http, self._now = timeouts, http, now
        self._pools: ByOrigin[C] = {}
        self._closed = False
        if http is not None and not isinstance(http, self._class()):
            raise ConfigurationError(
                f"http= is a {type(http).__module__}.{type(http).__qualname__};"
                f" it must be a {library.httpx.__name__}.{self._kind}"
            )
        # Whether the bounds hold on every connection; those of _make are the library's own.
        self._bounded = http is None or bounds.hold(http)

    def _class(self) -> type[C]:
        found: type[C] = getattr(library.httpx, self._kind)
        return found

    def _make(self, url: str, *, proxies: bool, idle: float = IDLE) -> C:
        new = cast("Callable[..., C]", self._class())
        client = new(
            verify=tls_context() if url.startswith("https:") else False,
            limits=library.httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=idle,
            ),
            follow_redirects=False,
            # A proxy would connect to an address of its own choosing.
            trust_env=proxies and urlsplit(url).hostname not in LOOPBACK,
        )
        if not bounds.hold(client):
            raise ConfigurationError(
                f"this version of {library.httpx.__name__} cannot be used; see bounds"
            )
        return client

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed")

    def _lease(self, url: str, *, billable: bool = False) -> Lease[C]:
        self._check_open()
        if self._http is not None:
            return Lease(self._http, None)
        scheme, _, host = url.split("/", 3)[:3]
        at, here = (scheme, host, billable), self._pools_here()
        if (pools := here.get(at)) is None:
            idle = IDLE_BILLABLE if billable else IDLE
            pools = Pools(lambda: self._make(url, proxies=True, idle=idle))
            pools = here.setdefault(at, pools)
        return Lease(None, pools)

    def _pools_here(self) -> ByOrigin[C]:
        """The pools that the caller may use: threads share all of them."""
        return self._pools

    def _timeout(
        self, read: float | None, connect: float | None = None, most: float | None = None
    ) -> dict[str, float]:
        read = read or self._timeouts.read_timeout
        pool = self._timeouts.deadline if connect is None else connect
        connect = min(connect or self._timeouts.connect_timeout, self._timeouts.connect_timeout)
        if most is not None:
            read, connect, pool = min(read, most), min(connect, most), min(pool, most)
        return {"connect": connect, "read": read, "write": read, "pool": pool}

    def _read_timeout_of(self, send: Send) -> float:
        read = send.request.read_timeout or self._timeouts.read_timeout
        return read if send.read is None else min(read, send.read)

    def _timeouts_of(self, send: Send) -> dict[str, float]:
        most = None if send.billable else send.within
        return self._timeout(self._read_timeout_of(send), send.connect, most)

    def _bound_of(self, send: Send) -> Bound:
        """What the exchange may take in all."""
        within = self._timeouts.deadline if send.within is None else send.within
        if not send.billable:
            return Bound(within)
        # Not from now: a submit that waits for a connection is not under way.
        return Bound(
            self._read_timeout_of(send) + GRACE + len(send.request.body) / SLOWEST,
            from_write=True,
            per_byte=1 / SLOWEST,
            most=within,
        )

    def _bound_of_fetch(self, fetch: Fetch) -> Bound:
        return Bound(self._timeouts.deadline if fetch.within is None else fetch.within)

    def _message(self, http: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
        """The request as the adapter wrote it: no cookies, no credentials of the client.

        Made without ``build_request``, which costs as much as all the rest of a call here.
        """
        request = send.request
        own = {"User-Agent": USER_AGENT, **UNCOMPRESSED, **request.headers}
        headers: Any = {"Accept": "*/*", **own}
        try:
            if self._http is not None:
                headers = library.httpx.Headers(http.headers)
                headers.update(own)
            return library.httpx.Request(
                request.method,
                parsed_url(request.url),
                headers=headers,
                content=request.body,
                extensions={"timeout": self._timeouts_of(send)},
            )
        except (ValueError, TypeError, library.httpx.InvalidURL):
            # The library's own text could show the header, and so the key.
            raise ConfigurationError(
                f"{send.account}: the URL or a header holds what HTTP cannot carry"
            ) from None

    @contextmanager
    def _fetch_failures(self, fetch: Fetch, bound: Bound) -> Iterator[None]:
        """Turns what a fetch can raise into typed errors; what its sink raises stays."""
        try:
            yield
        except (ReplyTooLong, Undecodable) as exc:
            raise NoPicture(fetch.account, str(exc), Charge.MAYBE) from None
        except (library.httpx.InvalidURL, UnicodeError) as exc:
            raise NoPicture(fetch.account, "not a URL that HTTP can carry", Charge.NO) from exc
        except broken() as exc:
            raise transport_failure(fetch.account, exc, self._timeout(None), bound) from exc

    def _response(self, status: int, headers: httpx.Headers, body: bytes) -> HttpResponse:
        return HttpResponse(
            status=status,
            headers={k.decode("latin-1"): v.decode("latin-1") for k, v in headers.raw},
            body=body,
            received_at=self._now(),
        )

    def _fetch_request(self, fetch: Fetch) -> httpx.Request:
        """A GET without credentials, to the address that was checked."""
        url, headers = library.httpx.URL(fetch.url), {"User-Agent": USER_AGENT, **UNCOMPRESSED}
        extensions: dict[str, Any] = {}
        if fetch.address is not None:
            headers["Host"] = url.netloc.decode("ascii")
            extensions["sni_hostname"] = url.host
            url = url.copy_with(host=fetch.address)
        if fetch.beginning:
            headers["Range"] = f"bytes=0-{fetch.limit - 1}"
        extensions["timeout"] = self._timeout(None, most=fetch.within)
        return library.httpx.Request("GET", url, headers=headers, extensions=extensions)
