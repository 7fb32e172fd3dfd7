"""The one module that names the HTTP library, and loads it at the first exchange.

httpx has had no release since 2024 and its 1.0 line drops async; httpx2 is its maintained
continuation with the same API (read 2026-11-20). So: httpx2 if it is there, else httpx.
Programs that only compare prices, validate or explain never load it: it takes more time to
import than all that they use of wanbridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
else:

    def __getattr__(name: str) -> Any:
        if name != "httpx":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            import httpx2 as found
        except ImportError:
            import httpx as found
        globals()[name] = found
        return found


__all__ = ["httpx"]
