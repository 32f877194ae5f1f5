"""`genlab info`: what a run is."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlab.core.text import plain, typed, with_names
from genlab.verbs.options import RUNS, File, RunName
from genlab.verbs.verb import verb

if TYPE_CHECKING:
    from genlab.training.run_folder import RunFolder


@dataclass(frozen=True)
class Info:
    """What a run folder contains."""

    folder: Path
    preset: str
    source: str  # of the data
    verdict: str
    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    command: str  # the command that trains it again, with the options that differ from the preset
    evaluation: Mapping[str, float] = field(default_factory=dict)  # the last one
    evaluated: int | None = None  # its step; None if there is none
    weights: Mapping[str, int] = field(default_factory=dict)  # of each network; empty without a checkpoint
    capabilities: Sequence[str] = ()
    classes: Sequence[str] = ()  # that samples can be asked for
    translates: Sequence[str] = ()  # what it translates, as "horse to zebra"
    missing: Sequence[str] = ()  # why the model cannot be loaded: own parts that are missing or have changed

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        finite = {name: value if math.isfinite(value) else None for name, value in self.evaluation.items()}
        rest = {name: value for name, value in vars(self).items() if name != "folder"}
        return {"folder": str(self.folder), **rest, "evaluation": finite}

    def __str__(self) -> str:
        parts = [f"{self.folder}\n{self.preset} on {self.source}: {self.verdict}"]
        parts.append(_section("data", with_names(self.data)))
        title = f"train it again, with what differs from {self.preset}; all options are in recipe.yaml"
        parts.append(f"{title}\n  {self.command}")
        if self.evaluated is not None:
            figures = {name: f"{value:.5g}" for name, value in self.evaluation.items()}
            parts.append(_section(f"evaluation at step {self.evaluated}", figures))
        if self.capabilities:
            parts.append(_section("model", {name: f"{count:,} weights" for name, count in self.weights.items()}))
            parts.append(f"the model can {', '.join(self.capabilities)}")
        if self.translates:
            command = typed("genlab", "translate", self.folder, "PICTURES")
            parts.append(f"it translates {'; '.join(self.translates)}\n  {command}")
        if self.missing:
            further = f" (and {len(self.missing) - 1} more)" if self.missing[1:] else ""
            parts.append(f"the model cannot be loaded: {self.missing[0]}{further}")
        classes = f"\nclasses for --label: {', '.join(self.classes)}" if self.classes else ""
        return "\n\n".join(parts) + classes


@verb
def info(run: RunName = "latest", *, root: File = RUNS) -> Info:
    """Show a run: preset, data, progress, last evaluation, what its model can do, and how to train it again.

    Returns:
        All of it, as attributes.

    Raises:
        UsageError: there is no such run.
    """
    from genlab.recipes.command import train_command
    from genlab.training.evaluation import values_of
    from genlab.training.lines import TEXT
    from genlab.training.report import verdict
    from genlab.training.run_folder import find

    folder = find(os.fspath(run), Path(root))
    recipe, data = folder.read_yaml("recipe.yaml", preset=TEXT), folder.read_yaml("data.yaml", source=TEXT)
    last = folder.events("evaluation")[-1:]
    return Info(
        folder=folder.path,
        preset=recipe["preset"],
        source=data["source"],
        verdict=verdict(folder),
        data={n: v for n, v in data.items() if n not in ("source", "notes")},
        recipe={n: v for n, v in recipe.items() if n != "preset"},
        command=train_command(recipe, folder.path),
        evaluation=dict(values_of(last[0])) if last else {},
        evaluated=last[0]["step"] if last else None,
        **_of_model(folder),
    )


def _of_model(folder: "RunFolder") -> dict[str, Any]:
    """Return what is known of the model of a run; nothing if it has no checkpoint, or lacks own parts."""
    from genlab.applications.translate import described, ways_of
    from genlab.core.contract import Samples, capabilities
    from genlab.recipes.resolve import part_records, unusable_parts
    from genlab.runs.load import load_model
    from genlab.runs.recorded import domains_of, spec_of

    where = str(folder.path / "recipe.yaml")
    missing = list(unusable_parts(part_records(folder.read_yaml("recipe.yaml"), where), where))
    if missing or not folder.last.exists():
        return {"missing": missing}
    model, spec, domains = load_model(folder), spec_of(folder), domains_of(folder)
    labelled = isinstance(model, Samples) and "label" in model.conditions
    return {
        "weights": {n: sum(p.numel() for p in m.parameters()) for n, m in model.named_children()},
        "capabilities": capabilities(model),
        "classes": spec.class_names if labelled else (),
        "translates": described(ways_of(model, spec, domains), domains[0]),
    }


def _section(title: str, values: Mapping[str, Any]) -> str:
    return "\n".join([title, *(f"  {name:<20} {plain(value)}" for name, value in values.items())])
