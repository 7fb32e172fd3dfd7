"""What Crun's replies look like: one envelope with a code, and the task, balance or place in it.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, TypeVar

from attrs import frozen

from wanbridge.adapters.replies import ReplyReader
from wanbridge.errors import Problem
from wanbridge.model.structuring import ShapeError, lenient, structure
from wanbridge.wire import HttpResponse

T = TypeVar("T")

# Opaque: declared with 36 characters, shown with other lengths (task).
ID = re.compile(r"[!-~]{1,256}")
_CREDITS_MOST = 10**9


@frozen
class Result:
    media_urls: list[str] | None = None
    code: int | None = lenient()
    message: str | None = lenient()


@frozen
class Task:
    task_id: str | None = None
    status: str | None = None
    credits: Decimal | None = lenient()
    result: Result | None = None

    @property
    def links(self) -> list[str]:
        return [url for url in (self.result and self.result.media_urls) or () if url]

    @property
    def spent(self) -> Decimal | None:
        """Credits, actual ones once the task has ended (task); None if unknown."""
        known = self.credits is not None and 0 <= self.credits <= _CREDITS_MOST
        return self.credits if known else None


@frozen
class Envelope:
    code: int | None = lenient()
    message: str | None = lenient()
    errors: list[str] = lenient(())
    data: Any = None


@frozen
class Balance:
    balance: Decimal


@frozen
class Estimate:
    credits: Decimal | None = None
    estimated_credits: Decimal | None = None


@frozen
class Model:
    input_schema: dict[str, Any] | None = lenient()


def read_data(
    reader: ReplyReader,
    response: HttpResponse,
    shape: type[T],
    spoiled: list[Problem] | None = None,
) -> T:
    """What the envelope holds, as *shape*."""
    body, found = reader.parse(response), list[Problem]()
    try:
        made = structure(body.get("data") if isinstance(body, dict) else body, shape, spoiled=found)
    except ShapeError as exc:
        message = "; ".join(str(p.under("$.data")) for p in exc.problems)
        raise reader.malformed(response, message, raw=body) from None
    if spoiled is not None:
        spoiled += [p.under("$.data") for p in found]
    return made


def code_of(response: HttpResponse) -> int:
    """The code of the body if it is an integer other than 200, else the HTTP status.

    Both places occur, and only 2xx with 200 is success (skills); so another 2xx is none.
    """
    try:
        code = structure(response.json(), Envelope).code
    except ValueError:
        return response.status
    if code is not None and code >= 300:
        return code
    return 500 if code not in (None, 200) and response.status < 300 else response.status
