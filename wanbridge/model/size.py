"""How large a picture is asked for, as the caller says it: pixels, or a tier and a ratio."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.brief import brief
from wanbridge.model.validation import Problems, converted, from_members

RESOLUTIONS = ("1K", "2K", "4K")
_ASPECT_RATIO = re.compile(r"[1-9][0-9]{0,3}:[1-9][0-9]{0,3}")
_PIXELS = re.compile(r"([1-9][0-9]{0,4}) ?[xX×*] ?([1-9][0-9]{0,4})")


@frozen
class Size:
    """How large and of which shape: pixels, or a tier and an aspect ratio.

    ``Size()`` means 2K, square without images and the shape of the last input image with them.

    Attributes:
        width, height: Exact pixels; both or neither, and then no tier or ratio.
        resolution: Tier, ``"1K"``, ``"2K"`` or ``"4K"``; None is 2K.
        aspect_ratio: Width to height, ``"16:9"``; None is as above.
    """

    width: int | None = None
    height: int | None = None
    resolution: str | None = field(default=None, kw_only=True)
    aspect_ratio: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        wrong = Problems()
        if (self.width is None) != (self.height is None):
            wrong.add("$", "width and height go together")
        for name in ("width", "height"):
            if getattr(self, name) is not None:
                wrong.integer(f"$.{name}", getattr(self, name), 1, 99999)
        if self.resolution is not None:
            wrong.one_of("$.resolution", self.resolution, RESOLUTIONS)
        if self.aspect_ratio is not None and not (
            isinstance(self.aspect_ratio, str) and _ASPECT_RATIO.fullmatch(self.aspect_ratio)
        ):
            wrong.add("$.aspect_ratio", f"{self.aspect_ratio!r} is not a ratio like '16:9'")
        if self.width is not None and (self.resolution or self.aspect_ratio):
            wrong.add("$", "pixels or a tier and ratio, not both")
        wrong.settle()

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``"1024x1024"`` (also with ``*`` or ``×``), ``"2K"``, ``"16:9"``, ``"16:9@4K"``.

        Raises:
            InvalidRequest: it is none of these.
        """
        if match := _PIXELS.fullmatch(text):
            return cls(int(match[1]), int(match[2]))
        ratio, _, tier = text.rpartition("@")
        if not ratio and text.upper() in RESOLUTIONS:
            return cls(resolution=text.upper())
        if not ratio and _ASPECT_RATIO.fullmatch(text):
            return cls(aspect_ratio=text)
        if _ASPECT_RATIO.fullmatch(ratio) and tier.upper() in RESOLUTIONS:
            return cls(resolution=tier.upper(), aspect_ratio=ratio)
        message = f"{text!r} is not a size like '1024x1024', '2K', '16:9' or '16:9@4K'"
        raise InvalidRequest((Problem("$", message),))

    @cached_property
    def pixels(self) -> tuple[int, int] | None:
        """``(width, height)`` if the size is exact, else None."""
        if self.width is None or self.height is None:
            return None
        return (self.width, self.height)

    @property
    def tier(self) -> str:
        """The tier meant where the size is not exact."""
        return self.resolution or "2K"

    def __str__(self) -> str:
        if self.pixels:
            return f"{self.width}x{self.height}"
        return f"{self.aspect_ratio}@{self.tier}" if self.aspect_ratio else self.tier


def size_of(value: object) -> Size:
    if isinstance(value, Size):
        return value
    if isinstance(value, str):
        return Size.parse(value)
    if isinstance(value, Mapping):
        made: Size = from_members(Size, value)
        return made
    if isinstance(value, list | tuple) and len(value) == 2 and None not in value:
        return Size(*value)
    message = f"{brief(value)} is not a Size, a pair (width, height) or a text like '2K'"
    raise InvalidRequest((Problem("$", message),))


def to_size(value: object) -> Any:
    return converted("$.size", size_of, value)
