"""GANs whose generator draws an image from a style for each layer: StyleGAN and StyleGAN 2.

References:
    Karras, Laine and Aila, 2019. A Style-Based Generator Architecture for GANs. arXiv:1812.04948.
    Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN. arXiv:1912.04958.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import Signals
from genlab.core.distributed import all_reduce_mean
from genlab.core.modality import DataSpec
from genlab.core.random import Draws, Randomness, normal
from genlab.families.gan import GAN, GANTraining

NoiseName = Literal["fixed", "fresh", "off"]
STYLE_DECAY = 0.998  # of the running mean of the styles, as in the authors' later code
LENGTH_DECAY = 0.99  # of the running mean of the path lengths


class StyleGAN(GAN):
    """A generator g(f(z)) with a mapping network f, from latents to styles, and a synthesis network g.

    Args:
        spec: the target, and the conditions of both networks.
        generator: has the modules `mapping`, (latents (B, latent), condition) to styles (B, style), and
            `synthesis`, (styles (B, style_layers, style), noise of each layer or None) to raw examples.
        discriminator: as of a `GAN`.
        latent: dimensions of the latent.
        style: size of a style.
        style_layers: number of layers with a style of their own.
        noise_sides: side of the noise of each layer that takes some.
        truncation: ψ; samples have the styles w̄ + ψ (f(z) − w̄), with the running mean w̄. It can be changed.
        noise_mode: noise of samples: the same for all, new for each, or none. It can be changed.
    """

    mean_style: Tensor

    def __init__(
        self,
        spec: DataSpec,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        style: int,
        style_layers: int,
        noise_sides: Sequence[int],
        truncation: float = 1.0,
        noise_mode: NoiseName = "fixed",
    ) -> None:
        super().__init__(spec, generator, discriminator, latent)
        self.style_layers, self.noise_sides = style_layers, tuple(noise_sides)
        self.truncation, self.noise_mode = truncation, noise_mode
        self.register_buffer("mean_style", torch.zeros(style))
        for layer, side in enumerate(self.noise_sides):
            self.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))

    def map(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return f(z), the styles (B, style) of latents (B, latent), without truncation."""
        mapped: Tensor = self.generator.get_submodule("mapping")(latents, condition)
        return mapped

    def styles(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the styles (B, style_layers, style) of latents (B, latent), truncated: w̄ + ψ (f(z) − w̄).

        Raises:
            UsageError: as of `sample`.
        """
        mapped = self.map(latents, fill(self.conditions, condition, latents.shape[0], latents.device))
        return self.in_layers(torch.lerp(self.mean_style, mapped, self.truncation)).contiguous()

    def in_layers(self, styles: Tensor) -> Tensor:
        """Return styles (B, style) as those of all layers, (B, style_layers, style)."""
        return styles[:, None].expand(-1, self.style_layers, -1)

    def synthesize(self, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Return g(w), the examples (B, *shape) of styles (B, style_layers, style).

        `noise` is that of each layer, (B or 1, 1, side, side); by default the same for all, or none if
        `noise_mode` is off.
        """
        if noise is None and self.noise_mode != "off":
            noise = [self.get_buffer(f"noise_{layer}") for layer in range(len(self.noise_sides))]
        return self.modality.squash(self.generator.get_submodule("synthesis")(styles, noise))

    def style_weights(self) -> Tensor:
        """Return the weights (N, style) by which styles enter all layers."""
        modules = self.generator.get_submodule("synthesis").modules()
        return torch.cat([module.weight for module in modules if isinstance(module, nn.Linear)])

    def fresh_noise(self, draw: Callable[..., Tensor]) -> list[Tensor] | None:
        """Return new noise of each layer by `draw`, from a shape to (B, *shape); None if the model has it off."""
        return None if self.noise_mode == "off" else [draw(1, side, side) for side in self.noise_sides]

    def generate(self, latents: Tensor, condition: Condition) -> Tensor:
        """Return the examples (B, *shape) of latents (B, latent); all the model's conditions must be given."""
        return self.synthesize(self.styles(latents, condition))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        """Return `count` new examples (count, *shape).

        Labels that are not given cycle through the classes.

        Raises:
            UsageError: a condition that the model does not take, a value that does not fit, or a missing condition
                without a default.
        """
        latents = self.prior(count, generator)
        styles = self.styles(latents, condition)
        if self.noise_mode != "fresh":
            return self.synthesize(styles)
        return self.synthesize(
            styles, self.fresh_noise(lambda *shape: normal(generator, count, *shape).to(latents.device))
        )


@dataclass(eq=False)
class StyleGANTraining(GANTraining):
    """Trains a GAN of styles: mixed styles, fresh noise, and a penalty on how unevenly images change with them.

    Args:
        style_mixing: probability that an image gets two styles, the second one from a random layer on.
        path_length: weight of the path length penalty; 0 for none.
        path_length_every: n: it is added in every n-th update of the generator, with n times its weight.
    """

    model: StyleGAN
    style_mixing: float = 0.9
    path_length: float = 2.0
    path_length_every: int = 4

    def __post_init__(self) -> None:
        self.mean_length = torch.zeros((), device=self.randomness.device)

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The running mean of the path lengths, and the state of an adaptive augmentation."""
        return {**super().state, **({"path length": self.mean_length} if self.path_length else {})}

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        """Take a step as `GANTraining`; the running mean of the path lengths is a signal."""
        signals = super().step(step, batches)
        return signals | ({"path_length": self.mean_length.clone()} if self.path_length else {})

    def generate(self, batch: Batch, randomness: Randomness, *stream: int | str) -> Tensor:
        """Return as many generated examples as `batch` has, with the same conditions."""
        draws = randomness.draws(len(batch), "styles", *stream)
        return self.model.synthesize(self.styles(batch, draws), self.model.fresh_noise(draws.normal))

    def styles(self, batch: Batch, draws: Draws) -> Tensor:
        """Return styles (B, style_layers, style) for the conditions of `batch`, some of them mixed.

        An image gets the styles of one latent, or with probability `style_mixing` those of another one from a
        layer on that is uniform among all but the first. The running mean of the styles is updated.
        """
        model, given = self.model, batch.condition_for(self.model.conditions)
        mapped = model.map(draws.normal(model.latent), given)
        with torch.no_grad():
            model.mean_style.lerp_(all_reduce_mean(mapped.mean(0)), 1 - STYLE_DECAY)
        if not self.style_mixing:
            return model.in_layers(mapped)
        others = model.map(draws.normal(model.latent), given)
        first = crossovers(draws, model.style_layers, self.style_mixing)
        return mixed(model.in_layers(mapped), model.in_layers(others), first)

    def generator_penalties(self, part: Batch, randomness: Randomness, update: int) -> dict[str, Tensor]:
        """Return the path length penalty, if it is due: E[(ℓ − a)²] with a the running mean of ℓ (`path_lengths`).

        As in the authors' code it is of half the images, which saves memory.
        """
        if not self.path_length or update % self.path_length_every:
            return {}
        draws = randomness.draws(len(part), "path length", update)
        half = slice(max(1, len(part) // 2))
        styles = self.styles(part, draws)[half]
        noise = self.model.fresh_noise(lambda *shape: draws.normal(*shape)[half])
        towards = draws.normal(*self.model.modality.shape)[half]
        lengths = path_lengths(lambda given: self.model.synthesize(given, noise), styles, towards)
        self.mean_length.lerp_(all_reduce_mean(lengths.detach().mean()), 1 - LENGTH_DECAY)
        weight = self.path_length * self.path_length_every
        return {"path_length_penalty": weight * (lengths - self.mean_length.clone()).square().mean()}


def crossovers(draws: Draws, layers: int, probability: float) -> Tensor:
    """Return the first layer of the second style of each image, (B,): 1 to layers − 1, or `layers` for none."""
    chosen = 1 + (draws.uniform() * (layers - 1)).long()
    return torch.where(draws.uniform() < probability, chosen, layers)


def mixed(styles: Tensor, others: Tensor, first: Tensor) -> Tensor:
    """Return `styles` (B, L, style) in which those of layers from `first` (B,) on are replaced by `others`."""
    later = torch.arange(styles.shape[1], device=styles.device) >= first.to(styles.device)[:, None]
    return torch.where(later[:, :, None], others, styles)


def path_lengths(synthesize: Callable[[Tensor], Tensor], styles: Tensor, towards: Tensor) -> Tensor:
    """Return ℓ = √(mean over the layers of ‖Jᵀ y‖²), (B,), with J the Jacobian of images by the styles of a layer.

    If J has the same ℓ for all styles and directions y ~ N(0, 1/pixels), a step in styles changes images equally
    everywhere.

    Args:
        synthesize: styles to examples (B, *shape).
        styles: (B, L, style), with their graph.
        towards: draws of N(0, 1), (B, *shape).

    References:
        Karras et al., 2020. Analyzing and Improving the Image Quality of StyleGAN, section 3.2. arXiv:1912.04958.
    """
    if not styles.requires_grad:
        styles = styles.detach().requires_grad_()
    pixels = towards[0, 0].numel()
    reached = (synthesize(styles) * towards).sum() / pixels**0.5
    (slopes,) = torch.autograd.grad(reached, styles, create_graph=True)
    return slopes.square().sum(2).mean(1).sqrt()
