"""Networks that translate images: the ResNet of Johnson et al. and the U-Net of pix2pix.

Both are fully convolutional: a network that was trained at one size takes others, in steps of `multiple` pixels.

References:
    Johnson, Alahi and Fei-Fei, 2016. Perceptual Losses for Real-Time Style Transfer. arXiv:1603.08155.
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks. arXiv:1611.07004.
    Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.
    arXiv:1703.10593.
    Choi et al., 2018. StarGAN, table 4. arXiv:1711.09020.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from genlab.architectures.conditional import required
from genlab.architectures.convolution import Conv2d, ConvTranspose2d, upsampled
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import NormName, make_norm
from genlab.architectures.parts import maps_of
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError, lookup
from genlab.core.modality import Modality
from genlab.core.parts import NO_OPTIONS, Part, Table

UpsamplingName = Literal["upsample", "transposed"]
LARGE = 128  # largest side of images that six residual blocks are enough for, as in the authors' code
DEEPEST = 8  # levels of the U-Net at most, as for 256 pixels


class ResnetTranslator(Mixed):
    """A network (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W).

    7×7 convolution, two halvings, residual blocks, two doublings, 7×7 convolution; `width` channels at the image.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels next to the image.
        norm: normalisation after each convolution but the last.
        upsampling: how the maps are doubled.
        blocks: residual blocks; None takes 6 up to 128 pixels and 9 above.
        classes: number of labels that enter as constant extra channels of the input; 0 for none.
    """

    multiple = 4

    def __init__(
        self,
        source: Modality,
        target: Modality,
        width: int,
        *,
        norm: NormName = "instance",
        upsampling: UpsamplingName = "upsample",
        blocks: int | None = None,
        classes: int = 0,
    ) -> None:
        super().__init__()
        channels, *sides = maps_of(source, "resnet translator", "a preset for points, such as gan")
        blocks = blocks or (6 if max(sides) <= LARGE else 9)
        self.classes = classes
        bias = norm == "none"

        def layer(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
            reflected = [nn.ReflectionPad2d(side // 2)] if stride == 1 else []
            padding = 0 if stride == 1 else side // 2
            convolution = Conv2d(inputs, outputs, side, stride=stride, padding=padding, bias=bias)
            return [*reflected, convolution, make_norm(norm, outputs), nn.ReLU()]

        self.first = nn.Sequential(*layer(channels + classes, width, 7))
        self.down = nn.ModuleList(
            nn.Sequential(*layer(inputs, 2 * inputs, 3, stride=2)) for inputs in (width, 2 * width)
        )
        self.blocks = nn.ModuleList(_Residual(4 * width, norm) for _ in range(blocks))
        self.up = nn.ModuleList(_Up(inputs, norm, upsampling) for inputs in (4 * width, 2 * width))
        self.last = nn.Sequential(nn.ReflectionPad2d(3), Conv2d(width, target.shape[0], 7))
        initialise(self)

    def forward(self, source: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the raw outputs (B, C', H, W) of sources (B, C, H, W)."""
        with self.shortened(source.device):
            maps = self.encoded(source, condition)[-1]
            for block in list(self.blocks)[_TAPPED:]:
                maps = block(maps)
            for up in self.up:
                maps = up(maps)
            made: Tensor = self.last(maps)
        return self.restored(made)

    def encoded(self, source: Tensor, condition: Condition = NONE) -> list[Tensor]:
        """Return the maps of five layers: the input, both halvings, the first and the fifth residual block.

        References:
            Park et al., 2020. Contrastive Learning for Unpaired Image-to-Image Translation. arXiv:2007.15651.
        """
        kept = [self._joined(source, condition)]
        maps = self.first(kept[0])
        for down in self.down:
            maps = down(maps)
            kept.append(maps)
        for number, block in enumerate(list(self.blocks)[:_TAPPED]):
            maps = block(maps)
            if number in (0, _TAPPED - 1):
                kept.append(maps)
        return kept

    def _joined(self, source: Tensor, condition: Condition) -> Tensor:
        if not self.classes:
            return source
        planes = one_hot(required(condition), self.classes).to(source.dtype)[:, :, None, None]
        return torch.cat([source, planes.expand(-1, -1, *source.shape[2:])], dim=1)


_TAPPED = 5  # residual blocks after which the last tapped layer comes


class _Residual(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), with reflected borders."""

    def __init__(self, channels: int, norm: NormName) -> None:
        super().__init__()
        bias = norm == "none"
        self.inner = nn.Sequential(
            nn.ReflectionPad2d(1),
            Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            Conv2d(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        result: Tensor = maps + self.inner(maps)
        return result


class _Up(nn.Module):
    """Twice the side and half the channels, then norm and ReLU."""

    def __init__(self, inputs: int, norm: NormName, upsampling: UpsamplingName) -> None:
        super().__init__()
        outputs, bias = inputs // 2, norm == "none"
        self.transposed = upsampling == "transposed"
        self.conv: nn.Module = (
            ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
            if self.transposed
            else Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        )
        self.norm = make_norm(norm, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of twice the side."""
        doubled = self.conv(maps) if isinstance(self.conv, nn.ConvTranspose2d) else upsampled(maps, self.conv)  # type: ignore[arg-type]
        result: Tensor = self.norm(doubled).relu()
        return result


class UnetTranslator(Mixed):
    """A network (sources (B, C, H, W), condition) -> raw outputs (B, C', H, W) with skip connections.

    Each level halves the side by a 4×4 convolution, down to 1 or 2 pixels; each level of the way up gets the maps
    of the way down. The channels double up to 8·width.

    Args:
        source: modality of the input.
        target: modality of the output.
        width: channels of the first level.
        norm: normalisation after each convolution but the first, the innermost and the last.
        upsampling: how the maps are doubled.
        dropout: fraction dropped in the three innermost levels on the way up.
    """

    def __init__(
        self,
        source: Modality,
        target: Modality,
        width: int,
        *,
        norm: NormName = "instance",
        upsampling: UpsamplingName = "upsample",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        channels, height, across = maps_of(source, "unet translator", "a preset for points, such as gan")
        levels = _halvings(height, across)
        self.multiple = 2**levels
        widths = [min(2**level, 8) * width for level in range(levels)]
        bias = norm == "none"
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, outputs in enumerate(widths):
            plain = level in (0, levels - 1)  # one position has no deviation to divide by
            inputs = channels if level == 0 else widths[level - 1]
            convolution = Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias or plain)
            normalised = [] if plain else [make_norm(norm, outputs)]
            self.down.append(nn.Sequential(*([nn.LeakyReLU(0.2)] if level else []), convolution, *normalised))
        for level in reversed(range(1, levels)):
            inputs = widths[level] * (1 if level == levels - 1 else 2)
            self.up.append(_UnetUp(inputs, widths[level - 1], norm, upsampling, dropout * (level >= levels - 3)))
        self.last = _UnetUp(2 * widths[0] if levels > 1 else widths[0], target.shape[0], "none", upsampling, 0.0)
        initialise(self)

    def forward(self, source: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the raw outputs (B, C', H, W) of sources (B, C, H, W)."""
        with self.shortened(source.device):
            kept = [source]
            for down in self.down:
                kept.append(down(kept[-1]))
            maps = kept.pop()
            for up in self.up:
                maps = torch.cat([up(maps), kept.pop()], dim=1)
            made: Tensor = self.last(maps)
        return self.restored(made)


class _UnetUp(nn.Module):
    """ReLU, twice the side, norm, dropout."""

    def __init__(
        self, inputs: int, outputs: int, norm: NormName, upsampling: UpsamplingName, dropout: float
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv: nn.Module = (
            ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
            if upsampling == "transposed"
            else Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        )
        self.norm = make_norm(norm, outputs)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of twice the side."""
        maps = maps.relu()
        doubled = self.conv(maps) if isinstance(self.conv, nn.ConvTranspose2d) else upsampled(maps, self.conv)  # type: ignore[arg-type]
        result: Tensor = self.dropout(self.norm(doubled))
        return result


def initialise(network: nn.Module) -> None:
    """Initialise weights from N(0, 0.02), as in the authors' code; gains with 1 and biases with 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _halvings(height: int, width: int) -> int:
    """Return how often both sides can be halved, at most `DEEPEST` times, down to 2 pixels at least.

    Raises:
        UsageError: an odd side.
    """
    count = 0
    while count < DEEPEST and height % 2 == width % 2 == 0 and min(height, width) > 2:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        raise UsageError(
            f"the unet architecture halves its maps, and these pictures are {height}×{width}. "
            "Set --size to an even number, best a power of 2."
        )
    return count


def own_translator(part: Part, own: Mapping[str, Any]) -> Callable[..., Mixed]:
    """Refuse: a user's own network cannot translate yet."""
    raise UsageError(f'the architecture "{part.name}" cannot translate. Choices: resnet, unet.')


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
    own: Mapping[str, Any] = NO_OPTIONS,
    **rest: Any,  # noqa: ANN401 (blocks, classes or dropout)
) -> Mixed:
    """Return a network from `TRANSLATORS`; `rest` are options that only some of them take.

    Raises:
        UsageError: the architecture does not support these data.
    """
    lookup(TRANSLATORS, architecture, "architecture")
    make = TRANSLATORS.bound(architecture, own)
    return make(source, target, width, norm=norm, upsampling=upsampling, **rest)
