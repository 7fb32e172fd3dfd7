"""Whatever a client is called with, and whatever comes back: the error that leaves is ours.

Every public method of both clients, found by looking at them, is called with a wall of wrong
arguments and meets a wall of broken replies. What may leave is a `WanbridgeError`, a `TypeError`
that names the argument, and where a file is written an `OSError`.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen

from sandbox_calls import SharedClock
from wanbridge import AsyncClient, Client, handle
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.client.options import Call, Comparing, Rating
from wanbridge.engine.context import Timeouts
from wanbridge.errors import (
    CallFailed,
    Charge,
    ConfigurationError,
    SubmissionUncertain,
    WanbridgeError,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.sandbox import Sandbox
from wanbridge.transport.library import httpx

BridgeClass = type[Client] | type[AsyncClient]
CLASSES: tuple[BridgeClass, ...] = (Client, AsyncClient)
both = pytest.mark.parametrize("kind", CLASSES)

KITE = ImageRequest("a red kite", size="1K")
PICTURE = Image(url="https://93.184.215.14/kite.png?Signature=beef")


class Mute:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("it cannot be shown")


class Jealous:
    """Cannot be compared."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("it cannot be compared")


@cache
def known() -> tuple[Job, Receipt, ImageResult]:
    """A finished job at reAPI, its result, and the receipt of a submit of unknown outcome."""
    sandbox = Sandbox(latency=0)
    with Client.sandbox(sandbox, sleep=lambda seconds: None) as bridge:
        job = bridge.submit(KITE, provider="reapi")
        result = bridge.wait(job)
        sandbox.fault("accept_then_drop", provider="reapi")
        with pytest.raises(SubmissionUncertain) as caught:
            bridge.generate(KITE, provider="reapi")
    assert caught.value.receipt is not None
    return job, caught.value.receipt, result


def wall() -> Iterator[object]:
    """Values that hardly any argument may have, each of another kind."""
    yield from (None, True, 0, -1, 10**400, math.nan, math.inf, -math.inf, Decimal("sNaN"), 1j)
    yield from (
        "",
        "nobody",
        "a\x00b",
        "two\nlines",
        "\ud83d",
        "x" * 9999,
        b"\xff",
        Path("/no/x"),
    )
    yield from ([], [1], (None,), {}, {"a": {}}, {1: 2}, {1}, object(), ..., ValueError("x"))
    yield from (Mute(), Jealous(), *known(), known()[2].images[0], KITE)


# How each method is called rightly; then each of its arguments in turn is a stone of the wall.
# What has no entry, or is none any more, fails a test below.
Usual = tuple[tuple[Any, ...], dict[str, Any]]


def usual(folder: Path) -> dict[str, Usual]:
    job, receipt, result = known()
    image, at_reapi, at_crun = result.images[0], {"provider": "reapi"}, {"provider": "crun"}
    return {
        "adopt": ((receipt, "t-1"), {}),
        "balance": ((), at_reapi),
        "cancel": ((job,), {}),
        "compare": ((KITE,), {}),
        "compare_all": (([KITE],), {}),
        "download": ((image,), {}),
        "estimate": ((KITE,), at_crun),
        "explain": ((KITE,), {"may_drop": (), "check_limits": True}),
        "from_config": (({"providers": {"reapi": {"api_key": "k"}}},), {}),
        "from_env": ((), {"environ": {"REAPI_API_KEY": "k"}}),
        "generate": ((KITE,), at_reapi),
        "look": ((job,), {}),
        "measure": ((KITE,), {}),
        "models": ((), at_crun),
        "reconcile": ((receipt,), {}),
        "refresh": ((job,), {}),
        "sandbox": ((Sandbox(latency=0),), {}),
        "save": ((image, folder / "kite"), {"force": True, "metadata": True}),
        "save_all": ((result, folder), {"force": True, "metadata": True}),
        "store_at": (("s3://bucket/kite.png",), {}),
        "submit": ((KITE,), at_reapi),
        "wait": ((job,), {"deadline": None, "on_progress": None}),
    }


# Not called with anything; `of` takes what `wanbridge.config` has read.
NOTHING_TO_SAY = {"accounts", "ledger", "storage", "timeouts", "close", "of"}
WRITES = {"save", "save_all"}
CONSTRUCTOR = (
    *("default", "timeouts", "routes", "rates", "prices", "ledger", "telemetry", "registry"),
    *("on_progress", "callbacks", "http", "sleep", "clock", "now", "chance", "new_key"),
    *("fit", "storage"),
)
OPTIONS: Mapping[str, tuple[str, ...]] = {
    # The fields of a request are taken apart by one function; so in one method all of them.
    "generate": tuple(Call.__annotations__),
    "submit": ("route", "may_drop", "deadline", "key", "n"),
    "compare": ("live", *Rating.__annotations__, "images"),
    "compare_all": tuple(Rating.__annotations__),
    "explain": ("color_palette",),
    "estimate": ("size",),
}


def calls(folder: Path) -> Iterator[tuple[str, Usual, str]]:
    """Every call of the wall: the method, its arguments, and which of them is wrong."""
    for method, (given, named) in usual(folder).items():
        for stone in wall():
            for number in range(len(given)):
                wrong = (*given[:number], stone, *given[number + 1 :])
                yield method, (wrong, named), f"argument {number}"
            for name in dict.fromkeys((*named, *OPTIONS.get(method, ()))):
                rest = {} if name == "route" else named
                yield method, (given, {**rest, name: stone}), name


def public(kind: BridgeClass) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


@both
def test_every_public_method_stands_before_the_wall(kind: BridgeClass, tmp_path: Path) -> None:
    """One that is added is added here too; the clients have the same."""
    assert public(kind) == {*usual(tmp_path), *NOTHING_TO_SAY}
    assert set(Comparing.__annotations__) >= {"live", *Rating.__annotations__}


def complaint(method: str, exc: BaseException) -> str | None:
    """What is wrong with an error that leaves a method; None if nothing is."""
    if not re.fullmatch(r"[^\x00-\x1f\x7f]{1,20000}", str(exc)):
        return "is not one line"
    if isinstance(exc, WanbridgeError):
        return None
    if method in WRITES and isinstance(exc, OSError):
        return None
    if type(exc) is TypeError and re.search(r" is .*; it must be |^metadata=|, not both", str(exc)):
        return None
    return "is not ours"


def at_once(kind: BridgeClass, clock: SharedClock) -> dict[str, Any]:
    """Options of a client that sleeps without waiting."""
    return {"clock": clock, "sleep": clock.sleep if kind is Client else clock.sleep_async}


async def trouble(
    bridge: Client | AsyncClient, method: str, how: Usual
) -> tuple[BaseException | None, str | None]:
    """How a call ends, and what is wrong with that."""
    try:
        made = await as_awaited(getattr(bridge, method)(*how[0], **how[1]))
        if isinstance(made, CLASSES):
            await as_awaited(made.close())
    except Exception as exc:
        return exc, complaint(method, exc)
    return None, None


async def as_awaited(value: object) -> object:
    return await value if isinstance(value, Awaitable) else value


@both
def test_wrong_arguments_end_in_our_errors(
    kind: BridgeClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing leaks, and nothing that is refused was sent."""
    monkeypatch.chdir(tmp_path)  # some of the wall are good names of a file
    clock = SharedClock()
    sandbox = Sandbox(latency=0, clock=clock)
    bridge = kind.sandbox(sandbox, **at_once(kind, clock))

    async def run() -> list[str]:
        found = []
        for method, how, name in calls(tmp_path):
            before = len(sandbox.ledger()["posts"])
            exc, wrong = await trouble(bridge, method, how)
            if wrong is not None:
                found.append(f"{method}: {name}: {type(exc).__name__} {wrong}: {str(exc)[:200]}")
            sent = len(sandbox.ledger()["posts"]) > before
            if sent and not (exc is None or isinstance(exc, CallFailed)):
                found.append(f"{method}: {name}: sent, and then {exc!r}")
        return found

    assert [] == asyncio.run(run())


@both
@pytest.mark.parametrize("name", CONSTRUCTOR)
def test_a_client_is_not_made_of_anything(kind: BridgeClass, name: str) -> None:
    """Said at once, where the mistake is; not by the first call that needs it."""
    adapter, found = Registry().build("reapi", api_key="k"), list[str | None]()
    for stone in wall():
        option: dict[str, Any] = {name: stone}
        try:
            kind([adapter], **option)
        except Exception as exc:
            found.append(complaint("__init__", exc))

    assert len(found) > 10
    assert {None} == set(found)


@both
@pytest.mark.parametrize("adapters", ["reapi", {"reapi": {}}, [5], 7, [None]])
def test_a_client_is_made_of_adapters(kind: BridgeClass, adapters: Any) -> None:
    """A name or a configuration is given to `from_config`."""
    with pytest.raises(TypeError, match=r"^adapters.* is .*; it must be "):
        kind(adapters)


@both
def test_a_closed_client_says_so(kind: BridgeClass, tmp_path: Path) -> None:
    """Each method that would send something; what sends nothing goes on."""
    job, _, result = known()
    nowhere = "http://127.0.0.1:9/v1"
    job, picture = evolve(job, base_url=nowhere), Image(url=f"{nowhere}/kite.png")
    methods: dict[str, tuple[Any, ...]] = {
        "generate": (KITE,),
        "submit": (KITE,),
        "look": (job,),
        "wait": (job,),
        "balance": (),
        "download": (PICTURE,),  # over a connection of its own, as of any public host
        "save": (picture, tmp_path / "kite"),
        "save_all": (evolve(result, images=(picture,)), tmp_path),
        "measure": (evolve(KITE, images=(InputImage(picture.url),)),),
    }

    async def run() -> dict[str, str]:
        adapter = Registry().build("reapi", api_key="k", base_url=nowhere)
        bridge = kind([adapter], timeouts=Timeouts(connect_timeout=0.1, deadline=0.2))
        await as_awaited(bridge.close())
        found = {}
        for method, given in methods.items():
            exc, _ = await trouble(bridge, method, (given, {}))
            if type(exc) is not ConfigurationError or "this client is closed" != str(exc):
                found[method] = repr(exc)
        assert isinstance(await as_awaited(bridge.explain(KITE)), dict)
        assert isinstance(await as_awaited(bridge.compare(KITE)), list)
        return found

    assert {} == asyncio.run(run())
    assert [] == list(tmp_path.iterdir())


@both
def test_a_handle_of_another_host_is_refused(kind: BridgeClass) -> None:
    """The key must not go to a host that only a file names."""
    job, receipt, _ = known()
    elsewhere = evolve(job, base_url="https://evil.example/v1")
    lost = evolve(receipt, base_url="https://evil.example/v1")
    bridge = kind.sandbox(Sandbox(latency=0))

    async def run() -> list[BaseException | None]:
        methods = ("look", "wait", "cancel", "refresh")
        ends = [await trouble(bridge, method, ((elsewhere,), {})) for method in methods]
        ends.append(await trouble(bridge, "reconcile", ((lost,), {})))
        ends.append(await trouble(bridge, "adopt", ((lost, "t-1"), {})))
        return [exc for exc, _ in ends]

    for exc in asyncio.run(run()):
        assert isinstance(exc, ConfigurationError)
        assert "no reapi account is configured for evil.example" in str(exc)


# -- replies -----------------------------------------------------------------------------


@frozen
class Broken:
    """A reply that no provider documents."""

    name: str
    body: bytes = field(default=b"{}", repr=False)
    status: int = 200
    headers: Mapping[str, str] = {}
    breaks: bool = False


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


_WORDS = b'{"code": "E\\n1", "message": "see https://u:pw@x.example/a?sig=beef\\nand\\u0000more",'
REPLIES = (
    Broken("empty", b""),
    Broken("no JSON", b"<html>\n<h1>Hello</h1>"),
    Broken("half", b'{"data": {"taskId": "t'),
    Broken("null", b"null"),
    Broken("number", b"5"),
    Broken("list", b"[null, 5, {}]"),
    Broken("object"),
    Broken("wrong types", b'{"code": 200, "data": [[]], "id": 7, "output": "x", "job_id": {}}'),
    Broken("nothing in it", b'{"code": 0, "data": null, "output": null, "errors": null}'),
    Broken("deep", nested(200_000)),
    Broken("not UTF-8", b'{"id": "\xff\xfe"}'),
    Broken("huge number", b'{"data": ' + b"9" * 5000 + b"}"),
    Broken("NaN", b'{"cost": NaN, "data": [{"cost": NaN}]}'),
    Broken("compressed twice", b"{}", headers={"content-encoding": "gzip, br"}),
    Broken("not compressed", b"{}", headers={"content-encoding": "gzip"}),
    Broken("redirect", b"", 302, {"location": "https://evil.example/"}),
    Broken("words", _WORDS + b' "request_id": "r"}', 400),
    Broken("error list", b'{"errors": [{"code": null, "message": ["\\n"]}]}', 400),
    Broken("forbidden page", b"<html>edge</html>", 403),
    Broken("gone", b'{"message": 5}', 404),
    Broken("busy", b"{}", 429, {"retry-after": "nan"}),
    Broken("busy for long", b"{}", 429, {"retry-after": "9" * 400}),
    Broken("down", b"\x00\x01", 503, {"retry-after": "soon"}),
    Broken("no status that exists", b"{}", 799),
    Broken("breaks in the body", breaks=True),
)
RAISED = (
    httpx.ConnectError("no route to https://u:pw@x.example/?sig=beef"),
    httpx.ReadError("broke"),
    httpx.RemoteProtocolError("Server disconnected"),
    RuntimeError("a transport's own bug\nwith lines"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    OSError(5, "Input/output error"),
)
Answer = Broken | Exception


def replying(answer: Answer, message: httpx.Request) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    # As a stream: a body that is given whole is decoded while the reply is made.
    body = Breaking() if answer.breaks else httpx.ByteStream(answer.body)
    return httpx.Response(answer.status, headers=dict(answer.headers), stream=body)


class Breaking(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in the middle of which a transport of the caller's fails in its own way."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"data":'
        raise RuntimeError("a bug\nin a stream")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def conversations(at: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Usual]]:
    """Every call that hears a reply, at one account."""
    job, receipt, result = known()
    picture = Image(url=f"{at['base_url']}/kite.png?Signature=beef")
    yield from (("generate", ((KITE,), {})), ("submit", ((KITE,), {})))
    for method in ("look", "wait", "cancel", "refresh"):
        yield method, ((evolve(job, **at),), {})
    yield "reconcile", ((evolve(receipt, **at),), {})
    yield from (("balance", ((), {})), ("models", ((), {})), ("estimate", ((KITE,), {})))
    yield "compare", ((KITE,), {"live": True})
    yield "measure", ((evolve(KITE, images=(InputImage(picture.url),)),), {})
    yield "download", ((picture,), {})
    yield "save", ((picture, folder / "kite"), {})
    yield "save_all", ((evolve(result, images=(picture, picture)), folder), {})


def lost(method: str, exc: BaseException | None) -> str | None:
    """What is missing on a failure of a call that buys; None if nothing is."""
    if method not in ("generate", "submit"):
        return None
    if not isinstance(exc, CallFailed):
        return "says nothing of the charge"
    free = exc.charge is Charge.NO
    return None if free or handle(exc) is not None else "leaves nothing to go on with"


@both
@pytest.mark.parametrize("provider", BUILTIN)
def test_broken_replies_end_in_our_errors(kind: BridgeClass, provider: str, tmp_path: Path) -> None:
    """To every message of every method, at every provider; and what may be bought is not lost."""
    adapter = Registry().build(provider, api_key="sk-a-secret-key")
    at = {"provider": provider, "account": provider, "base_url": adapter.base_url}
    found = list[str]()

    async def run(answer: Answer) -> None:
        http: Any = httpx.Client if kind is Client else httpx.AsyncClient
        bridge = kind(
            [adapter],
            http=http(transport=httpx.MockTransport(partial(replying, answer))),
            timeouts=Timeouts(deadline=4.0),
            **at_once(kind, SharedClock()),
        )
        for method, how in conversations(at, tmp_path):
            exc, wrong = await trouble(bridge, method, how)
            wrong = wrong or lost(method, exc)
            if re.search("beef|u:pw|sk-a-secret", str(exc)):
                wrong = "shows a secret"
            if wrong is not None:
                found.append(f"{answer}: {method}: {type(exc).__name__} {wrong}: {exc}")
        await as_awaited(bridge.close())

    async def all_of_them() -> None:
        for answer in (*REPLIES, *RAISED):
            await run(answer)

    asyncio.run(all_of_them())

    assert [] == found
    assert [] == list(tmp_path.iterdir())
