"""KIE: one job API for every model, errors inside HTTP 200, JSON inside strings.

``POST /jobs/createTask`` answers with a ``taskId``, ``GET /jobs/recordInfo?taskId=`` with one of
five states and, in text, the result. An absent ``n`` is four images, twelve in a set; an absent
``thinking_mode`` is false, an absent ``seed`` 0.

Sources: docs.kie.ai/market/wan/2-7-image and 2-7-image-pro, /market/common/get-task-detail,
/common-api, /file-upload-api, and the tests of independent clients, read 2026-11-20 (wire page,
1-9). Our choices: a create is checked in the order key, maintenance, rate, body, limits of the
key, credits; credits are held for all images at create and settled by those that come, none if it
fails; the first tenth of the work is ``waiting``, the second and third ``queuing``; message texts.
Prices are those of client catalogues, unverified.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from wanbridge.sandbox.account import Account, Outcome, Task
from wanbridge.sandbox.callbacks import Notice
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects import uploads
from wanbridge.sandbox.dialects.kie import callbacks, rules
from wanbridge.sandbox.dialects.kie.switches import SWITCHES
from wanbridge.sandbox.dialects.kie.uploads import Uploads
from wanbridge.sandbox.dialects.shapes import is_int, number
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.reply import Reply, json_reply

_SUBMIT: Final = ("POST", "/api/v1/jobs/createTask")
_RECORD: Final = ("GET", "/api/v1/jobs/recordInfo")
_CREDIT: Final = ("GET", "/api/v1/chat/credit")
_DOWNLOAD: Final = ("POST", "/api/v1/common/download-url")
_PRICES: Final = ("POST", "/client/v1/model-pricing/page")
_STREAM: Final = ("POST", "/api/file-stream-upload")
_FROM_URL: Final = ("POST", "/api/file-url-upload")
_BASE64: Final = ("POST", "/api/file-base64-upload")

# Credits per image, and what a credit is in US dollars (8).
_CREDITS: Final = {rules.PRO: Decimal(12), rules.STANDARD: Decimal(8)}
_USD: Final = Decimal("0.005")

# 20 creates in 10 s for the whole account (5).
_RATE: Final = 20
_RATE_SECONDS: Final = 10
# Log records live two months, media 14 days, fresh links 20 minutes (1, 7).
_RECORD_SECONDS: Final = 61 * 86400
_MEDIA_SECONDS: Final = 14 * 86400
_FRESH_SECONDS: Final = 20 * 60

_WORDS: Final = {"market": ("success", "fail"), "older": ("completed", "failed")}
_LIMITS: Final = {
    "key_limit": (433, "the usage limit of this key is reached"),
    "disabled": (505, "this feature is disabled"),
}


class Kie(Dialect):
    """KIE's job API, both Wan 2.7 models."""

    name = "kie"
    prefix = "/api/v1"
    currency = "credits"
    opening_balance = "5000"
    switches: ClassVar = SWITCHES
    retries = callbacks.RETRIES

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._uploads = Uploads(account)
        self._creates: deque[float] = deque()
        self._routes: Mapping[tuple[str, str], Callable[[Call], Reply]] = {
            _SUBMIT: self._create,
            _RECORD: self._poll,
            _CREDIT: lambda _: self._ok(number(self.account.balance)),
            _DOWNLOAD: self._fresh,
            _STREAM: lambda call: self._uploaded(self._uploads.stream(call)),
            _FROM_URL: lambda call: self._uploaded(self._uploads.from_url(_json(call))),
            _BASE64: lambda call: self._uploaded(self._uploads.from_base64(_json(call))),
        }

    def op(self, call: Call) -> Op:
        ops = {_SUBMIT: Op.SUBMIT, _RECORD: Op.POLL}
        return ops.get((call.method, call.path), Op.OTHER)

    def key(self, _: Call, /) -> str | None:
        return None

    def answer(self, call: Call) -> Reply:
        if call.path.startswith(uploads.PATH) and call.method == "GET":
            return self._uploads.shelf.reply(call.path) or self.no_file()
        try:
            if (call.method, call.path) == _PRICES:
                return self._price_page(call)
            if call.header("Authorization") != f"Bearer {self.account.key}":
                return self.unauthorized(call)
            if self.settings["state"] == "maintenance":
                return self._error(455, "the service is under maintenance")
            return self._routes.get((call.method, call.path), self.not_found)(call)
        except rules.Refused as refused:
            return self._error(422, str(refused))

    def settle(self, task: Task, /) -> None:
        self.account.charge_images(task, self._price(task.detail))

    def notices(self, task: Task, /) -> Sequence[Notice]:
        url = task.detail.callback
        if url is None:
            return ()
        code = {Outcome.FAILED: 501, Outcome.REFUSED: 400}.get(task.outcome, 200)
        if self.settings["callback_frame"] == "guide":
            return [Notice.of(url, callbacks.guide_frame(code, task.id))]
        record = {**self._record(task), "creditsConsumed": self._consumed(task)}
        left = number(self.account.balance)
        return [Notice.of(url, callbacks.market_frame(code, record, left=left))]

    def signature(self, task: Task, at: int, key: str, /) -> Mapping[str, str]:
        return callbacks.signature(task.id, at, key) if self.settings["signed"] else {}

    def rate_limited(self, retry_after: float | None) -> Reply:
        # 429 is a real one in every style (9); no Retry-After is documented.
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        return json_reply(429, self._envelope(429, "too many requests", None), headers)

    def server_error(self, status: int | None) -> Reply:
        if status is None:
            return self._error(500, "server error")
        return json_reply(status, self._envelope(status, "server error", None))

    def error_in_200(self, _: Call, /) -> Reply:
        return json_reply(200, self._envelope(500, "server error", None))

    def no_credit(self, _: Call, /) -> Reply:
        return self._error(402, "balance too low")

    def unauthorized(self, _: Call, /) -> Reply:
        return self._error(401, "you do not have access permissions")

    def task_lost(self, _: Call, /) -> Reply:
        return self._error(self.settings["unknown_task"], "recordInfo is null")

    def not_found(self, call: Call, /) -> Reply:
        return self._error(404, f"no such endpoint: {call.method} {call.path}")

    def _envelope(self, code: int, message: str, data: Any) -> dict[str, Any]:
        return {"code": code, self.settings["message_key"]: message, "data": data}

    def _ok(self, data: Any) -> Reply:
        return json_reply(200, self._envelope(200, "success", data))

    def _error(self, code: int, message: str) -> Reply:
        status = 200 if self.settings["error_style"] == "body" else code
        return json_reply(status, self._envelope(code, message, None))

    def _create(self, call: Call) -> Reply:
        if not self._within_rate():
            return self.rate_limited(None)
        try:
            order = rules.read(
                _json(call),
                lenient=self.settings["mode_conflicts"] == "ignore",
                own=self.account.origin,
            )
        except rules.Refused as refused:
            return self._error(self.settings["bad_input"], str(refused))
        if self.settings["state"] in _LIMITS:
            return self._error(*_LIMITS[self.settings["state"]])
        price = self._price(order) * order.n
        if not self.account.can_pay(price):
            return self.no_credit(call)
        task = self.account.accept(
            task_id=self.account.hex(32),
            model=order.model,
            pictures=order.pictures(self.name),
            link_seconds=self.settings["link_hours"] * 3600,
            outcome=self._outcome(order),
            detail=order,
        )
        self.account.hold(task, price)
        return self._ok({"taskId": task.id})

    def _within_rate(self) -> bool:
        """Count one create; False, and not counted, if there were too many."""
        now, recent = self.account.now(), self._creates
        while recent and recent[0] <= now - _RATE_SECONDS:
            recent.popleft()
        if len(recent) >= _RATE and self.settings["rates"]:
            return False
        recent.append(now)
        return True

    def _outcome(self, order: rules.Order) -> Outcome:
        if order.filtered and self.settings["nsfw"]:
            return Outcome.REFUSED
        if order.doomed or any(map(self._uploads.shelf.is_dead, order.images)):
            return Outcome.FAILED
        return Outcome.SUCCEEDED

    def _price(self, order: rules.Order) -> Decimal:
        """Credits for one image."""
        if order.tier == "4K":
            return Decimal(str(self.settings["credits_4k"]))
        return _CREDITS[order.model]

    def _poll(self, call: Call) -> Reply:
        task_id = call.query.get("taskId")
        if not task_id:
            return self._error(400, "taskId is missing")
        task = self.account.tasks.get(task_id)
        if task is None or task.lost:
            return self.task_lost(call)
        age = self.account.now() - task.created_at
        if age >= _RECORD_SECONDS:
            return self.task_lost(call)
        if age < self.settings["null_seconds"]:
            return self._error(422, "recordInfo is null")
        return self._ok(self._record(task))

    def _record(self, task: Task) -> dict[str, Any]:
        """The ``data`` of recordInfo, as of now."""
        done = self.account.done(task)
        created, ended = _milliseconds(task.created_at), _milliseconds(task.ready_at)
        record = {
            "taskId": task.id,
            "model": task.model,
            "state": self._state(task),
            "param": task.detail.text,
            **self._result(task),
            **self._failure(task),
            "costTime": ended - created if done else None,
            "completeTime": ended if done else None,
            "createTime": created,
            "updateTime": min(ended, _milliseconds(self.account.now())),
        }
        if done and self.settings["credits_consumed"]:
            record["creditsConsumed"] = self._consumed(task)
        return record

    def _state(self, task: Task) -> str:
        success, fail = _WORDS[self.settings["state_words"]]
        if self.account.done(task):
            return fail if _failed(task) else success
        progress = self.account.progress(task)
        if progress < 0.1:
            return "waiting"
        return "queuing" if progress < 0.3 else "generating"

    def _result(self, task: Task) -> dict[str, Any]:
        if not self.account.done(task) or _failed(task):
            return {"resultJson": ""}
        result = {"resultUrls": [self.account.link(file) for file in task.files]}
        match self.settings["result_shape"]:
            case "object":
                return {"resultJson": result}
            case "response":
                return {"resultJson": "", "response": result}
        return {"resultJson": json.dumps(result)}

    def _failure(self, task: Task) -> dict[str, str]:
        if not self.account.done(task) or not _failed(task):
            return {"failCode": "", "failMsg": ""}
        if task.outcome is Outcome.REFUSED:
            return {"failCode": "400", "failMsg": "refused by the content policy"}
        reason = task.detail.doomed or "the model could not finish this task"
        return {"failCode": self.settings["fail_code"], "failMsg": reason}

    def _consumed(self, task: Task) -> int | float:
        return 0 if task.charge is None else number(task.charge.amount)

    def _fresh(self, call: Call) -> Reply:
        body = _json(call)
        root = f"{self.account.origin}/{self.name}/files/"
        url = body.get("url") if isinstance(body, dict) else None
        name = url.removeprefix(root) if isinstance(url, str) and url.startswith(root) else ""
        found = self.account.file(name)
        if found is None or self.account.now() >= found[0].ready_at + _MEDIA_SECONDS:
            return self._error(422, "url is none that was generated here")
        return self._ok(self.account.fresh_link(name, _FRESH_SECONDS))

    def _uploaded(self, data: dict[str, Any]) -> Reply:
        envelope = self._envelope(200, "File uploaded successfully", data)
        return json_reply(200, {"success": True, **envelope})

    def _price_page(self, call: Call) -> Reply:
        """The public table, which needs no key."""
        asked = _json(call)
        if not isinstance(asked, dict):
            raise rules.Refused("the body is not an object")
        page, size = asked.get("pageNum", 1), asked.get("pageSize", 100)
        if not (is_int(page) and is_int(size) and page >= 1 and size >= 1):
            raise rules.Refused("pageNum and pageSize must be integers from 1 up")
        records = [
            {
                "modelDescription": f"{model}, per image",
                "creditPrice": f"{credit}",
                "usdPrice": f"{credit * _USD:.2f}",
            }
            for model, credit in _CREDITS.items()
        ]
        start, pages = (page - 1) * size, -(-len(records) // size)
        return self._ok({"pages": pages, "records": records[start : start + size]})


def _failed(task: Task) -> bool:
    return task.outcome in (Outcome.FAILED, Outcome.REFUSED)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _json(call: Call) -> Any:
    try:
        return call.json()
    except ValueError:
        raise rules.Refused("the body is not JSON") from None
