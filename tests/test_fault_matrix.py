"""The fault matrix: every provider, every fault, both clients; one typed outcome, paid once.

    pytest -q tests/test_fault_matrix.py --table

The sandbox's ledger counts, not the client. Time is the sandbox's own: sleeping moves it.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import frozen

from sandbox_calls import SharedClock
from wanbridge import AsyncClient, Client, ImageRequest, errors
from wanbridge.adapters.registry import BUILTIN
from wanbridge.errors import CallFailed, Charge
from wanbridge.model.result import ImageResult
from wanbridge.sandbox import Sandbox

REQUEST = ImageRequest("a heron at dusk", n=2, size="1K")

# A cell: "delivered" or the error's name, whether it cost money, how many POSTs it took.
OK = "delivered yes 1"
AGAIN = "delivered yes 2"
UNKNOWN = "SubmissionUncertain maybe 1"


@frozen
class Row:
    """One fault, and what comes of it.

    Attributes:
        cell: At every provider that *but* does not name.
    """

    kind: str
    options: Mapping[str, Any]
    cell: str
    but: Mapping[str, str]

    @property
    def name(self) -> str:
        said = [f"{name}={value}" for name, value in self.options.items() if name != "retry_after"]
        return " ".join([self.kind, *said])

    def expected(self, provider: str) -> str:
        return self.but.get(provider, self.cell)


def row(kind: str, cell: str, but: Mapping[str, str] | None = None, **options: Any) -> Row:
    return Row(kind, options, cell, but or {})


# Runware's key is safe to send again: it waits for, or learns of, the task that there is.
SAME_KEY = {"runware": AGAIN}
FAILED, FREE = "GenerationFailed maybe 1", "GenerationFailed no 1"

ROWS = (
    row("accept_then_drop", UNKNOWN, SAME_KEY),
    row("drop", UNKNOWN, SAME_KEY),
    row("hang", UNKNOWN, SAME_KEY),
    row("hang", UNKNOWN, SAME_KEY, accept=False),
    # That Crun creates nothing with a 429 is not documented.
    row("rate_limit", AGAIN, {"crun": UNKNOWN}, retry_after=3),
    row("rate_limit", "RateLimited no 4", {"crun": UNKNOWN}, retry_after=3, times=None),
    row("server_error", UNKNOWN, SAME_KEY),
    row("server_error", UNKNOWN, {"runware": "SubmissionUncertain maybe 4"}, times=None),
    row("server_error", UNKNOWN, SAME_KEY, accept=True),
    row("server_error", UNKNOWN, SAME_KEY, status=500),
    row("server_error", UNKNOWN, SAME_KEY, status=502, accept=True),
    row("html_error", UNKNOWN, SAME_KEY),
    row("html_error", UNKNOWN, SAME_KEY, accept=True),
    row("html_error", UNKNOWN, SAME_KEY, status=503, accept=True),
    row("cut_body", UNKNOWN, SAME_KEY),
    row("error_in_200", UNKNOWN, SAME_KEY),
    row("no_credit", "CreditExhausted no 1"),
    row("unauthorized", "AuthenticationFailed no 1"),
    # Runware's polls say an empty list both for "nothing came" and for "no such task".
    row("empty_success", FAILED, {"runware": "TaskLost maybe 1"}),
    row("fewer_images", OK),
    row("slow_body", OK),
    # GCCAI has only its 400 for it; Crun and EmpirioLabs publish no code at all.
    row(
        "refuse_content",
        "ContentRefused no 1",
        {
            "runware": "ContentRefused maybe 1",
            "gccai": "RequestRejected no 1",
            "crun": FREE,
            "empiriolabs": FAILED,
        },
    ),
    # DashScope's failed task names its own server fault.
    row(
        "fail_generation",
        FREE,
        {"runware": FAILED, "empiriolabs": FAILED, "dashscope": "ProviderUnavailable no 1"},
    ),
    row("lost_task", "TaskLost maybe 1", times=None),
    row("accept_then_drop", OK, op="poll", times=3),
    row("hang", OK, op="poll", times=3),
    row("rate_limit", OK, op="poll", times=3),
    row("server_error", OK, op="poll", times=3),
    row("html_error", OK, op="poll", times=3),
    row("cut_body", OK, op="poll", times=3),
    row("error_in_200", OK, op="poll"),
    row("unauthorized", "AuthenticationFailed maybe 1", op="poll"),
)


def blocking(sandbox: Sandbox, clock: SharedClock, provider: str) -> ImageResult:
    options: Any = {"clock": clock, "now": clock.now, "chance": random.Random(1).random}
    with Client.sandbox(sandbox, sleep=clock.sleep, **options) as client:
        return client.generate(REQUEST, provider=provider)


def awaiting(sandbox: Sandbox, clock: SharedClock, provider: str) -> ImageResult:
    async def run() -> ImageResult:
        options: Any = {"clock": clock, "now": clock.now, "chance": random.Random(1).random}
        async with AsyncClient.sandbox(sandbox, sleep=clock.sleep_async, **options) as client:
            return await client.generate(REQUEST, provider=provider)

    return asyncio.run(run())


@pytest.mark.parametrize("run", [blocking, awaiting])
@pytest.mark.parametrize("provider", BUILTIN)
@pytest.mark.parametrize("row", ROWS, ids=[row.name.replace(" ", "-") for row in ROWS])
def test_one_call_is_one_billable_post(
    run: Callable[[Sandbox, SharedClock, str], ImageResult],
    provider: str,
    row: Row,
    record_property: Callable[[str, object], None],
) -> None:
    """Exactly one typed outcome, at most one task, and nothing accepted is lost."""
    clock = SharedClock()
    sandbox = Sandbox(clock=clock)
    sandbox.fault(row.kind, **row.options)
    result: ImageResult | None = None
    error: CallFailed | None = None

    try:
        result = run(sandbox, clock, provider)
    except CallFailed as exc:
        error = exc

    posts = sandbox.ledger()["posts"]
    outcome = "delivered yes" if error is None else f"{type(error).__name__} {error.charge}"
    cell = f"{outcome} {len(posts)}"
    record_property("fault matrix", (row.name, provider, cell))
    assert row.expected(provider) == cell, str(error)
    _assert_paid_once(sandbox, provider, row, posts)
    accepted = any(post["accepted"] for post in posts)
    if result is not None:
        assert accepted
        assert 2 == len(result.images) + result.shortfall
    if error is not None:
        assert type(error) is getattr(errors, type(error).__name__)
        assert not accepted or error.job is not None or error.receipt is not None
        if error.charge is Charge.NO:
            assert Decimal(0) == _charged(sandbox, provider)
    assert sandbox.api_key(provider) not in "\n".join(_said(result, error))


def test_the_matrix_is_whole() -> None:
    """Every provider there is, a dozen faults and more, no fault twice, no provider unknown."""
    assert 7 == len(BUILTIN)
    assert len(ROWS) == len({row.name for row in ROWS})
    assert 12 <= len({row.kind for row in ROWS})
    assert {provider for row in ROWS for provider in row.but} <= BUILTIN.keys()


def _charged(sandbox: Sandbox, provider: str) -> Decimal:
    return Decimal(sandbox.ledger()["totals"].get(provider, {}).get("charged", "0"))


def _price(provider: str) -> Decimal:
    """What the request costs where nothing goes wrong."""
    clock = SharedClock()
    sandbox = Sandbox(clock=clock)
    blocking(sandbox, clock, provider)
    return _charged(sandbox, provider)


def _assert_paid_once(
    sandbox: Sandbox, provider: str, row: Row, posts: list[dict[str, Any]]
) -> None:
    """At most one task and its price; a second POST only with a safe key or a sure refusal."""
    assert 1 == len({post["digest"] for post in posts})
    accepted = [post for post in posts if post["accepted"]]
    assert len(accepted) <= 1
    assert _charged(sandbox, provider) <= (_price(provider) if accepted else 0)
    if provider != "runware":
        assert not any(post["accepted"] for post in posts[:-1])


def _said(result: ImageResult | None, error: CallFailed | None) -> list[str]:
    """Whatever somebody could print of either."""
    said = [repr(result), repr(error), str(error)]
    if result is not None:
        said.append(result.to_json())
    if error is not None:
        said += traceback.format_exception(error)
        said += [h.to_json() for h in (error.job, error.receipt) if h is not None]
        said += [repr(attempt) for attempt in error.attempts]
    return said
