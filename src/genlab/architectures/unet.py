"""The U-Net of denoising diffusion, for images with even sides.

Maps are halved until their side is odd or 4; they have `width` channels at the image and 2·width below. Each
resolution has residual blocks on the way down, and one block more on the way up, where the maps from the way down
are concatenated (skip connections). With width 128 the maps are those of the published network for 32 pixels,
whose attention has one head.

Layers, their order and the number of groups of each normalisation are as in `UNet2DModel` of diffusers, which
computes the same with the same weights; its `to_q`, `to_k` and `to_v` are the thirds of `inward`.

References:
    Ronneberger, Fischer and Brox, 2015. U-Net. arXiv:1505.04597.
    Ho, Jain and Abbeel, 2020. Denoising Diffusion Probabilistic Models, appendix B. arXiv:2006.11239.
"""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from genlab.architectures.conditional import LABEL, NO_SOURCES, JoinSources
from genlab.architectures.convolution import Conv2d, upsampled
from genlab.architectures.dropout import Dropout
from genlab.architectures.mixed import Mixed
from genlab.architectures.parts import MakeNorm, check_attention, maps_of
from genlab.core.condition import NONE, Condition, condition_rows
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

SMALLEST = 4
GROUP = 16  # fewest channels of a group in normalisation: with fewer, torch takes ten times as long in bf16
ATTENDED = 16  # largest side of maps that get self-attention by default
PART = 64  # images at a time in inference on a CPU
BLOCKS = 2  # residual blocks of each resolution on the way down
HEAD = 64  # channels of an attention head at least, if the map has as many
FEW = 256  # positions up to which attention is written out


class UNet(Mixed):
    """A network (noisy images (B, C, H, W), times (B,), condition) -> (B, C, H, W).

    Args:
        modality: of the images.
        width: channels of the maps at the image.
        classes: number of classes it is conditioned on; 0 for none. Class number `classes` means no label.
        sources: images of the same size that it is conditioned on, as further channels of the input.
        attention: side of the maps that get self-attention besides the smallest; 0 for none, by default 16 or
            the next smaller.
        dropout: fraction of the activations in residual blocks that is dropped in training.

    Raises:
        UsageError: sides that cannot be halved, attention at a side that no map has, or sources of another size.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        classes: int = 0,
        sources: Mapping[str, Modality] = NO_SOURCES,
        attention: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, *_ = maps_of(modality, "unet architecture", "--architecture mlp")
        sides = _sides(modality)
        if attention is None:
            attention = max((side for side in sides if side <= ATTENDED), default=0)
        check_attention(attention or None, sides)
        size, norm = 4 * width, _norm(width)
        block = partial(Block, embedding=size, norm=norm, dropout=dropout)
        self.time = nn.Sequential(Wave(width), nn.Linear(width, size), nn.SiLU(), nn.Linear(size, size))
        self.label = LabelOrNone(classes, size) if classes else None
        self.sources = _joined(sources, modality) if sources else None
        self.first = Conv2d(channels + (self.sources.channels if self.sources else 0), width, 3, padding=1)
        widths = [width] + [2 * width] * (len(sides) - 1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        joined, channels = [width], width
        for level, (side, outputs) in enumerate(zip(sides, widths, strict=True)):
            for _ in range(BLOCKS):
                self.down.append(block(channels, outputs, attends=side == attention))
                channels = outputs
                joined.append(channels)
            if level + 1 < len(sides):
                self.down.append(Conv2d(channels, channels, 3, stride=2, padding=1))
                joined.append(channels)
        self.middle = nn.ModuleList(
            block(channels, channels, attends=attends) for attends in (attention > 0, False)
        )
        for level, (side, outputs) in reversed(list(enumerate(zip(sides, widths, strict=True)))):
            for _ in range(BLOCKS + 1):
                self.up.append(block(channels + joined.pop(), outputs, attends=side == attention))
                channels = outputs
            if level:
                self.up.append(Up(channels))
        self.norm, self.last = norm(width), Conv2d(width, modality.shape[0], 3, padding=1)
        _initialise(self)

    def forward(self, noisy: Tensor, times: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the prediction for each image; times are in [0, 1].

        In inference, a CPU takes few images at a time, so that their maps fit into its caches. A compiled or
        exported network takes all at once, because its batch size is not fixed.
        """
        count = noisy.shape[0]
        in_parts = noisy.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if in_parts and count > PART:
            parts = [slice(start, start + PART) for start in range(0, count, PART)]
            return torch.cat([self._predicted(noisy[p], times[p], condition_rows(condition, p)) for p in parts])
        return self._predicted(noisy, times, condition)

    def _predicted(self, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        embedding = self.time(times)
        if self.label is not None:
            embedding = embedding + self.label(condition.get(LABEL))
        embedding = silu(embedding)
        seen = noisy if self.sources is None else self.sources(noisy, condition)
        maps = self.rounded(self.first(seen))  # not earlier: bf16 would round away little noise on a pixel near 1
        with self.shortened(noisy.device):
            kept = [maps]
            for layer in self.down:
                maps = layer(maps, embedding) if isinstance(layer, Block) else layer(maps)
                kept.append(maps)
            for layer in self.middle:
                maps = layer(maps, embedding)
            for layer in self.up:
                maps = (
                    layer(torch.cat([maps, kept.pop()], dim=1), embedding)
                    if isinstance(layer, Block)
                    else layer(maps)
                )
            made: Tensor = self.last(silu(self.norm(maps)))
        return self.restored(made)


class Block(nn.Module):
    """x + conv(dropout(silu(norm(conv(silu(norm(x))) + linear(embedding))))), then attention if `attends`."""

    def __init__(
        self, inputs: int, outputs: int, *, embedding: int, norm: MakeNorm, attends: bool, dropout: float
    ) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), Conv2d(inputs, outputs, 3, padding=1)
        self.time_projection = nn.Linear(embedding, outputs)
        self.norm2, self.conv2 = norm(outputs), Conv2d(outputs, outputs, 3, padding=1)
        self.dropout = Dropout(dropout) if dropout else nn.Identity()
        self.shortcut = nn.Identity() if inputs == outputs else Conv2d(inputs, outputs, 1)
        self.attention = Attention(outputs, norm) if attends else nn.Identity()

    def forward(self, maps: Tensor, embedding: Tensor) -> Tensor:
        """Return maps of the same side."""
        inner = self.conv1(silu(self.norm1(maps))) + self.time_projection(embedding)[:, :, None, None]
        inner = self.conv2(self.dropout(silu(self.norm2(inner))))
        result: Tensor = self.attention(inner + self.shortcut(maps))
        return result


class Attention(nn.Module):
    """x + out(softmax(q kᵀ/√d) v); q, k and v are linear in the normalised maps at each position."""

    def __init__(self, channels: int, norm: MakeNorm) -> None:
        super().__init__()
        most = max(1, channels // HEAD)
        self.heads = next(heads for heads in range(most, 0, -1) if channels % heads == 0)
        self.norm, self.inward, self.out = (
            norm(channels),
            nn.Linear(channels, 3 * channels),
            nn.Linear(channels, channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape (B, C, H, W)."""
        rows = self.norm(maps).permute(0, 2, 3, 1)
        inward = self.inward(rows).flatten(1, 2).unflatten(2, (3, self.heads, -1))  # (B, HW, 3, heads, d)
        attended = _attend(*inward.permute(2, 0, 3, 1, 4))  # (B, heads, HW, d)
        result: Tensor = maps + self.out(attended.transpose(1, 2).reshape(rows.shape)).permute(0, 3, 1, 2)
        return result


def _attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return softmax(q kᵀ/√d) v of queries, keys and values (B, heads, n, d).

    With few positions, matrix products in bf16 take a CPU half the time of its fused kernel.
    """
    if queries.device.type != "cpu" or queries.dtype != torch.bfloat16 or queries.shape[2] > FEW:
        return scaled_dot_product_attention(queries, keys, values)
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(2, 3)
    return torch.softmax(scores, dim=-1, dtype=scores.dtype) @ values


class Up(nn.Module):
    """Nearest-neighbour upsampling to twice the side, and a 3×3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of twice the side."""
        return upsampled(maps, self.conv)


class LabelOrNone(nn.Embedding):
    """An embedding of each class, and a last one for no label."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes + 1, size)

    def forward(self, labels: Tensor | None) -> Tensor:
        """Return the embeddings (B, size) of labels (B,); without labels (1, size), for all images."""
        return self.weight[-1:] if labels is None else super().forward(labels)


class Wave(nn.Module):
    """Embeds times in [0, 1] as sines and cosines of 1,000·t, at frequencies from 1 down to 10⁻⁴, (B, size).

    References:
        Vaswani et al., 2017. Attention Is All You Need, section 3.5. arXiv:1706.03762.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, times: Tensor) -> Tensor:
        """Return the sines, then the cosines of times (B,); an odd size ends with a 0."""
        half = self.size // 2
        places = torch.arange(half, device=times.device) / max(1, half - 1)
        angles = 1000 * times[:, None] * torch.exp(-math.log(1e4) * places)
        wave = torch.cat([angles.sin(), angles.cos()], dim=1)
        return nn.functional.pad(wave, (0, self.size - 2 * half))


def _joined(sources: Mapping[str, Modality], modality: Modality) -> JoinSources:
    for name, source in sources.items():
        if source.shape[1:] != modality.shape[1:]:
            raise UsageError(
                f"the unet architecture takes images of {modality.shape[1]}×{modality.shape[2]} pixels as "
                f"{name}, like those that it generates, and not shape {source.shape}. Set --architecture mlp."
            )
    return JoinSources(sources, flat=False)


def _sides(modality: Modality) -> list[int]:
    """Return the heights of the maps, from the image down."""
    height, width = modality.shape[1:]
    if height % 2 or width % 2:
        raise UsageError(
            f"the unet architecture halves its maps, and these pictures are {height}×{width}. "
            "Set --size to an even number, best a multiple of 8."
        )
    sides = [height]
    while min(height, width) > SMALLEST and height % 2 == width % 2 == 0:
        height, width = height // 2, width // 2
        sides.append(height)
    return sides


def _norm(width: int) -> MakeNorm:
    """Return group normalisation with width/16 groups, or the next smaller number that divides `width`.

    All maps have a multiple of `width` channels, so that the groups divide all of them.
    """
    most = max(1, width // GROUP)
    return partial(nn.GroupNorm, next(groups for groups in range(most, 0, -1) if width % groups == 0))


def _initialise(network: UNet) -> None:
    """Initialise weights with Xavier uniform, biases to 0, and the last layer of each branch to 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, Block):
            nn.init.zeros_(module.conv2.weight)
        if isinstance(module, Attention):
            nn.init.zeros_(module.out.weight)
    nn.init.zeros_(network.last.weight)
