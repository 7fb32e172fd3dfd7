"""What DashScope demands of an input image whose bytes it has.

Source: https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference,
read 2026-11-20 (wire page, 2.3). That a MIME type must be that of the bytes is inferred.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Final

from attrs import frozen

from wanbridge.sandbox.dialects.dashscope.errors import invalid
from wanbridge.sandbox.extra import missing_extra

_FORMATS: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/bmp": "BMP",
    "image/webp": "WEBP",
}
# Pillow's name for a JPEG with a preview behind it, as telephones write.
_JPEG_ALIASES: Final = ("MPO",)
_SIDE: Final = (240, 8000)
_STRETCH: Final = 8
# The newest page says 20 MB, a script of April 2026 10 MB.
_BYTES: Final = 20 * 2**20


@frozen(kw_only=True)
class Seen:
    """An input image; sides in pixels, None where the sandbox has no bytes to look at."""

    width: int | None = None
    height: int | None = None


def read_data_uri(uri: str) -> Seen:
    """The image in a ``data:`` URI. Raises Refused."""
    head, comma, payload = uri.partition(",")
    mime = head.removeprefix("data:").removesuffix(";base64")
    if not comma or not head.endswith(";base64") or mime not in _FORMATS:
        raise invalid(f"image must be data:{{{', '.join(_FORMATS)}}};base64,...")
    try:
        data = base64.b64decode(payload, validate=True)
    except ValueError:
        raise invalid("image is not valid base64") from None
    return read_image(data, format=_FORMATS[mime])


def read_image(data: bytes, *, format: str | None = None) -> Seen:
    """The image in *data*, which must be of Pillow's *format* if given. Raises Refused."""
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_extra(error) from error
    if len(data) > _BYTES:
        raise invalid(f"image has {len(data)} bytes, the limit is {_BYTES}")
    try:
        with Image.open(BytesIO(data), formats=tuple(_FORMATS.values())) as image:
            _check_sides(image.width, image.height)
            # Only reading it to its end shows a file that was cut.
            image.load()
            is_png, transparent = image.format == "PNG", image.has_transparency_data
            found = "JPEG" if image.format in _JPEG_ALIASES else image.format
    except (
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        SyntaxError,
        ValueError,
    ):
        raise invalid("Invalid image format or corrupted file") from None
    if is_png and transparent:
        raise invalid("PNG images with an alpha channel are not supported")
    if format not in (None, found):
        raise invalid(f"Invalid image format: declared as {format}, found {found}")
    return Seen(width=image.width, height=image.height)


def _check_sides(width: int, height: int) -> None:
    low, high = _SIDE
    if not (low <= width <= high and low <= height <= high):
        raise invalid(f"image is {width}*{height}, sides must be {low} to {high} pixels")
    if max(width, height) > _STRETCH * min(width, height):
        raise invalid(f"image is {width}*{height}, its ratio must be 1:{_STRETCH} to {_STRETCH}:1")
