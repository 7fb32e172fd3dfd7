"""Compressed content: one encoding, decoded piece by piece; what swells is given up."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import memory_limited
from hostile_servers import Script, flood, serving, swelling, whole
from wanbridge.adapters.registry import BUILTIN
from wanbridge.model.jobs import Job
from wanbridge.model.request import ImageRequest
from wanbridge.transport.decoding import PIECE, Damaged, Undecodable, decoder
from wanbridge.wire import VALUES_MOST, WIDE_MOST, HttpResponse, parse_json

TEXT = json.dumps({"id": "t-1", "said": "a kite " * 40_000}).encode()


def packed_by_gzip(data: bytes) -> bytes:
    """Without the time, which would change from run to run."""
    return gzip.compress(data, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def decoded(encoding: str, content: bytes, size: int = 1000) -> bytes:
    made = decoder(encoding)
    assert made is not None
    parts = [p for at in range(0, len(content), size) for p in made.decode(content[at : at + size])]
    assert all(len(part) <= PIECE for part in parts)
    return b"".join(parts) + made.end()


@pytest.mark.parametrize("size", [1, 1000, 10**9])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", packed_by_gzip(TEXT)),
        ("x-GZip ", packed_by_gzip(TEXT)),
        ("gzip", packed_by_gzip(TEXT[:9]) + packed_by_gzip(TEXT[9:])),
        ("gzip", packed_by_gzip(TEXT) + b"\0\0 and more"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT) + b"more"),
        ("deflate", raw_deflate(TEXT)),
    ],
)
def test_one_encoding_is_decoded_in_pieces(encoding: str, packed: bytes, size: int) -> None:
    """As the servers of this world write them; what follows the end of a message means nothing."""
    assert TEXT == decoded(encoding, packed, size)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_nothing_is_no_content(encoding: str) -> None:
    """An empty reply may be announced as compressed, too."""
    assert b"" == decoded(encoding, b"")


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", packed_by_gzip(TEXT)[:-9]),
        ("gzip", packed_by_gzip(TEXT)[:50]),
        ("gzip", b"not gzip at all"),
        ("gzip", packed_by_gzip(TEXT)[:-8] + b"\0\0\0\0\0\0\0\0"),
        ("deflate", zlib.compress(TEXT)[:50]),
        ("deflate", b"x"),
        ("deflate", b"\xff\xff not deflate at all"),
        ("deflate", zlib.compress(TEXT)[:40] + b"\xff" * 40),
    ],
)
def test_what_is_broken_or_cut_is_no_content(encoding: str, packed: bytes) -> None:
    """Half of a reply would be taken for all of it."""
    with pytest.raises(Damaged, match="its compressed content"):
        decoded(encoding, packed)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip, identity", "gzip,"])
def test_a_second_or_an_unknown_encoding_is_refused(encoding: str) -> None:
    """By name, before any of it is decoded."""
    with pytest.raises(Undecodable, match=f"encoded as {encoding!r}"):
        decoder(encoding)


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_what_is_not_encoded_needs_no_decoder(encoding: str | None) -> None:
    """As it was asked for."""
    assert decoder(encoding) is None


# -- what JSON becomes ---------------------------------------------------------------------------


@pytest.mark.parametrize("many", [b"[],", b"{},", b'{"":0},', b"0,", b'"ab",'])
def test_json_that_swells_when_parsed_is_refused(many: bytes) -> None:
    """Three bytes of text can be seventy of memory."""
    with pytest.raises(ValueError, match="more than 200,000 values"):
        parse_json(b"[" + many * (VALUES_MOST + 1) + b"0]")


def test_text_that_swells_when_decoded_is_refused() -> None:
    """One character beyond ASCII takes four bytes for each of a text."""
    with pytest.raises(ValueError, match="not ASCII"):
        parse_json('["{}"]'.format("é" * WIDE_MOST).encode())


@pytest.mark.parametrize("kind", [bytes, str])
def test_a_long_reply_with_some_other_characters_is_read_as_it_is(kind: type) -> None:
    """A picture as base64 beside a prompt in Chinese, an emoji and an escape."""
    document = {"prompt": '一只红色的风筝 🪁 "é" \\ é\n', "picture": "QUJD" * 300_000}
    text = json.dumps(document, ensure_ascii=False)

    assert document == parse_json(text if kind is str else text.encode())


def test_one_wrong_byte_does_not_hide_a_long_reply() -> None:
    """As in a short one."""
    body = b'{"id": "t-1", "said": "caf\xe9", "picture": "%s"}' % (b"QUJD" * 100_000)

    assert "t-1" == HttpResponse(status=200, body=body).json()["id"]


# -- over sockets, with little memory ------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x08\0\0\0\x04\0\x08\x02\0\0\0"
JSON = "Content-Type: application/json"


def says(body: bytes, *headers: str) -> Script:
    return lambda heard: [whole(body, JSON, *headers)]


def packed(body: bytes) -> Script:
    return says(packed_by_gzip(body), "Content-Encoding: gzip")


@cache
def compressed() -> dict[str, Script]:
    """Pictures are long and compressed; 64 MiB of one are taken, and no more."""
    return {
        "gzip, gzip": says(swelling(2), "Content-Encoding: gzip, gzip"),
        "gzip, gzip, gzip": says(
            swelling(3), "Content-Encoding: gzip", "Content-Encoding: gzip, gzip"
        ),
        "gzip": says(swelling(), "Content-Encoding: gzip"),
        "deflate": says(zeros_by_deflate(2**28), "Content-Encoding: deflate"),
        "br": says(b"\x0b\x02\x80", "Content-Encoding: br"),
    }


def zeros_by_deflate(count: int) -> bytes:
    """Runs are all that there is to find, and looking for them only is three times as quick."""
    packer = zlib.compressobj(9, strategy=zlib.Z_RLE)
    return packer.compress(bytes(count)) + packer.flush()


FLOODS: dict[str, Script] = {
    "no length": flood(b" " * 2**16, JSON),
    "a long length": flood(b" " * 2**16, JSON, f"Content-Length: {2**40}"),
    "chunks": flood(b"10000\r\n" + b" " * 2**16 + b"\r\n", JSON, "Transfer-Encoding: chunked"),
}


@cache
def swelling_json() -> dict[str, Script]:
    """Short when compressed, long as text, and longer as what the text stands for."""
    return {
        "lists": packed(b"[" + b"[]," * 2_600_000 + b"0]"),
        "objects": packed(b'{"data":[' + b'{"":0},' * 1_100_000 + b"0]}"),
        "depth": packed(b"[" * 8_000_000),
        "one long text": packed(b'{"id":"' + b"x" * 8_000_000 + b'"}'),
        "wide text": packed('{{"id":"{}🪁"}}'.format("x" * 8_000_000).encode()),
        "text in text": packed(
            b'{"code":200,"data":{"taskId":"t-1","state":"success","resultJson":"%s0]"}}'
            % (rb"\u005b" + rb"\u005b\u005d\u002c" * 450_000)
        ),
    }


@pytest.mark.skipif(
    not memory_limited.RESET.exists(), reason="the peak of a process is read on Linux"
)
@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "async"])
def test_a_hostile_reply_takes_less_than_100_megabytes(awaited: bool) -> None:
    """To a submit, a poll, an upload or a picture, in a process that has no more to give."""
    jobs = {name: accepted(name) for name in BUILTIN}
    replies = {**compressed(), **FLOODS, **swelling_json()}
    cases = [("reapi", "generate", says(b"{}"))]
    cases += [("reapi", "generate", reply) for reply in replies.values()]
    cases += [(n, "poll", replies[w]) for n, w in product(BUILTIN, ("gzip, gzip", "objects"))]
    cases += [("kie", "poll", replies["text in text"]), ("dashscope", "poll", replies["lists"])]
    cases += [("kie", "upload", replies[w]) for w in ("gzip, gzip", "lists")]
    pictures = {**compressed(), "flood": flood(PNG.ljust(2**16), "Content-Type: image/png")}
    for do in ("download", "save"):
        cases += [("reapi", do, reply) for reply in pictures.values()]

    with ExitStack() as stack:
        told = []
        for provider, do, script in cases:
            server = stack.enter_context(serving(script, pace=0))
            case = {"provider": provider, "do": do, "url": server.url, "awaited": awaited}
            told.append({**case, "job": jobs[provider]} if do == "poll" else case)
        ran = subprocess.run(
            [sys.executable, memory_limited.__file__, json.dumps(told)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        # An upload that is refused is tried again; nobody else listens any more.
    assert 0 == ran.returncode, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(cases) == len(lines)
    for (provider, do, _), line in zip(cases[1:], lines[1:], strict=True):
        assert 100 > line["grown"], (provider, do, line)
        assert "MemoryError" not in line["outcome"], (provider, do, line)
        assert line["outcome"].partition(":")[0] in KINDS[do], (provider, do, line)


# A poll that brings nothing leaves the job pending.
KINDS = {
    "generate": ("SubmissionUncertain",),
    "upload": ("TransportFailed", "MalformedResponse"),
    "poll": ("Pending",),
    "download": ("DownloadFailed",),
    "save": ("DownloadFailed", "ValueError"),
}


def accepted(provider: str) -> dict[str, Any]:
    """A job as it would be stored; its address is put in by the program."""
    job = Job(
        provider=provider,
        account=provider,
        base_url="http://127.0.0.1",
        id="t-1",
        request=ImageRequest("a kite"),
        submitted_at=datetime.now(UTC),
        key="k",
    )
    document: dict[str, Any] = json.loads(job.to_json())
    return document
