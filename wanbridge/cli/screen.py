"""Output helpers: consoles, tables, and JSON."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wanbridge.cli.session import Session
from wanbridge.cli.target import Saved, shown
from wanbridge.model.money import Money
from wanbridge.model.result import Image, ImageResult
from wanbridge.pictures import headers as picture

# Enough of a file to read a picture's size from, metadata included.
_HEAD_BYTES = 256 * 2**10
# Of a picture in a message.
_DATA_SHOWN = 60
# Errors of writing to a closed terminal or pipe.
_CLOSED_STREAM_ERRORS = (errno.EPIPE, errno.EIO)
# Columns where output is no terminal: a pipe, a file.
_WIDE = 200


def console() -> Console:
    """Standard output; as wide as its lines where it is no terminal."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(highlight=False, markup=False, emoji=False, width=width, soft_wrap=False)


def err_console() -> Console:
    """Standard error, for live progress and the trace."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_stderr(session: Session, text: str, *, lead: str = "") -> None:
    """One line on standard error."""
    print(lead + session.line(text), file=sys.stderr, flush=True)


@contextmanager
def ignoring_closed_output() -> Iterator[None]:
    """Ignore in this block that standard output or error is closed; the exit code stays.

    A terminal that was closed fails with EIO, a closed pipe with EPIPE. Anything else, as a full
    disk under a redirected output, is raised.
    """
    try:
        with suppress(SystemExit):  # which rich makes of a closed pipe
            yield
    except OSError as exc:
        if exc.errno not in _CLOSED_STREAM_ERRORS:
            raise
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as exc:
            # The interpreter would fail on the buffered rest at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if exc.errno not in _CLOSED_STREAM_ERRORS:
                raise


def show_json(session: Session, document: object) -> None:
    """A document on standard output, and nothing else."""
    print(session.hide(json.dumps(document, ensure_ascii=False, indent=2)), flush=True)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table; *right* are the columns of numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def facts(rows: Mapping[str, str]) -> Table:
    """Names and values, one below the other; empty values stay out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            made.add_row(name, Text(value))
    return made


def money(cost: Money | None) -> str:
    """An amount as text; ``unknown`` for None."""
    return "unknown" if cost is None else str(cost)


def seconds_of(result: ImageResult) -> str:
    """Seconds that all attempts of the call took, with one decimal."""
    return f"{sum(attempt.seconds for attempt in result.attempts):.1f}"


def show_result(
    session: Session, result: ImageResult, saved: Iterable[Saved], *, polls: int
) -> None:
    """Files first, then the facts of the call, then what was noted."""
    out = console()
    if files := _files(saved):
        out.print(files)
        out.print()
    source = {"reply": " (the provider's word)", "rule": " (by its price list)", None: ""}
    rows = {
        "provider": result.provider,
        "model": result.model,
        "job": result.job_id or "",
        "polls": str(polls),
        "seconds": seconds_of(result),
        "cost": money(result.cost) + source[result.cost_source],
    }
    out.print(facts({name: session.line(value) for name, value in rows.items()}))
    lines = [f"note: {note}" for note in result.notes]
    lines += [f"failed: {f.code or 'no code'}: {f.message}" for f in result.failures]
    for line in lines:
        out.print(session.line(line), style="yellow")


def _files(saved: Iterable[Saved]) -> Table | None:
    made = table("file", "pixels", "size", right=("pixels", "size"))
    for one in saved:
        if one.path is not None:
            facts = describe(one.path) if isinstance(one.path, Path) else _facts(one.image)
            made.add_row(Text(shown(one.path)), *facts)
    return made if made.row_count else None


def _facts(image: Image) -> tuple[str, str]:
    """Pixels and bytes of a picture whose bytes are here."""
    known = image.width is not None
    return f"{image.width} x {image.height}" if known else "unknown", size_of(
        len(image.data or b"")
    )


def describe(path: Path) -> tuple[str, str]:
    """Pixels and bytes of a saved picture, as people read them."""
    with path.open("rb") as file:
        found = picture.inspect(file.read(_HEAD_BYTES))
    known = found is not None and found.width is not None
    pixels = f"{found.width} x {found.height}" if found and known else "unknown"
    return pixels, size_of(path.stat().st_size)


def size_of(count: int) -> str:
    """Bytes as kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def pretty(body: bytes) -> str:
    """A JSON body for people: indented, and pictures inside it cut."""
    try:
        document = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    return json.dumps(_cut(document), ensure_ascii=False, indent=2)


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, str) and value.startswith("data:") and len(value) > _DATA_SHOWN:
        return f"{value[:_DATA_SHOWN]}… ({len(value)} characters)"
    return value
