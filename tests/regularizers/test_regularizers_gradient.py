import math

import pytest
import torch
from torch import Tensor, nn

from genlab.core.random import Draws, Randomness
from genlab.regularizers.gradient import PENALTIES, Penalty, dragan, r1, r2, wgan_gp

SHAPE = (6, 3, 4, 4)
every_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


def draws(rows: int = 6) -> Draws:
    return Randomness(0).draws(rows, "penalty")


def pictures(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Seen:
    """The score Σ w·x, or ½ Σ x² if there is no w; remembers where it was asked."""

    def __init__(self, weight: Tensor | None = None, pack: int = 1) -> None:
        self.weight = weight
        self.pack = pack

    def __call__(self, images: Tensor) -> Tensor:
        self.images = images.detach()
        of_pixels = images.square() / 2 if self.weight is None else images * self.weight
        return of_pixels.reshape(len(images) // self.pack, -1).sum(1)


@pytest.mark.parametrize("length", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("points", [False, True])
def test_of_a_linear_discriminator_it_is_exact(length: float, points: bool) -> None:
    real, fake, others = (pictures(seed)[:, :2, 0, 0] if points else pictures(seed) for seed in (1, 2, 3))
    score = Seen(length * others[0] / others[0].norm())
    for name, penalty in PENALTIES.items():
        expected = length**2 / 2 if name in ("r1", "r2") else (length - 1) ** 2
        assert penalty(score, real, fake, draws()).item() == pytest.approx(expected)
        assert score.images.shape == real.shape


@pytest.mark.parametrize(("penalty", "where"), [(r1, 0), (r2, 1)])
def test_r1_is_at_real_and_r2_at_generated_images(penalty: Penalty, where: int) -> None:
    """The slope of ½ ‖x‖² is x."""
    both = pictures(1), pictures(2)
    expected = both[where].square().flatten(1).sum(1).mean() / 2
    torch.testing.assert_close(penalty(Seen(), *both, draws()), expected)


def test_interpolates_lie_anywhere_between_an_image_and_its_partner() -> None:
    score, real, fake = Seen(), torch.zeros(2000, 1, 2, 2), torch.ones(2000, 1, 2, 2)
    penalty = wgan_gp(score, real, fake, draws(2000))
    shares = score.images.flatten(1)
    assert (shares == shares[:, :1]).all(), "one share for all pixels of an image"
    assert 0 <= shares.min() < 0.01
    assert 0.99 < shares.max() < 1
    assert abs(shares.mean() - 0.5) < 0.02
    # ‖∇‖ = 2u: E(2u − 1)² = ⅓
    assert penalty.item() == pytest.approx(1 / 3, abs=0.02)
    u = shares[:, 0]
    torch.testing.assert_close(penalty, (2 * u - 1).square().mean())


def test_dragan_looks_beside_real_images_alone() -> None:
    """x + α·½·s·u with α of an image and u of a pixel: from 0 to s/2, on average s/8."""
    score, real, fake = Seen(), 3 * torch.randn(2000, 1, 4, 4), torch.full((2000, 1, 4, 4), math.nan)
    penalty = dragan(score, real, fake, draws(2000))
    beside = (score.images - real) / real.std(correction=0)
    assert -1e-5 < beside.min() < 0.01
    assert 0.45 < beside.max() < 0.5
    assert abs(beside.mean() - 1 / 8) < 0.005
    largest = beside.flatten(1).amax(1)
    assert abs(largest.mean() / largest.max() - 0.5) < 0.05, "each image has a reach of its own"
    norms = score.images.flatten(1).norm(dim=1)
    torch.testing.assert_close(penalty, (norms - 1).square().mean())


@every_penalty
def test_a_packed_discriminator_is_penalised_per_pack(penalty: Penalty) -> None:
    weight = torch.full(SHAPE[1:], 1 / math.sqrt(3 * 4 * 4), dtype=torch.float64)  # slope 1 per image
    value = penalty(Seen(weight, pack=2), pictures(1), pictures(2), draws())
    expected = 1.0 if penalty in (r1, r2) else (math.sqrt(2) - 1) ** 2
    assert value.item() == pytest.approx(expected)


@every_penalty
def test_its_gradient_reaches_the_discriminator(penalty: Penalty) -> None:
    """Against finite differences in one weight."""
    torch.manual_seed(0)
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 5), nn.Softplus(), nn.Linear(5, 1), nn.Flatten(0)
    ).double()
    weight = discriminator[1].weight

    def value() -> Tensor:
        return penalty(discriminator, pictures(1), pictures(2), draws())

    (gradient,) = torch.autograd.grad(value(), weight)
    sides = []
    for moved in (1e-5, -2e-5):
        with torch.no_grad():
            weight[2, 7] += moved
        sides.append(value().item())
    assert gradient[2, 7].item() == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4)


@every_penalty
def test_a_flat_discriminator_makes_no_nan(penalty: Penalty) -> None:
    flat = torch.zeros(SHAPE[1:], dtype=torch.float64, requires_grad=True)
    value = penalty(Seen(flat), pictures(1), pictures(2), draws())
    assert value.item() == (0 if penalty in (r1, r2) else 1)
    (gradient,) = torch.autograd.grad(value, flat, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), flat)
    assert torch.isfinite(gradient).all()
    assert torch.isfinite(second).all()


def test_the_images_are_left_alone_but_a_generators_graph_is_kept() -> None:
    real, fake = pictures(1), pictures(2)
    r2(Seen(), real, fake, draws())
    assert not fake.requires_grad
    made = fake.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(r2(Seen(), real, 2 * made, draws()), made)
    torch.testing.assert_close(gradient, 4 * made / 6)
