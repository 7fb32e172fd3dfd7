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

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets as chance
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from attrs import field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import CallbackEvent
from wanbridge.callbacks.notifications import JobNotifications
from wanbridge.engine.effects import JobKey, call_of
from wanbridge.errors import CallbackRefused, ConfigurationError, UnknownProvider
from wanbridge.model.jobs import Job
from wanbridge.wire import HttpRequest

log = logging.getLogger("wanbridge")

BODY_MOST = 2**20
# For a body to come in; the quickest provider waits about 5 s for its answer (runware).
BODY_SECONDS = 4.0
SECRET_LEAST = 16

# A call brings at most 12 pictures, each told of when it begins and when it ends; a token that
# has leaked shall not fill the memory.
_EVENTS_MOST = 64
_CALLS_MOST = 16_384
_ID_MOST = 200

_MAC, _CALL = hashlib.sha256().digest_size, 16

OnEvent = Callable[[str, CallbackEvent], object]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@frozen(kw_only=True)
class Received:
    """What became of one call.

    Attributes:
        status: HTTP status to answer with.
        events: What is new in it; empty for a repetition, and if it was refused.
        account: Whose provider called; None if the address is none of ours.
        reason: Why it was refused, for people. It may quote the sender: not for logs.
    """

    status: int
    events: tuple[CallbackEvent, ...] = ()
    account: str | None = None
    reason: str = field(default="", repr=False)


@frozen(kw_only=True)
class _Door:
    """An address that is open: the adapter that reads what comes, and the call it is about."""

    adapter: Adapter
    call: str


class CallbackReceiver:
    """Takes callbacks of any of the accounts; safe to share between threads and event loops.

    Args:
        adapters: The accounts, as the client has them.
        base_url: Public https address under which calls arrive, without the last two steps.
        secret: Signs the addresses; at least 16 bytes. Random if None: then addresses are good
            for this process only. The same secret makes the same addresses in all processes.
        signing_keys: ``{account: keys}`` that the provider may sign with besides the one in the
            account's options: while one is replaced.
        on_event: Told the account's name and each new event, after waiting clients were woken.
            Must return at once. If it raises, the answer is 500 and a repetition counts as new.
        most: Bytes of a body at most.
        now: Wall time, aware, to judge signatures by.
        notifications: Who waits; made here by default.
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
        self.base_url = _public(base_url)
        self.most = most
        self.on_event = on_event
        self.notifications = notifications or JobNotifications()
        self._now = now
        self._secret = _long_enough(secret)
        self._adapters = {adapter.account: adapter for adapter in adapters}
        self._keys = dict(signing_keys or {})
        if unknown := sorted(set(self._keys) - set(self._adapters)):
            raise ConfigurationError(f"signing_keys: no account is called {', '.join(unknown)}")
        self._told = _Told()

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
        if (adapter := self._adapters.get(account)) is None:
            known = ", ".join(self._adapters) or "none"
            raise UnknownProvider(f"no account is called {account!r}; there are: {known}")
        call = bytes.fromhex(call_of(key))
        token = self._mac(adapter, call) + call + account.encode()
        spelled = base64.urlsafe_b64encode(token).rstrip(b"=").decode("ascii")
        return f"{self.base_url}/{adapter.name}/{spelled}"

    def address(self, account: str, key: str) -> str | None:
        """`url_for`; None for an account that is not here."""
        return self.url_for(account, key) if account in self._adapters else None

    def expects(self, job: Job) -> bool:
        """Whether *job* was submitted with an address of ours."""
        given = job.request.callback_url
        return given is not None and given == self.address(job.account, job.key)

    def _mac(self, adapter: Adapter, call: bytes) -> bytes:
        # The name holds no NUL and the call is of one length: no two addresses sign the same.
        said = b"\0".join([b"wanbridge.callbacks", adapter.name.encode(), call])
        return hmac.digest(self._secret, said + adapter.account.encode(), "sha256")

    # -- calls ------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Judge one call and wake who waits for it; for a route of any web framework.

        Never raises, unless ``on_event`` raises something that is no `Exception`.

        Args:
            path: Of the request, with or without what the application is mounted under.
            headers: Names in any letter case.
        """
        account = None
        try:
            door = self._open(method, path, headers, len(body))
            account = door.adapter.account
            events = self._read(door, method, headers, body)
            return Received(status=200, events=self._tell(door, events), account=account)
        except CallbackRefused as exc:
            log.info("wanbridge: a callback was refused with %d", exc.status)
            return Received(status=exc.status, account=account, reason=exc.message)

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], length: int
    ) -> Received | None:
        """What a call is refused with before its body is read; None if it is to be read.

        Args:
            length: Bytes that it announces; 0 if it does not.
        """
        try:
            self._open(method, path, headers, length)
        except CallbackRefused as exc:
            log.info("wanbridge: a callback was refused with %d", exc.status)
            return Received(status=exc.status, reason=exc.message)
        return None

    @cached_property
    def app(self) -> CallbackApp:
        """An ASGI application, to be mounted anywhere or run by itself."""
        return CallbackApp(self)

    def _open(self, method: str, path: str, headers: Mapping[str, str], length: int) -> _Door:
        """The door that an address leads to. Raises CallbackRefused."""
        steps = path.partition("?")[0].split("/")
        names = {adapter.name for adapter in self._adapters.values()}
        if len(steps) < 2 or steps[-2] not in names:
            raise CallbackRefused("there is nothing here", 404)
        if method != "POST":
            raise CallbackRefused("callbacks are POSTed", 405)
        door = self._unlock(steps[-2], steps[-1])
        if door is None:
            raise CallbackRefused("the address is not one that was given out", 403)
        if length > self.most:
            raise CallbackRefused(f"more than {self.most:,} bytes", 413)
        encodings = (v for k, v in headers.items() if k.lower() == "content-encoding")
        if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
            # No provider documents a compressed callback (wire pages, read 2026-11-27).
            raise CallbackRefused("its content is compressed", 415)
        return door

    def _unlock(self, name: str, spelled: str) -> _Door | None:
        """Whose the token is; None if it was not signed here, or for another adapter."""
        try:
            token = base64.b64decode(spelled + "=" * (-len(spelled) % 4), b"-_", validate=True)
            account = token[_MAC + _CALL :].decode()
        except (binascii.Error, ValueError):
            return None
        mac, call = token[:_MAC], token[_MAC : _MAC + _CALL]
        adapter = self._adapters.get(account)
        if adapter is None or adapter.name != name:
            return None
        if not hmac.compare_digest(mac, self._mac(adapter, call)):
            return None
        return _Door(adapter=adapter, call=call.hex())

    def _read(
        self, door: _Door, method: str, headers: Mapping[str, str], body: bytes
    ) -> list[CallbackEvent]:
        adapter = door.adapter
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

    def _tell(self, door: _Door, events: Iterable[CallbackEvent]) -> tuple[CallbackEvent, ...]:
        """Those of *events* that are new, after everybody who has to know was told of them."""
        account, new = door.adapter.account, []
        for event in events:
            job = JobKey(account=account, call=door.call, task=event.task_id)
            if not self._told.add(job, event):
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
            self._told.remove(job, event)
            log.error("wanbridge: on_event failed: %s", type(exc).__name__)
            raise CallbackRefused("not now", 500) from None


class _Told:
    """Which events were told already: the same item of the same task is news once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By account and call, those heard of longest ago first.
        self._calls: dict[tuple[str, str], set[tuple[str, str | None, bool | None]]] = {}

    def add(self, job: JobKey, event: CallbackEvent) -> bool:
        """Whether *event* is new. Raises CallbackRefused if its call has had too many."""
        call, what = (job.account, job.call), (job.task, event.item, event.ended)
        with self._lock:
            told = self._calls[call] = self._calls.pop(call, set())
            if what in told:
                return False
            if len(told) >= _EVENTS_MOST:
                raise CallbackRefused(f"more than {_EVENTS_MOST} events of one call", 429)
            told.add(what)
            while len(self._calls) > _CALLS_MOST:
                del self._calls[next(iter(self._calls))]
        return True

    def remove(self, job: JobKey, event: CallbackEvent) -> None:
        """Let *event* be new once more."""
        with self._lock:
            told = self._calls.get((job.account, job.call), set())
            told.discard((job.task, event.item, event.ended))


class CallbackApp:
    """A receiver as an ASGI application; without a framework."""

    def __init__(self, receiver: CallbackReceiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Bodies that are too long or come to nowhere are not read."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        method, path, headers = scope["method"], scope["path"], _headers(scope)
        refused = self._receiver.admit(method, path, headers, _length(headers))
        if refused is not None:
            return await _answer(send, refused.status)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(receive)
        except TimeoutError:
            return await _answer(send, 408)
        if body is None:
            return None  # the sender has gone
        if self._receiver.on_event is None:
            received = self._receiver.handle(method, path, headers, body)
        else:
            received = await asyncio.to_thread(self._receiver.handle, method, path, headers, body)
        return await _answer(send, received.status)

    async def _body(self, receive: Receive) -> bytes | None:
        """The body, up to where it is known to be too long; None if the sender has gone."""
        body, more = bytearray(), True
        while more and len(body) <= self._receiver.most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0")]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _headers(scope: Scope) -> dict[str, str]:
    return {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}


def _length(headers: Mapping[str, str]) -> int:
    said = headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0


def _plausible(id: str) -> bool:
    return 0 < len(id) <= _ID_MOST and id.isprintable()


def _public(url: str) -> str:
    """A base URL without its last slash; providers call https only."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"callbacks: base_url {url!r} is not like https://host/path")
    return url.rstrip("/")


def _long_enough(secret: str | bytes | None) -> bytes:
    if secret is None:
        return chance.token_bytes(32)
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < SECRET_LEAST:
        # Which is not shown.
        raise ConfigurationError(f"callbacks: the secret has fewer than {SECRET_LEAST} bytes")
    return raw
