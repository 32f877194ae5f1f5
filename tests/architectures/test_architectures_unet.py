from functools import partial

import pytest
import torch
from torch import nn

from genlab.architectures.unet import FEW, PART, Attention, UNet
from genlab.core.modality import Images


def test_attention_that_is_written_out_is_that_of_the_fused_kernel() -> None:
    torch.manual_seed(0)
    attention = Attention(128, partial(nn.GroupNorm, 8))
    torch.nn.init.normal_(attention.out.weight, std=0.1)
    maps = torch.randn(3, 128, 12, 16)
    assert FEW >= 12 * 16
    exact = attention(maps)
    slope = torch.autograd.grad(exact.square().sum(), attention.inward.weight)[0]
    with torch.autocast("cpu", torch.bfloat16):
        short = attention(maps)
    slope_of_short = torch.autograd.grad(short.square().sum(), attention.inward.weight)[0]
    assert (short - exact).norm() < 0.01 * (exact - maps).norm()
    assert (slope_of_short - slope).norm() < 0.03 * slope.norm()


def test_many_images_are_seen_in_parts_where_nothing_is_learned() -> None:
    torch.manual_seed(0)
    network = UNet(Images(1, 8, 8), 4, classes=3)
    with torch.no_grad():
        for parameter in network.parameters():  # branches start at 0, and would not see what they are told
            parameter += 0.1 * torch.randn_like(parameter)
    count = 2 * PART + 3
    images, times, labels = torch.randn(count, 1, 8, 8), torch.rand(count), torch.arange(count) % 4
    labelled: dict[str, torch.Tensor] = {"label": labels}
    for others in ((times.flip(0), labelled), (times, {"label": labels.roll(1)}), (times, {})):
        assert (network(images, times, labelled) - network(images, *others)).abs().mean() > 1e-3
    for told in (labelled, {}):
        learned = network(images, times, told)
        with torch.no_grad():
            torch.testing.assert_close(network(images, times, told), learned)


@pytest.mark.parametrize("channels", [1, 63, 100, 200, 224, 500])
def test_any_number_of_channels_has_heads_that_divide_it(channels: int) -> None:
    maps = torch.randn(2, channels, 2, 2)
    assert Attention(channels, partial(nn.GroupNorm, 1))(maps).shape == maps.shape


@pytest.mark.parametrize(("width", "groups"), [(1, 1), (8, 1), (40, 2), (64, 4), (100, 5), (128, 8)])
def test_all_normalisations_have_a_sixteenth_of_the_width_as_groups_or_the_next_fewer(
    width: int, groups: int
) -> None:
    with torch.device("meta"):
        network = UNet(Images(1, 16, 16), width)
    assert {module.num_groups for module in network.modules() if isinstance(module, nn.GroupNorm)} == {groups}
