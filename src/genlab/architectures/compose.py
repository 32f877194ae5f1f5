"""Builds networks from the names of their parts; called by the recipes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from torch import nn

from genlab.architectures import ARCHITECTURES
from genlab.architectures.conditional import (
    NO_SOURCES,
    ConditionalSequential,
    JoinLabelToInput,
    JoinLabelToLatent,
    JoinSources,
)
from genlab.architectures.discriminator import Discriminator
from genlab.architectures.minibatch import MinibatchDiscrimination, MinibatchStddev
from genlab.architectures.normalization import BatchNorm2d, ConditionalBatchNorm2d, NormName
from genlab.architectures.parts import Architecture, MakeNorm
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality
from genlab.core.parts import NO_OPTIONS

DecoderLabelsName = Literal["none", "concat", "batch-norm", "embedding"]
DiscriminatorLabelsName = Literal["none", "concat", "projection", "auxiliary"]
MinibatchName = Literal["none", "discrimination", "stddev"]

MINIBATCH: Mapping[str, Callable[[int], MinibatchDiscrimination | MinibatchStddev | None]] = {
    "none": lambda features: None,
    "discrimination": MinibatchDiscrimination,
    "stddev": MinibatchStddev,
}


def encoder(
    architecture: str,
    modality: Modality,
    outputs: int,
    width: int,
    *,
    norm: NormName | None = None,
    classes: int = 0,
    depth: int | None = None,
    own: Mapping[str, Any] = NO_OPTIONS,
) -> ConditionalSequential:
    """Return a network (examples (B, *shape), condition) -> (B, outputs).

    Args:
        architecture: a name in `ARCHITECTURES`.
        modality: of the examples.
        outputs: size of the output vector.
        width: channels of the layer next to the image.
        norm: the normalisation; by default the architecture's own.
        classes: number of classes; labels enter as extra channels of the image. 0 for no labels.
        depth: hidden layers of mlp; by default its own.
        own: options of a user's own architecture.

    Raises:
        UsageError: the architecture lacks one of these parts, or does not support this size.
    """
    parts = _parts(architecture, own).deepened(depth)
    join = JoinLabelToInput(modality, classes) if classes else None
    seen = modality if join is None else modality.widened(join.planes)
    features = parts.features(seen, width, norm=norm or parts.norm, dropout=0.0, attention=None)
    layers = [features.network, nn.Linear(features.size, outputs)]
    network = ConditionalSequential(*([] if join is None else [join]), *layers)
    parts.initialise(network)
    return network


def decoder(
    architecture: str,
    latent: int,
    modality: Modality,
    width: int,
    *,
    labels: DecoderLabelsName = "none",
    classes: int = 0,
    sources: Mapping[str, Modality] = NO_SOURCES,
    attention: int | None = None,
    depth: int | None = None,
    own: Mapping[str, Any] = NO_OPTIONS,
) -> ConditionalSequential:
    """Return a network (latents (B, latent), condition) -> raw outputs (B, *shape), which the modality squashes.

    Args:
        architecture: a name in `ARCHITECTURES`.
        latent: dimensions of the latent.
        modality: of the output.
        width: channels of the layer next to the image.
        labels: how they enter: "concat", a vector after the latent; "batch-norm", conditional normalisation;
            "embedding", a vector that the architecture itself puts where it wants it.
        classes: number of classes.
        sources: the other conditions by name; their values are appended to the latent.
        attention: side of the feature maps that get self-attention.
        depth: hidden layers of mlp; by default its own.
        own: options of a user's own architecture.

    Raises:
        UsageError: the architecture lacks one of these parts, or does not support this size.
    """
    parts = _parts(architecture, own).deepened(depth)
    _check_classes(labels, classes)
    joined = JoinSources(sources, flat=True) if sources else None
    join = JoinLabelToLatent(classes) if labels == "concat" else None
    latent += (joined.channels if joined else 0) + (join.size if join else 0)
    conditional = labels == "batch-norm"
    norm: MakeNorm = partial(ConditionalBatchNorm2d, classes=classes) if conditional else BatchNorm2d
    if labels == "embedding" and not parts.embeds:
        fitting = ", ".join(name for name, row in ARCHITECTURES.rows.items() if row.embeds)
        raise UsageError(
            f'labels "embedding": the {architecture} architecture does not embed labels itself. Choices: none, '
            f"concat, batch-norm; or --architecture {fitting}."
        )
    embedded = {"classes": classes} if labels == "embedding" else {}
    network = parts.decoder(latent, modality, width, norm=norm, attention=attention, **embedded)
    if conditional and not any(isinstance(module, ConditionalBatchNorm2d) for module in network.modules()):
        raise UsageError(
            f'labels "batch-norm": the {architecture} architecture has no batch normalisation in its decoder. '
            "Choices: none, concat."
        )
    parts.initialise(network)
    joins = [layer for layer in (joined, join) if layer is not None]
    return ConditionalSequential(*joins, network) if joins else network


def discriminator(
    architecture: str,
    modality: Modality,
    width: int,
    *,
    norm: NormName | None = None,
    dropout: float = 0.0,
    attention: int | None = None,
    pack: int = 1,
    minibatch: MinibatchName = "none",
    labels: DiscriminatorLabelsName = "none",
    classes: int = 0,
    sources: Mapping[str, Modality] = NO_SOURCES,
    reconstructs: bool = False,
    depth: int | None = None,
    own: Mapping[str, Any] = NO_OPTIONS,
) -> Discriminator:
    """Return a `Discriminator`.

    Args:
        architecture: a name in `ARCHITECTURES`.
        modality: of the examples.
        width: channels of the layer next to the image.
        norm: the normalisation; by default the architecture's own.
        dropout: fraction of the activations that is dropped in training.
        attention: side of the feature maps that get self-attention.
        pack: number of images that share one score (PacGAN).
        minibatch: the layer that adds features of the whole batch.
        labels: how they enter: "concat", as extra channels of the image; "projection", as a vector that is
            multiplied with the features; "auxiliary", not at all: the discriminator predicts them.
        classes: number of classes.
        sources: the other conditions by name; they enter as extra channels.
        reconstructs: whether it has a decoder of its features.
        depth: hidden layers of mlp; by default its own.
        own: options of a user's own architecture.

    Raises:
        UsageError: the architecture lacks one of these parts or does not support this size, or two parts exclude
            each other.
    """
    parts = _parts(architecture, own).deepened(depth)
    _check_classes(labels, classes)
    if pack > 1 and labels in ("projection", "auxiliary"):
        raise UsageError(
            f'labels "{labels}" need one label per score, and a pack of {pack} images has several. Set pack 1.'
        )
    join = JoinLabelToInput(modality, classes) if labels == "concat" else None
    joined = JoinSources(sources, flat=False) if sources else None
    channels = modality.shape[0] + (join.planes if join else 0) + (joined.channels if joined else 0)
    seen = modality.widened(pack * channels - modality.shape[0])
    features = parts.features(seen, width, norm=norm or parts.norm, dropout=dropout, attention=attention)
    network = Discriminator(
        features,
        join=join,
        sources=joined,
        pack=pack,
        minibatch=lookup(MINIBATCH, minibatch, "minibatch layer")(features.size),
        projection=nn.Embedding(classes, features.size) if labels == "projection" else None,
        auxiliary=nn.Linear(features.size, classes) if labels == "auxiliary" else None,
        decoder=_reconstruction(architecture, parts)(modality, width) if reconstructs else None,
    )
    parts.initialise(network)
    if network.projection is not None:
        nn.init.xavier_uniform_(network.projection.weight)  # as in the authors' code
    return network


def _reconstruction(architecture: str, parts: Architecture) -> Callable[[Modality, int], nn.Module]:
    if parts.reconstruction is None:
        fitting = ", ".join(name for name, row in ARCHITECTURES.rows.items() if row.reconstruction)
        raise UsageError(
            f"the {architecture} architecture has no network from features back to images. Use {fitting}."
        )
    return parts.reconstruction


def _parts(architecture: str, own: Mapping[str, Any]) -> Architecture:
    lookup(ARCHITECTURES, architecture, "architecture")
    return ARCHITECTURES.bound(architecture, own)


def _check_classes(labels: str, classes: int) -> None:
    if labels != "none" and classes == 0:
        raise UsageError(f'labels "{labels}" need data with classes, and these data have none. Use labels "none".')
