"""CIELAB of pixels."""

import pytest
import torch
from torch import Tensor

from genlab.core.pixels import from_lab, into_gamut, to_lab

RED, GREEN, BLUE = (53.24, 80.09, 67.20), (87.73, -86.18, 83.18), (32.30, 79.19, -107.86)  # published


def colour(*numbers: float) -> Tensor:
    return torch.tensor([float(number) for number in numbers]).view(1, 3, 1, 1)


@pytest.fixture
def wild() -> Tensor:
    """CIELAB numbers, most of which sRGB lacks."""
    draws = torch.Generator().manual_seed(0)
    return torch.cat(
        [100 * torch.rand(1, 1, 50, 50, generator=draws), 80 * torch.randn(1, 2, 50, 50, generator=draws)], 1
    )


@pytest.mark.parametrize(("image", "lab"), [((1, -1, -1), RED), ((-1, 1, -1), GREEN), ((-1, -1, 1), BLUE)])
def test_the_primaries_have_their_published_numbers(image: tuple[float, ...], lab: tuple[float, ...]) -> None:
    torch.testing.assert_close(to_lab(colour(*image)), colour(*lab), atol=0.02, rtol=0)


def test_all_colours_are_those_of_scikit_image() -> None:
    skimage = pytest.importorskip("skimage.color")
    images = 2 * torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)) - 1
    pixels = ((images[0] + 1) / 2).permute(1, 2, 0).double().numpy()
    theirs = torch.from_numpy(skimage.rgb2lab(pixels)).permute(2, 0, 1)[None].float()
    torch.testing.assert_close(to_lab(images), theirs, atol=0.01, rtol=0)


def test_grey_has_no_colour_and_white_has_lightness_100() -> None:
    greys = torch.linspace(-1, 1, 256).expand(1, 3, 1, 256)
    lab = to_lab(greys)
    assert lab[:, 1:].abs().max() < 1e-3
    torch.testing.assert_close(lab[0, 0, 0, [0, -1]], torch.tensor([0.0, 100.0]), atol=1e-4, rtol=0)
    assert (lab[0, 0, 0].diff() > 0).all()


def test_the_way_back_is_exact_for_colours_that_srgb_lacks_too(wild: Tensor) -> None:
    torch.testing.assert_close(to_lab(from_lab(wild)), wild, atol=2e-3, rtol=0)


def test_gradients_are_finite_for_every_colour(wild: Tensor) -> None:
    lab = wild.requires_grad_()
    to_lab(from_lab(lab)).sum().backward()  # type: ignore[no-untyped-call]
    assert lab.grad is not None
    assert lab.grad.isfinite().all()


def test_colours_come_into_the_gamut_at_the_same_lightness_and_hue(wild: Tensor) -> None:
    inside = into_gamut(wild)
    assert torch.equal(inside[:, 0], wild[:, 0])
    assert from_lab(inside).abs().max() < 1 + 5e-3
    share = inside[:, 1:].norm(dim=1) / wild[:, 1:].norm(dim=1)
    torch.testing.assert_close(inside[:, 1:], share[:, None] * wild[:, 1:], atol=1e-3, rtol=0)
    further = torch.cat([wild[:, :1], (share + 2e-3)[:, None] * wild[:, 1:]], 1)
    beyond = from_lab(further).abs().amax(1)[share < 1] > 1
    assert beyond.float().mean() > 0.98  # no more chroma than needed is lost


def test_colours_that_srgb_has_stay_as_they_are() -> None:
    lab = to_lab(2 * torch.rand(1, 3, 30, 30, generator=torch.Generator().manual_seed(0)) - 1)
    assert torch.equal(into_gamut(lab), lab)
