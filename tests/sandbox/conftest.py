"""A sandbox with a clock of its own."""

from __future__ import annotations

import pytest

from sandbox_calls import Caller, Clock
from wanbridge.sandbox import Sandbox


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return Sandbox(["reapi", "runware"], clock=clock, latency=10)


@pytest.fixture
def reapi(sandbox: Sandbox, clock: Clock) -> Caller:
    return Caller(sandbox, "reapi", clock)


@pytest.fixture
def runware(sandbox: Sandbox, clock: Clock) -> Caller:
    return Caller(sandbox, "runware", clock)
