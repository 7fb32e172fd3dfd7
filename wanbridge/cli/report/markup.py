"""Pieces of HTML. Whatever comes from outside goes through `escaped` on its way in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

# Nothing that HTML allows: control characters but tab and newline, halves of a character.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def escaped(text: str) -> str:
    """*text* between tags or in an attribute: none of it is markup."""
    return escape(_NO_TEXT.sub("\ufffd", text))


def classed(names: str) -> str:
    """The attribute ``class`` with a space before it; empty without names."""
    return f' class="{names}"' if names else ""


def section(names: str, inner: str) -> str:
    """A part of the page; *inner* is HTML, here and below."""
    return f"<section{classed(names)}>\n{inner}\n</section>"


def card(heading: str, inner: str) -> str:
    """A part with a heading."""
    return section("card", f"<h2>{escaped(heading)}</h2>\n{inner}")


def facts(values: Mapping[str, str]) -> str:
    """Names with their values, beside each other."""
    rows = "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
        for name, value in values.items()
    )
    return f"<dl>{rows}</dl>"


def pairs(rows: Mapping[str, Iterable[str]]) -> str:
    """Names, and beside each the pieces of HTML that belong to it."""
    rows_html = "\n".join(
        f"<dt>{escaped(name)}</dt>{''.join(f'<dd>{inner}</dd>' for inner in values)}"
        for name, values in rows.items()
    )
    return f'<dl class="pairs">\n{rows_html}\n</dl>'
