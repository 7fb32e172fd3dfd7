"""The state of one run of the command, and the secrets that it does not print."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from attrs import Factory, define

from wanbridge.cli.call_state import CallState
from wanbridge.cli.handles import HandleFiles
from wanbridge.engine.events import Event
from wanbridge.model.result import ImageResult

_HIDDEN = "***"


@define
class Session:
    """What the end of a command needs to know: everything that is paid for and not yet saved.

    Attributes:
        handles: The job, receipt and result files of this run.
        result: The delivered result until all its pictures are saved; None otherwise.
        config: The configuration file, named in advice; None if it was not given.
        sandbox: Whether the provider is a sandbox that ends with this command.
        accounts: Other configured accounts that have a key.
        trace: Whether every attempt is shown.
        call_state: The state of the call in progress.
    """

    handles: HandleFiles = Factory(HandleFiles)
    result: ImageResult | None = None
    config: Path | None = None
    sandbox: bool = False
    accounts: tuple[str, ...] = ()
    trace: bool = False
    call_state: CallState = Factory(CallState)
    _secrets: set[str] = Factory(set)

    def on_event(self, event: Event) -> None:
        """Record *event*: in the files first, then in `call_state`."""
        self.handles.on_event(event)
        self.call_state.on_event(event)

    def keep_secret(self, keys: Iterable[str | None]) -> None:
        """Never print these; a provider may echo a key in a message."""
        self._secrets |= {key for key in keys if key and len(key) >= 4}

    def hide(self, text: str) -> str:
        """*text* without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def line(self, text: str) -> str:
        """*text* on one line, without secrets and control characters."""
        hidden = " ".join(self.hide(text).split())
        return "".join(c if c.isprintable() else "?" for c in hidden)

    def command(self, name: str, file: Path) -> str:
        """The shell command *name* on *file*, with ``--config`` if it was given."""
        words = ["wanbridge", name, str(file)]
        if self.config is not None:
            words += ["--config", str(self.config)]
        return shlex.join(words)
