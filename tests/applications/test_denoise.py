"""Noise is removed in tiles of the model's size, from pictures of any size."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.applications.denoise import BYTE, ByModel, Noisy, non_local_means
from genlab.core.errors import GenlabError
from genlab.core.pictures import to_bytes


class Scaled(nn.Module):
    """Divides each picture by 1 + 10 times its noise level."""

    uses_sigma = True

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.sizes: list[int] = []

    def denoise(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        assert sigma is not None
        self.sizes.append(len(x))
        return self.factor.detach() * x / (1 + 10 * sigma.view(-1, 1, 1, 1))


def noisy(name: str, *shape: int, sigma: float = 0.0) -> Noisy:
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(len(name))) * 2 - 1
    return Noisy(name, pixels, sigma)


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 37, 50), (3, 5, 40), (3, 3, 3)])
def test_a_model_that_changes_nothing_leaves_no_seams(shape: tuple[int, int, int]) -> None:
    given = noisy("picture", *shape)
    made = ByModel(Scaled(), (16, 16))([given])[0]
    difference = made.astype(int) - to_bytes(given.pixels[None])[0]
    assert made.shape == (*shape[1:], 3)
    assert np.abs(difference).max() <= 1


def test_tiles_of_all_pictures_go_through_the_model_together_with_their_own_levels() -> None:
    model, given = Scaled(), [noisy("a", 1, 40, 40, sigma=12.75), noisy("bc", 1, 16, 16)]
    one, other = ByModel(model, (16, 16))(given)
    assert model.sizes == [10]  # nine tiles and one
    halved = to_bytes(given[0].pixels[None] / (1 + 10 * 12.75 * BYTE))[0]
    assert np.abs(one.astype(int) - halved).max() <= 1
    assert (other == to_bytes(given[1].pixels[None])[0]).all()


def test_a_model_that_makes_no_draws_is_refused() -> None:
    with pytest.raises(GenlabError, match=r"--draw needs a model that can draw denoised examples.*ddpm"):
        ByModel(Scaled(), (16, 16), seed=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_non_local_means_lowers_the_error(channels: int) -> None:
    pytest.importorskip("skimage")
    clean = torch.linspace(-0.8, 0.8, 40).sin().expand(channels, 40, 40)
    pixels = clean + 25 * BYTE * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    made = non_local_means(Noisy("a", pixels, 25))
    assert made is not None
    again = torch.from_numpy(made.copy()).permute(2, 0, 1) / 127.5 - 1
    assert (again - clean).square().mean() < 0.25 * (pixels - clean).square().mean()
