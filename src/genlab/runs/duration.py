"""Says how long a run will take, before it starts, if that is more than an hour on a CPU."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise, repeat

import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.contract import Training
from genlab.core.device import subnormals_flushed
from genlab.core.distributed import all_reduce_max_
from genlab.core.errors import NonFiniteError, UsageError
from genlab.core.modality import Images, Modality
from genlab.core.parts import LATER
from genlab.core.random import Randomness
from genlab.core.text import counted
from genlab.core.warnings import LOG
from genlab.recipes.recipe import Phase
from genlab.runs.memory import outline
from genlab.runs.phases import RunSetup, build

LONG = 3600.0  # seconds
PATIENCE = 4.0  # seconds of trying
TRIES = 3  # steps; the first also prepares the layers
SMALL = 64  # pixels of a side
OVERHEAD, SPEED = 0.01, 1e10  # of a slow CPU: seconds of a step besides arithmetic, operations per second
OPERATIONS = 5 * 6  # for each weight: passes of a step; a product and a sum, and twice as many on the way back


def duration_note(run: RunSetup, *, quiet: bool = False) -> Mapping[str, str]:
    """Return a note on the time that a run takes; none for a short one, or one that is limited by --minutes.

    One to three steps are timed, on random examples and networks that are thrown away, so that the run itself does
    not change. Most short runs are recognised by the size of their networks. Unless `quiet`, what may take a while
    is logged.
    """
    own = any(part.kind not in LATER for part in run.plan.parts)
    if run.device.type != "cpu" or run.plan.settings.minutes or own:
        return {}
    ends = [0, *(phase.steps for phase in run.phases)]
    counts = [end - start for start, end in pairwise(ends)]
    if sum(count * most_seconds(phase) for count, phase in zip(counts, run.phases, strict=True)) < LONG:
        return {}
    if not quiet and max(map(most_seconds, run.phases)) > PATIENCE:
        LOG.info("timing a step, to say how long the training takes …")
    seconds = sum(count * seconds_per_step(run, number, count) for number, count in enumerate(counts))
    return {"duration": _note(seconds, ends[-1], run.phases[-1].spec.target)} if seconds > LONG else {}


def most_seconds(phase: Phase) -> float:
    """Return more seconds than a step of a phase takes: as if every layer had the resolution of the images."""
    shape, spatial = phase.spec.target.shape, phase.spec.target.spatial
    pixels = math.prod(shape[len(shape) - spatial :])
    products = sum(p.numel() * (pixels if p.ndim > 2 else 1) for p in outline(phase).parameters())
    return OVERHEAD + OPERATIONS * phase.recipe.batch_size * products / SPEED


def seconds_per_step(run: RunSetup, number: int, steps: int) -> float:
    """Return the seconds that a step of phase `number` takes here; 0 if networks fail on random examples.

    Large images are measured smaller, as if the time grew with the number of pixels.
    """
    randomness = Randomness(run.plan.settings.seed, run.shard, run.device)
    with torch.random.fork_rng(devices=[]):
        phase, share, training = _built(run, number, randomness)
        batches = repeat(_random_batch(phase, phase.recipe.batch_size // run.shard.size))
        spent: list[float] = []
        while len(spent) < TRIES and sum(spent) < PATIENCE and (not spent or min(spent) * steps > share * LONG):
            try:
                spent.append(_seconds(training, len(spent), batches))
            except NonFiniteError:
                return 0.0
    return min(spent) / share


def _built(run: RunSetup, number: int, randomness: Randomness) -> tuple[Phase, float, Training]:
    """Return phase `number` with images as small as its networks take, their share of the pixels, its training."""
    whole = run.phases[number]
    with suppress(UsageError):  # of networks that take no smaller images
        phase, share = _reduced(whole)
        return phase, share, build(phase.recipe, phase.spec, randomness, run.plan.dtype(run.device), number)
    return whole, 1.0, build(whole.recipe, whole.spec, randomness, run.plan.dtype(run.device), number)


def _reduced(phase: Phase) -> tuple[Phase, float]:
    """Return a phase with images of 64 pixels at most, if theirs can be halved, and its share of the pixels."""
    spec, halvings = phase.spec, 0
    sides = spec.target.shape[1:] if spec.target.spatial == 2 else ()
    while any(side > SMALL for side in sides) and all(side % 2 == 0 for side in sides):
        sides, halvings = tuple(side // 2 for side in sides), halvings + 1

    def smaller(modality: Modality) -> Modality:
        if not isinstance(modality, Images):
            return modality
        return replace(modality, height=modality.height >> halvings, width=modality.width >> halvings)

    given = {name: smaller(modality) for name, modality in spec.conditions.items()}
    return replace(phase, spec=replace(spec, target=smaller(spec.target), conditions=given)), 0.25**halvings


def _seconds(training: Training, step: int, batches: Iterator[Batch]) -> float:
    """Return the seconds of a step, of the slowest process."""
    begin = time.perf_counter()
    with subnormals_flushed():
        training.step(step, batches)
    return all_reduce_max_(torch.tensor(time.perf_counter() - begin)).item()


def _random_batch(phase: Phase, rows: int) -> Batch:
    condition = {name: _random(modality, rows) for name, modality in phase.spec.conditions.items()}
    return Batch(_random(phase.spec.target, rows), torch.arange(rows), condition)


def _random(modality: Modality, rows: int) -> Tensor:
    """Return `rows` labels, or examples with uniform numbers from [-1, 1)."""
    labels = modality.default(rows)
    if labels is not None:
        return labels
    x = 2 * torch.rand(rows, *modality.shape) - 1
    return x.contiguous(memory_format=torch.channels_last) if modality.spatial == 2 else x


def _note(seconds: float, steps: int, target: Modality) -> str:
    """Return the note; for larger images with the time at 64 pixels, as if it grew with the number of pixels."""
    each = seconds / steps
    per_step = f"{each:.2g} s" if each >= 0.1 else f"{1000 * each:.0f} ms"
    less = "--minutes or fewer --steps end it earlier"
    shares = [min(1.0, SMALL / side) for side in target.shape[len(target.shape) - target.spatial :]]
    if math.prod(shares) < 1:
        less += f", --size {SMALL} takes about {_written(math.prod(shares) * seconds)}"
    return f"about {_written(seconds)} for {steps:,} steps on this machine ({per_step} per step); {less}"


def _written(seconds: float) -> str:
    """Return a time in minutes, hours or days."""
    hours = seconds / 3600
    if hours < 1:
        return counted(max(round(60 * hours), 1), "minute")
    return counted(round(hours), "hour") if hours < 72 else counted(round(hours / 24), "day")
