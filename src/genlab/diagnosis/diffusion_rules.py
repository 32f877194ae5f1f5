"""What can go wrong in diffusion models and flow matching."""

import numpy as np

from genlab.diagnosis.autoencoding_rules import KNOWN_RATE
from genlab.diagnosis.finding import Change, Remedy, Sign
from genlab.diagnosis.general_rules import CLIPPED, LOWERED, TENTH
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import LONG, Context, Rule, flat_loss

LEAST_R2 = -0.1  # on points, perceptrons stay near 0 for long
SLOW, SLOW_SHARE = 2000, 0.25  # steps, or a share of the run, that narrow perceptrons need on points
RISEN = 2.0  # times the minimum of the loss
TENTH_OF_KNOWN = Remedy(
    [Change("lr", published=True, times=0.1)],
    "A tenth of the learning rate with which this preset is known to train.",
)


def no_denoising(history: History, context: Context) -> Sign | None:
    """R² is below 0, or the loss is still what it was at first."""
    if "r2" not in history:
        return flat_loss(history["loss"], "loss")
    r2 = history["r2"].smooth().after(min(SLOW, context.share(history, SLOW_SHARE)))
    since = r2.true_since(r2.values < LEAST_R2, LONG)
    return None if since is None else Sign(since, [r2.shows("r2", f"above {LEAST_R2}")])


def diverging_loss(history: History, context: Context) -> Sign | None:
    """The loss stays far above its minimum."""
    loss = history["loss"].smooth(2 * LONG)
    if len(loss) < 4 * LONG:
        return None
    least = np.minimum.accumulate(loss.values)
    since = loss.true_since(loss.values > RISEN * least, LONG)
    return None if since is None else Sign(since, [loss.shows("loss", f"near its minimum, {least[-1]:.3g}")])


RULES = (
    Rule(
        "no-denoising",
        "No denoising: the network does not tell images from noise",
        no_denoising,
        "Its predictions are worse than those of a Gaussian that is fitted to each pixel by itself. The learning "
        "rate is far too high or too low.",
        "Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239",
        (("r2", "loss"),),
        ("diffusion",),
        (KNOWN_RATE, TENTH_OF_KNOWN),
    ),
    Rule(
        "diverging-loss",
        "Diverging loss: it has risen far above its minimum",
        diverging_loss,
        "The network is losing what it has learned. Large steps on a few images with very much or very little "
        "noise cause it.",
        "Nichol and Dhariwal, 2021. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672",
        ("loss",),
        ("diffusion",),
        (CLIPPED, LOWERED, TENTH),
    ),
)
