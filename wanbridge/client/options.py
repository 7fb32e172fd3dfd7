"""The keyword arguments of the clients' calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import attrs
from attrs import evolve

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.nearest import nearest
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.money.exchange_rates import Rates

if TYPE_CHECKING:
    from wanbridge.engine.events import Event
    from wanbridge.model.picture_like import PicturesLike, SizeLike
    from wanbridge.routing.route import Route

Progress: TypeAlias = "Callable[[Event], None]"


class Fields(TypedDict, total=False):
    """Fields of `ImageRequest`."""

    prompt: str
    model: str
    negative_prompt: str | None
    images: PicturesLike
    n: int
    sequential: bool
    size: SizeLike
    thinking: bool | None
    color_palette: Sequence[PaletteColor]
    seed: int | None
    watermark: bool
    output_format: str | None
    inline: bool
    callback_url: str | None
    extra: Mapping[str, Mapping[str, Any]]


class Call(Fields, total=False):
    """Keyword arguments of `generate` and `submit`."""

    provider: str | None
    route: str | Route | None
    may_drop: Collection[str]
    check_limits: bool
    deadline: float | None
    key: str | None
    on_progress: Progress | None


class Rating(TypedDict, total=False):
    """How prices are compared."""

    rates: Rates | Mapping[str, Any] | None
    currency: str | None
    may_drop: Collection[str]
    check_limits: bool


class Comparing(Fields, Rating, total=False):
    """Keyword arguments of `compare`."""

    live: bool


# What is not a field of the request.
CALL = tuple(Call.__annotations__.keys() - Fields.__annotations__.keys())
COMPARING = tuple(Comparing.__annotations__.keys() - Fields.__annotations__.keys())

_REQUEST_FIELDS = tuple(f.name for f in attrs.fields(ImageRequest))


def new_key() -> str:
    """A key for one logical call: a random UUID, version 4."""
    from uuid import uuid4

    return str(uuid4())


def split_options(
    how: Mapping[str, Any], options: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keyword arguments into fields of the request and the *options* of the call."""
    given = {name: how[name] for name in options if name in how}
    return {name: value for name, value in how.items() if name not in given}, given


def request_of(request: ImageRequest | str, fields: Mapping[str, Any]) -> ImageRequest:
    """The request with *fields* changed, or one with that prompt.

    Raises:
        InvalidRequest: a field is unknown, or its value wrong.
    """
    problems = []
    for name in fields:
        if name not in _REQUEST_FIELDS:
            near = nearest(name, _REQUEST_FIELDS)
            hint = f"; did you mean {near!r}?" if near else ""
            problems.append(Problem(f"$.{name}", f"unknown field{hint}"))
    if problems:
        raise InvalidRequest(tuple(problems))
    if not isinstance(request, ImageRequest):
        return ImageRequest(**{"prompt": request, **fields})
    return evolve(request, **fields) if fields else request
