"""GCCAI: every generation is a task, held for at submit and settled by what came.

``POST /images/generations`` answers with a task id inside an array, ``GET /tasks/{id}`` with an
object. The code of a good reply is the word "success" on one page and the number 200 on others; a
failed task is an HTTP 200. Nothing is deduplicated, unless a switch says so.

Sources: gccai.heqingsong.uk/en/api-reference (images/wan2.7-image/generation, sibling images,
account/token-balance, account/user-balance) and, for what those leave out, a twin with the same
pages (docs.apimart.ai: tasks/status, uploads, models, errors), read 2026-11-20 (wire page, 1-9).
Our choices: the key is looked at first, then the body, then the balance; the first tenth of the
work is ``pending``; ``type`` of errors other than 400, 401 and 402; the shapes of a batch of tasks
and of a model's parameters; ``cost`` in the proportion of the page's sample.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import formatdate
from typing import Any, ClassVar, Final

from wanbridge.sandbox.account import Account, File, Outcome, Task
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects import uploads
from wanbridge.sandbox.dialects.gccai import rules
from wanbridge.sandbox.dialects.gccai.switches import SWITCHES
from wanbridge.sandbox.dialects.shapes import is_strings, number
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.reply import Reply, json_reply

_SUBMIT: Final = ("POST", "/v1/images/generations")
_BATCH: Final = ("POST", "/v1/tasks/batch")
_UPLOAD: Final = ("POST", "/v1/uploads/images")
_MODELS: Final = ("GET", "/v1/models")
_BALANCES: Final = (("GET", "/v1/balance"), ("GET", "/v1/user/balance"))
_TASKS: Final = "/v1/tasks/"

# CNY per image that came (7).
_PRICES: Final = {rules.PRO: Decimal("0.50"), rules.STANDARD: Decimal("0.20")}
# The sample of a status has `cost` 0.055 and `credits_cost` 5.5 for two images of 0.20 (3).
_COST: Final = Decimal("0.1375")

_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_UPLOAD_SECONDS: Final = 72 * 3600
_UPLOAD_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_ESTIMATE: Final = 60
_LANGUAGES: Final = ("en", "zh", "ko", "ja")

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "payment_required",
    404: "not_found_error",
    409: "idempotency_conflict",
    413: "invalid_request_error",
    429: "rate_limit_error",
    502: "bad_gateway",
}
_REASONS: Final = {
    Outcome.REFUSED: (400, "the prompt was refused"),
    Outcome.FAILED: (500, "the upstream model failed"),
}


class Gccai(Dialect):
    """GCCAI's task API, both Wan 2.7 models."""

    name = "gccai"
    prefix = "/v1"
    currency = "CNY"
    opening_balance = "1000"
    switches: ClassVar = SWITCHES

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._shelf = uploads.Shelf(account, seconds=_UPLOAD_SECONDS)
        # Idempotency keys, the digest of what they stood for, and the task.
        self._replays: dict[str, tuple[str, Task]] = {}
        self._routes: Mapping[tuple[str, str], Callable[[Call], Reply]] = {
            _SUBMIT: self._submit,
            _BATCH: self._batch,
            _UPLOAD: self._upload,
            _MODELS: self._models,
        }

    def op(self, call: Call) -> Op:
        if (call.method, call.path) == _SUBMIT:
            return Op.SUBMIT
        is_poll = call.method == "GET" and call.path.startswith(_TASKS)
        return Op.POLL if is_poll else Op.OTHER

    def key(self, call: Call, /) -> str | None:
        return call.header("Idempotency-Key")

    def answer(self, call: Call) -> Reply:
        if call.path.startswith(uploads.PATH) and call.method == "GET":
            return self._shelf.reply(call.path) or self.no_file()
        if (call.method, call.path) in _BALANCES:
            return self._balance(call)
        if call.header("Authorization") != f"Bearer {self.account.key}":
            return self.unauthorized(call)
        if self.op(call) is Op.POLL:
            return self._poll(call)
        try:
            return self._routes.get((call.method, call.path), self.not_found)(call)
        except rules.Refused as refused:
            return self._error(400, str(refused))

    def settle(self, task: Task, /) -> None:
        # Held for what was asked, billed for what came (4).
        self.account.charge_images(task, _PRICES[task.model])

    def rate_limited(self, retry_after: float | None) -> Reply:
        seconds = 1 if retry_after is None else retry_after
        value = f"{seconds:g}"
        if self.settings["retry_after"] == "date":
            value = formatdate(self.account.now() + seconds, usegmt=True)
        return self._error(429, "too many requests", {"Retry-After": value})

    def server_error(self, status: int | None) -> Reply:
        return self._error(status or 500, "internal error")

    def error_in_200(self, _: Call, /) -> Reply:
        return json_reply(200, self._inside(500, "internal error"))

    def no_credit(self, _: Call, /) -> Reply:
        return self._error(402, "balance too low")

    def unauthorized(self, _: Call, /) -> Reply:
        return self._error(401, "the key is missing or wrong")

    def task_lost(self, _: Call, /) -> Reply:
        message = "the task does not exist or has expired"
        if self.settings["unknown_task"] == 200:
            return json_reply(200, {"code": 404, "message": message})
        return self._error(404, message)

    def not_found(self, call: Call, /) -> Reply:
        return self._error(404, f"no such endpoint: {call.method} {call.path}")

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
        if self.settings["errors_in_200"]:
            return json_reply(200, self._inside(status, message), headers)
        return json_reply(status, _error_body(status, message), headers)

    def _inside(self, status: int, message: str) -> dict[str, Any]:
        """The body of an error that comes with HTTP 200 (0, 4)."""
        match self.settings["error_shape"]:
            case "code":
                return {"code": status, "message": message}
            case "success":
                return {"success": False, "message": message}
        return _error_body(status, message)

    def _submit(self, call: Call) -> Reply:
        body = _json(call)
        order = rules.read(body, inline=self.settings["data_images"], own=self.account.origin)
        if self.settings["prompt_check"]:
            return self._error(400, "the prompt was refused")
        key = self._replay_key(call)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if key in self._replays:
            return self._replayed(digest, *self._replays[key])
        price = _PRICES[order.model] * order.n
        if not (self.account.can_pay(price) or self.settings["unlimited"]):
            return self.no_credit(call)
        task = self._accept(call, order)
        self.account.hold(task, price)
        if key is not None:
            self._replays[key] = digest, task
        return json_reply(200, self._accepted(task))

    def _accept(self, call: Call, order: rules.Order) -> Task:
        seed = self.account.random.randrange(2**31) if order.seed is None else order.seed
        task_id = self._task_id()
        dead = any(map(self._shelf.is_dead, order.images))
        return self.account.accept(
            task_id=task_id,
            key=self.key(call),
            model=order.model,
            pictures=order.pictures(self.name, seed),
            names=[f"f/image/{task_id}_{index}" for index in range(order.n)],
            link_seconds=self.settings["link_hours"] * 3600,
            outcome=Outcome.FAILED if order.doomed or dead else Outcome.SUCCEEDED,
            detail=order,
        )

    def _task_id(self) -> str:
        bits = self.account.random.getrandbits(130)
        letters = "".join(_BASE32[bits >> 5 * place & 31] for place in range(26))
        if self.settings["id_shape"] == "unified":
            return f"task-unified-{int(self.account.now())}-{letters[:8].lower()}"
        return f"task_{letters}"

    def _accepted(self, task: Task) -> dict[str, Any]:
        match self.settings["submit_shape"]:
            case "B":
                return {"code": 200, "data": [{"status": "submitted", "task_id": task.id}]}
            case "C":
                data = {"object": "generation.task", "id": task.id, "status": "pending"}
                return {"request_id": f"req-{self.account.hex(12)}", "data": data}
        data = {"task_id": task.id, "status": "processing"}
        return {"code": "success", "message": "", "data": [data]}

    def _replay_key(self, call: Call) -> str | None:
        """The idempotency key, where it has a meaning (5). Raises Refused."""
        key = self.key(call)
        if key is None or not self.settings["idempotency"]:
            return None
        if not 1 <= len(key) <= 191 or not all("!" <= letter <= "~" for letter in key):
            raise rules.Refused("Idempotency-Key must be 1 to 191 visible ASCII characters")
        return key

    def _replayed(self, digest: str, known: str, task: Task) -> Reply:
        if digest != known:
            return self._error(409, "this Idempotency-Key was used with another body")
        return json_reply(200, self._accepted(task), {"Idempotency-Replayed": "true"})

    def _poll(self, call: Call) -> Reply:
        task = self._known(call.path.removeprefix(_TASKS))
        if task is None:
            return self.task_lost(call)
        data = self._task(task, call.query.get("language", "en"))
        return json_reply(200, {"code": self.settings["status_code"], "data": data})

    def _batch(self, call: Call) -> Reply:
        body = _json(call)
        names = body.get("task_ids") if isinstance(body, dict) else None
        if not is_strings(names):
            raise rules.Refused("task_ids must be a list of strings")
        tasks = [task for name in names if (task := self._known(name)) is not None]
        data = [self._task(task, "en") for task in tasks]
        return json_reply(200, {"code": self.settings["status_code"], "data": data})

    def _known(self, task_id: str) -> Task | None:
        """The task, if it can still be asked for."""
        task = self.account.tasks.get(task_id)
        if task is None or task.lost:
            return None
        age = self.account.now() - task.ready_at
        return task if age < self.settings["retention_days"] * 86400 else None

    def _task(self, task: Task, language: str) -> dict[str, Any]:
        """The ``data`` of a status reply, members in the order of the page's samples."""
        created = int(task.created_at)
        if not self.account.done(task):
            return {
                "id": task.id,
                **self._running(task),
                "created": created,
                "estimated_time": _ESTIMATE,
            }
        completed = int(task.ready_at)
        if task.outcome in _REASONS:
            return {
                "id": task.id,
                "status": self.settings["failed_word"],
                "progress": 100,
                "created": created,
                "completed": completed,
                **self._failure(task, language),
            }
        return {
            "id": task.id,
            "status": "completed",
            "progress": 100,
            "result": {"images": self._images(task)},
            "created": created,
            "completed": completed,
            "estimated_time": _ESTIMATE,
            "actual_time": completed - created,
            **self._cost(task),
        }

    def _running(self, task: Task) -> dict[str, Any]:
        percent = int(self.account.progress(task) * 100)
        if percent < 10:
            return {"status": "pending", "progress": 0}
        return {"status": self.settings["running_word"], "progress": min(percent, 90)}

    def _failure(self, task: Task, language: str) -> dict[str, Any]:
        code, message = _REASONS[task.outcome]
        message = task.detail.doomed or message
        if language in _LANGUAGES[1:]:
            message = f"({language}) {message}"
        match self.settings["failed_shape"]:
            case "string":
                return {"error": message}
            case "message":
                return {"message": message}
        return {"error": {"code": code, "message": message, "type": "upstream_error"}}

    def _images(self, task: Task) -> list[dict[str, Any]]:
        if self.settings["images_shape"] == "one" and task.files:
            return [self._image(task, task.files)]
        return [self._image(task, (file,)) for file in task.files]

    def _image(self, task: Task, files: tuple[File, ...]) -> dict[str, Any]:
        urls = [self.account.link(file) for file in files]
        # A string holds no more than one URL, so n of them stay an array.
        is_string = self.settings["url_shape"] == "string" and len(urls) == 1
        image: dict[str, Any] = {"url": urls[0] if is_string else urls}
        if self.settings["expires_at"]:
            image["expires_at"] = int(task.links_until or 0)
        return image

    def _cost(self, task: Task) -> dict[str, Any]:
        if not self.settings["cost"]:
            return {}
        cost = _PRICES[task.model] * len(task.files) * _COST
        return {"cost": number(cost), "credits_cost": number(cost * 100)}

    def _balance(self, call: Call) -> Reply:
        header = call.header("Authorization")
        if header != f"Bearer {self.account.key}":
            message = "no authorization header" if header is None else "the key is unknown"
            return json_reply(
                self.settings["balance_status"], {"success": False, "message": message}
            )
        charges = [task.charge for task in self.account.tasks.values() if task.charge is not None]
        used = sum((charge.amount for charge in charges), Decimal(0))
        left = Decimal(-1) if self.settings["unlimited"] else self.account.balance
        body = {"success": True, "remain_balance": number(left), "used_balance": number(used)}
        if self.settings["balance_credits"]:
            body |= {"remain_credits": number(left * 100), "used_credits": number(used * 100)}
        return json_reply(200, {**body, "unlimited_quota": self.settings["unlimited"]})

    def _models(self, call: Call) -> Reply:
        models: list[dict[str, Any]] = [{"id": model, "object": "model"} for model in rules.MODELS]
        if call.query.get("expand") == "parameters":
            schema = {"type": "object", "properties": {name: {} for name in rules.FIELDS}}
            models = [{**model, "parameters": schema} for model in models]
        return json_reply(200, {"object": "list", "data": models})

    def _upload(self, call: Call) -> Reply:
        try:
            form = uploads.read_form(call.request)
        except ValueError as error:
            raise rules.Refused(str(error)) from None
        if "file" not in form:
            raise rules.Refused("file is required")
        data = form["file"].data
        if len(data) > self.settings["upload_megabytes"] * 2**20:
            return self._error(413, "the file is too large")
        mime = uploads.image_type(data)
        if mime not in _UPLOAD_TYPES:
            raise rules.Refused("the file must be JPEG, PNG, GIF or WebP")
        name = form["file"].filename or "image"
        # Without an envelope (1).
        answer = {
            "url": self._shelf.put(f"{self.account.hex(8)}/{name}", data, mime),
            "filename": name,
            "content_type": mime,
            "bytes": len(data),
            "created_at": int(self.account.now()),
        }
        return json_reply(200, answer)


def _error_body(status: int, message: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error")
    return {"error": {"code": status, "message": message, "type": kind}}


def _json(call: Call) -> Any:
    try:
        return call.json()
    except ValueError:
        raise rules.Refused("the body is not JSON") from None
