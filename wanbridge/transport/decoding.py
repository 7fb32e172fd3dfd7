"""Decoding the content of HTTP messages piece by piece, never more at once than was asked for.

Messages are asked for as they are (``Accept-Encoding: identity``), and some servers compress
all the same. One encoding, gzip or deflate, is taken; a second around it is how 387 bytes
become gigabytes, and is refused like an encoding that was not asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

# What comes out at once.
PIECE = 64 * 2**10
_GZIP, _ZLIB, _RAW = 31, 15, -15
_MAGIC = b"\x1f\x8b"


class Undecodable(Exception):
    """The content has an encoding that is not taken."""


class Damaged(Exception):
    """The compressed content is broken or ends too early."""


def decoder(encoding: str | None) -> Decoder | None:
    """A decoder for this ``Content-Encoding``; None if there is nothing to decode.

    Raises:
        Undecodable: it is unknown, or more than one.
    """
    match (encoding or "").strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Decoder(_GZIP)
        case "deflate":
            return Decoder(None)
    shown = ascii((encoding or "")[:40])
    raise Undecodable(f"its content is encoded as {shown}; identity, gzip or deflate was expected")


class Decoder:
    """Decodes one message.

    Args:
        window: What `zlib.decompressobj` calls ``wbits``; None is found out from the content,
            since some servers send for "deflate" what belongs inside of zlib's frame, unframed.
    """

    def __init__(self, window: int | None) -> None:
        self._window, self._head, self._begun = window, b"", False
        self._inflate = None if window is None else zlib.decompressobj(window)

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """What *chunk* holds, in pieces of `PIECE` bytes at most.

        Raises:
            Damaged: it is not compressed like that.
        """
        if self._inflate is None:
            self._head = chunk = self._head + chunk
            self._begun = bool(chunk)
            if len(chunk) < 2:
                return
            # RFC 1950, 2.2: compression method 8, and both bytes a multiple of 31.
            framed = chunk[0] & 15 == 8 and int.from_bytes(chunk[:2]) % 31 == 0
            self._inflate = zlib.decompressobj(_ZLIB if framed else _RAW)
        while chunk:
            if self._inflate.eof:
                # gzip may hold several members (RFC 1952, 2.2). What else follows means nothing.
                if self._window != _GZIP or not _MAGIC.startswith(chunk[:2]):
                    return
                self._inflate = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._inflate.decompress(chunk, PIECE)
            except zlib.error as exc:
                raise Damaged(f"its compressed content is broken ({exc})") from None
            if piece:
                yield piece
            chunk = self._inflate.unconsumed_tail or self._inflate.unused_data

    def end(self) -> bytes:
        """End the message; returns what is left of its content, some hundred bytes.

        Raises:
            Damaged: it is not all of what was compressed.
        """
        rest = self._inflate.flush() if self._inflate is not None else b""
        if self._begun and (self._inflate is None or not self._inflate.eof):
            raise Damaged("its compressed content ends too early")
        return rest
