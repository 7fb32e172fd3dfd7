"""What a picture's file consists of: PNG chunks, JPEG segments, WEBP chunks, by their places.

Nothing is decoded and nothing but headers is read, so a file of any size takes little memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

# More blocks than any encoder writes in a picture of the size that is downloaded: its time is
# bounded, too.
BLOCKS_MOST = 100_000
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Markers that stand alone, without a length: TEM, RST0 to RST7. ITU-T T.81, B.1.1.3.
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_NAMES = {0xDA: "SOS", 0xFE: "COM", 0xC4: "DHT", 0xC8: "JPG", 0xCC: "DAC"}
_SCAN = 2**16


@frozen
class Block:
    """One chunk of a PNG or WEBP, or one segment of a JPEG before its first scan.

    Attributes:
        name: As the format calls it: ``IHDR``, ``APP1``, ``SOF0``, ``VP8X``.
        start, end: Its first byte, and the first byte after it: with length, checksum, padding.
        at, size: The first byte of its content, and how many there are.
    """

    name: str
    start: int
    end: int
    at: int
    size: int


@frozen
class Layout:
    """The blocks of a picture's file, in their order.

    Attributes:
        mime: ``image/png``, ``image/jpeg`` or ``image/webp``.
        whole: Whether the file holds together to its end. If not, *blocks* are those before the
            fault: a cut file, a wrong length, or a structure that is not understood.
    """

    mime: str
    blocks: tuple[Block, ...]
    whole: bool

    def named(self, *names: str) -> Iterator[Block]:
        """The blocks of one of these names."""
        return (block for block in self.blocks if block.name in names)


def layout(file: BinaryIO) -> Layout | None:
    """The blocks of *file*, which can be sought in; None if it is no PNG, JPEG or WEBP."""
    file.seek(0)
    head = file.read(12)
    if head.startswith(_PNG_SIGNATURE):
        blocks, whole = _png(file)
        return Layout("image/png", blocks, whole)
    if head.startswith(b"\xff\xd8\xff"):
        blocks, whole = _jpeg(file)
        return Layout("image/jpeg", blocks, whole)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        blocks, whole = _webp(file)
        return Layout("image/webp", blocks, whole)
    return None


def content(file: BinaryIO, block: Block, most: int) -> bytes:
    """The content of *block*, at most the first *most* bytes of it."""
    file.seek(block.at)
    return file.read(min(block.size, most))


def length(file: BinaryIO) -> int:
    """How many bytes *file* has."""
    return file.seek(0, io.SEEK_END)


def _name(code: bytes) -> str:
    """Four letters; those that are none become question marks."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in code)


def _png(file: BinaryIO) -> tuple[tuple[Block, ...], bool]:
    """Up to IEND. Bytes after it belong to nobody, and stay where they are."""
    blocks: list[Block] = []
    end, at = length(file), len(_PNG_SIGNATURE)
    while len(blocks) < BLOCKS_MOST:
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[:4], "big")
        after = at + 12 + size
        # A type is four letters (PNG, 5.3); whatever else stands here is damage or padding.
        if len(head) < 8 or after > end or not head[4:].isalpha():
            break
        blocks.append(Block(head[4:].decode("ascii"), at, after, at + 8, size))
        if head[4:] == b"IEND":
            names = [block.name for block in blocks]
            return tuple(blocks), names[0] == "IHDR" and "IDAT" in names
        at = after
    return tuple(blocks), False


def _jpeg(file: BinaryIO) -> tuple[tuple[Block, ...], bool]:
    """Up to the first scan, whose block reaches to the end of the file."""
    blocks: list[Block] = []
    end, at = length(file), 2
    while len(blocks) < BLOCKS_MOST:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        code = head[1]
        if code == 0xFF:  # a fill byte
            at += 1
            continue
        size = int.from_bytes(head[2:], "big")
        after = at + 2 + size
        if code in _JPEG_ALONE or code in (0x00, 0xD8, 0xD9) or size < 2 or after > end:
            break
        if code == 0xDA:
            blocks.append(Block("SOS", at, end, at + 4, end - at - 4))
            return tuple(blocks), _ends(file, after)
        blocks.append(Block(_jpeg_name(code), at, after, at + 4, size - 2))
        at = after
    return tuple(blocks), False


def _jpeg_name(code: int) -> str:
    if code in _JPEG_NAMES:
        return _JPEG_NAMES[code]
    if 0xE0 <= code <= 0xEF:
        return f"APP{code - 0xE0}"
    return f"SOF{code - 0xC0}" if 0xC0 <= code <= 0xCF else f"{code:02X}"


def _ends(file: BinaryIO, at: int) -> bool:
    """Whether the end-of-image marker comes after *at*; within coded data it cannot stand."""
    file.seek(at)
    last = b""
    while piece := file.read(_SCAN):
        if b"\xff\xd9" in last + piece:
            return True
        last = piece[-1:]
    return False


def _webp(file: BinaryIO) -> tuple[tuple[Block, ...], bool]:
    """All chunks within the length that the RIFF header says (RFC 9649)."""
    blocks: list[Block] = []
    file.seek(4)
    says = 8 + int.from_bytes(file.read(4), "little")
    end, at = min(says, length(file)), 12
    while at < end and len(blocks) < BLOCKS_MOST:
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        after = at + 8 + size + size % 2
        if len(head) < 8 or at + 8 + size > end:
            return tuple(blocks), False
        blocks.append(Block(_name(head[:4]), at, after, at + 8, size))
        at = after
    return tuple(blocks), bool(blocks) and at == says == end
