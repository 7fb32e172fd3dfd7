"""Header facts of real pictures, ``data:`` URIs, and files that appear whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ordinary_user import enterable, unprivileged
from wanbridge.model.inputs import InputImage
from wanbridge.model.result import Image as Delivered
from wanbridge.pictures import headers as picture
from wanbridge.pictures.headers import (
    Facts,
    data_uri,
    from_data_uri,
    inspect,
    media_type,
)
from wanbridge.storage.files import PictureFile, save


def drawn(size: tuple[int, int], form: str, mode: str = "RGB", **options: object) -> bytes:
    """A picture as Pillow writes it."""
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


def bitmap(header: bytes) -> bytes:
    """A BMP of that header, without pixels."""
    return struct.pack("<2sIHHI", b"BM", 14 + len(header), 0, 0, 14 + len(header)) + header


def exif(orientation: int) -> Image.Exif:
    facts = Image.Exif()
    facts[0x0112] = orientation
    return facts


KITE = drawn((40, 30), "PNG")
KITE_JPEG = drawn((40, 30), "JPEG")
THUMBNAIL = drawn((8, 6), "JPEG")

REAL = {
    "png": (drawn((61, 47), "PNG"), Facts("image/png", 61, 47)),
    "png palette": (drawn((61, 47), "PNG", "P"), Facts("image/png", 61, 47)),
    "png interlaced": (drawn((4097, 3), "PNG", "L"), Facts("image/png", 4097, 3)),
    "jpeg": (drawn((61, 47), "JPEG"), Facts("image/jpeg", 61, 47)),
    "jpeg progressive": (drawn((61, 47), "JPEG", progressive=True), Facts("image/jpeg", 61, 47)),
    "jpeg grey": (drawn((300, 47), "JPEG", "L"), Facts("image/jpeg", 300, 47)),
    "jpeg cmyk": (drawn((61, 47), "JPEG", "CMYK"), Facts("image/jpeg", 61, 47)),
    "jpeg with metadata": (
        drawn(
            (61, 47),
            "JPEG",
            exif=b"Exif\0\0" + THUMBNAIL + bytes(60_000),
            icc_profile=bytes(150_000),
            comment="a red kite \xff\xc0",
            dpi=(300, 300),
        ),
        Facts("image/jpeg", 61, 47),
    ),
    "jpeg turned": (drawn((61, 47), "JPEG", exif=exif(6)), Facts("image/jpeg", 61, 47)),
    "webp lossy": (drawn((61, 47), "WEBP"), Facts("image/webp", 61, 47)),
    "webp lossless": (drawn((61, 47), "WEBP", lossless=True), Facts("image/webp", 61, 47)),
    "webp extended": (drawn((61, 47), "WEBP", exif=exif(1)), Facts("image/webp", 61, 47)),
    "webp largest": (
        drawn((16383, 1), "WEBP", lossless=True),
        Facts("image/webp", 16383, 1),
    ),
    "bmp": (drawn((61, 47), "BMP"), Facts("image/bmp", 61, 47)),
    "bmp alpha": (drawn((61, 47), "BMP", "RGBA"), Facts("image/bmp", 61, 47)),
    "bmp from the top": (
        bitmap(struct.pack("<IiiHHIIiiII", 40, 61, -47, 1, 24, 0, 0, 0, 0, 0, 0)),
        Facts("image/bmp", 61, 47),
    ),
    "bmp of os/2 1": (
        bitmap(struct.pack("<IHHHH", 12, 61, 47, 1, 24)),
        Facts("image/bmp", 61, 47),
    ),
    "bmp of os/2 2": (
        bitmap(struct.pack("<IIIHH", 64, 61, 47, 1, 24) + bytes(48)),
        Facts("image/bmp", 61, 47),
    ),
    "gif": (drawn((61, 47), "GIF"), Facts("image/gif", 61, 47)),
    "gif 87": (b"GIF87a" + drawn((300, 2), "GIF")[6:], Facts("image/gif", 300, 2)),
}


@pytest.mark.parametrize("name", REAL)
def test_a_picture_tells_its_format_and_size(name: str) -> None:
    """Boxes, shapes and notes all rest on these numbers."""
    data, facts = REAL[name]

    assert facts == inspect(data)


@pytest.mark.parametrize("name", [n for n in REAL if "bmp of" not in n and "from the" not in n])
def test_pillow_reads_the_same(name: str) -> None:
    """The table above is not our own opinion."""
    data, facts = REAL[name]

    with Image.open(io.BytesIO(data)) as picture:
        assert (facts.width, facts.height) == picture.size
        assert facts.mime == picture.get_format_mimetype()


@pytest.mark.parametrize("name", REAL)
def test_a_cut_picture_never_tells_anything_wrong(name: str) -> None:
    """At every length: nothing, the format alone, or the truth; and more bytes never tell less."""
    data, facts = REAL[name]
    steps = [None, Facts(facts.mime, None, None), facts]

    seen = [inspect(data[:length]) for length in range(200)]

    told = [steps.index(step) for step in seen]
    assert sorted(told) == told
    assert 0 == told[0]
    assert 1 <= told[18]


@pytest.mark.parametrize("name", [n for n in REAL if not n.startswith("jpeg")])
def test_thirty_bytes_tell_the_size_except_of_a_jpeg(name: str) -> None:
    """What `measure` has to fetch at least."""
    data, facts = REAL[name]

    assert facts == inspect(data[:30])


def test_an_exif_orientation_is_not_applied() -> None:
    """Boxes are in stored pixels."""
    upright = drawn((61, 47), "JPEG", exif=exif(6))

    assert Facts("image/jpeg", 61, 47) == inspect(upright)


@pytest.mark.parametrize(
    "between", [b"\xff\xff\xff", b"\xff\x01", b"garbage", b"\xff\x00", b"\xff\xd0", b"\xff\xe5\0\2"]
)
def test_a_jpeg_is_read_past_what_stands_between_its_segments(between: bytes) -> None:
    """Fill bytes, markers without a length, and what decoders forgive."""
    odd = KITE_JPEG[:2] + b"\xff\xe1\0\4ok" + between + KITE_JPEG[2:]

    assert Facts("image/jpeg", 40, 30) == inspect(odd)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xda\0\4..\xff\xc0\0\x11\x08\0\x1e\0\x28",
        b"\xff\xd8\xff\xd9\xff\xc0\0\x11\x08\0\x1e\0\x28",
        b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\x28",
        b"\xff\xd8\xff\xc4\0\x11\x08\0\x1e\0\x28",
        b"\xff\xd8\xff\xe0\0\0\xff",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dCgBI" + bytes(8),
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(8),
        b"GIF89a\0\0\1\0",
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(30),
        b"RIFF\0\0\0\0WEBPVP8L" + bytes(30),
        b"RIFF\0\0\0\0WEBPANIM" + bytes(30),
        bitmap(struct.pack("<Iii", 40, -61, 47)),
    ],
)
def test_a_damaged_header_leaves_the_format_alone(data: bytes) -> None:
    """A size that is wrong would be worse than none."""
    facts = inspect(data)

    assert facts
    assert (None, None) == (facts.width, facts.height)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM",
        b"BMW drivers asked for a red kite",
        b"<!DOCTYPE html><title>502</title>",
        b'{"code": 404}',
        b"RIFF\0\0\0\0WAVEfmt ",
        b"II*\0" + bytes(40),
        b"%PDF-1.7",
        drawn((61, 47), "AVIF"),
    ],
)
def test_what_is_no_picture_for_a_provider_is_none(data: bytes) -> None:
    """Only the five formats that providers take."""
    assert inspect(data) is None


@given(
    st.sampled_from([b"", *{data[:n] for data, _ in REAL.values() for n in (4, 12, 16, 21, 26)}]),
    st.binary(max_size=300),
)
def test_no_bytes_make_it_raise(beginning: bytes, rest: bytes) -> None:
    """They come from the world."""
    facts = inspect(beginning + rest)

    assert facts is None or (facts.width is None) == (facts.height is None)
    assert facts is None or facts.width is None or facts.width > 0


@given(st.sampled_from(sorted(REAL)), st.integers(0, 199), st.integers(0, 255))
def test_a_flipped_byte_does_not_make_it_raise(name: str, at: int, value: int) -> None:
    """Transfers damage things."""
    data = bytearray(REAL[name][0][:400])
    data[at % len(data)] = value

    inspect(bytes(data))


@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "GIF"]), st.integers(1, 90), st.integers(1, 90)
)
def test_every_size_is_read_as_it_was_written(form: str, width: int, height: int) -> None:
    """Width and height are not exchanged, whatever the format."""
    facts = inspect(drawn((width, height), form))

    assert facts
    assert (width, height) == (facts.width, facts.height)


@pytest.mark.parametrize(
    ("mime", "extension"),
    [
        ("image/png", ".png"),
        ("image/jpeg", ".jpg"),
        ("image/webp", ".webp"),
        ("image/bmp", ".bmp"),
        ("image/gif", ".gif"),
        ("image/avif", ".avif"),
        ("image/x-unheard-of", ".bin"),
    ],
)
def test_a_format_has_its_extension(mime: str, extension: str) -> None:
    """For names that we make."""
    assert extension == Facts(mime, None, None).extension


def test_an_input_image_knows_its_size(tmp_path: Path) -> None:
    """`from_file` and `from_bytes` stand on this module."""
    (tmp_path / "kite.png").write_bytes(KITE)

    image = InputImage.from_file(tmp_path / "kite.png")

    assert (40, 30, "data") == (image.width, image.height, image.scheme)
    assert image.url
    assert (KITE, "image/png") == from_data_uri(image.url)


@given(st.binary(max_size=200), st.sampled_from(["image/png", "image/svg+xml", "image/x-ms.bmp"]))
def test_a_data_uri_comes_back_as_it_was(data: bytes, mime: str) -> None:
    """Whatever the padding."""
    assert (data, mime) == from_data_uri(data_uri(data, mime))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("data:image/png;base64,AAEC", (b"\0\1\2", "image/png")),
        ("data:image/PNG;name=kite.png;charset=utf-8;base64,AAEC", (b"\0\1\2", "image/png")),
        ("DATA:image/jpeg;BASE64,AA==", (b"\0", "image/jpeg")),
        ("data:image/png;base64,", (b"", "image/png")),
    ],
)
def test_a_data_uri_may_have_parameters(uri: str, expected: tuple[bytes, str]) -> None:
    """RFC 2397 allows them before the word base64."""
    assert expected == from_data_uri(uri)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("https://x/kite.png?token=s3cret", "'https://x/kite.png' is not the beginning of data:<"),
        ("data:image/png;base64", "is not the beginning of data:<type>/<subtype>;base64,<data>"),
        ("data:;base64,AAEC", "is not the beginning of data:<type>/<subtype>;base64,<data>"),
        ("data:png;base64,AAEC", "is not the beginning of"),
        ("data:image/png,AAEC", "'data:image/png': data: URIs of pictures are base64"),
        ("data:image/png;base64;a=b,AAEC", "are base64"),
        ("data:image/png;sha256,00ff", "only the SHA-256 of this picture was stored"),
        ("data:image/png;base64,AAE", "the payload is not base64: Incorrect padding"),
        ("data:image/png;base64,AAEC\n", "the payload is not base64: Only base64 data is allowed"),
        ("data:image/png;base64,AA%3D%3D", "the payload is not base64"),
        ("data:image/png;base64,_-8=", "the payload is not base64"),
        ("data:image/png;base64,====", "the payload is not base64"),
        ("data:image/png;base64,AA==AAEC", "the payload is not base64"),
        ("data:image/png;base64,AAÉC", "the payload is not base64: a character outside ASCII"),
        ("", "'' is not the beginning of"),
    ],
)
def test_a_broken_data_uri_says_why(uri: str, reason: str) -> None:
    """A ValueError of our own, without payload or signature."""
    with pytest.raises(ValueError) as caught:
        from_data_uri(uri)

    assert reason in str(caught.value)
    assert ValueError is type(caught.value)
    assert "AAE" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


URI_LETTERS = "dataimgepnbs64:/;,=+-_% \n\u00e9"


@given(st.text(URI_LETTERS, max_size=40), st.text(URI_LETTERS + "AQgw", max_size=30))
def test_no_text_makes_a_data_uri_raise_anything_else(beginning: str, payload: str) -> None:
    """Data URIs come from files and replies."""
    for uri in (
        beginning + payload,
        f"data:image/{beginning},{payload}",
        f"data:a/b;base64,{payload}",
    ):
        try:
            data, _ = from_data_uri(uri)
        except ValueError as exc:
            error: type[ValueError] | None = type(exc)
        else:
            error = None
            assert data == base64.b64decode(uri.partition(",")[2])
        assert error in (None, ValueError)


def listing(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and its content, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def in_pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    """As a transfer brings them."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [1, 7, 31, 32, 33, 10_000])
def test_a_picture_is_written_as_it_comes(tmp_path: Path, size: int) -> None:
    """Whatever the size of the pieces."""
    path = save(in_pieces(KITE, size), tmp_path / "kite.png", force=False)

    assert tmp_path / "kite.png" == path
    assert {"kite.png": KITE} == listing(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "written"),
    [
        ("kite.jpg", KITE, "kite.png"),
        ("kite", KITE, "kite.png"),
        ("kite.v2", KITE, "kite.v2.png"),
        ("kite 1.5", KITE_JPEG, "kite 1.5.jpg"),
        ("kite.txt", KITE, "kite.txt.png"),
        (".kite", KITE, ".kite.png"),
        ("kite.PNG", KITE, "kite.PNG"),
        ("kite.jpeg", KITE_JPEG, "kite.jpeg"),
        ("kite.png", KITE_JPEG, "kite.jpg"),
        ("kite.tar.webp", KITE, "kite.tar.png"),
        ("kite", drawn((9, 9), "WEBP"), "kite.webp"),
        ("kite", drawn((9, 9), "GIF"), "kite.gif"),
        ("kite", drawn((9, 9), "BMP"), "kite.bmp"),
        ("kite", drawn((9, 9), "AVIF"), "kite.avif"),
    ],
)
def test_the_extension_follows_the_content(
    tmp_path: Path, name: str, data: bytes, written: str
) -> None:
    """Providers send another format than asked for; viewers believe the name."""
    assert tmp_path / written == save([data], tmp_path / name, force=False)
    assert {written: data} == listing(tmp_path)


def test_a_picture_is_kept_even_without_a_readable_size(tmp_path: Path) -> None:
    """It is paid for."""
    beginning = KITE[:12]

    assert tmp_path / "kite.png" == save([beginning], tmp_path / "kite", force=False)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html>" + bytes(500), r"not a picture: it begins with b'<!DOCTYPE html>\\x00"),
        (b"no", r"not a picture: it begins with b'no'"),
        (b"", r"not a picture: it is empty"),
    ],
)
def test_what_is_no_picture_is_not_written(
    tmp_path: Path, data: bytes, said: str, force: bool
) -> None:
    """An error page under the name of a picture helps nobody."""
    with pytest.raises(ValueError, match=said):
        save(in_pieces(data), tmp_path / "kite.png", force=force)

    assert {} == listing(tmp_path)


def test_an_error_page_ends_the_transfer_early(tmp_path: Path) -> None:
    """Not a byte more than needed is fetched."""
    pieces = iter([b"<html>" * 10, b"never", b"fetched"])

    with pytest.raises(ValueError, match="begins with"):
        save(pieces, tmp_path / "kite.png", force=False)

    assert [b"never", b"fetched"] == list(pieces)


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    """The picture that is there may be the only copy; the transfer ends at its first bytes."""
    (tmp_path / "kite.png").write_bytes(b"the first")
    pieces = in_pieces(KITE)

    with pytest.raises(FileExistsError, match=r"without force: '.*kite\.png'"):
        save(pieces, tmp_path / "kite.jpg", force=False)

    assert {"kite.png": b"the first"} == listing(tmp_path)
    assert list(pieces)


def test_a_dangling_link_counts_as_there(tmp_path: Path) -> None:
    """Writing through it would put the picture somewhere else."""
    (tmp_path / "kite.png").symlink_to(tmp_path / "nowhere")

    with pytest.raises(FileExistsError):
        save([KITE], tmp_path / "kite.png", force=False)

    assert {} == listing(tmp_path)


def test_force_replaces(tmp_path: Path) -> None:
    """As asked, and only the file of the final name."""
    (tmp_path / "kite.png").write_bytes(b"the first")
    (tmp_path / "kite.jpg").write_bytes(b"another")

    save([KITE], tmp_path / "kite.jpg", force=True)

    assert {"kite.png": KITE, "kite.jpg": b"another"} == listing(tmp_path)


@contextmanager
def without_hard_links(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file system like FAT."""

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        yield


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory cards have none."""
    with without_hard_links(monkeypatch):
        save([KITE], tmp_path / "kite.png", force=False)

    assert {"kite.png": KITE} == listing(tmp_path)


@pytest.mark.parametrize("links", [True, False])
def test_a_name_taken_meanwhile_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Looking first is not enough: another program may write between the look and the rename."""
    with PictureFile(tmp_path / "kite.png", force=False) as file:
        file.write(KITE)
        (tmp_path / "kite.png").write_bytes(b"quicker")
        if links:
            with pytest.raises(FileExistsError, match=r"kite\.png"):
                file.commit()
        else:
            with without_hard_links(monkeypatch), pytest.raises(FileExistsError, match="kite"):
                file.commit()

    assert {"kite.png": b"quicker"} == listing(tmp_path)


def test_of_many_at_once_one_wins(tmp_path: Path) -> None:
    """Threads and processes may be given the same name."""
    pictures = [drawn((40, 30), "PNG", "L", compress_level=level) for level in range(8)]
    start, outcomes = threading.Barrier(8), list[str]()

    def one(data: bytes) -> None:
        with PictureFile(tmp_path / "kite.png", force=False) as file:
            file.write(data)
            start.wait()
            try:
                outcomes.append(file.commit().name)
            except FileExistsError:
                outcomes.append("refused")

    threads = [threading.Thread(target=one, args=(data,)) for data in pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["kite.png", *["refused"] * 7] == sorted(outcomes)
    assert ["kite.png"] == list(listing(tmp_path))
    assert listing(tmp_path)["kite.png"] in pictures


def test_a_rename_that_fails_gives_the_name_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the name had to be taken first, no empty file may stay under it."""
    with PictureFile(tmp_path / "kite.png", force=False) as file:
        file.write(KITE)
        (part,) = tmp_path.iterdir()
        part.unlink()
        with without_hard_links(monkeypatch), pytest.raises(FileNotFoundError):
            file.commit()

    assert {} == listing(tmp_path)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_a_broken_transfer_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """Neither half a picture nor a temporary file."""

    def broken() -> Iterator[bytes]:
        yield KITE[:50]
        assert 1 == len(listing(tmp_path))
        raise error

    with pytest.raises(error):
        save(broken(), tmp_path / "kite.png", force=True)

    assert {} == listing(tmp_path)


def test_a_block_left_without_commit_leaves_nothing(tmp_path: Path) -> None:
    """Not committing is giving up."""
    with PictureFile(tmp_path / "kite.png", force=False) as file:
        file.write(KITE)
        assert "kite.png" not in listing(tmp_path)

    assert {} == listing(tmp_path)


def test_what_force_would_replace_survives_a_failure(tmp_path: Path) -> None:
    """The old picture goes only when the new one is complete."""
    (tmp_path / "kite.png").write_bytes(b"the first")

    with pytest.raises(ValueError, match="begins with"):
        save([b"<html>" * 99], tmp_path / "kite.png", force=True)

    assert {"kite.png": b"the first"} == listing(tmp_path)


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The error is the disk's, though closing the file fails as well."""
    resource = pytest.importorskip("resource", reason="POSIX only")
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            save([KITE, bytes(2000)], tmp_path / "kite.png", force=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))

    assert {} == listing(tmp_path)


def test_an_async_client_can_feed_it(tmp_path: Path) -> None:
    """No thread, no callback: `write` and `commit` are enough."""

    async def fetched() -> Path:
        with PictureFile(tmp_path / "kite", force=False) as file:
            for piece in in_pieces(KITE):
                await asyncio.sleep(0)
                file.write(piece)
            return file.commit()

    assert tmp_path / "kite.png" == asyncio.run(fetched())
    assert {"kite.png": KITE} == listing(tmp_path)


def test_a_restarted_transfer_begins_anew(tmp_path: Path) -> None:
    """A line that broke after the first bytes; the second answer may even be of another format."""
    with PictureFile(tmp_path / "kite", force=False) as file:
        file.write(KITE + bytes(5000))
        file.restart()
        file.write(KITE_JPEG)
        file.commit()

    assert {"kite.jpg": KITE_JPEG} == listing(tmp_path)


def test_a_second_commit_is_refused(tmp_path: Path) -> None:
    """There is nothing left to rename."""
    with PictureFile(tmp_path / "kite.png", force=True) as file:
        file.write(KITE)
        file.commit()
        with pytest.raises(ValueError, match="closed file"):
            file.commit()

    assert {"kite.png": KITE} == listing(tmp_path)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """As if the user had written the file, not readable by more and not by fewer."""
    before = os.umask(umask)
    try:
        path = save([KITE], tmp_path / "kite.png", force=False)
    finally:
        os.umask(before)

    assert mode == stat.S_IMODE(path.stat().st_mode)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """Not the temporary file, which says nothing to anybody."""
    with pytest.raises(FileNotFoundError) as caught:
        save([KITE], tmp_path / "missing" / "kite.png", force=False)

    assert str(tmp_path / "missing") == caught.value.filename
    assert ".part" not in str(caught.value)


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    """The same for a parent that is a file."""
    (tmp_path / "kites").write_bytes(b"")

    with pytest.raises(NotADirectoryError) as caught:
        save([KITE], tmp_path / "kites" / "kite.png", force=False)

    assert str(tmp_path / "kites") == caught.value.filename


@pytest.mark.parametrize("name", ["", "sub", "sub/..", "sub/."])
def test_a_directory_is_no_file_name(tmp_path: Path, name: str) -> None:
    """`kites` would else become `kites.png` beside the directory that was meant."""
    (tmp_path / "sub").mkdir()

    with pytest.raises(IsADirectoryError, match="A directory, not a file name"):
        save([KITE], tmp_path / name, force=True)

    assert {} == listing(tmp_path)


def test_force_does_not_replace_a_directory(tmp_path: Path) -> None:
    """The name that follows the content may be one."""
    (tmp_path / "kite.png").mkdir()

    with pytest.raises(IsADirectoryError):
        save([KITE], tmp_path / "kite", force=True)

    assert {} == listing(tmp_path)


@pytest.mark.parametrize("force", [False, True])
def test_a_name_too_long_leaves_nothing(tmp_path: Path, force: bool) -> None:
    """The temporary file has a short name of its own."""
    with pytest.raises(OSError, match="too long"):
        save([KITE], tmp_path / ("k" * 300), force=force)

    assert {} == listing(tmp_path)


def test_a_directory_that_takes_no_files_is_named() -> None:
    """A PermissionError about the directory, not about a temporary file."""
    with enterable() as folder:
        folder.chmod(0o555)

        with unprivileged(), pytest.raises(PermissionError) as caught:
            save([KITE], folder / "kite.png", force=False)

        assert str(folder) == caught.value.filename
        assert {} == listing(folder)


def test_a_delivered_image_saves_itself(tmp_path: Path) -> None:
    """`Image.save` is this module's `save`."""
    image = Delivered(data=KITE)

    assert tmp_path / "kite.png" == image.save(tmp_path / "kite.jpg")
    assert tmp_path / "kite.png" == image.save(tmp_path / "kite.jpg", force=True)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "image/avif"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1heic", "image/avif"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic", None),  # heic is behind the box
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42heic", None),
        (b"II*\0\x08\0\0\0", "image/tiff"),
        (b"MM\0*\0\0\0\x08", "image/tiff"),
        (b"MM\0+\0\x08\0\0", "image/tiff"),
        (KITE, "image/png"),
        (b"", None),
    ],
)
def test_formats_that_only_fitting_reads_are_known(data: bytes, mime: str | None) -> None:
    """So that their refusal can say what they are; `inspect` gives no facts of them."""
    assert mime == media_type(data)
    assert (inspect(data) is None) is (mime != "image/png")


@pytest.mark.parametrize("count", range(7))
def test_a_uri_s_bytes_are_counted_without_decoding(count: int) -> None:
    """Padding is none of them."""
    assert count == picture.data_bytes(picture.data_uri(b"x" * count, "image/png"))


def test_only_the_beginning_of_a_uri_is_looked_at() -> None:
    """Twenty megabytes are not decoded for a header; what follows may be anything."""
    uri = picture.data_uri(b"x" * 1000, "image/png")

    assert b"x" * 30 == picture.data_beginning(f"{uri[:200]}???", 30)
    assert b"x" * 1000 == picture.data_beginning(uri)
    with pytest.raises(ValueError, match="only the SHA-256"):
        picture.data_beginning("data:image/png;sha256,00ff")
