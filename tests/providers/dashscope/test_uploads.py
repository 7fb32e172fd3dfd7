"""DashScope's uploads: what is too long to go inline is put into its own storage first."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from attrs import evolve
from PIL import Image as Pillow

from wanbridge import Client
from wanbridge.adapters.fitting import fit
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    CreditExhausted,
    MalformedResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.providers.dashscope import DashScope
from wanbridge.sandbox import Sandbox
from wanbridge.sandbox.transport import SandboxTransport
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest, HttpResponse

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
PRO = "wan2.7-image-pro"
MB = 1_000_000
TASKS = DashScope(api_key="sk-secret")
MILL = ImageRequest("a water mill in fog")
DUO = tuple(InputImage(f"https://pictures.example.com/{name}") for name in ("cup.png", "tray.png"))


def sent(request: ImageRequest, adapter: DashScope = TASKS, **options: Any) -> HttpRequest:
    """The submit of a request that fits."""
    fitted = fit(adapter, request, **options).settle()
    return adapter.submit(fitted.request, fitted.offer, key="k")


def png(size: int = 0, *, width: int = 1200, height: int = 900, colour: int = 2) -> InputImage:
    """A PNG by its first bytes, padded to *size* bytes; the padding differs with the width."""
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides + bytes([8, colour]) + b"\0\0\0"
    return InputImage.from_bytes(head.ljust(size, b"\0"))


POLICY = {
    "policy": "eyJl",
    "signature": "Zm9v=",
    "upload_dir": "dashscope-instant/aa11/2026-11-20/bb22",
    "upload_host": "https://dashscope-file-xx.oss-cn-beijing.aliyuncs.com",
    "expire_in_seconds": 300,
    "max_file_size_mb": 100,
    "oss_access_key_id": "LTAI",
    "x_oss_object_acl": "private",
    "x_oss_forbid_overwrite": "true",
}
STORED = HttpResponse(status=200)
ENDED = HttpResponse(
    status=403,
    body=b"<Error><Code>AccessDenied</Code><Message>Policy expired.</Message></Error>",
)


def granted(**changes: Any) -> HttpResponse:
    return response({"request_id": "r", "data": {**POLICY, **changes}})


def response(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, body=json.dumps(body).encode(), received_at=NOW)


def prepared(
    request: ImageRequest, *replies: HttpResponse, adapter: DashScope = TASKS
) -> tuple[ImageRequest, list[HttpRequest]]:
    """The request that `prepare` gives and what it sent for that; every reply has to be used."""
    exchange = adapter.prepare(request, adapter.offer(request.model))
    messages, waiting = [], list(replies)
    try:
        message = next(exchange)
        while True:
            messages.append(message)
            message = exchange.send(waiting.pop(0))
    except StopIteration as stop:
        assert not waiting
        return stop.value, messages


def test_what_fits_inline_is_not_uploaded() -> None:
    """Links and small pictures need no further message."""
    request = evolve(MILL, images=(*DUO, png(7 * MB)))

    assert (request, []) == prepared(request)


def test_a_large_picture_goes_to_temporary_storage() -> None:
    """A policy for this model, then a form in the page's order, without the API key."""
    request = evolve(MILL, model=PRO, images=(DUO[0], png(8 * MB)))
    large = base64.b64decode((request.images[1].url or "").partition(",")[2])

    ready, (ask, put) = prepared(request, granted(), STORED)

    query = "?action=getPolicy&model=wan2.7-image-pro"
    assert ("GET", f"{TASKS.base_url}/uploads{query}") == (ask.method, ask.url)
    assert "Bearer sk-secret" == ask.header("authorization")
    assert ("POST", POLICY["upload_host"]) == (put.method, put.url)
    assert ["Content-Type"] == list(put.headers)
    assert b"sk-secret" not in put.body
    names = re.findall(rb'Content-Disposition: form-data; name="([^"]+)"', put.body)
    assert [
        *(b"OSSAccessKeyId", b"Signature", b"policy", b"key", b"x-oss-object-acl"),
        *(b"x-oss-forbid-overwrite", b"success_action_status", b"file"),
    ] == names
    assert large in put.body
    key = f"{POLICY['upload_dir']}/{hashlib.sha256(large).hexdigest()}.png"
    assert key.encode() in put.body
    assert (DUO[0], f"oss://{key}") == (ready.images[0], ready.images[1].url)
    assert (1200, 900) == (ready.images[1].width, ready.images[1].height)
    submit = TASKS.submit(ready, TASKS.offer(PRO), key="k")
    assert "enable" == submit.header("X-DashScope-OssResourceResolve")


def test_the_same_picture_is_uploaded_once() -> None:
    """Two places in the request, one file; another one has a policy of its own."""
    twice, other = png(8 * MB), png(8 * MB, width=1300)

    ready, messages = prepared(
        evolve(MILL, images=(twice, other, twice)), granted(), STORED, granted(), STORED
    )

    assert 4 == len(messages)
    assert ready.images[0].url == ready.images[2].url != ready.images[1].url


def test_so_many_pictures_go_inline_as_one_body_takes() -> None:
    """64 MiB with base64; what is over that is uploaded though it is small."""
    images = tuple(png(6 * MB, width=1000 + i) for i in range(9))

    ready, messages = prepared(evolve(MILL, images=images), *[granted(), STORED] * 2)

    assert 4 == len(messages)
    assert ["data"] * 7 + ["oss"] * 2 == [image.scheme for image in ready.images]
    assert len(sent(ready).body) < 64 * 2**20


def test_a_policy_that_ended_is_renewed_once() -> None:
    """It lives for minutes, and a long upload takes some."""
    request = evolve(MILL, images=(png(8 * MB),))

    ready, messages = prepared(request, granted(), ENDED, granted(), STORED)
    assert 4 == len(messages)
    assert "oss" == ready.images[0].scheme

    with pytest.raises(RequestRejected, match=r"images\[0\] was not stored: .*Policy expired"):
        prepared(request, granted(), ENDED, granted(), ENDED)


def test_a_file_that_is_there_already_is_the_file() -> None:
    """Its name is its content: the first send arrived and its answer was lost."""
    body = b"<Error><Code>FileAlreadyExists</Code></Error>"

    ready, _ = prepared(
        evolve(MILL, images=(png(8 * MB),)), granted(), HttpResponse(status=409, body=body)
    )

    assert "oss" == ready.images[0].scheme


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDenied"),
        (404, "NotFound"),
        (400, "InvalidParameter"),
        (403, None),
    ],
)
def test_where_nothing_can_be_uploaded_the_way_out_is_named(status: int, code: str | None) -> None:
    """Pages contradict each other on whether it exists outside Beijing."""
    body = {"code": code, "message": "not here", "request_id": "r"} if code else "blocked"
    request = evolve(MILL, images=(DUO[0], png(8 * MB)))

    with pytest.raises(UnsupportedFeature) as caught:
        prepared(request, response(body, status))

    said = str(caught.value)
    assert said.startswith("dashscope: images: images[1]: 8,000,000 bytes, too long to go inline")
    assert said.endswith("give an https URL, or 7,000,000 bytes at most")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "InvalidApiKey", AuthenticationFailed),
        (429, "Throttling.RateQuota", RateLimited),
        (400, "Throttling.RateQuota", RateLimited),
        (400, "Arrearage", CreditExhausted),
        (500, "InternalError", ProviderUnavailable),
    ],
)
def test_other_refusals_of_a_policy_are_what_they_are(
    status: int, code: str, error: type[ProviderError]
) -> None:
    """A wrong key is no matter of the region; and nothing was bought."""
    with pytest.raises(error) as caught:
        prepared(
            evolve(MILL, images=(png(8 * MB),)), response({"code": code, "message": "no"}, status)
        )

    assert Charge.NO is caught.value.charge


@pytest.mark.parametrize(
    "host", ["http://oss.example.com", "ftp://oss.example.com", "https://", ""]
)
def test_pictures_are_not_sent_in_the_clear(host: str) -> None:
    """The host is the reply's word."""
    with pytest.raises(MalformedResponse, match="upload_host"):
        prepared(evolve(MILL, images=(png(8 * MB),)), granted(upload_host=host))


def test_a_gateway_of_ones_own_may_store_as_well() -> None:
    """As the sandbox does: where the key goes a picture may go."""
    local = evolve(TASKS, base_url="http://127.0.0.1:8765/dashscope/api/v1")
    request, host = evolve(MILL, images=(png(8 * MB),)), "http://127.0.0.1:8765/oss"

    _, (_, put) = prepared(request, granted(upload_host=host), STORED, adapter=local)

    assert host == put.url


def test_a_policy_for_smaller_files_is_a_refusal() -> None:
    """It is said before anything is sent to storage."""
    with pytest.raises(UnsupportedFeature, match="at most 1 MB are taken"):
        prepared(evolve(MILL, images=(png(8 * MB),)), granted(max_file_size_mb=1))


def test_what_is_not_base64_is_not_uploaded() -> None:
    """The plan looks at the beginning only."""
    broken = InputImage(f"{png(8 * MB).url}*")

    with pytest.raises(UnsupportedFeature, match="not base64"):
        prepared(evolve(MILL, images=(broken,)))


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_a_large_picture_goes_all_the_way(mode: str) -> None:
    """The sandbox stores it, resolves it for this model, and draws; bought once."""
    sandbox = Sandbox(["dashscope"], latency=0.0)
    Pillow.new("RGB", (1600, 1600), "navy").save(buffer := BytesIO(), "BMP")
    assert len(buffer.getvalue()) > 7 * MB
    adapter = DashScope(
        api_key=sandbox.api_key("dashscope"),
        base_url=sandbox.base_url("dashscope"),
        options=DashScope.Options(mode=mode),
    )
    http = httpx.Client(transport=SandboxTransport(sandbox))
    with http, Client([adapter], http=http, sleep=lambda seconds: None) as client:
        image = InputImage.from_bytes(buffer.getvalue())
        result = client.generate("make it a mill", images=[image])

    assert 1 == len(result.images)
    assert 1 == len(sandbox.ledger()["charges"])
