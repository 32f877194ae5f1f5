"""Presets: recipes of genlab with the parts of this package. `genlab train my-gan` needs no further option."""

import genlab
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.gan import GANRecipe
from genlab.recipes.vae import VAERecipe

genlab.part("family", "my-gan")(
    GANRecipe(
        architecture="small-convs",
        loss="squared-hinge",
        own={"lasso": 1e-5, "zero_centred": 0.1},
        lr_schedule="warm-up",
    )
)
genlab.part("family", "my-vae")(VAERecipe(architecture="small-convs", reconstruction="huber", latent=32))
genlab.part("family", "my-diffusion")(
    DiffusionRecipe(
        architecture="small-convs", schedule="power", prediction="flow", sampler="renoise", sampling_steps=50
    )
)
