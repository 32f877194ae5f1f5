"""The recipe of generative adversarial networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.core.errors import UsageError
from genlab.recipes import burn_in
from genlab.recipes.fields import chosen_parts, names_of, option
from genlab.recipes.recipe import LatentRecipe

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.player import Player
    from genlab.core.random import Draws, Randomness
    from genlab.core.schedules import Schedule
    from genlab.families.gan import GAN, Augment, Penalty
    from genlab.objectives.adversarial import AdversarialLoss
    from genlab.regularizers.adaptive import AdaptiveAugmentation

NormName = Literal["batch", "layer", "instance", "none"]
if TYPE_CHECKING:
    AdversarialName: TypeAlias = str
    AugmentName: TypeAlias = str
else:
    AdversarialName = names_of("objectives.adversarial", "ADVERSARIAL")
    AugmentName = names_of("regularizers.augmentation", "POLICIES", "none")

# What needs no look at a table, which would import torch.
RECONSTRUCTING = ("fastgan",)  # architectures with a network from features to images
SIGNED = ("non-saturating", "minimax", "hinge")  # losses whose scores are above 0 for real images


@dataclass(frozen=True)
class GANRecipe(LatentRecipe):
    """A generative adversarial network."""

    family: ClassVar[str] = "gan"
    takes_sources: ClassVar[bool] = True
    regularized: ClassVar[tuple[str, ...]] = ("weights", "gradient")

    # losses and updates
    loss: AdversarialName = option(
        "non-saturating", "adversarial loss of both networks; hinge if scores grow without bound", part="gan-loss"
    )
    discriminator_steps: int = option(
        1,
        "discriminator updates per step; raise it if the discriminator is too weak",
        least=1,
        aliases=("n_critic",),
    )
    generator_steps: int = option(
        1, "generator updates per step; raise it if the discriminator is too strong", least=1
    )
    optimizer: Literal["adam", "rmsprop"] = option("adam", "optimizer of both networks")
    generator_lr: float = option(
        2e-4, "learning rate of the generator; lower it if training diverges", above=0, aliases=("lr",)
    )
    discriminator_lr: float = option(
        2e-4, "learning rate of the discriminator; lower it if it is too strong", above=0, aliases=("lr",)
    )
    betas: tuple[float, float] = option(
        (0.5, 0.999), "β₁ and β₂ of Adam in both networks; lower β₁ if training oscillates", least=0, most=0.9999
    )
    burn_in: int = option(
        0,
        "first steps, over which learning rates fall from 4 times and --r1 and --r2 from 10 times their values, "
        "β₂ moves from 0.9 to its value, and --ema and --diff-augment set in; none by default",
        least=0,
    )
    feature_matching: bool = option(
        False, "train the generator to match the discriminator's mean features instead of its scores"
    )
    unrolled_steps: int = option(
        0, "discriminator updates to unroll in each generator update; against mode collapse, but slow", least=0
    )
    # target labels
    real_label: float = option(
        1.0, "discriminator target for real images; 0.9 for one-sided label smoothing", least=0, most=1
    )
    fake_label: float = option(
        0.0, "discriminator target for generated images; 0.1 to smooth them too", least=-1, most=1
    )
    wanted_label: float = option(
        1.0, "generator target for generated images; only for --loss least-squares", least=0, most=1
    )
    flip_labels: float = option(
        0.0, "probability of swapping real and fake labels, which slows down the discriminator", least=0, most=0.5
    )
    # discriminator inputs
    instance_noise: float = option(
        0.0,
        "standard deviation of noise on the discriminator inputs, falling to 0 over the run; use it if the "
        "discriminator is too strong",
        least=0,
    )
    diff_augment: AugmentName = option(
        "none", "differentiable augmentation of the discriminator inputs; for small data sets"
    )
    adaptive_augment: float = option(
        0.0,
        "augment the discriminator inputs as often as keeps the mean sign of its scores of real images at this "
        "target, such as 0.6 (ADA); for small data sets",
        least=0,
        most=1,
    )
    pack: int = option(
        1, "images that the discriminator scores together (PacGAN); 2 to 4 against mode collapse", least=1
    )
    minibatch: Literal["none", "discrimination", "stddev"] = option(
        "none", "discriminator layer that compares the images of a batch; use it against mode collapse"
    )
    # networks
    discriminator_norm: NormName | None = option(
        None,
        "normalisation in the discriminator; by default none for mlp and r3gan, batch for the others; layer with "
        "--gradient-penalty",
    )
    self_supervision: float = option(
        0.0,
        "weight of the reconstruction of real images from the discriminator's features, for --architecture "
        "fastgan (which uses 1); against overfitting to small data sets",
        least=0,
    )
    discriminator_dropout: float = option(
        0.0, "dropout probability in the discriminator; raise it if it overfits", least=0, most=0.9
    )
    spectral_norm: Literal["none", "discriminator", "generator", "both"] = option(
        "none", "networks with spectral normalisation; stabilises training"
    )
    attention: int | None = option(None, "side of the feature maps with self-attention, in both networks")
    # regularizers of gradients and weights
    weight_clip: float | None = option(
        None, "largest absolute weight of the discriminator (WGAN uses 0.01)", above=0
    )
    gradient_penalty: float = option(
        0.0, "weight of E(‖∇D‖ − 1)² between real and generated images (WGAN-GP uses 10)", least=0
    )
    dragan: float = option(0.0, "weight of E(‖∇D‖ − 1)² around real images (DRAGAN uses 10)", least=0)
    r1: float = option(0.0, "weight γ of γ/2·E‖∇D‖² at real images; try 10 if training is unstable", least=0)
    r2: float = option(0.0, "weight γ of γ/2·E‖∇D‖² at generated images", least=0)
    drift: float = option(
        0.0,
        "weight of the squared scores of real images; 0.001 if scores of --loss wasserstein drift away",
        least=0,
    )
    penalty_every: int = option(
        1,
        "discriminator updates between gradient penalties, whose weight is multiplied by it; above 1 is faster",
        least=1,
    )
    historical_averaging: float = option(
        0.0,
        "weight of the squared distance of each network's weights to their mean so far; against oscillation",
        least=0,
    )
    # class labels
    generator_labels: Literal["none", "concat", "batch-norm", "embedding"] = option(
        "none", "how the generator is conditioned on the class; embedding is for --architecture biggan"
    )
    discriminator_labels: Literal["none", "concat", "projection", "auxiliary"] = option(
        "none", "how the discriminator is conditioned on the class; auxiliary predicts it instead"
    )
    ema: float = option(
        0.999,
        "decay of the averaged weights, which are evaluated and sampled; 0 for no average",
        least=0,
        most=0.99999,
    )

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `GAN`."""
        from genlab.core.modality import DataSpec
        from genlab.regularizers.spectral import spectral_norm_

        labels = (
            {"label": spec.conditions["label"]} if self.discriminator_labels != "none" and spec.classes else {}
        )
        used = DataSpec(spec.target, {**labels, **self.sources(spec)})
        model = self._assembled(used)
        for name in ("generator", "discriminator"):
            if self.spectral_norm in (name, "both"):
                spectral_norm_(model.get_submodule(name))
        return model

    def _assembled(self, used: DataSpec) -> GAN:
        """Return both networks for the data and conditions `used`."""
        from genlab.architectures import compose
        from genlab.families.gan import GAN

        generator = compose.decoder(
            self.architecture,
            self.latent,
            used.target,
            self.width,
            labels=self.generator_labels,
            classes=used.classes,
            sources=self.sources(used),
            attention=self.attention,
            depth=self.depth,
            own=self.own,
        )
        return GAN(used, generator, self._discriminator(used), self.latent)

    def _discriminator(self, used: DataSpec) -> nn.Module:
        from genlab.architectures import compose

        return compose.discriminator(
            self.architecture,
            used.target,
            self.width,
            norm=self.discriminator_norm,
            dropout=self.discriminator_dropout,
            attention=self.attention,
            pack=self.pack,
            minibatch=self.minibatch,
            reconstructs=self.self_supervision > 0,
            labels=self.discriminator_labels,
            classes=used.classes,
            sources=self.sources(used),
            depth=self.depth,
            own=self.own,
        )

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `GANTraining`."""
        from genlab.families.gan import GAN, GANTraining
        from genlab.regularizers.adaptive import AdaptiveAugmentation
        from genlab.regularizers.noise import flip_labels
        from genlab.regularizers.unrolling import unrolled

        assert isinstance(model, GAN)
        target = self.adaptive_augment
        adaptive = AdaptiveAugmentation(target, randomness.device) if target else None
        return GANTraining(
            model,
            self._player("discriminator", model),
            self._player("generator", model),
            self._loss(),
            randomness,
            augment=self._augment(adaptive),
            adaptive=adaptive,
            flip_labels=partial(flip_labels, probability=self.flip_labels) if self.flip_labels else None,
            penalties=self._penalties(),
            penalty_factors=dict.fromkeys(("r1_penalty", "r2_penalty"), burn_in.gamma(self.burning_in)),
            penalty_every=self.penalty_every,
            unroll=partial(unrolled, steps=self.unrolled_steps) if self.unrolled_steps else None,
            feature_matching=self.feature_matching,
            drift=self.drift,
            self_supervision=self.self_supervision,
            one_pass=self._one_pass(model.discriminator),
            accumulate=self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined."""
        super().refuse(spec, processes)
        for wrong, reason in (
            *self._wrong_targets(),
            *self._wrong_regularizers(),
            *self._wrong_self_supervision(),
            *self._wrong_labels(spec),
            *self._wrong_augmentation(spec),
            *self._wrong_batches(processes),
        ):
            if wrong:
                raise UsageError(reason)

    def facts(self) -> Mapping[str, float]:
        """Return `slope_bounds`, how many options bound the discriminator's slope, if the loss needs such a bound.

        A user's own network or regularizer may bound it and counts.
        """
        from genlab.objectives.adversarial import ADVERSARIAL

        if self.loss not in ADVERSARIAL or not self.part(ADVERSARIAL, self.loss).unbounded:
            return {}
        own = [part for part in chosen_parts(self) if part.kind in ("architecture", "regularizer")]
        penalties = (self.gradient_penalty, self.dragan, self.r1 != 0, self.r2, self.weight_clip)
        normalised = self.spectral_norm in ("discriminator", "both")
        return {"slope_bounds": float(sum(map(bool, penalties)) + normalised + len(own))}

    def _wrong_targets(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.wanted_label != 1.0 and self.loss != "least-squares",
            f"--wanted-label {self.wanted_label:g} is only for --loss least-squares, not {self.loss}. Leave it "
            "out, or set --loss least-squares.",
        )
        if (self.real_label, self.fake_label) == (1.0, 0.0):
            return  # importing the table below would import torch
        from genlab.objectives.adversarial import ADVERSARIAL

        with_targets = [name for name, loss in ADVERSARIAL.items() if loss.targets]
        yield (
            self.loss not in with_targets,
            f"--real-label and --fake-label have no effect with --loss {self.loss}, which has no target labels. "
            f"Losses with target labels: {', '.join(with_targets)}.",
        )
        yield (
            self.part(ADVERSARIAL, self.loss).log_odds and self.fake_label < 0,
            f"--fake-label is a probability with --loss {self.loss}: choose 0 to 1, not {self.fake_label:g}.",
        )

    def _wrong_regularizers(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.weight_clip is not None and self.spectral_norm in ("discriminator", "both"),
            f"--weight-clip and --spectral-norm {self.spectral_norm} both bound the discriminator's Lipschitz "
            "constant, and each undoes the other. Leave one out, or set --spectral-norm generator.",
        )
        yield (
            self.gradient_penalty > 0 and (self.discriminator_norm or self._usual_norm()) == "batch",
            "--gradient-penalty needs the gradient for each image alone, but --discriminator-norm batch makes the "
            "images of a batch depend on each other. Choices: --discriminator-norm layer, instance or none.",
        )
        yield (
            self.penalty_every > 1
            and not (self.gradient_penalty or self.dragan or self.r1 != 0 or self.r2)
            and not any(part.traits.get("form") == "gradient" for part in chosen_parts(self)),
            f"--penalty-every {self.penalty_every} needs a gradient penalty: set --gradient-penalty, --dragan, "
            "--r1 or --r2.",
        )
        yield (
            self.unrolled_steps > 0 and self.optimizer != "adam",
            f"--unrolled-steps needs --optimizer adam, not {self.optimizer}. Set it, or leave --unrolled-steps "
            "out.",
        )
        yield (
            self.unrolled_steps > 0 and self.weight_clip is not None,
            "--unrolled-steps does not clip weights in the unrolled steps. Use --gradient-penalty or "
            "--spectral-norm discriminator instead of --weight-clip.",
        )

    def _wrong_self_supervision(self) -> Iterator[tuple[bool, str]]:
        if self.self_supervision and self.architecture not in RECONSTRUCTING:
            from genlab.architectures import ARCHITECTURES

            fitting = [name for name, row in ARCHITECTURES.items() if row.reconstruction]
            yield (
                self.architecture not in fitting,
                f"--self-supervision {self.self_supervision:g} reconstructs images from the discriminator's "
                f"features, for which --architecture {self.architecture} has no network. Choices: "
                f"{', '.join(fitting)}.",
            )
        yield (
            self.self_supervision > 0 and self.pack > 1,
            f"--self-supervision {self.self_supervision:g} reconstructs images from the discriminator's features, "
            f"which --pack {self.pack} makes those of several images. Leave one out.",
        )

    def _wrong_labels(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        generator, discriminator = self.generator_labels != "none", self.discriminator_labels != "none"
        yield (
            generator != discriminator,
            f"--generator-labels {self.generator_labels} and --discriminator-labels {self.discriminator_labels}: "
            "both networks must use the class, or neither. Choices for the generator: concat, batch-norm, "
            "embedding; for the discriminator: concat, projection, auxiliary.",
        )
        yield (
            discriminator and spec is not None and spec.classes == 0,
            f"--discriminator-labels {self.discriminator_labels} needs labelled data, but these have no labels. "
            "Put the images of each class into their own folder, or set --discriminator-labels and "
            "--generator-labels to none.",
        )
        yield (
            discriminator and self.pack > 1,
            f"--pack {self.pack} gives the discriminator images of several classes at once, so it cannot use "
            f"--discriminator-labels {self.discriminator_labels}. Leave one out.",
        )

    def _wrong_augmentation(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        data = spec.target.noun if spec else ""
        for name, used in {
            f"--diff-augment {self.diff_augment}": self.diff_augment != "none",
            f"--adaptive-augment {self.adaptive_augment:g}": self.adaptive_augment > 0,
        }.items():
            yield (
                used and spec is not None and spec.target.spatial != 2,
                f"{name} is only for images, but these data are {data}. Leave it out.",
            )
        yield (
            self.diff_augment != "none" and self.adaptive_augment > 0,
            f"--diff-augment {self.diff_augment} augments always, and --adaptive-augment as often as is needed. "
            "Leave one out.",
        )
        if self.adaptive_augment and self.loss not in SIGNED:
            from genlab.objectives.adversarial import ADVERSARIAL

            fitting = [name for name, loss in ADVERSARIAL.items() if loss.log_odds or loss.signed]
            yield (
                self.loss not in fitting,
                "--adaptive-augment asks how often scores of real images are above 0, which says nothing with "
                f"--loss {self.loss}. Choices: {', '.join(fitting)}.",
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
        """Return whether the discriminator's output for an image depends on that image alone."""
        from genlab.architectures import ARCHITECTURES
        from genlab.architectures.minibatch import MinibatchStddev
        from genlab.architectures.normalization import BatchNorm2d

        if self.architecture not in ARCHITECTURES.rows:
            return False  # a user's own network may mix the images in ways that do not show
        mixes = any(isinstance(module, BatchNorm2d | MinibatchStddev) for module in discriminator.modules())
        return not (mixes or self.discriminator_dropout or self.minibatch != "none")

    def _usual_norm(self) -> str:
        from genlab.architectures import ARCHITECTURES

        return self.part(ARCHITECTURES, self.architecture).norm

    def _loss(self) -> AdversarialLoss:
        from genlab.objectives.adversarial import ADVERSARIAL

        loss = self.part(ADVERSARIAL, self.loss)
        if loss.targets:
            labels = {"real_label": self.real_label, "fake_label": self.fake_label}
            loss = replace(loss, discriminator=partial(loss.discriminator, **labels))
        if self.loss == "least-squares":
            loss = replace(loss, generator=partial(loss.generator, wanted_label=self.wanted_label))
        return loss

    def _player(self, name: Literal["discriminator", "generator"], model: GAN) -> Player:
        """Return the player of a network: its optimizer, weight clipping and historical averaging."""
        from genlab.core.optimizer import KEPT, adam, rmsprop, set_beta2
        from genlab.regularizers.weights import MEAN, clip_weights_, historical_distance, remember_

        network: nn.Module = getattr(model, name)
        lr: float = getattr(self, f"{name}_lr")
        rates = self._rates(name)
        player = self.player(
            name,
            network,
            adam(network, name, lr, self.betas, rates)
            if self.optimizer == "adam"
            else rmsprop(network, name, lr, rates),
            among=model,
            turns=getattr(self, f"{name}_steps"),
        )
        if self.optimizer == "adam" and self.burn_in:
            beta2 = burn_in.beta2(self.betas[1], self.burning_in)
            player.before_step = [lambda optimizer, update: set_beta2(optimizer, beta2(update // player.turns))]
        limit, weight, own = self.weight_clip, self.historical_averaging, player.weight_regularizer
        if limit is not None and name == "discriminator":
            player.after_step = [lambda optimizer, step: clip_weights_(network, limit)]
        if weight:

            def distance(optimizer: Optimizer) -> Tensor:
                its = weight * historical_distance(optimizer)
                return its + own(optimizer) if own else its

            player.weight_regularizer = distance
            player.after_step = [*player.after_step, remember_]
            player.optimizer.defaults[KEPT] = (MEAN,)
        return player

    def _rates(self, name: str) -> Mapping[str, float]:
        """Return factors on the learning rate of parts of a network, by the beginnings of parameters' names."""
        return {}

    def _augment(self, adaptive: AdaptiveAugmentation | None) -> Augment:
        """Return the function that augments the discriminator's inputs and then adds instance noise."""
        from genlab.regularizers.augmentation import POLICIES, diff_augment
        from genlab.regularizers.noise import instance_noise

        deviation, probability = self._noise(), burn_in.share(self.burning_in)

        def augment(images: Tensor, step: int, draws: Draws) -> Tensor:
            if adaptive:
                images = adaptive(images, draws)
            if self.diff_augment != "none":
                images = diff_augment(images, draws, POLICIES[self.diff_augment], probability(step))
            if self.instance_noise:
                images = instance_noise(images, draws, deviation(step))
            return images

        return augment

    def _noise(self) -> Schedule:
        """Return the standard deviation of the instance noise as a function of the step."""
        from genlab.core.schedules import linear_decay

        fading = linear_decay(self.schedule_length)
        return lambda step: self.instance_noise * fading(step)

    @property
    def burning_in(self) -> int:
        """The steps of the burn-in: at most those over which schedules run."""
        return min(self.burn_in, self.schedule_length)

    def rate(self) -> Schedule:
        """Return the factor on both learning rates, which is larger during the burn-in."""
        scheduled, burning = super().rate(), burn_in.rate(self.burning_in)
        return lambda step: burning(step) * scheduled(step)

    def half_life(self) -> Schedule:
        """Return the factor on the half-life of the averaged weights, which rises from 0 during the burn-in."""
        return burn_in.share(self.burning_in)

    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules of the learning rate and the instance noise, and how far the burn-in is."""
        noise = {"instance_noise": self._noise()} if self.instance_noise else {}
        burning = {"burn_in": burn_in.share(self.burning_in)} if self.burn_in else {}
        return super().schedules() | noise | burning

    def _penalties(self) -> dict[str, Penalty]:
        from genlab.regularizers.gradient import PENALTIES, weighted
        from genlab.regularizers.own import own_regularizers

        weights = {"wgan-gp": self.gradient_penalty, "dragan": self.dragan, "r1": self.r1, "r2": self.r2}
        return {
            f"{name}_penalty": weighted(weight, PENALTIES[name]) for name, weight in weights.items() if weight
        } | {f"{name}_penalty": penalty for name, penalty in own_regularizers(self.own, "gradient").items()}
