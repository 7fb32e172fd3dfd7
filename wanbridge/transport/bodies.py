"""The body of a reply: decoded, counted, and given up at the end of its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from wanbridge.transport.deadlines import Bound
from wanbridge.transport.decoding import PIECE, decoder
from wanbridge.transport.failures import ReplyTooLong, foreign_failures

if TYPE_CHECKING:
    from wanbridge.transport.library import httpx

# A picture longer than this goes through a temporary file on its way into memory.
SPOOLED = 8 * 2**20


class BodyReader:
    """Decodes and counts the body of a reply, and gives it up at the end of its bound.

    Args:
        write: Called with each decoded piece, at most *most* bytes in all.
    """

    def __init__(
        self, response: httpx.Response, write: Callable[[bytes], object], most: int, bound: Bound
    ) -> None:
        self._write, self._bound = write, bound
        self._left = most
        # What is compressed takes hardly more than what it holds, or holds nothing.
        self._left_raw = most + PIECE
        # A transport within this process may have read and decoded the body itself.
        encoding = response.headers.get("content-encoding")
        self._decoder = decoder(encoding) if not response.is_stream_consumed else None

    def take(self, chunk: bytes) -> bool:
        """Take the next bytes as received; False if there is no room for all that they hold.

        Raises:
            Damaged, OutOfTime: the reply is given up.
        """
        self._bound.received(len(chunk))
        if self._decoder is None:
            return self._put(chunk)
        self._left_raw -= len(chunk)
        return self._left_raw >= 0 and all(map(self._put, self._decoder.decode(chunk)))

    def end(self) -> bool:
        """The reply has ended; as `take`."""
        return self._decoder is None or self._put(self._decoder.end())

    def _put(self, piece: bytes) -> bool:
        taken = piece if len(piece) <= self._left else piece[: self._left]
        self._left -= len(taken)
        self._write(taken)
        return len(taken) == len(piece)


class Spool:
    """The bytes of a picture, in memory; of a long one in a file until all of it is here.

    To grow a buffer takes the old one beside the new, which for a long picture is twice its size.
    """

    def __init__(self) -> None:
        import tempfile  # which loads 10 modules, and only pictures need it

        self._file = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        try:
            self._file.write(chunk)
        except OSError as exc:
            raise ReplyTooLong(f"there is no room for it ({exc.strerror})") from None

    def body(self) -> bytes:
        size = self._file.tell()
        self._file.seek(0)
        return self._file.read(size)


def raw_chunks(response: httpx.Response) -> Iterator[bytes]:
    """The body as received; already decoded where a transport within this process read it."""
    with foreign_failures():
        yield from (response.content,) if response.is_stream_consumed else response.iter_raw()
