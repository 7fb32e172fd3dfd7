"""What the contract tests need: every built-in adapter at a sandbox, samples, and broken replies.

Two things here know providers: `SWITCHES`, how a sandbox can be told to word its replies
differently, and how one is given a picture to hold. An outsider's adapter would bring its own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any, Literal, get_args, get_origin, get_type_hints

from attrs import evolve, frozen
from PIL import Image as Pillow

from wanbridge.adapter import Adapter, Done, Offer, Op, Pending, Step
from wanbridge.model import Box, ImageRequest, InputImage, Job, PaletteColor, Size
from wanbridge.plan import plan
from wanbridge.providers import BUILTIN
from wanbridge.registry import Registry
from wanbridge.sandbox import Sandbox
from wanbridge.wire import HttpRequest, HttpResponse, json_request

START = 1_795_000_000.0
SECONDS = 10.0
KEY = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"

# How a sandbox may word what it says otherwise; each is a conversation of its own.
SWITCHES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "runware": (
        {"failed_image": "data", "unknown_task": "error", "progress": True},
        {"ack": "empty", "running_word": "queued", "missing_image": "absent"},
    ),
    "reapi": ({"omit_optional": True, "id_shape": "base32"},),
    "dashscope": (
        {"failed_shape": "top", "choices": "1xN", "text_item": True, "unknown_task": 404},
        {"times": False, "usage": False, "errors_in_200": True},
    ),
}

A = InputImage("https://assets.example.com/in/a.png", width=1600, height=900)
B = InputImage("https://assets.example.com/in/b.png", width=1200, height=1200)
PALETTE = (
    PaletteColor("#1E2A39", "34.00"),
    PaletteColor("#C6A15B", "33.25"),
    PaletteColor("#E8E1D6", "32.75"),
)

# One plain request for each mode.
PLAIN: Mapping[str, ImageRequest] = {
    "text": ImageRequest("a red kite over dunes"),
    "edit": ImageRequest("fly a red kite over it", images=(A, B)),
    "set": ImageRequest("a red kite, four times of day", sequential=True, n=4),
}


def _boxed(request: ImageRequest, *boxes: Box) -> ImageRequest | None:
    if not request.images:
        return None
    first, *rest = request.images
    return evolve(request, images=(evolve(first, regions=boxes), *rest))


def others(request: ImageRequest) -> Iterator[tuple[str, ImageRequest]]:
    """Requests that differ from *request* in one canonical field, by that field's name."""
    values: dict[str, tuple[Any, ...]] = {
        "prompt": ("a blue kettle",),
        "model": tuple({"wan2.7-image", "wan2.7-image-pro"} - {request.model}),
        "negative_prompt": ("blurry", ""),
        "images": ((A,), (B, A), (A, A), (A, B, A)),
        "n": (2, 3),
        "sequential": (not request.sequential,),
        "size": (
            *(Size(resolution=tier) for tier in ("1K", "2K", "4K")),
            *(Size(aspect_ratio=ratio) for ratio in ("16:9", "2:3", "5:4")),
            *(Size(1024, 1024), Size(1280, 768)),
        ),
        "thinking": (True, False),
        "color_palette": (PALETTE, PALETTE[::-1]),
        "seed": (0, 7, 2**31 - 1),
        "watermark": (True,),
        "output_format": ("png", "jpeg", "webp"),
        "inline": (True,),
        "callback_url": ("https://app.example.com/hooks/wan",),
    }
    for name, given in values.items():
        for value in given:
            if name == "sequential" and not value:
                yield name, evolve(request, n=1, sequential=False)
            elif value != getattr(request, name):
                yield name, evolve(request, **{name: value})
    for boxes in ((Box(10, 20, 110, 220),), (Box(1, 2, 3, 4), Box(0, 0, 900, 900))):
        if (boxed := _boxed(request, *boxes)) is not None:
            yield "regions", boxed


@frozen(eq=False)
class Variant:
    """One adapter with one choice of its mode options."""

    name: str
    options: Mapping[str, Any]

    @property
    def id(self) -> str:
        return "-".join([self.name, *map(str, self.options.values())])

    @property
    def kind(self) -> type[Adapter]:
        return Registry().adapter(self.name)

    def adapter(self, **fields: Any) -> Adapter:
        """The adapter with a key; *fields* of it may be given."""
        options = self.kind.Options(**self.options)
        return self.kind(**{"api_key": "sk-contract", "options": options, **fields})


@cache
def variants() -> tuple[Variant, ...]:
    """Every built-in adapter in every mode that it publishes as an option."""
    found = []
    for name in BUILTIN:
        mode = get_type_hints(Registry().adapter(name).Options).get("mode")
        values = get_args(mode) if get_origin(mode) is Literal else ()
        found += [Variant(name, {"mode": v}) for v in values] or [Variant(name, {})]
    return tuple(found)


@cache
def sold() -> tuple[tuple[Variant, Offer], ...]:
    """Every variant with each of its offers."""
    return tuple((variant, offer) for variant in variants() for offer in variant.adapter().offers)


def sold_ids() -> list[str]:
    return [f"{variant.id}-{offer.model}" for variant, offer in sold()]


class Bench:
    """One adapter that talks to its provider's sandbox, both on a clock that stands still."""

    def __init__(self, variant: Variant, *, latency: float = SECONDS, **switches: Any) -> None:
        self.at = START
        self.sandbox = Sandbox([variant.name], clock=lambda: self.at, latency=latency)
        self.sandbox.set_balance(variant.name, 10**9)
        if "rates" in self.sandbox.switches()[variant.name]:
            switches = {"rates": False, **switches}
        self.sandbox.set_switches({variant.name: switches})
        self.adapter = variant.adapter(
            api_key=self.sandbox.api_key(variant.name),
            base_url=self.sandbox.base_url(variant.name),
        )

    def send(self, message: HttpRequest) -> HttpResponse:
        """What the sandbox answers; it must not break the line."""
        reply = self.sandbox.handle(message)
        assert reply.answered
        received = datetime.fromtimestamp(self.at, UTC)
        return evolve(reply.response, received_at=received)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the sandbox answers to a message of one's own with the key, as JSON."""
        url = f"{self.adapter.base_url}{path}"
        message = json_request(method, url, headers=self.adapter.bearer(), body=body)
        response = self.send(message)
        assert response.status < 300, response.text()
        return response.json()

    def message(self, request: ImageRequest, *, key: str = KEY, **how: Any) -> HttpRequest:
        """What is sent for *request*, which has to pass the plan."""
        fitted = plan(self.adapter, request, **how).settle()
        return self.adapter.submit(fitted.request, fitted.offer, key=key)

    def accepted(self, request: ImageRequest) -> Step:
        """The step that a submit of *request* leads to."""
        response = self.send(self.message(request))
        if (error := self.adapter.failure(response, op=Op.SUBMIT)) is not None:
            raise error
        return self.adapter.read_submission(response, request, key=KEY)

    def done(self, request: ImageRequest) -> Done:
        """The end of *request*, polled once after all the time that it needs."""
        step = self.accepted(request)
        if isinstance(step, Pending):
            self.at += SECONDS
            response = self.send(self.adapter.poll(step.job))
            if (error := self.adapter.failure(response, op=Op.POLL, job=step.job)) is not None:
                raise error
            step = self.adapter.read_poll(response, step.job)
        assert isinstance(step, Done), step
        return step


# -- pictures that a provider holds ----------------------------------------------------------

HELD_URL = "oss://held/a.png"


def _hold_at_runware(bench: Bench, model: str) -> dict[str, str]:
    """``imageUpload``: a UUID that stands for the picture."""
    task = {"taskType": "imageUpload", "taskUUID": KEY, "image": A.url}
    reply = bench.ask("POST", "", [task])
    return {"runware": reply["data"][0]["imageUUID"]}


def _hold_at_dashscope(bench: Bench, model: str) -> str:
    """A policy, then a form with the file last: an ``oss://`` URL for one model."""
    policy = bench.ask("GET", f"/uploads?action=getPolicy&model={model}")["data"]
    key = f"{policy['upload_dir']}/a.png"
    fields = {
        "OSSAccessKeyId": policy["oss_access_key_id"],
        "Signature": policy["signature"],
        "policy": policy["policy"],
        "key": key,
    }
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts.append(b'name="file"; filename="a.png"\r\n\r\n' + picture_bytes("PNG"))
    body = b"".join(
        b"--edge\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts
    )
    form = {"Content-Type": "multipart/form-data; boundary=edge"}
    message = HttpRequest(
        method="POST", url=policy["upload_host"], headers=form, body=body + b"--edge--\r\n"
    )
    assert bench.send(message).status < 300
    return f"oss://{key}"


def held(bench: Bench, request: ImageRequest) -> ImageRequest:
    """*request* with its stand-ins for held pictures replaced by ones that the sandbox holds."""
    name = bench.adapter.name

    def real(image: InputImage) -> InputImage:
        if image.url == HELD_URL and name == "dashscope":
            return evolve(image, url=_hold_at_dashscope(bench, request.model))
        if image.ref is not None and name in image.ref:
            return evolve(image, ref=_hold_at_runware(bench, request.model))
        return image

    return evolve(request, images=tuple(map(real, request.images)))


@cache
def picture_bytes(format: str) -> bytes:
    """A picture that every provider takes."""
    buffer = BytesIO()
    Pillow.new("RGB", (256, 320), "#2F6B5F").save(buffer, format)
    return buffer.getvalue()


# -- replies, good and broken ---------------------------------------------------------------


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


_REQUESTS = (
    evolve(PLAIN["text"], n=2, seed=7),
    evolve(PLAIN["text"], inline=True, size=Size(768, 768)),
    PLAIN["set"],
)
_TASK_FAULTS = (None, "fewer_images", "fail_generation", "refuse_content", "empty_success")
_REPLY_FAULTS = ("rate_limit", "server_error", "error_in_200", "unauthorized", "no_credit")


@cache
def readings(variant: Variant) -> tuple[Reading, ...]:
    """One reply of every sort that the provider's sandbox gives, each once by its shape."""
    found: dict[object, Reading] = {}
    for switches in ({}, *SWITCHES.get(variant.name, ())):
        for request in _REQUESTS:
            for reading in _conversation(variant, switches, request):
                small = evolve(reading, response=_shortened(reading.response))
                found.setdefault((reading.op, _shape(small.response)), small)
    return tuple(found.values())


def _conversation(
    variant: Variant, switches: dict[str, Any], request: ImageRequest
) -> Iterator[Reading]:
    adapter = Bench(variant).adapter

    def reading(name: str, response: HttpResponse, job: Job | None) -> Reading:
        return Reading(name=name, adapter=adapter, response=response, request=request, job=job)

    for fault in _TASK_FAULTS:
        bench = Bench(variant, **switches)
        if fault:
            bench.sandbox.fault(fault)
        response = bench.send(bench.message(request))
        yield reading(f"{fault or 'good'} submission", response, None)
        if bench.adapter.failure(response, op=Op.SUBMIT) is not None:
            continue
        step = bench.adapter.read_submission(response, request, key=KEY)
        if not isinstance(step, Pending):
            continue
        for name in ("running", "ended"):
            yield reading(
                f"{fault or 'good'} {name}", bench.send(bench.adapter.poll(step.job)), step.job
            )
            bench.at += SECONDS
    for fault in _REPLY_FAULTS:
        bench = Bench(variant, **switches)
        bench.sandbox.fault(fault)
        yield reading(f"{fault} submission", bench.send(bench.message(request)), None)
        step = bench.accepted(request)
        if isinstance(step, Pending) and fault != "no_credit":
            bench.sandbox.fault(fault, op="poll")
            bench.sandbox.fault("lost_task", op="poll", after=1)
            yield reading(f"{fault} poll", bench.send(bench.adapter.poll(step.job)), step.job)
            yield reading("lost poll", bench.send(bench.adapter.poll(step.job)), step.job)


def _shortened(response: HttpResponse) -> HttpResponse:
    """The same reply with a small picture in the place of a large one."""
    picture = base64.b64encode(picture_bytes("PNG"))
    return evolve(response, body=re.sub(rb"[A-Za-z0-9+/]{2000,}=*", picture, response.body))


def _shape(response: HttpResponse) -> object:
    """What two replies of the same sort have in common: status, members, codes and states."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return tuple((k, told(v)) for k, v in sorted(value.items()))
        if isinstance(value, list):
            return frozenset(told(v) for v in value)
        return value if isinstance(value, str) and value.isalpha() else type(value).__name__

    return response.status, told(response.json())


# One value of each JSON type, and those that have surprised somebody.
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
    copy = deepcopy(value)
    _at(copy, path[:-1])[path[-1]] = other
    return copy


def mangled(body: bytes) -> Iterator[bytes]:
    """What is no JSON, or JSON that nobody expects, in the place of *body*."""
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
