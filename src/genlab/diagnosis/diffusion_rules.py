"""What goes wrong where a network learns to tell images from noise."""

import numpy as np

from genlab.diagnosis.finding import Change, Evidence, Remedy, Sign
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import LONG, START, Context, Rule

UNLEARNED = 0.9  # of the loss of the very first step, in which the network predicts 0
RISEN = 2.0  # times the least loss
HORIZON = 0.5  # of a run, over which weights are averaged


def no_denoising(history: History, context: Context) -> Sign | None:
    """The loss is near what it was when the network predicted nothing."""
    loss = history["loss"].smooth().after(context.share(history, START))
    began = float(history["loss"].values[0]) if len(history["loss"]) else 0.0
    since = loss.held(loss.values > UNLEARNED * began, LONG)
    return None if since is None else Sign(since, [loss.shows("loss", f"below {UNLEARNED} × {began:.3g}")])


def diverging_loss(history: History, context: Context) -> Sign | None:
    """The loss is far above its own least, and stays there."""
    loss = history["loss"].smooth(2 * LONG)
    if len(loss) < 4 * LONG:
        return None
    least = np.minimum.accumulate(loss.values)
    since = loss.held(loss.values > RISEN * least, LONG)
    return None if since is None else Sign(since, [loss.shows("loss", f"near its least, {least[-1]:.3g}")])


def lagging_average(history: History, context: Context) -> Sign | None:
    """The weights that are published are an average over a good part of the run."""
    decay = context.options.get("ema")
    if not decay or not context.steps:
        return None
    horizon = 1 / (1 - decay)
    if horizon <= HORIZON * context.steps:
        return None
    expected = f"below {HORIZON * context.steps:,.0f}, half of the run"
    return Sign(0, [Evidence("steps that are averaged", horizon, expected)], "warning")


SLOWER = Remedy([Change("lr", published=True)], "The rate that this model is known to train at.")
TENTH = Remedy([Change("lr", times=0.1)], "Ten times smaller.")
CLIPPED = Remedy([Change("clip_norm", to=1.0)], "One step can do no more harm than any other.")

RULES = (
    Rule(
        "no-denoising",
        "The network cannot tell pictures from noise",
        no_denoising,
        "It predicts no better than in its first step, when it predicted nothing. The learning rate is far too "
        "high or too low.",
        "Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models. arXiv:2006.11239",
        ("loss",),
        ("diffusion",),
        (SLOWER, TENTH),
    ),
    Rule(
        "diverging-loss",
        "The loss has risen far above its least",
        diverging_loss,
        "What was learned is being undone. Large steps on a few very noisy or very quiet pictures do that.",
        "Nichol and Dhariwal, 2021. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672",
        ("loss",),
        ("diffusion",),
        (CLIPPED, SLOWER, TENTH),
    ),
    Rule(
        "lagging-average",
        "The published weights lag behind the trained ones",
        lagging_average,
        "They are an average over so many steps that the beginning of the run is part of it. Long averages are "
        "for long runs.",
        "Karras et al., 2024. Analyzing and Improving the Training Dynamics of Diffusion Models. arXiv:2312.02696",
        (),
        ("diffusion",),
        (Remedy([Change("ema", published=True)], "As many steps as this model is known to average over."),),
    ),
)
