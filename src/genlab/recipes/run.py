"""Where everything meets: a plan and a source become a training in a run folder."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.core import device, distributed
from genlab.core.batch import ImageShape
from genlab.core.contract import Training
from genlab.core.distributed import Shard
from genlab.core.errors import CheckpointError, UsageError
from genlab.core.random import Randomness, derive
from genlab.data.dataset import Dataset, Source
from genlab.data.loader import Loader
from genlab.data.source import locate, open_source
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import Plan, from_values
from genlab.training import checkpoint, fit
from genlab.training.average import Average
from genlab.training.evaluation import evaluate
from genlab.training.fit import Observer, Progress, Surroundings
from genlab.training.loggers import find_logger
from genlab.training.preview import preview
from genlab.training.report import write_report
from genlab.training.run_folder import RunFolder, find
from genlab.training.state import collect, restore
from genlab.training.terminal import Terminal
from genlab.version import __version__

HELD_OUT = 1000  # images that evaluations during training use at most


@dataclass(frozen=True)
class Result(os.PathLike[str]):
    """A run that came to its end; it stands for its folder wherever a path does."""

    folder: Path
    progress: Progress

    def __fspath__(self) -> str:
        return str(self.folder)


def start(plan: Plan, *, quiet: bool = False) -> Result:
    """Train what `plan` says in a new run folder.

    Raises:
        GenlabError: whatever data, recipe, device or disk refuse; and what `fit` raises.
    """
    plan = plan.changed({"data": locate(plan.settings.data)})  # a run may be resumed from another folder
    with _processes() as shard:
        source = _open(plan, shard, quiet=quiet)
        check(plan.recipe, source.train.shape, shard)
        device.choose(plan.settings.device)
        find_logger(plan.settings.logger)
        path = ""
        if shard.rank == 0:
            folder = RunFolder.create(Path(plan.settings.out), plan.settings.name or plan.preset)
            folder.write_yaml("data.yaml", _description(source))
            folder.write_text("rejected.csv", table(("path", "reason"), map(astuple, source.rejected)))
            folder.write_yaml("recipe.yaml", plan.values())
            path = str(folder.path)
        return _train(plan, source, RunFolder(Path(distributed.share(path))), shard, quiet=quiet)


def carry_on(run: str | Path, options: Mapping[str, Any], *, root: Path, quiet: bool = False) -> Result:
    """Go on with a run from its last checkpoint, or from its beginning where it has none.

    `options` may change how long to train (`steps`, `minutes`) and where (`device`), nothing else: whatever
    changes the course of a run belongs into a new one. New `steps` without `minutes` lift the old limit.

    Raises:
        UsageError: another option, or no such run.
        CheckpointError: the checkpoint is not whole, or the data are no longer those of the run.
    """
    for name in options.keys() - {"steps", "minutes", "device"}:
        raise UsageError(f'resume can change steps, minutes and device, not "{name}"; start a new run for that')
    if "steps" in options:
        options = {"minutes": None, **options}
    with _processes() as shard:
        folder = find(run, root)
        plan = from_values(folder.read_yaml("recipe.yaml"), where="recipe.yaml").changed(options)
        source = _open(plan, shard, quiet=quiet)
        _check_data(folder, source)
        return _train(plan, source, folder, shard, quiet=quiet)


def check(recipe: Recipe, shape: ImageShape, shard: Shard) -> None:
    """Refuse before anything is written what could not train.

    Raises:
        UsageError: networks that are not for this shape, a batch that the processes do not divide.
    """
    with torch.device("meta"):
        recipe.model(shape)
    if recipe.batch % shard.size:
        raise UsageError(f"--batch {recipe.batch} cannot be divided among {shard.size} processes")


def build(recipe: Recipe, shape: ImageShape, randomness: Randomness) -> Training:
    """Return the training of a recipe; the initial weights depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(randomness.seed, "initial weights"))
        model = recipe.model(shape)
    return recipe.training(device.place(model, randomness.device), randomness)


@contextmanager
def _processes() -> Iterator[Shard]:
    """Join the other processes for a while."""
    try:
        yield distributed.join()
    finally:
        distributed.leave()


def _open(plan: Plan, shard: Shard, *, quiet: bool) -> Source:
    """Open the plan's source; the first process fills the cache, the others then find it full."""
    settings = plan.settings
    opening = partial(
        open_source,
        settings.data,
        size=settings.size,
        channels=settings.channels,
        max_rejected=settings.max_rejected,
        progress=not quiet and shard.rank == 0,
    )
    if shard.rank == 0:
        source = opening()
        distributed.barrier()
        return source
    distributed.barrier()
    return opening()


def _train(plan: Plan, source: Source, folder: RunFolder, shard: Shard, *, quiet: bool) -> Result:
    """Fit, from the folder's last checkpoint if there is one, and write the report."""
    recipe, settings, main = plan.recipe, plan.settings, shard.rank == 0
    where = device.choose(settings.device)
    training = build(recipe, source.train.shape, Randomness(settings.seed, shard, where))
    average = Average(training.model, recipe.ema) if recipe.ema else None
    held_out = held_out_images(source.held_out, settings.seed).to(where)
    with ExitStack() as stack:
        if main:
            stack.enter_context(folder.lock())
            _recover(folder)
        distributed.barrier()
        progress = _resume(folder, training, average)
        if recipe.steps < progress.step:
            raise UsageError(f"this run has taken {progress.step} steps; --steps {recipe.steps} is behind it")
        observers: list[Observer] = []
        if main:
            folder.write_yaml("recipe.yaml", plan.values())
            folder.rewind(progress.step)
            stack.callback(write_report, folder)
            observers = _observers(folder, plan, progress, quiet=quiet)
            for observer in observers:
                stack.callback(observer.close)
                observer.event(progress.step, "resumed" if progress.step else "started", _machine(where, shard))
                if len(held_out) < 2:
                    observer.event(progress.step, "note", {"no evaluation": "it needs 2 held-out images or more"})
        batches = Loader(
            source.train,
            recipe.batch,
            seed=settings.seed,
            shard=shard,
            position=progress.batches,
            device=where,
            flip=settings.flip,
        )
        around = Surroundings(
            save=partial(_save, folder, training, average) if main else _save_nothing,
            evaluate=partial(evaluate, held_out=held_out, seed=settings.seed) if len(held_out) > 1 else None,
            preview=partial(preview, held_out=held_out, seed=settings.seed),
            observers=observers,
        )
        fit.fit(
            training,
            stack.enter_context(batches),
            _rhythm(plan),
            progress,
            around,
            average=average,
            seed=settings.seed,
        )
    return Result(folder.path, progress)


def held_out_images(split: Dataset, seed: int) -> Tensor:
    """Return at most `HELD_OUT` images of a split, drawn once from the seed, (N, C, H, W) in [-1, 1]."""
    order = np.random.default_rng(derive(seed, "held-out images")).permutation(len(split))
    return split.batch(order[:HELD_OUT]).images


def held_out_of(folder: RunFolder) -> Tensor:
    """Return the held-out images that a run is evaluated on, opening its source again."""
    settings = from_values(folder.read_yaml("recipe.yaml"), where="recipe.yaml").settings
    source = open_source(
        settings.data, size=settings.size, channels=settings.channels, max_rejected=settings.max_rejected
    )
    return held_out_images(source.held_out, settings.seed)


def shape_of(folder: RunFolder) -> ImageShape:
    """Return the shape of the images that a run was trained on."""
    return ImageShape(*folder.read_yaml("data.yaml")["shape"])


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return comma-separated values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def _rhythm(plan: Plan) -> fit.Plan:
    settings = plan.settings
    return fit.Plan(
        steps=plan.recipe.steps,
        minutes=settings.minutes,
        log_every=settings.log_every,
        preview_every=settings.preview_every,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
    )


def _observers(folder: RunFolder, plan: Plan, progress: Progress, *, quiet: bool) -> list[Observer]:
    observers: list[Observer] = [folder]
    if logger := find_logger(plan.settings.logger):
        observers.append(logger(folder.path))
    if not quiet:
        recipe, settings = plan.recipe, plan.settings
        observers.append(Terminal(recipe.steps, settings.minutes, recipe.batch, progress.step, progress.seconds))
    return observers


def _save(folder: RunFolder, training: Training, average: Average | None, progress: Progress, best: bool) -> None:
    model, rest = collect(training, average)
    checkpoint.save(checkpoint.Checkpoint(model, rest, progress.state()), folder.last)
    if best:
        checkpoint.link(folder.last, folder.best)


def _save_nothing(progress: Progress, best: bool) -> None:
    """What processes other than the first save."""


def _recover(folder: RunFolder) -> None:
    """Finish what a kill interrupted: a swap of checkpoints, or the step from `last` to `best`."""
    checkpoint.recover(folder.last)
    checkpoint.recover(folder.best)
    if folder.last.exists():
        state = checkpoint.load(folder.last).state
        if state["best_step"] == state["step"]:
            checkpoint.link(folder.last, folder.best)


def _resume(folder: RunFolder, training: Training, average: Average | None) -> Progress:
    if not folder.last.exists():
        return Progress()
    saved = checkpoint.load(folder.last)
    restore(saved, training, average)
    return Progress(**saved.state)


def _description(source: Source) -> dict[str, Any]:
    return {
        "source": source.name,
        "shape": list(source.train.shape),
        "classes": list(source.train.classes),
        "images": {"train": len(source.train), "held_out": len(source.held_out)},
        "found": source.total,
        "rejected": len(source.rejected),
        "fingerprints": {"train": source.train.fingerprint, "held_out": source.held_out.fingerprint},
        "notes": dict(source.notes),
    }


def _check_data(folder: RunFolder, source: Source) -> None:
    """Refuse to go on with other pictures than those that the run began with."""
    then, now = folder.read_yaml("data.yaml"), _description(source)
    for name in ("shape", "images", "fingerprints"):
        if then[name] != now[name]:
            raise CheckpointError(
                f"{source.name} is no longer what {folder.path.name} was trained on: {name} was {then[name]} and "
                f"is {now[name]}. Bring the pictures back as they were, or start a new run."
            )


def _machine(where: torch.device, shard: Shard) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else str(where),
        "processes": shard.size,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "genlab": __version__,
    }
