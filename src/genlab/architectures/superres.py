"""Networks that enlarge images: all compute at least the luma, and add what they find to bicubic interpolation.

References:
    Dong et al., 2014. Image Super-Resolution Using Deep Convolutional Networks (SRCNN). arXiv:1501.00092.
    Dong, Loy and Tang, 2016. Accelerating the Super-Resolution Convolutional Neural Network (FSRCNN).
    arXiv:1608.00367.
    Lim et al., 2017. Enhanced Deep Residual Networks for Single Image Super-Resolution (EDSR). arXiv:1707.02921.
    Shi et al., 2016. Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network. arXiv:1609.05158: the pixel shuffle.
"""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

from genlab.architectures.convolution import Conv2d
from genlab.architectures.mixed import Mixed
from genlab.architectures.parts import maps_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.pixels import LUMA

SHRUNK = 12 / 56  # channels of FSRCNN's mapping, as a share of those of its features
RESIDUAL = 0.1  # EDSR's factor on the output of each block, for wide networks
WIDE = 128  # channels from which it is needed


class Enlarging(Mixed):
    """A network from images (B, C, H, W) to images (B, C, sH, sW): bicubic interpolation plus `details`.

    With `luma`, `details` sees and adds brightness alone, as the papers' networks of one channel do.

    Args:
        source: modality of the input.
        target: modality of the output, with as many channels and sides s times as long.
        luma: whether it works on one channel.

    Raises:
        UsageError: these are no such images.
    """

    def __init__(self, source: Modality, target: Modality, *, luma: bool) -> None:
        super().__init__()
        self.scale = scale_of(source, target)
        self.luma = luma and source.shape[0] > 1
        self.channels = 1 if self.luma else source.shape[0]

    def details(self, x: Tensor) -> Tensor:
        """Return what is added to the interpolation of images (B, `channels`, H, W), (B, `channels`, sH, sW)."""
        raise NotImplementedError

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        """Return images (B, C, sH, sW), which are not limited to [-1, 1]."""
        given = (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True) if self.luma else x
        found = self.details(given)
        return enlarged(x, self.scale) + found


class SRCNN(Enlarging):
    """Three convolutions of 9, 1 and 5 pixels on the interpolated luma.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels after the first convolution, and twice those after the second; 64 in the paper.
        blocks: None; there are no blocks.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target, luma=True)
        _no_blocks("srcnn", blocks)
        self.layers = nn.Sequential(
            Conv2d(self.channels, width, 9, padding=4),
            nn.ReLU(),
            nn.Conv2d(width, -(-width // 2), 1),
            nn.ReLU(),
            Conv2d(-(-width // 2), self.channels, 5, padding=2),
        )
        initialise(self.layers)

    def details(self, x: Tensor) -> Tensor:
        """Return what is added to the interpolation."""
        with self.shortened(x.device):
            made = self.layers(enlarged(x, self.scale))
        return self.restored(made)


class FSRCNN(Enlarging):
    """Feature extraction, shrinking, mapping, expanding on the small luma, and a sub-pixel convolution.

    The 3×3 sub-pixel convolution is a transposed one with a kernel of 3s×3s pixels; the paper's has 9×9.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of the features, 56 in the paper; the mapping has a fifth of them.
        blocks: convolutions of the mapping, 4 in the paper.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target, luma=True)
        few = max(1, round(width * SHRUNK))
        mapping = [layer for _ in range(blocks or 4) for layer in (Conv2d(few, few, 3, padding=1), nn.PReLU(few))]
        self.layers = nn.Sequential(
            Conv2d(self.channels, width, 5, padding=2),
            nn.PReLU(width),
            nn.Conv2d(width, few, 1),
            nn.PReLU(few),
            *mapping,
            nn.Conv2d(few, width, 1),
            nn.PReLU(width),
            Conv2d(width, self.channels * self.scale**2, 3, padding=1),
        )
        initialise(self.layers)

    def details(self, x: Tensor) -> Tensor:
        """Return what is added to the interpolation."""
        with self.shortened(x.device):
            made = self.layers(x)
        return pixel_shuffle(self.restored(made), self.scale)


class EDSR(Enlarging):
    """Residual blocks without normalisation on the small image, and one sub-pixel convolution.

    The paper enlarges by 2 at a time, with a convolution of 4·`width` channels at each size; one step of s takes a
    small part of that.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of all maps; 64 or 256 in the paper.
        blocks: residual blocks; 16 or 32 in the paper, 8 by default.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target, luma=False)
        self.first = Conv2d(self.channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(residual_block(width) for _ in range(blocks or 8))
        self.body = Conv2d(width, width, 3, padding=1)
        self.last = Conv2d(width, self.channels * self.scale**2, 3, padding=1)
        self.factor = RESIDUAL if width >= WIDE else 1.0
        initialise([self.first, self.body, self.last])

    def details(self, x: Tensor) -> Tensor:
        """Return what is added to the interpolation."""
        with self.shortened(x.device):
            first = maps = self.first(x)
            for block in self.blocks:
                maps = maps + self.factor * block(maps)
            made = self.last(first + self.body(maps))
        return pixel_shuffle(self.restored(made), self.scale)


def enlarged(x: Tensor, scale: int) -> Tensor:
    """Return images (B, C, H, W), `scale` times as large by bicubic interpolation, as Pillow and MATLAB do it."""
    if scale == 1:
        return x
    return interpolate(x, scale_factor=scale, mode="bicubic", antialias=True)  # antialias: Keys' kernel, a = -½


def scale_of(source: Modality, target: Modality) -> int:
    """Return by what whole number the sides of the target are longer than those of the source.

    Raises:
        UsageError: these are no images of as many channels, or there is no such number.
    """
    channels, height, width = maps_of(target, "networks for super-resolution", "another preset, such as vae")
    scale = height // source.shape[1] if source.spatial == 2 else 0
    if source.shape != (channels, height // max(scale, 1), width // max(scale, 1)) or scale < 1:
        raise UsageError(
            f"this network enlarges images by a whole number, but its sources are {source} and its targets "
            f"{target}. Set --degrade bicubic=4."
        )
    return scale


def _no_blocks(name: str, blocks: int | None) -> None:
    if blocks is not None:
        raise UsageError(f"--blocks {blocks} has no effect on --architecture {name}. Leave it out.")


def residual_block(width: int) -> nn.Sequential:
    """Return conv(relu(conv(h))) with half of He's gain, as its output is added to its input."""
    convolutions = Conv2d(width, width, 3, padding=1), Conv2d(width, width, 3, padding=1)
    for layer, gain in zip(convolutions, (2**0.5, 2**-0.5), strict=True):
        nn.init.normal_(layer.weight, 0.0, gain / (9 * width) ** 0.5)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    return nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1])


def initialise(layers: Iterable[nn.Module]) -> None:
    """Initialise by He et al. (2015), the last layer with 0, so that training starts from interpolation."""
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    for layer in convolutions:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(convolutions[-1].weight)
