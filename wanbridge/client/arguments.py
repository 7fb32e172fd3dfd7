"""Checks of what the clients are called with, so that a mistake is said in one line.

A thing of the wrong kind is a mistake in the program, hence a `TypeError`; a value that no
call can have is a `ConfigurationError`, a field of the request an `InvalidRequest`.
"""

from __future__ import annotations

import errno
import inspect
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

from wanbridge.errors import ConfigurationError
from wanbridge.model.brief import brief
from wanbridge.model.request import ImageRequest

# The longest time that a call is given, in seconds. Sockets and locks end somewhere beyond, by
# system; whoever asks for more asks for no end, and is given a year.
YEAR = 31_536_000.0


def expect(name: str, value: object, kind: type[Any], what: str = "") -> None:
    """Check that an argument is a *kind*.

    Args:
        what: It would be right, in words.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        right = what or f"{article} {kind.__name__}"
        raise TypeError(f"{name} is {brief(value)}; it must be {right}")


def expect_or_none(name: str, value: object, kind: type[Any], what: str = "") -> None:
    """`expect`, for an argument that may be None."""
    if value is not None:
        expect(name, value, kind, what)


def expect_methods(name: str, value: object, *methods: str) -> None:
    """Check an object of the caller's, or None, by what will be called.

    Raises:
        TypeError: it lacks a method.
    """
    for method in methods if value is not None else ():
        if not callable(getattr(value, method, None)):
            right = f"an object with {method}()"
            raise TypeError(f"{name} is {brief(value)}; it must be {right}")


def expect_function(name: str, value: object) -> None:
    """Check a function of the caller's, or None.

    Raises:
        TypeError: it cannot be called.
        ConfigurationError: it would have to be awaited.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} is {brief(value)}; it must be a function")
    if inspect.iscoroutinefunction(value):
        raise ConfigurationError(f"{name} is a coroutine function; nobody would await it")


def each_request(requests: Iterable[ImageRequest]) -> Iterator[ImageRequest]:
    """Each of *requests*, checked as it is taken.

    Raises:
        TypeError: they are no requests.
    """
    if isinstance(requests, str | bytes | Mapping) or not isinstance(requests, Iterable):
        raise TypeError(f"requests is {brief(requests)}; it must be a list of ImageRequest")
    for number, request in enumerate(requests):
        expect(f"requests[{number}]", request, ImageRequest)
        yield request


def checked_seconds(name: str, value: object) -> float:
    """A time to wait, more than nothing and at most a `YEAR`.

    Raises:
        TypeError: it is no number.
        ConfigurationError: it is not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise TypeError(f"{name} is {brief(value)}; it must be a number of seconds")
    number: Any = value  # the two have no type in common that can be compared
    try:
        given = float(number)
    except OverflowError:  # an integer of hundreds of digits
        given = math.inf if number > 0 else -math.inf
    except ValueError:  # the Decimal that signals instead of being compared
        given = math.nan
    if not given > 0:
        raise ConfigurationError(f"{name}={brief(value)}: seconds, more than 0")
    return min(given, YEAR)


def checked_key(key: object) -> str:
    """A caller's own key, which goes into headers, receipts and the ledger."""
    if not isinstance(key, str) or not key.strip() or not key.isprintable():
        raise ConfigurationError(f"key={brief(key)}: printable text, as an order's number")
    return key


def check_path(name: str, value: object) -> None:
    """Check a place for a file or a folder.

    Raises:
        TypeError: it is no path.
        OSError: no file can be called so.
    """
    if not isinstance(value, str | Path):
        raise TypeError(f"{name} is {brief(value)}; it must be a path, as text or a pathlib.Path")
    text = str(value)
    try:
        possible = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        # As the system answers for other names that it cannot have.
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), text)
