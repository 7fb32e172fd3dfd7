"""Conversations with providers, as generators that sync and async share.

A flow yields *effects*: ``Send`` this message, ``Sleep`` so long, and (for pictures) ``Resolve``
a host and ``Fetch`` a URL. A client carries them out and sends the reply in, or throws the
transport error in. So the whole of submitting, waiting and giving up stands once, and a test
plays the provider by hand::

    flow = generate(adapter, request, key="k", terms=terms)
    effect = next(flow)                 # Send(account="halide", request=HttpRequest(...))
    effect = flow.send(response)        # Sleep(seconds=2.0)

Retries are decided here and nowhere else. A *submit* is sent again only when it was surely
not accepted, or when the provider makes the same key safe; everything else about a submit
whose outcome is unknown ends in `SubmissionUncertain` with its receipt.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Literal, NoReturn, TypeVar, cast

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import DROPPABLE, Plan, plan, refuse_digests
from wanbridge.adapters.steps import (
    Delivery,
    Done,
    Exchange,
    Found,
    Missing,
    NotAccepted,
    Op,
    Pending,
    Resend,
    Step,
    StillUnknown,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.download import fetch_inline
from wanbridge.engine.effects import REPLY_MOST, Flow, JobKey, NotBegun, Send, Sleep, Wake
from wanbridge.engine.events import Accepted, Polled, Retrying, Submitting
from wanbridge.engine.rate_limits import Slot
from wanbridge.errors import (
    AuthenticationFailed,
    CallFailed,
    Charge,
    ConfigurationError,
    DeadlineExceeded,
    GenerationFailed,
    MalformedResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SubmissionUncertain,
    TaskLost,
    TransportFailed,
    WanbridgeError,
)
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.wire import HttpRequest, HttpResponse

T = TypeVar("T")
log = logging.getLogger("wanbridge")

SUBMIT_RETRIES = 3
# A second is also what Runware's own client gives a first send before it sends the same key
# again (runware-sdk 1.8.0, read 2026-11-20).
FIRST_BACKOFF = 1.0
MOST_BACKOFF = 30.0
# How long a key stays reserved is not documented (Runware, read 2026-11-20), so nothing is sent
# again later than two minutes after the first send.
RESEND_BEFORE = 120.0
# Of a submit that is to be answered at once: no reply comes in less.
SOONEST = 0.05
# What the poll at a deadline may take beyond it, in seconds: it may bring what is paid for.
LAST_POLL = 2.0
# A 4096x4096 picture without compression is 64 MiB; as base64, within a reply, it rarely is.
PICTURE_IN_REPLY = 64 * 2**20
FREE_RETRIES = 3
LOOK_AGAIN = 2.0
LOOK_LEAST = 10.0
# Where a provider calls back, polls only have to find out about a call that was lost.
SLOWER = 4.0
SLOW_MOST = 30.0
# A free message that was not taken, and may be later.
BUSY = frozenset({408, 429, 500, 502, 503, 504})


# -- what the clients run ---------------------------------------------------------------


def generate(
    adapter: Adapter,
    request: ImageRequest,
    *,
    key: str,
    context: CallContext,
    fitted: Plan | None = None,
) -> Flow[ImageResult]:
    """Buy pictures and wait for them.

    Args:
        fitted: The plan for *request* by these terms, where it was made already.
    """
    began, until = context.clock(), context.until
    with _traced(adapter, context):
        request, fitted = _fit(adapter, request, key, context, fitted)
        quoted = context.price(adapter, request, None)
        with context.rate_limiter.slot(adapter.account, fitted.offer) as slot:
            yield from _wait_for_slot(slot, adapter, context, until)
            submitted_at = context.now()
            step, _ = yield from _submit(adapter, request, fitted, quoted, key, context, until)
            delivery, job = yield from finish(adapter, step, context=context, until=until)
        result = _result(
            adapter, request, delivery, job, context, fitted.notes, submitted_at, began, quoted
        )
        return (yield from _with_bytes(result, request, context, until))


def submit(
    adapter: Adapter,
    request: ImageRequest,
    *,
    key: str,
    context: CallContext,
    fitted: Plan | None = None,
) -> Flow[Job]:
    """Buy pictures and come back with the job; arguments as `generate`.

    Raises:
        UnsupportedFeature: this mode answers with the pictures; there is no job.
    """
    if adapter.at_once:
        reason = "this mode answers with the pictures at once, there is no job; use generate"
        raise adapter.unsupported("submit", reason)
    with _traced(adapter, context):
        request, fitted = _fit(adapter, request, key, context, fitted)
        quoted = context.price(adapter, request, None)
        step, response = yield from _submit(
            adapter, request, fitted, quoted, key, context, context.until
        )
        if isinstance(step, Pending):
            return step.job
        # It answered with the pictures although it need not have. The job keeps that reply.
        reply = {"status": response.status, "body": response.body.decode("utf-8", "replace")}
        job = adapter.job(response, request, key, key=key, state={_REPLY: reply})
        context.handles.job, context.handles.receipt = job, None
        context.report(Accepted(job))
        return job


def wait(adapter: Adapter, job: Job, *, context: CallContext) -> Flow[ImageResult]:
    """Go on with an accepted job until it has ended."""
    began, until = context.clock(), context.until
    with _traced(adapter, context, job=job):
        step, _ = yield from _look(adapter, job, context, until)
        delivery, _ = yield from finish(adapter, step, context=context, until=until, job=job)
        notes = _notes_again(adapter, job.request)
        quoted = context.price(adapter, job.request, None)
        result = _result(
            adapter, job.request, delivery, job, context, notes, job.submitted_at, began, quoted
        )
        return (yield from _with_bytes(result, job.request, context, until))


def look(adapter: Adapter, job: Job, *, context: CallContext) -> Flow[Step]:
    """Poll once.

    A poll that is refused, unreadable or cannot get through says nothing of the job, which
    is `Pending` then.

    Raises:
        AuthenticationFailed: the key is not good for polling; with ``.job``.
        CallFailed: the job has ended without a picture; with ``.job``.
    """
    with _traced(adapter, context, job=job):
        step, _ = yield from _look(adapter, job, context, context.until)
        return step


def finish(
    adapter: Adapter, step: Step, *, context: CallContext, until: float, job: Job | None = None
) -> Flow[tuple[Delivery, Job | None]]:
    """Poll until the job has ended or *until* has passed; news of it bring the next poll on."""
    began, polls, misses = context.clock(), 0, 0
    rhythm, trouble = _Rhythm(adapter, context), None
    while not isinstance(step, Done):
        if isinstance(step, Pending):
            job, misses, asked = step.job, 0, step.retry_after
        else:
            misses, asked = misses + 1, None
        assert job is not None  # only a poll, which needs a job, says Missing
        if (
            misses >= 2
            and _age(job, context) > adapter.offer(job.request.model).limits.missing_grace
        ):
            assert isinstance(step, Missing)
            raise TaskLost(adapter.account, f"job {job.id}: {step.message}", Charge.MAYBE, job)
        if (left := until - context.clock()) <= 0:
            message = f"job {job.id} is still pending; wait for error.job to go on"
            raise DeadlineExceeded(adapter.account, message, Charge.MAYBE, job) from trouble
        yield from rhythm.rest(job, asked, left)
        step, trouble = yield from _look(adapter, job, context, until)
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


def reconcile(
    adapter: Adapter, receipt: Receipt, *, context: CallContext, until: float | None = None
) -> Flow[Found]:
    """Look an uncertain submit up. Nothing is sent again.

    Args:
        until: When, on the clock, to give up; None: at the deadline of *terms*, and not before
            both looks had their time.

    Returns:
        The job if it was accepted; `NotAccepted` if it surely was not, on two reads;
        `StillUnknown` otherwise, also when the look-up itself fails.
    """
    found: Found = StillUnknown(detail="not looked up yet")
    if until is None:
        until = max(context.until, context.clock() + LOOK_LEAST)
    for turn in range(2):
        if turn and context.late(LOOK_AGAIN, until):
            return StillUnknown(detail="there was no time for a second look")
        if turn:
            yield Sleep(LOOK_AGAIN)
        try:
            found = yield from converse(
                adapter, adapter.find(receipt), context=context, until=until
            )
        except CallFailed as exc:
            return StillUnknown(detail=f"the look-up failed: {exc}")
        if not isinstance(found, NotAccepted):
            break
    return found


def converse(
    adapter: Adapter,
    exchange: Exchange[T],
    *,
    context: CallContext,
    busy: frozenset[int] = frozenset(),
    until: float | None = None,
) -> Flow[T]:
    """Carry out an adapter's conversation of free messages.

    Args:
        busy: Statuses after which a message is sent again, as after a broken line.
        until: When, on the clock, to give up; None: at the deadline of *terms*.
    """
    until = context.until if until is None else until
    try:
        message = next(exchange)
        while True:
            response = yield from _free(adapter, message, context, busy, until)
            message = exchange.send(response)
    except StopIteration as stop:
        return cast("T", stop.value)


# -- submitting --------------------------------------------------------------------------

_REPLY = "wanbridge.reply"


def _fit(
    adapter: Adapter, request: ImageRequest, key: str, context: CallContext, fitted: Plan | None
) -> tuple[ImageRequest, Plan]:
    """The request as it is asked here, and its plan."""
    asked = _called_back(adapter, request, key, context)
    if fitted is None or asked is not request:
        refuse_digests(asked)
        fitted = plan(adapter, asked, may_drop=context.may_drop, check_limits=context.check_limits)
    return asked, fitted.settle()


def _notes_again(adapter: Adapter, request: ImageRequest) -> tuple[Note, ...]:
    """The notes of a request that was fitted before, perhaps by another version or set-up."""
    try:
        return plan(adapter, request, may_drop=DROPPABLE, check_limits=False).notes
    except WanbridgeError as exc:
        return (Note("request", "info", f"it would not be sent like this any more: {exc}"),)


def _called_back(
    adapter: Adapter, request: ImageRequest, key: str, context: CallContext
) -> ImageRequest:
    """*request* with the address that callbacks are received at, where it names none itself."""
    if context.callbacks is None or request.callback_url is not None or adapter.at_once:
        return request
    if "callback_url" not in adapter.offer(request.model).fields:
        return request
    return evolve(request, callback_url=context.callbacks.address(adapter.account, key))


def _prepared(
    adapter: Adapter, fitted: Plan, context: CallContext, until: float
) -> Flow[ImageRequest]:
    """The request with its uploads done; whatever fails here has bought nothing."""
    try:
        exchange = adapter.prepare(fitted.request, fitted.offer)
        return (yield from converse(adapter, exchange, context=context, busy=BUSY, until=until))
    except CallFailed as exc:
        exc.charge = Charge.NO
        raise


def _submit(
    adapter: Adapter,
    request: ImageRequest,
    fitted: Plan,
    quoted: Money | None,
    key: str,
    context: CallContext,
    until: float,
) -> Flow[tuple[Step, HttpResponse]]:
    prepared = yield from _prepared(adapter, fitted, context, until)
    message = adapter.submit(prepared, fitted.offer, key=key)
    rates = fitted.offer.limits.rates
    yield from _pace(adapter, "creates", rates.creates, context, context.latest(until))
    step, response = yield from _Submission(
        adapter, request, message, quoted, key=key, context=context, until=until
    ).run()
    if isinstance(step, Pending):
        # In this order: an interruption between the two still finds one of them.
        context.handles.job = step.job
        context.handles.receipt = None
        context.report(Accepted(step.job))
    return step, response


class _Submission:
    """One billable submit: sent once, and again only where that cannot buy twice."""

    def __init__(
        self,
        adapter: Adapter,
        request: ImageRequest,
        message: HttpRequest,
        quoted: Money | None,
        *,
        key: str,
        context: CallContext,
        until: float,
    ) -> None:
        self.adapter, self.request, self.message = adapter, request, message
        self.key, self.context, self.until = key, context, until
        self.op = Op.SUBMIT
        self.backoff = FIRST_BACKOFF
        self.first_sent = context.clock()
        sent_at = context.now()
        self.receipt = Receipt(
            provider=adapter.name,
            account=adapter.account,
            base_url=adapter.base_url,
            key=key,
            request=request.stored(),
            digest=hashlib.sha256(message.body).hexdigest(),
            first_sent_at=sent_at,
            last_sent_at=sent_at,
            at_risk=quoted,
        )

    def run(self) -> Flow[tuple[Step, HttpResponse]]:
        for turn in range(SUBMIT_RETRIES + 1):
            self._announce(again=turn > 0)
            try:
                return (yield from self._send())
            except CallFailed as exc:
                error = exc
            pause = self._pause(error, last=turn == SUBMIT_RETRIES)
            if pause is None:
                self._give_up(error)
            self.context.report(
                Retrying(account=self.adapter.account, reason=str(error), seconds=pause)
            )
            if self.op is Op.SUBMIT:
                self.context.handles.receipt = None
            yield Sleep(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    def _announce(self, *, again: bool) -> None:
        """Tell, before the first byte. Who cannot take note stops it: nothing was sent yet."""
        if self.op is Op.RESEND:
            self.receipt = evolve(self.receipt, last_sent_at=self.context.now())
            self.context.report(Submitting(self.receipt))
            return
        if again:
            self.first_sent, now = self.context.clock(), self.context.now()
            self.receipt = evolve(self.receipt, first_sent_at=now, last_sent_at=now)
        self.context.tell(Submitting(self.receipt))

    def _send(self) -> Flow[tuple[Step, HttpResponse]]:
        adapter = self.adapter
        send = self._message()
        self.context.handles.receipt = self.receipt
        try:
            response = cast("HttpResponse", (yield send))
        except (NotBegun, ConfigurationError) as exc:
            # Neither an interruption that came first nor a line that refuses has sent a byte.
            if self.op is Op.SUBMIT:
                self.context.handles.receipt = None
            if isinstance(exc, NotBegun):
                raise exc.interruption from None
            raise
        error = _read(adapter, lambda: adapter.failure(response, op=self.op))
        if error is not None:
            raise error
        step = _read(adapter, lambda: adapter.read_submission(response, self.request, key=self.key))
        if not isinstance(step, Done | Pending):
            said = step.message if isinstance(step, Missing) else repr(step)
            raise adapter.malformed(response, f"a submit was answered with: {said}")
        return step, response

    def _message(self) -> Send:
        """What goes out, within what is left of a hedged call."""
        context, now = self.context, self.context.clock()
        # A key that is sent again has been on its way before: nothing is to be withdrawn any more.
        start_by = context.start_by if self.op is Op.SUBMIT else None
        if start_by is not None and start_by <= now:
            message = "its time to begin has passed; nothing was sent"
            raise TransportFailed(self.adapter.account, message, Charge.NO)
        return Send(
            account=self.adapter.account,
            request=self.message,
            billable=True,
            connect=None if start_by is None else start_by - now,
            read=None if context.answer_by is None else max(context.answer_by - now, SOONEST),
            within=max(self.until - now, SOONEST),
            most=_reply_most(self.adapter, self.request),
        )

    def _pause(self, error: CallFailed, *, last: bool) -> float | None:
        """Seconds until this submit may be sent again; None if it may not."""
        if isinstance(error, ProviderError) and error.final:
            return None  # it was accepted and has ended: another one would be another purchase
        again = False
        pause = self.context.jittered(self.backoff)
        self.backoff = min(self.backoff * 2, MOST_BACKOFF)
        if isinstance(error, ProviderError) and error.retry_after is not None:
            pause = max(pause, error.retry_after)
        latest = self.until
        if self.op is Op.SUBMIT and error.charge is Charge.NO:
            if isinstance(error, TransportFailed) and self.context.linger is not None:
                return None  # somebody else may be there at once
            again = isinstance(error, RateLimited | ProviderUnavailable | TransportFailed)
            latest = self.context.latest(self.until)
        elif self.adapter.resend is Resend.SAME_KEY_IS_SAFE and error.elsewhere:
            # The key makes it one purchase, however often it arrives.
            self.op = Op.RESEND
            age = self.context.clock() - self.first_sent
            again = age + pause < RESEND_BEFORE
            # Beside another provider that is paid again, nobody waits for this one.
            latest = latest if self.context.answer_by is None else self.context.answer_by
        if last or not again or self.context.clock() + pause >= latest:
            return None
        return pause

    def _give_up(self, error: CallFailed) -> NoReturn:
        """Raise what a failed submit is to the caller: surely free, or uncertain."""
        if error.charge is Charge.NO and self.op is Op.SUBMIT:
            self.context.handles.receipt = None
            error.receipt = self.receipt
            raise error
        # Its outcome is never earlier than its sending, which may have queued for a connection:
        # a look-up counts from here.
        self.receipt = evolve(self.receipt, last_sent_at=self.context.now())
        self.context.handles.receipt = self.receipt
        message = f"nobody knows whether this was accepted ({error.message})"
        raise SubmissionUncertain(
            self.adapter.account, message, Charge.MAYBE, None, self.receipt
        ) from error


# -- waiting -----------------------------------------------------------------------------


class _Rhythm:
    """The waits between polls: by the cadence, less often where the provider calls back.

    After news it is the cadence again: one picture of several may have come, or the news may be
    ahead of what a poll sees.
    """

    def __init__(self, adapter: Adapter, context: CallContext) -> None:
        self._context = context
        self._interval = context.timeouts.poll_interval or adapter.poll_interval
        self._pace, self._most = self._interval.first, self._interval.most
        self._seen = 0
        self._fresh = True

    def rest(self, job: Job, asked: float | None, left: float) -> Flow[None]:
        """Wait for the next poll, at least *asked* seconds if the provider said, at most *left*."""
        if self._fresh:
            self._begin(job)
        pause = max(self._before_it_goes(job), asked or 0.0)
        self._pace = min(self._pace * self._interval.factor, self._most)
        wake = Wake(JobKey.of(job), self._seen) if self._context.callbacks is not None else None
        news = cast("int | None", (yield Sleep(min(pause, left), wake)))
        if news is not None and news > self._seen:
            self._seen, self._pace = news, self._interval.first

    def _begin(self, job: Job) -> None:
        """Slow down if a callback is to come, unless the caller said how often to poll."""
        self._fresh = False
        callbacks, own = self._context.callbacks, self._context.timeouts.poll_interval
        if callbacks is None or own is not None or not callbacks.expects(job):
            return
        self._most = max(self._most, min(self._most * SLOWER, SLOW_MOST))
        self._pace = min(self._pace * SLOWER, self._most)

    def _before_it_goes(self, job: Job) -> float:
        """The pause, shorter where the provider will have forgotten the job by then."""
        pause = self._context.jittered(self._pace)
        if job.collect_by is None:
            return pause
        half = (job.collect_by - self._context.now()).total_seconds() / 2
        return pause if half <= 0 else min(pause, max(half, self._interval.first))


def _look(
    adapter: Adapter, job: Job, context: CallContext, until: float
) -> Flow[tuple[Step, CallFailed | None]]:
    """One poll: the step, and the trouble if it says nothing of the job."""
    if (reply := job.state.get(_REPLY)) is not None:
        return _replay(adapter, job, reply), None
    rate = adapter.offer(job.request.model).limits.rates.polls
    try:
        yield from _pace(adapter, "polls", rate, context, until)
        message = _read(adapter, lambda: adapter.poll(job))
        send = Send(
            account=adapter.account,
            request=message,
            within=max(until - context.clock(), LAST_POLL),
            most=_reply_most(adapter, job.request),
        )
        response = cast("HttpResponse", (yield send))
        error = _read(adapter, lambda: adapter.failure(response, op=Op.POLL, job=job))
        if error is not None:
            raise error
        return _read(adapter, lambda: adapter.read_poll(response, job)), None
    except CallFailed as exc:
        exc.job = job
        if _ends(exc):
            raise
        asked = exc.retry_after if isinstance(exc, ProviderError) else None
        return Pending(job, retry_after=asked), exc


def _ends(error: CallFailed) -> bool:
    """Whether a failed poll is the end of waiting, not just a bad moment on the line."""
    if isinstance(error, ProviderError):
        return error.final or isinstance(error, AuthenticationFailed)
    return not isinstance(error, TransportFailed)


def _replay(adapter: Adapter, job: Job, reply: dict[str, object]) -> Step:
    """The step of a job that was done at once, from the reply it keeps."""
    response = HttpResponse(
        status=cast("int", reply["status"]),
        body=cast("str", reply["body"]).encode(),
        received_at=job.submitted_at,
    )
    return _read(adapter, lambda: adapter.read_submission(response, job.request, key=job.key))


def _free(
    adapter: Adapter,
    message: HttpRequest,
    context: CallContext,
    busy: frozenset[int],
    until: float,
) -> Flow[HttpResponse]:
    """Send a message that buys nothing, again if the line breaks or the status is *busy*."""
    backoff = FIRST_BACKOFF
    for turn in range(FREE_RETRIES + 1):
        pause = context.jittered(backoff)
        within = max(until - context.clock(), SOONEST)
        last = turn == FREE_RETRIES
        try:
            send = Send(account=adapter.account, request=message, within=within)
            response = cast("HttpResponse", (yield send))
            if response.retry_after is not None:
                pause = min(response.retry_after, MOST_BACKOFF)
            if response.status not in busy or last or context.late(pause, until):
                return response
            reason = f"{adapter.account}: HTTP {response.status}"
        except TransportFailed as exc:
            if last or context.late(pause, until):
                raise
            reason = str(exc)
        backoff = min(backoff * 2, MOST_BACKOFF)
        context.report(Retrying(account=adapter.account, reason=reason, seconds=pause))
        yield Sleep(pause)
    raise AssertionError("unreachable")  # pragma: no cover


def _read(adapter: Adapter, read: Callable[[], T]) -> T:
    """What a reply means. An adapter's own mistake must not lose what was accepted."""
    try:
        return read()
    except CallFailed:
        raise
    except Exception as exc:
        message = f"the adapter cannot read this reply ({type(exc).__name__}: {exc})"
        raise MalformedResponse(adapter.account, message) from exc


def _pace(
    adapter: Adapter, what: str, rate: float | None, context: CallContext, until: float
) -> Flow[None]:
    """Wait for this call's place in the account's rate."""
    if rate is None:
        return
    pause = context.rate_limiter.reserve((adapter.account, what), rate, context.clock(), until)
    if pause is None:
        raise _too_busy(adapter, f"the account's {what} ({rate:g}/s) are taken for too long")
    if pause > 0:
        yield Sleep(pause)


def _wait_for_slot(slot: Slot, adapter: Adapter, context: CallContext, until: float) -> Flow[None]:
    """Wait until one more generation may run on this account."""
    until = context.latest(until)
    while (pause := slot.enter()) is not None:
        if (left := until - context.clock()) <= 0:
            raise _too_busy(adapter, f"{slot.limit} generations run already")
        yield Sleep(min(pause, left))


def _too_busy(adapter: Adapter, message: str) -> RateLimited:
    return RateLimited(adapter.account, f"{message}; nothing was sent", Charge.NO)


def _reply_most(adapter: Adapter, request: ImageRequest) -> int:
    """Bytes of a reply that may hold the pictures of *request*, where they were asked for in it."""
    if not request.inline or "inline" not in adapter.offer(request.model).fields:
        return REPLY_MOST
    return REPLY_MOST + request.n * PICTURE_IN_REPLY


def _age(job: Job, context: CallContext) -> float:
    """Seconds since the job was accepted, by wall time: it may have been another process."""
    return (context.now() - job.submitted_at).total_seconds()


# -- results and traces --------------------------------------------------------------------


def _result(
    adapter: Adapter,
    request: ImageRequest,
    delivery: Delivery,
    job: Job | None,
    context: CallContext,
    notes: tuple[Note, ...],
    submitted_at: datetime,
    began: float,
    quoted: Money | None,
) -> ImageResult:
    cost, source = cost_of(adapter, request, delivery, context)
    return ImageResult(
        provider=adapter.account,
        model=request.model,
        job_id=job.id if job else None,
        images=delivery.images,
        requested=request.n,
        failures=delivery.failures,
        cost=cost,
        cost_source=source,
        notes=(
            *notes,
            *delivery.notes,
            *_short_notes(len(delivery.images), request.n),
            *_cost_notes(cost, quoted),
        ),
        request_id=delivery.request_id,
        submitted_at=submitted_at,
        finished_at=context.now(),
        attempts=(
            Attempt(
                provider=adapter.account,
                outcome="delivered",
                charge=Charge.YES,
                cost=cost,
                seconds=context.clock() - began,
            ),
        ),
        raw=delivery.raw,
    )


def _with_bytes(
    result: ImageResult, request: ImageRequest, context: CallContext, until: float
) -> Flow[ImageResult]:
    """The result, with the bytes of its pictures if they were asked for."""
    context.handles.result = result
    context.handles.receipt = None
    if not request.inline:
        return result
    # A result that comes at the last moment has its pictures all the same.
    until = max(until, context.clock() + context.timeouts.read_timeout)
    images, missing = yield from fetch_inline(result.provider, result.images, context, until)
    return evolve(result, images=images, notes=(*result.notes, *missing))


def cost_of(
    adapter: Adapter, request: ImageRequest, delivery: Delivery, context: CallContext
) -> tuple[Money | None, Literal["reply", "rule"] | None]:
    """What a delivery cost, and who says so; None if that is unknown."""
    if delivery.cost is not None:
        return delivery.cost, "reply"
    try:
        cost = context.price(adapter, request, delivery)
    except Exception:
        log.exception("wanbridge: no price could be made; the pictures are delivered")
        cost = None
    return cost, "rule" if cost else None


def _short_notes(delivered: int, asked: int) -> tuple[Note, ...]:
    return (Note("n", "info", f"{delivered} of {asked} delivered"),) if delivered < asked else ()


def _cost_notes(cost: Money | None, quoted: Money | None) -> tuple[Note, ...]:
    if cost is None or quoted is None or cost.currency != quoted.currency or cost == quoted:
        return ()
    return (Note("cost", "info", f"{cost} instead of the quoted {quoted}"),)


class _traced:  # noqa: N801 - a context manager, read like a word
    """Whatever leaves carries what is known: errors the attempt, interruptions the trail."""

    __slots__ = ("adapter", "began", "context")

    def __init__(self, adapter: Adapter, context: CallContext, job: Job | None = None) -> None:
        self.adapter, self.context = adapter, context
        self.began = context.clock()
        context.handles.job = job

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None or isinstance(exc, GeneratorExit):
            return
        if not isinstance(exc, CallFailed):
            self.context.handles.mark(exc)
            return
        handles = self.context.handles
        exc.job = exc.job or handles.job
        if exc.job is None and exc.receipt is None and exc.charge is not Charge.NO:
            exc.receipt = handles.receipt
        exc.attempts = (
            Attempt(
                provider=self.adapter.account,
                outcome=type(exc).__name__,
                charge=exc.charge,
                seconds=self.context.clock() - self.began,
                detail=exc.message,
            ),
        )
