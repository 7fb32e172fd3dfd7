"""A client that ends in the sandbox instead of a socket."""

from __future__ import annotations

import asyncio

import pytest

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Sandbox, SandboxTransport
from wanbridge.transport.library import httpx

KITE = {"model": "wan2.7-image", "prompt": "a red kite"}


@pytest.fixture
def client(reapi: Caller) -> httpx.Client:
    return httpx.Client(
        transport=SandboxTransport(reapi.sandbox),
        base_url=reapi.sandbox.base_url("reapi"),
        headers={"Authorization": f"Bearer {reapi.sandbox.api_key('reapi')}"},
    )


def test_a_client_gets_tasks_and_pictures(reapi: Caller, client: httpx.Client) -> None:
    """Bytes of pictures come the same way."""
    task = client.post("/images/generations", json=KITE).json()
    reapi.clock.now += 10
    done = client.get(f"/tasks/{task['id']}").json()

    picture = client.get(done["output"]["image_urls"][0])

    assert picture.content.startswith(b"\x89PNG")
    assert str(len(picture.content)) == picture.headers["content-length"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("drop", httpx.RemoteProtocolError),
        ("accept_then_drop", httpx.RemoteProtocolError),
        ("cut_body", httpx.RemoteProtocolError),
        ("hang", httpx.ReadTimeout),
    ],
)
def test_faults_are_the_errors_a_socket_would_give(
    reapi: Caller, client: httpx.Client, kind: str, error: type[Exception]
) -> None:
    """At once; nothing is waited for."""
    reapi.sandbox.fault(kind)

    with pytest.raises(error):
        client.post("/images/generations", json=KITE)


def test_an_asynchronous_client_is_served_as_well(reapi: Caller) -> None:
    """By the same class."""

    async def submit() -> int:
        transport = SandboxTransport(reapi.sandbox)
        async with httpx.AsyncClient(transport=transport) as client:
            reply = await client.get(reapi.sandbox.base_url("reapi") + "/balance")
        return reply.status_code

    assert 401 == asyncio.run(submit())


@pytest.mark.parametrize(("timeouts", "times_out"), [(9, True), (11, False), (None, False)])
def test_work_longer_than_the_read_timeout_times_out(
    clock: Clock, timeouts: float | None, times_out: bool
) -> None:
    """A sync generation takes ten seconds here, none of them slept."""
    sandbox = Sandbox(["runware"], clock=clock, latency=10)
    task = {
        "taskType": "imageInference",
        "taskUUID": "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44",
        "model": "alibaba:wan@2.7-image",
        "positivePrompt": "a red kite",
        "width": 768,
        "height": 768,
    }
    client = httpx.Client(
        transport=SandboxTransport(sandbox),
        headers={"Authorization": f"Bearer {sandbox.api_key('runware')}"},
        timeout=timeouts,
    )

    try:
        client.post(sandbox.base_url("runware"), json=[task])
    except httpx.ReadTimeout:
        assert times_out
    else:
        assert not times_out
    assert 1 == len(sandbox.tasks())
