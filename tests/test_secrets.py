"""A key given in configuration goes into one header of its own provider, and nowhere else.

Through success and every fault, over real sockets, with both clients, everything that anybody
could print, log, store or send on is searched for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import attrs
import pytest

from sandbox_calls import SharedClock
from wanbridge import AsyncClient, Client, ImageRequest, config
from wanbridge.adapters.registry import BUILTIN
from wanbridge.engine.events import Event
from wanbridge.errors import CallFailed, ConfigurationError
from wanbridge.model.result import ImageResult
from wanbridge.sandbox import Sandbox, running

CASSETTES = Path(__file__).parents[1] / "cassettes"
REQUEST = ImageRequest("a heron at dusk", size="1K", n=2)
# Distinct from whatever else is around, and cut anywhere still to be found.
CANARY = "kn0wn-by-n0body"

# The header that shows where the key would stand, in which provider's message.
BEARER = ("Authorization", "Bearer <key>")
PLACEHOLDER = {"crun": ("x-api-key", "<key>")}
# Who tells of a wrong key inside HTTP 200.
IN_200 = {"kie"}

# None is success.
FAULTS: tuple[tuple[str | None, dict[str, Any]], ...] = (
    (None, {}),
    *((kind, {}) for kind in ("unauthorized", "no_credit", "server_error", "html_error")),
    *((kind, {}) for kind in ("error_in_200", "drop", "accept_then_drop", "cut_body")),
    *((kind, {}) for kind in ("refuse_content", "fail_generation", "empty_success")),
    *((kind, {"times": None}) for kind in ("rate_limit", "server_error", "lost_task", "drop")),
    *((kind, {"op": "poll"}) for kind in ("unauthorized", "html_error", "cut_body")),
)
FAULT_IDS = ["-".join([str(kind), *map(str, options.values())]) for kind, options in FAULTS]


def key_of(provider: str) -> str:
    return f"sk-{CANARY}-{provider}"


CLOCK = SharedClock()


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with running(Sandbox(clock=CLOCK, key_for=key_of)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    served.reset()
    return served


def settings(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "providers": {
            name: {"api_key": key_of(name), "base_url": sandbox.base_url(name)}
            for name in sandbox.providers
        },
        "client": {"read_timeout": 5},
    }


def blocking(sandbox: Sandbox, provider: str, told: list[Event]) -> ImageResult:
    options: Any = {"clock": CLOCK, "now": CLOCK.now, "sleep": CLOCK.sleep}
    with Client.from_config(settings(sandbox), on_progress=told.append, **options) as client:
        return client.generate(REQUEST, provider=provider)


def awaiting(sandbox: Sandbox, provider: str, told: list[Event]) -> ImageResult:
    async def run() -> ImageResult:
        options: Any = {"clock": CLOCK, "now": CLOCK.now, "sleep": CLOCK.sleep_async}
        async with AsyncClient.from_config(
            settings(sandbox), on_progress=told.append, **options
        ) as client:
            return await client.generate(REQUEST, provider=provider)

    return asyncio.run(run())


def shown(value: Any) -> str:
    """Everything that value says of itself: repr, str, JSON, pickle, and its parts."""
    words = [repr(value), str(value), repr(pickle.dumps(value))]
    if hasattr(value, "to_json"):
        words.append(value.to_json())
    if attrs.has(type(value)):
        words += [repr(getattr(value, field.name)) for field in attrs.fields(type(value))]
    return "\n".join(words)


def of_error(error: CallFailed) -> str:
    """Everything an error says, and what crash reporters make of it, with its locals."""
    words = [shown(error), *traceback.format_exception(error)]
    words += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    words += [shown(handle) for handle in (error.job, error.receipt) if handle is not None]
    words += [shown(attempt) for attempt in error.attempts]
    return "\n".join(words)


def of_log(records: list[logging.LogRecord]) -> str:
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in records)


def assert_silent(text: str) -> None:
    at = text.find(CANARY)
    assert -1 == at, f"...{text[max(at - 300, 0) : at + 60]}..."


@pytest.mark.parametrize("run", [blocking, awaiting])
@pytest.mark.parametrize("provider", BUILTIN)
@pytest.mark.parametrize(("kind", "options"), FAULTS, ids=FAULT_IDS)
def test_a_call_tells_nobody_its_key(
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    run: Any,
    provider: str,
    kind: str | None,
    options: dict[str, Any],
) -> None:
    """Result, error, events and every library's debug log, whatever becomes of the call."""
    if kind is not None:
        sandbox.fault(kind, **options)
    told: list[Event] = []
    words: list[str] = []

    with caplog.at_level(logging.DEBUG):
        for name in ("wanbridge", "httpx", "httpx2", "httpcore", "httpcore2"):
            caplog.set_level(logging.DEBUG, logger=name)
        try:
            result = run(sandbox, provider, told)
        except CallFailed as exc:
            words.append(of_error(exc))
        else:
            words.append(shown(result))
            words += [shown(image) for image in result.images]

    assert told
    assert caplog.records
    words += [shown(event) for event in told]
    words += [shown(handle) for event in told for handle in attrs.astuple(event, recurse=False)]
    assert_silent("\n".join([*words, of_log(caplog.records)]))
    # The key was really in use: the sandbox takes no other.
    posts = sandbox.ledger()["posts"]
    assert posts
    refused = kind == "unauthorized" and options == {}
    assert (401 in [post["status"] for post in posts]) == (refused and provider not in IN_200)
    if kind is None:
        assert [True] == [post["accepted"] for post in posts]
    if refused:
        assert "AuthenticationFailed" in words[0]
        assert not any(post["accepted"] for post in posts)


def test_clients_and_settings_do_not_show_keys(sandbox: Sandbox) -> None:
    """Neither the client, nor its accounts, nor what they were made from."""
    made = config.load(settings(sandbox))
    with Client.from_config(settings(sandbox)) as client:
        words = [repr(client), str(client), repr(client.accounts), repr(vars(client))]
        words += [repr(made), str(made), *map(repr, made.adapters)]
        words += [f"{account}{account!r}" for account in client.accounts.values()]

    assert_silent("\n".join(words))
    assert all(account.api_key == key_of(account.name) for account in made.adapters)


def test_explain_shows_a_placeholder(sandbox: Sandbox) -> None:
    """The exact message can be shown to people: with another key in it."""
    with Client.from_config(settings(sandbox)) as client:
        report = client.explain(REQUEST)

    assert BUILTIN.keys() == report.keys()
    for name, explanation in report.items():
        assert explanation.http is not None
        message = explanation.http
        assert_silent(f"{explanation!r} {message.headers} {message.body!r} {message.url}")
        assert PLACEHOLDER.get(name, BEARER) in message.headers.items()
        assert 1 == f"{message.headers} {message.body!r} {message.url}".count("<key>")
        assert_silent(repr(pickle.dumps(explanation)))


def test_a_key_of_one_provider_is_not_sent_to_another(sandbox: Sandbox) -> None:
    """Each message has one key, its own; a picture is fetched without any."""
    with Client.from_config(settings(sandbox)) as client:
        for name, account in client.accounts.items():
            offer = account.offers[0]
            message = account.submit(REQUEST, offer, key="k")
            said = json.dumps(dict(message.headers)) + message.body.decode()
            assert 1 == said.count(CANARY)
            assert key_of(name) in said


@pytest.mark.parametrize(
    "providers",
    [
        {"runware": {"api_key": [key_of("runware")]}},
        {"runware": {"api_key": {"value": key_of("runware")}}},
        {"runware": {"api_key": f"{key_of('runware')}\nX-Other: 1"}},
        {"runware": {"api_key": f"\u201c{key_of('runware')}\u201d"}},
        {"runware": {"apikey": key_of("runware")}},
        {"runware": {"api_key": key_of("runware"), "api_key_env": "RUNWARE_API_KEY"}},
        {"runware": {"api_key_env": key_of("runware")}},
        {"runware": {"api_key": key_of("runware"), "base_url": "ftp://host"}},
        {"runware": {"api_key": key_of("runware"), "adapter": "runwar"}},
        {"runware": key_of("runware")},
        {"runware": {"base_url": f"https://user:{key_of('runware')}@api.runware.ai/v1"}},
        {"runware": {"base_url": f"https://{key_of('runware')}@api.runware.ai/v1"}},
        {"runware": {"base_url": f"https://api.runware.ai/v1?key={key_of('runware')}"}},
    ],
)
def test_a_key_in_the_wrong_place_is_not_shown(providers: dict[str, Any]) -> None:
    """Misspelled, of a wrong type, inside a URL: the complaint names the place, not the value."""
    with pytest.raises(ConfigurationError) as caught:
        Client.from_config({"providers": providers})

    assert_silent("".join(traceback.format_exception(caught.value)) + repr(caught.value))
    assert_silent(repr(pickle.dumps(caught.value)))


def test_a_file_others_can_read_is_warned_of_without_its_key(tmp_path: Path) -> None:
    """The warning names the file."""
    file = tmp_path / "wanbridge.toml"
    file.write_text(f'[providers.runware]\napi_key = "{key_of("runware")}"\n')
    file.chmod(0o644)

    with pytest.warns(UserWarning, match=r"wanbridge\.toml") as caught:
        Client.from_config(file).close()

    assert_silent(" ".join(str(warning.message) for warning in caught))


_CRASH_KINDS = ("unauthorized", "no_credit")
# Each case crashes in a fork of its own, at the end of the script, as a program of a user would.
_CRASHES = """
import json
import os
import sys
from pathlib import Path

from wanbridge import Client
from wanbridge.transport.library import httpx
from wanbridge.sandbox import Sandbox, SandboxTransport

for case in json.load(sys.stdin):
    provider, kind, folder = case["provider"], case["kind"], Path(case["folder"])
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (folder / "code").write_text(str(code))
        continue
    os.dup2(os.open(folder / "shown", os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(1, 2)
    os.environ.update(case["environment"])
    sandbox = Sandbox([provider], key_for=lambda name: os.environ[f"{name.upper()}_API_KEY"])
    sandbox.fault(kind)
    client = Client.from_env(http=httpx.Client(transport=SandboxTransport(sandbox)))
    client.generate("a heron at dusk", size="1K")
"""


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exit code and the output of each case, by its kind and provider."""
    folder = tmp_path_factory.mktemp("crashes")
    cases = []
    for kind, provider in product(_CRASH_KINDS, BUILTIN):
        (folder / kind / provider).mkdir(parents=True)
        name = provider.upper()
        environment = {
            f"{name}_API_KEY": key_of(provider),
            f"{name}_BASE_URL": Sandbox([provider]).base_url(provider),
        }
        where = {"provider": provider, "kind": kind, "folder": str(folder / kind / provider)}
        cases.append({**where, "environment": environment})
    script = folder / "crashes.py"
    script.write_text(_CRASHES)
    environment = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}

    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-X", "dev", str(script)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert (0, "") == (run.returncode, run.stdout + run.stderr)
    return folder


@pytest.mark.parametrize("provider", BUILTIN)
@pytest.mark.parametrize("kind", _CRASH_KINDS)
def test_a_crash_does_not_print_the_key(crashes: Path, provider: str, kind: str) -> None:
    """An error that nobody catches, with all of Python's diagnostics on."""
    shown = (crashes / kind / provider / "shown").read_text()

    assert "1" == (crashes / kind / provider / "code").read_text()
    assert "wanbridge.errors." in shown
    assert_silent(shown)


def test_no_cassette_holds_a_credential() -> None:
    """No header for one, no key of the sandbox, nothing in the form of a key."""
    files = [path for path in CASSETTES.rglob("*") if path.is_file()]
    assert files

    words = r"authorization|bearer|x-api-key|cookie|(?<![a-z])sk-|rk_live|sandbox-\w+-key"
    for path in files:
        found = re.search(words, path.read_text("utf-8"), re.IGNORECASE)
        assert found is None, f"{path}: {found}"
