"""What can go wrong in any training."""

import numpy as np

from genlab.core.signal_kinds import DEAD_UNITS, GRADIENT_NORM, UPDATE_RATIO
from genlab.diagnosis.finding import Change, Evidence, Remedy, Sign
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.rule import POINTS, START, Context, Rule

LARGE_UPDATE = 0.02  # of a player's weights in one step
FIRST_UPDATE = 1.0  # of them in the very first step: nothing is left of their initialisation
SMALL_UPDATE = 1e-5
EXPLODED, LEAST_NORM = 100.0, 1e-3  # times the usual norm, which counts as LEAST_NORM if it is smaller
DEAD = 0.5  # of a part's units
WAITING = 0.3  # of the time
WORSE = 1.5  # times the best
LATE = 3  # evaluations in a row


def not_finite(history: History, context: Context) -> Sign | None:
    """A loss, a gradient or a weight was NaN or infinite."""
    if not history.not_finite:
        return None
    name, step = min(history.not_finite.items(), key=lambda item: item[1])
    return Sign(step, [Evidence(name, float("nan"), "a number")])


def rate_too_high(history: History, context: Context) -> Sign | None:
    """A player's weights change by several percent in each step, or by more than their norm in the first."""
    for name, ratio in _updates(history).items():
        first = ratio.until(1)
        if len(first) and first.last > FIRST_UPDATE:
            return Sign(1, [first.shows(f"first {name}", f"below {FIRST_UPDATE:g}")])
        ratio = ratio.smooth().after(context.share(history, START))
        since = ratio.true_since(ratio.values > LARGE_UPDATE, POINTS)
        if since is not None:
            return Sign(since, [ratio.shows(name, f"below {LARGE_UPDATE:g}")])
    return None


def rate_too_low(history: History, context: Context) -> Sign | None:
    """The weights of all players have hardly changed since the beginning."""
    ratios = {name: ratio.smooth() for name, ratio in _updates(history).items() if len(ratio)}
    still = [ratio.true_since(ratio.values < SMALL_UPDATE, POINTS) == ratio.steps[0] for ratio in ratios.values()]
    if not still or not all(still):
        return None
    evidence = [ratio.shows(name, f"above {SMALL_UPDATE:g}") for name, ratio in ratios.items()]
    return Sign(int(min(ratio.steps[0] for ratio in ratios.values())), evidence)


def _updates(history: History) -> dict[str, Series]:
    """Return the update ratios of all players, without the first step of a flow, which initialises scales."""
    started = {"flow_update_ratio": 2}  # activation normalisation is initialised by the first batch
    return {name: history[name].after(started.get(name, 0)) for name in history.names(UPDATE_RATIO)}


def exploding_gradients(history: History, context: Context) -> Sign | None:
    """A gradient norm stays at a hundred times its median in the first half of the run."""
    for name in history.names(GRADIENT_NORM):
        norm = history[name].smooth()
        if len(norm) < 4 * POINTS:
            continue
        usual = float(np.median(norm.values[: len(norm) // 2]))
        since = norm.true_since(norm.values > EXPLODED * max(usual, LEAST_NORM), POINTS)
        if since is not None:
            return Sign(since, [norm.shows(name, f"near {usual:.2g}, as before")])
    return None


def dead_units(history: History, context: Context) -> Sign | None:
    """Half of the ReLU units of a part of the model output 0 for every input."""
    for name in history.names(DEAD_UNITS):
        dead = history[name].smooth()
        since = dead.true_since(dead.values > DEAD, POINTS)
        if since is not None:
            return Sign(since, [dead.shows(name, f"below {DEAD:g}")])
    return None


def training_collapse(history: History, context: Context) -> Sign | None:
    """Several evaluations in a row are far worse than the best one."""
    criterion = history["criterion"]
    if len(criterion) < 2 * LATE:
        return None
    best = np.minimum.accumulate(criterion.values)
    since = criterion.true_since((criterion.values > WORSE * best) & (best > 0), LATE)
    return None if since is None else Sign(since, [criterion.shows("criterion", f"near its best, {best[-1]:.3g}")])


def slow_data_loading(history: History, context: Context) -> Sign | None:
    """A large fraction of the time is spent waiting for batches."""
    waiting = history["data_wait_fraction"].smooth()
    since = waiting.true_since(waiting.values > WAITING, POINTS)
    return (
        None
        if since is None
        else Sign(since, [waiting.shows("data_wait_fraction", f"below {WAITING:g}")], "warning")
    )


BALANCE = (
    "generator_lr",
    "discriminator_lr",
    "generator_steps",
    "discriminator_steps",
    "optimizer",
    "betas",
    "loss",
)
BALANCED = Remedy(
    [Change(option, published=True) for option in BALANCE],
    "The loss, learning rates and steps of each player with which this preset is known to train.",
)
KNOWN = "The learning rate with which this preset is known to train."
SMALLER_STEPS, LARGER_STEPS = "A ten times smaller learning rate.", "A ten times larger learning rate."
LOWERED = Remedy([Change("lr", published=True, only="down"), Change("betas", published=True)], KNOWN)
RAISED = Remedy([Change("lr", published=True, only="up"), Change("betas", published=True)], KNOWN)
TENTH = Remedy([Change("lr", times=0.1)], SMALLER_STEPS)
SLOWER = (
    LOWERED,
    BALANCED,
    TENTH,
    Remedy([Change("generator_lr", times=0.1), Change("discriminator_lr", times=0.1)], SMALLER_STEPS),
)
FASTER = (
    RAISED,
    BALANCED,
    Remedy([Change("lr", times=10.0)], LARGER_STEPS),
    Remedy([Change("generator_lr", times=10.0), Change("discriminator_lr", times=10.0)], LARGER_STEPS),
)
TRAINED = ("generator", "vae", "autoencoder", "denoiser", "diffusion", "flow", "restorer")
RATIOS = tuple(f"{player}_update_ratio" for player in TRAINED)
CLIPPED = Remedy([Change("clip_norm", to=1.0)], "Gradient clipping limits the damage that one step can do.")

RULES = (
    Rule(
        "not-finite",
        "NaN or Inf",
        not_finite,
        "A number overflowed, and everything computed from it is lost. The usual cause is a learning rate that is "
        "too high.",
        needs=(),
        remedies=(*SLOWER, CLIPPED),
    ),
    Rule(
        "learning-rate-too-high",
        "Learning rate too high: the weights change by several percent in every step",
        rate_too_high,
        "A step goes far beyond where its gradient is valid, and the next one has to undo it. A healthy update "
        "changes the weights by about a thousandth.",
        "Karpathy, 2015. CS231n: Neural Networks, Part 3: ratio of weights to updates",
        (RATIOS,),
        remedies=SLOWER,
    ),
    Rule(
        "learning-rate-too-low",
        "Learning rate too low: the weights hardly change",
        rate_too_low,
        "At this rate the run will end before the model has learned anything. A healthy update changes the "
        "weights by about a thousandth.",
        "Karpathy, 2015. CS231n: Neural Networks, Part 3: ratio of weights to updates",
        (RATIOS,),
        remedies=FASTER,
    ),
    Rule(
        "exploding-gradients",
        "Exploding gradients: a gradient is a hundred times its usual size",
        exploding_gradients,
        "A step along such a gradient destroys what was learned. Gradients explode where the loss is very steep, "
        "which large steps and unbounded losses lead to.",
        "Pascanu, Mikolov and Bengio, 2013. On the difficulty of training recurrent neural networks. "
        "arXiv:1211.5063",
        (("gradient_norm", "generator_gradient_norm", "discriminator_gradient_norm"),),
        remedies=(CLIPPED, *SLOWER),
    ),
    Rule(
        "dead-units",
        "Dead ReLU units: most units of a network output 0 for every image",
        dead_units,
        "A unit that is never active has no gradient and does not recover. The usual cause is a learning rate "
        "that is too high.",
        "Maas, Hannun and Ng, 2013. Rectifier Nonlinearities Improve Neural Network Acoustic Models",
        (("generator_dead_units", "decoder_dead_units", "encoder_dead_units", "network_dead_units"),),
        remedies=SLOWER,
    ),
    Rule(
        "training-collapse",
        "Training collapse: evaluations are far worse than the best one",
        training_collapse,
        "Training went on past its best point and became unstable. The best checkpoint is kept.",
        "Brock, Donahue and Simonyan, 2019. Large Scale GAN Training, section 4. arXiv:1809.11096",
        ("criterion",),
        families=("gan",),
        remedies=(
            Remedy(
                [Change("generator_lr", times=0.25), Change("discriminator_lr", times=0.25)],
                "Smaller steps are more stable.",
            ),
            CLIPPED,
        ),
    ),
    Rule(
        "slow-data-loading",
        "Slow data loading: training waits for batches",
        slow_data_loading,
        "Loading a batch takes longer than training on it. The disk may be slow, or other programs may keep the "
        "processor busy.",
        needs=("data_wait_fraction",),
    ),
)
