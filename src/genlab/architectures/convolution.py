"""Faster convolutions on a CPU: in bf16 if the smaller map has few positions, in float32 after upsampling.

At 4×4, where these networks have most of their weights, oneDNN hardly uses the matrix units: it sums the
weight's gradient position by position, and the convolution itself is slow if the weight does not fit into a core's
cache. As matrix products (im2col: a row with a patch of the larger map for each position of the smaller one), both
take a half to a fifth of the time. At 8×8 there are so many patches that both ways take equally long.
"""

from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pad

from genlab.core.device import bf16_units

FEW = 16  # positions of the smaller map at most
ENOUGH = 1024  # positions of a batch for which weights are summed
MANY = 2**20  # weights of a kernel: 2 MiB in bf16, the second-level cache of today's cores


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with square kernel, stride and padding."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Return maps (B, out_channels, H', W') of maps (B, in_channels, H, W)."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        over = (input.shape[2] + 2 * padding - kernel) % stride
        if over or not _is_faster_in_bf16(input, (input.shape[2] + 2 * padding - kernel) // stride + 1, kernel):
            return super().forward(input)
        return _with_bias(_apply(_Convolve, *_in_bf16(input, self.weight), stride, padding), self.bias)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` with square kernel, stride and padding, and no output padding."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002 (torch's name)
        """Return maps (B, out_channels, H', W') of maps (B, in_channels, H, W)."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        if input.shape[2:] == (1, 1) and padding == 0:
            return _with_bias(_from_one_position(input, self.weight), self.bias)
        if not _is_faster_in_bf16(input, input.shape[2], kernel):
            return super().forward(input, output_size)
        return _with_bias(_apply(_Transposed, *_in_bf16(input, self.weight), stride, padding), self.bias)


def upsampled(maps: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Return the 3×3 convolution, with a padding of 1, of maps (B, C, H, W) at twice their side, (B, D, 2H, 2W).

    After nearest-neighbour upsampling, the nine weights of a kernel meet only four different numbers. On a CPU,
    weights that meet the same number are summed first: a 4×4 transposed convolution, with 4 products instead of 9
    and no enlarged maps. It takes half the time if there are enough positions to sum for, except in bf16 with
    matrix units.
    """
    if not _sums_weights(maps):
        return convolution(interpolate(maps, scale_factor=2, mode="nearest"))  # type: ignore[no-any-return]
    weight = pad(convolution.weight.flip(2, 3), (1, 1, 1, 1))
    rows = weight[:, :, 1:] + weight[:, :, :-1]
    kernel = rows[..., 1:] + rows[..., :-1]
    kernel = kernel.transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return conv_transpose2d(maps, kernel, convolution.bias, stride=2, padding=1)


def _sums_weights(maps: Tensor) -> bool:
    if maps.device.type != "cpu" or torch.compiler.is_compiling():  # a program for all batch sizes cannot choose
        return False
    enough = maps.shape[0] * maps.shape[2] * maps.shape[3] >= ENOUGH
    last = maps.is_contiguous(memory_format=torch.channels_last)
    return enough and last and not (torch.is_autocast_enabled("cpu") and has_matrix_units())


@cache
def has_matrix_units() -> bool:
    """Return whether this CPU has units that multiply matrices of bf16."""
    return "amx_bf16" in bf16_units(torch.device("cpu"))


def _from_one_position(vectors: Tensor, weight: Tensor) -> Tensor:
    """Return the transposed convolution (B, D, k, k) of vectors (B, C, 1, 1) as a matrix product."""
    inputs, outputs, height, width = weight.shape
    matrix = weight.permute(0, 2, 3, 1).reshape(inputs, -1)  # in the order of memory, channels last
    return (vectors.flatten(1) @ matrix).view(-1, height, width, outputs).permute(0, 3, 1, 2)


def _is_faster_in_bf16(maps: Tensor, small: int, kernel: int) -> bool:
    return (
        kernel > 1
        and 1 < small * small <= FEW
        and maps.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


def _in_bf16(maps: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return maps.bfloat16(), weight.bfloat16()


def _with_bias(maps: Tensor, bias: Tensor | None) -> Tensor:
    return maps if bias is None else maps + bias.to(maps.dtype)[:, None, None]


class _Convolve(Function):
    """Maps (B, C, H, W) and weight (D, C, k, k) to maps (B, D, h, w); differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(maps, weight)
        ctx.how = stride, padding
        return _convolve(maps, weight, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (gradient,), (maps, weight) = gradients, ctx.saved_tensors
        of_maps = _apply(_Transposed, gradient, weight, *ctx.how) if ctx.needs_input_grad[0] else None
        of_weight = _correlate(maps, gradient, weight.shape[2], *ctx.how) if ctx.needs_input_grad[1] else None
        return of_maps, of_weight, None, None


class _Transposed(Function):
    """Maps (B, D, h, w) and weight (D, C, k, k) to maps (B, C, H, W)."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(maps, weight)
        ctx.how = stride, padding
        return _transpose(maps, weight, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (gradient,), (maps, weight) = gradients, ctx.saved_tensors
        of_maps = _apply(_Convolve, gradient, weight, *ctx.how) if ctx.needs_input_grad[0] else None
        of_weight = _correlate(gradient, maps, weight.shape[2], *ctx.how) if ctx.needs_input_grad[1] else None
        return of_maps, of_weight, None, None


def _apply(function: type[Function], maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    made: Tensor = function.apply(maps, weight, stride, padding)  # type: ignore[no-untyped-call]
    return made


def _convolve(maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Return maps (B, D, h, w) of maps (B, C, H, W) and weight (D, C, k, k)."""
    if weight.numel() < MANY:
        return conv2d(maps, weight, None, stride, padding)
    outputs, _, kernel, _ = weight.shape
    side = (maps.shape[2] + 2 * padding - kernel) // stride + 1
    matrix = weight.permute(0, 2, 3, 1).reshape(outputs, -1)
    rows = _patches(maps, kernel, stride, padding) @ matrix.T
    return rows.view(maps.shape[0], side, -1, outputs).permute(0, 3, 1, 2)


def _transpose(maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Return maps (B, C, s·h, s·w) of maps (B, D, h, w) and weight (D, C, k, k).

    Every s-th row and column of the result is a convolution with every s-th row and column of the kernel:
    row s·i + r sums, over the kernel's rows a, row a times row i + (r + p − a)/s of the input.
    """
    kernel = weight.shape[2]
    if weight.numel() < MANY or kernel != stride + 2 * padding:
        return conv_transpose2d(maps, weight, None, stride, padding)
    (batch, _, height, width), outputs = maps.shape, weight.shape[1]
    reach = (stride + padding - 1) // stride
    source = pad(maps.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))
    taps = [
        [(a, reach + (r + padding - a) // stride) for a in range(kernel) if (r + padding - a) % stride == 0]
        for r in range(stride)
    ]
    made = maps.new_empty(batch, height, stride, width, stride, outputs)
    for r, c in product(range(stride), repeat=2):
        both = list(product(taps[r], taps[c]))
        rows = torch.cat([source[:, i : i + height, j : j + width] for (_, i), (_, j) in both], dim=3)
        matrix = torch.cat([weight[:, :, a, b] for (a, _), (b, _) in both])
        made[:, :, r, :, c] = (rows.flatten(0, 2) @ matrix).view(batch, height, width, outputs)
    return made.view(batch, stride * height, stride * width, outputs).permute(0, 3, 1, 2)


def _correlate(large: Tensor, small: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Return the weight's gradient (D, C, k, k) from maps (B, C, H, W) and (B, D, h, w), channels last."""
    rows = _patches(large, kernel, stride, padding)
    # A copy: products with a transposed view run at two thirds of the speed.
    columns = small.transpose(0, 1).reshape(small.shape[1], -1)
    return (columns @ rows).view(small.shape[1], kernel, kernel, large.shape[1]).permute(0, 3, 1, 2)


def _patches(large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Return the patches (B·h·w, k·k·C) of maps (B, C, H, W), channels last."""
    padded = pad(large.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
    patches = padded.unfold(1, kernel, stride).unfold(2, kernel, stride)  # (B, h, w, C, k, k)
    return patches.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)
