"""Optimizers with named parameters, and checks that losses, gradients and weights are finite."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from genlab.core.errors import NonFiniteError

KEPT = "kept"  # key of `defaults`: names of what hooks keep in the state of every parameter


def adam(network: nn.Module, player: str, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Return Adam for `network`; `player` is the name of the network in errors and checkpoints.

    References:
        Kingma and Ba, 2015. Adam: A Method for Stochastic Optimization. arXiv:1412.6980.
    """
    return torch.optim.Adam(_named(network, player), lr=lr, betas=betas, fused=True)


def rmsprop(network: nn.Module, player: str, lr: float) -> torch.optim.RMSprop:
    """Return RMSProp for `network`, with decay 0.99; `player` as in `adam`.

    References:
        Tieleman and Hinton, 2012. Lecture 6.5, RMSProp. Coursera: Neural Networks for Machine Learning.
    """
    return torch.optim.RMSprop(_named(network, player), lr=lr)


def set_learning_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set each optimizer's learning rate to `factor` times its initial one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * optimizer.defaults["lr"]


def set_beta2(optimizer: torch.optim.Optimizer, beta2: float) -> None:
    """Set β₂ of Adam, the decay of the mean squared gradient, which is 0.99 with a memory of 100 updates."""
    for group in optimizer.param_groups:
        group["betas"] = (group["betas"][0], beta2)


def _named(network: nn.Module, player: str) -> list[tuple[str, nn.Parameter]]:
    return [(f"{player}.{name}", parameter) for name, parameter in network.named_parameters()]


def require_finite(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Check that no weight has overflowed.

    Raises:
        NonFiniteError: a weight, or the norm of a player's weights, is NaN or infinite.
    """
    for optimizer in optimizers:
        if not torch.isfinite(get_total_norm([p for group in optimizer.param_groups for p in group["params"]])):
            raise _first_not_finite(optimizer, "value", lambda parameter: parameter)


def require_finite_step(player: str, optimizer: torch.optim.Optimizer, loss: Tensor, norm: Tensor) -> None:
    """Check the loss of a player and the norm of its gradient, before the optimizer changes a weight.

    Raises:
        NonFiniteError: the loss, a gradient or the norm is NaN or infinite.
    """
    if torch.isfinite(norm + loss):
        return
    if not torch.isfinite(loss):
        raise NonFiniteError(player, f"the {player}'s loss", _kind(loss))
    raise _first_not_finite(optimizer, "gradient", lambda parameter: parameter.grad)


def _first_not_finite(
    optimizer: torch.optim.Optimizer, what: str, part: Callable[[Tensor], Tensor | None]
) -> NonFiniteError:
    """Return the error for the first parameter whose `part`, called `what`, is not finite, else for their norm."""
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            tensor = part(parameter)
            if tensor is not None and not torch.isfinite(tensor).all():
                return NonFiniteError(_player(optimizer), f"the {what} of {name}", _kind(tensor))
    return NonFiniteError(_player(optimizer), f"the norm of the {_player(optimizer)}'s {what}", "Inf")


def _player(optimizer: torch.optim.Optimizer) -> str:
    """Return the name that `adam` put before the names of the parameters."""
    name: str = optimizer.param_groups[0]["param_names"][0]
    return name.partition(".")[0]


def _kind(tensor: Tensor) -> str:
    return "NaN" if torch.isnan(tensor).any() else "Inf"
