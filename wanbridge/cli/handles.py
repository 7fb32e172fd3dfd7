"""The job, receipt and result files of a running command, for what it may have bought.

A receipt is written before the first byte of a submit, and the job once that is accepted; they
are taken away when the pictures are saved. So there is always something to go on from, also
after ``kill -9``, which nothing can catch.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from attrs import Factory, define

from wanbridge.cli.files import DocumentTarget, Stored, write, write_anywhere
from wanbridge.cli.usage import UsageError
from wanbridge.engine.events import Accepted, Event, Submitting
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import ImageResult

_Name = tuple[str, ...]


def _name(value: Stored) -> _Name:
    """Identifies a job, receipt or result across its states."""
    match value:
        case Receipt():
            return ("receipt", value.account, value.key)
        case Job():
            return ("job", value.account, value.id)
        case ImageResult():
            return ("result",)


@define
class HandleFiles:
    """Jobs, receipts and results of one command, each in one file.

    Attributes:
        folder: Where the files are made: the output directory once it is known.
        key: Of the call; names the file of a result without a job.
        target: Where the user wants the job; None: under its usual name in *folder*.
    """

    folder: Path = Path()
    key: str = ""
    target: DocumentTarget | None = None
    _files: dict[_Name, Path] = Factory(dict)
    _users_own: set[_Name] = Factory(set)
    _always_kept: set[_Name] = Factory(set)

    def register(self, value: Stored, file: Path) -> None:
        """Record that *value* was read from the user's *file*, which is never changed."""
        self._files[_name(value)] = file
        self._users_own.add(_name(value))

    def on_event(self, event: Event) -> None:
        """Write the receipt or job of *event*, before the call goes on.

        Raises:
            UsageError: the receipt cannot be written, so nothing may be sent.
        """
        match event:
            case Submitting(receipt):
                if self.keep(receipt) is None:
                    where = f"neither in {self.folder.resolve()} nor among the temporary files"
                    raise UsageError(f"the receipt cannot be written, {where}; nothing was sent")
            case Accepted(job):
                # In this order: at any moment one of the two is there.
                if self.keep(job) is not None:
                    self._remove([("receipt", job.account, job.key)])

    def keep(self, value: Stored) -> Path | None:
        """Write *value* to its file and return that; None if it can be written nowhere."""
        name = _name(value)
        file = self._files.get(name)
        if file is not None and name not in self._users_own:
            try:
                write(file, value.to_json(), force=True)
            except OSError:
                # An earlier state is good enough to go on from, unless it has gone.
                if not file.exists():
                    del self._files[name]
                    file = None
        if file is None and (file := self._create(value)) is not None:
            self._files[name] = file
        return file

    def keep_always(self, value: Stored) -> Path | None:
        """As `keep`; `remove_except` never removes the file."""
        self._always_kept.add(_name(value))
        return self.keep(value)

    def remove_except(self, *values: Stored) -> None:
        """Remove the files of this run, except those of *values* and of `keep_always`.

        Nothing is removed unless each of *values* has its file.
        """
        names = {_name(value) for value in values}
        if names <= self._files.keys():
            stay = names | self._always_kept | self._users_own
            self._remove([name for name in self._files if name not in stay])

    def _create(self, value: Stored) -> Path | None:
        if isinstance(value, Job) and self.target is not None:
            with suppress(OSError, UsageError):  # taken or full since; the job is paid for
                return self.target.write(value)
        return write_anywhere(value, self.folder, key=self.key)

    def _remove(self, names: Iterable[_Name]) -> None:
        for name in names:
            if (file := self._files.pop(name, None)) is not None:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
