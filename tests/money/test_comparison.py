"""What requests cost at each account, against tables worked out on paper from the price pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from example_provider import Halide
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.registry import Registry
from wanbridge.errors import InvalidRequest
from wanbridge.explain.explanation import explain
from wanbridge.model.money import Money
from wanbridge.model.request import MODELS, ImageRequest
from wanbridge.money.account_quotes import convert_charge, quote_account
from wanbridge.money.comparison import OLD, Workload, compare, workload
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.quotes import Quote
from wanbridge.wire import HttpRequest

REQUESTS = {
    path.stem: ImageRequest.from_json(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "requests").glob("*.json"))
}
ALL = list(REQUESTS.values())
BOOK = PriceBook.builtin()
TODAY = date(2026, 11, 21)
RATES = Rates.of({"base": "USD", "date": "2026-11-20", "CNY": "0.1406"})
NO_RATES = Rates.of(None)
STANDARD, PRO = MODELS
KITE = ImageRequest("a red kite")


def account(name: str, account: str | None = None, **options: Any) -> Adapter:
    return Registry().build(name, account=account, api_key="sk-test-1", options=options)


SEVEN = [
    account("runware"),
    account("reapi"),
    account("dashscope"),
    account("gccai"),
    account("empiriolabs"),
    account("kie"),
    account("crun"),
]
BEIJING = account("dashscope", "beijing", region="beijing")
EIGHT = [*SEVEN, BEIJING]
CURRENCIES = {
    "runware": "USD",
    "reapi": "USD",
    "dashscope": "USD",
    "gccai": "CNY",
    "empiriolabs": "USD",
    "kie": "KIE-CREDITS",
    "beijing": "CNY",
}
# How many credits make a unit of what is charged, where credits are.
CREDITS = {"kie": 1, "reapi": 1000}

# As each account charges: `-` refuses, `?` has no known price.
# Runware, DashScope in Singapore and EmpirioLabs: 0.03 and 0.075 USD an image. GCCAI and DashScope
# in Beijing: 0.20 and 0.50 CNY. KIE: 8 and 12 credits. reAPI: 23.76 and 59.84 credits of 0.001 USD
# times n, then up to whole ones: n = 1 24 | 60, n = 2 119.68 so 120, n = 3 71.28 so 72,
# n = 4 239.36 so 240.
OWN = """
                    runware reapi dashscope gccai empiriolabs kie crun beijing
callback               0.03     -         -     -           -   8    ?       -
fast-draft             0.09 0.072      0.09  0.60        0.09  24    -    0.60
inline-png             0.03     -      0.03     -           -   -    -    0.20
minimal                0.03 0.024      0.03  0.20        0.03   8    ?    0.20
negative-watermark        - 0.024         -  0.20           -   -    -       -
pixels-palette         0.03 0.024      0.03  0.20        0.03   -    -    0.20
print-4k               0.15 0.120      0.15  1.00        0.15  24    -    1.00
second-image-boxed        - 0.060     0.075  0.50       0.075  12    -    0.50
sequential             0.30 0.240      0.30  2.00        0.30   -    -    2.00
six-references         0.03 0.024      0.03  0.20        0.03   -    -    0.20
two-regions            0.03 0.024      0.03  0.20        0.03   -    -    0.20
wide-palette           0.03 0.024      0.03  0.20        0.03   -    -    0.20
"""
# In dollars, at 0.1406 a yuan and 0.005 a credit of KIE: 0.20 x 0.1406 = 0.02812.
IN_USD = """
                    runware reapi dashscope   gccai empiriolabs  kie crun beijing
callback               0.03     -         -       -           - 0.04    ?       -
fast-draft             0.09 0.072      0.09 0.08436        0.09 0.12    - 0.08436
inline-png             0.03     -      0.03       -           -    -    - 0.02812
minimal                0.03 0.024      0.03 0.02812        0.03 0.04    ? 0.02812
negative-watermark        - 0.024         - 0.02812           -    -    -       -
pixels-palette         0.03 0.024      0.03 0.02812        0.03    -    - 0.02812
print-4k               0.15 0.120      0.15 0.14060        0.15 0.12    - 0.14060
second-image-boxed        - 0.060     0.075 0.07030       0.075 0.06    - 0.07030
sequential             0.30 0.240      0.30 0.28120        0.30    -    - 0.28120
six-references         0.03 0.024      0.03 0.02812        0.03    -    - 0.02812
two-regions            0.03 0.024      0.03 0.02812        0.03    -    - 0.02812
wide-palette           0.03 0.024      0.03 0.02812        0.03    -    - 0.02812
"""
# In yuan: dollars / 0.1406, up at the ninth place. 0.03 / 0.1406 = 150/703 = 0.213371266 0028...,
# and so 0.09, 0.15, 0.30 and 0.075 as its multiples; 0.024 is 0.8 of it: 0.170697012 8022...
IN_CNY = """
                       runware       reapi   dashscope gccai empiriolabs         kie crun beijing
callback           0.213371267           -           -     -           - 0.284495022    ?       -
fast-draft         0.640113799 0.512091039 0.640113799  0.60 0.640113799 0.853485065    -    0.60
inline-png         0.213371267           - 0.213371267     -           -           -    -    0.20
minimal            0.213371267 0.170697013 0.213371267  0.20 0.213371267 0.284495022    ?    0.20
negative-watermark           - 0.170697013           -  0.20           -           -    -       -
pixels-palette     0.213371267 0.170697013 0.213371267  0.20 0.213371267           -    -    0.20
print-4k           1.066856331 0.853485065 1.066856331  1.00 1.066856331 0.853485065    -    1.00
second-image-boxed           - 0.426742533 0.533428166  0.50 0.533428166 0.426742533    -    0.50
sequential         2.133712661 1.706970129 2.133712661  2.00 2.133712661           -    -    2.00
six-references     0.213371267 0.170697013 0.213371267  0.20 0.213371267           -    -    0.20
two-regions        0.213371267 0.170697013 0.213371267  0.20 0.213371267           -    -    0.20
wide-palette       0.213371267 0.170697013 0.213371267  0.20 0.213371267           -    -    0.20
"""
# What is refused, and for which fields. Crun's page names no field but prompt, n, resolution and
# ratio for certain; KIE's has no exact pixels and eight ratios, 3:2 not among them.
REFUSED = {
    "callback": {
        "reapi": ["callback_url"],
        "dashscope": ["callback_url"],
        "beijing": ["callback_url"],
        "gccai": ["callback_url"],
        "empiriolabs": ["callback_url"],
    },
    "fast-draft": {"crun": ["thinking", "seed"]},
    "inline-png": {
        "reapi": ["output_format"],
        "gccai": ["output_format"],
        "empiriolabs": ["output_format"],
        "kie": ["output_format", "size"],
        "crun": ["output_format", "size"],
    },
    "minimal": {},
    "negative-watermark": {
        "runware": ["negative_prompt", "watermark"],
        "dashscope": ["negative_prompt"],
        "beijing": ["negative_prompt"],
        "empiriolabs": ["negative_prompt"],
        "kie": ["negative_prompt"],
        "crun": ["negative_prompt", "watermark"],
    },
    "pixels-palette": {"kie": ["size"], "crun": ["images", "color_palette", "seed", "size"]},
    "print-4k": {"crun": ["thinking"]},
    "second-image-boxed": {"runware": ["size"], "crun": ["images", "regions"]},
    "sequential": {"kie": ["size"], "crun": ["sequential"]},
    "six-references": {"kie": ["size"], "crun": ["images", "seed", "size"]},
    "two-regions": {"kie": ["size"], "crun": ["images", "seed", "regions", "size"]},
    "wide-palette": {"kie": ["size"], "crun": ["color_palette", "seed", "size"]},
}


def compared(request: ImageRequest, adapters: list[Adapter] = EIGHT, **given: Any) -> list[Quote]:
    settings: dict[str, Any] = {"prices": BOOK, "rates": RATES, "today": TODAY} | given
    return compare(adapters, request, **settings)


def summed(
    requests: Iterable[ImageRequest], adapters: list[Adapter] = EIGHT, **given: Any
) -> Workload:
    settings: dict[str, Any] = {"prices": BOOK, "rates": RATES, "today": TODAY} | given
    return workload(adapters, requests, **settings)


def names(quotes: list[Quote]) -> list[str]:
    return [quote.provider for quote in quotes]


def cell(quote: Quote, money: Money | None) -> str:
    if quote.refused is not None:
        return "-"
    return "?" if money is None else plain(money)


def plain(money: Money) -> str:
    """The amount without trailing zeros: 0.30 is 0.3."""
    return f"{money.amount.normalize():f}"


def row(table: str, name: str) -> dict[str, str]:
    """By account, without trailing zeros."""
    head, *lines = (line.split() for line in table.strip().splitlines())
    (found,) = (line[1:] for line in lines if line[0] == name)
    texts = (text if text in "-?" else plain(Money(text, "USD")) for text in found)
    return dict(zip(head, texts, strict=True))


@pytest.mark.parametrize("name", REQUESTS)
def test_each_price_is_the_one_worked_out_on_paper(name: str) -> None:
    """All canonical requests, all accounts, to the last digit, in the account's own currency."""
    quotes = compared(REQUESTS[name])

    assert row(OWN, name) == {q.provider: cell(q, q.money) for q in quotes}
    for quote in quotes:
        if quote.amount is not None:
            assert CURRENCIES[quote.provider] == quote.currency
        if (per_unit := CREDITS.get(quote.provider)) is not None and quote.amount is not None:
            assert quote.amount * per_unit == quote.credits
        else:
            assert None is quote.credits


@pytest.mark.parametrize(("currency", "table"), [("USD", IN_USD), ("CNY", IN_CNY)])
@pytest.mark.parametrize("name", REQUESTS)
def test_each_price_in_a_common_currency_is_the_one_on_paper(
    name: str, currency: str, table: str
) -> None:
    """Into the base exactly; into another currency never cheaper than it is."""
    quotes = compared(REQUESTS[name], currency=currency)

    assert row(table, name) == {q.provider: cell(q, q.in_currency) for q in quotes}
    assert {currency} == {q.in_currency.currency for q in quotes if q.in_currency is not None}


@pytest.mark.parametrize("name", REQUESTS)
def test_whoever_refuses_says_every_reason(name: str) -> None:
    """As `explain` does, field by field."""
    quotes = {quote.provider: quote for quote in compared(REQUESTS[name])}

    assert REFUSED[name].keys() == {who for who, quote in quotes.items() if quote.refused}
    for adapter in EIGHT:
        told = explain(adapter, REQUESTS[name], prices=BOOK)
        assert REFUSED[name].get(adapter.account, []) == [p.field for p in told.problems]
        reasons = "; ".join(f"{p.field}: {p.reason}" for p in told.problems)
        assert (reasons or None) == quotes[adapter.account].refused == told.quote.refused


@pytest.mark.parametrize(
    ("name", "rates", "order"),
    [
        ("minimal", RATES, "reapi gccai beijing runware dashscope empiriolabs kie crun"),
        ("minimal", NO_RATES, "reapi runware dashscope empiriolabs kie gccai beijing crun"),
        ("callback", RATES, "runware kie crun reapi dashscope gccai empiriolabs beijing"),
        ("print-4k", RATES, "reapi kie gccai beijing runware dashscope empiriolabs crun"),
        ("inline-png", NO_RATES, "runware dashscope beijing reapi gccai empiriolabs kie crun"),
    ],
)
def test_the_cheapest_comes_first_and_the_unknown_behind_what_is_known(
    name: str, rates: Rates, order: str
) -> None:
    """Comparable, without a rate, unknown, refused; equals in the order given."""
    assert order.split() == names(compared(REQUESTS[name], rates=rates))


def test_equal_prices_stay_in_the_order_given() -> None:
    """Nobody is preferred in silence."""
    backwards = names(compared(REQUESTS["minimal"], EIGHT[::-1]))

    expected = "reapi beijing gccai empiriolabs dashscope runware kie crun"
    assert expected == " ".join(backwards)


def test_a_price_that_is_not_known_is_no_amount_at_all() -> None:
    """Zero would be the cheapest."""
    (crun,) = compared(KITE, [account("crun")])

    assert (None, None, None, None) == (crun.amount, crun.currency, crun.in_currency, crun.source)


def test_credits_are_worth_what_third_parties_say_only_with_those_words() -> None:
    """Neither a rate nor the account's own price was given."""
    (kie,) = compared(KITE, [account("kie")], rates=NO_RATES)

    assert (Money(8, "KIE-CREDITS"), 8) == (kie.money, kie.credits)
    assert Money("0.04", "USD") == kie.in_currency
    assert "1 KIE-CREDITS = 0.005 USD, as reported; set usd_per_credit or a rate" in kie.assumes


def test_a_rate_for_credits_counts_before_what_is_reported() -> None:
    """The caller knows better, and then nothing is assumed."""
    rates = Rates.of({"date": "2026-11-20", "KIE-CREDITS": "0.0049"})

    (kie,) = compared(KITE, [account("kie")], rates=rates)

    assert (Money(8, "KIE-CREDITS"), Money("0.0392", "USD")) == (kie.money, kie.in_currency)
    assert [] == [text for text in kie.assumes if "as reported" in text]


def test_the_accounts_own_price_of_a_credit_makes_dollars() -> None:
    """And the credits are still told."""
    (kie,) = compared(KITE, [account("kie", usd_per_credit="0.0049")], currency="CNY")

    assert (Money("0.0392", "USD"), 8) == (kie.money, kie.credits)
    # 0.0392 / 0.1406 = 196/703 = 0.278805120 9..., up.
    assert Money("0.278805121", "CNY") == kie.in_currency
    assert [] == [text for text in kie.assumes if "as reported" in text]


def test_credits_of_no_known_worth_are_listed_and_not_compared() -> None:
    """Crun publishes none, and reports contradict each other."""
    rows = [{"model": STANDARD, "amount": "2", "currency": "CRUN-CREDITS"}]
    prices = BOOK.overridden({"crun": {"rows": rows}})

    (crun,) = compared(KITE, [account("crun")], prices=prices)
    (rated,) = compared(KITE, [account("crun", usd_per_credit="0.005")], prices=prices)

    assert (Money(2, "CRUN-CREDITS"), None) == (crun.money, crun.in_currency)
    assert (Money("0.01", "USD"), 2) == (rated.money, rated.credits)


def test_an_accounts_own_prices_are_compared() -> None:
    """By its name, which its adapter does not know."""
    eu = account("runware", "runware-eu")
    rows = [{"model": STANDARD, "amount": "0.021", "currency": "USD"}]
    prices = BOOK.overridden({"runware-eu": {"rows": rows}})

    first, second = compared(KITE, [account("runware"), eu], prices=prices)

    assert ("runware-eu", Decimal("0.021"), "configuration") == (
        first.provider,
        first.amount,
        first.source,
    )
    assert ("runware", Decimal("0.03")) == (second.provider, second.amount)


def test_what_was_paid_is_converted_as_it_was_quoted() -> None:
    """A cost after the call must not differ from its quote by the way it is converted."""
    kie, paid = account("kie"), Money(24, "KIE-CREDITS")

    common, assumes = convert_charge(kie, paid, prices=BOOK, currency="USD")

    assert Money("0.12", "USD") == common
    assert quote_account(kie, ImageRequest("x", n=3), prices=BOOK).assumes[-1:] == assumes
    assert (None, ()) == convert_charge(kie, paid, prices=BOOK, currency="CNY")
    assert (None, ()) == convert_charge(kie, Money(1, "CRUN-CREDITS"), prices=BOOK)


def test_an_old_price_says_how_old_it_is() -> None:
    """Prices age; nobody looks at a date that is not shown."""
    (quote,) = compared(KITE, [account("dashscope", region="singapore")])

    assert ("price read 2026-04-30, 205 days ago; it may have changed",) == quote.assumes


@pytest.mark.parametrize(("today", "old"), [(date(2027, 2, 18), False), (date(2027, 2, 19), True)])
def test_a_price_is_old_after_ninety_days(today: date, old: bool) -> None:
    """Read on the twentieth of November."""
    (quote,) = compared(KITE, [account("runware")], today=today)

    assert 90 == OLD.days
    assert old == bool(quote.assumes)
    (total,) = summed([KITE], [account("runware")], today=today).totals
    assert quote.assumes == total.assumes


def test_what_an_amount_rests_on_is_named() -> None:
    """Region, set, credits and what the page left open."""
    somewhere = Registry().build("dashscope", base_url="https://gateway.example/api/v1")
    quotes = {q.provider: q for q in compared(REQUESTS["sequential"], [*SEVEN[:2], somewhere])}

    assert (
        "a set may deliver fewer",
        "the price page says per run; read as per image",
    ) == quotes["runware"].assumes
    assert (
        "Singapore's prices, since neither the region option nor the host names one",
        "a set may deliver fewer",
        "price read 2026-04-30, 205 days ago; it may have changed",
    ) == quotes["dashscope"].assumes


@frozen(kw_only=True)
class _Fussy(Halide):
    """Finds out only while it writes."""

    name = "fussy"

    def submit(self, request: ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        raise self.unsupported("images", "the second one is upside down")


def test_what_an_adapter_refuses_while_it_writes_is_refused_here_too() -> None:
    """A plan without problems is not yet a message."""
    fussy = _Fussy()

    (quote,) = compared(KITE, [fussy])
    total = summed([KITE, KITE], [fussy])

    assert "images: the second one is upside down" == quote.refused
    assert not explain(fussy, KITE, prices=BOOK).ok
    assert (("images: the second one is upside down", 2),) == total.totals[0].reasons
    assert (2, None) == (total.nobody, total.cheapest)


def test_no_key_is_needed_and_limits_and_drops_are_as_for_a_call() -> None:
    """What would be asked, without asking."""
    kie = Registry().build("kie")
    request = REQUESTS["negative-watermark"]

    (refused,) = compared(request, [kie])
    (taken,) = compared(request, [kie], may_drop=("negative_prompt",))
    (large,) = compared(ImageRequest("a kite", size="4K"), [kie])
    (anyway,) = compared(ImageRequest("a kite", size="4K"), [kie], check_limits=False)

    assert (True, False) == (bool(refused.refused), bool(taken.refused))
    assert (True, False) == (bool(large.refused), bool(anyway.refused))


def test_explain_quotes_as_compare_does() -> None:
    """One rule for what a request costs."""
    told = explain(account("kie"), KITE, prices=BOOK).quote

    assert [told] == compared(KITE, [account("kie")], rates=NO_RATES)
    assert Money("0.04", "USD") == told.in_currency


# Worked by hand from the tables above, column by column.
TOTALS = {
    # account: requests, images, refused, unknown, sum, in dollars
    "reapi": (10, 16, 2, 0, "0.636 USD", "0.636"),
    "gccai": (10, 16, 2, 0, "5.3 CNY", "0.74518"),
    "beijing": (10, 16, 2, 0, "5.3 CNY", "0.74518"),
    "runware": (10, 16, 2, 0, "0.75 USD", "0.75"),
    "dashscope": (10, 16, 2, 0, "0.795 USD", "0.795"),
    "empiriolabs": (9, 15, 3, 0, "0.765 USD", "0.765"),
    "kie": (5, 8, 7, 0, "76 KIE-CREDITS", "0.38"),
    "crun": (2, 2, 10, 2, None, None),
}


def test_a_workload_adds_up_to_what_paper_says() -> None:
    """Who takes most comes first, then the cheaper; an unknown price makes no sum."""
    found = summed(ALL)

    assert list(TOTALS.items()) == [
        (
            t.provider,
            (
                t.requests,
                t.images,
                t.refused,
                t.unknown,
                "; ".join(f"{plain(m)} {m.currency}" for m in t.amounts) or None,
                t.in_currency and plain(t.in_currency),
            ),
        )
        for t in found.totals
    ]
    assert (12, 18, 0, "USD", RATES) == (
        found.requests,
        found.images,
        found.nobody,
        found.currency,
        found.rates,
    )


def test_the_best_mix_takes_the_cheapest_for_each_request() -> None:
    """0.03 + 0.072 + 0.02812 + 6 x 0.024 + 0.12 + 0.06 + 0.24."""
    assert Money("0.69412", "USD") == summed(ALL).cheapest
    # Without yuan the third is Runware's 0.03.
    assert Money("0.696", "USD") == summed(ALL, rates=NO_RATES).cheapest


def test_an_amount_without_a_rate_is_listed_and_not_summed_up() -> None:
    """A sum of what can be converted would look like the whole."""
    found = {t.provider: t for t in summed(ALL, rates=NO_RATES).totals}

    assert (10, (Money("5.3", "CNY"),), None) == (
        found["gccai"].unconverted,
        found["gccai"].amounts,
        found["gccai"].in_currency,
    )
    assert (0, Money("0.38", "USD")) == (found["kie"].unconverted, found["kie"].in_currency)


def test_one_unknown_price_leaves_no_sum() -> None:
    """The others are still added up in their own currency."""
    rows = [{"model": PRO, "amount": "3", "currency": "CRUN-CREDITS"}]
    prices = BOOK.overridden({"crun": {"rows": rows}})
    crun = account("crun", usd_per_credit="0.005")

    (total,) = summed([KITE, ImageRequest("a kite", model=PRO, n=2)], [crun], prices=prices).totals

    assert (2, 1, 0) == (total.requests, total.unknown, total.unconverted)
    assert ((Money("0.03", "USD"),), None) == (total.amounts, total.in_currency)


def test_whoever_takes_everything_stands_before_whoever_does_not() -> None:
    """Also if it is dearer: a cheap part is no answer to the whole."""
    requests = [KITE, REQUESTS["callback"]]

    found = summed(requests)

    assert "runware kie reapi gccai beijing dashscope empiriolabs crun" == " ".join(
        t.provider for t in found.totals
    )
    assert {"runware", "kie", "crun"} == {t.provider for t in found.totals if not t.refused}


def test_whoever_takes_nothing_comes_last_and_has_no_sum() -> None:
    """Nothing for nothing would be the cheapest offer."""
    found = summed([REQUESTS["callback"]], [account("reapi"), account("crun"), account("runware")])

    assert ["runware", "crun", "reapi"] == [t.provider for t in found.totals]
    assert [Money("0.03", "USD"), None, None] == [t.in_currency for t in found.totals]


def test_a_request_that_nobody_takes_is_counted() -> None:
    """And leaves no best mix, which would lack it."""
    impossible = ImageRequest("x", negative_prompt="y", callback_url="https://app.example/done")

    found = summed([KITE, impossible])

    assert (1, None, 2) == (found.nobody, found.cheapest, found.requests)


def test_no_requests_cost_nothing() -> None:
    """Of which everybody takes all."""
    found = summed([])

    assert (0, 0, 0, Money(0, "USD")) == (
        found.requests,
        found.images,
        found.nobody,
        found.cheapest,
    )
    assert {Money(0, "USD")} == {t.in_currency for t in found.totals}


def test_reasons_are_counted_the_most_frequent_first() -> None:
    """Which field to change, to have more to choose from."""
    requests = [REQUESTS[name] for name in ("inline-png", "callback", "minimal", "callback")]

    (gccai,) = summed(requests, [account("gccai")]).totals

    assert (
        ("callback_url: this provider calls nobody back; poll instead", 2),
        ("output_format: png cannot be asked for", 1),
    ) == gccai.reasons


def test_what_a_total_rests_on_is_merged() -> None:
    """Every page, the oldest day, the weakest confidence, each assumption once."""
    beijing = {"model": STANDARD, "amount": "0.02", "currency": "USD", "read": "2026-10-01"}
    prices = BOOK.overridden({"runware": {"rows": [beijing]}})
    series = ImageRequest("a kite", model=PRO, n=2, sequential=True)

    (total,) = summed([KITE, series, series, KITE], [account("runware")], prices=prices).totals

    page = "https://runware.ai/docs/models/alibaba-wan2-7-image-pro"
    assert (f"configuration, {page}", date(2026, 10, 1), "reported") == (
        total.source,
        total.read,
        total.confidence,
    )
    assert (
        "a set may deliver fewer",
        "the price page says per run; read as per image",
    ) == total.assumes


def test_a_workload_is_read_and_let_go() -> None:
    """A file of a million requests must not be held in memory."""
    given: list[ref[ImageRequest]] = []
    most = 0

    def requests() -> Iterator[ImageRequest]:
        nonlocal most
        for number in range(50):
            request = ImageRequest(f"kite number {number}")
            given.append(ref(request))
            most = max(most, sum(one() is not None for one in given))
            yield request
            del request

    assert 50 == summed(requests()).requests
    assert most <= 2


@settings(max_examples=60)
@given(
    price=st.decimals("0.000000001", "999999999", places=9),
    counts=st.lists(st.tuples(st.integers(1, 12), st.sampled_from(MODELS)), max_size=12),
    rate=st.decimals("0.000001", "100000", places=6),
)
def test_sums_are_exact(price: Decimal, counts: list[tuple[int, str]], rate: Decimal) -> None:
    """Held against fractions, in a context that rounds to three digits."""
    rows = [{"model": model, "amount": f"{price:f}", "currency": "CNY"} for model in MODELS]
    prices = BOOK.overridden({"gccai": {"rows": rows}, "kie": {"rows": rows}})
    requests = [ImageRequest("a kite", model=m, n=n, sequential=n > 4) for n, m in counts]
    rates = Rates.of({"date": "2026-11-20", "CNY": rate})

    with localcontext() as context:
        context.prec = 3
        found = summed(requests, [account("gccai"), account("kie")], prices=prices, rates=rates)

    exact = Fraction(price) * sum(n for n, _ in counts)
    for total in found.totals:
        assert [exact] * bool(counts) == [Fraction(m.amount) for m in total.amounts]
        assert total.in_currency is not None
        assert exact * Fraction(rate) == Fraction(total.in_currency.amount)
    assert found.cheapest == found.totals[0].in_currency


@pytest.mark.parametrize("ask", [lambda r: compared(r), lambda r: summed([r])])
def test_a_request_that_nobody_could_be_sent_is_an_error(ask: Any) -> None:
    """As in a call: a stored picture has only its digest left."""
    stored = ImageRequest("x", images=("data:image/png;base64,iVBORw0KGgo=",)).stored()

    with pytest.raises(InvalidRequest, match=r"\$\.images\[0\]\.url"):
        ask(stored)
