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
from wanbridge.model.validation import Problems, convert_each, from_members

REGIONS_MAX = 2
_IMAGE_URL = re.compile(r"(https?|oss)://[^/?#\s]|data:")


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


def _box(value: object) -> Box:
    if isinstance(value, Box):
        return value
    if isinstance(value, list | tuple) and len(value) == 4:
        return Box(*value)
    raise InvalidRequest((Problem("$", f"{brief(value)}; a box is [x1, y1, x2, y2]"),))


def _boxes(values: object) -> Any:
    return convert_each(values, "$.regions", _box)


@frozen
class InputImage:
    """One picture to edit or to refer to.

    Attributes:
        url: ``https``, ``http``, a ``data:`` URI, or ``oss://`` (DashScope only). None only
            with *ref*.
        regions: Up to two boxes on this picture that the prompt speaks of.
        width, height: Pixels, if known; both or neither.
        ref: ``{provider: id}`` of a picture that a provider already holds.
    """

    url: str | None = field(default=None, repr=brief_url)
    regions: tuple[Box, ...] = field(default=(), converter=_boxes)
    width: int | None = None
    height: int | None = None
    ref: Mapping[str, str] | None = field(default=None, kw_only=True)

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
            wrong.add("$.url", f"{brief(self.url)} is not an https, http, data: or oss:// URL")
        if isinstance(self.regions, tuple) and len(self.regions) > REGIONS_MAX:
            wrong.add("$.regions", f"{len(self.regions)} boxes; at most {REGIONS_MAX} an image")
        if (self.width is None) != (self.height is None):
            wrong.add("$", "width and height go together")
        for name in ("width", "height"):
            if getattr(self, name) is not None:
                wrong.integer(f"$.{name}", getattr(self, name), 1, 99999)
        wrong.settle(self.regions)

    @classmethod
    def from_file(cls, path: str | Path, *, regions: Iterable[Any] = ()) -> InputImage:
        """A local picture (PNG, JPEG, WEBP, BMP, GIF) as a ``data:`` URI, its size known.

        Raises:
            InvalidRequest: the file cannot be read or is no such picture.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as exc:
            problem = Problem("$.url", f"{path}: {exc.strerror or exc}")
            raise InvalidRequest((problem,)) from None
        return cls.from_bytes(data, regions=regions, name=str(path))

    @classmethod
    def from_bytes(
        cls, data: bytes, *, regions: Iterable[Any] = (), name: str = "image"
    ) -> InputImage:
        """A picture's bytes as a ``data:`` URI; format and size are read from them.

        Raises:
            InvalidRequest: the bytes are no PNG, JPEG, WEBP, BMP or GIF.
        """
        from wanbridge.pictures.headers import data_uri, inspect

        if (facts := inspect(data)) is None:
            message = f"{name}: not a PNG, JPEG, WEBP, BMP or GIF picture"
            raise InvalidRequest((Problem("$.url", message),))
        return cls(
            data_uri(data, facts.mime),
            regions=tuple(regions),
            width=facts.width,
            height=facts.height,
        )

    @cached_property
    def scheme(self) -> str:
        """``https``, ``http``, ``data``, ``oss``; ``ref`` for a picture held by a provider."""
        return "ref" if self.url is None else self.url.partition(":")[0]

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


def _image(value: object) -> InputImage:
    if isinstance(value, InputImage):
        return value
    if isinstance(value, str):
        return _image_at(value)
    if isinstance(value, Mapping):
        made: InputImage = from_members(InputImage, value)
        return made
    raise InvalidRequest((Problem("$", f"{brief(value)} is not an image or a URL"),))


def _image_at(url: str) -> InputImage:
    """The picture at *url*; the fault is the text's own, there is no member ``url``."""
    try:
        return InputImage(url)
    except InvalidRequest as exc:
        raise InvalidRequest(Problem("$", p.message) for p in exc.problems) from None


def to_images(values: object) -> Any:
    return convert_each(values, "$.images", _image)
