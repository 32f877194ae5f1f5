"""Probes of a model: they compare its samples and reconstructions with real examples."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.condition import MASK, SOURCE
from genlab.core.contract import (
    Corrupts,
    Denoises,
    Discriminates,
    Encodes,
    Evaluator,
    Interpolates,
    Inverts,
    Reconstructs,
    Restores,
    Samples,
    SamplesInSteps,
    Signals,
    restores_whole,
)
from genlab.core.modality import Modality
from genlab.core.random import generator
from genlab.metrics.checkerboard import SMALLEST, pattern_variance
from genlab.metrics.holes import border_jump, gradient_energy, harmonic_fill, hole_psnr
from genlab.metrics.restoration import psnr_y
from genlab.metrics.translation import psnr_of_bytes, untranslated

FEW = 8  # examples for probes that take long
GREY_LEVEL = 2 / 255
INACTIVE = 0.01  # fraction of the largest deviation below which a latent dimension is inactive


@dataclass(frozen=True)
class ProbeInput:
    """A model in evaluation mode, and the examples to probe it with."""

    model: Any  # with the capabilities that a row of `MODEL_PROBES` requires
    real: Batch  # some training examples
    unseen: Batch  # as many held-out examples
    target: Modality
    seed: int
    step: int
    aligned: bool = True  # whether the sources of the held-out examples belong to them

    @cached_property
    def fake(self) -> Tensor:
        """Samples with the conditions of the real examples."""
        noise = generator(self.seed, "probes: samples", self.step)
        samples: Tensor = self.model.sample(len(self.real), self.real.condition_for(self.model.conditions), noise)
        return samples


def samples(given: ProbeInput) -> Signals:
    """Compare samples with real examples.

    - `diversity`: standard deviation of the samples divided by that of real examples;
    - `nearest_neighbour_distance`: median distance to the nearest other sample, divided by that of real examples;
    - `saturated_pixels`: fraction of pixels beyond ±0.99 in samples, minus that in real images;
    - `sample_sharpness`: mean difference of neighbouring pixels in samples, divided by that in real images;
    - `checkerboard`: root of the `pattern_variance` of samples, minus that of real images.
    """
    fake, real = given.fake, given.real.x
    signals = _relative("diversity", _deviation(fake), _deviation(real))
    signals |= _relative("nearest_neighbour_distance", _nearest(fake), _nearest(real))
    if given.target.spatial:
        signals["saturated_pixels"] = _saturated(fake) - _saturated(real)
        signals |= _relative("sample_sharpness", _sharpness(fake, given.target), _sharpness(real, given.target))
    if given.target.spatial == 2 and min(fake.shape[2:]) >= SMALLEST:
        signals["checkerboard"] = (pattern_variance(fake) - pattern_variance(real)).clamp_min(0).sqrt()
    return signals


def scores(given: ProbeInput) -> Signals:
    """Return the discriminator's mean output: `score_train`, `score_held_out`, `score_sample`."""
    inputs = {"train": (given.real.x, given.real), "held_out": (given.unseen.x, given.unseen)}
    inputs["sample"] = given.fake, given.real
    return {
        f"score_{name}": given.model.discriminate(x, batch.condition_for(given.model.conditions)).scores.mean()
        for name, (x, batch) in inputs.items()
    }


def reconstructions(given: ProbeInput) -> Signals:
    """Compare reconstructions with their examples.

    - `r2_train`, `r2_held_out`: 1 − squared error / variance of the examples; the mean example would reach 0;
    - `reconstruction_sharpness`: as `sample_sharpness`.
    """
    half = -(-len(given.real) // 2)  # a reconstruction takes two networks, a sample one
    real, unseen = given.real.x[:half], given.unseen.x[:half]
    of_real, of_unseen = given.model.reconstruct(real), given.model.reconstruct(unseen)
    errors = _relative("r2_train", _error(of_real, real), _deviation(real).square())
    errors |= _relative("r2_held_out", _error(of_unseen, unseen), _deviation(unseen).square())
    signals = {name: 1 - error for name, error in errors.items()}
    if given.target.spatial:
        sharpness = _sharpness(of_unseen, given.target), _sharpness(unseen, given.target)
        signals |= _relative("reconstruction_sharpness", *sharpness)
    return signals


def inversion(given: ProbeInput) -> Signals:
    """Return `inversion_error`, the largest difference between x and f⁻¹(f(x)) of a flow."""
    return {"inversion_error": given.model.inversion_error(given.unseen.x[:FEW]).amax()}


def latents(given: ProbeInput) -> Signals:
    """Return `inactive_latents`, the fraction of dimensions whose deviation is below 1 % of the largest."""
    spreads = given.model.encode(given.real.x).std(0)
    return {"inactive_latents": (spreads <= INACTIVE * spreads.max()).float().mean()}


def denoising(given: ProbeInput) -> Signals:
    """Compare restored examples with the clean and the corrupted ones, relative to the error of the corruption.

    - `denoised_error`: squared error of the restored examples;
    - `denoised_change`: squared distance of the restored examples to the corrupted ones.
    """
    clean = given.unseen.x
    corrupted = given.model.corrupt(clean, generator(given.seed, "probes: corruption", given.step))
    restored, damage = given.model.denoise(corrupted), _error(corrupted, clean)
    return {
        "denoised_error": _error(restored, clean) / damage,
        "denoised_change": _error(restored, corrupted) / damage,
    }


def restoration(given: ProbeInput) -> Signals:
    """Compare restored held-out images with the originals.

    - `psnr_gain`: PSNR of their luma in dB minus that of the sources, enlarged by bicubic interpolation; the
      median, as a few flat images, in which interpolation has hardly an error, would decide the mean;
    - `colour_shift`: difference of the mean colours in grey levels, beyond twice its standard error, of the
      channel in which it is largest.
    """
    model, batch = given.model, given.unseen
    if not restores_whole(model):
        return {}
    made = model.restore(batch.condition_for(model.conditions))
    floor = untranslated(batch.condition[SOURCE], batch.x.shape[1:])
    gain = psnr_y(made, batch.x, 0) - psnr_y(floor, batch.x, 0)
    shifts = (made.float() - batch.x).mean((2, 3)) / GREY_LEVEL
    error = shifts.std(0, unbiased=False) / len(batch) ** 0.5
    shift = (shifts.mean(0).abs() - 2 * error).clamp_min(0).max()
    return {"psnr_gain": gain.quantile(0.5), "colour_shift": shift}


def filling(given: ProbeInput) -> Signals:
    """Compare filled holes of held-out images with the originals.

    - `fill_gain`: PSNR in the holes minus that of harmonic filling, in dB, the median of a few images;
    - `fill_sharpness`: root of the mean squared difference of neighbours in the hole, divided by the originals';
    - `seam`: mean difference of neighbours across the border of the hole, divided by that in the originals;
    - `missing_share`: share of the pixels that are missing.
    """
    model, batch = given.model, given.unseen
    if MASK not in model.conditions:
        return {}
    made, hole = model.restore(batch.condition_for(model.conditions)), batch.condition[MASK] > 0
    share = hole.float().mean()
    both = made.float(), batch.x
    signals = _relative("fill_sharpness", *(gradient_energy(images, hole).mean().sqrt() for images in both))
    signals |= _relative("seam", *(border_jump(images, hole).mean() for images in both))
    made, truth, hole = made[:FEW], batch.x[:FEW], hole[:FEW]
    floor = hole_psnr(harmonic_fill(batch.condition[SOURCE][:FEW], hole), truth, hole)
    gain = hole_psnr(made.float(), truth, hole) - floor
    return {**signals, "fill_gain": gain.quantile(0.5), "missing_share": share}


def fidelity(given: ProbeInput) -> Signals:
    """Return `psnr_lost`, the PSNR of weights before training against a discriminator minus that of now, in dB."""
    batch = given.unseen[:FEW]
    if not given.model.remembered:
        return {}
    before, now = (
        psnr_of_bytes(given.model.interpolated(batch.condition, alpha), batch.x).mean() for alpha in (0.0, 1.0)
    )
    return {"psnr_lost": before - now}


# Models that sample in many passes are sampled only in previews and evaluations.
MODEL_PROBES = (
    Evaluator((Samples,), samples, without=(SamplesInSteps,)),
    Evaluator((Samples, Discriminates), scores, without=(SamplesInSteps,)),
    Evaluator((Reconstructs,), reconstructions),
    Evaluator((Inverts,), inversion),
    Evaluator((Encodes,), latents, without=(Inverts,)),
    Evaluator((Denoises, Corrupts), denoising),
    Evaluator((Restores,), restoration),
    Evaluator((Restores,), filling),
    Evaluator((Interpolates,), fidelity),
)


def _error(one: Tensor, two: Tensor) -> Tensor:
    return (one - two).square().mean()


def _deviation(x: Tensor) -> Tensor:
    """Return the standard deviation over examples, as the root of the variance averaged over numbers."""
    return x.var(0, unbiased=False).mean().sqrt()


def _relative(name: str, value: Tensor, real: Tensor) -> Signals:
    """Return a value relative to that of real examples; nothing if theirs is 0, because they are all equal."""
    return {name: value / real} if real > 0 else {}


def _nearest(x: Tensor) -> Tensor:
    """Return the median distance of an example to the nearest other one."""
    points = x.flatten(1)
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(torch.inf)
    middle: Tensor = distances.amin(1).median()
    return middle


def _saturated(x: Tensor) -> Tensor:
    return (x.abs() > 0.99).float().mean()


def _sharpness(x: Tensor, modality: Modality) -> Tensor:
    """Return the mean absolute difference of neighbours, summed over the spatial dimensions."""
    return torch.stack([x.diff(dim=-1 - axis).abs().mean() for axis in range(modality.spatial)]).sum()
