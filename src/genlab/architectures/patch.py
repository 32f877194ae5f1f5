"""Discriminators of patches: each score says how real a patch of the image is.

References:
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks, section 3.2.2.
    arXiv:1611.07004.
    Choi et al., 2018. StarGAN, table 5. arXiv:1711.09020.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from genlab.architectures.conditional import NO_SOURCES, JoinSources
from genlab.architectures.convolution import Conv2d
from genlab.architectures.mixed import MixedSequential
from genlab.architectures.normalization import NormName, make_norm
from genlab.architectures.parts import maps_of
from genlab.architectures.translator import initialise
from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality

WIDEST = 8  # times `width`


class PatchDiscriminator(nn.Module):
    """A network (images (B, C, H, W), condition) -> a score for each patch, (B, patches).

    Args:
        modality: of the images.
        width: channels of the first layer.
        halvings: convolutions of stride 2. After them come one of stride 1 and the scores: 3 halvings see patches
            of 70 pixels, 1 of 16.
        norm: normalisation of all layers but the first and the last.
        sources: conditions that are appended to the image, by name.
        classes: number of classes that it predicts, too; 0 for none.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        halvings: int,
        norm: NormName = "instance",
        sources: Mapping[str, Modality] = NO_SOURCES,
        classes: int = 0,
    ) -> None:
        super().__init__()
        channels, height, across = maps_of(modality, "patch discriminator", "a preset for points, such as gan")
        if min(height, across) < 2 ** (halvings + 2):
            raise UsageError(
                f"this discriminator needs images of at least {2 ** (halvings + 2)} pixels, and these are "
                f"{height}×{across}. Set a larger --size, or --discriminator patch-16."
            )
        self.sources = JoinSources(sources, flat=False) if sources else None
        inputs, outputs = channels + (self.sources.channels if self.sources else 0), width
        layers: list[nn.Module] = []
        for level in range(halvings):
            layers += _layer(inputs, outputs, 2, norm if level else "none")
            inputs, outputs = outputs, min(2 * outputs, WIDEST * width)
        layers += _layer(inputs, outputs, 1, norm if halvings else "none")
        self.features = MixedSequential(*layers)
        self.score = Conv2d(outputs, 1, 4, padding=1)
        self.auxiliary = nn.Linear(outputs, classes) if classes else None
        initialise(self)

    def forward(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        """Return the scores (B, patches), the mean features (B, F), and the logits of the classes."""
        seen = x if self.sources is None else self.sources(x, condition)
        maps: Tensor = self.features(seen)
        features = maps.mean((2, 3))
        classes = None if self.auxiliary is None else self.auxiliary(features)
        return DiscriminatorOutput(self.score(maps).flatten(1), features, classes)


def _layer(inputs: int, outputs: int, stride: int, norm: NormName) -> list[nn.Module]:
    convolution = Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=norm == "none")
    return [convolution, *([] if norm == "none" else [make_norm(norm, outputs)]), nn.LeakyReLU(0.2)]


def _patches(halvings: int) -> Callable[..., PatchDiscriminator]:
    def make(modality: Modality, width: int, **options: object) -> PatchDiscriminator:
        return PatchDiscriminator(modality, width, halvings=halvings, **options)  # type: ignore[arg-type]

    return make


PATCHES: Mapping[str, Callable[..., PatchDiscriminator]] = {
    "patch-70": _patches(3),
    "patch-34": _patches(2),
    "patch-16": _patches(1),
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
    """Return a discriminator from `PATCHES`.

    Raises:
        UsageError: the images are too small for it.
    """
    lookup(PATCHES, name, "discriminator")
    return PATCHES[name](modality, width, norm=norm, sources=sources, classes=classes)
