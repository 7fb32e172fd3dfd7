"""The schemas are the contract and the attrs classes its Python; here neither may drift."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import attrs
import jsonschema  # type: ignore[import-untyped]
import pytest

from wanbridge.errors import Charge, InvalidRequest
from wanbridge.model import codec, schemas, strict_json
from wanbridge.model import request as model
from wanbridge.model.inputs import REGIONS_MAX, InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note, NoteKind
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, Failure, Image, ImageResult
from wanbridge.model.size import RESOLUTIONS, Size
from wanbridge.model.stored import UNSTORED

# prices.schema.json is tested where it is read.
OURS = ("request", "result", "job", "receipt", "config")
REQUEST, RESULT, JOB, RECEIPT, CONFIG = (schemas.schema(name) for name in OURS)
META = "https://json-schema.org/draft/2020-12/schema"

# Every attrs class beside the part of a schema that speaks of it.
PAIRS = [
    pytest.param(cls, node, id=cls.__name__)
    for cls, node in (
        (ImageRequest, REQUEST),
        (InputImage, REQUEST["$defs"]["image"]),
        (Size, REQUEST["$defs"]["size"]),
        (PaletteColor, REQUEST["$defs"]["color"]),
        (ImageResult, RESULT),
        (Image, RESULT["$defs"]["image"]),
        (Failure, RESULT["$defs"]["failure"]),
        (Note, RESULT["$defs"]["note"]),
        (Attempt, RESULT["$defs"]["attempt"]),
        (Money, RESULT["$defs"]["money_or_null"]),
        (Job, JOB),
        (Receipt, RECEIPT),
    )
]


def stored_fields(cls: type[Any]) -> list[attrs.Attribute[Any]]:
    """The fields that have a JSON form."""
    return [f for f in attrs.fields(cls) if not UNSTORED.keys() & f.metadata.keys()]


def default_of(field: attrs.Attribute[Any]) -> Any:
    """A field's default in its JSON form; NOTHING if it is required."""
    default: Any = field.default
    if hasattr(default, "factory"):
        default = default.factory()
    if isinstance(default, Size):
        return {}
    return [] if default == () else default


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a schema with its place, examples and defaults left out."""
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            if key not in ("examples", "default"):
                yield from nodes(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from nodes(value, f"{path}/{index}")


@pytest.mark.parametrize("name", OURS)
def test_a_schema_is_valid_and_says_who_it_is(name: str) -> None:
    """Other languages read these files, not our code."""
    schema = schemas.schema(name)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert (META, f"https://wanbridge.dev/schemas/{name}.schema.json") == (
        schema["$schema"],
        schema["$id"],
    )
    assert schema["title"]
    assert schema["description"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", OURS)
def test_the_examples_of_a_schema_keep_it(name: str) -> None:
    """An example that fails teaches the wrong thing."""
    examples = schemas.schema(name)["examples"]

    assert examples
    assert [()] * len(examples) == [schemas.problems(example, name) for example in examples]


@pytest.mark.parametrize("name", OURS)
def test_every_property_is_described(name: str) -> None:
    """The schema is also the reference that people read."""
    silent = [
        f"{path}/{key}"
        for path, node in nodes(schemas.schema(name))
        for key, value in node.get("properties", {}).items()
        if "description" not in value
        and "description" not in resolved(value, schemas.schema(name))
        and not any(word in path for word in ("/if", "/then", "/else", "/anyOf", "/oneOf"))
        and value != {"const": path.rpartition("/")[2]}
    ]

    assert [] == silent


def resolved(node: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The node that a local ``$ref`` leads to, else the node."""
    if not node.get("$ref", "").startswith("#/$defs/"):
        return node
    return schema["$defs"][node["$ref"].rpartition("/")[2]]


@pytest.mark.parametrize("name", OURS)
def test_every_pattern_and_every_choice_of_rules_has_its_words(name: str) -> None:
    """Without a title the message would show a regular expression."""
    wordless = [
        path
        for path, node in nodes(schemas.schema(name))
        if "title" not in node
        and ("pattern" in node or "anyOf" in node or "oneOf" in node)
        and not path.endswith("properties")
    ]

    assert [] == wordless


@pytest.mark.parametrize("name", OURS)
def test_patterns_mean_the_same_to_every_engine(name: str) -> None:
    r"""``\d``, ``\s`` and lookarounds differ between Python, Rust and JavaScript."""
    patterns = [node["pattern"] for _, node in nodes(schemas.schema(name)) if "pattern" in node]

    assert [] == [p for p in patterns if "(?" in p or r"\d" in p or r"\s" in p or r"\w" in p]


@pytest.mark.parametrize(("cls", "node"), PAIRS)
def test_fields_and_properties_are_the_same(cls: type[Any], node: dict[str, Any]) -> None:
    """Both ways: a field that JSON cannot say, or a property that nothing reads, is drift."""
    names = [field.name for field in stored_fields(cls)]

    assert names == [name for name in node["properties"] if name != "version"]


@pytest.mark.parametrize(("cls", "node"), PAIRS)
def test_required_fields_and_defaults_are_the_same(cls: type[Any], node: dict[str, Any]) -> None:
    """What is left out means the same in both."""
    fields = stored_fields(cls)
    required = [f.name for f in fields if f.default is attrs.NOTHING]
    defaults = {f.name: default_of(f) for f in fields if f.default is not attrs.NOTHING}

    assert required == [name for name in node.get("required", []) if name != "version"]
    assert defaults == {k: v["default"] for k, v in node["properties"].items() if "default" in v}


@pytest.mark.parametrize(("cls", "node"), PAIRS)
def test_a_field_that_may_be_none_may_be_null(cls: type[Any], node: dict[str, Any]) -> None:
    """Serialisers of other languages write null for absent."""
    for field in stored_fields(attrs.resolve_types(cls)):
        stated = pointed_at(node["properties"][field.name])
        nullable = None in stated.get("enum", ()) or "null" in stated.get("type", ())
        if field.type is not Any:
            assert (type(None) in get_args(field.type)) == nullable, field.name


def pointed_at(node: dict[str, Any]) -> Any:
    """What a property's ``$ref`` leads to, else the property."""
    known = REQUEST["$defs"] | RESULT["$defs"] | {"request.schema.json": REQUEST}
    return known[node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def test_enums_are_the_same() -> None:
    """The words of the contract stand in both places."""
    properties = REQUEST["properties"]
    size = REQUEST["$defs"]["size"]["properties"]

    assert list(model.MODELS) == properties["model"]["enum"]
    assert [*model.FORMATS, None] == properties["output_format"]["enum"]
    assert [*RESOLUTIONS, None] == size["resolution"]["enum"]
    assert list(get_args(NoteKind)) == RESULT["$defs"]["note"]["properties"]["kind"]["enum"]
    assert list(Charge) == RESULT["$defs"]["attempt"]["properties"]["charge"]["enum"]
    assert ["reply", "rule", None] == RESULT["properties"]["cost_source"]["enum"]


def test_bounds_are_the_same() -> None:
    """The numbers that messages and adapters speak of."""
    properties, defs = REQUEST["properties"], REQUEST["$defs"]

    assert model.PROMPT_MAX == properties["prompt"]["maxLength"]
    assert model.IMAGES_MAX == properties["images"]["maxItems"]
    assert (0, model.SEED_MAX) == (properties["seed"]["minimum"], properties["seed"]["maximum"])
    assert REGIONS_MAX == defs["image"]["properties"]["regions"]["maxItems"]
    assert {"minItems": 3, "maxItems": 10} == properties["color_palette"]["then"]
    assert [{"minimum": 1, "maximum": 12}, {"minimum": 1, "maximum": 4}] == [
        REQUEST["allOf"][0][branch]["properties"]["n"] for branch in ("then", "else")
    ]


# A document and the same one step too far.
EDGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"prompt": "x" * 5000}, {"prompt": "x" * 5001}),
    ({"prompt": "\U0001f43a" * 5000}, {"prompt": "\U0001f43a" * 5001}),
    ({"n": 1}, {"n": 0}),
    ({"n": 4}, {"n": 5}),
    ({"n": 12, "sequential": True}, {"n": 13, "sequential": True}),
    ({"seed": 0}, {"seed": -1}),
    ({"seed": 2**31 - 1}, {"seed": 2**31}),
    ({"images": ["https://x"] * 9}, {"images": ["https://x"] * 10}),
    ({"images": ["oss://x"]}, {"images": ["ftp://x"]}),
    (
        {"images": [{"url": "https://x", "regions": [[0, 0, 1, 1]] * 2}]},
        {"images": [{"url": "https://x", "regions": [[0, 0, 1, 1]] * 3}]},
    ),
    (
        {"images": [{"url": "https://x", "width": 1, "height": 99999}]},
        {"images": [{"url": "https://x", "width": 1, "height": 100000}]},
    ),
    (
        {"images": [{"url": None, "ref": {"runware": "u"}}]},
        {"images": [{"url": "https://x", "ref": {"runware": "u"}}]},
    ),
    (
        {"color_palette": [{"hex": "#111111", "ratio": "10"}] * 10},
        {"color_palette": [{"hex": "#111111", "ratio": "9"}] * 11},
    ),
    (
        {"color_palette": [{"hex": "#111111", "ratio": r} for r in ("50", "49.99", "0.01")]},
        {"color_palette": [{"hex": "#111111", "ratio": "50"}] * 2},
    ),
    ({"color_palette": []}, {"color_palette": [{"hex": "#111111", "ratio": "100"}]}),
    ({"size": "99999x1"}, {"size": "100000x1"}),
    ({"size": "16:9@4k"}, {"size": "16:9@8k"}),
    ({"size": {"width": 5, "height": 5}}, {"size": {"width": 5, "height": None}}),
    (
        {"size": {"resolution": "2K", "aspect_ratio": None}},
        {"size": {"resolution": "2K", "width": 1, "height": 1}},
    ),
    ({"prompt": "", "images": ["https://x"]}, {"prompt": "", "images": []}),
    ({"prompt": "\u200b"}, {"prompt": "\u2003"}),
    ({"callback_url": "https://x"}, {"callback_url": "http://x"}),
    ({"extra": {"kie": {}}}, {"extra": {"kie": None}}),
]


@pytest.mark.parametrize(("good", "bad"), EDGES)
def test_schema_and_constructor_draw_every_line_at_the_same_place(
    good: dict[str, Any], bad: dict[str, Any]
) -> None:
    """One step further both refuse; up to it both accept."""
    good, bad = {"prompt": "a", **good}, {"prompt": "a", **bad}

    assert () == schemas.problems(good, "request")
    assert codec.from_document(ImageRequest, good) == ImageRequest(**good)
    assert () != schemas.problems(bad, "request")
    with pytest.raises(InvalidRequest):
        ImageRequest(**bad)


def test_a_schema_is_handed_out_as_a_copy() -> None:
    """Configuration merges adapter options into its schema; the next reader gets a clean one."""
    schemas.schema("config")["$defs"].clear()

    assert "runware" in schemas.schema("config")["$defs"]
    with pytest.raises(ValueError, match="no schema 'offers'; there are request, result"):
        schemas.schema("offers")


def test_the_places_where_another_adapter_joins_agree() -> None:
    """$defs, the accounts of that name, and the condition for other names."""
    properties = CONFIG["properties"]["providers"]["properties"]
    conditions = CONFIG["$defs"]["account"]["allOf"]
    common = {"adapter", "api_key", "api_key_env", "base_url"}

    assert sorted(properties) == [c["then"]["$ref"].rpartition("/")[2] for c in conditions]
    for name, condition in zip(sorted(properties), conditions, strict=True):
        assert {"const": name} == condition["if"]["properties"]["adapter"]
        assert f"#/$defs/{name}" == properties[name]["$ref"]
        assert {"const": name} == properties[name]["properties"]["adapter"]
        assert CONFIG["$defs"][name]["additionalProperties"] is False
        assert common <= set(CONFIG["$defs"][name]["properties"])


def test_some_adapters_have_options_and_the_others_none() -> None:
    """As the adapters' own `Options` say."""
    common = {"adapter", "api_key", "api_key_env", "base_url"}
    own = {
        name: set(CONFIG["$defs"][name]["properties"]) - common
        for name in CONFIG["properties"]["providers"]["properties"]
    }

    assert {
        "crun": {"allow_unverified", "usd_per_credit"},
        "dashscope": {"mode", "region", "workspace"},
        "empiriolabs": set(),
        "gccai": set(),
        "kie": {"upload_url", "usd_per_credit", "webhook_key"},
        "reapi": set(),
        "runware": set(),
    } == own


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"provider": {}}, ["$.provider: unknown field; did you mean 'providers'?"]),
        ({"client": {"deadline": 0}}, ["$.client.deadline: 0 is out of range; above 0"]),
        ({"client": {"deadline": "60"}}, ["$.client.deadline: '60' is not a number"]),
        (
            {"providers": {"runware": {"mode": "sync"}}},
            [
                "$.providers.runware.mode: unknown field;"
                " there are adapter, api_key, api_key_env, base_url"
            ],
        ),
        (
            {"providers": {"runware-eu": {"adapter": "runware", "apikey": "sk-1"}}},
            ["$.providers.runware-eu.apikey: unknown field; did you mean 'api_key'?"],
        ),
        (
            {"providers": {"dashscope": {"mode": "later", "region": "mars"}}},
            [
                "$.providers.dashscope.mode: 'later' is unknown; one of async, sync",
                "$.providers.dashscope.region: 'mars' is unknown; one of singapore, beijing",
            ],
        ),
        (
            {"providers": {"runware": {"adapter": "reapi"}}},
            ["$.providers.runware.adapter: 'reapi' is not 'runware'"],
        ),
        ({"providers": {"halide": {"anything": 1}}}, []),
        (
            {"providers": {"x": {"api_key": 77, "api_key_env": "sk-1 pasted"}}},
            [
                "$.providers.x.api_key: this value is not text",
                "$.providers.x.api_key_env: this value is not the name of an environment variable",
            ],
        ),
    ],
)
def test_a_wrong_configuration_is_told_without_its_secrets(
    config: dict[str, Any], said: Any
) -> None:
    """Unknown keys come with the nearest known name; keys are never shown."""
    assert said == list(map(str, schemas.problems(config, "config")))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://api.runware.ai/v1", True),
        ("https://dashscope.aliyuncs.com:8443/api/v1", True),
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:80", True),
        ("http://127.0.0.1.evil.example/v1", False),
        ("http://localhost@evil.example/v1", False),
        ("http://api.runware.ai/v1", False),
        ("https://key@api.runware.ai/v1", False),
        ("https://api.runware.ai/v1?key=1", False),
        ("https://", False),
        ("api.runware.ai", False),
        ("https://x/v1\n", False),
    ],
)
def test_plain_http_is_for_this_machine_only(url: str, good: bool) -> None:
    """A key must not travel in the clear, nor to a host that only looks like loopback."""
    found = schemas.problems({"providers": {"x": {"base_url": url}}}, "config")

    assert good == (found == ())


def test_a_merged_configuration_schema_can_be_checked() -> None:
    """Adapters of other packages bring their own options."""
    merged = schemas.schema("config")
    merged["$defs"]["halide"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"api_key": {"$ref": "#/$defs/api_key"}, "dark": {"type": "boolean"}},
    }
    merged["properties"]["providers"]["properties"]["halide"] = {"$ref": "#/$defs/halide"}

    found = schemas.problems({"providers": {"halide": {"dark": 1, "api_key": ""}}}, merged)

    assert [
        "$.providers.halide.api_key: 0 characters; at least 1",
        "$.providers.halide.dark: 1 is not true or false",
    ] == list(map(str, found))


@pytest.mark.parametrize("name", OURS)
def test_a_schema_file_has_no_key_twice(name: str) -> None:
    """`json.loads` would silently keep the last."""
    text = (Path(__file__).parents[2] / "schemas" / f"{name}.schema.json").read_text("utf-8")

    assert schemas.schema(name) == strict_json.parse(text)
