"""Exchanges that buy nothing, retried where that helps, and reading replies safely."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import (
    Exchange,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import REPLY_MOST, Flow, Send, Sleep
from wanbridge.engine.events import Retrying
from wanbridge.errors import (
    CallFailed,
    MalformedResponse,
    TransportFailed,
)
from wanbridge.model.request import ImageRequest
from wanbridge.wire import HttpRequest, HttpResponse

T = TypeVar("T")

# A second is also what Runware's own client gives a first send before it sends the same key
# again (runware-sdk 1.8.0, read 2026-11-20).
FIRST_BACKOFF = 1.0
MOST_BACKOFF = 30.0
# Of a submit that is to be answered at once: no reply comes in less.
SOONEST = 0.05
# A 4096x4096 picture without compression is 64 MiB; as base64, within a reply, it rarely is.
PICTURE_IN_REPLY = 64 * 2**20
FREE_RETRIES = 3
# A free message that was not taken, and may be later.
BUSY = frozenset({408, 429, 500, 502, 503, 504})


def converse(
    adapter: Adapter,
    exchange: Exchange[T],
    *,
    context: CallContext,
    busy: frozenset[int] = frozenset(),
    until: float | None = None,
) -> Flow[T]:
    """Carry out the free messages of an adapter's exchange.

    Args:
        busy: Statuses after which a message is sent again, as after a broken connection.
        until: When, on the clock, to give up; None: at the deadline of *context*.
    """
    until = context.until if until is None else until
    try:
        message = next(exchange)
        while True:
            response = yield from send_free(adapter, message, context, busy, until)
            message = exchange.send(response)
    except StopIteration as stop:
        return cast("T", stop.value)


def send_free(
    adapter: Adapter,
    message: HttpRequest,
    context: CallContext,
    busy: frozenset[int],
    until: float,
) -> Flow[HttpResponse]:
    """Send a message that buys nothing, again if the connection breaks or the status is *busy*."""
    backoff = FIRST_BACKOFF
    for turn in range(FREE_RETRIES + 1):
        pause = context.jittered(backoff)
        within = max(until - context.clock(), SOONEST)
        last = turn == FREE_RETRIES
        try:
            send = Send(account=adapter.account, request=message, within=within)
            response = cast("HttpResponse", (yield send))
            if response.retry_after is not None:
                pause = min(response.retry_after, MOST_BACKOFF)
            if response.status not in busy or last or context.late(pause, until):
                return response
            reason = f"{adapter.account}: HTTP {response.status}"
        except TransportFailed as exc:
            if last or context.late(pause, until):
                raise
            reason = str(exc)
        backoff = min(backoff * 2, MOST_BACKOFF)
        context.report(Retrying(account=adapter.account, reason=reason, seconds=pause))
        yield Sleep(pause)
    raise AssertionError("unreachable")  # pragma: no cover


def read_reply(adapter: Adapter, read: Callable[[], T]) -> T:
    """What *read* makes of a reply; other exceptions than `CallFailed` are `MalformedResponse`.

    So a bug in an adapter does not lose a job that was accepted.
    """
    try:
        return read()
    except CallFailed:
        raise
    except Exception as exc:
        message = f"the adapter cannot read this reply ({type(exc).__name__}: {exc})"
        raise MalformedResponse(adapter.account, message) from exc


def reply_most(adapter: Adapter, request: ImageRequest) -> int:
    """Bytes of a reply that may hold the pictures of *request*, where they were asked for in it."""
    if not request.inline or "inline" not in adapter.offer(request.model).fields:
        return REPLY_MOST
    return REPLY_MOST + request.n * PICTURE_IN_REPLY
