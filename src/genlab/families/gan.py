"""The generative adversarial network: a generator against a discriminator.

References:
    Goodfellow et al., 2014. Generative Adversarial Networks. arXiv:1406.2661.
    Mirza and Osindero, 2014. Conditional Generative Adversarial Nets. arXiv:1411.1784.
    Odena, Olah and Shlens, 2017. Conditional Image Synthesis with Auxiliary Classifier GANs. arXiv:1610.09585.
    Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.core.accumulation import optimizer_step_on
from genlab.core.batch import Batch
from genlab.core.contract import DiscriminatorOutput, Signals
from genlab.core.distributed import all_reduce_mean
from genlab.core.labels import chosen, round_robin
from genlab.core.optimizer import freeze_except
from genlab.core.random import Draws, Randomness
from genlab.objectives.adversarial import AdversarialLoss

DiscriminatorFunction: TypeAlias = Callable[
    [Tensor, Tensor | None], DiscriminatorOutput
]  # a discriminator: (images, labels)
View: TypeAlias = Callable[
    [Tensor, int, Draws], Tensor
]  # (images, step, draws) -> what the discriminator sees of them
Penalty: TypeAlias = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Draws], Tensor]
# A player's losses on a part of a batch, which it moves against the sum of, and what else there is to say.
Judged: TypeAlias = Callable[[Batch, Randomness], tuple[dict[str, Tensor], Signals]]
Unroll: TypeAlias = Callable[
    [nn.Module, torch.optim.Optimizer, Callable[[DiscriminatorFunction], Tensor]], DiscriminatorFunction
]


class GAN(nn.Module):
    """A generator of images from N(0, 1) latents, and the discriminator that taught it.

    With `classes` both are told the class of the image; an image whose class nobody names is of the class
    `row % classes`, so that a batch goes round them.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent: int, classes: int = 0) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.classes = classes

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] of latents (B, latent) and, with classes, labels (B,)."""
        labels = round_robin(len(latents), self.classes, latents.device) if labels is None else labels
        return torch.tanh(self.generator(latents, labels))

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` draws from N(0, 1), (count, latent)."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=generator).to(device)

    def sample(self, count: int, generator: torch.Generator | None = None, labels: Tensor | None = None) -> Tensor:
        """Return `count` new images, (count, C, H, W) in [-1, 1].

        Raises:
            UsageError: labels that are none of the model's classes.
        """
        latents = self.prior(count, generator)
        return self.decode(latents, chosen(labels, count, self.classes, latents.device))

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Return what the discriminator says of images (B, C, H, W); with classes, their labels (B,) must be "
        "given."""
        output: DiscriminatorOutput = self.discriminator(images, labels)
        return output


def _as_it_is(images: Tensor, step: int, draws: Draws) -> Tensor:
    return images


@dataclass(eq=False)
class GANTraining:
    """Alternates `discriminator_steps` descents of the discriminator with `generator_steps` of the generator
    (algorithm 1).

    Everything beyond the two players and their loss is a part that may be left out. The parts come in as
    functions, their weights and hyperparameters bound:

    Args:
        view: what the discriminator sees of real and generated images alike (noise, augmentation).
        flip: trades scores between real and generated images (noisy labels).
        penalties: added to the discriminator's loss, by name, every `penalty_every` of its steps and so much
            heavier.
        anchor: added to each player's loss, a function of its optimizer (historical averaging).
        afterwards: what happens to a player after each of its steps, given its optimizer and the step's number.
        unroll: gives the discriminator as it will be after some more steps; the generator plays against that one.
            On the way there penalties are due in every step.
        feature_matching: the generator matches the discriminator's mean features in place of its side of the loss.
        compares: whether the generator's side of the loss needs the scores of real images.
        one_pass: whether real and generated images go through the discriminator together, for a discriminator that
            judges each image by itself.
        log_odds: whether scores are the log-odds of real against generated, so that D = sigmoid(score).
        clip_norm: the largest norm of a player's gradient.
        accumulate: parts of a batch that go through the networks one after the other.
    """

    model: GAN
    optimizers: Mapping[str, torch.optim.Optimizer]  # of the discriminator and of the generator
    loss: AdversarialLoss
    randomness: Randomness
    discriminator_steps: int = 1
    generator_steps: int = 1
    view: View = _as_it_is
    flip: Callable[[Tensor, Tensor, Draws], tuple[Tensor, Tensor]] | None = None
    penalties: Mapping[str, Penalty] = field(default_factory=dict)
    penalty_every: int = 1
    anchor: Callable[[torch.optim.Optimizer], Tensor] | None = None
    afterwards: Mapping[str, Sequence[Callable[[torch.optim.Optimizer, int], None]]] = field(default_factory=dict)
    unroll: Unroll | None = None
    feature_matching: bool = False
    compares: bool = False
    one_pass: bool = False
    log_odds: bool = True
    clip_norm: float | None = None
    accumulate: int = 1

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Improve the discriminator `discriminator_steps` times, each on a fresh batch, then the generator.

        The generator first learns by the fakes that the discriminator saw last. They are made once for both,
        unless the batch goes through in parts, of which only one is kept at a time.
        """
        signals: Signals = {}
        fake: Tensor | None = None
        for turn in range(self.discriminator_steps):
            batch = next(batches)
            if turn == self.discriminator_steps - 1 and self.accumulate == 1:
                fake = self.fakes(batch, self.randomness, "critic", step, turn)
            with freeze_except(self.model.discriminator, among=self.model):
                signals = self.improve_discriminator(batch, step, turn, fake)
        with freeze_except(self.model.generator, among=self.model):
            for turn in range(self.generator_steps):
                signals |= self.improve_generator(batch, step, turn, None if turn else fake)
        return signals

    def improve_discriminator(self, batch: Batch, step: int, turn: int, fake: Tensor | None = None) -> Signals:
        """Take one descent step of the discriminator on real images and as many fakes of the same classes."""
        count = step * self.discriminator_steps + turn

        def judged(part: Batch, randomness: Randomness) -> tuple[dict[str, Tensor], Signals]:
            labels = part.labels if self.model.classes else None
            draws = randomness.draws(len(part), "critic's view", step, turn)
            with torch.no_grad():
                made = self.fakes(part, randomness, "critic", step, turn) if fake is None else fake.detach()
            real, made = self.view(part.images, step, draws), self.view(made, step, draws)
            of_real, of_fake = self._judge(real, made, labels)
            losses = self._discriminator_losses(of_real, of_fake, labels, draws)
            if count % self.penalty_every == 0:
                penalties = self._penalties(self.model.discriminator, real, made, labels, draws)
                losses |= {name: self.penalty_every * value for name, value in penalties.items()}
            return losses, self._verdict(of_real, of_fake, labels)

        return self._descend("discriminator", batch, judged, count)

    def improve_generator(self, batch: Batch, step: int, turn: int, fake: Tensor | None = None) -> Signals:
        """Take one descent step of the generator, against the discriminator as it is now or as it will be."""
        keys = ("generator", step, turn) if turn else ("critic", step, self.discriminator_steps - 1)

        def judged(part: Batch, randomness: Randomness) -> tuple[dict[str, Tensor], Signals]:
            labels = part.labels if self.model.classes else None
            draws = randomness.draws(len(part), "generator's view", step, turn)
            made = self.view(self.fakes(part, randomness, *keys) if fake is None else fake, step, draws)
            discriminator: DiscriminatorFunction = self.model.discriminator
            of_real = None
            if self.unroll or self.compares or self.feature_matching:
                real = self.view(part.images, step, draws)
                if self.unroll:
                    game = partial(self._game, real, made, labels, draws)
                    discriminator = self.unroll(self.model.discriminator, self.optimizers["discriminator"], game)
                if self.compares or self.feature_matching:
                    of_real = discriminator(real, labels)
            of_fake = discriminator(made, labels)
            losses = {"generator_loss": self._generator_loss(of_real, of_fake)}
            if labels is not None and of_fake.classes is not None:
                losses["generator_class_loss"] = cross_entropy(of_fake.classes, labels)
            return losses, {}

        return self._descend("generator", batch, judged, step * self.generator_steps + turn)

    def fakes(self, batch: Batch, randomness: Randomness, *keys: int | str) -> Tensor:
        """Return as many generated images as a batch has, of the same classes."""
        latents = randomness.normal(len(batch), (self.model.latent,), *keys)
        return self.model.decode(latents, batch.labels if self.model.classes else None)

    def _judge(
        self, real: Tensor, fake: Tensor, labels: Tensor | None
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Return the discriminator's outputs of real images and of as many generated ones."""
        if not self.one_pass:
            return self.model.discriminator(real, labels), self.model.discriminator(fake, labels)
        of_all = self.model.discriminator(torch.cat([real, fake]), None if labels is None else labels.repeat(2))
        halves = [(None, None) if column is None else column.chunk(2) for column in of_all]
        of_real, of_fake = (DiscriminatorOutput(*half) for half in zip(*halves, strict=True))
        return of_real, of_fake

    def _discriminator_losses(
        self, of_real: DiscriminatorOutput, of_fake: DiscriminatorOutput, labels: Tensor | None, draws: Draws
    ) -> dict[str, Tensor]:
        """Return the discriminator's side of the loss and, where it names classes, how badly it does."""
        scores = of_real.scores, of_fake.scores
        losses = {"discriminator_loss": self.loss(*(self.flip(*scores, draws) if self.flip else scores))[0]}
        if labels is not None and of_real.classes is not None and of_fake.classes is not None:
            # Odena et al.: those of real and of generated images.
            wrong = cross_entropy(of_real.classes, labels) + cross_entropy(of_fake.classes, labels)
            losses["discriminator_class_loss"] = wrong
        return losses

    def _penalties(
        self, discriminator: DiscriminatorFunction, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws
    ) -> dict[str, Tensor]:
        def score(images: Tensor) -> Tensor:
            return discriminator(images, labels).scores

        return {name: penalty(score, real, fake, draws) for name, penalty in self.penalties.items()}

    def _game(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, draws: Draws, discriminator: DiscriminatorFunction
    ) -> Tensor:
        """Return all that a discriminator on its way to an unrolled one minimises, but for its anchor."""
        losses = self._discriminator_losses(
            discriminator(real, labels), discriminator(fake, labels), labels, draws
        )
        penalties = self._penalties(discriminator, real, fake, labels, draws)
        return torch.stack([*losses.values(), *penalties.values()]).sum()

    def _generator_loss(self, of_real: DiscriminatorOutput | None, of_fake: DiscriminatorOutput) -> Tensor:
        """Return the generator's side of the loss, or the squared distance of the mean features."""
        if self.feature_matching:
            assert of_real is not None
            gap = all_reduce_mean(of_real.features.mean(0)) - all_reduce_mean(of_fake.features.mean(0))
            return gap.square().sum()
        # Without `compares` the scores of real images have no effect on the generator's side.
        return self.loss((of_real or of_fake).scores, of_fake.scores)[1]

    def _descend(self, player: str, batch: Batch, judged: Judged, count: int) -> Signals:
        """Move a player against the sum of its losses, in its step number `count`; report what there is to say."""
        optimizer = self.optimizers[player]

        def objective(part: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
            losses, verdict = judged(part, randomness)
            if self.anchor:
                losses[f"{player}_anchor"] = self.anchor(optimizer)
            return torch.stack(list(losses.values())).sum(), {**losses, **verdict}

        signals, norm = optimizer_step_on(
            batch, objective, optimizer, self.randomness, parts=self.accumulate, clip=self.clip_norm
        )
        for act in self.afterwards.get(player, ()):
            act(optimizer, count)
        return {**signals, f"{player}_gradient_norm": norm}

    def _verdict(
        self, of_real: DiscriminatorOutput, of_fake: DiscriminatorOutput, labels: Tensor | None
    ) -> Signals:
        """Say what the discriminator thought of real and of generated images."""
        real, fake = of_real.scores.detach(), of_fake.scores.detach()
        signals = {"score_real": real.mean(), "score_fake": fake.mean()}
        if self.log_odds:
            signals |= {
                "D(x)": real.sigmoid().mean(),
                "D(G(z))": fake.sigmoid().mean(),
                "accuracy_real": (real > 0).float().mean(),
                "accuracy_fake": (fake < 0).float().mean(),
            }
        if labels is not None and of_real.classes is not None and of_fake.classes is not None:
            signals["class_accuracy_real"] = (of_real.classes.argmax(1) == labels).float().mean()
            signals["class_accuracy_fake"] = (of_fake.classes.argmax(1) == labels).float().mean()
        return signals
