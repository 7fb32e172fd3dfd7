"""HTTP messages as plain values: what adapters write and read, and what the sandbox answers.

No HTTP library is named here. ``repr`` never shows a credential or a body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from attrs import field, frozen

# Headers whose value is a credential; compared in lower case.
SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "set-cookie"})


def _headers_repr(headers: Mapping[str, str]) -> str:
    return repr({k: "***" if k.lower() in SECRET_HEADERS else v for k, v in headers.items()})


def _body_repr(body: bytes) -> str:
    return f"<{len(body)} bytes>"


# In bytes; a shorter text parses to some megabytes at most and is not checked.
_UNCHECKED_MOST = 256 * 2**10
# An empty list takes three bytes of JSON and 64 of memory, an object with one member 192: so many
# stay below 50 MB. Real replies have some hundreds.
VALUES_MOST = 200_000
# One character beyond ASCII makes Python keep four bytes for each of a text.
WIDE_MOST = 2**20
_WIDE = re.compile(rb"[\x80-\xff]+")
_ASCII = bytes(range(128))


def parse_json(text: str | bytes) -> Any:
    """Parse JSON from an untrusted source, within a bounded amount of memory.

    Raises:
        ValueError: it is no JSON, or larger inside than any reply is.
    """
    if len(text) > _UNCHECKED_MOST:
        text = _checked(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _checked(body: bytes) -> bytes:
    """*body* with characters beyond ASCII escaped, once its size inside is checked."""
    if sum(map(body.count, (b",", b"[", b"{"))) > VALUES_MOST:
        raise ValueError(f"it holds more than {VALUES_MOST:,} values")
    if body.isascii():
        return body
    if len(body.translate(None, _ASCII)) > WIDE_MOST:
        raise ValueError(f"it holds more than {WIDE_MOST:,} bytes that are not ASCII")
    return _WIDE.sub(_escaped, body)


def _escaped(found: re.Match[bytes]) -> bytes:
    return json.dumps(found[0].decode("utf-8", "replace"))[1:-1].encode()


def _url_repr(url: str) -> str:
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
    url: str = field(repr=_url_repr)
    headers: Mapping[str, str] = field(factory=dict, repr=_headers_repr)
    body: bytes = field(default=b"", repr=_body_repr)
    read_timeout: float | None = None

    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return parse_json(self.body)


@frozen(kw_only=True)
class HttpResponse(_Headers):
    """One HTTP reply, read to its end.

    Attributes:
        received_at: When it came, aware; None in values made by hand.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=_headers_repr)
    body: bytes = field(default=b"", repr=_body_repr)
    received_at: datetime | None = None

    @cached_property
    def _parsed(self) -> Any:
        try:
            return parse_json(self.body)
        except UnicodeDecodeError:
            # One wrong byte in a message must not hide the task id beside it.
            return parse_json(self.body.decode("utf-8", "replace").encode())

    def json(self) -> Any:
        """The body as JSON, parsed once; not to be changed. Raises ValueError if it is none."""
        return self._parsed

    @cached_property
    def readings(self) -> dict[object, Any]:
        """What readers have made of this reply, to make it once; each has a key of its own."""
        return {}

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
            from email.utils import parsedate_to_datetime  # loads 15 modules

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
    """Why *value* cannot be written as JSON; None if it can."""
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
