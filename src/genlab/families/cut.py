"""CUT: translates images, learned from two unpaired sets and from contrasts within each image.

References:
    Park et al., 2020. Contrastive Learning for Unpaired Image-to-Image Translation. arXiv:2007.15651.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.condition import SOURCE
from genlab.core.contract import Signals
from genlab.core.modality import Modality
from genlab.core.random import Draws, Randomness
from genlab.families.translation import Translator, generator_loss, score_signals
from genlab.families.two_players import TwoPlayerTraining
from genlab.objectives.contrastive import patch_nce


@runtime_checkable
class Encoder(Protocol):
    """A generator whose first half is also an encoder."""

    @property
    def encoded_channels(self) -> Sequence[int]:
        """The channels of the maps."""
        ...

    def encoded(self, source: Tensor) -> list[Tensor]:
        """Return maps (B, C, H, W) of several layers."""
        ...


class ContrastiveTranslator(Translator):
    """A translator whose generator also encodes images, with heads that project its maps.

    Args:
        target: modality of the images that it generates, and of the sources.
        conditions: that the generator takes: "source".
        generator: (sources (B, C, H, W), condition) -> raw outputs (B, C, H, W); an `Encoder`.
        discriminator: (images, condition) -> output.
        heads: (maps, positions (B, S) in each) -> unit vectors (B, S, F) for each.
    """

    def __init__(
        self,
        target: Modality,
        conditions: Mapping[str, Modality],
        generator: nn.Module,
        discriminator: nn.Module,
        heads: nn.Module,
    ) -> None:
        super().__init__(target, conditions, generator, discriminator)
        self.heads = heads

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the generator's tapped layers for images (B, *shape)."""
        return cast("Encoder", self.generator).encoded(images)


@dataclass(eq=False)
class ContrastiveTraining(TwoPlayerTraining[ContrastiveTranslator]):
    """Trains a generator whose images look like targets, and keep what is where in their source.

        min_G,H max_D  L_GAN(G, D) + λ_X L_NCE(G, H; x) + λ_Y L_NCE(G, H; y)

    L_NCE compares x and its translation at some positions of several layers of G, and also images y, which look as
    wanted already, and their translations.

    Args:
        model: all networks.
        discriminator: the player of `model.discriminator`.
        generator: the player of `model.generator` and `model.heads`.
        loss: the adversarial losses of both networks.
        randomness: of positions and mirrored sources.
        contrastive_weight: λ_X.
        identity_weight: λ_Y.
        temperature: τ of the contrastive loss.
        positions: compared in each layer and image; all of a map with fewer.
        flip_equivariance: whether half of the sources are mirrored before they are translated: the translation has
            to be mirrored like them.
        accumulate: number of parts of a batch, which go through the networks one after another.
    """

    contrastive_weight: float
    identity_weight: float
    temperature: float
    positions: int
    flip_equivariance: bool = False
    accumulate: int = 1

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the discriminator, then the generator and the heads, on the same batch and translations."""
        batch, d, g = next(batches), self.discriminator, self.generator
        shared = self.translate(step, batch, self.randomness) if self.accumulate == 1 else None
        with d.learning(self.accumulate):
            for part, randomness in parts(batch, self.randomness, self.accumulate):
                fake = (self.translate(step, part, randomness) if shared is None else shared).detach()
                real, made = self.scores(part.x), self.scores(fake)
                d.backward(
                    {"discriminator_loss": self.loss.discriminator(real, made)},
                    score_signals(self.loss, real, made),
                )
        signals = d.update(step)
        with g.learning(self.accumulate):
            for part, randomness in parts(batch, self.randomness, self.accumulate):
                fake = self.translate(step, part, randomness) if shared is None else shared
                adversarial = generator_loss(self.loss, self.scores, part.x, fake)
                g.backward({"generator_loss": adversarial, **self.contrasts(step, part, fake, randomness)})
        return signals | g.update(step)

    def scores(self, x: Tensor) -> Tensor:
        """Return the discriminator's scores of the patches of images."""
        return self.model.discriminate(x).scores

    def translate(self, step: int, batch: Batch, randomness: Randomness) -> Tensor:
        """Return the translations of the sources, some of which are mirrored before."""
        source = mirrored(batch.condition[SOURCE], self.flips(step, batch, randomness))
        return self.model.translate({SOURCE: source})

    def flips(self, step: int, batch: Batch, randomness: Randomness) -> Tensor | None:
        """Return which sources are mirrored in this step, (B,); None if mirroring is off."""
        if not self.flip_equivariance:
            return None
        return randomness.draws(len(batch), "flips", step).uniform() < 0.5

    def contrasts(self, step: int, batch: Batch, fake: Tensor, randomness: Randomness) -> dict[str, Tensor]:
        """Return the weighted contrastive losses of the translations `fake`, and of targets given as sources."""
        draws, source = randomness.draws(len(batch), "patches", step), batch.condition[SOURCE]
        flips = self.flips(step, batch, randomness)
        losses = {"contrastive_loss": self.contrastive_weight * self.contrast(source, fake, draws, flips)}
        if self.identity_weight:
            same = self.model.translate({SOURCE: batch.x})
            losses["contrastive_identity_loss"] = self.identity_weight * self.contrast(batch.x, same, draws)
        return losses

    def contrast(self, source: Tensor, made: Tensor, draws: Draws, flips: Tensor | None = None) -> Tensor:
        """Return the mean contrastive loss of all layers. Only the images `made` are learned from."""
        maps = [mirrored(its, flips) for its in self.model.maps(made)]
        places = drawn_positions(maps, self.positions, draws)
        queries = self.model.heads(maps, places)
        with torch.no_grad():
            keys = self.model.heads(self.model.maps(source), places)
        losses = [patch_nce(q, k, self.temperature) for q, k in zip(queries, keys, strict=True)]
        return torch.stack(losses).mean()


def drawn_positions(maps: Sequence[Tensor], count: int, draws: Draws) -> list[Tensor]:
    """Return `count` different positions of each map and image, or all of a smaller map: (B, count)."""
    places = (its.shape[2] * its.shape[3] for its in maps)
    return [draws.uniform(size).topk(min(count, size), dim=1).indices for size in places]


def mirrored(images: Tensor, which: Tensor | None) -> Tensor:
    """Return images (B, C, H, W), of which those of `which` (B,) are mirrored; None mirrors none."""
    return images if which is None else torch.where(which[:, None, None, None], images.flip(-1), images)
