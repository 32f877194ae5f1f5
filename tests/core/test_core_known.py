"""What is known of examples is put into others, which are changed no more than that takes."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.core.known import Outside, Reduced, bicubic

SIZES = [((16, 16), 2), ((32, 24), 4), ((16, 40), 8), ((28, 28), 7)]


def known(size: tuple[int, int], factor: int) -> Reduced:
    noise = torch.Generator().manual_seed(0)
    small = torch.randn(2, 3, size[0] // factor, size[1] // factor, generator=noise)
    return Reduced(small, size)


@pytest.mark.parametrize(("size", "factor"), SIZES)
def test_the_pseudo_inverse_of_a_reduction_is_reduced_to_the_same(size: tuple[int, int], factor: int) -> None:
    given = known(size, factor)
    assert given.values.shape == (2, 3, *size)
    torch.testing.assert_close(given.reduce(given.values), given.images, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "factor"), SIZES)
def test_images_get_a_reduction_by_the_smallest_change(size: tuple[int, int], factor: int) -> None:
    given, x = known(size, factor), torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    made = given.put(given.values, x)
    torch.testing.assert_close(given.reduce(made), given.images, atol=1e-5, rtol=0)
    torch.testing.assert_close(given.put(given.values, made), made, atol=1e-5, rtol=0)
    other = given.put(given.values, torch.zeros_like(x))
    torch.testing.assert_close(other, given.values, atol=1e-5, rtol=0)
    across = ((made - x) * (made - other)).sum()
    assert abs(across) < 1e-3 * (made - x).norm() * (made - other).norm(), "as by a projection, at a right angle"


@pytest.mark.parametrize(("length", "part"), [(16, 8), (32, 8), (40, 5)])
def test_a_reduction_is_that_of_pillow(length: int, part: int) -> None:
    pixels = np.random.default_rng(0).random((1, length)).astype(np.float32)
    reduced = np.asarray(Image.fromarray(pixels).resize((part, 1), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(pixels @ bicubic(length, part).float().numpy().T, reduced, atol=1e-6)


def test_outside_a_hole_all_is_known_and_nothing_in_it() -> None:
    x = torch.tensor([[1.0, torch.nan, 3.0]])
    outside = Outside(x, torch.tensor([[False, True, False]]))
    assert outside.put(x, torch.zeros(1, 3)).tolist() == [[1.0, 0.0, 3.0]]
