"""What several providers do with uploaded files: read a form, keep the bytes, serve them again.

Files live under ``{origin}/{provider}/uploads/``, since the sandbox has one origin. Nothing here
is a provider's rule; those are in the dialects.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message as MimeHeaders
from email.parser import BytesHeaderParser
from io import BytesIO
from typing import Final
from urllib.parse import quote, unquote

from attrs import frozen

from wanbridge.sandbox.account import Account
from wanbridge.sandbox.extra import missing_extra
from wanbridge.sandbox.reply import Reply
from wanbridge.wire import HttpRequest, HttpResponse

PATH: Final = "/uploads/"

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


@frozen(kw_only=True)
class Part:
    """One part of a form; ``filename`` is None where the part is no file."""

    data: bytes
    filename: str | None

    @property
    def text(self) -> str:
        """Its bytes as UTF-8."""
        return self.data.decode("utf-8", "replace")


def read_form(request: HttpRequest) -> Mapping[str, Part]:
    """The parts of a ``multipart/form-data`` body. Raises ValueError if it is none."""
    headers = MimeHeaders()
    headers["Content-Type"] = request.header("content-type") or ""
    boundary = headers.get_boundary()
    if headers.get_content_type() != "multipart/form-data" or not boundary:
        raise ValueError("the body is not multipart/form-data")
    parts: dict[str, Part] = {}
    # What stands before the first boundary and after the last is no part.
    for raw in (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())[1:-1]:
        head, _, data = raw.partition(b"\r\n\r\n")
        parsed = BytesHeaderParser().parsebytes(head.lstrip())
        name = parsed.get_param("name", header="content-disposition")
        if isinstance(name, str):
            parts[name] = Part(data=data, filename=parsed.get_filename())
    return parts


def image_type(data: bytes) -> str | None:
    """The MIME type that the first bytes tell, whatever the name says; None if no image's."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC if data.startswith(magic)), None)


def image_sides(data: bytes) -> tuple[int, int]:
    """Width and height of an image. Raises ValueError if it cannot be read."""
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_extra(error) from error
    try:
        with Image.open(BytesIO(data)) as image:
            return image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, OSError) as error:
        raise ValueError("the image cannot be read") from error


@frozen(kw_only=True)
class _File:
    data: bytes
    mime: str
    until: float


class Shelf:
    """Uploaded files by their path, for as long as they live.

    Args:
        seconds: Life of a file.
    """

    def __init__(self, account: Account, *, seconds: float) -> None:
        self._account = account
        self._seconds = seconds
        self._files: dict[str, _File] = {}

    def put(self, path: str, data: bytes, mime: str) -> str:
        """Keep a file, over one that had the same path. Returns its URL."""
        until = self._account.now() + self._seconds
        self._files[path] = _File(data=data, mime=mime, until=until)
        return self._root() + quote(path)

    def get(self, url: str) -> bytes | None:
        """The bytes behind a URL of this shelf; None if they are gone, or never were."""
        file = self._alive(unquote(url.removeprefix(self._root())))
        return None if file is None else file.data

    def is_dead(self, url: str) -> bool:
        """Whether *url* belongs to this shelf and leads to nothing."""
        return url.startswith(self._root()) and self.get(url) is None

    def reply(self, path: str) -> Reply | None:
        """The answer to a download; *path* is that of the call. None if there is no such file."""
        file = self._alive(path.removeprefix(PATH))
        if file is None:
            return None
        headers = {"Content-Type": file.mime}
        return Reply(response=HttpResponse(status=200, headers=headers, body=file.data))

    def _alive(self, path: str) -> _File | None:
        file = self._files.get(path)
        return file if file is not None and self._account.now() < file.until else None

    def _root(self) -> str:
        return f"{self._account.origin}/{self._account.provider}{PATH}"
