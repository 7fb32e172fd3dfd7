"""KIE's callbacks: two frames, and a signature over task id and time alone.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta

from wanbridge.adapters.steps import CallbackEvent
from wanbridge.errors import CallbackRefused
from wanbridge.providers.kie.replies import EPOCH, FAIL, SUCCESS
from wanbridge.wire import HttpRequest

# How far a callback's time may be off. Not documented; a signature without it would hold forever.
_TOLERANCE = timedelta(seconds=300)


def read_event(
    request: HttpRequest, keys: Sequence[str], *, account: str, now: datetime
) -> CallbackEvent:
    """The event in a callback, verified if there are *keys*.

    Raises:
        CallbackRefused: it is unreadable, or with *keys* forged or stale.
    """
    try:
        body = request.json()
    except ValueError:
        raise CallbackRefused(f"{account}: a callback that is not JSON", 400) from None
    frame = body if isinstance(body, dict) else {}
    data = frame["data"] if isinstance(frame.get("data"), dict) else {}
    # One frame on the webhook page, another on the older market pages (callbacks).
    names = (data.get("task_id"), data.get("taskId"), frame.get("taskId"), frame.get("task_id"))
    task = next((n for n in names if isinstance(n, str) and n and n.isascii()), None)
    if task is None:
        raise CallbackRefused(f"{account}: a callback that names no task", 400)
    if keys:
        _check_signature(request, task, keys, account, now)
    ended: bool | None = None
    if isinstance(state := data.get("state"), str):
        ended = state in (*SUCCESS, *FAIL)
    elif data.get("callbackType") == "task_completed":
        ended = True
    return CallbackEvent(task_id=task, verified=bool(keys), ended=ended, raw=body)


def _check_signature(
    request: HttpRequest, task: str, keys: Sequence[str], account: str, now: datetime
) -> None:
    """``base64(HMAC-SHA256(key, taskId + "." + timestamp))``; the body is not in it."""
    sent = request.header("x-webhook-timestamp") or ""
    signature = request.header("x-webhook-signature") or ""
    if not (sent and signature):
        raise CallbackRefused(f"{account}: a callback without a signature", 401)
    message, given = (text.encode(errors="replace") for text in (f"{task}.{sent}", signature))
    # Every key is tried, so that the time taken does not depend on which one fits.
    fits = [
        hmac.compare_digest(b64encode(hmac.digest(key.encode(), message, "sha256")), given)
        for key in keys
    ]
    if not any(fits):
        raise CallbackRefused(f"{account}: a callback with a wrong signature", 401)
    at = int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 12 else 0
    if abs(now - EPOCH - timedelta(seconds=at)) > _TOLERANCE:
        raise CallbackRefused(f"{account}: a callback of another time", 401)
