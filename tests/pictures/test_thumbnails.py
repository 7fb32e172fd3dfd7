"""Small pictures for a page, from whatever bytes are there."""

from __future__ import annotations

import io
import sys

import pytest
from PIL import Image

from marked_pictures import drawn
from wanbridge.pictures.headers import from_data_uri
from wanbridge.pictures.thumbnails import SIDE, thumbnail


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_large_picture_becomes_a_small_one(form: str, mode: str) -> None:
    """With its shape, and what is transparent stays so."""
    if form != "PNG":
        mode = "RGBA" if mode in ("LA", "RGBA") and form == "WEBP" else "RGB"
    Image.new(mode, (1600, 800)).save(buffer := io.BytesIO(), form)

    small, mime = from_data_uri(str(thumbnail(buffer.getvalue())))

    with Image.open(io.BytesIO(small)) as picture:
        assert ((SIDE, SIDE // 2), Image.MIME[picture.format or ""]) == (picture.size, mime)
        assert ("A" in picture.getbands()) == (mode in ("LA", "RGBA"))


def test_what_cannot_be_shown_is_none() -> None:
    """No picture, a damaged one, one that claims too much, one that would take too much memory."""
    claiming = bytearray(drawn("PNG"))
    claiming[16:24] = b"\0\0\x0f\xff" * 2
    huge = Image.new("1", (9000, 9000))
    huge.save(buffer := io.BytesIO(), "PNG")

    for data in (b"", b"<html>", drawn("PNG")[:60], bytes(claiming), buffer.getvalue()):
        assert None is thumbnail(data)


def test_without_pillow_a_small_picture_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; a large picture would make a page of megabytes."""
    small, large = drawn("PNG"), drawn("BMP", size=(400, 400))
    monkeypatch.setitem(sys.modules, "PIL", None)

    assert (small, "image/png") == from_data_uri(str(thumbnail(small)))
    assert None is thumbnail(large)
