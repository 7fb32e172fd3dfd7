"""``multipart/form-data`` as bytes: the fields in their order, the file last (RFC 7578)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from attrs import field, frozen


@frozen(kw_only=True)
class FormFile:
    """The file of a form.

    Attributes:
        name: Of its field.
        filename: Printable ASCII without quotes.
        mime: Its media type.
    """

    name: str
    filename: str
    mime: str
    data: bytes = field(repr=False)


def form(
    fields: Iterable[tuple[str, str]], file: FormFile, *, boundary: str | None = None
) -> tuple[str, bytes]:
    """A form's ``Content-Type`` and body; the same arguments give the same bytes.

    Args:
        fields: Names, which are ours, and values, which may hold anything.
        boundary: ASCII that occurs in no part; by default the SHA-256 of all of them.
    """
    parts = [_part(f'name="{name}"', "", value.encode()) for name, value in fields]
    where = f'name="{file.name}"; filename="{file.filename}"'
    parts.append(_part(where, f"Content-Type: {file.mime}\r\n", file.data))
    edge = _boundary(parts) if boundary is None else boundary.encode("ascii")
    body = b"".join(b"--%b\r\n%b\r\n" % (edge, part) for part in parts)
    return f"multipart/form-data; boundary={edge.decode()}", body + b"--%b--\r\n" % edge


def _part(where: str, headers: str, value: bytes) -> bytes:
    return f"Content-Disposition: form-data; {where}\r\n{headers}\r\n".encode() + value


def _boundary(parts: list[bytes]) -> bytes:
    """One that occurs in none of *parts*, from their content: no chance is needed."""
    digest = hashlib.sha256(b"\0".join(parts))
    while any(digest.hexdigest().encode() in part for part in parts):  # pragma: no cover - 2**-256
        digest.update(b"again")
    return digest.hexdigest().encode()
