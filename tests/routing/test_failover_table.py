"""Failover under every fault, at every pair of providers: paid once, and nothing lost.

The calls are those of ``benchmarks/failover.py``, whose table is committed; here it is held.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from typing import Any

import failover
import pytest
from failover import FAULTS, PROVIDERS, Row

from wanbridge.adapters.registry import BUILTIN
from wanbridge.errors import Charge
from wanbridge.sandbox.faults import KINDS

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=failover.name_of)


@cache
def _rows(name: str, pays_again: bool) -> tuple[Row, ...]:
    fault = next(fault for fault in FAULTS if failover.name_of(fault) == name)
    return tuple(
        failover.run(fault, first, second, pays_again=pays_again)
        for first, second in failover.pairs(fault)
    )


def rows(fault: Mapping[str, Any], *, pays_again: bool = False) -> tuple[Row, ...]:
    return _rows(failover.name_of(fault), pays_again)


@each_fault
def test_as_many_pictures_are_charged_as_come(fault: Mapping[str, Any]) -> None:
    """Or the provider itself lost a picture that it charged, and nobody else was paid for it."""
    for row in rows(fault):
        assert row.even or row.kept, row


@each_fault
def test_nobody_is_asked_after_an_unknown_outcome(fault: Mapping[str, Any]) -> None:
    """The promise: a submit that may have been bought is followed by no other one."""
    for row in rows(fault):
        *before, _ = row.attempts
        assert not [a for a in before if a.charge is not Charge.NO], row
        assert not (row.charged[0] and row.posts[1]), row


@each_fault
def test_a_second_provider_delivers_after_a_failure_that_is_free(fault: Mapping[str, Any]) -> None:
    """Failover is worth its name: what surely cost nothing and is no fault of the request."""
    for row in rows(fault):
        first = row.attempts[0]
        refused = first.outcome in ("AuthenticationFailed", "ContentRefused", "RequestRejected")
        if first.charge is Charge.NO and not refused:
            assert f"delivered by {row.second}" == row.outcome, row


@each_fault
def test_who_pays_again_says_so(fault: Mapping[str, Any]) -> None:
    """Twice paid is by choice only, and what was given up can be collected."""
    for row in rows(fault, pays_again=True):
        *before, last = row.attempts
        assert all(a.job or a.receipt for a in before if a.charge is Charge.MAYBE), row
        assert sum(row.charged) <= 2, row
        if "delivered" == last.outcome:
            assert row.even or row.fault.partition(" ")[0] in failover.LOST, row


def test_the_committed_table_is_what_the_code_does() -> None:
    """Whoever reads ``benchmarks/results/failover.csv`` reads about this version."""
    with (failover.RESULTS / "failover.csv").open(encoding="utf-8", newline="") as file:
        header, *committed = csv.reader(file)
    fresh = [
        failover.cells(row)
        for pays_again in (False, True)
        for fault in FAULTS
        for row in rows(fault, pays_again=pays_again)
    ]

    assert list(failover.HEADER) == header
    assert fresh == committed


def test_the_campaign_is_whole() -> None:
    """Every provider, and every fault there is."""
    assert set(BUILTIN) == set(PROVIDERS)
    assert {*KINDS, "takes_no_data"} == {fault["kind"] for fault in FAULTS}


def test_a_picture_by_its_bytes_goes_to_who_takes_it() -> None:
    """Without an object store, who takes only links is passed over, and says what would help."""
    found = rows({"kind": "takes_no_data"})

    assert {"reapi", "empiriolabs"} == {row.first for row in found}
    assert {*PROVIDERS} - {"reapi", "empiriolabs"} == {row.second for row in found}
    for row in found:
        assert (f"delivered by {row.second}", (0, 1)) == (row.outcome, row.posts), row
        assert "skipped" == row.attempts[0].outcome
        assert "object store" in row.attempts[0].detail
