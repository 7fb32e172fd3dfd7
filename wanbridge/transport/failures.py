"""Exceptions of the HTTP library as typed errors, with what they mean for the charge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from wanbridge.errors import Charge, TransportFailed
from wanbridge.transport import library
from wanbridge.transport.deadlines import Bound, OutOfTime
from wanbridge.transport.decoding import Damaged, Undecodable


@cache
def unsent() -> tuple[type[Exception], ...]:
    """Failures before the first byte of a request can have left; all others may come after it."""
    httpx = library.httpx
    return httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout


@cache
def broken() -> tuple[type[Exception], ...]:
    """Failures of an exchange that the connection or the provider causes."""
    return library.httpx.HTTPError, library.httpx.StreamError, OutOfTime, Damaged, TimeoutError


@contextmanager
def foreign_failures() -> Iterator[None]:
    """What a transport of the caller's raises, as the library's own would: a broken line.

    So it is told from what happens to a picture's file in the same exchange.
    """
    try:
        yield
    except Exception as exc:
        if isinstance(exc, (*broken(), UnicodeError, library.httpx.InvalidURL)):
            raise
        raise library.httpx.ReadError(type(exc).__name__) from exc


def transport_failure(
    account: str, exc: Exception, timeouts: Mapping[str, float], bound: Bound
) -> TransportFailed:
    """The typed error of a broken exchange: only what `unsent` lists was surely not sent.

    Args:
        timeouts: Seconds of each phase, as of `BaseTransport._timeout`.
        bound: Of the exchange.
    """
    not_sent = isinstance(exc, unsent())
    if isinstance(exc, ReplyTooLong | Undecodable | Damaged):
        return TransportFailed(account, str(exc), Charge.MAYBE)
    if isinstance(exc, OutOfTime | TimeoutError) or (bound.over and not not_sent):
        return TransportFailed(account, str(OutOfTime(bound.seconds)), Charge.MAYBE)
    what = {
        "ConnectTimeout": "no connection in time",
        "ConnectError": "no connection",
        "PoolTimeout": "no free connection in time",
        "ReadTimeout": "no reply in time",
        "WriteTimeout": "could not send in time",
        "RemoteProtocolError": "the connection was closed in the middle of the exchange",
        "ReadError": "the connection broke while the reply was read",
        "WriteError": "the connection broke while the request was sent",
    }.get(type(exc).__name__, type(exc).__name__)
    # str(exc) is the library's own text; a URL with a query may stand in it, so it stays out
    # of the message and is reachable as __cause__.
    phase, timed_out, _ = type(exc).__name__.lower().partition("timeout")
    waited = f" ({timeouts[phase]:.3g} s)" if timed_out and phase in timeouts else ""
    return TransportFailed(account, what + waited, Charge.NO if not_sent else Charge.MAYBE)


class ReplyTooLong(Exception):
    """More bytes than a reply may have."""
