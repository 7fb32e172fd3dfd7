"""The adapter for DashScope, and what it offers outside; its parts are files by subject."""

from wanbridge.providers.dashscope.adapter import DashScope, Options

__all__ = ["DashScope", "Options"]
