"""Who is asked and in which order: settings that mean something, reasons, and no surprise."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from example_provider import Halide, _Options
from random_requests import requests
from wanbridge import config
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.adapters.registry import Registry
from wanbridge.errors import (
    ConfigurationError,
    InvalidRequest,
    MissingCredentials,
    UnknownProvider,
    UnsupportedFeature,
)
from wanbridge.explain.explanation import explain
from wanbridge.model.inputs import InputImage
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.account_quotes import quote_account
from wanbridge.money.budgets import Budget
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.quotes import Quote
from wanbridge.routing.route import Candidate, Order, Route, rank

KITE = ImageRequest("a red kite", seed=7)
EAST, WEST, NORTH = (Halide(api_key="sk-test-1", account=a) for a in ("east", "west", "north"))
THREE = [EAST, WEST, NORTH]
FIVE_DOLLARS = Money("5.00", "USD")
REQUESTS = {
    path.stem: ImageRequest.from_json(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "requests").glob("*.json"))
}
SEVEN = [
    Registry().build(name, api_key="sk-test-1")
    for name in ("runware", "reapi", "dashscope", "gccai", "empiriolabs", "kie", "crun")
]
RATES = Rates.of({"base": "USD", "date": "2026-11-20", "CNY": "0.1406"})


def costs(**amounts: Money | None) -> Any:
    """Quotes by account; what is not in USD has no rate."""

    def quote(adapter: Adapter) -> Quote:
        money = amounts[adapter.account]
        if money is None:
            return Quote(provider=adapter.account, model=KITE.model)
        return Quote(
            provider=adapter.account,
            model=KITE.model,
            amount=money.amount,
            currency=money.currency,
            in_currency=money if money.currency == "USD" else None,
        )

    return quote


def unasked(adapter: Adapter) -> Quote:
    raise AssertionError("nobody asked for a price")


def ranked(
    route: Route,
    adapters: Sequence[Adapter] = THREE,
    request: ImageRequest = KITE,
    quote: Any = unasked,
    **more: Any,
) -> list[tuple[str, str]]:
    """Account and reason of each candidate that can be asked."""
    found = rank(route, adapters, request, quote=quote, **more)
    return [(c.account, c.reason) for c in found if c.skipped is None]


# Settings


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"providers": "kie"}, "route: providers: 'kie'; a list of accounts, or 'any'"),
        ({"providers": ()}, "route: providers: (); at least one account, or 'any'"),
        ({"providers": ["kie", ""]}, "route: providers: ('kie', ''); at least one account"),
        ({"providers": ["kie", 7]}, "route: providers: ('kie', 7); at least one account"),
        ({"providers": ["kie", "kie"]}, "route: providers: kie, kie; each account once"),
        ({"order": "cheap"}, "route: order: 'cheap'; one of given, cheapest, fastest, spread"),
        ({"order": None}, "route: order: None; one of given"),
        ({"on_uncertain": "retry"}, "route: on_uncertain: 'retry'; stop or pay_again"),
        ({"may_drop": "seed"}, "route: may_drop: 'seed'; a list of fields"),
        ({"may_drop": ["seed", "prompt"]}, "route: may_drop: prompt cannot be dropped; "),
        ({"budget": "5.00"}, "route: budget: '5.00'; Money('5.00', 'USD')"),
        ({"budget": 5}, "route: budget: 5; Money('5.00', 'USD')"),
        ({"budget": ["5.00"]}, "route: budget: '5.00'; Money('5.00', 'USD')"),
        ({"budget": [FIVE_DOLLARS, 3]}, "route: budget: 3; Money('5.00', 'USD')"),
        ({"budget": Money("-1", "USD")}, "budget: Money(amount=Decimal('-1'), currency='USD'); "),
        (
            {"budget": [Budget(FIVE_DOLLARS, "day"), Budget(Money("3", "USD"), "day")]},
            "route: budget: two for one currency and period",
        ),
        (
            {"budget": [FIVE_DOLLARS, Budget(Money("3", "USD"))]},
            "route: budget: two for one currency and period",
        ),
        ({"assume_cost": "0.05"}, "route: assume_cost: '0.05'; Money('0.05', 'USD')"),
        ({"assume_cost": Budget(FIVE_DOLLARS)}, "route: assume_cost: Budget("),
        ({"assume_cost": Money("-0.05", "USD")}, "route: assume_cost: "),
        ({"deadline": 0}, "route: deadline: 0; seconds, more than 0"),
        ({"deadline": -1.5}, "route: deadline: -1.5; seconds, more than 0"),
        ({"deadline": float("nan")}, "route: deadline: nan; seconds, more than 0"),
        ({"deadline": "90"}, "route: deadline: '90'; seconds, more than 0"),
        ({"hedge_after": 0.0}, "route: hedge_after: 0.0; seconds, more than 0"),
        ({"weights": {"kie": 2}}, "route: weights: only for order 'spread', not 'given'"),
        ({"order": "spread", "weights": {"kie": 0}}, "route: weights: kie: 0; a whole number"),
        ({"order": "spread", "weights": {"kie": True}}, "route: weights: kie: True; a whole "),
        ({"order": "spread", "weights": {"kie": 1.5}}, "route: weights: kie: 1.5; a whole "),
        ({"order": "spread", "weights": {"kie": "2"}}, "route: weights: kie: '2'; a whole "),
        (
            {"order": "spread", "providers": ["kie"], "weights": {"crun": 2}},
            "route: weights: 'crun' is not among its providers",
        ),
    ],
)
def test_a_wrong_setting_is_named_when_the_route_is_made(setting: Any, said: str) -> None:
    """Not at the first call, hours later, and not as a TypeError from within."""
    with pytest.raises(ConfigurationError) as caught:
        Route(**setting)

    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"providers": "any"},
        {"providers": ["kie", "crun"]},
        {"providers": iter(["kie", "crun"])},
        {"order": "spread", "weights": {"kie": 3}},
        {"order": "spread", "providers": ["kie", "crun"], "weights": {"kie": 3, "crun": 1}},
        {"may_drop": ["seed", "negative_prompt"]},
        {"may_drop": {"regions"}},
        {"budget": FIVE_DOLLARS},
        {"budget": Money(0, "USD")},
        {"budget": []},
        {"budget": [FIVE_DOLLARS, Budget(Money("0.50", "USD"), "hour"), Money("9", "CNY")]},
        {"budget": FIVE_DOLLARS, "assume_cost": Money("0.05", "USD")},
        {"budget": FIVE_DOLLARS, "assume_cost": Money(0, "USD")},
        {"deadline": 90, "hedge_after": 0.25},
        {"on_uncertain": "pay_again", "name": "frugal"},
    ],
)
def test_a_setting_that_means_something_is_taken(setting: Any) -> None:
    """Lists, sets and iterators alike: configurations bring them all."""
    Route(**setting)


def test_a_route_of_a_configuration_has_all_its_settings() -> None:
    """Amounts are text there and lists stay lists."""
    document = {
        "providers": {"kie": {"api_key": "sk-test-1"}, "crun": {"api_key": "sk-test-2"}},
        "routes": {
            "frugal": {
                "providers": ["crun", "kie"],
                "order": "cheapest",
                "may_drop": ["seed"],
                "budget": [
                    {"amount": "0.50", "currency": "USD", "period": "hour"},
                    {"amount": "30", "currency": "CNY", "period": "month"},
                ],
                "assume_cost": {"amount": "0.05", "currency": "USD"},
                "deadline": 90,
            }
        },
    }

    route = config.load(document, environ={}).routes["frugal"]

    assert (
        Route(
            ("crun", "kie"),
            order="cheapest",
            may_drop=("seed",),
            budget=[
                Budget(Money("0.50", "USD"), "hour"),
                Budget(Money("30", "CNY"), "month"),
            ],
            assume_cost=Money("0.05", "USD"),
            deadline=90,
            name="frugal",
        )
        == route
    )


@pytest.mark.parametrize(
    ("limit", "period", "said"),
    [
        ("5.00", None, "budget: '5.00'; Money('5.00', 'USD'), not below 0"),
        (Money("-0.01", "USD"), None, "budget: Money("),
        (FIVE_DOLLARS, "week", "budget: period: 'week'; one of hour, day, month"),
        (FIVE_DOLLARS, "", "budget: period: ''; one of hour, day, month"),
    ],
)
def test_a_budget_without_meaning_is_refused(limit: Any, period: Any, said: str) -> None:
    """Below nothing, of text, or of a period that no calendar here knows."""
    with pytest.raises(ConfigurationError) as caught:
        Budget(limit, period)

    assert str(caught.value).startswith(said)


# Budgets and their periods


def test_money_alone_is_a_budget_for_ever() -> None:
    """The short way to say it."""
    hourly = Budget(Money("1", "CNY"), "hour")

    assert () == Route().budgets
    assert () == Route(budget=[]).budgets
    assert (Budget(FIVE_DOLLARS),) == Route(budget=FIVE_DOLLARS).budgets
    assert (hourly,) == Route(budget=hourly).budgets
    assert (Budget(FIVE_DOLLARS), hourly) == Route(budget=[FIVE_DOLLARS, hourly]).budgets


TOKYO, LIMA = timezone(timedelta(hours=9)), timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("now", "hour", "day", "month"),
    [
        (datetime(2026, 11, 21, 13, 59, 59, tzinfo=UTC), "2026-11-21T13", "2026-11-21", "2026-11"),
        (datetime(2026, 11, 21, 14, 0, tzinfo=UTC), "2026-11-21T14", "2026-11-21", "2026-11"),
        (datetime(2026, 12, 1, 8, 30, tzinfo=TOKYO), "2026-11-30T23", "2026-11-30", "2026-11"),
        (datetime(2026, 12, 1, 9, 0, tzinfo=TOKYO), "2026-12-01T00", "2026-12-01", "2026-12"),
        (datetime(2026, 12, 31, 19, 0, tzinfo=LIMA), "2027-01-01T00", "2027-01-01", "2027-01"),
        (datetime(2028, 2, 29, 23, 59, tzinfo=UTC), "2028-02-29T23", "2028-02-29", "2028-02"),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(
    now: datetime, hour: str, day: str, month: str
) -> None:
    """Wherever a process runs, it shares its budgets with those of other time zones."""
    assert hour == Budget(FIVE_DOLLARS, "hour").bucket(now)
    assert day == Budget(FIVE_DOLLARS, "day").bucket(now)
    assert month == Budget(FIVE_DOLLARS, "month").bucket(now)
    assert "" == Budget(FIVE_DOLLARS).bucket(now)


MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.timezones())


@given(MOMENTS, MOMENTS)
def test_periods_sort_by_time(one: datetime, other: datetime) -> None:
    """The ledger compares them as text: a later period must never look like an earlier one."""
    first, second = sorted((one.astimezone(UTC), other.astimezone(UTC)))

    for period in ("hour", "day", "month"):
        budget = Budget(FIVE_DOLLARS, cast("Any", period))
        assert budget.bucket(first) <= budget.bucket(second)
        assert budget.bucket(one) == budget.bucket(one.astimezone(UTC))


def test_a_name_is_what_the_ledger_knows_a_route_by() -> None:
    """Renaming nothing, a raised limit or another order keeps what was spent."""
    named = Route(budget=FIVE_DOLLARS, name="frugal")

    assert ("frugal", "frugal") == (named.title, named.scope)
    assert "frugal" == evolve(named, budget=Money("9", "USD"), order="cheapest").scope


def test_equal_routes_without_a_name_share_their_budgets() -> None:
    """A route may be made anew for each call, also with 5.00 instead of 5."""
    route = Route(["kie", "crun"], budget=FIVE_DOLLARS)

    assert "kie, crun (given)" == route.title
    assert "any (cheapest)" == Route(order="cheapest").title
    assert route.scope == Route(("kie", "crun"), budget=FIVE_DOLLARS).scope
    assert Route(("kie", "crun"), budget=Money("5", "USD")) == route
    assert Route(("kie", "crun"), budget=Money("5", "USD")).scope == route.scope


def test_unlike_routes_do_not_share_their_budgets() -> None:
    """What one spends must not stop another."""
    route = Route(["kie", "crun"], budget=FIVE_DOLLARS)
    others = [
        evolve(route, providers=["crun", "kie"]),
        evolve(route, providers="any"),
        evolve(route, order="cheapest"),
        evolve(route, on_uncertain="pay_again"),
        evolve(route, budget=Money("6", "USD")),
        evolve(route, budget=Budget(FIVE_DOLLARS, "day")),
    ]

    assert len(others) + 1 == len({route.scope, *(other.scope for other in others)})


# Accounts


def test_any_is_every_account_in_the_order_configured() -> None:
    """Nothing to keep in step when an account is added."""
    known = {a.account: a for a in THREE}

    assert THREE == Route().accounts(known)
    assert [NORTH, EAST] == Route(["north", "east"]).accounts(known)


def test_an_unknown_account_is_named_with_those_there_are() -> None:
    """A slip of the pen must not become one provider fewer."""
    with pytest.raises(UnknownProvider) as caught:
        Route(["north", "souht"]).accounts({a.account: a for a in THREE})

    assert (
        "route north, souht (given): no account is called souht; there are: east, west, north"
        == str(caught.value)
    )


def test_a_route_over_nobody_is_a_wrong_configuration() -> None:
    """`any` of no account, and a name where there are none."""
    with pytest.raises(ConfigurationError, match="no provider is configured"):
        Route().accounts({})
    with pytest.raises(UnknownProvider, match="there are: none is configured"):
        Route(["east"]).accounts({})


# Orders


def test_accounts_are_asked_as_given() -> None:
    """With the place as the reason, and without asking for prices that nobody needs."""
    assert [
        ("west", "1 of 3, as given"),
        ("east", "2 of 3, as given"),
        ("north", "3 of 3, as given"),
    ] == ranked(Route(), [WEST, EAST, NORTH])


def test_the_cheapest_is_asked_first() -> None:
    """Equal prices stay in the order given."""
    quote = costs(east=Money("0.10", "USD"), west=Money("0.03", "USD"), north=Money("0.10", "USD"))

    assert [
        ("west", "costs 0.03 USD"),
        ("east", "costs 0.10 USD"),
        ("north", "costs 0.10 USD"),
    ] == ranked(Route(order="cheapest"), quote=quote)


def test_what_cannot_be_compared_comes_after_and_the_unknown_last() -> None:
    """A missing rate or price must not look like a bargain, nor like a refusal."""
    quote = costs(east=None, west=Money("0.01", "CNY"), north=Money("9.99", "USD"))

    assert [
        ("north", "costs 9.99 USD"),
        ("west", "0.01 CNY: no rate for it"),
        ("east", "its price is unknown"),
    ] == ranked(Route(order="cheapest"), quote=quote)


def test_a_price_of_nothing_is_the_cheapest() -> None:
    """0 is known; it is not the unknown."""
    quote = costs(east=Money("0.01", "USD"), west=None, north=Money(0, "USD"))

    assert ["north", "east", "west"] == [
        account for account, _ in ranked(Route(order="cheapest"), quote=quote)
    ]


def test_prices_are_asked_for_under_a_budget_in_any_order() -> None:
    """The spend guard needs them; without a budget they would be work for nothing."""
    quote = costs(east=Money("0.10", "USD"), west=None, north=Money("0.03", "USD"))
    route = Route(budget=FIVE_DOLLARS)

    found = rank(route, THREE, KITE, quote=quote)

    assert ["east", "west", "north"] == [c.account for c in found]
    assert [quote(a) for a in THREE] == [c.quote for c in found]
    assert [None] * 3 == [c.quote for c in rank(Route(), THREE, KITE, quote=unasked)]


def test_the_fastest_is_asked_first_after_those_not_measured() -> None:
    """Who was never asked would else never be."""
    medians = {"east": 21.25, "north": 8.0}

    assert [
        ("west", "not measured lately"),
        ("north", "median 8.0 s"),
        ("east", "median 21.2 s"),
    ] == ranked(Route(order="fastest"), medians=medians)
    assert ["east", "west", "north"] == [a for a, _ in ranked(Route(order="fastest"))]


def _places(weights: Mapping[str, int], rounds: int) -> Counter[tuple[str, ...]]:
    chance = random.Random(20261121)
    route = Route(order="spread", weights=weights)
    return Counter(
        tuple(a for a, _ in ranked(route, draws=[chance.random() for _ in THREE]))
        for _ in range(rounds)
    )


def test_spread_asks_each_first_in_proportion_to_its_weight() -> None:
    """And second in proportion among the rest: 4000 draws, each share within 0.03."""
    rounds = 4000
    orders = _places({"east": 6, "west": 3}, rounds)
    share = {"east": 0.6, "west": 0.3, "north": 0.1}

    assert rounds == orders.total()
    for first in share:
        for second in share.keys() - {first}:
            third = next(iter(share.keys() - {first, second}))
            expected = share[first] * share[second] / (share[second] + share[third])
            assert abs(orders[first, second, third] / rounds - expected) < 0.03
        drawn = sum(n for order, n in orders.items() if order[0] == first)
        assert abs(drawn / rounds - share[first]) < 0.03


def test_spread_without_weights_is_even() -> None:
    """Each of the six orders one time in six."""
    orders = _places({}, 3000)

    assert 6 == len(orders)
    assert all(abs(n / 3000 - 1 / 6) < 0.03 for n in orders.values())


def test_spread_says_by_which_weight() -> None:
    """So that a trace can be read without the configuration."""
    route = Route(order="spread", weights={"west": 3})

    assert [
        ("west", "drawn by weight 3"),
        ("east", "drawn by weight 1"),
        ("north", "drawn by weight 1"),
    ] == ranked(route, draws=[0.5, 0.5, 0.0])


@pytest.mark.parametrize("draws", [(), (0.0, 0.0, 0.0), (0.5,), (0.1, 0.9, 0.4, 0.6)])
def test_spread_loses_nobody_whatever_is_drawn(draws: tuple[float, ...]) -> None:
    """Nothing is dropped in silence, also where a number for somebody is missing."""
    found = rank(Route(order="spread"), THREE, KITE, quote=unasked, draws=draws)

    assert {"east", "west", "north"} == {c.account for c in found}


# Who cannot be asked


def test_who_refuses_comes_last_with_every_reason() -> None:
    """The caller reads in one place all that stands in the way."""
    crowded = evolve(KITE, prompt="k" * 101, negative_prompt="sand", watermark=True)
    gccai = Registry().build("gccai", api_key="sk-test-1")

    found = rank(Route(), [EAST, gccai], crowded, quote=unasked)

    assert ["gccai", "east"] == [c.account for c in found]
    assert (None, "1 of 1, as given") == (found[0].skipped, found[0].reason)
    assert (
        "negative_prompt: halide-wan has no such parameter here; "
        "watermark: halide-wan has no such parameter here; "
        "prompt: 101 characters; at most 100 here" == found[1].reason
    )
    skipped = found[1].skipped
    assert isinstance(skipped, UnsupportedFeature)
    assert ["watermark", "prompt"] == [p.field for p in skipped.also]
    assert found[1].quote is None


def test_those_who_cannot_stay_in_the_order_given() -> None:
    """Whatever orders those who can."""
    quote = costs(east=Money("0.10", "USD"), west=Money("0.03", "USD"))
    dumb = evolve(NORTH, api_key=None)
    other = evolve(NORTH, account="south", api_key="")

    found = rank(Route(order="cheapest"), [other, EAST, dumb, WEST], KITE, quote=quote)

    assert ["west", "east", "south", "north"] == [c.account for c in found]


@pytest.mark.parametrize("key", [None, ""])
def test_who_has_no_key_is_not_asked(key: str | None) -> None:
    """Asking would only bring a refusal; the others can still do it."""
    found = rank(Route(), [evolve(EAST, api_key=key), WEST], KITE, quote=unasked)

    assert [("west", "1 of 1, as given"), ("east", "east: no key is configured")] == [
        (c.account, c.reason) for c in found
    ]
    assert isinstance(found[1].skipped, MissingCredentials)


def test_who_answers_at_once_is_not_asked_for_a_job() -> None:
    """There is none to give; asked for pictures it is as good as any other."""
    at_once = evolve(EAST, options=_Options(at_once=True))

    found = rank(Route(), [at_once, WEST], KITE, quote=unasked, with_job=True)

    assert ["west", "east"] == [c.account for c in found]
    assert "submit: this mode answers with the pictures at once" == found[1].reason
    assert ["east", "west"] == [a for a, _ in ranked(Route(), [at_once, WEST])]


def test_dropping_a_field_makes_who_refuses_it_eligible() -> None:
    """At its place, and with the note that its plan carries."""
    crowded = evolve(KITE, negative_prompt="sand", watermark=True)

    assert [] == ranked(Route(), request=crowded)
    assert [] == ranked(Route(), request=crowded, may_drop=("watermark",))
    assert ["east", "west", "north"] == [
        a for a, _ in ranked(Route(), request=crowded, may_drop=("watermark", "negative_prompt"))
    ]


def test_limits_that_are_not_checked_skip_nobody() -> None:
    """Limits age; the caller may know better."""
    long = evolve(KITE, prompt="k" * 101)

    assert [] == ranked(Route(), request=long)
    assert 3 == len(ranked(Route(), request=long, check_limits=False))


def test_a_request_that_nobody_could_be_sent_is_wrong_for_all() -> None:
    """It is the caller's slip, not each provider's refusal."""
    with pytest.raises(InvalidRequest, match="extra"):
        ranked(Route(), request=evolve(KITE, extra={"halide": {"prompt": "another"}}))


# Purity


def _seen(found: Sequence[Candidate]) -> list[tuple[Any, ...]]:
    return [(c.account, c.quote, c.reason, str(c.skipped)) for c in found]


@pytest.mark.parametrize("order", ["given", "cheapest", "fastest", "spread"])
def test_ranking_decides_the_same_each_time_and_changes_nothing(order: Order) -> None:
    """A decision can be shown before the call and is then the one that is carried out."""
    route = Route(order=order, budget=[FIVE_DOLLARS], may_drop=["thinking"])
    request = REQUESTS["six-references"]
    medians = {"kie": 12.0, "reapi": 4.0, "runware": 9.5}
    draws = [0.3, 0.9, 0.1, 0.4, 0.7, 0.2, 0.5]
    inputs = (route, SEVEN, request, medians, draws)
    before = deepcopy(inputs)

    def decide() -> list[tuple[Any, ...]]:
        return _seen(
            rank(
                route,
                SEVEN,
                request,
                quote=lambda a: quote_account(a, request, prices=PriceBook.builtin(), rates=RATES),
                medians=medians,
                draws=draws,
                may_drop=route.may_drop,
            )
        )

    first = decide()

    assert first == decide()
    assert before == inputs
    assert sorted(a.account for a in SEVEN) == sorted(seen[0] for seen in first)


# The seven


@pytest.mark.parametrize("name", REQUESTS)
def test_a_route_asks_exactly_those_who_can_be_sent_the_request(name: str) -> None:
    """What explain shows is what a route goes by, with the same reasons."""
    request = REQUESTS[name]
    explained = {a.account: explain(a, request, prices=PriceBook.builtin()) for a in SEVEN}

    found = rank(Route(), SEVEN, request, quote=unasked)

    assert [a for a, e in explained.items() if e.ok] == [
        c.account for c in found if c.skipped is None
    ]
    assert {a: e.quote.refused for a, e in explained.items() if not e.ok} == {
        c.account: c.reason for c in found if c.skipped is not None
    }


@pytest.mark.parametrize("adapter", SEVEN, ids=lambda a: a.account)
@given(data=st.data())
def test_whatever_is_asked_a_route_and_explain_agree(adapter: Adapter, data: st.DataObject) -> None:
    """Also about requests that only some account can say, or none."""
    request = data.draw(requests(adapter))

    found = rank(Route(), SEVEN, request, quote=unasked)

    assert {a.account: explain(a, request, prices=PriceBook.builtin()).ok for a in SEVEN} == {
        c.account: c.skipped is None for c in found
    }


@pytest.mark.parametrize("name", REQUESTS)
def test_the_notes_of_a_dropped_field_are_those_of_its_plan(name: str) -> None:
    """A route that may drop asks more accounts, never fewer."""
    request = REQUESTS[name]
    fields = ("seed", "thinking", "negative_prompt", "watermark", "color_palette", "regions")

    strict = {a for a, _ in ranked(Route(), SEVEN, request)}
    lenient = {a for a, _ in ranked(Route(), SEVEN, request, may_drop=fields)}

    assert strict <= lenient
    for adapter in SEVEN:
        if adapter.account in lenient - strict:
            assert "dropped" in {n.kind for n in fit(adapter, request, may_drop=fields).notes}


def test_a_picture_that_one_provider_holds_is_asked_of_that_one_only() -> None:
    """A name means nothing elsewhere."""
    held = ImageRequest(
        "a red kite", images=[InputImage(ref={"runware": "held"}, width=640, height=480)]
    )

    assert ["runware"] == [a for a, _ in ranked(Route(), SEVEN, held)]
