from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from genlab.architectures import mlp
from genlab.core.batch import Batch, ImageShape
from genlab.core.descent import adam
from genlab.core.random import Randomness, generator
from genlab.families.vae import VAE, Posterior, VAETraining
from genlab.objectives.reconstruction import bce

SHAPE, LATENT = ImageShape(1, 4, 4), 3


@pytest.fixture
def images() -> Tensor:
    return torch.rand(10, *SHAPE, generator=torch.Generator().manual_seed(5)) * 2 - 1


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return VAE(mlp.encoder(SHAPE, 2 * LATENT, 16), mlp.decoder(LATENT, SHAPE, 16), LATENT, bce)


def forever(images: Tensor) -> Iterator[Batch]:
    while True:
        yield Batch(images, torch.arange(len(images)))


def training(vae: VAE, beta: float, seed: int = 0) -> VAETraining:
    return VAETraining(vae, adam(vae, "vae", 1e-3, (0.9, 0.999)), Randomness(seed), beta)


def test_the_posterior_draws_what_it_says() -> None:
    posterior = Posterior(torch.tensor([[2.0, -1.0]]), torch.tensor([[0.0, 2.0]]).log() * 2)
    noise = torch.tensor([[3.0, 0.5]])
    torch.testing.assert_close(posterior.sample(noise), torch.tensor([[2.0, -1.0 + 2 * 0.5]]))
    wide = Posterior(torch.full((100_000, 1), 1.0), torch.full((100_000, 1), 1.5))
    drawn = wide.sample(torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0)))
    assert drawn.mean().item() == pytest.approx(1.0, abs=0.03)
    assert drawn.var().log().item() == pytest.approx(1.5, abs=0.03)


def test_the_draw_is_differentiable_in_mean_and_variance() -> None:
    mean = torch.zeros(2, 2, requires_grad=True)
    log_variance = torch.zeros(2, 2, requires_grad=True)
    noise = torch.randn(2, 2)
    Posterior(mean, log_variance).sample(noise).sum().backward()
    assert mean.grad is not None
    assert log_variance.grad is not None
    torch.testing.assert_close(mean.grad, torch.ones(2, 2))
    torch.testing.assert_close(log_variance.grad, noise / 2)


def test_the_encoder_gives_means_then_log_variances(vae: VAE, images: Tensor) -> None:
    outputs = vae.encoder(images)
    posterior = vae.posterior(images)
    assert torch.equal(posterior.mean, outputs[:, :LATENT])
    assert torch.equal(posterior.log_variance, outputs[:, LATENT:])
    assert torch.equal(vae.encode(images), posterior.mean)


def test_the_bound_is_log_likelihood_less_divergence(vae: VAE, images: Tensor) -> None:
    """Against torch.distributions, with the same draw of the latent."""
    with torch.no_grad():
        bound = vae.evidence_bound(images, torch.Generator().manual_seed(1))
        mean, log_variance = vae.encoder(images).chunk(2, dim=1)
        q = torch.distributions.Normal(mean, (log_variance / 2).exp())
        noise = torch.randn(10, LATENT, generator=torch.Generator().manual_seed(1))
        probability = (vae.decode(q.mean + q.stddev * noise) + 1) / 2
        target = (images + 1) / 2
        likelihood = target * probability.log() + (1 - target) * (1 - probability).log()
        prior = torch.distributions.Normal(0.0, 1.0)
        divergence = torch.distributions.kl_divergence(q, prior)
    torch.testing.assert_close(bound, likelihood.flatten(1).sum(1) - divergence.sum(1))


def test_what_is_minimised_is_the_bound(vae: VAE, images: Tensor) -> None:
    """A step reports distortion + rate = −evidence_bound for its own noise, in nats per image."""
    with torch.no_grad():
        bound = vae.evidence_bound(images, generator(7, "posterior", 4)).mean()
    signals = training(vae, beta=1.0, seed=7).step(4, forever(images))
    torch.testing.assert_close(signals["distortion"] + signals["rate"], -bound)
    torch.testing.assert_close(signals["loss"], -bound)


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_beta_weighs_the_rate(vae: VAE, images: Tensor, beta: float) -> None:
    """The gradient that is descended is that of distortion + β·rate; with β = 0 that of the distortion alone."""
    posterior = vae.posterior(images)
    noise = torch.randn(10, LATENT, generator=generator(0, "posterior", 0))
    distortion = bce(vae.decoder(posterior.sample(noise)), images).mean()
    rate = posterior.kl().sum(1).mean()
    loss = distortion + beta * rate if beta else distortion
    expected = torch.autograd.grad(loss, list(vae.parameters()))
    signals = training(vae, beta).step(0, forever(images))
    for parameter, gradient in zip(vae.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    torch.testing.assert_close(signals["loss"], signals["distortion"] + beta * signals["rate"])


def test_a_high_beta_lowers_the_rate_and_a_low_one_the_distortion(images: Tensor) -> None:
    ends = []
    for beta in (0.0, 30.0):
        torch.manual_seed(0)
        vae = VAE(mlp.encoder(SHAPE, 2 * LATENT, 16), mlp.decoder(LATENT, SHAPE, 16), LATENT, bce)
        learning = training(vae, beta)
        for step in range(200):
            signals = learning.step(step, forever(images))
        ends.append((signals["distortion"].item(), signals["rate"].item()))
    (free_distortion, free_rate), (tight_distortion, tight_rate) = ends
    assert tight_rate < 0.1 * free_rate
    assert free_distortion < tight_distortion


def test_samples_are_decoded_draws_of_the_prior(vae: VAE) -> None:
    latents = vae.prior(5000, torch.Generator().manual_seed(0))
    assert latents.mean().abs() < 0.05
    assert (latents.std() - 1).abs() < 0.05
    images = vae.sample(5000, torch.Generator().manual_seed(0))
    assert torch.equal(images, torch.tanh(vae.decoder(latents)))
