"""What only the author of an adapter knows: how the provider words its replies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from attrs import field, frozen

from wanbridge.model.request import ImageRequest
from wanbridge.testing.replies import NOON
from wanbridge.wire import HttpRequest, HttpResponse


def reply(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """A reply with *body* as JSON; bytes go as they are. ``retry_after="3"`` is a header."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=names, body=raw, received_at=NOON)


def _replies(given: Sequence[HttpResponse]) -> tuple[HttpResponse, ...]:
    return tuple(given)


@frozen(kw_only=True)
class Samples:
    """A provider's replies, as its manual shows them.

    Attributes:
        request: What was asked for; a plain text prompt by default.
        accepted: To a submit that was taken on; where there are no jobs, it has the pictures.
        done: To a poll, with the pictures.
        running: To polls of a job that goes on.
        failed: To polls of a job that has ended without a picture.
        unknown: To polls of a job that the provider does not know.
        refusals: To submits that surely bought nothing.
        callbacks: Calls to ``callback_url``, as they come in.
        signing_keys: What the callbacks are signed with, where they are.
        called_at: When the callbacks came.
    """

    request: ImageRequest = ImageRequest("a red kite over dunes")
    accepted: HttpResponse
    done: HttpResponse
    running: tuple[HttpResponse, ...] = field(default=(), converter=_replies)
    failed: tuple[HttpResponse, ...] = field(default=(), converter=_replies)
    unknown: tuple[HttpResponse, ...] = field(default=(), converter=_replies)
    refusals: tuple[HttpResponse, ...] = field(default=(), converter=_replies)
    callbacks: tuple[HttpRequest, ...] = ()
    signing_keys: tuple[str, ...] = ()
    called_at: datetime = NOON
