"""Crun takes pictures as URLs, so one that comes inline is put first where Crun can read it.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import Exchange, Op
from wanbridge.errors import Charge, ProviderUnavailable
from wanbridge.model.pictures import Facts, from_data_uri
from wanbridge.model.request import ImageRequest
from wanbridge.providers.crun.replies import read_data
from wanbridge.wire import HttpRequest, json_request


@frozen
class _Place:
    presigned_url: str
    file_url: str


def upload_inline(adapter: Adapter, request: ImageRequest) -> Exchange[ImageRequest]:
    """*request* with a URL for each picture that came inline; each is uploaded once."""
    places: dict[str, str] = {}
    for uri in [image.url for image in request.images if image.scheme == "data"]:
        if uri is not None and uri not in places:
            places[uri] = yield from _upload(adapter, uri)

    moved = [evolve(i, url=places.get(i.url or "", i.url)) for i in request.images]
    return evolve(request, images=tuple(moved))


def _upload(adapter: Adapter, uri: str) -> Exchange[str]:
    """A presigned place, then the bytes: to another host, which must not see the key."""
    try:
        data, mime = from_data_uri(uri)
    except ValueError as exc:
        raise adapter.unsupported("images", str(exc)) from None
    query = urlencode({"content_type": mime, "ext": Facts(mime, None, None).extension})
    url = f"{adapter.base_url}/client/files/upload-url?{query}"
    response = yield json_request("GET", url, headers=adapter.x_api_key())
    if (error := adapter.failure(response, op=Op.PREPARE)) is not None:
        raise error
    place = read_data(adapter, response, _Place)
    for name, value in (("presigned_url", place.presigned_url), ("file_url", place.file_url)):
        if not _reachable(adapter, value):
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


def _reachable(adapter: Adapter, url: str) -> bool:
    try:
        parts, home = urlsplit(url), urlsplit(adapter.base_url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or parts[:2] == home[:2])
