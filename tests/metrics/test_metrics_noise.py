import pytest
import torch

from genlab.metrics.noise import noise_level


def noise(count: int, channels: int = 1, side: int = 64) -> torch.Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.02, 0.2, 0.7])
def test_the_estimate_is_the_deviation_of_the_noise(sigma: float) -> None:
    assert noise_level(sigma * noise(8, 3)).mean() == pytest.approx(sigma, rel=0.02)


def test_a_ramp_and_an_edge_hardly_change_it() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 1, 64, 64)
    edge = torch.where(torch.arange(64) < 20, -1.0, 1.0).expand(1, 1, 64, 64)
    plain = noise_level(0.1 * noise(1))
    torch.testing.assert_close(noise_level(ramp + 0.1 * noise(1)), plain)
    torch.testing.assert_close(noise_level(edge + 0.1 * noise(1)), plain, rtol=0.1, atol=0.0)
    assert noise_level(edge) == 0


def test_each_picture_has_its_own_and_the_smallest_have_none() -> None:
    given = noise(3) * torch.tensor([0.1, 0.2, 0.4]).view(-1, 1, 1, 1)
    torch.testing.assert_close(noise_level(given)[1:2], noise_level(given[1:2]))
    assert noise_level(torch.randn(2, 1, 2, 9)).tolist() == [0, 0]
