"""The JSON Schemas of ``schemas/``, and what they find wrong, in words a person can act on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import frozen

from wanbridge.errors import Problem, step
from wanbridge.model.brief import brief_url
from wanbridge.model.nearest import nearest
from wanbridge.model.strict_json import INT_MAX, Document, json_problems
from wanbridge.model.validation import in_order

Step = str | int

SCHEMAS = ("request", "result", "job", "receipt", "config", "prices")
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
    if found := json_problems(document):
        return in_order(found)
    return problems_of(
        document, checker(against) if isinstance(against, str) else make_checker()(against)
    )


def problems_of(document: object, check: Check) -> tuple[Problem, ...]:
    return in_order(p for fault in check(document) for p in _explained(fault, document))


@frozen
class _Fault:
    """One schema error, of either validator.

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
def checker(name: str) -> Check:
    return make_checker()(_schema(name))


@cache
def make_checker() -> Callable[[Document], Check]:
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
            shown = "this value" if node.get("writeOnly") else display(value)
            yield Problem(path, _broken(keyword, node, value, shown))


def _unknown(name: str, known: Iterable[str]) -> str:
    if near := nearest(name.lower(), known, cutoff=0.7):
        return f"unknown field; did you mean {near!r}?"
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
            choices = ", ".join(v if isinstance(v, str) else display(v) for v in node["enum"])
            return f"{shown} is unknown; one of {choices}"
        case "const":
            return f"{shown} is not {display(node['const'])}"
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


def display(value: Any) -> str:
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
