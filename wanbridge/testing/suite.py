"""The kit itself: a class of tests to inherit from, and the same as a list of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from unittest import SkipTest

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.steps import Op, Pending
from wanbridge.errors import CallFailed, ProviderError, WanbridgeError
from wanbridge.testing import callbacks, faults, writing
from wanbridge.testing.replies import (
    Reading,
    assert_read_in_order,
    broken,
    mangled,
    nested,
    with_body,
)
from wanbridge.testing.requests import KEY
from wanbridge.testing.samples import Samples

# More places to cut a long reply at show nothing new.
_CUTS_MOST = 400


class AdapterContract:
    """What every adapter promises, as tests; a subclass says which one and how it is answered.

    ::

        class TestHalide(AdapterContract):
            samples = Samples(accepted=reply({"id": "t-1"}), done=reply({"urls": ["https://…"]}))

            def adapter(self):
                return Halide(api_key="sk-test")

    Without ``samples`` only writing is tested, the rest is skipped.
    """

    samples: Samples | None = None

    def adapter(self) -> Adapter:
        """A new instance with a key; equal each time."""
        raise NotImplementedError(f"{type(self).__name__}.adapter() has to make the adapter")

    # -- writing ----------------------------------------------------------------------

    def test_declared_fields_reach_the_wire(self) -> None:
        """Claiming support and dropping the value is the worst of both."""
        self._written(writing.declared_fields_reach_the_wire)

    def test_nothing_vanishes(self) -> None:
        """Each value of each field is in the message, in a note or in a refusal."""
        self._written(writing.nothing_vanishes)

    def test_what_cannot_be_said_can_be_dropped(self) -> None:
        """``may_drop`` gives the message that there would be without the field, and says so."""
        self._written(writing.what_cannot_be_said_can_be_dropped)

    def test_a_submit_is_pure(self) -> None:
        """The same arguments give the same bytes, from another instance too."""
        for offer in self.adapter().offers:
            writing.a_submit_is_pure(self.adapter, offer)

    def test_the_key_is_in_one_header_only(self) -> None:
        """It is in no body, no URL and no repr."""
        self._written(writing.the_key_is_in_one_header_only)

    def test_a_body_holds_no_null(self) -> None:
        """Absent values are absent; only an extra may say null."""
        self._written(writing.a_body_holds_no_null_but_the_callers)

    def test_extras_are_ours_only_and_merged_last(self) -> None:
        """An extra field stands at the end of one node; another adapter's is not there."""
        self._written(writing.extras_are_ours_only_and_merged_last)

    def test_what_is_written_beside_extras_is_reserved(self) -> None:
        """An extra cannot replace what the adapter has decided on."""
        self._written(writing.what_is_written_beside_extras_is_reserved)

    def test_an_extra_that_is_no_json_is_refused(self) -> None:
        """Before anything is sent, by `InvalidRequest`."""
        self._written(writing.an_extra_that_is_no_json_is_refused)

    def test_a_size_is_sent_or_refused(self) -> None:
        """Nothing but a message or `UnsupportedFeature`."""
        self._written(writing.a_size_is_sent_or_refused)

    def test_a_picture_held_elsewhere_is_refused(self) -> None:
        """Another provider's id means nothing here."""
        self._written(writing.a_picture_held_elsewhere_is_refused)

    # -- reading ----------------------------------------------------------------------

    def test_samples_are_read_as_what_they_are(self) -> None:
        """Accepted opens a job, done has pictures; each refusal and failure is an error."""
        samples, given = self._samples(), self._adapter
        for reading in self._readings:
            assert_read_in_order(reading, reading.response)
            read = reading.read(reading.response)
            wrong = isinstance(read, ProviderError) is not reading.name.startswith(
                ("refusal", "failed")
            )
            assert not wrong, f"{reading.name} is read as {read!r}"
        for op in (Op.SUBMIT, Op.POLL):
            good = samples.accepted if op is Op.SUBMIT else samples.done
            assert given.failure(good, op=op) is None, f"a good reply to {op} is a failure"

    def test_a_reply_cut_short_is_no_success(self) -> None:
        """Half a reply opens no job and brings no picture."""
        for reading in self._readings:
            body = reading.response.body.rstrip()
            for end in range(0, len(body), len(body) // _CUTS_MOST + 1):
                response = with_body(reading.response, body[:end])
                assert_read_in_order(reading, response)
                try:
                    read = reading.read(response)
                except CallFailed:
                    continue
                assert isinstance(read, Exception), f"{read!r} from {body[:end]!r:.300}"

    def test_a_broken_reply_lets_only_our_errors_out(self) -> None:
        """Any node deleted, doubled or of another type; no JSON; nesting without end."""
        for reading in self._readings:
            good = reading.response
            for body in (*broken(good.json()), *mangled(good.body), *nested(good.body, 100_000)):
                assert_read_in_order(reading, with_body(good, body))

    def test_another_status_lets_only_our_errors_out(self) -> None:
        """A good body under a bad status, and a bad one under a good status."""
        for reading in self._readings:
            for status in (200, 202, 302, 400, 401, 404, 408, 429, 500, 504):
                assert_read_in_order(reading, evolve(reading.response, status=status))

    # -- the whole conversation -------------------------------------------------------

    def test_a_submit_is_paid_once_whatever_happens(self) -> None:
        """One typed outcome, one purchase at most, a receipt or a job for what may be bought."""
        faults.check_submits(self._adapter, self._samples())

    def test_a_job_is_not_lost_with_a_poll(self) -> None:
        """The generation is paid for: a broken connection does not give it up."""
        self._needs_jobs()
        faults.check_polls(self._adapter, self._samples())

    def test_jobs_end_as_the_provider_says(self) -> None:
        """Running ones at the deadline, failed ones with their error, unknown ones as lost."""
        self._needs_jobs()
        faults.check_ends(self._adapter, self._samples())

    # -- callbacks --------------------------------------------------------------------

    def test_callbacks_are_read_or_refused(self) -> None:
        """They come from anybody: nothing but events or `CallbackRefused`."""
        self._written(writing.callbacks_that_are_asked_for_can_be_read)
        self._needs_callbacks()
        callbacks.check_callbacks(self._adapter, self._samples())

    def test_a_forged_callback_is_not_verified(self) -> None:
        """Neither with another key nor without a signature."""
        self._needs_callbacks()
        callbacks.check_signatures(self._adapter, self._samples())

    # -- what they share --------------------------------------------------------------

    def _written(self, check: Callable[[Adapter, Offer], None]) -> None:
        for offer in self._adapter.offers:
            check(self._adapter, offer)

    def _samples(self) -> Samples:
        if self.samples is None:
            raise SkipTest("no samples are given")
        return self.samples

    def _needs_jobs(self) -> None:
        if self._adapter.at_once:
            raise SkipTest("a submit is answered with the pictures: there are no polls")

    def _needs_callbacks(self) -> None:
        if type(self._adapter).read_callback is Adapter.read_callback:
            raise SkipTest("this adapter reads no callbacks")
        assert self._samples().callbacks, "this adapter reads callbacks: give a sample of one"

    @cached_property
    def _adapter(self) -> Adapter:
        return self.adapter()

    @cached_property
    def _readings(self) -> tuple[Reading, ...]:
        return tuple(self._read_readings())

    def _read_readings(self) -> Iterator[Reading]:
        samples, adapter = self._samples(), self._adapter
        accepted = Reading(
            name="accepted",
            adapter=adapter,
            response=samples.accepted,
            request=samples.request,
            job=None,
        )
        yield accepted
        for reply in samples.refusals:
            yield evolve(accepted, name="refusal", response=reply)
        try:
            step = adapter.read_submission(samples.accepted, samples.request, key=KEY)
        except WanbridgeError as exc:
            raise AssertionError(f"accepted is not read: {exc}") from exc
        if not isinstance(step, Pending):
            return
        yield evolve(accepted, name="done", response=samples.done, job=step.job)
        for name in ("running", "failed", "unknown"):
            for reply in getattr(samples, name):
                yield evolve(accepted, name=name, response=reply, job=step.job)


def contract(
    adapter: Callable[[], Adapter], *, samples: Samples | None = None
) -> list[tuple[str, Callable[[], None]]]:
    """The same tests by name, for other runners; `unittest.SkipTest` says that one is not for it.

    Args:
        adapter: Makes an instance with a key; equal each time.
    """

    class Contract(AdapterContract):
        def adapter(self) -> Adapter:
            return adapter()

    suite = Contract()
    suite.samples = samples
    names = [name for name in vars(AdapterContract) if name.startswith("test_")]
    return [(name, getattr(suite, name)) for name in names]
