"""KIE's callbacks: two frames, and a signature over task id and time alone."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.steps import CallbackEvent
from wanbridge.errors import (
    CallbackRefused,
)
from wanbridge.providers.kie import Kie, Options
from wanbridge.wire import HttpRequest

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TASK = "5f1c0a9e7b3d4c2f8a6e1d0b9c8f7a6e"
KIE = Kie(api_key="kie_live_secret")


# The page's algorithm, worked out by hand.
SECRET = "sim-webhook-key-0001"
SENT_AT = datetime.fromtimestamp(1795000000, UTC)
SIGNED = {
    "X-Webhook-Timestamp": "1795000000",
    "X-Webhook-Signature": "S+vvBFWW8tylzakaZ1tJeZBWJNXkvno/5KM7ZUxv9DI=",
}
MARKET = {"code": 200, "msg": "m", "data": {"taskId": TASK, "state": "success", "param": "{}"}}
GUIDE = {
    "taskId": TASK,
    "code": 200,
    "msg": "Success",
    "data": {"task_id": TASK, "callbackType": "task_completed"},
}


def called(body: Any, headers: Any = SIGNED) -> HttpRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest(method="POST", url="https://app.example/h", headers=headers, body=raw)


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        pytest.param(MARKET, True, id="market-frame"),
        pytest.param(GUIDE, True, id="guide-frame"),
        ({**MARKET, "code": 501, "data": {"taskId": TASK, "state": "fail"}}, True),
        ({**MARKET, "data": {"taskId": TASK, "state": "generating"}}, False),
        ({**MARKET, "data": {"taskId": TASK, "state": 5}}, None),
        ({**GUIDE, "data": {"task_id": TASK, "callbackType": "first"}}, None),
        ({"taskId": TASK, "data": None}, None),
        ({"task_id": TASK}, None),
        ({"taskId": "elsewhere", "data": {"task_id": TASK, "taskId": "other"}}, None),
    ],
)
def test_both_callback_frames_are_read_once_their_signature_fits(body: Any, ended: Any) -> None:
    """The id is the one that was signed, from the first of four places."""
    events = KIE.read_callback(called(body), [SECRET], now=SENT_AT)

    assert [CallbackEvent(task_id=TASK, verified=True, ended=ended, raw=body)] == events


@pytest.mark.parametrize(
    ("secrets", "own"), [(["old", SECRET], None), ([], SECRET), (["new", ""], SECRET)]
)
def test_one_of_several_keys_is_enough(secrets: list[str], own: str | None) -> None:
    """While one is being replaced; the configured one counts as well."""
    adapter = evolve(KIE, options=Options(webhook_key=own))
    lower = {name.lower(): value for name, value in SIGNED.items()}

    (event,) = adapter.read_callback(called(GUIDE, lower), secrets, now=SENT_AT)

    assert event.verified


def test_without_a_key_nothing_is_verified() -> None:
    """Signing is off until a key is generated in the settings."""
    (event,) = KIE.read_callback(called(MARKET, {}), [], now=NOW)

    assert (TASK, False) == (event.task_id, event.verified)


@pytest.mark.parametrize(
    ("request_", "now", "status", "why"),
    [
        (called(MARKET, {}), SENT_AT, 401, "without a signature"),
        (called(MARKET, {**SIGNED, "X-Webhook-Timestamp": ""}), SENT_AT, 401, "without a"),
        (called(MARKET, {**SIGNED, "X-Webhook-Signature": "x"}), SENT_AT, 401, "wrong"),
        (called(MARKET, {**SIGNED, "X-Webhook-Signature": "ü\udc80"}), SENT_AT, 401, "wrong"),
        (called(MARKET, {**SIGNED, "X-Webhook-Timestamp": "1795000001"}), SENT_AT, 401, "wrong"),
        (called({"taskId": "another"}), SENT_AT, 401, "wrong signature"),
        (called(MARKET), SENT_AT + timedelta(seconds=301), 401, "another time"),
        (called(MARKET), SENT_AT - timedelta(seconds=301), 401, "another time"),
        (called({"code": 200, "data": {}}), SENT_AT, 400, "names no task"),
        (called({"taskId": 5, "data": []}), SENT_AT, 400, "names no task"),
        (called([]), SENT_AT, 400, "names no task"),
        (called(b'{"taskId": "\\ud800"}'), SENT_AT, 400, "names no task"),
        (called(b"<html>"), SENT_AT, 400, "not JSON"),
        (called(b"[" * 99_999), SENT_AT, 400, "not JSON"),
    ],
)
def test_a_forged_or_stale_callback_is_refused(
    request_: HttpRequest, now: datetime, status: int, why: str
) -> None:
    """401 for a signature that is missing or wrong, 400 where there is nothing to check."""
    with pytest.raises(CallbackRefused, match=why) as caught:
        KIE.read_callback(request_, ["old", SECRET], now=now)

    assert status == caught.value.status


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_callback_may_be_five_minutes_off(seconds: int) -> None:
    """Clocks differ, and retries take a while."""
    now = SENT_AT + timedelta(seconds=seconds)

    assert KIE.read_callback(called(MARKET), [SECRET], now=now)


@pytest.mark.parametrize("time", ["soon", "-1795000000", "1795000000.5", "9" * 40, "١٧٩٥٠٠٠٠٠٠"])
def test_a_signed_time_that_is_none_is_refused(time: str) -> None:
    """Whoever has the key could sign anything; an age cannot be told from it."""
    message = f"{TASK}.{time}".encode()
    signature = b64encode(hmac.digest(SECRET.encode(), message, "sha256")).decode()
    headers = {"X-Webhook-Timestamp": time, "X-Webhook-Signature": signature}

    with pytest.raises(CallbackRefused, match="another time"):
        KIE.read_callback(called(MARKET, headers), [SECRET], now=SENT_AT)
