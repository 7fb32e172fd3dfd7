"""Routes on the command line: who was asked, and what is left when a route ends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import ImageResult
from wanbridge.sandbox import Sandbox

KITE = ("generate", "a red kite", "--size", "1K")


@pytest.fixture
def settings(world: Sandbox, tmp_path: Path) -> Path:
    """Two accounts, routes over them, and rates."""
    tables = [
        f"[providers.{name}]\n"
        f'api_key = "{world.api_key(name)}"\n'
        f'base_url = "{world.base_url(name)}"'
        for name in ("reapi", "dashscope")
    ]
    routes = """
[routes.default]
providers = ["reapi", "dashscope"]
[routes.again]
providers = ["reapi", "dashscope"]
on_uncertain = "pay_again"
[routes.poor]
providers = "any"
budget = { amount = "0.001", currency = "USD", period = "day" }
[ledger]
path = "spend.sqlite3"
"""
    file = tmp_path / "wanbridge.toml"
    file.write_text("\n".join([*tables, routes]), "utf-8")
    file.chmod(0o600)
    return file


def left(kind: str) -> list[Path]:
    return sorted(Path().glob(f"*.{kind}.json"))


def rows(lines: Iterable[str]) -> list[list[str]]:
    """Number, provider and outcome of each row of a trace."""
    return [line.split()[:3] for line in lines if line[:1].isdigit()]


def test_the_route_called_default_is_used(run: Any, world: Sandbox, settings: Path) -> None:
    """Who configured a route need not name it."""
    world.fault("no_credit", provider="reapi")

    ran = run(*KITE, "--config", settings, "--trace", "--json")

    assert 0 == ran.code, ran.err
    result = ImageResult.from_json(
        json.dumps({key: value for key, value in ran.json.items() if key != "files"})
    )
    assert ["CreditExhausted", "delivered"] == [a.outcome for a in result.attempts]
    assert [["1", "reapi", "CreditExhausted"], ["2", "dashscope", "delivered"]] == rows(ran.lines)
    assert "so dashscope was" in ran.err


def test_an_order_alone_is_a_route(run: Any, settings: Path) -> None:
    """Nothing has to be configured for the usual wish."""
    ran = run(*KITE, "--config", settings, "--route", "cheapest", "--trace")

    assert 0 == ran.code, ran.err
    assert [["1", "reapi", "delivered"]] == rows(ran.lines)


def test_the_sandbox_has_routes_too(run: Any) -> None:
    """They can be tried without a key."""
    ran = run(*KITE, "--sandbox", "--route", "cheapest")

    assert 0 == ran.code, ran.err
    assert "reapi" in ran.out


def test_a_failed_route_shows_its_trace(run: Any, world: Sandbox, settings: Path) -> None:
    """Without being asked: money is what one wants to know about then."""
    for name in ("reapi", "dashscope"):
        world.fault("no_credit", provider=name)

    ran = run(*KITE, "--config", settings)

    assert 3 == ran.code, ran.err
    assert "wanbridge: route default: 2 tried, 0 not asked" == ran.lines[0]
    assert ["CreditExhausted"] * 2 == [row[2] for row in rows(ran.lines)]
    assert "nobody was left" in " ".join(ran.err.split())
    assert [] == [*left("job"), *left("receipt")]


def test_an_uncertain_submit_stops_the_route(run: Any, world: Sandbox, settings: Path) -> None:
    """One receipt, in one file, and nobody else asked."""
    world.fault("accept_then_drop", provider="reapi")

    ran = run(*KITE, "--config", settings)

    assert 5 == ran.code, ran.err
    assert 1 == len(left("receipt"))
    assert 1 == len(world.ledger()["posts"])
    assert any("wanbridge reconcile" in line for line in ran.lines)


def test_who_pays_again_is_told_what_the_first_left(
    run: Any, world: Sandbox, settings: Path
) -> None:
    """Twice paid by choice; the first one can still be collected."""
    world.fault("accept_then_drop", provider="reapi")

    ran = run(*KITE, "--config", settings, "--route", "again")

    assert 0 == ran.code, ran.err
    (file,) = left("receipt")
    assert "reapi" == Receipt.from_json(file.read_text("utf-8")).account
    assert "paid again" in ran.out
    assert f"wanbridge reconcile {file}" in ran.err
    assert 2 == len(world.ledger()["posts"])


def test_a_budget_sends_nothing(run: Any, world: Sandbox, settings: Path) -> None:
    """What is needed and what is left, in one line."""
    ran = run(*KITE, "--config", settings, "--route", "poor")

    assert 2 == ran.code
    assert "wanbridge: budget: this call may cost 0.024 USD, 0.001 USD is left" == ran.lines[0]
    assert [] == world.ledger()["posts"]


def test_a_routed_submit_is_fetched(run: Any, world: Sandbox, settings: Path) -> None:
    """A route buys, any machine collects."""
    world.fault("no_credit", provider="reapi")

    bought = run("submit", "a red kite", "--config", settings, "-o", "kite.job.json")
    fetched = run("fetch", "kite.job.json", "--config", settings)

    assert 0 == bought.code, bought.err
    assert "dashscope" == Job.from_json(Path("kite.job.json").read_text("utf-8")).account
    assert 0 == fetched.code, fetched.err


def test_provider_and_route_are_not_both_named(run: Any, settings: Path) -> None:
    """One of them would be ignored."""
    ran = run(*KITE, "--config", settings, "--provider", "reapi", "--route", "again")

    assert 2 == ran.code
    assert ["wanbridge: --provider or --route, not both"] == ran.lines


def test_an_unknown_route_names_those_there_are(run: Any, settings: Path) -> None:
    """A slip is mended from the message."""
    ran = run(*KITE, "--config", settings, "--route", "defualt")

    assert 2 == ran.code
    assert "no route is called 'defualt'; did you mean 'default'?" in ran.lines[0]
    assert "again, poor" in ran.lines[0]


def test_a_configuration_with_routes_validates(run: Any, settings: Path) -> None:
    """And one with a slip is told where it is."""
    good = run("validate", settings, "--as", "config")
    settings.write_text(settings.read_text("utf-8").replace('"pay_again"', '"pay"'), "utf-8")
    bad = run("validate", settings, "--as", "config")

    assert 0 == good.code, good.out
    assert 2 == bad.code
    assert "$.routes.again.on_uncertain: 'pay' is unknown; one of stop, pay_again" in bad.out


def test_own_prices_are_explained_and_compared(run: Any, settings: Path) -> None:
    """Everywhere the same price."""
    row = '{ model = "wan2.7-image", amount = "0.021", currency = "USD", read = 2026-11-01 }'
    own = f"[prices.reapi]\nrows = [{row}]\n"
    settings.write_text(settings.read_text("utf-8") + own, "utf-8")

    explained = run("explain", "a kite", "--config", settings, "--json").json["reapi"]
    compared = run("compare", "a kite", "--config", settings, "--json").json["quotes"]

    assert "0.021" == explained["quote"]["amount"]
    assert "0.021" == next(q for q in compared if q["provider"] == "reapi")["amount"]


def test_a_routed_submit_leaves_its_job_and_nothing_else(
    run: Any, world: Sandbox, settings: Path
) -> None:
    """Who refused has surely charged nothing, so its receipt goes."""
    world.fault("no_credit", provider="reapi")

    ran = run("submit", "a red kite", "--config", settings, "-o", "kite.job.json")

    assert 0 == ran.code, ran.err
    assert ["kite.job.json"] == sorted(path.name for path in Path().glob("*.json"))
