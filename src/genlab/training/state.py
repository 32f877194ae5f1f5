"""Converts a training to the flat tensors of a checkpoint, and back."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from genlab.core.contract import HasState, Remembers, Training
from genlab.core.errors import CheckpointError, NonFiniteError
from genlab.training.average import Average
from genlab.training.checkpoint import MODEL, TRAINING, Checkpoint
from genlab.training.matching import require_equal, require_optimizer_state

RAW = "raw/"  # the trained weights, if the published ones are their average
OPTIMIZER = "optimizer/"
STATE = "state/"  # of a training, besides its weights and optimizers


def collect(training: Training, average: Average | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the published model's tensors, and those that only training needs.

    Raises:
        NonFiniteError: one of them is NaN or infinite, for example because an update overflowed.
    """
    published = average.model if average else training.model
    rest = {OPTIMIZER + name: tensor for name, tensor in _optimizer_tensors(training)}
    rest |= {STATE + name: tensor for name, tensor in _state(training).items()}
    if average:
        rest |= {RAW + name: tensor for name, tensor in training.model.state_dict().items()}
    model = dict(published.state_dict())
    for name, tensor in (model | rest).items():
        _require_finite(name, tensor)
    return model, rest


def restore(checkpoint: Checkpoint, training: Training, average: Average | None) -> None:
    """Load a checkpoint into networks and optimizers that were built from the same recipe.

    Everything is compared before anything is loaded.

    Raises:
        CheckpointError: names, shapes or number types do not match.
    """
    if any(name.startswith(RAW) for name in checkpoint.training) != (average is not None):
        raise CheckpointError(
            "the checkpoint does not fit its recipe: only one of them has averaged weights (ema)"
        )
    if average:
        require_equal(MODEL, checkpoint.model, average.model.state_dict())
    weights, file = _trained_weights(checkpoint), TRAINING if average else MODEL
    require_equal(file, weights, training.model.state_dict())
    states = _optimizer_states(checkpoint)
    known = {name for optimizer in training.optimizers.values() for name, _ in named_parameters(optimizer)}
    ours = (*(f"{OPTIMIZER}{name}/" for name in known), *([RAW] if average else []))
    others = {n.removeprefix(STATE): t for n, t in checkpoint.training.items() if not n.startswith(ours)}
    require_equal(TRAINING, others, _state(training))
    for optimizer in training.optimizers.values():
        require_optimizer_state(optimizer, dict(named_parameters(optimizer)), states)
    if average:
        average.model.load_state_dict(dict(checkpoint.model))
    training.model.load_state_dict(dict(weights))
    _set_states(training, states)
    for name, tensor in _state(training).items():
        tensor.copy_(others[name])


def carry_over(checkpoint: Checkpoint, training: Training, average: Average | None) -> Sequence[str]:
    """Load the tensors of a checkpoint whose name and shape match into other networks; return their names.

    Modules that remember others get the tensors of those, unless they have been saved themselves. The optimizer
    state of these parameters is loaded, too. All other weights stay as they were initialised.

    Raises:
        CheckpointError: a number type, or the optimizer state of a parameter, does not match.
    """
    weights = _matching(training.model, _trained_weights(checkpoint), checkpoint.model)
    averaged = _matching(average.model, checkpoint.model, checkpoint.model) if average else {}
    carried = {parameter for name, parameter in training.model.named_parameters() if name in weights}
    states = _optimizer_states(checkpoint)
    for optimizer in training.optimizers.values():
        its = {n: p for n, p in named_parameters(optimizer) if p in carried and n in states}
        require_optimizer_state(optimizer, its, states)
    training.model.load_state_dict(weights, strict=False)
    if average:
        average.model.load_state_dict(averaged, strict=False)
    _set_states(training, states, carried)
    return list(weights)


def named_parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Yield an optimizer's parameters with their names, `player.module.weight`."""
    for group in optimizer.param_groups:
        yield from zip(group["param_names"], group["params"], strict=True)


def _trained_weights(checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """Return the trained weights: the raw ones if an average is published, else the published ones."""
    raw = {n.removeprefix(RAW): tensor for n, tensor in checkpoint.training.items() if n.startswith(RAW)}
    return raw or checkpoint.model


def _matching(
    model: nn.Module, tensors: Mapping[str, Tensor], published: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors that `model` has with the same name and shape; it remembers `published` ones."""
    ours = model.state_dict()
    tensors = {**_remembered(model, published), **tensors}
    matching = {n: tensor for n, tensor in tensors.items() if n in ours and ours[n].shape == tensor.shape}
    require_equal("the checkpoint", matching, {name: ours[name] for name in matching})
    return matching


def _remembered(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `model` keeps of the phase before, under the names that they have in it."""
    kept = model.remembered if isinstance(model, Remembers) else {}
    return {
        f"{keeper}.{name.removeprefix(f'{origin}.')}": tensor
        for keeper, origin in kept.items()
        for name, tensor in tensors.items()
        if name.startswith(f"{origin}.")
    }


def _optimizer_states(checkpoint: Checkpoint) -> dict[str, dict[str, Tensor]]:
    """Return the optimizer state of each parameter by its name."""
    states: dict[str, dict[str, Tensor]] = {}
    for path, tensor in checkpoint.training.items():
        if path.startswith(OPTIMIZER):
            name, _, key = path.removeprefix(OPTIMIZER).partition("/")
            states.setdefault(name, {})[key] = tensor
    return states


def _set_states(
    training: Training, states: Mapping[str, Mapping[str, Tensor]], among: Collection[Tensor] | None = None
) -> None:
    """Give the optimizers the states of all parameters that have one, or of those `among` them."""
    for optimizer in training.optimizers.values():
        for name, parameter in named_parameters(optimizer):
            if name in states and (among is None or parameter in among):
                state = {key: _like(parameter, tensor) for key, tensor in states[name].items()}
                optimizer.state[parameter] = state


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


def _state(training: Training) -> Mapping[str, Tensor]:
    """Return the state of a training besides its weights and optimizers."""
    return training.state if isinstance(training, HasState) else {}


def _like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Return `tensor` on the parameter's device, and in its memory layout if the shapes are equal."""
    if tensor.shape != parameter.shape:
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
