"""Files of many requests: JSONL or CSV, read as a stream."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from attrs import define

from wanbridge.bulk.request_files import request_in_document, request_in_text
from wanbridge.errors import InvalidRequest, Problem, step
from wanbridge.model.nearest import did_you_mean
from wanbridge.model.request import ImageRequest

_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


def _integer(cell: str) -> object:
    return int(cell) if re.fullmatch(r"-?[0-9]{1,18}", cell) else cell


def _boolean(cell: str) -> object:
    word = cell.lower()
    return True if word in _YES else False if word in _NO else cell


def _images(cell: str) -> object:
    return [part for part in re.split(r"\s*[\n|]\s*", cell) if part]


# Columns of a CSV file, and what their cells become. What is no JSON of the field stays text, for
# the schema to name. Boxes, colours and ``extra`` have no cell: such requests are JSONL.
COLUMNS: Mapping[str, Callable[[str], object]] = {
    "prompt": str,
    "model": str,
    "negative_prompt": str,
    "images": _images,
    "n": _integer,
    "sequential": _boolean,
    "size": str,
    "thinking": _boolean,
    "seed": _integer,
    "watermark": _boolean,
    "output_format": str,
    "inline": _boolean,
    "callback_url": str,
}


@define
class RequestFile:
    """Requests of one file, which may be larger than memory.

    JSONL has a canonical request on each line; empty lines are passed over. CSV (by its name's
    extension) is UTF-8 with a header, whose columns are simple fields of a request: an empty cell
    is the default; ``images`` holds one picture a line, or several with ``|`` between. A
    byte-order mark, quoted line breaks, and semicolons or tabs between cells are read too.

    Attributes:
        path: The file; pictures that it names are relative to its folder.
        allow_outside: Whether they may lie outside of that folder.
        number: Of the line at which the request in hand begins, from 1.
    """

    path: Path
    allow_outside: bool = False
    number: int = 0

    def requests(self) -> Iterator[ImageRequest]:
        """The requests in their order.

        Raises:
            InvalidRequest: a request is wrong, or the file is no such file; `number` says where.
            OSError: the file cannot be read.
        """
        if self.path.suffix.lower() == ".csv":
            with self.path.open(encoding="utf-8-sig", newline="") as text:
                yield from self._rows(text)
        else:
            with self.path.open("rb") as lines:
                for self.number, line in enumerate(lines, 1):
                    if text_of_one := line.strip():
                        yield request_in_text(
                            text_of_one, self.path.parent, allow_outside=self.allow_outside
                        )

    def _rows(self, text: TextIO) -> Iterator[ImageRequest]:
        try:
            self.number = 1
            header = text.readline()
            reader = csv.reader(_from_start(header, text), delimiter=_delimiter(header))
            columns = _columns(next(reader, []))
            while True:
                self.number = reader.line_num + 1
                if (cells := next(reader, None)) is None:
                    return
                if any(cell.strip() for cell in cells):
                    yield self._row(columns, cells)
        except UnicodeDecodeError:
            message = "not UTF-8; save it as 'CSV UTF-8'"
            raise InvalidRequest((Problem("$", message),)) from None
        except csv.Error as exc:
            raise InvalidRequest((Problem("$", f"not CSV: {exc}"),)) from None

    def _row(self, columns: list[str], cells: list[str]) -> ImageRequest:
        if len(cells) > len(columns):
            message = f"{len(cells)} cells under {len(columns)} columns; quote what has separators"
            raise InvalidRequest((Problem("$", message),))
        document: dict[str, Any] = {
            name: COLUMNS[name](cell.strip())
            for name, cell in zip(columns, cells, strict=False)
            if cell.strip()
        }
        return request_in_document(document, self.path.parent, allow_outside=self.allow_outside)


def _from_start(header: str, text: TextIO) -> Iterator[str]:
    yield header
    yield from text


def _delimiter(header: str) -> str:
    """Comma, semicolon or tab: Excel writes what the system's language has between numbers."""
    return max(",;\t", key=header.count)


def _columns(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    problems = []
    for name in names:
        if name not in COLUMNS:
            advice = f"{did_you_mean(name, COLUMNS)}there are {', '.join(COLUMNS)}"
            problems.append(Problem(f"${step(name)}", f"unknown column; {advice}"))
        elif names.count(name) > 1:
            problems.append(Problem(f"${step(name)}", "this column is there twice"))
    if not names:
        problems.append(Problem("$", "no header; the first line names the columns"))
    if problems:
        raise InvalidRequest(dict.fromkeys(problems))
    return names
