"""The providers' servers, one package each: written from their manuals, never from our adapters."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from wanbridge.sandbox.dialect import Dialect

# Name of the provider (and of its module), name of the class.
BUILTIN: Final = {
    "crun": "Crun",
    "dashscope": "DashScope",
    "empiriolabs": "EmpirioLabs",
    "gccai": "Gccai",
    "kie": "Kie",
    "reapi": "Reapi",
    "runware": "Runware",
}


def dialect_class(provider: str) -> type[Dialect]:
    """The server of *provider*. Raises ValueError if the sandbox has none."""
    if provider not in BUILTIN:
        known = ", ".join(BUILTIN)
        raise ValueError(f"the sandbox has no provider {provider!r}; it has {known}")
    module = import_module(f"{__name__}.{provider}.server")
    found: type[Dialect] = getattr(module, BUILTIN[provider])
    return found
