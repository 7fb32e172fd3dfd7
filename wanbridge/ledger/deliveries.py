"""Delivered pictures that are not saved yet, and which of them a caller marks as done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Self

from attrs import evolve, frozen

from wanbridge.ledger.holds import Hold
from wanbridge.model.jobs import Job
from wanbridge.model.result import Image, ImageResult

# A picture whose link has no known end counts as expired so long after its delivery: the longest
# that any provider says of its own (EmpirioLabs' week; the others' day, read 2026-11-20).
KEEP_UNDATED = timedelta(days=7)


def link_of(url: str) -> str:
    """The text that identifies a picture in a ledger: its link; of a ``data:`` URI its SHA-256."""
    return f"sha256:{sha256(url.encode()).hexdigest()}" if url.startswith("data:") else url


@frozen(kw_only=True)
class UnsavedPicture:
    """A delivered picture that is not saved yet, as a store keeps it.

    Attributes:
        link: See `link_of`.
        image: As it is listed: without bytes.
        drop_at: When it counts as expired, aware; see `KEEP_UNDATED`.
    """

    link: str
    image: Image
    drop_at: datetime

    @classmethod
    def of(cls, image: Image, url: str, at: datetime) -> Self:
        """*image* at *url*, delivered at *at*."""
        link, ends = link_of(url), image.expires_at
        if ends is not None and ends.tzinfo is None:
            ends = None  # of no use, and it could not be compared with any other time
        listed = evolve(image, url=url if link == url else None, expires_at=ends)
        return cls(link=link, image=listed, drop_at=at + KEEP_UNDATED if ends is None else ends)


def delivered_pictures(images: Iterable[Image], at: datetime) -> dict[int, UnsavedPicture | None]:
    """What was delivered at *at*, by its place; None for a picture that came with its bytes."""
    by_place: dict[int, UnsavedPicture | None] = {}
    for place, image in enumerate(images):
        if image.data is not None:
            by_place[place] = None
        elif image.url is not None:
            by_place[place] = UnsavedPicture.of(image, image.url, at)
    return by_place


@frozen(kw_only=True)
class Selection:
    """The holds and pictures that a call of `Ledger.done` is about.

    Attributes:
        hold: Its id; None if something else was given.
        task: The account and the provider's task id; None without a job or a job's id.
        links: Of single pictures, see `link_of`.
    """

    hold: str | None = None
    task: tuple[str, str] | None = None
    links: tuple[str, ...] = ()

    @classmethod
    def of(cls, what: Hold | str | Job | ImageResult) -> Self:
        """The selection that *what* stands for."""
        match what:
            case Hold():
                return cls(hold=what.id)
            case Job():
                return cls(task=(what.account, what.id))
            case ImageResult():
                # Both: a ledger that failed for a moment may not know the job.
                task = None if what.job_id is None else (what.provider, what.job_id)
                links = tuple(link_of(image.url) for image in what.images if image.url)
                return cls(task=task, links=links)
        return cls(hold=what)

    def covers(self, hold: Hold) -> bool:
        """Whether every picture of *hold* is selected."""
        if self.hold is not None:
            return hold.id == self.hold
        return hold.job is not None and (hold.account, hold.job.id) == self.task
