"""Tables, for every preset: it is trained on rows of numbers and categories, or it says what to use instead."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import genlab
import tables
from genlab.core.contract import BoundsLikelihood, Inverts, Reconstructs, Samples
from genlab.core.errors import UsageError
from genlab.core.random import Randomness
from genlab.recipes.presets import PRESETS, TABLES
from genlab.runs import phases
from genlab.training.inference import inference_mode
from test_families import small

SOURCE = tables.source()
TAKEN = {*TABLES, "autoencoder", "sparse-autoencoder", "gan", "spline-flow"}  # all perceptrons but those with bce


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_learns_from_rows_or_says_what_to_use_instead(preset: str) -> None:
    recipe, spec = small(preset), SOURCE.train.spec
    if preset not in TAKEN:
        recipe = PRESETS[preset]
        with (
            torch.device("meta"),
            pytest.raises(UsageError, match=r"rows|a table|pairs|sources|kind of picture|label"),
        ):
            _ = recipe.refuse(spec), recipe.model(spec)
        return
    recipe.refuse(spec)
    training = phases.build(recipe, spec, Randomness(0))
    batch = SOURCE.train.batch(np.arange(8))
    signals = training.step(0, iter([batch] * 9))
    assert all(signal.isfinite().all() for signal in signals.values())
    model = training.model
    with inference_mode(model):
        if isinstance(model, Samples):
            made = model.sample(6, {}, torch.Generator().manual_seed(0))
            assert made.shape == (6, *spec.target.shape)
            assert made.isfinite().all()
        if isinstance(model, Reconstructs):
            categories = model.reconstruct(batch.x)[:, 2:5]
            torch.testing.assert_close(categories.sum(1), torch.full((8,), -1.0))  # probabilities p as 2p − 1
        if isinstance(model, BoundsLikelihood):
            assert model.evidence_bound(batch.x).isfinite().all()
        if isinstance(model, Inverts):
            assert model.inversion_error(batch.x).max() < 1e-3


def test_vaes_take_rows_with_a_likelihood_of_columns() -> None:
    with pytest.raises(UsageError, match=r"numbers of a table have no limits.*table-vae"):
        small("vae").model(SOURCE.train.spec)
    assert replace(small("vae"), reconstruction="gaussian").model(SOURCE.train.spec)  # type: ignore[call-arg]


def test_pixels_of_rows_cannot_be_masked() -> None:
    recipe = replace(small("table-autoencoder"), corruption="masking")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r"changes pixels.*these data are rows\. Set --corruption gaussian"):
        recipe.refuse(SOURCE.train.spec)


def test_samples_of_a_trained_model_are_like_the_rows(tmp_path: Path) -> None:
    source = tables.source(1000, 400)
    run = genlab.train("table-vae", data=source, root=tmp_path, quiet=True, device="cpu", lr=5e-3, steps=300)
    figures = {figure.name: figure for figure in genlab.evaluate(run, data=source, samples=400).figures}
    floors = {name: figure.floor for name, figure in figures.items() if figure.floor is not None}
    assert floors.keys() == {
        "column_distance",
        "pair_distance",
        "closer_to_training",
        "predictions_from_samples",
    }
    assert figures["column_distance"].value < floors["column_distance"] + 0.03
    assert figures["pair_distance"].value < floors["pair_distance"] + 0.1  # 0.5 of independent columns
    assert figures["predictions_from_samples"].value > floors["predictions_from_samples"] - 0.1
    assert figures["closer_to_training"].value == pytest.approx(0.5, abs=0.1)
    assert "reconstruction_psnr" not in figures  # numbers have no range
