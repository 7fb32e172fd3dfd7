"""Pictures as people have them: turned, animated, see-through, of other formats, cut, too large."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import pillow_heif
from PIL import Image, ImageCms

SIZE = (320, 240)
# On every picture that `drawn` makes, upright: this box is red, all else light grey.
PATCH = (64, 32, 160, 96)
RED, GROUND = (220, 20, 30), (200, 200, 200)
# What makes a stored picture of an upright one, by the orientation that undoes it.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def drawn(size: tuple[int, int] = SIZE, patch: tuple[int, int, int, int] = PATCH) -> Image.Image:
    """An upright picture with a red patch."""
    picture = Image.new("RGB", size, GROUND)
    picture.paste(RED, patch)
    return picture


def turned(orientation: int, picture: Image.Image | None = None) -> Image.Image:
    """A picture, `drawn` by default, as a camera stores it with that EXIF *orientation*."""
    method, upright = STORED[orientation], picture or drawn()
    return upright if method is None else upright.transpose(method)


def exif(orientation: int) -> Image.Exif:
    facts = Image.Exif()
    facts[0x0112] = orientation
    return facts


def file_of(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png(width: int, height: int, bits: int, color: int, row: bytes) -> bytes:
    """A PNG of equal rows, which Pillow does not write: 16 bits in colours, or no pixels at all."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height) if row else b""
    parts = chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def heic(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=95, **options)
    return buffer.getvalue()


def exchanged_profile() -> bytes:
    """An ICC profile that is sRGB with red and green exchanged, which pixels show."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        other = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(bytes(profile[at : at + 4]))
        profile[at : at + 4] = other or profile[at : at + 4]
    return bytes(profile)


def _animated(form: str) -> bytes:
    return file_of(drawn(), form, save_all=True, append_images=[Image.new("RGB", SIZE, "blue")])


def _see_through() -> Image.Image:
    picture = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    picture.paste((*RED, 255), PATCH)
    return picture


def _palette(**options: object) -> bytes:
    return file_of(drawn().quantize(8), "PNG", **options)


ODD: dict[str, Callable[[], bytes]] = {
    "png of 16 bits": lambda: png(*SIZE, 16, 2, struct.pack(">3H", 51400, 5140, 7710) * SIZE[0]),
    "png of 16 bits, grey": lambda: file_of(Image.new("I;16", SIZE, 40_000), "PNG"),
    "jpeg of cmyk": lambda: file_of(drawn().convert("CMYK"), "JPEG", quality=95),
    "jpeg with a profile": lambda: file_of(drawn(), "JPEG", icc_profile=exchanged_profile()),
    "mpo": lambda: _animated("MPO"),
    "apng": lambda: _animated("PNG"),
    "animated webp": lambda: _animated("WEBP"),
    "animated gif": lambda: _animated("GIF"),
    "gif": lambda: file_of(drawn(), "GIF"),
    "turned jpeg": lambda: file_of(turned(6), "JPEG", exif=exif(6), quality=95),
    "turned webp": lambda: file_of(turned(6), "WEBP", exif=exif(6), quality=95),
    "png with alpha": lambda: file_of(_see_through(), "PNG"),
    "webp with alpha": lambda: file_of(_see_through(), "WEBP", quality=95),
    "palette": _palette,
    "palette with a transparent colour": lambda: _palette(transparency=0),
    "1 px": lambda: file_of(Image.new("RGB", (1, 1)), "PNG"),
    "9,000 px": lambda: file_of(Image.new("RGB", (9000, 1500), RED), "PNG"),
    "heic": lambda: heic(drawn()),
    "avif": lambda: file_of(drawn(), "AVIF", quality=95),
    "tiff": lambda: file_of(drawn(), "TIFF"),
    "bmp": lambda: file_of(drawn(), "BMP"),
    "polyglot": lambda: file_of(drawn(), "PNG") + b"<script>alert(1)</script>%PDF-1.7\n",
    "cut png": lambda: file_of(Image.effect_noise(SIZE, 90), "PNG")[:9000],
    "cut jpeg": lambda: file_of(Image.effect_noise(SIZE, 90), "JPEG")[:9000],
    "zero bytes": lambda: b"",
    "svg": lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "html": lambda: b"\n<!DOCTYPE html><title>404</title>",
    "huge header": lambda: png(60_000, 60_000, 8, 2, b""),
}


@cache
def odd(name: str) -> bytes:
    """One of `ODD`, made once."""
    return ODD[name]()
