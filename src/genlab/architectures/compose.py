"""Networks put together by the names of their parts: what recipes call."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

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
from genlab.architectures.parts import MakeNorm
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality

DecoderLabelsName = Literal["none", "concat", "batch-norm"]
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
) -> ConditionalSequential:
    """Return a network (examples (B, *shape), condition) -> (B, outputs).

    Args:
        architecture: a name in `ARCHITECTURES`.
        modality: of what goes in.
        outputs: how many numbers each image becomes.
        width: channels of the layer next to the image.
        norm: the normalisation; None for the architecture's own.
        classes: of the labels, which enter as planes beside the image; 0 for none.
        depth: hidden layers of mlp; None for its own.

    Raises:
        UsageError: parts that the architecture does not have, or a size that it is not for.
    """
    parts = lookup(ARCHITECTURES, architecture, "architecture").deepened(depth)
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
) -> ConditionalSequential:
    """Return a network (latents (B, latent), condition) -> raw outputs (B, *shape), which the modality squashes.

    Args:
        architecture: a name in `ARCHITECTURES`.
        latent: dimensions of the latent.
        modality: of what goes in.
        width: channels of the layer next to the image.
        labels: how they enter: "concat", a vector beside the latent; "batch-norm", conditional normalisation.
        classes: of the labels.
        sources: what else is given, by name; its numbers come after the latent.
        attention: the side of the maps that get self-attention.
        depth: hidden layers of mlp; None for its own.

    Raises:
        UsageError: parts that the architecture does not have, or a size that it is not for.
    """
    parts = lookup(ARCHITECTURES, architecture, "architecture").deepened(depth)
    _check_classes(labels, classes)
    joined = JoinSources(sources, flat=True) if sources else None
    join = JoinLabelToLatent(classes) if labels == "concat" else None
    latent += (joined.channels if joined else 0) + (join.size if join else 0)
    conditional = labels == "batch-norm"
    norm: MakeNorm = partial(ConditionalBatchNorm2d, classes=classes) if conditional else BatchNorm2d
    network = parts.decoder(latent, modality, width, norm=norm, attention=attention)
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
    depth: int | None = None,
) -> Discriminator:
    """Return a `Discriminator`.

    Args:
        architecture: a name in `ARCHITECTURES`.
        modality: of what goes in.
        width: channels of the layer next to the image.
        norm: the normalisation; None for the architecture's own.
        dropout: the share of the activations that is dropped in training.
        attention: the side of the maps that get self-attention.
        pack: how many images are judged together.
        minibatch: the layer by which it sees the whole batch.
        labels: how they enter: "concat", as planes beside the image; "projection", as a vector that the features
            are multiplied with; "auxiliary", not at all, but the discriminator guesses them.
        classes: of the labels.
        sources: what else is given, by name; it enters as further channels.
        depth: hidden layers of mlp; None for its own.

    Raises:
        UsageError: parts that the architecture does not have or that do not go together, or a size that it is not
            for.
    """
    parts = lookup(ARCHITECTURES, architecture, "architecture").deepened(depth)
    _check_classes(labels, classes)
    if pack > 1 and labels in ("projection", "auxiliary"):
        raise UsageError(
            f'labels "{labels}" judge single images, and a pack of {pack} has no one label. Set pack 1.'
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
    )
    parts.initialise(network)
    if network.projection is not None:
        nn.init.xavier_uniform_(network.projection.weight)  # as in the authors' code
    return network


def _check_classes(labels: str, classes: int) -> None:
    if labels != "none" and classes == 0:
        raise UsageError(f'labels "{labels}" need data with classes, and these have none. Use labels "none".')
