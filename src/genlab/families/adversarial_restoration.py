"""Restoration against a discriminator: pixels that are near the originals, and images that look like originals.

References:
    Pathak et al., 2016. Context Encoders: Feature Learning by Inpainting. arXiv:1604.07379.
    Ledig et al., 2017. Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network.
    arXiv:1609.04802.
    Wang et al., 2018. ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks. arXiv:1809.00219.
    Yu et al., 2019. Free-Form Image Inpainting with Gated Convolution. arXiv:1806.03589.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.func import functional_call

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, Condition
from genlab.core.contract import DiscriminatorOutput, Signals
from genlab.core.frozen import freeze
from genlab.core.modality import Modality
from genlab.families.restoration import Fidelity, Inpainter, Restorer, completed
from genlab.families.translation import generator_loss, score_signals
from genlab.families.two_players import TwoPlayerTraining


class AdversarialRestorer(Restorer):
    """A network that restores images, and the discriminator that it is trained against.

    If it was pretrained by distance alone, the weights θ₀ of that time are kept, and images are restored with
    (1 − α) θ₀ + α θ: α = 0 is the most faithful, α = 1 the sharpest.

    Args:
        target: modality of the images that it restores.
        conditions: "source", and "mask" if parts of it are missing.
        network: (sources (B, C, h, w), condition) -> images (B, C, H, W).
        discriminator: (images (B, C, H, W), condition) -> output.
        pretrained: whether the weights of an earlier phase are kept.
        alpha: α, which can be changed after training.

    References:
        Wang et al., 2018. ESRGAN, section 3.4: network interpolation. arXiv:1809.00219.
    """

    def __init__(
        self,
        target: Modality,
        conditions: Mapping[str, Modality],
        network: nn.Module,
        discriminator: nn.Module,
        *,
        pretrained: bool = False,
        alpha: float = 1.0,
    ) -> None:
        super().__init__(target, conditions, network)
        self.discriminator, self.alpha = discriminator, alpha
        self.pretrained = copy.deepcopy(network) if pretrained else None
        if self.pretrained is not None:
            freeze(self.pretrained)

    @property
    def remembered(self) -> Mapping[str, str]:
        """The copy that keeps the weights of the phase before."""
        return {} if self.pretrained is None else {"pretrained": "network"}

    def restore(self, condition: Condition) -> Tensor:
        """Return the restored images (B, C, H, W) in [-1, 1] of sources of any size.

        Pixels that a mask in `condition` says are known come back unchanged.
        """
        return self.interpolated(condition, self.alpha)

    def interpolated(self, condition: Condition, alpha: float) -> Tensor:
        """Return the restored images (B, C, H, W) by the weights (1 − α) θ₀ + α θ."""
        if alpha == 1 or self.pretrained is None:
            return super().restore(condition)
        before, now = self.pretrained.state_dict(), self.network.state_dict()
        mixed = {n: before[n].lerp(its, alpha) if its.is_floating_point() else its for n, its in now.items()}
        made: Tensor = functional_call(self.network, mixed, (condition[SOURCE], condition))
        return completed(made.clamp(-1, 1), condition)

    def discriminate(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return the discriminator's output for images (B, *shape)."""
        output: DiscriminatorOutput = self.discriminator(x, condition)
        return output


class AdversarialInpainter(AdversarialRestorer, Inpainter):
    """An `AdversarialRestorer` with a mask, which fills holes."""


@dataclass(eq=False)
class AdversarialRestorationTraining(TwoPlayerTraining[AdversarialRestorer]):
    """Trains a network whose images are near the originals and look real to a discriminator.

        min_G max_D  fidelity(G(y), x) + λ (E[log D(x)] + E[log(1 − D(G(y)))]), with any adversarial loss

    With a mask, D sees the known pixels of the originals around the hole of G(y): else it would learn the seam.

    Args:
        model: both networks.
        discriminator: the player of `model.discriminator`.
        generator: the player of `model.network`.
        loss: the adversarial losses of both networks.
        randomness: of the parts of a batch.
        fidelity: the distance to the originals.
        weight: λ.
        accumulate: number of parts of a batch, which go through the networks one after another.
    """

    fidelity: Fidelity
    weight: float
    accumulate: int = 1

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the discriminator, then the generator, on the same batch and the same restored images."""
        batch, d, g = next(batches), self.discriminator, self.generator
        shared = self.model.drawn(batch.condition) if self.accumulate == 1 else None
        with d.learning(self.accumulate):
            for part, _ in parts(batch, self.randomness, self.accumulate):
                made = self.model.drawn(part.condition) if shared is None else shared
                fake = completed(made.detach(), part.condition)
                real_scores, fake_scores = self.scores(part.x, part), self.scores(fake, part)
                d.backward(
                    {"discriminator_loss": self.loss.discriminator(real_scores, fake_scores)},
                    score_signals(self.loss, real_scores, fake_scores),
                )
        signals = d.update(step)
        with g.learning(self.accumulate):
            for part, _ in parts(batch, self.randomness, self.accumulate):
                made = self.model.drawn(part.condition) if shared is None else shared
                fake = completed(made, part.condition)
                adversarial = generator_loss(self.loss, partial(self.scores, batch=part), part.x, fake)
                g.backward({"generator_loss": self.weight * adversarial, **self.fidelity(made, part)})
        return signals | g.update(step)

    def scores(self, x: Tensor, batch: Batch) -> Tensor:
        """Return the discriminator's scores of images, given the conditions of a batch."""
        return self.model.discriminate(x, batch.condition).scores
