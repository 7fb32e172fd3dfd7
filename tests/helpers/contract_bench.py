"""What the contract tests need: every built-in adapter at a sandbox, samples, and broken replies.

Two things here know providers: `SWITCHES`, how a sandbox can be told to word its replies
differently, and how one is given a picture to hold. An outsider's adapter would bring its own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from attrs import evolve, frozen
from PIL import Image as Pillow

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import FittedRequest, fit
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.adapters.steps import Done, Exchange, Op, Pending, Step
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.model.size import Size
from wanbridge.sandbox import Sandbox
from wanbridge.testing.replies import Reading
from wanbridge.testing.requests import KEY, PLAIN, A, modes
from wanbridge.wire import SECRET_HEADERS, HttpRequest, HttpResponse, json_request

T = TypeVar("T")

START = 1_795_000_000.0
SECONDS = 10.0

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


@frozen(eq=False)
class Variant:
    """One adapter with one choice of its mode options."""

    name: str
    options: Mapping[str, Any]

    @property
    def id(self) -> str:
        chosen = (key if value is True else str(value) for key, value in self.options.items())
        return "-".join([self.name, *chosen])

    @property
    def kind(self) -> type[Adapter]:
        return Registry().adapter(self.name)

    def adapter(self, **fields: Any) -> Adapter:
        """The adapter with a key; *fields* of it may be given."""
        options = self.kind.Options(**self.options)
        return self.kind(**{"api_key": "sk-contract", "options": options, **fields})


@cache
def variants() -> tuple[Variant, ...]:
    """Every built-in adapter in every mode that it publishes as an option, and with its guesses."""
    found = []
    for name in BUILTIN:
        hints = get_type_hints(Registry().adapter(name).Options)
        mode = hints.get("mode")
        values = get_args(mode) if get_origin(mode) is Literal else ()
        found += [Variant(name, {"mode": v}) for v in values] or [Variant(name, {})]
        if "allow_unverified" in hints:
            found.append(Variant(name, {"allow_unverified": True}))
    return tuple(found)


@cache
def sold() -> tuple[tuple[Variant, Offer], ...]:
    """Every variant with each of its offers."""
    return tuple((variant, offer) for variant in variants() for offer in variant.adapter().offers)


@cache
def variants_in_modes() -> tuple[tuple[Variant, str], ...]:
    """Every variant in each mode that it can say with the default model."""
    model = PLAIN["text"].model
    return tuple((v, mode) for v in variants() for mode in modes(v.adapter(), model))


def named(case: tuple[Any, ...]) -> str:
    """An id for one of the cases above."""
    words = {Variant: "id", Offer: "model"}
    return "-".join(getattr(part, words.get(type(part), ""), part) for part in case)


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
        length = {"Content-Length": str(len(message.body))}  # which every HTTP library adds
        reply = self.sandbox.handle(evolve(message, headers={**message.headers, **length}))
        assert reply.answered
        received = datetime.fromtimestamp(self.at, UTC)
        return evolve(reply.response, received_at=received)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the sandbox answers to a message of one's own with the key, as JSON."""
        url = f"{self.adapter.base_url}{path}"
        message = json_request(method, url, headers=self.credentials(), body=body)
        response = self.send(message)
        assert response.status < 300, response.text()
        return response.json()

    def credentials(self) -> dict[str, str]:
        """The headers that hold the key, as the adapter itself sends them."""
        headers = self.message(PLAIN["text"]).headers
        return {k: v for k, v in headers.items() if k.lower() in SECRET_HEADERS}

    def message(self, request: ImageRequest, *, key: str = KEY, **how: Any) -> HttpRequest:
        """What is sent for *request*, which has to pass the plan."""
        return self.prepared(fit(self.adapter, request, **how), key=key)

    def prepared(self, fitted: FittedRequest, *, key: str = KEY) -> HttpRequest:
        """What is sent for a plan, once its pictures are where the provider wants them."""
        request, offer = fitted.settle().request, fitted.offer
        request = self.answered(self.adapter.prepare(request, offer))
        return self.adapter.submit(request, offer, key=key)

    def answered(self, exchange: Exchange[T]) -> T:
        """What a conversation with the sandbox comes to."""
        try:
            message = next(exchange)
            while True:
                message = exchange.send(self.send(message))
        except StopIteration as stop:
            return cast("T", stop.value)

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


_REQUESTS = (
    evolve(PLAIN["text"], n=2, seed=7),
    evolve(PLAIN["text"], n=2),
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
        adapter = variant.adapter()
        for request in _REQUESTS:
            if fit(adapter, request).problems:
                continue
            for reading in conversation(variant, switches, request):
                small = evolve(reading, response=_shortened(reading.response))
                found.setdefault((reading.op, _shape(small.response)), small)
    assert found, f"{variant.id} can say none of the requests"
    return tuple(found.values())


def conversation(
    variant: Variant, switches: dict[str, Any], request: ImageRequest
) -> Iterator[Reading]:
    """Every sort of reply to *request*, from a good one to a lost task."""
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
