"""DashScope's temporary storage: a policy, a form sent to an OSS host, then an ``oss://`` URL.

``GET /uploads?action=getPolicy&model=...`` gives a signed policy and the host; a multipart POST
with these fields, the file last, stores it for 48 hours, for one model. The host is object
storage: it knows no API key and answers in XML.

Source: https://help.aliyun.com/zh/model-studio/get-temporary-file-url, read 2026-11-20 (wire
page, 2.7), and for the order of the form the provider's Python SDK. The codes of the storage
host other than ``AccessDenied`` for an expired policy are inferred.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from email.message import Message as MimeHeaders
from email.parser import BytesHeaderParser
from typing import Any, Final

from attrs import define, frozen

from wanbridge.sandbox.account import Account
from wanbridge.sandbox.dialect import Call
from wanbridge.sandbox.dialects.dashscope.errors import Refused
from wanbridge.sandbox.reply import Reply, text_reply
from wanbridge.wire import HttpRequest

# Where the upload host lives under the sandbox's own origin.
HOST_PATH: Final = "/oss-upload"

_ACCESS_KEY: Final = "LTAI5tSandboxUpload"
_LIFE_SECONDS: Final = 48 * 3600


@frozen(kw_only=True)
class _Policy:
    signature: str
    folder: str
    model: str
    expires_at: float
    megabytes: float


@frozen(kw_only=True)
class _Stored:
    data: bytes
    model: str
    until: float


@frozen(kw_only=True)
class _Form:
    """A multipart form up to its file; ``file`` is None if there is none."""

    fields: Mapping[str, str]
    file: bytes | None


@define(slots=False, eq=False)
class _Denied(Exception):
    status: int
    code: str
    message: str


class Uploads:
    """The policies that were given out and the files that came."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._policies: dict[str, _Policy] = {}
        self._files: dict[str, _Stored] = {}

    def policy(self, model: str, *, seconds: float, megabytes: float) -> dict[str, Any]:
        """A new policy for one model, the ``data`` of the reply.

        Args:
            seconds: How long forms may use it.
            megabytes: The largest file it allows.
        """
        account = self._account
        expires_at = account.now() + seconds
        folder = f"dashscope-instant/{account.hex(32)}/{account.uuid()}"
        text = _base64({"expiration": expires_at, "conditions": [["starts-with", "$key", folder]]})
        signature = _base64(account.hex(20))
        self._policies[text] = _Policy(
            signature=signature,
            folder=folder,
            model=model,
            expires_at=expires_at,
            megabytes=megabytes,
        )
        return {
            "policy": text,
            "signature": signature,
            "upload_dir": folder,
            "upload_host": f"{account.origin}/{account.provider}{HOST_PATH}",
            "expire_in_seconds": seconds,
            "max_file_size_mb": megabytes,
            "capacity_limit_mb": 999999999,
            "oss_access_key_id": _ACCESS_KEY,
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }

    def store(self, call: Call) -> Reply:
        """The storage host's answer to a form."""
        try:
            form = _read_form(call.request)
            policy = self._check_policy(form.fields)
            key = self._check_key(form.fields, policy)
            data = _check_file(form, policy)
        except _Denied as denied:
            return xml_error(denied.status, denied.code, denied.message, self._account.hex(24))
        until = self._account.now() + _LIFE_SECONDS
        self._files[key] = _Stored(data=data, model=policy.model, until=until)
        # 204 is OSS's own default.
        status = 200 if form.fields.get("success_action_status") == "200" else 204
        return text_reply(status, "")

    def resolve(self, url: str, model: str) -> bytes:
        """The file behind an ``oss://`` URL. Raises Refused: gone, or meant for another model."""
        stored = self._files.get(url.removeprefix("oss://"))
        if stored is None or stored.model != model or self._account.now() >= stored.until:
            raise Refused(
                "InvalidParameter.DataInspection", "Unable to download the media resource"
            )
        return stored.data

    def _check_policy(self, fields: Mapping[str, str]) -> _Policy:
        policy = self._policies.get(fields.get("policy", ""))
        if policy is None:
            raise _Denied(403, "AccessDenied", "Invalid policy")
        if fields.get("OSSAccessKeyId") != _ACCESS_KEY:
            raise _Denied(403, "InvalidAccessKeyId", "The OSS Access Key Id does not exist")
        if fields.get("Signature") != policy.signature:
            raise _Denied(403, "SignatureDoesNotMatch", "The signature does not match")
        if self._account.now() >= policy.expires_at:
            raise _Denied(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        return policy

    def _check_key(self, fields: Mapping[str, str], policy: _Policy) -> str:
        key = fields.get("key", "")
        if not key.removeprefix(f"{policy.folder}/") or not key.startswith(f"{policy.folder}/"):
            raise _Denied(403, "AccessDenied", "Invalid according to Policy: condition failed: key")
        if key in self._files and fields.get("x-oss-forbid-overwrite") == "true":
            raise _Denied(409, "FileAlreadyExists", "The object you specified already exists")
        return key


def xml_error(status: int, code: str, message: str, request_id: str) -> Reply:
    """An error as object storage writes it."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n'
        f"  <Code>{code}</Code>\n  <Message>{message}</Message>\n"
        f"  <RequestId>{request_id.upper()}</RequestId>\n</Error>\n"
    )
    return text_reply(status, body, content_type="application/xml")


def _check_file(form: _Form, policy: _Policy) -> bytes:
    if form.file is None:
        raise _Denied(400, "InvalidArgument", "There must be a file in the form")
    if len(form.file) > policy.megabytes * 2**20:
        raise _Denied(400, "EntityTooLarge", "The upload exceeds the maximum allowed size")
    return form.file


def _read_form(request: HttpRequest) -> _Form:
    """The form's fields; whatever follows the file is ignored, so it has to come last."""
    headers = MimeHeaders()
    headers["Content-Type"] = request.header("content-type") or ""
    boundary = headers.get_boundary()
    if headers.get_content_type() != "multipart/form-data" or boundary is None:
        raise _Denied(400, "MalformedPOSTRequest", "The body is not multipart/form-data")
    fields: dict[str, str] = {}
    for part in (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())[1:]:
        head, _, value = part.partition(b"\r\n\r\n")
        parsed = BytesHeaderParser().parsebytes(head.lstrip())
        name = parsed.get_param("name", header="content-disposition")
        if name == "file":
            return _Form(fields=fields, file=value)
        if isinstance(name, str):
            fields[name] = value.decode("utf-8", "replace")
    return _Form(fields=fields, file=None)


def _base64(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()
