"""A local picture at every provider, by way of an object store; and results kept in one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import failover
import pytest
import staging
from attrs import evolve
from PIL import Image as Drawn
from s3_server import CREDENTIALS, S3Server, answering, credentials, down, fetched, silent

from wanbridge import AsyncClient, Client
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.client.base import sandboxed
from wanbridge.engine.events import Accepted, Event, Submitting
from wanbridge.errors import (
    AllProvidersFailed,
    Charge,
    ConfigurationError,
    StorageFailed,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.routing.route import Route
from wanbridge.sandbox import Sandbox
from wanbridge.sandbox.transport import SandboxTransport
from wanbridge.transport.library import httpx

PROVIDERS = tuple(BUILTIN)
LINKS_ONLY = ("empiriolabs", "reapi")
TAKES_DATA = tuple(sorted(set(PROVIDERS) - {*LINKS_ONLY}))

pytestmark = pytest.mark.usefixtures("any_rate")


@cache
def photo(colour: str = "teal") -> bytes:
    file = BytesIO()
    Drawn.new("RGB", (512, 384), colour).save(file, "PNG")
    return file.getvalue()


def key_of(data: bytes, prefix: str = "in") -> str:
    return f"{prefix}/{hashlib.sha256(data).hexdigest()}.png"


@cache
def request() -> ImageRequest:
    return ImageRequest("in the style of a woodcut", images=[InputImage.from_bytes(photo())])


class Wire(SandboxTransport):
    """The way to a sandbox; remembers the body of each POST, by path.

    Attributes:
        bodies: Text of each, in order, with the path it was sent to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.bodies: list[tuple[str, str]] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            body = request.content.decode("utf-8", "replace")
            self.bodies.append((request.url.path, body))
        return super()._answer(request)

    def links(self, provider: str) -> list[str]:
        """The signed links that *provider* was sent, in order."""
        found = []
        for path, body in self.bodies:
            if path.startswith(f"/{provider}/") and "X-Amz-Signature" in body:
                value = json.loads(body)
                found += value.get("image_urls") or value["image"]
        return found


class World:
    """A sandbox of all providers, and a client of either kind; Crun takes pictures too.

    Args:
        play: The kind.
    """

    def __init__(self, play: Any, clock: failover.Clock) -> None:
        self.play, self.clock = play, clock
        self.sandbox = Sandbox(clock=clock)
        self.wire = Wire(self.sandbox)

    def client(self, **options: Any) -> Any:
        _, adapters = sandboxed(self.sandbox, Registry(), {"crun": {"allow_unverified": True}})
        kind = self.play.kind
        http = (httpx.AsyncClient if kind is AsyncClient else httpx.Client)(transport=self.wire)
        clock: dict[str, Any] = {"clock": self.clock, "now": self.clock.now}
        clock["sleep"] = self._sleep if kind is AsyncClient else self.clock.sleep
        return kind(adapters, http=http, **{**clock, **options})

    async def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        await asyncio.sleep(0)

    def posts(self) -> list[str]:
        """Who was sent a submit, in order."""
        return [post["provider"] for post in self.sandbox.ledger()["posts"]]


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "awaiting"])
def play(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client's method called to its end, whichever client it is."""
    with asyncio.Runner() as runner:

        def call(bridge: Any, name: str, *given: Any, **named: Any) -> Any:
            made = getattr(bridge, name)(*given, **named)
            return runner.run(made) if asyncio.iscoroutine(made) else made

        call.kind = request.param  # type: ignore[attr-defined]
        yield call


@pytest.fixture
def world(play: Any) -> World:
    return World(play, failover.Clock())


# -- inputs --------------------------------------------------------------------------------


def test_a_local_picture_goes_to_all_seven(world: World, s3: S3Server) -> None:
    """One request with a photo; who takes only links is sent one that GETs the very bytes."""
    client = world.client(storage=s3.storage("in"))

    for provider in PROVIDERS:
        result = world.play(client, "generate", request(), provider=provider)

        assert (provider, 1) == (result.provider, len(result.images))
        notes = [note.detail for note in result.notes if "s3://pictures/in" in note.detail]
        assert (provider in LINKS_ONLY) == bool(notes), provider

    assert sorted(PROVIDERS) == sorted(world.posts())
    assert [key_of(photo())] == s3.keys()
    for provider in LINKS_ONLY:
        (link,) = world.wire.links(provider)
        assert (photo(), "image/png") == fetched(link)


def test_without_storage_who_takes_links_says_what_would_help(world: World) -> None:
    """Nothing is sent; the way out is named."""
    client = world.client()
    for provider in LINKS_ONLY:
        with pytest.raises(UnsupportedFeature, match=r"\[storage\] url, or storage=") as caught:
            world.play(client, "generate", request(), provider=provider)
        assert "images" == caught.value.field
    assert [] == world.posts()


def test_a_folder_is_no_help(world: World, tmp_path: Path) -> None:
    """A provider cannot read a folder of this machine, which is said before anything is sent."""
    client = world.client(storage=tmp_path.as_uri())
    for provider in LINKS_ONLY:
        with pytest.raises(UnsupportedFeature, match="has no links; s3, gs and az have"):
            world.play(client, "generate", request(), provider=provider)


def test_a_store_here_is_no_help_to_a_provider_there(s3: S3Server) -> None:
    """The real provider cannot follow a link to this machine; only a sandbox can."""
    adapters = [Registry().build("reapi", api_key="k")]
    with Client(adapters, storage=s3.storage("in")) as client:
        (told,) = client.explain(request()).values()

    assert not told.ok
    assert "on this machine, where the provider cannot read it" in str(told.problems[0])


def test_a_store_without_https_is_no_help_to_who_wants_it() -> None:
    """reAPI takes https links only (its page), EmpirioLabs http ones too."""
    from wanbridge.adapters.fitting import fit
    from wanbridge.adapters.staging import Staging

    plain = Staging(place="s3://pictures/in", scheme="http")
    fitted = {name: fit(Registry().build(name), request(), staging=plain) for name in LINKS_ONLY}

    assert () == fitted["empiriolabs"].problems
    assert "has http: links, not taken here; https" in str(fitted["reapi"].problems[0])


def test_a_picture_is_put_once_for_all_attempts(world: World, s3: S3Server) -> None:
    """Two accounts that need links, both failing at first: one PUT, and one link for both."""
    client = world.client(storage=s3.storage("in"))
    world.sandbox.fault("server_error", provider="empiriolabs", status=503)
    world.sandbox.fault("rate_limit", provider="empiriolabs", times=2, retry_after=0)
    world.sandbox.fault("no_credit", provider="empiriolabs", times=None)
    world.sandbox.fault("rate_limit", provider="reapi", times=1, retry_after=0)
    twice = evolve(request(), images=request().images * 2)
    route = Route(LINKS_ONLY, on_uncertain="pay_again")

    result = world.play(client, "generate", twice, route=route)

    assert "reapi" == result.provider
    assert len(world.posts()) > 2
    assert 1 == len(s3.puts("in/"))
    links = [link for provider in LINKS_ONLY for link in world.wire.links(provider)]
    assert 1 == len(set(links))
    reapi = [body for path, body in world.wire.bodies if path.startswith("/reapi/")]
    assert 2 == len(reapi)
    assert reapi[0] == reapi[1]


def test_staging_adds_one_put_and_moves_nothing_twice(
    served_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark's count: the file is read once, and each picture fetched and stored once."""
    credentials(monkeypatch)

    rows = list(staging.measure(served_s3))

    assert len(staging.CALLS) == len(rows)
    for row in rows:
        assert row.lean, row


def test_a_link_outlives_the_deadline(world: World, s3: S3Server) -> None:
    """The provider reads the picture when the job's turn comes, which may be later."""
    client = world.client(storage=s3.storage("in"))

    world.play(client, "generate", request(), provider="reapi", deadline=1000.0)

    (link,) = world.wire.links("reapi")
    assert "X-Amz-Expires=4600&" in link


def test_pictures_that_are_links_already_stay_what_they_are(world: World, s3: S3Server) -> None:
    """Only what comes as bytes is staged, in its place among the others."""
    client = world.client(storage=s3.storage("in"))
    url = "https://assets.example.com/in/a.png"
    mixed = evolve(request(), images=[url, *request().images])

    world.play(client, "generate", mixed, provider="empiriolabs")

    first, second = world.wire.links("empiriolabs")
    assert url == first
    assert (photo(), "image/png") == fetched(second)


def test_what_is_stored_has_the_digest_and_no_link(
    world: World, s3: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A signed link is as good as a key while it lives: it is in no receipt, job, result or log."""
    events = list[Event]()
    client = world.client(storage=s3.storage("in"), on_progress=events.append)
    with caplog.at_level(logging.DEBUG, "wanbridge"):
        job = world.play(client, "submit", request(), provider="reapi")
        result = world.play(client, "wait", job)

    (receipt,) = [event.receipt for event in events if isinstance(event, Submitting)]
    (accepted,) = [event.job for event in events if isinstance(event, Accepted)]
    for kept in (receipt, accepted, result):
        text = kept.to_json() + repr(kept)
        assert "X-Amz" not in text
    assert receipt.request.images[0].is_digest
    assert job == Job.from_json(job.to_json())
    ((_, body),) = world.wire.bodies
    assert receipt.digest == hashlib.sha256(body.encode()).hexdigest()
    assert "Signature=" not in caplog.text.replace("Signature=***", "")
    assert any("s3://pictures/in" in note.detail for note in result.notes)


def test_who_compares_sees_it_as_possible(world: World, s3: S3Server) -> None:
    """Explained, quoted and ranked as what can be sent; nothing is stored for that."""
    client = world.client(storage=s3.storage("in"))

    told = client.explain(request())
    quotes = world.play(client, "compare", request())

    assert all(explanation.ok for explanation in told.values())
    for provider in LINKS_ONLY:
        report = told[provider].fields["images"]
        assert ("adapted", True) == (report.outcome, "staged in s3://pictures/in" in report.detail)
        assert b"https://<storage>/<sha256>?<signature>" in told[provider].http.body
    assert [None] * len(PROVIDERS) == [quote.refused for quote in quotes]
    assert [] == s3.requests


# -- a store that fails --------------------------------------------------------------------


@contextmanager
def _down() -> Iterator[str]:
    yield down()


FAILING: Mapping[str, tuple[Callable[[], Any], str]] = {
    "down": (_down, "cannot be reached"),
    "full": (lambda: answering(507, "StorageFull"), "HTTP 507"),
    "refusing": (lambda: answering(403, "InvalidAccessKeyId"), "refuses the key"),
    "slow": (silent, "no answer within"),
}
each_failure = pytest.mark.parametrize("failure", FAILING)


@contextmanager
def failing(failure: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    credentials(monkeypatch)
    with FAILING[failure][0]() as endpoint:
        yield {"url": "s3://pictures/in", "endpoint": endpoint}


@each_failure
def test_nothing_is_bought_when_a_picture_cannot_be_staged(
    world: World, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what the store did, that it cost nothing, and that another may help."""
    with failing(failure, monkeypatch) as storage:
        client = world.client(storage=storage)
        # Real seconds, unlike those of this clock: only a silent store takes them all.
        deadline = 0.4 if failure == "slow" else 60.0
        with pytest.raises(StorageFailed, match=FAILING[failure][1]) as caught:
            world.play(client, "generate", request(), provider="reapi", deadline=deadline)

    error = caught.value
    assert ("reapi", Charge.NO, True) == (error.provider, error.charge, error.elsewhere)
    assert str(error).startswith("reapi: images[0]: s3://pictures/in: ")
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in repr(error)
    assert [("StorageFailed", Charge.NO)] == [(a.outcome, a.charge) for a in error.attempts]
    assert (None, None) == (error.job, error.receipt)
    assert [] == world.posts()


def test_who_takes_the_bytes_helps_when_the_store_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked once, not by each account; and no account is blamed for it."""
    credentials(monkeypatch)
    asked = list[str]()
    with answering(403, "InvalidAccessKeyId", seen=asked) as endpoint:
        client = world.client(storage={"url": "s3://pictures/in", "endpoint": endpoint})
        route = Route((*LINKS_ONLY, "runware"))
        for _ in range(4):
            result = world.play(client, "generate", request(), route=route)
            tried = [(a.provider, a.outcome, a.charge) for a in result.attempts]
            assert [
                ("empiriolabs", "StorageFailed", Charge.NO),
                ("reapi", "StorageFailed", Charge.NO),
                ("runware", "delivered", Charge.YES),
            ] == tried

    assert ["runware"] * 4 == world.posts()
    assert 4 == len(asked)


def test_a_hedged_call_does_not_wait_for_a_slow_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent to the first provider by then, so the next one is asked."""
    with failing("slow", monkeypatch) as storage:
        client = world.client(storage=storage)
        route = Route(("reapi", "runware"), hedge_after=0.25)
        result = world.play(client, "generate", request(), route=route)

    first, last = result.attempts
    assert ("reapi", "StorageFailed") == (first.provider, first.outcome)
    assert "no answer within 0.25 s" in first.detail
    assert ("runware", "delivered") == (last.provider, last.outcome)


def test_a_route_of_links_only_names_each_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All failed, nothing was bought."""
    with failing("refusing", monkeypatch) as storage:
        client = world.client(storage=storage)
        with pytest.raises(AllProvidersFailed) as caught:
            world.play(client, "generate", request(), route=Route(LINKS_ONLY))

    assert {"StorageFailed"} == {type(e).__name__ for e in caught.value.exceptions}
    assert [] == world.posts()


def test_a_slow_store_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the async client another call goes on, and a cancellation ends the wait at once."""

    async def main() -> None:
        world = World(_Kind, failover.Clock())
        with failing("slow", monkeypatch) as storage:
            async with world.client(storage=storage) as client:
                first = asyncio.create_task(client.generate(request(), provider="reapi"))
                result = await client.generate(request(), provider="runware")
                assert ("runware", False) == (result.provider, first.done())
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
        assert ["runware"] == world.posts()

    asyncio.run(main())


class _Kind:
    kind = AsyncClient


# -- results -------------------------------------------------------------------------------


@pytest.fixture
def bought(world: World) -> ImageResult:
    result: ImageResult = world.play(
        world.client(), "generate", "a red kite", n=2, provider="runware"
    )
    return result


def test_a_result_is_kept_in_a_store(
    world: World, bought: ImageResult, s3: S3Server, tmp_path: Path
) -> None:
    """Named by its content, at an address that lasts; what is there is not replaced.

    It is the very file that would be in a folder, with or without where it comes from.
    """
    client = world.client(storage=s3.storage("in"))
    file = world.play(client, "save", bought.images[0], tmp_path / "kite")
    plain = world.play(client, "download", bought.images[0]).data

    address = world.play(client, "save", bought.images[0], "s3://pictures/out/kite")
    bare = "s3://pictures/out/bare"
    world.play(client, "save", bought.images[0], bare, metadata=False)

    assert "s3://pictures/out/kite.png" == address
    assert file.read_bytes() == s3.data("out/kite.png") != plain == s3.data("out/bare.png")
    assert (file.read_bytes(), "image/png") == fetched(client.storage.link(address, 60))
    with pytest.raises(FileExistsError):
        world.play(client, "save", bought.images[1], "s3://pictures/out/kite.jpg")
    again = world.play(client, "save", bought.images[1], "s3://pictures/out/kite.png", force=True)
    assert again == address
    assert file.read_bytes() != s3.data("out/kite.png")


def test_all_of_a_result_is_kept_in_a_store(
    world: World, bought: ImageResult, s3: S3Server
) -> None:
    """As in a folder: a name that is taken is passed over. A bucket of its own is no matter."""
    client = world.client(storage={"url": "s3://elsewhere/in", "endpoint": s3.endpoint})

    first = world.play(client, "save_all", bought, "s3://pictures/out")
    second = world.play(client, "save_all", bought, "s3://pictures/out/")

    stem = f"s3://pictures/out/runware-{bought.job_id[:8] if bought.job_id else ''}"
    assert [f"{stem}-{n}.png" for n in (1, 2)] == first
    assert [f"{stem}-{n}.png" for n in (3, 4)] == second
    assert 4 == len(s3.keys("out/"))


def test_a_result_is_kept_in_a_folder_by_its_url(
    world: World, bought: ImageResult, tmp_path: Path
) -> None:
    """The same files as in a folder, which is made; the address is a URL."""
    client, folder = world.client(), tmp_path / "not yet ü"

    one = world.play(client, "save", bought.images[0], f"{folder.as_uri()}/kite")
    both = world.play(client, "save_all", bought, folder.as_uri())

    assert (folder / "kite.png").as_uri() == one
    assert sorted(path.as_uri() for path in folder.iterdir()) == sorted([one, *both])
    with pytest.raises(FileExistsError):
        world.play(client, "save", bought.images[0], one)


@each_failure
def test_a_picture_that_cannot_be_kept_is_paid_and_here(
    world: World, bought: ImageResult, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says so, and the result has the links: it may be saved anywhere else."""
    with failing(failure, monkeypatch) as storage:
        deadline = 0.3 if failure == "slow" else 60.0
        timeouts = evolve(world.client().timeouts, deadline=deadline)
        client = world.client(storage=storage, timeouts=timeouts)
        with pytest.raises(StorageFailed, match=FAILING[failure][1]) as caught:
            world.play(client, "save", bought.images[0], "s3://pictures/out/kite")

    assert Charge.YES is caught.value.charge
    assert 2 == len(world.play(client, "save_all", bought, tmp_path))


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        ("s3://pictures/out/", IsADirectoryError, "A folder, not the name of an object"),
        ("s3://pictures", IsADirectoryError, "A folder, not the name of an object"),
        ("https://cdn.example.com/kite", ConfigurationError, "https:// is no object store"),
    ],
)
def test_a_place_that_is_none(
    world: World, bought: ImageResult, place: str, error: type[Exception], said: str
) -> None:
    """Found before the store is asked."""
    with pytest.raises(error, match=said):
        world.play(world.client(), "save", bought.images[0], place)


# -- settings ------------------------------------------------------------------------------


def test_the_store_stands_in_the_configuration(s3: S3Server) -> None:
    """One table; unknown settings are errors with the nearest name, and no value is shown."""
    providers = {"reapi": {"api_key": "k", "base_url": "http://127.0.0.1:9/reapi/api/v1"}}
    with Client.from_config({"providers": providers, "storage": s3.storage("in")}) as client:
        assert client.storage is not None
        assert "s3://pictures/in" == client.storage.url
        assert client.explain(request())["reapi"].ok
    with Client.from_config({"providers": providers}) as client:
        assert client.storage is None

    for wrong, said in (
        ({"url": "s3://b", "endpont": "x"}, r"\$\.storage.*endpont.*endpoint"),
        ({"region": "x"}, r"\$\.storage.*url"),
        ({"url": "s3://k:s3cret@b"}, r"\$\.storage\.url: this value is not a URL like s3://"),
        ({"url": "s3://b", "endpoint": "http://x.example.com"}, r"\$\.storage\.endpoint"),
    ):
        with pytest.raises(ConfigurationError, match=said) as caught:
            Client.from_config({"providers": providers, "storage": wrong})
        assert "s3cret" not in str(caught.value)
