"""What EmpirioLabs' replies look like: jobs or pictures, lists of jobs, the catalogue, the account.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from attrs import frozen

from wanbridge.model.money import Money
from wanbridge.model.result import Image
from wanbridge.model.structuring import lenient

COMPLETED = ("completed", "succeeded")  # the second in clients only
CANCELLED = ("cancelled", "canceled")  # which of them is not documented


@frozen
class _Picture:
    url: str | None = None
    b64_json: str | None = None

    def image(self, until: datetime | None) -> Image | None:
        """The picture, whichever way it came; None if it did not."""
        try:
            data = b64decode(self.b64_json or "", validate=True)
        except ValueError:
            data = b""
        if self.url:
            return Image(url=self.url, data=data or None, expires_at=until)
        return Image(data=data) if data else None


@frozen
class _Usage:
    billable_units: int | None = lenient()
    billing_unit: str | None = lenient()


@frozen
class _Cost:
    amount: Decimal
    currency: Literal["USD"]


@frozen
class _Result:
    data: list[_Picture] | None = None
    url: str | None = None
    usage: _Usage | None = lenient()


@frozen
class Reply:
    """A job, or the pictures themselves: ``data`` on top instead of under ``result``."""

    job_id: str | None = None
    status: str | None = None
    progress: float | None = lenient()
    data: list[_Picture] | None = None
    result: _Result | None = None
    usage: _Usage | None = lenient()
    # Known from usage events (usage); in a job it would be the same.
    cost: _Cost | None = lenient()

    def images(self, until: datetime | None = None) -> tuple[Image, ...]:
        """``data``, ``result.data``, else a bare ``result.url``; only of what has ended."""
        inner = self.result or _Result()
        found = self.data or inner.data or [_Picture(url=inner.url)]
        ended = self.status in (None, "failed", *COMPLETED, *CANCELLED)
        made = [picture.image(until) for picture in found if ended]
        return tuple(image for image in made if image is not None)

    @property
    def billed(self) -> int | None:
        """Images to pay for (clients); None if it does not say, and 0 says nothing."""
        usage = self.usage or (self.result and self.result.usage)
        return (usage.billable_units or None) if usage and usage.billing_unit == "image" else None

    @property
    def price(self) -> Money | None:
        cost = self.cost
        return Money(cost.amount, cost.currency) if cost and cost.amount > 0 else None


@frozen
class _Listed:
    job_id: str
    created_at: datetime | None = lenient()


@frozen
class Listing:
    data: list[_Listed] | None = None
    jobs: list[_Listed] | None = None


@frozen
class _Model:
    id: str
    supported_parameters: list[dict[str, Any]] | None = lenient()


@frozen
class Catalogue:
    data: list[_Model]


@frozen
class Account:
    balance: _Cost
