"""Networks: any `nn.Module`; none knows a loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from genlab.architectures import dcgan, mlp
from genlab.core.batch import ImageShape


@dataclass(frozen=True)
class Architecture:
    """The two directions between an image and a vector.

    A generator is a decoder; a critic is an encoder with one output.
    """

    decoder: Callable[[int, ImageShape, int], nn.Module]  # (latent, shape, width)
    encoder: Callable[[ImageShape, int, int], nn.Module]  # (shape, outputs, width)


ARCHITECTURES: Mapping[str, Architecture] = {
    "mlp": Architecture(mlp.decoder, mlp.encoder),
    "dcgan": Architecture(dcgan.decoder, dcgan.encoder),
    "dcgan-upsample": Architecture(partial(dcgan.decoder, upsample=True), dcgan.encoder),
}
