"""Pictures from whoever can make them, in the order given, for at most so much a day.

    python failover_with_budgets.py "a red kite over dunes" --budget 2.00 -o pictures

Accounts come from the environment (``KIE_API_KEY``, ``REAPI_API_KEY`` and so on). What was spent is
kept in ``spend.sqlite3``, so that the budget holds over all runs, also after a crash.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from wanbridge import (
    Attempt,
    Budget,
    Client,
    Money,
    Route,
    SqliteLedger,
    WanbridgeError,
    handle,
)


def show(attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        cost = attempt.cost or f"charged: {attempt.charge}"
        print(f"  {attempt.provider}: {attempt.outcome}, {cost}; {attempt.detail}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt")
    parser.add_argument("--providers", default="kie,reapi,runware,dashscope")
    parser.add_argument("--budget", default="2.00", metavar="USD")
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, default=Path())
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    with closing(SqliteLedger(given.out / "spend.sqlite3")) as ledger:
        try:
            with Client.from_env(ledger=ledger) as client:
                wanted = given.providers.split(",")
                route = Route(
                    [name for name in wanted if name in client.accounts],
                    budget=Budget(Money(given.budget, "USD"), "day"),
                    deadline=300,
                    name="pictures",  # what the budget is called in the ledger
                )
                result = client.generate(given.prompt, n=given.n, route=route)
                show(result.attempts)
                print(*client.save_all(result, given.out), sep="\n")
        except WanbridgeError as exc:
            show(getattr(exc, "attempts", ()))
            if (kept := handle(exc)) is not None:
                # It may be paid for: a job is waited for, a receipt reconciled, a result saved.
                file = given.out / f"open.{type(kept).__name__.lower()}.json"
                file.write_text(kept.to_json())
                print(f"to go on with: {file}")
            sys.exit(f"failover_with_budgets: {exc}")


if __name__ == "__main__":
    main()
