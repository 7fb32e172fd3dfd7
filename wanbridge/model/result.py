"""The result of one call: delivered pictures, failures, attempts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, field, frozen

from wanbridge.errors import Charge
from wanbridge.model.brief import brief_each, brief_text, brief_url
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.source import Metadata, Source, checked_metadata
from wanbridge.model.stored import UNSTORED, StoredValue


def _time(moment: datetime | None) -> str:
    return "None" if moment is None else moment.isoformat(timespec="seconds")


@frozen(kw_only=True)
class Image:
    """One delivered picture.

    Attributes:
        url: Where the provider serves it; None if it came inline.
        data: Its bytes, if they are here.
        mime: ``image/png`` and the like, read from the bytes; None while unknown.
        width, height: Pixels, read from the bytes; None while unknown.
        seed: Any 64-bit integer; None if the provider does not say.
        expires_at: When *url* ends, aware; None if unknown.
        source: Where it comes from, for the file it is saved in. It is no part of the picture's
            identity: neither compared nor stored. An `ImageResult` sets it.
    """

    url: str | None = field(default=None, repr=lambda url: brief_url(url)[:80])
    data: bytes | None = field(
        default=None, repr=lambda d: "None" if d is None else f"<{len(d)} bytes>"
    )
    mime: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    expires_at: datetime | None = field(default=None, repr=_time)
    source: Source | None = field(default=None, eq=False, repr=False, metadata=UNSTORED)

    def _repr_html_(self) -> str:
        """A thumbnail and the facts, for notebooks; see `wanbridge.model.html`."""
        from wanbridge.model.html import of_image

        return of_image(self)

    def save(self, path: str | Path, *, force: bool = False, metadata: Metadata = True) -> Path:
        """Write the bytes to *path*; the extension follows the content.

        The file appears under its name only once it is complete. It says where the picture comes
        from where that is known, see `wanbridge.pictures.metadata`; pixels are not touched.

        Args:
            metadata: False leaves the bytes as they were delivered; ``"prompt"`` writes the
                prompt, too.

        Returns:
            Where it was written.

        Raises:
            ValueError: there are no bytes here yet, ``client.download(image)`` gets them; or they
                are no picture, or one that claims more pixels than they can hold.
            FileExistsError: something is there already and *force* is False.
        """
        from wanbridge.storage.files import save

        if self.data is None:
            raise ValueError("this image has no bytes yet; client.download(image) fetches them")
        facts = self.facts(metadata)
        return save([self.data], Path(path), force=force, facts=facts)

    def facts(self, metadata: Metadata = True) -> dict[str, str | int]:
        """What the file it is saved in says of where it comes from; empty if that is not known.

        Args:
            metadata: As for `save`.

        Raises:
            TypeError: *metadata* is none of its values.
        """
        metadata = checked_metadata(metadata)
        return {} if self.source is None else self.source.facts(self.seed, metadata)


def with_source(images: Iterable[Image], source: Source) -> tuple[Image, ...]:
    """The pictures, each with *source* unless it has one."""
    return tuple(
        image if image.source is not None else evolve(image, source=source) for image in images
    )


@frozen(kw_only=True)
class Failure:
    """One image of a call that did not come, while others did."""

    code: str | None = field(repr=brief_text)
    message: str = field(repr=brief_text)


@frozen(kw_only=True)
class Attempt:
    """One attempt at one provider, with what it cost.

    Attributes:
        provider: Account name.
        outcome: ``delivered``, ``skipped`` (nothing was sent), ``left`` (another provider was
            faster) or the class name of the error.
        charge: Whether it cost money.
        cost: What it cost; None if unknown or nothing.
        seconds: How long it took.
        detail: Why it ended so, and why the next provider was or was not tried.
        job: What was accepted and brought no picture here, to go on with; None otherwise.
        receipt: Of a submit whose outcome is unknown, to look it up; None otherwise.
    """

    provider: str
    outcome: str
    charge: Charge
    cost: Money | None = None
    seconds: float = 0.0
    detail: str = field(default="", repr=brief_text)
    job: Job | None = field(default=None, repr=False)
    receipt: Receipt | None = field(default=None, repr=False)


@frozen(kw_only=True)
class ImageResult(StoredValue):
    """What came back, at least one picture.

    Attributes:
        provider: Account name.
        model: Canonical model.
        job_id: The provider's task id; None if it answered in one go.
        images: In the provider's order.
        requested: How many were asked for.
        failures: Images that the provider reports as failed.
        cost: What it cost; None if unknown, which is not zero.
        cost_source: ``reply`` (the provider said so) or ``rule`` (price and count).
        notes: How fields were treated; nothing is dropped without one.
        request_id: The provider's id of the call, for its support.
        submitted_at, finished_at: By our clock, aware.
        attempts: Every try of this call, with what it cost.
        raw: The provider's last reply as parsed JSON.
    """

    provider: str
    model: str
    job_id: str | None = field(repr=brief_text)
    images: tuple[Image, ...] = field(repr=lambda images: brief_each(images, 4, 160))
    requested: int
    failures: tuple[Failure, ...] = field(default=(), repr=brief_each)
    cost: Money | None = None
    cost_source: Literal["reply", "rule"] | None = None
    notes: tuple[Note, ...] = field(default=(), repr=brief_each)
    request_id: str | None = field(default=None, repr=brief_text)
    submitted_at: datetime | None = field(default=None, repr=_time)
    finished_at: datetime | None = field(default=None, repr=_time)
    attempts: tuple[Attempt, ...] = field(default=(), repr=brief_each)
    raw: Any = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        source = Source(
            provider=self.provider,
            model=self.model,
            job_id=self.job_id,
            made_at=self.finished_at or self.submitted_at,
        )
        object.__setattr__(self, "images", with_source(self.images, source))

    def _repr_html_(self) -> str:
        """Thumbnails, cost and notes, for notebooks; see `wanbridge.model.html`."""
        from wanbridge.model.html import of_result

        return of_result(self)

    @property
    def shortfall(self) -> int:
        """Asked minus delivered, at least 0."""
        return max(0, self.requested - len(self.images))
