"""Signals of probes, which measure a model at some logged steps, and of what it has inside."""

from collections.abc import Sequence

from genlab.core.signal_kinds import (
    COLOUR_SHIFT,
    CYCLE,
    DENOISING,
    DIVERSITY,
    FIDELITY,
    GAIN,
    INDEX,
    INVERSION,
    LATENT_SCALE,
    LATENTS,
    PATTERN,
    PIXELS,
    R2,
    SEAM,
    SHARPNESS,
    TRANSLATION,
    Kind,
    Signal,
)

PROBES: Sequence[Signal] = (
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
        "images: good if near 0; above about 3 it can be seen.",
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
        "psnr_lost",
        FIDELITY,
        "lower",
        "PSNR in dB that training against a discriminator has cost on held-out images: 1 to 3 are the usual price "
        "of sharpness.",
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
    Signal(
        "psnr_gain",
        GAIN,
        "higher",
        "PSNR of the luma of restored images, in dB, minus that of the sources, enlarged by bicubic interpolation "
        "if they are smaller; the median of the images: good if above 0.",
    ),
    Signal(
        "colour_shift",
        COLOUR_SHIFT,
        "lower",
        "Difference of the mean colour of restored images and of the originals, in grey levels of 255, beyond "
        "twice its standard error; that of the channel in which it is largest.",
    ),
    Signal(
        "fill_gain",
        GAIN,
        "higher",
        "PSNR of filled holes in dB minus that of harmonic filling, the median of a few images: good if above 0.",
    ),
    Signal(
        "fill_sharpness",
        SHARPNESS,
        "none",
        "Differences of neighbouring pixels in filled holes, divided by those of the originals: good if near 1, "
        "but low where the most likely fill is smooth.",
    ),
    Signal(
        "seam",
        SEAM,
        "none",
        "Differences of neighbouring pixels across the border of filled holes, divided by those of the originals: "
        "good if near 1; far above it the border is visible.",
    ),
    Signal(
        "missing_share",
        PIXELS,
        "none",
        "Share of the pixels that are missing: good if below 0.5; above it masks may be inverted.",
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
        "Nats per image in the latent: KL(q(z|x) ‖ p(z)), or the length of its code; good if not near 0.",
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
)
