"""A player: a network with its optimizer, and the only code that runs `backward` and updates weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from genlab.core.contract import Signals
from genlab.core.distributed import all_reduce_mean_, world_size
from genlab.core.optimizer import require_finite_step

WeightRegularizer: TypeAlias = Callable[[torch.optim.Optimizer], Tensor]
"""A penalty on the weights of an optimizer, added to the losses."""

Hook: TypeAlias = Callable[[torch.optim.Optimizer, int], None]
"""Runs before or after an update, called with the optimizer and the number of the update, counted from 0."""


@dataclass(eq=False)
class Player:
    """A network that minimises its own losses.

    One update of its weights:

        with player.learning():
            player.backward({"loss": loss})
            signals = player.update(step)

    Args:
        name: of the network in errors and signals.
        network: what is trained.
        optimizer: of the network's parameters, which must have names, as `adam` gives them.
        among: the model that contains the network; its other parameters are frozen during an update. None if the
            network is the whole model.
        turns: updates per step of the algorithm.
        clip_norm: the largest norm of the gradient; a larger one is scaled down to it.
        weight_regularizer: added to the losses, as `<name>_weight_regularizer`.
        before_step: hooks that run before the optimizer updates the weights.
        after_step: hooks that run after each update.
    """

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer
    among: nn.Module | None = None
    turns: int = 1
    clip_norm: float | None = None
    weight_regularizer: WeightRegularizer | None = None
    before_step: Sequence[Hook] = ()
    after_step: Sequence[Hook] = ()
    _parts: int = field(init=False, repr=False)
    _loss: Tensor = field(init=False, repr=False)
    _signals: list[Signals] = field(init=False, repr=False)

    @contextmanager
    def learning(self, parts: int = 1) -> Iterator[None]:
        """Prepare one update: set the gradients to zero, and freeze the other players inside the context.

        `parts` is the number of parts of the batch; `backward` has to be called once for each.
        """
        self.optimizer.zero_grad(set_to_none=True)
        self._parts, self._loss, self._signals = parts, torch.zeros(()), []
        with freeze_except(self.network, among=self.among or self.network):
            yield

    def backward(self, losses: Mapping[str, Tensor] | Tensor, signals: Mapping[str, Tensor] | None = None) -> None:
        """Add the gradient of the sum of `losses`, divided by the number of parts.

        `update` reports the losses and `signals`, averaged over the parts. A loss without a name is called "loss".
        """
        losses = {"loss": losses} if isinstance(losses, Tensor) else dict(losses)
        if self.weight_regularizer:
            losses[f"{self.name}_weight_regularizer"] = self.weight_regularizer(self.optimizer)
        loss = torch.stack(list(losses.values())).sum() / self._parts
        loss.backward()  # type: ignore[no-untyped-call]
        self._loss = self._loss.to(loss.device) + loss.detach()
        self._signals.append({name: value.detach() for name, value in {**losses, **(signals or {})}.items()})

    def update(self, step: int) -> Signals:
        """Update the weights; return the mean signals of the parts and the norm of the gradient before clipping.

        In this order: gradients and loss are averaged over the processes and checked to be finite; gradients are
        clipped; the optimizer updates the weights. Hooks before and after that run with `step`, the number of this
        update, counted from 0. With finite gradients, weights overflow only at extreme learning rates, so they are
        checked less often (`require_finite`).

        Raises:
            NonFiniteError: the loss or a gradient is NaN or infinite; no weight has changed.
        """
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in parameters if p.grad is not None]
        loss = _average_over_processes(self._loss, gradients)
        norm = get_total_norm(gradients)
        require_finite_step(self.name, self.optimizer, loss, norm)
        if self.clip_norm is not None:
            clip_grads_with_norm_(parameters, self.clip_norm, norm)
        for hook in self.before_step:
            hook(self.optimizer, step)
        self.optimizer.step()
        for hook in self.after_step:
            hook(self.optimizer, step)
        return {**_mean(self._signals), f"{self.name}_gradient_norm" if self.among else "gradient_norm": norm}


@contextmanager
def freeze_except(player: nn.Module, *, among: nn.Module) -> Iterator[None]:
    """Freeze the parameters of `among`, except those of `player`: no gradients are computed for them.

    A frozen network still passes gradients on to its input, at about two thirds of the cost.
    """
    learning = set(player.parameters())
    frozen = [p for p in among.parameters() if p.requires_grad and p not in learning]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def _average_over_processes(loss: Tensor, gradients: Sequence[Tensor]) -> Tensor:
    """Average the gradients and the loss over the processes in one message; return the loss.

    The loss is included so that all processes see a NaN in the same step, and none waits for another.
    """
    if world_size() == 1:
        return loss
    flat = all_reduce_mean_(torch.cat([loss.reshape(1), *(g.reshape(-1) for g in gradients)]))
    parts = torch.split(flat, [1, *(g.numel() for g in gradients)])
    for gradient, part in zip(gradients, parts[1:], strict=True):
        gradient.copy_(part.view_as(gradient))
    return flat[0]


def _mean(signals: Sequence[Signals]) -> Signals:
    if len(signals) == 1:
        return signals[0]
    return {name: torch.stack([part[name] for part in signals]).mean(0) for name in signals[0]}
