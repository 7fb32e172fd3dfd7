"""Requests, results, jobs and receipts as JSON, checked against ``schemas/*.schema.json``.

A document is first judged by its schema (by ``jsonschema_rs`` if it is there, else by
``jsonschema``; both give the same problems), then built by the strict converter and the
model's own constructors, which know what a schema cannot say. All problems come at once, in
the order of their paths.

JSON forms: a box is ``[x1, y1, x2, y2]``; an image without more than a url is that text; a
decimal is text; a time is ISO 8601 in UTC; bytes are base64. A request leaves out what is at
its default and has no version; what is stored has ``"version": 1`` first.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import Attribute, evolve, fields, fields_dict, frozen, has

from wanbridge.errors import InvalidRequest, Problem, step
from wanbridge.model.request import (
    Box,
    ImageRequest,
    ImageResult,
    InputImage,
    Job,
    Receipt,
    Size,
    brief_url,
)
from wanbridge.model.structuring import ShapeError, mismatch, strict_converter

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
Step = str | int
Document = dict[str, Any]

VERSION = 1
SCHEMAS = ("request", "result", "job", "receipt", "config", "prices")
DEPTH_MAX = 100
RAW_DEPTH = 50
INT_MIN, INT_MAX = -(2**63), 2**64 - 1

_HALF = re.compile(r"[\ud800-\udfff]")
# Schemas that others refer to.
_REFERRED = ("request", "result", "job", "receipt")
_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_NAMES: dict[type, str] = {
    ImageRequest: "request",
    ImageResult: "result",
    Job: "job",
    Receipt: "receipt",
}


def dump(value: object) -> str:
    """An ImageRequest, ImageResult, Job or Receipt as JSON text; see `to_document`."""
    return json.dumps(to_document(value), ensure_ascii=False, allow_nan=False)


def load(cls: type[T], text: str | bytes) -> T:
    """An ImageRequest, ImageResult, Job or Receipt from JSON text.

    Raises:
        InvalidRequest: with every problem; for text that is no JSON with its line and column.
    """
    return _read(cls, _name(cls), parse(text))


def to_document(value: object) -> Document:
    """An ImageRequest, ImageResult, Job or Receipt as a JSON object, sharing nothing with it.

    Stored requests (in a job or receipt) keep ``data:`` URIs only by their SHA-256.

    Raises:
        InvalidRequest: a time is naive, or ``extra`` or ``state`` holds what is not JSON.
    """
    name = _name(type(value))
    document: Document = _write(value, DEPTH_MAX)
    _settle(_not_json(document))
    return {"version": VERSION, **document} if name == "result" else document


def from_document(cls: type[T], document: object) -> T:
    """As `load`, from JSON that is parsed already (plain dicts, lists, text and numbers).

    Raises:
        InvalidRequest: with every problem.
    """
    name = _name(cls)
    _settle(_not_json(document))
    return _read(cls, name, document)


def _read(cls: type[T], name: str, document: object) -> T:
    if not isinstance(document, dict):
        _settle([Problem("$", f"{_shown(document)} is not an object")])
    elif name != "request":
        _check_version(name, document)
    found: Iterable[Problem] = _judged(document, _checker(name))
    try:
        made: T = _converter().structure(document, cls)
    except ShapeError as exc:
        found = _merged(found, exc.problems)
    _settle(found)
    return made


def parse(text: str | bytes) -> Any:
    """JSON text as plain values, stricter than `json.loads`: no NaN, no key given twice.

    Raises:
        InvalidRequest: with line and column, or the path of what JSON does not allow.
    """
    try:
        words = text.decode() if isinstance(text, bytes) else text
        value = json.loads(words.removeprefix("\ufeff"), object_pairs_hook=_object)
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest((Problem("$", _unreadable(exc)),)) from None
    _settle(_not_json(value))
    return value


def _unreadable(exc: Exception) -> str:
    match exc:
        case json.JSONDecodeError() if not exc.doc.strip():
            return "empty"
        case json.JSONDecodeError():
            said = exc.msg[:1].lower() + exc.msg[1:]
            return f"not JSON: {said} at line {exc.lineno}, column {exc.colno}"
        case UnicodeDecodeError():
            return f"not UTF-8 at byte {exc.start}"
        case RecursionError():
            return f"nested more than {DEPTH_MAX} deep"
    return "holds a number of thousands of digits"


@cache
def _schema(name: str) -> Document:
    if name not in SCHEMAS:
        raise ValueError(f"no schema {name!r}; there are {', '.join(SCHEMAS)}")
    file = f"{name}.schema.json"
    shipped = resources.files("wanbridge") / "schemas" / file
    # In a checkout the schemas stand beside the package.
    found = shipped if shipped.is_file() else Path(__file__).parents[2] / "schemas" / file
    read: Document = json.loads(found.read_text("utf-8"))
    return read


def schema(name: str) -> Document:
    """A fresh copy of ``schemas/<name>.schema.json``; *name* is one of `SCHEMAS`."""
    copy: Document = json.loads(json.dumps(_schema(name)))
    return copy


def problems(document: object, against: str | Document) -> tuple[Problem, ...]:
    """What a schema finds wrong with *document*, in the order of paths; empty if nothing.

    Args:
        document: Plain values. What is not JSON (a date, NaN, a tuple) is a problem too.
        against: A name of `SCHEMAS`, or a whole schema, which may refer to those.
    """
    if found := _not_json(document):
        return _sorted(found)
    return _judged(
        document, _checker(against) if isinstance(against, str) else _make_checker()(against)
    )


def _judged(document: object, check: Check) -> tuple[Problem, ...]:
    return _sorted(p for fault in check(document) for p in _explained(fault, document))


def _settle(found: Iterable[Problem]) -> None:
    if ordered := _sorted(found):
        raise InvalidRequest(ordered)


def _sorted(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by path; ``[10]`` after ``[9]``."""

    def order(problem: Problem) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", problem.path)
        return [int(p) if i % 2 else p for i, p in enumerate(parts)], problem.message

    return tuple(sorted(set(found), key=order))


def _merged(first: Iterable[Problem], more: Iterable[Problem]) -> list[Problem]:
    """Both, but of *more* only what *first* does not say about the same place or within it."""
    first = list(first)
    said = {p.path for p in first}
    return first + [
        p
        for p in more
        if p.path not in said and not any(s.startswith((p.path + ".", p.path + "[")) for s in said)
    ]


def _name(cls: type) -> str:
    try:
        return _NAMES[cls]
    except KeyError:
        known = ", ".join(kind.__name__ for kind in _NAMES)
        raise TypeError(f"{cls.__name__} has no JSON form; {known} have") from None


def _check_version(name: str, document: Document) -> None:
    version = document.get("version")
    if type(version) is int and version > VERSION:
        newer = f"version {version} is newer than this wanbridge ({VERSION}); upgrade wanbridge"
        _settle([Problem("$.version", f"{name}: {newer}")])


class _Twice(dict[str, Any]):
    """A JSON object in which keys were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.keys_twice = [key for key, count in Counter(k for k, _ in pairs).items() if count > 1]


def _object(pairs: list[tuple[str, Any]]) -> Document:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(pairs)


def _not_json(value: object, path: str = "$", room: int = DEPTH_MAX) -> list[Problem]:
    """What JSON does not allow in plain values, down to *room* levels."""
    if isinstance(value, list | dict) and type(value) in (list, dict, _Twice):
        return _not_json_within(value, path, room)
    if (reason := _no_scalar(value)) is not None:
        return [Problem(path, reason)]
    return []


def _not_json_within(value: list[Any] | Document, path: str, room: int) -> list[Problem]:
    if not room:
        return [Problem(path, f"nested more than {DEPTH_MAX} deep")]
    found: list[Problem] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += _not_json(item, f"{path}[{index}]", room - 1)
        return found
    for key, item in value.items():
        if type(key) is not str or _no_scalar(key):
            found.append(Problem(path, f"{key!r} is no key for a JSON object"))
        else:
            found += _not_json(item, path + step(key), room - 1)
    if isinstance(value, _Twice):
        found += [Problem(path + step(key), "given twice") for key in value.keys_twice]
    return found


def _no_scalar(value: object) -> str | None:
    """Why *value* is no JSON text, number, true, false or null; None if it is."""
    kind = type(value)
    if kind is str:
        half = _HALF.search(cast("str", value))
        return "holds half a surrogate pair, which is no character" if half else None
    if value is None or kind is bool:
        return None
    if kind is int:
        return None if INT_MIN <= cast("int", value) <= INT_MAX else "has more than 64 bits"
    if kind is float:
        return None if math.isfinite(cast("float", value)) else "is no finite number"
    if isinstance(value, datetime) and value.tzinfo is None:
        return "a time needs its offset"
    return f"{kind.__name__} is not JSON"


def _write(value: Any, room: int) -> Any:
    """*value* as plain JSON values; what has no JSON form stays, for `_not_json` to name."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if not room:
        return value
    if isinstance(value, list | tuple):
        return [_write(item, room - 1) for item in value]
    if isinstance(value, Mapping):
        return {key: _write(item, room - 1) for key, item in value.items()}
    return _write_value(value, room) if has(type(value)) else value


def _write_value(value: Any, room: int) -> Any:
    """One of the model's values."""
    match value:
        case Box():
            return list(value.corners)
        case InputImage(url=str(url)) if not (value.regions or value.width):
            return url
        case ImageRequest() | InputImage() | Size():
            return {
                field.name: _write(getattr(value, field.name), room - 1)
                for field in fields(type(value))
                if getattr(value, field.name) != _default(field)
            }
        case Job() | Receipt():
            value = evolve(value, request=value.request.stored())
            return {"version": VERSION, **_members(value, room)}
    return _members(value, room)


def _members(value: Any, room: int) -> Document:
    return {
        field.name: _readable(getattr(value, field.name), RAW_DEPTH)
        if field.name == "raw"
        else _whole(_write(getattr(value, field.name), room - 1))
        for field in fields(type(value))
    }


def _default(field: Attribute[Any]) -> Any:
    default: Any = field.default
    return default.factory() if hasattr(default, "factory") else default


def _whole(value: Any) -> Any:
    """Text without half characters: some providers cut their messages inside an emoji."""
    return _HALF.sub("\ufffd", value) if isinstance(value, str) else value


def _readable(value: Any, room: int) -> Any:
    """A provider's reply as JSON at any price: it must not keep a result from being stored."""
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, list | tuple):
        return [_readable(item, room - 1) for item in value] if room else "…"
    if isinstance(value, Mapping):
        if not room:
            return "…"
        return {_whole(str(key)): _readable(item, room - 1) for key, item in value.items()}
    return value if _no_scalar(value) is None else str(value)


@cache
def _converter() -> Converter:
    """The strict converter with the model's JSON forms."""
    converter = strict_converter()
    converter.register_structure_hook(ImageRequest, _read_request)
    converter.register_structure_hook(bytes, _read_bytes)
    return converter


def _read_request(value: object, _: object) -> ImageRequest:
    """The constructor checks everything, and all of it at once; unknown members are left out."""
    if not isinstance(value, dict):
        raise mismatch("object", value)
    known = fields_dict(ImageRequest)
    try:
        return ImageRequest(**{name: value[name] for name in known if name in value})
    except InvalidRequest as exc:
        raise ShapeError(exc.problems) from None


def _read_bytes(value: object, _: object) -> bytes:
    if not isinstance(value, str):
        raise mismatch("str", value)
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise ShapeError((Problem("$", f"{_shown(value)} is not base64"),)) from None


@frozen
class _Fault:
    """One schema error, whoever found it.

    Attributes:
        path: Where in the document.
        keyword: Which keyword of *node* the value breaks.
        node: The schema object that holds the keyword.
    """

    path: tuple[Step, ...]
    keyword: str
    node: Document


Check = Callable[[Any], list[_Fault]]


@cache
def _checker(name: str) -> Check:
    return _make_checker()(_schema(name))


@cache
def _make_checker() -> Callable[[Document], Check]:
    try:
        import jsonschema_rs

        # Releases before 0.37 raise ValueError on integers of 64 bits (tried 2026-11-21).
        jsonschema_rs.Draft202012Validator({"maximum": INT_MAX}).is_valid(INT_MAX)
    except (ImportError, ValueError):
        return _with_jsonschema
    return _with_jsonschema_rs


def _with_jsonschema_rs(against: Document) -> Check:
    import jsonschema_rs

    registry = jsonschema_rs.Registry([(_schema(n)["$id"], _schema(n)) for n in _REFERRED])
    validator = jsonschema_rs.Draft202012Validator(
        against, registry=registry, validate_formats=False
    )

    def check(document: Any) -> list[_Fault]:
        faults = []
        for error in validator.iter_errors(document):
            # Older releases have only schema_path, which then leads through each $ref.
            *place, keyword = getattr(error, "evaluation_path", error.schema_path)
            faults.append(_Fault(tuple(error.instance_path), str(keyword), _node(against, place)))
        return faults

    return check


def _node(root: Document, path: Iterable[Step]) -> Any:
    """The part of a schema at *path*, which may lead through ``$ref``."""
    node: Any = root
    for key in path:
        if key != "$ref":
            node = node[key]
            continue
        file, _, pointer = node["$ref"].partition("#")
        if file:
            root = _schema(file.rpartition("/")[2].removesuffix(".schema.json"))
        node = _node(root, pointer.split("/")[1:])
    return node


def _with_jsonschema(against: Document) -> Check:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
    from jsonschema.validators import extend  # type: ignore[import-untyped]
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    def pattern(_: Any, pattern: str, value: object, __: Any) -> Iterator[Any]:
        # To Python "$" is also before a last newline; to JSON Schema it is the end.
        if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
            yield ValidationError("")

    resources = [(_schema(n)["$id"], DRAFT202012.create_resource(_schema(n))) for n in _REFERRED]
    kind = extend(Draft202012Validator, {"pattern": pattern})
    validator = kind(against, registry=Registry().with_resources(resources))

    def check(document: Any) -> list[_Fault]:
        return [
            _Fault(tuple(error.absolute_path), error.validator, error.schema)
            for error in validator.iter_errors(document)
        ]

    return check


def _explained(fault: _Fault, document: Any) -> Iterator[Problem]:
    """The fault in words: what was given, what would be right."""
    value = document
    for key in fault.path:
        value = value[key]
    path = "$" + "".join(map(step, fault.path))
    node = fault.node
    match fault.keyword:
        case "additionalProperties":
            known = node.get("properties", {})
            for name in value:
                if name not in known:
                    yield Problem(path + step(name), _unknown(name, known))
        case "required":
            for name in node["required"]:
                if name not in value:
                    hint = node.get("properties", {}).get(name, {}).get("title")
                    yield Problem(path + step(name), f"missing; {hint}" if hint else "missing")
        case keyword:
            shown = "this value" if node.get("writeOnly") else _shown(value)
            yield Problem(path, _broken(keyword, node, value, shown))


def _unknown(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), known, 1, 0.7)
    if near:
        return f"unknown field; did you mean {near[0]!r}?"
    return f"unknown field; there are {', '.join(known)}"


def _broken(keyword: str, node: Document, value: Any, shown: str) -> str:
    """One message; a node's title says what would be right where types and bounds do not."""
    title = _title(node)
    match keyword:
        case "anyOf" | "oneOf" | "not" if title:
            return title
        case "type":
            return f"{shown} is not {_wanted(node)}"
        case "pattern" | "minItems" | "maxItems" | "minProperties" | "minLength" if title:
            return f"{shown} is not {title}"
        case "enum":
            choices = ", ".join(v if isinstance(v, str) else _shown(v) for v in node["enum"])
            return f"{shown} is unknown; one of {choices}"
        case "const":
            return f"{shown} is not {_shown(node['const'])}"
        case "minimum" | "maximum":
            return f"{shown} is out of range; {_span(node, 'minimum', 'maximum')}"
        case "exclusiveMinimum":
            return f"{shown} is out of range; above {node['exclusiveMinimum']}"
        case "minItems" | "maxItems":
            return f"{len(value)} items; {_span(node, 'minItems', 'maxItems')}"
        case "minLength" | "maxLength":
            return f"{len(value)} characters; {_span(node, 'minLength', 'maxLength')}"
    return f"{shown} breaks the schema's {keyword!r}"


def _title(node: Document) -> str | None:
    """What a value should be; a whole schema's title is its name and says nothing about that."""
    return None if "$id" in node else node.get("title")


def _wanted(node: Document) -> str:
    """What a value's type should be."""
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    real = [kind for kind in kinds if kind != "null"]
    if len(real) == 1 and (title := _title(node)):
        return title
    words = " or ".join(_TYPES[kind] for kind in real or kinds)
    return f"{words}; {_span(node, 'minimum', 'maximum')}" if "minimum" in node else words


def _span(node: Document, low: str, high: str) -> str:
    if low in node and high in node:
        return f"{node[low]} to {node[high]}"
    return f"at most {node[high]}" if high in node else f"at least {node[low]}"


def _shown(value: Any) -> str:
    """A value for a message, short: no payload of a ``data:`` URI, no large object."""
    if isinstance(value, str):
        if value.startswith("data:"):
            return brief_url(value)
        return repr(value) if len(value) <= 60 else f"{value[:60]!r}…"
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
        if len(text) <= 60 and "data:" not in text:
            return text
        return f"a list of {len(value)}" if isinstance(value, list) else "an object"
    return json.dumps(value)
