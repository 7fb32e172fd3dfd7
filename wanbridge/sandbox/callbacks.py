"""What a provider tells its customers unasked: callbacks that wait, and what came of them.

Nothing is sent here and no clock is read. A dialect says what it has to tell (``Notice``) and how
it signs; ``announced`` makes callbacks of that, with what faults add or take away; ``Callbacks``
keeps them until they are taken, and queues them again as the provider's ``Retries`` have it.

============================  ==================================================================
fault                         effect, for each notice
============================  ==================================================================
``lost_callback``             it is never sent
``duplicate_callback``        it is sent twice
``forged_callback``           before it comes one of another sender: signed with another
                              key, its pictures at ``https://forged.invalid``
``stale_callback``            before it comes the same, rightly signed an hour ago
``early_callback``            at submit: the work is done at once, and told before the reply
============================  ==================================================================

So a lost and a forged one together leave only the forged. Where a provider does not sign, a stale
one is a duplicate.
"""

from __future__ import annotations

import json
import math
from bisect import insort
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from wanbridge.wire import HttpRequest

if TYPE_CHECKING:
    from wanbridge.sandbox.account import Task
    from wanbridge.sandbox.dialect import Dialect

# Where the pictures of a forged callback are: a name that can never exist (RFC 2606).
FORGED_ORIGIN = "https://forged.invalid"

_FORGED_KEY = "not-the-webhook-key"
_STALE_SECONDS = 3600


@frozen(kw_only=True)
class Retries:
    """When a provider sends a callback again that was not taken.

    Attributes:
        first: Seconds from the first attempt to the second; each wait after that is ``factor``
            times as long, but never longer than ``cap``.
        attempts: In all; 1 is once and never again.
        taken: Statuses that end it.
        timeout: Seconds that the receiver has for its answer.
    """

    first: float = 0.0
    factor: float = 1.0
    cap: float = math.inf
    attempts: int = 1
    taken: range = range(200, 300)
    timeout: float = 15.0

    def wait(self, attempt: int) -> float:
        """Seconds from *attempt*, counted from 1, to the next."""
        return min(self.cap, self.first * self.factor ** (attempt - 1))


@frozen(kw_only=True)
class Notice:
    """What a provider has to tell an address, before it is signed."""

    url: str
    body: bytes

    @classmethod
    def of(cls, url: str, value: Any, write: Callable[[Any], Any] | None = None) -> Notice:
        """*value* as JSON; *write* gives what stands for members that are no JSON."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=write)
        return cls(url=url, body=text.encode())


@frozen(kw_only=True)
class Callback:
    """One request that a provider sends to a customer.

    Attributes:
        request: As it goes out; ``read_timeout`` is how long the provider waits.
        due_at: Seconds of the sandbox's clock.
        attempt: 1 for the first.
        early: It goes out before the reply to the submit.
    """

    provider: str
    task_id: str
    request: HttpRequest
    due_at: float
    attempt: int = 1
    early: bool = False
    retries: Retries = Retries()

    @property
    def url(self) -> str:
        """The address that the customer gave."""
        return self.request.url

    def after(self, status: int | None, now: float) -> Callback | None:
        """The next attempt, the same request again; None if *status* or the number ends it."""
        if status in self.retries.taken or self.attempt >= self.retries.attempts:
            return None
        due_at = now + self.retries.wait(self.attempt)
        return evolve(self, attempt=self.attempt + 1, due_at=due_at, early=False)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "provider": self.provider,
            "task": self.task_id,
            "url": self.url,
            "attempt": self.attempt,
            "due_at": self.due_at,
        }


@frozen(kw_only=True)
class Delivery:
    """One attempt that was made.

    Attributes:
        status: What the receiver answered; None if it gave no answer.
        at: Seconds of the sandbox's clock.
    """

    callback: Callback
    status: int | None
    at: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**self.callback.to_json(), "status": self.status, "at": self.at}


class Callbacks:
    """Those that wait, those that are under way, and a record of those that were sent."""

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self._waiting: list[Callback] = []
        self._under_way: list[Callback] = []

    def add(self, callback: Callback) -> None:
        """Let one wait for its time."""
        # Of two that are due together, the first added goes first.
        insort(self._waiting, callback, key=lambda waiting: waiting.due_at)

    def waiting(self) -> list[Callback]:
        """Those not yet taken, first due first."""
        return list(self._waiting)

    def take(self, now: float, *, early: bool = False) -> list[Callback]:
        """Those that are due; the caller sends them and says what was ``answered``.

        Args:
            early: Only those that go out before the reply to a submit.
        """
        waiting, due = self._waiting, list[Callback]()
        self._waiting = []
        for callback in waiting:
            is_due = callback.due_at <= now and (callback.early or not early)
            (due if is_due else self._waiting).append(callback)
        self._under_way += due
        return due

    def answered(self, callback: Callback, status: int | None, now: float) -> None:
        """Note the answer to one that was taken; the next attempt waits if there is to be one."""
        if callback not in self._under_way:
            # It was taken before a reset.
            return
        self._under_way.remove(callback)
        self.sent.append(Delivery(callback=callback, status=status, at=now))
        if again := callback.after(status, now):
            self.add(again)


@frozen
class _Pen:
    """Writes one dialect's callbacks about one task."""

    dialect: Dialect
    task: Task
    notice: Notice

    def write(self, *, at: float, key: str, body: bytes, retries: Retries) -> Callback:
        headers = self.dialect.signature(self.task, int(at), key)
        return Callback(
            provider=self.dialect.name,
            task_id=self.task.id,
            request=HttpRequest(
                method="POST",
                url=self.notice.url,
                headers={"Content-Type": "application/json", **headers},
                body=body,
                read_timeout=retries.timeout,
            ),
            due_at=self.dialect.account.now(),
            early=self.task.early,
            retries=retries,
        )


def announced(
    dialect: Dialect, task: Task, strikes: Callable[[str], set[str]]
) -> Iterator[Callback]:
    """Every callback that the end of *task* gives rise to.

    Args:
        strikes: The kinds of fault that strike the provider's next notice.
    """
    for notice in dialect.notices(task):
        yield from _callbacks(_Pen(dialect, task, notice), strikes(dialect.name))


def _callbacks(pen: _Pen, faults: set[str]) -> Iterator[Callback]:
    account, body = pen.dialect.account, pen.notice.body
    now, key, retries = account.now(), account.webhook_key, pen.dialect.retries
    # Who replays or forges a message does not insist.
    once = evolve(retries, attempts=1)
    if "forged_callback" in faults:
        elsewhere = body.replace(account.origin.encode(), FORGED_ORIGIN.encode())
        yield pen.write(at=now, key=_FORGED_KEY, body=elsewhere, retries=once)
    if "stale_callback" in faults:
        yield pen.write(at=now - _STALE_SECONDS, key=key, body=body, retries=once)
    if "lost_callback" not in faults:
        genuine = pen.write(at=now, key=key, body=body, retries=retries)
        yield from [genuine] * (2 if "duplicate_callback" in faults else 1)
