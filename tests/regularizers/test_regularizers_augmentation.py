import pytest
import torch
from torch import Tensor

from genlab.core.random import Draws, Randomness
from genlab.regularizers.augmentation import AUGMENTATIONS, POLICIES, diff_augment

every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def draws(rows: int) -> Draws:
    return Randomness(2).draws(rows, "augmentation")


def pictures(rows: int, height: int, width: int) -> Tensor:
    return torch.rand(rows, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_policies_name_their_parts() -> None:
    assert all(name == "-".join(parts) for name, parts in POLICIES.items())
    assert {part for parts in POLICIES.values() for part in parts} == set(AUGMENTATIONS)


@every_policy
@pytest.mark.parametrize("shape", [(2, 1, 1), (1, 8, 8), (3, 7, 12)])
def test_shapes_stay_and_gradients_pass(policy: tuple[str, ...], shape: tuple[int, ...]) -> None:
    images = torch.randn(9, *shape, dtype=torch.float64, requires_grad=True)
    augmented = diff_augment(images, draws(9), policy)
    assert augmented.shape == images.shape
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, draws(9), policy), images, fast_mode=True)


def test_a_share_of_the_images_is_augmented_and_the_others_stay() -> None:
    images, policy = pictures(64, 8, 8), POLICIES["color-translation-cutout"]
    all_of_them = diff_augment(images, draws(64), policy)
    assert torch.equal(diff_augment(images, draws(64), policy, 0.0), images)
    some = diff_augment(images, draws(64), policy, 0.5)
    stayed = (some == images).flatten(1).all(1)
    assert 20 < stayed.sum() < 44
    assert torch.equal(some[~stayed], all_of_them[~stayed])


@every_policy
def test_each_image_depends_on_itself_alone_and_is_changed_in_its_own_way(policy: tuple[str, ...]) -> None:
    images = pictures(1, 16, 16).expand(8, 3, 16, 16).clone()
    augmented = diff_augment(images, draws(8), policy)
    assert len({tuple(image.flatten().tolist()) for image in augmented}) > 4
    images[3] = 0.25
    again = diff_augment(images, draws(8), policy)
    others = [0, 1, 2, 4, 5, 6, 7]
    assert torch.equal(again[others], augmented[others])


def test_no_policy_changes_nothing() -> None:
    images = pictures(2, 4, 4)
    assert diff_augment(images, draws(2), ()) is images


def test_translation_moves_whole_images_up_to_an_eighth() -> None:
    """Each image is found again at one place among all shifts; what came in is 0."""
    height, width, rows = 16, 24, 400
    images = pictures(rows, height, width)
    moved = diff_augment(images, draws(rows), ("translation",))
    padded = torch.nn.functional.pad(images, (3, 3, 2, 2))
    found = torch.zeros(5, 7)
    for down in range(-2, 3):
        for right in range(-3, 4):
            shifted = padded[:, :, 2 - down : 2 - down + height, 3 - right : 3 - right + width]
            found[down + 2, right + 3] = (shifted == moved).flatten(1).all(1).sum()
    assert found.sum() == rows
    assert (found > 0).all(), "every shift is possible"
    assert (found.sum(0) / rows - 1 / 7).abs().max() < 0.07
    assert (found.sum(1) / rows - 1 / 5).abs().max() < 0.07


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 6)])
def test_cutout_is_a_rectangle_of_half_the_side_about_any_pixel(height: int, width: int) -> None:
    rows = 600
    cut = diff_augment(torch.ones(rows, 2, height, width), draws(rows), ("cutout",)) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    for extent, side in ((cut[:, 0].any(2), height), (cut[:, 0].any(1), width)):
        size = int(side / 2 + 0.5)
        lengths = extent.sum(1)
        assert lengths.max() == size
        assert lengths.min() == (size + 1) // 2, "at the edge half of it is outside"
        assert (extent.int().diff(dim=1).abs().sum(1) <= 2).all(), "in one piece"
        assert extent.any(0).all(), "anywhere"
        starts = extent.int().argmax(1)
        assert starts.max() == side - size + size // 2
    assert torch.equal(cut[:, 0], cut[:, 0].any(2)[:, :, None] & cut[:, 0].any(1)[:, None, :])


def test_color_has_the_published_ranges() -> None:
    """Of an image with grey g, per-pixel saturation s and contrast c the three factors can be read again."""
    rows = 3000
    # two pixels of brightness ±0.5 with channels that differ by ±0.1 about it
    images = torch.tensor([[0.6, -0.4], [0.5, -0.5], [0.4, -0.6]]).view(1, 3, 1, 2).expand(rows, 3, 1, 2)
    colored = diff_augment(images, draws(rows), ("color",))
    brightness = colored.mean((1, 2, 3))
    grey = colored.mean(1)[:, 0]
    contrast = (grey[:, 0] - grey[:, 1]) / 1.0
    saturation = (colored[:, 0, 0, 0] - colored[:, 2, 0, 0]) / 0.2 / contrast
    for factor, (low, high) in ((brightness, (-0.5, 0.5)), (contrast, (0.5, 1.5)), (saturation, (0, 2))):
        span = high - low
        assert low - 1e-4 <= factor.min() < low + 0.02 * span
        assert high - 0.02 * span < factor.max() <= high + 1e-4
        assert abs(factor.mean() - (low + high) / 2) < 0.03 * span
    for one, other in ((brightness, contrast), (contrast, saturation), (brightness, saturation)):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.08
