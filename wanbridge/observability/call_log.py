"""The log ``wanbridge``: the lines of a call, without the words of its prompt."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from attrs import define, field

from wanbridge.engine import events
from wanbridge.errors import Charge
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.observability.call_record import CallRecord, outcome_of
from wanbridge.observability.telemetry import CallObserver

log = logging.getLogger("wanbridge")


class Log:
    """The `Telemetry` that writes the log ``wanbridge``; every client has it.

    DEBUG has each step, INFO what was delivered and why something took longer, WARNING what may
    have cost money without a picture: a submit of unknown outcome, a charge for nothing.
    """

    def begin(
        self,
        operation: events.OperationName,
        *,
        model: str,
        route: str | None,
        provider: str | None,
    ) -> CallObserver:
        return _LoggedCall(operation)

    def ended(
        self, operation: events.OperationName, handles: Handles, error: BaseException
    ) -> None:
        """Log that a call without an observer ended with *error*; *handles* are what it left."""
        call = _LoggedCall(operation)
        if handles.receipt is not None:
            call.on_event(events.Submitting(handles.receipt))
        if handles.job is not None:
            call.on_event(events.Accepted(handles.job))
        call.end(None, error)


LOG = Log()


@define
class _LoggedCall:
    _operation: str
    _account: str | None = None
    _record: CallRecord = field(factory=CallRecord)

    def on_event(self, event: events.Event) -> None:
        self._record.add(event)
        if isinstance(event, events.Asking):
            before, self._account = self._account, event.account
            if before not in (None, self._account):
                log.info("wanbridge: %s: going on to %s", before, self._account)
        log_event(event, [account.request for account in self._record.accounts.values()])

    def end(self, result: ImageResult | Job | None, error: BaseException | None) -> None:
        if not log.isEnabledFor(logging.WARNING):
            return
        attempts = self._record.attempts(result, error)
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


def log_event(event: events.Event, requests: Iterable[ImageRequest] = ()) -> None:
    """Log a step of a call.

    Args:
        requests: Whose prompts are taken out of what a provider said.
    """
    level = logging.INFO if isinstance(event, events.Retrying) else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    match event:
        case events.Asking(account):
            reason = _without_prompts(event.reason, requests)
            log.debug("wanbridge: %s: asked: %s", account, reason)
        case events.Submitting(receipt):
            log.debug(
                "wanbridge: %s: submitting to %s, key %s",
                receipt.account,
                receipt.request.model,
                receipt.key,
            )
        case events.Accepted(job):
            log.debug("wanbridge: %s: accepted as job %s", job.account, job.id)
        case events.Polled(job=job):
            log.debug(
                "wanbridge: %s: job %s, poll %d after %.1f s: %s",
                job.account,
                job.id,
                event.polls,
                event.seconds,
                _news(event, requests),
            )
        case events.Retrying():
            log.info(
                "wanbridge: %s: again in %.1f s, after: %s",
                event.account,
                event.seconds,
                _without_prompts(event.reason, requests),
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


def _news(event: events.Polled, requests: Iterable[ImageRequest]) -> str:
    if event.trouble is not None:
        return _without_prompts(event.trouble, requests)
    return "pending" if event.progress is None else f"{event.progress:.0%}"


# Of what a provider said, and of a prompt that it quotes.
_SAID_MOST, _QUOTED_LEAST = 300, 8


def _without_prompts(said: str, requests: Iterable[ImageRequest]) -> str:
    """*said* without what it quotes of a prompt, whole or eight characters and more of it."""
    said = said[:_SAID_MOST]
    for request in requests:
        for words in (request.prompt, request.negative_prompt or ""):
            said = _without_quotes(said, words)
    return said


def _without_quotes(said: str, words: str) -> str:
    run = min(_QUOTED_LEAST, len(words))
    if run < _QUOTED_LEAST // 2:  # a letter or two would be found in every sentence
        return said
    parts, at = [], 0
    while at < len(said):
        end = at + run
        if end > len(said) or said[at:end] not in words:
            parts.append(said[at])
            at += 1
            continue
        while end < len(said) and said[at : end + 1] in words:
            end += 1
        parts.append("…")
        at = end
    return "".join(parts)
