"""Crun's uploads: a presigned URL is asked for, the bytes are PUT there, the input names the file.

Source: the upload endpoint of github.com/CrunTeam/crun-agent-skills, read 2026-11-20 (wire page,
1). The storage host's own codes and statuses are inferred: those of S3. Presigned URLs do not
expire here, as no page says when.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from wanbridge.sandbox.account import Account
from wanbridge.sandbox.dialect import Call
from wanbridge.sandbox.dialects.uploads import PATH, Shelf
from wanbridge.sandbox.reply import Reply, text_reply

# Where bytes are sent to, under the sandbox's own origin.
_PUT: Final = "/r2/"

_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/bmp": (".bmp",),
}


class Uploads:
    """The presigned URLs that were given out and the files that came."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._shelf = Shelf(account, seconds=math.inf)
        # Name of the file and the type that its URL was signed for.
        self._signed: dict[str, str] = {}

    def presign(self, content_type: str, ending: str) -> dict[str, str]:
        """The ``data`` of the reply."""
        name = f"{self._account.hex(24)}{ending}"
        self._signed[name] = content_type
        host = f"{self._account.origin}/{self._account.provider}"
        query = f"X-Amz-Signature={self._account.hex(32)}&type={quote(content_type, safe='')}"
        return {
            "presigned_url": f"{host}{_PUT}{name}?{query}",
            "file_url": f"{host}{PATH}{name}",
        }

    def serves(self, path: str) -> bool:
        """Whether a path belongs to the storage host."""
        return path.startswith((_PUT, PATH))

    def answer(self, call: Call) -> Reply:
        """The storage host's reply; it knows no API key."""
        name = call.path.removeprefix(_PUT)
        if call.method == "PUT" and name in self._signed:
            return self._store(call, name)
        found = self._shelf.reply(call.path) if call.method == "GET" else None
        return found or _refusal(404, "NoSuchKey")

    def lacks(self, url: str) -> bool:
        """Whether *url* is a file that was to be uploaded here and never came."""
        return self._shelf.is_dead(url)

    def _store(self, call: Call, name: str) -> Reply:
        if call.header("Content-Type") != self._signed[name]:
            return _refusal(403, "SignatureDoesNotMatch")
        if call.header("Content-Length") is None:
            return _refusal(411, "MissingContentLength")
        self._shelf.put(name, call.request.body, self._signed[name])
        return text_reply(200, "")


def problems(query: Mapping[str, str]) -> list[str]:
    """What is wrong with the question for a presigned URL."""
    kind, ending = query.get("content_type", ""), query.get("ext", "")
    if kind not in _ENDINGS:
        return [f"content_type: must be one of {', '.join(_ENDINGS)}"]
    if ending not in _ENDINGS[kind]:
        return [f"ext: must be {' or '.join(_ENDINGS[kind])} for {kind}, with the dot"]
    return []


def _refusal(status: int, code: str) -> Reply:
    body = f"<Error><Code>{code}</Code></Error>"
    return text_reply(status, body, content_type="application/xml")
