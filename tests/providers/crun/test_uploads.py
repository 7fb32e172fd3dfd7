"""Crun's uploads: a presigned place on another host, which never sees the key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.errors import (
    AuthenticationFailed,
    MalformedResponse,
    ProviderError,
    ProviderUnavailable,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.providers.crun import Crun, Options
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
BASE = "https://api.crun.ai/api/v1"
CRUN = Crun(api_key="ak_secret")
BOLD = Crun(api_key="ak_secret", options=Options(allow_unverified=True))
KEY = {"x-api-key": "ak_secret"}
OTTER = ImageRequest("an otter cut from felt")
CUP = InputImage("https://pictures.example.com/cup.png", width=1600, height=900)
TRAY = InputImage("https://pictures.example.com/tray.png")
INLINE = InputImage("data:image/png;base64,iVBORw0KGgo=", width=8, height=8)


def sent(request: ImageRequest, adapter: Crun = CRUN, **options: Any) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key="k")


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, body=raw, headers=headers or {}, received_at=NOW)


def good(data: Any) -> HttpResponse:
    return reply({"code": 200, "message": "success", "data": data})


def bad(code: Any, status: int = 200, **more: Any) -> HttpResponse:
    return reply({"code": code, "message": "made up", "data": None, **more}, status)


def played(exchange: Any, *answers: HttpResponse) -> tuple[list[HttpRequest], Any]:
    """What a conversation asked, and what came of it."""
    asked = [next(exchange)]
    try:
        for answer in answers:
            asked += [exchange.send(answer)]
    except StopIteration as stop:
        return asked, stop.value
    raise AssertionError(f"{asked[-1]} is not answered")


PUT_URL = "https://r2.example.net/put?X-Amz-Signature=abc"
FILE_URL = "https://files.crun.ai/a.png"
PLACE = good({"presigned_url": PUT_URL, "file_url": FILE_URL})


def test_the_bytes_of_an_image_go_to_a_foreign_host_without_the_key() -> None:
    """Inputs are URLs only; each picture is uploaded once, and keeps its size and boxes."""
    boxed = evolve(INLINE, regions=[(1, 2, 3, 4)])
    asked = evolve(OTTER, images=(INLINE, CUP, boxed))

    messages, prepared = played(
        BOLD.prepare(asked, BOLD.offer(OTTER.model)), PLACE, reply(b"", 201)
    )

    assert messages == [
        HttpRequest(
            method="GET",
            url=f"{BASE}/client/files/upload-url?content_type=image%2Fpng&ext=.png",
            headers=KEY,
        ),
        HttpRequest(
            method="PUT",
            url=PUT_URL,
            headers={"Content-Type": "image/png"},
            body=b"\x89PNG\r\n\x1a\n",
        ),
    ]
    assert (evolve(INLINE, url=FILE_URL), CUP, evolve(boxed, url=FILE_URL)) == prepared.images
    assert [FILE_URL, CUP.url, FILE_URL] == sent(prepared, BOLD).json()["input"]["img_urls"]


@pytest.mark.parametrize(
    ("mime", "ext"),
    [("image/jpeg", ".jpg"), ("image/webp", ".webp"), ("image/bmp", ".bmp"), ("x/y", ".bin")],
)
def test_an_upload_says_type_and_extension(mime: str, ext: str) -> None:
    """With the dot; the same type goes with the bytes."""
    asked = evolve(OTTER, images=(InputImage(f"data:{mime};base64,AAAA"),))
    messages, _ = played(BOLD.prepare(asked, BOLD.offer(OTTER.model)), PLACE, reply(b""))

    assert messages[0].url.endswith(f"content_type={mime.replace('/', '%2F')}&ext={ext}")
    assert {"Content-Type": mime} == messages[1].headers


def test_without_data_nothing_is_uploaded() -> None:
    """Links are sent as they are."""
    asked = evolve(OTTER, images=(CUP, TRAY))
    with pytest.raises(StopIteration) as stop:
        next(BOLD.prepare(asked, BOLD.offer(OTTER.model)))

    assert asked == stop.value.value


def place(presigned: Any = PUT_URL, file: Any = FILE_URL) -> HttpResponse:
    return good({"presigned_url": presigned, "file_url": file})


@pytest.mark.parametrize(
    ("answers", "cls", "said"),
    [
        ((bad(401, 401),), AuthenticationFailed, "made up"),
        ((bad(500),), ProviderUnavailable, "made up"),
        ((place(file=None),), MalformedResponse, "file_url: expected str"),
        ((place("http://r2.example.net/x"),), MalformedResponse, "presigned_url: neither https"),
        ((place("http://169.254.169.254/"),), MalformedResponse, "presigned_url: neither https"),
        ((place("https://["),), MalformedResponse, "presigned_url: neither https"),
        ((place(file="file:///etc/x"),), MalformedResponse, "file_url: neither https"),
        ((place(), reply(b"<Error>old</Error>", 403)), ProviderUnavailable, "refused: <Error>"),
    ],
)
def test_an_upload_goes_over_https_or_to_the_host_of_base_url(
    answers: tuple[HttpResponse, ...], cls: type[ProviderError], said: str
) -> None:
    """The places come from a reply; anything else is an error before the submit."""
    asked = evolve(OTTER, images=(INLINE,))
    with pytest.raises(cls, match=said):
        played(BOLD.prepare(asked, BOLD.offer(OTTER.model)), *answers)


def test_a_place_on_the_host_of_base_url_may_be_plain_http() -> None:
    """Sandboxes and gateways on this machine."""
    local = evolve(BOLD, base_url="http://127.0.0.1:9/api/v1")
    messages, _ = played(
        local.prepare(evolve(OTTER, images=(INLINE,)), local.offer(OTTER.model)),
        place("http://127.0.0.1:9/put", "http://127.0.0.1:9/a"),
        reply(b""),
    )

    assert "http://127.0.0.1:9/put" == messages[1].url


def test_data_that_is_no_base64_is_refused() -> None:
    """Before anything is uploaded."""
    asked = evolve(OTTER, images=(InputImage("data:image/png,plain"),))
    with pytest.raises(UnsupportedFeature, match="base64"):
        next(BOLD.prepare(asked, BOLD.offer(OTTER.model)))
