"""``submit``, ``fetch`` and ``reconcile``: buy in one process, collect in another."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Any
from uuid import uuid4

import pytest

from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.request import ImageRequest
from wanbridge.sandbox import Sandbox


def _receipt(world: Sandbox, provider: str, key: str, *, age: float) -> Path:
    """The receipt of a submit *age* seconds ago, as a file."""
    sent = datetime.now(UTC) - timedelta(seconds=age)
    receipt = Receipt(
        provider=provider,
        account=provider,
        base_url=world.base_url(provider),
        key=key,
        request=ImageRequest("a kite", size="1K"),
        digest="0" * 64,
        first_sent_at=sent,
        last_sent_at=sent,
    )
    path = Path("a.receipt.json")
    path.write_text(receipt.to_json())
    return path


def test_a_job_is_kept_in_a_file_and_collected_from_it(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """The file is all that the second command needs."""
    file = configure(world, "reapi")
    bought = run("submit", "a kite", "--size", "1K", "--config", file)
    left = the("reapi-*.job.json")

    ran = run("fetch", left, "--config", file, "-o", "kite.png")

    assert 0 == bought.code
    assert 0o600 == stat.S_IMODE(left.stat().st_mode)
    assert f"collect it: wanbridge fetch {left} --config {quote(str(file))}" in bought.out
    assert 0 == ran.code, ran.err
    assert Path("kite.png").exists()
    assert 1 == len(world.ledger()["posts"])


def test_a_job_is_printed_on_demand(run: Any, world: Sandbox, configure: Any, the: Any) -> None:
    """Nothing else on standard output, and the same as in the file."""
    ran = run("submit", "kite", "--config", configure(world, "runware"), "--json", "-o", "my.json")

    assert Job.from_json(Path("my.json").read_text()) == Job.from_json(ran.out)


def test_a_job_replaces_no_file(run: Any, world: Sandbox, configure: Any) -> None:
    """Found out before the purchase; --force replaces it."""
    Path("my.json").write_text("precious")
    words = ("submit", "kite", "--config", configure(world, "runware"), "-o", "my.json")

    refused = run(*words)
    posts = world.ledger()["posts"]
    forced = run(*words, "--force")

    assert 2 == refused.code
    assert "my.json exists" in refused.lines[0]
    assert [] == posts
    assert 0 == forced.code
    assert Job.from_json(Path("my.json").read_text())


def test_a_job_file_goes_into_a_directory(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """Under its usual name."""
    Path("jobs").mkdir()

    run("submit", "kite", "--config", configure(world, "runware"), "-o", "jobs")

    assert the("jobs/runware-*.job.json")


def test_the_same_key_again_keeps_both_files(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """Runware's task id is the key's; no file is replaced."""
    key = str(uuid4())
    words = ("submit", "kite", "--config", configure(world, "runware"), "--key", key)
    usual = Path(f"runware-{key}.job.json")
    usual.write_text("precious")

    ran = run(*words)

    assert 0 == ran.code, ran.err
    assert "precious" == usual.read_text()
    assert the(f"runware-{key}-2.job.json")


def test_an_answer_in_one_go_is_no_job(run: Any, world: Sandbox, configure: Any) -> None:
    """There is nothing to collect later."""
    file = configure(world, "dashscope", options='mode = "sync"')

    ran = run("submit", "a kite", "--config", file)

    assert 2 == ran.code
    assert "use generate" in ran.lines[0]
    assert [] == world.ledger()["posts"]


def test_a_job_of_a_sandbox_that_ends_says_so(run: Any, the: Any) -> None:
    """Nobody should wait for it."""
    ran = run("submit", "a kite", "--sandbox")

    assert 0 == ran.code
    assert the("runware-*.job.json")
    assert ["note: this sandbox ends now, and the job with it; see wanbridge sandbox"] == ran.lines


def test_pictures_that_are_there_are_not_fetched_again(
    run: Any, world: Sandbox, configure: Any
) -> None:
    """Names come from the job, so it is known before."""
    file = configure(world, "runware")
    run("submit", "a kite", "--size", "1K", "--config", file, "-o", "my.json")

    first, second = (run("fetch", "my.json", "--config", file) for _ in range(2))

    assert 0 == first.code
    assert 2 == second.code
    assert "-1.png exists" in second.lines[0]
    assert 0 == run("fetch", "my.json", "--config", file, "--force").code


def test_a_job_still_pending_keeps_its_file(run: Any, slow: Sandbox, configure: Any) -> None:
    """Nothing new is written; the same file goes on."""
    file = configure(slow, "runware")
    run("submit", "a kite", "--config", file, "-o", "my.json")

    ran = run("fetch", "my.json", "--config", file, "--deadline", 0.2)

    assert 4 == ran.code
    assert f"  go on with: wanbridge fetch my.json --config {quote(str(file))}" == ran.lines[1]
    assert ["my.json"] == [p.name for p in Path().glob("*.json")]


def test_a_job_of_elsewhere_is_refused(run: Any, world: Sandbox, configure: Any) -> None:
    """Its key must not go to another host."""
    file = configure(world, "runware")
    run("submit", "a kite", "--config", file, "-o", "my.json")

    ran = run("fetch", "my.json", "--config", configure(world, "reapi"))

    assert 2 == ran.code
    assert "no runware account is configured for 127.0.0.1:" in ran.lines[0]


def test_a_broken_job_file_is_named(run: Any) -> None:
    """With what is wrong in it."""
    Path("my.json").write_text('{"version": 1, "id": 3}')

    ran = run("fetch", "my.json")

    assert 2 == ran.code
    assert "wanbridge: my.json: $" in ran.lines[0]
    assert "  see: wanbridge validate my.json --as job" == ran.lines[1]


def test_a_job_is_cancelled_where_that_is_possible(run: Any, slow: Sandbox, configure: Any) -> None:
    """DashScope cancels what has not begun."""
    slow.switch("dashscope", "queue_seconds", 3600)
    file = configure(slow, "dashscope")
    run("submit", "a kite", "--config", file, "-o", "my.json")

    ran = run("fetch", "my.json", "--config", file, "--cancel")

    assert 0 == ran.code, ran.err
    assert "cancelled job" in ran.out


def test_a_job_that_cannot_be_cancelled_any_more_goes_on(
    run: Any, world: Sandbox, configure: Any, wait_until: Any
) -> None:
    """Exit 3, and how to go on."""
    file = configure(world, "dashscope")
    run("submit", "a kite", "--config", file, "-o", "my.json")
    assert wait_until(lambda: world.tasks()[0]["state"] != "running")

    ran = run("fetch", "my.json", "--config", file, "--cancel")

    assert 3 == ran.code
    assert "too late, the job goes on" in ran.lines[0]
    assert f"  go on with: wanbridge fetch my.json --config {quote(str(file))}" == ran.lines[1]


def test_a_provider_that_cannot_cancel_says_so(run: Any, slow: Sandbox, configure: Any) -> None:
    """Nothing has changed then."""
    file = configure(slow, "reapi")
    run("submit", "a kite", "--config", file, "-o", "my.json")

    ran = run("fetch", "my.json", "--config", file, "--cancel")

    assert 2 == ran.code
    assert "cannot cancel" in ran.lines[0]


def test_an_accepted_submit_is_found_again(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """Runware knows tasks by the key that was sent."""
    file, key = configure(world, "runware"), str(uuid4())
    run("submit", "a kite", "--size", "1K", "--config", file, "--key", key, "-o", "bought.json")

    ran = run("reconcile", _receipt(world, "runware", key, age=5), "--config", file)

    left = the("runware-*.job.json")
    assert 0 == ran.code, ran.err
    assert f"runware: accepted as job {key}" in ran.out
    assert f"collect it: wanbridge fetch {left} --config {quote(str(file))}" in ran.out
    assert 0 == run("fetch", left, "--config", file).code


def test_a_submit_that_never_arrived_may_be_sent_again(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settled: nothing was bought."""
    monkeypatch.setattr("wanbridge.engine.reconciliation.LOOK_AGAIN", 0.01)
    receipt = _receipt(world, "runware", str(uuid4()), age=60)

    ran = run("reconcile", receipt, "--config", configure(world, "runware"))

    assert 0 == ran.code, ran.err
    assert "runware: not accepted, nothing was bought; it may be sent again" in ran.out
    assert [] == list(Path().glob("*.job.json"))


def test_an_unsettled_submit_lists_what_it_could_be(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """DashScope's list has no key; whose task it is, the user decides."""
    file = configure(world, "dashscope")
    bought = run("submit", "a kite", "--size", "1K", "--config", file, "--json", "-o", "b.json")
    task = bought.json["id"]
    receipt = _receipt(world, "dashscope", "k-1", age=1)

    unsure = run("reconcile", receipt, "--config", file)
    adopted = run("reconcile", receipt, "--config", file, "--adopt", task, "-o", "mine.json")

    assert 5 == unsure.code
    assert "dashscope: still unknown: " in unsure.out
    assert f"it could be task {task}" in unsure.out
    assert f"--adopt {task}" in unsure.out
    assert 0 == adopted.code, adopted.err
    assert task == Job.from_json(Path("mine.json").read_text()).id
    assert 0 == run("fetch", "mine.json", "--config", file).code


def test_without_any_look_up_it_stays_unknown(run: Any, world: Sandbox, configure: Any) -> None:
    """Where the provider has none, there are no candidates either."""
    receipt = _receipt(world, "reapi", "k-1", age=1)

    ran = run("reconcile", receipt, "--config", configure(world, "reapi"))

    assert 5 == ran.code
    assert "reapi: still unknown: " in ran.out
    assert "--adopt" not in ran.out
