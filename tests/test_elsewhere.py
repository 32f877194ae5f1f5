"""No tensor is supposed to be on the CPU: on a device that refuses such, presets give the same numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import fast
import genlab
import reading
from elsewhere import DEVICE, elsewhere
from genlab.recipes.diffusion import DiffusionRecipe
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.translation import TranslationRecipe

SOME = fast.presets(  # one for each family, and one with second derivatives
    {"conv-vae", "cgan", "wgan-gp", "glow", "conditional-diffusion", "pix2pix"}
)
SIDES = {"sagan": 32}


def options(preset: str, out: Path) -> dict[str, Any]:
    few: dict[str, Any] = {}
    recipe = PRESETS[preset]
    if isinstance(recipe, FlowRecipe):
        few = {"flow_steps": 1}
    if isinstance(recipe, DiffusionRecipe):
        few = {"timesteps": 4, "sampling_steps": 2, "size": 8, "width": 8}
        few |= {"attention": 4} if recipe.architecture == "unet" else {}
    if isinstance(recipe, TranslationRecipe):
        few = {"width": 8, **reading.fitting(recipe)}
    often = {"log_every": 1, "preview_every": 2, "evaluate_every": 2, "extractor": "pixels"}
    tiny = {
        **reading.data_of(recipe),
        "size": SIDES.get(preset, 16),
        "width": 16,
        "batch_size": 8,
        "steps": 2,
    }
    # Not auto: that is bf16 here, and not there, where a processor has units for it.
    alike = {"quiet": True, "root": out, "device": "cpu", "precision": "float32"}
    return {**often, **tiny, **alike, **few}


def lines(folder: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "data_wait_fraction")}
        for line in read
    ]


def test_the_device_refuses_what_a_gpu_refuses() -> None:
    with elsewhere():
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        for mixed in (lambda: there + here, lambda: torch.cat([there, here]), lambda: there[None] @ here[:, None]):
            with pytest.raises(RuntimeError, match="two devices"):
                mixed()
        with pytest.raises(RuntimeError, match="generator"):
            torch.randn(3, device=DEVICE, generator=torch.Generator())
        assert (2 * there + torch.tensor(1.0)).device == DEVICE
        assert torch.equal((there + here.to(DEVICE)).cpu(), 2 * here)


def trains_and_is_used_as_on_the_cpu(preset: str, **options: Any) -> None:
    """Train on both devices; go on, load and measure on the other one; compare what they wrote down."""
    out = options.pop("root")
    here = genlab.train(preset, root=out / "here", **options)
    with elsewhere():
        there = genlab.train(preset, root=out / "there", **options)
        genlab.resume(there.folder, steps=3, keep_schedule=True, quiet=True)
        model = genlab.load(there.folder)
        assert next(model.parameters()).device == DEVICE
        genlab.evaluate(there.folder, extractor="pixels", samples=32)
    ours, theirs = lines(here.folder), lines(there.folder)
    assert len(theirs) == 3
    for mine, yours in zip(ours, theirs, strict=False):
        for name, value in mine.items():  # other kernels, other rounding
            # Instance norm divides by the deviation of flat maps, which is nearly 0.
            steep = "gradient_norm" in name and isinstance(PRESETS[preset], TranslationRecipe)
            assert yours[name] == pytest.approx(value, rel=0.3 if steep else 1e-3, abs=1e-5), name


@SOME
def test_a_preset_trains_and_is_used_on_another_device_as_on_the_cpu(preset: str, tmp_path: Path) -> None:
    trains_and_is_used_as_on_the_cpu(preset, **options(preset, tmp_path))


@pytest.mark.parametrize(
    ("preset", "changes"), [("gan", {}), ("flow-matching", {"architecture": "mlp", "attention": 0})]
)
def test_sources_are_where_the_model_is(preset: str, changes: dict[str, Any], tmp_path: Path) -> None:
    given = {**options(preset, tmp_path), **changes, "data": "rotated-ring8", "size": None}
    trains_and_is_used_as_on_the_cpu(preset, **given)
