"""A user's own parts: rows that genlab's tables get from outside.

A table is a mapping from names to rows. Whoever reads it finds own parts beside the built-in ones, so that a
network, a loss or a rule of a user is looked up, suggested and refused like genlab's.
"""

import dataclasses
import hashlib
import inspect
import sysconfig
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from genlab.core.errors import GenlabError, UsageError

T = TypeVar("T")
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
LATER = ("data", "callback", "extractor")  # kinds that a trained model does not depend on
PACKAGE, STANDARD = Path(__file__).parents[1], Path(sysconfig.get_path("stdlib"))
NO_FILE = ("a notebook", "the interpreter", "an object")  # where parts are in no file
SHOWN = 12  # digits of a hash in messages


@dataclass(frozen=True)
class Origin:
    """Where a part was defined.

    Args:
        file: its path, or one of `NO_FILE`.
        sha256: of the file of a plugin; else of the part's own source code; "" if that is unknown.
    """

    file: str
    sha256: str
    given: bool = False  # as an object: to load the file does not register it


@dataclass(frozen=True)
class OwnOption:
    """An option of a part: a keyword of its function or class."""

    default: Any
    hint: Any
    help: str


@dataclass(frozen=True)
class Part:
    """A row of a table that a user has registered.

    Args:
        kind: of the part, such as "gan-loss"; each table is of one kind.
        name: in the table.
        value: what the user gave: a function, a class or an object.
        origin: where it was defined.
        traits: keywords of `genlab.part`, which describe the part to its table.
        options: its options, by the names of its keywords.
        accept_changed: whether runs that were trained with another version of it may use it.
    """

    kind: str
    name: str
    value: Any
    origin: Origin
    traits: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, OwnOption] = field(default_factory=dict)
    accept_changed: bool = False

    def flag(self, option: str) -> str:
        """Return the name of an option in recipes: `cubic_margin` for the option `margin` of the part "cubic".

        The option "" of a regularizer is its weight, which has the name of the part.
        """
        return "_".join(filter(None, (self.name, option))).replace("-", "_")

    def bound(self, own: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a function or a class, if it has options)
        """Return the value with its options bound, from the options `own` of a recipe."""
        given = {name: own.get(self.flag(name), option.default) for name, option in self.options.items() if name}
        return partial(self.value, **given) if given else self.value

    def record(self) -> dict[str, Any]:
        """Return what a run folder says about the part."""
        origin = self.origin
        about: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "file": origin.file,
            "sha256": origin.sha256,
        }
        flags = [self.flag(name) for name in self.options]
        about |= {"options": flags} if flags else {}
        return about | ({"given": True} if origin.given else {})


_PARTS: dict[tuple[str, str], Part] = {}


def registered(kind: str) -> dict[str, Part]:
    """Return the own parts of a kind by name."""
    return {name: part for (its, name), part in _PARTS.items() if its == kind}


def everything() -> dict[tuple[str, str], Part]:
    """Return all own parts by kind and name."""
    return dict(_PARTS)


def register(part: Part) -> None:
    """Add a part; one of the same name from the same file is replaced.

    Raises:
        UsageError: another file has registered a part of this kind and name.
    """
    before = _PARTS.get((part.kind, part.name))
    if before and before.origin.file != part.origin.file:
        raise UsageError(
            f'{part.origin.file} and {before.origin.file} both define the {part.kind} "{part.name}". Rename one.'
        )
    _PARTS[part.kind, part.name] = part


def forget(part: Part) -> None:
    """Remove a part."""
    _PARTS.pop((part.kind, part.name), None)


class Table(Mapping[str, T], Generic[T]):
    """Rows by name: built-in ones, then a user's own of the same kind.

    Args:
        kind: of the parts.
        rows: the built-in rows.
        convert: returns the row of an own part whose options have the given values.
    """

    def __init__(self, kind: str, rows: Mapping[str, T], convert: Callable[[Part, Mapping[str, Any]], T]) -> None:
        self.kind, self.rows, self.convert = kind, dict(rows), convert

    def __getitem__(self, name: str) -> T:
        return self.bound(name, NO_OPTIONS)

    def __iter__(self) -> Iterator[str]:
        yield from self.rows
        yield from registered(self.kind)

    def __len__(self) -> int:
        return len(self.rows) + len(registered(self.kind))

    def bound(self, name: str, own: Mapping[str, Any]) -> T:
        """Return the row called `name`; an own part gets its options from `own`, the own options of a recipe."""
        return self.rows[name] if name in self.rows else self.convert(registered(self.kind)[name], own)


def options_of_missing(parts: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the options of the parts that a run folder names and that are not registered."""
    missing = [record for record in parts if (record.get("kind"), record.get("name")) not in _PARTS]
    return {option for record in missing for option in record.get("options") or ()}


def needed(parts: Sequence[Mapping[str, Any]], where: str, *, later: bool = False) -> None:
    """Check that the parts which a run was trained with are registered and have not changed.

    A run folder only names its parts: it is never a reason to import anything. Those of the kinds `LATER` are
    needed only to train or to measure, and may change; data are known by their fingerprint.

    Args:
        parts: what the run folder says about them.
        where: it says so.
        later: whether the parts of the kinds `LATER` are needed, too.

    Raises:
        UsageError: one is missing or has changed; the message says what to give.
    """
    for record in parts:
        if record.get("kind") in LATER and not later:
            continue
        kind, name, file, sha256 = (str(record.get(key, "")) for key in ("kind", "name", "file", "sha256"))
        part = _PARTS.get((kind, name))
        if part is None:
            raise _missing(kind, name, file, sha256[:SHOWN] or "unknown", where, given=bool(record.get("given")))
        if kind in LATER or part.accept_changed:
            continue
        if sha256 and part.origin.sha256 and part.origin.sha256 != sha256:
            raise UsageError(
                f'the {kind} "{name}" has changed since it was used for {where}: sha256 {sha256[:SHOWN]} then '
                f"({file}), {part.origin.sha256[:SHOWN]} now ({part.origin.file}). Restore the old file, or "
                "accept the new one: --accept-changed on the command line, accept_changed=True in genlab.plugin "
                "or genlab.part."
            )


def _missing(kind: str, name: str, file: str, sha256: str, where: str, *, given: bool) -> UsageError:
    """Return the error for a part that a run needs; it says how to give it."""
    if kind == "data" and file in NO_FILE:
        return UsageError(
            f'{where} needs the data "{name}", which were given in Python and are not known in this session. Give '
            "them again, as data=…: genlab.resume(run, data=…), genlab.evaluate(run, data=…)."
        )
    if given:
        return UsageError(
            f'{where} needs the {kind} "{name}" (sha256 {sha256}), which was given as an object from {file}. '
            f'Register it first: genlab.part("{kind}", "{name}")(…). For the command line write that into a file, '
            "and give it as --plugin."
        )
    plugin = "FILE" if file in NO_FILE else Path(file).name
    return UsageError(
        f'{where} needs the {kind} "{name}" from {file} (sha256 {sha256}), which is not part of genlab. Load the '
        f'file that registers it: --plugin {plugin} on the command line, genlab.plugin("{plugin}") in Python; or '
        f'register the object: genlab.part("{kind}", "{name}")(…).'
    )


def untrusted(where: str) -> UsageError:
    """Return the error for a run folder that wants a file to be loaded."""
    return UsageError(
        f"{where} belongs to a run and has the key `plugin`, but a run never loads code by itself. Remove it; if "
        "you trust the file, give it as --plugin."
    )


def origin_of(value: object, *, given: bool = False) -> Origin:
    """Return where an object was defined, with the hash of its own source code.

    The rest of its file may change: a script that trains a run and one that resumes it are often the same.
    """
    code = value.func if isinstance(value, partial) else value
    if inspect.isfunction(code) or inspect.isclass(code):
        defined: list[Any] = [inspect.unwrap(code)]
    else:  # an object: the functions that it holds, else its class
        held = getattr(code, "__dict__", {}).values()
        defined = [part for part in held if inspect.isfunction(part)] or [type(code)]
    try:
        file = inspect.getsourcefile(defined[0]) or ""
        source = "".join(inspect.getsource(part) for part in defined)
    except (OSError, TypeError):
        return Origin("the interpreter", "", given)
    place = file if Path(file).is_file() else "a notebook"
    return Origin(place, hashlib.sha256(source.encode()).hexdigest(), given)


@contextmanager
def calling(part: Part) -> Iterator[None]:
    """Turn what a user's part raises into an error that names the part and the line.

    Raises:
        GenlabError: the part has raised something else than one.
    """
    try:
        yield
    except GenlabError:
        raise
    except Exception as error:
        raise GenlabError(
            f'your {part.kind} "{part.name}" raised {type(error).__name__}: {error}{line_of(error)}'
        ) from error


def line_of(error: BaseException) -> str:
    """Return where in a user's code an error was raised: not in genlab, a package or the standard library."""
    trace, place = error.__traceback__, ""
    while trace:
        file = Path(trace.tb_frame.f_code.co_filename)
        known = any(file.is_relative_to(folder) for folder in (PACKAGE, STANDARD)) or file.name.startswith(
            "<frozen"
        )
        if not known and "site-packages" not in file.parts:
            place = f" (line {trace.tb_lineno} of {file.name})"
        trace = trace.tb_next
    return place


def file_hash(path: Path) -> str:
    """Return the sha256 (hex) of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def options_in(value: object, told: Sequence[str] = ()) -> dict[str, OwnOption]:
    """Return the options of a function or a class: its keyword-only parameters, or the fields of a dataclass.

    Args:
        value: a function or a class.
        told: keywords that genlab gives a value itself.

    Raises:
        UsageError: an option without a default or with a type other than int, float, bool, str, None or Literal.
    """
    if not callable(value):
        return {}
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return {}
    fields_are_options = isinstance(value, type) and dataclasses.is_dataclass(value)
    hints = _hints(value)
    found = {}
    for name, parameter in signature.parameters.items():
        if name in told or not (fields_are_options or parameter.kind is parameter.KEYWORD_ONLY):
            continue
        hint, default = hints.get(name, type(parameter.default)), parameter.default
        if default is parameter.empty or not _is_plain(hint):
            raise UsageError(
                f"the option {name} of {getattr(value, '__name__', value)} needs a default and a type that can be "
                "typed: int, float, bool, str, Literal, or one of them or None."
            )
        found[name] = OwnOption(default, hint, helps_in(value).get(name, ""))
    return found


def _hints(value: Any) -> dict[str, Any]:  # noqa: ANN401 (a function or a class)
    places = (value, getattr(value, "__init__", None)) if inspect.isclass(value) else (value,)
    hints: dict[str, Any] = {}
    for place in places:
        try:
            hints |= typing.get_type_hints(place)
        except (TypeError, NameError):
            continue
    return hints


def _is_plain(hint: Any) -> bool:  # noqa: ANN401
    if typing.get_origin(hint) is typing.Literal:
        return True
    return all(part in (int, float, bool, str, type(None)) for part in typing.get_args(hint) or (hint,))


def helps_in(value: Any) -> Mapping[str, str]:  # noqa: ANN401 (a function, class or object)
    """Return the texts of the section `Args:` of a docstring."""
    from docstring_parser import parse

    texts = [value.__doc__, value.__init__.__doc__] if inspect.isclass(value) else [getattr(value, "__doc__", "")]
    params = [param for text in texts for param in parse(text or "").params]
    return {param.arg_name: (param.description or "").rstrip(".") for param in params}
