"""A program that meets hostile servers with little memory; run by ``test_decoding``.

It is told the cases as JSON, one list on its command line, and prints one line of JSON for each:
what came of it, and by how many megabytes the process grew.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from wanbridge import AsyncClient, Client
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import Registry
from wanbridge.engine.context import Timeouts
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job
from wanbridge.model.result import Image

MOST = 100 * 10**6
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
PATIENCE = Timeouts(deadline=60.0, poll_interval=PollInterval(first=0.01, factor=1.0, most=0.01))


def memory(name: str) -> int:
    """A figure of this process in bytes: VmSize, VmRSS, or VmHWM, the most of the latter."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def adapter(name: str, url: str) -> Adapter:
    """An account there."""
    made = Registry().build(name, api_key="sk-test-1", base_url=url)
    if name == "kie":
        made = attrs.evolve(made, options=attrs.evolve(made.options, upload_url=url))
    return made


def call(case: dict[str, Any], client: Any) -> Any:
    """What is asked: pictures, an upload, a poll, or the bytes of a picture."""
    there = client.accounts[case["provider"]].base_url
    match case["do"]:
        case "generate":
            return client.generate("a kite")
        case "upload":
            picture = InputImage.from_bytes(b"\xff\xd8\xff" * 9)
            # Little time, since an upload that fails is tried again.
            return client.generate("a kite", images=[picture], deadline=1.0)
        case "poll":
            return client.look(Job.from_json(json.dumps({**case["job"], "base_url": there})))
        case "download":
            return client.download(Image(url=f"{there}/a.png"))
        case "save":
            return client.save(Image(url=f"{there}/a.png"), Path(tempfile.mkdtemp()) / "a")
    raise AssertionError(case)


def outcome(act: Callable[[], object]) -> str:
    """What came of it, in one line."""
    try:
        return f"{type(act()).__name__}"
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"


def one(case: dict[str, Any]) -> str:
    """One case, over blocking or async sockets."""
    accounts = [adapter(case["provider"], case["url"])]
    if not case["awaited"]:
        with Client(accounts, timeouts=PATIENCE) as client:
            return outcome(lambda: call(case, client))

    async def run() -> Any:
        async with AsyncClient(accounts, timeouts=PATIENCE) as client:
            return await call(case, client)

    return outcome(lambda: asyncio.run(run()))


def main() -> None:
    """Carry out the cases; the first is a rehearsal, so that what is imported late is here."""
    cases = json.loads(sys.argv[1])
    print(json.dumps({"outcome": one(cases[0]), "grown": 0}), flush=True)
    limit = memory("VmSize") + MOST
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for case in cases[1:]:
        gc.collect()  # an exception and its frames hold each other, and what came before
        RESET.write_text("5")
        idle = memory("VmRSS")
        said = one(case)
        grown = (memory("VmHWM") - idle) / 10**6
        print(json.dumps({"outcome": said, "grown": grown}), flush=True)


if __name__ == "__main__":
    main()
