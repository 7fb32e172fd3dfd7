"""The configured accounts of a client, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.registry import Registry
from wanbridge.client.arguments import expect, expect_or_none
from wanbridge.client.options import request_of
from wanbridge.errors import ConfigurationError, InvalidRequest, Problem, UnknownProvider
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.nearest import did_you_mean
from wanbridge.model.request import ImageRequest


class Accounts:
    """Adapters by the name of their account, and which of them a call means.

    Args:
        adapters: One for each account.
        default: The account of calls that name none; None: the only one.
        registry: Knows the adapters that ``extra`` may name besides the configured ones.

    Attributes:
        named: The adapters by account, in the order given.

    Raises:
        ConfigurationError: two accounts have one name.
        UnknownProvider: *default* is no account.
    """

    def __init__(
        self, adapters: Sequence[Adapter], *, default: str | None, registry: Registry
    ) -> None:
        self.named: dict[str, Adapter] = {}
        expect("registry", registry, Registry)
        expect("adapters", adapters, Sequence, "a list of Adapter")
        expect_or_none("default", default, str, "the name of an account")
        for number, adapter in enumerate(adapters):
            expect(f"adapters[{number}]", adapter, Adapter)
            if self.named.setdefault(adapter.account, adapter) is not adapter:
                raise ConfigurationError(f"two accounts are called {adapter.account!r}")
        if default is not None and default not in self.named:
            raise UnknownProvider(self._no_such(default))
        self._default, self._registry = default, registry

    def _no_such(self, name: str) -> str:
        known = ", ".join(self.named) or "none is configured"
        hint = did_you_mean(name, self.named)
        return f"no account is called {name!r}; {hint}there are: {known}"

    def choose(self, name: str | None) -> Adapter:
        """The account of that name, else the default, else the only one.

        Raises:
            TypeError: *name* is no text.
            UnknownProvider: no account has that name.
            ConfigurationError: none is named, and there is not exactly one.
        """
        expect_or_none("provider", name, str, "the name of an account")
        name = self._default if name is None else name
        if name is not None:
            if name not in self.named:
                raise UnknownProvider(self._no_such(name))
            return self.named[name]
        if len(self.named) == 1:
            return next(iter(self.named.values()))
        if not self.named:
            raise ConfigurationError(
                "no provider is configured; set one of"
                f" {', '.join(f'{n.upper()}_API_KEY' for n in self._registry.names())},"
                " or give a configuration file"
            )
        raise ConfigurationError(f"which provider? provider=... one of {', '.join(self.named)}")

    def where(self, handle: Job | Receipt) -> Adapter:
        """The adapter that made *handle*, with the base URL where it was made.

        An account of the same provider and host stands in for one that is no longer configured.

        Raises:
            ConfigurationError: no account of that provider is configured for that host.
        """
        provider, base_url = handle.provider, handle.base_url
        host = urlsplit(base_url).netloc
        candidates = [a for a in self.named.values() if a.name == provider]
        candidates.sort(key=lambda a: a.account != handle.account)
        for adapter in candidates:
            if urlsplit(adapter.base_url).netloc == host:
                return evolve(adapter, base_url=base_url)
        raise ConfigurationError(
            f"no {provider} account is configured for {host}, where this was accepted"
        )

    def request(self, request: ImageRequest | str, fields: Mapping[str, Any]) -> ImageRequest:
        """The request with *fields* changed, or one with that prompt.

        Raises:
            InvalidRequest: a field is unknown or wrong, or ``extra`` names no adapter.
        """
        made = request_of(request, fields)
        if made.extra:
            self._check_extra(made.extra)
        return made

    def _check_extra(self, extra: Mapping[str, Any]) -> None:
        known = {*self._registry.names(), *(a.name for a in self.named.values())}
        if unknown := sorted(set(extra) - known):
            message = f"no adapter of that name; {', '.join(sorted(known))}"
            raise InvalidRequest(tuple(Problem(f"$.extra.{n}", message) for n in unknown))
