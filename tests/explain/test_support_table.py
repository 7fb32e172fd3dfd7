"""The table of what each provider makes of each field: in the README, and right."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.explain import support_table as support
from wanbridge.model.request import ImageRequest

README = Path(__file__).parents[2] / "README.md"


def cell(row: str, provider: str, **options: object) -> support.Support:
    adapter = Registry().build(provider, options=options)
    return next(c for c in support.support([adapter]) if c.row == row)


def test_the_readme_has_the_table_that_the_adapters_make() -> None:
    """Else: python -m wanbridge.explain.support_table README.md"""
    text = README.read_text("utf-8")

    assert text == support.inserted(text, support.markdown(support.builtin()))


def test_every_field_has_a_row_and_every_provider_a_column() -> None:
    """All canonical fields but those that every provider is sent or that are for one only."""
    cells = support.builtin()
    everywhere = {"prompt", "model", "extra"}

    names = {field.name for field in attrs.fields(ImageRequest)}
    assert names - everywhere == {"regions", *(c.field for c in cells)} - {"regions"}
    assert "regions" in {c.field for c in cells}
    assert list(BUILTIN) == list(dict.fromkeys(c.provider for c in cells))
    assert len(cells) == len(BUILTIN) * len({c.row for c in cells})


@pytest.mark.parametrize(
    ("row", "provider", "outcome", "said"),
    [
        ("negative_prompt", "runware", "refused", ""),
        ("negative_prompt", "reapi", "sent", ""),
        ("size, pixels", "kie", "refused", "1536x1024"),
        ("size, ratio with images", "empiriolabs", "adapted", "2048x1152"),
        ("output_format, png", "dashscope", "met", "png"),
        ("images, data:", "kie", "adapted", "upload"),
        ("thinking", "empiriolabs", "ignored", "pro"),
        ("regions", "crun", "refused", "bbox_list"),
    ],
)
def test_a_cell_is_what_the_plan_says(row: str, provider: str, outcome: str, said: str) -> None:
    """With the reason, but where it is sent as it is."""
    found = cell(row, provider)

    assert outcome == found.outcome
    assert said in found.detail
    assert ("" == found.detail) == (outcome == "sent")


def test_a_cell_says_where_it_is_known_from() -> None:
    """Whoever offers something, names a page; what nobody is sure of is said to be."""
    for found in support.builtin():
        assert found.source, found
        assert found.verified == (found.provider != "crun"), found


def test_options_change_the_table() -> None:
    """An account that may say guessed names can say more."""
    allowed = cell("regions", "crun", allow_unverified=True)

    assert ("sent", False) == (allowed.outcome, allowed.verified)
    assert "sent, unverified" in support.markdown([allowed])


def test_main_rewrites_only_what_stands_between_the_markers(tmp_path: Path) -> None:
    """Twice is as once."""
    file = tmp_path / "page.md"
    file.write_text(f"before\n{support.BEGIN}\nold\n{support.END}\nafter\n")

    support.main([str(file)])
    once = file.read_text()
    support.main([str(file)])

    table = support.markdown(support.builtin())
    assert f"before\n{support.BEGIN}\n{table}{support.END}\nafter\n" == once == file.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        support.BEGIN,
        f"{support.END} {support.BEGIN}",
        f"{support.BEGIN} {support.END} {support.BEGIN}",
        f"{support.BEGIN} {support.BEGIN} {support.END}",
    ],
)
def test_a_page_without_markers_is_left_alone(text: str) -> None:
    """Rather than guessed at."""
    with pytest.raises(ValueError, match="support: begin"):
        support.inserted(text, "table")
