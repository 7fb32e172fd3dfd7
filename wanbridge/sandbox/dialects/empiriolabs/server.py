"""EmpirioLabs: a job by default, the images in the same reply if ``sync`` asks for them.

``POST /images/generations`` answers with a job to poll, or with an OpenAI-shaped result;
``GET /jobs/{id}`` knows a job until an hour after its end. Delivered images cost, at the pro
variant's price unless the body names the other; a request that was accepted is paid in full, also
when it is cancelled. There is no callback and no idempotency key: the same POST twice is two jobs.

Sources: docs.empiriolabs.ai/models/wan2-7-image, /api-reference-overview, /authentication,
/rate-limits-api-keys, /billing-credits, /account-usage-api and
/api-reference/api-reference/jobs/retrieve-job, and github.com/EmpirioLabs-AI/mcp, read 2026-11-20.
Numbers in brackets are sections of our wire page on EmpirioLabs; what is inferred there is mostly
a switch here. Our choices: what has no published code (``invalid_request``, ``not_found``,
``job_not_found``, ``internal_error``), a refusal when the balance is below the price of all images
asked for (the page has it only for an empty one), the charge when the request is accepted.

Not served: ``POST /files/upload``, which the newer pages do not have (1); input images are not
fetched, so not judged.
"""

from __future__ import annotations

import re
from collections import deque
from decimal import Decimal
from typing import Any, ClassVar, Final

from attrs import evolve

from wanbridge.sandbox.account import Account, Outcome, Task
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects.empiriolabs import jobs, rules
from wanbridge.sandbox.dialects.empiriolabs.jobs import Work, work_of
from wanbridge.sandbox.dialects.empiriolabs.rules import Refused
from wanbridge.sandbox.dialects.empiriolabs.switches import SWITCHES
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.reply import Reply, json_reply, lazy_json_reply, text_reply

_PRICES: Final = {rules.PRO: Decimal("0.075"), rules.STANDARD: Decimal("0.030")}

_JOB: Final = re.compile(r"/v1/jobs/([^/]+)(/cancel)?")
_LINK_SECONDS: Final = 7 * 86_400.0
_MINUTE: Final = 60.0
# The gateway cuts what takes longer (3.2).
_GATEWAY_SECONDS: Final = 900.0

_TEMPLATES: Final = {"template_not_found": 404, "template_model_unsupported": 400}
_SERVER_CODES: Final = {502: "upstream_error", 503: "model_unavailable"}


class EmpirioLabs(Dialect):
    """EmpirioLabs' gateway, both variants of its one Wan 2.7 model."""

    name = "empiriolabs"
    prefix = "/v1"
    currency = "USD"
    opening_balance = "100"
    switches: ClassVar = SWITCHES

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        # When the requests of the last minute came, oldest first.
        self._recent: deque[float] = deque()

    def op(self, call: Call) -> Op:
        match self._route(call):
            case "POST", "images", _:
                return Op.SUBMIT
            case "GET", "job", _:
                return Op.POLL
        return Op.OTHER

    def key(self, _: Call, /) -> None:
        """None: there is no idempotency key (7)."""

    def answer(self, call: Call) -> Reply:
        try:
            return self._answer(call)
        except Refused as refused:
            return self._error(refused)

    def _route(self, call: Call) -> tuple[str, str, str]:
        """Method, resource, id; an unknown resource is empty."""
        if match := _JOB.fullmatch(call.path):
            return call.method, "cancel" if match[2] else "job", match[1]
        if call.path.startswith("/v1/models/"):
            return call.method, "model", call.path.removeprefix("/v1/models/")
        return call.method, _RESOURCES.get(call.path, ""), ""

    def _answer(self, call: Call) -> Reply:
        route = self._route(call)
        # Without a key: the catalogue and the health of the service (1).
        match route:
            case "GET", "models", _:
                return json_reply(200, {"object": "list", "data": [_model()]})
            case "GET", "health", _:
                return json_reply(200, {"status": "ok"})
        self._authorize(call)
        self._admit()
        match route:
            case "POST", "images", _:
                return self._submit(call)
            case "GET", "job", job_id:
                return self._poll(job_id)
            case ("POST", "cancel", job_id) if self.settings["cancel_route"] == "post":
                return self._cancel(job_id)
            case ("DELETE", "job", job_id):
                return self._delete(job_id)
            case "GET", "jobs", _:
                return self._list(call)
            case "GET", "usage", _:
                tasks = self._newest()
                body = jobs.usage(tasks, self.account, call.query, self.settings)
                return json_reply(200, body)
            case "GET", "model", rules.MODEL:
                return json_reply(200, _model())
            case "GET", "model", name:
                raise Refused(f"model {name!r} does not exist", status=404, code="model_not_found")
            case "GET", "templates", _:
                return json_reply(200, {"object": "list", "data": []})
        return self.not_found(call)

    def _authorize(self, call: Call) -> None:
        """Either header will do; of two, the first one counts (1)."""
        bearer = call.header("Authorization")
        key = call.header("x-api-key") if bearer is None else bearer.removeprefix("Bearer ")
        if not key:
            raise Refused("no API key was given", status=401, code="missing_api_key")
        if key != self.account.key or (bearer is not None and key == bearer):
            raise self._bad_key()

    def _bad_key(self) -> Refused:
        return Refused("the API key is not valid", status=401, code="invalid_api_key")

    def _admit(self) -> None:
        """Requests per minute of the whole account, polls included (5)."""
        limit = self.settings["requests_per_minute"]
        if not limit:
            return
        now, recent = self.account.now(), self._recent
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= limit:
            raise _too_many()
        recent.append(now)

    def _submit(self, call: Call) -> Reply:
        try:
            body = call.json()
        except (ValueError, RecursionError):
            raise Refused("the body is not JSON") from None
        order = rules.read(body, self._house())
        sync = order.sync
        if sync is None:
            sync = self.settings["default_mode"] == "result"
        if not self.account.can_pay(order.count * _PRICES[order.model]):
            raise self._poor()
        held = self._held_seconds() if sync else None
        task = self._accept(order, hidden=held is not None and self._in_time(held))
        if held is None:
            return self._accepted(task)
        return evolve(self._held(task, held), delay=held)

    def _house(self) -> rules.House:
        code = self.settings["template_code"]
        return rules.House(
            own=self.account.origin,
            size_of=self._size_of,
            lenient=self.settings["unknown_fields"] == "ignore",
            aspect_in_edits=self.settings["edit_aspect"] == "honoured",
            flat_boxes=self.settings["boxes"] == "flat",
            template=(_TEMPLATES[code], code),
        )

    def _size_of(self, url: str) -> tuple[int, int] | None:
        own = f"{self.account.origin}/{self.name}/files/"
        found = self.account.file(url.partition("?")[0].removeprefix(own))
        return (found[1].picture.width, found[1].picture.height) if found else None

    def _accept(self, order: rules.Order, *, hidden: bool) -> Task:
        account = self.account
        queued = 0.0 if hidden else float(self.settings["queue_seconds"])
        seed = account.random.getrandbits(31) if order.seed is None else order.seed
        most = int(self.settings["set_images"])
        pictures = order.pictures(self.name, seed=seed, most=most)
        task = account.accept(
            task_id=f"job_{account.hex(16)}",
            model=order.model,
            pictures=pictures,
            latency=queued + account.latency,
            link_seconds=_LINK_SECONDS,
            detail=Work(order=order, started_at=account.now() + queued, hidden=hidden),
        )
        task.asked = order.count
        self._bill(task, made=len(pictures))
        return task

    def _bill(self, task: Task, *, made: int) -> None:
        """Price times delivered images; whether a failure costs is not published (7, 8)."""
        images = len(task.files)
        paid = made if jobs.failed(task) and self.settings["failed_charge"] else images
        if paid:
            self.account.charge(task, paid * _PRICES[task.model], images=images)

    def _held_seconds(self) -> float:
        """How long a caller with ``sync`` waits for whatever comes."""
        return min(self.account.latency, float(self.settings["sync_seconds"]), _GATEWAY_SECONDS)

    def _in_time(self, held: float) -> bool:
        return self.account.latency <= held

    def _held(self, task: Task, held: float) -> Reply:
        """What comes then: the result, or what becomes of those who waited in vain (3.2)."""
        if self._in_time(held):
            return self._error(jobs.refusal(task)) if jobs.failed(task) else self._result(task)
        if self.settings["sync_late"] == "job":
            return self._accepted(task)
        return text_reply(504, "<html>504 Gateway Time-out</html>", content_type="text/html")

    def _result(self, task: Task) -> Reply:
        body = jobs.result(task, self.account, self.settings)
        return lazy_json_reply(200, body, jobs.base64_of)

    def _accepted(self, task: Task) -> Reply:
        """The job envelope (3.1)."""
        word = jobs.status(task, task.created_at, self.settings)
        body = {"job_id": task.id, "status": word, **self._poll_url(task)}
        return json_reply(self.settings["accept_status"], body)

    def _poll_url(self, task: Task) -> dict[str, str]:
        # Below the sandbox's host the service has the provider's name before its paths.
        path = f"/{self.name}/v1/jobs/{task.id}"
        match self.settings["poll_url"]:
            case "absent":
                return {}
            case "absolute":
                return {"poll_url": f"{self.account.origin}{path}"}
            case "foreign":
                return {"poll_url": f"https://jobs.example.net{path}"}
        return {"poll_url": path}

    def _poll(self, job_id: str) -> Reply:
        return self._shown(self._known(job_id))

    def _known(self, job_id: str) -> Task:
        task = self.account.tasks.get(job_id)
        if task is None or not jobs.visible(task, self.account.now()):
            raise _no_job()
        return task

    def _shown(self, task: Task) -> Reply:
        body = jobs.job(task, self.account, self.settings)
        return lazy_json_reply(200, body, jobs.base64_of)

    def _cancel(self, job_id: str) -> Reply:
        """Ended jobs come back unchanged; what was accepted stays paid in full (1, 7)."""
        task, now = self._known(job_id), self.account.now()
        if now < task.ready_at:
            work_of(task).cancelled_at = task.ready_at = now
            task.outcome, task.files = Outcome.FAILED, ()
        return self._shown(task)

    def _delete(self, job_id: str) -> Reply:
        if self.settings["cancel_route"] != "delete":
            raise Refused("DELETE is not served here", status=405, code="method_not_allowed")
        return self._cancel(job_id)

    def _newest(self) -> list[Task]:
        return [self.account.tasks[name] for name in reversed(self.account.accepted)]

    def _list(self, call: Call) -> Reply:
        """Newest first (1); ``processing`` is whatever has not ended. The wrapper is inferred."""
        limit, now = jobs.count(call.query, 25, 100), self.account.now()
        wanted = call.query.get("status")
        if wanted not in (None, "processing", "completed", "failed"):
            raise Refused("status must be processing, completed or failed", "status")
        known = [task for task in self._newest() if jobs.visible(task, now)]
        kept = [task for task in known if wanted in (None, self._filed_under(task))]
        data = [jobs.job(task, self.account, self.settings) for task in kept[:limit]]
        return lazy_json_reply(200, {"object": "list", "data": data}, jobs.base64_of)

    def _filed_under(self, task: Task) -> str:
        now = self.account.now()
        if now < task.ready_at:
            return "processing"
        if jobs.finished(task, now):
            return "completed"
        return "failed" if jobs.failed(task) else "cancelled"

    def _poor(self) -> Refused:
        return Refused("credit balance too low", status=402, code="insufficient_credits")

    def _error(
        self, refused: Refused, *, status: int | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """The OpenAI-like envelope, or one of the other shapes that clients met (5)."""
        error: dict[str, Any] = {
            "message": refused.message,
            "type": refused.code,
            "code": refused.code,
        }
        if refused.param is not None:
            error["param"] = refused.param
        bodies = {
            "object": {"error": error},
            "string": {"error": refused.message},
            "detail": {"detail": refused.message},
            "message": {"message": refused.message},
        }
        body = bodies[self.settings["error_shape"]]
        return json_reply(refused.status if status is None else status, body, headers)

    def rate_limited(self, retry_after: float | None) -> Reply:
        # No header is documented (5), so none is sent unless asked for.
        headers = None if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        return self._error(_too_many(), headers=headers)

    def server_error(self, status: int | None) -> Reply:
        status = status or 503
        code = _SERVER_CODES.get(status, "internal_error")
        return self._error(Refused("the model cannot be reached", status=status, code=code))

    def error_in_200(self, _: Call, /) -> Reply:
        return self._error(Refused("upstream failed", code="upstream_error"), status=200)

    def no_credit(self, _: Call, /) -> Reply:
        return self._error(self._poor())

    def unauthorized(self, _: Call, /) -> Reply:
        return self._error(self._bad_key())

    def task_lost(self, _: Call, /) -> Reply:
        return self._error(_no_job())

    def not_found(self, call: Call, /) -> Reply:
        message = f"no such endpoint: {call.method} {call.path}"
        return self._error(Refused(message, status=404, code="not_found"))


_RESOURCES: Final = {
    "/v1/images/generations": "images",
    "/v1/jobs": "jobs",
    "/v1/models": "models",
    "/v1/account/usage": "usage",
    "/v1/templates": "templates",
    "/v1/images/templates": "templates",
    "/health": "health",
}


def _too_many() -> Refused:
    return Refused("too many requests", status=429, code="rate_limit_exceeded")


def _no_job() -> Refused:
    return Refused("there is no such job", status=404, code="job_not_found")


def _model() -> dict[str, Any]:
    """The one model of the catalogue (1); the members of its price rows are ours."""
    rows = [
        {"model_variant": variant, "unit": "image", "price": float(price), "currency": "USD"}
        for variant, price in _PRICES.items()
    ]
    return {
        "id": rules.MODEL,
        "object": "model",
        "category": "image",
        "pricing_rows": rows,
        "supported_parameters": [p.to_json() for p in rules.PARAMETERS.values() if p.listed],
        "capabilities": [mode.value for mode in rules.Mode],
        "input_modalities": ["text", "image"],
        "output_modalities": ["image"],
    }
