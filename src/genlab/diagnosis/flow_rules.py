"""What goes wrong between an image and its latents where nothing is to be lost on the way."""

import numpy as np

from genlab.diagnosis.finding import Sign
from genlab.diagnosis.general_rules import CLIPPED, LOWERED, TENTH
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import LONG, POINTS, Context, Rule

LOST = 0.01  # of a number of an image in [-1, 1]: more than a grey level of 8 bits
RISEN = 1.0  # bits for each number of an image, or nats of a point
FAR = 3.0  # times the size that latents should have


def not_invertible(history: History, context: Context) -> Sign | None:
    """An image does not come back from its latents."""
    error = history["inversion_error"]
    since = error.held(error.values > LOST, POINTS)
    return None if since is None else Sign(since, [error.shows("inversion_error", f"below {LOST}")])


def likelihood_lost(history: History, context: Context) -> Sign | None:
    """The likelihood is far below its own best, and stays there."""
    loss = history["loss"].smooth(2 * LONG)
    if len(loss) < 4 * LONG:
        return None
    least = np.minimum.accumulate(loss.values)
    since = loss.held(loss.values > least + RISEN, LONG)
    return None if since is None else Sign(since, [loss.shows("loss", f"near its least, {least[-1]:.3g}")])


def latents_far(history: History, context: Context) -> Sign | None:
    """The latents of images are far larger than those of the prior."""
    size = history["latent_rms"].smooth()
    since = size.held(size.values > FAR, LONG)
    return None if since is None else Sign(since, [size.shows("latent_rms", "near 1")])


RULES = (
    Rule(
        "not-invertible",
        "Pictures do not come back from their latents",
        not_invertible,
        "Scales have grown so large that rounding destroys what they multiply. The network has an inverse on "
        "paper only, and neither samples nor densities can be trusted.",
        "Behrmann et al., 2021. Understanding and Mitigating Exploding Inverses in Invertible Neural Networks. "
        "arXiv:2006.09347",
        ("inversion_error",),
        ("flow",),
        (CLIPPED, LOWERED, TENTH),
    ),
    Rule(
        "likelihood-lost",
        "The likelihood has fallen far below its best",
        likelihood_lost,
        "A few steps in which the log-determinant or the latents of some picture exploded undo what was learned.",
        "Kingma and Dhariwal, 2018. Glow. arXiv:1807.03039",
        ("loss",),
        ("flow",),
        (CLIPPED, LOWERED, TENTH),
    ),
    Rule(
        "latents-far",
        "The latents of pictures lie far from the prior that samples are drawn from",
        latents_far,
        "The flow stretches pictures further than their density is worth. Draws from the prior then fall where no "
        "picture is.",
        "",
        ("latent_rms",),
        ("flow",),
        (LOWERED, TENTH),
    ),
)
