"""DashScope's look-up: tasks around the time of a send, none of them surely ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from wanbridge.adapters.steps import StillUnknown
from wanbridge.errors import (
    MalformedResponse,
    ProviderError,
    RateLimited,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.providers.dashscope import DashScope
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
TASK = "3f0c7a52-6d1e-4b57-9a53-0c6f2b8a1d44"
TASKS = DashScope(api_key="sk-secret")
SYNC = DashScope(api_key="sk-secret", options=DashScope.Options(mode="sync"))
MILL = ImageRequest("a water mill in fog")
JOB = Job(
    provider="dashscope",
    account="dashscope",
    base_url="https://dashscope-intl.aliyuncs.com/api/v1",
    id=TASK,
    request=MILL,
    submitted_at=NOW,
    key="k",
)


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def refusal(code: str) -> dict[str, str]:
    return {"request_id": "r-7", "code": code, "message": "made up"}


RECEIPT = Receipt(
    provider="dashscope",
    account="dashscope",
    base_url=JOB.base_url,
    key="k",
    request=MILL,
    digest="0" * 64,
    first_sent_at=datetime(2026, 11, 20, 15, 59, 30, tzinfo=UTC),
    last_sent_at=datetime(2026, 11, 20, 16, 0, 5, tzinfo=UTC),
)


def listing(*ids: str, **more: Any) -> HttpResponse:
    return reply(
        {"request_id": "r", "data": [{"task_id": i, "status": "RUNNING"} for i in ids], **more}
    )


def find(*answers: HttpResponse, adapter: DashScope = TASKS) -> tuple[Any, list[HttpRequest]]:
    """The finding and the messages that led to it."""
    exchange, asked = adapter.find(RECEIPT), []
    replies = iter(answers)
    try:
        message = next(exchange)
        while True:
            asked.append(message)
            message = exchange.send(next(replies, reply(b"more than was played")))
    except StopIteration as stop:
        return stop.value, asked


def test_find_lists_tasks_of_that_model_around_the_sends() -> None:
    """A minute on each side, in UTC+8; the candidates are for the caller to judge."""
    found, asked = find(listing("t-1", "t-2", total=2, total_page=1, page_no=1))

    base = "https://dashscope-intl.aliyuncs.com/api/v1/tasks/"
    window = "start_time=20261120235830&end_time=20261121000105"
    assert [
        HttpRequest(
            method="GET",
            url=f"{base}?{window}&model_name=wan2.7-image&page_no=1&page_size=10",
            headers={"Authorization": "Bearer sk-secret"},
        )
    ] == asked
    assert isinstance(found, StillUnknown)
    assert ("t-1", "t-2") == found.candidates
    assert "2 tasks of wan2.7-image from 2026-11-20 23:58:30 to 00:01:05" in found.detail


def test_find_turns_pages_until_the_last() -> None:
    """Ten a page is the default."""
    ten = [f"t-{i}" for i in range(10)]
    found, asked = find(listing(*ten, total=12), listing("t-10", "t-11", total=12))

    assert (*ten, "t-10", "t-11") == found.candidates
    assert ["page_no=1", "page_no=2"] == [m.url.split("&")[3] for m in asked]


def test_find_does_not_ask_for_a_page_beyond_the_total() -> None:
    """Exactly ten are one page."""
    found, _ = find(listing(*map(str, range(10)), total=10))

    assert 10 == len(found.candidates)


def test_find_ends_after_five_pages() -> None:
    """More candidates than that help nobody; the detail says how many there are."""
    page = listing(*map(str, range(10)), total=73)
    found, asked = find(page, page, page, page, page)

    assert (5, 50) == (len(asked), len(found.candidates))
    assert "73 tasks" in found.detail
    assert "50 named here" in found.detail


def test_find_without_a_task_settles_nothing() -> None:
    """The zone of the window is an assumption, so an empty list proves nothing."""
    found, _ = find(listing(total="none"))

    assert isinstance(found, StillUnknown)
    assert () == found.candidates


def test_find_asks_nothing_in_sync_mode() -> None:
    """Sync calls make no task."""
    found, asked = find(adapter=SYNC)

    assert (StillUnknown, []) == (type(found), asked)


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply(refusal("Throttling.RateQuota"), 429), RateLimited),
        (reply({"request_id": "r"}), MalformedResponse),
    ],
)
def test_a_look_up_that_fails_is_an_error(answer: HttpResponse, cls: type[ProviderError]) -> None:
    """The flow says that it is still unknown, and why."""
    with pytest.raises(cls):
        find(answer)


def test_an_adopted_task_is_polled_like_any_other() -> None:
    """By the caller's decision."""
    job = TASKS.adopt(RECEIPT, "t-1")

    assert f"{JOB.base_url}/tasks/t-1" == TASKS.poll(job).url
