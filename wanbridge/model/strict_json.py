"""JSON text as plain values, read strictly: no NaN, no key twice, no endless nesting."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import datetime
from typing import Any, cast

from wanbridge.errors import InvalidRequest, Problem, step
from wanbridge.model.validation import HALF_SURROGATE, raise_all

Document = dict[str, Any]

DEPTH_MAX = 100
INT_MIN, INT_MAX = -(2**63), 2**64 - 1


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
    raise_all(json_problems(value))
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


class _Twice(dict[str, Any]):
    """A JSON object in which keys were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.keys_twice = [key for key, count in Counter(k for k, _ in pairs).items() if count > 1]


def _object(pairs: list[tuple[str, Any]]) -> Document:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(pairs)


def json_problems(value: object, path: str = "$", room: int = DEPTH_MAX) -> list[Problem]:
    """What JSON does not allow in plain values, down to *room* levels."""
    if isinstance(value, list | dict) and type(value) in (list, dict, _Twice):
        return _not_json_within(value, path, room)
    if (reason := scalar_problem(value)) is not None:
        return [Problem(path, reason)]
    return []


def _not_json_within(value: list[Any] | Document, path: str, room: int) -> list[Problem]:
    if not room:
        return [Problem(path, f"nested more than {DEPTH_MAX} deep")]
    found: list[Problem] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += json_problems(item, f"{path}[{index}]", room - 1)
        return found
    for key, item in value.items():
        if type(key) is not str or scalar_problem(key):
            found.append(Problem(path, f"{key!r} is no key for a JSON object"))
        else:
            found += json_problems(item, path + step(key), room - 1)
    if isinstance(value, _Twice):
        found += [Problem(path + step(key), "given twice") for key in value.keys_twice]
    return found


def scalar_problem(value: object) -> str | None:
    """Why *value* is no JSON text, number, true, false or null; None if it is."""
    kind = type(value)
    if kind is str:
        half = HALF_SURROGATE.search(cast("str", value))
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
