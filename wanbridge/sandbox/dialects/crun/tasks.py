"""Crun's tasks: what is kept with each, and the object that polls and callbacks show.

Source: docs.crun.ai/models/common/get-task-info, read 2026-11-20 (wire page, 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from wanbridge.sandbox.account import Account, Outcome, Task
from wanbridge.sandbox.dialects.crun import input as rules
from wanbridge.sandbox.dialects.shapes import number

_VERSIONS: Final = {rules.PRO: "wan2.7-image-pro", rules.STANDARD: "wan2.7-image"}
_FAILED: Final = (Outcome.FAILED, Outcome.REFUSED)


@frozen(kw_only=True)
class Work:
    """What Crun keeps with a task.

    Attributes:
        param: The body of the create.
        started_at: Seconds of the sandbox's clock.
        reserved: Credits set aside for it.
        reason: Why it will fail, if that is known from the start.
    """

    param: Mapping[str, Any]
    started_at: float
    price: Decimal
    reserved: Decimal
    reason: str | None = None


def work_of(task: Task) -> Work:
    """Every task of this dialect has one."""
    assert isinstance(task.detail, Work)
    return task.detail


def failed(task: Task) -> bool:
    """Whether it ends in an error."""
    return task.outcome in _FAILED


def actual(task: Task, *, failed_charge: bool) -> Decimal:
    """Credits that an ended task consumed: price times delivered images.

    A failure normally consumes none, which is inferred (8); *failed_charge* has it keep all.
    """
    if failed(task):
        return work_of(task).reserved if failed_charge else Decimal(0)
    return work_of(task).price * len(task.files)


def info(task: Task, account: Account, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ``data`` of TaskInfo."""
    done, work = account.done(task), work_of(task)
    optional = {
        "credits": _credits(task, done=done, text=settings["credits_type"] == "string"),
        "result": _result(task, account) if done else None,
        "duration_s": int(task.ready_at - work.started_at) if done else None,
        "complete_at": int(task.ready_at) if done else None,
    }
    if settings["omit_optional"]:
        optional = {name: value for name, value in optional.items() if value is not None}
    if settings["credits_type"] == "absent":
        del optional["credits"]
    return {
        "task_id": task.id,
        "provider": "Alibaba",
        "model_version": _VERSIONS[task.model],
        "status": _status(task, account),
        "param": {
            "model": task.model,
            "callback_url": work.param.get("callback_url"),
            "input": work.param["input"],
        },
        "create_at": int(task.created_at),
        **optional,
        "source": "api",
    }


def _status(task: Task, account: Account) -> str:
    if account.done(task):
        return "failed" if failed(task) else "success"
    return "pending" if account.now() <= work_of(task).started_at else "running"


def _credits(task: Task, *, done: bool, text: bool) -> str | int | float:
    """The reserved amount while it runs, then the actual one (4)."""
    amount = work_of(task).reserved
    if done:
        amount = Decimal(0) if task.charge is None else task.charge.amount
    return f"{amount:f}" if text else number(amount)


def _result(task: Task, account: Account) -> dict[str, Any]:
    if failed(task):
        reasons = {
            Outcome.REFUSED: "upstream refused the input",
            Outcome.FAILED: "upstream could not finish this request",
        }
        message = work_of(task).reason or reasons[task.outcome]
        return {"code": 501, "message": message, "media_urls": []}
    urls = [account.link(file) for file in task.files]
    return {
        "code": 200,
        "message": "success",
        "media_urls": urls,
        "media_info": {},
        "usage": {},
    }
