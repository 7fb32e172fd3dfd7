"""Where a picture comes from, written into its file and read from it.

Bytes are inserted and nothing is encoded anew: pixels stay as they are, and so does every byte of
metadata that others wrote. Each format has one place for what we write:

- PNG: an ``iTXt`` chunk with the keyword ``wanbridge``, behind the header;
- JPEG: an XMP segment behind the leading Exif and JFIF ones;
- WEBP: an XMP chunk at the end, for which a simple file becomes an extended one.

A JPEG or WEBP has one XMP packet. Where somebody else's is there it is kept byte for byte, and
ours goes into a comment segment (``wanbridge {...}``) or a chunk of our own, ``WANB``, which
readers pass over (RFC 9649, 2.7.1.6).

A picture with a C2PA manifest stays as it is delivered: the manifest's hash covers the file, so
that any byte that is inserted would make its signature wrong. So does one that is damaged, or of
another format.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Literal, TypeAlias
from xml.sax.saxutils import escape, unescape

from attrs import frozen

from wanbridge.pictures.containers import Block, Layout, content, layout

Facts: TypeAlias = Mapping[str, str | int]
Manifest = Literal["embedded", "linked"]

# The facts in the order that they are written and shown in.
NAMES = ("model", "provider", "job_id", "key", "seed", "date", "prompt")
# Of all facts as text, so that they fit into a JPEG's segment of 64 KiB with what is around them.
_FACTS_MOST = 60_000
# Of one block of metadata that is looked into, and of all together.
_LOOKED_AT = 2**18
_LOOKED_AT_ALL = 2**23
_NAMES_MOST = 50

_KEYWORD = b"wanbridge\0"
_COMMENT = b"wanbridge {"
_CHUNK = "WANB"
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_MORE = b"http://ns.adobe.com/xmp/extension/\0"
_NAMESPACE = "https://wanbridge.dev/ns/picture/1/"
# How every packet of ours begins, by which it is known as ours and may be replaced.
_OUR_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="wanbridge">'
)
_OUR_PACKET_BYTES = _OUR_PACKET.encode()
# As an attribute or an element, for what another program has written the packet anew.
_PROPERTY = re.compile(r'<?wanbridge:(\w+)(?:="([^"]*)"|>([^<]*)</wanbridge:)')
# XML 1.0 has no way to say these.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTED = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_UNQUOTED = {plain: sign for sign, plain in _QUOTED.items()} | {"&apos;": "'"}

# China's implicit label (GB 45438-2025, annex E) is a member AIGC of JSON text, or the XMP
# property AIGC of this namespace (TC260-PG-20258A, read 2026-11-28).
_AIGC = re.compile(rb'"AIGC\\?"|www\.tc260\.org\.cn/ns/AIGC/')
# https://cv.iptc.org/newscodes/digitalsourcetype/, read 2026-11-28.
_IPTC_AI = re.compile(rb"digitalsourcetype/(?:compositeWithT|t)rainedAlgorithmicMedia")
_VP8X_XMP, _VP8X_ALPHA = 0x04, 0x10


@frozen
class Edit:
    """The bytes from *start* to *end* give way to *new*."""

    start: int
    end: int
    new: bytes


@frozen(kw_only=True)
class Report:
    """What a picture's file says about itself besides its pixels.

    Attributes:
        made: What wanbridge wrote, by the names of `NAMES`; empty if it wrote nothing.
        metadata: What others wrote, by its kind: ``Exif``, ``XMP``, ``tEXt Software``. At most 50.
        manifest: A C2PA manifest that is in the file, or that its XMP links to; None without.
            It is not verified.
        labels: Labels that say an AI made it: ``AIGC``, ``IPTC``. What is painted is not seen.
        whole: Whether the file holds together to its end.
    """

    made: Facts
    metadata: tuple[str, ...]
    manifest: Manifest | None
    labels: tuple[str, ...]
    whole: bool


def annotate(data: bytes, facts: Facts) -> bytes:
    """*data* with *facts*, in the place of what was written before; or as it is, see above.

    Never raises for what a picture holds.
    """
    file = io.BytesIO(data)
    return b"".join(edited(file, edits(file, facts)))


def edited(file: BinaryIO, changes: tuple[Edit, ...]) -> Iterator[bytes]:
    """The bytes of *file* with *changes*, in pieces."""
    at = 0
    for change in changes:
        yield from _pieces(file, at, change.start)
        yield change.new
        at = change.end
    yield from _pieces(file, at, None)


def _pieces(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    file.seek(start)
    left = end - start if end is not None else None
    while left is None or left > 0:
        piece = file.read(2**20 if left is None else min(left, 2**20))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def edits(file: BinaryIO, facts: Facts) -> tuple[Edit, ...]:
    """The changes, in order, that make *file* carry *facts*; none where it is to stay as it is."""
    found = layout(file)
    known = {name: facts[name] for name in NAMES if name in facts}
    if found is None or not found.whole or not known or _manifest(file, found) is not None:
        return ()
    text = json.dumps(known, ensure_ascii=False).encode("utf-8", "replace")
    packet = _packet(known)
    if max(len(text), len(packet)) > _FACTS_MOST:
        return ()
    match found.mime:
        case "image/png":
            return _png_edits(file, found, text)
        case "image/jpeg":
            return _jpeg_edits(file, found, text, packet)
    return _webp_edits(file, found, text, packet)


def report(file: BinaryIO) -> Report | None:
    """What *file* says about itself; None if it is no PNG, JPEG or WEBP."""
    found = layout(file)
    if found is None:
        return None
    made: Facts = {}
    metadata: dict[str, None] = {}
    labels: dict[str, None] = {}
    looked_at = 0
    for block in found.blocks:
        kind = _KINDS[found.mime].get(block.name)
        if kind is None or (looked_at := looked_at + min(block.size, _LOOKED_AT)) > _LOOKED_AT_ALL:
            continue
        held = content(file, block, _LOOKED_AT)
        if ours := _facts(block, held):
            made = ours
        if _is_ours(block, held):
            continue
        if len(metadata) < _NAMES_MOST:
            metadata[_shown(block, kind, held)] = None
        labels |= dict.fromkeys(_labels(block, held))
    return Report(
        made=made,
        metadata=tuple(metadata),
        manifest=_manifest(file, found),
        labels=tuple(labels),
        whole=found.whole,
    )


_PNG_TEXTS = ("tEXt", "zTXt", "iTXt")
# Blocks that hold metadata, with what people call them; colour profiles belong to the pixels.
_KINDS: dict[str, dict[str, str]] = {
    "image/png": {
        **{name: name for name in _PNG_TEXTS},
        "eXIf": "Exif",
        "tIME": "tIME",
        "caBX": "C2PA",
    },
    "image/jpeg": {
        **{f"APP{number}": f"APP{number}" for number in (1, *range(3, 14), 15)},
        "COM": "comment",
    },
    "image/webp": {"EXIF": "Exif", "XMP ": "XMP", "C2PA": "C2PA", _CHUNK: _CHUNK},
}


def _shown(block: Block, kind: str, held: bytes) -> str:
    """What people call a block of others' metadata."""
    match block.name:
        case name if name in _PNG_TEXTS:
            keyword = held.partition(b"\0")[0][:79].decode("latin-1")
            return "XMP" if keyword == "XML:com.adobe.xmp" else f"{kind} {keyword}"
        case "APP1" if held.startswith(b"Exif\0"):
            return "Exif"
        case "APP1" if held.startswith((_XMP_SEGMENT, _XMP_MORE)):
            return "XMP"
        case "APP11" if _is_c2pa(held):
            return "C2PA"
        case "APP13" if held.startswith(b"Photoshop 3.0\0"):
            return "Photoshop"
    return kind


def _labels(block: Block, held: bytes) -> Iterator[str]:
    if block.name in ("zTXt", "iTXt"):
        held = _inflated(block, held)
    # Exif keeps text in 16 bits, too.
    plain = held.replace(b"\0", b"") if b"\0" in held else held
    if _AIGC.search(plain) or (block.name in _PNG_TEXTS and held.startswith(b"AIGC\0")):
        yield "AIGC"
    if _IPTC_AI.search(plain):
        yield "IPTC"


def _inflated(block: Block, held: bytes) -> bytes:
    """A PNG's text chunk with its text in plain bytes; a compressed one up to a limit."""
    keyword, _, rest = held.partition(b"\0")
    if block.name == "iTXt":
        if rest[:1] != b"\1":
            return held
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        rest = rest[1:]
    try:
        return keyword + b"\0" + zlib.decompressobj().decompress(rest, _LOOKED_AT)
    except zlib.error:
        return held


def _manifest(file: BinaryIO, found: Layout) -> Manifest | None:
    """Whether there is a C2PA manifest in the file, or a link to one in its XMP."""
    linked = False
    # JPEG's other formats of JUMBF (360 degrees, privacy) stand in APP11 as well.
    for block in found.named("caBX", "C2PA", "APP11", "APP1", "XMP ", "iTXt"):
        if block.name in ("caBX", "C2PA"):
            return "embedded"
        held = content(file, block, _LOOKED_AT)
        if block.name == "APP11" and _is_c2pa(held):
            return "embedded"
        if _is_xmp(block, held) and b"dcterms:provenance" in _inflated_xmp(block, held):
            linked = True
    return "linked" if linked else None


def _inflated_xmp(block: Block, held: bytes) -> bytes:
    return _inflated(block, held) if block.name == "iTXt" else held


def _is_c2pa(held: bytes) -> bool:
    """Whether an APP11 segment is a JUMBF box labelled ``c2pa`` (C2PA 2.1, A.3.1)."""
    return held.startswith(b"JP") and b"jumb" in held[:64] and b"c2pa" in held[:256]


def _is_xmp(block: Block, held: bytes) -> bool:
    match block.name:
        case "APP1":
            return held.startswith(_XMP_SEGMENT)
        case "iTXt":
            return held.startswith(b"XML:com.adobe.xmp\0")
    return block.name == "XMP "


# -- what we write ---------------------------------------------------------------------------


def _packet(facts: Facts) -> bytes:
    """An XMP packet with a property for each fact (ISO 16684-1)."""
    properties = "".join(f'\n wanbridge:{name}="{_quoted(str(facts[name]))}"' for name in facts)
    return (
        f"{_OUR_PACKET}"
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'<rdf:Description rdf:about="" xmlns:wanbridge="{_NAMESPACE}"{properties}/>\n'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def _quoted(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text), _QUOTED)


def _is_ours(block: Block, held: bytes) -> bool:
    """Whether we wrote *block*, all of it; *held* is its content, or the beginning."""
    match block.name:
        case "iTXt":
            return held.startswith(_KEYWORD)
        case "COM":
            return held.startswith(_COMMENT)
        case "APP1":
            return held.startswith(_XMP_SEGMENT + _OUR_PACKET_BYTES)
        case "XMP ":
            return held.startswith(_OUR_PACKET_BYTES)
    return block.name == _CHUNK


def _facts(block: Block, held: bytes) -> Facts:
    """The facts that *block* holds, if it holds ours."""
    if _is_xmp(block, held):
        return _facts_of_xmp(held)
    if not _is_ours(block, held):
        return {}
    try:
        read = json.loads(held[held.index(b"{") :])
    except (ValueError, RecursionError):
        return {}
    return {
        name: read[name]
        for name in NAMES
        if name in read and type(read[name]) in (str, int)  # not bool
    }


def _facts_of_xmp(held: bytes) -> Facts:
    text = held.decode("utf-8", "replace")
    if _NAMESPACE not in text:
        return {}
    read: dict[str, str] = {}
    for match in _PROPERTY.finditer(text):
        value = match[2] if match[2] is not None else match[3]
        read.setdefault(match[1], unescape(value, _UNQUOTED))
    return {name: _fact(name, read[name]) for name in NAMES if name in read}


def _fact(name: str, text: str) -> str | int:
    return int(text) if name == "seed" and re.fullmatch(r"-?[0-9]{1,20}", text) else text


def _png_edits(file: BinaryIO, found: Layout, text: bytes) -> tuple[Edit, ...]:
    # No compression, no language, no translated keyword. PNG, third edition, 11.3.3.3.
    held = b"iTXt" + _KEYWORD + b"\0\0\0\0" + text
    chunk = (len(held) - 4).to_bytes(4, "big") + held + zlib.crc32(held).to_bytes(4, "big")
    behind = found.blocks[0].end
    before = [b for b in found.named("iTXt") if content(file, b, 64).startswith(_KEYWORD)]
    return (Edit(behind, behind, chunk), *(Edit(b.start, b.end, b"") for b in before))


def _jpeg_edits(file: BinaryIO, found: Layout, text: bytes, packet: bytes) -> tuple[Edit, ...]:
    before, behind, leading, foreign = [], 2, True, False
    for block in found.blocks:
        held = content(file, block, 512)
        if _is_ours(block, held):
            before.append(block)
            continue
        foreign = foreign or _is_xmp(block, held)
        leading = leading and block.name in ("APP0", "APP1")
        behind = block.end if leading else behind
    held = b"wanbridge " + text if foreign else _XMP_SEGMENT + packet
    segment = (b"\xff\xfe" if foreign else b"\xff\xe1") + (len(held) + 2).to_bytes(2, "big") + held
    new = Edit(behind, behind, segment)
    return tuple(sorted((new, *(Edit(b.start, b.end, b"") for b in before)), key=_place))


def _place(edit: Edit) -> tuple[int, int]:
    return edit.start, edit.end


def _webp_edits(file: BinaryIO, found: Layout, text: bytes, packet: bytes) -> tuple[Edit, ...]:
    first = found.blocks[0]
    before, foreign = [], False
    for block in found.named("XMP ", _CHUNK):
        if _is_ours(block, content(file, block, 512)):
            before.append(block)
        else:
            foreign = True
    header = _extended_header(file, found)
    if header is None:
        return ()
    new = _webp_chunk(_CHUNK.encode(), text) if foreign else _webp_chunk(b"XMP ", packet)
    end = found.blocks[-1].end
    starts = first.end if first.name == "VP8X" else first.start
    size = end - 8 + len(new) + len(header) - (starts - first.start)
    size -= sum(b.end - b.start for b in before)
    return (
        Edit(4, 8, size.to_bytes(4, "little")),
        Edit(first.start, starts, header),
        *(Edit(b.start, b.end, b"") for b in before),
        Edit(end, end, new),
    )


def _webp_chunk(name: bytes, held: bytes) -> bytes:
    return name + len(held).to_bytes(4, "little") + held + b"\0" * (len(held) % 2)


def _extended_header(file: BinaryIO, found: Layout) -> bytes | None:
    """The chunk ``VP8X`` that says there is XMP; None for a file whose structure is odd."""
    first = found.blocks[0]
    held = content(file, first, 10)
    match first.name:
        case "VP8X" if first.size == 10:
            return _webp_chunk(b"VP8X", bytes([held[0] | _VP8X_XMP]) + held[1:])
        case "VP8 " if len(found.blocks) == 1 and held[3:6] == b"\x9d\x01\x2a":
            width, height = (int.from_bytes(held[at : at + 2], "little") & 0x3FFF for at in (6, 8))
            alpha = 0
        case "VP8L" if len(found.blocks) == 1 and held[:1] == b"\x2f" and len(held) >= 5:
            bits = int.from_bytes(held[1:5], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            alpha = _VP8X_ALPHA if bits >> 28 & 1 else 0
        case _:
            return None
    if not (width and height):
        return None
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _webp_chunk(b"VP8X", bytes([_VP8X_XMP | alpha, 0, 0, 0]) + sides)
