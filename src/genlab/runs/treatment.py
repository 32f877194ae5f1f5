"""Treats a failing run: returns to a healthy checkpoint, and continues with the best remedy not yet tried."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genlab.core.errors import GenlabError, NonFiniteError, RunFailureError, UsageError
from genlab.core.modality import DataSpec
from genlab.diagnosis.doctor import RULES
from genlab.diagnosis.finding import Evidence, Finding, Sign
from genlab.recipes.resolve import Plan
from genlab.runs.diagnose import context_of
from genlab.runs.phases import can_continue, comparable, phase_at, phases_of
from genlab.runs.recorded import spec_of
from genlab.training import checkpoint, saving
from genlab.training.run_folder import RunFolder

TREATMENTS = 3  # most treatments of one run


@dataclass(frozen=True)
class Treatment:
    """A remedy, and the step from which the run continues."""

    plan: Plan  # with the remedy and the remaining steps
    finding: Finding
    changes: Mapping[str, Any]
    stopped: int  # the step at which the run failed
    restart: int  # the step from which it continues
    seconds: float  # of training so far

    def event(self) -> dict[str, Any]:
        """Return the treatment as plain values."""
        return {"rule": self.finding.rule, "changes": dict(self.changes), "back to step": self.restart}


@dataclass(frozen=True)
class _Candidate:
    """A remedy that could be tried."""

    changes: Mapping[str, Any]
    plan: Plan
    restart: int
    keeps_networks: bool


def treat(plan: Plan, folder: RunFolder, error: GenlabError) -> Treatment | None:
    """Choose the best remedy that was not tried, and reset the run folder to its healthy checkpoint.

    Returns None if the finding has no remedy left, or after `TREATMENTS` treatments. Lost steps count: they are
    subtracted from the new plan. In the second half of a run, remedies that keep the networks come before those
    that start over. The best checkpoint is kept if later ones can be compared with it.

    Raises:
        StorageError: the disk refused.
    """
    earlier = folder.events("remedy")
    finding, stopped = _finding(error, folder)
    if finding is None or len(earlier) >= TREATMENTS:
        return None
    spec, healthy = spec_of(folder), _healthy_step(folder, finding.since)
    tried, late = [event["changes"] for event in earlier], 2 * stopped > plan.recipe.steps
    candidates = [
        candidate
        for candidate in _candidates(plan, finding, spec, healthy, stopped)
        if candidate.changes not in tried
    ]
    if not candidates:
        return None
    chosen = max(candidates, key=lambda candidate: candidate.keeps_networks or not late)  # of equals the first
    if not _keeps_best(folder, plan, chosen, spec):
        checkpoint.remove(folder.best)
    if chosen.restart:
        checkpoint.link(folder.healthy, folder.last)
    else:
        checkpoint.remove(folder.last)
        checkpoint.remove(folder.healthy)
    history = folder.history()
    seconds = history[-1].get("seconds") or 0.0 if history else 0.0
    return Treatment(chosen.plan, finding, chosen.changes, stopped, chosen.restart, seconds)


def _candidates(plan: Plan, finding: Finding, spec: DataSpec, healthy: int, stopped: int) -> Iterator[_Candidate]:
    """Yield the remedies of a finding that the recipe accepts."""
    context = context_of(plan, {})
    for remedy in finding.remedies:
        changes = remedy.apply(context.options, context.published)
        if not changes:
            continue
        try:
            changed = plan.changed(changes)
            changed.recipe.refuse(spec)
            again, onward = (_shortened(changed, spec, stopped, restart) for restart in (0, healthy))
            phases_of(again.recipe, spec)
            keeps_networks = can_continue(plan.recipe, onward.recipe, spec, healthy)
        except UsageError:
            continue
        if keeps_networks:
            yield _Candidate(changes, onward, healthy, keeps_networks)
        else:
            yield _Candidate(changes, again, 0, keeps_networks)


def _shortened(plan: Plan, spec: DataSpec, stopped: int, restart: int) -> Plan:
    """Return the plan for the remaining steps of a run that stopped and goes back to step `restart`."""
    steps = max(plan.recipe.steps - (stopped - restart), restart + 1)
    return plan.changed({"steps": steps, **plan.recipe.keeping_phases(steps, restart, spec)})


def _finding(error: GenlabError, folder: RunFolder) -> tuple[Finding | None, int]:
    """Return the finding, and the step at which the run stopped."""
    if isinstance(error, RunFailureError) and isinstance(error.finding, Finding):
        return error.finding, error.finding.step
    if isinstance(error, NonFiniteError):
        step = folder.events("fault")[-1]["step"]
        rule = next(rule for rule in RULES if rule.name == "not-finite")
        sign = Sign(step, [Evidence(error.tensor, float("nan"), "a number")])
        return rule.found(sign, step), step
    return None, 0


def _healthy_step(folder: RunFolder, since: int) -> int:
    """Return the step of the checkpoint `healthy`; 0 if there is none before the failure."""
    if not checkpoint.exists(folder.healthy):
        return 0
    step = int(checkpoint.load(folder.healthy).state["step"])
    return step if step <= since else 0


def _keeps_best(folder: RunFolder, plan: Plan, chosen: _Candidate, spec: DataSpec) -> bool:
    """Whether the best checkpoint fits the new networks, and its value is on the same scale as theirs."""
    state = saving.best_state(folder)
    if not state:
        return False
    best = int(state["step"])
    before, after = phases_of(plan.recipe, spec), phases_of(chosen.plan.recipe, spec)
    scale = comparable(before[phase_at(before, best)], after[phase_at(after, chosen.restart)])
    return scale and can_continue(plan.recipe, chosen.plan.recipe, spec, best)
