"""KIE takes pictures as links, so one that comes inline is uploaded first, to a host of its own.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

import hashlib

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Exchange, Op
from wanbridge.model.pictures import Facts, from_data_uri, inspect
from wanbridge.model.request import ImageRequest
from wanbridge.model.structuring import named
from wanbridge.wire import HttpRequest

_UPLOAD_URL = "https://kieai.redpandaai.co"  # upload


@frozen
class _Upload:
    link: str = named("downloadUrl")


@frozen
class _Uploaded:
    data: _Upload


def upload_inline(adapter: Adapter, request: ImageRequest) -> Exchange[ImageRequest]:
    """*request* with a link for each picture that came inline; each is uploaded once."""
    links: dict[str | None, str] = {}
    for image in request.images:
        if image.url and image.scheme == "data" and image.url not in links:
            links[image.url] = yield from _upload(adapter, image.url)
    if not links:
        return request
    images = (evolve(image, url=links.get(image.url, image.url)) for image in request.images)
    return evolve(request, images=tuple(images))


def _upload(adapter: Adapter, uri: str) -> Exchange[str]:
    """The link of a picture. Its name is its content's, since an equal name overwrites."""
    try:
        data, mime = from_data_uri(uri)
    except ValueError as exc:
        raise adapter.unsupported("images", str(exc)) from None
    own = adapter.base_url == adapter.default_url
    # A gateway of one's own gets the upload as well; the key goes to no host but the two.
    host = adapter.options.upload_url or (
        _UPLOAD_URL if own else adapter.base_url.removesuffix("/api/v1")
    )
    digest = hashlib.sha256(data).hexdigest()
    name = digest + (inspect(data) or Facts(mime, None, None)).extension
    response = yield HttpRequest(
        method="POST",
        url=f"{host}/api/file-stream-upload",
        headers={
            **adapter.bearer(),
            "Content-Type": f"multipart/form-data; boundary={digest}",
        },
        body=b"".join(
            (
                _part(digest, 'name="uploadPath"', b"images/wanbridge"),
                _part(digest, 'name="fileName"', name.encode()),
                _part(digest, f'name="file"; filename="{name}"\r\nContent-Type: {mime}', data),
                f"--{digest}--\r\n".encode(),
            )
        ),
    )
    if (error := adapter.failure(response, op=Op.PREPARE)) is not None:
        raise error
    link = adapter.structure(response, _Uploaded).data.link
    if not link.startswith(("https://", "http://")):
        raise adapter.malformed(response, f"$.data.downloadUrl: {link[:40]!r} is not a link")
    return link


def _part(boundary: str, disposition: str, content: bytes) -> bytes:
    """One part of a form."""
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"
