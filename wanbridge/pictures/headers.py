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
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# As many bytes as any of the formats needs to be known by.
_HEAD = 32
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
    if head.startswith(b"BM") and len(head) >= 18 and little(head, 14, 4) in _BMP_HEADERS:
        return "image/bmp"
    return None


def media_type(data: bytes) -> str | None:
    """The format of a picture by its first bytes; None if it is no picture that is known here.

    Besides what `inspect` reads these are AVIF, HEIC and TIFF, which no provider's page has among
    its inputs (read 2026-11-20); `wanbridge.pictures.fit` makes others of them.
    """
    if (mime := _mime(data)) is not None:
        return mime
    if data.startswith(TIFF_STARTS):
        return "image/tiff"
    return _of_brands(data) if data[4:8] == b"ftyp" else None


def _of_brands(data: bytes) -> str | None:
    """The format of an ISO base media file, by its major brand or else its compatible ones."""
    brand = data[8:12]
    if brand not in _ANY_PICTURE:
        return _BRANDS.get(brand)
    end = min(big(data, 0, 4), 256)
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


def little(data: bytes, at: int, size: int, *, signed: bool = False) -> int:
    """The little-endian number of *size* bytes at *at*; 0 if the bytes end before its end."""
    number = data[at : at + size]
    return int.from_bytes(number, "little", signed=signed) if len(number) == size else 0


def big(data: bytes, at: int, size: int) -> int:
    """The big-endian number of *size* bytes at *at*; 0 if the bytes end before its end."""
    number = data[at : at + size]
    return int.from_bytes(number, "big") if len(number) == size else 0


def _png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR":
        return None
    return big(data, 16, 4), big(data, 20, 4)


def _gif(data: bytes) -> tuple[int, int] | None:
    return little(data, 6, 2), little(data, 8, 2)


def _bmp(data: bytes) -> tuple[int, int] | None:
    if little(data, 14, 4) == 12:
        return little(data, 18, 2), little(data, 20, 2)
    # A negative height says that the rows run from top to bottom.
    return little(data, 18, 4, signed=True), abs(little(data, 22, 4, signed=True))


def _webp(data: bytes) -> tuple[int, int] | None:
    """Lossy, lossless or extended, by the first chunk (RFC 9649)."""
    match data[12:16]:
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            # The upper two bits of each side are a scale for display.
            return little(data, 26, 2) & 0x3FFF, little(data, 28, 2) & 0x3FFF
        case b"VP8L" if data[20:21] == b"\x2f" and len(data) >= 25:
            sides = little(data, 21, 4)
            return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
        case b"VP8X" if len(data) >= 30:
            return little(data, 24, 3) + 1, little(data, 27, 3) + 1
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
            return big(data, at + 5, 2), big(data, at + 3, 2)
        at += max(2, big(data, at, 2))
    return None


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/gif": _gif,
}
FORMATS_READ = frozenset(_SIZES)


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
