"""Runware: one URL, a JSON array of tasks in, ``data`` and ``errors`` side by side out.

``POST /v1`` takes tasks of several types. The client names each task by a UUID, which is also the
address for polling and the only protection against paying twice: a known one is refused as
``conflictTaskUUID``. Results come when the connection is held (sync) or by ``getResponse`` (async).

Sources: runware.ai/docs/models/alibaba-wan2-7-image (and -pro), runware.ai/docs/platform
(authentication, errors, task-polling, webhooks, task-details), runware.ai/docs/utilities/
image-upload and the source of the official clients, read 2026-11-20. What these leave open is a
switch. Our choices: the HTTP status of a request whose tasks all failed is that of the first
error; money is taken when a task is accepted, for the images that will come; uploads are stored by
UUID and have no URL. Of webhooks the number of attempts is not documented, eight is our choice, as
are that all of a task's come together at its end, that they carry ``status``, and no jitter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from attrs import evolve

from wanbridge.sandbox.account import Account, File, Outcome, Task
from wanbridge.sandbox.callbacks import Notice, Retries
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects.runware import answers, rules
from wanbridge.sandbox.dialects.runware.switches import SWITCHES
from wanbridge.sandbox.dialects.shapes import percent, regions
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.picture import MIME, Picture
from wanbridge.sandbox.reply import Reply, json_reply

_PRICES: Final = {rules.BASE: Decimal("0.03"), rules.PRO: Decimal("0.075")}
_FORMATS: Final = {"JPG": "jpeg", "PNG": "png", "WEBP": "webp"}
# URLs live seven days without `ttl`.
_WEEK = 7 * 86400


class Runware(Dialect):
    """Runware's HTTP task API, both Wan 2.7 models."""

    name = "runware"
    prefix = "/v1"
    currency = "USD"
    opening_balance = "100"
    switches: ClassVar = SWITCHES
    # runware.ai/docs/platform/webhooks: any 2xx within 5 s, else 250 ms doubling to 8 s.
    retries = Retries(first=0.25, factor=2, cap=8, attempts=8, timeout=5)

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._stored: set[str] = set()
        self._utilities: dict[str, Callable[[dict[str, Any]], answers.Part]] = {
            "getTaskDetails": self._details,
            "imageUpload": self._upload,
            "mediaStorage": self._media,
        }

    def op(self, call: Call) -> Op:
        if call.method != "POST" or call.path.rstrip("/") != self.prefix:
            return Op.OTHER
        types = {str(task.get("taskType")) for task in answers.tasks_of(call)}
        if "imageInference" in types:
            return Op.SUBMIT
        if "getResponse" in types:
            return Op.POLL
        # An unreadable body was most likely meant to buy something.
        return Op.OTHER if types & {"authentication", *self._utilities} else Op.SUBMIT

    def key(self, call: Call, /) -> str | None:
        return next(
            (u for t in answers.tasks_of(call) if isinstance(u := t.get("taskUUID"), str)), None
        )

    def answer(self, call: Call) -> Reply:
        if call.path.rstrip("/") != self.prefix:
            return self.not_found(call)
        if call.method != "POST":
            return answers.failure(
                405, answers.error_object("invalidMethod", "only POST is served here")
            )
        if refusal := self._authenticate(call):
            return refusal
        try:
            body = call.json()
        except ValueError:
            return answers.failure(400, answers.error_object("invalidJSON", "the body is not JSON"))
        if not isinstance(body, list) or not body:
            return answers.failure(
                400, answers.error_object("invalidPayload", "the body must be an array of tasks")
            )
        return answers.merged([self._one(task, call) for task in body])

    def notices(self, task: Task, /) -> Sequence[Notice]:
        # One call per image, and nothing to prove who calls.
        url = task.detail.get("webhookURL")
        if url is None:
            return ()
        images = [{**self._element(task, file), "status": "success"} for file in task.files]
        failures = [{**failure, "status": "error"} for failure in self._missing(task)]
        if self.settings["webhook_form"] == "wrapped":
            images = [{"data": [image]} for image in images]
            failures = [{"errors": [failure]} for failure in failures]
        return [Notice.of(url, item, answers.Drawn.text) for item in images + failures]

    def rate_limited(self, retry_after: float | None) -> Reply:
        # No Retry-After is documented for this API.
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        error = answers.error_object("rateLimitExceeded", "the queue is full")
        return json_reply(429, {"errors": [error]}, headers)

    def server_error(self, status: int | None) -> Reply:
        status = status or 500
        code = answers.SERVER_CODES.get(status, "internalServerError")
        return answers.failure(
            status, answers.error_object(code, "the request could not be processed")
        )

    def error_in_200(self, call: Call, /) -> Reply:
        return self._blamed(200, "internalServerError", "something went wrong", call)

    def no_credit(self, call: Call, /) -> Reply:
        return self._blamed(402, "insufficientCredits", "the balance is too low", call)

    def unauthorized(self, _: Call, /) -> Reply:
        return answers.bad_key("invalidApiKey", "the API key is not valid")

    def task_lost(self, call: Call, /) -> Reply:
        return answers.merged([self._unknown(str(self.key(call)))])

    def not_found(self, call: Call, /) -> Reply:
        return answers.failure(
            404, answers.error_object("notFound", f"nothing is served at {call.path}")
        )

    def _blamed(self, status: int, code: str, message: str, call: Call) -> Reply:
        errors = [
            answers.error_object(code, message, task)
            for task in answers.tasks_of(call)
            if "taskUUID" in task
        ]
        return json_reply(
            status, {"data": [], "errors": errors or [answers.error_object(code, message)]}
        )

    def _authenticate(self, call: Call) -> Reply | None:
        """Either way is enough; None if the key is right."""
        keys = [
            t.get("apiKey")
            for t in answers.tasks_of(call)[:1]
            if t.get("taskType") == "authentication"
        ]
        header = call.header("Authorization")
        if header is not None:
            keys.append(header.removeprefix("Bearer ") if header.startswith("Bearer ") else None)
        if not keys:
            return answers.bad_key("missingApiKey", "no API key was given")
        return None if all(key == self.account.key for key in keys) else self.unauthorized(call)

    def _one(self, task: Any, call: Call) -> answers.Part:
        if not isinstance(task, dict):
            return answers.failed(
                answers.error_object("invalidPayload", "a task must be an object")
            )
        match task.get("taskType"):
            case "imageInference":
                return self._infer(task, call)
            case "getResponse":
                return self._poll(task)
            case "authentication":
                return self._session(task)
            case str(kind) if kind in self._utilities:
                return self._utilities[kind](task)
            case kind:
                pass
        allowed = ["imageInference", "getResponse", "authentication", *self._utilities]
        problem = rules.problem(
            "invalidTaskType", f"taskType {kind!r} is unknown", "taskType", allowedValues=allowed
        )
        return answers.refused([problem], task)

    def _session(self, task: dict[str, Any]) -> answers.Part:
        session = task.get("connectionSessionUUID") or self.account.uuid()
        return answers.Part([{"taskType": "authentication", "connectionSessionUUID": session}])

    def _infer(self, task: dict[str, Any], call: Call) -> answers.Part:
        if problems := rules.problems(task, self._known):
            return answers.refused(problems, task)
        images = task.get("numberResults", 1)
        price = _PRICES[task["model"]] * images
        if call.header("X-Runware-Dry-Run") == "1":
            return self._dry_run(task, price)
        if task["taskUUID"] in self.account.tasks:
            # Reported by clients as HTTP 400 with an empty data (read 2026-11-20).
            message = "a task with this taskUUID exists already"
            return answers.refused([answers.error_object("conflictTaskUUID", message)], task)
        if not self.account.can_pay(price):
            return answers.failed(
                answers.error_object("insufficientCredits", "the balance is too low", task)
            )
        accepted = self.account.accept(
            task_id=task["taskUUID"],
            key=task["taskUUID"],
            model=task["model"],
            pictures=self._pictures(task, images),
            names=[self.account.uuid() for _ in range(images)],
            link_seconds=task.get("ttl", _WEEK),
            detail=task,
        )
        if coming := len(accepted.files):
            self.account.charge(accepted, _PRICES[task["model"]] * coming, images=coming)
        if task.get("deliveryMethod") == "async" or "webhookURL" in task:
            return self._acknowledged(accepted)
        return self._held(accepted)

    def _dry_run(self, task: dict[str, Any], price: Decimal) -> answers.Part:
        if not self.settings["dry_run"]:
            message = "X-Runware-Dry-Run has no documented answer; see the switch dry_run"
            return answers.refused([answers.error_object("unsupportedDryRun", message)], task)
        return answers.Part([{**answers.names(task), "cost": float(price)}])

    def _known(self, image_uuid: str) -> bool:
        return image_uuid in self._stored or self.account.has_picture(image_uuid)

    def _pictures(self, task: dict[str, Any], images: int) -> list[Picture]:
        settings = task.get("settings", {})
        # Upstream ignores the palette in sequential mode.
        entries = [] if settings.get("sequential") else settings.get("colorPalette", [])
        return [
            Picture(
                provider=self.name,
                model=task["model"],
                prompt=task["positivePrompt"],
                width=task["width"],
                height=task["height"],
                seed=self._seed(task, index),
                format=_FORMATS[task.get("outputFormat", "JPG")],
                index=index,
                count=images,
                palette=tuple((e["hex"], percent(e["ratio"]) or Decimal(0)) for e in entries),
                regions=regions(settings.get("editRegions", [])),
                quality=task.get("outputQuality", 95),
            )
            for index in range(images)
        ]

    def _seed(self, task: dict[str, Any], index: int) -> int:
        # A seed of the service's own is 32 bits wide, more than a request may carry.
        if index == 0 and "seed" in task:
            return int(task["seed"])
        return self.account.random.randrange(2**32)

    def _acknowledged(self, accepted: Task) -> answers.Part:
        return answers.Part(
            [] if self.settings["ack"] == "empty" else [answers.names(accepted.detail)]
        )

    def _held(self, accepted: Task) -> answers.Part:
        """The answer to a sync task. In it results have no ``status``."""
        wait = accepted.ready_at - accepted.created_at
        limit = self.settings["sync_timeout"]
        if wait > limit:
            error = answers.error_object(
                "failedTaskTimeout", f"no result after {limit:g} s", accepted.detail
            )
            return evolve(answers.failed(error), delay=limit)
        data = [self._element(accepted, file) for file in accepted.files]
        self.account.random.shuffle(data)
        errors = self._missing(accepted)
        status = 200 if data or not errors else answers.status_of(errors[0])
        return answers.Part(data, errors, status, wait)

    def _poll(self, task: dict[str, Any]) -> answers.Part:
        if problems := rules.uuid_problems(task, ()):
            return answers.refused(problems, task)
        known = self.account.tasks.get(task["taskUUID"])
        if known is None or known.lost:
            return self._unknown(task["taskUUID"])
        # Results of a task come one by one; each answer is the whole present state.
        over = int(self.account.progress(known) * known.asked)
        done = known.files[:over]
        data = [{**self._element(known, file), "status": "success"} for file in done]
        data += [self._running(known)] * (known.asked - over)
        self.account.random.shuffle(data)
        failures = self._missing(known) if over == known.asked else []
        failures = [{**failure, "status": "error"} for failure in failures]
        if self.settings["failed_image"] == "errors":
            return answers.Part(data, failures)
        return answers.Part(data + [answers.nested(failure) for failure in failures])

    def _unknown(self, task_uuid: str) -> answers.Part:
        if self.settings["unknown_task"] == "empty":
            return answers.Part()
        error = answers.error_object(
            "taskNotFound", "there is no such task", {"taskUUID": task_uuid}
        )
        return answers.Part(errors=[{**error, "status": "error"}])

    def _running(self, task: Task) -> dict[str, Any]:
        element = {**answers.names(task.detail), "status": self.settings["running_word"]}
        if self.settings["progress"]:
            element["progress"] = int(self.account.progress(task) * 100)
        return element

    def _missing(self, task: Task) -> list[dict[str, Any]]:
        """One error entry per image that was asked for and does not come."""
        match task.outcome:
            case Outcome.EMPTY:
                return []
            case Outcome.REFUSED:
                code, message = "contentPolicyViolation", "blocked by the content policy"
            case Outcome.FAILED:
                code, message = "inferenceError", "the generation failed"
            case Outcome.SUCCEEDED:
                if self.settings["missing_image"] == "absent":
                    return []
                code, message = "timeoutProvider", "upstream gave no answer in time"
        return [answers.error_object(code, message, task.detail)] * (task.asked - len(task.files))

    def _element(self, task: Task, file: File) -> dict[str, Any]:
        request = task.detail
        element = {**answers.names(request), "imageUUID": file.name, **self._output(request, file)}
        element["seed"] = file.picture.seed
        safety = request.get("safety", {})
        # `mode` wins over `checkContent`.
        if safety.get("mode", "fast" if safety.get("checkContent") else "none") == "fast":
            element["NSFWContent"] = self.settings["nsfw"]
        if request.get("includeCost"):
            # The wire has a JSON number here.
            element["cost"] = float(_PRICES[task.model])
        return element

    def _output(self, request: dict[str, Any], file: File) -> dict[str, Any]:
        match request.get("outputType", "URL"):
            case "base64Data":
                return {"imageBase64Data": answers.Drawn(file.picture, "")}
            case "dataURI":
                prefix = f"data:{MIME[file.picture.format]};base64,"
                return {"imageDataURI": answers.Drawn(file.picture, prefix)}
        return {"imageURL": self.account.link(file)}

    def _details(self, task: dict[str, Any]) -> answers.Part:
        if problems := rules.uuid_problems(task, ()):
            return answers.refused(problems, task)
        known = self.account.tasks.get(task["taskUUID"])
        if known is None:
            return answers.failed(
                answers.error_object("taskNotFound", "there is no such task", task), status=404
            )
        envelope = {
            "data": [self._element(known, file) for file in known.files],
            "errors": self._missing(known),
        }
        response = {name: items for name, items in envelope.items() if items}
        if not self.account.done(known):
            response = {}
        return answers.Part(
            [{**answers.names(task), "request": [known.detail], "response": response}]
        )

    def _upload(self, task: dict[str, Any]) -> answers.Part:
        problems = rules.uuid_problems(task, ("image",)) + self._unreadable(task, "image")
        if problems:
            return answers.refused(problems, task)
        return answers.Part([{**answers.names(task), "imageUUID": self._store()}])

    def _media(self, task: dict[str, Any]) -> answers.Part:
        problems = rules.uuid_problems(task, ("operation", "media"))
        match task.get("operation"):
            case "upload" if not (problems := problems + self._unreadable(task, "media")):
                return answers.Part([{**answers.names(task), "mediaUUID": self._store()}])
            case "delete" if not problems and task.get("media") in self._stored:
                self._stored.remove(task["media"])
                return answers.Part([{**answers.names(task), "mediaUUID": task["media"]}])
            case "delete" if not problems:
                return answers.failed(
                    answers.error_object("mediaNotFound", "there is no such media", task),
                    status=404,
                )
            case "upload" | "delete":
                return answers.refused(problems, task)
        allowed = ["upload", "delete"]
        problem = rules.problem(
            "invalidOperation", "operation is unknown", "operation", allowedValues=allowed
        )
        return answers.refused([*problems, problem], task)

    def _unreadable(self, task: dict[str, Any], name: str) -> list[rules.Problem]:
        if rules.is_image(task.get(name), lambda _: False):
            return []
        message = f"{name} must be a URL, a data URI or base64"
        return [rules.problem(f"invalid{name.title()}", message, name)]

    def _store(self) -> str:
        name = self.account.uuid()
        self._stored.add(name)
        return name
