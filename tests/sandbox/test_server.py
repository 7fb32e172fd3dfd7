"""The sandbox on a real socket, called with plain HTTP clients."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from wanbridge.sandbox import Sandbox, running
from wanbridge.sandbox.server import serve

KITE = {"model": "wan2.7-image", "prompt": "a red kite", "size": "1280x768"}


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with running(Sandbox(["reapi", "runware"], latency=0)) as sandbox:
        yield sandbox


@pytest.fixture
def live(served: Sandbox) -> Sandbox:
    served.reset()
    return served


@pytest.fixture
def client(live: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {live.api_key('reapi')}"}
    with httpx.Client(base_url=live.base_url("reapi"), headers=headers) as client:
        yield client


def submit(client: httpx.Client) -> Any:
    return client.post("/images/generations", json=KITE).raise_for_status().json()


def test_a_picture_travels_whole(client: httpx.Client) -> None:
    """From submit to a file of the right size and format."""
    task = client.get(f"/tasks/{submit(client)['id']}").json()
    reply = client.get(task["output"]["image_urls"][0])

    assert "image/png" == reply.headers["content-type"]
    with Image.open(BytesIO(reply.content)) as image:
        assert ("PNG", (1280, 768)) == (image.format, image.size)


@pytest.mark.parametrize(("kind", "accepted"), [("drop", 0), ("accept_then_drop", 1)])
def test_a_drop_is_a_closed_connection_without_a_byte(
    live: Sandbox, client: httpx.Client, kind: Any, accepted: Any
) -> None:
    """Alike for the client; the ledger knows better."""
    live.fault(kind)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        submit(client)

    assert accepted == live.ledger()["totals"]["reapi"]["accepted"]
    assert submit(client)


def test_a_hang_lasts_until_the_client_gives_up(live: Sandbox, client: httpx.Client) -> None:
    """Accepted, and never answered."""
    live.fault("hang")

    with pytest.raises(httpx.ReadTimeout):
        client.post("/images/generations", json=KITE, timeout=0.1)

    assert 1 == live.ledger()["totals"]["reapi"]["accepted"]


def test_a_cut_body_is_shorter_than_promised(live: Sandbox, client: httpx.Client) -> None:
    """Half of it, then the connection closes."""
    live.fault("cut_body")

    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        submit(client)


def test_a_slow_body_arrives_in_pieces(live: Sandbox, client: httpx.Client) -> None:
    """Whole in the end."""
    live.fault("slow_body", seconds=0.08)

    assert "processing" == submit(client)["status"]


def test_a_sync_generation_holds_the_connection(live: Sandbox) -> None:
    """For as long as the work takes."""
    task = {
        "taskType": "imageInference",
        "taskUUID": "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44",
        "model": "alibaba:wan@2.7-image",
        "positivePrompt": "a red kite",
        "width": 768,
        "height": 768,
        "outputType": "dataURI",
    }
    with running(Sandbox(["runware"], latency=0.05)) as slow:
        reply = httpx.post(
            slow.base_url("runware"),
            json=[task],
            headers={"Authorization": f"Bearer {slow.api_key('runware')}"},
        )

    assert 0.05 <= reply.elapsed.total_seconds()
    assert reply.json()["data"][0]["imageDataURI"].startswith("data:image/jpeg;base64,")


def test_the_controls_are_served_at_the_root(live: Sandbox) -> None:
    """With the real port in every URL."""
    providers = httpx.get(f"{live.origin}/_sandbox/").json()["providers"]
    httpx.put(f"{live.origin}/_sandbox/faults", json=[{"kind": "drop"}]).raise_for_status()

    assert f"{live.origin}/reapi/api/v1" == providers["reapi"]["base_url"]
    assert ["drop"] == [fault.kind for fault in live.faults()]


def test_two_hundred_connections_at_once_all_get_their_own_task(live: Sandbox) -> None:
    """Raw sockets, because a client's pool would queue them."""
    host, port = live.origin.removeprefix("http://").split(":")
    key = live.api_key("reapi")
    body = '{"model":"wan2.7-image","prompt":"kite"}'
    raw = (
        f"POST /reapi/api/v1/images/generations HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw.encode())
        status = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return status

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(one() for _ in range(200)))

    assert {b"HTTP/1.1 200 OK\r\n"} == set(asyncio.run(all_of_them()))
    assert 200 == live.ledger()["totals"]["reapi"]["accepted"]


@pytest.mark.parametrize(
    ("kind", "options"), [("hang", {}), ("slow_body", {"seconds": 60}), (None, {})]
)
def test_stopping_lets_go_of_those_who_wait(kind: Any, options: Any) -> None:
    """A hanging, a trickling and a working connection end with the server."""
    errors: list[type[Exception]] = []
    task = {
        "taskType": "imageInference",
        "taskUUID": "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44",
        "model": "alibaba:wan@2.7-image",
        "positivePrompt": "a red kite",
        "width": 768,
        "height": 768,
    }
    with running(Sandbox(["runware"], latency=0 if kind else 60)) as sandbox:
        if kind:
            sandbox.fault(kind, **options)

        def wait() -> None:
            url, key = sandbox.base_url("runware"), sandbox.api_key("runware")
            try:
                httpx.post(url, json=[task], headers={"Authorization": f"Bearer {key}"}, timeout=30)
            except httpx.HTTPError as error:
                errors.append(type(error))

        waiting = threading.Thread(target=wait)
        waiting.start()
        while waiting.is_alive() and not sandbox.tasks():
            pass
    waiting.join(10)

    assert 1 == len(errors)
    assert errors[0] in (httpx.RemoteProtocolError, httpx.ReadError)


def test_afterwards_the_port_is_free_and_the_origin_as_before() -> None:
    """A sandbox can be served, and then used in process again."""
    sandbox = Sandbox(["reapi"])
    with running(sandbox):
        port = int(sandbox.origin.rpartition(":")[2])

    assert "http://127.0.0.1:9" == sandbox.origin
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_the_blocking_form_says_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """And listens on loopback, of IPv6 too where the machine has it."""
    seen = []
    host, shown = "127.0.0.1", "http://127.0.0.1:"
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        host, shown = "::1", "http://[::1]:"
    monkeypatch.setattr(
        "wanbridge.sandbox.server._Server.run", lambda _, sockets: sockets[0].close()
    )

    serve(Sandbox(["reapi"]), port=0)
    serve(Sandbox(["reapi"]), host, 0, ready=lambda sandbox: seen.append(sandbox.origin))

    assert seen[0].startswith(shown)


@pytest.mark.parametrize("library", ["uvicorn", "PIL"])
def test_a_missing_library_is_one_clear_message(library: Any) -> None:
    """With the command that helps; importing the package itself needs neither."""
    code = (
        f"import sys; sys.modules[{library!r}] = None; import wanbridge.sandbox\n"
        "try: import wanbridge.sandbox.server, wanbridge.sandbox.drawing\n"
        "except ImportError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"the sandbox needs {library}: pip install 'wanbridge[sandbox]'\n" == out.stdout


def test_importing_the_sandbox_imports_no_server_and_no_pictures() -> None:
    """What is not used costs nothing."""
    code = (
        "import sys; from wanbridge.sandbox import Sandbox; Sandbox(['reapi', 'runware'])\n"
        "print(sorted({'uvicorn', 'starlette', 'PIL'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == out.stdout


def test_the_package_has_no_other_names() -> None:
    """A lazy name is still a checked one."""
    import wanbridge.sandbox

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = wanbridge.sandbox.nothing
