"""The network of ESRGAN: dense blocks in residual blocks, without normalisation.

References:
    Wang et al., 2018. ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks. arXiv:1809.00219.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle

from genlab.architectures.convolution import Conv2d
from genlab.architectures.superres import Enlarging
from genlab.core.modality import Modality

SCALING = 0.2  # β, of what a block adds
SMALL = 0.1  # times He's initial weights
SLOPE = 0.2  # of the leaky ReLU
DENSE, LAYERS = 3, 5  # dense blocks in each residual block, and convolutions in each dense block


class RRDB(Enlarging):
    """Residual-in-residual dense blocks on the small image, and one sub-pixel convolution.

    The paper enlarges by 2 at a time by nearest neighbours and convolutions at each size.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels between blocks, 64 in the paper; each convolution inside adds half as many.
        blocks: residual blocks of three dense ones; 23 in the paper, 3 by default.
    """

    def __init__(self, source: Modality, target: Modality, width: int, blocks: int | None = None) -> None:
        super().__init__(source, target, luma=False)
        self.first = Conv2d(self.channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(_Residual(width) for _ in range(blocks or 3))
        self.body = Conv2d(width, width, 3, padding=1)
        self.last = Conv2d(width, self.channels * self.scale**2, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                layer.weight.data *= SMALL
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)

    def details(self, x: Tensor) -> Tensor:
        """Return what is added to the interpolation."""
        with self.shortened(x.device):
            first = maps = self.first(x)
            for block in self.blocks:
                maps = block(maps)
            made = self.last(first + self.body(maps))
        return pixel_shuffle(self.restored(made), self.scale)


class _Residual(nn.Module):
    """x + β dense(dense(dense(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(_Dense(width) for _ in range(DENSE))

    def forward(self, x: Tensor) -> Tensor:
        maps = x
        for dense in self.dense:
            maps = dense(maps)
        return x + SCALING * maps


class _Dense(nn.Module):
    """x + β · the last of several convolutions, each of which sees x and all maps before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        growth = -(-width // 2)
        outputs = [growth] * (LAYERS - 1) + [width]
        self.layers = nn.ModuleList(
            Conv2d(width + number * growth, each, 3, padding=1) for number, each in enumerate(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.layers[:-1]:
            seen.append(leaky_relu(layer(torch.cat(seen, 1)), SLOPE))
        made: Tensor = self.layers[-1](torch.cat(seen, 1))
        return x + SCALING * made
