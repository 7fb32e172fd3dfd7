"""The type of whatever a picture may be given as, for type checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from wanbridge.model.inputs import InputImage
from wanbridge.model.size import Size


class FilePath(Protocol):
    """A `pathlib.Path` and the like."""

    def __fspath__(self) -> str: ...


class BinaryFile(Protocol):
    """A file opened with mode ``rb``, a ``BytesIO`` and the like."""

    def read(self, size: int = ..., /) -> bytes: ...


class PillowImage(Protocol):
    """An image of Pillow, which need not be installed."""

    @property
    def mode(self) -> str: ...

    def getexif(self) -> Any: ...


# A URL, a data: URI, base64 and the name of a file are texts; see `InputImage.of`.
PictureLike: TypeAlias = (
    InputImage
    | str
    | bytes
    | bytearray
    | memoryview
    | FilePath
    | BinaryFile
    | PillowImage
    | Mapping[str, Any]
)
PicturesLike: TypeAlias = PictureLike | Sequence[PictureLike]
SizeLike: TypeAlias = Size | str | tuple[int, int] | Mapping[str, Any]
