"""Optimizers with named parameters, and checks that losses, gradients and weights are finite."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from genlab.core.errors import NonFiniteError

RATE = "rate"  # key of a group of parameters: the factor on its learning rate
KEPT = "kept"  # key of `defaults`: names of what hooks keep in the state of every parameter


def adam(
    network: nn.Module,
    player: str,
    lr: float,
    betas: tuple[float, float],
    rates: Mapping[str, float] = MappingProxyType({}),
) -> torch.optim.Adam:
    """Return Adam for `network`.

    Args:
        network: the network.
        player: its name in errors and checkpoints.
        lr: learning rate.
        betas: β₁ and β₂.
        rates: factors on the learning rate of the parameters whose names begin so.

    References:
        Kingma and Ba, 2015. Adam: A Method for Stochastic Optimization. arXiv:1412.6980.
    """
    return torch.optim.Adam(_named(network, player, lr, rates), lr=lr, betas=betas, fused=True)


def rmsprop(
    network: nn.Module, player: str, lr: float, rates: Mapping[str, float] = MappingProxyType({})
) -> torch.optim.RMSprop:
    """Return RMSProp for `network`, with decay 0.99; arguments as of `adam`.

    References:
        Tieleman and Hinton, 2012. Lecture 6.5, RMSProp. Coursera: Neural Networks for Machine Learning.
    """
    return torch.optim.RMSprop(_named(network, player, lr, rates), lr=lr)


def set_learning_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set the learning rates of each optimizer to `factor` times the initial ones."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group.get(RATE, 1.0) * optimizer.defaults["lr"]


def set_beta2(optimizer: torch.optim.Optimizer, beta2: float) -> None:
    """Set β₂ of Adam, the decay of the mean squared gradient, which is 0.99 with a memory of 100 updates."""
    for group in optimizer.param_groups:
        group["betas"] = (group["betas"][0], beta2)


def _named(network: nn.Module, player: str, lr: float, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the groups of parameters with their names: those without a factor, then those of each factor."""
    groups: dict[str, list[tuple[str, nn.Parameter]]] = {start: [] for start in ("", *rates)}
    for name, parameter in network.named_parameters():
        start = next((start for start in rates if name.startswith(start)), "")
        groups[start].append((f"{player}.{name}", parameter))
    its = {"": 1.0, **rates}
    return [{"params": named, "lr": its[start] * lr, RATE: its[start]} for start, named in groups.items() if named]


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
