"""What both clients share: accounts, terms, and everything that needs no socket."""

from __future__ import annotations

import difflib
import inspect
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
from attrs import evolve

from wanbridge import fetch, flow
from wanbridge.adapter import Adapter, Cancelled, Delivery, Found, ModelInfo, Step, TooLate
from wanbridge.errors import ConfigurationError, InvalidRequest, Problem, UnknownProvider
from wanbridge.explain import Explanation, explain_all
from wanbridge.gates import Gates
from wanbridge.http import utc_now
from wanbridge.model import (
    Image,
    ImageRequest,
    ImageResult,
    InputImage,
    Job,
    Money,
    PaletteColor,
    Receipt,
    Size,
)
from wanbridge.picture import PictureFile
from wanbridge.plan import plan
from wanbridge.play import Conversation
from wanbridge.pricing import PriceBook
from wanbridge.registry import Registry
from wanbridge.terms import Event, Patience, Terms

if TYPE_CHECKING:
    from wanbridge.callbacks import CallbackReceiver
    from wanbridge.sandbox import Sandbox

Progress = Callable[[Event], None]


class Call(TypedDict, total=False):
    """What `generate` and `submit` take by name.

    The first six are about the call; the others are fields of `ImageRequest`.
    """

    provider: str | None
    may_drop: Collection[str]
    check_limits: bool
    deadline: float | None
    key: str | None
    on_progress: Progress | None

    prompt: str
    model: str
    negative_prompt: str | None
    images: Sequence[InputImage | str]
    n: int
    sequential: bool
    size: Size | str
    thinking: bool | None
    color_palette: Sequence[PaletteColor]
    seed: int | None
    watermark: bool
    output_format: str | None
    inline: bool
    callback_url: str | None
    extra: Mapping[str, Mapping[str, Any]]


_CALL_OPTIONS = ("provider", "may_drop", "check_limits", "deadline", "key", "on_progress")
_REQUEST_FIELDS = tuple(f.name for f in attrs.fields(ImageRequest))


def new_key() -> str:
    """A key for one logical call: a random UUID, version 4."""
    return str(uuid4())


class Accounts:
    """Base of both clients: configured accounts, and the flows over them."""

    def __init__(
        self,
        adapters: Sequence[Adapter],
        *,
        default: str | None = None,
        patience: Patience | None = None,
        prices: PriceBook | None = None,
        registry: Registry | None = None,
        on_progress: Progress | None = None,
        callbacks: CallbackReceiver | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
        new_key: Callable[[], str] = new_key,
    ) -> None:
        self._accounts: dict[str, Adapter] = {}
        for adapter in adapters:
            if self._accounts.setdefault(adapter.account, adapter) is not adapter:
                raise ConfigurationError(f"two accounts are called {adapter.account!r}")
        if default is not None and default not in self._accounts:
            raise UnknownProvider(self._no_such(default))
        self._default = default
        self._patience = patience or Patience()
        self._prices = prices or PriceBook.builtin()
        self._registry = registry or Registry()
        self._progress, self._callbacks = on_progress, callbacks
        self._clock, self._now, self._chance, self._new_key = clock, now, chance, new_key
        self._gates = Gates()
        self._origins = frozenset(fetch.origin(a.base_url) for a in adapters)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._accounts)})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A client with an account for every provider whose key is in the environment.

        Args:
            environ: Instead of ``os.environ``.
            options: As the constructor takes them.

        Raises:
            ConfigurationError: a base URL is wrong.
        """
        from wanbridge import config

        return cls._configured(config.from_env(environ), options)

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any], **options: Any) -> Self:
        """A client from a TOML or JSON file, or the same as a mapping.

        Raises:
            ConfigurationError: the file cannot be read or breaks ``schemas/config.schema.json``;
                the message names every path.
        """
        from wanbridge import config

        return cls._configured(config.load(source), options)

    @classmethod
    def _configured(cls, settings: Any, options: dict[str, Any]) -> Self:
        return cls(
            settings.adapters,
            **{"default": settings.default, "patience": settings.patience, **options},
        )

    @property
    def accounts(self) -> Mapping[str, Adapter]:
        """The configured accounts by name."""
        return dict(self._accounts)

    def explain(
        self,
        request: ImageRequest | str,
        *,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
        **fields: Any,
    ) -> dict[str, Explanation]:
        """What every account would be sent, field by field; no call, no key needed.

        Raises:
            InvalidRequest: the request breaks the canonical schema.
        """
        return explain_all(
            tuple(self._accounts.values()),
            self._request(request, fields),
            prices=self._prices,
            may_drop=may_drop,
            check_limits=check_limits,
        )

    def adopt(self, receipt: Receipt, task_id: str) -> Job:
        """The job of an uncertain submit, by the caller's word that *task_id* is its task."""
        return self._at(receipt.account, receipt.provider, receipt.base_url).adopt(receipt, task_id)

    # -- inner ------------------------------------------------------------------------------

    def _no_such(self, name: str) -> str:
        known = ", ".join(self._accounts) or "none is configured"
        near = difflib.get_close_matches(name, self._accounts, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"no account is called {name!r}; {hint}there are: {known}"

    def _choose(self, provider: str | None) -> Adapter:
        name = provider or self._default
        if name is not None:
            if name not in self._accounts:
                raise UnknownProvider(self._no_such(name))
            return self._accounts[name]
        if len(self._accounts) == 1:
            return next(iter(self._accounts.values()))
        if not self._accounts:
            raise ConfigurationError(
                "no provider is configured; set one of"
                f" {', '.join(f'{n.upper()}_API_KEY' for n in self._registry.names())},"
                " or give a configuration file"
            )
        raise ConfigurationError(f"which provider? provider=... one of {', '.join(self._accounts)}")

    def _at(self, account: str, provider: str, base_url: str) -> Adapter:
        """The adapter that made a job or receipt, bound to where it was made."""
        host = urlsplit(base_url).netloc
        candidates = [a for a in self._accounts.values() if a.name == provider]
        candidates.sort(key=lambda a: a.account != account)
        for adapter in candidates:
            if urlsplit(adapter.base_url).netloc == host:
                return evolve(adapter, base_url=base_url)
        raise ConfigurationError(
            f"no {provider} account is configured for {host}, where this was accepted"
        )

    def _request(self, request: ImageRequest | str, fields: dict[str, Any]) -> ImageRequest:
        problems = []
        for name in fields:
            if name not in _REQUEST_FIELDS:
                near = difflib.get_close_matches(name, _REQUEST_FIELDS, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                problems.append(Problem(f"$.{name}", f"unknown field{hint}"))
        if problems:
            raise InvalidRequest(tuple(problems))
        if not isinstance(request, ImageRequest):
            made = ImageRequest(**{"prompt": request, **fields})
        else:
            made = evolve(request, **fields) if fields else request
        if made.extra:
            self._check_extra(made.extra)
        return made

    def _check_extra(self, extra: Mapping[str, Any]) -> None:
        known = {*self._registry.names(), *(a.name for a in self._accounts.values())}
        if unknown := sorted(set(extra) - known):
            message = f"no adapter of that name; {', '.join(sorted(known))}"
            raise InvalidRequest(tuple(Problem(f"$.extra.{n}", message) for n in unknown))

    def _price(
        self, adapter: Adapter, request: ImageRequest, delivery: Delivery | None
    ) -> Money | None:
        region = adapter.price_region
        if delivery is None:
            return self._prices.quote(adapter.name, adapter.account, request, region=region).money
        return self._prices.cost(
            adapter.name,
            request,
            delivered=len(delivery.images),
            billed=delivery.billed,
            region=region,
        )

    def _terms(
        self,
        *,
        on_progress: Progress | None = None,
        deadline: float | None = None,
        may_drop: Collection[str] = (),
        check_limits: bool = True,
    ) -> Terms:
        patience = self._patience
        if deadline is not None:
            if not deadline > 0:
                raise ConfigurationError(f"deadline={deadline!r}: seconds, more than 0")
            patience = evolve(patience, deadline=float(deadline))
        tell = on_progress or self._progress
        if inspect.iscoroutinefunction(tell):
            raise ConfigurationError("on_progress is a coroutine function; nobody would await it")
        return Terms(
            clock=self._clock,
            now=self._now,
            chance=self._chance,
            patience=patience,
            tell=tell or (lambda event: None),
            gates=self._gates,
            price=self._price,
            origins=self._origins,
            callbacks=self._callbacks,
            may_drop=may_drop,
            check_limits=check_limits,
        )

    def _generate(self, request: ImageRequest | str, how: Call) -> Conversation[ImageResult]:
        adapter, made, key, terms = self._call(request, how)
        return Conversation(flow.generate(adapter, made, key=key, terms=terms), terms)

    def _submit(self, request: ImageRequest | str, how: Call) -> Conversation[Job]:
        adapter, made, key, terms = self._call(request, how)
        return Conversation(flow.submit(adapter, made, key=key, terms=terms), terms)

    def _call(
        self, request: ImageRequest | str, how: Call
    ) -> tuple[Adapter, ImageRequest, str, Terms]:
        fields: dict[str, Any] = {**how}
        options = {name: fields.pop(name) for name in _CALL_OPTIONS if name in fields}
        made, adapter = self._request(request, fields), self._choose(options.pop("provider", None))
        adapter.bearer()
        key = options.pop("key", None) or self._new_key()
        return adapter, made, key, self._terms(**options)

    def _wait(
        self, job: Job, deadline: float | None, on_progress: Progress | None
    ) -> Conversation[ImageResult]:
        adapter = self._at(job.account, job.provider, job.base_url)
        terms = self._terms(deadline=deadline, on_progress=on_progress)
        return Conversation(flow.wait(adapter, job, terms=terms), terms)

    def _look(self, job: Job) -> Conversation[Step]:
        adapter, terms = self._at(job.account, job.provider, job.base_url), self._terms()
        return Conversation(flow.look(adapter, job, terms=terms), terms)

    def _reconcile(self, receipt: Receipt) -> Conversation[Found]:
        adapter = self._at(receipt.account, receipt.provider, receipt.base_url)
        terms = self._terms()
        return Conversation(flow.reconcile(adapter, receipt, terms=terms), terms)

    def _cancel(self, job: Job) -> Conversation[Cancelled | TooLate]:
        adapter, terms = self._at(job.account, job.provider, job.base_url), self._terms()
        return Conversation(flow.converse(adapter, adapter.cancel(job), terms=terms), terms)

    def _balance(self, provider: str | None) -> Conversation[Money]:
        adapter, terms = self._choose(provider), self._terms()
        return Conversation(flow.converse(adapter, adapter.balance(), terms=terms), terms)

    def _models(self, provider: str | None) -> Conversation[tuple[ModelInfo, ...]]:
        adapter, terms = self._choose(provider), self._terms()
        return Conversation(flow.converse(adapter, adapter.models(), terms=terms), terms)

    def _estimate(
        self, request: ImageRequest | str, provider: str | None, fields: dict[str, Any]
    ) -> Conversation[Money]:
        made, adapter, terms = self._request(request, fields), self._choose(provider), self._terms()
        fitted = plan(adapter, made).settle()
        exchange = adapter.estimate(fitted.request, fitted.offer)
        return Conversation(flow.converse(adapter, exchange, terms=terms), terms)

    def _refresh(self, job: Job) -> Conversation[tuple[Image, ...]]:
        adapter, terms = self._at(job.account, job.provider, job.base_url), self._terms()
        return Conversation(flow.converse(adapter, adapter.refresh(job), terms=terms), terms)

    def _measure(self, request: ImageRequest) -> Conversation[ImageRequest]:
        terms = self._terms()
        return Conversation(fetch.measure(request, terms=terms), terms)

    def _download(self, image: Image) -> Conversation[Image]:
        terms = self._terms()
        return Conversation(fetch.download_image("download", image, terms=terms), terms)

    def _save(self, image: Image, file: PictureFile) -> Conversation[None]:
        terms = self._terms()
        return Conversation(fetch.download("download", image, file, terms=terms), terms)


def sandboxed(
    sandbox: Sandbox | None,
    registry: Registry,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Sandbox, list[Adapter]]:
    """A sandbox and an account for each provider it speaks; *options* by the provider's name."""
    from wanbridge.sandbox import Sandbox

    sandbox = sandbox or Sandbox()
    adapters = [
        registry.build(
            name,
            api_key=sandbox.api_key(name),
            base_url=sandbox.base_url(name),
            options=(options or {}).get(name),
        )
        for name in sandbox.providers
    ]
    return sandbox, adapters
