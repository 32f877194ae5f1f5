import pytest
import torch

from genlab.core.random import Draws, Randomness
from genlab.regularizers.corruption import CORRUPTIONS, Corruption, gaussian, masking, salt_and_pepper

every_corruption = pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=CORRUPTIONS)
IMAGES = torch.linspace(-0.5, 0.5, 3 * 10 * 10).view(3, 10, 10).expand(300, 3, 10, 10).clone()


def draws(rows: int = 300) -> Draws:
    return Randomness(1).draws(rows, "corruption")


@every_corruption
def test_level_zero_changes_nothing_and_inputs_are_not_modified(corruption: Corruption) -> None:
    images = IMAGES.clone()
    assert torch.equal(corruption(images, draws(), 0.0), IMAGES)
    assert not torch.equal(corruption(images, draws(), 0.4), IMAGES)
    assert torch.equal(images, IMAGES)


@every_corruption
def test_each_image_is_corrupted_differently(corruption: Corruption) -> None:
    spoilt = corruption(IMAGES, draws(), 0.3)
    assert not torch.equal(spoilt[0], spoilt[1])
    assert torch.equal(spoilt, corruption(IMAGES, draws(), 0.3))


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_gaussian_noise_is_measured_from_black_to_white(level: float) -> None:
    noise = (gaussian(IMAGES, draws(), level) - IMAGES) / 2  # brightness in [0, 1]
    assert noise.std().item() == pytest.approx(level, rel=0.02)
    assert noise.mean().abs() < 0.01
    assert noise[:, 0].sub(noise[:, 1]).std() > level, "channels have draws of their own"


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_masking_blackens_its_share_of_whole_pixels(level: float) -> None:
    spoilt = masking(IMAGES, draws(), level)
    black = spoilt == -1
    assert black.float().mean().item() == pytest.approx(level, abs=0.02)
    assert torch.equal(black.all(1), black.any(1))
    assert torch.equal(spoilt[~black], IMAGES[~black])
    assert black.float().mean(0).std() < 0.05, "no pixel is spared"


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_salt_and_pepper_are_equally_many(level: float) -> None:
    spoilt = salt_and_pepper(IMAGES, draws(), level)
    black, white = spoilt == -1, spoilt == 1
    assert black.float().mean().item() == pytest.approx(level / 2, abs=0.015)
    assert white.float().mean().item() == pytest.approx(level / 2, abs=0.015)
    for of_pixels in (black, white):
        assert torch.equal(of_pixels.all(1), of_pixels.any(1))
    rest = ~(black | white)
    assert torch.equal(spoilt[rest], IMAGES[rest])


def test_at_level_one_nothing_is_left() -> None:
    assert (masking(IMAGES, draws(), 1.0) == -1).all()
    assert (salt_and_pepper(IMAGES, draws(), 1.0).abs() == 1).all()
