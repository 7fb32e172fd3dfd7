"""reAPI: every generation is a task, paid for when it is accepted.

``POST /images/generations`` answers with a task id at the top level, ``GET /tasks/{id}`` with one
of three states. Errors carry a five-digit number; a failed task is an HTTP 200. Nothing is
deduplicated: the same POST twice is two tasks and two charges.

Sources: reapi.ai/docs/wan-2-7-image, reapi.ai/docs/api (overview, tasks, errors, balance), read
2026-11-20. The catalogue of error codes could not be read in full: 20001, 30001, 40001 and 80001
are placeholders of ours, so a client must not depend on them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from wanbridge.sandbox.account import Outcome, Task
from wanbridge.sandbox.dialect import Call, Dialect, Switch
from wanbridge.sandbox.dialects.reapi import rules
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.reply import Reply, json_reply

_SUBMIT = "/api/v1/images/generations"
_TASKS = "/api/v1/tasks/"
_BALANCE = "/api/v1/balance"

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"

_REFUSED = (80006, "blocked by content rules")
_FAILED = (80001, "the model could not finish this request")


class Reapi(Dialect):
    """reAPI's async media API, both Wan 2.7 models."""

    name = "reapi"
    prefix = "/api/v1"
    currency = "credits"
    opening_balance = "100000"
    switches: ClassVar = (
        Switch(
            "id_shape",
            "hex",
            ("hex", "base32"),
            "task_ and 32 hexadecimal digits, or task_ and 26 base-32 characters; both seen",
        ),
        Switch(
            "omit_optional",
            False,
            (False, True),
            "leave out request_id, created_at, and what is null; pages show both",
        ),
        Switch(
            "http_images",
            False,
            (False, True),
            "let http:// images through: the page says HTTPS only, the playground not",
        ),
        Switch(
            "unknown_fields",
            "refuse",
            ("refuse", "ignore"),
            "what happens to fields the page does not have; not documented",
        ),
    )

    def op(self, call: Call) -> Op:
        match call.method:
            case "POST" if call.path == _SUBMIT:
                return Op.SUBMIT
            case "GET" if call.path.startswith(_TASKS):
                return Op.POLL
        return Op.OTHER

    def key(self, call: Call, /) -> str | None:
        # Accepted, but not acted on (reapi.ai/docs/api, read 2026-11-20).
        return call.header("Idempotency-Key")

    def answer(self, call: Call) -> Reply:
        # 401 before the body is looked at, 400 before 402: our choice.
        if refusal := self._authenticate(call):
            return refusal
        match self.op(call):
            case Op.SUBMIT:
                return self._submit(call)
            case Op.POLL:
                return self._poll(call)
        if (call.method, call.path) == ("GET", _BALANCE):
            return json_reply(200, {"balance": int(self.account.balance)})
        return self.not_found(call)

    def settle(self, task: Task, /) -> None:
        # The credits are back before any poll can show `failed` (reapi.ai/docs/api/tasks).
        if task.outcome in (Outcome.FAILED, Outcome.REFUSED):
            self.account.refund(task)

    def rate_limited(self, retry_after: float | None) -> Reply:
        seconds = 2 if retry_after is None else retry_after
        return self._error(429, 50001, "too many requests", headers={"Retry-After": f"{seconds:g}"})

    def server_error(self, status: int | None) -> Reply:
        return self._error(status or 500, 60099, "unexpected server error")

    def error_in_200(self, _: Call, /) -> Reply:
        return self._error(200, 60099, "unexpected server error")

    def no_credit(self, _: Call, /) -> Reply:
        return self._error(402, 30001, "not enough credits")

    def unauthorized(self, _: Call, /) -> Reply:
        return self._error(401, 10003, "the API key is not valid")

    def task_lost(self, _: Call, /) -> Reply:
        return self._error(404, 40001, "task not found")

    def not_found(self, call: Call, /) -> Reply:
        return self._error(404, 40001, f"no such endpoint: {call.method} {call.path}")

    def _authenticate(self, call: Call) -> Reply | None:
        header = call.header("Authorization")
        if header is None:
            return self._error(401, 10001, "the Authorization header is missing")
        scheme, _, key = header.partition(" ")
        if scheme != "Bearer" or not key:
            return self._error(401, 10002, "the Authorization header is not in the Bearer form")
        return None if key == self.account.key else self.unauthorized(call)

    def _submit(self, call: Call) -> Reply:
        try:
            order = rules.read(
                call,
                extra=self.settings["unknown_fields"] == "ignore",
                http=self.settings["http_images"],
                own=self.account.origin,
            )
        except rules.Refused as refused:
            return self._error(400, refused.code, str(refused))
        credits_due = rules.credits_due(order.model, order.n)
        if not self.account.can_pay(credits_due):
            return self.no_credit(call)
        seed = self.account.random.randrange(2**31) if order.seed is None else order.seed
        digits = self.account.hex(32)
        task = self.account.accept(
            task_id=self._task_id(digits),
            key=self.key(call),
            model=order.model,
            pictures=order.pictures(self.name, seed),
            names=[f"media/tasks/{digits}/{n}" for n in range(order.n)],
            outcome=Outcome.FAILED if order.doomed else Outcome.SUCCEEDED,
            detail=order.doomed,
        )
        self.account.charge(task, credits_due, images=order.n)
        return json_reply(200, self._envelope(task, "processing"))

    def _task_id(self, digits: str) -> str:
        if self.settings["id_shape"] == "hex":
            return f"task_{digits}"
        number = int(digits, 16)
        return "task_" + "".join(_BASE32[number >> 5 * n & 31] for n in reversed(range(26)))

    def _poll(self, call: Call) -> Reply:
        task = self.account.tasks.get(call.path.removeprefix(_TASKS))
        if task is None or task.lost:
            return self.task_lost(call)
        if not self.account.done(task):
            return self._task(task, "processing")
        match task.outcome:
            case Outcome.REFUSED:
                return self._task(task, "failed", error=self._object(*_REFUSED))
            case Outcome.FAILED:
                code, message = _FAILED
                return self._task(task, "failed", error=self._object(code, task.detail or message))
        urls = [self.account.link(file) for file in task.files]
        return self._task(task, "completed", output={"image_urls": urls})

    def _envelope(self, task: Task, status: str) -> dict[str, Any]:
        body = {"id": task.id, "model": task.model, "status": status}
        if self.settings["omit_optional"]:
            return body
        return {**body, "created_at": int(task.created_at)}

    def _task(
        self,
        task: Task,
        status: str,
        *,
        output: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> Reply:
        rest = {"output": output, "error": error}
        if self.settings["omit_optional"]:
            rest = {name: value for name, value in rest.items() if value is not None}
        return json_reply(200, {**self._envelope(task, status), **rest})

    def _error(
        self, status: int, code: int, message: str, *, headers: dict[str, str] | None = None
    ) -> Reply:
        return json_reply(status, {"error": self._object(code, message)}, headers)

    def _object(self, code: int, message: str) -> dict[str, Any]:
        body = {"code": code, "message": message}
        if self.settings["omit_optional"]:
            return body
        return {**body, "request_id": f"req_{self.account.uuid()}"}
