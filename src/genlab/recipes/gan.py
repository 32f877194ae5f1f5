"""The recipe of generative adversarial networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.core.errors import UsageError
from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import LatentRecipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.player import Player
    from genlab.core.random import Draws, Randomness
    from genlab.families.gan import GAN, Augment, Penalty
    from genlab.objectives.adversarial import AdversarialLoss

NormName = Literal["batch", "layer", "instance", "none"]
if TYPE_CHECKING:
    AdversarialName: TypeAlias = str
    AugmentName: TypeAlias = str
else:
    AdversarialName = names_of("objectives.adversarial", "ADVERSARIAL")
    AugmentName = names_of("regularizers.augmentation", "POLICIES", "none")


@dataclass(frozen=True)
class GANRecipe(LatentRecipe):
    """A generative adversarial network."""

    family: ClassVar[str] = "gan"
    takes_sources: ClassVar[bool] = True

    # the game
    loss: AdversarialName = option("non-saturating", "what both players minimise")
    discriminator_steps: int = option(1, "discriminator updates per step", least=1, aliases=("n_critic",))
    generator_steps: int = option(1, "steps of the generator in each round", least=1)
    optimizer: Literal["adam", "rmsprop"] = option("adam", "of both players")
    generator_lr: float = option(2e-4, "learning rate of the generator", above=0, aliases=("lr",))
    discriminator_lr: float = option(2e-4, "learning rate of the discriminator", above=0, aliases=("lr",))
    betas: tuple[float, float] = option(
        (0.5, 0.999), "Adam's moment decays, of both players", least=0, most=0.9999
    )
    feature_matching: bool = option(
        False, "the generator matches the discriminator's mean features instead of its scores"
    )
    unrolled_steps: int = option(0, "discriminator steps that the generator looks ahead", least=0)
    # what the discriminator is told
    real_label: float = option(
        1.0, "what the discriminator should say of real images; 0.9 smooths", least=0, most=1
    )
    fake_label: float = option(0.0, "what it should say of generated ones; 0.1 smooths", least=-1, most=1)
    wanted_label: float = option(
        1.0, "what the generator wants it to say; of the least-squares loss alone", least=0, most=1
    )
    flip_labels: float = option(
        0.0, "probability that the discriminator is told the wrong label", least=0, most=0.5
    )
    # what the discriminator sees
    instance_noise: float = option(
        0.0, "standard deviation of the noise on its inputs; falls to 0 over the steps", least=0
    )
    diff_augment: AugmentName = option("none", "differentiable augmentation of its inputs")
    pack: int = option(1, "images that it judges together", least=1)
    minibatch: Literal["none", "discrimination", "stddev"] = option(
        "none", "how it compares the images of a batch with each other"
    )
    # what the discriminator is made of
    discriminator_norm: NormName | None = option(
        None, "normalisation in the discriminator; by default none for mlp, batch for the others"
    )
    discriminator_dropout: float = option(0.0, "dropout in the discriminator", least=0, most=0.9)
    spectral_norm: Literal["none", "discriminator", "generator", "both"] = option(
        "none", "players whose layers have the spectral norm 1"
    )
    attention: int | None = option(None, "side of the feature maps that get self-attention, in both players")
    # what holds the discriminator's slope
    weight_clip: float | None = option(None, "largest absolute weight of the discriminator", above=0)
    gradient_penalty: float = option(0.0, "weight of E(‖∇D‖ − 1)² between real and generated images", least=0)
    dragan: float = option(0.0, "weight of E(‖∇D‖ − 1)² around real images", least=0)
    r1: float = option(0.0, "weight γ of γ/2·E‖∇D‖² at real images", least=0)
    r2: float = option(0.0, "weight γ of γ/2·E‖∇D‖² at generated images", least=0)
    penalty_every: int = option(1, "discriminator steps between these penalties, each so much heavier", least=1)
    historical_averaging: float = option(
        0.0, "weight of the squared distance of each player's weights to their mean so far", least=0
    )
    # labels
    generator_labels: Literal["none", "concat", "batch-norm"] = option(
        "none", "how the generator is told the class"
    )
    discriminator_labels: Literal["none", "concat", "projection", "auxiliary"] = option(
        "none", "how the discriminator is told the class, or made to name it"
    )
    ema: float = option(
        0.999, "decay of the average of the weights that is published; 0 for none", least=0, most=0.99999
    )

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `GAN`."""
        from genlab.architectures import compose
        from genlab.core.modality import DataSpec
        from genlab.families.gan import GAN
        from genlab.regularizers.spectral import spectral_norm_

        labels = (
            {"label": spec.conditions["label"]} if self.discriminator_labels != "none" and spec.classes else {}
        )
        sources = self.sources(spec)
        used = DataSpec(spec.target, {**labels, **sources})
        generator = compose.decoder(
            self.architecture,
            self.latent,
            used.target,
            self.width,
            labels=self.generator_labels,
            classes=used.classes,
            sources=sources,
            attention=self.attention,
            depth=self.depth,
        )
        discriminator = compose.discriminator(
            self.architecture,
            used.target,
            self.width,
            norm=self.discriminator_norm,
            dropout=self.discriminator_dropout,
            attention=self.attention,
            pack=self.pack,
            minibatch=self.minibatch,
            labels=self.discriminator_labels,
            classes=used.classes,
            sources=sources,
            depth=self.depth,
        )
        for player, network in {"generator": generator, "discriminator": discriminator}.items():
            if self.spectral_norm in (player, "both"):
                spectral_norm_(network)
        return GAN(used, generator, discriminator, self.latent)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `GANTraining`."""
        from genlab.families.gan import GAN, GANTraining
        from genlab.regularizers.noise import flip_labels
        from genlab.regularizers.unrolling import unrolled

        assert isinstance(model, GAN)
        return GANTraining(
            model,
            self._player("discriminator", model),
            self._player("generator", model),
            self._loss(),
            randomness,
            augment=self._augment(),
            flip_labels=partial(flip_labels, probability=self.flip_labels) if self.flip_labels else None,
            penalties=self._penalties(),
            penalty_every=self.penalty_every,
            unroll=partial(unrolled, steps=self.unrolled_steps) if self.unrolled_steps else None,
            feature_matching=self.feature_matching,
            one_pass=self._one_pass(model.discriminator),
            accumulate=self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first parts that cannot go together."""
        super().refuse(spec, processes)
        for wrong, reason in (
            *self._wrong_targets(),
            *self._wrong_slopes(),
            *self._wrong_labels(spec),
            *self._wrong_views(spec),
            *self._wrong_batches(processes),
        ):
            if wrong:
                raise UsageError(reason)

    def _wrong_targets(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.wanted_label != 1.0 and self.loss != "least-squares",
            f"--wanted-label is of --loss least-squares, not of {self.loss}.",
        )
        if (self.real_label, self.fake_label) == (1.0, 0.0):
            return  # the table below would import torch
        from genlab.objectives.adversarial import ADVERSARIAL

        with_targets = [name for name, loss in ADVERSARIAL.items() if loss.targets]
        yield (
            self.loss not in with_targets,
            f"--loss {self.loss} has no labels for --real-label and --fake-label to smooth. "
            f"Losses that have: {', '.join(with_targets)}.",
        )
        yield (
            ADVERSARIAL[self.loss].log_odds and self.fake_label < 0,
            f"--fake-label of --loss {self.loss} is a probability, 0 to 1, not {self.fake_label}.",
        )

    def _wrong_slopes(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.weight_clip is not None and self.spectral_norm in ("discriminator", "both"),
            "--weight-clip and --spectral-norm of the discriminator both bound its slope, and each undoes the "
            "other. "
            "Leave one out; --spectral-norm generator goes with clipping.",
        )
        yield (
            self.gradient_penalty > 0
            and (
                self.discriminator_norm == "batch"
                or (self.discriminator_norm is None and self.architecture != "mlp")
            ),
            "--gradient-penalty asks for the slope at each image, but --discriminator-norm batch makes the "
            "images of a "
            "batch depend on each other. Choices: --discriminator-norm layer, instance or none.",
        )
        yield (
            self.penalty_every > 1 and not (self.gradient_penalty or self.dragan or self.r1 or self.r2),
            "--penalty-every needs a penalty: --gradient-penalty, --dragan, --r1 or --r2.",
        )
        yield (
            self.unrolled_steps > 0 and self.optimizer != "adam",
            f"--unrolled-steps looks ahead with Adam, not with --optimizer {self.optimizer}.",
        )
        yield (
            self.unrolled_steps > 0 and self.weight_clip is not None,
            "--unrolled-steps looks ahead without clipping: use --gradient-penalty or --spectral-norm "
            "discriminator "
            "in place of --weight-clip.",
        )

    def _wrong_labels(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        told, named = self.generator_labels != "none", self.discriminator_labels != "none"
        yield (
            told != named,
            f"--generator-labels {self.generator_labels} and --discriminator-labels {self.discriminator_labels}: "
            f"both players "
            "must know the class, or neither. Choices of the generator: concat, batch-norm; of the discriminator: "
            "concat, projection, auxiliary.",
        )
        yield (
            named and spec is not None and spec.classes == 0,
            f"--discriminator-labels {self.discriminator_labels} needs labelled data, and these have none. Put "
            f"the pictures of "
            "each class into a folder of its own, or set --discriminator-labels and --generator-labels to none.",
        )
        yield (
            named and self.pack > 1,
            f"--pack {self.pack} shows the discriminator images of several classes at once, so that it cannot use "
            f"--discriminator-labels {self.discriminator_labels}. Leave one out.",
        )

    def _wrong_views(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        yield (
            self.diff_augment != "none" and spec is not None and spec.target.spatial != 2,
            f"--diff-augment {self.diff_augment} moves and recolours pictures, and these data are "
            f"{spec.target.noun if spec else ''}. Leave it out.",
        )

    def _wrong_batches(self, processes: int) -> Iterator[tuple[bool, str]]:
        parts = processes * self.accumulate
        rows = self.batch_size // parts
        nearest = max(1, rows // self.pack) * self.pack * parts
        yield (
            rows % self.pack > 0,
            f"--pack {self.pack} does not divide the {rows} images that go through the networks at once, of "
            f"--batch-size {self.batch_size}. Nearest: --batch-size {nearest}.",
        )

    def _one_pass(self, discriminator: nn.Module) -> bool:
        """Whether the discriminator's output for an image depends on that image alone."""
        from genlab.architectures.normalization import BatchNorm2d

        norms = any(isinstance(module, BatchNorm2d) for module in discriminator.modules())
        return not (norms or self.discriminator_dropout or self.minibatch != "none")

    def _loss(self) -> AdversarialLoss:
        from genlab.objectives.adversarial import ADVERSARIAL

        loss = ADVERSARIAL[self.loss]
        if loss.targets:
            labels = {"real_label": self.real_label, "fake_label": self.fake_label}
            loss = replace(loss, discriminator=partial(loss.discriminator, **labels))
        if self.loss == "least-squares":
            loss = replace(loss, generator=partial(loss.generator, wanted_label=self.wanted_label))
        return loss

    def _player(self, name: Literal["discriminator", "generator"], model: GAN) -> Player:
        """Return one of the two players, with its optimizer and what happens to its weights."""
        from genlab.core.optimizer import adam, rmsprop
        from genlab.core.player import Player
        from genlab.regularizers.weights import clip_weights_, historical_distance, remember_

        network: nn.Module = getattr(model, name)
        lr: float = getattr(self, f"{name}_lr")
        player = Player(
            name,
            network,
            adam(network, name, lr, self.betas) if self.optimizer == "adam" else rmsprop(network, name, lr),
            among=model,
            turns=getattr(self, f"{name}_steps"),
            clip_norm=self.clip_norm,
        )
        limit, weight = self.weight_clip, self.historical_averaging
        if limit is not None and name == "discriminator":
            player.after_step = [lambda optimizer, step: clip_weights_(network, limit)]
        if weight:
            player.weight_regularizer = lambda optimizer: weight * historical_distance(optimizer)
            player.after_step = [*player.after_step, remember_]
        return player

    def _augment(self) -> Augment:
        """Return what is done to the discriminator's inputs: augmented first, as the data would be, then noisy."""
        from genlab.core.schedules import linear
        from genlab.regularizers.augmentation import POLICIES, diff_augment
        from genlab.regularizers.noise import instance_noise

        fading = linear(self.steps)

        def augment(images: Tensor, step: int, draws: Draws) -> Tensor:
            if self.diff_augment != "none":
                images = diff_augment(images, draws, POLICIES[self.diff_augment])
            if self.instance_noise:
                images = instance_noise(images, draws, self.instance_noise * fading(step))
            return images

        return augment

    def _penalties(self) -> dict[str, Penalty]:
        from genlab.regularizers.gradient import PENALTIES

        weights = {"wgan-gp": self.gradient_penalty, "dragan": self.dragan, "r1": self.r1, "r2": self.r2}
        return {
            f"{name}_penalty": _weighted(weight, PENALTIES[name]) for name, weight in weights.items() if weight
        }


def _weighted(weight: float, penalty: Penalty) -> Penalty:
    def weighted(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        return weight * penalty(score, real, fake, draws)

    return weighted
