"""Signals of each logged step: losses, discriminators, optimisation."""

from collections.abc import Sequence

from genlab.core.signal_kinds import (
    DEAD_UNITS,
    GRADIENT_NORM,
    LOSS,
    PENALTY,
    PROBABILITY,
    SCORE,
    UPDATE_RATIO,
    Kind,
    Signal,
)

TRAINING: Sequence[Signal] = (
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
    Signal("pixel_loss", LOSS, "lower", "Weighted distance of restored images to the originals."),
    Signal("perceptual_loss", LOSS, "lower", "Weighted distance of restored images to the originals in features."),
    Signal("gram_loss", LOSS, "lower", "Weighted distance of restored images to the originals in Gram matrices."),
    Signal("smoothness_loss", LOSS, "lower", "Weighted total variation of restored images."),
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
    Signal(
        "path_length_penalty",
        PENALTY,
        "lower",
        "Weighted variance of how far images move with their styles, which is added to the generator's loss.",
    ),
    Signal("{penalty}_penalty", PENALTY, "lower", "A gradient penalty that is added to the discriminator's loss."),
    Signal(
        "{player}_weight_regularizer",
        PENALTY,
        "lower",
        "Squared distance of the weights to their average over the past (historical averaging).",
    ),
    Signal(
        "path_length",
        Kind("path length", group="loss"),
        "none",
        "Running mean of how far an image moves with its style: good if it settles.",
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
)
