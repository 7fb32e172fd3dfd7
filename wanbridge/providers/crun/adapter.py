"""Crun: one task API for many models, whose input for Wan no page shows.

``POST /client/job/CreateTask`` answers ``{code, message, data}`` with a task id, ``TaskInfo`` with
the task. Errors stand in the HTTP status, in ``code`` or in both; success needs both good. The
model's page leaves ``input`` out, so its names are a guess, `INPUT`: most of them are sent only
with the option ``allow_unverified``, and ``Models/{model}`` has the real ones (`check_schema`).
Money is in credits, reserved while a task runs and actual once it has ended. Inputs are URLs: what
comes as ``data:`` is uploaded first, to another host. Callbacks are unsigned, there is no cancel,
no list of tasks, and a create is never repeated. In mainland China the host is api.crunai.com.

Pages, all read 2026-11-20, in the comments of this package by the word before the colon:

- model: https://docs.crun.ai/models/wan/wan-2-7-image-pro
- task: https://docs.crun.ai/models/common/get-task-info
- credits: https://docs.crun.ai/common-api/get-account-credits
- openapi: Crun's own files, as kept in https://github.com/genfeedai/genfeed.ai,
  apps/server/api/src/services/integrations/crun/contracts/fixtures
- skills: https://github.com/CrunTeam/crun-agent-skills, the vendor's command-line client
- clients: third parties
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from attrs import field, frozen, validators

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.credits import POSITIVE, credit_rate
from wanbridge.adapters.offers import Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import (
    CallbackEvent,
    Delivery,
    Done,
    Exchange,
    Missing,
    ModelInfo,
    Op,
    Pending,
    Step,
)
from wanbridge.errors import (
    Charge,
    GenerationFailed,
    MalformedResponse,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RequestRejected,
)
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import Pixels
from wanbridge.model.structuring import ShapeError, structure
from wanbridge.providers.crun.callbacks import read_event
from wanbridge.providers.crun.input import COUNTS, INPUT, WireName
from wanbridge.providers.crun.offers import RATIOS, offers_with
from wanbridge.providers.crun.replies import (
    ID,
    Balance,
    Envelope,
    Estimate,
    Model,
    Result,
    Task,
    code_of,
    read_data,
)
from wanbridge.providers.crun.uploads import upload_inline
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request


@frozen(kw_only=True)
class Options:
    """What can be chosen for Crun.

    Attributes:
        allow_unverified: Also send fields whose names are a guess; a wrong one is refused by Crun
            with 422, free of charge.
        usd_per_credit: Dollars of one credit, as text; None leaves costs in credits. Crun
            publishes no rate, and third parties differ (0.005 and 0.025).
    """

    allow_unverified: bool = field(default=False, validator=validators.instance_of(bool))
    usd_per_credit: Decimal | None = field(default=None, converter=credit_rate, validator=POSITIVE)


@frozen(kw_only=True)
class Crun(Adapter):
    """Crun's task API.

    Attributes:
        mapping: Names in ``input``; replace it where `check_schema` has found differences. With an
            entry ``pixels``, exact sizes go there as ``W*H``.
    """

    name = "crun"
    default_url = "https://api.crun.ai/api/v1"
    Options: ClassVar[type[Any]] = Options
    # Every 5 s in the vendor's client (skills), every 10 to 20 s in others.
    poll_interval = PollInterval(first=5.0, most=15.0)
    # Codes of which creating is what did not happen (model; 403: task). Not 429 and 455: that
    # they create nothing is an inference, and the vendor's rule is no second create (skills).
    not_accepted = frozenset({401, 402, 403, 404, 422, 505})
    error_codes: ClassVar = {
        "455": ProviderUnavailable,  # maintenance
        "501": GenerationFailed,
        "505": RequestRejected,  # the feature is switched off: not to be sent again
    }
    mapping: Mapping[str, WireName] = field(factory=lambda: INPUT)

    @property
    def reserved(self) -> frozenset[str]:  # type: ignore[override]
        """Every name of the mapping, sent or not, and other names for the count."""
        return COUNTS.union(wire.name for wire in self.mapping.values())

    @property
    def offers(self) -> tuple[Offer, ...]:  # type: ignore[override]
        """Both models, with the fields that may be said by mapping and options."""
        return offers_with(self.mapping, {name for name in self.mapping if self._sends(name)})

    def _sends(self, name: str) -> bool:
        wire = self.mapping.get(name)
        return wire is not None and (wire.verified or self.options.allow_unverified)

    def pixels(self, request: ImageRequest, offer: Offer) -> Pixels | None:
        """None where words can say it; pixels are refused as long as no name is known for them."""
        size = request.size
        if self.in_words(request, RATIOS):
            return None
        if self._sends("pixels"):
            return self.in_pixels(request, offer)
        if size.pixels:
            raise self.unsupported("size", f"{size}; no name for exact pixels is known here")
        if size.aspect_ratio in RATIOS:
            raise self.unsupported("size", f"{size.aspect_ratio}; with images the last one decides")
        raise self.unsupported("size", f"{size.aspect_ratio}; {', '.join(sorted(RATIOS))}")

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """There is nothing that makes a second send harmless (skills)."""
        return self._post("CreateTask", self._body(request, offer))

    def _body(self, request: ImageRequest, offer: Offer) -> dict[str, Any]:
        pixels = self.pixels(request, offer)
        words = None if pixels else request.size
        # No default but that of "n" is known, so all values are said.
        values = {
            "prompt": request.prompt,
            "images": self.links(request),
            "resolution": words and words.tier,
            "aspect_ratio": None
            if request.images or not words
            else request.size.aspect_ratio or "1:1",
            "pixels": f"{pixels.width}*{pixels.height}" if pixels else None,
            "n": request.n,
            "sequential": request.sequential or None,
            "thinking": self.thinks(request),
            "color_palette": self.palette(request),
            "regions": self.boxes(request),
            "seed": request.seed,
            "watermark": request.watermark,
        }
        said = {self.mapping[k].name: v for k, v in values.items() if self._sends(k)}
        body = {
            "model": offer.alias,
            "input": {**compact(said), **self.extras(request)},
            "callback_url": request.callback_url,
        }
        return {k: v for k, v in body.items() if v is not None}

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        """The task; a status beside the id is left to the poll."""
        task = read_data(self, response, Task)
        if not ID.fullmatch(task.task_id or ""):
            message = "$.data.task_id: missing, or not 1 to 256 printable characters"
            raise self.malformed(response, message, raw=response.json())
        return Pending(self.job(response, request, task.task_id or "", key=key))

    def poll(self, job: Job) -> HttpRequest:
        """``TaskInfo``."""
        url = f"{job.base_url}/client/job/TaskInfo?{urlencode({'task_id': job.id})}"
        return json_request("GET", url, headers=self.x_api_key())

    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        """The task's own ``status`` decides, never the code of its result (clients)."""
        if code_of(response) == 404:
            return Missing()
        spoiled: list[Problem] = []
        task = read_data(self, response, Task, spoiled)
        match task.status:
            case "success" | "failed" if task.links:
                delivery = Delivery(
                    images=tuple(Image(url=url) for url in task.links),
                    cost=self.credits(task.spent) if task.spent else None,
                    notes=self.spoiled_notes(spoiled),
                    raw=response.json(),
                )
                return Done(delivery)
            case "pending" | "running":
                return Pending(job, retry_after=response.retry_after)
            case status:
                message = f"$.data.status: task {job.id} has status {status!r}"
                raise self.malformed(response, message, raw=response.json())

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """By status and code together; a task that has ended without a picture is a good reply."""
        try:
            body = response.json()
            detail = self.error_detail(body)
        except ValueError:
            body, detail = None, None
        code = code_of(response)
        if code < 300:
            return self._generation_error(response, job) if op is Op.POLL else None
        if detail is None:
            return self.refusal(response, op=op, job=job)
        if op is Op.POLL and code == 404:
            return None
        # Any other 5xx says that something broke, whatever stands in it.
        trusted = response.status < 500 or response.status == code
        surely_not = trusted and code in self.not_accepted and not detail.task_id
        return self.error(
            self.classify(code, str(code)),
            detail,
            response,
            charge=self._submit_charge(op, surely_not),
            raw=body,
            job=job,
        )

    def _generation_error(self, response: HttpResponse, job: Job | None) -> ProviderError | None:
        """A task that ended without a picture; what it cost stands beside it."""
        try:
            body, task = response.json(), read_data(self, response, Task)
        except (ValueError, MalformedResponse):
            return None  # the method that reads it raises MalformedResponse
        if task.links or task.status not in ("success", "failed"):
            return None
        result = task.result or Result()
        said = result.message or "no explanation"
        charge = Charge.YES if task.spent else Charge.MAYBE
        if task.status == "success":
            said = "completed without an image"
        elif task.spent == 0:
            charge = Charge.NO
        code = None if result.code is None else str(result.code)
        detail = ErrorDetail(code=code, message=said)
        return self.error(
            GenerationFailed, detail, response, charge=charge, raw=body, job=job, final=True
        )

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{code, message, data}``, with 422 a list of ``errors`` that name the field."""
        try:
            said = structure(body, Envelope)
        except ShapeError:
            return None
        if said.code is None and said.message is None:
            return None
        return ErrorDetail(
            code=None if said.code is None else str(said.code),
            message=": ".join(filter(None, [said.message, "; ".join(said.errors)]))
            or "no explanation",
            task_id=said.data.get("task_id") if isinstance(said.data, dict) else None,
        )

    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        """The bare task, or in the envelope of ``TaskInfo``; nothing is signed (model)."""
        return [read_event(request)]

    # -- free requests --------------------------------------------------------------------

    def prepare(self, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
        """``data:`` images to where Crun can read them, each once."""
        return upload_inline(self, request)

    def estimate(self, request: ImageRequest, offer: Offer) -> Exchange[Money]:
        """What Crun says the very message would cost; an older path where the newer is unknown."""
        prepared = yield from self.prepare(request, offer)
        body = self._body(prepared, offer)
        response = yield self._post("estimate-credits", body)
        if code_of(response) in (404, 405):
            response = yield self._post("EstimateTask", body)
        if (error := self.failure(response, op=Op.ESTIMATE)) is not None:
            raise error
        estimate = read_data(self, response, Estimate)
        price = estimate.estimated_credits if estimate.credits is None else estimate.credits
        if price is None:
            raise self.malformed(response, "$.data.credits: missing", raw=response.json())
        return self.credits(price)

    def balance(self) -> Exchange[Money]:
        """Credits that are left, a fraction too (credits)."""
        url = f"{self.base_url}/client/account/balance"
        response = yield from self._reply_to(self._get(url), Op.BALANCE)
        return self.credits(read_data(self, response, Balance).balance)

    def models(self) -> Exchange[tuple[ModelInfo, ...]]:
        """Those of our models that are there, with the schema of their ``input`` (openapi)."""
        found = []
        for offer in self.offers:
            # The slash of the id stays one.
            url = f"{self.base_url}/client/job/Models/{quote(offer.alias)}"
            response = yield self._get(url)
            if code_of(response) == 404:
                continue
            if (error := self.failure(response, op=Op.MODELS)) is not None:
                raise error
            schema = read_data(self, response, Model).input_schema
            found.append(ModelInfo(id=offer.alias, schema=schema, raw=response.json()))
        return tuple(found)

    def _reply_to(self, message: HttpRequest, op: Op) -> Exchange[HttpResponse]:
        response = yield message
        if (error := self.failure(response, op=op)) is not None:
            raise error
        return response

    def _get(self, url: str) -> HttpRequest:
        return json_request("GET", url, headers=self.x_api_key())

    def _post(self, path: str, body: Mapping[str, Any]) -> HttpRequest:
        url = f"{self.base_url}/client/job/{path}"
        return json_request("POST", url, headers=self.x_api_key(), body=body)
