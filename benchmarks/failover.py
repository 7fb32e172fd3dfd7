"""Every fault of the sandbox at a first provider, with every second provider behind it.

Each row is one logical call by a route of two, in a sandbox of its own, whose ledger counts.
What the call leaves behind is followed up as its user would: a job is waited for, a receipt is
looked up and, if the provider cannot tell, adopted by the task id that the provider's console
would show. Money is counted in pictures, so that providers can be added up: each is one price.

    python benchmarks/failover.py            # print it, and write it to benchmarks/results
    python benchmarks/failover.py --print    # only print it

Time is the sandbox's own: sleeping moves it.
"""

from __future__ import annotations

import argparse
import csv
import logging
import platform
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from wanbridge import (
    CallbackReceiver,
    Client,
    ImageRequest,
    InputImage,
    Registry,
    Route,
    __version__,
)
from wanbridge.adapters.registry import BUILTIN
from wanbridge.client.base import sandboxed
from wanbridge.errors import AllProvidersFailed, CallFailed, Charge, WanbridgeError
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.sandbox import Sandbox
from wanbridge.sandbox.transport import SandboxTransport
from wanbridge.transport.library import httpx
from wanbridge.wire import HttpRequest

REQUEST = ImageRequest("a heron at dusk", size="1K")
PAIR = evolve(REQUEST, n=2)
# A provider that takes the money and loses or empties the task: nobody gets that picture.
LOST = ("lost_task", "empty_success", "fewer_images")
RESULTS = Path(__file__).parent / "results"
PROVIDERS = tuple(BUILTIN)
# Crun's name for input pictures is a guess.
ALLOWED: Mapping[str, Mapping[str, Any]] = {"crun": {"allow_unverified": True}}
# Every fault there is, at the first provider; those of callbacks are with a receiver for them.
FAULTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "accept_then_drop"},
    {"kind": "drop"},
    {"kind": "hang"},
    {"kind": "hang", "accept": False},
    {"kind": "rate_limit", "retry_after": 1},
    {"kind": "rate_limit", "retry_after": 60, "times": None},
    {"kind": "server_error", "status": 500},
    {"kind": "server_error", "status": 500, "accept": True},
    {"kind": "server_error", "status": 503, "times": None},
    {"kind": "html_error"},
    {"kind": "html_error", "accept": True},
    {"kind": "cut_body"},
    {"kind": "slow_body"},
    {"kind": "error_in_200"},
    {"kind": "no_credit"},
    {"kind": "unauthorized"},
    {"kind": "empty_success"},
    {"kind": "fewer_images"},  # of two
    {"kind": "refuse_content"},
    {"kind": "fail_generation"},
    {"kind": "lost_task", "times": None},
    {"kind": "dead_link"},
    {"kind": "accept_then_drop", "op": "poll", "times": 3},
    {"kind": "hang", "op": "poll", "times": 3},
    {"kind": "rate_limit", "op": "poll", "times": 3},
    {"kind": "server_error", "op": "poll", "times": 3},
    {"kind": "html_error", "op": "poll", "times": 3},
    {"kind": "error_in_200", "op": "poll"},
    {"kind": "unauthorized", "op": "poll"},
    {"kind": "early_callback"},
    {"kind": "lost_callback"},
    {"kind": "duplicate_callback"},
    {"kind": "forged_callback"},
    {"kind": "stale_callback"},
    # Not the sandbox's: a picture given by its bytes, without an object store.
    {"kind": "takes_no_data"},
)
_TAKES_DATA = {
    name
    for name in PROVIDERS
    if all("data" in o.limits.image_schemes for o in Registry().build(name).offers)
}


class Clock:
    """Wall and monotonic time of sandbox and client together."""

    def __init__(self) -> None:
        self.at = 1_795_000_000.0
        self.passes: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.passes()


@frozen(kw_only=True)
class Row:
    """What became of one call.

    Attributes:
        outcome: ``delivered by`` whom, or the error.
        posts: Billable POSTs at the first and at the second provider.
        charged: Pictures charged for at each, refunds taken off.
        money: What each took for them, in its own unit.
        pictures: Delivered by the call, and by following up what it left behind.
        follow_up: How the latter came, empty if there was nothing to follow up.
        seconds: The call took, on the sandbox's clock.
    """

    fault: str
    first: str
    second: str
    pays_again: bool
    outcome: str
    posts: tuple[int, int]
    charged: tuple[int, int]
    money: tuple[str, str]
    pictures: int
    follow_up: str
    seconds: float
    attempts: tuple[Attempt, ...] = field(repr=False)

    @property
    def even(self) -> bool:
        """Whether as many pictures came as were charged for."""
        return sum(self.charged) == self.pictures

    @property
    def kept(self) -> bool:
        """Whether the first provider kept money for a picture that it lost, and nobody else was
        paid for it.
        """
        lost = self.fault.partition(" ")[0] in LOST
        return lost and self.charged[0] > self.pictures and self.charged[1] == 0

    @property
    def unsafe(self) -> bool:
        """Whether somebody was asked after an outcome that nobody knew, without ``pay_again``."""
        open_ = [a.charge is Charge.MAYBE for a in self.attempts[:-1]]
        return any(open_) and not self.pays_again


def name_of(fault: Mapping[str, Any]) -> str:
    """``server_error status=500``."""
    options = [f"{k}={v}" for k, v in fault.items() if k != "kind" and v is not None]
    times = ["always"] if fault.get("times", 1) is None else []
    return " ".join([fault["kind"], *options, *times])


def pairs(fault: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The first and the second provider of each call with *fault*."""
    for first in PROVIDERS:
        for second in PROVIDERS:
            if fault["kind"] == "takes_no_data":
                if first not in _TAKES_DATA and second in _TAKES_DATA:
                    yield first, second
            elif first != second:
                yield first, second


def photo() -> ImageRequest:
    """`REQUEST` as an edit of a picture given by its bytes."""
    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (512, 512), "teal").save(file, "PNG")
    return evolve(REQUEST, images=(InputImage.from_bytes(file.getvalue()),))


def run(fault: Mapping[str, Any], first: str, second: str, *, pays_again: bool = False) -> Row:
    """One call with *fault* at *first*, and *second* to go on to."""
    clock = Clock()
    sandbox = Sandbox(clock=clock)
    request = PAIR if fault["kind"] == "fewer_images" else REQUEST
    if fault["kind"] == "takes_no_data":
        request = photo()
    else:
        sandbox.fault(**fault, provider=first)
    route = Route((first, second), on_uncertain="pay_again" if pays_again else "stop")
    options: Any = {"clock": clock, "now": clock.now, "chance": random.Random(1).random}
    if "callback" in fault["kind"]:
        options["callbacks"] = called_back(sandbox, clock)
    _, adapters = sandboxed(sandbox, Registry(), ALLOWED)
    http = httpx.Client(transport=SandboxTransport(sandbox))
    with http, Client(adapters, http=http, sleep=clock.sleep, **options) as client:
        began = clock()
        result, error = None, None
        try:
            result = client.generate(request, route=route)
        except WanbridgeError as exc:
            error = exc
        seconds = clock() - began
        attempts: tuple[Attempt, ...] = getattr(result or error, "attempts", ())
        pictures, how = len(result.images) if result else 0, []
        for handle in _left(attempts):
            sandbox.set_faults(())
            came, said = _followed(client, sandbox, handle)
            pictures += came
            how.append(said)
    return Row(
        fault=name_of(fault),
        first=first,
        second=second,
        pays_again=pays_again,
        outcome=f"delivered by {result.provider}" if result else _said(error),
        posts=(_posts(sandbox, first), _posts(sandbox, second)),
        charged=(_charged(sandbox, first), _charged(sandbox, second)),
        money=(_money(sandbox, first), _money(sandbox, second)),
        pictures=pictures,
        follow_up=", ".join(how),
        seconds=seconds,
        attempts=attempts,
    )


def called_back(sandbox: Sandbox, clock: Clock) -> CallbackReceiver:
    """A receiver that the providers of *sandbox* reach whenever time passes."""
    _, adapters = sandboxed(sandbox, Registry())
    receiver = CallbackReceiver(
        adapters,
        "https://app.example.com/hooks",
        signing_keys={"kie": [sandbox.webhook_key("kie")]},
        now=clock.now,
    )

    def receive(request: HttpRequest) -> int:
        path = urlsplit(request.url).path
        return receiver.handle(request.method, path, request.headers, request.body).status

    sandbox.on_callback = receive
    clock.passes = sandbox.deliver
    return receiver


def _said(error: WanbridgeError | None) -> str:
    if isinstance(error, AllProvidersFailed):
        return f"all failed: {', '.join(type(e).__name__ for e in error.exceptions)}"
    if isinstance(error, CallFailed):
        return f"{type(error).__name__} ({error.charge})"
    return type(error).__name__


def _left(attempts: tuple[Attempt, ...]) -> Iterator[Job | Receipt]:
    for attempt in attempts:
        handle = attempt.job or attempt.receipt
        if handle is not None and attempt.charge is not Charge.NO:
            yield handle


def _followed(client: Client, sandbox: Sandbox, handle: Job | Receipt) -> tuple[int, str]:
    """Pictures that come of what a call left behind, and how."""
    how = "waited for"
    if isinstance(handle, Receipt):
        found = client.reconcile(handle)
        how = "looked up"
        if not isinstance(found, Job):
            tasks = [t for t in sandbox.tasks() if t["provider"] == handle.provider]
            if not tasks:
                return 0, "was not accepted"
            found, how = client.adopt(handle, tasks[0]["id"]), "adopted"
        handle = found
    try:
        result: ImageResult = client.wait(handle)
    except CallFailed as exc:
        return 0, f"{how}: {type(exc).__name__}"
    return len(result.images), how


def _posts(sandbox: Sandbox, provider: str) -> int:
    return sum(post["provider"] == provider for post in sandbox.ledger()["posts"])


def _charged(sandbox: Sandbox, provider: str) -> int:
    charges = sandbox.ledger()["charges"]
    return sum(c["images"] for c in charges if c["provider"] == provider and not c["refunded"])


def _money(sandbox: Sandbox, provider: str) -> str:
    total = sandbox.ledger()["totals"][provider]
    return f"{total['charged']} {total['currency']}"


def campaign(faults: tuple[Mapping[str, Any], ...] = FAULTS) -> Iterator[Row]:
    """Every fault at every pair of providers, stopping and paying again."""
    for pays_again in (False, True):
        for fault in faults:
            for first, second in pairs(fault):
                yield run(fault, first, second, pays_again=pays_again)


# -- the table -------------------------------------------------------------------------------


def summary(rows: Iterable[Row]) -> list[list[str]]:
    """One line for each fault, first provider and outcome; second providers that agree together."""
    agreeing: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        key = (
            row.fault,
            row.first,
            row.outcome.replace(f"by {row.second}", "by the second"),
            " + ".join(map(str, row.posts)),
            " + ".join(map(str, row.charged)),
            str(row.pictures),
            _verdict(row),
            row.follow_up,
        )
        agreeing.setdefault(key, []).append(row.second)
    all_others = len(PROVIDERS) - 1
    return [
        [*key[:2], "each other" if len(seconds) == all_others else ", ".join(seconds), *key[2:]]
        for key, seconds in agreeing.items()
    ]


def _verdict(row: Row) -> str:
    if row.even:
        return "even"
    if row.pays_again:
        return "pay_again"
    return f"{row.first} kept the money" if row.kept else "UNEVEN"


COLUMNS = (
    *("fault", "first", "second", "outcome", "billable POSTs", "charged", "pictures"),
    *("charged = pictures", "what was left"),
)


def markdown(rows: list[Row]) -> str:
    """The whole report."""
    stop = [row for row in rows if not row.pays_again]
    again = [row for row in rows if row.pays_again]
    parts = [
        "# Failover under every fault",
        "",
        f"wanbridge {__version__}, Python {platform.python_version()}, written by"
        " `python benchmarks/failover.py`. A route of two; the fault strikes at the first. POSTs,"
        " charges and pictures are those of the first plus the second provider, counted by the"
        " sandbox. *Pictures* are delivered by the call or by following up the job or receipt that"
        " it left, as the last column says. `failover.csv` has every pair in a row of its own.",
        "",
        f'{len(stop)} calls with `on_uncertain = "stop"`:'
        f" {_count(row.even for row in stop)} charged exactly what was delivered,"
        f" {_count(row.kept for row in stop)} were charged by a provider that lost or emptied the"
        " task itself and were not paid again,"
        f" {_count(not row.even and not row.kept for row in stop)} anything else. Submits after"
        f" an outcome that nobody knew: {sum(row.unsafe for row in stop)}.",
        "",
        "## on_uncertain = stop",
        "",
        *_table(summary(stop)),
        "",
        "## on_uncertain = pay_again",
        "",
        "Only rows that differ from those above.",
        "",
        *_table([line for line in summary(again) if line not in summary(stop)]),
        "",
    ]
    return "\n".join(parts)


def _count(flags: Iterable[bool]) -> int:
    return sum(map(bool, flags))


def _table(lines: list[list[str]]) -> Iterator[str]:
    for line in (list(COLUMNS), ["---"] * len(COLUMNS), *lines):
        yield f"| {' | '.join(line)} |"


HEADER = (
    *("fault", "first", "second", "on_uncertain", "outcome", "posts_first", "posts_second"),
    *("charged_first", "charged_second", "money_first", "money_second", "pictures", "verdict"),
    *("what_was_left", "seconds"),
)


def cells(row: Row) -> list[str]:
    """A row of the file, as of `HEADER`."""
    policy = "pay_again" if row.pays_again else "stop"
    facts = (row.fault, row.first, row.second, policy, row.outcome)
    counts = (*row.posts, *row.charged, *row.money, row.pictures)
    end = (_verdict(row), row.follow_up, f"{row.seconds:.0f}")
    return [str(cell) for cell in (*facts, *counts, *end)]


def main() -> int:
    """Run the campaign; 1 if a row under ``stop`` is uneven."""
    parser = argparse.ArgumentParser(description="Every fault at every pair of providers.")
    parser.add_argument("--print", action="store_true", help="print the table, write nothing")
    options = parser.parse_args()
    logging.getLogger("wanbridge").setLevel(logging.ERROR)
    rows = list(campaign())
    text = markdown(rows)
    print(text)
    if not options.print:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "failover.md").write_text(text, "utf-8")
        with (RESULTS / "failover.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *map(cells, rows)])
    return int(any(row.unsafe or not (row.even or row.kept or row.pays_again) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
