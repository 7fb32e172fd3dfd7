"""The statements of an SQLite ledger, each within a transaction of the caller's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, TypeVar

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.ledger.deliveries import Selection, UnsavedPicture
from wanbridge.ledger.holds import ZERO, Hold, Share, added
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Image

T = TypeVar("T")
_Row = tuple[Any, ...]

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
_LISTED_ROW = """
    SELECT number, state, at FROM holds
    WHERE id = ? AND (state = 'open' OR delivered IS NOT NULL)
"""
# A NULL parameter matches no row, as nothing equals NULL.
_DELIVERED = """
    SELECT number FROM holds
    WHERE delivered IS NOT NULL AND (id = ? OR (account = ? AND task = ?))
"""
_EXPIRED = """
    SELECT hold FROM pictures AS ended WHERE drop_at < ? AND NOT EXISTS (
        SELECT 1 FROM pictures WHERE hold = ended.hold AND drop_at >= ?
    )
"""
# The fields of an image that are stored; its bytes are not stored.
_IMAGE_FIELDS = ("url", "mime", "width", "height", "seed")


def listed_holds(
    connection: sqlite3.Connection, condition: str = "", *values: str
) -> tuple[Hold, ...]:
    """The listed holds that *condition* is true of, in the order they were reserved."""
    images: dict[int, list[str]] = {}
    rows = connection.execute(_LISTED.format(condition), values * 2).fetchall()
    for number in {row[0] for row in rows if row[5] is not None}:
        query = "SELECT image FROM pictures WHERE hold = ? ORDER BY place"
        images[number] = [text for (text,) in connection.execute(query, (number,))]
    holds = groupby(rows, lambda row: row[0])
    return tuple(_hold(list(of_it), images.get(number, [])) for number, of_it in holds)


def listed_row(connection: sqlite3.Connection, hold: str) -> tuple[int, str, str] | None:
    """Number, state of the money and time of the reservation; None if *hold* is not listed."""
    row: tuple[int, str, str] | None = connection.execute(_LISTED_ROW, (hold,)).fetchone()
    return row


def delivered_numbers(connection: sqlite3.Connection, selection: Selection) -> list[int]:
    """The numbers of the delivered holds that *selection* covers."""
    account, task = selection.task or (None, None)
    rows = connection.execute(_DELIVERED, (selection.hold, account, task)).fetchall()
    return [number for (number,) in rows]


def update_receipt(connection: sqlite3.Connection, hold: str, receipt: str) -> None:
    """Set the receipt of an open hold."""
    change = "UPDATE holds SET receipt = ? WHERE id = ? AND state = 'open'"
    connection.execute(change, (receipt, hold))


def update_job(connection: sqlite3.Connection, hold: str, job: str, task: str) -> None:
    """Set the job of an open hold, with the provider's task id."""
    change = "UPDATE holds SET job = ?, task = ? WHERE id = ? AND state = 'open'"
    connection.execute(change, (job, task, hold))


def spent_since(connection: sqlite3.Connection, budget: str, bucket: str) -> Decimal:
    """What is held or settled under *budget*, in *bucket* and later ones."""
    query = "SELECT amount FROM totals WHERE budget = ? AND bucket >= ?"
    return added(Decimal(amount) for (amount,) in connection.execute(query, (budget, bucket)))


def add_to_total(connection: sqlite3.Connection, share: Share, *amounts: Decimal) -> None:
    """Change the total of the share's budget and bucket."""
    place = (share.budget, share.bucket)
    query = "SELECT amount FROM totals WHERE budget = ? AND bucket = ?"
    row = connection.execute(query, place).fetchone()
    total = added((Decimal(row[0]) if row else ZERO, *amounts))
    connection.execute("INSERT OR REPLACE INTO totals VALUES (?, ?, ?)", (*place, str(total)))


def insert_hold(connection: sqlite3.Connection, hold: Hold) -> None:
    """Insert an open hold with its shares; the totals stay as they are."""
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


def settle_shares(
    connection: sqlite3.Connection, number: int, spent: Mapping[str, Decimal]
) -> None:
    """Settle the money of an open hold: its shares and their totals."""
    query = "SELECT budget, bucket, most, reserved FROM shares WHERE hold = ? ORDER BY place"
    for row in connection.execute(query, (number,)).fetchall():
        before = _share(*row)
        after = before.settled(spent)
        add_to_total(connection, before, before.amount.copy_negate(), after.amount)
        connection.execute(
            "UPDATE shares SET spent = ? WHERE hold = ? AND budget = ?",
            (str(after.amount), number, after.budget),
        )
    connection.execute("UPDATE holds SET state = 'settled' WHERE number = ?", (number,))


def insert_pictures(
    connection: sqlite3.Connection,
    number: int,
    delivered: Mapping[int, UnsavedPicture | None],
    at: datetime,
) -> None:
    """List the delivered pictures that the caller does not have yet."""
    connection.execute("UPDATE holds SET delivered = ? WHERE number = ?", (_utc_text(at), number))
    connection.executemany(
        "INSERT INTO pictures VALUES (?, ?, ?, ?, ?)",
        [
            (number, place, new.link, _image_text(new.image), _utc_text(new.drop_at))
            for place, new in delivered.items()
            if new is not None
        ],
    )


def renew_links(
    connection: sqlite3.Connection, number: int, delivered: Mapping[int, UnsavedPicture | None]
) -> None:
    """Replace the links of pictures that are not saved yet; a saved one has no row."""
    for place, new in delivered.items():
        if new is None:
            query = "DELETE FROM pictures WHERE hold = ? AND place = ?"
            connection.execute(query, (number, place))
        else:
            connection.execute(
                "UPDATE pictures SET link = ?, image = ?, drop_at = max(drop_at, ?)"
                " WHERE hold = ? AND place = ?",
                (new.link, _image_text(new.image), _utc_text(new.drop_at), number, place),
            )


def remove_saved(connection: sqlite3.Connection, link: str) -> None:
    """Delete the pictures at *link* and unlist holds that have none left."""
    query = "SELECT DISTINCT hold FROM pictures WHERE link = ?"
    holds = connection.execute(query, (link,)).fetchall()
    connection.execute("DELETE FROM pictures WHERE link = ?", (link,))
    for (number,) in holds:
        unlist_if_saved(connection, number)


def drop_expired(connection: sqlite3.Connection, at: datetime) -> None:
    """Unlist delivered holds whose pictures have all expired before *at*."""
    moment = _utc_text(at)
    for (number,) in connection.execute(_EXPIRED, (moment, moment)).fetchall():
        drop_pictures(connection, number)


def drop_pictures(connection: sqlite3.Connection, number: int) -> None:
    """Delete all pictures of a delivered hold and unlist it."""
    connection.execute("DELETE FROM pictures WHERE hold = ?", (number,))
    unlist_if_saved(connection, number)


def unlist_if_saved(connection: sqlite3.Connection, number: int) -> None:
    """Take a hold without a picture to save off the list; prompts are not kept for longer."""
    connection.execute(
        "UPDATE holds SET delivered = NULL, receipt = NULL, job = NULL"
        " WHERE number = ? AND NOT EXISTS (SELECT 1 FROM pictures WHERE hold = number)",
        (number,),
    )


def _utc_text(at: datetime) -> str:
    """A time as text that sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _hold(rows: list[_Row], images: list[str]) -> Hold:
    _, name, key, account, at, delivered, receipt, job, *_ = rows[0]
    unreadable: list[str] = []
    read = [_load(_image, text, unreadable) for text in images]
    return Hold(
        id=name,
        key=key,
        account=account,
        at=datetime.fromisoformat(at),
        # The one row of a hold without shares has none.
        shares=tuple(_share(*row[8:]) for row in rows if row[8] is not None),
        receipt=_load(Receipt.from_json, receipt, unreadable),
        job=_load(Job.from_json, job, unreadable),
        images=tuple(image for image in read if image is not None),
        delivered_at=None if delivered is None else datetime.fromisoformat(delivered),
        unreadable="; ".join(unreadable) or None,
    )


def _image_text(image: Image) -> str:
    ends = image.expires_at
    fields = {name: getattr(image, name) for name in _IMAGE_FIELDS}
    return json.dumps({**fields, "expires_at": None if ends is None else _utc_text(ends)})


def _image(text: str) -> Image:
    try:
        fields = json.loads(text)
        ends = fields.pop("expires_at")
        return Image(**fields, expires_at=None if ends is None else datetime.fromisoformat(ends))
    except (ValueError, TypeError, AttributeError, KeyError) as exc:
        raise InvalidRequest((Problem("$", f"not an image as it is kept here: {exc}"),)) from None


def _load(from_text: Callable[[str], T], text: str | None, unreadable: list[str]) -> T | None:
    """What *text* holds; None if it cannot be read, which must not hide the others."""
    try:
        return None if text is None else from_text(text)
    except InvalidRequest as exc:
        unreadable.append(str(exc))
        return None


def _share(budget: str, bucket: str, most: str, reserved: str) -> Share:
    return Share(budget=budget, bucket=bucket, limit=Decimal(most), amount=Decimal(reserved))
