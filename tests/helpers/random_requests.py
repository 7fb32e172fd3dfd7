"""Hypothesis strategies for canonical requests: every field, and every way to name an image."""

from __future__ import annotations

import base64
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from contract_bench import HELD_URL, picture_bytes
from wanbridge.adapters.base import Adapter
from wanbridge.model.inputs import Box, InputImage
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import FORMATS, SEED_MAX, ImageRequest
from wanbridge.model.size import RESOLUTIONS, Size
from wanbridge.testing.requests import modes

# What a caller may put beside ours, by the provider's manual.
EXTRAS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "runware": st.fixed_dictionaries(
        {},
        optional={
            "outputQuality": st.integers(20, 99),
            "ttl": st.integers(60, 10**6),
            "safety": st.fixed_dictionaries({"checkContent": st.booleans()}),
        },
    ),
    "dashscope": st.fixed_dictionaries({}, optional={"prompt_extend": st.booleans()}),
    "reapi": st.just({}),
}


def data_uri(format: str) -> str:
    """A small picture that every provider takes."""
    payload = base64.b64encode(picture_bytes(format)).decode()
    return f"data:image/{format.lower()};base64,{payload}"


prompts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["a red kite over dunes", " ", "\u98a8\u7b5d", "\n", "\U0001fa81 kite \x00"]),
    st.sampled_from([3000, 3001, 5000]).map("k".__mul__),
)


# Of a box, in 10,000ths: where it begins, and how much of what is left it takes.
_SHARES = st.lists(st.tuples(*[st.integers(0, 9999)] * 4), max_size=2)


def boxes(draw: st.DrawFn, width: int, height: int) -> list[Box]:
    """At most two, on a picture of these sides."""
    found = []
    for left, top, across, down in draw(_SHARES):
        x, y = width * left // 10_000, height * top // 10_000
        x2, y2 = x + 1 + (width - x - 1) * across // 9999, y + 1 + (height - y - 1) * down // 9999
        found.append(Box(x, y, x2, y2))
    return found


_URLS = {
    "https": (
        "https://assets.example.com/in/a.png",
        "https://assets.example.com/in/b.webp?Expires=1795300000&Signature=Zm9v%3D",
        "https://assets.example.com/ein/W\u00e4sche und \u98a8.jpg",
    ),
    "http": ("http://assets.example.com/in/c.jpg",),
    "oss": (HELD_URL,),
}


@st.composite
def images(draw: st.DrawFn, schemes: Collection[str]) -> InputImage:
    """A picture of a size that all take, known or not, named in one of *schemes*."""
    match draw(st.sampled_from(sorted(schemes))):
        case "data":
            uri = data_uri(draw(st.sampled_from(["PNG", "JPEG", "WEBP"])))
            return InputImage(uri, boxes(draw, 256, 320), 256, 320)
        case "ref":
            ref = draw(st.sampled_from([{"runware": "held"}, {"elsewhere": "an id"}]))
            return InputImage(regions=boxes(draw, 8000, 8000), ref=ref)
        case scheme:
            url = draw(st.sampled_from(_URLS[scheme]))
            width, height = draw(st.tuples(st.integers(240, 8000), st.integers(240, 8000)))
            regions = boxes(draw, width, height)
            known = draw(st.integers(0, 3))
            return InputImage(url, regions, width, height) if known else InputImage(url, regions)


@st.composite
def palettes(draw: st.DrawFn) -> tuple[PaletteColor, ...]:
    """Three to ten shares of exactly 100.00, some of them tiny."""
    count = draw(st.integers(3, 10))
    cuts = draw(st.lists(st.integers(1, 9999), min_size=count - 1, max_size=count - 1, unique=True))
    edges = [0, *sorted(cuts), 10000]
    colors = draw(st.lists(st.integers(0, 0xFFFFFF), min_size=count, max_size=count))
    return tuple(
        PaletteColor(f"#{color:06x}", Decimal(end - begin) / 100)
        for color, begin, end in zip(colors, edges, edges[1:], strict=False)
    )


_sixteens = st.integers(48, 128).map(lambda number: 16 * number)
fair_sizes = st.one_of(
    st.just(Size()),
    st.builds(
        Size,
        resolution=st.sampled_from(["1K", "2K", "4K", None]),
        aspect_ratio=st.sampled_from(["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"]),
    ),
    st.builds(Size, _sixteens, _sixteens),
)
odd_sizes = st.one_of(
    st.builds(
        Size,
        resolution=st.sampled_from([None, *RESOLUTIONS]),
        aspect_ratio=st.one_of(
            st.none(),
            st.sampled_from(["21:9", "5:4", "8:1", "1:8", "9:1", "9999:1"]),
            st.builds("{}:{}".format, st.integers(1, 40), st.integers(1, 40)),
        ),
    ),
    st.builds(Size, st.integers(500, 5000), st.integers(500, 5000)),
    st.builds(Size, st.integers(1, 99999), st.integers(1, 99999)),
)

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "negative_prompt": prompts,
    "thinking": st.booleans(),
    "color_palette": palettes(),
    "seed": st.sampled_from([0, 1, 22278, SEED_MAX]),
    "watermark": st.just(True),
    "output_format": st.sampled_from(FORMATS),
    "inline": st.just(True),
    "callback_url": st.just("https://app.example.com/hooks/wan?token=t"),
}


@st.composite
def requests(draw: st.DrawFn, adapter: Adapter) -> ImageRequest:
    """Any canonical request; most of them such as *adapter* can send, so that it does."""
    offer = draw(st.sampled_from(adapter.offers))
    fair = draw(st.integers(0, 4)) > 0
    schemes = offer.limits.image_schemes if fair else {*_URLS, "data", "ref"}
    values = {name: v for name, v in _VALUES.items() if not fair or name in offer.fields}
    names = draw(st.lists(st.sampled_from(sorted(values)), max_size=3, unique=True))
    said = modes(adapter, offer.model) if fair else ("text", "edit", "set")
    mode = draw(st.sampled_from([m for m in ("text", "edit", "edit", "set") if m in said]))
    if mode == "set" and fair:
        names = [name for name in names if name != "color_palette"]
    most = 9 if mode == "edit" else 2 if mode == "set" else 0
    if fair and "images" not in offer.fields:
        most = 0
    given = draw(st.lists(images(schemes), min_size=int(mode == "edit"), max_size=most))
    if fair and (mode == "set" or "regions" not in offer.fields):
        given = [evolve(image, regions=()) for image in given]
    prompt = draw(prompts)
    if not prompt.strip() and (fair or not given):
        prompt = "a red kite over dunes"
    return ImageRequest(
        prompt,
        model=offer.model,
        images=given,
        n=draw(st.integers(1, 12 if mode == "set" else 4)),
        sequential=mode == "set",
        size=draw(fair_sizes if fair else odd_sizes),
        extra={adapter.name: draw(EXTRAS.get(adapter.name, st.just({})))},
        **{name: draw(values[name]) for name in names},
    )
