"""Evaluates the model of a run, and stores the result."""

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from genlab.applications.measurement import Measurement
from genlab.applications.measures import evaluate_model
from genlab.applications.subject import Pixels, Subject
from genlab.core import device as devices
from genlab.core.condition import SOURCE
from genlab.core.contract import Samples
from genlab.core.distributed import barrier, current_shard, process_group
from genlab.core.errors import UsageError
from genlab.core.files import read, replace, storage
from genlab.core.parts import registered
from genlab.data.dataset import Source
from genlab.metrics.extractors.resize import Resize
from genlab.metrics.figures import Figure
from genlab.recipes.fields import values_of
from genlab.recipes.recipe import Recipe
from genlab.recipes.settings import CheckpointName
from genlab.recipes.vae import VAERecipe
from genlab.runs.data import open_recorded
from genlab.runs.extractors import find_extractor
from genlab.runs.load import load_model, log_checkpoint, precision
from genlab.runs.phases import resized
from genlab.runs.recorded import plan_of, spec_of
from genlab.training.choice import choose
from genlab.training.run_folder import RunFolder
from genlab.version import __version__

Split = Literal["held-out", "train", "all"]
MOST_STORED = 1 << 24  # bytes of a stored evaluation
MOST = 10_000  # samples of a model, and real images, by default
_MEASURES = 3  # increase it when the same request would give other figures


@dataclass(frozen=True)
class Request:
    """What to measure, and how.

    Raises:
        UsageError: fewer than two samples, or an unknown split, resize or checkpoint.
    """

    extractor: str = "efficientnet-lite0"
    samples: int | None = None  # by default 10,000 for a run, and all pictures of a set
    split: Split | None = None  # of the real pictures; by default held-out for a run, else all
    resize: Resize = "antialiased"
    seed: int = 0
    checkpoint: CheckpointName | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)  # options of sampling that replace the recipe's

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 2:
            raise UsageError(f"--samples must be at least 2, not {self.samples}")
        words = {"split": (self.split, Split), "resize": (self.resize, Resize)}
        for name, (word, kind) in {**words, "checkpoint": (self.checkpoint, CheckpointName)}.items():
            if word is not None and word not in get_args(kind):
                raise UsageError(f'--{name} can be {" or ".join(get_args(kind))}, not "{word}"')


def evaluate_run(
    folder: RunFolder,
    request: Request,
    device: str = "auto",
    *,
    data: str | None = None,
    again: bool = False,
    progress: bool = True,
) -> Measurement:
    """Evaluate a run's model in all that it can do, and store the result in the run's folder `evaluations`.

    If the same request for the same checkpoint has a stored result, return that, unless `again`. `data` names the
    run's data if they are at another place now.

    Raises:
        GenlabError: no checkpoint, data that changed since training, an unknown extractor, or too few images.
    """
    if request.split == "all":
        raise UsageError("a run is evaluated on held-out or on training examples: --split held-out or train")
    request = dataclasses.replace(request, split=request.split or "held-out", samples=request.samples or MOST)
    with process_group(devices.find_device(device)) as shard:
        return _evaluate_run(folder, request, device, data, again=again, progress=progress and shard.rank == 0)


def _evaluate_run(
    folder: RunFolder, request: Request, device: str, data: str | None, *, again: bool, progress: bool
) -> Measurement:
    began = time.monotonic()
    choice = choose(folder, request.checkpoint)
    which, step = choice.name, choice.step
    if current_shard().rank == 0:
        log_checkpoint(folder, choice)
    path = folder.evaluations / f"{_name(request, which, step)}.json"
    known = None if again else _read(path)
    barrier()  # all processes have read before the first one writes
    if known and data is None:
        return known
    where = devices.find_device(device)
    plan = plan_of(folder).sampled(request.sampling)
    source = open_recorded(folder, plan.settings, data, quiet=not progress)
    if known:
        return known
    source = resized(source, spec_of(folder, step))
    model = load_model(folder, which, device, request.sampling)
    extractor = None
    if isinstance(model, Samples) and source.train.spec.target.spatial == 2:
        extractor = find_extractor(request.extractor, where, source, resize=request.resize, progress=progress)
    assert request.split
    stamp = {
        "data": _identity(source, request.split),
        "checkpoint": f"{which}, step {step}",
        "model_weights": f"averaged, {plan.recipe.ema:g}" if plan.recipe.ema else "raw",
        "model_precision": precision(model),
        **{
            f"model_{name}": value
            for name, value in values_of(plan.recipe).items()
            if name in plan.recipe.of_sampling and value is not None
        },
    }
    assert request.samples
    subject = Subject(
        model,
        source,
        request.samples,
        extractor,
        request.split,
        request.seed,
        stamp,
        _pixels(plan.recipe),
        _likelihood(plan.recipe),
        progress,
    )
    figures = evaluate_model(subject)
    result = Measurement(f"{folder.path.name} ({which}, step {step:,})", figures, time.monotonic() - began)
    if current_shard().rank == 0:
        with storage(path):
            path.parent.mkdir(exist_ok=True)
        replace(path, json.dumps({"request": asdict(request), **result.values()}, indent=1).encode())
    barrier()
    return result


def _identity(source: Source, split: Split) -> str:
    """Return what a protocol says of the data.

    Of data to translate that is the measured split: pairs and unpaired sides of the same pictures differ in how
    they are trained on, but may be measured alike.
    """
    measured = source.train if split == "train" or SOURCE not in source.train.spec.conditions else source.held_out
    return measured.fingerprint[:12]


def requests_for(folders: Sequence[RunFolder], request: Request) -> list[Request]:
    """Return the request for each run, with the options of sampling that its model has.

    Raises:
        UsageError: an option of sampling that none of the models has.
    """
    plans = [plan_of(folder) for folder in folders]
    for name in request.sampling:
        if not any(name in plan.recipe.of_sampling for plan in plans):
            presets = ", ".join(dict.fromkeys(plan.preset for plan in plans))
            raise UsageError(f"--{name.replace('_', '-')} is no option of sampling from any of {presets}.")
    return [
        dataclasses.replace(
            request, sampling={n: v for n, v in request.sampling.items() if n in plan.recipe.of_sampling}
        )
        for plan in plans
    ]


def _pixels(recipe: Recipe) -> Pixels:
    """Return the kind of pixels that the recipe's likelihood is of."""
    if not isinstance(recipe, VAERecipe):
        return "unknown"
    if recipe.binarise:
        return "binary"
    return "continuous" if recipe.reconstruction == "gaussian" else "unknown"


def _likelihood(recipe: Recipe) -> str:
    """Return the name of the reconstruction whose constant a bound omits, or "normalised" if it omits none."""
    if isinstance(recipe, VAERecipe) and recipe.reconstruction != "gaussian":
        return recipe.reconstruction
    return "normalised"


def _name(request: Request, which: str, step: int) -> str:
    """Return the file name for a request, unique for the request, the version of the measures and own ones."""
    own = [part.record() for kind in ("metric", "extractor") for part in registered(kind).values()]
    text = json.dumps([asdict(request), which, step, __version__, _MEASURES, *own], sort_keys=True)
    kind = re.sub(r"[^a-z0-9]+", "-", request.extractor.lower()).strip("-")[:32]
    return f"{which}-{step:06d}-{kind}-{request.samples}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _read(path: Path) -> Measurement | None:
    """Return a stored evaluation; None if there is none, or if the file is damaged."""
    try:
        values: Mapping[str, Any] = json.loads(read(path, MOST_STORED))
        figures = [Figure.of(plain) for plain in values["figures"]]
        return Measurement(str(values["subject"]), figures, float(values["seconds"]), stored=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
