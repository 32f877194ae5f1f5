"""Trains a plan in a run folder, phase by phase, or resumes it."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from genlab.core import device, distributed, parts
from genlab.core.errors import (
    GenlabError,
    LostProcessError,
    NonFiniteError,
    RunFailureError,
    StorageError,
    UsageError,
)
from genlab.core.parts import LATER, Part, registered
from genlab.core.text import typed
from genlab.core.warnings import warn_once
from genlab.data.degradations import located
from genlab.data.loader import Loader, labels_of
from genlab.data.pair_checks import pair_notes
from genlab.data.source import locate
from genlab.data.verification import verifying
from genlab.recipes.resolve import Plan, from_values, part_records
from genlab.runs import extractors, phases
from genlab.runs.callbacks import (
    PhaseInputs,
    cadence_of,
    callbacks_for,
    machine,
    observers_for,
    phase_inputs,
)
from genlab.runs.data import open_data, open_recorded, placed, reading_notes, record
from genlab.runs.duration import duration_note
from genlab.runs.load import refuse_outdated
from genlab.runs.phases import CurrentPhase, RunSetup
from genlab.runs.recorded import plan_of
from genlab.runs.rehearsal import names_of, rehearse
from genlab.runs.result import Result, uses_of
from genlab.runs.schedule import ScheduleChange, rescheduled
from genlab.runs.trained import changes
from genlab.runs.treatment import Treatment, treat
from genlab.runs.validation import refuse_spent, validate
from genlab.training import checkpoint, own, saving
from genlab.training.callbacks import Observer, Progress
from genlab.training.checkpoint import Checkpoint
from genlab.training.fit import fit
from genlab.training.interruption import Interrupted
from genlab.training.loggers import find_logger
from genlab.training.own import OwnCallback
from genlab.training.report import write_report
from genlab.training.run_folder import RunFolder, find
from genlab.training.state import collect

RESUMABLE = (
    "steps",
    "minutes",
    "patience",
    "on_failure",
    "device",
    "precision",
    "data",
)  # may change when a run resumes


def train(plan: Plan, *, quiet: bool = False) -> Result:
    """Train `plan` in a new run folder.

    Raises:
        GenlabError: data, recipe, device or disk cannot be used; or see `fit`.
    """
    places = {"data": plan.settings.data, "source": plan.settings.source}
    valid: dict[str, Any] = {name: locate(place) for name, place in places.items() if place}  # from any folder
    if (words := plan.recipe.degradations) and located(words) != tuple(words):
        valid["degrade"] = located(words)
    plan = plan.changed(valid)
    where = device.find_device(plan.settings.device)
    with distributed.process_group(where) as shard:
        source = open_data(plan.settings, shard, recipe=plan.recipe, quiet=quiet)
        validate(plan.recipe, source, shard, where)
        if plan.settings.balance:
            labels_of(source.train)
        find_logger(plan.settings.logger)
        extractors.require(plan.settings.extractor)
        own.require(plan.settings.callbacks)
        planned = RunSetup(plan, source, RunFolder(Path()), shard)
        notes = {
            **rehearse(planned),
            **reading_notes(plan.settings, source),
            **pair_notes(source),
            **plan.recipe.notes(source.train.spec),
            **duration_note(planned, quiet=quiet),
        }
        path = ""
        if shard.rank == 0:
            folder = RunFolder.create(Path(plan.settings.root), plan.settings.name or plan.preset)
            record(source, folder)
            folder.write_yaml("recipe.yaml", plan.values())
            if plan.settings.latest:
                folder.become_latest()
            if plan.settings.name not in (None, folder.path.name):
                notes["name"] = f'"{plan.settings.name}" is taken; this run is "{folder.path.name}"'
            path = str(folder.path)
        folder = RunFolder(Path(distributed.broadcast_object(path)))
        return _train(RunSetup(plan, source, folder, shard, notes), quiet=quiet)


def resume(
    run: str | Path,
    options: Mapping[str, Any],
    *,
    root: Path,
    quiet: bool = False,
    schedule: ScheduleChange = None,
) -> Result:
    """Resume a run from its last checkpoint, or start it again if it has none.

    `options` may change those in `RESUMABLE`: how long to train, where, and what to do about a failure. All others
    change the course of a run and need a new one. New `steps` without `minutes` remove the old time limit;
    `schedule` says whether schedules are stretched or kept.

    Raises:
        UsageError: another option, no such run, steps that move the end of a finished phase, or that change a
            schedule without `schedule`.
        CheckpointError: the checkpoint is damaged, or the data have changed.
    """
    for name in options.keys() - set(RESUMABLE):
        raise UsageError(
            f"resume can change {', '.join(RESUMABLE[:-1])} and {RESUMABLE[-1]}, "
            f'not "{name}"; start a new run for that'
        )
    if "steps" in options:
        options = {"minutes": None, **options}
    folder = find(run, root)
    before = plan_of(folder)
    plan = before.changed({name: value for name, value in options.items() if name != "data"})
    where = device.find_device(plan.settings.device)
    with distributed.process_group(where) as shard:
        with verifying():
            source = open_recorded(folder, plan.settings, options.get("data"), shard, quiet=quiet)
        if source.name in registered("data"):
            plan = plan.changed({"data": source.name})
        elif "data" in options:
            now = placed(plan.settings, options["data"])
            plan = plan.changed({"data": now.data, "source": now.source})
        step = checkpoint.load_state(folder.last)["step"] if checkpoint.exists(folder.last) else 0
        plan = plan.changed(before.recipe.keeping_phases(plan.recipe.steps, step, source.train.spec))
        validate(plan.recipe, source, shard, where)
        recipes = before.recipe, plan.recipe
        if step and recipes[0] != recipes[1] and not phases.can_continue(*recipes, source.train.spec, step):
            raise UsageError(f"--steps {plan.recipe.steps} would move the end of a finished phase")
        plan, notes = rescheduled(before, plan, schedule, source.train.spec, step)
        return _train(RunSetup(plan, source, folder, shard, notes), quiet=quiet)


def _train(run: RunSetup, *, quiet: bool) -> Result:
    """Train to the end; with `--on-failure treat`, treat failures while there are remedies."""
    treatment: Treatment | None = None
    treated = False
    while True:
        try:
            result = _train_phases(run, treatment, quiet=quiet)
        except (StorageError, LostProcessError) as error:
            again = f" `{typed('genlab', 'resume', run.folder.path)}` continues from there."
            error.add_note(saving.complete(run.folder, again))
            raise
        except (RunFailureError, NonFiniteError) as error:
            if parts := [part for part in run.plan.parts if part.kind not in LATER]:
                error.add_note(f"The run uses your {names_of(parts)}: look there first.")
            if run.plan.settings.on_failure != "treat":
                error.add_note(saving.complete(run.folder))
                raise
            treatment = treat(run.plan, run.folder, error) if run.shard.rank == 0 else None
            text = distributed.broadcast_object(json.dumps(treatment.plan.values()) if treatment else "")
            if not text:
                error.add_note(f"No remedy is left. {saving.complete(run.folder)}")
                raise
            run, treated = replace(run, plan=from_values(json.loads(text), where="treatment")), True
        else:
            result.start_step = 0 if treated else result.start_step
            return result


def _train_phases(run: RunSetup, treatment: Treatment | None, *, quiet: bool) -> Result:
    """Train all phases, from the last checkpoint if there is one, and write the report."""
    main = run.shard.rank == 0
    with ExitStack() as stack:
        stack.push(_leave_together)
        if main:
            stack.enter_context(run.folder.lock())
            run.folder.sweep()
            saving.recover(run.folder)
        distributed.barrier()
        if checkpoint.exists(run.folder.last):
            refuse_outdated(run.plan.recipe, run.folder.last)
        saved, progress = saving.load_last(run.folder)
        if treatment:
            progress.seconds = max(progress.seconds, treatment.seconds)
        start_step = progress.step
        refuse_spent(run.plan, progress)
        current = phases.start(run, phases.phase_at(run.phases, progress.step), saved)
        inputs = phase_inputs(run, current, quiet=quiet)
        observers: Sequence[Observer] = []
        if main:
            changed = _changed_parts(run)
            if saved and not treatment and (since := changes(run.plan, saved.about)):
                changed["recipe"] = f"recipe.yaml was changed since the checkpoint was saved: {since}"
            run.folder.write_yaml("recipe.yaml", run.plan.values())
            run.folder.rewind(progress.step)
            stack.push(partial(_report, run.folder))
            observers = observers_for(run, progress, stack, quiet=quiet)
            _begin(observers, current, run)
            notes = {**inputs.notes, **changed, **({} if progress.step and treatment else run.notes)}
            _notify_start(observers, progress.step, machine(run, current), treatment, notes)
        while _fit(run, current, inputs, progress, observers):
            current = _next_phase(run, current, progress, observers)
            _begin(observers, current, run)
            inputs = phase_inputs(run, current, quiet=True)  # the terminal already shows the run's progress bar
    distributed.barrier()  # the others may use the run, whose last files the first process has written by now
    model = current.training.model
    uses = uses_of(model, current.phase.spec)
    recipe = run.plan.recipe
    has_schedules = recipe.schedule_steps is None and bool(recipe.schedules())
    return Result(run.folder.path, progress, start_step, recipe.steps, uses, has_schedules)


def _changed_parts(run: RunSetup) -> dict[str, str]:
    """Return notes on the own parts that are about to replace those of the same name in recipe.yaml."""
    records = part_records(run.folder.read_yaml("recipe.yaml"), str(run.folder.path / "recipe.yaml"))
    before = {(record["kind"], record["name"]): record["sha256"] for record in records}
    changed: dict[str, list[Part]] = {}
    for part in run.plan.parts:
        old, new = before.get((part.kind, part.name)), part.origin.sha256
        if old and old != new:
            hashes = f"sha256 {old[: parts.SHOWN]} before, {new[: parts.SHOWN] or 'unknown'} now"
            changed.setdefault(hashes, []).append(part)
    return {names_of(its): f"changed: {hashes}" for hashes, its in changed.items()}


def _fit(
    run: RunSetup, current: CurrentPhase, inputs: PhaseInputs, progress: Progress, observers: Sequence[Observer]
) -> bool:
    """Train a phase; return whether another one follows."""
    settings, recipe = run.plan.settings, current.phase.recipe
    batches = Loader(
        current.source.train,
        recipe.batch_size,
        seed=settings.seed,
        shard=run.shard,
        position=progress.batches,
        device=run.device,
        flip=settings.flip,
        shift=settings.shift,
        balance=settings.balance,
    )
    with batches:
        callbacks = callbacks_for(run, current, inputs, batches, progress, observers)
        try:
            return fit(current.training, batches, cadence_of(run, current), progress, callbacks, current.average)
        except Interrupted as interrupted:
            interrupted.add_note(f"Resume it with `{typed('genlab', 'resume', run.folder.path)}`.")
            raise


def _next_phase(
    run: RunSetup, current: CurrentPhase, progress: Progress, observers: Sequence[Observer]
) -> CurrentPhase:
    """Start the phase after `current` with the weights that both have."""
    saved = Checkpoint(*collect(current.training, current.average), progress.state())
    following = phases.start(run, current.number + 1, saved)
    if not phases.comparable(current.phase, following.phase):
        progress.best_value = progress.best_step = None
        if run.shard.rank == 0:
            checkpoint.remove(run.folder.best)
    for observer in observers:
        observer.event(progress.step, "phase", following.event())
    return following


def _begin(observers: Sequence[Observer], current: CurrentPhase, run: RunSetup) -> None:
    """Give the model of a phase to the own callbacks that want it."""
    for observer in observers:
        if isinstance(observer, OwnCallback):
            observer.begin(current.training.model, run.folder.path)


def _notify_start(
    observers: Sequence[Observer],
    step: int,
    machine: Mapping[str, Any],
    treatment: Treatment | None,
    notes: Mapping[str, str],
) -> None:
    for observer in observers:
        observer.event(step, "resumed" if step else "started", machine)
        for name, text in notes.items():
            observer.event(step, "note", {name: text})
        if treatment:
            observer.event(treatment.stopped, "remedy", treatment.event())


def _leave_together(kind: object, error: BaseException | None, trace: object) -> None:
    """Wait for all processes after a signal: torchrun ends the others when the first one has left."""
    if isinstance(error, Interrupted):
        distributed.barrier()


def _report(folder: RunFolder, kind: object, error: BaseException | None, trace: object) -> None:
    """Write the report; if that fails, log it or add it to the error of the training."""
    if isinstance(error, LostProcessError):
        return  # torchrun ends this process, too, within moments
    try:
        write_report(folder)
    except Exception as second:
        why = str(second) if isinstance(second, GenlabError) else repr(second)
        text = f"The report could not be written: {why}"
        if error is None:
            command = typed("genlab", "report", folder.path)
            warn_once(f"{text}\nThe training is complete. Write the report with `{command}`.")
        else:
            error.add_note(text)
