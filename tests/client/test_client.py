"""Both clients over real sockets: lines that break, threads, interruptions, files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import wanbridge
from example_provider import ACCEPTED, DONE, Halide, _Options, reply
from wanbridge import AsyncClient, Client
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Cancelled, Done, NotAccepted, StillUnknown, TooLate
from wanbridge.engine import download as fetch
from wanbridge.engine.context import Timeouts
from wanbridge.engine.events import Accepted, Event, Submitting
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ConfigurationError,
    DeadlineExceeded,
    DownloadFailed,
    InvalidRequest,
    MissingCredentials,
    SubmissionUncertain,
    TransportFailed,
    UnknownProvider,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.sandbox import Sandbox, running
from wanbridge.transport.library import httpx

QUICK = Timeouts(
    connect_timeout=2.0,
    read_timeout=1.0,
    poll_interval=PollInterval(first=0.02, factor=1.5, most=0.1),
)
KITE = ImageRequest("a red kite over dunes", size="1K")
KITE_1K = ImageRequest("a red kite", size="1:1@1K")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on a loopback socket."""
    with running(Sandbox(latency=0.05)) as served:
        yield served


def adapters(sandbox: Sandbox, **keys: str) -> list[Adapter]:
    registry = Registry()
    return [
        registry.build(
            name, api_key=keys.get(name, sandbox.api_key(name)), base_url=sandbox.base_url(name)
        )
        for name in sandbox.providers
    ]


def client(sandbox: Sandbox, **options: Any) -> Client:
    return Client(adapters(sandbox), **{"timeouts": QUICK, **options})


def posts(sandbox: Sandbox) -> int:
    return len(sandbox.ledger()["posts"])


@pytest.mark.parametrize("provider", ["runware", "reapi", "dashscope"])
def test_a_prompt_becomes_a_picture_on_disk(
    sandbox: Sandbox, provider: str, tmp_path: Path
) -> None:
    """The whole way over real HTTP, blocking."""
    with client(sandbox) as bridge:
        result = bridge.generate(KITE, provider=provider)
        saved = bridge.save(result.images[0], tmp_path / "kite")

    assert tmp_path / "kite.png" == saved
    assert 1 == posts(sandbox)
    assert result == wanbridge.ImageResult.from_json(result.to_json())


@pytest.mark.parametrize("provider", ["runware", "reapi", "dashscope"])
def test_a_prompt_becomes_a_picture_on_disk_async(
    sandbox: Sandbox, provider: str, tmp_path: Path
) -> None:
    """The whole way over real HTTP, awaited."""

    async def run() -> Path:
        async with AsyncClient(adapters(sandbox), timeouts=QUICK) as bridge:
            result = await bridge.generate(KITE, provider=provider, inline=True)
            assert (1024, 1024) == (result.images[0].width, result.images[0].height)
            return await bridge.save(result.images[0], tmp_path / "kite.jpg")

    saved = asyncio.run(run())

    assert tmp_path / "kite.png" == saved


def test_an_existing_file_is_kept_unless_forced(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nobody's picture is overwritten by accident."""
    (tmp_path / "kite.png").write_text("mine")
    with client(sandbox) as bridge:
        image = bridge.generate(KITE, provider="reapi").images[0]
        with pytest.raises(FileExistsError):
            bridge.save(image, tmp_path / "kite.png")
        assert "mine" == (tmp_path / "kite.png").read_text()
        bridge.save(image, tmp_path / "kite.png", force=True)

    assert b"\x89PNG" == (tmp_path / "kite.png").read_bytes()[:4]
    assert ["kite.png"] == [p.name for p in tmp_path.iterdir()]


def test_a_dead_link_leaves_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """A failed download is said so, and nothing half-written stays."""
    sandbox.fault("dead_link")
    with client(sandbox) as bridge:
        image = bridge.generate(KITE, provider="reapi").images[0]
        with pytest.raises(DownloadFailed) as caught:
            bridge.save(image, tmp_path / "kite.png")

    assert (True, Charge.YES) == (caught.value.expired, caught.value.charge)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["accept_then_drop", "hang", "cut_body"])
@pytest.mark.parametrize("provider", ["runware", "reapi", "dashscope"])
def test_a_line_that_breaks_after_the_submit_buys_once(
    sandbox: Sandbox, kind: str, provider: str
) -> None:
    """Real sockets, really broken: one task exists, and it is found or said to be uncertain."""
    sandbox.fault(kind)
    with client(sandbox) as bridge:
        if provider == "runware":
            assert 1 == len(bridge.generate(KITE, provider=provider).images)
        else:
            with pytest.raises(SubmissionUncertain) as caught:
                bridge.generate(KITE, provider=provider)
            receipt = caught.value.receipt
            assert receipt is not None
            assert receipt == Receipt.from_json(receipt.to_json())
            assert isinstance(bridge.reconcile(receipt), StillUnknown)

    assert 1 == sandbox.ledger()["totals"][provider]["accepted"]


def test_dashscope_candidates_can_be_adopted(sandbox: Sandbox) -> None:
    """Which task it is, is the caller's decision; then it is waited for like any other."""
    sandbox.fault("accept_then_drop")
    with client(sandbox) as bridge:
        with pytest.raises(SubmissionUncertain) as caught:
            bridge.generate(KITE, provider="dashscope")
        receipt = caught.value.receipt
        assert receipt is not None
        found = bridge.reconcile(receipt)
        assert isinstance(found, StillUnknown)

        result = bridge.wait(bridge.adopt(receipt, found.candidates[0]))

    assert 1 == len(result.images)
    assert 1 == posts(sandbox)


def test_nobody_listening_is_surely_not_sent() -> None:
    """A refused connection costs nothing and says so."""
    nowhere = Halide(api_key="k", base_url="http://127.0.0.1:9/v1")
    quick = Timeouts(connect_timeout=0.2, deadline=0.3)
    with Client([nowhere], timeouts=quick) as bridge, pytest.raises(TransportFailed) as caught:
        bridge.generate(KITE)

    assert Charge.NO == caught.value.charge
    assert "no connection" in str(caught.value)


def test_a_job_is_resumed_by_another_client(sandbox: Sandbox) -> None:
    """Another process needs only the JSON and the configuration."""
    with client(sandbox) as first:
        text = first.submit(KITE, provider="reapi").to_json()
    with client(sandbox) as second:
        job = Job.from_json(text)
        result = second.wait(job)
        step = second.look(job)

    assert isinstance(step, Done)
    assert 1 == len(result.images)
    assert 1 == posts(sandbox)


def test_a_job_of_a_host_that_is_not_configured_is_refused(sandbox: Sandbox) -> None:
    """A key must not be sent to a host that only a file names."""
    with client(sandbox) as first:
        job = first.submit(KITE, provider="reapi")
    elsewhere = Client([Registry().build("reapi", api_key="other")])

    with pytest.raises(
        ConfigurationError, match=r"no reapi account is configured for 127\.0\.0\.1"
    ):
        elsewhere.wait(job)


def test_the_deadline_leaves_a_job(sandbox: Sandbox) -> None:
    """Also over a real line."""
    slow = Sandbox(latency=60)
    with running(slow) as served, client(served) as bridge:
        with pytest.raises(DeadlineExceeded) as caught:
            bridge.generate(KITE, provider="runware", deadline=0.3)

        assert caught.value.job is not None
        assert "wait for error.job" in str(caught.value)


def test_a_queued_dashscope_task_can_be_cancelled(sandbox: Sandbox) -> None:
    """Cancelled while queued costs nothing; a running one is too late."""
    sandbox.switch("dashscope", "queue_seconds", 60)
    with client(sandbox) as bridge:
        queued = bridge.submit(KITE, provider="dashscope")
        assert Cancelled(Charge.NO) == bridge.cancel(queued)
        sandbox.switch("dashscope", "queue_seconds", 0)
        ready = bridge.submit(KITE, provider="dashscope")
        bridge.wait(ready)
        assert isinstance(bridge.cancel(ready), TooLate)
        with pytest.raises(UnsupportedFeature, match="cannot cancel"):
            bridge.cancel(bridge.submit(KITE, provider="reapi"))


def test_a_balance_is_told_where_there_is_one(sandbox: Sandbox) -> None:
    """In the provider's own credits, exactly."""
    sandbox.set_balance("reapi", 8421)
    with client(sandbox) as bridge:
        assert "8421 REAPI-CREDITS" == str(bridge.balance("reapi"))
        with pytest.raises(UnsupportedFeature):
            bridge.balance("runware")


def test_a_wrong_key_is_one_message(sandbox: Sandbox) -> None:
    """It stops, costs nothing, and does not show the key."""
    bridge = Client(adapters(sandbox, runware="sk-wrong-0001"), timeouts=QUICK)

    with bridge, pytest.raises(AuthenticationFailed) as caught:
        bridge.generate(KITE, provider="runware")

    assert (Charge.NO, False, 401) == (
        caught.value.charge,
        caught.value.elsewhere,
        caught.value.status,
    )
    assert "sk-wrong-0001" not in str(caught.value)


def test_a_missing_key_is_named_before_anything_is_sent(sandbox: Sandbox) -> None:
    """Where to put it stands in the message."""
    bridge = Client([Registry().build("runware", base_url=sandbox.base_url("runware"))])

    with pytest.raises(MissingCredentials, match="RUNWARE_API_KEY"):
        bridge.generate(KITE)
    assert 0 == posts(sandbox)
    assert bridge.explain(KITE)["runware"].ok


def test_which_provider_must_be_clear() -> None:
    """Nobody is charged at a provider of wanbridge's choosing."""
    one, two = Halide(api_key="k"), Halide(api_key="k", account="halide-eu")

    with pytest.raises(ConfigurationError, match="one of halide, halide-eu"):
        Client([one, two]).generate(KITE)
    with pytest.raises(UnknownProvider, match="did you mean 'halide-eu'"):
        Client([one, two]).generate(KITE, provider="halide-ue")
    with pytest.raises(ConfigurationError, match="RUNWARE_API_KEY"):
        Client().generate(KITE)
    with pytest.raises(UnknownProvider):
        Client([one], default="two")
    with pytest.raises(ConfigurationError, match="two accounts are called"):
        Client([one, Halide(api_key="j")])


def test_an_unknown_field_names_the_nearest() -> None:
    """A typo is not a dropped field."""
    bridge = Client([Halide(api_key="k")])

    with pytest.raises(InvalidRequest, match="did you mean 'watermark'"):
        bridge.generate("a kite", watermrak=True)  # type: ignore[call-arg]
    with pytest.raises(InvalidRequest, match=r"\$\.extra\.halid: no adapter"):
        bridge.generate("a kite", extra={"halid": {"x": 1}})


def test_fields_change_a_request() -> None:
    """A request may be a template."""
    explained = Client([Halide(api_key="k")]).explain(KITE, seed=5, n=2)

    http = explained["halide"].http
    assert http is not None
    body = http.json()
    assert (5, 2, "a red kite over dunes") == (body["seed"], body["n"], body["prompt"])


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
def test_a_deadline_is_more_than_nothing(deadline: float) -> None:
    """Zero seconds would be a purchase nobody waits for."""
    with pytest.raises(ConfigurationError, match="deadline"):
        Client([Halide(api_key="k")]).generate(KITE, deadline=deadline)


def test_threads_may_share_a_client(sandbox: Sandbox) -> None:
    """Forty calls at once, forty pictures, forty tasks."""
    patient = Timeouts(poll_interval=QUICK.poll_interval)
    with client(sandbox, timeouts=patient) as bridge, ThreadPoolExecutor(40) as pool:
        results = list(pool.map(lambda _: bridge.generate(KITE, provider="reapi"), range(40)))

    assert 40 == len({r.job_id for r in results})
    assert 40 == posts(sandbox)


def test_tasks_may_share_an_async_client(sandbox: Sandbox) -> None:
    """More than one pool of connections holds."""

    async def run() -> list[str | None]:
        async with AsyncClient(
            adapters(sandbox), timeouts=Timeouts(poll_interval=QUICK.poll_interval)
        ) as bridge:
            calls = [bridge.generate(KITE, provider="reapi") for _ in range(60)]
            return [r.job_id for r in await asyncio.gather(*calls)]

    assert 60 == len(set(asyncio.run(run())))


def test_a_cancelled_task_in_the_submit_still_learns_its_job(sandbox: Sandbox) -> None:
    """The reply of a submit is waited for: what was bought is not lost to a cancellation."""

    async def run() -> asyncio.CancelledError:
        submitting = asyncio.Event()

        def tell(event: Event) -> None:
            if isinstance(event, Submitting):
                submitting.set()

        async with AsyncClient(adapters(sandbox), timeouts=QUICK) as bridge:
            task = asyncio.create_task(bridge.generate(KITE, provider="reapi", on_progress=tell))
            await submitting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    interruption = asyncio.run(run())

    assert isinstance(getattr(interruption, "job", None), Job)
    assert 1 == posts(sandbox)


def test_a_cancelled_task_in_a_hanging_submit_gets_a_receipt(sandbox: Sandbox) -> None:
    """After the read timeout nobody knows: that, too, is handed over."""
    sandbox.fault("hang")

    async def run(times: int) -> asyncio.CancelledError:
        submitting = asyncio.Event()

        def tell(event: Event) -> None:
            submitting.set()

        async with AsyncClient(adapters(sandbox), timeouts=QUICK) as bridge:
            task = asyncio.create_task(bridge.generate(KITE, provider="reapi", on_progress=tell))
            await submitting.wait()
            before = posts(sandbox)
            for _ in range(times):
                task.cancel()
                while posts(sandbox) == before and not task.done():  # the first is held back
                    await asyncio.sleep(0.005)
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    assert isinstance(getattr(asyncio.run(run(1)), "receipt", None), Receipt)
    sandbox.fault("hang")
    assert isinstance(getattr(asyncio.run(run(2)), "receipt", None), Receipt)
    assert 2 == posts(sandbox)


def test_a_cancelled_wait_carries_the_job(sandbox: Sandbox) -> None:
    """Nothing goes on in the background, and the job can be resumed."""
    slow = Sandbox(latency=60)

    async def run(served: Sandbox) -> asyncio.CancelledError:
        accepted = asyncio.Event()

        def tell(event: Event) -> None:
            if isinstance(event, Accepted):
                accepted.set()

        async with AsyncClient(adapters(served), timeouts=QUICK) as bridge:
            task = asyncio.create_task(bridge.generate(KITE, provider="runware", on_progress=tell))
            await accepted.wait()
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    with running(slow) as served:
        assert isinstance(getattr(asyncio.run(run(served)), "job", None), Job)


_SCRIPT = """
import sys
from wanbridge import Client, Registry
from wanbridge.adapters.offers import PollInterval
from wanbridge import Accepted, Submitting, Timeouts

url, key, stop_at = sys.argv[1:4]
timeouts = Timeouts(read_timeout=1.0, poll_interval=PollInterval(first=0.05, most=0.1))

def tell(event):
    if type(event).__name__ == stop_at:
        print("now", flush=True)

with Client([Registry().build("reapi", api_key=key, base_url=url)], timeouts=timeouts) as bridge:
    try:
        bridge.generate("a red kite", size="1K", on_progress=tell)
    except KeyboardInterrupt as exc:
        print([name for name in ("job", "receipt", "result") if hasattr(exc, name)], flush=True)
"""


def interrupted(served: Sandbox, stop_at: str, signals: int) -> str:
    """What hangs on the KeyboardInterrupt of a process that is sent SIGINT at an event."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(_SCRIPT),
            served.base_url("reapi"),
            served.api_key("reapi"),
            stop_at,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        assert "now" == process.stdout.readline().strip()
        reached = threading.Event()
        while stop_at == "Submitting" and not posts(served):
            reached.wait(0.01)
        for _ in range(signals):
            os.kill(process.pid, signal.SIGINT)
            reached.wait(0.1)
        return process.stdout.readline().strip()


def test_ctrl_c_while_waiting_leaves_the_job() -> None:
    """A real signal to a real process."""
    with running(Sandbox(latency=60)) as served:
        assert "['job']" == interrupted(served, "Accepted", 1)


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_during_a_submit_is_held_back(signals: int) -> None:
    """Once: until the outcome is known. Twice: at once, with the receipt."""
    with running(Sandbox(latency=60)) as served:
        served.fault("hang")
        assert "['receipt']" == interrupted(served, "Submitting", signals)
        assert 1 == posts(served)


def test_an_interruption_after_an_answer_at_once_carries_the_result() -> None:
    """A picture that came with the submit is not thrown away with the Ctrl-C."""
    adapter = Halide(api_key="k", options=_Options(at_once=True))

    def answer(request: httpx.Request) -> httpx.Response:
        os.kill(os.getpid(), signal.SIGINT)
        return httpx.Response(200, content=reply(DONE).body)

    with (
        Client([adapter], http=httpx.Client(transport=httpx.MockTransport(answer))) as bridge,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        bridge.generate(KITE)

    assert isinstance(getattr(caught.value, "result", None), wanbridge.ImageResult)


def test_an_interruption_of_submit_carries_the_job() -> None:
    """`submit` ends with the reply; the job it would have returned hangs on the Ctrl-C."""

    def answer(request: httpx.Request) -> httpx.Response:
        os.kill(os.getpid(), signal.SIGINT)
        return httpx.Response(200, content=reply(ACCEPTED).body)

    with (
        Client(
            [Halide(api_key="k")], http=httpx.Client(transport=httpx.MockTransport(answer))
        ) as bridge,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        bridge.submit(KITE)

    assert isinstance(getattr(caught.value, "job", None), Job)


def test_not_accepted_needs_time_and_two_reads() -> None:
    """Runware, asked right after: still unknown. Asked later: surely not."""
    from datetime import UTC, datetime, timedelta

    sandbox = Sandbox()
    sandbox.fault("drop", times=None)
    offset = timedelta(0)

    def now() -> datetime:
        return datetime.now(UTC) + offset

    with Client.sandbox(sandbox, now=now, sleep=lambda seconds: None) as bridge:
        with pytest.raises(SubmissionUncertain) as caught:
            bridge.generate(KITE, provider="runware")
        receipt = caught.value.receipt
        assert receipt is not None
        sandbox.set_faults([])
        early = bridge.reconcile(receipt)
        offset = timedelta(seconds=45)
        later = bridge.reconcile(receipt)

    assert isinstance(early, StillUnknown)
    assert isinstance(later, NotAccepted)


def test_measure_reads_sizes_from_the_line(sandbox: Sandbox) -> None:
    """Runware needs pixels; the last image's shape is learnt from its first bytes."""
    with client(sandbox) as bridge:
        url = bridge.generate(KITE, provider="reapi", size="16:9@1K").images[0].url
        assert url is not None
        request = ImageRequest("repaint it", images=(url,))

        measured = bridge.measure(request)

    assert (1360, 768) == (measured.images[0].width, measured.images[0].height)


def test_a_picture_longer_than_allowed_is_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply may not fill the disk."""
    monkeypatch.setattr(fetch, "PICTURE_MOST", 1000)
    with client(sandbox) as bridge:
        image = bridge.generate(KITE, provider="reapi").images[0]

        with pytest.raises(DownloadFailed, match="longer than 1,000 bytes"):
            bridge.download(image)


def test_a_host_that_is_not_there_is_said(sandbox: Sandbox) -> None:
    """A name that does not resolve, sync and async."""
    image = Image(url="https://nowhere.invalid/a.png")
    with client(sandbox) as bridge, pytest.raises(DownloadFailed, match="is not known"):
        bridge.download(image)

    async def run() -> None:
        async with AsyncClient(adapters(sandbox)) as awaiting:
            await awaiting.download(image)

    with pytest.raises(DownloadFailed, match="is not known"):
        asyncio.run(run())


def test_the_async_client_does_everything_the_blocking_one_does(sandbox: Sandbox) -> None:
    """Same methods, same answers."""
    public = {n for n in dir(Client) if not n.startswith("_")}
    assert public == {n for n in dir(AsyncClient) if not n.startswith("_")}

    async def run() -> None:
        async with AsyncClient(adapters(sandbox), timeouts=QUICK) as bridge:
            job = await bridge.submit(KITE, provider="dashscope")
            result = await bridge.wait(job)
            assert isinstance(await bridge.look(job), Done)
            assert isinstance(await bridge.cancel(job), TooLate)
            assert "REAPI-CREDITS" in str(await bridge.balance("reapi"))
            url = result.images[0].url
            assert url is not None
            measured = await bridge.measure(ImageRequest("x", images=(url,)))
            assert 1024 == measured.images[0].width
            assert 1024 == (await bridge.download(result.images[0])).width
            sandbox.fault("accept_then_drop")
            with pytest.raises(SubmissionUncertain) as caught:
                await bridge.generate(KITE, provider="reapi")
            assert caught.value.receipt is not None
            assert isinstance(await bridge.reconcile(caught.value.receipt), StillUnknown)

    asyncio.run(run())


def test_local_files_go_inline_where_the_provider_takes_them(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A picture from disk needs no upload at Runware and DashScope, and is refused at reAPI."""
    with client(sandbox) as bridge:
        path = bridge.save(bridge.generate(KITE, provider="reapi").images[0], tmp_path / "in")
        request = ImageRequest("repaint it", images=(InputImage.from_file(path),), size="1K")

        for provider in ("runware", "dashscope"):
            assert 1 == len(bridge.generate(request, provider=provider).images)
        with pytest.raises(UnsupportedFeature, match=r"images\[0\]: a picture given by its bytes"):
            bridge.generate(request, provider="reapi")
    assert 3 == posts(sandbox)


def test_models_estimates_and_new_links_where_a_provider_has_them(sandbox: Sandbox) -> None:
    """Free messages all: nothing is bought, and who has none says so."""
    with client(sandbox) as bridge:
        assert "wan/2-7-image" in {model.id for model in bridge.models("crun")}
        assert "CRUN-CREDITS" == bridge.estimate(KITE_1K, provider="crun").currency
        for refused in (bridge.models, lambda name: bridge.estimate(KITE, provider=name)):
            with pytest.raises(UnsupportedFeature):
                refused("runware")
        assert 0 == posts(sandbox)
        job = bridge.submit(ImageRequest("a kite", size="1K"), provider="kie")
        bridge.wait(job)
        assert 1 == len(bridge.refresh(job))

    async def run() -> None:
        async with AsyncClient(adapters(sandbox), timeouts=QUICK) as bridge:
            assert await bridge.models("crun")
            assert (await bridge.estimate(KITE_1K, provider="crun")).amount > 0
            assert 1 == len(await bridge.refresh(job))

    asyncio.run(run())


def test_a_coroutine_for_progress_is_refused() -> None:
    """Nobody would await it, and a ledger would miss the receipt."""

    async def tell(event: Event) -> None:
        pass

    with pytest.raises(ConfigurationError, match="coroutine"):
        Client([Halide(api_key="k")]).generate(KITE, on_progress=tell)  # type: ignore[arg-type]


def test_a_key_that_a_provider_echoes_is_not_passed_on() -> None:
    """Some say which key was wrong."""

    def answer(request: httpx.Request) -> httpx.Response:
        said = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(401, json={"code": "NoKey", "message": f"wrong: {said}"})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    with (
        Client([Halide(api_key="sk-echo-1")], http=http) as bridge,
        pytest.raises(AuthenticationFailed) as caught,
    ):
        bridge.generate(KITE)

    assert "wrong: ***" in str(caught.value)
    assert "sk-echo-1" not in str(caught.value) + repr(caught.value.raw)
