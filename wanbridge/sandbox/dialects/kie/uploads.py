"""KIE's file upload: three ways in, one shape out, three days.

The manual has a host of its own for uploads, its OpenAPI files name the main one; the sandbox has
one origin, so the upload base is ``{origin}/kie``. It fetches nothing: what a URL upload would
have fetched is stood for by a picture of one pixel, unless the file is one of its own uploads.

Source: docs.kie.ai/file-upload-api, read 2026-11-20 (wire page, 1). Not documented and so our
choice: 422 for what cannot be read, names for files without one, that ``uploadedAt`` is ISO text.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from datetime import UTC, datetime
from typing import Any, Final

from wanbridge.sandbox.account import Account
from wanbridge.sandbox.dialect import Call
from wanbridge.sandbox.dialects.kie.rules import Refused
from wanbridge.sandbox.dialects.shapes import is_public, is_text
from wanbridge.sandbox.dialects.uploads import Shelf, image_type, read_form

_LIFE_SECONDS: Final = 3 * 86400
_DATA_URI: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")
_PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgaGAAAAGEAIGZSOUCAAAAAElFTkSuQmCC"
)


class Uploads:
    """What customers uploaded."""

    def __init__(self, account: Account) -> None:
        self.shelf = Shelf(account, seconds=_LIFE_SECONDS)
        self._account = account

    def stream(self, call: Call) -> dict[str, Any]:
        """The ``data`` of the answer to a form. Raises Refused."""
        try:
            form = read_form(call.request)
        except ValueError as error:
            raise Refused(str(error)) from None
        if "file" not in form:
            raise Refused("file is required")
        fields = {name: part.text for name, part in form.items() if name != "file"}
        return self._put(fields, form["file"].data, name=form["file"].filename)

    def from_url(self, body: Any) -> dict[str, Any]:
        """The ``data`` of the answer to a URL. Raises Refused."""
        fields = _object(body)
        url = fields.get("fileUrl")
        if not isinstance(url, str) or not self._reachable(url):
            raise Refused("fileUrl must be a public URL that can be downloaded")
        return self._put(fields, self.shelf.get(url) or _PIXEL)

    def from_base64(self, body: Any) -> dict[str, Any]:
        """The ``data`` of the answer to base64, bare or in a data URL. Raises Refused."""
        fields = _object(body)
        text = fields.get("base64Data")
        if not is_text(text, 2**31):
            raise Refused("base64Data is required")
        found = _DATA_URI.match(text)
        try:
            data = base64.b64decode(text[found.end() :] if found else text, validate=True)
        except binascii.Error:
            raise Refused("base64Data is not valid base64") from None
        return self._put(fields, data, mime=found[1] if found else None)

    def _reachable(self, url: str) -> bool:
        if url.startswith(f"{self._account.origin}/"):
            return not self.shelf.is_dead(url)
        return is_public(url, ("https", "http"))

    def _put(
        self,
        fields: dict[str, Any],
        data: bytes,
        *,
        name: str | None = None,
        mime: str | None = None,
    ) -> dict[str, Any]:
        folder, name = fields.get("uploadPath"), fields.get("fileName", name)
        if not is_text(folder, 500) or not (name is None or is_text(name, 500)):
            raise Refused("uploadPath is required, it and fileName must be strings")
        mime = mime or image_type(data) or "application/octet-stream"
        name = name or self._account.hex(16) + (mimetypes.guess_extension(mime) or "")
        # The same name overwrites.
        path = f"{folder.strip('/')}/{name}"
        return {
            "fileName": name,
            "filePath": path,
            "downloadUrl": self.shelf.put(path, data, mime),
            "fileSize": len(data),
            "mimeType": mime,
            "uploadedAt": datetime.fromtimestamp(self._account.now(), UTC).isoformat(),
        }


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused("the body is not an object")
    return body
