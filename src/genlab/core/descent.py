"""One update, one place: the only code that runs backward and moves weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from genlab.core.distributed import average_, processes
from genlab.core.errors import NonFiniteError


def adam(network: nn.Module, player: str, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Return Adam over `network`; `player` is what errors and checkpoints call the network.

    References:
        Kingma and Ba, 2015. Adam: A Method for Stochastic Optimization. arXiv:1412.6980.
    """
    named = [(f"{player}.{name}", parameter) for name, parameter in network.named_parameters()]
    return torch.optim.Adam(named, lr=lr, betas=betas, fused=True)


@contextmanager
def only(player: nn.Module, *, among: nn.Module) -> Iterator[None]:
    """Let only `player` learn; the other parameters of `among` get no gradient, nor is one computed.

    A frozen opponent still passes gradients through to its input, at about two thirds of the cost.
    """
    frozen = [p for p in among.parameters() if p.requires_grad]
    learning = set(player.parameters())
    frozen = [p for p in frozen if p not in learning]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, clip: float | None = None) -> Tensor:
    """Move the optimizer's parameters against the gradient of `loss`; return the gradient's norm.

    In this order: backward; gradients and loss averaged over the processes; the check that they are finite;
    clipping to the norm `clip`; the optimizer's step; the check that it did not overflow. The norm is the one
    before clipping.

    Raises:
        NonFiniteError: the loss or a gradient is NaN or infinite, and no weight has been changed; or a weight
            is after the step.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None]
    mean_loss = _average_gradients(loss.detach(), gradients)
    norm = get_total_norm(gradients)
    if not torch.isfinite(norm + mean_loss):
        raise _culprit(mean_loss, norm, optimizer)
    if clip is not None:
        clip_grads_with_norm_(parameters, clip, norm)
    optimizer.step()
    if not torch.isfinite(get_total_norm(parameters)):
        raise _culprit_among_weights(optimizer)
    return norm


def _average_gradients(loss: Tensor, gradients: Sequence[Tensor]) -> Tensor:
    """Average gradients over the processes in one message, and the loss with them; return the loss.

    The loss travels along so that every process sees a NaN in the same step and none waits for another.
    """
    if processes() == 1:
        return loss
    flat = average_(torch.cat([loss.reshape(1), *(g.reshape(-1) for g in gradients)]))
    parts = torch.split(flat, [1, *(g.numel() for g in gradients)])
    for gradient, part in zip(gradients, parts[1:], strict=True):
        gradient.copy_(part.view_as(gradient))
    return flat[0]


def _culprit(loss: Tensor, norm: Tensor, optimizer: torch.optim.Optimizer) -> NonFiniteError:
    """Name the first thing that is not finite: the loss, else a gradient, else the norm itself."""
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    player = names[0].partition(".")[0]
    if not torch.isfinite(loss):
        return NonFiniteError(player, f"the {player}'s loss", _kind(loss))
    for name, parameter in zip(names, parameters, strict=True):
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return NonFiniteError(player, f"the gradient of {name}", _kind(parameter.grad))
    return NonFiniteError(player, f"the norm of the {player}'s gradient", _kind(norm))


def _culprit_among_weights(optimizer: torch.optim.Optimizer) -> NonFiniteError:
    """Name the first weight that is not finite, else the norm of all."""
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    player = names[0].partition(".")[0]
    for name, parameter in zip(names, (p for g in optimizer.param_groups for p in g["params"]), strict=True):
        if not torch.isfinite(parameter).all():
            return NonFiniteError(player, f"the weight {name}", _kind(parameter))
    return NonFiniteError(player, f"the norm of the {player}'s weights", "Inf")


def _kind(tensor: Tensor) -> str:
    return "NaN" if torch.isnan(tensor).any() else "Inf"
