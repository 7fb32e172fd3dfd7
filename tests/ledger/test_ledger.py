"""Budgets, in memory and in a file: never overshot, never forgotten, exact to the last place."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

import wanbridge
from example_provider import JOB, NOON, RECEIPT
from ordinary_user import enterable
from wanbridge.errors import ConfigurationError
from wanbridge.ledger.deliveries import KEEP_UNDATED
from wanbridge.ledger.holds import Hold, Share, Shortage
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.protocol import Ledger
from wanbridge.ledger.sqlite import SqliteLedger
from wanbridge.model.jobs import Job
from wanbridge.model.result import Image, ImageResult

SPAWN = multiprocessing.get_context("spawn")
CHILD_SECONDS = 60
NOT_OURS = "cannot be written; is it a file, and are it and its folder ours to write?"


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made: Ledger = (
        MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.sqlite")
    )
    with closing(made):
        yield made


def share(
    amount: str, limit: str = "1.00", *, budget: str = "day", bucket: str = "2026-11-21"
) -> Share:
    return Share(budget=budget, bucket=bucket, limit=Decimal(limit), amount=Decimal(amount))


def take(ledger: Ledger, *shares: Share, key: str = "k-1", account: str = "halide") -> Any:
    """The hold's id or the shortage."""
    return ledger.reserve(key=key, account=account, at=NOON, shares=shares)


def spent(ledger: Ledger, budget: str = "day", bucket: str = "2026-11-21") -> Decimal:
    return ledger.spent(budget, bucket)


# Reserving


def test_what_is_reserved_counts_as_spent(ledger: Ledger) -> None:
    """Nobody knows yet whether it was bought, so it is not there for others."""
    assert isinstance(take(ledger, share("0.60")), str)

    assert Decimal("0.60") == spent(ledger)
    assert Shortage(share=share("0.41"), left=Decimal("0.40")) == take(ledger, share("0.41"))


def test_a_budget_can_be_used_to_its_last_cent(ledger: Ledger) -> None:
    """The limit itself may be spent; a cent more may not."""
    assert isinstance(take(ledger, share("1.00")), str)

    assert Shortage(share=share("0.01"), left=Decimal(0)) == take(ledger, share("0.01"))
    assert isinstance(take(ledger, share("0")), str)


def test_either_every_share_is_taken_or_none(ledger: Ledger) -> None:
    """A purchase that the month refuses must not eat from the day."""
    month = share("0.30", "0.25", budget="month", bucket="2026-11")

    assert Shortage(share=month, left=Decimal("0.25")) == take(ledger, share("0.30"), month)

    assert Decimal(0) == spent(ledger)
    assert () == ledger.open()


def test_the_first_shortage_in_the_order_given_is_told(ledger: Ledger) -> None:
    """The message names one budget; it is the one that the caller named first."""
    hour = share("2", budget="hour", bucket="2026-11-21T13")

    told = take(ledger, share("0.10"), hour, share("2", budget="month", bucket="2026-11"))

    assert hour == told.share


def test_a_purchase_without_budgets_is_a_hold_too(ledger: Ledger) -> None:
    """It may have to be reconciled, budget or not."""
    hold = take(ledger)

    assert [(hold, ())] == [(h.id, h.shares) for h in ledger.open()]
    ledger.settle(hold, {})
    assert () == ledger.open()


def test_budgets_do_not_count_each_other(ledger: Ledger) -> None:
    """Two routes with a budget each spend each their own."""
    take(ledger, share("1.00", budget="a"))

    assert isinstance(take(ledger, share("1.00", budget="b")), str)


def test_a_new_period_has_its_whole_budget(ledger: Ledger) -> None:
    """What was spent yesterday is yesterday's."""
    take(ledger, share("1.00", bucket="2026-11-20"))

    assert isinstance(take(ledger, share("1.00", bucket="2026-11-21")), str)
    assert Decimal("1.00") == spent(ledger)


def test_a_clock_set_back_buys_nothing_twice(ledger: Ledger) -> None:
    """Later periods count too; else a wrong clock would give a second budget."""
    take(ledger, share("0.90", bucket="2026-11-22"))

    assert Decimal("0.10") == take(ledger, share("0.20", bucket="2026-11-21")).left
    assert Decimal("0.90") == spent(ledger, bucket="2026-10-01")


def test_periods_count_by_their_order_not_by_when_they_came(ledger: Ledger) -> None:
    """A clock may jump ahead, back, and half ahead again."""
    for day in ("22", "20", "21"):
        take(ledger, share("0.10", bucket=f"2026-11-{day}"))

    sums = [spent(ledger, bucket=f"2026-11-{day}") for day in ("19", "20", "21", "22", "23")]
    assert [Decimal(s) for s in ("0.30", "0.30", "0.20", "0.10", "0")] == sums


def test_a_budget_for_ever_counts_everything(ledger: Ledger) -> None:
    """Its one bucket is the empty text."""
    take(ledger, share("0.90", budget="ever", bucket=""))

    assert Decimal("0.10") == take(ledger, share("0.20", budget="ever", bucket="")).left


@pytest.mark.parametrize("amount", [Decimal("-0.01"), Decimal("NaN"), Decimal("Infinity"), 1, 0.5])
def test_an_amount_is_a_decimal_of_zero_or_more(amount: Any) -> None:
    """A negative share would make budget, an inexact one would lose it."""
    with pytest.raises(ValueError, match="is not a decimal amount of 0 or more"):
        Share(budget="day", bucket="", limit=Decimal(1), amount=amount)


def test_a_budget_stands_once_in_a_purchase(ledger: Ledger) -> None:
    """A settlement names amounts by budget; two shares of one could not be told apart."""
    with pytest.raises(ValueError, match="a budget stands twice among day, day"):
        take(ledger, share("0.10"), share("0.10", bucket="2026-11-22"))


def test_a_reservation_needs_an_aware_time(ledger: Ledger) -> None:
    """A naive one would be read in whatever zone the next process runs."""
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(ValueError, match="has no time zone"):
        ledger.reserve(key="k", account="halide", at=naive, shares=[share("0.10")])
    assert Decimal(0) == spent(ledger)


# Settling


@pytest.mark.parametrize("final", ["0.35", "0.25", "1.50", "0"])
def test_the_final_amount_replaces_the_reserved_one(ledger: Ledger, final: str) -> None:
    """The same, less (given back), more (the reply says so), or nothing at all."""
    hold = take(ledger, share("0.35"))

    ledger.settle(hold, {"day": Decimal(final)})

    assert Decimal(final) == spent(ledger)
    assert () == ledger.open()


def test_a_budget_overdrawn_by_a_reply_has_nothing_left(ledger: Ledger) -> None:
    """The money is gone; later purchases see it, and the message says 0 and not less."""
    ledger.settle(take(ledger, share("0.35")), {"day": Decimal("1.50")})

    assert Shortage(share=share("0"), left=Decimal(0)) == take(ledger, share("0"))


def test_a_budget_that_is_not_settled_is_given_back(ledger: Ledger) -> None:
    """An empty settlement releases: it is surely not bought."""
    hold = take(ledger, share("0.35"), share("0.35", budget="month", bucket="2026-11"))

    ledger.settle(hold, {"month": Decimal("0.30"), "another": Decimal(9)})

    assert Decimal(0) == spent(ledger)
    assert Decimal("0.30") == spent(ledger, "month", "2026-11")
    assert Decimal(0) == spent(ledger, "another", "")


def test_the_first_settlement_counts(ledger: Ledger) -> None:
    """Two processes may both find the job; it was paid once."""
    hold = take(ledger, share("0.35"))

    ledger.settle(hold, {"day": Decimal("0.30")})
    ledger.settle(hold, {})
    ledger.settle("no such hold", {"day": Decimal(1)})
    ledger.note(hold, RECEIPT)
    ledger.note("no such hold", JOB)

    assert Decimal("0.30") == spent(ledger)
    assert () == ledger.open()


def test_a_settlement_counts_in_the_period_of_its_reservation(ledger: Ledger) -> None:
    """Bought before midnight and delivered after it: yesterday's money."""
    hold = take(ledger, share("0.35", bucket="2026-11-20"))

    ledger.settle(hold, {"day": Decimal("0.40")})

    assert Decimal(0) == spent(ledger, bucket="2026-11-21")
    assert Decimal("0.40") == spent(ledger, bucket="2026-11-20")


@pytest.mark.parametrize("final", [Decimal("-1"), Decimal("NaN"), 0.25])
def test_a_settlement_that_is_no_amount_leaves_the_hold(ledger: Ledger, final: Any) -> None:
    """It counts as reserved until somebody says what it was."""
    hold = take(ledger, share("0.20", budget="month"), share("0.35"))

    with pytest.raises(ValueError, match="is not a decimal amount"):
        ledger.settle(hold, {"month": Decimal("0.10"), "day": final})

    assert [hold] == [h.id for h in ledger.open()]
    assert (Decimal("0.20"), Decimal("0.35")) == (spent(ledger, "month"), spent(ledger))


# Holds


def test_an_open_hold_knows_all_that_is_needed_to_go_on(ledger: Ledger) -> None:
    """After a restart it is looked up by its receipt or waited for by its job."""
    shares = (share("0.35"), share("0.350", "20", budget="month", bucket="2026-11"))
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    hold = ledger.reserve(key="k-1", account="halide", at=tokyo, shares=shares)
    assert isinstance(hold, str)
    bare = Hold(id=hold, key="k-1", account="halide", at=NOON, shares=shares)

    assert (bare,) == ledger.open()
    ledger.note(hold, RECEIPT)
    assert (evolve(bare, receipt=RECEIPT),) == ledger.open()
    again = evolve(RECEIPT, last_sent_at=NOON + timedelta(seconds=4))
    ledger.note(hold, again)
    ledger.note(hold, JOB)
    assert (evolve(bare, receipt=again, job=JOB),) == ledger.open()


def test_open_holds_come_in_the_order_they_were_reserved(ledger: Ledger) -> None:
    """Whatever the clock said meanwhile."""
    made = [
        ledger.reserve(
            key=str(hour), account="halide", at=NOON.replace(hour=hour), shares=[share("0.01")]
        )
        for hour in (9, 23, 4, 11)
    ]
    ledger.settle(str(made[1]), {})

    assert [made[0], *made[2:]] == [h.id for h in ledger.open()]


def test_holds_are_found_by_key_and_account(ledger: Ledger) -> None:
    """The same call may stand open at two providers, and twice at one."""
    first = take(ledger, share("0.01"), key="k-1")
    take(ledger, share("0.01"), key="k-2")
    take(ledger, share("0.01"), key="k-1", account="cyano")
    second = take(ledger, share("0.01"), key="k-1")
    ledger.settle(take(ledger, share("0.01"), key="k-1"), {})

    assert [first, second] == [h.id for h in ledger.find(key="k-1", account="halide")]
    assert () == ledger.find(key="k-3", account="halide")


# Pictures that are delivered and not saved yet

DAY = timedelta(days=1)
KITES = tuple(
    Image(url=f"https://cdn.halide.example/{n}.png", seed=n, expires_at=NOON + DAY)
    for n in (1, 2, 3)
)


def deliver(
    ledger: Ledger, *images: Image, job: Job | None = JOB, at: datetime | None = NOON, **how: Any
) -> str:
    """A purchase of 0.35 that came to 0.30, and *images*; the hold's id."""
    hold = take(ledger, share("0.35"), **how)
    assert isinstance(hold, str)
    ledger.note(hold, RECEIPT)
    if job is not None:
        ledger.note(hold, job)
    ledger.settle(hold, {"day": Decimal("0.30")}, images=images, at=at)
    return hold


def result_of(*images: Image, job_id: str | None = "t-1", provider: str = "halide") -> ImageResult:
    return ImageResult(
        provider=provider,
        model="wan2.7-image",
        job_id=job_id,
        images=images,
        requested=len(images),
    )


def later(ledger: Ledger, after: timedelta) -> None:
    """The next purchase, *after* noon."""
    made = ledger.reserve(key="later", account="halide", at=NOON + after, shares=[])
    assert isinstance(made, str)
    ledger.settle(made, {})


def listed(ledger: Ledger) -> list[tuple[Image, ...]]:
    return [hold.images for hold in ledger.open()]


def test_what_is_delivered_stays_listed_until_it_is_saved(ledger: Ledger) -> None:
    """Money is settled at once; the way to the pictures is not forgotten with it."""
    hold = deliver(ledger, *KITES)

    assert Decimal("0.30") == spent(ledger)
    known = Hold(
        id=hold,
        key="k-1",
        account="halide",
        at=NOON,
        shares=(share("0.30"),),
        receipt=RECEIPT,
        job=JOB,
        images=KITES,
        delivered_at=NOON,
    )
    assert (known,) == ledger.open()
    assert (known,) == ledger.find(key="k-1", account="halide")
    assert ("delivered", NOON + DAY) == (known.state, known.expires_at)


def test_each_picture_that_is_saved_leaves_the_list(ledger: Ledger) -> None:
    """In any order; with the last one the purchase is over."""
    deliver(ledger, *KITES)

    left = []
    for image in (KITES[1], KITES[1], KITES[2], KITES[0]):
        ledger.saved(str(image.url))
        left.append(listed(ledger))

    one_and_three = (KITES[0], KITES[2])
    assert [[one_and_three], [one_and_three], [(KITES[0],)], []] == left
    assert Decimal("0.30") == spent(ledger)


def test_a_link_that_is_not_listed_saves_nothing(ledger: Ledger) -> None:
    """Whoever saves somebody else's picture, or one from before."""
    deliver(ledger, KITES[0])

    ledger.saved(str(KITES[1].url))
    ledger.saved(f"{KITES[0].url}?v=2")
    ledger.saved("")

    assert [(KITES[0],)] == listed(ledger)


def test_a_link_is_saved_wherever_it_is_listed(ledger: Ledger) -> None:
    """Two calls with one key, one picture at the provider."""
    deliver(ledger, KITES[0])
    deliver(ledger, KITES[0], KITES[1])

    ledger.saved(str(KITES[0].url))

    assert [(KITES[1],)] == listed(ledger)


def test_listed_holds_keep_the_order_of_their_reservations(ledger: Ledger) -> None:
    """Delivered, open and delivered again are one list."""
    slow = take(ledger, key="k-1")
    open_hold = take(ledger, key="k-2")
    quick = deliver(ledger, KITES[0], key="k-3")
    ledger.settle(slow, {}, images=KITES[1:], at=NOON)

    assert [slow, open_hold, quick] == [hold.id for hold in ledger.open()]


def test_new_links_replace_those_of_pictures_that_are_not_saved(ledger: Ledger) -> None:
    """By place; what is saved does not come back, and nothing is paid again."""
    hold = deliver(ledger, *KITES)
    ledger.saved(str(KITES[1].url))
    renewed = [evolve(image, url=f"{image.url}?new") for image in KITES]

    ledger.settle(hold, {"day": Decimal(9)}, images=renewed[:2], at=NOON + DAY)

    assert Decimal("0.30") == spent(ledger)
    assert [(renewed[0], KITES[2])] == listed(ledger)
    assert [NOON] == [h.delivered_at for h in ledger.open()]
    ledger.saved(str(KITES[0].url))
    assert [(renewed[0], KITES[2])] == listed(ledger)
    ledger.saved(str(renewed[0].url))
    ledger.saved(str(KITES[2].url))
    assert [] == listed(ledger)


def test_more_pictures_than_were_listed_do_not_come_in(ledger: Ledger) -> None:
    """Nobody could say whether they were saved before."""
    hold = deliver(ledger, KITES[0])

    ledger.settle(hold, {}, images=KITES, at=NOON)

    assert [(KITES[0],)] == listed(ledger)


def test_a_delivery_without_pictures_changes_no_list(ledger: Ledger) -> None:
    """A second look that fails does not take away what the first one found."""
    hold = deliver(ledger, KITES[0])

    ledger.settle(hold, {})
    ledger.note(hold, evolve(JOB, id="t-2"))

    assert [((KITES[0],), JOB)] == [(h.images, h.job) for h in ledger.open()]
    assert Decimal("0.30") == spent(ledger)


def test_a_hold_that_has_left_the_list_does_not_come_back(ledger: Ledger) -> None:
    """Saved, or settled without a picture."""
    saved = deliver(ledger, KITES[0])
    ledger.saved(str(KITES[0].url))
    without = deliver(ledger)

    for hold in (saved, without):
        ledger.settle(hold, {"day": Decimal(9)}, images=KITES, at=NOON)

    assert [] == listed(ledger)
    assert Decimal("0.60") == spent(ledger)


WHAT = [
    pytest.param(lambda hold: hold, id="the hold"),
    pytest.param(lambda hold: hold.id, id="its id"),
    pytest.param(lambda hold: JOB, id="its job"),
    pytest.param(lambda hold: result_of(*KITES[:1]), id="the result"),
    pytest.param(lambda hold: result_of(*KITES, job_id=None), id="a result without a job"),
]


@pytest.mark.parametrize("what", WHAT)
def test_a_caller_may_say_that_it_has_the_pictures(
    ledger: Ledger, what: Callable[[Hold], Any]
) -> None:
    """By whatever is at hand; other purchases stay listed."""
    deliver(ledger, *KITES)
    other = deliver(ledger, evolve(KITES[0], url="https://x/"), job=evolve(JOB, id="t-2"))
    elsewhere = deliver(ledger, evolve(KITES[0], url="https://y/"), account="cyano")
    hold = ledger.open()[0]

    ledger.done(what(hold))
    ledger.done(what(hold))

    assert [other, elsewhere] == [h.id for h in ledger.open()]


@pytest.mark.parametrize("what", WHAT)
def test_nobody_frees_money_by_saying_that_it_is_done(
    ledger: Ledger, what: Callable[[Hold], Any]
) -> None:
    """What is not settled counts, and stays listed with its job."""
    hold = take(ledger, share("0.35"))
    ledger.note(hold, JOB)

    ledger.done(what(ledger.open()[0]))

    assert [hold] == [h.id for h in ledger.open()]
    assert Decimal("0.35") == spent(ledger)


@pytest.mark.parametrize("what", ["no such hold", evolve(JOB, id="t-9"), result_of(job_id="t-9")])
def test_what_is_unknown_is_done_already(ledger: Ledger, what: Any) -> None:
    """Said twice, or after it was dropped."""
    deliver(ledger, KITES[0])

    ledger.done(what)

    assert [(KITES[0],)] == listed(ledger)


def test_a_result_without_a_job_stands_for_its_links(ledger: Ledger) -> None:
    """And for no other picture of the purchase."""
    deliver(ledger, *KITES, job=None)

    ledger.done(result_of(*KITES[:2], job_id=None))

    assert [(KITES[2],)] == listed(ledger)


def test_a_result_is_known_by_its_links_where_its_job_was_not_noted(ledger: Ledger) -> None:
    """The ledger could not be written when the job was accepted."""
    deliver(ledger, *KITES, job=None)

    ledger.done(result_of(*KITES))

    assert [] == listed(ledger)


def test_a_picture_whose_bytes_are_here_is_not_listed(ledger: Ledger) -> None:
    """The caller has it with the result; one that could not be brought along is listed."""
    here = [evolve(image, data=b"png") for image in KITES]

    deliver(ledger, *here)
    assert [] == listed(ledger)
    hold = deliver(ledger, here[0], KITES[1], here[2])
    assert [(KITES[1],)] == listed(ledger)
    ledger.settle(hold, {}, images=here, at=NOON)
    assert [] == listed(ledger)


def test_a_picture_without_link_or_bytes_is_not_listed(ledger: Ledger) -> None:
    """There is nothing to save."""
    deliver(ledger, Image())

    assert [] == listed(ledger)


def test_a_data_uri_is_listed_without_its_bytes(ledger: Ledger) -> None:
    """Megabytes belong on the disk, not into the ledger; saving it is recognised all the same."""
    uri = "data:image/png;base64," + "iVBO" * 250_000
    deliver(ledger, evolve(KITES[0], url=uri))

    assert [(evolve(KITES[0], url=None),)] == listed(ledger)
    ledger.saved(uri[:-4])
    assert 1 == len(ledger.open())
    ledger.saved(uri)
    assert [] == listed(ledger)


def test_pictures_that_nobody_saves_are_dropped_after_their_links(ledger: Ledger) -> None:
    """By the first purchase after the last of them has ended; the money stays spent."""
    deliver(ledger, KITES[0], evolve(KITES[1], expires_at=NOON + 2 * DAY))

    later(ledger, 2 * DAY)
    assert [KITES[0].url] == [hold.images[0].url for hold in ledger.open()]
    later(ledger, 2 * DAY + timedelta(microseconds=1))

    assert [] == listed(ledger)
    assert Decimal("0.30") == spent(ledger)


def test_the_last_unsaved_picture_decides_when_to_drop(ledger: Ledger) -> None:
    """A saved one has nothing to wait for."""
    long = evolve(KITES[1], expires_at=NOON + 9 * DAY)
    deliver(ledger, KITES[0], long)
    ledger.saved(str(long.url))

    later(ledger, 2 * DAY)

    assert [] == listed(ledger)


def test_a_picture_without_a_known_end_is_kept_for_a_week(ledger: Ledger) -> None:
    """Counted from its delivery, or from the reservation if nobody said when that was."""
    undated = evolve(KITES[0], expires_at=None)
    deliver(ledger, undated, at=NOON + DAY)
    deliver(ledger, evolve(undated, url="https://x/"), at=None)

    later(ledger, KEEP_UNDATED)
    assert [NOON + DAY, NOON] == [hold.delivered_at for hold in ledger.open()]
    later(ledger, KEEP_UNDATED + DAY)
    assert [(undated,)] == listed(ledger)
    later(ledger, KEEP_UNDATED + 2 * DAY)
    assert [] == listed(ledger)


def test_a_shorter_link_does_not_bring_the_drop_forward(ledger: Ledger) -> None:
    """KIE's renewed links hold for 20 minutes; the first ones still do."""
    hold = deliver(ledger, KITES[0])
    short = evolve(KITES[0], url="https://x/", expires_at=NOON + timedelta(minutes=20))
    ledger.settle(hold, {}, images=[short], at=NOON)

    later(ledger, DAY)
    assert [(short,)] == listed(ledger)
    ledger.settle(hold, {}, images=[evolve(short, expires_at=NOON + 2 * DAY)], at=NOON)
    later(ledger, 2 * DAY)
    assert 1 == len(ledger.open())
    later(ledger, 3 * DAY)
    assert [] == listed(ledger)


def test_what_is_not_delivered_is_never_dropped(ledger: Ledger) -> None:
    """However old: it counts under budgets until somebody says what became of it."""
    hold = take(ledger, share("0.35"))
    ledger.note(hold, evolve(JOB, collect_by=NOON + DAY))

    later(ledger, 1000 * DAY)

    assert [hold] == [h.id for h in ledger.open()]
    assert Decimal("0.35") == spent(ledger)


def test_a_purchase_that_is_refused_drops_too(ledger: Ledger) -> None:
    """An empty budget must not keep what is of no use."""
    deliver(ledger, KITES[0])

    refused = ledger.reserve(key="k", account="halide", at=NOON + 2 * DAY, shares=[share("2")])

    assert isinstance(refused, Shortage)
    assert [] == listed(ledger)


def test_an_end_without_a_zone_is_unknown(ledger: Ledger) -> None:
    """It could not be compared with the time of the next purchase, which must not fail."""
    deliver(ledger, evolve(KITES[0], expires_at=NOON.replace(tzinfo=None)))

    later(ledger, KEEP_UNDATED)

    assert [(evolve(KITES[0], expires_at=None),)] == listed(ledger)


def test_a_delivery_needs_an_aware_time(ledger: Ledger) -> None:
    """As a reservation; the hold stays as it is."""
    hold = take(ledger, share("0.35"))

    with pytest.raises(ValueError, match="has no time zone"):
        ledger.settle(hold, {}, images=KITES, at=NOON.replace(tzinfo=None))

    assert ["reserved"] == [h.state for h in ledger.open()]
    assert Decimal("0.35") == spent(ledger)


HOLD = Hold(id="h", key="k", account="halide", at=NOON, shares=())


@pytest.mark.parametrize(
    ("hold", "state", "expires_at"),
    [
        (HOLD, "reserved", None),
        (evolve(HOLD, receipt=RECEIPT), "submitting", None),
        (evolve(HOLD, unreadable="a receipt of version 2"), "submitting", None),
        (evolve(HOLD, receipt=RECEIPT, job=JOB), "accepted", None),
        (evolve(HOLD, job=evolve(JOB, collect_by=NOON)), "accepted", NOON),
        (evolve(HOLD, delivered_at=NOON, images=(Image(url="u"),)), "delivered", None),
        (
            evolve(HOLD, delivered_at=NOON, images=(Image(url="u"), *KITES), job=JOB),
            "delivered",
            NOON + DAY,
        ),
    ],
)
def test_a_hold_says_how_far_it_has_come(
    hold: Hold, state: str, expires_at: datetime | None
) -> None:
    """And until when there is something to go on with."""
    assert (state, expires_at) == (hold.state, hold.expires_at)


# Exactness


@pytest.mark.parametrize("unit", ["0.123456789", "0.123456789012345", "123456789.123456789012345"])
def test_sums_are_exact_in_a_small_decimal_context(ledger: Ledger, unit: str) -> None:
    """Whatever precision the caller has set; what is lost once is lost a million times."""
    with localcontext(prec=40):
        limit = str(Decimal(unit) * 7)
    with localcontext(prec=5):
        holds = [take(ledger, share(unit, limit)) for _ in range(7)]
        refused = take(ledger, share("0.000000000000001", limit))
        assert 0 == refused.left
        ledger.settle(holds[0], {"day": Decimal("0.000000000000001")})
        total = spent(ledger)
        left = take(ledger, share("1000000000", limit)).left

    assert Fraction(unit) * 6 + Fraction(1, 10**15) == Fraction(total)
    assert Fraction(unit) - Fraction(1, 10**15) == Fraction(left)


# Threads, processes, kills


def test_a_thousand_reservations_at_once_never_overshoot(ledger: Ledger) -> None:
    """And they use the budget to its last cent: nobody is refused for a race."""
    interval, started = sys.getswitchinterval(), Barrier(32)
    with ThreadPoolExecutor(32) as pool:
        # All of them before they change places so often: coverage's tracer is installed as a thread
        # starts, which CPython 3.11 refuses while another one is being installed.
        list(pool.map(lambda _: started.wait(60), range(32)))
        sys.setswitchinterval(1e-6)  # threads change places within a reservation, not beside it
        try:
            made = list(pool.map(lambda _: take(ledger, share("0.01", "5.00")), range(1000)))
        finally:
            sys.setswitchinterval(interval)

    assert 500 == sum(isinstance(m, str) for m in made)
    assert {Decimal(0)} == {m.left for m in made if isinstance(m, Shortage)}
    assert Decimal("5.00") == spent(ledger)
    assert 500 == len({h.id for h in ledger.open()})


def test_threads_that_give_back_let_others_buy(ledger: Ledger) -> None:
    """Reserved 0.02 and settled at 0.01, two hundred times, in a budget of 1.00."""

    def buy(_: int) -> bool:
        hold = take(ledger, share("0.02", "1.00"))
        if isinstance(hold, str):
            ledger.settle(hold, {"day": Decimal("0.01")})
        return isinstance(hold, str)

    with ThreadPoolExecutor(8) as pool:
        bought = sum(pool.map(buy, range(200)))

    assert Decimal("0.01") * bought == spent(ledger)
    assert Decimal("0.80") <= spent(ledger) <= Decimal("1.00")


def _buy(path: Path, times: int, pipe: Connection) -> None:
    """In a process of its own: as many purchases of 0.01 as there is budget for."""
    pipe.send("ready")
    pipe.recv()
    with closing(SqliteLedger(path)) as ledger:
        made = [take(ledger, share("0.01", "2.00")) for _ in range(times)]
        for hold in made[::2]:
            if isinstance(hold, str):
                ledger.settle(hold, {"day": Decimal("0.01")})
    pipe.send(sum(isinstance(m, str) for m in made))


def test_processes_that_share_a_file_never_overshoot(tmp_path: Path) -> None:
    """Four at once, which also make the file at once."""
    path = tmp_path / "ledger.sqlite"
    pipes = []
    processes = []
    for _ in range(4):
        ours, theirs = SPAWN.Pipe()
        processes.append(SPAWN.Process(target=_buy, args=(path, 80, theirs), daemon=True))
        processes[-1].start()
        pipes.append(ours)
    for pipe in pipes:
        assert pipe.poll(CHILD_SECONDS)
        assert "ready" == pipe.recv()
    for pipe in pipes:
        pipe.send("go")

    assert all(pipe.poll(CHILD_SECONDS) for pipe in pipes)
    assert 200 == sum(pipe.recv() for pipe in pipes)
    for process in processes:
        process.join(CHILD_SECONDS)
    with closing(SqliteLedger(path)) as ledger:
        assert Decimal("2.00") == spent(ledger)
        assert "ok" == _look(path, "PRAGMA integrity_check")[0][0]


def _submit_and_hang(path: Path, pipe: Connection) -> None:
    ledger = SqliteLedger(path)
    hold = take(ledger, share("0.35"))
    ledger.note(hold, RECEIPT)
    pipe.send(hold)
    pipe.recv()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_that_is_killed_leaves_its_hold(tmp_path: Path) -> None:
    """Nobody knows whether it was bought, so it counts, and is found with its receipt."""
    path = tmp_path / "ledger.sqlite"
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_submit_and_hang, args=(path, theirs), daemon=True)
    process.start()
    assert ours.poll(CHILD_SECONDS)
    hold = ours.recv()
    assert process.pid is not None

    os.kill(process.pid, signal.SIGKILL)
    process.join(CHILD_SECONDS)

    with closing(SqliteLedger(path)) as ledger:
        assert Decimal("0.35") == spent(ledger)
        assert [(hold, RECEIPT)] == [(h.id, h.receipt) for h in ledger.open()]
        ledger.settle(hold, {"day": Decimal("0.30")})
    with closing(SqliteLedger(path)) as ledger:
        assert Decimal("0.30") == spent(ledger)
        assert () == ledger.open()


_FORKING = """
import os, sys, threading
from test_ledger import NOON, Decimal, SqliteLedger, share, take

path = sys.argv[1]
ledger = SqliteLedger(path)
take(ledger, share("0.01", "9"))
children, ready, go = [], os.pipe(), os.pipe()
stop = threading.Event()

def spend():
    while not stop.wait(0.001):
        ledger.settle(take(ledger, share("0.01", "9")), {})

busy = threading.Thread(target=spend)
busy.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        take(ledger, share("0.10", "9"))
        os.write(ready[1], b".")
        os.read(go[0], 1)
        take(ledger, share("0.20", "9"))
        os._exit(0)
    children.append(child)
    os.read(ready[0], 1)
stop.set()
busy.join()
ledger.close()  # what SQLite takes for the last connection removes the log of the others
os.write(go[1], b"." * 5)
codes = [os.waitpid(child, 0)[1] for child in children]
print(codes, SqliteLedger(path).spent("day", ""))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_ledger_goes_on_after_a_fork(tmp_path: Path) -> None:
    """SQLite's locks do not survive one; children of a busy parent lose no purchase."""
    assert "[0, 0, 0, 0, 0] 1.51" == _run(_FORKING, tmp_path / "ledger.sqlite")


_SECRET_FORK = """
import ctypes, os, sys
from test_ledger import SqliteLedger

ledger = SqliteLedger(sys.argv[1])
child = ctypes.PyDLL(None).fork()
if child == 0:
    try:
        ledger.open()
    except Exception as exc:
        print(type(exc).__name__, exc, flush=True)
    ledger.close()
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the C library's fork")
def test_a_fork_that_python_was_not_told_of_is_refused(tmp_path: Path) -> None:
    """To go on with the parent's connection could lose purchases."""
    told = _run(_SECRET_FORK, tmp_path / "ledger.sqlite")

    assert told.startswith("ConfigurationError ledger /")
    assert "then forked without telling Python; open a ledger in each process" in told


def _run(script: str, *arguments: Path) -> str:
    """What *script* prints, run where it can import the tests."""
    run = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path])),
        },
    )
    assert 0 == run.returncode, run.stderr
    return run.stdout.strip()


def _settle_one(ledger: Ledger) -> None:
    ledger.settle(take(ledger, share("0.01", "1000")), {"day": Decimal("0.01")})


def _save_one(ledger: Ledger) -> None:
    hold = take(ledger, share("0.01", "1000"))
    ledger.settle(hold, {}, images=KITES[:1], at=NOON)
    ledger.saved(str(KITES[0].url))


def _drop_one(ledger: Ledger) -> None:
    hold = take(ledger, share("0.01", "1000"))
    ledger.settle(hold, {}, images=[evolve(KITES[0], expires_at=NOON - DAY)], at=NOON)


# The code whose allocations count: other tests leave threads and caches behind.
WANBRIDGE = str(Path(wanbridge.__file__).parent / "*")


@pytest.mark.parametrize("once", [_settle_one, _save_one, _drop_one])
def test_memory_does_not_grow_with_settled_purchases(once: Callable[[Ledger], None]) -> None:
    """A service runs for months; only what is listed is kept, and one sum a bucket."""
    ledger = MemoryLedger()

    def buy(times: int) -> int:
        for _ in range(times):
            once(ledger)
        gc.collect()  # garbage is not kept by the ledger
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, WANBRIDGE)])
        return sum(trace.size for trace in ours.traces)

    tracemalloc.start()
    try:
        before = buy(100)
        grown = buy(2000) - before
    finally:
        tracemalloc.stop()

    assert grown < 20_000


# The file


def _look(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    """Receipts hold prompts."""
    path = tmp_path / "ledger.sqlite"
    before = os.umask(0)
    try:
        with closing(SqliteLedger(path)) as ledger:
            take(ledger, share("0.01"))
            modes = {f.name: f.stat().st_mode & 0o777 for f in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert path.name in modes
    assert {0o600} == set(modes.values())


def test_any_file_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that means something in a URI, and one below the folder one is in."""
    monkeypatch.chdir(tmp_path)
    name = "100% of #1?mode=ro.sqlite"

    with closing(SqliteLedger(name)) as ledger:
        take(ledger, share("0.10"))
        assert {name, f"{name}-wal", f"{name}-shm"} == {f.name for f in tmp_path.iterdir()}


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    """A restart changes nothing."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        hold = take(ledger, share("0.35"))
        ledger.note(hold, JOB)
        ledger.settle(take(ledger, share("0.10")), {"day": Decimal("0.12")})
        deliver(ledger, *KITES)
        ledger.saved(str(KITES[1].url))
        held = ledger.open()

    with closing(SqliteLedger(str(path))) as ledger:
        assert held == ledger.open()
        assert [(), (KITES[0], KITES[2])] == [hold.images for hold in held]
        assert Decimal("0.77") == spent(ledger)


def test_a_purchase_is_on_the_disk_before_its_method_returns(tmp_path: Path) -> None:
    """WAL alone would lose the last purchases with the power."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    told: list[str] = []
    assert ledger._file.connection is not None
    ledger._file.connection.set_trace_callback(told.append)
    with closing(ledger):
        mode = ledger._file.connection.execute("PRAGMA journal_mode").fetchone()
        synchronous = ledger._file.connection.execute("PRAGMA synchronous").fetchone()
        take(ledger, share("0.01"))

    assert (("wal",), (2,)) == (mode, synchronous)
    assert ["BEGIN IMMEDIATE", "COMMIT"] == [t for t in told if t in ("BEGIN IMMEDIATE", "COMMIT")]


def test_settled_purchases_stay_as_an_audit_trail(tmp_path: Path) -> None:
    """Which, when, and how much was reserved and spent; but no prompt."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        hold = take(ledger, share("0.35"))
        ledger.note(hold, RECEIPT)
        ledger.note(hold, JOB)
        ledger.settle(hold, {"day": Decimal("0.30")})
        take(ledger, share("0.20"))

    rows = _look(
        path,
        "SELECT key, account, at, state, task, receipt, job, reserved, spent"
        " FROM holds JOIN shares ON hold = number ORDER BY number",
    )
    at = "2026-11-20T12:00:00+00:00"
    assert [
        ("k-1", "halide", at, "settled", "t-1", None, None, "0.35", "0.30"),
        ("k-1", "halide", at, "open", None, None, None, "0.20", None),
    ] == rows
    assert [("day", "2026-11-21", "0.50")] == _look(path, "SELECT * FROM totals")


def test_prompts_and_links_go_with_the_last_picture(tmp_path: Path) -> None:
    """Saved, done or dropped: what is left is the audit trail, as of any other purchase."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        saved, done = deliver(ledger, *KITES), deliver(ledger, KITES[0], key="k-2")
        deliver(ledger, evolve(KITES[0], url="https://x/"), key="k-3")
        assert 3 == len(_look(path, "SELECT * FROM holds WHERE receipt LIKE '%a red kite%'"))
        for image in KITES:
            ledger.saved(str(image.url))
        ledger.done(done)
        ledger.done(saved)
        later(ledger, 2 * DAY)

    query = "SELECT state, task, delivered, receipt, job FROM holds ORDER BY number"
    over = ("settled", "t-1", None, None, None)
    assert [over, over, over, ("settled", None, None, None, None)] == _look(path, query)
    assert [] == _look(path, "SELECT * FROM pictures")


def test_a_ledger_does_not_keep_megabytes(tmp_path: Path) -> None:
    """Neither of bytes that are here nor of those in a link."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        deliver(ledger, Image(url="data:image/png;base64," + "iVBO" * 500_000))
        deliver(ledger, KITES[0], evolve(KITES[1], data=bytes(2_000_000)))

    assert path.stat().st_size < 200_000


# As the version before the pictures made it.
_VERSION_1 = """
    CREATE TABLE holds (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        account TEXT NOT NULL,
        at TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'settled')),
        task TEXT,
        receipt TEXT,
        job TEXT
    );
    CREATE INDEX open_holds ON holds (key, account) WHERE state = 'open';
    CREATE TABLE shares (
        hold INTEGER NOT NULL REFERENCES holds (number),
        place INTEGER NOT NULL,
        budget TEXT NOT NULL,
        bucket TEXT NOT NULL,
        most TEXT NOT NULL,
        reserved TEXT NOT NULL,
        spent TEXT,
        PRIMARY KEY (hold, place)
    ) WITHOUT ROWID;
    CREATE TABLE totals (
        budget TEXT NOT NULL,
        bucket TEXT NOT NULL,
        amount TEXT NOT NULL,
        PRIMARY KEY (budget, bucket)
    ) WITHOUT ROWID;
    PRAGMA application_id = 1463897666;
    PRAGMA journal_mode = WAL;
    PRAGMA user_version = 1;
"""


def _version_1(path: Path) -> None:
    """One purchase that is settled at 0.25, one accepted and one submitted, at 0.35 each."""
    at = "2026-11-20T12:00:00+00:00"
    holds = [
        (1, "h-1", "k-1", "halide", at, "settled", "t-0", None, None),
        (2, "h-2", "k-2", "halide", at, "open", "t-1", RECEIPT.to_json(), JOB.to_json()),
        (3, "h-3", "k-3", "cyano", at, "open", None, RECEIPT.to_json(), None),
    ]
    shares = [
        (1, 0, "day", "2026-11-21", "1.00", "0.35", "0.25"),
        (2, 0, "day", "2026-11-21", "1.00", "0.35", None),
        (3, 0, "day", "2026-11-21", "1.00", "0.35", None),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_VERSION_1)
        connection.executemany(f"INSERT INTO holds VALUES ({', '.join('?' * 9)})", holds)
        connection.executemany(f"INSERT INTO shares VALUES ({', '.join('?' * 7)})", shares)
        connection.execute("INSERT INTO totals VALUES ('day', '2026-11-21', '0.95')")


def test_a_file_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    """With all that is spent and open; from then on pictures are listed in it."""
    path = tmp_path / "ledger.sqlite"
    _version_1(path)

    with closing(SqliteLedger(path)) as ledger:
        accepted, submitted = ledger.open()
        assert [("h-2", "accepted", JOB), ("h-3", "submitting", None)] == [
            (hold.id, hold.state, hold.job) for hold in (accepted, submitted)
        ]
        assert (submitted,) == ledger.find(key="k-3", account="cyano")
        assert Decimal("0.95") == spent(ledger)
        ledger.settle("h-2", {"day": Decimal("0.30")}, images=KITES, at=NOON)
        ledger.settle("h-3", {})
        assert Decimal("0.55") == spent(ledger)

    with closing(SqliteLedger(path)) as ledger:
        final = evolve(accepted, shares=(share("0.30"),), images=KITES, delivered_at=NOON)
        assert (final,) == ledger.open()
    assert [(2,)] == _look(path, "PRAGMA user_version")
    new = tmp_path / "new.sqlite"
    SqliteLedger(new).close()
    made = "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name"
    assert _look(new, made) == _look(path, made)


def test_processes_that_take_a_file_over_at_once_do_it_once(tmp_path: Path) -> None:
    """All of them open it at the moment of the update, and buy."""
    path = tmp_path / "ledger.sqlite"
    _version_1(path)
    pipes = []
    for _ in range(4):
        ours, theirs = SPAWN.Pipe()
        SPAWN.Process(target=_buy, args=(path, 20, theirs), daemon=True).start()
        pipes.append(ours)
    for pipe in pipes:
        assert pipe.poll(CHILD_SECONDS)
        assert "ready" == pipe.recv()
    for pipe in pipes:
        pipe.send("go")

    assert all(pipe.poll(CHILD_SECONDS) for pipe in pipes)
    assert 80 == sum(pipe.recv() for pipe in pipes)
    with closing(SqliteLedger(path)) as ledger:
        assert Decimal("1.75") == spent(ledger)
        assert ["h-2", "h-3"] == [hold.id for hold in ledger.open()][:2]


def test_a_file_that_cannot_be_taken_over_stays_as_it_was(tmp_path: Path) -> None:
    """In one transaction: the version before can go on with it."""
    path = tmp_path / "ledger.sqlite"
    _version_1(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE pictures (name TEXT)")
    before = _look(path, "SELECT sql FROM sqlite_schema ORDER BY name")

    with pytest.raises(ConfigurationError, match="table pictures already exists"):
        SqliteLedger(path)

    assert before == _look(path, "SELECT sql FROM sqlite_schema ORDER BY name")
    assert [(1,)] == _look(path, "PRAGMA user_version")


def test_a_delivery_that_cannot_be_written_whole_is_not_settled(tmp_path: Path) -> None:
    """Settled without its links it would be lost; so it stays as it was."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON pictures WHEN NEW.place = 2 BEGIN"
                " SELECT RAISE(ABORT, 'database or disk is full'); END"
            )

        with pytest.raises(ConfigurationError, match="disk is full"):
            deliver(ledger, *KITES)

        assert [("accepted", ())] == [(hold.state, hold.images) for hold in ledger.open()]
        assert Decimal("0.35") == spent(ledger)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"expires_at": 5}', '{"expires_at": null, "depth": 3}']
)
def test_a_picture_that_cannot_be_read_hides_no_other(tmp_path: Path, text: str) -> None:
    """It is delivered all the same, and its job leads to it."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        deliver(ledger, *KITES[:2])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE pictures SET image = ? WHERE place = 0", (text,))

        (hold,) = ledger.open()

    assert ("delivered", KITES[1:2], JOB) == (hold.state, hold.images, hold.job)
    assert "not an image as it is kept here" in str(hold.unreadable)


@pytest.mark.parametrize(
    "use",
    [
        lambda held: held.open(),
        lambda held: held.find(key="k", account="a"),
        lambda held: take(held, share("0.01")),
        lambda held: held.saved("https://cdn.halide.example/1.png"),
        lambda held: held.done("no such hold"),
    ],
    ids=["open", "find", "reserve", "saved", "done"],
)
def test_nothing_reads_through_all_that_is_settled(
    tmp_path: Path, use: Callable[[Ledger], object]
) -> None:
    """A year of settled purchases must not slow down the next one."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        told: list[str] = []
        assert ledger._file.connection is not None
        ledger._file.connection.set_trace_callback(told.append)

        use(ledger)

    queries = [query for query in told if query.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))]
    assert queries
    steps = [step[3] for query in queries for step in _look(path, f"EXPLAIN QUERY PLAN {query}")]
    whole = [step for step in steps if step.startswith("SCAN") and "subquery" not in step]
    assert all(step.endswith(("open_holds", "delivered_holds")) for step in whole), steps


def test_what_cannot_be_written_whole_is_not_written(tmp_path: Path) -> None:
    """A disk that fills up within a reservation takes nothing from any budget."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        kept = take(ledger, share("0.10"))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON totals WHEN NEW.amount > '0.2' BEGIN"
                " SELECT RAISE(ABORT, 'database or disk is full'); END"
            )

        with pytest.raises(ConfigurationError) as caught:
            take(ledger, share("0.20", budget="first", bucket=""), share("0.15"))

        assert f"ledger {path}: database or disk is full" == str(caught.value)
        assert [kept] == [h.id for h in ledger.open()]
        assert (Decimal(0), Decimal("0.10")) == (spent(ledger, "first", ""), spent(ledger))
        assert isinstance(take(ledger, share("0.05")), str)


def _text(path: Path) -> None:
    path.write_text("amount,currency\n0.35,USD\n" * 200)


def _of_another(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.execute("PRAGMA user_version = 1")


def _newer(path: Path) -> None:
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_text, "not a ledger; it is no SQLite file"),
        (_of_another, "not a ledger; it is an SQLite file of another program"),
        (_newer, "written by a newer wanbridge, as version 3; this one knows up to 2"),
        (Path.mkdir, NOT_OURS),
    ],
)
def test_what_is_no_ledger_is_told_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    """At the start, before anything is bought; and nothing of it is changed."""
    path = tmp_path / "ledger.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(ConfigurationError) as caught:
        SqliteLedger(path)

    assert f"ledger {path}: {reason}" == str(caught.value)
    assert before == (path.read_bytes() if path.is_file() else None)
    assert [path] == list(tmp_path.iterdir())


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """A mistyped path must not become a new, empty budget somewhere."""
    path = tmp_path / "no such folder" / "ledger.sqlite"

    with pytest.raises(ConfigurationError) as caught:
        SqliteLedger(path)

    assert f"ledger {path}: cannot be made: No such file or directory" == str(caught.value)
    assert not path.parent.exists()


def test_a_ledger_in_memory_is_another_class() -> None:
    """SQLite's own would be a file of that name here."""
    with pytest.raises(ConfigurationError, match="name a file, or use a MemoryLedger"):
        SqliteLedger(":memory:")


@pytest.mark.parametrize("read", [lambda held: held.open(), lambda held: held.spent("day", "")])
def test_a_damaged_amount_is_told(read: Callable[[Ledger], object], tmp_path: Path) -> None:
    """Whoever writes into the file by hand is told that it is of no use any more."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        take(ledger, share("0.10"))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE shares SET reserved = 'much'")
            connection.execute("UPDATE totals SET amount = 'much'")

        with pytest.raises(ConfigurationError, match="damaged; an amount in it is none"):
            read(ledger)


def test_a_row_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """A newer wanbridge may have written into the same file."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        for key in ("k-1", "k-2"):
            ledger.note(take(ledger, share("0.10"), key=key), RECEIPT)
        with closing(sqlite3.connect(path)) as connection, connection:
            newer = RECEIPT.to_json().replace('"version": 1', '"version": 2', 1)
            connection.execute("UPDATE holds SET receipt = ? WHERE key = 'k-1'", (newer,))

        first, second = ledger.open()

    assert (None, "submitting") == (first.receipt, first.state)
    assert "newer than this wanbridge" in str(first.unreadable)
    assert (RECEIPT, None) == (second.receipt, second.unreadable)


def test_a_file_that_is_replaced_is_no_new_budget(tmp_path: Path) -> None:
    """Deleted while it is used, it would begin again from nothing, without a word."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        take(ledger, share("0.90"))
        path.unlink()

        with pytest.raises(ConfigurationError, match="was deleted or replaced"):
            take(ledger, share("0.90"))


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """Another process may have made it a moment ago; so does ``mktemp``."""
    path = tmp_path / "ledger.sqlite"
    path.touch()

    with closing(SqliteLedger(path)) as ledger:
        assert isinstance(take(ledger, share("0.10")), str)


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """Closing it twice is fine, to buy with it is not."""
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    ledger.close()
    ledger.close()

    with pytest.raises(ConfigurationError, match="closed already"):
        take(ledger, share("0.10"))


def test_a_locked_file_is_told(tmp_path: Path) -> None:
    """At the start and later; a purchase that cannot be written down is not made."""
    path = tmp_path / "ledger.sqlite"
    with (
        closing(SqliteLedger(path, wait=0)) as ledger,
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        for use in (lambda: take(ledger, share("0.10")), lambda: SqliteLedger(path, wait=0)):
            with pytest.raises(ConfigurationError) as caught:
                use()
            told = f"ledger {path}: locked by another process for more than 0 seconds"
            assert told == str(caught.value)
        assert () == ledger.open()
        connection.execute("ROLLBACK")

        assert isinstance(take(ledger, share("0.10")), str)


_READ_ONLY = """
import sys
from pathlib import Path
from ordinary_user import unprivileged
from wanbridge.ledger.sqlite import SqliteLedger

folder = Path(sys.argv[1])
# What is imported late may be out of the other user's reach.
SqliteLedger(folder / "warm.sqlite").close()
for mode, name in ((0o777, "frozen.sqlite"), (0o555, "new.sqlite"), (0o555, "open.sqlite")):
    folder.chmod(mode)
    with unprivileged():
        try:
            SqliteLedger(folder / name)
        except Exception as exc:
            print(type(exc).__name__, str(exc).partition(".sqlite: ")[2])
"""


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_what_may_not_be_written_is_told() -> None:
    """At the start: a budget that cannot be kept must not be found out after buying."""
    with enterable() as folder:
        for name, mode in (("frozen.sqlite", 0o444), ("open.sqlite", 0o666)):
            path = folder / name
            SqliteLedger(path).close()
            path.chmod(mode)

        told = _run(_READ_ONLY, folder).splitlines()

    assert [
        f"ConfigurationError {NOT_OURS}",
        "ConfigurationError cannot be made: Permission denied",
        f"ConfigurationError {NOT_OURS}",
    ] == told


# Both stores against a simple model


PICTURES = st.lists(
    st.builds(
        Image,
        url=st.sampled_from(["https://x/1", "https://x/2", "https://x/3", "data:image/png,1"]),
        data=st.sampled_from([None, None, b"png"]),
        expires_at=st.sampled_from([None, NOON - DAY, NOON + DAY, NOON + 20 * DAY]),
    ),
    max_size=3,
)
AMOUNTS = st.sampled_from(["0", "0.03", "0.25", "0.333333333", "0.999999999999999", "1", "4"])
LIMITS = st.sampled_from(["0", "1", "2.333333333", "10", "40"])
# The shape of the bucket, by budget; budgets of different periods have different names.
BUCKETS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "ever": ""}


class Stores(RuleBasedStateMachine):
    """Whatever happens in whatever order, both stores say what a list of rows would say."""

    holds = Bundle("holds")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "ledger.sqlite")
        self.stores: list[Ledger] = [MemoryLedger(), SqliteLedger(self.path)]
        self.now = NOON
        self.rows: list[tuple[str, str, str, Fraction]] = []  # hold, budget, bucket, amount
        self.ids: dict[str, list[str]] = {}  # by key, one for each store
        self.open: dict[str, Hold] = {}
        # The link, what is listed, and when it is dropped, by hold and place.
        self.unsaved: dict[str, dict[int, tuple[str | None, Image, datetime]]] = {}

    def list_again(self) -> None:
        """Holds follow their pictures."""
        for key, pictures in list(self.unsaved.items()):
            images = tuple(image for _, (_, image, _) in sorted(pictures.items()))
            self.open[key] = evolve(self.open[key], images=images)
            if not pictures:
                del self.open[key], self.unsaved[key]

    def sum(self, budget: str, bucket: str) -> Fraction:
        return Fraction(sum(a for _, b, at, a in self.rows if b == budget and at >= bucket))

    @rule(
        target=holds,
        hours=st.sampled_from([0, -1, 1, -24, 24, -49, 49]),
        taken=st.dictionaries(
            st.sampled_from(sorted(BUCKETS)), st.tuples(AMOUNTS, LIMITS), min_size=1
        ),
        number=st.uuids(),
    )
    def reserve(self, hours: int, taken: dict[str, tuple[str, str]], number: object) -> Any:
        self.now += timedelta(hours=hours)  # a clock that jumps, also back
        for pictures in self.unsaved.values():
            if all(drop_at < self.now for _, _, drop_at in pictures.values()):
                pictures.clear()
        self.list_again()
        shares = [
            share(amount, limit, budget=budget, bucket=self.now.strftime(BUCKETS[budget]))
            for budget, (amount, limit) in taken.items()
        ]
        key = str(number)
        made = [
            store.reserve(key=key, account="halide", at=self.now, shares=shares)
            for store in self.stores
        ]
        for s in shares:
            left = Fraction(s.limit) - self.sum(s.budget, s.bucket)
            if Fraction(s.amount) > left:
                assert [s, s] == [m.share for m in made if isinstance(m, Shortage)]
                lefts = {Fraction(m.left) for m in made if isinstance(m, Shortage)}
                assert {max(left, Fraction(0))} == lefts
                return multiple()
        ids = [m for m in made if isinstance(m, str)]
        assert 2 == len(ids)
        self.ids[key] = ids
        self.open[key] = Hold(id="", key=key, account="halide", at=self.now, shares=tuple(shares))
        self.rows += [(key, s.budget, s.bucket, Fraction(s.amount)) for s in shares]
        return key

    @rule(key=holds, job=st.booleans(), name=st.sampled_from(["t-1", "t-2"]))
    def note(self, key: str, job: bool, name: str) -> None:
        handle = evolve(JOB, id=name) if job else evolve(RECEIPT, key=name)
        for store, hold in zip(self.stores, self.ids[key], strict=True):
            store.note(hold, handle)
        if key in self.open and key not in self.unsaved:
            change: dict[str, Any] = {"job" if job else "receipt": handle}
            self.open[key] = evolve(self.open[key], **change)

    @rule(
        key=holds, final=st.dictionaries(st.sampled_from(sorted(BUCKETS)), AMOUNTS), came=PICTURES
    )
    def settle(self, key: str, final: dict[str, str], came: list[Image]) -> None:
        for store, hold in zip(self.stores, self.ids[key], strict=True):
            amounts = {budget: Decimal(amount) for budget, amount in final.items()}
            store.settle(hold, amounts, images=came, at=self.now)
        if key not in self.open:
            return
        first = key not in self.unsaved
        if first:
            self.rows = [
                (k, b, at, Fraction(final.get(b, "0")) if k == key else amount)
                for k, b, at, amount in self.rows
            ]
            shares = tuple(
                evolve(s, amount=Decimal(final.get(s.budget, "0"))) for s in self.open[key].shares
            )
            self.open[key] = evolve(self.open[key], shares=shares, delivered_at=self.now)
        known = self.unsaved.setdefault(key, {})
        for place, image in enumerate(came):
            drop_at = image.expires_at or self.now + KEEP_UNDATED
            if place in known:
                drop_at = max(drop_at, known.pop(place)[2])
            elif not first:
                continue
            if image.data is None:
                bare = evolve(image, url=None) if image.url == "data:image/png,1" else image
                known[place] = (image.url, bare, drop_at)
        self.list_again()

    @rule(url=st.sampled_from(["https://x/1", "https://x/2", "data:image/png,1", "https://x/9"]))
    def saved(self, url: str) -> None:
        for store in self.stores:
            store.saved(url)
        for pictures in self.unsaved.values():
            for place in [place for place, (link, *_) in pictures.items() if link == url]:
                del pictures[place]
        self.list_again()

    @rule(key=holds)
    def done(self, key: str) -> None:
        for store, hold in zip(self.stores, self.ids[key], strict=True):
            store.done(hold)
        self.unsaved.get(key, {}).clear()
        self.list_again()

    @rule(name=st.sampled_from(["t-1", "t-2"]), images=PICTURES)
    def done_by_result(self, name: str, images: list[Image]) -> None:
        for store in self.stores:
            store.done(result_of(*images, job_id=name))
        urls = {image.url for image in images}
        for key, pictures in self.unsaved.items():
            job = self.open[key].job
            for place in list(pictures):
                if (job is not None and job.id == name) or pictures[place][0] in urls:
                    del pictures[place]
        self.list_again()

    @rule()
    def restart(self) -> None:
        self.stores[1].close()
        self.stores[1] = SqliteLedger(self.path)

    @invariant()
    def they_agree(self) -> None:
        for number, store in enumerate(self.stores):
            held = [evolve(hold, id=self.ids[key][number]) for key, hold in self.open.items()]
            assert held == list(store.open())
            for hold in held[-1:]:
                assert (hold,) == store.find(key=hold.key, account="halide")
            for budget, bucket in {row[1:3] for row in self.rows}:
                assert self.sum(budget, bucket) == Fraction(store.spent(budget, bucket))

    def teardown(self) -> None:
        if not hasattr(self, "stores"):
            return
        self.stores[1].close()
        query = "SELECT budget, bucket, coalesce(spent, reserved) FROM shares"
        kept = [(b, at, Fraction(amount)) for b, at, amount in _look(self.path, query)]
        assert sorted(row[1:] for row in self.rows) == sorted(kept)
        self.folder.cleanup()


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
