"""Collecting every problem of a value, so that a constructor reports all of them at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import fields_dict, frozen

from wanbridge.errors import InvalidRequest, Problem, step
from wanbridge.model.brief import brief

HALF_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Problems:
    """Collects what is wrong with a value, to be raised all at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def integer(self, path: str, value: object, low: int, high: int) -> None:
        if type(value) is not int:
            self.add(path, f"{brief(value)} is not an integer; {low} to {high}")
        elif not low <= value <= high:
            self.add(path, f"{brief(value)} is out of range; {low} to {high}")

    def boolean(self, path: str, value: object) -> None:
        if type(value) is not bool:
            self.add(path, f"{brief(value)} is not a boolean; true or false")

    def text(self, path: str, value: object) -> None:
        if not isinstance(value, str):
            self.add(path, f"{brief(value)} is not text")
        elif HALF_SURROGATE.search(value):
            self.add(path, "holds half a surrogate pair, which is no character")

    def one_of(self, path: str, value: object, known: Iterable[str]) -> None:
        known = tuple(known)
        if not isinstance(value, str) or value not in known:
            self.add(path, f"{brief(value)} is unknown; one of {', '.join(known)}")

    def settle(self, *converted: object) -> None:
        """Raise what was found, together with what the converters of these values found."""
        for value in converted:
            if isinstance(value, Invalid):
                self.problems += value.problems
        if self.problems:
            raise InvalidRequest(tuple(self.problems))


@frozen
class Invalid:
    """Stands in for a value that its converter refused, until the constructor reports it."""

    problems: tuple[Problem, ...]


def converted(path: str, convert: Callable[[Any], Any], value: object) -> Any:
    """*value* through *convert*; if that refuses it, a `Invalid` with its problems at *path*."""
    try:
        return convert(value)
    except InvalidRequest as exc:
        return Invalid(tuple(p.under(path) for p in exc.problems))


def convert_each(values: object, path: str, make: Callable[[Any], Any]) -> Any:
    """Every item through *make*; the problems of all items together, each under its index."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        return Invalid((Problem(path, f"{brief(values)} is not a list"),))
    made = [converted(f"{path}[{i}]", make, value) for i, value in enumerate(values)]
    refused = [p for m in made if isinstance(m, Invalid) for p in m.problems]
    return Invalid(tuple(refused)) if refused else tuple(made)


def from_members(kind: type[Any], members: Mapping[str, Any]) -> Any:
    """An instance of *kind* from a JSON object; unknown members are named beside its problems."""
    known = fields_dict(kind)
    message = f"unknown field; there are {', '.join(known)}"
    unknown = [Problem(f"${step(str(name))}", message) for name in members if name not in known]
    made = converted(
        "$", lambda given: kind(**given), {k: members[k] for k in known if k in members}
    )
    if unknown or isinstance(made, Invalid):
        raise InvalidRequest((*unknown, *getattr(made, "problems", ())))
    return made


def raise_all(found: Iterable[Problem]) -> None:
    if ordered := in_order(found):
        raise InvalidRequest(ordered)


def in_order(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by path; ``[10]`` after ``[9]``."""

    def order(problem: Problem) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", problem.path)
        return [int(p) if i % 2 else p for i, p in enumerate(parts)], problem.message

    return tuple(sorted(set(found), key=order))


def merged(first: Iterable[Problem], more: Iterable[Problem]) -> list[Problem]:
    """Both, but of *more* only what *first* does not say about the same place or within it."""
    first = list(first)
    said = {p.path for p in first}
    return first + [
        p
        for p in more
        if p.path not in said and not any(s.startswith((p.path + ".", p.path + "[")) for s in said)
    ]
