"""The checks of `adversarial_rules.py`: what can go wrong between a generator and its discriminator."""

import numpy as np

from genlab.diagnosis.finding import Evidence, Sign
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.rule import LONG, POINTS, START, Context, flat_loss

ALIKE, APART = 0.15, 0.4  # nearest_neighbour_distance below which samples are alike, above which they are not
FEW = 0.3  # of the diversity of real images
POOR = 0.6
LATE = 0.85  # of a run: earlier samples may still look like those of untrained weights
SURE = 0.01  # D of generated images, and 1 − D of real ones
WON = 0.01  # the discriminator's loss, in logs without D(x)
EVEN = 0.03  # difference of real and fake scores, relative to their size, of a discriminator that guesses
FLAT = 1e-2  # of the generator's first gradient norm
STEEP = 300.0  # a score that no bounded discriminator reaches
GAP = 0.15  # r_v, as defined in `discriminator_overfitting`
SATURATED = 0.3  # saturated_pixels
STILL = 1e-2  # of the discriminator's update ratio
SWING = 0.25  # relative change of the criterion from one evaluation to the next
SWINGS = 5  # least number of evaluations: fewer may swing by chance
UNFAITHFUL = 4.0  # psnr_lost; published networks lose 2.3 to 2.7 dB
UNBALANCED = 25.0  # ratio of the players' update ratios


def mode_collapse(history: History, context: Context) -> Sign | None:
    """Each sample has a near copy among the others, and had none before, or the run is nearly over."""
    nearest = history["nearest_neighbour_distance"].smooth()
    since = nearest.true_since(nearest.values < ALIKE, POINTS)
    if since is None:
        return None
    if nearest.until(since).values.max(initial=0.0) < APART and not _is_late(history, context, nearest, since):
        return None
    return Sign(since, [nearest.shows("nearest_neighbour_distance", f"above {ALIKE}")])


def mode_dropping(history: History, context: Context) -> Sign | None:
    """Late in a run samples vary far less than real images do."""
    diversity = history["diversity"].smooth()
    since = diversity.true_since(diversity.values < FEW, POINTS)
    if since is None or not _is_late(history, context, diversity, since):
        return None
    return Sign(since, [diversity.shows("diversity", f"above {FEW}")])


def _is_late(history: History, context: Context, series: Series, since: int) -> bool:
    """Return whether a run is nearly over and a symptom has lasted for long."""
    return history.step >= context.share(history, LATE) and len(series.after(since)) >= LONG


def discriminator_too_strong(history: History, context: Context) -> Sign | None:
    """The discriminator is certain about every image, and samples are not known to be diverse."""
    real, fake = history["D(x)"].smooth(), history["D(G(z))"].smooth()
    if len(real) and len(fake):
        sure = np.maximum(1 - real.values, fake.at(real.steps)) < SURE
        since = real.true_since(sure & ~(history["diversity"].smooth().at(real.steps) >= POOR), POINTS)
        return None if since is None else Sign(since, [fake.shows("D(G(z))", f"above {SURE}")])
    loss, other = history["discriminator_loss"].smooth(), history["generator_loss"].smooth()
    since = loss.true_since((np.abs(loss.values) < WON) & (other.at(loss.steps) > 4), 2 * POINTS)
    return None if since is None else Sign(since, [loss.shows("discriminator_loss", f"above {WON}")])


def discriminator_too_weak(history: History, context: Context) -> Sign | None:
    """The discriminator guesses, although samples are far less diverse than real images."""
    real, fake = history["score_real"], history["score_fake"]
    size = np.maximum(np.maximum(np.abs(real.values), np.abs(fake.at(real.steps))), 1.0)
    lead = Series(real.steps, (real.values - fake.at(real.steps)) / size).smooth(9)
    poor = history["diversity"].smooth().at(lead.steps) < POOR
    since = lead.true_since((lead.values < EVEN) & poor, LONG)
    return None if since is None else Sign(since, [lead.shows("score_real − score_fake", f"above {EVEN}")])


def vanishing_gradients(history: History, context: Context) -> Sign | None:
    """The generator's gradient norm is a small fraction of what it was at first."""
    norm = history["generator_gradient_norm"]
    first = norm.until(context.share(history, START))
    if not len(first):
        return None
    began, norm = float(first.values.max()), norm.smooth()
    since = norm.true_since(norm.values < FLAT * began, POINTS)
    return None if since is None else Sign(since, [norm.shows("generator_gradient_norm", f"near {began:.2g}")])


def divergence(history: History, context: Context) -> Sign | None:
    """Scores, or losses that are computed from scores, grow without bound."""
    names = ["score_real", "score_fake", "discriminator_loss", "generator_loss"]
    if context.options.get("feature_matching"):
        names.remove("generator_loss")  # a distance of features has no natural scale
    for name in names:
        size = history[name].apply(np.abs).smooth()
        since = size.true_since(size.values > STEEP, POINTS)
        if since is not None:
            return Sign(since, [history[name].shows(name, f"within ±{STEEP:g}")])
    return None


def unbounded_slope(history: History, context: Context) -> Sign | None:
    """The discriminator's loss falls without limit as it becomes steeper, and nothing bounds its slope."""
    if context.facts.get("slope_bounds", 1.0):
        return None
    return Sign(0, [Evidence("bounds on the slope of the discriminator", 0.0, "at least 1")], "warning")


def discriminator_overfitting(history: History, context: Context) -> Sign | None:
    """The discriminator scores held-out images lower than the images that it was trained on.

    As r_v of Karras et al.: (D(train) − D(held-out)) / (D(train) − D(samples)), 0 without overfitting, 1 if the
    discriminator scores held-out images as low as samples.
    """
    train, other, fake = (history[name].smooth(9) for name in ("score_train", "score_held_out", "score_sample"))
    lead = train.values - fake.at(train.steps)
    share = Series(train.steps, (train.values - other.at(train.steps)) / np.maximum(lead, 1e-6))
    since = share.true_since((share.values > GAP) & (lead > 0.1), 2 * POINTS)
    if since is None:
        return None
    # Only a warning: augmentation takes long to help; in the runs of docs/doctor.md it never helped in time.
    return Sign(since, [share.shows("discriminator's preference for training images", f"below {GAP}")], "warning")


def saturated_samples(history: History, context: Context) -> Sign | None:
    """Many more pixels are fully black or white in samples than in real images."""
    saturation = history["saturated_pixels"].smooth().after(context.share(history, START))
    since = saturation.true_since(saturation.values > SATURATED, POINTS)
    return None if since is None else Sign(since, [saturation.shows("saturated_pixels", f"below {SATURATED}")])


def generator_not_learning(history: History, context: Context) -> Sign | None:
    """The generator's weights hardly change, compared with the discriminator's."""
    ratio, discriminator = (
        history[f"{player}_update_ratio"].smooth() for player in ("generator", "discriminator")
    )
    since = ratio.true_since(ratio.values < STILL * discriminator.at(ratio.steps), POINTS)
    if since is None:
        return None
    return Sign(
        since, [ratio.shows("generator_update_ratio", f"near {discriminator.last:.1g}, the discriminator's")]
    )


def flat_losses(history: History, context: Context) -> Sign | None:
    """Both losses are still what they were at first."""
    signs = [flat_loss(history[name], name) for name in ("discriminator_loss", "generator_loss")]
    if signs[0] is None or signs[1] is None:
        return None
    return Sign(max(sign.since for sign in signs if sign), [e for sign in signs if sign for e in sign.evidence])


def oscillation(history: History, context: Context) -> Sign | None:
    """The criterion swings between evaluations, and has not improved for a third of the run."""
    criterion = history["criterion"]
    third = len(criterion) // 3
    if third < SWINGS:
        return None
    before, now = criterion.values[:-third], criterion.values[-third:]
    swings = np.abs(np.diff(now)) / np.maximum(np.abs(now[1:]), 1e-9)
    if now.min() < before.min() or np.median(swings) < SWING:
        return None
    evidence = Evidence(
        "relative change between evaluations",
        float(np.median(swings)),
        f"below {SWING:g}",
    )
    return Sign(int(criterion.steps[-third]), [evidence])


def unbalanced_updates(history: History, context: Context) -> Sign | None:
    """One player's update ratio is many times the other's."""
    one, two = (history[f"{player}_update_ratio"].smooth() for player in ("generator", "discriminator"))
    times = Series(one.steps, one.values / np.maximum(two.at(one.steps), 1e-12))
    times = times.after(context.share(history, START))
    since = times.true_since((times.values > UNBALANCED) | (times.values < 1 / UNBALANCED), LONG)
    if since is None:
        return None
    expected = f"{1 / UNBALANCED:.2g} to {UNBALANCED:g}"
    return Sign(since, [times.shows("generator_update_ratio / discriminator_update_ratio", expected)], "warning")


def uninformative_labels(history: History, context: Context) -> Sign | None:
    """The auxiliary classifier is no better than chance on real images."""
    classes = context.facts.get("classes", 0)
    accuracy = history["class_accuracy_real"].smooth(9).after(context.share(history, START))
    if not classes or not len(accuracy):
        return None
    least = 1.5 / classes
    since = accuracy.true_since(accuracy.values < least, LONG)
    return None if since is None else Sign(since, [accuracy.shows("class_accuracy_real", f"above {least:.2g}")])


def adversary_dominates(history: History, context: Context) -> Sign | None:
    """Restored images are far less faithful than before the training against the discriminator."""
    lost = history["psnr_lost"].smooth()
    since = lost.true_since(lost.values > UNFAITHFUL, POINTS)
    if since is None:
        return None
    return Sign(since, [lost.shows("psnr_lost", f"below {UNFAITHFUL:g} dB")])
