"""Alibaba Cloud Model Studio (DashScope), the origin of the models: strict, terse, billed by image.

One body, two paths: the sync one answers with the images after a minute, the async one (with
``X-DashScope-Async: enable``) with a task to poll. Errors are ``{request_id, code, message}``;
a failed task is HTTP 200. Only delivered images cost, whatever their size; a task can be
cancelled, free of charge, while it is PENDING. Five creates a second and five running tasks
per model, twenty queries a second. There is no idempotency key: a create sent twice is two tasks.

Source: https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference,
https://help.aliyun.com/zh/model-studio/manage-asynchronous-tasks, .../error-code, .../rate-limit
and .../get-temporary-file-url, read 2026-11-20. Numbers in brackets are sections of our wire page
on DashScope, checks are those of its section 9; what is inferred there is said to be so here.

Not served: images behind https URLs are not fetched, so not judged; EventBridge (6), which is
set up in a console; the ``X-DashScope-Wait-Timeout`` queue, unconfirmed for image models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from attrs import evolve

from wanbridge.sandbox.account import Account, Outcome, Task
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects.dashscope import body, tasks
from wanbridge.sandbox.dialects.dashscope.errors import STATUS, Refused, invalid
from wanbridge.sandbox.dialects.dashscope.images import Seen, read_image
from wanbridge.sandbox.dialects.dashscope.rates import Rates
from wanbridge.sandbox.dialects.dashscope.switches import REGIONS, SWITCHES, Region
from wanbridge.sandbox.dialects.dashscope.tasks import Work, state, work_of
from wanbridge.sandbox.dialects.dashscope.uploads import HOST_PATH, Uploads, xml_error
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.picture import Picture
from wanbridge.sandbox.reply import Reply, json_reply, text_reply

_SYNC: Final = "/services/aigc/multimodal-generation/generation"
_ASYNC: Final = "/services/aigc/image-generation/generation"
# The protocol of older image models, where some official SDK classes still send these (8.1).
_OLD: Final = "/services/aigc/text2image/image-synthesis"
# The docs write the list with a slash, the SDK without; its async half puts one behind all (8.1).
_TASKS: Final = re.compile(r"/tasks(?:/([^/]+)(/cancel)?)?/?")

# A task without a result is failed by the service after three hours (4.2).
_TASK_SECONDS: Final = 3.0 * 3600

_STATUS_CODES: Final = {500: "InternalError", 503: "ModelUnavailable", 504: "GatewayTimeout"}


class DashScope(Dialect):
    """Alibaba's own server."""

    name = "dashscope"
    prefix = "/api/v1"
    currency = "USD"
    opening_balance = "100"
    switches: ClassVar = SWITCHES

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._uploads = Uploads(account)
        self._rates = Rates(account)

    def op(self, call: Call) -> Op:
        match self._route(call):
            case "POST", ("sync" | "async"), _:
                return Op.SUBMIT
            case "GET", "task", _:
                return Op.POLL
            case _:
                return Op.OTHER

    def key(self, call: Call, /) -> None:
        """None: there is no idempotency key (4.1)."""

    def answer(self, call: Call) -> Reply:
        try:
            return self._answer(call)
        except Refused as refused:
            return self._refusal(refused)

    def _route(self, call: Call) -> tuple[str, str, str]:
        """Method, resource, task id; an unknown resource is empty."""
        path = call.path
        if path == HOST_PATH:
            return call.method, "storage", ""
        if not path.startswith(f"{self.prefix}/"):
            return call.method, "", ""
        path = path.removeprefix(self.prefix)
        if match := _TASKS.fullmatch(path):
            found, cancel = match[1], match[2]
            return call.method, "cancel" if cancel else "task" if found else "list", found or ""
        paths = {_SYNC: "sync", _ASYNC: "async", _OLD: "old", "/uploads": "uploads"}
        return call.method, paths.get(path, ""), ""

    def _answer(self, call: Call) -> Reply:
        route = self._route(call)
        if route == ("POST", "storage", ""):
            return self._uploads.store(call)
        self._authorize(call)
        match route:
            case "POST", ("sync" | "async") as path, _:
                return self._create(call, sync=path == "sync")
            case "POST", "old", _:
                raise Refused("model_not_supported", "model is not supported by this protocol")
            case "GET", "task", task_id:
                return self._query(task_id)
            case "POST", "cancel", task_id:
                return self._cancel(task_id)
            case "GET", "list", _:
                return self._list(call)
            case "GET", "uploads", _:
                return self._policy(call)
            case _:
                return self.not_found(call)

    def _authorize(self, call: Call) -> None:
        """Checks 1 and 2."""
        scheme, _, key = (call.header("authorization") or "").partition(" ")
        if scheme != "Bearer" or not key:
            raise Refused("InvalidApiKey", "No API-key provided.")
        if key != self.account.key:
            raise Refused("InvalidApiKey", "Invalid API-key provided.")

    def _create(self, call: Call, *, sync: bool) -> Reply:
        if body.too_large(call.request.body):
            return text_reply(413, "<html>413 Request Entity Too Large</html>")
        document = body.read_envelope(call.request.body)
        _check_async_header(call, sync=sync)
        model = body.read_model(document, status=self.settings["unknown_model"])
        message = body.read_message(document)
        try:
            images = self._images(call, message, model)
            order = body.read_order(document, message, images, default_n=self.settings["default_n"])
        except Refused as refused:
            if sync or not self.settings["late_checks"]:
                raise
            self._check_rates(model, sync=False)
            return self._created(self._accept(model, None, error=refused))
        if not self.account.can_pay(order.n * self._region.prices[model]):
            raise self._overdue()
        self._check_rates(model, sync=sync)
        task = self._accept(model, order, sync=sync)
        return self._finished(task, order) if sync else self._created(task)

    def _images(self, call: Call, message: body.Message, model: str) -> list[Seen]:
        """Checks 9 to 11, each for all images before the next."""
        uploaded = [url for url in message.images if url.startswith("oss://")]
        if uploaded and call.header("x-dashscope-ossresourceresolve") != "enable":
            raise Refused(
                "InvalidParameter.DataInspection",
                "oss:// needs the header X-DashScope-OssResourceResolve: enable",
            )
        files = {url: self._uploads.resolve(url, model) for url in uploaded}
        for url in message.images:
            body.check_scheme(url)
        return [
            read_image(files[url]) if url in files else body.read_inline(url)
            for url in message.images
        ]

    @property
    def _region(self) -> Region:
        return REGIONS[self.settings["region"]]

    def _overdue(self) -> Refused:
        """Inferred: an account overdue is refused when it could not pay all it asks for."""
        return Refused(self.settings["billing_code"], "Access denied, account is overdue.")

    def _check_rates(self, model: str, *, sync: bool) -> None:
        """Checks 20 and 21; an async create over the latter waits in PENDING."""
        self._admit("create", model)
        if sync and self._free_at(model) > self.account.now():
            raise self._throttled()

    def _admit(self, what: str, model: str = "") -> None:
        if self.settings["rates"] and not self._rates.admit(what, model):
            raise self._throttled()

    def _free_at(self, model: str) -> float:
        return self._rates.free_at(model) if self.settings["rates"] else self.account.now()

    def _throttled(self) -> Refused:
        return Refused(self.settings["throttling_code"], "Requests rate limit exceeded.")

    def _start(self, model: str, *, sync: bool) -> float:
        """When a task taken on now leaves the queue; sync calls do not enter it."""
        queued = 0.0 if sync else float(self.settings["queue_seconds"])
        return max(self.account.now() + queued, self._free_at(model))

    def _accept(
        self,
        model: str,
        order: body.Order | None,
        *,
        sync: bool = False,
        error: Refused | None = None,
    ) -> Task:
        """Take on a task; with an *error* it will run, then fail (4.1)."""
        account, region = self.account, self._region
        started_at = self._start(model, sync=sync)
        seconds, timeout = self._work(sync=sync)
        error = error or timeout
        work = Work(
            sync=sync,
            order=order,
            request_id=account.uuid(),
            started_at=started_at,
            price=region.prices[model],
            currency=region.currency,
            region=region.id,
        )
        task = account.accept(
            task_id=account.uuid(),
            model=model,
            pictures=() if order is None else self._pictures(order),
            latency=started_at - account.now() + seconds,
            link_seconds=tasks.LIFE_SECONDS,
            outcome=Outcome.SUCCEEDED if error is None else Outcome.FAILED,
            detail=work,
        )
        task.asked = 0 if order is None else order.n
        work.error = error or self._misfortune(task.outcome)
        self._rates.took(task)
        return task

    def _work(self, *, sync: bool) -> tuple[float, Refused | None]:
        """Seconds that the work takes, and the error if that is longer than the service waits."""
        limit = float(self.settings["sync_seconds"]) if sync else _TASK_SECONDS
        if self.account.latency <= limit:
            return self.account.latency, None
        code = "RequestTimeOut" if sync else "InternalError.Timeout"
        return limit, Refused(code, f"no result within {limit:g} seconds")

    def _misfortune(self, outcome: Outcome) -> Refused | None:
        if outcome is Outcome.REFUSED:
            code = self.settings["content_code"]
            return Refused(code, "Input or output data may contain inappropriate content.")
        if outcome is Outcome.FAILED:
            return Refused(self.settings["failure_code"], "An internal error has occurred.")
        return None

    def _pictures(self, order: body.Order) -> tuple[Picture, ...]:
        """Those that will be made: of a set, the model decides how many (2.5)."""
        most = int(self.settings["set_images"]) if order.sequential else order.n
        count = min(order.n, most)
        seed = self.account.random.getrandbits(31) if order.seed is None else order.seed
        return tuple(order.series(self.name, order.regions, count=count, seed=seed))

    def _created(self, task: Task) -> Reply:
        output = {"task_status": "PENDING", "task_id": task.id}
        return json_reply(200, {"request_id": work_of(task).request_id, "output": output})

    def _finished(self, task: Task, order: body.Order) -> Reply:
        """A sync reply: the whole work passes before it, as ``delay``."""
        work = work_of(task)
        self._bill(task)
        if work.error is not None:
            reply = self._refusal(work.error)
        else:
            reply = json_reply(200, self._success(task, order))
        return evolve(reply, delay=task.ready_at - task.created_at)

    def _success(self, task: Task, order: body.Order) -> dict[str, Any]:
        output = tasks.output(task, order, self.account, self.settings)
        return self._body(output, tasks.usage(task, order))

    def _body(self, output: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
        reply = {"request_id": self.account.uuid(), "output": output}
        return {**reply, "usage": usage} if self.settings["usage"] else reply

    def settle(self, task: Task, /) -> None:
        """Bill what an async task delivered; a sync call is billed with its reply."""
        if not work_of(task).sync:
            self._bill(task)

    def _bill(self, task: Task) -> None:
        """Price times delivered images, whatever their size; a failure costs nothing (5, 7)."""
        work = work_of(task)
        if task.files and work.cancelled_at is None:
            self.account.currency = work.currency
            self.account.charge(task, len(task.files) * work.price, images=len(task.files))

    def _query(self, task_id: str) -> Reply:
        """Check 22, then 4.2."""
        self._admit("query")
        task = self._visible(task_id)
        return self._unknown(task_id) if task is None else self._shown(task)

    def _visible(self, task_id: str) -> Task | None:
        """The task, unless it is unknown, too old, or too young for ``visible_after``."""
        task = self.account.tasks.get(task_id)
        if task is None or task.lost or work_of(task).sync:
            return None
        age = self.account.now() - task.created_at
        return task if self.settings["visible_after"] <= age < tasks.LIFE_SECONDS else None

    def _unknown(self, task_id: str) -> Reply:
        if self.settings["unknown_task"] == 404:
            return self._error(Refused("NotFound", "task not found"))
        output = {"task_id": task_id, "task_status": "UNKNOWN"}
        return json_reply(200, {"request_id": self.account.uuid(), "output": output})

    def _shown(self, task: Task) -> Reply:
        now, work = self.account.now(), work_of(task)
        status = state(task, now)
        head = {"task_id": task.id, "task_status": status}
        if self.settings["times"]:
            head |= tasks.times(task, now)
        if status == "SUCCEEDED" and work.order is not None:
            success = self._success(task, work.order)
            return json_reply(200, {**success, "output": {**head, **success["output"]}})
        if status == "FAILED" and work.error is not None:
            return self._failed(head, work.error)
        return json_reply(200, {"request_id": self.account.uuid(), "output": head})

    def _failed(self, head: Mapping[str, str], error: Refused) -> Reply:
        """HTTP 200 all the same; two official shapes (4.2)."""
        words = {"code": error.code, "message": error.message}
        if self.settings["failed_shape"] == "top":
            return json_reply(200, {"request_id": self.account.uuid(), **words})
        return json_reply(200, self._body({**head, **words}, {"image_count": 0}))

    def _cancel(self, task_id: str) -> Reply:
        """Only while PENDING, and then free; the latter is inferred (4.3)."""
        self._admit("cancel")
        task, now = self._visible(task_id), self.account.now()
        if task is None or state(task, now) != "PENDING":
            raise Refused("UnsupportedOperation", "Cancel failed, the task is not PENDING.")
        work_of(task).cancelled_at = task.ready_at = now
        task.outcome, task.files = Outcome.FAILED, ()
        return json_reply(200, {"request_id": self.account.uuid()})

    def _list(self, call: Call) -> Reply:
        self._admit("list")
        visible = [task for name in self.account.tasks if (task := self._visible(name))]
        page = tasks.listing(visible, call.query, self.account.now())
        return json_reply(200, {"request_id": self.account.uuid(), **page})

    def _policy(self, call: Call) -> Reply:
        """2.7. Whether it exists outside Beijing is contradictory; how it is refused, inferred."""
        self._admit("upload")
        if call.query.get("action") != "getPolicy":
            raise invalid("action must be getPolicy")
        model = call.query.get("model")
        body.check_model(model, status=self.settings["unknown_model"])
        if not self.settings["uploads"]:
            raise Refused("AccessDenied", "Temporary uploads are not available in this region.")
        data = self._uploads.policy(
            str(model),
            seconds=self.settings["policy_seconds"],
            megabytes=self.settings["upload_megabytes"],
        )
        return json_reply(200, {"request_id": self.account.uuid(), "data": data})

    def _refusal(self, error: Refused) -> Reply:
        return self._error(error, status=200 if self.settings["errors_in_200"] else None)

    def _error(
        self, error: Refused, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The one shape (5); *status* in place of the table's."""
        words = {"code": error.code, "message": error.message}
        reply = {"request_id": self.account.uuid(), **words}
        return json_reply(STATUS[error.code] if status is None else status, reply, headers)

    def rate_limited(self, retry_after: float | None) -> Reply:
        # No Retry-After is documented (10), so none is sent unless asked for.
        headers = None if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        return self._error(self._throttled(), headers=headers)

    def server_error(self, status: int | None) -> Reply:
        code = _STATUS_CODES.get(status or 500, "InternalError")
        return self._error(Refused(code, "An internal error has occurred."), status=status)

    def error_in_200(self, call: Call, /) -> Reply:
        error = Refused("InternalError", "An internal error has occurred.")
        return self._error(error, status=200)

    def no_credit(self, call: Call, /) -> Reply:
        return self._error(self._overdue())

    def unauthorized(self, call: Call, /) -> Reply:
        return self._error(Refused("InvalidApiKey", "Invalid API-key provided."))

    def task_lost(self, call: Call, /) -> Reply:
        return self._unknown(self._route(call)[2])

    def not_found(self, call: Call, /) -> Reply:
        return self._error(Refused("NotFound", f"no such resource: {call.path}"))

    def dead_link(self) -> Reply:
        return xml_error(403, "AccessDenied", "Request has expired.", self.account.hex(24))

    def no_file(self) -> Reply:
        return xml_error(404, "NoSuchKey", "The key does not exist.", self.account.hex(24))


def _check_async_header(call: Call, *, sync: bool) -> None:
    """Checks 5 and 6."""
    wanted = call.header("x-dashscope-async") == "enable"
    if not sync and not wanted:
        raise Refused("AccessDenied", "current user api does not support synchronous calls.")
    if sync and wanted:
        raise Refused("AccessDenied", "current user api does not support asynchronous calls.")
