"""JSON in and out: every problem at once, the same from both validators, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from wanbridge.errors import Charge, InvalidRequest, Problem
from wanbridge.model import codec, schemas, validation
from wanbridge.model.inputs import Box, InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import FORMATS, MODELS, SEED_MAX, ImageRequest
from wanbridge.model.result import Attempt, Failure, Image, ImageResult
from wanbridge.model.size import RESOLUTIONS, Size

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "requests").glob("*.json"))
KITE = ImageRequest("a red kite", seed=7)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAYLOAD = "QUJD" * 50
URI = f"data:image/png;base64,{PAYLOAD}"
JOB = Job(
    provider="runware",
    account="runware-eu",
    base_url="https://api.runware.ai/v1",
    id="t-1",
    request=evolve(KITE, images=[URI]),
    submitted_at=NOON,
    key="k",
)
RECEIPT = Receipt(
    provider="runware",
    account="runware-eu",
    base_url="https://api.runware.ai/v1",
    key="k",
    request=evolve(KITE, images=[URI]),
    digest="00",
    first_sent_at=NOON,
    last_sent_at=NOON,
)
RESULT = ImageResult(
    provider="runware",
    model="wan2.7-image",
    job_id=None,
    images=(Image(url="https://x/1.png", data=b"\x89PNG", seed=2**63),),
    requested=1,
    cost=Money("0.0300", "USD"),
    attempts=(Attempt(provider="runware", outcome="delivered", charge=Charge.YES),),
    raw={"data": [1.5, None]},
)


def told(cls: type[Any], document: object) -> list[str]:
    """The problems of a document, or of JSON text, as text."""
    text = document if isinstance(document, str | bytes) else None
    with pytest.raises(InvalidRequest) as caught:
        codec.from_document(cls, document) if text is None else codec.load(cls, text)
    return [str(p) for p in caught.value.problems]


def asked(**given: Any) -> list[str]:
    """What is wrong with a request document of these members."""
    return told(ImageRequest, {"prompt": "a red kite", **given})


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_request_file_loads_and_comes_back_as_it_was(path: Path) -> None:
    """What people keep in files is already in the shortest form, but for the order."""
    request = codec.load(ImageRequest, path.read_bytes())

    document = json.loads(path.read_text("utf-8"))
    if "images" in document:
        plain = [i["url"] if list(i) == ["url"] else i for i in map(as_object, document["images"])]
        document["images"] = plain
    assert document == codec.to_document(request)
    assert request == codec.load(ImageRequest, codec.dump(request))
    assert request == ImageRequest.from_json(request.to_json())


def as_object(image: Any) -> Any:
    """An image as an object, also where it is plain text."""
    return {"url": image} if isinstance(image, str) else image


def test_there_are_twelve_request_files() -> None:
    """Other tests and benchmarks read them too."""
    assert 12 == len(FIXTURES)


def test_fields_at_their_default_stay_out_of_a_request() -> None:
    """A stored request keeps its meaning when wanbridge learns a new field."""
    assert '{"prompt": "a red kite", "seed": 0}' == codec.dump(evolve(KITE, seed=0))
    assert "{}" == codec.dump(ImageRequest("", images=["https://x"])).replace(
        '"images": ["https://x"]', ""
    )


def test_every_part_of_a_request_has_its_json_form() -> None:
    """Boxes are lists, decimals are text, images with only a url are text."""
    request = ImageRequest(
        "naïve 🪁",
        images=[
            "https://x/1.png",
            InputImage("https://x/2.png", [[0, 0, 5, 9]], 10, 20),
            InputImage(ref={"runware": "u-1"}),
        ],
        size="16:9@4K",
        color_palette=[("#aabbcc", "34%"), ("#112233", 33), ("#445566", "33.00%")],
        extra={"kie": {"deep": ({"x": Decimal("1.50")},)}},
    )

    assert {
        "prompt": "naïve 🪁",
        "images": [
            "https://x/1.png",
            {"url": "https://x/2.png", "regions": [[0, 0, 5, 9]], "width": 10, "height": 20},
            {"ref": {"runware": "u-1"}},
        ],
        "size": {"resolution": "4K", "aspect_ratio": "16:9"},
        "color_palette": [
            {"hex": "#AABBCC", "ratio": "34.00"},
            {"hex": "#112233", "ratio": "33.00"},
            {"hex": "#445566", "ratio": "33.00"},
        ],
        "extra": {"kie": {"deep": [{"x": "1.50"}]}},
    } == codec.to_document(request)
    assert "naïve 🪁" in codec.dump(request)


def test_a_document_shares_nothing_with_its_request() -> None:
    """A caller may change what it was given."""
    request = evolve(KITE, extra={"kie": {"list": [1]}})

    codec.to_document(request)["extra"]["kie"]["list"].append(2)

    assert {"kie": {"list": [1]}} == request.extra


def test_sizes_and_ratios_are_read_in_all_their_spellings() -> None:
    """What people write by hand."""
    read = [codec.load(ImageRequest, json.dumps({"prompt": "a", "size": s})).size for s in SIZES]
    ratios = [
        codec.from_document(
            ImageRequest,
            {"prompt": "a", "color_palette": [{"hex": "#111111", "ratio": r} for r in trio]},
        ).color_palette
        for trio in (("34", "33", "33"), ("34%", "33%", "33%"), ("34.00%", "33.0", "33.00"))
    ]

    assert [Size(3, 4), Size(3, 4), Size(aspect_ratio="3:2"), Size(aspect_ratio="3:2")] == read
    assert ratios[0] == ratios[1] == ratios[2]


SIZES: list[Any] = ["3x4", {"width": 3, "height": 4}, "3:2", {"aspect_ratio": "3:2"}]


def test_null_is_read_as_absent_where_none_is_the_default() -> None:
    """Serialisers of other languages write it."""
    document = dict.fromkeys(
        ["negative_prompt", "thinking", "seed", "output_format", "callback_url"]
    )

    assert ImageRequest("a") == codec.from_document(ImageRequest, {"prompt": "a", **document})
    assert ["$.n: null is not an integer"] == asked(n=None)


# Each bad document with everything that is said about it.
BAD: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"promt": "a"},
        [
            "$.prompt: missing; a description in words; required without images",
            "$.promt: unknown field; did you mean 'prompt'?",
        ],
    ),
    (
        {"prompt": "", "negativePrompt": "b"},
        [
            "$.negativePrompt: unknown field; did you mean 'negative_prompt'?",
            "$.prompt: '' is not a description in words; required without images",
        ],
    ),
    ({"prompt": "x" * 5001}, ["$.prompt: 5001 characters; at most 5000"]),
    ({"prompt": "a", "n": 5}, ["$.n: 5 is out of range; 1 to 4"]),
    ({"prompt": "a", "n": "3"}, ["$.n: '3' is not an integer"]),
    ({"prompt": "a", "n": 1.0}, ["$.n: 1.0 is not an integer; 1 to 4"]),
    ({"prompt": "a", "n": 1.5}, ["$.n: 1.5 is not an integer"]),
    ({"prompt": "a", "n": True}, ["$.n: true is not an integer"]),
    ({"prompt": "a", "n": 13, "sequential": True}, ["$.n: 13 is out of range; 1 to 12"]),
    ({"prompt": "a", "seed": 2**31}, ["$.seed: 2147483648 is out of range; 0 to 2147483647"]),
    ({"prompt": "a", "seed": "7"}, ["$.seed: '7' is not an integer; 0 to 2147483647"]),
    ({"prompt": "a", "model": "wan"}, ["$.model: 'wan' is unknown; one of wan2.7-image,"]),
    ({"prompt": "a", "output_format": 1}, ["$.output_format: 1 is unknown; one of png, jpeg,"]),
    ({"prompt": "a", "callback_url": "http://x"}, ["$.callback_url: 'http://x' is not an https"]),
    ({"prompt": "a", "callback_url": "https://\x1f"}, []),
    ({"prompt": "a", "size": "1024  x 1024"}, ["$.size: '1024  x 1024' is not a size like"]),
    ({"prompt": "a", "size": "16:9\n"}, ["$.size: '16:9\\n' is not a size like"]),
    ({"prompt": "a", "size": [1024]}, ["$.size: [1024] is not a size like"]),
    ({"prompt": "a", "size": 1024}, ["$.size: 1024 is not text or an object or a list"]),
    (
        {"prompt": "a", "size": {"width": 5, "height": 5, "resolution": "2K"}},
        ["$.size: pixels or a tier and ratio, not both"],
    ),
    ({"prompt": "a", "size": {"width": 5}}, ["$.size: width and height go together"]),
    (
        {"prompt": "a", "images": [{"url": "https://x", "regions": [[5, 5, 2, 9], [1, 2, 3]]}]},
        [
            "$.images[0].regions[0]: [5, 5, 2, 9]; a box is [x1, y1, x2, y2], x1 < x2, y1 < y2",
            "$.images[0].regions[1]: [1, 2, 3] is not a box [x1, y1, x2, y2]",
        ],
    ),
    (
        {"prompt": "a", "images": [{"url": "https://x", "regions": [[-1, 0, "2", 9]]}]},
        [
            "$.images[0].regions[0][0]: -1 is out of range; at least 0",
            "$.images[0].regions[0][2]: '2' is not an integer; at least 0",
        ],
    ),
    (
        {"prompt": "a", "images": ["ftp://x", 5, {}, {"ref": {}}, {"ref": {"kie": ""}}]},
        [
            "$.images[0]: 'ftp://x' is not an https, http, data: or oss:// URL",
            "$.images[1]: 5 is not text or an object",
            "$.images[2]: an image is either a url or a ref {provider: id}",
            "$.images[3].ref: {} is not {provider: id}",
            "$.images[4].ref.kie: '' is not the id of a picture",
        ],
    ),
    ({"images": ["https://x"] * 11}, ["$.images: 11 items; at most 9"]),
    ({"images": 5}, ["$.images: 5 is not a list or text or an object"]),
    (
        {
            "prompt": "a",
            "color_palette": [{"hex": "#111111", "ratio": r} for r in ("40", "40.00", "19.99%")],
        },
        ["$.color_palette: the ratios sum to 99.99; exactly 100.00"],
    ),
    (
        {
            "prompt": "a",
            "n": "2",
            "color_palette": [{"hex": "#111111", "ratio": r} for r in ("40", "40.00", "19.99%")],
        },
        [
            "$.color_palette: the ratios sum to 99.99; exactly 100.00",
            "$.n: '2' is not an integer",
        ],
    ),
    (
        {
            "prompt": "a",
            "color_palette": [
                {"hex": "#111111", "ratio": 33.5},
                {"hex": "red", "ratio": "0"},
                {"hex": "#111111\n"},
                {"hex": "#111111", "ratio": "33", "name": "ash"},
            ],
        },
        [
            "$.color_palette[0].ratio: 33.5 is not a percentage as text, like '34.00'",
            "$.color_palette[1].hex: 'red' is not a colour like '#1E2A39'",
            "$.color_palette[1].ratio: 0 is not a percentage with two places, like '34.00'",
            "$.color_palette[2].hex: '#111111\\n' is not a colour like '#1E2A39'",
            "$.color_palette[2].ratio: missing; a percentage as text, like '34.00'",
            "$.color_palette[3].name: unknown field; there are hex, ratio",
        ],
    ),
    (
        {"prompt": "a", "color_palette": [{"hex": "#111111", "ratio": "50"}] * 2},
        ["$.color_palette: 2 items; 3 to 10"],
    ),
    (
        {"prompt": "a", "extra": {"kie": 5, "a b": []}},
        ["$.extra.kie: 5 is not {field: value}", '$.extra["a b"]: [] is not {field: value}'],
    ),
    (
        {"prompt": 5, "watermark": "no", "thinking": 0, "inline": None, "extra": []},
        [
            "$.extra: [] is not an object",
            "$.inline: null is not true or false",
            "$.prompt: 5 is not text",
            "$.thinking: 0 is not true or false",
            "$.watermark: 'no' is not true or false",
        ],
    ),
]


@pytest.mark.parametrize(("document", "said"), [pair for pair in BAD if pair[1]])
def test_a_bad_document_tells_everything_that_is_wrong_with_it(document: Any, said: Any) -> None:
    """Each problem once, in the order of paths, with what would be right."""
    found = told(ImageRequest, document)

    assert len(said) == len(found)
    assert [] == [(s, f) for s, f in zip(said, found, strict=True) if not f.startswith(s)]


def test_problems_are_in_the_order_of_places() -> None:
    """[10] comes after [9]."""
    found = schemas.problems({"prompt": "a", "images": [5] * 11}, "request")

    assert [f"$.images[{i}]" for i in range(11)] == [p.path for p in found][1:]


def test_a_data_uri_is_never_shown_whole() -> None:
    """A message of ten megabytes helps nobody."""
    found = asked(size=URI, model="x" * 500, images=[{"url": URI, "size": URI}], extra={"kie": URI})

    assert len("".join(found)) < 900
    assert PAYLOAD[:20] not in "".join(found)
    assert f"$.size: 'data:image/png;base64,… ({len(URI)} characters)' is not a size" in found[3]
    assert f"$.model: '{'x' * 60}'… is unknown" in found[2]


def test_large_values_are_only_counted() -> None:
    """A list for a text is shown by its length, an object not at all."""
    found = asked(prompt=["x" * 50] * 3, negative_prompt={"a": "x" * 99}, watermark=[[]], model={})

    assert [
        "$.model: {} is unknown; one of wan2.7-image, wan2.7-image-pro",
        "$.negative_prompt: an object is not text",
        "$.prompt: a list of 3 is not text",
        "$.watermark: [[]] is not true or false",
    ] == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"prompt": "a",\n "n": }', "$: not JSON: expecting value at line 2, column 7"),
        ("{'prompt': 1}", "$: not JSON: expecting property name enclosed in double quotes at"),
        ("", "$: empty"),
        (" \n", "$: empty"),
        ("[1]", "$: [1] is not an object"),
        ("null", "$: null is not an object"),
        ('"a red kite"', "$: 'a red kite' is not an object"),
        ('{"prompt": "a", "n": 1, "prompt": "b", "n": 1}', "$.n: given twice; $.prompt: given"),
        ('{"extra": {"kie": {"a": 1, "a": 2}}}', "$.extra.kie.a: given twice"),
        ('{"seed": NaN}', "$.seed: is no finite number"),
        ('{"seed": -Infinity}', "$.seed: is no finite number"),
        ('{"extra": {"kie": {"x": 1e999}}}', "$.extra.kie.x: is no finite number"),
        ('{"seed": 18446744073709551616}', "$.seed: has more than 64 bits"),
        (f'{{"seed": {"1" * 5000}}}', "$: holds a number of thousands of digits"),
        ('{"prompt": "\\ud83d"}', "$.prompt: holds half a surrogate pair"),
        ('{"\\ud83d": 1}', "$: '\\ud83d' is no key for a JSON object"),
        ("[" * 100_000, "$: nested more than 100 deep"),
        (f'{{"a": {"[" * 100}{"]" * 100}}}', f"$.a{'[0]' * 99}: nested more than 100 deep"),
        (b"\xff\xfe{}", "$: not UTF-8 at byte 0"),
    ],
)
def test_text_that_is_no_json_is_one_clear_problem(text: Any, said: Any) -> None:
    """Before any schema: where it stops being JSON."""
    assert "; ".join(told(ImageRequest, text)).startswith(said)


def test_a_byte_order_mark_is_no_mistake() -> None:
    """Editors on Windows put one there."""
    assert KITE == codec.load(ImageRequest, "\ufeff" + codec.dump(KITE))
    assert KITE == codec.load(ImageRequest, b"\xef\xbb\xbf" + codec.dump(KITE).encode())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((1, 2), "$.extra.kie.x: tuple is not JSON"),
        (NOON, "$.extra.kie.x: datetime is not JSON"),
        (b"x", "$.extra.kie.x: bytes is not JSON"),
        ({1: 2}, "$.extra.kie.x: 1 is no key for a JSON object"),
        (float("nan"), "$.extra.kie.x: is no finite number"),
    ],
)
def test_values_that_json_cannot_hold_are_refused(value: Any, said: Any) -> None:
    """Parsed documents come from YAML and TOML too."""
    document = {"prompt": "a", "extra": {"kie": {"x": value}}}

    assert [said] == told(ImageRequest, document)
    assert said == str(schemas.problems(document, "request")[0])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "$.extra.kie.x: object is not JSON"),
        (float("inf"), "$.extra.kie.x: is no finite number"),
        (Decimal("nan"), "$.extra.kie.x: Decimal is not JSON"),
        (NOON.replace(tzinfo=None), "$.extra.kie.x: a time needs its offset"),
        (2**64, "$.extra.kie.x: has more than 64 bits"),
        ({None: 1}, "$.extra.kie.x: None is no key for a JSON object"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_path(value: Any, said: Any) -> None:
    """Better here than in the process that reads it."""
    with pytest.raises(InvalidRequest) as caught:
        codec.dump(evolve(KITE, extra={"kie": {"x": value}}))

    assert said == str(caught.value)


def test_an_endless_value_is_refused() -> None:
    """A list that holds itself has no JSON."""
    knot: list[Any] = []
    knot.append(knot)

    with pytest.raises(InvalidRequest, match="nested more than 100 deep"):
        codec.dump(evolve(KITE, extra={"kie": {"x": knot}}))


def test_other_classes_have_no_json_form() -> None:
    """A programmer's mistake, not a document's."""
    with pytest.raises(TypeError, match="Money has no JSON form; ImageRequest, ImageResult, Job"):
        codec.dump(Money("1", "USD"))
    with pytest.raises(TypeError, match="dict has no JSON form"):
        codec.load(dict, "{}")


@pytest.mark.parametrize("value", [JOB, RECEIPT, RESULT], ids=lambda v: type(v).__name__)
def test_what_is_stored_says_its_version_first(value: Any) -> None:
    """A later wanbridge must know what it reads."""
    text = codec.dump(value)

    assert text.startswith('{"version": 1, ')
    assert codec.dump(codec.load(type(value), text)) == text
    assert codec.load(type(value), text) == type(value).from_json(value.to_json())


@pytest.mark.parametrize(
    ("cls", "name"), [(Job, "job"), (Receipt, "receipt"), (ImageResult, "result")]
)
def test_a_newer_version_is_refused_by_name(cls: type[Any], name: str) -> None:
    """Its other members mean nothing to us, so nothing else is said."""
    assert [
        f"$.version: {name}: version 2 is newer than this wanbridge (1); upgrade wanbridge"
    ] == told(cls, {"version": 2, "unheard": "of"})


@pytest.mark.parametrize(
    ("version", "said"),
    [(0, "$.version: 0 is not 1"), ("2", "$.version: '2' is not 1"), (True, "true is not 1")],
)
def test_a_version_that_never_was_is_refused(version: Any, said: Any) -> None:
    """Versions are whole numbers from 1."""
    assert said in told(Job, codec.to_document(JOB) | {"version": version})[0]


def test_a_stored_value_without_version_or_id_says_so() -> None:
    """Both are members that somebody may have cut."""
    document = codec.to_document(JOB)
    del document["version"], document["id"]

    assert ["$.id: missing", "$.version: missing"] == told(Job, document)


@pytest.mark.parametrize("value", [JOB, RECEIPT], ids=lambda v: type(v).__name__)
def test_stored_requests_keep_only_the_digest_of_a_picture(value: Any) -> None:
    """A ledger of pictures would be large, and somebody's private pictures."""
    text = codec.dump(value)

    assert PAYLOAD[:12] not in text
    assert "data:image/png;sha256," in text
    again = codec.load(type(value), text)
    assert value.request.stored() == again.request
    assert again.request.images[0].is_digest
    assert PAYLOAD in codec.dump(value.request)


def test_money_times_and_bytes_have_their_json_forms() -> None:
    """Exact amounts, times that sort as text, bytes in base64."""
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))

    document = codec.to_document(evolve(RESULT, submitted_at=berlin))

    assert {"amount": "0.0300", "currency": "USD"} == document["cost"]
    assert "2026-11-20T12:00:00+00:00" == document["submitted_at"]
    assert "iVBORw==" == document["images"][0]["data"]
    assert 2**63 == document["images"][0]["seed"]
    assert "yes" == document["attempts"][0]["charge"]


def test_a_time_without_its_offset_is_refused_both_ways() -> None:
    """Whose noon?"""
    with pytest.raises(InvalidRequest, match=r"^\$\.submitted_at: a time needs its offset$"):
        codec.dump(evolve(JOB, submitted_at=NOON.replace(tzinfo=None)))
    document = codec.to_document(JOB)

    for text in ("2026-11-20T12:00:00", "2026-11-20", "noon"):
        assert "is not a time with its offset" in told(Job, document | {"submitted_at": text})[0]
    assert ["$.submitted_at: expected a time, got '2026-13-20T12:00:00Z'"] == told(
        Job, document | {"submitted_at": "2026-13-20T12:00:00Z"}
    )


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("cost", {"amount": 0.03, "currency": "USD"}, "$.cost.amount: 0.03 is not a decimal as"),
        ("cost", {"amount": "1e3", "currency": "USD"}, "$.cost.amount: '1e3' is not a decimal as"),
        ("cost", {"amount": "1", "currency": "usd"}, "$.cost.currency: 'usd' is not a currency"),
        ("cost", {"amount": "1"}, "$.cost.currency: missing; a currency code like 'USD'"),
        ("cost", 0, "$.cost: 0 is not {amount, currency}"),
        ("images", [], "$.images: 0 items; at least 1"),
        ("images", [{"data": "%"}], "$.images[0].data: '%' is not base64"),
        ("images", [{"data": 5}], "$.images[0].data: 5 is not text"),
        ("images", [{"width": 1.0}], "$.images[0].width: expected int, got float"),
        ("requested", 0, "$.requested: 0 is out of range; at least 1"),
        ("attempts", [{}], "$.attempts[0].charge: missing"),
        ("notes", [{"field": "n", "kind": "bad", "detail": ""}], "$.notes[0].kind: 'bad' is unkno"),
        ("shortfall", 1, "$.shortfall: unknown field; there are version, provider, model"),
    ],
)
def test_a_damaged_result_is_named_at_its_place(member: str, value: Any, said: Any) -> None:
    """Stored files are edited by hand and cut by full disks."""
    assert told(ImageResult, codec.to_document(RESULT) | {member: value})[0].startswith(said)


def test_a_damaged_request_inside_a_job_is_named_from_the_top() -> None:
    """All problems of both, the schema's and the constructor's."""
    document = codec.to_document(JOB)
    document["request"] = {
        "prompt": "a",
        "n": 9,
        "images": [{"url": "https://x", "regions": [[5, 5, 1, 1]]}],
    }
    document["state"] = []

    assert [
        "$.request.images[0].regions[0]: [5, 5, 1, 1]; a box is [x1, y1, x2, y2], x1 < x2, y1 < y2",
        "$.request.n: 9 is out of range; 1 to 4",
        "$.state: [] is not an object",
    ] == told(Job, document)
    assert ["$.request: 5 is not an object"] == told(Job, document | {"request": 5, "state": {}})


def test_a_paid_result_is_stored_whatever_the_provider_said() -> None:
    """NaN, cut emoji, numbers of 30 digits and endless nesting occur in replies."""
    deep: Any = "x"
    for _ in range(200):
        deep = {"d": [deep]}
    result = evolve(
        RESULT,
        raw={"a": float("nan"), "b": "\ud83d", "\ud83d": 10**30, "t": (1, object), "deep": deep},
        failures=(Failure(code=None, message="cut \ud83d"),),
    )

    again = codec.load(ImageResult, codec.dump(result))

    assert "cut \ufffd" == again.failures[0].message
    assert ("nan", "\ufffd", str(10**30)) == (again.raw["a"], again.raw["b"], again.raw["\ufffd"])
    assert [1, str(object)] == again.raw["t"]
    assert "…" in json.dumps(again.raw["deep"], ensure_ascii=False)
    assert "…" in json.dumps(codec.to_document(evolve(RESULT, raw=deep)), ensure_ascii=False)


ENGINES = {"jsonschema": schemas._with_jsonschema, "jsonschema-rs": schemas._with_jsonschema_rs}


ODD: list[Any] = [None, 7, 1.0, "x", True, [], {}, [{}]]


def broken(document: Any) -> list[Any]:
    """*document* with each of its nodes in turn removed, retyped, and with a stranger beside it."""
    made: list[Any] = [None, [], "", {}, {**document, "stranger": 1}]
    for key, value in document.items():
        made.append({k: v for k, v in document.items() if k != key})
        made += [{**document, key: other} for other in ODD]
        if isinstance(value, dict):
            made += [{**document, key: inner} for inner in broken(value)]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            made += [{**document, key: [inner]} for inner in broken(value[0])]
    return made


CORPUS: list[tuple[str, Any]] = [
    *(("request", document) for document, _ in BAD),
    *(("request", bad) for path in FIXTURES for bad in broken(json.loads(path.read_text()))),
    *(("job", bad) for bad in broken(codec.to_document(JOB))),
    *(("receipt", bad) for bad in broken(codec.to_document(RECEIPT))),
    *(("result", bad) for bad in broken(schemas.schema("result")["examples"][0])),
    *(("prices", bad) for bad in broken(schemas.schema("prices")["examples"][0])),
    *(("config", bad) for bad in broken(schemas.schema("config")["examples"][0])),
]


def test_both_validators_find_the_same_problems() -> None:
    """Installing an accelerator must not change a message."""
    pytest.importorskip("jsonschema_rs")
    checks = {
        engine: {name: make(schemas.schema(name)) for name in schemas.SCHEMAS}
        for engine, make in ENGINES.items()
    }

    def found(engine: str, name: str, document: object) -> list[Problem]:
        faults = checks[engine][name](document)
        return list(validation.in_order(p for f in faults for p in schemas._explained(f, document)))

    seen = 0
    for name, document in CORPUS:
        one = found("jsonschema", name, document)
        assert one == found("jsonschema-rs", name, document), document
        assert [] == [p for p in one if "breaks the schema" in p.message]
        seen += bool(one)
    assert seen > 500


def test_a_rule_without_words_still_says_which_it_is() -> None:
    """Another package's options may use keywords that ours do not."""
    schema = {"type": "object", "properties": {"x": {"multipleOf": 5}, "y": {"maximum": 3}}}

    assert ["$.x: 7 breaks the schema's 'multipleOf'", "$.y: 9 is out of range; at most 3"] == list(
        map(str, schemas.problems({"x": 7, "y": 9}, schema))
    )


def test_without_the_accelerator_the_other_validator_serves() -> None:
    """jsonschema-rs is an extra."""
    script = (
        "import sys; sys.modules['jsonschema_rs'] = None\n"
        "from wanbridge.model import schemas\n"
        "assert schemas.make_checker() is schemas._with_jsonschema\n"
        "print(schemas.problems({'n': 5, 'prompt': 'a'}, 'request')[0])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "$.n: 5 is out of range; 1 to 4" == done.stdout.strip()


def test_importing_wanbridge_loads_no_validator() -> None:
    """They cost more than a call."""
    script = (
        "import sys; import wanbridge.model.codec\n"
        "print([m for m in ('jsonschema', 'jsonschema_rs', 'cattrs') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()


sides = st.integers(1, 99999)
urls = st.sampled_from(["https://x/1.png", "http://x", "oss://b/k", URI])
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(words, json_values, max_size=2)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    st.integers(0, 9000),
    st.integers(0, 9000),
    st.integers(1, 9000),
    st.integers(1, 9000),
)
# No box leaves a picture of these sides.
pairs = st.none() | st.tuples(st.integers(18_000, 99_999), st.integers(18_000, 99_999))
images = st.builds(
    lambda place, regions, pair: InputImage(
        place if isinstance(place, str) else None,
        regions,
        *(pair or (None, None)),
        ref=None if isinstance(place, str) else place,
    ),
    urls | st.just({"runware": "u-1"}),
    st.lists(boxes, max_size=2),
    pairs,
)
sizes = st.builds(Size, sides, sides) | st.builds(
    Size,
    resolution=st.none() | st.sampled_from(RESOLUTIONS),
    aspect_ratio=st.none() | st.sampled_from(["1:1", "16:9", "8:1"]),
)


def palette(cuts: set[int]) -> list[PaletteColor]:
    """Colours whose ratios are the distances between *cuts* hundredths of a percent."""
    shares = [b - a for a, b in pairwise([0, *sorted(cuts), 10000])]
    return [PaletteColor(f"#{i:06x}", Decimal(s) / 100) for i, s in enumerate(shares)]


no_colors: list[PaletteColor] = []
palettes = st.just(no_colors) | st.sets(st.integers(1, 9999), min_size=2, max_size=9).map(palette)
requests = st.builds(
    ImageRequest,
    words.filter(str.strip),
    model=st.sampled_from(MODELS),
    negative_prompt=st.none() | words,
    images=st.lists(images, max_size=3),
    n=st.integers(1, 4),
    sequential=st.booleans(),
    size=sizes,
    thinking=st.none() | st.booleans(),
    color_palette=palettes,
    seed=st.none() | st.integers(0, SEED_MAX),
    watermark=st.booleans(),
    output_format=st.none() | st.sampled_from(FORMATS),
    inline=st.booleans(),
    callback_url=st.none() | st.just("https://x/y"),
    extra=st.dictionaries(words, objects, max_size=2),
)
times = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.integers(-720, 840).map(lambda m: timezone(timedelta(minutes=m))),
)
money = st.builds(
    Money,
    st.decimals(-1000, 1000, places=6),
    st.sampled_from(["USD", "CNY", "KIE-CREDITS"]),
)
jobs = st.builds(
    Job,
    provider=words,
    account=words,
    base_url=words,
    id=words,
    request=requests,
    submitted_at=times,
    key=words,
    state=objects,
    collect_by=st.none() | times,
)
receipts = st.builds(
    Receipt,
    provider=words,
    account=words,
    base_url=words,
    key=words,
    request=requests,
    digest=words,
    first_sent_at=times,
    last_sent_at=times,
    at_risk=st.none() | money,
)
results = st.builds(
    ImageResult,
    provider=words,
    model=words,
    job_id=st.none() | words,
    images=st.lists(
        st.builds(
            Image,
            url=st.none() | words,
            data=st.none() | st.binary(max_size=9),
            mime=st.none() | words,
            width=st.none() | sides,
            height=st.none() | sides,
            seed=st.none() | st.integers(-(2**63), 2**64 - 1),
            expires_at=st.none() | times,
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    requested=st.integers(1, 12),
    failures=st.lists(st.builds(Failure, code=st.none() | words, message=words), max_size=2).map(
        tuple
    ),
    cost=st.none() | money,
    cost_source=st.sampled_from([None, "reply", "rule"]),
    notes=st.lists(
        st.builds(Note, words, st.sampled_from(["adapted", "ignored", "dropped", "info"]), words),
        max_size=2,
    ).map(tuple),
    request_id=st.none() | words,
    submitted_at=st.none() | times,
    finished_at=st.none() | times,
    attempts=st.lists(
        st.builds(
            Attempt,
            provider=words,
            outcome=words,
            charge=st.sampled_from(Charge),
            cost=st.none() | money,
            seconds=st.floats(0, 1e6),
            detail=words,
        ),
        max_size=2,
    ).map(tuple),
    raw=json_values,
)


@settings(max_examples=60, deadline=None)
@given(requests)
def test_every_request_comes_back_as_it_was(request: ImageRequest) -> None:
    """Text and back is nothing."""
    assert request == codec.load(ImageRequest, codec.dump(request))
    assert () == schemas.problems(codec.to_document(request), "request")


@settings(max_examples=40, deadline=None)
@given(jobs | receipts)
def test_every_job_and_receipt_comes_back_but_for_its_pictures(value: Any) -> None:
    """Another process waits for it or looks it up."""
    again = codec.load(type(value), codec.dump(value))

    assert evolve(value, request=value.request.stored()) == again
    assert again == codec.load(type(value), codec.dump(again))


@settings(max_examples=40, deadline=None)
@given(results)
def test_every_result_comes_back_as_it_was(result: ImageResult) -> None:
    """Also the seeds of 64 bits and the bytes."""
    assert result == codec.load(ImageResult, codec.dump(result))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every node below *value*."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [p for key, item in items for p in ((*path, key), *places(item, (*path, key)))]


def mutated(document: Any, path: tuple[Any, ...], value: Any, remove: bool) -> Any:
    """*document* with the node at *path* replaced, or removed."""
    changed = deepcopy(document)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return changed


odd_values = json_values | st.sampled_from(
    [
        0,
        5,
        13,
        -1,
        2**31,
        1.0,
        "34",
        "100.01",
        "2K",
        "#ABCDEF",
        "https://x",
        "",
        " ",
        "oss://",
        None,
    ]
)
known_documents = st.sampled_from([json.loads(path.read_text("utf-8")) for path in FIXTURES])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_a_document_becomes_load_and_constructor_agree(data: st.DataObject) -> None:
    """Only `InvalidRequest` comes out, and a document that loads is what the constructor makes."""
    document = data.draw(known_documents)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(document) or [("prompt",)]))
        remove = document != {} and data.draw(st.booleans())
        document = mutated(document, path, data.draw(odd_values), remove)

    try:
        loaded = codec.load(ImageRequest, json.dumps(document))
    except InvalidRequest:
        loaded = None
    try:
        built = ImageRequest(**document)
    except (InvalidRequest, TypeError):
        built = None

    # JSON has one form for a colour and no numbers for ratios; Python is freer there.
    colors = document.get("color_palette")
    freer = isinstance(colors, list) and any(
        not isinstance(c, dict) or type(c.get("ratio")) is not str for c in colors
    )
    assert loaded == built or (loaded is None and freer)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([JOB, RECEIPT, RESULT]))
def test_whatever_a_stored_value_becomes_only_an_invalid_request_comes_out(
    data: st.DataObject, value: Any
) -> None:
    """A damaged ledger is told, not crashed on."""
    document = codec.to_document(value)
    path = data.draw(st.sampled_from(places(document)))
    changed = mutated(document, path, data.draw(odd_values), data.draw(st.booleans()))

    try:
        again = codec.load(type(value), json.dumps(changed))
    except InvalidRequest as exc:
        assert exc.problems  # noqa: PT017
    else:
        assert codec.load(type(value), codec.dump(again)) == again


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30) | st.binary(max_size=30))
def test_any_text_is_loaded_or_refused(text: Any) -> None:
    """Nothing but our own error, whatever the file."""
    with pytest.raises(InvalidRequest):
        codec.load(ImageRequest, text)
