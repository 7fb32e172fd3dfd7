"""Values shortened for messages: long texts are cut, links lose their signatures."""

from __future__ import annotations

from collections.abc import Iterable


def brief(value: object, limit: int = 60) -> str:
    """*value* for a message: a long one (a data URI, say) is cut."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a huge number"
    except Exception:  # whatever the caller's own class does there
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[:limit]}…"


def brief_url(url: str | None) -> str:
    """A URL for people: a ``data:`` URI without its payload, a link without its signature."""
    if url is None:
        return "None"
    if url.startswith("data:"):
        return repr(f"{url.partition(',')[0]},… ({len(url)} characters)")
    return repr(url.partition("?")[0])


def brief_text(value: object) -> str:
    """A field that somebody else filled, for a ``repr`` that stays on one screen."""
    return brief(value, 120)


def brief_each(values: Iterable[object], most: int = 2, limit: int = 180) -> str:
    """The first of *values*, each cut, and how many more there are; as `brief_text`."""
    shown = list(values)
    texts = [brief(value, limit) for value in shown[:most]]
    if len(shown) > most:
        texts.append(f"… {len(shown) - most} more")
    return f"({', '.join(texts)}{',' if len(shown) == 1 else ''})"
