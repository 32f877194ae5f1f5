"""The recipe of GANs with styles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.recipes.fields import names_of, option
from genlab.recipes.gan import GANRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.families.style_gan import StyleGAN

if TYPE_CHECKING:
    StyleArchitectureName: TypeAlias = str
else:
    StyleArchitectureName = names_of("architectures.styles", "STYLES")

GAMMA = 0.0002  # times the pixels of an image, over the images of a batch


@dataclass(frozen=True)
class StyleGANRecipe(GANRecipe):
    """A GAN whose generator draws an image from styles."""

    title: ClassVar[str] = "GAN with styles"
    takes_sources: ClassVar[bool] = False

    architecture: StyleArchitectureName = option(
        "stylegan2", "networks of StyleGAN, which normalise each map, or of StyleGAN 2, which scale their weights"
    )
    width: int = option(
        64, "channels at the side of the image, doubled at each halving up to 8 times; 8 to 16 on a CPU", least=1
    )
    latent: int = option(
        512,
        "dimensions of the latent vector and of a style; 128 is enough for small images",
        least=1,
        aliases=("latent_dim",),
    )
    mapping_layers: int = option(8, "layers from a latent to its style; 2 for small data sets", least=1, most=100)
    mapping_lr: float = option(
        0.01, "factor on the learning rate of these layers; lower it if training is unstable", above=0, most=1
    )
    style_mixing: float = option(
        0.9, "probability that an image gets two styles in training, so that layers do not agree", least=0, most=1
    )
    path_length: float = option(
        2.0, "weight of the path length penalty, which makes images change evenly with styles; 0 for none", least=0
    )
    path_length_every: int = option(
        4, "generator updates between these penalties, whose weight is multiplied by it; 1 is slow", least=1
    )
    noise: Literal["fixed", "fresh", "off"] = option(
        "fixed",
        "noise on the pixels of samples: the same for all, fresh for each, or off; training has fresh noise, or "
        "none if it is off",
        sampling=True,
    )
    truncation: float = option(
        1.0,
        "ψ, which moves the styles of samples towards their mean; 0.7 for cleaner and less varied samples, 0 for "
        "the mean image",
        least=-2,
        most=2,
        sampling=True,
    )
    r1: float | None = option(  # type: ignore[assignment] # None is replaced before it is used
        None,
        "weight γ of γ/2·E‖∇D‖² at real images; by default 0.0002 · pixels / --batch-size; the first option to "
        "try other values of",
        least=0,
    )
    generator_labels: Literal["none", "concat"] = option(
        "none", "how the mapping network is conditioned on the class"
    )

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `StyleGANTraining`."""
        from genlab.families.style_gan import StyleGAN, StyleGANTraining

        assert isinstance(model, StyleGAN)
        if self.r1 is None:
            return replace(self, r1=self._gamma(model.modality.shape)).training(model, randomness)
        return self._training(
            StyleGANTraining,
            model,
            randomness,
            style_mixing=self.style_mixing,
            path_length=self.path_length,
            path_length_every=self.path_length_every,
        )

    def notes(self, spec: DataSpec) -> Mapping[str, str]:
        """Return which γ is used, if it was not given."""
        shape = spec.target.shape
        if self.r1 is not None:
            return {}
        said = f"γ = 0.0002 · {shape[1]}·{shape[2]} pixels / {self.batch_size} images = {self._gamma(shape):.3g}"
        return {"r1": f"{said}. If samples stay poor, try a tenth and ten times as much: --r1"}

    def _rates(self, name: str) -> Mapping[str, float]:
        return {"mapping.": self.mapping_lr} if name == "generator" else {}

    def _gamma(self, shape: tuple[int, ...]) -> float:
        """Return γ by the rule in the code of Karras et al., 2020 (arXiv:2006.06676)."""
        return GAMMA * prod(shape[1:]) / self.batch_size

    def _assembled(self, used: DataSpec) -> StyleGAN:
        from genlab.architectures import equalised, styles
        from genlab.families.style_gan import StyleGAN

        generator = styles.generator(
            self.architecture,
            self.latent,
            used.target,
            self.width,
            layers=self.mapping_layers,
            classes=used.classes if self.generator_labels == "concat" else 0,
            attention=self.attention,
        )
        equalised.initialise(generator)
        return StyleGAN(
            used,
            generator,
            self._discriminator(used),
            self.latent,
            style=self.latent,
            style_layers=generator.style_layers,
            noise_sides=generator.noise_sides,
            truncation=self.truncation,
            noise_mode=self.noise,
        )
