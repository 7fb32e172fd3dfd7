"""Files of many requests: JSONL and CSV, as spreadsheets write them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from wanbridge.bulk.reading import RequestFile
from wanbridge.errors import InvalidRequest
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.model.size import Size

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def read(path: Path, text: str | bytes) -> list[ImageRequest]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(RequestFile(path).requests())


def refusal(path: Path, text: str | bytes) -> tuple[int, list[str]]:
    """The line, and what is said of it."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    file = RequestFile(path)
    with pytest.raises(InvalidRequest) as caught:
        list(file.requests())
    return file.number, [str(problem) for problem in caught.value.problems]


def test_a_line_of_jsonl_is_a_request(tmp_path: Path) -> None:
    """With pictures beside the file; empty lines are nothing."""
    (tmp_path / "kite.png").write_bytes(PNG)
    lines = [
        json.dumps({"prompt": "a red kite"}),
        "",
        json.dumps({"prompt": "blue", "images": "kite.png", "size": [1024, 768]}),
    ]

    first, second = read(tmp_path / "all.jsonl", "\n".join(lines))

    assert ImageRequest("a red kite") == first
    assert (InputImage.from_bytes(PNG),) == second.images
    assert Size(1024, 768) == second.size


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_of_csv_is_a_request(tmp_path: Path, separator: str) -> None:
    """As Excel saves it: with a byte-order mark, CRLF, and the system's separator."""
    (tmp_path / "kite.png").write_bytes(PNG)
    rows = [
        ["prompt", "n", "images", "size", "thinking", "seed"],
        [
            '"a kite,\r\nred; ""very""\t"',
            "2",
            '"kite.png\nhttps://x"',
            "1024×768",
            "TRUE",
            "",
        ],
        ["", "", "", "", "", ""],
        ["a lamp", "", "", "", "no", "7"],
    ]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows) + "\r\n"

    first, second = read(tmp_path / "all.csv", text)

    assert 'a kite,\r\nred; "very"' == first.prompt
    assert (2, True, Size(1024, 768), None) == (first.n, first.thinking, first.size, first.seed)
    assert (InputImage.from_bytes(PNG), InputImage("https://x")) == first.images
    assert ImageRequest("a lamp", thinking=False, seed=7) == second


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("prompt,n\na kite,many\n", 2, ["$.n: 'many' is not an integer"]),
        ('prompt,n\na,1\n\n"b\nc",9\n', 4, ["$.n: 9 is out of range; 1 to 4"]),
        ("prompt,watermark\na,perhaps\n", 2, ["$.watermark: 'perhaps' is not true or false"]),
        (
            "promt,n\na,1\n",
            1,
            ["$.promt: unknown column; did you mean 'prompt'? there are"],
        ),
        ("prompt,n,n\na,1,2\n", 1, ["$.n: this column is there twice"]),
        ("prompt\na,b\n", 2, ["$: 2 cells under 1 columns; quote what has separators"]),
        ("", 1, ["$: no header; the first line names the columns"]),
        ("prompt\nÄpfel\n".encode("cp1252"), 1, ["$: not UTF-8; save it as 'CSV UTF-8'"]),
        ("prompt\n" + "x" * 140_000, 2, ["$: not CSV: field larger than field limit (131072)"]),
        ("prompt,images\na,gone.png\n", 2, ["$.images[0]: 'gone.png' is not a URL, and no file"]),
        ("prompt,images\na,../up.png\n", 2, ["$.images[0]: '../up.png' is outside of the folder"]),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, said: list[str]
) -> None:
    """A sheet of a thousand rows is mended by row and column."""
    (tmp_path / "up.png").write_bytes(PNG)
    (tmp_path / "in").mkdir()

    number, problems = refusal(tmp_path / "in" / "all.csv", text)

    assert line == number
    assert len(said) == len(problems)
    assert all(found.startswith(wanted) for found, wanted in zip(problems, said, strict=True)), (
        problems
    )


def test_a_file_is_read_as_its_requests_are_used(tmp_path: Path) -> None:
    """A bad line at the end does not keep the first from being used."""
    path = tmp_path / "all.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": 5}\n')

    requests = RequestFile(path).requests()

    assert ImageRequest("a") == next(requests)
    with pytest.raises(InvalidRequest):
        next(requests)
