"""Every option of a recipe reaches what it is an option of."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor

from genlab.core.batch import Batch, ImageShape
from genlab.core.distributed import Shard
from genlab.core.random import Randomness
from genlab.data.source import open_source
from genlab.families.gan import GANTraining
from genlab.objectives.adversarial import ADVERSARIAL
from genlab.recipes import run
from genlab.recipes.recipe import AutoencoderRecipe, GANRecipe, Recipe, VAERecipe
from genlab.recipes.resolve import resolve
from genlab.training.run_folder import RunFolder

SHAPE = ImageShape(1, 16, 16)
SMALL: tuple[Recipe, ...] = tuple(
    kind(architecture="dcgan", width=2, latent=3) for kind in (AutoencoderRecipe, VAERecipe, GANRecipe)
)
OF_THE_LOOP = ("batch", "steps", "ema")  # what the run does with a training, not what it is


def another(value: Any, hint: Any) -> Any:
    """Return a value of the same type that is not `value`."""
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != value)
    if isinstance(value, tuple):
        return tuple(part / 2 for part in value)
    return value + 1 if isinstance(value, int) else 2 * value + 0.001


def after_two_steps(recipe: Recipe) -> dict[str, Tensor]:
    training = run.build(recipe, SHAPE, Randomness(0))
    images = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for step in range(2):
        training.step(step, iter([Batch(images.roll(i, 0) * (1 - 0.1 * i), torch.arange(4)) for i in range(4)]))
    return training.model.state_dict()


@pytest.mark.parametrize(
    ("recipe", "option"),
    [(r, f.name) for r in SMALL for f in fields(r) if f.name not in OF_THE_LOOP],
    ids=lambda part: part.family if isinstance(part, Recipe) else part,
)
def test_no_option_is_without_effect(recipe: Recipe, option: str) -> None:
    hint = get_type_hints(type(recipe))[option]
    changed = replace(recipe, **{option: another(getattr(recipe, option), hint)})
    before, after = after_two_steps(recipe), after_two_steps(changed)
    same = before.keys() == after.keys() and all(
        before[name].shape == after[name].shape and torch.equal(before[name], after[name]) for name in before
    )
    assert not same


def test_each_player_has_its_own_learning_rate_and_both_the_same_decays() -> None:
    recipe = GANRecipe(architecture="mlp", generator_lr=0.1, critic_lr=0.2, betas=(0.3, 0.4), loss="minimax")
    training = run.build(recipe, SHAPE, Randomness(0))
    assert isinstance(training, GANTraining)
    assert training.loss is ADVERSARIAL["minimax"]
    for player, rate in (("generator", 0.1), ("critic", 0.2)):
        (group,) = training.optimizers[player].param_groups
        assert (group["lr"], group["betas"]) == (rate, (0.3, 0.4))
        network = getattr(training.model, player)
        assert {id(p) for p in group["params"]} == {id(p) for p in network.parameters()}


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    plan = resolve("vae", {"width": 4, "batch": 4, "steps": 3, "size": 16})
    source = open_source("digits", size=16)
    result = run._train(plan, source, RunFolder(tmp_path), Shard(1, 2), quiet=True)
    assert result.progress.step == 3
    assert list(tmp_path.iterdir()) == []
