"""Previews during training, with the same inputs or the same noise every time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import SOURCE, SOURCE_LABEL, STYLE, required_conditions
from genlab.core.contract import (
    Corrupts,
    Denoises,
    Evaluator,
    Reconstructs,
    Samples,
    TranslatesBack,
    preview_sampling,
)
from genlab.core.modality import DataSpec, Modality
from genlab.core.pictures import Picture, beside, columns_of, enlarged, image_grid, stacked
from genlab.core.random import generator
from genlab.metrics.translation import untranslated

MOST_COLUMNS = 10  # in a grid with one column per class
ROWS, MOST_ROWS = 8, 16  # translations below each other, and in all


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

    A model that is conditioned on labels shows one column for each of its first classes. Samples made from
    sources, such as points, are drawn below them, and below the samples their true targets if they are known.
    Translations of images are drawn by `draw_translations`.
    """
    held_out, spec, noise = shown.held_out, shown.spec, generator(shown.seed, "preview")
    count = spec.target.shown
    columns: int | None = None
    condition: dict[str, Tensor] = {}
    sources = required_conditions(model.conditions)
    if SOURCE in sources and _are_images(spec, sources):
        return draw_translations(model, shown)
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
    truth = [spec.target.draw(held_out.x[:count], columns)] if spec.aligned else []
    return stacked([*drawn, spec.target.draw(samples, columns), *truth])


def _are_images(spec: DataSpec, conditions: Sequence[str]) -> bool:
    return all(each.spatial == 2 for each in (spec.target, *(spec.conditions[name] for name in conditions)))


def draw_translations(model: Any, shown: Shown) -> Picture:  # noqa: ANN401 (a module that samples from images)
    """Draw a row for each of the first held-out sources: the source, then what the model makes of it.

    That is its translation, the truth if it is known, and the translation back if the model makes it; or, where
    the examples are of labelled domains, the translation into each of the first domains.
    """
    batch, noise = shown.held_out[:MOST_ROWS], generator(shown.seed, "preview")
    given = batch.condition_for(required_conditions(model.conditions))
    first = {"content" if name == SOURCE and STYLE in given else name: value for name, value in given.items()}
    with preview_sampling(model):
        if "label" in model.conditions and not shown.spec.aligned:
            made = {
                name: model.sample(len(batch), {**given, "label": torch.full_like(batch.index, domain)}, noise)
                for domain, name in enumerate(shown.spec.class_names[:MOST_COLUMNS])
            }
        else:
            made = _translation(model, batch, noise, aligned=shown.spec.aligned)
    return _in_columns({**first, **made}, batch.x.shape[1:])


def _translation(model: Any, batch: Batch, noise: torch.Generator, *, aligned: bool) -> dict[str, Tensor]:  # noqa: ANN401
    """Return translations, the truth if it is known, and the translations back if the model makes them."""
    made = model.sample(len(batch), batch.condition_for(model.conditions), noise)
    columns = {"result" if STYLE in batch.condition else "translation": made}
    if aligned:
        columns["truth"] = batch.x
    if isinstance(model, TranslatesBack):
        columns["back"] = model.translate_back(made, batch.condition_for([SOURCE_LABEL]))
    return columns


def _in_columns(columns: Mapping[str, Tensor], shape: Sequence[int]) -> Picture:
    """Draw columns of images (B, C, H, W) under their names, half of the rows to the right of the others.

    Small images are enlarged by a whole number, so that a name fits above them.
    """
    columns = {name: untranslated(each, shape) for name, each in columns.items()}
    images = enlarged(torch.stack(list(columns.values()), 1))
    blocks = [
        image_grid(rows.flatten(0, 1), len(columns), [*columns] * len(rows)) for rows in torch.split(images, ROWS)
    ]
    return reduce(beside, blocks)


def draw_denoised(model: Any, shown: Shown) -> Picture:  # noqa: ANN401 (two capabilities at once)
    """Draw corrupted held-out examples above the restored ones."""
    x = shown.held_out.x[: shown.spec.target.shown // 2]
    corrupted = model.corrupt(x, generator(shown.seed, "preview"))
    return side_by_side(shown.spec.target, corrupted, model.denoise(corrupted))


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
    Evaluator((Denoises, Corrupts), draw_denoised),
    Evaluator((Reconstructs,), draw_reconstructions),
)


def side_by_side(modality: Modality, x: Tensor, reconstructions: Tensor, columns: int = 8) -> Picture:
    """Draw examples in rows, each above the row of its reconstructions; points and rows of tables as two plots."""
    if not modality.spatial:
        return stacked([modality.draw(x), modality.draw(reconstructions)])
    columns = min(columns, len(x))
    pairs = zip(torch.split(x, columns), torch.split(reconstructions, columns), strict=True)
    return stacked([modality.draw(row, columns) for pair in pairs for row in pair])
