"""Metadata that is inserted: pixels, bitstreams and what others wrote stay as they are."""

from __future__ import annotations

import io
import json
import struct
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from marked_pictures import (
    LABEL,
    LABEL_XMP,
    drawn,
    exif,
    png_chunk,
    texts,
    with_jpeg_segment,
    with_manifest,
    with_png_chunk,
    with_webp_chunk,
)
from wanbridge.pictures.metadata import NAMES, Facts, Report, annotate, report

FACTS: Facts = {
    "model": "wan2.7-image",
    "provider": "runware-eu",
    "job_id": "t-1",
    "key": "order-7",
    "seed": 2**63 - 1,
    "date": "2026-11-28T10:00:00+00:00",
    "prompt": 'a "red" kite\n<b>&amp;\t风筝 \U0001f43a',
}
PICTURES = {
    "png": drawn("PNG"),
    "png alpha": drawn("PNG", "RGBA"),
    "png palette": drawn("PNG", "P"),
    "png with texts": drawn("PNG", pnginfo=texts(Title="kite", AIGC=LABEL), exif=exif()),
    "png animated": drawn("PNG", save_all=True, append_images=[Image.new("RGB", (61, 47), "red")]),
    "jpeg": drawn("JPEG"),
    "jpeg progressive": drawn("JPEG", progressive=True),
    "jpeg grey": drawn("JPEG", "L"),
    "jpeg cmyk": drawn("JPEG", "CMYK"),
    "jpeg with exif": drawn("JPEG", exif=exif(), icc_profile=b"p" * 3000),
    "jpeg with xmp": drawn("JPEG", xmp=LABEL_XMP, comment=b"by a friend"),
    "webp": drawn("WEBP"),
    "webp odd": drawn("WEBP", size=(1, 1)),
    "webp alpha": drawn("WEBP", "RGBA"),
    "webp lossless": drawn("WEBP", lossless=True),
    "webp lossless alpha": drawn("WEBP", "RGBA", lossless=True),
    "webp with xmp": drawn("WEBP", xmp=LABEL_XMP),
    "webp with exif": drawn("WEBP", "RGBA", exif=exif(), icc_profile=b"p" * 33),
    "webp animated": drawn("WEBP", save_all=True, append_images=[Image.new("RGB", (61, 47))]),
}
each_picture = pytest.mark.parametrize("data", PICTURES.values(), ids=PICTURES)


def read(data: bytes) -> Report:
    found = report(io.BytesIO(data))
    assert found is not None
    return found


def decoded(data: bytes) -> list[tuple[str, bytes]]:
    """All frames: mode and pixels."""
    with Image.open(io.BytesIO(data)) as picture:
        frames = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            frames.append((picture.mode, picture.tobytes()))
        return frames


def parts(data: bytes) -> list[bytes]:
    """The picture's blocks, by this test's own reading; a WEBP's header chunk without its flags."""
    found, at = [], 8
    if data.startswith(b"\x89PNG"):
        while at < len(data):
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            found.append(data[at:end])
            at = end
    elif data.startswith(b"\xff\xd8"):
        at = 2
        while data[at + 1] != 0xDA:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            found.append(data[at:end])
            at = end
        found.append(data[at:])
    else:
        at = 12
        while at < len(data):
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            end = at + 8 + size + size % 2
            found.append(data[at:end])
            at = end
    return found


@each_picture
def test_what_is_written_is_read_again(data: bytes) -> None:
    """In every format, beside what others wrote."""
    saved = read(annotate(data, FACTS))

    assert FACTS == saved.made
    assert saved.whole
    assert read(data).metadata == saved.metadata
    assert read(data).labels == saved.labels
    assert {} == read(data).made


@each_picture
def test_pixels_and_their_bytes_stay(data: bytes) -> None:
    """Nothing is encoded anew: every block that was there is there, in its order."""
    saved = annotate(data, FACTS)
    before, after = parts(data), iter(parts(saved))

    assert decoded(data) == decoded(saved)
    if data.startswith(b"RIFF"):
        before = [part for part in before if not part.startswith(b"VP8X")]
    assert all(part in after for part in before)
    assert abs(len(saved) - len(data)) < 2000


@each_picture
def test_writing_twice_does_not_grow_the_file(data: bytes) -> None:
    """And other facts replace the first ones."""
    once = annotate(data, FACTS)

    assert once == annotate(once, FACTS)
    other = annotate(once, {"model": "wan2.7-image-pro"})
    assert {"model": "wan2.7-image-pro"} == read(other).made
    assert once == annotate(other, FACTS)


def test_other_programs_see_where_a_picture_comes_from() -> None:
    """A PNG text, or properties of an XMP packet, where every program looks for them."""
    with Image.open(io.BytesIO(annotate(PICTURES["png with texts"], FACTS))) as png:
        assert FACTS == json.loads(png.info["wanbridge"])
        assert ("kite", LABEL) == (png.info["Title"], png.info["AIGC"])
    for name in ("jpeg with exif", "webp", "webp with exif"):
        with Image.open(io.BytesIO(annotate(PICTURES[name], FACTS))) as picture:
            packet = ET.fromstring(picture.info["xmp"])
            (about,) = packet.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
            ours = {k.rpartition("}")[2]: v for k, v in about.items() if "wanbridge.dev" in k}
            assert {key: str(value) for key, value in FACTS.items()} == ours


def test_a_packet_is_xml_whatever_a_prompt_holds() -> None:
    """XML cannot say control characters and half characters, nor what JSON says of them."""
    odd = {"prompt": "a\x07b\ud83dc\ufffe<&>\"'"}
    with Image.open(io.BytesIO(annotate(PICTURES["jpeg"], odd))) as picture:
        (about,) = ET.fromstring(picture.info["xmp"]).iter(
            "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
        )

    assert "a\ufffdb\ufffdc\ufffd<&>\"'" in about.attrib.values()


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("webp", 0x04),
        ("webp lossless", 0x04),
        ("webp lossless alpha", 0x14),
        ("webp alpha", 0x14),
        ("webp with exif", 0x3C),
        ("webp animated", 0x06),
    ],
)
def test_an_extended_header_says_what_is_in_the_file(name: str, flags: int) -> None:
    """RFC 9649, 2.7.1: ICC 0x20, alpha 0x10, Exif 0x08, XMP 0x04, animation 0x02."""
    saved = annotate(PICTURES[name], FACTS)

    assert (b"VP8X", flags) == (saved[12:16], saved[20])
    assert (60, 46) == (
        int.from_bytes(saved[24:27], "little"),
        int.from_bytes(saved[27:30], "little"),
    )
    assert len(saved) == 8 + int.from_bytes(saved[4:8], "little")


@pytest.mark.parametrize("name", ["jpeg with xmp", "webp with xmp"])
def test_the_xmp_of_others_stays_the_only_one(name: str) -> None:
    """Two packets contradict each other; ours is a comment, or a chunk of its own."""
    saved = annotate(PICTURES[name], FACTS)

    assert 1 == saved.count(b"<x:xmpmeta")
    with Image.open(io.BytesIO(saved)) as picture:
        assert LABEL_XMP == picture.info["xmp"]
        assert b"by a friend" == picture.info.get("comment", b"by a friend")


def test_a_packet_that_another_program_wrote_anew_is_read() -> None:
    """Properties may become elements; where ours are in it, a file says so."""
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Image::ExifTool 13.10">'
        b"<rdf:Description xmlns:wanbridge='https://wanbridge.dev/ns/picture/1/'>"
        b"<wanbridge:model>wan2.7-image</wanbridge:model><wanbridge:seed>7</wanbridge:seed>"
        b"<wanbridge:prompt>a &lt;kite&gt;</wanbridge:prompt>"
        b"</rdf:Description></x:xmpmeta>"
    )

    found = read(drawn("JPEG", xmp=packet))

    assert {"model": "wan2.7-image", "seed": 7, "prompt": "a <kite>"} == found.made
    assert ("XMP",) == found.metadata


# Marks of others


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_signed_manifest_leaves_the_file_as_it_is(form: str) -> None:
    """Its hash is over the file: one byte more, and its signature is wrong."""
    data = with_manifest(form)

    assert data == annotate(data, FACTS)
    assert ("embedded", True) == (read(data).manifest, "C2PA" in read(data).metadata)


def test_a_manifest_elsewhere_leaves_the_file_as_it_is() -> None:
    """XMP can link to one, whose hash is over this file just the same."""
    linked = LABEL_XMP.replace(
        b'rdf:about=""',
        b'rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/"'
        b' dcterms:provenance="https://cai.example/m.c2pa"',
    )
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + linked
    for data in (
        drawn("JPEG", xmp=linked),
        drawn("WEBP", xmp=linked),
        with_png_chunk(drawn("PNG"), b"iTXt", xmp),
    ):
        assert data == annotate(data, FACTS)
        assert "linked" == read(data).manifest


def test_other_boxes_in_a_jpeg_are_no_manifest() -> None:
    """JPEG 360 and JPEG XT use the same segment."""
    data = with_jpeg_segment(drawn("JPEG"), 0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb" + b"jp360" * 4)

    assert None is read(data).manifest
    assert ("APP11",) == read(data).metadata
    assert FACTS == read(annotate(data, FACTS)).made


_AIGC = ("AIGC",)
_IPTC = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        pytest.param(drawn("PNG"), (), id="none"),
        pytest.param(drawn("PNG", pnginfo=texts(AIGC='{"Label":"1"}')), _AIGC, id="PNG keyword"),
        pytest.param(drawn("PNG", pnginfo=texts(Comment=LABEL)), _AIGC, id="PNG text"),
        pytest.param(drawn("PNG", exif=exif()), _AIGC, id="PNG Exif"),
        pytest.param(drawn("JPEG", exif=exif()), _AIGC, id="JPEG Exif"),
        pytest.param(
            drawn("JPEG", exif=exif(b"UNICODE\0" + LABEL.encode("utf-16-le"))),
            _AIGC,
            id="JPEG Exif in UTF-16",
        ),
        pytest.param(drawn("JPEG", xmp=LABEL_XMP), _AIGC, id="JPEG XMP"),
        pytest.param(drawn("JPEG", comment=LABEL.encode()), _AIGC, id="JPEG comment"),
        pytest.param(drawn("WEBP", xmp=LABEL_XMP), _AIGC, id="WEBP XMP"),
        pytest.param(drawn("WEBP", exif=exif()), _AIGC, id="WEBP Exif"),
        pytest.param(drawn("JPEG", xmp=_IPTC), ("IPTC",), id="IPTC"),
        pytest.param(annotate(drawn("PNG"), {"prompt": LABEL}), (), id="our own prompt"),
    ],
)
def test_labels_are_found_and_kept(data: bytes, labels: tuple[str, ...]) -> None:
    """Wherever the law or a custom puts them; a prompt that speaks of one is none."""
    assert labels == read(data).labels
    assert labels == read(annotate(data, FACTS)).labels


def test_a_label_in_a_compressed_text_is_found() -> None:
    """As far as it is looked into: a text that unpacks without end takes no memory."""
    info = texts(Other="x")
    info.add_text("Comment", LABEL, zip=True)
    info.add_itxt("Notes", LABEL, zip=True)
    endless = texts()
    endless.add_text("Bomb", " " * 2**24 + LABEL, zip=True)
    broken = with_png_chunk(drawn("PNG"), b"zTXt", b"Comment\0\0no deflate")

    assert _AIGC == read(drawn("PNG", pnginfo=info)).labels
    assert () == read(drawn("PNG", pnginfo=endless)).labels
    assert ("zTXt Comment",) == read(broken).metadata


def test_the_kinds_of_metadata_are_told() -> None:
    """In the words that people know; no value is shown, as it may be private."""
    photoshop = with_jpeg_segment(drawn("JPEG", exif=exif()), 0xED, b"Photoshop 3.0\0...")

    assert ("Exif", "tEXt AIGC", "tEXt Title") == tuple(
        sorted(read(PICTURES["png with texts"]).metadata)
    )
    assert ("Exif", "Photoshop") == tuple(sorted(read(photoshop).metadata))
    assert ("XMP", "comment") == tuple(sorted(read(PICTURES["jpeg with xmp"]).metadata))
    assert ("Exif",) == read(PICTURES["webp with exif"]).metadata
    many = drawn("PNG", pnginfo=texts(**{f"n{number}": "x" for number in range(90)}))
    assert 50 == len(read(many).metadata)


# What is damaged, odd, or another format


def damaged() -> dict[str, bytes]:
    """Pictures that a decoder may still show, and that are better left alone."""
    png, jpeg, webp = drawn("PNG"), drawn("JPEG"), drawn("WEBP")
    return {
        "another format": drawn("GIF", "P"),
        "nothing": b"",
        "png cut": png[:-20],
        "png without end": png[:-12],
        "png without pixels": png[:33] + png_chunk(b"IEND", b""),
        "png header late": png[:8] + png_chunk(b"teXt", b"x") + png[8:],
        "jpeg cut": jpeg[:-2],
        "jpeg odd between segments": jpeg[:20] + b"odd" + jpeg[20:],
        "jpeg without scan": jpeg[: jpeg.index(b"\xff\xda")],
        "webp cut": webp[:-2],
        "webp cut between chunks": drawn("WEBP", xmp=b"x" * 30)[:-38],
        "webp of no chunk": b"RIFF\4\0\0\0WEBP",
        "webp says too little": webp[:4] + struct.pack("<I", len(webp) - 10) + webp[8:],
        "webp simple and more": with_webp_chunk(webp, b"XTRA", b"?"),
        "webp odd header": with_webp_chunk(b"RIFF\0\0\0\0WEBP", b"VP8X", b"\0" * 9),
        "webp of no width": webp[:26] + b"\0\0\0\0" + webp[30:],
        "webp of no frame": with_webp_chunk(b"RIFF\0\0\0\0WEBP", b"VP8 ", b"\0" * 9),
    }


@pytest.mark.parametrize("data", damaged().values(), ids=damaged())
def test_what_is_not_understood_stays_as_it_is(data: bytes) -> None:
    """A paid picture is not lost to metadata."""
    assert data == annotate(data, FACTS)


def test_what_follows_a_picture_stays_behind_it() -> None:
    """Phones append films, browsers do not mind."""
    for name in ("png", "jpeg", "webp"):
        saved = annotate(PICTURES[name] + b"...more", FACTS)
        assert saved.endswith(b"...more")
        assert annotate(PICTURES[name], FACTS) + b"...more" == saved


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    """T.81, B.1.1.2 allows any number of them."""
    data = drawn("JPEG")
    at = data.index(b"\xff\xdb")
    filled = data[:at] + b"\xff\xff" + data[at:]

    assert FACTS == read(annotate(filled, FACTS)).made
    assert decoded(filled) == decoded(annotate(filled, FACTS))


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_facts_that_do_not_fit_are_left_out(name: str) -> None:
    """A segment of a JPEG has 64 KiB; a provider's id could have more."""
    assert PICTURES[name] == annotate(PICTURES[name], {"job_id": "x" * 70_000})
    assert PICTURES[name] == annotate(PICTURES[name], {})
    longest = {**FACTS, "prompt": "&" * 5000}
    assert longest == read(annotate(PICTURES[name], longest)).made


@pytest.mark.parametrize(
    "text",
    [
        b"wanbridge\0\0\0\0\0" + text
        for text in (b"", b"{", b"[1]", b'{"model": true}', b"[" * 9999)
    ],
)
def test_a_forged_text_is_no_fact(text: bytes) -> None:
    """Anybody can write our keyword."""
    assert {} == read(with_png_chunk(drawn("PNG"), b"iTXt", text)).made


_TEXTS = st.text(st.characters(exclude_categories=()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    data=st.sampled_from(sorted(PICTURES.values())),
    facts=st.fixed_dictionaries(
        {}, optional={name: _TEXTS if name != "seed" else st.integers() for name in NAMES}
    ),
)
def test_any_facts_change_no_pixel(data: bytes, facts: dict[str, Any]) -> None:
    """Whatever stands in a prompt or an id, half characters too."""
    saved = annotate(data, facts)

    assert decoded(data) == decoded(saved)
    assert list(facts) == [name for name in facts if name in read(saved).made]
    assert saved == annotate(saved, facts)


@settings(max_examples=150, deadline=None)
@given(
    data=st.sampled_from(sorted(PICTURES.values())),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=4),
    end=st.integers(0, 6000),
)
def test_any_damage_raises_nothing(data: bytes, changes: list[tuple[int, bytes]], end: int) -> None:
    """Nor does it lose a byte of what came."""
    spoiled = bytearray(data[:end])
    for at, new in changes:
        spoiled[at : at + len(new)] = new

    saved = annotate(bytes(spoiled), FACTS)
    report(io.BytesIO(spoiled))

    assert len(saved) >= len(spoiled)
    assert saved == annotate(saved, FACTS)
