"""Builds the canonical request from flags."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from wanbridge.bulk.request_files import request_in_text
from wanbridge.cli.accounts import require_images
from wanbridge.cli.files import read
from wanbridge.cli.options import RequestOptions
from wanbridge.cli.usage import UsageError
from wanbridge.errors import InvalidRequest
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import MODELS, ImageRequest

_MODELS = {"standard": MODELS[0], "pro": MODELS[1]}
_REGION = re.compile(r"(?:([0-9]{1,4}):)?(-?[0-9]{1,6}(?:,-?[0-9]{1,6}){3})")

# Flags that are a field of the request under another name or as they are.
_FIELD_BY_FLAG = {
    "n": "n",
    "size": "size",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "thinking": "thinking",
    "sequential": "sequential",
    "watermark": "watermark",
    "format": "output_format",
}


def build_request(prompt: str | None, options: RequestOptions) -> ImageRequest:
    """The request that prompt and flags describe, on top of the file if one is named.

    Raises:
        UsageError: a flag cannot be read.
        InvalidRequest: the request breaks the canonical schema, or a picture cannot be fitted.
    """
    base = _in_file(options.request, options) if options.request else None
    fields: dict[str, Any] = {
        field: value
        for flag, field in _FIELD_BY_FLAG.items()
        if (value := getattr(options, flag)) is not None
    }
    if prompt is not None:
        fields["prompt"] = prompt
    if options.model is not None:
        fields["model"] = _MODELS.get(options.model, options.model)
    if options.palette is not None:
        fields["color_palette"] = _palette(options.palette)
    images = tuple(map(_image, options.image)) or (base.images if base else ())
    if images:
        fields["images"] = _with_regions(images, options.region)
    elif options.region:
        raise UsageError("--region: there is no image to put it on; give --image")
    request = evolve(base, **fields) if base else ImageRequest(**fields)
    if not options.fit:
        return request
    require_images()
    return request.fitted()


def _in_file(path: Path, options: RequestOptions) -> ImageRequest:
    load = partial(request_in_text, folder=path.parent, allow_outside=options.allow_outside)
    return read(path, load, "request")


def _image(given: str) -> InputImage:
    try:
        return InputImage.of(sys.stdin.buffer if given == "-" else given)
    except InvalidRequest as exc:
        raise UsageError(f"--image: {'; '.join(p.message for p in exc.problems)}") from None


def _palette(given: str) -> list[tuple[str, str]]:
    """``#1E2A39:34,#C6A15B:66`` as pairs; the request judges colours and shares."""
    colors = []
    for part in given.split(","):
        color, colon, share = part.strip().partition(":")
        if not colon:
            raise UsageError(
                f"--palette: {part!r} is not a colour and its percentage: '#1E2A39:34'"
            )
        colors.append((color, share))
    return colors


def _with_regions(images: tuple[InputImage, ...], regions: Iterable[str]) -> tuple[InputImage, ...]:
    """The images with their boxes; those of the file stay where no flag names their image."""
    boxes: dict[int, list[list[int]]] = {}
    for text in regions:
        number, box = _region(text, len(images))
        boxes.setdefault(number, []).append(box)
    return tuple(
        _with_boxes(image, number, boxes[number]) if number in boxes else image
        for number, image in enumerate(images, 1)
    )


def _region(text: str, count: int) -> tuple[int, list[int]]:
    match = _REGION.fullmatch(text.replace(" ", ""))
    if match is None:
        raise UsageError(f"--region: {text!r} is not a box N:x1,y1,x2,y2, like 1:40,40,300,300")
    if match[1] is None and count > 1:
        raise UsageError(f"--region: {text!r} is on which of {count} images? write 1:{text}")
    number = int(match[1] or 1)
    if not 1 <= number <= count:
        raise UsageError(f"--region: {text!r}: there is no image {number}, but {count}")
    return number, [int(part) for part in match[2].split(",")]


def _with_boxes(image: InputImage, number: int, boxes: list[list[int]]) -> InputImage:
    try:
        return evolve(image, regions=boxes)
    except InvalidRequest as exc:
        prefix = f"$.images[{number - 1}]"
        raise InvalidRequest(p.under(prefix) for p in exc.problems) from None
