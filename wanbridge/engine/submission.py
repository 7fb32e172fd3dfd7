"""One billable submit: sent once, and again only where that cannot buy twice."""

from __future__ import annotations

import hashlib
from typing import NoReturn, cast

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import FittedRequest
from wanbridge.adapters.steps import (
    Done,
    Missing,
    Op,
    Pending,
    Resend,
    Step,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, NotBegun, Send, Sleep
from wanbridge.engine.events import Accepted, Retrying, Submitting
from wanbridge.engine.exchanges import (
    BUSY,
    FIRST_BACKOFF,
    MOST_BACKOFF,
    SOONEST,
    converse,
    read_reply,
    reply_most,
)
from wanbridge.engine.pacing import wait_for_rate
from wanbridge.engine.staging import stage_pictures
from wanbridge.errors import (
    CallFailed,
    Charge,
    ConfigurationError,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SubmissionUncertain,
    TransportFailed,
)
from wanbridge.model.jobs import Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.wire import HttpRequest, HttpResponse

SUBMIT_RETRIES = 3
# How long a key stays reserved is not documented (Runware, read 2026-11-20), so nothing is sent
# again later than two minutes after the first send.
RESEND_BEFORE = 120.0


def prepare(
    adapter: Adapter, fitted: FittedRequest, context: CallContext, until: float
) -> Flow[ImageRequest]:
    """The request with its uploads done; a failure here has bought nothing."""
    try:
        linked = fitted.linked((yield from stage_pictures(adapter, fitted, context, until)))
        exchange = adapter.prepare(linked, fitted.offer)
        return (yield from converse(adapter, exchange, context=context, busy=BUSY, until=until))
    except CallFailed as exc:
        exc.charge = Charge.NO
        raise


def submit_fitted(
    adapter: Adapter,
    request: ImageRequest,
    fitted: FittedRequest,
    quoted: Money | None,
    key: str,
    context: CallContext,
    until: float,
) -> Flow[tuple[Step, HttpResponse]]:
    prepared = yield from prepare(adapter, fitted, context, until)
    message = adapter.submit(prepared, fitted.offer, key=key)
    rates = fitted.offer.limits.rates
    yield from wait_for_rate(adapter, "creates", rates.creates, context, context.latest(until))
    step, response = yield from Submission(
        adapter, request, message, quoted, key=key, context=context, until=until
    ).run()
    if isinstance(step, Pending):
        # In this order: an interruption between the two still finds one of them.
        context.handles.job = step.job
        context.handles.receipt = None
        context.report(Accepted(step.job))
    return step, response


class Submission:
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
        """Emit `Submitting` before the first byte; an error of a listener stops the submit."""
        if self.op is Op.RESEND:
            self.receipt = evolve(self.receipt, last_sent_at=self.context.now())
            self.context.report(Submitting(self.receipt))
            return
        if again:
            self.first_sent, now = self.context.clock(), self.context.now()
            self.receipt = evolve(self.receipt, first_sent_at=now, last_sent_at=now)
        self.context.emit(Submitting(self.receipt))

    def _send(self) -> Flow[tuple[Step, HttpResponse]]:
        adapter = self.adapter
        send = self._message()
        self.context.handles.receipt = self.receipt
        try:
            response = cast("HttpResponse", (yield send))
        except (NotBegun, ConfigurationError) as exc:
            # Neither an earlier interruption nor a message that cannot be sent has sent a byte.
            if self.op is Op.SUBMIT:
                self.context.handles.receipt = None
            if isinstance(exc, NotBegun):
                raise exc.interruption from None
            raise
        error = read_reply(adapter, lambda: adapter.failure(response, op=self.op))
        if error is not None:
            raise error
        step = read_reply(
            adapter, lambda: adapter.read_submission(response, self.request, key=self.key)
        )
        if not isinstance(step, Done | Pending):
            said = step.message if isinstance(step, Missing) else repr(step)
            raise adapter.malformed(response, f"a submit was answered with: {said}")
        return step, response

    def _message(self) -> Send:
        """The effect that sends it, within what is left of a hedged call."""
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
            most=reply_most(self.adapter, self.request),
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
            if isinstance(error, TransportFailed) and self.context.queue_timeout is not None:
                return None  # another provider may be reachable at once
            again = isinstance(error, RateLimited | ProviderUnavailable | TransportFailed)
            latest = self.context.latest(self.until)
        elif self.adapter.resend is Resend.SAME_KEY_IS_SAFE and error.elsewhere:
            # The key makes it one purchase, however often it arrives.
            self.op = Op.RESEND
            age = self.context.clock() - self.first_sent
            again = age + pause < RESEND_BEFORE
            # A hedged call that pays again does not wait for this one beyond its time.
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
