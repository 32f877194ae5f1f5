"""Between a training and the flat tensors of a checkpoint."""

from collections.abc import Iterator, Mapping, Sequence

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
    load_weights(training.model, _trained_weights(checkpoint))
    known = {name for optimizer in training.optimizers.values() for name, _ in named_parameters(optimizer)}
    saved = {key.removeprefix(OPTIMIZER).partition("/")[0] for key in rest if key.startswith(OPTIMIZER)}
    if saved != known:
        raise CheckpointError(f"the checkpoint does not fit its recipe: {', '.join(sorted(saved ^ known))}")
    for optimizer in training.optimizers.values():
        for name, parameter in named_parameters(optimizer):
            optimizer.state[parameter] = _optimizer_state(checkpoint, name, parameter)


def carry_over(checkpoint: Checkpoint, training: Training, average: Average | None) -> Sequence[str]:
    """Put those of a checkpoint's tensors into other networks whose name and shape agree; return their names.

    A parameter takes its optimizer state along. The rest of the networks stays as it was initialised.
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


def _trained_weights(checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """Return the weights that are trained: those beside the published average, or the published ones."""
    raw = {n.removeprefix(RAW): tensor for n, tensor in checkpoint.training.items() if n.startswith(RAW)}
    return raw or checkpoint.model


def _matching(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those of `tensors` that `model` has by the same name in the same shape."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    return {name: tensor for name, tensor in tensors.items() if shapes.get(name) == tensor.shape}


def _optimizer_state(checkpoint: Checkpoint, name: str, parameter: Tensor) -> dict[str, Tensor]:
    """Return what an optimizer remembers of the parameter `name`; empty if there is nothing."""
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
    """Return `tensor` on the parameter's device, and in its memory layout where the shapes are equal."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
