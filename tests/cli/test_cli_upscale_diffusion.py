"""Any diffusion model of pictures enlarges them: results are drawn that are the given picture if reduced again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import genlab as package
from genlab.applications import restore_files
from genlab.core.errors import GenlabError, UsageError
from genlab.core.known import Reduced
from genlab.core.pictures import Picture, resized

Genlab = Callable[..., Any]
TINY = {"data": "digits", "size": 16, "width": 4, "steps": 2, "batch_size": 4, "quiet": True}
FEW = {"resampling": 2}


def smooth(height: int, width: int, channels: int = 1) -> Picture:
    rough = np.random.default_rng(0).integers(80, 176, (height // 2 + 1, width // 2 + 1, channels), np.uint8)
    return resized(rough, height, width)


def save(picture: Picture, path: Path) -> None:
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(path)


def opened(path: Path) -> torch.Tensor:
    """A picture as images (1, C, H, W) of levels from 0 to 255."""
    pixels = torch.from_numpy(np.array(Image.open(path))).float()
    return pixels[None, None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    """A diffusion model of grey pictures of 16 pixels, conditioned on a class."""
    small = {"timesteps": 12, "sampling_steps": 6, "attention": 0, "labels": "embedding"}
    return package.train("velocity-diffusion", root=tmp_path_factory.mktemp("runs"), **TINY, **small)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two pictures of 8 pixels."""
    (folder := tmp_path / "small").mkdir()
    save(smooth(8, 8), folder / "grey.png")
    save(smooth(8, 8, 3), folder / "colour.png")
    return folder


def test_results_are_the_given_picture_if_they_are_reduced_again(
    run: package.Run, small: Path, tmp_path: Path
) -> None:
    save(smooth(4, 4), tmp_path / "four.png")
    for given, scale in ((small / "grey.png", 2), (tmp_path / "four.png", 4)):
        done = package.upscale(run, given, number=2, out=tmp_path / f"out{scale}", **FEW)
        assert (done.scale, done.number, done.count) == (scale, 2, 1)
        known = Reduced(opened(given), (16, 16))
        for at in (1, 2):
            made = opened(tmp_path / f"out{scale}" / f"{given.stem}-{at}.png")
            assert (known.reduce(made) - known.images).abs().max() <= 1
    assert "1 picture enlarged 4 times, 2 results each\n  4x4 to 16x16 pixels" in str(done)


def test_colours_around_grey_results_are_those_of_bicubic_interpolation(
    run: package.Run, small: Path, tmp_path: Path
) -> None:
    done = package.upscale(run, small, out=tmp_path / "out", **FEW)
    assert "1 picture in colour, of which this model of grey pictures restored the brightness" in str(done)
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    given, made = (opened(folder / "colour.png") for folder in (small, tmp_path / "out"))
    known = Reduced((given * luma).sum(1, keepdim=True), (16, 16))
    assert (known.reduce((made * luma).sum(1, keepdim=True)) - known.images).abs().mean() <= 1


def test_draws_differ_and_depend_only_on_the_seed_and_the_name(
    run: package.Run, small: Path, tmp_path: Path
) -> None:
    for folder, options in (("two", {"number": 2}), ("one", {}), ("other", {"seed": 1})):
        package.upscale(run, small / "grey.png", out=tmp_path / folder, **FEW, **options)
    first, second, one, other = (
        opened(tmp_path / name) for name in ("two/grey-1.png", "two/grey-2.png", "one/grey.png", "other/grey.png")
    )
    assert torch.equal(first, one)
    assert not torch.equal(first, second)
    assert not torch.equal(one, other)


def test_results_are_measured_beside_bicubic_interpolation(run: package.Run, small: Path, tmp_path: Path) -> None:
    save(smooth(16, 16), tmp_path / "original.png")
    done = package.upscale(
        run, small / "grey.png", truth=tmp_path / "original.png", number=3, out=tmp_path / "out", **FEW
    )
    assert done.means["baseline_psnr_y"] > done.means["restored_psnr_y"], "it was hardly trained"
    assert "note: bicubic is ahead by" in str(done)
    assert "means over 3 results of each picture" in done.protocol
    assert json.loads(json.dumps(done.values()))["number"] == 3
    assert done.picture is not None


def test_pictures_of_another_size_are_named(run: package.Run, small: Path, tmp_path: Path, genlab: Genlab) -> None:
    save(smooth(4, 4), small / "other.png")
    done = package.upscale(run, small, out=tmp_path / "out", **FEW)
    (rejected,) = done.done.rejected
    assert rejected.path == "other.png"
    assert rejected.reason == "it has 4x4 pixels, and only 8x8 can be enlarged 2 times by this model"
    only = package.upscale(run, small, scale=4, out=tmp_path / "only", **FEW)
    assert (only.count, len(only.done.rejected)) == (1, 2)
    save(smooth(7, 8), tmp_path / "odd.png")
    said = genlab("upscale", run.folder, tmp_path / "odd.png")
    assert "8x8 (--scale 2), 4x4 (--scale 4), 2x2 (--scale 8)" in said.err
    assert "odd.png has 8x7 pixels" in said.err


def test_options_of_another_kind_of_model_are_refused(run: package.Run, small: Path, tmp_path: Path) -> None:
    for options, why in (
        ({"ensemble": True}, "--ensemble is for models of super-resolution"),
        ({"tile": 64}, "--tile is for models of super-resolution"),
        ({"scale": 3}, r"no --scale 3: .*--scale 2\), 4x4"),
        ({"number": 0}, "--number must be from 1 to 64"),
        ({"jump_length": 0}, "--jump-length must be at least 1"),
    ):
        with pytest.raises(UsageError, match=why):
            package.upscale(run, small, **options)
    with pytest.raises(GenlabError, match="genlab restore needs a model that can restore"):
        package.restore(run, small)
    points = package.train(
        "flow-matching", data="ring8", architecture="mlp", width=4, steps=1, quiet=True, root=tmp_path
    )
    with pytest.raises(UsageError, match="this model was trained on points, not on pictures"):
        package.upscale(points, small)
    srcnn = {**TINY, "size": 16, "degrade": ("bicubic=2",), "root": tmp_path}
    enlarging = package.train("srcnn", **srcnn)
    with pytest.raises(GenlabError, match="--number needs a model that can complete partly known examples"):
        package.upscale(enlarging, small, number=2)


def test_a_command_that_was_killed_goes_on(
    run: package.Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = restore_files.write_png, list[Path]()

    def killed(path: Path, data: bytes) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    monkeypatch.setattr(restore_files, "write_png", killed)
    with pytest.raises(KeyboardInterrupt):
        package.upscale(run, small, number=2, out=tmp_path / "out", **FEW)
    with pytest.raises(UsageError, match="is of another command"):
        package.upscale(run, small, number=2, seed=1, out=tmp_path / "out", **FEW)
    written.clear()
    package.upscale(run, small, number=2, out=tmp_path / "out", **FEW)
    assert [path.name for path in written] == ["grey-1.png", "grey-2.png"]
