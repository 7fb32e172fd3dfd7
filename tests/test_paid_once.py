"""One logical call, one billable POST: every provider, every fault, both clients.

The sandbox's ledger counts, not the client. Time is the sandbox's own: sleeping moves it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from wanbridge import AsyncClient, Client, errors
from wanbridge.errors import CallFailed, Charge
from wanbridge.model import ImageResult
from wanbridge.sandbox import Sandbox

PROVIDERS = ("runware", "reapi", "dashscope")

# fault, options, then the outcome by provider where it differs: an error's name or "delivered".
FAULTS: list[tuple[str, dict[str, Any], str | dict[str, str]]] = [
    ("accept_then_drop", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("drop", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("hang", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("hang", {"accept": False}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("rate_limit", {"retry_after": 3}, "delivered"),
    ("rate_limit", {"retry_after": 3, "times": None}, "RateLimited"),
    ("server_error", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("server_error", {"accept": True}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("server_error", {"times": None}, "SubmissionUncertain"),
    ("html_error", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("html_error", {"accept": True}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("cut_body", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("error_in_200", {}, {"runware": "delivered", "*": "SubmissionUncertain"}),
    ("no_credit", {}, "CreditExhausted"),
    ("unauthorized", {}, "AuthenticationFailed"),
    # Runware's polls say an empty list both for "nothing came" and for "no such task".
    ("empty_success", {}, {"runware": "TaskLost", "*": "GenerationFailed"}),
    ("fewer_images", {}, "delivered"),
    ("slow_body", {}, "delivered"),
    ("refuse_content", {}, "ContentRefused"),
    # DashScope's failed task names its own server fault.
    ("fail_generation", {}, {"dashscope": "ProviderUnavailable", "*": "GenerationFailed"}),
    ("lost_task", {"times": None}, "TaskLost"),
    ("accept_then_drop", {"op": "poll", "times": 3}, "delivered"),
    ("hang", {"op": "poll", "times": 3}, "delivered"),
    ("rate_limit", {"op": "poll", "times": 3}, "delivered"),
    ("server_error", {"op": "poll", "times": 3}, "delivered"),
    ("html_error", {"op": "poll", "times": 3}, "delivered"),
    ("cut_body", {"op": "poll", "times": 3}, "delivered"),
    ("error_in_200", {"op": "poll"}, "delivered"),
    ("unauthorized", {"op": "poll"}, "AuthenticationFailed"),
]


class Clock:
    """Wall and monotonic time for sandbox and client together."""

    def __init__(self) -> None:
        self.at = 1_795_000_000.0

    def __call__(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


def blocking(sandbox: Sandbox, clock: Clock, provider: str) -> ImageResult:
    options: Any = {"clock": clock, "now": clock.now, "chance": random.Random(1).random}
    with Client.sandbox(sandbox, sleep=clock.sleep, **options) as client:
        return client.generate("a heron at dusk", n=2, size="1K", provider=provider)


def awaiting(sandbox: Sandbox, clock: Clock, provider: str) -> ImageResult:
    async def run() -> ImageResult:
        options: Any = {"clock": clock, "now": clock.now, "chance": random.Random(1).random}
        async with AsyncClient.sandbox(sandbox, sleep=clock.sleep_async, **options) as client:
            return await client.generate("a heron at dusk", n=2, size="1K", provider=provider)

    return asyncio.run(run())


@pytest.mark.parametrize("run", [blocking, awaiting])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    FAULTS,
    ids=[f"{k}{''.join(f'-{n}={v}' for n, v in o.items())}" for k, o, _ in FAULTS],
)
def test_one_call_is_one_billable_post(
    run: Callable[[Sandbox, Clock, str], ImageResult],
    provider: str,
    kind: str,
    options: dict[str, Any],
    expected: str | dict[str, str],
) -> None:
    """Exactly one typed outcome, at most one task, and nothing accepted is lost."""
    clock = Clock()
    sandbox = Sandbox(clock=clock)
    sandbox.fault(kind, **options)
    result: ImageResult | None = None
    error: CallFailed | None = None

    try:
        result = run(sandbox, clock, provider)
    except CallFailed as exc:
        error = exc

    outcome = "delivered" if error is None else type(error).__name__
    if isinstance(expected, dict):
        expected = expected.get(provider, expected["*"])
    assert expected == outcome, str(error)
    ledger = sandbox.ledger()
    accepted = [post for post in ledger["posts"] if post["accepted"]]
    assert len(accepted) <= 1
    assert 1 == len({post["digest"] for post in ledger["posts"]})
    _assert_posts_are_spent_once(provider, outcome, kind, ledger["posts"])
    if result is not None:
        assert 2 == len(result.images) + result.shortfall
        assert 1 == len(accepted)
    if error is not None and accepted:
        assert error.job is not None or error.receipt is not None
    if error is not None and error.charge is Charge.NO:
        charged = sandbox.ledger()["totals"].get(provider, {}).get("charged", "0")
        assert Decimal(0) == Decimal(charged)
    assert sandbox.api_key(provider) not in f"{error!s}{error!r}{result!r}"


def _assert_posts_are_spent_once(
    provider: str, outcome: str, kind: str, posts: list[dict[str, Any]]
) -> None:
    """Without a key that is safe, a second POST follows only a sure refusal."""
    if provider == "runware":
        assert len(posts) <= 4
    elif kind == "rate_limit":
        assert len(posts) <= 4
        assert not any(post["accepted"] for post in posts[:-1])
    else:
        assert 1 == len(posts)
    assert outcome in {"delivered", *(name for name in vars(errors) if name[0].isupper())}
