"""What people hold a picture in, as an `InputImage`: a path, bytes, base64, a file, Pillow's image.

Only files that the caller names are read.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model.brief import brief, brief_url
from wanbridge.pictures.headers import TELLING_BYTES, media_type

# Of a picture that is read into memory. Providers take 20 MB at most; what `fit` makes smaller may
# be larger.
PICTURE_MOST = 256 * 2**20
# Longer texts are no path: Linux and macOS allow 4,096 and 1,024 bytes.
_PATH_MOST = 4096
# Standard and URL-safe alphabet; `base64 FILE` breaks lines.
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+=?\s*=?\s*", re.ASCII)
# A host and a path without a scheme: example.com/kite.png.
_BARE_HOST = re.compile(r"(//)?([\w-]+\.)+[a-z]{2,}(:\d+)?/\S*", re.IGNORECASE | re.ASCII)
_RIGHT = (
    "an image is a URL, a data: URI, base64, the path of a file, bytes, a binary file or a Pillow"
    " image"
)
# Formats that Pillow writes as PNG as they are; what else it has becomes RGB.
_PNG_MODES = {"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"}


def refused(message: str) -> InvalidRequest:
    """The problem of a picture as a whole."""
    return InvalidRequest((Problem("$", message),))


def picture_in(value: object) -> tuple[bytes, str]:
    """The bytes of a picture that is held in *value*, and what to call it in messages.

    Args:
        value: Bytes, a path, text that names a file or is base64, a binary file or a Pillow image.

    Raises:
        InvalidRequest: it is none of these, or cannot be read.
    """
    match value:
        case bytes() | bytearray() | memoryview():
            return bytes(value), f"{len(bytes(value))} bytes"
        case str():
            return _in_text(value)
        case os.PathLike():
            path = os.fspath(value)
            return read_picture(Path(os.fsdecode(path))), brief(os.fsdecode(path))
    if hasattr(value, "read"):
        return _in_file(value)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(value, pillow.Image):
        return _in_pillow(value), "the Pillow image"
    raise refused(f"{brief(value)}; {_RIGHT}")


def _in_text(text: str) -> tuple[bytes, str]:
    if (path := path_in(text)) is not None and exists(path):
        return read_picture(path), brief(text)
    if (data := picture_in_base64(text)) is not None:
        return data, "the base64 text"
    raise refused(_no_picture(text))


def _no_picture(text: str) -> str:
    shown = brief(text)
    if "://" in text[:20]:
        return f"{brief_url(text[:200])} is not an https, http, data: or oss:// URL"
    if _BARE_HOST.fullmatch(text.strip()):
        return f"{shown} is no file, and as a URL it lacks https://"
    return f"{shown}: no such file; {_RIGHT}" if text.strip() else f"empty; {_RIGHT}"


def path_in(text: str) -> Path | None:
    """*text* as a path, also from a ``file:`` URL; None for what cannot be one."""
    text = text.strip()
    if not text or len(text) > _PATH_MOST or "\0" in text:
        return None
    if text[:5].lower() == "file:":
        parts = urlsplit(text)
        return Path(url2pathname(parts.path)) if parts.netloc in ("", "localhost") else None
    return Path(text)


def exists(path: Path) -> bool:
    """Whether there is something of that name, also a link that leads nowhere."""
    try:
        path.lstat()
    except (OSError, ValueError):  # no such file, a name that is too long, half a character
        return False
    return True


def picture_in_base64(text: str) -> bytes | None:
    """The bytes of a picture that *text* is as base64; None if it is no base64 of a picture.

    Raises:
        InvalidRequest: it begins as one, but is cut or damaged further on.
    """
    if not _is_picture(_decoded(text[:_PATH_MOST].strip()[:64])):
        return None
    if _BASE64.fullmatch(text) and (data := _decoded("".join(text.split()))):
        return data
    raise refused(f"{brief(text)} begins as the base64 of a picture, and is damaged or cut")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.translate({45: 43, 95: 47}), validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_picture(data: bytes | None) -> bool:
    return data is not None and len(data) >= TELLING_BYTES and media_type(data) is not None


def read_picture(path: Path) -> bytes:
    """The bytes of a regular file; a pipe or a device is refused, as it may never end.

    Raises:
        InvalidRequest: it cannot be read, is no regular file or is larger than 256 MiB.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                data = None
            else:
                data = file.read(PICTURE_MOST + 1)
    except OSError as exc:
        raise refused(f"{path}: {exc.strerror or exc}") from None
    except ValueError as exc:  # a NUL or half a character in the name
        raise refused(f"{brief(str(path))}: {exc}") from None
    if data is None:
        raise refused(f"{path}: not a regular file; read it, and give its bytes")
    return _bounded(data, str(path))


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would wait for one that writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > PICTURE_MOST:
        raise refused(f"{name}: larger than {PICTURE_MOST >> 20} MiB")
    return data


def _in_file(file: Any) -> tuple[bytes, str]:
    """What is left in a binary file; all of it where nothing is left, as after writing into it."""
    name = brief(getattr(file, "name", None) or type(file).__name__)
    try:
        data = file.read(PICTURE_MOST + 1)
        if data == b"" and file.seekable():
            file.seek(0)
            data = file.read(PICTURE_MOST + 1)
    except Exception as exc:  # a file of the caller's own may raise anything
        raise refused(f"{name} cannot be read: {brief(str(exc))}") from None
    if hasattr(data, "__await__"):
        getattr(data, "close", lambda: None)()
        raise refused(f"{name} is read asynchronously; await its read(), and give the bytes")
    if isinstance(data, str):
        raise refused(f"{name} is open as text; open it with mode 'rb'")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise refused(f"{name} reads {brief(data)}; {_RIGHT}")
    return _bounded(bytes(data), name), name


def _in_pillow(image: Any) -> bytes:
    """Losslessly as PNG, with its colour profile and its EXIF data."""
    target = BytesIO()
    try:
        shown = image if image.mode in _PNG_MODES else image.convert("RGB")
        shown.save(target, "PNG", exif=image.getexif())
    except Exception as exc:  # Pillow reads lazily: the file behind it may be gone or damaged
        raise refused(f"the Pillow image cannot be written as PNG: {brief(str(exc))}") from None
    return target.getvalue()
