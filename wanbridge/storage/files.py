"""Picture files on disk: named by content, seen whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from wanbridge.pictures.claims import excess
from wanbridge.pictures.headers import _EXTENSIONS, _HEAD, _OF_PICTURES, _mime
from wanbridge.pictures.metadata import Facts, edited, edits

log = logging.getLogger("wanbridge")


P = TypeVar("P", Path, PurePosixPath)


class NotAPicture(ValueError):
    """Bytes that are no picture, or one that claims more pixels than they can hold."""


class PictureFile:
    """A picture on its way to the disk; nothing is seen under its name before it is complete.

    ::

        with PictureFile(Path("kite.png"), force=False) as file:
            async for chunk in reply:
                file.write(chunk)
            path = file.commit()

    The bytes go to a hidden file beside the target. Leaving the block without `commit`, by
    whatever exception, removes it. Not for several threads at once.
    """

    def __init__(self, path: Path, *, force: bool, facts: Facts | None = None) -> None:
        """Begin a picture that is to become *path*, replacing what is there only with *force*.

        Args:
            facts: Where it comes from, which is written into the file; see
                `wanbridge.pictures.metadata`.

        Raises:
            FileNotFoundError: there is no such directory; ``.filename`` names it.
            IsADirectoryError: *path* is a directory.
            OSError: the directory does not take files; ``.filename`` names it.
        """
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "A directory, not a file name", str(path))
        self._path = path
        self._force = force
        self._facts = facts or {}
        self._head = b""
        self._target: Path | None = None
        name = f".wanbridge-{secrets.token_hex(8)}"
        self._temporary, self._copy = (path.parent / f"{name}{end}" for end in (".part", "-2.part"))
        try:
            # "x" is exclusive, and leaves the permissions to the umask.
            self._file = self._temporary.open("x+b")
        except OSError as exc:
            exc.filename = str(path.parent)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Closing writes what is buffered and fails again on a full disk; the first error counts.
        with suppress(OSError):
            self._file.close()
        for left in (self._temporary, self._copy):
            with suppress(OSError):
                left.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes; a wrong beginning or a taken name is found at the first of them.

        Raises:
            NotAPicture: says what it begins with.
            FileExistsError: a picture of that name exists.
            OSError: the disk is full, and the like.
        """
        self._file.write(chunk)
        if len(self._head) < _HEAD:
            self._head += chunk[: _HEAD - len(self._head)]
            if len(self._head) == _HEAD:
                self._settle()

    def restart(self) -> None:
        """Forget what was written: the transfer begins anew."""
        self._file.seek(0)
        self._file.truncate()
        self._head, self._target = b"", None

    def commit(self) -> Path:
        """Make the picture appear under its name, all of it or not at all; once.

        Returns:
            Where it is: the extension follows the content. ``kite.jpg`` with a PNG inside becomes
            ``kite.png``, ``kite`` and ``kite.v2`` become ``kite.png`` and ``kite.v2.png``.

        Raises:
            NotAPicture: says what it begins with, or what it claims.
            FileExistsError: a picture of that name exists, perhaps since a moment ago.
            OSError: the disk is full, and the like.
        """
        target = self._settle()
        if (problem := excess(self._file)) is not None:
            raise NotAPicture(problem)
        complete = self._annotated() or self._temporary
        if complete is self._temporary:
            _flush(self._file)
        self._file.close()
        if self._force:
            complete.replace(target)
        else:
            _appear(complete, target)
        return target

    def _annotated(self) -> Path | None:
        """A copy that has the facts, in a hidden file as well; None to leave it as delivered.

        A paid picture is not lost because its metadata cannot be written, whatever the reason.
        """
        try:
            if not self._facts or not (changes := edits(self._file, self._facts)):
                return None
            with self._copy.open("xb") as copy:
                copy.writelines(edited(self._file, changes))
                _flush(copy)
        except Exception:
            log.exception("wanbridge: a picture is saved as delivered, without metadata")
            return None
        return self._copy

    def _settle(self) -> Path:
        """The final name, by the first bytes."""
        if self._target is None:
            mime = _mime(self._head)
            if mime is None:
                begins = f"it begins with {self._head!r}" if self._head else "it is empty"
                raise NotAPicture(f"not a picture: {begins}")
            self._target = _named(self._path, mime)
            # Early, to spare the rest of the download; what counts is `_appear`.
            if not self._force and os.path.lexists(self._target):
                raise _exists(self._target)
        return self._target


def _flush(file: BinaryIO) -> None:
    """Put the bytes on the disk."""
    file.flush()
    os.fsync(file.fileno())


def annotated(data: bytes, facts: Facts) -> bytes:
    """A picture in memory with *facts* written into it, as `PictureFile` does; else as it is.

    Raises:
        NotAPicture: says what it claims.
    """
    file = BytesIO(data)
    if (problem := excess(file)) is not None:
        raise NotAPicture(problem)
    try:
        if facts and (changes := edits(file, facts)):
            return b"".join(edited(file, changes))
    except Exception:
        log.exception("wanbridge: a picture is stored as delivered, without metadata")
    return data


def _named(path: P, mime: str) -> P:
    """*path* with the extension that belongs to the content; a foreign one is kept before it."""
    spellings = _EXTENSIONS[mime]
    suffix = path.suffix.lower()
    if suffix in spellings:
        return path
    if suffix in _OF_PICTURES:
        return path.with_suffix(spellings[0])
    return path.with_name(path.name + spellings[0])


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "Exists, and is not replaced without force", str(target))


def _appear(temporary: Path, target: Path) -> None:
    """Give the file its name, and never take it from another; the temporary name may remain."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:
        # No hard links on FAT, exFAT and some network file systems, under half a dozen error
        # codes. There the name is taken by an empty file first.
        try:
            target.open("xb").close()
        except FileExistsError:
            raise _exists(target) from None
        try:
            temporary.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def save(chunks: Iterable[bytes], path: Path, *, force: bool, facts: Facts | None = None) -> Path:
    """Write a picture to *path* as its bytes come; the file appears when it is complete.

    Args:
        facts: As for `PictureFile`.

    Returns:
        Where it is: the extension follows the content, see `PictureFile.commit`.

    Raises:
        NotAPicture: says what it begins with, or what it claims.
        FileExistsError: it exists, and *force* is not set.
        OSError: as `PictureFile` says. On any error, also of *chunks*, no file is left behind.
    """
    with PictureFile(path, force=force, facts=facts) as file:
        for chunk in chunks:
            file.write(chunk)
        return file.commit()
