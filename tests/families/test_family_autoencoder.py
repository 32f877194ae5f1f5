from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlab.architectures import compose
from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.contract import Corrupts
from genlab.core.modality import DataSpec, Images, Points
from genlab.core.optimizer import adam
from genlab.core.player import Player
from genlab.core.random import Draws, Randomness
from genlab.families.autoencoder import Autoencoder, AutoencoderTraining, DenoisingAutoencoder
from genlab.objectives.reconstruction import mse
from genlab.recipes.autoencoder import AutoencoderRecipe

IMAGES = Images(1, 4, 4)


def forever(images: Tensor) -> Iterator[Batch]:
    while True:
        yield Batch(images, torch.arange(len(images)))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(12, *IMAGES.shape, generator=torch.Generator().manual_seed(5)) * 1.6 - 0.8


def made(**options: Any) -> AutoencoderTraining:
    torch.manual_seed(0)
    recipe = AutoencoderRecipe(architecture="mlp", **{"width": 16, "latent": 4, "lr": 1e-2, **options})
    training = recipe.training(recipe.model(DataSpec(IMAGES)), Randomness(0))
    assert isinstance(training, AutoencoderTraining)
    return training


def test_what_is_minimised_is_the_error_of_what_is_shown(images: Tensor) -> None:
    training = made()
    with torch.no_grad():
        error = (training.model.reconstruct(images) - images).square().flatten(1).sum(1).mean()
        spread = training.model.encode(images).std()
    signals = training.step(0, forever(images))
    torch.testing.assert_close(signals["loss"], error)
    torch.testing.assert_close(signals["latent_std"], spread)
    assert "sparsity_loss" not in signals


def test_a_few_images_are_learned_by_heart(images: Tensor) -> None:
    training = made(width=32)
    for step in range(300):
        training.step(step, forever(images[:4]))
    assert (training.model.reconstruct(images[:4]) - images[:4]).abs().mean() < 0.03


def test_the_gradient_is_cut_to_the_norm_that_is_asked_for(images: Tensor) -> None:
    training = made(clip_norm=0.5)
    norm = training.step(0, forever(images))["gradient_norm"]
    gradients = [p.grad for p in training.model.parameters() if p.grad is not None]
    assert norm > 1
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("sparsity", ["kl", "l1"])
def test_a_sparse_autoencoder_minimises_the_error_and_the_weighted_penalty(sparsity: str, images: Tensor) -> None:
    training = made(sparsity=sparsity, sparsity_weight=3.0, sparsity_target=0.2)
    with torch.no_grad():
        codes = training.model.encode(images)
        error = mse(training.model.decoder(codes), images).mean()
        rate = torch.distributions.Bernoulli(codes.mean(0))
        wanted = torch.distributions.Bernoulli(torch.full((4,), 0.2))
    penalty = {"kl": torch.distributions.kl_divergence(wanted, rate).sum(), "l1": codes.sum(1).mean()}[sparsity]
    signals = training.step(0, forever(images))
    torch.testing.assert_close(signals["reconstruction_loss"], error)
    torch.testing.assert_close(signals["sparsity_loss"], penalty)
    torch.testing.assert_close(signals["loss"], error + 3 * penalty)
    torch.testing.assert_close(signals["mean_activation"], codes.mean())


def test_codes_are_probabilities_with_kl_and_not_negative_with_l1(images: Tensor) -> None:
    assert made(sparsity="none").model.encode(images).min() < 0
    assert made(sparsity="l1").model.encode(images).min() == 0
    codes = made(sparsity="kl").model.encode(images)
    assert 0 < codes.min() < codes.max() < 1


@pytest.mark.parametrize("target", [0.05, 0.3])
def test_each_unit_is_as_active_as_asked(target: float, images: Tensor) -> None:
    training = made(sparsity="kl", sparsity_weight=100.0, sparsity_target=target, latent=6)
    for step in range(200):
        signals = training.step(step, forever(images))
    rates = training.model.encode(images).mean(0)
    torch.testing.assert_close(rates, torch.full((6,), target), atol=0.03, rtol=0)
    assert signals["mean_activation"].item() == pytest.approx(target, abs=0.02)


def test_a_charge_on_activity_switches_units_off(images: Tensor) -> None:
    off = []
    for weight in (0.0, 1.0):
        training = made(sparsity="l1", sparsity_weight=weight, latent=16)
        for step in range(100):
            training.step(step, forever(images))
        off.append((training.model.encode(images) == 0).float().mean().item())
    assert off[1] > off[0] + 0.2


class Line(nn.Module):
    """Multiplies points of one number, there and back."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.7))

    def forward(self, values: Tensor, condition: Condition = NONE) -> Tensor:
        return self.gain * values


def test_a_denoising_autoencoder_learns_the_clean_point_from_the_corrupted_one() -> None:
    """x ~ N(0, ½²) seen as x + N(0, ¼²): the best linear guess of x is ¼/(¼ + 1/16) = 0.8 of what is seen."""

    def spoil(points: Tensor, draws: Draws) -> Tensor:
        return points + 0.25 * draws.normal(*points.shape[1:])

    def linear_error(activations: Tensor, points: Tensor) -> Tensor:
        return (activations - points).square().sum(1)

    model = DenoisingAutoencoder(Points(1), Line(), Line(), corruption=spoil)
    player = Player("autoencoder", model, adam(model, "autoencoder", 1e-2, (0.9, 0.999)))
    training = AutoencoderTraining(model, player, Randomness(0), reconstruction=linear_error)
    noise = torch.Generator().manual_seed(0)
    for step in range(300):
        training.step(step, forever(0.5 * torch.randn(1024, 1, generator=noise)))
    assert (model.encoder.gain * model.decoder.gain).item() == pytest.approx(0.8, abs=0.03)


def test_corruption_depends_on_the_step_alone(images: Tensor) -> None:
    """The error is that to the clean images, of the codes of images spoilt in a way that depends on the step."""
    training = made(corruption="gaussian", corruption_level=0.2)
    model = training.model
    assert isinstance(model, DenoisingAutoencoder)
    errors = []
    for step in (0, 7):
        spoilt = model.corruption(images, Randomness(0).draws(len(images), "corruption", step))
        with torch.no_grad():
            error = mse(model.decoder(model.encode(spoilt)), images).mean()
        errors.append(training.step(step, forever(images))["loss"])
        torch.testing.assert_close(errors[-1], error)
    again = made(corruption="gaussian", corruption_level=0.2)
    assert torch.equal(again.step(0, forever(images))["loss"], errors[0])
    assert not torch.equal(made(corruption="gaussian").step(7, forever(images))["loss"], errors[0])


@pytest.mark.parametrize("corruption", ["gaussian", "masking", "salt-and-pepper"])
def test_a_denoising_autoencoder_shows_its_corrupted_input(corruption: str, images: Tensor) -> None:
    model = made(corruption=corruption, corruption_level=0.5).model
    assert isinstance(model, Corrupts)
    spoilt, again, other = (model.corrupt(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert spoilt.shape == images.shape
    assert torch.equal(spoilt, again)
    assert not torch.equal(spoilt, other)
    changed = (spoilt != images).float().mean().item()
    assert changed == 1 if corruption == "gaussian" else 0.3 < changed < 0.7
    assert not torch.equal(model.corrupt(images), model.corrupt(images)), (
        "without a generator, from torch's stream"
    )


def test_only_a_denoising_autoencoder_corrupts() -> None:
    assert not isinstance(made().model, Corrupts)
    assert type(made(sparsity="kl").model) is Autoencoder


def test_the_encoder_is_asked_for_what_the_decoder_takes() -> None:
    encoder, decoder = compose.encoder("mlp", IMAGES, 3, 8), compose.decoder("mlp", 3, IMAGES, 8)
    model = Autoencoder(IMAGES, encoder, decoder, activation=nn.Sigmoid())
    codes = model.encode(torch.zeros(2, *IMAGES.shape))
    assert codes.shape == (2, 3)
    assert torch.equal(codes, torch.sigmoid(model.encoder(torch.zeros(2, *IMAGES.shape))))
    assert torch.equal(model.decode(codes), torch.tanh(model.decoder(codes)))
