import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from genlab.core.batch import at_once
from genlab.core.errors import GenlabError
from genlab.metrics.similarity import SCALES, likeness, ms_ssim, mse, pairs_for, psnr, scales, ssim


def pictures(count: int, side: int, channels: int = 3, seed: int = 0) -> Tensor:
    """Return smooth images, in which there is some structure."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, side // 8, side // 8, generator=random) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_they_agree_with_known_implementations(noise: float, channels: int) -> None:
    one = pictures(3, 64, channels)
    two = (one + noise * torch.randn(one.shape, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    for place in range(3):
        pair = two[place : place + 1], one[place : place + 1]
        expected = structural_similarity_index_measure(*pair, data_range=2.0)
        torch.testing.assert_close(ssim(one, two)[place], expected, rtol=1e-5, atol=1e-5)
        expected = peak_signal_noise_ratio(*pair, data_range=2.0)
        torch.testing.assert_close(psnr(one, two)[place], expected, rtol=1e-5, atol=1e-5)


def test_five_scales_agree_with_a_known_implementation() -> None:
    one = pictures(2, 192)
    two = (one + 0.2 * torch.randn(one.shape, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    for place in range(2):
        pair = two[place : place + 1], one[place : place + 1]
        expected = multiscale_structural_similarity_index_measure(*pair, data_range=2.0, betas=SCALES)
        torch.testing.assert_close(ms_ssim(one, two)[place], expected, rtol=1e-4, atol=1e-4)


def test_equal_images() -> None:
    images = pictures(2, 32)
    assert torch.equal(mse(images, images), torch.zeros(2))
    assert torch.isinf(psnr(images, images)).all()
    torch.testing.assert_close(ssim(images, images), torch.ones(2))
    torch.testing.assert_close(ms_ssim(images, images), torch.ones(2))


def test_white_on_black_is_as_far_as_can_be() -> None:
    white = torch.ones(1, 1, 32, 32)
    assert mse(white, -white).item() == 4
    assert psnr(white, -white).item() == 0
    assert ssim(white, -white).item() < 0


@pytest.mark.parametrize(
    ("side", "count"), [(11, 1), (21, 1), (22, 2), (32, 2), (64, 3), (128, 4), (176, 5), (512, 5)]
)
def test_as_many_scales_as_fit(side: int, count: int) -> None:
    assert scales(torch.zeros(1, 1, side, side)) == count


def test_likeness_is_higher_for_copies_than_for_different_images() -> None:
    many = pictures(40, 32)
    one = many[:1].expand(40, -1, -1, -1) + 0.01 * torch.randn(
        40, 3, 32, 32, generator=torch.Generator().manual_seed(1)
    )
    assert likeness(one).value > 0.95
    assert likeness(many).value < 0.6
    assert likeness(many) == likeness(many)


def test_likeness_within_classes_compares_no_others() -> None:
    """Two classes of one image each: alike within, different across."""
    images = torch.cat([pictures(1, 32, seed=s).expand(10, -1, -1, -1) for s in (0, 1)])
    labels = torch.arange(2).repeat_interleave(10)
    assert likeness(images, labels).value == pytest.approx(1)
    assert likeness(images).value < 0.9


def test_likeness_takes_no_more_pairs_than_there_are_and_each_once() -> None:
    images = pictures(3, 16)
    rows = ((0, 1), (0, 2), (1, 2))
    expected = torch.stack([ms_ssim(images[a : a + 1], images[b : b + 1]) for a, b in rows]).mean()
    assert likeness(images) == pytest.approx((float(expected), 3))
    assert likeness(pictures(6, 16), torch.arange(6) // 3).pairs == 2 * 3
    assert likeness(pictures(60, 16)).pairs == 1000
    assert likeness(pictures(60, 16), pairs=7).pairs == 7


def test_fewer_pairs_of_large_images_are_compared() -> None:
    assert [pairs_for((3, side, side)) for side in (32, 64, 128, 256, 512, 4096)] == [1000, 1000, 562, 140, 35, 10]
    assert at_once((3, 64, 64)) == at_once((2,)) == 250
    assert [at_once((3, side, side)) for side in (128, 256, 512, 4096)] == [64, 16, 4, 1]


def test_too_small_images_are_refused() -> None:
    with pytest.raises(GenlabError, match="11 pixels or more, not 8×8"):
        ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
    with pytest.raises(GenlabError, match="2 images or more, not 1"):
        likeness(torch.zeros(1, 1, 32, 32))
