"""What the networks that translate images share."""

from typing import Literal

import torch
from torch import Tensor, nn

from genlab.architectures.conditional import Conditional, required
from genlab.architectures.convolution import Conv2d, ConvTranspose2d, upsampled
from genlab.architectures.parts import maps_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

UpsamplingName = Literal["upsample", "transposed"]


class JoinLabelPlanes(Conditional):
    """(B, C, H, W) to (B, C + classes, H, W): a plane for each class, of ones for the label, else of zeros.

    References:
        Choi et al., 2018. StarGAN, section 3.1. arXiv:1711.09020.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, maps: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the maps with the planes of their labels appended."""
        if not self.classes:
            return maps
        labels = required(condition)
        planes = (labels[:, None] == torch.arange(self.classes, device=labels.device)).to(maps.dtype)
        return torch.cat([maps, planes[:, :, None, None].expand(-1, -1, *maps.shape[2:])], dim=1)


class Doubled(nn.Module):
    """Maps of twice the side: nearest-neighbour upsampling and a 3×3 convolution, or a transposed convolution.

    The kernel of the transposed one has 4×4 weights, as in pix2pix and StarGAN: all positions meet four of them.
    With the 3×3 of CycleGAN, they meet one, two or four, which is more visible as a checkerboard.

    References:
        Odena, Dumoulin and Olah, 2016. Deconvolution and Checkerboard Artifacts. distill.pub.
    """

    def __init__(self, inputs: int, outputs: int, upsampling: UpsamplingName, *, bias: bool) -> None:
        super().__init__()
        self.conv: Conv2d | ConvTranspose2d = (
            ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
            if upsampling == "transposed"
            else Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, D, 2H, 2W) of maps (B, C, H, W)."""
        if isinstance(self.conv, Conv2d):
            return upsampled(maps, self.conv)
        return self.conv(maps)  # type: ignore[no-any-return]


def sides_of(source: Modality, target: Modality, architecture: str) -> tuple[int, int, int]:
    """Return the channels of the sources, and the height and width of both.

    Raises:
        UsageError: they are no images, or sources and targets differ in size.
    """
    for modality in (source, target):
        maps_of(modality, f"{architecture} translator", "another preset, such as gan")
    if source.shape[1:] != target.shape[1:]:
        (_, height, width), (_, *sides) = source.shape, target.shape
        raise UsageError(
            f"the sources have {height}×{width} pixels and the targets {sides[0]}×{sides[1]}, but a translation "
            "has the size of its source. Set --size, which resizes both."
        )
    channels, height, width = source.shape
    return channels, height, width


def initialise(network: nn.Module) -> None:
    """Initialise weights from N(0, 0.02), as in the authors' code of pix2pix and CycleGAN, and biases with 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
