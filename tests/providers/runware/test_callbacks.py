"""Runware's callbacks: one call per picture, never the end of the task."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from wanbridge.adapters.steps import (
    CallbackEvent,
)
from wanbridge.errors import (
    CallbackRefused,
)
from wanbridge.providers.runware import Runware
from wanbridge.wire import HttpRequest

TASK = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RUNWARE = Runware(api_key="rw-secret")


PICTURE = {
    "taskType": "imageInference",
    "taskUUID": TASK,
    "imageUUID": "1c2d3e4f-0000-4000-8000-000000000001",
    "imageURL": "https://im.runware.ai/image/1.png",
    "seed": 7,
    "cost": 0.03,
}
BLOCKED = {"taskUUID": TASK, "status": "error", "code": "promptBlocked", "message": "no"}


def called(body: Any) -> list[CallbackEvent]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest(method="POST", url="https://app.example.com/hooks", body=raw)
    return RUNWARE.read_callback(request, (), now=NOON)


@pytest.mark.parametrize(
    "body", [PICTURE, {**PICTURE, "status": "success"}, {"data": [PICTURE]}, {"data": PICTURE}]
)
def test_a_callback_is_about_one_picture(body: Any) -> None:
    """Guides show it flat, the legacy client's README wrapped; nobody signs it."""
    (event,) = called(body)

    assert (TASK, PICTURE["imageUUID"]) == (event.task_id, event.item)
    assert not event.verified
    assert event.raw["seed"] == 7


@pytest.mark.parametrize(
    "body",
    [
        BLOCKED,
        {k: v for k, v in BLOCKED.items() if k != "status"},
        {"errors": [BLOCKED]},
        {"data": [], "errors": [BLOCKED]},
        {"data": [{"taskUUID": TASK, "error": {"code": "promptBlocked"}}]},
    ],
)
def test_a_callback_tells_of_failures_as_well(body: Any) -> None:
    """It is an event that is worth a poll, which decides what became of the task."""
    assert [(TASK, None, None)] == [(e.task_id, e.item, e.ended) for e in called(body)]


@pytest.mark.parametrize(
    "body",
    [
        {"taskUUID": TASK, "status": "processing", "progress": 40},
        {"data": [{"taskUUID": TASK, "status": "queued"}]},
        {"data": [{"taskType": "imageInference", "taskUUID": TASK}]},
    ],
)
def test_a_callback_that_it_goes_on_is_no_end(body: Any) -> None:
    """Also a bare acknowledgement."""
    assert [False] == [event.ended for event in called(body)]


def test_no_callback_says_that_the_task_has_ended() -> None:
    """There is one for each picture, and the task may have more."""
    second = {**PICTURE, "imageUUID": "1c2d3e4f-0000-4000-8000-000000000002"}

    events = called({"data": [PICTURE, second], "errors": [BLOCKED]})

    assert [None] * 3 == [event.ended for event in events]
    assert 3 == len({(event.task_id, event.item) for event in events})


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
        [],
        None,
        "task",
        {},
        {"data": []},
        {"data": [7]},
        {"data": "x"},
        {"taskUUID": 7},
        {"task_id": TASK, "status": "success"},
        {"data": [PICTURE, {"imageURL": "https://im.runware.ai/image/2.png"}]},
    ],
)
def test_a_callback_of_another_shape_is_refused(body: Any) -> None:
    """400, and its text shows no more than a path."""
    with pytest.raises(CallbackRefused) as caught:
        called(body)

    assert 400 == caught.value.status
    assert "runware" in str(caught.value)
