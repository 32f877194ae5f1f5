"""A user's own regularizers: each is an option with its weight, 0 by default, under the name of the regularizer.

@genlab.part("regularizer", "weight-decay")
def weight_decay(network): ...                 # of the weights, for every family
@genlab.part("regularizer", "zero-centred")
def zero_centred(score, real, fake, draws): ...  # of a GAN's discriminator, as in `regularizers/gradient.py`
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genlab.core.errors import UsageError
from genlab.core.parts import Part, Table

REGULARIZERS: Table[Part] = Table("regularizer", {}, lambda part, own: part)


def own_regularizers(own: Mapping[str, Any], form: str) -> dict[str, Callable[..., Tensor]]:
    """Return the own regularizers of a form whose weight is not 0, multiplied by it.

    Args:
        own: the own options of a recipe.
        form: "weights", functions of a network, or "gradient", functions of (score, real, fake, draws).
    """
    parts = [part for part in REGULARIZERS.values() if part.traits["form"] == form]
    return {part.name: _weighted(part, own) for part in parts if own.get(part.flag(""), 0.0)}


def weight_regularizer(
    network: nn.Module, own: Mapping[str, Any]
) -> Callable[[torch.optim.Optimizer], Tensor] | None:
    """Return the weighted sum of the own regularizers of a network's weights; None if there are none."""
    terms = list(own_regularizers(own, "weights").values())
    if not terms:
        return None
    return lambda optimizer: torch.stack([term(network) for term in terms]).sum()


def _weighted(part: Part, own: Mapping[str, Any]) -> Callable[..., Tensor]:
    regularizer, weight = part.bound(own), own[part.flag("")]

    def weighted(*given: Any) -> Tensor:  # noqa: ANN401 (a network, or what a gradient penalty takes)
        made = regularizer(*given)
        if not isinstance(made, Tensor) or made.ndim:
            got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise UsageError(
                f'the regularizer "{part.name}" must return one number, a tensor of shape (), not {got}.'
            )
        return weight * made  # type: ignore[no-any-return]

    return weighted
