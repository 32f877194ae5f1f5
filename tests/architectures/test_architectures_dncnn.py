import pytest
import torch
from torch import Tensor

from genlab.architectures.dncnn import PART, DnCNN
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points


def network(images: Images) -> DnCNN:
    torch.manual_seed(0)
    made = DnCNN(images, 8, 2)
    torch.nn.init.normal_(made.last.weight, 0, 0.1)
    return made


def test_it_begins_by_finding_no_noise() -> None:
    made = DnCNN(Images(3, 8, 8), 4, 1)(torch.randn(2, 3, 8, 8))
    assert made.unique().numel() <= 12  # the biases of the last layer
    assert made.abs().max() < 1


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 7, 11)])
def test_the_noise_has_the_shape_of_the_picture(shape: tuple[int, int, int]) -> None:
    x = torch.randn(2, *shape)
    assert network(Images(*shape))(x).shape == x.shape


def test_it_treats_all_places_alike() -> None:
    """Two pixels further on in the picture are two further in the noise, away from the borders."""
    made = network(Images(1, 48, 48))

    def inner(noise: Tensor) -> Tensor:
        return noise[..., 20:28, 20:28]

    x = torch.randn(1, 1, 48, 48)
    torch.testing.assert_close(inner(made(x.roll(2, 3))), inner(made(x).roll(2, 3)), atol=1e-5, rtol=1e-4)


def test_many_pictures_at_a_time_are_treated_as_each_alone() -> None:
    made, x = network(Images(1, 8, 8)), torch.randn(PART + 3, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(made(x)[-1:], made(x[-1:]))


def test_points_are_refused() -> None:
    with pytest.raises(UsageError, match="the network dncnn works on pictures"):
        DnCNN(Points(2), 8, 2)
