"""Pictures into object stores and out of folders, by the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from s3_server import CREDENTIALS, S3Server, answering, credentials, down

from wanbridge.pictures.headers import inspect
from wanbridge.sandbox import Sandbox


@pytest.fixture
def stored(configure: Any, world: Sandbox) -> Any:
    """A configuration with a store at an endpoint."""

    def _stored(endpoint: str, *providers: str, url: str = "s3://pictures/in") -> Path:
        file: Path = configure(world, *providers)
        table = f'[storage]\nurl = "{url}"\nendpoint = "{endpoint}"\n'
        file.write_text(f"{file.read_text()}\n{table}")
        return file

    return _stored


@pytest.fixture
def photo() -> Path:
    """A picture of the user's."""
    file = Path("photo.png")
    Image.new("RGB", (512, 512), "teal").save(file)
    return file


def posts(world: Sandbox) -> int:
    return len(world.ledger()["posts"])


def results() -> Iterator[Path]:
    return Path().glob("*.result.json")


def test_from_a_file_to_an_object(
    run: Any, world: Sandbox, stored: Any, photo: Path, s3: S3Server
) -> None:
    """A local photo at a provider that takes links only, and the results beside it."""
    config = stored(s3.endpoint, "reapi")

    ran = run(
        *("generate", "as a woodcut", "--image", photo, "-n", 2, "--config", config),
        *("-o", "s3://pictures/out", "--json"),
    )

    assert (0, "") == (ran.code, ran.err)
    files = ran.json["files"]
    assert files == [f"s3://pictures/{key}" for key in s3.keys("out/")]
    assert 2 == len(files)
    assert all(inspect(s3.data(key)) for key in s3.keys("out/"))
    assert "X-Amz" not in ran.out
    assert [] == list(results())


def test_an_object_has_the_given_name_and_is_not_replaced(
    run: Any, world: Sandbox, stored: Any, s3: S3Server
) -> None:
    """Found out before anything is bought, as with files."""
    words = ("generate", "a kite", "--size", "1K", "--config", stored(s3.endpoint, "runware"))
    name = "s3://pictures/out/kite.png"

    first = run(*words, "-o", name)
    second = run(*words, "-o", name)
    third = run(*words, "-o", name, "--force", "-n", 2)

    assert (0, 2, 0) == (first.code, second.code, third.code)
    assert name in first.out
    assert "1024 x 1024" in first.out
    assert [f"wanbridge: {name} exists", "  --force replaces it, -o names another"] == second.lines
    assert ["out/kite-2.png", "out/kite.png"] == s3.keys("out/")
    assert 2 == posts(world)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("s3://pictures?x=1", "-o: storage: this s3:// URL holds a user, a query or a fragment"),
        ("ftp://pictures", "-o: storage: ftp:// is no object store"),
        ("file:///no/such/folder/", "/no/such/folder: there is no such directory"),
    ],
)
def test_a_place_that_is_none_is_a_line(run: Any, given: str, said: str) -> None:
    """Before anything is sent."""
    ran = run("generate", "a kite", "--sandbox", "-o", given)

    assert 2 == ran.code
    assert ran.err.startswith(f"wanbridge: {said}")
    assert "nothing was sent" in ran.err


def test_a_folder_may_be_named_by_its_url(run: Any, tmp_path: Path) -> None:
    """It is a folder as any other."""
    ran = run("generate", "a kite", "--sandbox", "--size", "1K", "-o", f"{tmp_path.as_uri()}/kite")

    assert 0 == ran.code
    assert (tmp_path / "kite.png").is_file()


@pytest.mark.parametrize("failure", ["down", "refusing"])
def test_a_store_that_cannot_be_used_is_found_before_anything_is_bought(
    run: Any, world: Sandbox, stored: Any, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a folder that takes no files."""
    credentials(monkeypatch)
    with answering(403, "InvalidAccessKeyId") as refusing:
        endpoint = {"down": down(), "refusing": refusing}[failure]
        ran = run(
            *("generate", "a kite", "--config", stored(endpoint, "runware")),
            *("-o", "s3://pictures/out"),
        )

    assert (2, 0) == (ran.code, posts(world))
    said = {"down": "cannot be reached", "refusing": "refuses the key"}[failure]
    assert said in ran.err
    assert "nothing was sent" in ran.err


def test_a_photo_that_cannot_be_staged_is_a_line(
    run: Any, world: Sandbox, stored: Any, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was charged, and who takes the photo itself is named."""
    credentials(monkeypatch)
    config = stored(down(), "reapi", "runware")

    ran = run("generate", "a kite", "--image", photo, "--config", config, "--provider", "reapi")

    assert (4, 0) == (ran.code, posts(world))
    assert [
        "wanbridge: reapi: images[0]: s3://pictures/in: the store cannot be reached;"
        " nothing was charged; another provider may help",
        "  try: --provider runware",
    ] == ran.lines


def test_what_is_bought_and_cannot_be_stored_is_kept(
    run: Any, world: Sandbox, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The links are in a file, and the command says how to fetch the pictures again."""
    credentials(monkeypatch)
    with answering(507, "StorageFull", lists=True) as endpoint:
        config = stored(endpoint, "runware")
        ran = run(
            *("generate", "a kite", "--size", "1K", "-n", 2, "--config", config),
            *("-o", "s3://pictures/out"),
        )

    [kept] = results()
    assert (4, 1) == (ran.code, posts(world))
    assert [
        "wanbridge: 2 of 2 pictures could not be saved: s3://pictures/out: the store could not do"
        " it (HTTP 507, StorageFull); all are paid for",
        f"  go on with: wanbridge fetch {kept} --config {shlex.quote(str(config))}",
    ] == ran.lines
    assert 2 == len(json.loads(kept.read_text())["images"])
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in ran.err + ran.out

    again = run("fetch", kept, "--config", config)
    assert (0, 1) == (again.code, posts(world))
    assert 2 == len(list(Path().glob("runware-*.png")))


def test_a_result_is_fetched_into_a_store(
    run: Any, world: Sandbox, stored: Any, s3: S3Server
) -> None:
    """The pictures of a job that another command has bought."""
    config = stored(s3.endpoint, "runware")
    run("submit", "a kite", "--size", "1K", "--config", config, "-o", "kite.job.json")

    ran = run("fetch", "kite.job.json", "--config", config, "-o", "s3://pictures/out/")

    assert 0 == ran.code
    assert 1 == len(s3.keys("out/"))


def test_providers_and_explain_say_that_a_photo_is_staged(
    run: Any, configure: Any, stored: Any, world: Sandbox, photo: Path, s3: S3Server
) -> None:
    """And, without a store, that one is needed."""
    config = stored(s3.endpoint, "reapi", "runware")

    listed = run("providers", "--config", config)
    documents = run("providers", "--config", config, "--json").json["providers"]
    told = run("explain", "a kite", "--image", photo, "--config", config, "--json").json

    [row] = [line.split() for line in listed.out.splitlines() if line.startswith("local picture")]
    assert ["local", "picture", "staged", "sent"] == row
    assert "s3://pictures/in" in listed.out
    [cell] = [c for c in documents[0]["support"] if c["row"] == "images, data:"]
    assert ("adapted", True) == (cell["outcome"], "staged in s3://pictures/in" in cell["detail"])
    assert told["reapi"]["ok"]
    assert "staged in s3://pictures/in" in told["reapi"]["fields"]["images"]["detail"]
    assert "sent" == told["runware"]["fields"]["images"]["outcome"]
    assert [] == s3.requests

    without = run("providers", "--config", configure(world, "reapi", "runware"))
    [line] = [ln for ln in without.out.splitlines() if ln.startswith("local picture")]
    assert "needs storage" in line
