"""Invertible networks: what they do can be undone, and their log-determinants are those of their Jacobians."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from genlab.architectures.flow import FLOWS, Levels, Splines
from genlab.architectures.invertible import ActNorm, Convolution, Coupling, Fold, Invertible
from genlab.architectures.mixed import compute_in
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Modality, Points

LAYERS = {
    "fold": Fold,
    "activation norm": lambda: ActNorm(3),
    "convolution": lambda: Convolution(3),
    "coupling of channels": lambda: Coupling(3, 8),
    "of the others": lambda: Coupling(3, 8, flipped=True),
    "of a checkerboard": lambda: Coupling(3, 8, checkered=True),
    "of its other colour": lambda: Coupling(3, 8, checkered=True, flipped=True),
}


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def stirred(network: nn.Module, by: float = 0.1) -> nn.Module:
    """Move every weight, so that nothing is as it starts."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += by * torch.randn_like(parameter)
    return network.eval()


def volume(network: nn.Module, image: Tensor) -> float:
    """Return log |det| of the Jacobian at an image (1, C, H, W), by automatic differentiation."""

    def flat(numbers: Tensor) -> Tensor:
        made: Tensor = network(numbers.view(image.shape))[0].flatten()
        return made

    jacobian = torch.autograd.functional.jacobian(flat, image.flatten())
    return torch.linalg.slogdet(jacobian)[1].item()


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_can_be_undone_and_knows_its_volume(name: str) -> None:
    torch.manual_seed(0)
    layer = stirred(LAYERS[name]())
    assert isinstance(layer, Invertible)
    images = torch.randn(4, 3, 4, 4)
    made, found = layer(images)
    torch.testing.assert_close(layer.inverse(made), images)
    for number in range(2):
        assert found[number].item() == pytest.approx(volume(layer, images[number : number + 1]), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("glow", Images(1, 16, 16)),
        ("glow", Images(3, 8, 24)),
        ("realnvp", Images(1, 16, 16)),
        ("realnvp", Images(3, 8, 24)),
        ("spline", Points(2)),
        ("spline", Images(1, 4, 4)),
    ],
)
def test_a_flow_inverts_in_float32(name: str, modality: Modality) -> None:
    torch.manual_seed(0)
    flow = stirred(FLOWS[name](modality, 16, 4, None), by=0.03)
    images = torch.randn(8, *modality.shape)
    latents, _ = flow(images)
    assert latents.shape == (8, math.prod(modality.shape))
    assert isinstance(flow, Levels | Splines)
    assert (flow.inverse(latents) - images).abs().max() < 1e-4
    compute_in(torch.bfloat16, flow)  # shortened in training alone: inverted must be what was done
    assert torch.equal(flow(images)[0], latents)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["glow", "realnvp", "spline"])
def test_a_flow_knows_its_volume(name: str) -> None:
    torch.manual_seed(0)
    shape = Images(1, 4, 4)
    flow = stirred(FLOWS[name](shape, 8, 2, None))
    image = 0.5 * torch.randn(1, *shape.shape)
    assert flow(image)[1].item() == pytest.approx(volume(flow, image), abs=1e-8)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["glow", "realnvp", "spline"])
def test_every_number_of_an_image_bends_the_flow_and_is_bent_by_it(name: str) -> None:
    """A flow that leaves a part of the image to linear layers alone could give it no density but a normal one."""
    torch.manual_seed(0)
    shape = Images(1, 4, 4)
    flow = stirred(FLOWS[name](shape, 8, 2, 1 if name != "spline" else None), by=0.3)

    def latents(numbers: Tensor) -> Tensor:
        made: Tensor = flow(numbers.view(1, *shape.shape))[0].flatten()
        return made

    here, there = (torch.autograd.functional.jacobian(latents, torch.randn(16)) for _ in range(2))
    changed = (here - there).abs()
    assert changed.amax(0).min() > 1e-6  # how each latent hangs on other numbers than this one too
    assert changed.amax(1).min() > 1e-6


@pytest.mark.usefixtures("double")
def test_a_norm_and_the_convolution_behind_it_are_one_with_the_same_slopes() -> None:
    torch.manual_seed(0)
    flow = stirred(FLOWS["glow"](Images(1, 4, 4), 8, 3, 1)).train()
    images = torch.randn(6, 1, 4, 4)
    flow(images)  # is measured, layer by layer
    assert isinstance(flow, Levels)
    maps, volume = images, torch.zeros(6)
    for layer in flow.levels[0]:  # type: ignore[union-attr]
        maps, grown = layer(maps)
        volume = volume + grown
    apart = [maps.flatten(1), volume]
    together = list(flow(images))
    torch.testing.assert_close(together, apart)
    slopes = (
        torch.autograd.grad((z.square().sum() - v.sum()), list(flow.parameters())) for z, v in (apart, together)
    )
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


def test_the_density_of_points_integrates_to_one() -> None:
    torch.manual_seed(0)
    flow = stirred(FLOWS["spline"](Points(2), 16, 3, None))
    places = torch.linspace(-6, 6, 250)
    points = torch.cartesian_prod(places, places)
    with torch.no_grad():
        latents, grown = flow(points)
    density = torch.exp(-0.5 * latents.square().sum(1) - math.log(2 * math.pi) + grown)
    assert (density.sum() * (places[1] - places[0]) ** 2).item() == pytest.approx(1, abs=0.01)


def test_the_first_batch_leaves_activation_norm_with_mean_0_and_deviation_1() -> None:
    torch.manual_seed(0)
    layer = ActNorm(3).train()
    images = torch.randn(32, 3, 8, 8) * torch.tensor([0.1, 1.0, 10.0])[:, None, None] + 5
    made = layer(images)[0]
    torch.testing.assert_close(made.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(made.std((0, 2, 3)), torch.ones(3), rtol=1e-3, atol=1e-3)
    before = layer.log_scale.clone()
    layer(100 * images)
    assert torch.equal(layer.log_scale, before)  # the first alone


def test_a_coupling_starts_as_the_identity_and_bounds_its_scale() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 4, 4, 4)
    layer = Coupling(4, 8)
    assert torch.equal(layer(images)[0], images)
    with torch.no_grad():
        layer.network[-1].bias += 100.0  # type: ignore[operator]
    assert layer(images)[1].max() <= 2.0 * images[0].numel() / 2 + 1e-3


def test_sides_that_cannot_be_halved_so_often_are_refused() -> None:
    with pytest.raises(UsageError, match=r"of 12×12 can be halved 2 times. Set --levels to at most 2"):
        FLOWS["glow"](Images(1, 12, 12), 4, 1, 3)
    assert len(FLOWS["glow"](Images(1, 12, 12), 4, 1, None).levels) == 2  # type: ignore[arg-type]
