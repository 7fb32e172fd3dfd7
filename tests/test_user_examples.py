"""``examples/``: every program is run as a user would, against a sandbox over HTTP."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image as Pillow

import wanbridge
from wanbridge import ImageRequest, Receipt
from wanbridge.sandbox import Sandbox, running
from wanbridge.transport.library import httpx

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
# Seconds that no run needs.
MOST_WAIT = 120.0


def environment(sandbox: Sandbox, *providers: str, **more: str) -> dict[str, str]:
    """That of a user whose accounts are at the sandbox, and of nobody else."""
    own = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    paths = [str(Path(wanbridge.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    for name in providers:
        own[f"{name.upper()}_API_KEY"] = sandbox.api_key(name)
        own[f"{name.upper()}_BASE_URL"] = sandbox.base_url(name)
    return {**own, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def run(name: str, *words: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """An example in a process of its own."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, words)],
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=MOST_WAIT,
        check=False,
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on a loopback socket, whose tasks are done at once."""
    with running(Sandbox(latency=0)) as served:
        yield served


def test_examples_are_short_and_listed() -> None:
    """Something to start from fits on a page; the list beside them has each."""
    files = sorted(p for p in EXAMPLES.iterdir() if p.is_file() and p.name != "README.md")
    listed = re.findall(r"\]\((\S+?)\)", (EXAMPLES / "README.md").read_text("utf-8"))

    assert {path.name for path in files} == set(listed)
    assert 5 == len(files)
    for path in files:
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            assert [] == [cell for cell in cells if cell.get("outputs")]
            text = "\n".join("".join(cell["source"]) for cell in cells)
        assert len(text.splitlines()) <= 80, path.name


def test_a_folder_is_compared(tmp_path: Path) -> None:
    """A row for each request and account; unknown prices are empty, refusals say why."""
    folder = tmp_path / "requests"
    folder.mkdir()
    for name, request in {
        "kite": ImageRequest("a red kite", n=2),
        "poster": ImageRequest("a poster", model="wan2.7-image-pro", negative_prompt="text"),
    }.items():
        (folder / f"{name}.json").write_text(request.to_json(), "utf-8")
    table = tmp_path / "prices.csv"

    ended = run(
        "compare_folder.py",
        *(folder, table, "--rate", "CNY=0.1406", "--rates-date", "2026-11-20"),
        env=environment(Sandbox()),
    )

    assert (0, "") == (ended.returncode, ended.stderr)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"kite", "poster"} == {row["request"] for row in rows}
    assert 14 == len(rows)
    yuan = next(row for row in rows if (row["request"], row["account"]) == ("kite", "gccai"))
    assert Decimal(yuan["usd"]) == Decimal(yuan["amount"]) * Decimal("0.1406")
    assert ["poster"] == list({row["request"] for row in rows if row["refused"]})
    cheapest = min(Decimal(row["usd"]) for row in rows if row["request"] == "kite" and row["usd"])
    assert f"kite: {cheapest:f}".rstrip("0") in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("each at its cheapest: ")

    broken = run("compare_folder.py", folder, table, "--rate", "CNY=x", env=environment(Sandbox()))
    assert 1 == broken.returncode
    assert 1 == len(broken.stderr.splitlines())


def test_a_route_fails_over_within_its_budget(sandbox: Sandbox, tmp_path: Path) -> None:
    """The first has no credit, the second delivers; then the budget of the day is used up."""
    env = environment(sandbox, "kie", "reapi")
    sandbox.set_balance("kie", 0)

    first = run("failover_with_budgets.py", "a kite", "--budget", "0.045", "-o", tmp_path, env=env)

    assert 0 == first.returncode, first.stderr
    assert "kie: CreditExhausted" in first.stdout
    assert "reapi: delivered, 0.024 USD" in first.stdout
    (picture,) = tmp_path.glob("*.png")
    assert str(picture) == first.stdout.splitlines()[-1]
    with Pillow.open(picture) as opened:
        opened.load()

    second = run("failover_with_budgets.py", "a kite", "--budget", "0.045", "-o", tmp_path, env=env)
    assert 1 == second.returncode
    assert second.stderr.startswith("failover_with_budgets: budget: ")
    assert 1 == len(list(tmp_path.glob("*.png")))
    assert 1 == sandbox.ledger()["totals"]["reapi"]["accepted"]


def test_what_may_be_bought_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    """The submit's reply is lost; its receipt can be reconciled by another process."""
    env = environment(sandbox, "reapi")
    sandbox.fault("accept_then_drop", provider="reapi")

    ended = run("failover_with_budgets.py", "a kite", "-o", tmp_path, env=env)

    assert 1 == ended.returncode
    assert ended.stderr.splitlines()[-1].startswith("failover_with_budgets: reapi: ")
    assert "Traceback" not in ended.stderr
    receipt = Receipt.from_json((tmp_path / "open.receipt.json").read_text("utf-8"))
    assert "reapi" == receipt.account
    assert "reapi: SubmissionUncertain" in ended.stdout


def test_a_photo_is_edited_where_it_is_marked(sandbox: Sandbox, tmp_path: Path) -> None:
    """With its boxes on the wire, and what comes back beside it; who takes none is named."""
    photo = tmp_path / "street.png"
    Pillow.new("RGB", (1024, 768), "navy").save(photo)
    env = environment(sandbox, "reapi", "runware")

    ended = run("edit_local_photo.py", photo, "lanterns", "--box", "80,40,944,430", env=env)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "not reapi: " in ended.stdout
    edited = tmp_path / "street-edited-1.png"
    assert f"{edited}, by runware for " in ended.stdout
    with Pillow.open(edited) as opened:
        assert "PNG" == opened.format
        assert opened.width > opened.height  # as the photo is

    outside = run("edit_local_photo.py", photo, "lanterns", "--box", "80,40,1944,430", env=env)
    assert 1 == outside.returncode
    assert outside.stderr.startswith("edit_local_photo: ")
    assert "regions[0]" in outside.stderr
    assert 1 == len(outside.stderr.splitlines())
    assert 1 == len(sandbox.ledger()["posts"])


# -- the application ---------------------------------------------------------------------


CONFIG = """
[providers.runware]
api_key_env = "RUNWARE_API_KEY"
base_url = "{base_url}"

[routes.default]
providers = ["runware"]
budget = {{ amount = "0.07", currency = "USD" }}

[callbacks]
base_url = "https://app.example.com/hooks"
secret_env = "HOOKS_SECRET"
"""


@contextmanager
def application(listener: socket.socket, env: dict[str, str]) -> Iterator[str]:
    """The application, served by uvicorn on a socket that is bound already; its origin."""
    words = ["-m", "uvicorn", "fastapi_app:app", "--app-dir", str(EXAMPLES)]
    words += ["--fd", str(listener.fileno()), "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, *words], env=env, pass_fds=[listener.fileno()], cwd=env["HOME"]
    )
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.wait(MOST_WAIT)


@pytest.mark.skipif(find_spec("fastapi") is None, reason="needs fastapi")
def test_an_application_makes_pictures_and_is_called_back(tmp_path: Path) -> None:
    """One order over HTTP, one callback over HTTP, and errors as answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    at = f"http://127.0.0.1:{listener.getsockname()[1]}"
    served = Sandbox(latency=0.5)
    with listener, running(served, deliver_to={"https://app.example.com": at}) as sandbox:
        config = tmp_path / "wanbridge.toml"
        config.write_text(CONFIG.format(base_url=sandbox.base_url("runware")), "utf-8")
        env = environment(
            sandbox,
            WANBRIDGE_CONFIG=str(config),
            RUNWARE_API_KEY=sandbox.api_key("runware"),
            HOOKS_SECRET="s" * 40,
            HOME=str(tmp_path),
        )
        with (
            application(listener, env) as origin,
            httpx.Client(base_url=origin, trust_env=False, timeout=MOST_WAIT) as http,
        ):
            made = http.post("/pictures", json={"prompt": "a red kite"})
            wrong = http.post("/pictures", json={"prompt": "a red kite", "n": 9})
            dear = [http.post("/pictures", json={"prompt": "a kite", "n": 4}) for _ in range(2)]
            picture = http.get(made.json()["pictures"][0])

    assert (200, "runware", 0) == (
        made.status_code,
        made.json()["provider"],
        made.json()["missing"],
    )
    assert "PNG" == Pillow.open(io.BytesIO(picture.content)).format
    assert [200] == list({delivery.status for delivery in sandbox.deliveries()})
    assert 422 == wrong.status_code
    assert "$.n: 9 is out of range" in wrong.json()["error"]
    assert 402 == dear[-1].status_code
    assert dear[-1].json()["go_on_with"] is None


# -- the notebook ------------------------------------------------------------------------


_EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], 4)
NotebookClient(book, kernel_name="python3", timeout=100).execute(cwd=sys.argv[2])
nbformat.write(book, sys.argv[3])
"""


@pytest.mark.skipif(
    find_spec("nbclient") is None or find_spec("ipykernel") is None, reason="needs a kernel"
)
def test_the_notebook_shows_pictures(sandbox: Sandbox, tmp_path: Path) -> None:
    """From its first cell to its last in a kernel, which runs one event loop for all of them."""
    done = tmp_path / "done.ipynb"
    folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    env = environment(sandbox, "reapi", "runware", HOME=str(tmp_path))
    env |= {name: str(tmp_path / name.lower()) for name in folders}
    # In a process of its own: what its libraries warn of is theirs.
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            _EXECUTE,
            str(EXAMPLES / "notebook.ipynb"),
            str(tmp_path),
            str(done),
        ],
        env=env,
        capture_output=True,
        text=True,
        timeout=MOST_WAIT,
        check=False,
    )

    assert 0 == ended.returncode, ended.stderr
    cells = json.loads(done.read_text("utf-8"))["cells"]
    shown = [output for cell in cells for output in cell.get("outputs", ())]
    assert {"execute_result"} == {output["output_type"] for output in shown}
    pages = ["".join(output["data"].get("text/html", "")) for output in shown]
    assert "reapi" in pages[1]
    pictures = [re.findall(r"data:image/\w+;base64,([\w+/=]+)", page) for page in pages]
    assert [0, 0, 2, 1] == [len(found) for found in pictures]
    for found in pictures:
        for text in found:
            Pillow.open(io.BytesIO(base64.b64decode(text))).load()
    assert 2 == sum(t["accepted"] for t in sandbox.ledger()["totals"].values())
