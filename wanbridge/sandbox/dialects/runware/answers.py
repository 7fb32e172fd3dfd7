"""Runware's answers: an object with ``data`` and ``errors``, put together from the tasks' parts."""

from __future__ import annotations

import base64
from typing import Any, Final

from attrs import evolve, field, frozen

from wanbridge.sandbox.dialect import Call
from wanbridge.sandbox.picture import Picture
from wanbridge.sandbox.reply import Reply, json_reply, lazy_json_reply

# runware.ai/docs/platform/errors; the codes are those that the official clients know.
_STATUS: Final = {
    "invalidApiKey": 401,
    "missingApiKey": 401,
    "insufficientCredits": 402,
    "rateLimitExceeded": 429,
    "inferenceError": 500,
    "internalServerError": 500,
    "serviceUnavailable": 503,
    "failedTaskTimeout": 504,
}
SERVER_CODES: Final = {503: "serviceUnavailable", 504: "failedTaskTimeout"}


@frozen
class Part:
    """What one task of a request adds to the answer."""

    data: list[Any] = field(factory=list)
    errors: list[dict[str, Any]] = field(factory=list)
    status: int = 200
    delay: float = 0.0


@frozen
class Drawn:
    """A picture inside a JSON answer, drawn when the answer is written."""

    picture: Picture
    prefix: str

    def text(self) -> str:
        from wanbridge.sandbox.drawing import draw

        return self.prefix + base64.b64encode(draw(self.picture)).decode()


def tasks_of(call: Call) -> list[dict[str, Any]]:
    """The tasks of a request, whatever it holds; before anything was checked."""
    try:
        body = call.json()
    except ValueError:
        return []
    return [task for task in body if isinstance(task, dict)] if isinstance(body, list) else []


def names(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task[name] for name in ("taskType", "taskUUID") if name in task}


def error_object(code: str, message: str, task: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, **names(task or {})}


def bad_key(code: str, message: str) -> Reply:
    error = {**error_object(code, message, {"taskType": "authentication"}), "parameter": "apiKey"}
    return failure(401, error)


def status_of(error: dict[str, Any]) -> int:
    return _STATUS.get(error["code"], 400)


def failure(status: int, error: dict[str, Any]) -> Reply:
    return json_reply(status, {"errors": [error]})


def refused(problems: list[dict[str, Any]], task: dict[str, Any]) -> Part:
    return Part(errors=[{**problem, **names(task)} for problem in problems], status=400)


def failed(error: dict[str, Any], status: int | None = None) -> Part:
    return Part(errors=[error], status=status or status_of(error))


def nested(error: dict[str, Any]) -> dict[str, Any]:
    inner = {name: error[name] for name in ("code", "message")}
    return {**names(error), "status": "error", "error": inner}


def merged(parts: list[Part]) -> Reply:
    """The answer to all tasks: 200 as soon as one of them was taken on."""
    data = [element for part in parts for element in part.data]
    errors = [error for part in parts for error in part.errors]
    body = {"data": data, "errors": errors} if errors else {"data": data}
    status = 200 if any(part.status == 200 for part in parts) else parts[0].status
    delay = max(part.delay for part in parts)
    if any(isinstance(v, Drawn) for element in data for v in element.values()):
        return evolve(lazy_json_reply(status, body, Drawn.text), delay=delay)
    return evolve(json_reply(status, body), delay=delay)
