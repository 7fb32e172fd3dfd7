"""Replies, good and broken, and what may come of them: a step in order or an error of ours."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Delivery, Done, Missing, Op, Pending, Step
from wanbridge.errors import CallFailed, Charge, ProviderError, WanbridgeError
from wanbridge.model.jobs import Job
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.testing.requests import KEY
from wanbridge.wire import HttpResponse

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@frozen(kw_only=True)
class Reading:
    """One reply, and what the flow has in hand when it reads it."""

    name: str
    adapter: Adapter
    response: HttpResponse
    request: ImageRequest
    job: Job | None

    @property
    def op(self) -> Op:
        return Op.SUBMIT if self.job is None else Op.POLL

    def read(self, response: HttpResponse) -> Step | Exception:
        """The step, or the error that the reply holds; as the flow reads it."""
        error = self.adapter.failure(response, op=self.op, job=self.job)
        if error is not None:
            return error
        if self.job is None:
            return self.adapter.read_submission(response, self.request, key=KEY)
        return self.adapter.read_poll(response, self.job)


# One value of each JSON type, and those that readers have tripped over.
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 1.5, 10**30, float("nan"), float("inf")),
    *("", "x", "\ud800", "https://cdn.example.com/1.png", "AAAA"),
    *([], [None], [[]], ["x"], [{}], {}, {"x": 1}, {"": None}),
)


def broken(body: Any) -> Iterator[Any]:
    """*body* with one node deleted, doubled or of another type: every node at every depth."""
    for path in _paths(body):
        here = _at(body, path)
        yield from (_with(body, path, other) for other in STRANGE if repr(other) != repr(here))
        if isinstance(here, str) and here:
            yield from (_with(body, path, other) for other in (here[:-1], here + "\n", [here]))
        if path:
            parent = _at(body, path[:-1])
            if isinstance(parent, dict):
                yield _with(body, path[:-1], {k: v for k, v in parent.items() if k != path[-1]})
            else:
                less = [item for index, item in enumerate(parent) if index != path[-1]]
                yield _with(body, path[:-1], less)
                yield _with(body, path[:-1], [*parent, here])


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items: Any = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else items:
        yield from _paths(item, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _with(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    copy = value.copy()
    copy[path[0]] = _with(value[path[0]], path[1:], other)
    return copy


def mangled(body: bytes) -> Iterator[bytes]:
    """What is no JSON, or unexpected JSON, in the place of *body*."""
    yield from (body[: len(body) * part // 8] for part in range(8))
    yield body + b"}"
    yield b"\xef\xbb\xbf" + body
    yield b"<html><head><title>502</title></head><body>Bad Gateway</body></html>"
    yield from (
        b"null",
        b"true",
        b"0",
        b'"x"',
        b"[]",
        b"{}",
        b"[[]]",
        b"NaN",
        b"[NaN]",
        b"-Infinity",
    )
    yield b"\xff\xfe\x00"
    yield b'{"id": "\xff"}'
    yield b"9" * 5000
    yield b'{"output": ' + b"9" * 5000 + b"}"
    yield from nested(body, 90)


def nested(body: bytes, depth: int) -> Iterator[bytes]:
    """JSON that is *depth* deep, by itself and beside what is in *body*."""
    yield b"[" * depth + b"]" * depth
    yield b'{"data":' * depth + b"1" + b"}" * depth
    yield body[:-1] + b',"deep":' + b"[" * depth + b"]" * depth + b"}"


def with_body(response: HttpResponse, body: Any) -> HttpResponse:
    """The same reply with another body; bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return evolve(response, body=raw)


# -- what may come of them -----------------------------------------------------------------


def result_of(adapter: Adapter, request: ImageRequest, delivery: Delivery) -> ImageResult:
    """A result with what *delivery* says."""
    shared = ("images", "failures", "cost", "notes", "request_id", "raw")
    delivered: dict[str, Any] = {name: getattr(delivery, name) for name in shared}
    return ImageResult(
        provider=adapter.account,
        model=request.model,
        job_id="t-1",
        requested=request.n,
        submitted_at=NOON,
        finished_at=NOON,
        **delivered,
    )


def assert_read_in_order(reading: Reading, response: HttpResponse) -> None:
    """*response*, in the place of the good one, is read as something that makes sense."""
    said = f"{reading.name}, HTTP {response.status}: {response.body[:300]!r}"
    try:
        step = reading.read(response)
    except WanbridgeError:
        return
    except Exception as exc:
        raise AssertionError(f"{type(exc).__name__}: {exc} from {said:.400}") from exc
    match step:
        case ProviderError():
            _assert_error_in_order(reading, step, said)
        case Done(delivery):
            _assert_delivery_in_order(reading, delivery, said)
        case Pending(job):
            assert isinstance(job.id, str), said
            assert job.id, said
            assert reading.adapter.poll(job).url.startswith(job.base_url), said
            assert job == Job.from_json(job.to_json()), said
            for number in (step.retry_after, step.progress):
                assert number is None or (isinstance(number, float) and number >= 0), said
        case _:
            assert isinstance(step, Missing), said
            assert reading.op is Op.POLL, said


def _assert_error_in_order(reading: Reading, error: ProviderError, said: str) -> None:
    assert isinstance(error.message, str), said
    assert error.message, said
    for text in (error.code, error.request_id):
        assert text is None or isinstance(text, str), said
    assert error.retry_after is None or error.retry_after >= 0, said
    assert isinstance(error.charge, Charge), said
    assert isinstance(pickle.loads(pickle.dumps(error)), CallFailed), said  # noqa: S301 - our own
    assert f"{error!s} {error!r}", said
    # The reply to a submit is never the end of a job that it has just opened.
    assert reading.job is not None or error.job is None, said


def _assert_delivery_in_order(reading: Reading, delivery: Delivery, said: str) -> None:
    assert delivery.images, said
    for image in delivery.images:
        assert isinstance(image, Image), said
        assert image.url or image.data, f"a picture without link and bytes: {said}"
        assert image.url is None or isinstance(image.url, str), said
        assert image.data is None or isinstance(image.data, bytes), said
        assert image.seed is None or type(image.seed) is int, said
        assert image.expires_at is None or image.expires_at.tzinfo, said
    assert delivery.cost is None or delivery.cost.amount > 0, said
    assert delivery.billed is None or type(delivery.billed) is int, said
    assert all(isinstance(note, Note) for note in delivery.notes), said
    assert all(isinstance(failure.message, str) for failure in delivery.failures), said
    result = result_of(reading.adapter, reading.request, delivery)
    try:
        read = ImageResult.from_json(result.to_json())
    except WanbridgeError as exc:
        raise AssertionError(f"a result that cannot be stored, {exc}: {said}") from exc
    assert len(result.images) == len(read.images), said
