"""``inspect``, and the flags that say what files say of where they come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from marked_pictures import LABEL, LABEL_XMP, drawn, exif, texts, with_manifest
from wanbridge.model.result import Image, ImageResult
from wanbridge.pictures.headers import data_uri
from wanbridge.pictures.metadata import annotate

GENERATE = ("generate", "a red kite", "--sandbox", "--provider", "runware", "--size", "1K")


def test_a_generated_picture_says_where_it_comes_from(run: Any) -> None:
    """By default without the prompt; inspect shows it to people and to programs."""
    assert 0 == run(*GENERATE, "--seed", 7, "--key", "order-7", "-o", "kite").code

    shown, told = run("inspect", "kite.png"), run("inspect", "kite.png", "--json")

    made = told.json["wanbridge"]
    assert ("wan2.7-image", "runware", "order-7", 7) == tuple(
        made[name] for name in ("model", "provider", "key", "seed")
    )
    assert "prompt" not in made
    assert (0, "image/png", 1024, 1024, Path("kite.png").stat().st_size) == (
        told.code,
        *(told.json[name] for name in ("mime", "width", "height", "bytes")),
    )
    for words in ("kite.png", "1024 x 1024", "order-7", made["date"], "no C2PA manifest"):
        assert words in shown.out
    assert 0 == shown.code


def test_flags_say_more_or_nothing(run: Any) -> None:
    """The prompt on request; --no-metadata saves what was delivered."""
    assert 0 == run(*GENERATE, "--metadata-prompt", "-o", "told").code
    assert 0 == run(*GENERATE, "--no-metadata", "-o", "bare").code

    assert "a red kite" == run("inspect", "told.png", "--json").json["wanbridge"]["prompt"]
    assert None is run("inspect", "bare.png", "--json").json["wanbridge"]
    both = run(*GENERATE, "--no-metadata", "--metadata-prompt")
    assert (2, "one or the other" in both.err) == (both.code, True)


def test_a_fetched_picture_says_where_it_comes_from(
    run: Any, world: Any, configure: Any, the: Any
) -> None:
    """By its job with the prompt, by a stored result without: it does not have it."""
    config = ("--config", configure(world, "reapi"))
    assert 0 == run("submit", "a red kite", "--size", "1K", *config).code
    assert 0 == run("fetch", the("*.job.json"), "--metadata-prompt", "-o", "kite", *config).code
    image = Image(url=data_uri(drawn("PNG"), "image/png"))
    result = ImageResult(
        provider="reapi", model="wan2.7-image", job_id=None, images=(image,), requested=1
    )
    Path("r.json").write_text(result.to_json())

    refused = run("fetch", "r.json", "--metadata-prompt", "-o", "again", *config)
    again = run("fetch", "r.json", "-o", "again", *config)

    assert "a red kite" == run("inspect", "kite.png", "--json").json["wanbridge"]["prompt"]
    assert (2, "r.json is a result, which has no prompt") == (
        refused.code,
        refused.lines[0].partition("prompt: ")[2],
    )
    assert 0 == again.code
    assert {"model": "wan2.7-image", "provider": "reapi"} == run(
        "inspect", "again.png", "--json"
    ).json["wanbridge"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            drawn("PNG", pnginfo=texts(Title="kite", AIGC=LABEL)),
            {"metadata": ["tEXt Title", "tEXt AIGC"], "ai_labels": ["AIGC"], "mime": "image/png"},
            id="PNG",
        ),
        pytest.param(
            annotate(drawn("JPEG", xmp=LABEL_XMP, exif=exif()), {"model": "wan2.7-image"}),
            {
                "metadata": ["Exif", "XMP"],
                "ai_labels": ["AIGC"],
                "wanbridge": {"model": "wan2.7-image"},
            },
            id="JPEG",
        ),
        pytest.param(
            with_manifest("WEBP"),
            {"metadata": ["XMP", "C2PA"], "c2pa": "embedded", "ai_labels": ["AIGC"]},
            id="WEBP",
        ),
        pytest.param(drawn("JPEG")[:-2], {"whole": False, "metadata": []}, id="cut"),
        pytest.param(
            drawn("PNG")[:16] + b"\0\0\xff\xff" * 2 + drawn("PNG")[24:],
            {"width": 65_535, "whole": True},
            id="bomb",
        ),
        pytest.param(drawn("GIF", "P"), {"mime": "image/gif", "whole": None}, id="GIF"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(30), {"width": None, "whole": False}, id="stub"),
    ],
)
def test_a_file_is_told_as_it_is(run: Any, data: bytes, expected: dict[str, Any]) -> None:
    """What others wrote by its kind, marks, and what is wrong with it."""
    Path("kite").write_bytes(data)

    shown, told = run("inspect", "kite"), run("inspect", "kite", "--json")

    assert (0, 0) == (shown.code, told.code)
    assert expected == {name: told.json[name] for name in expected}
    assert ("claims 65535 x 65535" in shown.out) == (expected.get("width") == 65_535)
    assert ("cut or damaged" in shown.out) == (expected.get("whole") is False)
    assert (told.json["problem"] is not None) == (expected.get("width") == 65_535)


def test_texts_of_a_picture_reach_no_terminal_raw(run: Any) -> None:
    """Whoever made it could move the cursor, or change the title of the window."""
    made = {"model": "\x1b]0;owned\x07", "provider": "two\nlines"}
    Path("kite").write_bytes(annotate(drawn("PNG", pnginfo=texts(**{"\x1b[2J": "x"})), made))

    ran = run("inspect", "kite")

    assert "\x1b" not in ran.out
    assert "two lines" in ran.out


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "text", "nothing", "missing"])
def test_what_is_no_picture_is_one_line(run: Any, kind: str) -> None:
    """A pipe without a writer and a device without an end are not waited for."""
    match kind:
        case "folder":
            Path("it").mkdir()
        case "pipe":
            if not hasattr(os, "mkfifo"):
                pytest.skip("POSIX")
            os.mkfifo("it")
        case "device":
            if not Path("/dev/zero").exists():
                pytest.skip("POSIX")
            Path("it").symlink_to("/dev/zero")
        case "text":
            Path("it").write_text("<html>no picture</html>")
        case "nothing":
            Path("it").touch()

    ran = run("inspect", "it")

    assert (2, 1, "") == (ran.code, len(ran.lines), ran.out)
    assert ran.lines[0].startswith("wanbridge: it: ")
    assert (kind in ("pipe", "device")) == ran.lines[0].endswith("not a regular file")
