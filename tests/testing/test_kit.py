"""The kit for adapters: an outside package passes it, ours do, and each kind of mistake is seen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from attrs import evolve

import wanbridge
from contract_bench import SECONDS, Bench, Variant, conversation, variants
from halide_wanbridge import Halide
from test_halide_wanbridge import TestHalide as Outside
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.steps import CallbackEvent, Done, Op, Pending, Resend, Step
from wanbridge.errors import Charge, ProviderError
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.testing import Samples, contract
from wanbridge.wire import HttpRequest, HttpResponse, json_request

HERE = Path(__file__).parents[1]
HOOK = "https://app.example.com/hooks/wan"
CHECKS = [name for name, _ in contract(Outside().adapter)]


# -- an outside package --------------------------------------------------------------------


def installed(target: Path) -> None:
    """The outside package, as pip puts it there; by hand where nothing can build it."""
    source = target.parent / "source"
    shutil.copytree(HERE / "outside", source, ignore=shutil.ignore_patterns("__pycache__"))
    if find_spec("hatchling") and find_spec("pip"):
        offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip", "install", "-q", *offline]
        subprocess.run([*pip, "--target", str(target), str(source)], check=True)
        return
    shutil.copytree(source / "halide_wanbridge", target / "halide_wanbridge")
    facts = target / "halide_wanbridge-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: halide-wanbridge\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[wanbridge.adapters]\nhalide = halide_wanbridge:Halide\n"
    )


def in_a_process_with(target: Path, *arguments: str) -> str:
    """What Python prints that sees *target* and our package, and no other folder of ours."""
    ours = str(Path(wanbridge.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=target.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(target), ours])},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


_LISTED = """
from wanbridge.adapters.registry import Registry
import halide_wanbridge
print(*Registry().names(), Registry().adapter("halide") is halide_wanbridge.Halide)
print(halide_wanbridge.__file__)
"""


def test_an_outside_package_is_found_and_keeps_the_contract(tmp_path: Path) -> None:
    """Installed, it is listed by its entry point, and its own tests run the kit."""
    target = tmp_path / "target"
    installed(target)
    shutil.copy(HERE / "outside" / "test_halide_wanbridge.py", tmp_path)

    names, file = in_a_process_with(target, "-c", _LISTED).splitlines()
    here = ["-c", os.devnull, "--rootdir", ".", "--confcutdir", "."]
    alone = ["-q", *here, "-p", "no:cacheprovider", "-W", "error"]
    told = in_a_process_with(target, "-m", "pytest", *alone, "test_halide_wanbridge.py")

    assert ["halide", "True"] == names.split()[-2:]
    assert file.startswith(str(target))
    assert f"{len(CHECKS)} passed" in told


def test_no_test_library_is_needed(tmp_path: Path) -> None:
    """Neither by wanbridge nor by the kit itself; and nobody gets the kit unasked."""
    code = (
        "import sys, wanbridge; [getattr(wanbridge, n) for n in wanbridge.__all__];"
        "print('wanbridge.testing' in sys.modules, 'unittest' in sys.modules);"
        "import wanbridge.testing; print('pytest' in sys.modules)"
    )

    told = in_a_process_with(tmp_path, "-c", code).split()

    assert ["False", "False", "False"] == told


def test_without_samples_only_writing_is_asked() -> None:
    """The rest says so, as every test runner understands it."""
    skipped = []
    for name, check in contract(Outside().adapter):
        try:
            check()
        except SkipTest:
            skipped.append(name)

    assert {"test_a_reply_cut_short_is_no_success", "test_callbacks_are_read_or_refused"} <= {
        *skipped
    }
    assert "test_nothing_vanishes" not in skipped


# -- our own -------------------------------------------------------------------------------


@cache
def samples_of(variant: Variant) -> Samples:
    """A built-in adapter's samples, as its sandbox words them."""
    requests = (ImageRequest("a red kite over dunes", n=2), ImageRequest("a red kite over dunes"))
    adapter = variant.adapter()
    request = next(r for r in requests if not fit(adapter, r).problems)
    told: dict[str, list[HttpResponse]] = {}
    for reading in conversation(variant, {}, request):
        told.setdefault(reading.name, []).append(reading.response)
    (accepted, *_) = told["good submission"]
    return Samples(
        request=request,
        accepted=accepted,
        done=told.get("good ended", [accepted])[0],
        running=told.get("good running", [])[:1],
        failed=told.get("refuse_content ended", []),
        unknown=told.get("lost poll", [])[:1],
        refusals=[*told["no_credit submission"], *told["unauthorized submission"]],
        **_called(variant, request),
    )


def _called(variant: Variant, request: ImageRequest) -> dict[str, Any]:
    """What the sandbox would call back with, and how it is signed."""
    bench = Bench(variant)
    asked = evolve(request, callback_url=HOOK)
    if fit(bench.adapter, asked).problems:
        return {}
    bench.accepted(asked)
    bench.at += SECONDS
    calls = bench.sandbox.take_callbacks()
    account = bench.sandbox._dialects[variant.name].account
    signed = any("signature" in name.lower() for call in calls for name in call.request.headers)
    return {
        "callbacks": tuple(call.request for call in calls),
        "signing_keys": (account.webhook_key,) if signed else (),
        "called_at": datetime.fromtimestamp(bench.at, UTC),
    }


# How they write, and read what is broken, is asked in test_contract: offer by offer, in each mode.
_READING = [
    name
    for name in CHECKS
    if any(w in name for w in ("cut_short", "samples", "paid", "job", "callback"))
]


@pytest.mark.parametrize("name", _READING)
@pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.id)
def test_ours_keep_the_contract(variant: Variant, name: str) -> None:
    """The same kit, with the replies of the sandbox."""
    checks = dict(contract(variant.adapter, samples=samples_of(variant)))

    checks[name]()


# -- mistakes ------------------------------------------------------------------------------


class DropsTheSeed(Halide):
    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        return super().submit(evolve(request, seed=None), offer, key=key)


class KeyInTheUrl(Halide):
    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        message = super().submit(request, offer, key=key)
        return evolve(message, url=f"{message.url}?key={self.api_key}")


class Counts(Halide):
    times = 0

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        type(self).times += 1
        return evolve(super().submit(request, offer, key=key), headers={"N": str(self.times)})


class SendsNull(Halide):
    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        message = super().submit(request, offer, key=key)
        body = {"seed": None, **message.json()}
        return json_request("POST", message.url, headers=message.headers, body=body)


class ReservesNothing(Halide):
    reserved = frozenset()


class ThinksServerErrorsAreFree(Halide):
    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        error = super().failure(response, op=op, job=job)
        if error is not None and response.status >= 500:
            error.charge = Charge.NO
        return error


class ThinksAKeyIsSafe(ThinksServerErrorsAreFree):
    resend = Resend.SAME_KEY_IS_SAFE


class ReadsCarelessly(Halide):
    def read_poll(self, response: HttpResponse, job: Job) -> Step:
        return self._careless(response.json()["pictures"][0]["url"], response, job)

    def _careless(self, url: str, response: HttpResponse, job: Job) -> Step:
        done = super().read_poll(response, job)
        assert isinstance(done, Done)
        return done


class ReadsByPattern(Halide):
    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        return None if op is Op.SUBMIT else super().failure(response, op=op, job=job)

    def read_submission(self, response: HttpResponse, request: ImageRequest, *, key: str) -> Step:
        found = re.search(rb'"task_id": "([^"]+)', response.body)
        if found is None:
            raise self.malformed(response, "no task_id")
        return Pending(self.job(response, request, found[1].decode(), key=key))


class GivesUpOnAnyTrouble(Halide):
    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        error = super().failure(response, op=op, job=job)
        if error is not None:
            error.final = True
        return error


class ShowsTheKey(Halide):
    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        error = super().failure(response, op=op, job=job)
        if error is not None:
            error.message += f" (with {self.api_key})"
        return error


class BelievesEveryCallback(Halide):
    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        return [evolve(e, verified=True) for e in super().read_callback(request, (), now=now)]


class ChokesOnCallbacks(Halide):
    def read_callback(
        self, request: HttpRequest, secrets: Sequence[str], *, now: datetime
    ) -> list[CallbackEvent]:
        return [CallbackEvent(task_id=request.json()["task_id"])]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (DropsTheSeed, "test_declared_fields_reach_the_wire"),
        (DropsTheSeed, "test_nothing_vanishes"),
        (KeyInTheUrl, "test_the_key_is_in_one_header_only"),
        (Counts, "test_a_submit_is_pure"),
        (SendsNull, "test_a_body_holds_no_null"),
        (ReservesNothing, "test_what_is_written_beside_extras_is_reserved"),
        (ThinksServerErrorsAreFree, "test_a_submit_is_paid_once_whatever_happens"),
        (ThinksAKeyIsSafe, "test_a_submit_is_paid_once_whatever_happens"),
        (ReadsCarelessly, "test_a_broken_reply_lets_only_our_errors_out"),
        (ReadsByPattern, "test_a_reply_cut_short_is_no_success"),
        (GivesUpOnAnyTrouble, "test_a_job_is_not_lost_with_a_poll"),
        (ShowsTheKey, "test_a_submit_is_paid_once_whatever_happens"),
        (BelievesEveryCallback, "test_a_forged_callback_is_not_verified"),
        (ChokesOnCallbacks, "test_callbacks_are_read_or_refused"),
    ],
)
def test_a_mistake_is_seen(wrong: type[Adapter], name: str) -> None:
    """Each promise is broken once; an adapter that breaks it does not pass."""
    checks = dict(contract(lambda: wrong(api_key="sk-test"), samples=Outside.samples))

    with pytest.raises(AssertionError):
        checks[name]()
