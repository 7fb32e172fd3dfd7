"""The one module that names the HTTP library.

httpx has had no release since 2024 and its 1.0 line drops async; httpx2 is its maintained
continuation with the same API (read 2026-11-20). So: httpx2 if it is there, else httpx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx2 as httpx
    except ImportError:
        import httpx

__all__ = ["httpx"]
