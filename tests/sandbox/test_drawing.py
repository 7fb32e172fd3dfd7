"""Result pictures: true size, true format, and what was asked for in them."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO

import pytest
from attrs import evolve
from PIL import Image

from wanbridge.sandbox.drawing import draw
from wanbridge.sandbox.picture import Picture, Region

KITE = Picture(provider="runware", model="wan", prompt="a red kite", width=768, height=512, seed=7)
PALETTE = (("#FF0000", Decimal(50)), ("#00FF00", Decimal(30)), ("#0000FF", Decimal(20)))


def opened(picture: Picture) -> Image.Image:
    return Image.open(BytesIO(draw(picture))).convert("RGB")


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_a_picture_has_the_size_and_format_asked_for(format: str) -> None:
    """Clients measure the bytes, so the bytes must be true."""
    with Image.open(BytesIO(draw(evolve(KITE, format=format)))) as image:
        assert ((768, 512), format.upper()) == (image.size, image.format)


def test_the_same_picture_gives_the_same_bytes() -> None:
    """And another seed, index, prompt or provider gives others."""
    others = [
        evolve(KITE, seed=8),
        evolve(KITE, index=1, count=2),
        evolve(KITE, prompt="a blue kite"),
        evolve(KITE, provider="reapi"),
    ]
    draw.cache_clear()
    first = draw(KITE)
    draw.cache_clear()

    assert first == draw(KITE)
    assert 5 == len({first, *map(draw, others)})


def test_the_palette_is_there_in_its_ratios() -> None:
    """Bands along the lower edge, as wide as their shares."""
    image = opened(evolve(KITE, palette=PALETTE))
    row = [image.getpixel((x, 511)) for x in range(768)]

    assert [384, 230, 154] == [
        row.count(colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    ]


def test_a_colour_without_share_has_no_band() -> None:
    """Nor has a palette of nothing."""
    image = opened(evolve(KITE, palette=(("#FF0000", Decimal(0)), ("#00FF00", Decimal(9)))))
    empty = draw(evolve(KITE, palette=(("#FF0000", Decimal(0)),)))

    assert {(0, 255, 0)} == {image.getpixel((x, 511)) for x in range(768)}
    assert empty


@pytest.mark.parametrize(
    ("region", "corner"),
    [
        (Region(image=1, boxes=((400, 300, 600, 400),)), (600, 400)),
        (Region(image=2, boxes=((800, 600, 1200, 800),), width=1536, height=1024), (600, 400)),
        (Region(image=6, boxes=((400, 300, 1536, 1024),)), (766, 510)),
    ],
)
def test_boxes_are_drawn_at_their_scaled_place(region: Region, corner: tuple[int, int]) -> None:
    """An image never seen is taken to be the output's size, or what its boxes need."""
    plain, marked = opened(KITE), opened(evolve(KITE, regions=(region,)))
    x, y = corner

    assert plain.getpixel((x - 1, y - 1)) != marked.getpixel((x - 1, y - 1))
    assert plain.getpixel((20, 500)) == marked.getpixel((20, 500))


@pytest.mark.parametrize("prompt", ["", "x" * 5000, "word " * 900, "红色的风筝", "\n\n"])
@pytest.mark.parametrize("size", [(768, 768), (2176, 272), (240, 1920)])
def test_any_prompt_fits_into_any_shape(prompt: str, size: tuple[int, int]) -> None:
    """Long words are broken, long prompts shortened."""
    width, height = size

    assert size == opened(evolve(KITE, prompt=prompt, width=width, height=height)).size
