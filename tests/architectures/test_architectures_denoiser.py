import math

import pytest
import torch

from genlab.architectures.denoiser import DENOISERS, Perceptron, denoiser
from genlab.architectures.unet import Wave
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Modality, Points


def left_over(modality: Modality) -> float:
    """Return the share of a fast wave's energy that a perceptron has not learned after some steps."""
    torch.manual_seed(0)
    network = Perceptron(modality, 64)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(200):
        numbers = torch.rand(256, *modality.shape) * 2 - 1
        waves = torch.sin(8 * torch.pi * numbers)
        error = (network(numbers, torch.zeros(256)) - waves).square().mean() / waves.square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return error.item()


def test_what_changes_fast_is_learned_of_points() -> None:
    assert left_over(Points(2)) < 0.05
    assert left_over(Images(1, 1, 2)) > 0.5


@pytest.mark.parametrize("architecture", DENOISERS)
def test_no_label_is_a_class_of_its_own_after_those_of_the_data(architecture: str) -> None:
    torch.manual_seed(0)
    shape, classes = Images(1, 8, 8), 3
    network = denoiser(architecture, shape, 16, classes=classes).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # branches start at 0, and would not see what they are told
            parameter += 0.1 * torch.randn_like(parameter)
        images, times = torch.randn(4, *shape.shape), torch.rand(4)
        untold, *told = (
            network(images, times, condition)
            for condition in ({}, *({"label": torch.full((4,), label)} for label in range(classes + 1)))
        )
    *of_classes, of_none = told
    torch.testing.assert_close(untold, of_none)
    assert min((untold - made).abs().mean().item() for made in of_classes) > 1e-3


@pytest.mark.parametrize("architecture", DENOISERS)
def test_every_position_of_a_source_is_seen(architecture: str) -> None:
    torch.manual_seed(0)
    shape, source = Images(1, 8, 8), Images(2, 8, 8)
    network = denoiser(architecture, shape, 16, sources={"source": source})
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    given = torch.randn(2, *source.shape, requires_grad=True)
    network(torch.randn(2, *shape.shape), torch.rand(2), {"source": given}).square().sum().backward()
    assert given.grad is not None
    assert given.grad.abs().min() > 0


def test_a_unet_without_sources_has_the_weights_that_it_had_before_it_took_them() -> None:
    networks = []
    for sources in ({}, {"source": Images(1, 8, 8)}):
        torch.manual_seed(0)
        networks.append(denoiser("unet", Images(1, 8, 8), 8, sources=sources))
    without, with_source = (dict(network.state_dict()) for network in networks)
    assert without.keys() == with_source.keys()
    assert {name for name in without if without[name].shape != with_source[name].shape} == {"first.weight"}


def test_a_unet_refuses_sources_of_another_size() -> None:
    with pytest.raises(UsageError, match=r"8×8 pixels as source.*shape \(1, 4, 4\).*--architecture mlp"):
        denoiser("unet", Images(1, 8, 8), 8, sources={"source": Images(1, 4, 4)})


@pytest.mark.parametrize("size", [8, 9])
def test_times_are_seen_by_waves_from_a_thousandth_of_them_to_all(size: int) -> None:
    """1,000·t at the frequencies 1 … 10⁻⁴: the fastest tells a thousand levels apart, the slowest is monotone."""
    times = torch.tensor([0.0, 0.001, 0.5, 1.0])
    frequencies = [1.0, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4]
    expected = [
        [f(1000 * time * frequency) for f in (math.sin, math.cos) for frequency in frequencies]
        + [0.0] * (size - 8)
        for time in times.tolist()
    ]
    torch.testing.assert_close(Wave(size)(times), torch.tensor(expected), rtol=0, atol=1e-3)
