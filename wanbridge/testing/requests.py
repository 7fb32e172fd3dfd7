"""Requests to give an adapter: one plain one for each mode, and each differing in one field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.model.inputs import Box, InputImage
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.size import Size
from wanbridge.wire import HttpRequest

KEY = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"

A = InputImage("https://assets.example.com/in/a.png", width=1600, height=900)
B = InputImage("https://assets.example.com/in/b.png", width=1200, height=1200)
PALETTE = (
    PaletteColor("#1E2A39", "34.00"),
    PaletteColor("#C6A15B", "33.25"),
    PaletteColor("#E8E1D6", "32.75"),
)

# One plain request for each mode.
PLAIN: Mapping[str, ImageRequest] = {
    "text": ImageRequest("a red kite over dunes"),
    "edit": ImageRequest("fly a red kite over it", images=(A, B)),
    "set": ImageRequest("a red kite, four times of day", sequential=True, n=4),
}

RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "5:4", "4:5", "8:1", "1:8")
ODD_SIZES = tuple(
    Size(*pair) for pair in ((1, 1), (99999, 99999), (1000, 700), (1001, 803), (768, 6144))
)
SIZES = (
    *(Size(resolution=tier) for tier in (None, "1K", "2K", "4K")),
    *(Size(resolution=t, aspect_ratio=r) for t in ("1K", "2K", "4K") for r in (*RATIOS, "9999:1")),
    *(Size(*pair) for pair in ((1024, 1024), (2048, 2048), (4096, 4096), (1536, 1024))),
    *ODD_SIZES,
)


def plain(mode: str, model: str) -> ImageRequest:
    """The plain request of *mode* for *model*."""
    return evolve(PLAIN[mode], model=model)


def modes(adapter: Adapter, model: str) -> tuple[str, ...]:
    """Those of `PLAIN` that *adapter* can say."""
    return tuple(mode for mode in PLAIN if not fit(adapter, plain(mode, model)).problems)


def says_pixels(adapter: Adapter, model: str) -> bool:
    """Whether a size in pixels that every model has can be said."""
    square = evolve(plain("text", model), size=Size(1024, 1024))
    return not fit(adapter, square).problems


def sent(adapter: Adapter, request: ImageRequest, **how: Any) -> HttpRequest:
    """The message for *request*, or `UnsupportedFeature`."""
    fitted = fit(adapter, request, **how).settle()
    return adapter.submit(fitted.request, fitted.offer, key=KEY)


def others(adapter: Adapter, request: ImageRequest) -> Iterator[tuple[str, ImageRequest]]:
    """Requests that differ from *request* in one canonical field, by that field's name."""
    models = (offer.model for offer in adapter.offers)
    values: dict[str, tuple[Any, ...]] = {
        "prompt": ("a blue kettle",),
        "model": tuple(model for model in models if model != request.model),
        "negative_prompt": ("blurry", ""),
        "images": ((A,), (B, A), (A, A), (A, B, A)),
        "n": (2, 3),
        "sequential": (not request.sequential,),
        "size": (
            *(Size(resolution=tier) for tier in ("1K", "2K", "4K")),
            *(Size(aspect_ratio=ratio) for ratio in ("16:9", "2:3", "5:4")),
            *(Size(1024, 1024), Size(1280, 768)),
        ),
        "thinking": (True, False),
        "color_palette": (PALETTE, PALETTE[::-1]),
        "seed": (0, 7, 2**31 - 1),
        "watermark": (True,),
        "output_format": ("png", "jpeg", "webp"),
        "inline": (True,),
        "callback_url": ("https://app.example.com/hooks/wan",),
    }
    for name, given in values.items():
        for value in given:
            if name == "sequential" and not value:
                yield name, evolve(request, n=1, sequential=False)
            elif value != getattr(request, name):
                yield name, evolve(request, **{name: value})
    for boxes in ((Box(10, 20, 110, 220),), (Box(1, 2, 3, 4), Box(0, 0, 900, 900))):
        if (boxed := _boxed(request, *boxes)) is not None:
            yield "regions", boxed


def _boxed(request: ImageRequest, *boxes: Box) -> ImageRequest | None:
    if not request.images:
        return None
    first, *rest = request.images
    return evolve(request, images=(evolve(first, regions=boxes), *rest))
