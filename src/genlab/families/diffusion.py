"""Denoising diffusion and flow matching: a network that learns to separate examples from noise.

A noise schedule, a prediction target and a sampler can be combined freely.

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
from genlab.core.condition import NONE, Condition, condition_rows, fill, required_conditions
from genlab.core.contract import Signals
from genlab.core.errors import UsageError
from genlab.core.known import Known, Outside
from genlab.core.modality import DataSpec
from genlab.core.random import Randomness, normal
from genlab.families.guidance import Guidance, Predictor
from genlab.families.repaint import STEPS, Repainting, repaint
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
ROUNDS = 30  # of clipping examples to their range and putting in what is known, so that both hold
DRAWS = 4  # noise levels that are drawn to estimate the bound of each example


@dataclass(frozen=True)
class Sampling:
    """How a diffusion model samples; it can be changed after training.

    Args:
        sampler: goes from noise to examples.
        steps: of the sampler; None for one per noise level.
        guidance: of samples of a class.
    """

    sampler: Sampler = Ancestral()
    steps: int | None = None
    guidance: Guidance = Guidance()


class Diffusion(nn.Module):
    """A diffusion model or a flow-matching model.

    Args:
        network: (noisy examples (B, *shape), times (B,) in [0, 1], condition) -> its prediction (B, *shape).
        spec: the target, and the conditions that the network takes.
        schedule: the noise schedule.
        prediction: what the network predicts, a name in `PREDICTIONS`.
        sampling: how to sample.
    """

    uses_sigma = True
    inpaints_at_random = True
    jump_length, resampling = 10, 10  # of RePaint; they can be changed

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
        """256 if the likelihood is of bytes, which gives bits per dimension; else None."""
        return self.modality.levels

    @property
    def no_label(self) -> int:
        """The label that means no label: the number of classes."""
        return self.conditions["label"].levels or 0

    def predict(self, noisy: Tensor, t: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the network's prediction for noisy examples (B, *shape) at times t (B,), float64 on the CPU."""
        predicted: Tensor = self.network(noisy, t.float().to(noisy.device), condition)
        return predicted

    def separate(self, noisy: Tensor, t: Tensor, condition: Condition = NONE) -> tuple[Tensor, Tensor]:
        """Return the clean examples x̂ and the noise ε̂ (B, *shape) in noisy examples at times t (B,).

        Images x̂ are clipped to [-1, 1], and ε̂ is computed from the clipped x̂.
        """
        return self._image_and_noise(noisy, t, self.predict(noisy, t, condition))

    def denoiser(self, condition: Condition = NONE, guidance: Guidance | None = None) -> Denoiser:
        """Return `separate` for examples that share one time, guided towards the label in `condition`."""

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
        """Return `count` new examples (count, *shape).

        Labels that are not given cycle through the classes.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing condition
                without a default.
        """
        device, how = next(self.parameters()).device, self.sampling
        given = fill(self.conditions, condition, count, device)

        def draw() -> Tensor:
            return normal(generator, count, *self.modality.shape).to(device)

        path = Trajectory(self.schedule, self.denoiser(given, how.guidance), draw)
        times = how.sampler.times(self.schedule, how.steps or self.schedule.steps)
        images = generate(how.sampler, path, draw(), times, self.progress_callback)
        return images.clamp(-1, 1) if self.modality.bounded else images

    def inpaint(
        self, x: Tensor, hole: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return examples x (B, *shape) with their holes (B or 1, …) filled by `repaint`.

        Raises:
            UsageError: as `repaint`.
        """
        return self.repaint(Outside(x, hole), condition, generator)

    def repaint(
        self, known: Known, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return examples (B, *shape) of which a part is known, drawn by RePaint in at most 250 steps.

        Without a label the network is asked for none.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing source.
        """
        x = known.values
        labels = {"label": torch.full((x.shape[0],), self.no_label)} if "label" in self.conditions else {}
        given = {name: value.to(x.device) for name, value in labels.items() if name not in condition}
        needed = {name: its for name, its in self.conditions.items() if name not in given}
        given |= fill(needed, condition, x.shape[0], x.device)

        def draw() -> Tensor:
            return normal(generator, *x.shape).to(x.device)

        path = Trajectory(self.schedule, self.denoiser(given, self.sampling.guidance), draw)
        steps = min(STEPS, self.sampling.steps or self.schedule.steps)
        times = Ancestral().times(self.schedule, steps)
        how = Repainting(self.jump_length, self.resampling)
        made = repaint(path, known, times, how, self.progress_callback)
        for _ in range(ROUNDS if self.modality.bounded else 0):
            made = known.put(x, made.clamp(-1, 1))
        return made.clamp(-1, 1) if self.modality.bounded else made

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        """Return the mean clean examples E[c | x] (B, *shape) of x = c + sigma·ε: one pass at their noise level.

        Raises:
            UsageError: sigma is None, or the model needs a source.
        """
        t, noisy = self._entered(x, sigma, condition)
        return self.separate(noisy, t, condition)[0]

    def draw_denoised(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Condition = NONE,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return clean examples (B, *shape) that x = c + sigma·ε may come from: sampled from their noise level on.

        There are as many steps as for a sample, unless there are fewer noise levels.

        Raises:
            UsageError: the model needs a source.
        """
        t, noisy = self._entered(x, sigma, condition)
        sampler, clean = self.sampling.sampler, torch.empty_like(x)
        times = sampler.times(self.schedule, self.sampling.steps or self.schedule.steps)
        for start in sorted(set(t.tolist())):
            rows = (t == start).nonzero()[:, 0]

            def draw(rows: Tensor = rows) -> Tensor:
                return normal(generator, len(x), *x.shape[1:])[rows].to(x.device)

            path = Trajectory(self.schedule, self.denoiser(condition_rows(condition, rows)), draw)
            levels = sorted({round(start * time * self.schedule.steps) for time in times}, reverse=True)
            clean[rows] = generate(sampler, path, noisy[rows], [k / self.schedule.steps for k in levels])
        return clean.clamp(-1, 1) if self.modality.bounded else clean

    def _entered(self, x: Tensor, sigma: Tensor | None, condition: Condition) -> tuple[Tensor, Tensor]:
        """Return the times (B,) of the levels with σ/α nearest to `sigma` (B,), and the examples there, α·x."""
        needed = [name for name in required_conditions(self.conditions) if name not in condition]
        if needed or sigma is None:
            missing = f"the condition {needed[0]}" if needed else "the strength of the noise, sigma"
            raise UsageError(f"this model cannot denoise without {missing}. Try: dncnn, velocity-diffusion.")
        ratios = (self.schedule.sigmas / self.schedule.alphas)[1:]
        distances = (ratios.log() - sigma.double().cpu()[:, None].clamp(min=1e-9).log()).abs()
        t = (1 + distances.argmin(1)).double() / self.schedule.steps
        return t, self.schedule.at(t, x).alpha * x

    @contextmanager
    def preview_sampling(self) -> Iterator[Mapping[str, Any]]:
        """Sample in few steps of DPM-Solver++(2M) inside the context; yields the options used, as plain values."""
        before, steps = self.sampling, min(PREVIEW_STEPS, self.sampling.steps or self.schedule.steps)
        self.sampling = replace(before, sampler=DPMSolver2M(), steps=steps)
        try:
            yield {"sampler": DPMSolver2M.name, "sampling_steps": steps}
        finally:
            self.sampling = before

    def evidence_bound(
        self, x: Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the evidence lower bound of each example in nats, (B,): of bytes log P(x), of points log p(x).

        −[KL(q(x_T | x) ‖ N(0, 1)) + Σ_k KL(q(x_{k−1} | x_k, x) ‖ p(x_{k−1} | x_k)) − log P(x | x_l)], with the sum
        over k = l + 1 … T estimated without bias from `DRAWS` levels of each example. The levels are drawn from an
        equal mixture of a uniform distribution and one proportional to 1/k, because the least noisy levels cost
        most. For points l = 1; for bytes l is the first level whose σ is at least the distance of neighbouring
        bytes, which in DDPM's schedule is level 1 too.
        """
        last = self._last_level()
        cost = prior_cost(self.schedule, x) + self._last_cost(last, x, condition, generator)
        levels = torch.arange(last + 1, self.schedule.steps + 1, dtype=torch.float64)
        probabilities = 0.5 / len(levels) + 0.5 / levels / (1 / levels).sum()
        for number in range(DRAWS):
            place = (number + torch.rand(x.shape[0], generator=generator, dtype=torch.float64)) / DRAWS
            row = torch.searchsorted(probabilities.cumsum(0), place).clamp(max=len(levels) - 1)
            k = row + last + 1
            denoised = self._denoised(x, k, condition, generator)
            weight = (1 / (DRAWS * probabilities[row])).to(x.device, x.dtype)
            cost = cost + weight * step_cost(self.schedule, k, x, denoised)
        return -cost

    def _last_level(self) -> int:
        """Return l, the level from which the bound predicts the example in one step: 1, or a later one for bytes.

        If σ is much smaller than the distance of neighbouring bytes, rounding would remove the noise, which no
        network learns. Steps between such levels, of which a straight schedule has many, would cost more nats than
        the bytes that they determine.
        """
        return int((self.schedule.sigmas[1:] >= BIN).nonzero()[0]) + 1 if self.levels else 1

    def _last_cost(self, level: int, x: Tensor, condition: Condition, generator: torch.Generator | None) -> Tensor:
        """Return −log P(x | x_l) with one draw of x_l, (B,)."""
        denoised = self._denoised(x, torch.full((x.shape[0],), level), condition, generator)
        return (pixel_cost if self.levels else point_cost)(self.schedule.sigmas[level].item(), x, denoised)

    def _denoised(self, x: Tensor, k: Tensor, condition: Condition, generator: torch.Generator | None) -> Tensor:
        """Return x̂ for one draw of x_t at the level k (B,) of each example."""
        t = k.double() / self.schedule.steps
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        return self.separate(self.schedule.noisy(t, x, noise), t, condition)[0]


def _times(noisy: Tensor, t: float) -> Tensor:
    return torch.full((noisy.shape[0],), t, dtype=torch.float64)


@dataclass(eq=False)
class DiffusionTraining(SingleObjectiveTraining[Diffusion]):
    """Minimises the mean squared error of the network's prediction, at a random noise level for each example.

    Args:
        label_dropout: fraction of the examples whose label is dropped, so that the network also learns to predict
            without a label.
    """

    label_dropout: float = 0.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its signals.

        Signals: the loss at the lower and at the upper half of the noise levels, and r2, the R² of the prediction
        compared with `gaussian_baseline`: 0 if it is no better than the baseline, 1 if it is perfect.
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
            # Divided by the fraction of such levels, not of such examples: a small part of a batch may have none.
            "loss_low_noise": (errors * ~noisier).mean() / quieter,
            "loss_high_noise": (errors * noisier).mean() / (1 - quieter),
            "r2": 1 - errors.mean() / (baseline - wanted).square().mean(),
        }
