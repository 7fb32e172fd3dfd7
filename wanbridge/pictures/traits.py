"""What a picture's headers say beside its format and size: turned, animated, see-through.

Nothing is decoded: a picture that is not fitted is judged without an imaging library.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from attrs import frozen

from wanbridge.pictures.containers import content, layout
from wanbridge.pictures.headers import TIFF_STARTS, big, little, media_type

# EXIF, 4.6.4: the tag of the orientation, whose type is a 16-bit number.
_ORIENTATION, _SHORT = 0x0112, 3
# A first directory of EXIF lies within; the rest are notes of the camera's maker and thumbnails.
_EXIF_MOST = 2**18
# So much of a GIF is looked through for a second frame.
_GIF_MOST = 2**22


@frozen(kw_only=True)
class Traits:
    """What may keep a picture from being taken as it is, beside its format and size.

    Attributes:
        orientation: 1 is upright; 2 to 8, as EXIF has it, are turned or mirrored where shown.
        animated: It has more than one frame.
        alpha: It has an alpha channel, opaque or not, or a colour that is transparent.
    """

    orientation: int = 1
    animated: bool = False
    alpha: bool = False


def traits(data: bytes) -> Traits:
    """What the headers of *data* say; what is not there, or not known, is as if it were upright,
    single and opaque. Never raises.

    Of a WEBP and of a PNG the orientation may stand behind the pixels, and so may the second
    frame of a GIF: *data* is the whole picture. Of HEIC and AVIF nothing is read.
    """
    read = _TRAITS.get(media_type(data) or "")
    return Traits() if read is None else read(data)


def _png(data: bytes) -> Traits:
    """By the chunks (PNG, third edition, 11): ``acTL``, ``eXIf``, ``tRNS`` and the colour type."""
    orientation, animated, alpha = 1, False, data[25:26] in (b"\4", b"\6")
    file = io.BytesIO(data)
    if found := layout(file):
        for block in found.named("acTL", "tRNS", "eXIf"):
            match block.name:
                case "acTL":
                    animated = big(content(file, block, 4), 0, 4) > 1
                case "tRNS":
                    alpha = True
                case _:
                    orientation = _orientation(content(file, block, _EXIF_MOST))
    return Traits(orientation=orientation, animated=animated, alpha=alpha)


def _jpeg(data: bytes) -> Traits:
    """By the first EXIF segment, which stands before the pixels."""
    file = io.BytesIO(data)
    if found := layout(file):
        for block in found.named("APP1"):
            if (held := content(file, block, _EXIF_MOST)).startswith(b"Exif\0\0"):
                return Traits(orientation=_orientation(held[6:]))
    return Traits()


def _webp(data: bytes) -> Traits:
    """By the flags of an extended file and its ``EXIF`` chunk, by the header of a lossless one."""
    if data[12:16] == b"VP8L":
        return Traits(alpha=bool(little(data, 21, 4) >> 28 & 1))
    if data[12:16] != b"VP8X":
        return Traits()
    flags, orientation, file = little(data, 20, 1), 1, io.BytesIO(data)
    if flags & 0x08 and (found := layout(file)):
        for block in found.named("EXIF"):
            # Some writers keep the six bytes that begin the segment of a JPEG.
            held = content(file, block, _EXIF_MOST).removeprefix(b"Exif\0\0")
            orientation = _orientation(held)
    return Traits(orientation=orientation, animated=bool(flags & 0x02), alpha=bool(flags & 0x10))


def _gif(data: bytes) -> Traits:
    """By the blocks: how many images, and whether the first has a transparent colour."""
    data, frames, alpha = data[:_GIF_MOST], 0, False
    at = 13 + _colors(data, 10)
    while frames < 2 and (kind := data[at : at + 1]) in (b"\x21", b"\x2c"):
        if kind == b"\x2c":
            frames += 1
            at += 11 + _colors(data, at + 9)
        else:
            if not frames and data[at + 1 : at + 2] == b"\xf9":
                alpha = bool(little(data, at + 3, 1) & 1)
            at += 2
        while length := little(data, at, 1):
            at += 1 + length
        at += 1
    return Traits(animated=frames > 1, alpha=alpha)


def _colors(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags of a GIF at *at* announce."""
    flags = little(data, at, 1)
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _orientation(exif: bytes) -> int:
    """The orientation in the first directory of an EXIF block, which is a TIFF; 1 if none."""
    if not exif.startswith(TIFF_STARTS[:2]):
        return 1
    number = little if exif.startswith(b"II") else big
    start = number(exif, 4, 4)
    for at in range(start + 2, start + 2 + 12 * number(exif, start, 2), 12):
        if number(exif, at, 2) == _ORIENTATION and number(exif, at + 2, 2) == _SHORT:
            found = number(exif, at + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1


def _tiff(data: bytes) -> Traits:
    return Traits(orientation=_orientation(data))


_TRAITS: dict[str, Callable[[bytes], Traits]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/gif": _gif,
    "image/tiff": _tiff,
}
