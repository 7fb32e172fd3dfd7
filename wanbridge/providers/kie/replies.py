"""What KIE's replies look like: a code over everything, and links in a text that holds JSON.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen

from wanbridge.errors import Charge, Problem
from wanbridge.model.structuring import ShapeError, lenient, named, structure
from wanbridge.wire import parse_json

# "success" and "fail" (detail); the others are read as them, as clients do.
SUCCESS, FAIL = ("success", "completed"), ("fail", "failed")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class _Created:
    task: str = named("taskId")


@frozen
class Accepted:
    data: _Created


@frozen
class _Result:
    urls: list[str] | None = named("resultUrls", None)


@frozen
class Record:
    state: str
    result: _Result | None = named("resultJson", None)
    response: _Result | None = lenient()  # clients have met the links here
    fail_code: str | int | None = lenient(key="failCode")
    fail_message: str | None = lenient(key="failMsg")
    consumed: Decimal | None = lenient(key="creditsConsumed")  # recordInfo, by clients
    consumed_too: Decimal | None = lenient(key="consumeCredits")  # callbacks
    completed: int | None = lenient(key="completeTime")  # milliseconds

    @property
    def links(self) -> list[str]:
        found = (r.urls for r in (self.result, self.response) if r and r.urls)
        return [url for url in next(found, []) if url]

    @property
    def credits(self) -> Decimal | None:
        said = self.consumed_too if self.consumed is None else self.consumed
        return said if said is not None and 0 <= said < 10**9 else None

    @property
    def ended(self) -> datetime | None:
        """When it completed, if that is a time of this century."""
        sane = self.completed is not None and 10**12 <= self.completed < 4 * 10**12
        return EPOCH + timedelta(milliseconds=self.completed or 0) if sane else None

    @property
    def charge(self) -> Charge:
        if self.credits is None:
            return Charge.MAYBE
        return Charge.YES if self.credits else Charge.NO


@frozen
class _Status:
    data: Record


@frozen
class Credit:
    data: Decimal


@frozen
class Link:
    data: str


def code_of(body: Any, status: int) -> int:
    """The body's code if it is a number other than 200, else the HTTP status."""
    code = body.get("code") if isinstance(body, dict) else None
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 7:
        code = int(code)
    return code if type(code) is int and code != 200 else status


def _with_result_object(body: Any) -> Any:
    """*body* with ``resultJson`` as the object that its text holds.

    Only a success has one; what stands there in another state is not looked at too closely.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        return body
    result = data.get("resultJson")
    if isinstance(result, str):
        with suppress(ValueError):  # the shape says what is wrong with it
            result = parse_json(result) if result.strip() else None
    if data.get("state") not in SUCCESS and not isinstance(result, dict):
        result = None
    return {**body, "data": {**data, "resultJson": result}}


def read_record(body: Any, spoiled: list[Problem] | None = None) -> Record:
    """The task's record; raises ShapeError where there is none that can be read."""
    return structure(_with_result_object(body), _Status, spoiled=spoiled).data


def record_or_none(body: Any) -> Record | None:
    """The task's record, None where there is none that can be read."""
    try:
        return read_record(body)
    except ShapeError:
        return None
