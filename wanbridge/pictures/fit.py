"""Makes a picture acceptable everywhere: upright, opaque, one frame, 8-bit sRGB, of fair size.

Bytes in, a value out; needs Pillow, and pillow-heif for HEIC (extra ``images``). PNG, JPEG and WEBP
are on the page of every provider that has a list of formats (read 2026-11-20). A picture of these
that is upright, opaque, not animated, in 8-bit sRGB and within the bounds below stays as it is,
byte for byte. The same bytes in give the same bytes out, and what comes out stays as it is.

Of Pillow's settings for the whole process none is changed: no plugin is registered, and the
plugin of the format that the first bytes name is opened directly, so that nothing else is tried.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from attrs import frozen

from wanbridge.pictures.headers import FORMAT_NAMES, inspect, media_type, what_else
from wanbridge.pictures.traits import traits

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

# The bounds of the model's maker and of all who state any (read 2026-11-20).
SIDE_MAX = 8_000
BYTES_MAX = 20_000_000
# What a picture may have at most, by its header, to be decoded at all.
PIXELS_MAX = 200_000_000
# Tried in turn until the file is short enough; then the picture is made smaller.
_QUALITIES = (95, 90, 80)
# The formats on every list, and those whose pixels are approximate already.
_TAKEN = frozenset({"image/png", "image/jpeg", "image/webp"})
_LOSSY = frozenset({"image/jpeg", "image/heic", "image/avif"})
# Whose orientation the decoder applies by itself; a HEIC has its own, which is not EXIF's.
_TURNED_BY_DECODER = frozenset({"image/tiff", "image/heic"})
# Channels of colours that differ by no more are the same: conversions round.
_SAME_COLOR = 2


@frozen(kw_only=True)
class FittedPicture:
    """A picture that is acceptable everywhere.

    Attributes:
        data: The file.
        mime: ``image/png``, ``image/jpeg``, or ``image/webp`` for one that stayed as it was.
        width, height: Pixels.
        original: Width and height before it was scaled, upright.
        changes: What was done to it, in words; empty if *data* is what was given.
    """

    data: bytes
    mime: str
    width: int
    height: int
    original: tuple[int, int]
    changes: tuple[str, ...]

    def scaled(self, corners: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box on the upright original as one here: the smallest that covers the same content."""
        (across, down), (x1, y1, x2, y2) = self.original, corners
        return (
            x1 * self.width // across,
            y1 * self.height // down,
            -(-x2 * self.width // across),
            -(-y2 * self.height // down),
        )


def fit_picture(data: bytes) -> FittedPicture:
    """The picture in *data*, made acceptable everywhere.

    PNG, JPEG, WEBP, BMP, GIF, TIFF, HEIC and AVIF are read, whatever the file is called. It is
    decoded in any case, so that one that is cut is found.

    Raises:
        ValueError: it is no such picture, damaged or cut, or has more than 200 megapixels, which
            its header tells. The message is one line without a subject.
        ImportError: Pillow or, for HEIC, pillow-heif is missing; the message has the remedy.
    """
    if (mime := media_type(data)) is None:
        raise ValueError(what_else(data))
    facts = inspect(data)
    if facts is not None and facts.width is not None and facts.height is not None:
        _check_pixels((facts.width, facts.height))
    try:
        return _Fit(data, mime).fitted()
    except _Unread:
        raise
    except ImportError as exc:
        raise _missing(exc) from exc
    # On damaged files Pillow and its plugins raise whatever comes to them: OSError, SyntaxError,
    # ValueError, IndexError, struct.error and others.
    except Exception as exc:
        if type(exc).__name__.startswith("DecompressionBomb"):
            raise _Unread("more pixels than PIL.Image.MAX_IMAGE_PIXELS allows here") from exc
        said = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise ValueError(f"a damaged or cut {FORMAT_NAMES[mime]} picture: {said}") from exc


class _Unread(ValueError):
    """Not damaged, but nothing that is read here."""


def _missing(error: ImportError) -> ImportError:
    """*error*, with the remedy in words."""
    return ImportError(
        f"fitting pictures needs {error.name or 'more libraries'}: pip install 'wanbridge[images]'",
        name=error.name,
    )


def _check_pixels(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > PIXELS_MAX:
        most = f"at most {PIXELS_MAX // 10**6} megapixels are decoded"
        raise _Unread(f"{width}x{height} px by its header; {most}")


class _Fit:
    """A picture while it is fitted."""

    def __init__(self, data: bytes, mime: str) -> None:
        self.data, self.mime = data, mime
        self.changes: list[str] = []
        self.image: Image = self._opened()
        _check_pixels(self.image.size)
        self.traits = traits(data)

    def fitted(self) -> FittedPicture:
        turn, bits = self._orientation(), self._bits()
        self._take_first_frame()
        across, down = self._decode()
        sideways = turn >= 5 and self.mime not in _TURNED_BY_DECODER
        original = (down, across) if sideways else (across, down)
        self._reduce_to_8_bits(bits)
        self._lay_on_white()
        self._convert_to_srgb()
        self._turn_upright(turn)
        self._scale(_within(self.image.size, SIDE_MAX))
        unchanged = not self.changes and self.image.size == original
        if unchanged and self.mime in _TAKEN and len(self.data) <= BYTES_MAX:
            data, mime = self.data, self.mime
        else:
            data, mime, quality = self._encoded()
            self._say_how(original, mime, quality)
        width, height = self.image.size
        return FittedPicture(
            data=data,
            mime=mime,
            width=width,
            height=height,
            original=original,
            changes=tuple(self.changes),
        )

    def _opened(self) -> Image:
        """The picture, of which only the header is read; a HEIC is decoded if it is not too large.

        Not by `PIL.Image.open`, whose bounds on pixels are the process's and may warn.
        """
        file = BytesIO(self.data)
        match self.mime:
            case "image/png":
                from PIL.PngImagePlugin import PngImageFile

                return PngImageFile(file)
            case "image/jpeg":
                from PIL.JpegImagePlugin import JpegImageFile

                return JpegImageFile(file)
            case "image/webp":
                from PIL.WebPImagePlugin import WebPImageFile

                return WebPImageFile(file)
            case "image/bmp":
                from PIL.BmpImagePlugin import BmpImageFile

                return BmpImageFile(file)
            case "image/gif":
                from PIL.GifImagePlugin import GifImageFile

                return GifImageFile(file)
            case "image/tiff":
                from PIL.TiffImagePlugin import TiffImageFile

                return TiffImageFile(file)
            case "image/avif":
                from PIL.AvifImagePlugin import AvifImageFile

                return AvifImageFile(file)
        from pillow_heif import open_heif

        heif = open_heif(file)
        main = heif[heif.primary_index]
        _check_pixels(main.size)
        if len(heif) > 1:
            self.changes.append(f"the main one of {len(heif)} pictures")
        return main.to_pillow()

    def _orientation(self) -> int:
        """As EXIF counts: 1 is upright, 5 to 8 have width and height exchanged."""
        if self.mime == "image/avif":  # whose boxes for it Pillow translates
            found: int = self.image.getexif().get(0x0112, 1)
            return found
        return self.traits.orientation

    def _take_first_frame(self) -> None:
        """Decoders give the first unless told otherwise; before it is loaded, others are known."""
        if getattr(self.image, "is_animated", False):
            other = "page of several" if self.mime == "image/tiff" else "frame of an animation"
            self.changes.append(f"the first {other}")
        elif "mp" in self.image.info:
            # Cameras' MPO: a JPEG with previews, depth or gain maps behind it.
            self.changes.append("the first of several pictures (MPO)")

    def _bits(self) -> int:
        """Bits of a channel, as far as it is told."""
        if self.mime == "image/png":
            return self.data[24]
        if self.mime == "image/tiff":
            from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

            assert isinstance(self.image, TiffImageFile)
            return int(max(self.image.tag_v2.get(BITSPERSAMPLE, (1,))))
        bits: int = self.image.info.get("bit_depth", 8)
        return bits

    def _decode(self) -> tuple[int, int]:
        """Width and height as stored; a JPEG that is far too large is decoded to a smaller one."""
        stored = self.image.size
        if self.mime == "image/jpeg":
            self.image.draft(None, _within(stored, SIDE_MAX))
        self.image.load()
        return stored if self.mime == "image/jpeg" else self.image.size

    def _reduce_to_8_bits(self, bits: int) -> None:
        image = self.image
        if bits > 8:
            self.changes.append(f"{bits} to 8 bits a channel")
        if image.mode.startswith("I;16"):
            # 10 and 12 bits of a HEIC are spread over 16.
            scale = 2.0 ** -(4 if bits == 12 and self.mime == "image/tiff" else 8)
            gray = image.convert("I").point(lambda value: value * scale).convert("L")
            if isinstance(see_through := image.info.get("transparency"), int):
                gray.info["transparency"] = int(see_through * scale)
            gray.info["icc_profile"] = image.info.get("icc_profile")
            self.image = gray
        elif image.mode in ("I", "F", "LAB", "HSV"):
            raise _Unread(
                f"pixels of a kind that is not read ({image.mode}); save the"
                f" {FORMAT_NAMES[self.mime]} in 8 or 16 bits, grey or RGB"
            )
        elif bits == 16 and isinstance(see_through := image.info.get("transparency"), tuple):
            image.info["transparency"] = tuple(value >> 8 for value in see_through)

    def _lay_on_white(self) -> None:
        from PIL import Image

        image = self.image
        if not image.has_transparency_data:
            return
        profile = image.info.get("icc_profile")
        clear = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
        ground = Image.new("L" if clear.mode == "LA" else "RGB", clear.size, "white")
        ground.paste(clear, mask=clear.getchannel("A"))
        ground.info["icc_profile"] = profile
        self.image = ground
        self.changes.append("alpha laid on white")

    def _convert_to_srgb(self) -> None:
        """By its profile; without one, or with one that cannot be read, the pixels are sRGB."""
        image = self.image
        profile = image.info.get("icc_profile")
        if image.mode not in ("1", "L", "P", "RGB", "CMYK"):  # TIFF's YCbCr and RGBX
            self.image = image = image.convert("RGB")
        converted = _by_profile(image, profile) if profile else None
        if image.mode == "CMYK":
            self.changes.append("CMYK to sRGB")
            self.image = image.convert("RGB") if converted is None else converted
        elif converted is not None:
            self.changes.append("the colours of its profile to sRGB")
            self.image = converted

    def _turn_upright(self, turn: int) -> None:
        from PIL.Image import Transpose

        if turn == 1:
            return
        self.changes.append(f"turned upright by its orientation {turn} of EXIF")
        if self.mime not in _TURNED_BY_DECODER:
            method = {
                2: Transpose.FLIP_LEFT_RIGHT,
                3: Transpose.ROTATE_180,
                4: Transpose.FLIP_TOP_BOTTOM,
                5: Transpose.TRANSPOSE,
                6: Transpose.ROTATE_270,
                7: Transpose.TRANSVERSE,
                8: Transpose.ROTATE_90,
            }[turn]
            self.image = self.image.transpose(method)

    def _scale(self, size: tuple[int, int]) -> None:
        from PIL.Image import Resampling

        if size != self.image.size:
            # Numbers of a palette have no mean.
            gray = self.image.mode in ("1", "L")
            smooth = self.image.convert("L" if gray else "RGB")
            self.image = smooth.resize(size, Resampling.LANCZOS)

    def _encoded(self) -> tuple[bytes, str, int]:
        """The file, its media type and a JPEG's quality, 0 of a PNG.

        A picture that was approximate before is a JPEG, any other a PNG unless that is too long.
        """
        if self.mime not in _LOSSY and len(data := self._saved("PNG")) <= BYTES_MAX:
            return data, "image/png", 0
        if self.image.mode not in ("L", "RGB"):
            self.image = self.image.convert("L" if self.image.mode == "1" else "RGB")
        quality, *lower = _QUALITIES
        data = self._saved("JPEG", quality=quality)
        while len(data) > BYTES_MAX:
            if lower:
                quality = lower.pop(0)
            else:
                share = (BYTES_MAX / len(data)) ** 0.5 * 0.95
                self._scale(_within(self.image.size, int(max(self.image.size) * share)))
            data = self._saved("JPEG", quality=quality)
        return data, "image/jpeg", quality

    def _saved(self, form: str, **options: Any) -> bytes:
        self.image.info.clear()  # or it is written into the file
        file = BytesIO()
        self.image.save(file, form, **options)
        return file.getvalue()

    def _say_how(self, original: tuple[int, int], mime: str, quality: int) -> None:
        if self.image.size != original:
            sizes = ["x".join(map(str, size)) for size in (original, self.image.size)]
            self.changes.append(f"scaled from {sizes[0]} to {sizes[1]} px")
        how = f", quality {quality}" if quality else ""
        if mime != self.mime:
            self.changes.append(f"from {FORMAT_NAMES[self.mime]} to {FORMAT_NAMES[mime]}{how}")
        elif quality:
            self.changes.append(f"encoded again as JPEG{how}")


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """*size*, or if it has a longer side than *side* the same shape within that."""
    longest = max(size)
    if longest <= side:
        return size
    width, height = (max(1, (length * side + longest // 2) // longest) for length in size)
    return width, height


def _by_profile(image: Image, profile: bytes) -> Image | None:
    """*image* in sRGB; None if it is already, or if the profile does not say how it is not."""
    from PIL import ImageCms

    if image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if image.mode != "CMYK" and _keeps_colors(transform, image.mode):
        return None
    return ImageCms.applyTransform(image, transform)


def _keeps_colors(transform: ImageCmsTransform, mode: str) -> bool:
    """Whether all grey levels, or colours from all over the cube, come out as they went in."""
    from PIL import Image, ImageChops, ImageCms

    if mode == "L":
        sample = Image.frombytes("L", (256, 1), bytes(range(256)))
    else:
        levels = range(0, 256, 51)
        colors = [bytes((r, g, b)) for r in levels for g in levels for b in levels]
        sample = Image.frombytes("RGB", (len(colors), 1), b"".join(colors))
    converted = ImageCms.applyTransform(sample, transform)
    assert converted is not None  # which it is only in place
    difference = ImageChops.difference(sample.convert("RGB"), converted).tobytes()
    return max(difference) <= _SAME_COLOR
