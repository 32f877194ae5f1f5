"""Unrolling: the generator learns against the discriminator after some further updates of the discriminator.

References:
    Metz et al., 2017. Unrolled Generative Adversarial Networks. arXiv:1611.02163.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput
from genlab.core.distributed import all_reduce_mean, world_size

DiscriminatorFunction: TypeAlias = Callable[..., DiscriminatorOutput]
"""A discriminator as a function `(x, condition)`."""


class _Moments(NamedTuple):
    """Adam's state for one parameter."""

    first: Tensor
    second: Tensor
    steps: int


def unrolled(
    discriminator: nn.Module,
    optimizer: torch.optim.Adam,
    discriminator_loss: Callable[[DiscriminatorFunction], Tensor],
    steps: int,
) -> DiscriminatorFunction:
    """Return the discriminator after `steps` updates on `discriminator_loss`, differentiable through the updates.

    The discriminator and its optimizer do not change: weights, buffers and Adam's moments are copied.

    Args:
        discriminator: called with (x, condition).
        optimizer: plain Adam over the discriminator's parameters, without weight decay or other options.
        discriminator_loss: a function of a discriminator that returns its loss, called once for each step; the
            generated images in it carry the generator's graph.
        steps: number of updates.
    """
    parameters = dict(discriminator.named_parameters())
    options = {p: group for group in optimizer.param_groups for p in group["params"]}
    weights = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
    buffers = {name: buffer.clone() for name, buffer in discriminator.named_buffers()}
    moments = {name: _moments(optimizer, p) for name, p in parameters.items()}
    for _ in range(steps):
        gradients = _gradients(discriminator_loss(_with_weights(discriminator, weights, buffers)), weights)
        weights = dict(weights)
        for name, gradient in gradients.items():
            group = options[parameters[name]]
            weights[name], moments[name] = _updated(weights[name], gradient, moments[name], group)
    return _with_weights(discriminator, weights, buffers)


def _with_weights(
    discriminator: nn.Module, weights: dict[str, Tensor], buffers: dict[str, Tensor]
) -> DiscriminatorFunction:
    def discriminate(x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        output: DiscriminatorOutput = functional_call(discriminator, (weights, buffers), (x, condition))
        return output

    return discriminate


def _gradients(loss: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the gradients of the weights that have one, averaged over the processes."""
    found = torch.autograd.grad(loss, list(weights.values()), create_graph=True, allow_unused=True)
    gradients = {name: g for name, g in zip(weights, found, strict=True) if g is not None}
    return dict(zip(gradients, _averaged(list(gradients.values())), strict=True))


def _averaged(gradients: Sequence[Tensor]) -> Sequence[Tensor]:
    """Average the gradients over the processes in one message, differentiably."""
    if world_size() == 1:
        return gradients
    flat = all_reduce_mean(torch.cat([g.reshape(-1) for g in gradients]))
    parts = torch.split(flat, [g.numel() for g in gradients])
    return [part.view(g.shape) for part, g in zip(parts, gradients, strict=True)]


def _moments(optimizer: torch.optim.Adam, parameter: Tensor) -> _Moments:
    state = optimizer.state.get(parameter)
    if not state:
        return _Moments(torch.zeros_like(parameter), torch.zeros_like(parameter), 0)
    # Copies, because the real optimizer updates its moments in place while this graph is still in use.
    return _Moments(state["exp_avg"].clone(), state["exp_avg_sq"].clone(), int(state["step"]))


def _updated(
    weight: Tensor, gradient: Tensor, moments: _Moments, group: dict[str, Any]
) -> tuple[Tensor, _Moments]:
    """Return the weight and Adam's state after one update."""
    beta1, beta2 = group["betas"]
    first = beta1 * moments.first + (1 - beta1) * gradient
    second = beta2 * moments.second + (1 - beta2) * gradient.square()
    steps = moments.steps + 1
    rate = group["lr"] / (1 - beta1**steps)
    # √0 has an infinite derivative; where all gradients were 0, the update is 0 too.
    root = second.where(second > 0, 1.0).sqrt().where(second > 0, 0.0)
    weight = weight - rate * first / (root / (1 - beta2**steps) ** 0.5 + group["eps"])
    return weight, _Moments(first, second, steps)
