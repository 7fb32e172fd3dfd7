"""The destination of pictures, checked before anything is bought."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from attrs import frozen

from wanbridge.cli.files import check_folder, file_exists_error
from wanbridge.cli.usage import UsageError
from wanbridge.model.result import Image, ImageResult
from wanbridge.model.source import Metadata
from wanbridge.storage.filenames import stem_of

_ENDINGS = (".png", ".jpg", ".webp")
_KNOWN = frozenset({*_ENDINGS, ".jpeg", ".jpe", ".jfif"})


@frozen
class Target:
    """A directory, or one file name in it.

    Attributes:
        name: As given; None in a directory, where names are made from the job.
        force: Whether what file_exists_error is replaced.
        metadata: What the files say of where they come from.
    """

    folder: Path
    name: str | None
    force: bool
    metadata: Metadata

    @classmethod
    def of(cls, given: str, *, force: bool, metadata: Metadata) -> Target:
        """Check ``-o``.

        Raises:
            UsageError: it is ``-``, or its directory is missing or not writable.
        """
        if given == "-":
            raise UsageError("-o -: pictures go into files; --json prints the result")
        path = Path(given)
        if path.is_dir() or given.endswith(("/", os.sep)):
            target = cls(path, None, force, metadata)
        else:
            target = cls(path.parent, path.name, force, metadata)
        check_folder(target.folder)
        return target

    def check(self, pictures: int, stem: str | None = None) -> None:
        """Raise `UsageError` if one of so many pictures would meet a file that file_exists_error.

        Args:
            stem: Of the names in a directory; None while no job is known to name them by.
        """
        if self.force or (self.name is None and stem is None):
            return
        for path, _ in zip(self.paths(stem or ""), range(pictures), strict=False):
            endings = ("",) if path.suffix.lower() in _KNOWN else ("", *_ENDINGS)
            for ending in endings:
                if os.path.lexists(taken := path.with_name(path.name + ending)):
                    raise file_exists_error(taken)

    def paths(self, stem: str) -> Iterator[Path]:
        """Names for one picture after the other, without end."""
        if self.name is None:
            return (self.folder / f"{stem}-{n}" for n in count(1))
        path = self.folder / self.name
        more = (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in count(2))
        return (p for group in ((path,), more) for p in group)


@frozen
class Saved:
    """One delivered picture and its file.

    Attributes:
        path: None if it could not be saved.
        error: Why.
    """

    image: Image
    path: Path | None
    error: Exception | None = None


def shown(path: Path) -> str:
    """A path as the user would type it."""
    return os.fspath(path)


def result_stem(result: ImageResult, key: str) -> str:
    """`stem_of` for a result; its call's *key* where the provider gave no id."""
    return stem_of(result.provider, result.job_id or key)
