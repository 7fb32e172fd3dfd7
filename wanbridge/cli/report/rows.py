"""The table of a comparison's page; on a telephone each row becomes a card."""

from __future__ import annotations

from attrs import frozen

from wanbridge.cli.report.amounts import Column, unit
from wanbridge.cli.report.comparison import Comparison, Line, percent
from wanbridge.cli.report.markup import classed, escaped
from wanbridge.model.money import Money

# Classes of badges that the page has a colour for.
_BADGES = ("published", "reported", "old")


@frozen(kw_only=True)
class _Table:
    """What all rows of one table share.

    Attributes:
        width: Of the longest unit, in characters.
    """

    comparison: Comparison
    own: Column
    common: Column
    width: int


def table(comparison: Comparison) -> str:
    """A row for each account that can take something."""
    lines, code = comparison.capable, comparison.basis.currency
    units = [unit(money.currency) for line in lines for money in line.own]
    units += ["credits" for line in lines if line.credits is not None]
    made = _Table(
        comparison=comparison,
        own=Column.of(money for line in lines for money in line.own),
        common=Column.of(line.common for line in lines if line.common),
        width=max(map(len, units), default=0),
    )
    names = (
        *(("#", ""), ("account", ""), ("price", "right"), (f"in {code}", "right")),
        *(("to cheapest", "right"), ("confidence", ""), ("price read", "")),
    )
    head = "".join(
        f'<th role="columnheader" scope="col"{classed(kind)}>{escaped(name)}</th>'
        for name, kind in names
    )
    rows = "\n".join(_row(line, made) for line in lines)
    note = f'\n<p class="soft small">Amounts in {escaped(code)} are rounded up.</p>'
    return (
        f'<table role="table">\n<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{rows}\n</tbody>\n</table>{note if made.common.rounded else ""}'
    )


def _row(line: Line, made: _Table) -> str:
    code = made.comparison.basis.currency
    common = _number(line.common, made.common) if line.common else _unconverted(line)
    cells = (
        _cell("#", str(line.rank or ""), "rank soft"),
        _name(line, made.comparison),
        _cell("price", _price(line, made), "right"),
        _cell(f"in {code}", common, "right"),
        _cell("to cheapest", escaped(percent(line.over) or "-"), "right"),
        _cell("confidence", _badge(line.confidence) if line.confidence else "-"),
        _cell("price read", _read(line)),
    )
    kind = classed("first" if line.rank == 1 else "")
    return f'<tr role="row"{kind}>{"".join(cells)}</tr>'


def _cell(name: str, inner: str, kind: str = "") -> str:
    """A cell, whose column's name stands before it where there is no room for a head."""
    return f'<td role="cell"{classed(kind)} data-name="{escaped(name)}"><div>{inner}</div></td>'


def _name(line: Line, comparison: Comparison) -> str:
    """The account, with the numbers of its footnotes and what is missing of a workload."""
    marks = " ".join(
        f'<a href="#note-{number}" aria-label="note {number}">{number}</a>'
        for number in comparison.footnotes(line)
    )
    account = escaped(line.provider) + (f" <sup>{marks}</sup>" if marks else "")
    missing = "".join(f'<span class="under">{escaped(text)}</span>' for text in line.missing)
    return f'<th role="rowheader" scope="row">{account}{missing}</th>'


def _price(line: Line, made: _Table) -> str:
    """The account's own amounts, and the credits that they are the worth of."""
    parts = [f"{_number(m, made.own)} {_unit(unit(m.currency), made)}" for m in line.own]
    if line.credits is not None and all(unit(m.currency) != "credits" for m in line.own):
        number = _filled(f"{line.credits:,}", made.own.filling(0))
        parts.append(f'<span class="soft">{number} {_unit("credits", made)}</span>')
    return "<br>".join(parts) or '<span class="soft">unknown</span>'


def _unit(name: str, made: _Table) -> str:
    return f'<span class="unit" style="min-width: {made.width}ch">{escaped(name)}</span>'


def _number(money: Money, column: Column) -> str:
    return _filled(column.number(money), column.filling(column.places[money.currency]))


def _filled(number: str, filling: str) -> str:
    return f'<span class="number">{number}<span class="filling">{filling}</span></span>'


def _unconverted(line: Line) -> str:
    return "no rate" if line.own and not line.missing else "-"


def _read(line: Line) -> str:
    if line.read is None:
        return "-"
    day = f'<time datetime="{line.read}">{line.read}</time>'
    return f'<span class="nowrap">{day} {_badge("old")}</span>' if line.old else day


def _badge(text: str) -> str:
    kind = f"badge {text}" if text in _BADGES else "badge"
    return f'<span class="{kind}">{escaped(text)}</span>'
