"""Compares the tensors of a checkpoint with those that it is loaded into, before anything is loaded."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from genlab.core.errors import CheckpointError
from genlab.core.optimizer import KEPT
from genlab.training.checkpoint import TRAINING

# Moments that an update reads, each like its parameter. A fused kernel does not check their sizes.
MOMENTS: Mapping[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.Adam: ("exp_avg", "exp_avg_sq"),
    torch.optim.RMSprop: ("square_avg",),
}
COUNT = "step"  # of updates, a scalar
_ZERO = torch.zeros(())


def require_equal(file: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse tensors whose names, shapes or number types differ from those expected.

    Args:
        file: what has the tensors, for the error.
        found: tensors of a checkpoint.
        expected: tensors that they are going to replace.

    Raises:
        CheckpointError: it names the first of them, what it is and what is expected.
    """
    differences = list(_differences(found, expected))
    if differences:
        others = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
        raise CheckpointError(
            f"the checkpoint does not fit its recipe: {file} {differences[0]}{others}. Nothing was loaded. "
            "Restore the file and recipe.yaml as they were, or use the run's other checkpoint (best or last)."
        )


def require_optimizer_state(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    states: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """Refuse an optimizer state that does not fit its parameters.

    Each parameter has the moments of the optimizer and what else its settings make it keep, all like the parameter
    itself, and a number of updates. Anything else that an optimizer of a user keeps must be the same for all
    parameters, and like the parameter or a scalar.

    Raises:
        CheckpointError: as `require_equal`.
    """
    moments = next((names for kind, names in MOMENTS.items() if isinstance(optimizer, kind)), ())
    alike = {*moments, *optimizer.defaults.get(KEPT, ())}
    keys = {*alike, *([COUNT] if moments else ()), *(key for name in parameters for key in states.get(name, {}))}
    found: dict[str, Tensor] = {}
    expected: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        state = states.get(name, {})
        found |= {f"{name}/{key}": tensor for key, tensor in state.items()}
        scalars = {COUNT, *(key for key in keys - alike if key in state and state[key].ndim == 0)}
        expected |= {f"{name}/{key}": _ZERO if key in scalars else parameter for key in sorted(keys)}
    require_equal(TRAINING, found, expected)


def _differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[str]:
    for name, tensor in expected.items():
        if name not in found:
            yield f"lacks {name}, which should be {_described(tensor)}"
        elif found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            yield f"has {name} as {_described(found[name])}, which should be {_described(tensor)}"
    yield from (f"also has {name}" for name in found if name not in expected)


def _described(tensor: Tensor) -> str:
    sides = " × ".join(map(str, tensor.shape)) or "a scalar"
    return f"{str(tensor.dtype).removeprefix('torch.')} {sides}"
