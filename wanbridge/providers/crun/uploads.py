"""Crun takes pictures as URLs, so one that comes inline is put first where Crun can read it.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from urllib.parse import urlencode

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import Exchange, Op
from wanbridge.adapters.uploads import decoded, inline_pictures, may_receive, upload_pictures
from wanbridge.errors import Charge, ProviderUnavailable
from wanbridge.model.request import ImageRequest
from wanbridge.pictures.headers import Facts
from wanbridge.providers.crun.replies import read_data
from wanbridge.wire import HttpRequest, json_request


@frozen
class _Place:
    presigned_url: str
    file_url: str


def upload_inline(adapter: Adapter, request: ImageRequest) -> Exchange[ImageRequest]:
    """*request* with a URL for each picture that came inline; each is uploaded once."""
    return upload_pictures(request, inline_pictures(request), lambda _, uri: _upload(adapter, uri))


def _upload(adapter: Adapter, uri: str) -> Exchange[str]:
    """A presigned place, then the bytes: to another host, which must not see the key."""
    data, mime = decoded(adapter, uri)
    query = urlencode({"content_type": mime, "ext": Facts(mime, None, None).extension})
    url = f"{adapter.base_url}/client/files/upload-url?{query}"
    response = yield json_request("GET", url, headers=adapter.x_api_key())
    if (error := adapter.failure(response, op=Op.PREPARE)) is not None:
        raise error
    place = read_data(adapter, response, _Place)
    for name, value in (("presigned_url", place.presigned_url), ("file_url", place.file_url)):
        if not may_receive(adapter, value):
            message = f"$.data.{name}: neither https nor on the host of base_url"
            raise adapter.malformed(response, message, raw=response.json())
    put = HttpRequest(
        method="PUT", url=place.presigned_url, headers={"Content-Type": mime}, body=data
    )
    response = yield put
    if response.status >= 300:
        said = ErrorDetail(code=None, message=f"the upload was refused: {response.text()}")
        raise adapter.error(ProviderUnavailable, said, response, charge=Charge.NO)
    return place.file_url
