"""Request files: canonical requests whose pictures may lie beside the file.

`ImageRequest.from_json` never reads a file, as its text may come from anywhere. Here the caller has
named a file, and what it names in turn is read: relative to it, and not above its folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.brief import brief
from wanbridge.model.codec import from_document
from wanbridge.model.inputs import InputImage, picture_held, url_in
from wanbridge.model.request import ImageRequest
from wanbridge.model.strict_json import parse
from wanbridge.model.validation import converted, merged, raise_all
from wanbridge.storage.picture_sources import (
    exists,
    path_in,
    picture_in_base64,
    read_picture,
    refused,
)


def request_in_text(text: str | bytes, folder: Path, *, allow_outside: bool) -> ImageRequest:
    """The request of JSON *text* from a file in *folder*.

    Raises:
        InvalidRequest: with every problem.
    """
    return request_in_document(parse(text), folder, allow_outside=allow_outside)


def request_in_document(document: Any, folder: Path, *, allow_outside: bool) -> ImageRequest:
    """As `request_in_text`, from JSON that is parsed already.

    An image, or its ``url``, may be what a document has (a URL, a ``data:`` URI), or base64 of a
    picture, or a path.

    Args:
        allow_outside: Whether a path may lead out of *folder*, by ``..``, by a link or as absolute.

    Raises:
        InvalidRequest: with every problem.
    """
    problems: list[Problem] = []

    def read(text: Any, path: str) -> dict[str, Any]:
        """Members ``url``, ``width`` and ``height`` of the picture that *text* holds."""
        if not isinstance(text, str) or url_in(text) is not None:
            return {"url": text}
        image = converted(path, lambda held: _picture(held, folder, allow_outside), text)
        if isinstance(image, InputImage):
            return {"url": image.url, "width": image.width, "height": image.height}
        problems.extend(image.problems)
        return {"url": _UNKNOWN}

    def image(item: Any, path: str) -> Any:
        if isinstance(item, str):
            found = read(item, path)
            return found if "width" in found else found["url"]
        return {**item, **read(item["url"], f"{path}.url")} if _has_url(item) else item

    if isinstance(document, dict) and "images" in document:
        images = document["images"]
        if isinstance(images, list):
            images = [image(item, f"$.images[{i}]") for i, item in enumerate(images)]
        else:
            images = image(images, "$.images[0]")
        document = {**document, "images": images}
    request: ImageRequest | None = None
    try:
        request = from_document(ImageRequest, document)
    except InvalidRequest as exc:
        problems = merged(problems, exc.problems)
    raise_all(problems)
    assert request is not None  # without a problem it was made
    return request


# Stands in for a picture that cannot be read, so that the rest of the document is judged as well.
_UNKNOWN = "https://unknown.invalid"


def _has_url(item: Any) -> bool:
    return isinstance(item, dict) and item.get("url") is not None


def _picture(text: str, folder: Path, allow_outside: bool) -> InputImage:
    """The picture in the file that *text* names, or that *text* is as base64."""
    path = path_in(text)
    if path is not None and exists(place := folder / path):
        if not (allow_outside or place.resolve().is_relative_to(folder.resolve())):
            raise refused(
                f"{text!r} is outside of the folder of the request file; allow_outside"
                " (--allow-outside) permits that"
            )
        return picture_held(read_picture(place), text)
    if (data := picture_in_base64(text)) is not None:
        return picture_held(data, "the base64 text")
    raise refused(f"{brief(text)} is not a URL, and no file of that name lies beside the request")
