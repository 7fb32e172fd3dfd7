"""The canonical request and result: plain frozen values, the same for every provider.

A value that breaks ``schemas/request.schema.json`` cannot be built: the constructor raises
`InvalidRequest` with everything that is wrong. What only some model, mode or provider cannot
do (4K with images, a palette in a set) is not judged here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

import attrs
from attrs import evolve, field, frozen

from wanbridge.errors import InvalidRequest, Problem, step
from wanbridge.model.brief import brief, brief_each, brief_text
from wanbridge.model.inputs import InputImage, to_images
from wanbridge.model.palette import PaletteColor, to_palette
from wanbridge.model.size import Size, to_size
from wanbridge.model.validation import Problems

MODELS = ("wan2.7-image", "wan2.7-image-pro")
FORMATS = ("png", "jpeg", "webp")
SEED_MAX = 2**31 - 1
PROMPT_MAX = 5000
IMAGES_MAX = 9
Mode = Literal["text", "edit", "set"]


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

    prompt: str = field(default="", repr=brief_text)
    model: str = field(default=MODELS[0], kw_only=True)
    negative_prompt: str | None = field(default=None, kw_only=True, repr=brief_text)
    images: tuple[InputImage, ...] = field(
        default=(), converter=to_images, kw_only=True, repr=brief_each
    )
    n: int = field(default=1, kw_only=True)
    sequential: bool = field(default=False, kw_only=True)
    size: Size = field(factory=Size, converter=to_size, kw_only=True)
    thinking: bool | None = field(default=None, kw_only=True)
    color_palette: tuple[PaletteColor, ...] = field(
        default=(), converter=to_palette, kw_only=True, repr=brief_each
    )
    seed: int | None = field(default=None, kw_only=True)
    watermark: bool = field(default=False, kw_only=True)
    output_format: str | None = field(default=None, kw_only=True)
    inline: bool = field(default=False, kw_only=True)
    callback_url: str | None = field(default=None, kw_only=True, repr=brief_text)
    extra: Mapping[str, Mapping[str, Any]] = field(factory=dict, kw_only=True, repr=brief_text)

    def __attrs_post_init__(self) -> None:
        wrong = Problems()
        self._check_words(wrong)
        self._check_counts(wrong)
        self._check_palette(wrong)
        self._check_delivery(wrong)
        wrong.settle(self.images, self.color_palette, self.size)

    def _check_words(self, wrong: Problems) -> None:
        wrong.text("$.prompt", self.prompt)
        if isinstance(self.prompt, str):
            if len(self.prompt) > PROMPT_MAX:
                wrong.add("$.prompt", f"{len(self.prompt)} characters; at most {PROMPT_MAX}")
            if not self.prompt.strip() and not self.images:
                wrong.add("$.prompt", "empty; required without images")
        wrong.one_of("$.model", self.model, MODELS)
        if self.negative_prompt is not None:
            wrong.text("$.negative_prompt", self.negative_prompt)

    def _check_counts(self, wrong: Problems) -> None:
        wrong.boolean("$.sequential", self.sequential)
        wrong.integer("$.n", self.n, 1, 12 if self.sequential is True else 4)
        if isinstance(self.images, tuple) and len(self.images) > IMAGES_MAX:
            wrong.add("$.images", f"{len(self.images)} images; at most {IMAGES_MAX}")
        if self.seed is not None:
            wrong.integer("$.seed", self.seed, 0, SEED_MAX)

    def _check_palette(self, wrong: Problems) -> None:
        if not isinstance(self.color_palette, tuple) or not self.color_palette:
            return
        if not 3 <= len(self.color_palette) <= 10:
            wrong.add("$.color_palette", f"{len(self.color_palette)} colours; 3 to 10")
        total = sum((c.ratio for c in self.color_palette), Decimal(0))
        if total != 100:
            wrong.add("$.color_palette", f"the ratios sum to {total}; exactly 100.00")

    def _check_delivery(self, wrong: Problems) -> None:
        for name in ("watermark", "inline"):
            wrong.boolean(f"$.{name}", getattr(self, name))
        if self.thinking is not None:
            wrong.boolean("$.thinking", self.thinking)
        if self.output_format is not None:
            wrong.one_of("$.output_format", self.output_format, FORMATS)
        url = self.callback_url
        if url is not None and not (isinstance(url, str) and re.match(r"https://[^/\s]", url)):
            wrong.add("$.callback_url", f"{brief(url)} is not an https URL")
        if not isinstance(self.extra, Mapping):
            wrong.add("$.extra", f"{brief(self.extra)} is not {{adapter: {{field: value}}}}")
            return
        for name, fields in self.extra.items():
            if not isinstance(fields, Mapping) or not all(isinstance(k, str) for k in fields):
                wrong.add(f"$.extra{step(str(name))}", f"{brief(fields)} is not {{field: value}}")

    @property
    def mode(self) -> Mode:
        """``set`` for a series, else ``edit`` with images and ``text`` without."""
        if self.sequential:
            return "set"
        return "edit" if self.images else "text"

    @cached_property
    def has_local_images(self) -> bool:
        """Whether any image is given by its bytes, as a ``data:`` URI."""
        return any(image.scheme == "data" for image in self.images)

    @cached_property
    def has_regions(self) -> bool:
        """Whether any image has a box."""
        return any(image.regions for image in self.images)

    @cached_property
    def refs(self) -> tuple[tuple[int, InputImage], ...]:
        """The images that a provider already holds, each with its index."""
        return tuple((i, image) for i, image in enumerate(self.images) if image.ref is not None)

    @cached_property
    def fields_set(self) -> tuple[str, ...]:
        """Names of the fields that differ from their default, ``regions`` of images among them.

        Without ``prompt`` and ``model``, which every provider is sent, and ``extra``.
        """
        given = [name for name, usual in _defaults() if getattr(self, name) != usual]
        return (*given, "regions") if self.has_regions else tuple(given)

    def fitted(self) -> ImageRequest:
        """The same request, each picture whose bytes are here made acceptable everywhere.

        Others are left alone: a link is not fetched. See `InputImage.fitted`.

        Raises:
            InvalidRequest: with every picture that cannot be fitted.
            ImportError: a library of the extra ``images`` is missing.
        """
        images, problems = list[InputImage](), list[Problem]()
        for index, image in enumerate(self.images):
            try:
                here = image.scheme == "data" and not image.is_digest
                images.append(image.fitted() if here else image)
            except InvalidRequest as exc:
                problems += (p.under(f"$.images[{index}]") for p in exc.problems)
        if problems:
            raise InvalidRequest(tuple(problems))
        same = all(new is old for new, old in zip(images, self.images, strict=True))
        return self if same else evolve(self, images=tuple(images))

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
    def from_file(cls, path: str | Path, *, allow_outside: bool = False) -> ImageRequest:
        """Read a JSON file, in which an image may also be a path or base64 of a picture.

        Args:
            path: The file; paths in it are relative to its folder.
            allow_outside: Whether they may lead out of that folder.

        Raises:
            InvalidRequest: with every problem of the document.
            OSError: the file cannot be read.
        """
        from wanbridge.bulk.request_files import request_in_text

        path = Path(path)
        return request_in_text(path.read_bytes(), path.parent, allow_outside=allow_outside)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read JSON text, checked against ``schemas/request.schema.json``.

        Raises:
            InvalidRequest: with every problem of the document.
        """
        from wanbridge.model import codec

        return codec.load(cls, text)


@cache
def _defaults() -> tuple[tuple[str, Any], ...]:
    """What each field but prompt, model and extra is if it is not given."""
    usual = ImageRequest("x")
    names = (f.name for f in attrs.fields(ImageRequest))
    return tuple((n, getattr(usual, n)) for n in names if n not in ("prompt", "model", "extra"))
