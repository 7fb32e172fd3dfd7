"""One provider's books: its tasks, their pictures, the customer's balance."""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import define, evolve, frozen

from wanbridge.sandbox.faults import Faults
from wanbridge.sandbox.ledger import Charge, Ledger
from wanbridge.sandbox.picture import ENDINGS, Picture


@frozen(kw_only=True)
class File:
    """A picture under its name in result URLs."""

    name: str
    picture: Picture


class Outcome(StrEnum):
    """How a task ends; decided when it is accepted, visible when it is done."""

    SUCCEEDED = "succeeded"
    EMPTY = "empty"
    REFUSED = "refused"
    FAILED = "failed"


@define(kw_only=True)
class Task:
    """One accepted generation.

    Attributes:
        key: The client's own name for it; None if it sent none.
        asked: Images asked for; ``files`` holds those that will be delivered.
        created_at: Seconds of the sandbox's clock, as are ``ready_at`` and ``links_until``.
        links_until: When its result URLs die; None is never.
        lost: Polls do not know it.
        dead_links: Its result URLs answer 403 from the start.
        early: It was done at once, and its callbacks go out before the reply to the submit.
        held: Money set aside for it, not yet charged.
        detail: Whatever the dialect wants to keep with it.
    """

    provider: str
    id: str
    key: str | None
    model: str
    asked: int
    files: tuple[File, ...]
    outcome: Outcome
    created_at: float
    ready_at: float
    links_until: float | None = None
    lost: bool = False
    dead_links: bool = False
    early: bool = False
    held: Decimal = Decimal(0)
    charge: Charge | None = None
    detail: Any = None

    def to_json(self, now: float) -> dict[str, Any]:
        """A JSON object for the ledger's readers; ``state`` is as of *now*."""
        return {
            "provider": self.provider,
            "id": self.id,
            "key": self.key,
            "model": self.model,
            "state": self.outcome if now >= self.ready_at else "running",
            "asked": self.asked,
            "delivered": len(self.files),
            "created_at": self.created_at,
            "ready_at": self.ready_at,
            "lost": self.lost,
            "charged": None if self.charge is None else self.charge.to_json(),
        }


class Account:
    """The one customer's account at one provider. Dialects keep no state elsewhere."""

    def __init__(
        self,
        provider: str,
        *,
        key: str,
        currency: str,
        balance: Decimal,
        latency: float,
        clock: Callable[[], float],
        rng: random.Random,
        faults: Faults,
        ledger: Ledger,
        origin: str,
    ) -> None:
        self.provider = provider
        self.key = key
        self.currency = currency
        self.balance = balance
        self.latency = latency
        self.origin = origin
        self.random = rng
        self.tasks: dict[str, Task] = {}
        # Ids in the order of acceptance: a dictionary cannot be read from its end.
        self.accepted: list[str] = []
        self._clock = clock
        self._faults = faults
        self._ledger = ledger
        self._files: dict[str, tuple[Task, File]] = {}
        # The number keeps tasks that end at the same moment in order; tasks do not compare.
        self._unsettled: list[tuple[float, int, Task]] = []
        self._count = itertools.count()

    def now(self) -> float:
        """Seconds of the sandbox's clock."""
        return self._clock()

    @property
    def webhook_key(self) -> str:
        """What callbacks are signed with, where the provider signs them."""
        return f"sandbox-{self.provider}-webhook-key"

    def uuid(self) -> str:
        """A fresh version 4 UUID, from the sandbox's seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def hex(self, digits: int) -> str:
        """Fresh hexadecimal digits, from the sandbox's seed."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def accept(
        self,
        *,
        task_id: str,
        model: str,
        pictures: Sequence[Picture],
        names: Sequence[str] | None = None,
        key: str | None = None,
        latency: float | None = None,
        link_seconds: float | None = None,
        outcome: Outcome = Outcome.SUCCEEDED,
        detail: Any = None,
    ) -> Task:
        """Take on a task. Faults that mark tasks have their say here.

        Args:
            pictures: All that were asked for; the task's ``files`` are those that will come.
            names: File names in result URLs, one per picture, without ending; None makes some.
            latency: Seconds the work takes; None is the sandbox's setting.
            link_seconds: Life of the result URLs after the work is done; None is for ever.
            outcome: How it would end without faults; those can only make it worse.
        """
        now = self.now()
        marks = self._faults.for_task(self.provider)
        early = "early_callback" in marks
        ready_at = now if early else now + (self.latency if latency is None else latency)
        outcome = _outcome(marks) if outcome is Outcome.SUCCEEDED else outcome
        names = names or [f"{self.hex(24)}-{n}" for n in range(len(pictures))]
        files = [File(name=n, picture=p) for n, p in zip(names, pictures, strict=True)]
        if outcome is not Outcome.SUCCEEDED:
            files = []
        elif "fewer_images" in marks:
            files = files[:-1]
        task = Task(
            provider=self.provider,
            id=task_id,
            key=key,
            model=model,
            asked=len(pictures),
            files=tuple(files),
            outcome=outcome,
            created_at=now,
            ready_at=ready_at,
            links_until=None if link_seconds is None else ready_at + link_seconds,
            lost="lost_task" in marks,
            dead_links="dead_link" in marks,
            early=early,
            detail=detail,
        )
        self.tasks[task_id] = task
        self.accepted.append(task_id)
        self._files |= {file.name: (task, file) for file in files}
        heapq.heappush(self._unsettled, (ready_at, next(self._count), task))
        return task

    def done(self, task: Task) -> bool:
        """Whether its work is over by now."""
        return self.now() >= task.ready_at

    def progress(self, task: Task) -> float:
        """How far the work is, 0.0 to 1.0."""
        whole = task.ready_at - task.created_at
        return min(1.0, (self.now() - task.created_at) / whole) if whole > 0 else 1.0

    def due(self) -> list[Task]:
        """Tasks that have ended since the last call; each is given once."""
        ended = []
        now = self.now()
        while self._unsettled and self._unsettled[0][0] <= now:
            ended.append(heapq.heappop(self._unsettled)[2])
        return ended

    def can_pay(self, amount: Decimal) -> bool:
        """Whether the balance covers *amount*."""
        return self.balance >= amount

    def hold(self, task: Task, amount: Decimal) -> None:
        """Set *amount* aside for *task* until ``release``; no charge yet."""
        self.balance -= amount
        task.held += amount

    def release(self, task: Task) -> None:
        """Give back what is set aside for *task*; a second time does nothing."""
        self.balance += task.held
        task.held = Decimal(0)

    def charge(self, task: Task, amount: Decimal, *, images: int) -> Charge:
        """Take *amount* for *task* and write it down."""
        self.balance -= amount
        task.charge = Charge(
            provider=self.provider,
            task=task.id,
            amount=amount,
            currency=self.currency,
            images=images,
            at=self.now(),
        )
        self._ledger.charges.append(task.charge)
        return task.charge

    def charge_images(self, task: Task, each: Decimal) -> None:
        """Release what was held for *task*, and take *each* for every picture that came."""
        self.release(task)
        if task.files:
            self.charge(task, each * len(task.files), images=len(task.files))

    def refund(self, task: Task) -> None:
        """Give back what *task* cost; a second time does nothing."""
        if task.charge is not None and not task.charge.refunded:
            task.charge.refunded = True
            self.balance += task.charge.amount

    def link(self, file: File, query: str = "") -> str:
        """The URL of a picture at the sandbox's present origin.

        Args:
            query: What the provider appends, e.g. ``?Expires=...``; never checked.
        """
        ending = ENDINGS[file.picture.format]
        return f"{self.origin}/{self.provider}/files/{file.name}.{ending}{query}"

    def fresh_link(self, name: str, seconds: float) -> str | None:
        """Another URL of the picture under *name*, alive for *seconds*; None if there is none.

        Args:
            name: With its ending, as for ``file``.
        """
        found = self.file(name)
        if found is None:
            return None
        task, file = found
        again = evolve(file, name=f"{self.hex(24)}/{file.name}")
        self._files[again.name] = (evolve(task, links_until=self.now() + seconds), again)
        return self.link(again)

    def has_picture(self, name: str) -> bool:
        """Whether a picture of this name was made, for providers that take them as input."""
        return name in self._files

    def file(self, name: str) -> tuple[Task, File] | None:
        """The picture under a name with its ending, and its task; None if there is none."""
        found = self._files.get(name.rpartition(".")[0])
        return found if found and name.endswith(ENDINGS[found[1].picture.format]) else None

    def link_works(self, task: Task) -> bool:
        """Whether the result URLs of *task* can be fetched now."""
        expired = task.links_until is not None and self.now() >= task.links_until
        return not expired and not task.dead_links


def _outcome(marks: set[str]) -> Outcome:
    if "refuse_content" in marks:
        return Outcome.REFUSED
    if "fail_generation" in marks:
        return Outcome.FAILED
    return Outcome.EMPTY if "empty_success" in marks else Outcome.SUCCEEDED
