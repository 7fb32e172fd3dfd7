"""The golden vectors of every provider: written from its pages, run here against its adapter.

``tests/vectors/README.md`` describes the format. A vector that fails says that the adapter and
the provider's page disagree, and the page decides.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import FittedRequest, fit
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.adapters.steps import Done, Missing, Op, Pending, Step
from wanbridge.errors import CallFailed, InvalidRequest, ProviderError, UnsupportedFeature
from wanbridge.model.codec import from_document
from wanbridge.model.jobs import Job
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.wire import SECRET_HEADERS, HttpRequest, HttpResponse

Document = dict[str, Any]

VECTORS = Path(__file__).parents[1] / "vectors"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
API_KEY = "sk-vectors-0123456789"
KINDS = ("request", "refused", "poll", "reply")


@cache
def file(provider: str) -> Document:
    document = json.loads((VECTORS / f"{provider}.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


PROVIDERS = [name for name in BUILTIN if (VECTORS / f"{name}.json").exists()]

each_provider = pytest.mark.parametrize("provider", PROVIDERS)


def each(*kinds: str) -> pytest.MarkDecorator:
    """Every vector of these kinds, of every provider."""
    found = [
        pytest.param(provider, vector, id=f"{provider}-{vector['name']}")
        for provider in PROVIDERS
        for vector in file(provider)["vectors"]
        if vector["kind"] in kinds
    ]
    return pytest.mark.parametrize(("provider", "vector"), found)


def each_code() -> pytest.MarkDecorator:
    """Every row of every table of error codes."""
    found = [
        pytest.param(
            provider,
            row,
            id=f"{provider}-{row.get('op', 'submit')}-{row['status']}-{row['code']}",
        )
        for provider in PROVIDERS
        for row in file(provider)["codes"]
    ]
    return pytest.mark.parametrize(("provider", "row"), found)


# -- from documents to values --------------------------------------------------------------


def adapter_of(provider: str, vector: Document) -> Adapter:
    return Registry().build(
        provider,
        api_key=API_KEY,
        base_url=vector.get("base_url"),
        options=vector.get("options", {}),
    )


def request_of(vector: Document) -> ImageRequest:
    return from_document(ImageRequest, vector.get("request", {"prompt": "a paper lantern"}))


def key_of(provider: str, vector: Document) -> str:
    return str(vector.get("key", file(provider)["key"]))


def job_of(provider: str, vector: Document, adapter: Adapter) -> Job:
    """The job that a vector's poll is about, as a submit would have opened it."""
    given = vector["job"]
    until = given.get("collect_by")
    return Job(
        provider=provider,
        account=adapter.account,
        base_url=adapter.base_url,
        id=given["id"],
        request=request_of(vector).stored(),
        submitted_at=NOON,
        key=key_of(provider, vector),
        state=given.get("state", {}),
        collect_by=None if until is None else datetime.fromisoformat(until),
    )


def response_of(said: Document) -> HttpResponse:
    body = said["text"] if "text" in said else json.dumps(said["body"])
    return HttpResponse(
        status=said["status"],
        headers=said.get("headers", {}),
        body=body.encode(),
        received_at=NOON,
    )


# -- from values to documents --------------------------------------------------------------


def exact(document: object) -> str:
    """As text, for in Python 1 equals True."""
    return json.dumps(document, sort_keys=True, indent=1)


def plainly(document: Document) -> Document:
    """Without what is absent: null, and what is empty."""
    return {k: v for k, v in document.items() if v is not None and v not in ([], {})}


def message_of(message: HttpRequest) -> Document:
    """As in ``http``; the credential is looked at elsewhere."""
    said = {"method": message.method, "url": message.url, "headers": headers_of(message)}
    return {**said, "body": message.json()} if message.body else said


def headers_of(message: HttpRequest) -> Document:
    return {k.lower(): v for k, v in message.headers.items() if k.lower() not in SECRET_HEADERS}


def http_of(vector: Document) -> Document:
    http = vector["http"]
    headers = {k.lower(): v for k, v in http.get("headers", {}).items()}
    return {**http, "headers": headers}


def notes_of(notes: tuple[Note, ...]) -> list[Document]:
    return [{"field": note.field, "kind": note.kind} for note in notes]


def image_of(image: Image) -> Document:
    return plainly({
        "url": image.url,
        "seed": image.seed,
        "data": image.data and b64encode(image.data).decode(),
        "expires_at": moment(image.expires_at),
    })  # fmt: skip


def moment(when: datetime | None) -> str | None:
    return None if when is None else f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def kept(job: Job) -> Document:
    said = {"id": job.id, "state": dict(job.state), "collect_by": moment(job.collect_by)}
    return plainly(said)


def told(step: Step) -> Document:
    """A step as an ``outcome``."""
    match step:
        case Done(delivery):
            cost = delivery.cost
            return {
                "step": "done",
                "images": [image_of(image) for image in delivery.images],
                **plainly({
                    "failures": [plainly({"code": f.code, "message": f.message})
                                 for f in delivery.failures],
                    "cost": cost and {"amount": f"{cost.amount:f}", "currency": cost.currency},
                    "billed": delivery.billed,
                    "request_id": delivery.request_id,
                    "notes": notes_of(delivery.notes),
                }),
            }  # fmt: skip
        case Pending(job, retry_after, progress):
            rest = plainly({"retry_after": retry_after, "progress": progress})
            return {"step": "pending", "job": kept(job), **rest}
        case Missing():
            return {"step": "missing"}


def failed(error: CallFailed) -> Document:
    """An error as an ``outcome``."""
    said: Document = {
        "error": type(error).__name__,
        "charge": str(error.charge),
        "elsewhere": error.elsewhere,
    }
    if isinstance(error, ProviderError):
        said |= plainly({
            "final": error.final or None,
            "code": error.code,
            "status": error.status,
            "request_id": error.request_id,
            "retry_after": error.retry_after,
        })  # fmt: skip
    return said


def wanted(outcome: Document) -> Document:
    """An ``outcome`` of a file in the form of `told` and `failed`: no defaults, whole numbers."""
    said = {k: v for k, v in outcome.items() if not (k == "final" and v is False)}
    said = {k: v for k, v in said.items() if k == "images" or (v is not None and v not in ([], {}))}
    for name in ("retry_after", "progress"):
        if name in said:
            said[name] = float(said[name])
    if "images" in said:
        said["images"] = [plainly(image) for image in said["images"]]
    if "job" in said:
        said["job"] = plainly(said["job"])
    return said


# -- the vectors ---------------------------------------------------------------------------


def fitted(adapter: Adapter, vector: Document) -> FittedRequest:
    return fit(adapter, request_of(vector), may_drop=vector.get("may_drop", ())).settle()


def uploaded(adapter: Adapter, fit: FittedRequest, uploads: list[Document]) -> ImageRequest:
    """The request once everything that it uploads was answered."""
    exchange = adapter.prepare(fit.request, fit.offer)
    replies = iter(uploads)
    try:
        message = next(exchange)
        while True:
            upload = next(replies, None)
            assert upload is not None, f"a message that is not told: {message}"
            said = upload["http"]
            sent: Document = {"method": message.method, "url": message.url}
            sent |= {"headers": headers_of(message)} if "headers" in said else {}
            sent |= {"body": message.json()} if "body" in said else {}
            assert exact(http_of(upload) if "headers" in said else said) == exact(sent)
            message = exchange.send(response_of(upload["response"]))
    except StopIteration as stop:
        assert next(replies, None) is None, "fewer messages than told"
        request = stop.value
    assert isinstance(request, ImageRequest)
    return request


def credential(provider: str, message: HttpRequest) -> None:
    auth = file(provider)["auth"]

    assert auth["prefix"] + API_KEY == message.header(auth["header"])


@each("request")
def test_a_request_becomes_this_message(provider: str, vector: Document) -> None:
    """Method, URL, headers, body and the notes on it, to the letter."""
    adapter = adapter_of(provider, vector)
    fit = fitted(adapter, vector)
    request = uploaded(adapter, fit, vector.get("uploads", []))

    message = adapter.submit(request, fit.offer, key=key_of(provider, vector))

    assert exact(http_of(vector)) == exact(message_of(message))
    assert vector.get("notes", []) == notes_of(fit.notes)
    credential(provider, message)


@each("refused")
def test_a_request_is_refused_for_this_field(provider: str, vector: Document) -> None:
    """Before any money is spent, and for nothing else."""
    with pytest.raises((UnsupportedFeature, InvalidRequest)) as caught:
        fitted(adapter_of(provider, vector), vector)

    error: Exception = caught.value
    assert vector.get("error", "UnsupportedFeature") == type(error).__name__
    if isinstance(error, UnsupportedFeature):
        blamed = {error.field, *(also.field for also in error.also)}
    else:
        assert isinstance(error, InvalidRequest)
        blamed = {problem.path for problem in error.problems}
    assert {vector["field"]} == blamed


@each("poll")
def test_a_job_is_asked_for_like_this(provider: str, vector: Document) -> None:
    """The message of a poll, to the letter."""
    adapter = adapter_of(provider, vector)

    message = adapter.poll(job_of(provider, vector, adapter))

    assert exact(http_of(vector)) == exact(message_of(message))
    credential(provider, message)


def outcome_of(provider: str, vector: Document) -> Document:
    """What the adapter makes of a reply, asked in the order of `wanbridge.engine.conversation`."""
    adapter, op = adapter_of(provider, vector), Op(vector["op"])
    response = response_of(vector["response"])
    job = job_of(provider, vector, adapter) if op is Op.POLL else None
    try:
        if (error := adapter.failure(response, op=op, job=job)) is not None:
            raise error
        if job is not None:
            return told(adapter.read_poll(response, job))
        key = key_of(provider, vector)
        return told(adapter.read_submission(response, request_of(vector), key=key))
    except CallFailed as exc:
        return failed(exc)


@each("reply")
def test_a_reply_means_this(provider: str, vector: Document) -> None:
    """A step or an error, with every fact that the caller is told."""
    assert exact(wanted(vector["outcome"])) == exact(outcome_of(provider, vector))


def filled(template: Any, code: object) -> Any:
    """*template* with *code* where it says so; without that member where there is no code."""
    if isinstance(template, dict):
        parts = {k: filled(v, code) for k, v in template.items() if v != "$CODE"}
        return parts | {k: code for k, v in template.items() if v == "$CODE" and code is not None}
    if isinstance(template, list):
        return [filled(part, code) for part in template]
    return template


@each_code()
def test_a_code_is_classed_as_its_table_says(provider: str, row: Document) -> None:
    """By the class alone a caller knows whether to stop, to wait or to go elsewhere."""
    adapter, op = adapter_of(provider, {}), Op(row.get("op", "submit"))
    said: Mapping[str, Any] = row
    if "text" not in row and "body" not in row:
        said = {**row, "body": filled(file(provider)["error_body"][op], row["code"])}
    job = job_of(provider, {"job": {"id": job_id(provider)}}, adapter) if op is Op.POLL else None

    error = adapter.failure(response_of(dict(said)), op=op, job=job)

    assert error is not None
    assert row["class"] == type(error).__name__
    assert row.get("charge", str(error.charge)) == str(error.charge)
    assert row.get("final", error.final) == error.final


def job_id(provider: str) -> str:
    """The task that ``error_body.poll`` speaks of; elsewhere any would do."""
    return str(file(provider).get("job_id", "task-1"))


# -- that nothing is left out --------------------------------------------------------------


@each_provider
def test_there_are_enough_vectors(provider: str) -> None:
    """At least 25, each with a name of its own, a section and a known kind."""
    vectors = file(provider)["vectors"]
    names = Counter(vector["name"] for vector in vectors)

    assert len(vectors) >= 25
    assert [] == [name for name, times in names.items() if times > 1]
    assert [] == [v["name"] for v in vectors if v["kind"] not in KINDS or not v["section"].strip()]
    assert [] == [row for row in file(provider)["codes"] if not row["section"].strip()]


@each_provider
def test_every_field_and_model_is_in_a_request_vector(provider: str) -> None:
    """What an offer declares is shown on the wire at least once."""
    vectors = [v for v in file(provider)["vectors"] if v["kind"] == "request"]
    declared, shown = set(), set()
    for vector in vectors:
        adapter = adapter_of(provider, vector)
        declared |= {field for offer in adapter.offers for field in offer.fields}
        declared |= {offer.model for offer in adapter.offers}
        request = request_of(vector)
        shown |= {*request.fields_set, request.model}

    assert set() == declared - shown


@each_provider
def test_every_kind_and_operation_is_there(provider: str) -> None:
    """Requests, refusals and replies to a submit; polls too where jobs are polled."""
    vectors = file(provider)["vectors"]
    shown = {(v["kind"], v.get("op")) for v in vectors}
    steps = {v["outcome"].get("step", "error") for v in vectors if v["kind"] == "reply"}

    assert {("request", None), ("refused", None), ("reply", "submit")} <= shown
    assert {"done", "pending", "error"} <= steps


@each_provider
def test_a_file_says_where_it_comes_from(provider: str) -> None:
    """The provider's page and the day it was read; and no credential."""
    document = file(provider)

    assert provider == document["provider"]
    assert document["source"].startswith("https://")
    assert datetime.fromisoformat(document["read"]).date() <= NOON.date()
    assert API_KEY not in json.dumps(document)


def test_every_provider_has_a_file() -> None:
    """A new adapter comes with its vectors."""
    assert [] == [name for name in BUILTIN if name not in PROVIDERS]
