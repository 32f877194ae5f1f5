"""Denoising diffusion and flow matching: a network that tells an image from the noise in it.

A schedule says how noisy images become, a prediction what the network is asked for, a sampler how to go from noise
to images. Each can be any of its kind.

References:
    Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239.
    Nichol and Dhariwal, 2021. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672.
    Lipman et al., 2023. Flow Matching for Generative Modeling. arXiv:2210.02747.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.modality import DataSpec
from genlab.core.random import Randomness
from genlab.families.guidance import Guidance, Predictor
from genlab.families.samplers import Ancestral, Denoiser, DPMSolver2M, Sampler, Trajectory, generate
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.diffusion import (
    BIN,
    NoiseSchedule,
    gaussian_baseline,
    image_and_noise,
    pixel_cost,
    point_cost,
    prior_cost,
    step_cost,
    target,
)

PREVIEW_STEPS = 16
DRAWS = 4  # noise levels of each image by which its bound is estimated


@dataclass(frozen=True)
class Sampling:
    """How a diffusion model makes images; a trained model can be given another one.

    Args:
        sampler: how to go from noise to images.
        steps: of the sampler; None for one per level of the schedule.
        guidance: of images of a class.
    """

    sampler: Sampler = Ancestral()
    steps: int | None = None
    guidance: Guidance = Guidance()


class Diffusion(nn.Module):
    """A denoiser between images and noise.

    Args:
        network: (noisy examples (B, *shape), times (B,) in [0, 1], condition) -> (B, *shape), what is predicted.
        spec: what is generated, and the conditions that the network takes.
        schedule: how noisy examples become.
        prediction: a name in `PREDICTIONS`.
        sampling: how images are made.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: DataSpec,
        schedule: NoiseSchedule,
        prediction: str,
        *,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.modality, self.conditions = spec.target, spec.conditions
        self.schedule = schedule
        self.prediction = prediction
        self.sampling = sampling or Sampling()
        self.progress_callback: Callable[[int, int], None] | None = None

    @property
    def levels(self) -> int | None:
        """256 where its bound is on the likelihood of bytes; None where it is on a density."""
        return self.modality.levels

    @property
    def no_label(self) -> int:
        """The label that stands for none: the one after those of the classes."""
        return self.conditions["label"].levels or 0

    def predict(self, noisy: Tensor, t: Tensor, condition: Condition = NONE) -> Tensor:
        """Return what the network predicts of noisy images (B, C, H, W) at times t (B,), float64 on the CPU."""
        predicted: Tensor = self.network(noisy, t.float().to(noisy.device), condition)
        return predicted

    def denoise(self, noisy: Tensor, t: Tensor, condition: Condition = NONE) -> tuple[Tensor, Tensor]:
        """Return the images x̂ and the noise ε̂ (B, C, H, W) in noisy images at times t (B,).

        No pixel of x̂ is outside [-1, 1]; ε̂ is what x̂ leaves.
        """
        return self._image_and_noise(noisy, t, self.predict(noisy, t, condition))

    def denoiser(self, condition: Condition = NONE, guidance: Guidance | None = None) -> Denoiser:
        """Return `denoise` for examples that all have the same time, guided towards the label in `condition`."""

        def predictor(condition: Condition) -> Predictor:
            return lambda noisy, t: self.predict(noisy, _times(noisy, t), condition)

        predict = predictor(condition)
        if "label" in condition and guidance:
            unlabelled = {name: value for name, value in condition.items() if name != "label"}
            predict = guidance(predict, predictor(unlabelled))
        return lambda noisy, t: self._image_and_noise(noisy, _times(noisy, t), predict(noisy, t))

    def _image_and_noise(self, noisy: Tensor, t: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        level = self.schedule.at(t, noisy)
        image, noise = image_and_noise(self.prediction, level, noisy, predicted)
        if not self.modality.bounded:
            return image, noise
        image = image.clamp(-1, 1)
        return image, (noisy - level.alpha * image) / level.sigma

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape), made as `sampling` says.

        Raises:
            UsageError: labels that are none of the model's classes, or another condition.
        """
        device, how = next(self.parameters()).device, self.sampling
        given = fill(self.conditions, condition, count, device)

        def draw() -> Tensor:
            return torch.randn(count, *self.modality.shape, generator=generator).to(device)

        path = Trajectory(self.schedule, self.denoiser(given, how.guidance), draw)
        times = how.sampler.times(self.schedule, how.steps or self.schedule.steps)
        images = generate(how.sampler, path, draw(), times, self.progress_callback)
        return images.clamp(-1, 1) if self.modality.bounded else images

    @contextmanager
    def preview_sampling(self) -> Iterator[Mapping[str, Any]]:
        """Sample in few steps of DPM-Solver++(2M) within the block."""
        before, steps = self.sampling, min(PREVIEW_STEPS, self.sampling.steps or self.schedule.steps)
        self.sampling = replace(before, sampler=DPMSolver2M(), steps=steps)
        try:
            yield {"sampler": DPMSolver2M.name, "sampling_steps": steps}
        finally:
            self.sampling = before

    def evidence_bound(
        self, images: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the variational lower bound on log P(x) of images of bytes, or log p(x) of points, in nats, (B,).

        −[KL(q(x_T | x) ‖ N(0, 1)) + Σ_k KL(q(x_{k−1} | x_k, x) ‖ p(x_{k−1} | x_k)) − log P(x | x_l)], the sum over
        k = l + 1 … T by `DRAWS` levels of each image: right on average. Half of them are drawn evenly and half in
        proportion to 1/k, because the quietest levels cost most. l is 1 of points; of bytes it is the first level
        whose noise is as wide as they are apart, which of DDPM's schedule is 1 too.
        """
        last = self._last_level()
        cost = prior_cost(self.schedule, images) + self._last_cost(last, images, condition, generator)
        levels = torch.arange(last + 1, self.schedule.steps + 1, dtype=torch.float64)
        chances = 0.5 / len(levels) + 0.5 / levels / (1 / levels).sum()
        for number in range(DRAWS):
            place = (number + torch.rand(images.shape[0], generator=generator, dtype=torch.float64)) / DRAWS
            row = torch.searchsorted(chances.cumsum(0), place).clamp(max=len(levels) - 1)
            k = row + last + 1
            made = self._denoised(images, k, condition, generator)
            share = (1 / (DRAWS * chances[row])).to(images.device, images.dtype)
            cost = cost + share * step_cost(self.schedule, k, images, made)
        return -cost

    def _last_level(self) -> int:
        """Return l, from which the bound takes the image at once: level 1, as in DDPM, or of bytes a later one.

        Noise much narrower than bytes are apart could be told from the image by rounding, which no network learns:
        steps among such levels, of which a straight line has many, cost more than the byte that they settle.
        """
        return int((self.schedule.sigmas[1:] >= BIN).nonzero()[0]) + 1 if self.levels else 1

    def _last_cost(
        self, level: int, images: Tensor, condition: Condition, generator: torch.Generator | None
    ) -> Tensor:
        """Return −log P(x | x_l) with one draw of x_l, (B,)."""
        made = self._denoised(images, torch.full((images.shape[0],), level), condition, generator)
        return (pixel_cost if self.levels else point_cost)(self.schedule.sigmas[level].item(), images, made)

    def _denoised(
        self, images: Tensor, k: Tensor, condition: Condition, generator: torch.Generator | None
    ) -> Tensor:
        """Return x̂ of one draw of x_t at the levels k (B,) of each image."""
        t = k.double() / self.schedule.steps
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        return self.denoise(self.schedule.noisy(t, images, noise), t, condition)[0]


def _times(noisy: Tensor, t: float) -> Tensor:
    return torch.full((noisy.shape[0],), t, dtype=torch.float64)


@dataclass(eq=False)
class DiffusionTraining(SingleObjectiveTraining[Diffusion]):
    """Minimises the squared error of what the network predicts, at a noise level drawn anew for each image.

    Args:
        label_dropout: share of the images whose label is kept from the network, which so learns to do without.
    """

    label_dropout: float = 0.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean squared error of a batch.

        Signals: the same at the quieter and at the noisier half of the levels, and r2, the share of the error of
        `gaussian_baseline` that the network avoids: 0 where it is as good as that, 1 where it makes no error.
        """
        model, images, draws = self.model, batch.x, randomness.draws(len(batch), "diffusion", step)
        levels = model.schedule.steps
        k = (1 + draws.uniform().cpu() * levels).long().clamp(max=levels)
        noise = draws.normal(*images.shape[1:])
        condition = dict(batch.condition_for(model.conditions))
        if "label" in condition:
            dropped = draws.uniform() < self.label_dropout
            condition["label"] = torch.where(dropped, model.no_label, condition["label"])
        t = k.double() / levels
        level, noisy = model.schedule.at(t, images), model.schedule.noisy(t, images, noise)
        wanted = target(model.prediction, level, images, noise)
        errors = (model.predict(noisy, t, condition) - wanted).square().flatten(1).mean(1)
        image = gaussian_baseline(level, images, noisy)
        baseline = target(model.prediction, level, image, (noisy - level.alpha * image) / level.sigma)
        noisier, quieter = (2 * k > levels).to(errors.device), levels // 2 / levels
        return errors.mean(), {
            "loss": errors.mean(),
            # Over the share of such levels, not of such images: a small part of a batch may have none of them.
            "loss_low_noise": (errors * ~noisier).mean() / quieter,
            "loss_high_noise": (errors * noisier).mean() / (1 - quieter),
            "r2": 1 - errors.mean() / (baseline - wanted).square().mean(),
        }
