"""What families that translate images share: the model, and the adversarial losses of patches."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from genlab.core.condition import NONE, SOURCE, Condition, fill
from genlab.core.contract import DiscriminatorOutput, Signals
from genlab.core.modality import Modality
from genlab.core.random import Draws
from genlab.objectives.adversarial import AdversarialLoss


class Translator(nn.Module):
    """A generator of images from source images, and the discriminator that it is trained against.

    Args:
        target: modality of the images that it generates.
        conditions: that the generator takes: "source", and "label" if it translates into labelled domains.
        generator: (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W).
        discriminator: (images, condition) -> output.
    """

    def __init__(
        self, target: Modality, conditions: Mapping[str, Modality], generator: nn.Module, discriminator: nn.Module
    ) -> None:
        super().__init__()
        self.modality, self.conditions = target, conditions
        self.generator = generator
        self.discriminator = discriminator

    def translate(self, condition: Condition) -> Tensor:
        """Return the images (B, *shape) of the sources in `condition`; all conditions must be given."""
        return self.modality.squash(self.generator(condition[SOURCE], condition))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return the translations (count, *shape) of `count` sources; they are not random.

        Labels that are not given cycle through the classes.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or no source.
        """
        device = next(self.parameters()).device
        return self.translate(fill(self.conditions, condition, count, device))

    def discriminate(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return the discriminator's output for images (B, *shape)."""
        output: DiscriminatorOutput = self.discriminator(x, condition)
        return output


def generator_loss(
    loss: AdversarialLoss, scores: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """Return the generator's adversarial loss, given a function from images to the scores of their patches."""
    return loss.generator(scores(real), scores(fake)) if loss.compares_real else loss.generator(scores(fake))


def noisy(images: Tensor, deviation: float, draws: Draws) -> Tensor:
    """Return translations with noise, in which nothing can be hidden that is fainter than the noise."""
    return images + deviation * draws.normal(*images.shape[1:]) if deviation else images


def score_signals(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Signals:
    """Return the mean scores of real and translated images, and the accuracies where scores are decisions."""
    real, fake = real.detach(), fake.detach()
    signals = {"score_real": real.mean(), "score_fake": fake.mean()}
    if loss.log_odds:
        signals |= {
            "D(x)": real.sigmoid().mean(),
            "D(G(z))": fake.sigmoid().mean(),
            "accuracy_real": (real > 0).float().mean(),
            "accuracy_fake": (fake < 0).float().mean(),
        }
    return signals
