"""Receiving providers' callbacks: a handler for any web framework, and an ASGI application.

::

    receiver = CallbackReceiver(adapters, "https://app.example.com/hooks")
    client = Client(adapters, callbacks=receiver)          # jobs are given their address
    app.mount("/hooks", receiver.app)                      # or ``receiver.handle(...)``

A callback is a hint. It ends a waiting client's sleep, the poll that follows decides; so a forged
one costs a poll, a lost one costs time, and neither loses or invents a picture. Each logical call
has an address of its own, ``{base_url}/{adapter}/{token}``: the token is signed, names account and
call, and opens nothing else. Nothing is polled and nothing is sent from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import CallbackEvent
from wanbridge.callbacks.addresses import Addressee, Addresses
from wanbridge.callbacks.asgi import CallbackApp
from wanbridge.callbacks.notifications import JobNotifications
from wanbridge.callbacks.seen_events import SeenEvents
from wanbridge.engine.effects import JobKey
from wanbridge.errors import CallbackRefused, ConfigurationError
from wanbridge.model.jobs import Job
from wanbridge.wire import HttpRequest

log = logging.getLogger("wanbridge")

BODY_MOST = 2**20
_ID_MOST = 200

OnEvent = Callable[[str, CallbackEvent], object]


@frozen(kw_only=True)
class Received:
    """The outcome of one call.

    Attributes:
        status: HTTP status to answer with.
        events: The new ones; empty for a repetition, and if it was refused.
        account: The account the call is for; None if the address is not one of this receiver.
        reason: Why it was refused, for people. It may quote the sender: not for logs.
    """

    status: int
    events: tuple[CallbackEvent, ...] = ()
    account: str | None = None
    reason: str = field(default="", repr=False)


class CallbackReceiver:
    """Takes callbacks of any of the accounts; safe to share between threads and event loops.

    Args:
        adapters: The accounts, as the client has them.
        base_url: Public https address under which calls arrive, without the last two steps.
        secret: Signs the addresses; at least 16 bytes. Random if None: then addresses are good
            for this process only. The same secret makes the same addresses in all processes.
        signing_keys: ``{account: keys}`` that the provider may sign with besides the one in the
            account's options: while one is replaced.
        on_event: Called with the account's name and each new event, after waiting clients woke.
            Must return at once. If it raises, the answer is 500 and a repetition counts as new.
        most: Bytes of a body at most.
        now: Wall time, aware, to judge signatures by.
        notifications: Where clients wait; made here by default.
    """

    def __init__(
        self,
        adapters: Iterable[Adapter],
        base_url: str,
        *,
        secret: str | bytes | None = None,
        signing_keys: Mapping[str, Sequence[str]] | None = None,
        on_event: OnEvent | None = None,
        most: int = BODY_MOST,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        notifications: JobNotifications | None = None,
    ) -> None:
        self.most = most
        self.on_event = on_event
        self.notifications = notifications or JobNotifications()
        self._now = now
        self._adapters = {adapter.account: adapter for adapter in adapters}
        self._addresses = Addresses(base_url, secret, self._adapters)
        self.base_url = self._addresses.base_url
        self._keys = dict(signing_keys or {})
        if unknown := sorted(set(self._keys) - set(self._adapters)):
            raise ConfigurationError(f"signing_keys: no account is called {', '.join(unknown)}")
        self._seen = SeenEvents()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r}, {', '.join(self._adapters)})"

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any], **options: Any) -> Self:
        """A receiver for the accounts of a configuration, by its ``[callbacks]``.

        Args:
            source: As `Client.from_config` takes it.
            options: As the constructor takes them.

        Raises:
            ConfigurationError: the configuration is wrong, or has no ``[callbacks]``.
        """
        from wanbridge import config

        settings = config.load(source)
        if settings.callbacks is None:
            raise ConfigurationError("the configuration has no [callbacks] with a base_url")
        given = {"secret": settings.callbacks.secret, **options}
        return cls(settings.adapters, settings.callbacks.base_url, **given)

    # -- addresses --------------------------------------------------------------------------

    def url_for(self, account: str, key: str) -> str:
        """Where the provider of *account* is to call for the logical call *key*.

        Raises:
            UnknownProvider: there is no such account here.
        """
        return self._addresses.url_for(account, key)

    def address(self, account: str, key: str) -> str | None:
        """`url_for`; None for an account that is not here."""
        return self.url_for(account, key) if account in self._adapters else None

    def expects(self, job: Job) -> bool:
        """Whether *job* was submitted with an address of ours."""
        given = job.request.callback_url
        return given is not None and given == self.address(job.account, job.key)

    # -- calls ------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Process one call and wake clients that wait for it; for a route of any web framework.

        Never raises, unless ``on_event`` raises something that is no `Exception`.

        Args:
            path: Of the request, with or without what the application is mounted under.
            headers: Names in any letter case.
        """
        account = None
        try:
            addressee = self._admit(method, path, headers, len(body))
            account = addressee.adapter.account
            events = self._read(addressee, method, headers, body)
            return Received(status=200, events=self._process(addressee, events), account=account)
        except CallbackRefused as exc:
            return _refusal(exc, account)

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], length: int
    ) -> Received | None:
        """What a call is refused with before its body is read; None if it is to be read.

        Args:
            length: Bytes that it announces; 0 if it does not.
        """
        try:
            self._admit(method, path, headers, length)
        except CallbackRefused as exc:
            return _refusal(exc)
        return None

    @cached_property
    def app(self) -> CallbackApp:
        """An ASGI application, to be mounted anywhere or run by itself."""
        return CallbackApp(self)

    def _admit(self, method: str, path: str, headers: Mapping[str, str], length: int) -> Addressee:
        """Whom a call is for, by its address and headers. Raises CallbackRefused."""
        steps = path.partition("?")[0].split("/")
        names = {adapter.name for adapter in self._adapters.values()}
        if len(steps) < 2 or steps[-2] not in names:
            raise CallbackRefused("there is nothing here", 404)
        if method != "POST":
            raise CallbackRefused("callbacks are POSTed", 405)
        addressee = self._addresses.addressee(steps[-2], steps[-1])
        if addressee is None:
            raise CallbackRefused("the address is not one that was given out", 403)
        if length > self.most:
            raise CallbackRefused(f"more than {self.most:,} bytes", 413)
        encodings = (v for k, v in headers.items() if k.lower() == "content-encoding")
        if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
            # No provider documents a compressed callback (wire pages, read 2026-11-27).
            raise CallbackRefused("its content is compressed", 415)
        return addressee

    def _read(
        self, addressee: Addressee, method: str, headers: Mapping[str, str], body: bytes
    ) -> list[CallbackEvent]:
        adapter = addressee.adapter
        # Without the token: whatever the adapter says of the request may be shown.
        url = f"{self.base_url}/{adapter.name}"
        request = HttpRequest(method=method, url=url, headers=headers, body=body)
        try:
            keys = self._keys.get(adapter.account, ())
            events = adapter.read_callback(request, keys, now=self._now())
        except CallbackRefused:
            raise
        except Exception as exc:
            # Its text and its trace may quote the body.
            log.error("wanbridge: %s cannot read a callback: %s", adapter.name, type(exc).__name__)
            raise CallbackRefused("it cannot be read", 400) from None
        if not all(_plausible(event.task_id) and _plausible(event.item or "-") for event in events):
            raise CallbackRefused("an id is empty, too long or not printable", 400)
        return events

    def _process(
        self, addressee: Addressee, events: Iterable[CallbackEvent]
    ) -> tuple[CallbackEvent, ...]:
        """Notify waiting clients and ``on_event`` of new *events*, and return those."""
        account, new = addressee.adapter.account, []
        for event in events:
            job = JobKey(account=account, call=addressee.call, task=event.task_id)
            if not self._seen.add(job, event):
                continue
            if event.ended is not False:
                self.notifications.notify(job)
            self._report(job, event)
            new.append(event)
        return tuple(new)

    def _report(self, job: JobKey, event: CallbackEvent) -> None:
        if self.on_event is None:
            return
        try:
            self.on_event(job.account, event)
        except Exception as exc:
            self._seen.remove(job, event)
            log.error("wanbridge: on_event failed: %s", type(exc).__name__)
            raise CallbackRefused("not now", 500) from None


def _refusal(refused: CallbackRefused, account: str | None = None) -> Received:
    log.info("wanbridge: a callback was refused with %d", refused.status)
    return Received(status=refused.status, account=account, reason=refused.message)


def _plausible(id: str) -> bool:
    return 0 < len(id) <= _ID_MOST and id.isprintable()
