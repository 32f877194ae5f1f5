"""The styles of a model in place of its latents, so that whatever works on latents works on styles.

References:
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN, section 5. arXiv:1912.04958 (w).
    Abdal, Qin and Wonka, 2019. Image2StyleGAN. arXiv:1904.03189 (w+).
"""

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.core.condition import NONE, Condition
from genlab.core.contract import HasPrior, HasStyles
from genlab.core.random import generator
from genlab.core.space import SpaceName

DRAWS = 1000  # from which mean and deviation of the styles are estimated


class StyleSpace(nn.Module):
    """A model whose latents are the styles w of another one, as u = (w − w̄)/σ.

    w̄ is the mean and σ the deviation of all numbers of the styles of 1,000 draws of the prior, the same each time.
    So 0 is the mean style, and numbers are about as large as those of N(0, 1). The styles contain the class, so
    that no condition is taken.

    Args:
        model: has styles and a prior.
        each_layer: whether each layer has a style of its own (w+), instead of one for all (w).

    Raises:
        GenlabError: the model has no styles.
    """

    def __init__(self, model: nn.Module, *, each_layer: bool) -> None:
        super().__init__()
        need(model, HasStyles, "a space of styles")
        need(model, HasPrior, "a space of styles")
        self.model, self.each_layer = model, each_layer
        self.modality = getattr(model, "modality", None)
        drawn = self._styles(DRAWS, generator(0, "style space"))[:, 0]
        self.mean, self.deviation = drawn.mean(0), (drawn - drawn.mean(0)).square().mean().sqrt()

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return the styles of `count` draws from the model's prior, (count, style) or (count, layers · style)."""
        styles = (self._styles(count, generator) - self.mean) / self.deviation
        return styles.flatten(1) if self.each_layer else styles[:, 0]

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of styles (B, style) or (B, layers · style)."""
        model = need(self.model, HasStyles, "a space of styles")
        styles = self.mean + self.deviation * latents.view(latents.shape[0], -1, self.mean.shape[0])
        return model.synthesize(styles.expand(-1, model.style_layers, -1))

    def _styles(self, count: int, generator: torch.Generator | None) -> Tensor:
        styles = need(self.model, HasStyles, "a space of styles").styles
        with torch.no_grad():
            return styles(need(self.model, HasPrior, "a space of styles").prior(count, generator))


def in_space(model: nn.Module, space: SpaceName) -> nn.Module:
    """Return `model`, or one whose latents are its styles.

    Raises:
        GenlabError: the model has no styles.
    """
    return model if space == "z" else StyleSpace(model, each_layer=space == "w+")


def space_of(columns: Sequence[str]) -> SpaceName:
    """Return the space of latents with these names: w0, w1, … are styles; latents of unknown names are z."""
    named = (
        space for space in get_args(SpaceName) if list(columns) == [f"{space}{at}" for at in range(len(columns))]
    )
    return next(named, "z")
