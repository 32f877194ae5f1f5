import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from genlab.architectures.modulated import AdaptiveInstanceNorm, ModulatedConv2d

INPUTS, OUTPUTS, STYLE, ROWS = 6, 5, 4, 3


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(**options: bool) -> ModulatedConv2d:
    torch.manual_seed(0)
    return ModulatedConv2d(INPUTS, OUTPUTS, 3, STYLE, **options).double()


def weights(made: ModulatedConv2d, style: Tensor) -> Tensor:
    """Return the weight of each image, (B, outputs, inputs, 3, 3), as it is defined."""
    modulated = made.scale(style)[:, None, :, None, None] * made.convolution.weight
    if not made.demodulate:
        return modulated
    return modulated / (modulated.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()


@pytest.mark.parametrize("demodulate", [True, False])
def test_it_is_the_grouped_convolution_with_the_modulated_weight_of_each_image(demodulate: bool) -> None:
    made, maps, style = layer(demodulate=demodulate), drawn(ROWS, INPUTS, 8, 8), drawn(ROWS, STYLE, seed=1)
    grouped = conv2d(maps.reshape(1, -1, 8, 8), weights(made, style).flatten(0, 1), padding=1, groups=ROWS)
    torch.testing.assert_close(made(maps, style), grouped.view(ROWS, OUTPUTS, 8, 8))


def test_the_same_holds_where_it_doubles_the_side() -> None:
    made, maps, style = layer(up=True), drawn(ROWS, INPUTS, 4, 4), drawn(ROWS, STYLE, seed=1)
    assert made.up is not None
    for row, weight in enumerate(weights(made, style)):
        alone = conv_transpose2d(maps[row : row + 1], 4 * weight.transpose(0, 1).flip(2, 3), stride=2)
        torch.testing.assert_close(made(maps, style)[row : row + 1], made.up.blur(alone))


def test_inputs_of_unit_variance_have_outputs_of_unit_variance_whatever_the_style() -> None:
    made, style = layer(), 30 * drawn(ROWS, STYLE, seed=1)
    inside = made(drawn(ROWS, INPUTS, 64, 64), style)[..., 1:-1, 1:-1]
    assert (inside.var((2, 3)) - 1).abs().max() < 0.1


def test_without_demodulation_the_outputs_grow_with_the_style() -> None:
    plain, style = layer(demodulate=False), drawn(ROWS, STYLE, seed=1)
    made = [plain(drawn(ROWS, INPUTS, 8, 8), times * style).std().item() for times in (1, 30)]
    assert made[1] > 5 * made[0]


def test_adaptive_instance_norm_sets_mean_and_deviation_of_each_channel() -> None:
    torch.manual_seed(0)
    norm, style = AdaptiveInstanceNorm(INPUTS, STYLE).double(), drawn(ROWS, STYLE, seed=1)
    made = norm(7 + 3 * drawn(ROWS, INPUTS, 9, 9), style)
    torch.testing.assert_close(made.mean((2, 3)), norm.shift(style))
    torch.testing.assert_close(made.std((2, 3), correction=0), norm.scale(style).abs())
