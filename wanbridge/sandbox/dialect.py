"""What one provider's server has to know how to say.

Tasks, money and result URLs live in its ``Account``; what else it remembers (uploads, rates) it
keeps on itself, and a reset makes a new one.
It reads a ``Call`` and answers with a ``Reply``; it never sleeps and never sees a socket.
Faults of transport are the world's business; for those that need words the world asks the
dialect. Where a method has no use for its ``call``, the parameter may be named ``_``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from wanbridge.sandbox.account import Account, Task
from wanbridge.sandbox.callbacks import Notice, Retries
from wanbridge.sandbox.faults import Op
from wanbridge.sandbox.reply import Reply, text_reply
from wanbridge.wire import HttpRequest


@frozen
class Switch:
    """One way in which the real provider is known, or thought, to vary.

    Attributes:
        values: What it may be set to; None allows any number from 0 up.
    """

    name: str
    default: Any
    values: tuple[Any, ...] | None
    doc: str

    def check(self, value: Any) -> None:
        """Raise ValueError unless *value* is possible."""
        if self.values is None:
            good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
            allowed = "a number from 0 up"
        else:
            # 1 == True in Python, not in JSON.
            good = any(type(v) is type(value) and v == value for v in self.values)
            allowed = ", ".join(map(repr, self.values))
        if not good:
            raise ValueError(f"switch {self.name} cannot be {value!r}; it can be {allowed}")


@frozen(kw_only=True)
class Call:
    """One request as a dialect sees it.

    Attributes:
        path: Below ``{origin}/{provider}``, percent-decoded, e.g. ``/api/v1/tasks/t-1``.
        query: The last value of each name.
    """

    request: HttpRequest
    path: str
    query: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(cls, request: HttpRequest, path: str) -> Call:
        """The call that *request* makes at *path* of a provider."""
        query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        return cls(request=request, path=unquote(path), query=query)

    @property
    def method(self) -> str:
        """In upper case."""
        return self.request.method.upper()

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its letter case; None if absent."""
        return self.request.header(name)

    def json(self) -> Any:
        """The body as JSON, parsed once. Raises ValueError if it is none."""
        return self._parsed

    @cached_property
    def _parsed(self) -> Any:
        return self.request.json()


class Dialect(ABC):
    """One provider's server.

    A new one is a module ``dialects/<name>.py`` with one subclass and a line in
    ``dialects/__init__.py``.
    """

    # The first part of the path, and the name in faults, switches and the ledger.
    name: ClassVar[str]
    # What follows it in the base URL, e.g. "/api/v1"; calls carry it in ``path``.
    prefix: ClassVar[str]
    # What it counts in: "USD", "CNY", "credits".
    currency: ClassVar[str]
    # What the account holds at the start, as a decimal number.
    opening_balance: ClassVar[str]
    switches: ClassVar[tuple[Switch, ...]] = ()
    # How callbacks are repeated; the default is: not at all.
    retries: ClassVar[Retries] = Retries()

    def __init__(self, account: Account) -> None:
        self.account = account
        self.settings: dict[str, Any] = {s.name: s.default for s in self.switches}

    def check_switch(self, name: str, value: Any) -> None:
        """Raise ValueError for a switch that does not exist or a value it cannot have."""
        switch = next((s for s in self.switches if s.name == name), None)
        if switch is None:
            known = ", ".join(s.name for s in self.switches) or "none"
            raise ValueError(f"{self.name} has no switch {name!r}; it has {known}")
        switch.check(value)

    @abstractmethod
    def op(self, call: Call) -> Op:
        """What *call* wants; decides which faults strike and what the ledger records.

        Called before anything is checked, so the body may be anything. Downloads of result
        URLs never come here.
        """

    @abstractmethod
    def answer(self, call: Call) -> Reply:
        """The provider's reply, faults apart. Tasks taken on go through ``account.accept``."""

    @abstractmethod
    def key(self, call: Call, /) -> str | None:
        """The client's own name for a submit, for the ledger; None if it sent none."""

    def settle(self, task: Task, /) -> None:  # noqa: B027 -- most providers have nothing to do
        """Called once per task when its work is over: the place for refunds."""

    def notices(self, _: Task, /) -> Sequence[Notice]:
        """What to tell the customer about a task that is over; asked once, after ``settle``."""
        return ()

    def signature(self, _: Task, at: int, key: str, /) -> Mapping[str, str]:
        """Headers that sign a callback at *at*, in seconds since 1970; none if nothing is signed.

        A forged one comes with another *key* than the account's ``webhook_key``.
        """
        return {}

    @abstractmethod
    def rate_limited(self, retry_after: float | None) -> Reply:
        """429; *retry_after* in seconds, None for the provider's documented form."""

    @abstractmethod
    def server_error(self, status: int | None) -> Reply:
        """A 5xx in the provider's shape; None for its documented status."""

    @abstractmethod
    def error_in_200(self, call: Call, /) -> Reply:
        """The error body that the provider is known or feared to send with HTTP 200."""

    @abstractmethod
    def no_credit(self, call: Call, /) -> Reply:
        """The answer when the account cannot pay."""

    @abstractmethod
    def unauthorized(self, call: Call, /) -> Reply:
        """The answer to a key that is not valid."""

    @abstractmethod
    def task_lost(self, call: Call, /) -> Reply:
        """The answer to a poll for a task that the provider does not know."""

    @abstractmethod
    def not_found(self, call: Call, /) -> Reply:
        """The answer to a path that the provider does not have."""

    def dead_link(self) -> Reply:
        """The file server's answer to an expired or withdrawn result URL."""
        return text_reply(403, "<Error><Code>AccessDenied</Code></Error>", content_type="text/xml")

    def no_file(self) -> Reply:
        """The file server's answer to a name that it never had."""
        return text_reply(404, "<Error><Code>NoSuchKey</Code></Error>", content_type="text/xml")
