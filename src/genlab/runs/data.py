"""The data of a run: opened for training, written down, recognised when the run goes on."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from genlab.core import distributed
from genlab.core.batch import Batch, ImageShape
from genlab.core.distributed import WHOLE, Shard
from genlab.core.errors import CheckpointError, UsageError, suggestion
from genlab.core.random import Draws, derive, generator
from genlab.data.dataset import Dataset, Source
from genlab.data.facts import facts
from genlab.data.source import open_source
from genlab.families.vae import binarised
from genlab.recipes.resolve import from_values
from genlab.recipes.settings import Settings
from genlab.training.run_folder import RunFolder

SOME = 1000  # images of a split that a run looks at while it trains


def open_data(settings: Settings, shard: Shard = WHOLE, *, quiet: bool = False) -> Source:
    """Open the source that `settings` name; the first process fills the cache, the others then find it full."""
    opening = partial(
        open_source,
        settings.data,
        size=settings.size,
        channels=settings.channels,
        max_rejected=settings.max_rejected,
        progress=not quiet and shard.rank == 0,
    )
    return distributed.rank0_first(opening)


def record(source: Source, folder: RunFolder) -> None:
    """Write data.yaml and rejected.csv."""
    folder.write_yaml("data.yaml", {**_description(source), "facts": facts(source.train)})
    folder.write_text("rejected.csv", _table(("path", "reason"), map(astuple, source.rejected)))


def check_unchanged(folder: RunFolder, source: Source) -> None:
    """Refuse to go on with other pictures than those that the run began with.

    Raises:
        CheckpointError: shape, number or content of the pictures is another.
    """
    then, now = folder.read_yaml("data.yaml"), _description(source)
    for name in ("shape", "images", "fingerprints"):
        if then[name] != now[name]:
            raise CheckpointError(
                f"{source.name} is no longer what {folder.path.name} was trained on: {name} was {then[name]} and "
                f"is {now[name]}. Bring the pictures back as they were, or start a new run."
            )


def some(split: Dataset, seed: int, count: int = SOME) -> Batch:
    """Return at most `count` images of a split with their labels, drawn once from the seed."""
    order = np.random.default_rng(derive(seed, "held-out images")).permutation(len(split))
    return split.batch(order[:count])


def black_and_white(images: Tensor, seed: int) -> Tensor:
    """Return images (B, C, H, W) as a VAE with binarised pixels is measured on them: drawn once from the seed."""
    return binarised(images, Draws(generator(seed, "measured pixels"), len(images)))


def held_out_of(folder: RunFolder) -> Batch:
    """Return the held-out images that a run is evaluated on, opening its source again."""
    settings = from_values(folder.read_yaml("recipe.yaml"), where="recipe.yaml").settings
    return some(open_data(settings).held_out, settings.seed)


def shape_of(folder: RunFolder) -> ImageShape:
    """Return the shape of the images that a run was trained on."""
    return ImageShape(*folder.read_yaml("data.yaml")["shape"])


def classes_of(folder: RunFolder) -> tuple[str, ...]:
    """Return the names of the classes of the images that a run was trained on; () where they had none."""
    return tuple(str(name) for name in folder.read_yaml("data.yaml")["classes"])


def find_class(folder: RunFolder, name: str) -> int:
    """Return the number of the class that a run's data call `name`, or that has this number.

    Raises:
        UsageError: there is no such class.
    """
    classes = classes_of(folder)
    lowered = [known.lower() for known in classes]
    if name.lower() in lowered:
        return lowered.index(name.lower())
    if name.isdecimal() and int(name) < len(classes):
        return int(name)
    if not classes:
        raise UsageError(
            f"{folder.path.name} was trained on pictures without labels, so that none is called {name}"
        )
    shown = ", ".join(f"{number} {known}" for number, known in enumerate(classes[:20]))
    more = f", … ({len(classes)} in all)" if len(classes) > 20 else ""
    raise UsageError(f'no class "{name}".{suggestion(name, classes)} Choices: {shown}{more}.')


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


def facts_of(folder: RunFolder) -> dict[str, float]:
    """Return what the doctor knows of the images that a run was trained on; of an older genlab's run, nothing."""
    known: dict[str, float] = folder.read_yaml("data.yaml").get("facts", {})
    return known


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return comma-separated values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
