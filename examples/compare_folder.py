"""What every request in a folder costs at every provider, as CSV. Needs no key and sends nothing.

    python compare_folder.py requests prices.csv --rate CNY=0.1406 --rates-date 2026-11-20

A request is a JSON file as of ``schemas/request.schema.json``. Prices in a currency without a rate
are listed and not compared; an unknown price is empty, which is not zero.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from wanbridge import Client, ImageRequest, Quote, Rates, Registry, WanbridgeError

COLUMNS = ("request", "account", "amount", "currency", "usd", "read", "source", "refused")


def row(name: str, quote: Quote) -> tuple[object, ...]:
    usd = quote.in_currency.amount if quote.in_currency else None
    price = (quote.amount, quote.currency, usd, quote.read, quote.source)
    return (name, quote.provider, *price, quote.refused)


def compare(folder: Path, table: Path, rates: Rates) -> None:
    requests = {
        path.stem: ImageRequest.from_json(path.read_bytes())
        for path in sorted(folder.glob("*.json"))
    }
    accounts = [Registry().build(name, api_key=None) for name in Registry().names()]
    with Client(accounts) as client, table.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for name, request in requests.items():
            quotes = client.compare(request, rates=rates)
            lines.writerows(row(name, quote) for quote in quotes)
            cheapest = quotes[0]
            price = cheapest.in_currency
            print(f"{name}: {price} at {cheapest.provider}" if price else f"{name}: no price")
        together = client.compare_all(requests.values(), rates=rates)
        print(f"each at its cheapest: {together.cheapest}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--rate", action="append", default=[], metavar="CNY=0.1406")
    parser.add_argument("--rates-date", metavar="DAY")
    given = parser.parse_args()
    rates = dict(pair.partition("=")[::2] for pair in given.rate)
    if given.rates_date:
        rates["date"] = given.rates_date
    try:
        compare(given.folder, given.table, Rates.of(rates))
    except (WanbridgeError, OSError) as exc:
        sys.exit(f"compare_folder: {exc}")


if __name__ == "__main__":
    main()
