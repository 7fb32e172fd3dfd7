"""What can be gone on from, found on whatever a call ends with."""

from __future__ import annotations

import pytest

from example_provider import NOON
from wanbridge import Attempt, Job, Receipt, handle
from wanbridge.errors import (
    AllProvidersFailed,
    BudgetExceeded,
    Charge,
    ConfigurationError,
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    JobCancelled,
    Problem,
    ProviderUnavailable,
    RequestRejected,
    SubmissionUncertain,
)
from wanbridge.model.handles import Handles
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult

KEY = "k-1"
REQUEST = ImageRequest("a red kite")
BASE = "https://api.halide.example/v1"


def job(id: str = "t-1") -> Job:
    return Job(
        provider="halide",
        account="halide",
        base_url=BASE,
        id=id,
        request=REQUEST,
        submitted_at=NOON,
        key=KEY,
        state={},
    )


RECEIPT = Receipt(
    provider="halide",
    account="halide",
    base_url=BASE,
    key=KEY,
    request=REQUEST,
    digest="0" * 64,
    first_sent_at=NOON,
    last_sent_at=NOON,
)
RESULT = ImageResult(
    provider="halide",
    model="wan2.7-image",
    job_id="t-1",
    requested=1,
    images=(Image(url="https://x.example/1.png"),),
)
UNCERTAIN = SubmissionUncertain("halide", "no reply in time", receipt=RECEIPT)
PENDING = DeadlineExceeded("halide", "still pending", Charge.MAYBE, job())
BUSY = ProviderUnavailable("reapi", "busy", Charge.NO)


def marked(exc: BaseException, **handles: object) -> BaseException:
    """As the client marks an interruption."""
    Handles(**handles).mark(exc)  # type: ignore[arg-type]
    return exc


def raised(exc: BaseException, during: BaseException, *, cut: bool = False) -> BaseException:
    """*exc* as it is after it was raised while *during* was handled; *cut*: ``from None``."""
    try:
        try:
            raise during
        except BaseException:
            if cut:
                raise exc from None
            raise exc  # noqa: B904  the point: a context and no cause
    except BaseException as end:
        return end


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (UNCERTAIN, RECEIPT),
        (PENDING, job()),
        (marked(KeyboardInterrupt(), receipt=RECEIPT, job=job()), job()),
        (marked(RuntimeError(), job=job(), result=RESULT), RESULT),
        (marked(ConfigurationError("this client is closed"), job=job()), job()),
    ],
)
def test_an_exception_carries_its_own(exc: BaseException, expected: object) -> None:
    """Ours and others'; what is further along wins."""
    assert expected == handle(exc)


@pytest.mark.parametrize(
    "exc",
    [
        BUSY,
        GenerationFailed("reapi", "refunded", Charge.NO, job()),
        JobCancelled("dashscope", "cancelled while queued", Charge.NO, job()),
        InvalidRequest((Problem("$.n", "9: at most 4"),)),
        BudgetExceeded(Money("1", "USD"), Money("0", "USD")),
        AllProvidersFailed("nobody", [BUSY]),
        ValueError("a bug"),
        KeyboardInterrupt(),
    ],
)
def test_nothing_is_carried_where_nothing_was_bought(exc: BaseException) -> None:
    """A job that failed free of charge is none to go on with."""
    assert handle(exc) is None


def test_a_cause_carries_it() -> None:
    """``raise ... from``, or what was being handled; ``from None`` says they are two things."""
    wrapped = RuntimeError("my own")
    wrapped.__cause__ = UNCERTAIN

    assert RECEIPT == handle(wrapped)
    assert RECEIPT == handle(raised(TimeoutError(), marked(GeneratorExit(), receipt=RECEIPT)))
    assert handle(raised(TimeoutError(), UNCERTAIN, cut=True)) is None


def test_our_own_errors_say_it_themselves() -> None:
    """A second call that fails inside the ``except`` of a first one did not buy what that did."""
    assert handle(raised(InvalidRequest((Problem("$.n", "9: at most 4"),)), UNCERTAIN)) is None
    assert handle(raised(RequestRejected("reapi", "no", Charge.NO), UNCERTAIN)) is None


def test_a_group_carries_what_a_member_does() -> None:
    """Of a route that paid again, and of a task group."""
    route = AllProvidersFailed("nobody", [BUSY, UNCERTAIN])

    assert RECEIPT == handle(route)
    assert RECEIPT == handle(BaseExceptionGroup("tasks", [ValueError("a bug"), route]))


def test_an_earlier_attempt_carries_it() -> None:
    """The last provider refused free of charge; the first one may have been paid."""
    attempts = (
        Attempt(
            provider="kie", outcome="SubmissionUncertain", charge=Charge.MAYBE, receipt=RECEIPT
        ),
        Attempt(provider="reapi", outcome="GenerationFailed", charge=Charge.NO, job=job("t-2")),
    )
    refused = RequestRejected("reapi", "no", Charge.NO)
    refused.attempts = attempts

    assert RECEIPT == handle(refused)
    free = RequestRejected("reapi", "no", Charge.NO)
    free.attempts = attempts[1:]
    assert handle(free) is None


def test_strange_exceptions_are_looked_at_without_harm() -> None:
    """Circles, attributes of the same name with another meaning, long chains."""
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert handle(first) is None

    foreign = RuntimeError("of a scheduler")
    foreign.job, foreign.attempts = "nightly", 3  # type: ignore[attr-defined]
    assert handle(foreign) is None

    end: BaseException = UNCERTAIN
    for _ in range(5000):
        above = RuntimeError("around it")
        above.__cause__ = end
        end = above
    assert RECEIPT == handle(end)
