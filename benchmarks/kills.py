"""Programs that are killed while they buy: every picture that was charged has to be somewhere.

A sandbox on a socket of this machine charges. Programs that buy from all seven providers are
ended at random instants, by ``kill -9`` and by the signals that can be caught; then each task
that was accepted is looked for on disk, in ``ledger.open()``, and in job, receipt and result
files. At the end all of it is gone on with as its user would.

    python benchmarks/kills.py             # 30 kills each; writes benchmarks/results/kills.md
    python benchmarks/kills.py --print     # only prints it

- **library**: six threads buy and save with one `SqliteLedger`, which all rounds share.
- **command**: one ``wanbridge generate`` a round, without a ledger, in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from wanbridge import Client, __version__
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import PollInterval
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.engine.context import Timeouts
from wanbridge.engine.events import Event, Submitting
from wanbridge.ledger.holds import Hold
from wanbridge.ledger.sqlite import SqliteLedger
from wanbridge.model.jobs import Job, Receipt
from wanbridge.sandbox import Sandbox, running

RESULTS = Path(__file__).parent / "results"
# Every way in which a provider answers: by tasks, and with the pictures at once.
ACCOUNTS = (*BUILTIN, "dashscope-sync")
CAUGHT = ("HUP", "TERM", "INT", "QUIT")
# Seconds that a generation takes, and the body of a picture, so that kills meet both.
LATENCY, SLOW = 0.2, 0.2
ROUNDS, THREADS = 30, 6
# Seconds until a command has surely polled: by the manuals' cadences, 1 to 3.
CADENCE = 3.5
GO_ON = (
    ("reconcile", "*.receipt.json"),
    ("fetch", "*.job.json"),
    ("fetch", "*.result.json"),
)
PLACES = (
    "on disk",
    "ledger: delivered",
    "ledger: accepted",
    "ledger: submitting",
    "job file",
    "result file",
    "receipt file",
    "lost",
)


# -- the program that is killed ------------------------------------------------------------------


def adapters(bases: Mapping[str, Any]) -> list[Adapter]:
    """All of `ACCOUNTS` at a sandbox; *bases* has key and base URL of each provider."""
    registry, made = Registry(), []
    for account in ACCOUNTS:
        name, _, mode = account.partition("-")
        options = {"mode": mode} if mode else None
        made.append(registry.build(name, account=account, options=options, **bases[name]))
    return made


def client_of(bases: Mapping[str, Any], ledger: SqliteLedger) -> Client:
    """A client that polls quickly."""
    poll_interval = PollInterval(first=0.05, factor=1.0, most=0.05)
    return Client(adapters(bases), ledger=ledger, timeouts=Timeouts(poll_interval=poll_interval))


def buy(bases: Mapping[str, Any], folder: Path, first: int) -> None:
    """Buy and save until killed, from number *first* on.

    What is sent is written down before, only for who counts afterwards.
    """
    diary = (folder / "sent.jsonl").open("a")

    def one(number: int) -> None:
        def told(event: Event) -> None:
            if isinstance(event, Submitting):
                digest = event.receipt.digest
                diary.write(json.dumps({"digest": digest, "number": number}) + "\n")
                diary.flush()

        account = ACCOUNTS[number % len(ACCOUNTS)]
        result = client.generate(
            f"kite number {number}", size="1K", provider=account, on_progress=told
        )
        client.save(result.images[0], folder / f"picture-{number}")

    with (
        closing(SqliteLedger(folder / "ledger.sqlite3")) as ledger,
        client_of(bases, ledger) as client,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for _ in pool.map(one, range(first, first + 10_000)):
            pass


# -- counting ------------------------------------------------------------------------------------


@frozen
class Bought:
    """One task that the sandbox accepted."""

    provider: str
    task: str
    digest: str


@define
class Tally:
    """What became of the tasks of one sort of run.

    Attributes:
        found: Where each was right after its program had ended.
        after: Where each was in the end.
        twice: How many purchases were accepted more than once.
    """

    kills: int = 0
    found: Counter[str] = field(factory=Counter)
    after: Counter[str] = field(factory=Counter)
    twice: int = 0


def bought(sandbox: Sandbox, since: int = 0) -> list[Bought]:
    """Tasks that were accepted by the POSTs from number *since* on."""
    posts = sandbox.ledger()["posts"][since:]
    found = {
        (post["provider"], task): Bought(post["provider"], task, post["digest"])
        for post in posts
        if post["accepted"]
        for task in post["tasks"]
    }
    return list(found.values())


def settled(sandbox: Sandbox) -> None:
    """Wait until the sandbox has read what a killed program had sent."""
    before = -1
    while (posts := len(sandbox.ledger()["posts"])) != before:
        before = posts
        time.sleep(0.1)


def bases_of(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """Key and base URL of every provider."""
    return {
        name: {"api_key": sandbox.api_key(name), "base_url": sandbox.base_url(name)}
        for name in sandbox.providers
    }


def sandboxed(seed: int) -> Sandbox:
    """A sandbox whose pictures take their time on the line."""
    sandbox = Sandbox(latency=LATENCY, seed=seed)
    sandbox.fault("slow_body", op="download", seconds=SLOW, times=None)
    for name in sandbox.providers:
        sandbox.set_balance(name, 10**9)
        if "rates" in sandbox.switches()[name]:
            sandbox.switch(name, "rates", False)
    return sandbox


# -- the library ---------------------------------------------------------------------------------


def library(rounds: int, chance: random.Random) -> Tally:
    """Kill a buying program *rounds* times over one ledger, then go on from the ledger."""
    tally = Tally(kills=rounds)
    with tempfile.TemporaryDirectory() as there, running(sandboxed(chance.getrandbits(32))) as box:
        folder, bases = Path(there), bases_of(box)
        for _ in range(rounds):
            seen = len(box.ledger()["posts"])
            first = max(diary(folder).values(), default=-1) + 1
            program = [__file__, "--buy", json.dumps(bases), there, str(first)]
            with subprocess.Popen([sys.executable, *program]) as process:
                wait_until(lambda: len(box.ledger()["posts"]) > seen, process)  # noqa: B023
                time.sleep(chance.uniform(0, 4 * (LATENCY + SLOW)))
                process.kill()
            settled(box)
            with closing(SqliteLedger(folder / "ledger.sqlite3")) as ledger:
                holds = ledger.open()
            tally.found.update(place(one, folder, holds) for one in bought(box, seen))
        everything = bought(box)
        numbers = Counter(diary(folder)[one.digest] for one in everything)
        tally.twice = sum(n > 1 for n in numbers.values())
        with closing(SqliteLedger(folder / "ledger.sqlite3")) as ledger:
            with client_of(bases, ledger) as client:
                for hold in ledger.open():
                    go_on(client, hold, folder)
            holds = ledger.open()
        tally.after.update(place(one, folder, holds) for one in everything)
    return tally


def diary(folder: Path) -> dict[str, int]:
    """The number of each purchase by the digest of what was sent; a cut last line is left out."""
    path = folder / "sent.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    read = [json.loads(line) for line in lines if line.endswith("}")]
    return {one["digest"]: one["number"] for one in read}


def place(one: Bought, folder: Path, holds: Iterable[Hold]) -> str:
    """Where a task is, by what its owner can see."""
    number = diary(folder).get(one.digest)
    if number is not None and any(folder.glob(f"picture-{number}.*")):
        return "on disk"
    for hold in holds:
        sent = hold.receipt is not None and hold.receipt.digest == one.digest
        if sent or (hold.job is not None and hold.job.id == one.task):
            return f"ledger: {hold.state}"
    return "lost"


def go_on(client: Client, hold: Hold, folder: Path) -> None:
    """What the README says about each state of a purchase that is listed."""
    # The ledger writes before the diary: a kill between the two leaves a hold and nothing sent.
    number = diary(folder).get(hold.receipt.digest) if hold.receipt is not None else None
    images, job = hold.images, hold.job
    if hold.state == "submitting":
        assert hold.receipt is not None
        found = client.reconcile(hold.receipt)
        job = found if isinstance(found, Job) else None
    if not images and job is not None:
        images = client.wait(job).images
    for image in images:
        assert number is not None, f"bought without being written down: {hold}"
        client.save(image, folder / f"picture-{number}", force=True)


# -- the command ---------------------------------------------------------------------------------


def command(rounds: int, how: str, chance: random.Random) -> Tally:
    """End as many commands by the signal *how*, then go on from the files that they left."""
    tally = Tally(kills=rounds)
    with tempfile.TemporaryDirectory() as there, running(sandboxed(chance.getrandbits(32))) as box:
        config = Path(there) / "wanbridge.toml"
        config.write_text(settings(bases_of(box)))
        config.chmod(0o600)
        for turn in range(rounds):
            folder = Path(there) / f"run-{turn}"
            folder.mkdir()
            seen = len(box.ledger()["posts"])
            words = ["generate", f"kite number {turn}", "--size", "1K"]
            words += ["--provider", ACCOUNTS[turn % len(ACCOUNTS)], "-o", str(folder)]
            with started([*words, "--config", str(config)]) as process:
                wait_until(lambda: any(folder.iterdir()), process)  # noqa: B023 - runs here
                # Now and then it has ended before.
                time.sleep(chance.uniform(0, CADENCE))
                process.send_signal(getattr(signal, f"SIG{how}"))
                process.wait(60)
            settled(box)
            mine = bought(box, seen)
            tally.found.update(left(one, folder) for one in mine)
            tally.twice += len(mine) > 1
            for name, files in GO_ON:
                for file in sorted(folder.glob(files)):
                    words = [name, str(file), "-o", str(folder), "--config", str(config)]
                    with started(words) as process:
                        process.wait(60)
            tally.after.update(left(one, folder) for one in mine)
    return tally


def started(words: list[str]) -> subprocess.Popen[bytes]:
    """The command; it hears Ctrl-C although whoever started this may have ignored it."""
    program = (
        "import signal, sys; from wanbridge.cli import main;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", program, *words], **quiet)  # type: ignore[call-overload,no-any-return]


def settings(bases: Mapping[str, Any]) -> str:
    """A configuration with all of `ACCOUNTS`."""
    lines = []
    for account in ACCOUNTS:
        name, _, mode = account.partition("-")
        lines += [f"[providers.{account}]", f'adapter = "{name}"']
        lines += [f'{key} = "{value}"' for key, value in bases[name].items()]
        lines += [f'mode = "{mode}"'] if mode else []
    return "\n".join(lines) + "\n"


def left(one: Bought, folder: Path) -> str:
    """Where a task is, by what the command has left in its folder."""
    if any(not file.name.startswith(".") for file in folder.glob("*.[pjw][npe][gb]*")):
        return "on disk"
    for file in folder.glob("*.job.json"):
        if Job.from_json(file.read_text()).id == one.task:
            return "job file"
    if any(folder.glob("*.result.json")):
        return "result file"
    for file in folder.glob("*.receipt.json"):
        if Receipt.from_json(file.read_text()).digest == one.digest:
            return "receipt file"
    return "lost"


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait until *condition* holds or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.005)


# -- the table -----------------------------------------------------------------------------------


def campaign(rounds: int, seed: int) -> dict[str, Tally]:
    """Every sort of run by its name."""
    chance = random.Random(seed)
    tallies = {"library, KILL": library(rounds, chance), "command, KILL": None}
    tallies["command, KILL"] = command(rounds, "KILL", chance)
    for how in CAUGHT:
        tallies[f"command, {how}"] = command(len(ACCOUNTS), how, chance)
    return {name: tally for name, tally in tallies.items() if tally is not None}


def table(tallies: Mapping[str, Tally]) -> str:
    """Markdown: where every accepted task was after the kill, and in the end."""
    rows = [
        f"| run | kills | accepted | {' | '.join(PLACES)} | bought twice |",
        "|" + " --- |" * (len(PLACES) + 4),
    ]
    for name, tally in tallies.items():
        for when, counter in (("", tally.found), (", gone on with", tally.after)):
            cells = [str(counter[place] or "") for place in PLACES[:-1]] + [str(counter["lost"])]
            shown = [name + when, "" if when else tally.kills, counter.total(), *cells, tally.twice]
            rows.append(f"| {' | '.join(map(str, shown))} |")
    return "\n".join(rows)


def main() -> int:
    """Print the table and, unless told otherwise, write it; exit 1 if a picture is lost."""
    parser = argparse.ArgumentParser(description="Kills while pictures are bought.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--print", action="store_true", help="write no file")
    parser.add_argument("--buy", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.buy:
        bases, folder, first = given.buy
        buy(json.loads(bases), Path(folder), int(first))
        return 0
    tallies = campaign(given.rounds, given.seed)
    shown = table(tallies)
    print(shown)
    if not given.print:
        (RESULTS / "kills.md").write_text(HEAD.format(**facts(given.seed)) + shown + "\n")
    return int(any(t.found["lost"] + t.after["lost"] + t.twice for t in tallies.values()))


HEAD = """# Killed while it buys

`python benchmarks/kills.py --seed {seed}`, {day}, wanbridge {version}, Python {python}, {system}.

Each row counts the tasks that the sandbox accepted, by where their owner finds them right after the
kill; *gone on with* is what came of it: `ledger.open()` as the README says, `wanbridge fetch` and
`wanbridge reconcile` of the files that were left. What stays `submitting` or a receipt is of
providers that have no look-up, or whose look-up leaves the choice to the owner.

"""


def facts(seed: int) -> dict[str, object]:
    """What the head of the table says."""
    return {
        "seed": seed,
        "day": datetime.now(UTC).date(),
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()}, {os.cpu_count()} cores",
    }


if __name__ == "__main__":
    sys.exit(main())
