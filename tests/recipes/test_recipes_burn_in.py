"""The burn-in of a GAN: what moves, from where, and that nothing moves without it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from genlab.core.batch import Batch
from genlab.core.contract import DiscriminatorOutput
from genlab.core.modality import DataSpec, Points
from genlab.core.random import Draws, Randomness
from genlab.families.gan import GANTraining
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS
from genlab.runs import phases

RECIPE = GANRecipe(
    architecture="mlp",
    width=4,
    loss="relativistic",
    r1=0.3,
    r2=0.2,
    betas=(0.0, 0.99),
    burn_in=10,
    steps=40,
    ema=0.999,
    discriminator_steps=2,
)
POINT = DataSpec(Points(2))


def training_of(recipe: GANRecipe) -> GANTraining:
    training = phases.build(recipe, POINT, Randomness(0))
    assert isinstance(training, GANTraining)
    return training


def batches() -> Iterator[Batch]:
    while True:
        yield Batch(torch.linspace(-0.5, 0.5, 16).view(8, 2), torch.arange(8))


class Linear(nn.Module):
    """D(x) = w·x + b, whose gradient is w at every point."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor([0.6, -0.8])), nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor, condition: object = None) -> Any:
        return DiscriminatorOutput(x @ self.weight + self.bias, x, None)


@pytest.mark.parametrize(("step", "passed"), [(0, 0.0), (5, 0.5), (10, 1.0), (39, 1.0)])
def test_everything_moves_from_its_beginning_to_its_value(step: int, passed: float) -> None:
    assert RECIPE.rate()(step) == pytest.approx(4 - 3 * passed)
    assert RECIPE.half_life()(step) == pytest.approx(passed)
    assert RECIPE.schedules()["burn_in"](step) == pytest.approx(passed)
    training = training_of(RECIPE)
    training.step(step, batches())
    for optimizer in training.optimizers.values():
        assert optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.9 + 0.09 * passed))


@pytest.mark.parametrize(("step", "factor"), [(0, 10.0), (5, 5.5), (10, 1.0)])
def test_the_paired_loss_with_both_penalties_of_a_linear_discriminator_is_its_closed_form(
    step: int, factor: float
) -> None:
    training, linear = training_of(RECIPE), Linear()
    real, fake = torch.randn(2, 64, 2)
    draws = Draws(torch.Generator(), 64)
    losses = training.discriminator_losses(linear(real), linear(fake), {}, draws)
    losses |= training.gradient_penalties(linear, real, fake, {}, step, draws)
    paired = softplus((fake - real) @ linear.weight).mean()
    slope = (0.3 + 0.2) / 2  # (γ₁ + γ₂)/2·‖w‖², with ‖w‖ = 1
    torch.testing.assert_close(sum(losses.values()), paired + factor * slope)


def test_pictures_are_augmented_with_the_probability_of_the_step() -> None:
    recipe = replace(RECIPE, diff_augment="translation-cutout")
    images = torch.rand(256, 1, 8, 8) + 0.5
    training = training_of(recipe)
    changed = [
        (training.augment(images, step, Randomness(0).draws(256, step)) != images).flatten(1).any(1).float().mean()
        for step in (0, 5, 10)
    ]
    assert changed == pytest.approx([0.0, 0.5, 1.0], abs=0.1)


def test_without_a_burn_in_nothing_moves_and_none_is_longer_than_the_schedules() -> None:
    plain = replace(RECIPE, burn_in=0)
    assert plain.schedules() == {}
    assert plain.rate()(0) == plain.half_life()(0) == 1
    assert training_of(plain).discriminator.before_step == ()
    short = replace(RECIPE, steps=4)
    assert short.rate()(4) == short.half_life()(4) == 1
    assert short.rate()(2) == pytest.approx(2.5)
    assert replace(RECIPE, schedule_steps=6).burning_in == 6


def test_the_burn_in_multiplies_the_schedule_of_the_learning_rate() -> None:
    falling = replace(RECIPE, lr_schedule="linear")
    assert falling.rate()(5) == pytest.approx(2.5 * (1 - 5 / 40))
    assert falling.rate()(20) == pytest.approx(0.5)


def test_the_preset_burns_in_over_twenty_million_images() -> None:
    recipe = PRESETS["r3gan"]
    assert isinstance(recipe, GANRecipe)
    assert recipe.burn_in * recipe.batch_size == 20_000_000
    assert recipe.rate()(0) * recipe.generator_lr == pytest.approx(2e-4)
