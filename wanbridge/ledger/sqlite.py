"""The ledger as an SQLite file, shared by the threads and processes of one machine.

Every change is one transaction that is on the disk before its method returns; a process may
die at any point. Amounts are decimal text, and there is one sum for each budget and bucket,
changed in the same transaction: SQLite's own SUM would round, and whole units of some size
would not hold the fifteen places that a reply may have.

A hold that has left the list stays as a row with what was reserved and what was spent, and the
provider's task id; its receipt and job, which hold prompts, and the links of its pictures are
dropped.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from threading import Lock
from uuid import uuid4
from weakref import WeakSet

from wanbridge.errors import ConfigurationError
from wanbridge.ledger import sqlite_rows
from wanbridge.ledger.deliveries import Possession, link_of, pictures
from wanbridge.ledger.holds import Hold, Share, Shortage, check_aware
from wanbridge.ledger.sqlite_schema import APPLICATION_ID, UPGRADES, VERSION
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, ImageResult


class SqliteLedger:
    """A `Ledger` in a file of its own, on a disk of this machine; readable by its owner only.

    Prompts are in it while a purchase is listed. After ``os.fork`` both processes may go on. Its
    methods block, also an event loop: about a millisecond for the disk, up to *wait* seconds
    where another process holds the file.

    Args:
        path: Made if it is missing; its folder is not.
        wait: Seconds that a method waits for other processes.

    Raises:
        ConfigurationError: the file cannot be used: no folder, no permission, no ledger, one of
            a newer version, locked, a full disk. Methods raise it too; what they were to change
            is then unchanged.
    """

    def __init__(self, path: str | Path, *, wait: int = 30) -> None:
        if str(path) == ":memory:":
            raise ConfigurationError("ledger :memory:: name a file, or use a MemoryLedger")
        self._path = Path(path).absolute()
        self._wait = wait
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = os.getpid()
        self._closed = False
        self._file: tuple[int, int] | None = None
        self._create()
        with _forking:
            _LEDGERS.add(self)
        with self._connected():
            pass  # Whatever is wrong with the file is told now, before anything is bought.

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """See `Ledger.reserve`."""
        hold = Hold(id=str(uuid4()), key=key, account=account, at=at, shares=tuple(shares))
        with self._transaction("IMMEDIATE") as connection:
            sqlite_rows.drop_expired(connection, at)
            for share in hold.shares:
                spent = sqlite_rows.spent_since(connection, share.budget, share.bucket)
                if shortage := share.shortage(spent):
                    return shortage
            sqlite_rows.insert_hold(connection, hold)
            for share in hold.shares:
                sqlite_rows.add_to_total(connection, share, share.amount)
        return hold.id

    def note(self, hold: str, handle: Receipt | Job) -> None:
        """See `Ledger.note`."""
        text = handle.to_json()
        with self._transaction("IMMEDIATE") as connection:
            match handle:
                case Receipt():
                    sqlite_rows.update_receipt(connection, hold, text)
                case Job():
                    sqlite_rows.update_job(connection, hold, text, handle.id)

    def settle(
        self,
        hold: str,
        spent: Mapping[str, Decimal],
        *,
        images: Sequence[Image] = (),
        at: datetime | None = None,
    ) -> None:
        """See `Ledger.settle`."""
        if at is not None:
            check_aware(at)
        with self._transaction("IMMEDIATE") as connection:
            if (row := sqlite_rows.listed_row(connection, hold)) is None:
                return
            number, state, reserved_at = row
            came_at = at or datetime.fromisoformat(reserved_at)
            came = pictures(images, came_at)
            if state == "open":
                sqlite_rows.settle_shares(connection, number, spent)
                sqlite_rows.insert_pictures(connection, number, came, came_at)
            else:
                sqlite_rows.renew_links(connection, number, came)
            sqlite_rows.unlist_if_saved(connection, number)

    def saved(self, url: str) -> None:
        """See `Ledger.saved`."""
        link = link_of(url)
        with self._transaction("IMMEDIATE") as connection:
            sqlite_rows.remove_saved(connection, link)

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """See `Ledger.done`."""
        possession = Possession.of(what)
        with self._transaction("IMMEDIATE") as connection:
            for number in sqlite_rows.delivered_numbers(connection, possession):
                sqlite_rows.drop_pictures(connection, number)
            for link in possession.links:
                sqlite_rows.remove_saved(connection, link)

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """See `Ledger.find`."""
        return self._listed("AND key = ? AND account = ?", key, account)

    def open(self) -> tuple[Hold, ...]:
        """See `Ledger.open`."""
        return self._listed()

    def spent(self, budget: str, bucket: str) -> Decimal:
        """See `Ledger.spent`."""
        with self._connected() as connection:
            return sqlite_rows.spent_since(connection, budget, bucket)

    def close(self) -> None:
        """Close the file; it can be done twice, and nothing else afterwards."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _listed(self, condition: str = "", *values: str) -> tuple[Hold, ...]:
        """The listed holds that *condition* is true of, as of one moment."""
        with self._transaction("DEFERRED") as connection:
            return sqlite_rows.listed_holds(connection, condition, *values)

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """One transaction; undone if anything is raised."""
        with self._connected() as connection:
            connection.execute(f"BEGIN {kind}")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"ledger {self._path}: closed already")
            if self._owner != os.getpid():
                raise ConfigurationError(
                    f"ledger {self._path}: opened by process {self._owner}, which then forked"
                    " without telling Python; open a ledger in each process"
                )
            try:
                if self._connection is None:
                    self._connection = self._connect()
                    self._file = self._identity()
                if self._file != self._identity():
                    raise ConfigurationError(f"ledger {self._path}: was deleted or replaced")
                yield self._connection
            except sqlite3.Error as exc:
                raise ConfigurationError(f"ledger {self._path}: {self._reason(exc)}") from None
            except InvalidOperation:
                raise ConfigurationError(
                    f"ledger {self._path}: damaged; an amount in it is none"
                ) from None

    def _identity(self) -> tuple[int, int] | None:
        """Which file stands under the path; None if there is none."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

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
        """An empty file for its owner only, unless there is one."""
        # Never opened where it exists: to close any handle of a file ends all POSIX locks that
        # the process has on it, those of another ledger too (sqlite.org/howtocorrupt.html).
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        try:
            with suppress(FileExistsError):
                os.close(os.open(self._path, flags, 0o600))
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigurationError(f"ledger {self._path}: cannot be made: {reason}") from None

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
        """Durable and a ledger of this version; of another program's file nothing is changed."""
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
        """0 for an empty file."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or version or tables):
            message = "not a ledger; it is an SQLite file of another program"
            raise ConfigurationError(f"ledger {self._path}: {message}")
        if version > VERSION:
            raise ConfigurationError(
                f"ledger {self._path}: written by a newer wanbridge, as version {version};"
                f" this one knows up to {VERSION}"
            )
        return int(version)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._owner == os.getpid():
            connection.close()


def _code(exc: sqlite3.Error) -> int:
    """SQLite's primary code; 0 for errors of the Python module itself."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF


# SQLite keeps its locks by process and file: a child that was forked beside an open connection
# believes that it holds its parent's, and may lose what it commits (sqlite.org/howtocorrupt.html,
# read 2026-11-21; seen with 3.40). So no ledger has one while Python forks.
_LEDGERS: WeakSet[SqliteLedger] = WeakSet()
_forking = Lock()
_paused: list[SqliteLedger] = []


def _before_fork() -> None:
    _forking.acquire()
    for ledger in list(_LEDGERS):
        ledger._lock.acquire()
        _paused.append(ledger)
        ledger._disconnect()


def _after_fork() -> None:
    while _paused:
        ledger = _paused.pop()
        ledger._owner = os.getpid()
        ledger._lock.release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
