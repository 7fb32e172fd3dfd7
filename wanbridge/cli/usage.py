"""Errors in flags and files that the library does not check."""

from __future__ import annotations

from pathlib import Path

from attrs import define


@define(slots=False, eq=False)
class UsageError(Exception):
    """A flag or a file is wrong; nothing was sent.

    Attributes:
        advice: What to do instead; empty if the message says it.
    """

    message: str
    advice: str = ""

    def __str__(self) -> str:
        return self.message


def read_file(path: Path) -> bytes:
    """The bytes of a file that the user names, or `UsageError`."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path}: {exc.strerror or exc}") from None
