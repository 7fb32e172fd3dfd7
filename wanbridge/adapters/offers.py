"""Offers: a provider's models with their fields, documented limits and rates."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from wanbridge.errors import (
    Charge,
)
from wanbridge.model.request import Mode
from wanbridge.model.size_rules import SizeLimits


@frozen(kw_only=True)
class PollInterval:
    """How often to poll, in seconds: *first*, then times *factor* up to *most*."""

    first: float
    factor: float = 1.5
    most: float


@frozen(kw_only=True)
class RateLimits:
    """Rate limits of an account; None is not limited or not documented.

    Attributes:
        creates: Submits a second.
        running: Generations at the same time, for one model.
        polls: Status requests a second.
    """

    creates: float | None = None
    running: int | None = None
    polls: float | None = None


@frozen(kw_only=True)
class PictureLimits:
    """Documented rules for an input picture; None is not limited, or not documented.

    Attributes:
        formats: Media types of pictures that come as bytes.
        opaque: Those of them that may have no alpha channel and no transparent colour.
        min_side, max_side: Pixels, both for width and for height.
        max_ratio: Longer side to shorter side at most.
        source: Page and date.
    """

    formats: frozenset[str] | None = None
    opaque: frozenset[str] = frozenset()
    min_side: int | None = None
    max_side: int | None = None
    max_ratio: int | None = None
    source: str

    def problem(self, width: int, height: int) -> str | None:
        """What is wrong with a picture of that size, and what would be right; None if nothing."""
        low, high, ratio = self.min_side, self.max_side, self.max_ratio
        if low is not None and min(width, height) < low:
            return f"{width}x{height}; each side at least {low} px here"
        if high is not None and max(width, height) > high:
            return f"{width}x{height}; each side at most {high:,} px here"
        if ratio is not None and max(width, height) > ratio * min(width, height):
            return f"{width}x{height}; from 1:{ratio} to {ratio}:1 here"
        return None


@frozen(kw_only=True)
class Limits:
    """Documented bounds of one model at one provider.

    Attributes:
        text, edit, set: Sizes by mode.
        source: Page and date.
        prompt: Code points at most.
        prompt_required: A prompt is needed even with images.
        n, n_set: Pictures a call; the second with ``sequential``.
        image_schemes: How an input image may be named; ``ref`` is a picture held there.
        data_bytes: Bytes of one ``data:`` URI at most; None is not limited here.
        data_total: Bytes of all ``data:`` URIs of a call together at most; None as above.
        pictures: Rules for input pictures; None where no page has any.
        missing_grace: Seconds after a submit in which an unknown task is not yet lost.
    """

    text: SizeLimits
    edit: SizeLimits
    set: SizeLimits
    source: str
    prompt: int = 5000
    prompt_required: bool = False
    n: int = 4
    n_set: int = 12
    image_schemes: frozenset[str] = frozenset({"https"})
    data_bytes: int | None = None
    data_total: int | None = None
    pictures: PictureLimits | None = None
    missing_grace: float = 30.0
    rates: RateLimits = RateLimits()

    def sizes(self, mode: Mode) -> SizeLimits:
        """The size bounds that hold in *mode*."""
        limits: SizeLimits = getattr(self, mode)
        return limits


@frozen(kw_only=True)
class Offer:
    """One canonical model, as one provider sells it.

    Attributes:
        model: Canonical id.
        alias: The provider's own name for it.
        fields: Canonical fields it can express; ``regions`` stands for those of the images.
        limits: Documented bounds.
        ignored: Fields beside those that have no effect here, each with why: not sent but noted.
        refused: Why a field is not among those, where there is more to it than that there is no
            such parameter.
        output: What it always delivers (``"png"``), as documented; None if it can be chosen
            or is unknown.
        failure_charge: Whether a generation that ends without a picture costs money.
        verified: False if this rests on guesses or third parties only.
    """

    model: str
    alias: str
    fields: frozenset[str]
    limits: Limits
    ignored: Mapping[str, str] = field(factory=dict)
    refused: Mapping[str, str] = field(factory=dict)
    output: str | None = None
    failure_charge: Charge
    verified: bool = True
