"""The sandbox itself: routes each request to a dialect, and injects faults.

Pure apart from its clock: nothing sleeps, nothing opens a socket, ids come from a seed. A
provider P lives under ``{origin}/{P}``: its API at ``{origin}/{P}{prefix}``, its result pictures
at ``{origin}/{P}/files/...``. The controls live under ``{origin}/_sandbox/``.

For the interface between this module and the providers see ``dialect.py`` (``Dialect``, ``Call``,
``Switch``), ``account.py`` (``Account``, ``Task``), ``picture.py`` (``Picture``) and ``reply.py``.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from wanbridge.sandbox.account import Account, File
from wanbridge.sandbox.callbacks import Callback, Callbacks, Delivery, announced
from wanbridge.sandbox.control import control
from wanbridge.sandbox.dialect import Call, Dialect
from wanbridge.sandbox.dialects import BUILTIN, dialect_class
from wanbridge.sandbox.faults import Fault, Faults, Op, Stage
from wanbridge.sandbox.ledger import Ledger, Post
from wanbridge.sandbox.picture import MIME
from wanbridge.sandbox.reply import NO_ANSWER, Reply, json_reply, text_reply
from wanbridge.wire import HttpRequest, HttpResponse

# Nothing listens on the discard port, so a request that escapes the process fails at once.
IN_PROCESS = "http://127.0.0.1:9"

_HTML = "<html><head><title>{0} Bad Gateway</title></head><body><h1>{0}</h1></body></html>"


def default_key(provider: str) -> str:
    """The API key that *provider* accepts unless ``key_for`` says otherwise."""
    return f"sandbox-{provider}-key"


class Sandbox:
    """All providers' servers in one process. Thread safe.

    Args:
        providers: Names; None is all that there are.
        clock: Seconds since 1970. Tasks and URLs age by it; nothing waits for it.
        latency: Seconds that one generation takes.
        key_for: Gives the API key that each provider accepts.
        seed: Ids and response seeds are drawn from it.
        on_callback: Receives the providers' callbacks and answers with a status; None is no
            answer. Called by ``deliver``, and by ``handle`` for those that go out before the
            reply. May call the sandbox. Without it a server sends them over HTTP.
    """

    def __init__(
        self,
        providers: Iterable[str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        latency: float = 0.3,
        key_for: Callable[[str], str] = default_key,
        seed: int = 0,
        on_callback: Callable[[HttpRequest], int | None] | None = None,
    ) -> None:
        names = BUILTIN if providers is None else providers
        self._classes = {name: dialect_class(name) for name in names}
        self._clock = clock
        self._latency = latency
        self._key_for = key_for
        self._seed = seed
        self._origin = IN_PROCESS
        self.on_callback = on_callback
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget tasks, ledger, faults and switches; balances are as at the start."""
        with self._lock:
            self._faults = Faults()
            self._ledger = Ledger()
            self._callbacks = Callbacks()
            self._dialects: dict[str, Dialect] = {}
            for name, dialect in self._classes.items():
                self._dialects[name] = dialect(
                    Account(
                        name,
                        key=self._key_for(name),
                        currency=dialect.currency,
                        balance=Decimal(dialect.opening_balance),
                        latency=self._latency,
                        clock=self._clock,
                        # Not for secrecy: a provider's ids must not depend on the others' traffic.
                        rng=random.Random(f"{self._seed}/{name}"),  # noqa: S311
                        faults=self._faults,
                        ledger=self._ledger,
                        origin=self._origin,
                    )
                )

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the providers that are served."""
        return tuple(self._classes)

    @property
    def origin(self) -> str:
        """Scheme, host and port of every URL the sandbox gives out; settable."""
        return self._origin

    @origin.setter
    def origin(self, origin: str) -> None:
        with self._lock:
            self._origin = origin.rstrip("/")
            for dialect in self._dialects.values():
                dialect.account.origin = self._origin

    def base_url(self, provider: str) -> str:
        """What a client uses in place of the provider's own base URL."""
        return f"{self._origin}/{provider}{self._dialect(provider).prefix}"

    def api_key(self, provider: str) -> str:
        """The one key that *provider* accepts."""
        return self._dialect(provider).account.key

    def webhook_key(self, provider: str) -> str:
        """What *provider* signs its callbacks with, if it signs them."""
        return self._dialect(provider).account.webhook_key

    def balance(self, provider: str) -> Decimal:
        """What the account holds, in the provider's currency."""
        with self._lock:
            self._settle()
            return self._dialect(provider).account.balance

    def set_balance(self, provider: str, amount: Decimal | int | str) -> None:
        """Give the account another balance."""
        with self._lock:
            self._dialect(provider).account.balance = Decimal(amount)

    def switch(self, provider: str, name: str, value: Any) -> None:
        """Choose how the provider behaves where that is known to vary; see its ``switches``."""
        self.set_switches({provider: {name: value}})

    def set_switches(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Set several, ``{provider: {name: value}}``; all of them or, on ValueError, none."""
        with self._lock:
            for provider, values in settings.items():
                if not isinstance(values, Mapping):
                    raise ValueError(f"switches of {provider} must be an object, not {values!r}")
                for name, value in values.items():
                    self._dialect(provider).check_switch(name, value)
            for provider, values in settings.items():
                self._dialect(provider).settings.update(values)

    def switches(self) -> dict[str, dict[str, Any]]:
        """Every provider's switches and their present values."""
        with self._lock:
            return {name: dict(d.settings) for name, d in self._dialects.items()}

    def fault(self, kind: str, **options: Any) -> Fault:
        """Add one fault after those already set; *options* are those of ``Fault``."""
        fault = self._checked(Fault(kind, **options))
        with self._lock:
            self._faults.add(fault)
        return fault

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Replace all faults."""
        checked = [self._checked(fault) for fault in faults]
        with self._lock:
            self._faults.replace(checked)

    def faults(self) -> list[Fault]:
        """Those set, also when used up."""
        with self._lock:
            return self._faults.all()

    def ledger(self) -> dict[str, Any]:
        """Posts, charges and totals, safe for JSON; amounts are decimal strings."""
        with self._lock:
            self._settle()
            units = {name: dialect.account.currency for name, dialect in self._dialects.items()}
            return self._ledger.to_json(units)

    def tasks(self) -> list[dict[str, Any]]:
        """Every accepted task, oldest first within its provider, safe for JSON."""
        with self._lock:
            self._settle()
            now = self._clock()
            accounts = [dialect.account for dialect in self._dialects.values()]
            return [task.to_json(now) for a in accounts for task in a.tasks.values()]

    def callbacks(self) -> list[Callback]:
        """Those that wait to be sent, first due first."""
        with self._lock:
            self._settle()
            return self._callbacks.waiting()

    def deliveries(self) -> list[Delivery]:
        """The callbacks that were sent, in order, with what was answered."""
        with self._lock:
            return list(self._callbacks.sent)

    def take_callbacks(self, *, early: bool = False) -> list[Callback]:
        """Those that are due; the sender calls ``callback_answered`` for each.

        Args:
            early: Only those that go out before the reply to a submit.
        """
        with self._lock:
            self._settle()
            return self._callbacks.take(self._clock(), early=early)

    def callback_answered(self, callback: Callback, status: int | None) -> None:
        """What the receiver said to one that was taken, None for nothing; it may come again."""
        with self._lock:
            self._callbacks.answered(callback, status, self._clock())

    def deliver(self, *, early: bool = False) -> int:
        """Hand what is due to ``on_callback``, if there is one. Returns how many.

        Args:
            early: Only those that go out before the reply to a submit.
        """
        receive = self.on_callback
        if receive is None:
            return 0
        due = self.take_callbacks(early=early)
        for callback in due:
            self.callback_answered(callback, receive(callback.request))
        return len(due)

    def handle(self, request: HttpRequest) -> Reply:
        """The whole answer to *request*, whatever host its URL names."""
        reply = self.begin(request)
        if reply.early:
            self.deliver(early=True)
        return reply.rendered()

    def begin(self, request: HttpRequest) -> Reply:
        """Like ``handle``, but a dear body is left for ``Reply.rendered``.

        Callbacks that go out before the reply are left for the caller, too.
        """
        provider, _, rest = urlsplit(request.url).path.lstrip("/").partition("/")
        if provider == "_sandbox":
            return control(self, request, rest)
        with self._lock:
            dialect = self._dialects.get(provider)
            if dialect is None:
                known = ", ".join(self._dialects)
                return json_reply(404, {"error": f"no provider {provider!r}; there are {known}"})
            self._settle()
            return self._serve(dialect, Call.of(request, f"/{rest}"))

    def _dialect(self, provider: str) -> Dialect:
        if provider not in self._dialects:
            known = ", ".join(self._dialects)
            raise ValueError(f"this sandbox has no provider {provider!r}; it has {known}")
        return self._dialects[provider]

    def _checked(self, fault: Fault) -> Fault:
        if fault.provider != "*":
            self._dialect(fault.provider)
        return fault

    def _settle(self) -> None:
        for dialect in self._dialects.values():
            for task in dialect.account.due():
                dialect.settle(task)
                for callback in announced(dialect, task, self._faults.for_callback):
                    self._callbacks.add(callback)

    def _serve(self, dialect: Dialect, call: Call) -> Reply:
        name = call.path.removeprefix("/files/")
        op = dialect.op(call) if name == call.path else Op.DOWNLOAD
        fault = self._faults.for_call(dialect.name, op)
        known = len(dialect.account.accepted)
        if fault is not None and fault.stage(op) is Stage.BEFORE:
            reply = _spoiled(dialect, call, op, fault, Reply(response=NO_ANSWER))
            self._faults.spend(fault)
        else:
            reply = _download(dialect, call, name) if op is Op.DOWNLOAD else dialect.answer(call)
            # A submit that the provider refused took no effect: the fault waits for one that does.
            if fault is not None and (op is not Op.SUBMIT or dialect.account.accepted[known:]):
                reply = _spoiled(dialect, call, op, fault, reply)
                self._faults.spend(fault)
        if op is Op.SUBMIT:
            accepted = tuple(dialect.account.accepted[known:])
            self._record(dialect, call, accepted, reply)
            if any(dialect.account.tasks[name].early for name in accepted):
                self._settle()
                return evolve(reply, early=True)
        return reply

    def _record(
        self, dialect: Dialect, call: Call, accepted: tuple[str, ...], reply: Reply
    ) -> None:
        self._ledger.posts.append(
            Post(
                provider=dialect.name,
                key=dialect.key(call),
                tasks=accepted,
                digest=hashlib.sha256(call.request.body).hexdigest(),
                status=reply.response.status if reply.answered else None,
                at=self._clock(),
            )
        )


def _download(dialect: Dialect, call: Call, name: str) -> Reply:
    found = dialect.account.file(name)
    if found is None or call.method not in ("GET", "HEAD"):
        return dialect.no_file()
    task, file = found
    if not dialect.account.link_works(task):
        return dialect.dead_link()
    return _picture(file)


def _picture(file: File) -> Reply:
    def render() -> bytes:
        from wanbridge.sandbox.drawing import draw

        return draw(file.picture)

    headers = {"Content-Type": MIME[file.picture.format]}
    return Reply(response=HttpResponse(status=200, headers=headers), render=render)


def _spoiled(dialect: Dialect, call: Call, op: Op, fault: Fault, reply: Reply) -> Reply:
    """What *fault* makes of *reply*, which says nothing if the call did not get that far."""
    match fault.kind:
        case "drop" | "accept_then_drop":
            return Reply(response=NO_ANSWER, drop=True)
        case "hang":
            return Reply(response=NO_ANSWER, hang=True)
        case "html_error":
            status = fault.status or 502
            return text_reply(status, _HTML.format(status), content_type="text/html")
        case "cut_body":
            return evolve(reply, cut=True)
        case "slow_body":
            return evolve(reply, drip=fault.slowness)
        case "dead_link":
            return dialect.dead_link()
        case _ if op is Op.DOWNLOAD:
            return _file_server_error(fault)
        case _:
            return _in_words(dialect, call, fault)


def _file_server_error(fault: Fault) -> Reply:
    """Files are served by a storage host, which knows nothing of the provider's error shapes."""
    if fault.kind == "rate_limit":
        seconds = 1 if fault.retry_after is None else fault.retry_after
        return text_reply(429, "slow down", headers={"Retry-After": f"{seconds:g}"})
    return text_reply(fault.status or 503, "service unavailable")


def _in_words(dialect: Dialect, call: Call, fault: Fault) -> Reply:
    words: Mapping[str, Callable[[], Reply]] = {
        "rate_limit": lambda: dialect.rate_limited(fault.retry_after),
        "server_error": lambda: dialect.server_error(fault.status),
        "error_in_200": lambda: dialect.error_in_200(call),
        "no_credit": lambda: dialect.no_credit(call),
        "unauthorized": lambda: dialect.unauthorized(call),
        "lost_task": lambda: dialect.task_lost(call),
    }
    return words[fault.kind]()
