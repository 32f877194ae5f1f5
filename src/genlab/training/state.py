"""Between a training and the flat tensors of a checkpoint."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from genlab.core.contract import Training
from genlab.core.errors import CheckpointError, NonFiniteError
from genlab.training.average import Average
from genlab.training.checkpoint import Checkpoint

RAW = "raw/"  # the weights that are trained, where the published ones are their average
OPTIMIZER = "optimizer/"


def collect(training: Training, average: Average | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the published model's tensors, and those that only training needs.

    Raises:
        NonFiniteError: one of them is NaN or infinite, as when an update overflowed.
    """
    published = average.model if average else training.model
    rest = {OPTIMIZER + name: tensor for name, tensor in _optimizer_tensors(training)}
    if average:
        rest |= {RAW + name: tensor for name, tensor in training.model.state_dict().items()}
    model = dict(published.state_dict())
    for name, tensor in (model | rest).items():
        _require_finite(name, tensor)
    return model, rest


def restore(checkpoint: Checkpoint, training: Training, average: Average | None) -> None:
    """Put a checkpoint's tensors back into networks and optimizers that were built from the same recipe.

    Raises:
        CheckpointError: names or shapes do not fit.
    """
    rest = checkpoint.training
    if any(name.startswith(RAW) for name in rest) != (average is not None):
        raise CheckpointError("the checkpoint does not fit its recipe: one has an average of the weights (ema)")
    if average:
        load_weights(average.model, checkpoint.model)
        raw = {name.removeprefix(RAW): tensor for name, tensor in rest.items() if name.startswith(RAW)}
        load_weights(training.model, raw)
    else:
        load_weights(training.model, checkpoint.model)
    known = {name for optimizer in training.optimizers.values() for name, _ in named_parameters(optimizer)}
    saved = {key.removeprefix(OPTIMIZER).partition("/")[0] for key in rest if key.startswith(OPTIMIZER)}
    if saved != known:
        raise CheckpointError(f"the checkpoint does not fit its recipe: {', '.join(sorted(saved ^ known))}")
    for optimizer in training.optimizers.values():
        for name, parameter in named_parameters(optimizer):
            prefix = f"{OPTIMIZER}{name}/"
            optimizer.state[parameter] = {
                key.removeprefix(prefix): _like(parameter, tensor)
                for key, tensor in rest.items()
                if key.startswith(prefix)
            }


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors` into `model`.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape is another.
    """
    try:
        model.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint does not fit its recipe: {error}") from None


def named_parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Yield an optimizer's parameters with their names, `player.module.weight`."""
    for group in optimizer.param_groups:
        yield from zip(group["param_names"], group["params"], strict=True)


def _require_finite(name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        value = "NaN" if torch.isnan(tensor).any() else "Inf"
        player = name.removeprefix(RAW).removeprefix(OPTIMIZER).partition(".")[0]
        raise NonFiniteError(player, name, value)


def _optimizer_tensors(training: Training) -> Iterator[tuple[str, Tensor]]:
    for optimizer in training.optimizers.values():
        for name, parameter in named_parameters(optimizer):
            for key, tensor in optimizer.state[parameter].items():
                yield f"{name}/{key}", tensor


def _like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Return `tensor` on the parameter's device, and in its memory layout where the shapes are equal."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
