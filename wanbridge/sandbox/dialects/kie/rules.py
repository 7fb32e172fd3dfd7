"""What KIE accepts in a create, what it refuses with 422, and what it accepts only to fail.

Two gates stand behind one endpoint. What the manual says is checked when the task is created; what
only the model's own manual says (4K on the standard model, a palette that does not add up, boxes
out of order) is found later, so that the task fails and costs nothing.

Source: docs.kie.ai/market/wan/2-7-image and 2-7-image-pro, read 2026-11-20 (wire page, 2). That
unknown names, an empty ``input_urls`` and mode conflicts are refused is inferred (9), and so is
the line between the two gates. A ``data:`` URI is no URL here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
_RATIOS: Final = ("1:1", "16:9", "4:3", "21:9", "3:4", "9:16", "8:1", "1:8")
# Images if `n` is absent: outside sets and in them (2.2).
_DEFAULT_N: Final = (4, 12)

_Rule = tuple[str, Callable[[Any], bool]]
_TOP: Final[Mapping[str, _Rule]] = {
    "model": (f"one of {', '.join(MODELS)}", lambda v: v in MODELS),
    "callBackUrl": ("a URL", shapes.is_url),
    "input": ("an object", lambda v: isinstance(v, dict)),
}
_BOOLEAN: Final[_Rule] = ("a boolean", lambda v: isinstance(v, bool))
_INPUT: Final[Mapping[str, _Rule]] = {
    "prompt": ("a string of 1 to 5000 characters", lambda v: shapes.is_text(v, 5000)),
    "input_urls": ("1 to 9 URLs", lambda v: shapes.is_strings(v) and 1 <= len(v) <= 9),
    # The published list has blanks around its last ratio (2.2).
    "aspect_ratio": (
        f"one of {', '.join(_RATIOS)}",
        lambda v: isinstance(v, str) and v.strip() in _RATIOS,
    ),
    "enable_sequential": _BOOLEAN,
    "n": ("an integer", shapes.is_int),
    "resolution": ("1K, 2K or 4K", lambda v: isinstance(v, str) and v in _TIERS),
    "thinking_mode": _BOOLEAN,
    "color_palette": ("3 to 10 objects of hex and ratio", lambda v: _is_palette(v)),
    "bbox_list": ("lists of at most 2 boxes of 4 integers", shapes.is_boxes),
    "watermark": _BOOLEAN,
    "seed": ("an integer, 0 to 2147483647", lambda v: shapes.is_int(v) and 0 <= v < 2**31),
    "nsfw_checker": _BOOLEAN,
}


class Refused(Exception):
    """A create that breaks a rule."""


@frozen(kw_only=True)
class Order(DrawnOrder):
    """A create that KIE accepts.

    Attributes:
        text: The body as recordInfo gives it back, JSON in a string.
        callback: Where to call; None if nowhere.
        images: URLs of the input images.
        tier: ``1K``, ``2K`` or ``4K``.
        filtered: Whether KIE's own filter is on.
        doomed: Why the upstream model will fail it; None if it will not.
    """

    text: str
    callback: str | None
    images: tuple[str, ...]
    n: int
    tier: str
    seed: int
    boxes: list[list[list[int]]]
    filtered: bool
    doomed: str | None

    def pictures(self, provider: str) -> list[Picture]:
        """What each of the *n* pictures shows."""
        boxes = shapes.regions(self.boxes)
        return self.series(provider, boxes, count=self.n, seed=self.seed, own_seeds=True)


def read(body: Any, *, lenient: bool, own: str) -> Order:
    """The order in *body*. Raises Refused.

    Args:
        lenient: Ignore what does not belong to the mode instead of refusing it.
        own: Origin of the sandbox, whose files count as public.
    """
    if not isinstance(body, dict):
        raise Refused("the body is not an object")
    _check(body, _TOP, ("model", "input"))
    given = body["input"]
    _check(given, _INPUT, ("prompt",))
    if conflicts := _conflicts(given):
        if not lenient:
            raise Refused(f"{conflicts[0]} does not go with this mode")
        given = {name: value for name, value in given.items() if name not in conflicts}
    _check_images(given, own)
    tier = given.get("resolution", "2K")
    across, down = map(int, given.get("aspect_ratio", "1:1").split(":"))
    width, height = shapes.canvas(_TIERS[tier] ** 2, across, down)
    doomed = _upstream(body["model"], given)
    return Order(
        text=json.dumps(body, ensure_ascii=False),
        model=body["model"],
        callback=body.get("callBackUrl"),
        prompt=given["prompt"],
        images=tuple(given.get("input_urls", ())),
        n=_count(given),
        tier=tier,
        width=width,
        height=height,
        # The manual's default; whether 0 is fixed or random is open (10), here it is fixed.
        seed=given.get("seed", 0),
        palette=() if doomed else _palette(given.get("color_palette", [])),
        boxes=given.get("bbox_list", []),
        filtered=given.get("nsfw_checker", False),
        doomed=doomed,
    )


def _check(
    values: Mapping[str, Any], rules: Mapping[str, _Rule], required: tuple[str, ...]
) -> None:
    for name in required:
        if name not in values:
            raise Refused(f"{name} is required")
    for name, value in values.items():
        if name not in rules:
            raise Refused(f"{name} is not a field of this model")
        words, good = rules[name]
        if not good(value):
            raise Refused(f"{name} must be {words}")


def _conflicts(given: Mapping[str, Any]) -> list[str]:
    """Fields that do not belong to the mode, in which images and sets are (2.2)."""
    edit, in_set = "input_urls" in given, given.get("enable_sequential", False)
    return [
        name
        for name, conflict in (
            ("aspect_ratio", edit),
            ("resolution", given.get("resolution") == "4K" and (edit or in_set)),
            ("thinking_mode", given.get("thinking_mode", False) and (edit or in_set)),
            ("color_palette", in_set),
            ("bbox_list", not edit),
        )
        if name in given and conflict
    ]


def _check_images(given: Mapping[str, Any], own: str) -> None:
    urls = given.get("input_urls", [])
    for url in urls:
        if not shapes.is_public(url, ("https", "http")) and not url.startswith(f"{own}/"):
            raise Refused("input_urls must be public URLs")
    if len(given.get("bbox_list", urls)) != len(urls):
        raise Refused("bbox_list must have one entry per input image")


def _count(given: Mapping[str, Any]) -> int:
    most = _DEFAULT_N[given.get("enable_sequential", False)]
    n: int = given.get("n", most)
    if not 1 <= n <= most:
        raise Refused(f"n must be 1 to {most}")
    return n


def _upstream(model: str, given: Mapping[str, Any]) -> str | None:
    """Why the model fails what KIE lets through; None if it does not."""
    if model == STANDARD and given.get("resolution") == "4K":
        return "the standard model makes no 4K images"
    if not all(shapes.is_upright(box) for boxes in given.get("bbox_list", []) for box in boxes):
        return "a box of bbox_list is not in order"
    palette = _palette(given.get("color_palette", []))
    if palette and sum(share for _, share in palette) != 100:
        return "the ratios of color_palette do not add up to 100.00%"
    return None


def _is_palette(value: Any) -> bool:
    return shapes.is_palette(value, _is_colour)


def _is_colour(entry: dict[str, Any]) -> bool:
    # Two places, no more and no less (2.2).
    exact = shapes.percent(entry["ratio"]) is not None and entry["ratio"][-4:-3] == "."
    return shapes.is_hex_colour(entry["hex"]) and exact


def _palette(entries: list[dict[str, str]]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((entry["hex"], shapes.percent(entry["ratio"]) or Decimal(0)) for entry in entries)
