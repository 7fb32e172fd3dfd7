"""``wanbridge inspect``: what a picture's file says about itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import Parameter

from wanbridge.cli.codes import Exit
from wanbridge.cli.options import AsJson
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError
from wanbridge.pictures.claims import excess
from wanbridge.pictures.containers import length
from wanbridge.pictures.headers import BEGINNING
from wanbridge.pictures.headers import Facts as Header
from wanbridge.pictures.headers import inspect as inspect_header
from wanbridge.pictures.metadata import Report, report

_MANIFESTS = {
    "embedded": "C2PA manifest, not verified",
    "linked": "C2PA manifest elsewhere, linked in the XMP, not verified",
    None: "no C2PA manifest",
}
_LABELS = {
    "AIGC": "AIGC (China, GB 45438-2025)",
    "IPTC": "trainedAlgorithmicMedia (IPTC)",
}


def inspect(
    file: Annotated[Path, Parameter(help="A picture.")],
    /,
    *,
    json: AsJson = False,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Show what a picture's file says: size, format, where it comes from, provenance.

    Metadata that wanbridge wrote, the kinds of others' (Exif, XMP, texts), whether there is a C2PA
    manifest and a label that an AI made it. Nothing is decoded, verified or sent.
    """
    with _opened(file) as opened:
        header = inspect_header(opened.read(BEGINNING))
        if header is None:
            raise UsageError(f"{file}: no picture that is known here: PNG, JPEG, WEBP, BMP, GIF")
        size, problem, found = length(opened), excess(opened), report(opened)
    from wanbridge.cli import screen

    if json:
        screen.show_json(session, _document(file, size, header, problem, found))
    else:
        rows = _rows(size, header, problem, found)
        print(session.line(str(file)))
        screen.console().print(screen.facts({k: session.line(v) for k, v in rows.items()}))
    return Exit.OK


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file; a pipe or a device, which could be read for ever, is refused."""
    try:
        # Opening a pipe waits for a writer, unless it is told not to.
        handle = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UsageError(f"{path}: not a regular file")
            yield file
    except OSError as exc:
        raise UsageError(f"{path}: {exc.strerror or exc}") from None


def _document(
    file: Path, size: int, header: Header, problem: str | None, found: Report | None
) -> dict[str, Any]:
    return {
        "file": os.fspath(file),
        "bytes": size,
        "mime": header.mime,
        "width": header.width,
        "height": header.height,
        "problem": problem,
        "whole": found.whole if found else None,
        "wanbridge": dict(found.made) if found and found.made else None,
        "metadata": list(found.metadata) if found else [],
        "c2pa": found.manifest if found else None,
        "ai_labels": list(found.labels) if found else [],
    }


def _rows(size: int, header: Header, problem: str | None, found: Report | None) -> dict[str, str]:
    known = header.width is not None
    rows = {
        "format": header.mime,
        "pixels": f"{header.width} x {header.height}" if known else "unknown",
        "bytes": f"{size:,}",
        "problem": problem or "",
    }
    if found is None:
        return {**rows, "metadata": "not looked for in this format"}
    if not found.whole:
        rows["problem"] = problem or "the file is cut or damaged"
    made = {name.replace("_id", ""): str(value) for name, value in found.made.items()}
    return {
        **rows,
        **made,
        "metadata": ", ".join(found.metadata) or "none of others",
        "provenance": _MANIFESTS[found.manifest],
        "AI label": ", ".join(_LABELS[label] for label in found.labels) or "none",
    }
