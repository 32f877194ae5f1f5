import pytest
import torch

from genlab.architectures import mlp
from genlab.core.batch import ImageShape


@pytest.mark.parametrize("shape", [ImageShape(2, 1, 1), ImageShape(1, 28, 28), ImageShape(3, 5, 7)])
def test_it_takes_images_of_any_shape_and_points(shape: ImageShape) -> None:
    assert mlp.decoder(6, shape, 9)(torch.zeros(4, 6)).shape == (4, *shape)
    assert mlp.encoder(shape, 3, 9)(torch.zeros(4, *shape)).shape == (4, 3)


def test_it_has_two_hidden_layers() -> None:
    shape = ImageShape(1, 4, 4)
    expected = (6 * 9 + 9) + (9 * 9 + 9) + (9 * 16 + 16)
    assert sum(p.numel() for p in mlp.decoder(6, shape, 9).parameters()) == expected
    assert sum(p.numel() for p in mlp.encoder(shape, 6, 9).parameters()) == 16 * 9 + 9 + 90 + 9 * 6 + 6


def test_every_pixel_sees_every_latent() -> None:
    torch.manual_seed(0)
    latents = torch.randn(1, 6, requires_grad=True)
    image = mlp.decoder(6, ImageShape(1, 3, 3), 16)(latents)
    for pixel in image.flatten():
        (gradient,) = torch.autograd.grad(pixel, latents, retain_graph=True)
        assert (gradient != 0).all()
