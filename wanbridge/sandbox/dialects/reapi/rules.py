"""What reAPI accepts, what it refuses with 400, and what it accepts only to fail.

Two gates stand behind one endpoint. reAPI's own checks answer 400 and cost nothing; the upstream
model looks later, so that a task may be accepted, charged, failed and refunded.

Sources: reapi.ai/docs/wan-2-7-image and the validators of reAPI's playground as third parties
recorded them, read 2026-11-20. Refusing unknown fields, wrong types, a ``4K`` in ``size`` where
``resolution`` may not be 4K, and two different tiers at once is our choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from math import isqrt
from typing import Any, Final

from attrs import frozen

from wanbridge.sandbox.dialect import Call
from wanbridge.sandbox.dialects import shapes
from wanbridge.sandbox.dialects.orders import DrawnOrder
from wanbridge.sandbox.picture import Picture

_MISSING = 20002
_INVALID = 20001

PRO = "wan2.7-image-pro"
# US dollars per image (reapi.ai/models/wan-2-7-image, snapshot of 2026-07-28).
_PRICES: Final = {"wan2.7-image": Decimal("0.02376"), PRO: Decimal("0.05984")}

_TIERS: Final = {"1K": 1024, "2K": 2048, "4K": 4096}
_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
_PIXELS = re.compile(r"(\d{1,5})x(\d{1,5})")

_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "model": ("a string", lambda v: isinstance(v, str)),
    "prompt": ("a string of 1 to 5000 characters", lambda v: shapes.is_text(v, 5000)),
    "image_urls": ("1 to 9 strings", lambda v: shapes.is_strings(v) and 1 <= len(v) <= 9),
    "n": ("an integer", shapes.is_int),
    "size": ("a string of 1 to 20 characters", lambda v: shapes.is_text(v, 20)),
    "resolution": (
        "1K, 2K or 4K",
        lambda v: isinstance(v, str) and v.upper() in _TIERS,
    ),
    "negative_prompt": ("a string", lambda v: isinstance(v, str)),
    "watermark": ("a boolean", lambda v: isinstance(v, bool)),
    "seed": ("an integer, 0 to 2147483647", lambda v: shapes.is_int(v) and 0 <= v < 2**31),
    "thinking_mode": ("a boolean", lambda v: isinstance(v, bool)),
    "enable_sequential": ("a boolean", lambda v: isinstance(v, bool)),
    "bbox_list": ("lists of at most 2 boxes of 4 integers", shapes.is_boxes),
    "color_palette": ("3 to 10 objects with hex and ratio", lambda v: _is_palette(v)),
}


class Refused(Exception):
    """An answer of 400. ``code`` is reAPI's five-digit number."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen(kw_only=True)
class Order(DrawnOrder):
    """A request that reAPI accepts.

    Attributes:
        doomed: Why the upstream model will fail it; None if it will not.
    """

    n: int
    seed: int | None
    body: Mapping[str, Any]
    doomed: str | None

    def pictures(self, provider: str, seed: int) -> list[Picture]:
        """What each of the *n* pictures shows."""
        boxes = shapes.regions(self.body.get("bbox_list", []))
        return self.series(provider, boxes, count=self.n, seed=seed, own_seeds=True)


def credits_due(model: str, n: int) -> Decimal:
    """Whole credits for *n* images: rounded up once, after the multiplication."""
    return (_PRICES[model] * n * 1000).to_integral_value(ROUND_CEILING)


def read(call: Call, *, extra: bool, http: bool, own: str) -> Order:
    """The order in *call*. Raises Refused.

    Args:
        extra: Ignore unknown fields instead of refusing them.
        http: Let ``http://`` images through.
        own: Origin of the sandbox, whose pictures count as public.
    """
    try:
        body = call.json()
    except ValueError:
        raise Refused(_INVALID, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refused(_INVALID, "the body is not an object")
    _check_fields(body, extra=extra)
    _check_images(body, ("https", "http") if http else ("https",), own)
    n = _check_count(body)
    tier = _check_size(body)
    width, height = _pixels(body, tier)
    doomed = _upstream(body, width, height)
    return Order(
        model=body["model"],
        prompt=body.get("prompt", ""),
        palette=() if doomed else _palette(body),
        n=n,
        seed=body.get("seed"),
        body=body,
        width=width,
        height=height,
        doomed=doomed,
    )


def _is_palette(value: Any) -> bool:
    return shapes.is_palette(value, lambda entry: shapes.is_strings(list(entry.values())))


def _check_fields(body: dict[str, Any], *, extra: bool) -> None:
    if "model" not in body:
        raise Refused(_MISSING, "model is required")
    for name, value in body.items():
        if name not in _FIELDS:
            if not extra:
                raise Refused(_INVALID, f"unknown field {name}")
        elif not _FIELDS[name][1](value):
            raise Refused(_INVALID, f"{name} must be {_FIELDS[name][0]}")
    if body["model"] not in _PRICES:
        raise Refused(_INVALID, f"model must be one of {', '.join(_PRICES)}")
    if "prompt" not in body and "image_urls" not in body:
        raise Refused(_MISSING, "prompt or image_urls is required")


def _check_images(body: dict[str, Any], schemes: tuple[str, ...], own: str) -> None:
    urls = body.get("image_urls", [])
    for url in urls:
        if not shapes.is_public(url, schemes) and not url.startswith(f"{own}/"):
            raise Refused(_INVALID, f"image_urls must be public {' or '.join(schemes)} URLs")
    if "bbox_list" in body and len(body["bbox_list"]) != len(urls):
        raise Refused(_INVALID, "bbox_list must have one entry per image")


def _check_count(body: dict[str, Any]) -> int:
    n: int = body.get("n", 1)
    most = 12 if body.get("enable_sequential") else 4
    if not 1 <= n <= most:
        raise Refused(_INVALID, f"n must be 1 to {most}")
    return n


def _check_size(body: dict[str, Any]) -> str:
    """The tier; 2K if none is named, as reAPI's playground has it."""
    size = body.get("size", "1:1").upper()
    if size not in _TIERS and size not in _RATIOS and not _PIXELS.fullmatch(size.lower()):
        raise Refused(_INVALID, "size must be a tier, a known ratio or WIDTHxHEIGHT")
    tier: str = body.get("resolution", size if size in _TIERS else "2K").upper()
    if size in _TIERS and size != tier:
        raise Refused(_INVALID, "size and resolution name different tiers")
    plain = "image_urls" not in body and not body.get("enable_sequential")
    if tier == "4K" and not (body["model"] == PRO and plain):
        raise Refused(_INVALID, "4K is for text-to-image on the pro model, outside group mode")
    return tier


def _pixels(body: dict[str, Any], tier: str) -> tuple[int, int]:
    size = body.get("size", "1:1").lower()
    if found := _PIXELS.fullmatch(size):
        return int(found[1]), int(found[2])
    # With images the shape follows the last of them, which the sandbox never sees: square.
    ratio = size if ":" in size and "image_urls" not in body else "1:1"
    across, down = map(int, ratio.split(":"))
    area = _TIERS[tier] ** 2
    return _step(isqrt(area * across // down)), _step(isqrt(area * down // across))


def _step(side: int) -> int:
    # Down, so that a tier and a ratio never leave the tier's own range of pixels.
    return side // 16 * 16


def _upstream(body: dict[str, Any], width: int, height: int) -> str | None:
    """Why the upstream model fails what reAPI lets through; None if it does not."""
    plain = "image_urls" not in body and not body.get("enable_sequential")
    most = 4096**2 if body["model"] == PRO and plain else 2048**2
    if not 768**2 <= width * height <= most:
        return f"{width}x{height} is outside the model's range of pixels"
    if not width <= 8 * height <= 64 * width:
        return f"{width}x{height} is outside 1:8 to 8:1"
    if not all(shapes.is_upright(box) for boxes in body.get("bbox_list", []) for box in boxes):
        return "a box of bbox_list is not in order"
    # In group mode the palette is ignored.
    if "color_palette" in body and not body.get("enable_sequential"):
        return _palette_fault(body["color_palette"])
    return None


def _palette_fault(entries: list[dict[str, str]]) -> str | None:
    shares = [shapes.percent(entry["ratio"]) for entry in entries]
    if not all(shapes.is_hex_colour(entry["hex"]) for entry in entries):
        return "a colour of color_palette is not #RRGGBB"
    if sum(share or 0 for share in shares) != 100 or None in shares:
        return "the ratios of color_palette do not add up to 100.00%"
    return None


def _palette(body: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    if body.get("enable_sequential"):
        return ()
    entries = body.get("color_palette", [])
    return tuple((entry["hex"], shapes.percent(entry["ratio"]) or Decimal(0)) for entry in entries)
