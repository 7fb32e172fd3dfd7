"""The adapter for EmpirioLabs, and what it offers outside; its parts are files by subject."""

from wanbridge.providers.empiriolabs.adapter import EmpirioLabs

__all__ = ["EmpirioLabs"]
