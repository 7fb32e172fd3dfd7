"""Record the simulated cassettes anew, each against a sandbox on a socket of this machine.

    python tests/helpers/record_cassettes.py                  # all of them
    python tests/helpers/record_cassettes.py reapi/balance    # these

What they show is in ``cassette_scenarios.py``. Recordings are rewritten: URLs are the provider's
own, ids come from the sandbox's seed and times from a clock that only sleeping moves, credentials
and whatever changes from run to run are left out. So recording twice gives the same bytes, and a
change of a cassette in review is a change of what is said. Each states its source; those with
``kind: documented`` are written by hand from the page named in them and are left alone.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vcr  # type: ignore[import-untyped]
import yaml

from cassette_scenarios import SCENARIOS, Clock, Scenario
from wanbridge.adapters.registry import Registry
from wanbridge.errors import WanbridgeError
from wanbridge.sandbox import Sandbox, running

CASSETTES = Path(__file__).parents[2] / "cassettes"
READ = datetime.date(2026, 11, 20)

# Where each provider's pictures are served, as its manual's samples show it.
PICTURES: Mapping[str, str] = {
    "runware": "https://im.runware.ai/image/os/a00d00/ws/2/ii/",
    "reapi": "https://cdn.reapi.ai/",
    "dashscope": "https://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/1d/20261120/",
    # These manuals' samples have hosts of nobody.
    "gccai": "https://upload.example.org/f/image/",
    "kie": "https://tempfile.example/",
    "empiriolabs": "https://cdn.example/out/",
    "crun": "https://files.example/r/",
}
KEPT = ("content-type", "retry-after", "x-dashscope-async")


class _Text(str):
    """Text that is written as a block, line by line."""


class _Dumper(yaml.SafeDumper):
    """Keys in their order, JSON as blocks, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)


def record(scenario: Scenario) -> dict[str, Any]:
    """The cassette of *scene*, fit to be kept."""
    clock = Clock()
    sandbox = Sandbox([scenario.provider], clock=clock, latency=scenario.latency)
    for fault in scenario.faults:
        sandbox.fault(**fault)
    for name, value in scenario.switches.items():
        sandbox.switch(scenario.provider, name, value)
    if scenario.balance is not None:
        sandbox.set_balance(scenario.provider, scenario.balance)
    with tempfile.TemporaryDirectory() as folder, running(sandbox):
        file = Path(folder) / "raw.yaml"
        base_url, key = sandbox.base_url(scenario.provider), sandbox.api_key(scenario.provider)
        with (
            vcr.VCR(record_mode="all").use_cassette(str(file)),
            contextlib.suppress(WanbridgeError),
        ):
            scenario.play(base_url=base_url, key=key, clock=clock)
        raw = yaml.safe_load(file.read_text("utf-8"))
        real = Registry().adapter(scenario.provider).default_url
        renamed = {
            base_url: real,
            f"{sandbox.origin}/{scenario.provider}/files/": PICTURES[scenario.provider],
            "LTAI5tSandbox": "LTAI",
        }
    return {
        "source": {"kind": "simulated", "url": scenario.page, "read": READ},
        "version": 1,
        "interactions": [_kept(exchange, renamed) for exchange in raw["interactions"]],
    }


def _kept(exchange: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    request, response = exchange["request"], exchange["response"]
    return {
        "request": {
            "method": request["method"],
            "uri": _renamed(request["uri"], renamed),
            "headers": _headers(request["headers"]),
            "body": _body(request["body"], renamed),
        },
        "response": {
            "status": response["status"],
            "headers": _headers(response["headers"]),
            "body": {"string": _body(response["body"]["string"], renamed)},
        },
    }


def _headers(headers: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(headers[name]) for name in sorted(headers) if name in KEPT}


def _body(body: str | None, renamed: Mapping[str, str]) -> str:
    """JSON over several lines; vcrpy compares what it means, not how it is written."""
    if not body:
        return ""
    return _Text(
        json.dumps(json.loads(_renamed(body, renamed)), indent=2, ensure_ascii=False) + "\n"
    )


def _renamed(text: str, renamed: Mapping[str, str]) -> str:
    for old, new in renamed.items():
        text = text.replace(old, new)
    return text


def written(cassette: Mapping[str, Any]) -> str:
    """A cassette as YAML."""
    return yaml.dump(
        cassette,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )


def main(names: Sequence[str]) -> None:
    """Record the scenes of these *names*; all that are simulated without any."""
    if unknown := set(names) - {scenario.name for scenario in SCENARIOS if scenario.simulated}:
        raise SystemExit(f"no simulated scene is called {', '.join(sorted(unknown))}")
    for scenario in SCENARIOS:
        if scenario.simulated and (not names or scenario.name in names):
            file = CASSETTES / f"{scenario.name}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(written(record(scenario)), "utf-8")
            print(file)


if __name__ == "__main__":
    main(sys.argv[1:])
