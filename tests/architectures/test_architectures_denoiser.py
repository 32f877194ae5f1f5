import torch

from genlab.architectures.denoiser import Perceptron
from genlab.core.batch import ImageShape


def left_over(shape: ImageShape) -> float:
    """Return the share of a fast wave's energy that a perceptron has not learned after some steps."""
    torch.manual_seed(0)
    network = Perceptron(shape, 64)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(200):
        numbers = torch.rand(256, *shape) * 2 - 1
        waves = torch.sin(8 * torch.pi * numbers)
        error = (network(numbers, torch.zeros(256)) - waves).square().mean() / waves.square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return error.item()


def test_what_changes_fast_is_learned_of_points() -> None:
    assert left_over(ImageShape(2, 1, 1)) < 0.05
    assert left_over(ImageShape(1, 1, 2)) > 0.5
