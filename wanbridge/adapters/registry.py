"""Adapter classes by name, and accounts built from settings.

Outside packages publish theirs in the entry-point group ``wanbridge.adapters``::

    [project.entry-points."wanbridge.adapters"]
    halide = "halide_wanbridge:Halide"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs

from wanbridge.adapters.base import Adapter
from wanbridge.errors import ConfigurationError, UnknownProvider
from wanbridge.model.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "wanbridge.adapters"
# Built-in adapters by name; each is imported on first use.
BUILTIN = {
    "runware": "wanbridge.providers.runware:Runware",
    "reapi": "wanbridge.providers.reapi:ReApi",
    "dashscope": "wanbridge.providers.dashscope:DashScope",
    "gccai": "wanbridge.providers.gccai:Gccai",
    "kie": "wanbridge.providers.kie:Kie",
    "empiriolabs": "wanbridge.providers.empiriolabs:EmpirioLabs",
    "crun": "wanbridge.providers.crun:Crun",
}


class Registry:
    """The known adapters: built-in, of installed packages, and added at run time."""

    def __init__(self) -> None:
        self._added: dict[str, type[Adapter]] = {}
        self._entries: dict[str, EntryPoint] | None = None

    def add(self, adapter: type[Adapter]) -> None:
        """Make an adapter class known under its own name.

        Raises:
            ConfigurationError: the name is taken.
        """
        known = self._added.setdefault(adapter.name, adapter)
        if adapter.name in BUILTIN or known is not adapter:
            raise ConfigurationError(f"an adapter called {adapter.name!r} is there already")

    def names(self) -> tuple[str, ...]:
        """Every adapter's name, built-in ones first."""
        return tuple(dict.fromkeys([*BUILTIN, *self._added, *self._installed()]))

    def adapter(self, name: str) -> type[Adapter]:
        """The class of that name.

        Raises:
            UnknownProvider: there is none, or its package cannot be imported.
        """
        if name in BUILTIN:
            module, _, attribute = BUILTIN[name].partition(":")
            found = getattr(import_module(module), attribute)
        elif name in self._added:
            found = self._added[name]
        elif name in self._installed():
            found = self._load(self._installed()[name])
        else:
            hint = did_you_mean(name, self.names())
            known = ", ".join(self.names())
            raise UnknownProvider(f"no adapter is called {name!r}; {hint}there are: {known}")
        assert isinstance(found, type)
        return found

    def build(
        self,
        name: str,
        *,
        account: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Adapter:
        """An account with the adapter *name*.

        Args:
            account: The account's name; the adapter's own by default.
            base_url: With the version prefix; the adapter's own by default.
            options: Fields of the adapter's `Options`.

        Raises:
            ConfigurationError: an option is unknown or wrong; the message names the account.
        """
        cls = self.adapter(name)
        account = account or name
        given: dict[str, Any] = {"account": account, "api_key": api_key or None}
        try:
            given["options"] = cls.Options(**self._checked_options(cls, options or {}))
            if base_url:
                given["base_url"] = base_url
            return cls(**given)
        except (ValueError, TypeError, ConfigurationError) as exc:
            raise ConfigurationError(f"providers.{account}: {exc}") from None

    @staticmethod
    def _checked_options(adapter: type[Adapter], options: Mapping[str, Any]) -> Mapping[str, Any]:
        known = [f.name for f in attrs.fields(adapter.Options)]
        for key in options:
            if key not in known:
                near = nearest(key, known)
                hint = f"; did you mean {near!r}?" if near else ""
                raise ConfigurationError(f"{key!r} is no option of {adapter.name}{hint}")
        return options

    def _installed(self) -> Mapping[str, EntryPoint]:
        if self._entries is None:
            from importlib.metadata import entry_points  # loads 40 modules; most need ours only

            self._entries = {e.name: e for e in entry_points(group=GROUP)}
        return self._entries

    @staticmethod
    def _load(entry: EntryPoint) -> type[Adapter]:
        try:
            found = entry.load()
        except Exception as exc:
            message = f"adapter {entry.name!r} ({entry.value}) cannot be imported: {exc}"
            raise UnknownProvider(message) from exc
        if not (isinstance(found, type) and issubclass(found, Adapter)):
            raise UnknownProvider(f"adapter {entry.name!r} ({entry.value}) is no Adapter class")
        return found
