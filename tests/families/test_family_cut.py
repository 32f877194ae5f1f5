from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genlab.core.batch import Batch
from genlab.core.condition import SOURCE
from genlab.core.distributed import Shard
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Draws, Randomness
from genlab.families.cut import ContrastiveTraining, drawn_positions, mirrored
from genlab.recipes.cut import CUTRecipe
from genlab.recipes.presets import PRESETS
from genlab.runs import phases

SHAPE = Images(1, 16, 16)
SPEC = DataSpec(SHAPE, {SOURCE: SHAPE}, aligned=False)
ROWS = 4


def images(seed: int) -> Tensor:
    return torch.rand(ROWS, *SHAPE.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


BATCH = Batch(images(0), torch.arange(ROWS), {SOURCE: images(1)})


def make(preset: str = "cut", seed: int = 0, **changes: Any) -> ContrastiveTraining:
    sizes = {"width": 4, "blocks": 2, "discriminator": "patch-16", "batch_size": ROWS, "positions": 20}
    recipe = replace(PRESETS[preset], **{**sizes, **changes})
    torch.manual_seed(0)
    training = phases.build(recipe, SPEC, Randomness(seed))
    assert isinstance(training, ContrastiveTraining)
    return training


def batches() -> Iterator[Batch]:
    return repeat(BATCH)


def draws(rows: int = ROWS, shard: Shard | None = None) -> Draws:
    return Randomness(0, shard or Shard()).draws(rows, "patches", 0)


class Itself(nn.Module):
    """An encoder that gives images as they are, so that mirrored images have mirrored maps."""

    def encoded(self, source: Tensor) -> list[Tensor]:
        return [source]


class Plain(nn.Module):
    """Heads that leave the features at the positions as they are."""

    def forward(self, maps: list[Tensor], positions: list[Tensor]) -> list[Tensor]:
        return [its.flatten(2).take_along_dim(at[:, None], 2).mT for its, at in zip(maps, positions, strict=True)]


def test_a_new_model_has_seen_no_image() -> None:
    averages = {
        name: value
        for name, value in make(norm="batch").model.state_dict().items()
        if name.endswith("running_mean")
    }
    assert averages
    assert not any(value.any() for value in averages.values())


def test_positions_differ_within_an_image_and_between_images_and_a_small_map_gives_all() -> None:
    many, few = drawn_positions([torch.zeros(ROWS, 3, 8, 16), torch.zeros(ROWS, 6, 3, 4)], 20, draws())
    assert (many.shape, few.shape) == ((ROWS, 20), (ROWS, 12))
    assert all(len(row.unique()) == 20 for row in many)
    assert few.sort(dim=1).values.equal(torch.arange(12).expand(ROWS, 12))
    assert not torch.equal(many[0], many[1])
    assert many.max() > 100


def test_parts_and_processes_draw_the_positions_of_their_rows() -> None:
    maps = [torch.zeros(ROWS, 3, 8, 16)]
    (whole,) = drawn_positions(maps, 20, draws())
    halves = [drawn_positions(maps, 20, draws(ROWS // 2, Shard(rank, 2)))[0] for rank in range(2)]
    assert torch.equal(torch.cat(halves), whole)


def test_a_translation_is_compared_with_its_source_at_the_same_positions() -> None:
    """With features that differ everywhere an image is recognised at once, and one that has moved is not."""
    training = make(temperature=1e-6)
    training.model.generator, training.model.heads = Itself(), Plain()
    angle = torch.linspace(0, 1, 256).view(1, 1, 16, 16).expand(ROWS, -1, -1, -1)
    source = torch.cat([angle.cos(), angle.sin()], dim=1)  # a unit vector at each position
    assert training.contrast(source, source, draws()) < 0.01
    assert training.contrast(source, source.roll(1, 3), draws()) > 1


@pytest.mark.parametrize("flips", [torch.tensor([True, False, True, True]), torch.ones(ROWS).bool()])
def test_a_mirrored_translation_of_a_mirrored_source_costs_nothing(flips: Tensor) -> None:
    training = make("fastcut")
    training.model.generator, training.model.heads = Itself(), Plain()
    source = BATCH.condition[SOURCE]
    plain = training.contrast(source, source, draws())
    turned = training.contrast(source, mirrored(source, flips), draws(), flips)
    torch.testing.assert_close(turned, plain)
    assert training.contrast(source, mirrored(source, flips), draws()) > plain


def test_half_of_the_sources_are_mirrored_in_other_rows_each_step() -> None:
    training = make("fastcut")
    flips = torch.cat([training.flips(step, BATCH, training.randomness) for step in range(100)])  # type: ignore[misc]
    assert 0.4 < flips.float().mean() < 0.6
    source = BATCH.condition[SOURCE]
    assert torch.equal(mirrored(source, None), source)
    assert make("cut").flips(0, BATCH, training.randomness) is None


def test_the_contrastive_loss_teaches_the_translation_and_not_its_source() -> None:
    training = make()
    source, made = images(2).requires_grad_(), images(3).requires_grad_()
    training.contrast(source, made, draws()).backward()
    assert source.grad is None
    assert made.grad is not None
    assert made.grad.abs().max() > 0


def test_the_heads_learn_with_the_generator_and_the_discriminator_alone() -> None:
    training = make()
    model = training.model
    both = {id(p) for network in (model.generator, model.heads) for p in network.parameters()}
    found = {
        name: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in training.optimizers.items()
    }
    assert found == {"generator": both, "discriminator": {id(p) for p in model.discriminator.parameters()}}


def test_the_losses_are_weighted_and_the_identity_can_be_left_out() -> None:
    once, twice = (make(contrastive_weight=w, identity_weight=3 * w).step(0, batches()) for w in (1.0, 2.0))
    for name in ("contrastive_loss", "contrastive_identity_loss"):
        torch.testing.assert_close(twice[name], 2 * once[name])
    without = make(contrastive_weight=1.0, identity_weight=0.0).step(0, batches())
    assert "contrastive_identity_loss" not in without
    torch.testing.assert_close(without["contrastive_loss"], once["contrastive_loss"])


def test_the_presets_differ_in_weights_and_mirroring() -> None:
    cut, fastcut = PRESETS["cut"], PRESETS["fastcut"]
    assert isinstance(cut, CUTRecipe)
    assert isinstance(fastcut, CUTRecipe)
    assert fastcut == replace(cut, contrastive_weight=10.0, identity_weight=0.0, flip_equivariance=True)


@pytest.mark.parametrize("preset", ["cut", "fastcut"])
def test_a_step_in_parts_is_the_same_step(preset: str) -> None:
    whole, cut = make(preset), make(preset, accumulate=2)
    signals = [training.step(3, batches()) for training in (whole, cut)]
    for name, value in signals[0].items():
        torch.testing.assert_close(signals[1][name], value, rtol=1e-4, atol=1e-5)


def test_a_step_depends_on_its_number_and_on_nothing_before() -> None:
    first, second, third = make("fastcut"), make("fastcut"), make("fastcut")
    one, same, other = first.step(5, batches()), second.step(5, batches()), third.step(6, batches())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["contrastive_loss"], other["contrastive_loss"])


def test_positions_are_learned_to_be_told_apart() -> None:
    training = make(generator_lr=2e-3, contrastive_weight=1.0, identity_weight=0.0)
    losses = [training.step(step, batches())["contrastive_loss"].item() for step in range(15)]
    assert losses[-1] < 0.9 * losses[0]
