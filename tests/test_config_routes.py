"""Routes, rates, prices and the ledger in a configuration, and a client that is made from it."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wanbridge import AsyncClient, Budget, Client, ImageRequest, Route, config
from wanbridge.errors import (
    BudgetExceeded,
    ConfigurationError,
    DeadlineExceeded,
    UnknownProvider,
)
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.sqlite import SqliteLedger
from wanbridge.model.money import Money
from wanbridge.money.exchange_rates import Rates
from wanbridge.sandbox import Sandbox
from wanbridge.sandbox.transport import SandboxTransport
from wanbridge.transport.library import httpx

HERON = ImageRequest("a heron at dusk", size="1K")
KEY = "sk-a-very-secret-key-1"

TOML = """
[providers.reapi]
api_key = "sandbox-reapi-key"
base_url = "http://127.0.0.1:9/reapi/api/v1"

[providers.backup]
adapter = "runware"
api_key_env = "BACKUP_KEY"
base_url = "http://127.0.0.1:9/runware/v1"

[client]
deadline = 300.0

[routes.default]
providers = ["backup", "reapi"]
order = "cheapest"
budget = { amount = "5.00", currency = "USD" }

[routes.careful]
providers = ["reapi", "backup"]
on_uncertain = "stop"
may_drop = ["negative_prompt"]
budget = [
    { amount = "0.05", currency = "USD", period = "hour" },
    { amount = "9", currency = "CNY", period = "month" },
]
assume_cost = { amount = "0.10", currency = "USD" }
deadline = 60
hedge_after = 2.5

[routes.everywhere]
order = "spread"
weights = { reapi = 3 }
on_uncertain = "pay_again"

[rates]
base = "USD"
date = 2026-11-20
CNY = "0.1406"

[prices.backup]
rows = [{ model = "wan2.7-image", amount = "0.012", currency = "USD" }]

[ledger]
path = "spent.db"
"""
ENVIRON = {"BACKUP_KEY": "sandbox-runware-key"}
ROW = {"model": "wan2.7-image", "amount": "0.012", "currency": "USD"}
DOCUMENT: dict[str, Any] = {
    "providers": {
        "reapi": {"api_key": "sandbox-reapi-key", "base_url": "http://127.0.0.1:9/reapi/api/v1"}
    }
}


def written(folder: Path, text: str, name: str = "wanbridge.toml") -> Path:
    """A file that only its owner can read."""
    path = folder / name
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path, TOML)


def test_a_route_says_all_that_a_route_can(path: Path) -> None:
    """Every field of `Route`, as in Python."""
    routes = config.load(path, environ=ENVIRON).routes

    assert ["default", "careful", "everywhere"] == list(routes)
    assert routes["careful"] == Route(
        ("reapi", "backup"),
        on_uncertain="stop",
        may_drop=("negative_prompt",),
        budget=[Budget(Money("0.05", "USD"), "hour"), Budget(Money("9", "CNY"), "month")],
        assume_cost=Money("0.10", "USD"),
        deadline=60,
        hedge_after=2.5,
        name="careful",
    )
    assert routes["everywhere"] == Route(
        "any", order="spread", weights={"reapi": 3}, on_uncertain="pay_again", name="everywhere"
    )
    assert (Budget(Money("5.00", "USD"), None),) == routes["default"].budgets


def test_rates_have_the_day_of_the_file(path: Path) -> None:
    """A date of TOML is a date."""
    assert Rates("USD", date(2026, 11, 20), {"CNY": Decimal("0.1406")}) == (
        config.load(path, environ=ENVIRON).rates
    )


def test_paths_are_from_the_folder_of_the_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the program was started; absolute ones and a home's are as they are."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    somewhere = tmp_path / "elsewhere" / "x.db"
    absolute = written(tmp_path, f'[ledger]\npath = "{somewhere}"\n', "absolute.toml")
    home = written(tmp_path, '[ledger]\npath = "~/x.db"\n', "home.toml")

    assert tmp_path / "spent.db" == config.load(path, environ=ENVIRON).ledger
    assert somewhere == config.load(absolute, environ={}).ledger
    assert tmp_path / "home" / "x.db" == config.load(home, environ={}).ledger
    assert Path("spent.db") == config.load({"ledger": {"path": "spent.db"}}, environ={}).ledger


def test_without_them_there_are_none() -> None:
    """No routes, no rates, the prices that come with wanbridge, no ledger."""
    settings = config.load(DOCUMENT, environ={})

    assert ({}, None, None) == (settings.routes, settings.rates, settings.ledger)
    assert "0.024 USD" == str(Client.of(settings).compare(HERON)[0].money)


def test_json_and_a_mapping_say_the_same(path: Path, tmp_path: Path) -> None:
    """Three forms of one thing; in a mapping the day may be a date too."""
    from_toml = config.load(path, environ=ENVIRON)
    document = tomllib.loads(TOML)
    assert date(2026, 11, 20) == document["rates"]["date"]
    as_json = written(tmp_path, json.dumps(document, default=str), "wanbridge.json")

    for source in (as_json, document):
        settings = config.load(source, environ=ENVIRON)
        assert from_toml.routes == settings.routes
        assert from_toml.rates == settings.rates
        assert from_toml.adapters == settings.adapters
    assert tmp_path / "spent.db" == config.load(as_json, environ=ENVIRON).ledger


def test_prices_of_a_file_are_from_its_folder(tmp_path: Path) -> None:
    """A whole price file in the place of the provider's."""
    price = {
        "provider": "reapi",
        "read": "2026-11-01",
        "rows": [
            {
                "model": "wan2.7-image",
                "unit": "image",
                "amount": "0.5",
                "currency": "USD",
                "charging": "per_image_delivered",
                "source": "https://shop.example/prices",
                "read": "2026-11-01",
                "confidence": "published",
            }
        ],
    }
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "prices.json").write_text(json.dumps(price))
    path = written(
        tmp_path, '[providers.reapi]\napi_key = "k-1"\n[prices.reapi]\nfile = "own/prices.json"\n'
    )

    with Client.from_config(path) as client:
        (quote,) = client.compare(HERON)

    assert ("0.5 USD", "https://shop.example/prices") == (str(quote.money), quote.source)


def test_the_ledger_of_a_configuration_can_be_looked_into(tmp_path: Path) -> None:
    """What a restart has to look after; a client without one has nothing to show."""
    path = written(tmp_path, "[ledger]\npath = 'spent.db'\n")

    with Client.from_config(path) as client:
        assert client.ledger is not None
        assert () == client.ledger.open()
    own = MemoryLedger()
    assert own is Client(ledger=own).ledger
    assert Client().ledger is None


# -- what is wrong -------------------------------------------------------------------------


def wrong(**tables: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        config.load({**DOCUMENT, **tables}, environ={})
    return str(caught.value)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"ordr": "given"}, "$.routes.mine.ordr: unknown field; did you mean 'order'?"),
        ({"order": "cheap"}, "$.routes.mine.order: 'cheap' is unknown; one of given, cheapest, "),
        ({"on_uncertain": "go"}, "$.routes.mine.on_uncertain: 'go' is unknown; one of stop, pay_"),
        ({"providers": "reapi"}, "$.routes.mine.providers: 'reapi' is not a list of account names"),
        ({"providers": []}, "$.routes.mine.providers: "),
        ({"providers": ["reapi", "reapi"]}, "$.routes.mine.providers: "),
        (
            {"providers": ["reapy"]},
            "routes.mine: route mine: no account is called reapy; did you mean 'reapi'? there",
        ),
        ({"may_drop": ["prompt"]}, "routes.mine: route: may_drop: prompt cannot be dropped; "),
        ({"may_drop": "seed"}, "$.routes.mine.may_drop: "),
        ({"deadline": 0}, "$.routes.mine.deadline: "),
        ({"hedge_after": -1}, "$.routes.mine.hedge_after: "),
        ({"deadline": True}, "$.routes.mine.deadline: "),
        ({"budget": {"amount": 5.0, "currency": "USD"}}, "$.routes.mine.budget.amount: 5.0 is not"),
        ({"budget": {"amount": "5"}}, "$.routes.mine.budget.currency: missing"),
        (
            {"budget": [{"amount": "5", "currency": "usd"}]},
            "$.routes.mine.budget[0].currency: 'usd' is not a currency code like 'USD'",
        ),
        (
            {"budget": {"amount": "5", "currency": "USD", "period": "week"}},
            "$.routes.mine.budget.period: 'week' is unknown; one of hour, day, month",
        ),
        (
            {"budget": [{"amount": a, "currency": "USD"} for a in "59"]},
            "routes.mine: route: budget: two for one currency and period",
        ),
        ({"assume_cost": {"amount": "-1", "currency": "USD"}}, "$.routes.mine.assume_cost.amount"),
        ({"weights": {"reapi": 2}}, "routes.mine: route: weights: only for order 'spread'"),
        ({"order": "spread", "weights": {"reapi": 0}}, "$.routes.mine.weights.reapi: "),
        (
            {"order": "spread", "providers": ["reapi"], "weights": {"other": 1}},
            "routes.mine: route: weights: 'other' is not among its providers",
        ),
    ],
)
def test_a_wrong_route_is_named_with_its_path(route: Mapping[str, Any], said: str) -> None:
    """Which file, which value, what would be right."""
    assert wrong(routes={"mine": route}).startswith(f"configuration: {said}")


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"date": "2026-11-20"}, "$.rates.base: missing"),
        ({"base": "USD", "CNY": "0.14"}, "$.rates.date: missing"),
        ({"base": "USD", "date": "20.11.2026"}, "$.rates.date: '20.11.2026' is not a date like"),
        ({"base": "USD", "date": "2026-02-31"}, "rates: date: '2026-02-31'; a day like"),
        ({"base": "USD", "date": "2026-11-20", "CNY": 0.14}, "$.rates.CNY: 0.14 is not a decimal"),
        ({"base": "USD", "date": "2026-11-20", "CNY": "0"}, "rates: CNY: '0'; a rate is above"),
        ({"base": "USD", "date": "2026-11-20", "CNY": "-1"}, "$.rates.CNY: '-1' is not a decimal"),
        ({"base": "dollar", "date": "2026-11-20"}, "$.rates.base: 'dollar' is not a currency code"),
    ],
)
def test_wrong_rates_are_named_with_their_path(rates: Mapping[str, Any], said: str) -> None:
    """Never a float, never without a day."""
    assert wrong(rates=rates).startswith(f"configuration: {said}")


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (
            {"reapy": {"rows": [ROW]}},
            "prices.reapy: no account or provider is called so; there are",
        ),
        ({"reapi": {"rows": []}}, "$.prices.reapi.rows: 0 items; at least 1"),
        ({"reapi": {"rowz": []}}, "$.prices.reapi"),
        ({"reapi": {"file": "none.json"}}, "prices.reapi.file: none.json: No such file"),
        ({"reapi": {"rows": [{**ROW, "amount": 0.1}]}}, "prices.reapi.rows[0]: amount: 0.1; text"),
    ],
)
def test_wrong_prices_are_named_with_their_path(prices: Mapping[str, Any], said: str) -> None:
    """Before the first quote."""
    assert wrong(prices=prices).startswith(f"configuration: {said}")


@pytest.mark.parametrize(
    ("ledger", "said"),
    [({}, "$.ledger.path: missing"), ({"path": ""}, "$.ledger.path: "), ({"pth": "x"}, "$.ledger")],
)
def test_a_wrong_ledger_is_named_with_its_path(ledger: Mapping[str, Any], said: str) -> None:
    """As everything else."""
    assert wrong(ledger=ledger).startswith(f"configuration: {said}")


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    """With the name of the file."""
    path = written(
        tmp_path, '[routes.a]\nordr = "given"\n[rates]\nbase = "USD"\n[ledger]\npth = "x"\n'
    )

    with pytest.raises(ConfigurationError) as caught:
        config.load(path, environ={})

    assert str(caught.value).startswith(f"{path}: ")
    for where in ("$.routes.a.ordr", "$.rates.date", "$.ledger.path", "$.ledger.pth"):
        assert f"{where}: " in str(caught.value)


def test_a_time_is_no_day(tmp_path: Path) -> None:
    """TOML has those too."""
    text = '[rates]\nbase = "USD"\ndate = 2026-11-20T12:00:00Z\nCNY = "0.14"\n'

    with pytest.raises(ConfigurationError, match=r"\$\.rates\.date: "):
        config.load(written(tmp_path, text), environ={})


@pytest.mark.parametrize(
    "tables",
    [
        {"routes": {"mine": {"providers": ["nobody"]}}},
        {"routes": {"mine": {"ordr": "given"}}},
        {"rates": {"base": "USD"}},
        {"prices": {"nobody": {"rows": [ROW]}}},
        {"ledger": {}},
    ],
)
def test_no_message_shows_a_key(tables: Mapping[str, Any]) -> None:
    """Nor does a client or its settings show one."""
    document = {"providers": {"reapi": {"api_key": KEY}}}

    with pytest.raises(ConfigurationError) as caught:
        config.load({**document, **tables}, environ={})

    assert KEY not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    settings = config.load({**document, "routes": {"mine": {}}}, environ={})
    assert KEY not in f"{settings!r} {Client.of(settings)!r}"


# -- a client of it ------------------------------------------------------------------------


def http(sandbox: Sandbox) -> httpx.Client:
    return httpx.Client(transport=SandboxTransport(sandbox))


def of(
    source: Path | Mapping[str, Any],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    **options: Any,
) -> Client:
    """A client of a configuration, wired to *sandbox*."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    given = {"sleep": lambda seconds: None, **options}
    return Client.from_config(source, http=http(sandbox), **given)


def test_a_client_uses_all_of_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Default route, own prices, rates, budgets, and the ledger, which a later client reads."""
    sandbox = Sandbox(latency=0)
    with of(path, sandbox, monkeypatch) as client:
        result = client.generate(HERON)
        quotes = {quote.provider: quote for quote in client.compare(HERON, currency="CNY")}

    # Cheaper by the price of one's own; billed as the provider says.
    assert "backup" == result.provider
    assert "costs 0.012 USD" == result.attempts[0].detail
    assert (Money("0.012", "USD"), "configuration") == (
        quotes["backup"].money,
        quotes["backup"].source,
    )
    assert Money("0.085348507", "CNY") == quotes["backup"].in_currency
    assert result.cost is not None
    with closing(SqliteLedger(tmp_path / "spent.db")) as ledger:
        assert result.cost.amount == ledger.spent("default/USD/ever", "")


def test_a_budget_of_a_file_holds_for_later_clients(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the route's name, however often it is read."""
    sandbox = Sandbox(latency=0)
    with of(path, sandbox, monkeypatch) as client:
        client.generate(HERON, route="careful")
        client.generate(HERON, route="careful")
    with of(path, sandbox, monkeypatch) as client, pytest.raises(BudgetExceeded) as caught:
        client.generate(HERON, route="careful")

    assert ("0.012 USD", "0.002 USD") == (str(caught.value.needed), str(caught.value.left))
    assert 2 == len(sandbox.ledger()["posts"])


def test_a_client_is_as_patient_as_its_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For calls whose route has no deadline of its own."""
    seconds = [1000.0]

    def sleep(pause: float) -> None:
        seconds[0] += pause

    slow = Sandbox(latency=10_000)
    with (
        of(path, slow, monkeypatch, clock=lambda: seconds[0], sleep=sleep) as client,
        pytest.raises(DeadlineExceeded),
    ):
        client.generate(HERON)

    assert 1300.0 == pytest.approx(seconds[0], abs=0.01)


def test_an_option_counts_more_than_the_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the file's ledger is not even opened."""
    ledger = MemoryLedger()
    routes = {"default": Route(("reapi",), name="mine", budget=Money("1", "USD"))}
    with of(path, Sandbox(latency=0), monkeypatch, ledger=ledger, routes=routes) as client:
        assert "reapi" == client.generate(HERON).provider

    assert Decimal("0.024") == ledger.spent("mine/USD/ever", "")
    assert not (tmp_path / "spent.db").exists()


def test_an_awaiting_client_uses_all_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same settings."""
    monkeypatch.setenv("BACKUP_KEY", ENVIRON["BACKUP_KEY"])

    async def run() -> str:
        line = httpx.AsyncClient(transport=SandboxTransport(Sandbox(latency=0)))
        async with AsyncClient.from_config(path, http=line) as client:
            return (await client.generate(HERON, route="everywhere")).provider

    assert asyncio.run(run()) in ("reapi", "backup")


def test_a_ledger_without_its_folder_is_said_at_once(tmp_path: Path) -> None:
    """Not at the first purchase."""
    document = {**DOCUMENT, "ledger": {"path": str(tmp_path / "none" / "spent.db")}}

    with pytest.raises(ConfigurationError, match="none"):
        Client.from_config(document)


def test_a_missing_key_skips_the_account(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A route goes on with those that have one, and says so."""
    monkeypatch.delenv("BACKUP_KEY", raising=False)
    sandbox = Sandbox(latency=0)
    client = Client.from_config(path, http=http(sandbox), sleep=lambda seconds: None)
    with client:
        result = client.generate(HERON)

    assert [("backup", "skipped"), ("reapi", "delivered")] == [
        (a.provider, a.outcome) for a in result.attempts
    ]
    assert "backup: no key is configured" == result.attempts[0].detail


def test_a_route_of_a_client_that_was_made_by_hand_is_checked_too() -> None:
    """As in a file."""
    adapters = config.load(DOCUMENT, environ={}).adapters

    with pytest.raises(UnknownProvider, match="no account is called nobody"):
        Client(adapters, routes={"mine": Route(("nobody",))})


@pytest.mark.parametrize("path", ["a\0b", "~nosuchuser/spent.db"])
def test_a_path_that_is_none_is_told(path: str) -> None:
    """With its place in the configuration, not as an error of the system."""
    with pytest.raises(ConfigurationError, match=r"configuration: ledger\.path: "):
        config.load({**DOCUMENT, "ledger": {"path": path}}, environ={})
