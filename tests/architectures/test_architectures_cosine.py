import pytest
import torch
from torch import nn

from genlab.architectures.cosine import Cosine, CosineDecoder, CosineEncoder
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 8, 12)])
def test_the_transform_is_orthonormal(shape: tuple[int, int, int]) -> None:
    transform, x = Cosine(Images(*shape)), torch.randn(4, *shape)
    assert torch.allclose(transform.inverse(transform(x)), x, atol=1e-5)
    assert torch.allclose(transform(x).square().sum(1), x.square().sum((1, 2, 3)), rtol=1e-4)


def test_the_first_coefficients_are_the_means_of_the_channels() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(Cosine(Images(3, 8, 8))(x)[:, :3], 8 * x.mean((2, 3)), atol=1e-5)


def test_an_untrained_model_keeps_the_lowest_frequencies() -> None:
    modality, latent = Images(1, 16, 16), 40
    encoder = CosineEncoder(modality, latent, nn.Sequential(nn.Flatten(), nn.Linear(256, latent)))
    decoder = CosineDecoder(modality, latent, nn.Sequential(nn.Linear(latent, 256), nn.Unflatten(1, (1, 16, 16))))
    at = torch.linspace(0, torch.pi, 16)
    smooth = (0.4 * torch.cos(at)[:, None] + 0.3 * torch.cos(at)).view(1, 1, 16, 16)
    assert torch.allclose(torch.tanh(decoder(encoder(smooth))), smooth, atol=0.02)


def test_points_have_no_frequencies() -> None:
    with pytest.raises(UsageError, match="--rounding 0"):
        Cosine(Points(2))
