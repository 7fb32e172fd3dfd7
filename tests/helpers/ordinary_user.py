"""Permissions, as they bind whoever is not root."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
_ENTER = 0o001


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whom permissions bind, which root is not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def enterable() -> Iterator[Path]:
    """A temporary folder that `unprivileged` may enter.

    ``TMPDIR`` may lie below a folder of root's only, as ``mktemp -d`` makes them; then it is
    where the system keeps what outlives a restart.
    """
    within = next(path for path in (tempfile.gettempdir(), "/var/tmp") if _may_enter(Path(path)))
    with tempfile.TemporaryDirectory(dir=within) as folder:
        yield Path(folder)


def _may_enter(path: Path) -> bool:
    if os.geteuid() != 0:
        return True
    return all(folder.stat().st_mode & _ENTER for folder in (path, *path.resolve().parents))
