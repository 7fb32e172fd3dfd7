"""Crun's callbacks: the bare task, or in the envelope of ``TaskInfo``; nothing is signed.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from wanbridge.adapters.steps import CallbackEvent
from wanbridge.errors import CallbackRefused
from wanbridge.model.structuring import structure
from wanbridge.providers.crun.replies import ID, Task
from wanbridge.wire import HttpRequest


def read_event(request: HttpRequest) -> CallbackEvent:
    """The event in a callback.

    Raises:
        CallbackRefused: it is unreadable, or names no task.
    """
    try:
        body = request.json()
        wrapped = isinstance(body, dict) and "task_id" not in body
        task = structure(body.get("data") if wrapped else body, Task)
    except ValueError as exc:
        raise CallbackRefused(f"crun: not a task: {exc}") from None
    if not ID.fullmatch(task.task_id or ""):
        raise CallbackRefused("crun: $.task_id: missing, or not 1 to 256 printable characters")
    ended = {"success": True, "failed": True, "pending": False, "running": False}
    return CallbackEvent(task_id=task.task_id or "", ended=ended.get(task.status or ""), raw=body)
