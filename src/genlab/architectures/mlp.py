"""Multi-layer perceptrons with two hidden layers, for images of any shape and for points.

References:
    Goodfellow et al., 2014. Generative Adversarial Networks, section 5. arXiv:1406.2661.
    Kingma and Welling, 2013. Auto-Encoding Variational Bayes, appendix C. arXiv:1312.6114.
"""

from torch import nn

from genlab.core.batch import ImageShape


def _layers(inputs: int, width: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Linear(inputs, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    ]


def decoder(latent: int, shape: ImageShape, width: int) -> nn.Module:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image."""
    pixels = shape.channels * shape.height * shape.width
    return nn.Sequential(*_layers(latent, width, pixels), nn.Unflatten(1, tuple(shape)))


def encoder(shape: ImageShape, outputs: int, width: int) -> nn.Module:
    """Return a network from images (B, C, H, W) to (B, outputs); with one output it is a critic."""
    pixels = shape.channels * shape.height * shape.width
    return nn.Sequential(nn.Flatten(), *_layers(pixels, width, outputs))
