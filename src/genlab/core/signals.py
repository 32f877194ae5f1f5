"""The table of signals: every number that a run reports, what it means and how it is plotted.

A run reports signals in history.jsonl (losses, gradient norms, probes …) and in its evaluations (bounds, errors,
distances). Curves, the terminal, the report, the rules of the diagnosis and the reader of other programs' logs
look signals up here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, TypeAlias

Better: TypeAlias = Literal["lower", "higher", "none"]

CRITERION = "criterion"  # the evaluated value that decides which checkpoint is the best
INDEX = "[{index}]"  # ends the name of a profile: kl[0], kl[1], …


@dataclass(frozen=True)
class Kind:
    """A kind of signals, which share an axis."""

    name: str
    log: bool = False  # whether the axis is logarithmic
    group: str = "own"  # of its names in a logger: loss/generator_loss


@dataclass(frozen=True)
class Signal:
    """One row of the table.

    Args:
        name: as it is reported; `{player}`, `{part}`, `{penalty}`, `{extractor}` and `{index}` stand for any name.
        kind: signals of one kind share an axis.
        better: the direction of improvement, if there is one.
        meaning: one sentence; without a direction of improvement it says what is good.
        foreign: whether it occurs only in logs of other programs.
    """

    name: str
    kind: Kind
    better: Better
    meaning: str
    foreign: bool = False

    @property
    def profile(self) -> bool:
        """Whether it is one value of a profile, such as kl[0]."""
        return self.name.endswith(INDEX)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern of its reported names."""
        return re.compile(".+".join(map(re.escape, re.split(r"\{\w+\}", self.name))))


LOSS = Kind("loss", group="loss")
PENALTY = Kind("penalty", group="loss")
SCORE = Kind("discriminator score", group="discriminator")
PROBABILITY = Kind("probability", group="discriminator")
GRADIENT_NORM = Kind("gradient norm", log=True, group="optimizer")
UPDATE_RATIO = Kind("update ratio", log=True, group="optimizer")
DEAD_UNITS = Kind("dead units", group="probe")
DIVERSITY = Kind("diversity of samples", group="probe")
PIXELS = Kind("share of pixels", group="probe")
SHARPNESS = Kind("sharpness", group="probe")
R2 = Kind("R²", group="probe")
PATTERN = Kind("periodic pattern", log=True, group="probe")
TRANSLATION = Kind("translation", group="probe")
CYCLE = Kind("cycle error", group="probe")
DENOISING = Kind("denoising", group="probe")
LATENTS = Kind("share of latents", group="latent")
LATENT_SCALE = Kind("scale of latents", group="latent")
INVERSION = Kind("inversion error", log=True, group="probe")
BITS = Kind("bits per dimension", group="evaluation")
BOUND = Kind("negative bound", group="evaluation")
MSE = Kind("mean squared error", group="evaluation")
TRANSFER = Kind("distance of features", group="evaluation")
FD = Kind("Fréchet distance", group="evaluation")
L1 = Kind("mean absolute error", group="evaluation")

SIGNALS: Sequence[Signal] = (
    Signal("seconds", Kind("seconds", group="optimizer"), "none", "Seconds of training so far."),
    # Losses. In a GAN neither direction is better: what lowers one network's loss raises the other's.
    Signal("loss", LOSS, "lower", "The loss that the optimizer minimises, averaged over a batch."),
    Signal(
        "discriminator_loss",
        LOSS,
        "none",
        "The discriminator's loss on real and generated images: good if it settles while samples improve.",
    ),
    Signal(
        "generator_loss",
        LOSS,
        "none",
        "The generator's loss on the images that it generates: good if it settles while samples improve.",
    ),
    Signal(
        "{player}_class_loss", LOSS, "lower", "Cross-entropy of the classes that an auxiliary classifier predicts."
    ),
    Signal(
        "cycle_loss",
        LOSS,
        "lower",
        "Weighted L1 distance between images and what comes back after both translations.",
    ),
    Signal(
        "identity_loss",
        LOSS,
        "lower",
        "Weighted L1 distance between images of the wanted side and their translations, which should not change.",
    ),
    Signal(
        "contrastive_loss",
        LOSS,
        "lower",
        "Weighted loss of recognising each position of a translation among those of its source.",
    ),
    Signal(
        "contrastive_identity_loss",
        LOSS,
        "lower",
        "Weighted contrastive loss of images that have the wanted look already, and should not change.",
    ),
    Signal("l1_loss", LOSS, "lower", "Weighted L1 distance between translations and the truth."),
    Signal(
        "content_identity_loss",
        LOSS,
        "lower",
        "Weighted L1 distance between contents and themselves, decoded without a style.",
    ),
    Signal("content_loss", LOSS, "lower", "Weighted squared distance of the features to those wanted."),
    Signal(
        "style_loss",
        LOSS,
        "lower",
        "Weighted distance of the mean and deviation of each feature to the style's.",
    ),
    Signal("reconstruction_loss", LOSS, "lower", "Reconstruction error, without the sparsity penalty."),
    Signal("sparsity_loss", LOSS, "lower", "Sparsity penalty of the latents, before it is weighted."),
    Signal("loss_low_noise", LOSS, "lower", "Loss at the lower half of the noise levels."),
    Signal("loss_high_noise", LOSS, "lower", "Loss at the upper half of the noise levels."),
    Signal("loss_train", LOSS, "lower", "Loss of some training images, in evaluation mode."),
    Signal("loss_held_out", LOSS, "lower", "Loss of held-out images, with the same noise as loss_train."),
    Signal(
        "validation_loss", LOSS, "lower", "Loss of held-out data, in the log of another program.", foreign=True
    ),
    Signal("{penalty}_penalty", PENALTY, "lower", "A gradient penalty that is added to the discriminator's loss."),
    Signal(
        "{player}_weight_regularizer",
        PENALTY,
        "lower",
        "Squared distance of the weights to their average over the past (historical averaging).",
    ),
    # Discriminators.
    Signal(
        "score_real",
        SCORE,
        "none",
        "Mean score that the discriminator gives real images of a batch: good if a little above score_fake.",
    ),
    Signal(
        "score_fake",
        SCORE,
        "none",
        "Mean score that the discriminator gives generated images of a batch: good if a little below score_real.",
    ),
    Signal(
        "score_train",
        SCORE,
        "none",
        "Mean score of training images, in evaluation mode: good if near score_held_out.",
    ),
    Signal(
        "score_held_out",
        SCORE,
        "none",
        "Mean score of held-out images, which the discriminator never saw: good if near score_train.",
    ),
    Signal(
        "score_sample",
        SCORE,
        "none",
        "Mean score of samples, in evaluation mode: good if it comes near score_held_out.",
    ),
    Signal(
        "D(x)",
        PROBABILITY,
        "none",
        "Mean probability of being real that the discriminator gives real images: "
        "good if between 0.5 (guessing) and 1 (certainty).",
    ),
    Signal(
        "D(G(z))",
        PROBABILITY,
        "none",
        "Mean probability of being real that the discriminator gives generated images: "
        "good if between 0 (certainty) and 0.5 (guessing).",
    ),
    Signal(
        "accuracy_real",
        PROBABILITY,
        "none",
        "Share of real images that the discriminator classifies as real: "
        "good if between 0.5 (guessing) and 1 (certainty).",
    ),
    Signal(
        "accuracy_fake",
        PROBABILITY,
        "none",
        "Share of generated images that the discriminator classifies as generated: "
        "good if between 0.5 (guessing) and 1 (certainty).",
    ),
    Signal(
        "class_accuracy_real",
        PROBABILITY,
        "higher",
        "Share of real images whose class the discriminator predicts correctly.",
    ),
    Signal(
        "class_accuracy_fake",
        PROBABILITY,
        "higher",
        "Share of generated images whose class the discriminator predicts correctly.",
    ),
    # Optimisation.
    Signal(
        "gradient_norm",
        GRADIENT_NORM,
        "none",
        "L2 norm of the gradient, before clipping: good if it neither grows without end nor vanishes.",
    ),
    Signal(
        "{player}_gradient_norm",
        GRADIENT_NORM,
        "none",
        "L2 norm of a network's gradient, before clipping: good if it neither grows without end nor vanishes.",
    ),
    Signal(
        "{player}_update_ratio",
        UPDATE_RATIO,
        "none",
        "How far one step moves the weights, ‖Δθ‖/‖θ‖: good if about 0.001.",
    ),
    Signal(
        "{part}_dead_units", DEAD_UNITS, "lower", "Share of a network's ReLU units that are 0 for every input."
    ),
    Signal(
        "data_wait_fraction",
        Kind("share of time", group="optimizer"),
        "lower",
        "Share of the time spent waiting for batches, which is lost for training.",
    ),
    # Samples and reconstructions, compared with real images.
    Signal(
        "diversity",
        DIVERSITY,
        "none",
        "Standard deviation over samples, divided by that over real images: good if near 1; at 0 all are the "
        "same.",
    ),
    Signal(
        "nearest_neighbour_distance",
        DIVERSITY,
        "none",
        "Median distance of a sample to the nearest other sample, divided by the same of real images: good if "
        "near 1; near 0 samples have copies.",
    ),
    Signal(
        "saturated_pixels",
        PIXELS,
        "none",
        "Share of black and white pixels (beyond ±0.99) in samples, minus that in real images: good if near 0; "
        "below 0 samples are paler, above 0 their pixels are saturated.",
    ),
    Signal(
        "sample_sharpness",
        SHARPNESS,
        "none",
        "Mean difference of neighbouring pixels in samples, divided by that in real images: good if near 1; below "
        "it samples are blurred, above it noisy.",
    ),
    Signal(
        "checkerboard",
        PATTERN,
        "none",
        "Standard deviation of the checkerboard pattern in samples, in grey levels of 255, beyond that in real "
        "images: good if near 0; above about 2 it can be seen.",
    ),
    # Translations, compared with their sources and with real targets.
    Signal(
        "translation_change",
        TRANSLATION,
        "none",
        "Mean difference of translations and their sources, divided by that of targets and sources: good if near "
        "1; near 0 nothing is translated.",
    ),
    Signal(
        "source_effect",
        TRANSLATION,
        "none",
        "Mean difference of the translations of two sources, divided by that of two targets: good if near 1; near "
        "0 the source is ignored.",
    ),
    Signal(
        "label_effect",
        TRANSLATION,
        "none",
        "Mean difference of the translations of a source into two domains, divided by that of two targets: good "
        "if near 1; near 0 the domain is ignored.",
    ),
    Signal(
        "source_match",
        TRANSLATION,
        "higher",
        "Mean distance of translations to the targets of other sources, divided by that to their own: 1 if "
        "translations have nothing to do with their source.",
    ),
    Signal(
        "colour_inversion",
        TRANSLATION,
        "lower",
        "Distance of translations to the targets, divided by that of the inverted translations: above 1 colours "
        "are inverted.",
    ),
    Signal(
        "domain_gap",
        TRANSLATION,
        "lower",
        "Energy distance of translations to the target domain, divided by that of the sources: 1 if nothing is "
        "gained, 0 if the domains are the same.",
    ),
    Signal(
        "cycle_error",
        CYCLE,
        "lower",
        "Mean difference of sources and their translations there and back, divided by that of two sources.",
    ),
    Signal(
        "cycle_error_noisy",
        CYCLE,
        "lower",
        "The cycle error if translations are rounded to bytes and get noise of four grey levels: good if near "
        "cycle_error; far above it the source is hidden in the translation.",
    ),
    Signal(
        "reconstruction_sharpness",
        SHARPNESS,
        "none",
        "Mean difference of neighbouring pixels in reconstructions, divided by that in real images: good if near "
        "1; below it reconstructions are blurred.",
    ),
    Signal(
        "r2_train",
        R2,
        "higher",
        "R² of the reconstructions of training images: 0 for the mean image, 1 for perfect ones.",
    ),
    Signal(
        "r2_held_out",
        R2,
        "higher",
        "R² of the reconstructions of held-out images: 0 for the mean image, 1 for perfect ones.",
    ),
    Signal("denoised_error", DENOISING, "lower", "Squared error after denoising, divided by that before it."),
    Signal(
        "denoised_change",
        DENOISING,
        "none",
        "Squared change that denoising makes, divided by the error before it: good if near 1; 0 if the input is "
        "copied.",
    ),
    # Latents of autoencoders and VAEs.
    Signal(
        "inactive_latents",
        LATENTS,
        "lower",
        "Share of latent dimensions that are nearly the same for every image.",
    ),
    Signal(
        "mean_activation",
        Kind("activation", group="latent"),
        "none",
        "Mean of the latents, which the sparsity penalty keeps small: good if near the target of the penalty.",
    ),
    Signal(
        "latent_std",
        LATENT_SCALE,
        "none",
        "Standard deviation of the latents of a batch: good if it settles above 0; at 0 the latents "
        "carry no information.",
    ),
    Signal(
        "posterior_mean",
        LATENT_SCALE,
        "none",
        "Mean |μ| of the posterior: good if not near 0, as it is in a collapsed one.",
    ),
    Signal(
        "posterior_std",
        LATENT_SCALE,
        "none",
        "Mean σ of the posterior: good if between 0 and 1; 1 is that of the prior and of a collapsed posterior.",
    ),
    Signal(
        "aggregate_variance",
        Kind("variance", group="latent"),
        "none",
        "Variance of the latents over all images: good if near 1, as in the prior.",
    ),
    Signal(
        "active_units",
        Kind("active units", group="latent"),
        "none",
        "Number of latent dimensions that depend on the image: good if not near 0; the others are unused.",
    ),
    Signal(
        "distortion",
        Kind("distortion", group="loss"),
        "lower",
        "−log p(x|z) in nats per image: the reconstruction error.",
    ),
    Signal(
        "rate",
        Kind("rate", group="loss"),
        "none",
        "KL(q(z|x) ‖ p(z)) in nats per image, the information that the latent carries: good if not near 0.",
    ),
    Signal(
        "beta",
        Kind("β", group="loss"),
        "none",
        "Weight of the rate in the loss, an option that annealing raises: neither good nor bad.",
    ),
    Signal(
        f"kl{INDEX}",
        Kind("kl", group="latent"),
        "none",
        "KL divergence of one latent dimension in nats: good if above 0 in many; 0 if it is unused.",
    ),
    # Flows and diffusion models.
    Signal(
        "latent_rms",
        LATENT_SCALE,
        "none",
        "Root mean square of the latents of images: good if near 1, as in the prior.",
    ),
    Signal(
        "inversion_error",
        INVERSION,
        "lower",
        "Largest error of a pixel when an image is encoded and decoded again.",
    ),
    Signal(
        "r2",
        R2,
        "higher",
        "R² of the prediction: 0 for a Gaussian fitted to each pixel by itself, 1 for a perfect one.",
    ),
    # Evaluations, on held-out images with the published weights and the same noise each time.
    Signal("bits_per_dimension", BITS, "lower", "Mean −log₂ P(x) per byte of an image, or an upper bound on it."),
    Signal(
        "negative_bound",
        BOUND,
        "lower",
        "Mean −ELBO in nats per image; only models with the same --reconstruction can be compared by it.",
    ),
    Signal("denoising_mse", MSE, "lower", "Mean squared error per pixel in [-1, 1] after denoising."),
    Signal("reconstruction_mse", MSE, "lower", "Mean squared error per pixel in [-1, 1] of reconstructions."),
    Signal("content_distance", TRANSFER, "lower", "Squared distance of stylized contents to the features wanted."),
    Signal(
        "style_distance",
        TRANSFER,
        "lower",
        "Squared distance of mean and deviation of each feature to the style's.",
    ),
    Signal(
        "transfer_distance", TRANSFER, "lower", "The distance to the content, and ten times that to the style."
    ),
    Signal(
        "fd[{extractor}]",
        FD,
        "lower",
        "Fréchet distance between samples and held-out images in the extractor's features; it is not the FID.",
    ),
    Signal(
        "fd_source[{extractor}]",
        FD,
        "none",
        "Fréchet distance between untranslated sources and held-out images: good if fd is far below it.",
    ),
    Signal(
        "translation_l1", L1, "lower", "Mean absolute error per pixel in [-1, 1] of translations to the truth."
    ),
    Signal(
        "source_l1",
        L1,
        "none",
        "Mean absolute error of untranslated sources to the truth: good if translation_l1 is far below it.",
    ),
    Signal(
        "translation_psnr",
        Kind("PSNR", group="evaluation"),
        "higher",
        "Peak signal-to-noise ratio of translations compared with the truth, in dB.",
    ),
    Signal(
        "cycle_l1",
        L1,
        "lower",
        "Mean absolute error of sources that are translated, rounded to bytes, and translated back.",
    ),
    Signal(
        CRITERION,
        Kind(CRITERION, group="evaluation"),
        "lower",
        "The evaluated value that decides which checkpoint is the best.",
    ),
)

# The names of signals in logs of other programs: lower case, letters and digits only.
ALIASES: Mapping[str, Sequence[str]] = {
    "discriminator_loss": (
        *("dloss", "lossd", "errd", "ld", "dlosstotal", "discloss", "lossdisc", "disloss", "lossdis"),
        *("discriminatorloss", "lossdiscriminator", "criticloss", "losscritic", "closs", "lossc", "derr"),
    ),
    "generator_loss": (
        *("gloss", "lossg", "errg", "lg", "glosstotal", "genloss", "lossgen", "generatorloss", "lossgenerator"),
        *("gerr",),
    ),
    "D(x)": ("dx", "dreal", "realprob", "dofx", "probreal", "dxmean"),
    "D(G(z))": ("dgz", "dgz1", "dfake", "fakeprob", "dofgz", "probfake"),
    "score_real": ("scorereal", "realscore", "realscores", "scoresreal", "realvalidity", "logitsreal"),
    "score_fake": ("scorefake", "fakescore", "fakescores", "scoresfake", "fakevalidity", "logitsfake"),
    "accuracy_real": ("accuracyreal", "realacc", "accreal", "drealacc", "realaccuracy"),
    "accuracy_fake": ("accuracyfake", "fakeacc", "accfake", "dfakeacc", "fakeaccuracy"),
    "generator_gradient_norm": ("generatorgradientnorm", "gradnormg", "ggradnorm", "gnorm", "generatorgradnorm"),
    "discriminator_gradient_norm": (
        *("discriminatorgradientnorm", "criticgradientnorm", "gradnormd", "dgradnorm", "dnorm"),
        *("discriminatorgradnorm",),
    ),
    "gradient_norm": ("gradientnorm", "gradnorm", "totalnorm"),
    CRITERION: (
        *("fid", "fid50k", "fid50kfull", "metricsfid50kfull", "fid10k", "fid5k", "kid", "validfid", "testfid"),
    ),
    "loss": (
        *("loss", "trainloss", "totalloss", "losstotal", "trainingloss", "losstrain", "negelbo"),
        *("bpd", "trainbpd", "bitsperdim"),
    ),
    "validation_loss": (
        "validationloss",
        "valloss",
        "validloss",
        "testloss",
        "lossval",
        "evalloss",
        "heldoutloss",
    ),
    "distortion": (
        *("distortion", "recon", "reconloss", "reconstructionloss", "rec", "recloss", "lossrecon", "lossrec"),
        *("reconstruction", "nll", "mse", "mseloss", "bce", "bceloss"),
    ),
    "rate": ("rate", "kl", "kld", "klloss", "kldloss", "losskl", "losskld", "kldiv", "kldivergence"),
}


@cache
def signal(name: str) -> Signal:
    """Return the row of a reported name; an unknown name, such as a plugin's, gets a new row."""
    matching = [row for row in SIGNALS if row.pattern.fullmatch(name)]
    exact = [row for row in matching if row.name == name]
    own = re.sub(r"\[\d+\]$", INDEX, name)
    return next(iter(exact + matching), Signal(own, Kind(own.removesuffix(INDEX)), "none", ""))
