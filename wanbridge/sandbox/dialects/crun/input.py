"""Crun's ``input`` for the two Wan 2.7 models: the schema it publishes, and the reading by it.

No page shows the fields of these models. What is known are the house style of Crun's other image
models (``prompt``, ``img_urls``, ``resolution``, ``aspect_ratio``, ``output_format``) and what the
pro model can do; the rest is the best guess of our wire page on Crun, section 2.3, whose other
names are switches here. The one sure source is ``GET /client/job/Models/{model}``: it answers the
very schema that bodies are then judged by.

Sources: docs.crun.ai/models/wan/wan-2-7-image-pro and github.com/CrunTeam/crun-agent-skills, read
2026-11-20. Rules across fields are those of the upstream model as the wire page has them. Our
choices: ``size`` wins over ``resolution`` and ``aspect_ratio``; without any, 2K and 1:1, or the
shape of the last image; ``thinking_mode`` is ignored where it has no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from wanbridge.sandbox.dialects import shapes
from wanbridge.sandbox.dialects.orders import DrawnOrder
from wanbridge.sandbox.picture import Picture

PRO: Final = "wan/2-7-image-pro"
STANDARD: Final = "wan/2-7-image"
MODELS: Final = (PRO, STANDARD)

_TIERS: Final = {"1K": 1024, "2K": 2048, "4K": 4096}
_RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "8:1", "1:8")
_PIXELS: Final = "[1-9][0-9]{2,3}[*][1-9][0-9]{2,3}"
_SIDES: Final = (768, 2048)
_LARGEST: Final = 4096
# Upstream makes this many unless the body says (2.3).
_DEFAULT_COUNT: Final = 4
_MOST: Final = 4
_MOST_IN_SET: Final = 12
# Letters of a reason: one may quote a whole prompt.
_WORDS: Final = 200
_HOUSE: Final = ("prompt", "images", "resolution", "aspect_ratio", "output_format")

Schema = dict[str, Any]


@frozen(kw_only=True)
class Names:
    """What the fields whose name is uncertain are called today.

    Attributes:
        size: ``resolution`` has tiers in that field; ``resolution_and_pixels`` has ``size`` as
            W*H beside it; ``size`` has either in that one field.
        house: Only the fields that Crun's other image models are documented to have.
    """

    images: str
    count: str
    size: str
    house: bool


@frozen(kw_only=True)
class House:
    """What the reading depends on besides the body.

    Attributes:
        own: Origin of the sandbox, whose files count as public.
        size_of: Pixels of an input image; None if the sandbox cannot know them.
        data_uris: Whether ``data:`` URIs pass; the vendor rules them out, one client sends them.
    """

    own: str
    size_of: Callable[[str], tuple[int, int] | None]
    data_uris: bool


@frozen(kw_only=True)
class Order(DrawnOrder):
    """An ``input`` that was accepted.

    Attributes:
        count: Images asked for; in a set the most there will be.
        seed: None if the service is to choose.
    """

    images: tuple[str, ...]
    sequential: bool
    count: int
    seed: int | None
    format: str
    boxes: list[list[list[int]]]

    def pictures(self, provider: str, *, seed: int, most: int) -> list[Picture]:
        """Those that will be made: of a set, the model decides how many, here *most*."""
        count = min(self.count, most) if self.sequential else self.count
        boxes = shapes.regions(self.boxes)
        return self.series(provider, boxes, count=count, seed=seed, format=self.format)


def schema(model: str, names: Names) -> Schema:
    """The ``input_schema`` of one model."""
    tiers = list(_TIERS) if model == PRO else ["1K", "2K"]
    url = {"type": "string", "format": "uri"}
    fields: dict[str, Schema] = {
        "prompt": {"type": "string", "minLength": 1, "maxLength": 5000},
        "images": {"type": "array", "items": url, "minItems": 1, "maxItems": 9},
        "resolution": {"type": "string", "enum": tiers},
        "aspect_ratio": {"type": "string", "enum": list(_RATIOS)},
        "output_format": {"type": "string", "enum": ["png", "jpeg", "webp"]},
        "size": {"type": "string", "pattern": f"^{_PIXELS}$"},
        "count": {"type": "integer", "minimum": 1, "maximum": _MOST_IN_SET},
        "enable_sequential": {"type": "boolean"},
        "thinking_mode": {"type": "boolean"},
        "color_palette": {"type": "array", "items": _COLOUR, "minItems": 3, "maxItems": 10},
        "bbox_list": {"type": "array", "items": _BOXES},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        "watermark": {"type": "boolean"},
    }
    if names.size == "size":
        fields["size"] = {"type": "string", "pattern": f"^({'|'.join(tiers)}|{_PIXELS})$"}
    called = {"images": names.images, "count": names.count}
    properties = {
        called.get(name, name): field for name, field in fields.items() if _offered(name, names)
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["prompt"],
        "additionalProperties": False,
    }


_COLOUR: Final[Schema] = {
    "type": "object",
    "properties": {
        "hex": {"type": "string", "minLength": 7, "maxLength": 7},
        "ratio": {"type": "string"},
    },
    "required": ["hex", "ratio"],
    "additionalProperties": False,
}
_BOX: Final[Schema] = {
    "type": "array",
    "items": {"type": "integer"},
    "minItems": 4,
    "maxItems": 4,
}
_BOXES: Final[Schema] = {"type": "array", "items": _BOX, "maxItems": 2}


def _offered(name: str, names: Names) -> bool:
    if names.house:
        return name in _HOUSE
    match name:
        case "output_format":
            return False
        case "resolution":
            return names.size != "size"
        case "size":
            return names.size != "resolution"
    return True


def problems(given: Any, model: str, names: Names, house: House) -> list[str]:
    """All that is wrong with an ``input``, each as *field: reason*; empty if nothing is."""
    # Rules across fields make sense only where each field does by itself.
    return _by_schema(given, schema(model, names)) or list(_across(given, model, names, house))


def order(given: Mapping[str, Any], model: str, names: Names, house: House) -> Order:
    """What a faultless ``input`` asks for."""
    images = tuple(given.get(names.images, ()))
    sequential = given.get("enable_sequential", False)
    default = _MOST_IN_SET if sequential else _DEFAULT_COUNT
    width, height = _size(given, house.size_of(images[-1]) if images else None)
    return Order(
        model=model,
        prompt=given["prompt"],
        images=images,
        sequential=sequential,
        width=width,
        height=height,
        count=int(given.get(names.count, default)),
        seed=None if "seed" not in given else int(given["seed"]),
        format=given.get("output_format", "png"),
        palette=tuple(
            (entry["hex"], shapes.percent(entry["ratio"]) or Decimal(0))
            for entry in given.get("color_palette", ())
        ),
        boxes=given.get("bbox_list", []),
    )


def _by_schema(given: Any, against: Schema) -> list[str]:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    found = sorted(Draft202012Validator(against).iter_errors(given), key=lambda e: str(e.path))
    return [f"{_place(error.absolute_path)}: {error.message[:_WORDS]}" for error in found]


def _place(path: Any) -> str:
    """``color_palette.0.hex``; what concerns the whole is in ``input``."""
    return ".".join(map(str, path)) or "input"


def _across(given: Mapping[str, Any], model: str, names: Names, house: House) -> Iterator[str]:
    images = given.get(names.images, [])
    sequential = given.get("enable_sequential", False)
    plain = not images and not sequential
    for url in images:
        if not _fetchable(url, house):
            yield f"{names.images}: {url[:60]!r} must be a public URL"
    if "aspect_ratio" in given and images:
        yield "aspect_ratio: cannot be given with images"
    if not sequential and given.get(names.count, 1) > _MOST:
        yield f"{names.count}: must be at most {_MOST} unless enable_sequential is true"
    yield from _about_size(given, large=plain and model == PRO)
    yield from _about_palette(given.get("color_palette"), sequential=sequential)
    yield from _about_boxes(given.get("bbox_list"), len(images))


def _fetchable(url: str, house: House) -> bool:
    if url.startswith("data:"):
        return house.data_uris
    return shapes.is_public(url, ("https", "http")) or url.startswith(f"{house.own}/")


def _about_size(given: Mapping[str, Any], *, large: bool) -> Iterator[str]:
    for name in ("resolution", "size"):
        if given.get(name) == "4K" and not large:
            yield f"{name}: 4K is for text-to-image with {PRO}"
    sides = _pixels(given)
    if sides is None:
        # To Python's "$" a last newline is no part of the text.
        if given.get("size", "2K") not in _TIERS:
            yield "size: must be a tier or W*H"
        return
    # No two such sides are outside 1:8 to 8:1.
    low, high = _SIDES[0], _LARGEST if large else _SIDES[1]
    if not low <= min(sides) <= max(sides) <= high:
        yield f"size: sides must be {low} to {high}"


def _about_palette(entries: Any, *, sequential: bool) -> Iterator[str]:
    if entries is None:
        return
    if sequential:
        yield "color_palette: cannot be given with enable_sequential"
    if not all(shapes.is_hex_colour(entry["hex"]) for entry in entries):
        yield "color_palette: hex must be #RRGGBB"
    shares = [shapes.percent(entry["ratio"]) for entry in entries]
    if None in shares or sum(share or 0 for share in shares) != 100:
        yield "color_palette: ratios must be percentages that add up to 100.00%"


def _about_boxes(per_image: Any, images: int) -> Iterator[str]:
    if per_image is None:
        return
    if len(per_image) != images:
        yield f"bbox_list: must have one list for each of {images} images"
    if not all(shapes.is_upright(box) for boxes in per_image for box in boxes):
        yield "bbox_list: a box is [x1, y1, x2, y2] with x1 < x2 and y1 < y2"


def _pixels(given: Mapping[str, Any]) -> tuple[int, int] | None:
    size = given.get("size", "")
    if not re.fullmatch(_PIXELS, size):
        return None
    width, height = map(int, size.split("*"))
    return width, height


def _size(given: Mapping[str, Any], last: tuple[int, int] | None) -> tuple[int, int]:
    """Pixels of the result; *last* are those of the last input image, if they are known."""
    if exact := _pixels(given):
        return exact
    side = _TIERS[given.get("resolution", given.get("size", "2K"))]
    across, down = last or tuple(map(int, given.get("aspect_ratio", "1:1").split(":")))
    return shapes.canvas(side**2, across, down)
