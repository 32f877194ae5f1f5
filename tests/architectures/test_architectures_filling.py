"""Networks that fill holes."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from genlab.architectures.filling import ContextEncoder
from genlab.architectures.partial import PartialConv, PartialUNet
from genlab.architectures.restorer import RESTORERS
from genlab.core.errors import UsageError
from genlab.core.modality import Images

FILLING = ("context-encoder", "partial-conv", "gated")
SPEC = Images(3, 16, 16)


def holed(height: int, width: int, count: int = 2) -> tuple[Tensor, dict[str, Tensor]]:
    x, mask = torch.rand(count, 3, height, width) * 2 - 1, -torch.ones(count, 1, height, width)
    mask[..., height // 4 : height // 2, width // 4 : width // 2] = 1
    return x, {"mask": mask}


@pytest.mark.parametrize("name", FILLING)
def test_images_of_any_size_are_filled_without_a_look_at_what_is_hidden(name: str) -> None:
    torch.manual_seed(0)
    network = RESTORERS[name](SPEC, SPEC, 4).eval()
    for height, width in ((16, 16), (19, 25), (7, 30)):
        x, condition = holed(height, width)
        made = network(x, condition)
        assert made.shape == x.shape
        assert torch.equal(network(x.masked_fill(condition["mask"] > 0, 0.7), condition), made)
        assert not torch.equal(network(x.flip(0), condition), made)


@pytest.mark.parametrize("name", FILLING)
def test_images_of_another_size_than_the_targets_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--degrade holes=centre"):
        RESTORERS[name](Images(3, 4, 4), SPEC, 4)


@pytest.mark.parametrize("name", ["context-encoder", "partial-conv"])
def test_images_that_cannot_be_halved_so_often_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="too small"):
        RESTORERS[name](SPEC, SPEC, 4, 5)


def test_a_partial_convolution_is_an_ordinary_one_where_all_is_known() -> None:
    layer = PartialConv((3,), 5, 3)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 8)
    made, mask = layer((x,), (torch.ones(2, 1, 8, 8),))
    plain = conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(made[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    assert mask.all()


def test_a_partial_convolution_of_a_constant_does_not_depend_on_the_hole() -> None:
    """Each window is scaled to all of its numbers: the mean of what is known takes the place of the rest."""
    layer = PartialConv((1,), 1, 3)
    torch.nn.init.constant_(layer.weight, 1 / 9)
    known = (torch.rand(1, 1, 12, 12) < 0.6).float()
    made, mask = layer((0.7 * known,), (known,))
    torch.testing.assert_close(made[mask > 0], torch.full_like(made[mask > 0], 0.7))
    assert (made[mask == 0] == 0).all()


def test_the_mask_shrinks_by_a_ring_in_each_layer_and_knows_which_maps_it_is_of() -> None:
    layer = PartialConv((2, 1), 1, 3)
    hole = torch.ones(1, 1, 9, 9)
    hole[..., 2:7, 2:7] = 0
    maps = torch.zeros(1, 2, 9, 9), torch.zeros(1, 1, 9, 9)
    _, mask = layer(maps, (hole, hole))
    assert (mask == 0).sum() == 9
    _, mask = layer(maps, (hole, torch.ones_like(hole)))
    assert mask.all(), "one of both maps is known everywhere"


def test_a_network_of_partial_convolutions_fills_the_whole_hole() -> None:
    network = PartialUNet(SPEC, SPEC, 4)
    x, condition = holed(16, 16)
    x = x.masked_fill(condition["mask"] < 0, 0.5)
    assert (network(x, condition) != 0).all()


def test_the_bottleneck_of_the_context_encoder_carries_each_channel_to_all_positions() -> None:
    network = ContextEncoder(SPEC, SPEC, 4)
    maps = torch.zeros(1, network.across[0].in_channels, 4, 4)
    maps[0, 1, 0, 0] = 1
    made = network.across[0](maps) - network.across[0](0 * maps)
    assert (made[0, 1] != 0).all(), "from one corner to the other"
    assert (made[0, [0, 2, 3]] == 0).all()
