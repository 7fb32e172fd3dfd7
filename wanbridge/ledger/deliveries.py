"""Delivered pictures as a store keeps them, and how a caller names those that it has."""

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
    """What a ledger knows a picture by: its link, and of a ``data:`` URI only the SHA-256."""
    return f"sha256:{sha256(url.encode()).hexdigest()}" if url.startswith("data:") else url


@frozen(kw_only=True)
class Picture:
    """A delivered picture that is not saved yet, as a store keeps it.

    Attributes:
        link: See `link_of`.
        image: As it is listed: without bytes.
        drop_at: When it counts as expired, aware.
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


def pictures(images: Iterable[Image], at: datetime) -> dict[int, Picture | None]:
    """What was delivered at *at*, by its place; None for what the caller has the bytes of."""
    found: dict[int, Picture | None] = {}
    for place, image in enumerate(images):
        if image.data is not None:
            found[place] = None
        elif image.url is not None:
            found[place] = Picture.of(image, image.url, at)
    return found


@frozen(kw_only=True)
class Possession:
    """What a caller says it has, as the stores look for it; see `Ledger.done`.

    Attributes:
        hold: Its id; None if something else was named.
        task: The account and the provider's task id; None likewise.
        links: Of single pictures, see `link_of`.
    """

    hold: str | None = None
    task: tuple[str, str] | None = None
    links: tuple[str, ...] = ()

    @classmethod
    def of(cls, what: Hold | str | Job | ImageResult) -> Self:
        """What *what* stands for."""
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

    def is_whole(self, hold: Hold) -> bool:
        """Whether every picture of *hold* is meant."""
        if self.hold is not None:
            return hold.id == self.hold
        return hold.job is not None and (hold.account, hold.job.id) == self.task
