"""``kill -9`` at random instants: every picture that was charged is somewhere.

The programs are those of ``benchmarks/kills.py``, whose table is committed; here a few rounds of
it are run, all of them with ``-m slow``.
"""

from __future__ import annotations

import random

import kills
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("how", ["library", "KILL"])
def test_no_kill_loses_a_picture(how: str, pytestconfig: pytest.Config) -> None:
    """On the disk, in the ledger, or led to by a file; and nothing is bought twice."""
    rounds = kills.ROUNDS if pytestconfig.option.markexpr == "slow" else 1
    chance = random.Random(7)

    tally = (
        kills.library(rounds, chance) if how == "library" else kills.command(rounds, how, chance)
    )

    assert 0 == tally.found["lost"]
    assert 0 == tally.after["lost"]
    assert 0 == tally.twice
