"""What each provider makes of each canonical field: the table in the README, derived.

    python -m wanbridge.explain.support_table README.md   # rewrites it between the markers

Nothing is written down here: every cell is what `wanbridge.adapters.fitting` says of a
request that sets just that field.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import fit
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.adapters.staging import Staging
from wanbridge.errors import UnsupportedFeature
from wanbridge.explain.explanation import Outcome, outcome_of
from wanbridge.model.inputs import Box, InputImage
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.size import Size
from wanbridge.pictures.headers import data_uri

BEGIN, END = "<!-- support: begin -->", "<!-- support: end -->"

_PICTURE = "https://assets.example.com/in/a.png"
# The header of a PNG of 1024 x 1024 pixels: all that is looked at here.
_HEADER = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x04\0\x08\x02\0\0\0"
_INLINE = data_uri(_HEADER, "image/png")
_PALETTE = (
    PaletteColor("#1E2A39", "50.00"),
    PaletteColor("#C6A15B", "30.00"),
    PaletteColor("#E8E1D6", "20.00"),
)


def _edit(url: str = _PICTURE, **fields: object) -> ImageRequest:
    """An edit whose size is settled, so that only the field in question can be refused."""
    image = InputImage(url, width=1024, height=1024)
    return ImageRequest("x", **{"images": (image,), **fields})  # type: ignore[arg-type]


_BOXED = InputImage(_PICTURE, (Box(10, 10, 90, 90),), 1024, 1024)

# Row name, the canonical field it is about, and a request that sets it.
_ROWS: tuple[tuple[str, str, ImageRequest], ...] = (
    ("negative_prompt", "negative_prompt", ImageRequest("x", negative_prompt="y")),
    ("images, https", "images", _edit()),
    ("images, data:", "images", _edit(_INLINE)),
    ("regions", "regions", _edit(images=(_BOXED,))),
    ("n", "n", ImageRequest("x", n=4)),
    ("sequential", "sequential", ImageRequest("x", sequential=True, n=6)),
    ("size, tier", "size", ImageRequest("x", size=Size(resolution="1K"))),
    ("size, ratio", "size", ImageRequest("x", size=Size(aspect_ratio="16:9"))),
    ("size, ratio with images", "size", _edit(size=Size(aspect_ratio="16:9"))),
    ("size, pixels", "size", ImageRequest("x", size=Size(1536, 1024))),
    ("size, 4K on pro", "size", ImageRequest("x", model="wan2.7-image-pro", size="4K")),
    ("thinking", "thinking", ImageRequest("x", thinking=False)),
    ("color_palette", "color_palette", ImageRequest("x", color_palette=_PALETTE)),
    ("seed", "seed", ImageRequest("x", seed=7)),
    ("watermark", "watermark", ImageRequest("x", watermark=True)),
    ("output_format, png", "output_format", ImageRequest("x", output_format="png")),
    ("output_format, jpeg", "output_format", ImageRequest("x", output_format="jpeg")),
    ("inline", "inline", ImageRequest("x", inline=True)),
    ("callback_url", "callback_url", ImageRequest("x", callback_url="https://app.example.com/")),
)


@frozen(kw_only=True)
class Support:
    """One cell of the table.

    Attributes:
        row: Name of the row in the README.
        field: The canonical field.
        provider: Account name.
        outcome: As in `wanbridge.explain.explanation.FieldReport`.
        detail: Why it is adapted, ignored or refused; empty where it is sent.
        source: The provider's page that the limits of this model come from.
        verified: False if the offer rests on guesses or third parties only.
    """

    row: str
    field: str
    provider: str
    outcome: Outcome
    detail: str
    source: str
    verified: bool


def support(adapters: Iterable[Adapter], *, staging: Staging | None = None) -> tuple[Support, ...]:
    """Every row for every adapter, rows first.

    Args:
        staging: The object store that links to pictures can be had from; None: there is none.
    """
    adapters = tuple(adapters)
    return tuple(
        _cell(row, name, request, adapter, staging)
        for row, name, request in _ROWS
        for adapter in adapters
    )


def _cell(
    row: str, name: str, request: ImageRequest, adapter: Adapter, staging: Staging | None
) -> Support:
    outcome: Outcome
    try:
        fitted = fit(adapter, request, staging=staging)
    except UnsupportedFeature as exc:
        return _support(row, name, adapter, "refused", exc.reason, "", verified=True)
    refused = [p.reason for p in fitted.problems]
    notes = [n for n in fitted.notes if n.field == name]
    if refused:
        outcome, detail = "refused", "; ".join(refused)
    elif notes:
        outcome, detail = outcome_of(notes[0]), notes[0].detail
    else:
        outcome, detail = "sent", ""
    limits = fitted.offer.limits
    source = limits.sizes(request.mode).source if name == "size" else limits.source
    return _support(row, name, adapter, outcome, detail, source, verified=fitted.offer.verified)


def _support(
    row: str,
    name: str,
    adapter: Adapter,
    outcome: Outcome,
    detail: str,
    source: str,
    *,
    verified: bool,
) -> Support:
    return Support(
        row=row,
        field=name,
        provider=adapter.account,
        outcome=outcome,
        detail=detail,
        source=source,
        verified=verified,
    )


def markdown(cells: Iterable[Support]) -> str:
    """The table as Markdown: a row a field, a column a provider."""
    rows: dict[str, dict[str, Support]] = {}
    for cell in cells:
        rows.setdefault(cell.row, {})[cell.provider] = cell
    providers = list(dict.fromkeys(p for row in rows.values() for p in row))
    lines = [_line(["", *providers]), _line(["---"] * (len(providers) + 1))]
    for row, by_provider in rows.items():
        lines.append(_line([row, *(_word(by_provider[p]) for p in providers)]))
    return "\n".join(lines) + "\n"


_WORDS: Mapping[Outcome, str] = {"met": "always so", "adapted": "adapted"}


def _word(cell: Support) -> str:
    word = _WORDS.get(cell.outcome, cell.outcome)
    return word if cell.verified or cell.outcome == "refused" else f"{word}, unverified"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def inserted(text: str, table: str) -> str:
    """*text* with *table* between its markers.

    Raises:
        ValueError: it does not have each of them once, in their order.
    """
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not (begin and end) or any(mark in old + after for mark in (BEGIN, END)):
        raise ValueError(f"{BEGIN} and {END} are to stand in it once each, in this order")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def builtin() -> tuple[Support, ...]:
    """`support` of every adapter that comes with wanbridge, with its default options."""
    registry = Registry()
    return support(registry.build(name) for name in BUILTIN)


def main(files: Sequence[str]) -> None:
    """Rewrite the table in each of *files*."""
    table = markdown(builtin())
    for file in map(Path, files):
        file.write_text(inserted(file.read_text("utf-8"), table), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
