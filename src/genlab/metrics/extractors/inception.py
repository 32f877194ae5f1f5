"""Inception V3 as in the Fréchet Inception Distance: the network with the weights of 2015-12-05.

It differs from other versions in its pooling: averages exclude the padding, and the last block uses max pooling.

References:
    Szegedy et al., 2015. Rethinking the Inception Architecture for Computer Vision. arXiv:1512.00567.
    Heusel et al., 2017. GANs Trained by a Two Time-Scale Update Rule. arXiv:1706.08500.
    Salimans et al., 2016. Improved Techniques for Training GANs. arXiv:1606.03498.
"""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, linear, max_pool2d, relu

from genlab.core.errors import GenlabError
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.resize import Resize

SIDE, FEATURES, CLASSES = 299, 2048, 1008
URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
SHA256_BEGINS = "6726825d"
PIECE = 8  # images at a time on a CPU

Size = int | tuple[int, int]


def inception(path: Path, device: torch.device, resize: Resize = "antialiased") -> Extractor:
    """Return the extractor: 2,048 features, and the probabilities of 1,008 outputs, always in float32.

    Args:
        path: of the published weights, `pt_inception-2015-12-05-6726825d.pth`.
        device: of the network.
        resize: how images are resized to 299 pixels.

    Raises:
        GenlabError: the file cannot be read, or is not the published one.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GenlabError(f"cannot read the weights of Inception: {error}") from error
    if not digest.startswith(SHA256_BEGINS):
        raise GenlabError(
            f"{path} does not hold the weights that define the Fréchet Inception Distance: its sha256 begins with "
            f"{digest[:8]}, not {SHA256_BEGINS}. Get it from {URL}."
        )
    network = Inception()
    network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    piece = PIECE if device.type == "cpu" else 64
    return Extractor(
        "inception",
        network,
        digest[:12],
        SIDE,
        resize,
        probabilities="softmax of the logits without bias",
        piece=piece,
        device=device,
    )


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, entering: int, leaving: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(leaving, eps=1e-3)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of `leaving` channels."""
        return relu(self.bn(self.conv(maps)))


ACROSS, DOWN = ((1, 7), (0, 3)), ((7, 1), (3, 0))


class BlockA(nn.Module):
    """35×35 maps: 1×1, 5×5, double 3×3 and pooled branches."""

    def __init__(self, entering: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(entering, 64, 1)
        self.branch5x5_1 = Convolution(entering, 48, 1)
        self.branch5x5_2 = Convolution(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Convolution(entering, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, padding=1)
        self.branch_pool = Convolution(entering, pooled, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the concatenated branches."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(maps)))
        branches = (
            self.branch1x1(maps),
            self.branch5x5_2(self.branch5x5_1(maps)),
            double,
            self.branch_pool(_average(maps)),
        )
        return torch.cat(branches, 1)


class BlockB(nn.Module):
    """From 35×35 to 17×17."""

    def __init__(self, entering: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(entering, 384, 3, stride=2)
        self.branch3x3dbl_1 = Convolution(entering, 64, 1)
        self.branch3x3dbl_2 = Convolution(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the concatenated branches."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(maps)))
        return torch.cat((self.branch3x3(maps), double, max_pool2d(maps, 3, stride=2)), 1)


class BlockC(nn.Module):
    """17×17 maps: 7×7 windows as 1×7 and 7×1."""

    def __init__(self, entering: int, inside: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(entering, 192, 1)
        self.branch7x7_1 = Convolution(entering, inside, 1)
        self.branch7x7_2 = Convolution(inside, inside, ACROSS[0], padding=ACROSS[1])
        self.branch7x7_3 = Convolution(inside, 192, DOWN[0], padding=DOWN[1])
        self.branch7x7dbl_1 = Convolution(entering, inside, 1)
        self.branch7x7dbl_2 = Convolution(inside, inside, DOWN[0], padding=DOWN[1])
        self.branch7x7dbl_3 = Convolution(inside, inside, ACROSS[0], padding=ACROSS[1])
        self.branch7x7dbl_4 = Convolution(inside, inside, DOWN[0], padding=DOWN[1])
        self.branch7x7dbl_5 = Convolution(inside, 192, ACROSS[0], padding=ACROSS[1])
        self.branch_pool = Convolution(entering, 192, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the concatenated branches."""
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(maps)))
        branches = (
            self.branch1x1(maps),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(maps))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(_average(maps)),
        )
        return torch.cat(branches, 1)


class BlockD(nn.Module):
    """From 17×17 to 8×8."""

    def __init__(self, entering: int) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(entering, 192, 1)
        self.branch3x3_2 = Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(entering, 192, 1)
        self.branch7x7x3_2 = Convolution(192, 192, ACROSS[0], padding=ACROSS[1])
        self.branch7x7x3_3 = Convolution(192, 192, DOWN[0], padding=DOWN[1])
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the concatenated branches."""
        wide = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(maps))))
        return torch.cat((self.branch3x3_2(self.branch3x3_1(maps)), wide, max_pool2d(maps, 3, stride=2)), 1)


class BlockE(nn.Module):
    """8×8 maps: 3×3 windows as 1×3 and 3×1 side by side."""

    def __init__(self, entering: int, *, largest: bool) -> None:
        super().__init__()
        self.largest = largest  # max pooling
        self.branch1x1 = Convolution(entering, 320, 1)
        self.branch3x3_1 = Convolution(entering, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(entering, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Convolution(entering, 192, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the concatenated branches."""
        single, double = self.branch3x3_1(maps), self.branch3x3dbl_2(self.branch3x3dbl_1(maps))
        pooled = max_pool2d(maps, 3, stride=1, padding=1) if self.largest else _average(maps)
        branches = (
            self.branch1x1(maps),
            *(self.branch3x3_2a(single), self.branch3x3_2b(single)),
            *(self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)),
            self.branch_pool(pooled),
        )
        return torch.cat(branches, 1)


class Inception(nn.Module):
    """Images (B, 3, 299, 299) in [-1, 1] to features and probabilities; layer names are those of the file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c = BlockC(768, 128), BlockC(768, 160)
        self.Mixed_6d, self.Mixed_6e = BlockC(768, 160), BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, largest=False), BlockE(2048, largest=True)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> ExtractorOutput:
        """Return pooled features (B, 2048) and probabilities (B, 1008).

        The probabilities are the softmax of the logits without the bias, as in the code that defined the Inception
        score (Salimans et al., 2016).
        """
        maps = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))
        maps = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(max_pool2d(maps, 3, stride=2)))
        maps = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(max_pool2d(maps, 3, stride=2))))
        maps = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(maps)))))
        maps = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(maps)))
        features = maps.mean((2, 3))
        return ExtractorOutput(features, linear(features, self.fc.weight).softmax(1))


def _average(maps: Tensor) -> Tensor:
    return avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
