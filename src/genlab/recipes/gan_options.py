"""The options of generative adversarial networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import LatentRecipe

NormName = Literal["batch", "layer", "instance", "none"]
if TYPE_CHECKING:
    AdversarialName: TypeAlias = str
    AugmentName: TypeAlias = str
else:
    AdversarialName = names_of("objectives.adversarial", "ADVERSARIAL")
    AugmentName = names_of("regularizers.augmentation", "POLICIES", "none")


@dataclass(frozen=True)
class GANOptions(LatentRecipe):
    """What can be chosen of a generative adversarial network."""

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
