"""A server that speaks the providers' wire formats: strict, honest, and able to misbehave.

In process, with any httpx client::

    sandbox = Sandbox(["runware"], latency=0)
    client = httpx.Client(transport=SandboxTransport(sandbox))
    client.post(sandbox.base_url("runware"), ...)

Over a socket::

    with running() as sandbox:
        sandbox.base_url("reapi")   # http://127.0.0.1:54321/reapi/api/v1

It knows nothing of wanbridge's adapters: two readings of the providers' manuals check each other.
The socket and the pictures need the extra ``sandbox``; what is not used is not imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wanbridge.sandbox.faults import KINDS, Fault
from wanbridge.sandbox.reply import Reply
from wanbridge.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from wanbridge.sandbox.server import running, serve
    from wanbridge.sandbox.transport import SandboxTransport

__all__ = ["KINDS", "Fault", "Reply", "Sandbox", "SandboxTransport", "running", "serve"]

_LAZY = {"running": "server", "serve": "server", "SandboxTransport": "transport"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
