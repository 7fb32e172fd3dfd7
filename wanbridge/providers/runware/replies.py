"""What Runware's replies look like: per picture one element of ``data`` or one of ``errors``.

Sources as in `adapter`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from attrs import evolve, frozen

from wanbridge.adapters.replies import ABOUT_THE_CALL, ErrorDetail, ReplyReader
from wanbridge.errors import Problem
from wanbridge.model.result import Image
from wanbridge.model.structuring import ShapeError, lenient, named, structure
from wanbridge.providers.runware.codes import UNKNOWN_TASK, class_of_code
from wanbridge.wire import HttpResponse


@frozen
class _Fault:
    code: str | None = lenient()
    message: str | None = lenient()
    task: str | None = lenient(key="taskUUID")
    status: str | None = lenient()
    parameter: Any = None  # text, or a list of it for rules across fields
    cost: Decimal | None = lenient()

    @property
    def detail(self) -> ErrorDetail:
        """Code and message, which names the parameter to blame."""
        names = self.parameter if isinstance(self.parameter, list) else [self.parameter]
        where = ", ".join(name for name in names if isinstance(name, str))
        said = self.message or "no explanation"
        return ErrorDetail(code=self.code, message=said if where in said else f"{where}: {said}")


@frozen
class _Element:
    task: str = named("taskUUID")
    # An older edition of the polling page says pending; the legacy client knows the last three.
    status: (
        Literal["processing", "success", "error", "pending", "queued", "scheduled", "waiting"]
        | None
    ) = None
    uuid: str | None = lenient(key="imageUUID")
    url: str | None = named("imageURL", None)
    base64: str | None = named("imageBase64Data", None)
    data_uri: str | None = named("imageDataURI", None)
    error: _Fault | None = lenient()
    seed: int | None = lenient()  # unsigned 32 bits and more, unlike that of a request
    cost: Decimal | None = lenient()
    progress: float | None = lenient()
    nsfw: bool | None = lenient(key="NSFWContent")

    @property
    def phase(self) -> str:
        """``success``, ``error`` or ``processing``; so is a bare acknowledgement."""
        if self.status is None:
            output = self.url or self.base64 or self.data_uri
            return "success" if output else "error" if self.error else "processing"
        return self.status if self.status in ("success", "error") else "processing"

    def image(self) -> Image | None:
        """The picture, whichever way it came; None if it did not."""
        packed = self.base64 or (self.data_uri or "").partition(",")[2]
        try:
            data = b64decode(packed, validate=True)
        except ValueError:
            data = b""
        if not (self.url or data):
            return None
        seed = self.seed if self.seed is not None and 0 <= self.seed < 2**64 else None
        return Image(url=self.url or None, data=data or None, seed=seed)


@frozen
class _Envelope:
    data: list[_Element] | None
    errors: list[_Fault]


@frozen(kw_only=True)
class State:
    """What one reply says of one task.

    Attributes:
        acknowledged: The task is in ``data``, or ``data`` is an empty array.
        running: Elements that go on; a bare acknowledgement is one.
        pictures: Finished ones, each once.
        faults: Everything that went wrong, with the call too.
        failures: Those of them that are pictures which will not come.
    """

    body: Any
    acknowledged: bool
    running: list[_Element]
    pictures: list[tuple[_Element, Image]]
    faults: list[_Fault]
    failures: list[_Fault]

    @property
    def known(self) -> bool:
        return bool(self.running or self.pictures or self.failures)

    @property
    def settled(self) -> dict[str, int]:
        """What has ended, once nothing goes on; else empty."""
        if self.running or not self.known:
            return {}
        return {"pictures": len(self.pictures), "failures": len(self.failures)}

    def complete(self, asked: int, before: Mapping[str, Any]) -> bool:
        """As many as asked (sdk); or fewer, nothing goes on and two polls say the same."""
        ended = len(self.pictures) + len(self.failures)
        return ended >= asked or (self.settled != {} and self.settled == dict(before))

    @property
    def progress(self) -> float | None:
        parts = [element.progress for element in self.running if element.progress is not None]
        return min(max(min(parts) / 100, 0.0), 1.0) if parts else None


def read_state(
    reader: ReplyReader,
    response: HttpResponse,
    task: str | None,
    spoiled: list[Problem] | None = None,
) -> State:
    """What *response* says of *task*; None is the only one that was sent."""
    body = reader.parse(response)
    try:
        envelope = structure(_envelope(body), _Envelope, spoiled=spoiled)
    except ShapeError as exc:
        raise reader.malformed(response, str(exc), raw=body) from None
    data = envelope.data or []
    task = task or next((element.task for element in data), None)
    mine = [element for element in data if element.task == task]
    pictures: dict[str, tuple[_Element, Image]] = {}
    faults: list[_Fault] = []
    for element in mine:
        image = element.image() if element.phase == "success" else None
        if image is not None:
            pictures[element.uuid or str(len(pictures))] = (element, image)
        elif element.phase != "processing":
            fault = element.error or _Fault(message="ended without a picture")
            faults.append(evolve(fault, status="error", cost=element.cost))
    # A failure may stand in either place; one that stands in both is counted once.
    known = {(fault.code, fault.message) for fault in faults}
    faults += [
        fault
        for fault in envelope.errors
        if (task is None or fault.task in (None, task)) and (fault.code, fault.message) not in known
    ]
    return State(
        body=body,
        acknowledged=bool(mine) or envelope.data == [],
        running=[element for element in mine if element.phase == "processing"],
        pictures=list(pictures.values()),
        faults=faults,
        failures=[fault for fault in faults if _ends_picture(fault, response)],
    )


def _ends_picture(fault: _Fault, response: HttpResponse) -> bool:
    """Whether an error ends a picture, rather than being about the call."""
    code = fault.code or ""
    if UNKNOWN_TASK.match(code) or not is_about_task(response):
        return False
    if fault.status == "error":  # as the polling page has it
        return True
    upstream = code.startswith("provider") or class_of_code(code) not in ABOUT_THE_CALL
    return response.status < 300 and bool(code) and upstream


def is_about_task(response: HttpResponse) -> bool:
    """Whether a poll was answered; 401, 402, 429 and 5xx say nothing of the task."""
    return response.status < 300 or response.status in (400, 404)


def _envelope(body: Any) -> Any:
    """A body in the documented shape; official clients tolerate others, hence so do we.

    These are a bare array of errors, and a single ``error``, object or text, with the task's
    UUID beside it.
    """
    if isinstance(body, list):
        body = {"errors": body}
    if not isinstance(body, dict):
        return body
    errors = body.get("errors") or body.get("error") or []
    return {
        "data": body.get("data"),
        "errors": [
            {"taskUUID": body.get("taskUUID"), **error}
            if isinstance(error, dict)
            else {"message": error}
            for error in (errors if isinstance(errors, list) else [errors])
        ],
    }
