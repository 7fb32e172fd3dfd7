"""Fetching pictures: no credentials, no private hosts, no more bytes than allowed.

A URL in a reply is not trusted. Its host is resolved first, refused if any of its
addresses is not public, and the connection goes to the address that was checked; every
redirect is checked again. Only an origin that the configuration names as a ``base_url`` may
be on this machine (the sandbox, a gateway).
"""

from __future__ import annotations

import logging
from ipaddress import IPv6Address, ip_address, ip_network
from typing import cast
from urllib.parse import urljoin, urlsplit

from attrs import evolve, frozen

from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Fetch, Flow, NoPicture, Resolve, Sink, Sleep
from wanbridge.errors import CallFailed, Charge, DownloadFailed, InvalidRequest, TransportFailed
from wanbridge.model.brief import brief_url
from wanbridge.model.inputs import InputImage
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.pictures.claims import excess
from wanbridge.pictures.headers import from_data_uri, inspect
from wanbridge.wire import HttpResponse

log = logging.getLogger("wanbridge")

# A 4096x4096 picture without compression is 64 MiB and its header; one in memory is all that a
# hostile server can fill.
PICTURE_MOST = 68 * 2**20
# Enough of any of the formats to read its size from, EXIF thumbnails included.
HEADER_BYTES = 256 * 2**10
REDIRECTS = 5
RETRIES = 3
# Seconds for what begins at the deadline, as after a redirect.
LEAST = 0.05
_PORTS = {"https": 443, "http": 80}
# Addresses that are public as such and lead to private ones: 6to4, Teredo.
_WRAPPERS = tuple(ip_network(n) for n in ("2002::/16", "2001::/32"))
# All that is handed out as public IPv6, but for what is for documentation.
_PUBLIC6, _EXAMPLES6 = ip_network("2000::/3"), ip_network("3fff::/20")
_RELAYS = ip_network("192.88.99.0/24")  # to 6to4, given up in 2015 (RFC 7526)


def origin(url: str) -> str:
    """Scheme, host and port of a URL, the port spelled out: ``https://host:443``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def is_public(address: str) -> bool:
    """Whether an IP address is global: not private, loopback, link-local or reserved."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip not in _PUBLIC6 or any(ip in net for net in (*_WRAPPERS, _EXAMPLES6)):
            return False
    return ip.is_global and not ip.is_multicast and ip not in _RELAYS


def download(
    account: str, image: Image, sink: Sink, *, context: CallContext, until: float | None = None
) -> Flow[None]:
    """Fetch the bytes of a delivered picture into *sink*.

    Args:
        until: When, on the clock, to give up; None: at the deadline of *context*.

    Raises:
        DownloadFailed: the URL is refused, the link has ended, or the line broke.
    """
    yield from _download(account, image, sink, context, until)


def _download(
    account: str, image: Image, sink: Sink | None, context: CallContext, until: float | None
) -> Flow[bytes]:
    """As `download`; without a sink it returns the bytes."""
    url, until = image.url or "", context.until if until is None else until
    sink = None if sink is None else _JudgingSink(account, sink)
    try:
        return (yield from _fetch(account, url, sink, PICTURE_MOST, context, until))
    except _Refused as exc:
        raise DownloadFailed(
            account, f"{brief_url(image.url)}: {exc}", Charge.YES, image=image, expired=exc.expired
        ) from exc.__cause__


@frozen
class _JudgingSink:
    """A sink whose word that this is no picture is not taken for a trouble of the line."""

    account: str
    sink: Sink

    def write(self, chunk: bytes) -> object:
        try:
            return self.sink.write(chunk)
        except ValueError as exc:
            raise NoPicture(self.account, str(exc), Charge.YES) from None

    def restart(self) -> object:
        return self.sink.restart()


def download_image(
    account: str, image: Image, *, context: CallContext, until: float | None = None
) -> Flow[Image]:
    """The picture with ``data``, ``mime``, ``width`` and ``height`` filled.

    Args:
        until: As for `download`.

    Raises:
        DownloadFailed: as `download`, and if the bytes are no picture, or cannot hold the
            pixels that it claims.
    """
    if image.data is not None:
        return described(image, image.data, account)
    if image.url is not None and image.url.startswith("data:"):
        try:
            data, _ = from_data_uri(image.url)
        except ValueError as exc:
            raise DownloadFailed(account, str(exc), Charge.YES, image=image) from None
        return described(image, data, account)
    data = yield from _download(account, image, None, context, until)
    return described(image, data, account)


def described(image: Image, data: bytes, account: str) -> Image:
    """*image* with its bytes, and type and size as they say."""
    if (facts := inspect(data)) is None:
        raise DownloadFailed(
            account,
            f"{brief_url(image.url)} brought {len(data)} bytes that are no picture",
            Charge.YES,
            image=image,
        )
    if (problem := excess(data)) is not None:
        message = f"{brief_url(image.url)}: {problem}"
        raise DownloadFailed(account, message, Charge.YES, image=image)
    return evolve(image, data=data, mime=facts.mime, width=facts.width, height=facts.height)


def fetch_inline(
    account: str, images: tuple[Image, ...], context: CallContext, until: float
) -> Flow[tuple[tuple[Image, ...], tuple[Note, ...]]]:
    """All pictures with their bytes; one that cannot be fetched keeps its URL and gets a note."""
    fetched: list[Image] = []
    notes: list[Note] = []
    for index, image in enumerate(images):
        try:
            fetched.append(
                (yield from download_image(account, image, context=context, until=until))
            )
        except DownloadFailed as exc:
            fetched.append(image)
            notes.append(Note("inline", "info", f"images[{index}] is not here: {exc.message}"))
        except Exception as exc:  # whatever it is, the picture is paid for and its link is here
            log.exception("wanbridge: a picture could not be fetched")
            fetched.append(image)
            reason = type(exc).__name__
            notes.append(Note("inline", "info", f"images[{index}] is not here: {reason}"))
    return tuple(fetched), tuple(notes)


def measure(request: ImageRequest, *, context: CallContext) -> Flow[ImageRequest]:
    """*request* with the width and height of every input image that can be read.

    Raises:
        DownloadFailed: an image that has to be fetched could not be.
        InvalidRequest: a box leaves its picture.
    """
    images: list[InputImage] = []
    until = context.until
    for index, image in enumerate(request.images):
        try:
            images.append((yield from _measured(image, f"images[{index}]", context, until)))
        except InvalidRequest as exc:
            raise InvalidRequest(p.under(f"$.images[{index}]") for p in exc.problems) from None
    return evolve(request, images=tuple(images))


def _measured(image: InputImage, name: str, context: CallContext, until: float) -> Flow[InputImage]:
    if image.width is not None or image.scheme not in ("https", "http", "data") or image.is_digest:
        return image
    assert image.url is not None
    if image.scheme == "data":
        try:
            data, _ = from_data_uri(image.url)
        except ValueError as exc:
            raise DownloadFailed(name, str(exc), Charge.NO) from None
    else:
        try:
            data = yield from _fetch(
                name, image.url, None, HEADER_BYTES, context, until, beginning=True
            )
        except _Refused as exc:
            message = f"{brief_url(image.url)}: {exc}"
            raise DownloadFailed(name, message, Charge.NO, expired=exc.expired) from exc.__cause__
    facts = inspect(data)
    if facts is None or facts.width is None:
        raise DownloadFailed(name, f"{brief_url(image.url)} is no picture with a size", Charge.NO)
    return evolve(image, width=facts.width, height=facts.height)


class _Refused(Exception):
    """Why nothing could be fetched from a URL."""

    def __init__(self, reason: str, expired: bool | None = None) -> None:
        super().__init__(reason)
        self.expired = expired


def _fetch(
    account: str,
    url: str,
    sink: Sink | None,
    limit: int,
    context: CallContext,
    until: float,
    *,
    beginning: bool = False,
) -> Flow[bytes]:
    """Follow redirects, each checked, until bytes have come or fetching is refused."""
    hops, backoff, tries = 0, 1.0, 0
    plain = Fetch(account=account, url=url, address=None, limit=limit, sink=sink)
    while True:
        addresses = yield from _checked(url, context)
        address = addresses[tries % len(addresses)] if addresses else None
        if sink is not None:
            sink.restart()
        within = max(until - context.clock(), LEAST)
        fetch = evolve(plain, url=url, address=address, beginning=beginning, within=within)
        response, trouble = yield from _once(fetch)
        if response is not None and response.status in (301, 302, 303, 307, 308):
            if (hops := hops + 1) > REDIRECTS:
                raise _Refused(f"more than {REDIRECTS} redirects")
            url = _next_hop(url, response.header("location"))
            continue
        if response is not None and 200 <= response.status < 300:
            return response.body
        if response is not None and response.status not in (408, 429) and response.status < 500:
            raise _Refused(f"HTTP {response.status}", response.status in (403, 404, 410) or None)
        asked = response.retry_after if response is not None else None
        pause = context.jittered(backoff) if asked is None else min(asked, 30.0)
        if (tries := tries + 1) > RETRIES or context.late(pause, until):
            why = f"HTTP {response.status}" if response is not None else str(trouble)
            raise _Refused(why) from trouble
        yield Sleep(pause)
        backoff *= 2


def _once(fetch: Fetch) -> Flow[tuple[HttpResponse | None, CallFailed | None]]:
    try:
        return cast("HttpResponse", (yield fetch)), None
    except NoPicture as exc:
        raise _Refused(exc.message) from exc
    except TransportFailed as exc:
        return None, exc


def _next_hop(url: str, location: str | None) -> str:
    if not location:
        raise _Refused("a redirect without a target")
    try:
        target = urljoin(url, location)
    except ValueError:
        raise _Refused("a redirect to no URL") from None
    if url.startswith("https:") and not target.startswith("https:"):
        raise _Refused(f"a redirect away from https to {brief_url(target)}")
    return target


def _checked(url: str, context: CallContext) -> Flow[tuple[str, ...]]:
    """The addresses to connect to; none for an origin of the configuration."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        host = parts.hostname
    except (ValueError, KeyError):
        raise _Refused("not an https or http URL") from None
    if not host:
        raise _Refused("a URL without a host")
    if origin(url) in context.origins:
        return ()
    try:
        addresses = cast("tuple[str, ...]", (yield Resolve(host=host, port=port)))
    except TransportFailed as exc:
        raise _Refused(exc.message) from exc
    if not addresses:
        raise _Refused(f"{host} has no address")
    if private := [a for a in addresses if not is_public(a)]:
        raise _Refused(f"{host} is at {private[0]}, which is not a public address")
    return addresses
