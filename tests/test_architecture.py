"""``docs/architecture.md``: every name and path on it exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import wanbridge

ROOT = Path(wanbridge.__file__).parent
TEXT = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text("utf-8")
FOLDERS = {path.parent.name for path in ROOT.glob("*/__init__.py")}
QUOTED = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))


def found(dotted: str) -> bool:
    """Whether ``folder.module.Name.member`` is there."""
    folder, module, *names = dotted.split(".")
    value: object = import_module(f"wanbridge.{folder}.{module}")
    for name in names:
        if not hasattr(value, name):
            return False
        value = getattr(value, name)
    return True


def test_every_name_exists() -> None:
    """A page that names what was renamed sends its reader astray."""
    dotted = [
        word
        for word in QUOTED
        if re.fullmatch(r"[a-z_]+(\.\w+){2,}", word) and word.partition(".")[0] in FOLDERS
    ]

    assert len(dotted) > 40
    assert [] == [word for word in dotted if not found(word)]


def test_every_path_exists() -> None:
    """Files and folders alike."""
    paths = [word for word in QUOTED if re.fullmatch(r"[a-z_]+/[\w/.]*", word)]
    inside = [path for path in paths if path.split("/")[0] in {*FOLDERS, "prices"}]

    assert len(inside) > 20
    assert [] == [path for path in inside if not (ROOT / path).exists()]


def test_every_folder_is_in_the_drawing() -> None:
    """A new one is drawn by whoever adds it."""
    drawn = TEXT[TEXT.index("flowchart") : TEXT.index("```", TEXT.index("flowchart"))]

    assert [] == [folder for folder in sorted(FOLDERS) if f'{folder}["' not in drawn]
