"""The recipe of generative adversarial networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from genlab.core.errors import UsageError
from genlab.recipes import burn_in
from genlab.recipes.fields import chosen_parts
from genlab.recipes.gan_options import GANOptions
from genlab.recipes.gan_refusals import refusals

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.player import Player
    from genlab.core.random import Draws, Randomness
    from genlab.core.schedules import Schedule
    from genlab.families.gan import GAN, Augment, GANTraining, Penalty
    from genlab.objectives.adversarial import AdversarialLoss
    from genlab.regularizers.adaptive import AdaptiveAugmentation


Trains = TypeVar("Trains", bound="GANTraining")


@dataclass(frozen=True)
class GANRecipe(GANOptions):
    """A generative adversarial network."""

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
        from genlab.families.gan import GANTraining

        return self._training(GANTraining, model, randomness)

    def _training(
        self,
        kind: type[Trains],
        model: nn.Module,
        randomness: Randomness,
        **more: Any,  # noqa: ANN401
    ) -> Trains:
        """Return a training of a kind, which takes `more` besides."""
        from genlab.families.gan import GAN
        from genlab.regularizers.adaptive import AdaptiveAugmentation
        from genlab.regularizers.noise import flip_labels
        from genlab.regularizers.unrolling import unrolled

        assert isinstance(model, GAN)
        target = self.adaptive_augment
        adaptive = AdaptiveAugmentation(target, randomness.device) if target else None
        return kind(
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
            **more,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for the first options that cannot be combined."""
        super().refuse(spec, processes)
        for wrong, reason in refusals(self, spec, processes):
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

    def _one_pass(self, discriminator: nn.Module) -> bool:
        """Return whether the discriminator's output for an image depends on that image alone."""
        from genlab.architectures import ARCHITECTURES
        from genlab.architectures.minibatch import MinibatchStddev
        from genlab.architectures.normalization import BatchNorm2d

        if self.architecture not in ARCHITECTURES.rows:
            return False  # a user's own network may mix the images in ways that do not show
        mixes = any(isinstance(module, BatchNorm2d | MinibatchStddev) for module in discriminator.modules())
        return not (mixes or self.discriminator_dropout or self.minibatch != "none")

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
