"""Where everything meets: a plan and a source become a training in a run folder."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from genlab.architectures.mixed import compute_in
from genlab.core import device, distributed
from genlab.core.batch import Batch
from genlab.core.contract import Decodes, Training
from genlab.core.distributed import Shard
from genlab.core.errors import NonFiniteError, RunFailureError, StorageError, UsageError
from genlab.core.modality import DataSpec, Modality
from genlab.core.random import Randomness, derive
from genlab.data.dataset import Source
from genlab.data.loader import Loader
from genlab.data.source import locate
from genlab.diagnosis.doctor import Doctor
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import Plan, from_values
from genlab.runs.data import check_unchanged, open_data, record, subset
from genlab.runs.diagnose import records
from genlab.runs.load import precision, refuse_outdated
from genlab.runs.statistics import sample_distance
from genlab.runs.treatment import Treatment, treat
from genlab.training import checkpoint, fit, saving
from genlab.training.average import Average
from genlab.training.evaluation import evaluate
from genlab.training.fit import Callbacks, Observer, Progress
from genlab.training.interruption import Interrupted
from genlab.training.loggers import find_logger
from genlab.training.preview import preview
from genlab.training.probes import PROBED, Probes
from genlab.training.report import write_report
from genlab.training.run_folder import RunFolder, find
from genlab.training.terminal import Terminal
from genlab.version import __version__

SEEN = 4 * PROBED  # training images that the doctor looks at, some at a time


@dataclass(frozen=True)
class Result(os.PathLike[str]):
    """A run that came to its end; it stands for its folder wherever a path does."""

    folder: Path
    progress: Progress
    began: int  # the step that it went on from
    planned: int  # the steps that it may take in all
    walks: bool = False  # whether its model has latents to walk between

    def __fspath__(self) -> str:
        return str(self.folder)


def start(plan: Plan, *, quiet: bool = False) -> Result:
    """Train what `plan` says in a new run folder.

    Raises:
        GenlabError: whatever data, recipe, device or disk refuse; and what `fit` raises.
    """
    plan = plan.changed({"data": locate(plan.settings.data)})  # a run may be resumed from another folder
    with distributed.together(device.find(plan.settings.device)) as shard:
        source = open_data(plan.settings, shard, quiet=quiet)
        check(plan.recipe, source, shard)
        find_logger(plan.settings.logger)
        path = ""
        if shard.rank == 0:
            folder = RunFolder.create(Path(plan.settings.out), plan.settings.name or plan.preset)
            record(source, folder)
            folder.write_yaml("recipe.yaml", plan.values())
            path = str(folder.path)
        return _train(plan, source, RunFolder(Path(distributed.broadcast_object(path))), shard, quiet=quiet)


def carry_on(run: str | Path, options: Mapping[str, Any], *, root: Path, quiet: bool = False) -> Result:
    """Go on with a run from its last checkpoint, or from its beginning where it has none.

    `options` may change how long to train (`steps`, `minutes`, `patience`), where (`device`, `precision`) and
    what to do about a failure (`on_failure`), nothing else: whatever changes the course of a run belongs into a
    new one. New `steps` without `minutes` lift the old limit.

    Raises:
        UsageError: another option, or no such run.
        CheckpointError: the checkpoint is not whole, or the data are no longer those of the run.
    """
    for name in options.keys() - {"steps", "minutes", "patience", "on_failure", "device", "precision"}:
        raise UsageError(
            "resume can change steps, minutes, patience, on_failure, device and precision, "
            f'not "{name}"; start a new run for that'
        )
    if "steps" in options:
        options = {"minutes": None, **options}
    folder = find(run, root)
    plan = from_values(folder.read_yaml("recipe.yaml"), where="recipe.yaml").changed(options)
    with distributed.together(device.find(plan.settings.device)) as shard:
        source = open_data(plan.settings, shard, quiet=quiet)
        check_unchanged(folder, source)
        check(plan.recipe, source, shard)
        return _train(plan, source, folder, shard, quiet=quiet)


def check(recipe: Recipe, source: Source, shard: Shard) -> None:
    """Refuse before anything is written what could not train.

    Raises:
        UsageError: parts that do not go together or not with these data, networks that are not for this shape, a
            batch that the processes do not divide.
    """
    if recipe.batch_size % shard.size:
        raise UsageError(f"--batch-size {recipe.batch_size} cannot be divided among {shard.size} processes")
    rows = recipe.batch_size // shard.size
    if rows % recipe.accumulate or rows < 2 * recipe.accumulate:
        choices = ", ".join(str(parts) for parts in range(1, rows // 2 + 1) if rows % parts == 0)
        raise UsageError(
            f"--accumulate {recipe.accumulate} does not cut the {rows} images that a process has of --batch-size "
            f"{recipe.batch_size} into equal parts of 2 or more. Choices: {choices or 1}."
        )
    recipe.refuse(source.train.spec, shard.size)
    with torch.device("meta"):
        recipe.model(source.train.spec)


def build(recipe: Recipe, spec: DataSpec, randomness: Randomness, dtype: torch.dtype = torch.float32) -> Training:
    """Return the training of a recipe, whose networks multiply in `dtype`.

    The initial weights depend on the seed alone.
    """
    with torch.random.fork_rng():
        torch.manual_seed(derive(randomness.seed, "initial weights"))
        model = recipe.model(spec)
    compute_in(dtype, model)
    return recipe.training(device.place(model, randomness.device), randomness)


def _train(plan: Plan, source: Source, folder: RunFolder, shard: Shard, *, quiet: bool) -> Result:
    """Fit, and treat what goes wrong as long as there are remedies."""
    treatment: Treatment | None = None
    began = None
    while True:
        try:
            result = _attempt(plan, source, folder, shard, treatment, quiet=quiet)
        except (RunFailureError, NonFiniteError) as error:
            if plan.settings.on_failure != "treat":
                raise
            treatment = treat(plan, folder, error) if shard.rank == 0 else None
            text = distributed.broadcast_object(json.dumps(treatment.plan.values()) if treatment else "")
            if not text:
                kept = "best" if checkpoint.exists(folder.best) else "last"
                error.add_note(f"No remedy is left. The {kept} checkpoint is kept.")
                raise
            plan, began = from_values(json.loads(text), where="treatment"), began or 0
        else:
            return result if began is None else replace(result, began=began)


def _attempt(
    plan: Plan, source: Source, folder: RunFolder, shard: Shard, treatment: Treatment | None, *, quiet: bool
) -> Result:
    """Fit, from the folder's last checkpoint if there is one, and write the report."""
    recipe, settings, main = plan.recipe, plan.settings, shard.rank == 0
    where = device.find(settings.device)
    randomness = Randomness(settings.seed, shard, where)
    training = build(recipe, source.train.spec, randomness, plan.dtype(where))
    machine = _machine(where, shard, precision(training.model))
    average = Average(training.model, recipe.ema) if recipe.ema else None
    held_out = subset(source.held_out, settings.seed).to(where)
    seen = subset(source.train, settings.seed, SEEN).to(where)
    distance = sample_distance(plan, source, where, training.model, quiet=quiet)
    with ExitStack() as stack:
        if main:
            stack.enter_context(folder.lock())
            saving.recover(folder)
        distributed.barrier()
        if checkpoint.exists(folder.last):
            refuse_outdated(recipe, folder.last)
        progress = saving.resume(folder, training, average)
        if treatment:
            progress.seconds = max(progress.seconds, treatment.seconds)
        began = progress.step
        if recipe.steps < progress.step:
            raise UsageError(f"this run has taken {progress.step} steps; --steps {recipe.steps} is behind it")
        if settings.minutes and progress.seconds >= 60 * settings.minutes and progress.step < recipe.steps:
            raise UsageError(
                f"this run used up its {settings.minutes:g} minutes at step {progress.step} of {recipe.steps}; "
                "give it more --minutes, or --steps for as long as they take"
            )
        observers: list[Observer] = []
        if main:
            folder.write_yaml("recipe.yaml", plan.values())
            folder.rewind(progress.step)
            stack.push(partial(_report, folder))
            observers = _observers(stack, folder, plan, progress, quiet=quiet)
            _announce(observers, progress.step, machine, evaluated=len(held_out) > 1)
            if treatment:
                for observer in observers:
                    observer.event(treatment.stopped, "remedy", treatment.event())
        batches = Loader(
            source.train,
            recipe.batch_size,
            seed=settings.seed,
            shard=shard,
            position=progress.batches,
            device=where,
            flip=settings.flip,
        )
        treated = settings.on_failure == "treat"
        around = Callbacks(
            save=partial(saving.save, folder, training, average, keep=treated) if main else _save_nothing,
            evaluate=partial(evaluate, held_out=held_out, seed=settings.seed, distance=distance)
            if len(held_out) > 1
            else None,
            preview=partial(preview, held_out=held_out, spec=source.train.spec, seed=settings.seed),
            probes=_probes(plan, seen, held_out, source.train.spec.target, batches),
            doctor=_doctor(plan, folder, progress.step) if main else None,
            stop_on_failure=settings.on_failure != "warn",
            observers=observers,
        )
        try:
            fit.fit(
                training,
                stack.enter_context(batches),
                _cadence(plan),
                progress,
                around,
                average=average,
                rate=recipe.rate(),
                seed=settings.seed,
            )
        except Interrupted as interrupted:
            interrupted.add_note(f"Go on with `genlab resume {folder.path}`.")
            raise
    return Result(folder.path, progress, began, recipe.steps, isinstance(training.model, Decodes))


def _probes(plan: Plan, reals: Batch, held_out: Batch, target: Modality, batches: Loader) -> Probes | None:
    """Return who looks at the run; None where there are too few images to compare with."""
    pack = plan.values().get("pack", 1)
    count = min(PROBED, len(reals), len(held_out)) // pack * pack
    if count < 2:
        return None
    return Probes(reals, held_out, target, plan.settings.seed, count, lambda: batches.waited)


def _doctor(plan: Plan, folder: RunFolder, step: int) -> Doctor:
    """Return the doctor of a run, who knows what it has reported up to `step`.

    Under treatment a finding is told again where its remedy did not help.
    """
    history, context = records(folder)
    told = () if plan.settings.on_failure == "treat" else (event["rule"] for event in folder.events("finding"))
    return Doctor(context, (line for line in history if line["step"] <= step), told)


def _cadence(plan: Plan) -> fit.Cadence:
    settings = plan.settings
    return fit.Cadence(
        steps=plan.recipe.steps,
        minutes=settings.minutes,
        log_every=settings.log_every,
        preview_every=settings.preview_every,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
        patience=settings.patience,
    )


def _observers(
    stack: ExitStack, folder: RunFolder, plan: Plan, progress: Progress, *, quiet: bool
) -> list[Observer]:
    """Return who wants to know of the run; the stack closes them."""
    observers: list[Observer] = [folder]
    if logger := find_logger(plan.settings.logger):
        observers.append(logger(folder.path))
    if not quiet:
        recipe, settings = plan.recipe, plan.settings
        observers.append(
            Terminal(recipe.steps, settings.minutes, recipe.batch_size, progress.step, progress.seconds)
        )
    for observer in observers:
        stack.callback(observer.close)
    return observers


def _announce(observers: Sequence[Observer], step: int, machine: Mapping[str, Any], *, evaluated: bool) -> None:
    for observer in observers:
        observer.event(step, "resumed" if step else "started", machine)
        if not evaluated:
            observer.event(step, "note", {"no evaluation": "it needs 2 held-out images or more"})


def _report(folder: RunFolder, kind: object, error: BaseException | None, trace: object) -> None:
    """Write the report; where an error ends the run, a report that fails as well is only noted on it."""
    try:
        write_report(folder)
    except StorageError as second:
        if error is None:
            raise
        error.add_note(f"nor could the report be written: {second}")


def _save_nothing(progress: Progress, best: bool, *, sick: bool = False) -> None:
    """What processes other than the first save."""


def _machine(where: torch.device, shard: Shard, precision: str) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        "precision": precision,
        "processes": shard.size,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "genlab": __version__,
    }
