"""Conversations with providers, as generators that sync and async share.

A flow yields *effects*: ``Send`` this message, ``Sleep`` so long, and (for pictures) ``Resolve``
a host and ``Fetch`` a URL. A client carries them out and sends the reply in, or throws the
transport error in. So the whole of submitting, waiting and giving up stands once, and a test
plays the provider by hand::

    flow = generate(adapter, request, key="k", context=context)
    effect = next(flow)                 # Send(account="halide", request=HttpRequest(...))
    effect = flow.send(response)        # Sleep(seconds=2.0)

Retries are decided here and nowhere else. A *submit* is sent again only when it was surely
not accepted, or when the provider makes the same key safe; everything else about a submit
whose outcome is unknown ends in `SubmissionUncertain` with its receipt.
"""

from __future__ import annotations

import logging
from typing import TypeVar

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import DROPPABLE, FittedRequest, fit, refuse_digests
from wanbridge.adapters.steps import (
    Pending,
    Step,
)
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow
from wanbridge.engine.events import Accepted
from wanbridge.engine.pacing import wait_for_slot
from wanbridge.engine.polling import REPLY_STATE, finish, poll
from wanbridge.engine.results import make_result, with_bytes
from wanbridge.engine.submission import submit_fitted
from wanbridge.engine.tracing import traced
from wanbridge.errors import (
    WanbridgeError,
)
from wanbridge.model.jobs import Job
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult

T = TypeVar("T")
log = logging.getLogger("wanbridge")


# -- what the clients run ---------------------------------------------------------------


def generate(
    adapter: Adapter,
    request: ImageRequest,
    *,
    key: str,
    context: CallContext,
    fitted: FittedRequest | None = None,
) -> Flow[ImageResult]:
    """Buy pictures and wait for them.

    Args:
        fitted: *request* as it fits the offer in this context, where it was made already.
    """
    began, until = context.clock(), context.until
    with traced(adapter, context):
        request, fitted = _fit(adapter, request, key, context, fitted)
        quoted = context.price(adapter, request, None)
        with context.rate_limiter.slot(adapter.account, fitted.offer) as slot:
            yield from wait_for_slot(slot, adapter, context, until)
            submitted_at = context.now()
            step, _ = yield from submit_fitted(
                adapter, request, fitted, quoted, key, context, until
            )
            delivery, job = yield from finish(adapter, step, context=context, until=until)
        result = make_result(
            adapter, request, delivery, job, context, fitted.notes, submitted_at, began, quoted, key
        )
        return (yield from with_bytes(result, request, context, until))


def submit(
    adapter: Adapter,
    request: ImageRequest,
    *,
    key: str,
    context: CallContext,
    fitted: FittedRequest | None = None,
) -> Flow[Job]:
    """Buy pictures and return the job; arguments as `generate`.

    Raises:
        UnsupportedFeature: this mode answers with the pictures; there is no job.
    """
    if adapter.at_once:
        reason = "this mode answers with the pictures at once, there is no job; use generate"
        raise adapter.unsupported("submit", reason)
    with traced(adapter, context):
        request, fitted = _fit(adapter, request, key, context, fitted)
        quoted = context.price(adapter, request, None)
        step, response = yield from submit_fitted(
            adapter, request, fitted, quoted, key, context, context.until
        )
        if isinstance(step, Pending):
            return step.job
        # It answered with the pictures although it need not have. The job keeps that reply.
        reply = {"status": response.status, "body": response.body.decode("utf-8", "replace")}
        job = adapter.job(response, request, key, key=key, state={REPLY_STATE: reply})
        context.handles.job, context.handles.receipt = job, None
        context.report(Accepted(job))
        return job


def wait(adapter: Adapter, job: Job, *, context: CallContext) -> Flow[ImageResult]:
    """Poll an accepted job until it has ended, and return its pictures."""
    began, until = context.clock(), context.until
    with traced(adapter, context, job=job):
        step, _ = yield from poll(adapter, job, context, until)
        delivery, _ = yield from finish(adapter, step, context=context, until=until, job=job)
        notes = _notes_again(adapter, job.request, context)
        quoted = context.price(adapter, job.request, None)
        at = job.submitted_at
        result = make_result(
            adapter, job.request, delivery, job, context, notes, at, began, quoted, job.key
        )
        return (yield from with_bytes(result, job.request, context, until))


def look(adapter: Adapter, job: Job, *, context: CallContext) -> Flow[Step]:
    """Poll once.

    A poll that is refused, unreadable or cannot get through says nothing of the job, which
    is `Pending` then.

    Raises:
        AuthenticationFailed: the key is not good for polling; with ``.job``.
        CallFailed: the job has ended without a picture; with ``.job``.
    """
    with traced(adapter, context, job=job):
        step, _ = yield from poll(adapter, job, context, context.until)
        return step


def _fit(
    adapter: Adapter,
    request: ImageRequest,
    key: str,
    context: CallContext,
    fitted: FittedRequest | None,
) -> tuple[ImageRequest, FittedRequest]:
    """The request as this account is sent it, and how it fits."""
    asked = _called_back(adapter, request, key, context)
    if fitted is None or asked is not request:
        refuse_digests(asked)
        fitted = fit(
            adapter,
            asked,
            may_drop=context.may_drop,
            check_limits=context.check_limits,
            staging=context.staging,
        )
    return asked, fitted.settle()


def _notes_again(adapter: Adapter, request: ImageRequest, context: CallContext) -> tuple[Note, ...]:
    """The notes of a request that was fitted before, perhaps by another version or set-up."""
    try:
        fitted = fit(
            adapter, request, may_drop=DROPPABLE, check_limits=False, staging=context.staging
        )
        return fitted.notes
    except WanbridgeError as exc:
        return (Note("request", "info", f"it would not be sent like this any more: {exc}"),)


def _called_back(
    adapter: Adapter, request: ImageRequest, key: str, context: CallContext
) -> ImageRequest:
    """*request* with the callback URL of the receiver, where it names none itself."""
    if context.callbacks is None or request.callback_url is not None or adapter.at_once:
        return request
    if "callback_url" not in adapter.offer(request.model).fields:
        return request
    return evolve(request, callback_url=context.callbacks.address(adapter.account, key))
