"""What every adapter promises of the callbacks that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import CallbackEvent
from wanbridge.errors import CallbackRefused
from wanbridge.testing.replies import broken, mangled, with_body
from wanbridge.testing.samples import Samples
from wanbridge.wire import HttpRequest, HttpResponse


def check_callbacks(adapter: Adapter, samples: Samples) -> None:
    """Good ones name a task, the same each time; broken ones are refused or read in order."""
    now = samples.called_at
    for call in samples.callbacks:
        events = _read(adapter, call, samples.signing_keys, now)
        assert not isinstance(events, CallbackRefused), f"a good callback is refused: {events}"
        assert events, "a good callback says nothing"
        assert events == _read(adapter, call, samples.signing_keys, now), "read twice, it differs"
        for other in _broken(call):
            for keys in {samples.signing_keys, ()}:
                _read(adapter, other, keys, now)


def check_signatures(adapter: Adapter, samples: Samples) -> None:
    """What is called verified is not so with another key, nor without its signature."""
    now = samples.called_at
    for call in samples.callbacks:
        events = _read(adapter, call, samples.signing_keys, now)
        if isinstance(events, CallbackRefused) or not any(event.verified for event in events):
            continue
        bare = {k: v for k, v in call.headers.items() if k.lower() == "content-type"}
        unsigned = evolve(call, headers=bare)
        forged = (
            ("another key", _read(adapter, call, ("of somebody else",), now)),
            ("no signature", _read(adapter, unsigned, samples.signing_keys, now)),
        )
        for name, read in forged:
            proven = [] if isinstance(read, CallbackRefused) else [e for e in read if e.verified]
            assert not proven, f"{name}, and yet verified"


def _read(
    adapter: Adapter, call: HttpRequest, keys: Sequence[str], now: datetime
) -> list[CallbackEvent] | CallbackRefused:
    """What *call* is read as, which has to be in order."""
    said = f"from {call.body[:300]!r}"
    read: list[CallbackEvent] | CallbackRefused
    try:
        read = adapter.read_callback(call, keys, now=now)
    except CallbackRefused as exc:
        read = exc
    except Exception as exc:
        raise AssertionError(f"{type(exc).__name__}: {exc} {said}") from exc
    if isinstance(read, CallbackRefused):
        assert 400 <= read.status < 500, f"{read.status} {said}"
        assert not any(key in str(read) for key in keys), f"a signing key is shown {said}"
        return read
    for event in read:
        assert isinstance(event.task_id, str), f"{event!r} {said}"
        assert event.task_id, f"{event!r} {said}"
        assert event.item is None or isinstance(event.item, str), f"{event!r} {said}"
        assert event.ended in (None, True, False), f"{event!r} {said}"
    return read


def _broken(call: HttpRequest) -> Iterator[HttpRequest]:
    for name in call.headers:
        yield evolve(call, headers={k: v for k, v in call.headers.items() if k != name})
        for value in ("", "x", "0", "\u00e9", call.headers[name] * 2):
            yield evolve(call, headers={**call.headers, name: value})
    for body in [*broken(call.json()), *mangled(call.body)]:
        yield evolve(call, body=with_body(HttpResponse(status=200), body).body)
