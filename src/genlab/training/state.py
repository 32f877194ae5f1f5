"""Converts a training to the flat tensors of a checkpoint, and back."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from genlab.core.contract import Training
from genlab.core.errors import CheckpointError, NonFiniteError
from genlab.training.average import Average
from genlab.training.checkpoint import Checkpoint

RAW = "raw/"  # the trained weights, if the published ones are their average
OPTIMIZER = "optimizer/"


def collect(training: Training, average: Average | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the published model's tensors, and those that only training needs.

    Raises:
        NonFiniteError: one of them is NaN or infinite, for example because an update overflowed.
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
    """Load a checkpoint into networks and optimizers that were built from the same recipe.

    Raises:
        CheckpointError: names or shapes do not match.
    """
    rest = checkpoint.training
    if any(name.startswith(RAW) for name in rest) != (average is not None):
        raise CheckpointError(
            "the checkpoint does not fit its recipe: only one of them has averaged weights (ema)"
        )
    if average:
        load_weights(average.model, checkpoint.model)
    load_weights(training.model, _trained_weights(checkpoint))
    known = {name for optimizer in training.optimizers.values() for name, _ in named_parameters(optimizer)}
    saved = {key.removeprefix(OPTIMIZER).partition("/")[0] for key in rest if key.startswith(OPTIMIZER)}
    if saved != known:
        raise CheckpointError(f"the checkpoint does not fit its recipe: {', '.join(sorted(saved ^ known))}")
    for optimizer in training.optimizers.values():
        for name, parameter in named_parameters(optimizer):
            optimizer.state[parameter] = _optimizer_state(checkpoint, name, parameter)


def carry_over(checkpoint: Checkpoint, training: Training, average: Average | None) -> Sequence[str]:
    """Load the tensors of a checkpoint whose name and shape match into other networks; return their names.

    The optimizer state of these parameters is loaded, too. All other weights stay as they were initialised.
    """
    weights = _matching(training.model, _trained_weights(checkpoint))
    training.model.load_state_dict(weights, strict=False)
    if average:
        average.model.load_state_dict(_matching(average.model, checkpoint.model), strict=False)
    carried = {parameter for name, parameter in training.model.named_parameters() if name in weights}
    for optimizer in training.optimizers.values():
        for name, parameter in named_parameters(optimizer):
            if parameter in carried and (state := _optimizer_state(checkpoint, name, parameter)):
                optimizer.state[parameter] = state
    return list(weights)


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors` into `model`.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs.
    """
    try:
        model.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint does not fit its recipe: {error}") from None


def named_parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Yield an optimizer's parameters with their names, `player.module.weight`."""
    for group in optimizer.param_groups:
        yield from zip(group["param_names"], group["params"], strict=True)


def _trained_weights(checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """Return the trained weights: the raw ones if an average is published, else the published ones."""
    raw = {n.removeprefix(RAW): tensor for n, tensor in checkpoint.training.items() if n.startswith(RAW)}
    return raw or checkpoint.model


def _matching(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `model` has with the same name and shape."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    return {name: tensor for name, tensor in tensors.items() if shapes.get(name) == tensor.shape}


def _optimizer_state(checkpoint: Checkpoint, name: str, parameter: Tensor) -> dict[str, Tensor]:
    """Return the optimizer state of the parameter `name`; empty if there is none."""
    prefix = f"{OPTIMIZER}{name}/"
    return {
        key.removeprefix(prefix): _like(parameter, tensor)
        for key, tensor in checkpoint.training.items()
        if key.startswith(prefix)
    }


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
    """Return `tensor` on the parameter's device, and in its memory layout if the shapes are equal."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
