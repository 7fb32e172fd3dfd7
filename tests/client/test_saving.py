"""From a provider's link to the disk: what is paid for stays listed until it is there.

Over real sockets, with both clients.
"""

from __future__ import annotations

import asyncio
import errno
import http.server
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from PIL import Image as Pillow

from example_provider import NOON, Halide
from wanbridge import AsyncClient, Client
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.client.base import sandboxed
from wanbridge.engine.context import Timeouts
from wanbridge.errors import Charge, ConfigurationError, DownloadFailed
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.sqlite import SqliteLedger
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.model.source import Source
from wanbridge.pictures import metadata
from wanbridge.pictures.headers import data_uri
from wanbridge.routing.route import Route
from wanbridge.sandbox import Sandbox, running
from wanbridge.storage.filenames import stem_of

QUICK = Timeouts(poll_interval=PollInterval(first=0.02, factor=1.5, most=0.1))
KITE = ImageRequest("a red kite over dunes", size="1K")
PROVIDERS = sorted(BUILTIN)
# As much as tells what it is.
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08" + bytes(24)


pytestmark = pytest.mark.usefixtures("any_rate")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on a loopback socket."""
    with running(Sandbox(latency=0.05)) as served:
        yield served


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "awaiting"])
def play(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client's method called to its end, whichever client it is."""
    with asyncio.Runner() as runner:

        def call(bridge: Any, name: str, *given: Any, **named: Any) -> Any:
            made = getattr(bridge, name)(*given, **named)
            return runner.run(made) if asyncio.iscoroutine(made) else made

        call.kind = request.param  # type: ignore[attr-defined]
        yield call


def opened(play: Any, sandbox: Sandbox, **options: Any) -> Any:
    return play.kind(sandboxed(sandbox, Registry())[1], timeouts=QUICK, **options)


def posts(sandbox: Sandbox) -> int:
    return len(sandbox.ledger()["posts"])


# What each charges in, where it is not dollars.
CURRENCIES = {"crun": "CRUN-CREDITS", "gccai": "CNY", "kie": "KIE-CREDITS"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_bought_is_listed_until_it_is_saved(
    sandbox: Sandbox, provider: str, play: Any, tmp_path: Path
) -> None:
    """Money is settled with the result; the links stay until the files are there."""
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as ledger:
        bridge = opened(play, sandbox, ledger=ledger)
        limit = Money("1000", CURRENCIES.get(provider, "USD"))
        route = Route((provider,), budget=limit, name="kites", assume_cost=limit)
        result = play(bridge, "generate", KITE, n=2, route=route)

        (hold,) = ledger.open()
        assert ("delivered", provider, 2) == (hold.state, hold.account, len(hold.images))
        assert result.images == hold.images
        assert (result.job_id, result.finished_at) == (
            getattr(hold.job, "id", None),
            hold.delivered_at,
        )
        assert result.cost is not None
        assert result.cost.amount == ledger.spent(f"kites/{limit.currency}/ever", "")
        for number, image in enumerate(result.images):
            assert len(result.images) - number == len(ledger.open()[0].images)
            play(bridge, "save", image, tmp_path / f"kite-{number}")

        assert () == ledger.open()
        play(bridge, "close")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_another_client_goes_on_from_the_ledger(
    sandbox: Sandbox, provider: str, play: Any, tmp_path: Path
) -> None:
    """By the links, and by the job where there is one; saved, nothing is left to do."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        first = opened(play, sandbox, ledger=ledger)
        result = play(first, "generate", KITE, n=2, provider=provider)
        play(first, "save", result.images[0], tmp_path / "kite-0")
        play(first, "close")

    with closing(SqliteLedger(path)) as ledger:
        second = opened(play, sandbox, ledger=ledger)
        (hold,) = ledger.open()
        assert [result.images[1].url] == [image.url for image in hold.images]
        assert hold.job is not None
        again = play(second, "wait", hold.job)
        assert 2 == len(again.images)
        (hold,) = ledger.open()
        assert [again.images[1].url] == [image.url for image in hold.images]
        saved = play(second, "save", hold.images[0], tmp_path / "kite-1")
        assert saved.read_bytes().startswith((b"\x89PNG", b"\xff\xd8"))
        assert () == ledger.open()
        play(second, "close")
    assert 1 == posts(sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures_that_were_brought_along_are_not_listed(
    sandbox: Sandbox, provider: str, play: Any
) -> None:
    """The caller has their bytes with the result."""
    ledger = MemoryLedger()
    bridge = opened(play, sandbox, ledger=ledger)

    result = play(bridge, "generate", KITE, inline=True, provider=provider)

    assert all(image.data for image in result.images)
    assert () == ledger.open()
    play(bridge, "close")


def test_a_picture_that_could_not_be_brought_along_is_listed(sandbox: Sandbox, play: Any) -> None:
    """With its link, which may work later."""
    ledger = MemoryLedger()
    sandbox.fault("dead_link")
    bridge = opened(play, sandbox, ledger=ledger)

    result = play(bridge, "generate", KITE, inline=True, provider="reapi")

    assert [result.images] == [hold.images for hold in ledger.open()]
    play(bridge, "close")


_KILLED_BEFORE_SAVING = """
import os, signal, sys
from wanbridge import Client
from wanbridge.adapters.registry import Registry
from wanbridge.ledger.sqlite import SqliteLedger

path, key, base_url = sys.argv[1:]
account = Registry().build("runware", api_key=key, base_url=base_url)
client = Client([account], ledger=SqliteLedger(path))
result = client.generate("a red kite", size="1K", n=2)
client.save(result.images[0], path.replace(".sqlite", ".png"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_a_process_that_is_killed_before_saving_loses_no_picture(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Paid, settled and not on the disk: the ledger still has the link."""
    path = tmp_path / "ledger.sqlite"
    words = [str(path), sandbox.api_key("runware"), sandbox.base_url("runware")]
    ran = subprocess.run(
        [sys.executable, "-c", _KILLED_BEFORE_SAVING, *words],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert -signal.SIGKILL == ran.returncode, ran.stderr.decode()

    with (
        closing(SqliteLedger(path)) as ledger,
        Client(sandboxed(sandbox, Registry())[1], ledger=ledger) as bridge,
    ):
        (hold,) = ledger.open()
        assert ("delivered", 1) == (hold.state, len(hold.images))
        bridge.save(hold.images[0], tmp_path / "second")
        assert () == ledger.open()

    assert 1 == posts(sandbox)
    assert {"ledger.png", "second.png"} == {p.name for p in tmp_path.glob("*.png")}


def test_a_file_that_was_not_written_leaves_the_picture_listed(
    sandbox: Sandbox, play: Any, tmp_path: Path
) -> None:
    """A dead link, a taken name: it is still to be saved."""
    ledger = MemoryLedger()
    (tmp_path / "taken.png").touch()
    bridge = opened(play, sandbox, ledger=ledger)
    result = play(bridge, "generate", KITE, provider="reapi")
    sandbox.fault("dead_link")
    dead = play(bridge, "generate", KITE, provider="reapi")

    with pytest.raises(FileExistsError):
        play(bridge, "save", result.images[0], tmp_path / "taken.png")
    with pytest.raises(DownloadFailed):
        play(bridge, "save", dead.images[0], tmp_path / "dead.png")
    play(bridge, "download", result.images[0])

    assert [result.images, dead.images] == [hold.images for hold in ledger.open()]
    ledger.done(result)
    assert [dead.images] == [hold.images for hold in ledger.open()]
    play(bridge, "close")


def test_a_ledger_that_fails_after_saving_costs_no_file(
    sandbox: Sandbox, play: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The picture is there; that it stays listed is only logged."""

    class Full(MemoryLedger):
        def saved(self, url: str) -> None:
            raise ConfigurationError("ledger: the disk is full")

    bridge = opened(play, sandbox, ledger=Full())
    result = play(bridge, "generate", KITE, provider="reapi")

    path = play(bridge, "save", result.images[0], tmp_path / "kite")

    assert path.is_file()
    assert "could not note a saved picture" in caplog.text
    play(bridge, "close")


@pytest.mark.parametrize(
    ("image", "brought"),
    [
        pytest.param(Image(url=data_uri(PNG, "image/png")), None, id="data: URI"),
        pytest.param(Image(url="http://127.0.0.1:9/1.png"), PNG, id="downloaded before"),
    ],
)
def test_what_need_not_be_fetched_is_recognised_too(
    play: Any, tmp_path: Path, image: Image, brought: bytes | None
) -> None:
    """Though the ledger keeps no bytes, and though the link may have ended meanwhile."""
    ledger = MemoryLedger()
    hold = ledger.reserve(key="k", account="halide", at=NOON, shares=[])
    assert isinstance(hold, str)
    ledger.settle(hold, {}, images=[image], at=NOON)
    bridge = play.kind([Halide(api_key="k")], ledger=ledger)

    saved = play(bridge, "save", evolve(image, data=brought), tmp_path / "kite")

    assert PNG == saved.read_bytes()
    assert () == ledger.open()
    play(bridge, "close")


# Where a saved picture comes from


def made(path: Path) -> dict[str, Any]:
    """What a file says of where it comes from."""
    with path.open("rb") as file:
        found = metadata.report(file)
    assert found is not None
    return dict(found.made)


def pixels(path: Path) -> bytes:
    with Pillow.open(path) as picture:
        return picture.tobytes()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_saved_picture_says_where_it_comes_from(
    sandbox: Sandbox, provider: str, play: Any, tmp_path: Path
) -> None:
    """Single or with all, brought along or fetched; the prompt is private until it is asked for."""
    bridge = opened(play, sandbox)
    result = play(bridge, "generate", KITE, provider=provider, key="order-7")
    brought = play(bridge, "generate", KITE, provider=provider, key="order-8", inline=True)
    expected = {
        "model": "wan2.7-image",
        "provider": provider,
        "key": "order-7",
        "date": result.finished_at.isoformat(timespec="seconds"),
    }
    if result.job_id is not None:
        expected["job_id"] = result.job_id
    if result.images[0].seed is not None:
        expected["seed"] = result.images[0].seed

    (all_of_it,) = play(bridge, "save_all", result, tmp_path)
    single = play(bridge, "save", result.images[0], tmp_path / "a", metadata="prompt")
    here = play(bridge, "save", brought.images[0], tmp_path / "b", metadata="prompt")
    bare = play(bridge, "save", result.images[0], tmp_path / "c", metadata=False)

    assert expected == made(all_of_it)
    assert {**expected, "prompt": KITE.prompt} == made(single)
    assert ("order-8", KITE.prompt) == (made(here)["key"], made(here)["prompt"])
    assert {} == made(bare)
    assert pixels(bare) == pixels(single) == pixels(all_of_it)
    play(bridge, "close")


def test_a_picture_that_is_found_again_says_where_it_comes_from(
    sandbox: Sandbox, play: Any, tmp_path: Path
) -> None:
    """By a stored result, without the key; by a job, a poll, a new link or a ledger, with it."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        bridge = opened(play, sandbox, ledger=ledger)
        job = play(bridge, "submit", KITE, provider="kie", key="order-7")
        result = play(bridge, "wait", job)
        stored = ImageResult.from_json(result.to_json())
        step = play(bridge, "look", job)
        (fresh,) = play(bridge, "refresh", job)
        (hold,) = ledger.open()
        images = [stored.images[0], result.images[0], step.delivery.images[0], fresh]

        files = [
            play(bridge, "save", image, tmp_path / f"kite-{n}")
            for n, image in enumerate([*images, hold.images[0]])
        ]

        assert result.to_json() == stored.to_json()
        assert [None] + ["order-7"] * 4 == [made(file).get("key") for file in files]
        assert {job.id} == {made(file)["job_id"] for file in files}
        assert {("wan2.7-image", "kie")} == {
            (made(file)["model"], made(file)["provider"]) for file in files
        }
        play(bridge, "close")


def test_where_it_comes_from_makes_no_other_picture() -> None:
    """Two pictures are the same by what they are; so a set, or a ledger, finds them again."""
    one = Image(url="https://x.example/1.png")
    other = evolve(one, source=Source(provider="halide", model="wan2.7-image"))

    assert one == other
    assert {one} == {other}
    assert repr(one) == repr(other)


def test_what_is_asked_of_metadata_is_checked_first(play: Any, tmp_path: Path) -> None:
    """Nothing is fetched for a word that means nothing."""
    bridge = play.kind([Halide(api_key="k")])

    with pytest.raises(TypeError, match="metadata='all': True, False, or"):
        play(bridge, "save", Image(url="https://x.example"), tmp_path / "a", metadata="all")

    play(bridge, "close")


def test_a_picture_of_nobody_is_saved_as_it_is(play: Any, tmp_path: Path) -> None:
    """Without a result there is nothing to say."""
    bridge = play.kind([Halide(api_key="k")])

    assert PNG == play(bridge, "save", Image(data=PNG), tmp_path / "a").read_bytes()

    play(bridge, "close")


def test_metadata_that_cannot_be_written_costs_no_picture(
    sandbox: Sandbox,
    play: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The disk has room for the picture and not for its copy: it is saved as delivered."""
    bridge = opened(play, sandbox)
    result = play(bridge, "generate", KITE, provider="reapi")
    delivered = play(bridge, "download", result.images[0]).data

    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("wanbridge.storage.files.edited", full)
    saved = play(bridge, "save", result.images[0], tmp_path / "kite")

    assert delivered == saved.read_bytes()
    assert "saved as delivered" in caplog.text
    assert [saved] == list(tmp_path.iterdir())
    play(bridge, "close")


# What is no picture


@pytest.fixture
def served() -> Iterator[Callable[[bytes], str]]:
    """Links to bytes on a loopback socket, of which *opened* clients may fetch."""
    bodies: list[bytes] = []
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = bodies[int(self.path.rpartition("/")[2].partition("?")[0])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()

        def serve(body: bytes) -> str:
            bodies.append(body)
            return f"http://127.0.0.1:{server.server_port}/{len(bodies) - 1}?signature=s3cret"

        yield serve
        server.shutdown()
    assert len(asked) <= 2 * len(bodies), "what is no picture is not asked for again"


HTML = b"<!doctype html><title>Gone</title><p>This picture is not here any more."


def bomb(form: str, side: int = 16_000) -> bytes:
    """A small picture whose header claims to be large."""
    Pillow.new("RGB", (8, 8)).save(buffer := BytesIO(), form)
    data = bytearray(buffer.getvalue())
    if form == "PNG":
        data[16:24] = struct.pack(">II", side, side)
    elif form == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", side, side)
    else:
        data[26:30] = struct.pack("<HH", side, side)
    return bytes(data)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(HTML, "not a picture: it begins with b'<!doctype html>", id="HTML"),
        pytest.param(b"", "not a picture: it is empty", id="nothing"),
        pytest.param(bomb("PNG"), "it claims 16000 x 16000 pixels, more than its", id="PNG"),
        pytest.param(bomb("JPEG"), "it claims 16000 x 16000 pixels, more than its", id="JPEG"),
        pytest.param(bomb("WEBP"), "it claims 16000 x 16000 pixels, more than its", id="WEBP"),
    ],
)
def test_what_is_no_picture_is_not_saved_and_its_link_is_kept(
    play: Any, served: Callable[[bytes], str], tmp_path: Path, body: bytes, why: str
) -> None:
    """The picture is paid for, so that the error has it; the signature of its link is not shown."""
    url = served(body)
    bridge = play.kind([Halide(api_key="k", base_url=url.rpartition("/")[0])])

    with pytest.raises(DownloadFailed) as saving:
        play(bridge, "save", Image(url=url), tmp_path / "kite")
    with pytest.raises(DownloadFailed) as loading:
        play(bridge, "download", Image(url=url))

    for caught in (saving.value, loading.value):
        assert (Charge.YES, url) == (caught.charge, caught.image.url if caught.image else None)
        assert url.partition("?")[0] in str(caught)
        assert "s3cret" not in str(caught)
    assert why in str(saving.value)
    if "claims" in why:
        assert why in str(loading.value)
    assert [] == list(tmp_path.iterdir())
    play(bridge, "close")


def test_bytes_that_are_here_are_judged_as_well(play: Any, tmp_path: Path) -> None:
    """However they came."""
    bridge = play.kind([Halide(api_key="k")])

    for image in (Image(data=bomb("PNG")), Image(url=data_uri(bomb("PNG"), "image/png"))):
        with pytest.raises(DownloadFailed, match="claims 16000 x 16000 pixels"):
            play(bridge, "save", image, tmp_path / "kite")
    with pytest.raises(ValueError, match="claims 16000 x 16000 pixels"):
        Image(data=bomb("PNG")).save(tmp_path / "kite")

    assert [] == list(tmp_path.iterdir())
    play(bridge, "close")


def test_refreshed_links_are_what_is_listed(sandbox: Sandbox, play: Any, tmp_path: Path) -> None:
    """A picture that is saved by its new link leaves the list."""
    ledger = MemoryLedger()
    bridge = opened(play, sandbox, ledger=ledger)
    result = play(bridge, "generate", KITE, provider="kie")
    (hold,) = ledger.open()

    (fresh,) = play(bridge, "refresh", hold.job)

    assert fresh.url != result.images[0].url
    assert [(fresh,)] == [one.images for one in ledger.open()]
    play(bridge, "save", fresh, tmp_path / "kite")
    assert () == ledger.open()
    play(bridge, "close")


# All pictures of a result


def names(paths: Iterable[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_all_pictures_are_saved_under_the_jobs_name(
    sandbox: Sandbox, play: Any, tmp_path: Path
) -> None:
    """In the provider's order; called again, the next numbers are taken."""
    ledger = MemoryLedger()
    bridge = opened(play, sandbox, ledger=ledger)
    result = play(bridge, "generate", KITE, n=2, provider="reapi")
    stem = stem_of("reapi", str(result.job_id))

    first = play(bridge, "save_all", result, str(tmp_path))
    assert () == ledger.open()
    fetched = [play(bridge, "download", image).data for image in result.images]
    second = play(bridge, "save_all", result, tmp_path, metadata=False)
    forced = play(bridge, "save_all", result, tmp_path, force=True)

    assert [tmp_path / f"{stem}-{n}.png" for n in (1, 2)] == first == forced
    assert [tmp_path / f"{stem}-{n}.png" for n in (3, 4)] == second
    assert fetched == [path.read_bytes() for path in second]
    assert [pixels(path) for path in second] == [pixels(path) for path in first]
    assert names([*first, *second]) == names(tmp_path.iterdir())
    play(bridge, "close")


def test_what_cannot_be_saved_does_not_keep_the_others(
    sandbox: Sandbox, play: Any, tmp_path: Path
) -> None:
    """The first failure is raised when all that can be are on the disk; the rest stays listed."""
    ledger = MemoryLedger()
    bridge = opened(play, sandbox, ledger=ledger)
    result = play(bridge, "generate", KITE, n=3, provider="reapi")
    gone = [evolve(image, url=f"{image.url}-gone") for image in result.images]
    broken = evolve(result, images=(gone[0], result.images[1], gone[2]))

    with pytest.raises(DownloadFailed) as caught:
        play(bridge, "save_all", broken, tmp_path)

    assert gone[0] == caught.value.image
    assert [
        ("images[0] is not saved", str(caught.value)),
        ("images[1] is saved", str(next(tmp_path.iterdir()))),
        ("images[2] is not saved", str(caught.value).replace("0.png", "2.png")),
    ] == [tuple(line.split(": ", 1)) for line in caught.value.__notes__[0].splitlines()]
    assert 1 == len(list(tmp_path.iterdir()))
    assert [(result.images[0], result.images[2])] == [hold.images for hold in ledger.open()]
    with pytest.raises(FileNotFoundError):
        play(bridge, "save_all", result, tmp_path / "no such folder")
    play(bridge, "close")


def test_a_name_that_is_taken_meanwhile_gives_way(
    sandbox: Sandbox, play: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes may save into one folder: nobody's file is replaced."""
    bridge = opened(play, sandbox)
    result = play(bridge, "generate", KITE, provider="reapi")
    stem = stem_of("reapi", str(result.job_id))
    (tmp_path / f"{stem}-1.png").write_text("mine")
    # Nothing is there yet when it is looked for.
    monkeypatch.setattr(os.path, "lexists", lambda path: False)

    saved = play(bridge, "save_all", result, tmp_path)

    assert [tmp_path / f"{stem}-2.png"] == saved
    assert "mine" == (tmp_path / f"{stem}-1.png").read_text()
    play(bridge, "close")


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        ({"job_id": "task_0123456789"}, "halide-01234567-1.png"),
        ({"job_id": None, "request_id": "r/7"}, "halide-7-1.png"),
        ({"job_id": None}, "halide-picture-1.png"),
    ],
)
def test_a_result_without_a_job_has_names_too(
    play: Any, tmp_path: Path, ids: dict[str, Any], name: str
) -> None:
    """Whoever answers at once may give no id; the numbers keep names apart."""
    bridge = play.kind([Halide(api_key="k")])
    image = Image(data=PNG)
    result = ImageResult(
        **{"provider": "halide", "model": "wan2.7-image", "images": (image,), "requested": 1, **ids}
    )

    assert [tmp_path / name] == play(bridge, "save_all", result, tmp_path)
    play(bridge, "close")
