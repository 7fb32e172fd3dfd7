"""The ledger as an SQLite file, shared by the threads and processes of one machine.

Every change is one transaction that is on the disk before its method returns; a process may
die at any point.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from wanbridge.errors import ConfigurationError
from wanbridge.ledger import sqlite_rows
from wanbridge.ledger.deliveries import Selection, delivered_pictures, link_of
from wanbridge.ledger.holds import Hold, Share, Shortage, Spent, check_aware
from wanbridge.ledger.sqlite_file import SqliteFile
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
        self._file = SqliteFile(Path(path), wait=wait)

    def reserve(
        self, *, key: str, account: str, at: datetime, shares: Sequence[Share]
    ) -> str | Shortage:
        """See `Ledger.reserve`."""
        hold = Hold(id=str(uuid4()), key=key, account=account, at=at, shares=tuple(shares))
        with self._file.transaction("IMMEDIATE") as connection:
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
        with self._file.transaction("IMMEDIATE") as connection:
            match handle:
                case Receipt():
                    sqlite_rows.update_receipt(connection, hold, text)
                case Job():
                    sqlite_rows.update_job(connection, hold, text, handle.id)

    def settle(
        self, hold: str, spent: Spent, *, images: Sequence[Image] = (), at: datetime | None = None
    ) -> None:
        """See `Ledger.settle`."""
        if at is not None:
            check_aware(at)
        with self._file.transaction("IMMEDIATE") as connection:
            if (row := sqlite_rows.listed_row(connection, hold)) is None:
                return
            number, state, reserved_at = row
            delivered_at = at or datetime.fromisoformat(reserved_at)
            delivered = delivered_pictures(images, delivered_at)
            if state == "open":
                sqlite_rows.settle_shares(connection, number, spent)
                sqlite_rows.insert_pictures(connection, number, delivered, delivered_at)
            else:
                sqlite_rows.renew_links(connection, number, delivered)
            sqlite_rows.unlist_if_saved(connection, number)

    def saved(self, url: str) -> None:
        """See `Ledger.saved`."""
        link = link_of(url)
        with self._file.transaction("IMMEDIATE") as connection:
            sqlite_rows.remove_saved(connection, link)

    def done(self, what: Hold | str | Job | ImageResult) -> None:
        """See `Ledger.done`."""
        selection = Selection.of(what)
        with self._file.transaction("IMMEDIATE") as connection:
            for number in sqlite_rows.delivered_numbers(connection, selection):
                sqlite_rows.drop_pictures(connection, number)
            for link in selection.links:
                sqlite_rows.remove_saved(connection, link)

    def find(self, *, key: str, account: str) -> tuple[Hold, ...]:
        """See `Ledger.find`."""
        return self._listed("AND key = ? AND account = ?", key, account)

    def open(self) -> tuple[Hold, ...]:
        """See `Ledger.open`."""
        return self._listed()

    def spent(self, budget: str, bucket: str) -> Decimal:
        """See `Ledger.spent`."""
        with self._file.connected() as connection:
            return sqlite_rows.spent_since(connection, budget, bucket)

    def close(self) -> None:
        """Close the file; it can be done twice, and nothing else afterwards."""
        self._file.close()

    def _listed(self, condition: str = "", *values: str) -> tuple[Hold, ...]:
        """The listed holds that *condition* is true of, as of one moment."""
        with self._file.transaction("DEFERRED") as connection:
            return sqlite_rows.listed_holds(connection, condition, *values)
