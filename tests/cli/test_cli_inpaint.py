"""Holes in pictures of any size are filled, and everything else comes back to the bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import genlab as package
from genlab.applications import inpaint_files
from genlab.applications.inpaint import ByModel, cells, parts, reduction
from genlab.core.errors import GenlabError, UsageError
from genlab.core.pictures import Picture, resized
from genlab.metrics.holes import Mask, harmonic_fill

Genlab = Callable[..., Any]
TINY = {"data": "digits", "size": 16, "width": 4, "steps": 2, "batch_size": 4, "quiet": True}
SIZE = (40, 52)


def smooth(height: int, width: int, channels: int = 3) -> Picture:
    rough = np.random.default_rng(0).integers(60, 196, (height // 8 + 2, width // 8 + 2, channels), np.uint8)
    return resized(rough, height, width)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    """Fills holes of grey pictures of 16 pixels."""
    return package.train(
        "gated-inpainting", discriminator="patch-16", root=tmp_path_factory.mktemp("runs"), **TINY
    )


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    small = {"timesteps": 12, "sampling_steps": 6, "attention": 0}
    return package.train("velocity-diffusion", root=tmp_path_factory.mktemp("runs"), **TINY, **small)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A colour picture, one with transparency, a small grey one."""
    (folder := tmp_path / "pictures").mkdir()
    Image.fromarray(smooth(*SIZE)).save(folder / "colour.png")
    alpha = Image.fromarray(smooth(*SIZE))
    alpha.putalpha(Image.fromarray(smooth(*SIZE, 1)[..., 0]))
    alpha.save(folder / "alpha.png")
    Image.fromarray(smooth(12, 9, 1)[..., 0]).save(folder / "small.png")
    return folder


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    (folder := tmp_path / "masks").mkdir()
    for name, size in (("colour", SIZE), ("alpha", SIZE), ("small", (12, 9))):
        mask = np.zeros(size, np.uint8)
        mask[3:9, 2:7] = 255
        Image.fromarray(mask).save(folder / f"{name}.bmp")
    return folder


def test_known_pixels_and_transparency_come_back_to_the_bit(
    run: package.Run, pictures: Path, masks: Path, tmp_path: Path
) -> None:
    done = package.inpaint(run, pictures, mask=masks, out=tmp_path / "out")
    assert (done.count, done.number, done.reduced) == (3, 1, 0)
    for path in pictures.iterdir():
        given, made = (np.array(Image.open(each)) for each in (path, tmp_path / "out" / path.name))
        missing = np.array(Image.open(masks / f"{path.stem}.bmp")) > 127
        assert given.shape == made.shape
        assert (made[~missing] == given[~missing]).all()
        assert (made[missing] != given[missing]).any()
        assert path.stem != "alpha" or (made[..., 3] == given[..., 3]).all()
    assert done.table.columns == ["missing", "reduced", "windows"]
    assert json.loads(json.dumps(done.values()))["pictures"] == 3
    assert done.picture is not None


def test_a_box_of_any_size_is_filled_at_a_reduced_size_if_it_is_large(
    run: package.Run, pictures: Path, tmp_path: Path
) -> None:
    done = package.inpaint(run, pictures / "colour.png", box=(10, 5, 30, 30), out=tmp_path / "out")
    assert done.reduced == 1
    assert "filled at a reduced size and so blurred: 1 picture" in str(done)
    made, given = (np.array(Image.open(each)) for each in (tmp_path / "out/colour.png", pictures / "colour.png"))
    inside = np.zeros(SIZE, np.bool_)
    inside[5:35, 10:40] = True
    assert (made[~inside] == given[~inside]).all()


def test_a_diffusion_model_draws_several_fills_by_seed_and_name(
    diffusion: package.Run, pictures: Path, tmp_path: Path
) -> None:
    how = {"box": "2,2,5,5", "resampling": 2}
    for folder in ("one", "two"):
        package.inpaint(diffusion, pictures / "colour.png", number=2, out=tmp_path / folder, **how)
    package.inpaint(diffusion, pictures / "colour.png", out=tmp_path / "single", **how)
    first, second = (np.array(Image.open(tmp_path / f"one/colour-{at}.png")) for at in (1, 2))
    assert (first != second).any()
    assert (first == np.array(Image.open(tmp_path / "two/colour-1.png"))).all()
    assert (first == np.array(Image.open(tmp_path / "single/colour.png"))).all(), "whatever the number is"


def test_a_command_that_was_killed_goes_on(
    diffusion: package.Run, pictures: Path, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = np.zeros(SIZE, np.uint8)
    grey[3:20, 2:20] = 200
    Image.fromarray(grey).filter(ImageFilter.GaussianBlur(2)).save(masks / "alpha.bmp")

    def fill(out: str) -> Any:
        return package.inpaint(diffusion, pictures, mask=masks, out=tmp_path / out, number=2, resampling=1)

    whole, write = fill("whole"), inpaint_files.write_png

    def killed(path: Path, data: bytes) -> None:
        if path.name == "colour-2.png":
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(inpaint_files, "write_png", killed)
        with pytest.raises(KeyboardInterrupt):
            fill("out")
    done = fill("out")
    assert str(done) == str(whole).replace(str(whole.path), str(done.path))
    assert "note  alpha.png: its mask is not black and white" in str(done)
    for place in (*whole.path.iterdir(), whole.table_path, whole.picture_path):
        assert place.read_bytes() == Path(str(place).replace(str(whole.path), str(done.path))).read_bytes(), place


def test_masks_that_are_grey_large_or_do_not_fit_are_noticed(
    run: package.Run, pictures: Path, masks: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.tile(np.linspace(0, 255, 52).astype(np.uint8), (40, 1))).save(masks / "colour.bmp")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(masks / "alpha.bmp")
    (masks / "small.bmp").unlink()
    done = package.inpaint(run, pictures, mask=masks, out=tmp_path / "out")
    assert "colour.png: its mask is not black and white" in str(done)
    assert "alpha.png: its mask has 5x5 pixels, not 52x40" in str(done)
    assert "small.png: there is no mask of this name in --mask" in str(done)
    Image.fromarray(255 - 255 * (np.indices(SIZE)[0] < 4).astype(np.uint8)).save(masks / "colour.bmp")
    done = package.inpaint(run, pictures / "colour.png", mask=masks / "colour.bmp", out=tmp_path / "large")
    assert "says that 90% is missing; if white is what is known, add --invert" in str(done)
    done = package.inpaint(
        run, pictures / "colour.png", mask=masks / "colour.bmp", invert=True, out=tmp_path / "inv"
    )
    assert done.means["missing"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "^say what is missing by --mask"),
        ({"box": "1,2,3,4", "mask": "a.png"}, "--mask a.png and --box 1,2,3,4 exclude each other"),
        ({"mask": "gone.png"}, "there is no picture or folder --mask gone.png. Check the path"),
        ({"box": "1,2,3"}, "LEFT,TOP,WIDTH,HEIGHT"),
        ({"box": "0,0,0,5"}, "LEFT,TOP,WIDTH,HEIGHT"),
        ({"box": (0, 0, 5)}, "--box 0,0,5 must be LEFT,TOP,WIDTH,HEIGHT"),
        ({"box": 5}, "--box 5 must be LEFT,TOP,WIDTH,HEIGHT"),
        ({"box": "0,0,5,5", "invert": True}, "--invert is for masks"),
        ({"box": "0,0,5,5", "number": 2}, "has one fill for each hole"),
        ({"box": "0,0,5,5", "number": 0}, "from 1 to 64"),
        ({"box": "50,0,5,5"}, "no picture could be filled .* --box 50,0,5,5 does not lie within its 52x40 pixels"),
        ({"box": "0,0,52,40"}, "--box 0,0,52,40 covers all of its 52x40 pixels, so nothing is known"),
        ({"box": "0,0,5,5", "out": "a.jpg"}, "--out a.jpg must be a folder, .* Try a."),
    ],
)
def test_what_cannot_be_done_is_refused(
    run: package.Run, pictures: Path, options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises((UsageError, GenlabError), match=why):
        package.inpaint(run, pictures / "colour.png", **{"out": tmp_path / "out", **options})


def test_what_is_transparent_in_a_mask_counts_as_black_which_is_said(
    run: package.Run, pictures: Path, tmp_path: Path
) -> None:
    mask = np.zeros((*SIZE, 4), np.uint8)
    mask[3:9, 2:7] = 255
    Image.fromarray(mask).save(tmp_path / "white.png")
    done = package.inpaint(run, pictures / "colour.png", mask=tmp_path / "white.png", out=tmp_path / "out")
    assert done.means["missing"] == pytest.approx(6 * 5 / (40 * 52))
    assert "note  colour.png: parts of its mask are transparent, which count as black" in str(done)
    mask[..., :3] = 0
    Image.fromarray(mask).save(tmp_path / "black.png")
    nowhere = "its mask is nowhere white, so nothing is missing; parts of its mask are transparent"
    with pytest.raises(GenlabError, match=f"{nowhere}.*; --invert exchanges"):
        package.inpaint(run, pictures / "colour.png", mask=tmp_path / "black.png", out=tmp_path / "none")


def test_a_mask_of_a_folder_is_for_the_picture_of_its_name_only(
    run: package.Run, pictures: Path, masks: Path, tmp_path: Path
) -> None:
    for name in ("alpha", "small"):
        (masks / f"{name}.bmp").unlink()
    done = package.inpaint(run, pictures, mask=masks, out=tmp_path / "out")
    assert [item.path for item in done.done.rejected] == ["alpha.png", "small.png"]
    both = package.inpaint(run, pictures, mask=masks / "colour.bmp", out=tmp_path / "both")
    assert [item.path for item in both.done.rejected] == ["small.png"], "it has another size"


def test_a_run_finds_its_masks_from_any_folder(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(masks.parent)
    options = {
        **TINY,
        "steps": 1,
        "lr_schedule": "constant",
        "degrade": ("holes=masks",),
        "root": tmp_path / "runs",
    }
    run = package.train("partial-conv", **options)
    monkeypatch.chdir(tmp_path / "runs")
    assert package.resume(run.folder, steps=2).step == 2
    masks.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"there is no folder of masks {masks}"):
        package.resume(run.folder, steps=3)
    picture = tmp_path / "one.png"
    Image.fromarray(smooth(*SIZE)).save(picture)
    assert package.inpaint(run, picture, box="1,1,3,3").count == 1, "which needs no masks of the training"


def test_options_of_repaint_are_for_diffusion_models(run: package.Run, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(GenlabError, match="--resampling needs a model that can complete partly known examples"):
        package.inpaint(run, pictures, box="0,0,2,2", resampling=3, out=tmp_path / "out")


class Harmonic(torch.nn.Module):
    """A model of images of 16 pixels that fills holes harmonically."""

    inpaints_at_random = False

    def __init__(self) -> None:
        super().__init__()
        self.device, self.known = torch.nn.Parameter(torch.zeros(1)), 1.0

    def inpaint(
        self, x: torch.Tensor, hole: torch.Tensor, condition: Any = None, generator: Any = None
    ) -> torch.Tensor:
        self.known = min(self.known, 1 - hole.float().mean().item())
        return harmonic_fill(x, hole.expand(len(x), -1, -1, -1))


@pytest.mark.parametrize("kind", ["scratch", "block", "dots", "corner"])
def test_holes_of_any_form_are_filled_in_windows_of_which_enough_is_known(kind: str) -> None:
    """A plane is harmonic, so that a right assembly of the windows restores it."""
    y, x = np.indices((70, 90))
    plane = np.stack([2 * y, 2 * x, x + y], -1).astype(np.uint8)
    hole: Mask = {
        "scratch": (y > 30) & (y < 34) & (x > 4) & (x < 85),
        "block": (y > 20) & (y < 50) & (x > 25) & (x < 60),
        "dots": np.random.default_rng(0).random(y.shape) < 0.4,
        "corner": (y < 8) & (x < 6),
    }[kind]
    model = Harmonic()
    filled = ByModel(model, (3, 16, 16))(plane, hole, "plane")
    assert model.known > 0.4
    assert (filled.pictures[0][~hole] == plane[~hole]).all()
    error = np.abs(filled.pictures[0].astype(int) - plane)[hole]
    assert error.max() <= {"scratch": 2, "block": 12, "dots": 12, "corner": 16}[kind]
    assert (filled.reduced > 1) == (kind in ("block", "corner"))


def test_cells_cover_a_hole_once_and_are_half_a_window_at_most() -> None:
    hole = np.zeros((60, 80), np.bool_)
    hole[5:45, 10:14] = hole[40:43, 14:75] = True
    covered = np.zeros_like(hole, dtype=int)
    for rows, columns in cells(hole, 16, 16):
        assert rows.stop - rows.start <= 8
        assert columns.stop - columns.start <= 8
        covered[rows, columns] += 1
    assert (covered[hole] == 1).all()
    assert covered.sum() < hole.sum() * 5, "empty ones are left out"
    assert reduction(hole, 16) == 1
    assert reduction(np.pad(np.ones((20, 20), np.bool_), 5), 16) == 3


def test_a_small_hole_is_filled_at_its_own_size_beside_a_large_one() -> None:
    hole = np.zeros((90, 90), np.bool_)
    hole[:40, :40] = hole[80:82, 10:80] = hole[89:, 89:] = True
    boxes = list(parts(hole, 16))
    assert sorted(reduction(own, 16) for _, own in boxes) == [1, 1, 10]
    together = np.zeros_like(hole, dtype=int)
    for box, own in boxes:
        together[box] += own
    assert (together == hole).all()
    checks = ((np.indices(hole.shape).sum(0) % 2)[..., None] * 80 + 80).astype(np.uint8)
    filled = ByModel(Harmonic(), (1, 16, 16))(checks, hole, "checks").pictures[0]
    thin, wide = filled[80:82, 10:80].astype(int), filled[10:30, 10:30].astype(int)
    assert np.abs(np.diff(wide, axis=1)).max() <= 2 < np.abs(np.diff(thin, axis=0)).max(), "only one is blurred"
