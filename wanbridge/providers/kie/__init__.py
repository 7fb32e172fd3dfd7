"""The adapter for KIE, and what it offers outside; its parts are files by subject."""

from wanbridge.providers.kie.adapter import Kie, Options

__all__ = ["Kie", "Options"]
