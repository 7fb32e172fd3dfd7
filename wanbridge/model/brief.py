"""Values shortened for messages: long texts are cut, links lose their signatures."""

from __future__ import annotations


def brief(value: object, limit: int = 60) -> str:
    """*value* for a message: a long one (a data URI, say) is cut."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a huge number"
    return text if len(text) <= limit else f"{text[:limit]}…"


def brief_url(url: str | None) -> str:
    """A URL for people: a ``data:`` URI without its payload, a link without its signature."""
    if url is None:
        return "None"
    if url.startswith("data:"):
        return repr(f"{url.partition(',')[0]},… ({len(url)} characters)")
    return repr(url.partition("?")[0])
