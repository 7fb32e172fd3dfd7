"""A comparison for a terminal: the table, then in whole lines what would not fit into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from wanbridge.cli.report.amounts import Column, unit
from wanbridge.cli.report.comparison import (
    Comparison,
    Line,
    counted,
    lacking_title,
    percent,
    rate_sentences,
)
from wanbridge.cli.screen import console, facts, money, table
from wanbridge.cli.session import Session
from wanbridge.model.money import Money
from wanbridge.money.comparison import Workload

# Columns that may take two lines, and how narrow they may become.
_MAY_WRAP = {"provider": 11, "notes": 5}
_STYLES = {"published": "green", "reported": "yellow"}


def show(comparison: Comparison, session: Session) -> None:
    """Print it: amounts, what they rest on, who cannot, and where it is from."""
    out = console()
    if isinstance(comparison.found, Workload):
        out.print(session.line(_asked(comparison, comparison.found)), soft_wrap=True)
        out.print()
    if comparison.capable:
        out.print(_table(comparison, session))
    for title, rows in _sections(comparison):
        out.print()
        out.print(title, style="bold")
        out.print(facts({k: "\n".join(map(session.line, texts)) for k, texts in rows.items()}))
    out.print()
    for line in _footer(comparison):
        out.print(session.line(line), style="dim", soft_wrap=True)


def _asked(comparison: Comparison, load: Workload) -> str:
    asked = f"{counted(load.requests, 'request')}, {counted(load.images, 'picture')}"
    summary = f"{asked} in {comparison.asked}; each where it is cheapest: {money(load.cheapest)}"
    return f"{summary}; {load.nobody} that nobody can take" if load.nobody else summary


def _table(comparison: Comparison, session: Session) -> Table:
    code = comparison.basis.currency
    made = table(
        *("#", "provider", "price", f"in {code}", "more", "confidence", "read", "notes"),
        right=("#", f"in {code}", "more"),
    )
    made.padding = (0, 1, 0, 0)  # all of it fits into 80 columns
    for column in made.columns:
        column.no_wrap = column.header not in _MAY_WRAP
        column.min_width = _MAY_WRAP.get(str(column.header))
    prices = _prices(comparison)
    common = Column.of(line.common for line in comparison.capable if line.common)
    for line in comparison.capable:
        made.add_row(
            "-" if line.rank is None else str(line.rank),
            Text(session.line(line.provider), style="bold" if line.rank == 1 else ""),
            "\n".join(prices[money] for money in line.own) or "unknown",
            common.number(line.common) if line.common else "-",
            Text(percent(line.over), style="green" if line.rank == 1 else ""),
            Text(line.confidence or "-", style=_STYLES.get(line.confidence or "", "")),
            _read(line),
            ", ".join(map(str, comparison.footnotes(line))),
        )
    return made


def _prices(comparison: Comparison) -> dict[Money, str]:
    """The accounts' own amounts, padded so that their points stand under each other."""
    amounts = [money for line in comparison.capable for money in line.own]
    column = Column.of(amounts)
    # Every character of a terminal is as wide as a space.
    made = {
        m: column.number(m) + " " * len(column.filling(column.places[m.currency])) for m in amounts
    }
    width = max(map(len, made.values()), default=0)
    return {money: f"{number:>{width}} {unit(money.currency)}" for money, number in made.items()}


def _read(line: Line) -> Text:
    made = Text("-" if line.read is None else line.read.isoformat())
    return made.append(" old", style="yellow") if line.old else made


def _sections(comparison: Comparison) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
    """What stands below the table, by title: names, and what is said of each."""
    if comparison.assumptions:
        yield "notes", {str(number): [text] for text, number in comparison.assumptions.items()}
    if comparison.lacking:
        gaps = {line.provider: (*line.missing, *line.reasons) for line in comparison.lacking}
        yield lacking_title(comparison), gaps


def _footer(comparison: Comparison) -> Iterator[str]:
    if Column.of(line.common for line in comparison.capable if line.common).rounded:
        yield f"amounts in {comparison.basis.currency} are rounded up; --json has every digit"
    yield from rate_sentences(comparison)
    for (source, read), providers in comparison.sources.items():
        yield ", ".join(filter(None, (f"{', '.join(providers)}: {source}", read)))
