"""DashScope's tasks: what is kept about one, its state at a moment, and how it is written.

Source: https://help.aliyun.com/zh/model-studio/manage-asynchronous-tasks and the API reference
named in `server`, read 2026-11-20 (wire page, 4). Times carry no zone; UTC+8 is inferred.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from attrs import define

from wanbridge.sandbox.account import Account, File, Outcome, Task
from wanbridge.sandbox.dialects.dashscope.body import Order
from wanbridge.sandbox.dialects.dashscope.errors import Refused, invalid

STATES: Final = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN", "SUSPENDED")
# Task ids and result URLs alike (3.2, 4.2).
LIFE_SECONDS: Final = 24 * 3600

_ZONE: Final = timezone(timedelta(hours=8))
_FILTER_TIME: Final = "%Y%m%d%H%M%S"
_UNIQUE_KEY: Final = "apikey:v1:aigc:image-generation:generation:{}"


@define(kw_only=True)
class Work:
    """What the dialect keeps with a task.

    Attributes:
        sync: It has no task id that a reply has named.
        order: What was asked for; None if it was taken on only to fail.
        started_at: Until then it is PENDING.
        price: Of one image, in ``currency``; as it was when the task was taken on.
        error: Why it fails; None if it does not.
    """

    sync: bool
    order: Order | None
    request_id: str
    started_at: float
    price: Decimal
    currency: str
    region: str
    error: Refused | None = None
    cancelled_at: float | None = None


def work_of(task: Task) -> Work:
    """What is kept with *task*."""
    work: Work = task.detail
    return work


def state(task: Task, now: float) -> str:
    """``task_status`` at a moment."""
    work = work_of(task)
    if work.cancelled_at is not None:
        return "CANCELED"
    if now < work.started_at:
        return "PENDING"
    if now < task.ready_at:
        return "RUNNING"
    return "FAILED" if task.outcome in (Outcome.FAILED, Outcome.REFUSED) else "SUCCEEDED"


def times(task: Task, now: float) -> dict[str, str]:
    """Those of the three times that lie behind, as a query shows them (4.2)."""
    moments = {
        "submit_time": task.created_at,
        "scheduled_time": _scheduled(task),
        "end_time": task.ready_at,
    }
    return {k: _shown(at) for k, at in moments.items() if at is not None and at <= now}


def _scheduled(task: Task) -> float | None:
    """When it left the queue; None if it was cancelled there."""
    work = work_of(task)
    return work.started_at if work.cancelled_at is None else None


def _shown(at: float) -> str:
    # Rounded first: strftime would cut, and binary fractions would lose a millisecond.
    seconds, milliseconds = divmod(round(at * 1000), 1000)
    return f"{datetime.fromtimestamp(seconds, _ZONE):%Y-%m-%d %H:%M:%S}.{milliseconds:03}"


def output(
    task: Task, order: Order, account: Account, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """``output`` of a success; one choice in a set (3.1), else as ``choices`` says."""
    items = [_item(task, file, account) for file in task.files]
    # Only wan2.6 has a published sample of several images outside sets: N choices (3.1).
    single = order.sequential or settings["choices"] == "1xN"
    contents = [items] if single else [[item] for item in items]
    if settings["text_item"]:
        contents = [[{"type": "text", "text": "Here it is."}, *content] for content in contents]
    choices = [
        {"finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        for content in contents
    ]
    return {"choices": choices, "finished": True}


def _item(task: Task, file: File, account: Account) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(file.name.encode()).digest()[:20]).decode()
    expires = int(task.links_until or 0)
    query = f"?Expires={expires}&OSSAccessKeyId=LTAI5tSandbox&Signature={quote(digest, safe='')}"
    return {"type": "image", "image": account.link(file, query)}


def usage(task: Task, order: Order) -> dict[str, Any]:
    """``usage`` of a success. Tokens are stated, not billed (3.1); their number is made up."""
    delivered = len(task.files)
    read, written = len(order.prompt), 2 * delivered
    return {
        "image_count": delivered,
        "size": f"{order.width}*{order.height}",
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
    }


def listing(tasks: list[Task], query: Mapping[str, str], now: float) -> dict[str, Any]:
    """A page of *tasks*, newest first (the order is inferred). Raises Refused (4.4)."""
    chosen = _filtered(tasks, query, now)
    number = _positive(query, "page_no", 1)
    size = _positive(query, "page_size", 10)
    page = chosen[(number - 1) * size : number * size]
    return {
        "page_no": number,
        "page_size": size,
        "total": len(chosen),
        "total_page": -(-len(chosen) // size),
        "data": [_row(task, now) for task in page],
    }


def _filtered(tasks: list[Task], query: Mapping[str, str], now: float) -> list[Task]:
    newest_first = tasks[::-1]
    if wanted := query.get("task_id"):
        return [task for task in newest_first if task.id == wanted]
    start, end = _span(query, now)
    status, model = query.get("status"), query.get("model_name")
    if status and status not in STATES:
        raise invalid(f"status must be one of {', '.join(STATES)}")
    return [
        task
        for task in newest_first
        if start <= task.created_at <= end
        and status in (None, "", state(task, now))
        and model in (None, "", task.model)
    ]


def _span(query: Mapping[str, str], now: float) -> tuple[float, float]:
    end = _filter_time(query.get("end_time"), now)
    start = _filter_time(query.get("start_time"), end - LIFE_SECONDS)
    if not 0 <= end - start <= LIFE_SECONDS:
        raise invalid("start_time must be before end_time, by at most 24 hours")
    return start, end


def _filter_time(value: str | None, default: float) -> float:
    if not value:
        return default
    try:
        return datetime.strptime(value, _FILTER_TIME).replace(tzinfo=_ZONE).timestamp()
    except ValueError:
        raise invalid(f"times are YYYYMMDDhhmmss, not {value!r}") from None


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise invalid(f"{name} must be a number from 1 up")
    return int(value)


def _row(task: Task, now: float) -> dict[str, Any]:
    work = work_of(task)
    started = _scheduled(task)
    moments = {"start_time": started, "end_time": task.ready_at}
    return {
        "task_id": task.id,
        "status": state(task, now),
        "model_name": task.model,
        "region": work.region,
        "gmt_create": round(task.created_at * 1000),
        **{k: round(at * 1000) for k, at in moments.items() if at is not None and at <= now},
        "api_key_id": "12345",
        "caller_parent_id": "1000000000000000",
        "caller_uid": "1000000000000000",
        "request_id": work.request_id,
        "user_api_unique_key": _UNIQUE_KEY.format(task.model),
    }
