"""What EmpirioLabs accepts in ``POST /images/generations``, and what it reads out of it.

One flat body. Images and ``enable_sequential`` choose between text-to-image, edit and set; palette
and boxes are strings that hold JSON; each mode has a count field of its own and ignores the other.

Sources: docs.empiriolabs.ai/models/wan2-7-image and /api-reference-overview, read 2026-11-20.
Numbers in brackets are sections of our wire page on EmpirioLabs; the rules are those of its
section 9. Our choices: null is no value of any field, integers must be written as such, fields
that do not count in a mode (``custom_width`` without ``use_custom_size``, ``size`` outside
text-to-image, the other mode's count, ``thinking_mode`` of the standard variant) are checked on
their own and then ignored, ``num_images`` wins over ``n``, images must be public http(s) URLs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from attrs import define, field, frozen

from wanbridge.sandbox.dialects.orders import DrawnOrder
from wanbridge.sandbox.dialects.shapes import (
    canvas,
    is_box,
    is_hex_colour,
    is_int,
    is_public,
    is_strings,
    is_text,
    is_upright,
    regions,
)
from wanbridge.sandbox.picture import Picture, Region

MODEL: Final = "wan2-7-image"
PRO: Final = "wan2.7-image-pro"
STANDARD: Final = "wan2.7-image"

_TIERS: Final = {"1K": 1024, "2K": 2048, "4K": 4096}
_RATIOS: Final = ("16:9", "1:1", "9:16", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5")
_PIXELS: Final = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)
# Two decimals are inferred from the upstream model (2.3).
_SHARE: Final = re.compile(r"(\d{1,3}\.\d{2})%", re.ASCII)
_SIDES: Final = (768, 4096)
_SMALL: Final = 2048
_BOXES: Final = 2
# Any of these asks for the upstream service's own payload (2.2).
_RAW: Final = ("disable_formatting", "raw", "passthrough", "raw_response")


class Mode(StrEnum):
    """What the body asks for (2.1)."""

    TEXT = "text-to-image"
    EDIT = "edit"
    SET = "set"


@define(slots=False, eq=False)
class Refused(Exception):
    """A request that is not taken on. ``param`` names the field, if it is one."""

    message: str
    param: str | None = None
    status: int = 400
    code: str = "invalid_request"


@frozen(kw_only=True)
class Parameter:
    """One field of the body.

    Attributes:
        range: What it may be, in words.
        listed: Whether the model's published table has it; others are known from elsewhere.
    """

    name: str
    type: str
    range: str
    good: Callable[[Any], bool] = field(repr=False)
    default: Any = None
    listed: bool = True

    def to_json(self) -> dict[str, Any]:
        """An entry of the model's ``supported_parameters``."""
        return {
            "name": self.name,
            "type": self.type,
            "default": self.default,
            "range": self.range,
            "conditions": _CONDITIONS.get(self.name),
        }


@frozen(kw_only=True)
class House:
    """What the reading of a body depends on besides the body.

    Attributes:
        own: Origin of the sandbox, whose pictures count as public.
        size_of: Pixels of an input image; None if the sandbox cannot know them.
        lenient: Ignore unknown fields instead of refusing them.
        aspect_in_edits: Whether an edit follows ``aspect_ratio`` (section 10 leaves it open).
        flat_boxes: Take boxes at the one depth that the published page shows, for one image.
        template: Status and code of every ``template``: the sandbox has none of them.
    """

    own: str
    size_of: Callable[[str], tuple[int, int] | None]
    lenient: bool
    aspect_in_edits: bool
    flat_boxes: bool
    template: tuple[int, str]


@frozen(kw_only=True)
class Order(DrawnOrder):
    """A body that was accepted.

    Attributes:
        count: Images asked for; in a set the most there will be.
        seed: None if the service is to choose.
        sync: None if the body does not say.
        raw: The upstream payload is wanted in place of the documented shapes.
    """

    mode: Mode
    count: int
    seed: int | None
    regions: tuple[Region, ...]
    sync: bool | None
    base64: bool
    raw: bool

    def pictures(self, provider: str, *, seed: int, most: int) -> list[Picture]:
        """Those that will be made: of a set, the model decides how many, here *most*."""
        count = min(self.count, most) if self.mode is Mode.SET else self.count
        return self.series(provider, self.regions, count=count, seed=seed)


def read(body: Any, house: House) -> Order:
    """The order in a JSON body. Raises Refused."""
    if not isinstance(body, dict):
        raise Refused("the body must be a JSON object")
    _check_fields(body, lenient=house.lenient)
    if "template" in body:
        status, code = house.template
        raise Refused(f"template {body['template']!r}", "template", status, code)
    mode = _mode(body)
    images = body.get("image", [])
    _check_images(images, house.own)
    width, height = _size(body, mode, house)
    variant = body.get("model_variant", PRO)
    return Order(
        mode=mode,
        model=variant,
        prompt=body["prompt"],
        width=width,
        height=height,
        count=_count(body, mode),
        seed=body.get("seed"),
        palette=() if mode is Mode.SET else _palette(body.get("color_palette")),
        regions=_regions(body.get("bbox_list"), len(images), flat=house.flat_boxes),
        sync=body.get("sync"),
        base64=body.get("response_format") == "b64_json",
        raw=any(body.get(name, False) for name in _RAW),
    )


def _check_fields(body: Mapping[str, Any], *, lenient: bool) -> None:
    unknown = [name for name in body if name not in PARAMETERS]
    if unknown and not lenient:
        raise Refused(f"{unknown[0]} is not a parameter of this model", unknown[0])
    for name in ("model", "prompt"):
        if name not in body:
            raise Refused(f"{name} is required", name)
    for name, parameter in PARAMETERS.items():
        if name in body and not parameter.good(body[name]):
            raise Refused(f"{name} must be {parameter.range}", name)
    if body["model"] != MODEL:
        raise Refused(f"model {body['model']!r} does not exist", "model", 404, "model_not_found")


def _mode(body: Mapping[str, Any]) -> Mode:
    if body.get("enable_sequential"):
        return Mode.SET
    return Mode.EDIT if body.get("image") else Mode.TEXT


def _count(body: Mapping[str, Any], mode: Mode) -> int:
    if mode is Mode.SET:
        return int(body.get("num_images_set", 1))
    return int(body.get("num_images", body.get("n", 1)))


def _check_images(urls: list[str], own: str) -> None:
    for url in urls:
        if not is_public(url, ("https", "http")) and not url.startswith(f"{own}/"):
            raise Refused("image must hold public http or https URLs", "image")


def _size(body: Mapping[str, Any], mode: Mode, house: House) -> tuple[int, int]:
    """Pixels: ``use_custom_size`` before ``size`` before ``aspect_ratio`` (2.4)."""
    large = mode is Mode.TEXT and body.get("model_variant", PRO) == PRO
    tier = body.get("resolution", "2K")
    if tier == "4K" and not large:
        raise Refused(f"4K is for text-to-image with {PRO}", "resolution")
    if body.get("use_custom_size"):
        return _custom(body, large=large)
    if mode is Mode.TEXT and "size" in body:
        across, down = map(int, body["size"].split("x"))
        return _exact(("size", across), ("size", down), large=large)
    return canvas(_TIERS[tier] ** 2, *_ratio(body, mode, house))


def _custom(body: Mapping[str, Any], *, large: bool) -> tuple[int, int]:
    names = ("custom_width", "custom_height")
    if missing := [name for name in names if name not in body]:
        raise Refused(f"{missing[0]} is required with use_custom_size", missing[0])
    return _exact(*((name, body[name]) for name in names), large=large)


def _exact(*sides: tuple[str, int], large: bool) -> tuple[int, int]:
    """Width and height, each given with its field's name, if they are possible.

    No two such sides are outside 1:8 to 8:1.
    """
    low, high = _SIDES
    for name, side in sides:
        if not low <= side <= high:
            raise Refused(f"{name}: a side of {side} is outside {low} to {high}", name)
        if side > _SMALL and not large:
            raise Refused(f"{name}: above {_SMALL} only text-to-image with {PRO}", name)
    (_, width), (_, height) = sides
    return width, height


def _ratio(body: Mapping[str, Any], mode: Mode, house: House) -> tuple[int, int]:
    """Width to height; without one, 16:9 or that of the last input image (2.2)."""
    images = body.get("image", [])
    follows = mode is Mode.EDIT and not house.aspect_in_edits
    if "aspect_ratio" in body and not follows:
        across, down = map(int, body["aspect_ratio"].split(":"))
        return across, down
    if not images:
        return 16, 9
    # An image that the sandbox never saw counts as square.
    return house.size_of(images[-1]) or (1, 1)


def _inner(text: str, param: str) -> list[Any]:
    """The list in a string that holds JSON (2.3)."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(f"{param} is not JSON", param) from None
    if not isinstance(value, list):
        raise Refused(f"{param} must hold a JSON array", param)
    return value


def _palette(text: str | None) -> tuple[tuple[str, Decimal], ...]:
    if text is None:
        return ()
    entries = _inner(text, "color_palette")
    if not 3 <= len(entries) <= 10:
        raise Refused("color_palette must have 3 to 10 colours", "color_palette")
    palette = tuple(map(_colour, entries))
    if (total := sum(share for _, share in palette)) != 100:
        raise Refused(f"color_palette: ratios add up to {total}%, not 100.00%", "color_palette")
    return palette


def _colour(entry: Any) -> tuple[str, Decimal]:
    if not isinstance(entry, dict) or entry.keys() != {"hex", "ratio"}:
        raise Refused("color_palette: an entry is {hex, ratio}", "color_palette")
    share = _SHARE.fullmatch(entry["ratio"]) if isinstance(entry["ratio"], str) else None
    if not is_hex_colour(entry["hex"]) or share is None:
        raise Refused('color_palette: "#2A6F97" and "23.51%" are the forms', "color_palette")
    return entry["hex"], Decimal(share[1])


def _regions(text: str | None, images: int, *, flat: bool) -> tuple[Region, ...]:
    if text is None:
        return ()
    value = _inner(text, "bbox_list")
    if not images:
        raise Refused("bbox_list needs an image", "bbox_list")
    per_image = _boxes_per_image(value, images, flat=flat)
    for boxes in per_image:
        if not isinstance(boxes, list) or len(boxes) > _BOXES:
            raise Refused(f"bbox_list: at most {_BOXES} boxes for each image", "bbox_list")
        if not all(is_box(box) and is_upright(box) for box in boxes):
            raise Refused("bbox_list: a box is [x1, y1, x2, y2], x1 < x2, y1 < y2", "bbox_list")
    return regions(per_image)


def _boxes_per_image(value: list[Any], images: int, *, flat: bool) -> list[Any]:
    """The depth rule (2.3): a list of boxes is for one image; deeper, one list for each."""
    deep = any(isinstance(item, list) and (not item or isinstance(item[0], list)) for item in value)
    if not value:
        return []
    if flat and deep:
        raise Refused("bbox_list must be [[x1, y1, x2, y2]]", "bbox_list")
    if not deep and images > 1:
        raise Refused("bbox_list: boxes without an image's list, for several", "bbox_list")
    if deep and len(value) != images:
        raise Refused(f"bbox_list must have one list for each of {images} images", "bbox_list")
    return value if deep else [value]


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, str) and v in values


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: is_int(v) and low <= v <= high


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _choice(name: str, *values: str, default: str | None = None) -> Parameter:
    return Parameter(
        name=name, type="string", range=", ".join(values), good=_one_of(*values), default=default
    )


def _number(
    name: str, low: int, high: int, default: int | None = None, *, listed: bool = True
) -> Parameter:
    words = f"an integer, {low} to {high}"
    good = _whole(low, high)
    return Parameter(
        name=name, type="number", range=words, good=good, default=default, listed=listed
    )


def _boolean(name: str, *, default: bool = False, listed: bool = True) -> Parameter:
    return Parameter(
        name=name,
        type="boolean",
        range="true or false",
        good=_flag,
        default=default,
        listed=listed,
    )


def _string(
    name: str, words: str, good: Callable[[Any], bool], *, listed: bool = True
) -> Parameter:
    return Parameter(name=name, type="string", range=words, good=good, listed=listed)


_ALL: Final = (
    _string("model", "a string", lambda v: isinstance(v, str)),
    _string("prompt", "a string of 1 to 5000 characters", lambda v: is_text(v, 5000)),
    _choice("model_variant", PRO, STANDARD, default=PRO),
    _choice("aspect_ratio", *_RATIOS),
    _choice("resolution", *_TIERS, default="2K"),
    _boolean("use_custom_size"),
    _number("custom_width", *_SIDES),
    _number("custom_height", *_SIDES),
    _boolean("enable_sequential"),
    _number("num_images", 1, 4, 1),
    _number("num_images_set", 1, 12, 1),
    _boolean("thinking_mode", default=True),
    Parameter(
        name="image",
        type="array of string",
        range="an array of at most 9 URLs",
        good=lambda v: is_strings(v) and len(v) <= 9,
    ),
    _string("color_palette", "a string that holds JSON", lambda v: isinstance(v, str)),
    _string("bbox_list", "a string that holds JSON", lambda v: isinstance(v, str)),
    _number("seed", 0, 2**31 - 1),
    _boolean("watermark"),
    _choice("response_format", "url", "b64_json", default="url"),
    _boolean("sync", listed=False),
    _string(
        "size",
        "WIDTHxHEIGHT",
        lambda v: isinstance(v, str) and _PIXELS.fullmatch(v) is not None,
        listed=False,
    ),
    _number("n", 1, 4, listed=False),
    _string("template", "a preset's name", lambda v: isinstance(v, str), listed=False),
    *(_boolean(name, listed=False) for name in _RAW),
)
PARAMETERS: Final[Mapping[str, Parameter]] = {p.name: p for p in _ALL}

_CONDITIONS: Final = {
    "aspect_ratio": "ignored with use_custom_size",
    "resolution": f"4K: text-to-image with {PRO}",
    "custom_width": f"with use_custom_size; above 2048: text-to-image with {PRO}",
    "custom_height": f"with use_custom_size; above 2048: text-to-image with {PRO}",
    "num_images": "without enable_sequential",
    "num_images_set": "with enable_sequential",
    "thinking_mode": f"text-to-image with {PRO}",
    "color_palette": "without enable_sequential",
    "bbox_list": "with image",
}
