"""What is too long to go inline is put into DashScope's own storage first, for 48 hours (upload).

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.multipart import FormFile, form
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import Exchange, Op
from wanbridge.adapters.uploads import decoded, may_receive, upload_pictures
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    CreditExhausted,
    ProviderError,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.model.structuring import lenient
from wanbridge.pictures.headers import data_bytes
from wanbridge.wire import HttpRequest, json_request

# Originals under about 7 MB where they come as base64 (error-code); a body with base64 has 64 MiB
# at most (rate-limit), so all together stay under 60 MB as base64.
_INLINE = 7_000_000
_INLINE_ALL = 45_000_000
# How often a policy is asked for when storage calls the last one ended; they live 300 s (upload).
_POLICIES = 2
_UPLOAD_SECONDS = 120.0


@frozen
class _Policy:
    """Where a file may be put, for some minutes, and the proof of it (upload)."""

    policy: str
    signature: str
    upload_dir: str
    upload_host: str
    oss_access_key_id: str
    x_oss_object_acl: str
    x_oss_forbid_overwrite: str
    max_file_size_mb: float | None = lenient()


@frozen
class _Granted:
    data: _Policy


def upload_long(adapter: Adapter, request: ImageRequest, offer: Offer) -> Exchange[ImageRequest]:
    """*request* with an ``oss://`` address for each picture of `too_long`, uploaded once.

    Raises:
        UnsupportedFeature: nothing can be uploaded with this account or in its region.
    """
    return upload_pictures(
        request,
        too_long(request.images),
        lambda index, uri: _upload(adapter, uri, f"images[{index}]", offer),
    )


def too_long(images: tuple[InputImage, ...]) -> dict[int, int]:
    """Index and bytes of the ``data:`` pictures that cannot go inline, alone or with the others."""
    found: dict[int, int] = {}
    inline = 0
    for index, image in enumerate(images):
        if image.scheme == "data" and image.url is not None:
            size = data_bytes(image.url)
            if size > _INLINE or inline + size > _INLINE_ALL:
                found[index] = size
            else:
                inline += size
    return found


def _upload(adapter: Adapter, uri: str, name: str, offer: Offer) -> Exchange[str]:
    """The ``oss://`` address of a picture; a policy that has ended meanwhile is renewed."""
    data, mime = decoded(adapter, uri, prefix=f"{name}: ")
    refusal: ProviderError | None = None
    for _ in range(_POLICIES):
        policy = yield from _policy(adapter, len(data), name, offer)
        # By content, so that a second send of the same form finds the file of the first.
        file = f"{hashlib.sha256(data).hexdigest()}.{mime.partition('/')[2]}"
        key = f"{policy.upload_dir}/{file}"
        part = FormFile(name="file", filename=file, mime=mime, data=data)
        response = yield _form(policy, key, part)
        if response.status < 300 or b"<Code>FileAlreadyExists<" in response.body:
            return f"oss://{key}"
        detail = ErrorDetail(code=None, message=f"{name} was not stored: {response.text(160)}")
        cls = adapter.classify(response.status, None)
        # Storage judges the policy, not our key.
        cls = RequestRejected if cls is AuthenticationFailed else cls
        refusal = adapter.error(cls, detail, response, charge=Charge.NO, raw=response.text())
        if response.status != 403:
            break
    assert refusal is not None
    raise refusal


def _policy(adapter: Adapter, size: int, name: str, offer: Offer) -> Exchange[_Policy]:
    query = urlencode({"action": "getPolicy", "model": offer.alias})
    url = f"{adapter.base_url}/uploads?{query}"
    response = yield json_request("GET", url, headers=adapter.bearer())
    if (error := adapter.failure(response, op=Op.PREPARE)) is not None:
        error.charge = Charge.NO
        # One page knows uploads in Beijing only (upload); 401 is about the key.
        of_the_account = isinstance(error, RateLimited | CreditExhausted)
        if response.status in (400, 403, 404, 405) and not of_the_account:
            raise _no_upload(adapter, size, name, f"the account or region has none ({error})")
        raise error
    policy = adapter.structure(response, _Granted).data
    if not may_receive(adapter, policy.upload_host):
        raise adapter.malformed(response, "$.data.upload_host: not an https URL")
    if policy.max_file_size_mb is not None and size > policy.max_file_size_mb * 2**20:
        raise _no_upload(adapter, size, name, f"at most {policy.max_file_size_mb:g} MB are taken")
    return policy


def _no_upload(adapter: Adapter, size: int, name: str, why: str) -> UnsupportedFeature:
    said = f"{name}: {size:,} bytes, too long to go inline, cannot be uploaded: {why}"
    return adapter.unsupported("images", f"{said}; give an https URL, or {_INLINE:,} bytes at most")


def _form(policy: _Policy, key: str, file: FormFile) -> HttpRequest:
    """The upload, in the page's order; the storage host gets no API key (upload)."""
    kind, body = form(
        [
            ("OSSAccessKeyId", policy.oss_access_key_id),
            ("Signature", policy.signature),
            ("policy", policy.policy),
            ("key", key),
            ("x-oss-object-acl", policy.x_oss_object_acl),
            ("x-oss-forbid-overwrite", policy.x_oss_forbid_overwrite),
            ("success_action_status", "200"),
        ],
        file,
    )
    return HttpRequest(
        method="POST",
        url=policy.upload_host,
        headers={"Content-Type": kind},
        body=body,
        read_timeout=_UPLOAD_SECONDS,
    )
