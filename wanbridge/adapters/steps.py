"""Values that replies are read into: deliveries, pending jobs, missing tasks, look-up results."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, TypeVar

from attrs import field, frozen

from wanbridge.errors import (
    Charge,
)
from wanbridge.model.jobs import Job
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.result import Failure, Image
from wanbridge.wire import HttpRequest, HttpResponse

T = TypeVar("T")


class Resend(Enum):
    """Whether one submit may be sent twice with the same key."""

    SAME_KEY_IS_SAFE = "same key is safe"
    NEVER = "never"


class Op(StrEnum):
    """What a message is for: the same reply can mean different things."""

    SUBMIT = "submit"
    RESEND = "resend"  # the same submit with the same key, after an unknown outcome
    POLL = "poll"
    CANCEL = "cancel"
    FIND = "find"
    PREPARE = "prepare"
    BALANCE = "balance"
    MODELS = "models"
    ESTIMATE = "estimate"
    REFRESH = "refresh"


@frozen(kw_only=True)
class Delivery:
    """The pictures and facts of a finished generation, as the reply has them.

    Attributes:
        images: At least one.
        failures: Images of the same call that did not come.
        cost: As the reply says; None if it does not.
        billed: Images the reply says are billed; None if it does not.
    """

    images: tuple[Image, ...]
    failures: tuple[Failure, ...] = ()
    cost: Money | None = None
    billed: int | None = None
    request_id: str | None = None
    notes: tuple[Note, ...] = ()
    raw: Any = field(default=None, repr=False)


@frozen
class Done:
    """The generation has ended with at least one picture."""

    delivery: Delivery


@frozen
class Pending:
    """The generation goes on.

    Attributes:
        job: To poll next; its state may differ from that of the polled job.
        retry_after: Seconds the provider asks to wait; None if it does not say.
        progress: 0.0 to 1.0, None if unknown.
    """

    job: Job
    retry_after: float | None = None
    progress: float | None = None


@frozen
class Missing:
    """The provider knows no such task, yet or any more."""

    message: str = "no such task"


Step = Done | Pending | Missing


@frozen(kw_only=True)
class NotAccepted:
    """A look-up shows that a submit never became a task: nothing was bought."""

    detail: str


@frozen(kw_only=True)
class StillUnknown:
    """A look-up could not settle whether a submit was accepted.

    Attributes:
        candidates: Ids of tasks that could be it; ``client.adopt`` takes one, by the caller's
            decision.
        detail: What was looked at and what remains.
        again_at: From when on another look-up may settle it, aware; None if none will.
    """

    candidates: tuple[str, ...] = ()
    detail: str
    again_at: datetime | None = None


Found = Job | NotAccepted | StillUnknown


@frozen
class Cancelled:
    """The provider has cancelled the job."""

    charge: Charge


@frozen
class TooLate:
    """The job could not be cancelled any more; it goes on."""

    detail: str


@frozen(kw_only=True)
class CallbackEvent:
    """One event of a callback: a hint, which a poll confirms.

    Attributes:
        task_id: The provider's id of the task.
        item: Id of the one picture it is about; None if it is about the whole task. With the
            task's id it identifies a repeated callback.
        verified: Whether the sender was proven; False where the provider signs nothing.
        ended: Whether it says that the task has ended; None if it does not say.
        raw: The event as parsed JSON.
    """

    task_id: str
    item: str | None = None
    verified: bool = False
    ended: bool | None = None
    raw: Any = field(default=None, repr=False)


@frozen(kw_only=True)
class ModelInfo:
    """One model as a provider lists it.

    Attributes:
        id: The provider's name for it.
        schema: Its input schema, where the provider publishes one.
    """

    id: str
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    raw: Any = field(default=None, repr=False)


# Conversations of several messages: yield a request, be sent the reply.
Exchange = Generator[HttpRequest, HttpResponse, T]
