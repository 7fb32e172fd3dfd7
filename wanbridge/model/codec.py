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
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import Attribute, evolve, fields, fields_dict, has

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.inputs import Box, InputImage, images_in_document
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.model.size import Size
from wanbridge.model.stored import UNSTORED
from wanbridge.model.structuring import ShapeError, mismatch, strict_converter
from wanbridge.model.validation import HALF_SURROGATE

if TYPE_CHECKING:
    from cattrs import Converter
from wanbridge.model.schemas import checker, display, problems_of
from wanbridge.model.strict_json import DEPTH_MAX, Document, json_problems, parse, scalar_problem
from wanbridge.model.validation import merged, raise_all

T = TypeVar("T")
VERSION = 1
RAW_DEPTH = 50
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
    raise_all(json_problems(document))
    return {"version": VERSION, **document} if name == "result" else document


def from_document(cls: type[T], document: object) -> T:
    """As `load`, from JSON that is parsed already (plain dicts, lists, text and numbers).

    Raises:
        InvalidRequest: with every problem.
    """
    name = _name(cls)
    raise_all(json_problems(document))
    return _read(cls, name, document)


def _read(cls: type[T], name: str, document: object) -> T:
    if not isinstance(document, dict):
        raise_all([Problem("$", f"{display(document)} is not an object")])
    elif name != "request":
        _check_version(name, document)
    found: Iterable[Problem] = problems_of(document, checker(name))
    made: T | None = None
    try:
        made = _converter().structure(document, cls)
    except ShapeError as exc:
        found = merged(found, exc.problems)
    raise_all(found)
    assert made is not None  # without a problem it was made
    return made


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
        raise_all([Problem("$.version", f"{name}: {newer}")])


def _write(value: Any, room: int) -> Any:
    """*value* as plain JSON values; what has no JSON form stays, for `json_problems` to name."""
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
        if not UNSTORED.keys() & field.metadata.keys()
    }


def _default(field: Attribute[Any]) -> Any:
    default: Any = field.default
    return default.factory() if hasattr(default, "factory") else default


def _whole(value: Any) -> Any:
    """Text without half characters: some providers cut their messages inside an emoji."""
    return HALF_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


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
    return value if scalar_problem(value) is None else str(value)


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
    fields = {name: value[name] for name in fields_dict(ImageRequest) if name in value}
    if "images" in fields:
        fields["images"] = images_in_document(fields["images"])
    try:
        return ImageRequest(**fields)
    except InvalidRequest as exc:
        raise ShapeError(exc.problems) from None


def _read_bytes(value: object, _: object) -> bytes:
    if not isinstance(value, str):
        raise mismatch("str", value)
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise ShapeError((Problem("$", f"{display(value)} is not base64"),)) from None
