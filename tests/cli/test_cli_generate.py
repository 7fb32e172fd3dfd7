"""``wanbridge generate``: files, names, and what is refused before money is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.pictures.headers import inspect
from wanbridge.sandbox import Sandbox


def _pictures(folder: Path = Path()) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix in (".png", ".jpg", ".webp"))


def test_words_become_a_picture_without_any_key(run: Any) -> None:
    """The first minute with wanbridge: nothing to set up."""
    ran = run("generate", "a red kite", "--sandbox", "--size", "1K")

    assert 0 == ran.code
    [name] = _pictures()
    assert name in ran.out
    assert name.startswith("runware-")
    assert name.endswith("-1.png")
    assert "1024 x 1024" in ran.out
    assert "0.03 USD" in ran.out
    assert "" == ran.err


def test_a_given_name_counts_up(run: Any) -> None:
    """One name for several pictures."""
    ran = run("generate", "a kite", "--sandbox", "-n", 3, "--size", "1K", "-o", "kite.png")

    assert 0 == ran.code
    assert ["kite-2.png", "kite-3.png", "kite.png"] == _pictures()


def test_the_ending_follows_the_content(run: Any) -> None:
    """A PNG is not called JPEG because somebody wished so."""
    assert 0 == run("generate", "a kite", "--sandbox", "--size", "1K", "-o", "kite.jpg").code
    assert ["kite.png"] == _pictures()


def test_a_format_is_asked_for_where_it_can_be(run: Any) -> None:
    """--format reaches the provider."""
    ran = run("generate", "a kite", "--sandbox", "--size", "1K", "--format", "webp", "-o", "kite")

    assert 0 == ran.code
    facts = inspect(Path("kite.webp").read_bytes())
    assert facts is not None
    assert "image/webp" == facts.mime


def test_json_is_the_result_and_nothing_else(run: Any) -> None:
    """For scripts: the stored form plus where the pictures are."""
    ran = run("generate", "a kite", "--sandbox", "--size", "1K", "--json", "-n", 2)

    document = ran.json
    files = document.pop("files")
    assert _pictures() == sorted(files)
    assert 2 == len(ImageResult.from_json(json.dumps(document)).images)


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_a_file_that_exists_is_refused_before_any_money_is_spent(
    run: Any, world: Sandbox, configure: Any, ending: str
) -> None:
    """Also where the name has no ending and the provider decides on it."""
    Path(f"kite.{ending}").write_text("precious")
    name = "kite" if ending != "png" else "kite.png"

    ran = run("generate", "a kite", "-o", name, "--config", configure(world, "runware"))

    assert 2 == ran.code
    assert [
        f"wanbridge: kite.{ending} exists",
        "  --force replaces it, -o names another",
    ] == ran.lines
    assert [] == world.ledger()["posts"]
    assert "precious" == Path(f"kite.{ending}").read_text()


def test_the_second_of_two_names_counts_too(run: Any, world: Sandbox, configure: Any) -> None:
    """Two pictures asked for need two free names."""
    Path("kite-2.png").write_text("precious")

    ran = run(
        "generate", "kite", "-n", 2, "-o", "kite.png", "--config", configure(world, "runware")
    )

    assert 2 == ran.code
    assert "kite-2.png exists" in ran.err
    assert [] == world.ledger()["posts"]


def test_force_replaces(run: Any) -> None:
    """By the user's word."""
    Path("kite.png").write_text("old")

    assert (
        0 == run("generate", "kite", "--sandbox", "--size", "1K", "-o", "kite.png", "--force").code
    )
    assert b"\x89PNG" == Path("kite.png").read_bytes()[:4]


def test_a_name_taken_meanwhile_gives_way_to_the_next(run: Any) -> None:
    """The picture is paid for, so it is saved; what is there stays."""
    Path("kite.png").write_text("precious")

    ran = run("generate", "a kite", "--sandbox", "--size", "1K", "-o", "kite.jpg")

    assert 0 == ran.code
    assert "precious" == Path("kite.png").read_text()
    assert ["kite-2.png", "kite.png"] == _pictures()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("nowhere/", "nowhere: there is no such directory; nothing was sent"),
        ("nowhere/kite.png", "nowhere: there is no such directory; nothing was sent"),
        ("/proc/kite.png", "/proc: "),
        ("-", "-o -: pictures go into files"),
    ],
)
def test_a_place_that_takes_no_files_is_found_before_any_money_is_spent(
    run: Any, world: Sandbox, configure: Any, output: str, said: str
) -> None:
    """A paid picture without a home is the worst of both."""
    file = configure(world, "runware")

    ran = run("generate", "a kite", f"--output={output}", "--config", file)

    assert 2 == ran.code
    assert f"wanbridge: {said}" in ran.err
    assert [] == world.ledger()["posts"]


def test_flags_change_the_request_of_a_file(run: Any, tmp_path: Path) -> None:
    """--request is a starting point."""
    request = ImageRequest("from the file", seed=5, n=2, size="1K")
    Path("request.json").write_text(request.to_json())

    shown = run("explain", "--request", "request.json", "--seed", 6, "--json").json

    [body] = shown["runware"]["http"]["body"]
    assert ("from the file", 2, 6) == (body["positivePrompt"], body["numberResults"], body["seed"])


def test_every_flag_reaches_the_request(run: Any) -> None:
    """What is on the command line is in the message, word for word."""
    flags = ["--negative-prompt", "fog", "--seed", "3", "--palette"]
    flags += ["#1E2A39:34, #C6A15B:26,#E8E2D6:40", "--watermark", "--model", "pro", "--size", "1K"]

    shown = run("explain", "a kite", *flags, "--no-thinking", "-n", 2, "--json").json["reapi"]

    assert shown["ok"], shown["problems"]
    body = shown["http"]["body"]
    assert "wan2.7-image-pro" == body["model"]
    assert "fog" == body["negative_prompt"]
    assert (2, 3, True, False) == (
        body["n"],
        body["seed"],
        body["watermark"],
        body["thinking_mode"],
    )
    assert ["#1E2A39", "#C6A15B", "#E8E2D6"] == [c["hex"] for c in body["color_palette"]]


def test_boxes_go_to_the_image_they_name(run: Any) -> None:
    """--region counts images from 1."""
    images = ["--image", "https://a.example/1.png", "--image", "https://a.example/2.png"]
    boxes = ["--region", "2:1,2,30,40", "--region", "2:5,6,70,80"]

    shown = run("explain", "swap", *images, *boxes, "--size", "1024x1024", "--json").json["runware"]

    assert [[], [[1, 2, 30, 40], [5, 6, 70, 80]]] == shown["http"]["body"][0]["settings"][
        "editRegions"
    ]


def test_a_local_picture_is_sent_along(run: Any, the: Any) -> None:
    """A file becomes a data: URI whose size is known; one image needs no number."""
    run("generate", "a kite", "--sandbox", "--size", "1K", "-o", "in.png")

    ran = run(
        "generate", "bluer", "--sandbox", "--image", "in.png", "--region", "1,1,99,99", "-o", "x"
    )

    assert 0 == ran.code, ran.err
    assert Path("x.png").exists()


def test_boxes_can_be_added_to_the_images_of_a_file(run: Any) -> None:
    """The file's images stay."""
    Path("r.json").write_text(
        '{"prompt": "p", "images": ["https://a.example/1.png"], "size": "1K"}'
    )

    shown = run("explain", "--request", "r.json", "--region", "1,2,3,4", "--json").json["reapi"]

    assert [[[1, 2, 3, 4]]] == shown["http"]["body"]["bbox_list"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--region", "1,2,3,4"], "--region: there is no image to put it on; give --image"),
        (["--palette", "#1E2A39"], "--palette: '#1E2A39' is not a colour and its percentage"),
        (["--palette", "#1E2A39:50,#000000:50"], "$.color_palette: 2 colours; 3 to 10"),
        (["--image", "gone.png"], "--image: 'gone.png': no such file; an image is a URL,"),
        (["--request", "gone.json"], "gone.json: No such file or directory"),
        (["--seed=-1"], "$.seed: -1 is out of range"),
        (["-n", "9"], "$.n: 9 is out of range; 1 to 4"),
        (["--size", "big"], "'big' is not a size"),
        (["--deadline", "0"], "deadline=0.0: seconds, more than 0"),
        (["--may-drop", "prompt"], "prompt cannot be dropped"),
        (["--model", "wan3"], 'Invalid value "wan3" for --model'),
        (["--sede", "3"], "Unknown option: --sede. Did you mean --seed?"),
        (["kite"], "Unused Tokens: ['kite']."),
        (["--provider", "runwear"], "did you mean 'runware'?"),
        (["--format", "gif"], 'Choose from: "png", "jpeg", "webp".'),
    ],
)
def test_what_the_user_got_wrong_is_one_line(run: Any, flags: list[str], said: str) -> None:
    """And at most one more that helps; exit code 2."""
    ran = run("generate", "a kite", "--sandbox", *flags)

    assert 2 == ran.code
    assert said in ran.lines[0]
    assert ran.lines[0].startswith("wanbridge: ")
    assert len(ran.lines) <= 2
    assert "" == ran.out
    assert [] == _pictures()


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("1,2,3", "is not a box"),
        ("1,2,30,40", "is on which of 2 images? write 1:1,2,30,40"),
        ("3:1,2,30,40", "there is no image 3, but 2"),
        ("2:30,2,1,40", "$.images[1].regions[0]: [30, 2, 1, 40]"),
    ],
)
def test_a_wrong_box_says_which(run: Any, region: str, said: str) -> None:
    """Before anything is sent."""
    images = ["--image", "https://a.example/1.png", "--image", "https://a.example/2.png"]

    ran = run("generate", "swap", "--sandbox", *images, "--region", region)

    assert 2 == ran.code
    assert said in ran.lines[0]


def test_a_wrong_file_is_named_with_its_problems(run: Any) -> None:
    """The file is judged, not only the flags."""
    Path("r.json").write_text('{"prompt": "p", "n": 9, "seeds": 1}')

    ran = run("generate", "--request", "r.json", "--sandbox")

    assert 2 == ran.code
    assert "wanbridge: r.json: $.n" in ran.lines[0]
    assert "$.seeds" in ran.lines[0]
    assert ["  see: wanbridge validate r.json --as request"] == ran.lines[1:]


def test_a_field_that_cannot_be_said_is_dropped_on_demand_only(run: Any) -> None:
    """Runware has no negative prompt."""
    words = ("generate", "kite", "--negative-prompt", "fog", "--sandbox", "--size", "1K")

    refused, allowed = run(*words), run(*words, "--may-drop", "negative_prompt")

    assert 2 == refused.code
    assert "--may-drop negative_prompt leaves it out" in refused.lines[1]
    assert 0 == allowed.code
    assert "note: negative_prompt dropped" in allowed.out


def test_limits_can_be_left_unchecked(run: Any) -> None:
    """They age; the provider has the last word."""
    words = ("explain", "kite", "--size", "9000x9000", "--provider", "runware", "--json")

    assert not run(*words).json["runware"]["ok"]
    assert run(*words, "--no-check-limits").json["runware"]["ok"]


def test_the_environment_names_accounts(
    run: Any, world: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key and an address are enough; a second key needs a choice."""
    monkeypatch.setenv("REAPI_API_KEY", world.api_key("reapi"))
    monkeypatch.setenv("REAPI_BASE_URL", world.base_url("reapi"))
    words = ("generate", "a kite", "--size", "1K")

    alone = run(*words)
    monkeypatch.setenv("RUNWARE_API_KEY", "another")
    unsure = run(*words)

    assert 0 == alone.code, alone.err
    assert 2 == unsure.code
    assert [
        "wanbridge: which provider? there are: runware, reapi",
        "  name one with --provider, or let --route cheapest choose",
    ] == (unsure.lines)


def test_a_variable_names_the_configuration(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WANBRIDGE_CONFIG stands in for --config."""
    monkeypatch.setenv("WANBRIDGE_CONFIG", str(configure(world, "dashscope")))

    ran = run("generate", "a kite", "--size", "1K")

    assert 0 == ran.code, ran.err
    assert "dashscope" in ran.out


def test_a_file_of_keys_that_others_can_read_is_warned_of(
    run: Any, world: Sandbox, configure: Any
) -> None:
    """In one line, and nothing else is wrong."""
    file = configure(world, "runware")
    file.chmod(0o644)

    ran = run("generate", "a kite", "--size", "1K", "--config", file)

    assert 0 == ran.code
    [line] = ran.lines
    assert line.startswith("wanbridge: warning: ")
    assert "chmod 600" in line


def test_fewer_pictures_are_said(run: Any, world: Sandbox, configure: Any) -> None:
    """What is missing is not hidden, and no error either."""
    world.fault("fewer_images")

    ran = run("generate", "kite", "-n", 2, "--size", "1K", "--config", configure(world, "reapi"))

    assert 0 == ran.code
    assert "note: n info: 1 of 2 delivered" in ran.out
    assert "unknown" in ran.out


def test_an_answer_in_one_go_is_named_by_its_key(run: Any, world: Sandbox, configure: Any) -> None:
    """DashScope's sync mode gives no job id."""
    file = configure(world, "dashscope", options='mode = "sync"')

    ran = run("generate", "kite", "--size", "1K", "--key", "order-4711", "--config", file)

    assert 0 == ran.code, ran.err
    assert ["dashscope-order-47-1.png"] == _pictures()
