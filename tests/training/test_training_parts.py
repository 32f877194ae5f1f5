"""A run whose parts have a memory of their own goes on to the same bits."""

from pathlib import Path
from typing import Any

import pytest

import genlab
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import LatentRecipe
from genlab.runs import train
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder

SMALL = {"data": "digits", "size": 16, "width": 4, "batch_size": 8, "quiet": True, "evaluate_every": 100}
PAIRS = {"data": "paired-digits", "discriminator": "patch-16"}


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("wgan", {"discriminator_steps": 2}),  # RMSProp
        ("dcgan", {"historical_averaging": 0.1, "generator_steps": 2}),  # running means
        (
            "sngan",
            {"discriminator_steps": 2, "spectral_norm": "both", "lr_schedule": "constant"},
        ),  # singular vectors
        (
            "dcgan",
            {"burn_in": 6, "r1": 1.0, "r2": 1.0, "diff_augment": "translation", "schedule_steps": 7},
        ),  # stopped within it
        ("acgan", {"flip_labels": 0.2}),  # dropout, flips
        ("unrolled-gan", {"unrolled_steps": 2, "r1": 1.0, "penalty_every": 3}),  # Adam's moments, ahead
        ("denoising-autoencoder", {"sparsity": "kl"}),
        ("conditional-vae", {"reconstruction": "gaussian", "binarise": False, "kl_warm_up": 5}),
        ("iwae", {"lr_schedule": "constant"}),
        ("cyclegan", {**PAIRS, "blocks": 1, "pool": 5, "lr_schedule": "constant"}),  # full pools
        ("glow", {"flow_steps": 1}),  # activation norm that has seen its first batch
        ("conditional-diffusion", {"dropout": 0.1, "attention": 8, "timesteps": 20, "sampling_steps": 4}),
    ],
)
def test_stopped_and_resumed_is_the_same_as_never_stopped(
    preset: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder: None)  # half a second that says nothing here
    if isinstance(PRESETS[preset], LatentRecipe):
        options = {"latent": 4, **options}
    whole = genlab.train(preset, root=tmp_path / "whole", steps=7, **{**SMALL, **options})
    part = genlab.train(preset, root=tmp_path / "part", steps=4, **{**SMALL, **options})
    again = genlab.resume(part, steps=7, quiet=True)
    one, other = (checkpoint.load(RunFolder(Path(end)).last) for end in (whole, again))
    for mine, theirs in ((one.model, other.model), (one.training, other.training)):
        assert mine.keys() == theirs.keys()
        assert all(mine[name].equal(theirs[name]) for name in mine)
