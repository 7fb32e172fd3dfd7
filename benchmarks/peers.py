"""One picture by two providers, the first of which fails: LiteLLM's Router and wanbridge.

Both are given two providers, a time limit and one logical request, against the same server:
``peers/server.py``, whose one implementation of each fault answers both with the same bytes. It
counts the orders that reach it and those it takes, which are those that would be charged. It is
not wanbridge's own sandbox, for a server made for one of the peers is no judge of both, and is
short enough to be read by whoever doubts the figures.

Every case is a process of its own with a fresh Router or Client, so that no cool-down leaks into
the next. Each peer lives in a virtual environment of its own. LiteLLM's takes 370 MB, is made on
the first run and then kept as it is; wanbridge is installed from this checkout each time.

    python benchmarks/peers.py                # two minutes; write benchmarks/results/peers.md
    python benchmarks/peers.py --print        # only print it
    python benchmarks/peers.py --json         # only print it, as JSON
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

# The newest on 2026-11-21. The version matters: 1.106.2 sent three times as often.
LITELLM = "1.109.1"
TIMEOUT_SECONDS = 2
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "peers.md"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wanbridge-benchmarks"

# By the name that the server knows them by; nobody listens where a connection is refused.
FAULTS = {
    "ok": "none",
    "drop": "order taken, connection dropped",
    "hang": "order taken, no answer",
    "500-taken": "order taken, 500",
    "500": "500, order not taken",
    "429": "429 with Retry-After: 1",
    "402": "402",
    "400": "400",
    "empty": "order taken, success without a picture",
    "refused": "connection refused",
}


@dataclass(frozen=True)
class Setup:
    """One peer as it is set up.

    Attributes:
        peer: Whose environment and script.
        name: Heads a column.
        doc: What is not the peer's default.
        options: For the script.
    """

    peer: str
    name: str
    doc: str
    options: Mapping[str, Any]


# The slowest first: two run at a time.
SETUPS = (
    Setup(
        "litellm",
        "LiteLLM",
        "Router with `fallbacks`, all else its defaults",
        {"retries": None},
    ),
    Setup(
        "litellm",
        "LiteLLM, no retries",
        "`num_retries=0` for the Router, `max_retries=0` for both deployments",
        {"retries": 0},
    ),
    Setup(
        "wanbridge",
        "wanbridge",
        "`Route(('one', 'two'))`, all else its defaults",
        {"on_uncertain": "stop"},
    ),
    Setup(
        "wanbridge",
        "wanbridge, pay again",
        "`on_uncertain='pay_again'`: rather a second charge than no picture",
        {"on_uncertain": "pay_again"},
    ),
)


@dataclass(frozen=True)
class Case:
    """How one logical request ended.

    Attributes:
        posts: Orders that reached provider one and two.
        charged: Those of them that were taken.
        images: Delivered to the caller.
        seconds: From the call to its outcome, without import and set-up.
        outcome: Whose picture, or the class of the error.
        message: Of the error.
    """

    setup: str
    fault: str
    posts: tuple[int, int]
    charged: tuple[int, int]
    images: int
    seconds: float
    outcome: str
    message: str | None


# -- environments ------------------------------------------------------------------------------


def environment(home: Path, *requirements: str, keep: bool) -> Path:
    """The Python of a virtual environment with *requirements*; *keep* leaves one that is there."""
    python = home / "bin" / "python"
    if not (keep and python.exists()):
        venv.create(home, clear=True, with_pip=True)
        try:
            _pip(python, "install", "-qq", *requirements)
        except subprocess.CalledProcessError:
            shutil.rmtree(home)
            raise
    return python


def _pip(python: Path, *words: str, check: bool = True) -> str:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *words]
    return subprocess.run(command, check=check, stdout=subprocess.PIPE, text=True).stdout


def checkout() -> str:
    """The commit of this checkout, and whether the package differs from it."""
    git = partial(subprocess.run, cwd=HERE, check=True, capture_output=True, text=True)
    commit = git(["git", "rev-parse", "--short", "HEAD"]).stdout.strip()
    changed = git(["git", "status", "--porcelain", "--", "../wanbridge"]).stdout
    return f"{commit}, with changes" if changed else commit


# -- one case ----------------------------------------------------------------------------------


@contextmanager
def served() -> Iterator[tuple[str, str]]:
    """The server's URL, and one where nobody listens."""
    command = [sys.executable, str(HERE / "peers" / "server.py")]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        socket.socket() as nobody,
    ):
        nobody.bind(("127.0.0.1", 0))
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        finally:
            server.terminate()


def run(setup: Setup, fault: str, python: Path, server: str, nobody: str) -> tuple[Case, Any]:
    """One logical request in a process of its own; and the versions at work."""
    case = f"{server}/{SETUPS.index(setup)}-{fault}"
    given = {
        "one": nobody if fault == "refused" else f"{case}/one/{fault}/v1",
        "two": f"{case}/two/ok/v1",
        "timeout": TIMEOUT_SECONDS,
        **setup.options,
    }
    script = HERE / "peers" / f"with_{setup.peer}.py"
    done = subprocess.run(
        [str(python), str(script), json.dumps(given)],
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise SystemExit(f"{script.name} {setup.name}, {fault}:\n{done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    with urlopen(f"{case}/counts") as reply:
        one, two = json.load(reply).values()
    return (
        Case(
            setup=setup.name,
            fault=fault,
            posts=(one["posts"], two["posts"]),
            charged=(one["taken"], two["taken"]),
            images=len(said["urls"]),
            seconds=round(said["seconds"], 3),
            outcome=_outcome(said),
            message=said["message"],
        ),
        said["versions"],
    )


def _outcome(said: Mapping[str, Any]) -> str:
    if said["error"]:
        return f"{said['error']} (charge: {said['charge']})" if said["charge"] else said["error"]
    # http://127.0.0.1/<provider>/0.png
    return f"picture from {said['urls'][0].split('/')[3]}" if said["urls"] else "success, empty"


def run_all(cache: Path, litellm: str) -> dict[str, Any]:
    """Every setup with every fault; *litellm* is its version."""
    pythons = {
        "litellm": environment(cache / f"litellm-{litellm}", f"litellm=={litellm}", keep=True),
        "wanbridge": environment(cache / "wanbridge", str(HERE.parent), keep=False),
    }
    versions: dict[str, dict[str, str]] = {}
    with served() as (server, nobody), ThreadPoolExecutor(2) as pool:

        def cases(setup: Setup) -> list[Case]:
            ended = []
            for fault in FAULTS:
                case, versions[setup.peer] = run(setup, fault, pythons[setup.peer], server, nobody)
                print(f"{setup.name}: {fault}: {case.outcome}", file=sys.stderr)
                ended.append(case)
            return ended

        found = [case for listed in pool.map(cases, SETUPS) for case in listed]
    versions["wanbridge"]["wanbridge"] += f" ({checkout()})"
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}",
        "timeout_seconds": TIMEOUT_SECONDS,
        "versions": versions,
        "complaints": _pip(pythons["litellm"], "check", check=False).strip(),
        "cases": [asdict(case) for case in found],
    }


# -- tables ------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, its columns as wide as what is in them."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in cells
    )


def report(found: Mapping[str, Any]) -> str:
    """All of it as Markdown."""
    cases = {(case["setup"], case["fault"]): case for case in found["cases"]}
    names = [setup.name for setup in SETUPS]
    short, full = [], []
    for fault, title in FAULTS.items():
        short.append([title, *(_brief([cases[name, fault]]) for name in names)])
        for name in names:
            case = cases[name, fault]
            sums = [f"{one} + {two}" for one, two in (case["posts"], case["charged"])]
            seconds = f"{case['seconds']:.2f}"
            full.append([title, name, *sums, case["images"], seconds, case["outcome"]])
    short.append(["all", *(_brief([cases[name, f] for f in FAULTS]) for name in names)])
    versions = "; ".join(
        ", ".join(f"{name} {number}" for name, number in one.items())
        for one in found["versions"].values()
    )
    setups = "\n".join(f"- **{setup.name}**: {setup.doc}." for setup in SETUPS)
    columns = ("fault of provider one", "peer", "POSTs", "charged", "pictures", "s", "outcome")
    return f"""# One picture, two providers, the first of which fails

`python benchmarks/peers.py`, {found["date"]}, {found["machine"]}.
{versions}.
`pip check` of LiteLLM's environment: {found["complaints"]}

Provider two is always well. Both peers give each HTTP exchange {found["timeout_seconds"]} s and
are sent the same bytes by the same server, which counts the orders (POSTs) and those that it takes
and so would charge. Of a lost reply, a silence and a 500 no client can tell which it was.

{setups}

## Orders

POSTs to one + two / charged / pictures delivered:

{table(("fault of provider one", *names), short)}

With `SubmissionUncertain` the caller holds a receipt to look the order up by. wanbridge has done
so before it gives up; this provider's list of jobs shows nothing that could settle it, so here
the picture is lost and the decision to pay again is the caller's, or the route's.

## In full

Seconds are from the call to its outcome, the first of a process, without import and set-up; two
cases ran at a time.

{table(columns, full)}
"""


def _brief(cases: Sequence[Mapping[str, Any]]) -> str:
    one, two = (sum(case["posts"][i] for case in cases) for i in (0, 1))
    charged = sum(sum(case["charged"]) for case in cases)
    return f"{one} + {two} / {charged} / {sum(case['images'] for case in cases)}"


def main() -> None:
    """Run everything; write or print it."""
    parser = argparse.ArgumentParser(description="LiteLLM and wanbridge where providers fail.")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where environments are kept")
    parser.add_argument("--litellm", default=LITELLM, metavar="VERSION")
    parser.add_argument("--print", action="store_true", help="write no file")
    parser.add_argument("--json", action="store_true", help="write no file, print JSON")
    given = parser.parse_args()
    found = run_all(given.cache, given.litellm)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    text = report(found)
    print(text)
    if not given.print:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
