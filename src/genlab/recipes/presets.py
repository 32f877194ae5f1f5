"""The named models: each a row of parts, with the hyperparameters of its paper."""

from collections.abc import Mapping

from genlab.recipes.recipe import AutoencoderRecipe, GANRecipe, Recipe, VAERecipe

PRESETS: Mapping[str, Recipe] = {
    "autoencoder": AutoencoderRecipe(architecture="mlp", width=512, batch=128),
    "conv-autoencoder": AutoencoderRecipe(architecture="dcgan", width=32, latent=64, batch=128),
    "vae": VAERecipe(architecture="mlp", width=500, latent=20, batch=100),
    "conv-vae": VAERecipe(architecture="dcgan", width=32, latent=64, batch=128),
    "gan": GANRecipe(architecture="mlp", width=1200, batch=100),
    "dcgan": GANRecipe(architecture="dcgan", width=64, batch=128),
    "dcgan-upsample": GANRecipe(architecture="dcgan-upsample", width=64, batch=128),
}

SUMMARIES: Mapping[str, str] = {
    "autoencoder": "Autoencoder with fully connected layers (Hinton and Salakhutdinov, 2006).",
    "conv-autoencoder": "Autoencoder with the convolutions of DCGAN (Masci et al., 2011).",
    "vae": "Variational autoencoder, fully connected (Kingma and Welling, 2013, arXiv:1312.6114).",
    "conv-vae": "Variational autoencoder with the convolutions of DCGAN (arXiv:1312.6114).",
    "gan": "The first GAN, fully connected (Goodfellow et al., 2014, arXiv:1406.2661).",
    "dcgan": "Deep convolutional GAN (Radford et al., 2015, arXiv:1511.06434).",
    "dcgan-upsample": "DCGAN with upsampling and convolution for transposed convolution (Odena et al., 2016).",
}
