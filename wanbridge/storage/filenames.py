"""File names for pictures and documents, made of ids that come from elsewhere."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath

from wanbridge.model.result import ImageResult
from wanbridge.pictures.headers import ENDINGS
from wanbridge.storage.addresses import Address
from wanbridge.storage.files import _named


def safe(name: str, limit: int = 80) -> str:
    """*name* as part of a file name: ids come from elsewhere."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:limit].strip("_") or "x"


def short(id: str) -> str:
    """The beginning of an id, without a word like ``task_`` before it."""
    return safe(safe(id).rpartition("_")[2], 8)


def stem_of(account: str, id: str) -> str:
    """``<provider>-<job id short>``, what names in a directory begin with."""
    return f"{safe(account)}-{short(id)}"


def free_paths(result: ImageResult, folder: Path, *, force: bool) -> Iterator[Path]:
    """``<folder>/<provider>-<job id short>-<n>`` for one picture after the other, without end.

    The caller appends the ending, which follows the content. Where the provider gave no id of the
    job, its id of the call is used, and ``picture`` for lack of both.

    Args:
        force: Whether numbers that are taken, under any ending, come too.
    """
    paths = (folder / name for name in _names(result))
    return (path for path in paths if force or not _is_taken(path))


def free_addresses(result: ImageResult, folder: Address, *, force: bool) -> Iterator[Address]:
    """As `free_paths`, of objects; in a store a name that is taken is found when it is stored."""
    if folder.scheme == "file":
        paths = free_paths(result, folder.path, force=force)
        return (Address.of(path.as_uri()) for path in paths)
    return (folder.under(name) for name in _names(result))


def _names(result: ImageResult) -> Iterator[str]:
    stem = stem_of(result.provider, result.job_id or result.request_id or "picture")
    return (f"{stem}-{number}" for number in count(1))


def object_key(address: Address, mime: str) -> str:
    """The key of a picture that is stored at *address*; the extension follows the content.

    Raises:
        IsADirectoryError: the address ends in a slash, or is that of a bucket.
    """
    if address.is_prefix:
        reason = "A folder, not the name of an object"
        raise IsADirectoryError(errno.EISDIR, reason, str(address))
    return str(_named(PurePosixPath(address.key), mime))


def _is_taken(path: Path) -> bool:
    return any(os.path.lexists(f"{path}{ending}") for ending in ENDINGS)
