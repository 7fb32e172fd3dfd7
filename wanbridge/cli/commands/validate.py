"""``wanbridge validate``: what is wrong with a document, all of it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from wanbridge.bulk.request_files import request_in_text
from wanbridge.cli.accounts import read_settings
from wanbridge.cli.codes import Exit
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError, read_file
from wanbridge.config import plain
from wanbridge.errors import InvalidRequest, Problem
from wanbridge.model import schemas, strict_json
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.result import ImageResult

Kind = Literal["request", "job", "receipt", "result", "config"]

_STORED: dict[str, Callable[[bytes], object]] = {
    "job": Job.from_json,
    "receipt": Receipt.from_json,
    "result": ImageResult.from_json,
}


def validate(
    file: Annotated[Path, Parameter(help="The document.")],
    /,
    *,
    as_: Annotated[Kind, Parameter(name="--as", help="What it is meant to be.")] = "request",
    allow_outside: Annotated[
        bool,
        Parameter(negative="", help="Let a request name pictures outside of its folder."),
    ] = False,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Check a request, job, receipt, result or configuration file.

    Prints ok, or every problem with its path, one on a line.
    """
    problems = tuple(_problems(file, as_, allow_outside=allow_outside))
    for problem in problems:
        print(session.line(str(problem)))
    if problems:
        return Exit.USAGE
    print(f"{file}: ok ({as_})")
    return Exit.OK


def _problems(file: Path, kind: Kind, *, allow_outside: bool) -> Iterable[Problem]:
    text = read_file(file)
    if kind == "config":
        return _of_settings(file, text)
    try:
        if kind == "request":
            request_in_text(text, file.parent, allow_outside=allow_outside)
        else:
            _STORED[kind](text)
    except InvalidRequest as exc:
        return exc.problems
    return ()


def _of_settings(file: Path, text: bytes) -> Iterable[Problem]:
    document = plain(_settings(file, text))
    if problems := schemas.problems(document, "config"):
        return problems
    # What a schema cannot say: options that contradict each other, a key that others can read.
    read_settings(file)
    return ()


def _settings(file: Path, text: bytes) -> Any:
    try:
        return strict_json.parse(text) if file.suffix == ".json" else tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, InvalidRequest) as exc:
        raise UsageError(f"{file}: {exc}") from None
