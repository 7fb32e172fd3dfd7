"""The effects that a conversation yields, for a client to carry out.

A flow is a generator that yields one of these and is sent the reply, or has the transport
error thrown in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Protocol, Self, TypeVar

from attrs import field, frozen

from wanbridge.errors import TransportFailed
from wanbridge.model.brief import brief_url
from wanbridge.model.jobs import Job
from wanbridge.wire import HttpRequest

T = TypeVar("T")

# Replies are JSON of some kilobytes. A picture as base64 that was not asked for still fits, and
# parsing what a hostile provider makes of it takes less than 100 MB.
REPLY_MOST = 8 * 2**20


@frozen(kw_only=True)
class Send:
    """Send *request* for *account*; the reply is sent in, `TransportFailed` thrown in.

    Attributes:
        billable: Buys something: an interruption is held back until the outcome is known.
        connect: Seconds for a connection to stand, where they are fewer than the client's.
        read: Seconds for a reply to begin, where they are fewer than the request's.
        within: Seconds for all of the exchange, the last byte of the reply included; None: the
            client's deadline. A billable one has its read timeout and a grace in any case.
        most: Bytes that the body of the reply may have; more is `TransportFailed`.
    """

    account: str
    request: HttpRequest
    billable: bool = False
    connect: float | None = None
    read: float | None = None
    within: float | None = None
    most: int = REPLY_MOST


@frozen(kw_only=True)
class JobKey:
    """Identifies a job, both to a callback and to a client that waits for it.

    Attributes:
        account: Where it was submitted.
        call: The logical call, by a digest of its key: an address on the wire shows no key.
        task: The provider's id.
    """

    account: str
    call: str
    task: str

    @classmethod
    def of(cls, job: Job) -> Self:
        """That of *job*."""
        return cls(account=job.account, call=call_of(job.key), task=job.id)


def call_of(key: str) -> str:
    """The logical call of *key*: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


@frozen
class Wake:
    """Which news end a sleep.

    Attributes:
        seen: Number of the latest news of *job* that are known; later ones end it.
    """

    job: JobKey
    seen: int = 0


@frozen
class Sleep:
    """Wait for *seconds*, or until there are news of a job.

    The reply is the number of the latest news, greater than ``wake.seen`` if there were any;
    None without a *wake*.
    """

    seconds: float
    wake: Wake | None = None


class NotBegun(BaseException):
    """Thrown in for a billable `Send` that was not begun: no byte was sent.

    Attributes:
        interruption: What prevented it, for the flow to raise.
    """

    def __init__(self, interruption: BaseException) -> None:
        super().__init__(interruption)
        self.interruption = interruption


class NoPicture(TransportFailed):
    """A picture exceeds its limit or is none, or its URL is invalid; fetching again is no help."""


class Sink(Protocol):
    """Receives the bytes of a picture."""

    def write(self, chunk: bytes, /) -> object:
        """Take the next bytes.

        Raises:
            ValueError: they begin no picture; in a `download` it becomes `DownloadFailed`.
        """

    def restart(self) -> object:
        """Discard what was written: the transfer begins anew."""


@frozen(kw_only=True)
class Resolve:
    """Look a host up; the reply is a tuple of addresses as text."""

    host: str
    port: int


@frozen(kw_only=True)
class Fetch:
    """GET a picture; the reply is an `HttpResponse`, its body empty where there is a *sink*.

    Attributes:
        sink: Where the bytes go; None: they are the body of the reply.
        address: To connect to, whatever the host's name says; None is as the URL says.
        limit: Bytes at most. More is `NoPicture`.
        beginning: Only the first *limit* bytes are wanted; more is cut, not wrong.
        within: Seconds for all of the exchange; None: the client's deadline.
    """

    account: str
    url: str = field(repr=brief_url)
    address: str | None
    limit: int
    sink: Sink | None = field(default=None, repr=False)
    beginning: bool = False
    within: float | None = None


@frozen(kw_only=True)
class Stage:
    """Put a picture in the object store; the reply is a signed link that GETs it.

    `StorageFailed` is thrown in; storing the same picture again changes nothing.

    Attributes:
        data: The picture.
        mime: Its media type.
        lifetime: Seconds that the link is good for.
        within: Seconds for all of it.
    """

    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    mime: str
    lifetime: float
    within: float


Effect = Send | Sleep | Resolve | Fetch | Stage
# Replies: HttpResponse to Send and Fetch, a tuple of addresses to Resolve, a number or None to
# Sleep, a link as text to Stage.
Flow = Generator[Effect, object, T]
