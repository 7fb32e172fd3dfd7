"""Recorded exchanges, played through both clients, with either HTTP library.

Matched on method, URI and body, played to the end, nothing else on the line. Most are kind
*simulated*: they show that the adapters, the clients and the sandbox agree on something, and
what a change of ours changes on the wire; not that the provider does. See ``scenarios.py``.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import vcr  # type: ignore[import-untyped]
import yaml

from cassette_scenarios import SCENARIOS, Clock, Scenario
from record_cassettes import record, written
from wanbridge.adapters.registry import Registry
from wanbridge.adapters.steps import Cancelled, StillUnknown
from wanbridge.errors import CallFailed
from wanbridge.model.money import Money
from wanbridge.model.result import ImageResult
from wanbridge.transport.library import httpx

CASSETTES = Path(__file__).parents[1] / "cassettes"
FILES = sorted(CASSETTES.rglob("*.yaml"))
ON_THIS = httpx.__name__
OTHER = {"httpx": "httpx2", "httpx2": "httpx"}[ON_THIS]

# Images and what they cost; or the error and whether it cost money.
EXPECTED: dict[str, str] = {
    "runware/submit_then_two_polls": "2 of 2, 0.06 USD by reply",
    "runware/two_regions_and_a_palette": "1 of 1, 0.03 USD by reply",
    "runware/refused_prompt": "ContentRefused, charge maybe, with its job",
    "runware/out_of_credit": "CreditExhausted, charge no",
    "runware/conflict_stands_for_a_lost_acknowledgement": "2 of 2, 0.06 USD by reply",
    "runware/one_picture_of_two_fails": "1 of 2, 0.03 USD by reply; timeoutProvider",
    "runware/timeout_beside_a_picture": "1 of 2, 0.03 USD by reply; timeoutProvider",
    "reapi/submit_then_two_polls": "2 of 2, 0.048 USD by rule",
    "reapi/two_regions_and_a_palette": "1 of 1, 0.024 USD by rule",
    "reapi/refused_prompt": "ContentRefused, charge no, with its job",
    "reapi/out_of_credit": "CreditExhausted, charge no",
    "reapi/too_many_requests_then_accepted": "2 of 2, 0.048 USD by rule",
    "reapi/balance": "100000 REAPI-CREDITS",
    "reapi/completed_without_created_at": "2 of 2, 0.048 USD by rule",
    "dashscope/submit_then_two_polls": "2 of 2, 0.06 USD by rule",
    "dashscope/two_regions_and_a_palette": "1 of 1, 0.03 USD by rule",
    "dashscope/sync_answers_with_the_pictures": "2 of 2, 0.06 USD by rule",
    "dashscope/refused_prompt_inside_output": "ContentRefused, charge no, with its job",
    "dashscope/refused_prompt_beside_output": "ContentRefused, charge no, with its job",
    "dashscope/out_of_credit": "CreditExhausted, charge no",
    "dashscope/cancelled_while_queued": "cancelled, charge no",
    "dashscope/list_of_candidates": "1 candidate",
    "dashscope/set_in_one_choice": "3 of 4, 0.09 USD by rule",
    "gccai/submit_then_polls": "2 of 2, 0.40 CNY by rule",
    "gccai/two_regions_and_a_palette": "1 of 1, 0.20 CNY by rule",
    "gccai/refused_prompt": "RequestRejected, charge no, with its job",
    "gccai/out_of_credit": "CreditExhausted, charge no",
    "gccai/balance": "1000 GCCAI-CREDITS",
    "kie/submit_then_polls": "2 of 2, 16 KIE-CREDITS by reply",
    "kie/two_regions_and_a_palette": "1 of 1, 8 KIE-CREDITS by reply",
    "kie/refused_prompt": "ContentRefused, charge no, with its job",
    "kie/out_of_credit_inside_200": "CreditExhausted, charge no",
    "kie/balance": "5000 KIE-CREDITS",
    "empiriolabs/submit_then_polls": "2 of 2, 0.060 USD by rule",
    "empiriolabs/two_regions_and_a_palette": "1 of 1, 0.030 USD by rule",
    "empiriolabs/out_of_credit": "CreditExhausted, charge no",
    "empiriolabs/list_of_candidates": "1 candidate",
    "crun/submit_then_polls": "2 of 2, 12 CRUN-CREDITS by reply",
    "crun/two_regions_and_a_palette_by_guess": "1 of 1, 6 CRUN-CREDITS by reply",
    "crun/out_of_credit": "CreditExhausted, charge no",
    "crun/too_many_requests_stay_uncertain": "SubmissionUncertain, charge maybe",
    "crun/balance": "10000 CRUN-CREDITS",
}


@contextmanager
def played(scenario: Scenario) -> Iterator[None]:
    """The cassette of *scene* in the place of the network; to its end."""
    recorder = vcr.VCR(record_mode="none", match_on=("method", "uri", "body"))
    with recorder.use_cassette(str(CASSETTES / f"{scenario.name}.yaml")) as cassette:
        yield
    assert cassette.all_played, f"{scenario.name} holds exchanges that nothing asked for"


def blocking(scenario: Scenario) -> Any:
    return scenario.play(clock=Clock())


def awaiting(scenario: Scenario) -> Any:
    return asyncio.run(scenario.play_async(clock=Clock()))


def told(value: object) -> str:
    """What came of a scene, in a few words."""
    match value:
        case ImageResult():
            cost = f"{value.cost} by {value.cost_source}"
            failed = "".join(f"; {failure.code}" for failure in value.failures)
            return f"{len(value.images)} of {value.requested}, {cost}{failed}"
        case CallFailed():
            handle = ", with its job" if value.job is not None else ""
            return f"{type(value).__name__}, charge {value.charge}{handle}"
        case Cancelled(charge):
            return f"cancelled, charge {charge}"
        case StillUnknown(candidates=candidates):
            return f"{len(candidates)} candidate{'s' * (len(candidates) != 1)}"
    assert isinstance(value, Money), value
    return str(value)


@pytest.mark.parametrize("play", [blocking, awaiting])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_a_cassette_plays_to_its_end(scenario: Scenario, play: Callable[[Scenario], Any]) -> None:
    """The messages are those on the tape, and what they bring is what it shows."""
    with played(scenario):
        try:
            value = play(scenario)
        except CallFailed as exc:
            value = exc

    assert EXPECTED[scenario.name] == told(value)
    if isinstance(value, ImageResult):
        assert value == ImageResult.from_json(value.to_json())


# In a process where the library of this one cannot be imported.
_WITHOUT = """
import sys

sys.modules[sys.argv[1]] = None
import pytest
from wanbridge.transport.library import httpx

assert httpx.__name__ == sys.argv[2], httpx.__name__
sys.exit(pytest.main([*sys.argv[3:], "-p", "no:cacheprovider", "-p", "no:randomly"]))
"""


@pytest.mark.skipif(find_spec(OTHER) is None, reason=f"{OTHER} is not installed")
@pytest.mark.skipif(ON_THIS == "httpx", reason="httpx2 goes first wherever it can be imported")
def test_every_cassette_plays_with_the_other_library() -> None:
    """Users have httpx 0.28 or httpx2; both must put the same on the wire."""
    here = f"{__file__}::{test_a_cassette_plays_to_its_end.__name__}"

    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT, ON_THIS, OTHER, here, "-v", "-n", "0"],
        capture_output=True,
        text=True,
        cwd=CASSETTES.parent,
        check=False,
    )

    assert 0 == run.returncode, run.stdout + run.stderr
    assert f"{2 * len(SCENARIOS)} passed" in run.stdout


def test_every_cassette_is_a_scene_and_every_scene_expected() -> None:
    """No file that nothing plays; at least four for each provider."""
    names = [f"{file.parent.name}/{file.stem}" for file in FILES]

    assert sorted(names) == sorted(scenario.name for scenario in SCENARIOS)
    assert set(names) == set(EXPECTED)
    for provider in {scenario.provider for scenario in SCENARIOS}:
        assert 4 <= sum(scenario.provider == provider for scenario in SCENARIOS), provider


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_cassette_says_where_it_comes_from(file: Path) -> None:
    """Its kind, the page that documents what it shows, and the day that was read."""
    source = yaml.safe_load(file.read_text("utf-8"))["source"]
    scenario = next(s for s in SCENARIOS if s.name == f"{file.parent.name}/{file.stem}")

    assert {"kind", "url", "read"} == source.keys()
    assert ("simulated" if scenario.simulated else "documented") == source["kind"]
    assert scenario.page == source["url"]
    assert isinstance(source["read"], datetime.date)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_cassette_is_of_the_provider_and_of_nobody(file: Path) -> None:
    """Real URLs, three headers at most, nothing of the machine or the account."""
    base_url = Registry().adapter(file.parent.name).default_url
    cassette = yaml.safe_load(file.read_text("utf-8"))

    for exchange in cassette["interactions"]:
        request, response = exchange["request"], exchange["response"]
        assert request["uri"].startswith(base_url)
        assert request["headers"].keys() <= {"content-type", "x-dashscope-async"}
        assert response["headers"].keys() <= {"content-type", "retry-after"}
        for body in (request["body"], response["body"]["string"]):
            assert not body or json.loads(body) is not None
    text = file.read_text("utf-8").lower()
    for word in ("127.0.0.1", "localhost", "authorization", "bearer", "cookie", "sandbox"):
        assert word not in text


@pytest.mark.parametrize("provider", sorted({scenario.provider for scenario in SCENARIOS}))
def test_recording_again_gives_the_same_bytes(provider: str) -> None:
    """A cassette that differs from what would be recorded now is stale or was edited."""
    scenario = next(s for s in SCENARIOS if s.provider == provider and s.simulated)

    recorded = written(record(scenario))

    assert (CASSETTES / f"{scenario.name}.yaml").read_text("utf-8") == recorded
