"""A batch in parts has the gradient of the batch as a whole."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import genlab
from genlab.core.batch import Batch
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.random import Randomness
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import LatentRecipe
from genlab.runs.phases import build

IMAGES, ROWS, CLASSES = Images(1, 16, 16), 12, ("0", "1", "2", "3")
LABELLED = DataSpec(IMAGES, {"label": Classes(CLASSES)})
# Presets whose images do not look at each other, with a part of every kind that draws or adds to a loss.
APART: Mapping[str, Mapping[str, Any]] = {
    "denoising-autoencoder": {},
    "sparse-autoencoder": {"sparsity": "l1"},
    "vae": {"binarise": True},
    "iwae": {},
    "gan": {"r1": 1.0, "penalty_every": 2, "instance_noise": 0.1, "flip_labels": 0.2, "historical_averaging": 0.1},
    "wgan-gp": {"discriminator_norm": "none"},
    "cgan": {},
    "acgan": {"diff_augment": "translation-cutout"},
    "pacgan": {},
    "glow": {"flow_steps": 1},
    "conditional-diffusion": {"timesteps": 20},
}
# Which are those of a part.
SPREADS = {"latent_std", "aggregate_variance", "active_units", "latent_rms", "r2"}


@pytest.fixture
def double() -> Iterator[None]:
    """Compute with so many digits that Adam, which divides by small numbers, does not tell sums apart."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def after_three_steps(preset: str, parts: int) -> dict[str, Tensor]:
    recipe = PRESETS[preset]
    latent = {"latent": 4} if isinstance(recipe, LatentRecipe) else {}
    small: dict[str, Any] = {"width": 8, "batch_size": ROWS, "clip_norm": 0.5, **latent}
    recipe = replace(recipe, accumulate=parts, **small, **APART[preset])
    training = build(recipe, LABELLED, Randomness(0))
    training.model.eval()  # batch normalisation would look at all images of a part
    images = torch.rand(ROWS, *IMAGES.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = torch.arange(ROWS)
    for step in range(3):
        turns = [Batch(images.roll(turn, 0), rows, {"label": rows % len(CLASSES)}) for turn in range(5)]
        signals = training.step(step, iter(turns))
    return {**training.model.state_dict(), **signals}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("preset", APART)
@pytest.mark.parametrize("parts", [2, 3])
def test_weights_and_signals_are_those_of_the_whole_batch(preset: str, parts: int) -> None:
    whole, cut = after_three_steps(preset, 1), after_three_steps(preset, parts)
    assert whole.keys() == cut.keys()
    for name in whole.keys() - SPREADS:
        torch.testing.assert_close(cut[name], whole[name], msg=name)


def test_one_part_at_a_time_goes_through_the_networks() -> None:
    recipe = replace(PRESETS["dcgan"], width=2, latent=4, batch_size=ROWS, accumulate=3)
    training = build(recipe, DataSpec(IMAGES), Randomness(0))
    seen: list[int] = []
    training.model.discriminator.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    training.step(0, iter([Batch(torch.zeros(ROWS, *IMAGES.shape), torch.arange(ROWS))]))
    assert set(seen) == {ROWS // 3}


@pytest.mark.parametrize(("batch", "parts", "choices"), [(8, 3, "1, 2, 4"), (8, 8, "1, 2, 4"), (6, 4, "1, 2, 3")])
def test_parts_are_equal_and_hold_two_images(batch: int, parts: int, choices: str) -> None:
    with pytest.raises(UsageError, match=f"--accumulate {parts} does not cut.*Choices: {choices}."):
        genlab.train("vae", quiet=True, data="digits", size=16, batch=batch, accumulate=parts, steps=1)
