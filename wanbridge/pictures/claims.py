"""Pictures that claim more pixels than their bytes can hold, found by their headers alone.

A decoder takes memory for the pixels that a header claims, before it sees that nothing fills
them. What is refused here no encoder can have written; so a plain picture of one colour passes.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from wanbridge.pictures.containers import content, layout, length
from wanbridge.pictures.headers import BEGINNING, inspect

# Channels of a PNG's colour types: grey, RGB, palette, grey with alpha, RGB with alpha.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Deflate's best: the longest match, 258 bytes, as one bit for its length and one for its distance.
_DEFLATE_MOST = 258 * 8 // 2
# Frames with arithmetic coding, which can spend 2^-14 bit on a block. ITU-T T.81, table B.1.
_JPEG_ARITHMETIC = ("SOF9", "SOF10", "SOF11", "SOF13", "SOF14", "SOF15")
_WEBP_ANIMATED = 0x02


def excess(picture: bytes | BinaryIO) -> str | None:
    """Why *picture*, all of it, cannot hold the pixels that its header claims; None if it may.

    PNG, JPEG and WEBP; others, and pictures whose size is not known, are not judged. A WEBP whose
    bitstream is lossless, or that is animated, has no such limit: one colour takes no bit a pixel.
    """
    file = io.BytesIO(picture) if isinstance(picture, bytes) else picture
    file.seek(0)
    facts = inspect(head := file.read(BEGINNING))
    if facts is None or facts.width is None or facts.height is None:
        return None
    width, height, size = facts.width, facts.height, length(file)
    if _bits_needed(file, head, facts.mime, width, height) <= 8 * size:
        return None
    return f"it claims {width} x {height} pixels, more than its {size:,} bytes can hold"


def _bits_needed(file: BinaryIO, head: bytes, mime: str, width: int, height: int) -> float:
    """How many bits a picture of that size takes at least."""
    match mime:
        case "image/png":
            # All rows are compressed together; that each begins with a filter byte is left out.
            depth = head[24] * _PNG_CHANNELS.get(head[25], 1) if len(head) > 25 else 1
            return width * height * depth / _DEFLATE_MOST
        case "image/jpeg":
            # Blocks of 8x8: each has a Huffman code for its average, of one bit at least; what
            # follows can be shared by a run of blocks (progressive), or is one bit more. The
            # component of the finest sampling has as many blocks as the picture.
            found = layout(file)
            if found is not None and any(found.named(*_JPEG_ARITHMETIC)):
                return 0
            return -(-width // 8) * -(-height // 8)
        case "image/webp" if head[12:16] == b"VP8X":
            return _inside(file, width, height)
        case "image/webp" if head[12:16] == b"VP8 ":
            return _macroblocks(width, height)
    return 0


def _macroblocks(width: int, height: int) -> int:
    """The bits of a lossy WEBP: one for each macroblock of 16x16, and more.

    Each says how its colours are predicted, by fixed probabilities of at most 142/256 (RFC 6386,
    11.2), which takes 0.85 bit; and how its brightness is, at least 0.82 bit by a first branch of
    145/256.
    """
    return -(-width // 16) * -(-height // 16)


def _inside(file: BinaryIO, width: int, height: int) -> float:
    """The bits of an extended WEBP, by the frame inside: a still one fills the canvas."""
    found = layout(file)
    blocks = found.blocks if found is not None else ()
    flags = b"".join(content(file, block, 1) for block in blocks[:1])
    if int.from_bytes(flags) & _WEBP_ANIMATED:
        return 0
    frame = next((block for block in blocks if block.name in ("VP8 ", "VP8L")), None)
    if frame is None:
        return float("inf")
    file.seek(frame.start)
    inner = inspect(b"RIFF\0\0\0\0WEBP" + file.read(18))
    if inner is None or inner.width is None or inner.height is None:
        return 0
    if width * height > inner.width * inner.height:
        return float("inf")
    return _macroblocks(inner.width, inner.height) if frame.name == "VP8 " else 0
