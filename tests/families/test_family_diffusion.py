"""The diffusion family: what its bound, its guidance and its loss are, with networks whose answers are known."""

import math

import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.contract import preview_sampling
from genlab.core.modality import Classes, DataSpec, Images, Points
from genlab.core.optimizer import adam
from genlab.core.player import Player
from genlab.core.random import Randomness, generator
from genlab.families.diffusion import Diffusion, DiffusionTraining, Sampling
from genlab.families.guidance import Guidance
from genlab.families.samplers import DDIM, Ancestral, DPMSolver2M, Heun
from genlab.objectives.diffusion import SCHEDULES, image_and_noise, target

POINT, IMAGE = DataSpec(Points(2)), DataSpec(Images(1, 4, 4))
LABELLED = DataSpec(Images(1, 4, 4), {"label": Classes(("0", "1", "2"))})
SPREAD = 0.5
every_process = pytest.mark.parametrize(
    ("schedule", "prediction"), [("linear", "noise"), ("cosine", "velocity"), ("straight", "flow")]
)


class Known(nn.Module):
    """Predicts what is best for images of independent pixels from N(0, SPREAD²): E[x | x_k]."""

    def __init__(self, name: str, prediction: str, steps: int = 1000) -> None:
        super().__init__()
        self.schedule, self.prediction = SCHEDULES[name](steps), prediction
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, noisy: Tensor, times: Tensor, condition: Condition = NONE) -> Tensor:
        level = self.schedule.at(times.double(), noisy)
        image = level.alpha * SPREAD**2 / ((level.alpha * SPREAD).square() + level.sigma.square()) * noisy
        return target(self.prediction, level, image, (noisy - level.alpha * image) / level.sigma)


class Constant(nn.Module):
    """Predicts its value, and the label beside it."""

    def __init__(self, value: float, by_label: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.by_label = by_label
        self.seen: list[Tensor | None] = []

    def forward(self, noisy: Tensor, times: Tensor, condition: Condition = NONE) -> Tensor:
        self.seen.append(condition.get("label"))
        told = self.by_label * condition["label"].view(-1, 1, 1, 1) if condition else 0
        return self.value + told + torch.zeros_like(noisy)


@every_process
def test_the_bound_is_the_sum_of_its_terms_and_below_the_likelihood(schedule: str, prediction: str) -> None:
    """Of a perfect network ‖x − x̂‖² is known at every level: SPREAD²σ²/(α²SPREAD² + σ²) a dimension."""
    table = SCHEDULES[schedule](1000)
    model = Diffusion(Known(schedule, prediction), POINT, table, prediction)
    points = SPREAD * torch.randn(20_000, *POINT.target.shape, generator=generator(0, "points"))
    with torch.no_grad():
        bound = model.evidence_bound(points, generator=generator(0, "bound")).mean().item()
    alpha, sigma = (column.square()[1:] for column in (table.alphas, table.sigmas))
    errors = SPREAD**2 * sigma / (alpha * SPREAD**2 + sigma)
    steps = (0.5 * (alpha / sigma)[:-1] - 0.5 * (alpha / sigma)[1:]) * errors[1:]
    last = 0.5 * (errors[0] / sigma[0] + math.log(2 * math.pi) + sigma[0].log())
    prior = 0.5 * (alpha[-1] * SPREAD**2 + sigma[-1] - 1 - sigma[-1].log())
    assert bound == pytest.approx(-2 * (steps.sum() + last + prior).item(), abs=0.1)
    exact = torch.distributions.Normal(0.0, SPREAD).log_prob(points).flatten(1).sum(1).mean().item()
    assert bound < exact
    assert model.levels is None


@pytest.mark.parametrize(("schedule", "width"), [("linear", 0.01), ("straight", 0.008)])
def test_an_image_that_is_known_costs_only_that_the_last_density_is_wider_than_a_byte(
    schedule: str, width: float
) -> None:
    images = torch.full((8, *IMAGE.target.shape), 0.2)  # byte 153
    model = Diffusion(Constant(0.2), IMAGE, SCHEDULES[schedule](1000), "image")
    with torch.no_grad():
        bits = -model.evidence_bound(images, generator=generator(0, "bound")) / (16 * math.log(2))
    assert model.levels == 256
    around = torch.distributions.Normal(0.0, width).cdf(torch.tensor([1 / 255, -1 / 255]))
    torch.testing.assert_close(bits, -(around[0] - around[1]).log2().expand(8), rtol=0, atol=1e-3)


@every_process
def test_who_does_not_tell_bytes_by_rounding_pays_little_for_it(schedule: str, prediction: str) -> None:
    """Levels far below a byte's width, of which the straight line has many, cost such a network 2 bits more."""
    table = SCHEDULES[schedule](1000)
    model = Diffusion(Known(schedule, prediction), IMAGE, table, prediction)
    images = SPREAD * torch.randn(2000, *IMAGE.target.shape, generator=generator(0, "images"))
    images = (images.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    edges = torch.linspace(-1, 1, 256, dtype=torch.float64)[:-1] + 1 / 255
    below = torch.distributions.Normal(0, SPREAD).cdf(
        torch.cat([edges.new_tensor([-9]), edges, edges.new_tensor([9])])
    )
    entropy = torch.distributions.Categorical(below.diff()).entropy().item() / math.log(2)
    with torch.no_grad():
        bits = -model.evidence_bound(images, generator=generator(0, "bound")).mean().item() / (16 * math.log(2))
    assert entropy < bits < entropy + 1


def player(model: Diffusion) -> Player:
    return Player("diffusion", model, adam(model, "diffusion", 1e-3, (0.9, 0.999)))


def test_a_picture_that_is_not_expected_costs_more_than_it_has_bytes() -> None:
    images = torch.full((8, *IMAGE.target.shape), 0.2)
    model = Diffusion(Constant(-0.2), IMAGE, SCHEDULES["linear"](1000), "image")
    with torch.no_grad():
        bits = -model.evidence_bound(images, generator=generator(0, "bound")) / (16 * math.log(2))
    assert (bits > 8).all()


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_guidance_drives_away_from_what_is_predicted_without_a_label(scale: float) -> None:
    """y_∅ + w (y − y_∅), with y_∅ = 0.1 and y = 0.1 + 0.03·label."""
    schedule = SCHEDULES["cosine"](10)
    network = Constant(0.1, 0.03)
    model = Diffusion(network, LABELLED, schedule, "velocity")
    noisy, labels = (
        0.1 * torch.randn(3, *IMAGE.target.shape, generator=generator(0, "noisy")),
        torch.tensor([0, 1, 2]),
    )
    found = model.denoiser({"label": labels}, Guidance(scale))(noisy, 0.4)
    predicted = 0.1 + scale * 0.03 * labels.view(-1, 1, 1, 1) + torch.zeros_like(noisy)
    level = schedule.at(torch.full((3,), 0.4).double(), noisy)
    torch.testing.assert_close(found, image_and_noise("velocity", level, noisy, predicted))
    assert len(network.seen) == (1 if scale == 1 else 2)  # nothing is computed for nothing


def test_guidance_acts_within_its_interval_only() -> None:
    """At t = 0.25 and 0.5 of low < t ≤ high, with low = 0.1 and high = 0.5."""
    network = Constant(0.1, 0.03)
    how = Sampling(DDIM(), 4, Guidance(2.0, (0.1, 0.5)))
    model = Diffusion(network, LABELLED, SCHEDULES["cosine"](100), "velocity", sampling=how)
    model.sample(3)
    assert [labels is not None for labels in network.seen] == [True, True, True, False, True, False]


def test_no_pixel_is_outside_of_the_picture_and_the_noise_is_what_is_left() -> None:
    schedule = SCHEDULES["linear"](10)
    model = Diffusion(Constant(5.0), IMAGE, schedule, "image")
    noisy, t = torch.randn(2, *IMAGE.target.shape), torch.full((2,), 0.7).double()
    image, noise = model.separate(noisy, t)
    assert (image == 1).all()
    level = schedule.at(t, noisy)
    torch.testing.assert_close(level.alpha * image + level.sigma * noise, noisy)


def test_samples_of_a_perfect_network_are_from_the_density() -> None:
    for sampler, steps in ((Ancestral(), None), (DDIM(), 100), (Heun(), 50), (DPMSolver2M(), 30)):
        model = Diffusion(
            Known("cosine", "velocity"),
            POINT,
            SCHEDULES["cosine"](1000),
            "velocity",
            sampling=Sampling(sampler, steps),
        )
        with torch.no_grad():
            points = model.sample(4000, generator=generator(0, "samples"))
        assert points.std().item() == pytest.approx(SPREAD, rel=0.05)
        assert points.mean().abs() < 0.03


def test_the_loss_is_that_of_what_is_predicted_and_falls_apart_into_halves() -> None:
    """A network that says 0 has the loss E[ε²] = 1, in the quieter half as in the noisier one."""
    model = Diffusion(Constant(0.0), IMAGE, SCHEDULES["linear"](1000), "noise")
    training = DiffusionTraining(model, player(model), Randomness(0))
    batch = Batch(torch.zeros(4000, *IMAGE.target.shape), torch.arange(4000))
    loss, signals = training.objective(0, batch, Randomness(0))
    for value in (loss, signals["loss"], signals["loss_low_noise"], signals["loss_high_noise"]):
        assert value.item() == pytest.approx(1, abs=0.05)


@every_process
def test_nothing_is_explained_by_what_is_known_of_each_pixel_alone(schedule: str, prediction: str) -> None:
    """More cannot be known of images whose pixels are independent; to say 0 is less."""
    table = SCHEDULES[schedule](1000)
    images = SPREAD * torch.randn(4000, *IMAGE.target.shape, generator=generator(0, "images"))
    explained = {}
    for network in (Known(schedule, prediction), Constant(0.0)):
        model = Diffusion(network, IMAGE, table, prediction)
        training = DiffusionTraining(model, player(model), Randomness(0))
        _, signals = training.objective(0, Batch(images, torch.arange(len(images))), Randomness(0))
        explained[type(network)] = signals["r2"].item()
    assert explained[Known] == pytest.approx(0, abs=0.01)
    assert explained[Constant] < -0.1


def test_halves_of_the_levels_are_right_on_average_where_a_batch_has_none_of_one() -> None:
    model = Diffusion(Constant(0.0), IMAGE, SCHEDULES["linear"](5), "noise")  # of 5 levels 2 are the quieter half
    training = DiffusionTraining(model, player(model), Randomness(0))
    seen = [
        training.objective(step, Batch(torch.zeros(1, *IMAGE.target.shape), torch.arange(1)), Randomness(0))[1]
        for step in range(2000)
    ]
    for name in ("loss_low_noise", "loss_high_noise"):
        assert torch.stack([signals[name] for signals in seen]).mean().item() == pytest.approx(1, abs=0.1)


def test_some_labels_are_kept_from_the_network() -> None:
    network = Constant(0.0)
    model = Diffusion(network, LABELLED, SCHEDULES["cosine"](10), "velocity")
    training = DiffusionTraining(model, player(model), Randomness(0), label_dropout=0.25)
    rows = torch.arange(2000)
    training.objective(0, Batch(torch.zeros(2000, *IMAGE.target.shape), rows, {"label": rows % 3}), Randomness(0))
    (seen,) = network.seen
    assert seen is not None
    untold = seen == 3  # the number after the last class stands for none
    assert untold.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(seen[~untold], (rows % 3)[~untold])


def test_a_preview_takes_few_steps_and_what_was_set_comes_back() -> None:
    network = Constant(0.0)
    model = Diffusion(network, IMAGE, SCHEDULES["cosine"](100), "velocity", sampling=Sampling(Heun(), 40))
    with preview_sampling(model) as how:
        model.sample(2)
    assert len(network.seen) == how["sampling_steps"] == 16
    assert model.sampling == Sampling(Heun(), 40)
    few = Diffusion(network, IMAGE, SCHEDULES["cosine"](100), "velocity", sampling=Sampling(DDIM(), 3))
    network.seen.clear()
    with preview_sampling(few) as how:
        few.sample(2)
    assert len(network.seen) == how["sampling_steps"] == 3


def test_the_progress_callback_is_called_after_each_step() -> None:
    model = Diffusion(Constant(0.0), IMAGE, SCHEDULES["cosine"](100), "velocity", sampling=Sampling(DDIM(), 4))
    calls: list[tuple[int, int]] = []
    model.progress_callback = lambda taken, steps: calls.append((taken, steps))
    model.sample(1)
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
