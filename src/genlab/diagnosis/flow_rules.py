"""What can go wrong in normalising flows."""

import numpy as np

from genlab.diagnosis.finding import Sign
from genlab.diagnosis.general_rules import CLIPPED, LOWERED, TENTH
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import LONG, POINTS, Context, Rule

LOST = 0.01  # error of a pixel in [-1, 1]: more than an 8-bit grey level
RISEN = 1.0  # bits per dimension of images, nats of points
FAR = 3.0  # times the root mean square of the prior


def not_invertible(history: History, context: Context) -> Sign | None:
    """Images are not recovered from their latents."""
    error = history["inversion_error"]
    since = error.true_since(error.values > LOST, POINTS)
    return None if since is None else Sign(since, [error.shows("inversion_error", f"below {LOST}")])


def diverging_likelihood(history: History, context: Context) -> Sign | None:
    """The likelihood stays far below its best."""
    loss = history["loss"].smooth(2 * LONG)
    if len(loss) < 4 * LONG:
        return None
    least = np.minimum.accumulate(loss.values)
    since = loss.true_since(loss.values > least + RISEN, LONG)
    return None if since is None else Sign(since, [loss.shows("loss", f"near its minimum, {least[-1]:.3g}")])


def prior_mismatch(history: History, context: Context) -> Sign | None:
    """The latents of images are far larger than draws from the prior."""
    size = history["latent_rms"].smooth()
    since = size.true_since(size.values > FAR, LONG)
    return None if since is None else Sign(since, [size.shows("latent_rms", "near 1")])


RULES = (
    Rule(
        "not-invertible",
        "Not invertible: images are not recovered from their latents",
        not_invertible,
        "Scales have grown so large that rounding errors destroy what they multiply. The network is invertible in "
        "theory only, and neither its samples nor its densities can be trusted.",
        "Behrmann et al., 2021. Understanding and Mitigating Exploding Inverses in Invertible Neural Networks. "
        "arXiv:2006.09347",
        ("inversion_error",),
        ("flow",),
        (CLIPPED, LOWERED, TENTH),
    ),
    Rule(
        "diverging-likelihood",
        "Diverging likelihood: it has fallen far below its best",
        diverging_likelihood,
        "In a few steps the log-determinant or the latents of some image exploded, which undid what was learned. "
        "Large steps cause it.",
        "Kingma and Dhariwal, 2018. Glow. arXiv:1807.03039",
        ("loss",),
        ("flow",),
        (CLIPPED, LOWERED, TENTH),
    ),
    Rule(
        "prior-mismatch",
        "Prior mismatch: the latents of images are far larger than draws from the prior",
        prior_mismatch,
        "The flow stretches images further than their likelihood gains from it. Latents that are drawn from the "
        "prior are then unlike those of any image.",
        "",
        ("latent_rms",),
        ("flow",),
        (LOWERED, TENTH),
    ),
)
