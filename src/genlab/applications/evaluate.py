"""Evaluates the model of a run, and stores the result."""

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from torch import nn

from genlab.applications.measurement import Measurement
from genlab.applications.measures import evaluate_model
from genlab.applications.restore import ByModel
from genlab.applications.restore_set import Pictures, PictureSet, pictures_at, restored_figures, restores_pictures
from genlab.applications.subject import Pixels, Subject
from genlab.core import device as devices
from genlab.core.condition import SOURCE
from genlab.core.contract import Samples
from genlab.core.distributed import barrier, current_shard, process_group
from genlab.core.errors import UsageError
from genlab.core.files import read, replace, storage
from genlab.core.parts import registered
from genlab.data.dataset import Source
from genlab.data.degradations import chain
from genlab.metrics.extractors.resize import Resize
from genlab.metrics.figures import Figure
from genlab.recipes.fields import values_of
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import Plan
from genlab.recipes.settings import CheckpointName
from genlab.recipes.vae import VAERecipe
from genlab.runs.data import open_recorded
from genlab.runs.extractors import find_extractor
from genlab.runs.load import load_model, log_checkpoint, precision
from genlab.runs.phases import resized
from genlab.runs.recorded import plan_of, spec_of
from genlab.training.choice import Choice, choose
from genlab.training.run_folder import RunFolder
from genlab.version import __version__

Split = Literal["held-out", "train", "all"]
MOST_STORED = 1 << 24  # bytes of a stored evaluation
MOST = 10_000  # samples of a model, and real images, by default
_MEASURES = 4  # increase it when the same request would give other figures


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
    run's data if they are at another place now; or, of a model that restores pictures, any pictures, on which it
    is evaluated as they are, whole.

    Raises:
        GenlabError: no checkpoint, data that changed since training, an unknown extractor, or too few images.
    """
    if request.split == "all":
        raise UsageError("a run is evaluated on held-out or on training examples: --split held-out or train")
    if not restores_pictures(plan_of(folder).recipe, data):
        request = dataclasses.replace(request, split=request.split or "held-out", samples=request.samples or MOST)
    with process_group(devices.find_device(device)) as shard:
        return _evaluate_run(folder, request, device, data, again=again, progress=progress and shard.rank == 0)


def _evaluate_run(
    folder: RunFolder, request: Request, device: str, data: str | None, *, again: bool, progress: bool
) -> Measurement:
    began = time.monotonic()
    choice = choose(folder, request.checkpoint)
    if current_shard().rank == 0:
        log_checkpoint(folder, choice)
    plan = plan_of(folder).sampled(request.sampling)
    with ExitStack() as opened:
        pictures = None
        if data is not None and restores_pictures(plan.recipe, data):
            pictures = opened.enter_context(pictures_at(Path(data)))
        path = folder.evaluations / f"{_name(request, choice, pictures)}.json"
        known = None if again else _read(path)
        barrier()  # all processes have read before the first one writes
        if known and (data is None or pictures):
            return known
        if pictures:
            figures = _of_pictures(folder, request, device, choice, plan, pictures, progress=progress)
        else:
            source = open_recorded(folder, plan.settings, data, quiet=not progress)
            if known:
                return known
            figures = _of_data(folder, request, device, choice, plan, source, progress=progress)
    result = Measurement(
        f"{folder.path.name} ({choice.name}, step {choice.step:,})", figures, time.monotonic() - began
    )
    if current_shard().rank == 0:
        with storage(path):
            path.parent.mkdir(exist_ok=True)
        replace(path, json.dumps({"request": asdict(request), **result.values()}, indent=1).encode())
    barrier()
    return result


def _of_data(
    folder: RunFolder, request: Request, device: str, choice: Choice, plan: Plan, source: Source, *, progress: bool
) -> list[Figure]:
    """Return the figures of a run's model on its own data."""
    source = resized(source, spec_of(folder, choice.step))
    model = load_model(folder, choice.name, device, request.sampling)
    extractor, where = None, devices.find_device(device)
    if isinstance(model, Samples) and source.train.spec.target.spatial == 2:
        extractor = find_extractor(request.extractor, where, source, resize=request.resize, progress=progress)
    assert request.split
    assert request.samples
    stamp = {"data": _identity(source, request.split), **_stamp(model, choice, plan)}
    stamp |= {"degraded": source.notes["degraded"]} if "degraded" in source.notes else {}
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
    return evaluate_model(subject)


def _of_pictures(
    folder: RunFolder,
    request: Request,
    device: str,
    choice: Choice,
    plan: Plan,
    given: Pictures,
    *,
    progress: bool,
) -> list[Figure]:
    """Return the figures of a run's model on whole pictures, which are degraded as those of its training."""
    if request.split == "train":
        raise UsageError(
            f"--split train is of the run's own data, not of the pictures at {given.path}. Leave it out."
        )
    model = load_model(folder, choice.name, device, request.sampling)
    by = ByModel(model, spec_of(folder, choice.step))
    extractor = find_extractor(request.extractor, devices.find_device(device), progress=progress)
    words = plan.recipe.degradations
    degraded = PictureSet(given.listing, by, chain(words), request.samples, request.seed, progress)
    stamp = {
        "degraded": " ".join(words),
        "seed": request.seed,
        **_stamp(model, choice, plan),
        "genlab": __version__,
    }
    return restored_figures(degraded, extractor, given.path, stamp)


def _stamp(model: nn.Module, choice: Choice, plan: Plan) -> dict[str, Any]:
    """Return what a protocol says of the model."""
    return {
        "checkpoint": f"{choice.name}, step {choice.step}",
        "model_weights": f"averaged, {plan.recipe.ema:g}" if plan.recipe.ema else "raw",
        "model_precision": precision(model),
        **{
            f"model_{name}": value
            for name, value in values_of(plan.recipe).items()
            if name in plan.recipe.of_sampling and value is not None
        },
    }


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


def _name(request: Request, choice: Choice, pictures: Pictures | None) -> str:
    """Return the file name for a request, unique for it, for the pictures and for the version of the measures."""
    own: list[Any] = [part.record() for kind in ("metric", "extractor") for part in registered(kind).values()]
    own += [] if pictures is None else [pictures.listing.digest()]
    which, step = choice.name, choice.step
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
