"""One run of the command: what it has in hand, and what it may not print."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from attrs import Factory, define

from wanbridge.cli.files import Stored
from wanbridge.cli.tracker import Tracker
from wanbridge.model import ImageResult

_HIDDEN = "***"


@define
class Session:
    """What whoever ends a command needs to know: everything that is paid for and not yet kept.

    Attributes:
        folder: Where jobs, receipts and results are left: the output directory once it is known.
        files: Where the job, receipt or result of this command is already, by its type.
        result: Delivered, and not all of its pictures saved.
        key: Of the call.
        config: To be named in advice, if it was given as a flag.
        sandbox: Whether the provider ends with this command.
        accounts: Other configured accounts that have a key.
        trace: Whether every attempt is to be shown.
    """

    folder: Path = Path()
    files: dict[type[Stored], Path] = Factory(dict)
    result: ImageResult | None = None
    key: str = ""
    config: Path | None = None
    sandbox: bool = False
    accounts: tuple[str, ...] = ()
    trace: bool = False
    tracker: Tracker = Factory(Tracker)
    _secrets: set[str] = Factory(set)

    def keep_secret(self, keys: Iterable[str | None]) -> None:
        """These are never printed, whoever says them. A provider may quote a key back."""
        self._secrets |= {key for key in keys if key and len(key) >= 4}

    def hide(self, text: str) -> str:
        """*text* without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def line(self, text: str) -> str:
        """*text* on one line, without secrets and without what steers a terminal."""
        hidden = " ".join(self.hide(text).split())
        return "".join(c if c.isprintable() else "?" for c in hidden)

    def command(self, name: str, file: Path) -> str:
        """How to go on from *file*."""
        words = ["wanbridge", name, str(file)]
        if self.config is not None:
            words += ["--config", str(self.config)]
        return shlex.join(words)
