"""The spend guard: held before, settled after, and never more than the limit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from threading import Barrier
from typing import Any, ClassVar

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from example_provider import JOB, NOON, RECEIPT, Halide
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.registry import Registry
from wanbridge.errors import BudgetExceeded, ConfigurationError
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.protocol import Ledger
from wanbridge.ledger.sqlite import SqliteLedger
from wanbridge.model.handles import Handles
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image, ImageResult
from wanbridge.money.account_quotes import convert_charge, quote_account
from wanbridge.money.budgets import Budget
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.price_book import PriceBook
from wanbridge.money.quotes import Quote
from wanbridge.money.spend_guard import Guard, Held
from wanbridge.routing.route import Route

KITE = ImageRequest("a red kite", seed=7)
HALIDE = Halide(api_key="sk-test-1")
KIE = Registry().build("kie", api_key="sk-test-1")
RATES = Rates.of({"base": "USD", "date": "2026-11-20", "CNY": "0.1406"})
DAY = Budget(Money("1.00", "USD"), "day")


def usd(amount: str) -> Money:
    return Money(amount, "USD")


def exchange(adapter: Adapter, money: Money, currency: str) -> Money | None:
    """As a client does it."""
    return convert_charge(
        adapter, money, prices=PriceBook.builtin(), rates=RATES, currency=currency
    )[0]


def quote_of(money: Money | None) -> Quote:
    if money is None:
        return Quote(provider="halide", model=KITE.model)
    return Quote(provider="halide", model=KITE.model, amount=money.amount, currency=money.currency)


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made: Ledger = (
        MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.sqlite")
    )
    with closing(made):
        yield made


@pytest.fixture
def guard(ledger: Ledger) -> Guard:
    return Guard(ledger, exchange)


def route(*budgets: Money | Budget, **more: Any) -> Route:
    return Route(budget=budgets, name="frugal", **more)


def hold(
    guard: Guard,
    route: Route | None,
    money: Money | None,
    *,
    adapter: Adapter = HALIDE,
    key: str = "k-1",
    now: datetime = NOON,
) -> Held:
    return guard.hold(route, quote_of(money), adapter, key=key, now=now)


def left(guard: Guard, route: Route, *, now: datetime = NOON) -> tuple[Decimal, ...]:
    """What each budget of *route* has left at *now*."""
    return tuple(
        budget.limit.amount
        - guard.ledger.spent(
            f"{route.scope}/{budget.limit.currency}/{budget.period or 'ever'}", budget.bucket(now)
        )
        for budget in route.budgets
    )


def result(cost: Money | None) -> ImageResult:
    return ImageResult(
        provider="halide",
        model=KITE.model,
        job_id="t-1",
        images=(Image(url="https://cdn.halide.example/1.png"),),
        requested=1,
        cost=cost,
    )


# Holding


def test_a_purchase_is_held_before_it_is_made(guard: Guard) -> None:
    """What another thread may spend is less from that moment on."""
    frugal = route(DAY)

    held = hold(guard, frugal, usd("0.30"))

    assert held
    assert (Decimal("0.70"),) == left(guard, frugal)
    [open_hold] = guard.ledger.open()
    assert ("k-1", "halide", NOON) == (open_hold.key, open_hold.account, open_hold.at)


def test_what_a_budget_has_not_left_is_not_bought(guard: Guard) -> None:
    """The error has what was needed and what is left, in the budget's currency."""
    frugal = route(DAY)
    hold(guard, frugal, usd("0.75"))

    with pytest.raises(BudgetExceeded) as caught:
        hold(guard, frugal, usd("0.26"))

    assert (usd("0.26"), usd("0.25")) == (caught.value.needed, caught.value.left)
    assert "budget: this call may cost 0.26 USD, 0.25 USD is left" == str(caught.value)
    assert (Decimal("0.25"),) == left(guard, frugal)
    assert hold(guard, frugal, usd("0.25"))


def test_without_a_budget_nothing_is_held(guard: Guard) -> None:
    """A ledger in memory would only fill with what nobody asks for."""
    for free in (hold(guard, Route(), usd("0.30")), hold(guard, None, None)):
        assert not free
        free.note(RECEIPT)
        free.paid(usd("0.30"))
        free.free()
        free.interrupted(Handles(receipt=RECEIPT))

    assert () == guard.ledger.open()


def test_a_ledger_of_the_callers_own_takes_note_of_every_purchase(ledger: Ledger) -> None:
    """A later process finds what is open, also without a budget and a price."""
    guard = Guard(ledger, exchange, record_all=True)

    held = guard.hold(None, None, HALIDE, key="k-1", now=NOON)
    held.note(RECEIPT)
    held.note(JOB)

    assert held
    [open_hold] = ledger.open()
    assert ((), RECEIPT, JOB) == (open_hold.shares, open_hold.receipt, open_hold.job)
    held.paid(None)
    assert () == ledger.open()


# Settling


@pytest.mark.parametrize(
    ("cost", "spent"),
    [
        (usd("0.30"), "0.30"),
        (usd("0.12"), "0.12"),
        (usd("0"), "0"),
        (usd("0.45"), "0.45"),
        (None, "0.30"),
        (Money("2", "CNY"), "0.2812"),
        (Money("4", "KIE-CREDITS"), "0.30"),
    ],
    ids=["the quote", "less", "nothing", "more", "unknown", "converted", "foreign"],
)
def test_what_was_paid_takes_the_place_of_what_was_held(
    guard: Guard, cost: Money | None, spent: str
) -> None:
    """At the quote where the cost is unknown or cannot be converted; 0 is known."""
    frugal = route(DAY)

    hold(guard, frugal, usd("0.30")).paid(cost)

    assert (1 - Decimal(spent),) == left(guard, frugal)
    assert () == guard.ledger.open()


def test_what_cost_nothing_is_given_back(guard: Guard) -> None:
    """A refusal must not eat the budget."""
    frugal = route(DAY)

    hold(guard, frugal, usd("1.00")).free()

    assert (Decimal(1),) == left(guard, frugal)


def test_a_purchase_is_settled_once(guard: Guard) -> None:
    """A failure while the pictures are handed over must not give the money back."""
    frugal = route(DAY)
    held = hold(guard, frugal, usd("0.30"))

    held.paid(usd("0.20"))
    held.free()
    held.paid(usd("0.30"))

    assert (Decimal("0.80"),) == left(guard, frugal)


@pytest.mark.parametrize(
    ("handles", "spent", "still_open"),
    [
        (Handles(), "0", 0),
        (Handles(receipt=RECEIPT), "0.30", 1),
        (Handles(job=JOB), "0.30", 1),
        (Handles(job=JOB, result=result(usd("0.10"))), "0.10", 0),
        (Handles(result=result(None)), "0.30", 0),
    ],
    ids=["nothing sent", "sent", "accepted", "delivered", "delivered, cost unknown"],
)
def test_an_interruption_keeps_held_what_may_be_bought(
    guard: Guard, handles: Handles, spent: str, still_open: int
) -> None:
    """Ctrl-C, a closed generator: what nobody knows counts as spent until it is looked up."""
    frugal = route(DAY)

    hold(guard, frugal, usd("0.30")).interrupted(handles)

    assert (1 - Decimal(spent),) == left(guard, frugal)
    assert still_open == len(guard.ledger.open())


def test_what_was_left_held_is_settled_by_whoever_waits_for_it(guard: Guard) -> None:
    """The job was carried to its end by another call, perhaps of another process."""
    frugal = route(DAY)
    begun = hold(guard, frugal, usd("0.30"))
    begun.keep(JOB)
    begun.interrupted(Handles(job=JOB))
    hold(guard, frugal, usd("0.20"), key="k-2")
    hold(guard, frugal, usd("0.10"), adapter=evolve(HALIDE, account="east"))

    guard.settle_all(HALIDE, JOB, usd("0.05"), bought=True)

    assert (Decimal("0.65"),) == left(guard, frugal)
    assert [("k-2", "halide"), ("k-1", "east")] == [(h.key, h.account) for h in guard.ledger.open()]


@pytest.mark.parametrize(
    ("cost", "bought", "spent"),
    [(None, True, "0.30"), (usd("0.25"), False, "0"), (Money("1", "CNY"), True, "0.1406")],
)
def test_a_look_up_settles_at_the_quote_or_gives_back(
    guard: Guard, cost: Money | None, bought: bool, spent: str
) -> None:
    """By its receipt as well as by its job."""
    frugal = route(DAY)
    begun = hold(guard, frugal, usd("0.30"))
    begun.note(RECEIPT)
    begun.interrupted(Handles(receipt=RECEIPT))

    guard.settle_all(HALIDE, RECEIPT, cost, bought=bought)
    guard.settle_all(HALIDE, RECEIPT, usd("0.99"), bought=True)

    assert (1 - Decimal(spent),) == left(guard, frugal)
    assert () == guard.ledger.open()


def test_calls_that_share_a_key_are_told_apart(guard: Guard) -> None:
    """An order's number given twice: the end of the second says nothing of the first."""
    frugal = route(DAY)
    first, second = (hold(guard, frugal, usd("0.30")) for _ in range(2))
    first.note(RECEIPT)
    second.note(evolve(RECEIPT, first_sent_at=RECEIPT.first_sent_at + timedelta(seconds=9)))
    second.keep(JOB)

    guard.settle_all(HALIDE, JOB, None, bought=False)

    assert (Decimal("0.70"),) == left(guard, frugal)
    assert [RECEIPT] == [one.receipt for one in guard.ledger.open()]
    guard.settle_all(HALIDE, RECEIPT, None, bought=False)
    assert () == guard.ledger.open()


# Pictures until they are saved


@pytest.fixture
def keeping(ledger: Ledger) -> Guard:
    """Over a ledger of the caller's own."""
    return Guard(ledger, exchange, record_all=True)


def bought(guard: Guard) -> Held:
    """An accepted purchase, held at 0.30."""
    held = hold(guard, route(DAY), usd("0.30"))
    held.note(RECEIPT)
    held.keep(JOB)
    return held


CAME = evolve(result(usd("0.10")), finished_at=NOON + timedelta(seconds=4))
RENEWED = (Image(url="https://cdn.halide.example/1.png?new"),)


@pytest.mark.parametrize(
    "end",
    [
        lambda guard, held: held.delivered(CAME),
        lambda guard, held: held.interrupted(Handles(job=JOB, result=CAME)),
        lambda guard, held: guard.settle_all(
            HALIDE, JOB, CAME.cost, bought=True, images=CAME.images, at=CAME.finished_at
        ),
    ],
    ids=["delivered", "interrupted", "waited for"],
)
def test_what_is_delivered_is_settled_and_listed(keeping: Guard, end: Any) -> None:
    """A process that dies before the picture is on the disk leaves the link."""
    end(keeping, bought(keeping))

    assert (Decimal("0.90"),) == left(keeping, route(DAY))
    [open_hold] = keeping.ledger.open()
    assert ("delivered", CAME.images, CAME.finished_at, JOB) == (
        open_hold.state,
        open_hold.images,
        open_hold.delivered_at,
        open_hold.job,
    )
    keeping.saved(CAME.images[0])
    assert () == keeping.ledger.open()


def test_a_ledger_that_nobody_can_ask_lists_no_pictures(guard: Guard) -> None:
    """A client's own would fill for as long as it lives."""
    bought(guard).delivered(CAME)
    bought(guard).interrupted(Handles(job=JOB, result=CAME))
    bought(guard)
    guard.settle_all(HALIDE, JOB, CAME.cost, bought=True, images=CAME.images, at=NOON)
    guard.saved(CAME.images[0])

    assert () == guard.ledger.open()
    assert (Decimal("0.70"),) == left(guard, route(DAY))


def test_renewed_links_are_listed_instead(keeping: Guard) -> None:
    """Else a picture that is saved from one would stay listed."""
    bought(keeping).delivered(CAME)

    keeping.renewed(JOB, RENEWED, NOON)
    keeping.renewed(evolve(JOB, id="t-2"), CAME.images, NOON)

    assert [RENEWED] == [one.images for one in keeping.ledger.open()]
    keeping.saved(RENEWED[0])
    keeping.renewed(JOB, CAME.images, NOON)
    assert () == keeping.ledger.open()


def test_renewed_links_settle_nothing(keeping: Guard) -> None:
    """They say nothing of the cost; whoever waits for the job does."""
    bought(keeping)

    keeping.renewed(JOB, RENEWED, NOON)

    assert (Decimal("0.70"),) == left(keeping, route(DAY))
    assert ["accepted"] == [one.state for one in keeping.ledger.open()]


def test_a_job_that_is_gone_does_not_take_its_links_away(keeping: Guard) -> None:
    """The provider forgets the job before the pictures."""
    bought(keeping).delivered(CAME)

    keeping.settle_all(HALIDE, JOB, None, bought=False)

    assert [CAME.images] == [one.images for one in keeping.ledger.open()]
    assert (Decimal("0.90"),) == left(keeping, route(DAY))


def test_a_ledger_that_cannot_note_a_saved_picture_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The file is there; that it stays listed is told in the log."""
    guard = evolve(broken("saved"), record_all=True)

    guard.saved(CAME.images[0])
    guard.saved(Image(data=b"png"))

    assert ["wanbridge: the ledger could not note a saved picture; it stays listed"] == [
        r.getMessage() for r in caplog.records
    ]


# Currencies


def test_a_budget_of_another_currency_counts_by_the_rate(guard: Guard) -> None:
    """Never cheaper than it is: a quotient is rounded up."""
    yuan, dollars = route(Money("10", "CNY")), evolve(route(usd("1")), name="dollars")

    hold(guard, yuan, usd("0.30"))
    hold(guard, dollars, Money("2", "CNY"))

    # 0.30 / 0.1406 = 2.13371266002844...
    assert (Decimal("10") - Decimal("2.133712661"),) == left(guard, yuan)
    assert (Decimal("1") - Decimal("0.2812"),) == left(guard, dollars)


def test_the_exceeded_budget_speaks_its_own_currency(guard: Guard) -> None:
    """Also if a route's name looks like a path."""
    odd = Route(budget=Money("2", "CNY"), name="team/a/USD")

    with pytest.raises(BudgetExceeded) as caught:
        hold(guard, odd, usd("0.30"))

    assert (Money("2.133712661", "CNY"), Money("2", "CNY")) == (
        caught.value.needed,
        caught.value.left,
    )


def test_credits_count_by_their_reported_worth(guard: Guard) -> None:
    """Eight of KIE's are 0.04 USD, by its price file; the reply's five are 0.025."""
    both = route(usd("0.10"), Money("1", "CNY"))
    quote = quote_account(KIE, KITE, prices=PriceBook.builtin(), rates=RATES)
    assert Money("8", "KIE-CREDITS") == quote.money

    held = guard.hold(both, quote, KIE, key="k-1", now=NOON)

    # 0.04 / 0.1406 = 0.28449502133... and 0.025 / 0.1406 = 0.17780938833...
    assert (Decimal("0.06"), Decimal("1") - Decimal("0.284495022")) == left(guard, both)
    held.paid(Money("5", "KIE-CREDITS"))
    assert (Decimal("0.075"), Decimal("1") - Decimal("0.177809389")) == left(guard, both)


def test_a_budget_in_credits_needs_no_rate(guard: Guard) -> None:
    """Who buys credits may budget in them."""
    frugal = route(Money("20", "KIE-CREDITS"))
    quote = quote_account(KIE, KITE, prices=PriceBook.builtin())

    guard.hold(frugal, quote, KIE, key="k-1", now=NOON).paid(None)

    assert (Decimal(12),) == left(guard, frugal)


@pytest.mark.parametrize(
    ("money", "said"),
    [
        (None, "its price is unknown"),
        (Money("3", "EUR"), "3 EUR cannot be converted to USD without a rate"),
    ],
)
def test_a_price_that_cannot_be_counted_is_not_bought_under_a_budget(
    guard: Guard, money: Money | None, said: str
) -> None:
    """Unless the route assumes a cost, which the message says."""
    with pytest.raises(ConfigurationError) as caught:
        hold(guard, route(DAY), money)

    assert f"halide: {said}, and the route has a budget; assume_cost sets what to count" == str(
        caught.value
    )
    assert () == guard.ledger.open()


def test_no_quote_at_all_is_an_unknown_price(guard: Guard) -> None:
    """Under a budget somebody has to say what it costs."""
    with pytest.raises(ConfigurationError, match="its price is unknown"):
        guard.hold(route(DAY), None, HALIDE, key="k-1", now=NOON)


@pytest.mark.parametrize("money", [None, Money("3", "EUR")])
def test_an_assumed_cost_counts_where_the_price_does_not(guard: Guard, money: Money | None) -> None:
    """Converted like any other, until the reply says what it was."""
    assuming = route(usd("1"), Money("9", "CNY"), assume_cost=Money("2", "CNY"))

    held = hold(guard, assuming, money)

    assert (Decimal("1") - Decimal("0.2812"), Decimal(7)) == left(guard, assuming)
    held.paid(usd("0.1406"))
    assert (Decimal("1") - Decimal("0.1406"), Decimal(8)) == left(guard, assuming)


def test_an_assumed_cost_does_not_replace_a_known_one(guard: Guard) -> None:
    """Only the unknown is assumed."""
    assuming = route(DAY, assume_cost=usd("0.90"))

    hold(guard, assuming, usd("0.10"))

    assert (Decimal("0.90"),) == left(guard, assuming)


def test_an_assumed_cost_without_a_rate_helps_nobody(guard: Guard) -> None:
    """Euros say nothing of a budget in dollars."""
    with pytest.raises(ConfigurationError):
        hold(guard, route(DAY, assume_cost=Money("1", "EUR")), None)


# Several budgets, and their periods

SEVERAL = route(
    Budget(Money("0.50", "USD"), "hour"),
    Budget(Money("1.00", "USD"), "day"),
    Budget(Money("9", "CNY"), "day"),
    usd("1.60"),
)


def test_all_budgets_are_held_or_none(guard: Guard) -> None:
    """What the hour refuses must not eat from the day, nor the other way round."""
    held = hold(guard, SEVERAL, usd("0.40"))
    before = left(guard, SEVERAL)
    assert (
        Decimal("0.10"),
        Decimal("0.60"),
        Decimal("9") - Decimal("2.844950214"),
        Decimal("1.20"),
    ) == before

    with pytest.raises(BudgetExceeded) as caught:
        hold(guard, SEVERAL, usd("0.11"))

    assert usd("0.10") == caught.value.left
    assert before == left(guard, SEVERAL)
    held.paid(usd("0.1406"))
    assert (
        Decimal("0.3594"),
        Decimal("0.8594"),
        Decimal(8),
        Decimal("1.4594"),
    ) == left(guard, SEVERAL)


def test_a_period_begins_with_its_whole_budget(guard: Guard) -> None:
    """The hour turns, the day does not; then the day does and what is for ever does not."""
    hold(guard, SEVERAL, usd("0.50")).paid(None)
    with pytest.raises(BudgetExceeded):
        hold(guard, SEVERAL, usd("0.01"), now=NOON + timedelta(minutes=59))

    hold(guard, SEVERAL, usd("0.50"), now=NOON + timedelta(hours=1)).paid(None)

    with pytest.raises(BudgetExceeded) as caught:
        hold(guard, SEVERAL, usd("0.20"), now=NOON + timedelta(hours=2))
    assert usd("0.00") == caught.value.left
    hold(guard, SEVERAL, usd("0.50"), now=NOON + timedelta(days=1))
    with pytest.raises(BudgetExceeded) as caught:
        hold(guard, SEVERAL, usd("0.20"), now=NOON + timedelta(days=2))
    assert usd("0.10") == caught.value.left


def test_a_purchase_counts_in_the_period_it_was_made_in(guard: Guard) -> None:
    """However late the pictures come."""
    frugal = route(DAY)
    late, tomorrow = datetime(2026, 11, 20, 23, 59, tzinfo=UTC), NOON + timedelta(days=1)

    held = hold(guard, frugal, usd("0.90"), now=late)
    assert hold(guard, frugal, usd("1.00"), now=tomorrow)
    held.paid(usd("0.40"))

    assert (Decimal("0"),) == left(guard, frugal, now=tomorrow)
    assert Decimal("1.40") == guard.ledger.spent("frugal/USD/day", "2026-11-20")


@pytest.mark.parametrize("period", ["hour", "day", "month", None])
def test_a_clock_that_is_set_back_frees_nothing(guard: Guard, period: Any) -> None:
    """By minutes over the turn of the year, or by a month."""
    frugal = route(Budget(usd("1.00"), period))
    new_year = datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
    hold(guard, frugal, usd("1.00"), now=new_year).paid(None)

    for back in (timedelta(minutes=2), timedelta(days=31)):
        with pytest.raises(BudgetExceeded):
            hold(guard, frugal, usd("0.01"), now=new_year - back)


def test_routes_have_budgets_of_their_own(guard: Guard) -> None:
    """By name; those without one share if they are equal."""
    one, other = Route(budget=DAY, name="one"), Route(budget=DAY, name="other")
    unnamed = [Route(budget=DAY), Route(budget=DAY)]

    for whose in (one, other, unnamed[0]):
        assert hold(guard, whose, usd("1.00"))

    with pytest.raises(BudgetExceeded):
        hold(guard, unnamed[1], usd("0.01"))


def test_a_lowered_limit_counts_what_was_spent_before(guard: Guard) -> None:
    """The limit is the caller's of today; what is gone stays gone."""
    hold(guard, route(DAY), usd("0.80")).paid(None)

    with pytest.raises(BudgetExceeded) as caught:
        hold(guard, route(Budget(usd("0.50"), "day")), usd("0.01"))

    assert usd("0") == caught.value.left
    assert hold(guard, route(Budget(usd("2.00"), "day")), usd("1.20"))


# Ledgers that fail


class Broken(MemoryLedger):
    """Fails where it is told to."""

    failing: ClassVar[frozenset[str]] = frozenset()

    def __getattribute__(self, name: str) -> Any:
        if name in type(self).failing:
            raise OSError(f"{name}: the disk is full")
        return super().__getattribute__(name)


def broken(*methods: str) -> Guard:
    cls = type("Broken", (Broken,), {"failing": frozenset(methods)})
    return Guard(cls(), exchange)


def test_a_ledger_that_cannot_settle_costs_no_pictures(caplog: pytest.LogCaptureFixture) -> None:
    """They are paid for; what stays held too long is told in the log."""
    guard, frugal = broken("settle"), route(DAY)
    held = hold(guard, frugal, usd("0.30"))
    held.keep(JOB)

    held.paid(usd("0.10"))
    held.free()
    guard.settle_all(HALIDE, JOB, usd("0.10"), bought=True)

    assert (Decimal("0.70"),) == left(guard, frugal)
    assert ["wanbridge: the ledger could not settle; the purchase stays held"] * 3 == [
        r.getMessage() for r in caplog.records
    ]
    # Where a client stands, the filter has made text of it.
    assert all(r.exc_info or r.exc_text for r in caplog.records)


def test_a_ledger_that_cannot_be_read_costs_no_pictures(caplog: pytest.LogCaptureFixture) -> None:
    """Neither where an earlier call left something to settle."""
    guard = broken("find")
    hold(guard, route(DAY), usd("0.30"))

    guard.settle_all(HALIDE, JOB, usd("0.10"), bought=True)

    assert ["wanbridge: the ledger could not be read; the purchase stays held"] == [
        r.getMessage() for r in caplog.records
    ]


@pytest.mark.parametrize("method", ["reserve", "note"])
def test_a_ledger_that_cannot_hold_stops_the_purchase(method: str) -> None:
    """Nothing was sent yet; buying without a guard is worse than not buying."""
    guard = broken(method)

    with pytest.raises(OSError, match="the disk is full"):
        hold(guard, route(DAY), usd("0.30")).note(RECEIPT)


# Many at once, and after a restart


def test_a_thousand_purchases_of_32_threads_use_a_budget_to_its_last_cent(guard: Guard) -> None:
    """Half of them fit: no more, and no fewer."""
    frugal = route(Budget(usd("5.00"), "hour"), Budget(Money("100", "CNY"), "day"))
    barrier = Barrier(32)

    def buy(thread: int) -> int:
        barrier.wait()
        bought = 0
        for n in range(thread, 1000, 32):
            try:
                held = hold(guard, frugal, usd("0.01"), key=f"k-{n}")
            except BudgetExceeded:
                continue
            bought += 1
            if n % 3 == 0:
                held.paid(None)
        return bought

    with ThreadPoolExecutor(32) as pool:
        bought = sum(pool.map(buy, range(32)))

    assert 500 == bought
    assert Decimal(0) == left(guard, frugal)[0]


def test_what_is_given_back_can_be_spent_by_other_threads(guard: Guard) -> None:
    """Purchases that cost nothing leave room, and none is lost between threads."""
    frugal = route(usd("1.00"))
    barrier = Barrier(32)

    def buy(thread: int) -> int:
        barrier.wait()
        kept = 0
        for n in range(8):
            try:
                held = hold(guard, frugal, usd("0.02"), key=f"k-{thread}-{n}")
            except BudgetExceeded:
                continue
            if n % 2:
                held.paid(usd("0.01"))
                kept += 1
            else:
                held.free()
        return kept

    with ThreadPoolExecutor(32) as pool:
        kept = sum(pool.map(buy, range(32)))

    assert (1 - kept * Decimal("0.01"),) == left(guard, frugal)
    assert () == guard.ledger.open()


def test_a_restart_knows_what_is_spent_and_what_is_open(tmp_path: Path) -> None:
    """The process died between the submit and its end; the next one goes on from there."""
    path, frugal = tmp_path / "ledger.sqlite", route(DAY)
    with closing(SqliteLedger(path)) as ledger:
        guard = Guard(ledger, exchange)
        hold(guard, frugal, usd("0.25"), key="k-0").paid(usd("0.20"))
        held = hold(guard, frugal, usd("0.70"))
        held.note(RECEIPT)
        held.note(JOB)

    with closing(SqliteLedger(path)) as ledger:
        guard = Guard(ledger, exchange)
        assert (Decimal("0.10"),) == left(guard, frugal)
        with pytest.raises(BudgetExceeded):
            hold(guard, frugal, usd("0.11"), key="k-2")
        [open_hold] = ledger.open()
        assert (RECEIPT, JOB) == (open_hold.receipt, open_hold.job)

        assert open_hold.job is not None
        guard.settle_all(HALIDE, open_hold.job, usd("0.50"), bought=True)

        assert (Decimal("0.30"),) == left(guard, frugal)
        assert () == ledger.open()


def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    """Each with a ledger of its own over the same file."""
    path, frugal = tmp_path / "ledger.sqlite", route(DAY)
    with closing(SqliteLedger(path)) as one, closing(SqliteLedger(path)) as other:
        hold(Guard(one, exchange), frugal, usd("0.60"))

        with pytest.raises(BudgetExceeded):
            hold(Guard(other, exchange), frugal, usd("0.41"))
        assert hold(Guard(other, exchange), frugal, usd("0.40"))


# Whatever happens

JUMPS = st.one_of(
    st.timedeltas(timedelta(days=-40), timedelta(days=40)),
    st.sampled_from([1, -1, 59, -59, 3600, -3600, 86400, -86400]).map(
        lambda seconds: timedelta(seconds=seconds)
    ),
)
CURRENCIES = st.sampled_from(["USD", "CNY"])
PRICES = st.builds(Money, st.integers(0, 60).map(lambda n: Decimal(n) / 100), CURRENCIES)
LIMITS = st.builds(Money, st.integers(0, 300).map(lambda n: Decimal(n) / 100), CURRENCIES)
BUDGETS = st.lists(
    st.builds(Budget, LIMITS, st.sampled_from(["hour", "day", "month", None])),
    min_size=1,
    max_size=4,
    unique_by=lambda budget: (budget.limit.currency, budget.period),
)
# One yuan in dollars; worked out here without `Rates`.
YUAN = Decimal("0.1406")


def counted(money: Money, currency: str) -> Decimal:
    """*money* in a budget's currency."""
    if money.currency == currency:
        return money.amount
    if currency == "USD":
        return money.amount * YUAN
    return (money.amount / YUAN).quantize(Decimal("1e-9"), ROUND_CEILING)


class Spending(RuleBasedStateMachine):
    """Purchases with any outcome, on a clock that jumps over the ends of periods both ways.

    Attributes:
        taken: What each purchase takes now, by its place, budget and period.
    """

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = self.made()
        self.guard, self.now = Guard(self.ledger, exchange), NOON
        self.taken: dict[tuple[int, int, str], Decimal] = {}
        self.holds = 0

    def made(self) -> Ledger:
        return MemoryLedger()

    @initialize(budgets=BUDGETS)
    def begins(self, budgets: list[Budget]) -> None:
        self.budgets = budgets
        self.route = Route(budget=budgets, assume_cost=usd("0.05"))

    def spent_since(self, place: int) -> Decimal:
        now = self.budgets[place].bucket(self.now)
        return sum(
            (a for (_, of, bucket), a in self.taken.items() if of == place and bucket >= now),
            Decimal(0),
        )

    @rule(target=held, price=st.one_of(st.none(), PRICES))
    def buys(self, price: Money | None) -> Any:
        needed = [counted(price or usd("0.05"), b.limit.currency) for b in self.budgets]
        fits = [
            self.spent_since(place) + needed[place] <= budget.limit.amount
            for place, budget in enumerate(self.budgets)
        ]
        if not all(fits):
            with pytest.raises(BudgetExceeded) as caught:
                hold(self.guard, self.route, price, now=self.now)
            place = fits.index(False)
            spare = max(Decimal(0), self.budgets[place].limit.amount - self.spent_since(place))
            assert (needed[place], spare) == (caught.value.needed.amount, caught.value.left.amount)
            return multiple()
        held = hold(self.guard, self.route, price, now=self.now)
        self.holds += 1
        for place, budget in enumerate(self.budgets):
            self.taken[self.holds, place, budget.bucket(self.now)] = needed[place]
        return self.holds, held, price or usd("0.05")

    def replaced(self, number: int, money: Money) -> None:
        for key in [key for key in self.taken if key[0] == number]:
            self.taken[key] = counted(money, self.budgets[key[1]].limit.currency)

    @rule(one=consumes(held), share=st.integers(0, 100))
    def is_paid_at_less(self, one: Any, share: int) -> None:
        number, held, price = one
        cost = Money(price.amount * share / 100, price.currency)
        held.paid(cost)
        self.replaced(number, cost)

    @rule(one=consumes(held))
    def is_paid_at_the_quote(self, one: Any) -> None:
        one[1].paid(None)

    @rule(one=held)
    def ends_in_the_unknown(self, one: Any) -> None:
        one[1].interrupted(Handles(receipt=RECEIPT))

    @rule(one=consumes(held))
    def is_free(self, one: Any) -> None:
        one[1].free()
        self.replaced(one[0], usd("0"))

    @rule(jump=JUMPS)
    def jumps(self, jump: timedelta) -> None:
        self.now += jump

    @invariant()
    def is_within_every_limit(self) -> None:
        periods: dict[tuple[int, str], Decimal] = {}
        for (_, place, bucket), amount in self.taken.items():
            periods[place, bucket] = periods.get((place, bucket), Decimal(0)) + amount
        for (place, _), amount in periods.items():
            assert amount <= self.budgets[place].limit.amount

    @invariant()
    def is_what_the_ledger_says(self) -> None:
        if not hasattr(self, "route"):
            return
        assert [b.limit.amount - self.spent_since(n) for n, b in enumerate(self.budgets)] == list(
            left(self.guard, self.route, now=self.now)
        )

    def teardown(self) -> None:
        self.ledger.close()


class SpendingInAFile(Spending):
    """The same in a file that is opened anew now and then."""

    def made(self) -> Ledger:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteLedger(Path(self.folder.name) / "ledger.sqlite")

    @rule()
    def restarts(self) -> None:
        before = self.ledger
        self.ledger = SqliteLedger(Path(self.folder.name) / "ledger.sqlite")
        # Purchases that are under way keep their guard, as in another process.
        self.guard = Guard(self.ledger, exchange)
        self.olden = [*getattr(self, "olden", []), before]

    def teardown(self) -> None:
        for ledger in getattr(self, "olden", []):
            ledger.close()
        super().teardown()
        self.folder.cleanup()


Spending.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
SpendingInAFile.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_no_sequence_of_purchases_exceeds_a_limit = Spending.TestCase
test_no_sequence_of_purchases_exceeds_a_limit_in_a_file = SpendingInAFile.TestCase
