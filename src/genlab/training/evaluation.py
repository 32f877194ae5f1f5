"""How good the model is while it trains: by what it can do, on pictures that it never saw."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.contract import BoundsLikelihood, Corrupts, Reconstructs, Samples, takes_labels
from genlab.core.random import generator
from genlab.metrics.frechet import frechet_distance
from genlab.metrics.pixels import pixel_features

CHUNK = 256


@dataclass(frozen=True)
class Evaluation:
    """Values by name, the one that decides which checkpoint is best (lower is better), and on how many images."""

    values: Mapping[str, float]
    criterion: float
    images: int


def evaluate(model: nn.Module, held_out: Batch, seed: int) -> Evaluation:
    """Measure every capability of `model` that says how good it is.

    - bounds the likelihood: `negative_bound`, the mean −ELBO of held-out images in nats, up to a constant that
      depends on the likelihood: to be compared between runs with the same --reconstruction only;
    - corrupts: `denoising_mse`, the mean squared error per pixel in [-1, 1] of what it makes of spoilt held-out
      images;
    - reconstructs: `reconstruction_mse`, the same error where it is given the held-out images as they are;
    - samples: `fd[pixels]`, the Fréchet distance of as many samples to the held-out images, in the space of
      `pixel_features`. It is no FID: it sees layout and tone, not objects. A model that takes labels is given
      those of the held-out images.

    The first of these that the model has is the criterion. The same noise is used every time.

    Args:
        model: in evaluation mode.
        held_out: images and their labels, on the model's device.
        seed: of the noise.
    """
    noise = generator(seed, "evaluation")
    chunks = torch.split(held_out.images, CHUNK)
    values: dict[str, float] = {}
    if isinstance(model, BoundsLikelihood):
        bounds = torch.cat([model.evidence_bound(chunk, noise) for chunk in chunks])
        values["negative_bound"] = -bounds.mean().item()
    if isinstance(model, Reconstructs) and isinstance(model, Corrupts):
        spoilt = [(model.reconstruct(model.corrupt(c, noise)) - c).square().flatten(1).mean(1) for c in chunks]
        values["denoising_mse"] = torch.cat(spoilt).mean().item()
    if isinstance(model, Reconstructs):
        errors = torch.cat([(model.reconstruct(c) - c).square().flatten(1).mean(1) for c in chunks])
        values["reconstruction_mse"] = errors.mean().item()
    if isinstance(model, Samples):
        fakes = torch.cat([pixel_features(images) for images in _samples(model, held_out, noise)])
        reals = torch.cat([pixel_features(chunk) for chunk in chunks])
        values["fd[pixels]"] = frechet_distance(_array(reals), _array(fakes))
    return Evaluation(values, next(iter(values.values())), len(held_out))


def _samples(model: Samples, held_out: Batch, noise: torch.Generator) -> Iterator[Tensor]:
    """Yield as many samples as there are held-out images, of the same classes where the model takes labels."""
    for rows in torch.split(torch.arange(len(held_out)), CHUNK):
        if held_out.labels is not None and isinstance(model, nn.Module) and takes_labels(model):
            yield model.sample(len(rows), noise, held_out.labels[rows])
        else:
            yield model.sample(len(rows), noise)


def _array(features: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    array: np.ndarray[tuple[int, int], np.dtype[np.float64]] = features.double().cpu().numpy()
    return array
