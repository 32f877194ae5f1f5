"""Translations compared with their truth: which truth is nearest, how far maps of features are apart."""

import pytest
import torch
from torch import Tensor

from genlab.core.errors import GenlabError
from genlab.metrics.extractors.efficientnet import efficientnet_lite0
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.perceptual import perceptual
from genlab.metrics.similarity import l1, psnr
from genlab.metrics.translation import most_compared, psnr_of_bytes, retrieved, untranslated

CPU = torch.device("cpu")


def pictures(count: int, side: int = 16, channels: int = 1, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_l1_distance_is_the_mean_over_the_pixels_of_each_pair() -> None:
    images = pictures(3)
    assert torch.equal(l1(images, images), torch.zeros(3))
    assert torch.allclose(
        l1(torch.full((2, 1, 4, 4), 0.5), torch.full((2, 1, 4, 4), -0.25)), torch.full((2,), 0.75)
    )


def test_the_truth_of_a_perfect_translation_is_the_nearest() -> None:
    truths = pictures(50)
    assert retrieved(truths, truths).tolist() == [1.0] * 50
    assert retrieved(truths.roll(1, 0), truths).tolist() == [0.0] * 50


def test_it_is_nearest_by_the_l2_distance_of_pixels() -> None:
    truths, given = pictures(40), pictures(40, seed=1)
    found = torch.cdist(given.flatten(1).double(), truths.flatten(1).double()).argmin(1) == torch.arange(40)
    assert torch.equal(retrieved(given, truths), found.double())


def test_a_second_copy_of_a_truth_does_not_count_against_it() -> None:
    truths = pictures(6).repeat(2, 1, 1, 1)
    assert retrieved(truths + 0.01, truths).mean() == 1


@pytest.mark.parametrize(("shape", "count"), [((3, 64, 64), 1000), ((3, 256, 256), 341), ((3, 8192, 8192), 2)])
def test_fewer_large_images_are_compared(shape: tuple[int, ...], count: int) -> None:
    assert most_compared(shape) == count


def test_sources_are_their_own_translations_in_the_shape_of_the_target() -> None:
    grey, colour = pictures(2, 16), pictures(2, 8, 3)
    assert untranslated(grey, (1, 16, 16)) is grey
    assert torch.equal(untranslated(grey, (3, 16, 16)), grey.expand(-1, 3, -1, -1))
    assert torch.equal(untranslated(colour, (1, 8, 8)), colour.mean(1, keepdim=True))
    larger = untranslated(torch.full((2, 1, 8, 8), 0.5), (1, 16, 16))
    assert larger.shape == (2, 1, 16, 16)
    assert torch.allclose(larger, torch.tensor(0.5))


def test_the_perceptual_distance_grows_with_noise_and_is_0_of_equal_images() -> None:
    extractor = efficientnet_lite0(CPU, side=32)
    images = torch.nn.functional.interpolate(pictures(10, 4, 3), scale_factor=8, mode="bilinear")
    assert perceptual(extractor, images, images).tolist() == [0.0] * 10
    near, far = (perceptual(extractor, images, images + level * pictures(10, 32, 3, 1)) for level in (0.1, 0.5))
    assert near.shape == (10,)
    assert (near > 0).all()
    assert near.mean() < far.mean() / 2
    assert (far < 5 * 4).all()


def test_it_compares_the_maps_of_five_sizes() -> None:
    extractor = efficientnet_lite0(CPU, side=64)
    assert [maps.shape[1:] for maps in extractor.maps(pictures(1))] == [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (320, 2, 2),
    ]
    with pytest.raises(GenlabError, match="pixels has no maps to compare"):
        pixels(CPU).maps(pictures(1))


def test_one_equal_pair_leaves_the_mean_psnr_finite() -> None:
    images = pictures(2)
    other = torch.stack([images[0], -images[1]])
    best, usual = psnr_of_bytes(other, images)
    assert best == pytest.approx(58.92, abs=0.01)
    assert usual == psnr(other, images)[1]
