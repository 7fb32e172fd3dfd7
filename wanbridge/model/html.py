"""Values as HTML, for notebooks: what is shown sends no request, and no text in it is a tag.

Thumbnails are made from bytes that are here; a link is text, without its signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from wanbridge.model.brief import brief_url
from wanbridge.model.notes import Note
from wanbridge.pictures.headers import from_data_uri, inspect
from wanbridge.pictures.thumbnails import SIDE, thumbnail

if TYPE_CHECKING:
    from wanbridge.model.result import Failure, Image, ImageResult

# A provider's texts, and how many of them.
_TEXT_MOST = 300
_LINES_MOST = 20
_PICTURES_MOST = 12
_FIGURE = "display:inline-block;vertical-align:top;margin:0 1em 1em 0"
_EMPTY = (
    f"box-sizing:border-box;width:{SIDE}px;height:{SIDE // 2}px;padding:1em;border:1px dashed gray"
)


def text(value: object) -> str:
    """*value* as text of a page, cut where it is long."""
    said = str(value)
    return escape(said if len(said) <= _TEXT_MOST else f"{said[:_TEXT_MOST]}…")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts; None is an empty cell."""
    head = "".join(f"<th>{text(name)}</th>" for name in columns)
    lines = [
        "".join(f"<td>{'' if value is None else text(value)}</td>" for value in row) for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _lines(values: Sequence[Note | Failure]) -> str:
    """A list of what was noted and what failed, the first ones of many; nothing for none."""
    if not values:
        return ""
    items = [text(_line(value)) for value in values[:_LINES_MOST]]
    if len(values) > _LINES_MOST:
        items.append(f"… {len(values) - _LINES_MOST} more")
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _line(value: Note | Failure) -> str:
    if isinstance(value, Note):
        return f"note: {value}"
    return f"failed: {value.code or 'no code'}: {value.message}"


def of_image(image: Image) -> str:
    """One picture: a thumbnail if its bytes are here, its facts, and its link as text."""
    data = _bytes_of(image)
    small = thumbnail(data) if data is not None else None
    if small is not None:
        shown = f'<img src="{escape(small)}" alt="">'
    else:
        why = "its bytes are not here" if data is None else "it cannot be shown"
        shown = f'<div style="{_EMPTY}">{why}</div>'
    facts = [*_facts(image, data)]
    if image.url is not None and not image.url.startswith("data:"):
        facts.append(brief_url(image.url).strip("'\""))
    caption = "<br>".join(text(fact) for fact in facts)
    return f'<figure style="{_FIGURE}">{shown}<figcaption>{caption}</figcaption></figure>'


def of_result(result: ImageResult) -> str:
    """A result: who delivered what at which cost, the pictures, notes and failures."""
    cost = "unknown" if result.cost is None else str(result.cost)
    facts = [result.provider, result.model, f"cost: {cost}"]
    if result.shortfall:
        facts.append(f"{len(result.images)} of {result.requested} delivered")
    if result.job_id is not None:
        facts.append(f"job {result.job_id}")
    figures = "".join(of_image(image) for image in result.images[:_PICTURES_MOST])
    if len(result.images) > _PICTURES_MOST:
        figures += f"<p>… {len(result.images) - _PICTURES_MOST} more</p>"
    head = " · ".join(text(fact) for fact in facts)
    return (
        f"<div><p>{head}</p><div>{figures}</div>{_lines([*result.notes, *result.failures])}</div>"
    )


def _bytes_of(image: Image) -> bytes | None:
    if image.data is not None or image.url is None or not image.url.startswith("data:"):
        return image.data
    try:
        return from_data_uri(image.url)[0]
    except ValueError:
        return b""


def _facts(image: Image, data: bytes | None) -> Iterable[str]:
    found = inspect(data) if data is not None else None
    width, height = (found or image).width, (found or image).height
    if width is not None:
        yield f"{width} x {height} pixels"
    if mime := (found or image).mime:
        yield f"{mime}, {len(data):,} bytes" if data is not None else mime
    if image.seed is not None:
        yield f"seed {image.seed}"
    if image.expires_at is not None:
        yield f"link until {image.expires_at:%Y-%m-%d %H:%M %Z}"
