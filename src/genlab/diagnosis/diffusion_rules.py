"""What goes wrong where a network learns to tell images from noise."""

import numpy as np

from genlab.diagnosis.autoencoding_rules import KNOWN_RATE
from genlab.diagnosis.finding import Change, Remedy, Sign
from genlab.diagnosis.general_rules import CLIPPED, LOWERED, TENTH
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import LONG, Context, Rule, frozen_loss

EXPLAINED = -0.1  # more than who knows each pixel by itself; in points perceptrons see no more than that for long
SLOW, SLOW_SHARE = 2000, 0.25  # steps, or of the run: narrow perceptrons take so long to see anything in points
RISEN = 2.0  # times the least loss
TENTH_OF_KNOWN = Remedy(
    [Change("lr", published=True, times=0.1)], "A tenth of the rate that this model is known to train at."
)


def no_denoising(history: History, context: Context) -> Sign | None:
    """The network knows less than the mean and variance of each pixel, or at least no more than where it began."""
    if "r2" not in history:
        return frozen_loss(history["loss"], "loss")
    explained = history["r2"].smooth().after(min(SLOW, context.share(history, SLOW_SHARE)))
    since = explained.held(explained.values < EXPLAINED, LONG)
    return None if since is None else Sign(since, [explained.shows("r2", f"above {EXPLAINED}")])


def diverging_loss(history: History, context: Context) -> Sign | None:
    """The loss is far above its own least, and stays there."""
    loss = history["loss"].smooth(2 * LONG)
    if len(loss) < 4 * LONG:
        return None
    least = np.minimum.accumulate(loss.values)
    since = loss.held(loss.values > RISEN * least, LONG)
    return None if since is None else Sign(since, [loss.shows("loss", f"near its least, {least[-1]:.3g}")])


RULES = (
    Rule(
        "no-denoising",
        "The network cannot tell pictures from noise",
        no_denoising,
        "It predicts worse than who knows the mean and the variance of each pixel and nothing of what pixels have "
        "to do with each other. The learning rate is far too high or too low.",
        "Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239",
        (("r2", "loss"),),
        ("diffusion",),
        (KNOWN_RATE, TENTH_OF_KNOWN),
    ),
    Rule(
        "diverging-loss",
        "The loss has risen far above its least",
        diverging_loss,
        "What was learned is being undone. Large steps on a few very noisy or very quiet pictures do that.",
        "Nichol and Dhariwal, 2021. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672",
        ("loss",),
        ("diffusion",),
        (CLIPPED, LOWERED, TENTH),
    ),
)
