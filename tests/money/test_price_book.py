"""Prices to the last digit, where they come from, and what stays unknown."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from wanbridge.errors import ConfigurationError
from wanbridge.model.money import Money
from wanbridge.model.request import MODELS, ImageRequest
from wanbridge.money.price_book import PriceBook, price_basis
from wanbridge.money.quotes import Quote

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "wanbridge" / "prices").glob("*.json"))
SCHEMA = json.loads((ROOT / "schemas" / "prices.schema.json").read_text("utf-8"))

STANDARD, PRO = MODELS
BOOK = PriceBook.builtin()
KITE = ImageRequest("a red kite")

# reAPI's credits by n, worked by hand: ceil(23.76 n) and ceil(59.84 n).
REAPI_CREDITS = {
    STANDARD: (24, 48, 72, 96, 119, 143, 167, 191, 214, 238, 262, 286),
    PRO: (60, 120, 180, 240, 300, 360, 419, 479, 539, 599, 659, 719),
}
# Provider, region, model: one picture, four, and a set of twelve.
PER_IMAGE = {
    ("runware", None, STANDARD): ("0.03", "0.12", "0.36", "USD"),
    ("runware", None, PRO): ("0.075", "0.3", "0.9", "USD"),
    ("dashscope", "singapore", STANDARD): ("0.03", "0.12", "0.36", "USD"),
    ("dashscope", "singapore", PRO): ("0.075", "0.3", "0.9", "USD"),
    ("dashscope", "beijing", STANDARD): ("0.2", "0.8", "2.4", "CNY"),
    ("dashscope", "beijing", PRO): ("0.5", "2", "6", "CNY"),
    ("gccai", None, STANDARD): ("0.2", "0.8", "2.4", "CNY"),
    ("gccai", None, PRO): ("0.5", "2", "6", "CNY"),
    ("empiriolabs", None, STANDARD): ("0.03", "0.12", "0.36", "USD"),
    ("empiriolabs", None, PRO): ("0.075", "0.3", "0.9", "USD"),
}
# KIE's credits by n: 8 and 12 an image.
KIE_CREDITS = {STANDARD: {1: 8, 4: 32, 12: 96}, PRO: {1: 12, 4: 48, 12: 144}}

# Money is computed here and nowhere else. Seconds and weights are binary fractions elsewhere.
MONEY = (
    *("model/money", "money/quotes", "money/price_book", "money/price_table", "money/price_files"),
    *("money/price_overrides", "money/exchange_rates", "money/account_quotes"),
    *("money/budgets", "money/comparison", "money/spend_guard"),
    *("ledger/deliveries", "ledger/holds", "ledger/memory", "ledger/protocol"),
    *("ledger/sqlite", "ledger/sqlite_file", "ledger/sqlite_rows", "ledger/sqlite_schema"),
)


def asking(n: int, model: str = STANDARD) -> ImageRequest:
    """A request for *n* pictures; a set where only a set can have as many."""
    return ImageRequest("a red kite", model=model, n=n, sequential=n > 4)


def quote(request: ImageRequest, provider: str, region: str | None = None) -> Quote:
    return BOOK.quote(provider, provider, request, region=region)


def a_file(**changed: Any) -> dict[str, Any]:
    """A small price file; *changed* replaces keys of its row, `...` leaves one out."""
    row = {
        "model": STANDARD,
        "unit": "image",
        "amount": "0.05",
        "currency": "USD",
        "charging": "per_image_delivered",
        "source": "https://halide.example/prices",
        "read": "2026-08-22",
        "confidence": "published",
    } | changed
    kept = {key: value for key, value in row.items() if value is not ...}
    return {"provider": "halide", "read": "2026-08-22", "rows": [kept]}


def a_worth(**changed: Any) -> dict[str, Any]:
    """A small price file that says what a credit is worth; *changed* as in `a_file`."""
    worth = {
        "currency": "HALIDE-CREDITS",
        "usd": "0.005",
        "source": "https://halide.example/prices",
        "read": "2026-08-22",
        "confidence": "reported",
    } | changed
    kept = {key: value for key, value in worth.items() if value is not ...}
    return a_file(amount="12", currency="HALIDE-CREDITS") | {"credit": kept}


def a_book(document: Any) -> PriceBook:
    """A book whose only file is Halide's."""
    text = document if isinstance(document, str) else json.dumps(document)
    return PriceBook(lambda provider: text if provider == "halide" else None)


def fails_schema(document: Any) -> bool:
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return not validator.is_valid(document)


@pytest.mark.parametrize(("provider", "region", "model"), PER_IMAGE)
def test_a_price_per_image_is_times_n(provider: str, region: str | None, model: str) -> None:
    """The whole request is quoted, not one picture of it."""
    one, four, twelve, currency = PER_IMAGE[provider, region, model]

    quotes = [quote(asking(n, model), provider, region) for n in (1, 4, 12)]

    assert [Money(one, currency), Money(four, currency), Money(twelve, currency)] == [
        q.money for q in quotes
    ]
    assert [None, None, None] == [q.credits for q in quotes]


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("model", MODELS)
def test_reapi_rounds_credits_once_after_the_multiplication(model: str, n: int) -> None:
    """Rounding each picture would charge 144 for six; binary fractions could tip a whole one."""
    charged = REAPI_CREDITS[model][n - 1]

    quoted = quote(asking(n, model), "reapi")

    assert charged == quoted.credits
    assert Decimal(charged).scaleb(-3) == quoted.amount
    assert "USD" == quoted.currency


def test_size_inputs_and_thinking_change_no_price() -> None:
    """All three charge by the picture, whatever it is made of."""
    plain = asking(2, PRO)
    rich = ImageRequest(
        "a red kite", model=PRO, n=2, size="4K", images=("https://x/1.png",), thinking=True
    )

    for provider in ("runware", "reapi", "dashscope"):
        assert quote(plain, provider) == quote(rich, provider)


def test_a_whole_number_of_credits_is_not_rounded_up() -> None:
    """0.05 dollars at 1000 credits are 50, not 51."""
    book = a_book(a_file(credits={"per_usd": 1000, "rounding": "ceil_total"}))

    assert 150 == book.quote("halide", "halide", asking(3)).credits


def test_amounts_do_not_depend_on_the_callers_decimal_context() -> None:
    """An application that rounds to two digits must not be billed by them."""
    with localcontext() as context:
        context.prec = 2
        coarse = [quote(asking(12, PRO), name) for name in ("runware", "reapi", "dashscope")]

    assert [Decimal("0.9"), Decimal("0.719"), Decimal("0.9")] == [q.amount for q in coarse]


def test_a_region_that_nobody_named_is_said_to_be_assumed() -> None:
    """Singapore is a guess, and the caller may well be in Beijing."""
    assert ("region singapore",) == quote(KITE, "dashscope").assumes
    assert () == quote(KITE, "dashscope", "singapore").assumes
    assert "USD" == quote(KITE, "dashscope").currency


def test_a_region_without_a_price_is_unknown() -> None:
    """Another region's price would be a guess in the wrong currency."""
    assert None is quote(KITE, "dashscope", "tokyo").amount
    assert None is BOOK.cost("dashscope", KITE, delivered=1, region="tokyo")


def test_a_price_without_region_holds_in_any() -> None:
    """Runware has one price; an account's region does not hide it."""
    assert quote(KITE, "runware") == quote(KITE, "runware", "beijing")


def test_a_regional_price_without_a_default_is_unknown_until_a_region_is_named() -> None:
    """No region is taken for granted that the file does not name."""
    book = a_book(a_file(region="beijing"))

    assert None is book.quote("halide", "halide", KITE).amount
    assert Decimal("0.05") == book.quote("halide", "halide", KITE, region="beijing").amount


def test_a_set_is_quoted_at_its_upper_bound_and_says_so() -> None:
    """The model decides how many pictures a set has."""
    series = ImageRequest("a red kite", n=3, sequential=True)

    assert Decimal("0.09") == quote(series, "runware").amount
    assert ("a set may deliver fewer",) == quote(series, "runware").assumes
    assert () == quote(asking(3), "runware").assumes


def test_a_set_of_one_assumes_nothing() -> None:
    """Fewer than one picture is an error, not a smaller set."""
    assert () == quote(ImageRequest("a red kite", sequential=True), "runware").assumes


@pytest.mark.parametrize(
    ("provider", "region", "host", "read", "confidence"),
    [
        ("runware", None, "runware.ai", date(2026, 11, 20), "published"),
        ("reapi", None, "github.com", date(2026, 7, 28), "reported"),
        ("dashscope", "singapore", "github.com", date(2026, 4, 30), "published"),
        ("dashscope", "beijing", "help.aliyun.com", date(2026, 9, 24), "reported"),
        ("gccai", None, "gccai.heqingsong.uk", date(2026, 11, 20), "published"),
        ("empiriolabs", None, "docs.empiriolabs.ai", date(2026, 11, 20), "published"),
        ("kie", None, "kie.ai", date(2026, 11, 20), "reported"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_a_quote_says_where_its_price_is_from(
    provider: str, region: str | None, host: str, read: date, confidence: str, model: str
) -> None:
    """Prices age, and third parties err."""
    quoted = quote(asking(1, model), provider, region)

    assert quoted.source is not None
    assert host == quoted.source.split("/")[2]
    assert (read, confidence, model) == (quoted.read, quoted.confidence, quoted.model)


def test_a_quote_is_named_for_the_account() -> None:
    """Two accounts with one provider are told apart."""
    assert "runware-eu" == BOOK.quote("runware", "runware-eu", KITE).provider


def test_what_was_assumed_already_comes_first() -> None:
    """The caller's assumptions are kept, ours and the price file's follow."""
    series = ImageRequest("a red kite", model=PRO, n=2, sequential=True)

    quoted = BOOK.quote("runware", "runware", series, assumes=("host of last week",))

    assert (
        "host of last week",
        "a set may deliver fewer",
        "the price page says per run; read as per image",
    ) == quoted.assumes


@pytest.mark.parametrize("provider", ["halide", "../prices/runware", "", "RUNWARE"])
def test_an_unknown_provider_is_quoted_without_an_amount(provider: str) -> None:
    """Unknown is not zero, and no name reaches another file."""
    quoted = BOOK.quote(provider, "mine", KITE, assumes=("as before",))

    assert Quote(provider="mine", model=STANDARD, assumes=("as before",)) == quoted
    assert None is quoted.amount
    assert None is quoted.money
    assert None is BOOK.cost(provider, KITE, delivered=1)


def test_a_model_without_a_price_is_quoted_without_an_amount() -> None:
    """A provider may sell a model whose price nobody has read."""
    book = a_book(a_file())

    assert Decimal("0.05") == book.quote("halide", "halide", KITE).amount
    assert None is book.quote("halide", "halide", asking(1, PRO)).money
    assert None is book.cost("halide", asking(1, PRO), delivered=1)


@pytest.mark.parametrize(
    ("provider", "region", "delivered", "billed", "cost"),
    [
        ("runware", None, 4, None, Money("0.12", "USD")),
        ("runware", None, 3, None, Money("0.09", "USD")),
        ("runware", None, 5, None, Money("0.15", "USD")),
        ("dashscope", None, 4, 4, Money("0.12", "USD")),
        ("dashscope", "beijing", 3, 3, Money("0.6", "CNY")),
        ("dashscope", "beijing", 3, 4, Money("0.8", "CNY")),
        ("dashscope", "singapore", 3, None, Money("0.09", "USD")),
        ("dashscope", "singapore", 3, 0, None),
        ("reapi", None, 4, None, Money("0.096", "USD")),
        ("reapi", None, 5, None, Money("0.096", "USD")),
        ("reapi", None, 3, None, None),
        ("reapi", None, 3, 4, Money("0.096", "USD")),
        ("runware", None, 0, None, None),
        ("reapi", None, 0, None, None),
        ("gccai", None, 3, None, Money("0.6", "CNY")),
        ("empiriolabs", None, 3, 3, Money("0.09", "USD")),
        ("kie", None, 4, None, Money(32, "KIE-CREDITS")),
        ("kie", None, 3, None, Money(24, "KIE-CREDITS")),
        ("crun", None, 4, None, None),
    ],
)
def test_the_cost_follows_the_charging_rule(
    provider: str, region: str | None, delivered: int, billed: int | None, cost: Money | None
) -> None:
    """Four were asked for. What the reply bills counts first; reAPI takes n, refunds unknown."""
    assert cost == BOOK.cost(provider, asking(4), delivered=delivered, billed=billed, region=region)


@pytest.mark.parametrize("provider", [path.stem for path in FILES if path.stem != "crun"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("n", range(1, 13))
def test_a_whole_delivery_costs_what_was_quoted(provider: str, model: str, n: int) -> None:
    """Quote and cost are one rule; a difference would be a note on every result."""
    request = asking(n, model)

    assert quote(request, provider).money == BOOK.cost(provider, request, delivered=n)


def test_the_schema_is_a_schema_and_every_part_is_described() -> None:
    """People write these files by hand from the schema."""
    Draft202012Validator.check_schema(SCHEMA)

    assert "https://json-schema.org/draft/2020-12/schema" == SCHEMA["$schema"]
    assert [] == [
        (path, key)
        for path, part in _parts("$", SCHEMA)
        for key in ("title", "description", "examples")
        if key not in part and "$ref" not in part
    ]


def _parts(path: str, part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, part
    for key in ("properties", "$defs"):
        for name, inner in part.get(key, {}).items():
            yield from _parts(f"{path}.{name}", inner)


def test_the_examples_of_the_schema_are_valid() -> None:
    """An example that is refused teaches the wrong thing."""
    validator = Draft202012Validator(SCHEMA)

    for path, part in _parts("$", SCHEMA):
        for example in part.get("examples", []):
            assert (path, []) == (path, list(validator.evolve(schema=part).iter_errors(example)))


def test_each_provider_with_known_prices_has_a_file() -> None:
    """A file that went missing would make its prices unknown without a word."""
    all_seven = {"crun", "dashscope", "empiriolabs", "gccai", "kie", "reapi", "runware"}
    assert all_seven == {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_packaged_file_is_valid(path: Path) -> None:
    """By the schema, and by what reads it."""
    document = json.loads(path.read_text("utf-8"))

    Draft202012Validator(SCHEMA, format_checker=FormatChecker()).validate(document)
    assert path.stem == document["provider"]
    for row in document["rows"]:
        request = asking(1, row["model"])
        assert row["source"] == quote(request, path.stem, row.get("region")).source


BROKEN: dict[str, Any] = {
    "a number for an amount": a_file(amount=0.05),
    "a zero price": a_file(amount="0.00"),
    "a negative price": a_file(amount="-0.05"),
    "an exponent": a_file(amount="5E-2"),
    "an unknown model": a_file(model="wan3"),
    "an unknown unit": a_file(unit="megapixel"),
    "an unknown charging rule": a_file(charging="per_mood"),
    "an unknown confidence": a_file(confidence="hoped"),
    "no currency code": a_file(currency="dollars"),
    "a currency that is no text": a_file(currency=7),
    "an empty region": a_file(region=""),
    "plain http": a_file(source="http://halide.example/prices"),
    "a day that never was": a_file(read="2026-02-30"),
    "a day in another form": a_file(read="20260822"),
    "a day that is no text": a_file(read=20260822),
    "no source": a_file(source=...),
    "an unknown key": a_file(colour="red"),
    "assumptions as one text": a_file(assumes="none"),
    "an empty assumption": a_file(assumes=[""]),
    "credits without rounding": a_file(credits={"per_usd": 1000}),
    "credits rounded somehow": a_file(credits={"per_usd": 1000, "rounding": "half_up"}),
    "credits of a crooked rate": a_file(credits={"per_usd": 3, "rounding": "ceil_total"}),
    "credits of no number": a_file(credits={"per_usd": True, "rounding": "ceil_total"}),
    "credits for another currency": a_file(
        currency="CNY", credits={"per_usd": 1000, "rounding": "ceil_total"}
    ),
    "credits that are no object": a_file(credits=1000),
    "an unknown key at the top": a_file() | {"currency": "USD"},
    "no rows": {"provider": "halide", "read": "2026-08-22"},
    "rows that are no list": a_file() | {"rows": {}},
    "a row that is no object": a_file() | {"rows": ["0.05"]},
    "a default region that is no text": a_file() | {"default_region": 1},
    "a list": [],
    "nothing": None,
    "a worth without dollars": a_worth(usd=...),
    "a worth of nothing": a_worth(usd="0"),
    "a worth as a number": a_worth(usd=0.005),
    "a worth of a currency": a_worth(currency="EUR"),
    "a worth by plain http": a_worth(source="http://halide.example/prices"),
    "a worth read on no day": a_worth(read="2026-02-30"),
    "a worth that is published": a_worth(confidence="published"),
    "a worth with an unknown key": a_worth(colour="red"),
    "a worth that is no object": a_file() | {"credit": "0.005"},
    "a worth that is null": a_file() | {"credit": None},
    "a region that is null": a_file(region=None),
}


@pytest.mark.parametrize("document", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_by_schema_and_reader_alike(document: Any) -> None:
    """A price that is half read is worse than none."""
    assert fails_schema(document)
    with pytest.raises(ConfigurationError, match=r"^prices of halide: "):
        a_book(document).quote("halide", "halide", KITE)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "prices of halide: Expecting"),
        (a_file() | {"provider": "cyano"}, "prices of halide: provider: 'cyano'; 'halide'"),
        (
            a_file() | {"rows": a_file()["rows"] * 2},
            r"prices of halide: rows\[1\]: model: 'wan2.7-image'; stands once per region",
        ),
    ],
)
def test_what_a_schema_cannot_say_is_refused_too(document: Any, message: str) -> None:
    """A file under another's name, two prices for one thing, no JSON at all."""
    with pytest.raises(ConfigurationError, match=message):
        a_book(document).quote("halide", "halide", KITE)


def test_credits_as_a_currency_can_be_quoted() -> None:
    """A provider whose credits have no known rate is priced in them."""
    book = a_book(a_file(amount="12", currency="HALIDE-CREDITS"))

    assert Money(24, "HALIDE-CREDITS") == book.quote("halide", "halide", asking(2)).money


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("n", [1, 4, 12])
def test_kie_is_quoted_in_credits_until_their_price_is_known(model: str, n: int) -> None:
    """What a credit costs an account is its owner's to say; third parties' word is no charge."""
    charged = KIE_CREDITS[model][n]
    request = asking(n, model)
    worth = Decimal("0.0049")

    plain = BOOK.quote("kie", "kie", request)
    rated = BOOK.quote("kie", "kie", request, usd_per_credit=worth)

    assert (Money(charged, "KIE-CREDITS"), charged) == (plain.money, plain.credits)
    assert (Money(charged * worth, "USD"), charged) == (rated.money, rated.credits)
    assert Money(charged, "KIE-CREDITS") == BOOK.cost("kie", request, delivered=n)
    assert rated.money == BOOK.cost("kie", request, delivered=n, usd_per_credit=worth)
    assert {"KIE-CREDITS": Decimal("0.005")} == BOOK.credit_rates("kie")


@pytest.mark.parametrize("provider", ["runware", "reapi", "gccai"])
def test_a_price_of_a_credit_leaves_other_currencies_alone(provider: str) -> None:
    """It is about what is charged in credits, not about dollars counted as such."""
    priced = BOOK.quote(provider, provider, KITE, usd_per_credit=Decimal("0.1"))

    assert quote(KITE, provider) == priced
    assert {} == BOOK.credit_rates(provider)


def test_crun_has_neither_a_price_nor_a_worth() -> None:
    """Reports of its credit contradict each other: 0.005 and 0.025 dollars."""
    assert None is BOOK.quote("crun", "crun", KITE, usd_per_credit=Decimal("0.005")).money
    assert {} == BOOK.credit_rates("crun")


def test_part_of_a_credit_is_charged_as_it_is() -> None:
    """No rule rounds it; there is no whole number to show then."""
    book = a_book(a_file(amount="1.5", currency="HALIDE-CREDITS"))

    one, two = (book.quote("halide", "halide", asking(n)) for n in (1, 2))

    assert (Decimal("1.5"), None) == (one.amount, one.credits)
    assert (Decimal(3), 3) == (two.amount, two.credits)


@pytest.mark.parametrize("usd_per_credit", [None, Decimal("0.0049")])
def test_the_price_of_a_credit_survives_a_coarse_context(usd_per_credit: Decimal | None) -> None:
    """144 credits are not 140."""
    with localcontext() as context:
        context.prec = 2
        coarse = BOOK.quote("kie", "kie", asking(12, PRO), usd_per_credit=usd_per_credit)

    assert 144 == coarse.credits
    assert (Decimal(144) if usd_per_credit is None else Decimal("0.7056")) == coarse.amount


def test_a_price_has_an_age() -> None:
    """Counted from the day on which somebody read it."""
    assert timedelta(days=205) == quote(KITE, "dashscope").age(date(2026, 11, 21))
    assert None is BOOK.quote("crun", "crun", KITE).age(date(2026, 11, 21))


OWN_ROW = {"model": STANDARD, "amount": "0.021", "currency": "USD"}


def test_a_row_of_the_callers_replaces_one_price() -> None:
    """A negotiated price for one model leaves the other as published."""
    book = BOOK.overridden({"runware": {"rows": [OWN_ROW]}})

    own, other = (book.quote("runware", "runware", asking(2, model)) for model in MODELS)

    assert Money("0.042", "USD") == own.money
    assert ("configuration", None, "reported", ()) == (
        own.source,
        own.read,
        own.confidence,
        own.assumes,
    )
    assert quote(asking(2, PRO), "runware") == other
    assert Money("0.021", "USD") == book.cost("runware", KITE, account="runware", delivered=1)
    assert Money("0.03", "USD") == quote(KITE, "runware").money


def test_a_row_may_say_all_that_a_price_file_says() -> None:
    """With a day as TOML gives it, and a decimal as Python does."""
    row = OWN_ROW | {
        "amount": Decimal("0.0210"),
        "unit": "image",
        "charging": "per_request_n",
        "credits": {"per_usd": 100, "rounding": "ceil_total"},
        "source": "https://halide.example/contract",
        "read": date(2026, 10, 1),
        "confidence": "published",
        "assumes": ["the contract goes on"],
    }
    book = BOOK.overridden({"runware": {"rows": [row]}})

    own = book.quote("runware", "runware", asking(2))

    assert (Money("0.05", "USD"), 5) == (own.money, own.credits)
    assert ("https://halide.example/contract", date(2026, 10, 1), "published") == (
        own.source,
        own.read,
        own.confidence,
    )
    assert ("the contract goes on",) == own.assumes
    assert None is book.cost("runware", asking(2), account="runware", delivered=1)


def test_an_accounts_own_price_counts_before_its_providers() -> None:
    """Two accounts with one provider may have two contracts."""
    pro = OWN_ROW | {"model": PRO, "amount": "0.05"}
    book = BOOK.overridden(
        {
            "runware": {"rows": [OWN_ROW, pro]},
            "runware-eu": {"rows": [OWN_ROW | {"amount": "0.018"}]},
        }
    )

    def price(account: str, model: str) -> Money | None:
        return book.quote("runware", account, asking(1, model)).money

    assert Money("0.021", "USD") == price("runware", STANDARD)
    assert Money("0.021", "USD") == price("runware-us", STANDARD)
    assert Money("0.018", "USD") == price("runware-eu", STANDARD)
    assert Money("0.05", "USD") == price("runware-eu", PRO)
    assert Money("0.021", "USD") == book.cost("runware", KITE, delivered=1)
    assert Money("0.018", "USD") == book.cost("runware", KITE, account="runware-eu", delivered=1)
    assert quote(KITE, "reapi") == book.quote("reapi", "reapi", KITE)


def test_a_price_that_names_no_rule_follows_the_providers() -> None:
    """reAPI charges n at the submit and rounds to credits, whatever was agreed for one image."""
    book = BOOK.overridden({"reapi": {"rows": [OWN_ROW | {"amount": "0.0201"}]}})

    own = book.quote("reapi", "reapi", asking(3))

    assert (Money("0.061", "USD"), 61) == (own.money, own.credits)
    assert None is book.cost("reapi", asking(3), account="reapi", delivered=2)


def test_a_price_in_another_currency_is_not_rounded_to_dollars_credits() -> None:
    """The rule for credits is one for dollars."""
    row = OWN_ROW | {"amount": "0.1501", "currency": "CNY"}

    own = BOOK.overridden({"reapi": {"rows": [row]}}).quote("reapi", "reapi", asking(3))

    assert (Money("0.4503", "CNY"), None) == (own.money, own.credits)


def test_a_price_with_a_region_holds_there_and_one_without_everywhere() -> None:
    """An account must not fall back to the list price because it is elsewhere."""
    beijing = OWN_ROW | {"amount": "0.15", "currency": "CNY", "region": "beijing"}
    anywhere = {"dashscope": {"rows": [OWN_ROW]}}
    there = {"dashscope": {"rows": [beijing]}}
    both = {"dashscope": {"rows": [beijing, OWN_ROW]}}

    def prices(own: Any) -> list[str]:
        book = BOOK.overridden(own)
        found = [
            book.quote("dashscope", "dashscope", KITE, region=r).money
            for r in ("beijing", "singapore", None)
        ]
        return [str(money) for money in found]

    assert ["0.021 USD", "0.021 USD", "0.021 USD"] == prices(anywhere)
    assert ["0.15 CNY", "0.03 USD", "0.03 USD"] == prices(there)
    assert ["0.15 CNY", "0.021 USD", "0.021 USD"] == prices(both)


def test_a_price_where_none_was_known_is_known_then() -> None:
    """Crun's owner may know what the pages do not say."""
    row = {"model": STANDARD, "amount": "1.5", "currency": "CRUN-CREDITS"}
    book = BOOK.overridden({"crun": {"rows": [row]}})

    assert Money(6, "CRUN-CREDITS") == book.quote("crun", "crun", asking(4)).money
    assert Money("4.5", "CRUN-CREDITS") == book.cost("crun", asking(4), delivered=3)
    rated = book.quote("crun", "crun", asking(4), usd_per_credit=Decimal("0.005"))
    assert (Money("0.03", "USD"), 6) == (rated.money, rated.credits)


def test_a_price_file_of_the_callers_stands_in_the_place_of_ours(tmp_path: Path) -> None:
    """The whole list: a model that it leaves out has no known price."""
    path = tmp_path / "halide.json"
    path.write_text(json.dumps(a_worth()), "utf-8")
    book = a_book(a_file(model=PRO)).overridden({"halide": {"file": str(path)}})

    assert Money(12, "HALIDE-CREDITS") == book.quote("halide", "mine", KITE).money
    assert None is book.quote("halide", "mine", asking(1, PRO)).money
    assert {"HALIDE-CREDITS": Decimal("0.005")} == book.credit_rates("halide", "mine")


def test_rows_and_files_lie_over_each_other_by_name(tmp_path: Path) -> None:
    """An account's rows over its provider's file, an account's file instead of both."""
    path = tmp_path / "halide.json"
    path.write_text(json.dumps(a_file(amount="0.04")), "utf-8")
    dearer = tmp_path / "dearer.json"
    dearer.write_text(json.dumps(a_file(amount="0.06")), "utf-8")
    rows, file = {"rows": [OWN_ROW]}, {"file": str(path)}
    others = {"rows": [OWN_ROW | {"model": PRO}]}
    book = a_book(a_file())

    def price(provider: Any, mine: Any) -> Money | None:
        own = book.overridden({"halide": provider}).overridden({"mine": mine})
        return own.quote("halide", "mine", KITE).money

    assert Money("0.021", "USD") == price(file, rows)
    assert Money("0.04", "USD") == price(rows, file)
    assert Money("0.06", "USD") == price(file, {"file": str(dearer)})
    assert Money("0.04", "USD") == price(file, others)


def test_a_file_is_read_when_it_is_needed_or_asked_to_be_checked(tmp_path: Path) -> None:
    """A broken one shows at the start, if somebody asks then."""
    path = tmp_path / "halide.json"
    book = a_book(a_file()).overridden({"mine": {"file": str(path)}})

    book.check("halide", "yours")
    with pytest.raises(ConfigurationError, match=r"^prices\.mine\.file: .*halide\.json: No such"):
        book.check("halide", "mine")
    path.write_text(json.dumps(a_file(amount="free")), "utf-8")
    with pytest.raises(ConfigurationError, match=r"halide\.json: rows\[0\]: amount: 'free'"):
        book.quote("halide", "mine", KITE)
    path.write_text(json.dumps(a_file()), "utf-8")
    with pytest.raises(ConfigurationError, match=r"halide\.json: provider: 'halide'; 'cyano'"):
        book.check("cyano", "mine")
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"halide\.json: "):
        book.check("halide", "mine")
    path.write_text(json.dumps(a_file()), "utf-8")
    book.check("halide", "mine")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": [OWN_ROW, OWN_ROW | {"model": "wan3"}]}, ".rows[1]: model: 'wan3'; one of"),
        ({"rows": [OWN_ROW | {"amount": 0.021}]}, ".rows[0]: amount: 0.021; text like '0.03'"),
        ({"rows": [OWN_ROW | {"amount": "0"}]}, ".rows[0]: amount: '0'; above zero"),
        ({"rows": [OWN_ROW | {"amount": True}]}, ".rows[0]: amount: True; text"),
        ({"rows": [OWN_ROW | {"amount": Decimal("NaN")}]}, ".rows[0]: amount: 'NaN'; text"),
        ({"rows": [OWN_ROW | {"currency": "dollars"}]}, ".rows[0]: currency: 'dollars' is not"),
        ({"rows": [OWN_ROW | {"currency": 7}]}, ".rows[0]: currency: 7 is not"),
        ({"rows": [OWN_ROW | {"source": "http://x"}]}, ".rows[0]: source: 'http://x'; https"),
        ({"rows": [OWN_ROW | {"read": "soon"}]}, ".rows[0]: read: 'soon'; a day like"),
        (
            {"rows": [OWN_ROW | {"read": datetime(2026, 1, 2)}]},
            ".rows[0]: read: '2026-01-02T00:00:00'; a day like",
        ),
        ({"rows": [OWN_ROW | {"colour": "red"}]}, ".rows[0]: colour: unknown; one of amount,"),
        ({"rows": [{"model": STANDARD}]}, ".rows[0]: amount: missing"),
        ({"rows": [OWN_ROW, OWN_ROW]}, ".rows[1]: model: 'wan2.7-image'; stands once per region"),
        ({"rows": [OWN_ROW | {"credits": {"per_usd": 3}}]}, ".rows[0]: credits.rounding: missing"),
        ({"rows": [OWN_ROW | {"credits": 3}]}, ".rows[0]: credits: 3; an object"),
        ({"rows": ["0.021"]}, ".rows[0]: '0.021'; an object"),
        ({"rows": "0.021"}, ".rows: '0.021'; a list"),
        ({"file": 7}, ".file: 7; a path"),
        ({"file": "x.json", "rows": []}, ": either file = path or rows = [...]"),
        ({}, ": either file = path or rows = [...]"),
        ({"row": []}, ": either file = path or rows = [...]"),
        ([OWN_ROW], ": either file = path or rows = [...]"),
    ],
)
def test_a_broken_price_of_the_callers_is_named_with_its_path(given: Any, message: str) -> None:
    """At once, not when the first picture is bought."""
    with pytest.raises(ConfigurationError) as caught:
        BOOK.overridden({"runware": given})

    assert str(caught.value).startswith(f"prices.runware{message}")


def test_a_file_is_read_once_and_only_when_asked_for() -> None:
    """A client of one provider does not pay for seven."""
    asked: list[str] = []

    def read(provider: str) -> str:
        asked.append(provider)
        return json.dumps(a_file())

    book = PriceBook(read)
    assert [] == asked
    for _ in range(3):
        book.quote("halide", "halide", KITE)
        book.cost("halide", KITE, delivered=1)

    assert ["halide"] == asked


def test_the_builtin_book_is_one() -> None:
    """Many clients in one process read each file once."""
    assert PriceBook.builtin() is PriceBook.builtin()


def test_threads_that_meet_at_the_first_quote_agree() -> None:
    """Reading twice is allowed, differing is not."""
    together = Barrier(8)

    def read(provider: str) -> str:
        return json.dumps(a_file())

    book = PriceBook(read)

    def ask(_: int) -> Quote:
        together.wait()
        return book.quote("halide", "halide", KITE)

    with ThreadPoolExecutor(8) as pool:
        quotes = set(pool.map(ask, range(8)))

    assert {book.quote("halide", "halide", KITE)} == quotes


def test_importing_reads_no_price_file() -> None:
    """No file is read at import; the first quote reads one."""
    program = """
import sys
opened = []
def hook(event, args):
    if event == "open" and "prices" in str(args[0]) and str(args[0]).endswith(".json"):
        opened.append(str(args[0]).replace("\\\\", "/").rpartition("/")[2])
sys.addaudithook(hook)
from wanbridge import ImageRequest
from wanbridge.money.price_book import PriceBook, price_basis
book = PriceBook.builtin()
before = list(opened)
book.quote("reapi", "reapi", ImageRequest("a red kite"))
print(before, opened)
"""
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "[] ['reapi.json']" == out.stdout.strip()


@pytest.mark.parametrize("module", MONEY)
def test_no_binary_fraction_comes_near_money(module: str) -> None:
    """No such name, annotation or literal, and no division outside a decimal context."""
    path = ROOT / "wanbridge" / f"{module}.py"
    tree = ast.parse(path.read_text("utf-8"))
    assert [] == [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for node in _of_money(tree)
        if _is_binary(node) and isinstance(node, ast.expr | ast.stmt)
    ]


def _of_money(tree: ast.AST) -> Iterator[ast.AST]:
    """All of *tree* but what is said to a ``sleep``, which are seconds."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.Call) and ast.unparse(child.func) == "time.sleep"):
            yield from _of_money(child)


def _is_binary(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("float", "fsum", "as_integer_ratio", "from_float")
        case ast.Constant(value=value):
            return isinstance(value, float | complex)
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            return isinstance(op, ast.Div)
        case _:
            return False


def test_a_binary_fraction_would_be_seen() -> None:
    """The test above looks for what it says."""
    for line in ("x: float = y", "x = 0.5", "x = a / b", "x /= 2", "x = float(y)"):
        assert any(map(_is_binary, _of_money(ast.parse(line)))), line


def test_no_price_file_holds_a_number_that_is_read_as_a_binary_fraction() -> None:
    """Amounts are text."""
    for path in FILES:
        json.loads(path.read_text("utf-8"), parse_float=_refuse)


def _refuse(text: str) -> Any:
    raise AssertionError(f"{text} should be text")


@pytest.mark.parametrize("provider", sorted(file.stem for file in FILES))
def test_a_quote_rests_on_the_price_basis_alone(provider: str) -> None:
    """Routes keep a quote for each basis: what else a price depended on would be a wrong price."""
    requests = ROOT / "tests" / "fixtures" / "requests"
    for path in sorted(requests.glob("*.json")):
        request = ImageRequest.from_json(path.read_bytes())
        model, n, sequential = price_basis(request)
        bare = ImageRequest("a red kite", model=model, n=n, sequential=sequential)

        assert BOOK.quote(provider, provider, bare) == BOOK.quote(provider, provider, request)
