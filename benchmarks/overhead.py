"""What wanbridge adds to the HTTP exchanges it makes.

The server runs in a process of its own; the client library is the same for both sides (httpx2
if installed, else httpx). Each round does one generation with wanbridge and the same exchanges
raw, in turn, so that a machine that slows down slows both. Quote the ratios: a generation
through ``client.generate`` may cost at most 1.25 times its raw exchanges.

    python benchmarks/overhead.py            # ratios, import time, 1,000 in flight
    python benchmarks/overhead.py --check    # exit 1 if a bound is missed
    python benchmarks/overhead.py --against ../before   # the ratios beside those of a checkout
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wanbridge
from wanbridge import AsyncClient, Client, ImageRequest, Registry, Timeouts
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.transport.library import httpx

RATIO_MOST = 1.25
IMPORT_MOST = 1.4
IN_FLIGHT, IN_FLIGHT_SECONDS, IN_FLIGHT_MIB = 1000, 6.0, 250.0

TASK = "task_" + "0123456789abcdef" * 2
SUBMITTED = {"id": TASK, "model": "wan2.7-image", "status": "processing", "created_at": 1795000100}
DONE = {
    **SUBMITTED,
    "status": "completed",
    "output": {"image_urls": ["https://cdn.example.com/0.png"]},
    "error": None,
}
REQUEST = ImageRequest("a red kite over dunes", seed=7, size="1K")
NO_WAIT = Timeouts(poll_interval=PollInterval(first=0.0, factor=1.0, most=0.0))


# -- the server: answers from memory, optionally after a while ---------------------------------


class _Answer(asyncio.Protocol):
    """Just enough HTTP to answer at once, so that the client is what is measured."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.buffer = seconds, b""
        self.started: dict[str, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        body = SUBMITTED if head.startswith(b"POST") else DONE
        loop = asyncio.get_running_loop()
        # The generation takes its time once, as the wait for the first poll's answer.
        pause = self.seconds if head.startswith(b"GET") else 0.0
        loop.call_later(pause, self._send, body) if pause else self._send(body)

    def _send(self, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(raw), raw)
        )


def _serve(seconds: float, ports: Any) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Answer(seconds), "127.0.0.1", 0, backlog=4096)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def served(seconds: float = 0.0) -> Iterator[str]:
    """A server in a process of its own; the base URL."""
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=_serve, args=(seconds, ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=30)}/api/v1"
    finally:
        process.terminate()
        process.join()


def accounts(url: str) -> list[Adapter]:
    """One account with the leanest dialect: a submit, then polls."""
    return [Registry().build("reapi", api_key="k", base_url=url)]


# -- ratios ------------------------------------------------------------------------------------


def exchanges(url: str) -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    """The messages of one generation, as wanbridge writes them."""
    adapter = accounts(url)[0]
    from wanbridge.adapters.fitting import fit

    fitted = fit(adapter, REQUEST)
    submit = adapter.submit(fitted.request, fitted.offer, key="k")
    headers = dict(adapter.bearer())
    return [
        (submit.method, submit.url, submit.body, dict(submit.headers)),
        ("GET", f"{url}/tasks/{TASK}", None, headers),
    ]


def _interleaved(ours: Callable[[], object], raw: Callable[[], object], rounds: int) -> float:
    """Median time of ours to that of raw, both in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 20):
        for kept, call in zip(times, (ours, raw), strict=True):
            began = time.perf_counter()
            call()
            if turn >= 20:
                kept.append(time.perf_counter() - began)
    return statistics.median(times[0]) / statistics.median(times[1])


def ratio_blocking(url: str, rounds: int) -> float:
    """`Client.generate` to the same exchanges with the bare client."""
    messages = exchanges(url)
    with (
        Client(accounts(url), timeouts=NO_WAIT, sleep=lambda s: None) as bridge,
        httpx.Client() as bare,
    ):

        def raw() -> None:
            for method, target, body, headers in messages:
                bare.request(method, target, content=body, headers=headers).json()

        return _interleaved(lambda: bridge.generate(REQUEST), raw, rounds)


def ratio_async(url: str, rounds: int) -> float:
    """`AsyncClient.generate` to the same exchanges with the bare client."""
    messages = exchanges(url)

    async def no_wait(seconds: float) -> None:
        pass

    async def run() -> float:
        times: tuple[list[float], list[float]] = ([], [])
        async with (
            AsyncClient(accounts(url), timeouts=NO_WAIT, sleep=no_wait) as bridge,
            httpx.AsyncClient() as bare,
        ):
            for turn in range(rounds + 20):
                began = time.perf_counter()
                await bridge.generate(REQUEST)
                middle = time.perf_counter()
                for method, target, body, headers in messages:
                    reply = await bare.request(method, target, content=body, headers=headers)
                    reply.json()
                if turn >= 20:
                    times[0].append(middle - began)
                    times[1].append(time.perf_counter() - middle)
        return statistics.median(times[0]) / statistics.median(times[1])

    return asyncio.run(run())


# -- many in flight ----------------------------------------------------------------------------


def in_flight(count: int) -> tuple[float, float, int]:
    """Seconds, peak MiB and answers of *count* generations at once; run in a fresh process."""
    with served(2.0) as url:

        async def run() -> tuple[float, int]:
            timeouts = Timeouts(read_timeout=60.0, poll_interval=PollInterval(first=0.1, most=1.0))
            async with AsyncClient(accounts(url), timeouts=timeouts) as bridge:
                began = time.perf_counter()
                results = await asyncio.gather(
                    *(bridge.generate(REQUEST) for _ in range(count)), return_exceptions=True
                )
                answered = sum(not isinstance(r, BaseException) for r in results)
                return time.perf_counter() - began, answered

        seconds, answered = asyncio.run(run())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds, peak, answered


def _in_flight_apart(count: int) -> tuple[float, float, int]:
    text = subprocess.run(
        [sys.executable, __file__, "--in-flight", str(count)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    seconds, peak, answered = json.loads(text)
    return seconds, peak, answered


# -- import ------------------------------------------------------------------------------------


def import_ratio(rounds: int) -> float:
    """``from wanbridge import Client`` to ``import httpx``, each in fresh processes, in turn.

    Byte code is cached, as after an installation, in a folder of its own; a bare start, which is
    in both, is not taken off. The least of *rounds*, as what is slower was interrupted.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {"from wanbridge import Client": [], "import httpx": []}
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        for turn in range(rounds + 2):
            for code, kept in times.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True, env=environment)
                if turn >= 2:
                    kept.append(time.perf_counter() - began)
    ours, theirs = (min(kept) for kept in times.values())
    return ours / theirs


# -- two commits -------------------------------------------------------------------------------


def ratios(rounds: int) -> tuple[float, float]:
    """Blocking and async."""
    with served() as url:
        return ratio_blocking(url, rounds), ratio_async(url, rounds)


def compare(before: Path, rounds: int, turns: int = 7) -> None:
    """The ratios of this checkout and of *before*, in turn, each time in a fresh process."""
    here = Path(__file__).resolve().parents[1]
    found: dict[Path, list[list[float]]] = {before.resolve(): [], here: []}
    for _ in range(turns):
        for tree, kept in found.items():
            ran = subprocess.run(
                [sys.executable, __file__, "--ratios", "--rounds", str(rounds)],
                env={**os.environ, "PYTHONPATH": str(tree)},
                check=True,
                capture_output=True,
                text=True,
            )
            told = json.loads(ran.stdout)
            assert Path(told["tree"]) == tree, f"{told['tree']} was measured instead of {tree}"
            kept.append(told["ratios"])
    for at, name in enumerate(("blocking", "async")):
        medians = [statistics.median(r[at] for r in kept) for kept in found.values()]
        print(f"generate : raw, {name:10} before {medians[0]:.3f}   now {medians[1]:.3f}")


def main() -> int:
    """Print every figure; with ``--check``, judge them."""
    parser = argparse.ArgumentParser(description="What wanbridge adds to the exchanges it makes.")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--in-flight", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--ratios", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.against:
        compare(given.against, given.rounds)
        return 0
    if given.ratios:
        tree = str(Path(wanbridge.__file__).resolve().parents[1])
        print(json.dumps({"tree": tree, "ratios": ratios(given.rounds)}))
        return 0
    if given.in_flight:
        print(json.dumps(in_flight(given.in_flight)))
        return 0
    print(f"{httpx.__name__} {httpx.__version__}, Python {sys.version.split()[0]}")
    blocking, awaited = ratios(given.rounds)
    imported = import_ratio(15)
    seconds, peak, answered = _in_flight_apart(IN_FLIGHT)
    rows = [
        ("generate : raw, blocking", f"{blocking:.2f}", blocking <= RATIO_MOST, RATIO_MOST),
        ("generate : raw, async", f"{awaited:.2f}", awaited <= RATIO_MOST, RATIO_MOST),
        ("import Client : httpx", f"{imported:.2f}", imported <= IMPORT_MOST, IMPORT_MOST),
        (
            f"{IN_FLIGHT} in flight, s",
            f"{seconds:.2f}",
            seconds < IN_FLIGHT_SECONDS,
            IN_FLIGHT_SECONDS,
        ),
        (f"{IN_FLIGHT} in flight, MiB", f"{peak:.0f}", peak < IN_FLIGHT_MIB, IN_FLIGHT_MIB),
        (f"{IN_FLIGHT} in flight, answered", f"{answered}", answered == IN_FLIGHT, IN_FLIGHT),
    ]
    for name, figure, good, bound in rows:
        print(f"{name:28} {figure:>8}   bound {bound:<6} {'ok' if good else 'MISSED'}")
    return int(given.check and not all(good for _, _, good, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
