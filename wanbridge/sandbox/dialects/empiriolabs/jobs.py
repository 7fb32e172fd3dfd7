"""EmpirioLabs' jobs, results and usage events as JSON, in every shape that was seen.

Sources: docs.empiriolabs.ai/api-reference/api-reference/jobs/retrieve-job and /account-usage-api,
read 2026-11-20. Numbers in brackets are sections of our wire page on EmpirioLabs. Values that are
``Picture`` are written as base64 when the reply goes out.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import define

from wanbridge.sandbox.account import Account, File, Outcome, Task
from wanbridge.sandbox.dialects.empiriolabs.rules import MODEL, Order, Refused
from wanbridge.sandbox.picture import MIME, Picture

_KEPT_SECONDS: Final = 3600.0
_FAILED: Final = (Outcome.FAILED, Outcome.REFUSED)
# Moderation has no code of its own: the text speaks of inspection or policy (5).
_REASONS: Final = {
    Outcome.FAILED: "the upstream model could not finish this request",
    Outcome.REFUSED: "upstream refused the prompt: content inspection policy",
}


@define(kw_only=True)
class Work:
    """What the service keeps with a task.

    Attributes:
        started_at: Seconds of the sandbox's clock, as is ``cancelled_at``.
        hidden: The caller holds its request open and was never given a job id.
    """

    order: Order
    started_at: float
    hidden: bool = False
    cancelled_at: float | None = None


def work_of(task: Task) -> Work:
    """Every task of this dialect has one."""
    assert isinstance(task.detail, Work)
    return task.detail


def failed(task: Task) -> bool:
    """Whether it ends in an error."""
    return work_of(task).cancelled_at is None and task.outcome in _FAILED


def visible(task: Task, now: float) -> bool:
    """Whether polls know it: not for longer than an hour after its end (7)."""
    return not (task.lost or work_of(task).hidden) and now < task.ready_at + _KEPT_SECONDS


def status(task: Task, now: float, words: Mapping[str, Any]) -> str:
    """One word of section 4; *words* are the switches that choose between spellings."""
    work = work_of(task)
    if work.cancelled_at is not None:
        return str(words["cancel_word"])
    if now < task.ready_at:
        return "queued" if now < work.started_at else str(words["running_word"])
    return "failed" if failed(task) else str(words["done_word"])


def finished(task: Task, now: float) -> bool:
    """Whether it has a result, be it empty."""
    return now >= task.ready_at and not failed(task) and work_of(task).cancelled_at is None


def job(task: Task, account: Account, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a poll (4)."""
    now = account.now()
    word = status(task, now, settings)
    ended = now >= task.ready_at
    done = finished(task, now)
    return {
        "job_id": task.id,
        "status": word,
        "progress": 1 if done else _progress(task, account, word),
        "created_at": instant(task.created_at),
        "completed_at": instant(task.ready_at) if ended else None,
        "result": result(task, account, settings) if done else None,
        "error": error(task, settings) if ended and failed(task) else None,
    }


def _progress(task: Task, account: Account, word: str) -> float:
    if word == "queued":
        return 0
    # A job without a result stops at 0.4, as the page's example does (4).
    return round(min(account.progress(task), 0.4 if task.outcome in _FAILED else 0.99), 2)


def error(task: Task, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Why a job failed. The code was seen as a word and as a number (4)."""
    code = "upstream_error" if settings["job_error_code"] == "string" else 502
    return {"message": _REASONS[task.outcome], "type": "upstream_error", "code": code}


def refusal(task: Task) -> Refused:
    """The same to a caller who waited; that it is a 502 is inferred (5)."""
    return Refused(_REASONS[task.outcome], status=502, code="upstream_error")


def result(task: Task, account: Account, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The finished result (3.2), in a reply that waited as in a job."""
    order = work_of(task).order
    inline = order.base64 and (work_of(task).hidden or settings["b64_in_jobs"])
    if order.raw:
        return _raw(task, account)
    head = {"created": int(task.ready_at)}
    if settings["result_shape"] == "url":
        return {**head, "url": next(iter(urls(task, account)), None)}
    items = [_item(task, file, account, settings, inline=inline) for file in task.files]
    body = {**head, settings["result_shape"]: items}
    if settings["result_usage"]:
        body["usage"] = {"billable_units": len(task.files), "billing_unit": "image"}
    return body


def _item(
    task: Task, file: File, account: Account, settings: Mapping[str, Any], *, inline: bool
) -> dict[str, Any]:
    item: dict[str, Any] = (
        {"b64_json": file.picture} if inline else {"url": _url(task, file, account)}
    )
    if settings["item_details"]:
        picture = file.picture
        item |= {
            "content_type": MIME[picture.format],
            "width": picture.width,
            "height": picture.height,
            "revised_prompt": picture.prompt,
        }
    return item


def _raw(task: Task, account: Account) -> dict[str, Any]:
    """The upstream payload: that of Alibaba's own service, as its page shows it."""
    content = [{"type": "image", "image": url} for url in urls(task, account)]
    message = {"role": "assistant", "content": content}
    choices = [{"finish_reason": "stop", "message": message}]
    return {
        "request_id": account.uuid(),
        "output": {"choices": choices, "finished": True},
        "usage": {"image_count": len(content)},
    }


def urls(task: Task, account: Account) -> list[str]:
    """Signed URLs of what was delivered."""
    return [_url(task, file, account) for file in task.files]


def _url(task: Task, file: File, account: Account) -> str:
    signature = hashlib.sha256(file.name.encode()).hexdigest()[:16]
    return account.link(file, f"?sig={signature}&exp={int(task.links_until or 0)}")


def base64_of(picture: Picture) -> str:
    """A picture as ``b64_json`` has it."""
    from wanbridge.sandbox.drawing import draw

    return base64.b64encode(draw(picture)).decode()


def usage(
    tasks: Iterable[Task], account: Account, query: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """``GET /account/usage`` (8): one event for each ended task, newest first. Raises Refused.

    That only accepted requests are events, that a cancelled one is a success, and that the
    cursor goes into ``before`` is our reading.
    """
    limit = count(query, 100, 200)
    now = account.now()
    ended = sorted((t for t in tasks if now >= t.ready_at), key=lambda t: -t.ready_at)
    events = [_event(task, account, settings) for task in ended]
    events = _after(_between(events, query), query.get("before"))
    for name in ("source", "model", "status"):
        if name in query:
            events = [event for event in events if event[name] == query[name]]
    page = events[:limit]
    return {
        "object": "list",
        "balance": {"amount": float(account.balance), "currency": account.currency},
        "data": page,
        "next_cursor": page[-1]["id"] if len(events) > limit else None,
    }


def _event(task: Task, account: Account, settings: Mapping[str, Any]) -> dict[str, Any]:
    bad = failed(task)
    cost = 0 if task.charge is None else float(task.charge.amount)
    return {
        "id": f"ue_{task.id.removeprefix('job_')}",
        "object": "usage_event",
        "created_at": instant(task.ready_at),
        "source": "api",
        "model": MODEL,
        "endpoint": "/v1/images/generations",
        "tokens": {"input": 0, "output": 0, "cached": 0, "total": 0},
        "cost": {"amount": cost, "currency": account.currency},
        "status": "error" if bad else "success",
        "status_code": 502 if bad else 200,
        "error": error(task, settings) if bad else None,
        "output_urls": urls(task, account),
        "metadata": {},
    }


def _between(events: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    start, end = _time(query, "from"), _time(query, "to")
    return [
        event
        for event in events
        if (start is None or start <= datetime.fromisoformat(event["created_at"]))
        and (end is None or datetime.fromisoformat(event["created_at"]) <= end)
    ]


def _after(events: list[dict[str, Any]], cursor: str | None) -> list[dict[str, Any]]:
    """Those that follow the one a cursor names."""
    if cursor is None:
        return events
    at = [number for number, event in enumerate(events) if event["id"] == cursor]
    if not at:
        raise Refused("before is no cursor of this list", "before")
    return events[at[0] + 1 :]


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        # A plus sign in a query string is read as a space.
        value = datetime.fromisoformat(query[name].replace(" ", "+"))
    except ValueError:
        value = datetime.min
    if value.tzinfo is None:
        raise Refused(f"{name} must be an RFC 3339 time", name)
    return value


def count(query: Mapping[str, str], default: int, most: int) -> int:
    """``limit`` of a list. Raises Refused."""
    text = query.get("limit", str(default))
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= most:
        raise Refused(f"limit must be 1 to {most}", "limit")
    return int(text)


def instant(seconds: float) -> str:
    """A moment as the service writes it: UTC, whole seconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
