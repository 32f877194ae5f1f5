"""Networks put together by the names of their parts: what recipes call."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from torch import nn

from genlab.architectures import ARCHITECTURES
from genlab.architectures.discriminator import Discriminator
from genlab.architectures.labels import JoinToImage, JoinToLatent, LabelledSequential
from genlab.architectures.minibatch import MinibatchDiscrimination, MinibatchStddev
from genlab.architectures.normalization import BatchNorm2d, ConditionalBatchNorm2d, NormName
from genlab.architectures.parts import MakeNorm
from genlab.core.batch import ImageShape
from genlab.core.errors import UsageError, lookup

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
    shape: ImageShape,
    outputs: int,
    width: int,
    *,
    norm: NormName | None = None,
    classes: int = 0,
    depth: int | None = None,
) -> LabelledSequential:
    """Return a network (images (B, C, H, W), labels=None) -> (B, outputs).

    Args:
        architecture: a name in `ARCHITECTURES`.
        shape: of the images.
        outputs: how many numbers each image becomes.
        width: channels of the layer next to the image.
        norm: the normalisation; None for the architecture's own.
        classes: of the labels, which enter as planes beside the image; 0 for none.
        depth: hidden layers of mlp; None for its own.

    Raises:
        UsageError: parts that the architecture does not have, or a size that it is not for.
    """
    parts = lookup(ARCHITECTURES, architecture, "architecture").deepened(depth)
    join = JoinToImage(shape, classes) if classes else None
    seen = shape if join is None else shape._replace(channels=shape.channels + join.planes)
    features = parts.features(seen, width, norm=norm or parts.norm, dropout=0.0, attention=None)
    layers = [features.network, nn.Linear(features.size, outputs)]
    network = LabelledSequential(*([] if join is None else [join]), *layers)
    parts.initialise(network)
    return network


def decoder(
    architecture: str,
    latent: int,
    shape: ImageShape,
    width: int,
    *,
    labels: DecoderLabelsName = "none",
    classes: int = 0,
    attention: int | None = None,
    depth: int | None = None,
) -> LabelledSequential:
    """Return a network (latents (B, latent), labels=None) -> pre-activations (B, C, H, W) of an image.

    Args:
        architecture: a name in `ARCHITECTURES`.
        latent: dimensions of the latent.
        shape: of the images.
        width: channels of the layer next to the image.
        labels: how they enter: "concat", a vector beside the latent; "batch-norm", conditional normalisation.
        classes: of the labels.
        attention: the side of the maps that get self-attention.
        depth: hidden layers of mlp; None for its own.

    Raises:
        UsageError: parts that the architecture does not have, or a size that it is not for.
    """
    parts = lookup(ARCHITECTURES, architecture, "architecture").deepened(depth)
    _check_classes(labels, classes)
    join = JoinToLatent(classes) if labels == "concat" else None
    conditional = labels == "batch-norm"
    norm: MakeNorm = partial(ConditionalBatchNorm2d, classes=classes) if conditional else BatchNorm2d
    entering = latent if join is None else latent + join.size
    network = parts.decoder(entering, shape, width, norm=norm, attention=attention)
    if conditional and not any(isinstance(module, ConditionalBatchNorm2d) for module in network.modules()):
        raise UsageError(
            f'labels "batch-norm": the {architecture} architecture has no batch normalisation in its decoder. '
            "Choices: none, concat."
        )
    parts.initialise(network)
    return network if join is None else LabelledSequential(join, network)


def discriminator(
    architecture: str,
    shape: ImageShape,
    width: int,
    *,
    norm: NormName | None = None,
    dropout: float = 0.0,
    attention: int | None = None,
    pack: int = 1,
    minibatch: MinibatchName = "none",
    labels: DiscriminatorLabelsName = "none",
    classes: int = 0,
    depth: int | None = None,
) -> Discriminator:
    """Return a `Discriminator`.

    Args:
        architecture: a name in `ARCHITECTURES`.
        shape: of the images.
        width: channels of the layer next to the image.
        norm: the normalisation; None for the architecture's own.
        dropout: the share of the activations that is dropped in training.
        attention: the side of the maps that get self-attention.
        pack: how many images are judged together.
        minibatch: the layer by which it sees the whole batch.
        labels: how they enter: "concat", as planes beside the image; "projection", as a vector that the features
            are multiplied with; "auxiliary", not at all, but the discriminator guesses them.
        classes: of the labels.
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
    join = JoinToImage(shape, classes) if labels == "concat" else None
    channels = pack * (shape.channels + (0 if join is None else join.planes))
    seen = shape._replace(channels=channels)
    features = parts.features(seen, width, norm=norm or parts.norm, dropout=dropout, attention=attention)
    network = Discriminator(
        features,
        join=join,
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
