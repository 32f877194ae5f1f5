import torch
from torch.nn.functional import conv2d, interpolate

from genlab.architectures.resampling import Blur, ConvolvedUp, Doubled, Halved

MAPS = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_doubling_is_bilinear_interpolation_inside_the_border() -> None:
    doubled = Doubled(3).double()(MAPS)
    expected = interpolate(MAPS, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_halving_and_blurring_keep_a_constant_inside_the_border_and_remove_the_finest_pattern() -> None:
    ones = torch.ones(1, 3, 8, 8)
    stripes = (-1.0) ** torch.arange(8).expand(1, 3, 8, 8)
    for filtered in (Halved(3), Blur(3, padding=1), Blur(3, padding=2)):
        torch.testing.assert_close(
            filtered(ones)[..., 2:-2, 2:-2], torch.ones_like(filtered(ones))[..., 2:-2, 2:-2]
        )
        torch.testing.assert_close(
            filtered(stripes)[..., 2:-2, 2:-2], torch.zeros_like(filtered(ones))[..., 2:-2, 2:-2]
        )


def test_halving_is_the_transpose_of_doubling() -> None:
    small = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    up, down = Doubled(3).double()(small), Halved(3).double()(MAPS)
    torch.testing.assert_close((up * MAPS).sum(), 4 * (small * down).sum())


def test_a_convolution_to_twice_the_side_is_doubling_and_then_convolving() -> None:
    weight = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    made = ConvolvedUp(5).double()(MAPS, weight)
    expected = conv2d(Doubled(3).double()(MAPS), weight, padding=1)
    assert made.shape == (2, 5, 16, 16)
    torch.testing.assert_close(made[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])
