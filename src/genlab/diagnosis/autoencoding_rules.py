"""What can go wrong in autoencoders and VAEs, and overfitting in all families but GANs."""

import numpy as np

from genlab.core.signal_kinds import AUROC
from genlab.diagnosis.finding import Change, Remedy, Sign
from genlab.diagnosis.general_rules import KNOWN
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.rule import LONG, POINTS, START, Context, Rule, flat_loss

NO_RATE = 0.05  # nats, at any time
LITTLE_RATE, LATE = 0.5, 0.3  # nats, and the share of a run after which it applies
BLURRED, STILL_BLURRED = 0.35, 0.5  # of the sharpness of real images, at any time and late
POOR, STILL_POOR = 0.4, 0.55  # R², at any time and late
WIDE = 3.0  # variance of the latents of images; the prior's is 1
NARROW = 0.1  # mean standard deviation of the posterior; the prior's is 1
APART = 2.0  # validation loss by training loss
MORE_ERROR = 1.2  # a diffusion model's loss of held-out images by that of training images
MORE_BITS = 0.2  # a flow's loss of held-out images above that of training images, in bits per dimension or nats
RISEN = 0.1  # of the decrease of a validation loss up to its minimum
BEHIND, MUCH = 0.12, 0.6  # R² of training images: above that of held-out ones by this, and at least this
COPIED = 0.8  # of the squared error before denoising
INACTIVE = 0.9  # of the dimensions
HEAVY = 0.4  # of the reconstruction loss
NOTHING = 0.02  # R²
BY_ERROR, CHANCE = "auroc[reconstruction]", "auroc_chance_error"
LIKELY = 2.0  # standard errors


def posterior_collapse(history: History, context: Context) -> Sign | None:
    """The KL divergence of the posterior is close to 0."""
    rate = _at_full_weight(history, context, history["rate"].smooth()).after(context.share(history, START))
    least = np.where(rate.steps < context.share(history, LATE), NO_RATE, LITTLE_RATE)
    since = rate.true_since(rate.values < least, POINTS)
    return None if since is None else Sign(since, [rate.shows("rate", f"above {LITTLE_RATE} nats")])


def over_regularised(history: History, context: Context) -> Sign | None:
    """The latent is in use, but reconstructions are blurred and have a low R²."""
    detail, explained = history["reconstruction_sharpness"].smooth(), history["r2_held_out"].smooth()
    detail = detail.after(context.share(history, START))
    late = detail.steps >= context.share(history, LATE)
    sharp, rich = np.where(late, STILL_BLURRED, BLURRED), np.where(late, STILL_POOR, POOR)
    since = detail.true_since((detail.values < sharp) & (explained.at(detail.steps) < rich), LONG)
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
    """The posterior is far narrower than the prior, or the latents of all images are far wider."""
    spread, whole = (
        _at_full_weight(history, context, history[name].smooth()).after(context.share(history, START))
        for name in ("posterior_std", "aggregate_variance")
    )
    if (since := spread.true_since(spread.values < NARROW, POINTS)) is not None:
        return Sign(since, [spread.shows("posterior_std", f"above {NARROW}")])
    if (since := whole.true_since(whole.values > WIDE, POINTS)) is not None:
        return Sign(since, [whole.shows("aggregate_variance", f"below {WIDE}")])
    return None


def overfitting(history: History, context: Context) -> Sign | None:
    """Training images have far better reconstructions, or a far smaller loss, than held-out ones."""
    if "loss_held_out" in history:
        return _losses_apart(history, context)
    if "r2_train" not in history:
        return _turned(history["validation_loss"].smooth(3), history["loss"].smooth(3))
    train, other = history["r2_train"].smooth(), history["r2_held_out"].smooth()
    behind = train.values - other.at(train.steps)
    since = train.true_since((behind > BEHIND) & (train.values > MUCH), POINTS)
    if since is None:
        return None
    return Sign(
        since,
        [other.shows("r2_held_out", f"near that of training images, {train.last:.2f}")],
    )


def _losses_apart(history: History, context: Context) -> Sign | None:
    """Find the step since which the loss of held-out images is above that of training images, with equal noise."""
    train, other = history["loss_train"], history["loss_held_out"]
    held_out, flow = other.at(train.steps), context.family == "flow"
    gap = Series(train.steps, held_out - train.values if flow else held_out / train.values).smooth(LONG)
    since = gap.true_since(gap.values > (MORE_BITS if flow else MORE_ERROR), POINTS)
    if since is None:
        return None
    return Sign(
        since, [other.smooth().shows("loss_held_out", f"near that of training images, {train.smooth().last:.3g}")]
    )


def _turned(other: Series, loss: Series) -> Sign | None:
    """Find the step since which the validation loss is twice the loss, or rises while the loss falls."""
    if len(other) < 2 * POINTS or not len(loss):
        return None
    least = f"near that of training, {loss.last:.3g}"
    since = other.true_since(other.values > APART * loss.at(other.steps), LONG)
    if since is not None and loss.last > 0:
        return Sign(since, [other.shows("validation_loss", least)])
    low = int(other.values.argmin())
    fallen = other.values[0] - other.values[low]
    since = other.true_since(
        (other.values > other.values[low] + RISEN * fallen) & (other.steps > other.steps[low]), POINTS
    )
    if since is None or fallen <= 0 or loss.last > loss.at(other.steps[low : low + 1])[0]:
        return None
    return Sign(since, [other.shows("validation_loss", f"near its minimum, {other.values[low]:.3g}")])


def identity_mapping(history: History, context: Context) -> Sign | None:
    """The error after denoising is nearly that of the corrupted images."""
    error = history["denoised_error"].smooth().after(context.share(history, START))
    since = error.true_since(error.values > COPIED, LONG)
    return None if since is None else Sign(since, [error.shows("denoised_error", f"below {COPIED}")])


def inactive_latents(history: History, context: Context) -> Sign | None:
    """Nearly all latent dimensions are the same for every image."""
    inactive = history["inactive_latents"].smooth().after(context.share(history, START))
    since = inactive.true_since(inactive.values > INACTIVE, POINTS)
    return None if since is None else Sign(since, [inactive.shows("inactive_latents", f"below {INACTIVE}")])


def penalty_dominates(history: History, context: Context) -> Sign | None:
    """The weighted penalty stays a large fraction of the reconstruction loss."""
    loss, picture = history["loss"], history["reconstruction_loss"]
    added = Series(loss.steps, loss.values - picture.at(loss.steps)).smooth().after(context.share(history, START))
    share = added.values / picture.smooth().at(added.steps)
    since = added.true_since(share > HEAVY, LONG)
    if since is None:
        return None
    return Sign(since, [added.shows("loss - reconstruction_loss", f"below {HEAVY} × {picture.last:.3g}")])


def no_learning(history: History, context: Context) -> Sign | None:
    """Reconstructions are no better than the mean image, or the loss is still what it was at first."""
    if "r2_held_out" not in history:
        return flat_loss(history["loss" if "loss" in history else "distortion"], "loss")
    explained = history["r2_held_out"].smooth().after(context.share(history, 2 * START))
    since = explained.true_since(explained.values < NOTHING, LONG)
    return None if since is None else Sign(since, [explained.shows("r2_held_out", f"above {NOTHING}")])


def anomalies_reconstruct_better(history: History, context: Context) -> Sign | None:
    """Reconstruction errors of anomalies are smaller than those of normal examples, by more than chance explains.

    The AUROC is below ½ by more than two of the standard errors that it has if the scores rank by chance.
    """
    auroc, error = history[BY_ERROR], history[CHANCE]
    if auroc.last + LIKELY * error.last >= 0.5:
        return None
    others = {name: history[name].last for name in history.names(AUROC) if name not in (BY_ERROR, CHANCE)}
    best = max(others, key=others.__getitem__, default="")
    other = f"; {best} is {others[best]:.3g}" if best else ""
    expected = f"above 0.5, by chance 0.5 ± {error.last:.2g}{other}"
    return Sign(int(auroc.steps[-1]), [auroc.shows(BY_ERROR, expected)], "warning")


def _at_full_weight(history: History, context: Context, series: Series) -> Series:
    """Return the values from the steps at which annealing has raised the weight of the rate to the full β."""
    weight, beta = history["beta"], context.options.get("beta")
    if not len(weight) or not beta:
        return series
    kept = weight.at(series.steps) >= 0.99 * float(beta)
    return Series(series.steps[kept], series.values[kept])


LIGHTER = Remedy(
    [Change("sparsity", published=True), Change("sparsity_weight", published=True)],
    "The sparsity penalty with which this preset is known to train.",
)
LESS_WEIGHT = Remedy(
    [Change("beta", times=0.25), Change("kl_warm_up", to=500)],
    "A smaller weight that grows slowly lets the decoder learn to use the latent first.",
)
FREE_BITS = Remedy(
    [Change("free_bits", to=0.1)], "With free bits a little information in a dimension costs nothing."
)
PLAIN = Remedy(
    [Change("beta", published=True)], "The weight of the rate with which this preset is known to train."
)
SMALLER = Remedy([Change("latent", times=0.5)], "A smaller latent memorises less.")
KNOWN_RATE = Remedy([Change("lr", published=True)], KNOWN)

RULES = (
    Rule(
        "posterior-collapse",
        "Posterior collapse: the latent carries no information about the image",
        posterior_collapse,
        "The rate costs more than its information is worth: the posterior became the prior, and the decoder "
        "outputs one mean image. It happens if the weight of the rate is large, or is large before the decoder "
        "uses the latent.",
        "Bowman et al., 2016. Generating Sentences from a Continuous Space. arXiv:1511.06349",
        ("rate",),
        ("vae",),
        (PLAIN, LESS_WEIGHT, FREE_BITS, KNOWN_RATE),
    ),
    Rule(
        "over-regularised",
        "Over-regularisation: reconstructions are blurred, because the latent carries too little information",
        over_regularised,
        "The weight of the rate leaves only a few dimensions in use, which encode brightness and layout but no "
        "detail. Posterior and prior match at the expense of the reconstructions.",
        "Higgins et al., 2017. beta-VAE. ICLR",
        ("reconstruction_sharpness", "r2_held_out", "rate"),
        ("vae",),
        (PLAIN, LESS_WEIGHT, FREE_BITS),
    ),
    Rule(
        "under-regularised",
        "Under-regularisation: the latents of images are not distributed as the prior",
        under_regularised,
        "The rate has almost no weight compared with the distortion, and the model is a plain autoencoder. "
        "Latents that are drawn from the prior are unlike those of any image, and so are the samples.",
        "Tomczak and Welling, 2018. VAE with a VampPrior. arXiv:1705.07120",
        ("posterior_std", "aggregate_variance"),
        ("vae",),
        (PLAIN,),
    ),
    Rule(
        "overfitting",
        "Overfitting: the model does far better on training images than on held-out ones",
        overfitting,
        "The networks have memorised the training images. There are too few of them for the size of the networks "
        "and the length of the training.",
        "",
        (("r2_train", "loss_held_out", "validation_loss"),),
        ("vae", "autoencoder", "denoiser", "diffusion", "flow"),
        (
            SMALLER,
            Remedy([Change("dropout", to=0.1)], "Dropout makes it harder to memorise."),
            Remedy([Change("width", times=0.5)], "Smaller networks memorise less."),
        ),
    ),
    Rule(
        "identity-mapping",
        "Identity mapping: denoising removes almost none of the corruption",
        identity_mapping,
        "The corruption is so weak that copying the input is nearly the best answer, or the latent is too small "
        "for the image. A denoising autoencoder learns from what it has to restore.",
        "Vincent et al., 2010. Stacked Denoising Autoencoders. JMLR 11",
        ("denoised_error",),
        ("autoencoder",),
        (Remedy([Change("corruption_level", published=True)], "The usual strength of this corruption."),),
    ),
    Rule(
        "inactive-latents",
        "Inactive latents: nearly all latent dimensions are the same for every image",
        inactive_latents,
        "The sparsity penalty outweighs the reconstruction error, or units died early. The dimensions that are "
        "left cannot tell images apart.",
        "Ng, 2011. Sparse Autoencoder. CS294A Lecture Notes, Stanford",
        ("inactive_latents",),
        ("autoencoder",),
        (LIGHTER, KNOWN_RATE),
    ),
    Rule(
        "penalty-dominates",
        "Dominant penalty: the sparsity penalty outweighs the reconstruction error",
        penalty_dominates,
        "Most of each step changes the statistics of the latents, which the next batch upsets again, and little "
        "of it improves the reconstructions. A penalty that is satisfied costs next to nothing.",
        "Ng, 2011. Sparse Autoencoder. CS294A Lecture Notes, Stanford",
        ("loss", "reconstruction_loss", "sparsity_loss"),
        ("autoencoder",),
        (LIGHTER,),
    ),
    Rule(
        "no-learning",
        "No learning: reconstructions are no better than the mean image",
        no_learning,
        "The reconstructions do not depend on the image. The learning rate is far too high or too low, or a "
        "penalty outweighs the reconstruction error.",
        "",
        (("r2_held_out", "loss", "distortion"),),
        ("vae", "autoencoder"),
        (KNOWN_RATE, PLAIN, LIGHTER),
    ),
    Rule(
        "anomalies-reconstruct-better",
        "Backward ranking: anomalies are reconstructed better than normal examples",
        anomalies_reconstruct_better,
        "A model with room for it copies what it never saw, and copies simple examples best; or anomalies were "
        "among the training examples. Score by features or latent instead, "
        "or leave the model less room: the error says how complex an example is, not how unusual.",
        "Nalisnick et al., 2019. Do Deep Generative Models Know What They Don't Know? ICLR",
        (BY_ERROR, CHANCE),
        ("vae", "autoencoder"),
        (
            Remedy([Change("latent", times=0.5)], "A smaller latent has no room for what normal examples lack."),
            Remedy(
                [Change("corruption", to="gaussian")],
                "A denoising autoencoder learns to make examples normal, and cannot copy them.",
            ),
        ),
        after="genlab score",
    ),
)
