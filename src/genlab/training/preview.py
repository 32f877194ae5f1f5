"""Previews during training, with the same inputs or the same noise every time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import required_conditions
from genlab.core.contract import Corrupts, Evaluator, Reconstructs, Samples, preview_sampling
from genlab.core.modality import DataSpec, Modality
from genlab.core.pictures import Picture, beside, columns_of, stacked
from genlab.core.random import generator

MOST_COLUMNS = 10  # in a grid with one column per class


@dataclass(frozen=True)
class Shown:
    """The inputs of a preview."""

    held_out: Batch  # examples and their conditions, on the model's device
    spec: DataSpec  # of the data
    seed: int  # of the noise


def preview(model: nn.Module, held_out: Batch, spec: DataSpec, seed: int) -> Picture:
    """Draw a preview of a model in evaluation mode, with the first row of `PREVIEWS` that fits it."""
    shown = Shown(held_out, spec, seed)
    draw: Callable[[nn.Module, Shown], Picture] = next(row.measure for row in PREVIEWS if row.fits(model))
    return draw(model, shown)


def draw_samples(model: Any, shown: Shown) -> Picture:  # noqa: ANN401 (a module that samples)
    """Draw samples of a model.

    A model that is conditioned on labels shows one column for each of its first classes. Samples made from a
    source are drawn below it, and below them the true targets of the same sources.
    """
    held_out, spec, noise = shown.held_out, shown.spec, generator(shown.seed, "preview")
    count = spec.target.shown
    columns: int | None = None
    condition: dict[str, Tensor] = {}
    sources = required_conditions(model.conditions)
    if sources:
        count = min(count // 2, len(held_out))
        condition = {name: value[:count] for name, value in held_out.condition_for(model.conditions).items()}
    elif spec.target.spatial and "label" in model.conditions:
        classes = min(model.conditions["label"].levels or 1, MOST_COLUMNS)
        count, columns = count // classes * classes, columns_of(count, classes)
        condition["label"] = torch.arange(count, device=held_out.x.device) % classes
    with preview_sampling(model):
        samples = model.sample(count, condition, noise)
    if not sources:
        return spec.target.draw(samples, columns)
    drawn = [spec.conditions[name].draw(condition[name], columns) for name in sources]
    return stacked([*drawn, spec.target.draw(samples, columns), spec.target.draw(held_out.x[:count], columns)])


def draw_denoised(model: Any, shown: Shown) -> Picture:  # noqa: ANN401 (two capabilities at once)
    """Draw corrupted held-out examples above the restored ones."""
    x = shown.held_out.x[: shown.spec.target.shown // 2]
    corrupted = model.corrupt(x, generator(shown.seed, "preview"))
    return side_by_side(shown.spec.target, corrupted, model.reconstruct(corrupted))


def draw_reconstructions(model: Reconstructs, shown: Shown) -> Picture:
    """Draw held-out examples above their reconstructions."""
    x = shown.held_out.x[: shown.spec.target.shown // 2]
    return side_by_side(shown.spec.target, x, model.reconstruct(x))


def draw_samples_and_reconstructions(model: Any, shown: Shown) -> Picture:  # noqa: ANN401 (two capabilities)
    """Draw samples, and to their right held-out examples above their reconstructions."""
    return beside(draw_samples(model, shown), draw_reconstructions(model, shown))


PREVIEWS: Sequence[Evaluator] = (
    Evaluator((Samples, Reconstructs), draw_samples_and_reconstructions),
    Evaluator((Samples,), draw_samples),
    Evaluator((Reconstructs, Corrupts), draw_denoised),
    Evaluator((Reconstructs,), draw_reconstructions),
)


def side_by_side(modality: Modality, x: Tensor, reconstructions: Tensor, columns: int = 8) -> Picture:
    """Draw examples in rows, each above the row of its reconstructions; points are drawn as two plots."""
    columns = min(columns, len(x)) if modality.spatial else len(x)
    pairs = zip(torch.split(x, columns), torch.split(reconstructions, columns), strict=True)
    return stacked([modality.draw(row, columns) for pair in pairs for row in pair])
