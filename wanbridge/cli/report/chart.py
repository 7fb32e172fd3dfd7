"""The bars of a comparison, as SVG inside of its page."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from attrs import frozen

from wanbridge.cli.report.amounts import Column
from wanbridge.cli.report.comparison import Comparison, Line, percent
from wanbridge.cli.report.markup import escaped

# In CSS pixels from the top of an account's row: two baselines and the bar.
_BASELINE, _BAR_TOP, _BAR, _BELOW = 15, 24, 12, 53
_ROW, _ROW_WITH_REMARK, _LAST_GAP = 46, 66, 10
_GAP = 8
# Characters that a line holds on a telephone: name, remark and amount may not meet.
_ROOM = 36


@frozen(kw_only=True)
class _Row:
    """One account.

    Attributes:
        beside: Said before the amount.
        below: Said below the bar.
        share: Percent of the dearest; None has no bar.
    """

    kind: str
    name: str
    amount: str
    beside: str
    below: str
    share: Decimal | None

    @property
    def height(self) -> int:
        return _ROW_WITH_REMARK if self.below else _ROW

    @property
    def sentence(self) -> str:
        """The row as a sentence."""
        return f"{self.name}: {', '.join(filter(None, (self.amount, self.beside, self.below)))}"


def chart(comparison: Comparison) -> str:
    """Bars as wide as their share of the dearest.

    Widths are percentages, not units of a view box, so that letters keep their size on every
    screen.
    """
    rows = list(_rows(comparison))
    height = sum(row.height for row in rows) - _LAST_GAP
    title = f"Cost at each account in {comparison.basis.currency}"
    return (
        f'<svg class="chart" role="img" aria-labelledby="chart-title chart-rows"'
        f' width="100%" height="{height}">\n<title id="chart-title">{escaped(title)}</title>\n'
        f'<desc id="chart-rows">{escaped("; ".join(row.sentence for row in rows))}</desc>\n'
        f"{_drawn(rows)}\n</svg>"
    )


def _rows(comparison: Comparison) -> Iterator[_Row]:
    amounts = [line.common for line in comparison.capable if line.common]
    column = Column.of(amounts)
    most = max((money.amount for money in amounts), default=Decimal(0))
    for line in comparison.capable:
        share = None
        if line.common is not None and most:
            share = (line.common.amount * 100 / most).quantize(Decimal("0.01"))
        unconverted = "no rate" if line.own and not line.common else ""
        amount, remark = _amount(line, column), percent(line.over) or unconverted
        fits = not line.missing and len(line.provider) + len(amount) + len(remark) <= _ROOM
        yield _Row(
            kind="first" if line.rank == 1 else line.standing,
            name=line.provider,
            amount=amount,
            beside=remark if fits else "",
            below="" if fits else "; ".join(line.missing) or remark,
            share=share,
        )


def _amount(line: Line, column: Column) -> str:
    if line.common is not None:
        return column.text(line.common)
    own = Column.of(line.own)
    return " + ".join(map(own.text, line.own)) or "price unknown"


def _drawn(rows: list[_Row]) -> str:
    tops = [sum(row.height for row in rows[:number]) for number in range(len(rows))]
    return "\n".join(
        f'<g class="{row.kind}" transform="translate(0 {top})">{_words(row)}{_bar(row)}</g>'
        for top, row in zip(tops, rows, strict=True)
    )


def _words(row: _Row) -> str:
    most = max(_ROOM - len(row.amount), 2)
    short = row.name if len(row.name) <= most else f"{row.name[: most - 1]}…"
    below = (
        f'<text class="aside below" y="{_BELOW}">{escaped(row.below)}</text>' if row.below else ""
    )
    return (
        f"<title>{escaped(row.name)}</title>"
        f'<text class="name" y="{_BASELINE}">{escaped(short)}</text>'
        f'<text x="100%" y="{_BASELINE}" text-anchor="end">'
        f'<tspan class="aside">{escaped(row.beside)}</tspan>'
        f'<tspan class="amount" dx="{_GAP if row.beside else 0}">{escaped(row.amount)}</tspan>'
        f"</text>{below}"
    )


def _bar(row: _Row) -> str:
    if row.share is None:
        middle = _BAR_TOP + _BAR // 2
        return f'<line class="none" x1="1" x2="100%" y1="{middle}" y2="{middle}"/>'
    place = f'y="{_BAR_TOP}" height="{_BAR}" rx="3"'
    track = f'<rect class="track" width="100%" {place}/>'
    return f'{track}<rect class="fill" width="{row.share}%" {place}/>'
