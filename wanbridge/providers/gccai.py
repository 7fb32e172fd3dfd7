"""GCCAI: a reseller whose replies wear two envelopes, and which bills what was really made.

``POST /images/generations`` holds the price of all ``n`` pictures and answers with a task whose
id is ``data[0].task_id``; ``GET /tasks/{id}`` gives its state in ``data`` and bills what came.
Success is called ``"success"`` on one page and ``200`` on another, and a 200 can be a failure. A
person's domain before a resold service: a key of its own, for this host alone.

GCCAI's Wan page has no page of its own on tasks, errors or models that could be read. Their shapes
are those of APIMart, whose page, tables and prices are word for word the same.

Long for an adapter: two envelopes, three shapes of a submit, two of an error, and two balances.

Pages, all read 2026-11-20, in comments by the word before the colon:

- model: https://gccai.heqingsong.uk/en/api-reference/images/wan2.7-image/generation
- sibling: https://gccai.heqingsong.uk/en/api-reference/images/imagen-4.0-gccai/generation
- balance: https://gccai.heqingsong.uk/en/api-reference/account/token-balance and /user-balance
- twin: https://docs.apimart.ai/en/api-reference/tasks/status, and APIMart's own client code
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from attrs import evolve, frozen

from wanbridge.adapters.families.flat_tasks import FIELDS, FlatTasks, Task
from wanbridge.adapters.offers import Limits, Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail, is_task_id
from wanbridge.adapters.steps import Exchange, ModelInfo, Op
from wanbridge.adapters.wan_limits import PICTURES, UP_TO_2K, UP_TO_4K
from wanbridge.errors import Charge, Problem, ProviderError, RequestRejected
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.model.size_rules import SizeLimits
from wanbridge.model.structuring import ShapeError, lenient, named, structure
from wanbridge.wire import HttpResponse

_SOURCE = (
    "https://gccai.heqingsong.uk/en/api-reference/images/wan2.7-image/generation, read 2026-11-20"
)
# The maker's bounds, stated here too. 4K is for pro, text-to-image, outside sets (model).
_UP_TO_2K, _UP_TO_4K = evolve(UP_TO_2K, source=_SOURCE), evolve(UP_TO_4K, source=_SOURCE)
# "image_urls", likewise (model).
_FORMATS = frozenset({"image/jpeg", "image/png", "image/webp", "image/bmp"})
_PICTURES = evolve(PICTURES, formats=_FORMATS, source=_SOURCE)


def _offer(model: str, text: SizeLimits) -> Offer:
    limits = Limits(
        text=text,
        edit=_UP_TO_2K,
        set=_UP_TO_2K,
        source=_SOURCE,
        image_schemes=frozenset({"https", "http", "data"}),
        data_bytes=20_000_000,  # each, however it comes (model)
        # Ours: how long a body may be is not documented, and the twin wants none of this inline.
        data_total=20_000_000,
        pictures=_PICTURES,
    )
    return Offer(
        model=model,
        alias=model,
        fields=FIELDS,
        limits=limits,
        failure_charge=Charge.NO,  # "failed requests are not charged" (model)
    )


_OFFERS = (_offer("wan2.7-image", _UP_TO_2K), _offer("wan2.7-image-pro", _UP_TO_4K))

# 24 h on the sibling pages, 72 h in the twin's newest text.
_LINK_LIFE = timedelta(hours=24)
# What the twin takes as Idempotency-Key.
_KEY = re.compile(r"[!-~]{1,191}")


@frozen
class _Picture:
    url: list[str] | str | None = None  # a list now, one text in an older edition (twin)
    expires_at: int | None = lenient()


@frozen
class _Result:
    images: list[_Picture] | None = None


@frozen
class _Task:
    """``data`` of any reply; on status the id is ``id``, on submit ``task_id`` (sibling, twin)."""

    task_id: str | None = None
    id: str | None = None
    status: str | None = None
    result: _Result | None = None
    progress: float | None = lenient()
    completed: int | None = lenient()
    error: Any = None
    message: str | None = lenient()

    @property
    def name(self) -> str:
        return self.task_id or self.id or ""

    @property
    def links(self) -> list[tuple[str, _Picture]]:
        # n objects with one link or one object with n links: not stated, so flattened.
        return [
            (url, picture)
            for picture in (self.result and self.result.images) or ()
            for url in ([picture.url] if isinstance(picture.url, str) else picture.url or ())
            if url
        ]


@frozen
class _Reply:
    data: _Task


@frozen
class _Balance:
    """Names by the twin's client; GCCAI's own pages only describe them."""

    remain: Decimal | None = named("remain_balance", None)
    credits: Decimal | None = named("remain_credits", None)
    unlimited: bool | None = lenient(key="unlimited_quota")


@frozen
class _Model:
    id: str


@frozen
class _Models:
    data: list[_Model]


@frozen(kw_only=True)
class Gccai(FlatTasks):
    """GCCAI's task API."""

    name = "gccai"
    default_url = "https://gccai.heqingsong.uk/v1"
    submit_path = "/images/generations"
    task_path = "/tasks/{id}?language=en"  # free; the language is that of messages (model)
    status_path = "$.data.status"
    offers = _OFFERS
    # Every 2 s (twin), every 3 s (its clients).
    poll_interval = PollInterval(first=2.0, most=5.0)
    # "size" takes these words, without images. Exactly one tier is sent, in "resolution" beside a
    # ratio or else in "size" itself (model).
    ratios = frozenset({"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"})
    lone_tier = "size"
    link_life = _LINK_LIFE
    # "failed" and "cancelled" are the twin's; the others are read as them.
    failed = frozenset({"failed", "error"})
    cancelled = frozenset({"cancelled", "canceled"})
    # "Failed requests are not charged" (model), as far as the service itself has judged them. Not
    # the 5xx: these may be from in front of a service that works on.
    not_accepted = frozenset({400, 401, 402, 403, 404, 413, 429})
    # The code mirrors a status (twin); only this one would be the same elsewhere.
    end_codes: ClassVar = {"400": RequestRejected}

    def submit_headers(self, key: str) -> dict[str, str]:
        """The twin honours the key; nothing here relies on it."""
        return {**self.bearer(), "Idempotency-Key": _idempotency_key(key)}

    def body(self, request: ImageRequest, offer: Offer) -> dict[str, Any]:
        """Whether a set is meant is always said: what it is by default is not stated."""
        return {**super().body(request, offer), "enable_sequential": request.sequential}

    def task_id(self, response: HttpResponse) -> str:
        """The ``task_id`` of the first task in ``data``."""
        name: str = self.task(response).id or ""
        if not is_task_id(name):
            raise self.malformed(response, "$.data: no task_id", raw=response.json())
        return name

    def read_task(
        self, body: Any, at: datetime | None, spoiled: list[Problem] | None = None
    ) -> Task:
        """In ``data``. Of what it cost the currency is nowhere stated, so that is not read."""
        task = structure(_with_task_object(body), _Reply, spoiled=spoiled).data
        ended = _time_of(task.completed) or at
        later = ended + _LINK_LIFE if ended else None
        return Task(
            id=task.name or None,
            status=task.status,
            images=tuple(
                Image(url=url, expires_at=_time_of(picture.expires_at) or later)
                for url, picture in task.links
            ),
            progress=None if task.progress is None else min(max(task.progress / 100, 0.0), 1.0),
            error=_error_detail(task.error, task.message),
        )

    def lost(self, response: HttpResponse) -> str | None:
        """By status or code."""
        detail = _error_in(self.parse(response))
        if response.status == 404 or (detail and _status_of(detail) == 404):
            return detail.message if detail else "no such task"
        return None

    def is_unknown_task(self, response: HttpResponse) -> bool:
        """A 404 in one of the envelopes; a bare message may be that of an edge."""
        try:
            return response.status == 404 and _error_in(response.json()) is not None
        except ValueError:
            return False

    def failure_of_task(
        self, response: HttpResponse, task: Task | None, *, op: Op, job: Job | None
    ) -> ProviderError | None:
        """An error or a code that is not good; else, of a poll, a task without a picture."""
        body, task = response.json(), task or Task()
        if (detail := _error_in(body)) is None:
            return self.ended(response, task, job) if op is Op.POLL else None
        number = _status_of(detail)
        if op is Op.POLL and number == 404:
            return None
        charge = self._submit_charge(op, number in self.not_accepted and task.id is None)
        cls = self.classify(number, detail.code)
        return self.error(cls, detail, response, charge=charge, raw=body, job=job)

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """Of a refused call: the body itself speaks where nothing in it does (twin)."""
        if isinstance(body, dict) and body.get("message"):
            return _error_in(body) or _error_detail(body, None, body)
        return _error_in(body)

    def balance(self) -> Exchange[Money]:
        """Of the key, or of the account where the key has no limit of its own.

        In a unit that the operator has chosen: dollars, yuan or tokens (balance).
        """
        for path in ("/balance", "/user/balance"):
            response = yield self.get(path)
            said = self.read(response, Op.BALANCE, _Balance)
            left = said.credits if said.remain is None else said.remain
            # -1 where it is not limited (balance).
            if said.unlimited or left == -1:
                continue
            if left is None:
                raise self.malformed(response, "$.remain_balance: missing", raw=response.json())
            return self.credits(left)
        raise self.unsupported("balance", "neither this key nor its account is limited")

    def models(self) -> Exchange[tuple[ModelInfo, ...]]:
        """Ids only (twin)."""
        response = yield self.get("/models")
        listed = self.read(response, Op.MODELS, _Models).data
        raw = response.json()["data"]
        return tuple(ModelInfo(id=m.id, raw=r) for m, r in zip(listed, raw, strict=True))


def _error_in(body: Any) -> ErrorDetail | None:
    """A root ``error``, ``success: false`` or a code that is not good, in this order (twin)."""
    if not isinstance(body, dict):
        return None
    if error := body.get("error"):
        return _error_detail(error, body.get("message"), body)
    good = body.get("code") in (None, 200, "200", "success")
    if body.get("success") is False or not good:
        return _error_detail({**body, "code": None if good else body["code"]}, None, body)
    return None


def _error_detail(error: Any, otherwise: Any, body: Any = None) -> ErrorDetail:
    """An error object or a bare text; its ``code`` is a number, text or absent (twin)."""
    said = error if isinstance(error, dict) else {"message": error}
    code = said.get("type") if said.get("code") is None else said["code"]
    message, parameter = (
        str(said.get("message") or otherwise or "no explanation"),
        said.get("param"),
    )
    named = isinstance(parameter, str) and parameter not in message
    request_id = body.get("request_id") if isinstance(body, dict) else None
    return ErrorDetail(
        code=None if code is None else str(code),
        message=f"{parameter}: {message}" if named else message,
        request_id=request_id if isinstance(request_id, str) else None,
        task_id=_task_id_in(body),
    )


def _status_of(detail: ErrorDetail) -> int | None:
    """Its code as the status that it mirrors (twin)."""
    code = detail.code or ""
    return int(code) if len(code) == 3 and code.isascii() and code.isdecimal() else None


def _with_task_object(body: Any) -> Any:
    """*body* with its task as an object, which is in a list on submit (sibling, twin).

    Only a completed one has a result; what stands there in another state is let pass.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return body
    if data.get("status") != "completed" and not isinstance(data.get("result"), dict):
        data = {**data, "result": None}
    return {**body, "data": data}


def _task_id_in(body: Any) -> str | None:
    """The id of the task that a reply speaks of; None where there is none that can be read."""
    try:
        return structure(_with_task_object(body), _Reply).data.name or None
    except ShapeError:
        return None


def _time_of(seconds: int | None) -> datetime | None:
    """Unix seconds as a time; None for what cannot be one of this century."""
    sane = seconds is not None and 10**9 <= seconds < 4 * 10**9
    return datetime.fromtimestamp(seconds, UTC) if sane and seconds else None


def _idempotency_key(key: str) -> str:
    return key if _KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
