"""One run of the command: what it has in hand, and what it may not print."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from attrs import Factory, define

from wanbridge.cli.call_state import Tracker
from wanbridge.cli.handles import HandleFiles
from wanbridge.engine.events import Event
from wanbridge.model.result import ImageResult

_HIDDEN = "***"


@define
class Session:
    """What whoever ends a command needs to know: everything that is paid for and not yet kept.

    Attributes:
        handles: The files of what it may have bought.
        result: Delivered, and not all of its pictures saved.
        config: To be named in advice, if it was given as a flag.
        sandbox: Whether the provider ends with this command.
        accounts: Other configured accounts that have a key.
        trace: Whether every attempt is to be shown.
    """

    handles: HandleFiles = Factory(HandleFiles)
    result: ImageResult | None = None
    config: Path | None = None
    sandbox: bool = False
    accounts: tuple[str, ...] = ()
    trace: bool = False
    tracker: Tracker = Factory(Tracker)
    _secrets: set[str] = Factory(set)

    def told(self, event: Event) -> None:
        """Take note of *event*; on the disk first."""
        self.handles.told(event)
        self.tracker(event)

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
