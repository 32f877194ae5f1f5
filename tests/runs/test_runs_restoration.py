"""Runs that learn to restore degraded pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genlab
from genlab.core.errors import UsageError
from genlab.families.restoration import Restorer

TINY = {"width": 4, "blocks": 1, "batch_size": 4, "quiet": True, "evaluate_every": 100}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(12):
        size = (40 + number, 60 - number, 3)
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(folder / f"{number}.png")
    return folder


def test_a_run_of_patches_continues_bit_for_bit_and_takes_pictures_of_any_size(
    photos: Path, tmp_path: Path
) -> None:
    how = {"data": photos, "patches": 32, "degrade": ("blur=0.2:1", "bicubic=4", "noise=0:9"), **TINY}
    whole = genlab.train("edsr", steps=4, root=tmp_path, name="whole", **how)
    genlab.train("edsr", steps=2, schedule_steps=4, root=tmp_path, name="half", **how)
    half = genlab.resume(tmp_path / "half", steps=4, keep_schedule=True, quiet=True)
    models = [genlab.load(run, checkpoint="last") for run in (whole, half)]
    for one, two in zip(*(model.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, two)
    model = models[0]
    assert isinstance(model, Restorer)
    made = model.restore({"source": torch.rand(2, 3, 7, 11) * 2 - 1})
    assert made.shape == (2, 3, 28, 44)
    assert made.abs().max() <= 1


def test_options_that_do_not_fit_are_refused_with_what_would(photos: Path, tmp_path: Path) -> None:
    asked = {"data": photos, "root": tmp_path, "steps": 1, **TINY}
    for preset, options, message in (
        ("edsr", {"patches": 32, "shift": 2}, "--shift 2 would move pictures against"),
        ("edsr", {"size": 30}, "cannot be reduced by 4"),
        ("edsr", {"size": 32, "pairs": "aligned"}, "degrades the pictures that it restores by itself"),
        ("edsr", {"size": 32, "degrade": ("sharpen=2",)}, 'no degradation "sharpen"'),
        ("dcgan", {"patches": 32}, "for models that restore pictures, such as edsr"),
    ):
        given = {name: value for name, value in asked.items() if preset != "dcgan" or name != "blocks"}
        with pytest.raises(UsageError) as refused:
            genlab.train(preset, **{**given, **options})
        assert message in str(refused.value)
    assert not list(tmp_path.iterdir())
