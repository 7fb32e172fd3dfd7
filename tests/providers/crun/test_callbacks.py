"""Crun's callbacks: a bare task or a wrapped one, unsigned."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from wanbridge.adapters.steps import CallbackEvent
from wanbridge.errors import (
    CallbackRefused,
)
from wanbridge.providers.crun import Crun
from wanbridge.wire import HttpRequest

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TASK = "4c7d2a10-9b1e-4f65-8a0f-2d6b7e9c1a35"
LINKS = ["https://files.crun.ai/r/1.png", "https://files.crun.ai/r/2.png"]
CRUN = Crun(api_key="ak_secret")


def task(status: Any, **more: Any) -> dict[str, Any]:
    """What TaskInfo puts into ``data``."""
    return {
        "task_id": TASK,
        "provider": "Alibaba",
        "model_version": "wan2.7-image-pro",
        "status": status,
        "param": {"model": "wan/2-7-image", "callback_url": None, "input": {}},
        "create_at": 1795000000,
        "credits": 12,
        "result": None,
        "duration_s": None,
        "complete_at": None,
        "source": "api",
        **more,
    }


def result(*links: Any, code: Any = 200, message: Any = "success") -> dict[str, Any]:
    return {"code": code, "message": message, "media_urls": list(links), "media_info": {}}


@pytest.mark.parametrize(
    ("status", "ended"),
    [("success", True), ("failed", True), ("running", False), ("pending", False), ("odd", None)],
)
def test_a_callback_is_a_bare_task_or_a_wrapped_one(status: str, ended: bool | None) -> None:
    """Unsigned, so never more than a hint."""
    bare = task(status, result=result(*LINKS))
    for body in (bare, {"code": 200, "message": "success", "data": bare}):
        call = HttpRequest(method="POST", url="https://app.example.com/hook", body=_json(body))

        assert [CallbackEvent(task_id=TASK, ended=ended, raw=body)] == CRUN.read_callback(
            call, ["ignored"], now=NOW
        )


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"null", b'{"code":200,"data":null}', b"{}"),
        *(b'{"task_id": 7}', b'{"task_id": ""}', b'{"task_id": "a b"}', b'{"taskId": "x"}'),
    ],
)
def test_a_callback_that_names_no_task_is_refused(body: bytes) -> None:
    """Anyone may call."""
    call = HttpRequest(method="POST", url="https://app.example.com/hook", body=body)
    with pytest.raises(CallbackRefused) as caught:
        CRUN.read_callback(call, (), now=NOW)

    assert 400 == caught.value.status


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
