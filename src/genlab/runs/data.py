"""The data of a run: opens them, records them in its folder, and checks them when it is resumed."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genlab.core import distributed, parts
from genlab.core.batch import Batch
from genlab.core.condition import required_conditions
from genlab.core.contract import Samples
from genlab.core.distributed import WHOLE, Shard
from genlab.core.errors import CheckpointError, GenlabError, UsageError
from genlab.core.modality import DataSpec
from genlab.core.parts import registered
from genlab.core.random import Draws, derive_seed
from genlab.core.table import Table
from genlab.data.dataset import Source, Split
from genlab.data.facts import facts
from genlab.data.objects import is_made
from genlab.data.restoration import open_degraded
from genlab.data.source import is_gone, locate
from genlab.data.translation import open_translation, refuse_sided
from genlab.families.vae import binarised
from genlab.recipes.recipe import Recipe
from genlab.recipes.settings import Settings
from genlab.runs.phases import resized
from genlab.runs.recorded import parts_of, plan_of, recorded_data, require_parts, spec_of
from genlab.training.run_folder import RunFolder

SUBSET = 1000  # held-out images that are used during training


def open_data(
    settings: Settings, shard: Shard = WHOLE, *, recipe: Recipe | None = None, quiet: bool = False
) -> Source:
    """Open the data source of `settings` for the model of a recipe; by default as examples alone.

    The first process fills the cache before the others read it.
    """
    reads = recipe.reads if recipe else "examples"
    sided: dict[str, Any] = {
        "source": settings.source,
        "pairs": settings.pairs,
        "side_by_side": settings.side_by_side,
        "direction": settings.direction,
    }
    options: dict[str, Any] = {
        "seed": settings.seed,
        "size": settings.size,
        "channels": settings.channels,
        "range": settings.range,
        "max_rejected": settings.max_rejected,
        "label": settings.label,
        "ignore": settings.ignore,
        "own": settings.own,
        "progress": not quiet and shard.rank == 0,
    }
    if recipe is not None and reads == "degraded":
        refuse_sided(reads, **sided)
        if settings.shift:
            raise UsageError(
                f"--shift {settings.shift} would move pictures against their degraded copies. Give --patches, "
                "which are cut out at random places, or leave it out."
            )
        opening = partial(open_degraded, settings.data, recipe.degradations, patches=settings.patches, **options)
    elif settings.patches is not None:
        raise UsageError(
            f"--patches {settings.patches} is for models that restore pictures, such as edsr. Leave it out, or "
            "choose --size."
        )
    else:
        opening = partial(open_translation, settings.data, reads, **sided, **options)
    return distributed.rank0_first(opening)


def record(source: Source, folder: RunFolder) -> None:
    """Write data.yaml and rejected.csv."""
    folder.write_yaml("data.yaml", {**_description(source), "facts": facts(source.train)})
    folder.write_text("rejected.csv", _table(("path", "reason"), map(astuple, source.rejected)))


def reading_notes(settings: Settings, source: Source) -> dict[str, str]:
    """Return notes on what was changed as images were read and that nobody asked for.

    That is pictures beside folders of classes, which are left out; cropped pictures; data given in Python that
    were resized; of data with two sides, which these are, how they are paired and which is translated; and of a
    table, which columns are numbers, categories, left out or labels.
    """
    changes = dict.fromkeys(("sides", "direction", "pairs", "colours", "aspect ratios"), "")
    changes |= dict.fromkeys(("columns", "left out", "missing values", "labels"), "")
    changes |= {"classes": "beside", "not square": "cropped", "resize": "crops"}
    every = source.notes
    notes = {what: every[what] for what, word in changes.items() if what in every and word in every[what]}
    if settings.size or settings.data not in registered("data") or "resize" not in every:
        return notes
    native, resize = every["native size"], every["resize"]
    notes.pop("resize", None)
    return {**notes, "images resized": f"native size {native}; {resize}. Choose another size with size=…"}


def check_unchanged(folder: RunFolder, source: Source) -> None:
    """Refuse to continue a run with other data than it began with.

    Raises:
        CheckpointError: kind, number or content of the data differ.
    """
    if (change := _change(folder, source)) is None:
        return
    name, then, now = change
    random = ""
    if name == "fingerprints":
        then, now = ({side: mark[: parts.SHOWN] for side, mark in its.items()} for its in (then, now))
        random = " Data that are augmented at random as they are read look like this, too: turn that off."
    raise CheckpointError(
        f"{source.name} is no longer what {folder.path.name} was trained on: {name} was {then} and is {now}."
        f"{_rules(folder, source)} Restore the original data, or start a new run.{random}"
    )


def _rules(folder: RunFolder, source: Source) -> str:
    """Return what differs in how splits, classes and values were found, as a sentence."""
    then, now = recorded_data(folder).get("notes") or {}, source.notes
    changed = [
        f'{what} was "{then[what]}" and is "{now.get(what, "none")}"'
        for what in ("split", "classes", "recognised", "sides", "pairs", "direction")
        if what in then and then[what] != now.get(what)
    ]
    if "classes" in now and "classes" not in then:
        changed.append("an earlier genlab found classes and splits by other rules, and read fewer formats")
    return f" How they were read: {'; '.join(changed)}." if changed else ""


def _change(folder: RunFolder, source: Source) -> tuple[str, Any, Any] | None:
    """Return what differs between the data of a run and a source, as it was and as it is; None if nothing does."""
    then, now = recorded_data(folder), _description(source)
    names = ["target", "conditions", "counts", "fingerprints"]
    if now["target"]["kind"] == Table.kind:  # whose means and histograms change with its rows
        names.reverse()
    for name in names:
        if name in then and then[name] != now[name]:
            return name, then[name], now[name]
    return None


def open_recorded(
    folder: RunFolder, settings: Settings, data: str | None = None, shard: Shard = WHOLE, *, quiet: bool = False
) -> Source:
    """Open the data that a run was trained on: those named in `data`, or else as its settings name them.

    Data that were given in Python are also found under another name, by their fingerprint.

    Raises:
        UsageError: they are not known in this session, or their sources are gone.
        CheckpointError: they have changed.
    """
    settings, recipe = placed(settings, data), plan_of(folder).recipe
    for name in _candidates(folder, settings.data) if data is None else ():
        try:
            source = open_data(replace(settings, data=name), shard, recipe=recipe, quiet=quiet)
        except GenlabError:
            continue
        if _change(folder, source) is None:
            require_parts(folder, data=False)
            return source
    require_parts(folder, data=data is None)
    source = open_data(settings, shard, recipe=recipe, quiet=quiet)
    check_unchanged(folder, source)
    return source


def data_of(folder: RunFolder, spec: DataSpec, data: str | None = None, *, quiet: bool = False) -> Source:
    """Open the data that a run was trained on, as `open_recorded`, in the size that `spec` has.

    Raises:
        UsageError, CheckpointError: as `open_recorded`.
    """
    return resized(open_recorded(folder, plan_of(folder).settings, data, quiet=quiet), spec)


def placed(settings: Settings, data: str | None) -> Settings:
    """Return settings that name the data where they are now: at `data`, if that is given.

    Sources in a place of their own that is gone have moved with the targets: `data` then holds both sides.
    """
    if data is None and settings.source is None and is_gone(settings.data):
        raise UsageError(
            f"the data of this run are no longer at {settings.data}. Move them back, or give their new place by "
            "--data if the command has it."
        )
    gone = settings.source is not None and is_gone(settings.source)
    if gone and data is None:
        raise UsageError(
            f"the sources of this run are no longer at {settings.source}. Move them back, or give a folder with "
            "the sources in A and the targets in B: --data FOLDER."
        )
    return replace(
        settings,
        data=settings.data if data is None else locate(data),
        source=None if gone else settings.source,
    )


def _candidates(folder: RunFolder, name: str) -> list[str]:
    """Return the names of registered data that may be those of a run, `name` first; none if they are no part."""
    if all(record["kind"] != "data" for record in parts_of(folder)):
        return []
    known = registered("data")
    given = [its for its, part in known.items() if its != name and not is_made(part.value)]
    return [name, *given] if name in known else given


def subset(split: Split, seed: int, count: int = SUBSET) -> Batch:
    """Return at most `count` examples of a split with their conditions, chosen by the seed."""
    order = np.random.default_rng(derive_seed(seed, "held-out images")).permutation(len(split))
    return split.batch(order[:count])


def black_and_white(images: Tensor, draws: torch.Generator) -> Tensor:
    """Return binarised images (B, C, H, W) to measure a VAE on."""
    return binarised(images, Draws(draws, len(images)))


def held_out_of(folder: RunFolder, step: int | None = None, data: str | None = None) -> Batch:
    """Return the held-out images that a run is evaluated on; with `step`, at the resolution of its phase.

    `data` names the run's data if they are at another place now.
    """
    settings = plan_of(folder).settings
    source = open_recorded(folder, settings, data)
    return subset(resized(source, spec_of(folder, step)).held_out, settings.seed)


def sampling_turns(
    folder: RunFolder, step: int, model: nn.Module, labels: Sequence[int] = (), data: str | None = None
) -> dict[str, Tensor]:
    """Return the values that the conditions of samples take in turn, by name.

    They are the classes `labels`, by default all that the model knows, and held-out sources if the model needs
    them. `step` is that of the model's checkpoint, `data` as for `held_out_of`.
    """
    taken = model.conditions if isinstance(model, Samples) else {}
    turns = {name: modality.default(modality.levels or 1) for name, modality in taken.items()}
    given = {name: value for name, value in turns.items() if value is not None}
    if labels:
        given["label"] = torch.tensor(labels)
    if sources := required_conditions(taken):
        given |= held_out_of(folder, step, data).condition_for(sources)
    return given


def _description(source: Source) -> dict[str, Any]:
    return {
        "source": source.name,
        **source.train.spec.values(),
        **({"domains": list(source.domains)} if source.domains else {}),
        "counts": {"train": len(source.train), "held_out": len(source.held_out)},
        "found": source.total,
        "rejected": len(source.rejected),
        "fingerprints": {"train": source.train.fingerprint, "held_out": source.held_out.fingerprint},
        "notes": dict(source.notes),
    }


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as comma-separated values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
