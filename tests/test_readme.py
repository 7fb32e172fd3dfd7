"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from s3_server import S3Server, fetched

from wanbridge import Client, MemoryLedger, config
from wanbridge.errors import SubmissionUncertain
from wanbridge.model.money import Money
from wanbridge.sandbox import Sandbox

TEXT = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The code of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_configuration_is_one() -> None:
    """Copied, it is read: accounts, routes, rates, prices and ledger."""
    (text,) = blocks("toml")

    settings = config.load(tomllib.loads(text), environ={})

    assert ["runware", "dashscope-beijing"] == [a.account for a in settings.adapters]
    assert "cheapest" == settings.routes["default"].order
    assert settings.rates is not None
    assert Money("0.1406", "USD") == settings.rates.convert(Money(1, "CNY"), "USD")
    assert "spend.sqlite3" == str(settings.ledger)
    assert {"url": "s3://bucket/prefix", "region": "eu-central-1"} == settings.storage


def test_the_route_buys_and_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """At whoever is cheapest in the sandbox."""
    (code,) = (block for block in blocks("python") if "route=route" in block)

    with Client.sandbox() as client:
        exec(code, {"client": client})

    assert "reapi delivered yes 0.024 USD costs 0.024 USD\n" == capsys.readouterr().out


def test_a_crash_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two delivered pictures, an accepted job and a submit of unknown outcome."""
    (code,) = (block for block in blocks("python") if "ledger.open()" in block)
    monkeypatch.chdir(tmp_path)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    sandbox, ledger = Sandbox(latency=0), MemoryLedger()
    with Client.sandbox(sandbox, ledger=ledger, sleep=lambda seconds: None) as client:
        client.generate("a red kite", provider="reapi", n=2)
        client.submit("a red kite", provider="kie")
        sandbox.fault("accept_then_drop", provider="gccai")
        with pytest.raises(SubmissionUncertain):
            client.generate("a red kite", provider="gccai")
        assert ["delivered", "accepted", "submitting"] == [h.state for h in ledger.open()]

        exec(code, {"client": client})

    assert 3 == len(list(pictures.iterdir()))
    assert ["submitting"] == [h.state for h in ledger.open()]
    assert capsys.readouterr().out.startswith("gccai StillUnknown(")


def test_results_are_kept_in_a_store(s3: S3Server) -> None:
    """At an address that lasts; the bucket is the one of the tests' server."""
    (code,) = (block for block in blocks("python") if "s3://bucket/kites" in block)

    with Client.sandbox(storage=s3.storage("in")) as client:
        result = client.generate("a brass orrery", size="1K", provider="runware")
        names = {"client": client, "result": result}
        exec(code.replace("s3://bucket/", "s3://pictures/"), names)

    assert "s3://pictures/kites/orrery.png" == names["address"]
    assert 2 == len(s3.keys("kites/"))
    assert fetched(str(names["link"])) == (s3.data("kites/orrery.png"), "image/png")
