"""What headers say of turns, frames and alpha; pictures as Pillow writes them."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odd_pictures import ODD, exif, odd
from wanbridge.pictures.traits import Traits, traits


def drawn(size: tuple[int, int], form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("colour", "alpha"), [(0, False), (2, False), (3, False), (4, True), (6, True)]
)
def test_an_alpha_channel_is_known_by_the_colour_type(colour: int, alpha: bool) -> None:
    """PNG third edition, 11.2.1; the beginning is enough."""
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8) + bytes([8, colour])

    assert Traits(alpha=alpha) == traits(head)
    assert Traits() == traits(head[:25])


ANIMATED: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (61, 47), "blue")]}


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF"])
def test_an_animation_is_known(form: str) -> None:
    """No page says which frame counts."""
    assert Traits(animated=True) == traits(drawn((61, 47), form, **ANIMATED))
    assert Traits() == traits(drawn((61, 47), form))


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_colour_counts_as_alpha(form: str) -> None:
    """What decodes it makes an alpha channel of it."""
    assert Traits(alpha=True) == traits(drawn((61, 47), form, "P", transparency=0))


@pytest.mark.parametrize("lossless", [False, True])
def test_alpha_of_a_webp_is_known(lossless: bool) -> None:
    """In an extended file it is a flag, in a lossless one a bit behind the sides."""
    clear = Image.new("RGBA", (61, 47), (1, 2, 3, 4))
    buffer = io.BytesIO()
    clear.save(buffer, "WEBP", lossless=lossless)

    assert Traits(alpha=True) == traits(buffer.getvalue())
    assert Traits() == traits(drawn((61, 47), "WEBP", lossless=lossless))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_orientation_is_known(form: str, orientation: int) -> None:
    """Of a WEBP it stands behind the pixels."""
    data = drawn((61, 47), form, exif=exif(orientation))

    assert Traits(orientation=orientation) == traits(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_is_read_in_both_byte_orders(order: str) -> None:
    """Cameras write either; a value that EXIF does not know is none."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    for value, known in ((3, 3), (0, 1), (9, 1)):
        facts = mark + struct.pack(
            f"{order}IHHHIHHHHIHHI", 8, 2, 0x010E, 2, 1, 65, 0, 0x0112, 3, 1, value, 0, 0
        )
        data = drawn((61, 47), "JPEG", exif=b"Exif\0\0" + facts)

        assert known == traits(data).orientation


@pytest.mark.parametrize("name", ODD)
def test_traits_of_a_cut_picture_are_none_or_true(name: str) -> None:
    """Whatever is missing or follows, nothing is raised."""
    data = odd(name)
    whole = traits(data)

    for length in range(min(len(data), 400)):
        seen = traits(data[:length])
        assert seen.orientation in (1, whole.orientation)
        assert seen.animated <= whole.animated
        assert seen.alpha <= whole.alpha


@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"GIF89a", b"RIFF", b"II*\0"]),
    st.binary(max_size=300),
)
def test_traits_of_anything_are_told_without_a_fault(start: bytes, rest: bytes) -> None:
    """Also of what only begins as a picture."""
    for data in (start + rest, start + b"\0\0\0\0WEBPVP8X\x0a\0\0\0\x3a" + rest):
        assert 1 <= traits(data).orientation <= 8
