"""What GCCAI accepts in a submit, what it refuses with 400, and what it accepts only to fail.

Source: gccai.heqingsong.uk/en/api-reference/images/wan2.7-image/generation, read 2026-11-20 (wire
page, 2). Fields without effect and unknown ones are ignored (9). Not documented and so our choice
(9, 10): gears in capitals only and at most one of them; an empty ``image_urls`` is none; a picture
in a ``data:`` URI is looked at, one behind a URL is not; boxes out of order are found only by the
model, so that the task fails and costs nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import isqrt
from typing import Any, Final

from attrs import frozen

from wanbridge.sandbox.dialects import shapes
from wanbridge.sandbox.dialects.orders import DrawnOrder
from wanbridge.sandbox.dialects.uploads import image_sides, image_type
from wanbridge.sandbox.picture import Picture

PRO: Final = "wan2.7-image-pro"
STANDARD: Final = "wan2.7-image"
MODELS: Final = (PRO, STANDARD)

_GEARS: Final = {"1K": 1024, "2K": 2048, "4K": 4096}
_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
_PIXELS: Final = re.compile(r"([1-9]\d{0,4})[x*]([1-9]\d{0,4})", re.ASCII)
_AREA_MIN: Final = 768**2
_STRETCH: Final = 8
_SIDES: Final = (240, 8000)
_BYTES: Final = 20 * 2**20
_DATA_URI: Final = re.compile(r"data:image/[\w.+-]+;base64,")
_TYPES: Final = ("image/jpeg", "image/png", "image/webp", "image/bmp")

_Rule = tuple[str, Callable[[Any], bool]]
_BOOLEAN: Final[_Rule] = ("a boolean", lambda v: isinstance(v, bool))
FIELDS: Final[Mapping[str, _Rule]] = {
    "model": (f"one of {', '.join(MODELS)}", lambda v: v in MODELS),
    "prompt": (
        "a string of at most 5000 characters",
        lambda v: isinstance(v, str) and len(v) <= 5000,
    ),
    "image_urls": ("at most 9 strings", lambda v: shapes.is_strings(v) and len(v) <= 9),
    "n": ("a number", shapes.is_int),
    "size": ("a string", lambda v: isinstance(v, str)),
    "resolution": ("1K, 2K or 4K", lambda v: isinstance(v, str) and v in _GEARS),
    "negative_prompt": ("a string", lambda v: isinstance(v, str)),
    "watermark": _BOOLEAN,
    "seed": ("an integer, 0 to 2147483647", lambda v: shapes.is_int(v) and 0 <= v < 2**31),
    "thinking_mode": _BOOLEAN,
    "enable_sequential": _BOOLEAN,
    "bbox_list": ("lists of at most 2 boxes of 4 integers", shapes.is_boxes),
    "color_palette": ("a list", lambda v: isinstance(v, list)),
}


class Refused(Exception):
    """A submit that breaks a rule."""


@frozen(kw_only=True)
class Order(DrawnOrder):
    """A submit that GCCAI accepts.

    Attributes:
        images: URLs and ``data:`` URIs of the input images.
        seed: None if the request has none.
        doomed: Why the upstream model will fail it; None if it will not.
    """

    images: tuple[str, ...]
    n: int
    seed: int | None
    boxes: list[list[list[int]]]
    doomed: str | None

    def pictures(self, provider: str, seed: int) -> list[Picture]:
        """What each of the *n* pictures shows."""
        boxes = () if self.doomed else shapes.regions(self.boxes)
        return self.series(provider, boxes, count=self.n, seed=seed, own_seeds=True)


def read(body: Any, *, inline: bool, own: str) -> Order:
    """The order in *body*. Raises Refused.

    Args:
        inline: Whether ``data:`` URIs are taken.
        own: Origin of the sandbox, whose files count as public.
    """
    if not isinstance(body, dict):
        raise Refused("the body is not an object")
    _check_fields(body)
    images = tuple(body.get("image_urls", ()))
    if not images and not body.get("prompt"):
        raise Refused("prompt is required without image_urls")
    # Only a picture that came with the request has a shape the sandbox can see.
    seen = [_shape(url, inline=inline, own=own) for url in images]
    boxes = body.get("bbox_list", [[]] * len(images))
    if len(boxes) != len(images):
        raise Refused("bbox_list must have one entry per image")
    width, height = _size(body, images, seen[-1] if seen else None)
    upright = all(shapes.is_upright(box) for per_image in boxes for box in per_image)
    return Order(
        model=body["model"],
        prompt=body.get("prompt", ""),
        images=images,
        n=_count(body),
        width=width,
        height=height,
        seed=body.get("seed"),
        palette=_palette(body),
        boxes=boxes,
        doomed=None if upright else "a box of bbox_list is not in order",
    )


def _check_fields(body: Mapping[str, Any]) -> None:
    if "model" not in body:
        raise Refused("model is required")
    for name, (words, good) in FIELDS.items():
        if name in body and not good(body[name]):
            raise Refused(f"{name} must be {words}")


def _count(body: Mapping[str, Any]) -> int:
    n: int = body.get("n", 1)
    most = 12 if body.get("enable_sequential") else 4
    if not 1 <= n <= most:
        raise Refused(f"n must be 1 to {most}")
    return n


def _shape(url: str, *, inline: bool, own: str) -> tuple[int, int] | None:
    """Width and height of an input image, None if unseen. Raises Refused."""
    if inline and (found := _DATA_URI.match(url)):
        return _inline_shape(url[found.end() :])
    if shapes.is_public(url, ("https", "http")) or url.startswith(f"{own}/"):
        return None
    kinds = "http, https or data:image/...;base64," if inline else "http or https"
    raise Refused(f"image_urls must be public {kinds}")


def _inline_shape(text: str) -> tuple[int, int]:
    try:
        data = base64.b64decode(text, validate=True)
        if image_type(data) not in _TYPES:
            raise Refused("an image must be JPEG, PNG, WEBP or BMP")
        width, height = image_sides(data)
    except ValueError:
        raise Refused("an image of image_urls cannot be read") from None
    low, high = _SIDES
    if not (low <= min(width, height) and max(width, height) <= high):
        raise Refused(f"an image has {width}x{height} pixels, {low} to {high} per side are allowed")
    if not _is_moderate(width, height) or len(data) > _BYTES:
        raise Refused("an image must be between 1:8 and 8:1 and at most 20 MB")
    return width, height


def _size(
    body: Mapping[str, Any], images: Sequence[str], last: tuple[int, int] | None
) -> tuple[int, int]:
    """Pixels of the output. Raises Refused."""
    size, gear = body.get("size", "2K"), body.get("resolution")
    # 4K is for text-to-image on the pro model, outside groups (2).
    large = body["model"] == PRO and not images and not body.get("enable_sequential")
    if found := _PIXELS.fullmatch(size):
        return _pixels(int(found[1]), int(found[2]), large=large)
    if size not in _GEARS and size not in _RATIOS:
        raise Refused("size must be 1K, 2K, 4K, a known ratio, WIDTHxHEIGHT or WIDTH*HEIGHT")
    if size in _GEARS and "size" in body and gear is not None:
        raise Refused("a gear stands in size or in resolution, not in both")
    gear = gear or (size if size in _GEARS else "2K")
    if gear == "4K" and not large:
        raise Refused("4K is for text-to-image on the pro model, outside groups")
    # With images the shape is that of the last of them, and a ratio has no effect.
    across, down = last or (1, 1)
    if not images and size in _RATIOS:
        across, down = map(int, size.split(":"))
    return shapes.canvas(_GEARS[gear] ** 2, across, down)


def _pixels(width: int, height: int, *, large: bool) -> tuple[int, int]:
    most = 4096**2 if large else 2048**2
    if not _AREA_MIN <= width * height <= most:
        raise Refused(f"{width}x{height} is not from 768x768 to {isqrt(most)}x{isqrt(most)} pixels")
    if not _is_moderate(width, height):
        raise Refused(f"{width}x{height} is not between 1:8 and 8:1")
    return width, height


def _is_moderate(width: int, height: int) -> bool:
    return max(width, height) <= _STRETCH * min(width, height)


def _palette(body: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    """The palette as colours and shares; none in groups, where it is ignored. Raises Refused."""
    if "color_palette" not in body or body.get("enable_sequential"):
        return ()
    entries = body["color_palette"]
    if not 3 <= len(entries) <= 10:
        raise Refused("color_palette must have 3 to 10 entries")
    palette = tuple(_colour(entry) for entry in entries)
    if sum(share for _, share in palette) != 100:
        raise Refused("the ratios of color_palette must add up to 100.00%")
    return palette


def _colour(entry: Any) -> tuple[str, Decimal]:
    if not isinstance(entry, dict) or not shapes.is_hex_colour(entry.get("hex")):
        raise Refused("an entry of color_palette needs a hex of the form #RRGGBB")
    share = shapes.percent(entry.get("ratio"))
    if share is None:
        raise Refused('an entry of color_palette needs a ratio of the form "23.51%"')
    return entry["hex"], share
