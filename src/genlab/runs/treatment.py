"""What is done about a failure: back to where the run was healthy, and on with the best remedy not yet tried."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genlab.core.errors import GenlabError, NonFiniteError, RunFailureError, UsageError
from genlab.core.files import storage
from genlab.core.modality import DataSpec
from genlab.diagnosis.doctor import RULES
from genlab.diagnosis.finding import Evidence, Finding, Sign
from genlab.recipes.resolve import Plan
from genlab.runs.data import spec_of
from genlab.runs.diagnose import context_of
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder

TREATMENTS = 3  # at most, of one run


@dataclass(frozen=True)
class Treatment:
    """A remedy, and from where the run goes on with it."""

    plan: Plan  # to go on with
    finding: Finding
    changes: Mapping[str, Any]
    stopped: int  # the step at which the run was
    back: int  # the step to which it goes back
    seconds: float  # that the run has taken

    def event(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"rule": self.finding.rule, "changes": dict(self.changes), "back to step": self.back}


def treat(plan: Plan, folder: RunFolder, error: GenlabError) -> Treatment | None:
    """Return the best remedy that was not tried, and put the run back to where it was healthy.

    None where the finding has no remedy left, or the run was treated often enough. The steps that were lost are
    part of the budget: the new plan has as many fewer. Past the half of it, remedies that keep the networks come
    before those with which a run begins anew. The best checkpoint is kept as long as it can be used and compared
    with what follows.

    Raises:
        StorageError: the disk refused.
    """
    earlier = folder.events("remedy")
    finding, stopped = _finding(error, folder)
    if finding is None or len(earlier) >= TREATMENTS:
        return None
    tried, late = [event["changes"] for event in earlier], 2 * stopped > plan.recipe.steps
    possible = [one for one in _possible(plan, finding, spec_of(folder)) if one[1] not in tried]
    if not possible:
        return None
    chosen = max(possible, key=lambda one: one[0] or not late)  # of equals the first
    same_networks, changes, changed = chosen
    if not same_networks or "reconstruction" in changes:
        _forget(folder.best)  # it is of other networks, or its value is on another scale
    history = folder.history()
    seconds = history[-1]["seconds"] if history else 0.0
    back = _go_back(folder, finding.since, same_networks=same_networks)
    left = max(plan.recipe.steps - (stopped - back), back + 1)
    return Treatment(changed.changed({"steps": left}), finding, changes, stopped, back, seconds)


def _possible(plan: Plan, finding: Finding, spec: DataSpec) -> Iterator[tuple[bool, dict[str, Any], Plan]]:
    """Yield whether a remedy keeps the networks, what it changes, and the plan that comes of it.

    Remedies with which the parts do not go together are left out.
    """
    context = context_of(plan, {})
    for remedy in finding.remedies:
        changes = remedy.apply(context.options, context.published)
        if not changes:
            continue
        try:
            changed = plan.changed(changes)
            changed.recipe.refuse(spec)
            same_networks = _same_networks(plan, changed, spec)
        except UsageError:
            continue
        yield same_networks, changes, changed


def _finding(error: GenlabError, folder: RunFolder) -> tuple[Finding | None, int]:
    """Return what was found, and the step at which the run stopped."""
    if isinstance(error, RunFailureError) and isinstance(error.finding, Finding):
        return error.finding, error.finding.step
    if isinstance(error, NonFiniteError):
        step = folder.events("fault")[-1]["step"]
        rule = next(rule for rule in RULES if rule.name == "not-finite")
        sign = Sign(step, [Evidence(error.tensor, float("nan"), "a number")])
        return rule.found(sign, step), step
    return None, 0


def _go_back(folder: RunFolder, since: int, *, same_networks: bool) -> int:
    """Make the last healthy checkpoint from before `since` the last one, or let the run begin anew."""
    if same_networks and checkpoint.exists(folder.healthy):
        step = int(checkpoint.load(folder.healthy).state["step"])
        if step <= since:
            checkpoint.link(folder.healthy, folder.last)
            return step
    _forget(folder.last)
    _forget(folder.healthy)
    return 0


def _forget(path: Path) -> None:
    with storage(path):
        shutil.rmtree(path, ignore_errors=True)


def _same_networks(one: Plan, two: Plan, spec: DataSpec) -> bool:
    """Whether the weights of one plan fit into the networks of the other."""
    shapes = []
    for plan in (one, two):
        with torch.device("meta"):
            model = plan.recipe.model(spec)
        shapes.append({name: value.shape for name, value in model.state_dict().items()})
    return shapes[0] == shapes[1]
