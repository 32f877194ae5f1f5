"""The flow family: bytes and what stands for them, with networks whose densities are known."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.modality import DataSpec, Images, Modality, Points
from genlab.core.optimizer import adam
from genlab.core.player import Player
from genlab.core.random import Randomness, generator
from genlab.families.flow import Flow, FlowTraining
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.presets import PRESETS

PAIR, POINT = Images(1, 1, 2), Points(2)


class Scaled(nn.Module):
    """Multiplies by a number."""

    def __init__(self, modality: Modality, by: float) -> None:
        super().__init__()
        self.shape = modality.shape
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        grown = self.by.log() * math.prod(self.shape)
        return self.by * x.flatten(1), grown.expand(len(x))

    def inverse(self, latents: Tensor) -> Tensor:
        return (latents / self.by).view(-1, *self.shape)


def test_the_probabilities_of_bytes_add_up_to_one() -> None:
    """The density of what stands for a byte, integrated over it; pixels are independent here."""
    flow = Flow(Scaled(PAIR, 0.7), PAIR)
    images = torch.linspace(-1, 1, 256).view(-1, 1, 1, 1).expand(256, *PAIR.shape)
    places = (torch.arange(50) + 0.5) / 50
    with torch.no_grad():
        densities = torch.stack([flow.log_density(images, place.item())[0] / 2 for place in places])
    assert densities.exp().mean(0).sum().item() == pytest.approx(
        0.98, abs=0.02
    )  # what is beyond the edges is lost


def test_the_bound_of_a_byte_is_below_its_probability() -> None:
    flow = Flow(Scaled(PAIR, 0.7), PAIR)
    images = torch.full((4000, *PAIR.shape), 0.9)
    with torch.no_grad():
        bound = flow.evidence_bound(images, generator=generator(0, "bound")).mean().item()
        draws = torch.rand(4000, *PAIR.shape, generator=generator(1, "draws"))
        exact = math.log(flow.log_density(images, draws)[0].exp().mean().item())
    assert bound <= exact + 1e-3
    assert bound == pytest.approx(exact, abs=0.01)
    assert flow.levels == 256
    assert Flow(Scaled(POINT, 1.0), POINT).levels is None


class Spiked(nn.Module):
    """x + c·sin(2πx/p)·p/2π, whose density is 1 + c in the middles of intervals of p and 1 − c at their edges."""

    def __init__(self, period: float) -> None:
        super().__init__()
        self.period = period

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        phase = 2 * math.pi * images.flatten(1) / self.period
        bent = images.flatten(1) - 0.9 * self.period / (2 * math.pi) * phase.sin()
        return bent, torch.log1p(-0.9 * phase.cos()).sum(1)


def test_spikes_in_the_middle_of_bytes_make_nothing_more_likely() -> None:
    """Bytes are dequantised for the bound: at their middles alone such a density would be 1.9 times too large."""
    middle = torch.logit(torch.tensor(0.05 + 0.9 * 128.5 / 256)).item()
    width = 4 * 0.9 / 256  # of a byte, where the logit has the slope 4

    class Network(Spiked):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(images - middle + width / 2)

    images = torch.full((4000, *PAIR.shape), 128 / 255 * 2 - 1)
    flows = [Flow(network, PAIR) for network in (Network(width), Scaled(PAIR, 1.0))]
    with torch.no_grad():
        spiked, smooth = (
            flow.evidence_bound(images, generator=generator(0, "bound")).mean().item() for flow in flows
        )
        at_the_middle = flows[0].log_density(images, 0.5)[0].mean().item()
    assert at_the_middle > smooth + 1.2  # 2·log 1.9
    assert spiked < smooth


def test_points_have_the_density_of_the_prior_under_the_change_of_variables() -> None:
    flow, points = Flow(Scaled(POINT, 2.0), POINT), torch.randn(10, *POINT.shape, generator=generator(0, "points"))
    expected = torch.distributions.Normal(0.0, 0.5).log_prob(points).sum(1)
    torch.testing.assert_close(flow.evidence_bound(points), expected)
    torch.testing.assert_close(flow.decode(flow.encode(points)), points)


def test_every_byte_comes_back() -> None:
    flow = Flow(Scaled(PAIR, 0.7), PAIR)
    images = torch.linspace(-1, 1, 256).view(-1, 1, 1, 1).expand(256, *PAIR.shape)
    assert (flow.decode(flow.encode(images)) - images).abs().max() < 1e-4
    assert flow.inversion_error(images).max() < 1e-4


def test_a_low_temperature_draws_nearer_to_the_middle() -> None:
    flows = [Flow(Scaled(POINT, 1.0), POINT, temperature=temperature) for temperature in (1.0, 0.5)]
    samples = [flow.sample(2000, generator=generator(0, "samples")) for flow in flows]
    torch.testing.assert_close(samples[1], samples[0] / 2)
    for flow, made in zip(flows, samples, strict=True):  # what goes between latents goes between such images
        assert torch.equal(flow.decode(flow.prior(2000, generator(0, "samples"))), made)


def test_the_loss_is_in_bits_for_each_number_and_latents_are_measured() -> None:
    flow = Flow(Scaled(PAIR, 1.0), PAIR)
    player = Player("flow", flow, adam(flow, "flow", 1e-3, (0.9, 0.999)))
    training = FlowTraining(flow, player, Randomness(0))
    images = torch.rand(500, *PAIR.shape, generator=generator(0, "images")) * 2 - 1
    loss, signals = training.objective(0, Batch(images, torch.arange(500)), Randomness(0))
    bound = flow.evidence_bound(images, generator=generator(0, "bound")).mean().item()
    assert loss.item() == pytest.approx(-bound / (2 * math.log(2)), abs=0.02)
    latents = flow.encode(images)
    assert signals["latent_rms"].item() == pytest.approx(latents.square().mean().sqrt().item(), rel=0.01)


def test_the_learning_rate_rises_at_first() -> None:
    recipe = FlowRecipe(lr_warm_up=4, lr_schedule="linear", steps=8)
    assert [recipe.rate()(step) for step in range(8)] == [0.25, 0.4375, 0.5625, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert [FlowRecipe().rate()(step) for step in (0, 5)] == [1.0, 1.0]


def test_the_first_step_of_the_widest_glow_leaves_its_density_as_it_was() -> None:
    """Adam moves the 4,608 weights of each output alike, so that a whole learning rate would move it far."""
    modality, recipe = Images(1, 4, 4), replace(PRESETS["glow"], levels=2)
    x = torch.rand(8, *modality.shape, generator=generator(0, "images")) * 2 - 1
    torch.manual_seed(0)
    model = recipe.model(DataSpec(modality)).train()
    optimizer = torch.optim.Adam(model.parameters(), recipe.lr * recipe.rate()(0))
    before = model.log_density(x, 0.5)[0].mean()
    before.neg().backward()
    optimizer.step()
    with torch.no_grad():
        assert model.log_density(x, 0.5)[0].mean().item() == pytest.approx(before.item(), abs=5)
