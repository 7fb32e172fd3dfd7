"""What Runware accepts for its two Wan 2.7 models, and the error objects for what it does not.

Every task of a request is checked on its own, and all its problems are reported at once.

Sources: runware.ai/docs/models/alibaba-wan2-7-image and -pro, runware.ai/docs/platform/errors,
read 2026-11-20. Our choices: codes are ``missing``, ``invalid`` or ``unsupported`` and the
parameter's name; palettes that do not add up to 100 within 0.01, boxes out of order, more than
two boxes per image and sets of the pro model above 2048 pixels are refused, as the upstream model
would; ``routing`` and ``advancedFeatures``, whose content is not published, are unknown.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from attrs import field, frozen

from wanbridge.sandbox.dialects.shapes import (
    is_box,
    is_hex_colour,
    is_int,
    is_strings,
    is_upright,
    is_url,
    percent,
)

BASE = "alibaba:wan@2.7-image"
PRO = "alibaba:wan@2.7-image-pro"
_DOCUMENTATION = "https://runware.ai/docs/models/alibaba-wan2-7-image#request-"

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)
_DATA_URI = re.compile(r"data:image/(?:png|jpe?g|webp|bmp|gif);base64,")

Problem = dict[str, Any]


@frozen
class _Check:
    """What one value must be.

    Attributes:
        facts: Members of the error object that say what would be right.
    """

    good: Callable[[Any], bool]
    message: str
    facts: Mapping[str, Any] = field(factory=dict)


def _integer(low: int, high: int | None = None, step: int = 1) -> _Check:
    def good(value: Any) -> bool:
        return is_int(value) and low <= value <= (high or value) and value % step == 0

    facts = {"type": "integer", "min": low}
    message = f"an integer from {low} up" if high is None else f"an integer, {low} to {high}"
    if high is not None:
        facts["max"] = high
    if step > 1:
        facts["multiplier"] = step
        message += f", a multiple of {step}"
    return _Check(good, message, facts)


def _one_of(*values: str) -> _Check:
    def good(value: Any) -> bool:
        return isinstance(value, str) and value in values

    return _Check(good, "one of the allowed values", {"allowedValues": list(values)})


def is_uuid4(value: Any) -> bool:
    """Whether *value* is a version 4 UUID; a version 7 was seen accepted, we are strict."""
    return isinstance(value, str) and _UUID4.fullmatch(value) is not None


def is_image(value: Any, known: Callable[[str], bool]) -> bool:
    """Whether *value* is a known UUID, a URL, a data URI or raw base64."""
    if not isinstance(value, str):
        return False
    if is_uuid4(value):
        return known(value)
    if is_url(value):
        return True
    try:
        data = base64.b64decode(_DATA_URI.sub("", value, count=1), validate=True)
    except binascii.Error:
        return False
    return bool(data)


_BOOLEAN = _Check(lambda v: isinstance(v, bool), "a boolean", {"type": "boolean"})
_OBJECT = _Check(lambda v: isinstance(v, dict), "an object", {"type": "object"})
_URI = _Check(is_url, "a URL", {"type": "string"})
_SIDE = _integer(768, 4096, 16)
_UUID = _Check(is_uuid4, "a version 4 UUID", {"type": "string"})
_PROMPT = _Check(
    lambda v: isinstance(v, str) and 1 <= len(v) <= 3000,
    "a string of at most 3000 characters",
    {"type": "string", "min": 1, "max": 3000},
)

_INFERENCE: Final[Mapping[str, _Check]] = {
    "taskType": _one_of("imageInference"),
    "taskUUID": _UUID,
    "model": _one_of(BASE, PRO),
    "positivePrompt": _PROMPT,
    "width": _SIDE,
    "height": _SIDE,
    "seed": _integer(0, 2147483647),
    "numberResults": _integer(1, 20),
    "outputType": _one_of("URL", "base64Data", "dataURI"),
    "outputFormat": _one_of("JPG", "PNG", "WEBP"),
    "outputQuality": _integer(20, 99),
    "deliveryMethod": _one_of("sync", "async"),
    "webhookURL": _URI,
    "uploadEndpoint": _URI,
    "ttl": _integer(60),
    "includeCost": _BOOLEAN,
    "safety": _OBJECT,
    "inputs": _OBJECT,
    "settings": _OBJECT,
}
_REQUIRED: Final = ("taskUUID", "model", "positivePrompt", "width", "height")

_SAFETY: Final = {"checkContent": _BOOLEAN, "mode": _one_of("none", "fast")}
_PALETTE = _Check(
    lambda v: _is_palette(v),
    "3 to 10 objects of hex (#RRGGBB) and ratio (a percentage)",
    {"type": "array", "min": 3, "max": 10},
)
_REGIONS = _Check(
    lambda v: _is_regions(v),
    "one list per reference image, of at most 2 boxes [x1, y1, x2, y2] with x1 < x2, y1 < y2",
    {"type": "array"},
)
_SETTINGS: Final = {
    "thinking": _BOOLEAN,
    "sequential": _BOOLEAN,
    "colorPalette": _PALETTE,
    "editRegions": _REGIONS,
}


def uuid_problems(task: dict[str, Any], allowed: Collection[str]) -> list[Problem]:
    """What is wrong with a task of the utility kinds: its UUID and its names."""
    problems = _unknown(task, {"taskType", "taskUUID", *allowed}, "")
    if "taskUUID" not in task:
        return [*problems, _missing("taskUUID")]
    return problems + _checked(task, {"taskUUID": _UUID}, "")


def problems(task: dict[str, Any], known: Callable[[str], bool]) -> list[Problem]:
    """What is wrong with an ``imageInference`` task; empty if nothing is.

    Args:
        known: Tells the UUIDs of stored and generated images.
    """
    found = _unknown(task, _INFERENCE, "")
    found += [_missing(name) for name in _REQUIRED if name not in task]
    found += _checked(task, _INFERENCE, "")
    images = _Check(
        lambda v: is_strings(v) and 1 <= len(v) <= 9 and all(is_image(i, known) for i in v),
        "1 to 9 UUIDs, URLs, data URIs or base64 strings",
        {"type": "array", "min": 1, "max": 9},
    )
    for name, inside in (
        ("safety", _SAFETY),
        ("inputs", {"referenceImages": images}),
        ("settings", _SETTINGS),
    ):
        part = task.get(name)
        if isinstance(part, dict):
            found += _unknown(part, inside, f"{name}.") + _checked(part, inside, f"{name}.")
    # Rules across values make sense only where each value does by itself.
    return found or _across(task)


def problem(code: str, message: str, parameter: str | list[str], **facts: Any) -> Problem:
    """One error object."""
    name = parameter if isinstance(parameter, str) else parameter[0]
    return {
        "code": code,
        "message": message,
        "parameter": parameter,
        **facts,
        "documentation": _DOCUMENTATION + name.replace(".", "-").lower(),
    }


def _named(prefix: str, path: str) -> str:
    name = path.rpartition(".")[2]
    return f"{prefix}{name[:1].upper()}{name[1:]}"


def _missing(name: str) -> Problem:
    return problem(_named("missing", name), f"{name} is required", name)


def _unknown(part: dict[str, Any], names: Collection[str], prefix: str) -> list[Problem]:
    return [
        problem("unsupportedParameter", f"{prefix}{name} is not supported", f"{prefix}{name}")
        for name in part
        if name not in names
    ]


def _checked(part: dict[str, Any], checks: Mapping[str, _Check], prefix: str) -> list[Problem]:
    return [
        problem(
            _named("invalid", name),
            f"{prefix}{name} must be {check.message}",
            f"{prefix}{name}",
            **check.facts,
        )
        for name, check in checks.items()
        if name in part and not check.good(part[name])
    ]


def _across(task: dict[str, Any]) -> list[Problem]:
    """Problems between values; their ``parameter`` is a list."""
    found = []
    images = task.get("inputs", {}).get("referenceImages", [])
    settings = task.get("settings", {})
    reason = _why_2k(task["model"], images, settings)
    if reason and max(task["width"], task["height"]) > 2048:
        found.append(
            problem(
                "invalidPixels",
                f"width and height are at most 2048 with {reason}",
                ["width", "height", reason],
                max=2048,
            )
        )
    regions = settings.get("editRegions")
    if regions is not None and len(regions) != len(images):
        found.append(
            problem(
                "invalidEditRegions",
                f"{len(regions)} entries for {len(images)} reference images",
                ["settings.editRegions", "inputs.referenceImages"],
            )
        )
    return found


def _why_2k(model: str, images: list[str], settings: dict[str, Any]) -> str | None:
    """The parameter that limits both sides to 2048; None if nothing does."""
    if model == BASE:
        return "model"
    if images:
        return "inputs.referenceImages"
    return "settings.sequential" if settings.get("sequential") else None


def _is_palette(value: Any) -> bool:
    if not isinstance(value, list) or not 3 <= len(value) <= 10:
        return False
    total = Decimal(0)
    for entry in value:
        if not isinstance(entry, dict) or entry.keys() != {"hex", "ratio"}:
            return False
        share = percent(entry["ratio"])
        if not is_hex_colour(entry["hex"]) or share is None:
            return False
        total += share
    return abs(total - 100) <= Decimal("0.01")


def _is_regions(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(boxes, list)
        and len(boxes) <= 2
        and all(is_box(box) and is_upright(box) for box in boxes)
        for boxes in value
    )
