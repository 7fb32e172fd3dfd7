"""Waiting for an accepted job: when to poll, what a poll means, when to give up."""

from __future__ import annotations

from typing import cast

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import (
    Delivery,
    Done,
    Missing,
    Op,
    Pending,
    Step,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, JobKey, Send, Sleep, Wake
from wanbridge.engine.events import Polled
from wanbridge.engine.exchanges import read_reply, reply_most
from wanbridge.engine.pacing import wait_for_rate
from wanbridge.errors import (
    AuthenticationFailed,
    CallFailed,
    Charge,
    DeadlineExceeded,
    GenerationFailed,
    ProviderError,
    TaskLost,
    TransportFailed,
)
from wanbridge.model.jobs import Job
from wanbridge.wire import HttpResponse

# What the poll at a deadline may take beyond it, in seconds: it may bring what is paid for.
LAST_POLL = 2.0
# Where a provider calls back, polls only have to find out about a call that was lost.
SLOWER = 4.0
SLOW_MOST = 30.0


def finish(
    adapter: Adapter, step: Step, *, context: CallContext, until: float, job: Job | None = None
) -> Flow[tuple[Delivery, Job | None]]:
    """Poll until the job has ended or *until* has passed; news bring the next poll forward."""
    began, polls, misses = context.clock(), 0, 0
    rhythm, trouble = PollTimer(adapter, context), None
    while not isinstance(step, Done):
        if isinstance(step, Pending):
            job, misses, asked = step.job, 0, step.retry_after
        else:
            misses, asked = misses + 1, None
        assert job is not None  # only a poll, which needs a job, says Missing
        if (
            misses >= 2
            and age_of(job, context) > adapter.offer(job.request.model).limits.missing_grace
        ):
            assert isinstance(step, Missing)
            raise TaskLost(adapter.account, f"job {job.id}: {step.message}", Charge.MAYBE, job)
        if (left := until - context.clock()) <= 0:
            message = f"job {job.id} is still pending; wait for error.job to go on"
            raise DeadlineExceeded(adapter.account, message, Charge.MAYBE, job) from trouble
        yield from rhythm.rest(job, asked, left)
        step, trouble = yield from poll(adapter, job, context, until)
        polls += 1
        context.report(
            Polled(
                job=step.job if isinstance(step, Pending) else job,
                polls=polls,
                progress=step.progress if isinstance(step, Pending) else None,
                seconds=context.clock() - began,
                trouble=str(trouble) if trouble else None,
            )
        )
    if not step.delivery.images:
        raise GenerationFailed(
            adapter.account, "completed without an image", Charge.MAYBE, job, final=True
        )
    return step.delivery, job


# -- submitting --------------------------------------------------------------------------

REPLY_STATE = "wanbridge.reply"


# -- waiting -----------------------------------------------------------------------------


class PollTimer:
    """The waits between polls: by the poll interval, longer where the provider calls back.

    After news it is the poll interval again: one picture of several may have come, or the news may
    be ahead of what a poll sees.
    """

    def __init__(self, adapter: Adapter, context: CallContext) -> None:
        self._context = context
        self._interval = context.timeouts.poll_interval or adapter.poll_interval
        self.wait_for_rate, self._most = self._interval.first, self._interval.most
        self._seen = 0
        self._fresh = True

    def rest(self, job: Job, asked: float | None, left: float) -> Flow[None]:
        """Wait for the next poll, at least *asked* seconds if the provider said, at most *left*."""
        if self._fresh:
            self._begin(job)
        pause = max(self._before_it_goes(job), asked or 0.0)
        self.wait_for_rate = min(self.wait_for_rate * self._interval.factor, self._most)
        wake = Wake(JobKey.of(job), self._seen) if self._context.callbacks is not None else None
        news = cast("int | None", (yield Sleep(min(pause, left), wake)))
        if news is not None and news > self._seen:
            self._seen, self.wait_for_rate = news, self._interval.first

    def _begin(self, job: Job) -> None:
        """Slow down if a callback is to come, unless the caller said how often to poll."""
        self._fresh = False
        callbacks, own = self._context.callbacks, self._context.timeouts.poll_interval
        if callbacks is None or own is not None or not callbacks.expects(job):
            return
        self._most = max(self._most, min(self._most * SLOWER, SLOW_MOST))
        self.wait_for_rate = min(self.wait_for_rate * SLOWER, self._most)

    def _before_it_goes(self, job: Job) -> float:
        """The pause, shorter where the provider would have dropped the job by then."""
        pause = self._context.jittered(self.wait_for_rate)
        if job.collect_by is None:
            return pause
        half = (job.collect_by - self._context.now()).total_seconds() / 2
        return pause if half <= 0 else min(pause, max(half, self._interval.first))


def poll(
    adapter: Adapter, job: Job, context: CallContext, until: float
) -> Flow[tuple[Step, CallFailed | None]]:
    """Poll once: the step, and the failure if the poll says nothing of the job."""
    if (reply := job.state.get(REPLY_STATE)) is not None:
        return replay(adapter, job, reply), None
    rate = adapter.offer(job.request.model).limits.rates.polls
    try:
        yield from wait_for_rate(adapter, "polls", rate, context, until)
        message = read_reply(adapter, lambda: adapter.poll(job))
        send = Send(
            account=adapter.account,
            request=message,
            within=max(until - context.clock(), LAST_POLL),
            most=reply_most(adapter, job.request),
        )
        response = cast("HttpResponse", (yield send))
        error = read_reply(adapter, lambda: adapter.failure(response, op=Op.POLL, job=job))
        if error is not None:
            raise error
        return read_reply(adapter, lambda: adapter.read_poll(response, job)), None
    except CallFailed as exc:
        exc.job = job
        if ends_job(exc):
            raise
        asked = exc.retry_after if isinstance(exc, ProviderError) else None
        return Pending(job, retry_after=asked), exc


def ends_job(error: CallFailed) -> bool:
    """Whether a failed poll ends the wait; a transport failure or a busy provider does not."""
    if isinstance(error, ProviderError):
        return error.final or isinstance(error, AuthenticationFailed)
    return not isinstance(error, TransportFailed)


def replay(adapter: Adapter, job: Job, reply: dict[str, object]) -> Step:
    """The step of a job that was done at once, read again from the reply that it stores."""
    response = HttpResponse(
        status=cast("int", reply["status"]),
        body=cast("str", reply["body"]).encode(),
        received_at=job.submitted_at,
    )
    return read_reply(adapter, lambda: adapter.read_submission(response, job.request, key=job.key))


def age_of(job: Job, context: CallContext) -> float:
    """Seconds since the job was accepted, by wall time: it may have been another process."""
    return (context.now() - job.submitted_at).total_seconds()
