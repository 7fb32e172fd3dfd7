"""Strict structuring: a reply has the declared shape or says where it has not."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Literal

import pytest
from attrs import Factory, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.structuring import ShapeError, lenient, named, strict_converter, structure


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Level(Enum):
    LOW = 1
    HIGH = 2


@frozen
class Picture:
    url: str = named("imageURL")
    seed: int | None = lenient()
    width: int | None = lenient(key="imageWidth")


@frozen
class Reply:
    id: str
    status: Literal["done", "failed"] = "done"
    data: list[Picture] = field(factory=list)
    progress: float | None = lenient()
    tags: list[str] = lenient(Factory(list))
    extra: dict[str, Any] = field(factory=dict)


@frozen
class Kinds:
    text: str = ""
    whole: int = 0
    number: float = 0.0
    truth: bool = False
    maybe: str | None = None
    either: str | int = 0
    nested: Picture | None = None
    many: tuple[int, ...] = ()
    some: Sequence[str] = ()
    table: Mapping[str, int] = field(factory=dict)
    bare_list: list = field(factory=list)  # type: ignore[type-arg]
    bare_dict: dict = field(factory=dict)  # type: ignore[type-arg]
    choice: Literal["a", 1] = "a"
    mood: Mood = Mood.GOOD
    level: Level = Level.LOW
    price: Decimal = Decimal(0)
    at: datetime | None = None
    any: Any = None
    thing: object = None
    nothing: None = None


GOOD: dict[str, Any] = {
    "id": "t-1",
    "status": "done",
    "data": [{"imageURL": f"https://x/{i}.png", "seed": i, "imageWidth": 64} for i in range(4)],
    "progress": 1,
    "unheard_of": {"of": ["course"]},
}


def faults(value: object, shape: type[Any] = Reply) -> list[str]:
    """The problems of *value* as text."""
    with pytest.raises(ShapeError) as caught:
        structure(value, shape)
    return [str(p) for p in caught.value.problems]


def test_a_good_reply_becomes_its_shape_and_unknown_members_are_ignored() -> None:
    """Providers add members at will."""
    spoiled: list[Problem] = []

    reply = structure(GOOD, Reply, spoiled=spoiled)

    assert Picture("https://x/3.png", 3, 64) == reply.data[3]
    assert (1.0, float) == (reply.progress, type(reply.progress))
    assert [] == spoiled


def test_every_fault_comes_with_its_path() -> None:
    """One look at the message must suffice to find the place in the reply."""
    value = {"status": "maybe", "data": [{"imageURL": "x"}, {"imageURL": None}, {}, 7], "extra": []}

    assert [
        "$.id: missing",
        "$.status: expected one of 'done', 'failed', got 'maybe'",
        "$.data[1].imageURL: expected str, got null",
        "$.data[2].imageURL: missing",
        "$.data[3]: expected object, got int",
        "$.extra: expected object, got list",
    ] == faults(value)


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("text", None, "expected str, got null"),
        ("text", 5, "expected str, got int"),
        ("whole", "3", "expected int, got str"),
        ("whole", True, "expected int, got bool"),
        ("whole", 3.0, "expected int, got float"),
        ("number", True, "expected float, got bool"),
        ("number", "1.5", "expected float, got str"),
        ("number", float("nan"), "expected a finite float"),
        ("number", 10**400, "expected a finite float"),
        ("truth", 1, "expected bool, got int"),
        ("truth", "false", "expected bool, got str"),
        ("maybe", 5, "expected str, got int"),
        ("either", None, "expected str or int, got null"),
        ("either", 1.5, "expected str or int, got float"),
        ("many", {"0": 1}, "expected list, got object"),
        ("some", "abc", "expected list, got str"),
        ("bare_list", (1,), "expected list, got tuple"),
        ("bare_dict", [], "expected object, got list"),
        ("choice", True, "expected one of 'a', 1, got True"),
        ("choice", [], "expected one of 'a', 1, got []"),
        ("mood", "ugly", "expected one of 'good', 'bad', got 'ugly'"),
        ("mood", "x" * 99, f"expected one of 'good', 'bad', got 'xx{'x' * 37}…"),
        ("level", 1.0, "expected one of 1, 2, got 1.0"),
        ("price", True, "expected a decimal, got bool"),
        ("price", "a lot", "expected a decimal, got 'a lot'"),
        ("price", "NaN", "expected a decimal, got 'NaN'"),
        ("price", float("inf"), "expected a decimal, got inf"),
        ("at", 5, "expected a time, got int"),
        ("at", "soon", "expected a time, got 'soon'"),
        ("at", "2026-11-20T10:00:00", "expected a time with its offset, got '2026-11-20T10:00:00'"),
        ("nothing", 0, "expected null, got int"),
    ],
)
def test_nothing_is_coerced(member: str, value: Any, said: Any) -> None:
    """A null that becomes "None" or a true that becomes 1 costs somebody a night."""
    assert [f"$.{member}: {said}"] == faults({member: value}, Kinds)


@pytest.mark.parametrize(
    ("member", "value", "made"),
    [
        ("text", "a", "a"),
        ("number", 2, 2.0),
        ("maybe", None, None),
        ("either", 7, 7),
        ("either", "7", "7"),
        ("nested", {"imageURL": "u"}, Picture("u")),
        ("many", [1, 2], (1, 2)),
        ("some", ["a"], ["a"]),
        ("table", {"a": 1}, {"a": 1}),
        ("bare_list", [None], [None]),
        ("bare_dict", {"a": None}, {"a": None}),
        ("choice", 1, 1),
        ("mood", "bad", Mood.BAD),
        ("level", 2, Level.HIGH),
        ("price", "0.0300", Decimal("0.0300")),
        ("price", 3, Decimal(3)),
        ("price", 0.0039, Decimal("0.0039")),
        ("price", 1.2e-06, Decimal("0.0000012")),
        ("at", "2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("any", {"x": [1]}, {"x": [1]}),
        ("thing", 5, 5),
        ("nothing", None, None),
    ],
)
def test_a_value_of_the_declared_type_is_taken(member: str, value: Any, made: Any) -> None:
    """The strict converter still says yes."""
    taken = getattr(structure({member: value}, Kinds), member)

    assert (made, type(made)) == (taken, type(taken))


def test_a_wrong_lenient_field_becomes_its_default_and_is_told() -> None:
    """A paid picture must not be lost to a null seed or a worded progress."""
    spoiled: list[Problem] = []
    value = GOOD | {
        "progress": "half",
        "tags": ["a", 1],
        "data": [{"imageURL": "u", "seed": "7", "imageWidth": [64]}],
    }

    reply = structure(value, Reply, spoiled=spoiled)

    assert Reply(id="t-1", data=[Picture("u")]) == reply
    assert [
        "$.data[0].seed: expected int, got str",
        "$.data[0].imageWidth: expected int, got list",
        "$.progress: expected float, got str",
        "$.tags[1]: expected str, got int",
    ] == list(map(str, spoiled))


def test_lenient_fields_do_not_excuse_the_others() -> None:
    """Where the picture is must be known; then only the strict faults are told."""
    assert ["$.data[0].imageURL: expected str, got int"] == faults(
        {"id": "t", "progress": "x", "data": [{"imageURL": 1, "seed": "x"}]}
    )


def test_spoiled_fields_need_no_list() -> None:
    """A caller who does not ask is not told."""
    assert Reply(id="t") == structure({"id": "t", "progress": []}, Reply)


def test_each_default_list_is_a_new_one() -> None:
    """A shared default would carry one reply into the next."""
    first, second = (structure({"id": "t", "tags": None}, Reply) for _ in range(2))

    first.tags.append("x")

    assert [] == second.tags


def test_a_whole_list_can_be_a_shape() -> None:
    """Some replies are lists at the top."""
    assert [Picture("u")] == structure([{"imageURL": "u"}], list[Picture])
    assert ["$[1]: expected object, got str"] == faults([{"imageURL": "u"}, "x"], list[Picture])


def test_the_path_of_an_odd_member_is_quoted() -> None:
    """Paths stay readable as JSON paths."""
    assert ['$["a b"]: expected int, got str', "$.c-d: expected int, got str"] == faults(
        {"a b": "x", "c-d": "y"}, dict[str, int]
    )


def test_a_constructor_may_refuse_too() -> None:
    """What a shape's own validator says is told at its place."""

    assert ["$[0]: no such day"] == faults([{"n": 8}], list[Day])
    assert ["$[0].n: broken"] == faults([{"n": 9}], list[Day])


@frozen
class Day:
    n: int = 0

    def __attrs_post_init__(self) -> None:
        if self.n == 9:
            raise InvalidRequest((Problem("$.n", "broken"),))
        if self.n > 7:
            raise ValueError("no such day")


def test_a_tuple_of_fixed_length_is_no_shape() -> None:
    """It is refused when the shape is compiled, not when a reply comes."""
    with pytest.raises(TypeError, match="fixed length"):
        strict_converter().get_structure_hook(tuple[int, int])


def test_a_shape_error_survives_pickling() -> None:
    """Process pools carry it."""
    with pytest.raises(ShapeError) as caught:
        structure([], Reply)

    assert caught.value.problems == pickle.loads(pickle.dumps(caught.value)).problems
    assert "$: expected object, got list" == str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "status", "data", "imageURL", "seed", "tags", "extra"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_whatever_comes_only_a_shape_error_comes_out(value: Any) -> None:
    """A provider's worst day is still our own exception."""
    try:
        reply = structure(value, Reply)
    except ShapeError:
        return
    assert type(reply.id) is str
