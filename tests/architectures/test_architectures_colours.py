"""The network that gives colours to grey images."""

import pytest
import torch
from torch import Tensor

from genlab.architectures.colours import Colours
from genlab.core.errors import UsageError
from genlab.core.modality import Images
from genlab.core.pixels import from_lab, to_lab


@pytest.fixture
def network() -> Colours:
    torch.manual_seed(0)
    made = Colours(Images(3, 16, 16), Images(3, 16, 16), 4, 1)
    torch.nn.init.normal_(made.last.weight, 0, 0.3)
    return made


def grey_of(images: Tensor) -> Tensor:
    """Return the grey levels (B, H, W), from 0 to 255, of the same lightness."""
    light = to_lab(images)[:, :1]
    return ((from_lab(torch.cat([light, 0 * light, 0 * light], 1)) + 1) * 127.5)[:, 0]


def test_the_lightness_of_every_pixel_is_that_of_the_source_also_as_bytes(network: Colours) -> None:
    levels = torch.arange(256.0).view(1, 1, 8, 32)
    made = network.eval()((levels / 127.5 - 1).expand(-1, 3, -1, -1))
    assert to_lab(made)[:, 1:].norm(dim=1).mean() > 20  # there is colour
    saved = ((made.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    assert (grey_of(saved) - levels[0]).abs().max() <= 0.51


def test_the_lightness_of_a_coloured_source_is_kept_and_its_colours_are_not_looked_at(network: Colours) -> None:
    source = 2 * torch.rand(1, 3, 16, 16) - 1
    grey = grey_of(source)[:, None].expand(-1, 3, -1, -1) / 127.5 - 1
    torch.testing.assert_close(network.eval()(source), network(grey), atol=1e-3, rtol=0)


@pytest.mark.parametrize("sides", [(16, 16), (13, 29), (1, 5)])
def test_images_of_any_size_get_colours(network: Colours, sides: tuple[int, int]) -> None:
    assert network.eval()(torch.zeros(2, 3, *sides)).shape == (2, 3, *sides)


def test_in_training_colours_may_leave_the_gamut_so_that_they_have_a_gradient(network: Colours) -> None:
    source = 2 * torch.rand(1, 1, 16, 16).expand(-1, 3, -1, -1) - 1
    torch.nn.init.normal_(network.last.weight, 0, 3)
    assert network.train()(source).abs().max() > 1.1
    assert network.eval()(source).abs().max() < 1.01


def test_pictures_without_colours_are_refused() -> None:
    with pytest.raises(UsageError, match=r"finds the colours of grey pictures.*--degrade grey=1"):
        Colours(Images(1, 16, 16), Images(1, 16, 16), 4)
    with pytest.raises(UsageError, match="of the same size"):
        Colours(Images(3, 8, 8), Images(3, 16, 16), 4)
