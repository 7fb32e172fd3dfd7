"""What came in and what it cost: the truth a test holds a client against."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import define, field, frozen


@frozen(kw_only=True)
class Post:
    """One POST that reached a submit endpoint.

    Attributes:
        key: The client's own name for it (task UUID, idempotency key); None if it sent none.
        tasks: Ids of the tasks that were accepted with it.
        digest: SHA-256 of the body, hexadecimal.
        status: HTTP status of the answer; None if there was no answer.
        at: Seconds of the sandbox's clock.
    """

    provider: str
    key: str | None
    tasks: tuple[str, ...]
    digest: str
    status: int | None
    at: float

    @property
    def accepted(self) -> bool:
        """Whether at least one task came of it."""
        return bool(self.tasks)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "provider": self.provider,
            "key": self.key,
            "tasks": list(self.tasks),
            "digest": self.digest,
            "accepted": self.accepted,
            "status": self.status,
            "at": self.at,
        }


@define(kw_only=True)
class Charge:
    """Money taken for one task.

    Attributes:
        amount: In ``currency``, for all ``images``; stays as it was when refunded.
        at: Seconds of the sandbox's clock.
    """

    provider: str
    task: str
    amount: Decimal
    currency: str
    images: int
    at: float
    refunded: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the amount is a string, so that it stays exact."""
        return {
            "provider": self.provider,
            "task": self.task,
            "amount": f"{self.amount:f}",
            "currency": self.currency,
            "images": self.images,
            "refunded": self.refunded,
            "at": self.at,
        }


@define
class Ledger:
    """All posts and charges since the start or the last reset."""

    posts: list[Post] = field(factory=list)
    charges: list[Charge] = field(factory=list)

    def to_json(self, currencies: Mapping[str, str]) -> dict[str, Any]:
        """Posts, charges and totals.

        Args:
            currencies: Each provider's name and what it counts in. ``charged`` is without
                what was refunded.
        """
        return {
            "posts": [post.to_json() for post in self.posts],
            "charges": [charge.to_json() for charge in self.charges],
            "totals": {name: self._total(name, unit) for name, unit in currencies.items()},
        }

    def _total(self, provider: str, currency: str) -> dict[str, Any]:
        posts = [post for post in self.posts if post.provider == provider]
        kept = (c.amount for c in self.charges if c.provider == provider and not c.refunded)
        return {
            "posts": len(posts),
            "accepted": sum(post.accepted for post in posts),
            "charged": f"{sum(kept, Decimal(0)):f}",
            "currency": currency,
        }
