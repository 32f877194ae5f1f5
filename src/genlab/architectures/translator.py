"""Networks that translate images, by name.

They are fully convolutional: a network that was trained at one size takes others, in steps of `multiple` pixels.
"""

from collections.abc import Callable, Mapping
from typing import Any

from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import NormName
from genlab.architectures.translator_own import own_translator
from genlab.architectures.translator_parts import UpsamplingName
from genlab.architectures.translator_resnet import ResnetTranslator
from genlab.architectures.translator_unet import UnetTranslator
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality
from genlab.core.parts import NO_OPTIONS, Table

TRANSLATORS: Table[Callable[..., Mixed]] = Table(
    "architecture", {"resnet": ResnetTranslator, "unet": UnetTranslator}, own_translator
)


def translator(
    architecture: str,
    source: Modality,
    target: Modality,
    width: int,
    *,
    norm: NormName = "instance",
    upsampling: UpsamplingName = "upsample",
    dropout: float = 0.0,
    blocks: int | None = None,
    classes: int = 0,
    own: Mapping[str, Any] = NO_OPTIONS,
) -> Mixed:
    """Return a network (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W).

    Args:
        architecture: a name in `TRANSLATORS`.
        source: modality of the input.
        target: modality of the output, in the same size.
        width: channels next to the image.
        norm: the normalisation.
        upsampling: how maps are doubled.
        dropout: fraction of the activations that is dropped in training.
        blocks: residual blocks of resnet; by default its own.
        classes: number of labels; 0 for none.
        own: options of a user's own architecture.

    Raises:
        UsageError: the architecture lacks one of these parts, or does not support this size.
    """
    lookup(TRANSLATORS, architecture, "architecture")
    make = TRANSLATORS.bound(architecture, own)
    options = {"norm": norm, "upsampling": upsampling, "dropout": dropout, "classes": classes}
    if architecture == "resnet":
        return make(source, target, width, **options, blocks=blocks)
    if blocks is not None:
        raise UsageError(f"--blocks {blocks} is for --architecture resnet. Leave it out.")
    return make(source, target, width, **options)
