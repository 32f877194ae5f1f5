"""Every option of a recipe reaches what it is an option of."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor

import reading
from genlab.applications.capability import spec_for
from genlab.core.batch import Batch
from genlab.core.contract import Training
from genlab.core.distributed import Shard
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.optimizer import set_learning_rates
from genlab.core.random import Randomness
from genlab.data.loader import Loader
from genlab.data.source import open_source
from genlab.families.gan import GANTraining
from genlab.objectives.adversarial import ADVERSARIAL
from genlab.recipes.autoencoder import AutoencoderRecipe
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.fields import OWN
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.gan import GANRecipe
from genlab.recipes.presets import PRESETS, TRANSLATIONS
from genlab.recipes.recipe import Recipe
from genlab.recipes.resolve import resolve
from genlab.recipes.translation import TranslationRecipe
from genlab.recipes.vae import VAERecipe
from genlab.runs import phases, train
from genlab.runs.phases import RunSetup
from genlab.training.fit import Cadence
from genlab.training.run_folder import RunFolder

SMALL: tuple[Recipe, ...] = (
    *(kind(architecture="dcgan", width=2, latent=3) for kind in (AutoencoderRecipe, VAERecipe, GANRecipe)),
    DiffusionRecipe(width=4, timesteps=8, lr=1e-2),
    FlowRecipe(width=4, flow_steps=2),
    *(
        kind(width=2, **reading.fitting(kind()))
        for kind in dict.fromkeys(type(recipe) for recipe in TRANSLATIONS.values())
        if issubclass(kind, TranslationRecipe)
    ),
)
# What the run does with a training, not what it is.
OF_THE_LOOP = ("batch_size", "steps", "ema", "lr_schedule", "lr_warm_up", "schedule_steps")
IMAGES = Images(1, 16, 16)
# Options of which the family refuses all values but one.
ONE_VALUE = {"cut": ("architecture",), "stargan": ("discriminator",)}
# What must be there for an option to matter, and values that are far enough from the default to do so.
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "penalty_every": {"r1": 1.0},
    "wanted_label": {"loss": "least-squares"},
    "sparsity_weight": {"sparsity": "kl"},
    "sparsity_target": {"sparsity": "kl"},
    "corruption_level": {"corruption": "gaussian"},
    "kl_cycle_ratio": {"kl_cycles": 1, "steps": 4},
    "gradient_penalty": {"discriminator_norm": "none"},
    "depth": {"architecture": "mlp"},
    "self_supervision": {"architecture": "fastgan"},
    "label_dropout": {"labels": "embedding"},
    "guidance": {"labels": "embedding"},
    "guidance_interval": {"labels": "embedding", "guidance": 2.0},
    "eta": {"sampler": "ddim"},
    "sampling_steps": {"sampler": "ddim"},
}
TOGETHER: Mapping[str, Mapping[str, Any]] = {
    "generator_labels": {"generator_labels": "concat", "discriminator_labels": "auxiliary"},
    "discriminator_labels": {"generator_labels": "concat", "discriminator_labels": "projection"},
    "schedule": {"schedule": "straight", "prediction": "flow"},
}
FAR: Mapping[str, Any] = {
    "clip_norm": 1e-3,
    "weight_clip": 1e-3,
    "attention": 8,
    "depth": 4,
    "discriminator_norm": "none",
    "flip_labels": 0.5,
    "free_bits": 5.0,
    "kl_cycles": 1,
    "historical_averaging": 10.0,
    "sampling_steps": 3,
    "levels": 2,
    "flow_steps": 1,
    "blocks": 1,
    "pool": 1,
    "discriminator": "patch-34",
    "positions": 4,
}


def another(value: Any, hint: Any) -> Any:
    """Return a value of the same type that is not `value`."""
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != value)
    if isinstance(value, tuple):
        return tuple(part / 2 for part in value)
    return value + 1 if isinstance(value, int) else 2 * value + 0.001


def spec_of(recipe: Recipe) -> DataSpec:
    return spec_for(recipe, IMAGES, Classes(("0", "1", "2", "3")))


@cache
def after_four_steps(recipe: Recipe) -> dict[str, Tensor]:
    """Return the weights, and samples where there are options of sampling."""
    spec = spec_of(recipe)
    training = phases.build(recipe, spec, Randomness(0))
    images, sources = torch.rand(2, 4, *IMAGES.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = torch.arange(4)
    given = {name: sources if its == IMAGES else rows for name, its in spec.conditions.items()}
    for step in range(4):
        torch.manual_seed(step)  # for dropout
        batches = [Batch(images.roll(i, 0) * (1 - 0.1 * i), rows, given) for i in range(9)]
        training.step(step, iter(batches))
    model: Any = training.model
    samples = {}
    if recipe.of_sampling:
        given = {name: value for name, value in given.items() if name in model.conditions}
        samples["samples"] = model.sample(4, given, generator=torch.Generator().manual_seed(0))
    return {**model.state_dict(), **samples}


def options_of_training(recipe: Recipe) -> list[str]:
    left_out = {*OF_THE_LOOP, *ONE_VALUE.get(recipe.family, ()), OWN}
    return [f.name for f in fields(recipe) if f.name not in left_out]


@pytest.mark.parametrize(
    ("recipe", "option"),
    [(recipe, option) for recipe in SMALL for option in options_of_training(recipe)],
    ids=lambda part: part.family if isinstance(part, Recipe) else part,
)
def test_no_option_is_without_effect(recipe: Recipe, option: str) -> None:
    needed = {name: value for name, value in NEEDED.get(option, {}).items() if hasattr(recipe, name)}
    recipe = replace(recipe, **needed)
    hint = get_type_hints(type(recipe))[option]
    value = FAR[option] if option in FAR else another(getattr(recipe, option), hint)
    changed = replace(recipe, **TOGETHER.get(option, {option: value}))
    changed.refuse(spec_of(changed))
    before, after = after_four_steps(recipe), after_four_steps(changed)
    same = before.keys() == after.keys() and all(
        before[name].shape == after[name].shape and torch.equal(before[name], after[name]) for name in before
    )
    assert not same


def test_each_player_has_its_own_learning_rate_and_both_the_same_decays() -> None:
    recipe = GANRecipe(
        architecture="mlp", generator_lr=0.1, discriminator_lr=0.2, betas=(0.3, 0.4), loss="minimax"
    )
    training = phases.build(recipe, DataSpec(IMAGES), Randomness(0))
    assert isinstance(training, GANTraining)
    scores = torch.tensor([0.3, -1.0])
    assert training.loss.discriminator(scores, -scores) == ADVERSARIAL["minimax"].discriminator(scores, -scores)
    assert training.loss.generator is ADVERSARIAL["minimax"].generator
    for player, rate in (("generator", 0.1), ("discriminator", 0.2)):
        (group,) = training.optimizers[player].param_groups
        assert (group["lr"], group["betas"]) == (rate, (0.3, 0.4))
        network = getattr(training.model, player)
        assert {id(p) for p in group["params"]} == {id(p) for p in network.parameters()}


@pytest.mark.parametrize("recipe", SMALL, ids=lambda recipe: recipe.family)
def test_learning_rates_follow_their_schedule(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [replace(recipe, lr_schedule="linear", steps=4).rate()(step) for step in (0, 1, 4)] == [1, 0.75, 0]
    rates: list[float] = []

    def record(training: Training, batches: Loader, cadence: Cadence, *_: Any) -> bool:
        assert cadence.rate is not None
        for step in range(4):
            set_learning_rates(training.optimizers.values(), cadence.rate(step))
            rates.extend(group["lr"] for o in training.optimizers.values() for group in o.param_groups)
        return False

    monkeypatch.setattr(train, "fit", record)
    preset = next(name for name, row in PRESETS.items() if row.family == recipe.family)
    options = {"lr_schedule": "linear", "steps": 4, "width": 4, "batch_size": 4, "size": 16}
    options |= reading.fitting(recipe)
    plan, source = resolve(preset, options), reading.opened(recipe)
    train._train(RunSetup(plan, source, RunFolder(tmp_path), Shard(1, 2)), quiet=True)
    players = len(rates) // 4
    for player in range(players):
        course = rates[player::players]
        assert course == pytest.approx([course[0] * factor for factor in (1, 0.75, 0.5, 0.25)])


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    plan = resolve("vae", {"width": 4, "batch_size": 4, "steps": 3, "size": 16})
    source = open_source("digits", size=16)
    result = train._train(RunSetup(plan, source, RunFolder(tmp_path), Shard(1, 2)), quiet=True)
    assert result.progress.step == 3
    assert list(tmp_path.iterdir()) == []
