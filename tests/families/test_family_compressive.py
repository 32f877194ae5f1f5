import math
from dataclasses import replace
from typing import Any

import pytest
import torch

import genlab
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images, Points
from genlab.core.random import Draws
from genlab.families.autoencoder import CompressiveAutoencoder
from genlab.recipes.autoencoder import AutoencoderRecipe

RECIPE = AutoencoderRecipe(architecture="mlp", width=8, latent=6, rounding=51.0)


@pytest.fixture
def model() -> CompressiveAutoencoder:
    made = RECIPE.model(DataSpec(Images(1, 16, 16)))
    assert isinstance(made, CompressiveAutoencoder)
    return made


def test_the_probabilities_of_all_rounded_values_sum_to_one(model: CompressiveAutoencoder) -> None:
    model.location.data.uniform_(-1, 1)
    model.log_scale.data.uniform_(-0.1, 0.1)
    values = model.step * torch.arange(-2000, 2001, dtype=torch.float32)
    for at in range(6):
        latents = model.location.detach().expand(len(values), 6).clone()
        alone = model.rate(latents)[0]
        latents[:, at] = values
        others = alone - model.rate(model.location.detach()[None])[0]
        rest = sum(_nats(model, other) for other in range(6) if other != at)
        probabilities = (-(model.rate(latents) - others - rest)).exp()
        assert probabilities.sum().item() == pytest.approx(1, abs=1e-3)


def _nats(model: CompressiveAutoencoder, at: int) -> torch.Tensor:
    """Nats of a latent at its location: −log(2 σ(Δ / 2s) − 1)."""
    scale = (model.SPEED * model.log_scale[at]).exp()
    return -(2 * (model.step / 2 / scale).sigmoid() - 1).log()


def test_the_rate_of_far_latents_is_finite_and_has_a_slope(model: CompressiveAutoencoder) -> None:
    latents = torch.full((1, 6), 1e3, requires_grad=True)
    rate = model.rate(latents).sum()
    rate.backward()
    assert math.isfinite(rate.item())
    assert latents.grad is not None
    assert (latents.grad > 0.5).all()


def test_the_noise_is_as_wide_as_the_step(model: CompressiveAutoencoder) -> None:
    draws = Draws(torch.Generator().manual_seed(0), 5000)
    noise = model.noisy(torch.zeros(5000, 6), draws)
    assert noise.abs().max() <= model.step / 2
    assert noise.std().item() == pytest.approx(model.step / math.sqrt(12), rel=0.02)
    assert model.step == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sparsity": "kl"}, "needs --sparsity none"),
        ({"corruption": "gaussian"}, "needs --corruption none"),
        ({"reconstruction": "bce"}, "needs --reconstruction mse"),
    ],
)
def test_rounding_excludes_other_aims(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(RECIPE, **options).refuse()


def test_rounding_is_for_pictures() -> None:
    with pytest.raises(UsageError, match="--rounding is for pictures"):
        RECIPE.refuse(DataSpec(Points(2)))


def test_training_lowers_the_error_and_the_rate(tmp_path: Any) -> None:
    run = genlab.train(
        "compressive-autoencoder",
        data="digits",
        size=16,
        width=16,
        latent=64,
        steps=40,
        log_every=1,
        root=tmp_path,
    )
    for name in ("loss", "reconstruction_loss", "rate"):
        values = run.history[name]
        assert values[-5:].mean() < values[:5].mean()
