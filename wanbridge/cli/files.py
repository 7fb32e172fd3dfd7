"""Jobs, receipts and results as JSON files, which later commands read."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from wanbridge.cli.usage import UsageError, read_file
from wanbridge.errors import InvalidRequest
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import ImageResult
from wanbridge.storage.addresses import Address
from wanbridge.storage.filenames import safe, short

Stored = Job | Receipt | ImageResult
T = TypeVar("T")


def read(path: Path, load: Callable[[bytes], T], kind: str) -> T:
    """The document at *path*, parsed by *load*.

    Raises:
        UsageError: it cannot be read, or is no such document.
    """
    text = read_file(path)
    try:
        return load(text)
    except InvalidRequest as exc:
        advice = f"see: {shlex.join(['wanbridge', 'validate', str(path)])} --as {kind}"
        raise UsageError(f"{path}: {exc}", advice) from None


def name_of(value: Stored, key: str = "") -> str:
    """The usual file name of a job, receipt or result.

    Args:
        key: Stands in for the id of a result that has none.
    """
    match value:
        case Job():
            return f"{safe(value.account)}-{safe(value.id)}.job.json"
        case Receipt():
            return f"{safe(value.account)}-{short(value.key)}.receipt.json"
        case ImageResult():
            return f"{safe(value.provider)}-{safe(value.job_id or short(key))}.result.json"


def write(path: Path, text: str, *, force: bool = False) -> Path:
    """Write *text* atomically to a file of mode 600.

    Raises:
        FileExistsError: it is there already and *force* is False.
    """
    temporary = path.with_name(f".wanbridge-{secrets.token_hex(8)}.part")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        if force:
            temporary.replace(path)
        else:
            _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _publish(temporary: Path, path: Path) -> None:
    """Rename the temporary file to *path*; an existing file is not replaced."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on FAT and some network file systems: the name is taken by an empty file.
        path.open("xb").close()
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def write_anywhere(value: Stored, folder: Path, *, key: str = "") -> Path | None:
    """Write *value* under its usual name to the first directory that takes it: it is paid for.

    Returns:
        The file in *folder*, else in the working directory, else in that for temporary files.
        None if it can be written to none of them.
    """
    name, text = name_of(value, key), value.to_json()
    for temporary in (folder, Path(), Path(tempfile.gettempdir())):
        for candidate in _numbered(temporary / name):
            with contextlib.suppress(FileExistsError):
                try:
                    return write(candidate, text)
                except FileExistsError:
                    raise
                except OSError:
                    break
    return None


def _numbered(path: Path) -> Iterable[Path]:
    base, _, ending = path.name.partition(".")
    return (path, *(path.with_name(f"{base}-{n}.{ending}") for n in range(2, 100)))


@frozen
class DocumentTarget:
    """The destination of a job file.

    Attributes:
        path: The file as given; None for the job's usual name in *folder*.
        force: Whether an existing file is replaced.
    """

    folder: Path
    path: Path | None
    force: bool

    @classmethod
    def of(cls, given: str | None, *, force: bool) -> DocumentTarget:
        """Check ``-o`` before anything is bought.

        Raises:
            UsageError: it exists, or its directory does not or is not writable.
        """
        path = Path(given) if given else Path()
        if path.is_dir():
            check_folder(path)
            return cls(path, None, force)
        check_folder(path.parent)
        if not force and os.path.lexists(path):
            raise file_exists_error(path)
        return cls(path.parent, path, force)

    def write(self, value: Stored) -> Path:
        """Write *value*; a usual name that is taken gives way to a numbered one."""
        text = value.to_json()
        if self.path is not None:
            return write(self.path, text, force=self.force)
        usual = self.folder / name_of(value)
        if self.force or not os.path.lexists(usual):
            return write(usual, text, force=True)
        for path in _numbered(usual):
            with contextlib.suppress(FileExistsError):
                return write(path, text)
        raise file_exists_error(usual)


def check_folder(folder: Path) -> None:
    """Raise `UsageError` unless files can be made there."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such directory; nothing was sent")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as exc:
        raise UsageError(f"{folder}: {exc.strerror}; nothing was sent") from None


def file_exists_error(path: Path | Address) -> UsageError:
    """The error for a file or object that would be replaced without ``--force``."""
    return UsageError(f"{path} exists", "--force replaces it, -o names another")
