"""What cannot fit into memory is refused before networks are built, by an estimate that is never too high."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import genlab
from genlab.core.errors import CheckpointError, UsageError
from genlab.core.memory import memory_of, written_bytes
from genlab.core.modality import Classes, DataSpec, Images, Points
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Phase
from genlab.runs import memory
from genlab.runs.memory import outline, refuse_oversized

CPU = torch.device("cpu")
SPEC = DataSpec(Images(1, 16, 16))
POINTS = DataSpec(Points(2))
LABELLED = DataSpec(Images(1, 32, 32), {"label": Classes(("0", "1"))})


def check(preset: str, spec: DataSpec = SPEC, processes: int = 1, **options: Any) -> None:
    phase = Phase(1, replace(PRESETS[preset], **options), spec)
    refuse_oversized(phase, outline(phase), processes, CPU)


@pytest.mark.parametrize(
    ("preset", "options", "words"),
    [
        (
            "dcgan",
            {"width": 10**9},
            r"than this machine can hold\. Lower --width \(now 1000000000\)\.",
        ),
        ("dcgan", {"width": 10**30}, "more weights than this machine can hold"),
        (
            "spline-flow",
            {"width": 10**6},
            r"than this machine can hold\. Lower --width \(now 1000000\)\.",
        ),
        (
            "dcgan",
            {"width": 10**6},
            r"weights of this model .* \S+ TB, .*Lower --width \(now 1000000\)\.",
        ),
        ("dcgan", {"latent": 10**12}, r"Lower --latent \(now 1000000000000\)\."),
        ("glow", {"width": 10**9, "flow_steps": 2}, r"Lower --width \(now 1000000000\)\."),
        ("ddpm", {"width": 10**9}, r"Lower --width \(now 1000000000"),
        (
            "vae",
            {"batch_size": 10**9},
            r"a batch of this run needs at least \S+ TB .*Lower --batch-size \(now 1000000000\)\.",
        ),
        ("iwae", {"importance_samples": 10**9}, r"Lower --importance-samples \(now 1000000000\)\."),
    ],
)
def test_sizes_that_exceed_the_memory_are_refused_at_once_with_what_to_lower(
    preset: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check(preset, POINTS if preset == "spline-flow" else SPEC, **options)


def test_presets_fit_and_the_check_takes_no_time() -> None:
    for name in ("dcgan", "vae", "ddpm", "spline-flow"):
        recipe = PRESETS[name]
        spec = POINTS if recipe.architecture == "spline" else LABELLED
        phase = Phase(1, recipe, spec)
        model = outline(phase)
        assert recipe.architecture == "spline" or all(parameter.is_meta for parameter in model.parameters())
        began = time.process_time()
        refuse_oversized(phase, model, 1, CPU)
        assert time.process_time() - began < 0.02, name


def test_the_estimate_is_what_weights_gradients_and_batches_take_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    phase = Phase(1, replace(PRESETS["vae"], batch_size=100, ema=0.9, width=8), SPEC)
    model = outline(phase)
    weights = 3 * 4 * sum(parameter.numel() for parameter in model.parameters())
    batch = 100 * 16 + 2 * 100 * 16 * 16 * 4
    for there, words in ((weights - 1, "the weights of this model"), (weights + batch - 1, "a batch of this run")):
        monkeypatch.setattr(memory, "memory_of", lambda device, there=there: there)
        with pytest.raises(UsageError, match=words):
            refuse_oversized(phase, model, 1, CPU)
        monkeypatch.setattr(memory, "memory_of", lambda device, there=there: there + 1)
    refuse_oversized(phase, model, 1, CPU)
    refuse_oversized(phase, model, 2, CPU)
    monkeypatch.setattr(memory, "memory_of", lambda device: None)
    refuse_oversized(phase, model, 1, CPU)


@pytest.mark.parametrize(
    ("preset", "options"),
    [("vae", {"depth": 100_000}), ("glow", {"flow_steps": 100_000}), ("ddpm", {"timesteps": 10**9})],
)
def test_too_many_layers_or_levels_are_refused_before_they_are_counted(
    tmp_path: Path, preset: str, options: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match=r"must be at least \d and at most 100"):
        genlab.train(preset, root=tmp_path / "runs", quiet=True, **options)
    with pytest.raises(UsageError, match=r"Lower --width \(now 1000000"):
        genlab.train(preset, root=tmp_path / "runs", quiet=True, width=10**6)
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_somebody_enlarged_is_refused_before_its_networks_are_built(tmp_path: Path) -> None:
    run = genlab.train("gan", data="ring8", width=8, steps=1, root=tmp_path, quiet=True)
    recipe = run.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("\nwidth: 8\n", "\nwidth: 1000000\n"))
    with pytest.raises(CheckpointError, match="far larger than those in the checkpoint"):
        genlab.load(run)
    with pytest.raises(UsageError, match=r"Lower --width \(now 1000000"):
        genlab.resume(run, quiet=True, steps=2)


def test_the_memory_of_this_machine_is_known_and_written_in_plain_units() -> None:
    there = memory_of(CPU)
    assert there is None or there > 10**9
    written = [written_bytes(n) for n in (0, 999, 16_800_000_000, 999.9e9, 72e12, 1e22)]
    assert written == ["0 bytes", "999 bytes", "16.8 GB", "1,000 GB", "72 TB", "10,000,000 PB"]
