"""What goes wrong between an encoder and its decoder, and with what a model learns by heart."""

import numpy as np

from genlab.diagnosis.finding import Change, Remedy, Sign
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.rule import LONG, POINTS, START, Context, Rule, frozen_loss

NO_RATE = 0.05  # nats, at any time
LITTLE_RATE, LATE = 0.5, 0.3  # nats, after that part of a run
BLURRED, STILL_BLURRED = 0.35, 0.5  # of the detail of real images, at any time and late
POOR, STILL_POOR = 0.4, 0.55  # of the variance of images explained, at any time and late
WIDE = 3.0  # variance of the latents of data, where the prior has 1
NARROW = 0.1  # mean deviation of the posterior, where the prior has 1
APART = 2.0  # times the loss
MORE_ERROR = 1.2  # times the squared error of a diffusion model on training images, by the same draws
MORE_BITS = 0.2  # for each number of an image, or nats of a point: a flow's loss above that of training images
RISEN = 0.1  # of the way that a loss had fallen
BEHIND, MUCH = 0.12, 0.6  # of the variance: held-out images less than training images, and these at least
UNMENDED = 0.8  # of the damage
IDLE = 0.9  # of the dimensions
HEAVY = 0.4  # of the reconstruction loss
NOTHING = 0.02  # of the variance


def posterior_collapse(history: History, context: Context) -> Sign | None:
    """The posterior says as good as nothing about the image."""
    rate = _at_full_weight(history, context, history["rate"].smooth()).after(context.share(history, START))
    least = np.where(rate.steps < context.share(history, LATE), NO_RATE, LITTLE_RATE)
    since = rate.held(rate.values < least, POINTS)
    return None if since is None else Sign(since, [rate.shows("rate", f"above {LITTLE_RATE} nats")])


def over_regularised(history: History, context: Context) -> Sign | None:
    """The latent is in use, but reconstructions are blurred and explain little."""
    detail, explained = history["reconstruction_sharpness"].smooth(), history["r2_held_out"].smooth()
    detail = detail.after(context.share(history, START))
    late = detail.steps >= context.share(history, LATE)
    sharp, rich = np.where(late, STILL_BLURRED, BLURRED), np.where(late, STILL_POOR, POOR)
    since = detail.held((detail.values < sharp) & (explained.at(detail.steps) < rich), LONG)
    rate = history["rate"].smooth()
    if since is None or not len(rate) or rate.last < LITTLE_RATE:
        return None
    return Sign(
        since,
        [
            detail.shows("reconstruction_sharpness", f"above {sharp[-1]}"),
            explained.shows("r2_held_out", f"above {rich[-1]}"),
        ],
    )


def under_regularised(history: History, context: Context) -> Sign | None:
    """The latents of data are points, or lie far outside the prior that samples are drawn from."""
    spread, whole = (
        _at_full_weight(history, context, history[name].smooth()).after(context.share(history, START))
        for name in ("posterior_std", "aggregate_variance")
    )
    if (since := spread.held(spread.values < NARROW, POINTS)) is not None:
        return Sign(since, [spread.shows("posterior_std", f"above {NARROW}")])
    if (since := whole.held(whole.values > WIDE, POINTS)) is not None:
        return Sign(since, [whole.shows("aggregate_variance", f"below {WIDE}")])
    return None


def overfitting(history: History, context: Context) -> Sign | None:
    """Training images are reconstructed far better than others, or have a far smaller loss."""
    if "loss_held_out" in history:
        return _losses_apart(history, context)
    if "r2_train" not in history:
        return _turned(history["validation_loss"].smooth(3), history["loss"].smooth(3))
    train, other = history["r2_train"].smooth(), history["r2_held_out"].smooth()
    behind = train.values - other.at(train.steps)
    since = train.held((behind > BEHIND) & (train.values > MUCH), POINTS)
    if since is None:
        return None
    return Sign(
        since,
        [other.shows("r2_held_out", f"near that of training images, {train.last:.2f}")],
    )


def _losses_apart(history: History, context: Context) -> Sign | None:
    """Return since when held-out images cost more; the two share their draws, so that each look compares them."""
    train, other = history["loss_train"], history["loss_held_out"]
    held_out, flow = other.at(train.steps), context.family == "flow"
    gap = Series(train.steps, held_out - train.values if flow else held_out / train.values).smooth(LONG)
    since = gap.held(gap.values > (MORE_BITS if flow else MORE_ERROR), POINTS)
    if since is None:
        return None
    return Sign(
        since, [other.smooth().shows("loss_held_out", f"near that of training images, {train.smooth().last:.3g}")]
    )


def _turned(other: Series, loss: Series) -> Sign | None:
    """Return since when the held-out loss is twice the loss, or has risen a tenth of its way while that fell."""
    if len(other) < 2 * POINTS or not len(loss):
        return None
    least = f"near that of training, {loss.last:.3g}"
    if (since := other.held(other.values > APART * loss.at(other.steps), LONG)) is not None and loss.last > 0:
        return Sign(since, [other.shows("validation_loss", least)])
    low = int(other.values.argmin())
    fallen = other.values[0] - other.values[low]
    since = other.held(
        (other.values > other.values[low] + RISEN * fallen) & (other.steps > other.steps[low]), POINTS
    )
    if since is None or fallen <= 0 or loss.last > loss.at(other.steps[low : low + 1])[0]:
        return None
    return Sign(since, [other.shows("validation_loss", f"near its least, {other.values[low]:.3g}")])


def identity_copying(history: History, context: Context) -> Sign | None:
    """What a denoising autoencoder makes of spoilt images is as wrong as these."""
    mended = history["denoised_error"].smooth().after(context.share(history, START))
    since = mended.held(mended.values > UNMENDED, LONG)
    return None if since is None else Sign(since, [mended.shows("denoised_error", f"below {UNMENDED}")])


def inactive_latents(history: History, context: Context) -> Sign | None:
    """Nearly all dimensions of the code are the same for every image."""
    idle = history["inactive_latents"].smooth().after(context.share(history, START))
    since = idle.held(idle.values > IDLE, POINTS)
    return None if since is None else Sign(since, [idle.shows("inactive_latents", f"below {IDLE}")])


def penalty_outweighs(history: History, context: Context) -> Sign | None:
    """What is added to the reconstruction loss is as large as a good part of it, and stays so."""
    loss, picture = history["loss"], history["reconstruction_loss"]
    added = Series(loss.steps, loss.values - picture.at(loss.steps)).smooth().after(context.share(history, START))
    share = added.values / picture.smooth().at(added.steps)
    since = added.held(share > HEAVY, LONG)
    if since is None:
        return None
    return Sign(since, [added.shows("loss - reconstruction_loss", f"below {HEAVY} × {picture.last:.3g}")])


def no_learning(history: History, context: Context) -> Sign | None:
    """Reconstructions are no better than the mean image; or the loss is what it was at first."""
    if "r2_held_out" not in history:
        return frozen_loss(history["loss" if "loss" in history else "distortion"], "loss")
    explained = history["r2_held_out"].smooth().after(context.share(history, 2 * START))
    since = explained.held(explained.values < NOTHING, LONG)
    return None if since is None else Sign(since, [explained.shows("r2_held_out", f"above {NOTHING}")])


def _at_full_weight(history: History, context: Context, series: Series) -> Series:
    """Return what was reported while the rate had the weight that was asked for: annealing raises it slowly."""
    weight, asked = history["beta"], context.options.get("beta")
    if not len(weight) or not asked:
        return series
    kept = weight.at(series.steps) >= 0.99 * float(asked)
    return Series(series.steps[kept], series.values[kept])


LIGHTER = Remedy(
    [Change("sparsity", published=True), Change("sparsity_weight", published=True)],
    "The penalty that this model is known to train with.",
)
LESS_WEIGHT = Remedy(
    [Change("beta", times=0.25), Change("warm_up", to=500)], "The latent pays only once it is in use."
)
FREE_BITS = Remedy([Change("free_bits", to=0.1)], "A dimension that carries little costs nothing.")
PLAIN = Remedy([Change("beta", published=True)], "The weight that this model is known to train with.")
SMALLER = Remedy([Change("latent", times=0.5)], "Fewer dimensions hold less by heart.")
KNOWN_RATE = Remedy([Change("lr", published=True)], "The rate that this model is known to train at.")

RULES = (
    Rule(
        "posterior-collapse",
        "The latent says nothing about the picture",
        posterior_collapse,
        "The rate costs more than what it buys, so that the posterior became the prior and the decoder makes one "
        "mean picture. It happens where the weight of the rate is large, or comes before the latent is in use.",
        "Bowman et al., 2016. Generating Sentences from a Continuous Space. arXiv:1511.06349",
        ("rate",),
        ("vae",),
        (PLAIN, LESS_WEIGHT, FREE_BITS, KNOWN_RATE),
    ),
    Rule(
        "over-regularised",
        "Reconstructions are blurred, because the latent may hold too little",
        over_regularised,
        "The weight of the rate leaves a few dimensions only, which hold tone and layout but no detail. Prior and "
        "posterior agree, at the price of the picture.",
        "Higgins et al., 2017. beta-VAE. ICLR",
        ("reconstruction_sharpness", "r2_held_out", "rate"),
        ("vae",),
        (PLAIN, LESS_WEIGHT, FREE_BITS),
    ),
    Rule(
        "under-regularised",
        "The latents of pictures lie far from the prior that samples are drawn from",
        under_regularised,
        "Next to the distortion the rate has no weight, so that the model is an autoencoder. Draws from the prior "
        "fall where no picture is, and look like nothing.",
        "Tomczak and Welling, 2018. VAE with a VampPrior. arXiv:1705.07120",
        ("posterior_std", "aggregate_variance"),
        ("vae",),
        (PLAIN,),
    ),
    Rule(
        "overfitting",
        "The model does far better on its training pictures than on others",
        overfitting,
        "The networks know the training pictures by heart. There are too few of them for the size of the networks "
        "and the length of the training.",
        "",
        (("r2_train", "loss_held_out", "validation_loss"),),
        ("vae", "autoencoder", "diffusion", "flow"),
        (
            SMALLER,
            Remedy([Change("dropout", to=0.1)], "What is computed by other units each time is not held by heart."),
            Remedy([Change("width", times=0.5)], "Smaller networks hold less by heart."),
        ),
    ),
    Rule(
        "identity-copying",
        "Spoilt pictures come back nearly as wrong as they were given",
        identity_copying,
        "The corruption is so weak that copying the picture is nearly the best answer, or the code has no room "
        "for the picture. A denoising autoencoder learns from what it must fill in.",
        "Vincent et al., 2010. Stacked Denoising Autoencoders. JMLR 11",
        ("denoised_error",),
        ("autoencoder",),
        (Remedy([Change("corruption_level", published=True)], "The usual strength of this corruption."),),
    ),
    Rule(
        "idle-latents",
        "Nearly all of the code is the same for every picture",
        inactive_latents,
        "The penalty on the code weighs more than the picture, or units died early. What is left cannot tell "
        "pictures apart.",
        "Ng, 2011. Sparse Autoencoder. CS294A Lecture Notes, Stanford",
        ("inactive_latents",),
        ("autoencoder",),
        (LIGHTER, KNOWN_RATE),
    ),
    Rule(
        "penalty-outweighs",
        "The penalty on the code drowns the picture",
        penalty_outweighs,
        "Steps go into the statistics of the code, which the next batch upsets again, and the picture gets the "
        "rest. A penalty that is met costs next to nothing.",
        "Ng, 2011. Sparse Autoencoder. CS294A Lecture Notes, Stanford",
        ("loss", "reconstruction_loss", "sparsity_loss"),
        ("autoencoder",),
        (LIGHTER,),
    ),
    Rule(
        "no-learning",
        "Reconstructions are no better than the mean picture",
        no_learning,
        "Nothing of the picture comes through. The learning rate is far too high or too low, or a penalty weighs "
        "more than the picture.",
        "",
        (("r2_held_out", "loss", "distortion"),),
        ("vae", "autoencoder"),
        (KNOWN_RATE, PLAIN, LIGHTER),
    ),
)
