"""``explain``, ``providers``, ``validate``: what is told without a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from wanbridge.adapters.registry import BUILTIN
from wanbridge.cli import screen
from wanbridge.cli.commands.explain import _quoted, _title
from wanbridge.explain.explanation import Explanation, FieldReport
from wanbridge.explain.support_table import builtin
from wanbridge.model.request import ImageRequest
from wanbridge.money.quotes import Quote
from wanbridge.sandbox import Sandbox
from wanbridge.storage.filenames import safe, short


def test_explain_needs_neither_key_nor_network(run: Any) -> None:
    """Every provider there is, with the exact message and its price."""
    ran = run("explain", "a red kite", "--seed", 7)

    assert 0 == ran.code
    for said in (
        "runware  alibaba:wan@2.7-image  would be sent  0.03 USD",
        "POST https://api.runware.ai/v1",
        "Authorization: Bearer <key>",
        '"positivePrompt": "a red kite"',
        "reapi  wan2.7-image  would be sent",
        "dashscope  wan2.7-image  would be sent",
        "24 credits",
    ):
        assert said in ran.out


def test_explain_says_what_becomes_of_each_field(run: Any) -> None:
    """Sent, met, adapted, ignored, dropped or refused: nothing vanishes."""
    flags = ["--image", "https://a.example/1.png", "--thinking", "--format", "png"]
    flags += ["--negative-prompt", "fog", "--size", "1K", "--may-drop", "negative_prompt"]

    fields = {
        name: {field: report["outcome"] for field, report in shown["fields"].items()}
        for name, shown in run("explain", "bluer", *flags, "--json").json.items()
    }

    assert "sent" == fields["reapi"]["negative_prompt"]
    assert "dropped" == fields["dashscope"]["negative_prompt"]
    assert "ignored" == fields["dashscope"]["thinking"]
    assert "met" == fields["dashscope"]["output_format"]
    assert "refused" == fields["reapi"]["output_format"]


def test_explain_tells_people_of_refusals(run: Any) -> None:
    """The reason stands beside the field."""
    ran = run("explain", "a kite", "--size", "4K", "--model", "standard", "--provider", "runware")

    assert 0 == ran.code
    assert "runware  alibaba:wan@2.7-image  cannot be sent" in ran.out
    assert "alibaba:wan@2.7-image has no 4K; 1K, 2K" in ran.out
    assert "POST" not in ran.out


def test_explain_can_be_limited_to_one_account(run: Any, world: Sandbox, configure: Any) -> None:
    """By its name in the configuration."""
    file = configure(world, "runware", "reapi")

    assert ["runware", "reapi"] == list(run("explain", "a", "--config", file, "--json").json)
    assert ["reapi"] == list(
        run("explain", "a", "--config", file, "--provider", "reapi", "--json").json
    )
    wrong = run("explain", "a", "--config", file, "--provider", "dashscope")
    assert "no account is called 'dashscope'; there are: runware, reapi" in wrong.lines[0]


def test_explain_shows_pictures_in_short_and_prompts_in_full(run: Any) -> None:
    """A data: URI of megabytes hides everything else; --json has it all."""
    prompt = "a kite " * 100
    run("generate", "a kite", "--sandbox", "--size", "1K", "-o", "in.png")
    words = ("explain", prompt, "--image", "in.png", "--provider", "runware")

    shown, exact = run(*words).out, run(*words, "--json").json

    assert prompt in shown
    assert "characters)" in shown
    assert len(shown) < 3000
    [image] = exact["runware"]["http"]["body"][0]["inputs"]["referenceImages"]
    assert len(image) > 10_000


def test_an_unknown_price_is_not_zero() -> None:
    """And an offer that rests on guesses is marked."""
    quote = Quote(provider="halide", model="wan2.7-image")
    explanation = Explanation(
        ok=True,
        model="wan-x",
        fields={"prompt": FieldReport("sent")},
        http=None,
        quote=quote,
        problems=(),
        verified=False,
    )

    title = _title("halide", explanation).plain

    assert "halide  wan-x  would be sent  unknown  unverified" == title
    assert "price unknown" == _quoted(quote)


def test_providers_are_listed_with_what_they_can_be_told(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key or without; keys themselves stay hidden."""
    monkeypatch.setenv("REAPI_API_KEY", "sk-very-secret-4711")

    ran, shown = run("providers"), run("providers", "--json").json["providers"]

    assert 0 == ran.code
    assert {name: name == "reapi" for name in BUILTIN} == {p["account"]: p["key"] for p in shown}
    assert "alibaba:wan@2.7-image-pro" in ran.out
    assert "https://dashscope-intl.aliyuncs.com/api/v1" in ran.out
    assert "negative_prompt - yes -" in " ".join(ran.out.split())
    assert "sk-very-secret" not in ran.out
    assert "regions" in shown[0]["models"][0]["fields"]
    assert shown[0]["models"][0]["verified"]


def test_the_support_of_each_field_is_told_to_programs(run: Any) -> None:
    """The cells of the README's table, with reason and source."""
    shown = run("providers", "--json").json["providers"]

    told = [{**cell, "provider": p["account"]} for p in shown for cell in p["support"]]
    known = [attrs.asdict(cell) for cell in builtin()]
    assert len(known) == len(told)
    assert all(cell in known for cell in told)
    kie = next(p for p in shown if p["account"] == "kie")
    pixels = next(cell for cell in kie["support"] if cell["row"] == "size, pixels")
    assert ("size", "refused", True) == tuple(pixels[n] for n in ("field", "outcome", "verified"))
    assert "1536x1024" in pixels["detail"]
    assert "docs.kie.ai" in pixels["source"]


def test_only_the_accounts_of_a_configuration_are_listed(
    run: Any, world: Sandbox, configure: Any
) -> None:
    """They are all that a call could use."""
    shown = run("providers", "--config", configure(world, "reapi"), "--json").json

    assert [("reapi", world.base_url("reapi"))] == [
        (p["account"], p["base_url"]) for p in shown["providers"]
    ]


def test_a_field_of_one_model_only_names_that_model(run: Any, monkeypatch: Any) -> None:
    """Not yes, and not no."""
    from attrs import evolve

    from wanbridge.providers.runware import Runware

    one, two = Runware().offers
    less = evolve(two, fields=two.fields - {"seed"}, verified=False)
    monkeypatch.setattr(Runware, "offers", (one, less))

    ran = run("providers")

    assert any(line.split()[:2] == ["seed", "wan2.7-image"] for line in ran.out.splitlines())
    assert "unverified" in ran.out


def test_a_good_request_is_ok(run: Any) -> None:
    """The default kind."""
    Path("r.json").write_text(ImageRequest("a kite", seed=3).to_json())

    ran = run("validate", "r.json")

    assert (0, "r.json: ok (request)\n", "") == (ran.code, ran.out, ran.err)


def test_every_problem_stands_on_a_line_of_its_own(run: Any) -> None:
    """With its path, on standard output: it is what was asked for."""
    Path("r.json").write_text('{"prompt": "p", "n": 0, "seed": -1, "colour": 1}')

    ran = run("validate", "r.json")

    assert 2 == ran.code
    paths = [line.partition(": ")[0] for line in ran.out.splitlines()]
    assert ["$.colour", "$.n", "$.seed"] == paths
    assert "" == ran.err


@pytest.mark.parametrize("kind", ["job", "receipt", "result"])
def test_stored_documents_are_checked_as_what_they_are(run: Any, kind: str) -> None:
    """A request is no job."""
    Path("r.json").write_text(ImageRequest("a kite").to_json())

    ran = run("validate", "r.json", "--as", kind)

    assert 2 == ran.code
    assert "$.prompt: unknown" in ran.out


def test_a_result_that_was_left_is_a_good_one(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """What one command writes, another reads."""
    world.fault("dead_link", op="download")
    run("generate", "a kite", "--size", "1K", "--config", configure(world, "runware"))

    assert 0 == run("validate", the("*.result.json"), "--as", "result").code


def test_a_configuration_is_checked_with_every_path(run: Any) -> None:
    """TOML or JSON."""
    Path("w.toml").write_text('[providers.runware]\napi_kee = "x"\n[client]\ndeadline = -1\n')
    Path("good.json").write_text(json.dumps({"providers": {"reapi": {"api_key_env": "X"}}}))

    wrong, good = (run("validate", name, "--as", "config") for name in ("w.toml", "good.json"))

    assert 2 == wrong.code
    assert 2 == len(wrong.out.splitlines())
    assert "api_kee" in wrong.out
    assert "$.client.deadline" in wrong.out
    assert (0, "good.json: ok (config)\n") == (good.code, good.out)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("w.toml", "[providers", "w.toml: "),
        ("w.toml", '[providers.runware]\napi_key = "x"\napi_key_env = "X"', "not both"),
        ("w.json", "{", "w.json: $: not JSON"),
    ],
)
def test_a_configuration_that_cannot_be_read_says_why(
    run: Any, name: str, text: str, said: str
) -> None:
    """There are no paths to name then, or the schema cannot know it."""
    Path(name).write_text(text)
    Path(name).chmod(0o600)

    ran = run("validate", name, "--as", "config")

    assert 2 == ran.code
    assert said in ran.out + ran.err


def test_ids_become_file_names() -> None:
    """They come from elsewhere, and may be anything."""
    assert "x" == safe("../..")
    assert "a_b" == safe("a/b")
    assert "5b75f140" == short("task_5b75f14096df1ce0b0e9d122f98ba21e")
    assert "8f31c2aa" == short("8f31c2aa-1111-4222-8333-444455556666")


def test_sizes_are_told_in_the_unit_that_fits(tmp_path: Path) -> None:
    """And a picture whose header says nothing has none."""
    (tmp_path / "a").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(3000))

    assert ("unknown", "3 kB") == screen.describe(tmp_path / "a")
    assert "2.5 MB" == screen.size_of(2_500_000)


def test_a_body_that_is_no_json_is_shown_as_it_is() -> None:
    """No provider sends one; an adapter of another package may."""
    assert "a=1" == screen.pretty(b"a=1")
