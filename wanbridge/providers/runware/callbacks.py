"""Runware's callbacks: one call per picture, flat or wrapped in an array, never signed (/webhooks).

Sources as in `adapter`.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from wanbridge.adapters.steps import CallbackEvent
from wanbridge.errors import CallbackRefused
from wanbridge.model.structuring import ShapeError, lenient, named, structure
from wanbridge.wire import HttpRequest

# Of a task that goes on; the polling page in two editions, and the legacy client.
_UNDER_WAY = frozenset({"processing", "pending", "queued", "scheduled", "waiting"})


@frozen
class _CallbackItem:
    """One item of a callback: a result object, a fault, or a notice of progress."""

    task: str = named("taskUUID")
    picture: str | None = lenient(key="imageUUID")
    status: str | None = lenient()
    code: str | None = lenient()
    message: str | None = lenient()
    error: dict[str, Any] | None = lenient()
    url: str | None = lenient(key="imageURL")
    base64: str | None = lenient(key="imageBase64Data")
    data_uri: str | None = lenient(key="imageDataURI")

    @property
    def in_progress(self) -> bool:
        """Whether the picture is still in progress: by its status, or as a bare acknowledgement."""
        if self.status is not None:
            return self.status in _UNDER_WAY
        outcome = (self.url, self.base64, self.data_uri, self.code, self.message, self.error)
        return not any(outcome)


def read_events(request: HttpRequest) -> list[CallbackEvent]:
    """One event per item; none of them says that the task has ended.

    Raises:
        CallbackRefused: it is unreadable, or an item names no task.
    """
    try:
        raw = _items(request.json())
        items = structure(raw, list[_CallbackItem])
    except ShapeError as exc:
        raise CallbackRefused(f"runware: {exc}") from None
    except ValueError:
        raise CallbackRefused("runware: a callback is JSON") from None
    if not items:
        raise CallbackRefused("runware: a callback about nothing")
    if not all(item.task for item in items):
        raise CallbackRefused("runware: a callback that names no task")
    return [
        CallbackEvent(
            task_id=item.task,
            item=item.picture,
            ended=False if item.in_progress else None,
            raw=each,
        )
        for item, each in zip(items, raw, strict=True)
    ]


def _items(body: Any) -> list[Any]:
    """The items of a callback: guides show one flat object, the legacy client's README arrays."""
    if not isinstance(body, dict) or not {"data", "errors"} & set(body):
        return [body]
    items: list[Any] = []
    for name in ("data", "errors"):
        found = body.get(name) or []
        items += found if isinstance(found, list) else [found]
    return items
