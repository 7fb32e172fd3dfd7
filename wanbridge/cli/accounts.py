"""Accounts and clients from flags: a configuration file, the environment, or a sandbox."""

from __future__ import annotations

import secrets
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from wanbridge import config
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import Registry
from wanbridge.cli.options import AccountOptions
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError
from wanbridge.client.asynchronous import AsyncClient
from wanbridge.client.base import sandboxed
from wanbridge.client.blocking import Client
from wanbridge.client.options import Call
from wanbridge.engine.context import Timeouts

if TYPE_CHECKING:
    from wanbridge.sandbox import Sandbox

C = TypeVar("C", Client, AsyncClient)

# The sandbox is on this machine and has no rate limit to keep.
QUICK = Timeouts(poll_interval=PollInterval(first=0.2, factor=1.3, most=1.0))
SANDBOX_DEFAULT = "runware"


@contextmanager
def open_client(file: Path | None, session: Session) -> Iterator[Client]:
    """A client with the accounts of *file*, else of the environment."""
    with _client(_read_session_settings(file, session)) as client:
        yield client


@contextmanager
def selected_client(options: AccountOptions, session: Session) -> Iterator[tuple[Client, Call]]:
    """A client by the flags, and its ``provider`` or ``route`` argument.

    Raises:
        UsageError: the flags contradict each other, or do not name one of several accounts.
    """
    if options.provider is not None and options.route is not None:
        raise UsageError("--provider or --route, not both")
    by_route: Call = {"route": options.route}
    if options.sandbox:
        session.sandbox = True
        named: Call = {"provider": options.provider or SANDBOX_DEFAULT}
        with sandbox_running(session) as sandbox, sandbox_client(Client, sandbox) as client:
            yield client, by_route if options.route else named
        return
    settings = _read_session_settings(options.config, session)
    provider = options.provider
    routed = options.route is not None or (provider is None and "default" in settings.routes)
    accounts = tuple(a.account for a in settings.adapters)
    if provider is None and not routed and len(accounts) > 1:
        known = ", ".join(accounts)
        advice = "name one with --provider, or let --route cheapest choose"
        raise UsageError(f"which provider? there are: {known}", advice)
    asked = provider or next(iter(accounts), None)
    # A route has tried all accounts: none is left to suggest.
    session.accounts = () if routed else tuple(a for a in session.accounts if a != asked)
    with _client(settings) as client:
        yield client, by_route if options.route else {"provider": provider}


def _read_session_settings(file: Path | None, session: Session) -> config.Settings:
    session.config = file
    settings = read_settings(file)
    session.keep_secret(a.api_key for a in settings.adapters)
    session.accounts = tuple(a.account for a in settings.adapters if a.api_key)
    return settings


def _client(settings: config.Settings) -> Client:
    if settings.fit:
        require_images()
    return Client.of(settings)


@contextmanager
def sandbox_running(session: Session, *, latency: float = 0.3) -> Iterator[Sandbox]:
    """A sandbox on a local socket, with other ids each time.

    Raises:
        UsageError: its libraries are not installed.
    """
    require_sandbox()
    from wanbridge.sandbox import Sandbox, running

    with running(Sandbox(latency=latency, seed=secrets.randbits(32))) as sandbox:
        yield sandbox


def require_sandbox() -> None:
    """Raise `UsageError` if the sandbox's libraries are missing."""
    try:
        import wanbridge.sandbox.drawing
        import wanbridge.sandbox.server  # noqa: F401
    except ImportError as exc:
        raise UsageError(str(exc)) from None


def require_images() -> None:
    """Raise `UsageError` if the libraries that fit pictures are missing."""
    try:
        import pillow_heif  # noqa: F401 - which needs Pillow
    except ImportError as exc:
        raise UsageError(
            f"fitting pictures needs {exc.name}: pip install 'wanbridge[images]'"
        ) from None


def sandbox_client(
    kind: type[C], sandbox: Sandbox, *, options: Mapping[str, Mapping[str, Any]] | None = None
) -> C:
    """A client with an account for every provider of *sandbox*, with *options* by name."""
    _, adapters = sandboxed(sandbox, Registry(), options)
    return kind(adapters, timeouts=QUICK)


def read_settings(file: Path | None) -> config.Settings:
    """Settings from *file*, else from the environment; warnings go to standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        settings = config.load(file) if file is not None else config.from_env()
    for warning in caught:
        print(f"wanbridge: warning: {warning.message}", file=sys.stderr)
    return settings


def all_accounts(file: Path | None, session: Session) -> config.Settings:
    """The settings of *file*; without one those of all adapters, with a key or without."""
    session.config = file
    settings = read_settings(file)
    session.keep_secret(a.api_key for a in settings.adapters)
    if file is not None:
        return settings
    registry = Registry()
    named = {a.name: a for a in settings.adapters}
    adapters = tuple(named.get(n) or registry.build(n) for n in registry.names())
    return evolve(settings, adapters=adapters)


def select_accounts(adapters: Iterable[Adapter], provider: str | None) -> tuple[Adapter, ...]:
    """The account that ``--provider`` names; all if it is not given.

    Raises:
        UsageError: there is none of that name.
    """
    adapters = tuple(adapters)
    if provider is None:
        return adapters
    found = tuple(a for a in adapters if a.account == provider)
    if not found:
        known = ", ".join(a.account for a in adapters) or "none"
        raise UsageError(f"no account is called {provider!r}; there are: {known}")
    return found
