"""The canonical values: what their constructors refuse, and that all of it is told at once.

Also the errors: that they print, pickle and keep their facts.
"""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields_dict, has

from wanbridge import errors
from wanbridge.errors import (
    AllProvidersFailed,
    BudgetExceeded,
    CallbackRefused,
    CallFailed,
    Charge,
    ConfigurationError,
    DeadlineExceeded,
    DownloadFailed,
    InvalidRequest,
    Problem,
    ProviderError,
    RateLimited,
    SubmissionUncertain,
    UnsupportedFeature,
    WanbridgeError,
    step,
)
from wanbridge.model.brief import brief_url
from wanbridge.model.inputs import Box, InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, Failure, Image, ImageResult
from wanbridge.model.size import Size

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KITE = ImageRequest("a red kite", seed=7)
URI = "data:image/png;base64," + "QUJD" * 40
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x03\x00\x00\x00\x02\x08\x02\x00\x00\x00"
    b"\x12\x16\xf1\x4d\x00\x00\x00\x00IEND\xaeB`\x82"
)


def told(make: Any, /, *args: Any, **kwargs: Any) -> list[str]:
    """The problems that *make* raises, as text."""
    with pytest.raises(InvalidRequest) as caught:
        make(*args, **kwargs)
    return [str(p) for p in caught.value.problems]


def asked(**given: Any) -> list[str]:
    """What is wrong with a request of these fields."""
    return told(ImageRequest, **{"prompt": "a red kite", **given})


# Every field wrong, and the whole list of what is said.
ALL_WRONG: dict[str, Any] = {
    "prompt": "x" * 5001,
    "model": "wan2.8",
    "negative_prompt": 5,
    "images": ["https://x/1.png", "ftp://x", {"url": "https://x", "width": 3}, 7],
    "n": 5,
    "sequential": "yes",
    "size": {"width": 1, "height": 2, "resolution": "2K"},
    "thinking": "on",
    "color_palette": [("#111111", "50"), ("#22222", 0.5), ("#333333", "0")],
    "seed": 2**31,
    "watermark": 1,
    "output_format": "gif",
    "inline": None,
    "callback_url": "http://x/y",
    "extra": {"kie": 5, "a b": {1: 2}},
}


def test_a_request_tells_everything_that_is_wrong_with_it_at_once() -> None:
    """Nobody wants to fix a document error by error."""
    assert [
        "$.prompt: 5001 characters; at most 5000",
        "$.model: 'wan2.8' is unknown; one of wan2.7-image, wan2.7-image-pro",
        "$.negative_prompt: 5 is not text",
        "$.sequential: 'yes' is not a boolean; true or false",
        "$.n: 5 is out of range; 1 to 4",
        "$.seed: 2147483648 is out of range; 0 to 2147483647",
        "$.watermark: 1 is not a boolean; true or false",
        "$.inline: None is not a boolean; true or false",
        "$.thinking: 'on' is not a boolean; true or false",
        "$.output_format: 'gif' is unknown; one of png, jpeg, webp",
        "$.callback_url: 'http://x/y' is not an https URL",
        "$.extra.kie: 5 is not {field: value}",
        '$.extra["a b"]: {1: 2} is not {field: value}',
        "$.images[1]: 'ftp://x' is not an https, http, data: or oss:// URL",
        "$.images[2]: width and height go together",
        f"$.images[3]: 7; {AN_IMAGE_IS}",
        "$.color_palette[1].hex: '#22222' is not a colour like '#1E2A39'",
        "$.color_palette[1].ratio: 0.5 is not exact; write decimals as text, like '0.03'",
        "$.color_palette[2].ratio: 0 is not a percentage with two places, like '34.00'",
        "$.size: pixels or a tier and ratio, not both",
    ] == asked(**ALL_WRONG)


AN_IMAGE_IS = (
    "an image is a URL, a data: URI, base64, the path of a file, bytes, a binary file or a Pillow"
    " image"
)


def test_no_field_escapes_the_constructor() -> None:
    """The list above is of all fields; a new one must be added to it."""
    assert set(fields_dict(ImageRequest)) == set(ALL_WRONG)
    said = " ".join(asked(**ALL_WRONG))
    assert [] == [name for name in ALL_WRONG if f"$.{name}" not in said]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": ""}, "$.prompt: empty; required without images"),
        ({"prompt": " \u3000\n"}, "$.prompt: empty; required without images"),
        ({"prompt": None}, "$.prompt: None is not text"),
        ({"prompt": "\ud83d"}, "$.prompt: holds half a surrogate pair, which is no character"),
        ({"n": 0}, "$.n: 0 is out of range; 1 to 4"),
        ({"n": True}, "$.n: True is not an integer; 1 to 4"),
        ({"n": 2.0}, "$.n: 2.0 is not an integer; 1 to 4"),
        ({"n": 10**5000}, "$.n: a huge number is out of range; 1 to 4"),
        ({"n": 13, "sequential": True}, "$.n: 13 is out of range; 1 to 12"),
        ({"n": 5, "sequential": 1}, "$.n: 5 is out of range; 1 to 4"),
        ({"seed": -1}, "$.seed: -1 is out of range; 0 to 2147483647"),
        ({"images": 5}, "$.images[0]: 5; an image is a URL, a data: URI, base64, the path of a"),
        ({"images": None}, "$.images: None is not a list"),
        ({"images": ["https://x"] * 10}, "$.images: 10 images; at most 9"),
        ({"color_palette": {}}, "$.color_palette: {} is not a list"),
        ({"color_palette": [{"hex": "#111111"}]}, "PaletteColor(hex, ratio)"),
        ({"color_palette": [("#111111", "50")] * 2}, "$.color_palette: 2 colours; 3 to 10"),
        ({"color_palette": [("#111111", "9.09")] * 11}, "$.color_palette: 11 colours; 3 to 10"),
        ({"color_palette": [("#111111", "33.33")] * 3}, "sum to 99.99; exactly 100.00"),
        ({"size": "7K"}, "$.size: '7K' is not a size like '1024x1024', '2K', '16:9' or '16:9@4K'"),
        ({"size": (1, 2, 3)}, "$.size: (1, 2, 3) is not a Size, a pair (width, height) or a text"),
        ({"size": (1, "2")}, "$.size.height: '2' is not an integer; 1 to 99999"),
        ({"callback_url": "https:///x"}, "$.callback_url: 'https:///x' is not an https URL"),
        ({"extra": []}, "$.extra: [] is not {adapter: {field: value}}"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(given: dict[str, Any], said: Any) -> None:
    """The message is for somebody tired."""
    assert said in "; ".join(asked(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "x" * 5000},
        {"prompt": "", "images": ["https://x"]},
        {"n": 12, "sequential": True},
        {"seed": 0},
        {"seed": 2**31 - 1},
        {"images": ["https://x"] * 9},
        {"images": [{"ref": {"runware": "u-1"}}, InputImage("oss://b/k"), "http://x"]},
        {"color_palette": [("#111111", "10")] * 10},
        {"color_palette": [("#111111", 34), ("#222222", "34%"), ("#333333", Decimal("32.00"))]},
        {"size": {"aspect_ratio": "16:9"}},
        {"size": "2k"},
    ],
)
def test_the_last_value_of_a_range_is_taken(given: dict[str, Any]) -> None:
    """Bounds are inclusive."""
    assert ImageRequest(**{"prompt": "a", **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "$: an image is either a url or a ref {provider: id}"),
        ({"url": "https://x", "ref": {"a": "b"}}, "$: an image is either a url or a ref"),
        ({"url": 5}, "$.url: 5 is not an https, http, data: or oss:// URL"),
        ({"ref": {}}, "$.ref: {} is not {provider: id}"),
        ({"ref": {"runware": 5}}, "$.ref: {'runware': 5} is not {provider: id}"),
        ({"ref": {"runware": ""}}, "$.ref: {'runware': ''} is not {provider: id}"),
        ({"url": "https://x", "width": 0, "height": 1}, "$.width: 0 is out of range; 1 to 99999"),
        ({"url": "https://x", "regions": 5}, "$.regions: 5 is not a list"),
        ({"url": "https://x", "regions": [(0, 0, 1, 1)] * 3}, "$.regions: 3 boxes; at most 2"),
        ({"url": "https://x", "regions": [(0, 0, 1)]}, "$.regions[0]: (0, 0, 1); a box is [x1"),
        ({"url": "https://x", "regions": [(5, 0, 5, 9)]}, "$.regions[0]: [5, 0, 5, 9]; a box is"),
        ({"url": "https://x", "regions": [(0, 9, 5, 1)]}, "$.regions[0]: [0, 9, 5, 1]; a box is"),
        ({"url": "https://x", "regions": [(-1, 0, 5, 9)]}, "$.regions[0]: [-1, 0, 5, 9]; a box is"),
        ({"url": "https://x", "regions": [(0.0, 0, 5, 9)]}, "a box is four integers >= 0"),
    ],
)
def test_an_image_that_cannot_be_is_refused(given: dict[str, Any], said: Any) -> None:
    """Wrong regions and sizes are found before anybody pays for them."""
    assert said in "; ".join(told(InputImage, **given))


def test_an_image_tells_its_url_and_its_regions_at_once() -> None:
    """A converter's complaint does not hide the constructor's."""
    assert [
        "$.url: 'x' is not an https, http, data: or oss:// URL; InputImage.of takes files"
        " and bytes",
        "$.regions[1]: 'abc'; a box is [x1, y1, x2, y2]",
    ] == told(InputImage, "x", [Box(0, 0, 1, 1), "abc"])


def test_an_image_as_an_object_names_unknown_members() -> None:
    """The JSON form of an image is taken in Python too."""
    assert [
        "$.images[0].region: unknown field; there are url, regions, width, height, ref, changes",
        f"$.images[0].url: 'gone.png': no such file; {AN_IMAGE_IS}",
    ] == asked(images=[{"url": "gone.png", "region": []}])
    assert Size(3, 4) == ImageRequest("a", size={"width": 3, "height": 4}).size


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"width": 5}, "$: width and height go together"),
        ({"width": 5, "height": 100000}, "$.height: 100000 is out of range; 1 to 99999"),
        ({"resolution": "3K"}, "$.resolution: '3K' is unknown; one of 1K, 2K, 4K"),
        ({"aspect_ratio": "16x9"}, "$.aspect_ratio: '16x9' is not a ratio like '16:9'"),
        ({"aspect_ratio": 1.5}, "$.aspect_ratio: 1.5 is not a ratio like '16:9'"),
        ({"width": 5, "height": 5, "aspect_ratio": "1:1"}, "pixels or a tier and ratio, not both"),
    ],
)
def test_a_size_that_cannot_be_is_refused(given: dict[str, Any], said: Any) -> None:
    """Pixels, or a tier and a ratio."""
    assert said in "; ".join(told(Size, **given))


@pytest.mark.parametrize(
    ("text", "size", "back"),
    [
        ("1024x768", Size(1024, 768), "1024x768"),
        ("1024*768", Size(1024, 768), "1024x768"),
        ("1024×768", Size(1024, 768), "1024x768"),
        ("1024 X 768", Size(1024, 768), "1024x768"),
        ("2k", Size(resolution="2K"), "2K"),
        ("16:9", Size(aspect_ratio="16:9"), "16:9@2K"),
        ("16:9@4k", Size(resolution="4K", aspect_ratio="16:9"), "16:9@4K"),
    ],
)
def test_a_size_reads_and_prints_its_short_form(text: Any, size: Any, back: str) -> None:
    """What people type on a command line."""
    assert size == Size.parse(text)
    assert back == str(size)
    assert size == evolve(Size.parse(back), resolution=size.resolution)


@pytest.mark.parametrize("text", ["", "@2K", "16:9@", "16:9@3K", "0x5", "5K", "x", "2K@16:9"])
def test_a_text_that_is_no_size_is_refused(text: Any) -> None:
    """Half a size is not a size."""
    assert f"{text!r} is not a size" in told(Size.parse, text)[0]


def test_a_size_knows_its_pixels_and_its_tier() -> None:
    """2K is meant where nothing is said."""
    assert ((3, 4), "2K") == (Size(3, 4).pixels, Size().tier)
    assert (None, "4K") == (Size(resolution="4K").pixels, Size(resolution="4K").tier)


@pytest.mark.parametrize("ratio", ["34", "34%", "34.00%", "34.0", 34, Decimal("34.000")])
def test_ratios_in_all_spellings_are_the_same(ratio: Any) -> None:
    """One colour, one value."""
    assert PaletteColor("#aabbcc", "34.00") == PaletteColor("#AABBCC", ratio)
    assert "34.00" == str(PaletteColor("#aabbcc", ratio).ratio)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (34.0, "34.0 is not exact; write decimals as text"),
        (True, "True is not exact"),
        ("3e1", "'3e1' is not a percentage as text, like '34.00'"),
        ("34.001", "'34.001' is not a percentage as text"),
        ("٣٤", "'٣٤' is not a percentage as text"),
        ("100.01", "100.01 is not a percentage with two places"),
        (Decimal("0.001"), "0.001 is not a percentage with two places"),
        (Decimal("nan"), "Decimal('NaN') is not a finite number"),
    ],
)
def test_a_ratio_that_is_not_exact_is_refused(ratio: Any, said: Any) -> None:
    """Ratios are compared with 100.00 exactly, so floats do not come in."""
    assert said in told(PaletteColor, "#aabbcc", ratio)[0]
    assert told(PaletteColor, "#aabbcc", ratio)[0].startswith("$.ratio: ")


def test_money_is_exact_and_knows_its_currency() -> None:
    """Floats are for weights, not for prices."""
    assert "0.0390 USD" == str(Money("0.0390", "USD"))
    assert Money("12", "KIE-CREDITS") == Money(12, "KIE-CREDITS")
    assert [
        "$.currency: 'usd' is not a currency code like 'USD'",
        "$.amount: 0.03 is not exact; write decimals as text, like '0.03'",
    ] == told(Money, 0.03, "usd")
    assert ["$.amount: 'much' is not a decimal number"] == told(Money, "much", "USD")
    assert ["$.currency: None is not a currency code like 'USD'"] == told(Money, "1", None)


def test_the_mode_follows_from_images_and_sequential() -> None:
    """A set is a set with or without images."""
    assert "text" == KITE.mode
    assert "edit" == evolve(KITE, images=["https://x"]).mode
    assert "set" == evolve(KITE, images=["https://x"], sequential=True).mode


def test_regions_are_seen_on_any_image() -> None:
    """Adapters ask this before they write a box list."""
    boxed = InputImage("https://x", regions=[[0, 0, 2, 2]])

    assert not KITE.has_regions
    assert evolve(KITE, images=["https://y", boxed]).has_regions
    assert (0, 0, 2, 2) == boxed.regions[0].corners


def test_a_stored_request_keeps_only_the_digest_of_a_picture() -> None:
    """Jobs are stored and logged; a picture of 10 MB must not be, nor leak."""
    request = evolve(KITE, images=[URI, "https://x/1.png"])

    stored = request.stored()

    uri = stored.images[0].url
    assert uri is not None
    assert uri.startswith("data:image/png;sha256,")
    assert "QUJD" not in uri
    assert 64 == len(uri.partition(",")[2])
    assert stored.images[0].is_digest
    assert request.images[1] is stored.images[1]
    assert stored == stored.stored()
    assert KITE is KITE.stored()


def test_the_scheme_of_an_image_is_told() -> None:
    """Limits list the schemes that a provider takes."""
    assert ["https", "data", "oss", "ref"] == [
        image.scheme
        for image in (
            InputImage("https://x"),
            InputImage(URI),
            InputImage("oss://b/k"),
            InputImage(ref={"runware": "u"}),
        )
    ]
    assert not InputImage(ref={"runware": "u"}).is_digest


def test_reprs_hide_payloads_and_signatures() -> None:
    """Reprs end in logs and tracebacks."""
    shown = repr([InputImage(URI), Image(url="https://x/1.png?Signature=abc", data=b"12345")])

    assert "QUJDQUJD" not in shown
    assert "Signature" not in shown
    assert f"'data:image/png;base64,… ({len(URI)} characters)'" in shown
    assert "<5 bytes>" in shown
    assert "data=None" in repr(Image())
    assert "None" == brief_url(None)


def test_a_picture_from_a_file_knows_its_size(tmp_path: Path) -> None:
    """Runware needs pixels where a request follows its last image."""
    (tmp_path / "a.png").write_bytes(PNG)

    image = InputImage.from_file(tmp_path / "a.png", regions=[[0, 0, 1, 1]])

    assert (3, 2, "data") == (image.width, image.height, image.scheme)
    assert (Box(0, 0, 1, 1),) == image.regions


def test_a_picture_that_cannot_be_read_is_an_invalid_request(tmp_path: Path) -> None:
    """A wrong path is the caller's mistake, told like the others."""
    (tmp_path / "a.png").write_text("no picture")

    assert "No such file" in told(InputImage.from_file, tmp_path / "b.png")[0]
    assert "not a PNG, JPEG, WEBP, BMP or GIF" in told(InputImage.from_file, tmp_path / "a.png")[0]
    assert "$.url: image: not a PNG" in told(InputImage.from_bytes, b"")[0]


def test_an_image_without_bytes_cannot_be_saved(tmp_path: Path) -> None:
    """The message names the way to get them."""
    with pytest.raises(ValueError, match=r"client\.download"):
        Image(url="https://x").save(tmp_path / "x.png")

    assert PNG == Image(data=PNG).save(tmp_path / "x.png").read_bytes()


def test_a_shortfall_is_never_negative_and_never_hidden() -> None:
    """Sets ask for an upper bound, others for a number."""
    result = ImageResult(
        provider="p", model="m", job_id=None, images=(Image(url="u"),), requested=3
    )

    assert 2 == result.shortfall
    assert 0 == evolve(result, requested=1, images=(Image(),) * 4).shortfall
    assert result == ImageResult.from_json(result.to_json())


def test_a_note_reads_as_a_sentence() -> None:
    """The command line prints notes as they are."""
    assert "size adapted: 2K is 2048x2048 here" == str(
        Note("size", "adapted", "2K is 2048x2048 here")
    )


JOB = Job(
    provider="runware",
    account="runware",
    base_url="https://api.runware.ai/v1",
    id="t-1",
    request=KITE,
    submitted_at=NOON,
    key="k-secretless",
    state={"a": [1]},
)
RECEIPT = Receipt(
    provider="runware",
    account="runware",
    base_url="https://api.runware.ai/v1",
    key="k",
    request=KITE,
    digest="00",
    first_sent_at=NOON,
    last_sent_at=NOON,
    at_risk=Money("0.03", "USD"),
)
ATTEMPT = Attempt(provider="reapi", outcome="RateLimited", charge=Charge.NO)

# One value for every field that an error may have.
FACTS: dict[str, Any] = {
    "problems": (Problem("$.n", "5 is out of range; 1 to 4"),),
    "provider": "runware",
    "field": "seed",
    "reason": "7 is not taken",
    "also": (UnsupportedFeature("runware", "n", "1 to 2"),),
    "needed": Money("2", "USD"),
    "left": Money("1", "USD"),
    "message": "it broke",
    "status": 429,
    "charge": Charge.YES,
    "job": JOB,
    "receipt": RECEIPT,
    "attempts": (ATTEMPT,),
    "image": Image(url="https://x/1.png?Signature=abc"),
    "expired": True,
    "code": "Busy",
    "request_id": "r-1",
    "retry_after": 2.5,
    "raw": {"Authorization": "sk-1"},
    "final": True,
}


def tree(kind: type[Any] = WanbridgeError) -> list[type[Any]]:
    """Every error class below *kind*."""
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in tree(child))]


def built(kind: type[Any]) -> Any:
    """An error of *kind* with a value in every field."""
    if kind is AllProvidersFailed:
        return kind("all two failed", [built(RateLimited), UnsupportedFeature("kie", "n", "no")])
    names = list(fields_dict(kind)) if has(kind) else []
    return kind(*(FACTS[name] for name in names)) if names else kind("a sentence")


KINDS = [kind for kind in tree() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_all_its_facts(kind: type[Any]) -> None:
    """Process pools carry errors; a lost job or receipt is lost money."""
    error = built(kind)
    error.add_note("seen in a worker")

    again = pickle.loads(pickle.dumps(error))

    assert kind is type(again)
    assert str(error) == str(again)
    assert repr(error) == repr(again)
    assert ["seen in a worker"] == again.__notes__
    for name in fields_dict(kind) if has(kind) else ():
        expected, kept = FACTS[name], getattr(again, name)
        assert str(expected) == str(kept) if name == "also" else expected == kept, name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_reads_well_and_tells_no_secret(kind: type[Any]) -> None:
    """str is for people, repr for logs; neither holds a key, a signature or a raw reply."""
    error = built(kind)

    assert "\n" not in str(error)
    assert len(str(error)) > 5
    assert repr(error).startswith(f"{kind.__name__}(")
    for secret in ("sk-1", "Signature", "t-1"):
        assert secret not in str(error) + repr(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The picture is what people read first."""
    drawn = set(re.findall(r"\w+", errors.__doc__ or ""))

    assert set() == {kind.__name__ for kind in KINDS} - drawn


def test_facts_set_later_survive_pickling() -> None:
    """The flow sets job and attempts on an error that the adapter made."""
    error = RateLimited("runware", "slow down")
    error.job, error.attempts = JOB, (ATTEMPT,)

    again = pickle.loads(pickle.dumps(error))

    assert (JOB, (ATTEMPT,)) == (again.job, again.attempts)
    assert Charge.MAYBE is again.charge


def test_a_deadline_is_a_timeout_but_no_system_error_number() -> None:
    """``except TimeoutError`` works; a provider's name is not an errno."""
    error = DeadlineExceeded("runware", "600 s are over; still pending", Charge.YES, JOB)

    assert isinstance(error, TimeoutError)
    assert "runware: 600 s are over; still pending" == str(error)
    assert JOB == pickle.loads(pickle.dumps(error)).job


def test_whether_another_provider_could_help_is_told_by_the_class() -> None:
    """The router stops or goes on by this alone."""
    stops = {kind.__name__ for kind in tree(CallFailed) if not kind.elsewhere}

    assert {
        "SubmissionUncertain",
        "DeadlineExceeded",
        "JobCancelled",
        "DownloadFailed",
        "AuthenticationFailed",
        "RequestRejected",
        "ContentRefused",
    } == stops


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidRequest([Problem("$.n", "a"), Problem("$.seed", "b")]), "$.n: a; $.seed: b"),
        (UnsupportedFeature("kie", "seed", "none"), "kie: seed: none"),
        (
            UnsupportedFeature("kie", "seed", "none", (UnsupportedFeature("kie", "n", "1"),)),
            "kie: seed: none; n: 1",
        ),
        (
            BudgetExceeded(Money("2", "USD"), Money("1", "USD")),
            "budget: this call may cost 2 USD, 1 USD is left",
        ),
        (CallbackRefused("forged", 403), "forged"),
        (ProviderError("kie", "no"), "kie: no"),
        (ProviderError("kie", "no", status=402), "kie: no (HTTP 402)"),
        (
            ProviderError("kie", "no", status=402, code="C1", request_id="r"),
            "kie: no (code C1, HTTP 402, request r)",
        ),
        (SubmissionUncertain("kie", "cut off"), "kie: cut off"),
        (DownloadFailed("kie", "gone", expired=True), "kie: gone"),
        (ConfigurationError("no account"), "no account"),
    ],
)
def test_an_error_says_who_and_what(error: Any, said: Any) -> None:
    """The message starts with the provider."""
    assert said == str(error)


def test_a_group_stays_what_it_is_under_except_star() -> None:
    """``except*`` splits groups; the attempts of the rest are still there."""
    group = AllProvidersFailed(
        "both failed", [built(RateLimited), UnsupportedFeature("k", "n", "1")]
    )

    caught, rest = group.split(RateLimited)

    assert isinstance(caught, AllProvidersFailed)
    assert isinstance(rest, AllProvidersFailed)
    assert (ATTEMPT,) == group.attempts == caught.attempts
    assert () == rest.attempts


def test_a_problem_moves_into_the_document_that_holds_it() -> None:
    """Parts are checked on their own and reported in place."""
    assert Problem("$.images[0].url", "x") == Problem("$.url", "x").under("$.images[0]")
    assert "$.images[0]: x" == str(Problem("$", "x").under("$.images[0]"))


@pytest.mark.parametrize(
    ("key", "path"), [("n", ".n"), (3, "[3]"), ("runware-eu", ".runware-eu"), ("a b", '["a b"]')]
)
def test_a_step_of_a_path_is_quoted_where_it_must_be(key: Any, path: str) -> None:
    """Paths can be pasted into jq."""
    assert path == step(key)


def test_an_attempt_and_a_failure_are_plain_values() -> None:
    """They compare, so tests can name them in full."""
    assert Failure(code=None, message="x") == Failure(code=None, message="x")
    assert ATTEMPT == evolve(ATTEMPT)
