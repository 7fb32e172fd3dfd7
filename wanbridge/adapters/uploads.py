"""Uploads before a submit, for providers that take pictures by URL only; each is uploaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Exchange
from wanbridge.model.request import ImageRequest
from wanbridge.pictures.headers import from_data_uri


def inline_pictures(request: ImageRequest) -> list[int]:
    """Indices of the pictures that come as ``data:`` URIs."""
    return [index for index, image in enumerate(request.images) if image.scheme == "data"]


def upload_pictures(
    request: ImageRequest, indices: Iterable[int], upload: Callable[[int, str], Exchange[str]]
) -> Exchange[ImageRequest]:
    """*request* with the URL from *upload* for each picture at *indices*.

    Args:
        indices: Of pictures that have a URL.
        upload: Takes a picture's index and its ``data:`` URI and returns where it is then.
    """
    images, uploaded = list(request.images), dict[str, str]()
    for index in indices:
        image = images[index]
        assert image.url is not None
        if image.url not in uploaded:
            uploaded[image.url] = yield from upload(index, image.url)
        images[index] = evolve(image, url=uploaded[image.url])
    return evolve(request, images=tuple(images)) if uploaded else request


def decoded(adapter: Adapter, uri: str, *, prefix: str = "") -> tuple[bytes, str]:
    """The bytes and the media type of a ``data:`` URI.

    Raises:
        UnsupportedFeature: it is none that can be read; the message begins with *prefix*.
    """
    try:
        return from_data_uri(uri)
    except ValueError as exc:
        raise adapter.unsupported("images", f"{prefix}{exc}") from None


def may_receive(adapter: Adapter, url: str) -> bool:
    """Whether pictures may be sent to *url*: over https, or to the host that is sent the key."""
    try:
        parts, own = urlsplit(url), urlsplit(adapter.base_url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or parts[:2] == own[:2])
