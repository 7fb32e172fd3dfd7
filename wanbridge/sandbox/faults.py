"""Misbehaviour on command: what a test or a demo can ask the sandbox to do wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import attrs
from attrs import define, field, frozen


class Op(StrEnum):
    """What a call wants from the provider; a callback is the provider's own."""

    SUBMIT = "submit"
    POLL = "poll"
    DOWNLOAD = "download"
    CALLBACK = "callback"
    OTHER = "other"


class Stage(StrEnum):
    """When a fault strikes: before the provider reads the call, after that, or in the task."""

    BEFORE = "before"
    AFTER = "after"
    TASK = "task"


@frozen
class Kind:
    """One sort of fault.

    Attributes:
        ops: Where it can strike; the first is the default of ``Fault.op``.
        options: The option names it understands.
        accepts: Whether the call takes effect, unless the option ``accept`` says otherwise.
        marks_task: At a submit it marks the new task instead of spoiling the reply.
    """

    doc: str
    ops: tuple[Op, ...]
    options: tuple[str, ...] = ()
    accepts: bool = False
    marks_task: bool = False


_CALLS = (Op.SUBMIT, Op.POLL, Op.DOWNLOAD)

KINDS: Mapping[str, Kind] = {
    "accept_then_drop": Kind("the call takes effect, the connection closes", _CALLS, accepts=True),
    "drop": Kind("the connection closes, the call had no effect", _CALLS),
    "hang": Kind("never an answer; accept: the call took effect", _CALLS, ("accept",), True),
    "rate_limit": Kind("429; retry_after in seconds", _CALLS, ("retry_after",)),
    "server_error": Kind("5xx in the provider's shape", _CALLS, ("status", "accept")),
    "html_error": Kind("a gateway's HTML page, 502", _CALLS, ("status", "accept")),
    "cut_body": Kind("the body ends half-way", _CALLS, accepts=True),
    "slow_body": Kind("the body trickles for `seconds`", _CALLS, ("seconds",), True),
    "error_in_200": Kind("HTTP 200 with the provider's error body", (Op.SUBMIT, Op.POLL)),
    "no_credit": Kind("the provider's answer to an empty account", (Op.SUBMIT,)),
    "unauthorized": Kind("the provider's answer to a bad key", (Op.SUBMIT, Op.POLL)),
    "empty_success": Kind("done, without any image", (Op.SUBMIT,), marks_task=True),
    "fewer_images": Kind("one image fewer than asked for", (Op.SUBMIT,), marks_task=True),
    "refuse_content": Kind("refused by content policy", (Op.SUBMIT,), marks_task=True),
    "fail_generation": Kind("the task fails", (Op.SUBMIT,), marks_task=True),
    "lost_task": Kind("polls do not know the task", (Op.SUBMIT, Op.POLL), marks_task=True),
    "dead_link": Kind("result URLs answer 403", (Op.SUBMIT, Op.DOWNLOAD), marks_task=True),
    "early_callback": Kind(
        "done at once, and told before the reply", (Op.SUBMIT,), marks_task=True
    ),
    "lost_callback": Kind("a callback is never sent", (Op.CALLBACK,)),
    "duplicate_callback": Kind("a callback is sent twice", (Op.CALLBACK,)),
    "forged_callback": Kind("before it, one that somebody else wrote", (Op.CALLBACK,)),
    "stale_callback": Kind("before it, the same, signed an hour ago", (Op.CALLBACK,)),
}

# slow_body, unless the fault says otherwise.
_SLOW_SECONDS = 1.0


def _known(_: Fault, __: attrs.Attribute[str], kind: Any) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown fault kind {kind!r}; there are {', '.join(KINDS)}")


def _text(_: Fault, attribute: attrs.Attribute[str], value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"fault option {attribute.name}: {value!r} is no string")


def _flag(_: Fault, attribute: attrs.Attribute[bool | None], value: Any) -> None:
    if not (value is None or isinstance(value, bool)):
        raise ValueError(f"fault option {attribute.name}: {value!r} is no boolean")


def _number(
    *types: type[int | float], low: int = 0, high: float = float("inf"), optional: bool = True
) -> Any:
    """A validator: a number of *types* within bounds, or None where that is allowed."""

    def check(_: Fault, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        if isinstance(value, types) and not isinstance(value, bool) and low <= value <= high:
            return
        names = " or ".join(t.__name__ for t in types)
        raise ValueError(
            f"fault option {attribute.name}: {value!r} is not {names} from {low} to {high}"
        )

    return check


@frozen
class Fault:
    """One fault on command.

    Attributes:
        kind: A key of ``KINDS``.
        provider: Whose calls; ``*`` is everybody's.
        op: Which calls: submit, poll, download, callback, or any that the kind knows. None is the
            kind's own: submit, or callback. ``lost_task`` and ``dead_link`` at a submit mark the
            task for good, at a poll or download they spoil that one call.
        times: How often; None is always.
        after: Matching calls left alone first, counted from the moment the fault is set.
        accept: Whether the call takes effect nevertheless (hang: True, errors: False).
        retry_after: Seconds in ``Retry-After``; None is the provider's documented form.
        status: HTTP status; None is the kind's own.
        seconds: How long a slow body takes; None is one second.
    """

    kind: str = field(validator=_known)
    provider: str = field(default="*", kw_only=True, validator=_text)
    op: str | None = field(default=None, kw_only=True)
    times: int | None = field(default=1, kw_only=True, validator=_number(int))
    after: int = field(default=0, kw_only=True, validator=_number(int, optional=False))
    accept: bool | None = field(default=None, kw_only=True, validator=_flag)
    retry_after: float | None = field(default=None, kw_only=True, validator=_number(int, float))
    status: int | None = field(
        default=None, kw_only=True, validator=_number(int, low=200, high=599)
    )
    seconds: float | None = field(default=None, kw_only=True, validator=_number(int, float))

    def __attrs_post_init__(self) -> None:
        kind = KINDS[self.kind]
        if self.op not in (None, "any", *kind.ops):
            known = ", ".join(["any", *kind.ops])
            raise ValueError(f"fault {self.kind} has no op {self.op!r}; it has {known}")
        for option in ("accept", "retry_after", "status", "seconds"):
            if getattr(self, option) is not None and option not in kind.options:
                has = ", ".join(kind.options) or "none"
                raise ValueError(f"fault {self.kind} has no option {option!r}; it has {has}")

    @classmethod
    def from_json(cls, value: Any) -> Fault:
        """A fault from a JSON object with the attributes' names. Raises ValueError."""
        if not isinstance(value, dict):
            raise ValueError(f"a fault is an object, not {value!r}")
        known = [a.name for a in attrs.fields(cls)]
        if unknown := [name for name in value if name not in known]:
            raise ValueError(f"unknown fault field {unknown[0]!r}; there are {', '.join(known)}")
        if "kind" not in value:
            raise ValueError("a fault needs a kind")
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``from_json`` reads."""
        return attrs.asdict(self)

    def stage(self, op: Op) -> Stage:
        """When it strikes a call of this *op*."""
        if op is Op.CALLBACK or (KINDS[self.kind].marks_task and op is Op.SUBMIT):
            return Stage.TASK
        accepts = KINDS[self.kind].accepts if self.accept is None else self.accept
        return Stage.AFTER if accepts else Stage.BEFORE

    @property
    def slowness(self) -> float:
        """Seconds that a slow body takes."""
        return _SLOW_SECONDS if self.seconds is None else self.seconds

    def strikes(self, provider: str, op: Op) -> bool:
        """Whether a call of *op* to *provider* is one it is meant for."""
        ops = KINDS[self.kind].ops
        meant = ops if self.op == "any" else (ops[0] if self.op is None else self.op,)
        return self.provider in ("*", provider) and op in meant


@define
class _Armed:
    fault: Fault
    seen: int = 0
    used: int = 0

    def ready(self) -> bool:
        return self.seen > self.fault.after and self.fault.times != self.used


class Faults:
    """The faults that are set, in order, and how often each has struck."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def replace(self, faults: Iterable[Fault]) -> None:
        """Replace all of them."""
        self._armed = [_Armed(fault) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Append one."""
        self._armed.append(_Armed(fault))

    def all(self) -> list[Fault]:
        """Those set, also when used up."""
        return [armed.fault for armed in self._armed]

    def for_call(self, provider: str, op: Op) -> Fault | None:
        """The first that is ready for this call; ``spend`` it when it has struck."""
        chosen = None
        for armed in self._armed:
            fault = armed.fault
            if fault.strikes(provider, op) and fault.stage(op) is not Stage.TASK:
                armed.seen += 1
                if chosen is None and armed.ready():
                    chosen = fault
        return chosen

    def spend(self, fault: Fault) -> None:
        """Note that *fault* has struck."""
        next(armed for armed in self._armed if armed.fault is fault).used += 1

    def for_task(self, provider: str) -> set[str]:
        """The kinds that mark the task being accepted; they are spent by it."""
        return self._marks(provider, Op.SUBMIT)

    def for_callback(self, provider: str) -> set[str]:
        """The kinds that strike the next thing the provider has to tell; they are spent by it."""
        return self._marks(provider, Op.CALLBACK)

    def _marks(self, provider: str, op: Op) -> set[str]:
        kinds = set()
        for armed in self._armed:
            fault = armed.fault
            if fault.strikes(provider, op) and fault.stage(op) is Stage.TASK:
                armed.seen += 1
                if armed.ready():
                    armed.used += 1
                    kinds.add(fault.kind)
        return kinds
