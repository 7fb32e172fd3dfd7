"""Forms as bytes."""

from __future__ import annotations

import re
from email.parser import BytesParser
from email.policy import HTTP

from wanbridge.adapters.multipart import FormFile, form

KITE = FormFile(name="file", filename="kite.png", mime="image/png", data=b"\x89PNG\r\n--\0")


def test_a_form_is_read_by_others_as_it_was_written() -> None:
    """Fields in their order, the file last with its name and type, every byte as it was."""
    kind, body = form([("key", "a/b"), ("policy", "e\r\n--x--")], KITE)

    parsed = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = list(parsed.iter_parts())
    names = [p.get_param("name", header="content-disposition") for p in parts]
    assert ["key", "policy", "file"] == names
    assert b"a/b" == parts[0].get_payload(decode=True)
    assert ("kite.png", "image/png") == (parts[2].get_filename(), parts[2].get_content_type())
    assert body.count(KITE.data) == 1
    assert body.endswith(b"--\r\n")


def test_a_boundary_comes_from_the_content() -> None:
    """No chance is needed, and a second send has the same bytes."""
    once, again = form([("key", "a")], KITE), form([("key", "a")], KITE)
    other = form([("key", "b")], KITE)

    assert once == again
    assert once[0] != other[0]
    assert re.fullmatch(r"multipart/form-data; boundary=[0-9a-f]{64}", once[0])


def test_a_boundary_that_is_given_is_used() -> None:
    """A provider's file is named by its digest, which serves as the boundary too."""
    kind, body = form([("key", "a")], KITE, boundary="edge")

    assert "multipart/form-data; boundary=edge" == kind
    assert body.startswith(b"--edge\r\n")
    assert body.endswith(b"\r\n--edge--\r\n")


def test_a_file_s_repr_is_short() -> None:
    """Twenty megabytes in a traceback help nobody."""
    assert "PNG" not in repr(KITE)
