"""Style transfer by adaptive instance normalisation: any content in any style, by one pass of a network.

References:
    Huang and Belongie, 2017. Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.
    arXiv:1703.06868.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, STYLE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.modality import Modality
from genlab.core.random import Randomness
from genlab.families.single import SingleObjectiveTraining
from genlab.objectives.style import adain, style_distances


class StyleTransfer(nn.Module):
    """A frozen network of features, AdaIN, and the decoder of its features.

    Args:
        target: modality of the pictures that it makes.
        conditions: "source", the content, and "style".
        encoder: pictures -> maps after several layers. It has no parameters.
        level: which of the maps are decoded; 3 are the fourth.
        decoder: (maps (B, C, H, W), condition) -> raw outputs, at least as large as the pictures.
        alpha: 0 gives the content back, 1 gives it the whole style; it can be changed after training.
    """

    def __init__(
        self,
        target: Modality,
        conditions: Mapping[str, Modality],
        encoder: nn.Module,
        level: int,
        decoder: nn.Module,
        *,
        alpha: float = 1.0,
    ) -> None:
        super().__init__()
        self.modality, self.conditions = target, conditions
        self.encoder, self.level, self.decoder, self.alpha = encoder, level, decoder, alpha

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` contents in their styles (count, *shape); they are not random.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing one.
        """
        return self.translate(fill(self.conditions, condition, count, next(self.parameters()).device))

    def translate(self, condition: Condition) -> Tensor:
        """Return the contents (B, *shape) in `condition` in their styles; both must be given."""
        return self.stylize(condition[SOURCE], condition[STYLE])

    def stylize(self, content: Tensor, style: Tensor, alpha: float | None = None) -> Tensor:
        """Return contents (B, C, H, W), of any size, in the styles (B or 1, C', H', W')."""
        height, width = content.shape[2:]
        maps = self.encoder(content)[self.level]
        mixed = maps.lerp(adain(maps, self.encoder(style)[self.level]), self.alpha if alpha is None else alpha)
        return self.decoded(mixed)[..., :height, :width].clamp(-1, 1)

    def transfer_distances(self, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared distances (B,) of stylized contents to the features wanted, and to the style.

        The first is a mean over the features that are decoded, the second is that of `style_distances`.
        """
        theirs = self.encoder(style)
        wanted = adain(self.encoder(content)[self.level], theirs[self.level])
        mine = self.encoder(self.stylize(content, style, alpha=1.0))
        return (mine[self.level] - wanted).square().flatten(1).mean(1), style_distances(mine, theirs)

    def decoded(self, maps: Tensor) -> Tensor:
        """Return the pictures of the encoder's maps, which may leave [-1, 1] a little."""
        decoded: Tensor = self.decoder(maps)
        return decoded


@dataclass(eq=False)
class StyleTransferTraining(SingleObjectiveTraining[StyleTransfer]):
    """Trains the decoder g of the encoder's maps φ, some of φ₁ … φ_L, with t = AdaIN(φ(c), φ(s)).

        w_c ‖φ(g(t)) − t‖² + w_s Σᵢ (‖μ(φᵢ(g(t))) − μ(φᵢ(s))‖² + ‖σ(φᵢ(g(t))) − σ(φᵢ(s))‖²) + w_i |g(φ(c)) − c|

    The last term is not in the paper; it makes the decoder invert the features, so that a content comes back.

    Args:
        model: encoder and decoder.
        player: the model with the optimizer of its decoder.
        randomness: unused.
        accumulate: number of parts of a batch.
        content_weight: w_c.
        style_weight: w_s.
        identity_weight: w_i; 0 as published.
    """

    content_weight: float = 1.0
    style_weight: float = 10.0
    identity_weight: float = 0.0

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        """Return the mean loss of a batch, and its parts."""
        model, given = self.model, batch.condition
        with torch.no_grad():
            style = model.encoder(given[STYLE])
            content = model.encoder(given[SOURCE])[model.level]
            wanted = adain(content, style[model.level])
        made = model.encoder(model.decoded(wanted))
        losses = {
            "content_loss": self.content_weight * mse_loss(made[model.level], wanted),
            "style_loss": self.style_weight * style_distances(made, style).mean(),
        }
        if self.identity_weight:
            losses["content_identity_loss"] = self.identity_weight * l1_loss(
                *self._identity(content, given[SOURCE])
            )
        loss = torch.stack(list(losses.values())).sum()
        return loss, {"loss": loss, **losses}

    def _identity(self, maps: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoded maps of contents, and the contents, in the size and channels of both."""
        height, width = content.shape[2:]
        decoded = self.model.decoded(maps)[..., :height, :width]
        grey = decoded.shape[1] == 1 < content.shape[1]
        return decoded, (content.mean(1, keepdim=True) if grey else content).expand_as(decoded)
