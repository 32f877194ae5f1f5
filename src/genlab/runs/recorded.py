"""What a run folder says about its run: its plan, its data, its classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from genlab.core import legacy, parts
from genlab.core.errors import CheckpointError, UsageError, suggestion
from genlab.core.modality import DataSpec
from genlab.recipes.resolve import Plan, from_values, part_records
from genlab.runs.phases import phase_at, phases_of
from genlab.training.run_folder import RunFolder


def plan_of(folder: RunFolder, *, needs_parts: bool = True) -> Plan:
    """Return the plan of a run; without `needs_parts` only to be read, as `from_values` says."""
    where = str(folder.path / "recipe.yaml")
    return from_values(folder.read_yaml("recipe.yaml"), where, needs_parts=needs_parts)


def spec_of(folder: RunFolder, step: int | None = None) -> DataSpec:
    """Return the data spec of a run; with `step`, that in the phase of this step."""
    try:
        spec = DataSpec.of(recorded_data(folder))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from None
    if step is None:
        return spec
    phases = phases_of(plan_of(folder).recipe, spec)
    return phases[phase_at(phases, step)].spec


def recorded_data(folder: RunFolder) -> dict[str, Any]:
    """Return the content of data.yaml, converted if an earlier genlab wrote it."""
    values = folder.read_yaml("data.yaml")
    try:
        return values if "target" in values else legacy.data(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from None


def parts_of(folder: RunFolder) -> Sequence[Mapping[str, Any]]:
    """Return what a run folder says about its own parts."""
    return part_records(folder.read_yaml("recipe.yaml"), str(folder.path / "recipe.yaml"))


def require_parts(folder: RunFolder, *, data: bool = True) -> None:
    """Check that all own parts of a run are registered, also those that only training or measuring need.

    `data` is whether its data have to be known; they may be given again.

    Raises:
        UsageError: one is missing.
    """
    recorded = [record for record in parts_of(folder) if data or record["kind"] != "data"]
    parts.needed(recorded, str(folder.path / "recipe.yaml"), later=True)


def domains_of(folder: RunFolder) -> tuple[str, str]:
    """Return the names of the source and of the target that a run translates between."""
    names = recorded_data(folder).get("domains") or ("source", "target")
    if not isinstance(names, list | tuple) or len(names) != 2 or not all(isinstance(each, str) for each in names):
        raise _damaged(folder, ValueError("domains are the names of the source and of the target"))
    return names[0], names[1]


def facts_of(folder: RunFolder) -> dict[str, float]:
    """Return the facts about the training data for the doctor; empty for runs of an older genlab."""
    known: dict[str, float] = folder.read_yaml("data.yaml").get("facts") or {}
    if not isinstance(known, dict) or not all(isinstance(value, int | float) for value in known.values()):
        path = folder.path / "data.yaml"
        raise CheckpointError(f"{path} has the key `facts`, which must be names and numbers. Restore the file.")
    return known


def find_class(folder: RunFolder, name: str) -> int:
    """Return the index of a class, given its name or its index as text; where names are numbers, only its name.

    Raises:
        UsageError: there is no such class.
    """
    classes = spec_of(folder).class_names
    if name in classes:
        return classes.index(name)
    alike = [number for number, known in enumerate(classes) if known.casefold() == name.casefold()]
    if len(alike) > 1:
        raise UsageError(
            f'"{name}" may be {" or ".join(f"{classes[number]} ({number})" for number in alike)}. '
            "Write it exactly, or give its number."
        )
    if alike:
        return alike[0]
    numbered = bool(classes) and all(known.lstrip("-").isdecimal() for known in classes)  # so 0 is no index
    if name.isdecimal() and int(name) < len(classes) and not numbered:
        return int(name)
    if not classes:
        raise UsageError(
            f"{folder.path.name} was trained on data without labels, so that there is no class {name}"
        )
    shown = ", ".join(known if numbered else f"{number} {known}" for number, known in enumerate(classes[:20]))
    more = f", … ({len(classes)} in all)" if len(classes) > 20 else ""
    raise UsageError(f'no class "{name}".{suggestion(name, classes)} Choices: {shown}{more}.')


def _damaged(folder: RunFolder, error: Exception) -> CheckpointError:
    path = folder.path / "data.yaml"
    return CheckpointError(f"{path} does not describe the data of the run ({error!r}). Restore the file.")
