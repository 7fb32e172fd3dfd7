"""What comes of odd pictures when they are fitted, seen on pixels."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from odd_pictures import (
    GROUND,
    ODD,
    PATCH,
    RED,
    SIZE,
    STORED,
    drawn,
    exchanged_profile,
    exif,
    file_of,
    heic,
    odd,
    png,
    turned,
)
from wanbridge.pictures import fit as fitting
from wanbridge.pictures.fit import FittedPicture, fit_picture

WHITE = (255, 255, 255)
JPEG_AGAIN = "encoded again as JPEG, quality 95"
UPRIGHT = "turned upright by its orientation 6 of EXIF"
FIRST = "the first frame of an animation"
# What is done to each of `ODD`; text: why it is none.
DONE: dict[str, tuple[str, ...] | str] = {
    "png of 16 bits": ("16 to 8 bits a channel",),
    "png of 16 bits, grey": ("16 to 8 bits a channel",),
    "jpeg of cmyk": ("CMYK to sRGB", JPEG_AGAIN),
    "jpeg with a profile": ("the colours of its profile to sRGB", JPEG_AGAIN),
    "mpo": ("the first of several pictures (MPO)", JPEG_AGAIN),
    "apng": (FIRST,),
    "animated webp": (FIRST, "from WEBP to PNG"),
    "animated gif": (FIRST, "from GIF to PNG"),
    "gif": ("from GIF to PNG",),
    "turned jpeg": (UPRIGHT, JPEG_AGAIN),
    "turned webp": (UPRIGHT, "from WEBP to PNG"),
    "png with alpha": ("alpha laid on white",),
    "webp with alpha": ("alpha laid on white", "from WEBP to PNG"),
    "palette": (),
    "palette with a transparent colour": ("alpha laid on white",),
    "1 px": (),
    "9,000 px": ("scaled from 9000x1500 to 8000x1333 px",),
    "heic": ("from HEIC to JPEG, quality 95",),
    "avif": ("from AVIF to JPEG, quality 95",),
    "tiff": ("from TIFF to PNG",),
    "bmp": ("from BMP to PNG",),
    "polyglot": (),
    "cut png": "a damaged or cut PNG picture: ",
    "cut jpeg": "a damaged or cut JPEG picture: ",
    "zero bytes": "not a PNG, JPEG, WEBP, BMP or GIF picture, but empty",
    "svg": "not a PNG, JPEG, WEBP, BMP or GIF picture, but an SVG drawing",
    "html": "not a PNG, JPEG, WEBP, BMP or GIF picture, but an HTML page",
    "huge header": "60000x60000 px by its header; at most 200 megapixels are decoded",
}
TAKEN = [name for name, done in DONE.items() if isinstance(done, tuple)]
# Of those that show the patch, the colour around it.
AROUND = dict.fromkeys(TAKEN, GROUND)
for plain in ("1 px", "9,000 px", "png of 16 bits", "png of 16 bits, grey"):
    del AROUND[plain]
AROUND |= {"png with alpha": WHITE, "webp with alpha": WHITE}
AROUND |= {"palette with a transparent colour": WHITE}


def opened(fitted: FittedPicture) -> Image.Image:
    """The picture, as whoever knows nothing of EXIF sees it."""
    return Image.open(io.BytesIO(fitted.data))


def near(expected: tuple[int, ...], seen: object, most: int = 14) -> bool:
    assert isinstance(seen, tuple)
    return all(abs(a - b) <= most for a, b in zip(expected, seen, strict=True))


def corners_inside(box: tuple[int, int, int, int], margin: int = 4) -> list[tuple[int, int]]:
    """Pixels near the corners of *box*: inside, or outside for a negative *margin*."""
    x1, y1, x2, y2 = box
    return [(x, y) for x in (x1 + margin, x2 - 1 - margin) for y in (y1 + margin, y2 - 1 - margin)]


def test_every_odd_picture_has_an_answer() -> None:
    """The table of expectations is the table of pictures."""
    assert set(ODD) == set(DONE)


@pytest.mark.parametrize("name", TAKEN)
def test_an_odd_picture_is_made_acceptable(name: str) -> None:
    """Upright PNG, JPEG or WEBP of one frame, 8 bits, opaque; what was done to it is said."""
    fitted = fit_picture(odd(name))

    assert DONE[name] == fitted.changes
    with opened(fitted) as picture:
        assert Image.MIME[picture.format or ""] == fitted.mime
        assert fitted.mime in ("image/png", "image/jpeg")
        assert (fitted.width, fitted.height) == picture.size
        assert 1 == getattr(picture, "n_frames", 1)
        assert picture.mode in ("L", "RGB", "P")
        assert not picture.has_transparency_data
        assert 1 == picture.getexif().get(0x0112, 1)
        assert not picture.info.get("icc_profile")
        assert max(picture.size) <= 8000


@pytest.mark.parametrize("name", TAKEN)
def test_a_picture_that_is_acceptable_stays_byte_for_byte(name: str) -> None:
    """Also one that was made so: fitting twice is fitting once."""
    once = fit_picture(odd(name))
    twice = fit_picture(once.data)

    assert () == twice.changes
    assert once.data == twice.data
    assert (once.data == odd(name)) is (() == DONE[name])


@pytest.mark.parametrize("name", TAKEN)
def test_the_same_bytes_give_the_same_bytes(name: str) -> None:
    """A digest of the request must not change between two runs."""
    assert fit_picture(odd(name)) == fit_picture(bytes(bytearray(odd(name))))


@pytest.mark.parametrize("name", AROUND)
def test_the_content_is_the_same(name: str) -> None:
    """The patch is where it is on the upright original, in its colours; what was clear is white."""
    fitted = fit_picture(odd(name))
    red, around = RED, AROUND[name]
    if name == "jpeg with a profile":  # which says that red is green
        red, around = (RED[1], RED[0], RED[2]), (GROUND[1], GROUND[0], GROUND[2])

    with opened(fitted).convert("RGB") as picture:
        assert SIZE == picture.size
        for at in corners_inside(PATCH):
            assert near(red, picture.getpixel(at)), picture.getpixel(at)
        for at in corners_inside(PATCH, -5):
            assert near(around, picture.getpixel(at)), picture.getpixel(at)


@pytest.mark.parametrize("name", [name for name in DONE if name not in TAKEN])
def test_what_is_no_whole_picture_is_told_in_one_line(name: str) -> None:
    """A generation that fails on it would cost money and time."""
    with pytest.raises(ValueError) as caught:
        fit_picture(odd(name))

    assert str(caught.value).startswith(str(DONE[name]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_a_turned_picture_is_upright_afterwards(form: str, orientation: int) -> None:
    """All eight orientations; a box on the upright original is on the same content."""
    stored, facts = turned(orientation), exif(orientation)
    if form == "HEIC":
        data = heic(stored, exif=facts.tobytes())
    else:
        data = file_of(
            stored, form, exif=facts, **{} if form in ("PNG", "TIFF") else {"quality": 95}
        )

    fitted = fit_picture(data)

    assert SIZE == fitted.original == (fitted.width, fitted.height)
    assert PATCH == fitted.scaled(PATCH)
    with opened(fitted).convert("RGB") as picture:
        assert all(near(RED, picture.getpixel(at)) for at in corners_inside(PATCH))
        assert all(near(GROUND, picture.getpixel(at)) for at in corners_inside(PATCH, -5))


def test_an_upright_picture_with_exif_stays_as_it_is() -> None:
    """Orientation 1 is what most programs write."""
    data = file_of(drawn(), "JPEG", exif=exif(1))

    assert data == fit_picture(data).data


@pytest.mark.parametrize(
    ("size", "orientation", "form"),
    [
        ((9000, 500), 1, "PNG"),
        ((9000, 500), 1, "JPEG"),
        ((9000, 500), 6, "JPEG"),
        ((17_000, 600), 8, "JPEG"),  # which is decoded to half its size
        ((600, 17_000), 3, "JPEG"),
    ],
)
def test_a_box_is_scaled_with_its_picture(
    size: tuple[int, int], orientation: int, form: str
) -> None:
    """It lies on the same content, and covers all of it: the patch is nowhere outside."""
    across, down = size
    patch = (across // 3, down // 3, across // 2, down // 2)
    stored = turned(orientation, drawn(size, patch))
    options = {"quality": 95} if form == "JPEG" else {}

    fitted = fit_picture(file_of(stored, form, exif=exif(orientation), **options))

    assert size == fitted.original
    assert 8000 == max(fitted.width, fitted.height)
    x1, y1, x2, y2 = box = fitted.scaled(patch)
    assert 0 <= x1 < x2 <= fitted.width
    assert 0 <= y1 < y2 <= fitted.height
    with opened(fitted).convert("RGB") as picture:
        assert all(near(RED, picture.getpixel(at)) for at in corners_inside(box))
        assert all(near(GROUND, picture.getpixel(at)) for at in corners_inside(box, -5))


@given(
    st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)),
    st.tuples(st.integers(0, 2**31), st.integers(0, 2**31)),
    st.floats(0, 1, exclude_min=True),
)
def test_a_scaled_box_is_a_box_inside_the_picture(
    original: tuple[int, int], seed: tuple[int, int], share: float
) -> None:
    """However far it is scaled: x1 < x2 and y1 < y2, and the whole is the whole."""
    (across, down), chance = original, random.Random(str(seed))
    left, top = chance.randrange(across), chance.randrange(down)
    box = (left, top, chance.randint(left + 1, across), chance.randint(top + 1, down))
    width, height = max(1, int(across * share)), max(1, int(down * share))
    fitted = FittedPicture(
        data=b"", mime="image/png", width=width, height=height, original=original, changes=()
    )

    x1, y1, x2, y2 = fitted.scaled(box)

    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    assert (0, 0, width, height) == fitted.scaled((0, 0, across, down))


def test_bits_are_taken_from_the_top() -> None:
    """16 bits a channel become the upper eight, not the lower, which would be noise."""
    grey = opened(fit_picture(odd("png of 16 bits, grey")))
    tiff = opened(fit_picture(file_of(Image.new("I;16", (300, 300), 40_000), "TIFF")))
    row = struct.pack(">3H", 40_000, 20_000, 256) * 300
    colours = opened(fit_picture(png(300, 300, 16, 2, row)))

    assert 156 == grey.getpixel((5, 5)) == tiff.getpixel((5, 5))
    assert (156, 78, 1) == colours.getpixel((5, 5))


def test_a_transparent_colour_of_16_bits_is_white() -> None:
    """Its value counts in the bits of the file."""
    stored = Image.new("I;16", SIZE, 40_000)
    stored.paste(Image.new("I;16", (96, 64), 9_000), PATCH)

    picture = opened(fit_picture(file_of(stored, "PNG", transparency=9_000)))

    assert 255 == picture.getpixel((PATCH[0] + 1, PATCH[1] + 1))
    assert 156 == picture.getpixel((0, 0))


def test_a_profile_that_is_srgb_changes_nothing() -> None:
    """Most cameras and programs embed one; so do some that is damaged, which says nothing."""
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all" * 20):
        for stored in (drawn(), drawn().convert("L"), drawn().quantize(8)):
            form = "PNG" if stored.mode == "P" else "JPEG"
            data = file_of(stored, form, icc_profile=profile)

            assert data == fit_picture(data).data


def test_a_palette_is_converted_by_its_profile() -> None:
    """Colours of a palette have profiles too."""
    data = file_of(drawn().quantize(8), "PNG", icc_profile=exchanged_profile())

    picture = opened(fit_picture(data)).convert("RGB")

    assert near((RED[1], RED[0], RED[2]), picture.getpixel((PATCH[0] + 1, PATCH[1] + 1)))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_that_have_no_picture_of_8_bits_are_refused(mode: str) -> None:
    """Measurements of 32 bits have no white; guessing one would change the picture."""
    with pytest.raises(ValueError, match=f"not read \\({mode}\\); save the TIFF in 8 or 16 bits"):
        fit_picture(file_of(Image.new(mode, SIZE), "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr", "RGBX"])
def test_kinds_of_pixels_that_a_tiff_may_have(mode: str) -> None:
    """Print shops and scanners write them."""
    fitted = fit_picture(file_of(drawn().convert(mode), "TIFF"))

    with opened(fitted) as picture:
        assert "PNG" == picture.format
        assert picture.mode in ("1", "L", "RGB")


def noise(size: tuple[int, int]) -> Image.Image:
    """Which no format makes shorter."""
    return Image.frombytes("RGB", size, random.Random(7).randbytes(3 * size[0] * size[1]))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """The limit of 20 MB, lowered so that small pictures exceed it."""
    monkeypatch.setattr(fitting, "BYTES_MAX", 60_000)
    return 60_000


@pytest.mark.parametrize(
    ("size", "form", "changes"),
    [
        ((180, 150), "PNG", ("from PNG to JPEG, quality 95",)),
        ((290, 210), "JPEG", ("encoded again as JPEG, quality 90",)),
        ((400, 300), "PNG", ("scaled from 400x300 to ", "from PNG to JPEG, quality 80")),
    ],
)
def test_a_file_that_is_too_long_becomes_shorter(
    size: tuple[int, int], form: str, changes: tuple[str, ...], short: int
) -> None:
    """First by compression, then by size."""
    data = file_of(noise(size), form, **{"quality": 100} if form == "JPEG" else {})
    assert len(data) > short

    fitted = fit_picture(data)

    assert len(fitted.data) <= short
    assert len(changes) == len(fitted.changes)
    assert all(
        said.startswith(change) for said, change in zip(fitted.changes, changes, strict=True)
    )
    assert () == fit_picture(fitted.data).changes


@pytest.mark.parametrize("form", ["HEIC", "AVIF", "TIFF", "GIF", "BMP", "WEBP"])
def test_a_bomb_is_refused_by_its_header(form: str) -> None:
    """60,000 x 60,000 pixels would be 11 GB; the file says so before anything is decoded."""
    if form in ("HEIC", "AVIF"):
        data = bytearray(heic(drawn()) if form == "HEIC" else file_of(drawn(), form))
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", 16_000, 15_000)
    elif form == "TIFF":
        data = bytearray(file_of(drawn(), form))
        for tag in (256, 257):
            at = data.index(struct.pack("<HHI", tag, 4, 1)) + 8
            data[at : at + 4] = struct.pack("<I", 60_000)
    else:
        data = bytearray(odd(form.lower()) if form != "WEBP" else odd("animated webp"))
        where, layout = {"GIF": (6, "<HH"), "BMP": (18, "<ii"), "WEBP": (24, "<HBHB")}[form]
        sides = (16_000, 0, 15_000, 0) if form == "WEBP" else (60_000, 60_000)
        data[where : where + struct.calcsize(layout)] = struct.pack(layout, *sides)

    with pytest.raises(ValueError, match="px by its header; at most 200 megapixels are decoded"):
        fit_picture(bytes(data))


def test_pillows_settings_of_the_process_are_left_alone() -> None:
    """No opener is registered, no bound or tolerance changed, no warning given by our own bound."""
    formats, bound = set(Image.OPEN), Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = 1000  # of a caller that is careful; it is not asked
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name in ("heic", "turned jpeg", "gif", "png with alpha"):
                fit_picture(odd(name))
        assert 1000 == Image.MAX_IMAGE_PIXELS
    finally:
        Image.MAX_IMAGE_PIXELS = bound

    assert not {"HEIF", "HEIC"} & (set(Image.OPEN) - formats)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_bound_of_the_process_that_pillow_keeps_inside_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A TIFF's strips and a WEBP are measured by Pillow too; such a picture is not damaged."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)

    with pytest.raises(ValueError, match=r"than PIL\.Image\.MAX_IMAGE_PIXELS"):
        fit_picture(odd("tiff"))


@pytest.mark.parametrize(("absent", "name"), [("PIL", "png with alpha"), ("pillow_heif", "heic")])
def test_a_missing_library_has_its_remedy(
    absent: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named, not only the module."""
    data = odd(name)
    for module in [m for m in sys.modules if m.partition(".")[0] == absent]:
        monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ImportError, match=f"{absent}.*pip install 'wanbridge\\[images\\]'"):
        fit_picture(data)


@pytest.mark.parametrize("name", ["turned jpeg", "animated gif", "tiff", "heic", "avif"])
def test_damage_anywhere_is_a_value_error(name: str) -> None:
    """Whatever a decoder raises, or a picture: nothing else comes out."""
    chance = random.Random(name)
    whole = odd(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(40):
            data = bytearray(whole[: chance.randint(12, len(whole))])
            for _ in range(chance.randint(0, 6)):
                data[chance.randrange(12, len(data))] = chance.randrange(256)
            with contextlib.suppress(ValueError):
                fit_picture(bytes(data))
