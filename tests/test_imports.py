"""The arrows between the rooms, and what must not be imported where."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import genlab
from genlab.verbs import VERBS

SOURCE = Path(genlab.__file__).parent

PARTS = frozenset({"core", "architectures", "objectives", "regularizers", "families"})
BELOW_RUNS = PARTS | {"data", "metrics", "diagnosis", "training", "recipes"}
ARROWS: Mapping[str, frozenset[str]] = {
    "core": frozenset(),
    "architectures": frozenset({"core"}),
    "objectives": frozenset({"core"}),
    "regularizers": frozenset({"core"}),
    "families": frozenset({"core", "objectives"}),
    "data": frozenset({"core"}),
    "metrics": frozenset({"core"}),
    "diagnosis": frozenset({"core"}),
    "training": frozenset({"core", "data", "metrics", "diagnosis", "recipes"}),
    "recipes": PARTS | {"metrics"},  # whose frozen networks of features some models contain
    "runs": BELOW_RUNS,
    "applications": frozenset({"core", "data", "metrics", "training", "recipes", "runs"}),
    "bench": BELOW_RUNS | {"runs", "applications"},
    "verbs": BELOW_RUNS - {"architectures", "objectives", "regularizers", "families"}
    | {"runs", "applications", "bench", "plugins", "registration"},
    "cli": frozenset({"plugins", "core", "recipes", "verbs"}),
    # modules that lie outside the rooms
    "version": frozenset(),
    "": BELOW_RUNS | {"version", "plugins", "registration", "verbs", "runs", "applications"},
    "registration": frozenset({"core"}),  # and the tables of all rooms, by name
    "plugins": frozenset({"core", "registration"}),
    "__main__": frozenset({"cli"}),
}
FOR_ALL = "version"
OF_CORE = frozenset({"torch", "numpy", "yaml", *sys.stdlib_module_names})
HEAVY = ("torch", "numpy", "matplotlib", "sklearn", "PIL")

Edges = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Return the files of the package at `root` by their dotted names below it; "" is the package itself."""
    named = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def imported(path: Path, name: str) -> Iterator[str]:
    """Yield the absolute names that a file imports, wherever in it; `from a import b` yields a.b."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ["genlab", *(part for part in package if part)]
                base = ".".join([*above[: len(above) + 1 - node.level], *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def edges(root: Path) -> Edges:
    """Return which modules of the package each of its modules imports."""
    known = modules(root)
    found: Edges = {name: set() for name in known}
    for name, path in known.items():
        for full in imported(path, name):
            first, *rest = full.split(".")
            if first != "genlab":
                continue
            while ".".join(rest) not in known and rest:
                rest = rest[:-1]
            found[name].add(".".join(rest))
    return found


def forbidden_arrows(root: Path) -> list[str]:
    """Return every import between rooms that the table does not allow, and every room that it lacks."""
    faults = []
    for name, targets in edges(root).items():
        room = name.split(".")[0]
        if room not in ARROWS:
            faults.append(f"{name}: no room {room} in the table")
            continue
        allowed = ARROWS[room] | {room, FOR_ALL}
        faults += [f"{name} -> {target}" for target in sorted(targets) if target.split(".")[0] not in allowed]
    return faults


def circle(graph: Edges) -> list[str]:
    """Return the modules of one circle of imports, or nothing."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if found := walk(target, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in graph if (found := walk(name, []))), [])


def at_import(tree: ast.Module) -> Iterator[str]:
    """Yield the first names of what a module imports when it is itself imported."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_rooms_import_along_the_arrows_only() -> None:
    assert forbidden_arrows(SOURCE) == []


def test_no_module_imports_itself_by_a_detour() -> None:
    assert circle(edges(SOURCE)) == []


def test_core_imports_torch_numpy_yaml_and_the_standard_library_only() -> None:
    for name, path in modules(SOURCE / "core").items():
        foreign = set(at_import(ast.parse(path.read_text()))) - OF_CORE - {"genlab"}
        assert not foreign, f"core.{name} imports {foreign}"


def test_only_the_command_line_and_the_progress_of_a_run_print() -> None:
    """Messages of the library go through `logging`, so that a program decides where they go."""
    for name, path in modules(SOURCE).items():
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        words = {ast.unparse(function) for function in calls}
        silent = words.isdisjoint({"print", "sys.stderr.write", "sys.stdout.write", "warnings.warn"})
        assert silent or name.startswith("cli.") or name == "training.terminal", name


def test_nothing_imports_torchvision() -> None:
    for name, path in modules(SOURCE).items():
        assert not [i for i in imported(path, name) if i.split(".")[0] == "torchvision"], name


def test_the_walk_sees_the_whole_package() -> None:
    graph = edges(SOURCE)
    assert {"core.optimizer", "runs.train", "cli.app"} <= graph.keys()
    assert "core.player" in graph["families.two_players"]
    assert "core.distributed" in graph["runs.train"]  # `from genlab.core import device, distributed`


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("import genlab.runs.train", "runs.train"),
        ("from genlab.runs import train", "runs.train"),
        ("from genlab.runs.train import train", "runs.train"),
        ("from genlab.runs.train import *", "runs.train"),
        ("from ..runs import train", "runs.train"),
        ("from ..runs.train import train", "runs.train"),
        ("from genlab import runs", "runs"),
        ("def late():\n    from genlab.runs.train import train", "runs.train"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import genlab.runs.train", "runs.train"),
        ("try:\n    import genlab.runs.train as r\nexcept ImportError:\n    pass", "runs.train"),
    ],
)
def test_the_checker_finds_an_arrow_that_is_not_allowed(tmp_path: Path, text: str, target: str) -> None:
    root = tree(tmp_path, {"runs/__init__.py": "", "runs/train.py": "", "core/bad.py": text})
    assert forbidden_arrows(root) == [f"core.bad -> {target}"]


def test_the_checker_finds_a_room_without_a_row(tmp_path: Path) -> None:
    root = tree(tmp_path, {"__init__.py": "", "cellar/wine.py": "import torch"})
    assert forbidden_arrows(root) == ["cellar.wine: no room cellar in the table"]


def test_the_checker_lets_allowed_arrows_pass(tmp_path: Path) -> None:
    files = {
        "core/a.py": "import torch",
        "core/b.py": "from genlab.core.a import x\nfrom genlab.version import __version__",
        "families/c.py": "from genlab.core import a, b",
        "version.py": "",
    }
    assert forbidden_arrows(tree(tmp_path, files)) == []
    assert circle(edges(tmp_path)) == []


def test_the_checker_finds_a_circle(tmp_path: Path) -> None:
    files = {
        "core/a.py": "from genlab.core import b",
        "core/b.py": "def late():\n    import genlab.core.c",
        "core/c.py": "from .a import x",
        "core/d.py": "from genlab.core import a",
    }
    assert circle(edges(tree(tmp_path, files))) == ["core.a", "core.b", "core.c", "core.a"]


@pytest.mark.parametrize(
    "statement",
    [
        "import genlab",
        "import genlab, inspect; inspect.signature(genlab.data); genlab.recipes('*vae')",
        *(f"import genlab; genlab.{name}.__doc__" for name in VERBS),
        "from genlab.cli.main import run; assert run(['--help']) == 0",
        "from genlab.cli.main import run; assert run(['train', '--help']) == 0",
        "from genlab.cli.main import run; assert run(['train', 'dcgan', '--help']) == 0",
        "from genlab.cli.main import run; assert run(['sample', '--help']) == 0",
        "from genlab.cli.main import run; assert run(['recipes']) == 0",
        "from genlab.cli.main import run; assert run(['train', 'dcgan', '--discriminator-steps', '0']) == 2",
    ],
)
def test_what_a_person_waits_for_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys\n{statement}\nprint('heavy:', *(set({HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["heavy:"]


def test_the_public_names_are_there_on_first_use() -> None:
    assert set(genlab.__all__) <= set(dir(genlab))
    for name in genlab.__all__:
        assert getattr(genlab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        genlab.trian  # noqa: B018


def test_slow_libraries_are_imported_only_where_they_are_used() -> None:
    """They take from a quarter of a second to a second at the start of every training."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            slow = {name.partition(".")[0] for name in names} & {"matplotlib", "scipy", "sklearn"}
            assert not slow or path.parent.name == "bench", f"{path} imports {slow}"
