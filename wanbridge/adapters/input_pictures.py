"""Whether a provider takes the pictures of a request, by its page; before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, PictureLimits
from wanbridge.adapters.staging import Staging
from wanbridge.model.inputs import InputImage
from wanbridge.model.notes import Note
from wanbridge.pictures.fit import PIXELS_MAX
from wanbridge.pictures.headers import (
    FIT_HINT,
    FORMAT_NAMES,
    FORMATS_READ,
    TELLING_BYTES,
    data_beginning,
    data_bytes,
    inspect,
    media_type,
)


def image_problem(
    adapter: Adapter, image: InputImage, limits: Limits, staging: Staging | None
) -> str | None:
    """Why the provider does not take a picture, and what would be right; None if it does."""
    if image.ref is not None:
        return None
    if (scheme := image.scheme) not in limits.image_schemes:
        taken = ", ".join(sorted(limits.image_schemes))
        if scheme != "data":
            return f"a {scheme}: image is not taken here; {taken}"
        if staging is None:
            return (
                f"a picture given by its bytes is not taken here, only links: {taken}; with an"
                " object store ([storage] url, or storage=) it is put there and its link is sent"
            )
        if (why := staging.problem(adapter, limits)) is not None:
            return f"a picture given by its bytes is not taken here; {why}"
    if scheme != "data" and image.width is None:
        return None  # nothing else is known of it
    if limits.data_bytes is not None and (size := inline_bytes(image)) > limits.data_bytes:
        right = f"at most {limits.data_bytes:,} here, else give a URL"
        return f"{size:,} bytes inline; {right}; {FIT_HINT}"
    return _picture_problem(image, limits.pictures)


def _picture_problem(image: InputImage, rules: PictureLimits | None) -> str | None:
    """Why a picture breaks *rules*, by its bytes or else its given size; None if it does not.

    Without rules only a format that no page has among its inputs breaks them.
    """
    width, height = image.width, image.height
    if image.scheme == "data":
        assert image.url is not None
        try:
            beginning = data_beginning(image.url)
        except ValueError as exc:
            return str(exc) if rules is not None else None
        if reason := _format_problem(image, beginning, rules):
            return reason
        if (facts := inspect(beginning)) is not None:
            width, height = facts.width or width, facts.height or height
    if rules is None or width is None or height is None:
        return None
    reason = rules.problem(width, height)
    too_large = rules.max_side is not None and max(width, height) > rules.max_side
    helps = too_large and width * height <= PIXELS_MAX
    return f"{reason}; {FIT_HINT}" if reason and helps else reason


def _format_problem(image: InputImage, beginning: bytes, rules: PictureLimits | None) -> str | None:
    if (mime := media_type(beginning)) is None:
        # The longest header that is needed to recognise a picture is no longer than this.
        if rules is None or len(beginning) < TELLING_BYTES:
            return None
        return f"its bytes are no picture of a known format; {_formats_taken(rules)}"
    if mime not in FORMATS_READ or (
        rules is not None and rules.formats is not None and mime not in rules.formats
    ):
        return f"{mime}; {_formats_taken(rules)}; {FIT_HINT}"
    if rules is not None and mime in rules.opaque and image.traits.alpha:
        return f"a {FORMAT_NAMES[mime]} with alpha, which is not supported here; {FIT_HINT}"
    return None


def _formats_taken(rules: PictureLimits | None) -> str:
    formats = None if rules is None else rules.formats
    return f"taken here: {', '.join(sorted(formats or FORMATS_READ))}"


def turned_box_problem(image: InputImage) -> str | None:
    """Why a box cannot be on a picture that lies on its side; None if it can."""
    if not image.regions or image.traits.orientation < 5 or (sides := image.sides) is None:
        return None
    for box in image.regions:
        if not box.within(*sides):
            stored = f"{sides[0]}x{sides[1]} px as stored, and turned by EXIF"
            return f"{list(box.corners)} leaves the picture, {stored}; {FIT_HINT}"
    return None


def picture_notes(index: int, image: InputImage, rules: PictureLimits | None) -> Iterator[Note]:
    """What fitting has changed; or what no page of the provider says about a picture like this."""
    for change in image.changes:
        yield Note("images", "adapted", f"images[{index}]: {change}")
    if image.scheme != "data":
        return
    traits, mime = image.traits, _media_type(image)
    formats, opaque = (None, frozenset[str]()) if rules is None else (rules.formats, rules.opaque)
    unsaid = [
        *(["a GIF"] if formats is None and mime == "image/gif" else []),
        *(["more than one frame"] if traits.animated else []),
        *(["alpha"] if traits.alpha and mime not in opaque else []),
        *([f"EXIF orientation {traits.orientation}"] if traits.orientation > 1 else []),
    ]
    if unsaid:
        said = f"what becomes of {' and '.join(unsaid)} is not documented here"
        yield Note("images", "info", f"images[{index}]: {said}; {FIT_HINT}")
    if image.regions and traits.orientation > 1:
        said = f"the picture is turned by EXIF (orientation {traits.orientation})"
        which = "whether boxes count stored or upright pixels is not documented here"
        yield Note("regions", "info", f"images[{index}]: {said}; {which}; {FIT_HINT}")


def _media_type(image: InputImage) -> str | None:
    """The format of a ``data:`` picture by its bytes; None if they cannot be read."""
    try:
        return media_type(data_beginning(image.url or "", TELLING_BYTES))
    except ValueError:
        return None


def inline_bytes(image: InputImage) -> int:
    """Bytes of a picture that comes as a ``data:`` URI; 0 for any other."""
    return 0 if image.url is None or image.scheme != "data" else data_bytes(image.url)
