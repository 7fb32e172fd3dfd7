"""Colours and their shares of the picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.brief import brief
from wanbridge.model.money import exact
from wanbridge.model.validation import Invalid, Problems, convert_each, converted

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?%?")


def _ratio(value: object) -> Any:
    if not isinstance(value, str):
        return converted("$.ratio", exact, value)
    if not _PERCENT.fullmatch(value):
        problem = Problem("$.ratio", f"{brief(value)} is not a percentage as text, like '34.00'")
        return Invalid((problem,))
    return Decimal(value.removesuffix("%"))


@frozen
class PaletteColor:
    """One colour and its share of the picture.

    Attributes:
        hex: ``#RRGGBB``.
        ratio: Percent with at most two decimal places; ``"34"``, ``"34.00"``, ``"34.00%"``
            are the same.
    """

    hex: str
    ratio: Decimal = field(converter=_ratio)

    def __attrs_post_init__(self) -> None:
        wrong = Problems()
        if not isinstance(self.hex, str) or not _HEX.fullmatch(self.hex):
            wrong.add("$.hex", f"{brief(self.hex)} is not a colour like '#1E2A39'")
        if isinstance(self.ratio, Decimal) and not (
            0 < self.ratio <= 100 and self.ratio == round(self.ratio, 2)
        ):
            wrong.add("$.ratio", f"{self.ratio} is not a percentage with two places, like '34.00'")
        wrong.settle(self.ratio)
        object.__setattr__(self, "hex", self.hex.upper())
        object.__setattr__(self, "ratio", self.ratio.quantize(Decimal("0.01")))


def _color(value: object) -> PaletteColor:
    if isinstance(value, PaletteColor):
        return value
    if isinstance(value, Mapping) and set(value) == {"hex", "ratio"}:
        return PaletteColor(**value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return PaletteColor(*value)
    raise InvalidRequest((Problem("$", f"{brief(value)} is not a PaletteColor(hex, ratio)"),))


def to_palette(values: object) -> Any:
    return convert_each(values, "$.color_palette", _color)
