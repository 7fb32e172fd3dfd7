"""Readings of JSON values that several providers share, as Wan 2.7's own fields are the same."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from math import isqrt
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from wanbridge.sandbox.picture import Box, Region

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Of S3 and what works alike, Google, Azure.
_SIGNED = re.compile(r"(^|&)(X-Amz-Signature|X-Goog-Signature|sig)=")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)%")


def is_int(value: Any) -> TypeGuard[int]:
    """Whether *value* is a JSON integer; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_strings(value: Any) -> TypeGuard[list[str]]:
    """Whether *value* is a list of strings, possibly empty."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_text(value: Any, most: int) -> TypeGuard[str]:
    """Whether *value* is a string of 1 to *most* characters."""
    return isinstance(value, str) and 1 <= len(value) <= most


def is_url(value: Any) -> TypeGuard[str]:
    """Whether *value* is an http or https URL with a host."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def number(value: Decimal) -> int | float:
    """*value* as the wire has it: a JSON number, without a point where none is needed."""
    return int(value) if value == int(value) else float(value)


def canvas(area: int, across: int, down: int) -> tuple[int, int]:
    """Width and height of about *area* pixels in the ratio *across*:*down*, multiples of 16."""

    def step(side: int) -> int:
        return round(side / 16) * 16

    return step(isqrt(area * across // down)), step(isqrt(area * down // across))


def is_hex_colour(value: Any) -> TypeGuard[str]:
    """Whether *value* is ``#RRGGBB``."""
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def percent(value: Any) -> Decimal | None:
    """The number in ``"23.51%"``, at most two places; None if *value* is not of that form."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    return Decimal(found[1]) if found else None


def is_box(value: Any) -> bool:
    """Whether *value* is a list of exactly four integers."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_int, value))


def is_boxes(value: Any) -> bool:
    """Whether *value* is a list of lists of at most two boxes."""
    return isinstance(value, list) and all(
        isinstance(boxes, list) and len(boxes) <= 2 and all(map(is_box, boxes)) for boxes in value
    )


def is_palette(value: Any, is_entry: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether *value* is a list of 3 to 10 objects with ``hex`` and ``ratio`` and nothing else."""
    return (
        isinstance(value, list)
        and 3 <= len(value) <= 10
        and all(isinstance(v, dict) and v.keys() == {"hex", "ratio"} and is_entry(v) for v in value)
    )


def is_upright(box: list[int]) -> bool:
    """Whether a box has its corners in order: x1 < x2, y1 < y2, none below zero."""
    x1, y1, x2, y2 = box
    return 0 <= x1 < x2 and 0 <= y1 < y2


def regions(boxes: list[list[list[int]]]) -> tuple[Region, ...]:
    """Boxes per input image, in order, as what a picture shows of them."""
    return tuple(
        Region(image=number, boxes=tuple(_box(box) for box in per_image))
        for number, per_image in enumerate(boxes, 1)
        if per_image
    )


def _box(box: list[int]) -> Box:
    x1, y1, x2, y2 = box
    return x1, y1, x2, y2


def is_public(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether *url* has one of *schemes* and a host that a provider could reach.

    A signed link to this machine counts as such: it is that of an object store which stands here
    for one on the internet, as the sandbox stands for the provider.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if host in _LOOPBACK and _SIGNED.search(parts.query):
        return True
    if parts.scheme.lower() not in schemes or not host or host == "localhost":
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host
