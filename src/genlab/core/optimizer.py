"""One update, one place: the only code that runs backward and moves weights."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from genlab.core.distributed import all_reduce_mean_, world_size
from genlab.core.errors import NonFiniteError


def adam(network: nn.Module, player: str, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Return Adam over `network`; `player` is what errors and checkpoints call the network.

    References:
        Kingma and Ba, 2015. Adam: A Method for Stochastic Optimization. arXiv:1412.6980.
    """
    return torch.optim.Adam(_named(network, player), lr=lr, betas=betas, fused=True)


def rmsprop(network: nn.Module, player: str, lr: float) -> torch.optim.RMSprop:
    """Return RMSProp over `network`, with the decay 0.99; `player` as in `adam`.

    References:
        Tieleman and Hinton, 2012. Lecture 6.5, RMSProp. Coursera: Neural Networks for Machine Learning.
    """
    return torch.optim.RMSprop(_named(network, player), lr=lr)


def set_learning_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set each optimizer's learning rate to `factor` times the one it was made with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * optimizer.defaults["lr"]


def _named(network: nn.Module, player: str) -> list[tuple[str, nn.Parameter]]:
    return [(f"{player}.{name}", parameter) for name, parameter in network.named_parameters()]


@contextmanager
def freeze_except(player: nn.Module, *, among: nn.Module) -> Iterator[None]:
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


def optimizer_step(
    loss: Tensor | Iterable[Tensor], optimizer: torch.optim.Optimizer, clip: float | None = None
) -> Tensor:
    """Move the optimizer's parameters against the gradient of `loss`; return the gradient's norm.

    The loss may come in parts that add up to it; each is let go of before the next is made.

    In this order: backward; gradients and loss averaged over the processes; the check that they are finite;
    clipping to the norm `clip`; the optimizer's step. The norm is the one before clipping. A step of finite
    gradients overflows only at absurd rates, so that the weights are checked less often (`require_finite`).

    Raises:
        NonFiniteError: the loss or a gradient is NaN or infinite, and no weight has been changed.
    """
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros(())
    for part in (loss,) if isinstance(loss, Tensor) else loss:
        part.backward()
        total = total.to(part.device) + part.detach()
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None]
    mean_loss = _average_gradients(total, gradients)
    norm = get_total_norm(gradients)
    if not torch.isfinite(norm + mean_loss):
        if not torch.isfinite(mean_loss):
            player = _player(optimizer)
            raise NonFiniteError(player, f"the {player}'s loss", _kind(mean_loss))
        raise _culprit(optimizer, "gradient", lambda parameter: parameter.grad)
    if clip is not None:
        clip_grads_with_norm_(parameters, clip, norm)
    optimizer.step()
    return norm


def require_finite(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Prove that no step has overflowed.

    Raises:
        NonFiniteError: a weight, or the norm of a player's weights, is NaN or infinite.
    """
    for optimizer in optimizers:
        if not torch.isfinite(get_total_norm([p for group in optimizer.param_groups for p in group["params"]])):
            raise _culprit(optimizer, "value", lambda parameter: parameter)


def _average_gradients(loss: Tensor, gradients: Sequence[Tensor]) -> Tensor:
    """Average gradients over the processes in one message, and the loss with them; return the loss.

    The loss travels along so that every process sees a NaN in the same step and none waits for another.
    """
    if world_size() == 1:
        return loss
    flat = all_reduce_mean_(torch.cat([loss.reshape(1), *(g.reshape(-1) for g in gradients)]))
    parts = torch.split(flat, [1, *(g.numel() for g in gradients)])
    for gradient, part in zip(gradients, parts[1:], strict=True):
        gradient.copy_(part.view_as(gradient))
    return flat[0]


def _culprit(
    optimizer: torch.optim.Optimizer, what: str, part: Callable[[Tensor], Tensor | None]
) -> NonFiniteError:
    """Name the first parameter whose `part`, called `what`, is not finite, else the norm of all of them."""
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
