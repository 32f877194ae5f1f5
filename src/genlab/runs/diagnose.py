"""Diagnoses a run, or the log of another program."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.signal_kinds import CRITERION
from genlab.core.text import counted
from genlab.diagnosis.doctor import Diagnosis, examine_all
from genlab.diagnosis.finding import Finding
from genlab.diagnosis.history import History
from genlab.diagnosis.logs import read_log
from genlab.diagnosis.rule import Context
from genlab.recipes.fields import options_of, values_of
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import Plan
from genlab.runs.recorded import facts_of, plan_of
from genlab.training.criterion import recorded_criterion
from genlab.training.run_folder import RunFolder

RECIPE = "recipe.yaml"
FAMILIES = list(dict.fromkeys(recipe.family for recipe in PRESETS.values()))


def diagnose_run(folder: RunFolder) -> Diagnosis:
    """Diagnose a run: its present findings and the resolved ones."""
    lines, context = records(folder)
    return examine_all(History(lines), context, recorded_findings(folder))


def recorded_findings(folder: RunFolder) -> list[Finding]:
    """Return the findings that a run has recorded."""
    return [Finding.of(event) for event in folder.events("finding")]


def is_log(path: Path) -> bool:
    """Return whether `path` is the log of another program: a file, or a folder of TensorBoard that is no run."""
    return path.is_file() or (path.is_dir() and not (path / RECIPE).is_file() and any(path.rglob("*tfevents*")))


def diagnose_log(path: Path, mapping: Mapping[str, str], family: str | None = None) -> Diagnosis:
    """Diagnose the log of another program.

    Args:
        path: comma-separated, JSON lines, printed text, an event file of TensorBoard or a folder of them.
        mapping: from genlab's name of a signal to the name of its column.
        family: a name in `FAMILIES`; by default guessed from the columns.

    Raises:
        UsageError: there is no such family, signal or column.
        GenlabError: the log has no known signal.
    """
    if family not in (None, *FAMILIES):
        raise UsageError(f'--family can be {", ".join(FAMILIES)}, not "{family}"')
    log = read_log(path, mapping, family)
    family = log.family
    named = ", ".join(f"{theirs} as {ours}" for theirs, ours in log.recognised.items())
    notes = [f"{counted(len(log.history), 'step')} up to {log.history.step:,}; family: {family or 'unknown'}"]
    notes += [f"recognised: {named}"] if named else []
    notes += [f"not used: {', '.join(log.ignored)}"] if log.ignored else []
    options = {name for recipe in PRESETS.values() if recipe.family == family for name in options_of(recipe)}
    context = Context(family, possible=lambda changes: not family or changes.keys() <= options)
    return replace(examine_all(log.history, context), notes=[*notes, *log.notes])


def records(folder: RunFolder) -> tuple[list[Mapping[str, Any]], Context]:
    """Return the history of a run's current phase and the doctor's context.

    To what was logged it adds evaluations, faults and the newest scores of `genlab score`.
    """
    plan = plan_of(folder, needs_parts=False)
    lines: list[Mapping[str, Any]] = list(folder.history())
    events = folder.events()
    treated = max((place for place, event in enumerate(events) if event["event"] == "remedy"), default=-1)
    for place, event in enumerate(events):
        if event["event"] == "evaluation":
            lines.append({"step": event["step"], CRITERION: recorded_criterion(event)[1]})
        elif event["event"] == "fault" and place > treated:
            lines.append({"step": event["step"], event["tensor"]: float("nan")})
    scores = [event for event in events[treated + 1 :] if event["event"] == "scores"][-1:]
    lines += [_aurocs(event) for event in scores]
    begun = max((event["step"] for event in events if event["event"] == "phase"), default=0)
    lines = [line for line in lines if line["step"] > begun or not begun]
    return lines, context_of(plan, facts_of(folder))


def _aurocs(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return how well scores ranked anomalies, given the event of `genlab score`, as a line of the history."""
    aurocs = {f"auroc[{each['score']}]": each["auroc"] for each in event["figures"]}
    return {"step": event["step"], "auroc_chance_error": event["auroc_chance_error"], **aurocs}


def context_of(plan: Plan, facts: Mapping[str, float]) -> Context:
    """Return the doctor's context of a run: family, options, published values, facts about the data."""
    recipe = plan.recipe
    options = values_of(recipe)
    published = values_of(PRESETS[plan.preset]) if plan.preset in PRESETS else options
    known = {**facts, **recipe.facts()}
    if plan.settings.balance:
        known.pop("rarest", None)
    return Context(recipe.family, recipe.steps, options, published, known, partial(_is_possible, plan))


def _is_possible(plan: Plan, changes: Mapping[str, Any]) -> bool:
    """Whether the plan accepts the changes."""
    try:
        plan.changed(changes)
    except UsageError:
        return False
    return True
