"""CycleGAN: translates images both ways between two sides, learned without pairs.

References:
    Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.
    arXiv:1703.10593.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.condition import NONE, SOURCE, Condition
from genlab.core.contract import Signals
from genlab.core.distributed import gather
from genlab.core.modality import Modality
from genlab.core.random import Draws, generator
from genlab.families.pool import Pool
from genlab.families.translation import Translator, generator_loss, noisy, score_signals
from genlab.families.two_players import TwoPlayerTraining


class BothWays(nn.Module):
    """Two networks of one kind: `there` for targets, `back` for sources; called, it is the one for targets."""

    def __init__(self, there: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.there, self.back = there, back

    def forward(self, x: Tensor, condition: Condition = NONE) -> object:
        """Return the output of the network for targets."""
        return self.there(x, condition)


class CycleTranslator(Translator):
    """Generators from source to target and back, and a discriminator of each side.

    Args:
        target: modality of the targets.
        source: modality of the sources.
        generators: G = `there`, from sources to raw targets, and F = `back`, from targets to raw sources.
        discriminators: of targets, `there`, and of sources, `back`.
    """

    generator: BothWays
    discriminator: BothWays

    def __init__(self, target: Modality, source: Modality, generators: BothWays, discriminators: BothWays) -> None:
        super().__init__(target, {SOURCE: source}, generators, discriminators)
        self.source = source

    def there(self, sources: Tensor) -> Tensor:
        """Return G(x): the targets (B, *shape) of sources (B, *source shape)."""
        return self.modality.squash(self.generator.there(sources))

    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return F(y): the sources (B, *source shape) of targets (B, *shape)."""
        return self.source.squash(self.generator.back(x))


@dataclass(eq=False)
class CycleGANTraining(TwoPlayerTraining[CycleTranslator]):
    """Trains G and F to look real to the discriminators D_Y and D_X, and to undo each other.

        L_adv(G, D_Y) + L_adv(F, D_X) + λ (E‖F(G(x)) − x‖₁ + E‖G(F(y)) − y‖₁)
            + λ ι (E‖G(y) − y‖₁ + E‖F(x) − x‖₁)

    for sources x and targets y, where ‖·‖₁ is the mean over the numbers of an image.

    Args:
        model: all four networks.
        discriminator: the player of both discriminators.
        generator: the player of both generators.
        loss: the adversarial losses of discriminators and generators.
        randomness: of the noise, and of which images of the pools are shown.
        cycle: λ.
        identity: ι; 0 needs no passes for it, and allows sides of different channels.
        pool: number of generated images of each side that are shown to its discriminator again; 0 for none.
        accumulate: number of parts of a batch, which go through the networks one after another.
        cycle_noise: standard deviation of the noise on translations that are translated back.
        one_pass: whether a network may see several batches at once, because no layer mixes or draws for images.
    """

    cycle: float
    identity: float
    pool: int
    accumulate: int = 1
    cycle_noise: float = 0.0
    one_pass: bool = False

    def __post_init__(self) -> None:
        sides = {"target": self.model.modality, "source": self.model.source}
        self.pools = {name: Pool(self.pool, side.shape, self.randomness.device) for name, side in sides.items()}

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The pools."""
        state: dict[str, Tensor] = {}
        for side, pool in self.pools.items() if self.pool else ():
            state |= {f"{side} pool/images": pool.images, f"{side} pool/count": pool.count}
        return state

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the generators, then the discriminators on the images that the generators made before it."""
        batch, d, g = next(batches), self.discriminator, self.generator
        made: list[tuple[Tensor, Tensor]] = []
        with g.learning(self.accumulate):
            for part, randomness in parts(batch, self.randomness, self.accumulate):
                draws = randomness.draws(len(part), "cycle noise", step)
                losses, target, source = self.generator_losses(part, draws)
                g.backward(losses)
                made.append((target.detach(), source.detach()))
        signals = g.update(step)
        targets, sources = (torch.cat(side) for side in zip(*made, strict=True))
        shown = Batch(
            self.from_pool("target", targets, step), batch.index, {SOURCE: self.from_pool("source", sources, step)}
        )
        with d.learning(self.accumulate):
            for real, fake in zip(batch.parts(self.accumulate), shown.parts(self.accumulate), strict=True):
                d.backward(*self.discriminator_losses(real, fake))
        return signals | d.update(step)

    def generator_losses(self, real: Batch, draws: Draws) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return the losses of G and F for a batch, and its translations G(x) and F(y)."""
        x, y, there, back = real.condition[SOURCE], real.x, self.model.there, self.model.translate_back
        targets = self.together(there, *([x, y] if self.identity else [x]))
        sources = self.together(back, *([y, x] if self.identity else [y]))
        target, source = targets[0], sources[0]
        adversarial = generator_loss(self.loss, self.scores_of_targets, y, target)
        adversarial = adversarial + generator_loss(self.loss, self.scores_of_sources, x, source)
        seen = [noisy(made, self.cycle_noise, draws) for made in (target, source)]
        cycle = l1_loss(back(seen[0]), x) + l1_loss(there(seen[1]), y)
        losses = {"generator_loss": adversarial, "cycle_loss": self.cycle * cycle}
        if self.identity:
            identity = l1_loss(targets[1], y) + l1_loss(sources[1], x)
            losses["identity_loss"] = self.cycle * self.identity * identity
        return losses, target, source

    def discriminator_losses(self, real: Batch, fake: Batch) -> tuple[dict[str, Tensor], Signals]:
        """Return the sum of the losses of D_Y and D_X, and the mean scores of both."""
        targets = self.together(self.scores_of_targets, real.x, fake.x)
        sources = self.together(self.scores_of_sources, real.condition[SOURCE], fake.condition[SOURCE])
        loss = self.loss.discriminator(*targets) + self.loss.discriminator(*sources)
        scores = (torch.cat([y.flatten(), x.flatten()]) for y, x in zip(targets, sources, strict=True))
        return {"discriminator_loss": loss}, score_signals(self.loss, *scores)

    def together(self, network: Callable[[Tensor], Tensor], *batches: Tensor) -> Sequence[Tensor]:
        """Return what a network makes of some equal batches, in one pass if that gives the same."""
        if not self.one_pass:
            return [network(images) for images in batches]
        return torch.split(network(torch.cat(batches)), len(batches[0]))

    def scores_of_targets(self, targets: Tensor) -> Tensor:
        """Return the scores of D_Y for the patches of targets, (B, patches)."""
        return self.model.discriminate(targets).scores

    def scores_of_sources(self, sources: Tensor) -> Tensor:
        """Return the scores of D_X for the patches of sources, (B, patches)."""
        scores: Tensor = self.model.discriminator.back(sources).scores
        return scores

    def from_pool(self, side: str, made: Tensor, step: int) -> Tensor:
        """Return the images of a side that its discriminator is shown; each process keeps the whole pool."""
        draws = generator(self.randomness.seed, f"{side} pool", step)
        return self.randomness.shard.rows(self.pools[side].shown(gather(made), draws))
