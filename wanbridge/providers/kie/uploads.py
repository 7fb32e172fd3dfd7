"""KIE takes pictures as links, so one that comes inline is uploaded first, to a host of its own.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

import hashlib

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.multipart import FormFile, form
from wanbridge.adapters.steps import Exchange, Op
from wanbridge.adapters.uploads import decoded, inline_pictures, upload_pictures
from wanbridge.model.request import ImageRequest
from wanbridge.model.structuring import named
from wanbridge.pictures.headers import Facts, inspect
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
    return upload_pictures(request, inline_pictures(request), lambda _, uri: _upload(adapter, uri))


def _upload(adapter: Adapter, uri: str) -> Exchange[str]:
    """The link of a picture. Its name is its content's, since an equal name overwrites."""
    data, mime = decoded(adapter, uri)
    own = adapter.base_url == adapter.default_url
    # A gateway in ``base_url`` gets the upload too: the key goes to no other host.
    host = adapter.options.upload_url or (
        _UPLOAD_URL if own else adapter.base_url.removesuffix("/api/v1")
    )
    digest = hashlib.sha256(data).hexdigest()
    name = digest + (inspect(data) or Facts(mime, None, None)).extension
    content_type, body = form(
        [("uploadPath", "images/wanbridge"), ("fileName", name)],
        FormFile(name="file", filename=name, mime=mime, data=data),
        boundary=digest,
    )
    response = yield HttpRequest(
        method="POST",
        url=f"{host}/api/file-stream-upload",
        headers={**adapter.bearer(), "Content-Type": content_type},
        body=body,
    )
    link = adapter.read(response, Op.PREPARE, _Uploaded).data.link
    if not link.startswith(("https://", "http://")):
        raise adapter.malformed(response, f"$.data.downloadUrl: {link[:40]!r} is not a link")
    return link
