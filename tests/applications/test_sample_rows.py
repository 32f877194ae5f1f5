"""A sample depends on the seed, its position and its condition, and on nothing else."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reading
from genlab.applications.sample import sample, stream
from genlab.core.batch import at_once
from genlab.core.condition import NONE, Condition, condition_rows
from genlab.core.contract import SamplesInSteps
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Modality
from genlab.core.random import RowNoise, normal
from genlab.families.samplers import SAMPLERS
from genlab.recipes.presets import PRESETS

CLOSE = 1e-5  # networks round differently in batches of another size


@cache
def model(preset: str) -> nn.Module:
    """Return a narrow model of a preset with random weights."""
    recipe = replace(PRESETS[preset], width=16 if PRESETS[preset].architecture == "mlp" else 4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for side, channels in product((8, 16, 32, 64), (1, 3)):
            with suppress(UsageError):
                made = recipe.model(reading.spec_of(recipe, Images(channels, side, side))).eval()
                break
        for weight in made.parameters():
            weight.data += 0.05 * torch.randn(weight.shape)
    return made.requires_grad_(False)


def differ(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("preset", [p for p in PRESETS if PRESETS[p].family not in ("autoencoder", "denoiser")])
def test_the_first_samples_are_the_same_however_many_there_are(preset: str) -> None:
    made = model(preset)
    if hasattr(made, "sampling"):
        made.sampling = replace(made.sampling, steps=2)  # type: ignore[arg-type]
    sources = reading.drawn(made, 5)
    three = condition_rows(sources, slice(3))
    few, more, again = sample(made, 3, 0, three), sample(made, 5, 0, sources), sample(made, 5, 0, sources, chunk=2)
    assert differ(few, more[:3]) < CLOSE
    assert differ(more, again) < CLOSE
    assert differ(few[0], few[1]) > 100 * CLOSE
    if not sources or isinstance(made, SamplesInSteps):
        assert differ(few, sample(made, 3, 1, three)) > 100 * CLOSE


@pytest.mark.parametrize(("sampler", "options"), [(name, {}) for name in SAMPLERS] + [("ddim", {"eta": 1.0})])
def test_the_noise_of_each_step_is_that_of_the_row(sampler: str, options: Mapping[str, Any]) -> None:
    made: Any = model("ddpm")
    made.sampling = replace(made.sampling, sampler=SAMPLERS[sampler](**options), steps=4)
    assert differ(sample(made, 3, 0), sample(made, 5, 0, chunk=4)[:3]) < CLOSE


class Own(nn.Module):
    """A user's model, which draws as users do: in one call, in several, in any of torch's ways."""

    conditions: Mapping[str, Modality] = {}

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        start = torch.randn(count, 7, generator=generator)
        start = start + torch.randn((count, 7), generator=generator, dtype=torch.float64).float()
        start = start + torch.rand(size=(count, 1), generator=generator)
        return start + torch.randn(count, generator=generator)[:, None]


def test_the_noise_of_a_users_own_model_is_that_of_the_row() -> None:
    assert torch.equal(sample(Own(), 10, 0), sample(Own(), 11, 0, chunk=4)[:10])
    assert len(sample(Own(), 11, 0).unique(dim=0)) == 11


def test_a_draw_that_is_not_one_for_each_row_is_repeatable() -> None:
    whole, again = (RowNoise(0, "x", range(3)).draw(torch.randn, (5, 2)) for _ in range(2))
    assert torch.equal(whole, again)


def test_a_plain_generator_draws_as_torch_does() -> None:
    ours, torchs = (torch.Generator().manual_seed(4) for _ in range(2))
    assert torch.equal(normal(ours, 10, 3), torch.randn(10, 3, generator=torchs))


def test_noise_by_row_is_normal_and_quickly_drawn() -> None:
    start = time.perf_counter()
    draws = torch.cat([normal(RowNoise(0, "x", range(at, at + 250)), 250, 128) for at in range(0, 10_000, 250)])
    assert time.perf_counter() - start < 3
    assert abs(draws.mean()) < 0.005
    assert abs(draws.std() - 1) < 0.005
    assert abs((draws[1:] * draws[:-1]).mean()) < 0.005


def test_fewer_large_pictures_are_made_at_a_time() -> None:
    assert [at_once((3, side, side)) for side in (8, 64, 128, 256, 1024, 4096)] == [250, 250, 64, 16, 1, 1]
    assert at_once((2,)) == 250


def test_a_stream_gives_the_same_samples_and_takes_the_conditions_in_turn() -> None:
    made, turns = model("cgan"), {"label": torch.tensor([2, 0])}
    found = list(stream(made, [range(1, 3), range(3, 4)], 0, turns))
    assert [rows for rows, _, _ in found] == [range(1, 3), range(3, 4)]
    assert [given["label"].tolist() for _, given, _ in found] == [[0, 2], [0]]
    whole = sample(made, 4, 0, {"label": torch.tensor([2, 0, 2, 0])})
    assert differ(torch.cat([samples for _, _, samples in found]), whole[1:]) < CLOSE
