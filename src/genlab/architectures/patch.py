"""Discriminators of patches: each score says how real a patch of the image is.

References:
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks, section 6.1.2.
    arXiv:1611.07004.
    Choi et al., 2018. StarGAN, table 5. arXiv:1711.09020.
"""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

from genlab.architectures.conditional import NO_SOURCES, JoinSources
from genlab.architectures.convolution import Conv2d
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import NormName, make_norm
from genlab.architectures.parts import maps_of
from genlab.architectures.translator_parts import initialise
from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality

WIDEST = 8  # times `width`
DEEPEST = 6  # halvings of StarGAN's, for 128 pixels

Shape = tuple[int, int, int]  # channels of the images and their sources, height, width


class PatchDiscriminator(nn.Module):
    """A network (images (B, C, H, W), condition) -> a score for each patch, (B, patches).

    Args:
        features: images to maps.
        score: maps to the scores.
        auxiliary: maps to the logits of the classes (B, classes, 1, 1), if it predicts any.
        sources: conditions that are appended to the image.
    """

    def __init__(
        self, features: nn.Module, score: nn.Module, auxiliary: nn.Module | None, sources: JoinSources | None
    ) -> None:
        super().__init__()
        self.sources, self.features, self.score, self.auxiliary = sources, features, score, auxiliary

    def forward(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return the scores (B, patches), the mean features (B, F), and the logits of the classes."""
        maps: Tensor = self.features(x if self.sources is None else self.sources(x, condition))
        classes = None if self.auxiliary is None else self.auxiliary(maps).flatten(1)
        return DiscriminatorOutput(self.score(maps).flatten(1), maps.mean((2, 3)), classes)


def _patches(
    seen: Shape, width: int, norm: NormName, classes: int, *, halvings: int
) -> tuple[nn.Module, nn.Module, None]:
    """Return layers that halve the maps, one more layer, and the scores of patches.

    The sides of the patches are 16 pixels after one halving, 34 after two and 70 after three.
    """
    channels, *sides = seen
    least = 2 ** (halvings + 2)
    if min(sides) < least:
        raise UsageError(
            f"this discriminator needs images of at least {least} pixels, and these are {sides[0]}×{sides[1]}. "
            "Set a larger --size, or a --discriminator with smaller patches, such as patch-16 or pixel."
        )
    widths = [min(2**level, WIDEST) * width for level in range(halvings + 1)]
    layers: list[nn.Module] = []
    for level, outputs in enumerate(widths):
        stride, inputs = (2 if level < halvings else 1), widths[level - 1] if level else channels
        layers += _layer(inputs, outputs, 4, stride, norm if level else "none")
    return _initialised(layers, Conv2d(widths[-1], 1, 4, padding=1))


def _pixels(seen: Shape, width: int, norm: NormName, classes: int) -> tuple[nn.Module, nn.Module, None]:
    """Return layers that score each pixel without looking at its neighbours."""
    layers = [*_layer(seen[0], width, 1, 1, "none"), *_layer(width, 2 * width, 1, 1, norm)]
    return _initialised(layers, Conv2d(2 * width, 1, 1))


def _stargan(
    seen: Shape, width: int, norm: NormName, classes: int
) -> tuple[nn.Module, nn.Module, nn.Module | None]:
    """Return layers that halve the maps, the scores, and a convolution over the whole last map for the classes.

    Published for 128 pixels, with six halvings; here at most as many as leave two pixels. They have no
    normalisation, and torch's initial weights, as in the authors' code.
    """
    channels, *sides = seen
    halvings = min(DEEPEST, min(sides).bit_length() - 2)
    if halvings < 1:
        raise UsageError(
            f"this discriminator needs images of at least 4 pixels, and these are {sides[0]}×{sides[1]}. "
            "Set a larger --size, or --discriminator pixel."
        )
    layers: list[nn.Module] = []
    for level in range(halvings):
        inputs, outputs = (2 ** (level - 1) * width if level else channels), 2**level * width
        layers += [Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.01, inplace=True)]
    last = (sides[0] >> halvings, sides[1] >> halvings)
    auxiliary = nn.Conv2d(outputs, classes, last, bias=False) if classes else None
    return MixedSequential(*layers), Conv2d(outputs, 1, 3, padding=1, bias=False), auxiliary


def _layer(inputs: int, outputs: int, side: int, stride: int, norm: NormName) -> list[nn.Module]:
    padding = 0 if side == 1 else 1
    convolution = Conv2d(inputs, outputs, side, stride=stride, padding=padding, bias=norm == "none")
    return [convolution, make_norm(norm, outputs), nn.LeakyReLU(0.2, inplace=True)]


def _initialised(layers: list[nn.Module], score: nn.Module) -> tuple[nn.Module, nn.Module, None]:
    features = MixedSequential(*layers)
    for network in (features, score):
        initialise(network)
    return features, score, None


PATCHES: Mapping[str, Callable[[Shape, int, NormName, int], tuple[nn.Module, nn.Module, nn.Module | None]]] = {
    "patch-70": partial(_patches, halvings=3),
    "patch-34": partial(_patches, halvings=2),
    "patch-16": partial(_patches, halvings=1),
    "pixel": _pixels,
    "stargan": _stargan,
}


def patch_discriminator(
    name: str,
    modality: Modality,
    width: int,
    *,
    norm: NormName = "instance",
    sources: Mapping[str, Modality] = NO_SOURCES,
    classes: int = 0,
) -> PatchDiscriminator:
    """Return a discriminator of images.

    Args:
        name: in `PATCHES`.
        modality: of the images.
        width: channels of the first layer.
        norm: normalisation of all layers but the first and the last; stargan has none.
        sources: conditions that are appended to the image, by name.
        classes: number of classes that it predicts; 0 for none. Only for stargan.

    Raises:
        UsageError: the images are too small for it, or it predicts no classes.
    """
    make = lookup(PATCHES, name, "discriminator")
    if classes and name != "stargan":
        raise UsageError(f"--discriminator {name} does not predict classes. Set --discriminator stargan.")
    join = JoinSources(sources, flat=False) if sources else None
    channels, height, across = maps_of(modality, "patch discriminator", "another preset, such as gan")
    seen = (channels + (join.channels if join else 0), height, across)
    return PatchDiscriminator(*make(seen, width, norm, classes), join)
