"""The probes measure what they say, on models whose answers are known, and change nothing."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import genlab
from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput, Signals
from genlab.core.modality import Images, Modality
from genlab.core.optimizer import adam
from genlab.core.player import Player
from genlab.core.random import Randomness
from genlab.training.inference import inference_mode
from genlab.training.probes import Probes, due, probed_step
from genlab.training.run_folder import RunFolder

SIDE = 8
TARGET = Images(1, SIDE, SIDE)
SMALL: Mapping[str, Any] = {"steps": 21, "size": 16, "width": 4, "batch_size": 8, "preview_every": 99}


def pictures(count: int, seed: int) -> Tensor:
    return torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


REAL, HELD_OUT = (Batch(pictures(200, seed), torch.arange(200)) for seed in (0, 1))


def look(model: nn.Module, count: int = 100) -> dict[str, float]:
    with inference_mode(model):
        seen = Probes(REAL, HELD_OUT, TARGET, 0, count).model_signals(model, 20)
        return {name: float(value) for name, value in seen.items()}


class Sampler(nn.Module):
    """Makes the first of `images`."""

    conditions: Mapping[str, Modality] = {}

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = images

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return self.images[:count]


def test_samples_like_the_real_images() -> None:
    seen = look(Sampler(pictures(200, 5)))
    assert seen["diversity"] == pytest.approx(1, abs=0.05)
    assert seen["nearest_neighbour_distance"] == pytest.approx(1, abs=0.05)
    assert seen["sample_sharpness"] == pytest.approx(1, abs=0.05)
    assert seen["saturated_pixels"] == 0


def test_samples_that_are_all_alike() -> None:
    seen = look(Sampler(pictures(1, 5).expand(200, -1, -1, -1)))
    assert seen["diversity"] == pytest.approx(0, abs=1e-6)
    assert seen["nearest_neighbour_distance"] == pytest.approx(0, abs=1e-2)
    assert seen["sample_sharpness"] == pytest.approx(1, abs=0.25)  # one image has the detail of one image


def test_nothing_is_relative_to_real_images_that_are_all_alike() -> None:
    """They have no deviation and no distance, and a NaN would be taken for a failure of the run."""
    same = Batch(torch.full((200, 1, SIDE, SIDE), 0.5), torch.arange(200))
    with inference_mode(model := Sampler(pictures(200, 5))):
        seen = Probes(same, same, TARGET, 0, 100).model_signals(model, 20)
    assert seen.keys() == {"saturated_pixels"}


def test_samples_of_few_modes_are_diverse_but_near_each_other() -> None:
    few = pictures(4, 5).repeat(50, 1, 1, 1)
    seen = look(Sampler(few))
    assert seen["diversity"] > 0.7
    assert seen["nearest_neighbour_distance"] < 0.01


def test_saturated_and_flat_samples() -> None:
    seen = look(Sampler(pictures(200, 5).sign()))
    assert seen["saturated_pixels"] == 1
    assert seen["sample_sharpness"] > 1.5
    level = torch.linspace(-1, 1, 200).view(-1, 1, 1, 1).expand(-1, 1, SIDE, SIDE)
    assert look(Sampler(level))["sample_sharpness"] == 0


class Judging(Sampler):
    """A discriminator that knows the images it was trained on by heart."""

    def discriminate(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        known = (x.flatten(1)[:, None] == REAL.x.flatten(1)[None]).all(2).any(1)
        scores = known.float() * 3 - 1
        return DiscriminatorOutput(scores, scores[:, None])


def test_a_discriminator_that_memorises_prefers_what_it_was_trained_on() -> None:
    seen = look(Judging(pictures(200, 5)))
    assert (seen["score_train"], seen["score_held_out"], seen["score_sample"]) == (2, -1, -1)


class Scaling(nn.Module):
    """Gives `scale` times an image back, through a code of which two dimensions of four are in use."""

    uses_sigma = False

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def encode(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        pixels = x.flatten(1)
        return torch.stack([pixels[:, 0], pixels[:, 1], torch.zeros(len(pixels)), pixels[:, 2] * 1e-4], 1)

    def reconstruct(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return self.scale * x

    def denoise(self, x: Tensor, sigma: Tensor | None = None, condition: Condition = NONE) -> Tensor:
        return self.scale * x

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return x + 0.1


def test_a_perfect_reconstruction_and_none() -> None:
    perfect, none = look(Scaling(1.0)), look(Scaling(0.0))
    for name in ("r2_train", "r2_held_out"):
        assert perfect[name] == 1
        assert none[name] == pytest.approx(0, abs=0.05)  # the mean image is near 0
    assert perfect["reconstruction_sharpness"] == 1
    assert look(Scaling(0.5))["reconstruction_sharpness"] == pytest.approx(0.5)
    assert perfect["inactive_latents"] == 0.5


def test_copying_the_input_removes_no_noise() -> None:
    seen = look(Scaling(1.0))
    assert seen["denoised_error"] == pytest.approx(1)
    assert seen["denoised_change"] == pytest.approx(0, abs=1e-6)


class Two:
    """One player that doubles its weights, with a unit that is alive, one that is dead, and one now and then."""

    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.ReLU())
        with torch.no_grad():
            self.model[0].weight.copy_(torch.tensor([[1.0], [0.0], [-1.0]]))
        self.player = Player("toy", self.model, adam(self.model, "toy", 1e-3, (0.9, 0.999)))
        self.optimizers = {"toy": self.player.optimizer}

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        for value in (1.0, -1.0):
            self.model(torch.full((4, 1), value))
        with self.player.learning():
            self.player.backward(self.model(torch.ones(1, 1)).sum())
            self.player.update(step)
        with torch.no_grad():
            self.model[0].weight.copy_(torch.tensor([[2.0], [0.0], [-2.0]]))
        return {}


def test_how_far_weights_move_and_which_units_are_dead() -> None:
    training = Two()
    with Probes(REAL, HELD_OUT, TARGET, 0).step_signals(training) as seen:
        training.step(0, iter(()))
    assert float(seen["toy_update_ratio"]) == pytest.approx(1)
    assert float(seen["1_dead_units"]) == pytest.approx(1 / 3)
    assert not training.model[1]._forward_hooks


class Brightness:
    """Learns by a loss that is the mean of the images, and nothing else."""

    optimizers: Mapping[str, torch.optim.Optimizer] = {}

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def step(self, step: int, batches: Iterator[Batch]) -> Signals:
        return {}

    def objective(self, step: int, batch: Batch, randomness: Randomness) -> tuple[Tensor, Signals]:
        assert not self.model.training
        return batch.x.mean(), {}


def test_the_losses_of_images_that_are_trained_on_and_of_others() -> None:
    """They are told of what has one loss and does not show by reconstructions how it does."""
    probes = Probes(REAL, Batch(HELD_OUT.x + 5, HELD_OUT.index), TARGET, 0)
    with probed_step(probes, Brightness(nn.Identity()), 20, 20) as seen:
        pass
    assert float(seen["loss_train"]) == pytest.approx(0, abs=0.05)
    assert float(seen["loss_held_out"]) == pytest.approx(5, abs=0.05)
    for other in (Brightness(Scaling(1.0)), Two()):
        with probed_step(probes, other, 20, 20) as seen:
            pass
        assert "loss_held_out" not in seen


def test_looks_are_at_least_twenty_steps_apart() -> None:
    training, probes = Two(), Probes(REAL, HELD_OUT, TARGET, 0)
    for every, expected in ((1, [1, 20, 40, 60]), (15, [1, 30, 45, 60]), (20, [1, 20, 40, 60]), (30, [1, 30, 60])):
        seen_at = []
        for step in range(1, 61):
            with probed_step(probes, training, step, every) as seen:
                training.step(0, iter(()))
            if seen:
                seen_at.append(step)
        assert seen_at == expected, every
    with probed_step(None, training, 20, 20) as seen:
        training.step(0, iter(()))
    assert not seen


def test_a_long_run_is_looked_at_less_often() -> None:
    """Twice as far apart after each doubling: at least fifty looks in each."""
    looks = [step for step in range(1, 64_001) if due(step, 20)]
    apart = {step: later - step for step, later in pairwise(looks)}
    assert (apart[1960], apart[2000], apart[4000], apart[32_000]) == (20, 40, 80, 640)
    assert 50 <= sum(32_000 <= step < 64_000 for step in looks) <= 100


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("dcgan", {}),
        ("conv-vae", {}),
        ("denoising-autoencoder", {}),
        ("ddpm", {"attention": 0}),
        ("glow", {"flow_steps": 1}),
        ("cyclegan", {"data": "paired-digits", "blocks": 1, "discriminator": "patch-16"}),
    ],
)
def test_a_run_that_is_looked_at_ends_in_the_same_bits(
    preset: str, options: Mapping[str, object], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights() -> list[Tensor]:
        run = genlab.train(preset, quiet=True, **SMALL, **options, root=tmp_path)
        looked.append(any("update_ratio" in name for line in RunFolder(run.folder).history() for name in line))
        return [p.detach() for p in genlab.load(run, checkpoint="last").state_dict().values()]

    looked: list[bool] = []
    with_looks = weights()
    monkeypatch.setattr("genlab.runs.callbacks._probes", lambda *_: None)
    without = weights()
    assert looked == [True, False]
    assert all(torch.equal(one, two) for one, two in zip(with_looks, without, strict=True))
