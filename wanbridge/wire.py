"""HTTP messages as plain values: what adapters write and read, and what the sandbox answers.

No HTTP library is named here. ``repr`` never shows a credential or a body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from attrs import field, frozen

# Headers whose value is a credential; compared in lower case.
SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "set-cookie"})


def _shown(headers: Mapping[str, str]) -> str:
    return repr({k: "***" if k.lower() in SECRET_HEADERS else v for k, v in headers.items()})


def _size(body: bytes) -> str:
    return f"<{len(body)} bytes>"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_query(url: str) -> str:
    return repr(url.partition("?")[0])


class _Headers:
    """Case-insensitive look-up, shared by both directions."""

    headers: Mapping[str, str]

    def header(self, name: str) -> str | None:
        """The value of a header, whatever its letter case; None if absent."""
        name = name.lower()
        return next((v for k, v in self.headers.items() if k.lower() == name), None)


@frozen(kw_only=True)
class HttpRequest(_Headers):
    """One HTTP request.

    Attributes:
        headers: Names as the provider's manual spells them.
        read_timeout: Seconds to wait for the reply; None is the client's own setting.
    """

    method: str
    url: str = field(repr=_without_query)
    headers: Mapping[str, str] = field(factory=dict, repr=_shown)
    body: bytes = field(default=b"", repr=_size)
    read_timeout: float | None = None

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return _json(self.body)


@frozen(kw_only=True)
class HttpResponse(_Headers):
    """One HTTP reply, read to its end.

    Attributes:
        received_at: When it came, aware; None in values made by hand.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=_shown)
    body: bytes = field(default=b"", repr=_size)
    received_at: datetime | None = None

    @cached_property
    def _parsed(self) -> Any:
        try:
            return _json(self.body)
        except UnicodeDecodeError:
            # One wrong byte in a message must not hide the task id beside it.
            return _json(self.body.decode("utf-8", "replace").encode())

    def json(self) -> Any:
        """The body as JSON, parsed once; not to be changed. Raises ValueError if it is none."""
        return self._parsed

    def text(self, limit: int = 200) -> str:
        """The beginning of the body, at most *limit* characters, on one line."""
        return " ".join(self.body[: limit * 4].decode("utf-8", "replace").split())[:limit]

    @property
    def retry_after(self) -> float | None:
        """Seconds that ``Retry-After`` asks for, number or date; None if absent or unreadable."""
        value = self.header("retry-after")
        if value is None:
            return None
        try:
            seconds = float(value)
        except ValueError:
            try:
                when = parsedate_to_datetime(value)
            except (ValueError, OverflowError, TypeError):
                return None
            if self.received_at is None or when.tzinfo is None:
                return None
            seconds = (when - self.received_at).total_seconds()
        return max(0.0, seconds) if seconds < float("inf") else None


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def compact(value: Any) -> Any:
    """*value* without the absent (None) members of its objects, at any depth."""
    if isinstance(value, dict):
        return {
            k: compact(v) if isinstance(v, dict | list | tuple) else v
            for k, v in value.items()
            if v is not None
        }
    if isinstance(value, list | tuple):
        return [compact(v) for v in value]
    return value


def not_json(value: Any) -> str | None:
    """Why *value* cannot be sent as JSON; None if it can."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        return str(exc)
    return None


def json_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: Any = None,
    read_timeout: float | None = None,
) -> HttpRequest:
    """A request with a JSON body; none if *body* is None."""
    if body is None:
        return HttpRequest(method=method, url=url, headers=headers, read_timeout=read_timeout)
    return HttpRequest(
        method=method,
        url=url,
        headers={**headers, "Content-Type": "application/json"},
        body=_encode(body).encode(),
        read_timeout=read_timeout,
    )
