"""The file of an SQLite ledger: its connection, transactions and version, also across forks."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import InvalidOperation
from pathlib import Path
from threading import Lock
from weakref import WeakSet

from wanbridge.errors import ConfigurationError
from wanbridge.ledger.sqlite_schema import APPLICATION_ID, UPGRADES, VERSION


class SqliteFile:
    """One ledger's file, open for one thread at a time; readable by its owner only.

    Args:
        path: Made if it is missing; its folder is not.
        wait: Seconds to wait for other processes.

    Attributes:
        connection: None until it is first needed, and while Python forks.

    Raises:
        ConfigurationError: the file cannot be used; see `wanbridge.ledger.sqlite.SqliteLedger`.
    """

    def __init__(self, path: Path, *, wait: int) -> None:
        self._path = path.absolute()
        self._wait = wait
        self._lock = Lock()
        self.connection: sqlite3.Connection | None = None
        self._owner = os.getpid()
        self._closed = False
        self._identity: tuple[int, int] | None = None
        self._create()
        with _forking:
            _FILES.add(self)
        with self.connected():
            pass  # Whatever is wrong with the file is raised now, before anything is bought.

    def close(self) -> None:
        """Close the file; it can be done twice, and nothing else afterwards."""
        with self._lock:
            self._closed = True
            self._disconnect()

    @contextmanager
    def transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """One transaction, rolled back if anything is raised.

        Args:
            kind: ``IMMEDIATE`` to write, ``DEFERRED`` to read.
        """
        with self.connected() as connection:
            connection.execute(f"BEGIN {kind}")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock:
            if self._closed:
                raise self._unusable("closed already")
            if self._owner != os.getpid():
                raise self._unusable(
                    f"opened by process {self._owner}, which then forked without telling Python;"
                    " open a ledger in each process"
                )
            try:
                if self.connection is None:
                    self.connection = self._connect()
                    self._identity = self._current_identity()
                if self._identity != self._current_identity():
                    raise self._unusable("was deleted or replaced")
                yield self.connection
            except sqlite3.Error as exc:
                raise self._unusable(self._reason(exc)) from None
            except InvalidOperation:
                raise self._unusable("damaged; an amount in it is none") from None

    def _current_identity(self) -> tuple[int, int] | None:
        """Device and inode of the file at the path; None if there is none."""
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _unusable(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f"ledger {self._path}: {reason}")

    def _reason(self, exc: sqlite3.Error) -> str:
        match _code(exc):
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return f"locked by another process for more than {self._wait} seconds"
            case sqlite3.SQLITE_NOTADB:
                return "not a ledger; it is no SQLite file"
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY:
                return "cannot be written; is it a file, and are it and its folder ours to write?"
            case _:
                return str(exc)

    def _create(self) -> None:
        """Create an empty file, readable by its owner only, unless there is one."""
        # Never opened where it exists: to close any handle of a file ends all POSIX locks that
        # the process has on it, those of another ledger too (sqlite.org/howtocorrupt.html).
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        try:
            with suppress(FileExistsError):
                os.close(os.open(self._path, flags, 0o600))
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise self._unusable(f"cannot be made: {reason}") from None

    def _connect(self) -> sqlite3.Connection:
        # SQLite does not wait where several processes turn to WAL at once, hence the loop.
        give_up = time.monotonic() + self._wait
        while True:
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=rw",
                uri=True,
                timeout=self._wait,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._prepare(connection)
            except BaseException as exc:
                connection.close()
                busy = isinstance(exc, sqlite3.Error) and _code(exc) == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= give_up:
                    raise
                time.sleep(0.01)
            else:
                return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make *connection* durable and its schema current; another program's file is unchanged."""
        connection.execute("BEGIN")
        self._version(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # On macOS a plain fsync stays in the drive's cache.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("BEGIN IMMEDIATE")
        for upgrade in UPGRADES[self._version(connection) :]:
            for statement in upgrade:
                connection.execute(statement)
        # Written each time: for a file that is read-only, BEGIN IMMEDIATE is no error.
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    def _version(self, connection: sqlite3.Connection) -> int:
        """The file's schema version; 0 if it is empty."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or version or tables):
            raise self._unusable("not a ledger; it is an SQLite file of another program")
        if version > VERSION:
            raise self._unusable(
                f"written by a newer wanbridge, as version {version};"
                f" this one knows up to {VERSION}"
            )
        return int(version)

    def _disconnect(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None and self._owner == os.getpid():
            connection.close()


def _code(exc: sqlite3.Error) -> int:
    """SQLite's primary code; 0 for errors of the Python module itself."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF


# SQLite keeps its locks by process and file: a child that was forked beside an open connection
# believes that it holds its parent's, and may lose what it commits (sqlite.org/howtocorrupt.html,
# read 2026-11-21; seen with 3.40). So no ledger has one while Python forks.
_FILES: WeakSet[SqliteFile] = WeakSet()
_forking = Lock()
_paused: list[SqliteFile] = []


def _before_fork() -> None:
    _forking.acquire()
    for file in list(_FILES):
        file._lock.acquire()
        _paused.append(file)
        file._disconnect()


def _after_fork() -> None:
    while _paused:
        file = _paused.pop()
        file._owner = os.getpid()
        file._lock.release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
