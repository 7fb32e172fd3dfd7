"""What DashScope demands of the body of a create, sync and async alike.

Checks in the order of the wire page's section 9: 3 size of the body, 4 its envelope, 7 model,
8 message, 10 and 11 images, 12 size, 13 n, 14 boxes, 15 palette, 16 seed and booleans. The rest
of the numbers (credentials, headers, uploads, rates) is the dialect's. Unknown parameters,
nulls and ``is_async`` are ignored (18), ``thinking_mode`` needs no check but its type (17).

Source: https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference
and https://help.aliyun.com/zh/model-studio/rate-limit (sizes of bodies), read 2026-11-20. The
order, and which wrong value gets which code, is inferred; the ranges are documented.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from wanbridge.sandbox.dialects.dashscope.errors import Refused, invalid
from wanbridge.sandbox.dialects.dashscope.images import Seen, read_data_uri
from wanbridge.sandbox.dialects.orders import DrawnOrder
from wanbridge.sandbox.picture import Box, Region

PRO: Final = "wan2.7-image-pro"
STANDARD: Final = "wan2.7-image"
MODELS: Final = (PRO, STANDARD)

_MIB: Final = 2**20
_BODY: Final = 16 * _MIB
_ITEM: Final = 20 * _MIB
_BODY_WITH_ITEMS: Final = 64 * _MIB
_DATA_URI: Final = re.compile(rb'"(data:[^",]{0,100};base64,[^"]*)"')

_TEXT: Final = 5000
_IMAGES: Final = 9
_SCHEMES: Final = ("https://", "http://", "data:", "oss://")
_TIERS: Final = {"1K": 1024, "2K": 2048, "4K": 4096}
_PIXELS: Final = re.compile(r"([1-9][0-9]{0,5})\*([1-9][0-9]{0,5})", re.ASCII)
_AREA_MIN: Final = 768 * 768
_STRETCH: Final = 8
_BOXES: Final = 2
_HEX: Final = re.compile(r"#[0-9A-Fa-f]{6}", re.ASCII)
_RATIO: Final = re.compile(r"[0-9]{1,3}\.[0-9]{2}%", re.ASCII)
_COLOURS: Final = (3, 10)
_SEED: Final = 2**31 - 1
_BOOLEANS: Final = ("enable_sequential", "thinking_mode", "watermark")


@frozen(kw_only=True)
class Message:
    """The one message: its text, as long as it is read, and its images in their order."""

    text: str
    images: tuple[str, ...]


@frozen(kw_only=True)
class Order(DrawnOrder):
    """A create that passed every check.

    Attributes:
        n: Images asked for; in a set the most there will be.
        seed: None if the request has none.
    """

    sequential: bool
    n: int
    regions: tuple[Region, ...]
    seed: int | None


def too_large(body: bytes) -> bool:
    """Whether the gateway turns the body away unread (check 3; 1.4)."""
    if len(body) > _BODY_WITH_ITEMS:
        return True
    items = [len(item) for item in _DATA_URI.findall(body)]
    return len(body) - sum(items) > _BODY or max(items, default=0) > _ITEM


def read_envelope(body: bytes) -> Mapping[str, Any]:
    """The body as JSON (check 4), without nulls among its parameters. Raises Refused."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("Required body invalid, please check the request body format") from None
    if not isinstance(document, dict) or not isinstance(document.get("input"), dict):
        raise invalid("Required body invalid: input is missing")
    if not isinstance(document["input"].get("messages"), list):
        raise invalid("No messages found in input")
    parameters = document.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise invalid("parameters must be an object")
    given = {name: value for name, value in parameters.items() if value is not None}
    return {**document, "parameters": given}


def read_model(document: Mapping[str, Any], *, status: int) -> str:
    """Check 7. Raises Refused; *status* 400 or 404, as pages disagree on a name unknown."""
    model = document.get("model")
    if not model:
        raise Refused("BadRequest.EmptyModel", "model is missing")
    check_model(model, status=status)
    return str(model)


def check_model(model: Any, *, status: int) -> None:
    """Raise Refused unless *model* is served; *status* as for ``read_model``."""
    if model not in MODELS:
        code = "ModelNotFound" if status == 404 else "InvalidParameter"
        raise Refused(code, "Model not exist.")


def read_message(document: Mapping[str, Any]) -> Message:
    """Check 8: one user message with one text and at most nine images. Raises Refused."""
    messages = document["input"]["messages"]
    if len(messages) != 1:
        raise invalid("messages length only support 1")
    message = messages[0]
    if not isinstance(message, dict) or message.get("role") != "user":
        raise invalid("messages[0].role must be user")
    content = message.get("content")
    if not isinstance(content, list):
        raise invalid("messages[0].content must be a list")
    parts = [_part(part) for part in content]
    texts = [value for key, value in parts if key == "text"]
    images = tuple(value for key, value in parts if key == "image")
    if len(texts) != 1:
        raise invalid(f"content must have exactly one text, it has {len(texts)}")
    if len(images) > _IMAGES:
        raise invalid(f"content can have at most {_IMAGES} images, it has {len(images)}")
    # What is too long is cut without a word (2.2; check 19).
    return Message(text=texts[0][:_TEXT], images=images)


def _part(part: Any) -> tuple[str, str]:
    # One key per part (2.1), so a `type` beside it is refused too.
    if isinstance(part, dict) and len(part) == 1:
        ((key, value),) = part.items()
        if key in ("text", "image") and isinstance(value, str):
            return key, value
    raise invalid("each part of content must be one of {text: string} and {image: string}")


def check_scheme(url: str) -> None:
    """Check 10. Raises Refused."""
    if not url.startswith(_SCHEMES):
        raise invalid(f"url error, please check url: {url[:40]!r}")


def read_inline(url: str) -> Seen:
    """Check 11, for images that came with the body; others are not fetched. Raises Refused."""
    return read_data_uri(url) if url.startswith("data:") else Seen()


def read_order(
    document: Mapping[str, Any],
    message: Message,
    images: Sequence[Seen],
    *,
    default_n: int,
) -> Order:
    """Checks 12 to 16. Raises Refused.

    Args:
        default_n: Images outside sets when ``n`` is absent; pages disagree on it.
    """
    parameters = document["parameters"]
    model = document["model"]
    sequential = parameters.get("enable_sequential") is True
    large = model == PRO and not images and not sequential
    width, height = _size(parameters.get("size", "2K"), images, large=large)
    n = _count(parameters.get("n"), sequential=sequential, default=default_n)
    regions = _regions(parameters.get("bbox_list"), images)
    palette = _palette(parameters.get("color_palette"), sequential=sequential)
    _check_booleans(parameters)
    return Order(
        model=model,
        prompt=message.text,
        sequential=sequential,
        width=width,
        height=height,
        n=n,
        regions=regions,
        palette=palette,
        seed=_seed(parameters.get("seed")),
    )


def _integer(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _size(value: Any, images: Sequence[Seen], *, large: bool) -> tuple[int, int]:
    """Pixels of the output (2.6).

    Args:
        large: 4K is sold: only by the pro model, without images, outside sets.
    """
    area = (4096 if large else 2048) ** 2
    if isinstance(value, str) and value in _TIERS:
        side = _TIERS[value]
        if side**2 > area:
            raise invalid(f"size {value} is not supported here, use 1K or 2K")
        return _tier_pixels(side, images)
    pixels = _PIXELS.fullmatch(value) if isinstance(value, str) else None
    if pixels is None:
        raise invalid(f"size must be 1K, 2K, 4K or W*H, not {value!r}")
    width, height = int(pixels[1]), int(pixels[2])
    if not _AREA_MIN <= width * height <= area:
        raise invalid(f"size {value}: total pixels must be {_AREA_MIN} to {area}")
    if max(width, height) > _STRETCH * min(width, height):
        raise invalid(f"size {value}: ratio must be 1:{_STRETCH} to {_STRETCH}:1")
    return width, height


def _tier_pixels(side: int, images: Sequence[Seen]) -> tuple[int, int]:
    """A square, or the last image's shape in the tier's area (2.6).

    Multiples of 16 are the sandbox's choice, as is the square for an image it cannot see.
    """
    last = images[-1] if images else Seen()
    if last.width is None or last.height is None:
        return side, side
    stretch = math.sqrt(last.width / last.height)
    return round(side * stretch / 16) * 16, round(side / stretch / 16) * 16


def _count(value: Any, *, sequential: bool, default: int) -> int:
    limit = 12 if sequential else 4
    if value is None:
        return limit if sequential else default
    if not _integer(value, 1, limit):
        raise invalid(f"Range of n should be [1, {limit}]")
    return int(value)


def _regions(value: Any, images: Sequence[Seen]) -> tuple[Region, ...]:
    """``bbox_list`` (check 14). With sets it is undocumented, and let through."""
    if value is None:
        return ()
    if not images:
        raise invalid("bbox_list needs images")
    if not isinstance(value, list) or len(value) != len(images):
        raise invalid(f"bbox_list must have one list for each of the {len(images)} images")
    boxes = [_boxes(item) for item in value]
    return tuple(
        Region(image=number, boxes=found, width=image.width, height=image.height)
        for number, (found, image) in enumerate(zip(boxes, images, strict=True), 1)
        if found
    )


def _boxes(value: Any) -> tuple[Box, ...]:
    if not isinstance(value, list) or len(value) > _BOXES:
        raise invalid(f"bbox_list: at most {_BOXES} boxes for each image")
    return tuple(_box(item) for item in value)


def _box(value: Any) -> Box:
    if not isinstance(value, list) or [type(v) for v in value] != [int] * 4:
        raise invalid("bbox_list: a box is [x1, y1, x2, y2], four integers")
    x1, y1, x2, y2 = value
    if x2 <= x1 or y2 <= y1:
        raise invalid(f"bbox_list: {value} is empty; x1 < x2 and y1 < y2")
    return x1, y1, x2, y2


def _palette(value: Any, *, sequential: bool) -> tuple[tuple[str, Decimal], ...]:
    """``color_palette`` (check 15)."""
    if value is None:
        return ()
    if sequential:
        raise invalid("color_palette is not supported with enable_sequential")
    low, high = _COLOURS
    if not isinstance(value, list) or not low <= len(value) <= high:
        raise invalid(f"color_palette must have {low} to {high} colors")
    palette = tuple(_colour(item) for item in value)
    total = sum((share for _, share in palette), Decimal(0))
    if total != 100:
        raise invalid(f"color_palette ratios must sum up to 100.00%, not {total}%")
    return palette


def _colour(value: Any) -> tuple[str, Decimal]:
    if not isinstance(value, dict):
        raise invalid("color_palette: an entry is {hex, ratio}")
    colour, ratio = value.get("hex"), value.get("ratio")
    if not isinstance(colour, str) or not _HEX.fullmatch(colour):
        raise invalid(f"color_palette: hex must be #RRGGBB, not {colour!r}")
    if not isinstance(ratio, str) or not _RATIO.fullmatch(ratio):
        raise invalid(f"color_palette: ratio must be a string like 25.00%, not {ratio!r}")
    return colour, Decimal(ratio.removesuffix("%"))


def _seed(value: Any) -> int | None:
    if value is None or _integer(value, 0, _SEED):
        return None if value is None else int(value)
    raise invalid(f"seed must be in [0, {_SEED}]")


def _check_booleans(parameters: Mapping[str, Any]) -> None:
    for name in _BOOLEANS:
        if not isinstance(parameters.get(name, False), bool):
            raise invalid(f"{name} must be a boolean")
