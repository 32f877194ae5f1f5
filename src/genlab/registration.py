"""The kinds of parts that a user can add to genlab, and their registration.

    @genlab.part("gan-loss", "cubic")
    class Cubic:
        log_odds = False
        def discriminator(real, fake, *, margin: float = 1.0): ...
        def generator(fake): ...

In Python a part can also be given as it is: `genlab.train("dcgan", loss=Cubic)`. See also `plugins.py`.
"""

import importlib
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from genlab.core import parts
from genlab.core.errors import UsageError, lookup
from genlab.core.parts import Origin, OwnOption, Part

T = TypeVar("T")
GIVEN = Origin("an object", "")  # of data that are given as an object
DIGITS = 8  # of the hash of such data in their name
CLASSES = {"ndarray": "array", "Tensor": "array", "tuple": "data", "list": "data", "dict": "data"}  # before it
TOLD = ("width", "norm", "dropout", "attention")  # keywords that an architecture gets from genlab


@dataclass(frozen=True)
class Kind:
    """A kind of parts.

    Args:
        module: of its table.
        table: its name in the module.
        traits: keywords of `genlab.part` that describe the part.
        attributes: of a part that is an object with several functions, whose options are found in all of them.
        has_options: whether a recipe or the settings have the options of the part.
    """

    module: str
    table: str
    traits: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    has_options: bool = True


KINDS: Mapping[str, Kind] = {
    "architecture": Kind("architectures", "ARCHITECTURES", attributes=("encoder", "decoder", "denoiser")),
    "gan-loss": Kind(
        "objectives.adversarial",
        "ADVERSARIAL",
        ("log_odds", "targets", "compares_real", "unbounded", "signed"),
        ("discriminator", "generator"),
    ),
    "reconstruction": Kind("objectives.reconstruction", "RECONSTRUCTION"),
    "regularizer": Kind("regularizers.own", "REGULARIZERS"),
    "noise-schedule": Kind("objectives.diffusion", "SCHEDULES"),
    "lr-schedule": Kind("core.schedules", "RATES"),
    "sampler": Kind("families.samplers", "SAMPLERS"),
    "family": Kind("recipes.presets", "PRESETS", has_options=False),
    "data": Kind("data.objects", "SOURCES"),
    "extractor": Kind("runs.extractors", "EXTRACTORS", has_options=False),
    "metric": Kind("applications.own", "METRICS", ("requires", "better"), has_options=False),
    "rule": Kind(
        "diagnosis.doctor",
        "ALL_RULES",
        ("symptom", "why", "needs", "families", "references", "remedies"),
        has_options=False,
    ),
    "callback": Kind("training.own", "CALLBACKS"),
}


@dataclass(frozen=True)
class Load:
    """A plugin that is being loaded."""

    origin: Origin
    accept_changed: bool
    registered: list[tuple[str, str]] = field(default_factory=list)  # kinds and names so far


loading: list[Load] = []


def part(kind: str, name: str, *, accept_changed: bool = False, **traits: Any) -> Callable[[T], T]:  # noqa: ANN401
    """Register a function, class or object as a part of genlab: a network, a loss, a rule …

    `genlab.part(kind, name)` is a decorator; `genlab.part(kind, name)(value)` registers a value. The name is then
    accepted wherever names of this kind are: as an option's value, in YAML, in messages. The keyword-only
    parameters of a function, or of a class's `__init__`, and the fields of a dataclass become options,
    `--NAME-PARAMETER`.

    Args:
        kind: one of `KINDS`.
        name: not that of a built-in row.
        accept_changed: whether runs that were trained with another version of the part may use it.
        **traits: what else its table has to know, such as `log_odds=True` of a GAN loss.

    Raises:
        UsageError: an unknown kind or trait, a name that is taken, or a value that is no part of this kind.
    """
    load = loading[-1] if loading else None

    def register(value: T) -> T:
        if load and (kind, name) in load.registered:
            raise UsageError(f'the {kind} "{name}" is defined twice. Rename one.')
        accepted = accept_changed or (load is not None and load.accept_changed)
        origin = load.origin if load else parts.origin_of(value)
        _register(kind, name, value, origin, traits, accept_changed=accepted)
        if load:
            load.registered.append((kind, name))
        return value

    return register


def named(options: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return options with names instead of the objects among their values, which are registered under these names.

    Args:
        options: of `genlab.train`.
        kinds: of the options whose values may be parts.

    Raises:
        UsageError: an object is no part of this kind, or has no name.
    """
    found = dict(options)
    for option, kind in kinds.items():
        value = options.get(option)
        if kind == "callback" and isinstance(value, list | tuple):
            found[option] = tuple(name_of(kind, item) for item in value)
        elif value is not None and not isinstance(value, int | float):  # which no part is: the option refuses it
            found[option] = name_of(kind, value)
    regularizers = found.pop("regularizers", {})
    if not isinstance(regularizers, Mapping):
        raise UsageError("regularizers is a dictionary from functions to their weights: {my_penalty: 0.1}")
    for regularizer, weight in regularizers.items():
        found[name_of("regularizer", regularizer).replace("-", "_")] = weight
    return found


def name_of(kind: str, value: object) -> str:
    """Return the name of a part; a value that is no text is registered under its own name.

    Raises:
        UsageError: it has no name, or is no part of this kind.
    """
    if isinstance(value, str | os.PathLike):
        return str(os.fspath(value))
    for name, known in parts.registered(kind).items():
        if known.value is value and known.origin != GIVEN:
            return name
    own = getattr(value, "__name__", type(value).__name__)
    own = CLASSES.get(own, own) if kind == "data" else own
    if own == "<lambda>":
        raise UsageError(
            f'a lambda has no name, under which a run could record it. Use def, or genlab.part("{kind}", "NAME").'
        )
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\W]+", "-", own).strip("-").lower()
    name, origin = base, parts.origin_of(value, given=True)
    if kind == "data":
        objects = importlib.import_module(f"genlab.{KINDS[kind].module}")
        if not objects.is_made(value):  # known by their content, which may have changed since they were given
            name, origin = f"{base}-{objects.content_hash(value)[:DIGITS]}", GIVEN
    _register(kind, name, value, origin, {})
    return name


def _register(
    kind: str,
    name: str,
    value: object,
    origin: Origin,
    traits: Mapping[str, Any],
    *,
    accept_changed: bool = False,
) -> None:
    about = lookup(KINDS, kind, "kind of part")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+([-+.][a-z0-9]+)*", name):
        raise UsageError(
            f'"{name}" is no name for a part: use small letters, digits and dashes, such as my-{kind}.'
        )
    for trait in traits:
        if trait not in about.traits:
            choices = ", ".join(about.traits) or "none"
            raise UsageError(f'genlab.part("{kind}", …) has no trait "{trait}". Choices: {choices}.')
    table = getattr(importlib.import_module(f"genlab.{about.module}"), about.table)
    if name in table.rows:
        taken = ", ".join(table.rows)
        raise UsageError(f'"{name}" is the name of a built-in {kind}. Choose another name than {taken}.')
    traits, options = dict(traits), _options(about, value) if about.has_options else {}
    if kind == "regularizer":
        traits["form"] = _form(name, value)
        options[""] = OwnOption(0.0, float, f"weight of the regularizer {name}")
    made = Part(kind, name, value, origin, traits, options, accept_changed)
    parts.register(made)
    try:
        table[name]
    except UsageError:
        parts.forget(made)
        raise


def _options(about: Kind, value: object) -> dict[str, OwnOption]:
    functions = [getattr(value, name) for name in about.attributes if hasattr(value, name)] or [value]
    told = (*TOLD, "real_label", "fake_label")
    helps = parts.helps_in(value)
    return {
        name: replace(option, help=option.help or helps.get(name, ""))
        for function in functions
        for name, option in parts.options_in(function, told).items()
    }


def _form(name: str, value: object) -> str:
    """Return the form of a regularizer, by the number of its parameters."""
    if callable(value):
        parameters = [p for p in inspect.signature(value).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        if len(parameters) in (1, 4):
            return "weights" if len(parameters) == 1 else "gradient"
    raise UsageError(
        f'the regularizer "{name}" must be a function (network), of the weights, or (score, real, fake, draws), '
        "of the gradients of a GAN's discriminator."
    )
