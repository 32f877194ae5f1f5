"""The presets: named recipes with the hyperparameters of their papers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.parts import Part, Table
from genlab.recipes.adversarial_restoration import AdversarialRestorationRecipe
from genlab.recipes.autoencoder import AutoencoderRecipe
from genlab.recipes.biggan import BigGANRecipe
from genlab.recipes.cut import CUTRecipe
from genlab.recipes.cyclegan import CycleGANRecipe
from genlab.recipes.denoiser import DenoiserRecipe
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.gan import GANRecipe
from genlab.recipes.growing import GrowingGANRecipe
from genlab.recipes.pix2pix import Pix2PixRecipe
from genlab.recipes.recipe import Recipe
from genlab.recipes.restoration import RestorationRecipe
from genlab.recipes.stargan import StarGANRecipe
from genlab.recipes.style_gan import StyleGANRecipe
from genlab.recipes.style_transfer import StyleTransferRecipe
from genlab.recipes.vae import VAERecipe

AUTOENCODERS: Mapping[str, Recipe] = {
    "autoencoder": AutoencoderRecipe(architecture="mlp", width=512, batch_size=128),
    "conv-autoencoder": AutoencoderRecipe(architecture="dcgan", width=32, latent=64, batch_size=128),
    "sparse-autoencoder": AutoencoderRecipe(
        architecture="mlp", width=512, latent=196, batch_size=128, sparsity="kl", sparsity_weight=24.0
    ),
    "denoising-autoencoder": AutoencoderRecipe(
        architecture="dcgan", width=32, latent=64, batch_size=128, corruption="gaussian"
    ),
    "compressive-autoencoder": AutoencoderRecipe(
        architecture="mlp", width=512, latent=256, batch_size=128, rounding=60.0, lr_schedule="cosine"
    ),
}

DENOISERS: Mapping[str, Recipe] = {"dncnn": DenoiserRecipe(batch_size=16, lr_schedule="cosine")}

VAES: Mapping[str, Recipe] = {
    "vae": VAERecipe(architecture="mlp", width=500, latent=20, batch_size=100),
    "conv-vae": VAERecipe(architecture="dcgan", width=32, latent=64, batch_size=128),
    "beta-vae": VAERecipe(architecture="dcgan", width=32, latent=10, batch_size=64, beta=4.0, lr=5e-4),
    "cyclical-vae": VAERecipe(architecture="dcgan", width=32, latent=64, batch_size=128, kl_cycles=4),
    "conditional-vae": VAERecipe(architecture="dcgan", width=32, latent=32, batch_size=128, labels="concat"),
    "iwae": VAERecipe(
        architecture="mlp",
        width=200,
        latent=50,
        batch_size=20,
        binarise=True,
        importance_samples=5,
        lr_schedule="cosine",
    ),
}

SNGAN = GANRecipe(
    architecture="resnet",
    width=128,
    latent=128,
    loss="hinge",
    spectral_norm="discriminator",
    discriminator_norm="none",
    discriminator_steps=5,
    betas=(0.0, 0.9),
    lr_schedule="linear",
    steps=100_000,
)

STYLEGAN = StyleGANRecipe(
    architecture="stylegan",
    path_length=0.0,
    discriminator_norm="none",
    batch_size=32,
    generator_lr=1e-3,
    discriminator_lr=1e-3,
    betas=(0.0, 0.99),
    ema=0.999,
    steps=100_000,
)

STYLEGAN2 = replace(
    STYLEGAN,
    architecture="stylegan2",
    path_length=2.0,
    penalty_every=16,
    generator_lr=2e-3,
    discriminator_lr=2e-3,
    ema=0.998,
)

GANS: Mapping[str, Recipe] = {
    "gan": GANRecipe(architecture="mlp", width=1200, batch_size=100),
    "dcgan": GANRecipe(batch_size=128),
    "dcgan-upsample": GANRecipe(architecture="dcgan-upsample", batch_size=128),
    "cgan": GANRecipe(generator_labels="concat", discriminator_labels="concat", batch_size=100),
    "acgan": GANRecipe(
        generator_labels="concat", discriminator_labels="auxiliary", discriminator_dropout=0.5, batch_size=100
    ),
    "lsgan": GANRecipe(loss="least-squares"),
    "wgan": GANRecipe(
        loss="wasserstein",
        weight_clip=0.01,
        discriminator_steps=5,
        optimizer="rmsprop",
        generator_lr=5e-5,
        discriminator_lr=5e-5,
    ),
    "wgan-gp": GANRecipe(
        loss="wasserstein",
        gradient_penalty=10.0,
        discriminator_norm="layer",
        discriminator_steps=5,
        generator_lr=1e-4,
        discriminator_lr=1e-4,
        betas=(0.0, 0.9),
    ),
    "dragan": GANRecipe(dragan=10.0, discriminator_norm="layer"),
    "r1-gan": GANRecipe(
        r1=10.0, discriminator_norm="none", optimizer="rmsprop", generator_lr=1e-4, discriminator_lr=1e-4
    ),
    "sngan": SNGAN,
    "sagan": replace(
        SNGAN,
        spectral_norm="both",
        attention=16,
        discriminator_steps=1,
        generator_lr=1e-4,
        discriminator_lr=4e-4,
        lr_schedule="constant",
    ),
    "projection-gan": replace(SNGAN, generator_labels="batch-norm", discriminator_labels="projection"),
    "biggan": BigGANRecipe(
        architecture="biggan",
        width=128,
        latent=120,
        loss="hinge",
        spectral_norm="both",
        discriminator_norm="none",
        discriminator_steps=2,
        betas=(0.0, 0.999),
        generator_labels="embedding",
        discriminator_labels="projection",
        orthogonal=1e-4,
        ema=0.9999,
    ),
    "fastgan": GANRecipe(
        architecture="fastgan",
        width=32,
        latent=256,
        loss="hinge",
        spectral_norm="both",
        diff_augment="color-translation",
        self_supervision=1.0,
        batch_size=16,
    ),
    "progressive-gan": GrowingGANRecipe(
        architecture="progressive",
        latent=512,
        loss="wasserstein",
        gradient_penalty=10.0,
        drift=1e-3,
        discriminator_norm="none",
        minibatch="stddev",
        generator_lr=1e-3,
        discriminator_lr=1e-3,
        betas=(0.0, 0.99),
        batch_size=16,
    ),
    "relativistic-gan": GANRecipe(
        loss="relativistic-average", spectral_norm="discriminator", discriminator_norm="none"
    ),
    "r3gan": GANRecipe(
        architecture="r3gan",
        width=384,
        latent=64,
        loss="relativistic",
        r1=0.2,
        r2=0.2,
        generator_lr=5e-5,
        discriminator_lr=5e-5,
        betas=(0.0, 0.99),
        batch_size=256,
        burn_in=78_125,
        ema=0.9996,
        steps=200_000,
    ),
    "unrolled-gan": GANRecipe(unrolled_steps=5, generator_lr=1e-4, discriminator_lr=1e-4, batch_size=128),
    "pacgan": GANRecipe(pack=2),
    "minibatch-gan": GANRecipe(minibatch="discrimination", batch_size=100),
    "feature-matching-gan": GANRecipe(feature_matching=True, batch_size=100),
    "stylegan": STYLEGAN,
    "stylegan2": STYLEGAN2,
    "stylegan2-ada": replace(STYLEGAN2, adaptive_augment=0.6, mapping_layers=2, path_length=0.0),
}

VELOCITY = DiffusionRecipe(schedule="cosine", prediction="velocity", sampler="ddim", sampling_steps=50)

DIFFUSIONS: Mapping[str, Recipe] = {
    "ddpm": DiffusionRecipe(dropout=0.1),
    "cosine-diffusion": DiffusionRecipe(schedule="cosine", lr=1e-4, sampler="ddim", sampling_steps=50),
    "velocity-diffusion": VELOCITY,
    "flow-matching": DiffusionRecipe(schedule="straight", prediction="flow", sampler="euler", sampling_steps=50),
    "conditional-diffusion": replace(VELOCITY, labels="embedding", guidance=2.0),
}

FLOWS: Mapping[str, Recipe] = {
    "realnvp": FlowRecipe(architecture="realnvp", width=64, flow_steps=4),
    "glow": FlowRecipe(lr_warm_up=100),
    "spline-flow": FlowRecipe(architecture="spline", width=64, flow_steps=5, batch_size=256),
}

TABLES: Mapping[str, Recipe] = {
    "table-autoencoder": AutoencoderRecipe(
        architecture="mlp",
        width=256,
        latent=64,
        batch_size=128,
        corruption="gaussian",
        corruption_level=0.25,
        lr_schedule="cosine",
        steps=1000,
    ),
    "table-vae": VAERecipe(
        architecture="mlp",
        width=256,
        latent=16,
        batch_size=128,
        reconstruction="gaussian",
        lr_schedule="cosine",
        steps=3000,
    ),
    "table-flow": FlowRecipe(
        architecture="spline",
        width=64,
        flow_steps=3,
        noise=0.02,
        batch_size=256,
        ema=0.99,
        lr_schedule="cosine",
        steps=1000,
    ),
    "table-diffusion": replace(
        VELOCITY,
        architecture="mlp",
        width=256,
        batch_size=256,
        lr=1e-3,
        ema=0.995,
        lr_schedule="cosine",
        steps=5000,
    ),
}

TRANSLATIONS: Mapping[str, Recipe] = {
    "pix2pix": Pix2PixRecipe(architecture="unet", dropout=0.5, loss="non-saturating"),
    "cyclegan": CycleGANRecipe(lr_schedule="late-linear", steps=200_000),
    "cut": CUTRecipe(lr_schedule="late-linear", steps=200_000),
    "fastcut": CUTRecipe(
        contrastive_weight=10.0,
        identity_weight=0.0,
        flip_equivariance=True,
        lr_schedule="late-linear",
        steps=200_000,
    ),
    "stargan": StarGANRecipe(
        generator_lr=1e-4, discriminator_lr=1e-4, batch_size=16, lr_schedule="late-linear", steps=40_000
    ),
    "diffusion-translation": replace(VELOCITY, translate=True, width=64),
    "style-transfer": StyleTransferRecipe(),
}

SRGAN = AdversarialRestorationRecipe(
    pretraining=0.5,
    pixel_weight=1e-2,
    perceptual_weight=6e-3,
    norm="none",
    spectral_norm=True,
    lr=1e-4,
    lr_schedule="cosine",
)

RESTORERS: Mapping[str, Recipe] = {
    "srcnn": RestorationRecipe(architecture="srcnn", distance="l2", lr=1e-4),
    "fsrcnn": RestorationRecipe(architecture="fsrcnn", width=56, distance="l2", lr=1e-3, lr_schedule="cosine"),
    "edsr": RestorationRecipe(lr_schedule="cosine"),
    "context-encoder": AdversarialRestorationRecipe(
        architecture="context-encoder",
        degrade=("holes=centre",),
        distance="l2",
        pixel_weight=0.999,
        known_weight=0.0,
        batch_size=64,
        lr=2e-3,
        discriminator_lr=2e-4,
        betas=(0.5, 0.999),
        norm="batch",
        lr_schedule="cosine",
    ),
    "partial-conv": RestorationRecipe(
        architecture="partial-conv",
        degrade=("holes=strokes",),
        hole_weight=6.0,
        perceptual_weight=0.05,
        style_weight=120.0,
        smoothness_weight=0.1,
        lr=2e-4,
        lr_schedule="cosine",
    ),
    "gated-inpainting": AdversarialRestorationRecipe(
        architecture="gated",
        width=24,
        degrade=("holes=strokes",),
        adversarial_weight=1.0,
        loss="hinge",
        norm="none",
        spectral_norm=True,
        lr=1e-4,
        betas=(0.5, 0.999),
    ),
    "srgan": SRGAN,
    "esrgan": replace(
        SRGAN,
        architecture="rrdb",
        loss="relativistic-average",
        adversarial_weight=5e-3,
        perceptual_weight=3e-2,
        pretraining_lr=2e-4,
    ),
    "colorization": RestorationRecipe(
        architecture="colours", width=32, degrade=("grey=1",), distance="ab", lr_schedule="cosine"
    ),
}


def own_family(part: Part, own: Mapping[str, Any]) -> Recipe:
    """Return the preset of a user's own family: its recipe class with the default options, or a recipe.

    Raises:
        UsageError: it is neither.
    """
    try:
        recipe = part.value() if isinstance(part.value, type) else part.value
    except TypeError as error:
        raise UsageError(
            f'the family "{part.name}" cannot be made: {error}. Give every option a default.'
        ) from None
    if not isinstance(recipe, Recipe):
        raise UsageError(
            f'the family "{part.name}" must be a frozen dataclass that inherits from genlab.Recipe, not a '
            f"{type(recipe).__name__}."
        )
    return recipe


PRESETS: Table[Recipe] = Table(
    "family",
    {**AUTOENCODERS, **DENOISERS, **VAES, **GANS, **FLOWS, **DIFFUSIONS, **TABLES, **TRANSLATIONS, **RESTORERS},
    own_family,
)
