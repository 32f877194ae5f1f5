"""Convolutions of our own: the same numbers as torch's, however often one differentiates."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import interpolate

from genlab.architectures import convolution
from genlab.architectures.convolution import Conv2d, ConvTranspose2d, _Convolve, _Transposed, upsampled

CASES = [(4, 2, 1, 8), (3, 1, 1, 4), (4, 1, 0, 7), (5, 3, 1, 9)]  # kernel, stride, padding, side of the large map
SMALL = [(4, 2, 1, 4), (3, 1, 1, 2), (4, 1, 0, 5), (5, 3, 1, 6)]  # the same on maps of fewer pixels


@pytest.fixture(params=[0, 2**20], ids=["large weights", "small weights"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let weights count as large, or as small."""
    monkeypatch.setattr(convolution, "MANY", request.param)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), CASES)
def test_it_makes_what_torch_makes(kernel: int, stride: int, padding: int, side: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(2, 3, kernel, kernel, dtype=torch.float64)
    maps = torch.randn(4, 3, side, side, dtype=torch.float64)
    expected = nn.functional.conv2d(maps, weight, None, stride, padding)
    torch.testing.assert_close(_Convolve.apply(maps, weight, stride, padding), expected)
    transposed = nn.functional.conv_transpose2d(expected, weight, None, stride, padding)
    torch.testing.assert_close(_Transposed.apply(expected, weight, stride, padding), transposed)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), SMALL)
def test_slopes_are_those_of_differences(kernel: int, stride: int, padding: int, side: int) -> None:
    torch.manual_seed(0)
    small = (side + 2 * padding - kernel) // stride + 1
    weight = torch.randn(2, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    for function, shape in ((_Convolve, (2, 3, side, side)), (_Transposed, (2, 2, small, small))):
        maps = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        assert gradcheck(function.apply, (maps, weight, stride, padding))
        assert gradgradcheck(function.apply, (maps, weight, stride, padding))


def learned(layer: nn.Module, maps: Tensor) -> list[Tensor]:
    """Return what a layer makes of maps, and the slopes of its own and of a penalty on its slope."""
    maps = maps.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(maps)
    (slope,) = torch.autograd.grad(made.float().sin().sum(), maps, create_graph=True)
    loss = made.float().square().mean() + slope.square().mean()
    return [made.float(), slope, *torch.autograd.grad(loss, list(layer.parameters()))]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("bias", [True, False])
def test_in_bf16_it_is_what_torch_makes_up_to_its_digits(bias: bool) -> None:
    torch.manual_seed(0)
    pairs = [
        (Conv2d(8, 16, 4, 2, 1, bias=bias), nn.Conv2d(8, 16, 4, 2, 1, bias=bias), torch.randn(4, 8, 8, 8)),
        (
            ConvTranspose2d(16, 8, 4, 2, 1, bias=bias),
            nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=bias),
            torch.randn(4, 16, 4, 4),
        ),
    ]
    for mine, theirs, maps in pairs:
        theirs.load_state_dict(mine.state_dict())
        for network in (mine, theirs):
            network.to(memory_format=torch.channels_last)
        for one, two in zip(learned(mine, maps), learned(theirs, maps), strict=True):
            assert (one - two).norm() <= 0.01 * two.norm()
        assert "Convolve" in _made_by(mine, maps) or "Transposed" in _made_by(mine, maps)


def _made_by(layer: nn.Module, maps: Tensor) -> str:
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(maps)
    node, names = made.grad_fn, ""
    while node is not None:
        names += node.name()
        node = node.next_functions[0][0] if node.next_functions else None
    return names


def test_in_float32_and_on_large_maps_it_is_torchs() -> None:
    torch.manual_seed(0)
    layer, other = Conv2d(3, 4, 4, 2, 1), nn.Conv2d(3, 4, 4, 2, 1)
    other.load_state_dict(layer.state_dict())
    small, large = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 16, 16)
    assert torch.equal(layer(small), other(small))
    assert "Convolve" not in _made_by(layer, large)
    assert "Convolve" not in _made_by(layer, torch.randn(2, 3, 9, 9))


def test_from_one_position_it_is_a_product_of_matrices() -> None:
    torch.manual_seed(0)
    mine, theirs = ConvTranspose2d(5, 3, 4), nn.ConvTranspose2d(5, 3, 4)
    theirs.load_state_dict(mine.state_dict())
    vectors = torch.randn(2, 5, 1, 1)
    torch.testing.assert_close(mine(vectors), theirs(vectors))
    assert mine.to(memory_format=torch.channels_last)(vectors).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("height", "width", "bias"), [(4, 4, True), (3, 5, False), (1, 1, True)])
def test_upsampled_it_is_the_convolution_of_enlarged_maps(
    height: int, width: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "ENOUGH", 1)
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 5, 3, padding=1, bias=bias).double()
    maps = torch.randn(2, 3, height, width, dtype=torch.float64).to(memory_format=torch.channels_last)
    maps.requires_grad_()
    made = upsampled(maps, layer)
    expected = layer(interpolate(maps, scale_factor=2, mode="nearest"))
    torch.testing.assert_close(made, expected)
    learned_from = [maps, *layer.parameters()]
    for one, two in zip(
        *(torch.autograd.grad(of.sin().sum(), learned_from) for of in (made, expected)), strict=True
    ):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("units", [False, True])
def test_in_bf16_weights_are_summed_only_without_matrix_units(
    units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "has_matrix_units", lambda: units)
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, padding=1)
    maps = torch.randn(4, 8, 16, 16).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        made = upsampled(maps, layer)
        expected = layer(interpolate(maps, scale_factor=2, mode="nearest"))
    assert torch.equal(made, expected) == units
    torch.testing.assert_close(made.float(), expected.float(), rtol=0.02, atol=0.05)


def test_channels_stay_last_through_upsampling() -> None:
    layer = nn.Conv2d(4, 8, 3, padding=1).to(memory_format=torch.channels_last)
    maps = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    assert upsampled(maps, layer).is_contiguous(memory_format=torch.channels_last)
