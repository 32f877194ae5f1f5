"""What goes wrong between a generator and its discriminator."""

import numpy as np

from genlab.diagnosis.finding import Change, Evidence, Remedy, Sign
from genlab.diagnosis.general_rules import BALANCED
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.rule import LONG, POINTS, START, Context, Rule, frozen_loss

ALIKE, APART = 0.15, 0.4  # of the distance of real images to their nearest; samples are alike, are apart
FEW = 0.3  # of the diversity of real images
POOR = 0.6
LATE = 0.85  # of a run: before, samples may still be on their way from what random weights make
SURE = 0.01  # D of generated images, and 1 − D of real ones
WON = 0.01  # a discriminator's loss, of logs that say nothing else
EVEN = 0.03  # of the size of the scores: what a discriminator that guesses leans to real images
FLAT = 1e-2  # of the gradient that the generator began with
STEEP = 300.0  # a score that no bounded discriminator gives
GAP = 0.15  # of the way from samples to training images that held-out images are behind
SATURATED = 0.3  # more of the pixels than of real images
STILL = 1e-2  # of the way that the discriminator's weights go
SWING = 0.25  # of the quality, from one evaluation to the next
SWINGS = 5  # evaluations at least: fewer may go up and down by chance
UNEVEN = 25.0  # how many times as far one player's weights move


def mode_collapse(history: History, context: Context) -> Sign | None:
    """Each sample has a near twin, which was not so before; or still, late in a run."""
    nearest = history["nearest_neighbour_distance"].smooth()
    since = nearest.held(nearest.values < ALIKE, POINTS)
    if since is None:
        return None
    if nearest.until(since).values.max(initial=0.0) < APART and not _is_late(history, context, nearest, since):
        return None
    return Sign(since, [nearest.shows("nearest_neighbour_distance", f"above {ALIKE}")])


def missing_modes(history: History, context: Context) -> Sign | None:
    """Late in a run samples vary far less than real images do."""
    diversity = history["diversity"].smooth()
    since = diversity.held(diversity.values < FEW, POINTS)
    if since is None or not _is_late(history, context, diversity, since):
        return None
    return Sign(since, [diversity.shows("diversity", f"above {FEW}")])


def _is_late(history: History, context: Context, series: Series, since: int) -> bool:
    """Whether a run is nearly over, and a symptom has been there for long."""
    return history.step >= context.share(history, LATE) and len(series.after(since)) >= LONG


def discriminator_overpowers(history: History, context: Context) -> Sign | None:
    """The discriminator is sure of every image, and samples, as far as one knows, do not vary as real images "
    "do."""
    real, fake = history["D(x)"].smooth(), history["D(G(z))"].smooth()
    if len(real) and len(fake):
        sure = np.maximum(1 - real.values, fake.at(real.steps)) < SURE
        since = real.held(sure & ~(history["diversity"].smooth().at(real.steps) >= POOR), POINTS)
        return None if since is None else Sign(since, [fake.shows("D(G(z))", f"above {SURE}")])
    loss, other = history["discriminator_loss"].smooth(), history["generator_loss"].smooth()
    since = loss.held((np.abs(loss.values) < WON) & (other.at(loss.steps) > 4), 2 * POINTS)
    return None if since is None else Sign(since, [loss.shows("discriminator_loss", f"above {WON}")])


def discriminator_too_weak(history: History, context: Context) -> Sign | None:
    """The discriminator guesses, although samples are far from real."""
    real, fake = history["score_real"], history["score_fake"]
    size = np.maximum(np.maximum(np.abs(real.values), np.abs(fake.at(real.steps))), 1.0)
    lead = Series(real.steps, (real.values - fake.at(real.steps)) / size).smooth(9)
    poor = history["diversity"].smooth().at(lead.steps) < POOR
    since = lead.held((lead.values < EVEN) & poor, LONG)
    return None if since is None else Sign(since, [lead.shows("score_real − score_fake", f"above {EVEN}")])


def vanishing_gradient(history: History, context: Context) -> Sign | None:
    """The generator's gradient is a small part of what it began with."""
    norm = history["generator_gradient_norm"]
    first = norm.until(context.share(history, START))
    if not len(first):
        return None
    began, norm = float(first.values.max()), norm.smooth()
    since = norm.held(norm.values < FLAT * began, POINTS)
    return None if since is None else Sign(since, [norm.shows("generator_gradient_norm", f"near {began:.2g}")])


def divergence(history: History, context: Context) -> Sign | None:
    """Scores, or losses that are made of scores, grow without a bound."""
    names = ["score_real", "score_fake", "discriminator_loss", "generator_loss"]
    if context.options.get("feature_matching"):
        names.remove("generator_loss")  # a distance of features, which knows no measure
    for name in names:
        size = history[name].apply(np.abs).smooth()
        since = size.held(size.values > STEEP, POINTS)
        if since is not None:
            return Sign(since, [history[name].shows(name, f"within ±{STEEP:g}")])
    return None


def discriminator_overfits(history: History, context: Context) -> Sign | None:
    """The discriminator takes held-out images for less real than those that it was trained on.

    As the r_v of Karras et al.: (D(train) − D(held-out)) / (D(train) − D(samples)), 0 for a discriminator that
    does not know its images by heart, 1 for one that does.
    """
    train, other, fake = (history[name].smooth(9) for name in ("score_train", "score_held_out", "score_sample"))
    lead = train.values - fake.at(train.steps)
    share = Series(train.steps, (train.values - other.at(train.steps)) / np.maximum(lead, 1e-6))
    since = share.held((share.values > GAP) & (lead > 0.1), 2 * POINTS)
    if since is None:
        return None
    # No failure: augmentation takes long to pay, and in the runs of docs/doctor.md it never did in time.
    return Sign(since, [share.shows("discriminator's lead on training images", f"below {GAP}")], "warning")


def saturated_samples(history: History, context: Context) -> Sign | None:
    """Many more pixels of samples are fully black or white than of real images."""
    saturation = history["saturated_pixels"].smooth().after(context.share(history, START))
    since = saturation.held(saturation.values > SATURATED, POINTS)
    return None if since is None else Sign(since, [saturation.shows("saturated_pixels", f"below {SATURATED}")])


def frozen_generator(history: History, context: Context) -> Sign | None:
    """The generator's weights stand still beside the discriminator's."""
    ratio, discriminator = (
        history[f"{player}_update_ratio"].smooth() for player in ("generator", "discriminator")
    )
    since = ratio.held(ratio.values < STILL * discriminator.at(ratio.steps), POINTS)
    if since is None:
        return None
    return Sign(
        since, [ratio.shows("generator_update_ratio", f"near {discriminator.last:.1g}, the discriminator's")]
    )


def frozen_losses(history: History, context: Context) -> Sign | None:
    """Both losses are what they were at first."""
    signs = [frozen_loss(history[name], name) for name in ("discriminator_loss", "generator_loss")]
    if signs[0] is None or signs[1] is None:
        return None
    return Sign(max(sign.since for sign in signs if sign), [e for sign in signs if sign for e in sign.evidence])


def oscillation(history: History, context: Context) -> Sign | None:
    """Quality swings from evaluation to evaluation, and has got no better for a third of the run."""
    quality = history["criterion"]
    third = len(quality) // 3
    if third < SWINGS:
        return None
    before, now = quality.values[:-third], quality.values[-third:]
    swings = np.abs(np.diff(now)) / np.maximum(np.abs(now[1:]), 1e-9)
    if now.min() < before.min() or np.median(swings) < SWING:
        return None
    evidence = Evidence(
        "change of quality between evaluations",
        float(np.median(swings)),
        f"below {SWING:g}",
    )
    return Sign(int(quality.steps[-third]), [evidence])


def uneven_rates(history: History, context: Context) -> Sign | None:
    """One player's weights move many times as far as the other's."""
    one, two = (history[f"{player}_update_ratio"].smooth() for player in ("generator", "discriminator"))
    times = Series(one.steps, one.values / np.maximum(two.at(one.steps), 1e-12))
    times = times.after(context.share(history, START))
    since = times.held((times.values > UNEVEN) | (times.values < 1 / UNEVEN), LONG)
    if since is None:
        return None
    expected = f"{1 / UNEVEN:.2g} to {UNEVEN:g}"
    return Sign(since, [times.shows("generator's update by the discriminator's", expected)], "warning")


def labels_say_nothing(history: History, context: Context) -> Sign | None:
    """The auxiliary classifier is no better than chance on real images."""
    classes = context.facts.get("classes", 0)
    accuracy = history["class_accuracy_real"].smooth(9).after(context.share(history, START))
    if not classes or not len(accuracy):
        return None
    least = 1.5 / classes
    since = accuracy.held(accuracy.values < least, LONG)
    return None if since is None else Sign(since, [accuracy.shows("class_accuracy_real", f"above {least:.2g}")])


NON_SATURATING = Remedy(
    [Change("loss", to="non-saturating")], "Its gradient is largest where the discriminator is sure."
)
R1 = Remedy([Change("r1", to=10.0)], "A discriminator that is flat at real images is nowhere too sure.")
SLOWER_GENERATOR = Remedy(
    [Change("generator_lr", times=0.2)], "Small steps stay where the discriminator's word holds."
)
SLOWER_DISCRIMINATOR = Remedy(
    [Change("discriminator_lr", times=0.2)], "A slower discriminator lets the generator follow."
)
FASTER_DISCRIMINATOR = Remedy(
    [Change("discriminator_lr", published=True), Change("flip_labels", published=True)],
    "A discriminator that learns.",
)
AUGMENTED = Remedy(
    [Change("diff_augment", to="translation-cutout")], "What is never the same twice is not learned by heart."
)
HINGE = Remedy(
    [Change("loss", to="hinge"), Change("spectral_norm", to="discriminator")],
    "A discriminator of slope 1 gives bounded scores.",
)
UNLABELLED = Remedy(
    [Change("discriminator_labels", to="none"), Change("generator_labels", to="none")],
    "Without labels the model at least is not misled.",
)

RULES = (
    Rule(
        "discriminator-overpowers",
        "The discriminator is sure of every image, so that the generator learns nothing from it",
        discriminator_overpowers,
        "Where real and generated images are told apart without doubt, the discriminator's slope says little "
        "about how "
        "to improve. It happens with a discriminator that is faster, larger or takes more turns than the "
        "generator can "
        "follow.",
        "Arjovsky and Bottou, 2017. Towards Principled Methods for Training GANs. arXiv:1701.04862",
        (("D(x)", "discriminator_loss"), ("D(G(z))", "generator_loss")),
        ("gan",),
        (BALANCED, SLOWER_DISCRIMINATOR, R1, HINGE),
    ),
    Rule(
        "vanishing-gradient",
        "The generator's gradient has vanished",
        vanishing_gradient,
        "The saturating loss is flat where the discriminator is sure that an image is generated. The generator "
        "stands "
        "still although it is at its worst.",
        "Goodfellow et al., 2014. Generative Adversarial Networks, section 3. arXiv:1406.2661",
        ("generator_gradient_norm",),
        ("gan",),
        (NON_SATURATING, BALANCED, HINGE),
    ),
    Rule(
        "mode-collapse",
        "All samples are alike",
        mode_collapse,
        "The generator has found an image that the discriminator believes, and nothing rewards it for another. It "
        "happens where the generator moves faster than the discriminator can answer.",
        "Goodfellow, 2016. NIPS 2016 Tutorial: Generative Adversarial Networks, 5.1.1. arXiv:1701.00160",
        ("nearest_neighbour_distance",),
        ("gan",),
        (BALANCED, SLOWER_GENERATOR, R1, HINGE),
    ),
    Rule(
        "missing-modes",
        "Samples vary far less than the pictures do",
        missing_modes,
        "Parts of the data are never made, because the discriminator judges image by image and misses none. It "
        "happens "
        "with a slow discriminator and a fast generator, and with small batches.",
        "Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498",
        ("diversity",),
        ("gan",),
        (
            BALANCED,
            Remedy([Change("minibatch", to="stddev")], "A discriminator that compares sees what is missing."),
            R1,
        ),
    ),
    Rule(
        "discriminator-too-weak",
        "The discriminator cannot tell real from generated pictures, although they are far from real",
        discriminator_too_weak,
        "A discriminator that does not learn has nothing to teach. It happens at a learning rate that is too "
        "low, or "
        "with labels that are flipped as often as not.",
        "",
        ("score_real", "score_fake", "diversity"),
        ("gan",),
        (FASTER_DISCRIMINATOR, Remedy([Change("discriminator_steps", to=2)], "More turns for the discriminator.")),
    ),
    Rule(
        "divergence",
        "Scores grow without a bound",
        divergence,
        "Nothing holds the discriminator's slope, so that it is steeper in every step. The Wasserstein loss needs "
        "weights that are clipped, or a penalty on the slope.",
        "Gulrajani et al., 2017. Improved Training of Wasserstein GANs. arXiv:1704.00028",
        (("score_real", "score_fake", "discriminator_loss", "generator_loss"),),
        ("gan",),
        (
            HINGE,
            Remedy(
                [Change("gradient_penalty", to=10.0), Change("discriminator_norm", to="layer")],
                "It holds the slope at 1.",
            ),
            SLOWER_DISCRIMINATOR,
        ),
    ),
    Rule(
        "discriminator-overfits",
        "The discriminator knows its training pictures by heart",
        discriminator_overfits,
        "It tells real from generated pictures by remembering the real ones, which teaches the generator to copy "
        "them, or nothing. There are too few pictures for the length of the training.",
        "Karras et al., 2020. Training Generative Adversarial Networks with Limited Data. arXiv:2006.06676",
        ("score_train", "score_held_out", "score_sample"),
        ("gan",),
        (
            AUGMENTED,
            Remedy([Change("discriminator_dropout", to=0.3)], "Noise in the discriminator blurs its memory."),
            R1,
        ),
    ),
    Rule(
        "saturated-samples",
        "Pixels of samples are stuck at black and white",
        saturated_samples,
        "Steps that are too large drive the generator's last layer to where tanh is flat. There it gets no "
        "gradient and stays.",
        "",
        ("saturated_pixels",),
        ("gan",),
        (BALANCED, SLOWER_GENERATOR),
    ),
    Rule(
        "frozen-generator",
        "The generator's weights stand still",
        frozen_generator,
        "Its steps are far smaller than those of the discriminator. Its learning rate is too low, or it is "
        "frozen.",
        "",
        ("generator_update_ratio", "discriminator_update_ratio"),
        ("gan",),
        (BALANCED,),
    ),
    Rule(
        "frozen-losses",
        "Both losses are where they began",
        frozen_losses,
        "Neither player has learned anything. Learning rates are too low, or the losses are not what is "
        "minimised.",
        "",
        ("discriminator_loss", "generator_loss"),
        ("gan",),
        (BALANCED,),
    ),
    Rule(
        "oscillation",
        "Quality swings and gets no better",
        oscillation,
        "The players circle around their balance, each undoing what the other did. Steps are too large for the "
        "game, or nothing damps it.",
        "Mescheder, Geiger and Nowozin, 2018. Which Training Methods for GANs do actually Converge? "
        "arXiv:1801.04406",
        ("criterion",),
        ("gan",),
        (R1, BALANCED, Remedy([Change("ema", to=0.999)], "An average of the weights stands still in the middle.")),
    ),
    Rule(
        "uneven-rates",
        "One player's weights move far more than the other's",
        uneven_rates,
        "The faster player has long moved on when the slower one answers. The two learning rates do not go "
        "together.",
        "Heusel et al., 2017. GANs Trained by a Two Time-Scale Update Rule. arXiv:1706.08500",
        ("generator_update_ratio", "discriminator_update_ratio"),
        ("gan",),
        (BALANCED,),
    ),
    Rule(
        "labels-say-nothing",
        "The labels say nothing about the pictures",
        labels_say_nothing,
        "The discriminator cannot learn to name the class of real pictures. Labels were shuffled, or belong to "
        "other "
        "files.",
        "Odena, Olah and Shlens, 2017. Conditional Image Synthesis with Auxiliary Classifier GANs. "
        "arXiv:1610.09585",
        ("class_accuracy_real",),
        ("gan",),
        (UNLABELLED,),
    ),
)
