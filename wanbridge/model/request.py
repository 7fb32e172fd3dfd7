"""The canonical request and result: plain frozen values, the same for every provider.

A value that breaks ``schemas/request.schema.json`` cannot be built: the constructor raises
`InvalidRequest` with everything that is wrong. What only some model, mode or provider cannot
do (4K with images, a palette in a set) is not judged here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, Self

from attrs import evolve, field, fields_dict, frozen

from wanbridge.errors import Charge, InvalidRequest, Problem, step

MODELS = ("wan2.7-image", "wan2.7-image-pro")
RESOLUTIONS = ("1K", "2K", "4K")
FORMATS = ("png", "jpeg", "webp")
SEED_MAX = 2**31 - 1
PROMPT_MAX = 5000
IMAGES_MAX = 9
REGIONS_MAX = 2

Mode = Literal["text", "edit", "set"]

_IMAGE_URL = re.compile(r"(https?|oss)://[^/?#\s]|data:")
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_RATIO = re.compile(r"[1-9][0-9]{0,3}:[1-9][0-9]{0,3}")
_PIXELS = re.compile(r"([1-9][0-9]{0,4})[x*]([1-9][0-9]{0,4})")
_HALF = re.compile(r"[\ud800-\udfff]")
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?%?")
_CURRENCY = re.compile(r"[A-Z]{3}|[A-Z]+-CREDITS")


class _Complaints:
    """Collects what is wrong with a value, to be raised all at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def integer(self, path: str, value: object, low: int, high: int) -> None:
        if type(value) is not int:
            self.add(path, f"{_brief(value)} is not an integer; {low} to {high}")
        elif not low <= value <= high:
            self.add(path, f"{_brief(value)} is out of range; {low} to {high}")

    def boolean(self, path: str, value: object) -> None:
        if type(value) is not bool:
            self.add(path, f"{_brief(value)} is not a boolean; true or false")

    def text(self, path: str, value: object) -> None:
        if not isinstance(value, str):
            self.add(path, f"{_brief(value)} is not text")
        elif _HALF.search(value):
            self.add(path, "holds half a surrogate pair, which is no character")

    def one_of(self, path: str, value: object, known: Iterable[str]) -> None:
        known = tuple(known)
        if value not in known:
            self.add(path, f"{_brief(value)} is unknown; one of {', '.join(known)}")

    def settle(self, *converted: object) -> None:
        """Raise what was found, together with what the converters of these values found."""
        for value in converted:
            if isinstance(value, _Refused):
                self.problems += value.problems
        if self.problems:
            raise InvalidRequest(tuple(self.problems))


@frozen
class _Refused:
    """Stands in for a value that its converter refused, until the constructor tells everything."""

    problems: tuple[Problem, ...]


def _kept(path: str, convert: Callable[[Any], Any], value: object) -> Any:
    """*value* through *convert*; if that refuses it, a `_Refused` with its problems at *path*."""
    try:
        return convert(value)
    except InvalidRequest as exc:
        return _Refused(tuple(p.under(path) for p in exc.problems))


def _each(values: object, path: str, make: Callable[[Any], Any]) -> Any:
    """Every item through *make*; the problems of all items together, each under its index."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        return _Refused((Problem(path, f"{_brief(values)} is not a list"),))
    made = [_kept(f"{path}[{i}]", make, value) for i, value in enumerate(values)]
    refused = [p for m in made if isinstance(m, _Refused) for p in m.problems]
    return _Refused(tuple(refused)) if refused else tuple(made)


def _from_members(kind: type[Any], members: Mapping[str, Any]) -> Any:
    """An instance of *kind* from a JSON object; unknown members are named beside its problems."""
    known = fields_dict(kind)
    message = f"unknown field; there are {', '.join(known)}"
    unknown = [Problem(f"${step(str(name))}", message) for name in members if name not in known]
    made = _kept("$", lambda given: kind(**given), {k: members[k] for k in known if k in members})
    if unknown or isinstance(made, _Refused):
        raise InvalidRequest((*unknown, *getattr(made, "problems", ())))
    return made


def _brief(value: object, limit: int = 60) -> str:
    """*value* for a message: a long one (a data URI, say) is cut."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a huge number"
    return text if len(text) <= limit else f"{text[:limit]}…"


def brief_url(url: str | None) -> str:
    """A URL for people: a ``data:`` URI without its payload, a link without its signature."""
    if url is None:
        return "None"
    if url.startswith("data:"):
        return repr(f"{url.partition(',')[0]},… ({len(url)} characters)")
    return repr(url.partition("?")[0])


def _exact(value: object) -> Decimal:
    """A decimal from text, an integer or a Decimal; never from a float."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, str) or type(value) is int:
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise InvalidRequest((Problem("$", f"{value!r} is not a decimal number"),)) from None
    else:
        raise InvalidRequest(
            (Problem("$", f"{value!r} is not exact; write decimals as text, like '0.03'"),)
        )
    if not number.is_finite():
        raise InvalidRequest((Problem("$", f"{value!r} is not a finite number"),))
    return number


def _amount(value: object) -> Any:
    return _kept("$.amount", _exact, value)


@frozen
class Money:
    """An exact amount in one currency.

    Attributes:
        amount: Decimal; text and integers are taken, floats are refused.
        currency: ISO 4217 code, or ``<PROVIDER>-CREDITS`` for credits without a known rate.
    """

    amount: Decimal = field(converter=_amount)
    currency: str = field()

    def __attrs_post_init__(self) -> None:
        known = isinstance(self.currency, str) and _CURRENCY.fullmatch(self.currency)
        if known and isinstance(self.amount, Decimal):
            return
        wrong = _Complaints()
        if not known:
            wrong.add("$.currency", f"{_brief(self.currency)} is not a currency code like 'USD'")
        wrong.settle(self.amount)

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


@frozen
class Box:
    """A rectangle on one input image: absolute pixels, origin top left, x1 < x2, y1 < y2."""

    x1: int
    y1: int
    x2: int
    y2: int

    def __attrs_post_init__(self) -> None:
        wrong = _Complaints()
        if any(type(v) is not int or v < 0 for v in self.corners):
            wrong.add("$", f"{_brief(list(self.corners))}; a box is four integers >= 0")
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
    raise InvalidRequest((Problem("$", f"{_brief(value)}; a box is [x1, y1, x2, y2]"),))


def _boxes(values: object) -> Any:
    return _each(values, "$.regions", _box)


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
        wrong = _Complaints()
        if (self.url is None) == (self.ref is None):
            wrong.add("$", "an image is either a url or a ref {provider: id}")
        elif self.ref is not None:
            if not (isinstance(self.ref, Mapping) and self.ref) or not all(
                isinstance(k, str) and isinstance(v, str) and v for k, v in self.ref.items()
            ):
                wrong.add("$.ref", f"{_brief(self.ref)} is not {{provider: id}}")
        elif not isinstance(self.url, str) or not _IMAGE_URL.match(self.url):
            wrong.add("$.url", f"{_brief(self.url)} is not an https, http, data: or oss:// URL")
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
        from wanbridge.model.pictures import data_uri, inspect

        if (facts := inspect(data)) is None:
            message = f"{name}: not a PNG, JPEG, WEBP, BMP or GIF picture"
            raise InvalidRequest((Problem("$.url", message),))
        return cls(
            data_uri(data, facts.mime),
            regions=tuple(regions),
            width=facts.width,
            height=facts.height,
        )

    @property
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
        made: InputImage = _from_members(InputImage, value)
        return made
    raise InvalidRequest((Problem("$", f"{_brief(value)} is not an image or a URL"),))


def _image_at(url: str) -> InputImage:
    """The picture at *url*; the fault is the text's own, there is no member ``url``."""
    try:
        return InputImage(url)
    except InvalidRequest as exc:
        raise InvalidRequest(Problem("$", p.message) for p in exc.problems) from None


def _images(values: object) -> Any:
    return _each(values, "$.images", _image)


def _ratio(value: object) -> Any:
    if not isinstance(value, str):
        return _kept("$.ratio", _exact, value)
    if not _PERCENT.fullmatch(value):
        problem = Problem("$.ratio", f"{_brief(value)} is not a percentage as text, like '34.00'")
        return _Refused((problem,))
    return Decimal(value.removesuffix("%"))


@frozen
class PaletteColor:
    """One colour and its share of the picture.

    Attributes:
        hex: ``#RRGGBB``.
        ratio: Percent with at most two decimal places; ``"34"``, ``"34.00"``, ``"34.00%"``
            are the same.
    """

    hex: str
    ratio: Decimal = field(converter=_ratio)

    def __attrs_post_init__(self) -> None:
        wrong = _Complaints()
        if not isinstance(self.hex, str) or not _HEX.fullmatch(self.hex):
            wrong.add("$.hex", f"{_brief(self.hex)} is not a colour like '#1E2A39'")
        if isinstance(self.ratio, Decimal) and not (
            0 < self.ratio <= 100 and self.ratio == round(self.ratio, 2)
        ):
            wrong.add("$.ratio", f"{self.ratio} is not a percentage with two places, like '34.00'")
        wrong.settle(self.ratio)
        object.__setattr__(self, "hex", self.hex.upper())
        object.__setattr__(self, "ratio", self.ratio.quantize(Decimal("0.01")))


def _color(value: object) -> PaletteColor:
    if isinstance(value, PaletteColor):
        return value
    if isinstance(value, Mapping) and set(value) == {"hex", "ratio"}:
        return PaletteColor(**value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return PaletteColor(*value)
    raise InvalidRequest((Problem("$", f"{_brief(value)} is not a PaletteColor(hex, ratio)"),))


def _palette(values: object) -> Any:
    return _each(values, "$.color_palette", _color)


@frozen
class Size:
    """How large and of which shape: pixels, or a tier and an aspect ratio.

    ``Size()`` means 2K, square without images and the shape of the last input image with them.

    Attributes:
        width, height: Exact pixels; both or neither, and then no tier or ratio.
        resolution: Tier, ``"1K"``, ``"2K"`` or ``"4K"``; None is 2K.
        aspect_ratio: Width to height, ``"16:9"``; None is as above.
    """

    width: int | None = None
    height: int | None = None
    resolution: str | None = field(default=None, kw_only=True)
    aspect_ratio: str | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        wrong = _Complaints()
        if (self.width is None) != (self.height is None):
            wrong.add("$", "width and height go together")
        for name in ("width", "height"):
            if getattr(self, name) is not None:
                wrong.integer(f"$.{name}", getattr(self, name), 1, 99999)
        if self.resolution is not None:
            wrong.one_of("$.resolution", self.resolution, RESOLUTIONS)
        if self.aspect_ratio is not None and not (
            isinstance(self.aspect_ratio, str) and _RATIO.fullmatch(self.aspect_ratio)
        ):
            wrong.add("$.aspect_ratio", f"{self.aspect_ratio!r} is not a ratio like '16:9'")
        if self.width is not None and (self.resolution or self.aspect_ratio):
            wrong.add("$", "pixels or a tier and ratio, not both")
        wrong.settle()

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``"1024x1024"``, ``"1024*1024"``, ``"2K"``, ``"16:9"`` or ``"16:9@4K"``.

        Raises:
            InvalidRequest: it is none of these.
        """
        if match := _PIXELS.fullmatch(text):
            return cls(int(match[1]), int(match[2]))
        ratio, _, tier = text.rpartition("@")
        if not ratio and text.upper() in RESOLUTIONS:
            return cls(resolution=text.upper())
        if not ratio and _RATIO.fullmatch(text):
            return cls(aspect_ratio=text)
        if _RATIO.fullmatch(ratio) and tier.upper() in RESOLUTIONS:
            return cls(resolution=tier.upper(), aspect_ratio=ratio)
        message = f"{text!r} is not a size like '1024x1024', '2K', '16:9' or '16:9@4K'"
        raise InvalidRequest((Problem("$", message),))

    @property
    def pixels(self) -> tuple[int, int] | None:
        """``(width, height)`` if the size is exact, else None."""
        if self.width is None or self.height is None:
            return None
        return (self.width, self.height)

    @property
    def tier(self) -> str:
        """The tier meant where the size is not exact."""
        return self.resolution or "2K"

    def __str__(self) -> str:
        if self.pixels:
            return f"{self.width}x{self.height}"
        return f"{self.aspect_ratio}@{self.tier}" if self.aspect_ratio else self.tier


def _to_size(value: object) -> Size:
    if isinstance(value, Size):
        return value
    if isinstance(value, str):
        return Size.parse(value)
    if isinstance(value, Mapping):
        made: Size = _from_members(Size, value)
        return made
    raise InvalidRequest((Problem("$", f"{_brief(value)} is not a Size or a text like '2K'"),))


def _size(value: object) -> Any:
    return _kept("$.size", _to_size, value)


@frozen
class ImageRequest:
    """One request for pictures, in wanbridge's own words.

    The defaults are wanbridge's and the same everywhere: where a provider's differ, the value
    is sent explicitly.

    Attributes:
        prompt: At most 5,000 code points; required without images.
        model: ``"wan2.7-image"`` or ``"wan2.7-image-pro"``.
        negative_prompt: What to keep out; None is nothing.
        images: Up to nine; their presence means editing or multi-reference. Order matters.
        n: How many pictures, 1-4; 1-12 with *sequential*, then an upper bound.
        sequential: One consistent series instead of independent pictures.
        size: See `Size`.
        thinking: None is on where it has effect: text-to-image outside sets.
        color_palette: 3-10 colours whose ratios sum to exactly 100.00; empty is none.
        seed: 0-2147483647; None is random.
        watermark: The provider's AI label.
        output_format: ``"png"``, ``"jpeg"`` or ``"webp"``; None is whatever is lossless there.
        inline: Bring the bytes along in ``Image.data``.
        callback_url: https address that the provider calls when it is done.
        extra: ``{adapter name: {field: value}}``, merged last into that provider's message.
    """

    prompt: str = ""
    model: str = field(default=MODELS[0], kw_only=True)
    negative_prompt: str | None = field(default=None, kw_only=True)
    images: tuple[InputImage, ...] = field(default=(), converter=_images, kw_only=True)
    n: int = field(default=1, kw_only=True)
    sequential: bool = field(default=False, kw_only=True)
    size: Size = field(factory=Size, converter=_size, kw_only=True)
    thinking: bool | None = field(default=None, kw_only=True)
    color_palette: tuple[PaletteColor, ...] = field(default=(), converter=_palette, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)
    watermark: bool = field(default=False, kw_only=True)
    output_format: str | None = field(default=None, kw_only=True)
    inline: bool = field(default=False, kw_only=True)
    callback_url: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Mapping[str, Any]] = field(factory=dict, kw_only=True)

    def __attrs_post_init__(self) -> None:
        wrong = _Complaints()
        self._check_words(wrong)
        self._check_counts(wrong)
        self._check_palette(wrong)
        self._check_delivery(wrong)
        wrong.settle(self.images, self.color_palette, self.size)

    def _check_words(self, wrong: _Complaints) -> None:
        wrong.text("$.prompt", self.prompt)
        if isinstance(self.prompt, str):
            if len(self.prompt) > PROMPT_MAX:
                wrong.add("$.prompt", f"{len(self.prompt)} characters; at most {PROMPT_MAX}")
            if not self.prompt.strip() and not self.images:
                wrong.add("$.prompt", "empty; required without images")
        wrong.one_of("$.model", self.model, MODELS)
        if self.negative_prompt is not None:
            wrong.text("$.negative_prompt", self.negative_prompt)

    def _check_counts(self, wrong: _Complaints) -> None:
        wrong.boolean("$.sequential", self.sequential)
        wrong.integer("$.n", self.n, 1, 12 if self.sequential is True else 4)
        if isinstance(self.images, tuple) and len(self.images) > IMAGES_MAX:
            wrong.add("$.images", f"{len(self.images)} images; at most {IMAGES_MAX}")
        if self.seed is not None:
            wrong.integer("$.seed", self.seed, 0, SEED_MAX)

    def _check_palette(self, wrong: _Complaints) -> None:
        if not isinstance(self.color_palette, tuple) or not self.color_palette:
            return
        if not 3 <= len(self.color_palette) <= 10:
            wrong.add("$.color_palette", f"{len(self.color_palette)} colours; 3 to 10")
        total = sum((c.ratio for c in self.color_palette), Decimal(0))
        if total != 100:
            wrong.add("$.color_palette", f"the ratios sum to {total}; exactly 100.00")

    def _check_delivery(self, wrong: _Complaints) -> None:
        for name in ("watermark", "inline"):
            wrong.boolean(f"$.{name}", getattr(self, name))
        if self.thinking is not None:
            wrong.boolean("$.thinking", self.thinking)
        if self.output_format is not None:
            wrong.one_of("$.output_format", self.output_format, FORMATS)
        url = self.callback_url
        if url is not None and not (isinstance(url, str) and re.match(r"https://[^/\s]", url)):
            wrong.add("$.callback_url", f"{_brief(url)} is not an https URL")
        if not isinstance(self.extra, Mapping):
            wrong.add("$.extra", f"{_brief(self.extra)} is not {{adapter: {{field: value}}}}")
            return
        for name, fields in self.extra.items():
            if not isinstance(fields, Mapping) or not all(isinstance(k, str) for k in fields):
                wrong.add(f"$.extra{step(str(name))}", f"{_brief(fields)} is not {{field: value}}")

    @property
    def mode(self) -> Mode:
        """``set`` for a series, else ``edit`` with images and ``text`` without."""
        if self.sequential:
            return "set"
        return "edit" if self.images else "text"

    @property
    def has_regions(self) -> bool:
        """Whether any image has a box."""
        return any(image.regions for image in self.images)

    def stored(self) -> ImageRequest:
        """The same request as it may be stored: ``data:`` URIs only by their SHA-256."""
        if not any(image.scheme == "data" for image in self.images):
            return self
        return evolve(self, images=tuple(image.stored() for image in self.images))

    def to_json(self) -> str:
        """The request as JSON text; fields left at their default stay out."""
        from wanbridge.model import codec

        return codec.dump(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read JSON text, checked against ``schemas/request.schema.json``.

        Raises:
            InvalidRequest: with every problem of the document.
        """
        from wanbridge.model import codec

        return codec.load(cls, text)


class _Stored:
    """What results, jobs and receipts share: versioned JSON, checked against their schema."""

    def to_json(self) -> str:
        """The value as JSON text with ``"version": 1``."""
        from wanbridge.model import codec

        return codec.dump(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidRequest: with every problem; a newer version is refused by name.
        """
        from wanbridge.model import codec

        return codec.load(cls, text)


NoteKind = Literal["adapted", "ignored", "dropped", "info"]


@frozen
class Note:
    """Something the caller should know about how a field was treated.

    Attributes:
        field: The canonical field.
        kind: ``adapted`` (said in other words with another effect), ``ignored`` (no effect in
            this mode), ``dropped`` (the caller allowed it) or ``info``.
        detail: One sentence.
    """

    field: str
    kind: NoteKind
    detail: str

    def __str__(self) -> str:
        return f"{self.field} {self.kind}: {self.detail}"


@frozen(kw_only=True)
class Image:
    """One delivered picture.

    Attributes:
        url: Where the provider serves it; None if it came inline.
        data: Its bytes, if they are here.
        mime: ``image/png`` and the like, read from the bytes; None while unknown.
        width, height: Pixels, read from the bytes; None while unknown.
        seed: Any 64-bit integer; None if the provider does not say.
        expires_at: When *url* ends, aware; None if unknown.
    """

    url: str | None = field(default=None, repr=brief_url)
    data: bytes | None = field(
        default=None, repr=lambda d: "None" if d is None else f"<{len(d)} bytes>"
    )
    mime: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    expires_at: datetime | None = None

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the bytes to *path*; the extension follows the content.

        The file appears under its name only once it is complete.

        Returns:
            Where it was written.

        Raises:
            ValueError: there are no bytes here yet; ``client.download(image)`` gets them.
            FileExistsError: something is there already and *force* is False.
        """
        from wanbridge.model.pictures import save

        if self.data is None:
            raise ValueError("this image has no bytes yet; client.download(image) fetches them")
        return save([self.data], Path(path), force=force)


@frozen(kw_only=True)
class Failure:
    """One image of a call that did not come, while others did."""

    code: str | None
    message: str


@frozen(kw_only=True)
class Attempt:
    """One try at one provider, for the money trace.

    Attributes:
        provider: Account name.
        outcome: ``delivered``, ``skipped`` (nothing was sent), ``left`` (another provider was
            faster) or the class name of the error.
        charge: Whether it cost money.
        cost: What it cost; None if unknown or nothing.
        seconds: How long it took.
        detail: Why it ended so, and why the next provider was or was not tried.
        job: What was accepted and brought no picture here, to go on with; None otherwise.
        receipt: Of a submit whose outcome is unknown, to look it up; None otherwise.
    """

    provider: str
    outcome: str
    charge: Charge
    cost: Money | None = None
    seconds: float = 0.0
    detail: str = ""
    job: Job | None = field(default=None, repr=False)
    receipt: Receipt | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Job(_Stored):
    """An accepted generation as a plain value: another process can wait for it.

    Attributes:
        provider: Adapter name.
        account: Name of the configured account.
        base_url: Where it was accepted, and is polled.
        id: The provider's task id.
        request: What was asked, ``data:`` URIs by their SHA-256.
        submitted_at: When it was accepted, aware.
        key: The key of the logical call.
        state: What the adapter needs besides; private to it, JSON-safe.
        collect_by: When the provider forgets it, aware; None if undocumented.
    """

    provider: str
    account: str
    base_url: str
    id: str
    request: ImageRequest
    submitted_at: datetime
    key: str
    state: Mapping[str, Any] = field(factory=dict)
    collect_by: datetime | None = None


@frozen(kw_only=True)
class Receipt(_Stored):
    """What is known of a submit, before its outcome and whatever its outcome.

    Attributes:
        provider, account, base_url, key, request: As in `Job`.
        digest: SHA-256 of the body that was sent, hex.
        first_sent_at, last_sent_at: Aware; they differ where the same key was sent again.
        at_risk: What it costs if it was accepted; None if unknown, which is not zero.
    """

    provider: str
    account: str
    base_url: str
    key: str
    request: ImageRequest
    digest: str
    first_sent_at: datetime
    last_sent_at: datetime
    at_risk: Money | None = None


@frozen(kw_only=True)
class ImageResult(_Stored):
    """What came back, at least one picture.

    Attributes:
        provider: Account name.
        model: Canonical model.
        job_id: The provider's task id; None if it answered in one go.
        images: In the provider's order.
        requested: How many were asked for.
        failures: Images that the provider reports as failed.
        cost: What it cost; None if unknown, which is not zero.
        cost_source: ``reply`` (the provider said so) or ``rule`` (price and count).
        notes: How fields were treated; nothing is dropped without one.
        request_id: The provider's id of the call, for its support.
        submitted_at, finished_at: By our clock, aware.
        attempts: Every try of this call, with what it cost.
        raw: The provider's last reply as parsed JSON.
    """

    provider: str
    model: str
    job_id: str | None
    images: tuple[Image, ...]
    requested: int
    failures: tuple[Failure, ...] = ()
    cost: Money | None = None
    cost_source: Literal["reply", "rule"] | None = None
    notes: tuple[Note, ...] = ()
    request_id: str | None = None
    submitted_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    raw: Any = field(default=None, repr=False)

    @property
    def shortfall(self) -> int:
        """Asked minus delivered, at least 0."""
        return max(0, self.requested - len(self.images))
