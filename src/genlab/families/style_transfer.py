"""Style transfer by adaptive instance normalisation: any content in any style, by one pass of a network.

References:
    Huang and Belongie, 2017. Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.
    arXiv:1703.06868.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, pad

from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, STYLE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.modality import Modality
from genlab.core.random import Randomness
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.style import adain, style_loss

LEAST = 2  # positions of the coarsest maps along a side, so that a deviation and reflected borders exist


class StyleTransfer(nn.Module):
    """A frozen network of features, AdaIN, and the decoder of its features.

    Args:
        target: modality of the pictures that it makes.
        conditions: "source", the content, and "style".
        encoder: pictures -> maps after several layers; only the last are decoded. It has no parameters.
        stride: pixels for each position of the last maps.
        decoder: (maps (B, C, H, W), condition) -> raw outputs (B, C', stride·H, stride·W).
        alpha: 0 gives the content back, 1 gives it the whole style; it can be changed after training.
    """

    def __init__(
        self,
        target: Modality,
        conditions: Mapping[str, Modality],
        encoder: nn.Module,
        stride: int,
        decoder: nn.Module,
        *,
        alpha: float = 1.0,
    ) -> None:
        super().__init__()
        self.modality, self.conditions = target, conditions
        self.encoder, self.stride, self.decoder, self.alpha = encoder, stride, decoder, alpha

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` contents in their styles (count, *shape); they are not random.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing one.
        """
        given = fill(self.conditions, condition, count, next(self.parameters()).device)
        return self.stylize(given[SOURCE], given[STYLE])

    def stylize(self, content: Tensor, style: Tensor, alpha: float | None = None) -> Tensor:
        """Return contents (B, C, H, W), of any size, in the styles (B or 1, C', H', W')."""
        height, width = content.shape[2:]
        maps = self.features(content)[-1]
        mixed = maps.lerp(adain(maps, self.features(style)[-1]), self.alpha if alpha is None else alpha)
        return self.decode(mixed)[..., :height, :width]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the encoder's maps; images are extended to whole positions by repeating their last pixels."""
        more = [max(-(-side // self.stride), LEAST) * self.stride - side for side in images.shape[2:]]
        grown = pad(images, (0, more[1], 0, more[0]), mode="replicate") if any(more) else images
        tapped: list[Tensor] = self.encoder(grown)
        return tapped

    def decode(self, maps: Tensor) -> Tensor:
        """Return the pictures of the encoder's last maps."""
        return self.modality.squash(self.decoder(maps))


@dataclass(eq=False)
class StyleTransferTraining(SingleObjectiveTraining[StyleTransfer]):
    """Trains the decoder g, with the encoder's maps φ₁ … φ_L and t = AdaIN(φ_L(c), φ_L(s)).

        w_c ‖φ_L(g(t)) − t‖² + w_s Σᵢ ‖μ(φᵢ(g(t))) − μ(φᵢ(s))‖² + ‖σ(φᵢ(g(t))) − σ(φᵢ(s))‖²

    Args:
        model: encoder and decoder.
        player: the model with the optimizer of its decoder.
        randomness: unused.
        accumulate: number of parts of a batch.
        content_weight: w_c.
        style_weight: w_s.
    """

    content_weight: float = 1.0
    style_weight: float = 10.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its parts."""
        model, given = self.model, batch.condition
        with torch.no_grad():
            style = model.features(given[STYLE])
            wanted = adain(model.features(given[SOURCE])[-1], style[-1])
        made = model.features(model.decode(wanted))
        content_loss = self.content_weight * mse_loss(made[-1], wanted)
        styled_loss = self.style_weight * style_loss(made, style)
        loss = content_loss + styled_loss
        return loss, {"loss": loss, "content_loss": content_loss, "style_loss": styled_loss}
