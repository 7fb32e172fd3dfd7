"""From tier and aspect ratio to pixels, and what a provider takes: one rule for all providers.

A tier is an area: 1K is 1024x1024 pixels in all, 2K 2048x2048, 4K 4096x4096, whatever the shape.
The rule:

1. The *ideal* rectangle has exactly the asked ratio and is the largest within the upper limits:
   the tier's area, the provider's area and its longest side. Its sides need not be whole.
2. A *pair* is two multiples of ``step`` within every limit: sides and area (least and most), the
   tier's area, the range of ratios.
3. Of the pairs with at least 95 % of the ideal's area and within 5 % of its ratio the one of the
   closest ratio is taken, of those the largest, of those the widest (for an upright ratio, the
   highest).
4. No such pair, a tier that is not sold, a ratio outside the range: unsupported.

How far a pair is from the ratio is the larger of the two ratios over the smaller, so a rectangle
is as far from 16:9 as the same one turned is from 9:16, and 9:16 is always 16:9 turned. Lower
limits are for the pair alone: for a screenshot of 1366x768 the ideal at 1K is 1365.7x767.8, and
where sides start at 768 it still gets 1360x768.

So 2K is 2048x2048, and 16:9 at 2K is 2704x1520: 2560x1440 would be exact, and is too small with
88 % of the area. Where sides end at 2048 it is 2048x1152. 3:2 at 4K with sides up to 4096 is
4080x2720, 16:9 at 4K with a limit on the area alone 5376x3024.

Source of the areas: https://www.alibabacloud.com/help/en/model-studio/
wan-image-generation-and-editing-api-reference, parameter ``size``, read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, isqrt

from attrs import define, evolve, frozen

from wanbridge.model.inputs import InputImage
from wanbridge.model.size import RESOLUTIONS, Size

AREAS = {"1K": 1024**2, "2K": 2048**2, "4K": 4096**2}
"""Pixels in all that a tier stands for."""

_FILL = Fraction(95, 100)
_STRETCH = Fraction(105, 100)
_RATIO = re.compile(r"([1-9][0-9]*):([1-9][0-9]*)", re.ASCII)


@define(slots=False, eq=False)
class SizeUnsupported(ValueError):
    """A size that these limits cannot give; the adapter adds its name and the field.

    Attributes:
        reason: What was asked and what is right here, without the provider's name.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(kw_only=True)
class SizeLimits:
    """What one provider takes for one model in one mode.

    Attributes:
        tiers: Those sold here, smallest first.
        min_side, max_side: Pixels of either side; no ``max_side`` is no limit.
        min_area, max_area: Pixels in all; no ``max_area`` is no limit.
        max_ratio: Long side to short side, the same for upright and lying.
        step: Both sides of the pixels that we choose are multiples of this.
        exact_step: Both sides of the pixels that the caller chooses must be.
        source: Page and the day it was read.
    """

    tiers: tuple[str, ...]
    min_side: int = 1
    max_side: int | None = None
    min_area: int = 1
    max_area: int | None = None
    max_ratio: Fraction = Fraction(8)
    step: int = 16
    exact_step: int = 1
    source: str

    def problem(self, width: int, height: int) -> str | None:
        """Why these exact pixels are refused here and what is right; None if they are fine."""
        broken = []
        fits = _within(self.min_side, min(width, height), max(width, height), self.max_side)
        if not fits or width % self.exact_step or height % self.exact_step:
            multiples = f", multiples of {self.exact_step}" if self.exact_step > 1 else ""
            broken.append(f"sides are {_span(self.min_side, self.max_side)}{multiples}")
        if not _within(self.min_area, width * height, width * height, self.max_area):
            broken.append(f"pixels in all are {_span(self.min_area, self.max_area)}")
        if not self._has_shape(width, height):
            broken.append(f"shapes are {self.shapes}")
        return f"{width}x{height}; here {'; '.join(broken)}" if broken else None

    def has_ratio(self, ratio: Fraction) -> bool:
        """True if width to height is within the range of ratios; sides may still forbid it."""
        return self._has_shape(ratio.numerator, ratio.denominator)

    def _has_shape(self, width: int, height: int) -> bool:
        # In whole numbers: a Fraction takes 20 times as long, for each account of a route.
        long, short = self.max_ratio.as_integer_ratio()
        return max(width, height) * short <= min(width, height) * long

    @property
    def shapes(self) -> str:
        """The range of ratios, ``"1:8 to 8:1"``."""
        long, short = self.max_ratio.as_integer_ratio()
        return f"{short}:{long} to {long}:{short}"


def _within(low: int, least: int, most: int, high: int | None) -> bool:
    return low <= least and (high is None or most <= high)


def _span(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} or more"
    return f"up to {high}" if low <= 1 else f"{low} to {high}"


def ratio_of(text: str) -> Fraction:
    """Width to height of ``"16:9"``.

    Raises:
        ValueError: it is not two whole numbers above 0 with a colon between.
    """
    if not (match := _RATIO.fullmatch(text)):
        raise ValueError(f"{text!r} is not a ratio like '16:9'")
    return Fraction(int(match[1]), int(match[2]))


@lru_cache(maxsize=4096)
def rectangle(tier: str, ratio: Fraction, limits: SizeLimits) -> tuple[int, int] | None:
    """Width and height in pixels for a tier and a ratio (width to height, above 0).

    None if the rule at the top of this module finds nothing, if the tier is not sold or the ratio
    is outside the range.
    """
    if tier not in limits.tiers or not limits.has_ratio(ratio):
        return None
    if ratio >= 1:
        return _lying(AREAS[tier], ratio, limits)
    turned = _lying(AREAS[tier], 1 / ratio, limits)
    return turned and (turned[1], turned[0])


def _lying(tier_area: int, ratio: Fraction, limits: SizeLimits) -> tuple[int, int] | None:
    """The rule for a ratio of 1 or more.

    Goes through the few heights near the ideal; for each, only the multiples next to the exact
    width can be closest. Whole numbers throughout: a float would make ties a matter of luck.
    """
    step, wide, high = limits.step, ratio.numerator, ratio.denominator
    max_area = min(tier_area, limits.max_area or tier_area)
    max_side = limits.max_side or max_area
    ideal = min(Fraction(max_area), max_side**2 / ratio)
    min_area = max(limits.min_area, ceil(ideal * _FILL))
    least, most = ratio / _STRETCH, min(ratio * _STRETCH, limits.max_ratio)
    least = max(least, 1 / limits.max_ratio)
    lowest = max(limits.min_side, isqrt(floor(min_area / most)), _over(min_area, max_side))
    highest = min(isqrt(floor(max_area / least)), floor(max_side / least), max_side)
    (least_n, least_d), (most_n, most_d) = least.as_integer_ratio(), most.as_integer_ratio()
    best: tuple[int, int] | None = None
    best_far, best_near = 0, 1
    for h in range(_up(lowest, step), highest + 1, step):
        first = _up(max(limits.min_side, _over(min_area, h), _over(h * least_n, least_d)), step)
        last = min(max_side, max_area // h, h * most_n // most_d) // step * step
        if first > last:
            continue
        exact = h * wide // high
        for w in (exact - exact % step, exact - exact % step + step):
            w = min(max(w, first), last)
            far, near = max(w * high, h * wide), min(w * high, h * wide)
            gap = far * best_near - best_far * near
            if best is None or (gap, -w * h, -w) < (0, -best[0] * best[1], -best[0]):
                best, best_far, best_near = (w, h), far, near
    return best


def _over(dividend: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-dividend // divisor)


def _up(value: int, step: int) -> int:
    """The least multiple of *step* that is not below *value*."""
    return _over(value, step) * step


@frozen
class Pixels:
    """What to ask a provider for.

    Attributes:
        note: Said when limits force other pixels than the tier says, naming both.
    """

    width: int
    height: int
    note: str | None


def resolve(size: Size, images: Sequence[InputImage], limits: SizeLimits) -> Pixels:
    """Any size as pixels: exact ones as they are (see `SizeLimits.problem`), others by the rule.

    Without a ratio the shape is square without images, else that of the last image.

    Raises:
        SizeUnsupported: the tier is not sold, the shape is beyond the limits, or the last image
            decides and its width and height are unknown.
    """
    if size.pixels:
        return Pixels(*size.pixels, None)
    tier = size.tier
    if tier not in limits.tiers:
        where = "here with images" if images else "here"
        raise SizeUnsupported(f"{tier} is not sold {where}; {', '.join(limits.tiers)}")
    ratio, asked = _shape(size, images)
    if not limits.has_ratio(ratio):
        raise SizeUnsupported(f"{asked}; here shapes are {limits.shapes}")
    if (found := rectangle(tier, ratio, limits)) is None:
        raise SizeUnsupported(_no_pair(tier, ratio, asked, limits))
    return Pixels(*found, _note(tier, ratio, found, limits))


def _shape(size: Size, images: Sequence[InputImage]) -> tuple[Fraction, str]:
    """The ratio meant and how to speak of it."""
    if size.aspect_ratio:
        return ratio_of(size.aspect_ratio), size.aspect_ratio
    if not images:
        return Fraction(1), "1:1"
    if (sides := images[-1].sides) is None:
        raise SizeUnsupported(
            "the output has the shape of the last image, and its width and height are unknown; "
            "give them or call client.measure(request), or set an aspect_ratio"
        )
    return Fraction(*sides), f"the last image is {sides[0]}x{sides[1]}"


def _no_pair(tier: str, ratio: Fraction, asked: str, limits: SizeLimits) -> str:
    found = {t: rectangle(t, ratio, limits) for t in limits.tiers}
    others = [f"{t} ({pair[0]}x{pair[1]})" for t, pair in found.items() if pair]
    rules = [f"sides are {_span(limits.min_side, limits.max_side)}"]
    if limits.min_area > 1 or limits.max_area is not None:
        rules.append(f"pixels in all are {_span(limits.min_area, limits.max_area)}")
    way_out = f"possible: {', '.join(others)}" if others else "no tier has this shape"
    return f"{asked} at {tier}; here {', '.join(rules)}; {way_out}"


def _note(tier: str, ratio: Fraction, found: tuple[int, int], limits: SizeLimits) -> str | None:
    """What the limits changed, None if nothing."""
    # The range of ratios stays: with it the shape was taken as asked.
    unlimited = evolve(
        limits, tiers=RESOLUTIONS, min_side=1, max_side=None, min_area=1, max_area=None
    )
    free = rectangle(tier, ratio, unlimited)
    if free is None or free == found:
        return None
    area = AREAS[tier]
    # Squared, like everything that is compared with a side of the ideal, to stay exact.
    long_square = max(Fraction(max(free) ** 2), area * ratio, area / ratio)
    reasons = []
    if min(free) < limits.min_side:
        reasons.append(f"sides from {limits.min_side}")
    if limits.max_side is not None and long_square > limits.max_side**2:
        reasons.append(f"sides up to {limits.max_side}")
    if free[0] * free[1] < limits.min_area:
        reasons.append(f"at least {limits.min_area} pixels in all")
    if limits.max_area is not None and area > limits.max_area:
        reasons.append(f"at most {limits.max_area} pixels in all")
    return f"{found[0]}x{found[1]} instead of {free[0]}x{free[1]}: {' and '.join(reasons)}"
