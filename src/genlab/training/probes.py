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
    HasObjective,
    Reconstructs,
    Signals,
    Training,
)
from genlab.core.modality import Modality
from genlab.core.random import Randomness, derive, generator
from genlab.training.inference import inference_mode
from genlab.training.model_probes import MODEL_PROBES, Look

LEAST_STEPS = 20  # between two looks, however often lines are written
EARLY = 2000  # steps after which looks become half as frequent, as after each further doubling of the steps
PROBED = 64  # images of each kind


@dataclass
class Probes:
    """Looks at a training.

    Args:
        reals: some training images and their labels, on the model's device.
        held_out: some images that are not trained on.
        target: what they are.
        seed: of the choice of images and of the noise.
        count: images of each kind that are looked at.
        waited: how many seconds the loop has waited for batches so far.
    """

    reals: Batch
    held_out: Batch
    target: Modality
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
        """Compare what `model`, in evaluation mode, makes with real examples, by each row of `MODEL_PROBES`.

        - `data_wait_fraction`: share of the time since the last look that the loop waited for batches.
        """
        given = Look(
            model, self._some(self.reals, step), self._some(self.held_out, step), self.target, self.seed, step
        )
        signals: Signals = {}
        for row in MODEL_PROBES:
            if row.fits(model):
                signals |= row.measure(given)
        if self.waited:
            (then, before), now = self._last, (time.monotonic(), self.waited())
            self._last = now
            share = (now[1] - before) / max(now[0] - then, 1e-9)
            signals["data_wait_fraction"] = torch.tensor(share, device=given.real.x.device)
        return signals

    def losses(self, training: Training, step: int) -> Signals:
        """Return the loss of what learns by one loss, in evaluation mode, unless its reconstructions say as much.

        - `loss_train`, `loss_held_out`: of training images and of others, with the same draws.
        """
        if not isinstance(training, HasObjective) or isinstance(training.model, Reconstructs):
            return {}
        randomness = Randomness(derive(self.seed, "probes: losses"), device=self.reals.x.device)
        return {
            f"loss_{name}": training.objective(step, self._some(batch, step, share=0.5), randomness)[0]
            for name, batch in (("train", self.reals), ("held_out", self.held_out))
        }

    def _some(self, batch: Batch, step: int, share: float = 1.0) -> Batch:
        """Return some images of a batch, others at every step."""
        order = torch.randperm(len(batch), generator=generator(self.seed, "probes: images", step))
        rows = order[: ceil(share * self.count)].to(batch.x.device)
        return batch[rows]


@contextmanager
def probed_step(probes: Probes | None, training: Training, step: int, log_every: int) -> Iterator[Signals]:
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
