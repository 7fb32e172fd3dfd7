"""Names to adapters, and settings to accounts."""

from __future__ import annotations

import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from example_provider import Halide
from wanbridge import Client, config
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.errors import ConfigurationError, UnknownProvider


def outside(monkeypatch: pytest.MonkeyPatch, **entries: str) -> Registry:
    """A registry that sees these entry points."""
    found = [EntryPoint(n, v, "wanbridge.adapters") for n, v in entries.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)
    return Registry()


def test_every_builtin_is_there_under_its_name() -> None:
    """A typo in the table would be a missing provider."""
    for name in BUILTIN:
        assert name == Registry().adapter(name).name


def test_an_adapter_can_be_added() -> None:
    """For an application's own; a second of the same name is refused."""
    registry = Registry()
    registry.add(Halide)
    registry.add(Halide)

    assert Halide is registry.adapter("halide")
    assert "halide" in registry.names()

    class Other(Halide):
        pass

    with pytest.raises(ConfigurationError, match="'halide' is there already"):
        registry.add(Other)


def test_a_builtin_cannot_be_replaced() -> None:
    """Whose adapter sends the money is not decided by import order."""

    class Fake(Halide):
        name = "runware"

    with pytest.raises(ConfigurationError, match="'runware' is there already"):
        Registry().add(Fake)


def test_a_package_can_bring_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the entry-point group."""
    registry = outside(monkeypatch, halide="example_provider:Halide")

    assert Halide is registry.adapter("halide")
    assert (*BUILTIN, "halide") == registry.names()


@pytest.mark.parametrize(
    ("value", "said"), [("nowhere:X", "cannot be imported"), ("json:dumps", "is no Adapter class")]
)
def test_a_broken_package_is_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    """Not a traceback from somebody else's module."""
    with pytest.raises(UnknownProvider, match=said):
        outside(monkeypatch, halide=value).adapter("halide")


def test_an_unknown_adapter_names_the_nearest() -> None:
    """And all there are."""
    with pytest.raises(UnknownProvider, match=r"did you mean 'runware'\? there are: runware"):
        Registry().adapter("runwear")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "http://api.example.com/v1"}, "plain http is for this machine only"),
        ({"base_url": "api.example.com"}, "not an https URL"),
        ({"base_url": "https://api.example.com:port/v1"}, "not an https URL"),
        ({"base_url": "https://user:pw@api.example.com"}, "user name or password"),
        ({"base_url": "https://api.example.com/v1?x=1"}, "holds a query or fragment"),
        ({"options": {"mode": "fast"}}, "mode"),
        ({"options": {"moed": "sync"}}, "did you mean 'mode'"),
        ({"api_key": "sk-secret\n1"}, "the API key holds a blank, a line break"),
        ({"api_key": "sk-secret…"}, "non-ASCII"),
    ],
)
def test_a_wrong_setting_names_the_account(settings: dict[str, Any], said: str) -> None:
    """Which account, which value, what would be right; and never the key."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        Registry().build("dashscope", account="ali", **settings)

    assert str(caught.value).startswith("providers.ali: ")
    assert "sk-secret" not in str(caught.value)


def test_a_base_url_may_be_on_this_machine() -> None:
    """For sandboxes and gateways of one's own."""
    for host in ("localhost", "127.0.0.1", "[::1]"):
        adapter = Registry().build("runware", base_url=f"http://{host}:8080/v1/")
        assert f"http://{host}:8080/v1" == adapter.base_url


def test_the_environment_makes_accounts() -> None:
    """A key is enough; a base URL may stand beside it."""
    settings = config.from_env(
        {
            "RUNWARE_API_KEY": " rw-1 ",
            "REAPI_BASE_URL": "http://127.0.0.1:1/api/v1",
            "OTHER_API_KEY": "x",
        }
    )

    runware, reapi = settings.adapters
    assert ("runware", "rw-1", "https://api.runware.ai/v1") == (
        runware.name,
        runware.api_key,
        runware.base_url,
    )
    assert ("reapi", None, "http://127.0.0.1:1/api/v1") == (
        reapi.name,
        reapi.api_key,
        reapi.base_url,
    )


def test_a_client_from_the_environment() -> None:
    """The first line of every script."""
    with Client.from_env({"REAPI_API_KEY": "k"}) as client:
        assert ["reapi"] == list(client.accounts)


TOML = """
[providers.runware]
api_key_env = "MY_KEY"

[providers.ali]
adapter = "dashscope"
api_key = "sk-1"
base_url = "https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1"
mode = "sync"

[client]
connect_timeout = 2
read_timeout = 20.5
deadline = 90
"""


def test_a_file_makes_accounts_and_timeouts(tmp_path: Path) -> None:
    """TOML, with a key from the environment and two names."""
    path = tmp_path / "wanbridge.toml"
    path.write_text(TOML)
    path.chmod(0o600)

    settings = config.load(path, environ={"MY_KEY": "rw-1"})

    runware, ali = settings.adapters
    assert ("rw-1", "sk-1", "ali", "dashscope") == (
        runware.api_key,
        ali.api_key,
        ali.account,
        ali.name,
    )
    assert ali.at_once
    timeouts = settings.timeouts
    assert (2.0, 20.5, 90.0) == (
        timeouts.connect_timeout,
        timeouts.read_timeout,
        timeouts.deadline,
    )


def test_json_and_a_mapping_are_the_same(tmp_path: Path) -> None:
    """One schema, three ways in."""
    document = {"providers": {"reapi": {"api_key": "k"}}}
    path = tmp_path / "wanbridge.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)

    assert config.load(document) == config.load(path)
    assert ["reapi"] == list(Client.from_config(document).accounts)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_file_with_a_key_that_others_can_read_gets_a_warning(tmp_path: Path) -> None:
    """It still works; the warning says what to do."""
    path = tmp_path / "wanbridge.toml"
    path.write_text('[providers.reapi]\napi_key = "k"\n')
    path.chmod(0o644)

    with pytest.warns(UserWarning, match="chmod 600"):
        config.load(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[providers.runware]\napi_keyy = 'x'", "did you mean 'api_key'"),
        ("[provider.runware]\napi_key = 'x'", "did you mean 'providers'"),
        ("[client]\ndeadline = -1", r"\$\.client\.deadline"),
        ("[client]\ndeadline = 'soon'", r"\$\.client\.deadline"),
        ("[providers.runwar]\napi_key_env = 'X'", "did you mean 'runware'"),
        ("[providers.a]\nadapter = 'reapi'\napi_key='a'\napi_key_env='B'", "not both"),
        ("[providers.dashscope]\nmode = 'fast'", "mode"),
        ("providers = ", r"wanbridge\.toml: "),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, text: str, said: str) -> None:
    """File, path, value, and the nearest known name."""
    path = tmp_path / "wanbridge.toml"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match=said) as caught:
        config.load(path)

    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Nor one that is no text, nor one that is a list."""
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        config.load(tmp_path / "bytes.toml")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="not a table of settings"):
        config.load(tmp_path / "list.json")


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    """A directory stands for any file that cannot be opened."""
    with pytest.raises(ConfigurationError, match="Is a directory"):
        config.load(tmp_path)
