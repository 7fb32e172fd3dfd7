"""The adapter for Runware, and what it offers outside; its parts are files by subject."""

from wanbridge.providers.runware.adapter import Runware

__all__ = ["Runware"]
