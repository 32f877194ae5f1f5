"""Signals of evaluations."""

from collections.abc import Sequence

from genlab.core.signal_kinds import AUROC, BITS, BOUND, CRITERION, FD, L1, MSE, PSNR, TRANSFER, Kind, Signal

EVALUATIONS: Sequence[Signal] = (
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
        PSNR,
        "higher",
        "Peak signal-to-noise ratio of translations compared with the truth, in dB.",
    ),
    Signal("restoration_l1", L1, "lower", "Mean absolute error per pixel in [-1, 1] of restored images."),
    Signal(
        "psnr_y",
        PSNR,
        "higher",
        "Peak signal-to-noise ratio of the luma of restored images compared with the originals, in dB.",
    ),
    Signal(
        "psnr_y_source",
        PSNR,
        "none",
        "PSNR of the luma of the sources, enlarged by bicubic interpolation if they are smaller: good if psnr_y "
        "is above it.",
    ),
    Signal(
        "hole_psnr",
        PSNR,
        "higher",
        "Peak signal-to-noise ratio of filled holes compared with the originals, in dB, without known pixels.",
    ),
    Signal(
        "hole_l1",
        L1,
        "lower",
        "Mean absolute error per missing pixel in [-1, 1] of filled holes to the originals.",
    ),
    Signal(
        "harmonic_psnr",
        PSNR,
        "none",
        "PSNR in the holes of harmonic filling, the smoothest one: good if hole_psnr is above it.",
    ),
    Signal(
        "mean_psnr",
        PSNR,
        "none",
        "PSNR in the holes of filling with the mean of the known pixels: good if hole_psnr is far above it.",
    ),
    Signal(
        "cycle_l1",
        L1,
        "lower",
        "Mean absolute error of sources that are translated, rounded to bytes, and translated back.",
    ),
    # Of `genlab score` on examples of which it is known whether they are anomalies.
    Signal(
        "auroc[{score}]",
        AUROC,
        "higher",
        "Probability that an anomaly has a higher score than a normal example; by chance ½.",
    ),
    Signal(
        "auroc_chance_error",
        AUROC,
        "lower",
        "Standard error of the AUROC of scores that rank by chance: √((n + m + 1) / 12 n m) for n anomalies and m "
        "normal examples.",
    ),
    Signal(
        CRITERION,
        Kind(CRITERION, group="evaluation"),
        "lower",
        "The evaluated value that decides which checkpoint is the best.",
    ),
)
