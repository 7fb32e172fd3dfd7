"""``--fit``: local pictures are made acceptable before anything is sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from odd_pictures import odd


def test_a_heic_is_taken_with_fit(run: Any) -> None:
    """Without it the message names it; nothing is sent."""
    Path("kite.heic").write_bytes(odd("heic"))
    words = ("generate", "a kite", "--sandbox", "--size", "1K", "--image", "kite.heic")

    refused = run(*words)
    taken = run(*words, "--fit", "--region", "64,32,160,96", "--json")

    assert 2 == refused.code
    assert "image/heic; taken here: " in refused.err
    assert "--fit" in refused.err
    assert 0 == taken.code
    notes = [note["detail"] for note in json.loads(taken.out)["notes"]]
    assert "images[0]: from HEIC to JPEG, quality 95" in notes


def test_explain_shows_what_fitting_does(run: Any) -> None:
    """Before anything is bought; also for pictures beside a request file."""
    Path("kite.gif").write_bytes(odd("gif"))
    Path("kite.json").write_text('{"prompt": "a kite", "images": ["kite.gif"]}')

    ran = run("explain", "--request", "kite.json", "--provider", "gccai", "--fit", "--json")

    assert 0 == ran.code
    report = json.loads(ran.out)["gccai"]
    assert "adapted" == report["fields"]["images"]["outcome"]
    assert "from GIF to PNG" in report["fields"]["images"]["detail"]


def test_a_picture_that_cannot_be_fitted_ends_the_command(run: Any) -> None:
    """One line, no traceback."""
    Path("kite.png").write_bytes(odd("cut png"))

    ran = run("generate", "a kite", "--sandbox", "--image", "kite.png", "--fit")

    assert 2 == ran.code
    assert "a damaged or cut PNG picture" in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_library_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    Path("kite.gif").write_bytes(odd("gif"))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)

    ran = run("explain", "a kite", "--image", "kite.gif", "--fit")

    assert 2 == ran.code
    assert "fitting pictures needs pillow_heif: pip install 'wanbridge[images]'" in ran.err
