"""What parts of a request are called in Crun's ``input``: a guess, and how to check it.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen
class WireName:
    """What one part of a request is called in ``input``.

    Attributes:
        verified: True if it is sent without ``allow_unverified``.
    """

    name: str
    verified: bool


# Canonical field to Crun's; "resolution", "aspect_ratio" and "pixels" are parts of size. Verified
# are the words of Crun's other image models (openapi), and "n", which has one name at the maker and
# must be said, for its default there is 4. "img_urls" is such a word too, but were it ignored, an
# edit would be bought as a picture without its images. No name for exact pixels is known.
INPUT: Mapping[str, WireName] = {
    "prompt": WireName("prompt", verified=True),
    "images": WireName("img_urls", verified=False),
    "resolution": WireName("resolution", verified=True),
    "aspect_ratio": WireName("aspect_ratio", verified=True),
    "n": WireName("n", verified=True),
    "sequential": WireName("enable_sequential", verified=False),
    "thinking": WireName("thinking_mode", verified=False),
    "color_palette": WireName("color_palette", verified=False),
    "regions": WireName("bbox_list", verified=False),
    "seed": WireName("seed", verified=False),
    "watermark": WireName("watermark", verified=False),
}
# Not fields of an offer: the prompt is always sent, the others are parts of size.
PARTS = {"prompt", "resolution", "aspect_ratio", "pixels"}
# Other names that the count may have, which decides on the price.
COUNTS = frozenset({"num_outputs", "num_images"})


@frozen(kw_only=True)
class SchemaCheck:
    """How a model's own ``input_schema`` and a mapping differ.

    Attributes:
        absent: Names that the mapping would send and the schema lacks; Crun answers 422 to them.
        unmapped: Properties of the schema that the mapping does not use.
    """

    absent: tuple[str, ...]
    unmapped: tuple[str, ...]


def check_schema(
    schema: Mapping[str, Any] | None, mapping: Mapping[str, WireName] = INPUT
) -> SchemaCheck:
    """Compare the schema of a `ModelInfo` with *mapping*; no schema has no properties."""
    properties = (schema or {}).get("properties")
    there = set(properties) if isinstance(properties, dict) else set[str]()
    ours = [wire.name for wire in mapping.values()]
    return SchemaCheck(
        absent=tuple(name for name in ours if name not in there),
        unmapped=tuple(sorted(there.difference(ours))),
    )
