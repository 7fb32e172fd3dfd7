"""Pictures with the metadata and marks that others put into them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, PngImagePlugin

# China's implicit label as XMP (TC260-PG-20258A) and as JSON text (GB 45438-2025, annex E).
LABEL = '{"AIGC": {"Label": "1", "ContentProducer": "001191330108MA2B1C2D3E", "ProduceID": "p-7"}}'
LABEL_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">'
    b'<TC260:AIGC>{"Label":"1","ProduceID":"p-7"}</TC260:AIGC>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
# A JUMBF superbox with the description box of a C2PA manifest store, as C2PA 2.1, A.3 has it.
_DESCRIPTION = b"jumd" + bytes.fromhex("63327061001100108000 00AA00389B71") + b"\3c2pa\0"
MANIFEST = b"jumb" + struct.pack(">I", len(_DESCRIPTION) + 4) + _DESCRIPTION
MANIFEST = struct.pack(">I", len(MANIFEST) + 4) + MANIFEST


def drawn(form: str, mode: str = "RGB", size: tuple[int, int] = (61, 47), **options: Any) -> bytes:
    """A picture with something on it."""
    noise = Image.effect_noise(size, 90).convert(mode)
    if mode == "RGBA":
        noise.putalpha(Image.linear_gradient("L").resize(size))
    noise.save(buffer := io.BytesIO(), form, **options)
    return buffer.getvalue()


def texts(**values: str) -> PngImagePlugin.PngInfo:
    """Text chunks of a PNG."""
    info = PngImagePlugin.PngInfo()
    for name, value in values.items():
        info.add_text(name, value)
    return info


def exif(comment: bytes = b"ASCII\0\0\0" + LABEL.encode()) -> Image.Exif:
    """Exif with a user comment, where some put the label."""
    facts = Image.Exif()
    facts[0x010E] = "a kite"
    facts.get_ifd(0x8769)[0x9286] = comment
    return facts


def png_chunk(name: bytes, held: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held))


def with_png_chunk(data: bytes, name: bytes, held: bytes) -> bytes:
    """*data* with a chunk behind its header."""
    return data[:33] + png_chunk(name, held) + data[33:]


def with_jpeg_segment(data: bytes, code: int, held: bytes) -> bytes:
    """*data* with a segment behind its first one."""
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + bytes([0xFF, code]) + struct.pack(">H", len(held) + 2) + held + data[at:]


def with_webp_chunk(data: bytes, name: bytes, held: bytes) -> bytes:
    """*data* with a chunk at its end."""
    data += name + struct.pack("<I", len(held)) + held + b"\0" * (len(held) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def with_manifest(form: str) -> bytes:
    """A picture with a C2PA manifest (which no validator would accept)."""
    match form:
        case "PNG":
            return with_png_chunk(drawn("PNG"), b"caBX", MANIFEST)
        case "JPEG":
            held = b"JP" + struct.pack(">HI", 1, 1) + MANIFEST
            return with_jpeg_segment(drawn("JPEG"), 0xEB, held)
    return with_webp_chunk(drawn("WEBP", xmp=LABEL_XMP), b"C2PA", MANIFEST)
