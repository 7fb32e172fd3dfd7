"""reAPI: a reseller with one task endpoint for all media, paid in credits at the submit.

``POST /images/generations`` answers at once with a task whose id is the top-level ``id``;
``GET /tasks/{id}`` says ``processing``, ``completed`` with a list of links, or ``failed`` with
the error inside an HTTP 200 and the credits already back. There is no queue state, progress,
cost, expiry, cancel, list or webhook. ``Idempotency-Key`` is taken and not acted on: every POST
that arrives is a new charge. Error codes are five-digit numbers whose first digit is a category.

Pages, all read 2026-11-20, in comments by the word before the colon:

- model: https://reapi.ai/docs/wan-2-7-image
- tasks: https://reapi.ai/docs/api/tasks
- balance: https://reapi.ai/docs/api/balance
- errors: https://reapi.ai/docs/api/errors (only its first part could be read)
- validator: https://github.com/WashedYirgacheffe/new-api, docs/catalog, reAPI's own checks as a
  third party wrote them down
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

from attrs import evolve, frozen

from wanbridge.adapters.families.flat_tasks import FIELDS, FlatTasks, Task
from wanbridge.adapters.offers import Limits, Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import Exchange, Found, Op, StillUnknown
from wanbridge.adapters.wan_limits import PICTURES, UP_TO_2K, UP_TO_4K
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.result import Image
from wanbridge.model.size_rules import SizeLimits
from wanbridge.model.structuring import structure
from wanbridge.wire import HttpResponse

_SOURCE = "https://reapi.ai/docs/wan-2-7-image, read 2026-11-20"
# 4K is for pro, text-to-image, outside sets (model). The range of pixels is not on the page, nor
# is any rule for pictures: both are the maker's, who decides in the end.
_UP_TO_2K, _UP_TO_4K = evolve(UP_TO_2K, source=_SOURCE), evolve(UP_TO_4K, source=_SOURCE)
_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")


def _offer(model: str, text: SizeLimits) -> Offer:
    return Offer(
        model=model,
        alias=model,
        fields=FIELDS,
        limits=Limits(text=text, edit=_UP_TO_2K, set=_UP_TO_2K, source=_SOURCE, pictures=PICTURES),
        failure_charge=Charge.NO,  # refunded before any poll can show "failed" (tasks)
    )


_OFFERS = (_offer("wan2.7-image", _UP_TO_2K), _offer("wan2.7-image-pro", _UP_TO_4K))


@frozen
class _Accepted:
    id: str


@frozen
class _Output:
    image_urls: list[str] | None = None


@frozen
class _Task:
    status: str | None = None
    output: _Output | None = None
    id: Any = None


@frozen
class _Balance:
    balance: int


@frozen(kw_only=True)
class ReApi(FlatTasks):
    """reAPI's task API."""

    name = "reapi"
    default_url = "https://reapi.ai/api/v1"
    submit_path = "/images/generations"  # nothing makes a second send harmless
    task_path = "/tasks/{id}"  # free (model)
    status_path = "$.status"
    offers = _OFFERS
    # Every 1-2 s (quickstart), every 2-3 s (the vendor's own client).
    poll_interval = PollInterval(first=2.0, most=5.0)
    # "size" takes these words, without images (model). What it and "resolution" are by default is
    # not documented, so both are sent.
    ratios = frozenset({"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"})
    lone_tier = "resolution"
    deliver = frozenset({"completed", "failed"})
    # Rejected requests cost nothing (model); 429 is there to be repeated (errors).
    not_accepted = frozenset({400, 401, 402, 403, 404, 429})
    error_codes: ClassVar = {"80006": ContentRefused}
    # The first digit of a code is its category (errors); 3 and 8 by inference.
    end_codes: ClassVar = {
        "1": AuthenticationFailed,
        "2": RequestRejected,
        "3": CreditExhausted,
        "5": RateLimited,
        "6": ProviderUnavailable,
        "8": GenerationFailed,
    }

    def task_id(self, response: HttpResponse) -> str:
        """The ``id`` at the top."""
        task = self.structure(response, _Accepted)
        if not _ID.fullmatch(task.id):
            message = f"$.id: {task.id[:40]!r} is not a task id"
            raise self.malformed(response, message, raw=response.json())
        return task.id

    def read_task(
        self, body: Any, at: datetime | None, spoiled: list[Problem] | None = None
    ) -> Task:
        """No envelope: the body is the task, with one link per picture in ``output``."""
        task = structure(body, _Task, spoiled=spoiled)
        links = (task.output and task.output.image_urls) or ()
        return Task(
            id=task.id,
            status=task.status,
            images=tuple(Image(url=url) for url in links if url),
            error=self.error_detail(body),
        )

    def lost(self, response: HttpResponse) -> str | None:
        """By status."""
        return "no such task of this user" if response.status == 404 else None

    def failure_of_task(
        self, response: HttpResponse, task: Task | None, *, op: Op, job: Job | None
    ) -> ProviderError | None:
        """A task that ended without a picture, or an error without a task."""
        if task is None:
            return None  # the method that reads it raises MalformedResponse
        if task.status or task.error is None:
            return self.ended(response, task, job)
        return self.error(
            self.class_of_end(task.error.code),
            task.error,
            response,
            charge=Charge.MAYBE,
            raw=response.json(),
            job=job,
            final=task.status is not None,
        )

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """``{"error": {code, message, request_id}}``; one client also knows bare texts."""
        said = (body.get("error") or body.get("detail")) if isinstance(body, dict) else None
        error = {"message": said} if isinstance(said, str) else said
        if not error or not isinstance(error, dict):
            return None
        code, request_id = error.get("code"), error.get("request_id")
        return ErrorDetail(
            code=None if code is None else str(code),
            message=str(error.get("message") or error.get("detail") or "no explanation"),
            request_id=request_id if isinstance(request_id, str) else None,
            task_id=body.get("id"),
        )

    def balance(self) -> Exchange[Money]:
        """Whole credits of 0.001 USD each (balance)."""
        response = yield self.get("/balance")
        return self.credits(self.read(response, Op.BALANCE, _Balance).balance)

    def find(self, receipt: Receipt) -> Exchange[Found]:
        """The balance, as a hint: tasks are not listed, so no look-up can settle it."""
        left = yield from self.balance()
        price = f" ({receipt.at_risk})" if receipt.at_risk else ""
        detail = (
            f"reAPI lists no tasks; the balance is now {left}. Compare it with that of before: the"
            f" price of this request{price} missing, and nothing else bought, means it was accepted"
        )
        return StillUnknown(detail=detail)
