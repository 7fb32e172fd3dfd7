"""Who may import whom: the split is worth having, and lost silently by one convenient import.

Read from the source, not by importing; what happens at import is seen in a process of its own.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from attrs import frozen

import wanbridge

ROOT = Path(wanbridge.__file__).parent

# What each folder (or module beside the folders) may import of ours; it may always import from
# itself, without circles. The chain is cli -> client -> routing -> engine -> adapters -> model ->
# errors; what is missing here (cli, __main__) stands above everything.
MAY: dict[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "version": "",
        "errors": "",
        "wire": "",
        "pictures": "",
        "model": "errors pictures",
        "bulk": "errors model storage",
        "ledger": "errors model",
        "storage": "adapters engine errors model pictures",
        "adapters": "errors model pictures wire",
        "providers": "adapters errors model pictures wire",
        "engine": "adapters errors model pictures wire",
        "money": "adapters errors ledger model",
        "explain": "adapters errors model money pictures wire",
        "routing": "adapters engine errors model money",
        "transport": "adapters engine errors version wire",
        "callbacks": "adapters engine errors model wire",
        "observability": "engine errors model version",
        "config": "adapters engine errors model money routing",
        "testing": "adapters engine errors model wire",
        "client": (
            "adapters engine errors explain ledger model money observability routing storage"
            " transport"
        ),
        # The other half of every conversation: written from the manuals, not from our adapters.
        "sandbox": "wire",
        "wanbridge": "version",
    }.items()
}
ABOVE_ALL = {"cli", "__main__"}
# At most so many modules stand beside the folders.
BESIDE_MOST = 8
EXCEPTIONS: dict[str, frozenset[str]] = {
    "sandbox.transport": frozenset({"transport"}),
    "sandbox.callback_delivery": frozenset({"transport"}),
}

# Imports inside functions: each saves time at import or breaks a circle, and is meant.
LAZY: dict[str, set[str]] = {
    "adapters.registry": {"importlib.metadata"},
    "callbacks.receiver": {"wanbridge.config"},
    "client.asynchronous": {
        "wanbridge.client.async_runner",
        "wanbridge.sandbox.transport",
        "wanbridge.storage.filenames",
        "wanbridge.transport.asynchronous",
        "wanbridge.transport.library",
    },
    "client.base": {
        "wanbridge.client.calls",
        "wanbridge.config",
        "wanbridge.explain.explanation",
        "wanbridge.ledger.sqlite",
        "wanbridge.money.comparison",
        "wanbridge.sandbox",
        "wanbridge.storage.files",
        "wanbridge.storage.filenames",
        "wanbridge.storage.object_store",
        "wanbridge.transport",
    },
    "client.blocking": {
        "wanbridge.client.runner",
        "wanbridge.sandbox.transport",
        "wanbridge.storage.filenames",
        "wanbridge.transport.blocking",
        "wanbridge.transport.library",
    },
    "client.calls": {
        "wanbridge.client.router",
        "wanbridge.routing.estimates",
        "wanbridge.routing.failover",
    },
    "client.options": {"uuid"},
    "model.inputs": {"wanbridge.pictures.fit", "wanbridge.storage.picture_sources"},
    "model.nearest": {"difflib"},
    "model.request": {"wanbridge.bulk.request_files", "wanbridge.model"},
    "model.result": {"wanbridge.model.html", "wanbridge.storage.files"},
    "model.schemas": {
        "jsonschema",
        "jsonschema.exceptions",
        "jsonschema.validators",
        "jsonschema_rs",
        "referencing",
        "referencing.jsonschema",
    },
    "model.stored": {"wanbridge.model"},
    "model.structuring": {"cattrs", "cattrs.errors", "cattrs.gen"},
    "money.comparison": {"wanbridge.money.html"},
    "money.price_files": {"importlib", "json"},
    "money.quotes": {"wanbridge.money.html"},
    "observability.opentelemetry": {"opentelemetry"},
    "pictures.fit": {
        "PIL",
        "PIL.AvifImagePlugin",
        "PIL.BmpImagePlugin",
        "PIL.GifImagePlugin",
        "PIL.Image",
        "PIL.JpegImagePlugin",
        "PIL.PngImagePlugin",
        "PIL.TiffImagePlugin",
        "PIL.WebPImagePlugin",
        "pillow_heif",
    },
    "pictures.thumbnails": {"PIL"},
    "routing.health": {"statistics"},
    "sandbox.dialects.crun.input": {"jsonschema"},
    "sandbox.dialects.dashscope.images": {"PIL"},
    "sandbox.dialects.empiriolabs.jobs": {"wanbridge.sandbox.drawing"},
    "sandbox.dialects.runware.answers": {"wanbridge.sandbox.drawing"},
    "sandbox.dialects.uploads": {"PIL"},
    "sandbox.sandbox": {"wanbridge.sandbox.drawing"},
    "storage.object_store": {"obstore", "obstore.exceptions", "obstore.store"},
    "transport.bodies": {"tempfile"},
    "transport.deadlines": {"ssl"},
    "transport.library": {"httpx", "httpx2"},
    "wire": {"email.utils"},
}
# Imports for annotations only, where they would make a circle.
FOR_TYPES: dict[str, set[str]] = {
    "adapters.registry": {"importlib.metadata"},
    "callbacks.asgi": {"wanbridge.callbacks.receiver"},
    "client.async_runner": {
        "wanbridge.callbacks.receiver",
        "wanbridge.storage.object_store",
    },
    "client.asynchronous": {
        "wanbridge.adapters.base",
        "wanbridge.adapters.steps",
        "wanbridge.client.options",
        "wanbridge.model.jobs",
        "wanbridge.model.money",
        "wanbridge.model.request",
        "wanbridge.model.source",
        "wanbridge.money.comparison",
        "wanbridge.money.quotes",
        "wanbridge.sandbox",
        "wanbridge.transport.library",
    },
    "client.base": {
        "wanbridge.adapters.base",
        "wanbridge.callbacks.receiver",
        "wanbridge.client.options",
        "wanbridge.config",
        "wanbridge.engine.context",
        "wanbridge.engine.driver",
        "wanbridge.explain.explanation",
        "wanbridge.ledger.protocol",
        "wanbridge.model.jobs",
        "wanbridge.model.request",
        "wanbridge.model.source",
        "wanbridge.money.comparison",
        "wanbridge.money.quotes",
        "wanbridge.observability.telemetry",
        "wanbridge.routing.route",
        "wanbridge.sandbox",
        "wanbridge.storage.files",
        "wanbridge.storage.addresses",
        "wanbridge.storage.object_store",
    },
    "client.blocking": {
        "wanbridge.adapters.base",
        "wanbridge.adapters.steps",
        "wanbridge.client.options",
        "wanbridge.model.jobs",
        "wanbridge.model.money",
        "wanbridge.model.request",
        "wanbridge.model.source",
        "wanbridge.money.comparison",
        "wanbridge.money.quotes",
        "wanbridge.sandbox",
        "wanbridge.transport.library",
    },
    "client.calls": {
        "wanbridge.callbacks.receiver",
        "wanbridge.client.router",
        "wanbridge.routing.route",
        "wanbridge.storage.files",
    },
    "client.options": {
        "wanbridge.engine.events",
        "wanbridge.model.picture_like",
        "wanbridge.routing.route",
    },
    "client.runner": {"wanbridge.callbacks.receiver", "wanbridge.storage.object_store"},
    "errors": {"wanbridge.model.jobs", "wanbridge.model.money", "wanbridge.model.result"},
    "model.codec": {"cattrs"},
    "model.html": {"wanbridge.model.result"},
    "model.structuring": {"cattrs", "cattrs.errors"},
    "money.html": {"wanbridge.money.comparison", "wanbridge.money.quotes"},
    "observability.opentelemetry": {"opentelemetry.metrics", "opentelemetry.trace"},
    "pictures.fit": {"PIL.Image", "PIL.ImageCms"},
    "sandbox": {"wanbridge.sandbox.server", "wanbridge.sandbox.transport"},
    "sandbox.callbacks": {"wanbridge.sandbox.account", "wanbridge.sandbox.dialect"},
    "sandbox.control": {"wanbridge.sandbox.sandbox"},
    "storage.object_store": {"obstore", "obstore.store"},
    "transport.asynchronous": {"wanbridge.transport.library"},
    "transport.base": {"wanbridge.transport.library"},
    "transport.blocking": {"wanbridge.transport.library"},
    "transport.bodies": {"wanbridge.transport.library"},
    "transport.deadlines": {"ssl"},
    "transport.event_loops": {"wanbridge.transport.library"},
    "transport.library": {"httpx"},
    "transport.pools": {"ssl"},
}
# At the top of a module, beside the standard library; all else is an extra or slow to import.
THIRD_PARTY: dict[str, set[str]] = {
    "cli": {"attrs", "cyclopts", "rich"},
    "transport": {"attrs", "httpx", "httpx2"},
    "sandbox": {"attrs", "PIL", "uvicorn", "starlette"},
}

# What the command line itself may look up in the environment.
SWITCHES = {"COLUMNS", "WANBRIDGE_DEBUG"}

# Who decides without looking at the world.
PURE = (
    *("adapters", "providers", "model", "engine", "money", "routing", "explain", "testing"),
    "wire",
)
WORLDLY = {"asyncio", "os", "random", "secrets", "select", "signal", "socket", "ssl", "time"}

When = Literal["top", "lazy", "types"]


@frozen
class Import:
    """One name that a module imports.

    Attributes:
        target: The module, dotted; ``from wanbridge import wire`` is ``wanbridge.wire``.
        names: What is taken from it; empty for ``import target``.
    """

    target: str
    names: tuple[str, ...]
    when: When
    line: int


def name_of(path: Path) -> str:
    """``cli.app``, ``sandbox`` for its ``__init__``, ``wanbridge`` for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) or "wanbridge"


@cache
def modules() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text("utf-8")) for path in ROOT.rglob("*.py")}


@cache
def imports(module: str) -> tuple[Import, ...]:
    return tuple(_imports(modules()[module], "top"))


def _imports(node: ast.AST, when: When) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=aliases):
                yield from (Import(a.name, (), when, child.lineno) for a in aliases)
            case ast.ImportFrom(module="wanbridge", names=aliases):
                yield from (Import(f"wanbridge.{a.name}", (), when, child.lineno) for a in aliases)
            case ast.ImportFrom(module=str(target), names=aliases, level=0):
                yield Import(target, tuple(a.name for a in aliases), when, child.lineno)
            case ast.ImportFrom():
                yield Import("relative", (), when, child.lineno)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=orelse):
                yield from (i for part in body for i in _imports(_wrapped(part), "types"))
                yield from (i for part in orelse for i in _imports(_wrapped(part), when))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _imports(child, "lazy")
            case _:
                yield from _imports(child, when)


def _wrapped(statement: ast.stmt) -> ast.Module:
    return ast.Module([statement], [])


def ours(found: Import) -> str | None:
    """The imported module of ours, without the package's name; None if it is none."""
    if found.target == "wanbridge":
        return "wanbridge"
    inner = found.target.removeprefix("wanbridge.")
    return None if inner == found.target else inner


def part(module: str) -> str:
    """The module, or the package that it is in: ``providers`` for ``providers.runware``."""
    return module.partition(".")[0]


each_module = pytest.mark.parametrize("module", sorted(modules()))


@each_module
def test_a_folder_imports_only_what_it_may(module: str) -> None:
    """The chain runs one way; relative imports would hide where a name comes from."""
    assert part(module) in MAY or part(module) in ABOVE_ALL
    if part(module) in ABOVE_ALL:
        return
    lazily = {part(target.removeprefix("wanbridge.")) for target in LAZY.get(module, ())}
    allowed = MAY[part(module)] | {part(module)} | EXCEPTIONS.get(module, frozenset()) | lazily
    for found in imports(module):
        assert "relative" != found.target
        target = ours(found)
        if target is None or found.when == "types" or (module, found.when) == ("wanbridge", "lazy"):
            continue
        assert part(target) in allowed, f"{module}:{found.line} {found.target}"


def test_no_module_imports_itself_by_others() -> None:
    """A circle at the top of modules works or not by who is imported first."""
    known = modules()
    edges = {
        module: {
            name
            for found in imports(module)
            if found.when == "top" and (target := ours(found)) is not None
            for name in (target, *(f"{target}.{taken}" for taken in found.names))
            if name in known and name != module and not module.startswith(f"{name}.")
        }
        for module in known
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for other in sorted(edges[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in sorted(known):
        visit(module, ())


def test_a_stranger_finds_folders() -> None:
    """Few modules beside the folders, and each folder says in one line what lives there."""
    beside = [path.stem for path in ROOT.glob("*.py")]
    assert len(beside) <= BESIDE_MOST

    for folder in ROOT.rglob("__init__.py"):
        said = ast.get_docstring(ast.parse(folder.read_text("utf-8")))
        assert said, folder
        assert folder.parent in (ROOT, ROOT / "sandbox", ROOT / "testing", ROOT / "cli") or (
            "\n" not in said
        ), folder


def test_providers_do_not_know_each_other() -> None:
    """A dialect that borrows from another breaks when that one changes.

    One of several files is a package, whose parts import one another and not the package.
    """
    homes = {m: ".".join(m.split(".")[:2]) for m in modules() if m.startswith("providers.")}
    assert len({"providers", *homes.values()}) > 7

    assert () == imports("providers")
    for module, home in homes.items():
        targets = [i.target for i in imports(module) if "providers" in i.target]
        assert [] == [t for t in targets if not t.startswith(f"wanbridge.{home}.")]


def test_nothing_but_the_command_line_needs_it() -> None:
    """The package works without its extras: no cli, no sandbox is imported by importing it."""
    for module in modules():
        if part(module) in ("cli", "__main__", "sandbox", "testing"):
            continue
        at_once = [part(t) for i in imports(module) if i.when == "top" and (t := ours(i))]
        assert not {"cli", "sandbox", "testing"} & set(at_once), module


@each_module
def test_lazy_imports_are_meant(module: str) -> None:
    """One inside a function is listed above, with those for types."""
    if part(module) == "cli" or module == "wanbridge":
        return  # which are lazy nearly throughout, to start fast

    assert LAZY.get(module, set()) == {i.target for i in imports(module) if i.when == "lazy"}
    assert FOR_TYPES.get(module, set()) == {i.target for i in imports(module) if i.when == "types"}


@each_module
def test_third_parties_are_few(module: str) -> None:
    """Core is attrs; cattrs, jsonschema and the extras come when they are needed."""
    allowed = THIRD_PARTY.get(part(module), {"attrs"})
    foreign = {
        i.target.partition(".")[0] for i in imports(module) if i.when == "top" and ours(i) is None
    }

    assert foreign - set(sys.stdlib_module_names) <= allowed


def test_one_module_names_the_http_library() -> None:
    """To change it is to change that module; the sandbox's transport gets it from there."""
    named = {
        module
        for module in modules()
        for i in imports(module)
        if i.target.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpx_aiohttp")
    }

    assert {"transport.library"} == named


def test_one_module_reads_the_environment() -> None:
    """``config`` alone: a key that is read in two places is read differently."""
    readers = {m for m, tree in modules().items() if any(map(_reads_environment, ast.walk(tree)))}

    assert {"config"} == {module for module in readers if part(module) != "cli"}


def test_the_command_line_reads_no_key_from_the_environment() -> None:
    """Beside ``config`` it looks at its own switches only, by name."""
    read = {
        ast.unparse(node)
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if part(module) == "cli" and isinstance(node, ast.Call | ast.Compare | ast.Subscript)
        if any(map(_reads_environment, ast.walk(node)))
    }

    assert {name for text in read for name in SWITCHES if repr(name) in text} == SWITCHES
    assert all(any(repr(name) in text for name in SWITCHES) for text in read), read


def _reads_environment(node: ast.AST) -> bool:
    name = getattr(node, "attr", None) or (isinstance(node, ast.alias) and node.name)
    return name in ("environ", "environb", "getenv")


@pytest.mark.parametrize("module", sorted(m for m in modules() if part(m) in PURE))
def test_who_decides_does_not_look_at_the_world(module: str) -> None:
    """No clock, chance, socket or environment: they are arguments, so tests need no patching."""
    for found in imports(module):
        root = found.target.partition(".")[0]
        assert root not in WORLDLY, f"{module}:{found.line} {found.target}"
        if root == "uuid":
            assert ("UUID",) == found.names, f"{module}:{found.line}: ids come from outside"
    for node in ast.walk(modules()[module]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read = f"{node.value.id}.{node.attr}"
            assert read not in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")


# Told by whoever opened something, as the promise is about us and not about what we import.
_WATCH = """
import json, os, sys

told = []

def caller():
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if "importlib" not in file and not file.endswith("os.py"):
            return file
        frame = frame.f_back

def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "shutil.", "urllib.")):
        told.append([event, str(arguments[:1]), caller()])
    if event == "open":
        name = str(arguments[0])
        if not name.endswith((".py", ".pyc", ".so", ".zip", ".pth")):
            told.append([event, name, caller()])

class Environment(dict):
    def told(self, name):
        told.append(["environ", str(name), sys._getframe(2).f_code.co_filename])
    def __getitem__(self, name):
        self.told(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        self.told(name)
        return super().get(name, default)
    def __contains__(self, name):
        self.told(name)
        return super().__contains__(name)

os.environ = Environment(os.environ)
sys.addaudithook(watch)
import wanbridge
for name in wanbridge.__all__:
    getattr(wanbridge, name)
heavy = ["cattrs", "jsonschema", "jsonschema_rs", "rich", "cyclopts", "PIL", "uvicorn"]
heavy += ["opentelemetry", "obstore"]
if "httpx" in sys.modules:
    heavy = [name for name in heavy if name != "rich"]  # httpx imports it for its own command
heavy = [name for name in heavy if name in sys.modules]
print(json.dumps({"told": told, "heavy": heavy, "file": wanbridge.__file__}))
"""


@cache
def _import_report() -> dict[str, list[list[str]]]:
    run = subprocess.run(
        # -B: the bytecode that it would write is not what the test is about.
        [sys.executable, "-B", "-W", "error", "-c", _WATCH],
        capture_output=True,
        text=True,
        check=True,
    )
    report: dict[str, list[list[str]]] = json.loads(run.stdout)
    return report


def test_importing_opens_nothing() -> None:
    """No socket, and no file but code; the HTTP library reads its own version."""
    seen = [what for what in _import_report()["told"] if what[0] != "environ"]

    assert [] == [what for what in seen if not what[1].endswith(".dist-info/METADATA")]
    assert [] == [what for what in seen if "/wanbridge/" in str(what[2])]


def test_importing_reads_no_environment_of_ours() -> None:
    """Whatever is set in a shell, importing wanbridge gives the same package."""
    seen = [what for what in _import_report()["told"] if what[0] == "environ"]

    assert [] == [what for what in seen if "/wanbridge/" in what[2]]
    assert [] == [what for what in seen if "API_KEY" in what[1] or "BASE_URL" in what[1]]


def test_importing_leaves_slow_libraries_out() -> None:
    """They cost more than the rest together, and most processes never need them."""
    assert [] == _import_report()["heavy"]


_COMPARE = """
import json, sys
from wanbridge import Client
at_import = list(sys.modules)
client = Client.from_config({"providers": {"reapi": {}, "kie": {}}})
quotes = client.compare("a red kite over dunes", n=2)
assert {"reapi", "kie"} == {quote.provider for quote in quotes}, quotes
client.close()
print(json.dumps({"import": at_import, "compare": list(sys.modules)}))
"""


def test_comparing_prices_loads_no_http_library() -> None:
    """It takes longer to import than everything else, and nothing is sent.

    A blocking program also does without asyncio, and without what only calls need.
    """
    run = subprocess.run([sys.executable, "-c", _COMPARE], capture_output=True, check=True)
    loaded: dict[str, list[str]] = json.loads(run.stdout)

    assert set() == {"httpx", "httpx2", "ssl", "asyncio"} & set(loaded["compare"])
    late = {"engine.conversation", "routing.failover", "money.comparison", "transport.blocking"}
    assert set() == {f"wanbridge.{name}" for name in late} & set(loaded["import"])


def test_every_public_name_is_found_where_it_lives() -> None:
    """Names are loaded on first use; none may be missing, and a typo is still one."""
    import wanbridge

    for name in wanbridge.__all__:
        assert getattr(wanbridge, name) is not None
    assert set(wanbridge.__all__) <= set(dir(wanbridge))
    assert wanbridge.errors.InvalidRequest is wanbridge.InvalidRequest
    with pytest.raises(AttributeError, match="Clinet"):
        _ = wanbridge.Clinet
    assert set(wanbridge._MODULE_OF) | {"__version__"} == set(wanbridge.__all__)
