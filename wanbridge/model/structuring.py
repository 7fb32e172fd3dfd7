"""Parsed JSON into small attrs shapes, type-exact: nothing is coerced, every fault has its path.

cattrs by default turns null into ``"None"``, ``"false"`` into True and 3.7 into 3. Here a value
has the declared type or is a `Problem`: ``$.data[0].taskUUID: expected str, got null``. Unknown
members are ignored.

A shape may use str, int, float (whole numbers too), bool, Any, list, tuple[X, ...], dict,
Literal, Enum (by value), unions and Optional, Decimal, datetime (with an offset) and attrs
classes of these.

::

    @frozen
    class _Picture:
        url: str = named("imageURL")            # must be there, must be text
        seed: int | None = lenient()            # anything else is None, and `spoiled` says so
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs

from wanbridge.errors import InvalidRequest, Problem, step
from wanbridge.model.stored import UNSTORED

if TYPE_CHECKING:
    from cattrs import Converter
    from cattrs.errors import ClassValidationError

T = TypeVar("T")
_FACTORY: Any = attrs.Factory  # a class, which its stub hides
Hook = Callable[[Any, Any], Any]

_KEY = "wanbridge.key"
_LENIENT = "wanbridge.lenient"
_JSON_NAMES = {NoneType: "null", dict: "object"}


@attrs.define(slots=False, eq=False)
class ShapeError(ValueError):
    """A value has not the declared shape; `wanbridge.adapters.base` makes an error of it."""

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))


def named(key: str, default: Any = attrs.NOTHING) -> Any:
    """A field that is called *key* in JSON; required unless it has a default."""
    return attrs.field(default=default, metadata={_KEY: key})


def lenient(default: Any = None, *, key: str | None = None) -> Any:
    """A field that must not cost a paid picture: a value of a wrong type becomes *default*.

    Args:
        default: Also stands for an absent field; ``attrs.Factory(list)`` makes fresh lists.
        key: What it is called in JSON; its own name if None.
    """
    metadata = {_LENIENT: True} if key is None else {_LENIENT: True, _KEY: key}
    return attrs.field(default=default, metadata=metadata)


def structure(value: object, shape: type[T], *, spoiled: list[Problem] | None = None) -> T:
    """*value*, as `json.loads` gives it, as an instance of *shape*.

    Args:
        spoiled: Collects the problems of lenient fields, which got their default.

    Raises:
        ShapeError: with the problems of all other fields.
    """
    kind: Any = shape
    try:
        made: T = _hook(kind, False)(value, kind)
        return made
    except ShapeError as exc:
        problems = exc.problems
    # Every field was strict so far. If it works now, all of these were of lenient fields.
    made = _hook(kind, True)(value, kind)
    if spoiled is not None:
        spoiled.extend(problems)
    return made


@cache
def _hook(shape: Hashable, forgiving: bool) -> Hook:
    hook: Hook = _converter(forgiving).get_structure_hook(cast("Any", shape))
    return hook


@cache
def _converter(forgiving: bool) -> Converter:
    return strict_converter(forgiving=forgiving)


def strict_converter(*, forgiving: bool = False) -> Converter:
    """A new cattrs converter whose hooks check JSON types and raise `ShapeError`.

    Args:
        forgiving: Give lenient fields their default where their value has a wrong type.
    """
    from cattrs import Converter

    converter = Converter(detailed_validation=True)
    for kind, hook in _SCALARS.items():
        converter.register_structure_hook(kind, hook)
    factories: tuple[tuple[Callable[[Any], bool], Callable[[Any, Converter], Hook]], ...] = (
        (lambda shape: shape in (Any, object), lambda *_: _anything),
        (_is(list, Sequence, tuple), _list_hook),
        (_is(dict, Mapping), _object_hook),
        (_is(Union, UnionType), _union_hook),
        (_is(Literal), _literal_hook),
        (attrs.has, lambda shape, converter: _class_hook(shape, converter, forgiving)),
    )
    for test, make in factories:
        converter.register_structure_hook_factory(test)(make)
    return converter


def _is(*origins: Any) -> Callable[[Any], bool]:
    return lambda shape: shape in origins or get_origin(shape) in origins


def mismatch(expected: str, value: object) -> ShapeError:
    """The fault of one value, by the names of JSON types; the value itself is not shown."""
    kind = _JSON_NAMES.get(type(value), type(value).__name__)
    return ShapeError((Problem("$", f"expected {expected}, got {kind}"),))


def _exactly(kind: type) -> Hook:
    def hook(value: Any, shape: Any) -> Any:
        if shape is not kind and issubclass(shape, Enum):
            # cattrs takes a StrEnum for a str.
            return _member(value, shape)
        if type(value) is not kind:
            raise mismatch(_JSON_NAMES.get(kind, kind.__name__), value)
        return value

    return hook


def _float(value: Any, _: Any) -> float:
    if type(value) not in (float, int):
        raise mismatch("float", value)
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise ShapeError((Problem("$", "expected a finite float"),))
    return number


def _decimal(value: Any, _: Any) -> Decimal:
    """From text or a number; a float's shortest text is what the JSON said, to 15 digits."""
    if type(value) not in (str, int, float):
        raise mismatch("a decimal", value)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ShapeError((Problem("$", f"expected a decimal, got {_cut(value)}"),))
    return number


def _moment(value: Any, _: Any) -> datetime:
    if type(value) is not str:
        raise mismatch("a time", value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ShapeError((Problem("$", f"expected a time, got {_cut(value)}"),)) from None
    if moment.tzinfo is None:
        raise ShapeError((Problem("$", f"expected a time with its offset, got {_cut(value)}"),))
    return moment


def _member(value: Any, shape: Any) -> Any:
    return _enum_hook(shape)(value, shape)


def _anything(value: Any, _: Any) -> Any:
    return value


_SCALARS: dict[Any, Hook] = {
    **{kind: _exactly(kind) for kind in (str, int, bool, NoneType)},
    Enum: _member,
    float: _float,
    Decimal: _decimal,
    datetime: _moment,
}


def _cut(value: object, limit: int = 40) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _collected(items: Iterator[tuple[str | int, Any]], hook: Hook, shape: Any) -> list[Any]:
    """Every item through *hook*; the problems of all of them, each under its place."""
    made, problems = [], []
    for place, item in items:
        try:
            made.append(hook(item, shape))
        except ShapeError as exc:
            problems += [p.under("$" + step(place)) for p in exc.problems]
    if problems:
        raise ShapeError(tuple(problems))
    return made


def _list_hook(shape: Any, converter: Converter) -> Hook:
    inner, *more = get_args(shape) or (Any,)
    make = tuple if tuple in (shape, get_origin(shape)) else list
    if more not in ([], [...]):
        raise TypeError(f"{shape}: JSON has no tuples of fixed length")
    item = converter.get_structure_hook(inner)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise mismatch("list", value)
        return make(_collected(enumerate(value), item, inner))

    return hook


def _object_hook(shape: Any, converter: Converter) -> Hook:
    inner = (get_args(shape) or (str, Any))[1]
    item = converter.get_structure_hook(inner)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise mismatch("object", value)
        return dict(zip(value, _collected(iter(value.items()), item, inner), strict=True))

    return hook


def _union_hook(shape: Any, converter: Converter) -> Hook:
    kinds = [kind for kind in get_args(shape) if kind is not NoneType]
    hooks = [(converter.get_structure_hook(kind), kind) for kind in kinds]
    optional = len(kinds) < len(get_args(shape))
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)

    def hook(value: Any, _: Any) -> Any:
        if value is None and optional:
            return None
        fault = None
        for inner, kind in hooks:
            try:
                return inner(value, kind)
            except ShapeError as exc:
                fault = exc
        # With a single kind its own problems lead deeper than "expected this or that".
        raise fault if fault and len(hooks) == 1 else mismatch(names, value)

    return hook


def _literal_hook(shape: Any, _: Converter) -> Hook:
    return _one_of({value: value for value in get_args(shape)})


@cache
def _enum_hook(shape: type[Enum]) -> Hook:
    return _one_of({member.value: member for member in shape})


def _one_of(known: Mapping[Any, Any]) -> Hook:
    kinds = frozenset(map(type, known))
    names = ", ".join(map(repr, known))

    def hook(value: Any, _: Any) -> Any:
        # 1 is True and 1.0 to a dict, but not to JSON.
        if type(value) not in kinds or value not in known:
            raise ShapeError((Problem("$", f"expected one of {names}, got {_cut(value)}"),))
        return known[value]

    return hook


def _class_hook(shape: type, converter: Converter, forgiving: bool) -> Hook:
    from cattrs.errors import ClassValidationError
    from cattrs.gen import make_dict_structure_fn, override

    attrs.resolve_types(shape)
    known = [f for f in attrs.fields(shape) if f.init]
    fields = [f for f in known if not UNSTORED.keys() & f.metadata.keys()]
    keys = {f.name: f.metadata.get(_KEY, f.name) for f in fields}
    overrides: dict[str, Any] = {
        f.name: override(
            rename=keys[f.name],
            struct_hook=_or_default(f, converter)
            if forgiving and f.metadata.get(_LENIENT)
            else None,
        )
        for f in fields
    }
    overrides |= {f.name: override(omit=True) for f in known if f not in fields}
    build: Hook = make_dict_structure_fn(
        shape,
        converter,
        _cattrs_detailed_validation=True,
        _cattrs_forbid_extra_keys=False,
        _cattrs_prefer_attrib_converters=False,
        **overrides,
    )

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise mismatch("object", value)
        try:
            return build(value, shape)
        except ClassValidationError as exc:
            raise ShapeError(tuple(_told(exc, keys))) from None

    return hook


def _or_default(field: attrs.Attribute[Any], converter: Converter) -> Hook:
    inner = converter.get_structure_hook(cast("Any", field.type))
    default: Any = field.default

    def hook(value: Any, shape: Any) -> Any:
        try:
            return inner(value, shape)
        except ShapeError:
            return default.factory() if isinstance(default, _FACTORY) else default

    return hook


def _told(exc: ClassValidationError, keys: Mapping[str, str]) -> Iterator[Problem]:
    """The problems of one object, each under its member."""
    of_members, of_whole = exc.group_exceptions()
    for fault, note in of_members:
        path = "$" + step(keys[note.name])
        if isinstance(fault, KeyError):
            yield Problem(path, "missing")
        else:
            yield from (p.under(path) for p in _problems(fault))
    for fault in of_whole:
        yield from _problems(fault)


def _problems(fault: Exception) -> tuple[Problem, ...]:
    if isinstance(fault, ShapeError | InvalidRequest):
        return fault.problems
    return (Problem("$", str(fault)),)
