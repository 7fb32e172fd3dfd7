"""The destination of pictures, checked before anything is bought."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from wanbridge.cli.files import check_folder, file_exists_error
from wanbridge.cli.usage import UsageError
from wanbridge.errors import ConfigurationError, StorageFailed
from wanbridge.model.result import Image, ImageResult
from wanbridge.model.source import Metadata
from wanbridge.storage.addresses import Address, is_address
from wanbridge.storage.filenames import stem_of

if TYPE_CHECKING:
    from wanbridge.client.blocking import Client

_ENDINGS = (".png", ".jpg", ".webp")
_KNOWN = frozenset({*_ENDINGS, ".jpeg", ".jpe", ".jfif"})


@frozen
class Target:
    """A directory, or one file name in it; or both in an object store.

    Attributes:
        folder: Of the pictures; of the job, receipt and result files where those are objects.
        name: As given; None in a directory, where names are made from the job.
        force: Whether what file_exists_error is replaced.
        metadata: What the files say of where they come from.
        address: Of the folder in the object store; None for files.
    """

    folder: Path
    name: str | None
    force: bool
    metadata: Metadata
    address: Address | None = None

    @classmethod
    def of(cls, given: str, *, force: bool, metadata: Metadata) -> Target:
        """Check ``-o``.

        Raises:
            UsageError: it is ``-``, or its directory is missing or not writable.
        """
        if given == "-":
            raise UsageError("-o -: pictures go into files; --json prints the result")
        if is_address(given):
            address = _address(given)
            if address.scheme != "file":
                return cls._in_store(address, force, metadata)
            given = f"{address.path}/" if address.is_prefix else str(address.path)
        path = Path(given)
        if path.is_dir() or given.endswith(("/", os.sep)):
            target = cls(path, None, force, metadata)
        else:
            target = cls(path.parent, path.name, force, metadata)
        check_folder(target.folder)
        return target

    @classmethod
    def _in_store(cls, address: Address, force: bool, metadata: Metadata) -> Target:
        # A folder of a store need not exist, so what is no name of a picture is one.
        key = PurePosixPath(address.key)
        if address.is_prefix or key.suffix.lower() not in _KNOWN:
            return cls(Path(), None, force, metadata, address)
        folder = evolve(address, key="" if len(key.parts) == 1 else str(key.parent))
        return cls(Path(), key.name, force, metadata, folder)

    def check_store(self, client: Client, pictures: int) -> None:
        """Ask the object store, if it is one, whether it is there, takes the key and has room for
        the names of so many pictures; nothing is stored.

        Raises:
            UsageError: it cannot be used, or an object of such a name exists and is not to be
                replaced.
        """
        if self.address is None:
            return
        store, within = client.store_at(str(self.address)), client.timeouts.read_timeout
        named = 0 if self.force or self.name is None else pictures
        addresses = self._addresses(self.address, "")
        try:
            store.check(within=within)
            taken = [
                a
                for a, _ in zip(addresses, range(named), strict=False)
                if store.exists(a.key, within=within)
            ]
        except StorageFailed as exc:
            raise UsageError(f"{exc}; nothing was sent") from None
        if taken:
            raise file_exists_error(taken[0])

    def check(self, pictures: int, stem: str | None = None) -> None:
        """Raise `UsageError` if one of so many pictures would meet a file that file_exists_error.

        Args:
            stem: Of the names in a directory; None while no job is known to name them by.
        """
        if self.force or self.address is not None or (self.name is None and stem is None):
            return
        for path, _ in zip(self._paths(stem or ""), range(pictures), strict=False):
            endings = ("",) if path.suffix.lower() in _KNOWN else ("", *_ENDINGS)
            for ending in endings:
                if os.path.lexists(taken := path.with_name(path.name + ending)):
                    raise file_exists_error(taken)

    def places(self, stem: str) -> Iterator[Path | str]:
        """Files or addresses for one picture after the other, without end."""
        if self.address is None:
            return self._paths(stem)
        return map(str, self._addresses(self.address, stem))

    def _paths(self, stem: str) -> Iterator[Path]:
        return (self.folder / name for name in self._names(stem))

    def _addresses(self, folder: Address, stem: str) -> Iterator[Address]:
        return (folder.under(name) for name in self._names(stem))

    def _names(self, stem: str) -> Iterator[str]:
        if self.name is None:
            return (f"{stem}-{n}" for n in count(1))
        name = PurePath(self.name)
        more = (f"{name.stem}-{n}{name.suffix}" for n in count(2))
        return (n for group in ((self.name,), more) for n in group)


@frozen
class Saved:
    """One delivered picture and its file.

    Attributes:
        path: Or the address of its object; None if it could not be saved.
        error: Why.
    """

    image: Image
    path: Path | str | None
    error: Exception | None = None


def _address(given: str) -> Address:
    try:
        return Address.of(given)
    except ConfigurationError as exc:
        raise UsageError(f"-o: {exc}; nothing was sent") from None


def shown(path: Path | str) -> str:
    """A path or an address as the user would type it."""
    return os.fspath(path)


def result_stem(result: ImageResult, key: str) -> str:
    """`stem_of` for a result; its call's *key* where the provider gave no id."""
    return stem_of(result.provider, result.job_id or key)
