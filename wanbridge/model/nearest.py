"""The known name that a misspelt one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The one of *known* that is most like *name*; None if none has that much in common with it.

    Args:
        cutoff: From 0 to 1, as of `difflib.get_close_matches`.
    """
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, 1, cutoff)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'runware'? `` for a message, with its blank; empty if none is near."""
    near = nearest(name, known)
    return f"did you mean {near!r}? " if near is not None else ""
