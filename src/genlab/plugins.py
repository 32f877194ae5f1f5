"""Loads files that register parts of a user.

The command line is given a file: `genlab train dcgan --plugin my_parts.py --loss cubic --cubic-margin 2`. A YAML
recipe has the key `plugin`, the pyproject.toml of the current folder `plugins` in `[tool.genlab]`.
"""

import hashlib
import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import yaml

from genlab.core import parts, yaml12
from genlab.core.errors import UsageError
from genlab.core.files import expanded
from genlab.core.parts import Origin
from genlab.core.text import short
from genlab.registration import KINDS, Load, loading


def plugin(path: str | os.PathLike[str], *, accept_changed: bool = False) -> ModuleType:
    """Load a file that registers parts, or the folder of a package that does, and return it as a module.

    Args:
        path: a .py file, or a folder with an `__init__.py`.
        accept_changed: whether runs that were trained with another version of the file may use its parts.

    Raises:
        UsageError: there is no such file, it cannot be imported, or it registers nothing.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"plugin takes the path of a file, such as my_parts.py, not {short(path)}.")
    place = expanded(path)
    file = place / "__init__.py" if place.is_dir() else place
    if not file.is_file() or file.suffix != ".py":
        raise UsageError(
            f"--plugin {path}: there is no such file. Give a .py file, or a folder with an __init__.py."
        )
    whole = str(place.resolve())
    stem = re.sub(r"[^a-z0-9]", "_", place.resolve().stem.lower())
    name = f"genlab_plugin_{stem}_{hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(place)] * place.is_dir()
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    load = Load(Origin(whole, _hash(place)), accept_changed)
    with _imported(name, module), _from(load):
        try:
            spec.loader.exec_module(module)
        except UsageError as error:
            raise UsageError(f"--plugin {path}: {error}") from None
        except (Exception, SystemExit) as error:
            hint = f"{parts.line_of(error)}{_missing(error, place)}"
            raise UsageError(
                f"--plugin {path} cannot be imported: {type(error).__name__}: {error}{hint}"
            ) from error
    if not load.registered:
        raise UsageError(
            f'--plugin {path} registers nothing. Put `@genlab.part("KIND", "NAME")` above a function or a class; '
            f"kinds: {', '.join(KINDS)}."
        )
    return module


def of_command_line(tokens: Sequence[str]) -> list[str]:
    """Load the plugins that `tokens`, a YAML recipe in them and pyproject.toml name; return the other tokens.

    Raises:
        UsageError: a plugin cannot be loaded.
    """
    rest: list[str] = []
    paths: list[str | Path] = []
    accept_changed = False
    waiting = iter(tokens)
    for token in waiting:
        flag, equals, value = token.partition("=")
        if flag == "--plugin":
            path = value if equals else next(waiting, "")
            if not path:
                raise UsageError("--plugin needs a file, such as --plugin my_parts.py")
            paths.append(path)
        elif token == "--accept-changed":
            accept_changed = True
        else:
            rest.append(token)
    for place in (*_of_project(Path.cwd()), *paths):
        plugin(place, accept_changed=accept_changed)
    if len(rest) > 1 and rest[0] == "train":
        of_recipe(rest[1], accept_changed=accept_changed)
    return rest


def of_recipe(name: str, *, accept_changed: bool = False) -> None:
    """Load the plugins under the key `plugin` of a YAML recipe; paths are relative to the recipe's folder.

    A run folder never makes genlab import anything: in the recipe of a run the key is refused.

    Raises:
        UsageError: a plugin cannot be loaded, or the recipe is that of a run.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return
    try:
        values = yaml12.load(path)
    except (OSError, yaml.YAMLError):
        return  # `resolve` reports it
    listed = values.get("plugin") if isinstance(values, dict) else None
    if not listed:
        return
    if "genlab" in values or path.name == "recipe.yaml" or (path.parent / "data.yaml").exists():
        raise parts.untrusted(name)
    for each in [listed] if isinstance(listed, str) else listed:
        plugin(path.parent / str(each), accept_changed=accept_changed)


def _of_project(folder: Path) -> list[Path]:
    """Return the plugins in the pyproject.toml of a folder; none in a run folder."""
    project = folder / "pyproject.toml"
    if not project.is_file() or any(_is_run(each) for each in (folder, *folder.parents)):
        return []
    try:
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("genlab", {})
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {project}: {error}") from None
    for key in tool.keys() - {"plugins"}:
        raise UsageError(f'{project} has "{key}" in [tool.genlab]. The only key is plugins, a list of files.')
    return [folder / name for name in tool.get("plugins", [])]


def _is_run(folder: Path) -> bool:
    return (
        (folder / "recipe.yaml").exists() or (folder / "data.yaml").exists() or (folder / "checkpoints").is_dir()
    )


@contextmanager
def _from(load: Load) -> Iterator[None]:
    """Let `part` know what is being loaded; if that fails, forget what it has registered."""
    before = parts.everything()
    loading.append(load)
    try:
        yield
    except BaseException:
        for part in parts.everything().values():
            parts.forget(part)
        for part in before.values():
            parts.register(part)
        raise
    finally:
        loading.pop()


@contextmanager
def _imported(name: str, module: ModuleType) -> Iterator[None]:
    """Make a module known by its name while it is imported, and after that if nothing went wrong.

    The modules of a package are imported again with it.
    """
    before = {known: sys.modules.pop(known) for known in [*sys.modules] if f"{known}.".startswith(f"{name}.")}
    sys.modules[name] = module
    try:
        yield
    except BaseException:
        for known in [known for known in sys.modules if f"{known}.".startswith(f"{name}.")]:
            del sys.modules[known]
        sys.modules.update(before)
        raise


def _hash(place: Path) -> str:
    """Return the sha256 of a file, or of all Python files of a folder."""
    if place.is_file():
        return parts.file_hash(place)
    digest = hashlib.sha256()
    for file in sorted(place.rglob("*.py")):
        digest.update(os.fsencode(f"{file.relative_to(place)} {parts.file_hash(file)}\n"))
    return digest.hexdigest()


def _missing(error: BaseException, place: Path) -> str:
    """Return a hint if a plugin imports a file that lies beside it."""
    name = getattr(error, "name", None) or ""
    if not isinstance(error, ModuleNotFoundError) or not (place.parent / f"{name}.py").is_file():
        return ""
    return (
        f". {name}.py lies beside it: make a folder of both with an __init__.py, write `from . import {name}`, "
        "and give the folder as --plugin."
    )
