"""How many calls and tasks DashScope allows at once, measured on the sandbox's clock.

Source: https://help.aliyun.com/zh/model-studio/rate-limit and .../manage-asynchronous-tasks, read
2026-11-20 (wire page, 7). That the second is a sliding one, and that only admitted calls count
against it, is inferred.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from wanbridge.sandbox.account import Account, Task

# Calls in any one second: creates per model, the others per account.
_PER_SECOND: Final = {"create": 5, "query": 20, "list": 20, "cancel": 20, "upload": 100}
# Tasks in progress, per model.
_RUNNING: Final = 5


class Rates:
    """The calls of the last second, and the tasks that wait or run."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._recent: dict[str, deque[float]] = {}
        self._in_progress: dict[str, list[Task]] = {}

    def admit(self, what: str, model: str = "") -> bool:
        """Count one call; False, and not counted, if there were too many in the last second."""
        now = self._account.now()
        recent = self._recent.setdefault(f"{what}/{model}", deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= _PER_SECOND[what]:
            return False
        recent.append(now)
        return True

    def took(self, task: Task) -> None:
        """Remember that *task* was taken on."""
        self._in_progress.setdefault(task.model, []).append(task)

    def free_at(self, model: str) -> float:
        """When the next task of *model* may begin to run: now, or when another will have ended.

        Tasks already queued keep their start when one before them is cancelled.
        """
        now = self._account.now()
        live = [task for task in self._in_progress.get(model, []) if now < task.ready_at]
        self._in_progress[model] = live
        ends = sorted(task.ready_at for task in live)
        return ends[-_RUNNING] if len(ends) >= _RUNNING else now
