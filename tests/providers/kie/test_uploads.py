"""KIE's uploads: an inline picture becomes a link before anything is bought."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.errors import (
    AuthenticationFailed,
    MalformedResponse,
    ProviderUnavailable,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.providers.kie import Kie, Options
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KIE = Kie(api_key="kie_live_secret")
CRATES = ImageRequest("repaint the crates in yellow")
DUO = tuple(InputImage(f"https://pictures.example.com/{name}") for name in ("cup.png", "tray.png"))


def sent(
    request: ImageRequest, adapter: Kie = KIE, *, key: str = "k", **options: Any
) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key=key)


def given(request: ImageRequest, **how: Any) -> Any:
    """The ``input`` of a submit."""
    return sent(request, **how).json()["input"]


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def ok(data: Any) -> HttpResponse:
    return reply({"code": 200, "msg": "success", "data": data})


def conversed(exchange: Any, *answers: HttpResponse) -> tuple[Any, list[HttpRequest]]:
    """What comes of a conversation, and what was asked."""
    messages, left = [], [None, *answers]
    try:
        while left:
            messages.append(exchange.send(left.pop(0)))
    except StopIteration as stop:
        assert [] == left
        return stop.value, messages
    raise AssertionError("it wants more answers")


PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8 + b"\x00\x00\x00\x09" * 2 + b"\r\n--"
ODD = b"no picture that we know"
INLINE = InputImage(f"data:image/png;base64,{b64encode(PNG).decode()}", regions=[(0, 0, 9, 9)])
OTHER = InputImage(f"data:image/webp;base64,{b64encode(ODD).decode()}")
STORED = {
    "fileName": "x.png",
    "filePath": "images/x.png",
    "downloadUrl": "https://tempfile.redpandaai.co/images/x.png",
    "fileSize": 32,
    "mimeType": "image/png",
    "uploadedAt": "2026-11-20T09:30:00.000Z",
}


def prepared(
    request: ImageRequest, *answers: HttpResponse, adapter: Kie = KIE
) -> tuple[ImageRequest, list[HttpRequest]]:
    """What `prepare` makes of a request and which messages it sends."""
    return conversed(adapter.prepare(request, adapter.offer(request.model)), *answers)


def stored(link: str = STORED["downloadUrl"]) -> HttpResponse:  # type: ignore[assignment]
    data = {**STORED, "downloadUrl": link}
    return reply({"success": True, "code": 200, "msg": "File uploaded successfully", "data": data})


def test_an_inline_picture_is_uploaded_and_named_by_its_link() -> None:
    """Each content once, under its own SHA-256, since an equal name overwrites; boxes stay."""
    asked = evolve(CRATES, images=(INLINE, DUO[0], OTHER, evolve(INLINE, regions=())))

    made, messages = prepared(asked, stored("https://t.example/a"), stored("https://t.example/b"))

    assert ["https://t.example/a", DUO[0].url, "https://t.example/b", "https://t.example/a"] == [
        image.url for image in made.images
    ]
    assert INLINE.regions == made.images[0].regions
    assert [
        f"{hashlib.sha256(PNG).hexdigest()}.png",
        f"{hashlib.sha256(ODD).hexdigest()}.webp",
    ] == [field(message, "fileName").decode() for message in messages]
    assert made.images[0].url == given(made)["input_urls"][0]


def field(message: HttpRequest, name: str) -> bytes:
    """The content of one part of a form."""
    boundary = (message.header("content-type") or "").partition("boundary=")[2]
    for part in message.body.split(f"--{boundary}".encode()):
        head, _, content = part.partition(b"\r\n\r\n")
        if f'form-data; name="{name}"'.encode() in head:
            return content.removesuffix(b"\r\n")
    raise AssertionError(name)


def test_an_upload_is_a_form_with_the_bytes_as_they_are() -> None:
    """A third less than base64, and without its 10 MB."""
    _, (message,) = prepared(evolve(CRATES, images=(INLINE,)), stored())
    digest = hashlib.sha256(PNG).hexdigest()

    assert message == HttpRequest(
        method="POST",
        url="https://kieai.redpandaai.co/api/file-stream-upload",
        headers={
            "Authorization": "Bearer kie_live_secret",
            "Content-Type": f"multipart/form-data; boundary={digest}",
        },
        body=(
            f"--{digest}\r\nContent-Disposition: form-data; "
            f'name="uploadPath"\r\n\r\nimages/wanbridge\r\n'
            f"--{digest}\r\nContent-Disposition: form-data; "
            f'name="fileName"\r\n\r\n{digest}.png\r\n'
            f"--{digest}\r\nContent-Disposition: form-data; "
            f'name="file"; filename="{digest}.png"\r\nContent-Type: image/png\r\n\r\n'
        ).encode()
        + PNG
        + f"\r\n--{digest}--\r\n".encode(),
    )


@pytest.mark.parametrize(
    ("base_url", "upload_url", "host"),
    [
        ("https://api.kie.ai/api/v1", None, "https://kieai.redpandaai.co"),
        ("https://api.kie.ai/api/v1/", "https://api.kie.ai/", "https://api.kie.ai"),
        ("http://127.0.0.1:8080/kie/api/v1", None, "http://127.0.0.1:8080/kie"),
        ("https://gateway.example/v1", "https://up.example", "https://up.example"),
    ],
)
def test_the_key_goes_to_no_host_but_kies_or_the_configured_one(
    base_url: str, upload_url: str | None, host: str
) -> None:
    """KIE's pages contradict each other on the host; a gateway's key is not for KIE."""
    adapter = Kie(api_key="x", base_url=base_url, options=Options(upload_url=upload_url))

    _, (message,) = prepared(evolve(CRATES, images=(INLINE,)), stored(), adapter=adapter)

    assert f"{host}/api/file-stream-upload" == message.url


def test_without_inline_pictures_nothing_is_prepared() -> None:
    """The same request, no message."""
    for request in (CRATES, evolve(CRATES, images=DUO)):
        assert (request, []) == prepared(request)


def test_an_upload_is_told() -> None:
    """A link that anybody may have is not what was asked for."""
    kinds = [(n.field, n.kind) for n in fit(KIE, evolve(CRATES, seed=1, images=(INLINE,))).notes]

    assert [("images", "adapted")] == kinds


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (reply({"success": False, "code": 401, "msg": "m"}), AuthenticationFailed),
        (reply({"success": False, "code": 400, "msg": "m"}, 400), RequestRejected),
        (reply({"success": False, "code": 500, "msg": "m"}, 500), ProviderUnavailable),
        (reply(b"<html>"), MalformedResponse),
        (ok({}), MalformedResponse),
        (stored("ftp://x"), MalformedResponse),
    ],
)
def test_an_upload_that_fails_ends_it_before_anything_is_bought(answer: Any, cls: Any) -> None:
    """Errors are those of every other call."""
    with pytest.raises(cls):
        prepared(evolve(CRATES, images=(INLINE,)), answer)


@pytest.mark.parametrize("uri", ["data:image/png,abc", "data:image/png;base64,@@", "data:,x"])
def test_an_inline_picture_that_is_none_is_refused(uri: str) -> None:
    """Before a message; the payload is not shown."""
    with pytest.raises(UnsupportedFeature, match="images"):
        prepared(evolve(CRATES, images=(uri,)))
