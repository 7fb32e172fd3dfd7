"""Pictures as bytes: what their headers say, and ``data:`` URIs.

Nothing is decoded, so there is no imaging library here. Only headers are believed: a picture
that is cut or damaged further on looks the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from attrs import frozen

# All spellings that a file name may keep; the first is the one we write.
_EXTENSIONS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/webp": (".webp",),
    "image/bmp": (".bmp", ".dib"),
    "image/gif": (".gif",),
    "image/avif": (".avif",),
}
# What names are given; each format has one.
ENDINGS = tuple(spellings[0] for spellings in _EXTENSIONS.values())
_OF_PICTURES = {extension for spellings in _EXTENSIONS.values() for extension in spellings}
# What messages call them; the last three only `wanbridge.pictures.fit` reads.
FORMAT_NAMES = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/heic": "HEIC",
    "image/avif": "AVIF",
}
# The way out for a picture that is not taken as it is.
FIT_HINT = "fit=True (--fit, extra images) makes it acceptable everywhere"
# So many bytes are enough to recognise a picture of a format that `inspect` knows.
TELLING_BYTES = 18
# Of a picture that is looked at, not read: its size stands in these, metadata included.
BEGINNING = 256 * 2**10
# Sizes of the headers that follow a BMP's first 14 bytes: IBM's of OS/2 1 (12) and 2 (16, 64),
# Microsoft's BITMAPINFOHEADER (40) with its additions (52, 56) and versions 4 and 5 (108, 124).
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
# A marker that begins a segment: not a stuffed zero, a fill byte, or one of those without a length
# (TEM, RST0 to RST7, SOI). Of 0xC0 to 0xCF these start no frame: DHT, JPG, DAC. ITU-T T.81, B.1.
_JPEG_SEGMENT = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
_JPEG_NO_FRAME = {0xC4, 0xC8, 0xCC}
# Brands of ISO base media files that hold pictures; mif1 and msf1 say only that they hold some.
# ISO/IEC 23008-12, 10; AV1 Image File Format, 6.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
}
_ANY_PICTURE = (b"mif1", b"msf1", b"miaf")
# The first four bytes of a TIFF, then of a BigTIFF, each in both byte orders.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# As many bytes as any of the formats needs to be known by.
_HEAD = 32
# So much of a picture is looked through: chunks of a PNG or WEBP, bytes of a GIF.
_CHUNKS_MOST, _GIF_MOST = 100_000, 2**22
# EXIF, 4.6.4: the tag of the orientation, whose type is a 16-bit number.
_ORIENTATION, _SHORT = 0x0112, 3
_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)((?:;[^;,]*)*),(.*)", re.ASCII | re.DOTALL | re.I)


@frozen
class Facts:
    """What the first bytes of a picture say.

    Attributes:
        mime: ``image/png`` and so on.
        width, height: Pixels as stored; both None where the bytes end before them, or where
            they are damaged. An EXIF orientation is not applied: none of the providers' pages
            speaks of it (read 2026-11-20), and upstream counts boxes in the original's pixels.
    """

    mime: str
    width: int | None
    height: int | None

    @property
    def extension(self) -> str:
        """The usual file name extension, with its dot; ``.bin`` for a type not known here."""
        return _EXTENSIONS.get(self.mime, (".bin",))[0]


def inspect(data: bytes) -> Facts | None:
    """What *data*, a whole picture or the beginning of one, says about itself.

    PNG, JPEG, WEBP, BMP and GIF; None for anything else, and for a beginning that is too short
    (18 bytes are always enough). Where width and height stand is another matter: within 30 bytes,
    but in a JPEG after its metadata, which may take hundreds of kilobytes. Never raises.
    """
    mime = _mime(data)
    if mime is None or mime not in _SIZES:
        return None
    width, height = _SIZES[mime](data) or (0, 0)
    return Facts(mime, width, height) if width > 0 and height > 0 else Facts(mime, None, None)


def _mime(head: bytes) -> str | None:
    """The format of a picture by its first bytes; None if it is no picture that we know.

    AVIF is known for the sake of its file name only: no provider takes it as an input.
    """
    match head[:4], head[8:12]:
        case b"RIFF", b"WEBP":
            return "image/webp"
        case _, b"avif" | b"avis" if head[4:8] == b"ftyp":
            return "image/avif"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    # Two letters alone would make a bitmap of any text that begins with them.
    if head.startswith(b"BM") and len(head) >= 18 and _little(head, 14, 4) in _BMP_HEADERS:
        return "image/bmp"
    return None


def media_type(data: bytes) -> str | None:
    """The format of a picture by its first bytes; None if it is no picture that is known here.

    Besides what `inspect` reads these are AVIF, HEIC and TIFF, which no provider's page has among
    its inputs (read 2026-11-20); `wanbridge.pictures.fit` makes others of them.
    """
    if (mime := _mime(data)) is not None:
        return mime
    if data.startswith(_TIFF):
        return "image/tiff"
    return _of_brands(data) if data[4:8] == b"ftyp" else None


def _of_brands(data: bytes) -> str | None:
    """The format of an ISO base media file, by its major brand or else its compatible ones."""
    brand = data[8:12]
    if brand not in _ANY_PICTURE:
        return _BRANDS.get(brand)
    end = min(_big(data, 0, 4), 256)
    others = (data[at : at + 4] for at in range(16, end, 4))
    return next((_BRANDS[other] for other in others if other in _BRANDS), None)


def what_else(data: bytes) -> str:
    """What bytes that are no picture look like, in words, as far as that helps."""
    start, said = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower(), ""
    if not data:
        said = ", but empty"
    elif start.startswith((b"<!doctype html", b"<html")):
        said = ", but an HTML page"
    elif start.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in start:
        said = ", but an SVG drawing"
    return f"not a PNG, JPEG, WEBP, BMP or GIF picture{said}"


def _little(data: bytes, at: int, size: int, *, signed: bool = False) -> int:
    """The little-endian number of *size* bytes at *at*; 0 if the bytes end before its end."""
    number = data[at : at + size]
    return int.from_bytes(number, "little", signed=signed) if len(number) == size else 0


def _big(data: bytes, at: int, size: int) -> int:
    """The big-endian number of *size* bytes at *at*; 0 if the bytes end before its end."""
    number = data[at : at + size]
    return int.from_bytes(number, "big") if len(number) == size else 0


def _png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR":
        return None
    return _big(data, 16, 4), _big(data, 20, 4)


def _gif(data: bytes) -> tuple[int, int] | None:
    return _little(data, 6, 2), _little(data, 8, 2)


def _bmp(data: bytes) -> tuple[int, int] | None:
    if _little(data, 14, 4) == 12:
        return _little(data, 18, 2), _little(data, 20, 2)
    # A negative height says that the rows run from top to bottom.
    return _little(data, 18, 4, signed=True), abs(_little(data, 22, 4, signed=True))


def _webp(data: bytes) -> tuple[int, int] | None:
    """Lossy, lossless or extended, by the first chunk (RFC 9649)."""
    match data[12:16]:
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            # The upper two bits of each side are a scale for display.
            return _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF
        case b"VP8L" if data[20:21] == b"\x2f" and len(data) >= 25:
            sides = _little(data, 21, 4)
            return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
        case b"VP8X" if len(data) >= 30:
            return _little(data, 24, 3) + 1, _little(data, 27, 3) + 1
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """From the frame header, wherever metadata has pushed it; thumbnails inside are passed over."""
    at = 2
    # Decoders skip what stands between segments, and so do we.
    while match := _JPEG_SEGMENT.search(data, at):
        at, code = match.end(), match[1][0]
        if code in (0xD9, 0xDA):
            return None
        if 0xC0 <= code <= 0xCF and code not in _JPEG_NO_FRAME:
            return _big(data, at + 5, 2), _big(data, at + 3, 2)
        at += max(2, _big(data, at, 2))
    return None


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/gif": _gif,
}
FORMATS_READ = frozenset(_SIZES)


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


def _png_traits(data: bytes) -> Traits:
    """By the chunks (PNG, third edition, 11): ``acTL``, ``eXIf``, ``tRNS`` and the colour type."""
    orientation, animated, alpha = 1, False, data[25:26] in (b"\4", b"\6")
    at = 8
    for _ in range(_CHUNKS_MOST):
        length = _big(data, at, 4)
        match data[at + 4 : at + 8]:
            case b"" | b"IEND":
                break
            case b"acTL":
                animated = _big(data, at + 8, 4) > 1
            case b"tRNS":
                alpha = True
            case b"eXIf":
                orientation = _orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    return Traits(orientation=orientation, animated=animated, alpha=alpha)


def _jpeg_traits(data: bytes) -> Traits:
    """By the first EXIF segment, which stands before the pixels."""
    data, at = data[:BEGINNING], 2
    while (match := _JPEG_SEGMENT.search(data, at)) and match[1][0] not in (0xD9, 0xDA):
        at = match.end()
        if match[1][0] == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0":
            return Traits(orientation=_orientation(data[at + 8 : at + _big(data, at, 2)]))
        at += max(2, _big(data, at, 2))
    return Traits()


def _webp_traits(data: bytes) -> Traits:
    """By the flags of an extended file and its ``EXIF`` chunk, by the header of a lossless one."""
    if data[12:16] == b"VP8L":
        return Traits(alpha=bool(_little(data, 21, 4) >> 28 & 1))
    if data[12:16] != b"VP8X":
        return Traits()
    flags, orientation, at = _little(data, 20, 1), 1, 12
    for _ in range(_CHUNKS_MOST if flags & 0x08 else 0):
        length = _little(data, at + 4, 4)
        if data[at : at + 4] in (b"", b"EXIF"):
            # Some writers keep the six bytes that begin the segment of a JPEG.
            found = data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
            orientation = _orientation(found)
            break
        at += 8 + length + length % 2
    return Traits(orientation=orientation, animated=bool(flags & 0x02), alpha=bool(flags & 0x10))


def _gif_traits(data: bytes) -> Traits:
    """By the blocks: how many images, and whether the first has a transparent colour."""
    data, frames, alpha = data[:_GIF_MOST], 0, False
    at = 13 + _colors(data, 10)
    while frames < 2 and (kind := data[at : at + 1]) in (b"\x21", b"\x2c"):
        if kind == b"\x2c":
            frames += 1
            at += 11 + _colors(data, at + 9)
        else:
            if not frames and data[at + 1 : at + 2] == b"\xf9":
                alpha = bool(_little(data, at + 3, 1) & 1)
            at += 2
        while length := _little(data, at, 1):
            at += 1 + length
        at += 1
    return Traits(animated=frames > 1, alpha=alpha)


def _colors(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags of a GIF at *at* announce."""
    flags = _little(data, at, 1)
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _orientation(exif: bytes) -> int:
    """The orientation in the first directory of an EXIF block, which is a TIFF; 1 if none."""
    if not exif.startswith(_TIFF[:2]):
        return 1
    number = _little if exif.startswith(b"II") else _big
    start = number(exif, 4, 4)
    for at in range(start + 2, start + 2 + 12 * number(exif, start, 2), 12):
        if number(exif, at, 2) == _ORIENTATION and number(exif, at + 2, 2) == _SHORT:
            found = number(exif, at + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1


def _tiff_traits(data: bytes) -> Traits:
    return Traits(orientation=_orientation(data))


_TRAITS: dict[str, Callable[[bytes], Traits]] = {
    "image/png": _png_traits,
    "image/jpeg": _jpeg_traits,
    "image/webp": _webp_traits,
    "image/gif": _gif_traits,
    "image/tiff": _tiff_traits,
}


def data_uri(data: bytes, mime: str) -> str:
    """*data* as ``data:<mime>;base64,...``."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def from_data_uri(uri: str) -> tuple[bytes, str]:
    """The bytes and the media type, in lower case and without parameters, of a ``data:`` URI.

    Raises:
        ValueError: it names no media type, is not base64 or not the standard alphabet with its
            padding, without blanks or percent signs. The message never shows the payload.
    """
    shown = repr(re.split("[,?]", uri, maxsplit=1)[0][:60])
    if not (match := _URI.fullmatch(uri)):
        raise ValueError(f"{shown} is not the beginning of data:<type>/<subtype>;base64,<data>")
    mime, parameters, payload = match[1].lower(), match[2].lower().split(";"), match[3]
    if "sha256" in parameters:
        raise ValueError(f"{shown}: only the SHA-256 of this picture was stored, not its bytes")
    if parameters[-1] != "base64":
        raise ValueError(f"{shown}: data: URIs of pictures are base64")
    try:
        return base64.b64decode(payload.encode("ascii"), validate=True), mime
    except (binascii.Error, UnicodeEncodeError) as exc:
        said = "a character outside ASCII" if isinstance(exc, UnicodeError) else str(exc)
        raise ValueError(f"{shown}: the payload is not base64: {said}") from None


def data_bytes(uri: str) -> int:
    """How many bytes the payload of a ``data:`` URI stands for, by its length alone."""
    at = uri.find(",") + 1
    return (len(uri) - at) * 3 // 4 - uri.count("=", max(at, len(uri) - 2))


def data_beginning(uri: str, most: int = BEGINNING) -> bytes:
    """The first bytes, at most *most*, behind a ``data:`` URI; the rest is not looked at.

    Raises:
        ValueError: as `from_data_uri`, for as much as was looked at.
    """
    comma = uri.find(",") + 1
    data, _ = from_data_uri(uri[: comma + most // 3 * 4])
    return data
