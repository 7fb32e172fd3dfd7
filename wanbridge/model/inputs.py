"""Input pictures and the boxes on them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.brief import brief, brief_url
from wanbridge.model.validation import Invalid, Problems, convert_each, converted, from_members
from wanbridge.pictures.headers import (
    FIT_HINT,
    FORMAT_NAMES,
    FORMATS_READ,
    data_beginning,
    data_uri,
    from_data_uri,
    inspect,
    media_type,
    what_else,
)
from wanbridge.pictures.traits import Traits, traits

REGIONS_MAX = 2
_IMAGE_URL = re.compile(r"(https?|oss)://[^/?#\s]|data:")
_URL = re.compile(r"(?:https?|oss|data):", re.IGNORECASE)


@frozen
class Box:
    """A rectangle on one input image: absolute pixels, origin top left, x1 < x2, y1 < y2."""

    x1: int
    y1: int
    x2: int
    y2: int

    def __attrs_post_init__(self) -> None:
        wrong = Problems()
        if any(type(v) is not int or v < 0 for v in self.corners):
            wrong.add("$", f"{brief(list(self.corners))}; a box is four integers >= 0")
        elif not (self.x1 < self.x2 and self.y1 < self.y2):
            wrong.add("$", f"{list(self.corners)}; a box is [x1, y1, x2, y2], x1 < x2, y1 < y2")
        wrong.settle()

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)``."""
        return (self.x1, self.y1, self.x2, self.y2)

    def within(self, width: int, height: int) -> bool:
        """Whether it lies on a picture of that size."""
        return self.x2 <= width and self.y2 <= height


def _box(value: object) -> Box:
    if isinstance(value, Box):
        return value
    if isinstance(value, list | tuple) and len(value) == 4:
        return Box(*value)
    raise InvalidRequest((Problem("$", f"{brief(value)}; a box is [x1, y1, x2, y2]"),))


def _boxes(values: object) -> Any:
    return convert_each(values, "$.regions", _box)


def _texts(values: object) -> Any:
    return tuple(values) if isinstance(values, list) else values


@frozen
class InputImage:
    """One picture to edit or to refer to.

    Attributes:
        url: ``https``, ``http``, a ``data:`` URI, or ``oss://`` (DashScope only). None only
            with *ref*.
        regions: Up to two boxes on this picture that the prompt speaks of.
        width, height: Pixels as stored, if known; both or neither.
        ref: ``{provider: id}`` of a picture that a provider already holds.
        changes: What fitting has done to it, in words; results have a note for each.
    """

    url: str | None = field(default=None, repr=brief_url)
    regions: tuple[Box, ...] = field(default=(), converter=_boxes)
    width: int | None = None
    height: int | None = None
    ref: Mapping[str, str] | None = field(default=None, kw_only=True)
    changes: tuple[str, ...] = field(default=(), converter=_texts, kw_only=True)

    def __attrs_post_init__(self) -> None:
        wrong = Problems()
        if (self.url is None) == (self.ref is None):
            wrong.add("$", "an image is either a url or a ref {provider: id}")
        elif self.ref is not None:
            if not (isinstance(self.ref, Mapping) and self.ref) or not all(
                isinstance(k, str) and isinstance(v, str) and v for k, v in self.ref.items()
            ):
                wrong.add("$.ref", f"{brief(self.ref)} is not {{provider: id}}")
        elif not isinstance(self.url, str) or not _IMAGE_URL.match(self.url):
            files = "" if "://" in str(self.url) else "; InputImage.of takes files and bytes"
            message = f"{brief(self.url)} is not an https, http, data: or oss:// URL{files}"
            wrong.add("$.url", message)
        if isinstance(self.regions, tuple) and len(self.regions) > REGIONS_MAX:
            wrong.add("$.regions", f"{len(self.regions)} boxes; at most {REGIONS_MAX} an image")
        if (self.width is None) != (self.height is None):
            wrong.add("$", "width and height go together")
        for name in ("width", "height"):
            if getattr(self, name) is not None:
                wrong.integer(f"$.{name}", getattr(self, name), 1, 99999)
        if not isinstance(self.changes, tuple) or not all(isinstance(c, str) for c in self.changes):
            wrong.add("$.changes", f"{brief(self.changes)} is not a list of texts")
        if self.regions and not wrong.problems and isinstance(self.regions, tuple):
            self._check_regions(wrong)
        wrong.settle(self.regions)

    def _check_regions(self, wrong: Problems) -> None:
        """A box that leaves the picture is an edit of nothing, and would be paid for.

        On a picture that lies on its side until its EXIF orientation is applied it may be inside
        the upright one: `fitted` takes it so, and without that providers' limits judge it.
        """
        if self.is_digest or (sides := self.sides) is None:
            return  # a digest's were judged when it was a picture
        width, height = sides
        upright = (height, width) if self.traits.orientation >= 5 else sides
        for index, box in enumerate(self.regions):
            if not (box.within(*sides) or box.within(*upright)):
                message = f"{list(box.corners)} leaves the picture of {width}x{height} pixels"
                wrong.add(f"$.regions[{index}]", message)

    @classmethod
    def of(cls, value: object, *, regions: Iterable[Any] = ()) -> InputImage:
        """A picture in whatever it is held: what an item of ``ImageRequest.images`` may be.

        One in a format that only `fitted` reads (HEIC, AVIF, TIFF) is taken as it is: a client
        that fits does so, and providers refuse it.

        Args:
            value: An `InputImage`, a URL, a ``data:`` URI, bare base64 of a picture, a path or
                text that names an existing file, bytes, a binary file, a Pillow image, or
                ``{"url": one of these, "regions": [...]}``. A text from outside may name any file
                of this machine: give `InputImage(url) <InputImage>` for one that is to be a URL.
            regions: Boxes on it; without any, those of an `InputImage` stay.

        Raises:
            InvalidRequest: it is none of these, or cannot be read.
        """
        image = _image(value)
        return evolve(image, regions=tuple(regions)) if (regions := tuple(regions)) else image

    @classmethod
    def from_file(
        cls, path: str | Path, *, regions: Iterable[Any] = (), fit: bool = False
    ) -> InputImage:
        """A local picture (PNG, JPEG, WEBP, BMP, GIF) as a ``data:`` URI, its size known.

        Args:
            path: The file; its extension is not asked.
            regions: Boxes on it; with *fit* in pixels of the upright original.
            fit: Make it acceptable everywhere, as `fitted` does; HEIC, AVIF and TIFF too.

        Raises:
            InvalidRequest: the file cannot be read or is no such picture.
            ImportError: *fit* lacks a library of the extra ``images``.
        """
        from wanbridge.storage.picture_sources import read_picture

        data = read_picture(Path(path))
        return cls.from_bytes(data, regions=regions, name=str(path), fit=fit)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        *,
        regions: Iterable[Any] = (),
        name: str = "image",
        fit: bool = False,
    ) -> InputImage:
        """A picture's bytes as a ``data:`` URI; format and size are read from them.

        Args:
            data: The file.
            regions, fit: As for `from_file`.
            name: What messages call it.

        Raises:
            InvalidRequest: the bytes are no PNG, JPEG, WEBP, BMP or GIF.
            ImportError: *fit* lacks a library of the extra ``images``.
        """
        held = picture_held(data, name)
        if fit:
            return evolve(held, regions=tuple(regions))._fitted(name)
        if held.width is None and (only_fit := _only_fit_reads(data)):
            raise InvalidRequest((Problem("$.url", f"{name}: {only_fit}"),))
        return evolve(held, regions=tuple(regions))

    def fitted(self) -> InputImage:
        """The same picture, acceptable everywhere; needs the extra ``images``.

        Upright by its EXIF orientation, what is transparent on white, the first frame, in 8-bit
        sRGB; a PNG or a JPEG, or a WEBP that was so already; sides at most 8,000 px, at most 20 MB.
        Boxes count pixels of the upright original, and are scaled with it. `changes` has what was
        done; a picture that needs nothing stays byte for byte as it is.

        Raises:
            InvalidRequest: its bytes are not here (an https URL is not fetched, a ref is the
                provider's), are no picture or a damaged one, or would be more than 200 megapixels;
                or a box leaves it.
            ImportError: a library of the extra ``images`` is missing.
        """
        return self._fitted("")

    def _fitted(self, name: str) -> InputImage:
        from wanbridge.pictures.fit import fit_picture

        if self.scheme != "data" or self.url is None:
            message = f"only a picture whose bytes are here can be fitted, not {self.scheme}:"
            raise InvalidRequest((Problem("$.url", message),))
        try:
            data, mime = from_data_uri(self.url)
            fitted = fit_picture(data)
        except ValueError as exc:
            message = f"{name}: {exc}" if name else str(exc)
            raise InvalidRequest((Problem("$.url", message),)) from None
        wrong, sides = Problems(), fitted.original
        for index, box in enumerate(self.regions):
            if not box.within(*sides):
                upright = f"leaves the upright picture of {sides[0]}x{sides[1]} pixels"
                wrong.add(f"$.regions[{index}]", f"{list(box.corners)} {upright}")
        wrong.settle()
        url = data_uri(fitted.data, fitted.mime) if fitted.data is not data else self.url
        changes = fitted.changes
        known = (self.width, self.height) == (fitted.width, fitted.height)
        if not changes and mime == fitted.mime and known:
            return self
        if not changes and mime != fitted.mime:
            url = data_uri(data, fitted.mime)
            changes = (f"called {fitted.mime}, which it is, instead of {mime}",)
        return evolve(
            self,
            url=url,
            regions=tuple(Box(*fitted.scaled(box.corners)) for box in self.regions),
            width=fitted.width,
            height=fitted.height,
            changes=(*self.changes, *changes),
        )

    @cached_property
    def scheme(self) -> str:
        """``https``, ``http``, ``data``, ``oss``; ``ref`` for a picture held by a provider."""
        return "ref" if self.url is None else self.url.partition(":")[0]

    @cached_property
    def sides(self) -> tuple[int, int] | None:
        """``(width, height)`` as given, or as a ``data:`` URI says them; None if unknown."""
        if self.width is not None and self.height is not None:
            return self.width, self.height
        if self.url is None or self.scheme != "data" or self.is_digest:
            return None
        return _sides_within(self.url)

    @cached_property
    def traits(self) -> Traits:
        """What the headers of a ``data:`` picture say beside format and size.

        As if it were upright, single and opaque for any other, and where they cannot be read.
        """
        if self.scheme != "data" or self.url is None:
            return Traits()
        try:
            data = data_beginning(self.url)
            # Of a JPEG all that counts stands before the pixels.
            return traits(data if data.startswith(b"\xff\xd8") else from_data_uri(self.url)[0])
        except ValueError:
            return Traits()

    @property
    def is_digest(self) -> bool:
        """True for a stored picture of which only the SHA-256 was kept."""
        return self.url is not None and self.url.startswith("data:") and ";sha256," in self.url[:99]

    def stored(self) -> InputImage:
        """The same image as it may be stored: a ``data:`` URI only by its SHA-256."""
        if self.scheme != "data" or self.is_digest:
            return self
        assert self.url is not None
        mime = self.url[5:].partition(",")[0].partition(";")[0]
        digest = hashlib.sha256(self.url.encode()).hexdigest()
        return evolve(self, url=f"data:{mime};sha256,{digest}")


def picture_held(data: bytes, name: str) -> InputImage:
    """A picture's bytes as a ``data:`` URI, also in a format that only fitting reads.

    Raises:
        InvalidRequest: it is no picture that is known; calls it *name*.
    """
    if (mime := media_type(data)) is None:
        raise InvalidRequest((Problem("$.url", f"{name}: {what_else(data)}"),))
    facts = inspect(data)
    return InputImage(
        data_uri(data, mime),
        width=None if facts is None else facts.width,
        height=None if facts is None else facts.height,
    )


def _only_fit_reads(data: bytes) -> str | None:
    """What a picture is that only fitting reads, and the way out; None for any other."""
    mime = media_type(data) or ""
    if mime in FORMATS_READ:
        return None
    return f"{FORMAT_NAMES[mime]}, which no provider takes; {FIT_HINT}"


def _sides_within(uri: str) -> tuple[int, int] | None:
    """Width and height of the picture in a ``data:`` URI, if its beginning says them."""
    try:
        facts = inspect(data_beginning(uri))
    except ValueError:
        return None
    if facts is None or facts.width is None or facts.height is None:
        return None
    return facts.width, facts.height


def _image(value: object) -> InputImage:
    """One item of ``images``, in whatever it is held."""
    if isinstance(value, InputImage):
        return value
    if isinstance(value, Mapping):
        return _image_with(value)
    if isinstance(value, str) and (url := url_in(value)) is not None:
        return _image_at(url)
    from wanbridge.storage.picture_sources import picture_in

    return picture_held(*picture_in(value))


def url_in(text: str) -> str | None:
    """*text* as a URL, its scheme in lower case, if it is one for its first letters."""
    text = text.strip()
    match = _URL.match(text)
    return None if match is None else match[0].lower() + text[match.end() :]


def _image_with(members: Mapping[str, Any]) -> InputImage:
    """An image from its members, of which ``url`` may hold what an item may be."""
    held = converted("$.url", _image, members["url"]) if members.get("url") is not None else None
    if isinstance(held, Invalid):
        # A picture that nothing is known of, so that the other members are judged as well.
        others = converted("$", _of_members, {**members, "url": "https://unknown.invalid"})
        raise InvalidRequest((*getattr(others, "problems", ()), *held.problems))
    if held is None:
        return _of_members(members)
    known = {} if held.width is None else {"width": held.width, "height": held.height}
    known |= {"changes": held.changes} if held.changes else {}
    return _of_members({**members, "url": held.url, **known})


def _of_members(members: Mapping[str, Any]) -> InputImage:
    made: InputImage = from_members(InputImage, members)
    return made


def _image_at(url: str) -> InputImage:
    """The picture at *url*; the fault is the text's own, there is no member ``url``."""
    try:
        return InputImage(url)
    except InvalidRequest as exc:
        raise InvalidRequest(Problem("$", p.message) for p in exc.problems) from None


def _image_in_document(value: object) -> InputImage:
    """As a JSON document has it, which must not name files: a URL, or an object with one."""
    if isinstance(value, str):
        return _image_at(value)
    if isinstance(value, Mapping):
        return _of_members(value)
    raise InvalidRequest((Problem("$", f"{brief(value)} is not an image or a URL"),))


def to_images(values: object) -> Any:
    """``images`` of a request: each item in whatever it is held; one alone stands for a list."""
    if isinstance(values, Invalid):
        return values
    if values is None:
        return Invalid((Problem("$.images", "None is not a list"),))
    several = isinstance(values, Iterable) and not _is_one(values)
    return convert_each(values if several else [values], "$.images", _image)


def _is_one(value: object) -> bool:
    """Whether *value* is a picture, although it can be iterated."""
    return isinstance(value, str | bytes | bytearray | memoryview | Mapping) or hasattr(
        value, "read"
    )


def images_in_document(values: object) -> Any:
    """As `to_images`, of a JSON document: no file is read."""
    if isinstance(values, str | Mapping):
        values = [values]
    return convert_each(values, "$.images", _image_in_document)
