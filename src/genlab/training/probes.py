"""What the doctor reads beside the losses: how far weights move, what is dead, how samples compare to real images.

All of it is measured in some of the logged steps only, on a few images, and leaves the run as it was: no weight,
no batch statistic and no random stream knows of it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.utils.hooks import RemovableHandle

from genlab.core.batch import Batch
from genlab.core.contract import (
    Corrupts,
    Discriminates,
    Encodes,
    HasObjective,
    Inverts,
    Reconstructs,
    Samples,
    SamplesInSteps,
    Signals,
    Training,
    takes_labels,
)
from genlab.core.random import Randomness, derive, generator
from genlab.training.inference import inference_mode

LEAST_STEPS = 20  # between two looks, however often lines are written
EARLY = 2000  # steps after which looks become half as frequent, as after each further doubling of the steps
PROBED = 64  # images of each kind
FEW = 8  # images that a flow is to give back
IDLE = 0.01  # of the largest deviation of a latent dimension


@dataclass
class Probes:
    """Looks at a training.

    Args:
        reals: some training images and their labels, on the model's device.
        held_out: some images that are not trained on.
        seed: of the choice of images and of the noise.
        count: images of each kind that are looked at.
        waited: how many seconds the loop has waited for batches so far.
    """

    reals: Batch
    held_out: Batch
    seed: int
    count: int = PROBED
    waited: Callable[[], float] | None = None
    _last: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), 0.0))

    @contextmanager
    def watching(self, training: Training) -> Iterator[Signals]:
        """Watch the step that is taken within; what is yielded is filled at its end.

        - `…_update_ratio`: ‖Δθ‖/‖θ‖ of each player's weights;
        - `…_dead_units`: share of the rectified units of each part of the model that were 0 for every input.
        """
        signals: Signals = {}
        before = {player: _copies(optimizer) for player, optimizer in training.optimizers.items()}
        with _rectifiers(training.model) as alive:
            yield signals
        for player, optimizer in training.optimizers.items():
            signals[f"{player}_update_ratio"] = _moved(optimizer, before[player])
        for part, units in alive().items():
            signals[f"{part}_dead_units"] = (~torch.cat(units)).float().mean()

    @torch.no_grad()
    def look(self, model: nn.Module, step: int) -> Signals:
        """Compare what `model`, in evaluation mode, makes with real images, but for samples that take many passes.

        - `diversity`: deviation over samples by that over real images, both the root of the mean over pixels;
        - `nearest_neighbour_distance`: median distance to the nearest other sample, by the same of real images;
        - `saturated_pixels`: share of pixels beyond ±0.99 in samples, less that in real images;
        - `sample_sharpness`: mean difference of neighbouring pixels in samples, by that in real images;
        - `score_train`, `score_held_out`, `score_sample`: what the discriminator says of images that it was
        trained on,
          of others, and of samples;
        - `r2_train`, `r2_held_out`: 1 − the squared error of reconstructions by the variance of the
          images; 0 is what the mean image would reach;
        - `reconstruction_sharpness`: as of samples;
        - `inactive_latents`: share of latent dimensions whose deviation over images is below 1 % of the largest;
        - `inversion_error`: largest difference between a number of an image and of what a flow gives back;
        - `denoised_error`: squared error of what is made of spoilt held-out images, by that of the spoilt images;
        - `denoised_change`: squared distance of what is made of spoilt images to these, by the same;
        - `data_wait_fraction`: share of the time since the last look that the loop waited for batches.
        """
        real, unseen = (self._some(batch, step) for batch in (self.reals, self.held_out))
        signals: Signals = {}
        if isinstance(model, Samples) and not isinstance(model, SamplesInSteps):
            signals |= self._of_samples(model, real, unseen, step)
        if isinstance(model, Reconstructs):
            signals |= _of_reconstructions(model, real.images, unseen.images)
        if isinstance(model, Inverts):
            signals["inversion_error"] = model.inversion_error(unseen.images[:FEW]).amax()
        elif isinstance(model, Encodes):
            spreads = model.encode(real.images).std(0)
            signals["inactive_latents"] = (spreads <= IDLE * spreads.max()).float().mean()
        if isinstance(model, Reconstructs) and isinstance(model, Corrupts):
            spoilt = model.corrupt(unseen.images, generator(self.seed, "probes: corruption", step))
            made, damage = model.reconstruct(spoilt), _error(spoilt, unseen.images)
            signals |= {
                "denoised_error": _error(made, unseen.images) / damage,
                "denoised_change": _error(made, spoilt) / damage,
            }
        if self.waited:
            (then, before), now = self._last, (time.monotonic(), self.waited())
            self._last = now
            share = (now[1] - before) / max(now[0] - then, 1e-9)
            signals["data_wait_fraction"] = torch.tensor(share, device=real.images.device)
        return signals

    def losses(self, training: Training, step: int) -> Signals:
        """Return the loss of what learns by one loss, in evaluation mode, unless its reconstructions say as much.

        - `loss_train`, `loss_held_out`: of training images and of others, with the same draws.
        """
        if not isinstance(training, HasObjective) or isinstance(training.model, Reconstructs):
            return {}
        randomness = Randomness(derive(self.seed, "probes: losses"), device=self.reals.images.device)
        return {
            f"loss_{name}": training.objective(step, self._some(batch, step, share=0.5), randomness)[0]
            for name, batch in (("train", self.reals), ("held_out", self.held_out))
        }

    def _some(self, batch: Batch, step: int, share: float = 1.0) -> Batch:
        """Return some images of a batch, others at every step."""
        order = torch.randperm(len(batch), generator=generator(self.seed, "probes: images", step))
        rows = order[: ceil(share * self.count)].to(batch.images.device)
        labels = None if batch.labels is None else batch.labels[rows]
        return Batch(batch.images[rows], batch.index[rows.cpu()], labels)

    def _of_samples(self, model: nn.Module, real: Batch, unseen: Batch, step: int) -> Signals:
        """Return what samples say, of the classes of the real images where the model takes labels."""
        assert isinstance(model, Samples)
        make = partial(model.sample, len(real), generator(self.seed, "probes: samples", step))
        told = takes_labels(model) and real.labels is not None
        fake = make(labels=real.labels) if told else make()  # type: ignore[call-arg]
        signals = {
            "diversity": _spread(fake) / _spread(real.images),
            "nearest_neighbour_distance": _nearest(fake) / _nearest(real.images),
        }
        if fake.shape[-1] > 1:
            signals["saturated_pixels"] = _saturated(fake) - _saturated(real.images)
            signals["sample_sharpness"] = _detail(fake) / _detail(real.images)
        if isinstance(model, Discriminates):
            judged = {"train": (real.images, real), "held_out": (unseen.images, unseen), "sample": (fake, real)}
            for name, (images, batch) in judged.items():
                scores = model.discriminate(images, batch.labels if told else None).scores
                signals[f"score_{name}"] = scores.mean()
        return signals


@contextmanager
def beside(probes: Probes | None, training: Training, step: int, log_every: int) -> Iterator[Signals]:
    """Watch step number `step`, which is taken within, and look at its model, if that is due.

    What is yielded is filled at the end; it stays empty where there is nothing to look with.
    """
    seen: Signals = {}
    if probes is None or not due(step, log_every):
        yield seen
        return
    with probes.watching(training) as moved:
        yield seen
    with inference_mode(training.model):
        seen |= {**moved, **probes.look(training.model, step), **probes.losses(training, step)}


def due(step: int, log_every: int) -> bool:
    """Whether the line of `step` is one to look at: the first, then those far enough apart.

    A long run is looked at about a hundred times in each doubling of its length: what happens late happens slowly.
    """
    apart = LEAST_STEPS << (step // EARLY).bit_length()
    return step == 1 or (step % log_every == 0 and step // apart != (step - log_every) // apart)


def _of_reconstructions(model: Reconstructs, real: Tensor, unseen: Tensor) -> Signals:
    half = -(-len(real) // 2)  # a reconstruction costs two networks, a sample one
    real, unseen = real[:half], unseen[:half]
    of_real, of_unseen = model.reconstruct(real), model.reconstruct(unseen)
    signals = {
        "r2_train": 1 - _error(of_real, real) / _spread(real).square(),
        "r2_held_out": 1 - _error(of_unseen, unseen) / _spread(unseen).square(),
    }
    if real.shape[-1] > 1:
        signals["reconstruction_sharpness"] = _detail(of_unseen) / _detail(unseen)
    return signals


def _error(one: Tensor, two: Tensor) -> Tensor:
    return (one - two).square().mean()


def _spread(images: Tensor) -> Tensor:
    """Return the root of the mean over pixels of the variance over images."""
    return images.var(0, unbiased=False).mean().sqrt()


def _nearest(images: Tensor) -> Tensor:
    """Return the median over images of the distance to the nearest other image."""
    points = images.flatten(1)
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(torch.inf)
    middle: Tensor = distances.amin(1).median()
    return middle


def _saturated(images: Tensor) -> Tensor:
    return (images.abs() > 0.99).float().mean()


def _detail(images: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring pixels."""
    return images.diff(dim=-1).abs().mean() + images.diff(dim=-2).abs().mean()


def _copies(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter.detach().clone() for group in optimizer.param_groups for parameter in group["params"]]


def _moved(optimizer: torch.optim.Optimizer, before: list[Tensor]) -> Tensor:
    """Return how far the weights are from `before`, which is used up, by the size of that."""
    now = [parameter.detach() for group in optimizer.param_groups for parameter in group["params"]]
    size = get_total_norm(before)
    torch._foreach_sub_(before, now)
    return get_total_norm(before) / size


@contextmanager
def _rectifiers(model: nn.Module) -> Iterator[Callable[[], dict[str, list[Tensor]]]]:
    """Note which units of every ReLU are ever above 0 within; yields what returns them by part of the model."""
    alive: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, given: object, made: Tensor) -> None:
        units = (made.detach() > 0).transpose(0, 1).flatten(1).any(1) if made.ndim > 1 else made.detach() > 0
        alive[name] = alive[name] | units if name in alive else units

    hooks: list[RemovableHandle] = [
        module.register_forward_hook(partial(note, name))
        for name, module in model.named_modules()
        if isinstance(module, nn.ReLU)
    ]

    def by_part() -> dict[str, list[Tensor]]:
        parts: dict[str, list[Tensor]] = {}
        for name, units in alive.items():
            parts.setdefault(name.partition(".")[0], []).append(units)
        return parts

    try:
        yield by_part
    finally:
        for hook in hooks:
            hook.remove()
