import pytest
import torch

from genlab.core.random import Draws, Randomness
from genlab.objectives.adversarial import ADVERSARIAL
from genlab.regularizers.noise import flip_labels, instance_noise


def draws(rows: int) -> Draws:
    return Randomness(0).draws(rows, "noise")


def test_instance_noise_has_its_spread_and_a_draw_for_each_pixel() -> None:
    images = torch.linspace(-1, 1, 3 * 4 * 4).view(3, 4, 4).expand(500, 3, 4, 4).clone().requires_grad_()
    noisy = instance_noise(images, draws(500), 0.3)
    noise = noisy - images
    assert noise.mean().abs() < 0.01
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.std(0).min() > 0.25
    assert noise.flatten(1).std(1).min() > 0.15
    assert (torch.autograd.grad(noisy.sum(), images)[0] == 1).all()
    assert torch.equal(instance_noise(images, draws(500), 0.0), images)


def test_pairs_trade_places_with_the_probability() -> None:
    real, fake = torch.arange(20_000.0), -1 - torch.arange(20_000.0)
    as_real, as_fake = flip_labels(real, fake, draws(20_000), 0.2)
    wrong = as_real < 0
    assert wrong.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(as_real, torch.where(wrong, fake, real))
    assert torch.equal(as_fake, torch.where(wrong, real, fake))


@pytest.mark.parametrize(("probability", "flipped"), [(0.0, False), (1.0, True)])
def test_none_or_all(probability: float, flipped: bool) -> None:
    real, fake = torch.ones(4), torch.zeros(4)
    as_real, as_fake = flip_labels(real, fake, draws(4), probability)
    assert torch.equal(as_real, fake if flipped else real)
    assert torch.equal(as_fake, real if flipped else fake)


def test_the_expected_loss_is_the_mixture_of_both_labellings() -> None:
    n, p = 40_000, 0.3
    real, fake = torch.full((n,), 1.0), torch.full((n,), -0.5)
    loss = ADVERSARIAL["minimax"].discriminator
    noisy = loss(*flip_labels(real, fake, draws(n), p))
    expected = (1 - p) * loss(real, fake) + p * loss(fake, real)
    assert noisy.item() == pytest.approx(expected.item(), abs=0.02)


def test_scores_of_packs_and_their_gradients_follow() -> None:
    real, fake = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    as_real, as_fake = flip_labels(real, fake, draws(6), 0.5)
    assert as_real.shape == as_fake.shape == (3,)
    of_real, of_fake = torch.autograd.grad(as_real.sum(), (real, fake))
    assert torch.equal(of_real, as_real.detach())
    assert torch.equal(of_fake, 1 - as_real.detach())
