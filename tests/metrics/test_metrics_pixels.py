import torch

from genlab.metrics.extractors.pixels import pixel_features


def test_large_images_are_averaged_down() -> None:
    images = torch.randn(2, 3, 32, 32)
    expected = images.reshape(2, 3, 16, 2, 16, 2).mean((3, 5)).flatten(1)
    torch.testing.assert_close(pixel_features(images), expected)


def test_small_images_and_points_are_what_they_are() -> None:
    for shape in ((1, 16, 16), (3, 8, 8), (2,)):
        images = torch.randn(4, *shape)
        assert torch.equal(pixel_features(images), images.flatten(1))
