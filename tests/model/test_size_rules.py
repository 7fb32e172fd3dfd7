"""Tier and ratio to pixels: the rule, the pinned table of its results, and what is refused."""

from __future__ import annotations

import pickle
from fractions import Fraction
from functools import cache
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from wanbridge.model.inputs import InputImage
from wanbridge.model.size import RESOLUTIONS, Size
from wanbridge.model.size_rules import (
    AREAS,
    Pixels,
    SizeLimits,
    SizeUnsupported,
    ratio_of,
    rectangle,
    resolve,
)

RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "5:4", "4:5", "8:1", "1:8")

ALIBABA = (
    "https://www.alibabacloud.com/help/en/model-studio/"
    "wan-image-generation-and-editing-api-reference, read 2026-11-20"
)
SIDES_2048 = SizeLimits(
    tiers=("1K", "2K"),
    min_side=768,
    max_side=2048,
    exact_step=16,
    source="https://runware.ai/docs/models/alibaba-wan2-7-image, read 2026-11-20",
)
SIDES_4096 = SizeLimits(
    tiers=("1K", "2K", "4K"),
    min_side=768,
    max_side=4096,
    exact_step=16,
    source="https://runware.ai/docs/models/alibaba-wan2-7-image-pro, read 2026-11-20",
)
AREA_2048 = SizeLimits(tiers=("1K", "2K"), min_area=768**2, max_area=2048**2, source=ALIBABA)
AREA_4096 = SizeLimits(tiers=("1K", "2K", "4K"), min_area=768**2, max_area=4096**2, source=ALIBABA)
UNLIMITED = SizeLimits(tiers=RESOLUTIONS, source=ALIBABA)

# Who has which, all read 2026-11-20: Runware's two pages as above; EmpirioLabs' page of
# wan2-7-image (custom_width, custom_height), which has no step; DashScope's page above; GCCAI's
# page of wan2.7-image; reAPI gives no numbers of its own, so the upstream model's.
USED = {
    "runware standard": SIDES_2048,
    "runware pro text": SIDES_4096,
    "runware pro with images": SIDES_2048,
    "empiriolabs pro text": evolve(SIDES_4096, exact_step=1),
    "empiriolabs else": evolve(SIDES_2048, exact_step=1),
    "dashscope, reapi, gccai pro text": AREA_4096,
    "dashscope, reapi, gccai else": AREA_2048,
}

# One column a tier that is sold: 1K, 2K, 4K. None: no such size. Made once by `rectangle`; the
# tests below hold it against a search through all pairs.
TABLE: dict[tuple[str, ...], dict[str, tuple[str | None, ...]]] = {
    ("runware standard", "runware pro with images", "empiriolabs else"): {
        "1:1": ("1024x1024", "2048x2048"),
        "16:9": ("1360x768", "2048x1152"),
        "9:16": ("768x1360", "1152x2048"),
        "4:3": ("1168x880", "2048x1536"),
        "3:4": ("880x1168", "1536x2048"),
        "3:2": ("1248x832", "2016x1344"),
        "2:3": ("832x1248", "1344x2016"),
        "21:9": (None, "2016x864"),
        "5:4": ("1120x896", "2000x1600"),
        "4:5": ("896x1120", "1600x2000"),
        "8:1": (None, None),
        "1:8": (None, None),
    },
    ("runware pro text", "empiriolabs pro text"): {
        "1:1": ("1024x1024", "2048x2048", "4096x4096"),
        "16:9": ("1360x768", "2704x1520", "4096x2304"),
        "9:16": ("768x1360", "1520x2704", "2304x4096"),
        "4:3": ("1168x880", "2352x1760", "4096x3072"),
        "3:4": ("880x1168", "1760x2352", "3072x4096"),
        "3:2": ("1248x832", "2496x1664", "4080x2720"),
        "2:3": ("832x1248", "1664x2496", "2720x4080"),
        "21:9": (None, "3104x1328", "4032x1728"),
        "5:4": ("1120x896", "2240x1792", "4080x3264"),
        "4:5": ("896x1120", "1792x2240", "3264x4080"),
        "8:1": (None, None, None),
        "1:8": (None, None, None),
    },
    ("dashscope, reapi, gccai else",): {
        "1:1": ("1024x1024", "2048x2048"),
        "16:9": ("1360x768", "2704x1520"),
        "9:16": ("768x1360", "1520x2704"),
        "4:3": ("1168x880", "2352x1760"),
        "3:4": ("880x1168", "1760x2352"),
        "3:2": ("1248x832", "2496x1664"),
        "2:3": ("832x1248", "1664x2496"),
        "21:9": ("1536x656", "3104x1328"),
        "5:4": ("1120x896", "2240x1792"),
        "4:5": ("896x1120", "1792x2240"),
        "8:1": ("2848x368", "5760x720"),
        "1:8": ("368x2848", "720x5760"),
    },
    ("dashscope, reapi, gccai pro text",): {
        "1:1": ("1024x1024", "2048x2048", "4096x4096"),
        "16:9": ("1360x768", "2704x1520", "5376x3024"),
        "9:16": ("768x1360", "1520x2704", "3024x5376"),
        "4:3": ("1168x880", "2352x1760", "4672x3504"),
        "3:4": ("880x1168", "1760x2352", "3504x4672"),
        "3:2": ("1248x832", "2496x1664", "4992x3328"),
        "2:3": ("832x1248", "1664x2496", "3328x4992"),
        "21:9": ("1536x656", "3104x1328", "6160x2640"),
        "5:4": ("1120x896", "2240x1792", "4560x3648"),
        "4:5": ("896x1120", "1792x2240", "3648x4560"),
        "8:1": ("2848x368", "5760x720", "11520x1440"),
        "1:8": ("368x2848", "720x5760", "1440x11520"),
    },
}

PINNED = [
    (who, tier, ratio, cells[column])
    for names, rows in TABLE.items()
    for who in names
    for column, tier in enumerate(USED[who].tiers)
    for ratio, cells in rows.items()
]


def pixels(found: tuple[int, int] | None) -> str | None:
    return found and f"{found[0]}x{found[1]}"


@cache
def pairs_inside(tier: str, limits: SizeLimits) -> list[tuple[int, int]]:
    """Every pair of multiples within the limits, whatever its ratio to the asked one."""
    area = min(AREAS[tier], limits.max_area or AREAS[tier])
    longest, shortest = limits.max_ratio.as_integer_ratio()
    side = limits.max_side or area
    sides = range(limits.step * -(-limits.min_side // limits.step), side + 1, limits.step)
    found = []
    for width in sides:
        if width * width * shortest > area * longest:
            break
        for height in sides:
            if width * height > area or height * shortest > width * longest:
                break
            if width * shortest <= height * longest and width * height >= limits.min_area:
                found.append((width, height))
    return found


def by_search(tier: str, ratio: Fraction, limits: SizeLimits) -> tuple[int, int] | None:
    """The rule as its text says it, sentence by sentence, over all pairs."""
    if not 1 / limits.max_ratio <= ratio <= limits.max_ratio or tier not in limits.tiers:
        return None
    ideals = [Fraction(AREAS[tier])]
    if limits.max_area is not None:
        ideals.append(Fraction(limits.max_area))
    if limits.max_side is not None:
        ideals += [limits.max_side * limits.max_side / ratio, limits.max_side**2 * ratio]
    num, den = min(ideals).as_integer_ratio()
    large = [(w, h) for w, h in pairs_inside(tier, limits) if 100 * w * h * den >= 95 * num]
    wide, high = ratio.as_integer_ratio()
    near = [
        (w, h)
        for w, h in large
        if 100 * w * high <= 105 * h * wide and 100 * h * wide <= 105 * w * high
    ]
    apart = {(w, h): max(Fraction(w, h) / ratio, ratio / Fraction(w, h)) for w, h in near}
    first = 0 if ratio >= 1 else 1
    return min(near, key=lambda p: (apart[p], -p[0] * p[1], -p[first]), default=None)


@pytest.mark.parametrize(("who", "tier", "ratio", "expected"), PINNED)
def test_a_size_stays_what_it_was(who: str, tier: str, ratio: str, expected: str | None) -> None:
    """A change of the rule changes what people are sold; it has to show in this table."""
    assert expected == pixels(rectangle(tier, ratio_of(ratio), USED[who]))


@pytest.mark.parametrize(("names", "rows"), TABLE.items())
def test_the_table_is_what_a_search_through_all_pairs_finds(
    names: tuple[str, ...], rows: dict[str, tuple[str | None, ...]]
) -> None:
    """The fast way and the rule's own words give the same."""
    limits = USED[names[0]]

    assert rows == {
        ratio: tuple(pixels(by_search(tier, ratio_of(ratio), limits)) for tier in limits.tiers)
        for ratio in RATIOS
    }


def test_the_table_covers_every_limit_in_use() -> None:
    """A provider left out would be free to change."""
    assert set(USED) == {who for names in TABLE for who in names}
    assert {RATIOS} == {tuple(rows) for rows in TABLE.values()}


def test_the_documented_examples_hold() -> None:
    """The sizes that the module's own text promises."""
    assert (2048, 2048) == rectangle("2K", Fraction(1), UNLIMITED)
    assert (2704, 1520) == rectangle("2K", Fraction(16, 9), UNLIMITED)
    assert (2048, 1152) == rectangle("2K", Fraction(16, 9), SIDES_2048)
    assert (4080, 2720) == rectangle("4K", Fraction(3, 2), SIDES_4096)
    assert (5376, 3024) == rectangle("4K", Fraction(16, 9), AREA_4096)
    assert (1360, 768) == rectangle("1K", Fraction(1366, 768), SIDES_2048)


def ratios() -> st.SearchStrategy[Fraction]:
    """Shapes as words and pictures have them, some beyond every limit."""
    side = st.integers(1, 9999)
    return st.sampled_from(RATIOS).map(ratio_of) | st.builds(Fraction, side, side)


def kept() -> st.SearchStrategy[Fraction]:
    """Shapes that the upstream model takes."""
    return ratios().filter(AREA_4096.has_ratio)


limits_in_use = st.sampled_from([*USED.values(), UNLIMITED])


@st.composite
def any_limits(draw: st.DrawFn) -> SizeLimits:
    """Limits that nobody has yet."""
    return SizeLimits(
        tiers=RESOLUTIONS,
        min_side=draw(st.sampled_from([1, 64, 100, 240, 512, 768])),
        max_side=draw(st.none() | st.integers(300, 3000)),
        min_area=draw(st.sampled_from([1, 512**2, 1000**2])),
        max_area=draw(st.none() | st.integers(500**2, 1200**2)),
        max_ratio=draw(st.sampled_from([Fraction(1), Fraction(5, 2), Fraction(8), Fraction(16)])),
        step=draw(st.sampled_from([8, 16, 32, 50, 64])),
        source="made up",
    )


@given(st.sampled_from(RESOLUTIONS), kept(), limits_in_use)
def test_a_result_is_inside_every_limit(tier: str, ratio: Fraction, limits: SizeLimits) -> None:
    """What is computed must never be refused by the provider, nor cost a larger tier."""
    found = rectangle(tier, ratio, limits)
    assume(found)
    assert found

    assert limits.problem(*found) is None
    assert [0, 0] == [side % 16 for side in found]
    assert found[0] * found[1] <= AREAS[tier]
    assert Fraction(100, 105) <= Fraction(*found) / ratio <= Fraction(105, 100)


@given(st.sampled_from(RESOLUTIONS), ratios(), any_limits() | limits_in_use)
def test_a_turned_ratio_gives_the_turned_size(
    tier: str, ratio: Fraction, limits: SizeLimits
) -> None:
    """Upright and lying pictures are the same size."""
    assume(ratio != 1)
    found = rectangle(tier, ratio, limits)

    assert (found and found[::-1]) == rectangle(tier, 1 / ratio, limits)


@given(ratios(), any_limits())
def test_any_limits_give_what_a_search_through_all_pairs_finds(
    ratio: Fraction, limits: SizeLimits
) -> None:
    """The rule holds for the next provider too."""
    assert by_search("1K", ratio, limits) == rectangle("1K", ratio, limits)


@given(kept())
def test_the_upstream_limits_give_every_shape_in_every_tier(ratio: Fraction) -> None:
    """Where only the area counts, no shape that the model takes is refused."""
    found = [rectangle(tier, ratio, AREA_4096) for tier in RESOLUTIONS]

    assert all(found)
    assert all(a and b and a[0] * a[1] < b[0] * b[1] for a, b in pairwise(found))


@given(st.sampled_from(RESOLUTIONS), ratios(), any_limits() | limits_in_use)
def test_a_note_is_said_exactly_where_limits_change_the_outcome(
    tier: str, ratio: Fraction, limits: SizeLimits
) -> None:
    """Nothing is adapted in silence, and nothing is noted without need."""
    found = rectangle(tier, ratio, limits)
    free = rectangle(tier, ratio, evolve(UNLIMITED, step=limits.step, max_ratio=limits.max_ratio))
    assume(found and free)
    assert found
    picture = InputImage("https://x/1", (), *ratio.as_integer_ratio())

    note = resolve(Size(resolution=tier), [picture], limits).note

    if found == free:
        assert note is None
    else:
        assert note
        assert note.startswith(f"{pixels(found)} instead of {pixels(free)}: ")
        assert not note.endswith(": ")


def test_a_ratio_beyond_the_range_is_unsupported_however_near() -> None:
    """5 % is for rounding to whole steps, not for another shape."""
    assert (2880, 368) != rectangle("1K", Fraction(81, 10), AREA_2048)
    assert rectangle("1K", Fraction(81, 10), AREA_2048) is None
    assert rectangle("1K", Fraction(10, 81), AREA_2048) is None


def test_a_square_without_a_square_pair_lies_rather_than_stands() -> None:
    """Coarse steps may leave only two turned rectangles; the choice must not be luck."""
    coarse = SizeLimits(tiers=("1K",), max_area=334**2, source="made up")

    assert (336, 320) == rectangle("1K", Fraction(1), coarse)


@pytest.mark.parametrize("text", ["16:9", "9:16", "1:1", "4:3", "9999:1"])
def test_a_ratio_is_width_to_height(text: str) -> None:
    """Upright is below 1."""
    width, height = text.split(":")

    assert Fraction(int(width), int(height)) == ratio_of(text)


@pytest.mark.parametrize(
    "text", ["", "16", "16x9", "0:9", "16:0", "-1:2", "1:2:3", " 1:2", "１:２"]
)
def test_no_ratio_is_a_value_error_that_shows_it(text: str) -> None:
    """Reached only by callers that skip `Size`."""
    with pytest.raises(ValueError, match="is not a ratio like '16:9'"):
        ratio_of(text)


@pytest.mark.parametrize("size", [(1, 1), (1000, 700), (99999, 3)])
def test_exact_pixels_stay_as_they_are(size: tuple[int, int]) -> None:
    """They are judged by `problem`, which the caller may switch off."""
    assert Pixels(size[0], size[1], None) == resolve(Size(*size), (), SIDES_2048)


def test_without_images_a_tier_is_square() -> None:
    """`Size()` is 2K."""
    assert Pixels(2048, 2048, None) == resolve(Size(), (), SIDES_2048)
    assert Pixels(1024, 1024, None) == resolve(Size.parse("1K"), (), SIDES_2048)


def test_the_last_image_gives_the_shape() -> None:
    """As upstream; the others only take part."""
    images = [InputImage("https://x/1", (), 300, 900), InputImage("https://x/2", (), 1600, 900)]

    assert Pixels(2704, 1520, None) == resolve(Size(), images, AREA_2048)
    assert Pixels(1520, 2704, None) == resolve(Size.parse("9:16"), images, AREA_2048)


def test_an_asked_ratio_needs_no_known_image() -> None:
    """It is one of the ways out."""
    unknown = [InputImage("https://x/1")]

    assert Pixels(2048, 2048, None) == resolve(Size.parse("1:1"), unknown, SIDES_2048)


def test_an_unknown_last_image_is_refused_with_both_ways_out() -> None:
    """Guessing a square would sell another picture than the one asked for."""
    images = [InputImage("https://x/1", (), 1600, 900), InputImage("https://x/2")]

    with pytest.raises(SizeUnsupported) as caught:
        resolve(Size(), images, SIDES_2048)

    assert (
        "the output has the shape of the last image, and its width and height are unknown; "
        "give them or call client.measure(request), or set an aspect_ratio"
    ) == caught.value.reason


@pytest.mark.parametrize(
    ("size", "images", "limits", "reason"),
    [
        ("4K", 0, SIDES_2048, "4K is not sold here; 1K, 2K"),
        ("4K", 1, AREA_2048, "4K is not sold here with images; 1K, 2K"),
        ("9:1", 0, AREA_2048, "9:1; here shapes are 1:8 to 8:1"),
        ("2K", 1, AREA_2048, "the last image is 9000x1000; here shapes are 1:8 to 8:1"),
        (
            "21:9@1K",
            0,
            SIDES_2048,
            "21:9 at 1K; here sides are 768 to 2048; possible: 2K (2016x864)",
        ),
        ("8:1", 0, SIDES_4096, "8:1 at 2K; here sides are 768 to 4096; no tier has this shape"),
        (
            "16:9@1K",
            0,
            evolve(AREA_2048, min_area=1200**2),
            "16:9 at 1K; here sides are 1 or more, pixels in all are 1440000 to 4194304; "
            "possible: 2K (2704x1520)",
        ),
    ],
)
def test_a_refused_size_says_what_is_right(
    size: str, images: int, limits: SizeLimits, reason: str
) -> None:
    """The reason is what people read in `UnsupportedFeature`."""
    long = [InputImage("https://x/1", (), 9000, 1000)] * images

    with pytest.raises(SizeUnsupported) as caught:
        resolve(Size.parse(size), long, limits)

    assert reason == caught.value.reason == str(caught.value)


def test_a_refusal_survives_pickling() -> None:
    """Process pools send it home."""
    refusal = SizeUnsupported("9:1; here shapes are 1:8 to 8:1")

    assert refusal.reason == pickle.loads(pickle.dumps(refusal)).reason


@pytest.mark.parametrize(
    ("size", "limits", "note"),
    [
        ("16:9", SIDES_2048, "2048x1152 instead of 2704x1520: sides up to 2048"),
        ("9:5@1K", SIDES_2048, "1360x768 instead of 1360x752: sides from 768"),
        (
            "5:4@1K",
            evolve(UNLIMITED, min_area=1010**2),
            "1136x912 instead of 1120x896: at least 1020100 pixels in all",
        ),
        (
            "16:9",
            evolve(SIDES_2048, max_area=1500**2),
            "1968x1104 instead of 2704x1520: sides up to 2048 and at most 2250000 pixels in all",
        ),
        (
            "1:1",
            evolve(AREA_2048, max_area=1000**2),
            "992x992 instead of 2048x2048: at most 1000000 pixels in all",
        ),
    ],
)
def test_a_note_names_both_sizes_and_the_limit(size: str, limits: SizeLimits, note: str) -> None:
    """People compare prices on the pixels they get."""
    assert note == resolve(Size.parse(size), (), limits).note


@pytest.mark.parametrize(
    ("limits", "size", "problem"),
    [
        (SIDES_2048, (1024, 1024), None),
        (SIDES_2048, (2048, 768), None),
        (SIDES_2048, (2064, 768), "2064x768; here sides are 768 to 2048, multiples of 16"),
        (USED["empiriolabs else"], (768, 752), "768x752; here sides are 768 to 2048"),
        (SIDES_2048, (1000, 1024), "1000x1024; here sides are 768 to 2048, multiples of 16"),
        (
            evolve(SIDES_2048, min_area=1024**2, max_ratio=Fraction(2)),
            (700, 300),
            "700x300; here sides are 768 to 2048, multiples of 16; pixels in all are 1048576 or "
            "more; shapes are 1:2 to 2:1",
        ),
        (AREA_2048, (768, 768), None),
        (AREA_2048, (1001, 999), None),
        (AREA_2048, (5792, 724), None),
        (AREA_2048, (767, 768), "767x768; here pixels in all are 589824 to 4194304"),
        (AREA_2048, (2048, 2049), "2048x2049; here pixels in all are 589824 to 4194304"),
        (AREA_2048, (300, 2401), "300x2401; here shapes are 1:8 to 8:1"),
        (evolve(UNLIMITED, min_side=64), (32, 32), "32x32; here sides are 64 or more"),
        (evolve(UNLIMITED, max_area=100), (11, 10), "11x10; here pixels in all are up to 100"),
        (
            evolve(UNLIMITED, max_ratio=Fraction(5, 2)),
            (300, 100),
            "300x100; here shapes are 2:5 to 5:2",
        ),
    ],
)
def test_exact_pixels_are_refused_with_what_is_right(
    limits: SizeLimits, size: tuple[int, int], problem: str | None
) -> None:
    """One sentence with every limit that is broken, None if all hold."""
    assert problem == limits.problem(*size)
