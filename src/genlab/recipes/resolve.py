"""From what a user wrote, on the command line, in YAML or in Python, to a recipe and settings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from genlab.core import legacy, parts, yaml12
from genlab.core.errors import UsageError, lookup, suggestion
from genlab.core.parts import Part, registered
from genlab.recipes.fields import aliases, by_field, chosen_parts, options_of, override, refuse_unused, values_of
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe, UnknownRecipe
from genlab.recipes.settings import Settings
from genlab.version import __version__

if TYPE_CHECKING:
    import torch


SYNONYMS = {  # names that other programs give to options
    **dict.fromkeys(("learning_rate", "rate"), "lr"),
    **dict.fromkeys(("epochs", "iterations", "iters", "max_steps", "num_steps"), "steps"),
    **dict.fromkeys(("dataset", "data_dir", "data_path", "input"), "data"),
    **dict.fromkeys(("out", "output", "output_dir", "out_dir", "folder", "save_dir"), "root"),
    **dict.fromkeys(("batchsize", "bs"), "batch_size"),
    **dict.fromkeys(("latent_size", "z_dim", "nz"), "latent"),
    **dict.fromkeys(("image_size", "resolution", "img_size"), "size"),
    **dict.fromkeys(("gpu", "cuda", "gpus"), "device"),
}
_RESTORE = "Restore the file."


@dataclass(frozen=True)
class Plan:
    """The name of a preset, and the recipe and settings after all changes."""

    preset: str
    recipe: Recipe
    settings: Settings

    def changed(self, options: Mapping[str, Any]) -> "Plan":
        """Return the plan with `options` of the recipe or the settings replaced.

        Raises:
            UsageError: an unknown option, a wrong value, or options that cannot be combined.
        """
        plan = self._overridden(options)
        plan.recipe.refuse()
        for changed in (plan.recipe, plan.settings):
            refuse_unused(changed)
        return plan

    def _overridden(self, options: Mapping[str, Any]) -> "Plan":
        """Return the plan with `options` replaced, each of them checked by itself."""
        options = by_field(options, self.recipe, self.settings)
        of_recipe, of_settings = options_of(self.recipe).keys(), options_of(self.settings).keys()
        for name in options.keys() - of_recipe - of_settings:
            known = sorted({*of_recipe, *of_settings, *aliases(self.recipe, self.settings)})
            raise UsageError(
                f'{self.preset} has no option "{name}".{instead(name, known)} Choices: {", ".join(known)}.'
            )
        recipe = override(self.recipe, {n: v for n, v in options.items() if n in of_recipe})
        settings = override(self.settings, {n: v for n, v in options.items() if n in of_settings})
        return Plan(self.preset, recipe, settings)

    def sampled(self, options: Mapping[str, Any]) -> "Plan":
        """Return the plan with sampling options replaced, which can change after training.

        Raises:
            UsageError: not a sampling option, or as `changed`.
        """
        for name in options.keys() - set(self.recipe.of_sampling):
            owned = "" if name in options_of(self.recipe) else owners(name)
            choices = ", ".join(self.recipe.of_sampling) or "none"
            raise UsageError(f'"{name}" is not a sampling option of {self.preset}.{owned} Choices: {choices}.')
        if not options:
            return self
        after = override(self.recipe, options)
        used = values_of(after).keys()  # another sampler does not have the options of the old one
        recipe = replace(self.recipe, own={n: value for n, value in self.recipe.own.items() if n in used})
        return replace(self, recipe=recipe).changed(options)

    def dtype(self, device: "torch.device") -> "torch.dtype":
        """Return the number type of the matrix products inside networks on `device`.

        "auto" leaves perceptrons in float32, because rounding their weights costs the time that bf16 saves, and
        splines, which support nothing else.
        """
        from genlab.core.device import precision

        wanted, whole = self.settings.precision, self.recipe.architecture in ("mlp", "spline")
        return precision("float32" if wanted == "auto" and whole else wanted, device)

    def values(self) -> dict[str, Any]:
        """Return the keys and values of a YAML file that `resolve` reads."""
        values = {
            "preset": self.preset,
            "genlab": __version__,
            **values_of(self.recipe),
            **values_of(self.settings),
        }
        own = {"parts": [part.record() for part in self.parts]} if self.parts else {}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()} | own

    @property
    def parts(self) -> list[Part]:
        """The own parts that the plan uses."""
        family = [part for name, part in registered("family").items() if name == self.preset]
        return [*family, *chosen_parts(self.recipe), *chosen_parts(self.settings)]


def resolve(name: str, options: Mapping[str, Any] | None = None) -> Plan:
    """Return the plan of a preset, or of a YAML file with the key `preset` and options, changed by `options`.

    Raises:
        UsageError: an unknown preset or option, a wrong value, or an unreadable file.
    """
    if name.endswith((".yaml", ".yml")):
        plan = from_values(_read(Path(name)), where=name)
    else:
        plan = Plan(name, lookup(PRESETS, name, "preset"), Settings())
    return plan.changed(options or {})


def part_kinds(name: str) -> dict[str, str]:
    """Return the options of a preset or a YAML file whose values may be a user's own parts, with their kinds."""
    plan = resolve(name)
    found = [f for options in (plan.recipe, plan.settings) for f in fields(options) if f.metadata.get("part")]
    return {f.name: f.metadata["part"] for f in found}


def from_values(values: Mapping[str, Any], where: str, *, needs_parts: bool = True) -> Plan:
    """Return the plan of a YAML file's keys and values; keys may be written with dashes or underscores.

    Without `needs_parts` it can only be read: it names own parts that are missing or have changed, without their
    options, and its recipe is an `UnknownRecipe` if the family is one of them.

    Raises:
        UsageError: the key `preset` is missing, a needed part is missing or has changed, or as `resolve`.
    """
    options = {str(key).replace("-", "_"): value for key, value in values.items()}
    records = part_records(options, where)
    options.pop("parts", None)
    if needs_parts:
        parts.needed(records, where)
    missing = list(unusable_parts(records, where).values())
    unknown = parts.options_of_missing(records) | {name for part in missing for name in part.get("options", ())}
    options = {name: value for name, value in options.items() if name not in unknown}
    if options.pop("plugin", None) and "genlab" in options:  # else loaded by the command line or `genlab.train`
        raise parts.untrusted(where)
    if str(options.pop("genlab", "")).startswith("0.1."):
        options = legacy.options(options)
    options = legacy.settings(options)
    preset = options.pop("preset", None)
    if preset is None:
        raise UsageError(f"{where} has no key `preset`. Add for example `preset: dcgan`; see `genlab recipes`.")
    try:
        if missing:
            return _incomplete(str(preset), options, missing)
        return Plan(str(preset), lookup(PRESETS, str(preset), "preset"), Settings()).changed(options)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def part_records(values: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """Return what the keys and values of a YAML file say about own parts.

    Raises:
        UsageError: it is not what genlab writes.
    """
    records = values.get("parts") or []
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UsageError(f"{where} has the key `parts`, which must be a list of mappings. {_RESTORE}")
    for record in records:
        named = all(isinstance(record.get(key), str) for key in ("kind", "name", "file", "sha256"))
        options = record.get("options", [])
        if not named or not isinstance(options, list) or not all(isinstance(option, str) for option in options):
            raise UsageError(
                f"{where} describes a part as {record!r:.80}. A part needs kind, name, file and sha256 as text, "
                f"and may have a list of options. {_RESTORE}"
            )
    return records


def unusable_parts(records: Sequence[Mapping[str, Any]], where: str) -> dict[str, Mapping[str, Any]]:
    """Return the own parts without which a model cannot be used, and that are missing or have changed.

    The keys say why, and what to do.
    """
    found = {}
    for record in records:
        try:
            parts.needed([record], where)
        except UsageError as error:
            found[str(error)] = record
    return found


def _incomplete(preset: str, options: Mapping[str, Any], missing: Sequence[Mapping[str, Any]]) -> Plan:
    """Return a plan that names missing parts."""
    unknown = any((record["kind"], record["name"]) == ("family", preset) for record in missing)
    plan = Plan(preset, UnknownRecipe() if unknown else lookup(PRESETS, preset, "preset"), Settings())
    if unknown:
        known = options_of(plan.recipe).keys() | options_of(plan.settings).keys()
        options = {name: value for name, value in options.items() if name in known}
    names = [(record["kind"], record["name"]) for record in missing]
    named = {
        f.name: options[f.name]
        for f in (*fields(plan.recipe), *fields(plan.settings))
        if (f.metadata.get("part"), options.get(f.name)) in names
    }
    plan = plan._overridden({name: value for name, value in options.items() if name not in named})
    of_recipe = {f.name for f in fields(plan.recipe)}
    recipe = replace(plan.recipe, **{name: value for name, value in named.items() if name in of_recipe})
    settings = replace(plan.settings, **{name: value for name, value in named.items() if name not in of_recipe})
    return replace(plan, recipe=recipe, settings=settings)


def instead(name: str, known: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """Return what to give instead of an option that is not among the `known` ones, formatted by `shown`.

    It is a question with the option that was probably meant, or the families that have this one; or nothing.
    """
    known = list(known)
    meant = [each for each in known if each.endswith(f"_{name}")]
    if name in SYNONYMS and SYNONYMS[name] in known:
        meant = [SYNONYMS[name]]
    elif name in SYNONYMS and not meant:
        meant = [each for each in known if each.endswith(f"_{SYNONYMS[name]}")]
    if meant:
        return ' Did you mean "{}"?'.format('" or "'.join(map(shown, meant)))
    return owners(name) or suggestion(name, known, shown)


def owners(name: str) -> str:
    """Return a sentence for each family that has the option; `kl_cycles` is an option of VAEs, for example."""
    examples: dict[str, str] = {}
    for preset, recipe in PRESETS.items():
        if name in options_of(recipe).keys() | aliases(recipe).keys():
            examples.setdefault(recipe.family, preset)
    return "".join(f" It is an option of {family} presets, such as {p}." for family, p in examples.items())


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml12.load(path)
    except FileNotFoundError:
        near = suggestion(path.name, [p.name for p in path.parent.glob("*.y*ml")]) if path.parent.is_dir() else ""
        raise UsageError(f"there is no file {path}.{near}") from None
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold keys and values, such as `preset: dcgan`")
    return values
