"""pix2pix: translates images, learned from pairs.

References:
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks. arXiv:1611.07004.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn.functional import l1_loss

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.contract import Signals
from genlab.families.translation import Translator, generator_loss, score_signals
from genlab.families.two_players import TwoPlayerTraining


@dataclass(eq=False)
class Pix2PixTraining(TwoPlayerTraining[Translator]):
    """Trains a generator whose images look real to a discriminator of pairs and are near the truth in L1.

        min_G max_D  E[log D(x, y)] + E[log(1 − D(x, G(x)))] + λ E‖y − G(x)‖₁

    Args:
        model: both networks.
        discriminator: the player of `model.discriminator`.
        generator: the player of `model.generator`.
        loss: the adversarial losses of both networks.
        randomness: of the parts of a batch.
        l1: λ.
        accumulate: number of parts of a batch, which go through the networks one after another.
    """

    l1: float
    accumulate: int = 1

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the discriminator, then the generator, on the same batch and the same translations."""
        batch, d, g = next(batches), self.discriminator, self.generator
        shared = self.model.translate(batch.condition) if self.accumulate == 1 else None
        with d.learning(self.accumulate):
            for part, _ in parts(batch, self.randomness, self.accumulate):
                fake = (self.model.translate(part.condition) if shared is None else shared).detach()
                real, made = self.scores(part.x, part), self.scores(fake, part)
                d.backward(
                    {"discriminator_loss": self.loss.discriminator(real, made)},
                    score_signals(self.loss, real, made),
                )
        signals = d.update(step)
        with g.learning(self.accumulate):
            for part, _ in parts(batch, self.randomness, self.accumulate):
                fake = self.model.translate(part.condition) if shared is None else shared
                adversarial = generator_loss(self.loss, partial(self.scores, batch=part), part.x, fake)
                distance = l1_loss(fake, part.x)
                g.backward({"generator_loss": adversarial, "l1_loss": self.l1 * distance})
        return signals | g.update(step)

    def scores(self, x: Tensor, batch: Batch) -> Tensor:
        """Return the discriminator's scores of the patches of images, given the sources of a batch."""
        return self.model.discriminate(x, batch.condition).scores
