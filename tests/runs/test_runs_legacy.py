"""Run folders of genlab 0.1: converted while they are read, or refused with the command that trains them again."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

import genlab
from genlab.cli.main import run
from genlab.core import legacy, yaml12
from genlab.core.errors import CheckpointError

TINY: dict[str, Any] = {
    "data": "digits",
    "size": 16,
    "width": 4,
    "batch": 8,
    "steps": 4,
    "evaluate_every": 2,
    "log_every": 1,
    "precision": "float32",
    "device": "cpu",
    "quiet": True,
}
OLD_OPTIONS = {
    "batch_size": "batch",
    "kl_warm_up": "warm_up",
    "kl_cycles": "cycles",
    "kl_cycle_ratio": "cycle_ratio",
    "discriminator_steps": "critic_steps",
    "discriminator_lr": "critic_lr",
    "discriminator_norm": "critic_norm",
    "discriminator_dropout": "critic_dropout",
    "discriminator_labels": "critic_labels",
}


def rewritten(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path.write_text(yaml12.written(change(yaml12.read(path.read_text()))))


def of_0_1(folder: Path) -> Path:
    """Return a copy of a run folder as genlab 0.1 would have written it."""
    old = folder.with_name(folder.name + "-old")
    shutil.copytree(folder, old)

    def recipe(values: dict[str, Any]) -> dict[str, Any]:
        renamed = {OLD_OPTIONS.get(name, name): value for name, value in values.items()}
        if renamed.get("spectral_norm") == "discriminator":
            renamed["spectral_norm"] = "critic"
        return {**renamed, "genlab": "0.1.0"}

    def data(values: dict[str, Any]) -> dict[str, Any]:
        target, conditions = values.pop("target"), values.pop("conditions")
        points = target["kind"] == "points"
        shape = [2, 1, 1] if points else [target[side] for side in ("channels", "height", "width")]
        if points:
            values["fingerprints"] = {
                "train": "of points of another shape",
                "held_out": "of points of another shape",
            }
        classes = conditions.get("label", {"names": []})["names"]
        return {**values, "shape": shape, "classes": classes, "images": values.pop("counts")}

    rewritten(old / "recipe.yaml", recipe)
    rewritten(old / "data.yaml", data)
    history = old / "history.jsonl"
    history.write_text(re.sub(r"\bdiscriminator_(?=loss|gradient|update|dead)", "critic_", history.read_text()))
    for checkpoint in (old / "checkpoints").iterdir():
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        for name in ("model.safetensors", "training.safetensors"):
            tensors = safetensors.torch.load_file(checkpoint / name)
            renamed = {re.sub(r"(^|/)discriminator\.", r"\1critic.", key): value for key, value in tensors.items()}
            content = safetensors.torch.save(renamed)
            (checkpoint / name).write_bytes(content)
            manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (checkpoint / "manifest.json").write_text(json.dumps({**manifest, "schema": 2}))
    return old


def weights(folder: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder / "checkpoints" / "last" / "training.safetensors") | dict(
        safetensors.torch.load_file(folder / "checkpoints" / "last" / "model.safetensors")
    )


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("projection-gan", {"discriminator_steps": 1, "ema": 0.5}),
        ("cyclical-vae", {"latent": 4}),
        ("gan", {"data": "ring8", "size": None}),
    ],
)
def test_an_old_run_is_loaded_diagnosed_and_resumed_as_if_it_were_new(
    preset: str, options: dict[str, Any], tmp_path: Path
) -> None:
    new = Path(genlab.train(preset, **{**TINY, "root": tmp_path, **options}))
    old = of_0_1(new)
    noise = torch.Generator().manual_seed
    with torch.no_grad():
        ours, theirs = (genlab.load(folder).sample(3, generator=noise(0)) for folder in (new, old))
    assert torch.equal(ours, theirs)
    assert genlab.doctor(old).unchecked == genlab.doctor(new).unchecked
    for folder in (new, old):
        genlab.resume(folder, steps=6, quiet=True, keep_schedule=preset != "gan")
    assert weights(old).keys() == weights(new).keys()
    assert all(torch.equal(value, weights(new)[name]) for name, value in weights(old).items())


def test_an_old_recipe_trains_a_new_run(tmp_path: Path) -> None:
    old = of_0_1(Path(genlab.train("sngan", **{**TINY, "root": tmp_path, "discriminator_steps": 1, "steps": 1})))
    again = Path(genlab.train(str(old / "recipe.yaml"), quiet=True))
    recipe = yaml12.read((again / "recipe.yaml").read_text())
    assert (recipe["batch_size"], recipe["spectral_norm"]) == (8, "discriminator")


def test_an_old_unet_is_refused_with_the_command_that_trains_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**TINY, "root": tmp_path, "width": 16, "steps": 1, "timesteps": 4}
    old = of_0_1(Path(genlab.train("ddpm", **options)))
    command = re.escape(f"genlab train {old / 'recipe.yaml'}")
    with pytest.raises(CheckpointError, match=command):
        genlab.load(old)
    assert run(["resume", str(old), "--steps", "2"]) == 1
    assert re.search(command, capsys.readouterr().err)


def test_names_of_today_are_left_alone() -> None:
    line = {"step": 3, "discriminator_loss": 1.0, "r2": 0.5, "kl[0]": 0.1, "critical": 2.0}
    assert legacy.signals(line) == line
    assert legacy.tensor("discriminator.head.weight") == "discriminator.head.weight"
    assert legacy.tensor("optimizer/critic.head.weight/exp_avg") == "optimizer/discriminator.head.weight/exp_avg"
