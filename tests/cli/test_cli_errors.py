"""Each way to fail: its exit code, its one line, and what is left to go on from."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from wanbridge import errors
from wanbridge.adapters.registry import BUILTIN
from wanbridge.cli import files, main
from wanbridge.cli.codes import Exit, code_of
from wanbridge.cli.failure_report import report
from wanbridge.cli.handles import HandleFiles
from wanbridge.cli.session import Session
from wanbridge.engine.events import Accepted, Submitting
from wanbridge.errors import Charge
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.sandbox import Sandbox

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KITE = ImageRequest("a kite")
JOB = Job(
    provider="runware",
    account="runware",
    base_url="https://api.runware.ai/v1",
    id="8f31c2aa-1111-4222-8333-444455556666",
    request=KITE,
    submitted_at=NOW,
    key="k-1",
)
RECEIPT = Receipt(
    provider="reapi",
    account="reapi",
    base_url="https://reapi.ai/api/v1",
    key="abcdef0123",
    request=KITE,
    digest="0" * 64,
    first_sent_at=NOW,
    last_sent_at=NOW,
    at_risk=Money(Decimal("0.024"), "USD"),
)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("provider", "fault", "options", "code", "said"),
    [
        ("runware", "no_credit", {}, 3, "nothing was charged; another provider may help"),
        ("runware", "unauthorized", {}, 3, "nothing was charged; another provider would not help"),
        ("reapi", "refuse_content", {}, 3, "nothing was charged; another provider would not help"),
        (
            "runware",
            "fail_generation",
            {},
            3,
            "it may have been charged; another provider may help",
        ),
        (
            "reapi",
            "rate_limit",
            {"times": None},
            4,
            "nothing was charged; another provider may help",
        ),
        ("reapi", "server_error", {}, 5, "0.024 USD at risk; it may have been charged"),
        ("reapi", "drop", {}, 5, "another provider would charge again"),
    ],
)
def test_a_failure_says_whether_it_cost_money_and_whom_else_to_ask(
    run: Any,
    world: Sandbox,
    configure: Any,
    provider: str,
    fault: str,
    options: dict[str, Any],
    code: int,
    said: str,
) -> None:
    """One line; the exit code tells a script what to do."""
    world.fault(fault, **options)
    file = configure(world, provider)

    ran = run("generate", "kite", "--size", "1K", "--config", file, "--deadline", 1.5)

    assert code == ran.code
    assert ran.lines[0].startswith(f"wanbridge: {provider}: ")
    assert said in ran.lines[0]
    assert len(ran.lines) <= 2
    assert "" == ran.out
    assert world.api_key(provider) not in ran.err


def test_an_unknown_outcome_leaves_a_receipt(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """In the directory of the pictures, for its owner's eyes only."""
    world.fault("accept_then_drop")
    Path("out").mkdir()
    file = configure(world, "reapi")

    ran = run("generate", "kite", "--config", file, "--key", "order-4711", "-o", "out")

    assert 5 == ran.code
    left = the("out/*.receipt.json")
    assert "reapi-order-47.receipt.json" == left.name
    assert f"  go on with: wanbridge reconcile {left} --config {quote(str(file))}" == ran.lines[1]
    assert 0o600 == _mode(left)
    assert "order-4711" == Receipt.from_json(left.read_text()).key


def test_a_deadline_leaves_the_job(run: Any, slow: Sandbox, configure: Any, the: Any) -> None:
    """It is bought; waiting can go on later."""
    file = configure(slow, "runware")

    ran = run("generate", "a kite", "--config", file, "--deadline", 0.3)

    assert 4 == ran.code
    left = the("runware-*.job.json")
    job = Job.from_json(left.read_text())
    assert f"runware: job {job.id} was still pending at the deadline" in ran.lines[0]
    assert f"  go on with: wanbridge fetch {left} --config {quote(str(file))}" == ran.lines[1]
    assert 0o600 == _mode(left)


def test_nobody_there_is_unavailable(run: Any, world: Sandbox, configure: Any) -> None:
    """Nothing was sent, so another may be asked; the others with a key are named."""
    file = configure(world, "runware", "reapi")
    text = file.read_text().replace(world.base_url("runware"), "http://127.0.0.1:9/v1")
    file.write_text(text)

    ran = run("generate", "kite", "--config", file, "--provider", "runware", "--deadline", 0.5)

    assert 4 == ran.code
    assert "no connection; nothing was charged; another provider may help" in ran.lines[0]
    assert "  try: --provider reapi" == ran.lines[1]
    assert [] == list(Path().glob("*.json"))


def test_a_lost_download_leaves_the_result_and_the_other_pictures(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """All are paid for; the second is saved although the first is not."""
    world.fault("dead_link", op="download")
    file = configure(world, "runware")

    ran = run("generate", "a kite", "-n", 2, "--size", "1K", "--config", file)

    assert 4 == ran.code
    assert "1 of 2 pictures could not be saved: " in ran.lines[0]
    assert ran.lines[0].endswith("HTTP 403; all are paid for")
    left = the("runware-*.result.json")
    assert f"  go on with: wanbridge fetch {left} --config {quote(str(file))}" == ran.lines[1]
    assert 0o600 == _mode(left)
    assert the("*.png").name in ran.out


def test_a_lost_download_can_be_fetched_from_its_result(
    run: Any, world: Sandbox, configure: Any, the: Any
) -> None:
    """The link may work again; nothing is bought for it."""
    world.fault("dead_link", op="download")
    file = configure(world, "runware")
    lost = run("generate", "a kite", "--size", "1K", "--config", file, "--json")
    world.fault("dead_link", op="download")
    again = run("fetch", the("*.result.json"), "--config", file)

    ran = run("fetch", the("*.result.json"), "--config", file, "-o", "kite.png")

    assert [None] == lost.json["files"]
    assert 4 == again.code
    assert (
        f"  go on with: wanbridge fetch {the('*.result.json')} --config {quote(str(file))}"
        == again.lines[1]
    )
    assert 0 == ran.code, ran.err
    assert Path("kite.png").exists()
    assert 1 == len(world.ledger()["posts"])


def test_a_full_disk_leaves_the_result_too(
    run: Any, monkeypatch: pytest.MonkeyPatch, the: Any
) -> None:
    """What cannot be written is not lost without a word."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "kite.png")

    monkeypatch.setattr("wanbridge.client.blocking.Client.save", full)

    ran = run("generate", "a kite", "--sandbox", "--size", "1K")

    assert 4 == ran.code
    assert "kite.png: No space left on device; all are paid for" in ran.lines[0]
    assert "  the sandbox has ended with this command" in ran.lines[1]
    assert 1 == len(ImageResult.from_json(the("*.result.json").read_text()).images)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidRequest((errors.Problem("$.n", "wrong"),)), 2),
        (errors.UnsupportedFeature("reapi", "n", "no"), 2),
        (errors.ConfigurationError("no"), 2),
        (errors.UnknownProvider("no"), 2),
        (errors.MissingCredentials("no"), 2),
        (errors.BudgetExceeded(Money("2", "USD"), Money("1", "USD")), 2),
        (errors.AuthenticationFailed("reapi", "no"), 3),
        (errors.RequestRejected("reapi", "no"), 3),
        (errors.ContentRefused("reapi", "no"), 3),
        (errors.CreditExhausted("reapi", "no"), 3),
        (errors.GenerationFailed("reapi", "no"), 3),
        (errors.JobCancelled("reapi", "no"), 3),
        (errors.TransportFailed("reapi", "no"), 4),
        (errors.ProviderUnavailable("reapi", "no"), 4),
        (errors.RateLimited("reapi", "no"), 4),
        (errors.DeadlineExceeded("reapi", "no"), 4),
        (errors.TaskLost("reapi", "no"), 4),
        (errors.MalformedResponse("reapi", "no"), 4),
        (errors.DownloadFailed("reapi", "no"), 4),
        (errors.AllProvidersFailed("all failed", [errors.RateLimited("reapi", "no")]), 4),
        (errors.SubmissionUncertain("reapi", "no"), 5),
    ],
)
def test_every_error_has_its_exit_code(
    error: errors.WanbridgeError, code: int, capsys: Any
) -> None:
    """A script can rely on it."""
    assert code == code_of(error)
    assert code == report(error, Session())
    out, err = capsys.readouterr()
    assert "" == out
    assert err.startswith("wanbridge: ")
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("error", [errors.AuthenticationFailed, errors.GenerationFailed])
def test_an_error_with_a_job_leaves_it(error: Any, capsys: Any, the: Any) -> None:
    """Whatever the error: the job is known, and can be asked about again."""
    report(error("runware", "no", Charge.MAYBE, JOB), Session())

    assert JOB == Job.from_json(the("runware-*.job.json").read_text())
    assert "wanbridge fetch runware-8f31c2aa-1111" in capsys.readouterr().err


def test_a_job_that_has_a_file_needs_no_other(capsys: Any) -> None:
    """`fetch` was given one already."""
    error = errors.DeadlineExceeded("runware", "late", Charge.MAYBE, JOB)

    session = Session()
    session.handles.register(JOB, Path("mine.json"))

    report(error, session)

    assert "wanbridge fetch mine.json" in capsys.readouterr().err
    assert [] == list(Path().iterdir())


def test_a_taken_name_gives_way(capsys: Any) -> None:
    """Nobody's file is replaced by a receipt."""
    Path("reapi-abcdef01.receipt.json").write_text("precious")

    report(errors.SubmissionUncertain("reapi", "no", Charge.MAYBE, None, RECEIPT), Session())

    assert "wanbridge reconcile reapi-abcdef01-2.receipt.json" in capsys.readouterr().err
    assert "precious" == Path("reapi-abcdef01.receipt.json").read_text()


def test_where_nothing_can_be_written_the_receipt_is_printed(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the only trace of money that may be gone."""
    monkeypatch.setattr(files, "write", _refuse)

    report(errors.SubmissionUncertain("reapi", "no", Charge.MAYBE, None, RECEIPT), Session())

    _, second, third = capsys.readouterr().err.splitlines()
    assert "could not be written to any file" in second
    assert RECEIPT == Receipt.from_json(third)


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_directory_that_went_away_is_no_reason_to_lose_a_job(capsys: Any, the: Any) -> None:
    """It is left here instead."""
    gone = Session(handles=HandleFiles(folder=Path("gone")))

    report(errors.DeadlineExceeded("runware", "late", Charge.MAYBE, JOB), gone)

    assert the("runware-*.job.json").exists()


@pytest.mark.parametrize("held", [False, True])
def test_a_fault_of_ours_is_one_line_and_keeps_the_job(
    run: Any, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """No traceback; what was accepted is not lost with the process."""

    def broken(client: Any, *_: object, on_progress: Any, **__: object) -> None:
        if held:
            from wanbridge.engine.events import Accepted

            on_progress(Accepted(JOB))
        raise ZeroDivisionError("oh\x1b[31m no")

    monkeypatch.setattr("wanbridge.client.blocking.Client.generate", broken)

    ran = run("generate", "kite", "--sandbox")

    assert 1 == ran.code
    said = "wanbridge: internal error, please report it: ZeroDivisionError: oh?[31m no"
    assert said == ran.lines[0]
    assert held == bool(list(Path().glob("*.job.json")))
    assert 1 + held == len(ran.lines)


def test_a_traceback_is_there_on_demand(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever looks for the fault."""
    monkeypatch.setenv("WANBRIDGE_DEBUG", "1")

    assert "Traceback" in run("generate", "a kite", "--image", "gone.png").err


def test_a_key_that_a_provider_quotes_back_is_not_printed(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Error pages and messages may hold it."""
    key = "sk-very-secret-4711"

    def refuse(*_: object, **__: object) -> None:
        raise errors.AuthenticationFailed("runware", f"bad key {key}", Charge.NO)

    monkeypatch.setattr("wanbridge.client.blocking.Client.generate", refuse)

    ran = run("generate", "a kite", "--config", configure(world, "runware", key=key))

    assert "wanbridge: runware: bad key ***;" in ran.lines[0]
    assert key not in ran.err + ran.out


@pytest.mark.parametrize("debug", ["", "1"])
def test_keys_are_never_printed(
    run: Any, world: Sandbox, configure: Any, monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    """Neither by what works nor by what does not."""
    monkeypatch.setenv("WANBRIDGE_DEBUG", debug)
    key = "sk-very-secret-4711"
    file = configure(world, key=key)

    for words in (
        ("providers",),
        ("providers", "--json"),
        ("explain", "a kite"),
        ("explain", "a kite", "--json"),
        ("generate", "a kite", "--provider", "runware"),
        ("submit", "a kite", "--provider", "reapi"),
        ("generate", "a kite", "--provider", "nobody"),
        ("generate", "a kite", "--provider", "dashscope", "--deadline", -1),
    ):
        ran = run(*words, "--config", file)
        assert key not in ran.out + ran.err


def test_a_key_is_not_in_what_is_left_behind(
    run: Any, slow: Sandbox, configure: Any, the: Any
) -> None:
    """Jobs go to other machines, which have their own configuration."""
    run("generate", "a kite", "--config", configure(slow, "runware"), "--deadline", 0.3)

    assert slow.api_key("runware") not in the("*.job.json").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("generate", "a kite"), "no provider is configured; set one of RUNWARE_API_KEY"),
        (("genrate",), 'Unknown command "genrate". Did you mean "generate"?'),
        (("fetch", "gone.json"), "gone.json: No such file or directory"),
        (("fetch",), 'Command "fetch" parameter FILE requires an argument'),
        (("reconcile", "gone.json"), "gone.json: No such file or directory"),
        (("generate", "kite", "--config", "gone.toml"), "gone.toml: No such file or directory"),
        (("generate", "kite", "--request", "."), ".: Is a directory"),
    ],
)
def test_a_mistake_is_no_traceback(run: Any, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, one line, one more at most."""
    ran = run(*words)

    assert 2 == ran.code
    assert said in ran.lines[0]
    assert len(ran.lines) <= 2


def test_a_missing_key_says_where_to_put_it(run: Any, world: Sandbox, monkeypatch: Any) -> None:
    """An address alone makes an account that cannot buy."""
    monkeypatch.setenv("RUNWARE_BASE_URL", world.base_url("runware"))

    ran = run("generate", "a kite")

    assert 2 == ran.code
    assert "set RUNWARE_API_KEY" in ran.lines[0]
    assert [] == world.ledger()["posts"]


def test_a_wrong_configuration_names_the_path(run: Any) -> None:
    """And the command that lists everything."""
    Path("w.toml").write_text('[providers.runware]\napi_kee = "x"\n')

    ran = run("generate", "a kite", "--config", "w.toml")

    assert 2 == ran.code
    assert "api_kee" in ran.lines[0]
    assert "  see: wanbridge validate w.toml --as config" == ran.lines[1]


def test_help_lists_the_exit_codes(run: Any) -> None:
    """Where people look for them."""
    ran = run("--help")

    assert 0 == ran.code
    for code in Exit:
        assert f"{code.value} " in ran.out
    assert "Exit codes" in run("generate", "--help").out


def test_nothing_at_all_is_a_plea_for_help(run: Any) -> None:
    """The commands are listed."""
    assert "demo" in run().out


def test_the_version_is_told(run: Any) -> None:
    """For bug reports."""
    from wanbridge.version import __version__

    assert f"wanbridge {__version__}\n" == run("--version").out


def test_without_its_libraries_it_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A bare installation has no command line."""
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    monkeypatch.delitem(sys.modules, "wanbridge.cli.app", raising=False)

    assert 2 == main(["demo"])
    assert "wanbridge: the command line needs cyclopts: pip install 'wanbridge[cli]'\n" == (
        capsys.readouterr().err
    )


def test_a_fault_in_importing_is_not_taken_for_a_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever broke it wants to know where."""
    monkeypatch.setitem(sys.modules, "wanbridge.cli.app", None)

    with pytest.raises(ImportError):
        main(["demo"])


@pytest.mark.parametrize("command", ["generate", "demo", "sandbox"])
def test_without_the_sandbox_it_names_the_extra(
    run: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Before anything is started."""
    for name in ("drawing", "server"):
        monkeypatch.delitem(sys.modules, f"wanbridge.sandbox.{name}", raising=False)
        monkeypatch.delattr(f"wanbridge.sandbox.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)

    ran = run(command, *(["a kite", "--sandbox"] if command == "generate" else []))

    assert 2 == ran.code
    assert "pip install 'wanbridge[sandbox]'" in ran.lines[0]


def test_a_closed_pipe_is_silent() -> None:
    """``wanbridge providers | head -1`` is no error to talk about."""
    command = f"{sys.executable} -m wanbridge explain kite --json | head -c 1"

    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert ("{", "") == (ended.stdout, ended.stderr)


def test_the_module_runs_like_the_command() -> None:
    """``python -m wanbridge`` needs no PATH."""
    words = [sys.executable, "-m", "wanbridge", "providers", "--json"]

    ended = subprocess.run(words, capture_output=True, text=True, check=False)

    assert 0 == ended.returncode
    assert [*BUILTIN] == [p["account"] for p in json.loads(ended.stdout)["providers"]]


@pytest.mark.parametrize(("event", "code"), [(Submitting(RECEIPT), 5), (Accepted(JOB), 4)])
def test_a_fault_of_this_machine_has_the_code_of_what_is_open(event: Any, code: int) -> None:
    """Not that of a wrong usage, after which nothing was sent."""
    session = Session()
    session.on_event(event)

    assert code == report(OSError(5, "Input/output error"), session)
