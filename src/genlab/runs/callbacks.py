"""The cadence and the callbacks that a run passes to the training loop."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from genlab.core.batch import Batch
from genlab.core.text import typed
from genlab.data.loader import Loader
from genlab.diagnosis.doctor import Doctor
from genlab.recipes.recipe import LatentRecipe
from genlab.recipes.resolve import Plan
from genlab.runs.data import subset
from genlab.runs.diagnose import recorded_findings, records
from genlab.runs.load import precision
from genlab.runs.phases import CurrentPhase, RunSetup
from genlab.runs.statistics import briefer_than_evaluation, sample_distance
from genlab.runs.trained import trained_with
from genlab.training import own, saving
from genlab.training.callbacks import Callbacks, Observer, Progress
from genlab.training.evaluation import evaluate_on
from genlab.training.fit import Cadence
from genlab.training.held_out import HeldOut, SampleDistance
from genlab.training.live import Course
from genlab.training.live_report import LiveReport
from genlab.training.loggers import find_logger
from genlab.training.notebook import Notebook, in_notebook
from genlab.training.preview import preview
from genlab.training.probes import LEAST_STEPS, PROBED, Probes
from genlab.training.terminal import Terminal
from genlab.version import __version__

PROBE_POOL = 4 * PROBED  # training images that the probes choose from
USUAL_BATCH = (
    16  # images; with smaller batches, probes take fewer images and are rarer, to stay cheap beside a step
)
FEWEST, SPARSER = 16, 5  # images of such a probe at least, and by which factor they are rarer at most


@dataclass(frozen=True)
class PhaseInputs:
    """The examples and the distance that a phase is previewed, evaluated and probed with."""

    held_out: Batch
    real: Batch  # training images
    distance: SampleDistance | None
    notes: Mapping[str, str]  # on its evaluations

    @property
    def evaluates(self) -> bool:
        """Whether there are enough held-out images for evaluations."""
        return len(self.held_out) > 1


def phase_inputs(run: RunSetup, current: CurrentPhase, *, quiet: bool) -> PhaseInputs:
    """Return the examples and the distance that a phase is previewed, evaluated and probed with."""
    plan, source, seed = replace(run.plan, recipe=current.phase.recipe), current.source, run.plan.settings.seed
    held_out = subset(source.held_out, seed).to(run.device)
    real = subset(source.train, seed, PROBE_POOL).to(run.device)
    distance = sample_distance(plan, source, run.device, current.training.model, quiet=quiet)
    notes = {}
    if len(held_out) < 2:
        notes = {"no evaluation": "needs at least 2 held-out images"}
    elif briefer_than_evaluation(plan, current.training.model):
        notes = {
            "evaluation": "in pixels only, because features take longer than this training; "
            f"to measure fully: {typed('genlab', 'evaluate', run.folder.path)}"
        }
    return PhaseInputs(held_out, real, distance, notes)


def callbacks_for(
    run: RunSetup,
    current: CurrentPhase,
    inputs: PhaseInputs,
    batches: Loader,
    progress: Progress,
    observers: Sequence[Observer],
) -> Callbacks:
    """Return the callbacks of a phase."""
    settings, main, held_out = run.plan.settings, run.shard.rank == 0, inputs.held_out
    about = about_weights(run.plan, current)
    spec = replace(current.phase.spec, aligned=current.source.held_out.spec.aligned)

    def save(progress: Progress, *, best: bool, failing: bool) -> None:
        if main:
            keep_healthy = settings.on_failure == "treat" and not failing
            saved = current.training, current.average
            saving.save(run.folder, *saved, progress, best=best, keep_healthy=keep_healthy, about=about)

    def status(text: str) -> None:
        for observer in observers:
            if isinstance(observer, Terminal | Notebook):
                observer.status(text)

    measured_on = HeldOut(held_out, settings.seed, inputs.distance, status, spec.aligned)
    by_truth = current.phase.spec.aligned and current.phase.recipe.decided_by_truth
    evaluation = partial(evaluate_on, measured_on, pairs=by_truth)
    return Callbacks(
        save=save,
        evaluate=evaluation if inputs.evaluates else None,
        preview=partial(preview, held_out=held_out, spec=spec, seed=settings.seed),
        probes=_probes(run, current, inputs, batches),
        doctor=_doctor(run, progress.step) if main else None,
        stop_on_failure=settings.on_failure != "warn",
        observers=observers,
    )


def cadence_of(run: RunSetup, current: CurrentPhase) -> Cadence:
    """Return how long to train a phase, and how often to log, preview, evaluate and save."""
    settings = run.plan.settings
    return Cadence(
        steps=current.phase.steps,
        minutes=settings.minutes,
        log_every=settings.log_every,
        preview_every=settings.preview_every,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
        patience=settings.patience,
        rate=current.phase.recipe.rate(),
        seed=settings.seed,
        more_phases=current.number + 1 < len(run.phases),
    )


def observers_for(run: RunSetup, progress: Progress, stack: ExitStack, *, quiet: bool) -> list[Observer]:
    """Return the observers of a run; the stack closes them."""
    recipe, settings, folder = run.plan.recipe, run.plan.settings, run.folder
    observers: list[Observer] = [folder, LiveReport(folder)]  # it shows what the folder has recorded
    if logger := find_logger(settings.logger):
        observers.append(logger(folder.path, run.plan.values()))
    observers += own.observers(settings.callbacks, settings.own)
    if not quiet:
        course = Course(recipe.steps, settings.minutes, recipe.batch_size, progress.step, progress.seconds)
        observers.append(Notebook(course, folder.path) if in_notebook() else Terminal(course))
    for observer in observers:
        stack.callback(observer.close)
    return observers


def about_weights(plan: Plan, current: CurrentPhase) -> dict[str, Any]:
    """Return what the weights of a phase are, for whoever finds them without their run."""
    recipe, target = current.phase.recipe, current.phase.spec.target
    squashed = f"; {target.noun} are tanh of the output of the last layer" * isinstance(recipe, LatentRecipe)
    return {
        "preset": plan.preset,
        "family": recipe.family,
        "architecture": recipe.architecture,
        "conditions": ", ".join(current.phase.spec.conditions) or "none",
        "output": f"{target.noun} of shape {' × '.join(map(str, target.shape))}, values in [-1, 1]{squashed}",
        "weights": "averaged over the training" if current.average else "as trained",
        "load": "genlab.load(RUN), where RUN is the folder of the run",
        "recipe": trained_with(plan),
        "genlab": __version__,
    }


def machine(run: RunSetup, current: CurrentPhase) -> Mapping[str, Any]:
    """Return the device, precision and versions of a run, for its report."""
    where = run.device
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        "precision": precision(current.training.model),
        "processes": run.shard.size,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "genlab": __version__,
    }


def _probes(run: RunSetup, current: CurrentPhase, inputs: PhaseInputs, batches: Loader) -> Probes | None:
    """Return the probes of a phase; None if there are too few images to compare."""
    recipe = current.phase.recipe
    pack = getattr(recipe, "pack", 1)
    few = max(1, USUAL_BATCH // recipe.batch_size)
    count = min(max(PROBED // few, FEWEST), len(inputs.real), len(inputs.held_out)) // pack * pack
    if count < 2:
        return None
    target, seed = current.phase.spec.target, run.plan.settings.seed
    aligned, apart = current.source.held_out.spec.aligned, LEAST_STEPS * min(few, SPARSER)
    return Probes(inputs.real, inputs.held_out, target, seed, count, lambda: batches.waited, aligned, apart)


def _doctor(run: RunSetup, step: int) -> Doctor:
    """Return a doctor with the history of the run up to `step`.

    With `--on-failure treat` a finding is reported again if its remedy did not help.
    """
    history, context = records(run.folder)
    findings = recorded_findings(run.folder)
    treated = run.plan.settings.on_failure == "treat"
    reported = () if treated else (finding.rule for finding in findings)
    return Doctor(context, (line for line in history if line["step"] <= step), reported, findings)
