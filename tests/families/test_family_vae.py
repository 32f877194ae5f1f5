import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, DataSpec, Images, Modality, Points
from genlab.core.random import Draws, Randomness, generator
from genlab.families.posterior import Posterior, usage
from genlab.families.vae import VAE, VAETraining, binarised
from genlab.objectives.likelihood import importance_bound
from genlab.objectives.reconstruction import LearnedVarianceGaussian, bce
from genlab.recipes.vae import VAERecipe

IMAGES, LATENT = Images(1, 4, 4), 3
SMALL = VAERecipe(architecture="mlp", width=16, latent=LATENT, batch_size=10, steps=1000)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(10, *IMAGES.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1


@pytest.fixture
def vae() -> VAE:
    return training().model


def spec_of(modality: Modality, classes: int) -> DataSpec:
    """Return the spec of data of a modality, with labels where there are classes."""
    return DataSpec(modality, {"label": Classes(tuple(map(str, range(classes))))} if classes else {})


def forever(images: Tensor, labels: Tensor | None = None) -> Iterator[Batch]:
    while True:
        yield Batch(images, torch.arange(len(images)), {} if labels is None else {"label": labels})


def training(seed: int = 0, classes: int = 0, **options: Any) -> VAETraining:
    torch.manual_seed(0)
    recipe = replace(SMALL, **options)
    made = recipe.training(recipe.model(spec_of(IMAGES, classes)), Randomness(seed))
    assert isinstance(made, VAETraining)
    return made


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


def test_the_log_ratio_is_that_of_the_densities() -> None:
    posterior = Posterior(torch.randn(4, 2), torch.randn(4, 2))
    noise = torch.randn(5, 4, 2)
    latents = posterior.sample(noise)
    q = torch.distributions.Normal(posterior.mean, (posterior.log_variance / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = (prior.log_prob(latents) - q.log_prob(latents)).sum(-1)
    torch.testing.assert_close(posterior.log_ratio(noise), expected)


def test_the_use_of_the_latent_is_seen() -> None:
    """Three dimensions: one says much, one varies too little to count, one is collapsed onto the prior."""
    mean = torch.tensor([[-1.0, 2.09, 0.0], [1.0, 1.91, 0.0]])
    posterior = Posterior(mean, torch.tensor([[0.25, 1.0, 1.0]]).log().expand(2, 3))
    signals = usage(posterior)
    assert signals["active_units"] == 1
    torch.testing.assert_close(signals["posterior_mean"], torch.tensor(1.0))
    torch.testing.assert_close(signals["posterior_std"], torch.tensor(2.5 / 3))
    torch.testing.assert_close(
        signals["kl"], torch.tensor([0.5 * (1 + 0.25 - math.log(0.25) - 1), 0.5 * (2.09**2 + 1.91**2) / 2, 0.0])
    )


def test_the_encoder_gives_means_then_log_variances(vae: VAE, images: Tensor) -> None:
    outputs = vae.encoder(images)
    posterior = vae.posterior(images)
    assert torch.equal(posterior.mean, outputs[:, :LATENT])
    assert torch.equal(posterior.log_variance, outputs[:, LATENT:])
    assert torch.equal(vae.encode(images), posterior.mean)


def test_the_bound_is_log_likelihood_less_divergence(vae: VAE, images: Tensor) -> None:
    """Against torch.distributions, with the same draw of the latent."""
    with torch.no_grad():
        bound = vae.evidence_bound(images, generator=torch.Generator().manual_seed(1))
        mean, log_variance = vae.encoder(images).chunk(2, dim=1)
        q = torch.distributions.Normal(mean, (log_variance / 2).exp())
        noise = torch.randn(10, LATENT, generator=torch.Generator().manual_seed(1))
        probability = (vae.decode(q.mean + q.stddev * noise) + 1) / 2
        target = (images + 1) / 2
        likelihood = target * probability.log() + (1 - target) * (1 - probability).log()
        prior = torch.distributions.Normal(0.0, 1.0)
        divergence = torch.distributions.kl_divergence(q, prior)
    torch.testing.assert_close(bound, likelihood.flatten(1).sum(1) - divergence.sum(1))


@pytest.mark.parametrize("samples", [1, 5])
def test_what_is_minimised_is_the_bound(samples: int, images: Tensor) -> None:
    """A step reports −evidence_bound for its own noise, in nats per image; with one draw distortion + rate."""
    learning = training(seed=7, importance_samples=samples)
    with torch.no_grad():
        bound = learning.model.evidence_bound(images, generator=generator(7, "posterior", 4)).mean()
    signals = learning.step(4, forever(images))
    torch.testing.assert_close(signals["loss"], -bound)
    parts = signals["distortion"] + signals["rate"]
    if samples == 1:
        torch.testing.assert_close(parts, -bound)
    else:
        assert parts > -bound
    torch.testing.assert_close(signals["kl"].sum(), signals["rate"])
    assert signals["kl"].shape == (LATENT,)


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_beta_weighs_the_rate(images: Tensor, beta: float) -> None:
    """The gradient that is descended is that of distortion + β·rate; with β = 0 that of the distortion alone."""
    learning = training(beta=beta)
    vae = learning.model
    posterior = vae.posterior(images)
    noise = torch.randn(10, LATENT, generator=generator(0, "posterior", 0))
    distortion = bce(vae.decoder(posterior.sample(noise)), images).mean()
    rate = posterior.kl().sum(1).mean()
    loss = distortion + beta * rate if beta else distortion
    expected = torch.autograd.grad(loss, list(vae.parameters()))
    signals = learning.step(0, forever(images))
    for parameter, gradient in zip(vae.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    torch.testing.assert_close(signals["loss"], signals["distortion"] + beta * signals["rate"])
    assert signals["beta"] == beta


def test_a_high_beta_lowers_the_rate_and_a_low_one_the_distortion(images: Tensor) -> None:
    ends = []
    for beta in (0.0, 30.0):
        learning = training(beta=beta)
        for step in range(200):
            signals = learning.step(step, forever(images))
        ends.append((signals["distortion"].item(), signals["rate"].item()))
    (free_distortion, free_rate), (tight_distortion, tight_rate) = ends
    assert tight_rate < 0.1 * free_rate
    assert free_distortion < tight_distortion


@pytest.mark.parametrize(
    ("options", "course"),
    [
        ({"kl_warm_up": 100}, {0: 0.0, 50: 2.0, 100: 4.0, 999: 4.0}),
        ({"kl_cycles": 4}, {0: 0.0, 25: 0.8, 125: 4.0, 249: 4.0, 250: 0.0, 275: 0.8, 999: 4.0}),
        ({"kl_cycles": 4, "kl_cycle_ratio": 1.0}, {0: 0.0, 125: 2.0, 250: 0.0}),
        ({}, {0: 4.0, 500: 4.0}),
    ],
)
def test_beta_rises_as_published(options: dict[str, Any], course: dict[int, float], images: Tensor) -> None:
    """Bowman et al. (2016), linear warm-up; Fu et al. (2019), equations 6 and 7."""
    learning = training(beta=4.0, **options)
    for step, beta in course.items():
        signals = learning.step(step, forever(images))
        assert signals["beta"].item() == pytest.approx(beta)
        torch.testing.assert_close(signals["loss"], signals["distortion"] + beta * signals["rate"])


def test_nothing_is_won_below_the_free_bits(images: Tensor) -> None:
    """With a floor that no dimension reaches, the gradient is the distortion's and the loss counts the floor."""
    free, unweighted = training(free_bits=50.0), training(beta=0.0)
    signals = free.step(0, forever(images))
    unweighted.step(0, forever(images))
    torch.testing.assert_close(signals["loss"], signals["distortion"] + 50 * LATENT)
    assert signals["rate"] < 50
    for mine, other in zip(free.model.parameters(), unweighted.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_free_bits_keep_the_dimensions_in_use(images: Tensor) -> None:
    """Under a weight that makes every dimension fall idle, each keeps some of what it may carry for nothing."""
    rates = []
    for floor in (0.0, 0.1):
        learning = training(free_bits=floor, beta=30.0, lr=1e-2)
        for step in range(200):
            signals = learning.step(step, forever(images))
        rates.append(signals["kl"])
    assert rates[0].max() < 1e-3
    assert rates[1].min() > 0.01
    assert rates[1].max() < 0.15


def test_the_gradient_is_cut_to_the_norm_that_is_asked_for(images: Tensor) -> None:
    learning = training(clip_norm=0.5)
    norm = learning.step(0, forever(images))["gradient_norm"]
    gradients = [p.grad for p in learning.model.parameters() if p.grad is not None]
    assert norm > 1
    assert torch.nn.utils.get_total_norm(gradients).item() == pytest.approx(0.5, rel=1e-3)


def test_samples_are_decoded_draws_of_the_prior(vae: VAE) -> None:
    latents = vae.prior(5000, torch.Generator().manual_seed(0))
    assert latents.mean().abs() < 0.05
    assert (latents.std() - 1).abs() < 0.05
    images = vae.sample(5000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(images, torch.tanh(vae.decoder(latents)))


def test_a_resampled_image_is_a_draw_from_its_posterior(vae: VAE, images: Tensor) -> None:
    again = vae.resample(images, generator=torch.Generator().manual_seed(3))
    noise = torch.randn(10, LATENT, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again, vae.decode(vae.posterior(images).sample(noise)))
    assert not torch.equal(again, vae.resample(images, generator=torch.Generator().manual_seed(4)))


def test_a_binarised_pixel_is_white_as_often_as_it_is_bright() -> None:
    levels = torch.linspace(-1, 1, 5).view(1, 1, 1, 5)
    drawn = binarised(levels.expand(20_000, 1, 2, 5), Draws(torch.Generator().manual_seed(0), 20_000))
    assert drawn.unique().tolist() == [-1, 1]
    torch.testing.assert_close(drawn.mean((0, 1, 2)), levels.flatten(), atol=0.02, rtol=0)
    assert (drawn[..., 0] == -1).all()
    assert (drawn[..., -1] == 1).all()
    pair = torch.stack([drawn[:, 0, 0, 2], drawn[:, 0, 1, 2]])
    assert pair.corrcoef()[0, 1].abs() < 0.03, "each pixel has its own draw"


def test_binarised_images_are_given_and_wanted_back(images: Tensor) -> None:
    learning = training(binarise=True)
    for step in (3, 4):
        black_and_white = binarised(images, Randomness(0).draws(10, "binarise", step))
        with torch.no_grad():
            bound = learning.model.evidence_bound(
                black_and_white, generator=generator(0, "posterior", step)
            ).mean()
        torch.testing.assert_close(learning.step(step, forever(images))["loss"], -bound)


class Affine(nn.Module):
    """x = W z + b_y + noise of variance 1, for points of the plane; the label chooses b."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        bias = self.bias[condition["label"]] if "label" in condition else self.bias[0]
        return latents @ self.weight.T + bias


class Guess(nn.Module):
    """The exact posterior of `Affine`, but for its standard deviation, which is `width` times too wide."""

    def __init__(self, decoder: Affine, width: float) -> None:
        super().__init__()
        weight, self.bias = decoder.weight.detach(), decoder.bias.detach()
        self.precision = 1 + weight.square().sum(0)  # diagonal, because the columns of W are orthogonal
        self.gain = (weight / self.precision).T
        self.width = width

    def forward(self, points: Tensor, condition: Condition = NONE) -> Tensor:
        bias = self.bias[condition["label"]] if "label" in condition else self.bias[0]
        mean = (points - bias) @ self.gain.T
        variance = self.width**2 / self.precision
        return torch.cat([mean, variance.log().expand_as(mean)], 1)


def gaussian_error(activations: Tensor, points: Tensor) -> Tensor:
    return (0.5 * (activations - points).square() + 0.5 * math.log(2 * math.pi)).sum(1)


def linear_gaussian(width: float, classes: int = 0) -> tuple[VAE, torch.distributions.Distribution]:
    """Return a VAE whose likelihood is known, and the distribution of its points."""
    orthogonal = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    weight = orthogonal * torch.tensor([1.5, 0.7])
    bias = torch.tensor([[0.3, -0.2], [2.0, 1.0], [-1.0, 1.5]])
    decoder = Affine(weight, bias)
    vae = VAE(spec_of(Points(2), classes), Guess(decoder, width), decoder, 2, gaussian_error)
    covariance = weight @ weight.T + torch.eye(2)
    if not classes:
        return vae, torch.distributions.MultivariateNormal(bias[0], covariance)
    each = torch.distributions.MultivariateNormal(bias[:classes], covariance)
    return vae, torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=torch.zeros(classes)), each
    )


POINTS = torch.tensor([[0.0, 0.0], [1.0, -1.0], [2.5, 0.5], [-0.5, 1.0]])


@torch.no_grad()
def test_the_importance_bound_rises_with_its_draws_to_the_likelihood() -> None:
    vae, truth = linear_gaussian(width=1.6)
    many = POINTS.repeat_interleave(4000, 0)
    noise = torch.Generator().manual_seed(0)
    evidence = vae.evidence_bound(many, generator=noise).view(4, 4000).mean(1)
    one = vae.importance_bound(many, 1, generator=noise).view(4, 4000).mean(1)
    four = vae.importance_bound(many, 4, generator=noise).view(4, 4000).mean(1)
    likelihood = truth.log_prob(POINTS)
    torch.testing.assert_close(one, evidence, atol=0.1, rtol=0)
    assert (evidence + 0.2 < four).all()
    assert (four < likelihood).all()
    torch.testing.assert_close(
        vae.importance_bound(POINTS, 50_000, generator=noise), likelihood, atol=0.02, rtol=0
    )


@torch.no_grad()
def test_with_the_exact_posterior_one_draw_is_the_likelihood() -> None:
    vae, truth = linear_gaussian(width=1.0)
    likelihood = truth.log_prob(POINTS)
    torch.testing.assert_close(vae.importance_bound(POINTS, 1), likelihood)
    torch.testing.assert_close(vae.importance_bound(POINTS, 3), likelihood)


@torch.no_grad()
def test_thousands_of_draws_are_decoded_a_few_at_a_time() -> None:
    vae, truth = linear_gaussian(width=1.3)
    sizes = []
    vae.decoder.register_forward_hook(lambda module, given, result: sizes.append(len(given[0])))
    bound = vae.importance_bound(POINTS, 10_001, generator=torch.Generator().manual_seed(0), chunk=1000)
    assert sum(sizes) == 4 * 10_001
    assert max(sizes) <= 1000
    torch.testing.assert_close(bound, truth.log_prob(POINTS), atol=0.03, rtol=0)


def test_with_one_draw_the_importance_bound_pulls_as_the_evidence_bound_does() -> None:
    """Their gradients agree in the mean over the noise."""
    vae, _ = linear_gaussian(width=1.3)
    noise = torch.randn(1, 400_000, 2, generator=torch.Generator().manual_seed(0))
    output = vae.encoder(POINTS[:1]).detach().requires_grad_()
    mean, log_variance = output.chunk(2, dim=1)
    posterior = Posterior(mean.expand(400_000, 2), log_variance.expand(400_000, 2))
    distortion = vae.distortion(posterior.sample(noise), POINTS[:1].expand(400_000, 2), NONE)
    weighted = importance_bound(posterior.log_ratio(noise) - distortion).mean()
    evidence = -distortion.mean() - posterior.kl().sum(1).mean()
    wanted = [output, vae.decoder.weight, vae.decoder.bias]
    ours = torch.autograd.grad(weighted, wanted, retain_graph=True)
    theirs = torch.autograd.grad(evidence, wanted)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=0.01, rtol=0.01)


@torch.no_grad()
def test_without_labels_the_bound_is_that_of_the_mixture() -> None:
    vae, mixture = linear_gaussian(width=1.0, classes=3)
    likelihood = mixture.log_prob(POINTS)
    torch.testing.assert_close(vae.evidence_bound(POINTS), likelihood)
    torch.testing.assert_close(vae.importance_bound(POINTS, 7), likelihood)
    wide, _ = linear_gaussian(width=1.4, classes=3)
    torch.testing.assert_close(wide.importance_bound(POINTS, 20_000), likelihood, atol=0.03, rtol=0)
    assert wide.evidence_bound(POINTS.repeat_interleave(2000, 0)).view(4, 2000).mean(1).lt(likelihood).all()


@torch.no_grad()
def test_with_labels_the_bound_is_that_of_the_class() -> None:
    vae, mixture = linear_gaussian(width=1.0, classes=3)
    labels = torch.tensor([2, 0, 1, 0])
    each = mixture.component_distribution.log_prob(POINTS.view(4, 1, 2))
    likelihood = each[torch.arange(4), labels]
    torch.testing.assert_close(vae.importance_bound(POINTS, 5, {"label": labels}), likelihood)
    repeated = vae.evidence_bound(POINTS.repeat(5000, 1), {"label": labels.repeat(5000)}).view(5000, 4)
    torch.testing.assert_close(repeated.mean(0), likelihood, atol=0.1, rtol=0)


@torch.no_grad()
def test_an_unknown_class_is_the_one_that_explains_the_point_best() -> None:
    vae, mixture = linear_gaussian(width=1.2, classes=3)
    points = mixture.sample((500,))
    best = mixture.component_distribution.log_prob(points.view(500, 1, 2)).argmax(1)
    told, misled = {"label": best}, {"label": (best + 1) % 3}
    assert torch.equal(vae.classify(points), best)
    assert torch.equal(vae.encode(points), vae.encode(points, told))
    assert torch.equal(vae.reconstruct(points), vae.reconstruct(points, told))
    once, again = (vae.resample(points, given, torch.Generator().manual_seed(0)) for given in (NONE, told))
    assert torch.equal(once, again)
    assert not torch.equal(vae.encode(points), vae.encode(points, misled))


def test_a_conditional_model_uses_the_class() -> None:
    """Dark images of class 0, bright ones of class 1: what is asked for comes, what is not told is seen."""
    noise = torch.Generator().manual_seed(1)
    labels = torch.arange(40) % 2
    images = 0.2 * torch.randn(40, *IMAGES.shape, generator=noise) + (labels.view(-1, 1, 1, 1) - 0.5)
    learning = training(classes=2, labels="concat", lr=1e-2)
    vae = learning.model
    for step in range(150):
        learning.step(step, forever(images[:20], labels[:20]))
    with torch.no_grad():
        for label in (0, 1):
            asked = vae.sample(30, {"label": torch.full((30,), label)}, torch.Generator().manual_seed(0))
            assert ((asked.flatten(1).mean(1) > 0).long() == label).all()
        around = vae.sample(30, generator=torch.Generator().manual_seed(0))
        assert torch.equal((around.flatten(1).mean(1) > 0).long(), torch.arange(30) % 2)
        assert torch.equal(vae.classify(images[20:]), labels[20:])
        told, misled = (
            vae.evidence_bound(images[20:], {"label": given}, torch.Generator().manual_seed(0))
            for given in (labels[20:], 1 - labels[20:])
        )
    assert (told > misled).all()


def test_an_unconditional_model_does_not_use_the_classes_of_its_data(images: Tensor) -> None:
    assert training(classes=2).model.classes == 0
    one, other = training(classes=2), training(classes=2)
    first = one.step(0, forever(images, torch.zeros(10, dtype=torch.int64)))
    assert torch.equal(first["loss"], other.step(0, forever(images, torch.ones(10, dtype=torch.int64)))["loss"])
    told, misled = training(classes=2, labels="concat"), training(classes=2, labels="concat")
    first = told.step(0, forever(images, torch.zeros(10, dtype=torch.int64)))
    assert not torch.equal(
        first["loss"], misled.step(0, forever(images, torch.ones(10, dtype=torch.int64)))["loss"]
    )


def test_a_learned_variance_is_learned(images: Tensor) -> None:
    learning = training(reconstruction="gaussian", lr=1e-2)
    owned = {name for group in learning.optimizers["vae"].param_groups for name in group["param_names"]}
    assert "vae.reconstruction.free_log_deviation" in owned
    losses = [learning.step(step, forever(images))["loss"].item() for step in range(150)]
    assert losses[-1] < losses[0] - 5
    error = (learning.model.reconstruct(images) - images).square().mean().sqrt()
    reconstruction = learning.model.reconstruction
    assert isinstance(reconstruction, LearnedVarianceGaussian)
    assert reconstruction.log_deviation.exp().item() == pytest.approx(error.item(), rel=0.5)


@pytest.mark.parametrize(
    ("options", "classes", "named"),
    [
        ({"kl_cycles": 4, "kl_warm_up": 10}, None, "--kl-cycles and --kl-warm-up"),
        ({"importance_samples": 5, "beta": 4.0}, None, "--beta"),
        ({"importance_samples": 5, "free_bits": 0.1}, None, "--free-bits"),
        ({"importance_samples": 5, "kl_warm_up": 10}, None, "--kl-warm-up"),
        ({"importance_samples": 5, "kl_cycles": 2}, None, "--kl-cycles"),
        ({"binarise": True, "reconstruction": "mse"}, None, "--binarise"),
        ({"labels": "concat"}, 0, "--labels concat needs labelled data"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], classes: int | None, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        replace(SMALL, **options).refuse(None if classes is None else spec_of(IMAGES, classes))


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({}, 0),
        ({"kl_cycles": 4, "beta": 4.0, "free_bits": 0.1}, None),
        ({"importance_samples": 5, "binarise": True}, 0),
        ({"labels": "concat"}, None),
        ({"labels": "concat", "importance_samples": 5, "reconstruction": "gaussian"}, 10),
    ],
)
def test_what_goes_together_is_let_through(options: dict[str, Any], classes: int | None) -> None:
    replace(SMALL, **options).refuse(None if classes is None else spec_of(IMAGES, classes))
