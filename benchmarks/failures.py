"""Runs that fail for a known reason, and healthy runs, to test the doctor on.

Each kind of failure is provoked by causes that occur in practice, on three data sets. Thresholds are tuned on the
even seeds and results reported on the odd ones; healthy runs are also trained with seeds from `LATER` on.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genlab.data.source import open_source

HEALTHY = "healthy"
LATER = 100
SIDES: Mapping[str, int] = {"digits": 16, "fashion-mnist": 32, "cifar10": 32}
GAN: Mapping[str, Any] = {"width": 16, "batch_size": 32, "steps": 1000, "ema": 0.0}
VAE: Mapping[str, Any] = {"width": 16, "batch_size": 64, "steps": 1000}
FLOW: Mapping[str, Any] = {"width": 32, "flow_steps": 4, "batch_size": 64, "steps": 1000}
DIFFUSION: Mapping[str, Any] = {"width": 16, "batch_size": 32, "steps": 1000, "size": 16}
BASE: Mapping[str, Mapping[str, Any]] = {"gan": GAN, "flow": FLOW, "diffusion": DIFFUSION}  # VAE for all others
WIDE: Mapping[str, Any] = {"width": 256}  # for mlp
FEW = 64  # training pictures of a run with too few


@dataclass(frozen=True)
class Case:
    """A run: its kind of failure, preset, data and options."""

    kind: str
    preset: str
    data: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    corruption: str = ""  # of the pictures

    @property
    def name(self) -> str:
        """The unique name of the case."""
        return f"{self.kind}-{self.preset}-{self.data}-{self.seed}".replace(" ", "-")

    @property
    def half(self) -> Literal["tuning", "unseen", "later"]:
        """Whether the case is for tuning thresholds or for reporting results."""
        if self.seed >= LATER:
            return "later"
        return "unseen" if self.seed % 2 else "tuning"


@dataclass(frozen=True)
class Kind:
    """A kind of failure: the right findings, the presets and the causes."""

    expected: Sequence[str]
    presets: Sequence[str]
    causes: Sequence[Mapping[str, Any]]
    corruption: str = ""


KINDS: Mapping[str, Kind] = {
    "discriminator too slow": Kind(
        (
            "discriminator-too-weak",
            "learning-rate-too-high",
            "unbalanced-updates",
            "mode-collapse",
            "mode-dropping",
        ),
        ("dcgan", "gan"),
        (
            {"generator_lr": 4e-3, "generator_steps": 5},
            {"loss": "minimax", "discriminator_lr": 2e-5, "generator_lr": 2e-3},
        ),
    ),
    "discriminator too strong": Kind(
        ("discriminator-too-strong", "vanishing-gradients"),
        ("dcgan", "gan"),
        (
            {"discriminator_lr": 2e-3, "discriminator_steps": 5, "generator_lr": 2e-5},
            {"discriminator_steps": 10, "generator_lr": 1e-5},
        ),
    ),
    "vanishing gradients": Kind(
        ("vanishing-gradients", "discriminator-too-strong"),
        ("dcgan", "gan"),
        (
            {"loss": "minimax", "discriminator_steps": 5, "discriminator_lr": 1e-3},
            {"loss": "minimax", "discriminator_steps": 10},
        ),
    ),
    "discriminator too weak": Kind(
        ("discriminator-too-weak",),
        ("dcgan", "lsgan"),
        ({"discriminator_lr": 1e-7}, {"flip_labels": 0.5}),
    ),
    "generator not learning": Kind(
        ("generator-not-learning", "learning-rate-too-low", "discriminator-too-strong"),
        ("dcgan", "lsgan"),
        ({"generator_lr": 1e-9}, {"generator_lr": 1e-7}),
    ),
    "divergence": Kind(
        ("divergence", "exploding-gradients", "not-finite"),
        ("gan",),
        ({"loss": "wasserstein", "discriminator_lr": 2e-3}, {"loss": "wasserstein", "generator_lr": 2e-3}),
    ),
    "learning rate too high": Kind(
        ("learning-rate-too-high", "divergence", "mode-collapse", "saturated-samples", "not-finite"),
        ("dcgan", "gan"),
        ({"generator_lr": 2e-2, "discriminator_lr": 2e-2}, {"generator_lr": 1e-1, "discriminator_lr": 1e-1}),
    ),
    "momentum too high": Kind(
        ("oscillation", "training-collapse", "mode-collapse", "saturated-samples"),
        ("gan",),
        (
            {"betas": (0.9, 0.999), "generator_lr": 1e-3, "discriminator_lr": 1e-3},
            {"betas": (0.9, 0.999), "generator_lr": 2e-3, "discriminator_lr": 2e-3},
        ),
    ),
    "overfitting discriminator": Kind(
        ("discriminator-overfitting", "data-tiny"),
        ("dcgan", "lsgan"),
        ({}, {"discriminator_steps": 2}),
        corruption="few",
    ),
    "uninformative labels": Kind(
        ("uninformative-labels",),
        ("acgan",),
        ({}, {"discriminator_dropout": 0.2}),
        corruption="shuffled labels",
    ),
    "wrong range": Kind(("data-range",), ("dcgan", "conv-vae"), ({},), corruption="dark"),
    "constant images": Kind(("data-constant",), ("dcgan", "conv-vae"), ({},), corruption="half constant"),
    "duplicates": Kind(("data-duplicates",), ("dcgan", "conv-vae"), ({},), corruption="duplicates"),
    "rare class": Kind(("data-imbalance",), ("cgan", "conditional-vae"), ({},), corruption="rare class"),
    "posterior collapse": Kind(
        ("posterior-collapse", "over-regularised"),
        ("conv-vae", "vae"),
        ({"beta": 50.0}, {"beta": 200.0}),
    ),
    "over-regularised": Kind(
        ("over-regularised", "posterior-collapse"),
        ("conv-vae", "vae"),
        ({"beta": 8.0}, {"beta": 15.0}),
    ),
    "under-regularised": Kind(
        ("under-regularised",),
        ("conv-vae", "vae"),
        ({"beta": 1e-4}, {"beta": 0.0}),
    ),
    "VAE, learning rate too high": Kind(
        ("learning-rate-too-high", "no-learning", "not-finite", "posterior-collapse", "exploding-gradients"),
        ("conv-vae", "autoencoder"),
        ({"lr": 3e-1}, {"lr": 1.0}),
    ),
    "VAE, learning rate too low": Kind(
        ("learning-rate-too-low", "no-learning"),
        ("conv-vae", "autoencoder"),
        ({"lr": 1e-8}, {"lr": 1e-7}),
    ),
    "overfitting": Kind(
        ("overfitting", "data-tiny"),
        ("conv-autoencoder", "conv-vae"),
        ({},),
        corruption="few",
    ),
    "identity mapping": Kind(
        ("identity-mapping",),
        ("denoising-autoencoder",),
        ({"corruption_level": 0.01, "latent": 512}, {"corruption_level": 0.03, "latent": 512}),
    ),
    "inactive latents": Kind(
        ("inactive-latents", "penalty-dominates", "no-learning"),
        ("sparse-autoencoder",),
        ({"sparsity_weight": 3e4}, {"sparsity": "l1", "sparsity_weight": 300.0}),
    ),
    "flow, learning rate too high": Kind(
        (
            *("learning-rate-too-high", "not-finite", "exploding-gradients"),
            *("diverging-likelihood", "not-invertible", "prior-mismatch"),
        ),
        ("glow", "realnvp"),
        ({"lr": 1e-1}, {"lr": 1.0}),
    ),
    "flow, learning rate too low": Kind(
        ("learning-rate-too-low",),
        ("glow", "realnvp"),
        ({"lr": 1e-8}, {"lr": 1e-7}),
    ),
    "flow, overfitting": Kind(
        ("overfitting", "data-tiny"),
        ("glow", "realnvp"),
        ({},),
        corruption="few",
    ),
    "diffusion, learning rate too high": Kind(
        ("learning-rate-too-high", "not-finite", "exploding-gradients", "no-denoising", "diverging-loss"),
        ("ddpm", "flow-matching"),
        ({"lr": 3e-2}, {"lr": 1e-1}),
    ),
    "diffusion, learning rate too low": Kind(
        ("learning-rate-too-low", "no-denoising"),
        ("ddpm", "flow-matching"),
        ({"lr": 1e-8}, {"lr": 1e-7}),
    ),
    "diffusion, overfitting": Kind(
        ("overfitting", "data-tiny"),
        ("ddpm", "flow-matching"),
        ({},),
        corruption="few",
    ),
    "not finite": Kind(
        ("not-finite",),
        ("vae", "gan"),
        ({"lr": 1e3}, {"discriminator_lr": 1e30, "generator_lr": 1e30}),
    ),
}
# Without r1-gan: with its published learning rates it needs more steps to make pictures.
HEALTHY_PRESETS = (
    *("dcgan", "dcgan-upsample", "lsgan", "gan", "wgan-gp", "dcgan", "dragan", "cgan", "acgan", "pacgan"),
    *("relativistic-gan", "minibatch-gan", "feature-matching-gan"),
    *("vae", "conv-vae", "beta-vae", "cyclical-vae", "conditional-vae"),
    *("autoencoder", "conv-autoencoder", "sparse-autoencoder", "denoising-autoencoder"),
    *("glow", "realnvp", "ddpm", "cosine-diffusion", "conditional-diffusion", "flow-matching"),
)
EACH = 8  # runs of each kind


def cases() -> Iterator[Case]:
    """Yield all runs, healthy ones first."""
    for first in (0, LATER):
        for seed, (preset, data) in enumerate(itertools.product(HEALTHY_PRESETS, SIDES), first):
            yield Case(HEALTHY, preset, data, seed)
    for kind, about in KINDS.items():
        product = itertools.product(about.causes, SIDES, about.presets)
        combinations = [(c, data, preset) for c, data, preset in product if all(_has(preset, name) for name in c)]
        order = np.random.default_rng(len(kind)).permutation(np.arange(max(EACH, len(combinations))))[:EACH]
        for seed, number in enumerate(order):
            cause, data, preset = combinations[number % len(combinations)]
            yield Case(kind, preset, data, seed, cause, about.corruption)


def options_of(case: Case, cifar10: str, place: Path) -> dict[str, Any]:
    """Return all options of a case; corrupted pictures are written to a file in `place`."""
    from genlab.recipes.presets import PRESETS

    recipe = PRESETS[case.preset]
    base = dict(BASE.get(recipe.family, VAE))
    if recipe.architecture == "mlp":
        base |= WIDE
    if case.preset == "wgan-gp":
        base["steps"] = 500
    source, side = cifar10 if case.data == "cifar10" else case.data, SIDES[case.data]
    if case.corruption:
        source = str(_corrupted(case, source, side, place))
    return {"size": side, **base, **case.options, "data": source, "seed": case.seed}


def _has(preset: str, option: str) -> bool:
    from genlab.recipes.presets import PRESETS

    return hasattr(PRESETS[preset], option)


def _corrupted(case: Case, source: str, side: int, place: Path) -> Path:
    """Write the corrupted pictures of a source to a file."""
    opened = open_source(source, size=side)
    random = np.random.default_rng(case.seed)
    rows = random.permutation(len(opened.train))[:6000]
    images = np.asarray(opened.train.values[rows])
    assert opened.train.labels is not None
    labels = opened.train.labels[rows]
    if images.dtype != np.uint8:
        images = np.round((images + 1) * 127.5).astype(np.uint8)
    images, labels = CORRUPTIONS[case.corruption](images, labels, random)
    rest = np.arange(min(1000, len(opened.held_out)))
    held_out, truth = np.asarray(opened.held_out.values[rest]), opened.held_out.labels
    assert truth is not None
    if held_out.dtype != np.uint8:
        held_out = np.round((held_out + 1) * 127.5).astype(np.uint8)
    if case.corruption == "dark":
        held_out = held_out // 32
    path = place / f"{case.name}.npz"
    np.savez(path, images=images, labels=labels, held_out_images=held_out, held_out_labels=truth[rest])
    return path


Pictures = tuple["np.ndarray[Any, np.dtype[Any]]", "np.ndarray[Any, np.dtype[Any]]"]
Corruption = Callable[..., Pictures]


def _few(images: Any, labels: Any, random: np.random.Generator) -> Pictures:  # noqa: ANN401
    return images[:FEW], labels[:FEW]


def _shuffled(images: Any, labels: Any, random: np.random.Generator) -> Pictures:  # noqa: ANN401
    return images, random.permutation(labels)


def _dark(images: Any, labels: Any, random: np.random.Generator) -> Pictures:  # noqa: ANN401
    return images // 32, labels


def _constant(images: Any, labels: Any, random: np.random.Generator) -> Pictures:  # noqa: ANN401
    flat = images.copy()
    flat[::2] = images[::2].mean((1, 2, 3), keepdims=True)
    return flat, labels


def _duplicates(images: Any, labels: Any, random: np.random.Generator) -> Pictures:  # noqa: ANN401
    return images[np.arange(len(images)) % (len(images) // 4)], labels[np.arange(len(labels)) % (len(labels) // 4)]


def _rare(images: Any, labels: Any, random: np.random.Generator) -> Pictures:  # noqa: ANN401
    rare = labels == labels.max()
    keep = ~rare | (np.cumsum(rare) <= 3)
    return images[keep], labels[keep]


CORRUPTIONS: Mapping[str, Corruption] = {
    "few": _few,
    "shuffled labels": _shuffled,
    "dark": _dark,
    "half constant": _constant,
    "duplicates": _duplicates,
    "rare class": _rare,
}
