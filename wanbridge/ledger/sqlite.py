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

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakSet

from wanbridge.errors import ConfigurationError, InvalidRequest, Problem
from wanbridge.ledger.deliveries import Picture, Possession, link_of, pictures
from wanbridge.ledger.holds import ZERO, Hold, Share, Shortage, added, check_aware
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image, ImageResult

T = TypeVar("T")
_Row = tuple[Any, ...]

# "WANB": tells a ledger from any other program's SQLite file.
_APPLICATION = 0x57414E42

# ``state`` is that of the money.
_VERSION_1 = (
    """CREATE TABLE holds (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        account TEXT NOT NULL,
        at TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'settled')),
        task TEXT,
        receipt TEXT,
        job TEXT
    )""",
    "CREATE INDEX open_holds ON holds (key, account) WHERE state = 'open'",
    """CREATE TABLE shares (
        hold INTEGER NOT NULL REFERENCES holds (number),
        place INTEGER NOT NULL,
        budget TEXT NOT NULL,
        bucket TEXT NOT NULL,
        most TEXT NOT NULL,
        reserved TEXT NOT NULL,
        spent TEXT,
        PRIMARY KEY (hold, place)
    ) WITHOUT ROWID""",
    """CREATE TABLE totals (
        budget TEXT NOT NULL,
        bucket TEXT NOT NULL,
        amount TEXT NOT NULL,
        PRIMARY KEY (budget, bucket)
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION}",
)
# ``delivered`` is when, of a hold whose pictures are not all saved; NULL of any other. A picture's
# ``link`` is what `Ledger.saved` knows it by, which is not always one to fetch it from.
_VERSION_2 = (
    "ALTER TABLE holds ADD COLUMN delivered TEXT",
    "CREATE INDEX delivered_holds ON holds (key, account) WHERE delivered IS NOT NULL",
    """CREATE TABLE pictures (
        hold INTEGER NOT NULL REFERENCES holds (number),
        place INTEGER NOT NULL,
        link TEXT NOT NULL,
        image TEXT NOT NULL,
        drop_at TEXT NOT NULL,
        PRIMARY KEY (hold, place)
    ) WITHOUT ROWID""",
    "CREATE INDEX picture_links ON pictures (link)",
    "CREATE INDEX picture_ends ON pictures (drop_at)",
)
# What makes each version of the one before it.
_UPGRADES = (_VERSION_1, _VERSION_2)
VERSION = len(_UPGRADES)

# Not one condition with OR: each half has its index.
_LISTED = """
    SELECT number, id, key, account, at, delivered, receipt, job,
        budget, bucket, most, coalesce(spent, reserved)
    FROM (
        SELECT * FROM holds WHERE state = 'open' {0}
        UNION ALL
        SELECT * FROM holds WHERE delivered IS NOT NULL {0}
    ) LEFT JOIN shares ON hold = number
    ORDER BY number, place
"""
_LISTED_NOW = """
    SELECT number, state, at FROM holds
    WHERE id = ? AND (state = 'open' OR delivered IS NOT NULL)
"""
# What is asked for with NULL is not found: nothing equals it.
_DELIVERED = """
    SELECT number FROM holds
    WHERE delivered IS NOT NULL AND (id = ? OR (account = ? AND task = ?))
"""
_EXPIRED = """
    SELECT hold FROM pictures AS ended WHERE drop_at < ? AND NOT EXISTS (
        SELECT 1 FROM pictures WHERE hold = ended.hold AND drop_at >= ?
    )
"""
# The facts of a picture that are kept; its bytes are not.
_FACTS = ("url", "mime", "width", "height", "seed")


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
            _drop(connection, at)
            for share in hold.shares:
                if shortage := share.shortage(_since(connection, share.budget, share.bucket)):
                    return shortage
            _insert(connection, hold)
            for share in hold.shares:
                _add(connection, share, share.amount)
        return hold.id

    def note(self, hold: str, handle: Receipt | Job) -> None:
        """See `Ledger.note`."""
        text = handle.to_json()
        with self._transaction("IMMEDIATE") as connection:
            match handle:
                case Receipt():
                    change = "UPDATE holds SET receipt = ? WHERE id = ? AND state = 'open'"
                    connection.execute(change, (text, hold))
                case Job():
                    change = "UPDATE holds SET job = ?, task = ? WHERE id = ? AND state = 'open'"
                    connection.execute(change, (text, handle.id, hold))

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
            if (row := connection.execute(_LISTED_NOW, (hold,)).fetchone()) is None:
                return
            number, state, reserved_at = row
            came_at = at or datetime.fromisoformat(reserved_at)
            came = pictures(images, came_at)
            if state == "open":
                _pay(connection, number, spent)
                _deliver(connection, number, came, came_at)
            else:
                _renew(connection, number, came)
            _end_if_saved(connection, number)

    def saved(self, url: str) -> None:
        """See `Ledger.saved`."""
        link = link_of(url)
        with self._transaction("IMMEDIATE") as connection:
            _save(connection, link)

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """See `Ledger.done`."""
        possession = Possession.of(what)
        account, task = possession.task or (None, None)
        with self._transaction("IMMEDIATE") as connection:
            whole = connection.execute(_DELIVERED, (possession.hold, account, task)).fetchall()
            for (number,) in whole:
                _forget(connection, number)
            for link in possession.links:
                _save(connection, link)

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """See `Ledger.find`."""
        return self._listed("AND key = ? AND account = ?", key, account)

    def open(self) -> tuple[Hold, ...]:
        """See `Ledger.open`."""
        return self._listed()

    def spent(self, budget: str, bucket: str) -> Decimal:
        """See `Ledger.spent`."""
        with self._connected() as connection:
            return _since(connection, budget, bucket)

    def close(self) -> None:
        """Close the file; it can be done twice, and nothing else afterwards."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _listed(self, condition: str = "", *values: str) -> tuple[Hold, ...]:
        """The listed holds that *condition* is true of, as of one moment."""
        images: dict[int, list[str]] = {}
        with self._transaction("DEFERRED") as connection:
            rows = connection.execute(_LISTED.format(condition), values * 2).fetchall()
            for number in {row[0] for row in rows if row[5] is not None}:
                query = "SELECT image FROM pictures WHERE hold = ? ORDER BY place"
                images[number] = [text for (text,) in connection.execute(query, (number,))]
            holds = groupby(rows, lambda row: row[0])
            return tuple(_hold(list(of_it), images.get(number, [])) for number, of_it in holds)

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
        for upgrade in _UPGRADES[self._version(connection) :]:
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
        if application != _APPLICATION and (application or version or tables):
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


def _since(connection: sqlite3.Connection, budget: str, bucket: str) -> Decimal:
    query = "SELECT amount FROM totals WHERE budget = ? AND bucket >= ?"
    return added(Decimal(amount) for (amount,) in connection.execute(query, (budget, bucket)))


def _add(connection: sqlite3.Connection, share: Share, *amounts: Decimal) -> None:
    """Change the total of the share's budget and bucket."""
    place = (share.budget, share.bucket)
    query = "SELECT amount FROM totals WHERE budget = ? AND bucket = ?"
    row = connection.execute(query, place).fetchone()
    total = added((Decimal(row[0]) if row else ZERO, *amounts))
    connection.execute("INSERT OR REPLACE INTO totals VALUES (?, ?, ?)", (*place, str(total)))


def _insert(connection: sqlite3.Connection, hold: Hold) -> None:
    number = connection.execute(
        "INSERT INTO holds (id, key, account, at, state) VALUES (?, ?, ?, ?, 'open')",
        (hold.id, hold.key, hold.account, hold.at.astimezone(UTC).isoformat()),
    ).lastrowid
    connection.executemany(
        "INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?, NULL)",
        [
            (number, place, share.budget, share.bucket, str(share.limit), str(share.amount))
            for place, share in enumerate(hold.shares)
        ],
    )


def _pay(connection: sqlite3.Connection, number: int, spent: Mapping[str, Decimal]) -> None:
    """Settle the money of an open hold."""
    query = "SELECT budget, bucket, most, reserved FROM shares WHERE hold = ? ORDER BY place"
    for row in connection.execute(query, (number,)).fetchall():
        before = _share(*row)
        after = before.settled(spent)
        _add(connection, before, before.amount.copy_negate(), after.amount)
        connection.execute(
            "UPDATE shares SET spent = ? WHERE hold = ? AND budget = ?",
            (str(after.amount), number, after.budget),
        )
    connection.execute("UPDATE holds SET state = 'settled' WHERE number = ?", (number,))


def _deliver(
    connection: sqlite3.Connection, number: int, came: Mapping[int, Picture | None], at: datetime
) -> None:
    """List what came and the caller does not have yet."""
    connection.execute("UPDATE holds SET delivered = ? WHERE number = ?", (_moment(at), number))
    connection.executemany(
        "INSERT INTO pictures VALUES (?, ?, ?, ?, ?)",
        [
            (number, place, new.link, _image_text(new.image), _moment(new.drop_at))
            for place, new in came.items()
            if new is not None
        ],
    )


def _renew(connection: sqlite3.Connection, number: int, came: Mapping[int, Picture | None]) -> None:
    """Replace the links of what is listed still; a place that is saved has no row."""
    for place, new in came.items():
        if new is None:
            query = "DELETE FROM pictures WHERE hold = ? AND place = ?"
            connection.execute(query, (number, place))
        else:
            connection.execute(
                "UPDATE pictures SET link = ?, image = ?, drop_at = max(drop_at, ?)"
                " WHERE hold = ? AND place = ?",
                (new.link, _image_text(new.image), _moment(new.drop_at), number, place),
            )


def _save(connection: sqlite3.Connection, link: str) -> None:
    query = "SELECT DISTINCT hold FROM pictures WHERE link = ?"
    holds = connection.execute(query, (link,)).fetchall()
    connection.execute("DELETE FROM pictures WHERE link = ?", (link,))
    for (number,) in holds:
        _end_if_saved(connection, number)


def _drop(connection: sqlite3.Connection, at: datetime) -> None:
    moment = _moment(at)
    for (number,) in connection.execute(_EXPIRED, (moment, moment)).fetchall():
        _forget(connection, number)


def _forget(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM pictures WHERE hold = ?", (number,))
    _end_if_saved(connection, number)


def _end_if_saved(connection: sqlite3.Connection, number: int) -> None:
    """Take a hold without a picture to save off the list; prompts are not kept for longer."""
    connection.execute(
        "UPDATE holds SET delivered = NULL, receipt = NULL, job = NULL"
        " WHERE number = ? AND NOT EXISTS (SELECT 1 FROM pictures WHERE hold = number)",
        (number,),
    )


def _moment(at: datetime) -> str:
    """A time as text that sorts."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _hold(rows: list[_Row], images: list[str]) -> Hold:
    _, name, key, account, at, delivered, receipt, job, *_ = rows[0]
    unreadable: list[str] = []
    read = [_read(_image, text, unreadable) for text in images]
    return Hold(
        id=name,
        key=key,
        account=account,
        at=datetime.fromisoformat(at),
        # The one row of a hold without shares has none.
        shares=tuple(_share(*row[8:]) for row in rows if row[8] is not None),
        receipt=_read(Receipt.from_json, receipt, unreadable),
        job=_read(Job.from_json, job, unreadable),
        images=tuple(image for image in read if image is not None),
        delivered_at=None if delivered is None else datetime.fromisoformat(delivered),
        unreadable="; ".join(unreadable) or None,
    )


def _image_text(image: Image) -> str:
    ends = image.expires_at
    facts = {name: getattr(image, name) for name in _FACTS}
    return json.dumps({**facts, "expires_at": None if ends is None else _moment(ends)})


def _image(text: str) -> Image:
    try:
        facts = json.loads(text)
        ends = facts.pop("expires_at")
        return Image(**facts, expires_at=None if ends is None else datetime.fromisoformat(ends))
    except (ValueError, TypeError, AttributeError, KeyError) as exc:
        raise InvalidRequest((Problem("$", f"not an image as it is kept here: {exc}"),)) from None


def _read(load: Callable[[str], T], text: str | None, unreadable: list[str]) -> T | None:
    """One that cannot be read must not hide the others."""
    try:
        return None if text is None else load(text)
    except InvalidRequest as exc:
        unreadable.append(str(exc))
        return None


def _share(budget: str, bucket: str, most: str, reserved: str) -> Share:
    return Share(budget=budget, bucket=bucket, limit=Decimal(most), amount=Decimal(reserved))


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
