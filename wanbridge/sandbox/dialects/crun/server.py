"""Crun: one create for every model, tasks to poll or be called back for, credits.

Every answer is ``{code, message, data}``; the code stands in the HTTP status as well, or only in
the body. ``POST .../CreateTask`` reserves credits, the end of the task settles them. A create sent
twice is two tasks. A callback is the bare task, unsigned, sent once when the task has ended.

Sources: docs.crun.ai/models/wan/wan-2-7-image-pro, /models/common/get-task-info,
/common-api/get-account-credits and the vendor's OpenAPI files as third parties keep them,
github.com/CrunTeam/crun-agent-skills, read 2026-11-20. Numbers in brackets are sections of our
wire page on Crun. **The fields of ``input`` are a guess** (see ``crun_input``), the prices ours.
Also ours: what a wrong model is told (422 at a create, 404 at its schema), and the members of a
model's entry beside ``input_schema`` and ``required_input_fields``.

Lost acknowledgements are the world's faults ``accept_then_drop`` and ``server_error`` or
``html_error`` with ``accept``; callbacks that are lost, doubled or early likewise. Input images
elsewhere are not fetched, so not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from attrs import define

from wanbridge.sandbox.account import Account, Outcome, Task
from wanbridge.sandbox.callbacks import Notice
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects.crun import input as rules
from wanbridge.sandbox.dialects.crun import tasks, uploads
from wanbridge.sandbox.dialects.crun.switches import SWITCHES
from wanbridge.sandbox.dialects.crun.tasks import Work, work_of
from wanbridge.sandbox.dialects.shapes import is_url, number
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.reply import Reply, json_reply, text_reply

_CLIENT: Final = "/api/v1/client"
_CREATE: Final = f"{_CLIENT}/job/CreateTask"
_INFO: Final = f"{_CLIENT}/job/TaskInfo"
_ESTIMATE: Final = f"{_CLIENT}/job/estimate-credits"
_OLD_ESTIMATE: Final = f"{_CLIENT}/job/EstimateTask"
_MODELS: Final = f"{_CLIENT}/job/Models"
_BALANCE: Final = f"{_CLIENT}/account/balance"
_UPLOAD: Final = f"{_CLIENT}/files/upload-url"

# Seen by clients (7).
_LINK_SECONDS: Final = 14 * 86_400.0
_OPERATIONS: Final = ("text-to-image", "image-edit")
# Which ones the edge blocks is not published; these are well known.
_LIBRARIES: Final = ("python-", "go-http-client", "okhttp", "java/")

# The table of section 5.
_MESSAGES: Final = {
    401: "the API key is missing or wrong",
    402: "not enough credits",
    403: "the API key is disabled",
    404: "not found",
    422: "parameter problem",
    429: "too many requests",
    455: "the service is under maintenance",
    500: "server error",
    505: "this feature is disabled",
}


@define(slots=False, eq=False)
class _Refused(Exception):
    """An answer with another code than 200; ``errors`` only with 422."""

    code: int
    errors: Sequence[str] = ()


class Crun(Dialect):
    """Crun's job API, both Wan 2.7 models."""

    name = "crun"
    prefix = "/api/v1"
    currency = "credits"
    opening_balance = "10000"
    switches: ClassVar = SWITCHES

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._uploads = uploads.Uploads(account)

    def op(self, call: Call) -> Op:
        match call.method, call.path:
            case "POST", path if path == _CREATE:
                return Op.SUBMIT
            case "GET", path if path == _INFO:
                return Op.POLL
        return Op.OTHER

    def key(self, _: Call, /) -> None:
        """None: there is no idempotency key (7)."""

    def answer(self, call: Call) -> Reply:
        if self._uploads.serves(call.path):
            return self._uploads.answer(call)
        if self.settings["edge"] and _is_library(call.header("User-Agent")):
            return text_reply(403, "error code: 1010")
        try:
            self._authorize(call)
            return self._answer(call)
        except _Refused as refused:
            return self._error(refused)

    def _authorize(self, call: Call) -> None:
        """``x-api-key`` alone; Bearer is for another product (1)."""
        if call.header("x-api-key") != self.account.key:
            raise _Refused(401)
        if self.settings["key_state"] == "disabled":
            raise _Refused(403)
        if self.settings["service"] == "maintenance":
            raise _Refused(455)

    def _answer(self, call: Call) -> Reply:
        match call.method:
            case "GET":
                return self._read(call)
            case "POST" if call.path == _CREATE:
                return self._create(call)
            case "POST" if call.path in self._estimates:
                return self._estimate(call, old=call.path == _OLD_ESTIMATE)
        return self.not_found(call)

    def _read(self, call: Call) -> Reply:
        if call.path == _INFO:
            return self._poll(call)
        if call.path == _BALANCE:
            return _ok({"balance": self._balance})
        if call.path == _UPLOAD:
            return self._presign(call)
        if call.path == _MODELS:
            return _ok(self._listed(call.query))
        # The slash inside an id is to be kept as it is (1).
        if call.path.startswith(f"{_MODELS}/") and "%2f" not in call.request.url.lower():
            return self._model(call.path.removeprefix(f"{_MODELS}/"))
        return self.not_found(call)

    @property
    def _estimates(self) -> tuple[str, ...]:
        served = {"new": (_ESTIMATE,), "old": (_OLD_ESTIMATE,)}
        return served.get(self.settings["estimates"], (_ESTIMATE, _OLD_ESTIMATE))

    @property
    def _names(self) -> rules.Names:
        return rules.Names(
            images=self.settings["images_field"],
            count=self.settings["count_field"],
            size=self.settings["size_fields"],
            house=self.settings["fields"] == "house",
        )

    @property
    def _house(self) -> rules.House:
        return rules.House(
            own=self.account.origin,
            size_of=self._size_of,
            data_uris=self.settings["data_uris"],
        )

    def _size_of(self, url: str) -> tuple[int, int] | None:
        own = f"{self.account.origin}/{self.name}/files/"
        found = self.account.file(url.removeprefix(own))
        return (found[1].picture.width, found[1].picture.height) if found else None

    def _price(self, model: str) -> Decimal:
        return Decimal(str(self.settings["price_pro" if model == rules.PRO else "price_standard"]))

    def _order(self, call: Call) -> rules.Order:
        """What the body asks for. Raises _Refused with all that is wrong with it."""
        try:
            body = call.json()
        except (ValueError, RecursionError):
            raise _Refused(422, ["body: not JSON"]) from None
        if not isinstance(body, dict):
            raise _Refused(422, ["body: must be an object"])
        model = body.get("model")
        if model not in rules.MODELS:
            raise _Refused(422, [f"{model}: model: unknown model"])
        problems = _around(body)
        if "input" in body:
            problems += rules.problems(body["input"], model, self._names, self._house)
        if problems:
            raise _Refused(422, [f"{model}: {problem}" for problem in problems])
        return rules.order(body["input"], model, self._names, self._house)

    def _create(self, call: Call) -> Reply:
        if self.settings["service"] == "disabled":
            raise _Refused(505)
        order = self._order(call)
        price = self._price(order.model)
        reserved = order.count * price
        if not self.account.can_pay(reserved):
            raise _Refused(402)
        pending = float(self.settings["pending_seconds"])
        work = Work(
            param=call.json(),
            started_at=self.account.now() + pending,
            price=price,
            reserved=reserved,
            reason=self._unreachable(order.images),
        )
        task = self._accept(order, work, pending)
        self.account.hold(task, reserved)
        return _ok({"task_id": task.id} if self.settings["ack"] == "full" else {})

    def _unreachable(self, images: Sequence[str]) -> str | None:
        """Why a task with these images will fail: a file that never came to our own storage."""
        lost = [url for url in images if self._uploads.lacks(url)]
        return f"could not fetch {lost[0]}" if lost else None

    def _accept(self, order: rules.Order, work: Work, pending: float) -> Task:
        account = self.account
        seed = account.random.getrandbits(31) if order.seed is None else order.seed
        most = int(self.settings["set_images"])
        uuid = account.uuid()
        task = account.accept(
            task_id=uuid if self.settings["id_shape"] == "uuid" else f"wan27-{uuid[:8]}",
            model=order.model,
            pictures=order.pictures(self.name, seed=seed, most=most),
            latency=pending + account.latency,
            link_seconds=_LINK_SECONDS,
            outcome=Outcome.FAILED if work.reason else Outcome.SUCCEEDED,
            detail=work,
        )
        task.asked = order.count
        return task

    def settle(self, task: Task, /) -> None:
        """What was reserved becomes what was consumed (4)."""
        self.account.release(task)
        amount = tasks.actual(task, failed_charge=self.settings["failed_charge"])
        if amount:
            self.account.charge(task, amount, images=len(task.files))

    def notices(self, task: Task, /) -> Sequence[Notice]:
        """Section 6: the bare task, or wrapped as a poll has it; clients met both."""
        url = work_of(task).param.get("callback_url")
        if url is None:
            return ()
        body = tasks.info(task, self.account, self.settings)
        if self.settings["callback_body"] == "wrapped":
            body = _envelope(body)
        return (Notice.of(url, body),)

    def _estimate(self, call: Call, *, old: bool) -> Reply:
        """The price of a create that is not made (3)."""
        order = self._order(call)
        amount = order.count * self._price(order.model)
        if old:
            known = {"estimated_credits": number(amount), "balance": self._balance}
            return _ok({**known, "affordable": self.account.can_pay(amount)})
        # Of a set only what is delivered will be charged.
        return _ok({"credits": number(amount), "estimated": order.sequential})

    @property
    def _balance(self) -> int | float:
        return number(self.account.balance)

    def _poll(self, call: Call) -> Reply:
        if "task_id" not in call.query:
            raise _Refused(422, ["task_id: field required"])
        task = self.account.tasks.get(call.query["task_id"])
        if task is None or task.lost:
            raise _Refused(404)
        if self.account.now() < task.created_at + self.settings["visible_after"]:
            raise _Refused(404)
        return _ok(tasks.info(task, self.account, self.settings))

    def _presign(self, call: Call) -> Reply:
        if problems := uploads.problems(call.query):
            raise _Refused(422, problems)
        return _ok(self._uploads.presign(call.query["content_type"], call.query["ext"]))

    def _listed(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        if query.get("modality", "image") != "image":
            return []
        if query.get("operation", _OPERATIONS[0]) not in _OPERATIONS:
            return []
        return [_entry(model) for model in rules.MODELS]

    def _model(self, model: str) -> Reply:
        if model not in rules.MODELS:
            raise _Refused(404)
        schema = rules.schema(model, self._names)
        fields = {"input_schema": schema, "required_input_fields": schema["required"]}
        return _ok({**_entry(model), **fields})

    def _error(
        self, refused: _Refused, *, status: int | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Both styles occur (5); *status* in place of the one that the style has."""
        code = refused.code
        body = {"code": code, "message": _MESSAGES.get(code, _MESSAGES[500])}
        rest: dict[str, Any] = {"errors": list(refused.errors)} if code == 422 else {"data": None}
        if status is None:
            status = code if self.settings["error_style"] == "http" else 200
        return json_reply(status, {**body, **rest}, headers)

    def rate_limited(self, retry_after: float | None) -> Reply:
        # Retry-After may be there (5); a number is not documented.
        headers = None if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        return self._error(_Refused(429), headers=headers)

    def server_error(self, status: int | None) -> Reply:
        return self._error(_Refused(status or 500))

    def error_in_200(self, _: Call, /) -> Reply:
        return self._error(_Refused(500), status=200)

    def no_credit(self, _: Call, /) -> Reply:
        return self._error(_Refused(402))

    def unauthorized(self, _: Call, /) -> Reply:
        return self._error(_Refused(401))

    def task_lost(self, _: Call, /) -> Reply:
        return self._error(_Refused(404))

    def not_found(self, _: Call, /) -> Reply:
        return self._error(_Refused(404))


def _envelope(data: Any) -> dict[str, Any]:
    return {"code": 200, "message": "success", "data": data}


def _ok(data: Any) -> Reply:
    return json_reply(200, _envelope(data))


def _entry(model: str) -> dict[str, Any]:
    return {"model": model, "modality": "image", "operations": list(_OPERATIONS)}


def _around(body: Mapping[str, Any]) -> list[str]:
    """What is wrong beside ``input``; spellings of other providers are unknown fields (9)."""
    known = ("model", "input", "callback_url")
    found = [f"{name}: extra fields not permitted" for name in body if name not in known]
    if "input" not in body:
        found.append("input: field required")
    url = body.get("callback_url")
    # Not only public ones: who tests at home listens on loopback.
    if url is not None and not is_url(url):
        found.append("callback_url: must be a URL")
    return found


def _is_library(agent: str | None) -> bool:
    return not agent or agent.lower().startswith(_LIBRARIES)
