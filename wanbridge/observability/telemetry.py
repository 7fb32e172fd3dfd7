"""What a call tells of itself: lines in the log ``wanbridge``, and whatever else watches it.

No watch ever holds a prompt, a picture or a key, and none can fail a call: what goes wrong
here is logged, and the call goes on. See `wanbridge.observability.opentelemetry` for OpenTelemetry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from attrs import define, evolve, field

from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow
from wanbridge.engine.events import (
    Accepted,
    Asking,
    Event,
    OperationName,
    Polled,
    Retrying,
    Submitting,
)
from wanbridge.errors import CallFailed, Charge, WanbridgeError
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult

log = logging.getLogger("wanbridge")

T = TypeVar("T", bound=ImageResult | Job)


class Watch(Protocol):
    """Watches one call."""

    def tell(self, event: Event) -> None:
        """What happens, as it happens."""

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        """How it ended, once: with a result or with an error."""


class Telemetry(Protocol):
    """Watches the calls of a client, from any thread."""

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> Watch:
        """A call begins.

        Args:
            model: Canonical model.
            route: Name of the route; None without one.
            provider: Account name, if the caller chose one.
        """
        ...


def watched(
    play: Callable[[CallContext], Flow[T]],
    context: CallContext,
    telemetry: Telemetry | None,
    *,
    operation: OperationName,
    model: str,
    route: str | None = None,
    provider: str | None = None,
) -> Flow[T]:
    """The flow that *play* makes, watched by the log and by *telemetry*.

    It gets a *context* that also reports to the watches; whatever they raise is logged. Where
    nobody would hear of a call that goes well, it is played as it is.
    """
    if telemetry is None and not log.isEnabledFor(logging.INFO):
        try:
            return (yield from play(context))
        except BaseException as exc:
            with _harmless():
                LOG.ended(operation, context.handles, exc)
            raise
    watches: list[Watch] = []
    for each in (LOG, telemetry):
        if each is not None:
            with _harmless():
                watches.append(each.begin(operation, model=model, route=route, provider=provider))

    def report(event: Event) -> None:
        for watch in watches:
            with _harmless():
                watch.tell(event)

    def tell(event: Event) -> None:
        try:
            context.tell(event)
        except Exception:
            # Who cannot take note of a submit stops it; everything else has happened.
            if not isinstance(event, Submitting):
                report(event)
            raise
        report(event)

    def end(result: T | None, error: BaseException | None) -> None:
        for watch in watches:
            with _harmless():
                watch.end(result, error)

    try:
        result = yield from play(evolve(context, tell=tell))
    except BaseException as exc:
        end(None, exc)
        raise
    end(result, None)
    return result


class _harmless:  # noqa: N801 - a context manager, read like a word
    """Whoever fails to watch must not cost the job."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> bool:
        if not isinstance(exc, Exception):
            return False
        log.error("wanbridge: telemetry failed; the job goes on", exc_info=exc)
        return True


# -- what a watch remembers ----------------------------------------------------------------


@define
class Visit:
    """An account that a call has submitted to or polled.

    Attributes:
        provider: Adapter name.
        at: When its turn or its first event came, in the watch's own time.
        receipt: Of the last submit, until it was accepted.
    """

    provider: str
    base_url: str
    at: int
    request: ImageRequest
    receipt: Receipt | None = None
    job: Job | None = None


@define
class Course:
    """What the events of one call have told so far, by account."""

    visits: dict[str, Visit] = field(factory=dict)
    asked: dict[str, int] = field(factory=dict)
    polls: int = 0

    def tell(self, event: Event, at: int = 0) -> None:
        """Remember *event*, which came at *at*."""
        match event:
            case Asking(account):
                self.asked.setdefault(account, at)
            case Submitting(receipt):
                self._visit(receipt, at).receipt = receipt
            case Accepted(job) | Polled(job=job):
                visit = self._visit(job, at)
                visit.job, visit.receipt = job, None
                self.polls += isinstance(event, Polled)
            case _:
                pass

    def _visit(self, of: Receipt | Job, at: int) -> Visit:
        if (visit := self.visits.get(of.account)) is None:
            at = self.asked.get(of.account, at)
            visit = self.visits[of.account] = Visit(of.provider, of.base_url, at, of.request)
        return visit

    def attempts(
        self, result: ImageResult | Job | None, error: BaseException | None
    ) -> tuple[Attempt, ...]:
        """Every attempt of the ended call, with the job or receipt that it leaves.

        Of a call that was interrupted nothing but its events is known: each account that had
        been submitted to may have been paid.
        """
        if isinstance(result, ImageResult):
            return result.attempts
        if result is not None:
            left = Attempt(
                provider=result.account, outcome="accepted", charge=Charge.MAYBE, job=result
            )
            return (left,)
        known = tuple(_with_handles(a, error) for a in getattr(error, "attempts", ()))
        if isinstance(error, WanbridgeError):
            if known or not isinstance(error, CallFailed):
                return known
            only = Attempt(provider=error.provider, outcome=outcome_of(error), charge=error.charge)
            return (_with_handles(only, error),)
        told = {attempt.provider for attempt in known}
        return known + tuple(
            Attempt(
                provider=account,
                outcome=outcome_of(error),
                charge=Charge.MAYBE,
                job=visit.job,
                receipt=visit.receipt,
            )
            for account, visit in self.visits.items()
            if account not in told
        )


def outcome_of(error: BaseException | None) -> str:
    """The class of a failure; ``abandoned`` where the caller walked off or was interrupted."""
    return type(error).__name__ if isinstance(error, Exception) else "abandoned"


def error_of(attempt: Attempt, error: BaseException | None) -> CallFailed | None:
    """The failure that *attempt* ended with; of a route it is one of several."""
    each = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    for one in each:
        if isinstance(one, CallFailed) and (one.provider, type(one).__name__) == (
            attempt.provider,
            attempt.outcome,
        ):
            return one
    return None


def _with_handles(attempt: Attempt, error: BaseException | None) -> Attempt:
    failed = error_of(attempt, error)
    if failed is None or attempt.job is not None or attempt.receipt is not None:
        return attempt
    return evolve(attempt, job=failed.job, receipt=failed.receipt)


# -- the log -------------------------------------------------------------------------------


class Log:
    """The `Telemetry` that writes the log ``wanbridge``; every client has it.

    DEBUG tells each step, INFO what was delivered and why something took longer, WARNING
    where money may have been lost: a submit whose outcome nobody knows, a charge without a
    picture.
    """

    def begin(
        self, operation: OperationName, *, model: str, route: str | None, provider: str | None
    ) -> Watch:
        return _LoggedCall(operation)

    def ended(self, operation: OperationName, handles: Handles, error: BaseException) -> None:
        """A call that nobody watched ended with *error*; its trail has what else is known."""
        call = _LoggedCall(operation)
        if handles.receipt is not None:
            call.tell(Submitting(handles.receipt))
        if handles.job is not None:
            call.tell(Accepted(handles.job))
        call.end(None, error)


LOG = Log()


@define
class _LoggedCall:
    _operation: str
    _account: str | None = None
    _course: Course = field(factory=Course)

    def tell(self, event: Event) -> None:
        self._course.tell(event)
        if isinstance(event, Asking):
            before, self._account = self._account, event.account
            if before not in (None, self._account):
                log.info("wanbridge: %s: going on to %s", before, self._account)
        log_event(event, [visit.request for visit in self._course.visits.values()])

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        if not log.isEnabledFor(logging.WARNING):
            return
        attempts = self._course.attempts(result, error)
        for attempt in attempts:
            log_attempt(attempt)
        if isinstance(result, ImageResult):
            log.info(
                "wanbridge: %s: delivered %d of %d from %s for %s in %.1f s",
                result.provider,
                len(result.images),
                result.requested,
                result.model,
                str(result.cost or "an unknown cost"),
                attempts[-1].seconds if attempts else 0.0,
            )
        elif error is not None and not attempts:
            log.info("wanbridge: %s: %s; nothing was sent", self._operation, outcome_of(error))


def log_event(event: Event, requests: Iterable[ImageRequest] = ()) -> None:
    """Log a step of a call.

    Args:
        requests: Whose words are taken out of what a provider said.
    """
    level = logging.INFO if isinstance(event, Retrying) else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    match event:
        case Asking(account):
            reason = _without_words(event.reason, requests)
            log.debug("wanbridge: %s: asked: %s", account, reason)
        case Submitting(receipt):
            log.debug(
                "wanbridge: %s: submitting to %s, key %s",
                receipt.account,
                receipt.request.model,
                receipt.key,
            )
        case Accepted(job):
            log.debug("wanbridge: %s: accepted as job %s", job.account, job.id)
        case Polled(job=job):
            log.debug(
                "wanbridge: %s: job %s, poll %d after %.1f s: %s",
                job.account,
                job.id,
                event.polls,
                event.seconds,
                _news(event, requests),
            )
        case Retrying():
            log.info(
                "wanbridge: %s: again in %.1f s, after: %s",
                event.account,
                event.seconds,
                _without_words(event.reason, requests),
            )


def log_attempt(attempt: Attempt) -> None:
    """Log how an attempt ended that brought no picture; at WARNING if it may have cost money."""
    account, outcome = attempt.provider, attempt.outcome
    if outcome in ("delivered", "accepted"):
        return
    if outcome == "skipped":
        log.debug("wanbridge: %s: skipped", account)
    elif attempt.charge is Charge.NO:
        log.info("wanbridge: %s: %s; nothing was charged", account, outcome)
    elif attempt.job is None and attempt.receipt is not None:
        log.warning(
            "wanbridge: %s: %s; nobody knows whether it was bought, at risk is %s;"
            " reconcile the receipt of key %s",
            account,
            outcome,
            str(attempt.receipt.at_risk or "an unknown amount"),
            attempt.receipt.key,
        )
    else:
        log.warning(
            "wanbridge: %s: %s; no picture, charged: %s, %s",
            account,
            outcome,
            attempt.charge.value if attempt.cost is None else str(attempt.cost),
            f"job {attempt.job.id}" if attempt.job is not None else "no job known",
        )


def _news(event: Polled, requests: Iterable[ImageRequest]) -> str:
    if event.trouble is not None:
        return _without_words(event.trouble, requests)
    return "pending" if event.progress is None else f"{event.progress:.0%}"


# Of what a provider said, and of a prompt that it quotes.
_SAID_MOST, _QUOTED_LEAST = 300, 8


def _without_words(said: str, requests: Iterable[ImageRequest]) -> str:
    """*said* without what it quotes of a prompt, whole or eight characters and more of it."""
    said = said[:_SAID_MOST]
    for request in requests:
        for words in (request.prompt, request.negative_prompt or ""):
            said = _without(said, words)
    return said


def _without(said: str, words: str) -> str:
    run = min(_QUOTED_LEAST, len(words))
    if run < _QUOTED_LEAST // 2:  # a letter or two would be found in every sentence
        return said
    kept, at = [], 0
    while at < len(said):
        end = at + run
        if end > len(said) or said[at:end] not in words:
            kept.append(said[at])
            at += 1
            continue
        while end < len(said) and said[at : end + 1] in words:
            end += 1
        kept.append("…")
        at = end
    return "".join(kept)
