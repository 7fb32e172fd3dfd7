"""What an object store costs a call: requests, and how often each byte is moved.

A photo in a file goes to providers that take only links, by way of a real S3 server (moto's, over
HTTP on this machine), and the pictures that come are kept there. Requests and bytes are counted by
that server, by the way to the sandbox, and by watching what this process opens.

    python benchmarks/staging.py            # prints the table
    python benchmarks/staging.py --check    # exit 1 if anything is stored, read or fetched twice
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import failover
from attrs import frozen
from s3_server import CREDENTIALS, S3Server, s3_server

from wanbridge import Client, ImageRequest, InputImage, Registry, Route
from wanbridge.client.base import sandboxed
from wanbridge.pictures.headers import from_data_uri
from wanbridge.sandbox import Sandbox
from wanbridge.sandbox.transport import SandboxTransport
from wanbridge.transport.library import httpx

KEPT = "s3://pictures/out"
# Name, route, and what fails at the first provider.
CALLS: tuple[tuple[str, tuple[str, ...], Mapping[str, Any]], ...] = (
    ("takes the bytes", ("runware",), {}),
    ("takes links only", ("reapi",), {}),
    ("busy at first", ("reapi",), {"kind": "rate_limit", "retry_after": 1}),
    ("next account, links only", ("empiriolabs", "reapi"), {"kind": "no_credit"}),
    ("next account takes bytes", ("reapi", "runware"), {"kind": "no_credit"}),
)


@frozen(kw_only=True)
class Row:
    """One call.

    Attributes:
        submits: Billable POSTs.
        reads: How often the photo's file was opened.
        photo: Bytes of that file.
        staged: PUTs of the photo.
        staged_bytes: Of all of them.
        fetched: GETs of delivered pictures.
        pictures: How many were delivered.
        kept: PUTs of those.
        others: Any other request to the store.
    """

    name: str
    submits: int
    reads: int
    photo: int
    staged: int
    staged_bytes: int
    fetched: int
    pictures: int
    kept: int
    others: int

    @property
    def needs_links(self) -> bool:
        """Whether a provider of the call takes links only."""
        return self.name != CALLS[0][0]

    @property
    def lean(self) -> bool:
        """Whether nothing was moved twice."""
        staged = int(self.needs_links)
        return (
            (self.reads, self.staged, self.staged_bytes) == (1, staged, staged * self.photo)
            and self.fetched == self.kept == self.pictures
            and not self.others
        )


class _Wire(SandboxTransport):
    """The way to the sandbox; counts pictures that are fetched."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.fetched = Counter[str]()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if "/files/" in request.url.path:
            self.fetched[request.url.path] += 1
        return super()._answer(request)


_opened = Counter[str]()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    # A mode is that of Python's open; the opener it may use is told of a second time, without.
    if event == "open" and arguments[1] is not None:
        _opened[str(arguments[0])] += 1


@cache
def _watching() -> None:
    sys.addaudithook(_watch)


def measure(s3: S3Server) -> Iterator[Row]:
    """Every call of `CALLS`, with *s3* as the store."""
    _watching()
    url = failover.photo().images[0].url
    assert url is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "photo.png")
        file.write_bytes(from_data_uri(url)[0])
        for name, providers, fault in CALLS:
            s3.clear()
            yield _call(name, providers, fault, file, s3)


def _call(
    name: str, providers: tuple[str, ...], fault: Mapping[str, Any], file: Path, s3: S3Server
) -> Row:
    clock = failover.Clock()
    sandbox = Sandbox(clock=clock)
    if fault:
        sandbox.fault(**fault, provider=providers[0])
    wire = _Wire(sandbox)
    _, adapters = sandboxed(sandbox, Registry())
    options: dict[str, Any] = {"clock": clock, "now": clock.now, "sleep": clock.sleep}
    _opened.clear()
    with (
        httpx.Client(transport=wire) as http,
        Client(adapters, http=http, storage=s3.storage("in"), **options) as client,
    ):
        # One picture twice in the request is still one object.
        photo = InputImage.from_file(file)
        request = ImageRequest("as a woodcut", images=[photo, photo], size="1K", n=2)
        result = client.generate(request, route=Route(providers))
        client.save_all(result, KEPT)
    staged, kept = s3.puts("in/"), s3.puts("out/")
    return Row(
        name=name,
        submits=len(sandbox.ledger()["posts"]),
        reads=_opened[str(file)],
        photo=file.stat().st_size,
        staged=len(staged),
        staged_bytes=sum(size for _, _, size in staged),
        fetched=sum(wire.fetched.values()),
        pictures=len(result.images),
        kept=len(kept),
        others=len(s3.requests) - len(staged) - len(kept),
    )


def table(rows: list[Row]) -> str:
    """As Markdown."""
    names = ("submits", "reads", "photo", "staged", "staged_bytes", "fetched", "pictures", "kept")
    lines = [["call", *names, "others"], ["---"] * (len(names) + 2)]
    lines += [[row.name, *(str(getattr(row, n)) for n in (*names, "others"))] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Print the table; with ``--check`` 1 if a row is not lean."""
    parser = argparse.ArgumentParser(description="What an object store costs a call.")
    parser.add_argument("--check", action="store_true", help="exit 1 if something is moved twice")
    options = parser.parse_args()
    os.environ.update(CREDENTIALS)
    logging.getLogger("wanbridge").setLevel(logging.ERROR)
    with s3_server() as s3:
        rows = list(measure(s3))
    print(table(rows))
    return int(options.check and not all(row.lean for row in rows))


if __name__ == "__main__":
    sys.exit(main())
