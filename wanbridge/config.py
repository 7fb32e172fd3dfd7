"""Settings from the environment, a file or a mapping: the only reader of ``os.environ``.

A file is TOML or JSON and must fit ``schemas/config.schema.json``; every problem is named
with its path. Keys go into no message.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
import warnings
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from attrs import field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.registry import Registry
from wanbridge.engine.context import Timeouts
from wanbridge.errors import ConfigurationError, InvalidRequest
from wanbridge.model import schemas
from wanbridge.model.brief import brief
from wanbridge.model.money import Money
from wanbridge.money.budgets import Budget
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.routing.route import Route

# Settings of an account that are not options of its adapter.
_ACCOUNT = ("adapter", "api_key", "api_key_env", "base_url")


@frozen(kw_only=True)
class CallbackSettings:
    """Where callbacks arrive.

    Attributes:
        base_url: Public https address.
        secret: Signs the addresses; None is random for each process.
    """

    base_url: str
    secret: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Settings:
    """What a client is made from.

    Attributes:
        callbacks: None if none are received.
        routes: By name.
        rates: None without any.
        ledger: File of the spend ledger; None keeps none.
        fit: Whether input pictures are fitted.
        storage: URL of the object store, and what else belongs to it; None without one.
    """

    adapters: tuple[Adapter, ...]
    timeouts: Timeouts
    callbacks: CallbackSettings | None = None
    routes: Mapping[str, Route] = field(factory=dict)
    rates: Rates | None = None
    prices: PriceBook = field(factory=PriceBook.builtin)
    ledger: Path | None = None
    fit: bool = False
    storage: Mapping[str, str] | None = None


def from_env(
    environ: Mapping[str, str] | None = None, *, registry: Registry | None = None
) -> Settings:
    """An account for every adapter whose ``<NAME>_API_KEY`` is set.

    ``<NAME>_BASE_URL`` beside it is optional. A base URL alone makes an account too: it can
    explain and quote; the first call raises `MissingCredentials`. ``WANBRIDGE_CALLBACK_URL`` and
    ``WANBRIDGE_CALLBACK_SECRET`` are those of `CallbackSettings`.
    """
    environ = os.environ if environ is None else environ
    if not isinstance(environ, Mapping):
        raise TypeError(f"environ is {brief(environ)}; it must be a mapping like os.environ")
    registry = registry or Registry()
    adapters = []
    for name in registry.names():
        prefix = name.upper().replace("-", "_")
        key, url = environ.get(f"{prefix}_API_KEY"), environ.get(f"{prefix}_BASE_URL")
        if key or url:
            adapters.append(registry.build(name, api_key=(key or "").strip(), base_url=url))
    url, secret = environ.get("WANBRIDGE_CALLBACK_URL"), environ.get("WANBRIDGE_CALLBACK_SECRET")
    callbacks = CallbackSettings(base_url=url, secret=secret or None) if url else None
    return Settings(adapters=tuple(adapters), timeouts=Timeouts(), callbacks=callbacks)


def load(
    source: str | Path | Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Settings:
    """Settings from a TOML or JSON file, or from the same as a mapping.

    Raises:
        ConfigurationError: it cannot be read, or breaks the schema; names every path.
    """
    environ = os.environ if environ is None else environ
    registry = registry or Registry()
    if isinstance(source, Mapping):
        name, document, folder = "configuration", plain(source), Path()
    else:
        if not isinstance(source, str | Path):
            wanted = "a path, or a mapping like the file"
            raise TypeError(f"the configuration is {brief(source)}; it must be {wanted}")
        name, folder = str(source), Path(source).parent
        document = plain(_read(Path(source)))
    _check(name, document)
    adapters = tuple(
        _account(name, account, settings, environ, registry)
        for account, settings in document.get("providers", {}).items()
    )
    ledger, client = document.get("ledger"), document.get("client", {})
    return Settings(
        adapters=adapters,
        timeouts=_timeouts(client),
        callbacks=_callbacks(name, document.get("callbacks"), environ),
        routes={
            title: _route(f"{name}: routes.{title}", title, given, adapters)
            for title, given in document.get("routes", {}).items()
        },
        rates=_rates(name, document.get("rates")),
        prices=_prices(name, document.get("prices", {}), folder, adapters),
        ledger=_resolved(f"{name}: ledger.path", folder, ledger["path"]) if ledger else None,
        fit=client.get("fit", False),
        storage=document.get("storage"),
    )


def _resolved(where: str, folder: Path, given: str) -> Path:
    """A path from a configuration, from its folder if it is relative."""
    try:
        if "\0" in given:
            raise RuntimeError("no file has such a name")
        return folder / Path(given).expanduser()
    except RuntimeError as exc:
        raise ConfigurationError(f"{where}: {given!r}: {exc}") from None


def plain(value: Any) -> Any:
    """*value* with dates as ISO text, which TOML has and JSON and the schema have not."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if type(value) is date else value


def _route(
    where: str, title: str, given: Mapping[str, Any], adapters: tuple[Adapter, ...]
) -> Route:
    known = {adapter.account: adapter for adapter in adapters}
    try:
        budget = given.get("budget")
        made = {
            **given,
            "name": title,
            "budget": [_budget(b) for b in budget] if isinstance(budget, list) else _budget(budget),
            "assume_cost": Money(**given["assume_cost"]) if "assume_cost" in given else None,
        }
        route = Route(**made)
        if route.providers != "any":
            route.accounts(known)
    except (ConfigurationError, InvalidRequest) as exc:
        raise ConfigurationError(f"{where}: {exc}") from None
    return route


def _budget(given: Mapping[str, Any] | None) -> Budget | None:
    if given is None:
        return None
    return Budget(Money(given["amount"], given["currency"]), given.get("period"))


def _rates(name: str, given: Mapping[str, Any] | None) -> Rates | None:
    try:
        return None if given is None else Rates.of(given)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{name}: {exc}") from None


def _prices(
    name: str,
    given: Mapping[str, Mapping[str, Any]],
    folder: Path,
    adapters: tuple[Adapter, ...],
) -> PriceBook:
    if not given:
        return PriceBook.builtin()
    known = {known for adapter in adapters for known in (adapter.account, adapter.name)}
    for owner in given:
        if owner not in known:
            there = ", ".join(sorted(known)) or "none is configured"
            raise ConfigurationError(
                f"{name}: prices.{owner}: no account or provider is called so; there are: {there}"
            )
    placed = {
        owner: {**own, "file": str(_resolved(f"{name}: prices.{owner}.file", folder, own["file"]))}
        if "file" in own
        else own
        for owner, own in given.items()
    }
    try:
        book = PriceBook.builtin().overridden(placed)
        for adapter in adapters:
            if placed.keys() & {adapter.account, adapter.name}:
                book.check(adapter.name, adapter.account)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{name}: {exc}") from None
    return book


def _callbacks(
    name: str, given: Mapping[str, str] | None, environ: Mapping[str, str]
) -> CallbackSettings | None:
    if given is None:
        return None
    if "secret" in given and "secret_env" in given:
        raise ConfigurationError(f"{name}: callbacks: secret or secret_env, not both")
    secret = given.get("secret") or environ.get(given.get("secret_env", ""))
    if not secret and "secret_env" in given:
        # A random one would make addresses that other processes refuse.
        raise ConfigurationError(f"{name}: callbacks: {given['secret_env']} is not set")
    return CallbackSettings(base_url=given["base_url"], secret=secret)


def _timeouts(client: Mapping[str, Any]) -> Timeouts:
    seconds: dict[str, Any] = {k: float(value) for k, value in client.items() if k != "fit"}
    return Timeouts(**seconds)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        mode = path.stat().st_mode
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "no file has such a name"
        raise ConfigurationError(f"{path}: {reason}") from None
    try:
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else exc
        raise ConfigurationError(f"{path}: {reason}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: not a table of settings")
    if mode & (stat.S_IRGRP | stat.S_IROTH) and _holds_key(document):
        message = f"{path} holds a key and can be read by others; chmod 600 {path}"
        warnings.warn(message, stacklevel=5)
    return document


def _holds_key(document: Mapping[str, Any]) -> bool:
    providers, callbacks = document.get("providers"), document.get("callbacks")
    if isinstance(callbacks, Mapping) and "secret" in callbacks:
        return True
    accounts = providers.values() if isinstance(providers, Mapping) else ()
    return any(isinstance(a, Mapping) and "api_key" in a for a in accounts)


def _check(name: str, document: dict[str, Any]) -> None:
    if problems := schemas.problems(document, "config"):
        raise ConfigurationError(f"{name}: {'; '.join(map(str, problems))}")


def _account(
    name: str,
    account: str,
    settings: Mapping[str, Any],
    environ: Mapping[str, str],
    registry: Registry,
) -> Adapter:
    if "api_key" in settings and "api_key_env" in settings:
        raise ConfigurationError(f"{name}: providers.{account}: api_key or api_key_env, not both")
    key = settings.get("api_key") or environ.get(settings.get("api_key_env", ""), "")
    try:
        return registry.build(
            settings.get("adapter", account),
            account=account,
            api_key=key.strip(),
            base_url=settings.get("base_url"),
            options={k: v for k, v in settings.items() if k not in _ACCOUNT},
        )
    except ConfigurationError as exc:
        raise type(exc)(f"{name}: {exc}") from None
