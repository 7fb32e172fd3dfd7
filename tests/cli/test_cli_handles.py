"""Receipts before, jobs after, and nothing once the pictures are there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from wanbridge.cli import files
from wanbridge.cli.files import DocumentTarget
from wanbridge.cli.handles import HandleFiles
from wanbridge.cli.usage import UsageError
from wanbridge.engine.events import Accepted, Asking, Submitting
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.sandbox import Sandbox

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
JOB = Job(
    provider="reapi",
    account="reapi",
    base_url="https://x.example/v1",
    id="task_1234",
    request=ImageRequest("a kite"),
    submitted_at=NOON,
    key="abcdef012345",
)
RECEIPT = Receipt(
    provider="reapi",
    account="reapi",
    base_url="https://x.example/v1",
    key="abcdef012345",
    request=ImageRequest("a kite"),
    digest="0" * 64,
    first_sent_at=NOON,
    last_sent_at=NOON,
)
RECEIPT_FILE, JOB_FILE = "reapi-abcdef01.receipt.json", "reapi-task_1234.job.json"


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def refusing(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Files of such names cannot be written."""
    whole = files.write

    def write(path: Path, text: str, **how: Any) -> Path:
        if part in path.name:
            raise OSError(28, "No space left on device")
        return whole(path, text, **how)

    monkeypatch.setattr(files, "write", write)


def test_a_receipt_gives_way_to_its_job() -> None:
    """One of them is there at any moment after the first byte."""
    handles = HandleFiles()

    handles.on_event(Submitting(RECEIPT))
    assert [RECEIPT_FILE] == here()
    handles.on_event(Accepted(JOB))
    assert [JOB_FILE] == here()
    handles.remove_except()
    assert [] == here()


def test_the_job_is_written_before_the_receipt_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between the two finds both."""
    handles = HandleFiles()
    handles.on_event(Submitting(RECEIPT))
    seen: list[list[str]] = []
    unlink = Path.unlink

    def watched(self: Path, missing_ok: bool = False) -> None:
        if self.name == RECEIPT_FILE:
            seen.append(here())
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    handles.on_event(Accepted(JOB))

    assert [[RECEIPT_FILE, JOB_FILE]] == seen


def test_the_same_key_again_is_the_same_file() -> None:
    """A later state replaces an earlier one."""
    handles = HandleFiles()
    later = evolve(RECEIPT, last_sent_at=NOON.replace(hour=13))

    handles.on_event(Submitting(RECEIPT))
    handles.on_event(Asking("reapi", "given order"))
    handles.on_event(Submitting(later))

    assert [RECEIPT_FILE] == here()
    assert later == Receipt.from_json(Path(RECEIPT_FILE).read_text())


def test_without_a_receipt_nothing_may_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is raised before the first byte stops the submit."""
    refusing(monkeypatch, "receipt")

    with pytest.raises(UsageError, match=r"the receipt cannot be written.*nothing was sent"):
        HandleFiles().on_event(Submitting(RECEIPT))


def test_a_job_that_cannot_be_written_leaves_the_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the better of two evils, also when all else is taken away."""
    handles = HandleFiles()
    handles.on_event(Submitting(RECEIPT))
    refusing(monkeypatch, ".job.")

    handles.on_event(Accepted(JOB))
    handles.remove_except(JOB)

    assert [RECEIPT_FILE] == here()


def test_a_job_goes_where_the_user_wants_it() -> None:
    """And elsewhere only if that has been taken since."""
    handles = HandleFiles(target=DocumentTarget.of("my.json", force=False))
    handles.on_event(Submitting(RECEIPT))
    handles.on_event(Accepted(JOB))
    assert ["my.json"] == here()

    second = evolve(JOB, id="task_5678")
    assert Path("reapi-task_5678.job.json") == handles.keep(second)


def test_what_is_wanted_or_the_users_own_stays() -> None:
    """Of another attempt that may have to be paid for, and what the command was started with."""
    mine = Path("mine.json")
    mine.write_text("as it is")
    handles = HandleFiles()
    handles.register(evolve(JOB, id="given"), mine)
    handles.on_event(Submitting(RECEIPT))
    other = evolve(JOB, account="kie", id="other")

    wanted = handles.keep_always(other)
    assert handles.keep(evolve(JOB, id="given", key="changed")) == mine
    handles.remove_except()

    assert "as it is" == mine.read_text()
    assert wanted is not None
    assert [wanted.name, "mine.json"] == here()


def test_an_answer_with_the_pictures_leaves_its_result(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job leads to them; the links are in a file before the first of them is fetched."""
    seen: list[list[str]] = []

    def save(*_: object, **__: object) -> Path:
        seen.append(sorted(path.name.partition(".")[2] for path in Path().glob("dashscope-*")))
        return Path("kite.png")

    monkeypatch.setattr("wanbridge.client.blocking.Client.save", save)
    Path("kite.png").write_bytes(b"")
    file = configure(world, "dashscope", options='mode = "sync"')

    ran = run("generate", "a kite", "--size", "1K", "--config", file, "--json")

    assert 0 == ran.code, ran.err
    assert [["result.json"]] == seen
    assert [] == list(Path().glob("dashscope-*"))


@pytest.mark.parametrize("provider", ["runware", "reapi", "kie"])
def test_once_the_pictures_are_saved_there_is_nothing_else(
    run: Any, world: Sandbox, configure: Any, provider: str
) -> None:
    """Whoever looks into the folder sees pictures."""
    file = configure(world, provider)

    ran = run("generate", "a kite", "--size", "1K", "--config", file, "-o", ".")

    assert 0 == ran.code, ran.err
    assert ["wanbridge.toml"] == [n for n in here() if not n.startswith(provider)]
    assert all(name.endswith((".png", ".jpg")) for name in here() if name != "wanbridge.toml")


def test_a_refusal_leaves_no_receipt(run: Any, world: Sandbox, configure: Any) -> None:
    """Nothing was bought, and nothing is to be looked up."""
    world.fault("no_credit")

    ran = run("generate", "a kite", "--config", configure(world, "reapi"))

    assert 3 == ran.code
    assert ["wanbridge.toml"] == here()


def test_where_no_receipt_can_be_written_nothing_is_bought(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message, before the first byte."""
    file = configure(world, "reapi")
    refusing(monkeypatch, "receipt")

    ran = run("generate", "a kite", "--config", file)

    assert 2 == ran.code
    assert [] == world.ledger()["posts"]
    assert 1 == len(ran.lines)
    assert "nothing was sent" in ran.lines[0]


def test_a_route_leaves_each_handle_once(run: Any, world: Sandbox, configure: Any) -> None:
    """The first may have to be paid for, and the second has delivered."""
    world.fault("accept_then_drop", provider="reapi")
    file = configure(world, "reapi", "kie")
    route = '\n[routes.on]\nproviders = ["reapi", "kie"]\non_uncertain = "pay_again"\n'
    file.write_text(file.read_text() + route)

    ran = run("generate", "a kite", "--size", "1K", "--config", file, "--route", "on", "-o", "kite")

    assert 0 == ran.code, ran.err
    left = [name for name in here() if name.endswith(".json")]
    assert 1 == len(left)
    assert f"reapi may charge too; go on with: wanbridge reconcile {left[0]}" in ran.err


def test_a_full_disk_after_a_submit_prints_the_job(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is paid for: unavailable, and not a fault of the request."""
    file = configure(world, "reapi")
    refusing(monkeypatch, "job")

    ran = run("submit", "a kite", "--config", file)

    assert 4 == ran.code
    assert world.tasks()[0]["id"] == Job.from_json(ran.lines[-1]).id


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_seen_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    """A kill while it is written leaves no half of it under its name."""
    seen: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda number: seen.append(Path(JOB_FILE).exists()))

    files.write(Path(JOB_FILE), JOB.to_json(), force=force)

    assert [False] == seen
    assert [JOB_FILE] == here()
    assert 0o600 == Path(JOB_FILE).stat().st_mode & 0o777


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_of_somebody_else_is_never_replaced(
    monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    """Nor where the file system has no hard links."""
    if not linked:
        monkeypatch.setattr("os.link", _unsupported)
    Path(JOB_FILE).write_text("precious")

    with pytest.raises(FileExistsError):
        files.write(Path(JOB_FILE), JOB.to_json())

    assert [JOB_FILE] == here()
    assert "precious" == Path(JOB_FILE).read_text()


def test_without_hard_links_a_file_is_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT has none."""
    monkeypatch.setattr("os.link", _unsupported)

    files.write(Path(JOB_FILE), JOB.to_json())

    assert [JOB_FILE] == here()
    assert JOB == Job.from_json(Path(JOB_FILE).read_text())


def test_without_hard_links_nothing_empty_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that was taken is given back."""
    monkeypatch.setattr("os.link", _unsupported)
    monkeypatch.setattr(Path, "replace", _unsupported)

    with pytest.raises(OSError, match="not supported"):
        files.write(Path(JOB_FILE), JOB.to_json())

    assert [] == here()


def _unsupported(*_: object) -> None:
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("gone", [False, True])
def test_a_receipt_that_has_gone_stops_the_next_submit(
    monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """An earlier state is good enough to go on from, and none at all is not."""
    handles = HandleFiles()
    handles.on_event(Submitting(RECEIPT))
    if gone:
        Path(RECEIPT_FILE).unlink()

    def full(*_: object, **__: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    monkeypatch.setattr("wanbridge.cli.handles.write", full)

    if gone:
        with pytest.raises(UsageError, match="nothing was sent"):
            handles.on_event(Submitting(RECEIPT))
    else:
        handles.on_event(Submitting(RECEIPT))
        assert RECEIPT == Receipt.from_json(Path(RECEIPT_FILE).read_text())
