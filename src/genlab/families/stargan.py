"""StarGAN: one network translates images between all domains of a labelled data set.

References:
    Choi et al., 2018. StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image
    Translation.
    arXiv:1711.09020.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, SOURCE_LABEL, Condition
from genlab.core.contract import DiscriminatorOutput, Signals
from genlab.core.random import Draws
from genlab.families.gan import Penalty
from genlab.families.translation import Translator, noisy, score_signals
from genlab.families.two_players import TwoPlayerTraining


class DomainTranslator(Translator):
    """A translator into the domain "label", whose discriminator predicts the domain, too."""

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return images (B, *shape) translated into the domains "source_label" of their sources."""
        return self.translate({SOURCE: x, "label": condition[SOURCE_LABEL]})


@dataclass(eq=False)
class StarGANTraining(TwoPlayerTraining[DomainTranslator]):
    """Trains a generator whose translations look real, belong to their domain, and can be translated back.

        L_D = L_adv + λ_cls E[−log D_cls(c | x)] + λ_gp E[(‖∇D(x̂)‖₂ − 1)²]
        L_G = L_adv + λ_cls E[−log D_cls(c | G(s, c))] + λ_rec E‖s − G(G(s, c), c_s)‖₁

    for images x of domain c and sources s of domain c_s. The slope ‖∇D‖ is that of the sum of all patches of an
    image, as in the authors' code; L_adv takes their mean.

    Args:
        model: both networks.
        discriminator: the player of `model.discriminator`.
        generator: the player of `model.generator`.
        loss: the adversarial losses of both networks.
        randomness: of the penalty and the noise.
        classification_weight: λ_cls.
        cycle_weight: λ_rec.
        penalty: the gradient penalty with its weight λ_gp, if there is one.
        cycle_noise: standard deviation of the noise on translations that are translated back.
        accumulate: number of parts of a batch, which go through the networks one after another.
    """

    classification_weight: float
    cycle_weight: float
    penalty: Penalty | None = None
    cycle_noise: float = 0.0
    accumulate: int = 1

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the discriminator, each time on a new batch, then the generator on the last of them."""
        d, g, signals = self.discriminator, self.generator, Signals()
        for turn in range(d.turns):
            batch, shared = next(batches), None
            if turn == d.turns - 1 and self.accumulate == 1:  # with its graph, before the generator is frozen
                shared = self.model.translate(batch.condition)
            with d.learning(self.accumulate):
                for part, randomness in parts(batch, self.randomness, self.accumulate):
                    fake = (self.model.translate(part.condition) if shared is None else shared).detach()
                    draws = randomness.draws(len(part), "penalty", step, turn)
                    d.backward(*self.discriminator_losses(part, fake, draws))
            signals = d.update(step * d.turns + turn)
        with g.learning(self.accumulate):
            for part, randomness in parts(batch, self.randomness, self.accumulate):
                fake = self.model.translate(part.condition) if shared is None else shared
                draws = randomness.draws(len(part), "cycle noise", step)
                g.backward(self.generator_losses(part, fake, draws))
        return signals | g.update(step)

    def discriminator_losses(self, batch: Batch, fake: Tensor, draws: Draws) -> tuple[Signals, Signals]:
        """Return the losses of the discriminator, and the signals of its outputs."""
        real_out, fake_out = self.model.discriminate(batch.x), self.model.discriminate(fake)
        losses = {"discriminator_loss": self.loss.discriminator(real_out.scores, fake_out.scores)}
        losses["discriminator_class_loss"] = self.classification_weight * _class_loss(real_out, batch)
        if self.penalty is not None:
            losses["wgan-gp_penalty"] = self.penalty(self.scores, batch.x, fake, draws)
        return losses, {
            **score_signals(self.loss, real_out.scores, fake_out.scores),
            "class_accuracy_real": _accuracy(real_out, batch),
            "class_accuracy_fake": _accuracy(fake_out, batch),
        }

    def generator_losses(self, batch: Batch, fake: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Return the losses of the generator on translations `fake`."""
        out = self.model.discriminate(fake)
        back = self.model.translate_back(noisy(fake, self.cycle_noise, draws), batch.condition)
        real = [self.scores(batch.x)] if self.loss.compares_real else []
        return {
            "generator_loss": self.loss.generator(*real, out.scores),
            "generator_class_loss": self.classification_weight * _class_loss(out, batch),
            "cycle_loss": self.cycle_weight * l1_loss(back, batch.condition[SOURCE]),
        }

    def scores(self, x: Tensor) -> Tensor:
        """Return the discriminator's scores of the patches of images."""
        return self.model.discriminate(x).scores


def _class_loss(out: DiscriminatorOutput, batch: Batch) -> Tensor:
    return cross_entropy(_logits(out), batch.condition["label"])


def _accuracy(out: DiscriminatorOutput, batch: Batch) -> Tensor:
    return (_logits(out).argmax(1) == batch.condition["label"]).float().mean()


def _logits(out: DiscriminatorOutput) -> Tensor:
    assert out.classes is not None
    return out.classes
