"""Result pictures: real ones, of true size and format, that show what was asked for.

A quiet gradient whose colours come from the seed, the prompt in large letters, the regions where
they were asked for, the palette as bands in its ratios, and a line of facts. The same ``Picture``
always gives the same bytes.
"""

from __future__ import annotations

import colorsys
import random
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from typing import Final

from wanbridge.sandbox.extra import missing_extra
from wanbridge.sandbox.picture import Box, Picture, Region

try:
    from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps
except ImportError as error:
    raise missing_extra(error) from error

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Colour = tuple[int, int, int]

# Letters of a prompt that are shown; more would be too small to read.
_PROMPT_LETTERS = 480
_WHITE: Final = (255, 255, 255)
_REGION_COLOURS: Final = ("#ffd166", "#06d6a0", "#ef476f", "#4cc9f0", "#f78c6b")


@lru_cache(maxsize=16)
def draw(picture: Picture) -> bytes:
    """The bytes of *picture*."""
    canvas = _background(picture)
    # Mode RGBA blends translucent colours into the opaque canvas.
    pen = ImageDraw.Draw(canvas, "RGBA")
    unit = min(picture.width, picture.height)
    bottom = picture.height
    if picture.palette:
        bottom -= max(unit // 8, 1)
        _bands(pen, picture, bottom)
    _words(pen, picture, bottom)
    for region in picture.regions:
        _region(pen, picture, region)
    return _encoded(canvas, picture)


def _encoded(canvas: Image.Image, picture: Picture) -> bytes:
    buffer = BytesIO()
    if picture.format == "png":
        canvas.save(buffer, "PNG", compress_level=1)
    else:
        options = {"method": 0} if picture.format == "webp" else {}
        canvas.save(buffer, picture.format.upper(), quality=picture.quality, **options)
    return buffer.getvalue()


def _background(picture: Picture) -> Image.Image:
    # Colours, not secrets.
    rng = random.Random(picture.seed)  # noqa: S311
    hue = rng.random()
    dark, middle, light = (
        _colour(hue + turn, lightness, 0.55)
        for turn, lightness in ((0.0, 0.10), (rng.uniform(0.04, 0.12), 0.24), (0.18, 0.44))
    )
    slope = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270)))
    glow = ImageOps.invert(Image.radial_gradient("L"))
    x, y = rng.randrange(-110, 110), rng.randrange(-110, 110)
    shade = ImageChops.add(
        slope, ImageChops.offset(glow, x, y).point([v // 2 for v in range(256)]), scale=1.5
    )
    shade = shade.resize((picture.width, picture.height), Image.Resampling.BICUBIC)
    return ImageOps.colorize(shade, dark, light, middle)


def _colour(hue: float, lightness: float, saturation: float) -> _Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _bands(pen: ImageDraw.ImageDraw, picture: Picture, top: int) -> None:
    """The palette, from *top* to the lower edge, each colour as wide as its share."""
    total = sum(share for _, share in picture.palette) or Decimal(1)
    ends, reached = [0], Decimal(0)
    for _, share in picture.palette:
        reached += share
        ends.append(round(picture.width * reached / total))
    size = max((picture.height - top) // 5, 8)
    font = ImageFont.load_default(size)
    for (colour, share), (left, right) in zip(picture.palette, pairwise(ends), strict=True):
        if right <= left:
            continue
        pen.rectangle((left, top, right - 1, picture.height - 1), fill=colour)
        label = f"{colour.upper()}\n{share:f}%"
        if font.getlength(colour) + size < right - left:
            ink = _ink_on(colour)
            pen.multiline_text((left + size // 2, top + size), label, fill=ink, font=font)


def _ink_on(colour: str) -> _Colour:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    # Perceived brightness, ITU-R BT.601.
    return (0, 0, 0) if 299 * red + 587 * green + 114 * blue > 140_000 else _WHITE


def _region(pen: ImageDraw.ImageDraw, picture: Picture, region: Region) -> None:
    """Boxes of one input image, scaled to the output."""
    # An image never seen is taken to be as large as the output, or as its boxes need.
    width = region.width or max(picture.width, *(box[2] for box in region.boxes))
    height = region.height or max(picture.height, *(box[3] for box in region.boxes))
    colour = _REGION_COLOURS[(region.image - 1) % len(_REGION_COLOURS)]
    unit = min(picture.width, picture.height)
    font = ImageFont.load_default(max(unit // 40, 8))
    for number, box in enumerate(region.boxes, 1):
        x1, y1, x2, y2 = _scaled(box, picture.width / width, picture.height / height)
        pen.rectangle((x1, y1, x2, y2), fill=f"{colour}30")
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=max(unit // 250, 1))
        label = f"image {region.image}, box {number}"
        pad = max(unit // 120, 2)
        left, top, right, bottom = font.getbbox(label)
        tag = (x1, y1, x1 + round(right - left) + 2 * pad, y1 + round(bottom - top) + 2 * pad)
        pen.rectangle(tag, fill=colour)
        pen.text((x1 + pad - left, y1 + pad - top), label, fill=(20, 20, 20), font=font)


def _scaled(box: Box, across: float, down: float) -> Box:
    x1, y1, x2, y2 = box
    return round(x1 * across), round(y1 * down), round(x2 * across), round(y2 * down)


def _words(pen: ImageDraw.ImageDraw, picture: Picture, bottom: int) -> None:
    """Who made it on top, the prompt in the middle, the facts at the foot."""
    unit = min(picture.width, picture.height)
    margin = unit // 16
    small = ImageFont.load_default(max(unit // 34, 8))
    line = round(small.getbbox("Ag")[3])
    head = f"wanbridge sandbox  ·  {picture.provider}  ·  {picture.model}"
    pen.text((margin, margin), head, fill=(*_WHITE, 190), font=small)
    foot = bottom - margin - line
    facts = f"seed {picture.seed}  ·  {picture.width} x {picture.height}"
    if picture.count > 1:
        facts += f"  ·  {picture.index + 1} of {picture.count}"
    pen.text((margin, foot), facts, fill=(*_WHITE, 190), font=small)
    rule = margin + 2 * line
    pen.line((margin, rule, 3 * margin, rule), fill=(*_WHITE, 150), width=max(unit // 300, 1))
    _prompt(pen, picture.prompt, (margin, rule + line, picture.width - margin, foot - line))


def _prompt(pen: ImageDraw.ImageDraw, prompt: str, room: Box) -> None:
    """The prompt, as large as it fits into *room*, centred from top to bottom."""
    left, top, right, bottom = room
    text = " ".join(prompt.split()) or "(no prompt)"
    if len(text) > _PROMPT_LETTERS:
        text = text[:_PROMPT_LETTERS].rstrip() + " …"
    size = max((bottom - top) // 5, 8)
    while True:
        font = ImageFont.load_default(size)
        lines = _wrapped(text, font, right - left)
        height = round(len(lines) * size * 1.3)
        if height <= bottom - top or size <= 8:
            break
        size = max(round(size * 0.85), 8)
    y = top + max(bottom - top - height, 0) // 2
    shadow = max(size // 40, 1)
    for line in lines:
        pen.text((left + shadow, y + shadow), line, fill=(0, 0, 0, 110), font=font)
        pen.text((left, y), line, fill=_WHITE, font=font)
        y += round(size * 1.3)


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    """*text* in lines of at most *width* pixels; a word that is longer is broken."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = ""
        for letter in word:
            if line and font.getlength(line + letter) > width:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line]
