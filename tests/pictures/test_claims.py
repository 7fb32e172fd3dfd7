"""Headers that claim more than can be there are refused, true pictures never."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import pytest
from PIL import Image

from marked_pictures import drawn, with_webp_chunk
from wanbridge.pictures.claims import excess

SIDES = [(1, 1), (16, 16), (17, 5), (255, 3), (1024, 1024), (3000, 1000)]
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {"compress_level": 9}),
    "jpeg": ("JPEG", {"quality": 1, "optimize": True}),
    "jpeg progressive": ("JPEG", {"quality": 1, "progressive": True}),
    "webp": ("WEBP", {"quality": 0, "method": 4}),
    "webp lossless": ("WEBP", {"lossless": True}),
}


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA"])
@pytest.mark.parametrize(("form", "options"), WRITTEN.values(), ids=WRITTEN)
def test_a_picture_of_one_colour_passes(form: str, options: dict[str, Any], mode: str) -> None:
    """Nothing is smaller for its pixels, and providers do deliver such."""
    if form != "PNG":
        mode = {"1": "L", "RGBA": "RGB" if form == "JPEG" else "RGBA"}.get(mode, mode)
    for size in SIDES:
        Image.new(mode, size).save(buffer := io.BytesIO(), form, **options)
        assert None is excess(buffer.getvalue()), size


def claiming(form: str, side: int, **options: Any) -> bytes:
    """A small picture whose header claims to be a large one."""
    data = bytearray(drawn(form, size=(8, 8), **options))
    if form == "PNG":
        data[16:24] = struct.pack(">II", side, side)
    elif form == "JPEG":
        at = max(data.find(marker) for marker in (b"\xff\xc0", b"\xff\xc2"))
        data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    else:
        data[26:30] = struct.pack("<HH", side, side)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "side"),
    [
        pytest.param(claiming("PNG", 2**31 - 1), 2**31 - 1, id="png"),
        pytest.param(claiming("PNG", 1024), 1024, id="png, a usual size"),
        pytest.param(claiming("JPEG", 65_500), 65_500, id="jpeg"),
        pytest.param(claiming("JPEG", 65_500, progressive=True), 65_500, id="jpeg progressive"),
        pytest.param(claiming("WEBP", 16_383), 16_383, id="webp"),
        pytest.param(claiming("JPEG", 4096), 4096, id="jpeg, a usual size"),
    ],
)
def test_a_claim_that_no_bytes_fill_is_told(data: bytes, side: int) -> None:
    """By the header alone: what a decoder would need is not taken."""
    tracemalloc.start()
    try:
        told = excess(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert told == f"it claims {side} x {side} pixels, more than its {len(data):,} bytes can hold"
    assert most < 10 * 2**20


def extended(flags: int, canvas: int, frame: bytes) -> bytes:
    """An extended WEBP with this canvas around a frame."""
    sides = (canvas - 1).to_bytes(3, "little") * 2
    data = with_webp_chunk(b"RIFF\0\0\0\0WEBP", b"VP8X", bytes([flags, 0, 0, 0]) + sides)
    if frame:
        data = with_webp_chunk(data, frame[12:16], frame[20:])
    return data


def test_a_canvas_that_its_frame_does_not_fill_is_told() -> None:
    """A still picture is as large as its canvas; without a frame there is none."""
    lossy, lossless = (drawn("WEBP", size=(64, 64), lossless=way) for way in (False, True))

    for frame in (lossy, lossless):
        assert None is excess(extended(0, 64, frame))
        assert f"claims {2**24} x {2**24}" in str(excess(extended(0, 2**24, frame)))
    assert "claims 64 x 64" in str(excess(extended(0, 64, b"")))
    assert "claims 4000 x 4000" in str(excess(extended(0, 4000, claiming("WEBP", 4000))))
    # What an animation draws on may be larger than what it draws.
    assert None is excess(extended(0x02, 64, b""))


def test_what_cannot_be_judged_passes() -> None:
    """Other formats, a size that is not known, and arithmetic coding, which has no such bound."""
    arithmetic = claiming("JPEG", 65_500).replace(b"\xff\xc0", b"\xff\xc9")
    unread = claiming("PNG", 1024)[:20]
    odd_frame = extended(0, 2**14, b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0" + b"?" * 20)

    for data in (b"", b"<html>", drawn("GIF", "P"), arithmetic, unread, odd_frame):
        assert None is excess(data)
