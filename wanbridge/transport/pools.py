"""HTTP clients of one origin, as many as the calls in flight need.

A pool of either library walks all its connections at each request, and httpx 0.28 falls to a
tenth of its throughput with 256 in flight. So a pool holds 8 connections (with 16, a thousand
in flight took a fifth longer), and more pools are opened as more is in flight. All share one
TLS context, which takes 15 ms to make.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from attrs import Factory, define

from wanbridge.errors import ConfigurationError
from wanbridge.transport import library

if TYPE_CHECKING:
    import ssl

CONNECTIONS = 8
POOLS = 128
C = TypeVar("C")


@cache
def tls_context() -> ssl.SSLContext:
    """The one TLS context of this process."""
    return library.httpx.create_ssl_context()


@define(eq=False)
class PooledClient(Generic[C]):
    """A client, and how many exchanges use it now."""

    client: C
    in_flight: int = 0


@define(eq=False)
class Pools(Generic[C]):
    """Clients of one origin, as many as the calls in flight need."""

    make: Callable[[], C]
    pools: list[PooledClient[C]] = Factory(list)
    lock: Lock = Factory(Lock)

    def take(self) -> PooledClient[C]:
        """A client with a free connection; beyond all of them, the least busy."""
        with self.lock:
            pool = next((p for p in self.pools if p.in_flight < CONNECTIONS), None)
            if pool is None and len(self.pools) < POOLS:
                self.pools.append(pool := PooledClient(self.make()))
            if pool is None:
                pool = min(self.pools, key=lambda p: p.in_flight)
            pool.in_flight += 1
            return pool

    def give(self, pool: PooledClient[C]) -> None:
        """Give a client back."""
        with self.lock:
            pool.in_flight -= 1


# By scheme, host, and whether what is sent may buy.
ByOrigin: TypeAlias = dict[tuple[str, str, bool], Pools[C]]


class Lease(Generic[C]):
    """A context manager: a client for one exchange.

    Args:
        http: The caller's client; None: one of *pools*.
    """

    __slots__ = ("_http", "_pool", "_pools")

    def __init__(self, http: C | None, pools: Pools[C] | None) -> None:
        self._http, self._pools = http, pools
        self._pool: PooledClient[C] | None = None

    def __enter__(self) -> C:
        if self._pools is None:
            assert self._http is not None
            return self._http
        try:
            self._pool = self._pools.take()
        except Exception as exc:
            # A bad certificate file, a proxy that cannot be spoken to: nothing was sent.
            message = f"no HTTP client can be made ({type(exc).__name__}); check proxies and TLS"
            raise ConfigurationError(message) from None
        return self._pool.client

    def __exit__(self, *exc: object) -> None:
        if self._pools is not None and self._pool is not None:
            self._pools.give(self._pool)
