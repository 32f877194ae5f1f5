"""Generative adversarial networks: a generator trained against a discriminator.

References:
    Goodfellow et al., 2014. Generative Adversarial Networks. arXiv:1406.2661.
    Mirza and Osindero, 2014. Conditional Generative Adversarial Nets. arXiv:1411.1784.
    Odena, Olah and Shlens, 2017. Conditional Image Synthesis with Auxiliary Classifier GANs. arXiv:1610.09585.
    Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498.
    Liu, Zhu, Song and Elgammal, 2021. Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
    Synthesis. arXiv:2101.04775.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, l1_loss

from genlab.core.accumulation import parts
from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import DiscriminatorOutput, Signals
from genlab.core.distributed import all_reduce_mean
from genlab.core.modality import DataSpec
from genlab.core.random import Draws, Randomness, normal
from genlab.core.schedules import Schedule, constant
from genlab.families.two_players import TwoPlayerTraining

DiscriminatorFunction: TypeAlias = Callable[[Tensor, Condition], DiscriminatorOutput]
"""A discriminator: (x, condition) -> output."""

Augment: TypeAlias = Callable[[Tensor, int, Draws], Tensor]
"""An augmentation of the discriminator's inputs: (images, step, draws) -> images."""


class AdaptiveAugment(Protocol):
    """Follows the scores of real images with how it augments."""

    @property
    def state(self) -> Mapping[str, Tensor]:
        """What it has to keep from step to step, which is logged, too."""
        ...

    def observe(self, scores: Tensor, images: int) -> None:
        """Adjust to the scores (n,) of `images` real images."""
        ...


FlipLabels: TypeAlias = Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]]
"""Swaps some outputs of real and generated images: (real, fake, draws) -> (real, fake)."""

Penalty: TypeAlias = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Draws], Tensor]
"""A penalty with its weight: (function from images to scores, real, fake, draws) -> scalar."""

Unroll: TypeAlias = Callable[
    [nn.Module, torch.optim.Optimizer, Callable[[DiscriminatorFunction], Tensor]], DiscriminatorFunction
]
"""(discriminator, its optimizer, its loss) -> the discriminator after some further updates."""


class GAN(nn.Module):
    """A generator with the prior N(0, 1) over its latents, and its discriminator.

    Both networks get the conditions of the spec; labels that are not given cycle through the classes.
    """

    def __init__(self, spec: DataSpec, generator: nn.Module, discriminator: nn.Module, latent: int) -> None:
        super().__init__()
        self.modality, self.conditions = spec.target, spec.conditions
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent)."""
        return self.generate(latents, fill(self.conditions, condition, latents.shape[0], latents.device))

    def generate(self, latents: Tensor, condition: Condition) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent); all the model's conditions must be given."""
        return self.modality.squash(self.generator(latents, condition))

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from the prior N(0, 1), (count, latent)."""
        device = next(self.parameters()).device
        return normal(generator, count, self.latent).to(device)

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape).

        Labels that are not given cycle through the classes.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing condition
                without a default.
        """
        return self.decode(self.prior(count, generator), condition)

    def discriminate(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return the discriminator's output for examples (B, *shape); all the model's conditions must be given."""
        output: DiscriminatorOutput = self.discriminator(x, condition)
        return output


def _unchanged(images: Tensor, step: int, draws: Draws) -> Tensor:
    return images


@dataclass(eq=False)
class GANTraining(TwoPlayerTraining[GAN]):
    """Trains the discriminator and the generator alternately (Goodfellow et al., algorithm 1).

    Args:
        model: both networks.
        discriminator: the player of `model.discriminator`.
        generator: the player of `model.generator`.
        loss: the adversarial losses of both networks.
        randomness: of all draws of a step.
        augment: applied to all inputs of the discriminator, real and generated (noise, augmentation).
        adaptive: the augmentation among them that follows the discriminator's scores of real images.
        flip_labels: swaps some outputs of real and generated images in the discriminator's loss.
        penalties: added to the discriminator's loss, by name.
        penalty_factors: by which penalties are multiplied, by name, as functions of the step.
        penalty_every: n: penalties are added in every n-th update of the discriminator, with n times their weight.
        unroll: if given, the generator learns against the discriminator after some further updates, each with all
            penalties.
        feature_matching: whether the generator matches the discriminator's mean features instead of minimising
            its adversarial loss.
        drift: weight of the mean squared score of real images, which keeps scores near 0.
        self_supervision: weight of the reconstruction of real images from the discriminator's features.
        one_pass: whether real and generated images go through the discriminator as one batch; only for a
            discriminator that does not mix images.
        accumulate: number of parts of a batch, which go through the networks one after another.
    """

    augment: Augment = _unchanged
    adaptive: AdaptiveAugment | None = None
    flip_labels: FlipLabels | None = None
    penalties: Mapping[str, Penalty] = field(default_factory=dict)
    penalty_factors: Mapping[str, Schedule] = field(default_factory=dict)
    penalty_every: int = 1
    unroll: Unroll | None = None
    feature_matching: bool = False
    drift: float = 0.0
    self_supervision: float = 0.0
    one_pass: bool = False
    accumulate: int = 1

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Update the discriminator, each time on a new batch, then the generator.

        The generator's first update uses the generated images of the discriminator's last one. They are generated
        only once, unless the batch goes through the networks in parts.
        """
        d, g, signals = self.discriminator, self.generator, Signals()
        real: Tensor | None
        for turn in range(d.turns):
            batch, update, stream = next(batches), step * d.turns + turn, ("critic", step, turn)
            shared = None
            if turn == d.turns - 1 and self.accumulate == 1:  # with their graph, before the generator is frozen
                shared = self.generate(batch, self.randomness, *stream)
            with d.learning(self.accumulate):
                for part, randomness in parts(batch, self.randomness, self.accumulate):
                    given = part.condition_for(self.model.conditions)
                    draws = randomness.draws(len(part), "critic's view", step, turn)
                    fake = self.generate(part, randomness, *stream) if shared is None else shared.detach()
                    real, fake = self.augment(part.x, step, draws), self.augment(fake, step, draws)
                    real_out, fake_out = self.discriminate(real, fake, given)
                    losses = self.discriminator_losses(real_out, fake_out, given, draws)
                    if self.self_supervision:
                        distance = _reconstruction_distance(d.network, real, real_out)
                        losses["discriminator_reconstruction_loss"] = self.self_supervision * distance
                    if update % self.penalty_every == 0:
                        penalties = self.gradient_penalties(d.network, real, fake, given, step, draws)
                        losses |= {name: self.penalty_every * penalty for name, penalty in penalties.items()}
                    d.backward(losses, self.statistics(real_out, fake_out, given))
                    if self.adaptive:
                        self.adaptive.observe(real_out.scores, len(part))
                signals = d.update(update)
        for turn in range(g.turns):
            update = step * g.turns + turn
            if turn:
                stream, shared = ("generator", step, turn), None
            with g.learning(self.accumulate):
                for part, randomness in parts(batch, self.randomness, self.accumulate):
                    given = part.condition_for(self.model.conditions)
                    draws = randomness.draws(len(part), "generator's view", step, turn)
                    fake = self.generate(part, randomness, *stream) if shared is None else shared
                    fake = self.augment(fake, step, draws)
                    real = self.augment(part.x, step, draws) if self.generator_needs_real else None
                    opponent = self.opponent(real, fake, given, step, draws)
                    losses = self.generator_losses(opponent, real, fake, given)
                    g.backward(losses | self.generator_penalties(part, randomness, update))
                signals |= g.update(update)
        return signals

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The state of an adaptive augmentation."""
        return self.adaptive.state if self.adaptive else {}

    @property
    def generator_needs_real(self) -> bool:
        """Whether the generator's update needs real images."""
        return self.unroll is not None or self.loss.compares_real or self.feature_matching

    def generate(self, batch: Batch, randomness: Randomness, *stream: int | str) -> Tensor:
        """Return as many generated examples as `batch` has, with the same conditions."""
        latents = randomness.normal(len(batch), (self.model.latent,), *stream)
        return self.model.generate(latents, batch.condition_for(self.model.conditions))

    def discriminate(
        self, real: Tensor, fake: Tensor, given: Condition
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Return the discriminator's outputs for real and for generated examples."""
        discriminator = self.model.discriminator
        if not self.one_pass:
            return discriminator(real, given), discriminator(fake, given)
        twice = {name: torch.cat([value, value]) for name, value in given.items()}
        both = discriminator(torch.cat([real, fake]), twice)
        halves = [(None, None) if column is None else column.chunk(2) for column in both]
        real_out, fake_out = (DiscriminatorOutput(*half) for half in zip(*halves, strict=True))
        return real_out, fake_out

    def discriminator_losses(
        self, real_out: DiscriminatorOutput, fake_out: DiscriminatorOutput, given: Condition, draws: Draws
    ) -> dict[str, Tensor]:
        """Return the discriminator's adversarial loss, and the loss of its auxiliary classifier if it has one."""
        scores = real_out.scores, fake_out.scores
        if self.flip_labels:
            scores = self.flip_labels(*scores, draws)
        losses = {"discriminator_loss": self.loss.discriminator(*scores)}
        if self.drift:
            losses["drift_penalty"] = self.drift * real_out.scores.square().mean()
        if real_out.classes is not None and fake_out.classes is not None:
            # As Odena et al., on real and on generated images.
            labels = given["label"]
            classified = cross_entropy(real_out.classes, labels) + cross_entropy(fake_out.classes, labels)
            losses["discriminator_class_loss"] = classified
        return losses

    def gradient_penalties(
        self,
        discriminator: DiscriminatorFunction,
        real: Tensor,
        fake: Tensor,
        given: Condition,
        step: int,
        draws: Draws,
    ) -> dict[str, Tensor]:
        """Return the gradient penalties of a discriminator, by name."""
        score = partial(_scores, discriminator, given)
        return {
            name: self.penalty_factors.get(name, constant())(step) * penalty(score, real, fake, draws)
            for name, penalty in self.penalties.items()
        }

    def opponent(
        self, real: Tensor | None, fake: Tensor, given: Condition, step: int, draws: Draws
    ) -> DiscriminatorFunction:
        """Return the discriminator that the generator learns against: the current or the unrolled one."""
        d = self.discriminator
        if self.unroll is None:
            return d.network
        assert real is not None
        return self.unroll(d.network, d.optimizer, partial(self.unrolled_loss, real, fake, given, step, draws))

    def unrolled_loss(
        self,
        real: Tensor,
        fake: Tensor,
        given: Condition,
        step: int,
        draws: Draws,
        discriminator: DiscriminatorFunction,
    ) -> Tensor:
        """Return the discriminator's loss in its unrolled updates: all terms except the weight regularizer."""
        losses = self.discriminator_losses(
            discriminator(real, given), discriminator(fake, given), given, draws
        ) | self.gradient_penalties(discriminator, real, fake, given, step, draws)
        return torch.stack(list(losses.values())).sum()

    def generator_losses(
        self, discriminator: DiscriminatorFunction, real: Tensor | None, fake: Tensor, given: Condition
    ) -> dict[str, Tensor]:
        """Return the generator's adversarial or feature-matching loss, and that of the auxiliary classifier."""
        if self.loss.compares_real or self.feature_matching:
            assert real is not None
            real_out, fake_out = discriminator(real, given), discriminator(fake, given)
            loss = (
                _feature_distance(real_out, fake_out)
                if self.feature_matching
                else self.loss.generator(real_out.scores, fake_out.scores)
            )
        else:
            fake_out = discriminator(fake, given)
            loss = self.loss.generator(fake_out.scores)
        losses = {"generator_loss": loss}
        if fake_out.classes is not None:
            losses["generator_class_loss"] = cross_entropy(fake_out.classes, given["label"])
        return losses

    def generator_penalties(self, part: Batch, randomness: Randomness, update: int) -> dict[str, Tensor]:
        """Return what is added to the generator's losses in its update number `update`, by name; here nothing."""
        return {}

    def statistics(
        self, real_out: DiscriminatorOutput, fake_out: DiscriminatorOutput, given: Condition
    ) -> Signals:
        """Return the mean outputs of the discriminator, and its accuracies where outputs are decisions."""
        real, fake = real_out.scores.detach(), fake_out.scores.detach()
        signals = {"score_real": real.mean(), "score_fake": fake.mean()}
        if self.adaptive:
            signals |= {name: value.clone() for name, value in self.adaptive.state.items()}
        if self.loss.log_odds:
            signals |= {
                "D(x)": real.sigmoid().mean(),
                "D(G(z))": fake.sigmoid().mean(),
                "accuracy_real": (real > 0).float().mean(),
                "accuracy_fake": (fake < 0).float().mean(),
            }
        if real_out.classes is not None and fake_out.classes is not None:
            signals["class_accuracy_real"] = (real_out.classes.argmax(1) == given["label"]).float().mean()
            signals["class_accuracy_fake"] = (fake_out.classes.argmax(1) == given["label"]).float().mean()
        return signals


def _scores(discriminator: DiscriminatorFunction, given: Condition, images: Tensor) -> Tensor:
    return discriminator(images, given).scores


def _feature_distance(real_out: DiscriminatorOutput, fake_out: DiscriminatorOutput) -> Tensor:
    """‖E[f(x)] − E[f(G(z))]‖² (Salimans et al., section 3.1)."""
    gap = all_reduce_mean(real_out.features.mean(0)) - all_reduce_mean(fake_out.features.mean(0))
    return gap.square().sum()


def _reconstruction_distance(discriminator: nn.Module, real: Tensor, real_out: DiscriminatorOutput) -> Tensor:
    """E|x − decoder(f(x))|, with real images x reduced to the side of the decoder (Liu et al., section 3.2)."""
    made: Tensor = discriminator.get_submodule("decoder")(real_out.features)
    return l1_loss(made, adaptive_avg_pool2d(real, (made.shape[2], made.shape[3])))
