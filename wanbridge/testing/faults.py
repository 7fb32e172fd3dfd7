"""Everything that can go wrong in an exchange, sent by hand into the real conversation.

Whatever happens there is one typed outcome, at most one purchase, no accepted job without a way
back to it, and no key in anything that is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from attrs import define, evolve, field, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Op, Resend
from wanbridge.engine.context import CallContext
from wanbridge.engine.conversation import generate
from wanbridge.engine.effects import Effect, Send, Sleep
from wanbridge.engine.events import Event, Submitting
from wanbridge.errors import CallFailed, Charge, ProviderError, TransportFailed
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.testing.replies import NOON
from wanbridge.testing.requests import KEY
from wanbridge.testing.samples import Samples
from wanbridge.wire import HttpResponse

_HTML = b"<html><head><title>Oops</title></head><body>The edge is in trouble</body></html>"
_STATUSES = (200, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
# Statuses of an edge that pass by themselves: a poll that meets one says nothing of the job.
_PASSING = frozenset({200, 408, 429, 500, 502, 503, 504, 529})
# More than any conversation needs until its deadline.
_EFFECTS_MOST = 2000


@frozen
class Fault:
    """One thing that happens in the place of a good reply.

    Attributes:
        answer: The reply, or what the line does.
        accepted: Whether the provider has taken the submit on nevertheless; None if unknown.
        passes: Whether a poll that meets it is no more than a bad moment.
    """

    name: str
    answer: HttpResponse | Charge
    accepted: bool | None
    passes: bool


def faults(adapter: Adapter, good: HttpResponse) -> Iterator[Fault]:
    """The line, the edge in front of the service, and *good* on its way."""
    yield Fault("no connection", Charge.NO, False, True)
    yield Fault("no reply", Charge.MAYBE, None, True)
    for status in _STATUSES:
        # That an edge forwards nothing with such a status is for the adapter's `edge` to say.
        accepted = False if status in adapter.edge else None
        for name, body in (("HTML", _HTML), ("nothing", b"")):
            reply = HttpResponse(status=status, body=body, received_at=NOON)
            yield Fault(f"{name} with {status}", reply, accepted, status in _PASSING)
    for part in (1, 4, 7):
        half = evolve(good, body=good.body[: len(good.body) * part // 8])
        yield Fault(f"{part}/8 of the reply", half, None, True)
    yield Fault("another shape", evolve(good, body=b'{"unheard": ["of"]}'), None, True)


@define
class _Scene:
    """One generation against one fault, on a clock that only sleeping moves.

    Attributes:
        times: How often the fault strikes.
        posts: Billable messages, each with what its answer was.
    """

    adapter: Adapter
    samples: Samples
    request: ImageRequest
    op: Op
    fault: Fault
    times: int
    seconds: float = 0.0
    polls: int = 0
    accepted: bool = False
    posts: list[tuple[Send, Fault | None]] = field(factory=list)
    events: list[Event] = field(factory=list)
    effects: int = 0

    def play(self) -> ImageResult | CallFailed:
        context = CallContext(clock=lambda: self.seconds, now=self._now, emit=self.events.append)
        flow = generate(self.adapter, self.request, key=KEY, context=context)
        try:
            effect = next(flow)
            while True:
                self.effects += 1
                assert self.effects < _EFFECTS_MOST, "the conversation does not end"
                answer: Any = self._answer(effect)
                thrown = isinstance(answer, Exception)
                effect = flow.throw(answer) if thrown else flow.send(answer)
        except StopIteration as stop:
            return cast("ImageResult", stop.value)
        except CallFailed as exc:
            return exc

    def _now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def _answer(self, effect: Effect) -> HttpResponse | TransportFailed | None:
        if isinstance(effect, Sleep):
            self.seconds += effect.seconds
            return None
        assert isinstance(effect, Send), f"{effect!r} for a plain request"
        if effect.billable:
            announced = [event for event in self.events if isinstance(event, Submitting)]
            assert len(announced) > len(self.posts), "a submit was not announced"
            struck = self.op is Op.SUBMIT and len(self.posts) < self.times
            self.posts.append((effect, self.fault if struck else None))
            if struck:
                return self._struck()
            self.accepted = True
            return self._fresh(self.samples.accepted)
        assert self.accepted, "polled before anything was accepted"
        self.polls += 1
        if self.op is Op.POLL and self.polls <= self.times:
            return self._struck()
        return self._fresh(self.samples.done)

    def _struck(self) -> HttpResponse | TransportFailed:
        answer = self.fault.answer
        if isinstance(answer, HttpResponse):
            return self._fresh(answer)
        return TransportFailed(self.adapter.account, self.fault.name, answer)

    def _fresh(self, reply: HttpResponse) -> HttpResponse:
        return evolve(reply, received_at=self._now())


def check_submits(adapter: Adapter, samples: Samples) -> None:
    """Every fault in the place of the reply to a submit, once and for good."""
    good = samples.accepted
    refusals = [
        Fault(f"refusal {n}", refusal, False, False) for n, refusal in enumerate(samples.refusals)
    ]
    for fault in (*faults(adapter, good), *refusals):
        for times in (1, 10**6):
            scene = _Scene(adapter, samples, samples.request, Op.SUBMIT, fault, times)
            outcome = scene.play()
            said = f"{fault.name} as the reply to a submit: {outcome!r}"
            _assert_always(scene, outcome, said)
            if fault.accepted is None and isinstance(outcome, CallFailed):
                assert outcome.charge is not Charge.NO, f"nobody knows that it was free: {said}"
            if fault in refusals and times > 1:
                assert isinstance(outcome, ProviderError), said
                assert outcome.charge is Charge.NO, f"a refusal that may cost money: {said}"


def check_polls(adapter: Adapter, samples: Samples) -> None:
    """Every fault in the place of the reply to a poll: the job is not lost with it."""
    for fault in faults(adapter, samples.done):
        for times in (3, 10**6):
            scene = _Scene(adapter, samples, samples.request, Op.POLL, fault, times)
            outcome = scene.play()
            said = f"{fault.name} as the reply to {times} polls: {outcome!r}"
            _assert_always(scene, outcome, said)
            if fault.passes and times == 3:
                assert isinstance(outcome, ImageResult), f"a bad moment ended it: {said}"


def check_ends(adapter: Adapter, samples: Samples) -> None:
    """Jobs that run, fail or are forgotten, as the provider words it."""
    replies = [
        *(("running", reply) for reply in samples.running),
        *(("failed", reply) for reply in samples.failed),
        *(("unknown", reply) for reply in samples.unknown),
    ]
    for name, reply in replies:
        for times in (1, 10**6):
            scene = _Scene(
                adapter, samples, samples.request, Op.POLL, Fault(name, reply, True, True), times
            )
            outcome = scene.play()
            said = f"{name} as the reply to {times} polls: {outcome!r}"
            _assert_always(scene, outcome, said)
            delivered = name != "failed" and times == 1
            assert isinstance(outcome, ImageResult) is delivered, said
            if name == "failed":
                assert isinstance(outcome, ProviderError), said
                assert outcome.final, f"the job has ended, so it is final: {said}"


def _assert_always(scene: _Scene, outcome: ImageResult | CallFailed, said: str) -> None:
    """What holds whatever goes wrong."""
    _assert_bought_once(scene, said)
    _assert_nothing_is_lost(scene, outcome, said)
    _assert_no_key(scene, outcome, said)


def _assert_bought_once(scene: _Scene, said: str) -> None:
    """A second submit follows a sure refusal only, or the key makes it the same purchase."""
    messages = {(send.request.url, send.request.body) for send, _ in scene.posts}
    assert len(messages) == 1, f"submitted with different bytes: {said}"
    if scene.adapter.resend is Resend.SAME_KEY_IS_SAFE:
        return
    for _, struck in scene.posts[:-1]:
        assert struck is not None, f"bought twice: {said}"
        assert struck.accepted is False, f"sent again, though it may have been bought: {said}"


def _assert_nothing_is_lost(scene: _Scene, outcome: ImageResult | CallFailed, said: str) -> None:
    if isinstance(outcome, ImageResult):
        assert outcome.images, said
        assert ImageResult.from_json(outcome.to_json()).job_id == outcome.job_id, said
    elif scene.accepted:
        assert outcome.job is not None, f"accepted, and there is no way back: {said}"
    elif outcome.charge is not Charge.NO:
        assert outcome.receipt is not None, f"perhaps bought, and there is no receipt: {said}"


def _assert_no_key(scene: _Scene, outcome: ImageResult | CallFailed, said: str) -> None:
    shown = [repr(outcome), str(outcome), *map(repr, scene.events)]
    if isinstance(outcome, ImageResult):
        shown.append(json.dumps(outcome.to_json()))
    else:
        handles = (outcome.job, outcome.receipt)
        shown += [json.dumps(handle.to_json()) for handle in handles if handle is not None]
    assert scene.adapter.api_key, "give the adapter a key"
    assert not any(scene.adapter.api_key in text for text in shown), f"the key is shown: {said}"
