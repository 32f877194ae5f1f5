"""Probes: signals for the doctor besides the losses, such as weight updates, dead units and sample diversity.

They are measured at some of the logged steps, on a few images. They do not change the run: no weight, no batch
statistic, no random stream.
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
    HasObjective,
    Reconstructs,
    Signals,
    Training,
)
from genlab.core.modality import Modality
from genlab.core.random import Randomness, derive_seed, generator
from genlab.training.inference import inference_mode
from genlab.training.model_probes import MODEL_PROBES, ProbeInput
from genlab.training.translation_probes import TRANSLATION_PROBES

LEAST_STEPS = 20  # between two probed steps, even if steps are logged more often
EARLY = 2000  # steps after which probes become half as frequent; again after each doubling of the steps
PROBED = 64  # images of each kind


@dataclass
class Probes:
    """Measures the probes of a training.

    Args:
        real: some training examples, on the model's device.
        held_out: some held-out examples.
        target: their modality.
        seed: for the choice of examples and for the noise.
        count: examples of each kind that are used at a time.
        waited: returns the seconds that the loop has waited for batches so far.
        aligned: whether the sources of the held-out examples belong to them.
        apart: least number of steps between two probed ones, early in a run.
    """

    real: Batch
    held_out: Batch
    target: Modality
    seed: int
    count: int = PROBED
    waited: Callable[[], float] | None = None
    aligned: bool = True
    apart: int = LEAST_STEPS
    _last: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), 0.0))

    @contextmanager
    def step_signals(self, training: Training) -> Iterator[Signals]:
        """Measure the training step in the block; the yielded signals are filled when it ends.

        - `…_update_ratio`: ‖Δθ‖/‖θ‖ of each player's weights;
        - `…_dead_units`: fraction of the ReLU units of each part of the model that were 0 for every input.
        """
        signals: Signals = {}
        before = {player: _weights(optimizer) for player, optimizer in training.optimizers.items()}
        with _active_units(training.model) as active:
            yield signals
        for player, optimizer in training.optimizers.items():
            signals[f"{player}_update_ratio"] = _update_ratio(optimizer, before[player])
        for part, units in active().items():
            signals[f"{part}_dead_units"] = (~torch.cat(units)).float().mean()

    @torch.no_grad()
    def model_signals(self, model: nn.Module, step: int) -> Signals:
        """Measure `model` in evaluation mode, with each row of the two tables that fits it.

        - `data_wait_fraction`: fraction of the time since the last probed step that the loop waited for batches.
        """
        real, held_out = self._subset(self.real, step), self._subset(self.held_out, step)
        given = ProbeInput(model, real, held_out, self.target, self.seed, step, self.aligned)
        signals: Signals = {}
        for row in (*MODEL_PROBES, *TRANSLATION_PROBES):
            if row.fits(model):
                signals |= row.measure(given)
        if self.waited:
            (then, before), now = self._last, (time.monotonic(), self.waited())
            self._last = now
            share = (now[1] - before) / max(now[0] - then, 1e-9)
            signals["data_wait_fraction"] = torch.tensor(share, device=given.real.x.device)
        return signals

    def loss_signals(self, training: Training, step: int) -> Signals:
        """Measure the loss in evaluation mode, if there is only one and the model has no reconstructions.

        - `loss_train`, `loss_held_out`: on training and on held-out examples, with the same random numbers.
        """
        if not isinstance(training, HasObjective) or isinstance(training.model, Reconstructs):
            return {}
        randomness = Randomness(derive_seed(self.seed, "probes: losses"), device=self.real.x.device)
        return {
            f"loss_{name}": training.objective(step, self._subset(batch, step, share=0.5), randomness)[0]
            for name, batch in (("train", self.real), ("held_out", self.held_out))
        }

    def _subset(self, batch: Batch, step: int, share: float = 1.0) -> Batch:
        """Return some examples of a batch, different ones in each step."""
        order = torch.randperm(len(batch), generator=generator(self.seed, "probes: images", step))
        rows = order[: ceil(share * self.count)].to(batch.x.device)
        return batch[rows]


@contextmanager
def probed_step(probes: Probes | None, training: Training, step: int, log_every: int) -> Iterator[Signals]:
    """Probe training step number `step`, which is taken in the block, and the model, if that is due.

    Yields the signals, which are filled when the block ends; they stay empty without `probes`.
    """
    signals: Signals = {}
    if probes is None or not due(step, log_every, probes.apart):
        yield signals
        return
    with probes.step_signals(training) as of_step:
        yield signals
    with inference_mode(training.model):
        signals |= of_step
        signals |= probes.model_signals(training.model, step)
        signals |= probes.loss_signals(training, step)


def due(step: int, log_every: int, least: int = LEAST_STEPS) -> bool:
    """Whether to probe `step`: the first one, then logged steps that are far enough apart, by `least` at first.

    A long run is probed about a hundred times in each doubling of its length, since later changes are slower.
    """
    apart = least << (step // EARLY).bit_length()
    return step == 1 or (step % log_every == 0 and step // apart != (step - log_every) // apart)


def _weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter.detach().clone() for group in optimizer.param_groups for parameter in group["params"]]


def _update_ratio(optimizer: torch.optim.Optimizer, before: list[Tensor]) -> Tensor:
    """Return ‖θ − before‖/‖before‖ for the weights θ; `before` is overwritten."""
    now = [parameter.detach() for group in optimizer.param_groups for parameter in group["params"]]
    size = get_total_norm(before)
    torch._foreach_sub_(before, now)
    return get_total_norm(before) / size


@contextmanager
def _active_units(model: nn.Module) -> Iterator[Callable[[], dict[str, list[Tensor]]]]:
    """Record which units of each ReLU are above 0 for any input; yields a function that returns them by part."""
    active: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, given: object, made: Tensor) -> None:
        units = (made.detach() > 0).transpose(0, 1).flatten(1).any(1) if made.ndim > 1 else made.detach() > 0
        active[name] = active[name] | units if name in active else units

    hooks: list[RemovableHandle] = [
        module.register_forward_hook(partial(note, name))
        for name, module in model.named_modules()
        if isinstance(module, nn.ReLU)
    ]

    def by_part() -> dict[str, list[Tensor]]:
        parts: dict[str, list[Tensor]] = {}
        for name, units in active.items():
            parts.setdefault(name.partition(".")[0], []).append(units)
        return parts

    try:
        yield by_part
    finally:
        for hook in hooks:
            hook.remove()
