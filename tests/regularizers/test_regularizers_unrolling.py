import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput
from genlab.core.optimizer import adam
from genlab.core.player import freeze_except
from genlab.regularizers.spectral import spectral_norm_
from genlab.regularizers.unrolling import unrolled


class Discriminator(nn.Module):
    """A small discriminator with what can go wrong: running statistics, spectral vectors, a head without a
    gradient."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.Softplus(),
            nn.Flatten(),
            nn.Linear(64, 6),
            nn.Tanh(),
        )
        self.head = nn.Linear(6, 1)
        self.unused = nn.Linear(6, 2)
        self.embedding = nn.Embedding(3, 6)
        spectral_norm_(self.body[4])

    def forward(self, images: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        features = self.body(images)
        scores = self.head(features)[:, 0]
        if condition:
            scores = scores + (self.embedding(condition["label"]) * features).sum(1)
        return DiscriminatorOutput(scores, features)


REAL = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
FAKE = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
LABELLED = {"label": torch.tensor([0, 1, 2, 0, 1, 2])}


def discriminator_loss(fake: Tensor) -> Callable[[Callable[..., DiscriminatorOutput]], Tensor]:
    def loss(discriminator: Callable[..., DiscriminatorOutput]) -> Tensor:
        real_scores, fake_scores = (
            discriminator(REAL.to(fake.dtype), LABELLED).scores,
            discriminator(fake, LABELLED).scores,
        )
        return nn.functional.softplus(-real_scores).mean() + nn.functional.softplus(fake_scores).mean()

    return loss


def player(updates: int, dtype: torch.dtype = torch.float64) -> tuple[Discriminator, torch.optim.Adam]:
    """Return a discriminator and its optimizer after so many real updates."""
    discriminator = Discriminator().to(dtype)
    optimizer = adam(discriminator, "discriminator", 0.02, (0.5, 0.9))
    for _ in range(updates):
        update(discriminator, optimizer)
    return discriminator, optimizer


def update(discriminator: Discriminator, optimizer: torch.optim.Adam) -> None:
    optimizer.zero_grad()
    discriminator_loss(FAKE.to(discriminator.head.weight.dtype))(discriminator).backward()
    optimizer.step()


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_real_steps_of_adam(before: int, steps: int, dtype: torch.dtype) -> None:
    discriminator, optimizer = player(before, dtype)
    ahead = unrolled(discriminator, optimizer, discriminator_loss(FAKE.to(dtype)), steps)
    seen = ahead(FAKE.to(dtype), LABELLED)
    for _ in range(steps):
        update(discriminator, optimizer)
    expected = discriminator(FAKE.to(dtype), LABELLED)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(seen.scores, expected.scores, rtol=0, atol=tolerance)
    torch.testing.assert_close(seen.features, expected.features, rtol=0, atol=tolerance)


def snapshot(discriminator: Discriminator, optimizer: torch.optim.Adam) -> dict[str, Tensor]:
    tensors = dict(discriminator.state_dict())
    for name, parameter in discriminator.named_parameters():
        tensors |= {f"{name}/{key}": value for key, value in optimizer.state.get(parameter, {}).items()}
    return copy.deepcopy(tensors)


@pytest.mark.parametrize("before", [0, 2])
def test_the_real_discriminator_and_its_optimizer_stay_as_they_are(before: int) -> None:
    discriminator, optimizer = player(before)
    optimizer.zero_grad()
    was = snapshot(discriminator, optimizer)
    fake = FAKE.clone().requires_grad_()
    with freeze_except(nn.Linear(1, 1), among=discriminator):  # frozen, as in the generator's turn
        unrolled(discriminator, optimizer, discriminator_loss(fake), 3)(fake, LABELLED).scores.sum().backward()
    now = snapshot(discriminator, optimizer)
    assert was.keys() == now.keys()
    assert all(torch.equal(tensor, now[name]) for name, tensor in was.items())
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert fake.grad is not None


@pytest.mark.parametrize("before", [0, 2])
def test_its_gradient_passes_through_the_updates(before: int) -> None:
    """Against finite differences of k real steps of a copy on other images."""
    discriminator, optimizer = player(before)

    def objective(fake: Tensor) -> Tensor:
        return nn.functional.softplus(
            -unrolled(discriminator, optimizer, discriminator_loss(fake), 2)(fake, LABELLED).scores
        ).mean()

    fake = FAKE.clone().requires_grad_()
    (through,) = torch.autograd.grad(objective(fake), fake)
    direction = torch.randn(FAKE.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    slope = (objective(FAKE + 1e-6 * direction) - objective(FAKE - 1e-6 * direction)) / 2e-6
    assert (through * direction).sum().item() == pytest.approx(slope.item(), rel=1e-4)
    still = unrolled(discriminator, optimizer, discriminator_loss(FAKE), 2)
    (only_at_the_end,) = torch.autograd.grad(nn.functional.softplus(-still(fake, LABELLED).scores).mean(), fake)
    assert (through - only_at_the_end).norm() > 0.01 * through.norm()


def test_a_weight_without_any_gradient_makes_no_nan() -> None:
    """A dead unit: its gradients are exactly 0, where Adam's root has no slope."""
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU(), nn.Linear(3, 1)).double()
    nn.init.constant_(discriminator[1].bias, -100.0)

    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = discriminator

        def forward(self, images: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
            scores = self.net(images)[:, 0]
            return DiscriminatorOutput(scores, scores[:, None])

    dead = Dead()
    fake = FAKE.clone().requires_grad_()
    ahead = unrolled(dead, adam(dead, "discriminator", 0.01, (0.5, 0.9)), discriminator_loss(fake), 3)
    (gradient,) = torch.autograd.grad(ahead(fake).scores.sum(), fake)
    assert torch.isfinite(gradient).all()


def test_the_rate_of_the_moment_is_used() -> None:
    """Schedules write the rate into the optimizer's groups."""
    discriminator, optimizer = player(1)
    optimizer.param_groups[0]["lr"] = 0.3
    ahead = unrolled(discriminator, optimizer, discriminator_loss(FAKE), 1)(FAKE, LABELLED).scores
    update(discriminator, optimizer)
    torch.testing.assert_close(ahead, discriminator(FAKE, LABELLED).scores)
